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

static json_t *ask(int client, const char *command, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* @command with the arguments @format makes, in which ' stands for ". */
static json_t *ask(int client, const char *command, const char *format, ...)
{
	char arguments[512], text[640], *at;
	va_list args;

	va_start(args, format);
	vsnprintf(arguments, sizeof(arguments), format, args);
	va_end(args);
	for (at = arguments; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	snprintf(text, sizeof(text), "{\"execute\": \"%s\", \"arguments\": {%s}}", command,
		 arguments);
	return client_return(client, text);
}

static uint64_t number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	ck_assert_msg(json_is_string(value) || json_is_integer(value), "%s", key);
	return json_is_string(value) ? strtoull(json_string_value(value), NULL, 16)
				     : (uint64_t)json_integer_value(value);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	ck_assert_msg(text != NULL, "%s", key);
	return text;
}

/* Allocates pages; "0x...": where. */
static void allocate(unsigned int pages, char address[24])
{
	json_t *area = ask(fd, "vmalloc", "'size': %u", pages * 4096);

	snprintf(address, 24, "%s", text_of(area, "address"));
	json_decref(area);
}

/* ---- the real tables ---- */

static bool has_second_stage(void)
{
	json_t *kvm = ask(fd, "query-kvm", " ");
	bool has = strcmp(text_of(kvm, "second-stage"), "shadow") != 0;

	json_decref(kvm);
	return has;
}

static uint64_t kvm_stat(const char *name)
{
	json_t *answer = ask(fd, "query-kvm-stats", " "), *entry;
	uint64_t value = UINT64_MAX;
	size_t i;

	json_array_foreach (json_object_get(answer, "stats"), i, entry)
		if (strcmp(text_of(entry, "name"), name) == 0)
			value = number(entry, "value");
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
		if (number(range, "start") <= start && end <= number(range, "end"))
			return true;
	return false;
}

static void check_live_leaves(void)
{
	json_t *live = ask(fd, "query-second-stage", "'live': true");
	json_t *predicted = ask(fd, "query-second-stage", "'limit': 4096");
	json_t *counts = json_object_get(live, "counts"), *range;
	uint64_t leaves = 0;
	size_t i;

	ck_assert_uint_eq(number(counts, "leaves-4k"), kvm_stat("pages_4k"));
	ck_assert_uint_eq(number(counts, "leaves-2m"), kvm_stat("pages_2m"));
	ck_assert_uint_eq(number(counts, "leaves-1g"), kvm_stat("pages_1g"));
	json_array_foreach (json_object_get(live, "leaves"), i, range) {
		leaves += number(range, "leaves");
		ck_assert_uint_eq(number(range, "leaves") * number(range, "leaf-bytes"),
				  number(range, "end") - number(range, "start"));
		ck_assert_str_eq(text_of(range, "rights"), "rwxu");
		ck_assert_uint_ne(number(range, "host-physical"), 0);
		ck_assert_msg(lies_in(json_object_get(predicted, "leaves"), number(range, "start"),
				      number(range, "end")),
			      "%s", text_of(range, "start"));
	}
	ck_assert_uint_eq(leaves, number(counts, "leaves-4k") + number(counts, "leaves-2m") +
					  number(counts, "leaves-1g"));
	json_decref(predicted);
	json_decref(live);
}

/* How many live leaves the pages [physical, physical + size) have. */
static uint64_t leaves_of(uint64_t physical, uint64_t size)
{
	json_t *live = ask(fd, "query-second-stage",
			   "'live': true, 'start': '%#" PRIx64 "', "
			   "'end': '%#" PRIx64 "'",
			   physical, physical + size),
	       *range;
	uint64_t leaves = 0;
	size_t i;

	json_array_foreach (json_object_get(live, "leaves"), i, range)
		leaves += number(range, "leaves");
	json_decref(live);
	return leaves;
}

static void check_that_leaves_come(void)
{
	char address[24];
	json_t *page;
	uint64_t physical;

	allocate(1, address);
	page = ask(fd, "translate", "'address': '%s'", address);
	physical = number(page, "physical");
	json_decref(page);
	json_decref(ask(fd, "x-test-touch", "'address': '%s', 'value': 1, 'store': 1", address));
	ck_assert_uint_eq(leaves_of(physical, 4096), 1);
	/* The last page of RAM: nobody was there yet. */
	ck_assert_uint_eq(leaves_of((1ull << 32) + (15 << 20), 4096), 0);
}

START_TEST(the_live_leaves_are_those_kvm_counts_and_the_guest_goes_on)
{
	json_t *piece;

	serve(plain);
	if (has_second_stage()) {
		check_live_leaves();
		check_that_leaves_come();
		piece = ask(fd, "query-second-stage", "'live': true, 'limit': 1");
		ck_assert_uint_eq(json_array_size(json_object_get(piece, "leaves")), 1);
		ck_assert_uint_gt(
			number(piece, "next"),
			number(json_array_get(json_object_get(piece, "leaves"), 0), "start"));
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
	suite_add_tcase(suite, tcase);
	status = harness_run(suite);
	served_remove_directory();
	return status;
}
