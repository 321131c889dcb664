/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Under Linux's rules: locks and flushes of a purge, of one range's release and of the pools. Where
 * ranges lie then is compared with Linux's in tests/vmm/replay/test_tree.c.
 */
#include "tests/mm/vmap_fixture.h"

#include "mm/vmalloc.h"
#include "mm/vmap_linux.h"

#define NODE 1u

static struct vmap_space *space;
static u64 addr[4];

/* Four ranges of node 1, with one between that stays, of which the first three are lazy. */
static void setup_lazy(u32 nodes)
{
	const struct vmap_rules rules = {.order = VMAP_BY_ADDRESS, .nodes = nodes};

	setup();
	space = &sim->mm.vmap;
	vmap_set_mode(&sim->mm, VMAP_MANUAL);
	ck_assert_int_eq(vmap_set_rules(&sim->mm, &rules), 0);
	vmap_set_node(&sim->mm, nodes ? NODE : 0);
	for (u32 i = 0; i < 4; i++) {
		addr[i] = must_take(2 * PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END);
		must_take(PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END);
	}
	for (u32 i = 0; i < 3; i++)
		give(addr[i]);
	ck_assert_uint_eq(space->nr_lazy, 3);
	ck_assert_uint_eq(space->nr_lazy_pages, 6);
}

static u32 nr_looks;

/* One purge at a time, but nobody who allocates waits for a flush. Nothing is free before it. */
static void look(enum sim_event event, u64 start, u64 end)
{
	ck_assert_int_eq(event, SIM_FLUSH_TLB);
	ck_assert_uint_eq(space->purge_lock.word, 1);
	ck_assert_uint_eq(space->lock.word, 0);
	ck_assert_uint_eq(space->nr_lazy, 3);
	ck_assert_uint_eq(space->nr_lazy_pages, 6);
	ck_assert_uint_le(start, addr[0]);
	ck_assert_uint_ge(end, addr[0] + 2 * PAGE_SIZE);
	ck_assert_ptr_null(vmap_check(&sim->mm));
	nr_looks++;
}

static void assert_left(u64 nr_lazy)
{
	ck_assert_uint_eq(nr_looks, 1);
	ck_assert_uint_eq(space->nr_lazy, nr_lazy);
	ck_assert_uint_eq(space->nr_lazy_pages, 2 * nr_lazy);
	ck_assert_uint_eq(space->lock.word, 0);
	ck_assert_uint_eq(space->purge_lock.word, 0);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}

START_TEST(a_purge_flushes_once_and_then_gives_all_back)
{
	setup_lazy(0);
	sim->look = look;
	ck_assert_uint_eq(vmap_purge_linux(&sim->mm, 0), 3);
	assert_left(0);
	ck_assert_uint_eq(space->nr_purges, 1);
	ck_assert_uint_eq(space->nr_flushes, 1);
	ck_assert_uint_eq(vmap_purge_linux(&sim->mm, 0), 0);
	assert_left(0);
	ck_assert_uint_eq(space->nr_flushes, 1);
}
END_TEST

START_TEST(one_range_is_released_and_no_other)
{
	setup_lazy(0);
	ck_assert_int_eq(vmap_release(&sim->mm, addr[3]), -ENOENT);
	ck_assert_int_eq(vmap_release(&sim->mm, addr[0] + PAGE_SIZE), -ENOENT);
	ck_assert_uint_eq(sim->nr_flushes, 0);
	sim->look = look;
	ck_assert_int_eq(vmap_release(&sim->mm, addr[0]), 0);
	assert_left(2);
	ck_assert_uint_eq(space->nr_flushes, 1);
	ck_assert_int_eq(vmap_release(&sim->mm, addr[0]), -ENOENT);
	ck_assert_uint_eq(must_take(2 * PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END), addr[0]);
}
END_TEST

/* What a purge leaves in the node's pool is for that node and that size, lowest first. */
START_TEST(a_pool_is_its_nodes_and_of_one_size)
{
	setup_lazy(2);
	sim->look = look;
	ck_assert_uint_eq(vmap_purge_linux(&sim->mm, 0), 3);
	assert_left(3);
	ck_assert_uint_gt(must_take(PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END), addr[3]);
	ck_assert_uint_gt(must_take(2 * PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END - PAGE_SIZE),
			  addr[3]);
	vmap_set_node(&sim->mm, NODE + 1);
	ck_assert_uint_gt(must_take(2 * PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END), addr[3]);
	vmap_set_node(&sim->mm, 0);
	ck_assert_uint_gt(must_take(2 * PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END), addr[3]);
	assert_left(3);
	vmap_set_node(&sim->mm, NODE);
	for (u32 left = 3; left--;) {
		u64 got = must_take(2 * PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END);

		ck_assert(got == addr[0] || got == addr[1] || got == addr[2]);
		assert_left(left);
	}
	ck_assert_uint_gt(must_take(2 * PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END), addr[3]);
}
END_TEST

START_TEST(a_full_purge_leaves_no_pool)
{
	setup_lazy(2);
	sim->look = look;
	ck_assert_uint_eq(vmap_purge_linux(&sim->mm, 0), 3);
	assert_left(3);
	vmap_purge_linux(&sim->mm, VMAP_PURGE_FULL);
	assert_left(0);
}
END_TEST

/* ---- neighbours ---- */

/* @nr ranges of one page side by side, all lazy, and none of their objects is kept when it goes. */
static void setup_neighbours(u32 order, u32 nodes, u32 nr)
{
	const struct vmap_rules rules = {.order = order, .nodes = nodes};

	setup();
	space = &sim->mm.vmap;
	vmap_set_mode(&sim->mm, VMAP_MANUAL);
	space->lazy_max_pages = 0;
	ck_assert_int_eq(vmap_set_rules(&sim->mm, &rules), 0);
	vmap_set_node(&sim->mm, nodes ? NODE : 0);
	for (u32 i = 0; i < nr; i++)
		must_take(PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END);
	for (u32 i = 0; i < nr; i++)
		give(VMALLOC_START + (i * 3 % nr) * PAGE_SIZE);
}

static void assert_one_tile(void)
{
	ck_assert_uint_eq(space->nr_lazy, 0);
	ck_assert_uint_eq(space->nr_lazy_pages, 0);
	ck_assert_uint_eq(space->nr_free, 1);
	ck_assert_ptr_null(space->lazy);
	ck_assert_ptr_null(space->purging);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}

START_TEST(neighbours_that_go_back_are_one_tile)
{
	static const struct {
		u32 order, nodes;
	} rules[] = {{VMAP_NEWEST_FIRST, 0}, {VMAP_BY_ADDRESS, 0}, {VMAP_BY_ADDRESS, 1}};

	setup_neighbours(rules[_i].order, rules[_i].nodes, 8);
	ck_assert_uint_eq(vmap_purge_linux(&sim->mm, 0), 8);
	assert_one_tile();
}
END_TEST

START_TEST(neighbours_of_a_pool_are_one_tile_when_it_is_emptied)
{
	setup_neighbours(VMAP_BY_ADDRESS, 2, 8);
	ck_assert_uint_eq(vmap_purge_linux(&sim->mm, 0), 8);
	ck_assert_uint_eq(space->nr_lazy, 8);
	/* A quarter at a time, and of fewer than four nothing. */
	for (u32 left = 8, next; left; left = next) {
		next = left - left / 4;
		vmap_purge_linux(&sim->mm, VMAP_PURGE_DECAY);
		ck_assert_uint_eq(space->nr_lazy, next);
		ck_assert_uint_eq(space->nr_lazy_pages, next);
		ck_assert_ptr_null(vmap_check(&sim->mm));
		if (next == left)
			break;
	}
	ck_assert_uint_eq(space->nr_lazy, 3);
	vmap_purge_linux(&sim->mm, VMAP_PURGE_FULL);
	assert_one_tile();
}
END_TEST

/* ---- what does not fit, and what there is no memory for ---- */

static int take_below(u64 size, u64 end, struct vmap_area **area_out)
{
	const struct vmap_request request = {.size = size,
					     .align = 1,
					     .start = VMALLOC_START,
					     .end = end,
					     .gfp = GFP_KERNEL,
					     .node = NUMA_NO_NODE};

	return vmap_alloc(&sim->mm, &request, area_out);
}

START_TEST(a_range_lies_in_its_window_or_is_none)
{
	struct vmap_area *area = NULL;
	u64 end;

	setup_lazy(0);
	end = sim->mm.vmap.nr_busy * 2 * PAGE_SIZE + VMALLOC_START;
	for (; end < VMALLOC_START + 64 * PAGE_SIZE; end += PAGE_SIZE)
		ck_assert_int_eq(take_below(64 * PAGE_SIZE, end, &area), -ENOSPC);
	ck_assert_int_eq(
		take_below(ALIGN_DOWN(VMALLOC_END - VMALLOC_START, PAGE_SIZE), VMALLOC_END, &area),
		-ENOSPC);
	ck_assert_ptr_null(area);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

START_TEST(a_range_without_memory_for_its_tile_is_none)
{
	struct vmap_area *area = NULL;

	setup_lazy(0);
	vmap_trim(&sim->mm);
	sim->mm.fault.fail[FAULT_SLAB] = 1;
	ck_assert_int_eq(take_below(PAGE_SIZE, VMALLOC_END, &area), -ENOMEM);
	ck_assert_ptr_null(area);
	ck_assert_ptr_null(vmap_check(&sim->mm));
	ck_assert_int_eq(take_below(PAGE_SIZE, VMALLOC_END, &area), 0);
}
END_TEST

/* ---- the shape ---- */

static u64 shape[16], nr_shape;

static void read_shape(const struct rb_node *node)
{
	if (!node)
		return;
	shape[nr_shape++] = area_of(node)->va_start | (rb_is_red(node) ? VMAP_SHAPE_RED : 0);
	read_shape(node->left);
	read_shape(node->right);
}

/* Five holes: their tree as it is, and no other of a node more, less, elsewhere or twice. */
START_TEST(a_shape_is_taken_if_it_is_one_of_the_holes_there_are)
{
	u64 was[16], count;

	setup_lazy(0);
	give(addr[3]);
	ck_assert_uint_eq(vmap_purge_linux(&sim->mm, 0), 4);
	nr_shape = 0;
	read_shape(space->free.node);
	count = nr_shape;
	ck_assert_uint_eq(count, 5);
	memcpy(was, shape, sizeof(was));
	ck_assert_int_eq(vmap_set_shape(&sim->mm, was, count), 0);
	ck_assert_ptr_null(vmap_check(&sim->mm));
	nr_shape = 0;
	read_shape(space->free.node);
	ck_assert_uint_eq(nr_shape, count);
	ck_assert_int_eq(memcmp(shape, was, count * sizeof(was[0])), 0);
	ck_assert_int_eq(vmap_set_shape(&sim->mm, was, 0), -EINVAL);
	ck_assert_int_eq(vmap_set_shape(&sim->mm, was, count - 1), -EINVAL);
	ck_assert_int_eq(vmap_set_shape(&sim->mm, was, count + 1), -EINVAL);
	for (u64 i = 0; i < count; i++) {
		memcpy(shape, was, sizeof(was));
		shape[i] += PAGE_SIZE;
		ck_assert_int_eq(vmap_set_shape(&sim->mm, shape, count), -EINVAL);
		for (u64 j = 0; j < 2 * count; j++) {
			if (j / 2 == i)
				continue;
			shape[i] =
				(was[j / 2] & ~(u64)VMAP_SHAPE_RED) | (j % 2 ? VMAP_SHAPE_RED : 0);
			ck_assert_int_eq(vmap_set_shape(&sim->mm, shape, count), -EINVAL);
		}
	}
	/* A red root. */
	memcpy(shape, was, sizeof(was));
	shape[0] |= VMAP_SHAPE_RED;
	ck_assert_int_eq(vmap_set_shape(&sim->mm, shape, count), -EINVAL);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

/* ---- who waits for whom ---- */

static void *purge(void *unused)
{
	sim_set_cpu(1);
	if (unused)
		vmap_release(&sim->mm, addr[0]);
	else
		vmap_purge_linux(&sim->mm, 0);
	return NULL;
}

/* Who waits for another's purge to end does not hold up those who allocate meanwhile. */
START_TEST(the_space_is_not_locked_while_a_purge_is_waited_for)
{
	pthread_t thread;

	setup_lazy(0);
	sim->mm.nr_cpus = 2;
	spin_lock(&space->purge_lock);
	ck_assert_int_eq(pthread_create(&thread, NULL, purge, _i ? addr : NULL), 0);
	usleep(200000);
	ck_assert_uint_eq(__atomic_load_n(&space->lock.word, __ATOMIC_ACQUIRE), 0);
	spin_unlock(&space->purge_lock);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(space->nr_lazy, _i ? 2 : 0);
}
END_TEST

static void *take_pooled(void *unused)
{
	sim_set_cpu(1);
	must_take(2 * PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END);
	return unused;
}

START_TEST(a_pool_is_touched_under_the_lock_alone)
{
	pthread_t thread;

	setup_lazy(2);
	vmap_purge_linux(&sim->mm, 0);
	sim->mm.nr_cpus = 2;
	spin_lock(&space->lock);
	ck_assert_int_eq(pthread_create(&thread, NULL, take_pooled, NULL), 0);
	usleep(200000);
	ck_assert_uint_eq(__atomic_load_n(&space->nr_lazy, __ATOMIC_RELAXED), 3);
	spin_unlock(&space->lock);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(space->nr_lazy, 2);
}
END_TEST

static Suite *vmap_linux_suite(void)
{
	Suite *suite = suite_create("vmap_linux");
	TCase *tcase = tcase_create("vmap_linux");

	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_test(tcase, a_purge_flushes_once_and_then_gives_all_back);
	tcase_add_test(tcase, one_range_is_released_and_no_other);
	tcase_add_test(tcase, a_pool_is_its_nodes_and_of_one_size);
	tcase_add_test(tcase, a_full_purge_leaves_no_pool);
	tcase_add_test(tcase, a_range_lies_in_its_window_or_is_none);
	tcase_add_test(tcase, a_range_without_memory_for_its_tile_is_none);
	tcase_add_loop_test(tcase, the_space_is_not_locked_while_a_purge_is_waited_for, 0, 2);
	tcase_add_test(tcase, a_pool_is_touched_under_the_lock_alone);
	tcase_add_loop_test(tcase, neighbours_that_go_back_are_one_tile, 0, 3);
	tcase_add_test(tcase, neighbours_of_a_pool_are_one_tile_when_it_is_emptied);
	tcase_add_test(tcase, a_shape_is_taken_if_it_is_one_of_the_holes_there_are);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(vmap_linux_suite());
}
