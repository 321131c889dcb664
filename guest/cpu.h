/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processor as the guest uses it: segment selectors, interrupt vectors, the stacks, the task
 * state segment, what an exception leaves on the stack, and the instructions C has no words for.
 * Constants up to the first #ifndef are for assembly too.
 *
 * Only instructions that KVM's emulator knows may appear here: on hosts without VMX or SVM
 * everything at CPL 0 is emulated (tests/guest/image.sh looks for the others).
 */
#ifndef GUEST_CPU_H
#define GUEST_CPU_H

/*
 * Selectors: the table is in guest/entry.S; the user's with RPL 3. Each CPU has a task descriptor,
 * of two entries.
 */
#define SELECTOR_CODE      0x08
#define SELECTOR_DATA      0x10
#define SELECTOR_USER_DATA 0x1b
#define SELECTOR_USER_CODE 0x23
#define SELECTOR_TASK0     0x28
#define TASK_ENTRIES       2
#define GDT_MAX_CPUS       64
#define GDT_FIRST_TASK     (SELECTOR_TASK0 / 8)
#define GDT_ENTRIES        (GDT_FIRST_TASK + TASK_ENTRIES * GDT_MAX_CPUS)
#define GDT_LIMIT          (GDT_ENTRIES * 8 - 1)

/* Vectors. Exceptions are 0..31; the host's doorbell is NB_VECTOR_DOORBELL. */
#define VECTOR_NMI      2
#define VECTOR_UD       6
#define VECTOR_DF       8
#define VECTOR_GP       13
#define VECTOR_PF       14
#define VECTOR_MC       18
#define VECTOR_DOORBELL 0x40
#define VECTOR_WAKE     0xf0 /* ends a halt, nothing more */
#define VECTOR_TLB      0xf1 /* guest/tlb.c */
#define VECTOR_TIMER    0xf2 /* guest/user.c */
#define VECTOR_CALL     0xf3 /* guest/hypercall.h */
#define VECTOR_SPURIOUS 0xff
#define NR_EXCEPTIONS   32

/* Interrupt stack table: exceptions that must not trust the stack they happened on. */
#define IST_DF  1 /* #MC as well */
#define IST_NMI 2
#define IST_PF  3

/*
 * One CPU's stacks, from low to high: a guard page, the stack, a page for each entry of the
 * interrupt stack table.
 *
 *     | guard |     stack, 4 pages     | #DF | NMI | #PF |
 *     0      1 page                 5 pages             8 pages
 *
 * The guard is unmapped by the CPU itself; running into it is a page fault, reported from a
 * stack of its own.
 */
#define STACKS_SHIFT      15
#define STACKS_BYTES      (1 << STACKS_SHIFT)
#define STACK_GUARD_BYTES 0x1000
#define STACK_TOP         0x5000
#define STACK_TOP_DF      0x6000
#define STACK_TOP_NMI     0x7000
#define STACK_TOP_PF      0x8000

/* Where the stub of vector 0 is; each takes TRAP_STUB_BYTES. So the IDT is a constant. */
#define TRAP_STUBS_LOW  0x80600000 /* bits 31:0; the others are ones */
#define TRAP_STUB_BYTES 16

/*
 * CPL 3 (guest/cpl3.S): the address of the page of programs, and the place in it of the word that
 * is their stack.
 */
#define USER_CODE          0x7fffffffe000
#define USER_RETURN_OFFSET 0xff8

/* Model-specific registers. x2APIC registers are MSRs 0x800 up (SDM vol. 3A, 11.12.1.2). */
#define MSR_GS_BASE              0xc0000101
#define MSR_X2APIC_ID            0x802
#define MSR_X2APIC_EOI           0x80b
#define MSR_X2APIC_SVR           0x80f
#define MSR_X2APIC_ICR           0x830
#define MSR_X2APIC_LVT_TIMER     0x832
#define MSR_X2APIC_TIMER_INITIAL 0x838
#define MSR_X2APIC_TIMER_DIVIDE  0x83e
#define MSR_X2APIC_SELF          0x83f
#define APIC_SVR_ENABLE          0x100
#define APIC_LVT_MASKED          0x10000
#define APIC_LVT_PERIODIC        0x20000
#define APIC_DIVIDE_BY_1         0xb

#define RFLAGS_IF   0x200
#define RFLAGS_USER 0x202 /* of a program that starts: IF, and the bit that is always set */

#ifndef __ASSEMBLER__

#include "mm/types.h"
#include "mm/x86.h"

/* The 64-bit task state segment (SDM vol. 3A, figure 8-11). */
struct tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7]; /* IST 1 is ist[0] */
	u64 reserved2;
	u16 reserved3;
	u16 iomap_base; /* sizeof(struct tss): no I/O permission map */
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 104, "the task state segment is the processor's format");

/* What the stubs and the processor push, lowest address first. */
struct trap_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8;
	u64 rbp, rdi, rsi, rdx, rcx, rbx, rax;
	u64 vector, error_code;
	u64 rip, cs, rflags, rsp, ss;
};

static inline void outl(u16 port, u32 value)
{
	asm volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline u64 rdtsc(void)
{
	u32 low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (u64)high << 32 | low;
}

static inline u64 rdmsr(u32 msr)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
	return (u64)high << 32 | low;
}

static inline void wrmsr(u32 msr, u64 value)
{
	asm volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline u64 read_cr2(void)
{
	u64 value;

	asm volatile("movq %%cr2, %0" : "=r"(value));
	return value;
}

static inline u64 read_cr3(void)
{
	u64 value;

	asm volatile("movq %%cr3, %0" : "=r"(value) : : "memory");
	return value;
}

/* Drops every translation of this CPU that is not global (SDM vol. 3A, 4.10.4.1). */
static inline void write_cr3(u64 value)
{
	asm volatile("movq %0, %%cr3" : : "r"(value) : "memory");
}

static inline u64 read_cr4(void)
{
	u64 value;

	asm volatile("movq %%cr4, %0" : "=r"(value) : : "memory");
	return value;
}

static inline void write_cr4(u64 value)
{
	asm volatile("movq %0, %%cr4" : : "r"(value) : "memory");
}

static inline void invlpg(u64 address)
{
	asm volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline void irq_enable(void)
{
	asm volatile("sti" : : : "memory");
}

static inline void irq_disable(void)
{
	asm volatile("cli" : : : "memory");
}

static inline u64 irq_flags(void)
{
	u64 flags;

	asm volatile("pushfq\n\tpopq %0" : "=r"(flags) : : "memory");
	return flags;
}

/* Halts until an interrupt. Called with interrupts disabled; none is lost in between, because
 * sti takes effect only after the instruction that follows it. */
static inline void irq_enable_and_halt(void)
{
	asm volatile("sti\n\thlt" : : : "memory");
}

/* Orders all loads and stores, in place of mfence, which the emulator does not know. */
static inline void memory_barrier(void)
{
	asm volatile("lock addl $0, -4(%%rsp)" : : : "memory", "cc");
}

static inline void cpu_relax(void)
{
	asm volatile("pause" : : : "memory");
}

/* This CPU does nothing any more. */
__attribute__((noreturn)) static inline void cpu_dead(void)
{
	for (;;)
		asm volatile("cli\n\thlt" : : : "memory");
}

/* True when address bits 63:47 are all the same. */
static inline bool is_canonical(u64 address)
{
	return address + (1ull << 47) < 1ull << 48;
}

#endif
#endif
