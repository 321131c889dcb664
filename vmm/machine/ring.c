/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's end of the hypercall rings: submit, ring the doorbell, wait, take completions; and
 * the watchdog over a guest that does not answer, or not in time.
 *
 * All that is read here the guest wrote: each index is loaded once and checked against what was
 * submitted, each completion is copied, then checked. In the ring, user_data is a ticket of the
 * host's own, never used twice, so that an answer to another question is seen; the caller's comes
 * back from the host's copy.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "vmm/machine/guest_private.h"
#include "vmm/machine/vcpu_report.h"
#include "vmm/soft/plan.h"

/* Linux's errors end here. */
#define STATUS_MIN (-4095)

/* How often the watchdog looks. */
#define TICK_SECONDS 0.05
/* Before the first answer a doorbell may find the vCPU's APIC off: it is rung again. */
#define START_TICK_SECONDS 0.001
/* How long a stopped vCPU may take to leave KVM. */
#define STOP_SECONDS 5.0

/* What changes while a guest gets on; any change will do. */
struct pulse {
	uint32_t sq_head, cq_tail;
	uint64_t progress;
};

static struct pulse take_pulse(const struct ring *ring)
{
	return (struct pulse){
		.sq_head = __atomic_load_n(&ring->area->sq_head, __ATOMIC_RELAXED),
		.cq_tail = __atomic_load_n(&ring->area->cq_tail, __ATOMIC_RELAXED),
		.progress = __atomic_load_n(&ring->area->progress, __ATOMIC_RELAXED),
	};
}

static bool pulse_equal(const struct pulse *a, const struct pulse *b)
{
	return a->sq_head == b->sq_head && a->cq_tail == b->cq_tail && a->progress == b->progress;
}

/* ---- a guest that breaks the rules, or does nothing ---- */

/* Stops vCPU @index, reports it with where it was, and returns -ENOTRECOVERABLE. */
static int stop_and_report(struct guest *guest, unsigned int index, enum report_kind kind,
			   const char *text)
{
	struct vcpu *vcpu = guest->vm->vcpus[index];
	struct guest_report report = {.kind = kind, .vcpu = index};

	if (vcpu_end(vcpu, STOP_SECONDS) == 0)
		vcpu_report(vcpu, kind, text, &report);
	else
		snprintf(report.text, sizeof(report.text), "%s; KVM does not let go of the vCPU",
			 text);
	guest_fail(guest, &report);
	return -ENOTRECOVERABLE;
}

/* When what one waits for began, or changed last: clock_seconds(). */
struct waiting {
	struct pulse pulse;
	double change; /* of the pulse */
	double begin;  /* of the operation */
};

/*
 * What is seen now. While a trap holds the vCPU, or a debugger is there, the time is not the
 * guest's, and a completion ends one operation and begins the next.
 */
static void look_again(struct guest *guest, unsigned int index, struct waiting *waiting)
{
	struct pulse pulse = take_pulse(&guest->rings[index]);
	bool held = guest_is_debugged(guest) ||
		    (guest->vm->watch && watch_is_held(guest->vm->watch, index));
	double now = clock_seconds();

	if (held || pulse.cq_tail != waiting->pulse.cq_tail)
		waiting->begin = now;
	if (held || !pulse_equal(&pulse, &waiting->pulse))
		waiting->change = now;
	waiting->pulse = pulse;
}

/* Stops a guest whose time is over, by any of the three measures; else returns 0. */
static int check_time(struct guest *guest, unsigned int index, const struct waiting *waiting)
{
	double now = clock_seconds();
	char text[128];

	if (guest->watchdog_seconds > 0 && now - waiting->change >= guest->watchdog_seconds)
		snprintf(text, sizeof(text), "no progress for %g seconds: stopped by the watchdog",
			 guest->watchdog_seconds);
	else if (guest->operation_seconds > 0 && now - waiting->begin >= guest->operation_seconds)
		snprintf(text, sizeof(text),
			 "one operation of more than %g seconds: stopped (--operation-limit)",
			 guest->operation_seconds);
	else if (guest->total_seconds > 0 && !guest_is_debugged(guest) &&
		 now - guest->times.begin >= guest->total_seconds)
		snprintf(text, sizeof(text), "its %g seconds are over: stopped (--time-limit)",
			 guest->total_seconds);
	else
		return 0;
	return stop_and_report(guest, index, REPORT_STUCK, text);
}

/* ---- waiting ---- */

/*
 * Sleeps until the guest writes to its port, dies, or a tick is over. *@signals is the count seen
 * last. Returns -ENOTRECOVERABLE when it is dead.
 */
static int sleep_a_tick(struct guest *guest, struct ring *ring, uint64_t *signals)
{
	struct timespec end = clock_deadline(ring->online ? TICK_SECONDS : START_TICK_SECONDS);
	int err = 0;

	pthread_mutex_lock(&guest->lock);
	while (ring->signals == *signals && !guest->failed) {
		if (pthread_cond_timedwait(&ring->changed, &guest->lock, &end) == ETIMEDOUT)
			break;
	}
	*signals = ring->signals;
	if (guest->failed)
		err = -ENOTRECOVERABLE;
	pthread_mutex_unlock(&guest->lock);
	return err;
}

/* Completions that are there. */
static uint32_t count_ready(struct guest *guest, const struct ring *ring)
{
	bool locked = guest_begin_exchange(guest);
	uint32_t tail = __atomic_load_n(&ring->area->cq_tail, __ATOMIC_ACQUIRE);

	guest_end_exchange(guest, locked);
	return tail - ring->cq_head;
}

/*
 * Waits until @count completions are there. Returns 0 with *@ready_out = @count, or
 * -ENOTRECOVERABLE with as many as there are.
 */
static int wait_completions(struct guest *guest, unsigned int index, uint32_t count,
			    uint32_t *ready_out)
{
	struct ring *ring = &guest->rings[index];
	double now = clock_seconds();
	struct waiting waiting = {.pulse = take_pulse(ring), .change = now, .begin = now};
	uint64_t signals = 0;

	for (;;) {
		/* Read before the rings: what came before the signal is seen. */
		int dead = sleep_a_tick(guest, ring, &signals);
		uint32_t ready = count_ready(guest, ring);
		struct pulse last = waiting.pulse;
		int over;

		if (ready > count && !dead)
			return stop_and_report(guest, index, REPORT_RING,
					       "it says it completed more than it was given");
		*ready_out = ready > count ? 0 : ready;
		if (ready == count)
			return 0;
		if (dead)
			return dead;
		look_again(guest, index, &waiting);
		/* It may have found the APIC off, or been lost by an emulated machine. */
		if (!guest->together && !guest_held_by_debugger(guest) &&
		    (!ring->online || pulse_equal(&waiting.pulse, &last)))
			vm_interrupt(guest->vm, index, NB_VECTOR_DOORBELL);
		over = check_time(guest, index, &waiting);
		if (over)
			return over;
	}
}

/* ---- one ring of hypercalls ---- */

/* Dirty tracking is told of what the host writes itself. */
static void note_written(struct guest *guest, const struct ring *ring, uint32_t count)
{
	gpa_t area = gpa_make(guest->boot.info.area_gpa[ring - guest->rings]);
	uint32_t first = ring->sq_tail % NB_RING_ENTRIES;
	uint32_t fits = NB_RING_ENTRIES - first < count ? NB_RING_ENTRIES - first : count;

	gpa_space_note_write(guest->space,
			     gpa_add(area, offsetof(struct nb_vcpu_area, sq) +
						   first * sizeof(struct nb_submission)),
			     fits * sizeof(struct nb_submission));
	gpa_space_note_write(guest->space, gpa_add(area, offsetof(struct nb_vcpu_area, sq)),
			     (count - fits) * sizeof(struct nb_submission));
	gpa_space_note_write(guest->space, gpa_add(area, offsetof(struct nb_vcpu_area, sq_tail)),
			     sizeof(ring->sq_tail));
	gpa_space_note_write(guest->space, gpa_add(area, offsetof(struct nb_vcpu_area, cq_head)),
			     sizeof(ring->cq_head));
}

static void put_submissions(struct guest *guest, struct ring *ring,
			    const struct nb_submission *submissions, uint32_t count)
{
	uint64_t ticket;
	bool locked;

	pthread_mutex_lock(&guest->lock);
	ticket = guest->next_ticket;
	guest->next_ticket += count;
	ring->in_flight = submissions;
	ring->nr_in_flight = count;
	ring->first_ticket = ticket;
	pthread_mutex_unlock(&guest->lock);
	locked = guest_begin_exchange(guest);
	for (uint32_t i = 0; i < count; i++) {
		struct nb_submission *slot = &ring->area->sq[(ring->sq_tail + i) % NB_RING_ENTRIES];

		*slot = submissions[i];
		slot->user_data = ticket + i;
	}
	note_written(guest, ring, count);
	ring->sq_tail += count;
	__atomic_store_n(&ring->area->sq_tail, ring->sq_tail, __ATOMIC_RELEASE);
	guest_end_exchange(guest, locked);
}

static void clear_in_flight(struct guest *guest, struct ring *ring)
{
	pthread_mutex_lock(&guest->lock);
	ring->in_flight = NULL;
	ring->nr_in_flight = 0;
	pthread_mutex_unlock(&guest->lock);
}

/* Copies and checks @count completions. */
static int check_completions(struct guest *guest, unsigned int index,
			     const struct nb_submission *submissions, uint32_t count,
			     struct nb_completion *completions, size_t *done)
{
	struct ring *ring = &guest->rings[index];
	char text[160];

	for (uint32_t i = 0; i < count; i++) {
		struct nb_completion *to = &completions[i];

		if (to->user_data != ring->first_ticket + i) {
			snprintf(text, sizeof(text),
				 "its completion has user data %#" PRIx64 ", not %#" PRIx64,
				 to->user_data, ring->first_ticket + i);
			return stop_and_report(guest, index, REPORT_RING, text);
		}
		if (to->status > 0 || to->status < STATUS_MIN) {
			snprintf(text, sizeof(text),
				 "its completion has status %" PRId64 ", neither 0 nor a -errno",
				 to->status);
			return stop_and_report(guest, index, REPORT_RING, text);
		}
		to->user_data = submissions[i].user_data;
		++*done;
	}
	return 0;
}

/* Whatever is wrong with one, the ring has room for all of them again. */
static int take_completions(struct guest *guest, unsigned int index,
			    const struct nb_submission *submissions, uint32_t count,
			    struct nb_completion *completions, size_t *done)
{
	struct ring *ring = &guest->rings[index];
	gpa_t area = gpa_make(guest->boot.info.area_gpa[index]);
	bool locked = guest_begin_exchange(guest);

	for (uint32_t i = 0; i < count; i++, ring->cq_head++)
		memcpy(&completions[i], &ring->area->cq[ring->cq_head % NB_RING_ENTRIES],
		       sizeof(completions[i]));
	__atomic_store_n(&ring->area->cq_head, ring->cq_head, __ATOMIC_RELEASE);
	if (locked)
		gpa_space_note_write(guest->space,
				     gpa_add(area, offsetof(struct nb_vcpu_area, cq_head)),
				     sizeof(ring->cq_head));
	guest_end_exchange(guest, locked);
	return check_completions(guest, index, submissions, count, completions, done);
}

static int call_ring(struct guest *guest, unsigned int index,
		     const struct nb_submission *submissions, uint32_t count,
		     struct nb_completion *completions, size_t *done)
{
	struct ring *ring = &guest->rings[index];
	uint32_t ready = 0;
	int err, bad = 0;

	put_submissions(guest, ring, submissions, count);
	err = vm_interrupt(guest->vm, index, NB_VECTOR_DOORBELL);
	if (err < 0)
		bad = stop_and_report(guest, index, REPORT_KVM, "the doorbell: KVM_SIGNAL_MSI");
	if (!bad)
		bad = wait_completions(guest, index, count, &ready);
	err = take_completions(guest, index, submissions, ready, completions, done);
	clear_in_flight(guest, ring);
	if (!bad && !err)
		ring->online = true;
	return bad ? bad : err;
}

/*
 * The same by a schedule: what the host writes, it writes while no vCPU runs, before and after, or
 * the moment of it would be part of the run. So calls come one after another here.
 */
static int call_ring_held(struct guest *guest, unsigned int index,
			  const struct nb_submission *submissions, uint32_t count,
			  struct nb_completion *completions, size_t *done)
{
	struct guest_batch batch = {submissions, count, completions, 0};
	struct guest_batch batches[NB_MAX_VCPUS] = {0};
	int err;

	batches[index] = batch;
	pthread_mutex_lock(&guest->schedule_mutex);
	err = guest_call_together(guest, batches, NULL);
	if (!err)
		err = soft_release(guest->vm->fd, NULL);
	pthread_mutex_unlock(&guest->schedule_mutex);
	*done += batches[index].done;
	return err;
}

int guest_call_batch(struct guest *guest, unsigned int vcpu,
		     const struct nb_submission *submissions, size_t count,
		     struct nb_completion *completions, size_t *done_out)
{
	struct ring *ring;
	size_t done = 0;
	int err = 0;

	if (vcpu >= guest->nr_vcpus) {
		if (done_out)
			*done_out = 0;
		return -EINVAL;
	}
	ring = &guest->rings[vcpu];
	pthread_mutex_lock(&ring->call_mutex);
	while (done < count && !err) {
		size_t left = count - done;
		uint32_t piece = left < NB_RING_ENTRIES ? (uint32_t)left : NB_RING_ENTRIES;

		if (guest_failure(guest))
			err = -ENOTRECOVERABLE;
		else if (guest->scheduled)
			err = call_ring_held(guest, vcpu, submissions + done, piece,
					     completions + done, &done);
		else
			err = call_ring(guest, vcpu, submissions + done, piece, completions + done,
					&done);
	}
	pthread_mutex_unlock(&ring->call_mutex);
	if (done_out)
		*done_out = done;
	return err;
}

int guest_call(struct guest *guest, unsigned int vcpu, const struct nb_submission *submission,
	       struct nb_completion *completion_out)
{
	return guest_call_batch(guest, vcpu, submission, 1, completion_out, NULL);
}

void *guest_data(struct guest *guest, unsigned int vcpu)
{
	return vcpu < guest->nr_vcpus ? guest->rings[vcpu].area->data : NULL;
}

/* ---- all vCPUs at once, by a plan ---- */

/* Rings of those that have something to do, while nobody runs. */
static int ring_all(struct guest *guest, const struct guest_batch *batches)
{
	for (unsigned int i = 0; i < guest->nr_vcpus; i++) {
		if (batches[i].count == 0)
			continue;
		put_submissions(guest, &guest->rings[i], batches[i].submissions, batches[i].count);
		if (vm_interrupt(guest->vm, i, NB_VECTOR_DOORBELL) < 0)
			return stop_and_report(guest, i, REPORT_KVM,
					       "the doorbell: KVM_SIGNAL_MSI");
	}
	return 0;
}

static int collect(struct guest *guest, unsigned int index, struct guest_batch *batch)
{
	uint32_t ready = 0;
	int bad = wait_completions(guest, index, batch->count, &ready), err;

	batch->done = 0;
	err = take_completions(guest, index, batch->submissions, ready, batch->completions,
			       &batch->done);
	clear_in_flight(guest, &guest->rings[index]);
	return bad ? bad : err;
}

int guest_call_together(struct guest *guest, struct guest_batch *batches,
			const struct soft_plan *plan)
{
	int err, one;

	for (unsigned int i = 0; i < guest->nr_vcpus; i++)
		if (batches[i].count > NB_RING_ENTRIES)
			return -EINVAL;
	if (guest_failure(guest))
		return -ENOTRECOVERABLE;
	err = soft_hold(guest->vm->fd, STOP_SECONDS);
	if (err && guest_failure(guest))
		return -ENOTRECOVERABLE;
	if (err)
		return err == -EBADF ? -EOPNOTSUPP : err;
	guest->together = true;
	err = ring_all(guest, batches);
	if (!err)
		err = soft_release(guest->vm->fd, plan);
	for (unsigned int i = 0; i < guest->nr_vcpus; i++) {
		if (batches[i].count == 0)
			continue;
		one = collect(guest, i, &batches[i]);
		err = err ? err : one;
	}
	guest->together = false;
	if (!err)
		err = soft_hold(guest->vm->fd, STOP_SECONDS);
	return err;
}
