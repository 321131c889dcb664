/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The unwinder: one rule after the other of the image's call frame information, which libdw finds
 * and decodes, applied to registers and stack. Registers have DWARF's numbers here (System V ABI,
 * AMD64 supplement, figure 3.36); 16 is the return address.
 */
#include "vmm/image/backtrace.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <libelf.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define DWARF_REGS 17u
#define REG_RSP    7u
#define REG_RETURN 16u
#define STACK_MAX  8u /* of a DWARF expression */

struct backtrace_source {
	const struct image *image;
	pthread_mutex_t lock; /* all below, and whatever libdw does */
	bool opened;
	Elf *elf;
	Dwarf *dwarf;   /* NULL: no debug information */
	Dwarf_CFI *cfi; /* the Dwarf's; NULL: no call frame information */
};

/* The state of one function: where it is and what it would return to. */
struct state {
	uint64_t reg[DWARF_REGS];
	uint32_t known; /* a bit for each register */
	bool exact;
	backtrace_read_fn read;
	void *context;
};

/* What a DWARF expression is evaluated with. */
struct machine {
	const struct state *state;
	bool have_cfa;
	uint64_t cfa;
	uint64_t stack[STACK_MAX];
	size_t depth;
	bool is_value; /* the result is the value itself, not where it is */
};

/* ---- the source ---- */

int backtrace_source_create(const struct image *image, struct backtrace_source **source_out)
{
	struct backtrace_source *source = calloc(1, sizeof(*source));

	if (!source)
		return -ENOMEM;
	source->image = image;
	pthread_mutex_init(&source->lock, NULL);
	*source_out = source;
	return 0;
}

void backtrace_source_destroy(struct backtrace_source *source)
{
	if (!source)
		return;
	if (source->dwarf)
		dwarf_end(source->dwarf);
	if (source->elf)
		elf_end(source->elf);
	pthread_mutex_destroy(&source->lock);
	free(source);
}

/* What cannot be opened is not there: the backtrace says so. */
static void open_source(struct backtrace_source *source)
{
	/* libelf does not write to an image it was not asked to. */
	char *bytes = (char *)(uintptr_t)source->image->bytes;

	if (source->opened)
		return;
	source->opened = true;
	elf_version(EV_CURRENT);
	source->elf = elf_memory(bytes, source->image->size_bytes);
	if (source->elf)
		source->dwarf = dwarf_begin_elf(source->elf, DWARF_C_READ, NULL);
	if (source->dwarf)
		source->cfi = dwarf_getcfi(source->dwarf);
}

/* ---- expressions ---- */

static bool push(struct machine *machine, uint64_t value)
{
	if (machine->depth == STACK_MAX)
		return false;
	machine->stack[machine->depth++] = value;
	return true;
}

static bool push_register(struct machine *machine, uint64_t number, uint64_t offset)
{
	if (number >= DWARF_REGS || !(machine->state->known & 1u << number))
		return false;
	return push(machine, machine->state->reg[number] + offset);
}

static bool run_operation(struct machine *machine, const Dwarf_Op *op)
{
	uint64_t *top = machine->depth ? &machine->stack[machine->depth - 1] : NULL;

	if (op->atom >= DW_OP_breg0 && op->atom <= DW_OP_breg31)
		return push_register(machine, op->atom - DW_OP_breg0, op->number);
	if (op->atom >= DW_OP_reg0 && op->atom <= DW_OP_reg31) {
		machine->is_value = true;
		return push_register(machine, op->atom - DW_OP_reg0, 0);
	}
	switch (op->atom) {
	case DW_OP_bregx:
		return push_register(machine, op->number, op->number2);
	case DW_OP_regx:
		machine->is_value = true;
		return push_register(machine, op->number, 0);
	case DW_OP_call_frame_cfa:
		return machine->have_cfa && push(machine, machine->cfa);
	case DW_OP_plus_uconst:
		if (top)
			*top += op->number;
		return top != NULL;
	case DW_OP_stack_value:
		machine->is_value = true;
		return top != NULL;
	default:
		return false; /* compilers and guest/ *.S need no others */
	}
}

/* The value on top of the stack after @nr_ops operations; false where one is not understood. */
static bool evaluate(struct machine *machine, const Dwarf_Op *ops, size_t nr_ops,
		     uint64_t *value_out)
{
	for (size_t i = 0; i < nr_ops; i++) {
		if (!run_operation(machine, &ops[i]))
			return false;
	}
	if (machine->depth == 0)
		return false;
	*value_out = machine->stack[machine->depth - 1];
	return true;
}

static bool read_word(const struct state *state, uint64_t address, uint64_t *word_out)
{
	return address % sizeof(*word_out) == 0 && state->read(state->context, address, word_out);
}

/* ---- one step outward ---- */

/* The caller's register @number, as @frame's rule has it. BACKTRACE_WHOLE: go on. */
static enum backtrace_end restore(const struct state *now, Dwarf_Frame *frame, uint64_t cfa,
				  unsigned int number, struct state *caller)
{
	struct machine machine = {.state = now, .have_cfa = true, .cfa = cfa};
	Dwarf_Op memory[3], *ops;
	uint64_t value;
	size_t nr_ops;

	if (dwarf_frame_register(frame, (int)number, memory, &ops, &nr_ops) != 0)
		return BACKTRACE_UNKNOWN;
	if (nr_ops == 0 && ops == memory)
		return BACKTRACE_WHOLE; /* undefined: it stays unknown */
	if (nr_ops == 0) {
		caller->reg[number] = now->reg[number];
		caller->known |= now->known & 1u << number;
		return BACKTRACE_WHOLE;
	}
	if (!evaluate(&machine, ops, nr_ops, &value))
		return BACKTRACE_UNKNOWN;
	if (!machine.is_value && value % sizeof(value))
		return BACKTRACE_BAD_STACK;
	if (!machine.is_value && !read_word(now, value, &value))
		return BACKTRACE_UNREADABLE;
	caller->reg[number] = value;
	caller->known |= 1u << number;
	return BACKTRACE_WHOLE;
}

/*
 * Makes *@state its caller's. A function's CFA lies above what it has pushed; only what the
 * processor pushed for an exception (@frame is then marked as a signal frame) may lead elsewhere.
 */
static enum backtrace_end apply(Dwarf_Frame *frame, struct state *state)
{
	struct machine machine = {.state = state};
	struct state caller = {.read = state->read, .context = state->context};
	uint64_t cfa, before = state->reg[REG_RSP];
	enum backtrace_end err;
	Dwarf_Addr start, end;
	Dwarf_Op *ops;
	size_t nr_ops;
	bool signal = false;

	if (dwarf_frame_info(frame, &start, &end, &signal) != (int)REG_RETURN ||
	    dwarf_frame_cfa(frame, &ops, &nr_ops) != 0 || nr_ops == 0 ||
	    !evaluate(&machine, ops, nr_ops, &cfa))
		return BACKTRACE_UNKNOWN;
	if (cfa % sizeof(uint64_t) || (!signal && cfa <= before))
		return BACKTRACE_BAD_STACK;
	for (unsigned int i = 0; i < DWARF_REGS; i++) {
		err = restore(state, frame, cfa, i, &caller);
		if (err != BACKTRACE_WHOLE)
			return err;
	}
	/* Without a rule of its own, the stack pointer is the CFA, by the ABI. */
	if (!signal || !(caller.known & 1u << REG_RSP))
		caller.reg[REG_RSP] = cfa;
	caller.known |= 1u << REG_RSP;
	caller.exact = signal;
	*state = caller;
	return BACKTRACE_WHOLE;
}

/* Only what stands in the image's code can be a function. */
static bool is_code(const struct image *image, const struct state *state)
{
	uint64_t address = state->reg[REG_RETURN] - !state->exact;
	const struct image_segment *segment = image_segment_find(image, gva_make(address));

	return segment && segment->executable;
}

static enum backtrace_end step(struct backtrace_source *source, struct state *state)
{
	enum backtrace_end end;
	Dwarf_Frame *frame;

	if (!source->cfi ||
	    dwarf_cfi_addrframe(source->cfi, state->reg[REG_RETURN] - !state->exact, &frame) != 0)
		return BACKTRACE_NO_INFO;
	end = apply(frame, state);
	free(frame);
	return end;
}

/* A jump to where no code is comes from a call, as a rule, which has just pushed its return. */
static enum backtrace_end step_from_nowhere(struct state *state)
{
	uint64_t rsp = state->reg[REG_RSP];

	if (!read_word(state, rsp, &state->reg[REG_RETURN]))
		return BACKTRACE_NOT_CODE;
	state->reg[REG_RSP] = rsp + sizeof(uint64_t);
	state->exact = false;
	return BACKTRACE_WHOLE;
}

static enum backtrace_end walk(struct backtrace_source *source, struct state *state,
			       struct backtrace *trace)
{
	enum backtrace_end end = BACKTRACE_WHOLE;

	backtrace_append(trace, source->image, source->dwarf, state->reg[REG_RETURN], true);
	if (!is_code(source->image, state))
		end = step_from_nowhere(state);
	else
		end = step(source, state);
	while (end == BACKTRACE_WHOLE && state->known & 1u << REG_RETURN) {
		if (!is_code(source->image, state))
			return BACKTRACE_NOT_CODE;
		if (trace->nr_frames == BACKTRACE_FRAMES_MAX)
			return BACKTRACE_TOO_LONG;
		backtrace_append(trace, source->image, source->dwarf, state->reg[REG_RETURN],
				 state->exact);
		end = step(source, state);
	}
	return end;
}

void backtrace_take(struct backtrace_source *source, const uint64_t regs[NR_REGS],
		    backtrace_read_fn read, void *context, struct backtrace *trace_out)
{
	/* DWARF's number of each register of @regs. */
	static const unsigned char number[NR_REGS - 1] = {0, 3,  2,  1,  4,  5,  6,  7,         8,
							  9, 10, 11, 12, 13, 14, 15, REG_RETURN};
	struct state state = {
		.known = (1u << DWARF_REGS) - 1, .exact = true, .read = read, .context = context};

	for (size_t i = 0; i < NR_REGS - 1; i++)
		state.reg[number[i]] = regs[i];
	memset(trace_out, 0, sizeof(*trace_out));
	pthread_mutex_lock(&source->lock);
	open_source(source);
	trace_out->end = walk(source, &state, trace_out);
	pthread_mutex_unlock(&source->lock);
}

void backtrace_start_at(struct backtrace *trace, uint64_t address)
{
	size_t first = 0;

	while (first < trace->nr_frames && trace->frame[first].address != address)
		first++;
	if (first == trace->nr_frames)
		return;
	trace->nr_frames -= first;
	memmove(trace->frame, trace->frame + first, trace->nr_frames * sizeof(trace->frame[0]));
}
