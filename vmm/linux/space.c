/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading the lists. Locks come first: a list whose lock was held when its reading began may be in
 * any state. A list is followed while each element's prev is the one before, so one that loops
 * ends where it joins itself; a tree is walked elsewhere (tree.c).
 */
#include "vmm/linux/space.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/grow.h"
#include "vmm/linux/private.h"

/* No list of a sane kernel has more areas. */
#define AREAS_MAX (1u << 22)
#define NODES_MAX 128u /* as the kernel has it */

const char *linux_list_name(enum linux_list_kind kind)
{
	static const char *const names[LINUX_NR_LISTS] = {"busy", "lazy", "purge", "pool", "free"};

	return (unsigned int)kind < LINUX_NR_LISTS ? names[kind] : "?";
}

struct reading {
	struct linux_guest *guest;
	struct linux_space *space;
};

/* ---- locks ---- */

static void name_lock(struct linux_space *space, const char *name)
{
	size_t used = strlen(space->locks);

	if (!strstr(space->locks, name))
		snprintf(space->locks + used, sizeof(space->locks) - used, "%s%s", used ? ", " : "",
			 name);
}

/* Spinlocks: the first word is not 0 while held or waited for. */
static bool spin_locked(struct reading *reading, uint64_t lock, const char *name)
{
	uint32_t value;
	bool held = inspect_u32(reading->guest->inspector, lock, &value) && value != 0;

	if (held)
		name_lock(reading->space, name);
	return held;
}

static bool symbol_locked(struct reading *reading, const char *name)
{
	uint64_t lock;

	return linux_symbol(reading->guest, name, &lock) && spin_locked(reading, lock, name);
}

/* Mutexes: the first word is the owner. */
static bool mutex_locked(struct reading *reading, const char *name)
{
	uint64_t lock, owner;
	bool held = linux_symbol(reading->guest, name, &lock) &&
		    inspect_u64(reading->guest->inspector, lock, &owner) && owner != 0;

	if (held)
		name_lock(reading->space, name);
	return held;
}

/* ---- one list ---- */

static struct linux_area *new_area(struct linux_space *space)
{
	return GROW(space->area, space->count) ? NULL : &space->area[space->count];
}

static void read_vm(struct linux_guest *guest, struct linux_area *area)
{
	const struct linux_types *t = &guest->types;
	uint8_t bytes[LINUX_STRUCT_MAX];

	if (area->link == 0 || area->link % 8 != 0 ||
	    !inspect_read(guest->inspector, area->link, bytes, t->vm_struct_bytes))
		return;
	area->has_vm = true;
	area->vm = (struct linux_vm){
		.address = linux_u64(bytes, t->vm_struct_addr),
		.size = linux_u64(bytes, t->vm_struct_size),
		.flags = linux_u64(bytes, t->vm_struct_flags) & UINT32_MAX,
		.pages = linux_u64(bytes, t->vm_struct_pages),
		.phys_addr = linux_u64(bytes, t->vm_struct_phys_addr),
		.caller = linux_u64(bytes, t->vm_struct_caller),
		.nr_pages = linux_u32(bytes, t->vm_struct_nr_pages),
		.page_order = t->vm_struct_page_order != NO_FIELD
				      ? linux_u32(bytes, t->vm_struct_page_order)
				      : 0,
	};
}

/* The area whose list_head is at @entry; false where it cannot be read. */
static bool read_area(struct linux_guest *guest, uint64_t entry, struct linux_area *area)
{
	const struct linux_types *t = &guest->types;
	uint64_t at = entry - t->vmap_area_list;
	uint8_t bytes[LINUX_STRUCT_MAX];

	if (at % 8 != 0 || !inspect_read(guest->inspector, at, bytes, t->vmap_area_bytes))
		return false;
	*area = (struct linux_area){
		.start = linux_u64(bytes, t->vmap_area_va_start),
		.end = linux_u64(bytes, t->vmap_area_va_end),
		.at = at,
		.link = linux_u64(bytes, t->vmap_area_vm),
		.flags = t->vmap_area_flags != NO_FIELD ? linux_u64(bytes, t->vmap_area_flags) : 0,
	};
	return true;
}

static int break_list(struct linux_list *list, const char *why, uint64_t where)
{
	list->broken = why;
	list->broken_at = where;
	return 0;
}

static int follow(struct reading *reading, struct linux_list *list, uint32_t index)
{
	struct inspector *inspector = reading->guest->inspector;
	struct linux_space *space = reading->space;
	uint64_t entry, previous = list->head, back;

	if (!inspect_u64(inspector, list->head, &entry))
		return break_list(list, "its head cannot be read", list->head);
	while (entry != list->head) {
		struct linux_area *area = new_area(space);

		if (!area)
			return -ENOMEM;
		if (!inspect_u64(inspector, entry + 8, &back))
			return break_list(list, "next leads nowhere", entry);
		if (back != previous)
			return break_list(list, "prev is not the one before", entry);
		if (!read_area(reading->guest, entry, area))
			return break_list(list, "an area cannot be read", entry);
		if (space->count >= AREAS_MAX)
			return break_list(list, "it has no end", entry);
		area->list = index;
		if (list->kind == LINUX_BUSY)
			read_vm(reading->guest, area);
		space->count++;
		list->count++;
		previous = entry;
		if (!inspect_u64(inspector, entry, &entry))
			return break_list(list, "next leads nowhere", previous);
	}
	/* The last one's next is the head: is it the head's prev? */
	if (!inspect_u64(inspector, list->head + 8, &back) || back != previous)
		return break_list(list, "the head's prev is not the last", list->head);
	return 0;
}

static int read_list(struct reading *reading, struct linux_list list)
{
	struct linux_space *space = reading->space;

	if (GROW(space->list, space->nr_lists))
		return -ENOMEM;
	list.first = space->count;
	space->list[space->nr_lists++] = list;
	return follow(reading, &space->list[space->nr_lists - 1], (uint32_t)space->nr_lists - 1);
}

static uint64_t pointer_at(struct reading *reading, uint64_t address)
{
	uint64_t value = 0;

	inspect_u64(reading->guest->inspector, address, &value);
	return value;
}

/* ---- kernels with one list for all ---- */

static int read_flat(struct reading *reading, struct error *error)
{
	uint64_t busy, busy_root, lazy, lazy_root;
	const struct linux_wanted wanted[] = {
		{"vmap_area_list", &busy},
		{"vmap_area_root", &busy_root},
		{"purge_vmap_area_list", &lazy},
		{"purge_vmap_area_root", &lazy_root},
	};
	int err = linux_need_symbols(reading->guest, wanted, 4, error);

	if (err)
		return err;
	err = read_list(reading,
			(struct linux_list){.kind = LINUX_BUSY,
					    .head = busy,
					    .has_tree = true,
					    .locked = symbol_locked(reading, "vmap_area_lock"),
					    .root = pointer_at(reading, busy_root)});
	if (err)
		return err;
	return read_list(reading, (struct linux_list){
					  .kind = LINUX_LAZY,
					  .head = lazy,
					  .has_tree = true,
					  .locked = symbol_locked(reading, "purge_vmap_area_lock"),
					  .root = pointer_at(reading, lazy_root)});
}

/* ---- kernels with nodes ---- */

static bool node_types(const struct linux_types *t)
{
	return t->vmap_node_busy != NO_FIELD && t->vmap_node_lazy != NO_FIELD &&
	       t->vmap_node_purge_list != NO_FIELD && t->vmap_node_pool != NO_FIELD &&
	       t->vmap_node_pool_lock != NO_FIELD && t->vmap_pool_head != NO_FIELD &&
	       t->vmap_pool_len != NO_FIELD && t->rb_list_root != NO_FIELD &&
	       t->rb_list_head != NO_FIELD && t->rb_list_lock != NO_FIELD && t->nr_pools != 0;
}

static int read_rb_list(struct reading *reading, enum linux_list_kind kind, uint32_t node,
			uint64_t at)
{
	const struct linux_types *t = &reading->guest->types;

	return read_list(reading, (struct linux_list){
					  .kind = kind,
					  .node = node,
					  .head = at + t->rb_list_head,
					  .has_tree = true,
					  .locked = spin_locked(reading, at + t->rb_list_lock,
								kind == LINUX_BUSY ? "busy.lock"
										   : "lazy.lock"),
					  .root = pointer_at(reading, at + t->rb_list_root)});
}

/* The first purge sets it up; before, it is whatever kmalloc() gave. */
static int read_purge(struct reading *reading, uint32_t node, uint64_t head)
{
	uint64_t next = pointer_at(reading, head), previous = pointer_at(reading, head + 8);

	if (next == head || next % 8 != 0 || previous % 8 != 0 ||
	    pointer_at(reading, next + 8) != head || pointer_at(reading, previous) != head)
		return 0;
	return read_list(reading, (struct linux_list){.kind = LINUX_PURGE,
						      .node = node,
						      .head = head,
						      .locked = reading->space->purge_locked});
}

static int read_pools(struct reading *reading, uint32_t node, uint64_t at)
{
	const struct linux_types *t = &reading->guest->types;
	bool locked = spin_locked(reading, at + t->vmap_node_pool_lock, "pool_lock");
	int err = 0;

	for (uint32_t i = 0; i < t->nr_pools && !err; i++) {
		uint64_t pool = at + t->vmap_node_pool + (uint64_t)i * t->vmap_pool_bytes;
		uint64_t head = pool + t->vmap_pool_head;
		uint64_t length = pointer_at(reading, pool + t->vmap_pool_len);

		if (length == 0 && pointer_at(reading, head) == head)
			continue;
		err = read_list(reading, (struct linux_list){.kind = LINUX_POOL,
							     .node = node,
							     .pool = i,
							     .head = head,
							     .length = length,
							     .locked = locked});
	}
	return err;
}

static int read_nodes(struct reading *reading, struct error *error)
{
	const struct linux_types *t = &reading->guest->types;
	uint32_t count = reading->guest->facts.nodes;
	uint64_t nodes, at;
	int err = 0;

	if (!node_types(t))
		return error_set(error, -EOPNOTSUPP,
				 "this kernel's BTF does not describe struct vmap_node as known");
	if (count > NODES_MAX)
		return error_set(error, -EOPNOTSUPP, "nr_vmap_nodes is %u: more than %u", count,
				 NODES_MAX);
	linux_symbol(reading->guest, "vmap_nodes", &nodes);
	nodes = pointer_at(reading, nodes);
	/* As vmallocinfo goes: all busy ones, then all lazy ones. */
	for (uint32_t i = 0; i < count && !err; i++)
		err = read_rb_list(reading, LINUX_BUSY, i,
				   nodes + (uint64_t)i * t->vmap_node_bytes + t->vmap_node_busy);
	for (uint32_t i = 0; i < count && !err; i++)
		err = read_rb_list(reading, LINUX_LAZY, i,
				   nodes + (uint64_t)i * t->vmap_node_bytes + t->vmap_node_lazy);
	for (uint32_t i = 0; i < count && !err; i++) {
		at = nodes + (uint64_t)i * t->vmap_node_bytes;
		err = read_purge(reading, i, at + t->vmap_node_purge_list);
		if (!err)
			err = read_pools(reading, i, at);
	}
	return err;
}

/* ---- all of it ---- */

static bool area_types(const struct linux_types *t)
{
	return t->vmap_area_va_start != NO_FIELD && t->vmap_area_va_end != NO_FIELD &&
	       t->vmap_area_rb_node != NO_FIELD && t->vmap_area_list != NO_FIELD &&
	       t->vmap_area_vm != NO_FIELD && t->vm_struct_addr != NO_FIELD &&
	       t->vm_struct_size != NO_FIELD && t->vm_struct_flags != NO_FIELD &&
	       t->vm_struct_pages != NO_FIELD && t->vm_struct_nr_pages != NO_FIELD &&
	       t->vm_struct_phys_addr != NO_FIELD && t->vm_struct_caller != NO_FIELD &&
	       t->page_bytes != 0 && t->page_flags != NO_FIELD;
}

static int read_all(struct reading *reading, struct error *error)
{
	struct linux_guest *guest = reading->guest;
	uint64_t free_list, free_root, lazy;
	const struct linux_wanted wanted[] = {
		{"free_vmap_area_list", &free_list},
		{"free_vmap_area_root", &free_root},
		{"vmap_lazy_nr", &lazy},
	};
	int err = linux_need_symbols(guest, wanted, 3, error);

	if (err)
		return err;
	reading->space->purge_locked = mutex_locked(reading, "vmap_purge_lock");
	mutex_locked(reading, "pcpu_alloc_mutex");
	symbol_locked(reading, "cpa_lock");
	err = guest->facts.nodes ? read_nodes(reading, error) : read_flat(reading, error);
	if (err)
		return err;
	reading->space->lazy_pages = pointer_at(reading, lazy);
	return read_list(reading, (struct linux_list){
					  .kind = LINUX_FREE,
					  .head = free_list,
					  .has_tree = true,
					  .locked = symbol_locked(reading, "free_vmap_area_lock"),
					  .root = pointer_at(reading, free_root)});
}

int linux_space_read(struct linux_guest *guest, struct linux_space *space_out, struct error *error)
{
	struct linux_space space = {.area = NULL};
	struct reading reading = {guest, &space};
	int err = linux_need(guest, error);

	if (!err && (!area_types(&guest->types) || !guest->facts.vmalloc_start ||
		     !guest->facts.memmap_base || !guest->facts.direct_base))
		err = error_set(error, -EOPNOTSUPP, "this kernel's vmalloc cannot be read: %s",
				guest->facts.missing[0] ? guest->facts.missing
							: "its BTF lacks members that are known");
	if (!err)
		err = read_all(&reading, error);
	if (err) {
		linux_space_free(&space);
		return err == -ENOMEM ? error_set(error, err, "no memory for the areas") : err;
	}
	*space_out = space;
	return 0;
}

void linux_space_free(struct linux_space *space)
{
	free(space->area);
	free(space->list);
	*space = (struct linux_space){.area = NULL};
}

bool linux_vm_page(struct linux_guest *guest, const struct linux_vm *vm, uint32_t index,
		   uint64_t *page_address_out)
{
	return inspect_u64(guest->inspector, vm->pages + 8ull * index, page_address_out);
}

bool linux_page_pfn(const struct linux_guest *guest, uint64_t address, uint64_t *pfn_out)
{
	uint64_t offset = address - guest->facts.memmap_base;
	uint64_t pfn = offset / guest->types.page_bytes;

	if (address < guest->facts.memmap_base || offset % guest->types.page_bytes != 0 ||
	    pfn >= NB_RAM_LIMIT / PAGE)
		return false;
	*pfn_out = pfn;
	return true;
}
