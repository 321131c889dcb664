/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The calls ept/ makes to KVM, and the only file of ept/ that makes any: thin, one ioctl each.
 * Source: Linux Documentation/virt/kvm/api.rst, by the ioctl's name.
 *
 * Every function returns 0 (or the count it says) or -errno. Private to ept/.
 */
#ifndef EPT_KVM_H
#define EPT_KVM_H

#include <stddef.h>

#include "ept/types.h"

/* Slot flags, as in struct kvm_userspace_memory_region. */
#define EPT_KVM_SLOT_LOG_DIRTY 0x1u
#define EPT_KVM_SLOT_READ_ONLY 0x2u

/* No slot has more pages than 2^31 - 1 (KVM_MEM_MAX_NR_PAGES); ours end at a round number. */
#define EPT_KVM_SLOT_BYTES_MAX (1ULL << 42)

/* Memory slots this VM may have; 32 where KVM does not say. */
size_t ept_kvm_slot_limit(int vm_fd);

bool ept_kvm_has_read_only_slots(int vm_fd);

/* KVM_SET_USER_MEMORY_REGION: creates, moves, re-flags; a size of 0 deletes. */
int ept_kvm_set_slot(int vm_fd, uint32_t id, uint32_t flags, gpa_t start, uint64_t size_bytes,
		     const void *host);

#endif
