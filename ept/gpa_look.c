/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looking at the guest-physical address space: translation, reading and writing guest bytes, and
 * the check of its invariants.
 */
#include <errno.h>
#include <string.h>

#include "lib/search.h"
#include "ept/gpa_space_private.h"

const char *gpa_kind_name(enum gpa_kind kind)
{
	static const char *const names[] = {"ram", "rom", "device", "hole"};

	return (unsigned int)kind <= GPA_HOLE ? names[kind] : "unknown";
}

size_t gpa_space_first_after(const struct gpa_space *space, uint64_t gpa)
{
	return FIRST_WHERE(i, space->count, space->regions[i]->public.end.value > gpa);
}

unsigned int gpa_space_physical_bits(const struct gpa_space *space)
{
	return space->physical_bits;
}

size_t gpa_space_count(const struct gpa_space *space)
{
	return space->count;
}

const struct gpa_region *gpa_space_at(const struct gpa_space *space, size_t index)
{
	return &space->regions[index]->public;
}

const struct gpa_region *gpa_space_find(const struct gpa_space *space, gpa_t gpa)
{
	size_t at = gpa_space_first_after(space, gpa.value);

	if (at == space->count || space->regions[at]->public.start.value > gpa.value)
		return NULL;
	return &space->regions[at]->public;
}

const struct gpa_region *gpa_space_find_name(const struct gpa_space *space, const char *name)
{
	size_t i;

	for (i = 0; i < space->count; i++)
		if (strcmp(space->regions[i]->public.name, name) == 0)
			return &space->regions[i]->public;
	return NULL;
}

uint64_t gpa_region_leaf_bytes(const struct gpa_region *region)
{
	uint64_t apart = (uint64_t)(uintptr_t)region->slot_host ^ region->start.value;

	if (!region->host)
		return 0;
	if (apart % EPT_PAGE_1G_BYTES == 0)
		return EPT_PAGE_1G_BYTES;
	return apart % EPT_PAGE_2M_BYTES == 0 ? EPT_PAGE_2M_BYTES : EPT_PAGE_BYTES;
}

/* ---- bytes ---- */

int gpa_space_translate(const struct gpa_space *space, gpa_t gpa, uint64_t size_bytes,
			void **host_out)
{
	const struct gpa_region *region = gpa_space_find(space, gpa);

	if (!region || !region->host || size_bytes == 0 ||
	    size_bytes > region->end.value - gpa.value)
		return -EFAULT;
	*host_out = (char *)region->host + (gpa.value - region->start.value);
	return 0;
}

/* Checks that every byte of the range is memory, and when @writable, RAM. */
static int check_memory(const struct gpa_space *space, gpa_t gpa, uint64_t size_bytes,
			bool writable)
{
	const struct gpa_region *region;
	uint64_t part;

	while (size_bytes > 0) {
		region = gpa_space_find(space, gpa);
		if (!region || !region->host)
			return -EFAULT;
		if (writable && region->kind != GPA_RAM)
			return -EROFS;
		part = region->end.value - gpa.value;
		if (part >= size_bytes)
			return 0;
		gpa = gpa_add(gpa, part);
		size_bytes -= part;
	}
	return 0;
}

/* One step of a copy: where @gpa is, and how many of @size_bytes lie in the same region. */
static uint64_t next_part(const struct gpa_space *space, gpa_t gpa, uint64_t size_bytes,
			  char **host_out)
{
	const struct gpa_region *region = gpa_space_find(space, gpa);
	uint64_t part = region->end.value - gpa.value;

	*host_out = (char *)region->host + (gpa.value - region->start.value);
	return part < size_bytes ? part : size_bytes;
}

int gpa_space_read(const struct gpa_space *space, gpa_t gpa, void *buffer, size_t size_bytes)
{
	int err = check_memory(space, gpa, size_bytes, false);
	char *to = buffer, *host;
	uint64_t part;

	if (err)
		return err;
	for (; size_bytes > 0; size_bytes -= part, to += part, gpa = gpa_add(gpa, part)) {
		part = next_part(space, gpa, size_bytes, &host);
		memcpy(to, host, part);
	}
	return 0;
}

static void tell_wrote(const struct gpa_space *space, gpa_t gpa, uint64_t size_bytes)
{
	size_t i;

	for (i = 0; i < space->listener_count; i++)
		if (space->listeners[i].ops->wrote)
			space->listeners[i].ops->wrote(space->listeners[i].context, gpa,
						       size_bytes);
}

int gpa_space_write(const struct gpa_space *space, gpa_t gpa, const void *buffer, size_t size_bytes)
{
	int err = check_memory(space, gpa, size_bytes, true);
	const char *from = buffer;
	uint64_t part;
	char *host;

	if (err)
		return err;
	for (; size_bytes > 0; size_bytes -= part, from += part, gpa = gpa_add(gpa, part)) {
		part = next_part(space, gpa, size_bytes, &host);
		memcpy(host, from, part);
		tell_wrote(space, gpa, part);
	}
	return 0;
}

void gpa_space_note_write(const struct gpa_space *space, gpa_t gpa, uint64_t size_bytes)
{
	uint64_t part;
	char *host;

	if (check_memory(space, gpa, size_bytes, true) != 0)
		return;
	for (; size_bytes > 0; size_bytes -= part, gpa = gpa_add(gpa, part)) {
		part = next_part(space, gpa, size_bytes, &host);
		tell_wrote(space, gpa, part);
	}
}

/* ---- self-check ---- */

static int check_region(const struct gpa_space *space, size_t at, struct error *error)
{
	const struct region *region = space->regions[at];
	const struct gpa_region *public = &region->public;
	uint64_t size = public->end.value - public->start.value;
	size_t i;

	if (public->start.value >= public->end.value ||
	    (public->start.value | public->end.value) % EPT_PAGE_BYTES != 0)
		return error_set(error, -EUCLEAN, "region %s: bad range", public->name);
	if (public->end.value > 1ULL << space->physical_bits)
		return error_set(error, -EUCLEAN, "region %s: beyond the width", public->name);
	if (at > 0 && space->regions[at - 1]->public.end.value > public->start.value)
		return error_set(error, -EUCLEAN, "region %s: overlaps", public->name);
	if (public->id >= space->next_id)
		return error_set(error, -EUCLEAN, "region %s: bad id", public->name);
	if ((public->host != NULL) != gpa_kind_has_memory(public->kind))
		return error_set(error, -EUCLEAN, "region %s: kind and memory", public->name);
	if (public->host &&
	    (public->host != region->backing.host || size != region->backing.size_bytes))
		return error_set(error, -EUCLEAN, "region %s: mapping", public->name);
	for (i = 0; i < at; i++)
		if (strcmp(space->regions[i]->public.name, public->name) == 0 ||
		    space->regions[i]->public.id == public->id)
			return error_set(error, -EUCLEAN, "region %s: twice", public->name);
	return 0;
}

int gpa_space_check(const struct gpa_space *space, struct error *error)
{
	size_t i;
	int err;

	for (i = 0; i < space->count; i++) {
		err = check_region(space, i, error);
		if (err)
			return err;
	}
	return 0;
}
