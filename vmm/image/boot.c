/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filling guest memory before the first instruction: the image, what the guest is told about
 * itself, and the page tables it starts on.
 */
#include "vmm/image/boot.h"

#include <errno.h>
#include <string.h>

#include "mm/x86.h"
#include "vmm/image/boot_tables.h"

#define LEAF_BITS (X86_PTE_A | X86_PTE_D | X86_PTE_G)

/* Everything on the way to a finished struct boot. */
struct builder {
	const struct boot_config *config;
	struct gpa_space *space;
	struct error *error;
	gpa_t image_start, image_end; /* of all segments */
	gpa_t info, areas, end;       /* boot information, areas, and where they end */
	gpa_t limit;                  /* end of the first RAM range */
	struct boot_tables tables;
};

/* ---- what we are asked ---- */

static int check_ranges(const struct memory_layout *memory, struct error *error)
{
	uint64_t last = 0;

	if (memory->nr_ram < 1 || memory->nr_ram > NB_MAX_RANGES)
		return error_set(error, -EINVAL, "%u RAM ranges: possible are 1 to %u",
				 memory->nr_ram, NB_MAX_RANGES);
	for (uint32_t i = 0; i < memory->nr_ram; i++) {
		const struct nb_range *ram = &memory->ram[i];

		if (ram->start % NB_RAM_ALIGN || ram->end % NB_RAM_ALIGN ||
		    ram->end <= ram->start || ram->end > NB_RAM_LIMIT || ram->start < last ||
		    ram->node >= NB_MAX_NODES || ram->kind != 0)
			return error_set(error, -EINVAL,
					 "RAM range %u, [%#lx, %#lx) of node %u, breaks the "
					 "rules of guest/abi.h",
					 i, ram->start, ram->end, ram->node);
		last = ram->end;
	}
	return 0;
}

static int place(struct builder *b)
{
	const struct image *image = b->config->image;
	const struct image_segment *last = &image->segments[image->nr_segments - 1];
	const struct nb_range *ram = &b->config->memory->ram[0];
	uint64_t areas_bytes = b->config->nr_vcpus * sizeof(struct nb_vcpu_area);

	b->image_start = image->segments[0].gpa;
	b->image_end = gpa_add(last->gpa, last->end.value - last->start.value);
	b->info = b->image_end;
	b->areas = gpa_add(b->info, X86_PAGE_SIZE);
	b->end = gpa_add(b->areas, areas_bytes);
	b->limit = gpa_make(ram->end);
	if (b->image_start.value < ram->start || b->end.value > ram->end)
		return error_set(b->error, -ENOSPC,
				 "the image at [%#lx, %#lx) and the areas of %u vCPUs need RAM "
				 "up to %#lx, but the first range is [%#lx, %#lx): give the "
				 "guest more memory, or fewer nodes",
				 b->image_start.value, b->image_end.value, b->config->nr_vcpus,
				 b->end.value, ram->start, ram->end);
	return 0;
}

/* ---- the image ---- */

static int copy_image(const struct builder *b)
{
	const struct image *image = b->config->image;

	for (size_t i = 0; i < image->nr_segments; i++) {
		const struct image_segment *segment = &image->segments[i];
		int err = gpa_space_write(b->space, segment->gpa, segment->bytes,
					  segment->file_bytes);

		if (err)
			return error_set(b->error, err, "the image does not lie in RAM");
	}
	return 0;
}

static int map_image(struct builder *b)
{
	const struct image *image = b->config->image;

	for (size_t i = 0; i < image->nr_segments; i++) {
		const struct image_segment *segment = &image->segments[i];
		uint64_t bytes = segment->end.value - segment->start.value;
		uint64_t bits = LEAF_BITS | (segment->writable ? X86_PTE_RW : 0) |
				(segment->executable ? 0 : X86_PTE_NX);

		for (uint64_t at = 0; at < bytes; at += X86_PAGE_SIZE) {
			int err = boot_tables_map(&b->tables, gva_add(segment->start, at),
						  gpa_add(segment->gpa, at), 1, bits);

			if (err)
				return err;
		}
	}
	return 0;
}

/* ---- the direct map ---- */

/* Whether [start, end) meets a segment the guest may not write. */
static bool meets_read_only(const struct image *image, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < image->nr_segments; i++) {
		const struct image_segment *segment = &image->segments[i];
		uint64_t bytes = segment->end.value - segment->start.value;

		if (!segment->writable && segment->gpa.value < end &&
		    segment->gpa.value + bytes > start)
			return true;
	}
	return false;
}

/* The level of the largest leaf that can start at @gpa: in the range, all of it writable. */
static unsigned int leaf_level(const struct builder *b, uint64_t gpa, uint64_t end)
{
	for (unsigned int level = b->config->pages_1g ? 3 : 2; level > 1; level--) {
		uint64_t bytes = 1ull << X86_LEVEL_SHIFT(level);

		if (gpa % bytes == 0 && end - gpa >= bytes &&
		    !meets_read_only(b->config->image, gpa, gpa + bytes))
			return level;
	}
	return 1;
}

static int map_direct(struct builder *b, const struct nb_range *ram)
{
	uint64_t gpa = ram->start;

	while (gpa < ram->end) {
		unsigned int level = leaf_level(b, gpa, ram->end);
		uint64_t bytes = 1ull << X86_LEVEL_SHIFT(level);
		bool writable = !meets_read_only(b->config->image, gpa, gpa + bytes);
		int err = boot_tables_map(&b->tables, gva_make(NB_DIRECT_BASE + gpa), gpa_make(gpa),
					  level,
					  LEAF_BITS | X86_PTE_NX | (writable ? X86_PTE_RW : 0));

		if (err)
			return err;
		gpa += bytes;
	}
	return 0;
}

/* ---- the page array's skeleton ---- */

/* A section's struct pages, 64 bytes for each frame, fill what one PDE maps. */
static int reach_memmap(struct builder *b, const struct nb_range *ram)
{
	uint64_t first = ram->start >> NB_SECTION_SHIFT;
	uint64_t last = (ram->end - 1) >> NB_SECTION_SHIFT;

	for (uint64_t section = first; section <= last; section++) {
		gva_t gva = gva_make(NB_MEMMAP_BASE + (section << X86_PAGE_2M_SHIFT));
		int err = boot_tables_reach(&b->tables, gva, 2);

		if (err)
			return err;
	}
	return 0;
}

static int build_tables(struct builder *b)
{
	const struct memory_layout *memory = b->config->memory;
	int err = boot_tables_init(&b->tables, b->space, b->end, b->limit);

	if (!err)
		err = map_image(b);
	for (uint32_t i = 0; i < memory->nr_ram && !err; i++)
		err = map_direct(b, &memory->ram[i]);
	for (uint32_t i = 0; i < memory->nr_ram && !err; i++)
		err = reach_memmap(b, &memory->ram[i]);
	if (err == -ENOSPC)
		return error_set(b->error, err,
				 "the boot page tables do not fit into [%#lx, %#lx), the rest "
				 "of the first RAM range: give the guest more memory, or fewer "
				 "nodes",
				 b->end.value, b->limit.value);
	if (err)
		return error_set(b->error, err, "the boot page tables: %s", strerror(-err));
	return 0;
}

/* ---- what the guest is told ---- */

static void reserve(struct nb_boot_info *info, uint64_t start, uint64_t end,
		    enum nb_reserved_kind kind, uint32_t node)
{
	info->reserved[info->nr_reserved++] =
		(struct nb_range){.start = start, .end = end, .node = node, .kind = kind};
}

static void describe(const struct builder *b, struct nb_boot_info *info)
{
	const struct memory_layout *memory = b->config->memory;
	uint32_t node = memory->ram[0].node;

	info->magic = NB_BOOT_MAGIC;
	info->version = NB_ABI_VERSION;
	info->nr_vcpus = b->config->nr_vcpus;
	info->root_gpa = b->tables.root.value;
	info->flags = b->config->flags;
	info->nr_ram = memory->nr_ram;
	memcpy(info->ram, memory->ram, memory->nr_ram * sizeof(info->ram[0]));
	if (memory->ram[0].start == 0)
		reserve(info, 0, X86_PAGE_SIZE, NB_RESERVED_BOOT, node);
	reserve(info, b->image_start.value, b->image_end.value, NB_RESERVED_IMAGE, node);
	reserve(info, b->info.value, b->end.value, NB_RESERVED_BOOT, node);
	reserve(info, b->tables.root.value, b->tables.next.value, NB_RESERVED_TABLES, node);
	for (unsigned int i = 0; i < b->config->nr_vcpus; i++)
		info->area_gpa[i] = b->areas.value + i * sizeof(struct nb_vcpu_area);
}

int boot_build(const struct boot_config *config, struct gpa_space *space, struct boot *boot_out,
	       struct error *error)
{
	struct builder b = {.config = config, .space = space, .error = error};
	struct boot boot = {.entry = config->image->entry};
	int err;

	if (config->nr_vcpus < 1 || config->nr_vcpus > NB_MAX_VCPUS)
		return error_set(error, -EINVAL, "%u vCPUs: possible are 1 to %u", config->nr_vcpus,
				 NB_MAX_VCPUS);
	err = check_ranges(config->memory, error);
	if (!err)
		err = place(&b);
	if (!err)
		err = copy_image(&b);
	if (!err)
		err = build_tables(&b);
	if (err)
		return err;
	describe(&b, &boot.info);
	err = gpa_space_write(space, b.info, &boot.info, sizeof(boot.info));
	if (err)
		return error_set(error, err, "the boot information does not lie in RAM");
	boot.root = b.tables.root;
	boot.info_gva = gva_make(NB_DIRECT_BASE + b.info.value);
	boot.nr_tables = (b.tables.next.value - b.tables.root.value) / X86_PAGE_SIZE;
	*boot_out = boot;
	return 0;
}
