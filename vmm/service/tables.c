/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Page tables and memory from outside: ranges, walks, searches, what maps a frame. */
#include <errno.h>
#include <string.h>

#include "ept/predict.h"
#include "vmm/look/maps.h"
#include "vmm/look/search.h"
#include "vmm/look/walk.h"
#include "vmm/service/private.h"

/* ---- maps ---- */

/* Keeps one range more than is returned: where the next piece starts. */
struct maps {
	json_t *list;
	uint64_t limit;
	uint64_t next; /* where the list was full; 0: it was not */
};

static int add_map(void *context, const struct look_map *map)
{
	struct maps *maps = context;
	char rights[LOOK_RIGHTS_BYTES];

	if (json_array_size(maps->list) == maps->limit) {
		maps->next = map->start;
		return 1;
	}
	json_array_append_new(
		maps->list,
		QMP_ROW(protocol_maps, QMP_NUMBER(map->start), QMP_NUMBER(map->end),
			QMP_STRING(look_rights(map->rights, rights)), QMP_NUMBER(map->page_bytes),
			QMP_NUMBER(map->leaves), QMP_NUMBER(map->runs), QMP_NUMBER(map->gpa),
			QMP_NUMBER(map->global), QMP_STRING(look_region_name(map->region))));
	return 0;
}

static json_t *query_maps(struct service *service, const struct qmp_request *request)
{
	struct maps maps = {json_array(), qmp_get(request, "limit")->word, 0};
	struct look_maps_sum sum = {0};
	struct paging_mode mode;
	const struct look_maps_query query = {
		.paging = &mode,
		.start = qmp_get(request, "start")->word,
		.end = qmp_get(request, "end")->word,
		.split_frames = qmp_get(request, "split-frames")->flag,
	};
	int err;

	pthread_mutex_lock(&service->look_mutex);
	err = service_tables(service, request, &mode);
	if (!err)
		err = look_maps(service->inspector, &query, add_map, &maps, &sum);
	pthread_mutex_unlock(&service->look_mutex);
	if (err < 0) {
		json_decref(maps.list);
		return service_failed(request, err);
	}
	return QMP_REPLY(request, QMP_JSON(maps.list), QMP_MAYBE(maps.next, maps.next),
			 QMP_MAYBE(!err, sum.tables), QMP_MAYBE(!err, sum.bad_entries),
			 QMP_MAYBE(sum.bad_entries, sum.first_bad));
}

/* ---- walk ---- */

static json_t *flags_json(size_t count, const char *const *names)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < count; i++)
		json_array_append_new(list, json_string(names[i]));
	return list;
}

static json_t *leaf_json(const struct look_leaf *leaf)
{
	if (!leaf->known)
		return NULL;
	return QMP_ROW(protocol_second_leaf, QMP_NUMBER(leaf->mapped),
		       QMP_MAYBE(leaf->mapped, leaf->gpa), QMP_MAYBE(leaf->mapped, leaf->bytes),
		       QMP_MAYBE(leaf->hpa, leaf->hpa),
		       QMP_MAYBE(leaf->host, (uintptr_t)leaf->host));
}

static json_t *entry_json(const struct look_entry *entry)
{
	const char *names[LOOK_FLAGS_MAX];
	size_t count =
		look_entry_flags(entry->value, entry->level, entry->leaf, entry->reserved, names);
	char rights[LOOK_RIGHTS_BYTES];

	return QMP_ROW(protocol_entries, QMP_NUMBER(entry->level), QMP_NUMBER(entry->gpa),
		       QMP_NUMBER(entry->value), QMP_JSON(flags_json(count, names)),
		       QMP_STRING(look_rights(entry->rights, rights)), QMP_NUMBER(entry->leaf),
		       QMP_JSON(leaf_json(&entry->second)));
}

/* NULL: they were not read. */
static json_t *loads_json(const struct look_walk *walk)
{
	json_t *list = walk->have_tables ? json_array() : NULL;

	for (unsigned int i = 0; list && i < walk->tables.entry_count; i++) {
		const struct walk2d_entry *entry = &walk->tables.entries[i];

		json_array_append_new(
			list, QMP_ROW(protocol_loads, QMP_NUMBER(entry->stage),
				      QMP_NUMBER(entry->level), QMP_NUMBER(entry->gpa.value),
				      QMP_NUMBER(entry->hpa.value), QMP_NUMBER(entry->value)));
	}
	return list;
}

static json_t *reply_walk(struct service *service, const struct qmp_request *request,
			  const struct look_walk *walk, bool real)
{
	char place[IMAGE_PLACE_BYTES], rights[LOOK_RIGHTS_BYTES], both[LOOK_RIGHTS_BYTES];
	bool mapped = walk->status == PAGING_MAPPED;
	json_t *list = json_array();

	for (unsigned int i = 0; i < walk->entry_count; i++)
		json_array_append_new(list, entry_json(&walk->entry[i]));
	service_place(service, walk->gva, place);
	return QMP_REPLY(request, QMP_NUMBER(walk->gva),
			 QMP_STRING(look_region_name(walk->place.region)),
			 QMP_STRING(paging_status_name(walk->status)), QMP_JSON(list),
			 QMP_STRING(*place ? place : NULL), QMP_MAYBE(!mapped, walk->level),
			 QMP_MAYBE(mapped, walk->gpa), QMP_MAYBE(mapped, walk->page_bytes),
			 QMP_STRING(mapped ? look_rights(walk->rights, rights) : NULL),
			 QMP_STRING(mapped ? look_rights(walk->both, both) : NULL),
			 QMP_MAYBE(mapped, walk->tlb_bytes),
			 QMP_JSON(mapped ? leaf_json(&walk->second) : NULL),
			 QMP_STRING(real ? "tables" : "predicted"), QMP_JSON(loads_json(walk)));
}

/* ---- the second stage of a walk ---- */

/* What the host's own tables and KVM's rules say of one address (ept/predict.h). */
struct predicted {
	struct service *service;
	struct predict_host *host;
	gpa_t wanted;
	bool found;
	struct walk2d_leaf *leaf;
};

static int see_leaf(void *context, gpa_t gpa, uint64_t bytes, const struct kvm_slot *slot)
{
	struct predicted *predicted = context;
	struct walk2d_leaf *leaf = predicted->leaf;

	(void)slot;
	if (predicted->wanted.value - gpa.value >= bytes)
		return 0;
	*leaf = (struct walk2d_leaf){
		.gpa = gpa, .bytes = bytes, .rights = STAGE2_R | STAGE2_W | STAGE2_X | STAGE2_XU};
	if (gpa_space_translate(guest_space(predicted->service->guest), gpa, 1, &leaf->host) != 0)
		leaf->host = NULL;
	predicted->found = true;
	return 1;
}

static bool predict_leaf(void *context, gpa_t gpa, struct walk2d_leaf *leaf_out)
{
	struct predicted *predicted = context;
	struct error error;

	predicted->wanted = gpa;
	predicted->found = false;
	predicted->leaf = leaf_out;
	*leaf_out = (struct walk2d_leaf){.gpa = gpa_make(gpa.value & ~(INSPECT_PAGE_BYTES - 1)),
					 .bytes = INSPECT_PAGE_BYTES};
	(void)predict_for_each(predicted->host, guest_space(predicted->service->guest),
			       guest_slots(predicted->service->guest), gpa, gpa_make(gpa.value + 1),
			       service_largest_leaf(predicted->service), see_leaf, predicted,
			       &error);
	return predicted->found;
}

/* The first stage alone where the host does not let itself be looked at. */
static void walk_predicted(struct service *service, const struct paging_mode *mode,
			   uint64_t address, struct look_walk *walk_out)
{
	struct predicted predicted = {.service = service};
	const struct walk2d_source leaves = {predict_leaf, &predicted};
	const struct look_second second = {.leaves = &leaves}, none = {.leaves = NULL};
	struct error error;
	bool open = predict_open(&predicted.host, &error) == 0;

	look_walk(service->inspector, mode, address, open ? &second : &none, walk_out);
	if (open)
		predict_close(predicted.host);
}

/*
 * Through the second stage's real tables, where they are in this process and no hypercall keeps
 * them busy. Returns whether it was.
 */
static bool walk_real(struct service *service, const struct qmp_request *request,
		      const struct paging_mode *mode, uint64_t address, struct look_walk *walk_out)
{
	struct stage2_reader reader;
	struct stage2_mode tables;
	const struct look_second second = {.mode = &tables, .reader = &reader};
	struct error error;
	bool paused, frozen;

	if (guest_second_stage(service->guest, &tables, &reader) != 0 ||
	    service_lock_calls(service, request, &error) != 0)
		return false;
	paused = guest_is_paused(service->guest);
	frozen = paused || guest_freeze(service->guest) == 0;
	pthread_mutex_lock(&service->look_mutex);
	if (frozen)
		look_walk(service->inspector, mode, address, &second, walk_out);
	pthread_mutex_unlock(&service->look_mutex);
	if (frozen && !paused)
		guest_resume(service->guest);
	service_unlock_calls(service);
	return frozen;
}

static json_t *query_walk(struct service *service, const struct qmp_request *request)
{
	uint64_t address = qmp_get(request, "address")->word;
	struct paging_mode mode;
	struct look_walk walk;
	bool real;
	int err;

	pthread_mutex_lock(&service->look_mutex);
	err = service_tables(service, request, &mode);
	pthread_mutex_unlock(&service->look_mutex);
	if (err)
		return service_failed(request, err);
	real = walk_real(service, request, &mode, address, &walk);
	if (!real) {
		pthread_mutex_lock(&service->look_mutex);
		walk_predicted(service, &mode, address, &walk);
		pthread_mutex_unlock(&service->look_mutex);
	}
	return reply_walk(service, request, &walk, real);
}

/* ---- what maps a physical address ---- */

#define MAPPINGS_MAX 256

static int add_mapping(void *context, const struct look_mapping *mapping)
{
	char rights[LOOK_RIGHTS_BYTES];

	json_array_append_new(context, QMP_ROW(protocol_mappings, QMP_NUMBER(mapping->gva),
					       QMP_NUMBER(mapping->page_bytes),
					       QMP_STRING(look_rights(mapping->rights, rights)),
					       QMP_STRING(look_region_name(mapping->region))));
	return json_array_size(context) == MAPPINGS_MAX;
}

static json_t *query_mappings(struct service *service, const struct qmp_request *request)
{
	json_t *list = json_array();
	struct paging_mode mode;
	int err;

	pthread_mutex_lock(&service->look_mutex);
	err = service_tables(service, request, &mode);
	if (!err)
		err = look_mappings_of(service->inspector, &mode, qmp_get(request, "address")->word,
				       add_mapping, list);
	pthread_mutex_unlock(&service->look_mutex);
	if (err < 0) {
		json_decref(list);
		return service_failed(request, err);
	}
	return QMP_REPLY(request, QMP_JSON(list));
}

/* ---- search ---- */

#define SEARCH_ENDED 1

struct searching {
	struct service *service;
	const struct qmp_request *request;
	json_t *hits;
	uint64_t done; /* bytes; how many there are is not known before */
};

static int add_hit(void *context, uint64_t address)
{
	json_array_append_new(((struct searching *)context)->hits, qmp_hex(address));
	return 0;
}

static int search_on(void *context, uint64_t done_bytes)
{
	struct searching *searching = context;

	searching->done = done_bytes;
	return service_go_on(searching->service, searching->request, done_bytes, 0) ? 0
										    : SEARCH_ENDED;
}

static json_t *search_memory(struct service *service, const struct qmp_request *request)
{
	const struct qmp_value *bytes = qmp_get(request, "bytes");
	struct searching searching = {service, request, .hits = json_array()};
	struct look_search_sum sum = {0};
	struct paging_mode mode;
	const struct look_search_query query = {
		.physical = qmp_get(request, "space")->word != 0,
		.paging = &mode,
		.start = qmp_get(request, "start")->word,
		.end = qmp_get(request, "end")->word,
		.pattern = bytes->bytes,
		.pattern_bytes = bytes->count,
		.align = qmp_get(request, "align")->word,
		.max_hits = qmp_get(request, "limit")->word,
		.skip_direct = !qmp_get(request, "direct-map")->flag,
		.progress = search_on,
	};
	int err;

	pthread_mutex_lock(&service->look_mutex);
	err = service_tables(service, request, &mode);
	if (!err)
		err = look_search(service->inspector, &query, add_hit, &searching, &sum);
	pthread_mutex_unlock(&service->look_mutex);
	if (err < 0)
		json_decref(searching.hits);
	if (err == -EINVAL)
		return qmp_error(request, "search-memory: the end is to lie behind the start, and "
					  "'align' is to be a power of two up to 4096");
	if (err < 0)
		return service_failed(request, err);
	return QMP_REPLY(request, QMP_JSON(searching.hits),
			 QMP_NUMBER(err ? searching.done : sum.bytes), QMP_NUMBER(err || sum.cut),
			 QMP_MAYBE(err, true));
}

const struct service_handler service_table_handlers[] = {
	{"query-maps", query_maps},
	{"query-walk", query_walk},
	{"query-mappings", query_mappings},
	{"search-memory", search_memory},
	{NULL, NULL},
};
