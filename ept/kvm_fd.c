/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of descriptors that are not the kernel's, by their number. `ops` is written last and
 * taken away first, so that who sees it sees the object.
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ept/kvm_fd.h"

#define FDS_MAX 65536

static struct {
	const struct kvm_fd_ops *ops;
	void *object;
} table[FDS_MAX];

static const struct kvm_fd_ops *ops_of(int fd)
{
	return fd >= 0 && fd < FDS_MAX ? __atomic_load_n(&table[fd].ops, __ATOMIC_ACQUIRE) : NULL;
}

int kvm_fd_register(int fd, const struct kvm_fd_ops *ops, void *object)
{
	if (fd < 0 || fd >= FDS_MAX)
		return -EMFILE;
	table[fd].object = object;
	__atomic_store_n(&table[fd].ops, ops, __ATOMIC_RELEASE);
	return 0;
}

void *kvm_fd_object(int fd, const struct kvm_fd_ops *ops)
{
	return ops_of(fd) == ops ? table[fd].object : NULL;
}

int kvm_ioctl(int fd, unsigned long request, ...)
{
	const struct kvm_fd_ops *ops = ops_of(fd);
	void *argument;
	va_list args;
	int result;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	if (!ops)
		return ioctl(fd, request, argument);
	result = ops->ioctl(table[fd].object, request, argument);
	if (result >= 0)
		return result;
	errno = -result;
	return -1;
}

int kvm_close(int fd)
{
	const struct kvm_fd_ops *ops = ops_of(fd);

	if (ops) {
		/* First here: the number is somebody else's as soon as it is closed. */
		__atomic_store_n(&table[fd].ops, NULL, __ATOMIC_RELEASE);
		ops->close(table[fd].object);
	}
	return close(fd);
}
