/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Replay requests to hypercalls, and the guest's state back, as vmm/attach/executor.h says. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mm/x86.h"
#include "vmm/attach/executor.h"
#include "vmm/attach/inspector.h"
#include "vmm/attach/note_call.h"
#include "vmm/attach/probe.h"

/*
 * What of a traced protection means something to another machine: not a memory encryption bit,
 * which the kernel that was traced may have had among its address bits.
 */
#define PROT_BITS (X86_PTE_NX | (X86_PAGE_SIZE - 1))

struct guest_executor {
	struct guest *guest;
	struct inspector *inspector;
	struct audit *audit;
	bool spread;         /* over the vCPUs */
	uint64_t operations; /* carried out so far */
	struct nb_submission submissions[NB_RING_ENTRIES];
	struct nb_completion completions[NB_RING_ENTRIES];
};

/* ---- requests to hypercalls ---- */

/* vCPU 0 has one zone list; a trace from a machine with more nodes than the guest asks for any. */
static uint64_t node_of(const struct guest_executor *executor, int64_t node)
{
	const struct nb_boot_info *info = &guest_boot(executor->guest)->info;
	uint32_t i;

	for (i = 0; i < info->nr_ram; i++) {
		if (node >= 0 && info->ram[i].node == (uint64_t)node)
			return (uint64_t)node;
	}
	return (uint64_t)-1;
}

/*
 * A range that is as long as its pages has no guard page. What Linux maps is the range less the
 * guard, which is more than vmalloc was asked for where it rounded up to huge pages.
 */
static void fill_allocation(const struct guest_executor *executor,
			    const struct replay_request *request, struct nb_submission *sqe)
{
	bool map = request->type == REPLAY_MAP;
	bool guard = map && request->va_bytes - request->bytes >= INSPECT_PAGE_BYTES;
	uint64_t flags = NB_VM_LINUX_SEARCH | (guard ? 0 : NB_VM_NO_GUARD);

	sqe->opcode = map ? NB_OP_VMALLOC : NB_OP_GET_VM_AREA;
	sqe->arg[0] = request->va_bytes - (guard ? INSPECT_PAGE_BYTES : 0);
	sqe->arg[1] = request->align;
	sqe->arg[2] = request->vstart;
	sqe->arg[3] = request->vend;
	sqe->arg[4] = map && request->gfp ? request->gfp & UINT32_MAX : NB_GFP_KERNEL;
	sqe->arg[5] = request->prot & X86_PTE_P ? request->prot & PROT_BITS : NB_PAGE_KERNEL;
	sqe->arg[6] = flags | (map ? NB_VM_ALLOC | NB_VM_ARRAY_OUTSIDE : NB_VM_MAP);
	sqe->arg[7] = node_of(executor, request->node);
	sqe->arg[9] = request->va_node;
}

static void fill(const struct guest_executor *executor, const struct replay_request *request,
		 uint64_t number, struct nb_submission *sqe)
{
	memset(sqe, 0, sizeof(*sqe));
	sqe->user_data = number;
	switch (request->type) {
	case REPLAY_MAP:
	case REPLAY_RESERVE:
		fill_allocation(executor, request, sqe);
		break;
	case REPLAY_FREE:
		sqe->opcode = request->mapped ? NB_OP_VFREE : NB_OP_FREE_VM_AREA;
		sqe->arg[0] = request->address;
		sqe->arg[1] = request->va_node;
		break;
	case REPLAY_PURGE:
		sqe->opcode = NB_OP_PURGE;
		sqe->arg[0] = (request->full ? NB_PURGE_FULL : 0) |
			      (request->decayed ? NB_PURGE_DECAYED : 0) |
			      (uint64_t)request->part << NB_PURGE_NODE_SHIFT;
		sqe->arg[1] = request->through;
		break;
	case REPLAY_DECAY:
		sqe->opcode = NB_OP_PURGE;
		sqe->arg[0] = NB_PURGE_DECAY | (request->full ? NB_PURGE_FULL : 0) |
			      (uint64_t)request->part << NB_PURGE_NODE_SHIFT;
		break;
	case REPLAY_RELEASE:
		sqe->opcode = NB_OP_RELEASE;
		sqe->arg[0] = request->address;
		break;
	}
}

/* ---- the interface ---- */

static int guest_died(const struct guest_executor *executor, struct input_error *error)
{
	const struct guest_report *report = guest_failure(executor->guest);

	return input_fail(error, NULL, 0, "the guest died: %s",
			  report ? report->text : "for no reason it gave");
}

static unsigned int vcpu_of(const struct guest_executor *executor,
			    const struct replay_request *request)
{
	return executor->spread ? request->cpu % guest_nr_vcpus(executor->guest) : 0;
}

/* What follows each other on one vCPU goes there at once. */
static int call_all(struct guest_executor *executor, const struct replay_request *requests,
		    size_t count)
{
	size_t first, end;
	unsigned int vcpu;
	int err = 0;

	for (first = 0; first < count && !err; first = end) {
		vcpu = vcpu_of(executor, &requests[first]);
		for (end = first + 1; end < count; end++)
			if (vcpu_of(executor, &requests[end]) != vcpu)
				break;
		err = guest_call_batch(executor->guest, vcpu, &executor->submissions[first],
				       end - first, &executor->completions[first], NULL);
	}
	return err;
}

static int submit(void *context, const struct replay_request *requests, size_t count,
		  struct replay_result *results, struct input_error *error)
{
	struct guest_executor *executor = context;
	const struct nb_completion *cqe = executor->completions;
	size_t i;

	for (i = 0; i < count; i++)
		fill(executor, &requests[i], executor->operations + i + 1,
		     &executor->submissions[i]);
	if (call_all(executor, requests, count)) {
		guest_died(executor, error);
		return -ENOTRECOVERABLE;
	}
	executor->operations += count;
	for (i = 0; i < count; i++, cqe++) {
		results[i] = (struct replay_result){
			.status = (int)cqe->status,
			.address = cqe->status ? 0 : cqe->result[0],
			.ticks = cqe->tsc_end - cqe->tsc_start,
		};
		/* An address given out twice is the audit's to report: the older area is expected.
		 */
		if (note_call(executor->audit, &executor->submissions[i], cqe) == -ENOMEM)
			return input_fail(error, NULL, 0, "out of memory"), -ENOMEM;
	}
	return 0;
}

/* One hypercall that has to succeed. */
static int demand(const struct guest_executor *executor, const struct nb_submission *sqe,
		  const char *what, struct input_error *error)
{
	struct nb_completion answer;

	if (guest_call(executor->guest, 0, sqe, &answer)) {
		guest_died(executor, error);
		return -ENOTRECOVERABLE;
	}
	if (answer.status)
		return input_fail(error, NULL, 0, "the guest did not take %s: %s", what,
				  strerror((int)-answer.status));
	return 0;
}

static int set_rules(void *context, const struct space_rules *rules, struct input_error *error)
{
	const struct nb_submission sqe = {
		.opcode = NB_OP_SET_RULES,
		.arg = {rules->order == SPACE_BY_ADDRESS ? NB_ORDER_BY_ADDRESS
							 : NB_ORDER_NEWEST_FIRST,
			(uint64_t)rules->search, rules->nodes, rules->small_empty},
	};

	return demand(context, &sqe, "Linux's rules", error);
}

_Static_assert((int)TREE_RULE_5_2 == (int)NB_SEARCH_5_2 &&
		       (int)TREE_RULE_5_16 == (int)NB_SEARCH_5_16 &&
		       (int)TREE_RULE_5_18 == (int)NB_SEARCH_5_18,
	       "one set of searches");

static int set_shape(void *context, const struct tree_shape *shape, size_t count,
		     struct input_error *error)
{
	struct guest_executor *executor = context;
	const struct nb_submission sqe = {.opcode = NB_OP_SET_SHAPE, .arg = {count, 0}};
	uint64_t *data = guest_data(executor->guest, 0);
	size_t i;

	if (count > GUEST_EXECUTOR_SHAPE_MAX)
		return input_fail(error, NULL, 0,
				  "a free tree of %zu holes is more than the guest takes", count);
	for (i = 0; i < count; i++)
		data[i] = shape[i].start | (shape[i].red ? NB_SHAPE_RED : 0);
	return demand(executor, &sqe, "the shape of the free tree", error);
}

/* One tile as the replay counts areas; false for one that is none. */
static bool final_area(const struct inspect_area *tile, struct replay_final_area *area_out)
{
	enum replay_area_kind kind = REPLAY_AREA_LAZY;

	if (tile->state == INSPECT_BUSY)
		kind = tile->has_vm && tile->nr_pages ? REPLAY_AREA_MAPPED : REPLAY_AREA_RESERVED;
	else if (tile->state != INSPECT_LAZY)
		return false;
	*area_out = (struct replay_final_area){tile->start, tile->end - tile->start, kind};
	return true;
}

static int final_areas(void *context, struct replay_final_area **areas_out, size_t *count_out,
		       struct input_error *error)
{
	struct guest_executor *executor = context;
	struct replay_final_area *areas;
	struct inspect_areas tiles;
	size_t i, count = 0;

	inspect_refresh(executor->inspector);
	if (inspect_areas(executor->inspector, &tiles))
		return input_fail(error, NULL, 0, "out of memory"), -ENOMEM;
	areas = calloc(tiles.count + 1, sizeof(*areas));
	for (i = 0; areas && i < tiles.count; i++)
		count += final_area(&tiles.area[i], &areas[count]);
	inspect_areas_free(&tiles);
	if (!areas)
		return input_fail(error, NULL, 0, "out of memory"), -ENOMEM;
	*areas_out = areas;
	*count_out = count;
	return 0;
}

static int run_audit(void *context, struct replay_audit *audit_out, struct input_error *error)
{
	struct guest_executor *executor = context;
	struct audit_result result;
	size_t known = audit_violation_count(executor->audit);

	if (audit_run(executor->audit, executor->inspector, AUDIT_ALL, executor->operations,
		      &result))
		return input_fail(error, NULL, 0, "out of memory"), -ENOMEM;
	*audit_out = (struct replay_audit){result.items, result.violations, ""};
	if (result.violations && audit_violation_count(executor->audit) > known)
		audit_violation_format(audit_violation_at(executor->audit, known), audit_out->first,
				       sizeof(audit_out->first));
	return 0;
}

struct replay_executor guest_executor_interface(struct guest_executor *executor)
{
	return (struct replay_executor){
		.context = executor,
		.max_batch = NB_RING_ENTRIES,
		.submit = submit,
		.set_rules = set_rules,
		.set_shape = set_shape,
		.final_areas = final_areas,
		.audit = run_audit,
	};
}

/* ---- making one ---- */

static int purge_by_hand(struct guest_executor *executor, struct error *error)
{
	struct nb_submission set_mode = {.opcode = NB_OP_SET_MODE, .arg = {NB_MODE_MANUAL}};
	struct nb_completion answer;

	const struct guest_report *report;

	if (guest_call(executor->guest, 0, &set_mode, &answer)) {
		report = guest_failure(executor->guest);
		return error_set(error, -ENOTRECOVERABLE, "the guest died: %.200s",
				 report ? report->text : "for no reason it gave");
	}
	if (answer.status)
		return error_set(error, -ENOTRECOVERABLE, "the guest did not set its mode");
	return 0;
}

int guest_executor_create(struct guest *guest, struct guest_executor **executor_out,
			  struct error *error)
{
	struct guest_executor *executor = calloc(1, sizeof(*executor));
	const struct audit_prober prober = probe_by_guest(guest);
	int err;

	if (!executor)
		return error_set(error, -ENOMEM, "out of memory");
	executor->guest = guest;
	executor->audit = audit_create();
	err = executor->audit ? inspector_create_for_guest(guest, &executor->inspector, error)
			      : -ENOMEM;
	if (!err)
		err = purge_by_hand(executor, error);
	if (!err)
		audit_probe_with(executor->audit, &prober);
	if (err) {
		guest_executor_destroy(executor);
		return err;
	}
	*executor_out = executor;
	return 0;
}

void guest_executor_spread(struct guest_executor *executor)
{
	executor->spread = true;
}

void guest_executor_destroy(struct guest_executor *executor)
{
	if (!executor)
		return;
	inspector_destroy(executor->inspector);
	audit_destroy(executor->audit);
	free(executor);
}
