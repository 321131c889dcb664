/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one file of ept/ that talks to userfaultfd. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ept/uffd.h"

/* Linux 5.19 and 6.1; older headers may not have them. */
#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1 << 12)
#endif
#ifndef UFFD_FEATURE_EXACT_ADDRESS
#define UFFD_FEATURE_EXACT_ADDRESS (1 << 11)
#endif
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

/* Faults read at once. */
#define READ_MAX 64

/* The system call, or the device, whose permissions an administrator can set by file mode. */
static int open_fd(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK), device;

	if (fd >= 0 || (errno != EPERM && errno != ENOSYS))
		return fd >= 0 ? fd : -errno;
	device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	if (device < 0)
		return -EPERM;
	fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		fd = -errno;
	close(device);
	return fd;
}

int uffd_open(bool traps, int *fd_out, struct error *error)
{
	struct uffdio_api api = {.api = UFFD_API};
	int fd = open_fd();

	if (fd == -EPERM)
		return error_set(error, -EPERM,
				 "no permission for userfaultfd, which traps need: run as "
				 "root, or as root: sysctl vm.unprivileged_userfaultfd=1, or "
				 "chmod /dev/userfaultfd");
	if (fd < 0)
		return error_set(error, fd, "userfaultfd: %s: the kernel needs CONFIG_USERFAULTFD",
				 strerror(-fd));
	if (traps)
		api.features = UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_WP_HUGETLBFS_SHMEM |
			       UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_THREAD_ID |
			       UFFD_FEATURE_EXACT_ADDRESS | UFFD_FEATURE_MISSING_SHMEM;
	if (ioctl(fd, UFFDIO_API, &api) != 0) {
		close(fd);
		return error_set(error, -EOPNOTSUPP,
				 "this kernel's userfaultfd cannot protect shared memory from "
				 "writes: traps need Linux 5.19 or later");
	}
	*fd_out = fd;
	return 0;
}

int uffd_register(int fd, void *at, uint64_t bytes, unsigned int modes)
{
	struct uffdio_register request = {.range = {(uintptr_t)at, bytes}};

	request.mode = (modes & UFFD_MISSING ? UFFDIO_REGISTER_MODE_MISSING : 0) |
		       (modes & UFFD_PROTECT ? UFFDIO_REGISTER_MODE_WP : 0) |
		       (modes & UFFD_MINOR ? UFFDIO_REGISTER_MODE_MINOR : 0);
	return ioctl(fd, UFFDIO_REGISTER, &request) == 0 ? 0 : -errno;
}

int uffd_unregister(int fd, void *at, uint64_t bytes)
{
	struct uffdio_range range = {(uintptr_t)at, bytes};

	return ioctl(fd, UFFDIO_UNREGISTER, &range) == 0 ? 0 : -errno;
}

/* What an ioctl that fills in pages came to: @done is what it says of itself. */
static int64_t fill(int fd, unsigned long call, void *request, const __s64 *done)
{
	if (ioctl(fd, call, request) == 0 || *done > 0)
		return *done;
	return *done < 0 ? *done : -errno;
}

int64_t uffd_continue(int fd, void *at, uint64_t bytes, bool wake)
{
	struct uffdio_continue request = {.range = {(uintptr_t)at, bytes}};

	request.mode = wake ? 0 : UFFDIO_CONTINUE_MODE_DONTWAKE;
	return fill(fd, UFFDIO_CONTINUE, &request, &request.mapped);
}

int64_t uffd_zero(int fd, void *at, uint64_t bytes, bool wake)
{
	struct uffdio_zeropage request = {.range = {(uintptr_t)at, bytes}};

	request.mode = wake ? 0 : UFFDIO_ZEROPAGE_MODE_DONTWAKE;
	return fill(fd, UFFDIO_ZEROPAGE, &request, &request.zeropage);
}

int64_t uffd_copy(int fd, void *at, const void *from, uint64_t bytes, bool wake)
{
	struct uffdio_copy request = {
		.dst = (uintptr_t)at,
		.src = (uintptr_t)from,
		.len = bytes,
		.mode = wake ? 0 : UFFDIO_COPY_MODE_DONTWAKE,
	};

	return fill(fd, UFFDIO_COPY, &request, &request.copy);
}

int uffd_protect(int fd, void *at, uint64_t bytes, bool on, bool wake)
{
	struct uffdio_writeprotect request = {.range = {(uintptr_t)at, bytes}};

	if (on)
		request.mode = UFFDIO_WRITEPROTECT_MODE_WP;
	else if (!wake)
		request.mode = UFFDIO_WRITEPROTECT_MODE_DONTWAKE;
	return ioctl(fd, UFFDIO_WRITEPROTECT, &request) == 0 ? 0 : -errno;
}

int uffd_wake(int fd, void *at, uint64_t bytes)
{
	struct uffdio_range range = {(uintptr_t)at, bytes};

	return ioctl(fd, UFFDIO_WAKE, &range) == 0 ? 0 : -errno;
}

/* Reads faults; other messages are passed over. Returns how many, or -errno. */
static int read_faults(int fd, struct uffd_fault faults[READ_MAX])
{
	struct uffd_msg messages[READ_MAX];
	ssize_t got = read(fd, messages, sizeof(messages));
	int count = 0;

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (size_t i = 0; i < (size_t)got / sizeof(messages[0]); i++) {
		const struct uffd_msg *message = &messages[i];
		uint64_t flags = message->arg.pagefault.flags;

		if (message->event != UFFD_EVENT_PAGEFAULT)
			continue;
		faults[count++] = (struct uffd_fault){
			.address = message->arg.pagefault.address,
			.write = flags & UFFD_PAGEFAULT_FLAG_WRITE,
			.protect = flags & UFFD_PAGEFAULT_FLAG_WP,
			.minor = flags & UFFD_PAGEFAULT_FLAG_MINOR,
			.thread = (pid_t)message->arg.pagefault.feat.ptid,
		};
	}
	return count;
}

void uffd_serve(int fd, int stop, uffd_fault_fn on_fault, void *context)
{
	struct pollfd waits[2] = {{.fd = fd, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
	struct uffd_fault faults[READ_MAX];

	for (;;) {
		int count;

		if (poll(waits, 2, -1) < 0 && errno != EINTR)
			return;
		/* POLLERR or POLLHUP: the memory's process is gone. */
		if (waits[1].revents || (waits[0].revents & (POLLERR | POLLHUP | POLLNVAL)))
			return;
		count = read_faults(fd, faults);
		if (count < 0)
			return;
		for (int i = 0; i < count; i++)
			on_fault(context, &faults[i]);
	}
}
