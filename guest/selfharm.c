/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypercalls with which the guest hurts itself, so that what the host says about a dying
 * guest can be tested.
 */
#include "guest/hypercall.h"
#include "guest/report.h"
#include "mm/errno.h"
#include "mm/pgtable.h"

/* A page of the image's range that nothing uses: the one below the text. */
#define SCRATCH_ADDRESS (0xffffffff00000000ull + TRAP_STUBS_LOW - PAGE_SIZE)

static s64 op_panic(struct cpu *cpu, const u64 *arg, u64 *result)
{
	PANIC("asked to panic");
}

static s64 op_fault(struct cpu *cpu, const u64 *arg, u64 *result)
{
	result[0] = *(const volatile u64 *)(uintptr_t)arg[0];
	return 0;
}

static s64 op_spin(struct cpu *cpu, const u64 *arg, u64 *result)
{
	volatile bool forever = true;

	irq_disable();
	while (forever)
		cpu_relax();
	return 0;
}

static s64 op_undefined(struct cpu *cpu, const u64 *arg, u64 *result)
{
	asm volatile("ud2");
	return 0;
}

static s64 op_warn(struct cpu *cpu, const u64 *arg, u64 *result)
{
	WARN("asked to warn");
	return 0;
}

/* With no gate to go through, an exception ends in a shutdown (SDM vol. 3A, 6.15, #DF). */
static s64 op_triple(struct cpu *cpu, const u64 *arg, u64 *result)
{
	static const u8 empty_idt[10];

	asm volatile("lidt %0\n\tud2" : : "m"(empty_idt));
	return 0;
}

static s64 op_io(struct cpu *cpu, const u64 *arg, u64 *result)
{
	if (arg[0] >> 16 || arg[1] >> 32)
		return -EINVAL;
	outl((u16)arg[0], (u32)arg[1]);
	return 0;
}

static s64 op_skip_flush(struct cpu *cpu, const u64 *arg, u64 *result)
{
	if (arg[0] >> 32)
		return -EINVAL;
	cpu->skip_flushes = (u32)arg[0];
	return 0;
}

/* Enough to see that they are held back, and not enough for the watchdog. */
#define TEST_LOG_LINES_MAX 10000
#define TEST_LOG_AHEAD_MAX 1000000000ull

static s64 op_log(struct cpu *cpu, const u64 *arg, u64 *result)
{
	if (arg[0] > TEST_LOG_LINES_MAX || arg[1] > TEST_LOG_AHEAD_MAX)
		return -EINVAL;
	__atomic_add_fetch(&machine.clock_ahead_ns, arg[1] * 1000000, __ATOMIC_RELAXED);
	for (u64 i = 1; i <= arg[0]; i++)
		if (mm_printk_ratelimit(&machine.mm))
			mm_log(&machine.mm, LOG_INFO, "asked to say line %lu of %lu",
			       (unsigned long)i, (unsigned long)arg[0]);
	return 0;
}

static bool is_ram(u64 phys)
{
	const struct mm *mm = &machine.mm;
	u32 i;

	for (i = 0; i < mm->nr_ram; i++)
		if (phys >= mm->ram[i].start && phys < mm->ram[i].end)
			return true;
	return false;
}

/* Where there is no memory an access must be emulated, and CRC32 is not in KVM's emulator. */
static s64 op_emulate(struct cpu *cpu, const u64 *arg, u64 *result)
{
	struct mm *mm = &machine.mm;
	int err;

	if (!IS_ALIGNED(arg[0], PAGE_SIZE) || arg[0] >= NB_RAM_LIMIT || is_ram(arg[0]))
		return -EINVAL;
	err = pt_map_range(mm, &mm->pt, SCRATCH_ADDRESS, SCRATCH_ADDRESS + PAGE_SIZE, arg[0],
			   PAGE_KERNEL, 1);
	if (err)
		return err;
	asm volatile("crc32q (%1), %0" : "+r"(result[0]) : "r"(SCRATCH_ADDRESS));
	return 0;
}

static s64 op_touch(struct cpu *cpu, const u64 *arg, u64 *result)
{
	volatile u64 *word = (volatile u64 *)(uintptr_t)arg[0];

	if (arg[2] > 1 || arg[3] > 1 || (arg[3] && arg[0] >= NB_RAM_LIMIT >> PAGE_SHIFT))
		return -EINVAL;
	if (arg[3])
		word = direct_map(arg[0] << PAGE_SHIFT);
	if (arg[2])
		*word = arg[1];
	else
		result[0] = *word;
	return 0;
}

static const struct hypercall_op ops[] = {
	[NB_OP_TEST_PANIC - NB_OP_TEST_PANIC] = {op_panic, 0},
	[NB_OP_TEST_FAULT - NB_OP_TEST_PANIC] = {op_fault, 1},
	[NB_OP_TEST_SPIN - NB_OP_TEST_PANIC] = {op_spin, 0},
	[NB_OP_TEST_UD - NB_OP_TEST_PANIC] = {op_undefined, 0},
	[NB_OP_TEST_WARN - NB_OP_TEST_PANIC] = {op_warn, 0},
	[NB_OP_TEST_TRIPLE - NB_OP_TEST_PANIC] = {op_triple, 0},
	[NB_OP_TEST_IO - NB_OP_TEST_PANIC] = {op_io, 2},
	[NB_OP_TEST_EMULATE - NB_OP_TEST_PANIC] = {op_emulate, 1},
	[NB_OP_TEST_SKIP_FLUSH - NB_OP_TEST_PANIC] = {op_skip_flush, 1},
	[NB_OP_TEST_LOG - NB_OP_TEST_PANIC] = {op_log, 2},
	[NB_OP_TEST_TOUCH - NB_OP_TEST_PANIC] = {op_touch, 4},
};

const struct hypercall_table test_operations = {ops, NB_OP_TEST_PANIC, ARRAY_SIZE(ops)};
