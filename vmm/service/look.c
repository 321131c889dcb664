/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looking at the guest's address space and registers from outside. It works while the guest runs.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "vmm/look/tree.h"
#include "vmm/service/private.h"

/* ---- areas ---- */

static json_t *area_json(struct service *service, const struct inspect_area *area)
{
	char place[IMAGE_PLACE_BYTES], line[LOOK_LINE_BYTES];
	const char *caller = NULL;
	json_t *json;

	if (area->has_vm && *service_place(service, area->caller, place))
		caller = place;
	json = json_pack("{s:o, s:o, s:s, s:s}", "start", qmp_hex(area->start), "end",
			 qmp_hex(area->end), "state", look_tile_state_name(area->state), "line",
			 look_area_line(service->inspector, area, caller, line));
	if (!area->has_vm || !json)
		return json;
	json_object_set_new(json, "size", json_integer((json_int_t)(area->vm_size & INT64_MAX)));
	json_object_set_new(json, "flags", qmp_hex(area->flags));
	json_object_set_new(json, "pages", json_integer((json_int_t)(area->nr_pages & INT64_MAX)));
	json_object_set_new(json, "caller", qmp_hex(area->caller));
	json_object_set_new(json, "phys", qmp_hex(area->phys_addr));
	if (caller)
		json_object_set_new(json, "place", json_string(caller));
	return json;
}

/* With the look mutex held. */
static json_t *areas_json(struct service *service, const struct look_tree *tree, uint64_t limit)
{
	json_t *list = json_array(), *json = json_pack("{s:o}", "areas", list);
	size_t i;

	for (i = 0; i < tree->areas.count; i++) {
		const struct inspect_area *area = &tree->areas.area[i];

		if (area->state == INSPECT_FREE)
			continue;
		if (json_array_size(list) == limit) {
			json_object_set_new(json, "next", qmp_hex(area->start));
			break;
		}
		json_array_append_new(list, area_json(service, area));
	}
	if (tree->areas.broken)
		json_object_set_new(json, "broken", json_string(tree->areas.broken));
	return json;
}

/* What a list of tiles is made of: the window the request names, no more than its limit. */
typedef json_t *(*tiles_json_fn)(struct service *service, const struct look_tree *tree,
				 uint64_t limit);

static json_t *answer_tiles(struct service *service, const struct qmp_request *request,
			    tiles_json_fn make)
{
	struct look_tree tree;
	json_t *json = NULL;
	int err;

	pthread_mutex_lock(&service->look_mutex);
	err = look_tree(service->inspector, qmp_get(request, "start")->word,
			qmp_get(request, "end")->word, &tree);
	if (!err) {
		json = make(service, &tree, qmp_get(request, "limit")->word);
		look_tree_free(&tree);
	}
	pthread_mutex_unlock(&service->look_mutex);
	return err ? service_failed(request, err) : qmp_return(request, json);
}

static json_t *query_areas(struct service *service, const struct qmp_request *request)
{
	return answer_tiles(service, request, areas_json);
}

/* ---- the whole space ---- */

static json_t *sums_json(const struct look_tree *tree)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "busy",
			 (json_int_t)tree->busy, "lazy", (json_int_t)tree->lazy, "free",
			 (json_int_t)tree->free, "unknown", (json_int_t)tree->unknown, "busy-bytes",
			 qmp_hex(tree->busy_bytes), "lazy-bytes", qmp_hex(tree->lazy_bytes),
			 "free-bytes", qmp_hex(tree->free_bytes), "payload-bytes",
			 qmp_hex(tree->payload_bytes), "largest-start",
			 qmp_hex(tree->largest_start), "largest-end", qmp_hex(tree->largest_end));
}

static json_t *tree_json(struct service *service, const struct look_tree *tree, uint64_t limit)
{
	json_t *list = json_array();
	json_t *json = json_pack("{s:o, s:o}", "tiles", list, "sum", sums_json(tree));
	size_t i;

	for (i = 0; i < tree->areas.count; i++) {
		const struct inspect_area *area = &tree->areas.area[i];

		if (i == limit) {
			json_object_set_new(json, "next", qmp_hex(area->start));
			break;
		}
		json_array_append_new(list,
				      json_pack("{s:o, s:o, s:s}", "start", qmp_hex(area->start),
						"end", qmp_hex(area->end), "state",
						look_tile_state_name(area->state)));
	}
	if (tree->areas.broken)
		json_object_set_new(json, "broken", json_string(tree->areas.broken));
	return json;
}

static json_t *query_tree(struct service *service, const struct qmp_request *request)
{
	return answer_tiles(service, request, tree_json);
}

/* ---- registers ---- */

static json_t *query_registers(struct service *service, const struct qmp_request *request)
{
	unsigned int vcpu = (unsigned int)qmp_get(request, "vcpu")->word;
	char place[IMAGE_PLACE_BYTES];
	struct control_regs control;
	uint64_t all[NR_REGS];
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	int err;

	if (vcpu >= guest_nr_vcpus(service->guest))
		return qmp_error(request, "there is no vCPU %u: this guest has %u, from 0", vcpu,
				 guest_nr_vcpus(service->guest));
	/* One call mutex keeps the guest paused. */
	pthread_mutex_lock(&service->call_mutex[vcpu]);
	err = guest_registers(service->guest, vcpu, &regs, &sregs);
	pthread_mutex_unlock(&service->call_mutex[vcpu]);
	if (err == -EBUSY)
		return qmp_error(request, "the guest runs: stop it to see its registers");
	if (err)
		return qmp_error(request, "the registers cannot be read: %s", strerror(-err));
	control = (struct control_regs){sregs.cr0, sregs.cr2, sregs.cr3, sregs.cr4, sregs.efer};
	memcpy(all, (const uint64_t[NR_REGS])REGS_OF(regs), sizeof(all));
	return qmp_return(request,
			  json_pack("{s:o, s:s}", "registers", report_registers_json(all, &control),
				    "place",
				    image_place(guest_image(service->guest), regs.rip, place)));
}

const struct service_handler service_look_handlers[] = {
	{"query-areas", query_areas},
	{"query-tree", query_tree},
	{"query-registers", query_registers},
	{NULL, NULL},
};
