/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of the verbs that look at a guest. */
#include <inttypes.h>
#include <string.h>

#include "guest/abi.h"
#include "vmm/nestctl/nestctl.h"

/* As ctl_size_text() where that is short, else to a tenth of the largest unit. */
static const char *rounded_text(uint64_t bytes, char text[32])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double rounded = (double)bytes;
	size_t unit = 0;

	cli_size_format(bytes, text, 32);
	if (strlen(text) < sizeof("1048575 KiB"))
		return text;
	for (; rounded >= 1024; rounded /= 1024)
		unit++;
	snprintf(text, 32, "%.1f %s", rounded, units[unit]);
	return text;
}

/* The same in a column. */
static const char *rounded_word(uint64_t bytes, char text[32])
{
	char *unit = strchr(rounded_text(bytes, text), ' ');

	if (unit) {
		unit[0] = unit[1] == 'B' ? '\0' : unit[1];
		unit[1] = '\0';
	}
	return text;
}

/* Of the vmalloc range: what lies outside it is free too, and of no use to vmalloc(). */
static void print_largest_hole(FILE *out, const json_t *tiles)
{
	uint64_t largest_start = 0, largest_end = 0;
	char text[32];

	for (size_t i = 0; i < json_array_size(tiles); i++) {
		const json_t *tile = json_array_get(tiles, i);
		uint64_t start = ctl_number(tile, "start"), end = ctl_number(tile, "end");

		if (strcmp(ctl_text(tile, "state"), "free") != 0)
			continue;
		start = start > NB_VMALLOC_START ? start : NB_VMALLOC_START;
		end = end - 1 < NB_VMALLOC_END ? end : NB_VMALLOC_END + 1;
		if (start < end && end - start > largest_end - largest_start) {
			largest_start = start;
			largest_end = end;
		}
	}
	if (largest_end == 0)
		fprintf(out, "no hole among these in the vmalloc range\n");
	else
		fprintf(out,
			"the largest hole in the vmalloc range is 0x%" PRIx64 "-0x%" PRIx64
			", %s\n",
			largest_start, largest_end,
			rounded_text(largest_end - largest_start, text));
}

enum cli_status ctl_print_tree(struct ctl *ctl, const json_t *value)
{
	const json_t *tiles = json_object_get(value, "tiles");
	const json_t *sum = json_object_get(value, "sum");
	char text[32];
	size_t i;

	if (json_array_size(tiles))
		fprintf(ctl->out, "%-37s %-5s %12s\n", "# range", "state", "size");
	for (i = 0; i < json_array_size(tiles); i++) {
		const json_t *tile = json_array_get(tiles, i);
		uint64_t start = ctl_number(tile, "start"), end = ctl_number(tile, "end");

		fprintf(ctl->out, "0x%016" PRIx64 "-0x%016" PRIx64 " %-5s %12s\n", start, end,
			ctl_text(tile, "state"), rounded_word(end - start, text));
	}
	fprintf(ctl->out, "%" PRIu64 " busy, %" PRIu64 " lazy, %" PRIu64 " free; ",
		ctl_number(sum, "busy"), ctl_number(sum, "lazy"), ctl_number(sum, "free"));
	fprintf(ctl->out, "%s of areas; ", ctl_size_text(ctl_number(sum, "payload-bytes"), text));
	print_largest_hole(ctl->out, tiles);
	return ctl_print_end(ctl, value);
}

/* ---- page tables ---- */

enum cli_status ctl_print_maps(struct ctl *ctl, const json_t *value)
{
	enum cli_status status = ctl_print_lists(ctl, value);

	if (!ctl_number(value, "bad-entries"))
		return status;
	fprintf(ctl->out, "%" PRIu64 " bad %s, the first governs %s\n",
		ctl_number(value, "bad-entries"),
		ctl_number(value, "bad-entries") == 1 ? "entry" : "entries",
		ctl_text(value, "first-bad"));
	return CLI_WRONG;
}

static void print_second(FILE *out, const json_t *second, const char *how)
{
	char text[32];

	if (!second)
		return;
	if (!json_is_true(json_object_get(second, "mapped"))) {
		fprintf(out, " ->%s nothing", how);
		return;
	}
	fprintf(out, " ->%s %s leaf at %s", how,
		ctl_size_text(ctl_number(second, "leaf-bytes"), text),
		ctl_text(second, "physical"));
}

static const char *const entry_names[] = {"?", "PTE", "PDE", "PDPTE", "PML4E", "PML5E"};

static void print_entry(FILE *out, const json_t *entry, const char *how)
{
	const json_t *flags = json_object_get(entry, "flags");
	uint64_t level = ctl_number(entry, "level");
	size_t i;

	fprintf(out, "  %-5s at %-12s %016" PRIx64 " %s", entry_names[level <= 5 ? level : 0],
		ctl_text(entry, "at"), ctl_number(entry, "value"), ctl_text(entry, "rights"));
	for (i = 0; i < json_array_size(flags); i++)
		fprintf(out, " %s", json_string_value(json_array_get(flags, i)) ?: "");
	print_second(out, json_object_get(entry, "second"), how);
	fputc('\n', out);
}

enum cli_status ctl_print_walk(struct ctl *ctl, const json_t *value)
{
	const json_t *entries = json_object_get(value, "entries");
	const char *how = strcmp(ctl_text(value, "second-stage"), "tables") ? " predicted" : "";
	const json_t *second = json_object_get(value, "second");
	char text[32];
	size_t i;

	fprintf(ctl->out, "%s: %s, %s", ctl_text(value, "address"), ctl_text(value, "region"),
		ctl_text(value, "status"));
	if (json_object_get(value, "place"))
		fprintf(ctl->out, " (%s)", ctl_text(value, "place"));
	fputc('\n', ctl->out);
	for (i = 0; i < json_array_size(entries); i++)
		print_entry(ctl->out, json_array_get(entries, i), how);
	if (!json_object_get(value, "physical"))
		return CLI_WRONG;
	fprintf(ctl->out, "  guest-physical %s, %s page, %s", ctl_text(value, "physical"),
		ctl_size_text(ctl_number(value, "page-bytes"), text), ctl_text(value, "rights"));
	print_second(ctl->out, json_object_get(value, "second"), how);
	if (second && !json_is_true(json_object_get(second, "mapped")))
		fprintf(ctl->out, "\n  both stages: nothing yet, it was never touched\n");
	else
		fprintf(ctl->out, "\n  both stages: %s, a TLB entry can cover %s\n",
			ctl_text(value, "both"),
			ctl_size_text(ctl_number(value, "tlb-bytes"), text));
	return CLI_DONE;
}

/* Where the host has the @which's leaf of the second stage. */
static void print_host(FILE *out, const char *which, const json_t *second)
{
	char text[32];

	if (!second || !json_is_true(json_object_get(second, "mapped")))
		return;
	fprintf(out, "  %-5s second stage: %s leaf at %s", which,
		ctl_size_text(ctl_number(second, "leaf-bytes"), text),
		ctl_text(second, "physical"));
	if (json_object_get(second, "host-physical"))
		fprintf(out, ", host-physical %s", ctl_text(second, "host-physical"));
	if (json_object_get(second, "host"))
		fprintf(out, ", host %s", ctl_text(second, "host"));
	fputc('\n', out);
}

static void print_loads(FILE *out, const json_t *loads)
{
	size_t i;

	fprintf(out, "%zu entries are read, in this order:\n", json_array_size(loads));
	fprintf(out, "# stage level host-physical      value              translates\n");
	for (i = 0; i < json_array_size(loads); i++) {
		const json_t *load = json_array_get(loads, i);
		bool second = ctl_number(load, "stage") == 2;

		fprintf(out, "%7" PRIu64 " %5" PRIu64 " 0x%016" PRIx64 " 0x%016" PRIx64 " %s\n",
			ctl_number(load, "stage"), ctl_number(load, "level"),
			ctl_number(load, "at"), ctl_number(load, "value"),
			second ? ctl_text(load, "physical") : "-");
	}
}

enum cli_status ctl_print_ept_walk(struct ctl *ctl, const json_t *value)
{
	const json_t *entries = json_object_get(value, "entries");
	enum cli_status status = ctl_print_walk(ctl, value);

	for (size_t i = 0; i < json_array_size(entries); i++) {
		const json_t *entry = json_array_get(entries, i);
		uint64_t level = ctl_number(entry, "level");

		print_host(ctl->out, entry_names[level <= 5 ? level : 0],
			   json_object_get(entry, "second"));
	}
	print_host(ctl->out, "page", json_object_get(value, "second"));
	if (json_object_get(value, "loads"))
		print_loads(ctl->out, json_object_get(value, "loads"));
	return status;
}

enum cli_status ctl_print_symbol(struct ctl *ctl, const json_t *value)
{
	/* A place that has no name is the address. */
	if (strncmp(ctl_text(value, "place"), "0x", 2) != 0)
		return ctl_print_plain(ctl, value);
	cli_error(ctl->cli, "no symbol of the image is at %s", ctl_text(value, "address"));
	return CLI_WRONG;
}

enum cli_status ctl_print_hits(struct ctl *ctl, const json_t *value)
{
	const json_t *hits = json_object_get(value, "hits");
	size_t i;

	for (i = 0; i < json_array_size(hits); i++)
		fprintf(ctl->out, "%s\n", json_string_value(json_array_get(hits, i)) ?: "");
	if (json_is_true(json_object_get(value, "cut")))
		fprintf(ctl->out, "... there may be more: --limit, --start\n");
	return json_array_size(hits) ? CLI_DONE : CLI_WRONG;
}

/* ---- frames ---- */

/* States side by side, those that have none left out. */
static void print_counts(FILE *out, const json_t *counts)
{
	const char *state;
	json_t *count;

	json_object_foreach ((json_t *)counts, state, count) {
		if (json_integer_value(count))
			fprintf(out, "  %s %" PRIu64, state, (uint64_t)json_integer_value(count));
	}
	fputc('\n', out);
}

enum cli_status ctl_print_frames(struct ctl *ctl, const json_t *value)
{
	const json_t *zones = json_object_get(value, "zones");
	size_t i;

	for (i = 0; i < json_array_size(zones); i++) {
		const json_t *zone = json_array_get(zones, i);

		fprintf(ctl->out, "Node %" PRIu64 ", zone %8s %10" PRIu64, ctl_number(zone, "node"),
			ctl_text(zone, "zone"), ctl_number(zone, "total"));
		print_counts(ctl->out, json_object_get(zone, "frames"));
	}
	fprintf(ctl->out, "%-21s %10" PRIu64, "all", ctl_number(value, "total"));
	print_counts(ctl->out, json_object_get(value, "frames"));
	return CLI_DONE;
}

/* The head as in /proc/buddyinfo; blocks that are fresh are blocks as well. */
enum cli_status ctl_print_zones(struct ctl *ctl, const json_t *value)
{
	const json_t *zones = json_object_get(value, "zones");
	size_t i, order;

	for (i = 0; i < json_array_size(zones); i++) {
		const json_t *zone = json_array_get(zones, i);
		const json_t *blocks = json_object_get(zone, "blocks");
		const json_t *fresh = json_object_get(zone, "fresh-blocks");

		fprintf(ctl->out, "Node %" PRIu64 ", zone %8s ", ctl_number(zone, "node"),
			ctl_text(zone, "zone"));
		for (order = 0; order < json_array_size(blocks); order++)
			fprintf(ctl->out, "%6" PRIu64 " ",
				(uint64_t)(json_integer_value(json_array_get(blocks, order)) +
					   json_integer_value(json_array_get(fresh, order))));
		fputc('\n', ctl->out);
	}
	fprintf(ctl->out, "\n%-21s %10s %10s %8s %10s %10s %10s %10s  %s\n", "# pages", "free",
		"fresh", "min", "spanned", "present", "managed", "start_pfn", "pcp");
	for (i = 0; i < json_array_size(zones); i++) {
		const json_t *zone = json_array_get(zones, i);
		const json_t *pcp = json_object_get(zone, "pcp");

		fprintf(ctl->out,
			"Node %" PRIu64 ", zone %8s %10" PRIu64 " %10" PRIu64 " %8" PRIu64
			" %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " ",
			ctl_number(zone, "node"), ctl_text(zone, "zone"), ctl_number(zone, "free"),
			ctl_number(zone, "fresh"), ctl_number(zone, "min"),
			ctl_number(zone, "spanned"), ctl_number(zone, "present"),
			ctl_number(zone, "managed"), ctl_number(zone, "start-frame"));
		for (order = 0; order < json_array_size(pcp); order++)
			fprintf(ctl->out, " %" PRIu64,
				(uint64_t)json_integer_value(json_array_get(pcp, order)));
		fputc('\n', ctl->out);
	}
	return CLI_DONE;
}

/* ---- moments ---- */

enum cli_status ctl_print_diff(struct ctl *ctl, const json_t *value)
{
	const json_t *changes = json_object_get(value, "changes");
	uint64_t count = ctl_number(value, "count");
	size_t i;

	for (i = 0; i < json_array_size(changes); i++) {
		const json_t *change = json_array_get(changes, i);

		fprintf(ctl->out, "%-14s", ctl_text(change, "change"));
		if (json_object_get(change, "name"))
			fprintf(ctl->out, " %s: %" PRIu64 " -> %" PRIu64, ctl_text(change, "name"),
				ctl_number(change, "before"), ctl_number(change, "after"));
		else
			fprintf(ctl->out, " 0x%016" PRIx64 "-0x%016" PRIx64 " %s%s%s",
				ctl_number(change, "start"), ctl_number(change, "end"),
				ctl_text(change, "before"),
				*ctl_text(change, "before") && *ctl_text(change, "after") ? " -> "
											  : "",
				ctl_text(change, "after"));
		fputc('\n', ctl->out);
	}
	if (count == 0 && !ctl->json)
		cli_error(ctl->cli, "nothing changed");
	if (count > json_array_size(changes))
		fprintf(ctl->out, "... %" PRIu64 " more: --limit\n",
			count - json_array_size(changes));
	return CLI_DONE;
}

/* ---- the second stage ---- */

enum cli_status ctl_print_leaves(struct ctl *ctl, const json_t *value)
{
	const json_t *leaves = json_object_get(value, "leaves");
	const json_t *counts = json_object_get(value, "counts");
	bool live = json_object_get(json_array_get(leaves, 0), "rights") != NULL;
	char text[32];
	size_t i;

	if (json_array_size(leaves))
		fprintf(ctl->out, "%-29s %-4s %10s%s\n", "# range", "leaf", "leaves",
			live ? " rights host-physical" : "");
	for (i = 0; i < json_array_size(leaves); i++) {
		const json_t *leaf = json_array_get(leaves, i);

		fprintf(ctl->out, "0x%012" PRIx64 "-0x%012" PRIx64 " %-4s %10" PRIu64,
			ctl_number(leaf, "start"), ctl_number(leaf, "end"),
			ctl_size_word(ctl_number(leaf, "leaf-bytes"), text),
			ctl_number(leaf, "leaves"));
		if (live)
			fprintf(ctl->out, " %-6s %s", ctl_text(leaf, "rights"),
				ctl_text(leaf, "host-physical"));
		fputc('\n', ctl->out);
	}
	if (counts)
		fprintf(ctl->out,
			"%" PRIu64 " + %" PRIu64 " + %" PRIu64
			" leaves of 4 KiB, 2 MiB, 1 GiB in %" PRIu64 " tables\n",
			ctl_number(counts, "leaves-4k"), ctl_number(counts, "leaves-2m"),
			ctl_number(counts, "leaves-1g"), ctl_number(counts, "tables"));
	return ctl_print_end(ctl, value);
}

/* ---- dirty pages ---- */

static double real(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

enum cli_status ctl_print_dirty(struct ctl *ctl, const json_t *value)
{
	const json_t *rate = json_object_get(value, "rate");

	ctl_print_lists(ctl, value);
	fprintf(ctl->out,
		"epoch %" PRIu64 ", %.3f s: %" PRIu64 " page%s; working set %" PRIu64 " page%s\n",
		ctl_number(value, "epoch"), real(value, "seconds"), ctl_number(value, "pages"),
		ctl_plural(ctl_number(value, "pages")), ctl_number(value, "working-set"),
		ctl_plural(ctl_number(value, "working-set")));
	fprintf(ctl->out,
		"%.0f pages a second; mean %.0f, deviation %.0f over %" PRIu64 " epoch%s\n",
		real(rate, "last"), real(rate, "mean"), real(rate, "deviation"),
		ctl_number(rate, "epochs"), ctl_plural(ctl_number(rate, "epochs")));
	return CLI_DONE;
}
