/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Code at CPL 3: programs of the image (guest/cpl3.S), run in the page tables of a process, and
 * loads at CPL 0 through the tables of one.
 *
 * The page of programs lies at NB_USER_CODE in every process, readable and executable, and is
 * mapped read-only everywhere else: nobody can change it. A program starts with nothing but its
 * arguments in registers, and a stack pointer at the one return address it may use, in that same
 * page. It ends by an exception, which at the UD2 of user_program_return means that it is done, or
 * after USER_TICKS ticks of the APIC's timer. There are no system calls: SYSCALL is switched off
 * (EFER.SCE), INT has no gate, and I/O no permission.
 *
 * Neither SMEP nor SMAP is used. The kernel never follows an address of CPL 3 but in user_probe(),
 * whose purpose that is, and STAC is not known to KVM's emulator. What protects the kernel from
 * CPL 3 is the U/S bit of every leaf of its half.
 *
 * Translations: CR3 is a process's only between user_enter() and user_leave(), and in
 * user_probe(). Loading it drops what is not global, and user pages never are, so a CPU that runs
 * no process knows none of their translations; one that does is at CPL 3 with interrupts on, and
 * answers a shootdown from there (guest/tlb.h).
 */
#ifndef GUEST_USER_H
#define GUEST_USER_H

#include "guest/machine.h"

/* A program that is at CPL 3 in this many ticks has run too long. */
#define USER_TICKS            20
#define USER_TICK_NANOSECONDS 10000000u

struct user_program {
	u32 program; /* enum nb_user_program */
	u64 arg[3];  /* address, words, value */
};

/* What each CPU does once before user_run(): switches SYSCALL off. */
void user_init(void);

/* Maps the page of programs in @process, which the caller has claimed. Returns 0 or -ENOMEM. */
int user_prepare(struct process *process);

/*
 * Runs @program in the tables with the root @root_phys. @result as NB_OP_USER_RUN has it. Returns
 * 0, -EFAULT or -EINTR. Interrupts are on, and the caller is in none.
 */
s64 user_run(struct cpu *cpu, u64 root_phys, const struct user_program *program, u64 *result);

/*
 * Loads the 64-bit word at @address, which does not cross a page, through the tables with the root
 * @root_phys; 0: those in use. Returns 0 or -EFAULT.
 */
s64 user_probe(u64 root_phys, u64 address, u64 *value_out);

/*
 * An interrupt or exception of CPL 3: the CPU is the kernel's again, and what is the program's own
 * affair is done. Where that ends the program, goes on in user_run(); else returns true when all is
 * done, false for an interrupt that is not the program's.
 */
bool user_trap(const struct trap_frame *frame);

/* An exception at CPL 0: true when it was user_probe()'s, and @frame now leads out of it. */
bool user_fixup(struct trap_frame *frame);

#endif
