/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls from an interrupt (docs/seed-map.md, D21), and how much the core says of them and of other
 * mistakes.
 */
#include "tests/mm/seed_fixture.h"

#include "mm/process.h"
#include "mm/vaccess.h"

/* What the calls are tried on; none of it may change. */
static u64 framed, reserved, mapped, empty, array;
static struct process *process;
static struct vm_area_struct *vma;
static char bytes[64];

static void make_objects(void)
{
	const struct vmalloc_request large = {.size = 600 * PAGE_SIZE,
					      .align = 1,
					      .start = VMALLOC_START,
					      .end = VMALLOC_END,
					      .prot = PAGE_KERNEL,
					      .flags = VM_USERMAP,
					      .gfp = GFP_KERNEL,
					      .node = NUMA_NO_NODE};

	setup();
	take_pages(4);
	ck_assert_int_eq(vmalloc_node_range(mm, &large, &framed), 0);
	array = (u64)(uintptr_t)find_vm_area(mm, framed)->pages;
	reserved = must_get(4 * PAGE_SIZE, VM_MAP);
	ck_assert_int_eq(map_vm_area(mm, reserved, pages, 4, PAGE_KERNEL), 0);
	empty = must_get(4 * PAGE_SIZE, 0);
	ck_assert_int_eq(vmap(mm, pages, 4, VM_MAP, PAGE_KERNEL, &mapped), 0);
	ck_assert_int_eq(process_create(mm, &process), 0);
	ck_assert_int_eq(vma_create(mm, process, 0x10000, 0x12000, VM_READ, &vma), 0);
	ck_assert_int_eq(vfree(mm, must_vmalloc(PAGE_SIZE)), 0); /* something is lazy */
}

static u64 result;

static s64 call_get_vm_area_node(void)
{
	const struct vmalloc_request request = {.size = PAGE_SIZE,
						.align = 1,
						.start = VMALLOC_START,
						.end = VMALLOC_END,
						.gfp = GFP_KERNEL,
						.node = NUMA_NO_NODE};

	return get_vm_area_node(mm, &request, &result);
}

static s64 call_vmalloc_node_range(void)
{
	const struct vmalloc_request request = {.size = PAGE_SIZE,
						.align = 1,
						.start = VMALLOC_START,
						.end = VMALLOC_END,
						.prot = PAGE_KERNEL,
						.gfp = GFP_KERNEL,
						.node = NUMA_NO_NODE};

	return vmalloc_node_range(mm, &request, &result);
}

static s64 call_remove_vm_area(void)
{
	struct vm_struct *vm;

	return remove_vm_area(mm, framed, &vm);
}

static s64 call_vm_area_copy(void)
{
	struct vm_struct vm;

	return vm_area_copy(mm, framed, &vm);
}

static s64 call_process_create(void)
{
	struct process *made;

	return process_create(mm, &made);
}

static s64 call_vma_create(void)
{
	struct vm_area_struct *made;

	return vma_create(mm, process, 0x20000, 0x21000, VM_READ, &made);
}

static s64 call_process_claim(void)
{
	struct process *claimed;

	return process_claim(mm, process->id, &claimed);
}

/* Those that return no error return nothing. */
#define NOTHING(name, expression)    \
	static s64 call_##name(void) \
	{                            \
		expression;          \
		return -EPERM;       \
	}
#define NUMBER(name, expression)                  \
	static s64 call_##name(void)              \
	{                                         \
		return (expression) ? 0 : -EPERM; \
	}
#define ERROR(name, expression)      \
	static s64 call_##name(void) \
	{                            \
		return (expression); \
	}

ERROR(vmalloc, vmalloc(mm, PAGE_SIZE, &result))
ERROR(vmalloc_node, vmalloc_node(mm, PAGE_SIZE, 0, &result))
ERROR(vmalloc_32, vmalloc_32(mm, PAGE_SIZE, &result))
ERROR(vmalloc_user, vmalloc_user(mm, PAGE_SIZE, &result))
ERROR(vmalloc_32_user, vmalloc_32_user(mm, PAGE_SIZE, &result))
ERROR(vmalloc_exec, vmalloc_exec(mm, PAGE_SIZE, &result))
ERROR(vmalloc_prot, vmalloc_prot(mm, PAGE_SIZE, GFP_KERNEL, PAGE_KERNEL, &result))
ERROR(vmalloc_prot_node, vmalloc_prot_node(mm, PAGE_SIZE, GFP_KERNEL, PAGE_KERNEL, 0, &result))
ERROR(vmalloc_area, vmalloc_area(mm, empty, GFP_KERNEL, PAGE_KERNEL))
ERROR(vmalloc_area_node, vmalloc_area_node(mm, empty, GFP_KERNEL, PAGE_KERNEL, 0))
ERROR(vfree, vfree(mm, framed))
NUMBER(find_vm_area, find_vm_area(mm, framed))
ERROR(free_vm_area, free_vm_area(mm, reserved))
ERROR(get_vm_area, get_vm_area(mm, PAGE_SIZE, 0, &result))
ERROR(get_vm_area_window, get_vm_area_window(mm, PAGE_SIZE, 0, MODULES_VADDR, MODULES_END, &result))
ERROR(alloc_vm_area, alloc_vm_area(mm, PAGE_SIZE, &result))
ERROR(map_vm_area, map_vm_area(mm, empty, pages, 4, PAGE_KERNEL))
ERROR(unmap_kernel_range, unmap_kernel_range(mm, reserved, PAGE_SIZE))
ERROR(unmap_vm_area, unmap_vm_area(mm, reserved))
ERROR(vmap, vmap(mm, pages, 4, VM_MAP, PAGE_KERNEL, &result))
ERROR(vunmap, vunmap(mm, mapped))
NUMBER(vread, vread(mm, bytes, framed, sizeof(bytes)))
NUMBER(vwrite, vwrite(mm, bytes, framed, sizeof(bytes), NULL))
NUMBER(vmap_purge, vmap_purge(mm))
NOTHING(vmap_trim, vmap_trim(mm))
NOTHING(vmap_set_mode, vmap_set_mode(mm, VMAP_EAGER))
NOTHING(process_destroy, process_destroy(mm, process))
NOTHING(vma_destroy, vma_destroy(mm, vma))
NOTHING(vmalloc_sync_all, vmalloc_sync_all(mm))
ERROR(vm_insert_page, vm_insert_page(mm, vma, 0x10000, pages[0]))
ERROR(remap_pfn_range, remap_pfn_range(mm, vma, 1))
ERROR(remap_vmalloc_range, remap_vmalloc_range(mm, vma, framed, 0))

#define CALL(name)                  \
	{                           \
#name, call_##name, \
	}

static const struct {
	const char *name;
	s64 (*call)(void);
} calls[] = {
	CALL(vmalloc),
	CALL(vmalloc_node),
	CALL(vmalloc_32),
	CALL(vmalloc_user),
	CALL(vmalloc_32_user),
	CALL(vmalloc_exec),
	CALL(vmalloc_prot),
	CALL(vmalloc_prot_node),
	CALL(vmalloc_node_range),
	CALL(vmalloc_area),
	CALL(vmalloc_area_node),
	CALL(vfree),
	CALL(find_vm_area),
	CALL(vm_area_copy),
	CALL(get_vm_area_node),
	CALL(free_vm_area),
	CALL(get_vm_area),
	CALL(get_vm_area_window),
	CALL(remove_vm_area),
	CALL(alloc_vm_area),
	CALL(map_vm_area),
	CALL(unmap_kernel_range),
	CALL(unmap_vm_area),
	CALL(vmap),
	CALL(vunmap),
	CALL(vread),
	CALL(vwrite),
	CALL(vmap_purge),
	CALL(vmap_trim),
	CALL(vmap_set_mode),
	CALL(process_create),
	CALL(process_claim),
	CALL(process_destroy),
	CALL(vma_create),
	CALL(vma_destroy),
	CALL(vm_insert_page),
	CALL(remap_vmalloc_range),
	CALL(remap_pfn_range),
	CALL(vmalloc_sync_all),
};

/* With every lock held that an interrupted call might hold: none of them is waited for. */
START_TEST(d21_a_call_from_an_interrupt_is_reported_and_does_nothing)
{
	u64 nr_leaves = leaves(), busy = mm->vmap.nr_busy, lazy = mm->vmap.nr_lazy;
	u64 frames = nr_free_pages(mm);
	char text[64];
	s64 status;

	snprintf(text, sizeof(text), ": %s() from an interrupt", calls[_i].name);
	interrupt_enter(mm);
	spin_lock(&mm->vmap.purge_lock);
	spin_lock(&mm->vmap.lock);
	spin_lock(&mm->processes.lock);
	status = calls[_i].call();
	spin_unlock(&mm->processes.lock);
	spin_unlock(&mm->vmap.lock);
	spin_unlock(&mm->vmap.purge_lock);
	ck_assert_uint_eq(interrupt_leave(mm), 1);
	ck_assert_int_eq(status, -EPERM);
	ck_assert_uint_eq(sim->nr_warnings, 1);
	ck_assert_msg(strstr(sim->warning, text), "%s: %s", calls[_i].name, sim->warning);
	ck_assert_uint_eq(mm->vmap.nr_busy, busy);
	ck_assert_uint_eq(mm->vmap.nr_lazy, lazy);
	ck_assert_uint_eq(mm->vmap.mode, VMAP_LAZY);
	ck_assert_uint_eq(mm->processes.nr, 1);
	ck_assert_uint_eq(leaves(), nr_leaves);
	ck_assert_uint_eq(nr_free_pages(mm), frames);
	ck_assert_ptr_eq(find_vma(process, 0x10000), vma);
	ck_assert_ptr_null(core_check(sim));
	/* The same call after the interrupt is none of its business. */
	ck_assert_uint_eq(vread(mm, bytes, framed, sizeof(bytes)), sizeof(bytes));
	ck_assert_uint_eq(sim->nr_warnings, 1);
}
END_TEST

START_TEST(another_cpu_may_call_meanwhile)
{
	struct sim_config config = sim_default_config(2);
	u64 addr;

	teardown();
	sim = sim_create(&config);
	mm = &sim->mm;
	interrupt_enter(mm);
	sim_set_cpu(1);
	ck_assert_int_eq(vmalloc(mm, PAGE_SIZE, &addr), 0);
	sim_set_cpu(0);
	ck_assert_int_eq(vfree(mm, addr), -EPERM);
	interrupt_enter(mm);
	ck_assert_uint_eq(interrupt_leave(mm), 1);
	ck_assert_int_eq(vfree(mm, addr), -EPERM);
	ck_assert_uint_eq(interrupt_leave(mm), 2);
	ck_assert_int_eq(vfree(mm, addr), 0);
	/* Nobody is in one: no call asks any further. */
	ck_assert_uint_eq(mm->interrupts.nr, 0);
	interrupt_enter(mm);
	ck_assert_uint_eq(interrupt_leave(mm), 0);
	ck_assert_uint_eq(mm->interrupts.nr, 0);
}
END_TEST

/* ---- how much is said ---- */

#define SECOND 1000000000ull

/* From now on the clock stands still but for what the test does. */
static void stop_clock(void)
{
	sim->clock_step_ns = 0;
}

/* As many as there are tokens for, of @nr. */
static u64 ask(u32 nr)
{
	u64 given = 0;

	while (nr--)
		given += mm_printk_ratelimit(mm);
	return given;
}

START_TEST(ten_tokens_at_once_then_one_each_five_seconds)
{
	stop_clock();
	ck_assert_uint_eq(ask(25), 10);
	ck_assert_uint_eq(sim->nr_logs, 0);
	sim->clock_ns += 5 * SECOND - 1;
	ck_assert_uint_eq(ask(1), 0);
	ck_assert_uint_eq(sim->nr_logs, 0);
	sim->clock_ns += 1;
	ck_assert_uint_eq(ask(3), 1);
	ck_assert_uint_eq(sim->nr_logs, 1);
	ck_assert_str_eq(sim->log[0], "printk: 16 messages suppressed.");
	ck_assert_uint_eq(sim->log_level[0], LOG_WARNING);
	/* Parts of five seconds add up, whether a token was asked for meanwhile or not. */
	sim->clock_ns += 13 * SECOND;
	ck_assert_uint_eq(ask(5), 2);
	ck_assert_str_eq(sim->log[1], "printk: 2 messages suppressed.");
	sim->clock_ns += 2 * SECOND;
	ck_assert_uint_eq(ask(2), 1);
	ck_assert_str_eq(sim->log[2], "printk: 3 messages suppressed.");
	/* No more than ten, however long nothing was said; and of nothing held back, nothing. */
	sim->clock_ns += 1000 * SECOND;
	ck_assert_uint_eq(ask(1), 1);
	ck_assert_str_eq(sim->log[3], "printk: 1 messages suppressed.");
	sim->clock_ns += 1000 * SECOND;
	ck_assert_uint_eq(ask(10), 10);
	ck_assert_uint_eq(sim->nr_logs, 4);
	ck_assert_uint_eq(ask(1), 0);
	/* A clock that goes back a little, as another CPU's may, gives nothing and takes nothing.
	 */
	sim->clock_ns -= 1000;
	ck_assert_uint_eq(ask(1), 0);
	sim->clock_ns += 5 * SECOND + 1000;
	ck_assert_uint_eq(ask(2), 1);
}
END_TEST

START_TEST(a_machine_without_a_clock_holds_nothing_back)
{
	struct arch_ops ops = *mm->ops;

	ops.clock_ns = NULL;
	mm->ops = &ops;
	ck_assert_uint_eq(ask(100), 100);
}
END_TEST

/* As the seed: its own printk() and WARN_ON() of a caller's mistake are not limited. */
START_TEST(a_caller_s_mistakes_are_all_said)
{
	u64 lines = sim->nr_logs;

	stop_clock();
	for (u32 i = 0; i < 200; i++)
		ck_assert_int_eq(vfree(mm, framed + PAGE_SIZE + i), i ? -EINVAL : -ENOENT);
	ck_assert_uint_eq(sim->nr_logs - lines, 200);
	ck_assert_uint_eq(sim->nr_warnings, 200);
}
END_TEST

/* What fails for want of something: no space, too much of it, no frame. One bucket for all. */
START_TEST(what_there_is_not_enough_of_is_said_ten_times)
{
	u64 addr;

	stop_clock();
	for (u32 i = 0; i < 5; i++) {
		ck_assert_int_eq(get_vm_area(mm, 64ull << 40, 0, &addr), -ENOSPC);
		ck_assert_int_eq(vmalloc(mm, 1ull << 50, &addr), -ENOMEM);
	}
	ck_assert_uint_eq(sim->nr_logs, 10);
	ck_assert_int_eq(get_vm_area(mm, 64ull << 40, 0, &addr), -ENOSPC);
	ck_assert_int_eq(vmalloc(mm, 1ull << 50, &addr), -ENOMEM);
	ck_assert_ptr_null(alloc_pages(mm, GFP_KERNEL, MAX_ORDER + 1, 0, PAGE_OTHER, mm));
	ck_assert_uint_eq(sim->nr_logs, 10);
	/* Nobody asks for a token for what is not to be said. */
	ck_assert_ptr_null(
		alloc_pages(mm, GFP_KERNEL | __GFP_NOWARN, MAX_ORDER + 1, 0, PAGE_OTHER, mm));
	sim->clock_ns += 5 * SECOND;
	ck_assert_int_eq(vmalloc(mm, 1ull << 50, &addr), -ENOMEM);
	ck_assert_str_eq(sim->log[10], "printk: 3 messages suppressed.");
	ck_assert_uint_eq(sim->nr_logs, 12);
}
END_TEST

START_TEST(whoever_asks_for_a_token_while_another_one_does_is_held_back)
{
	stop_clock();
	spin_lock(&mm->log_limit.lock);
	ck_assert_uint_eq(ask(1), 0);
	spin_unlock(&mm->log_limit.lock);
	ck_assert_uint_eq(ask(1), 1);
	ck_assert_str_eq(sim->log[0], "printk: 1 messages suppressed.");
	ck_assert_uint_eq(mm->log_limit.lock.word, 0);
}
END_TEST

/* ---- page arrays are the core's ---- */

START_TEST(a_page_array_s_area_is_nobody_else_s_to_free_or_write)
{
	struct vm_struct *vm;
	u64 stored = 7;

	ck_assert(find_vm_area(mm, framed)->flags & VM_VPAGES);
	ck_assert_int_eq(vfree(mm, array), -EBUSY);
	ck_assert_int_eq(vunmap(mm, array), -EBUSY);
	ck_assert_int_eq(free_vm_area(mm, array), -EBUSY);
	ck_assert_int_eq(remove_vm_area(mm, array, &vm), -EBUSY);
	ck_assert_int_eq(unmap_vm_area(mm, array), -EBUSY);
	ck_assert_int_eq(unmap_kernel_range(mm, array, PAGE_SIZE), -EBUSY);
	ck_assert_uint_eq(vwrite(mm, bytes, array, sizeof(bytes), &stored), sizeof(bytes));
	ck_assert_uint_eq(stored, 0);
	ck_assert_uint_eq(vread(mm, bytes, array, sizeof(bytes)), sizeof(bytes));
	ck_assert_ptr_null(core_check(sim));
	ck_assert_int_eq(vfree(mm, framed), 0);
	ck_assert_ptr_null(find_vm_area(mm, array));
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

static Suite *interrupt_suite(void)
{
	Suite *suite = suite_create("interrupt");
	TCase *tcase = tcase_create("interrupt");

	tcase_add_checked_fixture(tcase, make_objects, teardown);
	tcase_add_loop_test(tcase, d21_a_call_from_an_interrupt_is_reported_and_does_nothing, 0,
			    (int)ARRAY_SIZE(calls));
	tcase_add_test(tcase, another_cpu_may_call_meanwhile);
	tcase_add_test(tcase, ten_tokens_at_once_then_one_each_five_seconds);
	tcase_add_test(tcase, a_machine_without_a_clock_holds_nothing_back);
	tcase_add_test(tcase, a_caller_s_mistakes_are_all_said);
	tcase_add_test(tcase, what_there_is_not_enough_of_is_said_ten_times);
	tcase_add_test(tcase, whoever_asks_for_a_token_while_another_one_does_is_held_back);
	tcase_add_test(tcase, a_page_array_s_area_is_nobody_else_s_to_free_or_write);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(interrupt_suite());
}
