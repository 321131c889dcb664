/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The report of a guest that died: what happened, on which vCPU, where, with what registers, the
 * instruction's bytes, a guess at who called, and the hypercall it was in.
 *
 * It is made from a vCPU's registers and from guest memory, all of which may lie: addresses are
 * walked with ept/paging, text is made printable, numbers are only printed.
 */
#ifndef VMM_MACHINE_REPORT_H
#define VMM_MACHINE_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ept/gpa_space.h"
#include "ept/paging.h"
#include "guest/abi.h"
#include "lib/regs.h"
#include "vmm/image/backtrace.h"
#include "vmm/image/boot.h"
#include "vmm/image/image.h"

enum report_kind {
	REPORT_PANIC, /* the guest gave up: its own text */
	REPORT_TRAP,  /* an exception nobody expected: its own registers */
	REPORT_STUCK, /* no progress for the watchdog's time, or more of it than there is time for
		       */
	REPORT_TRIPLE_FAULT,   /* KVM_EXIT_SHUTDOWN */
	REPORT_EMULATION,      /* KVM_EXIT_INTERNAL_ERROR: KVM cannot do the instruction */
	REPORT_PORT,           /* a port, size, direction or value that is not in guest/abi.h */
	REPORT_MMIO,           /* an access to guest-physical memory there is none of */
	REPORT_ENTRY,          /* the processor refuses the vCPU's state */
	REPORT_EXIT,           /* an exit that cannot come from this guest */
	REPORT_RING,           /* what it wrote into its rings breaks guest/abi.h */
	REPORT_KVM,            /* KVM_RUN itself failed */
	REPORT_DENIED,         /* it touched watched memory, and was denied it */
	REPORT_USE_AFTER_FREE, /* it touched a frame it had given up */
	REPORT_CHECK,          /* a check of the soft engine (vmm/soft/check.h) */
	REPORT_ENDED,          /* its user ended it: guest_kill() */
	REPORT_KINDS
};

#define REPORT_CODE_BYTES 15 /* no instruction is longer */
#define REPORT_CALLERS    12

struct control_regs {
	uint64_t cr0, cr2, cr3, cr4, efer;
};

/* An access to watched memory, as far as it could be told. */
struct report_access {
	uint64_t gpa; /* to the byte where KVM says it or the operand does; else the page */
	bool write;
	bool fetch; /* of an instruction */
	bool table; /* by the processor, on its way through the guest's page tables */
	bool have_gva;
	uint64_t gva;
	bool stale; /* the address does not lead to the page any more: a stale TLB, or a guess */
	bool after; /* RIP is that of the next instruction */
};

/* Who gave a frame up. */
struct report_release {
	unsigned int vcpu;
	bool have_call;
	struct nb_submission call;
	size_t nr_callers; /* as in the report */
	uint64_t callers[REPORT_CALLERS];
	char caller_places[REPORT_CALLERS][IMAGE_PLACE_BYTES];
};

/* The other side of what a check found: where a vCPU was, long before. */
struct report_past {
	bool known;
	uint64_t instruction; /* of all vCPUs, since the VM's start */
	unsigned int vcpu;
	struct backtrace trace;
};

struct guest_report {
	enum report_kind kind;
	unsigned int vcpu;
	char text[640]; /* what happened, one sentence, printable ASCII */
	bool have_regs;
	uint64_t regs[NR_REGS];
	uint32_t unsaved; /* bits: registers that are not known, those a panic does not save */
	struct control_regs control;
	bool have_fault; /* an exception: the next two, and cr2 for vector 14 */
	uint64_t vector, error_code;
	char where[IMAGE_PLACE_BYTES]; /* RIP as symbol+offset */
	size_t nr_code;                /* bytes of the instruction that could be read */
	uint8_t code[REPORT_CODE_BYTES];
	bool have_trace;
	struct backtrace trace;
	size_t nr_callers; /* addresses on the stack that follow a call: a guess */
	uint64_t callers[REPORT_CALLERS];
	char caller_places[REPORT_CALLERS][IMAGE_PLACE_BYTES];
	bool have_call; /* the hypercall in flight, as the host submitted it */
	struct nb_submission call;
	bool have_access; /* DENIED, USE_AFTER_FREE */
	struct report_access access;
	bool have_release; /* USE_AFTER_FREE */
	struct report_release release;
	bool have_check; /* CHECK */
	char check[16];  /* "stale", "freed", ... */
	char then[24];   /* what happened in the past: "given up", "unmapped", ... */
	uint64_t instruction;
	struct report_past past;
};

/* "panic", "trap", "stuck", ...: the JSON's "kind". */
const char *report_kind_name(enum report_kind kind);

#define REPORT_OPCODE_BYTES 32

/* "vmalloc", "nop", "test-panic", ... or "opcode 0x..": into @text, which is returned. */
const char *report_opcode_name(uint16_t opcode, char text[REPORT_OPCODE_BYTES]);

/* What a place in the guest is looked up in. */
struct report_view {
	const struct gpa_space *space;
	const struct paging_mode *mode;
	const struct image *image;
	struct backtrace_source *traces; /* @image's */
};

/*
 * Fills in what follows from the registers: where, code, trace and callers. @report->regs and
 * have_regs are set. @now are the registers the vCPU has: a guest that gave up by itself reports
 * of the place where it did little more than the place.
 */
void report_locate(struct guest_report *report, const struct report_view *view,
		   const uint64_t now[NR_REGS]);

/* The backtrace from @regs. */
void report_take_trace(const struct report_view *view, const uint64_t regs[NR_REGS],
		       struct backtrace *trace_out);

/*
 * Looks on the stack at @rsp for addresses that follow a call: a guess at the callers, innermost
 * first. Returns how many.
 */
size_t report_callers(const struct report_view *view, uint64_t rsp,
		      uint64_t callers[REPORT_CALLERS]);

/* Writes the report for people, several lines. */
void report_print(const struct guest_report *report, FILE *file);

/* "read", "write", "instruction fetch", "page-table walk". */
const char *report_access_name(const struct report_access *access);

/* Parts of report_json(), for others: new references, NULL for want of memory. */
json_t *report_registers_json(const struct guest_report *report);
json_t *report_access_json(const struct report_access *access);
json_t *report_call_json(const struct nb_submission *call);

/* The report as a JSON object of its own (a new reference), or NULL for want of memory. */
json_t *report_json(const struct guest_report *report);

#endif
