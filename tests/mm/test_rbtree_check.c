/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rb_check() against broken trees, and walks over small ones.
 */
#include "tests/mm/rbtree_fixture.h"

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

/* Each of @nr items the right child of the one before it, or the left one. */
static void make_chain(struct fixture *f, u64 nr, bool left)
{
	setup(f);
	for (u64 i = 0; i < nr; i++) {
		f->item[i].node.parent_color = i ? (uintptr_t)&f->item[i - 1].node : 0;
		if (i && left)
			f->item[i - 1].node.left = &f->item[i].node;
		else if (i)
			f->item[i - 1].node.right = &f->item[i].node;
	}
	f->root.node = &f->item[0].node;
}

/*
 * A list pretending to be a tree. As deep as a tree of 2^64 nodes can be it is looked at to its
 * end; where it is deeper, that gives it away.
 */
START_TEST(check_ends_on_a_tree_too_deep)
{
	struct fixture f;

	make_chain(&f, 128, _i);
	ck_assert_str_eq(rb_check(&f.root, NULL), "the paths below a node differ in black nodes");
	make_chain(&f, 129, _i);
	ck_assert_str_eq(rb_check(&f.root, NULL), "the tree is too deep");
	make_chain(&f, 200, _i);
	ck_assert_str_eq(rb_check(&f.root, NULL), "the tree is too deep");
}
END_TEST

/* Every set of up to 40 keys that are next to each other, from its first to its last and back. */
START_TEST(a_walk_has_each_key_once_in_both_directions)
{
	struct fixture f;

	for (u64 nr = 0; nr <= 40; nr++) {
		setup(&f);
		for (u64 i = 0; i < nr; i++)
			insert(&f, &f.item[i * 101 % nr], sum_up);
		ck_assert(same_as_array(&f));
		for (u64 i = 0; i + 1 < nr; i++) {
			erase(&f, &f.item[(nr - 1 - i) * 101 % nr], sum_up);
			ck_assert(same_as_array(&f));
		}
	}
}
END_TEST

static Suite *rbtree_check_suite(void)
{
	Suite *suite = suite_create("rbtree_check");
	TCase *tcase = tcase_create("rbtree_check");

	tcase_add_test(tcase, an_empty_tree_is_right_and_has_no_nodes);
	tcase_add_test(tcase, check_names_each_broken_rule);
	tcase_add_test(tcase, check_finds_a_stale_summary);
	tcase_add_loop_test(tcase, check_ends_on_a_tree_too_deep, 0, 2);
	tcase_add_test(tcase, a_walk_has_each_key_once_in_both_directions);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(rbtree_check_suite());
}
