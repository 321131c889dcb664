/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plans: the shipped traces against the linear model, and by hand every way in which calls nest,
 * overlap, fail, or are torn apart.
 */
#include "tests/vmm/replay/plan_text.h"

/* ---- the shipped traces ---- */

static const struct {
	const char *name;
	uint64_t allocs;
	uint64_t frees;
	uint64_t purges;
	size_t live; /* areas in use at the end by the model and by Linux */
	size_t live_in_linux;
	size_t live_in_both;
} shipped[] = {
	{"fork-1cpu", 1827, 1825, 1, 72, 72, 72},
	{"modules-2cpu", 261, 234, 899, 105, 102, 101},
	{"mixed-2cpu", 370, 362, 68, 87, 87, 87},
};

static void read_shipped(const char *name, struct vmallocinfo *end)
{
	struct vmallocinfo begin;
	char path[512];

	snprintf(path, sizeof(path), "%s/tests/data/%s/vmallocinfo.begin", test_top(), name);
	ck_assert_msg(!vmallocinfo_read(path, &begin, &error), "%s", error.text);
	snprintf(path, sizeof(path), "%s/tests/data/%s/vmallocinfo.end", test_top(), name);
	ck_assert_msg(!vmallocinfo_read(path, end, &error), "%s", error.text);
	snprintf(path, sizeof(path), "%s/tests/data/%s/trace", test_top(), name);
	ck_assert_msg(!replay_plan_read(path, &begin, &plan, &info, &error), "%s", error.text);
	ck_assert_ptr_null(replay_plan_check(&plan));
	vmallocinfo_free(&begin);
}

/* Carries the plan out on the model; every address has to be Linux's, bar @allowed. */
static void run_on_model(struct model *model)
{
	uint64_t *addresses = calloc(plan.area_count, sizeof(*addresses));
	const struct replay_area *area;
	const struct replay_op *op;
	size_t i;

	for (i = 0; i < plan.op_count; i++) {
		op = &plan.ops[i];
		area = &plan.areas[op->area];
		switch (op->type) {
		case REPLAY_MAP:
		case REPLAY_RESERVE:
			addresses[op->area] =
				model_alloc(model, area->va_bytes, area->align, area->vstart,
					    area->vend, op->type == REPLAY_MAP);
			ck_assert_msg(addresses[op->area] == area->address,
				      "line %lu: 0x%llx in Linux, 0x%llx in the model", area->line,
				      (unsigned long long)area->address,
				      (unsigned long long)addresses[op->area]);
			break;
		case REPLAY_FREE:
			ck_assert(model_free(model, addresses[op->area]));
			break;
		case REPLAY_DECAY:
		case REPLAY_RELEASE:
			break;
		case REPLAY_PURGE:
			model_purge(model);
			break;
		}
	}
	free(addresses);
}

START_TEST(model_finds_every_address_of_the_shipped_traces)
{
	size_t live = 0, live_in_linux = 0, both = 0, i;
	const struct vmallocinfo_area *there;
	struct vmallocinfo end;
	struct model model = {0};

	read_shipped(shipped[_i].name, &end);
	ck_assert_uint_eq(plan.allocs, shipped[_i].allocs);
	ck_assert_uint_eq(plan.maps, shipped[_i].allocs);
	ck_assert_uint_eq(plan.frees, shipped[_i].frees);
	ck_assert_uint_eq(plan.purges, shipped[_i].purges);
	ck_assert_uint_eq(plan.unknown_frees.count, 0);
	ck_assert_uint_eq(plan.conflicts.count, 0);
	ck_assert_uint_eq(plan.exits_without_enter + plan.enters_without_exit, 0);
	run_on_model(&model);
	for (i = 0; i < end.count; i++)
		live_in_linux += !(end.areas[i].flags & VMALLOCINFO_UNPURGED);
	for (i = 0; i < model.count; i++) {
		there = vmallocinfo_find(&end, model.areas[i].start);
		live += !model.areas[i].lazy;
		both += !model.areas[i].lazy && there && !(there->flags & VMALLOCINFO_UNPURGED) &&
			there->start == model.areas[i].start && there->end == model.areas[i].end;
	}
	ck_assert_uint_eq(live, shipped[_i].live);
	ck_assert_uint_eq(live_in_linux, shipped[_i].live_in_linux);
	ck_assert_uint_eq(both, shipped[_i].live_in_both);
	model_deinit(&model);
	vmallocinfo_free(&end);
	drop_plan();
}
END_TEST

/* The race that a replay in the order of exits gets wrong. */
START_TEST(two_cpus_racing_between_enter_and_exit_are_put_in_order)
{
	struct vmallocinfo end;
	size_t i;

	read_shipped("mixed-2cpu", &end);
	ck_assert_uint_eq(plan.reordered, 1);
	for (i = 0; i < plan.op_count && plan.ops[i].line != 254; i++)
		;
	ck_assert_uint_lt(i + 1, plan.op_count);
	ck_assert_uint_eq(plan.areas[plan.ops[i].area].address, 0xffffc90000428000);
	ck_assert_uint_eq(plan.ops[i + 1].line, 252);
	ck_assert_uint_eq(plan.areas[plan.ops[i + 1].area].address, 0xffffc90000430000);
	vmallocinfo_free(&end);
	drop_plan();
}
END_TEST

/* ---- the initial state ---- */

START_TEST(snapshot_becomes_maps_reservations_and_lazy_frees)
{
	expect("# tracer: nop\n",
	       P(0001) "-" P(0004) " 12288 a pages=2 vmalloc N0=2\n" P(0004) "-" P(
		       0006) " 8192 b phys=0x1 ioremap\n" P(0010) "-" P(0012) " 8192 unpurged "
									      "vm_area\n" P(0012) "-" P(
										      0014) " 8192 "
											    "pcpu "
											    "vmallo"
											    "c\n",
	       "M1 R4 R10 F10 R12");
	ck_assert_uint_eq(plan.initial_ops, 5);
	ck_assert_uint_eq(plan.initial_areas, 4);
	ck_assert_uint_eq(plan.areas[0].bytes, 8192);
	ck_assert_uint_eq(plan.areas[0].va_bytes, 12288);
	ck_assert_uint_eq(plan.areas[0].vstart, plan.areas[0].address);
	ck_assert_uint_eq(plan.areas[0].vend, plan.areas[0].address + 12288);
	ck_assert_uint_eq(plan.allocs + plan.frees, 0);
	drop_plan();
}
END_TEST

START_TEST(events_above_the_marker_are_the_snapshots)
{
	expect(A ENTER("8192", "1") A EXIT(P(0001)) B ENTER("4096", "1") A FREE(P(0007)) A
	       "tracing_mark_write: vmallocinfo captured\n" B EXIT(P(0005)) A FREE(P(0001)) A
	       "tracing_mark_write: vmallocinfo captured\n" A ENTER("8192", "1") A EXIT(P(0006)),
	       P(0001) "-" P(0003) " 8192 a pages=1 vmalloc\n" P(0003) "-" P(
		       0004) " 4096 unpurged vm_area\n",
	       "M1 R3 F3 R5 F1 R6");
	ck_assert_uint_eq(plan.before_snapshot, 4);
	ck_assert_uint_eq(plan.allocs, 2);
	ck_assert_uint_eq(plan.frees, 1);
	ck_assert_uint_eq(plan.unknown_frees.count, 0);
	drop_plan();
}
END_TEST

START_TEST(what_was_unpurged_at_the_marker_is_purged_later)
{
	expect(A ENTER("8192", "1") A EXIT(P(0005)) A PURGE_ENTER A PURGE_EXIT("1") A
	       "tracing_mark_write: vmallocinfo captured\n" A PURGE_ENTER A PURGE_EXIT("1")
		       A ENTER("4096", "1") A EXIT(P(0003)),
	       P(0003) "-" P(0004) " 4096 unpurged vm_area\n", "R3 F3 P R3");
	ck_assert_uint_eq(plan.area_count, 2);
	ck_assert_uint_eq(plan.ops[2].area, 1);
	ck_assert_uint_eq(plan.conflicts.count, 0);
	drop_plan();
}
END_TEST

START_TEST(without_a_snapshot_the_marker_changes_nothing)
{
	expect(A ENTER("8192", "1") A EXIT(P(0001)) A
	       "tracing_mark_write: vmallocinfo captured\n" A FREE(P(0001)) A FREE(P(0002)),
	       NULL, "R1 F1");
	ck_assert_uint_eq(plan.before_snapshot, 0);
	ck_assert_uint_eq(plan.unknown_frees.count, 1);
	ck_assert_uint_eq(plan.unknown_frees.first[0].address, 0xffffc90000002000);
	ck_assert_uint_eq(plan.unknown_frees.first[0].line, 5);
	drop_plan();
}
END_TEST

/* ---- allocations ---- */

START_TEST(vmalloc_maps_and_the_rest_reserves)
{
	const struct replay_area *area;

	expect(A VENTER("8489") A ENTER("16384", "16384") A EXIT(P(0004)) A VEXIT(P(0004))
		       A ENTER("8192", "1") A EXIT(P(0001)),
	       NULL, "M4 R1");
	area = &plan.areas[0];
	ck_assert_uint_eq(area->bytes, 8489);
	ck_assert_uint_eq(area->va_bytes, 16384);
	ck_assert_uint_eq(area->align, 16384);
	ck_assert_uint_eq(area->vstart, 0xffffc90000000000);
	ck_assert_uint_eq(area->vend, 0xffffe8ffffffffff);
	ck_assert_uint_eq(area->gfp, 0xdc0);
	ck_assert_uint_eq(area->prot, 0x63);
	ck_assert_int_eq(area->node, -1);
	ck_assert_uint_eq(area->line, 3);
	ck_assert_uint_eq(plan.areas[1].bytes, 0);
	drop_plan();
}
END_TEST

/* A page array: a vmalloc in a vmalloc. Each exit belongs to its own enter. */
START_TEST(nested_vmallocs_are_areas_of_their_own)
{
	expect(A VENTER("4194304") A ENTER("4198400", "1") A EXIT(P(1000)) A VENTER("8192")
		       A ENTER("12288", "1") A EXIT(P(0001)) A VEXIT(P(0001)) A VEXIT(P(1000)),
	       NULL, "M1000 M1");
	ck_assert_uint_eq(plan.areas[0].bytes, 4194304);
	ck_assert_uint_eq(plan.areas[1].bytes, 8192);
	drop_plan();
}
END_TEST

START_TEST(a_vmalloc_that_fails_later_only_reserved)
{
	expect(A VENTER("8192") A ENTER("12288", "1") A EXIT(P(0001)) A FREE(P(0001))
		       A VEXIT("0x0"),
	       NULL, "R1 F1");
	drop_plan();
	/* Huge pages first, small ones then: what is returned is the second. */
	expect(A VENTER("8192") A ENTER("12288", "1") A EXIT(P(0001)) A FREE(P(0001))
		       A ENTER("12288", "1") A EXIT(P(0004)) A VEXIT(P(0004)),
	       NULL, "R1 F1 M4");
	drop_plan();
}
END_TEST

START_TEST(a_vmalloc_does_not_take_what_was_there_before)
{
	/* The events between its enter and its exit are lost. */
	expect(A ENTER("8192", "1") A EXIT(P(0001)) A VENTER("4096") A VEXIT(P(0001)), NULL, "R1");
	drop_plan();
}
END_TEST

START_TEST(tasks_do_not_take_each_others_exits)
{
	expect(A VENTER("4096") B VENTER("8192") A ENTER("8192", "1") B ENTER("12288", "1")
		       A EXIT(P(0001)) B EXIT(P(0003)) B VEXIT(P(0003)) A VEXIT(P(0001)),
	       NULL, "M1 M3");
	ck_assert_uint_eq(plan.areas[0].va_bytes, 8192);
	ck_assert_uint_eq(plan.areas[0].bytes, 4096);
	ck_assert_uint_eq(plan.areas[1].va_bytes, 12288);
	ck_assert_uint_eq(plan.areas[1].bytes, 8192);
	drop_plan();
	/* Every CPU has a task 0. */
	expect(ON("0 ", "0") ENTER("8192", "1") ON("0 ", "1") ENTER("4096", "1") ON("0 ", "0")
		       EXIT(P(0001)) ON("0 ", "1") EXIT(P(0003)),
	       NULL, "R1 R3");
	ck_assert_uint_eq(plan.areas[0].va_bytes, 8192);
	drop_plan();
}
END_TEST

START_TEST(failures_are_expected_to_fail_again)
{
	expect(A ENTER("8192", "1") A FAILED, NULL, "R!");
	ck_assert_uint_eq(plan.allocs, 1);
	ck_assert_uint_eq(plan.expected_failures, 1);
	drop_plan();
}
END_TEST

START_TEST(torn_calls_are_counted)
{
	expect(A EXIT(P(0001)) A VEXIT(P(0001)) A PURGE_EXIT("1") A VENTER("4096")
		       A ENTER("8192", "1") A VEXIT("0x0") A ENTER("8192", "1"),
	       NULL, "");
	ck_assert_uint_eq(plan.exits_without_enter, 3);
	ck_assert_uint_eq(plan.enters_without_exit, 2);
	drop_plan();
}
END_TEST

START_TEST(an_address_given_out_twice_is_a_conflict)
{
	expect(A ENTER("8192", "1") A EXIT(P(0001)) A ENTER("8192", "1") A EXIT(P(0002))
		       A FREE(P(0002)),
	       NULL, "R1 R2 F2");
	ck_assert_uint_eq(plan.conflicts.count, 1);
	ck_assert_uint_eq(plan.conflicts.first[0].address, 0xffffc90000002000);
	ck_assert_uint_eq(plan.conflicts.first[0].line, 4);
	drop_plan();
}
END_TEST

/* Where a range is given out that is lazy by the trace, there was a purge. */
START_TEST(a_purge_that_the_trace_lost_is_known_by_its_effect)
{
	expect(A ENTER("8192", "1") A EXIT(P(0001)) A FREE(P(0001)) A ENTER("8192", "1")
		       A EXIT(P(0001)),
	       NULL, "R1 F1 P R1");
	ck_assert_uint_eq(plan.implied_purges, 1);
	ck_assert_uint_eq(plan.purges, 0);
	ck_assert_uint_eq(plan.conflicts.count, 0);
	drop_plan();
	/* The tracepoint of a purge may come later than its effect. */
	expect(B TP_FREE(P(0009)) A TP_ALLOC("0xffffc90000001000", "8192", "0") A TP_FREE(P(0001))
		       A TP_ALLOC("0xffffc90000001000", "8192", "0")
			       B TP_PURGE(P(0001), P(0003), "1"),
	       NULL, "R1 F1 P R1");
	ck_assert_uint_eq(plan.implied_purges, 0);
	ck_assert_uint_eq(plan.purges, 1);
	drop_plan();
}
END_TEST

static Suite *plan_suite(void)
{
	Suite *suite = suite_create("replay_plan");
	TCase *whole = tcase_create("shipped"), *parts = tcase_create("parts");

	tcase_add_loop_test(whole, model_finds_every_address_of_the_shipped_traces, 0, 3);
	tcase_add_test(whole, two_cpus_racing_between_enter_and_exit_are_put_in_order);
	tcase_set_timeout(parts, 30);
	suite_add_tcase(suite, whole);
	tcase_add_test(parts, snapshot_becomes_maps_reservations_and_lazy_frees);
	tcase_add_test(parts, events_above_the_marker_are_the_snapshots);
	tcase_add_test(parts, what_was_unpurged_at_the_marker_is_purged_later);
	tcase_add_test(parts, without_a_snapshot_the_marker_changes_nothing);
	tcase_add_test(parts, vmalloc_maps_and_the_rest_reserves);
	tcase_add_test(parts, nested_vmallocs_are_areas_of_their_own);
	tcase_add_test(parts, a_vmalloc_that_fails_later_only_reserved);
	tcase_add_test(parts, a_vmalloc_does_not_take_what_was_there_before);
	tcase_add_test(parts, tasks_do_not_take_each_others_exits);
	tcase_add_test(parts, failures_are_expected_to_fail_again);
	tcase_add_test(parts, torn_calls_are_counted);
	tcase_add_test(parts, an_address_given_out_twice_is_a_conflict);
	tcase_add_test(parts, a_purge_that_the_trace_lost_is_known_by_its_effect);
	suite_add_tcase(suite, parts);
	return suite;
}

int main(void)
{
	return harness_run(plan_suite());
}
