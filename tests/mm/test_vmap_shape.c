/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shapes that a free tree is given: each red-black tree of just its holes, and nothing else.
 */
#include "tests/mm/vmap_fixture.h"

#include "mm/vmalloc.h"
#include "mm/vmap_linux.h"

#define HOLES 6

static u64 hole[4096];

/* @nr holes, of one page each but the last. */
static void make_holes(u32 nr)
{
	const struct vmap_rules rules = {VMAP_BY_ADDRESS, VMAP_SEARCH_5_18, 0, 0};

	vmap_set_mode(&sim->mm, VMAP_MANUAL);
	ck_assert_int_eq(vmap_set_rules(&sim->mm, &rules), 0);
	for (u32 i = 0; i + 1 < 2 * nr; i++)
		must_take(PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END);
	for (u32 i = 1; i + 1 < nr; i++)
		give(VMALLOC_START + 2 * i * PAGE_SIZE);
	vmap_purge_linux(&sim->mm, 0);
	hole[0] = VMAP_FIRST;
	for (u32 i = 1; i + 1 < nr; i++)
		hole[i] = VMALLOC_START + 2 * i * PAGE_SIZE;
	hole[nr - 1] = VMALLOC_START + (2 * nr - 1) * PAGE_SIZE;
	ck_assert_uint_eq(sim->mm.vmap.nr_free, nr);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}

/* The black nodes down the tree whose preorder [shape, end) is, or -1 if it is not red and black.
 */
static int black_height(const u64 *shape, const u64 *end, bool parent_red)
{
	const u64 *right = shape + 1, *at;
	bool red;
	int left_height, right_height;

	if (shape == end)
		return 0;
	red = *shape & VMAP_SHAPE_RED;
	while (right < end && *right < *shape)
		right++;
	for (at = right; at < end; at++)
		if (*at < *shape)
			return -1;
	left_height = black_height(shape + 1, right, red);
	right_height = black_height(right, end, red);
	if (left_height < 0 || left_height != right_height || (red && parent_red))
		return -1;
	return left_height + !red;
}

static u64 *read_shape(const struct rb_node *node, u64 *to)
{
	if (!node)
		return to;
	*to++ = area_of(node)->va_start | (rb_is_red(node) ? VMAP_SHAPE_RED : 0);
	return read_shape(node->right, read_shape(node->left, to));
}

static u32 try_colours(const u64 *order)
{
	u64 shape[HOLES], read[HOLES], before[HOLES];
	u32 taken = 0;

	for (u32 colours = 0; colours < 1u << HOLES; colours++) {
		bool good;

		for (u32 i = 0; i < HOLES; i++)
			shape[i] = order[i] | (colours >> i & 1 ? VMAP_SHAPE_RED : 0);
		good = black_height(shape, shape + HOLES, true) >= 0;
		read_shape(sim->mm.vmap.free.node, before);
		ck_assert_int_eq(vmap_set_shape(&sim->mm, shape, HOLES), good ? 0 : -EINVAL);
		read_shape(sim->mm.vmap.free.node, read);
		ck_assert_mem_eq(read, good ? shape : before, sizeof(read));
		if (good)
			ck_assert_ptr_null(vmap_check(&sim->mm));
		taken += good;
	}
	return taken;
}

static void exchange(u64 *a, u64 *b)
{
	u64 kept = *a;

	*a = *b;
	*b = kept;
}

static u32 try_orders(u64 *order, u32 from)
{
	u32 taken = from == HOLES ? try_colours(order) : 0;

	for (u32 i = from; i < HOLES; i++) {
		exchange(&order[from], &order[i]);
		taken += try_orders(order, from + 1);
		exchange(&order[from], &order[i]);
	}
	return taken;
}

/* Every order and every colouring of six holes: each red-black tree is taken, and nothing else. */
START_TEST(a_shape_is_taken_if_it_is_red_and_black)
{
	make_holes(HOLES);
	ck_assert_uint_gt(try_orders(hole, 0), 8);
}
END_TEST

/* As few as there can be; and the last that is told is the lowest. */
START_TEST(one_hole_or_two_have_a_shape)
{
	const u64 top = VMALLOC_START + PAGE_SIZE;
	const u64 one[] = {VMAP_FIRST}, two[] = {top, VMAP_FIRST | VMAP_SHAPE_RED},
		  other[] = {VMAP_FIRST, top | VMAP_SHAPE_RED};

	ck_assert_int_eq(vmap_set_shape(&sim->mm, one, 1), 0);
	must_take(PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END);
	ck_assert_int_eq(vmap_set_shape(&sim->mm, two, 2), 0);
	ck_assert_ptr_null(vmap_check(&sim->mm));
	ck_assert_int_eq(vmap_set_shape(&sim->mm, other, 2), 0);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

static void *set_chain(void *nr)
{
	ck_assert_int_eq(vmap_set_shape(&sim->mm, hole, *(u64 *)nr), -EINVAL);
	return NULL;
}

/* Who tells a shape may tell a chain: that costs no more stack than a tree does. */
START_TEST(a_chain_costs_no_stack)
{
	u64 nr = ARRAY_SIZE(hole);
	pthread_attr_t attr;
	pthread_t thread;

	make_holes((u32)nr);
	ck_assert_int_eq(pthread_attr_init(&attr), 0);
	ck_assert_int_eq(pthread_attr_setstacksize(&attr, 128 << 10), 0);
	ck_assert_int_eq(pthread_create(&thread, &attr, set_chain, &nr), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	for (u64 i = 0; i < nr / 2; i++)
		exchange(&hole[i], &hole[nr - 1 - i]);
	ck_assert_int_eq(pthread_create(&thread, &attr, set_chain, &nr), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	pthread_attr_destroy(&attr);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

static Suite *vmap_shape_suite(void)
{
	Suite *suite = suite_create("vmap_shape");
	TCase *tcase = tcase_create("vmap_shape");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_shape_is_taken_if_it_is_red_and_black);
	tcase_add_test(tcase, one_hole_or_two_have_a_shape);
	tcase_add_test(tcase, a_chain_costs_no_stack);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(vmap_shape_suite());
}
