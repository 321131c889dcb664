/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's virtual address space: who has which range.
 *
 * The space is cut into tiles, struct vmap_area, that cover [VMAP_FIRST, VMAP_END) without gap or
 * overlap, all on one list in address order:
 *
 *     | free | busy |b|  free  | lazy | busy | lazy | free ...
 *
 *   busy  somebody's; in a tree by address
 *   lazy  given back, its leaves cleared, but a TLB may still know them; on a list until a purge
 *   free  in a tree by address, each node summed up by the largest free tile below it
 *
 * The first and the last tile are always free, because no page begins at VMAP_FIRST or ends at
 * VMAP_END: every other tile has two neighbours.
 *
 * Because a tile knows its neighbours, giving a range back costs no search: a purge merges a lazy
 * tile into the free tile before or after it where there is one. No two free tiles touch.
 *
 * Placement is Linux's (5.2 and later): the lowest address in the window that fits. With
 * align > PAGE_SIZE a free tile is taken only if it is at least size + align - 1 long; the tile
 * that straddles the window's start is tried for a true fit instead; and when that fails, unless
 * VMAP_LINUX_SEARCH is given, the lowest true fit is looked for (Linux gives up there).
 *
 * Lazy and eager: in VMAP_LAZY mode a range waits until vmap_lazy_max pages are lazy, or an
 * allocation fails, or somebody asks; then one TLB flush covers them all (vmap_purge()). In
 * VMAP_EAGER mode, the seed's, every range is flushed and free at once. VMAP_MANUAL is lazy
 * without the automatic purges: a replay purges when its trace did.
 *
 * Objects that a purge leaves over are kept as spare ones, at most as many as the lazy list can
 * have in the automatic mode, and taken from there under the lock that is held anyway.
 *
 * Locks: vmap_space.lock for everything but the vm and kind of a busy area on its way to
 * completion, which are its maker's until vmap_publish(); vmap_space.purge_lock around a purge
 * (mm/spinlock.h). Nothing here may be called from an interrupt; a purge there reports it, does
 * nothing and returns 0.
 * Invariants (vmap_check()): tiles in order, without gap or overlap, page-aligned except the
 * space's own ends; each in exactly the tree or list of its state; summaries right; no free
 * neighbours; the hint true; what is recent, busy; counts right.
 */
#ifndef MM_VMAP_H
#define MM_VMAP_H

#include "mm/list.h"
#include "mm/rbtree.h"
#include "mm/slab.h"
#include "mm/spinlock.h"
#include "mm/types.h"

struct mm;
struct vm_struct;

/* As in Linux: everything from 1 up to, not including, the last byte. */
#define VMAP_FIRST 1ull
#define VMAP_END   (~0ull)

enum vmap_state { VMAP_AREA_FREE = 0, VMAP_AREA_BUSY = 1, VMAP_AREA_LAZY = 2 };

/* What a busy area is, hence which call may give it back. */
enum vmap_kind {
	VMAP_RESERVED = 0, /* a range alone: free_vm_area() */
	VMAP_FRAMES = 1,   /* with frames of its own: vfree() */
	VMAP_MAPPED = 2,   /* with a mapping of others' frames: vunmap() */
	VMAP_ARRAY = 3,    /* frames that hold a page array: whoever frees the array's area */
};
enum vmap_mode { VMAP_LAZY = 0, VMAP_EAGER = 1, VMAP_MANUAL = 2 };

struct vmap_area {
	u64 va_start, va_end; /* [start, end) */
	struct rb_node node;  /* busy or free tree */
	struct list_head tile;
	union {
		u64 subtree_max;      /* free: bytes of the largest free tile in this subtree */
		struct vm_struct *vm; /* busy: its bookkeeping; NULL until the area is complete */
		struct vmap_area *next_lazy; /* lazy: the one given back before it, or NULL */
	};
	u32 state; /* enum vmap_state */
	u32 kind;  /* busy: enum vmap_kind; lazy, under rules: 1 + its node, VMAP_POOLED */
};

#define VMAP_POOLED (1u << 31) /* in its node's pool */

/* Which Linux's rules a space follows, and in what order it gives lazy ranges back. */
enum vmap_order {
	VMAP_OWN_RULES = 0,
	VMAP_NEWEST_FIRST = 1, /* 5.2 to 5.10 */
	VMAP_BY_ADDRESS = 2,   /* from 5.11 on; from 6.9 on, node by node */
};

/* By what the search prunes: always size + align - 1, never, or for large alignments. */
enum vmap_search { VMAP_SEARCH_5_2 = 0, VMAP_SEARCH_5_16 = 1, VMAP_SEARCH_5_18 = 2 };

/* All zero: the core's own. mm/vmap_linux.h has what follows them. */
struct vmap_rules {
	u32 order, search; /* enum vmap_order, enum vmap_search */
	u32 nodes;         /* 6.9: possible CPUs; 0 before; 1: no pools, and lists from the end */
	u32 small_empty;   /* 1: a decay by a quarter empties a pool of fewer than four */
};

#define VMAP_RECENT 64

/*
 * Where to look first. No free tile before @hole has @bytes in a row at or after @start, so a
 * request for that start and as much or more need not look there. It stays right when tiles are
 * cut, and moves down when one is freed before it.
 */
struct vmap_hint {
	struct vmap_area *hole; /* a free tile, or NULL: no hint */
	u64 start, bytes;
};

struct vmap_space {
	spinlock_t purge_lock, lock;
	struct list_head tiles;
	struct rb_root busy, free;
	struct vmap_area *lazy;    /* newest first, through next_lazy */
	struct vmap_area *purging; /* what a purge has taken off that list and is flushing */
	u64 nr_busy, nr_free, nr_lazy;
	struct vmap_hint hint;
	/* Busy tiles made lately, by address: what is freed soon is found without a search. */
	struct vmap_area *recent[VMAP_RECENT];
	struct vmap_area *spare; /* objects for tiles to come, through next_lazy */
	u64 nr_spare;
	u64 nr_lazy_pages; /* of all lazy tiles, those being purged included */
	u64 lazy_max_pages;
	u64 nr_purges;  /* that found something to do */
	u64 nr_flushes; /* one for each of those, and one for each range freed eagerly */
	u32 mode;       /* enum vmap_mode */
	u32 pad;
	struct kmem_cache cache; /* struct vmap_area */
	struct vmap_rules rules;
	u32 node, pad2; /* under rules: 1 + the pools' node of the next operation, or 0 */
};

/* vmap_request.flags */
#define VMAP_LINUX_SEARCH 1u /* fail where Linux fails: no second, exact, search */

/* What a range must be: @size bytes, @align a power of two, inside [start, end). */
struct vmap_request {
	u64 size, align, start, end;
	gfp_t gfp; /* for the bookkeeping */
	int node;
	u32 flags;
};

/*
 * Starts with one free tile. lazy_max_pages is Linux's: fls(CPUs) * 32 MiB. Returns 0 or -ENOMEM.
 */
int vmap_init(struct mm *mm);

/*
 * Finds a range and makes it busy, with no owner yet. *@area_out is the space's, good until
 * vmap_free(). Returns 0; -EINVAL (size 0 or not page aligned, align no power of two, start not
 * below end); -ENOMEM (no bookkeeping memory); -ENOSPC (no such hole, even after a purge, which
 * is tried once unless the mode is VMAP_MANUAL). After an error nothing changed but what a purge
 * may have freed.
 */
int vmap_alloc(struct mm *mm, const struct vmap_request *request, struct vmap_area **area_out);

/* The busy area that starts at @addr, or that contains it; NULL when there is none. */
struct vmap_area *vmap_find(struct mm *mm, u64 addr);
struct vmap_area *vmap_find_containing(struct mm *mm, u64 addr);

/* What the busy area that contains @addr was published with, or NULL. */
struct vm_struct *vmap_find_vm(struct mm *mm, u64 addr);

/*
 * Makes the caller the only one who can free the complete area of @kind that starts at @addr: its
 * vm field becomes NULL under the lock and what it was is returned in *@vm_out. This is how two
 * frees of one address are told apart. Returns 0; -ENOENT where no complete area starts; -EBUSY
 * for an area of another kind, which stays as it is.
 */
int vmap_claim(struct mm *mm, u64 addr, enum vmap_kind kind, struct vmap_area **area_out,
	       struct vm_struct **vm_out);

/* Makes @vm the bookkeeping of the busy @area; from now on it can be found and freed. */
static inline void vmap_publish(struct mm *mm, struct vmap_area *area, struct vm_struct *vm,
				enum vmap_kind kind)
{
	/* Without the lock: until the store below, nobody looks at anything else of the area. */
	area->kind = kind;
	smp_store_release(&area->vm, vm);
}

/*
 * Gives a busy area back; its leaves are already clear. In VMAP_EAGER mode its range is flushed
 * and free on return; otherwise it is lazy, and a purge may run here.
 */
void vmap_free(struct mm *mm, struct vmap_area *area);

/*
 * Flushes and frees every range that is lazy now; one that another CPU is purging is free too on
 * return. Returns how many this call freed.
 */
u64 vmap_purge(struct mm *mm);

/* Gives the memory of the spare objects back. */
void vmap_trim(struct mm *mm);

/* Changes the mode. Ranges already lazy stay so until a purge. */
void vmap_set_mode(struct mm *mm, enum vmap_mode mode);

/* Returns NULL when every invariant above holds, otherwise what is wrong, as static text. */
const char *vmap_check(struct mm *mm);

#endif
