/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * format_text() against the C library's own printf, which knows the same conversions.
 */
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "guest/printf.h"
#include "tests/harness.h"

static char got[256];

__attribute__((format(printf, 2, 3))) static u32 format(u32 size, const char *text, ...)
{
	va_list args;
	u32 used;

	memset(got, '#', sizeof(got));
	va_start(args, text);
	used = format_text(got, size, text, args);
	va_end(args);
	return used;
}

/* Formats with both; the same bytes, the length returned, and nothing written behind them. */
#define SAME_AS_LIBC(...)                                                   \
	do {                                                                \
		char want[256];                                             \
		int length = snprintf(want, sizeof(want), __VA_ARGS__);     \
		ck_assert_int_eq(format(sizeof(got), __VA_ARGS__), length); \
		ck_assert_mem_eq(got, want, (size_t)length);                \
		ck_assert_int_eq(got[length], '#');                         \
	} while (0)

START_TEST(plain_text_is_copied)
{
	SAME_AS_LIBC("no conversion at all");
	SAME_AS_LIBC("100%% and 5%%");
	SAME_AS_LIBC("[%s] [%s]", "", "text");
	SAME_AS_LIBC("%c%c%c", 'a', '%', 'z');
}
END_TEST

static const s64 numbers[] = {
	0, 1, -1, 9, 10, -10, 4095, 4096, INT32_MAX, INT32_MIN, UINT32_MAX, INT64_MAX, INT64_MIN,
};

START_TEST(numbers_look_as_in_libc)
{
	s64 number = numbers[_i];

	SAME_AS_LIBC("%d|%i", (int)number, (int)number);
	SAME_AS_LIBC("%u|%x|%X", (unsigned)number, (unsigned)number, (unsigned)number);
	SAME_AS_LIBC("%ld|%lld", (long)number, (long long)number);
	SAME_AS_LIBC("%lu|%llu", (unsigned long)number, (unsigned long long)number);
	SAME_AS_LIBC("%lx|%llx|%llX", (unsigned long)number, (unsigned long long)number,
		     (unsigned long long)number);
	SAME_AS_LIBC("%8d|%08d|%20lld|%020lld", (int)number, (int)number, (long long)number,
		     (long long)number);
	SAME_AS_LIBC("%4x|%016llx|%1u", (unsigned)number, (unsigned long long)number,
		     (unsigned)number);
}
END_TEST

START_TEST(pointers_and_padded_text_look_as_in_libc)
{
	int here;

	SAME_AS_LIBC("%p", (void *)&here);
	SAME_AS_LIBC("%p", (void *)UINT64_C(0xffffc90000001000));
	SAME_AS_LIBC("[%10s] [%2s] [%5c]", "right", "longer", 'c');
}
END_TEST

START_TEST(null_text_is_named)
{
	const char *volatile nothing = NULL;

	ck_assert_int_eq(format(sizeof(got), "%s", nothing), 6);
	ck_assert_mem_eq(got, "(null)", 6);
}
END_TEST

START_TEST(long_text_is_cut_at_the_end_of_the_buffer)
{
	u32 size;

	for (size = 0; size < 12; size++) {
		ck_assert_int_eq(format(size, "%s%d", "ninechars", 1234), size);
		ck_assert_mem_eq(got, "ninechars1234", size);
		ck_assert_int_eq(got[size], '#');
	}
}
END_TEST

/* Through a variable, because compilers check the literal ones. */
START_TEST(unknown_conversions_stay_and_take_no_argument)
{
	static const char *const formats[] = {"%q%d", "%llld%d", "%-5d%d", "%.3f%d"};
	static const char *const results[] = {"%q7", "%llld7", "%-5d7", "%.3f7"};
	const char *volatile text;
	size_t i;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		text = formats[i];
		ck_assert_int_eq(format(sizeof(got), text, 7), strlen(results[i]));
		ck_assert_mem_eq(got, results[i], strlen(results[i]));
	}
	text = "ends in %";
	ck_assert_int_eq(format(sizeof(got), text, 0), 9);
	text = "ends in %12l";
	ck_assert_int_eq(format(sizeof(got), text, 0), 12);
#pragma GCC diagnostic pop
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("guest/printf");
	TCase *tests = tcase_create("format_text");

	tcase_add_test(tests, plain_text_is_copied);
	tcase_add_loop_test(tests, numbers_look_as_in_libc, 0,
			    (int)(sizeof(numbers) / sizeof(numbers[0])));
	tcase_add_test(tests, pointers_and_padded_text_look_as_in_libc);
	tcase_add_test(tests, null_text_is_named);
	tcase_add_test(tests, long_text_is_cut_at_the_end_of_the_buffer);
	tcase_add_test(tests, unknown_conversions_stay_and_take_no_argument);
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
