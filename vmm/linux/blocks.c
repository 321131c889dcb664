/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vm_map_ram()'s blocks: xarrays of struct vmap_block, one for all CPUs, or one in each CPU's
 * vmap_block_queue (6.5 and later).
 */
#include <errno.h>
#include <string.h>

#include "vmm/linux/private.h"

#define CPUS_MAX   8192u
#define BLOCKS_MAX (1u << 16)
#define DEPTH_MAX  12 /* of an xarray of 64-bit indexes */
#define MAP_BYTES  4096u

struct blocks {
	struct linux_guest *guest;
	linux_block_fn block;
	void *context;
	uint32_t cpu;
	size_t seen;
};

static uint64_t used_bits(struct blocks *blocks, uint64_t at, uint64_t bits)
{
	uint64_t used = 0, word;

	for (uint64_t i = 0; i < bits / 64 && i < MAP_BYTES / 8; i++) {
		if (!inspect_u64(blocks->guest->inspector, at + 8 * i, &word))
			break;
		used += (uint64_t)__builtin_popcountll(word);
	}
	return used;
}

static int one_block(struct blocks *blocks, uint64_t at, uint64_t index)
{
	const struct linux_types *t = &blocks->guest->types;
	struct inspector *inspector = blocks->guest->inspector;
	struct linux_block block = {.at = at, .cpu = blocks->cpu, .index = index};
	uint64_t area;

	if (blocks->seen++ >= BLOCKS_MAX)
		return -ELOOP;
	if (!inspect_u64(inspector, at + t->vmap_block_va, &area) ||
	    !inspect_u64(inspector, area + t->vmap_area_va_start, &block.start) ||
	    !inspect_u64(inspector, area + t->vmap_area_va_end, &block.end) ||
	    !inspect_u64(inspector, at + t->vmap_block_free, &block.free) ||
	    !inspect_u64(inspector, at + t->vmap_block_dirty, &block.dirty))
		return 0;
	block.has_map = t->vmap_block_used_map != NO_FIELD;
	if (block.has_map)
		block.used = used_bits(blocks, at + t->vmap_block_used_map,
				       (block.end - block.start) / PAGE);
	return blocks->block(blocks->context, &block);
}

/* The entries below @entry: a node's address has 2 in its lowest bits (Linux's lib/xarray.c). */
static int entries(struct blocks *blocks, uint64_t entry, uint64_t index, int depth)
{
	const struct linux_types *t = &blocks->guest->types;
	uint8_t shift;
	int err = 0;

	if (entry == 0)
		return 0;
	if ((entry & 3) != 2 || entry <= PAGE)
		return entry & 3 ? 0 : one_block(blocks, entry, index);
	if (depth == DEPTH_MAX || blocks->seen++ >= BLOCKS_MAX)
		return -ELOOP;
	entry -= 2;
	if (!inspect_u8(blocks->guest->inspector, entry + t->xa_node_shift, &shift) || shift > 60)
		return 0;
	for (uint32_t i = 0; i < t->nr_slots && !err; i++) {
		uint64_t slot;

		if (inspect_u64(blocks->guest->inspector, entry + t->xa_node_slots + 8ull * i,
				&slot))
			err = entries(blocks, slot, index + ((uint64_t)i << shift), depth + 1);
	}
	return err;
}

static int one_array(struct blocks *blocks, uint64_t xarray)
{
	uint64_t head;

	if (!inspect_u64(blocks->guest->inspector, xarray + blocks->guest->types.xarray_xa_head,
			 &head))
		return 0;
	return entries(blocks, head, 0, 0);
}

static bool block_types(const struct linux_types *t)
{
	return t->vmap_block_va != NO_FIELD && t->vmap_block_free != NO_FIELD &&
	       t->vmap_block_dirty != NO_FIELD && t->xarray_xa_head != NO_FIELD &&
	       t->xa_node_shift != NO_FIELD && t->xa_node_slots != NO_FIELD && t->nr_slots != 0;
}

int linux_blocks(struct linux_guest *guest, linux_block_fn block, void *context,
		 struct error *error)
{
	struct blocks blocks = {.guest = guest, .block = block, .context = context};
	uint64_t array, queue, offsets, offset, address;
	uint32_t cpus = 1;
	int err = linux_need(guest, error);

	if (err)
		return err;
	if (!block_types(&guest->types))
		return error_set(error, -EOPNOTSUPP, "this kernel's struct vmap_block is unknown");
	if (linux_symbol(guest, "vmap_blocks", &array))
		return one_array(&blocks, array);
	if (!linux_symbol(guest, "vmap_block_queue", &queue) ||
	    !linux_symbol(guest, "__per_cpu_offset", &offsets) ||
	    guest->types.vmap_block_queue_vmap_blocks == NO_FIELD)
		return error_set(error, -EOPNOTSUPP, "this kernel has no vmap_blocks");
	if (linux_symbol(guest, "nr_cpu_ids", &address))
		inspect_u32(guest->inspector, address, &cpus);
	for (uint32_t cpu = 0; cpu < cpus && cpu < CPUS_MAX && !err; cpu++) {
		if (!inspect_u64(guest->inspector, offsets + 8ull * cpu, &offset))
			break;
		blocks.cpu = cpu;
		err = one_array(&blocks,
				offset + queue + guest->types.vmap_block_queue_vmap_blocks);
	}
	return err;
}
