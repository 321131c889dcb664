/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ELF core dumps of a guest, for gdb, drgn and crash: ET_CORE with a PT_NOTE and PT_LOADs.
 *
 *   notes    per vCPU CORE/NT_PRSTATUS and QEMU/0 (all registers); VMCOREINFO/0: the guest's
 *            layout note with what drgn and crash look for in front of it
 *   PT_LOAD  RAM, by direct-map and physical address; the image, the page array and what vmalloc
 *            mapped, by virtual address, whose bytes are those of RAM in the file; and the root
 *            page table under the name of swapper_pg_dir
 *
 * Bytes of a PT_LOAD that were never touched, or are zero, are holes in the file. Everything comes
 * from an inspector's source, whose guest is hostile: it can make the core say nonsense, not the
 * writer fail, hang or write more than RAM and CORE_ALIASES_MAX program headers.
 */
#ifndef VMM_DUMP_CORE_H
#define VMM_DUMP_CORE_H

#include "lib/error.h"
#include "vmm/inspect/inspect.h"

/* No more PT_LOADs beside those of RAM: gdb and drgn look through all of them. */
#define CORE_ALIASES_MAX 32768

/* So long a pipe or a socket may be full. */
#define CORE_WAIT_SECONDS 10

struct core_options {
	bool zstd; /* one zstd frame around it: unzstd --sparse, then open it */
	int level; /* of zstd; 0: its default */
	/*
	 * vCPUs that failed: their NT_PRSTATUS has @failed instead of the registers of the moment
	 * (where it went wrong, not where it gave up). NULL: none.
	 */
	const struct inspect_registers *failed;
	unsigned int failed_cpu;
	const char *release;  /* VMCOREINFO's OSRELEASE; NULL: "nestbox-" and the version */
	const char *build_id; /* of the image, hexadecimal; NULL or "": none */
	uint64_t crash_time;  /* seconds since 1970; 0: none */
	/*
	 * As QEMU's dump-guest-memory without paging: RAM by physical address alone, virtual
	 * addresses 0.
	 */
	bool physical;
	/* Of RAM only [part_start, part_end), any byte; part_end 0: all. */
	uint64_t part_start, part_end;
	/* The layout note's text, @layout_bytes, which need no terminator. */
	const char *layout;
	size_t layout_bytes;
	/* Called now and then; other than 0 ends the dump with -ECANCELED. May be NULL. */
	int (*progress)(void *context, uint64_t done_bytes, uint64_t total_bytes);
	void *progress_context;
};

struct core_sum {
	uint64_t file_bytes;    /* its length */
	uint64_t written_bytes; /* of memory and headers, before compression; the rest are holes */
	uint64_t loads;         /* PT_LOADs */
	bool aliases_cut;       /* the guest maps more pieces than CORE_ALIASES_MAX */
	unsigned int vcpus;     /* with notes */
};

/*
 * Writes a core to @fd from its current position, 0 for a file: sparse where @fd can seek. vCPUs
 * whose registers the source does not have come without notes, so stop them before. The guest may
 * run: then it is a mixture of moments. Errors: -EINVAL (@options), -ENOMEM, -ECANCELED, -ENODATA
 * (no RAM in the part), -ETIMEDOUT (a pipe or a socket that nobody reads for CORE_WAIT_SECONDS) and
 * write(2)'s, -EFBIG among them; what was written then is of no use.
 */
int core_write(struct inspector *inspector, int fd, const struct core_options *options,
	       struct core_sum *sum_out, struct error *error);

/*
 * The same to the file @path, which appears when it is whole (lib/out_file.h). *@sum_out is set
 * even if only its name could not be given. Errors: as core_write(), and out_file_begin()'s.
 */
int core_write_file(struct inspector *inspector, const char *path,
		    const struct core_options *options, struct core_sum *sum_out,
		    struct error *error);

#endif
