/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The start of a guest with its n-th call of the system failing, for every n: it either says what
 * failed and leaves nothing behind, or does without. The linker puts the functions below in the
 * system's place (--wrap in Makefile.am); under sanitizers a leak fails the test.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/harness.h"
#include "tests/machine/tiny_guest.h"
#include "tests/vmm/image/tiny_image.h"
#include "vmm/machine/guest.h"

/* Calls so far, and which of them fails; 0: none. Threads call too. */
static unsigned int calls, failing_call;

static bool fails(void)
{
	unsigned int call = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);

	if (call != __atomic_load_n(&failing_call, __ATOMIC_RELAXED))
		return false;
	errno = ENOMEM;
	return true;
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	return fails() ? MAP_FAILED : __real_mmap(at, size, protection, flags, fd, offset);
}

int __real_memfd_create(const char *name, unsigned int flags);
int __wrap_memfd_create(const char *name, unsigned int flags);
int __wrap_memfd_create(const char *name, unsigned int flags)
{
	return fails() ? -1 : __real_memfd_create(name, flags);
}

int __real_ftruncate(int fd, off_t size);
int __wrap_ftruncate(int fd, off_t size);
int __wrap_ftruncate(int fd, off_t size)
{
	return fails() ? -1 : __real_ftruncate(fd, size);
}

ssize_t __real_read(int fd, void *buffer, size_t size);
ssize_t __wrap_read(int fd, void *buffer, size_t size);
ssize_t __wrap_read(int fd, void *buffer, size_t size)
{
	return fails() ? -1 : __real_read(fd, buffer, size);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	/* Nothing here creates files. */
	return fails() ? -1 : __real_open(path, flags);
}

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *argument;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	return fails() ? -1 : __real_ioctl(fd, request, argument);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*start)(void *), void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*start)(void *), void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*start)(void *), void *context)
{
	return fails() ? EAGAIN : __real_pthread_create(thread, attributes, start, context);
}

/* ---- the test ---- */

static char image_path[64];

static int count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

START_TEST(every_failing_call_is_survived)
{
	struct guest_config config = {
		.engine = harness_engine(),
		.checks = SOFT_CHECK_ALL,
		.image_path = image_path,
		.memory_bytes = 64 << 20,
		.nr_vcpus = 2,
		.watchdog_seconds = 20,
	};
	int descriptors = count_descriptors();
	unsigned int refused = 0, done_without = 0, used;

	for (unsigned int n = 1;; n++) {
		struct error error = {""};
		struct guest_report report;
		struct guest *guest = NULL;
		int err;

		__atomic_store_n(&calls, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&failing_call, n, __ATOMIC_RELAXED);
		err = guest_start(&config, &guest, &report, &error);
		__atomic_store_n(&failing_call, 0, __ATOMIC_RELAXED);
		used = __atomic_load_n(&calls, __ATOMIC_RELAXED);
		if (err) {
			refused++;
			ck_assert_ptr_null(guest);
			ck_assert_msg(error.text[0], "call %u failed without a word", n);
			ck_assert_int_lt(err, 0);
		} else {
			done_without++;
			guest_destroy(guest);
		}
		ck_assert_msg(count_descriptors() == descriptors, "call %u leaks a descriptor", n);
		if (!err && used < n)
			break;
	}
	printf("%u calls refused, %u done without\n", refused, done_without);
	ck_assert_uint_gt(refused, 40);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("faults");
	TCase *tcase = tcase_create("faults");
	struct tiny_image image;
	int status = harness_need_kvm();

	if (status)
		return status;
	tiny_image_make(&image, tiny_guest, (size_t)(tiny_guest_end - tiny_guest), 0);
	strcpy(image_path, tiny_image_write(&image));
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, every_failing_call_is_survived);
	suite_add_tcase(suite, tcase);
	status = harness_run(suite);
	unlink(image_path);
	return status;
}
