/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Workloads, and one run of one by a plan. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/attach/inspector.h"
#include "vmm/audit/audit.h"
#include "vmm/nestbox/explore.h"

/* Operations a vCPU has in a round, at most. */
#define OPS_A_ROUND  3
#define AREA_PAGES   4
#define REST_SECONDS 10.0

static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

const char *explore_kind_name(enum explore_kind kind)
{
	static const char *const names[EXPLORE_KINDS] = {"vmalloc", "vfree",   "touch",
							 "purge",   "kmalloc", "kfree"};

	return kind < EXPLORE_KINDS ? names[kind] : "unknown";
}

/* ---- a workload ---- */

/* What is allocated before the round that is being made. */
struct making {
	struct explore_work *work;
	uint64_t random;
	uint16_t live[EXPLORE_OPS_MAX];
	size_t nr_live;
	bool freeing[EXPLORE_OPS_MAX]; /* by slot: in this round */
	uint8_t kind[EXPLORE_OPS_MAX]; /* by slot: how it was allocated */
	uint16_t slots;
};

static struct explore_op *add(struct making *making, unsigned int round, unsigned int vcpu,
			      enum explore_kind kind)
{
	struct explore_work *work = making->work;

	if (work->nr_ops == EXPLORE_OPS_MAX)
		return NULL;
	work->ops[work->nr_ops] =
		(struct explore_op){.round = (uint8_t)round, .vcpu = (uint8_t)vcpu, .kind = kind};
	return &work->ops[work->nr_ops++];
}

/* Something that lives, and is not freed in this round unless @any; -1: there is none. */
static int pick_live(struct making *making, bool any)
{
	for (int tries = 0; making->nr_live && tries < 8; tries++) {
		uint16_t slot = making->live[draw(&making->random) % making->nr_live];

		if (any || !making->freeing[slot])
			return slot;
	}
	return -1;
}

static void make_op(struct making *making, unsigned int round, unsigned int vcpu, bool frees_only)
{
	static const uint8_t usual[] = {EXPLORE_VMALLOC, EXPLORE_VMALLOC, EXPLORE_VFREE,
					EXPLORE_VFREE,   EXPLORE_TOUCH,   EXPLORE_TOUCH,
					EXPLORE_PURGE,   EXPLORE_KMALLOC};
	enum explore_kind kind = usual[draw(&making->random) % sizeof(usual)];
	struct explore_op *op;
	int slot = -1;

	if (frees_only && kind != EXPLORE_PURGE)
		kind = EXPLORE_VFREE;
	if (kind == EXPLORE_VFREE || kind == EXPLORE_TOUCH) {
		slot = pick_live(making, frees_only);
		if (slot < 0)
			kind = frees_only ? EXPLORE_PURGE : EXPLORE_VMALLOC;
		else if (making->kind[slot] == EXPLORE_KMALLOC)
			kind = EXPLORE_KFREE;
	}
	/* Twice, at the same time, only an area: that must be refused; kfree() may not know. */
	if (kind == EXPLORE_KFREE && making->freeing[slot])
		return;
	op = add(making, round, vcpu, kind);
	if (!op)
		return;
	if (slot >= 0) {
		op->slot = (uint16_t)slot;
		making->freeing[slot] |= kind != EXPLORE_TOUCH;
	} else if (kind == EXPLORE_VMALLOC || kind == EXPLORE_KMALLOC) {
		op->slot = making->slots++;
		op->bytes = kind == EXPLORE_VMALLOC
				    ? 4096 * (1 + draw(&making->random) % AREA_PAGES)
				    : 16u << draw(&making->random) % 7;
		making->kind[op->slot] = kind;
	}
}

/* What the round's allocations and frees leave. A touch beside a free of the same is taken out. */
static void end_round(struct making *making, size_t first)
{
	struct explore_work *work = making->work;
	size_t kept = 0, to = first;

	for (size_t i = first; i < work->nr_ops; i++)
		if (work->ops[i].kind != EXPLORE_TOUCH || !making->freeing[work->ops[i].slot])
			work->ops[to++] = work->ops[i];
	work->nr_ops = to;
	for (size_t i = 0; i < making->nr_live; i++)
		if (!making->freeing[making->live[i]])
			making->live[kept++] = making->live[i];
	making->nr_live = kept;
	for (size_t i = first; i < work->nr_ops; i++)
		if (work->ops[i].kind == EXPLORE_VMALLOC || work->ops[i].kind == EXPLORE_KMALLOC)
			making->live[making->nr_live++] = work->ops[i].slot;
	memset(making->freeing, 0, sizeof(making->freeing));
}

void explore_work_make(struct explore_work *work, uint64_t seed, unsigned int vcpus,
		       unsigned int rounds)
{
	struct making making = {.work = work, .random = seed ^ 0x776f726bull};

	*work = (struct explore_work){.vcpus = vcpus, .rounds = rounds};
	for (unsigned int round = 0; round < rounds; round++) {
		bool frees_only = making.nr_live && draw(&making.random) % 5 == 0;
		size_t first = work->nr_ops;

		for (unsigned int vcpu = 0; vcpu < vcpus; vcpu++)
			for (uint64_t n = 1 + draw(&making.random) % OPS_A_ROUND; n; n--)
				make_op(&making, round, vcpu, frees_only);
		end_round(&making, first);
	}
}

void explore_plan_make(struct explore_plan *plan, uint64_t seed, unsigned int depth)
{
	static const uint64_t turns[] = {20, 200, 1000};
	uint64_t random = seed;

	*plan = (struct explore_plan){.plan.seed = seed};
	if (depth || draw(&random) % 2) {
		plan->plan.kind = SOFT_PLAN_PCT;
		plan->plan.depth = depth ? depth : 2 + (unsigned int)(draw(&random) % 4);
		plan->plan.steps = 2000 << draw(&random) % 4;
	} else {
		plan->plan.kind = SOFT_PLAN_RANDOM;
		plan->plan.turn = turns[draw(&random) % 3];
	}
}

void explore_plan_free(struct explore_plan *plan)
{
	for (unsigned int i = 0; i < EXPLORE_ROUNDS_MAX; i++)
		free(plan->switches[i]);
	memset(plan->switches, 0, sizeof(plan->switches));
}

void explore_outcome_free(struct explore_outcome *outcome)
{
	free(outcome->report);
	outcome->report = NULL;
	explore_plan_free(&outcome->taken);
	for (unsigned int i = 0; i < EXPLORE_ROUNDS_MAX; i++)
		free(outcome->points[i]);
	memset(outcome->points, 0, sizeof(outcome->points));
}

/* ---- a run ---- */

struct run {
	const struct explore_work *work;
	struct guest *guest;
	struct inspector *inspector;
	struct audit *audit;
	uint64_t start;                    /* instructions before the first round */
	uint64_t address[EXPLORE_OPS_MAX]; /* by slot; 0: nothing there */
	struct nb_submission calls[EXPLORE_VCPUS_MAX][EXPLORE_OPS_MAX / 8];
	struct nb_completion answers[EXPLORE_VCPUS_MAX][EXPLORE_OPS_MAX / 8];
	struct guest_batch batches[EXPLORE_VCPUS_MAX];
};

#define BATCH_MAX (EXPLORE_OPS_MAX / 8)

/* False: there is nothing to be done, what it is about was never allocated. */
static bool submission_of(const struct run *run, const struct explore_op *op,
			  struct nb_submission *call)
{
	uint64_t address = run->address[op->slot];

	*call = (struct nb_submission){0};
	switch (op->kind) {
	case EXPLORE_VMALLOC:
		call->opcode = NB_OP_VMALLOC_CALL;
		call->arg[0] = NB_VMALLOC;
		call->arg[1] = op->bytes;
		return true;
	case EXPLORE_KMALLOC:
		call->opcode = NB_OP_KMALLOC;
		call->arg[0] = op->bytes;
		call->arg[2] = (uint64_t)-1;
		return true;
	case EXPLORE_PURGE:
		call->opcode = NB_OP_PURGE;
		return true;
	case EXPLORE_TOUCH:
		call->opcode = NB_OP_TEST_TOUCH;
		break;
	default:
		call->opcode = op->kind == EXPLORE_VFREE ? NB_OP_VFREE : NB_OP_KFREE;
	}
	call->arg[0] = address;
	return address != 0;
}

static void gather(struct run *run, unsigned int round, size_t which[][BATCH_MAX])
{
	for (unsigned int i = 0; i < run->work->vcpus; i++)
		run->batches[i] = (struct guest_batch){.submissions = run->calls[i],
						       .completions = run->answers[i]};
	for (size_t i = 0; i < run->work->nr_ops; i++) {
		const struct explore_op *op = &run->work->ops[i];
		struct guest_batch *batch = &run->batches[op->vcpu];

		if (op->round != round || batch->count == BATCH_MAX ||
		    !submission_of(run, op, &run->calls[op->vcpu][batch->count]))
			continue;
		run->calls[op->vcpu][batch->count].user_data = i + 1;
		which[op->vcpu][batch->count++] = i;
	}
}

static void take_answers(struct run *run, size_t which[][BATCH_MAX])
{
	/* Frees first: what one takes away another vCPU's allocation does not bring back. */
	for (int allocations = 0; allocations < 2; allocations++)
		for (unsigned int v = 0; v < run->work->vcpus; v++)
			for (size_t i = 0; i < run->batches[v].done; i++) {
				const struct explore_op *op = &run->work->ops[which[v][i]];
				bool gives =
					op->kind == EXPLORE_VMALLOC || op->kind == EXPLORE_KMALLOC;

				if (gives == allocations && op->kind != EXPLORE_TOUCH &&
				    op->kind != EXPLORE_PURGE)
					run->address[op->slot] =
						gives && run->answers[v][i].status == 0
							? run->answers[v][i].result[0]
							: 0;
			}
}

static int died(struct run *run, struct explore_outcome *outcome)
{
	const struct guest_report *report = guest_failure(run->guest);

	outcome->wrong = true;
	if (!report) {
		snprintf(outcome->kind, sizeof(outcome->kind), "no end");
		snprintf(outcome->text, sizeof(outcome->text), "the vCPUs do not come to rest");
		return 0;
	}
	snprintf(outcome->kind, sizeof(outcome->kind), "%s%s%s", report_kind_name(report->kind),
		 report->have_check ? " " : "", report->have_check ? report->check : "");
	snprintf(outcome->text, sizeof(outcome->text), "%s", report->text);
	outcome->report = malloc(sizeof(*report));
	if (!outcome->report)
		return -ENOMEM;
	*outcome->report = *report;
	return 0;
}

static int audit_round(struct run *run, unsigned int round, struct explore_outcome *outcome)
{
	const struct audit_violation *violation;
	struct audit_result result;
	int err = audit_run(run->audit, run->inspector, AUDIT_ALL, round, &result);

	if (err || !result.violations)
		return err;
	violation = audit_violation_at(run->audit, 0);
	outcome->wrong = true;
	snprintf(outcome->kind, sizeof(outcome->kind), "audit %s",
		 audit_checks()[violation->check].name);
	audit_violation_format(violation, outcome->text, sizeof(outcome->text));
	return 0;
}

static int do_round(struct run *run, const struct explore_plan *plan, unsigned int round,
		    struct explore_outcome *outcome)
{
	size_t which[EXPLORE_VCPUS_MAX][BATCH_MAX];
	struct soft_plan now = plan->plan;
	int err;

	now.seed = plan->plan.seed * 0x9e3779b97f4a7c15ull + round;
	if (plan->listed) {
		now.kind = SOFT_PLAN_REPLAY;
		now.switches = plan->switches[round];
		now.nr_switches = plan->nr_switches[round];
	}
	gather(run, round, which);
	err = guest_call_together(run->guest, run->batches, &now);
	outcome->round = round;
	if (err == -ENOTRECOVERABLE || err == -ETIMEDOUT)
		err = died(run, outcome);
	if (!err)
		err = soft_plan_log(guest_kvm_fd(run->guest, -1), &outcome->taken.switches[round],
				    &outcome->taken.nr_switches[round]);
	if (!err && now.points)
		err = soft_plan_points(guest_kvm_fd(run->guest, -1), &outcome->points[round],
				       &outcome->nr_points[round]);
	if (err || outcome->wrong)
		return err;
	take_answers(run, which);
	return audit_round(run, round, outcome);
}

static int prepare(struct run *run, struct error *error)
{
	int err = inspector_create_for_guest(run->guest, &run->inspector, error);

	/* How many the start took depends on when the host rang the first doorbells. */
	if (!err && soft_hold(guest_kvm_fd(run->guest, -1), REST_SECONDS) != 0)
		err = error_set(error, -ETIMEDOUT, "the guest does not come to rest");
	if (!err)
		soft_instructions(guest_kvm_fd(run->guest, -1), &run->start);
	run->audit = err ? NULL : audit_create();
	return !err && !run->audit ? error_set(error, -ENOMEM, "no memory for the auditor") : err;
}

int explore_run(const struct guest_config *config, const struct explore_work *work,
		const struct explore_plan *plan, struct explore_outcome *outcome_out,
		struct error *error)
{
	struct run *run = calloc(1, sizeof(*run));
	uint64_t now;
	int err;

	*outcome_out = (struct explore_outcome){.taken.listed = true};
	if (!run)
		return error_set(error, -ENOMEM, "no memory for a run");
	run->work = work;
	err = guest_start(config, &run->guest, NULL, error);
	if (!err)
		err = prepare(run, error);
	for (unsigned int round = 0; !err && !outcome_out->wrong && round < work->rounds; round++) {
		err = do_round(run, plan, round, outcome_out);
		if (err)
			error_set(error, err, "round %u: %s", round, strerror(-err));
	}
	if (run->guest && soft_instructions(guest_kvm_fd(run->guest, -1), &now) == 0)
		outcome_out->instructions = now - run->start;
	audit_destroy(run->audit);
	inspector_destroy(run->inspector);
	guest_destroy(run->guest);
	free(run);
	return err;
}
