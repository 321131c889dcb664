/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of this room share: where the bytes go, and the notes. */
#ifndef VMM_DUMP_PRIVATE_H
#define VMM_DUMP_PRIVATE_H

#include "vmm/dump/core.h"

/* ---- vmm/dump/sink.c: a file with holes, a pipe, or either behind zstd ---- */

struct core_sink;

/*
 * Everything goes to @fd from its position on. @level: of zstd, 0 its default; @zstd false: plain.
 * Errors: -ENOMEM, -EINVAL (the level).
 */
int core_sink_create(int fd, bool zstd, int level, struct core_sink **sink_out,
		     struct error *error);
void core_sink_destroy(struct core_sink *sink);

/* The next bytes; the next bytes as zeroes, a hole where there can be one. write(2)'s errors. */
int core_sink_write(struct core_sink *sink, const void *bytes, size_t size);
int core_sink_zeroes(struct core_sink *sink, uint64_t size);

/* Nothing follows: what is held back is written, and a hole at the end gets its length. */
int core_sink_finish(struct core_sink *sink);

/* The length of what @fd has got from us. */
uint64_t core_sink_length(const struct core_sink *sink);

/* ---- vmm/dump/notes.c ---- */

/* The contents of the PT_NOTE, to be freed. *@vcpus_out: how many have notes. -ENOMEM. */
int core_notes(struct inspector *inspector, const struct core_options *options, void **notes_out,
	       size_t *bytes_out, unsigned int *vcpus_out);

/* The address under which the root table is found as swapper_pg_dir (peers: drgn, crash). */
#define CORE_ROOT_ADDRESS 0xffffffff80000000ull

#endif
