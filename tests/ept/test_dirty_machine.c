/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Dirty tracking and statistics on this host's KVM, under a vCPU that writes. */
#include <errno.h>
#include <string.h>

#include "ept/dirty.h"
#include "ept/stats.h"
#include "tests/ept/tiny_vm.h"
#include "tests/harness.h"

#define PAGE         EPT_PAGE_BYTES
#define HIGH         (1ULL << 32)
#define RING_ENTRIES 1024u

#ifndef KVM_EXIT_DIRTY_RING_FULL
#define KVM_EXIT_DIRTY_RING_FULL 31
#endif

static struct tiny_vm vm;
static struct dirty_tracker *tracker;
static const struct gpa_region *ram;
static struct error error;
static enum dirty_method method;
static unsigned int ring_exits;

/* Before the vCPU: a ring cannot be chosen later. */
static void make_tracker(struct tiny_vm *machine)
{
	ck_assert_msg(dirty_create(machine->vm_fd, machine->space, machine->slots, method,
				   method == DIRTY_RING ? RING_ENTRIES : 0, &tracker, &error) == 0,
		      "%s", error.text);
}

static void start_tracking(void)
{
	struct gpa_request request = {
		.name = "ram", .start = gpa_make(HIGH), .size_bytes = 32 << 20};
	int err;

	tiny_vm_create(&vm, make_tracker);
	ram = tiny_vm_add(&vm, &request);
	err = method == DIRTY_RING ? dirty_add_vcpu(tracker, vm.vcpu_fd, &error) : 0;
	ck_assert_msg(err == 0, "%s", error.text);
	ck_assert_msg(dirty_start(tracker, ram, &error) == 0, "%s", error.text);
}

static void store_pages(uint64_t gpa, uint64_t pages)
{
	int exit_reason = tiny_vm_store_pages(&vm, gpa, pages, 1);

	while (exit_reason == KVM_EXIT_DIRTY_RING_FULL) {
		ring_exits++;
		ck_assert_msg(dirty_collect(tracker, &error) == 0, "%s", error.text);
		exit_reason = tiny_vm_continue(&vm);
	}
	ck_assert_int_eq(exit_reason, KVM_EXIT_HLT);
}

START_TEST(every_written_page_is_seen_once_and_no_other)
{
	uint32_t epoch;

	method = (enum dirty_method)_i;
	if (method == DIRTY_RING && access("/sys/module/kvm_pvm", F_OK) == 0) {
		/* Its rings overrun: the tracker must say so, and nothing can be tracked. */
		tiny_vm_create(&vm, NULL);
		ck_assert_int_eq(dirty_create(vm.vm_fd, vm.space, vm.slots, method, RING_ENTRIES,
					      &tracker, &error),
				 -EOPNOTSUPP);
		tiny_vm_destroy(&vm);
		return;
	}
	start_tracking();
	store_pages(HIGH + 8 * PAGE, 3000);
	(void)gpa_space_write(vm.space, gpa_make(HIGH), "vmm", 3);
	epoch = dirty_epoch(tracker);
	ck_assert_int_eq(dirty_advance(tracker, 1, &error), 0);
	ck_assert_uint_eq(dirty_count(tracker, ram, 0), 3001);
	if (method == DIRTY_RING)
		ck_assert_uint_gt(ring_exits, 0);
	/* The next epoch starts clean, and sees pages that were dirty before. */
	store_pages(HIGH + 100 * PAGE, 50);
	ck_assert_int_eq(dirty_collect(tracker, &error), 0);
	ck_assert_uint_eq(dirty_count(tracker, ram, epoch + 1), 50);
	ck_assert_uint_eq(dirty_count(tracker, ram, epoch), 3001);
	ck_assert_int_eq(dirty_advance(tracker, 1, &error), 0);
	store_pages(HIGH + (23 << 20), 5);
	ck_assert_int_eq(dirty_stop(tracker, ram, &error), 0);
	ck_assert_uint_eq(dirty_count(tracker, ram, dirty_epoch(tracker)), 5);
	store_pages(HIGH + (24 << 20), 5);
	ck_assert_int_eq(dirty_collect(tracker, &error), 0);
	ck_assert_uint_eq(dirty_count(tracker, ram, dirty_epoch(tracker)), 5);
	dirty_destroy(tracker);
	tiny_vm_destroy(&vm);
}
END_TEST

START_TEST(kvm_names_its_statistics)
{
	struct gpa_request request = {
		.name = "ram", .start = gpa_make(HIGH), .size_bytes = 32 << 20};
	const struct stats_entry *pages;
	struct stats *stats;
	uint64_t before;

	tiny_vm_create(&vm, NULL);
	tiny_vm_add(&vm, &request);
	ck_assert_msg(stats_open(vm.vm_fd, &stats, &error) == 0, "%s", error.text);
	ck_assert_int_eq(strncmp(stats_id(stats), "kvm-", 4), 0);
	pages = stats_find(stats, "pages_4k");
	ck_assert_ptr_nonnull(pages);
	ck_assert_int_eq(pages->kind, STATS_INSTANT);
	ck_assert_ptr_nonnull(stats_find(stats, "pages_2m"));
	ck_assert_ptr_nonnull(stats_find(stats, "pages_1g"));
	before = pages->values[0];
	ck_assert_int_eq(tiny_vm_store_pages(&vm, HIGH, 100, 1), KVM_EXIT_HLT);
	ck_assert_int_eq(stats_read(stats, &error), 0);
	/* kvm_pvm leaves it at 0; nested paging counts each page that was touched. */
	ck_assert(pages->values[0] == 0 || pages->values[0] >= before + 100);
	if (pages->values[0] == 0)
		printf("pages_4k stays 0 on this KVM\n");
	stats_close(stats);
	tiny_vm_destroy(&vm);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dirty_machine");
	TCase *tcase = tcase_create("all");
	int status = harness_need_kvm();

	if (status)
		return status;
	tcase_add_loop_test(tcase, every_written_page_is_seen_once_and_no_other, DIRTY_BITMAP,
			    DIRTY_RING + 1);
	tcase_add_test(tcase, kvm_names_its_statistics);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
