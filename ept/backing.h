/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host memory of one region: a mapping of a memfd, of a file or of anonymous memory, at an
 * address congruent to the region's modulo 1 GiB.
 *
 * A trappable backing has two such mappings: `host` for this process to read
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
	int fd; /* owned; -1 for anonymous memory */
	uint64_t fd_offset;
	struct gpa_backing want; /* as asked for */
};

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

/*
 * For ept/backing.c: binds all pages to the host node that is wanted. Errors:
 * -EOPNOTSUPP, -EINVAL (no such node), the system's.
 */
int backing_bind_node(const struct backing *backing, struct error *error);

#endif
