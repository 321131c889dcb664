/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which KVM runs the guest and what it is: /dev/kvm, or the engine in this process that answers the
 * same requests (vmm/soft/soft.h); opened and found good enough, the module behind it, the kind of
 * second stage of translation it has, and the capabilities nestbox makes something of.
 */
#ifndef VMM_MACHINE_KVM_H
#define VMM_MACHINE_KVM_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/error.h"

/* A capability nestbox looks at. */
struct kvm_capability {
	const char *name;   /* without KVM_CAP_ */
	int number;         /* KVM_CAP_* */
	bool required;      /* nestbox cannot run without it */
	const char *gives;  /* what nestbox does with it */
	const char *remedy; /* what to do where it is missing */
};

#define KVM_CAPABILITIES_MAX 32

struct soft_options; /* vmm/soft/soft.h */

enum kvm_engine {
	KVM_AUTO, /* /dev/kvm where it is there and usable, else the soft engine */
	KVM_HOST, /* /dev/kvm */
	KVM_SOFT, /* the soft engine */
};

struct kvm_host {
	char module[32];      /* "kvm_intel", "kvm_amd", "kvm_pvm", "other", or "soft" */
	char second_stage[8]; /* "ept", "npt" or "shadow" */
	bool emulates_cpl0;   /* one instruction after the other: kvm_pvm */
	char kernel[65];      /* release, as uname -r has it */
	size_t nr_capabilities;
	/* KVM_CHECK_EXTENSION's answers, in the order of kvm_capabilities() */
	int capability[KVM_CAPABILITIES_MAX];
	unsigned int physical_bits;  /* of the guest: KVM_GET_SUPPORTED_CPUID, 0x80000008 */
	bool pages_1g;               /* the guest's CPUID offers 1 GiB pages */
	bool la57;                   /* and 5-level paging */
	bool ticks_are_instructions; /* of the guest's time stamp counter: the soft engine's */
};

/* The table of capabilities, kvm_capabilities_count() long. */
const struct kvm_capability *kvm_capabilities(void);
size_t kvm_capabilities_count(void);

/* "auto", "host" or "soft". Errors: -EINVAL. */
int kvm_engine_parse(const char *text, enum kvm_engine *engine_out);

/*
 * Opens the KVM that @engine says, checks the API version and every required capability. The
 * descriptor is the caller's, to be closed by kvm_close(). @error names the remedy. Errors:
 * -ENOENT, -ENODEV, -EACCES, -EPERM, -EBUSY (as open(2) returned them), -ENOTSUP (API version, a
 * capability); of the soft engine -ENOMEM, -EMFILE.
 */
int kvm_open(enum kvm_engine engine, int *fd_out, struct error *error);

/* The same, with what the soft engine is told if it is the one; NULL: nothing. */
int kvm_open_told(enum kvm_engine engine, const struct soft_options *soft, int *fd_out,
		  struct error *error);

/*
 * Says what @kvm_fd, from kvm_open(), is. @sysfs is "/sys", or a test's directory.
 * Errors: -ENOMEM, KVM's own.
 */
int kvm_host_probe(int kvm_fd, const char *sysfs, struct kvm_host *host_out, struct error *error);

/*
 * The module and second stage alone, read from @sysfs: kvm_intel with parameter ept, kvm_amd
 * with npt; everything else is "shadow". Of two vendor modules (built into the kernel they are
 * both there) the one whose CPU flag ("vmx" or "svm" in @cpu_flags, a space-separated list) is
 * set wins. Never fails: what cannot be read is "other" and "shadow".
 */
void kvm_module_probe(const char *sysfs, const char *cpu_flags, struct kvm_host *host_out);

struct kvm_cpuid2;

/*
 * KVM_GET_SUPPORTED_CPUID, of whatever length. Free with free(3). Errors: -ENOMEM, -E2BIG (no end
 * to it), -EIO (KVM refuses: the text says with what).
 */
int kvm_supported_cpuid(int kvm_fd, struct kvm_cpuid2 **cpuid_out, struct error *error);

#endif
