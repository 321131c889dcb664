/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtual machine of one vCPU that stores and loads bytes where the test says, in long mode on
 * an identity map of the first 8 GiB. Its memory is a gpa_space with kvm_slots: the thing under
 * test. Region "low", RAM at [0, 2 MiB), holds tables and code.
 */
#ifndef TESTS_EPT_TINY_VM_H
#define TESTS_EPT_TINY_VM_H

#include <linux/kvm.h>

#include "ept/gpa_space.h"
#include "ept/kvm_slots.h"

struct tiny_vm {
	int kvm_fd;
	int vm_fd;
	int vcpu_fd;
	struct kvm_run *run;
	size_t run_bytes;
	struct gpa_space *space;
	struct kvm_slots *slots;
	uint64_t rax; /* after the last run */
};

/* Called when all is there but the vCPU, e.g. to enable capabilities; may be NULL. */
typedef void (*tiny_vm_prepare_fn)(struct tiny_vm *vm);

/* Aborts on failure: without a machine there is no test. */
void tiny_vm_create(struct tiny_vm *vm, tiny_vm_prepare_fn prepare);
void tiny_vm_destroy(struct tiny_vm *vm);

/* Adds a region, which must work. */
const struct gpa_region *tiny_vm_add(struct tiny_vm *vm, const struct gpa_request *request);

/*
 * One instruction of the guest: stores the byte, or loads 8 bytes into *value_out. Returns
 * KVM_EXIT_HLT when it was memory, KVM_EXIT_MMIO when it was not (vm->run->mmio says what), or
 * -errno of KVM_RUN.
 */
int tiny_vm_store(struct tiny_vm *vm, uint64_t gpa, uint8_t value);
int tiny_vm_load(struct tiny_vm *vm, uint64_t gpa, uint64_t *value_out);

/* Stores @value to the first byte of each of @pages pages from @gpa; returns as above. */
int tiny_vm_store_pages(struct tiny_vm *vm, uint64_t gpa, uint64_t pages, uint8_t value);

/* Goes on after an exit; returns as above. */
int tiny_vm_continue(struct tiny_vm *vm);

#endif
