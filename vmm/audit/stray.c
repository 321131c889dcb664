/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Check "stray": every present leaf has a reason to be there. A leaf of an area lies in a busy
 * one, before its guard page; the direct map maps RAM at its address, the page array lies in RAM,
 * and the image maps the image. Lazily freed ranges are clear already.
 */
#include "vmm/audit/private.h"

#define PAGE INSPECT_PAGE_BYTES

/* A range that is mapped without an area. */
struct region {
	uint64_t start, end;
	const char *name;
	/* Returns whether [@gpa, +bytes) may be mapped at start + @offset. */
	bool (*allows)(const struct audit_pass *pass, uint64_t offset, uint64_t gpa,
		       uint64_t bytes);
};

static bool in_range(const struct nb_range *range, uint64_t gpa, uint64_t bytes)
{
	return range && gpa + bytes <= range->end;
}

static bool allows_direct(const struct audit_pass *pass, uint64_t offset, uint64_t gpa,
			  uint64_t bytes)
{
	const struct inspect_source *source = inspect_source_of(pass->inspector);
	uint64_t end = gpa + bytes;

	/* Neighbouring ranges may share a large leaf. */
	for (uint32_t i = 0; i < source->nr_ram && gpa == offset; i++) {
		if (source->ram[i].start <= gpa && gpa < source->ram[i].end)
			gpa = offset = source->ram[i].end < end ? source->ram[i].end : end;
	}
	return gpa == end && gpa == offset;
}

static bool allows_memmap(const struct audit_pass *pass, uint64_t offset, uint64_t gpa,
			  uint64_t bytes)
{
	uint64_t pages_bytes = inspect_end_pfn(pass->inspector) * pass->l->page.bytes;

	return offset < pages_bytes &&
	       in_range(inspect_ram_range(pass->inspector, gpa / PAGE), gpa, bytes);
}

static bool allows_image(const struct audit_pass *pass, uint64_t offset, uint64_t gpa,
			 uint64_t bytes)
{
	const struct nb_range *range = inspect_reserved_range(pass->inspector, gpa / PAGE);

	return gpa == offset && in_range(range, gpa, bytes) &&
	       range->kind == pass->l->reserved_image;
}

static const struct region *find_region(const struct region *region, size_t count, uint64_t gva)
{
	for (size_t i = 0; i < count; i++) {
		if (gva >= region[i].start && gva < region[i].end)
			return &region[i];
	}
	return NULL;
}

struct stray_walk {
	struct audit_pass *pass;
	struct region region[3];
	const struct inspect_area *last; /* the tile of the leaf before: most leaves share it */
};

static const struct inspect_area *tile_of(struct stray_walk *walk, uint64_t gva)
{
	const struct inspect_areas *areas = &walk->pass->areas;

	/* A free tile or two may lie between two areas. */
	for (int i = 0; i < 3 && walk->last && gva >= walk->last->end; i++)
		walk->last = walk->last + 1 < areas->area + areas->count ? walk->last + 1 : NULL;
	if (!walk->last || gva < walk->last->start || gva >= walk->last->end)
		walk->last = inspect_area_find(areas, gva);
	return walk->last;
}

static void check_tile(struct stray_walk *walk, const struct paging_leaf *leaf)
{
	const struct inspect_area *area = tile_of(walk, leaf->gva.value);
	uint64_t end = leaf->gva.value + leaf->page_bytes;
	struct audit_pass *pass = walk->pass;

	if (!area)
		audit_found(pass, leaf->gva.value, leaf->entry.value, 0, "a leaf where no tile is");
	else if (area->state == INSPECT_LAZY)
		audit_found(pass, leaf->gva.value, leaf->entry.value, 0,
			    "a leaf in the lazily freed range from %#llx on",
			    (unsigned long long)area->start);
	else if (area->state != INSPECT_BUSY)
		audit_found(pass, leaf->gva.value, leaf->entry.value, 0,
			    "a leaf outside all areas");
	else if (end > area->start + inspect_area_payload_bytes(pass->inspector, area))
		audit_found(pass, leaf->gva.value, leaf->entry.value, 0,
			    "a leaf at or over the guard page of the area at %#llx",
			    (unsigned long long)area->start);
}

static int check_leaf(void *context, const struct paging_leaf *leaf)
{
	struct stray_walk *walk = context;
	const struct region *region = find_region(walk->region, 3, leaf->gva.value);

	audit_looked(walk->pass, 1);
	if (!region)
		check_tile(walk, leaf);
	else if (!region->allows(walk->pass, leaf->gva.value - region->start, leaf->gpa.value,
				 leaf->page_bytes))
		audit_found(walk->pass, leaf->gva.value, leaf->gpa.value,
			    leaf->gva.value - region->start,
			    "a leaf in %s that does not belong there", region->name);
	return 0;
}

int audit_stray(struct audit_pass *pass)
{
	const struct layout *l = pass->l;
	uint64_t end_of_ram = inspect_end_pfn(pass->inspector) * PAGE;
	uint64_t end_of_pages = inspect_end_pfn(pass->inspector) * l->page.bytes;
	struct stray_walk walk = {
		.pass = pass,
		.region = {{l->direct_base, l->direct_base + end_of_ram, "the direct map",
			    allows_direct},
			   {l->memmap_base, l->memmap_base + end_of_pages, "the page array",
			    allows_memmap},
			   {l->image_base, l->modules_vaddr, "the image's range", allows_image}},
	};
	const struct paging_visitor visitor = {.leaf = check_leaf, .context = &walk};

	return audit_walk(pass, 0, 0, &visitor);
}
