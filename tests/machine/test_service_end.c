/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What guests of their own are for: how a service ends, and what its clients hear of it. */
#include "tests/machine/service_fixture.h"

/* ---- its end ---- */

START_TEST(sigterm_ends_it_well)
{
	static const char *const plain[] = {"--memory", "16M", NULL};
	struct served own;
	json_t *event;
	int other;

	served_start(&own, "ended", plain);
	other = client_open(&own, false);
	kill(own.pid, SIGTERM);
	event = client_hear_event(other, "SHUTDOWN");
	ck_assert_str_eq(
		json_string_value(json_object_get(json_object_get(event, "data"), "reason")),
		"TERM");
	json_decref(event);
	ck_assert_ptr_null(client_hear(other));
	ck_assert_int_eq(served_wait(&own), 0);
	ck_assert_int_ne(access(own.path, F_OK), 0);
	close(other);
}
END_TEST

START_TEST(a_guest_that_panics_can_still_be_looked_at)
{
	static const char *const plain[] = {"--memory", "16M", NULL};
	struct served own;
	json_t *event, *status;
	int other, watches;

	served_start(&own, "panic", plain);
	watches = client_open(&own, false);
	other = client_open(&own, false);
	client_refused(other,
		       "{\"execute\": \"x-test-fault\", \"arguments\": {\"address\": "
		       "\"0x5000\"}}",
		       "dead");
	client_refused(other, "{\"execute\": \"nop\"}", "dead");
	json_decref(client_hear_event(watches, "GUEST_PANIC"));
	status = client_return(other, "{\"execute\": \"query-events\"}");
	event = json_object_get(status, "events");
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(event, 0), "event")),
			 "OOPS");
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(event, 1), "event")),
			 "GUEST_PANIC");
	json_decref(status);
	status = client_return(other, "{\"execute\": \"query-status\"}");
	ck_assert_str_eq(json_string_value(json_object_get(status, "status")), "dead");
	ck_assert_str_eq(
		json_string_value(json_object_get(json_object_get(status, "failure"), "kind")),
		"trap");
	json_decref(status);
	client_refused(other, "{\"execute\": \"nop\"}", "dead");
	client_refused(other, "{\"execute\": \"cont\"}", "dead");
	json_decref(client_return(other, "{\"execute\": \"query-maps\"}"));
	json_decref(client_return(other, "{\"execute\": \"quit\"}"));
	ck_assert_int_eq(served_wait(&own), 1);
	close(other);
	close(watches);
}
END_TEST

/* Clears the leaf that maps @address, behind the guest's back. */
static void clear_leaf(int client, const char *address)
{
	json_t *walk, *entries, *leaf;
	char text[256];

	snprintf(text, sizeof(text),
		 "{\"execute\": \"query-walk\", \"arguments\": {\"address\": \"%s\"}}", address);
	walk = client_return(client, text);
	entries = json_object_get(walk, "entries");
	leaf = json_array_get(entries, json_array_size(entries) - 1);
	ck_assert(json_is_true(json_object_get(leaf, "leaf")));
	snprintf(text, sizeof(text),
		 "{\"execute\": \"write-memory\", \"arguments\": {\"address\": \"%s\", \"space\": "
		 "\"physical\", \"bytes\": \"0000000000000000\"}}",
		 json_string_value(json_object_get(leaf, "at")));
	json_decref(client_return(client, text));
	json_decref(walk);
}

START_TEST(what_audits_find_is_an_event_once_and_ends_with_status_1)
{
	static const char *const audited[] = {"--memory", "16M", "--audit", "every=1", NULL};
	json_t *area, *event, *audit;
	struct served own;
	int other, watches;

	served_start(&own, "audited", audited);
	other = client_open(&own, false);
	watches = client_open(&own, false);
	area = client_return(other, "{\"execute\": \"vmalloc\", \"arguments\": {\"size\": 8192}}");
	clear_leaf(other, json_string_value(json_object_get(area, "address")));
	json_decref(client_return(other, "{\"execute\": \"nop\"}"));
	event = client_hear_event(watches, "AUDIT_VIOLATION");
	ck_assert_str_eq(
		json_string_value(json_object_get(json_object_get(event, "data"), "check")),
		"mapping");
	ck_assert_str_eq(
		json_string_value(json_object_get(json_object_get(event, "data"), "address")),
		json_string_value(json_object_get(area, "address")));
	json_decref(event);
	audit = client_return(other, "{\"execute\": \"audit\", \"arguments\": {\"checks\": "
				     "\"mapping\"}}");
	ck_assert_int_eq(json_integer_value(json_object_get(audit, "violations")), 1);
	ck_assert_uint_eq(json_array_size(json_object_get(audit, "found")), 1);
	json_decref(audit);
	/* It is told once: the next thing heard is the end. */
	json_decref(client_return(other, "{\"execute\": \"quit\"}"));
	event = client_hear(watches);
	ck_assert_str_eq(json_string_value(json_object_get(event, "event")), "SHUTDOWN");
	json_decref(event);
	ck_assert_int_eq(served_wait(&own), 1);
	json_decref(area);
	close(other);
	close(watches);
}
END_TEST

START_TEST(who_waits_for_one_vcpu_keeps_nobody_from_another)
{
	static const char *const patient[] = {"--memory",   "16M", "--cpus", "2",
					      "--watchdog", "0",   NULL};
	struct served own;
	int spins, other;

	served_start(&own, "spins", patient);
	spins = client_open(&own, false);
	other = client_open(&own, false);
	ck_assert(client_say_text(spins, "{\"execute\": \"x-test-spin\"}"));
	json_decref(client_return(other, "{\"execute\": \"nop\", \"arguments\": {\"vcpu\": 1}}"));
	json_decref(client_return(other, "{\"execute\": \"query-maps\"}"));
	json_decref(client_return(other, "{\"execute\": \"query-status\"}"));
	json_decref(client_return(other, "{\"execute\": \"quit\"}"));
	/* A guest without end ends all the same; that it was ended is not its fault. */
	ck_assert_int_le(served_wait(&own), 1);
	close(spins);
	close(other);
}
END_TEST

/* Twenty that ask a vCPU which is busy for ever, and leave: none of them stays. */
START_TEST(what_waits_is_dropped_when_its_client_leaves)
{
	static const char *const patient[] = {"--memory", "16M", "--watchdog", "0", NULL};
	struct served own;
	json_t *status;
	int spins, other, i;
	int64_t count = 0;

	served_start(&own, "left", patient);
	spins = client_open(&own, false);
	other = client_open(&own, false);
	ck_assert(client_say_text(spins, "{\"execute\": \"x-test-spin\"}"));
	for (i = 0; i < 20; i++) {
		int leaves = client_open(&own, false);

		ck_assert(client_say_text(leaves, "{\"execute\": \"nop\"}"));
		close(leaves);
	}
	for (i = 0; i < 100 && count != 2; i++) {
		usleep(100000);
		status = client_return(other, "{\"execute\": \"query-status\"}");
		count = json_integer_value(json_object_get(status, "clients"));
		json_decref(status);
	}
	ck_assert_int_eq(count, 2);
	json_decref(client_return(other, "{\"execute\": \"quit\"}"));
	ck_assert_int_le(served_wait(&own), 1);
	close(spins);
	close(other);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("service_end");
	TCase *own = tcase_create("guests of their own");
	int skipped = harness_need_kvm(), status;

	if (skipped)
		return skipped;
	/* Before the tests fork: one directory for all. */
	served_directory();
	tcase_set_timeout(own, 2 * WAIT_SECONDS);
	tcase_add_test(own, sigterm_ends_it_well);
	tcase_add_test(own, a_guest_that_panics_can_still_be_looked_at);
	tcase_add_test(own, what_audits_find_is_an_event_once_and_ends_with_status_1);
	tcase_add_test(own, who_waits_for_one_vcpu_keeps_nobody_from_another);
	tcase_add_test(own, what_waits_is_dropped_when_its_client_leaves);
	suite_add_tcase(suite, own);
	status = harness_run(suite);
	served_remove_directory();
	return status;
}
