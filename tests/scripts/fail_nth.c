/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A library to preload: the call number FAIL_NTH of the C library's functions of the class
 * FAIL_CLASS, memory or system, fails as the manual says it may. At the end FAIL_COUNT, a file,
 * gets the number of calls there were. Only calls of the program and its libraries count, not those
 * the C library makes itself.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static long nth, count;
static int in_memory, began, count_fd = -1;

/*
 * Where libseccomp's code is: 2.5.4 loops for ever when it gets no memory for a filter, so that
 * what it asks for does not count.
 */
static uintptr_t spared_start, spared_end;

static int find_spared(struct dl_phdr_info *library, size_t size, void *context)
{
	if (!strstr(library->dlpi_name, "libseccomp"))
		return 0;
	for (int i = 0; i < library->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &library->dlpi_phdr[i];

		if (part->p_type == PT_LOAD && part->p_flags & PF_X) {
			spared_start = library->dlpi_addr + part->p_vaddr;
			spared_end = spared_start + part->p_memsz;
		}
	}
	return 0;
}

/* Whether this call, which returns to @caller, is the one, of a class that counts. */
static int fails(int memory, const void *caller)
{
	uintptr_t at = (uintptr_t)caller;

	return __atomic_load_n(&began, __ATOMIC_RELAXED) && memory == in_memory &&
	       (at < spared_start || at >= spared_end) &&
	       __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED) == nth;
}

__attribute__((destructor)) static void end(void)
{
	char text[32];
	int size = snprintf(text, sizeof(text), "%ld\n", count);

	began = 0;
	if (count_fd >= 0 && write(count_fd, text, (size_t)size) != size)
		abort();
}

/* ---- from main() on: what libraries do before it they do for themselves ---- */

static int (*real_main)(int, char **, char **);

static int main_here(int argc, char **argv, char **environment)
{
	const char *text = getenv("FAIL_NTH"), *class = getenv("FAIL_CLASS");
	const char *path = getenv("FAIL_COUNT");

	nth = text ? atol(text) : 0;
	in_memory = class && !strcmp(class, "memory");
	/* Now: the sandbox lets it be opened no more. */
	count_fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	dl_iterate_phdr(find_spared, NULL);
	began = 1;
	return real_main(argc, argv, environment);
}

typedef int (*start_fn)(int (*)(int, char **, char **), int, char **, void (*)(void),
			void (*)(void), void (*)(void), void *);

int __libc_start_main(int (*its_main)(int, char **, char **), int argc, char **argv,
		      void (*init)(void), void (*fini)(void), void (*rtld)(void), void *stack)
{
	start_fn real = (start_fn)dlsym(RTLD_NEXT, "__libc_start_main");

	real_main = its_main;
	return real(main_here, argc, argv, init, fini, rtld, stack);
}

/* ---- memory ---- */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t number, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

static void *no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

void *malloc(size_t size)
{
	return fails(1, __builtin_return_address(0)) ? no_memory() : __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
	return fails(1, __builtin_return_address(0)) ? no_memory() : __libc_calloc(number, size);
}

void *realloc(void *memory, size_t size)
{
	return fails(1, __builtin_return_address(0)) ? no_memory() : __libc_realloc(memory, size);
}

/* ---- system calls ---- */

/* A function of the C library, with up to six words as arguments, and what it fails with. */
#define WORDS long a, long b, long c, long d, long e, long f
#define SYSTEM(type, name, error, failure)                              \
	type fail_##name(WORDS) __asm__(#name);                         \
	type fail_##name(WORDS)                                         \
	{                                                               \
		static type (*real)(WORDS);                             \
		if (!real)                                              \
			real = (type(*)(WORDS))dlsym(RTLD_NEXT, #name); \
		if (fails(0, __builtin_return_address(0))) {            \
			errno = (error);                                \
			return (failure);                               \
		}                                                       \
		return real(a, b, c, d, e, f);                          \
	}

SYSTEM(long, accept4, EMFILE, -1)
SYSTEM(long, bind, EACCES, -1)
SYSTEM(long, eventfd, EMFILE, -1)
SYSTEM(long, flock, ENOLCK, -1)
SYSTEM(long, fork, EAGAIN, -1)
SYSTEM(long, fsync, EIO, -1)
SYSTEM(long, fstat, EIO, -1)
SYSTEM(long, fstatat, EIO, -1)
SYSTEM(long, ftruncate, ENOSPC, -1)
SYSTEM(long, ioctl, EIO, -1)
SYSTEM(long, linkat, ENOSPC, -1)
SYSTEM(long, listen, EADDRINUSE, -1)
SYSTEM(long, memfd_create, EMFILE, -1)
SYSTEM(void *, mmap, ENOMEM, (void *)-1)
SYSTEM(long, open, EMFILE, -1)
SYSTEM(long, openat, EMFILE, -1)
SYSTEM(long, pipe2, EMFILE, -1)
SYSTEM(long, pread, EIO, -1)
SYSTEM(long, pwrite, ENOSPC, -1)
SYSTEM(long, read, EIO, -1)
SYSTEM(long, renameat, EIO, -1)
SYSTEM(long, signalfd, EMFILE, -1)
SYSTEM(long, socket, EMFILE, -1)
SYSTEM(long, write, ENOSPC, -1)
SYSTEM(long, poll, ENOMEM, -1)
SYSTEM(int, pthread_create, EAGAIN, EAGAIN)
