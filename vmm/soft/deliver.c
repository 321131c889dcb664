/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events through the IDT in IA-32e mode (SDM vol. 3A 6.14): the gate, the stack, the frame. What
 * faults on the way becomes a double fault or a shutdown (6.15, table 6-5). Every word of the
 * frame is probed before one is written, so delivery that fails or leaves can be begun again.
 */
#include "vmm/soft/segment.h"

#include "vmm/soft/exec.h"

#define TSS_RSP(level) (4 + 8 * (level))
#define TSS_IST(index) (0x24 + 8 * ((index)-1))
#define ERROR_IDT      2u

struct gate {
	uint16_t selector;
	uint8_t ist, type, dpl;
	bool present;
	uint64_t offset;
};

/* How a second exception while the first is delivered counts. */
enum severity { BENIGN, CONTRIBUTORY, PAGE_FAULT, DOUBLE_FAULT };

static enum severity severity_of(const struct soft_event *event)
{
	if (event->software)
		return BENIGN;
	switch (event->vector) {
	case SOFT_DE:
	case SOFT_TS:
	case SOFT_NP:
	case SOFT_SS_VECTOR:
	case SOFT_GP:
		return CONTRIBUTORY;
	case SOFT_PF_VECTOR:
		return PAGE_FAULT;
	case SOFT_DF_VECTOR:
		return DOUBLE_FAULT;
	default:
		return BENIGN;
	}
}

/* EXT: the event came from outside the program. */
static unsigned int ext_of(const struct soft_event *event)
{
	return event->software ? 0 : 1;
}

static bool idt_fault(struct soft_cpu *cpu, uint8_t vector, const struct soft_event *event)
{
	soft_cpu_raise(cpu, vector, true, event->vector * 8u | ERROR_IDT | ext_of(event));
	return false;
}

static bool read_gate(struct soft_cpu *cpu, const struct soft_event *event, struct gate *gate_out)
{
	uint64_t words[2], offset = event->vector * 16ull;

	if (offset + 15 > cpu->idt.limit)
		return idt_fault(cpu, SOFT_GP, event);
	if (!soft_read_as(cpu, cpu->idt.base + offset, sizeof(words), SOFT_SUPERVISOR, words))
		return false;
	*gate_out = (struct gate){
		.selector = words[0] >> 16,
		.ist = words[0] >> 32 & 7,
		.type = words[0] >> 40 & 0x1f,
		.dpl = words[0] >> 45 & 3,
		.present = words[0] >> 47 & 1,
		.offset = (words[0] & 0xffff) | (words[0] >> 48) << 16 | words[1] << 32,
	};
	if (gate_out->type != SOFT_TYPE_INTERRUPT && gate_out->type != SOFT_TYPE_TRAP)
		return idt_fault(cpu, SOFT_GP, event);
	if (event->software && gate_out->dpl < cpu->cpl)
		return idt_fault(cpu, SOFT_GP, event);
	return gate_out->present || idt_fault(cpu, SOFT_NP, event);
}

/* The handler's code segment, and the CPL it runs at. */
static bool read_code(struct soft_cpu *cpu, const struct soft_event *event, const struct gate *gate,
		      struct kvm_segment *cs_out, uint8_t *cpl_out)
{
	struct soft_descriptor descriptor;
	unsigned int ext = ext_of(event);

	if ((gate->selector & ~3u) == 0)
		return soft_selector_fault(cpu, SOFT_GP, 0, ext);
	if (!soft_descriptor_read(cpu, gate->selector, false, ext, &descriptor))
		return false;
	*cs_out = soft_segment_of(gate->selector, &descriptor);
	if (!cs_out->s || !(cs_out->type & 8) || cs_out->dpl > cpu->cpl || !cs_out->l || cs_out->db)
		return soft_selector_fault(cpu, SOFT_GP, gate->selector, ext);
	if (!cs_out->present)
		return soft_selector_fault(cpu, SOFT_NP, gate->selector, ext);
	*cpl_out = cs_out->type & 4 ? cpu->cpl : cs_out->dpl;
	return true;
}

static bool read_task(struct soft_cpu *cpu, const struct soft_event *event, uint32_t offset,
		      uint64_t *rsp_out)
{
	if (offset + 7 > cpu->tr.limit)
		return soft_selector_fault(cpu, SOFT_TS, cpu->tr.selector, ext_of(event));
	return soft_read_as(cpu, cpu->tr.base + offset, 8, SOFT_SUPERVISOR, rsp_out);
}

/* Where the frame begins, downwards. */
static bool find_stack(struct soft_cpu *cpu, const struct soft_event *event,
		       const struct gate *gate, uint8_t cpl, uint64_t *rsp_out)
{
	uint64_t rsp = cpu->regs[SOFT_RSP];

	if (gate->ist) {
		if (!read_task(cpu, event, TSS_IST(gate->ist), &rsp))
			return false;
	} else if (cpl < cpu->cpl) {
		if (!read_task(cpu, event, TSS_RSP(cpl), &rsp))
			return false;
	}
	if (!soft_canonical(rsp - 1) || !soft_canonical(rsp - 48))
		return soft_selector_fault(cpu, SOFT_SS_VECTOR, 0, ext_of(event));
	*rsp_out = rsp & ~15ull;
	return true;
}

static bool push_frame(struct soft_cpu *cpu, const struct soft_event *event, uint8_t cpl,
		       uint64_t *rsp)
{
	enum soft_class class = cpl == 3 ? SOFT_USER : SOFT_SUPERVISOR;
	uint64_t frame[6], *word = frame;
	bool fault =
		!event->software && event->vector < 32 && event->vector != SOFT_NMI && !event->trap;
	size_t bytes;

	if (event->has_error)
		*word++ = event->error;
	*word++ = cpu->rip + event->length;
	*word++ = cpu->segments[SOFT_CS].selector;
	/* RF: so that the instruction that faulted does not hit its breakpoint again. */
	*word++ = soft_cpu_rflags(cpu) | (fault && !event->external ? SOFT_RF : 0);
	*word++ = cpu->regs[SOFT_RSP];
	*word++ = cpu->segments[SOFT_SS].selector;
	bytes = (word - frame) * sizeof(frame[0]);
	for (size_t at = 8; at <= bytes; at += 8)
		if (!soft_probe_as(cpu, *rsp - at, 8, class))
			return false;
	for (size_t at = 0; at < bytes; at += 8)
		if (!soft_write_as(cpu, *rsp - bytes + at, 8, class, &frame[at / 8]))
			return false;
	*rsp -= bytes;
	return true;
}

static bool try_deliver(struct soft_cpu *cpu, const struct soft_event *event)
{
	struct gate gate;
	struct kvm_segment cs;
	uint64_t rsp = 0;
	uint8_t cpl = 0;

	if (!read_gate(cpu, event, &gate) || !read_code(cpu, event, &gate, &cs, &cpl) ||
	    !find_stack(cpu, event, &gate, cpl, &rsp))
		return false;
	if (!soft_canonical(gate.offset))
		return soft_selector_fault(cpu, SOFT_GP, 0, ext_of(event));
	if (!push_frame(cpu, event, cpl, &rsp))
		return false;
	if (cpl != cpu->cpl)
		cpu->segments[SOFT_SS] = soft_segment_null(cpl);
	soft_set_code(cpu, &cs, cpl);
	cpu->regs[SOFT_RSP] = rsp;
	cpu->rip = gate.offset;
	soft_cpu_set_rflags(cpu, soft_cpu_rflags(cpu) &
					 ~(SOFT_TF | SOFT_NT | SOFT_RF |
					   (gate.type == SOFT_TYPE_INTERRUPT ? SOFT_IF : 0)));
	return true;
}

/* What @second, raised while @first was delivered, makes of it. */
static void combine(struct soft_cpu *cpu, const struct soft_event *first)
{
	enum severity one = severity_of(first), two = severity_of(&cpu->event);

	if (one == DOUBLE_FAULT && two != BENIGN) {
		cpu->shut_down = true;
		cpu->event.pending = false;
	} else if ((one == CONTRIBUTORY && two == CONTRIBUTORY) ||
		   (one == PAGE_FAULT && (two == CONTRIBUTORY || two == PAGE_FAULT))) {
		cpu->event = (struct soft_event){
			.pending = true, .vector = SOFT_DF_VECTOR, .has_error = true};
	}
}

bool soft_deliver(struct soft_cpu *cpu)
{
	struct soft_event event = cpu->event;

	cpu->op = NULL;
	cpu->exit = SOFT_EXIT_AGAIN;
	cpu->event.pending = false;
	if (event.vector == SOFT_PF_VECTOR && event.has_error && !event.software)
		cpu->cr2 = event.cr2;
	if (try_deliver(cpu, &event)) {
		cpu->shadow = false;
		return true;
	}
	if (cpu->event.pending)
		combine(cpu, &event);
	else
		cpu->event = event; /* it left: the same again when it is back */
	return false;
}
