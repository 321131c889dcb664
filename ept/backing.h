/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host memory of one region: a mapping of a memfd, of a file or of anonymous memory, inside
 * a larger reservation of addresses, at an address congruent to the region's modulo 1 GiB.
 *
 *      reserved                                     reserved + reserved_bytes
 *      |                                                                    |
 *      +--------------------------------------+-----------------------------+
 *      | host: mapped, size_bytes             | PROT_NONE, room to grow     |
 *      +--------------------------------------+-----------------------------+
 *
 * A trappable backing has two such mappings, of the same layout: `host` for this process to read
 * and write, `slot_host` for KVM and for userfaultfd, so that a trap never catches the VMM itself.
 *
 * Private to ept/: others use the regions of ept/gpa_space.h.
 */
#ifndef EPT_BACKING_H
#define EPT_BACKING_H

#include "ept/gpa_space.h"

struct backing {
	void *host;
	void *slot_host; /* the same memory mapped again, where trappable; else host */
	uint64_t size_bytes;
	uint64_t reserved_bytes; /* from host on, at least size_bytes */
	int fd;                  /* owned; -1 for anonymous memory */
	uint64_t fd_offset;
	struct gpa_backing want; /* as asked for */
};

/* The size of the smallest page a backing is made of: 4 KiB, or hugetlb's. */
uint64_t backing_page_bytes(const struct gpa_backing *want);

/*
 * Checks what can be checked without the host. Errors: -EINVAL, with the reason.
 */
int backing_check_request(const struct gpa_request *request, struct error *error);

/*
 * Maps the memory of a checked @request. Errors: -ENOMEM, -EINVAL, or the system's; the text says
 * what to do where something can be done.
 */
int backing_map(const struct gpa_request *request, struct backing *backing_out,
		struct error *error);

/* Unmaps, closes. */
void backing_unmap(struct backing *backing);

/* Maps the bytes up to @size_bytes, more than now. On failure nothing changed. */
int backing_grow(struct backing *backing, uint64_t size_bytes, struct error *error);

/*
 * Gives the memory beyond @size_bytes, fewer than now, back to the host; the addresses stay
 * reserved. On failure nothing changed.
 */
int backing_shrink(struct backing *backing, uint64_t size_bytes, struct error *error);

/*
 * For ept/backing.c: binds the pages of [from, to) to the host node that is wanted. Errors:
 * -EOPNOTSUPP, -EINVAL (no such node), the system's.
 */
int backing_bind_node(const struct backing *backing, uint64_t from, uint64_t to,
		      struct error *error);

#endif
