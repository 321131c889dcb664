/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VM: its life, its lock, and its requests. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ept/kvm_fd.h"
#include "vmm/soft/check_private.h"
#include "vmm/soft/history_private.h"
#include "vmm/soft/plan_private.h"
#include "vmm/soft/private.h"

#ifndef KVM_CAP_MEMORY_FAULT_INFO
#define KVM_CAP_MEMORY_FAULT_INFO 232
#endif
#ifndef KVM_CAP_MEMORY_ATTRIBUTES
#define KVM_CAP_MEMORY_ATTRIBUTES 233
#endif

/* ---- life ---- */

static void vm_free(struct soft_vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		soft_vcpu_free(vm->vcpus[i]);
	soft_code_free(vm->code);
	soft_check_free(vm->check);
	soft_plan_free(vm->planned);
	soft_slots_free(vm);
	soft_second_destroy(vm);
	soft_stats_destroy(&vm->stats);
	pthread_mutex_destroy(&vm->lock);
	pthread_mutex_destroy(&vm->gate);
	free(vm);
}

void soft_vm_get(struct soft_vm *vm)
{
	__atomic_add_fetch(&vm->references, 1, __ATOMIC_RELAXED);
}

void soft_vm_put(struct soft_vm *vm)
{
	if (__atomic_sub_fetch(&vm->references, 1, __ATOMIC_ACQ_REL) == 0)
		vm_free(vm);
}

void soft_vm_lock(struct soft_vm *vm)
{
	__atomic_add_fetch(&vm->outsiders, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&vm->gate);
	pthread_mutex_lock(&vm->lock);
	pthread_mutex_unlock(&vm->gate);
	__atomic_sub_fetch(&vm->outsiders, 1, __ATOMIC_RELAXED);
}

void soft_vm_unlock(struct soft_vm *vm)
{
	pthread_mutex_unlock(&vm->lock);
}

/* ---- requests ---- */

int soft_check_extension(unsigned long capability)
{
	switch (capability) {
	case KVM_CAP_USER_MEMORY:
	case KVM_CAP_DESTROY_MEMORY_REGION_WORKS:
	case KVM_CAP_JOIN_MEMORY_REGIONS_WORKS:
	case KVM_CAP_SPLIT_IRQCHIP:
	case KVM_CAP_SIGNAL_MSI:
	case KVM_CAP_IMMEDIATE_EXIT:
	case KVM_CAP_EXT_CPUID:
	case KVM_CAP_MP_STATE:
	case KVM_CAP_READONLY_MEM:
	case KVM_CAP_SYNC_MMU:
	case KVM_CAP_BINARY_STATS_FD:
	case KVM_CAP_SET_TSS_ADDR:
	case KVM_CAP_SET_IDENTITY_MAP_ADDR:
	case KVM_CAP_SET_GUEST_DEBUG:
	case KVM_CAP_GET_TSC_KHZ:
	case KVM_CAP_ENABLE_CAP_VM:
	case KVM_CAP_CHECK_EXTENSION_VM:
	case KVM_CAP_MEMORY_FAULT_INFO:
		return 1;
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
		return KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;
	case KVM_CAP_MEMORY_ATTRIBUTES:
		return SOFT_ATTRIBUTES;
	case KVM_CAP_NR_MEMSLOTS:
		return SOFT_SLOTS_MAX;
	case KVM_CAP_NR_VCPUS:
	case KVM_CAP_MAX_VCPUS:
	case KVM_CAP_MAX_VCPU_ID:
		return SOFT_VCPUS_MAX;
	default:
		return 0;
	}
}

static int enable(struct soft_vm *vm, const struct kvm_enable_cap *cap)
{
	if (cap->flags)
		return -EINVAL;
	switch (cap->cap) {
	case KVM_CAP_SPLIT_IRQCHIP:
		if (cap->args[0] > 24)
			return -EINVAL;
		if (vm->has_apics || vm->nr_vcpus)
			return -EEXIST;
		vm->has_apics = true;
		return 0;
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
		if (cap->args[0] & ~(uint64_t)KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE)
			return -EINVAL;
		vm->manual_dirty = cap->args[0];
		return 0;
	default:
		return -EINVAL;
	}
}

static int signal_msi(struct soft_vm *vm, const struct kvm_msi *msi)
{
	struct soft_history *history = vm->history;

	if (!vm->has_apics || msi->flags)
		return -EINVAL;
	if (history && history->away)
		return soft_history_message(vm, msi);
	if (history)
		soft_history_input(vm, false);
	return soft_apic_message(vm, (uint64_t)msi->address_hi << 32 | msi->address_lo, msi->data);
}

/* With the lock. */
static int answer(struct soft_vm *vm, unsigned long request, void *argument)
{
	switch (request) {
	case KVM_CREATE_VCPU:
		return soft_vcpu_create(vm, (unsigned long)argument);
	case KVM_SET_USER_MEMORY_REGION:
	case SOFT_SET_MEMORY_ATTRIBUTES:
		if (vm->history && vm->history->away)
			return -EBUSY;
		if (vm->history)
			soft_history_cut(vm);
		return request == SOFT_SET_MEMORY_ATTRIBUTES ? soft_attributes_set(vm, argument)
							     : soft_slot_set(vm, argument);
	case KVM_ENABLE_CAP:
		return enable(vm, argument);
	case KVM_SIGNAL_MSI:
		return signal_msi(vm, argument);
	case KVM_GET_DIRTY_LOG:
		return soft_dirty_get(vm, argument);
	case KVM_CLEAR_DIRTY_LOG:
		return soft_dirty_clear(vm, argument);
	case KVM_RESET_DIRTY_RINGS:
		return -EINVAL;
	case KVM_SET_TSS_ADDR: /* pages kvm_intel needs without unrestricted guests */
		return 0;
	case KVM_SET_IDENTITY_MAP_ADDR:
		return vm->nr_vcpus ? -EINVAL : 0;
	default:
		return -ENOTTY;
	}
}

static int vm_ioctl(void *object, unsigned long request, void *argument)
{
	struct soft_vm *vm = object;
	int result;

	if (request == KVM_CHECK_EXTENSION)
		return soft_check_extension((unsigned long)argument);
	if (request == KVM_GET_STATS_FD)
		return soft_stats_fd(&vm->stats);
	soft_vm_lock(vm);
	result = answer(vm, request, argument);
	soft_vm_unlock(vm);
	return result;
}

static void vm_close(void *object)
{
	soft_vm_put(object);
}

static const struct kvm_fd_ops vm_ops = {vm_ioctl, vm_close};

struct soft_vm *soft_vm_of(int fd)
{
	return kvm_fd_object(fd, &vm_ops);
}

int soft_vm_create(const struct soft_options *options)
{
	struct soft_vm *vm = calloc(1, sizeof(*vm));
	int err, fd;

	if (!vm)
		return -ENOMEM;
	vm->options = *options;
	vm->references = 1;
	pthread_mutex_init(&vm->lock, NULL);
	pthread_mutex_init(&vm->gate, NULL);
	vm->code = soft_code_new();
	err = vm->code ? soft_second_create(vm) : -ENOMEM;
	if (!err)
		err = soft_stats_create(&vm->stats, -1);
	fd = err ? err : memfd_create("soft-vm", MFD_CLOEXEC);
	if (fd < 0 && !err)
		err = -errno;
	if (!err)
		err = kvm_fd_register(fd, &vm_ops, vm);
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	soft_vm_put(vm);
	return err;
}

int soft_second_stage(int vm_fd, struct stage2_mode *mode_out, struct stage2_reader *reader_out)
{
	const struct soft_vm *vm = kvm_fd_object(vm_fd, &vm_ops);

	if (!vm)
		return -EBADF;
	*mode_out = vm->second.mode;
	*reader_out = soft_second_reader();
	return 0;
}

int soft_check_start(int vm_fd, const struct soft_check_config *config)
{
	struct soft_vm *vm = kvm_fd_object(vm_fd, &vm_ops);
	int err;

	if (!vm)
		return -EBADF;
	soft_vm_lock(vm);
	err = soft_check_attach(vm, config);
	soft_vm_unlock(vm);
	return err;
}

#define HOLD_TICK_NS 50000

int soft_hold(int vm_fd, double seconds)
{
	struct soft_vm *vm = kvm_fd_object(vm_fd, &vm_ops);
	const struct timespec tick = {.tv_nsec = HOLD_TICK_NS};

	if (!vm)
		return -EBADF;
	for (double waited = 0; waited <= seconds; waited += HOLD_TICK_NS / 1e9) {
		soft_vm_lock(vm);
		vm->held = soft_is_idle(vm);
		soft_vm_unlock(vm);
		if (vm->held)
			return 0;
		nanosleep(&tick, NULL);
	}
	return -ETIMEDOUT;
}

int soft_release(int vm_fd, const struct soft_plan *plan)
{
	struct soft_vm *vm = kvm_fd_object(vm_fd, &vm_ops);
	int err = 0;

	if (!vm)
		return -EBADF;
	soft_vm_lock(vm);
	if (plan)
		err = soft_plan_begin(vm, plan);
	if (!err) {
		vm->held = false;
		soft_wake_somebody(vm);
	}
	soft_vm_unlock(vm);
	return err;
}

static int copy_switches(int vm_fd, bool points, struct soft_switch **switches_out,
			 size_t *count_out)
{
	struct soft_vm *vm = kvm_fd_object(vm_fd, &vm_ops);
	struct soft_switch *copy = NULL;
	size_t count = 0;

	if (!vm)
		return -EBADF;
	soft_vm_lock(vm);
	if (vm->planned) {
		const struct soft_switches *from =
			points ? &vm->planned->points : &vm->planned->log;

		count = from->count;
		copy = malloc((count + 1) * sizeof(*copy));
		if (copy && count)
			memcpy(copy, from->list, count * sizeof(*copy));
	}
	soft_vm_unlock(vm);
	if (count && !copy)
		return -ENOMEM;
	*switches_out = copy;
	*count_out = count;
	return 0;
}

int soft_plan_log(int vm_fd, struct soft_switch **switches_out, size_t *count_out)
{
	return copy_switches(vm_fd, false, switches_out, count_out);
}

int soft_plan_points(int vm_fd, struct soft_switch **points_out, size_t *count_out)
{
	return copy_switches(vm_fd, true, points_out, count_out);
}

int soft_instructions(int vm_fd, uint64_t *count_out)
{
	struct soft_vm *vm = kvm_fd_object(vm_fd, &vm_ops);

	if (!vm)
		return -EBADF;
	soft_vm_lock(vm);
	*count_out = 0;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		*count_out += vm->vcpus[i]->cpu.instructions;
	soft_vm_unlock(vm);
	return 0;
}

int soft_count_addresses(int vm_fd, uint64_t start, uint64_t bytes, uint64_t *counts)
{
	struct soft_vm *vm = kvm_fd_object(vm_fd, &vm_ops);

	if (!vm)
		return -EBADF;
	soft_vm_lock(vm);
	vm->coverage.start = start;
	vm->coverage.bytes = bytes;
	vm->coverage.counts = counts;
	soft_vm_unlock(vm);
	return 0;
}
