/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why KVM_RUN came back, and what follows from it: the guest's port writes are answered, and
 * everything else ends the guest with a report.
 */
#ifndef VMM_MACHINE_EXIT_H
#define VMM_MACHINE_EXIT_H

#include "vmm/machine/vcpu.h"

enum exit_action {
	EXIT_GO_ON, /* run the vCPU again */
	EXIT_DIED,  /* it was reported dead: leave the loop */
};

/* Handles the exit in @vcpu->run. On the vCPU's thread. */
enum exit_action exit_handle(struct vcpu *vcpu);

/* KVM_RUN failed with @code, a -errno other than -EINTR and -EAGAIN. Reports the vCPU dead. */
void exit_run_failed(struct vcpu *vcpu, int code);

#endif
