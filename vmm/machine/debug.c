/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A debugger comes and goes, and who runs meanwhile. */
#include "vmm/machine/debug.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/machine/debug_private.h"
#include "vmm/machine/guest_private.h"
#include "vmm/soft/soft.h"

void debug_wake(struct debug *debug)
{
	uint64_t one = 1;

	/* One that cannot be written is full, and so as readable as can be. */
	if (write(debug->event_fd, &one, sizeof(one)) < 0)
		return;
}

/* ---- who is held ---- */

static void let_all_go(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vcpu_let_go(vm->vcpus[i], VCPU_HELD_DEBUG);
}

static int hold_all(struct vm *vm)
{
	int err = 0, one;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		one = vcpu_hold(vm->vcpus[i], VCPU_HELD_DEBUG, DEBUG_HOLD_SECONDS);
		err = err ? err : one;
	}
	return err;
}

bool guest_held_by_debugger(const struct guest *guest)
{
	for (unsigned int i = 0; i < guest->nr_vcpus; i++)
		if (vcpu_is_held(guest->vm->vcpus[i], VCPU_HELD_DEBUG))
			return true;
	return false;
}

bool guest_is_debugged(const struct guest *guest)
{
	return __atomic_load_n(&guest->vm->debug, __ATOMIC_ACQUIRE) != NULL;
}

/* ---- coming and going ---- */

static enum debug_way way_of(const struct guest *guest)
{
	if (soft_is_device(guest->kvm_fd))
		return DEBUG_ENGINE;
	return guest->host.emulates_cpl0 ? DEBUG_LOOK : DEBUG_PATCH;
}

static struct debug *make(struct guest *guest)
{
	struct debug *debug = calloc(1, sizeof(*debug));

	if (!debug)
		return NULL;
	debug->guest = guest;
	debug->vm = guest->vm;
	debug->way = way_of(guest);
	debug->blocks = true;
	debug->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (debug->event_fd < 0) {
		free(debug);
		return NULL;
	}
	pthread_mutex_init(&debug->lock, NULL);
	debug->died = guest_failure(guest) != NULL;
	debug->asked = true;
	debug_wake(debug);
	(void)debug_arm(debug);
	return debug;
}

static void unmake(struct debug *debug)
{
	pthread_mutex_destroy(&debug->lock);
	close(debug->event_fd);
	free(debug);
}

int debug_attach(struct guest *guest, struct debug **debug_out, struct error *error)
{
	struct debug *debug, *none = NULL;
	int err;

	if (guest_is_debugged(guest))
		return error_set(error, -EBUSY, "a debugger is there already");
	debug = make(guest);
	if (!debug)
		return error_set(error, -ENOMEM, "no memory for a debugger");
	err = hold_all(guest->vm);
	if (err) {
		let_all_go(guest->vm);
		unmake(debug);
		return error_set(error, err, "a vCPU does not let itself be stopped");
	}
	if (!__atomic_compare_exchange_n(&guest->vm->debug, &none, debug, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE)) {
		unmake(debug);
		return error_set(error, -EBUSY, "a debugger is there already");
	}
	debug_begin_history(debug);
	*debug_out = debug;
	return 0;
}

/* A vCPU that KVM does not let go of may still look at what would be freed. */
void debug_detach(struct debug *debug)
{
	const struct kvm_guest_debug nothing = {0};
	struct vm *vm;
	bool stuck;

	if (!debug)
		return;
	vm = debug->vm;
	stuck = hold_all(vm) != 0;
	debug_end_history(debug);
	while (debug->nr_points)
		(void)debug_remove(debug, &debug->points[0].point);
	for (unsigned int i = 0; i < vm->nr_vcpus && !stuck; i++)
		(void)vcpu_set_debug(vm->vcpus[i], &nothing);
	__atomic_store_n(&vm->debug, NULL, __ATOMIC_RELEASE);
	let_all_go(vm);
	if (!stuck)
		unmake(debug);
}

int debug_fd(const struct debug *debug)
{
	return debug->event_fd;
}

void debug_step_blocks(struct debug *debug, bool block)
{
	debug->blocks = block;
}

/* ---- stops ---- */

void debug_interrupt(struct debug *debug)
{
	pthread_mutex_lock(&debug->lock);
	debug->asked = true;
	pthread_mutex_unlock(&debug->lock);
	debug_wake(debug);
}

/* A vCPU that has something to do, for a stop that is none's. */
static unsigned int busy_vcpu(struct debug *debug)
{
	for (unsigned int i = 0; i < debug->vm->nr_vcpus; i++)
		if (!debug_is_halted(debug, i))
			return i;
	return 0;
}

/* The stop to tell of, which is then told; false: there is none. */
static bool take_stop(struct debug *debug, struct debug_stop *stop)
{
	bool found = true;

	pthread_mutex_lock(&debug->lock);
	for (unsigned int i = 0; i < debug->vm->nr_vcpus; i++) {
		if (!debug->vcpus[i].pending)
			continue;
		debug->vcpus[i].pending = false;
		*stop = debug->vcpus[i].stop;
		goto out;
	}
	if (debug->died)
		*stop = (struct debug_stop){.reason = DEBUG_DIED};
	else if (debug->asked)
		*stop = (struct debug_stop){.reason = DEBUG_ASKED};
	else
		found = false;
out:
	debug->asked = debug->asked && !found;
	pthread_mutex_unlock(&debug->lock);
	return found;
}

bool debug_poll(struct debug *debug, struct debug_stop *stop_out)
{
	struct debug_stop stop;
	uint64_t count;

	while (read(debug->event_fd, &count, sizeof(count)) > 0)
		;
	if (debug->stopped || !take_stop(debug, &stop))
		return false;
	(void)hold_all(debug->vm);
	debug->stopped = true;
	if (stop.reason == DEBUG_ASKED)
		stop.vcpu = busy_vcpu(debug);
	if (stop.reason == DEBUG_DIED)
		stop.vcpu = guest_failure(debug->guest)->vcpu;
	*stop_out = stop;
	return true;
}

void debug_stop_here(struct debug *debug, const struct debug_stop *stop)
{
	pthread_mutex_lock(&debug->lock);
	debug->vcpus[stop->vcpu].stop = *stop;
	debug->vcpus[stop->vcpu].pending = true;
	pthread_mutex_unlock(&debug->lock);
	debug->stopped = false;
	debug_wake(debug);
}

/* ---- running on ---- */

/* Drops stops that will come again by themselves; whether a watch's is left, which will not. */
static bool left_over(struct debug *debug)
{
	bool left = false;

	pthread_mutex_lock(&debug->lock);
	for (unsigned int i = 0; i < debug->vm->nr_vcpus; i++) {
		struct debug_vcpu *one = &debug->vcpus[i];

		one->pending = one->pending && one->stop.reason == DEBUG_POINT &&
			       one->stop.point.kind >= DEBUG_WRITE;
		left |= one->pending;
	}
	debug->asked = false;
	pthread_mutex_unlock(&debug->lock);
	return left;
}

/* Not every KVM can keep interrupts off; a halted vCPU waits for one. */
int debug_arm_vcpu(struct debug *debug, unsigned int vcpu, const struct debug_order *order)
{
	struct kvm_guest_debug told = debug_control(debug, order);
	int err;

	if (debug_is_halted(debug, vcpu))
		told.control &= ~KVM_GUESTDBG_BLOCKIRQ;
	err = vcpu_set_debug(debug->vm->vcpus[vcpu], &told);
	if (err && (told.control & KVM_GUESTDBG_BLOCKIRQ)) {
		told.control &= ~KVM_GUESTDBG_BLOCKIRQ;
		err = vcpu_set_debug(debug->vm->vcpus[vcpu], &told);
	}
	return err;
}

static void keep_values(struct debug *debug)
{
	for (unsigned int i = 0; i < debug->nr_points; i++) {
		struct debug_set_point *at = &debug->points[i];

		if (at->point.kind == DEBUG_READ)
			(void)debug_read(debug, 0, false, at->point.address, at->last,
					 at->point.size_bytes);
	}
}

int debug_resume(struct debug *debug, const struct debug_order *orders)
{
	struct vm *vm = debug->vm;
	int err = 0;

	if (debug_in_past(debug))
		return debug_resume_past(debug, orders);
	if (guest_failure(debug->guest))
		return -ENOTRECOVERABLE;
	debug->stopped = false;
	if (left_over(debug)) {
		debug_wake(debug);
		return 0;
	}
	keep_values(debug);
	for (unsigned int i = 0; i < vm->nr_vcpus && !err; i++) {
		debug->vcpus[i].order = orders[i];
		err = debug_arm_vcpu(debug, i, &orders[i]);
	}
	debug->stopped = err != 0;
	for (unsigned int i = 0; i < vm->nr_vcpus && !err; i++)
		if (orders[i].action != DEBUG_HOLD)
			vcpu_let_go(vm->vcpus[i], VCPU_HELD_DEBUG);
	return err;
}
