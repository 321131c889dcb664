/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taking over what KVM knows of written pages: stamped first, forgotten by KVM afterwards. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kvm.h>

#include "ept/dirty_private.h"
#include "ept/kvm.h"

static int reserve_bitmap(struct dirty_tracker *tracker, size_t words)
{
	uint64_t *bitmap;

	if (words <= tracker->bitmap_words)
		return 0;
	bitmap = realloc(tracker->bitmap, words * sizeof(*bitmap));
	if (!bitmap)
		return -ENOMEM;
	tracker->bitmap = bitmap;
	tracker->bitmap_words = words;
	return 0;
}

/* Stamps the pages whose bits are set; returns how many there were. */
static uint64_t merge_bitmap(struct dirty_tracker *tracker, struct tracked *tracked,
			     uint64_t first_page, uint64_t pages)
{
	uint64_t word, bits, count = 0, page;

	for (word = 0; word < (pages + 63) / 64; word++) {
		for (bits = tracker->bitmap[word]; bits; bits &= bits - 1) {
			page = word * 64 + (uint64_t)__builtin_ctzll(bits);
			if (page >= pages)
				break;
			dirty_mark(tracker, tracked, first_page + page);
			count++;
		}
	}
	return count;
}

static int collect_slot(struct dirty_tracker *tracker, const struct kvm_slot *slot,
			struct tracked *tracked)
{
	uint64_t pages = dirty_pages_of(slot->start, slot->end), count;
	size_t words = (size_t)(pages + 63) / 64;
	int err = reserve_bitmap(tracker, words);

	if (err)
		return err;
	memset(tracker->bitmap, 0, words * sizeof(uint64_t));
	err = ept_kvm_get_dirty_log(tracker->vm_fd, slot->id, tracker->bitmap);
	if (err)
		return err;
	count = merge_bitmap(tracker, tracked, dirty_pages_of(tracked->start, slot->start), pages);
	if (count == 0 || !tracker->manual)
		return 0;
	return ept_kvm_clear_dirty_log(tracker->vm_fd, slot->id, pages, tracker->bitmap);
}

static int collect_bitmaps(struct dirty_tracker *tracker)
{
	const struct kvm_slot *slot;
	struct tracked *tracked;
	int err = 0;
	size_t i;

	for (i = 0; i < kvm_slots_count(tracker->slots) && !err; i++) {
		slot = kvm_slots_at(tracker->slots, i);
		tracked = slot->dirty_log ? dirty_find(tracker, slot->region) : NULL;
		if (tracked)
			err = collect_slot(tracker, slot, tracked);
	}
	return err;
}

/* Entries of slots that are gone, or beyond their end, are passed over. */
static void merge_entry(struct dirty_tracker *tracker, const struct kvm_dirty_gfn *entry)
{
	const struct kvm_slot *slot = NULL;
	struct tracked *tracked;
	size_t i;

	for (i = 0; i < kvm_slots_count(tracker->slots) && !slot; i++)
		if (kvm_slots_at(tracker->slots, i)->id == entry->slot)
			slot = kvm_slots_at(tracker->slots, i);
	tracked = slot ? dirty_find(tracker, slot->region) : NULL;
	if (!tracked || !tracked->on || entry->offset >= dirty_pages_of(slot->start, slot->end))
		return;
	dirty_mark(tracker, tracked, dirty_pages_of(tracked->start, slot->start) + entry->offset);
}

/* No page is known to be clean any more. */
static void mark_all(struct dirty_tracker *tracker)
{
	struct tracked *tracked;
	size_t i;

	for (i = 0; i < tracker->tracked_count; i++) {
		tracked = &tracker->tracked[i];
		if (tracked->on)
			dirty_mark_range(tracker, tracked, tracked->start,
					 tracked->end.value - tracked->start.value);
	}
}

/*
 * Returns how many entries were read. KVM stops the guest before a ring is full: one that is full
 * to the last entry may have been overrun.
 */
static uint32_t collect_ring(struct dirty_tracker *tracker, struct ring *ring)
{
	struct kvm_dirty_gfn *entry;
	uint32_t count;

	for (count = 0; count < tracker->ring_entries; count++) {
		entry = &ring->entries[ring->next % tracker->ring_entries];
		if (!(__atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) & KVM_DIRTY_GFN_F_DIRTY))
			break;
		merge_entry(tracker, entry);
		__atomic_store_n(&entry->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
		ring->next++;
	}
	if (count == tracker->ring_entries)
		mark_all(tracker);
	return count;
}

int dirty_collect(struct dirty_tracker *tracker, struct error *error)
{
	uint64_t count = 0;
	int err = 0;
	size_t i;

	if (tracker->method == DIRTY_BITMAP)
		err = collect_bitmaps(tracker);
	for (i = 0; i < tracker->ring_count; i++)
		count += collect_ring(tracker, &tracker->rings[i]);
	if (count > 0)
		err = ept_kvm_reset_dirty_rings(tracker->vm_fd);
	return err ? error_set(error, err, "cannot read KVM's dirty log: %s", strerror(-err)) : 0;
}
