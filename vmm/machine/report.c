/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known about a dead guest: where it was, found through its own page tables. */
#include "vmm/machine/report.h"

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

static const struct {
	uint16_t opcode;
	const char *name;
} opcodes[] = {
	{NB_OP_NOP, "nop"},
	{NB_OP_VMALLOC, "vmalloc"},
	{NB_OP_VFREE, "vfree"},
	{NB_OP_GET_VM_AREA, "get-vm-area"},
	{NB_OP_FREE_VM_AREA, "free-vm-area"},
	{NB_OP_PURGE, "purge"},
	{NB_OP_SET_MODE, "set-mode"},
	{NB_OP_VMALLOC_TO_PAGE, "vmalloc-to-page"},
	{NB_OP_STATS, "stats"},
	{NB_OP_BENCH, "bench"},
	{NB_OP_SET_RULES, "set-rules"},
	{NB_OP_SET_SHAPE, "set-shape"},
	{NB_OP_RELEASE, "release"},
	{NB_OP_ALLOC_PAGES, "alloc-pages"},
	{NB_OP_FREE_PAGES, "free-pages"},
	{NB_OP_KMALLOC, "kmalloc"},
	{NB_OP_KFREE, "kfree"},
	{NB_OP_VMALLOC_CALL, "vmalloc-call"},
	{NB_OP_VMALLOC_AREA, "vmalloc-area"},
	{NB_OP_GET_VM_AREA_WINDOW, "get-vm-area-window"},
	{NB_OP_FIND_VM_AREA, "find-vm-area"},
	{NB_OP_REMOVE_VM_AREA, "remove-vm-area"},
	{NB_OP_ALLOC_VM_AREA, "alloc-vm-area"},
	{NB_OP_MAP_VM_AREA, "map-vm-area"},
	{NB_OP_UNMAP_KERNEL_RANGE, "unmap-kernel-range"},
	{NB_OP_UNMAP_VM_AREA, "unmap-vm-area"},
	{NB_OP_VMAP, "vmap"},
	{NB_OP_VUNMAP, "vunmap"},
	{NB_OP_VREAD, "vread"},
	{NB_OP_VWRITE, "vwrite"},
	{NB_OP_PROCESS_CREATE, "process-create"},
	{NB_OP_PROCESS_DESTROY, "process-destroy"},
	{NB_OP_VMA_CREATE, "vma-create"},
	{NB_OP_VMA_DESTROY, "vma-destroy"},
	{NB_OP_VM_INSERT_PAGE, "vm-insert-page"},
	{NB_OP_REMAP_VMALLOC_RANGE, "remap-vmalloc-range"},
	{NB_OP_VMALLOC_SYNC_ALL, "vmalloc-sync-all"},
	{NB_OP_USER_RUN, "user-run"},
	{NB_OP_PROBE, "probe"},
	{NB_OP_SET_FAULT, "set-fault"},
	{NB_OP_CACHE_FLUSHES, "cache-flushes"},
	{NB_OP_TEST_PANIC, "test-panic"},
	{NB_OP_TEST_FAULT, "test-fault"},
	{NB_OP_TEST_SPIN, "test-spin"},
	{NB_OP_TEST_UD, "test-ud"},
	{NB_OP_TEST_WARN, "test-warn"},
	{NB_OP_TEST_TRIPLE, "test-triple"},
	{NB_OP_TEST_IO, "test-io"},
	{NB_OP_TEST_EMULATE, "test-emulate"},
	{NB_OP_TEST_SKIP_FLUSH, "test-skip-flush"},
	{NB_OP_TEST_LOG, "test-log"},
	{NB_OP_TEST_TOUCH, "test-touch"},
};

const char *report_opcode_name(uint16_t opcode, char text[REPORT_OPCODE_BYTES])
{
	for (size_t i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
		if (opcodes[i].opcode == opcode) {
			snprintf(text, REPORT_OPCODE_BYTES, "%s", opcodes[i].name);
			return text;
		}
	}
	snprintf(text, REPORT_OPCODE_BYTES, "opcode %#x", opcode);
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
