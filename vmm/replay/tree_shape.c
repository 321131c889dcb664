/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The free tree's shape: given, told, drawn at random, checked. */
#include "vmm/replay/tree.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/replay/tree_balance.h"

/* Red-black trees of 2^32 nodes are no deeper than this. */
#define MAX_DEPTH 66

uint64_t tree_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * UINT64_C(0x2545f4914f6cdd1d) >> 11;
}

/* The holes of the subtree in order. Returns where the list ends now. */
static uint32_t *in_order(const struct tree *tree, uint32_t node, uint32_t *list)
{
	if (!node)
		return list;
	list = in_order(tree, tree->holes[node].left, list);
	*list++ = node;
	return in_order(tree, tree->holes[node].right, list);
}

/* ---- a shape that is told ---- */

/* One way through a preorder: what is left of it, and what is wrong with it. */
struct reading {
	struct tree *tree;
	const struct tree_shape *shape;
	size_t at, count;
	bool wrong;
};

/* The subtree whose holes all start in [low, high); black nodes on a path down. */
static void read_subtree(struct reading *reading, uint64_t low, uint64_t high, int depth,
			 int *black_out)
{
	const struct tree_shape *shape = &reading->shape[reading->at];
	const struct tree_hole *holes = reading->tree->holes;
	int left_black = 0, right_black = 0;
	uint32_t node;

	*black_out = 0;
	if (reading->at == reading->count || shape->start < low || shape->start >= high)
		return;
	node = tree_holding(reading->tree, shape->start, shape->start + 1);
	if (depth == MAX_DEPTH || !node || holes[node].start != shape->start)
		reading->wrong = true;
	if (reading->wrong)
		return;
	reading->at++;
	read_subtree(reading, low, shape->start, depth + 1, &left_black);
	read_subtree(reading, shape->start + 1, high, depth + 1, &right_black);
	*black_out = left_black + !shape->red;
	reading->wrong |= left_black != right_black;
}

/* Links the subtree as the preorder has it; it was found to be right. */
static uint32_t link_subtree(struct tree *tree, uint32_t *nodes, const struct tree_shape *shape,
			     size_t *at, size_t count, uint64_t high)
{
	size_t index = *at;
	struct tree_hole *hole;
	uint32_t node;

	if (index == count || shape[index].start >= high)
		return TREE_NONE;
	node = nodes[index];
	hole = &tree->holes[node];
	hole->red = shape[index].red;
	(*at)++;
	hole->left = link_subtree(tree, nodes, shape, at, count, hole->start);
	hole->right = link_subtree(tree, nodes, shape, at, count, high);
	if (hole->left)
		tree->holes[hole->left].parent = node;
	if (hole->right)
		tree->holes[hole->right].parent = node;
	tree_summarise(tree, node);
	return node;
}

static bool has_red_pair(const struct tree *tree, uint32_t node)
{
	const struct tree_hole *hole = &tree->holes[node];

	if (!node)
		return false;
	if (hole->red && (tree->holes[hole->left].red || tree->holes[hole->right].red))
		return true;
	return has_red_pair(tree, hole->left) || has_red_pair(tree, hole->right);
}

int tree_set_shape(struct tree *tree, const struct tree_shape *shape, size_t count)
{
	struct reading reading = {.tree = tree, .shape = shape, .count = count};
	struct tree made = {0};
	uint32_t *nodes;
	size_t i, at = 0;
	int black, err;

	if (!count || count != tree->count || shape[0].red)
		return -EINVAL;
	read_subtree(&reading, 0, UINT64_MAX, 0, &black);
	if (reading.wrong || reading.at != count)
		return -EINVAL;
	nodes = calloc(count, sizeof(*nodes));
	err = nodes ? tree_copy(&made, tree) : -ENOMEM;
	for (i = 0; i < count && !err; i++)
		nodes[i] = tree_holding(tree, shape[i].start, shape[i].start + 1);
	if (!err) {
		made.root = link_subtree(&made, nodes, shape, &at, count, UINT64_MAX);
		made.holes[made.root].parent = TREE_NONE;
		err = has_red_pair(&made, made.root) ? -EINVAL : tree_copy(tree, &made);
	}
	tree_free(&made);
	free(nodes);
	return err;
}

static struct tree_shape *get_shape(const struct tree *tree, uint32_t node, struct tree_shape *out)
{
	if (!node)
		return out;
	*out++ = (struct tree_shape){tree->holes[node].start, tree->holes[node].red};
	out = get_shape(tree, tree->holes[node].left, out);
	return get_shape(tree, tree->holes[node].right, out);
}

void tree_get_shape(const struct tree *tree, struct tree_shape *shape_out)
{
	get_shape(tree, tree->root, shape_out);
}

/* ---- a shape at random ---- */

/* The fewest and the most nodes of a subtree with @black black nodes on every path down. */
static uint64_t fewest(int black, bool red)
{
	uint64_t full = (UINT64_C(1) << black) - 1;

	return red ? 2 * full + 1 : full;
}

static uint64_t most(int black, bool red)
{
	uint64_t full = black > 15 ? UINT32_MAX : (UINT64_C(1) << 2 * black) - 1;

	return red ? 2 * full + 1 : full;
}

static uint64_t between(uint64_t *random, uint64_t low, uint64_t high)
{
	return low + tree_random(random) % (high - low + 1);
}

/* Makes nodes[0, count), which are in order, a subtree with a root of this colour. */
static uint32_t draw(struct tree *tree, const uint32_t *nodes, uint64_t count, int black, bool red,
		     uint64_t *random)
{
	uint64_t low, high, least, greatest, size[2];
	struct tree_hole *hole;
	uint32_t child[2];
	bool child_red;
	int below, i;

	if (!count)
		return TREE_NONE;
	below = red ? black : black - 1;
	least = fewest(below, false);
	greatest = most(below, !red);
	low = count - 1 > greatest ? count - 1 - greatest : 0;
	low = low < least ? least : low;
	high = count - 1 - least < greatest ? count - 1 - least : greatest;
	size[0] = between(random, low, high);
	size[1] = count - 1 - size[0];
	hole = &tree->holes[nodes[size[0]]];
	hole->red = red;
	for (i = 0; i < 2; i++) {
		child_red = size[i] > most(below, false);
		if (!red && !child_red && size[i] >= fewest(below, true))
			child_red = tree_random(random) & 1;
		child[i] = draw(tree, i ? nodes + size[0] + 1 : nodes, size[i], below, child_red,
				random);
		if (child[i])
			tree->holes[child[i]].parent = nodes[size[0]];
	}
	hole->left = child[0];
	hole->right = child[1];
	tree_summarise(tree, nodes[size[0]]);
	return nodes[size[0]];
}

int tree_shuffle(struct tree *tree, uint32_t hole, uint64_t *random)
{
	struct tree_hole *holes = tree->holes;
	uint32_t *nodes = calloc(tree->count, sizeof(*nodes)), parent, root, node;
	uint64_t count;
	bool left;
	int black = 0;

	if (!nodes)
		return -ENOMEM;
	count = (uint64_t)(in_order(tree, hole, nodes) - nodes);
	for (node = hole; node; node = holes[node].left)
		black += !holes[node].red;
	parent = holes[hole].parent;
	left = holes[parent].left == hole;
	root = draw(tree, nodes, count, black, holes[hole].red, random);
	holes[root].parent = parent;
	if (!parent)
		tree->root = root;
	else if (left)
		holes[parent].left = root;
	else
		holes[parent].right = root;
	free(nodes);
	return 0;
}

int tree_replant(struct tree *tree, uint64_t *random)
{
	uint32_t *nodes = calloc(tree->count, sizeof(*nodes)), swap;
	uint64_t i, j;

	if (!nodes)
		return -ENOMEM;
	in_order(tree, tree->root, nodes);
	for (i = tree->count - 1; i > 0; i--) {
		j = tree_random(random) % (i + 1);
		swap = nodes[i];
		nodes[i] = nodes[j];
		nodes[j] = swap;
	}
	tree->root = TREE_NONE;
	for (i = 0; i < tree->count; i++)
		tree_link(tree, nodes[i]);
	free(nodes);
	return 0;
}

/* ---- the check ---- */

/* Black nodes on a path down from @node, or -1 with *@wrong set. */
static int check_subtree(const struct tree *tree, uint32_t node, uint32_t parent, uint32_t *count,
			 const char **wrong)
{
	const struct tree_hole *hole = &tree->holes[node];
	uint64_t longest = hole->end - hole->start;
	int left, right;

	if (!node)
		return 0;
	if (++*count > tree->count)
		*wrong = "more nodes than were counted";
	else if (hole->parent != parent)
		*wrong = "a parent is wrong";
	else if (hole->red && tree->holes[parent].red)
		*wrong = "a red node has a red parent";
	else if (hole->start >= hole->end)
		*wrong = "an empty hole";
	if (*wrong)
		return -1;
	left = check_subtree(tree, hole->left, node, count, wrong);
	right = *wrong ? -1 : check_subtree(tree, hole->right, node, count, wrong);
	if (*wrong)
		return -1;
	if (tree->holes[hole->left].longest > longest)
		longest = tree->holes[hole->left].longest;
	if (tree->holes[hole->right].longest > longest)
		longest = tree->holes[hole->right].longest;
	if (left != right)
		*wrong = "paths differ in black nodes";
	else if (longest != hole->longest)
		*wrong = "a summary is wrong";
	return left + !hole->red;
}

const char *tree_check(const struct tree *tree)
{
	uint32_t count = 0, node, next;
	const char *wrong = NULL;

	if (!tree->root)
		return tree->count ? "no root" : NULL;
	if (tree->holes[tree->root].red)
		return "the root is red";
	if (check_subtree(tree, tree->root, TREE_NONE, &count, &wrong) < 0 || wrong)
		return wrong;
	if (count != tree->count)
		return "fewer nodes than were counted";
	for (node = tree_from(tree, 0); (next = tree_next(tree, node)); node = next) {
		if (tree->holes[node].end >= tree->holes[next].start)
			return "holes touch, or are out of order";
	}
	return NULL;
}
