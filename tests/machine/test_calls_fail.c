/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seed's calls on a real guest where they cannot succeed: from an interrupt, and with each of
 * their allocations failing in turn. The guest lives on, and from outside it looks as if the call
 * had not been made.
 */
#include "tests/machine/calls_machine.h"

#define PAGES(n) ((n)*4096ull)

/* What the calls below are made on. */
static uint64_t framed, reserved, mapped, *pfns;

#define PROCESS 1

static void make_objects(void)
{
	/* Small, because all of it is looked at again and again. */
	calls_start_with(24ull << 20, 1);
	pfns = take_frames(4, 0);
	take_frames(2, 32); /* for VM_MAP_PUT_PAGES */
	framed = GOOD(NB_OP_VMALLOC_CALL, NB_VMALLOC_USER, PAGES(4));
	reserved = GOOD(NB_OP_GET_VM_AREA_WINDOW, PAGES(4), 0, 0, 0);
	mapped = GOOD(NB_OP_VMAP, 2, VM_MAP, PAGE_KERNEL, 0);
	ck_assert_uint_eq(GOOD(NB_OP_PROCESS_CREATE, 0), PROCESS);
}

/* ---- from an interrupt ---- */

/* Where an address goes, @of says which. */
enum of { NONE, FRAMED, RESERVED, MAPPED, FRAME };

static const struct {
	uint16_t opcode;
	enum of of;
	uint64_t arg[9];
	const char *name; /* as it must be reported */
} refused[] = {
	{NB_OP_VMALLOC_CALL, NONE, {NB_VMALLOC, 4096}, "vmalloc"},
	{NB_OP_VMALLOC_CALL, NONE, {NB_VMALLOC_USER, 4096}, "vmalloc_user"},
	{NB_OP_VMALLOC_CALL, NONE, {NB_VMALLOC_NODE, 4096}, "vmalloc_node"},
	{NB_OP_VMALLOC_CALL, NONE, {NB_VMALLOC_EXEC, 4096}, "vmalloc_exec"},
	{NB_OP_VMALLOC_CALL, NONE, {NB_VMALLOC_32, 4096}, "vmalloc_32"},
	{NB_OP_VMALLOC_CALL, NONE, {NB_VMALLOC_32_USER, 4096}, "vmalloc_32_user"},
	{NB_OP_VMALLOC_CALL,
	 NONE,
	 {NB_VMALLOC_PROT, 4096, GFP_KERNEL, PAGE_KERNEL},
	 "vmalloc_prot"},
	{NB_OP_VMALLOC_CALL,
	 NONE,
	 {NB_VMALLOC_PROT_NODE, 4096, GFP_KERNEL, PAGE_KERNEL},
	 "vmalloc_prot_node"},
	{NB_OP_VMALLOC,
	 NONE,
	 {4096, 1, NB_VMALLOC_START, NB_VMALLOC_END, GFP_KERNEL, PAGE_KERNEL},
	 "vmalloc_node_range"},
	{NB_OP_GET_VM_AREA,
	 NONE,
	 {4096, 1, NB_VMALLOC_START, NB_VMALLOC_END, GFP_KERNEL},
	 "get_vm_area_node"},
	{NB_OP_GET_VM_AREA_WINDOW, NONE, {4096}, "get_vm_area"},
	{NB_OP_GET_VM_AREA_WINDOW,
	 NONE,
	 {4096, 0, NB_VMALLOC_START, NB_VMALLOC_END},
	 "get_vm_area_window"},
	{NB_OP_VMALLOC_AREA, RESERVED, {0, GFP_KERNEL, PAGE_KERNEL}, "vmalloc_area_node"},
	{NB_OP_VFREE, FRAMED, {0}, "vfree"},
	{NB_OP_FREE_VM_AREA, RESERVED, {0}, "free_vm_area"},
	{NB_OP_FIND_VM_AREA, FRAMED, {0}, "find_vm_area"},
	{NB_OP_REMOVE_VM_AREA, FRAMED, {0}, "remove_vm_area"},
	{NB_OP_ALLOC_VM_AREA, NONE, {4096}, "alloc_vm_area"},
	{NB_OP_MAP_VM_AREA, RESERVED, {0, 4, PAGE_KERNEL}, "map_vm_area"},
	{NB_OP_UNMAP_KERNEL_RANGE, MAPPED, {0, 4096}, "unmap_kernel_range"},
	{NB_OP_UNMAP_VM_AREA, MAPPED, {0}, "unmap_vm_area"},
	{NB_OP_VMAP, NONE, {2, VM_MAP, PAGE_KERNEL}, "vmap"},
	{NB_OP_VUNMAP, MAPPED, {0}, "vunmap"},
	{NB_OP_VREAD, FRAMED, {0, 64}, "vread"},
	{NB_OP_VWRITE, FRAMED, {0, 64}, "vwrite"},
	{NB_OP_PURGE, NONE, {0}, "vmap_purge"},
	{NB_OP_SET_MODE, NONE, {1}, "vmap_set_mode"},
	{NB_OP_ALLOC_PAGES, NONE, {0, GFP_KERNEL}, "alloc_pages"},
	{NB_OP_FREE_PAGES, FRAME, {0}, "free_pages"},
	{NB_OP_KMALLOC, NONE, {16, GFP_KERNEL}, "kmalloc"},
	{NB_OP_KFREE, FRAMED, {0}, "kfree"},
	{NB_OP_PROCESS_CREATE, NONE, {0}, "process_create"},
	{NB_OP_PROCESS_DESTROY, NONE, {PROCESS}, "process_claim"},
	{NB_OP_VMA_CREATE, NONE, {PROCESS, 0x10000, 0x12000, 1}, "process_claim"},
	{NB_OP_VMALLOC_SYNC_ALL, NONE, {0}, "vmalloc_sync_all"},
};
#define NR_REFUSED (sizeof(refused) / sizeof(refused[0]))

static int64_t call_in_interrupt(size_t i)
{
	const uint64_t address[] = {0, framed, reserved, mapped, pfns[0]};
	uint64_t arg[9];
	int64_t status;

	memcpy(arg, refused[i].arg, sizeof(arg));
	if (refused[i].of != NONE)
		arg[0] = address[refused[i].of];
	m.flags = NB_SQE_IN_INTERRUPT;
	status = quiet_call(refused[i].opcode, arg, 9);
	m.flags = 0;
	return status;
}

START_TEST(a_call_from_an_interrupt_is_refused_by_its_name)
{
	uint64_t left = frames_left(), busy = busy_areas();

	for (size_t i = 0; i < NR_REFUSED; i++) {
		unsigned int warnings = m.warnings;
		char text[64];

		snprintf(text, sizeof(text), ": %s() from an interrupt", refused[i].name);
		ck_assert_msg(call_in_interrupt(i) == -EPERM, "%s", refused[i].name);
		ck_assert_msg(m.warnings == warnings + 1, "%s: not reported", refused[i].name);
		ck_assert_msg(strstr(m.warning, text), "%s: %s", refused[i].name, m.warning);
		audited(refused[i].name);
	}
	ck_assert_uint_eq(frames_left(), left);
	ck_assert_uint_eq(busy_areas(), busy);
	/* All of it is as it was, and can be used. */
	GOOD(NB_OP_VUNMAP, mapped);
	GOOD(NB_OP_FREE_VM_AREA, reserved);
	GOOD(NB_OP_VFREE, framed);
	give_frames(4, pfns);
}
END_TEST

START_TEST(an_interrupt_is_no_reason_to_refuse_the_rest)
{
	m.flags = NB_SQE_IN_INTERRUPT;
	ck_assert_uint_eq(GOOD(NB_OP_NOP, 4711), 4711);
	GOOD(NB_OP_STATS, 0);
	ck_assert_uint_eq(m.result[1], 3);
	ck_assert_uint_ne(GOOD(NB_OP_VMALLOC_TO_PAGE, framed), 0);
	BAD(ENOSYS, 0x7777, 0);
	BAD(EINVAL, NB_OP_NOP, 1, 2);
	BAD(EINVAL, NB_OP_SET_MODE, 3);
	BAD(EINVAL, NB_OP_USER_RUN, PROCESS, NB_USER_SPIN);
	ck_assert_uint_eq(m.warnings, 0);
	GOOD(NB_OP_TEST_WARN, 0);
	ck_assert_uint_eq(m.warnings, 1);
	m.flags = 0;
	GOOD(NB_OP_VFREE, framed);
	ck_assert_uint_eq(m.warnings, 1);
}
END_TEST

/* ---- messages ---- */

START_TEST(a_flood_of_lines_is_held_back_and_counted)
{
	unsigned int lines;

	ck_assert_int_eq(QUIET(NB_OP_TEST_LOG, 0, 50000), 0);
	lines = m.lines;
	GOOD(NB_OP_TEST_LOG, 300, 0);
	ck_assert_uint_eq(m.lines - lines, 10);
	ck_assert_str_eq(m.line, "asked to say line 10 of 300");
	GOOD(NB_OP_TEST_LOG, 1, 5500);
	ck_assert_uint_eq(m.lines - lines, 12);
	ck_assert_str_eq(m.line_before, "printk: 290 messages suppressed.");
	ck_assert_str_eq(m.line, "asked to say line 1 of 1");
	BAD(EINVAL, NB_OP_TEST_LOG, 10001, 0);
	BAD(EINVAL, NB_OP_TEST_LOG, 1, ~0ull);
}
END_TEST

START_TEST(a_hosts_mistakes_are_all_said)
{
	unsigned int warnings = m.warnings;

	for (int i = 0; i < 30; i++)
		ck_assert_int_eq(QUIET(NB_OP_VFREE, framed + 1), -EINVAL);
	ck_assert_uint_eq(m.warnings - warnings, 30);
	ck_assert_ptr_nonnull(strstr(m.warning, "vfree() of a bad address"));
	ck_assert_ptr_nonnull(strstr(m.line, "Trying to vfree() bad address"));
	/* The rate comes from the host's KVM. */
	ck_assert_uint_ne(guest_boot(m.guest)->info.tsc_khz, 0);
}
END_TEST

/* ---- failing allocations ---- */

enum { NR_KINDS = NB_FAULT_AREA + 1 };
static const char *const kind_names[NR_KINDS] = {"frame", "slab", "table", "area"};

/*
 * Before each try an area takes what is left of the GiB of addresses the last one was in, so that
 * the next one needs tables of its own.
 */
static uint64_t nr_eaten;

static void eat_addresses(void)
{
	const uint64_t gib = 1ull << 30, start = NB_VMALLOC_START + nr_eaten * gib;
	/* In the first one is what the fixture made. */
	const uint64_t first = nr_eaten ? start : mapped + PAGES(3);

	nr_eaten++;
	ck_assert_int_eq(QUIET(NB_OP_PURGE, 0), 0);
	ck_assert_int_eq(QUIET(NB_OP_GET_VM_AREA_WINDOW, start + gib - first - PAGES(1), 0, first,
			       start + gib),
			 0);
}

static int64_t undo_vfree(void)
{
	return QUIET(NB_OP_VFREE, m.result[0]);
}

static int64_t undo_free_area(void)
{
	return QUIET(NB_OP_FREE_VM_AREA, m.result[0]);
}

static int64_t undo_vunmap(void)
{
	return QUIET(NB_OP_VUNMAP, m.result[0]);
}

static int64_t undo_put(void)
{
	int64_t status = QUIET(NB_OP_VFREE, m.result[0]);

	take_frames(2, 32);
	return status;
}

static int64_t undo_map(void)
{
	return QUIET(NB_OP_FREE_VM_AREA, reserved);
}

static int64_t undo_filled(void)
{
	return QUIET(NB_OP_VFREE, reserved);
}

static int64_t undo_pages(void)
{
	return QUIET(NB_OP_FREE_PAGES, m.result[0], 0);
}

static int64_t undo_object(void)
{
	return QUIET(NB_OP_KFREE, m.result[0]);
}

static int64_t undo_process(void)
{
	return QUIET(NB_OP_PROCESS_DESTROY, m.result[0]);
}

static int64_t undo_range(void)
{
	return QUIET(NB_OP_VMA_DESTROY, PROCESS, 0x10000);
}

static int64_t undo_removed(void)
{
	return QUIET(NB_OP_REMOVE_VM_AREA, m.result[0]);
}

#define F (1u << NB_FAULT_FRAME)
#define S (1u << NB_FAULT_SLAB)
#define T (1u << NB_FAULT_TABLE)
#define A (1u << NB_FAULT_AREA)

/*
 * Each call, how it is undone, and the kinds of failure that it is to meet. Where an area is made
 * for it first (@needs), it goes with the failure if @loses says so.
 */
static const struct {
	uint16_t opcode;
	uint64_t arg[9];
	int64_t (*undo)(void);
	uint32_t kinds;
	bool needs, loses;
} failing[] = {
	{NB_OP_VMALLOC,
	 {PAGES(3), 1, NB_VMALLOC_START, NB_VMALLOC_END, GFP_KERNEL | __GFP_NOWARN, PAGE_KERNEL, 0,
	  ANY_NODE},
	 undo_vfree,
	 F | S | T | A,
	 false,
	 false},
	{NB_OP_VMALLOC_CALL, {NB_VMALLOC, PAGES(3)}, undo_vfree, F | S | T | A, false, false},
	/* Its 520 frames fail one by one in tests/mm/test_seed_faults.c. */
	{NB_OP_VMALLOC_CALL, {NB_VMALLOC, PAGES(520)}, undo_removed, S | T | A, false, false},
	{NB_OP_VMALLOC_CALL, {NB_VMALLOC_USER, PAGES(1)}, undo_vfree, F | S | T | A, false, false},
	{NB_OP_VMALLOC_CALL,
	 {NB_VMALLOC_NODE, PAGES(2), 0, 0, ANY_NODE},
	 undo_vfree,
	 F | S | T | A,
	 false,
	 false},
	{NB_OP_VMALLOC_CALL, {NB_VMALLOC_EXEC, PAGES(1)}, undo_vfree, F | S | T | A, false, false},
	{NB_OP_VMALLOC_CALL, {NB_VMALLOC_32, PAGES(2)}, undo_vfree, F | S | T | A, false, false},
	{NB_OP_VMALLOC_CALL,
	 {NB_VMALLOC_32_USER, PAGES(1)},
	 undo_vfree,
	 F | S | T | A,
	 false,
	 false},
	{NB_OP_VMALLOC_CALL,
	 {NB_VMALLOC_PROT, PAGES(2), GFP_KERNEL, PAGE_KERNEL_RO},
	 undo_vfree,
	 F | S | T | A,
	 false,
	 false},
	{NB_OP_VMALLOC_CALL,
	 {NB_VMALLOC_PROT_NODE, PAGES(2), GFP_KERNEL, PAGE_KERNEL, 0},
	 undo_vfree,
	 F | S | T | A,
	 false,
	 false},
	{NB_OP_GET_VM_AREA,
	 {PAGES(1), 1, NB_VMALLOC_START, NB_VMALLOC_END, GFP_KERNEL, 0, 0, ANY_NODE},
	 undo_free_area,
	 S | A,
	 false,
	 false},
	{NB_OP_GET_VM_AREA_WINDOW, {PAGES(2)}, undo_free_area, S | A, false, false},
	{NB_OP_ALLOC_VM_AREA, {PAGES(2)}, undo_free_area, F | S | T | A, false, false},
	{NB_OP_VMALLOC_AREA, {0, GFP_KERNEL, PAGE_KERNEL}, undo_filled, F | S | T, true, true},
	{NB_OP_MAP_VM_AREA, {0, 4, PAGE_KERNEL}, undo_map, F | S | T, true, false},
	{NB_OP_VMAP, {4, VM_MAP, PAGE_KERNEL}, undo_vunmap, F | S | T | A, false, false},
	{NB_OP_VMAP, {2, VM_MAP_PUT_PAGES, PAGE_KERNEL, 32}, undo_put, F | S | T | A, false, false},
	{NB_OP_ALLOC_PAGES, {0, GFP_KERNEL, ANY_NODE}, undo_pages, F, false, false},
	{NB_OP_KMALLOC, {64, GFP_KERNEL, ANY_NODE}, undo_object, S, false, false},
	{NB_OP_KMALLOC, {9000, GFP_KERNEL, ANY_NODE}, undo_object, F | S, false, false},
	{NB_OP_PROCESS_CREATE, {0}, undo_process, F | S | T, false, false},
	{NB_OP_VMA_CREATE, {PROCESS, 0x10000, 0x14000, 1}, undo_range, S, false, false},
};

#define NR_FAILING (sizeof(failing) / sizeof(failing[0]))

static int64_t try_failing(size_t i)
{
	uint64_t arg[9];

	memcpy(arg, failing[i].arg, sizeof(arg));
	if (failing[i].needs)
		arg[0] = reserved;
	return quiet_call(failing[i].opcode, arg, 9);
}

/*
 * One try with the @nth allocation of @kind failing; *@failures counts those that failed the call
 * (it may have another way). Returns whether there were as many.
 */
static bool fail_nth(size_t i, uint64_t kind, uint64_t nth, unsigned int *failures)
{
	uint64_t address, unused, busy;
	int64_t status;

	eat_addresses();
	if (failing[i].needs) {
		ck_assert_int_eq(QUIET(NB_OP_GET_VM_AREA_WINDOW, PAGES(4), 0, 0, 0), 0);
		reserved = m.result[0];
	}
	busy = busy_areas();
	ck_assert_int_eq(QUIET(NB_OP_SET_FAULT, kind, nth), 0);
	status = try_failing(i);
	address = m.result[0];
	ck_assert_int_eq(QUIET(NB_OP_SET_FAULT, kind, 0), 0);
	unused = m.result[0];
	m.result[0] = address;
	if (status == 0) {
		ck_assert_int_eq(failing[i].undo(), 0);
		return unused == 0;
	}
	ck_assert_int_eq(status, kind == NB_FAULT_AREA ? -ENOSPC : -ENOMEM);
	ck_assert_uint_eq(unused, 0);
	++*failures;
	ck_assert_uint_eq(busy_areas(), busy - failing[i].loses);
	if (failing[i].needs && !failing[i].loses)
		ck_assert_int_eq(QUIET(NB_OP_FREE_VM_AREA, reserved), 0);
	return true;
}

/* Slab objects in use, and frames that are free, page tables or slabs. */
static void what_is_left(uint64_t *objects, uint64_t *frames)
{
	uint64_t slabs;

	*frames = frames_left();
	*objects = objects_in_use(&slabs);
	*frames += slabs;
}

static void fail_each_kind(size_t i)
{
	for (uint64_t kind = 0; kind < NR_KINDS; kind++) {
		unsigned int failures = 0;

		if (!(failing[i].kinds >> kind & 1))
			continue;
		for (uint64_t nth = 1; fail_nth(i, kind, nth, &failures); nth++)
			audited(kind_names[kind]);
		ck_assert_msg(failures, "call %zu: no failure of kind %s", i, kind_names[kind]);
	}
}

/* A few calls on one guest: to start one takes longer, but so does an audit of many tables. */
#define CALLS_A_GUEST 5

START_TEST(any_allocation_may_fail_and_nothing_is_left_behind)
{
	uint64_t objects, frames, objects_after, frames_after;
	size_t first = (size_t)_i * CALLS_A_GUEST;

	what_is_left(&objects, &frames);
	for (size_t i = first; i < first + CALLS_A_GUEST && i < NR_FAILING; i++)
		fail_each_kind(i);
	audited("all of them");
	what_is_left(&objects_after, &frames_after);
	ck_assert_uint_eq(frames_after, frames);
	/* Each area that eats addresses has its bookkeeping. */
	ck_assert_uint_eq(objects_after, objects + nr_eaten);
}
END_TEST

static Suite *calls_fail_suite(void)
{
	Suite *suite = suite_create("calls_fail");
	TCase *tcase = tcase_create("calls_fail");

	tcase_add_checked_fixture(tcase, make_objects, calls_stop);
	tcase_set_timeout(tcase, 240);
	tcase_add_test(tcase, a_call_from_an_interrupt_is_refused_by_its_name);
	tcase_add_test(tcase, an_interrupt_is_no_reason_to_refuse_the_rest);
	tcase_add_test(tcase, a_flood_of_lines_is_held_back_and_counted);
	tcase_add_test(tcase, a_hosts_mistakes_are_all_said);
	tcase_add_loop_test(tcase, any_allocation_may_fail_and_nothing_is_left_behind, 0,
			    (int)((NR_FAILING + CALLS_A_GUEST - 1) / CALLS_A_GUEST));
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	int status = harness_need_kvm();

	return status ? status : harness_run(calls_fail_suite());
}
