/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which system calls each kind of thread may do. The lists are what the test suite and the commands
 * of docs/ do under strace -f (tests/machine/test_sandbox.sh runs them in the sandbox), and what
 * the C library may do in their place: brk(2) for mmap(2), newfstatat(2) for fstat(2).
 */
#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/sandbox/private.h"

#define KVM_TYPE  0xae
#define UFFD_TYPE 0xaa
/* _IOC_TYPE() of an ioctl's request. */
#define TYPE_MASK  0xff00u
#define TYPE(type) ((unsigned int)(type) << 8)

/* What any thread does to be one: memory, locks, signals, clocks, descriptors there are. */
static const int for_all[] = {
	SCMP_SYS(brk),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(close),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(fstat),
	SCMP_SYS(futex),
	SCMP_SYS(getcpu),
	SCMP_SYS(getpid),
	SCMP_SYS(getrandom),
	SCMP_SYS(getrusage),
	SCMP_SYS(gettid),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(lseek),
	SCMP_SYS(madvise),
	SCMP_SYS(mincore),
	SCMP_SYS(mremap),
	SCMP_SYS(munmap),
	SCMP_SYS(nanosleep),
	SCMP_SYS(newfstatat),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rseq),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigpending),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_yield),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(time),
	SCMP_SYS(write),
	SCMP_SYS(writev),
};

/* Of the thread that writes a log: a file is renamed and begun anew. */
static const int for_log[] = {
	SCMP_SYS(fcntl), SCMP_SYS(lstat), SCMP_SYS(openat), SCMP_SYS(rename), SCMP_SYS(stat),
};

/* Of those that serve clients and look at the guest. */
static const int for_service[] = {
	SCMP_SYS(accept4),
	SCMP_SYS(access),
	SCMP_SYS(capget),
	SCMP_SYS(capset),
	SCMP_SYS(copy_file_range),
	SCMP_SYS(dup),
	SCMP_SYS(dup2),
	SCMP_SYS(dup3),
	SCMP_SYS(eventfd2),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(fallocate),
	SCMP_SYS(fdatasync),
	SCMP_SYS(fsync),
	SCMP_SYS(ftruncate),
	SCMP_SYS(get_mempolicy),
	SCMP_SYS(getdents64),
	SCMP_SYS(getegid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getpeername),
	SCMP_SYS(getrlimit),
	SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt),
	SCMP_SYS(getuid),
	SCMP_SYS(linkat),
	SCMP_SYS(mbind),
	SCMP_SYS(memfd_create),
	SCMP_SYS(mkdir),
	SCMP_SYS(mlock),
	SCMP_SYS(move_pages),
	SCMP_SYS(munlock),
	SCMP_SYS(pipe2),
	SCMP_SYS(prlimit64),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(rmdir),
	SCMP_SYS(sched_setaffinity),
	SCMP_SYS(seccomp),
	SCMP_SYS(sendfile),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(set_mempolicy),
	SCMP_SYS(setsockopt),
	SCMP_SYS(shutdown),
	SCMP_SYS(statfs),
	SCMP_SYS(fstatfs),
	SCMP_SYS(statx),
	SCMP_SYS(sysinfo),
	SCMP_SYS(umask),
	SCMP_SYS(uname),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
};

/* Of a socket that is made: of a program that starts, and of who is asked to serve gdb. */
static const int for_sockets[] = {
	SCMP_SYS(bind),
	SCMP_SYS(flock),
	SCMP_SYS(listen),
};

/*
 * Of a program that starts: sockets, the process that decodes a trace.dat, the threads' own
 * confinement.
 */
static const int for_start[] = {
	SCMP_SYS(arch_prctl),      SCMP_SYS(connect), SCMP_SYS(kill),
	SCMP_SYS(mlock2),          SCMP_SYS(prctl),   SCMP_SYS(setrlimit),
	SCMP_SYS(set_tid_address), SCMP_SYS(setsid),  SCMP_SYS(signalfd4),
	SCMP_SYS(userfaultfd),     SCMP_SYS(wait4),   SCMP_SYS(waitid),
};

#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define WITH_SANITIZER 1
#else
#define WITH_SANITIZER 0
#endif

/* What the sanitizers' runtime does besides: it traces this process from a child to find leaks. */
static const int for_sanitizer[] = {
	SCMP_SYS(open),  SCMP_SYS(prctl),  SCMP_SYS(ptrace), SCMP_SYS(readlink),
	SCMP_SYS(wait4), SCMP_SYS(openat), SCMP_SYS(clone),  SCMP_SYS(prlimit64),
};

/* A filter that grows: the first error stays. */
struct list {
	scmp_filter_ctx filter;
	int err;
	int failed; /* the call that could not be added */
};

#define SIZE(array) (sizeof(array) / sizeof((array)[0]))

static void allow(struct list *list, const int *calls, size_t count)
{
	for (size_t i = 0; i < count && !list->err; i++) {
		list->failed = calls[i];
		list->err = seccomp_rule_add(list->filter, SCMP_ACT_ALLOW, calls[i], 0);
	}
}

/* Where (argument & mask) == value. */
static void allow_if(struct list *list, int call, unsigned int argument, uint64_t mask,
		     uint64_t value)
{
	const struct scmp_arg_cmp test = {argument, SCMP_CMP_MASKED_EQ, mask, value};

	if (list->err)
		return;
	list->failed = call;
	list->err = seccomp_rule_add_array(list->filter, SCMP_ACT_ALLOW, call, 1, &test);
}

static void answer(struct list *list, int call, int err)
{
	if (list->err)
		return;
	list->failed = call;
	list->err = seccomp_rule_add(list->filter, SCMP_ACT_ERRNO((uint16_t)err), call, 0);
}

/*
 * Memory, and no new code in it; threads as clone(2) makes them, whose flags can be seen: those of
 * clone3(2) are behind a pointer, and the C library does without it.
 */
static void allow_memory(struct list *list, bool code)
{
	const int calls[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};

	if (code)
		allow(list, calls, SIZE(calls));
	for (size_t i = 0; !code && i < SIZE(calls); i++)
		allow_if(list, calls[i], 2, PROT_EXEC, 0);
	answer(list, SCMP_SYS(clone3), ENOSYS);
}

static void allow_kvm(struct list *list)
{
	allow_if(list, SCMP_SYS(ioctl), 1, TYPE_MASK, TYPE(KVM_TYPE));
	allow_if(list, SCMP_SYS(ioctl), 1, TYPE_MASK, TYPE(UFFD_TYPE));
}

/* Signals to threads of this process: no other's is hit. */
static void allow_own_signals(struct list *list)
{
	allow_if(list, SCMP_SYS(tgkill), 0, UINT32_MAX, (uint64_t)getpid());
}

static void allow_service(struct list *list)
{
	allow(list, for_log, SIZE(for_log));
	allow(list, for_service, SIZE(for_service));
	/* Whether it is a terminal: standard streams are asked. */
	allow_if(list, SCMP_SYS(ioctl), 1, UINT32_MAX, TCGETS);
	allow_if(list, SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD);
}

static void allow_sockets(struct list *list)
{
	allow(list, for_sockets, SIZE(for_sockets));
	allow_if(list, SCMP_SYS(socket), 0, UINT32_MAX, AF_UNIX);
}

static void allow_start(struct list *list)
{
	allow_service(list);
	allow_sockets(list);
	allow(list, for_start, SIZE(for_start));
	allow_if(list, SCMP_SYS(clone), 0, CLONE_THREAD | CLONE_VM, 0);
}

/*
 * The thread of a vCPU prints where in the image its guest is: libdw then looks for the image's
 * folder and for files with more about it, and does well without.
 */
static void refuse_files(struct list *list)
{
	const int calls[] = {SCMP_SYS(access),   SCMP_SYS(open),       SCMP_SYS(openat),
			     SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(statx)};

	if (WITH_SANITIZER)
		return;
	for (size_t i = 0; i < SIZE(calls); i++)
		answer(list, calls[i], EACCES);
}

static void allow_tools(struct list *list)
{
	if (WITH_SANITIZER)
		allow(list, for_sanitizer, SIZE(for_sanitizer));
}

static int begin(enum sandbox_mode mode, struct list *list, struct error *error)
{
	uint32_t otherwise = mode == SANDBOX_LOG ? SCMP_ACT_LOG : SCMP_ACT_TRAP;

	*list = (struct list){.filter = seccomp_init(otherwise)};
	if (!list->filter)
		return error_set(error, -ENOMEM, "no memory for a list of system calls");
	/* Calls of another architecture, 32-bit ones for one, have other numbers. */
	list->err = seccomp_attr_set(list->filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	return 0;
}

/* The filter's code: libseccomp gives it to a file. */
static int take_code(scmp_filter_ctx filter, struct sock_fprog *filter_out)
{
	int fd = memfd_create("filter", MFD_CLOEXEC);
	struct sock_filter *code = NULL;
	off_t size = -1;
	int err = fd < 0 ? -errno : seccomp_export_bpf(filter, fd);

	if (!err) {
		size = lseek(fd, 0, SEEK_CUR);
		code = size > 0 ? malloc((size_t)size) : NULL;
		err = !code ? -ENOMEM : pread(fd, code, (size_t)size, 0) == size ? 0 : -EIO;
	}
	if (fd >= 0)
		close(fd);
	if (err)
		free(code);
	else
		*filter_out = (struct sock_fprog){
			.len = (unsigned short)((size_t)size / sizeof(*code)), .filter = code};
	return err;
}

static int end(struct list *list, struct sock_fprog *filter_out, struct error *error)
{
	char *name;
	int err = list->err;

	if (err) {
		name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, list->failed);
		error_set(error, err, "the list of system calls: %s: %s", name ? name : "?",
			  strerror(-err));
		free(name);
	} else {
		err = take_code(list->filter, filter_out);
		if (err)
			error_set(error, err, "the list of system calls: %s", strerror(-err));
	}
	seccomp_release(list->filter);
	return err;
}

int calls_filter_start(enum sandbox_mode mode, struct sock_fprog *filter_out, struct error *error)
{
	struct list list;
	int err = begin(mode, &list, error);

	if (err)
		return err;
	allow(&list, for_all, SIZE(for_all));
	/* pthread_kill(3) of a forked child has another process's number than its parent's. */
	allow(&list, (const int[]){SCMP_SYS(tgkill)}, 1);
	allow_memory(&list, true);
	allow_kvm(&list);
	allow_start(&list);
	allow_tools(&list);
	return end(&list, filter_out, error);
}

int calls_filter(enum thread_kind kind, enum sandbox_mode mode, struct sock_fprog *filter_out,
		 struct error *error)
{
	struct list list;
	int err = begin(mode, &list, error);

	if (err)
		return err;
	allow(&list, for_all, SIZE(for_all));
	allow_own_signals(&list);
	allow_memory(&list, false);
	if (kind == THREAD_LOG) {
		allow(&list, for_log, SIZE(for_log));
	} else {
		allow_kvm(&list);
		if (kind == THREAD_VCPU || kind == THREAD_TRAP)
			refuse_files(&list);
		else
			allow_service(&list);
		if (kind == THREAD_LOOK)
			allow_sockets(&list);
	}
	allow_tools(&list);
	return end(&list, filter_out, error);
}
