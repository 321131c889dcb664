/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists, trees and the address space as a whole: `areas` and `free-tree`.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/linux/check_private.h"

#define SPACE_START 1ull
#define SPACE_END   UINT64_MAX

/* ---- one tree ---- */

struct tree {
	struct linux_pass *pass;
	const struct linux_list *list;
	enum linux_check check;
	bool augmented;
	struct linux_node *node; /* in preorder */
	size_t count, room;
	size_t next;    /* of node: the walk below */
	size_t inorder; /* how many were met in order */
	bool differs;   /* from the list, first where: */
	uint64_t differs_start, differs_end;
};

struct subtree {
	uint64_t max;
	unsigned int height; /* in black nodes */
};

static int keep_node(void *context, const struct linux_node *node)
{
	struct tree *tree = context;

	if (tree->count == tree->room)
		return -ELOOP;
	tree->node[tree->count++] = *node;
	return 0;
}

static void tree_find(struct tree *tree, const struct linux_node *node, const char *what,
		      uint64_t found, uint64_t expected)
{
	linux_find(tree->pass, tree->check, linux_unless_locked(tree->list, LINUX_ALARM), what,
		   node->at, 0,
		   "%s tree of node %u, 0x%" PRIx64 "-0x%" PRIx64 ": %s is 0x%" PRIx64
		   ", expected 0x%" PRIx64,
		   linux_list_name(tree->list->kind), tree->list->node, node->start, node->end,
		   what, found, expected);
}

static void compare_with_list(struct tree *tree, const struct linux_node *node)
{
	const struct linux_space *space = &tree->pass->space;
	uint32_t offset = tree->pass->guest->types.vmap_area_rb_node;
	size_t place = tree->inorder++;

	if (tree->differs || (place < tree->list->count &&
			      space->area[tree->list->first + place].at + offset == node->at))
		return;
	tree->differs = true;
	tree->differs_start = node->start;
	tree->differs_end = node->end;
}

/* The subtree whose root is tree->node[tree->next]; no deeper than LINUX_DEPTH_MAX. */
static struct subtree check_subtree(struct tree *tree, uint64_t parent, bool red_parent)
{
	const struct linux_node *node = &tree->node[tree->next++];
	struct subtree left = {0, 1}, right = {0, 1}, whole;

	if (node->parent != parent)
		tree_find(tree, node, "parent", node->parent, parent);
	if (red_parent && node->red)
		tree_find(tree, node, "colour below red", 0, 1);
	if (tree->next < tree->count && tree->node[tree->next].side == 'l' &&
	    tree->node[tree->next].depth == node->depth + 1)
		left = check_subtree(tree, node->at, node->red);
	compare_with_list(tree, node);
	if (tree->next < tree->count && tree->node[tree->next].side == 'r' &&
	    tree->node[tree->next].depth == node->depth + 1)
		right = check_subtree(tree, node->at, node->red);
	if (left.height != right.height)
		tree_find(tree, node, "black height on the right", right.height, left.height);
	whole.max = node->end - node->start;
	if (left.max > whole.max)
		whole.max = left.max;
	if (right.max > whole.max)
		whole.max = right.max;
	if (tree->augmented && node->link != whole.max)
		tree_find(tree, node, "subtree_max_size", node->link, whole.max);
	whole.height = left.height + (node->red ? 0 : 1);
	return whole;
}

static void check_tree(struct linux_pass *pass, const struct linux_list *list,
		       enum linux_check check)
{
	struct tree tree = {.pass = pass,
			    .list = list,
			    .check = check,
			    .augmented = list->kind == LINUX_FREE,
			    .room = list->count + 64};
	enum linux_verdict verdict = linux_unless_locked(list, LINUX_ALARM);
	int err;

	tree.node = calloc(tree.room, sizeof(*tree.node));
	if (!tree.node) {
		pass->err = -ENOMEM;
		return;
	}
	err = linux_tree_walk(pass->guest, list, tree.room, keep_node, &tree);
	if (err)
		linux_find(pass, check, verdict, "tree cannot be walked", list->head, 0,
			   "%s tree of node %u: %s", linux_list_name(list->kind), list->node,
			   err == -EFAULT ? "a node cannot be read"
					  : "it has more nodes than its list, or loops");
	else if (tree.count > 0)
		check_subtree(&tree, 0, false);
	if (!err && !tree.differs && tree.inorder < list->count) {
		tree.differs = true;
		tree.differs_start = pass->space.area[list->first + tree.inorder].start;
		tree.differs_end = pass->space.area[list->first + tree.inorder].end;
	}
	if (!err && tree.differs)
		linux_find(pass, check, verdict, "tree and list differ", list->head, 0,
			   "%s tree and list of node %u differ, first at 0x%" PRIx64 "-0x%" PRIx64
			   ": %zu in the tree, %zu in the list",
			   linux_list_name(list->kind), list->node, tree.differs_start,
			   tree.differs_end, tree.inorder, list->count);
	linux_count(pass, check, tree.count);
	free(tree.node);
}

static void check_broken(struct linux_pass *pass, const struct linux_list *list,
			 enum linux_check check)
{
	if (list->broken)
		linux_find(pass, check, linux_unless_locked(list, LINUX_ALARM), "list broken",
			   list->broken_at, 0, "%s list of node %u at 0x%" PRIx64 ": %s",
			   linux_list_name(list->kind), list->node, list->broken_at, list->broken);
}

/* ---- areas ---- */

static void check_bounds(struct linux_pass *pass, const struct linux_area *area,
			 const struct linux_list *list, enum linux_check check)
{
	const struct linux_facts *facts = &pass->guest->facts;
	enum linux_verdict verdict = linux_unless_locked(list, LINUX_ALARM);
	char text[LINUX_AREA_TEXT];
	bool vmalloc = area->start >= facts->vmalloc_start && area->end <= facts->vmalloc_end;
	bool modules = area->start >= facts->modules_start && area->end <= facts->modules_end;

	if (area->start >= area->end || (area->start | area->end) % PAGE != 0)
		linux_find(pass, check, verdict, "bounds", area->start, area->end,
			   "%s area %s: no range of whole pages", linux_list_name(list->kind),
			   linux_area_text(pass, area, text));
	else if (!vmalloc && !modules)
		linux_find(pass, check, verdict, "outside", area->start, area->end,
			   "%s area %s is outside vmalloc's and modules' windows",
			   linux_list_name(list->kind), linux_area_text(pass, area, text));
}

static void check_vm(struct linux_pass *pass, const struct linux_area *area,
		     const struct linux_list *list)
{
	const struct linux_vm *vm = &area->vm;
	char text[LINUX_AREA_TEXT];

	if (!area->has_vm) {
		if (area->link != 0)
			linux_find(pass, LINUX_CHECK_AREAS,
				   linux_unless_locked(list, LINUX_IN_TRANSIT), "vm_struct",
				   area->start, area->end,
				   "area %s: its vm_struct at 0x%" PRIx64 " cannot be read",
				   linux_area_text(pass, area, text), area->link);
		return;
	}
	if (vm->address != area->start || vm->size != area->end - area->start)
		linux_find(pass, LINUX_CHECK_AREAS, linux_unless_locked(list, LINUX_ALARM),
			   "vm_struct differs", area->start, area->end,
			   "area %s: its vm_struct says 0x%" PRIx64 ", 0x%" PRIx64 " bytes",
			   linux_area_text(pass, area, text), vm->address, vm->size);
}

static void check_busy_list(struct linux_pass *pass, const struct linux_list *list,
			    uint32_t zone_bytes)
{
	const struct linux_space *space = &pass->space;
	char text[LINUX_AREA_TEXT], other[LINUX_AREA_TEXT];

	check_broken(pass, list, LINUX_CHECK_AREAS);
	for (size_t i = list->first; i < list->first + list->count; i++) {
		const struct linux_area *area = &space->area[i];

		check_bounds(pass, area, list, LINUX_CHECK_AREAS);
		if (list->kind == LINUX_BUSY)
			check_vm(pass, area, list);
		if (i > list->first && area[-1].end > area->start)
			linux_find(pass, LINUX_CHECK_AREAS, linux_unless_locked(list, LINUX_ALARM),
				   "order", area->start, area->end,
				   "%s list of node %u: %s stands behind %s",
				   linux_list_name(list->kind), list->node,
				   linux_area_text(pass, area, text),
				   linux_area_text(pass, area - 1, other));
		if (list->kind == LINUX_BUSY && zone_bytes &&
		    area->start / zone_bytes % pass->guest->facts.nodes != list->node)
			linux_find(pass, LINUX_CHECK_AREAS, linux_unless_locked(list, LINUX_ALARM),
				   "node", area->start, area->end,
				   "area %s is in node %u, where it does not belong",
				   linux_area_text(pass, area, text), list->node);
	}
	if (!list->broken)
		check_tree(pass, list, LINUX_CHECK_AREAS);
}

static void check_pool(struct linux_pass *pass, const struct linux_list *list)
{
	const struct linux_space *space = &pass->space;
	enum linux_verdict verdict = linux_unless_locked(list, LINUX_ALARM);

	check_broken(pass, list, LINUX_CHECK_AREAS);
	if (!list->broken && list->length != list->count)
		linux_find(pass, LINUX_CHECK_AREAS, verdict, "pool length", list->head, 0,
			   "pool of %u pages of node %u: len is %" PRIu64 ", it has %zu areas",
			   list->pool + 1, list->node, list->length, list->count);
	for (size_t i = list->first; i < list->first + list->count; i++) {
		const struct linux_area *area = &space->area[i];

		if (area->end - area->start != (list->pool + UINT64_C(1)) * PAGE)
			linux_find(pass, LINUX_CHECK_AREAS, verdict, "pooled size", area->start,
				   area->end,
				   "pool of %u pages of node %u has 0x%" PRIx64 "-0x%" PRIx64,
				   list->pool + 1, list->node, area->start, area->end);
	}
}

static uint32_t zone_bytes(const struct linux_pass *pass)
{
	uint64_t address;
	uint32_t bytes;

	if (!pass->guest->facts.nodes || !linux_symbol(pass->guest, "vmap_zone_size", &address) ||
	    !inspect_u32(pass->guest->inspector, address, &bytes))
		return 0;
	return bytes;
}

void linux_check_areas(struct linux_pass *pass)
{
	uint32_t zone = zone_bytes(pass);

	for (size_t i = 0; i < pass->space.nr_lists && !pass->err; i++) {
		const struct linux_list *list = &pass->space.list[i];

		linux_count(pass, LINUX_CHECK_AREAS, list->count);
		if (list->kind == LINUX_BUSY || list->kind == LINUX_LAZY)
			check_busy_list(pass, list, zone);
		else if (list->kind == LINUX_POOL)
			check_pool(pass, list);
	}
}

/* ---- the space as a whole ---- */

static int by_start(const void *a, const void *b)
{
	const struct linux_area *x = *(const struct linux_area *const *)a;
	const struct linux_area *y = *(const struct linux_area *const *)b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

static const struct linux_list *list_of(const struct linux_pass *pass,
					const struct linux_area *area)
{
	return &pass->space.list[area->list];
}

static void find_gap(struct linux_pass *pass, uint64_t start, uint64_t end)
{
	/* Where a list could not be read to its end, its areas are in none. */
	linux_find(pass, LINUX_CHECK_FREE_TREE, pass->broken ? LINUX_IN_UPDATE : LINUX_IN_TRANSIT,
		   "in no list", start, end,
		   "0x%" PRIx64 "-0x%" PRIx64 " (%" PRIu64 " pages) is in no list", start, end,
		   (end - start) / PAGE);
}

static void find_overlap(struct linux_pass *pass, const struct linux_area *low,
			 const struct linux_area *high)
{
	const struct linux_list *a = list_of(pass, low), *b = list_of(pass, high);
	char text[LINUX_AREA_TEXT], other[LINUX_AREA_TEXT];

	linux_find(pass, LINUX_CHECK_FREE_TREE,
		   a->locked || b->locked ? LINUX_IN_UPDATE : LINUX_ALARM, "overlap", high->start,
		   high->end, "%s area %s overlaps %s area %s", linux_list_name(b->kind),
		   linux_area_text(pass, high, text), linux_list_name(a->kind),
		   linux_area_text(pass, low, other));
}

/* [1, ULONG_MAX) is what all lists hold together, each byte in one of them. */
static void check_cover(struct linux_pass *pass)
{
	const struct linux_area **area, *before = NULL;
	uint64_t at = SPACE_START;

	area = calloc(pass->space.count + 1, sizeof(*area));
	if (!area) {
		pass->err = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < pass->space.count; i++)
		area[i] = &pass->space.area[i];
	qsort(area, pass->space.count, sizeof(*area), by_start);
	for (size_t i = 0; i < pass->space.count; i++) {
		if (area[i]->start > at)
			find_gap(pass, at, area[i]->start);
		else if (area[i]->start < at && before)
			find_overlap(pass, before, area[i]);
		if (area[i]->end > at) {
			at = area[i]->end;
			before = area[i];
		}
	}
	if (at < SPACE_END)
		find_gap(pass, at, SPACE_END);
	free(area);
}

static void check_lazy_pages(struct linux_pass *pass)
{
	uint64_t pages = 0;

	for (size_t i = 0; i < pass->space.count; i++) {
		enum linux_list_kind kind = list_of(pass, &pass->space.area[i])->kind;

		if (kind == LINUX_LAZY || kind == LINUX_PURGE)
			pages += (pass->space.area[i].end - pass->space.area[i].start) / PAGE;
	}
	if (pages != pass->space.lazy_pages)
		linux_find(pass, LINUX_CHECK_FREE_TREE,
			   pass->space.purge_locked || pass->broken ? LINUX_IN_UPDATE
								    : LINUX_IN_TRANSIT,
			   "vmap_lazy_nr", 0, pass->space.lazy_pages - pages,
			   "vmap_lazy_nr is %" PRIu64 ", the lists have %" PRIu64 " pages",
			   pass->space.lazy_pages, pages);
}

void linux_check_free(struct linux_pass *pass)
{
	const struct linux_list *list = &pass->space.list[pass->space.nr_lists - 1];

	check_broken(pass, list, LINUX_CHECK_FREE_TREE);
	if (!list->broken)
		check_tree(pass, list, LINUX_CHECK_FREE_TREE);
	for (size_t i = list->first; i < list->first + list->count; i++) {
		const struct linux_area *area = &pass->space.area[i];

		linux_count(pass, LINUX_CHECK_FREE_TREE, 1);
		if (area->start >= area->end)
			linux_find(pass, LINUX_CHECK_FREE_TREE,
				   linux_unless_locked(list, LINUX_ALARM), "bounds", area->start,
				   area->end, "free area 0x%" PRIx64 "-0x%" PRIx64 ": no range",
				   area->start, area->end);
		if (i > list->first && area[-1].end == area->start)
			linux_find(
				pass, LINUX_CHECK_FREE_TREE, linux_unless_locked(list, LINUX_ALARM),
				"not merged", area->start, area->end,
				"free areas meet at 0x%" PRIx64 " and are not merged", area->start);
	}
	if (!pass->err)
		check_cover(pass);
	check_lazy_pages(pass);
}
