/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The address space, and areas as lines. */
#include "vmm/look/tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vmm/look/private.h"

const char *look_tile_state_name(enum inspect_tile_state state)
{
	static const char *const names[] = {
		[INSPECT_FREE] = "free", [INSPECT_BUSY] = "busy", [INSPECT_LAZY] = "lazy"};

	return (unsigned int)state < INSPECT_UNKNOWN ? names[state] : "unknown";
}

/* ---- the tree ---- */

static void add_tile(struct inspector *inspector, const struct inspect_area *area, uint64_t start,
		     uint64_t end, struct look_tree *tree)
{
	uint64_t from = area->start > start ? area->start : start;
	uint64_t to = end != 0 && area->end > end ? end : area->end;
	uint64_t bytes = to > from ? to - from : 0;

	switch (area->state) {
	case INSPECT_FREE:
		tree->free++;
		tree->free_bytes += bytes;
		if (bytes > tree->largest_end - tree->largest_start) {
			tree->largest_start = from;
			tree->largest_end = to;
		}
		break;
	case INSPECT_BUSY:
		tree->busy++;
		tree->busy_bytes += bytes;
		tree->payload_bytes += inspect_area_payload_bytes(inspector, area);
		break;
	case INSPECT_LAZY:
		tree->lazy++;
		tree->lazy_bytes += bytes;
		break;
	case INSPECT_UNKNOWN:
		tree->unknown++;
		break;
	}
}

int look_tree(struct inspector *inspector, uint64_t start, uint64_t end, struct look_tree *tree_out)
{
	struct look_tree tree = {.busy = 0};
	size_t kept = 0;
	int err;

	if (end != 0 && end < start)
		return -EINVAL;
	err = look_areas(inspector, &tree.areas);
	if (err)
		return err;
	for (size_t i = 0; i < tree.areas.count; i++) {
		const struct inspect_area *area = &tree.areas.area[i];

		if (area->end <= start || (end != 0 && area->start >= end))
			continue;
		add_tile(inspector, area, start, end, &tree);
		tree.areas.area[kept++] = *area;
	}
	tree.areas.count = kept;
	*tree_out = tree;
	return 0;
}

void look_tree_free(struct look_tree *tree)
{
	inspect_areas_free(&tree->areas);
	*tree = (struct look_tree){.busy = 0};
}

/* ---- areas ---- */

bool look_read_vm(struct inspector *inspector, uint64_t vm, struct inspect_area *area_out)
{
	*area_out = (struct inspect_area){.link = vm, .state = INSPECT_BUSY};
	inspect_read_vm(inspector, area_out);
	return area_out->has_vm;
}

void look_area_nodes(struct inspector *inspector, const struct inspect_area *area,
		     uint64_t pages_out[NB_MAX_NODES])
{
	uint64_t most = inspect_area_payload_bytes(inspector, area) / INSPECT_PAGE_BYTES;
	uint64_t address, pfn;

	if (most > inspect_ram_pages(inspector))
		most = inspect_ram_pages(inspector);
	memset(pages_out, 0, NB_MAX_NODES * sizeof(*pages_out));
	for (uint64_t i = 0; area->has_vm && i < area->nr_pages && i < most; i++) {
		const struct nb_range *ram;

		if (!inspect_area_page(inspector, area, i, &address))
			return;
		if (!inspect_page_pfn(inspector, address, &pfn))
			continue;
		ram = inspect_ram_range(inspector, pfn);
		if (ram->node < NB_MAX_NODES)
			pages_out[ram->node]++;
	}
}

/* Adds to a line, as far as there is room. */
__attribute__((format(printf, 2, 3))) static void add(char *text, const char *format, ...)
{
	size_t length = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text + length, LOOK_LINE_BYTES - length, format, arguments);
	va_end(arguments);
}

static void add_kinds(const struct layout *l, const struct inspect_area *area, char *text)
{
	const struct {
		uint64_t flag;
		const char *name;
	} kinds[] = {
		{l->vm_ioremap, " ioremap"}, {l->vm_sparse, " sparse"}, {l->vm_alloc, " vmalloc"},
		{l->vm_map, " vmap"},        {l->vm_usermap, " user"},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (area->flags & kinds[i].flag)
			add(text, "%s", kinds[i].name);
	}
	if (area->array == l->vm_array_vmalloc)
		add(text, " vpages");
}

static void add_area(struct inspector *inspector, const struct inspect_area *area,
		     const char *caller, char *text)
{
	uint64_t nodes[NB_MAX_NODES];

	if (caller)
		add(text, " %s", caller);
	else if (area->caller)
		add(text, " %#" PRIx64, area->caller);
	if (area->nr_pages)
		add(text, " pages=%" PRIu64, area->nr_pages);
	if (area->phys_addr)
		add(text, " phys=%#018" PRIx64, area->phys_addr);
	add_kinds(inspect_layout(inspector), area, text);
	look_area_nodes(inspector, area, nodes);
	for (unsigned int node = 0; node < NB_MAX_NODES; node++) {
		if (nodes[node])
			add(text, " N%u=%" PRIu64, node, nodes[node]);
	}
}

const char *look_area_line(struct inspector *inspector, const struct inspect_area *area,
			   const char *caller, char text[LOOK_LINE_BYTES])
{
	snprintf(text, LOOK_LINE_BYTES, "0x%016" PRIx64 "-0x%016" PRIx64 " %7" PRIu64, area->start,
		 area->end, area->end - area->start);
	if (area->state == INSPECT_LAZY)
		add(text, " unpurged vm_area");
	else if (area->state == INSPECT_BUSY && area->has_vm)
		add_area(inspector, area, caller, text);
	else if (area->state == INSPECT_BUSY)
		add(text, " vm_map_ram");
	else
		add(text, " %s", look_tile_state_name(area->state));
	return text;
}
