/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One processor of the soft engine: x86-64 in long mode, interpreted.
 *
 * It owns registers, flags, control registers, the MSRs of long mode, what is pending, and the
 * count of instructions. It does not own memory: a page it has no line for is asked for by
 * ops->fill(), which walks, and everything that a KVM has around a processor (APIC, CPUID, MSRs
 * that are not of long mode) is behind the same table of functions. It knows no virtual machine:
 * a test runs one over an array of bytes (tests/vmm/soft/).
 *
 * Threads: a processor, and all processors that share a soft_code, run one at a time. Only
 * cpu->kick may be set from elsewhere.
 *
 * Source: Intel SDM vol. 1 to 3; where AMD's manual differs (SYSCALL and SYSRET at CPL 3, the
 * width of near branches), the SDM decides.
 */
#ifndef VMM_SOFT_CPU_H
#define VMM_SOFT_CPU_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mm/x86.h"

struct soft_code; /* decoded instructions, shared by the processors of a machine (decode.h) */
struct soft_page; /* those of one page */
struct soft_cpu;

/* General registers as an instruction numbers them. */
enum soft_reg {
	SOFT_RAX,
	SOFT_RCX,
	SOFT_RDX,
	SOFT_RBX,
	SOFT_RSP,
	SOFT_RBP,
	SOFT_RSI,
	SOFT_RDI,
	SOFT_R8,
	SOFT_R15 = 15,
	/* Slots that take part in addresses; the interpreter's own. */
	SOFT_ZERO,    /* always 0: no base, no index */
	SOFT_PAGE,    /* linear address of the page the running instruction is in */
	SOFT_ADDRESS, /* an address worked out by the op before: segment base, 32-bit address */
	SOFT_REGS
};

enum soft_segment { SOFT_ES, SOFT_CS, SOFT_SS, SOFT_DS, SOFT_FS, SOFT_GS, SOFT_SEGMENTS };

/*
 * What an instruction does to memory. A plain read-modify-write is SOFT_UPDATE, one with LOCK (and
 * XCHG) SOFT_LOCKED.
 */
enum soft_access { SOFT_LOAD, SOFT_STORE, SOFT_UPDATE, SOFT_LOCKED, SOFT_FETCH };

static inline bool soft_access_writes(enum soft_access access)
{
	return access >= SOFT_STORE && access <= SOFT_LOCKED;
}

/* Bytes of a page that are not for everybody. */
struct soft_careful {
	/* A bit for each 8 bytes of the page. What is of a read is of a write too. */
	uint64_t reads[8], writes[8];
};

/*
 * A line: what the interpreter remembers of one page. Direct-mapped, two arrays for accesses as
 * supervisor and two as user. A tag is the page's linear address when such an access may go
 * straight to @host, with SOFT_LINE_CALL in it when ops->access() is to be called first, each
 * time, or for the bytes @careful names. A write tag stands for reads and writes of one instruction
 * (SOFT_UPDATE, SOFT_LOCKED) too.
 *
 * ops->fill() writes read, write, fetch, host, gpa, state and careful, of a line that comes empty;
 * the interpreter adds marks of its own (pages with decoded code or a watched address are not
 * written straight) and never looks at gpa and state.
 */
struct soft_line {
	uint64_t read, write, fetch;
	uint8_t *host;                      /* the page's 4096 bytes */
	uint64_t gpa;                       /* guest-physical address of the page */
	void *state;                        /* the engine's own, for ops->access() */
	struct soft_page *page;             /* the interpreter's */
	const struct soft_careful *careful; /* with SOFT_LINE_CALL: where; NULL: everywhere */
};

#define SOFT_LINE_NONE UINT64_MAX /* no such access */
#define SOFT_LINE_CALL 1ull       /* in a tag */
/* The next bits in tags are the interpreter's own marks. */
#define SOFT_LINE_CODE  2ull
#define SOFT_LINE_WATCH 4ull
#define SOFT_LINE_MARKS (SOFT_LINE_CALL | SOFT_LINE_CODE | SOFT_LINE_WATCH)

/* Lines of data come first, those instructions are fetched by after them: a page may have both. */
#define SOFT_LINES       1024
#define SOFT_FETCH_LINES 128
#define SOFT_LINES_ALL   (SOFT_LINES + SOFT_FETCH_LINES)
#define SOFT_FILLED      128

static inline unsigned int soft_line_index(uint64_t gva)
{
	return (unsigned int)(gva / X86_PAGE_SIZE % SOFT_LINES);
}

static inline unsigned int soft_fetch_index(uint64_t gva)
{
	return SOFT_LINES + (unsigned int)(gva / X86_PAGE_SIZE % SOFT_FETCH_LINES);
}

enum soft_class { SOFT_SUPERVISOR, SOFT_USER, SOFT_CLASSES };

/* What became of something the interpreter asked its surroundings for. */
enum soft_answer {
	SOFT_OK,
	SOFT_FAULT, /* an exception: soft_cpu_raise() or soft_cpu_page_fault() has been called */
	SOFT_MMIO,  /* fill only: nothing is there; line->gpa says where. The access leaves. */
	SOFT_LEAVE, /* soft_cpu_run() returns SOFT_STOP_ENGINE before the instruction; it is done
		     * again when the processor runs again */
};

enum soft_flush {
	SOFT_FLUSH_PAGE, /* INVLPG of @gva */
	SOFT_FLUSH_CR3,  /* MOV to CR3: all but global pages */
	SOFT_FLUSH_ALL,  /* CR0, CR4, EFER changed in what translations depend on */
};

struct soft_cpu_ops {
	/*
	 * Translates the page of @gva, which is canonical, for @access by @class (CPL is not
	 * asked: descriptor tables are read as supervisor at CPL 3) and fills *@line, with as many
	 * kinds of access as are allowed without setting A or D bits that this one does not set.
	 * @access decides what is checked; SOFT_UPDATE and SOFT_LOCKED fault as writes. On
	 * anything but SOFT_OK and SOFT_MMIO the line stays empty.
	 *
	 * Probes are not told from accesses: an instruction that faults in its second page may
	 * have filled the first.
	 */
	enum soft_answer (*fill)(struct soft_cpu *cpu, uint64_t gva, enum soft_access access,
				 enum soft_class class, struct soft_line *line);

	/*
	 * An access of @bytes at @gva, all in @line's page, is about to happen, whose tag has
	 * SOFT_LINE_CALL. SOFT_OK lets it. Fetches are not told of. NULL: nobody sets the mark.
	 * With cpu->tell_written set, ops->written() follows when the bytes are there, unless the
	 * instruction ends before: then the next access() does.
	 */
	enum soft_answer (*access)(struct soft_cpu *cpu, struct soft_line *line, uint64_t gva,
				   size_t bytes, enum soft_access access);

	void (*written)(struct soft_cpu *cpu);

	/*
	 * Translations must be forgotten as @what says; cr0, cr3, cr4, efer are written already.
	 * The interpreter has dropped its lines.
	 */
	void (*flush)(struct soft_cpu *cpu, enum soft_flush what, uint64_t gva);

	/* MSRs that are not this file's (soft_cpu_msr()). SOFT_FAULT after raising #GP. */
	enum soft_answer (*read_msr)(struct soft_cpu *cpu, uint32_t index, uint64_t *value_out);
	enum soft_answer (*write_msr)(struct soft_cpu *cpu, uint32_t index, uint64_t value);

	void (*cpuid)(struct soft_cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t regs_out[4]);

	/* The time stamp counter after cpu->instructions instructions. */
	uint64_t (*tsc)(struct soft_cpu *cpu);

	/*
	 * The highest interrupt that is above cpu->cr8, acknowledged (it is in service now), or -1.
	 * Called when the processor would take it, before instructions, never in a shadow.
	 */
	int (*interrupt)(struct soft_cpu *cpu);
};

/* Why soft_cpu_run() returned. */
enum soft_stop {
	SOFT_STOP_BUDGET,   /* as many instructions as it was given */
	SOFT_STOP_HLT,      /* HLT is done, cpu->halted set; runs on when an interrupt is there */
	SOFT_STOP_PAUSE,    /* PAUSE is done: a good place for another processor's turn */
	SOFT_STOP_IO,       /* cpu->io; the instruction completes when run again */
	SOFT_STOP_MMIO,     /* cpu->io; as above */
	SOFT_STOP_SHUTDOWN, /* triple fault */
	SOFT_STOP_INTERNAL, /* an instruction not known here: cpu->unknown */
	SOFT_STOP_DEBUG,    /* cpu->debug_hit */
	SOFT_STOP_KICK,     /* cpu->kick was set; it is clear now */
	SOFT_STOP_ENGINE,   /* an op said SOFT_LEAVE */
};

/* Not a stop: events are to be looked at before the next instruction. */
#define SOFT_EXIT_AGAIN (-1)

/*
 * What leaves with SOFT_STOP_IO (address is a port) and SOFT_STOP_MMIO (guest-physical). The
 * caller puts what was read into @data, little-endian, before it runs the processor again: the
 * instruction is then done again and finds each of its accesses answered. A change of RIP between
 * drops the answers.
 */
struct soft_io {
	uint64_t address;
	uint64_t data;
	uint8_t bytes; /* 1, 2, 4, 8; MMIO: any up to 8 */
	bool write;
	bool mmio;
};

#define SOFT_IO_ANSWERS 16

/* Flags, lazily: see flags.h. */
struct soft_flags {
	uint64_t result, carries, twist;
};

/* RFLAGS. */
#define SOFT_CF         (1ull << 0)
#define SOFT_PF         (1ull << 2)
#define SOFT_AF         (1ull << 4)
#define SOFT_ZF         (1ull << 6)
#define SOFT_SF         (1ull << 7)
#define SOFT_TF         (1ull << 8)
#define SOFT_IF         (1ull << 9)
#define SOFT_DF         (1ull << 10)
#define SOFT_OF         (1ull << 11)
#define SOFT_IOPL       (3ull << 12)
#define SOFT_NT         (1ull << 14)
#define SOFT_RF         (1ull << 16)
#define SOFT_AC         (1ull << 18)
#define SOFT_ID         (1ull << 21)
#define SOFT_ARITHMETIC (SOFT_CF | SOFT_PF | SOFT_AF | SOFT_ZF | SOFT_SF | SOFT_OF)

/* Bits of DR6 and DR7 that are 1 whatever is written, and those of DR6 that say what happened. */
#define SOFT_DR6_FIXED 0xffff0ff0ull
#define SOFT_DR6_BS    (1ull << 14)
#define SOFT_DR6_BD    (1ull << 13)
#define SOFT_DR7_FIXED 0x400ull
#define SOFT_DR7_GD    (1ull << 13)

/* Exceptions (SDM vol. 3A table 6-1). */
enum soft_vector {
	SOFT_DE = 0,
	SOFT_DB = 1,
	SOFT_NMI = 2,
	SOFT_BP = 3,
	SOFT_UD = 6,
	SOFT_NM = 7,
	SOFT_DF_VECTOR = 8,
	SOFT_TS = 10,
	SOFT_NP = 11,
	SOFT_SS_VECTOR = 12,
	SOFT_GP = 13,
	SOFT_PF_VECTOR = 14,
	SOFT_AC_VECTOR = 17,
};

/* An exception or interrupt on its way through the IDT. */
struct soft_event {
	bool pending;
	bool software; /* INT n, INT3: the gate's DPL counts */
	bool trap;     /* of the instruction before: RF is not set in the frame */
	bool external; /* an interrupt */
	bool has_error;
	uint8_t vector;
	uint8_t length; /* of INT n: it is behind it that execution goes on */
	uint32_t error;
	uint64_t cr2; /* of a page fault */
};

struct soft_msrs {
	uint64_t star, lstar, cstar, fmask, kernel_gs_base, tsc_aux, pat;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
};

/* What of an operand lies in one page. */
struct soft_part {
	uint64_t gva;
	size_t bytes;
	uint8_t *host; /* NULL: MMIO at @gpa */
	uint64_t gpa;
};

struct soft_cpu {
	/* The interpreter's working set. */
	uint64_t regs[SOFT_REGS];
	struct soft_flags flags;
	struct soft_line *lines; /* of the class of CPL */
	int64_t left;            /* of the chunk, when no handler runs */
	uint64_t chunk_end;      /* instructions, when left gets to 0 */

	uint64_t rip;          /* current whenever soft_cpu_run() does not run */
	uint64_t rflags;       /* all but SOFT_ARITHMETIC; soft_cpu_rflags() has them all */
	uint64_t instructions; /* completed, each iteration of REP one; exact when not running */

	uint64_t deliveries; /* through the IDT, tried */

	uint64_t cr0, cr2, cr3, cr4, cr8, efer;
	uint64_t dr[4], dr6, dr7;
	struct kvm_segment segments[SOFT_SEGMENTS], tr, ldt;
	struct kvm_dtable gdt, idt;
	struct soft_msrs msr;
	uint8_t cpl;

	/* Events. */
	bool kick;   /* set by anybody, atomically; soft_cpu_run() soon returns */
	bool halted; /* until an interrupt, an NMI, or the caller clears it */
	bool shadow; /* after STI or MOV SS: no interrupt before the next instruction */
	bool quiet;  /* after MOV SS: nor a debug exception (SDM vol. 3A 6.8.3) */
	bool nmi, nmi_masked;
	bool shut_down;
	struct soft_event event; /* to be delivered before the next instruction */

	/* KVM_SET_GUEST_DEBUG. */
	bool debug_step;                 /* stop after each instruction */
	bool debug_breakpoints;          /* INT3 leaves and is not delivered */
	uint64_t debug_dr[4], debug_dr7; /* addresses; 0 in dr7: none. A hit leaves. */
	struct {
		uint8_t vector; /* SOFT_DB or SOFT_BP */
		uint64_t pc, dr6, dr7;
	} debug_hit;

	struct soft_io io;
	struct soft_io answers[SOFT_IO_ANSWERS];
	unsigned int answer_count, answer_next;
	bool io_waits; /* the stop's io is to become an answer */
	uint64_t io_rip;

	struct {
		uint8_t bytes[15], length;
	} unknown;

	/* The instruction under way, of which something out of the ordinary is to be done. */
	struct soft_op *op;
	int exit;           /* why the handlers came back: enum soft_stop, SOFT_EXIT_AGAIN */
	uint8_t bounce[16]; /* an operand that is not in one place (memory.c) */
	struct soft_part bounce_parts[2];
	uint8_t bounce_count; /* parts to be written back */
	bool tell_written;    /* ops->written() is to be called after the write */
	uint64_t watch_dr6;   /* watched addresses that were touched, as bits of DR6 */
	uint64_t watch_debug; /* and of debug_dr */

	const struct soft_cpu_ops *ops;
	void *context; /* the owner's */
	struct soft_code *code;
	struct soft_cpu *next; /* of those that share @code */
	struct soft_line line_sets[SOFT_CLASSES][SOFT_LINES_ALL];
	/* Which lines were filled since all were dropped; more than fit: any may have been. */
	uint16_t filled[SOFT_FILLED];
	unsigned int filled_count;
};

/* No decoded code yet. NULL when there is no memory. Freed when no processor uses it any more. */
struct soft_code *soft_code_new(void);
void soft_code_free(struct soft_code *code);

/*
 * The page of 4096 bytes at @host was written by somebody other than a processor, or is no longer
 * the guest's: what was decoded of it is dropped. Needed only for code that is already running
 * through a line; one that is filled later notices itself.
 */
void soft_code_drop(struct soft_code *code, const uint8_t *host);

/*
 * Whether processors stop before the instruction at @host, with SOFT_STOP_DEBUG and the vector of
 * INT3, as long as it is there: a debugger's breakpoint that memory shows nothing of. Errors:
 * -ENOSPC (SOFT_STOPS_MAX of them).
 */
#define SOFT_STOPS_MAX 256
int soft_code_stop(struct soft_code *code, const uint8_t *host, bool stop);

/* Whether they do at any of those places; at first they do. */
void soft_code_stops(struct soft_code *code, bool on);

/* *@cpu as after RESET in long mode's terms: all zero but what must be set; no line. */
void soft_cpu_init(struct soft_cpu *cpu, const struct soft_cpu_ops *ops, void *context,
		   struct soft_code *code);
/* Takes *@cpu out of its soft_code's list. */
void soft_cpu_fini(struct soft_cpu *cpu);

/*
 * Runs up to @budget instructions. Deliveries that complete no instruction take from the budget
 * too, so that it ends. With budget 1 it is a single step.
 */
enum soft_stop soft_cpu_run(struct soft_cpu *cpu, uint64_t budget);

uint64_t soft_cpu_rflags(const struct soft_cpu *cpu);
void soft_cpu_set_rflags(struct soft_cpu *cpu, uint64_t rflags);

/* After segments, CR0, CR4 or EFER were written from outside: CPL and the lines follow. */
void soft_cpu_update(struct soft_cpu *cpu);

/* Drops the line of @gva's page, or all lines of both classes. For ops, at any time. */
void soft_cpu_drop_line(struct soft_cpu *cpu, uint64_t gva);
void soft_cpu_drop_lines(struct soft_cpu *cpu);

/* Where an MSR of long mode is kept, or NULL if it is not this file's: save and restore. */
uint64_t *soft_cpu_msr(struct soft_cpu *cpu, uint32_t index);

/* From within an op: the instruction under way ends with this exception; returns SOFT_FAULT. */
enum soft_answer soft_cpu_raise(struct soft_cpu *cpu, uint8_t vector, bool has_error,
				uint32_t error);
enum soft_answer soft_cpu_page_fault(struct soft_cpu *cpu, uint64_t gva, uint32_t error);

/* RIP of the running instruction, also from within ops. */
uint64_t soft_cpu_rip(const struct soft_cpu *cpu);

#endif
