/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Wrappers that fail on command; the linker puts them in the place of the real calls. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/ept/fail_nth.h"

static unsigned int calls_left;
static bool fired;

void fail_nth_arm(unsigned int n)
{
	calls_left = n;
	fired = false;
}

bool fail_nth_disarm(void)
{
	calls_left = 0;
	return fired;
}

bool fail_nth_step(void)
{
	if (calls_left == 0 || --calls_left > 0)
		return false;
	fired = true;
	return true;
}

unsigned long long fail_nth_mapped_bytes(void)
{
	unsigned long long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	if (!file || fscanf(file, "%llu", &pages) != 1)
		abort();
	fclose(file);
	return pages * 4096;
}

unsigned int fail_nth_open_files(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned int count = 0;

	if (!directory)
		abort();
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
int __real_madvise(void *at, size_t size, int advice);
int __wrap_madvise(void *at, size_t size, int advice);
int __real_memfd_create(const char *name, unsigned int flags);
int __wrap_memfd_create(const char *name, unsigned int flags);
int __real_ftruncate(int fd, off_t size);
int __wrap_ftruncate(int fd, off_t size);
int __real_fallocate(int fd, int mode, off_t offset, off_t size);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t size);
int __real_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status);
int __real_fcntl(int fd, int command, long argument);
int __wrap_fcntl(int fd, int command, ...);

static bool fails(int code)
{
	if (!fail_nth_step())
		return false;
	errno = code;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails(ENOMEM) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails(ENOMEM) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails(ENOMEM) ? NULL : __real_realloc(old, size);
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	return fails(ENOMEM) ? MAP_FAILED : __real_mmap(at, size, protection, flags, fd, offset);
}

int __wrap_madvise(void *at, size_t size, int advice)
{
	return fails(ENOMEM) ? -1 : __real_madvise(at, size, advice);
}

int __wrap_memfd_create(const char *name, unsigned int flags)
{
	return fails(EMFILE) ? -1 : __real_memfd_create(name, flags);
}

int __wrap_ftruncate(int fd, off_t size)
{
	return fails(EIO) ? -1 : __real_ftruncate(fd, size);
}

int __wrap_fallocate(int fd, int mode, off_t offset, off_t size)
{
	return fails(EIO) ? -1 : __real_fallocate(fd, mode, offset, size);
}

int __wrap_fstat(int fd, struct stat *status)
{
	return fails(EIO) ? -1 : __real_fstat(fd, status);
}

int __wrap_fcntl(int fd, int command, ...)
{
	va_list args;
	long argument;

	va_start(args, command);
	argument = va_arg(args, long);
	va_end(args);
	return fails(EMFILE) ? -1 : __real_fcntl(fd, command, argument);
}
