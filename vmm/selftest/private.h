/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the rows of the self-test are written with: a call with its arguments and the status it
 * must answer with, then what must be true from outside. The first thing that is not true is what
 * the row says; it goes on, so that what it took is given back.
 */
#ifndef VMM_SELFTEST_PRIVATE_H
#define VMM_SELFTEST_PRIVATE_H

#include "mm/x86.h"
#include "vmm/audit/audit.h"
#include "vmm/inspect/inspect.h"
#include "vmm/selftest/selftest.h"

#define PAGE ((uint64_t)X86_PAGE_SIZE)

struct selftest {
	struct guest *guest;
	struct inspector *inspector;
	const struct layout *layout;
	struct audit *audit;
	const struct selftest_log *log;
	uint64_t operations; /* so far */
	struct nb_completion answer;
	struct inspect_areas areas; /* of the moment of the last look */
	struct selftest_result *row;
};

typedef void (*selftest_fn)(struct selftest *t);

struct selftest_row {
	const char *name;
	selftest_fn run;
};

/* The rows of each file, ended by one without a name. */
extern const struct selftest_row selftest_rows_areas[];
extern const struct selftest_row selftest_rows_tables[];
extern const struct selftest_row selftest_rows_vmalloc[];
extern const struct selftest_row selftest_rows_access[];
extern const struct selftest_row selftest_rows_user[];

/* ---- calls ---- */

/* No status in particular. */
#define SELFTEST_ANY INT64_MIN

/*
 * Makes the hypercall, which must answer with @status, and audits. Returns whether it did;
 * t->answer is the answer.
 */
bool selftest_call(struct selftest *t, int64_t status, uint16_t opcode, uint16_t flags,
		   const uint64_t arg[12]);

#define ARGS(...) ((const uint64_t[12]){__VA_ARGS__})

/* A call that must succeed; one that must be refused with @status; result[0] of the first. */
#define DO(t, opcode, ...)             selftest_call(t, 0, opcode, 0, ARGS(__VA_ARGS__))
#define REFUSE(t, status, opcode, ...) selftest_call(t, status, opcode, 0, ARGS(__VA_ARGS__))
#define MAKE(t, opcode, ...)           (DO(t, opcode, __VA_ARGS__) ? (t)->answer.result[0] : 0)

/* ---- what must be true ---- */

/* Notes @format as what is wrong, unless something was already. */
void selftest_fail(struct selftest *t, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define EXPECT(t, condition, ...)                      \
	do {                                           \
		if (!(condition))                      \
			selftest_fail(t, __VA_ARGS__); \
	} while (0)

/* The tile that starts at @at, if it is a complete area; NULL, which is a failure, otherwise. */
const struct inspect_area *selftest_area(struct selftest *t, uint64_t at);

/*
 * An area of @pages pages and its guard starts at @at, inside Linux's vmalloc range, with all of
 * @flags, and lists @frames frames.
 */
void selftest_expect_area(struct selftest *t, uint64_t at, uint64_t pages, uint64_t frames,
			  uint64_t flags);

/* No area starts at @at, and none of @pages pages from it is mapped. */
void selftest_expect_gone(struct selftest *t, uint64_t at, uint64_t pages);

/* Each of @pages pages from @at is mapped to RAM with just @rights (PAGING_*), and none behind. */
void selftest_expect_mapped(struct selftest *t, uint64_t at, uint64_t pages, unsigned int rights);
void selftest_expect_clear(struct selftest *t, uint64_t at, uint64_t pages);

/* Page i from @at on maps @pfn[i], for @pages of them. */
void selftest_expect_frames(struct selftest *t, uint64_t at, uint64_t pages, const uint64_t *pfn);

/* The words at guest-virtual @at, and at the start of frame @pfn. */
void selftest_expect_word(struct selftest *t, uint64_t at, uint64_t value);
void selftest_set_word(struct selftest *t, uint64_t at, uint64_t value);
void selftest_expect_frame_word(struct selftest *t, uint64_t pfn, uint64_t value);
void selftest_set_frame_word(struct selftest *t, uint64_t pfn, uint64_t value);

/* The frame mapped at @at, UINT64_MAX where there is none. */
uint64_t selftest_frame(struct selftest *t, uint64_t at);

/* The kernel's walk of @at. */
struct paging_walk selftest_walk(struct selftest *t, uint64_t at);

/* ---- what rows use ---- */

/* Single frames of the host's own, by number. selftest_put_frames() gives them back. */
void selftest_take_frames(struct selftest *t, uint64_t *pfn, size_t count);
void selftest_put_frames(struct selftest *t, const uint64_t *pfn, size_t count);

/* Writes their numbers to the start of the data area. */
void selftest_list_frames(struct selftest *t, const uint64_t *pfn, size_t count);

/* Reserves exactly [start, start + pages * PAGE) and the guard behind. Returns start. */
uint64_t selftest_reserve_at(struct selftest *t, uint64_t start, uint64_t pages);

#endif
