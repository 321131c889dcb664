/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TLB that remembers: every translation of linear addresses and every paging-structure entry a
 * processor may cache is kept until the guest's own flush says otherwise (SDM vol. 3A, 4.10). What
 * the architecture permits a processor to keep, this one keeps, so that a guest that forgets a
 * flush sees the old translation at the next access, not once in a million.
 *
 * It holds linear mappings: guest-virtual to guest-physical. What the second stage makes of those
 * is looked up again for each line (mmu.c), so its changes (INVEPT) need no flush here.
 *
 * Not locked: its vCPU's.
 */
#ifndef VMM_SOFT_TLB_H
#define VMM_SOFT_TLB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What is cached beside the address: X86_PTE_P, RW, US, NX accumulated, of a leaf also D and G. And
 * a bit that a processor has not: the entry it came from has been written since.
 */
#define SOFT_TLB_SUSPECT (1ull << 9)
struct soft_tlb_entry {
	uint64_t page;  /* linear address >> shift of the map it is in */
	uint64_t gpa;   /* of the page, or of the table the entry refers to */
	uint64_t flags; /* X86_PTE_* */
	uint32_t epoch; /* of the map: others are empty places */
	uint32_t life;  /* of non-global entries: others are dead; 0: dead in any case */
};

struct soft_tlb_map {
	unsigned int shift;
	struct soft_tlb_entry *places;
	size_t capacity; /* a power of two, or 0 */
	size_t used;     /* places of this epoch, dead or alive */
	size_t live;     /* at most, if @stale: entries that died by a load of CR3 count on */
	bool stale;
	uint32_t epoch;
};

/* Levels as the SDM counts them: 1 is a PTE, 2 a PDE, 3 a PDPTE, 4 a PML4E. */
struct soft_tlb {
	struct soft_tlb_map pages[4];  /* [1..3]: leaves of 4 KiB, 2 MiB, 1 GiB */
	struct soft_tlb_map tables[5]; /* [2..4]: entries that refer to a table */
	uint32_t life;
	uint64_t limit; /* entries of one map */
	uint64_t random;
	uint64_t flushes, page_flushes;
};

/* Entries of a map where no limit is asked for: 48 bytes of a process for each. */
#define SOFT_TLB_LIMIT_DEFAULT 65536

/* @limit 0: the default. Costs nothing until entries come. */
void soft_tlb_init(struct soft_tlb *tlb, uint64_t limit, uint64_t seed);
void soft_tlb_fini(struct soft_tlb *tlb);

/* *@to, which is all zero, becomes the same; adds what it takes to *@bytes. Errors: -ENOMEM, *@to
 * is then to be soft_tlb_fini()ed all the same. */
int soft_tlb_copy(struct soft_tlb *to, const struct soft_tlb *from, uint64_t *bytes);

/*
 * The translation of @gva and the size of its page in *@shift_out, or NULL. Good until the next
 * change.
 */
struct soft_tlb_entry *soft_tlb_find(struct soft_tlb *tlb, uint64_t gva, unsigned int *shift_out);

/* The cached entry of @level that covers @gva. */
const struct soft_tlb_entry *soft_tlb_find_table(struct soft_tlb *tlb, uint64_t gva,
						 unsigned int level);

/*
 * Remembers; what was remembered of the address and size before is replaced. Without memory it
 * forgets, as a processor may.
 */
void soft_tlb_insert(struct soft_tlb *tlb, uint64_t gva, unsigned int level, uint64_t gpa,
		     uint64_t flags);
void soft_tlb_insert_table(struct soft_tlb *tlb, uint64_t gva, unsigned int level, uint64_t gpa,
			   uint64_t flags);

/* The translation of @gva by an entry of @level, if there is one, gets SOFT_TLB_SUSPECT. */
void soft_tlb_suspect(struct soft_tlb *tlb, uint64_t gva, unsigned int level);

/* What a page fault at @gva invalidates (4.10.4.1): the entries that were, or could be, used for
 * it. */
void soft_tlb_forget(struct soft_tlb *tlb, uint64_t gva);

/* INVLPG (4.10.4.1): the page's translations, global or not, and all paging-structure entries. */
void soft_tlb_flush_page(struct soft_tlb *tlb, uint64_t gva);

/* A load of CR3: all but global translations. */
void soft_tlb_flush_local(struct soft_tlb *tlb);

/* A change of CR0.PG, CR4.PGE ...: all. */
void soft_tlb_flush_all(struct soft_tlb *tlb);

#endif
