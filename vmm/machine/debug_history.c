/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The past of a guest on the soft engine: kept while a debugger is there, and what the host does to
 * the rings and to memory meanwhile told to it (vmm/soft/history.h).
 */
#include <errno.h>

#include "vmm/machine/debug_private.h"
#include "vmm/machine/guest_private.h"
#include "vmm/soft/history.h"

#define VECTOR_BP 3

/* ---- keeping ---- */

void debug_begin_history(struct debug *debug)
{
	const struct guest *guest = debug->guest;
	int fd = debug->vm->fd, err;

	if (debug->way != DEBUG_ENGINE)
		return;
	err = soft_history_begin(fd, DEBUG_HISTORY_BYTES);
	for (unsigned int i = 0; i < guest->nr_vcpus && !err; i++)
		err = soft_history_keep(fd, guest->boot.info.area_gpa[i],
					sizeof(struct nb_vcpu_area));
	debug->has_history = !err;
	if (err)
		soft_history_end(fd);
}

void debug_end_history(struct debug *debug)
{
	if (debug->has_history)
		soft_history_end(debug->vm->fd);
	debug->has_history = false;
}

bool debug_can_go_back(const struct debug *debug)
{
	return debug->has_history;
}

bool debug_in_past(const struct debug *debug)
{
	return debug->has_history && soft_history_is_away(debug->vm->fd);
}

void debug_on_search(struct debug *debug, bool (*asked)(void *context), void *context)
{
	debug->asked_for = asked;
	debug->asked_context = context;
}

/* ---- the host's writes ---- */

/* This thread is between guest_begin_exchange() and guest_end_exchange(). */
static _Thread_local bool exchanging;

/* How often one looks whether the past is left. */
#define PAST_TICK_NS 10000000

bool guest_begin_exchange(struct guest *guest)
{
	const struct timespec tick = {.tv_nsec = PAST_TICK_NS};

	while (guest_is_debugged(guest) && !guest_failure(guest)) {
		soft_history_lock(guest->vm->fd);
		if (!soft_history_is_away_locked(guest->vm->fd)) {
			exchanging = true;
			return true;
		}
		soft_history_unlock(guest->vm->fd);
		nanosleep(&tick, NULL);
	}
	return false;
}

void guest_end_exchange(struct guest *guest, bool locked)
{
	if (!locked)
		return;
	exchanging = false;
	soft_history_unlock(guest->vm->fd);
}

static int on_region(void *context, const struct gpa_region *region, struct error *error)
{
	(void)context;
	(void)region;
	(void)error;
	return 0;
}

static void on_write(void *context, gpa_t gpa, uint64_t size_bytes)
{
	const struct guest *guest = context;

	if (!guest->vm || !guest_is_debugged(guest))
		return;
	if (exchanging)
		soft_history_wrote_locked(guest->vm->fd, gpa.value, size_bytes);
	else
		soft_history_wrote(guest->vm->fd, gpa.value, size_bytes);
}

const struct gpa_listener_ops guest_history_listener = {on_region, on_region, on_write};

/* ---- going there ---- */

static const struct debug_order go_order = {.action = DEBUG_GO};

/* What a way through the past came to. @hit NULL: a step of @vcpu. */
static int arrived(struct debug *debug, unsigned int vcpu, bool back, const struct soft_hit *hit,
		   int err)
{
	struct debug_stop stop = {.reason = DEBUG_STEPPED, .vcpu = vcpu};
	const struct debug_set_point *at;

	if (!err && hit) {
		at = hit->vector == VECTOR_BP ? debug_software_hit(debug, hit->vcpu, hit->pc)
					      : debug_register_hit(debug, hit->vcpu, hit->dr6);
		stop.vcpu = hit->vcpu;
		if (at) {
			stop.reason = DEBUG_POINT;
			stop.point = at->point;
		}
	} else if (err == -ENODATA) {
		stop.reason = back ? DEBUG_OLDEST : DEBUG_NEWEST;
	} else if (err == -EINTR) {
		stop.reason = DEBUG_ASKED;
	} else if (err) {
		return err;
	}
	debug_stop_here(debug, &stop);
	return 0;
}

static int arm_all(struct debug *debug)
{
	int err = 0;

	for (unsigned int i = 0; i < debug->vm->nr_vcpus && !err; i++)
		err = debug_arm_vcpu(debug, i, &go_order);
	return err;
}

int debug_back(struct debug *debug, unsigned int vcpu, bool step)
{
	struct soft_hit hit = {0};
	int err = debug->has_history ? arm_all(debug) : -EOPNOTSUPP;

	if (err)
		return err;
	if (step)
		return arrived(debug, vcpu, true, NULL,
			       soft_history_step_back(debug->vm->fd, vcpu));
	err = soft_history_search_back(debug->vm->fd, debug->asked_for, debug->asked_context, &hit);
	return arrived(debug, vcpu, true, &hit, err);
}

/* Steps of @vcpu until its order ends. */
static int step_past(struct debug *debug, unsigned int vcpu, const struct debug_order *order)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	int err;

	do {
		err = soft_history_step(debug->vm->fd, vcpu);
		if (!err)
			err = vcpu_get_registers(debug->vm->vcpus[vcpu], &regs, &sregs);
		if (!err && debug->asked_for && debug->asked_for(debug->asked_context))
			err = -EINTR;
	} while (!err && order->action == DEBUG_RANGE && regs.rip >= order->start &&
		 regs.rip < order->end);
	return err;
}

int debug_resume_past(struct debug *debug, const struct debug_order *orders)
{
	struct soft_hit hit = {0};
	int err = arm_all(debug);

	if (err)
		return err;
	for (unsigned int i = 0; i < debug->vm->nr_vcpus; i++)
		if (orders[i].action == DEBUG_STEP || orders[i].action == DEBUG_RANGE)
			return arrived(debug, i, false, NULL, step_past(debug, i, &orders[i]));
	err = soft_history_search(debug->vm->fd, debug->asked_for, debug->asked_context, &hit);
	return arrived(debug, 0, false, &hit, err);
}
