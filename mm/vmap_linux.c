/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Linux's search and pools. Purges under its rules are in mm/vmap_drain.c. */
#include "mm/vmap_linux.h"

#include "mm/errno.h"
#include "mm/vmalloc.h"
#include "mm/vmap_private.h"

int vmap_set_rules(struct mm *mm, const struct vmap_rules *rules)
{
	struct vmap_space *space = &mm->vmap;
	int err = 0;

	if (rules->order > VMAP_BY_ADDRESS || rules->search > VMAP_SEARCH_5_18 ||
	    rules->nodes > VMAP_NODES_MAX || rules->small_empty > 1 ||
	    (!rules->order && (rules->search | rules->nodes | rules->small_empty)))
		return -EINVAL;
	spin_lock(&space->lock);
	if (space->lazy) {
		err = -EBUSY;
	} else {
		space->rules = *rules;
		space->node = 0;
	}
	spin_unlock(&space->lock);
	return err;
}

void vmap_set_node(struct mm *mm, u32 node)
{
	WRITE_ONCE(mm->vmap.node, node);
}

/* ---- the search ---- */

/* The lowest aligned address of the hole at or above @start, or 0 if the size does not fit. */
static u64 fit(const struct vmap_area *hole, const struct vmap_request *request, u64 start)
{
	u64 from = start > hole->va_start ? start : hole->va_start;
	u64 addr = ALIGN_UP(from, request->align);

	if (addr < from || addr >= hole->va_end || hole->va_end - addr < request->size)
		return 0;
	return addr;
}

/* What subtrees are pruned by. */
static u64 search_length(const struct vmap_space *space, const struct vmap_request *request)
{
	bool adjust = request->align > PAGE_SIZE && request->end - request->start != request->size;
	u64 length;

	if (space->rules.search != VMAP_SEARCH_5_18)
		adjust = space->rules.search == VMAP_SEARCH_5_2;
	if (!adjust)
		return request->size;
	return __builtin_add_overflow(request->size, request->align - 1, &length) ? ~0ull : length;
}

/*
 * Climbs from @node, whose subtree has nothing, until an ancestor fits or has a right subtree worth
 * entering. Returns the ancestor that fits, or that subtree's root with *@hole_out NULL.
 */
static struct rb_node *climb(struct rb_node *node, const struct vmap_request *request, u64 length,
			     bool shift, u64 *start, struct vmap_area **hole_out)
{
	while ((node = rb_parent(node))) {
		if (fit(area_of(node), request, *start)) {
			*hole_out = area_of(node);
			return node;
		}
		if (subtree_max(node->right) >= length && *start <= area_of(node)->va_start) {
			/* Not into this one again: from 5.16 on. */
			if (shift)
				*start = area_of(node)->va_start + 1;
			return node->right;
		}
	}
	return NULL;
}

/* find_vmap_lowest_match(): a node that is passed is taken if it fits; subtrees are pruned. */
static struct vmap_area *find_hole(const struct vmap_space *space,
				   const struct vmap_request *request)
{
	u64 length = search_length(space, request), start = request->start;
	bool shift = space->rules.search != VMAP_SEARCH_5_2;
	struct rb_node *node = space->free.node;
	struct vmap_area *hole = NULL;

	while (node && !hole) {
		if (subtree_max(node->left) >= length && start < area_of(node)->va_start)
			node = node->left;
		else if (fit(area_of(node), request, start))
			hole = area_of(node);
		else if (subtree_max(node->right) >= length)
			node = node->right;
		else
			node = climb(node, request, length, shift, &start, &hole);
	}
	return hole;
}

/* ---- pools ---- */

/* The link to the first range of the node's pool for @bytes, or to NULL. */
static struct vmap_area **find_pooled(struct vmap_space *space, u64 bytes)
{
	struct vmap_area **link = &space->lazy;

	while (*link &&
	       ((*link)->kind != (VMAP_POOLED | space->node) || area_bytes(*link) != bytes))
		link = &(*link)->next_lazy;
	return link;
}

static void add_last(struct vmap_space *space, struct vmap_area *area)
{
	struct vmap_area **link = &space->lazy;

	while (*link)
		link = &(*link)->next_lazy;
	*link = area;
	area->next_lazy = NULL;
}

/* node_pool_del_va(): the pool's first, or if that is not aligned it goes to the end. */
static struct vmap_area *take_pooled(struct vmap_space *space, const struct vmap_request *request)
{
	struct vmap_area **link, *area;

	if (space->rules.nodes < 2 || !space->node || request->start != VMALLOC_START ||
	    request->end != VMALLOC_END)
		return NULL;
	link = find_pooled(space, request->size);
	area = *link;
	if (!area)
		return NULL;
	*link = area->next_lazy;
	if (!IS_ALIGNED(area->va_start, request->align)) {
		add_last(space, area);
		return NULL;
	}
	space->nr_lazy--;
	space->nr_lazy_pages -= area_bytes(area) >> PAGE_SHIFT;
	return area;
}

int vmap_alloc_linux(struct mm *mm, const struct vmap_request *request, struct vmap_area **area_out)
{
	struct vmap_space *space = &mm->vmap;
	struct vmap_area *hole, *area;
	int err = 0;
	u64 addr;

	spin_lock(&space->lock);
	area = take_pooled(space, request);
	if (area) {
		vmap_insert_busy(space, area);
	} else {
		hole = find_hole(space, request);
		addr = hole ? fit(hole, request, request->start) : 0;
		if (!addr || addr >= request->end || request->end - addr < request->size)
			err = -ENOSPC;
		else
			area = vmap_cut(mm, request, hole, addr);
		if (!err && !area)
			err = -ENOMEM;
	}
	spin_unlock(&space->lock);
	if (!err)
		*area_out = area;
	return err;
}

/* ---- the shape ---- */

/* Red-black trees of 2^32 nodes are no deeper than this. */
#define MAX_DEPTH 66

/* A preorder being read. */
struct reading {
	const struct vmap_space *space;
	const u64 *shape;
	u64 at, count;
	bool wrong;
};

static u64 start_of(u64 entry)
{
	return entry & ~(u64)VMAP_SHAPE_RED;
}

static struct vmap_area *find_free(const struct vmap_space *space, u64 start)
{
	struct rb_node *node = space->free.node;

	while (node && area_of(node)->va_start != start)
		node = start < area_of(node)->va_start ? node->left : node->right;
	return area_or_null(node);
}

/* The subtree of tiles that start in [low, high). Returns the black nodes on a path down it. */
static int read_subtree(struct reading *reading, u64 low, u64 high, bool parent_red, int depth)
{
	u64 entry = reading->at < reading->count ? reading->shape[reading->at] : 0;
	u64 start = start_of(entry);
	bool red = entry & VMAP_SHAPE_RED;
	int left, right;

	if (reading->wrong || reading->at == reading->count || start < low || start >= high)
		return 0;
	if (depth == MAX_DEPTH || (red && parent_red) || !find_free(reading->space, start)) {
		reading->wrong = true;
		return 0;
	}
	reading->at++;
	left = read_subtree(reading, low, start, red, depth + 1);
	right = read_subtree(reading, start + 1, high, red, depth + 1);
	if (left != right)
		reading->wrong = true;
	return left + !red;
}

/* Links each tile where a search for it ends: that restores the tree the preorder is of. */
static void plant(struct vmap_space *space, struct vmap_area *area, const u64 *shape)
{
	struct rb_node *parent, **link;
	struct vmap_area *next;

	space->free.node = NULL;
	for (; area; area = next, shape++) {
		next = area->next_lazy;
		parent = NULL;
		link = &space->free.node;
		while (*link) {
			parent = *link;
			link = area->va_start < area_of(parent)->va_start ? &parent->left
									  : &parent->right;
		}
		area->node.parent_color =
			(uintptr_t)parent | (*shape & VMAP_SHAPE_RED ? RB_RED : RB_BLACK);
		area->node.left = area->node.right = NULL;
		area->subtree_max = 0;
		*link = &area->node;
		rb_propagate(&area->node, hole_summarise);
	}
}

int vmap_set_shape(struct mm *mm, const u64 *shape, u64 count)
{
	struct vmap_space *space = &mm->vmap;
	struct reading reading = {.space = space, .shape = shape, .count = count};
	struct vmap_area *first = NULL, **link = &first;

	spin_lock(&space->lock);
	if (count == space->nr_free)
		read_subtree(&reading, 0, ~0ull, true, 0);
	if (!count || reading.wrong || reading.at != space->nr_free) {
		spin_unlock(&space->lock);
		return -EINVAL;
	}
	/* Found in the old tree before it goes; chained where their summaries were. */
	for (u64 i = 0; i < count; i++) {
		*link = find_free(space, start_of(shape[i]));
		link = &(*link)->next_lazy;
	}
	*link = NULL;
	plant(space, first, shape);
	space->hint.hole = NULL;
	spin_unlock(&space->lock);
	return 0;
}
