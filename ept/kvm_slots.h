/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KVM's memory slots kept in step with a guest-physical address space.
 *
 * A RAM region has one writable slot or several, a ROM region read-only ones (writes exit as
 * KVM_EXIT_MMIO); devices and holes have none, so that accesses exit.
 *
 * Not locked: the caller serialises, as for the space.
 */
#ifndef EPT_KVM_SLOTS_H
#define EPT_KVM_SLOTS_H

#include <stddef.h>

#include "lib/error.h"
#include "ept/gpa_space.h"

struct kvm_slots;

/* One slot as KVM has it. */
struct kvm_slot {
	uint32_t id;     /* KVM's slot number */
	uint32_t region; /* gpa_region.id */
	gpa_t start;
	gpa_t end;
	void *host;
	bool read_only;
	bool dirty_log;
};

/*
 * Slots for the VM behind @vm_fd, which stays the caller's and must outlive them. Attaches to
 * @space: the regions it has get their slots now, later changes as they come.
 * Errors: -ENOSPC (more slots than KVM_CAP_NR_MEMSLOTS: the text says how many there are),
 * -EOPNOTSUPP (a ROM, and KVM has no read-only slots), -ENOMEM, or KVM's own.
 */
int kvm_slots_create(int vm_fd, struct gpa_space *space, struct kvm_slots **slots_out,
		     struct error *error);

/* Detaches from the space, deletes the slots, frees. NULL is allowed. */
void kvm_slots_destroy(struct kvm_slots *slots);

/* Slots in use, and how many this KVM allows. */
size_t kvm_slots_count(const struct kvm_slots *slots);
size_t kvm_slots_limit(const struct kvm_slots *slots);

/* The slots in address order: index 0 to count - 1. Good until the next change. */
const struct kvm_slot *kvm_slots_at(const struct kvm_slots *slots, size_t index);

/* The slot that holds @gpa, or NULL. O(log n). */
const struct kvm_slot *kvm_slots_find(const struct kvm_slots *slots, gpa_t gpa);

/*
 * Switches dirty logging of a RAM region on or off while the guest runs. On failure the logging
 * state of all its slots is as before.
 */
int kvm_slots_set_dirty_log(struct kvm_slots *slots, const struct gpa_region *region, bool on,
			    struct error *error);

#endif
