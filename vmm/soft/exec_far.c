/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Far transfers: IRET, far RET, CALL and JMP, SYSCALL and SYSRET. Code segments that are not 64-bit
 * ones (compatibility mode) are not known here, nor are call gates: a transfer through one stops
 * the processor as an unknown instruction does.
 */
#include "vmm/soft/segment.h"

#include "vmm/soft/exec.h"

#define AGAIN(rip) soft_leave(cpu, rip, left, SOFT_EXIT_AGAIN)

static bool unknown(struct soft_cpu *cpu)
{
	soft_unknown(cpu, 0);
	return false;
}

/* The words a return pops. */
struct frame {
	uint64_t words[5];
};

enum { FRAME_RIP, FRAME_CS, FRAME_RFLAGS, FRAME_RSP, FRAME_SS };

static bool pop_words(struct soft_cpu *cpu, uint64_t rsp, unsigned int bytes, unsigned int count,
		      uint64_t *words_out)
{
	for (unsigned int i = 0; i < count; i++) {
		const void *from = soft_read(cpu, rsp + i * bytes, bytes);

		if (!from)
			return false;
		words_out[i] = 0;
		memcpy(&words_out[i], from, bytes);
	}
	return true;
}

/* The code segment of a return: of privilege RPL, which is not higher than CPL. */
static bool read_return_code(struct soft_cpu *cpu, uint16_t selector, struct kvm_segment *cs_out)
{
	struct soft_descriptor descriptor;
	unsigned int rpl = SOFT_SELECTOR_RPL(selector);

	if ((selector & ~3u) == 0)
		return soft_selector_fault(cpu, SOFT_GP, 0, 0);
	if (!soft_descriptor_read(cpu, selector, false, 0, &descriptor))
		return false;
	*cs_out = soft_segment_of(selector, &descriptor);
	if (!cs_out->s || !(cs_out->type & 8) || rpl < cpu->cpl ||
	    (cs_out->type & 4 ? cs_out->dpl > rpl : cs_out->dpl != rpl) ||
	    (cs_out->l && cs_out->db))
		return soft_selector_fault(cpu, SOFT_GP, selector, 0);
	if (!cs_out->present)
		return soft_selector_fault(cpu, SOFT_NP, selector, 0);
	return cs_out->l || unknown(cpu);
}

/* The stack segment that goes with CPL @cpl; null is one below CPL 3. */
static bool read_return_stack(struct soft_cpu *cpu, uint16_t selector, uint8_t cpl,
			      struct kvm_segment *ss_out)
{
	struct soft_descriptor descriptor;

	if ((selector & ~3u) == 0) {
		*ss_out = soft_segment_null(selector);
		ss_out->dpl = cpl;
		return (cpl != 3 && SOFT_SELECTOR_RPL(selector) == cpl) ||
		       soft_selector_fault(cpu, SOFT_GP, 0, 0);
	}
	if (!soft_descriptor_read(cpu, selector, false, 0, &descriptor))
		return false;
	*ss_out = soft_segment_of(selector, &descriptor);
	if (SOFT_SELECTOR_RPL(selector) != cpl || !ss_out->s || (ss_out->type & 0xa) != 2 ||
	    ss_out->dpl != cpl)
		return soft_selector_fault(cpu, SOFT_GP, selector, 0);
	return ss_out->present || soft_selector_fault(cpu, SOFT_SS_VECTOR, selector, 0);
}

/* Outwards, data segments the new CPL may not have become null. */
static void drop_segments(struct soft_cpu *cpu, uint8_t cpl)
{
	static const enum soft_segment data[] = {SOFT_ES, SOFT_DS, SOFT_FS, SOFT_GS};

	for (size_t i = 0; i < sizeof(data) / sizeof(data[0]); i++) {
		struct kvm_segment *segment = &cpu->segments[data[i]];
		bool conforming = (segment->type & 0xc) == 0xc;

		if (!segment->unusable && !conforming && segment->dpl < cpl)
			*segment = soft_segment_null(0);
	}
}

/*
 * Takes the processor to where @frame says; @stack: with its RSP and SS. Changes nothing when it
 * fails.
 */
static bool go_back(struct soft_cpu *cpu, const struct frame *frame, bool stack, uint64_t rsp)
{
	uint16_t selector = frame->words[FRAME_CS];
	uint8_t cpl = SOFT_SELECTOR_RPL(selector);
	struct kvm_segment cs, ss;

	if (!read_return_code(cpu, selector, &cs))
		return false;
	if (stack && !read_return_stack(cpu, frame->words[FRAME_SS], cpl, &ss))
		return false;
	if (!soft_canonical(frame->words[FRAME_RIP]))
		return soft_selector_fault(cpu, SOFT_GP, 0, 0);
	if (cpl > cpu->cpl)
		drop_segments(cpu, cpl);
	if (stack)
		cpu->segments[SOFT_SS] = ss;
	cpu->regs[SOFT_RSP] = rsp;
	soft_set_code(cpu, &cs, cpl);
	return true;
}

static uint64_t iret_flags(const struct soft_cpu *cpu, uint64_t popped, unsigned int bytes)
{
	uint64_t old = soft_cpu_rflags(cpu), may = SOFT_POPF_BITS | SOFT_RF;

	if (cpu->cpl > (old & SOFT_IOPL) >> 12)
		may &= ~SOFT_IF;
	if (cpu->cpl)
		may &= ~SOFT_IOPL;
	if (bytes == 2)
		may &= UINT16_MAX;
	return (old & ~may) | (popped & may);
}

static struct soft_op *iret(struct soft_cpu *cpu, struct soft_op *op, int64_t left,
			    unsigned int bytes)
{
	struct frame frame;
	uint64_t rflags;

	soft_begin(cpu, op, left);
	if (cpu->rflags & SOFT_NT)
		return soft_raise_gp(cpu, op, left, 0);
	if (!pop_words(cpu, cpu->regs[SOFT_RSP], bytes, 5, frame.words))
		return NULL;
	rflags = iret_flags(cpu, frame.words[FRAME_RFLAGS], bytes);
	if (!go_back(cpu, &frame, true, frame.words[FRAME_RSP]))
		return NULL;
	soft_cpu_set_rflags(cpu, rflags);
	cpu->nmi_masked = false;
	return AGAIN(frame.words[FRAME_RIP]);
}

/* Outwards a far return pops the stack it goes to as well; both drop @op->imm bytes. */
static struct soft_op *far_return(struct soft_cpu *cpu, struct soft_op *op, int64_t left,
				  unsigned int bytes)
{
	uint64_t rsp = cpu->regs[SOFT_RSP], release = (uint16_t)op->imm;
	struct frame frame;
	bool outwards;

	soft_begin(cpu, op, left);
	if (!pop_words(cpu, rsp, bytes, 2, frame.words))
		return NULL;
	rsp += 2 * bytes + release;
	outwards = SOFT_SELECTOR_RPL(frame.words[FRAME_CS]) > cpu->cpl;
	if (outwards) {
		if (!pop_words(cpu, rsp, bytes, 2, &frame.words[FRAME_RSP]))
			return NULL;
		rsp = frame.words[FRAME_RSP] + release;
	}
	return go_back(cpu, &frame, outwards, rsp) ? AGAIN(frame.words[FRAME_RIP]) : NULL;
}

/* Far JMP and CALL by a pointer in memory, to code of the same privilege. */
static bool read_far_code(struct soft_cpu *cpu, uint16_t selector, struct kvm_segment *cs_out)
{
	struct soft_descriptor descriptor;
	bool conforming;

	if ((selector & ~3u) == 0)
		return soft_selector_fault(cpu, SOFT_GP, 0, 0);
	if (!soft_descriptor_read(cpu, selector, false, 0, &descriptor))
		return false;
	*cs_out = soft_segment_of(selector, &descriptor);
	if (!cs_out->s && cs_out->type == SOFT_TYPE_CALL_GATE)
		return unknown(cpu);
	conforming = cs_out->type & 4;
	if (!cs_out->s || !(cs_out->type & 8) || (cs_out->l && cs_out->db) ||
	    (conforming ? cs_out->dpl > cpu->cpl
			: SOFT_SELECTOR_RPL(selector) > cpu->cpl || cs_out->dpl != cpu->cpl))
		return soft_selector_fault(cpu, SOFT_GP, selector, 0);
	if (!cs_out->present)
		return soft_selector_fault(cpu, SOFT_NP, selector, 0);
	return cs_out->l || unknown(cpu);
}

static struct soft_op *far_transfer(struct soft_cpu *cpu, struct soft_op *op, int64_t left,
				    unsigned int bytes, bool call)
{
	uint64_t rip = 0, rsp = cpu->regs[SOFT_RSP];
	uint64_t back[2] = {soft_op_next(cpu, op), cpu->segments[SOFT_CS].selector};
	uint16_t selector;
	struct kvm_segment cs;
	const uint8_t *from;

	soft_begin(cpu, op, left);
	from = soft_read(cpu, soft_address(cpu, op), bytes + 2);
	if (!from)
		return NULL;
	memcpy(&rip, from, bytes);
	memcpy(&selector, from + bytes, 2);
	if (!read_far_code(cpu, selector, &cs))
		return NULL;
	if (!soft_canonical(rip))
		return soft_raise_gp(cpu, op, left, 0);
	if (call) {
		if (!soft_probe(cpu, rsp - bytes, bytes) ||
		    !soft_probe(cpu, rsp - 2 * bytes, bytes) ||
		    !soft_write(cpu, rsp - bytes, bytes, &back[1]) ||
		    !soft_write(cpu, rsp - 2 * bytes, bytes, &back[0]))
			return NULL;
		cpu->regs[SOFT_RSP] = rsp - 2 * bytes;
	}
	soft_set_code(cpu, &cs, cpu->cpl);
	return AGAIN(rip);
}

#define FAR(N)                                                    \
	SOFT_HANDLER(iret##N)                                     \
	{                                                         \
		return iret(cpu, op, left, N / 8);                \
	}                                                         \
                                                                  \
	SOFT_HANDLER(retf##N)                                     \
	{                                                         \
		return far_return(cpu, op, left, N / 8);          \
	}                                                         \
                                                                  \
	SOFT_HANDLER(callf##N)                                    \
	{                                                         \
		return far_transfer(cpu, op, left, N / 8, true);  \
	}                                                         \
                                                                  \
	SOFT_HANDLER(jmpf##N)                                     \
	{                                                         \
		return far_transfer(cpu, op, left, N / 8, false); \
	}

FAR(16)
FAR(32)
FAR(64)

/* Flat segments, as SYSCALL and SYSRET load them without looking at any table. */
static struct kvm_segment flat(uint16_t selector, uint8_t cpl, bool code)
{
	return (struct kvm_segment){
		.selector = selector,
		.limit = UINT32_MAX,
		.type = code ? 11 : 3,
		.present = 1,
		.dpl = cpl,
		.db = !code,
		.s = 1,
		.l = code,
		.g = 1,
	};
}

SOFT_HANDLER(syscall)
{
	uint16_t selector = cpu->msr.star >> 32 & ~3u;
	struct kvm_segment cs = flat(selector, 0, true);

	soft_begin(cpu, op, left);
	if (!(cpu->efer & X86_EFER_SCE))
		return soft_raise(cpu, op, left, SOFT_UD);
	cpu->regs[SOFT_RCX] = soft_op_next(cpu, op);
	cpu->regs[SOFT_R8 + 3] = soft_cpu_rflags(cpu) & ~SOFT_RF;
	soft_cpu_set_rflags(cpu, soft_cpu_rflags(cpu) & ~(cpu->msr.fmask | SOFT_RF));
	cpu->segments[SOFT_SS] = flat(selector + 8, 0, false);
	soft_set_code(cpu, &cs, 0);
	return AGAIN(cpu->msr.lstar);
}

SOFT_HANDLER(sysret)
{
	uint16_t selector = (cpu->msr.star >> 48) + 16;
	struct kvm_segment cs = flat(selector | 3, 3, true);

	soft_begin(cpu, op, left);
	if (!(cpu->efer & X86_EFER_SCE))
		return soft_raise(cpu, op, left, SOFT_UD);
	if (cpu->cpl || !soft_canonical(cpu->regs[SOFT_RCX]))
		return soft_raise_gp(cpu, op, left, 0);
	soft_cpu_set_rflags(cpu, cpu->regs[SOFT_R8 + 3] & (SOFT_POPF_BITS | SOFT_RF));
	cpu->segments[SOFT_SS] = flat((selector - 8) | 3, 3, false);
	soft_set_code(cpu, &cs, 3);
	return AGAIN(cpu->regs[SOFT_RCX]);
}

#define ROW_FAR(name, shape, how, handler)                          \
	{                                                           \
		ZYDIS_MNEMONIC_##name, shape, how, true,            \
		{                                                   \
			NULL, handler##16, handler##32, handler##64 \
		}                                                   \
	}
#define M SOFT_SHAPE(M, NONE, NONE)
#define I SOFT_SHAPE(I, NONE, NONE)

const struct soft_form soft_forms_far[] = {
	{ZYDIS_MNEMONIC_IRET, 0, SOFT_FAR, true, SOFT_ANY(iret16)},
	{ZYDIS_MNEMONIC_IRETD, 0, SOFT_FAR, true, SOFT_ANY(iret32)},
	{ZYDIS_MNEMONIC_IRETQ, 0, SOFT_FAR, true, SOFT_ANY(iret64)},
	{ZYDIS_MNEMONIC_IRET, 0, SOFT_PLAIN, true, SOFT_ANY(iret16)},
	{ZYDIS_MNEMONIC_IRETD, 0, SOFT_PLAIN, true, SOFT_ANY(iret32)},
	{ZYDIS_MNEMONIC_IRETQ, 0, SOFT_PLAIN, true, SOFT_ANY(iret64)},
	ROW_FAR(RET, 0, SOFT_FAR, retf),
	ROW_FAR(RET, I, SOFT_FAR, retf),
	ROW_FAR(CALL, M, SOFT_FAR, callf),
	ROW_FAR(JMP, M, SOFT_FAR, jmpf),
	{ZYDIS_MNEMONIC_SYSCALL, 0, SOFT_PLAIN, true, SOFT_ANY(syscall)},
	{ZYDIS_MNEMONIC_SYSRET, 0, SOFT_PLAIN, true, {NULL, NULL, NULL, sysret}},
	{0},
};
