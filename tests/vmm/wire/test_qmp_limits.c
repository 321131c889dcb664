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

/* ---- who may what ---- */

static void ck_forbidden(const char *text, const char *why)
{
	const char *said;

	drop();
	ck_assert_int_eq(feed(text), QMP_ANSWER);
	said = json_string_value(json_object_get(json_object_get(answer, "error"), "desc"));
	ck_assert_ptr_nonnull(said);
	ck_assert_msg(strstr(said, why) != NULL, "%s: %s", text, said);
	ck_assert_int_eq(json_integer_value(json_object_get(answer, "id")), 7);
}

START_TEST(who_looks_changes_nothing)
{
	qmp_session_allow(session, false, true);
	ck_forbidden("{\"execute\": \"nop\", \"id\": 7}", "for looking");
	ck_forbidden("{\"execute\": \"quit\", \"id\": 7}", "for looking");
	ck_forbidden("{\"execute\": \"x-test-panic\", \"id\": 7}", "for looking");
	ck_assert_int_eq(feed("{\"execute\": \"query-status\"}"), QMP_REQUEST);
	drop();
	ck_assert_int_eq(feed("{\"execute\": \"query-commands\"}"), QMP_ANSWER);
	ck_assert_ptr_nonnull(json_object_get(answer, "return"));
}
END_TEST

START_TEST(harm_is_for_who_asked_for_it)
{
	qmp_session_allow(session, true, false);
	ck_forbidden("{\"execute\": \"x-test-panic\", \"id\": 7}", "nestbox run --unsafe");
	ck_forbidden("{\"execute\": \"write-memory\", \"id\": 7, \"arguments\": {\"address\": "
		     "\"0x0\", \"bytes\": \"00\"}}",
		     "nestbox run --unsafe");
	ck_assert_int_eq(feed("{\"execute\": \"quit\"}"), QMP_REQUEST);
}
END_TEST

/* What looks is the queries and these; what harms, by its name. A new command says what it is. */
START_TEST(the_table_says_who_may_what)
{
	static const char *const looks[] = {"search-memory", "translate", "read-memory",
					    "disassemble",   "audit",     "human-monitor-command"};
	size_t others = 0;

	for (size_t i = 0; i < protocol_table.nr_groups; i++) {
		const struct qmp_command *command = protocol_table.groups[i].commands;

		for (; command->name; command++) {
			bool test = strncmp(command->name, "x-test-", 7) == 0;

			ck_assert_msg(
				command->lane == QMP_LANE_WIRE ||
					(command->access == QMP_UNSAFE) ==
						(test || !strcmp(command->name, "write-memory")),
				"%s", command->name);
			if (command->lane == QMP_LANE_WIRE || command->access != QMP_LOOKS ||
			    strncmp(command->name, "query-", 6) == 0)
				continue;
			for (size_t j = 0; j < sizeof(looks) / sizeof(looks[0]); j++)
				others += !strcmp(command->name, looks[j]) ? 1 : 0;
			others += 100;
		}
	}
	ck_assert_uint_eq(others, 101 * sizeof(looks) / sizeof(looks[0]));
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
	tcase_add_test(tcase, who_looks_changes_nothing);
	tcase_add_test(tcase, harm_is_for_who_asked_for_it);
	tcase_add_test(tcase, the_table_says_who_may_what);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
