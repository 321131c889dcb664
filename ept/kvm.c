/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one file of ept/ that talks to KVM. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "ept/kvm.h"
#include "ept/kvm_fd.h"

/* Linux 6.8; Debian 12's header does not have them. */
#ifndef KVM_CAP_MEMORY_ATTRIBUTES
#define KVM_CAP_MEMORY_ATTRIBUTES 233
#endif
struct memory_attributes {
	uint64_t address, size, attributes, flags;
};
#define SET_MEMORY_ATTRIBUTES _IOW(KVMIO, 0xd2, struct memory_attributes)

/* KVM_GET_SUPPORTED_CPUID says no more than this. */
#define CPUID_ENTRIES_MAX 512

_Static_assert(EPT_KVM_SLOT_LOG_DIRTY == KVM_MEM_LOG_DIRTY_PAGES, "KVM's own flag");
_Static_assert(EPT_KVM_SLOT_READ_ONLY == KVM_MEM_READONLY, "KVM's own flag");

static int check_extension(int vm_fd, int capability)
{
	int value = kvm_ioctl(vm_fd, KVM_CHECK_EXTENSION, capability);

	return value < 0 ? 0 : value;
}

size_t ept_kvm_slot_limit(int vm_fd)
{
	int limit = check_extension(vm_fd, KVM_CAP_NR_MEMSLOTS);

	return limit > 0 ? (size_t)limit : 32;
}

bool ept_kvm_has_read_only_slots(int vm_fd)
{
	return check_extension(vm_fd, KVM_CAP_READONLY_MEM) > 0;
}

int ept_kvm_set_slot(int vm_fd, uint32_t id, uint32_t flags, gpa_t start, uint64_t size_bytes,
		     const void *host)
{
	struct kvm_userspace_memory_region region = {
		.slot = id,
		.flags = flags,
		.guest_phys_addr = start.value,
		.memory_size = size_bytes,
		.userspace_addr = (uintptr_t)host,
	};

	return kvm_ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region) == 0 ? 0 : -errno;
}

bool ept_kvm_has_rights(int vm_fd)
{
	return (check_extension(vm_fd, KVM_CAP_MEMORY_ATTRIBUTES) & (int)EPT_KVM_NO_ACCESS) ==
	       (int)EPT_KVM_NO_ACCESS;
}

int ept_kvm_take_rights(int vm_fd, gpa_t start, uint64_t size_bytes, unsigned int taken)
{
	struct memory_attributes attributes = {
		.address = start.value, .size = size_bytes, .attributes = taken};

	return kvm_ioctl(vm_fd, SET_MEMORY_ATTRIBUTES, &attributes) == 0 ? 0 : -errno;
}

int ept_kvm_stats_fd(int fd)
{
	int stats = kvm_ioctl(fd, KVM_GET_STATS_FD, NULL);

	return stats < 0 ? -errno : stats;
}

static int enable(int vm_fd, uint32_t capability, uint64_t argument)
{
	struct kvm_enable_cap cap = {.cap = capability, .args = {argument}};

	return kvm_ioctl(vm_fd, KVM_ENABLE_CAP, &cap) == 0 ? 0 : -errno;
}

int ept_kvm_manual_dirty_protect(int vm_fd)
{
	int flags = check_extension(vm_fd, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);

	if (!(flags & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE))
		return -EOPNOTSUPP;
	return enable(vm_fd, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		      KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
}

int ept_kvm_get_dirty_log(int vm_fd, uint32_t slot, uint64_t *bitmap)
{
	struct kvm_dirty_log log = {.slot = slot, .dirty_bitmap = bitmap};

	return kvm_ioctl(vm_fd, KVM_GET_DIRTY_LOG, &log) == 0 ? 0 : -errno;
}

int ept_kvm_clear_dirty_log(int vm_fd, uint32_t slot, uint64_t pages, uint64_t *bitmap)
{
	struct kvm_clear_dirty_log log = {
		.slot = slot, .num_pages = (uint32_t)pages, .dirty_bitmap = bitmap};

	return kvm_ioctl(vm_fd, KVM_CLEAR_DIRTY_LOG, &log) == 0 ? 0 : -errno;
}

uint32_t ept_kvm_dirty_ring_bytes_max(int vm_fd)
{
	if (access("/sys/module/kvm_pvm", F_OK) == 0)
		return 0;
	return (uint32_t)check_extension(vm_fd, KVM_CAP_DIRTY_LOG_RING);
}

int ept_kvm_enable_dirty_ring(int vm_fd, uint32_t bytes)
{
	return enable(vm_fd, KVM_CAP_DIRTY_LOG_RING, bytes);
}

int ept_kvm_reset_dirty_rings(int vm_fd)
{
	return kvm_ioctl(vm_fd, KVM_RESET_DIRTY_RINGS, 0) >= 0 ? 0 : -errno;
}

/* CPUID decides how many levels the second stage has. */
static int set_cpuid(int kvm_fd, int vcpu_fd)
{
	struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + CPUID_ENTRIES_MAX * sizeof(struct kvm_cpuid_entry2));
	int err = 0;

	if (!cpuid)
		return -ENOMEM;
	cpuid->nent = CPUID_ENTRIES_MAX;
	if (kvm_ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) != 0 ||
	    kvm_ioctl(vcpu_fd, KVM_SET_CPUID2, cpuid) != 0)
		err = -errno;
	free(cpuid);
	return err;
}

/*
 * KVM_RUN with a signal pending that only KVM_RUN lets through: KVM prepares the entry, root
 * included, sees the signal and comes back.
 */
static int run_to_the_entry(int vcpu_fd)
{
	/* An empty set, in the kernel's size: nothing is blocked. */
	union {
		struct kvm_signal_mask mask;
		char bytes[sizeof(struct kvm_signal_mask) + sizeof(uint64_t)];
	} none = {.mask = {.len = sizeof(uint64_t)}};
	struct timespec now = {0};
	sigset_t one, before;
	int err = 0;

	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &one, &before);
	pthread_kill(pthread_self(), SIGUSR1);
	if (kvm_ioctl(vcpu_fd, KVM_SET_SIGNAL_MASK, &none) != 0)
		err = -errno;
	else if (kvm_ioctl(vcpu_fd, KVM_RUN, 0) != 0 && errno != EINTR)
		err = -errno;
	sigtimedwait(&one, NULL, &now);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

int ept_kvm_load_root(int kvm_fd, int vm_fd, unsigned int id)
{
	struct kvm_mp_state runnable = {.mp_state = KVM_MP_STATE_RUNNABLE};
	int vcpu_fd = kvm_ioctl(vm_fd, KVM_CREATE_VCPU, (unsigned long)id), err;

	if (vcpu_fd < 0)
		return -errno;
	err = set_cpuid(kvm_fd, vcpu_fd);
	/* Without an APIC in the kernel there is no such state, and no need for it. */
	(void)kvm_ioctl(vcpu_fd, KVM_SET_MP_STATE, &runnable);
	if (!err)
		err = run_to_the_entry(vcpu_fd);
	kvm_close(vcpu_fd);
	return err;
}
