/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The dirty log: KVM_GET_DIRTY_LOG and KVM_CLEAR_DIRTY_LOG over the bitmaps that violations fill.
 * Errors are KVM's (api.rst 4.8 and 4.117).
 */
#include <errno.h>
#include <string.h>

#include "vmm/soft/private.h"

static uint64_t pages_of(const struct soft_slot *slot)
{
	return (slot->end - slot->start) / EPT_PAGE_BYTES;
}

/* Pages [first, end) of @slot are not to be written untold, where the bit in @bits is set. */
static int protect(struct soft_vm *vm, const struct soft_slot *slot, uint64_t first, uint64_t end,
		   const uint64_t *bits)
{
	int err = 0;

	for (uint64_t page = first, run; page < end && !err; page = run) {
		bool set = bits[(page - first) / 64] >> (page - first) % 64 & 1;

		for (run = page + 1; run < end; run++)
			if ((bits[(run - first) / 64] >> (run - first) % 64 & 1) != set)
				break;
		if (set)
			err = soft_second_write_protect(vm, slot,
							slot->start + page * EPT_PAGE_BYTES,
							slot->start + run * EPT_PAGE_BYTES);
	}
	return err;
}

static struct soft_slot *logged(struct soft_vm *vm, uint32_t id, int *err_out)
{
	struct soft_slot *slot = soft_slot_by_id(vm, id);

	*err_out = id >= SOFT_SLOTS_MAX ? -EINVAL : slot && slot->dirty ? 0 : -ENOENT;
	return *err_out ? NULL : slot;
}

int soft_dirty_get(struct soft_vm *vm, const struct kvm_dirty_log *log)
{
	int err;
	struct soft_slot *slot = logged(vm, log->slot, &err);
	size_t bytes;

	if (!slot)
		return err;
	bytes = (pages_of(slot) + 63) / 64 * sizeof(uint64_t);
	memcpy(log->dirty_bitmap, slot->dirty, bytes);
	if (vm->manual_dirty)
		return 0;
	err = protect(vm, slot, 0, pages_of(slot), slot->dirty);
	if (!err)
		memset(slot->dirty, 0, bytes);
	return err;
}

int soft_dirty_clear(struct soft_vm *vm, const struct kvm_clear_dirty_log *log)
{
	int err;
	struct soft_slot *slot = logged(vm, log->slot, &err);
	const uint64_t *bits = log->dirty_bitmap;
	uint64_t pages, first = log->first_page;

	if (!slot)
		return err;
	pages = pages_of(slot);
	if (first % 64 || first > pages || log->num_pages > pages - first ||
	    (log->num_pages < pages - first && log->num_pages % 64))
		return -EINVAL;
	err = protect(vm, slot, first, first + log->num_pages, bits);
	for (uint64_t word = 0; word < (log->num_pages + 63) / 64 && !err; word++)
		slot->dirty[first / 64 + word] &= ~bits[word];
	return err;
}
