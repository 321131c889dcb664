/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The soft engine's checks, each with a fault planted: a report at the first access that is wrong,
 * and none before. Among the faults are those of Linux's history that left a translation behind,
 * planted in the guest's code: a flush that misses a range, its end, or a CPU; entries that stay
 * until the lazy purge, with their rights; and, in its tables, a page table that is freed while the
 * processor still remembers the way to it.
 */
#include <errno.h>
#include <string.h>

#include "mm/gfp.h"
#include "mm/vmalloc.h"
#include "mm/x86.h"
#include "tests/harness.h"
#include "tests/machine/planted.h"
#include "vmm/machine/checks.h"
#include "vmm/machine/guest.h"

#define WINDOW (VMALLOC_START + (512ull << 30))

static struct guest *guest;

static void start_image(const char *image_path)
{
	struct guest_config config = {
		.engine = KVM_SOFT,
		.image_path = image_path,
		.nr_vcpus = 2,
		.memory_bytes = 64ull << 20,
		.checks = CHECKS_DEFAULT,
	};
	struct error error;

	ck_assert_msg(guest_start(&config, &guest, NULL, &error) == 0, "%s", error.text);
}

static void start(void)
{
	start_image(NULL);
}

/* The guest with a fault in @function. */
static void start_planted(const char *function, plant_fn change)
{
	struct planted planted;
	char path[64];

	guest_destroy(guest);
	planted_open(&planted);
	plant(&planted, function, change);
	planted_save(&planted, path, sizeof(path));
	planted_close(&planted);
	start_image(path);
	remove(path);
}

static void stop(void)
{
	guest_destroy(guest);
	guest = NULL;
}

static uint64_t call(unsigned int vcpu, struct nb_submission submission)
{
	struct nb_completion completion;
	int err = guest_call(guest, vcpu, &submission, &completion);

	ck_assert_msg(err == 0, "vCPU %u died: %s", vcpu, err ? guest_failure(guest)->text : "");
	ck_assert_int_eq(completion.status, 0);
	return completion.result[0];
}

#define CALL(vcpu, op, ...) call(vcpu, (struct nb_submission){.opcode = (op), .arg = {__VA_ARGS__}})

static void touch(unsigned int vcpu, uint64_t address)
{
	CALL(vcpu, NB_OP_TEST_TOUCH, address);
}

/* The touch is the first wrong access: it is reported, as @check, and who was there before. */
static void touch_is_caught(unsigned int vcpu, uint64_t address, const char *check,
			    const char *earlier)
{
	const struct nb_submission submission = {.opcode = NB_OP_TEST_TOUCH, .arg = {address}};
	const struct guest_report *report;
	struct nb_completion completion;
	bool named = false;

	ck_assert_int_eq(guest_call(guest, vcpu, &submission, &completion), -ENOTRECOVERABLE);
	report = guest_failure(guest);
	ck_assert_int_eq(report->kind, REPORT_CHECK);
	ck_assert_str_eq(report->check, check);
	ck_assert_uint_eq(report->vcpu, vcpu);
	ck_assert_uint_eq(report->access.gva, address);
	ck_assert_str_eq(report->trace.frame[0].function, "op_touch");
	if (!earlier)
		return;
	ck_assert(report->past.known);
	ck_assert_uint_gt(report->instruction, report->past.instruction);
	for (size_t i = 0; i < report->past.trace.nr_frames; i++)
		named |= strcmp(report->past.trace.frame[i].function, earlier) == 0;
	ck_assert_msg(named, "%s is not in the earlier backtrace", earlier);
}

static uint64_t allocate(uint64_t pages, uint64_t from)
{
	return CALL(0, NB_OP_VMALLOC, pages * X86_PAGE_SIZE, 1, from, VMALLOC_END,
		    GFP_KERNEL | __GFP_ZERO, PAGE_KERNEL, VM_ALLOC, (uint64_t)-1);
}

/* ---- the guest's tables, from outside ---- */

static struct paging_walk walk_to(uint64_t address)
{
	struct paging_mode mode = guest_paging_mode(guest);
	struct paging_reader reader = guest_paging_reader(guest);
	struct paging_walk walk;

	paging_walk(&mode, &reader, gva_make(address), &walk);
	return walk;
}

static void put_entry(struct paging_entry entry)
{
	ck_assert_int_eq(
		gpa_space_write(guest_space(guest), entry.address, &entry.value, sizeof(uint64_t)),
		0);
}

/* ---- tests ---- */

START_TEST(freed_frame_by_the_direct_map)
{
	uint64_t pfn = CALL(0, NB_OP_ALLOC_PAGES, 0, GFP_KERNEL, (uint64_t)-1);

	touch(1, NB_DIRECT_BASE + pfn * X86_PAGE_SIZE);
	CALL(0, NB_OP_FREE_PAGES, pfn);
	touch_is_caught(1, NB_DIRECT_BASE + pfn * X86_PAGE_SIZE, "freed", "op_free_pages");
}
END_TEST

START_TEST(frame_in_use_again_is_no_news)
{
	for (int i = 0; i < 20; i++) {
		uint64_t pfn = CALL(0, NB_OP_ALLOC_PAGES, 0, GFP_KERNEL, (uint64_t)-1);

		touch((unsigned int)i % 2, NB_DIRECT_BASE + pfn * X86_PAGE_SIZE);
		CALL(0, NB_OP_FREE_PAGES, pfn);
	}
}
END_TEST

/* At the object's first byte and its last; what was allocated beside it stays good. */
static void freed_object_is_caught(unsigned int vcpu, uint64_t offset)
{
	uint64_t object[3];

	for (int i = 0; i < 3; i++)
		object[i] = CALL(0, NB_OP_KMALLOC, 192, GFP_KERNEL, (uint64_t)-1);
	for (int i = 0; i < 3; i++)
		touch(vcpu, object[i] + offset);
	CALL(0, NB_OP_KFREE, object[1]);
	touch(vcpu, object[0] + 191 - 7);
	touch(vcpu, object[2]);
	touch_is_caught(vcpu, object[1] + offset, "freed", "op_kfree");
}

START_TEST(freed_object_of_a_slab)
{
	freed_object_is_caught(0, 0);
}
END_TEST

START_TEST(freed_object_on_another_cpu)
{
	freed_object_is_caught(1, 184);
}
END_TEST

START_TEST(object_in_use_again_is_no_news)
{
	for (int i = 0; i < 20; i++) {
		uint64_t object = CALL(0, NB_OP_KMALLOC, 64, GFP_KERNEL, (uint64_t)-1);

		touch((unsigned int)i % 2, object + 8);
		CALL((unsigned int)i / 2 % 2, NB_OP_KFREE, object);
	}
}
END_TEST

START_TEST(object_that_was_never_allocated)
{
	uint64_t object = CALL(0, NB_OP_KMALLOC, 1024, GFP_KERNEL, (uint64_t)-1);

	touch_is_caught(0, object + 1024, "freed", NULL);
	ck_assert(!guest_failure(guest)->past.known);
}
END_TEST

START_TEST(frame_that_was_never_handed_out)
{
	touch_is_caught(0, NB_DIRECT_BASE + (24ull << 20), "freed", NULL);
	ck_assert_ptr_nonnull(strstr(guest_failure(guest)->text, "never handed out"));
}
END_TEST

/* ---- Linux's history: commits of torvalds/linux ---- */

/*
 * What vCPU 1 remembers of @address must be gone after a purge, and is not. Purges are Linux's, and
 * with @another area in them, given back last.
 */
static void stale_after_purge(bool another)
{
	uint64_t address;

	CALL(0, NB_OP_SET_RULES, NB_ORDER_NEWEST_FIRST, NB_SEARCH_5_2);
	address = allocate(1, WINDOW);
	touch(1, address);
	CALL(0, NB_OP_VFREE, address);
	/* Whatever comes next has another frame. */
	CALL(0, NB_OP_ALLOC_PAGES, 0, GFP_KERNEL, (uint64_t)-1);
	if (another)
		CALL(0, NB_OP_VFREE, allocate(1, WINDOW + (1ull << 30)));
	CALL(0, NB_OP_PURGE, 0);
	ck_assert_uint_eq(allocate(1, WINDOW), address);
	touch(0, address);
	touch_is_caught(1, address, "stale", "op_vfree");
}

/* fc1e0d980037: what had left a list was not in the range that is flushed. */
START_TEST(flush_of_the_first_of_a_list)
{
	start_planted("vmap_flush_list", no_loop);
	stale_after_purge(true);
}
END_TEST

/* 8e41f8726dcf: the range was built of the wrong addresses, its end without the last page. */
START_TEST(flush_that_ends_before_the_last_area)
{
	start_planted("vmap_flush_list", no_end);
	stale_after_purge(false);
}
END_TEST

/* Nothing forgotten, nothing reported. */
START_TEST(flush_of_all_is_no_news)
{
	uint64_t address;

	CALL(0, NB_OP_SET_RULES, NB_ORDER_NEWEST_FIRST, NB_SEARCH_5_2);
	for (int i = 0; i < 10; i++) {
		address = allocate(1, WINDOW);
		touch(1, address);
		CALL(0, NB_OP_VFREE, address);
		CALL(0, NB_OP_VFREE, allocate(1, WINDOW + (1ull << 30)));
		CALL(0, NB_OP_PURGE, 0);
	}
}
END_TEST

/* A processor that is told, and does not do it. */
START_TEST(flush_of_one_processor_forgotten)
{
	start_planted("tlb_answer", no_flush);
	stale_after_purge(false);
}
END_TEST

/* 868b104d7379: executable memory kept its rights, and its entries, until the purge. */
START_TEST(executable_entry_that_stays_until_the_purge)
{
	uint64_t address;

	start_planted("pt_unmap_quick", no_function);
	address = CALL(0, NB_OP_VMALLOC_CALL, NB_VMALLOC_EXEC, X86_PAGE_SIZE);
	CALL(0, NB_OP_VFREE, address);
	touch_is_caught(1, address, "freed", NULL);
}
END_TEST

/* 2.6.37: the entries of a freed area stayed until the purge. */
START_TEST(entry_that_stays_until_the_purge)
{
	uint64_t address;

	start_planted("pt_unmap_quick", no_function);
	address = allocate(1, WINDOW);
	touch(1, address);
	CALL(0, NB_OP_VFREE, address);
	touch_is_caught(1, address, "freed", "op_vfree");
}
END_TEST

/* The same where the processor has the translation, and the entry is gone: before the purge. */
START_TEST(freed_area_by_what_a_processor_remembers)
{
	uint64_t address = allocate(2, WINDOW), second = address + X86_PAGE_SIZE;

	touch(1, second);
	CALL(0, NB_OP_VFREE, address);
	touch_is_caught(1, second, "stale", "op_vfree");
}
END_TEST

/*
 * 5e0fb5df2ee8: where 4 KiB pages were a large one is mapped, and their page table freed; a
 * processor that remembers the entry above goes on through the table. The guest frees no table of
 * the kernel's half: what it does not do is done in its tables.
 */
START_TEST(walk_through_a_freed_table)
{
	uint64_t address = allocate(2, WINDOW), pfn, block, copy[512];
	struct paging_walk walk = walk_to(address);
	struct paging_entry directory = walk.entries[2], entry = walk.entries[2];
	gpa_t table = gpa_make(directory.value & X86_PTE_ADDR_MASK);

	pfn = CALL(0, NB_OP_ALLOC_PAGES, 0, GFP_KERNEL, (uint64_t)-1);
	block = CALL(0, NB_OP_ALLOC_PAGES, 9, GFP_KERNEL, (uint64_t)-1);
	ck_assert_int_eq(gpa_space_read(guest_space(guest), table, copy, sizeof(copy)), 0);
	ck_assert_int_eq(gpa_space_write(guest_space(guest), gpa_make(pfn * X86_PAGE_SIZE), copy,
					 sizeof(copy)),
			 0);
	entry.value = pfn * X86_PAGE_SIZE | (directory.value & ~X86_PTE_ADDR_MASK);
	put_entry(entry);
	touch(0, address);
	entry.value = block * X86_PAGE_SIZE | PAGE_KERNEL | X86_PTE_PS;
	put_entry(entry);
	CALL(1, NB_OP_FREE_PAGES, pfn);
	touch(1, address + X86_PAGE_SIZE);
	touch_is_caught(0, address + X86_PAGE_SIZE, "freed", "op_free_pages");
	ck_assert(guest_failure(guest)->access.table);
}
END_TEST

START_TEST(guard_page_behind_an_area)
{
	uint64_t address = allocate(1, WINDOW);

	touch(0, address);
	touch_is_caught(0, address + X86_PAGE_SIZE, "guard", NULL);
}
END_TEST

START_TEST(memory_both_written_and_executed)
{
	uint64_t address = allocate(1, WINDOW);
	struct paging_walk walk = walk_to(address);
	struct paging_entry entry = walk.entries[walk.entry_count - 1];

	entry.value &= ~X86_PTE_NX;
	put_entry(entry);
	touch_is_caught(0, address, "wx", NULL);
}
END_TEST

/* A load that may fault on anything is let through, and what comes after it by its translation is
 * not. */
START_TEST(memory_both_written_and_executed_that_was_probed)
{
	uint64_t address = allocate(1, WINDOW);
	struct paging_walk walk = walk_to(address);
	struct paging_entry entry = walk.entries[walk.entry_count - 1];

	entry.value &= ~X86_PTE_NX;
	entry.value |= X86_PTE_A | X86_PTE_D;
	put_entry(entry);
	CALL(0, NB_OP_PROBE, 0, address);
	touch_is_caught(0, address, "wx", NULL);
}
END_TEST

START_TEST(names_are_what_they_are)
{
	unsigned int checks = 77;

	ck_assert_int_eq(checks_parse("stale,wx", &checks), 0);
	ck_assert_uint_eq(checks, SOFT_CHECK_STALE | SOFT_CHECK_WX);
	ck_assert_int_eq(checks_parse("all", &checks), 0);
	ck_assert_uint_eq(checks, SOFT_CHECK_ALL);
	ck_assert_int_eq(checks_parse("none", &checks), 0);
	ck_assert_uint_eq(checks, 0);
	ck_assert_int_eq(checks_parse("stale,", &checks), -EINVAL);
	ck_assert_int_eq(checks_parse("", &checks), -EINVAL);
	ck_assert_int_eq(checks_parse("stal", &checks), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("checks");
	TCase *tcase = tcase_create("planted");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, start, stop);
	tcase_add_test(tcase, freed_frame_by_the_direct_map);
	tcase_add_test(tcase, frame_in_use_again_is_no_news);
	tcase_add_test(tcase, freed_object_of_a_slab);
	tcase_add_test(tcase, freed_object_on_another_cpu);
	tcase_add_test(tcase, object_in_use_again_is_no_news);
	tcase_add_test(tcase, object_that_was_never_allocated);
	tcase_add_test(tcase, frame_that_was_never_handed_out);
	tcase_add_test(tcase, flush_of_the_first_of_a_list);
	tcase_add_test(tcase, flush_that_ends_before_the_last_area);
	tcase_add_test(tcase, flush_of_all_is_no_news);
	tcase_add_test(tcase, flush_of_one_processor_forgotten);
	tcase_add_test(tcase, executable_entry_that_stays_until_the_purge);
	tcase_add_test(tcase, entry_that_stays_until_the_purge);
	tcase_add_test(tcase, freed_area_by_what_a_processor_remembers);
	tcase_add_test(tcase, walk_through_a_freed_table);
	tcase_add_test(tcase, guard_page_behind_an_area);
	tcase_add_test(tcase, memory_both_written_and_executed);
	tcase_add_test(tcase, memory_both_written_and_executed_that_was_probed);
	tcase_add_test(tcase, names_are_what_they_are);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
