/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Red-black trees against a sorted array of the same keys. The summary kept is the sum of a
 * subtree's keys: unlike a maximum, it changes at every level for every change of the set, so an
 * update that stops early is seen. What rb_check() sees is in test_rbtree_check.c.
 */
#include "tests/mm/rbtree_fixture.h"

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

static Suite *rbtree_suite(void)
{
	Suite *suite = suite_create("rbtree");
	TCase *tcase = tcase_create("rbtree");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, any_order_of_inserts_and_erases_keeps_the_tree, 1, 21);
	tcase_add_test(tcase, ascending_and_descending_keys_keep_the_tree);
	tcase_add_test(tcase, insert_beside_a_neighbour_needs_no_search);
	tcase_add_test(tcase, a_changed_element_is_carried_to_the_root);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(rbtree_suite());
}
