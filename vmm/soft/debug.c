/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a debugger has of this engine beyond KVM's API: breakpoints that are not in memory. */
#include <errno.h>

#include "vmm/soft/private.h"

int soft_breakpoint(int vm_fd, uint64_t gpa, bool stop)
{
	struct soft_vm *vm = soft_vm_of(vm_fd);
	const struct soft_slot *slot;
	int err;

	if (!vm)
		return -EBADF;
	soft_vm_lock(vm);
	slot = soft_slot_find(vm, gpa);
	err = slot ? soft_code_stop(vm->code, slot->host + (gpa - slot->start), stop) : -EFAULT;
	soft_vm_unlock(vm);
	return err;
}
