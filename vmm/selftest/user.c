/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rows of the self-test: processes that show areas to code at CPL 3, calls in an interrupt, and
 * what the guest says.
 */
#include <errno.h>
#include <string.h>

#include "vmm/selftest/private.h"

#define PAGE_FAULT 14u

/* So many messages at once, one more every TOKEN_MS; the guest's clock can be set forward. */
#define BURST    10u
#define TOKEN_MS 5000u
#define FULL_MS  (BURST * TOKEN_MS)

/* A user range. */
#define USER 0x400000ull

/* A PML4 entry of its own, which no process has when it is made. */
#define LATE_WINDOW 0xffffd00000000000ull

static uint64_t new_process(struct selftest *t, uint64_t pages, uint64_t access)
{
	uint64_t process = MAKE(t, NB_OP_PROCESS_CREATE);

	DO(t, NB_OP_VMA_CREATE, process, USER, USER + pages * PAGE, access);
	return process;
}

/* What code at CPL 3 reads: @words words from @at on, summed up. */
static void expect_sum(struct selftest *t, uint64_t process, uint64_t at, uint64_t words,
		       uint64_t sum)
{
	if (DO(t, NB_OP_USER_RUN, process, NB_USER_READ, at, words, 0))
		EXPECT(t, t->answer.result[0] == sum, "process %lu reads a sum of %#lx, not %#lx",
		       process, t->answer.result[0], sum);
}

/* It ends with a page fault at @at. */
static void expect_fault(struct selftest *t, uint64_t process, enum nb_user_program program,
			 uint64_t at)
{
	if (REFUSE(t, -EFAULT, NB_OP_USER_RUN, process, program, at,
		   program == NB_USER_JUMP ? 0 : 1, 0))
		EXPECT(t, t->answer.result[0] == PAGE_FAULT && t->answer.result[2] == at,
		       "exception %lu, CR2 %#lx, not a page fault at %#lx", t->answer.result[0],
		       t->answer.result[2], at);
}

static void remap_vmalloc_range(struct selftest *t)
{
	uint64_t at = MAKE(t, NB_OP_VMALLOC_CALL, NB_VMALLOC_USER, 4 * PAGE);
	uint64_t plain = MAKE(t, NB_OP_VMALLOC_CALL, NB_VMALLOC, 4 * PAGE);
	uint64_t process = new_process(t, 2, NB_VM_READ | NB_VM_WRITE);

	REFUSE(t, -EINVAL, NB_OP_REMAP_VMALLOC_RANGE, process, USER, plain, 0);
	REFUSE(t, -EINVAL, NB_OP_REMAP_VMALLOC_RANGE, process, USER, at, 3);
	REFUSE(t, -EINVAL, NB_OP_REMAP_VMALLOC_RANGE, process, USER, at, UINT64_MAX >> 12);
	REFUSE(t, -ENOENT, NB_OP_REMAP_VMALLOC_RANGE, process, USER + PAGE, at, 0);
	expect_fault(t, process, NB_USER_READ, USER);
	DO(t, NB_OP_REMAP_VMALLOC_RANGE, process, USER, at, 2);
	/* The kernel writes, the process reads; the process writes, the kernel's area has it. */
	selftest_set_word(t, at + 2 * PAGE, 30);
	selftest_set_word(t, at + 2 * PAGE + 8, 12);
	expect_sum(t, process, USER, 2, 42);
	if (DO(t, NB_OP_USER_RUN, process, NB_USER_WRITE, USER + PAGE, 3, 100))
		EXPECT(t, t->answer.result[0] == 3, "stored %lu words", t->answer.result[0]);
	selftest_expect_word(t, at + 3 * PAGE + 16, 102);
	selftest_expect_word(t, at + PAGE, 0);
	expect_fault(t, process, NB_USER_JUMP, USER);
	expect_fault(t, process, NB_USER_READ, USER + 2 * PAGE);
	expect_fault(t, process, NB_USER_READ, at);
	REFUSE(t, -EBUSY, NB_OP_REMAP_VMALLOC_RANGE, process, USER, at, 0);
	/* The frames outlive the area. */
	DO(t, NB_OP_VFREE, at);
	expect_sum(t, process, USER, 2, 42);
	DO(t, NB_OP_VMA_DESTROY, process, USER);
	expect_fault(t, process, NB_USER_READ, USER);
	DO(t, NB_OP_PROCESS_DESTROY, process);
	DO(t, NB_OP_VFREE, plain);
}

static void vm_insert_page(struct selftest *t)
{
	uint64_t process = new_process(t, 2, NB_VM_READ), pfn;

	selftest_take_frames(t, &pfn, 1);
	selftest_set_frame_word(t, pfn, 7);
	REFUSE(t, -ENOENT, NB_OP_VM_INSERT_PAGE, process, USER + 2 * PAGE, pfn);
	REFUSE(t, -ESRCH, NB_OP_VM_INSERT_PAGE, process + 1000, USER, pfn);
	REFUSE(t, -EINVAL, NB_OP_VM_INSERT_PAGE, process, USER, UINT64_MAX);
	DO(t, NB_OP_VM_INSERT_PAGE, process, USER + PAGE, pfn);
	REFUSE(t, -EBUSY, NB_OP_VM_INSERT_PAGE, process, USER + PAGE, pfn);
	expect_sum(t, process, USER + PAGE, 1, 7);
	expect_fault(t, process, NB_USER_READ, USER);
	/* The range may be read alone. */
	expect_fault(t, process, NB_USER_WRITE, USER + PAGE);
	selftest_expect_frame_word(t, pfn, 7);
	DO(t, NB_OP_PROCESS_DESTROY, process);
	selftest_put_frames(t, &pfn, 1);
	REFUSE(t, -ESRCH, NB_OP_PROCESS_DESTROY, process);
}

/* Processes made before the mapping see it after the call, all of them. */
static void vmalloc_sync_all(struct selftest *t)
{
	uint64_t process[3], at;

	for (int i = 0; i < 3; i++)
		process[i] = MAKE(t, NB_OP_PROCESS_CREATE);
	at = MAKE(t, NB_OP_VMALLOC, PAGE, 1, LATE_WINDOW, LATE_WINDOW + 16 * PAGE,
		  NB_GFP_KERNEL | NB_GFP_ZERO, NB_PAGE_KERNEL, NB_VM_ALLOC, (uint64_t)-1);
	selftest_set_word(t, at + 8, 0x5ee);
	if (DO(t, NB_OP_PROBE, 0, at + 8))
		EXPECT(t, t->answer.result[0] == 0x5ee, "the kernel reads %#lx",
		       t->answer.result[0]);
	DO(t, NB_OP_VMALLOC_SYNC_ALL);
	for (int i = 0; i < 3; i++) {
		if (DO(t, NB_OP_PROBE, process[i], at + 8))
			EXPECT(t, t->answer.result[0] == 0x5ee, "process %lu reads %#lx",
			       process[i], t->answer.result[0]);
		/* At CPL 0 alone. */
		expect_fault(t, process[i], NB_USER_READ, at);
	}
	DO(t, NB_OP_VFREE, at);
	for (int i = 0; i < 3; i++) {
		REFUSE(t, -EFAULT, NB_OP_PROBE, process[i], at + 8);
		DO(t, NB_OP_PROCESS_DESTROY, process[i]);
	}
}

/*
 * Whether the backtrace leads through the functions of @names to its end. An image without
 * debug information has no more than the first frame, and says so.
 */
static bool traced_through(const struct backtrace *trace, const char *const *names)
{
	if (trace->end == BACKTRACE_NO_INFO && trace->nr_frames == 1)
		return true;
	for (size_t i = 0; i < trace->nr_frames && *names; i++)
		names += strcmp(trace->frame[i].function, *names) == 0;
	return !*names && trace->end == BACKTRACE_WHOLE;
}

/*
 * BUG_ON(in_interrupt()): what must not be called in an interrupt does nothing, and is reported
 * with who called, through the interrupt, to what it interrupted.
 */
static void in_interrupt(struct selftest *t)
{
	static const char *const names[] = {"trap_handle", "trap_common", "hypercall_serve", NULL};
	uint64_t at = MAKE(t, NB_OP_VMALLOC_CALL, NB_VMALLOC, PAGE), warnings = t->log->warnings;

	selftest_call(t, 0, NB_OP_NOP, NB_SQE_IN_INTERRUPT, ARGS(7));
	EXPECT(t, t->answer.result[0] == 7, "a NOP in an interrupt answers %#lx",
	       t->answer.result[0]);
	selftest_call(t, -EPERM, NB_OP_VFREE, NB_SQE_IN_INTERRUPT, ARGS(at));
	EXPECT(t, t->log->warnings == warnings + 1, "%lu warnings of vfree() in an interrupt",
	       t->log->warnings - warnings);
	EXPECT(t, strstr(t->log->text, "interrupt"), "the warning says: %s", t->log->text);
	EXPECT(t, traced_through(&t->log->trace, names),
	       "its backtrace does not lead through the interrupt (%s after %zu frames)",
	       backtrace_end_text(t->log->trace.end), t->log->trace.nr_frames);
	selftest_expect_mapped(t, at, 1, PAGING_R | PAGING_W);
	selftest_call(t, -EPERM, NB_OP_VMALLOC_CALL, NB_SQE_IN_INTERRUPT, ARGS(NB_VMALLOC, PAGE));
	selftest_call(t, -EPERM, NB_OP_GET_VM_AREA_WINDOW, NB_SQE_IN_INTERRUPT, ARGS(PAGE));
	selftest_call(t, -EINVAL, NB_OP_USER_RUN, NB_SQE_IN_INTERRUPT, ARGS(1, NB_USER_SPIN));
	DO(t, NB_OP_VFREE, at);
	selftest_expect_gone(t, at, 1);
}

/* ---- what the guest says ---- */

/* Makes the call; returns how many lines came of it. */
static uint64_t count_lines(struct selftest *t, uint64_t lines, uint64_t milliseconds)
{
	uint64_t before = guest_log_count(t->guest);

	DO(t, NB_OP_TEST_LOG, lines, milliseconds);
	return guest_log_count(t->guest) - before;
}

static void printk(struct selftest *t)
{
	uint64_t lines = count_lines(t, 1, FULL_MS);

	/* Before it stands, if need be, that so many were held back. */
	EXPECT(t, lines == 1 || lines == 2, "%lu lines for one", lines);
	lines = count_lines(t, 3, 0);
	EXPECT(t, lines == 3, "%lu lines for three", lines);
}

static void printk_ratelimit(struct selftest *t)
{
	uint64_t lines;

	count_lines(t, 1, FULL_MS);
	lines = count_lines(t, 100, 0);
	EXPECT(t, lines == BURST - 1, "%lu lines of 100, not the %u left", lines, BURST - 1);
	lines = count_lines(t, 100, 0);
	EXPECT(t, lines == 0, "%lu lines when none are left", lines);
	lines = count_lines(t, 3, TOKEN_MS);
	EXPECT(t, lines == 2, "%lu lines later, not that many were held back and one", lines);
	lines = count_lines(t, 100, 2 * TOKEN_MS);
	EXPECT(t, lines == 3, "%lu lines later, not that many were held back and two", lines);
}

const struct selftest_row selftest_rows_user[] = {
	{"remap_vmalloc_range", remap_vmalloc_range},
	{"vm_insert_page", vm_insert_page},
	{"vmalloc_sync_all", vmalloc_sync_all},
	{"BUG_ON(in_interrupt())", in_interrupt},
	{"printk", printk},
	{"printk_ratelimit", printk_ratelimit},
	{0},
};
