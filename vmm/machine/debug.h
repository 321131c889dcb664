/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A debugger's hand on a guest: every vCPU held, some let go until something happens, and the
 * points at which it does.
 *
 *      held --debug_resume()--> running --a point, a step, debug_interrupt(), death--> held
 *
 * All vCPUs stop as soon as one does. While a debugger is attached the guest's time does not count:
 * no watchdog and no limit ends it.
 *
 * How a point is set differs. Where hardware runs the guest a software breakpoint is an INT3 in
 * guest memory, which debug_read() hides, and everything else has the four debug registers (SDM
 * vol. 3B 17.2). The soft engine stops at software breakpoints that memory shows nothing of. A KVM
 * that emulates CPL 0 (kvm_pvm) has neither INT3 nor watched data: there each instruction is
 * looked at before it is done, and the guest is as slow as that.
 *
 * Threads: one, the debugger's, calls what is below. `lock` guards what vCPUs' threads tell it.
 */
#ifndef VMM_MACHINE_DEBUG_H
#define VMM_MACHINE_DEBUG_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

struct guest;
struct debug;

/* gdb's Z0 to Z4. */
enum debug_kind {
	DEBUG_SOFTWARE, /* stops before the instruction */
	DEBUG_HARDWARE, /* the same, by a debug register */
	DEBUG_WRITE,    /* these stop after the access */
	DEBUG_READ,
	DEBUG_ACCESS,
};

struct debug_point {
	enum debug_kind kind;
	uint64_t address; /* linear */
	uint64_t size_bytes;
};

#define DEBUG_POINTS_MAX     256u
#define DEBUG_WATCH_SIZE_MAX 64u

enum debug_reason {
	DEBUG_ASKED, /* debug_attach(), debug_interrupt() */
	DEBUG_STEPPED,
	DEBUG_POINT,
	DEBUG_DIED,
	DEBUG_OLDEST, /* the history's begin, or its end, was reached (debug_back()) */
	DEBUG_NEWEST,
};

struct debug_stop {
	enum debug_reason reason;
	unsigned int vcpu;
	struct debug_point point; /* DEBUG_POINT: the one that was met */
};

enum debug_action {
	DEBUG_HOLD,
	DEBUG_GO,
	DEBUG_STEP,  /* one instruction */
	DEBUG_RANGE, /* steps as long as RIP stays in [start, end) */
};

struct debug_order {
	enum debug_action action;
	uint64_t start, end;
};

/* Registers as KVM has them, with what is in neither of its two sets. */
struct debug_registers {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	uint64_t kernel_gs_base;
	bool have_kernel_gs_base;
	bool have_fpu;
	struct kvm_fpu fpu;
};

/*
 * Holds every vCPU of @guest and puts a debugger there. Errors: -EBUSY (there is one), -ENOMEM,
 * -ETIMEDOUT (a vCPU does not let itself be stopped; all run on), eventfd(2)'s.
 */
int debug_attach(struct guest *guest, struct debug **debug_out, struct error *error);

/* Takes its points away and lets everybody go, from the newest moment. NULL is allowed. */
void debug_detach(struct debug *debug);

/*
 * Back by one step of vCPU @vcpu, or to the last of the points that are set; then debug_poll() says
 * where it stopped. Only where the soft engine runs the guest: it keeps, from debug_attach() on,
 * the last DEBUG_HISTORY_BYTES of what it did. In the past debug_resume() does again what was done,
 * up to the newest step. Errors: -EOPNOTSUPP, -ENOMEM, -EILSEQ (it did not come out as it did: at
 * the newest step).
 */
#define DEBUG_HISTORY_BYTES (256ull << 20)
int debug_back(struct debug *debug, unsigned int vcpu, bool step);
bool debug_can_go_back(const struct debug *debug);

/* Asked now and then while debug_back() and debug_resume() search the past: whether to give up. */
void debug_on_search(struct debug *debug, bool (*asked)(void *context), void *context);

/* Readable when debug_poll() may have something to say; the debug's. */
int debug_fd(const struct debug *debug);

/*
 * Whether the guest has stopped since debug_resume(): then all vCPUs are held, and *@stop_out says
 * why. To be called when debug_fd() is readable.
 */
bool debug_poll(struct debug *debug, struct debug_stop *stop_out);

/* Has the running guest stop: debug_poll() says when it has. */
void debug_interrupt(struct debug *debug);

/* While it is stopped, all that follows. */

/*
 * Lets vCPUs go by their orders, one for each of the guest's. Errors: -ENOTRECOVERABLE (it is
 * dead), KVM's own: nobody runs.
 */
int debug_resume(struct debug *debug, const struct debug_order *orders);

/*
 * Sets and ends a point; one that is there is set, one that is not is ended. A software breakpoint
 * is found by the page tables vCPU @vcpu has. Errors: -EINVAL (size, kind), -EFAULT (nothing is
 * mapped there), -ENOSPC (no debug register, no place).
 */
int debug_insert(struct debug *debug, unsigned int vcpu, const struct debug_point *point);
int debug_remove(struct debug *debug, const struct debug_point *point);

/* Errors: -EINVAL (@vcpu), KVM's own; of set: -EPERM in the past (debug_back()). */
int debug_get_registers(struct debug *debug, unsigned int vcpu, struct debug_registers *out);
int debug_set_registers(struct debug *debug, unsigned int vcpu, const struct debug_registers *in);

/*
 * Copies guest memory at linear addresses of vCPU @vcpu, whatever the tables' rights, or at
 * guest-physical ones; as a guest without a debugger has it. Reads return how many bytes there are,
 * from the first on. A write is done whole or not at all: 0, -EFAULT, -EPERM (in the past).
 */
size_t debug_read(struct debug *debug, unsigned int vcpu, bool physical, uint64_t address,
		  void *buffer, size_t size_bytes);
int debug_write(struct debug *debug, unsigned int vcpu, bool physical, uint64_t address,
		const void *buffer, size_t size_bytes);

/* Whether vCPU @vcpu waits for an interrupt. */
bool debug_is_halted(struct debug *debug, unsigned int vcpu);

/* Of steps: whether interrupts are kept off meanwhile, where KVM can; they are unless told. */
void debug_step_blocks(struct debug *debug, bool block);

#endif
