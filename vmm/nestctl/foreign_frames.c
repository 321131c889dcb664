/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames of a Linux: what its struct page says of one and who maps it; all of them by state. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/input.h"
#include "vmm/linux/frames.h"
#include "vmm/look/look.h"
#include "vmm/nestctl/foreign.h"

#define MAPPINGS_MAX 64u

/* What both verbs read first. */
struct frames {
	struct foreign *foreign;
	struct linux_guest *guest;
	struct linux_space space;
	struct linux_zones zones;
};

/* False: said, *status_out is what to end with, and there is nothing to give back. */
static bool frames_open(struct foreign *foreign, struct frames *frames, enum cli_status *status_out)
{
	struct error error = {""};
	int err;

	*frames = (struct frames){.foreign = foreign, .guest = foreign_linux(foreign)};
	*status_out = CLI_HOST;
	if (!frames->guest)
		return false;
	err = linux_space_read(frames->guest, &frames->space, &error);
	if (err) {
		*status_out = foreign_failed(foreign, err, &error);
		return false;
	}
	err = linux_zones_read(frames->guest, &frames->zones, &error);
	if (err) {
		linux_space_free(&frames->space);
		*status_out = foreign_failed(foreign, err, &error);
		return false;
	}
	return true;
}

static void frames_close(struct frames *frames)
{
	linux_zones_free(&frames->zones);
	linux_space_free(&frames->space);
}

/* ---- one frame ---- */

struct naming {
	struct frames *frames;
	json_t *list;
};

/* What a place of the kernel half is: the area, else the inspector's word for the region. */
static const char *place_name(struct frames *frames, const struct look_mapping *mapping,
			      char text[LINUX_NAME_BYTES + 64])
{
	const struct linux_facts *facts = linux_facts(frames->guest);
	char name[LINUX_NAME_BYTES];

	for (size_t i = 0; i < frames->space.count; i++) {
		const struct linux_area *area = &frames->space.area[i];
		enum linux_list_kind kind = frames->space.list[area->list].kind;

		if (kind == LINUX_FREE || mapping->gva < area->start || mapping->gva >= area->end)
			continue;
		snprintf(text, LINUX_NAME_BYTES + 64, "%s area 0x%" PRIx64 "-0x%" PRIx64 "%s%s",
			 linux_list_name(kind), area->start, area->end,
			 area->has_vm && area->vm.caller ? " of " : "",
			 area->has_vm && area->vm.caller
				 ? linux_address_name(frames->guest, area->vm.caller, name)
				 : "");
		return text;
	}
	if (mapping->gva >= facts->image_start && mapping->gva < facts->image_end)
		return "the kernel's image";
	return look_region_name(mapping->region);
}

static int add_mapping(void *context, const struct look_mapping *mapping)
{
	struct naming *naming = context;
	char rights[LOOK_RIGHTS_BYTES], text[LINUX_NAME_BYTES + 64];

	json_array_append_new(naming->list,
			      json_pack("{s:o, s:I, s:s, s:s}", "address", qmp_hex(mapping->gva),
					"page-bytes", (json_int_t)mapping->page_bytes, "rights",
					look_rights(mapping->rights, rights), "place",
					place_name(naming->frames, mapping, text)));
	return json_array_size(naming->list) == MAPPINGS_MAX;
}

static json_t *frame_json(struct frames *frames, const struct linux_frame *frame)
{
	json_t *json = json_pack("{s:I, s:o, s:s, s:o, s:s, s:o, s:o, s:I, s:I, s:I}", "frame",
				 (json_int_t)frame->pfn, "physical",
				 qmp_hex(frame->pfn * INSPECT_PAGE_BYTES), "state",
				 linux_frame_state_name(frame->state), "flags",
				 qmp_hex(frame->flags), "flag-names", frame->flag_names, "mapping",
				 qmp_hex(frame->mapping), "private", qmp_hex(frame->private),
				 "references", (json_int_t)frame->references, "process-mappings",
				 (json_int_t)frame->mapcount, "head", (json_int_t)frame->head_pfn);
	char name[LINUX_NAME_BYTES];

	if (frame->page_address)
		json_object_set_new(json, "page", qmp_hex(frame->page_address));
	if (frame->state == LINUX_FRAME_FREE)
		json_object_set_new(json, "order", json_integer(frame->order));
	if (frame->zone) {
		json_object_set_new(json, "node", json_integer(frame->zone->node));
		json_object_set_new(json, "zone", json_string(frame->zone->name));
	}
	if (frame->has_area) {
		json_object_set_new(json, "area-start", qmp_hex(frame->area.start));
		json_object_set_new(json, "area-end", qmp_hex(frame->area.end));
		json_object_set_new(json, "area-page", json_integer(frame->area_page));
		json_object_set_new(json, "area-caller",
				    json_string(linux_address_name(frames->guest,
								   frame->area.vm.caller, name)));
	}
	return json;
}

static enum cli_status print_frame(struct ctl *ctl, const json_t *value)
{
	const json_t *mappings = json_object_get(value, "mappings");

	fprintf(ctl->out, "frame %" PRIu64 " at %s: %s", ctl_number(value, "frame"),
		ctl_text(value, "physical"), ctl_text(value, "state"));
	if (json_object_get(value, "zone"))
		fprintf(ctl->out, ", node %" PRIu64 " zone %s", ctl_number(value, "node"),
			ctl_text(value, "zone"));
	if (json_object_get(value, "order"))
		fprintf(ctl->out, ", in the free block of order %" PRIu64 " at frame %" PRIu64,
			ctl_number(value, "order"), ctl_number(value, "head"));
	else if (ctl_number(value, "head") != ctl_number(value, "frame"))
		fprintf(ctl->out, ", in the compound page at frame %" PRIu64,
			ctl_number(value, "head"));
	fputc('\n', ctl->out);
	if (json_object_get(value, "page"))
		fprintf(ctl->out,
			"  struct page %s: flags %s%s%s, references %" PRId64
			", process mappings %" PRId64 ", mapping %s, private %s\n",
			ctl_text(value, "page"), ctl_text(value, "flags"),
			*ctl_text(value, "flag-names") ? " " : "", ctl_text(value, "flag-names"),
			(int64_t)json_integer_value(json_object_get(value, "references")),
			(int64_t)json_integer_value(json_object_get(value, "process-mappings")),
			ctl_text(value, "mapping"), ctl_text(value, "private"));
	if (json_object_get(value, "area-start"))
		fprintf(ctl->out, "  page %" PRIu64 " of area %s-%s of %s\n",
			ctl_number(value, "area-page"), ctl_text(value, "area-start"),
			ctl_text(value, "area-end"), ctl_text(value, "area-caller"));
	for (size_t i = 0; i < json_array_size(mappings); i++) {
		const json_t *mapping = json_array_get(mappings, i);

		fprintf(ctl->out, "  mapped at %s %s, page of %" PRIu64 " KiB, %s\n",
			ctl_text(mapping, "address"), ctl_text(mapping, "rights"),
			ctl_number(mapping, "page-bytes") / 1024, ctl_text(mapping, "place"));
	}
	if (json_array_size(mappings) == 0)
		fprintf(ctl->out, "  not mapped by the kernel\n");
	return CLI_DONE;
}

enum cli_status foreign_frame(struct foreign *foreign)
{
	const char *word = foreign->operands[0];
	struct error error = {""};
	struct linux_frame frame;
	struct frames frames;
	enum cli_status status;
	struct naming naming;
	json_t *json;
	uint64_t pfn;
	int err;

	if (number_parse(word, strlen(word), &pfn) != NUMBER_OK || pfn > UINT64_MAX >> 12) {
		cli_error(&foreign->cli, "'%.32s' is no frame number (physical address / 4096)",
			  word);
		return CLI_BAD_INPUT;
	}
	if (!frames_open(foreign, &frames, &status))
		return status;
	err = linux_frame(frames.guest, &frames.space, &frames.zones, pfn, &frame, &error);
	if (err) {
		frames_close(&frames);
		cli_error(&foreign->cli, "%s", error.text);
		return err == -ENOENT ? CLI_WRONG : CLI_HOST;
	}
	naming = (struct naming){&frames, json_array()};
	err = look_mappings_of(linux_inspector(frames.guest), NULL, pfn * INSPECT_PAGE_BYTES,
			       add_mapping, &naming);
	json = frame_json(&frames, &frame);
	json_object_set_new(json, "mappings", naming.list);
	frames_close(&frames);
	if (err < 0) {
		json_decref(json);
		return foreign_failed(foreign, err, NULL);
	}
	return foreign_print(foreign, json, print_frame);
}

/* ---- all of them ---- */

static json_t *zone_json(const struct linux_zone *zone, const uint64_t counts[LINUX_FRAME_STATES])
{
	json_t *states = json_object();

	for (unsigned int s = 0; s < LINUX_FRAME_STATES; s++)
		json_object_set_new(states, linux_frame_state_name((enum linux_frame_state)s),
				    json_integer((json_int_t)counts[s]));
	return json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "node", (json_int_t)zone->node,
			 "zone", zone->name, "start-frame", (json_int_t)zone->start_pfn, "spanned",
			 (json_int_t)zone->spanned, "present", (json_int_t)zone->present, "managed",
			 (json_int_t)zone->managed, "listed-free", (json_int_t)zone->listed_free,
			 "frames", states);
}

static enum cli_status print_frames(struct ctl *ctl, const json_t *value)
{
	const json_t *zones = json_object_get(value, "zones");

	fprintf(ctl->out, "%-12s", "state");
	for (size_t z = 0; z < json_array_size(zones); z++) {
		const json_t *zone = json_array_get(zones, z);
		char name[40];

		snprintf(name, sizeof(name), "%" PRIu64 "/%s", ctl_number(zone, "node"),
			 ctl_text(zone, "zone"));
		fprintf(ctl->out, " %12s", name);
	}
	fputc('\n', ctl->out);
	for (unsigned int s = 0; s < LINUX_FRAME_STATES; s++) {
		const char *state = linux_frame_state_name((enum linux_frame_state)s);

		fprintf(ctl->out, "%-12s", state);
		for (size_t z = 0; z < json_array_size(zones); z++)
			fprintf(ctl->out, " %12" PRIu64,
				ctl_number(json_object_get(json_array_get(zones, z), "frames"),
					   state));
		fputc('\n', ctl->out);
	}
	for (const char *const *row =
		     (const char *const[]){"spanned", "present", "managed", "listed-free", NULL};
	     *row; row++) {
		fprintf(ctl->out, "%-12s", *row);
		for (size_t z = 0; z < json_array_size(zones); z++)
			fprintf(ctl->out, " %12" PRIu64,
				ctl_number(json_array_get(zones, z), *row));
		fputc('\n', ctl->out);
	}
	return CLI_DONE;
}

enum cli_status foreign_frames(struct foreign *foreign)
{
	uint64_t counts[LINUX_FRAME_STATES];
	struct error error = {""};
	struct frames frames;
	enum cli_status status;
	json_t *list;
	int err = 0;

	if (!frames_open(foreign, &frames, &status))
		return status;
	list = json_array();
	for (size_t z = 0; z < frames.zones.count && !err; z++) {
		err = linux_frames_count(frames.guest, &frames.space, &frames.zones.zone[z], counts,
					 &error);
		if (!err)
			json_array_append_new(list, zone_json(&frames.zones.zone[z], counts));
	}
	frames_close(&frames);
	if (err) {
		json_decref(list);
		return foreign_failed(foreign, err, &error);
	}
	return foreign_print(foreign, json_pack("{s:o}", "zones", list), print_frames);
}
