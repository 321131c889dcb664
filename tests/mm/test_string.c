/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's own memory functions, compiled here under other names and held against libc's, for
 * every small size, alignment and overlap.
 */
#include "tests/harness.h"

#include <string.h>

#define memcpy  guest_memcpy
#define memset  guest_memset
#define memmove guest_memmove
#define memcmp  guest_memcmp
#include "mm/string.c"
#undef memcpy
#undef memset
#undef memmove
#undef memcmp

#define ROOM 96

static uint8_t ours[ROOM], theirs[ROOM];

static void fill(void)
{
	for (unsigned int i = 0; i < ROOM; i++)
		ours[i] = theirs[i] = (uint8_t)(i * 37 + 11);
}

static void assert_same(const char *what, size_t to, size_t from, size_t bytes)
{
	if (memcmp(ours, theirs, ROOM))
		ck_abort_msg("%s(%zu, %zu, %zu)", what, to, from, bytes);
}

START_TEST(memcpy_and_memmove_are_libcs)
{
	for (size_t bytes = 0; bytes <= 40; bytes++) {
		for (size_t to = 0; to + bytes <= ROOM; to++) {
			for (size_t from = 0; from + bytes <= ROOM; from++) {
				fill();
				if (guest_memmove(ours + to, ours + from, bytes) != ours + to)
					ck_abort_msg("memmove returns something else");
				memmove(theirs + to, theirs + from, bytes);
				assert_same("memmove", to, from, bytes);
				if (to < from + bytes && from < to + bytes)
					continue;
				fill();
				if (guest_memcpy(ours + to, ours + from, bytes) != ours + to)
					ck_abort_msg("memcpy returns something else");
				memcpy(theirs + to, theirs + from, bytes);
				assert_same("memcpy", to, from, bytes);
			}
		}
	}
}
END_TEST

START_TEST(memset_is_libcs)
{
	for (size_t bytes = 0; bytes <= 40; bytes++) {
		for (size_t to = 0; to + bytes <= ROOM; to++) {
			fill();
			ck_assert(guest_memset(ours + to, (int)(bytes * 1234567), bytes) ==
				  ours + to);
			memset(theirs + to, (int)(bytes * 1234567), bytes);
			assert_same("memset", to, 0, bytes);
		}
	}
}
END_TEST

static int sign(int value)
{
	return (value > 0) - (value < 0);
}

START_TEST(memcmp_is_libcs)
{
	for (size_t bytes = 0; bytes <= 40; bytes++) {
		for (size_t at = 0; at < 40; at++) {
			fill();
			ours[at] ^= 0x80;
			ck_assert_int_eq(sign(guest_memcmp(ours, theirs, bytes)),
					 sign(memcmp(ours, theirs, bytes)));
			ck_assert_int_eq(sign(guest_memcmp(theirs, ours, bytes)),
					 sign(memcmp(theirs, ours, bytes)));
		}
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("string");
	TCase *tcase = tcase_create("string");

	tcase_add_test(tcase, memcpy_and_memmove_are_libcs);
	tcase_add_test(tcase, memset_is_libcs);
	tcase_add_test(tcase, memcmp_is_libcs);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(suite());
}
