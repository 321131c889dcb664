/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this host can do for nestbox: a list of findings, each with a verdict and, where something
 * is missing, what to do about it. Looking changes nothing on the host.
 */
#ifndef VMM_NESTBOX_DOCTOR_H
#define VMM_NESTBOX_DOCTOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "vmm/machine/kvm.h"

enum doctor_verdict {
	DOCTOR_OK,
	DOCTOR_LIMITED, /* nestbox runs; something is slower or not there */
	DOCTOR_MISSING, /* nestbox does not run */
};

struct doctor_finding {
	const char *name; /* "kvm", "second-stage", "capability READONLY_MEM", ... */
	enum doctor_verdict verdict;
	char value[200];
	char remedy[256]; /* empty when there is nothing to do */
};

#define DOCTOR_FINDINGS_MAX 64

struct doctor {
	bool have_host;
	struct kvm_host host; /* where have_host */
	size_t nr_findings;
	struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
};

/*
 * Looks at the host and at the KVM that @engine says; starts a small guest of the built-in image
 * where that allows. Never fails.
 */
void doctor_examine(struct doctor *doctor, enum kvm_engine engine);

/* Adds a finding; @remedy may be NULL. Beyond DOCTOR_FINDINGS_MAX nothing happens. */
void doctor_add(struct doctor *doctor, const char *name, enum doctor_verdict verdict,
		const char *remedy, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The parts of the examination that need no KVM (vmm/nestbox/doctor_host.c). */
void doctor_examine_host(struct doctor *doctor);

/* The worst verdict of all. */
enum doctor_verdict doctor_verdict(const struct doctor *doctor);

void doctor_print(const struct doctor *doctor, FILE *file);

/* A new reference, or NULL for want of memory. */
json_t *doctor_json(const struct doctor *doctor);

#endif
