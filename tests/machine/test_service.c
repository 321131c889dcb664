/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket of a running guest against clients of every kind. One guest serves most
 * tests, so that each also shows that those before it left nothing behind.
 */
#include "tests/machine/service_fixture.h"

/* ---- what a client may send ---- */

START_TEST(the_socket_is_the_users_alone)
{
	struct stat status;

	ck_assert_int_eq(stat(guest.path, &status), 0);
	ck_assert(S_ISSOCK(status.st_mode));
	ck_assert_uint_eq(status.st_mode & 077, 0);
}
END_TEST

START_TEST(malformed_json_is_answered_and_no_more)
{
	static const char *const bad[] = {
		"{\"execute\n",
		"]\n",
		"{]\n",
		"nonsense\n",
		"{'execute': 'nop'}\n",
		"{\"execute\": \"nop\",}\n",
		"{\"execute\": \"\xc3\"}\n",
		"\"\n",
	};
	int other = client_open(&guest, false);
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		client_refused(other, bad[i], "");
	json_decref(client_return(other, "{\"execute\": \"nop\"}\n"));
	close(other);
}
END_TEST

START_TEST(a_line_of_ten_mib_is_answered_and_no_more)
{
	size_t size = 10 << 20;
	char *line = malloc(size + 1);
	int other = client_open(&guest, false);
	json_t *answer;

	memset(line, 'x', size);
	memcpy(line, "{\"execute\": \"", 13);
	line[size] = '\n';
	ck_assert(client_say(other, line, size + 1));
	answer = client_hear(other);
	ck_assert_ptr_nonnull(json_object_get(answer, "error"));
	json_decref(answer);
	json_decref(client_return(other, "{\"execute\": \"nop\"}\n"));
	free(line);
	close(other);
}
END_TEST

START_TEST(wrong_types_and_unknown_commands_have_no_effect)
{
	json_t *before = client_return(fd, "{\"execute\": \"query-stats\"}\n"), *after;

	client_refused(fd, "{\"execute\": \"vmalloc\", \"arguments\": {\"size\": \"64K\"}}\n",
		       "'size' is to be");
	client_refused(
		fd, "{\"execute\": \"vmalloc\", \"arguments\": {\"size\": 4096, \"node\": true}}",
		"'node' is to be");
	client_refused(fd,
		       "{\"execute\": \"vmalloc\", \"arguments\": {\"size\": 4096, \"nod\": 0}}\n",
		       "no argument 'nod'");
	client_refused(fd, "{\"execute\": \"vmaloc\", \"arguments\": {\"size\": 4096}}\n",
		       "no command 'vmaloc'");
	client_refused(fd, "{\"execute\": \"nop\", \"arguments\": {\"vcpu\": 2}}\n", "vcpu");
	/* What the guest's border refuses has a reason too. */
	client_refused(fd, "{\"execute\": \"kfree\", \"arguments\": {\"address\": \"0x10\"}}\n",
		       "'address' is to be one that kmalloc returned");
	client_refused(
		fd, "{\"execute\": \"vmalloc\", \"arguments\": {\"size\": 4096, \"flags\": 128}}\n",
		"'flags' has bits");
	client_refused(fd, "{\"execute\": \"probe\", \"arguments\": {\"address\": \"0x10\"}}\n",
		       "walk says what is mapped");
	client_refused(fd, "{\"execute\": \"process-destroy\", \"arguments\": {\"process\": 9}}\n",
		       "process-create returned");
	after = client_return(fd, "{\"execute\": \"query-stats\"}\n");
	ck_assert(json_equal(json_object_get(before, "busy-areas"),
			     json_object_get(after, "busy-areas")));
	ck_assert(json_equal(json_object_get(before, "free-frames"),
			     json_object_get(after, "free-frames")));
	json_decref(before);
	json_decref(after);
}
END_TEST

START_TEST(addresses_outside_are_errors)
{
	static const char *const bad[] = {
		"{\"execute\":\"read-memory\",\"arguments\":{\"address\":\"0x0\",\"size\":1}}",
		"{\"execute\":\"read-memory\",\"arguments\":{\"address\":\"0xffffffffffffffff\","
		"\"size\":2}}",
		"{\"execute\":\"read-memory\",\"arguments\":{\"address\":\"0x8000000000000000\","
		"\"size\":8}}",
		"{\"execute\":\"read-memory\",\"arguments\":{\"address\":\"0xfffffffffffff000\","
		"\"size\":4096,\"space\":\"physical\"}}",
		"{\"execute\":\"read-memory\",\"arguments\":{\"address\":\"0xfff000\",\"size\":"
		"8192,"
		"\"space\":\"physical\"}}",
		"{\"execute\":\"write-memory\",\"arguments\":{\"address\":\"0xffffc90000000000\","
		"\"bytes\":\"00\"}}",
		"{\"execute\":\"translate\",\"arguments\":{\"address\":\"0xffff800000000000\"}}",
		"{\"execute\":\"vfree\",\"arguments\":{\"address\":\"0xffffc90000000000\"}}",
		"{\"execute\":\"vfree\",\"arguments\":{\"address\":\"0xffffc90000000001\"}}",
		"{\"execute\":\"vmalloc\",\"arguments\":{\"size\":\"0xffffffffffffffff\"}}",
		"{\"execute\":\"query-frame\",\"arguments\":{\"frame\":\"0xffffffffffffffff\"}}",
		"{\"execute\":\"query-areas\",\"arguments\":{\"start\":\"0x2000\",\"end\":"
		"\"0x1000\"}}",
		"{\"execute\":\"query-maps\",\"arguments\":{\"start\":\"0x2000\",\"end\":"
		"\"0x1000\"}}",
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		client_refused(fd, bad[i], "");
}
END_TEST

START_TEST(other_tables_that_are_none_are_no_harm)
{
	static const char *const roots[] = {"0x0", "0x200000", "0xfffffffffffff000", "0x1ffffff"};
	char text[256];
	size_t i;

	for (i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		snprintf(text, sizeof(text),
			 "{\"execute\":\"query-walk\",\"arguments\":{\"address\":\"machine\","
			 "\"root\":\"%s\"}}",
			 roots[i]);
		json_decref(client_return(fd, text));
		snprintf(
			text, sizeof(text),
			"{\"execute\":\"query-maps\",\"arguments\":{\"limit\":64,\"root\":\"%s\"}}",
			roots[i]);
		json_decref(client_ask(fd, text));
	}
}
END_TEST

/* ---- how a client may leave ---- */

START_TEST(half_a_socket_still_gets_its_answers)
{
	int other = client_open(&guest, false), i;
	json_t *message;

	for (i = 0; i < 20; i++)
		ck_assert(client_say_text(other, "{\"execute\": \"nop\", \"id\": 5}\n"));
	ck_assert_int_eq(shutdown(other, SHUT_WR), 0);
	for (i = 0; i < 20; i++) {
		message = client_hear(other);
		ck_assert_int_eq(json_integer_value(json_object_get(message, "id")), 5);
		ck_assert_ptr_nonnull(json_object_get(message, "return"));
		json_decref(message);
	}
	ck_assert_ptr_null(client_hear(other));
	close(other);
}
END_TEST

START_TEST(a_command_cut_off_by_half_a_socket_is_an_error)
{
	int other = client_open(&guest, false);
	json_t *message;

	ck_assert(client_say_text(other, "{\"execute\": \"quit\""));
	ck_assert_int_eq(shutdown(other, SHUT_WR), 0);
	message = client_hear(other);
	ck_assert_ptr_nonnull(json_object_get(message, "error"));
	json_decref(message);
	ck_assert_ptr_null(client_hear(other));
	close(other);
}
END_TEST

/* How many clients the service has. */
static int64_t clients(void)
{
	json_t *status = client_return(fd, "{\"execute\": \"query-status\"}\n");
	int64_t count = json_integer_value(json_object_get(status, "clients"));

	json_decref(status);
	return count;
}

START_TEST(clients_that_vanish_are_forgotten)
{
	int i, other;

	for (i = 0; i < 40; i++) {
		other = client_open(&guest, i % 2);
		if (i % 4 == 1)
			client_say_text(other, "{\"execute\": \"query-maps\", \"argu");
		else if (i % 4 >= 2)
			client_say_text(other,
					"{\"execute\": \"query-maps\"}{\"execute\": \"audit\"}"
					"{\"execute\": \"query-commands\"}");
		close(other);
	}
	for (i = 0; i < WAIT_SECONDS * 100 && clients() != 1; i++)
		usleep(10000);
	ck_assert_int_eq(clients(), 1);
}
END_TEST

/* ---- many at once ---- */

#define MANY       64
#define MANY_CALLS 8

START_TEST(sixty_four_clients_lose_nothing)
{
	int others[MANY], i, call;
	char text[128];
	json_t *message;

	for (i = 0; i < MANY; i++)
		others[i] = client_open(&guest, false);
	for (call = 0; call < MANY_CALLS; call++) {
		for (i = 0; i < MANY; i++) {
			snprintf(text, sizeof(text),
				 "{\"execute\": \"nop\", \"arguments\": {\"value\": %d, \"vcpu\": "
				 "%d}, \"id\": [%d, %d]}",
				 1000 * i + call, i % 2, i, call);
			ck_assert(client_say_text(others[i], text));
		}
	}
	for (i = 0; i < MANY; i++) {
		for (call = 0; call < MANY_CALLS; call++) {
			json_t *id, *value;

			message = client_hear(others[i]);
			id = json_object_get(message, "id");
			value = json_object_get(json_object_get(message, "return"), "value");
			ck_assert_int_eq(json_integer_value(json_array_get(id, 0)), i);
			ck_assert_int_eq(json_integer_value(json_array_get(id, 1)), call);
			ck_assert_int_eq(json_integer_value(value), 1000 * i + call);
			json_decref(message);
		}
		close(others[i]);
	}
}
END_TEST

/* ---- what it does ---- */

START_TEST(what_the_guest_allocates_is_seen_from_outside)
{
	json_t *area = client_return(fd, "{\"execute\": \"vmalloc\", \"arguments\": {\"size\": "
					 "20480, \"caller\": \"machine\"}}"),
	       *areas, *first, *bytes;
	const char *address = json_string_value(json_object_get(area, "address"));
	char text[256];

	snprintf(text, sizeof(text),
		 "{\"execute\": \"write-memory\", \"arguments\": {\"address\": \"%s\", \"bytes\": "
		 "\"6e657374\"}}",
		 address);
	json_decref(client_return(fd, text));
	snprintf(
		text, sizeof(text),
		"{\"execute\": \"read-memory\", \"arguments\": {\"address\": \"%s\", \"size\": 6}}",
		address);
	bytes = client_return(fd, text);
	ck_assert_str_eq(json_string_value(json_object_get(bytes, "bytes")), "6e6573740000");
	areas = client_return(fd, "{\"execute\": \"query-areas\"}");
	first = json_array_get(json_object_get(areas, "areas"), 0);
	ck_assert_str_eq(json_string_value(json_object_get(first, "start")), address);
	ck_assert_int_eq(json_integer_value(json_object_get(first, "pages")), 5);
	ck_assert_ptr_nonnull(
		strstr(json_string_value(json_object_get(first, "line")), " machine+0x0/"));
	snprintf(text, sizeof(text),
		 "{\"execute\": \"vfree\", \"arguments\": {\"address\": \"%s\"}}", address);
	json_decref(client_return(fd, text));
	json_decref(client_return(fd, "{\"execute\": \"purge\"}"));
	json_decref(areas);
	json_decref(bytes);
	areas = client_return(fd, "{\"execute\": \"query-areas\"}");
	ck_assert_uint_eq(json_array_size(json_object_get(areas, "areas")), 0);
	json_decref(areas);
	json_decref(area);
}
END_TEST

START_TEST(a_paused_guest_takes_no_calls_and_is_looked_at)
{
	int other = client_open(&guest, false);
	json_t *event, *registers;

	registers = client_return(fd, "{\"execute\": \"query-registers\"}");
	ck_assert_str_eq(json_string_value(json_object_get(registers, "state")), "running");
	json_decref(registers);
	json_decref(client_return(other, "{\"execute\": \"stop\"}"));
	event = client_hear_event(fd, "STOP");
	json_decref(event);
	client_refused(fd, "{\"execute\": \"nop\"}", "paused");
	registers =
		client_return(fd, "{\"execute\": \"query-registers\", \"arguments\": {\"vcpu\": "
				  "1}}");
	ck_assert_ptr_nonnull(json_object_get(json_object_get(registers, "registers"), "rip"));
	json_decref(registers);
	json_decref(client_return(fd, "{\"execute\": \"query-maps\"}"));
	json_decref(client_return(fd, "{\"execute\": \"audit\"}"));
	/* Once more changes nothing, and tells nobody. */
	json_decref(client_return(other, "{\"execute\": \"stop\"}"));
	json_decref(client_return(other, "{\"execute\": \"cont\"}"));
	event = client_hear(fd);
	ck_assert_str_eq(json_string_value(json_object_get(event, "event")), "RESUME");
	json_decref(event);
	close(other);
}
END_TEST

START_TEST(warnings_are_events_for_those_who_negotiated)
{
	int raw = client_open(&guest, true), other = client_open(&guest, false);
	json_t *event;

	json_decref(client_return(fd, "{\"execute\": \"x-test-warn\"}"));
	event = client_hear_event(other, "WARN");
	ck_assert_ptr_nonnull(
		strstr(json_string_value(json_object_get(json_object_get(event, "data"), "text")),
		       "asked to warn"));
	json_decref(event);
	/* The next thing the other hears is its own answer. */
	ck_assert(client_say_text(raw, "{\"execute\": \"qmp_capabilities\"}"));
	event = client_hear(raw);
	ck_assert_ptr_nonnull(json_object_get(event, "return"));
	json_decref(event);
	close(raw);
	close(other);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("service");
	TCase *common = tcase_create("one guest");
	int skipped = harness_need_kvm(), status;

	if (skipped)
		return skipped;
	/* Before the tests fork: one directory for all. */
	served_directory();
	tcase_set_timeout(common, 2 * WAIT_SECONDS);
	tcase_add_unchecked_fixture(common, start, stop);
	tcase_add_checked_fixture(common, connect_one, still_serves);
	tcase_add_test(common, the_socket_is_the_users_alone);
	tcase_add_test(common, malformed_json_is_answered_and_no_more);
	tcase_add_test(common, a_line_of_ten_mib_is_answered_and_no_more);
	tcase_add_test(common, wrong_types_and_unknown_commands_have_no_effect);
	tcase_add_test(common, addresses_outside_are_errors);
	tcase_add_test(common, other_tables_that_are_none_are_no_harm);
	tcase_add_test(common, half_a_socket_still_gets_its_answers);
	tcase_add_test(common, a_command_cut_off_by_half_a_socket_is_an_error);
	tcase_add_test(common, clients_that_vanish_are_forgotten);
	tcase_add_test(common, sixty_four_clients_lose_nothing);
	tcase_add_test(common, what_the_guest_allocates_is_seen_from_outside);
	tcase_add_test(common, a_paused_guest_takes_no_calls_and_is_looked_at);
	tcase_add_test(common, warnings_are_events_for_those_who_negotiated);
	suite_add_tcase(suite, common);
	status = harness_run(suite);
	served_remove_directory();
	return status;
}
