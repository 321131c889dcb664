/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The start of a CPU: its own data, its task state, its APIC; then CPU 0 brings up the core while
 * the others sleep, and each ends in the hypercall server for good.
 */
#include "guest/apic.h"
#include "guest/arch.h"
#include "guest/hypercall.h"
#include "guest/layout.h"
#include "guest/machine.h"
#include "guest/report.h"
#include "guest/tlb.h"
#include "guest/user.h"
#include "mm/errno.h"

__attribute__((section(".bss.machine"))) struct machine machine;

_Static_assert(offsetof(struct machine, mm) == 0 && offsetof(struct cpu, self) == 0,
	       "known places");
_Static_assert(sizeof(struct nb_range) == sizeof(struct mem_range), "ranges are copied whole");

/* The address the layout note gives, for the linker script to compare with the real one. */
asm(".globl machine_address\n\t.set machine_address, 0x" LAYOUT_STRING(LAYOUT_MACHINE_HEX));

extern u64 gdt[GDT_ENTRIES];

__attribute__((noreturn)) void cpu_start(const struct nb_boot_info *boot, u32 index);

/* Without boot information there is no place for an event, only the port. */
static void check_boot(const struct nb_boot_info *boot, u32 index)
{
	if (boot->magic == NB_BOOT_MAGIC && boot->version == NB_ABI_VERSION &&
	    index < boot->nr_vcpus && boot->nr_vcpus <= NB_MAX_VCPUS &&
	    boot->nr_ram <= NB_MAX_RANGES && boot->nr_reserved <= NB_MAX_RANGES)
		return;
	outl(NB_PORT_PANIC, index);
	cpu_dead();
}

/* A 64-bit TSS descriptor takes two entries (SDM vol. 3A, figure 8-4). */
static void load_task(struct cpu *cpu)
{
	char *top = stacks[cpu->id];
	u32 entry = GDT_FIRST_TASK + TASK_ENTRIES * cpu->id;
	u64 base = (u64)&cpu->tss;

	cpu->tss.rsp[0] = (u64)(top + STACK_TOP);
	cpu->tss.ist[IST_DF - 1] = (u64)(top + STACK_TOP_DF);
	cpu->tss.ist[IST_NMI - 1] = (u64)(top + STACK_TOP_NMI);
	cpu->tss.ist[IST_PF - 1] = (u64)(top + STACK_TOP_PF);
	cpu->tss.iomap_base = sizeof(struct tss);
	gdt[entry] = (sizeof(struct tss) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
		     (base >> 24 & 0xff) << 56;
	gdt[entry + 1] = base >> 32;
	asm volatile("ltr %w0" : : "r"(entry * 8) : "memory");
}

static struct cpu *cpu_init(const struct nb_boot_info *boot, u32 index)
{
	struct cpu *cpu = &machine.cpu[index];

	cpu->self = cpu;
	cpu->id = index;
	cpu->area = direct_map(boot->area_gpa[index]);
	wrmsr(MSR_GS_BASE, (u64)cpu);
	load_task(cpu);
	cpu->apic_id = apic_enable();
	user_init();
	return cpu;
}

static void copy_ranges(struct mem_range *to, const struct nb_range *from, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		to[i] = (struct mem_range){from[i].start, from[i].end, from[i].node, from[i].kind};
}

static void spread_cpus(struct mm_config *config)
{
	u32 i, nr_nodes = 0;

	for (i = 0; i < config->nr_ram; i++)
		if (config->ram[i].node >= nr_nodes)
			nr_nodes = config->ram[i].node + 1;
	for (i = 0; i < config->nr_cpus && i < MAX_CPUS; i++)
		config->cpu_node[i] = (u8)NB_VCPU_NODE(i, config->nr_cpus, nr_nodes);
}

static void core_init(const struct nb_boot_info *boot)
{
	struct mm_config config;

	arch_init(&machine.ops, boot->flags);
	config.ops = &machine.ops;
	config.arch = NULL;
	config.direct_base = NB_DIRECT_BASE;
	config.memmap = (struct page *)NB_MEMMAP_BASE;
	config.root_phys = boot->root_gpa;
	config.nr_cpus = boot->nr_vcpus;
	config.nr_ram = boot->nr_ram;
	config.nr_reserved = boot->nr_reserved;
	copy_ranges(config.ram, boot->ram, boot->nr_ram);
	copy_ranges(config.reserved, boot->reserved, boot->nr_reserved);
	spread_cpus(&config);
	switch (mm_init(&machine.mm, &config)) {
	case 0:
		break;
	case -EINVAL:
		PANIC("the boot information describes no memory the core can use");
	case -ENOSPC:
		PANIC("the boot information has more ranges, nodes or sections than the core");
	default:
		PANIC("no memory for the core itself");
	}
	if (boot->flags & NB_BOOT_EAGER)
		vmap_set_mode(&machine.mm, VMAP_EAGER);
}

/* CPU 0: the core, then everybody who waits. One who does not wait yet will see `ready`. */
static void start_machine(const struct nb_boot_info *boot)
{
	u32 i;

	machine.boot = boot;
	machine.nr_cpus = boot->nr_vcpus;
	core_init(boot);
	__atomic_exchange_n(&machine.ready, 1, __ATOMIC_SEQ_CST);
	for (i = 1; i < machine.nr_cpus; i++)
		if (smp_load_acquire(&machine.cpu[i].state) == CPU_WAITING)
			apic_send(machine.cpu[i].apic_id, VECTOR_WAKE);
}

/* The other CPUs: asleep until CPU 0 is done. */
static void wait_for_machine(struct cpu *cpu)
{
	__atomic_exchange_n(&cpu->state, CPU_WAITING, __ATOMIC_SEQ_CST);
	while (!smp_load_acquire(&machine.ready)) {
		irq_enable_and_halt();
		irq_disable();
	}
}

/* From here on a stack that runs over is a page fault. Only this CPU knows its own guard page. */
static void unmap_guard(struct cpu *cpu)
{
	u64 guard = (u64)stacks[cpu->id];

	pt_unmap(&machine.mm, &machine.mm.pt, guard, guard + STACK_GUARD_BYTES);
	invlpg(guard);
}

void cpu_start(const struct nb_boot_info *boot, u32 index)
{
	struct cpu *cpu;

	check_boot(boot, index);
	cpu = cpu_init(boot, index);
	if (index == 0)
		start_machine(boot);
	else
		wait_for_machine(cpu);
	unmap_guard(cpu);
	tlb_join(cpu);
	smp_store_release(&cpu->state, CPU_ONLINE);
	hypercall_serve(cpu);
}
