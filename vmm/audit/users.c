/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Check "users": processes are a list as the core counts them; the ranges of each are user
 * addresses in order; every user page lies in one, has its protection, and shows what its range
 * may show:
 *
 *   VM_PFNMAP                    the image, never writable
 *   VM_MIXEDMAP                  single frames that were inserted: an area's, or somebody's
 *   VM_DONTEXPAND without those  one area with VM_USERMAP, a page for a page. When it is gone,
 *                                frames that belong to no area
 *
 * That such a frame has a reference for each user page is for "frames" to say, that no user page is
 * writable and executable for "wx".
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/grow.h"
#include "lib/search.h"
#include "mm/x86.h"
#include "vmm/audit/private.h"

#define PAGE           INSPECT_PAGE_BYTES
#define CANDIDATES_MAX 8

/* Page @index of an area with VM_USERMAP maps frame @pfn. */
struct shown {
	uint64_t pfn, index;
	const struct inspect_area *area;
};

/* Where page 0 of a range would be in an area, by the pages looked at so far. */
struct candidate {
	const struct inspect_area *area;
	uint64_t first; /* modulo 2^64 */
};

struct users_walk {
	struct audit_pass *pass;
	struct shown *shown; /* ascending by frame */
	size_t count;
	uint64_t *pages;               /* leaves of each process */
	const struct inspect_vma *vma; /* of the leaf before */
	uint64_t next;                 /* the page of it that comes next */
	struct candidate candidate[CANDIDATES_MAX];
	size_t nr_candidates;
};

/* ---- what areas show ---- */

static int add_shown(struct users_walk *walk, uint64_t pfn, uint64_t index,
		     const struct inspect_area *area)
{
	if (GROW(walk->shown, walk->count))
		return -ENOMEM;
	walk->shown[walk->count++] = (struct shown){pfn, index, area};
	return 0;
}

/* Many areas on large leaves could show more than all of RAM: no more than twice that is taken. */
static int take_leaf(void *context, const struct paging_leaf *leaf)
{
	struct users_walk *walk = context;
	struct audit_pass *pass = walk->pass;
	const struct inspect_area *area = inspect_area_find(&pass->areas, leaf->gva.value);
	uint64_t pages, first;
	int err = 0;

	if (!area || area->state != INSPECT_BUSY || !area->has_vm ||
	    !(area->flags & pass->l->vm_usermap))
		return 0;
	pages = inspect_area_payload_bytes(pass->inspector, area) / PAGE;
	first = (leaf->gva.value - area->start) / PAGE;
	for (uint64_t i = 0; i < leaf->page_bytes / PAGE && first + i < pages && !err; i++) {
		if (pass->entries_left == 0)
			break;
		pass->entries_left--;
		err = add_shown(walk, leaf->gpa.value / PAGE + i, first + i, area);
	}
	return err;
}

static int by_frame(const void *left, const void *right)
{
	const struct shown *a = left, *b = right;

	if (a->pfn != b->pfn)
		return a->pfn < b->pfn ? -1 : 1;
	return 0;
}

/* The index of the first that shows @pfn or a later frame. */
static size_t first_shown(const struct users_walk *walk, uint64_t pfn)
{
	return FIRST_WHERE(i, walk->count, walk->shown[i].pfn >= pfn);
}

/* ---- lists ---- */

static void check_vma(struct audit_pass *pass, const struct inspect_process *process,
		      const struct inspect_vma *vma, uint64_t end_before)
{
	const struct layout *l = pass->l;

	if (vma->start >= vma->end || (vma->start | vma->end) % PAGE ||
	    vma->start < l->user_start || vma->end > l->user_end)
		audit_found(pass, vma->start, vma->end, 0,
			    "a range of process %u that is none of user addresses", process->id);
	if (vma->start < end_before)
		audit_found(pass, vma->start, vma->start, end_before,
			    "two ranges of process %u overlap or are out of order", process->id);
	if (vma->process != process->address)
		audit_found(pass, vma->start, vma->process, process->address,
			    "a range of process %u says it is another's", process->id);
	if (!(vma->flags & (l->vm_read | l->vm_write | l->vm_exec)))
		audit_found(pass, vma->start, vma->flags, l->vm_read,
			    "a range of process %u without any access", process->id);
}

static void check_lists(struct audit_pass *pass)
{
	const struct inspect_processes *processes = &pass->processes;
	const struct layout *l = pass->l;
	uint64_t list = inspect_mm(pass->inspector) + l->mm.processes, said = 0;
	uint32_t last_id = 0, id = 0;

	audit_check_lock(pass, list + l->process_list.lock, "the list of processes");
	if (processes->broken)
		audit_found(pass, processes->broken_at, 0, 0, "%s", processes->broken);
	if (!inspect_u64(pass->inspector, list + l->process_list.nr, &said) ||
	    said != processes->count)
		audit_found(pass, list + l->process_list.nr, said, processes->count,
			    "the count of processes is wrong");
	inspect_u32(pass->inspector, list + l->process_list.last_id, &last_id);
	for (size_t i = 0; i < processes->count; i++) {
		const struct inspect_process *process = &processes->process[i];
		uint64_t end = 0;

		if (process->id <= id || process->id > last_id)
			audit_found(pass, process->address, process->id, id,
				    "a process's number is not its own");
		id = process->id;
		for (size_t j = 0; j < process->nr_vmas; j++) {
			const struct inspect_vma *vma = &processes->vma[process->first_vma + j];

			check_vma(pass, process, vma, end);
			end = vma->end;
		}
		audit_looked(pass, 1 + process->nr_vmas);
	}
}

/* ---- user pages ---- */

static void check_protection(struct audit_pass *pass, const struct inspect_vma *vma,
			     const struct paging_leaf *leaf)
{
	const uint64_t judged = X86_PTE_P | X86_PTE_RW | X86_PTE_US | X86_PTE_PWT | X86_PTE_PCD |
				X86_PTE_PAT | X86_PTE_G | X86_PTE_NX;
	bool writable = vma->flags & pass->l->vm_write, executable = vma->flags & pass->l->vm_exec;
	uint64_t entry = X86_PTE_P | X86_PTE_US | (writable ? X86_PTE_RW : 0) |
			 (executable ? 0 : X86_PTE_NX);
	unsigned int rights =
		PAGING_R | PAGING_U | (writable ? PAGING_W : 0) | (executable ? PAGING_X : 0);

	if ((leaf->entry.value & judged) != entry)
		audit_found(pass, leaf->gva.value, leaf->entry.value & judged, entry,
			    "a user page of process %u has not its range's protection",
			    audit_walked_process(pass)->id);
	else if (leaf->rights != rights)
		audit_found(pass, leaf->gva.value, leaf->rights, rights,
			    "a user page of process %u has not its range's rights by its tables",
			    audit_walked_process(pass)->id);
}

static void check_image_page(struct audit_pass *pass, const struct paging_leaf *leaf)
{
	const struct nb_range *range =
		inspect_reserved_range(pass->inspector, leaf->gpa.value / PAGE);

	if (!range || range->kind != pass->l->reserved_image || leaf->rights & PAGING_W)
		audit_found(pass, leaf->gva.value, leaf->gpa.value, 0,
			    "a user page of process %u for the image shows other memory, or can be "
			    "written",
			    audit_walked_process(pass)->id);
}

/* Whether @pfn is a single frame that an area or somebody else has; its struct page is read. */
static bool is_shareable(struct audit_pass *pass, uint64_t pfn, struct inspect_page *page)
{
	return inspect_section_online(pass->inspector, pfn) &&
	       !inspect_reserved_range(pass->inspector, pfn) &&
	       inspect_page(pass->inspector, pfn, page) && page->order == 0 &&
	       (page->state == pass->l->page_vmalloc || page->state == pass->l->page_other);
}

/* The first page of a range: every area that shows its frame may be the one. */
static void take_candidates(struct users_walk *walk, uint64_t pfn, uint64_t index)
{
	walk->nr_candidates = 0;
	for (size_t i = first_shown(walk, pfn);
	     i < walk->count && walk->shown[i].pfn == pfn && walk->nr_candidates < CANDIDATES_MAX;
	     i++)
		walk->candidate[walk->nr_candidates++] =
			(struct candidate){walk->shown[i].area, walk->shown[i].index - index};
}

static bool shows(const struct users_walk *walk, const struct candidate *candidate, uint64_t pfn,
		  uint64_t index)
{
	size_t end = first_shown(walk, pfn + 1), i = first_shown(walk, pfn);

	/* Of one frame shown very often, no more than were taken as candidates. */
	if (end - i > CANDIDATES_MAX)
		end = i + CANDIDATES_MAX;
	for (; i < end; i++) {
		if (walk->shown[i].area == candidate->area &&
		    walk->shown[i].index == candidate->first + index)
			return true;
	}
	return false;
}

/* Keeps the candidates that show @pfn at @index too. False, and all are kept, when none does. */
static bool keep_candidates(struct users_walk *walk, uint64_t pfn, uint64_t index)
{
	struct candidate kept[CANDIDATES_MAX];
	size_t count = 0;

	for (size_t i = 0; i < walk->nr_candidates; i++) {
		if (shows(walk, &walk->candidate[i], pfn, index))
			kept[count++] = walk->candidate[i];
	}
	for (size_t i = 0; i < count; i++)
		walk->candidate[i] = kept[i];
	walk->nr_candidates = count ? count : walk->nr_candidates;
	return count != 0;
}

/* Page @index of a range that shows an area, or did when there was one. */
static void check_area_page(struct users_walk *walk, const struct paging_leaf *leaf, uint64_t index,
			    const struct inspect_page *page)
{
	struct audit_pass *pass = walk->pass;
	uint32_t id = audit_walked_process(pass)->id;
	uint64_t pfn = leaf->gpa.value / PAGE;

	if (index != walk->next)
		audit_found(pass, leaf->gva.value, index, walk->next,
			    "a page is missing in a range of process %u that shows an area", id);
	if (walk->next == 0)
		take_candidates(walk, pfn, index);
	walk->next = index + 1;
	if (walk->nr_candidates == 0) {
		if (page->state == pass->l->page_vmalloc)
			audit_found(pass, leaf->gva.value, leaf->gpa.value, page->owner,
				    "process %u is shown a frame of an area that is not for users",
				    id);
	} else if (!keep_candidates(walk, pfn, index)) {
		audit_found(pass, leaf->gva.value, leaf->gpa.value, 0,
			    "process %u is shown another frame than the one in the area's place",
			    id);
	}
}

static void check_shown(struct users_walk *walk, const struct inspect_vma *vma,
			const struct paging_leaf *leaf)
{
	struct audit_pass *pass = walk->pass;
	uint32_t id = audit_walked_process(pass)->id;
	struct inspect_page page;

	if (vma->flags & pass->l->vm_pfnmap)
		check_image_page(pass, leaf);
	else if (!is_shareable(pass, leaf->gpa.value / PAGE, &page))
		audit_found(pass, leaf->gva.value, leaf->gpa.value, 0,
			    "process %u is shown a frame that is nobody's to show", id);
	else if (vma->flags & pass->l->vm_mixedmap)
		return;
	else if (vma->flags & pass->l->vm_dontexpand)
		check_area_page(walk, leaf, (leaf->gva.value - vma->start) / PAGE, &page);
	else
		audit_found(pass, leaf->gva.value, leaf->gpa.value, 0,
			    "a user page in a range of process %u that nothing was mapped in", id);
}

static int check_leaf(void *context, const struct paging_leaf *leaf)
{
	struct users_walk *walk = context;
	struct audit_pass *pass = walk->pass;
	const struct inspect_process *process = audit_walked_process(pass);
	const struct inspect_vma *vma =
		inspect_vma_find(&pass->processes, process, leaf->gva.value);

	audit_looked(pass, 1);
	walk->pages[pass->walked - 1]++;
	if (vma != walk->vma)
		walk->next = 0;
	walk->vma = vma;
	if (!vma) {
		audit_found(pass, leaf->gva.value, leaf->entry.value, 0,
			    "a user page outside all ranges of process %u", process->id);
	} else if (leaf->level != 1) {
		audit_found(pass, leaf->gva.value, leaf->page_bytes, PAGE,
			    "a large user page of process %u", process->id);
	} else {
		check_protection(pass, vma, leaf);
		check_shown(walk, vma, leaf);
	}
	return 0;
}

static void check_counts(const struct users_walk *walk)
{
	struct audit_pass *pass = walk->pass;

	for (size_t i = 0; i < pass->processes.count; i++) {
		const struct inspect_process *process = &pass->processes.process[i];

		if (pass->user[i].nr_tables && !pass->user[i].cut &&
		    process->nr_user_pages != walk->pages[i])
			audit_found(pass, process->address + pass->l->process.nr_user_pages,
				    process->nr_user_pages, walk->pages[i],
				    "the count of process %u's user pages is wrong", process->id);
	}
}

int audit_users(struct audit_pass *pass)
{
	struct users_walk walk = {.pass = pass};
	const struct paging_visitor take = {.leaf = take_leaf, .context = &walk};
	const struct paging_visitor check = {.leaf = check_leaf, .context = &walk};
	int err = 0;

	check_lists(pass);
	if (pass->processes.count == 0)
		return 0;
	walk.pages = calloc(pass->processes.count, sizeof(*walk.pages));
	if (!walk.pages)
		return -ENOMEM;
	err = audit_walk(pass, 0, 0, &take);
	if (walk.count)
		qsort(walk.shown, walk.count, sizeof(*walk.shown), by_frame);
	if (!err)
		err = audit_walk_users(pass, &check);
	if (!err)
		check_counts(&walk);
	free(walk.shown);
	free(walk.pages);
	return err;
}
