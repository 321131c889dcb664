/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Check "tlb": a page that maps another frame than the last audit saw was flushed in between, so
 * that no CPU can reach the old frame through it. The core's ledger of flushes is the witness.
 *
 * A page that is no longer mapped may wait for its flush until its range is purged; where every
 * unmap flushes (eager), it may not. The audit remembers each page with the frame and the number
 * of flushes at the time, until a flush covers it. What happened and was undone between two audits
 * is not seen. A flush that the ledger has but no CPU did is for the probes of probe.c.
 *
 * The direct map, the page array and the image map the same for ever, and are left to "stray".
 *
 * Of a large leaf each page counts, because a flush covers them one by one. One leaf of 1 GiB is a
 * quarter of a million pages: so no more are remembered than the tables have entries for small
 * ones, and twice all of RAM. What maps no RAM has no frame that could be reused, and is not
 * remembered.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/grow.h"
#include "mm/x86.h"
#include "vmm/audit/private.h"
#include "vmm/audit/state.h"

#define PAGE INSPECT_PAGE_BYTES

struct flush {
	uint64_t start, end;
};

struct tlb_walk {
	struct audit_pass *pass;
	struct tlb_pages now; /* what is mapped, and what waits for a flush, ascending */
	size_t next_old;      /* the first page of the last audit not yet compared */
	uint64_t nr;          /* the ledger's count */
	uint64_t kept;        /* how many of its records are there: the last so many */
	struct flush *flush;  /* by number modulo the ledger's size */
	uint64_t left;        /* so many pages may still be remembered */
	bool eager;
};

#define WALK_CUT 1

/* What became of the translations of a page, as the ledger tells. */
enum flushed { FLUSHED, NOT_FLUSHED, FLUSH_FORGOTTEN };

static enum flushed flushed_since(const struct tlb_walk *walk, const struct tlb_page *page)
{
	uint64_t n = page->nr;

	/* A count that went back is a ledger that lies: it vouches for nothing. */
	if (n <= walk->nr && walk->nr - n > walk->kept)
		return FLUSH_FORGOTTEN;
	for (; n < walk->nr; n++) {
		const struct flush *flush = &walk->flush[n % walk->kept];

		if (flush->start <= page->gva && page->gva < flush->end)
			return FLUSHED;
	}
	return NOT_FLUSHED;
}

static int remember(struct tlb_walk *walk, uint64_t gva, uint64_t pfn, uint64_t nr)
{
	struct tlb_pages *now = &walk->now;

	if (walk->left-- == 0) {
		audit_found(walk->pass, gva, 0, 0,
			    "large leaves map more pages than twice all of RAM");
		return WALK_CUT;
	}
	if (GROW(now->page, now->count))
		return -ENOMEM;
	now->page[now->count++] = (struct tlb_page){.gva = gva, .pfn = pfn, .nr = nr};
	return 0;
}

/* A page of the last audit that is not mapped now. */
static int check_gone(struct tlb_walk *walk, const struct tlb_page *old)
{
	audit_looked(walk->pass, 1);
	if (flushed_since(walk, old) != NOT_FLUSHED)
		return 0;
	if (walk->eager) {
		audit_found(walk->pass, old->gva, old->pfn, 0,
			    "the page was unmapped and no flush covers it");
		return 0;
	}
	return remember(walk, old->gva, old->pfn, old->nr);
}

/* All pages of the last audit below @gva are gone. */
static int check_gone_below(struct tlb_walk *walk, uint64_t gva)
{
	const struct tlb_pages *old = &walk->pass->audit->tlb;
	int err = 0;

	while (!err && walk->next_old < old->count && old->page[walk->next_old].gva < gva)
		err = check_gone(walk, &old->page[walk->next_old++]);
	return err;
}

/* The page of the last audit at @gva, if there is one: then it is compared with this. */
static const struct tlb_page *take_old(struct tlb_walk *walk, uint64_t gva)
{
	const struct tlb_pages *old = &walk->pass->audit->tlb;

	if (walk->next_old == old->count || old->page[walk->next_old].gva != gva)
		return NULL;
	return &old->page[walk->next_old++];
}

static int check_page(struct tlb_walk *walk, uint64_t gva, uint64_t pfn)
{
	const struct tlb_page *old = take_old(walk, gva);

	audit_looked(walk->pass, 1);
	if (old && old->pfn != pfn && flushed_since(walk, old) == NOT_FLUSHED)
		audit_found(walk->pass, gva, pfn, old->pfn,
			    "the page maps another frame and was not flushed since");
	return remember(walk, gva, pfn, walk->nr);
}

/* All pages of the last audit below @gva map what is no RAM now. */
static void check_replaced_below(struct tlb_walk *walk, uint64_t gva)
{
	const struct tlb_pages *olds = &walk->pass->audit->tlb;

	for (; walk->next_old < olds->count && olds->page[walk->next_old].gva < gva;
	     walk->next_old++) {
		const struct tlb_page *old = &olds->page[walk->next_old];

		audit_looked(walk->pass, 1);
		if (flushed_since(walk, old) == NOT_FLUSHED)
			audit_found(walk->pass, old->gva, 0, old->pfn,
				    "the page maps no RAM any more and was not flushed since");
	}
}

/* The first frame of RAM in [pfn, end), or @end; *@last_out is where RAM ends behind it. */
static uint64_t next_ram(const struct audit_pass *pass, uint64_t pfn, uint64_t end,
			 uint64_t *last_out)
{
	const struct inspect_source *source = inspect_source_of(pass->inspector);

	for (uint32_t i = 0; i < source->nr_ram; i++) {
		uint64_t start = source->ram[i].start / PAGE;

		*last_out = source->ram[i].end / PAGE;
		if (*last_out > pfn)
			return start > end ? end : start > pfn ? start : pfn;
	}
	*last_out = end;
	return end;
}

static bool is_static(const struct audit_pass *pass, uint64_t gva)
{
	const struct layout *l = pass->l;
	uint64_t end_pfn = inspect_end_pfn(pass->inspector);

	return (gva >= l->direct_base && gva - l->direct_base < end_pfn * PAGE) ||
	       (gva >= l->memmap_base && gva - l->memmap_base < end_pfn * l->page.bytes) ||
	       (gva >= l->image_base && gva < l->modules_vaddr);
}

static int check_leaf(void *context, const struct paging_leaf *leaf)
{
	struct tlb_walk *walk = context;
	uint64_t pfn = leaf->gpa.value / PAGE, end = pfn + leaf->page_bytes / PAGE, last;
	uint64_t apart = leaf->gva.value - leaf->gpa.value;
	int err = 0;

	if (is_static(walk->pass, leaf->gva.value))
		return 0;
	err = check_gone_below(walk, leaf->gva.value);
	while (!err && pfn < end) {
		pfn = next_ram(walk->pass, pfn, end, &last);
		check_replaced_below(walk, apart + pfn * PAGE);
		for (; !err && pfn < end && pfn < last; pfn++)
			err = check_page(walk, apart + pfn * PAGE, pfn);
	}
	return err;
}

/* Reads the ledger; *@ready_out is false where it is no memory, which is reported. */
static int read_ledger(struct tlb_walk *walk, bool *ready_out)
{
	struct audit_pass *pass = walk->pass;
	const struct layout *l = pass->l;
	uint64_t ledger = inspect_mm(pass->inspector) + l->mm.flushes;
	uint64_t at = ledger + l->flush_ledger.record;
	uint32_t mode = 0;

	walk->kept = l->nr_flush_records;
	walk->flush = calloc(walk->kept, sizeof(*walk->flush));
	if (!walk->flush)
		return -ENOMEM;
	*ready_out =
		inspect_u64(pass->inspector, ledger + l->flush_ledger.nr, &walk->nr) &&
		inspect_u32(pass->inspector,
			    inspect_mm(pass->inspector) + l->mm.vmap + l->vmap_space.mode, &mode);
	for (uint64_t i = 0; i < walk->kept && *ready_out; i++, at += l->flush_record.bytes)
		*ready_out =
			inspect_u64(pass->inspector, at + l->flush_record.start,
				    &walk->flush[i].start) &&
			inspect_u64(pass->inspector, at + l->flush_record.end, &walk->flush[i].end);
	if (!*ready_out)
		audit_found(pass, ledger, 0, 0, "the ledger of flushes cannot be read");
	walk->eager = mode == l->vmap_eager;
	return 0;
}

int audit_tlb(struct audit_pass *pass)
{
	struct tlb_walk walk = {.pass = pass};
	const struct paging_visitor visitor = {.leaf = check_leaf, .context = &walk};
	struct tlb_pages *old = &pass->audit->tlb;
	bool ready = false;
	int err = read_ledger(&walk, &ready);

	walk.left =
		X86_TABLE_ENTRIES * pass->nr_kernel_tables + 2 * inspect_ram_pages(pass->inspector);
	if (!err && ready)
		err = audit_walk(pass, 0, 0, &visitor);
	if (!err && ready)
		err = check_gone_below(&walk, UINT64_MAX);
	if (err == WALK_CUT)
		err = 0;
	free(walk.flush);
	if (err || !ready) {
		free(walk.now.page);
		return err;
	}
	free(old->page);
	*old = walk.now;
	return audit_probe_areas(pass);
}
