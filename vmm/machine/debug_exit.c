/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A vCPU's thread under a debugger: what an exit means, and whether the vCPU stops there. */
#include "vmm/machine/debug_exit.h"

#include <string.h>

#include "ept/kvm_fd.h"
#include "vmm/machine/debug_private.h"
#include "vmm/machine/vcpu_report.h"

#define VECTOR_BP 3
#define RFLAGS_IF (1ull << 9)

static struct debug *debug_of(const struct vm *vm)
{
	return __atomic_load_n(&vm->debug, __ATOMIC_ACQUIRE);
}

static void stop(struct debug *debug, struct vcpu *vcpu, enum debug_reason reason,
		 const struct debug_set_point *at)
{
	struct debug_vcpu *mine = &debug->vcpus[vcpu->index];

	vcpu_hold_itself(vcpu, VCPU_HELD_DEBUG);
	pthread_mutex_lock(&debug->lock);
	mine->stop = (struct debug_stop){.reason = reason, .vcpu = vcpu->index};
	if (at)
		mine->stop.point = at->point;
	mine->pending = true;
	pthread_mutex_unlock(&debug->lock);
	debug_wake(debug);
}

static bool is_stepping(const struct debug_order *order)
{
	return order->action == DEBUG_STEP || order->action == DEBUG_RANGE;
}

/* An instruction is done and RIP is @rip: whether the order ends here. */
static bool order_ends(const struct debug_order *order, uint64_t rip)
{
	return order->action == DEBUG_STEP ||
	       (order->action == DEBUG_RANGE && (rip < order->start || rip >= order->end));
}

/* ---- looking at each instruction ---- */

static void look(struct debug *debug, struct vcpu *vcpu)
{
	struct debug_vcpu *mine = &debug->vcpus[vcpu->index];
	struct insn_state state;
	struct kvm_sregs sregs;
	uint8_t code[INSN_BYTES_MAX];
	size_t size;

	mine->nr_accesses = 0;
	if (vcpu_report_registers(vcpu, state.regs, &sregs) != 0)
		return;
	mine->rip = state.regs[REGS_RIP];
	mine->rflags = state.regs[REGS_RFLAGS];
	if (!debug->looks)
		return;
	state.fs_base = sregs.fs.base;
	state.gs_base = sregs.gs.base;
	size = debug_read(debug, vcpu->index, false, mine->rip, code, sizeof(code));
	mine->nr_accesses = insn_accesses(code, size, &state, mine->accesses);
}

/* The watched access of the instruction that was done, or the breakpoint at @rip. */
static const struct debug_set_point *looked_for(struct debug *debug, struct debug_vcpu *mine,
						const struct kvm_regs *now)
{
	/* Interrupts were on and are off: most likely the handler's first instruction was done. */
	bool interrupted = (mine->rflags & RFLAGS_IF) && !(now->rflags & RFLAGS_IF);

	for (unsigned int i = 0; i < debug->nr_points; i++) {
		const struct debug_set_point *at = &debug->points[i];

		if (at->point.kind <= DEBUG_HARDWARE && at->point.address == now->rip)
			return at;
		for (size_t j = 0; j < mine->nr_accesses && !interrupted; j++)
			if (debug_watches(&at->point, &mine->accesses[j]))
				return at;
	}
	return NULL;
}

void debug_before_run(struct vcpu *vcpu)
{
	struct debug *debug = debug_of(vcpu->vm);

	if (debug && (debug->looks || is_stepping(&debug->vcpus[vcpu->index].order)))
		look(debug, vcpu);
}

/* After a port write KVM may be at the next instruction and say nothing of the step. */
void debug_after_exit(struct vcpu *vcpu)
{
	struct debug *debug = debug_of(vcpu->vm);
	struct debug_vcpu *mine;
	struct kvm_regs now;

	if (!debug || vcpu->run->exit_reason != KVM_EXIT_IO)
		return;
	mine = &debug->vcpus[vcpu->index];
	if ((!debug->looks && !is_stepping(&mine->order)) ||
	    kvm_ioctl(vcpu->fd, KVM_GET_REGS, &now) != 0 || now.rip == mine->rip)
		return;
	if (order_ends(&mine->order, now.rip))
		stop(debug, vcpu, DEBUG_STEPPED, NULL);
}

/* ---- KVM_EXIT_DEBUG ---- */

/* Whether a value a READ point watches is another than when the guest ran on: it was written. */
static bool was_written(struct debug *debug, unsigned int vcpu, const struct debug_set_point *at)
{
	uint8_t now[DEBUG_WATCH_SIZE_MAX];
	size_t size = at->point.size_bytes;

	return debug_read(debug, vcpu, false, at->point.address, now, size) == size &&
	       memcmp(now, at->last, size) != 0;
}

const struct debug_set_point *debug_register_hit(struct debug *debug, unsigned int vcpu,
						 uint64_t dr6)
{
	for (unsigned int i = 0; i < 4; i++) {
		const struct debug_set_point *at = &debug->points[debug->dr_point[i]];

		if (!(dr6 >> i & 1) || !(debug->dr7 >> 2 * i & 3))
			continue;
		if (at->point.kind == DEBUG_READ && debug->way == DEBUG_PATCH &&
		    was_written(debug, vcpu, at))
			continue;
		return at;
	}
	return NULL;
}

const struct debug_set_point *debug_software_hit(struct debug *debug, unsigned int vcpu,
						 uint64_t pc)
{
	gpa_t gpa;
	bool mapped = debug_translate(debug, vcpu, pc, &gpa) == 0;

	for (unsigned int i = 0; i < debug->nr_points; i++) {
		const struct debug_set_point *at = &debug->points[i];

		if (at->point.kind == DEBUG_SOFTWARE &&
		    (at->point.address == pc || (mapped && at->gpa.value == gpa.value)))
			return at;
	}
	return NULL;
}

/* An INT3 of the guest's own is the guest's. */
static void give_back(struct vcpu *vcpu)
{
	struct kvm_guest_debug told = vcpu->debug;

	told.control |= KVM_GUESTDBG_INJECT_BP;
	(void)vcpu_set_debug(vcpu, &told);
	told.control &= ~KVM_GUESTDBG_INJECT_BP;
	vcpu->debug = told;
}

static void on_software(struct debug *debug, struct vcpu *vcpu)
{
	const struct debug_set_point *at =
		debug_software_hit(debug, vcpu->index, vcpu->run->debug.arch.pc);

	if (at)
		stop(debug, vcpu, DEBUG_POINT, at);
	else
		give_back(vcpu);
}

bool debug_exit(struct vcpu *vcpu)
{
	struct debug *debug = debug_of(vcpu->vm);
	struct debug_vcpu *mine;
	const struct debug_set_point *at;
	struct kvm_regs now;

	if (!debug)
		return false;
	mine = &debug->vcpus[vcpu->index];
	if (vcpu->run->debug.arch.exception == VECTOR_BP) {
		on_software(debug, vcpu);
		return true;
	}
	at = debug_register_hit(debug, vcpu->index, vcpu->run->debug.arch.dr6);
	if (kvm_ioctl(vcpu->fd, KVM_GET_REGS, &now) != 0)
		return false;
	if (!at && debug->looks)
		at = looked_for(debug, mine, &now);
	if (at)
		stop(debug, vcpu, DEBUG_POINT, at);
	else if (order_ends(&mine->order, now.rip))
		stop(debug, vcpu, DEBUG_STEPPED, NULL);
	return true;
}

bool debug_wants(const struct vcpu *vcpu)
{
	const struct debug *debug = debug_of(vcpu->vm);

	return debug &&
	       (debug->looks || is_stepping(&debug->vcpus[vcpu->index].order) ||
		(vcpu->run->debug.arch.dr6 & 15) || vcpu->run->debug.arch.exception == VECTOR_BP);
}

void debug_died(struct vm *vm)
{
	struct debug *debug = debug_of(vm);

	if (!debug)
		return;
	pthread_mutex_lock(&debug->lock);
	debug->died = true;
	pthread_mutex_unlock(&debug->lock);
	debug_wake(debug);
}
