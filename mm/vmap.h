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
 * Locks: vmap_space.lock for everything, vmap_space.purge_lock around a purge (mm/spinlock.h).
 * Invariants (vmap_check()): tiles in order, without gap or overlap, page-aligned except the
 * space's own ends; each in exactly the tree or list of its state; summaries right; no free
 * neighbours; counts right.
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
	u32 pad;
};

struct vmap_space {
	spinlock_t purge_lock, lock;
	struct list_head tiles;
	struct rb_root busy, free;
	struct vmap_area *lazy; /* newest first, through next_lazy */
	u64 nr_busy, nr_free, nr_lazy;
	u64 nr_lazy_pages;
	u64 lazy_max_pages;
	u64 nr_purges, nr_flushes;
	u32 mode; /* enum vmap_mode */
	u32 pad;
	struct kmem_cache cache; /* struct vmap_area */
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
 * is tried once in VMAP_LAZY mode).
 */
int vmap_alloc(struct mm *mm, const struct vmap_request *request, struct vmap_area **area_out);

/* The busy area that starts at @addr, or that contains it; NULL when there is none. */
struct vmap_area *vmap_find(struct mm *mm, u64 addr);
struct vmap_area *vmap_find_containing(struct mm *mm, u64 addr);

/*
 * The same as vmap_find(), and the caller now is the only one who can free the area: its vm field
 * becomes NULL under the lock and what it was is returned in *@vm_out. An area that is not
 * complete (vm NULL) is not found. NULL when there is none. This is how two frees of one address
 * are told apart.
 */
struct vmap_area *vmap_claim(struct mm *mm, u64 addr, struct vm_struct **vm_out);

/* Makes @vm the bookkeeping of the busy @area; from now on it can be found and freed. */
void vmap_publish(struct mm *mm, struct vmap_area *area, struct vm_struct *vm);

/*
 * Gives a busy area back; its leaves are already clear. In VMAP_EAGER mode its range is flushed
 * and free on return; otherwise it is lazy, and a purge may run here.
 */
void vmap_free(struct mm *mm, struct vmap_area *area);

/* Flushes and frees every range that is lazy now. Returns how many. */
u64 vmap_purge(struct mm *mm);

/* Changes the mode. Ranges already lazy stay so until a purge. */
void vmap_set_mode(struct mm *mm, enum vmap_mode mode);

/* Returns NULL when every invariant above holds, otherwise what is wrong, as static text. */
const char *vmap_check(struct mm *mm);

#endif
