/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known about a dead guest: where it was, found through its own page tables. */
#include "vmm/machine/report.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "mm/x86.h"

/* Words of the stack looked at for return addresses. */
#define STACK_WORDS 512

const char *report_kind_name(enum report_kind kind)
{
	static const char *const names[REPORT_KINDS] = {
		[REPORT_PANIC] = "panic",
		[REPORT_TRAP] = "trap",
		[REPORT_STUCK] = "stuck",
		[REPORT_TRIPLE_FAULT] = "triple-fault",
		[REPORT_EMULATION] = "emulation",
		[REPORT_PORT] = "port",
		[REPORT_MMIO] = "mmio",
		[REPORT_ENTRY] = "entry",
		[REPORT_EXIT] = "exit",
		[REPORT_RING] = "ring",
		[REPORT_KVM] = "kvm",
		[REPORT_DENIED] = "denied",
		[REPORT_USE_AFTER_FREE] = "use-after-free",
		[REPORT_CHECK] = "check",
		[REPORT_ENDED] = "ended",
	};

	return (unsigned int)kind < REPORT_KINDS ? names[kind] : "unknown";
}

/* Those there are, named as guest/abi.h has them. */
#define OPCODES(X)                                                                              \
	X(NOP), X(VMALLOC), X(VFREE), X(GET_VM_AREA), X(FREE_VM_AREA), X(PURGE), X(SET_MODE),   \
		X(VMALLOC_TO_PAGE), X(STATS), X(BENCH), X(SET_RULES), X(SET_SHAPE), X(RELEASE), \
		X(ALLOC_PAGES), X(FREE_PAGES), X(KMALLOC), X(KFREE), X(VMALLOC_CALL),           \
		X(VMALLOC_AREA), X(GET_VM_AREA_WINDOW), X(FIND_VM_AREA), X(REMOVE_VM_AREA),     \
		X(ALLOC_VM_AREA), X(MAP_VM_AREA), X(UNMAP_KERNEL_RANGE), X(UNMAP_VM_AREA),      \
		X(VMAP), X(VUNMAP), X(VREAD), X(VWRITE), X(PROCESS_CREATE), X(PROCESS_DESTROY), \
		X(VMA_CREATE), X(VMA_DESTROY), X(VM_INSERT_PAGE), X(REMAP_VMALLOC_RANGE),       \
		X(VMALLOC_SYNC_ALL), X(USER_RUN), X(PROBE), X(SET_FAULT), X(CACHE_FLUSHES),     \
		X(TEST_PANIC), X(TEST_FAULT), X(TEST_SPIN), X(TEST_UD), X(TEST_WARN),           \
		X(TEST_TRIPLE), X(TEST_IO), X(TEST_EMULATE), X(TEST_SKIP_FLUSH), X(TEST_LOG),   \
		X(TEST_TOUCH)

#define OPCODE(name)                \
	{                           \
		NB_OP_##name, #name \
	}

static const struct {
	uint16_t opcode;
	const char *name;
} opcodes[] = {OPCODES(OPCODE)};

const char *report_opcode_name(uint16_t opcode, char text[REPORT_OPCODE_BYTES])
{
	size_t i = 0;

	while (i < sizeof(opcodes) / sizeof(opcodes[0]) && opcodes[i].opcode != opcode)
		i++;
	if (i == sizeof(opcodes) / sizeof(opcodes[0])) {
		snprintf(text, REPORT_OPCODE_BYTES, "opcode %#x", opcode);
		return text;
	}
	snprintf(text, REPORT_OPCODE_BYTES, "%s", opcodes[i].name);
	for (char *c = text; *c; c++)
		*c = *c == '_' ? '-' : (char)tolower((unsigned char)*c);
	return text;
}

/* ---- the stack ---- */

/*
 * Whether the bytes before @address, in an executable segment of the image file, end in a call:
 * E8 rel32, or FF /2 in its lengths of 2 to 7 bytes (SDM vol. 2A, CALL).
 */
static bool follows_call(const struct image *image, uint64_t address)
{
	const struct image_segment *segment = image_segment_find(image, gva_make(address));
	const uint8_t *end;
	uint64_t offset;

	if (!segment || !segment->executable)
		return false;
	offset = address - segment->start.value;
	if (offset < 7 || offset > segment->file_bytes)
		return false;
	end = segment->bytes + offset;
	if (end[-5] == 0xe8)
		return true;
	for (int length = 2; length <= 7; length++) {
		if (end[-length] == 0xff && (end[-length + 1] >> 3 & 7) == 2)
			return true;
	}
	return false;
}

size_t report_callers(const struct report_view *view, uint64_t rsp,
		      uint64_t callers[REPORT_CALLERS])
{
	uint64_t words[STACK_WORDS];
	size_t count, found = 0;

	if (rsp % sizeof(words[0]))
		return 0;
	count = gpa_space_read_virtual(view->space, view->mode, gva_make(rsp), words,
				       sizeof(words)) /
		sizeof(words[0]);
	for (size_t i = 0; i < count && found < REPORT_CALLERS; i++)
		if (follows_call(view->image, words[i]))
			callers[found++] = words[i];
	return found;
}

static bool read_stack(void *context, uint64_t address, uint64_t *word_out)
{
	const struct report_view *view = context;

	return gpa_space_read_virtual(view->space, view->mode, gva_make(address), word_out,
				      sizeof(*word_out)) == sizeof(*word_out);
}

void report_take_trace(const struct report_view *view, const uint64_t regs[NR_REGS],
		       struct backtrace *trace_out)
{
	/* Read only, through a callback of any context. */
	void *context = (void *)(uintptr_t)view;

	backtrace_take(view->traces, regs, read_stack, context, trace_out);
}

void report_locate(struct guest_report *report, const struct report_view *view,
		   const uint64_t now[NR_REGS])
{
	uint64_t rip = report->regs[REGS_RIP];
	bool gave_up = report->kind == REPORT_PANIC;

	/* A panic's RIP is a return address, which may be the next function's: name the call. */
	image_place(view->image, gave_up ? rip - 1 : rip, report->where);
	report->nr_code = gpa_space_read_virtual(view->space, view->mode, gva_make(rip),
						 report->code, sizeof(report->code));
	report->nr_callers = report_callers(view, report->regs[REGS_RSP], report->callers);
	/* The call itself is what is named: the address may be another function's. */
	for (size_t i = 0; i < report->nr_callers; i++)
		image_place(view->image, report->callers[i] - 1, report->caller_places[i]);
	report_take_trace(view, gave_up ? now : report->regs, &report->trace);
	if (gave_up)
		backtrace_start_at(&report->trace, rip);
	report->have_trace = true;
}
