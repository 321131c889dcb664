/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose turn it is when, by a plan: an order of turns that is drawn from a seed, or that was
 * written down before. With a plan a VM's run depends on its memory, its registers and the plan
 * alone, not on the host: no vCPU has a turn while another is outside KVM_RUN, and what comes from
 * outside (interrupts, memory) comes while the VM is held.
 *
 * The order of turns: random as in CHESS's random walk; PCT (Burckhardt, Kothari, Musuvathi and
 * Nagarakatte 2010): the vCPU of the highest priority runs, priorities are drawn, and at depth - 1
 * moments, drawn from the first `steps` instructions, the running one's becomes the lowest; PAUSE
 * makes it the lowest too, or a spinning vCPU would keep out the one it waits for.
 */
#ifndef VMM_SOFT_PLAN_H
#define VMM_SOFT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum soft_plan_kind {
	SOFT_PLAN_ROUND,  /* turns of the same length, in order */
	SOFT_PLAN_RANDOM, /* the next and its length are drawn */
	SOFT_PLAN_PCT,
	SOFT_PLAN_REPLAY, /* as the list of switches says */
};

/* After @at instructions of its own since the plan began, vCPU @from gave way to @to. */
struct soft_switch {
	uint64_t at;
	uint32_t from, to;
	uint64_t rip; /* of @from then; a plan needs none */
};

#define SOFT_PLAN_DEPTH_MAX 64

struct soft_plan {
	enum soft_plan_kind kind;
	uint64_t seed;
	uint64_t turn;                      /* RANDOM: mean length; 0: SOFT_PLAN_TURN_DEFAULT */
	unsigned int depth;                 /* PCT, 1 to SOFT_PLAN_DEPTH_MAX */
	uint64_t steps;                     /* PCT */
	const struct soft_switch *switches; /* REPLAY: in order; copied */
	size_t nr_switches;
	bool points; /* REPLAY: soft_plan_points() is wanted */
};

#define SOFT_PLAN_TURN_DEFAULT 200u

/*
 * Waits until all vCPUs are in KVM_RUN and halted, and nothing would wake one; from then on none
 * has a turn before soft_release(). Errors: -EBADF, -ETIMEDOUT (after @seconds).
 */
int soft_hold(int vm_fd, double seconds);

/* They go on; by @plan from now on, with an empty list of switches. NULL: as before. Errors:
 * -EBADF, -EINVAL, -ENOMEM: the VM stays held. */
int soft_release(int vm_fd, const struct soft_plan *plan);

/*
 * The switches since the plan began, *@count_out of them, at most SOFT_PLAN_LOG_MAX: a plan for the
 * same run. Free with free(3). Only while held, or all vCPUs are outside. Errors: -EBADF, -ENOMEM.
 */
#define SOFT_PLAN_LOG_MAX (1u << 20)
int soft_plan_log(int vm_fd, struct soft_switch **switches_out, size_t *count_out);

/*
 * The switches there could have been as well, in the order of the run: one for each vCPU that
 * wanted a turn at a moment where it matters who has it, if no two accesses race: before an access
 * that orders others (a locked instruction, a marked access, one to a word that was locked:
 * SOFT_CHECK_RACE must be on), where a turn ended by itself, and at the start. All orders of turns
 * that can come out differently are made of these (Musuvathi and Qadeer, PLDI 2007). At most
 * SOFT_PLAN_LOG_MAX. Free with free(3). As soft_plan_log().
 */
int soft_plan_points(int vm_fd, struct soft_switch **points_out, size_t *count_out);

/* Instructions of all vCPUs since the VM's start. Errors: -EBADF. */
int soft_instructions(int vm_fd, uint64_t *count_out);

#endif
