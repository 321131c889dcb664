/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Traces by hand, and plans spelled: what tests of plans are written with. */
#ifndef TESTS_VMM_REPLAY_PLAN_TEXT_H
#define TESTS_VMM_REPLAY_PLAN_TEXT_H

#include "tests/harness.h"
#include "tests/top.h"

#include <errno.h>
#include <limits.h>

#include "tests/vmm/replay/replay_model.h"
#include "tests/scratch.h"
#include "vmm/replay/plan.h"

#define START "0xffffc90000000000"
#define END   "0xffffe8ffffffffff"

/* Lines of a trace: task number, then the event. Two tasks, one on each CPU. */
#define ON(task, cpu) "            task-" task "     [00" cpu "] .....     1.000000: "
#define A             ON("10", "0")
#define B             ON("11", "1")
#define C             ON("12", "0")
#define ENTER(size, align)                                                                \
	"alloc_vmap_area_enter: size=" size " align=" align " vstart=" START " vend=" END \
	" node=-1\n"
#define EXIT(address) "alloc_vmap_area_exit: va=0xffff888100000000 va_start=" address "\n"
#define FAILED        "alloc_vmap_area_exit: va=0xfffffffffffffff0 va_start=(fault)\n"
#define VENTER(size) \
	"vmalloc_enter: size=" size " align=1 start=" START " end=" END " gfp=0xdc0 prot=0x63\n"
#define VEXIT(address) "vmalloc_exit: addr=" address "\n"
#define FREE(address)  "free_vmap_area_noflush: va_start=" address " va_end=0x0\n"
#define PURGE_ENTER    "purge_enter: start=0xffffffffffffffff end=0x0\n"
#define PURGE_EXIT(n)  "purge_exit: purged=" n "\n"
#define TP_ALLOC(a, size, f)                                                                \
	"alloc_vmap_area: va_start: " a " size=" size " align=1 vstart=" START " vend=" END \
	" failed=" f "\n"
#define TP_FREE(address)  "free_vmap_area_noflush: va_start=" address " nr_lazy=1 nr_lazy_max=9\n"
#define TP_PURGE(s, e, n) "purge_vmap_area_lazy: start=" s " end=" e " num_purged=" n "\n"

#define P(n) "0xffffc9000" #n "000" /* the page with this number, four digits */

static struct replay_plan plan;
static struct ftrace_info info;
static struct input_error error;

static inline int read_plan(const char *trace, const char *begin)
{
	struct vmallocinfo snapshot = {0};
	int err;

	if (begin) {
		ck_assert_msg(!vmallocinfo_read(scratch_write(begin), &snapshot, &error), "%s",
			      error.text);
		scratch_remove();
	}
	err = replay_plan_read(scratch_write(trace), begin ? &snapshot : NULL, &plan, &info,
			       &error);
	scratch_remove();
	vmallocinfo_free(&snapshot);
	return err;
}

static inline void make_plan(const char *trace, const char *begin)
{
	const char *wrong;

	ck_assert_msg(!read_plan(trace, begin), "%s", error.text);
	wrong = replay_plan_check(&plan);
	ck_assert_msg(!wrong, "%s", wrong);
}

static inline void drop_plan(void)
{
	replay_plan_free(&plan);
	free(info.skipped_names);
	info.skipped_names = NULL;
}

/*
 * The plan in one word an operation: M(ap), R(eserve), F(ree) with the area's page, P(urge), and
 * ! for an allocation that has to fail.
 */
static inline const char *spell(void)
{
	static char word[1024];
	static const char letters[] = {[REPLAY_MAP] = 'M',
				       [REPLAY_RESERVE] = 'R',
				       [REPLAY_FREE] = 'F',
				       [REPLAY_PURGE] = 'P'};
	const struct replay_op *op;
	size_t i, used = 0;

	word[0] = '\0';
	for (i = 0; i < plan.op_count; i++) {
		op = &plan.ops[i];
		used += (size_t)snprintf(word + used, sizeof(word) - used, "%s%c", i ? " " : "",
					 letters[op->type]);
		if (op->type == REPLAY_PURGE)
			continue;
		if (plan.areas[op->area].expect_failure)
			used += (size_t)snprintf(word + used, sizeof(word) - used, "!");
		else
			used += (size_t)snprintf(
				word + used, sizeof(word) - used, "%llx",
				(unsigned long long)(plan.areas[op->area].address & 0xffff000) >>
					12);
	}
	return word;
}

static inline void expect(const char *trace, const char *begin, const char *spelling)
{
	make_plan(trace, begin);
	ck_assert_str_eq(spell(), spelling);
}

#endif
