/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes in a real guest: what they show and for how long, what is refused, what they see of the
 * kernel. The auditor looks after every call.
 */
#include "tests/machine/process_machine.h"

#define WORDS_PER_PAGE (PAGE_SIZE / 8)

/* Where each process has nothing by itself; a new 512 GiB of the kernel's half. */
#define FAR_AWAY (VMALLOC_START + (3ull << 39))

static uint64_t word_at(struct process_machine *m, uint64_t gva)
{
	uint64_t word;

	ck_assert_int_eq(guest_read(m->guest, gva_make(gva), &word, sizeof(word)), 0);
	return word;
}

static void set_word(struct process_machine *m, uint64_t gva, uint64_t word)
{
	ck_assert_int_eq(guest_write(m->guest, gva_make(gva), &word, sizeof(word)), 0);
}

static uint64_t free_frames(struct process_machine *m)
{
	return must(m, NB_OP_STATS);
}

/* ---- what is shared ---- */

START_TEST(what_cpl3_writes_the_host_reads)
{
	struct process_machine m;
	uint64_t area, process;

	start_machine(&m, 1);
	area = allocate_user(&m, 3);
	process = process_with_range(&m, 3, VM_READ | VM_WRITE);
	must(&m, NB_OP_REMAP_VMALLOC_RANGE, process, USER_BASE, area, 0);
	ck_assert_uint_eq(must(&m, NB_OP_USER_RUN, process, NB_USER_WRITE, USER_BASE,
			       3 * WORDS_PER_PAGE, 0x1000),
			  3 * WORDS_PER_PAGE);
	for (uint64_t i = 0; i < 3 * WORDS_PER_PAGE; i++) {
		uint64_t word;

		ck_assert(inspect_u64(m.inspector, area + 8 * i, &word));
		ck_assert_uint_eq(word, 0x1000 + i);
		ck_assert_uint_eq(word_at(&m, area + 8 * i), 0x1000 + i);
	}
	/* At CPL 0, by either address. */
	ck_assert_uint_eq(must(&m, NB_OP_PROBE, 0, area + 8 * 700), 0x1000 + 700);
	ck_assert_uint_eq(must(&m, NB_OP_PROBE, process, USER_BASE + 8 * 700), 0x1000 + 700);
	must(&m, NB_OP_PROCESS_DESTROY, process);
	must(&m, NB_OP_VFREE, area);
	stop_machine(&m);
}
END_TEST

START_TEST(what_the_host_writes_cpl3_reads)
{
	struct process_machine m;
	uint64_t area, process;

	start_machine(&m, 1);
	area = allocate_user(&m, 2);
	process = process_with_range(&m, 1, VM_READ);
	must(&m, NB_OP_REMAP_VMALLOC_RANGE, process, USER_BASE, area, 1);
	set_word(&m, area, 1000000); /* the page before what is shown */
	set_word(&m, area + PAGE_SIZE, 30);
	set_word(&m, area + 2 * PAGE_SIZE - 8, 7);
	ck_assert_uint_eq(
		must(&m, NB_OP_USER_RUN, process, NB_USER_READ, USER_BASE, WORDS_PER_PAGE), 37);
	ck_assert_uint_eq(must(&m, NB_OP_USER_RUN, process, NB_USER_READ, USER_BASE, 0), 0);
	ck_assert_uint_eq(must(&m, NB_OP_USER_RUN, process, NB_USER_READ, USER_BASE, 1), 30);
	stop_machine(&m);
}
END_TEST

START_TEST(two_processes_share_an_area)
{
	struct process_machine m;
	uint64_t area, writer, reader;

	start_machine(&m, 1);
	area = allocate_user(&m, 4);
	writer = process_with_range(&m, 4, VM_READ | VM_WRITE);
	reader = must(&m, NB_OP_PROCESS_CREATE);
	ck_assert_uint_ne(writer, reader);
	must(&m, NB_OP_VMA_CREATE, reader, 1ull << 46, (1ull << 46) + 2 * PAGE_SIZE, VM_READ);
	must(&m, NB_OP_REMAP_VMALLOC_RANGE, writer, USER_BASE, area, 0);
	must(&m, NB_OP_REMAP_VMALLOC_RANGE, reader, 1ull << 46, area, 2);
	for (uint64_t value = 5; value < 8; value++) {
		must(&m, NB_OP_USER_RUN, writer, NB_USER_WRITE, USER_BASE + 2 * PAGE_SIZE, 2,
		     value);
		ck_assert_uint_eq(must(&m, NB_OP_USER_RUN, reader, NB_USER_READ, 1ull << 46, 2),
				  2 * value + 1);
	}
	/* What one has at an address, the other has not. */
	refuse(&m, -EFAULT, NB_OP_PROBE, reader, USER_BASE);
	refuse(&m, -EFAULT, NB_OP_PROBE, writer, 1ull << 46);
	must(&m, NB_OP_PROCESS_DESTROY, writer);
	ck_assert_uint_eq(must(&m, NB_OP_USER_RUN, reader, NB_USER_READ, 1ull << 46, 1), 7);
	stop_machine(&m);
}
END_TEST

START_TEST(frames_stay_until_the_range_goes)
{
	struct process_machine m;
	uint64_t area, process, before, after;

	start_machine(&m, 1);
	area = allocate_user(&m, 40);
	process = process_with_range(&m, 30, VM_READ | VM_WRITE);
	must(&m, NB_OP_REMAP_VMALLOC_RANGE, process, USER_BASE, area, 10);
	set_word(&m, area + 10 * PAGE_SIZE, 4711);
	before = free_frames(&m);
	must(&m, NB_OP_VFREE, area);
	must(&m, NB_OP_PURGE);
	after = free_frames(&m);
	ck_assert_uint_ge(after - before, 10);
	ck_assert_uint_lt(after - before, 20);
	/* Nothing that is allocated now gets a frame the process shows. */
	ck_assert_uint_eq(allocate(&m, 60, VMALLOC_START, 0), area);
	ck_assert_uint_eq(must(&m, NB_OP_USER_RUN, process, NB_USER_READ, USER_BASE, 1), 4711);
	must(&m, NB_OP_USER_RUN, process, NB_USER_WRITE, USER_BASE, 30 * WORDS_PER_PAGE, 99);
	for (uint64_t i = 0; i < 60; i++)
		ck_assert_uint_eq(word_at(&m, area + i * PAGE_SIZE), 0);
	before = free_frames(&m);
	must(&m, NB_OP_VMA_DESTROY, process, USER_BASE);
	after = free_frames(&m);
	ck_assert_uint_ge(after - before, 30);
	ck_assert_uint_lt(after - before, 40);
	refuse(&m, -EFAULT, NB_OP_PROBE, process, USER_BASE);
	stop_machine(&m);
}
END_TEST

START_TEST(a_destroyed_process_leaves_nothing)
{
	struct process_machine m;
	uint64_t area, before, process;

	start_machine(&m, 1);
	area = allocate_user(&m, 8);
	/* What stays: the slabs. */
	process = process_with_range(&m, 8, VM_READ);
	must(&m, NB_OP_PROCESS_DESTROY, process);
	before = free_frames(&m);
	for (int i = 0; i < 3; i++) {
		process = process_with_range(&m, 8, VM_READ);
		must(&m, NB_OP_REMAP_VMALLOC_RANGE, process, USER_BASE, area, 0);
		must(&m, NB_OP_USER_RUN, process, NB_USER_READ, USER_BASE, 8 * WORDS_PER_PAGE);
		ck_assert_uint_lt(free_frames(&m), before);
		must(&m, NB_OP_PROCESS_DESTROY, process);
		refuse(&m, -ESRCH, NB_OP_PROCESS_DESTROY, process);
		ck_assert_uint_eq(free_frames(&m), before);
	}
	stop_machine(&m);
}
END_TEST

START_TEST(frames_of_areas_are_inserted_one_by_one)
{
	struct process_machine m;
	uint64_t area, process, frame;

	start_machine(&m, 1);
	area = allocate(&m, 2, VMALLOC_START, 0);
	frame = must(&m, NB_OP_VMALLOC_TO_PAGE, area + PAGE_SIZE);
	process = process_with_range(&m, 3, VM_READ | VM_WRITE);
	must(&m, NB_OP_VM_INSERT_PAGE, process, USER_BASE, frame);
	must(&m, NB_OP_VM_INSERT_PAGE, process, USER_BASE + 2 * PAGE_SIZE, frame);
	refuse(&m, -EBUSY, NB_OP_VM_INSERT_PAGE, process, USER_BASE, frame);
	refuse(&m, -EINVAL, NB_OP_VM_INSERT_PAGE, process, USER_BASE + PAGE_SIZE, 0);
	refuse(&m, -EINVAL, NB_OP_VM_INSERT_PAGE, process, USER_BASE + PAGE_SIZE,
	       guest_boot(m.guest)->root.value >> PAGE_SHIFT); /* boot memory */
	refuse(&m, -EINVAL, NB_OP_VM_INSERT_PAGE, process, USER_BASE + PAGE_SIZE, 1ull << 27);
	refuse(&m, -EINVAL, NB_OP_VM_INSERT_PAGE, process, USER_BASE + PAGE_SIZE, ~0ull);
	refuse(&m, -EINVAL, NB_OP_VM_INSERT_PAGE, process, USER_BASE + PAGE_SIZE,
	       frame | 1ull << 52);
	refuse(&m, -EFAULT, NB_OP_VM_INSERT_PAGE, process, USER_BASE + PAGE_SIZE + 8, frame);
	refuse(&m, -ENOENT, NB_OP_VM_INSERT_PAGE, process, USER_BASE + 3 * PAGE_SIZE, frame);
	must(&m, NB_OP_USER_RUN, process, NB_USER_WRITE, USER_BASE + 2 * PAGE_SIZE, 4, 10);
	ck_assert_uint_eq(must(&m, NB_OP_USER_RUN, process, NB_USER_READ, USER_BASE, 4), 46);
	ck_assert_uint_eq(word_at(&m, area + PAGE_SIZE + 8), 11);
	ck_assert_uint_eq(word_at(&m, area + 8), 0);
	must(&m, NB_OP_VFREE, area);
	ck_assert_uint_eq(must(&m, NB_OP_PROBE, process, USER_BASE + 24), 13);
	/* It is nobody's now but the process's. */
	refuse(&m, -EINVAL, NB_OP_VM_INSERT_PAGE, process, USER_BASE + PAGE_SIZE, frame);
	stop_machine(&m);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(areas_are_shown_only_as_far_as_they_go)
{
	static const uint64_t offsets[] = {3,
					   4,
					   5,
					   1ull << 51,
					   1ull << 52,
					   (1ull << 52) - 1,
					   (1ull << 52) - 2,
					   ~0ull,
					   ~0ull - 1,
					   1ull << 63};
	struct process_machine m;
	uint64_t before, area, after, hidden, process;

	start_machine(&m, 1);
	before = allocate_user(&m, 4);
	area = allocate_user(&m, 4);
	after = allocate_user(&m, 4);
	hidden = allocate(&m, 4, VMALLOC_START, 0);
	ck_assert(before < area && area < after && after < hidden);
	process = process_with_range(&m, 2, VM_READ);
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++)
		refuse(&m, -EINVAL, NB_OP_REMAP_VMALLOC_RANGE, process, USER_BASE, area,
		       offsets[i]);
	refuse(&m, -EINVAL, NB_OP_REMAP_VMALLOC_RANGE, process, USER_BASE, hidden, 0);
	refuse(&m, -EINVAL, NB_OP_REMAP_VMALLOC_RANGE, process, USER_BASE, area + PAGE_SIZE, 0);
	refuse(&m, -EINVAL, NB_OP_REMAP_VMALLOC_RANGE, process, USER_BASE, area + 1, 0);
	refuse(&m, -EINVAL, NB_OP_REMAP_VMALLOC_RANGE, process, USER_BASE, 0, 0);
	refuse(&m, -EINVAL, NB_OP_REMAP_VMALLOC_RANGE, process, USER_BASE, NB_IMAGE_BASE, 0);
	refuse(&m, -EINVAL, NB_OP_REMAP_VMALLOC_RANGE, process, USER_BASE, 1ull << 47, 0);
	refuse(&m, -EFAULT, NB_OP_PROBE, process, USER_BASE);
	must(&m, NB_OP_REMAP_VMALLOC_RANGE, process, USER_BASE, area, 2);
	refuse(&m, -EBUSY, NB_OP_REMAP_VMALLOC_RANGE, process, USER_BASE, area, 2);
	set_word(&m, area + 3 * PAGE_SIZE, 5);
	ck_assert_uint_eq(must(&m, NB_OP_PROBE, process, USER_BASE + PAGE_SIZE), 5);
	stop_machine(&m);
}
END_TEST

START_TEST(senseless_arguments_change_nothing)
{
	struct process_machine m;
	uint64_t area, process, frame;

	start_machine(&m, 1);
	area = allocate_user(&m, 1);
	frame = must(&m, NB_OP_VMALLOC_TO_PAGE, area);
	process = process_with_range(&m, 2, VM_READ);
	for (int i = 0; i < 4; i++) {
		const uint64_t nobody[] = {0, process + 1, process | 1ull << 32, ~0ull};

		refuse(&m, -ESRCH, NB_OP_PROCESS_DESTROY, nobody[i]);
		refuse(&m, -ESRCH, NB_OP_VMA_CREATE, nobody[i], PAGE_SIZE, 2 * PAGE_SIZE, VM_READ);
		refuse(&m, -ESRCH, NB_OP_VMA_DESTROY, nobody[i], USER_BASE);
		refuse(&m, -ESRCH, NB_OP_VM_INSERT_PAGE, nobody[i], USER_BASE, frame);
		refuse(&m, -ESRCH, NB_OP_REMAP_VMALLOC_RANGE, nobody[i], USER_BASE, area, 0);
		refuse(&m, -ESRCH, NB_OP_USER_RUN, nobody[i], NB_USER_SPIN);
		if (nobody[i])
			refuse(&m, -ESRCH, NB_OP_PROBE, nobody[i], USER_BASE);
	}
	refuse(&m, -EINVAL, NB_OP_PROCESS_CREATE, 1);
	refuse(&m, -EINVAL, NB_OP_VMALLOC_SYNC_ALL, 1);
	/* Flags that only the core may set, and accesses there are not. */
	refuse(&m, -EINVAL, NB_OP_VMA_CREATE, process, PAGE_SIZE, 2 * PAGE_SIZE,
	       VM_READ | VM_PFNMAP);
	refuse(&m, -EINVAL, NB_OP_VMA_CREATE, process, PAGE_SIZE, 2 * PAGE_SIZE,
	       VM_READ | VM_MIXEDMAP);
	refuse(&m, -EINVAL, NB_OP_VMA_CREATE, process, PAGE_SIZE, 2 * PAGE_SIZE,
	       VM_READ | VM_DONTEXPAND);
	refuse(&m, -EINVAL, NB_OP_VMA_CREATE, process, PAGE_SIZE, 2 * PAGE_SIZE,
	       VM_WRITE | VM_EXEC);
	refuse(&m, -EINVAL, NB_OP_VMA_CREATE, process, PAGE_SIZE, 2 * PAGE_SIZE, 1ull << 32);
	refuse(&m, -EINVAL, NB_OP_VMA_CREATE, process, 0, PAGE_SIZE, VM_READ);
	refuse(&m, -EINVAL, NB_OP_VMA_CREATE, process, NB_DIRECT_BASE, NB_DIRECT_BASE + PAGE_SIZE,
	       VM_READ);
	refuse(&m, -EINVAL, NB_OP_VMA_CREATE, process, ~0ull << 12, 0, VM_READ);
	refuse(&m, -EBUSY, NB_OP_VMA_CREATE, process, USER_BASE - PAGE_SIZE, USER_BASE + PAGE_SIZE,
	       VM_READ);
	/* The page of programs is no range of the host's. */
	refuse(&m, -EBUSY, NB_OP_VMA_CREATE, process, NB_USER_CODE, NB_USER_CODE + PAGE_SIZE,
	       VM_READ);
	refuse(&m, -ENOENT, NB_OP_VMA_DESTROY, process, NB_USER_CODE);
	refuse(&m, -ENOENT, NB_OP_VM_INSERT_PAGE, process, NB_USER_CODE, frame);
	refuse(&m, -ENOENT, NB_OP_REMAP_VMALLOC_RANGE, process, NB_USER_CODE, area, 0);
	refuse(&m, -ENOENT, NB_OP_VMA_DESTROY, process, USER_BASE + PAGE_SIZE);
	refuse(&m, -ENOENT, NB_OP_REMAP_VMALLOC_RANGE, process, USER_BASE + PAGE_SIZE, area, 0);
	refuse(&m, -EINVAL, NB_OP_USER_RUN, process, NB_USER_SPIN + 1);
	refuse(&m, -EINVAL, NB_OP_USER_RUN, process, 1ull << 32);
	refuse(&m, -EINVAL, NB_OP_USER_RUN, process, NB_USER_READ, USER_BASE, 1, 1);
	refuse(&m, -EINVAL, NB_OP_USER_RUN, process, NB_USER_JUMP, USER_BASE, 1);
	refuse(&m, -EINVAL, NB_OP_USER_RUN, process, NB_USER_SPIN, 1);
	refuse(&m, -EINVAL, NB_OP_PROBE, 0, area + PAGE_SIZE - 7);
	must(&m, NB_OP_REMAP_VMALLOC_RANGE, process_with_range(&m, 1, VM_READ), USER_BASE, area, 0);
	stop_machine(&m);
}
END_TEST

/* ---- the kernel's half ---- */

START_TEST(a_new_mapping_is_seen_after_the_sync)
{
	struct process_machine m;
	uint64_t process[3], area, late;

	start_machine(&m, 1);
	for (int i = 0; i < 3; i++)
		process[i] = must(&m, NB_OP_PROCESS_CREATE);
	area = allocate(&m, 1, FAR_AWAY, 0);
	ck_assert_uint_eq(area, FAR_AWAY);
	set_word(&m, area, 0x5eed);
	/* The processes first: the kernel's load would leave a global translation behind. */
	for (int i = 0; i < 3; i++)
		refuse(&m, -EFAULT, NB_OP_PROBE, process[i], area);
	late = must(&m, NB_OP_PROCESS_CREATE);
	ck_assert_uint_eq(must(&m, NB_OP_PROBE, late, area), 0x5eed);
	must(&m, NB_OP_VMALLOC_SYNC_ALL);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(must(&m, NB_OP_PROBE, process[i], area), 0x5eed);
	ck_assert_uint_eq(must(&m, NB_OP_PROBE, 0, area), 0x5eed);
	/* Under an entry that is there, nothing needs to be done. */
	area = allocate(&m, 1, FAR_AWAY + (1ull << 30), 0);
	set_word(&m, area, 6);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(must(&m, NB_OP_PROBE, process[i], area), 6);
	/* And what is unmapped is gone for all. */
	must(&m, NB_OP_VFREE, area);
	must(&m, NB_OP_PURGE);
	for (int i = 0; i < 3; i++)
		refuse(&m, -EFAULT, NB_OP_PROBE, process[i], area);
	refuse(&m, -EFAULT, NB_OP_PROBE, 0, area);
	stop_machine(&m);
}
END_TEST

START_TEST(a_probe_that_faults_is_answered)
{
	static const uint64_t nowhere[] = {
		0,         USER_BASE,         1ull << 47,    1ull << 63,
		~0ull - 7, VMALLOC_START - 8, NB_IMAGE_BASE, 0xdeadull << 48};
	struct process_machine m;
	uint64_t area;

	start_machine(&m, 1);
	area = allocate(&m, 1, VMALLOC_START, 0);
	for (size_t i = 0; i < ARRAY_SIZE(nowhere); i++)
		refuse(&m, -EFAULT, NB_OP_PROBE, 0, nowhere[i]);
	refuse(&m, -EFAULT, NB_OP_PROBE, 0, area + PAGE_SIZE);
	ck_assert_uint_eq(must(&m, NB_OP_PROBE, 0, area), 0);
	ck_assert_uint_eq(guest_warning_count(m.guest), 0);
	stop_machine(&m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("machine_process");
	TCase *tests = tcase_create("process");
	int status = harness_need_kvm();

	if (status)
		return status;
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, what_cpl3_writes_the_host_reads);
	tcase_add_test(tests, what_the_host_writes_cpl3_reads);
	tcase_add_test(tests, two_processes_share_an_area);
	tcase_add_test(tests, frames_stay_until_the_range_goes);
	tcase_add_test(tests, a_destroyed_process_leaves_nothing);
	tcase_add_test(tests, frames_of_areas_are_inserted_one_by_one);
	tcase_add_test(tests, areas_are_shown_only_as_far_as_they_go);
	tcase_add_test(tests, senseless_arguments_change_nothing);
	tcase_add_test(tests, a_new_mapping_is_seen_after_the_sync);
	tcase_add_test(tests, a_probe_that_faults_is_answered);
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
