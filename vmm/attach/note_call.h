/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the host knows of an area because it made the hypercall, told to the auditor. */
#ifndef VMM_ATTACH_NOTE_CALL_H
#define VMM_ATTACH_NOTE_CALL_H

#include "guest/abi.h"
#include "vmm/audit/audit.h"

/*
 * Takes note of @call and its @answer: an allocation makes an expectation (audit_expect()), a
 * release ends one, all else does nothing, as does what the guest refused. Errors: audit_expect()'s
 * -EEXIST (the address was given out twice; the older stays), -ENOMEM.
 */
int note_call(struct audit *audit, const struct nb_submission *call,
	      const struct nb_completion *answer);

#endif
