/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Faults remembered, exits answered, single instructions let through. */
#include "vmm/machine/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ept/kvm_fd.h"
#include "lib/clock.h"
#include "vmm/machine/debug_exit.h"
#include "vmm/machine/vcpu_report.h"
#include "vmm/machine/vm.h"
#include "vmm/machine/watch_private.h"

/* Linux 5.16 and 6.8; older headers do not have them. */
#ifndef KVM_GUESTDBG_BLOCKIRQ
#define KVM_GUESTDBG_BLOCKIRQ 0x00100000
#endif
#ifndef KVM_EXIT_MEMORY_FAULT
#define KVM_EXIT_MEMORY_FAULT 39
#endif

#define HOLD_TICK_SECONDS 0.02
/* A failure nobody claims may be another vCPU's page: it is open again within that. */
#define RETRIES_MAX        2000
#define RETRY_MICROSECONDS 100
/* A step is tried so often. */
#define STEP_TRIES_MAX 16

/* ---- faults, on the traps' thread ---- */

/*
 * Whose fault it is: the vCPU's thread; 0 for a thread that is none of this process's, KVM's own;
 * or -1 for one of the VMM's other threads.
 */
static pid_t whose(const struct watch *watch, pid_t thread)
{
	char path[64];

	for (unsigned int i = 0; i < watch->vm->nr_vcpus; i++)
		if (watch->vcpus[i].thread == thread)
			return thread;
	snprintf(path, sizeof(path), "/proc/self/task/%d", (int)thread);
	return access(path, F_OK) == 0 ? -1 : 0;
}

static void remember(struct watch *watch, uint64_t page, pid_t thread)
{
	for (unsigned int i = 0; i < watch->nr_pending; i++)
		if (watch->pending[i].page == page && watch->pending[i].thread == thread)
			return;
	/* One forgotten is found again from its instruction. */
	if (watch->nr_pending < WATCH_PENDING_MAX)
		watch->pending[watch->nr_pending++] = (struct watch_pending){page, thread};
}

static enum trap_answer on_trap(void *context, const struct trap_event *event)
{
	struct watch *watch = context;
	pid_t thread;

	pthread_mutex_lock(&watch->lock);
	thread = whose(watch, event->thread);
	if (thread >= 0)
		remember(watch, event->gpa.value & ~(EPT_PAGE_BYTES - 1), thread);
	pthread_mutex_unlock(&watch->lock);
	return thread >= 0 ? TRAP_FAIL : TRAP_LET;
}

/* Takes what is remembered of @page and this thread, or nobody's. */
static void forget(struct watch *watch, uint64_t page, pid_t thread)
{
	pthread_mutex_lock(&watch->lock);
	for (unsigned int i = 0; i < watch->nr_pending;) {
		const struct watch_pending *one = &watch->pending[i];

		if (one->page == page && (one->thread == thread || one->thread == 0))
			watch->pending[i] = watch->pending[--watch->nr_pending];
		else
			i++;
	}
	pthread_mutex_unlock(&watch->lock);
}

/* The page of a fault of @thread. */
static bool recall(struct watch *watch, pid_t thread, gpa_t *page_out)
{
	bool found = false;

	pthread_mutex_lock(&watch->lock);
	for (unsigned int i = 0; i < watch->nr_pending && !found; i++) {
		found = watch->pending[i].thread == thread;
		if (found)
			*page_out = gpa_make(watch->pending[i].page);
	}
	pthread_mutex_unlock(&watch->lock);
	return found;
}

/* ---- one instruction with the page open ---- */

/* Where a vCPU cannot be stepped its pages stay open. */
static void step_start(struct watch *watch, struct vcpu *vcpu, gpa_t page)
{
	struct watch_vcpu *mine = &watch->vcpus[vcpu->index];
	uint32_t control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;

	if (trap_release(watch->traps, page) != 0 || mine->nr_steps == WATCH_STEPS_MAX)
		return;
	mine->tries = 0;
	if (kvm_ioctl(vcpu->fd, KVM_GET_REGS, &mine->before) == 0 &&
	    (vcpu_set_step(vcpu, control | KVM_GUESTDBG_BLOCKIRQ) == 0 ||
	     vcpu_set_step(vcpu, control) == 0))
		mine->steps[mine->nr_steps++] = page;
}

/*
 * Whether a step ended with nothing done: some processors (Bochs's) deliver the trap of the step
 * that a second-stage fault interrupted before they repeat the instruction.
 */
static bool step_again(struct watch *watch, struct vcpu *vcpu)
{
	struct watch_vcpu *mine = &watch->vcpus[vcpu->index];
	struct kvm_regs regs;

	return mine->nr_steps && vcpu->run->exit_reason == KVM_EXIT_DEBUG &&
	       mine->tries++ < STEP_TRIES_MAX && kvm_ioctl(vcpu->fd, KVM_GET_REGS, &regs) == 0 &&
	       memcmp(&regs, &mine->before, sizeof(regs)) == 0;
}

static void step_end(struct watch *watch, struct vcpu *vcpu)
{
	struct watch_vcpu *mine = &watch->vcpus[vcpu->index];

	(void)vcpu_set_step(vcpu, 0);
	while (mine->nr_steps)
		(void)trap_arm(watch->traps, mine->steps[--mine->nr_steps]);
}

/* ---- answers ---- */

/* One access of the guest's, whole, as the processor would make it: others race with it. */
static void copy_whole(void *host, void *data, uint32_t size, bool store)
{
#define COPY(type)                                                                     \
	do {                                                                           \
		type value;                                                            \
		if (store) {                                                           \
			memcpy(&value, data, sizeof(value));                           \
			__atomic_store_n((type *)host, value, __ATOMIC_RELEASE);       \
		} else {                                                               \
			value = __atomic_load_n((const type *)host, __ATOMIC_ACQUIRE); \
			memcpy(data, &value, sizeof(value));                           \
		}                                                                      \
	} while (0)
	if (size == 8)
		COPY(uint64_t);
	else if (size == 4)
		COPY(uint32_t);
	else if (size == 2)
		COPY(uint16_t);
	else
		COPY(uint8_t);
#undef COPY
}

/* Does what the guest's instruction wanted of memory, where KVM asks for it as for a device's. */
static enum watch_result complete_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	gpa_t gpa = gpa_make(run->mmio.phys_addr);
	uint32_t size = run->mmio.len, step;
	const struct gpa_region *region = gpa_space_find(vcpu->vm->space, gpa);
	bool store = run->mmio.is_write;
	void *host;

	if (size > sizeof(run->mmio.data) || !region || (store && region->kind != GPA_RAM) ||
	    gpa_space_translate(vcpu->vm->space, gpa, size, &host) != 0)
		return WATCH_NOT_OURS;
	step = size == 0 || (size & (size - 1)) || gpa.value % size ? 1 : size;
	for (uint32_t at = 0; at < size; at += step)
		copy_whole((char *)host + at, run->mmio.data + at, step, store);
	if (store)
		gpa_space_note_write(vcpu->vm->space, gpa, size);
	return WATCH_RUN;
}

static enum watch_result go_on(struct watch *watch, struct vcpu *vcpu, gpa_t page, bool mmio)
{
	if (!mmio) {
		step_start(watch, vcpu, page);
		return WATCH_RUN;
	}
	(void)trap_arm(watch->traps, page);
	return complete_mmio(vcpu);
}

static enum watch_result deny(struct watch *watch, struct vcpu *vcpu,
			      const struct watch_access *access)
{
	struct guest_report report;

	vcpu_report(vcpu, REPORT_DENIED, "touched memory that is watched, and was denied it",
		    &report);
	report.have_access = true;
	report.access = access->what;
	if (access->what.after)
		image_place(vcpu->vm->image, report.regs[REGS_RIP] - 1, report.where);
	if (watch->ops->describe)
		watch->ops->describe(watch->context, access, &report);
	vcpu->vm->ops->dead(vcpu->vm->context, vcpu->index, &report);
	return WATCH_DIED;
}

static enum watch_result hold(struct watch *watch, const struct watch_access *access, bool mmio)
{
	struct watch_vcpu *mine = &watch->vcpus[access->vcpu];

	pthread_mutex_lock(&watch->lock);
	mine->held = true;
	mine->resumed = false;
	mine->access = *access;
	mine->mmio = mmio;
	pthread_mutex_unlock(&watch->lock);
	return WATCH_RUN;
}

static enum watch_result obey(struct watch *watch, struct vcpu *vcpu, enum watch_answer answer,
			      const struct watch_access *access, bool mmio)
{
	switch (answer) {
	case WATCH_GO_ON:
		return go_on(watch, vcpu, access->page, mmio);
	case WATCH_HOLD:
		return hold(watch, access, mmio);
	case WATCH_DENY:
		break;
	}
	return deny(watch, vcpu, access);
}

static enum watch_result ask(struct watch *watch, struct vcpu *vcpu,
			     const struct watch_access *access, bool mmio)
{
	watch->vcpus[vcpu->index].retries = 0;
	forget(watch, access->page.value, watch->vcpus[vcpu->index].thread);
	return obey(watch, vcpu, watch->ops->answer(watch->context, vcpu, access), access, mmio);
}

/* ---- exits ---- */

/* A failure without an address, or with one in @known. */
static enum watch_result on_failure(struct watch *watch, struct vcpu *vcpu, const gpa_t *known)
{
	struct watch_vcpu *mine = &watch->vcpus[vcpu->index];
	struct watch_access access;
	gpa_t page;

	if (known)
		page = *known;
	else if (recall(watch, mine->thread, &page))
		known = &page;
	if (watch_locate(watch, vcpu, known, &access) &&
	    trap_watched(watch->traps, access.page) != TRAP_NONE)
		return ask(watch, vcpu, &access, false);
	if (known) /* the watch ended meanwhile */
		return forget(watch, page.value, mine->thread), WATCH_RUN;
	/* A fault of KVM's own thread, by an instruction that could not be decoded. */
	if (recall(watch, 0, &page) && watch_locate(watch, vcpu, &page, &access))
		return ask(watch, vcpu, &access, false);
	if (mine->retries++ >= RETRIES_MAX)
		return WATCH_NOT_OURS;
	usleep(RETRY_MICROSECONDS);
	return WATCH_RUN;
}

static enum watch_result on_mmio(struct watch *watch, struct vcpu *vcpu)
{
	gpa_t gpa = gpa_make(vcpu->run->mmio.phys_addr);
	struct watch_access access;
	void *host;

	if (gpa_space_translate(vcpu->vm->space, gpa, 1, &host) != 0)
		return WATCH_NOT_OURS;
	if (trap_watched(watch->traps, gpa) == TRAP_NONE)
		return complete_mmio(vcpu); /* the watch ended meanwhile */
	watch_locate_mmio(watch, vcpu, &access);
	return ask(watch, vcpu, &access, true);
}

enum watch_result watch_exit(struct watch *watch, struct vcpu *vcpu)
{
	struct watch_vcpu *mine = &watch->vcpus[vcpu->index];
	const struct kvm_run *run = vcpu->run;
	bool stepped = mine->nr_steps > 0;

	if (step_again(watch, vcpu))
		return WATCH_RUN;
	if (stepped)
		step_end(watch, vcpu);
	switch (run->exit_reason) {
	case KVM_EXIT_DEBUG:
		return stepped && !debug_wants(vcpu) ? WATCH_RUN : WATCH_NOT_OURS;
	case KVM_EXIT_MMIO:
		return on_mmio(watch, vcpu);
	case KVM_EXIT_INTERNAL_ERROR:
		if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION ||
		    mine->retries++ >= RETRIES_MAX)
			return WATCH_NOT_OURS;
		return watch_run_failed(watch, vcpu, 0);
	default:
		mine->retries = 0;
		return WATCH_NOT_OURS;
	}
}

enum watch_result watch_run_failed(struct watch *watch, struct vcpu *vcpu, int code)
{
	uint64_t fault[3]; /* flags, gpa, size: at the start of the union in struct kvm_run */
	struct watch_access access;
	gpa_t page;

	if (code == 0) { /* it cannot be emulated: ours if it touches what is watched */
		if (!recall(watch, watch->vcpus[vcpu->index].thread, &page) &&
		    !watch_locate(watch, vcpu, NULL, &access))
			return WATCH_NOT_OURS;
		return on_failure(watch, vcpu, NULL);
	}
	if (code != -EFAULT)
		return WATCH_NOT_OURS;
	if (vcpu->run->exit_reason != KVM_EXIT_MEMORY_FAULT)
		return on_failure(watch, vcpu, NULL);
	memcpy(fault, &vcpu->run->hw, sizeof(fault));
	page = gpa_make(fault[1] & ~(EPT_PAGE_BYTES - 1));
	return on_failure(watch, vcpu, &page);
}

/* ---- held vCPUs ---- */

enum watch_result watch_held(struct watch *watch, struct vcpu *vcpu)
{
	struct watch_vcpu *mine = &watch->vcpus[vcpu->index];
	struct timespec end = clock_deadline(HOLD_TICK_SECONDS);
	struct watch_access access;
	enum watch_answer answer;
	bool mmio;

	pthread_mutex_lock(&watch->lock);
	if (!mine->held) {
		pthread_mutex_unlock(&watch->lock);
		return WATCH_NOT_OURS;
	}
	if (!mine->resumed)
		pthread_cond_timedwait(&watch->released, &watch->lock, &end);
	if (!mine->resumed) {
		pthread_mutex_unlock(&watch->lock);
		return WATCH_RUN;
	}
	mine->held = mine->resumed = false;
	answer = mine->late;
	access = mine->access;
	mmio = mine->mmio;
	pthread_mutex_unlock(&watch->lock);
	return obey(watch, vcpu, answer, &access, mmio);
}

bool watch_is_held(struct watch *watch, unsigned int vcpu)
{
	bool held;

	pthread_mutex_lock(&watch->lock);
	held = watch->vcpus[vcpu].held;
	pthread_mutex_unlock(&watch->lock);
	return held;
}

int watch_resume(struct watch *watch, unsigned int vcpu, enum watch_answer answer)
{
	struct watch_vcpu *one = &watch->vcpus[vcpu];
	int err = 0;

	if (answer != WATCH_GO_ON && answer != WATCH_DENY)
		return -EINVAL;
	pthread_mutex_lock(&watch->lock);
	if (!one->held || one->resumed) {
		err = -ENOENT;
	} else {
		one->resumed = true;
		one->late = answer;
		pthread_cond_broadcast(&watch->released);
	}
	pthread_mutex_unlock(&watch->lock);
	return err;
}

/* ---- life ---- */

int watch_create(struct vm *vm, const struct watch_ops *ops, void *context,
		 struct watch **watch_out, struct error *error)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	int err;

	if (!watch)
		return error_set(error, -ENOMEM, "no memory for watches");
	watch->vm = vm;
	watch->ops = ops;
	watch->context = context;
	pthread_mutex_init(&watch->lock, NULL);
	clock_cond_init(&watch->released);
	err = trap_set_create(vm->space, vm->fd, on_trap, watch, &watch->traps, error);
	if (err)
		watch_destroy(watch);
	else
		*watch_out = watch;
	return err;
}

void watch_destroy(struct watch *watch)
{
	if (!watch)
		return;
	trap_set_destroy(watch->traps);
	pthread_cond_destroy(&watch->released);
	pthread_mutex_destroy(&watch->lock);
	free(watch);
}

struct trap_set *watch_traps(struct watch *watch)
{
	return watch->traps;
}

void watch_vcpu_starts(struct watch *watch, unsigned int vcpu)
{
	pthread_mutex_lock(&watch->lock);
	watch->vcpus[vcpu].thread = gettid();
	pthread_mutex_unlock(&watch->lock);
}
