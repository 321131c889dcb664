/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nodes and zones, from node_data[] or, in a kernel without nodes, contig_page_data. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/grow.h"
#include "lib/printable.h"
#include "vmm/linux/frames.h"
#include "vmm/linux/private.h"

#define NODES_MAX 1024u

struct reading {
	struct linux_guest *guest;
	struct linux_zones zones;
};

static bool zone_types(const struct linux_types *t)
{
	return t->pglist_data_node_zones != NO_FIELD && t->pglist_data_nr_zones != NO_FIELD &&
	       t->pglist_data_node_id != NO_FIELD && t->zone_zone_start_pfn != NO_FIELD &&
	       t->zone_spanned_pages != NO_FIELD && t->zone_present_pages != NO_FIELD &&
	       t->zone_managed_pages != NO_FIELD && t->zone_name != NO_FIELD &&
	       t->zone_lock != NO_FIELD && t->free_area_nr_free != NO_FIELD && t->nr_zones != 0 &&
	       t->nr_orders != 0;
}

static void read_name(struct reading *reading, uint64_t at, struct linux_zone *zone)
{
	uint64_t name;

	memset(zone->name, 0, sizeof(zone->name));
	if (!inspect_u64(reading->guest->inspector, at, &name))
		return;
	for (size_t i = 0; i + 1 < sizeof(zone->name); i++) {
		if (!inspect_read(reading->guest->inspector, name + i, zone->name + i, 1) ||
		    !zone->name[i])
			break;
	}
	printable(zone->name);
}

/* Frames of the blocks that free_area[] counts. A count that no zone has makes it wrong, not ours.
 */
static bool read_free(struct reading *reading, uint64_t at, uint64_t *frames_out)
{
	const struct linux_types *t = &reading->guest->types;

	*frames_out = 0;
	for (unsigned int order = 0; order < t->nr_orders; order++) {
		uint64_t blocks;

		if (!inspect_u64(reading->guest->inspector,
				 at + t->zone_free_area + (uint64_t)order * t->free_area_bytes +
					 t->free_area_nr_free,
				 &blocks))
			return false;
		*frames_out += blocks << order;
	}
	return true;
}

/* Zones without frames are not kept. */
static int read_zone(struct reading *reading, uint32_t node, uint64_t at, struct error *error)
{
	struct inspector *inspector = reading->guest->inspector;
	const struct linux_types *t = &reading->guest->types;
	struct linux_zone zone = {.node = node};
	uint32_t lock = 0;

	if (!inspect_u32(inspector, at + t->zone_lock, &lock) ||
	    !inspect_u64(inspector, at + t->zone_zone_start_pfn, &zone.start_pfn) ||
	    !inspect_u64(inspector, at + t->zone_spanned_pages, &zone.spanned) ||
	    !inspect_u64(inspector, at + t->zone_present_pages, &zone.present) ||
	    !inspect_u64(inspector, at + t->zone_managed_pages, &zone.managed) ||
	    !read_free(reading, at, &zone.listed_free) || zone.start_pfn > NB_RAM_LIMIT / PAGE ||
	    zone.spanned > NB_RAM_LIMIT / PAGE - zone.start_pfn)
		return error_set(error, -EFAULT, "node %u's zones cannot be read", node);
	if (zone.spanned == 0)
		return 0;
	zone.locked = lock != 0;
	read_name(reading, at + t->zone_name, &zone);
	if (GROW(reading->zones.zone, reading->zones.count))
		return error_set(error, -ENOMEM, "no memory for zones");
	reading->zones.zone[reading->zones.count++] = zone;
	return 0;
}

static int read_node(struct reading *reading, uint64_t at, struct error *error)
{
	const struct linux_types *t = &reading->guest->types;
	uint32_t count, id;
	int err = 0;

	if (!inspect_u32(reading->guest->inspector, at + t->pglist_data_nr_zones, &count) ||
	    !inspect_u32(reading->guest->inspector, at + t->pglist_data_node_id, &id) ||
	    count > t->nr_zones || id >= NODES_MAX)
		return error_set(error, -EFAULT, "a node's pglist_data cannot be read");
	for (uint32_t i = 0; i < count && !err; i++)
		err = read_zone(reading, id,
				at + t->pglist_data_node_zones + (uint64_t)i * t->zone_bytes,
				error);
	return err;
}

static int read_nodes(struct reading *reading, struct error *error)
{
	uint64_t data, at;
	int64_t length = 0;
	int err = 0;

	if (linux_symbol(reading->guest, "contig_page_data", &data))
		return read_node(reading, data, error);
	if (!linux_symbol(reading->guest, "node_data", &data) ||
	    !linux_info_number(reading->guest->vmcoreinfo, "LENGTH(node_data)", &length) ||
	    length <= 0 || length > NODES_MAX)
		return error_set(error, -EOPNOTSUPP,
				 "this kernel's nodes cannot be found: it has "
				 "no contig_page_data and no node_data");
	for (int64_t i = 0; i < length && !err; i++) {
		if (inspect_u64(reading->guest->inspector, data + 8 * (uint64_t)i, &at) && at)
			err = read_node(reading, at, error);
	}
	return err;
}

int linux_zones_read(struct linux_guest *guest, struct linux_zones *zones_out, struct error *error)
{
	struct reading reading = {.guest = guest};
	int err = linux_need(guest, error);

	if (!err && !zone_types(&guest->types))
		err = error_set(error, -EOPNOTSUPP,
				"this kernel's zones cannot be read: BTF lacks members of struct "
				"zone");
	if (!err)
		err = read_nodes(&reading, error);
	if (!err && reading.zones.count == 0)
		err = error_set(error, -EFAULT,
				"no node has a zone with frames: is that memory in this image?");
	if (err) {
		linux_zones_free(&reading.zones);
		return err;
	}
	*zones_out = reading.zones;
	return 0;
}

void linux_zones_free(struct linux_zones *zones)
{
	free(zones->zone);
	*zones = (struct linux_zones){.zone = NULL};
}
