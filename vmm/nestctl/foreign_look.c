/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verbs on other people's guests that ask for page tables and memory alone. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/input.h"
#include "vmm/look/maps.h"
#include "vmm/look/search.h"
#include "vmm/look/walk.h"
#include "vmm/nestctl/foreign.h"

#define READ_BYTES_MAX (64u << 20)
#define ADDRESSES_MAX  65536
#define MAPPINGS_MAX   256u

/* ---- maps ---- */

struct maps {
	const struct foreign_options *options;
	json_t *list;
};

static int add_map(void *context, const struct look_map *map)
{
	const struct maps *maps = context;
	const struct foreign_options *o = maps->options;
	char rights[LOOK_RIGHTS_BYTES];

	if ((o->writable && !(map->rights & PAGING_W)) ||
	    (o->executable && !(map->rights & PAGING_X)) ||
	    (o->user && !(map->rights & PAGING_U)) || map->end - map->start < o->least_bytes)
		return 0;
	json_array_append_new(
		maps->list,
		QMP_ROW(protocol_maps, QMP_NUMBER(map->start), QMP_NUMBER(map->end),
			QMP_STRING(look_rights(map->rights, rights)), QMP_NUMBER(map->page_bytes),
			QMP_NUMBER(map->leaves), QMP_NUMBER(map->runs), QMP_NUMBER(map->gpa),
			QMP_NUMBER(map->global), QMP_STRING(look_region_name(map->region))));
	return 0;
}

static enum cli_status run_maps(struct foreign *foreign)
{
	const uint64_t page = INSPECT_PAGE_BYTES - 1;
	struct maps maps = {&foreign->options, json_array()};
	const struct paging_mode *paging;
	struct inspector *inspector;
	struct look_maps_query query = {.start = foreign->options.start & ~page,
					.end = (foreign->options.end + page) & ~page};
	struct look_maps_sum sum = {0};
	json_t *json;
	int err;

	if (!foreign_inspector(foreign, &inspector, &paging)) {
		json_decref(maps.list);
		return CLI_HOST;
	}
	query.paging = paging;
	err = look_maps(inspector, &query, add_map, &maps, &sum);
	if (err) {
		json_decref(maps.list);
		return foreign_failed(foreign, err, NULL);
	}
	json = json_pack("{s:o, s:I, s:I, s:I, s:b}", "maps", maps.list, "tables",
			 (json_int_t)sum.tables, "leaves", (json_int_t)sum.leaves, "bad-entries",
			 (json_int_t)sum.bad_entries, "cut", sum.cut);
	if (sum.bad_entries)
		json_object_set_new(json, "first-bad", qmp_hex(sum.first_bad));
	return foreign_print(foreign, json, ctl_print_maps);
}

/* ---- walk, translate ---- */

static json_t *entry_json(const struct look_entry *entry)
{
	const char *names[LOOK_FLAGS_MAX];
	size_t count =
		look_entry_flags(entry->value, entry->level, entry->leaf, entry->reserved, names);
	char rights[LOOK_RIGHTS_BYTES];
	json_t *flags = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(flags, json_string(names[i]));
	return QMP_ROW(protocol_entries, QMP_NUMBER(entry->level), QMP_NUMBER(entry->gpa),
		       QMP_NUMBER(entry->value), QMP_JSON(flags),
		       QMP_STRING(look_rights(entry->rights, rights)), QMP_NUMBER(entry->leaf));
}

static enum cli_status print_walk(struct ctl *ctl, const json_t *value)
{
	/* No second stage is known: the table's printer without its last line. */
	json_t *copy = json_copy((json_t *)(uintptr_t)value);
	uint64_t physical = ctl_number(value, "physical");
	bool mapped = json_object_get(value, "physical") != NULL;
	enum cli_status status;
	char size[32];

	json_object_del(copy, "physical");
	status = ctl_print_walk(ctl, copy);
	json_decref(copy);
	if (!mapped)
		return status == CLI_DONE ? CLI_WRONG : status;
	cli_size_format(ctl_number(value, "page-bytes"), size, sizeof(size));
	fprintf(ctl->out, "  guest-physical 0x%" PRIx64 ", %s page, %s\n", physical, size,
		ctl_text(value, "rights"));
	return status;
}

static enum cli_status run_walk(struct foreign *foreign)
{
	const struct paging_mode *paging;
	char rights[LOOK_RIGHTS_BYTES], name[LINUX_NAME_BYTES];
	json_t *list = json_array(), *json;
	struct inspector *inspector;
	struct look_walk walk;
	uint64_t address;

	if (!foreign_inspector(foreign, &inspector, &paging) ||
	    !foreign_address(foreign, foreign->operands[0], &address)) {
		json_decref(list);
		return CLI_BAD_INPUT;
	}
	look_walk(inspector, paging, address, NULL, &walk);
	for (unsigned int i = 0; i < walk.entry_count; i++)
		json_array_append_new(list, entry_json(&walk.entry[i]));
	json = json_pack("{s:o, s:s, s:s, s:o}", "address", qmp_hex(address), "region",
			 look_region_name(walk.place.region), "status",
			 paging_status_name(walk.status), "entries", list);
	if (foreign->linux_guest &&
	    strchr(linux_address_name(foreign->linux_guest, address, name), '+'))
		json_object_set_new(json, "place", json_string(name));
	if (walk.status == PAGING_MAPPED) {
		json_object_set_new(json, "physical", qmp_hex(walk.gpa));
		json_object_set_new(json, "page-bytes", json_integer((json_int_t)walk.page_bytes));
		json_object_set_new(json, "rights", json_string(look_rights(walk.rights, rights)));
	}
	return foreign_print(foreign, json, print_walk);
}

static enum cli_status print_translation(struct ctl *ctl, const json_t *value)
{
	fprintf(ctl->out, "%s\n", ctl_text(value, "physical"));
	return CLI_DONE;
}

/* One after the other, each on a line with what was asked. */
static enum cli_status print_translations(struct ctl *ctl, const json_t *value)
{
	const json_t *list = json_object_get(value, "translations");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);

		fprintf(ctl->out, "%s %s\n", ctl_text(one, "address"),
			*ctl_text(one, "physical") ? ctl_text(one, "physical") : "-");
	}
	return CLI_DONE;
}

static enum cli_status translate_all(struct foreign *foreign, struct inspector *inspector,
				     const struct paging_mode *paging)
{
	json_t *list = json_array();
	enum cli_status status;
	uint64_t address, physical;
	bool all = true;

	for (int i = 0; i < foreign->nr_operands; i++) {
		json_t *one;

		if (!foreign_address(foreign, foreign->operands[i], &address)) {
			json_decref(list);
			return CLI_BAD_INPUT;
		}
		one = json_pack("{s:o}", "address", qmp_hex(address));
		if (look_translate(inspector, paging, address, &physical, NULL) == 0)
			json_object_set_new(one, "physical", qmp_hex(physical));
		else
			all = false;
		json_array_append_new(list, one);
	}
	status = foreign_print(foreign, json_pack("{s:o}", "translations", list),
			       print_translations);
	return status == CLI_DONE && !all ? CLI_WRONG : status;
}

static enum cli_status run_translate(struct foreign *foreign)
{
	const struct paging_mode *paging;
	struct inspector *inspector;
	uint64_t address, physical;

	if (!foreign_inspector(foreign, &inspector, &paging))
		return CLI_HOST;
	if (foreign->nr_operands > 1)
		return translate_all(foreign, inspector, paging);
	if (!foreign_address(foreign, foreign->operands[0], &address))
		return CLI_BAD_INPUT;
	if (look_translate(inspector, paging, address, &physical, NULL)) {
		cli_error(&foreign->cli,
			  "0x%" PRIx64 " is not mapped: nestctl walk shows where it ends", address);
		return CLI_WRONG;
	}
	return foreign_print(
		foreign,
		json_pack("{s:o, s:o}", "address", qmp_hex(address), "physical", qmp_hex(physical)),
		print_translation);
}

/* ---- read ---- */

/* Reads through the tables of @paging, a page at a time; physical addresses where it is NULL. */
static bool read_part(struct inspector *inspector, const struct paging_mode *paging, bool physical,
		      uint64_t address, uint8_t *to, uint64_t bytes)
{
	const struct inspect_source *source = inspect_source_of(inspector);
	uint64_t gpa = address;
	const void *host;

	if (!physical && look_translate(inspector, paging, address, &gpa, NULL))
		return false;
	host = source->physical(source->context, gpa, bytes);
	if (!host)
		return false;
	memcpy(to, host, bytes);
	return true;
}

static enum cli_status run_read(struct foreign *foreign)
{
	bool physical = foreign->options.physical;
	const struct paging_mode *paging;
	struct inspector *inspector;
	uint64_t address, bytes, done = 0;
	enum cli_status status = CLI_DONE;
	uint8_t *buffer;

	if (!foreign_inspector(foreign, &inspector, &paging) ||
	    !foreign_address(foreign, foreign->operands[0], &address))
		return CLI_BAD_INPUT;
	if (cli_size_parse(foreign->operands[1], &bytes) || bytes == 0 || bytes > READ_BYTES_MAX) {
		cli_error(&foreign->cli, "'%.32s' is no size from 1 to 64M", foreign->operands[1]);
		return CLI_BAD_INPUT;
	}
	buffer = malloc(bytes);
	if (!buffer)
		return foreign_failed(foreign, -ENOMEM, NULL);
	while (done < bytes) {
		uint64_t at = address + done;
		uint64_t part = INSPECT_PAGE_BYTES - at % INSPECT_PAGE_BYTES;

		if (part > bytes - done)
			part = bytes - done;
		if (!read_part(inspector, paging, physical, at, buffer + done, part)) {
			cli_error(&foreign->cli, "0x%" PRIx64 " %s", at,
				  physical ? "is no memory of this guest"
					   : "is not mapped, or what it maps is not in this image");
			status = CLI_WRONG;
			break;
		}
		done += part;
	}
	if (done > 0) {
		enum cli_status printed =
			foreign_print(foreign,
				      json_pack("{s:o, s:o}", "address", qmp_hex(address), "bytes",
						qmp_bytes(buffer, done)),
				      ctl_print_bytes);

		status = status ? status : printed;
	}
	free(buffer);
	return status;
}

/* ---- search, mappings ---- */

static int add_hit(void *context, uint64_t address)
{
	json_array_append_new(context, qmp_hex(address));
	return 0;
}

/* Bytes in hexadecimal digits, or text behind "text:". */
static bool read_pattern(const char *word, uint8_t *pattern, size_t *bytes_out)
{
	size_t length = strlen(word);

	if (!strncmp(word, "text:", 5) && length > 5 && length - 5 <= LOOK_PATTERN_BYTES_MAX) {
		memcpy(pattern, word + 5, length - 5);
		*bytes_out = length - 5;
		return true;
	}
	if (length == 0 || length % 2 != 0 || length / 2 > LOOK_PATTERN_BYTES_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		unsigned int digit = number_digit(word[i]);

		if (digit > 15)
			return false;
		pattern[i / 2] = (uint8_t)(i % 2 ? pattern[i / 2] | digit : digit << 4);
	}
	*bytes_out = length / 2;
	return true;
}

static enum cli_status run_search(struct foreign *foreign)
{
	const struct paging_mode *paging;
	uint8_t pattern[LOOK_PATTERN_BYTES_MAX];
	struct look_search_sum sum = {0};
	struct inspector *inspector;
	json_t *hits;
	size_t bytes;
	int err;

	if (!read_pattern(foreign->operands[0], pattern, &bytes)) {
		cli_error(&foreign->cli, "a pattern is pairs of hexadecimal digits, or text:WORDS");
		return CLI_BAD_INPUT;
	}
	if (!foreign_inspector(foreign, &inspector, &paging))
		return CLI_HOST;
	hits = json_array();
	err = look_search(inspector,
			  &(struct look_search_query){.physical = foreign->options.physical,
						      .paging = paging,
						      .start = foreign->options.start,
						      .end = foreign->options.end,
						      .pattern = pattern,
						      .pattern_bytes = bytes,
						      .max_hits = foreign->options.limit,
						      .skip_direct = !foreign->options.direct_map},
			  add_hit, hits, &sum);
	if (err) {
		json_decref(hits);
		return foreign_failed(foreign, err, NULL);
	}
	return foreign_print(foreign,
			     json_pack("{s:o, s:I, s:b}", "hits", hits, "searched-bytes",
				       (json_int_t)sum.bytes, "cut", sum.cut),
			     ctl_print_hits);
}

static int add_mapping(void *context, const struct look_mapping *mapping)
{
	char rights[LOOK_RIGHTS_BYTES];

	json_array_append_new(context,
			      json_pack("{s:o, s:I, s:s, s:s}", "address", qmp_hex(mapping->gva),
					"page-bytes", (json_int_t)mapping->page_bytes, "rights",
					look_rights(mapping->rights, rights), "region",
					look_region_name(mapping->region)));
	return json_array_size(context) == MAPPINGS_MAX;
}

static enum cli_status run_mappings(struct foreign *foreign)
{
	const struct paging_mode *paging;
	struct inspector *inspector;
	uint64_t address;
	json_t *list;
	int err;

	if (!foreign_inspector(foreign, &inspector, &paging) ||
	    !foreign_address(foreign, foreign->operands[0], &address))
		return CLI_BAD_INPUT;
	list = json_array();
	err = look_mappings_of(inspector, paging, address, add_mapping, list);
	if (err < 0) {
		json_decref(list);
		return foreign_failed(foreign, err, NULL);
	}
	return foreign_print(foreign, json_pack("{s:o}", "mappings", list), ctl_print_lists);
}

/* ---- registers ---- */

static enum cli_status print_registers(struct ctl *ctl, const json_t *value)
{
	static const char *const names[] = {"rip", "rsp", "rflags", "cr0", "cr2", "cr3", "cr4"};
	const json_t *cpus = json_object_get(value, "cpus");

	for (size_t i = 0; i < json_array_size(cpus); i++) {
		const json_t *cpu = json_array_get(cpus, i);

		fprintf(ctl->out, "cpu%" PRIu64, ctl_number(cpu, "cpu"));
		for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
			fprintf(ctl->out, " %s=%s", names[n], ctl_text(cpu, names[n]));
		fprintf(ctl->out, " %s\n", ctl_text(cpu, "place"));
	}
	return json_array_size(cpus) ? CLI_DONE : CLI_WRONG;
}

static enum cli_status run_registers(struct foreign *foreign)
{
	static const unsigned int rsp = 7, rip = 16, rflags = 17;
	json_t *list = json_array();
	char name[LINUX_NAME_BYTES] = "";

	for (unsigned int cpu = 0; cpu < foreign->inspect.nr_cpus; cpu++) {
		struct inspect_registers r;

		if (foreign->inspect.registers(foreign->inspect.context, cpu, &r))
			continue;
		if (foreign->linux_guest)
			linux_address_name(foreign->linux_guest, r.reg[rip], name);
		json_array_append_new(
			list, json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s}", "cpu",
					(int)cpu, "rip", qmp_hex(r.reg[rip]), "rsp",
					qmp_hex(r.reg[rsp]), "rflags", qmp_hex(r.reg[rflags]),
					"cr0", qmp_hex(r.cr0), "cr2", qmp_hex(r.cr2), "cr3",
					qmp_hex(r.cr3), "cr4", qmp_hex(r.cr4), "place", name));
	}
	return foreign_print(foreign, json_pack("{s:o}", "cpus", list), print_registers);
}

bool foreign_untyped(const struct foreign_verb *verb)
{
	static const foreign_fn untyped[] = {run_maps, run_translate, run_read, run_search,
					     run_mappings};

	for (size_t i = 0; i < sizeof(untyped) / sizeof(untyped[0]); i++) {
		if (verb->run == untyped[i])
			return true;
	}
	return false;
}

const struct foreign_verb foreign_look_verbs[] = {
	{"maps", "", "page tables as ranges", 0, 0, run_maps},
	{"walk", "ADDRESS", "an address, entry by entry", 1, 1, run_walk},
	{"translate", "ADDRESS...", "the physical address of each", 1, ADDRESSES_MAX,
	 run_translate},
	{"read", "ADDRESS SIZE", "bytes of memory", 2, 2, run_read},
	{"search", "PATTERN", "bytes, or text:WORDS, in memory", 1, 1, run_search},
	{"mappings", "ADDRESS", "what maps a physical address", 1, 1, run_mappings},
	{"registers", "", "each CPU's", 0, 0, run_registers},
	{.name = NULL},
};
