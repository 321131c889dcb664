/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The predicted leaves against what the guest touched, and, where KVM counts its leaves (nested
 * paging does, kvm_pvm does not), against KVM's own count.
 */
#include <errno.h>
#include <string.h>

#include "ept/predict.h"
#include "ept/stats.h"
#include "tests/ept/tiny_vm.h"
#include "tests/harness.h"

#define PAGE EPT_PAGE_BYTES
#define HIGH (1ULL << 32)
#define SIZE (16ULL << 20)

static struct tiny_vm vm;
static struct predict_host *host;
static struct stats *stats;
static const struct gpa_region *ram;
static struct predict_count kvm_before;
static struct error error;

static struct predict_count kvm_count(void)
{
	struct predict_count count;

	ck_assert_int_eq(stats_read(stats, &error), 0);
	count.pages_4k = stats_find(stats, "pages_4k")->values[0];
	count.pages_2m = stats_find(stats, "pages_2m")->values[0];
	count.pages_1g = stats_find(stats, "pages_1g")->values[0];
	return count;
}

/* Whether this KVM counts at all: the code the guest has run lies in a leaf. */
static bool kvm_counts(void)
{
	struct predict_count now = kvm_count();

	return now.pages_4k + now.pages_2m + now.pages_1g > 0;
}

static void setup(const struct gpa_backing *backing)
{
	struct gpa_request request = {
		.name = "ram", .start = gpa_make(HIGH), .size_bytes = SIZE, .backing = *backing};
	uint64_t value;

	tiny_vm_create(&vm, NULL);
	ram = tiny_vm_add(&vm, &request);
	ck_assert_msg(predict_open(&host, &error) == 0, "%s", error.text);
	ck_assert_int_eq(stats_open(vm.vm_fd, &stats, &error), 0);
	/* Both programs of the guest have run: only "ram" changes from here on. */
	ck_assert_int_eq(tiny_vm_load(&vm, 0x8000, &value), KVM_EXIT_HLT);
	ck_assert_int_eq(tiny_vm_store_pages(&vm, 0x8000, 1, 1), KVM_EXIT_HLT);
	/* And its table for the addresses around the region is read. */
	ck_assert_int_eq(tiny_vm_load(&vm, HIGH + 8 * SIZE, &value), KVM_EXIT_MMIO);
	kvm_before = kvm_count();
}

static void teardown(void)
{
	stats_close(stats);
	predict_close(host);
	tiny_vm_destroy(&vm);
}

static struct predict_count predicted(gpa_t start, gpa_t end)
{
	struct predict_count count;

	ck_assert_msg(predict_count(host, vm.space, vm.slots, start, end, EPT_PAGE_1G_BYTES, &count,
				    &error) == 0,
		      "%s", error.text);
	return count;
}

/* Writes one page in each @stride bytes of the region. */
static uint64_t touch(uint64_t stride)
{
	uint64_t at, count = 0;

	for (at = 0; at < SIZE; at += stride, count++)
		ck_assert_int_eq(tiny_vm_store_pages(&vm, HIGH + at, 1, 1), KVM_EXIT_HLT);
	return count;
}

static void must_be(uint64_t pages_4k, uint64_t pages_2m)
{
	struct predict_count count = predicted(ram->start, ram->end), kvm;

	ck_assert_uint_eq(count.pages_4k, pages_4k);
	ck_assert_uint_eq(count.pages_2m, pages_2m);
	ck_assert_uint_eq(count.pages_1g, 0);
	if (!kvm_counts()) {
		printf("this KVM counts no leaves: compared with what was touched\n");
		return;
	}
	kvm = kvm_count();
	ck_assert_uint_eq(kvm.pages_4k - kvm_before.pages_4k, pages_4k);
	ck_assert_uint_eq(kvm.pages_2m - kvm_before.pages_2m, pages_2m);
}

/* Whether the host's setting for transparent huge pages is @mode, as in "[always]". */
static bool thp_is(const char *mode)
{
	FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
	char line[64] = "";

	if (file) {
		if (!fgets(line, sizeof(line), file))
			line[0] = '\0';
		fclose(file);
	}
	return strstr(line, mode) != NULL;
}

/* Linux gives none to hosts of less than 512 MiB, unless told otherwise. */
static bool no_thp(void)
{
	if (!thp_is("[never]"))
		return false;
	printf("this host has no transparent huge pages: small leaves are expected\n");
	return true;
}

START_TEST(small_pages_are_those_the_guest_touched)
{
	struct gpa_backing backing = {.kind = _i ? GPA_BACKING_ANON : GPA_BACKING_MEMFD};
	uint64_t touched;

	setup(&backing);
	must_be(0, 0);
	touched = touch(48 * PAGE);
	if (backing.kind == GPA_BACKING_ANON && thp_is("[always]"))
		must_be(0, SIZE / EPT_PAGE_2M_BYTES);
	else
		must_be(touched, 0);
	teardown();
}
END_TEST

START_TEST(transparent_huge_pages_are_large_leaves)
{
	struct gpa_backing backing = {.kind = GPA_BACKING_ANON, .thp = true};
	uint64_t touched;

	setup(&backing);
	ck_assert(predict_sees_thp(host));
	touched = touch(EPT_PAGE_2M_BYTES);
	if (no_thp())
		must_be(touched, 0);
	else
		must_be(0, touched);
	teardown();
}
END_TEST

START_TEST(dirty_logging_predicts_small_leaves)
{
	struct gpa_backing backing = {.kind = GPA_BACKING_ANON, .thp = true};

	setup(&backing);
	memset(ram->host, 1, SIZE);
	ck_assert_uint_eq(predicted(ram->start, ram->end).pages_2m,
			  no_thp() ? 0 : SIZE / EPT_PAGE_2M_BYTES);
	ck_assert_int_eq(kvm_slots_set_dirty_log(vm.slots, ram, true, &error), 0);
	ck_assert_uint_eq(predicted(ram->start, ram->end).pages_2m, 0);
	ck_assert_int_eq(tiny_vm_store_pages(&vm, HIGH, SIZE / PAGE, 1), KVM_EXIT_HLT);
	must_be(SIZE / PAGE, 0);
	teardown();
}
END_TEST

START_TEST(a_sparse_terabyte_is_predicted_at_once)
{
	struct gpa_backing backing = {.kind = GPA_BACKING_MEMFD};
	struct gpa_request request = {
		.name = "big", .start = gpa_make(1ULL << 38), .size_bytes = 1ULL << 39};
	const struct gpa_region *big;
	struct predict_count count;
	gpa_t far;

	setup(&backing);
	big = tiny_vm_add(&vm, &request);
	far = gpa_add(big->start, 300ULL << 30);
	ck_assert_int_eq(gpa_space_write(vm.space, far, "x", 1), 0);
	count = predicted(big->start, big->end);
	ck_assert_uint_eq(count.pages_4k, 1);
	count = predicted(big->start, far);
	ck_assert_uint_eq(count.pages_4k, 0);
	count = predicted(far, gpa_add(far, PAGE));
	ck_assert_uint_eq(count.pages_4k, 1);
	teardown();
}
END_TEST

static uint64_t free_huge_pages(void)
{
	FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	unsigned long long count = 0;

	if (file) {
		if (fscanf(file, "%llu", &count) != 1)
			count = 0;
		fclose(file);
	}
	return count;
}

START_TEST(hugetlb_is_large_leaves_or_a_clear_error)
{
	struct gpa_backing backing = {.hugetlb_bytes = EPT_PAGE_2M_BYTES};
	struct gpa_request request = {
		.name = "ram", .start = gpa_make(HIGH), .size_bytes = SIZE, .backing = backing};

	if (free_huge_pages() >= SIZE / EPT_PAGE_2M_BYTES) {
		setup(&backing);
		touch(2 * EPT_PAGE_2M_BYTES);
		must_be(0, SIZE / EPT_PAGE_2M_BYTES / 2);
		teardown();
		return;
	}
	printf("%llu huge pages are free: only the error is tested\n",
	       (unsigned long long)free_huge_pages());
	tiny_vm_create(&vm, NULL);
	ck_assert_int_eq(gpa_space_add(vm.space, &request, NULL, &error), -ENOMEM);
	ck_assert_msg(strstr(error.text, "nr_hugepages") != NULL, "%s", error.text);
	tiny_vm_destroy(&vm);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("predict_machine");
	TCase *tcase = tcase_create("all");
	int status = harness_need_kvm();

	if (status)
		return status;
	if (harness_engine() == KVM_SOFT) {
		fprintf(stderr, "skipped: the soft engine's leaves follow from slots alone\n");
		return EXIT_SKIPPED;
	}
	tcase_add_loop_test(tcase, small_pages_are_those_the_guest_touched, 0, 2);
	tcase_add_test(tcase, transparent_huge_pages_are_large_leaves);
	tcase_add_test(tcase, dirty_logging_predicts_small_leaves);
	tcase_add_test(tcase, a_sparse_terabyte_is_predicted_at_once);
	tcase_add_test(tcase, hugetlb_is_large_leaves_or_a_clear_error);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
