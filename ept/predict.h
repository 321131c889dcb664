/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the second stage looks like as far as the host can tell from outside: which leaves KVM has
 * or will have for a slot, predicted from the slot, its backing and this process's own page
 * tables (/proc/self/pagemap, /proc/kpageflags). To be compared with what KVM counts (pages_4k,
 * pages_2m, pages_1g of ept/stats.h) and with the real tables, where they can be read.
 *
 * KVM's rules, as in Linux arch/x86/kvm/mmu (what allows a leaf of 2 MiB or 1 GiB):
 *   - the aligned block lies in one slot, and host and guest-physical address are congruent;
 *   - the slot is not logged for dirty pages;
 *   - the host itself maps the block with a page at least as large.
 * A page the host has not mapped cannot be in the second stage. One it has mapped is there when
 * the guest touched it: memory that only the VMM touched is predicted too much.
 */
#ifndef EPT_PREDICT_H
#define EPT_PREDICT_H

#include "lib/error.h"
#include "ept/kvm_slots.h"

/* Where the host's page tables are read. */
struct predict_host;

/*
 * Opens /proc/self/pagemap and, where this process may (root), /proc/kpageflags. Without the
 * latter transparent huge pages are not seen and count as small ones.
 * Errors: the system's, with what to do.
 */
int predict_open(struct predict_host **host_out, struct error *error);
void predict_close(struct predict_host *host);

/* Whether transparent huge pages can be told from small ones. */
bool predict_sees_thp(const struct predict_host *host);

/* One leaf. Other than 0 ends the visit. */
typedef int (*predict_leaf_fn)(void *context, gpa_t gpa, uint64_t bytes,
			       const struct kvm_slot *slot);

/*
 * Visits the predicted leaves of [start, end), rounded outward to 2 MiB or the backing's huge
 * pages, in address order. @space says what backs a slot. @leaf_bytes_max: the largest leaf this
 * KVM uses (4 KiB with shadow paging of small pages, else 2 MiB or 1 GiB). Errors: -EIO and others
 * of reading the files; the callback's.
 */
int predict_for_each(struct predict_host *host, const struct gpa_space *space,
		     const struct kvm_slots *slots, gpa_t start, gpa_t end, uint64_t leaf_bytes_max,
		     predict_leaf_fn leaf, void *context, struct error *error);

struct predict_count {
	uint64_t pages_4k;
	uint64_t pages_2m;
	uint64_t pages_1g;
};

/* Counts them, under the names KVM gives its own count. */
int predict_count(struct predict_host *host, const struct gpa_space *space,
		  const struct kvm_slots *slots, gpa_t start, gpa_t end, uint64_t leaf_bytes_max,
		  struct predict_count *count_out, struct error *error);

#endif
