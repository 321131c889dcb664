/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one file of ept/ that talks to KVM. */
#include <errno.h>
#include <sys/ioctl.h>

#include <linux/kvm.h>

#include "ept/kvm.h"

_Static_assert(EPT_KVM_SLOT_LOG_DIRTY == KVM_MEM_LOG_DIRTY_PAGES, "KVM's own flag");
_Static_assert(EPT_KVM_SLOT_READ_ONLY == KVM_MEM_READONLY, "KVM's own flag");

static int check_extension(int vm_fd, int capability)
{
	int value = ioctl(vm_fd, KVM_CHECK_EXTENSION, capability);

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

	return ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region) == 0 ? 0 : -errno;
}
