/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the other looks share: regions, translations, and an iteration over tables that ends
 * whatever they say, because it keeps the set of those it was in.
 */
#include "vmm/look/look.h"

#include <errno.h>

#include "mm/x86.h"
#include "lib/u64_map.h"
#include "lib/printable.h"

#define PAGE INSPECT_PAGE_BYTES

const char *look_rights(unsigned int rights, char text[LOOK_RIGHTS_BYTES])
{
	text[0] = rights & PAGING_R ? 'r' : '-';
	text[1] = rights & PAGING_W ? 'w' : '-';
	text[2] = rights & PAGING_X ? 'x' : '-';
	text[3] = rights & PAGING_U ? 'u' : '-';
	text[4] = '\0';
	return text;
}

/* ---- regions ---- */

const char *look_region_name(enum look_region region)
{
	static const char *const names[LOOK_NR_REGIONS] = {
		[LOOK_USER] = "user",         [LOOK_NOWHERE] = "not canonical",
		[LOOK_DIRECT] = "direct map", [LOOK_VMALLOC] = "vmalloc",
		[LOOK_MEMMAP] = "page array", [LOOK_IMAGE] = "image",
		[LOOK_MODULES] = "modules",   [LOOK_OTHER] = "other",
	};

	return (unsigned int)region < LOOK_NR_REGIONS ? names[region] : "?";
}

struct region {
	enum look_region region;
	uint64_t start, bytes;
};

/* What an address outside all regions is in: the gap between its neighbours, inside its part. */
static void place_in_gap(const struct region *region, size_t count, uint64_t address,
			 struct look_place *place)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t start = region[i].start, end = start + region[i].bytes;

		if (region[i].bytes == 0)
			continue;
		/* An end of 0 is 2^64: what is above no address is no neighbour from below. */
		if (end != 0 && end <= address && end > place->start)
			place->start = end;
		if (start > address && (start < place->end || place->end == 0))
			place->end = start;
	}
}

void look_place(const struct inspector *inspector, uint64_t address, struct look_place *place_out)
{
	const struct layout *l = inspect_layout(inspector);
	unsigned int bits = inspect_source_of(inspector)->paging.levels == 5 ? 56 : 47;
	uint64_t half = 1ull << bits, pages = inspect_end_pfn(inspector);
	const struct region region[] = {
		{LOOK_USER, 0, half},
		{LOOK_NOWHERE, half, 0 - 2 * half},
		{LOOK_DIRECT, l->direct_base, pages * PAGE},
		{LOOK_VMALLOC, l->vmalloc_start, l->vmalloc_end - l->vmalloc_start},
		{LOOK_MEMMAP, l->memmap_base, pages * l->page.bytes},
		{LOOK_IMAGE, l->image_base, l->modules_vaddr - l->image_base},
		{LOOK_MODULES, l->modules_vaddr, l->modules_end - l->modules_vaddr},
	};
	const size_t count = sizeof(region) / sizeof(region[0]);

	*place_out = (struct look_place){.region = LOOK_OTHER, .start = 0 - half};
	for (size_t i = 0; i < count; i++) {
		if (address - region[i].start >= region[i].bytes)
			continue;
		*place_out = (struct look_place){region[i].region, region[i].start,
						 region[i].start + region[i].bytes, 0};
		break;
	}
	if (place_out->region == LOOK_OTHER)
		place_in_gap(region, count, address, place_out);
	place_out->offset = address - place_out->start;
}

/* ---- an iteration over tables ---- */

struct walk {
	const struct paging_visitor *visitor;
	struct u64_map seen; /* tables */
	uint64_t tables, shared;
};

static int walk_table(void *context, gpa_t table, unsigned int level, gva_t gva)
{
	struct walk *walk = context;

	walk->tables++;
	if (u64_map_get(&walk->seen, table.value) == U64_MAP_NONE)
		return u64_map_set(&walk->seen, table.value, level);
	return ++walk->shared > LOOK_SHARED_TABLES ? -ELOOP : 0;
}

static int walk_leaf(void *context, const struct paging_leaf *leaf)
{
	const struct walk *walk = context;

	return walk->visitor->leaf(walk->visitor->context, leaf);
}

static int walk_bad(void *context, const struct paging_bad_entry *bad)
{
	const struct walk *walk = context;

	return walk->visitor->bad(walk->visitor->context, bad);
}

static const struct paging_mode *mode_of(const struct inspector *inspector,
					 const struct paging_mode *paging)
{
	return paging ? paging : &inspect_source_of(inspector)->paging;
}

int look_for_each(struct inspector *inspector, const struct paging_mode *paging, uint64_t start,
		  uint64_t end, const struct paging_visitor *visitor, uint64_t *tables_out)
{
	struct paging_reader reader = inspect_paging_reader(inspector);
	struct walk walk = {.visitor = visitor};
	const struct paging_visitor counted = {.leaf = walk_leaf,
					       .bad = visitor->bad ? walk_bad : NULL,
					       .table = walk_table,
					       .context = &walk};
	int err;

	err = paging_for_each(mode_of(inspector, paging), &reader, gva_make(start), gva_make(end),
			      UINT64_MAX, &counted);
	u64_map_clear(&walk.seen);
	if (tables_out)
		*tables_out = walk.tables;
	return err;
}

/* ---- translations ---- */

int look_translate(struct inspector *inspector, const struct paging_mode *paging, uint64_t gva,
		   uint64_t *gpa_out, const void **host_out)
{
	const struct inspect_source *source = inspect_source_of(inspector);
	struct paging_reader reader = inspect_paging_reader(inspector);
	struct paging_walk walk;

	inspect_refresh(inspector);
	paging_walk(mode_of(inspector, paging), &reader, gva_make(gva), &walk);
	if (walk.status != PAGING_MAPPED)
		return -EFAULT;
	*gpa_out = walk.gpa.value;
	if (host_out)
		*host_out = source->physical(source->context, walk.gpa.value, 1);
	return 0;
}

struct reverse {
	struct inspector *inspector;
	uint64_t gpa;
	look_mapping_fn mapping;
	void *context;
};

static int reverse_leaf(void *context, const struct paging_leaf *leaf)
{
	const struct reverse *reverse = context;
	struct look_mapping mapping;
	struct look_place place;

	if (reverse->gpa - leaf->gpa.value >= leaf->page_bytes)
		return 0;
	mapping = (struct look_mapping){
		.gva = leaf->gva.value + (reverse->gpa - leaf->gpa.value),
		.page_bytes = leaf->page_bytes,
		.rights = leaf->rights,
	};
	look_place(reverse->inspector, mapping.gva, &place);
	mapping.region = place.region;
	return reverse->mapping(reverse->context, &mapping);
}

int look_mappings_of(struct inspector *inspector, const struct paging_mode *paging, uint64_t gpa,
		     look_mapping_fn mapping, void *context)
{
	struct reverse reverse = {inspector, gpa, mapping, context};
	const struct paging_visitor visitor = {.leaf = reverse_leaf, .context = &reverse};

	inspect_refresh(inspector);
	return look_for_each(inspector, paging, 0, 0, &visitor, NULL);
}

/* ---- the core's structures ---- */

int look_areas(struct inspector *inspector, struct inspect_areas *areas_out)
{
	struct inspect_areas areas;

	for (int i = 0; i < LOOK_TRIES; i++) {
		int err;

		inspect_refresh(inspector);
		err = inspect_areas(inspector, &areas);
		if (err)
			return err;
		if (!areas.broken || i == LOOK_TRIES - 1)
			break;
		inspect_areas_free(&areas);
	}
	*areas_out = areas;
	return 0;
}

int look_process(struct inspector *inspector, uint32_t id, struct paging_mode *paging_out)
{
	struct inspect_processes processes;
	bool found = false;

	for (int i = 0; i < LOOK_TRIES && !found; i++) {
		bool broken;
		int err;

		inspect_refresh(inspector);
		err = inspect_processes(inspector, &processes);
		if (err)
			return err;
		broken = processes.broken != NULL;
		for (size_t at = 0; at < processes.count && !found; at++) {
			if (processes.process[at].id != id)
				continue;
			found = true;
			*paging_out = inspect_source_of(inspector)->paging;
			paging_out->root = gpa_make(processes.process[at].root & X86_CR3_ADDR_MASK);
		}
		inspect_processes_free(&processes);
		if (!broken)
			break;
	}
	return found ? 0 : -ESRCH;
}

void look_text(struct inspector *inspector, uint64_t gva, char *text, size_t bytes)
{
	size_t i;
	uint8_t c;

	for (i = 0; i + 1 < bytes && inspect_u8(inspector, gva + i, &c) && c != 0; i++)
		text[i] = (char)c;
	text[i] = '\0';
	printable(text);
}
