/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What answers where /dev/kvm would. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ept/kvm_fd.h"
#include "vmm/soft/private.h"

static int supported_cpuid(struct kvm_cpuid2 *cpuid)
{
	unsigned int count = soft_cpuid_supported(cpuid->entries, cpuid->nent);

	if (count > cpuid->nent)
		return -E2BIG;
	cpuid->nent = count;
	return 0;
}

static int device_ioctl(void *object, unsigned long request, void *argument)
{
	switch (request) {
	case KVM_GET_API_VERSION:
		return argument ? -EINVAL : KVM_API_VERSION;
	case KVM_CHECK_EXTENSION:
		return soft_check_extension((unsigned long)argument);
	case KVM_GET_VCPU_MMAP_SIZE:
		return argument ? -EINVAL : (int)SOFT_RUN_BYTES;
	case KVM_GET_SUPPORTED_CPUID:
		return supported_cpuid(argument);
	case KVM_CREATE_VM:
		return argument ? -EINVAL : soft_vm_create(object);
	default:
		return -ENOTTY;
	}
}

static void device_close(void *object)
{
	free(object);
}

static const struct kvm_fd_ops device_ops = {device_ioctl, device_close};

int soft_open(const struct soft_options *options, int *fd_out)
{
	struct soft_options *copy = calloc(1, sizeof(*copy));
	int fd, err;

	if (!copy)
		return -ENOMEM;
	if (options)
		*copy = *options;
	if (copy->turn == 0)
		copy->turn = SOFT_TURN_DEFAULT;
	fd = memfd_create("soft-kvm", MFD_CLOEXEC);
	err = fd < 0 ? -errno : kvm_fd_register(fd, &device_ops, copy);
	if (!err) {
		*fd_out = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	free(copy);
	return err;
}

bool soft_is_device(int fd)
{
	return kvm_fd_object(fd, &device_ops) != NULL;
}
