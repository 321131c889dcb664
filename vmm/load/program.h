/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A workload compiled: for each vCPU the instructions of guest/load_abi.h, cut into parts. All
 * vCPUs run their share of a part at the same time; between two parts the guest is still, and can
 * be looked at.
 *
 * The order of everything is drawn here, once, from the seed: which area comes next, how large,
 * on which vCPU, when it goes. What is left to the guest is how the vCPUs' instructions overlap.
 * The clock of lifetimes is the number of allocations so far, of all vCPUs, setups left out.
 */
#ifndef VMM_LOAD_PROGRAM_H
#define VMM_LOAD_PROGRAM_H

#include "guest/abi.h"
#include "guest/load_abi.h"
#include "vmm/load/workload.h"

/* Where a part of one vCPU's code is: [first, end). */
struct program_span {
	size_t first, end;
};

struct program_part {
	uint32_t phase;          /* its index in the workload */
	uint64_t allocations;    /* so far, with this part */
	uint64_t areas, pages;   /* that live when it is over, if nothing fails */
	struct program_span *of; /* each vCPU */
};

struct program_code {
	struct nb_load_instruction *code;
	size_t count;
};

/* An area as it was drawn. */
struct program_birth {
	uint64_t va_bytes; /* with its guard */
	uint64_t lifetime; /* DRAW_FOREVER: it stays */
};

struct load_program {
	uint32_t cpus;
	struct nb_load_class classes[NB_LOAD_CLASSES];
	size_t nr_classes;
	struct program_code code[NB_MAX_VCPUS];
	struct program_part *parts;
	size_t nr_parts;
	uint32_t nr_slots;
	bool user;                    /* something is mapped into a process */
	struct program_birth *births; /* of all that is no setup's; with keep_births */
	size_t nr_births;
	/* As it will be if nothing fails; the most at any time but in setups. */
	uint64_t allocations, frees, purges, most_areas, most_pages;
};

struct program_options {
	size_t part_max; /* instructions of one vCPU in a part, at least 16 */
	uint64_t every;  /* a part ends after every so many allocations; 0: not for that */
	uint32_t slots_max;
	bool keep_births;
};

/*
 * Compiles @workload, read from @path. Returns 0, to be freed by program_free(); -EINVAL (more
 * kinds of areas than a guest has classes, more areas at a time than slots) or -ENOMEM, said in
 * @error.
 */
int program_compile(struct workload *workload, const char *path,
		    const struct program_options *options, struct load_program *program_out,
		    struct input_error *error);

void program_free(struct load_program *program);

#endif
