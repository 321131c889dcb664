/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The border: what the guest lets through to the core, and what it refuses before the core sees
 * it. The core here only records what it was asked.
 */
#include <string.h>

#include "guest/areas.h"
#include "guest/hypercall.h"
#include "guest/load.h"
#include "guest/workload.h"
#include "mm/errno.h"
#include "mm/vmalloc.h"
#include "mm/vmap_linux.h"
#include "tests/harness.h"

struct machine machine;

/* What the core was asked last, and how often. */
static unsigned calls;
static struct vmalloc_request asked;
static u64 asked_address;
static enum vmap_mode asked_mode;
static struct page *page_found;

static int record_request(struct mm *mm, const struct vmalloc_request *request, u64 *addr_out)
{
	ck_assert_ptr_eq(mm, &machine.mm);
	calls++;
	asked = *request;
	*addr_out = 0xffffc90000005000;
	return 0;
}

int vmalloc_node_range(struct mm *mm, const struct vmalloc_request *request, u64 *addr_out)
{
	return record_request(mm, request, addr_out);
}

s64 areas_get_vm_area(const struct vmalloc_request *request, u64 *addr_out)
{
	return record_request(&machine.mm, request, addr_out);
}

static int record_address(u64 addr, int result)
{
	calls++;
	asked_address = addr;
	return result;
}

int vfree(struct mm *mm, u64 addr)
{
	return record_address(addr, -ENOENT);
}

s64 areas_free_vm_area(u64 addr)
{
	return record_address(addr, -EBUSY);
}

struct page *vmalloc_to_page(struct mm *mm, u64 addr)
{
	record_address(addr, 0);
	return page_found;
}

u64 vmap_purge(struct mm *mm)
{
	calls++;
	return 17;
}

u64 vmap_purge_linux(struct mm *mm, u32 flags)
{
	calls++;
	return 18;
}

u64 vmap_purge_through(struct mm *mm, u64 last)
{
	calls++;
	return 19;
}

int vmap_set_rules(struct mm *mm, const struct vmap_rules *rules)
{
	calls++;
	return 0;
}

void vmap_set_node(struct mm *mm, u32 node)
{
	mm->vmap.node = node;
}

int vmap_set_shape(struct mm *mm, const u64 *shape, u64 count)
{
	calls++;
	return 0;
}

int vmap_release(struct mm *mm, u64 addr)
{
	return record_address(addr, -ENOENT);
}

void vmap_set_mode(struct mm *mm, enum vmap_mode mode)
{
	calls++;
	asked_mode = mode;
}

u64 nr_free_pages(struct mm *mm)
{
	calls++;
	return 1234;
}

s64 workload_bench(struct cpu *cpu, const u64 *arg, u64 *result)
{
	calls++;
	return 0;
}

s64 load_run(struct cpu *cpu, const u64 *arg, u64 *result)
{
	calls++;
	return 0;
}

static u64 result[4];

/* One operation, as the server calls it. */
static s64 call(u32 opcode, const u64 *arg)
{
	ck_assert_uint_lt(opcode, core_operations.nr);
	calls = 0;
	memset(result, 0, sizeof(result));
	return core_operations.ops[opcode].run(&machine.cpu[0], arg, result);
}

#define CALL1(opcode, argument) call(opcode, (const u64[12]){argument})

static const u64 good[12] = {
	8192,        4096, VMALLOC_START, VMALLOC_END, GFP_KERNEL | __GFP_ZERO,
	PAGE_KERNEL, 0,    (u64)-1,       0xabc,
};

static s64 call_with(u32 opcode, u32 position, u64 value)
{
	u64 arg[12];

	memcpy(arg, good, sizeof(arg));
	arg[position] = value;
	return call(opcode, arg);
}

static void setup(void)
{
	memset(&machine, 0, sizeof(machine));
	machine.mm.node[0].present = true;
	machine.mm.node[3].present = true;
	machine.mm.memmap = (struct page *)NB_MEMMAP_BASE;
}

START_TEST(a_request_reaches_the_core_as_it_was_made)
{
	static const u32 opcodes[] = {NB_OP_VMALLOC, NB_OP_GET_VM_AREA};

	ck_assert_int_eq(call(opcodes[_i], good), 0);
	ck_assert_uint_eq(calls, 1);
	ck_assert_uint_eq(asked.size, 8192);
	ck_assert_uint_eq(asked.align, 4096);
	ck_assert_uint_eq(asked.start, VMALLOC_START);
	ck_assert_uint_eq(asked.end, VMALLOC_END);
	ck_assert_uint_eq(asked.gfp, GFP_KERNEL | __GFP_ZERO);
	ck_assert_uint_eq(asked.prot, PAGE_KERNEL);
	ck_assert_uint_eq(asked.flags, 0);
	ck_assert_int_eq(asked.node, NUMA_NO_NODE);
	ck_assert_uint_eq(asked.caller, 0xabc);
	ck_assert_uint_eq(result[0], 0xffffc90000005000);
	ck_assert_int_eq(call_with(opcodes[_i], 7, 3), 0);
	ck_assert_int_eq(asked.node, 3);
	ck_assert_int_eq(call_with(opcodes[_i], 6, VM_IOREMAP | VM_ARRAY_OUTSIDE), 0);
	ck_assert_uint_eq(asked.flags, VM_IOREMAP | VM_ARRAY_OUTSIDE);
}
END_TEST

static const struct {
	u32 position;
	u64 value;
} nonsense[] = {
	{4, 1ull << 32}, /* gfp of more than 32 bits */
	{4, ~0ull},
	{6, VM_VPAGES}, /* the core's own */
	{6, VM_UNINITIALIZED},
	{6, VM_MAP_PUT_PAGES},
	{6, 1ull << 35}, /* nobody's */
	{6, 1ull << 63},
	{7, 1}, /* a node without memory */
	{7, MAX_NODES},
	{7, (u64)-2},
	{7, UINT32_MAX}, /* -1, but not of 64 bits */
	{7, 1ull << 63},
};

START_TEST(a_request_that_makes_no_sense_never_reaches_the_core)
{
	u32 position = nonsense[_i].position;
	u64 value = nonsense[_i].value;

	ck_assert_int_eq(call_with(NB_OP_VMALLOC, position, value), -EINVAL);
	ck_assert_uint_eq(calls, 0);
	ck_assert_int_eq(call_with(NB_OP_GET_VM_AREA, position, value), -EINVAL);
	ck_assert_uint_eq(calls, 0);
	ck_assert_uint_eq(result[0], 0);
}
END_TEST

static const struct {
	u64 start, end;
	bool mappable;
} windows[] = {
	{MODULES_VADDR, MODULES_END, true},
	{1, 1ull << 47, true},
	{0, 4096, true},
	{0xffff800000000000, NB_DIRECT_BASE, true},
	{0xffff800000000000, ~0ull, false},  /* the machine's own ranges are in it */
	{NB_IMAGE_BASE, MODULES_END, false}, /* likewise */
	{NB_DIRECT_BASE + (1ull << 40), NB_DIRECT_BASE + (1ull << 40) + 8192, false},
	{NB_MEMMAP_BASE, NB_MEMMAP_BASE + 8192, false},
	{VMALLOC_END + 1, NB_MEMMAP_BASE, true},
	{1, ~0ull, false},                       /* both halves */
	{0x7ffffffff000, 0x800000001000, false}, /* into the hole */
	{0x800000000000, 0x900000000000, false}, /* inside the hole */
	{0xffff7ffffffff000, ~0ull, false},      /* out of the hole */
	{VMALLOC_END, VMALLOC_START, false},
	{VMALLOC_START, VMALLOC_START, false},
	{VMALLOC_START, 0, false},
};

START_TEST(frames_are_mapped_only_in_one_canonical_half)
{
	u64 arg[12];

	memcpy(arg, good, sizeof(arg));
	arg[2] = windows[_i].start;
	arg[3] = windows[_i].end;
	ck_assert_int_eq(call(NB_OP_VMALLOC, arg), windows[_i].mappable ? 0 : -EINVAL);
	ck_assert_uint_eq(calls, windows[_i].mappable ? 1 : 0);
	/* A range without frames is the core's to judge. */
	ck_assert_int_eq(call(NB_OP_GET_VM_AREA, arg), 0);
}
END_TEST

START_TEST(a_protection_is_flags_alone_and_present)
{
	u32 bit;

	for (bit = 0; bit < 64; bit++) {
		bool allowed = bit < 12 || bit == 63;

		ck_assert_int_eq(call_with(NB_OP_VMALLOC, 5, 1ull << bit | X86_PTE_P),
				 allowed ? 0 : -EINVAL);
		ck_assert_uint_eq(calls, allowed);
	}
	ck_assert_int_eq(call_with(NB_OP_VMALLOC, 5, 0), -EINVAL);
	ck_assert_int_eq(call_with(NB_OP_VMALLOC, 5, PAGE_KERNEL & ~X86_PTE_P), -EINVAL);
	ck_assert_int_eq(call_with(NB_OP_GET_VM_AREA, 5, 0), 0);
}
END_TEST

START_TEST(a_failure_is_set_and_what_was_left_comes_back)
{
	s64 (*set)(struct cpu *, const u64 *, u64 *) = fault_operations.ops[0].run;
	u64 kind;

	ck_assert_uint_eq(fault_operations.first, NB_OP_SET_FAULT);
	for (kind = 0; kind < NR_FAULTS; kind++) {
		ck_assert_int_eq(set(NULL, (const u64[12]){kind, 5 + kind}, result), 0);
		ck_assert_uint_eq(result[0], 0);
		ck_assert_uint_eq(machine.mm.fault.fail[kind], 5 + kind);
	}
	ck_assert_int_eq(set(NULL, (const u64[12]){FAULT_TABLE, UINT32_MAX}, result), 0);
	ck_assert_uint_eq(result[0], 5 + FAULT_TABLE);
	ck_assert_int_eq(set(NULL, (const u64[12]){NR_FAULTS, 1}, result), -EINVAL);
	ck_assert_int_eq(set(NULL, (const u64[12]){0, 1ull << 32}, result), -EINVAL);
	ck_assert_uint_eq(machine.mm.fault.fail[0], 5);
}
END_TEST

START_TEST(addresses_and_errors_pass_through)
{
	ck_assert_int_eq(CALL1(NB_OP_VFREE, 0x123), -ENOENT);
	ck_assert_uint_eq(asked_address, 0x123);
	ck_assert_int_eq(CALL1(NB_OP_FREE_VM_AREA, 0x456), -EBUSY);
	ck_assert_uint_eq(asked_address, 0x456);
	ck_assert_int_eq(CALL1(NB_OP_NOP, 99), 0);
	ck_assert_uint_eq(result[0], 99);
	ck_assert_int_eq(CALL1(NB_OP_PURGE, 0), 0);
	ck_assert_uint_eq(result[0], 17);
}
END_TEST

/* A piece of a purge is for rules without nodes. */
START_TEST(a_purge_in_pieces_needs_the_rules)
{
	const u64 piece[12] = {0, VMALLOC_START};

	ck_assert_int_eq(call(NB_OP_PURGE, piece), -EINVAL);
	machine.mm.vmap.rules = (struct vmap_rules){.order = VMAP_BY_ADDRESS, .nodes = 2};
	ck_assert_int_eq(call(NB_OP_PURGE, piece), -EINVAL);
	ck_assert_uint_eq(calls, 0);
	machine.mm.vmap.rules.nodes = 0;
	ck_assert_int_eq(call(NB_OP_PURGE, piece), 0);
	ck_assert_uint_eq(result[0], 19);
	machine.mm.vmap.rules = (struct vmap_rules){0};
}
END_TEST

START_TEST(only_the_three_modes_are_modes)
{
	u64 mode;

	for (mode = 0; mode <= VMAP_MANUAL; mode++) {
		ck_assert_int_eq(CALL1(NB_OP_SET_MODE, mode), 0);
		ck_assert_uint_eq(asked_mode, mode);
	}
	ck_assert_int_eq(CALL1(NB_OP_SET_MODE, VMAP_MANUAL + 1), -EINVAL);
	ck_assert_uint_eq(calls, 0);
	ck_assert_int_eq(CALL1(NB_OP_SET_MODE, 1ull << 32), -EINVAL);
	ck_assert_uint_eq(calls, 0);
}
END_TEST

START_TEST(a_frame_number_is_found_or_not)
{
	page_found = NULL;
	ck_assert_int_eq(CALL1(NB_OP_VMALLOC_TO_PAGE, VMALLOC_START), -ENOENT);
	page_found = machine.mm.memmap + 77;
	ck_assert_int_eq(CALL1(NB_OP_VMALLOC_TO_PAGE, VMALLOC_START), 0);
	ck_assert_uint_eq(result[0], 77);
	ck_assert_int_eq(CALL1(NB_OP_VMALLOC_TO_PAGE, 0x800000000000), -EINVAL);
	ck_assert_uint_eq(calls, 0);
}
END_TEST

START_TEST(statistics_are_the_core_s)
{
	machine.mm.vmap.nr_busy = 5;
	machine.mm.vmap.nr_lazy_pages = 6;
	machine.mm.pt.nr_tables = 7;
	ck_assert_int_eq(CALL1(NB_OP_STATS, 0), 0);
	ck_assert_uint_eq(result[0], 1234);
	ck_assert_uint_eq(result[1], 5);
	ck_assert_uint_eq(result[2], 6);
	ck_assert_uint_eq(result[3], 7);
}
END_TEST

/* The table's own promises: the server refuses arguments beyond these. */
START_TEST(each_operation_says_how_many_arguments_it_has)
{
	static const u32 nr_args[] = {1, 10, 2, 10, 2, 2, 1, 1, 0, 5, 4, 2, 1, 7};
	u32 i;

	ck_assert_uint_eq(core_operations.nr, ARRAY_SIZE(nr_args));
	for (i = 0; i < ARRAY_SIZE(nr_args); i++)
		ck_assert_uint_eq(core_operations.ops[i].nr_args, nr_args[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("guest/operations");
	TCase *tests = tcase_create("border");

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_loop_test(tests, a_request_reaches_the_core_as_it_was_made, 0, 2);
	tcase_add_loop_test(tests, a_request_that_makes_no_sense_never_reaches_the_core, 0,
			    (int)ARRAY_SIZE(nonsense));
	tcase_add_loop_test(tests, frames_are_mapped_only_in_one_canonical_half, 0,
			    (int)ARRAY_SIZE(windows));
	tcase_add_test(tests, a_protection_is_flags_alone_and_present);
	tcase_add_test(tests, a_failure_is_set_and_what_was_left_comes_back);
	tcase_add_test(tests, addresses_and_errors_pass_through);
	tcase_add_test(tests, a_purge_in_pieces_needs_the_rules);
	tcase_add_test(tests, only_the_three_modes_are_modes);
	tcase_add_test(tests, a_frame_number_is_found_or_not);
	tcase_add_test(tests, statistics_are_the_core_s);
	tcase_add_test(tests, each_operation_says_how_many_arguments_it_has);
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
