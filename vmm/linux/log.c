/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dmesg: the printk ring (5.10 and later), whose structures VMCOREINFO describes
 * (kernel/printk/printk_ringbuffer.h). A record counts if its descriptor says it is committed or
 * final, and its text lies whole in the ring and names the descriptor.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/linux/private.h"

#define COUNT_BITS_MAX  24u /* of descriptors */
#define RING_BITS_MAX   28u /* of text: 256 MiB */
#define LINE_BYTES_MAX  8192u
#define STATE_SHIFT     62
#define ID_MASK         ((1ull << STATE_SHIFT) - 1)
#define STATE_COMMITTED 1u
#define STATE_FINALIZED 2u

/* Members by VMCOREINFO's lines. */
struct ring {
	uint64_t descs, infos, text; /* addresses */
	uint64_t head, tail;         /* of descriptors: ids */
	uint32_t count_bits, text_bits;
	int64_t desc_bytes, info_bytes;
	int64_t state, begin, next;       /* in a descriptor */
	int64_t nanoseconds, text_length; /* in an info */
};

static bool number(const struct linux_guest *guest, const char *key, int64_t most, int64_t *value)
{
	return linux_info_number(guest->vmcoreinfo, key, value) && *value >= 0 && *value <= most;
}

struct wanted_number {
	const char *key;
	int64_t *value;
};

static bool numbers(const struct linux_guest *guest, const struct wanted_number *wanted,
		    size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!number(guest, wanted[i].key, 4096, wanted[i].value))
			return false;
	}
	return true;
}

static bool read_ring(struct linux_guest *guest, struct ring *ring)
{
	struct inspector *inspector = guest->inspector;
	int64_t desc_ring, text_ring, bits, descs, infos, head, tail, counter, text_bits, data;
	int64_t state, positions, begin, next;
	const struct wanted_number wanted[] = {
		{"OFFSET(printk_ringbuffer.desc_ring)", &desc_ring},
		{"OFFSET(printk_ringbuffer.text_data_ring)", &text_ring},
		{"OFFSET(prb_desc_ring.count_bits)", &bits},
		{"OFFSET(prb_desc_ring.descs)", &descs},
		{"OFFSET(prb_desc_ring.infos)", &infos},
		{"OFFSET(prb_desc_ring.head_id)", &head},
		{"OFFSET(prb_desc_ring.tail_id)", &tail},
		{"OFFSET(atomic_long_t.counter)", &counter},
		{"OFFSET(prb_data_ring.size_bits)", &text_bits},
		{"OFFSET(prb_data_ring.data)", &data},
		{"SIZE(prb_desc)", &ring->desc_bytes},
		{"SIZE(printk_info)", &ring->info_bytes},
		{"OFFSET(prb_desc.state_var)", &state},
		{"OFFSET(prb_desc.text_blk_lpos)", &positions},
		{"OFFSET(prb_data_blk_lpos.begin)", &begin},
		{"OFFSET(prb_data_blk_lpos.next)", &next},
		{"OFFSET(printk_info.ts_nsec)", &ring->nanoseconds},
		{"OFFSET(printk_info.text_len)", &ring->text_length},
	};
	uint64_t prb, at;

	if (!numbers(guest, wanted, sizeof(wanted) / sizeof(wanted[0])) ||
	    !linux_info_hex(guest->vmcoreinfo, "SYMBOL(prb)", &prb) ||
	    !inspect_u64(inspector, prb, &prb))
		return false;
	ring->state = state + counter;
	ring->begin = positions + begin;
	ring->next = positions + next;
	at = prb + (uint64_t)desc_ring;
	if (!inspect_u32(inspector, at + (uint64_t)bits, &ring->count_bits) ||
	    !inspect_u64(inspector, at + (uint64_t)descs, &ring->descs) ||
	    !inspect_u64(inspector, at + (uint64_t)infos, &ring->infos) ||
	    !inspect_u64(inspector, at + (uint64_t)(head + counter), &ring->head) ||
	    !inspect_u64(inspector, at + (uint64_t)(tail + counter), &ring->tail))
		return false;
	at = prb + (uint64_t)text_ring;
	return inspect_u32(inspector, at + (uint64_t)text_bits, &ring->text_bits) &&
	       inspect_u64(inspector, at + (uint64_t)data, &ring->text) && ring->count_bits > 0 &&
	       ring->count_bits <= COUNT_BITS_MAX && ring->text_bits >= 8 &&
	       ring->text_bits <= RING_BITS_MAX;
}

/* The text of a record: the block's first word is its descriptor's id. */
static bool read_record(struct linux_guest *guest, const struct ring *ring, uint64_t id,
			uint64_t *nanoseconds, char *text)
{
	struct inspector *inspector = guest->inspector;
	uint64_t slot = id & ((1ull << ring->count_bits) - 1), mask = (1ull << ring->text_bits) - 1;
	uint64_t desc = ring->descs + slot * (uint64_t)ring->desc_bytes;
	uint64_t info = ring->infos + slot * (uint64_t)ring->info_bytes;
	uint64_t state, begin, next, owner, room;
	uint16_t length;

	if (!inspect_u64(inspector, desc + (uint64_t)ring->state, &state) ||
	    (state & ID_MASK) != (id & ID_MASK) ||
	    (state >> STATE_SHIFT != STATE_COMMITTED && state >> STATE_SHIFT != STATE_FINALIZED) ||
	    !inspect_u64(inspector, desc + (uint64_t)ring->begin, &begin) ||
	    !inspect_u64(inspector, desc + (uint64_t)ring->next, &next) ||
	    !inspect_u64(inspector, info + (uint64_t)ring->nanoseconds, nanoseconds) ||
	    !inspect_u16(inspector, info + (uint64_t)ring->text_length, &length))
		return false;
	text[0] = '\0';
	/* Positions that are odd are of records without data. */
	if (begin % 2 != 0)
		return true;
	/* A block that would wrap lies at the ring's start. */
	if ((begin ^ (next - 1)) >> ring->text_bits)
		begin = next & ~mask;
	room = next - begin;
	if (room < 8 || room > mask + 1 ||
	    !inspect_u64(inspector, ring->text + (begin & mask), &owner) ||
	    (owner & ID_MASK) != (id & ID_MASK))
		return false;
	if (length > room - 8)
		length = (uint16_t)(room - 8);
	if (length >= LINE_BYTES_MAX)
		length = LINE_BYTES_MAX - 1;
	text[length] = '\0';
	return inspect_read(inspector, ring->text + (begin & mask) + 8, text, length);
}

int linux_log(struct linux_guest *guest, linux_log_fn line, void *context, struct error *error)
{
	char text[LINE_BYTES_MAX];
	struct ring ring;
	uint64_t count, nanoseconds;
	int err = 0;

	if (!read_ring(guest, &ring))
		return error_set(
			error, -EOPNOTSUPP,
			"this kernel's VMCOREINFO does not describe its log (5.10 and later "
			"do), or what it describes is not there");
	count = ((ring.head - ring.tail) & ID_MASK) + 1;
	if (count > 1ull << ring.count_bits)
		count = 1ull << ring.count_bits;
	for (uint64_t i = 0; i < count && !err; i++) {
		if (!read_record(guest, &ring, ring.head - (count - 1 - i), &nanoseconds, text))
			continue;
		for (char *at = text; *at; at++) {
			if ((*at < ' ' || *at > '~') && *at != '\n' && *at != '\t')
				*at = '?';
		}
		err = line(context, nanoseconds, text);
	}
	return err;
}
