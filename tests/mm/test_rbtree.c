/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Red-black trees against a sorted array of the same keys, and rb_check() against broken trees.
 * The summary kept is the sum of a subtree's keys: unlike a maximum, it changes at every level
 * for every change of the set, so an update that stops early is seen.
 */
#include "tests/harness.h"

#include <string.h>

#include "mm/rbtree.h"

struct item {
	struct rb_node node;
	u64 key, sum;
	bool in_tree;
};

#define KEYS 256

struct fixture {
	struct rb_root root;
	struct item item[KEYS];
};

static struct item *item_of(const struct rb_node *node)
{
	return container_of(node, struct item, node);
}

static bool sum_up(struct rb_node *node)
{
	struct item *item = item_of(node);
	u64 sum = item->key;

	if (node->left)
		sum += item_of(node->left)->sum;
	if (node->right)
		sum += item_of(node->right)->sum;
	if (item->sum == sum)
		return false;
	item->sum = sum;
	return true;
}

/* The largest free key, as the address space has it: most updates stop early. */
static bool max_up(struct rb_node *node)
{
	struct item *item = item_of(node);
	u64 max = item->key;

	if (node->left && item_of(node->left)->sum > max)
		max = item_of(node->left)->sum;
	if (node->right && item_of(node->right)->sum > max)
		max = item_of(node->right)->sum;
	if (item->sum == max)
		return false;
	item->sum = max;
	return true;
}

static void setup(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	for (u64 i = 0; i < KEYS; i++)
		f->item[i].key = i + 1;
}

static void insert(struct fixture *f, struct item *item, rb_summarise summarise)
{
	struct rb_node *parent = NULL, **link = &f->root.node;

	while (*link) {
		parent = *link;
		link = item->key < item_of(parent)->key ? &parent->left : &parent->right;
	}
	rb_insert(&f->root, &item->node, parent, link, summarise);
	item->in_tree = true;
}

static void erase(struct fixture *f, struct item *item, rb_summarise summarise)
{
	rb_erase(&f->root, &item->node, summarise);
	item->in_tree = false;
}

/* The next item at or after @i that is in the tree, going up or down; KEYS when there is none. */
static u64 next_present(const struct fixture *f, u64 i, bool down)
{
	while (i < KEYS && !f->item[i].in_tree)
		i += down ? -1ull : 1;
	return i < KEYS ? i : KEYS;
}

/* The items in the tree, in both directions, are exactly those marked so. */
static bool same_as_array(const struct fixture *f)
{
	struct rb_node *node = rb_first(&f->root);
	u64 i;

	for (i = next_present(f, 0, false); i < KEYS; i = next_present(f, i + 1, false)) {
		if (node != &f->item[i].node)
			return false;
		node = rb_next(node);
	}
	if (node)
		return false;
	node = rb_last(&f->root);
	for (i = next_present(f, KEYS - 1, true); i < KEYS; i = next_present(f, i - 1, true)) {
		if (node != &f->item[i].node)
			return false;
		node = rb_prev(node);
	}
	return !node;
}

/* Check notes every assertion in a file, so a step makes few of them. */
static void expect_same_as_array(struct fixture *f, rb_summarise summarise)
{
	ck_assert_ptr_null(rb_check(&f->root, summarise));
	ck_assert(same_as_array(f));
}

static u64 next_random(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void random_operations(u64 seed, u64 keys, u64 operations, rb_summarise summarise)
{
	struct fixture f;
	struct item *item;
	u64 state = seed * 0x9e3779b97f4a7c15ull + 1;

	setup(&f);
	for (u64 i = 0; i < operations; i++) {
		item = &f.item[next_random(&state) % keys];
		if (item->in_tree)
			erase(&f, item, summarise);
		else
			insert(&f, item, summarise);
		if (keys <= 8 || i % 32 == 0)
			expect_same_as_array(&f, summarise);
	}
}

START_TEST(any_order_of_inserts_and_erases_keeps_the_tree)
{
	static const u64 sizes[] = {1, 2, 3, 5, 8, 13, 32, KEYS};
	static const rb_summarise summaries[] = {NULL, sum_up, max_up};

	printf("seed %d\n", _i);
	for (u64 i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (u64 j = 0; j < ARRAY_SIZE(summaries); j++)
			random_operations((u64)_i * 100 + i, sizes[i], 2000, summaries[j]);
	}
}
END_TEST

START_TEST(ascending_and_descending_keys_keep_the_tree)
{
	struct fixture f;

	for (int down = 0; down < 2; down++) {
		setup(&f);
		for (u64 i = 0; i < KEYS; i++) {
			insert(&f, &f.item[down ? KEYS - 1 - i : i], sum_up);
			ck_assert_ptr_null(rb_check(&f.root, sum_up));
		}
		expect_same_as_array(&f, sum_up);
		for (u64 i = 0; i < KEYS; i++) {
			erase(&f, &f.item[down ? i : KEYS - 1 - i], sum_up);
			ck_assert_ptr_null(rb_check(&f.root, sum_up));
		}
		ck_assert_ptr_null(f.root.node);
	}
}
END_TEST

/* Every gap of a tree of 40 is filled, once from each side. */
START_TEST(insert_beside_a_neighbour_needs_no_search)
{
	const u64 items = 41;
	struct fixture f;
	u64 key;

	for (u64 gap = 0; gap < items; gap++) {
		for (int after = 0; after < 2; after++) {
			setup(&f);
			for (u64 i = 0; i < items; i++) {
				key = i * 17 % items;
				if (key != gap)
					insert(&f, &f.item[key], sum_up);
			}
			if (after ? gap == 0 : gap == items - 1)
				continue;
			if (after)
				rb_insert_after(&f.root, &f.item[gap].node, &f.item[gap - 1].node,
						sum_up);
			else
				rb_insert_before(&f.root, &f.item[gap].node, &f.item[gap + 1].node,
						 sum_up);
			f.item[gap].in_tree = true;
			expect_same_as_array(&f, sum_up);
		}
	}
}
END_TEST

START_TEST(a_changed_element_is_carried_to_the_root)
{
	struct fixture f;

	setup(&f);
	for (u64 i = 0; i < 100; i++)
		insert(&f, &f.item[i], max_up);
	for (u64 i = 0; i < 100; i++) {
		f.item[i].key += 1000 * i;
		rb_propagate(&f.item[i].node, max_up);
		ck_assert_ptr_null(rb_check(&f.root, max_up));
	}
	rb_propagate(NULL, max_up);
}
END_TEST

START_TEST(an_empty_tree_is_right_and_has_no_nodes)
{
	struct rb_root root = {NULL};

	ck_assert_ptr_null(rb_check(&root, sum_up));
	ck_assert_ptr_null(rb_first(&root));
	ck_assert_ptr_null(rb_last(&root));
}
END_TEST

/* What rb_check() is for: each of these trees breaks one rule. */
START_TEST(check_names_each_broken_rule)
{
	struct fixture f;
	struct rb_node *root, *leaf;

	setup(&f);
	for (u64 i = 0; i < 20; i++)
		insert(&f, &f.item[i], sum_up);
	root = f.root.node;
	leaf = rb_first(&f.root);
	ck_assert_ptr_null(rb_check(&f.root, sum_up));

	root->parent_color |= RB_RED;
	ck_assert_str_eq(rb_check(&f.root, sum_up), "the root is red");
	root->parent_color &= ~(uintptr_t)RB_RED;

	leaf->parent_color ^= 1;
	ck_assert_str_eq(rb_check(&f.root, sum_up), "the paths below a node differ in black nodes");
	leaf->parent_color ^= 1;

	root->left->parent_color |= RB_RED;
	root->left->left->parent_color |= RB_RED;
	ck_assert_str_eq(rb_check(&f.root, sum_up), "a red node has a red parent");
	root->left->parent_color &= ~(uintptr_t)RB_RED;
	root->left->left->parent_color &= ~(uintptr_t)RB_RED;

	root->right->left->parent_color ^= 64;
	ck_assert_str_eq(rb_check(&f.root, sum_up), "a node's parent pointer is wrong");
	root->right->left->parent_color ^= 64;

	root->parent_color = (uintptr_t)leaf;
	ck_assert_str_eq(rb_check(&f.root, sum_up), "a node's parent pointer is wrong");
	root->parent_color = 0;

	leaf->left = root;
	ck_assert_str_eq(rb_check(&f.root, sum_up), "a node's parent pointer is wrong");
	leaf->left = NULL;

	root->right = root->left;
	ck_assert_str_eq(rb_check(&f.root, sum_up), "a node's two children are the same");
}
END_TEST

START_TEST(check_finds_a_stale_summary)
{
	struct fixture f;

	setup(&f);
	for (u64 i = 0; i < 20; i++)
		insert(&f, &f.item[i], sum_up);
	for (u64 i = 0; i < 20; i++) {
		f.item[i].sum++;
		ck_assert_str_eq(rb_check(&f.root, sum_up), "a node's summary is wrong");
		setup(&f);
		for (u64 j = 0; j < 20; j++)
			insert(&f, &f.item[j], sum_up);
	}
}
END_TEST

/* A list pretending to be a tree: all black above, so only the depth gives it away. */
START_TEST(check_ends_on_a_tree_too_deep)
{
	struct fixture f;

	setup(&f);
	for (u64 i = 0; i < 200; i++) {
		f.item[i].node.parent_color = i ? (uintptr_t)&f.item[i - 1].node : 0;
		if (i)
			f.item[i - 1].node.right = &f.item[i].node;
	}
	f.root.node = &f.item[0].node;
	ck_assert_str_eq(rb_check(&f.root, NULL), "the tree is too deep");
	for (u64 i = 0; i < 200; i++) {
		f.item[i].node.left = f.item[i].node.right;
		f.item[i].node.right = NULL;
	}
	ck_assert_str_eq(rb_check(&f.root, NULL), "the tree is too deep");
}
END_TEST

static Suite *rbtree_suite(void)
{
	Suite *suite = suite_create("rbtree");
	TCase *tcase = tcase_create("rbtree");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, any_order_of_inserts_and_erases_keeps_the_tree, 1, 21);
	tcase_add_test(tcase, ascending_and_descending_keys_keep_the_tree);
	tcase_add_test(tcase, insert_beside_a_neighbour_needs_no_search);
	tcase_add_test(tcase, a_changed_element_is_carried_to_the_root);
	tcase_add_test(tcase, an_empty_tree_is_right_and_has_no_nodes);
	tcase_add_test(tcase, check_names_each_broken_rule);
	tcase_add_test(tcase, check_finds_a_stale_summary);
	tcase_add_test(tcase, check_ends_on_a_tree_too_deep);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(rbtree_suite());
}
