/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Check "free-tree": both trees are red-black trees in order and hold exactly the tiles of their
 * state, the free tree's maxima are right, the lazy list holds exactly the lazy tiles, free
 * neighbours are merged, and the counts agree. So the free tree is the exact complement of busy
 * and lazy areas, given what "areas" shows.
 *
 * A tree's shape is the guest's: the way down is kept on a stack of bounded depth, and a node is
 * entered only if it is a tile not seen before, so loops and shared nodes end the walk there.
 */
#include <errno.h>
#include <stdlib.h>

#include "vmm/audit/private.h"
#include "lib/u64_map.h"

/* No red-black tree of fewer than 2^64 nodes is deeper. */
#define DEPTH_MAX 128

/* A tile, with what the walks saw of it. */
struct known_tile {
	const struct inspect_area *area;
	bool seen;
};

struct tree_walk {
	struct audit_pass *pass;
	struct known_tile *known; /* as pass->areas */
	struct u64_map index;     /* in known, by the tile's address */
	size_t count;
	const char *name;              /* "free" or "busy" */
	enum inspect_tile_state state; /* whose tree it is */
	uint64_t nodes;
	const struct inspect_area *last; /* the one before, in order */
};

/* What a subtree turned out to be. */
struct subtree {
	uint32_t black_height;
	uint64_t max; /* largest tile */
	bool red;
};

static struct known_tile *find_tile(const struct tree_walk *walk, uint64_t tile)
{
	uint32_t index = u64_map_get(&walk->index, tile);

	return index == U64_MAP_NONE ? NULL : &walk->known[index];
}

/* Of two tiles at one address, which a list cannot have, the later one counts. */
static int make_known(struct tree_walk *walk)
{
	const struct inspect_areas *areas = &walk->pass->areas;

	walk->known = calloc(areas->count ? areas->count : 1, sizeof(*walk->known));
	if (!walk->known || u64_map_reserve(&walk->index, areas->count))
		return -ENOMEM;
	for (size_t i = 0; i < areas->count; i++) {
		walk->known[i].area = &areas->area[i];
		u64_map_set(&walk->index, areas->area[i].tile, (uint32_t)i);
	}
	return 0;
}

/* Takes @known into the tree: once, in its state, in order. */
static void check_member(struct tree_walk *walk, struct known_tile *known)
{
	const struct inspect_area *area = known->area;

	if (area->state != walk->state)
		audit_found(walk->pass, area->start, area->raw_state, 0,
			    "a tile of another state is in the %s tree", walk->name);
	if (walk->last && walk->last->start >= area->start)
		audit_found(walk->pass, area->start, walk->last->start, area->start,
			    "the %s tree is not in order", walk->name);
	walk->last = area;
	walk->nodes++;
}

static bool walk_subtree(struct tree_walk *walk, uint64_t node, uint64_t parent, unsigned int depth,
			 struct subtree *out);

/* Whether @node may be entered: a tile, for the first time. */
static struct known_tile *enter(struct tree_walk *walk, uint64_t node, unsigned int depth)
{
	struct known_tile *known = find_tile(walk, node - walk->pass->l->vmap_area.node);

	if (!known) {
		audit_found(walk->pass, node, 0, 0, "a link in the %s tree leads to no tile",
			    walk->name);
		return NULL;
	}
	if (known->seen || depth == DEPTH_MAX) {
		audit_found(walk->pass, known->area->start, 0, 0,
			    "a tile is in the trees twice (%s tree)", walk->name);
		return NULL;
	}
	known->seen = true;
	return known;
}

static void check_node(struct tree_walk *walk, const struct inspect_area *area,
		       const struct subtree *left, const struct subtree *right,
		       const struct subtree *self)
{
	if (self->red && (left->red || right->red))
		audit_found(walk->pass, area->start, 1, 0, "a red node has a red child (%s tree)",
			    walk->name);
	if (left->black_height != right->black_height)
		audit_found(walk->pass, area->start, left->black_height, right->black_height,
			    "paths with different numbers of black nodes (%s tree)", walk->name);
	if (walk->state == INSPECT_FREE && area->state == INSPECT_FREE && area->link != self->max)
		audit_found(walk->pass, area->start, area->link, self->max,
			    "the subtree's maximum is wrong");
}

static uint64_t max3(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t most = a > b ? a : b;

	return most > c ? most : c;
}

/* In order; false where the tree below @node cannot be judged further. */
static bool walk_subtree(struct tree_walk *walk, uint64_t node, uint64_t parent, unsigned int depth,
			 struct subtree *out)
{
	struct subtree left = {.red = false}, right = {.red = false};
	struct known_tile *known;
	struct inspect_node here;
	bool judge;

	*out = (struct subtree){.red = false};
	if (node == 0)
		return true;
	known = enter(walk, node, depth);
	if (!known || !inspect_node(walk->pass->inspector, node, &here))
		return false;
	if (here.parent != parent)
		audit_found(walk->pass, known->area->start, here.parent, parent,
			    "a node's parent is wrong (%s tree)", walk->name);
	out->red = here.red;
	judge = walk_subtree(walk, here.left, node, depth + 1, &left);
	check_member(walk, known);
	judge = walk_subtree(walk, here.right, node, depth + 1, &right) && judge;
	out->black_height = left.black_height + !out->red;
	out->max = max3(left.max, right.max, known->area->end - known->area->start);
	if (judge)
		check_node(walk, known->area, &left, &right, out);
	return judge;
}

static void check_tree(struct tree_walk *walk, uint64_t root_address, const char *name,
		       enum inspect_tile_state state)
{
	struct subtree whole;
	uint64_t root;

	walk->name = name;
	walk->state = state;
	walk->nodes = 0;
	walk->last = NULL;
	if (!inspect_u64(walk->pass->inspector, root_address + walk->pass->l->rb_root.node,
			 &root)) {
		audit_found(walk->pass, root_address, 0, 0, "the %s tree has no root to read",
			    name);
		return;
	}
	walk_subtree(walk, root, 0, 0, &whole);
	if (whole.red)
		audit_found(walk->pass, root, 1, 0, "the root of the %s tree is red", name);
	audit_looked(walk->pass, walk->nodes);
}

/* The lazy list: every lazy tile once. A tile seen before ends it. */
static uint64_t check_lazy(struct tree_walk *walk, uint64_t space)
{
	const struct layout *l = walk->pass->l;
	uint64_t tile, pages = 0;

	if (!inspect_u64(walk->pass->inspector, space + l->vmap_space.lazy, &tile))
		tile = 0;
	walk->nodes = 0;
	while (tile) {
		struct known_tile *known = find_tile(walk, tile);

		if (!known || known->area->state != INSPECT_LAZY || known->seen) {
			audit_found(walk->pass, known ? known->area->start : tile, 0, 0,
				    "the lazy list holds what is no lazy tile, or one twice");
			break;
		}
		known->seen = true;
		walk->nodes++;
		pages += (known->area->end - known->area->start) / INSPECT_PAGE_BYTES;
		tile = known->area->link;
	}
	audit_looked(walk->pass, walk->nodes);
	return pages;
}

/* What no walk reached, and free neighbours. */
static void check_tiles(struct tree_walk *walk)
{
	static const char *const missing[] = {
		[INSPECT_FREE] = "a free tile is not in the free tree",
		[INSPECT_BUSY] = "an area is not in the busy tree",
		[INSPECT_LAZY] = "a lazy tile is not on the lazy list",
		[INSPECT_UNKNOWN] = "a tile in no known state",
	};
	const struct inspect_areas *areas = &walk->pass->areas;

	for (size_t i = 0; i < walk->count; i++) {
		if (!walk->known[i].seen)
			audit_found(walk->pass, walk->known[i].area->start, 0, 1, "%s",
				    missing[walk->known[i].area->state]);
	}
	for (size_t i = 1; i < areas->count; i++) {
		if (areas->area[i].state == INSPECT_FREE &&
		    areas->area[i - 1].state == INSPECT_FREE &&
		    areas->area[i].start == areas->area[i - 1].end)
			audit_found(walk->pass, areas->area[i].start, 2, 1,
				    "two free tiles touch and are not merged");
	}
}

static void check_count(struct audit_pass *pass, uint64_t address, uint64_t expected,
			const char *name)
{
	uint64_t found;

	if (!inspect_u64(pass->inspector, address, &found) || found != expected)
		audit_found(pass, address, found, expected, "the count %s is wrong", name);
}

static void check_counts(struct audit_pass *pass, uint64_t space, uint64_t lazy_pages)
{
	const struct layout *l = pass->l;
	uint64_t count[INSPECT_UNKNOWN + 1] = {0};

	for (size_t i = 0; i < pass->areas.count; i++)
		count[pass->areas.area[i].state]++;
	check_count(pass, space + l->vmap_space.nr_busy, count[INSPECT_BUSY], "nr_busy");
	check_count(pass, space + l->vmap_space.nr_free, count[INSPECT_FREE], "nr_free");
	check_count(pass, space + l->vmap_space.nr_lazy, count[INSPECT_LAZY], "nr_lazy");
	check_count(pass, space + l->vmap_space.nr_lazy_pages, lazy_pages, "nr_lazy_pages");
}

int audit_free_tree(struct audit_pass *pass)
{
	uint64_t space = inspect_mm(pass->inspector) + pass->l->mm.vmap, lazy_pages;
	struct tree_walk walk = {.pass = pass, .count = pass->areas.count};
	int err;

	err = make_known(&walk);
	if (err)
		goto free_known;
	check_tree(&walk, space + pass->l->vmap_space.busy, "busy", INSPECT_BUSY);
	check_tree(&walk, space + pass->l->vmap_space.free, "free", INSPECT_FREE);
	lazy_pages = check_lazy(&walk, space);
	check_tiles(&walk);
	audit_check_lock(pass, space + pass->l->vmap_space.lock, "the address space");
	audit_check_lock(pass, space + pass->l->vmap_space.purge_lock, "purging");
	check_counts(pass, space, lazy_pages);
free_known:
	u64_map_clear(&walk.index);
	free(walk.known);
	return err;
}
