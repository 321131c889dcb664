/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the guest's RAM is: the default layout, and its regions in a guest-physical space. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "vmm/image/boot.h"

#define LOW_BYTES_MAX (3ull << 30)
#define HIGH_START    (4ull << 30)

/* Splits [start, start + bytes) evenly between the nodes. */
static void add_part(struct memory_layout *layout, uint64_t start, uint64_t bytes,
		     unsigned int nr_nodes)
{
	uint64_t each = bytes / nr_nodes;

	for (unsigned int node = 0; node < nr_nodes; node++)
		layout->ram[layout->nr_ram++] = (struct nb_range){
			.start = start + node * each,
			.end = start + (node + 1) * each,
			.node = node,
		};
}

int memory_layout_default(uint64_t size_bytes, unsigned int nr_nodes,
			  struct memory_layout *layout_out, struct error *error)
{
	struct memory_layout layout = {0};
	uint64_t unit, low;

	_Static_assert(2 * NB_MAX_NODES <= NB_MAX_RANGES, "two parts of every node fit");
	if (nr_nodes < 1 || nr_nodes > NB_MAX_NODES)
		return error_set(error, -EINVAL, "%u memory nodes: possible are 1 to %u", nr_nodes,
				 NB_MAX_NODES);
	unit = NB_RAM_ALIGN * nr_nodes;
	if (size_bytes < MEMORY_BYTES_MIN || size_bytes < 2 * unit || size_bytes > MEMORY_BYTES_MAX)
		return error_set(
			error, -EINVAL,
			"%" PRIu64
			" bytes of memory: possible are %llu MiB to %llu MiB with %u node%s",
			size_bytes,
			(2 * unit > MEMORY_BYTES_MIN ? 2 * unit : MEMORY_BYTES_MIN) >> 20,
			MEMORY_BYTES_MAX >> 20, nr_nodes, nr_nodes == 1 ? "" : "s");
	if (size_bytes % unit)
		return error_set(error, -EINVAL,
				 "%" PRIu64 " bytes of memory: with %u node%s it must be a "
				 "multiple of %" PRIu64 " MiB",
				 size_bytes, nr_nodes, nr_nodes == 1 ? "" : "s", unit >> 20);
	low = size_bytes / 2 < LOW_BYTES_MAX ? size_bytes / 2 : LOW_BYTES_MAX;
	low -= low % unit;
	add_part(&layout, 0, low, nr_nodes);
	add_part(&layout, HIGH_START, size_bytes - low, nr_nodes);
	*layout_out = layout;
	return 0;
}

int memory_layout_nodes(const uint64_t *node_bytes, unsigned int nr_nodes,
			struct memory_layout *layout_out, struct error *error)
{
	struct memory_layout layout = {0};
	uint64_t sum = 0, at = 0, low;

	_Static_assert(NB_MAX_NODES + 1 <= NB_MAX_RANGES,
		       "one node lies on both sides of the hole");
	if (nr_nodes < 1 || nr_nodes > NB_MAX_NODES)
		return error_set(error, -EINVAL, "%u memory nodes: possible are 1 to %u", nr_nodes,
				 NB_MAX_NODES);
	for (unsigned int node = 0; node < nr_nodes; node++) {
		if (!node_bytes[node] || node_bytes[node] % NB_RAM_ALIGN ||
		    node_bytes[node] > MEMORY_BYTES_MAX)
			return error_set(error, -EINVAL,
					 "node %u of %" PRIu64 " bytes: possible are multiples of "
					 "%llu MiB up to %llu MiB",
					 node, node_bytes[node], NB_RAM_ALIGN >> 20,
					 MEMORY_BYTES_MAX >> 20);
		sum += node_bytes[node];
	}
	if (sum < MEMORY_BYTES_MIN || sum > MEMORY_BYTES_MAX)
		return error_set(error, -EINVAL,
				 "%" PRIu64 " bytes of memory: possible are %llu MiB to %llu MiB",
				 sum, MEMORY_BYTES_MIN >> 20, MEMORY_BYTES_MAX >> 20);
	low = sum / 2 < LOW_BYTES_MAX ? sum / 2 : LOW_BYTES_MAX;
	low -= low % NB_RAM_ALIGN;
	for (unsigned int node = 0; node < nr_nodes; node++) {
		for (uint64_t left = node_bytes[node], bytes; left; left -= bytes) {
			if (at == low)
				at = HIGH_START;
			bytes = at < low && left > low - at ? low - at : left;
			layout.ram[layout.nr_ram++] =
				(struct nb_range){.start = at, .end = at + bytes, .node = node};
			at += bytes;
		}
	}
	*layout_out = layout;
	return 0;
}

int memory_layout_add(const struct memory_layout *layout, struct gpa_space *space,
		      struct error *error)
{
	const struct gpa_backing sparse = {.kind = GPA_BACKING_MEMFD};

	return memory_layout_add_backed(layout, &sparse, space, error);
}

int memory_layout_add_backed(const struct memory_layout *layout, const struct gpa_backing *backing,
			     struct gpa_space *space, struct error *error)
{
	for (uint32_t i = 0; i < layout->nr_ram; i++) {
		const struct nb_range *ram = &layout->ram[i];
		const struct gpa_region *region;
		struct gpa_request request = {
			.kind = GPA_RAM,
			.start = gpa_make(ram->start),
			.size_bytes = ram->end - ram->start,
			.node = (int)ram->node,
			.backing = *backing,
		};
		char name[GPA_NAME_BYTES];
		int err;

		snprintf(name, sizeof(name), "ram%u", i);
		request.name = name;
		request.backing.trappable = layout->trappable;
		if (layout->bound[i]) {
			request.backing.numa_bind = true;
			request.backing.host_node = layout->bound[i] - 1;
		}
		err = gpa_space_add(space, &request, &region, error);
		if (err)
			return err;
	}
	return 0;
}

uint64_t memory_layout_bytes(const struct memory_layout *layout)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < layout->nr_ram; i++)
		sum += layout->ram[i].end - layout->ram[i].start;
	return sum;
}
