/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The general registers in the one order in which the project keeps them: that of struct nb_event
 * in guest/abi.h, of reports, of inspected vCPUs and of the unwinder's start.
 */
#ifndef LIB_REGS_H
#define LIB_REGS_H

/* X(argument, enumerator's end, name): the name is also the field's in struct kvm_regs. */
#define REGS_TO_RIP(X, a)                                                                       \
	X(a, RAX, rax), X(a, RBX, rbx), X(a, RCX, rcx), X(a, RDX, rdx), X(a, RSI, rsi),         \
		X(a, RDI, rdi), X(a, RBP, rbp), X(a, RSP, rsp), X(a, R8, r8), X(a, R9, r9),     \
		X(a, R10, r10), X(a, R11, r11), X(a, R12, r12), X(a, R13, r13), X(a, R14, r14), \
		X(a, R15, r15), X(a, RIP, rip)
#define REGS_LIST(X, a) REGS_TO_RIP(X, a), X(a, RFLAGS, rflags)

#define REGS_ENUMERATOR(a, NAME, name) REGS_##NAME
enum { REGS_LIST(REGS_ENUMERATOR, 0), NR_REGS };

/* Initializers of an array of NR_REGS: from a struct with those fields, and of their names. */
#define REGS_VALUE(from, NAME, name) (from).name
#define REGS_OF(from)                       \
	{                                   \
		REGS_LIST(REGS_VALUE, from) \
	}
#define REGS_NAME(a, NAME, name) #name
#define REGS_NAMES                      \
	{                               \
		REGS_LIST(REGS_NAME, 0) \
	}

#endif
