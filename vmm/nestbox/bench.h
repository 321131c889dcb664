/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What nestbox bench measured, and how it says it (vmm/nestbox/bench_print.c). */
#ifndef VMM_NESTBOX_BENCH_H
#define VMM_NESTBOX_BENCH_H

#include "vmm/nestbox/bench_threads.h"
#include "vmm/nestbox/commands.h"
#include "vmm/nestbox/picture_options.h"

struct bench_case {
	const char *name;
	enum nb_bench_case number;
	unsigned int pages;      /* fix_size: the argument; else 0 */
	unsigned int lazy_pages; /* a loop leaves behind, on average, guards included */
	unsigned int purges;     /* the two runs differ by */
};

struct bench_result {
	const struct bench_case *bench_case;
	unsigned int pages;
	uint64_t loops; /* the two runs differ by */
	double ticks_per_loop;
	uint64_t p50, p99, max;        /* ticks of a stamped loop */
	json_t *histogram;             /* of them; NULL: no picture is wanted */
	struct bench_threads together; /* count 0: not asked for */
	json_t *runs;                  /* ticks for one more loop, of each time it was measured */
	double speed; /* instructions a second of this process's time; 0: not counted */
};

#define BENCH_NAME_BYTES 40

/* For a person: the case, with its size where it has several. */
void bench_result_name(const struct bench_result *result, char name[BENCH_NAME_BYTES]);

/* For programs: a new reference, NULL for want of memory. */
json_t *bench_report(const struct program *program, const struct guest *guest,
		     const struct bench_result *results, size_t count);

/* For people, to standard output. */
void bench_print(const struct program *program, const struct guest *guest,
		 const struct bench_result *results, size_t count);

/* As a document of vmm/picture/picture.h. */
json_t *bench_picture(const struct guest *guest, const struct bench_result *results, size_t count);

#endif
