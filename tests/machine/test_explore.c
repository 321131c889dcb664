/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nestbox explore, run as a program: the guest as it is goes wrong in no order of turns, and the
 * same seed is the same run; in one from which a lock or a flush was taken out it finds an order
 * in which that shows, does it again, and makes it small.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/harness.h"
#include "tests/machine/planted.h"

/* Enough for each fault below: they need 1 to 6, and about 100 where all orders are tried. */
#define RUNS     "40"
#define RUNS_ALL "200"

static struct planted planted;

static json_t *explore(const char *options, int *status_out)
{
	char command[512];
	json_error_t error;
	json_t *json;
	FILE *pipe;

	snprintf(command, sizeof(command), "./nestbox explore --json %s", options);
	pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	json = json_loadf(pipe, 0, &error);
	*status_out = pclose(pipe);
	ck_assert_msg(json != NULL, "%s: no JSON: %s", command, error.text);
	ck_assert(WIFEXITED(*status_out));
	*status_out = WEXITSTATUS(*status_out);
	return json;
}

static void is_found(const char *function, plant_fn take_out, const char *how, const char *kind)
{
	char path[64], options[512];
	json_t *json, *failure;
	const char *found;
	int status;

	plant(&planted, function, take_out);
	planted_save(&planted, path, sizeof(path));
	snprintf(options, sizeof(options), "%s --image %s", how, path);
	json = explore(options, &status);
	remove(path);
	ck_assert_int_eq(status, 1);
	failure = json_object_get(json, "failure");
	ck_assert_ptr_nonnull(failure);
	ck_assert(json_is_true(json_object_get(failure, "reproduced")));
	ck_assert_uint_ge(json_array_size(json_object_get(failure, "operations")), 1);
	ck_assert_uint_le(json_array_size(json_object_get(failure, "operations")), 12);
	ck_assert(json_is_array(json_object_get(failure, "turns")));
	found = json_string_value(json_object_get(failure, "kind"));
	ck_assert_msg(strncmp(found, kind, strlen(kind)) == 0, "%s", found);
	json_decref(json);
}

/* ---- tests ---- */

static void setup(void)
{
	planted_open(&planted);
}

static void teardown(void)
{
	planted_close(&planted);
}

START_TEST(two_frees_of_one_area_in_flight)
{
	is_found("vmap_claim", no_lock, "--runs " RUNS, "check race");
}
END_TEST

START_TEST(lock_of_the_free_tree_left_out)
{
	is_found("vmap_alloc", no_lock, "--runs " RUNS, "check race");
}
END_TEST

START_TEST(flush_of_one_cpu_forgotten)
{
	is_found("tlb_answer", no_flush, "--runs " RUNS, "check stale");
}
END_TEST

/* What a lock left out does, and not that it is left out. */
START_TEST(harm_is_found_too)
{
	is_found("vmap_claim", no_lock, "--check stale,freed,wx,guard,stack --runs 400", "audit");
}
END_TEST

START_TEST(all_orders_find_two_frees_of_one_area)
{
	is_found("vmap_claim", no_lock, "--switches 1 --runs " RUNS_ALL, "check race");
}
END_TEST

START_TEST(all_orders_find_the_lock_left_out)
{
	is_found("vmap_alloc", no_lock, "--switches 1 --runs " RUNS_ALL, "check race");
}
END_TEST

/* Each order once: with no switch there is one, with one as many as there are points. */
START_TEST(all_orders_are_run)
{
	static const struct {
		const char *options;
		json_int_t runs, finished;
	} all[] = {{"--switches 0 --rounds 1 --runs 3", 3, 3},
		   {"--switches 0 --rounds 3 --runs 1", 1, 1},
		   {"--switches 8 --cpus 1 --runs 4", 4, 2},
		   {"--switches 1 --rounds 1 --runs 90", 90, 1}};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int status;
		json_t *json = explore(all[i].options, &status);
		json_t *search = json_object_get(json, "exhaustive");

		ck_assert_int_eq(status, 0);
		ck_assert_int_eq(json_integer_value(json_object_get(json, "runs")), all[i].runs);
		ck_assert_int_eq(json_integer_value(json_object_get(search, "finished")),
				 all[i].finished);
		json_decref(json);
	}
}
END_TEST

static json_int_t instructions(const char *options)
{
	int status;
	json_t *json = explore(options, &status);
	json_int_t count = json_integer_value(json_object_get(json, "instructions"));

	ck_assert_int_eq(status, 0);
	ck_assert_int_gt(count, 0);
	json_decref(json);
	return count;
}

START_TEST(guest_as_it_is_goes_wrong_in_no_order)
{
	ck_assert_int_eq(instructions("--runs 20 --cpus 3"), instructions("--runs 20 --cpus 3"));
	ck_assert_int_ne(instructions("--runs 10 --seed 1000"), instructions("--runs 10"));
	instructions("--runs 5 --cpus 8 --pct 3");
}
END_TEST

START_TEST(shards_share_the_seeds)
{
	json_int_t one = instructions("--runs 5 --shard 1/2"),
		   two = instructions("--runs 5 --shard 2/2");

	ck_assert_int_eq(one + two, instructions("--runs 10"));
}
END_TEST

START_TEST(bad_options_are_refused)
{
	static const char *const bad[] = {"--shard 0/2",
					  "--shard 3/2",
					  "--shard 1",
					  "--runs 0",
					  "--cpus 9",
					  "--kvm host",
					  "--pct 0",
					  "--check rase",
					  "--switches 9",
					  "--switches 1 --pct 2",
					  "--switches 1 --check stale"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char command[256];
		int status;

		snprintf(command, sizeof(command), "./nestbox explore %s >/dev/null 2>&1", bad[i]);
		status = system(command);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 2, "%s: %#x", bad[i],
			      status);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("explore");
	TCase *tcase = tcase_create("command");

	tcase_set_timeout(tcase, 300);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, two_frees_of_one_area_in_flight);
	tcase_add_test(tcase, lock_of_the_free_tree_left_out);
	tcase_add_test(tcase, flush_of_one_cpu_forgotten);
	tcase_add_test(tcase, harm_is_found_too);
	tcase_add_test(tcase, all_orders_find_two_frees_of_one_area);
	tcase_add_test(tcase, all_orders_find_the_lock_left_out);
	tcase_add_test(tcase, all_orders_are_run);
	tcase_add_test(tcase, guest_as_it_is_goes_wrong_in_no_order);
	tcase_add_test(tcase, shards_share_the_seeds);
	tcase_add_test(tcase, bad_options_are_refused);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
