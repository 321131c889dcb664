/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every way out of KVM_RUN. The guest has the ports of guest/abi.h; whatever else brings it out is
 * the end of it, and is said in words.
 */
#include "vmm/machine/exit.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "guest/abi.h"
#include "mm/x86.h"
#include "lib/printable.h"
#include "vmm/machine/checks.h"
#include "vmm/machine/debug_exit.h"
#include "vmm/machine/vcpu_report.h"
#include "vmm/machine/vm.h"
#include "vmm/soft/check.h"

/* Linux 6.8; Debian 12's header does not have it. */
#ifndef KVM_EXIT_MEMORY_FAULT
#define KVM_EXIT_MEMORY_FAULT 39
#endif

#define PAGE_FAULT_VECTOR 14

/* What a KVM_EXIT_MEMORY_FAULT holds, at the start of the union in struct kvm_run. */
struct memory_fault {
	uint64_t flags, gpa, size;
};

static enum exit_action die(struct vcpu *vcpu, enum report_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static enum exit_action die(struct vcpu *vcpu, enum report_kind kind, const char *format, ...)
{
	struct guest_report report;
	char text[sizeof(report.text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	vcpu_report(vcpu, kind, text, &report);
	vcpu->vm->ops->dead(vcpu->vm->context, vcpu->index, &report);
	return EXIT_DIED;
}

/* ---- ports ---- */

/* The host's copy of what the guest wrote before it rang. */
static int copy_event(const struct vcpu *vcpu, struct nb_event *event_out)
{
	uint64_t area = vcpu->vm->boot->info.area_gpa[vcpu->index];
	gpa_t gpa = gpa_make(area + offsetof(struct nb_vcpu_area, event));
	int err = gpa_space_read(vcpu->vm->space, gpa, event_out, sizeof(*event_out));

	if (!err && event_out->text_bytes > sizeof(event_out->text))
		event_out->text_bytes = sizeof(event_out->text);
	return err;
}

static enum exit_action on_event(struct vcpu *vcpu)
{
	struct backtrace trace;
	struct nb_event event;

	if (copy_event(vcpu, &event) != 0)
		return die(vcpu, REPORT_EXIT, "the hypercall area is not in memory");
	if (event.kind != NB_EVENT_LOG && event.kind != NB_EVENT_WARN)
		return die(vcpu, REPORT_PORT, "an event of kind %" PRIu32 " at the event port",
			   event.kind);
	if (event.kind == NB_EVENT_WARN)
		vcpu_report_trace(vcpu, event.regs[REGS_RIP], &trace);
	vcpu->vm->ops->event(vcpu->vm->context, vcpu->index, &event,
			     event.kind == NB_EVENT_WARN ? &trace : NULL);
	return EXIT_GO_ON;
}

static void describe_trap(const struct nb_event *event, struct guest_report *report)
{
	static const char *const names[] = {
		"divide error",
		"debug exception",
		"NMI",
		"breakpoint",
		"overflow",
		"bound range exceeded",
		"invalid opcode",
		"device not available",
		"double fault",
		"coprocessor segment overrun",
		"invalid TSS",
		"segment not present",
		"stack-segment fault",
		"general protection",
		"page fault",
	};
	const char *name = event->vector < sizeof(names) / sizeof(names[0]) ? names[event->vector]
									    : "exception";
	uint64_t code = event->error_code;

	/* The event's own text says the same numbers in the guest's words. */
	if (event->vector == PAGE_FAULT_VECTOR)
		snprintf(report->text, sizeof(report->text),
			 "page fault: %s %#" PRIx64 ", which is %s (error code %#" PRIx64 ")",
			 code & X86_PF_I   ? "fetched from"
			 : code & X86_PF_W ? "wrote to"
					   : "read from",
			 event->cr2,
			 code & X86_PF_RSVD ? "mapped by a malformed entry"
			 : code & X86_PF_P  ? "mapped without that right"
					    : "not mapped",
			 code);
	else
		snprintf(report->text, sizeof(report->text),
			 "%s (vector %" PRIu64 ", error code %#" PRIx64 ")", name, event->vector,
			 code);
	report->have_fault = true;
	report->vector = event->vector;
	report->error_code = code;
	report->control.cr2 = event->cr2;
}

/* A panic saves where it is and no more: guest/report.c. */
#define PANIC_SAVES (1u << REGS_RIP | 1u << REGS_RSP | 1u << REGS_RFLAGS)

static enum exit_action on_panic(struct vcpu *vcpu)
{
	struct guest_report report = {.kind = REPORT_PANIC, .vcpu = vcpu->index};
	struct nb_event event;

	if (copy_event(vcpu, &event) != 0)
		return die(vcpu, REPORT_EXIT, "the hypercall area is not in memory");
	/* A guest that cannot even read its boot information has no place for an event. */
	if (event.kind != NB_EVENT_PANIC && event.kind != NB_EVENT_TRAP)
		return die(vcpu, REPORT_PANIC, "it gave up without saying why");
	if (event.kind == NB_EVENT_TRAP) {
		report.kind = REPORT_TRAP;
		describe_trap(&event, &report);
	} else {
		snprintf(report.text, sizeof(report.text), "%.*s", (int)event.text_bytes,
			 event.text);
	}
	printable(report.text);
	if (event.regs[REGS_RIP] != 0) {
		memcpy(report.regs, event.regs, sizeof(report.regs));
		report.have_regs = true;
		if (report.kind == REPORT_PANIC)
			report.unsaved = ((1u << NR_REGS) - 1) & ~PANIC_SAVES;
	}
	vcpu_report_fill(vcpu, &report);
	vcpu->vm->ops->dead(vcpu->vm->context, vcpu->index, &report);
	return EXIT_DIED;
}

/* The guest asks for a frame of zeroes, where it was told that it may. */
static enum exit_action on_zero(struct vcpu *vcpu, uint32_t pfn)
{
	gpa_t frame = gpa_make((uint64_t)pfn * X86_PAGE_SIZE);
	const struct vm *vm = vcpu->vm;
	void *host;

	if (!(vm->boot->info.flags & NB_BOOT_HOST_ZEROES) ||
	    gpa_space_translate(vm->space, frame, X86_PAGE_SIZE, &host))
		return die(vcpu, REPORT_PORT, "asked for zeroes in frame %#" PRIx32 ": %s", pfn,
			   vm->boot->info.flags & NB_BOOT_HOST_ZEROES ? "not memory"
								      : "never offered");
	memset(host, 0, X86_PAGE_SIZE);
	gpa_space_note_write(vm->space, frame, X86_PAGE_SIZE);
	return EXIT_GO_ON;
}

static enum exit_action on_frames(struct vcpu *vcpu)
{
	const struct vm *vm = vcpu->vm;
	struct error error;

	if (!(vm->boot->info.flags & NB_BOOT_TELL_FRAMES))
		return die(vcpu, REPORT_PORT, "told of frames: never asked to");
	if (vm->ops->frames(vm->context, vcpu, &error))
		return die(vcpu, REPORT_PORT, "told of frames what cannot be: %s", error.text);
	return EXIT_GO_ON;
}

static enum exit_action on_io(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	bool out = run->io.direction == KVM_EXIT_IO_OUT;
	uint32_t value = 0;

	if (run->io.data_offset <= vcpu->run_bytes - sizeof(value))
		memcpy(&value, (const char *)run + run->io.data_offset, sizeof(value));
	if (!out || run->io.size != sizeof(value) || run->io.count != 1)
		return die(vcpu, REPORT_PORT,
			   "%s of %" PRIu32 " times %u bits at port %#x: only single 32-bit "
			   "writes are known",
			   out ? "a write" : "a read", run->io.count, run->io.size * 8u,
			   run->io.port);
	if (run->io.port == NB_PORT_ZERO)
		return on_zero(vcpu, value);
	if (run->io.port != NB_PORT_COMPLETE && run->io.port != NB_PORT_EVENT &&
	    run->io.port != NB_PORT_PANIC && run->io.port != NB_PORT_FRAMES)
		return die(vcpu, REPORT_PORT, "wrote %#" PRIx32 " to port %#x, which is no port",
			   value, run->io.port);
	if (value != vcpu->index)
		return die(vcpu, REPORT_PORT,
			   "wrote %#" PRIx32 " to port %#x instead of its index, %u", value,
			   run->io.port, vcpu->index);
	switch (run->io.port) {
	case NB_PORT_FRAMES:
		return on_frames(vcpu);
	case NB_PORT_COMPLETE:
		vcpu->vm->ops->complete(vcpu->vm->context, vcpu->index);
		return EXIT_GO_ON;
	case NB_PORT_EVENT:
		return on_event(vcpu);
	default:
		return on_panic(vcpu);
	}
}

/* ---- the rest ---- */

static enum exit_action on_check(struct vcpu *vcpu)
{
	struct guest_report report;

	checks_report(vcpu, &report);
	vcpu->vm->ops->dead(vcpu->vm->context, vcpu->index, &report);
	return EXIT_DIED;
}

static enum exit_action on_internal_error(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;

	switch (run->internal.suberror) {
	case SOFT_SUBERROR_CHECK:
		return on_check(vcpu);
	case KVM_INTERNAL_ERROR_EMULATION:
		return die(vcpu, REPORT_EMULATION,
			   "KVM cannot emulate the instruction (internal error, suberror 1)");
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		return die(vcpu, REPORT_EMULATION,
			   "an exit in the middle of an exception's delivery (internal error, "
			   "suberror 3)");
	default:
		return die(vcpu, REPORT_EMULATION, "KVM internal error, suberror %" PRIu32,
			   run->internal.suberror);
	}
}

static enum exit_action on_mmio(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;

	return die(vcpu, REPORT_MMIO,
		   "%s %" PRIu32 " bytes at guest-physical %#llx, where there is no memory",
		   run->mmio.is_write ? "wrote" : "read", run->mmio.len, run->mmio.phys_addr);
}

static enum exit_action on_memory_fault(struct vcpu *vcpu)
{
	struct memory_fault fault;

	memcpy(&fault, &vcpu->run->hw, sizeof(fault));
	return die(vcpu, REPORT_MMIO,
		   "the host has no memory for %" PRIu64 " bytes at guest-physical %#" PRIx64,
		   fault.size, fault.gpa);
}

static const char *exit_name(uint32_t reason)
{
	static const char *const names[] = {
		[KVM_EXIT_UNKNOWN] = "unknown hardware exit",
		[KVM_EXIT_EXCEPTION] = "exception",
		[KVM_EXIT_HYPERCALL] = "hypercall",
		[KVM_EXIT_DEBUG] = "debug",
		[KVM_EXIT_HLT] = "halt",
		[KVM_EXIT_SET_TPR] = "task priority",
		[KVM_EXIT_TPR_ACCESS] = "task priority",
		[KVM_EXIT_NMI] = "NMI",
		[KVM_EXIT_IOAPIC_EOI] = "I/O APIC EOI",
		[KVM_EXIT_HYPERV] = "Hyper-V",
		[KVM_EXIT_DIRTY_RING_FULL] = "dirty ring full",
		[KVM_EXIT_X86_RDMSR] = "model-specific register",
		[KVM_EXIT_X86_WRMSR] = "model-specific register",
		[KVM_EXIT_X86_BUS_LOCK] = "bus lock",
		[KVM_EXIT_XEN] = "Xen",
		[KVM_EXIT_NOTIFY] = "no instruction window",
	};
	const char *name = reason < sizeof(names) / sizeof(names[0]) ? names[reason] : NULL;

	return name ?: "one nestbox does not know";
}

enum exit_action exit_handle(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	enum watch_result watched =
		vcpu->vm->watch ? watch_exit(vcpu->vm->watch, vcpu) : WATCH_NOT_OURS;

	if (watched != WATCH_NOT_OURS)
		return watched == WATCH_RUN ? EXIT_GO_ON : EXIT_DIED;
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		return on_io(vcpu);
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		return EXIT_GO_ON;
	case KVM_EXIT_MMIO:
		return on_mmio(vcpu);
	case KVM_EXIT_SHUTDOWN:
		return die(vcpu, REPORT_TRIPLE_FAULT,
			   "a triple fault: an exception whose handlers faulted too");
	case KVM_EXIT_FAIL_ENTRY:
		return die(vcpu, REPORT_ENTRY,
			   "the processor refuses to enter the guest, reason %#llx",
			   run->fail_entry.hardware_entry_failure_reason);
	case KVM_EXIT_INTERNAL_ERROR:
		return on_internal_error(vcpu);
	case KVM_EXIT_MEMORY_FAULT:
		return on_memory_fault(vcpu);
	case KVM_EXIT_DEBUG:
		return debug_exit(vcpu) ? EXIT_GO_ON : die(vcpu, REPORT_EXIT, "a debug exit");
	case KVM_EXIT_SYSTEM_EVENT:
		return die(vcpu, REPORT_EXIT, "a system event, type %" PRIu32,
			   run->system_event.type);
	default:
		return die(vcpu, REPORT_EXIT, "KVM exit %" PRIu32 " (%s)", run->exit_reason,
			   exit_name(run->exit_reason));
	}
}

void exit_run_failed(struct vcpu *vcpu, int code)
{
	if ((code == -EFAULT || code == -EHWPOISON) &&
	    vcpu->run->exit_reason == KVM_EXIT_MEMORY_FAULT)
		on_memory_fault(vcpu);
	else
		die(vcpu, REPORT_KVM, "KVM_RUN: %s%s", strerror(-code),
		    code == -EFAULT ? ": the host could not provide a page of guest memory" : "");
}
