/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A running guest as commands use it: start it, give it batches of hypercalls, look at it, end it.
 *
 * A batch goes to one vCPU. Different threads may call different vCPUs at the same time; each
 * vCPU takes one batch at a time (a second caller waits). Between batches the guest is halted: its
 * memory holds still and may be read by the auditor while no batch runs on any vCPU.
 *
 * A guest that dies stays dead: every call from then on fails with -ENOTRECOVERABLE at once, and
 * guest_failure() says what happened. The same holds for one that makes no progress for the
 * watchdog's time (it is stopped), one that counts progress beyond the time an operation, or all of
 * it, may take, and one that breaks guest/abi.h in its rings.
 */
#ifndef VMM_MACHINE_GUEST_H
#define VMM_MACHINE_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"
#include "ept/gpa_space.h"
#include "ept/kvm_slots.h"
#include "ept/paging.h"
#include "guest/abi.h"
#include "vmm/image/boot.h"
#include "vmm/image/image.h"
#include "vmm/machine/kvm.h"
#include "vmm/machine/report.h"
#include "vmm/machine/watch.h"
#include "vmm/soft/plan.h"
#include "vmm/soft/soft.h"

struct guest;

/* One line the guest says: a log line (level as in Linux) or a warning. */
struct guest_message {
	unsigned int vcpu;
	bool warning;   /* NB_EVENT_WARN: something is wrong in the guest, it goes on */
	int level;      /* of a log line, 0..7; 4 for a warning */
	uint64_t call;  /* user_data of the hypercall it was in, 0 if none */
	char text[513]; /* printable ASCII */
	/* Of a warning, from where it was given outward, while the callback runs; else NULL. */
	const struct backtrace *trace;
};

/* Called on a vCPU's thread, one at a time; must not call the guest. */
typedef void (*guest_message_fn)(void *context, const struct guest_message *message);

/*
 * A guest_message_fn: writes the message to standard error, with its backtrace; whoever does not
 * read that keeps no vCPU waiting (lib/out_queue.h).
 */
void guest_message_print(void *context, const struct guest_message *message);

/* An access to memory that is watched (guest_watch()). It has not happened yet. */
struct guest_access {
	unsigned int vcpu;
	struct report_access what;
	uint64_t rip;
	uint64_t rcx; /* of a repeated string instruction: the steps that are left */
	char where[IMAGE_PLACE_BYTES]; /* RIP as symbol+offset */
	bool have_call;                /* the hypercall in flight */
	struct nb_submission call;
};

/* Called on the vCPU's thread; must not call or pause the guest. */
typedef enum watch_answer (*guest_access_fn)(void *context, const struct guest_access *access);

/*
 * Called once when the guest dies, on whatever thread sees it; @report stays good until
 * guest_destroy(). Must not call the guest. A guest that dies before guest_start() returned is
 * reported by that as well.
 */
typedef void (*guest_died_fn)(void *context, const struct guest_report *report);

/*
 * Called once of a guest that died, by guest_last_look() or guest_destroy(), before anything of it
 * is taken down: what wants a core of the dead writes it here.
 */
typedef void (*guest_last_look_fn)(void *context, struct guest *guest);

/* All zero but for the fields one wants otherwise. */
struct guest_config {
	enum kvm_engine engine; /* 0: KVM_AUTO */
	const char *image_path; /* NULL: the built-in image */
	uint64_t memory_bytes;  /* 0: MEMORY_BYTES_DEFAULT; else memory_layout_default()'s rules */
	unsigned int nr_nodes;  /* 0: 1 */
	unsigned int nr_vcpus;  /* 0: 1; up to NB_MAX_VCPUS */
	uint64_t boot_flags;    /* NB_BOOT_* */
	const struct memory_layout *memory; /* not NULL: in place of memory_bytes and nr_nodes */
	struct gpa_backing backing;         /* of guest memory; all zero: sparse memfds */
	double watchdog_seconds;            /* without progress; 0: 10; negative: none */
	double operation_seconds;           /* for one hypercall, whatever its progress; 0: none */
	double total_seconds; /* since the start, looked at while hypercalls are under way; 0: none
			       */
	guest_message_fn message;     /* NULL: messages are counted only */
	guest_died_fn died;           /* may be NULL */
	void *message_context;        /* of message and died */
	guest_last_look_fn last_look; /* may be NULL */
	void *last_look_context;
	/* Traps may be set; needs userfaultfd. */
	bool traps;
	guest_access_fn access; /* NULL: accesses to watched memory go on */
	void *access_context;
	/* Of the soft engine; asked for elsewhere they are an error. */
	struct soft_options soft; /* its TLB and turns; all zero: as it is */
	struct soft_plan plan;    /* whose turn it is when, from the start on; ROUND: as it is */
	const char *coverage; /* not NULL: the file for guest_coverage_save(); soft engine only */
	bool count_instructions; /* for guest_instructions(); soft engine only */
	/* SOFT_CHECK_* (vmm/soft/check.h) of the soft engine; elsewhere nothing. Not FREED with
	 * trap_uaf, which sees to it. */
	unsigned int checks;
	/* Frames the guest gave up are out of its reach until it hands them out again; one that
	 * touches such a frame ends with a report (vmm/machine/uaf.h). Implies traps. */
	bool trap_uaf;
};

#define GUEST_WATCHDOG_SECONDS  10.0
#define GUEST_OPERATION_SECONDS 3600.0 /* what nestbox sets where nobody says otherwise */

/* Where the start went, in seconds since guest_start() was called. */
struct guest_times {
	double begin;   /* when that was: clock_seconds() */
	double kvm;     /* /dev/kvm open and found good */
	double memory;  /* image loaded, memory mapped, boot memory built */
	double vcpus;   /* the VM and its vCPUs made */
	double started; /* the first hypercall answered by vCPU 0 */
};

/*
 * Starts a guest and waits until every vCPU has answered a hypercall. Errors, all with the reason
 * and the remedy in @error, nothing left behind: -ENOEXEC (the image), -EINVAL and -ENOSPC (memory,
 * vCPUs), -ENOTRECOVERABLE when the guest died before it answered (@report_out, which may be NULL,
 * is then filled in), -EPROTO when it answers wrongly; anything else: the host cannot do it.
 */
int guest_start(const struct guest_config *config, struct guest **guest_out,
		struct guest_report *report_out, struct error *error);

/*
 * Writes the lines of the image's source executed since the start to config.coverage (vmm/image/
 * coverage.h). No call may be under way. Does nothing where that is NULL. Errors:
 * coverage_write()'s.
 */
int guest_coverage_save(struct guest *guest, struct error *error);

/*
 * With config.coverage or count_instructions: instructions executed since the start, and those of
 * them of sources whose path has @part in it. No call may be under way. Else, and where the image
 * has no debug information, both are 0.
 */
void guest_instructions(struct guest *guest, const char *part, uint64_t *all_out,
			uint64_t *part_out);

/* Ends the guest and frees everything. No call may be under way. NULL is allowed. */
void guest_destroy(struct guest *guest);

/*
 * Ends the guest, whatever it does: it is dead from then on, with @text as its report, and calls
 * under way fail. Does nothing to a dead one. Any thread; waits for no vCPU.
 */
void guest_kill(struct guest *guest, const char *text);

/*
 * Tells vCPU @vcpu that nobody wants the rest of a long operation, or (false) that one does, which
 * is how it begins: NB_OP_BENCH ends then, with what it has done. Any thread.
 */
void guest_cancel(struct guest *guest, unsigned int vcpu, bool cancel);

/* How far the hypercall that vCPU @vcpu is in has got, in steps of its own (nb_vcpu_area). */
uint64_t guest_progress(const struct guest *guest, unsigned int vcpu);

/*
 * Submits @count hypercalls to @vcpu, in order, in as many rings as needed, and waits for all the
 * completions. user_data of the submissions is the caller's: completions carry it back, in the
 * same order. @completions has room for @count. Returns 0 when each was answered (look at their
 * status); -EINVAL (@vcpu); -ENOTRECOVERABLE: the guest died, *@done_out completions, from the
 * first, are good. @done_out may be NULL and is written in every case.
 */
int guest_call_batch(struct guest *guest, unsigned int vcpu,
		     const struct nb_submission *submissions, size_t count,
		     struct nb_completion *completions, size_t *done_out);

/* One hypercall. */
int guest_call(struct guest *guest, unsigned int vcpu, const struct nb_submission *submission,
	       struct nb_completion *completion_out);

/* What one vCPU is to do, with the others at the same time. */
struct guest_batch {
	const struct nb_submission *submissions;
	uint32_t count; /* up to NB_RING_ENTRIES; 0: it sleeps */
	struct nb_completion *completions;
	size_t done; /* of them, afterwards */
};

struct soft_plan;

/*
 * Of a guest on the soft engine: all vCPUs get their batch, batches[vCPU], at one moment, and run
 * by @plan (vmm/soft/plan.h), or with NULL by the one there is. What they do depends on the guest
 * and the plan alone. No other call may be under way; nobody runs afterwards before the next of
 * these calls. Errors: -EOPNOTSUPP (not that engine), -EINVAL, -ENOTRECOVERABLE, -ETIMEDOUT.
 */
int guest_call_together(struct guest *guest, struct guest_batch *batches,
			const struct soft_plan *plan);

/* The data area of a vCPU, for hypercalls that move text: NB_DATA_BYTES of guest memory. */
void *guest_data(struct guest *guest, unsigned int vcpu);

/* Why the guest is dead, or NULL while it lives. Good until guest_destroy(). */
const struct guest_report *guest_failure(const struct guest *guest);

/* Messages so far. */
uint64_t guest_log_count(const struct guest *guest);
uint64_t guest_warning_count(const struct guest *guest);

const struct guest_times *guest_times(const struct guest *guest);
const struct kvm_host *guest_kvm_host(const struct guest *guest);
const struct image *guest_image(const struct guest *guest);
const struct boot *guest_boot(const struct guest *guest);
unsigned int guest_nr_vcpus(const struct guest *guest);
struct kvm_slots *guest_slots(const struct guest *guest);

/* KVM's descriptor of vCPU @vcpu, or with -1 of the VM; the guest's. -1 where there is none. */
int guest_kvm_fd(const struct guest *guest, int vcpu);

/* The descriptor of /dev/kvm it was made with; the guest's. */
int guest_kvm_device(const struct guest *guest);

struct stage2_mode;
struct stage2_reader;

/*
 * The second stage's tables of a guest on the soft engine, which are in this process: good until
 * guest_destroy(), to be read while it is paused. Errors: -EOPNOTSUPP: they are the kernel's.
 */
int guest_second_stage(const struct guest *guest, struct stage2_mode *mode_out,
		       struct stage2_reader *reader_out);

uint64_t guest_memory_bytes(const struct guest *guest);

/*
 * The guest's memory and its paging at boot: root and mode never change in this guest. The reader
 * is over the same space. Tests plant faults by gpa_space_write().
 */
struct gpa_space *guest_space(struct guest *guest);
struct paging_mode guest_paging_mode(const struct guest *guest);
struct paging_reader guest_paging_reader(const struct guest *guest);

/*
 * Copies bytes at guest-virtual addresses, through the page tables, whatever their rights are.
 * All of the range is translated before the first byte is copied. Errors: -EFAULT.
 */
int guest_read(const struct guest *guest, gva_t gva, void *buffer, size_t size_bytes);
int guest_write(struct guest *guest, gva_t gva, const void *buffer, size_t size_bytes);

/*
 * Takes every vCPU out of KVM, so that registers can be read; resume lets them go on. Not while a
 * batch is under way. Errors: -ETIMEDOUT (a vCPU does not let go: all run on),
 * -ENOTRECOVERABLE (dead: registers are in the failure).
 */
int guest_pause(struct guest *guest);
void guest_resume(struct guest *guest);

/*
 * As guest_pause(), and of a guest that is dead as well, whose vCPUs are not to go on any more.
 * Errors: -ETIMEDOUT.
 */
int guest_freeze(struct guest *guest);

/* Whether guest_pause() or guest_freeze() holds it. */
bool guest_is_paused(const struct guest *guest);

/*
 * Whether a debugger is there (vmm/machine/debug.h), and whether it holds a vCPU: then hypercalls
 * wait for it, and no watchdog minds. Any thread.
 */
bool guest_is_debugged(const struct guest *guest);
bool guest_held_by_debugger(const struct guest *guest);

/*
 * Has the configuration's last_look called now if the guest is dead and it was not called yet;
 * guest_destroy() does so too. Not while a batch is under way.
 */
void guest_last_look(struct guest *guest);

/*
 * Watches [start, end) of guest-physical memory: the next access is told to the config's `access`
 * before it happens, and its answer obeyed. Errors: trap_watch()'s, -EOPNOTSUPP without traps.
 */
int guest_watch(struct guest *guest, gpa_t start, gpa_t end, enum trap_access access,
		struct error *error);
int guest_unwatch(struct guest *guest, gpa_t start, gpa_t end, struct error *error);

/* The late answer for a vCPU that is held. Errors: -ENOENT (it is not), -EINVAL. */
int guest_release(struct guest *guest, unsigned int vcpu, enum watch_answer answer);

/* Whether it was started with trap_uaf, which has the watches to itself. */
bool guest_traps_frames(const struct guest *guest);

/* With trap_uaf: frames given up since the start, and those nobody has got since. Else 0. */
void guest_frames_given_up(struct guest *guest, uint64_t *ever_out, uint64_t *now_out);

struct kvm_regs;
struct kvm_sregs;

/*
 * What vCPU @vcpu is at: registers, place, bytes there, backtrace and hypercall in flight, as a
 * report of no kind. Of one that runs, is held by a trap, is paused or dead; one that runs is out
 * of KVM meanwhile and goes on. @report_out is written on success. Errors: -EINVAL (@vcpu),
 * -ETIMEDOUT (it does not leave KVM), -EIO (KVM does not give its registers).
 */
int guest_glimpse(struct guest *guest, unsigned int vcpu, struct guest_report *report_out);

/*
 * The same of one that may run: it is out of KVM for a moment. @halted_out: it waits for an
 * interrupt. Errors: -EINVAL (@vcpu), -ETIMEDOUT (it does not leave KVM), KVM's own.
 */
int guest_registers_now(struct guest *guest, unsigned int vcpu, struct kvm_regs *regs_out,
			struct kvm_sregs *sregs_out, bool *halted_out);

/* The host's number of the thread that runs vCPU @vcpu; 0: none does. */
pid_t guest_thread_id(const struct guest *guest, unsigned int vcpu);

/* Registers of a paused vCPU. Errors: -EINVAL (@vcpu), -EBUSY (not paused), KVM's own. */
int guest_registers(struct guest *guest, unsigned int vcpu, struct kvm_regs *regs_out,
		    struct kvm_sregs *sregs_out);

#endif
