/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the guest is and how it came there, unwound from outside: the guest keeps no frame
 * pointers, the image's call frame information (DWARF 5, 6.4, in .debug_frame) says where each
 * function put its caller's registers. Functions that were inlined are frames too.
 *
 * Registers and memory are the guest's and may lie. No more than BACKTRACE_FRAMES_MAX functions
 * are unwound; between two of them the stack only grows smaller, except where an exception
 * switched stacks; every word is read through the caller's function, which may refuse.
 */
#ifndef VMM_IMAGE_BACKTRACE_H
#define VMM_IMAGE_BACKTRACE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "guest/abi.h"
#include "lib/regs.h"
#include "vmm/image/image.h"

#define BACKTRACE_FRAMES_MAX 48
#define BACKTRACE_NAME_BYTES 64

struct backtrace_frame {
	/* The instruction, where exact; otherwise the address a call returns to. */
	uint64_t address;
	bool exact;        /* the innermost one, or stopped by an exception or interrupt */
	bool inlined;      /* into the frame that follows, whose address is the same */
	uint64_t offset;   /* of address in the function; 0 for an inlined one */
	unsigned int line; /* 0: not known, and file is empty */
	char function[BACKTRACE_NAME_BYTES]; /* empty: in no function; printable ASCII, as file */
	char file[BACKTRACE_NAME_BYTES];     /* its last two parts: "mm/vmalloc.c" */
};

/* Why there is no further frame. */
enum backtrace_end {
	BACKTRACE_WHOLE,      /* the last one is where the CPU was started */
	BACKTRACE_NO_INFO,    /* the image has no call frame information for it */
	BACKTRACE_NOT_CODE,   /* the last one, or what called it, is not in the image's code */
	BACKTRACE_UNREADABLE, /* the stack is not mapped there */
	BACKTRACE_BAD_STACK,  /* the stack pointer is not aligned, or does not move on */
	BACKTRACE_UNKNOWN,    /* a register that is needed is not known, or a rule not understood */
	BACKTRACE_TOO_LONG,   /* there may be more */
	BACKTRACE_NR_ENDS
};

struct backtrace {
	enum backtrace_end end;
	size_t nr_frames; /* innermost first */
	struct backtrace_frame frame[BACKTRACE_FRAMES_MAX];
};

/* What an image knows of its functions; any number of threads may use it. */
struct backtrace_source;

/*
 * @image must outlive it. Reads nothing yet: the first backtrace does. An image without debug
 * information is no error. Errors: -ENOMEM.
 */
int backtrace_source_create(const struct image *image, struct backtrace_source **source_out);
void backtrace_source_destroy(struct backtrace_source *source);

/* Reads the word at guest-virtual @address, 8-byte aligned; false where there is none. */
typedef bool (*backtrace_read_fn)(void *context, uint64_t address, uint64_t *word_out);

/*
 * Unwinds from @regs (lib/regs.h), RIP being the next instruction to be executed. @trace_out is
 * wholly written.
 */
void backtrace_take(struct backtrace_source *source, const uint64_t regs[NR_REGS],
		    backtrace_read_fn read, void *context, struct backtrace *trace_out);

/*
 * Drops the frames before the one at @address, if there is such a one: what a report of the
 * guest's own went through until the host heard of it.
 */
void backtrace_start_at(struct backtrace *trace, uint64_t address);

/* "whole", "no unwind information", ... */
const char *backtrace_end_text(enum backtrace_end end);

/* One line a frame, each behind @indent, and one that says why there are no more, if need be. */
void backtrace_print(const struct backtrace *trace, const char *indent, FILE *file);

/*
 * {"frames": [{"address", "function", "offset", "inlined", "file", "line"}], "end": "whole"}; a new
 * reference, or NULL for want of memory.
 */
json_t *backtrace_json(const struct backtrace *trace);

/* For backtrace.c and backtrace_names.c: appends the frames of @address, inlined ones first. */
struct Dwarf;
void backtrace_append(struct backtrace *trace, const struct image *image, struct Dwarf *dwarf,
		      uint64_t address, bool exact);

#endif
