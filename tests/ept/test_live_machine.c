/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The live second stage against everything else that is known of it: the prediction, KVM's own
 * count, and where the host says the pages are. Where there is no second stage to be read, that
 * live_open() says so.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ept/live.h"
#include "ept/predict.h"
#include "ept/stats.h"
#include "tests/ept/tiny_vm.h"
#include "tests/harness.h"

#define PAGE EPT_PAGE_BYTES
#define HIGH (1ULL << 32)
#define SIZE (16ULL << 20)
#define TOP  (1ULL << 40)

static struct tiny_vm vm;
static struct live *live;
static struct predict_host *host;
static struct stats *stats;
static const struct gpa_region *ram;
static struct error error;

/* Leaves in a row, to be compared. */
struct leaves {
	size_t count;
	struct {
		uint64_t gpa, hpa, bytes;
		unsigned int rights;
	} leaf[SIZE / PAGE + 512];
};

static struct leaves seen, predicted;

static int keep_live(void *context, const struct stage2_leaf *leaf)
{
	struct leaves *leaves = context;

	ck_assert_uint_lt(leaves->count, sizeof(leaves->leaf) / sizeof(leaves->leaf[0]));
	leaves->leaf[leaves->count].gpa = leaf->gpa.value;
	leaves->leaf[leaves->count].hpa = leaf->hpa.value;
	leaves->leaf[leaves->count].bytes = leaf->page_bytes;
	leaves->leaf[leaves->count++].rights = leaf->rights;
	return 0;
}

static int keep_predicted(void *context, gpa_t gpa, uint64_t bytes, const struct kvm_slot *slot)
{
	struct leaves *leaves = context;

	(void)slot;
	leaves->leaf[leaves->count].gpa = gpa.value;
	leaves->leaf[leaves->count++].bytes = bytes;
	return 0;
}

static void must_open(void)
{
	ck_assert_msg(live_open(0, &live, &error) == 0, "%s", error.text);
}

static void setup(const struct gpa_backing *backing, bool probe_first)
{
	struct gpa_request request = {
		.name = "ram", .start = gpa_make(HIGH), .size_bytes = SIZE, .backing = *backing};
	uint64_t value;

	if (probe_first)
		must_open();
	tiny_vm_create(&vm, NULL);
	ram = tiny_vm_add(&vm, &request);
	ck_assert_msg(predict_open(&host, &error) == 0, "%s", error.text);
	ck_assert_int_eq(stats_open(vm.vm_fd, &stats, &error), 0);
	ck_assert_int_eq(tiny_vm_load(&vm, 0x8000, &value), KVM_EXIT_HLT);
	if (!probe_first)
		must_open();
}

static void teardown(void)
{
	stats_close(stats);
	predict_close(host);
	tiny_vm_destroy(&vm);
	live_close(live);
}

static uint64_t stat(const char *name)
{
	return stats_find(stats, name)->values[0];
}

/* Where the host has the page at @at of this process. */
static uint64_t host_physical(const void *at)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	ck_assert_int_eq(pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)at / PAGE * 8)), 8);
	close(fd);
	return (entry & ((1ULL << 55) - 1)) * PAGE;
}

/* What the tables have for "ram" is what is predicted, and lies where the host has the memory. */
static void must_agree(void)
{
	struct live_counts counts;

	seen.count = predicted.count = 0;
	ck_assert_msg(live_for_each(live, ram->start, ram->end, keep_live, &seen, NULL, &error) ==
			      0,
		      "%s", error.text);
	ck_assert_int_eq(predict_for_each(host, vm.space, vm.slots, ram->start, ram->end,
					  EPT_PAGE_1G_BYTES, keep_predicted, &predicted, &error),
			 0);
	ck_assert_uint_eq(seen.count, predicted.count);
	for (size_t i = 0; i < seen.count; i++) {
		uint64_t offset = seen.leaf[i].gpa - HIGH;

		ck_assert_uint_eq(seen.leaf[i].gpa, predicted.leaf[i].gpa);
		ck_assert_uint_eq(seen.leaf[i].bytes, predicted.leaf[i].bytes);
		ck_assert_uint_eq(seen.leaf[i].hpa, host_physical((char *)ram->host + offset));
		ck_assert_uint_eq(seen.leaf[i].rights & (STAGE2_R | STAGE2_W), STAGE2_R | STAGE2_W);
	}
	ck_assert_int_eq(
		live_for_each(live, gpa_make(0), gpa_make(TOP), NULL, NULL, &counts, &error), 0);
	ck_assert_int_eq(stats_read(stats, &error), 0);
	ck_assert_uint_eq(counts.leaves_4k, stat("pages_4k"));
	ck_assert_uint_eq(counts.leaves_2m, stat("pages_2m"));
	ck_assert_uint_eq(counts.leaves_1g, stat("pages_1g"));
	ck_assert_uint_ge(counts.tables, 4);
	printf("live: %llu + %llu + %llu leaves, %llu tables, %llu marks\n",
	       (unsigned long long)counts.leaves_4k, (unsigned long long)counts.leaves_2m,
	       (unsigned long long)counts.leaves_1g, (unsigned long long)counts.tables,
	       (unsigned long long)counts.marked);
}

START_TEST(the_live_leaves_are_those_predicted_and_counted)
{
	struct gpa_backing backing = {.kind = _i ? GPA_BACKING_ANON : GPA_BACKING_MEMFD,
				      .thp = _i == 2};

	setup(&backing, true);
	for (uint64_t at = 0; at < SIZE; at += _i ? EPT_PAGE_2M_BYTES : 37 * PAGE)
		ck_assert_int_eq(tiny_vm_store_pages(&vm, HIGH + at, 1, 1), KVM_EXIT_HLT);
	must_agree();
	ck_assert_uint_gt(seen.count, 0);
	teardown();
}
END_TEST

START_TEST(a_vm_that_runs_already_names_its_root_when_nudged)
{
	struct gpa_backing backing = {0};
	struct stage2_mode mode;

	setup(&backing, false);
	ck_assert_int_eq(tiny_vm_store_pages(&vm, HIGH, 100, 1), KVM_EXIT_HLT);
	ck_assert_int_eq(live_root(live, &mode, &error), -ENOENT);
	ck_assert_msg(live_nudge(vm.kvm_fd, vm.vm_fd, 1, &error) == 0, "%s", error.text);
	must_agree();
	ck_assert_uint_eq(seen.count, 100);
	teardown();
}
END_TEST

START_TEST(what_is_unmapped_is_seen_to_go)
{
	struct gpa_backing backing = {0};

	setup(&backing, true);
	ck_assert_int_eq(tiny_vm_store_pages(&vm, HIGH, 64, 1), KVM_EXIT_HLT);
	must_agree();
	ck_assert_uint_eq(seen.count, 64);
	ck_assert_int_eq(gpa_space_remove(vm.space, ram, &error), 0);
	seen.count = 0;
	ck_assert_int_eq(live_for_each(live, gpa_make(HIGH), gpa_make(HIGH + SIZE), keep_live,
				       &seen, NULL, &error),
			 0);
	ck_assert_uint_eq(seen.count, 0);
	teardown();
}
END_TEST

START_TEST(the_probe_leaves_nothing_behind)
{
	char path[128];

	must_open();
	snprintf(path, sizeof(path), "/sys/kernel/tracing/instances/nestbox_%d", (int)getpid());
	ck_assert_int_eq(access(path, F_OK), 0);
	live_close(live);
	ck_assert_int_ne(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "/sys/kernel/tracing/events/nestbox_%d", (int)getpid());
	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(where_there_is_no_second_stage_the_error_says_so)
{
	ck_assert_int_eq(live_open(0, &live, &error), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(error.text, "kvm_intel"));
}
END_TEST

/* Whether KVM keeps tables the processor walks. */
static bool has_second_stage(void)
{
	return live_open(0, &live, &error) != -EOPNOTSUPP || !strstr(error.text, "second-stage");
}

int main(void)
{
	Suite *suite = suite_create("live_machine");
	TCase *tcase = tcase_create("all");
	int status = harness_need_kvm();

	if (status)
		return status;
	tcase_set_timeout(tcase, 30);
	if (has_second_stage()) {
		live_close(live);
		tcase_add_loop_test(tcase, the_live_leaves_are_those_predicted_and_counted, 0, 3);
		tcase_add_test(tcase, a_vm_that_runs_already_names_its_root_when_nudged);
		tcase_add_test(tcase, what_is_unmapped_is_seen_to_go);
		tcase_add_test(tcase, the_probe_leaves_nothing_behind);
	} else {
		printf("NOT TESTED HERE: this KVM has no second-stage tables (%s)\n", error.text);
		tcase_add_test(tcase, where_there_is_no_second_stage_the_error_says_so);
	}
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
