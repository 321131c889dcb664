/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looking at the guest's address space and registers from outside. It works while the guest runs.
 */
#include <errno.h>
#include <string.h>

#include "vmm/look/tree.h"
#include "vmm/service/private.h"

/* ---- areas ---- */

static json_t *area_json(struct service *service, const struct inspect_area *area)
{
	char place[IMAGE_PLACE_BYTES], line[LOOK_LINE_BYTES];
	const char *caller = NULL;

	if (area->has_vm && *service_place(service, area->caller, place))
		caller = place;
	return QMP_ROW(protocol_areas, QMP_NUMBER(area->start), QMP_NUMBER(area->end),
		       QMP_STRING(look_tile_state_name(area->state)),
		       QMP_STRING(look_area_line(service->inspector, area, caller, line)),
		       QMP_MAYBE(area->has_vm, area->vm_size), QMP_MAYBE(area->has_vm, area->flags),
		       QMP_MAYBE(area->has_vm, area->nr_pages),
		       QMP_MAYBE(area->has_vm, area->caller), QMP_STRING(caller),
		       QMP_MAYBE(area->has_vm, area->phys_addr));
}

/* Answers with tiles of the window a request names, no more than its limit. */
typedef json_t *(*tiles_fn)(struct service *service, const struct qmp_request *request,
			    const struct look_tree *tree, uint64_t limit);

/* With the look mutex held. */
static json_t *reply_areas(struct service *service, const struct qmp_request *request,
			   const struct look_tree *tree, uint64_t limit)
{
	json_t *list = json_array();
	uint64_t next = 0;

	for (size_t i = 0; i < tree->areas.count && !next; i++) {
		const struct inspect_area *area = &tree->areas.area[i];

		if (area->state == INSPECT_FREE)
			continue;
		if (json_array_size(list) == limit)
			next = area->start;
		else
			json_array_append_new(list, area_json(service, area));
	}
	return QMP_REPLY(request, QMP_JSON(list), QMP_MAYBE(next, next),
			 QMP_STRING(tree->areas.broken));
}

static json_t *answer_tiles(struct service *service, const struct qmp_request *request,
			    tiles_fn reply)
{
	struct look_tree tree;
	json_t *answer = NULL;
	int err;

	pthread_mutex_lock(&service->look_mutex);
	err = look_tree(service->inspector, qmp_get(request, "start")->word,
			qmp_get(request, "end")->word, &tree);
	if (!err) {
		answer = reply(service, request, &tree, qmp_get(request, "limit")->word);
		look_tree_free(&tree);
	}
	pthread_mutex_unlock(&service->look_mutex);
	return err ? service_failed(request, err) : answer;
}

static json_t *query_areas(struct service *service, const struct qmp_request *request)
{
	return answer_tiles(service, request, reply_areas);
}

/* ---- the whole space ---- */

static json_t *sums_json(const struct look_tree *tree)
{
	return QMP_ROW(protocol_tree_sum, QMP_NUMBER(tree->busy), QMP_NUMBER(tree->lazy),
		       QMP_NUMBER(tree->free), QMP_NUMBER(tree->unknown),
		       QMP_NUMBER(tree->busy_bytes), QMP_NUMBER(tree->lazy_bytes),
		       QMP_NUMBER(tree->free_bytes), QMP_NUMBER(tree->payload_bytes),
		       QMP_NUMBER(tree->largest_start), QMP_NUMBER(tree->largest_end));
}

/* With the look mutex held. */
static json_t *reply_tree(struct service *service, const struct qmp_request *request,
			  const struct look_tree *tree, uint64_t limit)
{
	json_t *list = json_array();
	size_t count = tree->areas.count < limit ? tree->areas.count : limit;
	bool more = count < tree->areas.count;

	for (size_t i = 0; i < count; i++) {
		const struct inspect_area *area = &tree->areas.area[i];

		json_array_append_new(list, QMP_ROW(protocol_tiles, QMP_NUMBER(area->start),
						    QMP_NUMBER(area->end),
						    QMP_STRING(look_tile_state_name(area->state))));
	}
	return QMP_REPLY(request, QMP_JSON(list), QMP_JSON(sums_json(tree)),
			 QMP_MAYBE(more, tree->areas.area[count].start),
			 QMP_STRING(tree->areas.broken));
}

static json_t *query_tree(struct service *service, const struct qmp_request *request)
{
	return answer_tiles(service, request, reply_tree);
}

/* ---- a vCPU: registers, backtrace ---- */

/*
 * What a request's vCPU is at. Of a dead guest's vCPU that died, what it died of. Returns 0; else
 * *@answer_out is the answer.
 */
static int glimpse(struct service *service, const struct qmp_request *request,
		   struct guest_report *report_out, json_t **answer_out)
{
	unsigned int vcpu = (unsigned int)qmp_get(request, "vcpu")->word;
	const struct guest_report *failure = guest_failure(service->guest);
	int err;

	if (vcpu >= guest_nr_vcpus(service->guest)) {
		*answer_out = service_bad_vcpu(service, request, vcpu);
		return -EINVAL;
	}
	if (failure && failure->vcpu == vcpu && failure->have_regs) {
		*report_out = *failure;
		return 0;
	}
	err = guest_glimpse(service->guest, vcpu, report_out);
	if (err)
		*answer_out =
			qmp_error(request, "%s: the registers of vCPU %u cannot be read: %s",
				  request->command->name, vcpu,
				  err == -ETIMEDOUT ? "it does not leave KVM" : strerror(-err));
	return err;
}

/* "running", "paused", "held", "dead": of one vCPU. */
static const char *vcpu_state(struct service *service, unsigned int vcpu)
{
	if (guest_failure(service->guest))
		return "dead";
	if (service_held_by(service, vcpu))
		return "held";
	return service_paused(service) ? "paused" : "running";
}

static json_t *query_registers(struct service *service, const struct qmp_request *request)
{
	unsigned int vcpu = (unsigned int)qmp_get(request, "vcpu")->word;
	struct guest_report report;
	json_t *answer;

	if (glimpse(service, request, &report, &answer) != 0)
		return answer;
	return QMP_REPLY(request, QMP_JSON(report_registers_json(&report)),
			 QMP_STRING(report.where), QMP_STRING(vcpu_state(service, vcpu)));
}

static json_t *query_backtrace(struct service *service, const struct qmp_request *request)
{
	unsigned int vcpu = (unsigned int)qmp_get(request, "vcpu")->word;
	const struct guest_report *failure = guest_failure(service->guest);
	struct guest_report report;
	json_t *answer;

	/* Asked for nobody's: who died is who is meant. */
	if (!qmp_get(request, "vcpu")->given && failure)
		vcpu = failure->vcpu;
	if (!qmp_get(request, "vcpu")->given && failure && failure->have_regs)
		report = *failure;
	else if (glimpse(service, request, &report, &answer) != 0)
		return answer;
	return QMP_REPLY(request, QMP_NUMBER(vcpu), QMP_STRING(vcpu_state(service, vcpu)),
			 QMP_STRING(report.where), QMP_JSON(backtrace_json(&report.trace)),
			 QMP_JSON(report.have_call ? report_call_json(&report.call) : NULL),
			 QMP_STRING(*report.text ? report.text : NULL));
}

const struct service_handler service_look_handlers[] = {
	{"query-areas", query_areas},
	{"query-tree", query_tree},
	{"query-registers", query_registers},
	{"query-backtrace", query_backtrace},
	{NULL, NULL},
};
