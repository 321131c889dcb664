/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Near branches. A relative one to its own page remembers the op it leads to; every other finds
 * it by the line of the target's page. A target that is not canonical faults at the branch.
 */
#include "vmm/soft/exec.h"

/* Where @rip leads is to be seen before the branch changes anything: false if nowhere. */
static inline bool find_target(struct soft_cpu *cpu, uint64_t rip, struct soft_op **op_out)
{
	*op_out = soft_quick_op(cpu, rip);
	return *op_out || soft_canonical(rip);
}

static __attribute__((noinline)) struct soft_op *jump_out(struct soft_cpu *cpu, struct soft_op *op,
							  int64_t left)
{
	uint64_t rip = soft_op_next(cpu, op) + (int64_t)op->disp;
	struct soft_op *target;

	if (!find_target(cpu, rip, &target))
		return soft_raise_gp(cpu, op, left, 0);
	if ((rip & ~(X86_PAGE_SIZE - 1)) == cpu->regs[SOFT_PAGE])
		op->target = target;
	return soft_branch(cpu, target, rip, left);
}

static inline struct soft_op *jump(struct soft_cpu *cpu, struct soft_op *op, int64_t left)
{
	if (likely(op->target))
		return soft_next(cpu, op->target, left);
	return jump_out(cpu, op, left);
}

SOFT_HANDLER(jmp_i)
{
	return jump(cpu, op, left);
}

#define JUMP_IF(condition)                                                                 \
	SOFT_HANDLER(jump_if_##condition)                                                  \
	{                                                                                  \
		return SOFT_IF_##condition(&cpu->flags) ? jump(cpu, op, left) : SOFT_NEXT; \
	}

SOFT_CONDITIONS(JUMP_IF)

static struct soft_op *jump_to(struct soft_cpu *cpu, struct soft_op *op, int64_t left, uint64_t rip)
{
	struct soft_op *target;

	if (unlikely(!find_target(cpu, rip, &target)))
		return soft_raise_gp(cpu, op, left, 0);
	return soft_branch(cpu, target, rip, left);
}

SOFT_HANDLER(jmp_r)
{
	return jump_to(cpu, op, left, SOFT_A(64));
}

SOFT_MEMORY_HANDLER(jmp_m)
{
	uint64_t gva = soft_address(cpu, op);

	SOFT_READ_AT(64, from, gva);
	return jump_to(cpu, op, left, *from);
}

/* Pushes the return address once the target is known to be one. */
#define CALL_TO(rip)                                                            \
	do {                                                                    \
		uint64_t rip_ = (rip);                                          \
		struct soft_op *target_;                                        \
		if (unlikely(!find_target(cpu, rip_, &target_)))                \
			return soft_raise_gp(cpu, op, left, 0);                 \
		SOFT_WRITE(64, cpu->regs[SOFT_RSP] - 8, soft_op_next(cpu, op)); \
		cpu->regs[SOFT_RSP] -= 8;                                       \
		return soft_branch(cpu, target_, rip_, left);                   \
	} while (0)

SOFT_MEMORY_HANDLER(call_i)
{
	CALL_TO(soft_op_next(cpu, op) + (int64_t)op->disp);
}

SOFT_MEMORY_HANDLER(call_r)
{
	CALL_TO(SOFT_A(64));
}

SOFT_MEMORY_HANDLER(call_m)
{
	uint64_t gva = soft_address(cpu, op);

	SOFT_READ_AT(64, from, gva);
	CALL_TO(*from);
}

SOFT_MEMORY_HANDLER(ret)
{
	struct soft_op *target;
	uint64_t rip;

	SOFT_READ_AT(64, from, cpu->regs[SOFT_RSP]);
	rip = *from;
	if (unlikely(!find_target(cpu, rip, &target)))
		return soft_raise_gp(cpu, op, left, 0);
	cpu->regs[SOFT_RSP] += 8 + (uint16_t)op->imm;
	return soft_branch(cpu, target, rip, left);
}

/* RCX, or ECX with the prefix; only what is used is written. */
static bool count_down(struct soft_cpu *cpu, const struct soft_op *op)
{
	if (op->b)
		cpu->regs[SOFT_RCX] = (uint32_t)(cpu->regs[SOFT_RCX] - 1);
	else
		cpu->regs[SOFT_RCX]--;
	return cpu->regs[SOFT_RCX] != 0;
}

/* The count does not change if the target is none. */
#define LOOP(name, condition)                                                                \
	SOFT_HANDLER(name)                                                                   \
	{                                                                                    \
		uint64_t before = cpu->regs[SOFT_RCX];                                       \
		struct soft_op *next;                                                        \
                                                                                             \
		if (!count_down(cpu, op) || !(condition))                                    \
			return SOFT_NEXT;                                                    \
		if (op->target || soft_canonical(soft_op_next(cpu, op) + (int64_t)op->disp)) \
			return jump(cpu, op, left);                                          \
		next = soft_raise_gp(cpu, op, left, 0);                                      \
		cpu->regs[SOFT_RCX] = before;                                                \
		return next;                                                                 \
	}

LOOP(loop, true)
LOOP(loope, soft_zf(&cpu->flags))
LOOP(loopne, !soft_zf(&cpu->flags))

SOFT_HANDLER(jrcxz)
{
	return cpu->regs[SOFT_RCX] == 0 ? jump(cpu, op, left) : SOFT_NEXT;
}

SOFT_HANDLER(jecxz)
{
	return (uint32_t)cpu->regs[SOFT_RCX] == 0 ? jump(cpu, op, left) : SOFT_NEXT;
}

#define I SOFT_SHAPE(I, NONE, NONE)
#define ROW_JUMP(condition) \
	{ZYDIS_MNEMONIC_J##condition, I, SOFT_PLAIN, false, SOFT_ANY(jump_if_##condition)},

const struct soft_form soft_forms_branch[] = {
	SOFT_ROW_END(JMP, I, jmp_i),
	SOFT_ROW_END(JMP, SOFT_SHAPE(R, NONE, NONE), jmp_r),
	SOFT_ROW_END(JMP, SOFT_SHAPE(M, NONE, NONE), jmp_m),
	SOFT_ROW_ANY(CALL, I, call_i),
	SOFT_ROW_ANY(CALL, SOFT_SHAPE(R, NONE, NONE), call_r),
	SOFT_ROW_ANY(CALL, SOFT_SHAPE(M, NONE, NONE), call_m),
	SOFT_ROW_END(RET, 0, ret),
	SOFT_ROW_END(RET, I, ret),
	SOFT_CONDITIONS(ROW_JUMP) SOFT_ROW_ANY(LOOP, I, loop),
	SOFT_ROW_ANY(LOOPE, I, loope),
	SOFT_ROW_ANY(LOOPNE, I, loopne),
	SOFT_ROW_ANY(JRCXZ, I, jrcxz),
	SOFT_ROW_ANY(JECXZ, I, jecxz),
	{0},
};
