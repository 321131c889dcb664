/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Dirty tracking through the control socket: of the guest's writes, and of the service's. */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "guest/abi.h"
#include "tests/harness.h"
#include "tests/machine/service_client.h"

static struct served guest;
static int fd;
static char address[24];
static uint64_t physical;

/* A guest, and a page of its. */
static void start(void)
{
	static const char *const options[] = {"--cpus", "2", "--memory", "32M", NULL};
	json_t *answer;

	served_start(&guest, "dirty", options);
	fd = client_open(&guest, false);
	answer = client_do(fd, "vmalloc", "'size': 65536");
	snprintf(address, sizeof(address), "%s", member_text(answer, "address"));
	json_decref(answer);
	answer = client_do(fd, "translate", "'address': '%s'", address);
	physical = member_number(answer, "physical");
	json_decref(answer);
}

/* Whatever a test did: the structures are right, and it ends well. */
static void finish(void)
{
	json_t *audit = client_return(fd, "{\"execute\": \"audit\"}");

	ck_assert_uint_eq(member_number(audit, "violations"), 0);
	json_decref(audit);
	json_decref(client_return(fd, "{\"execute\": \"quit\"}"));
	ck_assert_int_eq(served_wait(&guest), 0);
	close(fd);
}

static void store(uint64_t value)
{
	json_decref(client_do(fd, "x-test-touch",
			      "'address': '%s', 'value': %" PRIu64 ", 'store': 1", address, value));
}

/* Whether the page at @page was written in epoch @since or later. */
static bool page_is_dirty(uint64_t page, uint64_t since)
{
	json_t *answer =
		client_do(fd, "query-dirty",
			  "'start': '0x%" PRIx64 "', 'end': '0x%" PRIx64 "', 'since': %" PRIu64,
			  page, page + 4096, since);
	size_t count = json_array_size(json_object_get(answer, "ranges"));

	ck_assert_uint_le(count, 1);
	if (count) {
		json_t *range = json_array_get(json_object_get(answer, "ranges"), 0);

		ck_assert_uint_eq(member_number(range, "start"), page);
		ck_assert_uint_eq(member_number(range, "end"), page + 4096);
		ck_assert_uint_eq(member_number(range, "pages"), 1);
	}
	json_decref(answer);
	return count == 1;
}

static bool is_dirty(uint64_t since)
{
	return page_is_dirty(physical, since);
}

/* Closes the epoch @epoch; the pages of it. */
static uint64_t collect(uint64_t epoch, uint64_t *working_set_out)
{
	json_t *answer = client_do(fd, "dirty-collect", "'epochs': 2");
	uint64_t pages = member_number(answer, "pages");

	ck_assert_uint_eq(member_number(answer, "epoch"), epoch);
	ck_assert(json_real_value(json_object_get(answer, "seconds")) > 0);
	ck_assert_uint_eq(member_number(json_object_get(answer, "rate"), "epochs"), epoch);
	*working_set_out = member_number(answer, "working-set");
	json_decref(answer);
	return pages;
}

START_TEST(writes_are_seen_in_the_epoch_they_are_made_in)
{
	uint64_t pages, set;
	json_t *answer;

	start();
	answer = client_do(fd, "dirty-start", " ");
	ck_assert_uint_eq(member_number(answer, "epoch"), 1);
	json_decref(answer);
	ck_assert(!is_dirty(1));
	store(1);
	ck_assert(is_dirty(1));
	/* On a slow machine a vCPU still works when its answer is there: paused it does not. */
	json_decref(client_return(fd, "{\"execute\": \"stop\"}"));
	/* The page, the rings, the stack: few. */
	pages = collect(1, &set);
	ck_assert_uint_ge(pages, 2);
	ck_assert_uint_le(pages, 64);
	ck_assert_uint_eq(set, pages);
	ck_assert(!is_dirty(2));
	ck_assert_uint_eq(collect(2, &set), 0);
	ck_assert_uint_eq(set, pages);
	/* The service's own writes count: memory, and what it puts into a vCPU's rings. */
	json_decref(client_do(fd, "write-memory", "'address': '%s', 'bytes': '05'", address));
	ck_assert(is_dirty(3));
	ck_assert_uint_eq(collect(3, &set), 1);
	ck_assert_uint_eq(set, 1);
	json_decref(client_return(fd, "{\"execute\": \"cont\"}"));
	/* It ends, and what was seen stays. */
	json_decref(client_do(fd, "dirty-stop", " "));
	store(2);
	ck_assert(is_dirty(3));
	ck_assert(!is_dirty(4));
	finish();
}
END_TEST

/* Where an area is of which nop makes the indexes, a submission and a completion dirty; 0: none. */
static uint64_t find_area(void)
{
	json_t *answer = client_do(fd, "query-dirty", " "), *range;
	uint64_t area = 0, page;
	size_t i;

	json_array_foreach (json_object_get(answer, "ranges"), i, range)
		for (page = member_number(range, "start"); page < member_number(range, "end");
		     page += 4096)
			if (page_is_dirty(page + offsetof(struct nb_vcpu_area, sq), 1) &&
			    page_is_dirty(page + offsetof(struct nb_vcpu_area, cq), 1))
				area = page;
	json_decref(answer);
	return area;
}

START_TEST(what_the_host_puts_into_a_vcpus_area_counts)
{
	uint64_t area;

	start();
	json_decref(client_do(fd, "dirty-start", " "));
	json_decref(client_do(fd, "nop", " "));
	area = find_area();
	ck_assert_uint_ne(area, 0);
	/* The guest reads the bytes from a page that only the host writes. */
	ck_assert(!page_is_dirty(area + offsetof(struct nb_vcpu_area, data), 1));
	json_decref(client_do(fd, "vwrite", "'address': '%s', 'bytes': '0102'", address));
	ck_assert(page_is_dirty(area + offsetof(struct nb_vcpu_area, data), 1));
	finish();
}
END_TEST

START_TEST(regions_are_tracked_one_by_one)
{
	char text[160];
	json_t *answer;

	start();
	client_refused(fd, "{\"execute\": \"dirty-collect\"}", "dirty-start begins it");
	client_refused(fd, "{\"execute\": \"query-dirty\"}", "dirty-start begins it");
	client_refused(fd, "{\"execute\": \"dirty-stop\"}", "dirty-start begins it");
	snprintf(text, sizeof(text),
		 "{\"execute\": \"dirty-start\", \"arguments\": {\"region\": \"frob\"}}");
	client_refused(fd, text, "no region 'frob'");
	json_decref(client_do(fd, "dirty-start", "'region': 'ram1'"));
	/* All of RAM is refused whole: the one before is not left on. */
	client_refused(fd, "{\"execute\": \"dirty-start\"}", "ram1 is tracked already");
	client_refused(fd,
		       "{\"execute\": \"dirty-stop\", \"arguments\": {\"region\": "
		       "\"ram0\"}}",
		       "ram0 is not tracked");
	ck_assert_uint_ge(physical, 1ull << 32);
	store(1);
	ck_assert(is_dirty(1));
	json_decref(client_do(fd, "dirty-stop", "'region': 'ram1'"));
	json_decref(client_do(fd, "dirty-start", "'region': 'ram0'"));
	store(2);
	answer = client_do(fd, "query-dirty", "'limit': 1");
	ck_assert_uint_eq(json_array_size(json_object_get(answer, "ranges")), 1);
	ck_assert_ptr_nonnull(json_object_get(answer, "next"));
	json_decref(answer);
	/* The service ends while the other is. */
	finish();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("service_dirty");
	TCase *tcase = tcase_create("all");
	int skipped = harness_need_kvm(), status;

	if (skipped)
		return skipped;
	/* Before the tests fork: one directory for all. */
	served_directory();
	tcase_set_timeout(tcase, 2 * WAIT_SECONDS);
	tcase_add_test(tcase, writes_are_seen_in_the_epoch_they_are_made_in);
	tcase_add_test(tcase, what_the_host_puts_into_a_vcpus_area_counts);
	tcase_add_test(tcase, regions_are_tracked_one_by_one);
	suite_add_tcase(suite, tcase);
	status = harness_run(suite);
	served_remove_directory();
	return status;
}
