/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The soft engine's checks (vmm/soft/check.h) as a guest's user names them and is told of them. */
#ifndef VMM_MACHINE_CHECKS_H
#define VMM_MACHINE_CHECKS_H

#include "vmm/machine/report.h"
#include "vmm/machine/vcpu.h"
#include "vmm/soft/check.h"

/* Those that cost less than half of the engine's speed. */
#define CHECKS_DEFAULT (SOFT_CHECK_ALL & ~SOFT_CHECK_RACE)

/* "all", "none", or names with commas between. Errors: -EINVAL. */
int checks_parse(const char *text, unsigned int *checks_out);

/* What a check found on @vcpu, which left KVM_RUN for it, with both sides of it. */
void checks_report(struct vcpu *vcpu, struct guest_report *report_out);

#endif
