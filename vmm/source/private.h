/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a source is made of. Private to vmm/source/. */
#ifndef VMM_SOURCE_PRIVATE_H
#define VMM_SOURCE_PRIVATE_H

#include "lib/u64_map.h"
#include "vmm/source/source.h"

#define SOURCE_PAGE INSPECT_PAGE_BYTES

/* A stretch of guest-physical memory and where it is: in this process, or at an offset to read. */
struct source_piece {
	uint64_t start, end; /* [start, end), any byte */
	const uint8_t *host; /* NULL: by source->read() */
	uint64_t offset;     /* for read(): of a file, or an address of another process */
};

/* A mapping of this process that goes with the source. */
struct source_mapping {
	void *address;
	size_t bytes;
};

struct source {
	struct source_piece *piece; /* ascending and disjoint once source_finish() was called */
	size_t nr_pieces;
	struct source_mapping *mapping;
	size_t nr_mappings;
	/* Reads [offset, offset + bytes) of a piece without host; false where that cannot be. */
	bool (*read)(struct source *source, uint64_t offset, void *buffer, size_t bytes);
	/* Of a read that takes long whatever its size: whoever reads on is read so much ahead; or
	 * 0. */
	size_t ahead_bytes;
	/* Pages that were copied: page number to index of copy[]. */
	struct u64_map copied;
	uint8_t **copy;
	size_t nr_copies;
	/* Registers of @nr_cpus, or what asks for them. */
	struct inspect_registers *cpu;
	unsigned int nr_cpus;
	int (*registers)(struct source *source, unsigned int cpu,
			 struct inspect_registers *registers_out);
	char *vmcoreinfo;
	size_t vmcoreinfo_bytes;
	bool live, paused;
	int fd; /* what read() reads; -1: none */
	/* Of a monitor (monitor.h); NULL: there is none. */
	struct monitor *monitor;
	int (*refresh)(struct source *source, struct error *error);
	char about[160];
};

/* An empty source; NULL: no memory. */
struct source *source_new(void);

/* Adds a piece, or a mapping that source_close() undoes. Errors: -ENOMEM. */
int source_add_piece(struct source *source, const struct source_piece *piece);
int source_add_mapping(struct source *source, void *address, size_t bytes);
int source_add_cpu(struct source *source, const struct inspect_registers *registers);

/* Sorts the pieces and cuts what overlaps: of two, the one that starts first has the bytes. */
void source_finish(struct source *source);

/* Forgets all copies. */
void source_forget(struct source *source);

/* ---- ELF ---- */

/* The bytes an ELF core is read from, by offset; false where the file does not have them. */
struct source_bytes {
	int fd;
	uint64_t bytes;      /* the file's length */
	const uint8_t *host; /* all of it, or NULL: pread() */
};

/*
 * Adds what the ELF core in @file has: pieces for each PT_LOAD with a physical address, registers,
 * VMCOREINFO. @what names it in errors. Errors: as source_open_core().
 */
int source_elf(struct source *source, const struct source_bytes *file, const char *what,
	       struct error *error);

/*
 * The file behind @fd, if it is one zstd frame, unpacked into a nameless sparse file. Errors: of
 * writing it, -EINVAL with words where the frame is broken or cut short.
 */
int source_unpack(int fd, const char *what, int *unpacked_out, struct error *error);

#endif
