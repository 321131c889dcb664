/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop around the handlers: events before instructions, chunks of instructions, and what ends
 * them. A chunk is one instruction long where something is to be looked at after each one: in a
 * shadow, in single steps, with breakpoints armed, and while an instruction is done again whose
 * accesses have been answered.
 */
#include "vmm/soft/exec.h"
#include "vmm/soft/segment.h"

/* Kicks are looked at between chunks; without tail calls a chunk's handlers nest this deep. */
#define CHUNK_MAX 4096

/* R/W and LEN of breakpoint @i in DR7 (SDM vol. 3B 17.2.4). */
#define DR7_ENABLED(dr7, i) ((dr7) >> 2 * (i)&3)
#define DR7_TYPE(dr7, i)    ((dr7) >> (16 + 4 * (i)) & 3)
#define DR7_BYTES(dr7, i)   ((dr7) >> (18 + 4 * (i)) & 3)
#define TYPE_EXECUTE        0
#define TYPE_WRITE          1
#define TYPE_READ           2 /* a debugger's; the SDM has no meaning for it without CR4.DE */

static uint64_t watched_bytes(uint64_t dr7, unsigned int i)
{
	static const uint8_t bytes[] = {1, 2, 8, 4};

	return bytes[DR7_BYTES(dr7, i)];
}

static bool is_armed(const struct soft_cpu *cpu)
{
	return ((cpu->dr7 | cpu->debug_dr7) & 0xff) != 0;
}

static void mark_watched(struct soft_line *line, const uint64_t dr[4], uint64_t dr7)
{
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t page = dr[i] & ~(X86_PAGE_SIZE - 1);

		if (!DR7_ENABLED(dr7, i) || DR7_TYPE(dr7, i) == TYPE_EXECUTE)
			continue;
		if (line->read != SOFT_LINE_NONE && (line->read & ~SOFT_LINE_MARKS) == page)
			line->read |= SOFT_LINE_WATCH;
		if (line->write != SOFT_LINE_NONE && (line->write & ~SOFT_LINE_MARKS) == page)
			line->write |= SOFT_LINE_WATCH;
	}
}

void soft_watch_mark(struct soft_cpu *cpu, struct soft_line *line)
{
	if (!is_armed(cpu))
		return;
	mark_watched(line, cpu->dr, cpu->dr7);
	mark_watched(line, cpu->debug_dr, cpu->debug_dr7);
}

/* Bits of the watched addresses that an access touches. */
static uint64_t touched(const uint64_t dr[4], uint64_t dr7, uint64_t gva, size_t bytes,
			enum soft_access access)
{
	uint64_t hits = 0;

	for (unsigned int i = 0; i < 4; i++) {
		uint64_t size = watched_bytes(dr7, i), start = dr[i] & ~(size - 1);

		if (!DR7_ENABLED(dr7, i) || DR7_TYPE(dr7, i) == TYPE_EXECUTE)
			continue;
		if (DR7_TYPE(dr7, i) == TYPE_WRITE && !soft_access_writes(access))
			continue;
		if (DR7_TYPE(dr7, i) == TYPE_READ && access == SOFT_STORE)
			continue;
		if (gva < start + size && start < gva + bytes)
			hits |= 1ull << i;
	}
	return hits;
}

void soft_watch(struct soft_cpu *cpu, uint64_t gva, size_t bytes, enum soft_access access)
{
	cpu->watch_dr6 |= touched(cpu->dr, cpu->dr7, gva, bytes, access);
	cpu->watch_debug |= touched(cpu->debug_dr, cpu->debug_dr7, gva, bytes, access);
}

static uint64_t execute_hits(const uint64_t dr[4], uint64_t dr7, uint64_t rip)
{
	uint64_t hits = 0;

	for (unsigned int i = 0; i < 4; i++)
		if (DR7_ENABLED(dr7, i) && DR7_TYPE(dr7, i) == TYPE_EXECUTE && dr[i] == rip)
			hits |= 1ull << i;
	return hits;
}

static int debug_stop(struct soft_cpu *cpu, uint64_t dr6)
{
	cpu->debug_hit.vector = SOFT_DB;
	cpu->debug_hit.pc = cpu->rip;
	cpu->debug_hit.dr6 = SOFT_DR6_FIXED | dr6;
	cpu->debug_hit.dr7 = cpu->debug_dr7 | SOFT_DR7_FIXED;
	return SOFT_STOP_DEBUG;
}

static void raise_debug(struct soft_cpu *cpu, uint64_t dr6, bool trap)
{
	cpu->dr6 = (cpu->dr6 & ~15ull) | dr6;
	cpu->event = (struct soft_event){.pending = true, .vector = SOFT_DB, .trap = trap};
}

/* Breakpoints on the instruction to come; RF lets it through once. */
static int before_instruction(struct soft_cpu *cpu)
{
	uint64_t hits = execute_hits(cpu->debug_dr, cpu->debug_dr7, cpu->rip);

	if (cpu->rflags & SOFT_RF)
		return SOFT_EXIT_AGAIN;
	if (hits)
		return debug_stop(cpu, hits);
	hits = execute_hits(cpu->dr, cpu->dr7, cpu->rip);
	if (hits)
		raise_debug(cpu, hits, false);
	return SOFT_EXIT_AGAIN;
}

/* Traps after an instruction that was done with TF @stepped, or touched a watched address. */
static int after_instruction(struct soft_cpu *cpu, bool stepped, int exit)
{
	uint64_t dr6 = cpu->watch_dr6 | (stepped ? SOFT_DR6_BS : 0);

	if (dr6 && !cpu->event.pending)
		raise_debug(cpu, dr6, true);
	if (exit != SOFT_EXIT_AGAIN)
		return exit;
	if (cpu->watch_debug || cpu->debug_step)
		return debug_stop(cpu, cpu->watch_debug | (cpu->debug_step ? SOFT_DR6_BS : 0));
	return exit;
}

static struct soft_op *first_op(struct soft_cpu *cpu)
{
	struct soft_line *line = soft_fetch(cpu, cpu->rip);
	struct soft_op *op;

	if (!line)
		return NULL;
	if (!line->page)
		line->page = soft_page_new(cpu->code, line->host);
	op = line->page ? soft_page_op(cpu->code, line->page, cpu->rip % X86_PAGE_SIZE) : NULL;
	if (!op)
		soft_unknown(cpu, 0);
	return op;
}

/* Up to @count instructions from cpu->rip on. Returns cpu->exit. */
static int run_chunk(struct soft_cpu *cpu, int64_t count)
{
	struct soft_op *op;

	soft_code_reap(cpu->code);
	cpu->op = NULL;
	cpu->exit = SOFT_EXIT_AGAIN;
	cpu->answer_next = 0;
	op = first_op(cpu);
	if (!op)
		return cpu->exit;
	cpu->regs[SOFT_PAGE] = cpu->rip & ~(X86_PAGE_SIZE - 1);
	cpu->left = count;
	cpu->chunk_end = cpu->instructions + count;
	do {
		op = op->run(cpu, op, cpu->left);
	} while (op && cpu->left > 0);
	cpu->instructions = cpu->chunk_end - cpu->left;
	if (!op)
		return cpu->exit;
	cpu->rip = soft_op_rip(cpu, op);
	return SOFT_EXIT_AGAIN;
}

static bool wants_steps(const struct soft_cpu *cpu)
{
	return cpu->debug_step || (cpu->rflags & (SOFT_TF | SOFT_RF)) || is_armed(cpu) ||
	       cpu->answer_count;
}

/* One instruction with all that may be around it. */
static int step(struct soft_cpu *cpu)
{
	uint64_t stepped = cpu->rflags & SOFT_TF, resume = cpu->rflags & SOFT_RF;
	uint64_t before = cpu->instructions;
	bool quiet = cpu->quiet;
	int exit = quiet ? SOFT_EXIT_AGAIN : before_instruction(cpu);

	if (exit != SOFT_EXIT_AGAIN || cpu->event.pending)
		return exit;
	/* What the one before touched is told of now. */
	cpu->watch_dr6 = quiet ? cpu->watch_dr6 : 0;
	cpu->watch_debug = quiet ? cpu->watch_debug : 0;
	cpu->quiet = false;
	cpu->rflags &= ~SOFT_RF;
	exit = run_chunk(cpu, 1);
	if (cpu->instructions == before) {
		cpu->rflags |= resume;
		cpu->quiet = quiet && !cpu->event.pending;
		return exit;
	}
	cpu->answer_count = 0;
	return cpu->quiet ? exit : after_instruction(cpu, stepped, exit);
}

/* Takes an NMI or an interrupt, if one may be taken now. */
static void take_interrupt(struct soft_cpu *cpu)
{
	int vector = -1;

	if (cpu->nmi && !cpu->nmi_masked) {
		cpu->nmi = false;
		cpu->nmi_masked = true;
		vector = SOFT_NMI;
	} else if (cpu->rflags & SOFT_IF) {
		vector = cpu->ops->interrupt(cpu);
	}
	if (vector < 0)
		return;
	cpu->halted = false;
	cpu->event = (struct soft_event){.pending = true, .vector = vector, .external = true};
}

/* What was brought for the stop before becomes an answer, if the instruction is still the one. */
static void take_answer(struct soft_cpu *cpu)
{
	if (!cpu->io_waits)
		return;
	cpu->io_waits = false;
	if (cpu->rip != cpu->io_rip)
		cpu->answer_count = 0;
	else
		cpu->answers[cpu->answer_count++] = cpu->io;
}

/* Between instructions: events. Returns a stop, or SOFT_EXIT_AGAIN to go on. */
static int attend(struct soft_cpu *cpu, bool shadow)
{
	if (cpu->shut_down)
		return SOFT_STOP_SHUTDOWN;
	if (__atomic_exchange_n(&cpu->kick, false, __ATOMIC_RELAXED))
		return SOFT_STOP_KICK;
	if (!cpu->event.pending && !shadow && !cpu->answer_count)
		take_interrupt(cpu);
	if (cpu->halted && !cpu->event.pending)
		return SOFT_STOP_HLT;
	return SOFT_EXIT_AGAIN;
}

static int deliver(struct soft_cpu *cpu)
{
	cpu->answer_next = 0;
	cpu->deliveries++;
	if (soft_deliver(cpu))
		cpu->answer_count = 0;
	return cpu->exit;
}

static int run_some(struct soft_cpu *cpu, uint64_t budget)
{
	bool shadow = cpu->shadow;
	int exit = attend(cpu, shadow);

	if (exit != SOFT_EXIT_AGAIN)
		return exit;
	if (cpu->event.pending)
		return deliver(cpu);
	cpu->shadow = false;
	if (wants_steps(cpu))
		return step(cpu);
	if (shadow)
		budget = 1;
	return run_chunk(cpu, budget < CHUNK_MAX ? budget : CHUNK_MAX);
}

/* Deliveries take from the budget, so that a processor that only faults ends as well. */
enum soft_stop soft_cpu_run(struct soft_cpu *cpu, uint64_t budget)
{
	uint64_t start = cpu->instructions + cpu->deliveries, used;
	int exit;

	take_answer(cpu);
	do {
		used = cpu->instructions + cpu->deliveries - start;
		if (used >= budget)
			return SOFT_STOP_BUDGET;
		exit = run_some(cpu, budget - used);
	} while (exit == SOFT_EXIT_AGAIN);
	if (cpu->io_waits)
		cpu->io_rip = cpu->rip;
	return exit;
}
