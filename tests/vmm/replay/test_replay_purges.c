/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plans by hand: frees and purges, Linux's tracepoints, and what is refused. */
#include "tests/vmm/replay/plan_text.h"

/* ---- frees and purges ---- */

START_TEST(a_second_free_is_of_an_unknown_address)
{
	expect(A ENTER("8192", "1") A EXIT(P(0001)) A FREE(P(0001)) A FREE(P(0001)) A
	       "vfree: addr=" P(0001) "\n" A "vfree: addr=0x0\n",
	       NULL, "R1 F1");
	ck_assert_uint_eq(plan.unknown_frees.count, 1);
	ck_assert_uint_eq(plan.vfrees, 2);
	drop_plan();
}
END_TEST

START_TEST(a_purge_stands_where_it_began)
{
	/* B frees while A purges: too late for this purge. */
	expect(A ENTER("8192", "1") A EXIT(P(0001)) A ENTER("8192", "1") A EXIT(P(0003))
		       A FREE(P(0001)) A PURGE_ENTER B FREE(P(0003)) A PURGE_EXIT("1"),
	       NULL, "R1 R3 F1 P F3");
	ck_assert_uint_eq(plan.purges, 1);
	drop_plan();
}
END_TEST

START_TEST(a_purge_that_found_nothing_is_none)
{
	/* B's free had been entered, but was not on the list yet. */
	expect(A ENTER("8192", "1") A EXIT(P(0001)) B FREE(P(0001)) A PURGE_ENTER A PURGE_EXIT("0"),
	       NULL, "R1 F1");
	ck_assert_uint_eq(plan.purges, 1);
	drop_plan();
	/* Nothing to find: it stays. */
	expect(A PURGE_ENTER A PURGE_EXIT("0"), NULL, "P");
	drop_plan();
}
END_TEST

START_TEST(an_allocation_during_a_purge_goes_before_it_unless_it_profits)
{
	/* B does not get the range that A is about to give back. */
	expect(A ENTER("8192", "1") A EXIT(P(0001)) A FREE(P(0001))
		       A PURGE_ENTER B ENTER("8192", "1") B EXIT(P(0003)) A PURGE_EXIT("1"),
	       NULL, "R1 F1 R3 P");
	ck_assert_uint_eq(plan.reordered, 1);
	drop_plan();
	/* It gets it: the range had gone back already. */
	expect(A ENTER("8192", "1") A EXIT(P(0001)) A FREE(P(0001))
		       A PURGE_ENTER B ENTER("8192", "1") B EXIT(P(0001)) A PURGE_EXIT("1"),
	       NULL, "R1 F1 P R1");
	ck_assert_uint_eq(plan.reordered, 0);
	drop_plan();
	/* B was held up: it chose before the purge ended, and returned after it. */
	expect(A ENTER("8192", "1") A EXIT(P(0001)) A FREE(P(0001)) B ENTER("8192", "1")
		       A PURGE_ENTER A PURGE_EXIT("1") B EXIT(P(0003)),
	       NULL, "R1 F1 R3 P");
	drop_plan();
}
END_TEST

/* What it got from the purge outweighs that another allocation got a higher address before. */
START_TEST(an_allocation_stays_behind_the_purge_it_profits_from)
{
	expect(A ENTER("8192", "1") A EXIT(P(0001)) A FREE(P(0001)) B ENTER("8192", "1")
		       A ENTER("4096", "1") A EXIT(P(0005)) A PURGE_ENTER A PURGE_EXIT("1")
			       B EXIT(P(0001)),
	       NULL, "R1 F1 R5 P R1");
	ck_assert_uint_eq(plan.reordered, 0);
	drop_plan();
}
END_TEST

START_TEST(an_open_purge_is_found_again_behind_what_went_before_it)
{
	expect(A ENTER("8192", "1") A EXIT(P(0001)) B FREE(P(0001))
		       A PURGE_ENTER B ENTER("8192", "1") B EXIT(P(0003)) A PURGE_EXIT("0"),
	       NULL, "R1 F1 R3");
	drop_plan();
}
END_TEST

START_TEST(a_purge_that_took_a_later_free_is_moved_behind_it)
{
	expect(A ENTER("8192", "1") A EXIT(P(0001)) A ENTER("8192", "1") A EXIT(P(0003))
		       A FREE(P(0001)) A PURGE_ENTER B FREE(P(0003)) A PURGE_EXIT("1")
			       B ENTER("8192", "1") B EXIT(P(0003)),
	       NULL, "R1 R3 F1 F3 P R3");
	ck_assert_uint_eq(plan.conflicts.count, 0);
	drop_plan();
}
END_TEST

START_TEST(a_purge_that_missed_an_earlier_free_is_known_by_what_is_not_given_out)
{
	/* Page 1 would be lower: it was not on the list yet. */
	expect(A ENTER("8192", "1") A EXIT(P(0001)) A ENTER("8192", "1") A EXIT(P(0003))
		       B FREE(P(0001)) A FREE(P(0003)) A PURGE_ENTER A PURGE_EXIT("1")
			       A ENTER("8192", "1") A EXIT(P(0003)),
	       NULL, "R1 R3 F3 P F1 R3");
	drop_plan();
	/* Here it was: B has done something else since. */
	expect(A ENTER("8192", "1") A EXIT(P(0001)) A ENTER("8192", "1") A EXIT(P(0003))
		       B FREE(P(0001)) B VENTER("1") A FREE(P(0003)) A PURGE_ENTER A PURGE_EXIT("1")
			       A ENTER("8192", "1") A EXIT(P(0003)),
	       NULL, "R1 R3 F1 F3 P R3");
	drop_plan();
	/* Another call is open, which may be the one that has page 1: nothing is known. */
	expect(A ENTER("8192", "1") A EXIT(P(0001)) A ENTER("8192", "1") A EXIT(P(0003))
		       B FREE(P(0001)) A FREE(P(0003)) A PURGE_ENTER A PURGE_EXIT("1")
			       C ENTER("8192", "1") A ENTER("8192", "1") A EXIT(P(0003)),
	       NULL, "R1 R3 F1 F3 P R3");
	drop_plan();
}
END_TEST

/* An aligned area needs a hole with slack: the purge took the neighbour, too. */
START_TEST(a_purge_that_took_a_later_free_is_known_by_the_slack_of_an_alignment)
{
	expect(A ENTER("16384", "1") A EXIT(P(0000)) A ENTER("20480", "16384") A EXIT(P(0004))
		       A ENTER("16384", "1") A EXIT(P(0009)) A ENTER("4096", "1") A EXIT(P(000d))
			       A FREE(P(0004)) A PURGE_ENTER B FREE(P(0009)) A PURGE_EXIT("1")
				       B ENTER("20480", "16384") B EXIT(P(0004)),
	       NULL, "R0 R4 R9 Rd F4 F9 P R4");
	drop_plan();
	expect(A ENTER("16384", "1") A EXIT(P(0001)) A ENTER("12288", "1") A EXIT(P(0005))
		       A ENTER("24576", "1") A EXIT(P(0008)) A ENTER("4096", "1") A EXIT(P(000e))
			       A FREE(P(0008)) A PURGE_ENTER B FREE(P(0005)) A PURGE_EXIT("1")
				       B ENTER("20480", "16384") B EXIT(P(0008)),
	       NULL, "R1 R5 R8 Re F8 F5 P R8");
	drop_plan();
}
END_TEST

START_TEST(overlapping_allocations_are_ordered_by_address)
{
	/* B returned first with the higher address, so A had chosen before. */
	expect(A ENTER("8192", "1") B ENTER("8192", "1") B EXIT(P(0003)) A EXIT(P(0001)), NULL,
	       "R1 R3");
	ck_assert_uint_eq(plan.reordered, 1);
	drop_plan();
	/* No overlap: nothing to choose, whatever the addresses. */
	expect(B ENTER("8192", "1") B EXIT(P(0003)) A ENTER("8192", "1") A EXIT(P(0001)), NULL,
	       "R3 R1");
	ck_assert_uint_eq(plan.reordered, 0);
	drop_plan();
}
END_TEST

/* ---- Linux's tracepoints ---- */

START_TEST(tracepoints_make_a_plan_too)
{
	expect(A TP_ALLOC("0xffffc90000001000", "8192", "0")
		       A TP_ALLOC("0xffffc90000003000", "4096", "0") A TP_FREE(P(0001))
			       A TP_PURGE(P(0001), P(0003), "1") A TP_FREE(P(0003)),
	       NULL, "R1 R3 F1 P F3");
	drop_plan();
}
END_TEST

START_TEST(a_search_that_a_purge_made_good_is_no_failure)
{
	expect(A TP_ALLOC("0", "8192", "1") A TP_PURGE("0x1", "0x0", "0")
		       A TP_ALLOC("0xffffc90000001000", "8192", "0"),
	       NULL, "P R1");
	ck_assert_uint_eq(plan.retries, 1);
	ck_assert_uint_eq(plan.allocs, 1);
	ck_assert_uint_eq(plan.expected_failures, 0);
	drop_plan();
	/* It failed for good: one failure, not two. */
	expect(A TP_ALLOC("0", "8192", "1") A TP_PURGE("0x1", "0x0", "0")
		       A TP_ALLOC("0", "8192", "1"),
	       NULL, "P R!");
	ck_assert_uint_eq(plan.expected_failures, 1);
	drop_plan();
	expect(A TP_ALLOC("0", "8192", "1") A TP_PURGE("0x1", "0x0", "0")
		       A TP_ALLOC("0xffffc90000001000", "4096", "0"),
	       NULL, "R! P R1");
	drop_plan();
	/* Another request, or no purge between: two allocations. */
	expect(A TP_ALLOC("0", "8192", "1") A TP_ALLOC("0xffffc90000001000", "8192", "0"), NULL,
	       "R! R1");
	drop_plan();
}
END_TEST

START_TEST(a_probe_and_a_tracepoint_are_one_event)
{
	expect(A ENTER("8192", "1") A TP_ALLOC("0xffffc90000001000", "8192", "0") A EXIT(P(0001))
		       A FREE(P(0001)) A TP_FREE(P(0001))
			       A PURGE_ENTER A TP_PURGE(P(0001), P(0003), "1") A PURGE_EXIT("1"),
	       NULL, "R1 F1 P");
	ck_assert_uint_eq(plan.duplicates, 3);
	ck_assert_uint_eq(plan.unknown_frees.count, 0);
	drop_plan();
}
END_TEST

START_TEST(what_a_tracepoint_did_not_purge_stays_lazy)
{
	expect(A TP_ALLOC("0xffffc90000001000", "8192", "0")
		       A TP_ALLOC("0xffffc90000003000", "4096", "0") A TP_FREE(P(0003))
			       A TP_FREE(P(0001)) A TP_PURGE(P(0001), P(0003), "1"),
	       NULL, "R1 R3 F1 P F3");
	drop_plan();
}
END_TEST

/* ---- bad input ---- */

static const struct {
	const char *text;
	unsigned long line;
	const char *what;
} bad[] = {
	{A ENTER("8191", "1") A EXIT(P(0001)), 1, "whole pages"},
	{A ENTER("0", "1") A EXIT(P(0001)), 1, "whole pages"},
	{A ENTER("4096", "0") A EXIT(P(0001)), 1, "power of two"},
	{A ENTER("4096", "12288") A EXIT(P(0001)), 1, "power of two"},
	{A "alloc_vmap_area_enter: size=4096 align=1 vstart=0x2000 vend=0x2000\n" A EXIT("0x2000"),
	 1, "vstart="},
	{A ENTER("4096", "1") A EXIT("0xffffc90000001800"), 2, "aligned"},
	{A ENTER("4096", "16384") A EXIT(P(0001)), 2, "aligned"},
	{A ENTER("4096", "1") A EXIT("0x0"), 2, "aligned"},
	{A ENTER("4096", "1") A EXIT("0x1000"), 2, "window"},
	{A ENTER("4096", "1") A EXIT("0xffffe8fffffff000"), 2, "window"},
	{A "alloc_vmap_area_enter: size=0xfffffffffffff000 align=1 vstart=0x1 "
	   "vend=0xffffffffffffffff\n" A EXIT("0x2000"),
	 2, "window"},
	{A VENTER("8193") A ENTER("8192", "1") A EXIT(P(0001)) A VEXIT(P(0001)), 1, "does not fit"},
	{A VENTER("0") A ENTER("8192", "1") A EXIT(P(0001)) A VEXIT(P(0001)), 1, "does not fit"},
	{A TP_ALLOC("0xffffc90000000800", "8192", "0"), 1, "aligned"},
	{A ENTER("4096", "1") A "vfr\n", 2, "cut short"},
};

START_TEST(what_cannot_be_an_allocation_is_refused_with_its_line)
{
	ck_assert_int_eq(read_plan(bad[_i].text, NULL), -EINVAL);
	assert_error(error.text, scratch_path, bad[_i].line, bad[_i].what);
}
END_TEST

START_TEST(a_missing_trace_is_named)
{
	ck_assert_int_eq(replay_plan_read("/nonexistent/trace", NULL, &plan, &info, &error),
			 -ENOENT);
	assert_error(error.text, "/nonexistent/trace", 0, "No such file");
}
END_TEST

/* Enough for work that grows with the square to take minutes. */
#define SLOW_CALLS 10000

/* A trace made to be slow: calls that stay open while thousands of operations go by. */
START_TEST(open_calls_do_not_make_plans_slow)
{
	char *text;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	unsigned int i;

	for (i = 0; i < SLOW_CALLS; i++)
		fprintf(file, "            task-%-7u [000] .....     1.000000: " ENTER("4096", "1"),
			i + 1);
	for (i = 0; i < SLOW_CALLS; i++)
		fprintf(file,
			"            task-%-7u [000] .....     1.000000: "
			"alloc_vmap_area_exit: va=0xffff888100000000 va_start=0x%llx\n",
			i + 1, 0xffffc90000000000ull + 4096ull * (SLOW_CALLS - i));
	fclose(file);
	make_plan(text, NULL);
	ck_assert_uint_eq(plan.allocs, SLOW_CALLS);
	free(text);
	drop_plan();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("replay_purges");
	TCase *parts = tcase_create("all");

	tcase_add_test(parts, a_second_free_is_of_an_unknown_address);
	tcase_add_test(parts, a_purge_stands_where_it_began);
	tcase_add_test(parts, a_purge_that_found_nothing_is_none);
	tcase_add_test(parts, an_allocation_during_a_purge_goes_before_it_unless_it_profits);
	tcase_add_test(parts, an_allocation_stays_behind_the_purge_it_profits_from);
	tcase_add_test(parts, an_open_purge_is_found_again_behind_what_went_before_it);
	tcase_add_test(parts, a_purge_that_took_a_later_free_is_moved_behind_it);
	tcase_add_test(parts,
		       a_purge_that_missed_an_earlier_free_is_known_by_what_is_not_given_out);
	tcase_add_test(parts, a_purge_that_took_a_later_free_is_known_by_the_slack_of_an_alignment);
	tcase_add_test(parts, overlapping_allocations_are_ordered_by_address);
	tcase_add_test(parts, tracepoints_make_a_plan_too);
	tcase_add_test(parts, a_search_that_a_purge_made_good_is_no_failure);
	tcase_add_test(parts, a_probe_and_a_tracepoint_are_one_event);
	tcase_add_test(parts, what_a_tracepoint_did_not_purge_stays_lazy);
	tcase_add_loop_test(parts, what_cannot_be_an_allocation_is_refused_with_its_line, 0,
			    sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(parts, a_missing_trace_is_named);
	tcase_add_test(parts, open_calls_do_not_make_plans_slow);
	tcase_set_timeout(parts, 30);
	suite_add_tcase(suite, parts);
	return harness_run(suite);
}
