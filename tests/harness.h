/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every Check program shares: the main() that runs its suites and the rule for tests that
 * need KVM. Include it in the one .c file of a test program.
 */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include <check.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* automake's exit status for a test that did not run. */
#define EXIT_SKIPPED 77

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

/*
 * Returns 0 when /dev/kvm can be opened and is KVM. Otherwise says so and returns the exit status
 * the test program must end with: 77 (skipped), or 1 when NESTBOX_REQUIRE_KVM is set and not empty.
 */
static inline int harness_need_kvm(void)
{
	const char *required = getenv("NESTBOX_REQUIRE_KVM");
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int version = fd < 0 ? -1 : ioctl(fd, KVM_GET_API_VERSION, 0);

	if (fd >= 0)
		close(fd);
	if (version == KVM_API_VERSION)
		return 0;
	if (required && *required) {
		fprintf(stderr, "no KVM at /dev/kvm, and NESTBOX_REQUIRE_KVM is set\n");
		return EXIT_FAILURE;
	}
	fprintf(stderr, "skipped: no KVM at /dev/kvm\n");
	return EXIT_SKIPPED;
}

#endif
