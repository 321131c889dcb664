/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules by which a plan is settled, one trace each that comes out right by that rule alone: the
 * same trace under the rule's opposite must miss.
 */
#include "tests/vmm/replay/plan_text.h"

#include "vmm/replay/model.h"
#include "vmm/replay/prelude.h"
#include "vmm/replay/settle.h"

#define WORK 100000

/* A task on each CPU; the time in units of 1/10 s. */
#define AT0(time) "            task-10     [000] .....     " time ": "
#define AT1(time) "            task-11     [001] .....     " time ": "
#define K0(time)  "         kworker-12     [000] .....     " time ": "

#define ALLOC(on, begin, end, pages, align, address, flags)                             \
	on(begin) ENTER(pages "000", align)                                             \
		on(end) "alloc_vmap_area_exit: va=0xffff888100000000 va_start=" address \
			" flags=" flags "\n"
#define GIVEN_UP(address, flags) \
	"free_vmap_area_noflush: va_start=" address " va_end=0x0 flags=" flags "\n"
#define DECAY(vn, full) "decay: vn=" vn " full=" full "\n"
#define PURGE(time, n)  K0(time) PURGE_ENTER K0(time) PURGE_EXIT(n)

static struct settle_report report;

static struct space_rules two_nodes(bool small_empty)
{
	return (struct space_rules){.search = TREE_RULE_5_18,
				    .order = SPACE_BY_ADDRESS,
				    .nodes = 2,
				    .small_empty = small_empty,
				    .pool_start = UINT64_C(0xffffc90000000000),
				    .pool_end = UINT64_C(0xffffe8ffffffffff)};
}

/* Settles the plan, which then carries itself out in the model as it was settled. */
static void settle(bool small_empty, uint64_t work)
{
	const struct settle_options options = {
		.rules = two_nodes(small_empty), .work = work, .shape_max = SIZE_MAX};

	ck_assert_msg(!settle_plan(&plan, &options, &report, &error), "%s", error.text);
}

static uint64_t matched(void)
{
	return report.verdicts[REPLAY_EXACT] + report.verdicts[REPLAY_INFERRED_ORDER] +
	       report.verdicts[REPLAY_INFERRED_START];
}

static uint64_t unmatched(void)
{
	return report.verdicts[REPLAY_EXPLAINED] + report.verdicts[REPLAY_MISSED];
}

static void run_in_model(struct replay_outcome *outcome)
{
	struct replay_model *model = replay_model_create();
	struct replay_executor executor;
	const struct replay_options options = {.audit = REPLAY_AUDIT_EVERY, .audit_every = 1};

	ck_assert_ptr_nonnull(model);
	executor = replay_model_interface(model);
	ck_assert_msg(!replay_run(&plan, &executor, &options, outcome, &error), "%s", error.text);
	replay_model_destroy(model);
}

/* ---- pools ---- */

#define THREE                                                  \
	ALLOC(AT0, "1.0", "1.0", "0x2", "1", P(0000), "0x100") \
	ALLOC(AT0, "1.1", "1.1", "0x2", "1", P(0002), "0x100") \
	ALLOC(AT0, "1.2", "1.2", "0x2", "1", P(0004), "0x100") \
	ALLOC(AT0, "1.3", "1.3", "0x2", "1", P(0006), "0x100")

#define FREED_2 AT0("2.0") GIVEN_UP(P(0002), "0x100")
#define FREED_0 AT0("2.1") GIVEN_UP(P(0000), "0x100")
#define FREED_4 AT0("2.2") GIVEN_UP(P(0004), "0x100")

#define THREE_OF_NODE_0 THREE FREED_2 FREED_0 FREED_4 PURGE("3.0", "3")

/* The pool's first is the highest; one that is not aligned goes to the end, and the tree is asked.
 */
START_TEST(pool_order)
{
	make_plan(THREE_OF_NODE_0 ALLOC(AT0, "4.0", "4.0", "0x2", "1", P(0004), "0x100")
			  ALLOC(AT0, "4.1", "4.1", "0x2", "0x4000", P(0008), "0x100")
				  ALLOC(AT0, "4.2", "4.2", "0x2", "1", P(0000), "0x100")
					  ALLOC(AT0, "4.3", "4.3", "0x2", "1", P(0002), "0x100"),
		  NULL);
	settle(true, 0);
	ck_assert_uint_eq(report.verdicts[REPLAY_EXACT], 8);
	ck_assert_uint_eq(report.from_pools, 3);
	drop_plan();
}
END_TEST

/* A decay empties a pool of three up to 6.16, and leaves it alone since 6.17. */
START_TEST(decay_of_three)
{
	static const char *const got[] = {
		THREE_OF_NODE_0 PURGE("4.0", "0")
			ALLOC(AT0, "5.0", "5.0", "0x2", "1", P(0004), "0x100"),
		THREE_OF_NODE_0 PURGE("4.0", "0")
			ALLOC(AT0, "5.0", "5.0", "0x2", "1", P(0000), "0x100"),
	};

	make_plan(got[_i], NULL);
	settle(_i == 1, 0);
	ck_assert_uint_eq(unmatched(), 0);
	drop_plan();
	make_plan(got[_i], NULL);
	settle(_i == 0, 0);
	ck_assert_uint_eq(unmatched(), 1);
	drop_plan();
}
END_TEST

/* ---- purges ---- */

/*
 * Node 1's range is freed before node 1's decay, so in time for the purge that goes on; node 0's
 * after that, too late for it.
 */
#define IN_TIME(freed_1, freed_0)                                                         \
	ALLOC(AT0, "1.0", "1.0", "0x2", "1", P(0000), "0x100")                            \
	ALLOC(AT1, "1.1", "1.1", "0x2", "1", P(0002), "0x200")                            \
	ALLOC(AT1, "1.2", "1.2", "0x2", "1", P(0004), "0x200")                            \
	K0("4.0")                                                                         \
	PURGE_ENTER K0("4.1") DECAY("0x1000", "0") freed_1 K0("4.3") DECAY("0x2000", "0") \
		freed_0 K0("5.0") PURGE_EXIT("1")                                         \
			ALLOC(AT1, "6.0", "6.0", "0x2", "1", P(0002), "0x200")            \
				ALLOC(AT0, "6.1", "6.1", "0x2", "1", P(0006), "0x100")

START_TEST(in_time)
{
	make_plan(IN_TIME(AT1("4.2") GIVEN_UP(P(0002), "0x200"),
			  AT1("4.4") GIVEN_UP(P(0000), "0x100")),
		  NULL);
	settle(true, WORK);
	ck_assert_uint_eq(matched(), 5);
	ck_assert_uint_eq(report.verdicts[REPLAY_INFERRED_ORDER], 1);
	ck_assert_uint_eq(report.moved, 0);
	drop_plan();
}
END_TEST

/* What went back to the tree of one node and not yet of the other: no whole purge leads there. */
START_TEST(node_by_node)
{
	make_plan(ALLOC(AT0, "1.0", "1.0", "0x2", "1", P(0000),
			"0x0") ALLOC(AT0, "1.1", "1.1", "0xe", "1", P(0002),
				     "0x0") ALLOC(AT0, "1.2", "1.2", "0x2", "1", P(0010), "0x0")
			  ALLOC(AT0, "1.3", "1.3", "0x2", "1", P(0012), "0x0") AT0("2.0") GIVEN_UP(
				  P(0000), "0x0") AT0("2.1") GIVEN_UP(P(0010), "0x0") K0("4.0")
				  PURGE_ENTER ALLOC(AT1, "4.2", "4.3", "0x2", "1", P(0000), "0x0")
					  ALLOC(AT1, "4.4", "4.5", "0x2", "1", P(0014), "0x0")
						  K0("5.0") PURGE_EXIT("1")
							  ALLOC(AT1, "6.0", "6.0", "0x2", "1",
								P(0010), "0x0"),
		  NULL);
	settle(true, WORK);
	ck_assert_uint_eq(matched(), 7);
	ck_assert_uint_eq(report.verdicts[REPLAY_INFERRED_ORDER], 1);
	drop_plan();
}
END_TEST

/* CPU 0 chose first and returned last; and that takes an inference, which can be forbidden. */
START_TEST(simultaneous)
{
	const char *trace = AT0("1.0") ENTER("0x2000", "1") AT1("1.1") ENTER("0x2000", "1")
		AT1("1.2") "alloc_vmap_area_exit: va=0xffff888100000000 va_start=" P(
			0002) " flags=0x0\n" AT0("1.3") "alloc_vmap_area_exit: "
							"va=0xffff888100000040 "
							"va_start=" P(0000) " flags=0x0\n";

	make_plan(trace, NULL);
	settle(true, WORK);
	ck_assert_uint_eq(matched(), 2);
	ck_assert_uint_eq(report.moved, 1);
	drop_plan();
	make_plan(trace, NULL);
	settle(true, 0);
	ck_assert_uint_ge(unmatched(), 1);
	drop_plan();
}
END_TEST

/* The plan, settled, comes out in the model of a guest as it was settled: @count matched, no other.
 */
static void comes_out(uint64_t count)
{
	struct replay_outcome outcome;

	ck_assert_uint_eq(matched(), count);
	ck_assert_uint_eq(unmatched(), 0);
	run_in_model(&outcome);
	ck_assert_uint_eq(outcome.exact + outcome.by_order, count);
	ck_assert_uint_eq(outcome.other.count + outcome.failed, 0);
	replay_outcome_free(&outcome);
	drop_plan();
}

#define FREED_6        AT1("3.1") GIVEN_UP(P(0006), "0x100")
#define BOTH(one, two) K0(one) DECAY("0x1000", "0") K0(two) DECAY("0x2000", "0")
#define FOUR_IN_POOL                                                                             \
	THREE FREED_2 FREED_0 FREED_4 K0("3.0") PURGE_ENTER FREED_6 BOTH("3.2", "3.3") K0("3.4") \
		PURGE_EXIT("1")

/*
 * The second purge finds nothing: so the first one took what was freed in it; and the pool of four
 * decays all the same.
 */
START_TEST(decay_of_nothing)
{
	make_plan(FOUR_IN_POOL K0("4.0") PURGE_ENTER BOTH("4.1", "4.2") K0("4.3") PURGE_EXIT("0")
			  ALLOC(AT0, "5.0", "5.0", "0x2", "1", P(0004),
				"0x100") ALLOC(AT0, "5.1", "5.1", "0x2", "1", P(0002), "0x100")
				  ALLOC(AT0, "5.2", "5.2", "0x2", "1", P(0000), "0x100")
					  ALLOC(AT0, "5.3", "5.3", "0x2", "1", P(0006), "0x100"),
		  NULL);
	ck_assert_uint_eq(plan.implied_purges, 0);
	settle(true, WORK);
	comes_out(8);
}
END_TEST

/* A decay has the pool away: who overlaps it may go to the tree; who comes after it may not. */
START_TEST(pool_away)
{
	make_plan(FOUR_IN_POOL K0("4.0") PURGE_ENTER K0("4.1") DECAY("0x1000", "0")
			  ALLOC(AT0, "4.2", "4.3", "0x2", "1", P(0008), "0x100") K0("4.4")
				  DECAY("0x2000", "0") K0("4.5") PURGE_EXIT("0")
					  ALLOC(AT0, "5.0", "5.0", "0x2", "1", P(0004), "0x100"),
		  NULL);
	settle(true, WORK);
	ck_assert_uint_eq(report.verdicts[REPLAY_INFERRED_ORDER], 1);
	comes_out(6);
	make_plan(FOUR_IN_POOL K0("4.0") PURGE_ENTER BOTH("4.1", "4.2") K0("4.5") PURGE_EXIT("0")
			  ALLOC(AT0, "5.0", "5.1", "0x2", "1", P(0008), "0x100"),
		  NULL);
	settle(true, WORK);
	ck_assert_uint_eq(unmatched(), 1);
	drop_plan();
}
END_TEST

/*
 * Before 6.9 a purge lets others by between two ranges: the first one comes back, the second not
 * yet. Which is the first depends on the release.
 */
#define PIECES(first, second)                                                                  \
	ALLOC(AT0, "1.0", "1.0", "0x2", "1", P(0000), "0x0")                                   \
	ALLOC(AT0, "1.1", "1.1", "0x2", "1", P(0002), "0x0")                                   \
	ALLOC(AT0, "1.2", "1.2", "0x2", "1", P(0004), "0x0")                                   \
	ALLOC(AT0, "1.3", "1.3", "0x2", "1", P(0006), "0x0")                                   \
	AT0("2.0")                                                                             \
	GIVEN_UP(P(0000), "0x0")                                                               \
	AT0("2.1")                                                                             \
	GIVEN_UP(P(0004), "0x0")                                                               \
	K0("4.0")                                                                              \
	PURGE_ENTER ALLOC(AT1, "4.2", "4.3", "0x2", "1", first, "0x0")                         \
		ALLOC(AT1, "4.4", "4.5", "0x2", "1", P(0008), "0x0") K0("5.0") PURGE_EXIT("1") \
			ALLOC(AT1, "6.0", "6.0", "0x2", "1", second, "0x0")

START_TEST(piece_by_piece)
{
	static const char *const got[] = {PIECES(P(0000), P(0004)), PIECES(P(0004), P(0000))};
	struct settle_options options = {
		.rules = {.search = TREE_RULE_5_18, .order = SPACE_BY_ADDRESS},
		.work = WORK,
		.shape_max = SIZE_MAX};

	if (_i)
		options.rules =
			(struct space_rules){.search = TREE_RULE_5_2, .order = SPACE_NEWEST_FIRST};
	make_plan(got[_i], NULL);
	ck_assert_msg(!settle_plan(&plan, &options, &report, &error), "%s", error.text);
	comes_out(7);
	make_plan(got[!_i], NULL);
	ck_assert_msg(!settle_plan(&plan, &options, &report, &error), "%s", error.text);
	ck_assert_uint_ge(unmatched(), 1);
	drop_plan();
}
END_TEST

/* Pools that a state tells of are there in the executor too, each one's first before its second. */
START_TEST(pools_of_the_start)
{
	static const struct space_range pooled[] = {
		{UINT64_C(0xffffc90000002000), UINT64_C(0xffffc90000004000), 1, 1},
		{UINT64_C(0xffffc90000006000), UINT64_C(0xffffc90000008000), 1, 1}};
	const struct settle_options options = {
		.rules = two_nodes(true),
		.start = {.pooled = pooled, .pooled_count = 2, .pools_known = true},
		.shape_max = SIZE_MAX};

	make_plan(ALLOC(AT0, "1.0", "1.0", "0x2", "1", P(0002), "0x100")
			  ALLOC(AT0, "1.1", "1.1", "0x2", "1", P(0006), "0x100")
				  ALLOC(AT0, "1.2", "1.2", "0x2", "1", P(0000), "0x100"),
		  NULL);
	ck_assert_msg(!settle_plan(&plan, &options, &report, &error), "%s", error.text);
	ck_assert_uint_eq(report.from_pools, 2);
	comes_out(3);
}
END_TEST

/* ---- the time before ---- */

#define BEGIN                                                               \
	"0xffffc90000002000-0xffffc90000004000    8192 x+0x1/0x2 ioremap\n" \
	"0xffffc90000004000-0xffffc90000006000    8192 unpurged vm_area\n"  \
	"0xffffc90000006000-0xffffc90000008000    8192 x+0x1/0x2 ioremap\n"
#define MARK  K0("2.9") "tracing_mark_write: vmallocinfo captured\n"
#define AFTER MARK PURGE("3.0", "1") ALLOC(AT0, "4.0", "4.0", "0x2", "1", P(0004), "0x100")

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

static struct replay_prelude read_prelude(const char *before, const char *trace)
{
	char folder[] = "prelude.XXXXXX", path[64];
	struct replay_prelude prelude;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	write_file(folder, "prelude", before);
	write_file(folder, "trace", trace);
	snprintf(path, sizeof(path), "%s/trace", folder);
	ck_assert_msg(!replay_prelude_read(folder, path, &prelude, &error), "%s", error.text);
	unlink(path);
	snprintf(path, sizeof(path), "%s/prelude", folder);
	unlink(path);
	rmdir(folder);
	return prelude;
}

/* The free before the snapshot has the range's node, so its pool gets it: not the lower hole. */
START_TEST(node_from_prelude)
{
	struct replay_prelude prelude = read_prelude(AT0("2.0") GIVEN_UP(P(0004), "0x100"), AFTER);

	make_plan(AFTER, BEGIN);
	replay_prelude_apply(&prelude, &plan);
	settle(true, 0);
	ck_assert_uint_eq(report.verdicts[REPLAY_EXACT], 1);
	replay_prelude_free(&prelude);
	drop_plan();
}
END_TEST

/* Nobody has told the node: it is found, or missed where nothing may be inferred. */
START_TEST(node_from_addresses)
{
	make_plan(AFTER, BEGIN);
	settle(true, WORK);
	ck_assert_uint_eq(report.verdicts[REPLAY_INFERRED_START], 1);
	ck_assert_uint_eq(report.nodes_found, 1);
	drop_plan();
	make_plan(AFTER, BEGIN);
	settle(true, 0);
	ck_assert_uint_eq(unmatched(), 1);
	drop_plan();
}
END_TEST

#define EMPTIED K0("2.0") DECAY("0x1000", "1") K0("2.1") DECAY("0x2000", "1")

START_TEST(pools_emptied)
{
	static const struct {
		const char *before;
		bool empty;
	} cases[] = {
		{EMPTIED, true},
		{EMPTIED PURGE("2.2", "1"), false},
		{PURGE("1.2", "1") EMPTIED, true},
		{K0("1.0") DECAY("0x2000", "0") K0("2.0") DECAY("0x1000", "1"), false},
		{AT0("2.0") GIVEN_UP(P(0004), "0x100"), false},
	};
	struct replay_prelude prelude = read_prelude(cases[_i].before, AFTER);

	ck_assert_int_eq(prelude.pools_empty, cases[_i].empty);
	replay_prelude_free(&prelude);
	/* Without the marker nothing is known to be before it. */
	prelude = read_prelude(cases[_i].before, PURGE("3.0", "1"));
	ck_assert(!prelude.pools_empty);
	replay_prelude_free(&prelude);
}
END_TEST

/* ---- the model in a guest's place ---- */

START_TEST(in_model)
{
	struct replay_outcome outcome;

	make_plan(IN_TIME(AT1("4.2") GIVEN_UP(P(0002), "0x200"),
			  AT1("4.4") GIVEN_UP(P(0000), "0x100")),
		  NULL);
	settle(true, WORK);
	run_in_model(&outcome);
	ck_assert_uint_eq(outcome.exact + outcome.by_order, 5);
	ck_assert_uint_eq(outcome.other.count + outcome.failed, 0);
	ck_assert_uint_eq(outcome.audit_violations, 0);
	ck_assert_uint_gt(outcome.audit_checks, 0);
	ck_assert_uint_eq(outcome.final_area_count, 4); /* three in use, one lazy */
	replay_outcome_free(&outcome);
	drop_plan();

	/* Carried out by other rules than it was settled by, it does not come out right. */
	make_plan(THREE_OF_NODE_0 PURGE("4.0", "0")
			  ALLOC(AT0, "5.0", "5.0", "0x2", "1", P(0000), "0x100"),
		  NULL);
	settle(true, 0);
	plan.rules.small_empty = false;
	run_in_model(&outcome);
	ck_assert_uint_eq(outcome.other.count, 1);
	replay_outcome_free(&outcome);
	drop_plan();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("settle");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, pool_order);
	tcase_add_loop_test(tcase, decay_of_three, 0, 2);
	tcase_add_test(tcase, in_time);
	tcase_add_test(tcase, node_by_node);
	tcase_add_test(tcase, simultaneous);
	tcase_add_test(tcase, pools_of_the_start);
	tcase_add_test(tcase, decay_of_nothing);
	tcase_add_test(tcase, pool_away);
	tcase_add_loop_test(tcase, piece_by_piece, 0, 2);
	tcase_add_test(tcase, node_from_prelude);
	tcase_add_test(tcase, node_from_addresses);
	tcase_add_loop_test(tcase, pools_emptied, 0, 5);
	tcase_add_test(tcase, in_model);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
