/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Check "areas": the tiles cut the whole address space without gap or overlap, busy ones agree
 * with their bookkeeping and with what the host asked for, and guard pages are not mapped.
 */
#include "mm/x86.h"
#include "vmm/audit/private.h"

#define PAGE INSPECT_PAGE_BYTES

/* The tile's ends, by themselves. */
static void check_ends(struct audit_pass *pass, const struct inspect_area *area)
{
	const struct layout *l = pass->l;

	if (area->state == INSPECT_UNKNOWN)
		audit_found(pass, area->start, area->raw_state, l->vmap_area_free,
			    "a tile in no known state");
	if (area->start >= area->end)
		audit_found(pass, area->start, area->end, area->start + PAGE,
			    "a tile ends before it starts");
	if (area->start % PAGE != 0 && area->start != l->vmap_first)
		audit_found(pass, area->start, area->start % PAGE, 0,
			    "a tile does not start on a page");
	if (area->end % PAGE != 0 && area->end != l->vmap_end)
		audit_found(pass, area->start, area->end % PAGE, 0,
			    "a tile does not end on a page");
	if (area->state == INSPECT_BUSY && (area->start < PAGE || area->end == l->vmap_end))
		audit_found(pass, area->start, area->end, 0,
			    "an area has an end of the address space");
}

/* The tile against the one before it. */
static void check_seam(struct audit_pass *pass, const struct inspect_area *before,
		       const struct inspect_area *area)
{
	if (area->position != before->position + 1)
		audit_found(pass, area->start, area->position, before->position + 1,
			    "the list of tiles is not in address order");
	if (area->start > before->end)
		audit_found(pass, before->end, area->start, before->end, "a gap between two tiles");
	if (area->start < before->end)
		audit_found(pass, area->start, area->start, before->end, "two tiles overlap");
}

/* What kind of area it is, against the frames it lists. */
static void check_kind(struct audit_pass *pass, const struct inspect_area *area)
{
	const struct layout *l = pass->l;
	bool frames = area->kind == l->vmap_frames || area->kind == l->vmap_array;

	if (!frames && area->kind != l->vmap_reserved && area->kind != l->vmap_mapped)
		audit_found(pass, area->start, area->kind, l->vmap_frames,
			    "an area of no known kind");
	else if (frames && area->nr_pages == 0)
		audit_found(pass, area->start, 0, 1, "an area with frames of its own lists none");
	else if (!frames && area->nr_pages != 0)
		audit_found(pass, area->start, area->nr_pages, 0,
			    "an area without frames of its own lists some");
}

/* Returns whether the area's page array is an area; what is said to be one must be one. */
static bool check_array(struct audit_pass *pass, const struct inspect_area *area)
{
	const struct inspect_area *array;

	if (area->array != pass->l->vm_array_vmalloc || area->nr_pages == 0)
		return false;
	array = inspect_area_find(&pass->areas, area->pages);
	if (!array || array->start != area->pages || array->state != INSPECT_BUSY ||
	    array->kind != pass->l->vmap_array)
		audit_found(pass, area->start, area->pages, array ? array->start : 0,
			    "the page array of an area is no area for one");
	return true;
}

static void check_bookkeeping(struct audit_pass *pass, const struct inspect_area *area)
{
	uint64_t payload = inspect_area_payload_bytes(pass->inspector, area);

	if (area->link == 0) {
		audit_found(pass, area->start, 0, 1, "an area without bookkeeping: not complete");
		return;
	}
	if (!area->has_vm) {
		audit_found(pass, area->start, area->link, 0,
			    "the area's bookkeeping is not in memory");
		return;
	}
	if (area->vm_addr != area->start)
		audit_found(pass, area->start, area->vm_addr, area->start,
			    "the bookkeeping has another address");
	if (area->vm_size != area->end - area->start)
		audit_found(pass, area->start, area->vm_size, area->end - area->start,
			    "the bookkeeping has another size");
	if (area->vm_area != area->tile)
		audit_found(pass, area->start, area->vm_area, area->tile,
			    "the bookkeeping belongs to another tile");
	check_kind(pass, area);
	if (area->nr_pages > payload / PAGE)
		audit_found(pass, area->start, area->nr_pages, payload / PAGE,
			    "the area lists more frames than it has pages");
	else if (area->flags & pass->l->vm_alloc && area->nr_pages &&
		 area->nr_pages != payload / PAGE)
		audit_found(pass, area->start, area->nr_pages, payload / PAGE,
			    "the area lists fewer frames than it has pages");
}

/* The last-level table of the 2 MiB that the guard page before lay in: mostly the next one's. */
struct guard_table {
	uint64_t start; /* of the 2 MiB */
	const uint64_t *entry;
};

/* Whether the table known already says that nothing is at @gva. */
static bool says_nothing(const struct guard_table *table, uint64_t gva)
{
	if (!table->entry || gva - table->start >= EPT_PAGE_2M_BYTES)
		return false;
	return !(__atomic_load_n(&table->entry[gva / PAGE % 512], __ATOMIC_RELAXED) & X86_PTE_P);
}

static void remember(struct guard_table *table, const struct paging_reader *reader,
		     const struct paging_walk *walk, uint64_t gva)
{
	const struct paging_entry *last = &walk->entries[walk->entry_count - 1];

	if (walk->status != PAGING_NOT_PRESENT || walk->level != 1)
		return;
	table->start = gva & ~(EPT_PAGE_2M_BYTES - 1);
	table->entry = reader->table(reader->context, gpa_make(last->address.value & ~(PAGE - 1)));
}

static void check_guard(struct audit_pass *pass, const struct inspect_area *area,
			struct guard_table *table)
{
	struct paging_reader reader = inspect_paging_reader(pass->inspector);
	uint64_t payload = inspect_area_payload_bytes(pass->inspector, area);
	struct paging_walk walk;

	if (payload == area->end - area->start || says_nothing(table, area->start + payload))
		return; /* VM_NO_GUARD, or not mapped */
	paging_walk(&inspect_source_of(pass->inspector)->paging, &reader,
		    gva_make(area->start + payload), &walk);
	remember(table, &reader, &walk, area->start + payload);
	if (walk.status == PAGING_MAPPED)
		audit_found(pass, area->start + payload, walk.gpa.value, 0,
			    "the guard page of the area at %#llx is mapped",
			    (unsigned long long)area->start);
}

static uint64_t round_up(uint64_t bytes)
{
	return (bytes + PAGE - 1) & ~(PAGE - 1);
}

static void check_expected(struct audit_pass *pass, const struct inspect_area *area,
			   const struct audit_expectation *expected)
{
	uint64_t guard = expected->flags & pass->l->vm_no_guard ? 0 : PAGE;

	if (area->start < expected->start || area->end > expected->end)
		audit_found(pass, area->start,
			    area->start < expected->start ? area->start : area->end,
			    area->start < expected->start ? expected->start : expected->end,
			    "an area outside the window asked for");
	if (expected->align > 1 && area->start & (expected->align - 1))
		audit_found(pass, area->start, area->start & (expected->align - 1), 0,
			    "an area is not aligned as asked for");
	if (area->end - area->start != round_up(expected->size) + guard)
		audit_found(pass, area->start, area->end - area->start,
			    round_up(expected->size) + guard, "an area has not the size asked for");
}

/* Every area the host was promised is there. */
static void check_promises(struct audit_pass *pass)
{
	for (size_t i = 0; i < audit_expectation_slots(pass->audit); i++) {
		const struct audit_expectation *expected = audit_expectation_at(pass->audit, i);
		const struct inspect_area *area;

		if (!expected)
			continue;
		audit_looked(pass, 1);
		area = inspect_area_find(&pass->areas, expected->address);
		if (!area || area->start != expected->address || area->state != INSPECT_BUSY)
			audit_found(pass, expected->address, area ? area->start : 0,
				    expected->address, "no area where the guest said it made one");
		else
			check_expected(pass, area, expected);
	}
}

int audit_areas(struct audit_pass *pass)
{
	const struct inspect_areas *areas = &pass->areas;
	struct guard_table guards = {.entry = NULL};
	uint64_t arrays = 0, with_array = 0;

	if (areas->broken)
		audit_found(pass, areas->broken_at, 0, 0, "%s", areas->broken);
	for (size_t i = 0; i < areas->count; i++) {
		const struct inspect_area *area = &areas->area[i];

		check_ends(pass, area);
		if (i > 0)
			check_seam(pass, area - 1, area);
		if (area->state == INSPECT_BUSY && area->start < area->end) {
			check_bookkeeping(pass, area);
			check_guard(pass, area, &guards);
			arrays += area->kind == pass->l->vmap_array;
			with_array += area->has_vm && check_array(pass, area);
		}
	}
	if (arrays != with_array)
		audit_found(pass, 0, arrays, with_array,
			    "there are not as many areas for page arrays as page arrays in areas");
	audit_looked(pass, areas->count);
	if (!areas->broken) {
		uint64_t first = areas->count ? areas->area[0].start : 0;
		uint64_t last = areas->count ? areas->area[areas->count - 1].end : 0;

		if (first != pass->l->vmap_first)
			audit_found(pass, first, first, pass->l->vmap_first,
				    "the tiles do not begin where the space does");
		if (last != pass->l->vmap_end)
			audit_found(pass, last, last, pass->l->vmap_end,
				    "the tiles do not end where the space does");
	}
	check_promises(pass);
	return 0;
}
