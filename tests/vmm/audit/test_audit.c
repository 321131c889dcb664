/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The auditor on the simulated core: a core in which all is right passes; every planted fault is
 * named by the right check at the right address; what it remembers and counts is right.
 */
#include "tests/harness.h"

#include <errno.h>
#include <string.h>

#include "tests/vmm/audit/faults.h"

/* ---- all is right ---- */

START_TEST(a_core_just_started_is_right)
{
	const struct sim_config config = sim_default_config(1);
	struct sim *sim = sim_create(&config);
	struct core_source *source = core_source_create(sim);
	struct audit *audit = audit_create();
	struct audit_result result;

	ck_assert_int_eq(audit_run(audit, source->inspector, AUDIT_ALL, 0, &result), 0);
	ck_assert_uint_eq(result.violations, 0);
	ck_assert_uint_eq(result.checks, AUDIT_NR_CHECKS);
	ck_assert_uint_eq(result.check_items[AUDIT_FRAMES], 2 * (64ull << 20) / PAGE_SIZE);
	audit_destroy(audit);
	core_source_destroy(source);
	sim_destroy(sim);
}
END_TEST

/*
 * Nowhere below 4 MiB are 2 MiB in one piece for the struct pages, so the zone gives these frames
 * up when it is asked for one. Where there would be room, the same is a fault.
 */
START_TEST(a_section_without_room_is_given_up)
{
	const bool room = _i;
	struct sim_config config = {.nr_cpus = 1};
	struct core_source *source;
	struct audit *audit = audit_create();
	struct audit_result result;
	struct fresh_span *span;
	struct sim *sim;

	sim_add_ram(&config, 0, 4ull << 20, 0);
	sim_add_ram(&config, 4ull << 30, 64ull << 20, 0);
	sim_add_reserved(&config, room ? 1ull << 20 : 2ull << 20, PAGE_SIZE, RESERVED_BOOT);
	sim = sim_create(&config);
	source = core_source_create(sim);
	span = &sim->mm.node[0].zone[ZONE_DMA].span[1];
	if (room)
		span->start_pfn = span->end_pfn;
	else
		ck_assert_ptr_null(alloc_pages(&sim->mm, GFP_KERNEL | GFP_DMA | __GFP_NOWARN, 0,
					       NUMA_NO_NODE, PAGE_OTHER, NULL));
	ck_assert_uint_eq(span->start_pfn, span->end_pfn);
	ck_assert_uint_lt(span->first_pfn, span->end_pfn);
	ck_assert_int_eq(audit_run(audit, source->inspector, AUDIT_BIT(AUDIT_FRAMES), 0, &result),
			 0);
	ck_assert_int_eq(result.violations != 0, room);
	audit_destroy(audit);
	core_source_destroy(source);
	sim_destroy(sim);
}
END_TEST

START_TEST(a_core_with_everything_in_it_is_right)
{
	struct mix *mix = mix_create();
	struct audit_result result = mix_audit(mix);

	if (result.violations)
		mix_print(mix);
	ck_assert_uint_eq(result.violations, 0);
	/* Every check had something to look at. */
	for (int i = 0; i < AUDIT_NR_CHECKS; i++)
		ck_assert_msg(result.check_items[i] > 0, "%s", audit_checks()[i].name);
	ck_assert_uint_eq(result.check_items[AUDIT_FRAMES], mix->mm->total_pages);
	mix_destroy(mix);
}
END_TEST

/* Allocations and frees in random order, audited as they go. */
START_TEST(a_core_at_work_stays_right)
{
	struct mix *mix = mix_create();
	unsigned int seed = 20261122, count = 0;
	u64 live[256];

	for (int i = 0; i < 4000; i++) {
		struct vmalloc_request request = {
			.size = (1 + (u64)rand_r(&seed) % 60) * PAGE_SIZE,
			.align = 1ull << rand_r(&seed) % 16,
			.start = VMALLOC_START,
			.end = VMALLOC_END,
			.prot = PAGE_KERNEL,
			.gfp = GFP_KERNEL,
			.node = rand_r(&seed) % 3 - 1,
		};

		if (count == 256 || (count && rand_r(&seed) % 2)) {
			unsigned int at = (unsigned int)rand_r(&seed) % count;

			ck_assert_int_eq(vfree(mix->mm, live[at]), 0);
			live[at] = live[--count];
		} else {
			ck_assert_int_eq(vmalloc_node_range(mix->mm, &request, &live[count]), 0);
			count++;
		}
		if (rand_r(&seed) % 50 == 0)
			vmap_purge(mix->mm);
		if (i % 100 != 99)
			continue;
		core_source_refresh(mix->source);
		if (mix_audit(mix).violations)
			mix_print(mix);
		ck_assert_uint_eq(audit_total_violations(mix->audit), 0);
	}
	mix_destroy(mix);
}
END_TEST

START_TEST(what_was_asked_for_is_found)
{
	struct mix *mix = mix_create();
	const struct audit_expectation expectation = {
		.address = mix->inlined,
		.size = 10 * PAGE_SIZE - 5,
		.align = PAGE_SIZE,
		.start = mix->inlined,
		.end = mix->inlined + 11 * PAGE_SIZE,
		.gfp = GFP_KERNEL | __GFP_THISNODE,
		.node = 0,
	};

	ck_assert_int_eq(audit_expect(mix->audit, &expectation), 0);
	ck_assert_int_eq(audit_expect(mix->audit, &expectation), -EEXIST);
	ck_assert_uint_eq(mix_audit(mix).violations, 0);
	ck_assert(audit_unexpect(mix->audit, mix->inlined));
	ck_assert(!audit_unexpect(mix->audit, mix->inlined));
	mix_destroy(mix);
}
END_TEST

/* The table of expectations against a plain array. */
START_TEST(expectations_come_and_go)
{
	struct mix *mix = mix_create();
	unsigned int seed = 7;
	bool there[2000] = {false};

	for (int i = 0; i < 50000; i++) {
		unsigned int at = (unsigned int)rand_r(&seed) % 2000;
		const struct audit_expectation expectation = {
			.address = VMALLOC_START + at * PAGE_SIZE, .size = PAGE_SIZE, .node = -1};

		if (rand_r(&seed) % 2) {
			ck_assert_int_eq(audit_expect(mix->audit, &expectation),
					 there[at] ? -EEXIST : 0);
			there[at] = true;
		} else {
			ck_assert_int_eq(audit_unexpect(mix->audit, expectation.address),
					 there[at]);
			there[at] = false;
		}
	}
	mix_destroy(mix);
}
END_TEST

/* ---- faults ---- */

static void plant_and_find(const struct fault *fault)
{
	struct mix *mix = mix_create();
	struct audit_result result;
	u64 address;

	ck_assert_uint_eq(mix_audit(mix).violations, 0);
	address = fault->plant(mix);
	result = mix_audit(mix);
	if (!mix_has(mix, fault->check, address, fault->text)) {
		mix_print(mix);
		ck_abort_msg("%s: %s did not name %#llx: %s", fault->name,
			     audit_checks()[fault->check].name, (unsigned long long)address,
			     fault->text);
	}
	ck_assert_uint_ge(result.check_violations[fault->check], 1);
	mix_destroy(mix);
}

static const struct fault *const lists[] = {
	tile_faults, leaf_faults, frame_faults, object_faults, table_faults, user_faults,
};

/* The fault number @index of all, or NULL after the last. */
static const struct fault *fault_at(size_t index)
{
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		for (const struct fault *fault = lists[i]; fault->name; fault++) {
			if (index-- == 0)
				return fault;
		}
	}
	return NULL;
}

static size_t count_faults(void)
{
	size_t count = 0;

	while (fault_at(count))
		count++;
	return count;
}

START_TEST(a_planted_fault_is_named)
{
	plant_and_find(fault_at((size_t)_i));
}
END_TEST

START_TEST(every_check_has_planted_faults)
{
	unsigned int planted[AUDIT_NR_CHECKS] = {0};

	for (size_t i = 0; i < count_faults(); i++)
		planted[fault_at(i)->check]++;
	for (int i = 0; i < AUDIT_NR_CHECKS; i++)
		ck_assert_msg(planted[i] >= (i >= AUDIT_ZONES && i != AUDIT_USERS ? 2u : 5u),
			      "%s has %u", audit_checks()[i].name, planted[i]);
}
END_TEST

/* ---- what is remembered ---- */

START_TEST(the_first_operation_is_remembered)
{
	struct mix *mix = mix_create();
	const struct audit_violation *violation;
	struct audit_result result;
	char text[256];

	mix->mm->vmap.nr_busy++;
	for (u64 operation = 40; operation < 43; operation++)
		ck_assert_int_eq(audit_run(mix->audit, mix->source->inspector, AUDIT_ALL, operation,
					   &result),
				 0);
	ck_assert_uint_eq(result.violations, 1);
	ck_assert_uint_eq(audit_total_violations(mix->audit), 3);
	ck_assert_uint_eq(audit_runs(mix->audit), 3);
	ck_assert_uint_eq(audit_total_checks(mix->audit), 3 * AUDIT_NR_CHECKS);
	ck_assert_uint_eq(audit_violation_count(mix->audit), 1);
	violation = audit_violation_at(mix->audit, 0);
	ck_assert_uint_eq(violation->operation, 40);
	ck_assert_uint_eq(violation->seen, 3);
	ck_assert_uint_eq(violation->found, violation->expected + 1);
	audit_violation_format(violation, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "free-tree: "));
	ck_assert_ptr_nonnull(strstr(text, "first after operation 40"));
	mix_destroy(mix);
}
END_TEST

START_TEST(more_violations_than_are_kept_are_counted)
{
	struct mix *mix = mix_create();
	struct audit_result result;

	for (u64 i = 0; i < 1000; i++)
		mix_page(mix, mix->nested + i * PAGE_SIZE)->refcount = 9;
	result = mix_audit(mix);
	ck_assert_uint_eq(result.check_violations[AUDIT_FRAMES], 1000);
	ck_assert_uint_eq(audit_violation_count(mix->audit), AUDIT_KEPT_PER_CHECK);
	mix_destroy(mix);
}
END_TEST

START_TEST(only_the_checks_asked_for_run)
{
	struct mix *mix = mix_create();
	struct audit_result result;

	mix->mm->vmap.nr_busy++;
	mix->mm->pt.nr_tables++;
	ck_assert_int_eq(
		audit_run(mix->audit, mix->source->inspector, AUDIT_BIT(AUDIT_TABLES), 0, &result),
		0);
	ck_assert_uint_eq(result.checks, 1);
	ck_assert_uint_eq(result.violations, 1);
	ck_assert_uint_eq(result.check_violations[AUDIT_TABLES], 1);
	mix_destroy(mix);
}
END_TEST

/* Refuses to go on when *@context checks have run. */
static bool run_some(void *context, unsigned int done, unsigned int total)
{
	ck_assert_uint_eq(total, AUDIT_NR_CHECKS);
	return done < *(unsigned int *)context;
}

START_TEST(an_audit_ends_when_nobody_wants_the_rest)
{
	struct mix *mix = mix_create();
	struct inspector *inspector = mix->source->inspector;
	struct audit_result result;
	unsigned int wanted = 3;

	mix->mm->vmap.nr_busy++;
	mix->mm->pt.nr_tables++;
	audit_ask(mix->audit, run_some, &wanted);
	ck_assert_int_eq(audit_run(mix->audit, inspector, AUDIT_ALL, 0, &result), 0);
	ck_assert(result.ended);
	ck_assert_uint_eq(result.checks, 3);
	ck_assert_uint_gt(result.violations, 0);
	ck_assert_uint_eq(result.check_violations[AUDIT_TABLES], 0);
	audit_ask(mix->audit, NULL, NULL);
	ck_assert_int_eq(audit_run(mix->audit, inspector, AUDIT_ALL, 0, &result), 0);
	ck_assert(!result.ended);
	ck_assert_uint_eq(result.check_violations[AUDIT_TABLES], 1);
	mix_destroy(mix);
}
END_TEST

START_TEST(checks_have_names)
{
	struct error error;
	uint32_t which = 0;

	ck_assert_int_eq(audit_parse_checks("all", &which, &error), 0);
	ck_assert_uint_eq(which, AUDIT_ALL);
	ck_assert_int_eq(audit_parse_checks("frames,free-tree", &which, &error), 0);
	ck_assert_uint_eq(which, AUDIT_BIT(AUDIT_FRAMES) | AUDIT_BIT(AUDIT_FREE_TREE));
	ck_assert_int_eq(audit_parse_checks("frames,trees", &which, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "\"trees\""));
	ck_assert_int_eq(audit_parse_checks("", &which, &error), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("audit");
	TCase *right = tcase_create("right"), *faults = tcase_create("faults");

	tcase_set_timeout(right, 120);
	tcase_add_test(right, a_core_just_started_is_right);
	tcase_add_loop_test(right, a_section_without_room_is_given_up, 0, 2);
	tcase_add_test(right, a_core_with_everything_in_it_is_right);
	tcase_add_test(right, a_core_at_work_stays_right);
	tcase_add_test(right, what_was_asked_for_is_found);
	tcase_add_test(right, expectations_come_and_go);
	tcase_add_test(right, the_first_operation_is_remembered);
	tcase_add_test(right, more_violations_than_are_kept_are_counted);
	tcase_add_test(right, only_the_checks_asked_for_run);
	tcase_add_test(right, an_audit_ends_when_nobody_wants_the_rest);
	tcase_add_test(right, checks_have_names);
	suite_add_tcase(suite, right);
	tcase_set_timeout(faults, 60);
	tcase_add_loop_test(faults, a_planted_fault_is_named, 0, (int)count_faults());
	tcase_add_test(faults, every_check_has_planted_faults);
	suite_add_tcase(suite, faults);
	return harness_run(suite);
}
