/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An auditor without memory: whichever allocation fails, the run says so and is not counted, and
 * the next run is whole. Linked with calloc() and realloc() wrapped.
 */
#include "tests/harness.h"

#include <errno.h>

#include "tests/vmm/inspect/core_mix.h"

static long until_failure; /* counts down to the call that fails; 0: none */

void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

static bool fails_now(void)
{
	return until_failure > 0 && --until_failure == 0;
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return fails_now() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
	return fails_now() ? NULL : __real_realloc(old, bytes);
}

START_TEST(an_audit_without_memory_says_so)
{
	struct mix *mix = mix_create();
	struct audit_result result = {.checks = 99};
	long failed = 0;
	int err;

	/* A mapped image makes the last check allocate too. */
	mix_map(mix, NB_IMAGE_BASE + MIX_IMAGE_PHYS, MIX_IMAGE_PHYS, PAGE_KERNEL_ROX);
	core_source_refresh(mix->source);
	for (long nth = 1;; nth++) {
		until_failure = nth;
		err = audit_run(mix->audit, mix->source->inspector, AUDIT_ALL, 0, &result);
		if (!err)
			break;
		ck_assert_int_eq(err, -ENOMEM);
		ck_assert_uint_eq(result.checks, 99);
		ck_assert_uint_eq(audit_runs(mix->audit), 0);
		failed++;
	}
	until_failure = 0;
	ck_assert_int_gt(failed, 8);
	ck_assert_uint_eq(result.violations, 0);
	ck_assert_uint_eq(audit_runs(mix->audit), 1);
	mix_destroy(mix);
}
END_TEST

START_TEST(constructors_without_memory_say_so)
{
	struct mix *mix = mix_create();
	struct audit_expectation expectation = {.size = PAGE_SIZE, .node = -1};
	struct inspector *inspector;
	struct inspect_areas areas;
	struct error error;

	until_failure = 1;
	ck_assert_ptr_null(audit_create());
	until_failure = 1;
	ck_assert_int_eq(inspector_create(inspect_source_of(mix->source->inspector),
					  &mix->source->layout, &inspector, &error),
			 -ENOMEM);
	until_failure = 1;
	ck_assert_int_eq(inspect_areas(mix->source->inspector, &areas), -ENOMEM);
	/* The first expectation makes the table, the hundred and twenty-ninth a larger one. */
	for (int i = 0; i < 200; i++) {
		expectation.address = VMALLOC_START + (u64)i * PAGE_SIZE;
		until_failure = i == 0 || i == 128;
		if (until_failure)
			ck_assert_int_eq(audit_expect(mix->audit, &expectation), -ENOMEM);
		ck_assert_int_eq(until_failure, 0);
		ck_assert_int_eq(audit_expect(mix->audit, &expectation), 0);
	}
	for (int i = 0; i < 200; i++)
		ck_assert(audit_unexpect(mix->audit, VMALLOC_START + (u64)i * PAGE_SIZE));
	mix_destroy(mix);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("audit_memory");
	TCase *tests = tcase_create("memory");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, an_audit_without_memory_says_so);
	tcase_add_test(tests, constructors_without_memory_say_so);
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
