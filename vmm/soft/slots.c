/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory slots and the attributes of their pages. The rules of KVM_SET_USER_MEMORY_REGION and their
 * errors are KVM's: api.rst 4.35, virt/kvm/kvm_main.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vmm/soft/private.h"

#define SLOT_PAGES_MAX ((1ull << 31) - 1)

static uint64_t pages_of(const struct soft_slot *slot)
{
	return (slot->end - slot->start) / EPT_PAGE_BYTES;
}

/* The first slot that ends above @gpa. */
static size_t first_after(const struct soft_vm *vm, uint64_t gpa)
{
	size_t low = 0, high = vm->nr_slots;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (vm->slots[middle].end > gpa)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

struct soft_slot *soft_slot_find(const struct soft_vm *vm, uint64_t gpa)
{
	size_t at = first_after(vm, gpa);

	return at < vm->nr_slots && vm->slots[at].start <= gpa ? &vm->slots[at] : NULL;
}

struct soft_slot *soft_slot_by_id(const struct soft_vm *vm, uint32_t id)
{
	for (size_t i = 0; i < vm->nr_slots; i++)
		if (vm->slots[i].id == id)
			return &vm->slots[i];
	return NULL;
}

static void slot_free(struct soft_slot *slot)
{
	free(slot->dirty);
	if (slot->attributes)
		munmap(slot->attributes, pages_of(slot));
}

void soft_slots_free(struct soft_vm *vm)
{
	for (size_t i = 0; i < vm->nr_slots; i++)
		slot_free(&vm->slots[i]);
	free(vm->slots);
	vm->slots = NULL;
	vm->nr_slots = 0;
}

static int check(const struct kvm_userspace_memory_region *region)
{
	uint64_t start = region->guest_phys_addr, size = region->memory_size;

	if (region->flags & ~(uint32_t)(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY))
		return -EINVAL;
	if ((size | start | region->userspace_addr) % EPT_PAGE_BYTES ||
	    region->userspace_addr >> 47 || region->slot >= SOFT_SLOTS_MAX)
		return -EINVAL;
	if (size / EPT_PAGE_BYTES > SLOT_PAGES_MAX || start >> SOFT_PHYSICAL_BITS ||
	    size > (1ull << SOFT_PHYSICAL_BITS) - start)
		return -EINVAL;
	return 0;
}

/* Whether another slot than @id has some of the range. */
static bool overlaps(const struct soft_vm *vm, uint32_t id, uint64_t start, uint64_t end)
{
	for (size_t at = first_after(vm, start); at < vm->nr_slots && vm->slots[at].start < end;
	     at++)
		if (vm->slots[at].id != id)
			return true;
	return false;
}

static int want_bitmap(struct soft_slot *slot)
{
	if (!(slot->flags & KVM_MEM_LOG_DIRTY_PAGES)) {
		free(slot->dirty);
		slot->dirty = NULL;
	} else if (!slot->dirty) {
		slot->dirty = calloc((pages_of(slot) + 63) / 64, sizeof(uint64_t));
		if (!slot->dirty)
			return -ENOMEM;
	}
	return 0;
}

/* Room is there. */
static void insert(struct soft_vm *vm, const struct soft_slot *slot)
{
	size_t at = first_after(vm, slot->start);

	memmove(&vm->slots[at + 1], &vm->slots[at], (vm->nr_slots - at) * sizeof(*vm->slots));
	vm->slots[at] = *slot;
	vm->nr_slots++;
}

static void take_out(struct soft_vm *vm, struct soft_slot *slot)
{
	size_t at = (size_t)(slot - vm->slots);

	vm->nr_slots--;
	memmove(slot, slot + 1, (vm->nr_slots - at) * sizeof(*slot));
}

static int add(struct soft_vm *vm, const struct soft_slot *new)
{
	struct soft_slot *slots = realloc(vm->slots, (vm->nr_slots + 1) * sizeof(*slots)),
			 slot = *new;
	int err;

	if (!slots)
		return -ENOMEM;
	vm->slots = slots;
	err = want_bitmap(&slot);
	if (!err)
		insert(vm, &slot);
	return err;
}

static int delete (struct soft_vm *vm, struct soft_slot *slot)
{
	struct soft_slot old = *slot;
	int err = soft_second_unmap(vm, old.start, old.end);

	if (err)
		return err;
	take_out(vm, slot);
	slot_free(&old);
	return 0;
}

static int move(struct soft_vm *vm, struct soft_slot *slot, const struct soft_slot *new)
{
	struct soft_slot moved = *slot;
	int err = soft_second_unmap(vm, slot->start, slot->end);

	if (err)
		return err;
	moved.start = new->start;
	moved.end = new->end;
	moved.flags = new->flags;
	err = want_bitmap(&moved);
	if (err)
		return err;
	take_out(vm, slot);
	insert(vm, &moved);
	return 0;
}

/* Logging on: writes fault from now on. Off: leaves may be large again. */
static int set_flags(struct soft_vm *vm, struct soft_slot *slot, uint32_t flags)
{
	struct soft_slot changed = *slot;
	int err;

	if (flags == slot->flags)
		return 0;
	changed.flags = flags;
	if (flags & KVM_MEM_LOG_DIRTY_PAGES) {
		err = want_bitmap(&changed);
		if (err)
			return err;
		err = soft_second_write_protect(vm, slot, slot->start, slot->end);
	} else {
		err = soft_second_unmap(vm, slot->start, slot->end);
		if (!err)
			(void)want_bitmap(&changed);
	}
	if (err)
		free(slot->dirty ? NULL : changed.dirty);
	else
		*slot = changed;
	return err;
}

int soft_slot_set(struct soft_vm *vm, const struct kvm_userspace_memory_region *region)
{
	struct soft_slot new = {
		.id = region->slot,
		.flags = region->flags,
		.start = region->guest_phys_addr,
		.end = region->guest_phys_addr + region->memory_size,
		.host = (uint8_t *)(uintptr_t)region->userspace_addr,
	};
	struct soft_slot *old;
	int err = check(region);

	if (err)
		return err;
	old = soft_slot_by_id(vm, region->slot);
	if (region->memory_size == 0)
		return old ? delete (vm, old) : -EINVAL;
	if (old && (old->host != new.host || pages_of(old) != pages_of(&new) ||
		    (old->flags ^ new.flags) & KVM_MEM_READONLY))
		return -EINVAL;
	if (overlaps(vm, new.id, new.start, new.end))
		return -EEXIST;
	if (!old)
		return add(vm, &new);
	return old->start != new.start ? move(vm, old, &new) : set_flags(vm, old, new.flags);
}

/* ---- attributes ---- */

static int want_attributes(struct soft_slot *slot)
{
	void *map;

	if (slot->attributes)
		return 0;
	map = mmap(NULL, pages_of(slot), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return -ENOMEM;
	slot->attributes = map;
	return 0;
}

/* Unlike KVM's, which are kept apart from slots: a hole has none, and a slot takes its own along.
 */
int soft_attributes_set(struct soft_vm *vm, const struct soft_memory_attributes *attributes)
{
	uint64_t start = attributes->address, end = start + attributes->size, at;
	struct soft_slot *slot;
	int err;

	if (attributes->flags || attributes->attributes & ~SOFT_ATTRIBUTES ||
	    (start | attributes->size) % EPT_PAGE_BYTES || attributes->size == 0 || end < start)
		return -EINVAL;
	for (at = start; at < end; at = slot->end) {
		slot = soft_slot_find(vm, at);
		if (!slot)
			return -EINVAL;
		err = want_attributes(slot);
		if (err)
			return err;
	}
	err = soft_second_unmap(vm, start, end);
	for (at = start; at < end && !err; at = slot->end) {
		uint64_t to;

		slot = soft_slot_find(vm, at);
		to = slot->end < end ? slot->end : end;
		memset(slot->attributes + (at - slot->start) / EPT_PAGE_BYTES,
		       (int)attributes->attributes, (to - at) / EPT_PAGE_BYTES);
	}
	return err;
}
