/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changes of the guest-physical address space and its listeners.
 *
 * A change is made in the order check, map, tell the listeners, commit: everything that can fail
 * comes before the array changes, and is undone in reverse.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/grow.h"
#include "ept/gpa_space_private.h"

int gpa_space_create(unsigned int physical_bits, struct gpa_space **space_out, struct error *error)
{
	struct gpa_space *space;

	if (physical_bits < 32 || physical_bits > EPT_PHYSICAL_BITS_MAX)
		return error_set(error, -EINVAL, "%u physical address bits: x86-64 has 32 to %d",
				 physical_bits, EPT_PHYSICAL_BITS_MAX);
	space = calloc(1, sizeof(*space));
	if (!space)
		return error_set(error, -ENOMEM, "no memory for an address space");
	space->physical_bits = physical_bits;
	*space_out = space;
	return 0;
}

void gpa_space_destroy(struct gpa_space *space)
{
	size_t i;

	if (!space)
		return;
	for (i = 0; i < space->count; i++) {
		if (gpa_kind_has_memory(space->regions[i]->public.kind))
			backing_unmap(&space->regions[i]->backing);
		free(space->regions[i]);
	}
	free(space->regions);
	free(space->listeners);
	free(space);
}

static int tell_one(const struct listener *listener, const struct gpa_region *region, bool comes,
		    struct error *error)
{
	return (comes ? listener->ops->add : listener->ops->remove)(listener->context, region,
								    error);
}

/* Tells one listener after the other; where one refuses, takes it back from those before. */
static int tell(const struct gpa_space *space, const struct gpa_region *region, bool comes,
		struct error *error)
{
	struct error undo_error;
	size_t i, told;
	int err = 0;

	for (told = 0; told < space->listener_count && !err; told++)
		err = tell_one(&space->listeners[told], region, comes, error);
	if (!err)
		return 0;
	for (i = told - 1; i > 0; i--)
		if (tell_one(&space->listeners[i - 1], region, !comes, &undo_error) != 0)
			err = error_set(error, -ENOTRECOVERABLE,
					"a change was refused and could not be undone: %.180s",
					undo_error.text);
	return err;
}

/* ---- listeners ---- */

/* Tells @listener that the first @count regions go, the last one first. */
static int tell_removal(const struct gpa_space *space, const struct listener *listener,
			size_t count, struct error *error)
{
	int err = 0, first_err = 0;

	while (count-- > 0) {
		err = tell_one(listener, &space->regions[count]->public, false,
			       first_err ? NULL : error);
		if (err && !first_err)
			first_err = err;
	}
	return first_err;
}

int gpa_space_listen(struct gpa_space *space, const struct gpa_listener_ops *ops, void *context,
		     struct error *error)
{
	struct listener listener = {ops, context};
	size_t i;
	int err;

	if (GROW(space->listeners, space->listener_count))
		return error_set(error, -ENOMEM, "no memory for a listener");
	for (i = 0; i < space->count; i++) {
		err = tell_one(&listener, &space->regions[i]->public, true, error);
		if (err) {
			tell_removal(space, &listener, i, NULL);
			return err;
		}
	}
	space->listeners[space->listener_count++] = listener;
	return 0;
}

int gpa_space_unlisten(struct gpa_space *space, void *context, struct error *error)
{
	struct listener listener;
	size_t i;

	for (i = 0; i < space->listener_count; i++)
		if (space->listeners[i].context == context)
			break;
	if (i == space->listener_count)
		return error_set(error, -ENOENT, "no such listener");
	listener = space->listeners[i];
	memmove(&space->listeners[i], &space->listeners[i + 1],
		(space->listener_count - i - 1) * sizeof(listener));
	space->listener_count--;
	return tell_removal(space, &listener, space->count, error);
}

/* ---- checks ---- */

static int check_name(const struct gpa_space *space, const char *name, struct error *error)
{
	size_t i, length = name ? strnlen(name, GPA_NAME_BYTES) : 0;

	if (length == 0 || length >= GPA_NAME_BYTES)
		return error_set(error, -EINVAL, "a region's name has 1 to %d bytes",
				 GPA_NAME_BYTES - 1);
	for (i = 0; i < length; i++)
		if (!isgraph((unsigned char)name[i]))
			return error_set(error, -EINVAL,
					 "a region's name has printable characters only");
	if (gpa_space_find_name(space, name))
		return error_set(error, -EEXIST, "there is a region %s already", name);
	return 0;
}

/* Checks where a region is to lie. */
static int check_place(const struct gpa_space *space, const struct gpa_request *request,
		       struct error *error)
{
	uint64_t limit = 1ULL << space->physical_bits;
	uint64_t start = request->start.value, size = request->size_bytes;
	const struct gpa_region *other;
	const char *name = request->name;
	size_t at;

	if ((start | size) % EPT_PAGE_BYTES != 0 || size == 0)
		return error_set(error, -EINVAL,
				 "region %s: start %#llx and size %#llx must be multiples of "
				 "4096, the size not 0",
				 name, (unsigned long long)start, (unsigned long long)size);
	if (start >= limit || size > limit - start)
		return error_set(error, -ERANGE,
				 "region %s: start %#llx and size %#llx pass the guest's %u "
				 "physical address bits",
				 name, (unsigned long long)start, (unsigned long long)size,
				 space->physical_bits);
	at = gpa_space_first_after(space, start);
	other = at < space->count ? &space->regions[at]->public : NULL;
	if (other && other->start.value < start + size)
		return error_set(error, -EEXIST,
				 "region %s: [%#llx, %#llx) overlaps region %s at [%#llx, %#llx)",
				 name, (unsigned long long)start,
				 (unsigned long long)(start + size), other->name,
				 (unsigned long long)other->start.value,
				 (unsigned long long)other->end.value);
	return 0;
}

static int check_request(const struct gpa_space *space, const struct gpa_request *request,
			 struct error *error)
{
	int err = check_name(space, request->name, error);

	if (err)
		return err;
	if ((unsigned int)request->kind > GPA_HOLE)
		return error_set(error, -EINVAL, "region %s: no kind has the number %d",
				 request->name, (int)request->kind);
	if (request->node < 0)
		return error_set(error, -EINVAL, "region %s: node %d", request->name,
				 request->node);
	err = check_place(space, request, error);
	if (err)
		return err;
	return gpa_kind_has_memory(request->kind) ? backing_check_request(request, error) : 0;
}

/* ---- changes ---- */

static int reserve_place(struct gpa_space *space, struct error *error)
{
	return GROW(space->regions, space->count)
		       ? error_set(error, -ENOMEM, "no memory for a further region")
		       : 0;
}

static void insert(struct gpa_space *space, struct region *region)
{
	size_t at = gpa_space_first_after(space, region->public.start.value);

	memmove(&space->regions[at + 1], &space->regions[at],
		(space->count - at) * sizeof(struct region *));
	space->regions[at] = region;
	space->count++;
}

static void take_out(struct gpa_space *space, const struct gpa_region *region)
{
	size_t at = gpa_space_first_after(space, region->start.value);

	space->count--;
	memmove(&space->regions[at], &space->regions[at + 1],
		(space->count - at) * sizeof(struct region *));
}

/* The space's own, writable side of a region that callers see as const. */
static struct region *own(const struct gpa_space *space, const struct gpa_region *region)
{
	return space->regions[gpa_space_first_after(space, region->start.value)];
}

static void describe(const struct gpa_space *space, const struct gpa_request *request,
		     struct region *region)
{
	struct gpa_region *public = &region->public;

	strncpy(public->name, request->name, GPA_NAME_BYTES - 1);
	public->kind = request->kind;
	public->start = request->start;
	public->end = gpa_add(request->start, request->size_bytes);
	public->node = request->node;
	public->id = space->next_id;
	public->owner = request->owner;
	public->fd = -1;
	if (!gpa_kind_has_memory(request->kind))
		return;
	public->host = region->backing.host;
	public->slot_host = region->backing.slot_host;
	public->fd = region->backing.fd;
	public->fd_offset = region->backing.fd_offset;
	public->backing = request->backing;
	public->backing.fd = region->backing.fd;
}

int gpa_space_add(struct gpa_space *space, const struct gpa_request *request,
		  const struct gpa_region **region_out, struct error *error)
{
	struct region *region;
	int err = check_request(space, request, error);

	if (err)
		return err;
	err = reserve_place(space, error);
	if (err)
		return err;
	region = calloc(1, sizeof(*region));
	if (!region)
		return error_set(error, -ENOMEM, "no memory for a further region");
	if (gpa_kind_has_memory(request->kind)) {
		err = backing_map(request, &region->backing, error);
		if (err)
			goto err_free;
	}
	describe(space, request, region);
	err = tell(space, &region->public, true, error);
	if (err)
		goto err_unmap;
	insert(space, region);
	space->next_id++;
	if (region_out)
		*region_out = &region->public;
	return 0;

err_unmap:
	if (gpa_kind_has_memory(request->kind))
		backing_unmap(&region->backing);
err_free:
	free(region);
	return err;
}

int gpa_space_remove(struct gpa_space *space, const struct gpa_region *region, struct error *error)
{
	struct region *mine = own(space, region);
	int err = tell(space, region, false, error);

	if (err)
		return err;
	take_out(space, region);
	if (gpa_kind_has_memory(mine->public.kind))
		backing_unmap(&mine->backing);
	free(mine);
	return 0;
}
