/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linux's placement three times, on random histories: the core's under rules, the plan's model, and
 * the oracle. After each operation the three free trees are the same node for node, colours and
 * summaries too, and so is every address.
 */
#include "tests/mm/vmap_fixture.h"

#include "mm/vmap_linux.h"
#include "mm/vmalloc.h"
#include "tests/vmm/replay/linux_oracle.h"
#include "vmm/replay/space.h"

#define LIVE 600

struct live {
	u64 start, size;
	u32 node;
};

struct trio {
	u64 random;
	struct oracle oracle;
	struct space space;
	struct live live[LIVE];
	u32 nr_live;
};

static struct trio trio;

static u64 below(u64 bound)
{
	return tree_random(&trio.random) % bound;
}

static void same_tree(const struct oracle_node *expected, const struct rb_node *here, u32 model)
{
	const struct tree_hole *hole = &trio.space.tree.holes[model];

	ck_assert_int_eq(!expected, !here);
	ck_assert_int_eq(!expected, !model);
	if (!expected)
		return;
	ck_assert_uint_eq(area_of(here)->va_start, expected->start);
	ck_assert_uint_eq(area_of(here)->va_end, expected->end);
	ck_assert_int_eq(rb_is_red(here), expected->red);
	ck_assert_uint_eq(area_of(here)->subtree_max, oracle_longest(expected));
	ck_assert_uint_eq(hole->start, expected->start);
	ck_assert_uint_eq(hole->end, expected->end);
	ck_assert_int_eq(hole->red, expected->red);
	ck_assert_uint_eq(hole->longest, oracle_longest(expected));
	same_tree(expected->left, here->left, hole->left);
	same_tree(expected->right, here->right, hole->right);
}

static void same(void)
{
	const char *wrong = tree_check(&trio.space.tree);

	ck_assert_msg(!wrong, "%s", wrong);
	ck_assert_ptr_null(vmap_check(&sim->mm));
	same_tree(trio.oracle.root, sim->mm.vmap.free.node, trio.space.tree.root);
}

static void begin(u64 seed, const struct space_rules *rules)
{
	const struct vmap_rules core = {rules->order == SPACE_BY_ADDRESS ? VMAP_BY_ADDRESS
									 : VMAP_NEWEST_FIRST,
					(u32)rules->search, rules->nodes, rules->small_empty};

	memset(&trio, 0, sizeof(trio));
	trio.random = seed;
	trio.oracle.search = (unsigned int)rules->search;
	trio.oracle.by_address = rules->order == SPACE_BY_ADDRESS;
	trio.oracle.small_empty = rules->small_empty;
	trio.oracle.nodes = rules->nodes;
	trio.oracle.pool_start = rules->pool_start;
	trio.oracle.pool_end = rules->pool_end;
	oracle_init(&trio.oracle);
	ck_assert_int_eq(space_init(&trio.space, rules), 0);
	vmap_set_mode(&sim->mm, VMAP_MANUAL);
	ck_assert_int_eq(vmap_set_rules(&sim->mm, &core), 0);
	same();
}

static void end(void)
{
	space_deinit(&trio.space);
	oracle_deinit(&trio.oracle);
}

static void step_alloc(void)
{
	static const u64 aligns[] = {1, 4096, 16384, 16384, 16384, 65536, 2 << 20};
	bool modules = below(4) == 0;
	u64 size = (1 + below(below(6) ? 8 : 300)) * 4096, expected, here = 0;
	struct vmap_request request = request_of(size, modules ? 4096 : aligns[below(7)],
						 modules ? 0xffffffffc0000000 : VMALLOC_START,
						 modules ? 0xffffffffff000000 : VMALLOC_END);
	u32 node = modules || !trio.space.rules.nodes ? 0 : (u32)below(trio.space.rules.nodes + 1);
	struct tree_request asked = {request.size, request.align, request.start, request.end,
				     trio.space.rules.search};
	struct space_choice choice;
	struct vmap_area *area;

	if (trio.nr_live == LIVE)
		return;
	expected =
		oracle_alloc(&trio.oracle, size, request.align, request.start, request.end, node);
	choice = space_choose(&trio.space, &asked, node);
	space_pass(&trio.space, &asked, node, &choice);
	ck_assert_uint_eq(choice.address, expected);
	ck_assert_int_eq(choice.source == SPACE_POOL
				 ? space_take_first(&trio.space, &asked, node)
				 : space_take(&trio.space, expected, expected + size),
			 0);
	vmap_set_node(&sim->mm, node);
	ck_assert_int_eq(vmap_alloc(&sim->mm, &request, &area), 0);
	here = area->va_start;
	ck_assert_uint_eq(here, expected);
	vmap_publish(&sim->mm, area, token(here), VMAP_FRAMES);
	trio.live[trio.nr_live++] = (struct live){here, size, node};
}

static void step_free(void)
{
	u32 at = trio.nr_live ? (u32)below(trio.nr_live) : 0;
	struct live live = trio.live[at];
	struct vmap_area *area;
	struct vm_struct *vm;

	if (!trio.nr_live || trio.oracle.lazy_count == ORACLE_RANGES ||
	    trio.oracle.pooled_count + trio.oracle.lazy_count > ORACLE_RANGES - 2)
		return;
	trio.live[at] = trio.live[--trio.nr_live];
	oracle_free(&trio.oracle, live.start, live.start + live.size, live.node);
	ck_assert_int_eq(space_free(&trio.space, live.start, live.start + live.size, live.node), 0);
	vmap_set_node(&sim->mm, live.node);
	ck_assert_int_eq(vmap_claim(&sim->mm, live.start, VMAP_FRAMES, &area, &vm), 0);
	vmap_free(&sim->mm, area);
}

static void purge_at_once(bool full)
{
	ck_assert_int_eq(space_decay(&trio.space, full, 0), 0);
	ck_assert_int_eq(space_give_lazy(&trio.space, full, 0), 0);
	vmap_purge_linux(&sim->mm, full ? VMAP_PURGE_FULL : 0);
}

/* A purge in parts comes to the same. */
static void purge_by_nodes(bool full)
{
	u32 flags = full ? VMAP_PURGE_FULL : 0, node, nodes = trio.space.rules.nodes;

	for (node = 1; node <= nodes; node++) {
		ck_assert_int_eq(space_decay(&trio.space, full, node), 0);
		vmap_purge_linux(&sim->mm,
				 flags | VMAP_PURGE_DECAY | node << VMAP_PURGE_NODE_SHIFT);
	}
	for (node = nodes ? 1 : 0; node <= nodes; node++) {
		ck_assert_int_eq(space_give_lazy(&trio.space, full, node), 0);
		vmap_purge_linux(&sim->mm,
				 flags | VMAP_PURGE_DECAYED | node << VMAP_PURGE_NODE_SHIFT);
	}
}

/* So does one without nodes that is cut between ranges. */
static void purge_by_pieces(void)
{
	u64 next;

	while (below(4) && (next = space_next_lazy(&trio.space))) {
		ck_assert_int_eq(space_give_through(&trio.space, next), 0);
		ck_assert_uint_eq(vmap_purge_through(&sim->mm, next), 1);
		ck_assert_uint_eq(vmap_purge_through(&sim->mm, next), 0);
	}
	purge_at_once(false);
}

static void step_purge(void)
{
	bool full = below(8) == 0, decay = trio.space.rules.nodes && below(8) == 0;

	if (decay) {
		oracle_decay(&trio.oracle, full);
		ck_assert_int_eq(space_decay(&trio.space, full, 0), 0);
		vmap_purge_linux(&sim->mm, VMAP_PURGE_DECAY | (full ? VMAP_PURGE_FULL : 0));
		return;
	}
	oracle_purge(&trio.oracle, full);
	if (!trio.space.rules.nodes)
		purge_by_pieces();
	else if (below(2))
		purge_by_nodes(full);
	else
		purge_at_once(full);
	ck_assert_uint_eq(trio.space.pooled.count, trio.oracle.pooled_count);
}

static const struct space_rules all_rules[] = {
	{TREE_RULE_5_2, SPACE_NEWEST_FIRST, 0, false, VMALLOC_START, VMALLOC_END},
	{TREE_RULE_5_2, SPACE_BY_ADDRESS, 0, false, VMALLOC_START, VMALLOC_END},
	{TREE_RULE_5_16, SPACE_BY_ADDRESS, 0, false, VMALLOC_START, VMALLOC_END},
	{TREE_RULE_5_18, SPACE_BY_ADDRESS, 0, false, VMALLOC_START, VMALLOC_END},
	{TREE_RULE_5_18, SPACE_BY_ADDRESS, 1, true, VMALLOC_START, VMALLOC_END},
	{TREE_RULE_5_18, SPACE_BY_ADDRESS, 2, true, VMALLOC_START, VMALLOC_END},
	{TREE_RULE_5_18, SPACE_BY_ADDRESS, 3, false, VMALLOC_START, VMALLOC_END},
};

#define NR_RULES (sizeof(all_rules) / sizeof(all_rules[0]))

/* A history that grows and shrinks, purged every 40 steps or so. */
static void run_history(u64 seed, const struct space_rules *rules, u32 steps)
{
	u32 i;

	begin(seed, rules);
	for (i = 0; i < steps; i++) {
		u64 dice = below(100);

		if (dice < 3)
			step_purge();
		else if (dice < (i / 500 % 2 ? 40u : 62u))
			step_alloc();
		else
			step_free();
		same();
	}
	end();
}

START_TEST(core_model_and_oracle_keep_the_same_tree)
{
	u64 seed = 0x5eed0000 + (u64)_i;

	printf("seed 0x%llx\n", (unsigned long long)seed);
	run_history(seed, &all_rules[(size_t)_i % NR_RULES], 600);
}
END_TEST

/* ---- shapes ---- */

static void make_holes(u64 seed)
{
	u32 i;

	begin(seed, &all_rules[3]);
	for (i = 0; i < 300; i++)
		step_alloc();
	for (i = 0; i < 150; i++)
		step_free();
	oracle_purge(&trio.oracle, false);
	space_give_lazy(&trio.space, false, 0);
	vmap_purge_linux(&sim->mm, 0);
	same();
}

static int set_core_shape(const struct tree_shape *shape, u32 count)
{
	u64 words[LIVE];
	u32 i;

	for (i = 0; i < count; i++)
		words[i] = shape[i].start | (shape[i].red ? VMAP_SHAPE_RED : 0);
	return vmap_set_shape(&sim->mm, words, count);
}

static void core_has_shape(const struct rb_node *node, const struct tree_shape **at)
{
	if (!node)
		return;
	ck_assert_uint_eq(area_of(node)->va_start, (*at)->start);
	ck_assert_int_eq(rb_is_red(node), (*at)->red);
	(*at)++;
	core_has_shape(node->left, at);
	core_has_shape(node->right, at);
}

START_TEST(a_shape_that_is_told_is_taken)
{
	struct tree_shape shape[LIVE], read[LIVE];
	const struct tree_shape *at;
	u32 count, hole, i;

	make_holes(77 + (u64)_i);
	count = trio.space.tree.count;
	for (i = 0; i < 50; i++) {
		hole = tree_from(&trio.space.tree, 0);
		for (u64 skip = below(count); skip; skip--)
			hole = tree_next(&trio.space.tree, hole);
		if (i % 8 == 0)
			ck_assert_int_eq(tree_replant(&trio.space.tree, &trio.random), 0);
		else
			ck_assert_int_eq(tree_shuffle(&trio.space.tree, hole, &trio.random), 0);
		ck_assert_ptr_null(tree_check(&trio.space.tree));
		tree_get_shape(&trio.space.tree, shape);
		ck_assert_int_eq(set_core_shape(shape, count), 0);
		ck_assert_ptr_null(vmap_check(&sim->mm));
		at = shape;
		core_has_shape(sim->mm.vmap.free.node, &at);
		ck_assert_int_eq(tree_set_shape(&trio.space.tree, shape, count), 0);
		tree_get_shape(&trio.space.tree, read);
		ck_assert_mem_eq(&shape[0].start, &read[0].start, sizeof(u64));
	}
	end();
}
END_TEST

START_TEST(a_shape_that_is_none_is_refused)
{
	struct tree_shape shape[LIVE];
	u32 count, i;

	make_holes(5);
	count = trio.space.tree.count;
	for (i = 0; i < count; i++) {
		tree_get_shape(&trio.space.tree, shape);
		shape[i].red = !shape[i].red;
		ck_assert_int_eq(set_core_shape(shape, count), -EINVAL);
		ck_assert_int_eq(tree_set_shape(&trio.space.tree, shape, count), -EINVAL);
		shape[i].red = !shape[i].red;
		shape[i].start += 4096;
		ck_assert_int_eq(set_core_shape(shape, count), -EINVAL);
		ck_assert_int_eq(tree_set_shape(&trio.space.tree, shape, count), -EINVAL);
		same();
	}
	tree_get_shape(&trio.space.tree, shape);
	ck_assert_int_eq(set_core_shape(shape, count - 1), -EINVAL);
	ck_assert_int_eq(tree_set_shape(&trio.space.tree, shape, count - 1), -EINVAL);
	shape[count - 1] = shape[0];
	ck_assert_int_eq(set_core_shape(shape, count), -EINVAL);
	ck_assert_int_eq(tree_set_shape(&trio.space.tree, shape, count), -EINVAL);
	same();
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tree");
	TCase *tree = tcase_create("tree");

	tcase_set_timeout(tree, 120);
	tcase_add_checked_fixture(tree, setup, teardown);
	tcase_add_loop_test(tree, core_model_and_oracle_keep_the_same_tree, 0, 14);
	tcase_add_loop_test(tree, a_shape_that_is_told_is_taken, 0, 4);
	tcase_add_test(tree, a_shape_that_is_none_is_refused);
	suite_add_tcase(suite, tree);
	return harness_run(suite);
}
