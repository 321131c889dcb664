/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Under Linux's rules: where ranges lie, the free tree's shape, what is lazy and what is pooled are
 * the oracle's after each step of short random histories. tests/vmm/replay/test_tree.c has long
 * ones, of the plan's model too.
 */
#include "tests/mm/vmap_fixture.h"

#include "mm/buddy.h"
#include "mm/vmalloc.h"
#include "mm/vmap_linux.h"
#include "tests/vmm/replay/linux_oracle.h"

#define LIVE  96
#define STEPS 240

struct live {
	u64 start, size;
	u32 node;
};

static struct oracle oracle;
static struct vmap_rules rules;
static struct live live[LIVE];
static u32 nr_live;
static u64 random_state;

/* splitmix64 */
static u64 below(u64 bound)
{
	u64 z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % bound;
}

static void begin(u64 seed, const struct vmap_rules *wanted)
{
	random_state = seed;
	nr_live = 0;
	rules = *wanted;
	memset(&oracle, 0, sizeof(oracle));
	oracle.search = rules.search;
	oracle.by_address = rules.order == VMAP_BY_ADDRESS;
	oracle.small_empty = rules.small_empty;
	oracle.nodes = rules.nodes;
	oracle.pool_start = VMALLOC_START;
	oracle.pool_end = VMALLOC_END;
	oracle_init(&oracle);
	vmap_set_mode(&sim->mm, VMAP_MANUAL);
	ck_assert_int_eq(vmap_set_rules(&sim->mm, &rules), 0);
}

static void same_tree(const struct oracle_node *expected, const struct rb_node *here)
{
	ck_assert_int_eq(!expected, !here);
	if (!expected)
		return;
	ck_assert_uint_eq(area_of(here)->va_start, expected->start);
	ck_assert_uint_eq(area_of(here)->va_end, expected->end);
	ck_assert_int_eq(rb_is_red(here), expected->red);
	same_tree(expected->left, here->left);
	same_tree(expected->right, here->right);
}

static void same(void)
{
	const struct vmap_space *space = &sim->mm.vmap;
	u64 pages = 0;

	for (u32 i = 0; i < oracle.lazy_count; i++)
		pages += (oracle.lazy[i].end - oracle.lazy[i].start) / PAGE_SIZE;
	for (u32 i = 0; i < oracle.pooled_count; i++)
		pages += (oracle.pooled[i].end - oracle.pooled[i].start) / PAGE_SIZE;
	ck_assert_uint_eq(space->nr_lazy, oracle.lazy_count + oracle.pooled_count);
	ck_assert_uint_eq(space->nr_lazy_pages, pages);
	ck_assert_uint_eq(space->nr_busy, nr_live);
	ck_assert_ptr_null(space->purging);
	ck_assert_ptr_null(vmap_check(&sim->mm));
	same_tree(oracle.root, space->free.node);
}

/* Each object of a tile is a tile's, or spare. */
static void assert_no_object_is_lost(void)
{
	const struct vmap_space *space = &sim->mm.vmap;
	struct block_walk walk = {0};
	u64 objects = 0;

	while (block_walk_next(&sim->mm, &walk)) {
		if (walk.page->state == PAGE_SLAB && walk.page->owner == &space->cache)
			objects += walk.page->in_use;
	}
	for (void **free = space->cache.cpu[0].freelist; free; free = *free)
		objects--;
	ck_assert_uint_eq(objects,
			  space->nr_busy + space->nr_free + space->nr_lazy + space->nr_spare);
}

/* Modules' window is narrow and its ranges are never pooled; one in eight fills its window. */
static struct vmap_request draw_request(void)
{
	static const u64 aligns[] = {1, 4096, 8192, 16384, 65536, 2 << 20};
	u64 size = (1 + below(below(8) ? 6 : 300)) * PAGE_SIZE;
	struct vmap_request request =
		request_of(size, aligns[below(ARRAY_SIZE(aligns))], VMALLOC_START, VMALLOC_END);

	if (below(16) == 0)
		request.size = (VMAP_POOL_PAGES + below(2)) * PAGE_SIZE;
	if (below(8) == 0) {
		/* Nearly the pools' window is not theirs. */
		request.start += PAGE_SIZE;
	} else if (below(4) == 0) {
		request.start = 0xffffffffc0000000 + below(8) * PAGE_SIZE;
		request.end = 0xffffffffc0000000 + (64 + below(64)) * PAGE_SIZE;
		if (below(2))
			request.size = (1 + below(24)) * PAGE_SIZE;
		if (below(2))
			request.end = request.start + request.size;
	}
	return request;
}

static void take_as_linux(struct vmap_request request, u32 node)
{
	struct vmap_area *area = NULL;
	u64 expected;

	if (nr_live == LIVE)
		return;
	expected = oracle_alloc(&oracle, request.size, request.align, request.start, request.end,
				node);
	vmap_set_node(&sim->mm, node);
	ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), expected ? 0 : -ENOSPC);
	ck_assert_uint_eq(area ? area->va_start : 0, expected);
	if (!area)
		return;
	ck_assert_uint_eq(area->va_end - area->va_start, request.size);
	vmap_publish(&sim->mm, area, token(area->va_start), VMAP_FRAMES);
	live[nr_live++] = (struct live){expected, request.size, node};
}

static void step_alloc(void)
{
	struct vmap_request request = draw_request();

	take_as_linux(request, rules.nodes ? (u32)below(rules.nodes + 1) : 0);
}

static void step_free(void)
{
	u32 at = nr_live ? (u32)below(nr_live) : 0;
	struct live gone = live[at];

	if (!nr_live)
		return;
	live[at] = live[--nr_live];
	oracle_free(&oracle, gone.start, gone.start + gone.size, gone.node);
	vmap_set_node(&sim->mm, gone.node);
	give(gone.start);
}

/* In parts it comes to the same: first each node's pools, then each node's list. */
static void purge_by_nodes(u32 flags, u64 expected)
{
	u64 purged = 0;

	for (u32 node = 1; node <= rules.nodes; node++)
		ck_assert_uint_eq(vmap_purge_linux(&sim->mm, flags | VMAP_PURGE_DECAY |
								     node << VMAP_PURGE_NODE_SHIFT),
				  0);
	for (u32 node = rules.nodes ? 1 : 0; node <= rules.nodes; node++)
		purged += vmap_purge_linux(&sim->mm, flags | VMAP_PURGE_DECAYED |
							     node << VMAP_PURGE_NODE_SHIFT);
	ck_assert_uint_eq(purged, expected);
}

static void step_purge(void)
{
	bool full = below(6) == 0;
	u32 flags = full ? VMAP_PURGE_FULL : 0;
	u64 flushes = sim->nr_flushes, lazy = oracle.lazy_count;

	if (rules.nodes && below(4) == 0) {
		oracle_decay(&oracle, full);
		ck_assert_uint_eq(vmap_purge_linux(&sim->mm, flags | VMAP_PURGE_DECAY), 0);
		ck_assert_uint_eq(sim->nr_flushes, flushes);
		return;
	}
	oracle_purge(&oracle, full);
	if (below(2)) {
		purge_by_nodes(flags, lazy);
		return;
	}
	ck_assert_uint_eq(vmap_purge_linux(&sim->mm, flags), lazy);
	ck_assert_uint_eq(sim->nr_flushes, flushes + (lazy != 0));
}

/* One range by itself, of those that wait: what a replay does where a trace says so. */
static void step_release(void)
{
	u32 at = oracle.lazy_count ? (u32)below(oracle.lazy_count) : 0;
	struct oracle_range range = oracle.lazy[at], rest[ORACLE_RANGES / 8];
	u32 nr_rest = oracle.lazy_count - 1, nodes = oracle.nodes;

	if (!oracle.lazy_count || nr_rest >= ARRAY_SIZE(rest))
		return;
	memmove(&oracle.lazy[at], &oracle.lazy[at + 1], (nr_rest - at) * sizeof(range));
	memcpy(rest, oracle.lazy, nr_rest * sizeof(range));
	/* The oracle's purge of just that one, as if there were no pools. */
	oracle.lazy[0] = range;
	oracle.lazy_count = 1;
	oracle.nodes = 0;
	oracle_purge(&oracle, true);
	oracle.nodes = nodes;
	memcpy(oracle.lazy, rest, nr_rest * sizeof(range));
	oracle.lazy_count = nr_rest;
	ck_assert_int_eq(vmap_release(&sim->mm, range.start), 0);
}

static void step(u32 growing)
{
	u64 dice = below(100);

	if (dice < 5)
		step_purge();
	else if (dice < 8)
		step_release();
	else if (dice < (growing ? 65 : 40))
		step_alloc();
	else
		step_free();
	same();
}

static const struct vmap_rules all_rules[] = {
	{VMAP_NEWEST_FIRST, VMAP_SEARCH_5_2, 0, 0}, {VMAP_BY_ADDRESS, VMAP_SEARCH_5_2, 0, 0},
	{VMAP_BY_ADDRESS, VMAP_SEARCH_5_16, 0, 0},  {VMAP_BY_ADDRESS, VMAP_SEARCH_5_18, 0, 0},
	{VMAP_BY_ADDRESS, VMAP_SEARCH_5_18, 1, 1},  {VMAP_BY_ADDRESS, VMAP_SEARCH_5_18, 2, 1},
	{VMAP_BY_ADDRESS, VMAP_SEARCH_5_18, 3, 0},
};

START_TEST(every_range_lies_where_linux_lays_it)
{
	u64 seed = 0x11ace + (u64)_i;

	printf("seed 0x%llx\n", (unsigned long long)seed);
	begin(seed, &all_rules[(size_t)_i % ARRAY_SIZE(all_rules)]);
	for (u32 i = 0; i < STEPS; i++)
		step(i / 80 % 2 == 0);
	assert_no_object_is_lost();
	oracle_deinit(&oracle);
}
END_TEST

START_TEST(rules_there_are_none_of_are_refused)
{
	static const struct vmap_rules wrong[] = {
		{3, 0, 0, 0}, {2, 3, 0, 0}, {2, 2, VMAP_NODES_MAX + 1, 0},
		{2, 2, 2, 2}, {0, 1, 0, 0}, {0, 0, 2, 0},
		{0, 0, 0, 1}, {0, 1, 2, 1}, {3, 3, VMAP_NODES_MAX + 1, 2},
	};
	static const struct vmap_rules right[] = {
		{2, 2, VMAP_NODES_MAX, 1}, {1, 0, 0, 0}, {2, 1, 1, 0}, {0, 0, 0, 0}, {2, 2, 2, 1},
	};
	const struct vmap_space *space = &sim->mm.vmap;

	vmap_set_mode(&sim->mm, VMAP_MANUAL);
	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++)
		ck_assert_int_eq(vmap_set_rules(&sim->mm, &wrong[i]), -EINVAL);
	for (u32 i = 0; i < ARRAY_SIZE(right); i++) {
		vmap_set_node(&sim->mm, 1);
		ck_assert_int_eq(vmap_set_rules(&sim->mm, &right[i]), 0);
		ck_assert_mem_eq(&space->rules, &right[i], sizeof(right[i]));
		ck_assert_uint_eq(space->node, 0);
	}
	/* Not while something waits that the old rules know. */
	must_take(PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END);
	give(VMALLOC_START);
	ck_assert_int_eq(vmap_set_rules(&sim->mm, &right[0]), -EBUSY);
	ck_assert_mem_eq(&space->rules, &right[4], sizeof(right[4]));
	ck_assert_int_eq(vmap_release(&sim->mm, VMALLOC_START), 0);
	ck_assert_int_eq(vmap_set_rules(&sim->mm, &right[0]), 0);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

START_TEST(an_interrupt_purges_nothing)
{
	begin(1, &all_rules[5]);
	must_take(PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END);
	give(VMALLOC_START);
	interrupt_enter(&sim->mm);
	ck_assert_uint_eq(vmap_purge_linux(&sim->mm, VMAP_PURGE_FULL), 0);
	ck_assert_int_eq(vmap_release(&sim->mm, VMALLOC_START), -EPERM);
	ck_assert_uint_eq(interrupt_leave(&sim->mm), 2);
	ck_assert_uint_eq(sim->nr_flushes, 0);
	ck_assert_uint_eq(sim->mm.vmap.nr_lazy, 1);
	oracle_deinit(&oracle);
}
END_TEST

static void fill_pools(u32 nr, u64 most)
{
	while (nr--)
		take_as_linux(
			request_of((1 + below(most)) * PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END),
			1 + (u32)below(2));
}

/*
 * Pools of many ranges, neighbours among them, that a decay gives back: a quarter at a time, or
 * all. What lay side by side goes as one, lowest first, and so the tree has Linux's shape.
 */
START_TEST(what_a_pool_gives_back_leaves_linuxs_tree)
{
	const struct vmap_rules two = {VMAP_BY_ADDRESS, VMAP_SEARCH_5_18, 2, (u32)_i & 1};

	printf("seed 0x%x\n", 0xdeca + _i);
	begin(0xdeca + (u64)_i, &two);
	for (u32 round = 0; round < 6; round++) {
		fill_pools(LIVE, 1 + (u64)_i % 3);
		same();
		for (u32 i = 0; i < LIVE / 2; i++)
			step_free();
		for (u32 purges = 0; purges < 3; purges++) {
			oracle_purge(&oracle, false);
			vmap_purge_linux(&sim->mm, 0);
			same();
			for (u32 i = 0; i < LIVE / 12; i++)
				step_free();
		}
		oracle_purge(&oracle, false);
		vmap_purge_linux(&sim->mm, 0);
		for (u32 decays = 0; decays < 4; decays++) {
			bool full = decays == 3 && round % 3 == 2;

			oracle_decay(&oracle, full);
			vmap_purge_linux(&sim->mm, VMAP_PURGE_DECAY | (full ? VMAP_PURGE_FULL : 0));
			same();
		}
		/* An emptied pool is empty. */
		ck_assert(round % 3 != 2 || sim->mm.vmap.nr_lazy == 0);
	}
	assert_no_object_is_lost();
	oracle_deinit(&oracle);
}
END_TEST

/* A page of a node that is none, and a purge of another node's list only. */
START_TEST(what_is_of_no_node_is_of_its_addresses_node)
{
	const struct vmap_rules two = {VMAP_BY_ADDRESS, VMAP_SEARCH_5_18, 2, 0};
	u64 addr[3];

	begin(1, &two);
	for (u32 i = 0; i < ARRAY_SIZE(addr); i++)
		addr[i] = must_take(16 * PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END);
	for (u32 i = 0; i < ARRAY_SIZE(addr); i++)
		give(addr[i]);
	for (u32 node = 1; node <= 2; node++) {
		u64 mine = 0;

		for (u32 i = 0; i < ARRAY_SIZE(addr); i++)
			mine += 1 + addr[i] / (16 * PAGE_SIZE) % 2 == node;
		ck_assert_uint_eq(vmap_purge_linux(&sim->mm, node << VMAP_PURGE_NODE_SHIFT), mine);
	}
	ck_assert_uint_eq(sim->mm.vmap.nr_free, 1);
	ck_assert_ptr_null(vmap_check(&sim->mm));
	oracle_deinit(&oracle);
}
END_TEST

/* More of one size than 16 bits count: a quarter goes back, and of a full purge none stays. */
START_TEST(a_pool_is_as_long_as_it_gets)
{
	const u64 nr = (1 << 16) + 6;

	begin(1, &all_rules[5]);
	for (u64 i = 0; i < nr; i++)
		must_take(PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END);
	vmap_set_node(&sim->mm, 1);
	for (u64 i = 0; i < nr; i++)
		give(VMALLOC_START + i * PAGE_SIZE);
	ck_assert_uint_eq(vmap_purge_linux(&sim->mm, 0), nr);
	ck_assert_uint_eq(sim->mm.vmap.nr_lazy, nr);
	vmap_purge_linux(&sim->mm, VMAP_PURGE_DECAY);
	ck_assert_uint_eq(sim->mm.vmap.nr_lazy, nr - nr / 4);
	vmap_purge_linux(&sim->mm, VMAP_PURGE_FULL);
	ck_assert_uint_eq(sim->mm.vmap.nr_lazy, 0);
	ck_assert_uint_eq(sim->mm.vmap.nr_free, 1);
	ck_assert_ptr_null(vmap_check(&sim->mm));
	oracle_deinit(&oracle);
}
END_TEST

/* There is no hole at all of so many bytes. */
START_TEST(more_than_there_is_is_none)
{
	struct vmap_request request = request_of(0 - PAGE_SIZE, 1, PAGE_SIZE, VMAP_END);
	struct vmap_area *area = NULL;

	begin(1, &all_rules[_i]);
	must_take(PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END);
	ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), -ENOSPC);
	ck_assert_ptr_null(area);
	ck_assert_ptr_null(vmap_check(&sim->mm));
	oracle_deinit(&oracle);
}
END_TEST

static Suite *vmap_rules_suite(void)
{
	Suite *suite = suite_create("vmap_rules");
	TCase *tcase = tcase_create("vmap_rules");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, every_range_lies_where_linux_lays_it, 0,
			    3 * ARRAY_SIZE(all_rules));
	tcase_add_loop_test(tcase, what_a_pool_gives_back_leaves_linuxs_tree, 0, 6);
	tcase_add_test(tcase, rules_there_are_none_of_are_refused);
	tcase_add_test(tcase, an_interrupt_purges_nothing);
	tcase_add_test(tcase, what_is_of_no_node_is_of_its_addresses_node);
	tcase_add_test(tcase, a_pool_is_as_long_as_it_gets);
	tcase_add_loop_test(tcase, more_than_there_is_is_none, 0, ARRAY_SIZE(all_rules));
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(vmap_rules_suite());
}
