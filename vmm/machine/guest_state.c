/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known of a guest, and that it failed: below its life, its rings, its traps and looks. */
#include <errno.h>
#include <stdio.h>

#include "vmm/machine/debug_exit.h"
#include "vmm/machine/guest_private.h"
#include "vmm/soft/soft.h"

/* ---- the failure ---- */

const struct nb_submission *guest_find_call(const struct ring *ring, uint64_t ticket)
{
	uint64_t index = ticket - ring->first_ticket;

	return ring->nr_in_flight && index < ring->nr_in_flight ? &ring->in_flight[index] : NULL;
}

const struct nb_submission *guest_current_call(const struct guest *guest, unsigned int vcpu)
{
	const struct ring *ring = &guest->rings[vcpu];

	return guest_find_call(ring, __atomic_load_n(&ring->area->current, __ATOMIC_RELAXED));
}

void guest_fail(struct guest *guest, struct guest_report *report)
{
	const struct nb_submission *call;
	bool first;

	pthread_mutex_lock(&guest->lock);
	first = !guest->failed;
	if (first) {
		call = guest_current_call(guest, report->vcpu);
		if (call) {
			report->have_call = true;
			report->call = *call;
		}
		guest->failure = *report;
		__atomic_store_n(&guest->failed, true, __ATOMIC_RELEASE);
	}
	for (unsigned int i = 0; i < guest->nr_vcpus; i++)
		pthread_cond_broadcast(&guest->rings[i].changed);
	pthread_mutex_unlock(&guest->lock);
	for (unsigned int i = 0; first && i < guest->vm->nr_vcpus; i++)
		vcpu_ask_end(guest->vm->vcpus[i]);
	if (first)
		debug_died(guest->vm);
	if (first && guest->died)
		guest->died(guest->message_context, &guest->failure);
}

void guest_kill(struct guest *guest, const char *text)
{
	struct guest_report report = {.kind = REPORT_ENDED};

	snprintf(report.text, sizeof(report.text), "%s", text);
	guest_fail(guest, &report);
}

const struct guest_report *guest_failure(const struct guest *guest)
{
	return __atomic_load_n(&guest->failed, __ATOMIC_ACQUIRE) ? &guest->failure : NULL;
}

/* ---- the rest ---- */

uint64_t guest_progress(const struct guest *guest, unsigned int vcpu)
{
	return vcpu < guest->nr_vcpus
		       ? __atomic_load_n(&guest->rings[vcpu].area->progress, __ATOMIC_RELAXED)
		       : 0;
}

void guest_cancel(struct guest *guest, unsigned int vcpu, bool cancel)
{
	if (vcpu < guest->nr_vcpus)
		__atomic_store_n(&guest->rings[vcpu].area->cancel, cancel, __ATOMIC_SEQ_CST);
}

uint64_t guest_log_count(const struct guest *guest)
{
	return __atomic_load_n(&guest->logs, __ATOMIC_RELAXED);
}

uint64_t guest_warning_count(const struct guest *guest)
{
	return __atomic_load_n(&guest->warnings, __ATOMIC_RELAXED);
}

const struct guest_times *guest_times(const struct guest *guest)
{
	return &guest->times;
}

const struct kvm_host *guest_kvm_host(const struct guest *guest)
{
	return &guest->host;
}

const struct image *guest_image(const struct guest *guest)
{
	return &guest->image;
}

const struct boot *guest_boot(const struct guest *guest)
{
	return &guest->boot;
}

unsigned int guest_nr_vcpus(const struct guest *guest)
{
	return guest->nr_vcpus;
}

uint64_t guest_memory_bytes(const struct guest *guest)
{
	return memory_layout_bytes(&guest->memory);
}

struct gpa_space *guest_space(struct guest *guest)
{
	return guest->space;
}

struct kvm_slots *guest_slots(const struct guest *guest)
{
	return guest->vm->slots;
}

int guest_kvm_fd(const struct guest *guest, int vcpu)
{
	if (vcpu < 0)
		return guest->vm->fd;
	return (unsigned int)vcpu < guest->nr_vcpus ? guest->vm->vcpus[vcpu]->fd : -1;
}

pid_t guest_thread_id(const struct guest *guest, unsigned int vcpu)
{
	return vcpu < guest->nr_vcpus
		       ? __atomic_load_n(&guest->vm->vcpus[vcpu]->thread_id, __ATOMIC_ACQUIRE)
		       : 0;
}

int guest_second_stage(const struct guest *guest, struct stage2_mode *mode_out,
		       struct stage2_reader *reader_out)
{
	return soft_second_stage(guest->vm->fd, mode_out, reader_out) ? -EOPNOTSUPP : 0;
}

int guest_kvm_device(const struct guest *guest)
{
	return guest->kvm_fd;
}
