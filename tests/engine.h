/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which KVM the tests' guests run on: NESTBOX_KVM, "host" or "soft". Where it is not set,
 * harness_need_kvm() has the whole program run on each there is.
 */
#ifndef TESTS_ENGINE_H
#define TESTS_ENGINE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ept/kvm_fd.h"
#include "vmm/machine/kvm.h"
#include "vmm/soft/check.h"

/* automake's exit status for a test that did not run. */
#define EXIT_SKIPPED 77

static inline enum kvm_engine harness_engine(void)
{
	enum kvm_engine engine = KVM_AUTO;
	const char *text = getenv("NESTBOX_KVM");

	if (text && *text && kvm_engine_parse(text, &engine) != 0) {
		fprintf(stderr, "NESTBOX_KVM is '%s', not auto, host or soft\n", text);
		exit(EXIT_FAILURE);
	}
	return engine;
}

/* The same, for --kvm. */
static inline const char *harness_engine_name(void)
{
	const char *text = getenv("NESTBOX_KVM");

	return text && *text ? text : "auto";
}

static inline bool harness_host_works(void)
{
	struct error error;
	int fd;

	if (kvm_open(KVM_HOST, &fd, &error) == 0)
		return kvm_close(fd) == 0;
	fprintf(stderr, "%s\n", error.text);
	return false;
}

static inline void harness_choose(const char *engine)
{
	setenv("NESTBOX_KVM", engine, 1);
	printf("On %s\n", engine[0] == 'h' ? "the host's KVM" : "the soft engine");
	fflush(stdout);
}

/* A child goes on with the soft engine; returns in both, in the parent with what it came to. */
static inline int harness_on_soft_first(void)
{
	pid_t child;
	int status;

	fflush(NULL);
	child = fork();
	if (child == 0) {
		harness_choose("soft");
		return 0;
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
		fprintf(stderr, "on the soft engine it came to no end\n");
		return EXIT_FAILURE;
	}
	if (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == EXIT_SKIPPED)
		harness_choose("host");
	return WEXITSTATUS(status) == EXIT_SKIPPED ? 0 : WEXITSTATUS(status);
}

/*
 * To be called first in main(). From here on guests run on the engine harness_engine() says:
 * what NESTBOX_KVM asks for; in a lab the kernel's KVM, which is what it is there for; elsewhere
 * the soft engine and then, where /dev/kvm can be used, that as well, all tests twice. Returns 0,
 * or the exit status the program must end with: 77 (skipped), or 1 where NESTBOX_REQUIRE_KVM is set
 * and not empty and there is no /dev/kvm.
 */
static inline int harness_need_kvm(void)
{
	const char *required = getenv("NESTBOX_REQUIRE_KVM"), *asked = getenv("NESTBOX_KVM");
	bool host = harness_engine() != KVM_SOFT && harness_host_works();

	if (!host && ((required && *required) || harness_engine() == KVM_HOST)) {
		fprintf(stderr, "/dev/kvm cannot be used, and it is asked for\n");
		return required && *required ? EXIT_FAILURE : EXIT_SKIPPED;
	}
	if (asked && *asked)
		return 0;
	if (host && !getenv("NESTBOX_LAB"))
		return harness_on_soft_first();
	harness_choose(host ? "host" : "soft");
	return 0;
}

#endif
