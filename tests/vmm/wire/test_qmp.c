/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control protocol's wire: messages among bytes, arguments against the table, answers. */
#include <string.h>

#include "tests/harness.h"
#include "tests/vmm/wire/qmp_fixture.h"

static void begin_raw(void)
{
	session = qmp_session_create(&protocol_table, find_symbol, NULL);
}

/* ---- the negotiation ---- */

START_TEST(greets_as_qemu_does)
{
	json_t *greeting = qmp_greeting();
	char *text = qmp_text(greeting);

	ck_assert_ptr_nonnull(strstr(text, "{\"QMP\": {\"version\": {\"qemu\": {\"major\": "));
	ck_assert_ptr_nonnull(strstr(text, "\"capabilities\": []"));
	ck_assert_str_eq(text + strlen(text) - 2, "\r\n");
	free(text);
	json_decref(greeting);
}
END_TEST

START_TEST(nothing_before_the_negotiation)
{
	ck_error("{\"execute\": \"query-status\"}", "qmp_capabilities");
	ck_assert_str_eq(
		json_string_value(json_object_get(json_object_get(answer, "error"), "class")),
		"CommandNotFound");
	ck_error("{\"execute\": \"no-such\"}", "qmp_capabilities");
	ck_assert(!qmp_session_ready(session));
	ck_error("{\"execute\": \"qmp_capabilities\", \"arguments\": {\"enable\": [\"oob\"]}}",
		 "no capabilities");
	ck_assert(!qmp_session_ready(session));
	ck_assert_int_eq(feed("{\"execute\": \"qmp_capabilities\"}"), QMP_ANSWER);
	ck_assert(qmp_session_ready(session));
	ck_error("{\"execute\": \"qmp_capabilities\"}", "once");
}
END_TEST

/* ---- messages ---- */

START_TEST(messages_need_no_newline_and_may_come_in_any_pieces)
{
	static const char text[] = "  \r\n{\"execute\": \"vfree\", \"arguments\": "
				   "{\"address\": \"0x1}\\\"{[\"}, \"id\": [{\"a\": \"]\"}]}";
	static const char good[] = "{\"execute\": \"vfree\", \"arguments\": {\"address\": "
				   "\"0x10\"}, \"id\": [{\"a\": \"]}\\\\\"}]}";
	size_t step;

	ck_assert_ptr_nonnull(strstr(error_of(text), "address"));
	for (step = 1; step < sizeof(good); step++) {
		drop();
		ck_assert_int_eq(feed_bytes(good, strlen(good), step), QMP_REQUEST);
		ck_assert_str_eq(request->command->name, "vfree");
		ck_assert_uint_eq(qmp_get(request, "address")->word, 0x10);
	}
}
END_TEST

START_TEST(a_message_may_be_of_several_lines)
{
	ck_assert_int_eq(feed("{\n  \"execute\":\n\t\"nop\",\r\n\"id\": [\n1\n]\n}"), QMP_REQUEST);
	ck_assert_str_eq(request->command->name, "nop");
	ck_assert_uint_eq(json_array_size(request->id), 1);
	drop();
	ck_assert_int_eq(feed("{\"execute\":\n"), QMP_MORE);
	ck_assert_int_eq(feed("\"nop\"}"), QMP_REQUEST);
}
END_TEST

START_TEST(several_messages_in_one_write)
{
	static const char text[] = "{\"execute\":\"nop\",\"id\":1}{\"execute\":\"nop\",\"id\":2}\n"
				   "{\"execute\":\"nop\",\"id\":3}";
	size_t taken, at = 0;
	int i;

	for (i = 1; i <= 3; i++) {
		drop();
		ck_assert_int_eq(qmp_session_feed(session, text + at, strlen(text + at), &taken,
						  &request, &answer),
				 QMP_REQUEST);
		ck_assert_int_eq(json_integer_value(request->id), i);
		at += taken;
	}
	ck_assert_uint_eq(at, strlen(text));
}
END_TEST

START_TEST(what_is_no_message_is_an_error_and_the_next_one_is_heard)
{
	static const char *const bad[] = {
		"{\"execute\n",
		"{\"execute\"\n}",
		"{\n}",
		"{]}\n",
		"[]",
		"[1, {}]",
		"12\n",
		"\"text\"\n",
		"bla {}\n",
		"{\"execute\": \"nop\" \"id\": 1}",
		"{\"execute\": \"nop\", \"execute\": \"nop\"}",
		"{\"execute\": \"\xc3\"}",
		"{\"execute\": \"\\u0000\"}",
		"{'execute': 'nop'}\n",
		"{\"execute\": 99999999999999999999}",
		"{}",
		"{\"id\": 1}",
		"{\"execute\": 7}",
		"{\"execute\": null}",
		"{\"execute\": \"nop\", \"arguments\": []}",
		"{\"execute\": \"nop\", \"arguments\": null}",
		"{\"execute\": \"nop\", \"extra\": 1}",
		"{\"exec-oob\": \"nop\"}",
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_uint_gt(strlen(error_of(bad[i])), 0);
		drop();
		ck_assert_msg(feed("{\"execute\": \"nop\"}") == QMP_REQUEST, "after %s", bad[i]);
	}
}
END_TEST

START_TEST(a_control_byte_drops_what_came_before)
{
	drop();
	ck_assert_int_eq(feed_bytes("{\"execute\": \"stop\", \x01", 21, 21), QMP_ANSWER);
	ck_assert_ptr_nonnull(json_object_get(answer, "error"));
	drop();
	ck_assert_int_eq(feed("{\"execute\": \"nop\"}"), QMP_REQUEST);
	drop();
	/* Many in a row are one error. */
	ck_assert_int_eq(feed_bytes("\xff", 1, 1), QMP_ANSWER);
	drop();
	ck_assert_int_eq(feed_bytes("\xff\x00\xff\x1b", 4, 4), QMP_MORE);
	ck_assert_int_eq(feed("{\"execute\": \"nop\"}"), QMP_REQUEST);
}
END_TEST

START_TEST(the_end_of_a_client_in_the_middle_of_a_message_is_an_error)
{
	json_t *error;

	ck_assert_ptr_null(qmp_session_end(session));
	ck_assert_int_eq(feed("{\"execute\""), QMP_MORE);
	error = qmp_session_end(session);
	ck_assert_ptr_nonnull(json_object_get(error, "error"));
	json_decref(error);
}
END_TEST

/* ---- arguments ---- */

START_TEST(unknown_commands_and_arguments_are_errors_with_the_id)
{
	ck_error("{\"execute\": \"no-such\", \"id\": 7}", "no-such");
	ck_assert_int_eq(json_integer_value(json_object_get(answer, "id")), 7);
	ck_error("{\"execute\": \"vfree\", \"arguments\": {\"addres\": \"0x1\"}, \"id\": \"a\"}",
		 "it takes address, vcpu");
	ck_assert_str_eq(json_string_value(json_object_get(answer, "id")), "a");
	ck_error("{\"execute\": \"vfree\"}", "needs argument 'address'");
	ck_error("{\"execute\": \"query-status\", \"arguments\": {\"a\": 1}}", "none");
}
END_TEST

START_TEST(every_type_refuses_every_other)
{
	static const char *const bad[][2] = {
		/* bool, int, u64, size, address, text, enum, bytes, frames, texts */
		{"nop", "\"in-interrupt\": 1"},
		{"nop", "\"in-interrupt\": \"true\""},
		{"nop", "\"vcpu\": \"0\""},
		{"nop", "\"vcpu\": 1.0"},
		{"nop", "\"vcpu\": -1"},
		{"nop", "\"vcpu\": 64"},
		{"nop", "\"vcpu\": null"},
		{"nop", "\"value\": -1"},
		{"nop", "\"value\": \"17\""},
		{"nop", "\"value\": \"0x\""},
		{"nop", "\"value\": \"0x12345678123456789\""},
		{"nop", "\"value\": true"},
		{"nop", "\"value\": 1.5"},
		{"vmalloc", "\"size\": \"64K\""},
		{"vmalloc", "\"size\": {}"},
		{"vmalloc", "\"size\": 4096, \"node\": -2"},
		{"vmalloc", "\"size\": 4096, \"node\": 8"},
		{"vfree", "\"address\": 4096"},
		{"vfree", "\"address\": \"\""},
		{"vfree", "\"address\": \"0xg\""},
		{"vfree", "\"address\": \"0x1ffffffffffffffff\""},
		{"vfree", "\"address\": \"nowhere\""},
		{"vfree", "\"address\": \"machine+\""},
		{"vfree", "\"address\": \"machine+x\""},
		{"vfree", "\"address\": \"top+0x2\""},
		{"vfree", "\"address\": [\"0x1\"]"},
		{"keep-moment", "\"name\": \"\""},
		{"keep-moment", "\"name\": \"a\\nb\""},
		{"keep-moment", "\"name\": 5"},
		{"keep-moment", "\"name\": \"0123456789012345678901234567890123456789"
				"012345678901234567890123\""},
		{"set-mode", "\"mode\": \"Lazy\""},
		{"set-mode", "\"mode\": 0"},
		{"set-mode", "\"mode\": \"\""},
		{"vwrite", "\"address\": \"0x1000\", \"bytes\": \"\""},
		{"vwrite", "\"address\": \"0x1000\", \"bytes\": \"abc\""},
		{"vwrite", "\"address\": \"0x1000\", \"bytes\": \"0x\""},
		{"vwrite", "\"address\": \"0x1000\", \"bytes\": \"a \""},
		{"vwrite", "\"address\": \"0x1000\", \"bytes\": 12"},
		{"vmap", "\"frames\": []"},
		{"vmap", "\"frames\": 5"},
		{"vmap", "\"frames\": [1, -1]"},
		{"vmap", "\"frames\": [\"1\"]"},
		{"vmap", "\"frames\": [[1]]"},
	};
	char text[512];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "{\"execute\": \"%s\", \"arguments\": {%s}}",
			 bad[i][0], bad[i][1]);
		ck_assert_uint_gt(strlen(error_of(text)), 0);
		ck_assert_ptr_null(request);
	}
}
END_TEST

START_TEST(values_come_out_as_their_types_make_them)
{
	ck_assert_int_eq(
		feed("{\"execute\": \"vmalloc\", \"arguments\": {\"size\": 65536, \"align\": "
		     "\"0x200000\", \"node\": -1, \"prot\": \"0x8000000000000163\", \"caller\": "
		     "\"machine+0x40\", \"in-interrupt\": true, \"vcpu\": 63}}"),
		QMP_REQUEST);
	ck_assert_uint_eq(qmp_get(request, "size")->word, 65536);
	ck_assert_uint_eq(qmp_get(request, "align")->word, 0x200000);
	ck_assert_int_eq(qmp_get(request, "node")->number, -1);
	ck_assert_uint_eq(qmp_get(request, "node")->word, UINT64_MAX);
	ck_assert_uint_eq(qmp_get(request, "prot")->word, 0x8000000000000163);
	ck_assert_uint_eq(qmp_get(request, "caller")->word, 0xffffffff80200040);
	ck_assert(qmp_get(request, "in-interrupt")->flag);
	ck_assert_uint_eq(qmp_get(request, "vcpu")->word, 63);
	/* What was not given has what the table says. */
	ck_assert(!qmp_get(request, "gfp")->given);
	ck_assert_uint_eq(qmp_get(request, "gfp")->word, 0xcc0);
	ck_assert_uint_eq(qmp_get(request, "end")->word, 0xffffe8ffffffffff);
	drop();
	ck_assert_int_eq(feed("{\"execute\": \"vwrite\", \"arguments\": {\"address\": \"16\", "
			      "\"bytes\": \"00fF7a\"}}"),
			 QMP_REQUEST);
	ck_assert_uint_eq(qmp_get(request, "bytes")->count, 3);
	ck_assert_mem_eq(qmp_get(request, "bytes")->bytes, "\x00\xff\x7a", 3);
	ck_assert_uint_eq(qmp_get(request, "address")->word, 16);
	drop();
	ck_assert_int_eq(feed("{\"execute\": \"vmap\", \"arguments\": {\"frames\": [5, "
			      "\"0x100000\"]}}"),
			 QMP_REQUEST);
	ck_assert_uint_eq(qmp_get(request, "frames")->count, 2);
	ck_assert_uint_eq(qmp_get(request, "frames")->frames[1], 0x100000);
}
END_TEST

START_TEST(a_list_longer_than_the_data_area_is_an_error)
{
	char *text = malloc(200000), *at = text;
	int i;

	at += sprintf(at, "{\"execute\": \"vmap\", \"arguments\": {\"frames\": [1");
	for (i = 0; i < 8192; i++)
		at += sprintf(at, ",1");
	strcpy(at, "]}}");
	ck_error(text, "1 to 8192");
	free(text);
}
END_TEST

/* ---- answers ---- */

START_TEST(answers_are_one_line_of_ascii_with_the_id)
{
	json_t *json;
	char *text;

	ck_assert_int_eq(feed("{\"execute\": \"nop\", \"id\": {\"x\": \"\xc3\xa4\\n\"}}"),
			 QMP_REQUEST);
	json = qmp_return(request, json_object());
	text = qmp_text(json);
	ck_assert_str_eq(text, "{\"return\": {}, \"id\": {\"x\": \"\\u00E4\\n\"}}\r\n");
	free(text);
	json_decref(json);
	json = qmp_error(request, "bad %s", "\x01\xff\n");
	text = qmp_text(json);
	ck_assert_ptr_nonnull(strstr(text, "\"desc\": \"bad ???\""));
	free(text);
	json_decref(json);
}
END_TEST

START_TEST(events_have_their_time)
{
	json_t *event = qmp_event("STOP", NULL);

	ck_assert_str_eq(json_string_value(json_object_get(event, "event")), "STOP");
	ck_assert_int_gt(
		json_integer_value(json_object_get(json_object_get(event, "timestamp"), "seconds")),
		1600000000);
	ck_assert_ptr_null(json_object_get(event, "data"));
	json_decref(event);
}
END_TEST

START_TEST(every_command_has_a_schema_by_name)
{
	json_t *list, *schema;
	char text[256];
	size_t i;

	ck_assert_int_eq(feed("{\"execute\": \"query-commands\"}"), QMP_ANSWER);
	list = json_incref(json_object_get(answer, "return"));
	ck_assert_uint_gt(json_array_size(list), 70);
	for (i = 0; i < json_array_size(list); i++) {
		const char *name =
			json_string_value(json_object_get(json_array_get(list, i), "name"));

		snprintf(text, sizeof(text),
			 "{\"execute\": \"query-command-schema\", \"arguments\": {\"command\": "
			 "\"%s\"}}",
			 name);
		drop();
		ck_assert_int_eq(feed(text), QMP_ANSWER);
		schema = json_object_get(answer, "return");
		ck_assert_str_eq(json_string_value(json_object_get(schema, "name")), name);
		ck_assert(json_is_array(json_object_get(schema, "arguments")));
		ck_assert(json_is_array(json_object_get(schema, "returns")));
	}
	json_decref(list);
	ck_error("{\"execute\": \"query-command-schema\", \"arguments\": {\"command\": \"x\"}}",
		 "no command");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("qmp");
	TCase *raw = tcase_create("negotiation"), *wire = tcase_create("wire");

	tcase_add_checked_fixture(raw, begin_raw, end);
	tcase_add_test(raw, greets_as_qemu_does);
	tcase_add_test(raw, nothing_before_the_negotiation);
	suite_add_tcase(suite, raw);
	tcase_add_checked_fixture(wire, begin, end);
	tcase_add_test(wire, a_message_may_be_of_several_lines);
	tcase_add_test(wire, messages_need_no_newline_and_may_come_in_any_pieces);
	tcase_add_test(wire, several_messages_in_one_write);
	tcase_add_test(wire, what_is_no_message_is_an_error_and_the_next_one_is_heard);
	tcase_add_test(wire, a_control_byte_drops_what_came_before);
	tcase_add_test(wire, the_end_of_a_client_in_the_middle_of_a_message_is_an_error);
	tcase_add_test(wire, unknown_commands_and_arguments_are_errors_with_the_id);
	tcase_add_test(wire, every_type_refuses_every_other);
	tcase_add_test(wire, values_come_out_as_their_types_make_them);
	tcase_add_test(wire, a_list_longer_than_the_data_area_is_an_error);
	tcase_add_test(wire, answers_are_one_line_of_ascii_with_the_id);
	tcase_add_test(wire, events_have_their_time);
	tcase_add_test(wire, every_command_has_a_schema_by_name);
	suite_add_tcase(suite, wire);
	return harness_run(suite);
}
