/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The KVM VM: made in the order KVM wants it (interrupt controller, memory, vCPUs). */
#include "vmm/machine/vm.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ept/kvm_fd.h"

/*
 * Three pages and one that kvm_intel wants for itself on processors that cannot run real mode
 * otherwise (Documentation/virt/kvm/api.rst, 4.35 and 4.41): above any default RAM, below the
 * firmware's addresses.
 */
#define TSS_ADDRESS          0xfffbd000ull
#define IDENTITY_MAP_ADDRESS 0xfffbc000ull

/* The local APIC's message address (SDM vol. 3A, 11.11.1): destination in bits 19:12. */
#define MSI_ADDRESS(apic_id) (0xfee00000u | (uint32_t)(apic_id) << 12)

/* How long a vCPU's thread may take to leave KVM when everything ends. */
#define END_SECONDS 5.0

static int create_fd(struct vm *vm, struct error *error)
{
	int err;

	do {
		vm->fd = kvm_ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	} while (vm->fd < 0 && errno == EINTR);
	if (vm->fd >= 0)
		return 0;
	err = errno;
	return error_set(error, -err, "KVM_CREATE_VM: %s%s", strerror(err),
			 err == EBUSY    ? ": another hypervisor holds the processor, stop it"
			 : err == ENOMEM ? ": the host is short of memory"
					 : "");
}

static int set_addresses(struct vm *vm, struct error *error)
{
	uint64_t identity = IDENTITY_MAP_ADDRESS;

	if (kvm_ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_SET_IDENTITY_MAP_ADDR) > 0 &&
	    kvm_ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) != 0)
		return error_set(error, -errno, "KVM_SET_IDENTITY_MAP_ADDR: %s", strerror(errno));
	if (kvm_ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_SET_TSS_ADDR) > 0 &&
	    kvm_ioctl(vm->fd, KVM_SET_TSS_ADDR, TSS_ADDRESS) != 0)
		return error_set(error, -errno, "KVM_SET_TSS_ADDR: %s", strerror(errno));
	return 0;
}

static int create_apics(struct vm *vm, struct error *error)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_SPLIT_IRQCHIP};

	if (kvm_ioctl(vm->fd, KVM_ENABLE_CAP, &cap) != 0)
		return error_set(error, -errno, "KVM_CAP_SPLIT_IRQCHIP: %s", strerror(errno));
	return 0;
}

static int create_vcpus(struct vm *vm, unsigned int count, struct error *error)
{
	int limit = kvm_ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	struct kvm_cpuid2 *cpuid;
	int err;

	if (limit > 0 && count > (unsigned int)limit)
		return error_set(error, -EINVAL, "%u vCPUs: this KVM has at most %d", count, limit);
	err = kvm_supported_cpuid(vm->kvm_fd, &cpuid, error);
	if (err)
		return err;
	while (vm->nr_vcpus < count && !err) {
		err = vcpu_create(vm, vm->nr_vcpus, cpuid, vm->boot, &vm->vcpus[vm->nr_vcpus],
				  error);
		if (!err)
			vm->nr_vcpus++;
	}
	free(cpuid);
	return err;
}

int vm_create(const struct vm_config *config, struct vm **vm_out, struct error *error)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	int err;

	if (!vm)
		return error_set(error, -ENOMEM, "no memory for a VM");
	vm->fd = -1;
	vm->kvm_fd = config->kvm_fd;
	vm->space = config->space;
	vm->image = config->image;
	vm->boot = config->boot;
	vm->physical_bits = config->host->physical_bits;
	vm->no_1g_pages = !config->host->pages_1g;
	vm->ops = config->ops;
	vm->context = config->context;
	err = backtrace_source_create(vm->image, &vm->traces);
	if (err)
		error_set(error, err, "no memory for a VM");
	else
		err = create_fd(vm, error);
	if (!err)
		err = set_addresses(vm, error);
	if (!err)
		err = create_apics(vm, error);
	if (!err)
		err = kvm_slots_create(vm->fd, vm->space, &vm->slots, error);
	if (!err && config->watch)
		err = watch_create(vm, config->watch, config->context, &vm->watch, error);
	if (!err)
		err = create_vcpus(vm, config->nr_vcpus, error);
	if (err)
		vm_destroy(vm);
	else
		*vm_out = vm;
	return err;
}

int vm_destroy(struct vm *vm)
{
	bool stuck = false;

	if (!vm)
		return 0;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vcpu_ask_end(vm->vcpus[i]);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		stuck |= vcpu_end(vm->vcpus[i], END_SECONDS) != 0;
	/* A thread KVM does not let go of still uses all this: leave it to the process's end. */
	if (stuck)
		return -ETIMEDOUT;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vcpu_destroy(vm->vcpus[i]);
	watch_destroy(vm->watch);
	kvm_slots_destroy(vm->slots);
	if (vm->fd >= 0)
		kvm_close(vm->fd);
	backtrace_source_destroy(vm->traces);
	free(vm);
	return 0;
}

int vm_start(struct vm *vm, struct error *error)
{
	int err = 0;

	for (unsigned int i = 0; i < vm->nr_vcpus && !err; i++)
		err = vcpu_start(vm->vcpus[i], error);
	return err;
}

int vm_interrupt(struct vm *vm, unsigned int index, uint8_t vector)
{
	struct kvm_msi msi = {.address_lo = MSI_ADDRESS(index), .data = vector};
	int delivered = kvm_ioctl(vm->fd, KVM_SIGNAL_MSI, &msi);

	/* KVM answers -1 where an APIC is still off: then nobody took it. */
	if (delivered < 0)
		return errno == EPERM ? 0 : -errno;
	return delivered > 0;
}
