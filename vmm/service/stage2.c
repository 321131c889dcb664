/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The second stage as the host knows it, and cores. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "ept/live.h"
#include "ept/predict.h"
#include "ept/stats.h"
#include "vmm/attach/core.h"
#include "vmm/look/walk.h"
#include "vmm/service/private.h"

/* ---- map ---- */

static json_t *query_regions(struct service *service, const struct qmp_request *request)
{
	const struct gpa_space *space = guest_space(service->guest);
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < gpa_space_count(space); i++) {
		const struct gpa_region *region = gpa_space_at(space, i);

		json_array_append_new(list,
				      QMP_ROW(protocol_regions, QMP_STRING(region->name),
					      QMP_STRING(gpa_kind_name(region->kind)),
					      QMP_NUMBER(region->start.value),
					      QMP_NUMBER(region->end.value),
					      QMP_NUMBER((uint64_t)region->node),
					      QMP_NUMBER(gpa_region_leaf_bytes(region)),
					      QMP_MAYBE(region->host, (uintptr_t)region->host)));
	}
	return QMP_REPLY(request, QMP_JSON(list));
}

/* Leaves that follow each other and are alike are one range. */
struct leaves {
	json_t *list;
	uint64_t limit, start, end, bytes;
	uint64_t next; /* where the list was full; 0: it was not */
	bool live, split_frames;
	bool knows_thp, sees_thp;
	unsigned int rights; /* live: STAGE2_R.. */
	uint64_t frame;      /* live: of start, host-physical */
	struct live_counts counts;
};

_Static_assert(STAGE2_R == PAGING_R && STAGE2_W == PAGING_W && STAGE2_X == PAGING_X &&
		       STAGE2_XU == PAGING_U,
	       "rights of both stages have the same letters");

static int put_leaves(struct leaves *leaves)
{
	char text[LOOK_RIGHTS_BYTES];

	if (leaves->end == leaves->start)
		return 0;
	if (json_array_size(leaves->list) == leaves->limit) {
		leaves->next = leaves->start;
		return 1;
	}
	json_array_append_new(
		leaves->list,
		QMP_ROW(protocol_leaves, QMP_NUMBER(leaves->start), QMP_NUMBER(leaves->end),
			QMP_NUMBER(leaves->bytes),
			QMP_NUMBER((leaves->end - leaves->start) / leaves->bytes),
			QMP_STRING(leaves->live ? look_rights(leaves->rights, text) : NULL),
			QMP_MAYBE(leaves->live, leaves->frame)));
	return 0;
}

static int take_leaf(struct leaves *leaves, uint64_t gpa, uint64_t bytes, unsigned int rights,
		     uint64_t frame)
{
	uint64_t next = leaves->frame + (leaves->end - leaves->start);
	int over;

	if (leaves->end == gpa && leaves->bytes == bytes && leaves->rights == rights &&
	    (!leaves->split_frames || next == frame)) {
		leaves->end += bytes;
		return 0;
	}
	over = put_leaves(leaves);
	leaves->start = gpa;
	leaves->end = gpa + bytes;
	leaves->bytes = bytes;
	leaves->rights = rights;
	leaves->frame = frame;
	return over;
}

static int add_leaf(void *context, gpa_t gpa, uint64_t bytes, const struct kvm_slot *slot)
{
	(void)slot;
	return take_leaf(context, gpa.value, bytes, 0, 0);
}

static int add_real_leaf(void *context, const struct stage2_leaf *leaf)
{
	struct leaves *leaves = context;

	return take_leaf(leaves, leaf->gpa.value, leaf->page_bytes, leaves->live ? leaf->rights : 0,
			 leaf->hpa.value);
}

uint64_t service_largest_leaf(const struct service *service)
{
	const struct kvm_host *host = guest_kvm_host(service->guest);

	return strcmp(host->second_stage, "shadow") == 0 ? EPT_PAGE_BYTES : EPT_PAGE_1G_BYTES;
}

static json_t *counts_json(const struct live_counts *counts)
{
	return QMP_ROW(protocol_live_counts, QMP_NUMBER(counts->leaves_4k),
		       QMP_NUMBER(counts->leaves_2m), QMP_NUMBER(counts->leaves_1g),
		       QMP_NUMBER(counts->tables), QMP_NUMBER(counts->marked));
}

static int open_live(struct service *service, struct error *error)
{
	struct stage2_reader reader;
	struct stage2_mode mode;

	if (guest_second_stage(service->guest, &mode, &reader) == 0)
		return live_open_tables(&mode, &reader, &service->live.probe, error);
	return live_open(0, &service->live.probe, error);
}

/* A root KVM named while we looked; where it did not, a further vCPU makes it. */
static int find_root(struct service *service, struct error *error)
{
	struct stage2_mode mode;
	unsigned int id = guest_nr_vcpus(service->guest) + service->live.nudges;
	int err;

	/* It stays open: KVM names a root once, and from then on each new one. */
	err = service->live.probe ? 0 : open_live(service, error);
	if (!err)
		err = live_root(service->live.probe, &mode, error);
	if (err != -ENOENT || !service->live.probe)
		return err;
	err = live_nudge(guest_kvm_device(service->guest), guest_kvm_fd(service->guest, -1), id,
			 error);
	service->live.nudges++;
	return err;
}

/* With all calls locked: visits the leaves of the real tables. */
static int real_leaves(struct service *service, uint64_t start, uint64_t end, struct leaves *leaves,
		       struct error *error)
{
	bool paused = guest_is_paused(service->guest);
	int err = find_root(service, error);

	if (err)
		return err;
	if (!paused && guest_freeze(service->guest) != 0)
		return error_set(error, -ETIMEDOUT, "a vCPU does not let itself be stopped");
	err = live_for_each(service->live.probe, gpa_make(start), gpa_make(end), add_real_leaf,
			    leaves, &leaves->counts, error);
	if (!paused)
		guest_resume(service->guest);
	return err;
}

/* Where the tables are in this process there is nothing to predict. */
static int predicted_leaves(struct service *service, uint64_t start, uint64_t end,
			    struct leaves *leaves, struct error *error)
{
	struct stage2_reader reader;
	struct predict_host *host;
	struct stage2_mode mode;
	int err;

	if (guest_second_stage(service->guest, &mode, &reader) == 0) {
		err = service_lock_calls(service, NULL, error);
		if (err)
			return err;
		err = real_leaves(service, start, end, leaves, error);
		service_unlock_calls(service);
		leaves->knows_thp = leaves->sees_thp = true;
		return err;
	}
	err = predict_open(&host, error);
	if (err)
		return err;
	leaves->knows_thp = true;
	leaves->sees_thp = predict_sees_thp(host);
	err = predict_for_each(host, guest_space(service->guest), guest_slots(service->guest),
			       gpa_make(start), gpa_make(end), service_largest_leaf(service),
			       add_leaf, leaves, error);
	predict_close(host);
	return err;
}

/* What ends a visit early is a full list. */
static json_t *query_second(struct service *service, const struct qmp_request *request)
{
	uint64_t start = qmp_get(request, "start")->word, end = qmp_get(request, "end")->word;
	uint64_t top = 1ull << gpa_space_physical_bits(guest_space(service->guest));
	struct leaves leaves = {.list = json_array(),
				.limit = qmp_get(request, "limit")->word,
				.bytes = 1,
				.live = qmp_get(request, PROTOCOL_LIVE)->flag,
				.split_frames = qmp_get(request, "split-frames")->flag};
	struct error error;
	int err = 0;

	leaves.split_frames = leaves.split_frames && leaves.live;
	if (end == 0 || end > top)
		end = top;
	if (start < end)
		err = leaves.live ? real_leaves(service, start, end, &leaves, &error)
				  : predicted_leaves(service, start, end, &leaves, &error);
	if (!err)
		err = put_leaves(&leaves);
	if (err < 0) {
		json_decref(leaves.list);
		return qmp_error(request, "query-second-stage: %s", error.text);
	}
	return QMP_REPLY(request, QMP_JSON(leaves.list),
			 QMP_MAYBE(leaves.knows_thp, leaves.sees_thp),
			 QMP_JSON(leaves.live && !err ? counts_json(&leaves.counts) : NULL),
			 QMP_MAYBE(leaves.next, leaves.next));
}

/* ---- KVM's statistics ---- */

static json_t *stats_entry_json(const struct stats_entry *entry)
{
	json_t *list = entry->count == 1 ? NULL : json_array();

	for (unsigned int i = 0; list && i < entry->count; i++)
		json_array_append_new(list,
				      json_integer((json_int_t)(entry->values[i] & INT64_MAX)));
	return QMP_ROW(protocol_kvm_stats, QMP_STRING(entry->name),
		       QMP_STRING(stats_kind_name(entry->kind)),
		       QMP_STRING(stats_unit_name(entry->unit)), QMP_MAYBE(!list, entry->values[0]),
		       QMP_JSON(list));
}

/*
 * KVM opens a vCPU's statistics only while it is out of KVM_RUN, which a halted one never leaves by
 * itself: all are opened at the start, and reading them later needs nothing of the vCPU.
 */
void service_begin_stage2(struct service *service)
{
	struct error error;
	unsigned int i;

	if (guest_freeze(service->guest) != 0)
		return;
	for (i = 0; i < guest_nr_vcpus(service->guest); i++)
		if (stats_open(guest_kvm_fd(service->guest, (int)i), &service->live.stats[i],
			       &error) != 0)
			service->live.stats[i] = NULL;
	guest_resume(service->guest);
}

static int vcpu_stats(struct service *service, unsigned int vcpu, struct stats **stats_out,
		      struct error *error)
{
	*stats_out = service->live.stats[vcpu];
	if (!*stats_out)
		return error_set(error, -EOPNOTSUPP, "KVM gives no statistics of vCPU %u", vcpu);
	return stats_read(*stats_out, error);
}

static json_t *query_kvm_stats(struct service *service, const struct qmp_request *request)
{
	const struct qmp_value *vcpu = qmp_get(request, "vcpu");
	struct stats *stats = NULL;
	struct error error;
	json_t *list, *answer;
	size_t i;
	int err;

	if (vcpu->given && vcpu->word >= guest_nr_vcpus(service->guest))
		return service_bad_vcpu(service, request, (unsigned int)vcpu->word);
	if (vcpu->given)
		err = vcpu_stats(service, (unsigned int)vcpu->word, &stats, &error);
	else
		err = stats_open(guest_kvm_fd(service->guest, -1), &stats, &error);
	if (err)
		return qmp_error(request, "query-kvm-stats: %s", error.text);
	list = json_array();
	for (i = 0; i < stats_count(stats); i++)
		json_array_append_new(list, stats_entry_json(stats_at(stats, i)));
	answer = QMP_REPLY(request, QMP_STRING(stats_id(stats)), QMP_JSON(list));
	if (!vcpu->given)
		stats_close(stats);
	return answer;
}

/* ---- cores ---- */

struct dumping {
	struct service *service;
	const struct qmp_request *request;
};

static int core_progress(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	struct dumping *dumping = context;
	struct service *service = dumping->service;

	if (!service_go_on(service, dumping->request, done_bytes, total_bytes))
		return 1;
	if (clock_seconds() - service->live.core_told >= 0.5) {
		service->live.core_told = clock_seconds();
		service_tell(service, "DUMP_PROGRESS",
			     json_pack("{s:I, s:I}", "completed", (json_int_t)done_bytes, "total",
				       (json_int_t)total_bytes));
	}
	return 0;
}

static json_t *dump(struct service *service, const struct qmp_request *request)
{
	const char *path = qmp_get(request, "file")->text;
	struct dumping dumping = {service, request};
	const struct core_options options = {
		.zstd = qmp_get(request, "compress")->flag,
		.progress = core_progress,
		.progress_context = &dumping,
	};
	struct core_sum sum = {0};
	struct error error;
	int err;

	if (*path != '/')
		return qmp_error(request, "dump-guest-core: 'file' is to be an absolute path");
	/* It looks through an inspector of its own: others may look meanwhile. */
	err = service_may_write(service, path, &error);
	if (!err)
		err = core_write_guest(service->guest, path, &options, &sum, &error);
	if (err == -ECANCELED)
		return qmp_error(request, "dump-guest-core: cancelled: there is no core");
	if (err)
		return qmp_error(request, "dump-guest-core: %s", error.text);
	return QMP_REPLY(request, QMP_STRING(path), QMP_NUMBER(sum.file_bytes),
			 QMP_NUMBER(sum.written_bytes), QMP_NUMBER(sum.loads));
}

static void core_job(void *context, uint64_t client, struct qmp_request *request)
{
	struct service *service = context;
	struct error error;

	/* Otherwise it is written when the guest is destroyed. */
	if (service_lock_calls(service, NULL, &error) != 0)
		return;
	guest_last_look(service->guest);
	service_unlock_calls(service);
}

void service_write_core_soon(struct service *service)
{
	const struct lane_job job = {.run = core_job, .context = service};

	(void)lane_put(&service->lanes[LANE_ALONE], &job);
}

void service_end_stage2(struct service *service)
{
	live_close(service->live.probe);
	service->live.probe = NULL;
	for (unsigned int i = 0; i < NB_MAX_VCPUS; i++) {
		stats_close(service->live.stats[i]);
		service->live.stats[i] = NULL;
	}
}

const struct service_handler service_second_handlers[] = {
	{"query-regions", query_regions},
	{"query-second-stage", query_second},
	{"query-kvm-stats", query_kvm_stats},
	{"dump-guest-core", dump},
	{NULL, NULL},
};
