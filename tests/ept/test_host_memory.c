/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory of the host's reserved huge pages and of a chosen memory node: where the pages come
 * from, which leaves KVM makes of them, and what is said when there are none. For a lab alone,
 * which must have two nodes: it changes how many huge pages the kernel keeps.
 */
#include <errno.h>
#include <numaif.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/memfd.h>

#include "ept/predict.h"
#include "ept/stats.h"
#include "tests/ept/tiny_vm.h"
#include "tests/harness.h"

#define HIGH    (1ULL << 32)
#define M2      EPT_PAGE_2M_BYTES
#define G1      EPT_PAGE_1G_BYTES
#define POOL_2M 16u

static struct tiny_vm vm;
static struct predict_host *host;
static struct stats *stats;
static struct error error;

/* ---- the kernel's pools ---- */

static void pool_path(char path[128], int node, uint64_t page_bytes, const char *what)
{
	if (node < 0)
		snprintf(path, 128, "/sys/kernel/mm/hugepages/hugepages-%llukB/%s",
			 (unsigned long long)page_bytes >> 10, what);
	else
		snprintf(path, 128, "/sys/devices/system/node/node%d/hugepages/hugepages-%llukB/%s",
			 node, (unsigned long long)page_bytes >> 10, what);
}

/* Of all nodes where @node is negative. */
static uint64_t pool(int node, uint64_t page_bytes, const char *what)
{
	unsigned long long count = 0;
	char path[128];
	FILE *file;

	pool_path(path, node, page_bytes, what);
	file = fopen(path, "re");
	ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(fscanf(file, "%llu", &count), 1);
	fclose(file);
	return count;
}

/* Keeps @count huge pages; returns how many there are then. */
static uint64_t keep(int node, uint64_t page_bytes, unsigned int count)
{
	char path[128];
	FILE *file;

	pool_path(path, node, page_bytes, "nr_hugepages");
	file = fopen(path, "we");
	ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
	fprintf(file, "%u\n", count);
	ck_assert_int_eq(fclose(file), 0);
	return pool(node, page_bytes, "nr_hugepages");
}

/* ---- the machine ---- */

/* What the guest needs for itself is in the second stage from then on: KVM may drop it. */
static void warm_up(void)
{
	uint64_t value, at;

	ck_assert_int_eq(tiny_vm_load(&vm, 0x8000, &value), KVM_EXIT_HLT);
	ck_assert_int_eq(tiny_vm_store_pages(&vm, 0x8000, 1, 1), KVM_EXIT_HLT);
	/* Its tables for the GiB around @at are read where there is no memory. */
	for (at = HIGH; at < 2 * HIGH; at += G1 / 2)
		if (!gpa_space_find(vm.space, gpa_make(at)))
			ck_assert_int_eq(tiny_vm_load(&vm, at, &value), KVM_EXIT_MMIO);
}

static void setup(void)
{
	tiny_vm_create(&vm, NULL);
	ck_assert_msg(predict_open(&host, &error) == 0, "%s", error.text);
	ck_assert_int_eq(stats_open(vm.vm_fd, &stats, &error), 0);
	warm_up();
}

static void teardown(void)
{
	stats_close(stats);
	predict_close(host);
	tiny_vm_destroy(&vm);
	keep(-1, M2, 0);
	keep(-1, G1, 0);
	ck_assert_uint_eq(pool(-1, M2, "nr_hugepages"), 0);
}

static struct predict_count kvm_count(void)
{
	struct predict_count count;

	ck_assert_int_eq(stats_read(stats, &error), 0);
	count.pages_4k = stats_find(stats, "pages_4k")->values[0];
	count.pages_2m = stats_find(stats, "pages_2m")->values[0];
	count.pages_1g = stats_find(stats, "pages_1g")->values[0];
	return count;
}

/* The guest writes each page of the region: KVM then has these leaves more, as predicted. */
static void leaves_must_be(const struct gpa_region *region, uint64_t stride, uint64_t pages_4k,
			   uint64_t pages_2m, uint64_t pages_1g)
{
	struct predict_count before, now, predicted;

	warm_up();
	before = kvm_count();
	for (uint64_t at = region->start.value; at < region->end.value; at += stride)
		ck_assert_int_eq(tiny_vm_store_pages(&vm, at, 1, 1), KVM_EXIT_HLT);
	now = kvm_count();
	ck_assert_uint_eq(now.pages_4k - before.pages_4k, pages_4k);
	ck_assert_uint_eq(now.pages_2m - before.pages_2m, pages_2m);
	ck_assert_uint_eq(now.pages_1g - before.pages_1g, pages_1g);
	ck_assert_int_eq(predict_count(host, vm.space, vm.slots, region->start, region->end, G1,
				       &predicted, &error),
			 0);
	ck_assert_uint_eq(predicted.pages_4k, pages_4k);
	ck_assert_uint_eq(predicted.pages_2m, pages_2m);
	ck_assert_uint_eq(predicted.pages_1g, pages_1g);
}

/* Each page of [at, at + bytes) that is there lies on @node; returns how many are. */
static size_t pages_on(const void *at, uint64_t bytes, uint64_t stride, int node)
{
	size_t found = 0;

	for (uint64_t offset = 0; offset < bytes; offset += stride) {
		void *page = (char *)at + offset;
		int where = -1;

		ck_assert_int_eq(move_pages(0, 1, &page, NULL, &where, 0), 0);
		ck_assert_msg(where == node || where == -ENOENT, "page %#llx: node %d, not %d",
			      (unsigned long long)offset, where, node);
		found += where == node;
	}
	return found;
}

static struct gpa_request request_of(uint64_t start, uint64_t bytes, uint64_t page_bytes)
{
	return (struct gpa_request){.name = "huge",
				    .start = gpa_make(start),
				    .size_bytes = bytes,
				    .backing = {.hugetlb_bytes = page_bytes}};
}

/* ---- huge pages ---- */

static const enum gpa_backing_kind kinds[] = {GPA_BACKING_MEMFD, GPA_BACKING_ANON};

START_TEST(pages_of_2_mib_come_from_the_pool_and_are_leaves)
{
	struct gpa_request request = request_of(HIGH, POOL_2M * M2, M2);
	const struct gpa_region *region;

	ck_assert_uint_eq(keep(-1, M2, POOL_2M), POOL_2M);
	setup();
	request.backing.kind = kinds[_i];
	region = tiny_vm_add(&vm, &request);
	/* Reserved at once, taken when touched. */
	ck_assert_uint_eq(pool(-1, M2, "resv_hugepages"), POOL_2M);
	ck_assert_uint_eq(pool(-1, M2, "free_hugepages"), POOL_2M);
	leaves_must_be(region, M2, 0, POOL_2M, 0);
	ck_assert_uint_eq(pool(-1, M2, "resv_hugepages"), 0);
	ck_assert_uint_eq(pool(-1, M2, "free_hugepages"), 0);
	ck_assert_int_eq(gpa_space_remove(vm.space, region, &error), 0);
	ck_assert_uint_eq(pool(-1, M2, "free_hugepages"), POOL_2M);
	teardown();
}
END_TEST

START_TEST(preallocated_huge_pages_are_taken_at_once)
{
	struct gpa_request request = request_of(HIGH, POOL_2M * M2, M2);

	ck_assert_uint_eq(keep(-1, M2, POOL_2M), POOL_2M);
	setup();
	request.backing.kind = kinds[_i];
	request.backing.prealloc = true;
	tiny_vm_add(&vm, &request);
	ck_assert_uint_eq(pool(-1, M2, "free_hugepages"), 0);
	teardown();
}
END_TEST

START_TEST(a_page_of_1_gib_is_one_leaf)
{
	struct gpa_request request = request_of(HIGH, G1, G1);
	const struct gpa_region *region;

	ck_assert_msg(keep(-1, G1, 1) == 1, "no page of 1 GiB could be had");
	setup();
	request.backing.kind = kinds[_i];
	region = tiny_vm_add(&vm, &request);
	ck_assert_uint_eq(pool(-1, G1, "resv_hugepages"), 1);
	leaves_must_be(region, 64 * M2, 0, 0, 1);
	ck_assert_uint_eq(pool(-1, G1, "free_hugepages"), 0);
	teardown();
}
END_TEST

START_TEST(without_huge_pages_the_error_says_how_to_get_them)
{
	struct gpa_request request = request_of(HIGH, 4 * M2, M2);
	uint64_t slots, value = 0;
	size_t regions;

	ck_assert_uint_eq(keep(-1, M2, 4), 4);
	setup();
	tiny_vm_add(&vm, &request);
	ck_assert_int_eq(tiny_vm_store(&vm, HIGH, 42), KVM_EXIT_HLT);
	regions = gpa_space_count(vm.space);
	slots = kvm_slots_count(vm.slots);
	request = request_of(HIGH + G1, _i ? G1 : M2, _i ? G1 : M2);
	request.name = "more";
	ck_assert_int_eq(gpa_space_add(vm.space, &request, NULL, &error), -ENOMEM);
	ck_assert_msg(strstr(error.text, _i ? "hugepages-1048576kB/nr_hugepages"
					    : "hugepages-2048kB/nr_hugepages") != NULL,
		      "%s", error.text);
	ck_assert_msg(strstr(error.text, "0 are free") != NULL || !_i, "%s", error.text);
	ck_assert_uint_eq(gpa_space_count(vm.space), regions);
	ck_assert_uint_eq(kvm_slots_count(vm.slots), slots);
	ck_assert_int_eq(gpa_space_check(vm.space, &error), 0);
	ck_assert_int_eq(tiny_vm_load(&vm, HIGH, &value), KVM_EXIT_HLT);
	ck_assert_uint_eq(value, 42);
	ck_assert_uint_eq(pool(-1, M2, "free_hugepages"), 3);
	ck_assert_uint_eq(pool(-1, M2, "resv_hugepages"), 3);
	teardown();
}
END_TEST

/* ---- memory nodes ---- */

START_TEST(bound_pages_are_on_their_node)
{
	struct gpa_request request = {.name = "bound",
				      .start = gpa_make(HIGH),
				      .size_bytes = 4 * M2,
				      .backing = {.kind = kinds[_i / 2], .numa_bind = true}};
	const struct gpa_region *region;

	setup();
	request.backing.host_node = (unsigned int)_i % 2;
	region = tiny_vm_add(&vm, &request);
	ck_assert_int_eq(tiny_vm_store_pages(&vm, HIGH, 4 * 512, 1), KVM_EXIT_HLT);
	ck_assert_uint_eq(pages_on(region->host, 4 * M2, EPT_PAGE_BYTES, _i % 2), 4 * 512);
	teardown();
}
END_TEST

START_TEST(bound_huge_pages_are_on_their_node)
{
	struct gpa_request request = request_of(HIGH, 2 * M2, M2);
	const struct gpa_region *region;

	ck_assert_uint_eq(keep(0, M2, 4), 4);
	ck_assert_uint_eq(keep(1, M2, 4), 4);
	setup();
	request.backing.numa_bind = true;
	request.backing.host_node = (unsigned int)_i;
	region = tiny_vm_add(&vm, &request);
	leaves_must_be(region, M2, 0, 2, 0);
	ck_assert_uint_eq(pages_on(region->host, 2 * M2, M2, _i), 2);
	ck_assert_uint_eq(pool(_i, M2, "free_hugepages"), 2);
	ck_assert_uint_eq(pool(!_i, M2, "free_hugepages"), 4);
	teardown();
}
END_TEST

START_TEST(a_node_that_is_not_there_is_refused)
{
	struct gpa_request request = {.name = "bound",
				      .start = gpa_make(HIGH),
				      .size_bytes = M2,
				      .backing = {.numa_bind = true, .host_node = 2}};
	size_t regions;

	setup();
	regions = gpa_space_count(vm.space);
	ck_assert_int_eq(gpa_space_add(vm.space, &request, NULL, &error), -EINVAL);
	ck_assert_msg(strstr(error.text, "no memory node 2") != NULL, "%s", error.text);
	ck_assert_uint_eq(gpa_space_count(vm.space), regions);
	teardown();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("host_memory");
	TCase *tcase = tcase_create("all");
	int status = harness_need_kvm();

	if (status)
		return status;
	if (!getenv("NESTBOX_LAB")) {
		fprintf(stderr, "skipped: not in a lab\n");
		return EXIT_SKIPPED;
	}
	tcase_add_loop_test(tcase, a_page_of_1_gib_is_one_leaf, 0, 2);
	tcase_add_loop_test(tcase, pages_of_2_mib_come_from_the_pool_and_are_leaves, 0, 2);
	tcase_add_loop_test(tcase, preallocated_huge_pages_are_taken_at_once, 0, 2);
	tcase_add_loop_test(tcase, without_huge_pages_the_error_says_how_to_get_them, 0, 2);
	tcase_add_loop_test(tcase, bound_pages_are_on_their_node, 0, 4);
	tcase_add_loop_test(tcase, bound_huge_pages_are_on_their_node, 0, 2);
	tcase_add_test(tcase, a_node_that_is_not_there_is_refused);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
