/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Failures on demand: the n-th frame, slab, table or area that a call of the seed asks for fails,
 * for every n until the call asks for fewer (of more than 32, for some). After each failure
 * everything checks out, and every frame but page tables' is where it was.
 */
#include "tests/mm/seed_fixture.h"

#include "mm/process.h"

#define BASE 0x20000000ull

/* What a call needs is made by the machine's fixture before it can fail. */
static u64 reserved, user_area, result;
static struct process *process;
static struct vm_area_struct *vma;

static int call_vmalloc(void)
{
	return vmalloc(mm, 5 * PAGE_SIZE, &result);
}

static int call_vmalloc_large(void)
{
	return vmalloc(mm, 700 * PAGE_SIZE, &result);
}

static int call_vmalloc_node(void)
{
	return vmalloc_node(mm, 5 * PAGE_SIZE, 0, &result);
}

static int call_vmalloc_prot(void)
{
	return vmalloc_prot(mm, 300 * PAGE_SIZE, GFP_KERNEL, PAGE_KERNEL_RO, &result);
}

static int call_vmalloc_prot_node(void)
{
	return vmalloc_prot_node(mm, 3 * PAGE_SIZE, GFP_KERNEL, PAGE_KERNEL, 0, &result);
}

static int call_vmalloc_32(void)
{
	return vmalloc_32(mm, 5 * PAGE_SIZE, &result);
}

static int call_vmalloc_user(void)
{
	return vmalloc_user(mm, 5 * PAGE_SIZE, &result);
}

static int call_vmalloc_32_user(void)
{
	return vmalloc_32_user(mm, PAGE_SIZE, &result);
}

static int call_vmalloc_exec(void)
{
	return vmalloc_exec(mm, 5 * PAGE_SIZE, &result);
}

static int call_get_vm_area(void)
{
	return get_vm_area(mm, PAGE_SIZE, VM_IOREMAP, &result);
}

static int call_get_vm_area_window(void)
{
	return get_vm_area_window(mm, PAGE_SIZE, 0, MODULES_VADDR, MODULES_END, &result);
}

static int call_alloc_vm_area(void)
{
	return alloc_vm_area(mm, 3ull << 20, &result);
}

static int call_map_vm_area(void)
{
	return map_vm_area(mm, reserved, pages, 520, PAGE_KERNEL);
}

static int call_vmap(void)
{
	return vmap(mm, pages, 520, VM_MAP, PAGE_KERNEL, &result);
}

static int call_process_create(void)
{
	struct process *created;

	return process_create(mm, &created);
}

static int call_vma_create(void)
{
	struct vm_area_struct *created;

	return vma_create(mm, process, 2 * BASE, 3 * BASE, VM_READ, &created);
}

static int call_vm_insert_page(void)
{
	return vm_insert_page(mm, vma, BASE, pages[0]);
}

static int call_remap_vmalloc_range(void)
{
	return remap_vmalloc_range(mm, vma, user_area, 0);
}

/* Gone after an error; made again, so that the count of areas is what it was. */
static int call_vmalloc_area(void)
{
	struct fault_injection none = {{0}}, fault = mm->fault;
	u64 area;
	int err;

	mm->fault = none;
	ck_assert_int_eq(get_vm_area(mm, 520 * PAGE_SIZE, 0, &area), 0);
	mm->fault = fault;
	err = vmalloc_area(mm, area, GFP_KERNEL, PAGE_KERNEL);
	ck_assert_ptr_eq(err ? find_vm_area(mm, area) : NULL, NULL);
	return err;
}

#define CALL(name, kinds)                 \
	{                                 \
#name, call_##name, kinds \
	}
#define F (1u << FAULT_FRAME)
#define S (1u << FAULT_SLAB)
#define T (1u << FAULT_TABLE)
#define A (1u << FAULT_AREA)

/* Each call, and the kinds of failure that it must be able to meet on a fresh machine. */
static const struct {
	const char *name;
	int (*call)(void);
	u32 kinds;
} calls[] = {
	CALL(vmalloc, F | S | A),
	CALL(vmalloc_large, F | S | T | A),
	CALL(vmalloc_node, F | S | A),
	CALL(vmalloc_prot, F | S | A),
	CALL(vmalloc_prot_node, F | S | A),
	CALL(vmalloc_32, F | S | A),
	CALL(vmalloc_user, F | S | A),
	CALL(vmalloc_32_user, F | S | A),
	CALL(vmalloc_exec, F | S | A),
	CALL(vmalloc_area, F | S | T | A),
	CALL(get_vm_area, S | A),
	CALL(get_vm_area_window, S | A),
	CALL(alloc_vm_area, F | S | T | A),
	CALL(map_vm_area, F | T),
	CALL(vmap, F | S | T | A),
	CALL(process_create, F | S | T),
	CALL(vma_create, S),
	CALL(vm_insert_page, F | T),
	CALL(remap_vmalloc_range, F | T),
};

static void make_what_calls_need(void)
{
	take_pages(520);
	reserved = must_get(520 * PAGE_SIZE, VM_MAP);
	ck_assert_int_eq(vmalloc_user(mm, 520 * PAGE_SIZE, &user_area), 0);
	ck_assert_int_eq(process_create(mm, &process), 0);
	ck_assert_int_eq(
		vma_create(mm, process, BASE, BASE + 520 * PAGE_SIZE, VM_READ | VM_WRITE, &vma), 0);
}

/* One assertion for all of them: Check makes a system call of each. */
static u32 pages_held_once(void)
{
	u32 held = 0;

	for (u32 i = 0; i < 520; i++)
		held += pages[i]->refcount == 1;
	return held;
}

/* Every n up to this one, then an eighth further each time; NESTBOX_EVERY_FAULT leaves none out. */
#define EVERY_UP_TO 32u

static u32 next_nth(u32 nth)
{
	return nth < EVERY_UP_TO || getenv("NESTBOX_EVERY_FAULT") ? nth + 1 : nth + nth / 8;
}

/* What must be the same after a failure as before it. */
struct held {
	u64 frames, objects, busy, processes, user_pages;
};

static struct held held_now(void)
{
	return (struct held){core_frames_in_use(sim), core_objects_in_use(sim), mm->vmap.nr_busy,
			     mm->processes.nr, process->nr_user_pages};
}

static void check_failure(u32 call, enum fault_kind kind, u32 nth, int err, struct held before)
{
	struct held after = held_now();

	ck_assert_msg(err == (kind == FAULT_AREA ? -ENOSPC : -ENOMEM), "%s: %d at %u",
		      calls[call].name, err, nth);
	ck_assert_uint_eq(after.busy, before.busy);
	ck_assert_uint_eq(after.processes, before.processes);
	ck_assert_uint_eq(after.user_pages, before.user_pages);
	ck_assert_msg(after.frames == before.frames, "%s: frames lost at %u", calls[call].name,
		      nth);
	ck_assert_msg(after.objects == before.objects, "%s: objects lost at %u", calls[call].name,
		      nth);
	ck_assert_uint_eq(pages_held_once(), 520);
	/* What failed can be done afterwards. */
	err = calls[call].call();
	ck_assert_msg(err == 0, "%s: %d after a failure", calls[call].name, err);
}

/* On a fresh machine the @nth request fails. Returns how many requests @nth was beyond the last. */
static u32 fail_at(u32 call, enum fault_kind kind, u32 nth, u32 *nr_failures)
{
	struct held before;
	u32 left;
	int err;

	teardown();
	setup();
	make_what_calls_need();
	before = held_now();
	mm->fault.fail[kind] = nth;
	err = calls[call].call();
	left = mm->fault.fail[kind];
	mm->fault.fail[kind] = 0;
	ck_assert_ptr_null(core_check(sim));
	if (err) { /* or the call had another way, as slabs of other nodes are */
		ck_assert_uint_eq(left, 0);
		++*nr_failures;
		check_failure(call, kind, nth, err, before);
	}
	return left;
}

START_TEST(any_allocation_may_fail_and_nothing_is_left_behind)
{
	const u32 call = (u32)_i / NR_FAULTS;
	const enum fault_kind kind = (enum fault_kind)(_i % NR_FAULTS);
	u32 nr_failures = 0, nth, last = 0, left;

	for (nth = 1; !(left = fail_at(call, kind, nth, &nr_failures)); nth = next_nth(nth))
		last = nth;
	/* The last request of all fails too. */
	if (nth - left > last)
		ck_assert_uint_eq(fail_at(call, kind, nth - left, &nr_failures), 0);
	ck_assert_msg(!(calls[call].kinds >> kind & 1) == !nr_failures, "%s: kind %d, %u failures",
		      calls[call].name, (int)kind, nr_failures);
}
END_TEST

static Suite *seed_faults_suite(void)
{
	Suite *suite = suite_create("seed_faults");
	TCase *tcase = tcase_create("seed_faults");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 300);
	tcase_add_loop_test(tcase, any_allocation_may_fail_and_nothing_is_left_behind, 0,
			    (int)ARRAY_SIZE(calls) * NR_FAULTS);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(seed_faults_suite());
}
