/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How long and how deep a message may be: told before it is parsed, and the next one is heard. */
#include "tests/vmm/wire/qmp_fixture.h"

/* @front, @count times @part, and the command that is heard after the end of the line. */
static void check_too_much(const char *front, const char *part, size_t count)
{
	char *text = malloc(strlen(front) + count * strlen(part) + 1), *at = text;

	at += sprintf(at, "%s", front);
	for (size_t i = 0; i < count; i++)
		at += sprintf(at, "%s", part);
	ck_assert_msg(strstr(error_of(text), "is skipped to the end of its line"), "%s: %s", part,
		      json_string_value(json_object_get(json_object_get(answer, "error"), "desc")));
	free(text);
	drop();
	ck_assert_int_eq(feed("]]]\n{\"execute\": \"nop\"}"), QMP_REQUEST);
}

/* Said before the message has ended, so before it was parsed. */
START_TEST(what_would_cost_much_is_refused_unparsed)
{
	check_too_much("", "[", QMP_DEPTH_MAX + 1);
	check_too_much("[", "{\"a\":", QMP_DEPTH_MAX);
	check_too_much("[{}", ",{}", QMP_BRACKETS_MAX);
	check_too_much("[0", ",0", QMP_MEMBERS_MAX + 1);
	/* In a string they are text. */
	drop();
	ck_assert_int_eq(
		feed("{\"execute\": \"nop\", \"id\": \"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}"),
		QMP_REQUEST);
}
END_TEST

/* The longest message that is taken, with @more bytes added to it. */
static char *long_message(size_t more)
{
	static const char front[] = "{\"execute\": \"nop\", \"id\": \"", back[] = "\"}";
	size_t size = QMP_MESSAGE_BYTES + more, fill = size - strlen(front) - strlen(back);
	char *text = malloc(size + 1);

	memcpy(text, front, strlen(front));
	memset(text + strlen(front), 'x', fill);
	strcpy(text + strlen(front) + fill, back);
	return text;
}

START_TEST(the_longest_message_is_taken)
{
	char *text = long_message(0);

	ck_assert_int_eq(feed(text), QMP_REQUEST);
	ck_assert_uint_gt(json_string_length(request->id), QMP_MESSAGE_BYTES - 64);
	free(text);
}
END_TEST

START_TEST(a_longer_one_is_skipped_to_its_newline)
{
	char *text = long_message(9 * QMP_MESSAGE_BYTES);

	ck_assert_int_eq(feed_bytes(text, strlen(text), 4096), QMP_ANSWER);
	ck_assert_ptr_nonnull(json_object_get(answer, "error"));
	drop();
	ck_assert_int_eq(feed(" {\"execute\": \"nop\"} "), QMP_MORE);
	ck_assert_int_eq(feed("still the same line\n{\"execute\": \"nop\"}"), QMP_REQUEST);
	free(text);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("limits");
	Suite *suite = suite_create("qmp_limits");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, what_would_cost_much_is_refused_unparsed);
	tcase_add_test(tcase, the_longest_message_is_taken);
	tcase_add_test(tcase, a_longer_one_is_skipped_to_its_newline);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
