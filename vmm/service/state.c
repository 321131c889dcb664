/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every command's code stands on: locks, the pause, names of places, failed looks. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/clock.h"
#include "vmm/look/walk.h"
#include "vmm/service/private.h"

bool service_paused(const struct service *service)
{
	return __atomic_load_n(&service->paused, __ATOMIC_ACQUIRE);
}

const char *service_place(const struct service *service, uint64_t address,
			  char text[IMAGE_PLACE_BYTES])
{
	const struct image *image = guest_image(service->guest);

	text[0] = '\0';
	return image_symbol_find(image, address) ? image_place(image, address, text) : text;
}

/* A trap that begins to hold a vCPU is seen so soon. */
#define WAIT_TICK_SECONDS 0.05

/* Says who holds @vcpu, a trap or gdb. Returns whether one does. */
static bool say_held(struct service *service, unsigned int vcpu, struct error *error)
{
	uint32_t trap = service_held_by(service, vcpu);

	bool debugged = !trap && guest_held_by_debugger(service->guest);

	if (trap)
		error_set(error, -EBUSY,
			  "vCPU %u is held by trap %" PRIu32 ": nestctl ept release %u go", vcpu,
			  trap, vcpu);
	if (debugged)
		error_set(error, -EBUSY, "vCPU %u is held by gdb: continue or detach there", vcpu);
	return trap || debugged;
}

void service_say_busy(struct service *service, unsigned int vcpu, struct error *error)
{
	unsigned int first = vcpu < NB_MAX_VCPUS ? vcpu : 0, i;
	unsigned int end = vcpu < NB_MAX_VCPUS ? vcpu + 1 : guest_nr_vcpus(service->guest);
	const char *doing;
	double since;

	for (i = first; i < end; i++)
		if (say_held(service, i, error))
			return;
	for (i = first; i < end; i++) {
		doing = lane_doing(&service->lanes[i], &since);
		if (!doing)
			continue;
		error_set(error, -EBUSY,
			  "vCPU %u has been in %s for %.0f s: ask again when that is over "
			  "(nestctl status shows it)",
			  i, doing, clock_seconds() - since);
		return;
	}
	error_set(error, -EBUSY, "the service is busy with what others asked for: ask again");
}

/* Waits for one vCPU's mutex. */
static int lock_call(struct service *service, unsigned int vcpu, double until,
		     const struct qmp_request *request, struct error *error)
{
	struct timespec tick;

	while (clock_seconds() < until) {
		tick = clock_deadline(WAIT_TICK_SECONDS);
		if (pthread_mutex_clocklock(&service->call_mutex[vcpu], CLOCK_MONOTONIC, &tick) ==
		    0)
			return 0;
		if (say_held(service, vcpu, error))
			return -EBUSY;
		if (request && service_cancelled(request))
			return error_set(error, -EBUSY, "cancelled before it was begun");
	}
	service_say_busy(service, vcpu, error);
	return -EBUSY;
}

int service_lock_calls(struct service *service, const struct qmp_request *request,
		       struct error *error)
{
	double until = clock_seconds() + SERVICE_WAIT_SECONDS;
	unsigned int i;

	for (i = 0; i < guest_nr_vcpus(service->guest); i++) {
		if (lock_call(service, i, until, request, error) == 0)
			continue;
		while (i > 0)
			pthread_mutex_unlock(&service->call_mutex[--i]);
		return -EBUSY;
	}
	return 0;
}

void service_unlock_calls(struct service *service)
{
	unsigned int i;

	for (i = guest_nr_vcpus(service->guest); i > 0; i--)
		pthread_mutex_unlock(&service->call_mutex[i - 1]);
}

int service_tables(struct service *service, const struct qmp_request *request,
		   struct paging_mode *mode_out)
{
	const struct qmp_value *root = qmp_get(request, "root");
	const struct qmp_value *process = qmp_get(request, "process");

	if (process->given)
		return look_process(service->inspector, (uint32_t)process->word, mode_out);
	*mode_out = guest_paging_mode(service->guest);
	if (root->given)
		mode_out->root = gpa_make(root->word & ~(INSPECT_PAGE_BYTES - 1));
	return 0;
}

json_t *service_failed(const struct qmp_request *request, int err)
{
	switch (err) {
	case -EINVAL:
		return qmp_error(request,
				 "%s: the end is to lie behind the start, both page "
				 "aligned",
				 request->command->name);
	case -ESRCH:
		return qmp_error(request, "%s: there is no process of that number",
				 request->command->name);
	case -ELOOP:
		return qmp_error(request, "%s: the guest's tables refer to themselves",
				 request->command->name);
	case -EOVERFLOW:
		return qmp_error(request, "%s: the guest maps more ranges than can be kept",
				 request->command->name);
	default:
		return qmp_error(request, "%s: %s", request->command->name, strerror(-err));
	}
}

json_t *service_bad_vcpu(const struct service *service, const struct qmp_request *request,
			 unsigned int vcpu)
{
	return qmp_error_argument(request, "vcpu", "is %u: this guest has %u, from 0", vcpu,
				  guest_nr_vcpus(service->guest));
}
