/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verbs on other people's guests that need to know the kernel: Linux's, or ours in a core. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/input.h"
#include "vmm/linux/space.h"
#include "vmm/look/tree.h"
#include "vmm/nestctl/foreign.h"

/* ---- areas ---- */

static int add_line(void *context, const char *line, const struct linux_area *area)
{
	json_array_append_new(context, json_pack("{s:o, s:o, s:s}", "start", qmp_hex(area->start),
						 "end", qmp_hex(area->end), "line", line));
	return 0;
}

const struct linux_list *foreign_first_broken(const struct linux_space *space)
{
	for (size_t i = 0; i < space->nr_lists; i++) {
		if (space->list[i].broken)
			return &space->list[i];
	}
	return NULL;
}

static enum cli_status print_areas(struct ctl *ctl, const json_t *value)
{
	enum cli_status status = ctl_print_lists(ctl, value);

	if (*ctl_text(value, "locks"))
		cli_error(ctl->cli, "locks were held: %s", ctl_text(value, "locks"));
	return status;
}

static enum cli_status linux_areas(struct foreign *foreign, struct linux_guest *guest)
{
	struct error error = {""};
	struct linux_space space;
	json_t *list, *json;
	int err = linux_space_read(guest, &space, &error);

	if (err)
		return foreign_failed(foreign, err, &error);
	list = json_array();
	linux_areas_print(guest, &space, add_line, list);
	json = json_pack("{s:o, s:s}", "areas", list, "locks", space.locks);
	if (foreign_first_broken(&space))
		json_object_set_new(json, "broken",
				    json_string(foreign_first_broken(&space)->broken));
	linux_space_free(&space);
	return foreign_print(foreign, json, print_areas);
}

static enum cli_status own_areas(struct foreign *foreign)
{
	struct look_tree tree;
	json_t *list, *json;
	int err = look_tree(foreign->own, 0, 0, &tree);

	if (err)
		return foreign_failed(foreign, err, NULL);
	list = json_array();
	for (size_t i = 0; i < tree.areas.count; i++) {
		const struct inspect_area *area = &tree.areas.area[i];
		char line[LOOK_LINE_BYTES];

		if (area->state != INSPECT_BUSY && area->state != INSPECT_LAZY)
			continue;
		look_area_line(foreign->own, area, NULL, line);
		json_array_append_new(list,
				      json_pack("{s:o, s:o, s:s}", "start", qmp_hex(area->start),
						"end", qmp_hex(area->end), "line", line));
	}
	json = json_pack("{s:o}", "areas", list);
	if (tree.areas.broken)
		json_object_set_new(json, "broken", json_string(tree.areas.broken));
	look_tree_free(&tree);
	return foreign_print(foreign, json, print_areas);
}

static enum cli_status run_areas(struct foreign *foreign)
{
	struct linux_guest *guest;

	if (foreign->own)
		return own_areas(foreign);
	guest = foreign_linux(foreign);
	return guest ? linux_areas(foreign, guest) : CLI_HOST;
}

/* ---- tree ---- */

static int add_node(void *context, const struct linux_node *node)
{
	const char side[2] = {node->side, '\0'};

	json_array_append_new(context,
			      json_pack("{s:i, s:s, s:s, s:o, s:o, s:o}", "depth", (int)node->depth,
					"side", side, "colour", node->red ? "red" : "black",
					"start", qmp_hex(node->start), "end", qmp_hex(node->end),
					"largest", qmp_hex(node->link)));
	return 0;
}

static int add_block(void *context, const struct linux_block *block)
{
	json_t *json =
		json_pack("{s:o, s:o, s:I, s:I, s:I}", "start", qmp_hex(block->start), "end",
			  qmp_hex(block->end), "free-pages", (json_int_t)block->free, "dirty-pages",
			  (json_int_t)block->dirty, "cpu", (json_int_t)block->cpu);

	if (block->has_map)
		json_object_set_new(json, "used-pages", json_integer((json_int_t)block->used));
	json_array_append_new(context, json);
	return 0;
}

static json_t *lists_json(const struct linux_space *space)
{
	json_t *lists = json_array();

	for (size_t i = 0; i < space->nr_lists; i++) {
		const struct linux_list *list = &space->list[i];
		uint64_t pages = 0;
		json_t *json;

		for (size_t a = list->first; a < list->first + list->count; a++)
			pages += (space->area[a].end - space->area[a].start) / INSPECT_PAGE_BYTES;
		json = json_pack("{s:s, s:i, s:I, s:I, s:b}", "list", linux_list_name(list->kind),
				 "node", (int)list->node, "areas", (json_int_t)list->count, "pages",
				 (json_int_t)pages, "locked", list->locked);
		if (list->kind == LINUX_POOL)
			json_object_set_new(json, "pool-pages", json_integer(list->pool + 1));
		if (list->broken)
			json_object_set_new(json, "broken", json_string(list->broken));
		json_array_append_new(lists, json);
	}
	return lists;
}

static enum cli_status print_tree(struct ctl *ctl, const json_t *value)
{
	const json_t *nodes = json_object_get(value, "free-tree");
	const json_t *lists = json_object_get(value, "lists");
	const json_t *blocks = json_object_get(value, "blocks");

	for (size_t i = 0; i < json_array_size(nodes); i++) {
		const json_t *node = json_array_get(nodes, i);

		fprintf(ctl->out, "%*s%s %-5s %s-%s largest %s\n",
			(int)(2 * ctl_number(node, "depth")), "", ctl_text(node, "side"),
			ctl_text(node, "colour"), ctl_text(node, "start"), ctl_text(node, "end"),
			ctl_text(node, "largest"));
	}
	for (size_t i = 0; i < json_array_size(lists); i++) {
		const json_t *list = json_array_get(lists, i);

		fprintf(ctl->out, "%-5s node %-3" PRIu64, ctl_text(list, "list"),
			ctl_number(list, "node"));
		if (json_object_get(list, "pool-pages"))
			fprintf(ctl->out, " of %" PRIu64 " pages", ctl_number(list, "pool-pages"));
		fprintf(ctl->out, " %8" PRIu64 " areas %12" PRIu64 " pages%s%s%s\n",
			ctl_number(list, "areas"), ctl_number(list, "pages"),
			json_is_true(json_object_get(list, "locked")) ? ", locked" : "",
			json_object_get(list, "broken") ? ", broken: " : "",
			ctl_text(list, "broken"));
	}
	for (size_t i = 0; i < json_array_size(blocks); i++) {
		const json_t *block = json_array_get(blocks, i);

		fprintf(ctl->out,
			"block %s-%s cpu %" PRIu64 " %" PRIu64 " pages free, %" PRIu64 " dirty\n",
			ctl_text(block, "start"), ctl_text(block, "end"), ctl_number(block, "cpu"),
			ctl_number(block, "free-pages"), ctl_number(block, "dirty-pages"));
	}
	fprintf(ctl->out, "vmap_lazy_nr %" PRIu64 "\n", ctl_number(value, "lazy-pages"));
	return CLI_DONE;
}

static enum cli_status run_tree(struct foreign *foreign)
{
	struct linux_guest *guest = foreign_linux(foreign);
	struct error error = {""};
	struct linux_space space;
	json_t *nodes, *blocks, *json;
	int err;

	if (!guest)
		return CLI_HOST;
	err = linux_space_read(guest, &space, &error);
	if (err)
		return foreign_failed(foreign, err, &error);
	nodes = json_array();
	blocks = json_array();
	err = linux_tree_walk(guest, &space.list[space.nr_lists - 1], space.count + 1024, add_node,
			      nodes);
	linux_blocks(guest, add_block, blocks, NULL);
	json = json_pack("{s:o, s:o, s:o, s:I, s:s}", "free-tree", nodes, "lists",
			 lists_json(&space), "blocks", blocks, "lazy-pages",
			 (json_int_t)space.lazy_pages, "locks", space.locks);
	linux_space_free(&space);
	if (err)
		cli_error(&foreign->cli, "the free tree cannot be walked to its end");
	return foreign_print(foreign, json, print_tree) | (err ? CLI_WRONG : CLI_DONE);
}

/* ---- symbols ---- */

static enum cli_status print_symbols(struct ctl *ctl, const json_t *value)
{
	const json_t *symbols = json_object_get(value, "symbols");

	for (size_t i = 0; i < json_array_size(symbols); i++) {
		const json_t *symbol = json_array_get(symbols, i);

		fprintf(ctl->out, "%s %s %s\n", ctl_text(symbol, "address"),
			ctl_text(symbol, "type"), ctl_text(symbol, "name"));
	}
	if (json_object_get(value, "place"))
		fprintf(ctl->out, "%s\n", ctl_text(value, "place"));
	return json_array_size(symbols) || json_object_get(value, "place") ? CLI_DONE : CLI_WRONG;
}

/* A number: what it is called. A name: all symbols of it. A name with '*' at its end: that begin
 * so. */
static enum cli_status run_symbol(struct foreign *foreign)
{
	struct linux_guest *guest = foreign_linux(foreign);
	const char *word = foreign->operands[0];
	size_t length = strlen(word), count;
	bool prefix = length > 0 && word[length - 1] == '*';
	char name[LINUX_NAME_BYTES];
	uint64_t address;
	json_t *list;

	if (!guest)
		return CLI_HOST;
	if (number_parse(word, length, &address) == NUMBER_OK)
		return foreign_print(foreign,
				     json_pack("{s:o, s:s}", "address", qmp_hex(address), "place",
					       linux_address_name(guest, address, name)),
				     print_symbols);
	list = json_array();
	count = linux_facts(guest)->nr_symbols;
	for (size_t i = 0; i < count; i++) {
		struct linux_symbol symbol = linux_symbol_at(guest, i);
		const char type[2] = {symbol.type, '\0'};

		if (prefix ? strncmp(symbol.name, word, length - 1) : strcmp(symbol.name, word))
			continue;
		json_array_append_new(list,
				      json_pack("{s:o, s:s%, s:s%}", "address",
						qmp_hex(symbol.address), "type", type, (size_t)1,
						"name", symbol.name, strlen(symbol.name)));
	}
	return foreign_print(foreign, json_pack("{s:o}", "symbols", list), print_symbols);
}

/* ---- log ---- */

static int print_record(void *context, uint64_t nanoseconds, const char *text)
{
	struct foreign *foreign = context;
	json_t *json;

	if (!foreign->options.json) {
		printf("[%5" PRIu64 ".%06" PRIu64 "] %s\n", nanoseconds / 1000000000,
		       nanoseconds / 1000 % 1000000, text);
		return 0;
	}
	json = json_pack("{s:I, s:s}", "nanoseconds", (json_int_t)nanoseconds, "text", text);
	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
	return 0;
}

static enum cli_status run_log(struct foreign *foreign)
{
	struct linux_guest *guest = foreign_linux(foreign);
	struct error error = {""};
	int err;

	if (!guest)
		return CLI_HOST;
	err = linux_log(guest, print_record, foreign, &error);
	return err ? foreign_failed(foreign, err, &error) : CLI_DONE;
}

/* ---- modules ---- */

static enum cli_status print_modules(struct ctl *ctl, const json_t *value)
{
	const json_t *modules = json_object_get(value, "modules");

	for (size_t i = 0; i < json_array_size(modules); i++) {
		const json_t *module = json_array_get(modules, i);
		const json_t *regions = json_object_get(module, "regions");

		fprintf(ctl->out, "%-24s %8" PRIu64 " %s", ctl_text(module, "name"),
			ctl_number(module, "bytes"), ctl_text(module, "state"));
		for (size_t r = 0; r < json_array_size(regions); r++)
			fprintf(ctl->out, " %s+%" PRIu64,
				ctl_text(json_array_get(regions, r), "start"),
				ctl_number(json_array_get(regions, r), "bytes"));
		fputc('\n', ctl->out);
	}
	if (!json_object_get(value, "broken"))
		return CLI_DONE;
	cli_error(ctl->cli, "%s", ctl_text(value, "broken"));
	return CLI_WRONG;
}

static json_t *module_json(const struct linux_module *module)
{
	static const char *const states[] = {"live", "coming", "going", "unformed"};
	json_t *regions = json_array();
	uint64_t bytes = 0;

	for (unsigned int r = 0; r < module->nr_regions; r++) {
		bytes += module->region[r].bytes;
		json_array_append_new(regions, json_pack("{s:o, s:I}", "start",
							 qmp_hex(module->region[r].start), "bytes",
							 (json_int_t)module->region[r].bytes));
	}
	return json_pack("{s:s, s:I, s:s, s:o}", "name", module->name, "bytes", (json_int_t)bytes,
			 "state", module->state < 4 ? states[module->state] : "?", "regions",
			 regions);
}

static enum cli_status run_modules(struct foreign *foreign)
{
	struct linux_guest *guest = foreign_linux(foreign);
	const struct linux_module *modules;
	struct error error = {""};
	const char *broken;
	json_t *list, *json;
	size_t count;
	int err;

	if (!guest)
		return CLI_HOST;
	err = linux_modules(guest, &modules, &count, &broken, &error);
	if (err)
		return foreign_failed(foreign, err, &error);
	list = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, module_json(&modules[i]));
	json = json_pack("{s:o}", "modules", list);
	if (broken)
		json_object_set_new(json, "broken", json_string(broken));
	return foreign_print(foreign, json, print_modules);
}

/* ---- what was found ---- */

static enum cli_status print_about(struct ctl *ctl, const json_t *value)
{
	const char *key;
	json_t *member;

	json_object_foreach ((json_t *)(uintptr_t)value, key, member) {
		if (json_is_string(member))
			fprintf(ctl->out, "%-16s %s\n", key, json_string_value(member));
		else
			fprintf(ctl->out, "%-16s %" PRIu64 "\n", key,
				(uint64_t)json_integer_value(member));
	}
	return CLI_DONE;
}

static enum cli_status run_about(struct foreign *foreign)
{
	json_t *json = json_pack("{s:s}", "source", source_about(foreign->source));
	const struct linux_facts *f;

	if (foreign->own) {
		json_object_set_new(json, "guest", json_string("nestbox"));
		return foreign_print(foreign, json, print_about);
	}
	if (!foreign_linux(foreign)) {
		json_decref(json);
		return CLI_HOST;
	}
	f = linux_facts(foreign->linux_guest);
	json_object_update_new(
		json,
		json_pack("{s:s, s:s, s:I, s:s, s:I, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:s}",
			  "kernel", f->release, "vmcoreinfo", f->from, "symbols",
			  (json_int_t)f->nr_symbols, "symbols-from",
			  f->symbols_scanned ? "a scan of the image" : "VMCOREINFO", "btf-bytes",
			  (json_int_t)f->btf_bytes, "btf-from",
			  f->btf_scanned ? "a scan of the image" : "symbols", "levels",
			  (json_int_t)f->levels, "kernel-offset", qmp_hex(f->kernel_offset), "root",
			  qmp_hex(f->root), "direct-map", qmp_hex(f->direct_base), "vmalloc",
			  qmp_hex(f->vmalloc_start), "page-array", qmp_hex(f->memmap_base),
			  "modules", qmp_hex(f->modules_start), "missing", f->missing));
	return foreign_print(foreign, json, print_about);
}

const struct foreign_verb foreign_linux_verbs[] = {
	{"about", "", "what was found, and what is missing", 0, 0, run_about},
	{"areas", "", "as /proc/vmallocinfo prints them", 0, 0, run_areas},
	{"tree", "", "the free tree in shape, lists, pools, blocks", 0, 0, run_tree},
	{"audit", "", "whether vmalloc is consistent", 0, 0, foreign_audit},
	{"frame", "FRAME", "a frame's struct page, and what maps it", 1, 1, foreign_frame},
	{"frames", "", "frames by state and zone", 0, 0, foreign_frames},
	{"html", "FILE", "a page: the address space, page tables, the audit", 1, 1,
	 foreign_picture},
	{"svg", "FILE", "the address space as one figure", 1, 1, foreign_picture},
	{"dat", "FILE", "areas as columns for gnuplot", 1, 1, foreign_picture},
	{"state", "", "the state that a replay starts from", 0, 0, foreign_state},
	{"symbol", "NAME|ADDRESS", "symbols of a name (NAME* that begin so), or an address's", 1, 1,
	 run_symbol},
	{"log", "", "dmesg", 0, 0, run_log},
	{"modules", "", "and where their memory is", 0, 0, run_modules},
	{.name = NULL},
};
