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

/*
 * Rights that KVM_SET_MEMORY_ATTRIBUTES can take from a page of guest memory, whoever accesses it
 * then leaves KVM_RUN with -EFAULT and KVM_EXIT_MEMORY_FAULT. No kernel up to 6.18 knows these, the
 * soft engine does (vmm/soft/soft.h).
 */
#define EPT_KVM_NO_READ    (1u << 0)
#define EPT_KVM_NO_WRITE   (1u << 1)
#define EPT_KVM_NO_EXECUTE (1u << 2)
#define EPT_KVM_NO_ACCESS  (EPT_KVM_NO_READ | EPT_KVM_NO_WRITE | EPT_KVM_NO_EXECUTE)

/* Whether this VM has all of them. */
bool ept_kvm_has_rights(int vm_fd);

/* The pages' attributes become @taken, in place of what they were. */
int ept_kvm_take_rights(int vm_fd, gpa_t start, uint64_t size_bytes, unsigned int taken);

/* KVM_GET_STATS_FD of a VM or vCPU: a new descriptor, or -errno. */
int ept_kvm_stats_fd(int fd);

/*
 * KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: the log is cleared by ept_kvm_clear_dirty_log() only.
 * -EOPNOTSUPP if KVM has no such thing.
 */
int ept_kvm_manual_dirty_protect(int vm_fd);

/* KVM_GET_DIRTY_LOG: a bit for each page of the slot into @bitmap, 64 a word. */
int ept_kvm_get_dirty_log(int vm_fd, uint32_t slot, uint64_t *bitmap);

/* KVM_CLEAR_DIRTY_LOG: forgets the pages set in @bitmap, all @pages of the slot. */
int ept_kvm_clear_dirty_log(int vm_fd, uint32_t slot, uint64_t pages, uint64_t *bitmap);

/*
 * Bytes a vCPU's dirty ring may have at most; 0 if KVM has none that works. kvm_pvm has one that
 * does not: where it emulates, it runs on past the ring's end and overwrites what was not read
 * (seen on Linux 6.18: 1,099 pages written between two exits with a ring of 1,024).
 */
uint32_t ept_kvm_dirty_ring_bytes_max(int vm_fd);

/* KVM_CAP_DIRTY_LOG_RING, before the first vCPU. */
int ept_kvm_enable_dirty_ring(int vm_fd, uint32_t bytes);

/*
 * Creates vCPU @id and lets it get as far as the processor's entry: KVM gives it the VM's
 * second-stage root. It never runs, and goes with the VM.
 */
int ept_kvm_load_root(int kvm_fd, int vm_fd, unsigned int id);

/* KVM_RESET_DIRTY_RINGS: takes back the entries marked as read. */
int ept_kvm_reset_dirty_rings(int vm_fd);

#endif
