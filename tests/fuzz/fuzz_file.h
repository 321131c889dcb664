/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A path for the bytes of a fuzz target whose reader opens a file. */
#ifndef TESTS_FUZZ_FILE_H
#define TESTS_FUZZ_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* Gives the bytes a path, for readers that open one. Returns a descriptor to close, or -1. */
static inline int fuzz_file(const uint8_t *bytes, size_t size, char *path, size_t path_size)
{
	int fd = memfd_create("fuzz", 0);

	if (fd < 0)
		return -1;
	if (write(fd, bytes, size) != (ssize_t)size) {
		close(fd);
		return -1;
	}
	snprintf(path, path_size, "/proc/self/fd/%d", fd);
	return fd;
}

#endif
