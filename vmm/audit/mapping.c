/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Check "mapping": page i of an area maps frame i of the array the area keeps, with the area's
 * protection; and an area without frames maps nothing.
 *
 * Areas and leaves both come in address order, so one walk over the tables of each window joins
 * them. Areas outside both windows get a walk of their own.
 */
#include "lib/search.h"
#include "mm/x86.h"
#include "vmm/audit/private.h"

#define PAGE INSPECT_PAGE_BYTES

struct join {
	struct audit_pass *pass;
	size_t at;     /* the area whose leaves come now */
	uint64_t next; /* the next page of it that is to be mapped */
	uint64_t end;  /* of the window */
};

/* The pages of @area that must be mapped. */
static uint64_t pages_of(const struct audit_pass *pass, const struct inspect_area *area)
{
	uint64_t most = inspect_area_payload_bytes(pass->inspector, area) / PAGE;

	if (area->state != INSPECT_BUSY || !area->has_vm || area->flags & pass->l->vm_sparse)
		return 0;
	return area->nr_pages < most ? area->nr_pages : most;
}

/* Pages [next, end) of the area are not mapped. */
static void report_missing(struct join *join, const struct inspect_area *area, uint64_t end)
{
	uint64_t page_address = 0;

	if (join->next >= end)
		return;
	inspect_area_page(join->pass->inspector, area, join->next, &page_address);
	audit_found(join->pass, area->start + join->next * PAGE, 0, page_address,
		    "%llu pages of the area at %#llx are not mapped",
		    (unsigned long long)(end - join->next), (unsigned long long)area->start);
}

static void finish_area(struct join *join)
{
	const struct inspect_area *area = &join->pass->areas.area[join->at];

	if (area->start < join->end) {
		uint64_t pages = pages_of(join->pass, area);

		report_missing(join, area, pages);
		audit_looked(join->pass, pages);
	}
	join->at++;
	join->next = 0;
}

/* What of a leaf's entry is protection: all but address, A and D, and PS of a large one. */
static uint64_t protection_of(uint64_t entry, unsigned int level)
{
	uint64_t address = level == 1 ? X86_PTE_ADDR_MASK : X86_PTE_ADDR_2M_MASK | X86_PTE_PAT_BIG;
	uint64_t other = X86_PTE_A | X86_PTE_D | X86_PTE_SOFT_LOW | X86_PTE_SOFT_HIGH;

	return entry & ~(address | other | (level == 1 ? 0 : X86_PTE_PS));
}

/* Page @index of @area maps @gpa. Returns false where no further page can be judged. */
static bool check_frame(struct join *join, const struct inspect_area *area, uint64_t index,
			uint64_t gpa)
{
	uint64_t pfn;

	if (!audit_area_frame(join->pass, area, index, &pfn))
		return false;
	if (pfn == AUDIT_NO_FRAME)
		return true;
	if (pfn * PAGE != gpa)
		audit_found(join->pass, area->start + index * PAGE, gpa, pfn * PAGE,
			    "a page of an area maps another frame than the area lists");
	return true;
}

/* The part of @leaf that lies in @area, pages [first, end). */
static void check_pages(struct join *join, const struct inspect_area *area,
			const struct paging_leaf *leaf, uint64_t first, uint64_t end)
{
	uint64_t asked = protection_of(area->prot, 1);
	uint64_t has = protection_of(leaf->entry.value, leaf->level);
	uint64_t pages = pages_of(join->pass, area);

	report_missing(join, area, first < pages ? first : pages);
	if (first < pages && has != asked)
		audit_found(join->pass, area->start + first * PAGE, has, asked,
			    "a page of an area has not the area's protection");
	if (first < pages && leaf->level > 1 && !(area->flags & join->pass->l->vm_allow_huge_vmap))
		audit_found(join->pass, area->start + first * PAGE, leaf->page_bytes, PAGE,
			    "a large leaf in an area that may have none");
	for (uint64_t i = first; i < end && i < pages; i++) {
		uint64_t offset = area->start + i * PAGE - leaf->gva.value;

		if (!check_frame(join, area, i, leaf->gpa.value + offset))
			break;
	}
	join->next = end;
}

/* Whether @area maps what no page array lists: device memory, frames of others. */
static bool maps_others(const struct audit_pass *pass, const struct inspect_area *area)
{
	return area->kind == pass->l->vmap_mapped ||
	       (area->nr_pages == 0 && (area->flags & (pass->l->vm_map | pass->l->vm_sparse) ||
					(area->flags & pass->l->vm_ioremap && area->phys_addr)));
}

/* Whether somebody has frame @pfn, as far as its struct page says, and may show it to others. */
static bool can_be_shown(struct audit_pass *pass, uint64_t pfn)
{
	const struct layout *l = pass->l;
	struct inspect_page page;

	if (!inspect_ram_range(pass->inspector, pfn) ||
	    inspect_reserved_range(pass->inspector, pfn))
		return true; /* a device's, or boot memory */
	return inspect_section_online(pass->inspector, pfn) &&
	       inspect_page(pass->inspector, pfn, &page) &&
	       (page.state == l->page_other || page.state == l->page_vmalloc ||
		page.state == l->page_kmalloc || page.state == l->page_body);
}

/* A leaf of an area that maps frames of others, pages [first, end) of the area. */
static void check_others(struct join *join, const struct inspect_area *area,
			 const struct paging_leaf *leaf, uint64_t first, uint64_t end)
{
	uint64_t asked = protection_of(area->prot, 1);
	uint64_t has = protection_of(leaf->entry.value, leaf->level);

	if (area->kind == join->pass->l->vmap_mapped && has != asked)
		audit_found(join->pass, area->start + first * PAGE, has, asked,
			    "a page of an area has not the area's protection");
	for (uint64_t i = first; i < end; i++) {
		uint64_t gpa = leaf->gpa.value + (area->start + i * PAGE - leaf->gva.value);

		if (can_be_shown(join->pass, gpa / PAGE))
			continue;
		audit_found(join->pass, area->start + i * PAGE, gpa, 0,
			    "an area shows a frame that is nobody's to show");
		break;
	}
	audit_looked(join->pass, end - first);
}

static void check_leaf_in_area(struct join *join, const struct inspect_area *area,
			       const struct paging_leaf *leaf)
{
	uint64_t first = leaf->gva.value > area->start ? leaf->gva.value - area->start : 0;
	uint64_t end = leaf->gva.value + leaf->page_bytes - area->start;
	uint64_t payload = inspect_area_payload_bytes(join->pass->inspector, area);

	if (end > payload)
		end = payload;
	if (first >= end)
		return; /* the guard: "areas" and "stray" look at it */
	if (!area->has_vm)
		return;
	if (maps_others(join->pass, area)) {
		check_others(join, area, leaf, first / PAGE, end / PAGE);
		return;
	}
	if (first / PAGE >= pages_of(join->pass, area)) {
		audit_found(join->pass, area->start + first, leaf->gpa.value, 0,
			    "an area maps a page it lists no frame for");
		return;
	}
	check_pages(join, area, leaf, first / PAGE, end / PAGE);
}

/* Brings the join to the first area that ends above @leaf; a large leaf may reach into more. */
static int join_leaf(void *context, const struct paging_leaf *leaf)
{
	struct join *join = context;
	const struct inspect_areas *areas = &join->pass->areas;

	while (join->at < areas->count && areas->area[join->at].end <= leaf->gva.value)
		finish_area(join);
	for (size_t i = join->at; i < areas->count; i++) {
		const struct inspect_area *area = &areas->area[i];

		if (area->start >= leaf->gva.value + leaf->page_bytes)
			break;
		while (join->at < i)
			finish_area(join);
		if (area->state == INSPECT_BUSY && area->end > leaf->gva.value)
			check_leaf_in_area(join, area, leaf);
	}
	return 0;
}

/* The index of the first area that ends above @address. */
static size_t first_area_above(const struct inspect_areas *areas, uint64_t address)
{
	return FIRST_WHERE(i, areas->count, areas->area[i].end > address);
}

static int join_window(struct audit_pass *pass, uint64_t start, uint64_t end)
{
	struct join join = {.pass = pass, .at = first_area_above(&pass->areas, start), .end = end};
	const struct paging_visitor visitor = {.leaf = join_leaf, .context = &join};
	int err = audit_walk(pass, start, end, &visitor);

	while (!err && join.at < pass->areas.count && pass->areas.area[join.at].start < end)
		finish_area(&join);
	return err;
}

static bool in_windows(const struct audit_pass *pass, const struct inspect_area *area)
{
	const struct layout *l = pass->l;

	return (area->start >= l->vmalloc_start && area->end <= l->vmalloc_end) ||
	       (area->start >= l->modules_vaddr && area->end <= l->modules_end);
}

int audit_mapping(struct audit_pass *pass)
{
	int err = join_window(pass, pass->l->vmalloc_start, pass->l->vmalloc_end);

	if (!err)
		err = join_window(pass, pass->l->modules_vaddr, pass->l->modules_end);
	for (size_t i = 0; i < pass->areas.count && !err; i++) {
		const struct inspect_area *area = &pass->areas.area[i];

		if (area->state == INSPECT_BUSY && area->start < area->end &&
		    !in_windows(pass, area))
			err = join_window(pass, area->start, area->end);
	}
	return err;
}
