/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptors that answer KVM's requests, whoever stands behind them. Most are the kernel's:
 * /dev/kvm and what it gave. Others belong to an engine in this process (vmm/soft/), which hands
 * out real descriptors of its own and says here what answers for them, as a driver tells the kernel
 * its file_operations. Who uses KVM's API calls kvm_ioctl() and kvm_close() in place of ioctl(2)
 * and close(2) and need not know the difference; mmap(2), poll(2) and read(2) work on both as they
 * are.
 *
 * A registered descriptor must be closed by kvm_close(): close(2) would leave its number to
 * somebody else's file.
 *
 * Locking: any thread may call. What a descriptor's functions do about each other is theirs.
 */
#ifndef EPT_KVM_FD_H
#define EPT_KVM_FD_H

struct kvm_fd_ops {
	/* As the kernel's: 0 or more, or -errno. */
	int (*ioctl)(void *object, unsigned long request, void *argument);
	/* The descriptor is gone; what it held is let go. */
	void (*close)(void *object);
};

/*
 * @ops answers for @fd, an open descriptor, from now on. On success @fd and @object are taken over.
 * Errors: -EMFILE (a number beyond 65535).
 */
int kvm_fd_register(int fd, const struct kvm_fd_ops *ops, void *object);

/* The object behind @fd if @ops answer for it, or NULL. */
void *kvm_fd_object(int fd, const struct kvm_fd_ops *ops);

/* ioctl(2): -1 and errno on failure. The argument is a pointer or an unsigned long, or left out. */
int kvm_ioctl(int fd, unsigned long request, ...);

/* close(2). */
int kvm_close(int fd);

#endif
