/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Object caches on a machine of three nodes with a CPU each: where an object comes from, and when
 * a new frame is taken for it.
 */
#include "tests/harness.h"
#include "tests/mm/sim.h"

#include <string.h>

#define MIB   (1ull << 20)
#define NODES 3u
#define LIVE  600

static struct sim *sim;
static struct mm *mm;
static struct kmem_cache cache;
static void *objects[LIVE];

static void start(void)
{
	struct sim_config config = {.nr_cpus = NODES, .cpu_node = {0, 1, 2}};

	for (u32 i = 0; i < NODES; i++)
		sim_add_ram(&config, 128 * i * MIB + 16 * MIB, 8 * MIB, i);
	sim = sim_create_frames(&config);
	mm = &sim->mm;
	memset(&cache, 0, sizeof(cache));
	kmem_cache_init(&cache, "nodes", 96);
}

static void stop(void)
{
	ck_assert_ptr_null(kmem_cache_check(mm, &cache));
	ck_assert_ptr_null(page_alloc_check(mm));
	sim_destroy(sim);
}

static u32 node_of(const void *object)
{
	return virt_to_page(mm, object)->node;
}

static u64 nr_slabs(void)
{
	u64 nr = 0;

	for (u32 node = 0; node < NODES; node++)
		nr += cache.node[node].nr_slabs;
	return nr;
}

static void *take(u32 cpu, gfp_t gfp, int node)
{
	void *object;

	sim_set_cpu(cpu);
	object = kmem_cache_alloc(mm, &cache, GFP_KERNEL | gfp, node);
	ck_assert_ptr_null(kmem_cache_check(mm, &cache));
	return object;
}

/* Whether this CPU's slab has a free object. */
static bool active_has(u32 cpu)
{
	return cache.cpu[cpu].freelist || (cache.cpu[cpu].slab && cache.cpu[cpu].slab->freelist);
}

/* Whether @cpu gets an object of @node without a new frame. */
static bool has_free(u32 cpu, u32 node)
{
	const struct page *slab = cache.cpu[cpu].slab;

	return cache.node[node].nr_partial || (slab && slab->node == node && active_has(cpu));
}

static bool any_has_free(u32 cpu)
{
	bool any = false;

	for (u32 node = 0; node < NODES; node++)
		any |= has_free(cpu, node);
	return any;
}

/* Of the node asked for; and a frame is taken for it only where no object of that node is left. */
static void take_of_node(u32 cpu, gfp_t gfp, u32 node, void **object_out)
{
	bool had = has_free(cpu, node);
	u64 before = cache.node[node].nr_slabs;

	*object_out = take(cpu, gfp, (int)node);
	ck_assert_ptr_nonnull(*object_out);
	ck_assert_uint_eq(node_of(*object_out), node);
	ck_assert_uint_eq(cache.node[node].nr_slabs, before + !had);
}

/* What the CPU's slab has, or a partial slab of its own node, or any; or a frame of its own. */
static void take_of_any(u32 cpu, gfp_t gfp, void **object_out)
{
	const struct page *active = active_has(cpu) ? cache.cpu[cpu].slab : NULL;
	bool own = cache.node[cpu].nr_partial, any = any_has_free(cpu);
	u64 before = nr_slabs();

	*object_out = take(cpu, gfp, NUMA_NO_NODE);
	ck_assert_ptr_nonnull(*object_out);
	if (active)
		ck_assert_ptr_eq(virt_to_page(mm, *object_out), active);
	else if (own || !any)
		ck_assert_uint_eq(node_of(*object_out), cpu);
	ck_assert_uint_eq(nr_slabs(), before + !any);
}

/* splitmix64 */
static u64 below(u64 *state, u64 bound)
{
	u64 z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % bound;
}

START_TEST(an_object_is_of_the_node_asked_for)
{
	u64 state = 0x51ab + (u64)_i;
	u32 nr = 0;

	printf("seed 0x%llx\n", (unsigned long long)state);
	for (u32 step = 0; step < 2500; step++) {
		u32 cpu = (u32)below(&state, NODES);
		gfp_t gfp = below(&state, 4) ? 0 : __GFP_ZERO;

		if (nr < LIVE && below(&state, 100) < (step / 600 % 2 ? 35u : 65u)) {
			switch (below(&state, 4)) {
			case 0:
				take_of_any(cpu, gfp, &objects[nr++]);
				break;
			case 1:
				/* Nobody's node, and yet only the CPU's own. */
				take_of_node(cpu, gfp | __GFP_THISNODE, cpu, &objects[nr++]);
				break;
			default:
				take_of_node(cpu, gfp, (u32)below(&state, NODES), &objects[nr++]);
			}
		} else if (nr) {
			u32 at = (u32)below(&state, nr);

			sim_set_cpu(cpu);
			kmem_cache_free(mm, &cache, objects[at]);
			objects[at] = objects[--nr];
		}
	}
	ck_assert_uint_eq(sim->nr_logs, 0);
}
END_TEST

/* Any node will do, and some have objects: first of all the CPU's own. */
START_TEST(an_object_of_the_cpus_own_node_is_taken_first)
{
	void *left[NODES];

	for (u32 node = 0; node < NODES; node++) {
		left[node] = take(node, 0, (int)node);
		take(node, 0, (int)node);
	}
	for (u32 node = 0; node < NODES; node++) {
		sim_set_cpu(node);
		kmem_cache_shrink(mm, &cache);
		ck_assert_ptr_null(cache.cpu[node].slab);
	}
	ck_assert_uint_eq(nr_slabs(), NODES);
	ck_assert_uint_eq(node_of(take((u32)_i, 0, NUMA_NO_NODE)), (u32)_i);
	ck_assert_uint_eq(nr_slabs(), NODES);
	sim_set_cpu(0);
	for (u32 node = 0; node < NODES; node++)
		kmem_cache_free(mm, &cache, left[node]);
}
END_TEST

/* No node, but this one: the CPU's. */
START_TEST(thisnode_of_no_node_is_the_cpus_own)
{
	for (u32 cpu = 0; cpu < NODES; cpu++)
		for (u32 i = 0; i < 50; i++)
			ck_assert_uint_eq(node_of(take(cpu, __GFP_THISNODE, NUMA_NO_NODE)), cpu);
}
END_TEST

static void fill_node(u32 node)
{
	static struct page *pages[4096];
	const gfp_t gfp = GFP_KERNEL | __GFP_THISNODE | __GFP_NOWARN | __GFP_HIGH;

	while (alloc_pages_bulk(mm, gfp, (int)node, PAGE_OTHER, sim, 4096, pages))
		;
}

/* @full has no frame left: its requests are met by what lies about on @other, without a word. */
static void ask_full(u32 full, u32 other, u32 cpu)
{
	void *first, *second;
	u64 before;

	fill_node(full);
	/* Two slabs of the other node, of which another CPU has the second one active. */
	for (u32 i = 0; i < 43; i++)
		objects[i] = take(other, 0, (int)other);
	for (u32 i = 0; i < 3; i++)
		kmem_cache_free(mm, &cache, objects[i]);
	before = nr_slabs();
	first = take(cpu, 0, (int)full);
	ck_assert_uint_eq(node_of(first), other);
	ck_assert_uint_eq(nr_slabs(), before);
	ck_assert_ptr_null(take(cpu, __GFP_THISNODE | __GFP_NOWARN, (int)full));
	ck_assert_uint_eq(sim->nr_logs, 0);
	ck_assert_uint_eq(nr_slabs(), before);
	second = take(cpu, 0, (int)full);
	ck_assert_uint_eq(node_of(second), other);
	ck_assert_uint_eq(sim->nr_logs, 0);
}

START_TEST(a_full_nodes_objects_lie_where_there_are_some)
{
	static const struct {
		u32 full, other, cpu;
	} cases[] = {{0, 2, 0}, {0, 2, 1}, {0, 1, 0}, {1, 2, 1}, {1, 2, 2},
		     {1, 0, 1}, {2, 1, 2}, {2, 1, 0}, {2, 0, 2}};

	ask_full(cases[_i].full, cases[_i].other, cases[_i].cpu);
}
END_TEST

/* Nothing lies about either: a frame of the nearest node, as frames themselves would be. */
START_TEST(a_full_nodes_objects_are_of_the_nearest_else)
{
	static const u32 nearest[] = {1, 0, 1};
	u32 full = (u32)_i;

	fill_node(full);
	for (u32 cpu = 0; cpu < NODES; cpu++) {
		void *object = take(cpu, 0, _i);

		ck_assert_uint_eq(node_of(object), nearest[full]);
		kmem_cache_free(mm, &cache, object);
		kmem_cache_shrink(mm, &cache);
	}
	ck_assert_uint_eq(node_of(take(full, 0, NUMA_NO_NODE)), nearest[full]);
	ck_assert_uint_eq(sim->nr_logs, 0);
}
END_TEST

/* Said by whom it was asked of, once, when there is nothing anywhere. */
START_TEST(a_full_machine_is_reported_once)
{
	for (u32 node = 0; node < NODES; node++)
		fill_node(node);
	ck_assert_ptr_null(take(0, __GFP_NOWARN, 1));
	ck_assert_uint_eq(sim->nr_logs, 0);
	ck_assert_ptr_null(take(0, 0, 1));
	ck_assert_uint_eq(sim->nr_logs, 1);
	ck_assert_ptr_null(take(0, 0, NUMA_NO_NODE));
	ck_assert_uint_eq(sim->nr_logs, 2);
}
END_TEST

static Suite *slab_nodes_suite(void)
{
	Suite *suite = suite_create("slab_nodes");
	TCase *tcase = tcase_create("nodes");

	tcase_add_checked_fixture(tcase, start, stop);
	tcase_add_loop_test(tcase, an_object_is_of_the_node_asked_for, 0, 4);
	tcase_add_loop_test(tcase, an_object_of_the_cpus_own_node_is_taken_first, 0, (int)NODES);
	tcase_add_test(tcase, thisnode_of_no_node_is_the_cpus_own);
	tcase_add_loop_test(tcase, a_full_nodes_objects_lie_where_there_are_some, 0, 9);
	tcase_add_loop_test(tcase, a_full_nodes_objects_are_of_the_nearest_else, 0, (int)NODES);
	tcase_add_test(tcase, a_full_machine_is_reported_once);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(slab_nodes_suite());
}
