/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shapes that a free tree is given: each red-black tree of just its holes, and nothing else.
 */
#include "tests/mm/vmap_fixture.h"

#include "mm/vmalloc.h"
#include "mm/vmap_linux.h"

#define HOLES 6

static u64 hole[4096];

/* @nr holes, of one page each but the first and the last; @starts is where. */
static void make_holes(u32 nr, u64 *starts)
{
	const struct vmap_rules rules = {VMAP_BY_ADDRESS, VMAP_SEARCH_5_18, 0, 0};
	int err = 0;

	vmap_set_mode(&sim->mm, VMAP_MANUAL);
	ck_assert_int_eq(vmap_set_rules(&sim->mm, &rules), 0);
	for (u32 i = 0; i + 1 < 2 * nr && !err; i++)
		take(PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END, &err);
	ck_assert_int_eq(err, 0);
	for (u32 i = 1; i + 1 < nr; i++)
		give(VMALLOC_START + 2 * i * PAGE_SIZE);
	vmap_purge_linux(&sim->mm, 0);
	starts[0] = VMAP_FIRST;
	for (u32 i = 1; i + 1 < nr; i++)
		starts[i] = VMALLOC_START + 2 * i * PAGE_SIZE;
	starts[nr - 1] = VMALLOC_START + (2 * nr - 1) * PAGE_SIZE;
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
	make_holes(HOLES, hole);
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

	make_holes((u32)nr, hole);
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

/* ---- as deep as it gets ---- */

#define DEEP_BLACK 17
#define DEEP_HOLES ((1u << (DEEP_BLACK + 1)) - 2)

/* The preorder of [first, + 2^black - 1) as a tree of black nodes alone. */
static u64 *perfect(u64 *to, const u64 *first, u32 black)
{
	u64 half = black ? (1ull << (black - 1)) - 1 : 0;

	if (!black)
		return to;
	*to++ = first[half];
	return perfect(perfect(to, first, black - 1), first + half + 1, black - 1);
}

/* And of 2^(black + 1) - 2 as one whose outermost path is black, red, black, red ... */
static u64 *spine(u64 *to, const u64 *first, u32 black, bool right)
{
	u64 whole = (1ull << (black + 1)) - 2, inner = whole / 2 - 1, half = inner / 2;

	if (!black)
		return to;
	/* Of the left spine: the one below, red, a perfect tree, black, another one. */
	if (!right) {
		*to++ = first[whole - half - 1];
		*to++ = first[whole - 2 * half - 2] | VMAP_SHAPE_RED;
		to = spine(to, first, black - 1, right);
		to = perfect(to, first + whole - 2 * half - 1, black - 1);
		return perfect(to, first + whole - half, black - 1);
	}
	*to++ = first[half];
	to = perfect(to, first, black - 1);
	*to++ = first[2 * half + 1] | VMAP_SHAPE_RED;
	to = perfect(to, first + half + 1, black - 1);
	return spine(to, first + 2 * half + 2, black - 1, right);
}

/* A tree's longest path may be twice its shortest one, on the left or on the right. */
START_TEST(a_tree_of_many_holes_may_be_deep_at_one_end)
{
	static u64 holes[DEEP_HOLES], shape[DEEP_HOLES], read[DEEP_HOLES];

	make_holes(DEEP_HOLES, holes);
	ck_assert_ptr_eq(spine(shape, holes, DEEP_BLACK, _i), shape + DEEP_HOLES);
	ck_assert_int_eq(vmap_set_shape(&sim->mm, shape, DEEP_HOLES), 0);
	ck_assert_ptr_eq(read_shape(sim->mm.vmap.free.node, read), read + DEEP_HOLES);
	ck_assert_mem_eq(read, shape, sizeof(shape));
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

/* ---- what a search comes by depends on the shape ---- */

static u64 search(u32 kernel, u64 size, u64 align, u64 start, u64 end)
{
	const struct vmap_rules rules = {VMAP_BY_ADDRESS, kernel, 0, 0};
	struct vmap_request request = request_of(size, align, start, end);
	struct vmap_area *area = NULL;
	int err;

	ck_assert_int_eq(vmap_set_rules(&sim->mm, &rules), 0);
	err = vmap_alloc(&sim->mm, &request, &area);
	ck_assert_ptr_null(vmap_check(&sim->mm));
	ck_assert_int_eq(err, area ? 0 : -ENOSPC);
	return area ? area->va_start : 0;
}

/*
 * The second hole, of one page, below the first one to its right: it is only found by who looks for
 * no more than that page. From 5.18 on that is who asks for it by its window, or for no alignment.
 */
START_TEST(a_window_of_the_size_asked_for_needs_no_room_for_alignment)
{
	static const struct {
		u32 kernel, align, window;
		bool found;
	} cases[] = {
		{VMAP_SEARCH_5_2, 1, 1, true},       {VMAP_SEARCH_5_2, 4096, 1, false},
		{VMAP_SEARCH_5_2, 8192, 1, false},   {VMAP_SEARCH_5_16, 8192, 1, true},
		{VMAP_SEARCH_5_16, 8192, 2, true},   {VMAP_SEARCH_5_18, 1, 2, true},
		{VMAP_SEARCH_5_18, 4096, 1, true},   {VMAP_SEARCH_5_18, 4096, 2, true},
		{VMAP_SEARCH_5_18, 8192, 1, true},   {VMAP_SEARCH_5_18, 8192, 2, false},
		{VMAP_SEARCH_5_18, 16384, 1, false},
	};
	u64 shape[4], got;

	make_holes(4, hole);
	shape[0] = hole[2];
	shape[1] = hole[0];
	shape[2] = hole[1] | VMAP_SHAPE_RED;
	shape[3] = hole[3];
	ck_assert_int_eq(vmap_set_shape(&sim->mm, shape, 4), 0);
	got = search(cases[_i].kernel, PAGE_SIZE, cases[_i].align, hole[1],
		     hole[1] + cases[_i].window * PAGE_SIZE);
	ck_assert_uint_eq(got, cases[_i].found ? hole[1] : 0);
}
END_TEST

/* The last hole ends a byte before a page would: room for the alignment is just what there is. */
START_TEST(the_last_hole_is_found_by_its_length)
{
	const u64 last = 0 - 64 * 1024ull,
		  page = must_take(PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END);
	struct vmap_request request = request_of(32 << 10, 32 << 10, page, VMAP_END);
	struct vmap_area *area = NULL;

	must_take(last - page - PAGE_SIZE, 1, page, VMAP_END);
	ck_assert_uint_eq(sim->mm.vmap.nr_free, 2);
	if (_i < 3) {
		ck_assert_uint_eq(search(_i, request.size, request.align, page, VMAP_END), last);
		return;
	}
	request.flags = VMAP_LINUX_SEARCH;
	ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), 0);
	ck_assert_uint_eq(area->va_start, last);
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
	tcase_add_loop_test(tcase, a_tree_of_many_holes_may_be_deep_at_one_end, 0, 2);
	tcase_add_loop_test(tcase, a_window_of_the_size_asked_for_needs_no_room_for_alignment, 0,
			    11);
	tcase_add_loop_test(tcase, the_last_hole_is_found_by_its_length, 0, 4);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(vmap_shape_suite());
}
