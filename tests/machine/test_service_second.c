/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The second stage through the control socket: its real tables, traps, dirty tracking. */
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/harness.h"
#include "tests/machine/service_client.h"

static struct served guest;
static int fd;

static const char *const plain[] = {"--cpus", "2", "--memory", "32M", NULL};

static void serve(const char *const *options)
{
	served_start(&guest, "second", options);
	fd = client_open(&guest, false);
}

/* Ends the guest, which is to leave @status. */
static void finish(int status)
{
	json_decref(client_return(fd, "{\"execute\": \"quit\"}"));
	ck_assert_int_eq(served_wait(&guest), status);
	close(fd);
}

/* Allocates pages; "0x...": where. */
static void allocate(unsigned int pages, char address[24])
{
	json_t *area = client_do(fd, "vmalloc", "'size': %u", pages * 4096);

	snprintf(address, 24, "%s", member_text(area, "address"));
	json_decref(area);
}

static uint64_t physical_of(const char *address)
{
	json_t *page = client_do(fd, "translate", "'address': '%s'", address);
	uint64_t physical = member_number(page, "physical");

	json_decref(page);
	return physical;
}

/* ---- the real tables ---- */

static bool has_second_stage(void)
{
	json_t *kvm = client_do(fd, "query-kvm", " ");
	bool has = strcmp(member_text(kvm, "second-stage"), "shadow") != 0;

	json_decref(kvm);
	return has;
}

static uint64_t kvm_stat(const char *name)
{
	json_t *answer = client_do(fd, "query-kvm-stats", " "), *entry;
	uint64_t value = UINT64_MAX;
	size_t i;

	json_array_foreach (json_object_get(answer, "stats"), i, entry)
		if (strcmp(member_text(entry, "name"), name) == 0)
			value = member_number(entry, "value");
	json_decref(answer);
	ck_assert_msg(value != UINT64_MAX, "KVM has no %s", name);
	return value;
}

/* Whether one of the ranges in @list holds [start, end). */
static bool lies_in(const json_t *list, uint64_t start, uint64_t end)
{
	json_t *range;
	size_t i;

	json_array_foreach (list, i, range)
		if (member_number(range, "start") <= start && end <= member_number(range, "end"))
			return true;
	return false;
}

static void check_live_leaves(void)
{
	json_t *live = client_do(fd, "query-second-stage", "'live': true");
	json_t *predicted = client_do(fd, "query-second-stage", "'limit': 4096");
	json_t *counts = json_object_get(live, "counts"), *range;
	uint64_t leaves = 0;
	size_t i;

	ck_assert_uint_eq(member_number(counts, "leaves-4k"), kvm_stat("pages_4k"));
	ck_assert_uint_eq(member_number(counts, "leaves-2m"), kvm_stat("pages_2m"));
	ck_assert_uint_eq(member_number(counts, "leaves-1g"), kvm_stat("pages_1g"));
	json_array_foreach (json_object_get(live, "leaves"), i, range) {
		leaves += member_number(range, "leaves");
		ck_assert_uint_eq(member_number(range, "leaves") *
					  member_number(range, "leaf-bytes"),
				  member_number(range, "end") - member_number(range, "start"));
		ck_assert_str_eq(member_text(range, "rights"), "rwxu");
		ck_assert_uint_ne(member_number(range, "host-physical"), 0);
		ck_assert_msg(lies_in(json_object_get(predicted, "leaves"),
				      member_number(range, "start"), member_number(range, "end")),
			      "%s", member_text(range, "start"));
	}
	ck_assert_uint_eq(leaves, member_number(counts, "leaves-4k") +
					  member_number(counts, "leaves-2m") +
					  member_number(counts, "leaves-1g"));
	json_decref(predicted);
	json_decref(live);
}

/* How many live leaves the pages [physical, physical + size) have. */
static uint64_t leaves_of(uint64_t physical, uint64_t size)
{
	json_t *live = client_do(fd, "query-second-stage",
				 "'live': true, 'start': '%#" PRIx64 "', "
				 "'end': '%#" PRIx64 "'",
				 physical, physical + size),
	       *range;
	uint64_t leaves = 0;
	size_t i;

	json_array_foreach (json_object_get(live, "leaves"), i, range)
		leaves += member_number(range, "leaves");
	json_decref(live);
	return leaves;
}

static void check_that_leaves_come(void)
{
	char address[24];
	uint64_t physical;

	allocate(1, address);
	physical = physical_of(address);
	json_decref(
		client_do(fd, "x-test-touch", "'address': '%s', 'value': 1, 'store': 1", address));
	ck_assert_uint_eq(leaves_of(physical, 4096), 1);
	/* The last MiB of RAM: nobody was there yet, but the soft engine's leaves are large. */
	ck_assert_uint_eq(leaves_of((1ull << 32) + (15 << 20), 4096), harness_engine() == KVM_SOFT);
}

START_TEST(the_live_leaves_are_those_kvm_counts_and_the_guest_goes_on)
{
	json_t *piece;

	serve(plain);
	if (has_second_stage()) {
		check_live_leaves();
		check_that_leaves_come();
		piece = client_do(fd, "query-second-stage", "'live': true, 'limit': 1");
		ck_assert_uint_eq(json_array_size(json_object_get(piece, "leaves")), 1);
		ck_assert_uint_gt(member_number(piece, "next"),
				  member_number(json_array_get(json_object_get(piece, "leaves"), 0),
						"start"));
		ck_assert_ptr_null(json_object_get(piece, "counts"));
		json_decref(piece);
		/* Paused it stays paused, running it runs. */
		json_decref(client_return(fd, "{\"execute\": \"stop\"}"));
		check_live_leaves();
		client_refused(fd, "{\"execute\": \"nop\"}", "paused");
		json_decref(client_return(fd, "{\"execute\": \"cont\"}"));
	} else {
		client_refused(fd,
			       "{\"execute\": \"query-second-stage\", \"arguments\": {\"live\": "
			       "true}}",
			       "kvm_intel with ept=Y");
	}
	json_decref(client_return(fd, "{\"execute\": \"nop\", \"arguments\": {\"vcpu\": 1}}"));
	finish(0);
}
END_TEST

/* ---- traps ---- */

static const char *const trappable[] = {"--cpus", "2", "--memory", "32M", "--traps", NULL};

static uint64_t touch(const char *address, uint64_t value, bool store)
{
	json_t *answer =
		client_do(fd, "x-test-touch", "'address': '%s', 'value': %" PRIu64 ", 'store': %d",
			  address, value, store);
	uint64_t word = member_number(answer, "word");

	json_decref(answer);
	return word;
}

static uint64_t set_trap(const char *address, const char *more)
{
	json_t *answer = client_do(fd, "trap-set", "'address': '%s'%s", address, more);
	uint64_t trap = member_number(answer, "trap");

	json_decref(answer);
	return trap;
}

/* The next TRAP that @client hears is this one. */
static void hear_trap(int client, uint64_t trap, const char *kind, const char *address,
		      uint64_t physical, const char *policy)
{
	json_t *event = client_hear_event(client, "TRAP"), *data = json_object_get(event, "data");

	ck_assert_uint_eq(member_number(data, "trap"), trap);
	ck_assert_str_eq(member_text(data, "kind"), kind);
	ck_assert_str_eq(member_text(data, "gva"), address);
	ck_assert_uint_eq(member_number(data, "gpa"), physical);
	ck_assert_str_eq(member_text(data, "policy"), policy);
	ck_assert_uint_eq(member_number(data, "vcpu"), 0);
	ck_assert_msg(strncmp(member_text(data, "place"), "op_touch+", 9) == 0, "%s",
		      member_text(data, "place"));
	ck_assert_uint_ne(member_number(data, "rip"), 0);
	ck_assert_str_eq(member_text(json_object_get(data, "hypercall"), "name"), "test-touch");
	json_decref(event);
}

static uint64_t hits_of(uint64_t trap)
{
	json_t *answer = client_do(fd, "query-traps", " "), *row;
	uint64_t hits = UINT64_MAX;
	size_t i;

	json_array_foreach (json_object_get(answer, "traps"), i, row)
		if (member_number(row, "trap") == trap)
			hits = member_number(row, "hits");
	json_decref(answer);
	return hits;
}

START_TEST(a_touched_trap_is_told_and_the_guest_goes_on)
{
	uint64_t physical, trap;
	char address[24], other[24];
	int watches;

	serve(trappable);
	watches = client_open(&guest, false);
	allocate(1, address);
	allocate(1, other);
	physical = physical_of(address);
	ck_assert_uint_eq(touch(address, 41, true), 0);
	trap = set_trap(address, "");
	ck_assert_uint_eq(touch(address, 0, false), 41);
	hear_trap(watches, trap, "read", address, physical, "go");
	ck_assert_uint_eq(touch(address, 42, true), 0);
	hear_trap(watches, trap, "write", address, physical, "go");
	ck_assert_uint_eq(hits_of(trap), 2);
	/* Beside it nothing is told. */
	touch(other, 1, true);
	ck_assert_uint_eq(hits_of(trap), 2);
	json_decref(client_do(fd, "trap-clear", "'trap': %" PRIu64, trap));
	ck_assert_uint_eq(touch(address, 0, false), 42);
	ck_assert_uint_eq(hits_of(trap), UINT64_MAX);
	/* Of one kind of access the other is not told. */
	trap = set_trap(address, ", 'access': 'write'");
	touch(address, 0, false);
	touch(address, 7, true);
	ck_assert_uint_eq(hits_of(trap), 1);
	hear_trap(watches, trap, "write", address, physical, "go");
	json_decref(client_do(fd, "trap-clear", " "));
	trap = set_trap(address, ", 'access': 'read'");
	touch(address, 8, true);
	ck_assert_uint_eq(touch(address, 0, false), 8);
	ck_assert_uint_eq(hits_of(trap), 1);
	hear_trap(watches, trap, "read", address, physical, "go");
	close(watches);
	finish(0);
}
END_TEST

START_TEST(a_held_guest_waits_until_it_is_released)
{
	uint64_t physical, trap;
	char address[24], text[160];
	json_t *answer;
	int toucher;

	serve(trappable);
	toucher = client_open(&guest, false);
	allocate(1, address);
	physical = physical_of(address);
	trap = set_trap(address, ", 'policy': 'hold', 'space': 'virtual', 'size': 8");
	client_refused(fd,
		       "{\"execute\": \"trap-release\", \"arguments\": {\"vcpu\": 0, "
		       "\"answer\": \"go\"}}",
		       "no trap holds vCPU 0");
	snprintf(text, sizeof(text),
		 "{\"execute\": \"x-test-touch\", \"arguments\": {\"address\": \"%s\", "
		 "\"value\": 99, \"store\": 1}, \"id\": 5}",
		 address);
	ck_assert(client_say_text(toucher, text));
	hear_trap(fd, trap, "write", address, physical, "hold");
	/* It has not happened yet; the other vCPU goes on. */
	answer = client_do(fd, "read-memory", "'address': '%s', 'size': 1", address);
	ck_assert_str_eq(member_text(answer, "bytes"), "00");
	json_decref(answer);
	json_decref(client_do(fd, "nop", "'vcpu': 1"));
	answer = client_do(fd, "query-traps", " ");
	ck_assert_uint_eq(json_array_size(json_object_get(answer, "held")), 1);
	json_decref(answer);
	json_decref(client_do(fd, "trap-release", "'vcpu': 0, 'answer': 'go'"));
	do {
		answer = client_hear(toucher);
	} while (!json_object_get(answer, "id") && (json_decref(answer), true));
	ck_assert_ptr_nonnull(json_object_get(answer, "return"));
	json_decref(answer);
	answer = client_do(fd, "read-memory", "'address': '%s', 'size': 1", address);
	ck_assert_str_eq(member_text(answer, "bytes"), "63");
	json_decref(answer);
	answer = client_do(fd, "query-traps", " ");
	ck_assert_uint_eq(json_array_size(json_object_get(answer, "held")), 0);
	json_decref(answer);
	/* One that is held does not keep the service from ending. */
	ck_assert(client_say_text(toucher, text));
	hear_trap(fd, trap, "write", address, physical, "hold");
	json_decref(client_return(fd, "{\"execute\": \"quit\"}"));
	ck_assert_int_le(served_wait(&guest), 1);
	close(toucher);
	close(fd);
}
END_TEST

/* 0: at once; 1: by the late answer. */
/* The guest may be dead before the release that killed it is answered: hears both, in any order. */
static json_t *hear_death(bool answered)
{
	json_t *death = NULL;

	while (!death || !answered) {
		json_t *message = client_hear(fd);
		const char *event = json_string_value(json_object_get(message, "event"));

		ck_assert_ptr_nonnull(message);
		answered = answered || json_object_get(message, "return");
		if (event && !strcmp(event, "GUEST_PANIC"))
			death = message;
		else
			json_decref(message);
	}
	return death;
}

START_TEST(a_denied_access_ends_the_guest)
{
	json_t *status, *event;
	char address[24], text[160];
	int toucher;

	serve(trappable);
	toucher = client_open(&guest, false);
	allocate(1, address);
	set_trap(address, _i ? ", 'policy': 'hold'" : ", 'policy': 'deny'");
	snprintf(text, sizeof(text),
		 "{\"execute\": \"x-test-touch\", \"arguments\": {\"address\": \"%s\"}}", address);
	ck_assert(client_say_text(toucher, text));
	json_decref(client_hear_event(fd, "TRAP"));
	if (_i)
		ck_assert(client_say_text(fd, "{\"execute\": \"trap-release\", \"arguments\": "
					      "{\"vcpu\": 0, \"answer\": \"deny\"}}"));
	event = hear_death(!_i);
	status = json_object_get(json_object_get(event, "data"), "report");
	ck_assert_str_eq(member_text(status, "kind"), "denied");
	ck_assert_str_eq(member_text(json_object_get(status, "access"), "gva"), address);
	json_decref(event);
	status = client_return(fd, "{\"execute\": \"query-status\"}");
	ck_assert_str_eq(member_text(status, "status"), "dead");
	ck_assert_str_eq(member_text(json_object_get(status, "failure"), "kind"), "denied");
	json_decref(status);
	finish(1);
	close(toucher);
}
END_TEST

START_TEST(traps_that_cannot_be_are_refused)
{
	char address[24], text[160];
	uint64_t trap;

	serve(trappable);
	allocate(1, address);
	trap = set_trap(address, "");
	snprintf(text, sizeof(text),
		 "{\"execute\": \"trap-set\", \"arguments\": {\"address\": \"0x%" PRIx64
		 "\", \"space\": \"physical\"}}",
		 physical_of(address) + 100);
	client_refused(fd, text, "another trap");
	client_refused(fd,
		       "{\"execute\": \"trap-set\", \"arguments\": {\"address\": "
		       "\"0xffff800000000000\"}}",
		       "nothing is mapped at 0xffff800000000000");
	client_refused(fd,
		       "{\"execute\": \"trap-set\", \"arguments\": {\"address\": "
		       "\"0x7ffffffff000\", \"space\": \"physical\"}}",
		       "trap-set: ");
	client_refused(fd,
		       "{\"execute\": \"trap-set\", \"arguments\": {\"address\": "
		       "\"0xfffffffffffffff0\", \"size\": 32}}",
		       "past the last address");
	client_refused(fd, "{\"execute\": \"trap-clear\", \"arguments\": {\"trap\": 77}}",
		       "no trap 77");
	/* What was refused left nothing: the one there is works, and its place is free after it. */
	touch(address, 0, false);
	ck_assert_uint_eq(hits_of(trap), 1);
	json_decref(client_do(fd, "trap-clear", " "));
	json_decref(client_return(fd, text));
	finish(0);
}
END_TEST

START_TEST(a_guest_without_traps_says_how_to_have_them)
{
	serve(plain);
	client_refused(fd, "{\"execute\": \"trap-set\", \"arguments\": {\"address\": \"machine\"}}",
		       "nestbox run --traps");
	finish(0);
}
END_TEST

START_TEST(a_guest_that_touches_what_it_freed_is_caught)
{
	static const char *const uaf[] = {"--memory", "32M", "--trap-uaf", NULL};
	char address[24], text[160];
	uint64_t physical;
	json_t *status;

	serve(uaf);
	allocate(1, address);
	physical = physical_of(address);
	client_refused(fd, "{\"execute\": \"trap-set\", \"arguments\": {\"address\": \"machine\"}}",
		       "without --trap-uaf");
	json_decref(client_do(fd, "vfree", "'address': '%s'", address));
	snprintf(text, sizeof(text),
		 "{\"execute\": \"x-test-touch\", \"arguments\": {\"address\": \"0x%" PRIx64
		 "\", \"frame\": 1}}",
		 physical / 4096);
	client_refused(fd, text, "dead");
	status = client_return(fd, "{\"execute\": \"query-status\"}");
	ck_assert_str_eq(member_text(json_object_get(status, "failure"), "kind"), "use-after-free");
	ck_assert_ptr_nonnull(json_object_get(json_object_get(status, "failure"), "given_up"));
	json_decref(status);
	finish(1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("service_second");
	TCase *tcase = tcase_create("all");
	int skipped = harness_need_kvm(), status;

	if (skipped)
		return skipped;
	/* Before the tests fork: one directory for all. */
	served_directory();
	tcase_set_timeout(tcase, 2 * WAIT_SECONDS);
	tcase_add_test(tcase, the_live_leaves_are_those_kvm_counts_and_the_guest_goes_on);
	tcase_add_test(tcase, a_touched_trap_is_told_and_the_guest_goes_on);
	tcase_add_test(tcase, a_held_guest_waits_until_it_is_released);
	tcase_add_loop_test(tcase, a_denied_access_ends_the_guest, 0, 2);
	tcase_add_test(tcase, traps_that_cannot_be_are_refused);
	tcase_add_test(tcase, a_guest_without_traps_says_how_to_have_them);
	tcase_add_test(tcase, a_guest_that_touches_what_it_freed_is_caught);
	suite_add_tcase(suite, tcase);
	status = harness_run(suite);
	served_remove_directory();
	return status;
}
