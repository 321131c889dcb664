/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The use-after-free trap: no vCPU can reach a frame from the moment the guest gives it up until it
 * is handed out again, by whatever address: its second-stage access is revoked
 * (vmm/machine/watch.h).
 *
 * The guest says what becomes of frames (guest/abi.h, NB_PORT_FRAMES), one exit for all the frames
 * of an operation of its page allocator. For each such batch a record is kept: the hypercall in
 * flight and a guess at the callers, until its last frame is handed out.
 *
 * The guest is not believed: what it says must be RAM, and what it says wrongly harms itself alone.
 *
 * Locking: any thread.
 */
#ifndef VMM_MACHINE_UAF_H
#define VMM_MACHINE_UAF_H

#include "vmm/machine/report.h"
#include "vmm/machine/vcpu.h"
#include "vmm/machine/watch.h"

struct uaf;

/*
 * For a VM whose guest is told NB_BOOT_TELL_FRAMES and has no RAM from @ram_end on. @image names
 * the callers. Errors: -ENOMEM.
 */
int uaf_create(struct watch *watch, const struct image *image, uint64_t ram_end,
	       struct uaf **uaf_out, struct error *error);

/* NULL is allowed. The frames stay revoked until the watch ends. */
void uaf_destroy(struct uaf *uaf);

/*
 * The guest wrote to NB_PORT_FRAMES on @vcpu, which is out of KVM; @call is the hypercall in
 * flight, or NULL. Errors: -EINVAL (what it says makes no sense), the system's.
 */
int uaf_frames(struct uaf *uaf, struct vcpu *vcpu, const struct nb_submission *call,
	       struct error *error);

/* Whether the frame at @page is given up. */
bool uaf_is_free(struct uaf *uaf, gpa_t page);

/* Makes @report, of an access that was denied, that of a use after free: who gave the frame up. */
void uaf_describe(struct uaf *uaf, const struct watch_access *access, struct guest_report *report);

/* Frames given up so far, and those that are now. */
struct uaf_counts {
	uint64_t given_up;
	uint64_t free;
};

void uaf_counts(struct uaf *uaf, struct uaf_counts *counts_out);

#endif
