/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backtraces of made-up stacks, in the real image, and of stacks made to lead the unwinder astray.
 * A function whose first instruction is about to run has pushed nothing: its CFA is RSP + 8. So
 * any functions make a stack, where each return address is one byte behind a function's start.
 * NESTBOX_ROUNDS changes the number of random stacks a seed.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/harness.h"
#include "tests/vmm/image/tiny_image.h"
#include "vmm/image/backtrace.h"

enum { RBP = 6, RSP = 7, RIP = 16 };

#define STACK_BASE  0xffffffff80210000ull
#define STACK_WORDS 128

#define ROUNDS_DEFAULT 1000

static struct image image;
static struct backtrace_source *source;
static struct backtrace trace;
static uint64_t stack[STACK_WORDS]; /* at STACK_BASE */
static uint64_t regs[NR_REGS];

static bool read_stack(void *context, uint64_t address, uint64_t *word_out)
{
	ck_assert_ptr_eq(context, stack);
	ck_assert_uint_eq(address % 8, 0);
	if (address < STACK_BASE || address >= STACK_BASE + sizeof(stack))
		return false;
	*word_out = stack[(address - STACK_BASE) / 8];
	return true;
}

static void setup(void)
{
	struct error error;

	ck_assert_int_eq(image_load_builtin(&image, &error), 0);
	ck_assert_int_eq(backtrace_source_create(&image, &source), 0);
	memset(stack, 0, sizeof(stack));
	memset(regs, 0, sizeof(regs));
	regs[RSP] = STACK_BASE;
}

static void teardown(void)
{
	backtrace_source_destroy(source);
	image_unload(&image);
}

static uint64_t start_of(const char *name)
{
	const struct image_symbol *symbol = image_symbol_named(&image, name);

	ck_assert_msg(symbol != NULL, "no symbol %s", name);
	return symbol->start;
}

static void take(void)
{
	backtrace_take(source, regs, read_stack, stack, &trace);
}

/* The functions that are not inlined, innermost first, are @names, up to a NULL. */
static void check_names(const char *const *names)
{
	size_t i = 0;

	for (size_t n = 0; n < trace.nr_frames; n++) {
		if (trace.frame[n].inlined)
			continue;
		ck_assert_ptr_nonnull(names[i]);
		ck_assert_str_eq(trace.frame[n].function, names[i]);
		i++;
	}
	ck_assert_ptr_null(names[i]);
}

START_TEST(a_stack_of_calls_is_unwound_to_its_end)
{
	static const char *const names[] = {"vfree", "vmap_purge", "cpu_start", "entry", NULL};
	const struct backtrace_frame *last;

	regs[RIP] = start_of("vfree");
	stack[0] = start_of("vmap_purge") + 1;
	stack[1] = start_of("cpu_start") + 1;
	stack[2] = start_of("entry") + 1;
	take();
	ck_assert_int_eq(trace.end, BACKTRACE_WHOLE);
	check_names(names);
	ck_assert_uint_eq(trace.frame[0].address, regs[RIP]);
	ck_assert(trace.frame[0].exact);
	ck_assert_uint_eq(trace.frame[0].offset, 0);
	ck_assert_str_eq(trace.frame[0].file, "mm/vmalloc.c");
	ck_assert_uint_gt(trace.frame[0].line, 0);
	last = &trace.frame[trace.nr_frames - 1];
	ck_assert(!last->exact);
	ck_assert_uint_eq(last->offset, 1);
	ck_assert_str_eq(last->file, "guest/entry.S");
}
END_TEST

/* A call that never returns may be a function's last instruction. */
START_TEST(a_return_address_belongs_to_the_call_before_it)
{
	const struct image_symbol *panics = image_symbol_named(&image, "op_panic");

	ck_assert_ptr_nonnull(panics);
	regs[RIP] = start_of("report_panic");
	stack[0] = panics->end;
	take();
	ck_assert_uint_ge(trace.nr_frames, 2);
	ck_assert_str_eq(trace.frame[1].function, "op_panic");
	ck_assert_str_eq(trace.frame[1].file, "guest/selfharm.c");
	ck_assert_uint_eq(trace.frame[1].offset, panics->end - panics->start);
}
END_TEST

/* The address trap_common's call of trap_handle() returns to. */
static uint64_t return_into_trap_common(void)
{
	const struct image_symbol *symbol = image_symbol_named(&image, "trap_common");
	const struct image_segment *segment = image_segment_find(&image, gva_make(symbol->start));
	uint64_t target = start_of("trap_handle");

	for (uint64_t at = symbol->start; at + 5 <= symbol->end; at++) {
		const uint8_t *code = segment->bytes + (at - segment->start.value);
		int32_t distance;

		memcpy(&distance, code + 1, sizeof(distance));
		if (code[0] == 0xe8 && at + 5 + (uint64_t)(int64_t)distance == target)
			return at + 5;
	}
	ck_abort_msg("trap_common does not call trap_handle");
}

/* Puts what an interrupt of @rip with @rsp leaves into the stack from @word on. */
static void push_interrupt(size_t word, uint64_t rip, uint64_t rsp)
{
	stack[word++] = return_into_trap_common();
	word += 15;          /* r15 .. rax */
	stack[word++] = 241; /* vector */
	stack[word++] = 0;
	stack[word++] = rip;
	stack[word++] = 8;
	stack[word++] = 0x246;
	stack[word++] = rsp;
	stack[word++] = 16;
}

START_TEST(an_interrupt_leads_into_what_it_interrupted)
{
	static const char *const names[] = {"trap_handle", "trap_common", "vfree", "entry", NULL};
	const struct backtrace_frame *frame = trace.frame;

	regs[RIP] = start_of("trap_handle");
	/* The interrupted function, at its first byte, has a stack elsewhere. */
	push_interrupt(0, start_of("vfree"), STACK_BASE + 64 * 8);
	stack[64] = start_of("entry") + 1;
	take();
	ck_assert_int_eq(trace.end, BACKTRACE_WHOLE);
	check_names(names);
	while (strcmp(frame->function, "vfree") != 0)
		frame++;
	ck_assert(frame->exact);
	ck_assert_uint_eq(frame->offset, 0);
}
END_TEST

START_TEST(stacks_that_lead_in_circles_end)
{
	regs[RIP] = start_of("trap_handle");
	push_interrupt(0, start_of("trap_handle"), STACK_BASE);
	take();
	ck_assert_int_eq(trace.end, BACKTRACE_TOO_LONG);
	ck_assert_uint_eq(trace.nr_frames, BACKTRACE_FRAMES_MAX);
}
END_TEST

static const struct {
	uint64_t rsp;
	enum backtrace_end end;
} bad_stacks[] = {
	{STACK_BASE + 4, BACKTRACE_BAD_STACK},
	{STACK_BASE + 1, BACKTRACE_BAD_STACK},
	{0xfffffffffffffff8, BACKTRACE_BAD_STACK},
	{STACK_BASE + sizeof(stack), BACKTRACE_UNREADABLE},
	{STACK_BASE - 8, BACKTRACE_UNREADABLE},
	{0, BACKTRACE_UNREADABLE},
	{0xffff888000000000, BACKTRACE_UNREADABLE},
};

START_TEST(stacks_that_are_none_end_the_backtrace)
{
	regs[RIP] = start_of("vfree");
	regs[RSP] = bad_stacks[_i].rsp;
	take();
	ck_assert_int_eq(trace.end, bad_stacks[_i].end);
	ck_assert_str_eq(trace.frame[0].function, "vfree");
}
END_TEST

static const uint64_t not_code[] = {
	0,
	1,
	0x1000,
	0xffff888000001000,
	0xffffffff80200000,
	0xffffffff80200010,
	0x8000000000000000,
	UINT64_MAX,
};

START_TEST(what_is_no_code_is_no_caller)
{
	regs[RIP] = start_of("vfree");
	stack[0] = not_code[_i];
	take();
	ck_assert_int_eq(trace.end, BACKTRACE_NOT_CODE);
	ck_assert_uint_eq(trace.nr_frames, 1);
}
END_TEST

START_TEST(a_jump_to_nowhere_has_a_caller)
{
	const char *names[] = {"", "cpu_start", "entry", NULL};

	regs[RIP] = not_code[_i];
	stack[0] = start_of("cpu_start") + 1;
	stack[1] = start_of("entry") + 1;
	take();
	ck_assert_int_eq(trace.end, BACKTRACE_WHOLE);
	ck_assert_uint_eq(trace.frame[0].address, not_code[_i]);
	ck_assert_uint_eq(trace.frame[0].line, 0);
	/* One of them is a variable's, which is as good a name for where it is as any. */
	names[0] = trace.frame[0].function;
	ck_assert(names[0][0] == 0 || strcmp(names[0], "machine") == 0);
	check_names(names);
}
END_TEST

static uint64_t state;

static uint64_t draw(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

static uint64_t random_word(void)
{
	uint64_t text = start_of("trap_stubs"), end = start_of("trap_stubs") + 0xd000;

	switch (draw(4)) {
	case 0:
		return text + draw(end - text);
	case 1:
		return STACK_BASE + draw(STACK_WORDS) * 8;
	case 2:
		return state << draw(64);
	default:
		return return_into_trap_common();
	}
}

/* Every string of the trace ends inside its array. One assertion a trace: each is a system call. */
static bool strings_end(void)
{
	for (size_t i = 0; i < trace.nr_frames; i++) {
		const struct backtrace_frame *frame = &trace.frame[i];

		if (!memchr(frame->function, 0, sizeof(frame->function)) ||
		    !memchr(frame->file, 0, sizeof(frame->file)))
			return false;
	}
	return true;
}

START_TEST(any_stack_is_survived)
{
	const char *rounds = getenv("NESTBOX_ROUNDS");
	const int nr_rounds = rounds && *rounds ? atoi(rounds) : ROUNDS_DEFAULT;
	size_t deepest = 0, seen[BACKTRACE_NR_ENDS] = {0};

	state = (uint64_t)_i + 1;
	printf("seed %d\n", _i);
	for (int round = 0; round < nr_rounds; round++) {
		for (size_t i = 0; i < STACK_WORDS; i++)
			stack[i] = random_word();
		for (size_t i = 0; i < NR_REGS; i++)
			regs[i] = random_word();
		take();
		ck_assert(trace.nr_frames >= 1 && trace.nr_frames <= BACKTRACE_FRAMES_MAX &&
			  trace.end < BACKTRACE_NR_ENDS && strings_end());
		seen[trace.end]++;
		deepest = trace.nr_frames > deepest ? trace.nr_frames : deepest;
	}
	/* The words are such that it gets somewhere, and fails in more than one way. */
	ck_assert_uint_gt(deepest, 6);
	ck_assert(seen[BACKTRACE_NOT_CODE] && seen[BACKTRACE_UNREADABLE] &&
		  seen[BACKTRACE_BAD_STACK]);
}
END_TEST

static char *printed(void)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(file);
	backtrace_print(&trace, "  ", file);
	fclose(file);
	return text;
}

START_TEST(it_is_printed_with_file_and_line_and_as_json)
{
	json_t *json, *frame;
	char *text;

	regs[RIP] = start_of("vfree");
	stack[0] = start_of("entry") + 1;
	take();
	text = printed();
	ck_assert_ptr_nonnull(strstr(text, " vfree+0 at mm/vmalloc.c:"));
	ck_assert_ptr_nonnull(strstr(text, " entry+0x1 at guest/entry.S:"));
	ck_assert_ptr_null(strstr(text, "no further"));
	free(text);
	json = backtrace_json(&trace);
	ck_assert_str_eq(json_string_value(json_object_get(json, "end")), "whole");
	frame = json_array_get(json_object_get(json, "frames"), 0);
	ck_assert_str_eq(json_string_value(json_object_get(frame, "function")), "vfree");
	ck_assert_str_eq(json_string_value(json_object_get(frame, "file")), "mm/vmalloc.c");
	json_decref(json);
}
END_TEST

START_TEST(frames_of_the_report_itself_can_be_dropped)
{
	regs[RIP] = start_of("report_warn");
	stack[0] = start_of("vfree") + 1;
	stack[1] = start_of("entry") + 1;
	take();
	backtrace_start_at(&trace, start_of("vfree") + 1);
	ck_assert_str_eq(trace.frame[0].function, "vfree");
	ck_assert_str_eq(trace.frame[trace.nr_frames - 1].function, "entry");
	backtrace_start_at(&trace, 0x1234);
	ck_assert_str_eq(trace.frame[0].function, "vfree");
}
END_TEST

/* Symbols, but no word on how to unwind. */
START_TEST(an_image_without_unwind_information_says_so)
{
	struct tiny_image tiny;
	struct backtrace_source *other;
	struct error error;
	struct image small;
	char *text;

	tiny_image_make(&tiny, NULL, 0, 0);
	ck_assert_int_eq(image_load_bytes("tiny", &tiny, sizeof(tiny), &small, &error), 0);
	ck_assert_int_eq(backtrace_source_create(&small, &other), 0);
	regs[RIP] = TINY_TEXT_GVA;
	backtrace_take(other, regs, read_stack, stack, &trace);
	ck_assert_int_eq(trace.end, BACKTRACE_NO_INFO);
	ck_assert_uint_eq(trace.nr_frames, 1);
	ck_assert_str_eq(trace.frame[0].function, "tiny_entry");
	ck_assert_uint_eq(trace.frame[0].line, 0);
	text = printed();
	ck_assert_ptr_nonnull(strstr(text, "no further: the image has no unwind information"));
	free(text);
	backtrace_source_destroy(other);
	image_unload(&small);
}
END_TEST

static Suite *backtrace_suite(void)
{
	Suite *suite = suite_create("backtrace");
	TCase *tcase = tcase_create("backtrace");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_stack_of_calls_is_unwound_to_its_end);
	tcase_add_test(tcase, a_return_address_belongs_to_the_call_before_it);
	tcase_add_test(tcase, an_interrupt_leads_into_what_it_interrupted);
	tcase_add_test(tcase, stacks_that_lead_in_circles_end);
	tcase_add_loop_test(tcase, stacks_that_are_none_end_the_backtrace, 0,
			    sizeof(bad_stacks) / sizeof(bad_stacks[0]));
	tcase_add_loop_test(tcase, what_is_no_code_is_no_caller, 0,
			    sizeof(not_code) / sizeof(not_code[0]));
	tcase_add_loop_test(tcase, a_jump_to_nowhere_has_a_caller, 0,
			    sizeof(not_code) / sizeof(not_code[0]));
	tcase_add_loop_test(tcase, any_stack_is_survived, 0, 4);
	tcase_add_test(tcase, it_is_printed_with_file_and_line_and_as_json);
	tcase_add_test(tcase, frames_of_the_report_itself_can_be_dropped);
	tcase_add_test(tcase, an_image_without_unwind_information_says_so);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(backtrace_suite());
}
