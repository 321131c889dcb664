/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every Check program shares: the main() that runs its suites and the rule for tests that
 * need KVM. Include it in the one .c file of a test program.
 */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/engine.h"

/* Runs @suite, prints Check's summary line, returns the exit status for main(). */
static inline int harness_run(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
