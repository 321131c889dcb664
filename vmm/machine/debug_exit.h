/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The debugger as a vCPU's thread meets it (vmm/machine/debug.h). All on that thread. */
#ifndef VMM_MACHINE_DEBUG_EXIT_H
#define VMM_MACHINE_DEBUG_EXIT_H

#include <stdbool.h>

#include "vmm/machine/vcpu.h"

/* KVM_RUN is called next, or has returned with an exit that was handled and did not kill. */
void debug_before_run(struct vcpu *vcpu);
void debug_after_exit(struct vcpu *vcpu);

/* A KVM_EXIT_DEBUG. False: there is no debugger. */
bool debug_exit(struct vcpu *vcpu);

/* Whether a KVM_EXIT_DEBUG that ends a watch's step is the debugger's as well. */
bool debug_wants(const struct vcpu *vcpu);

/* The guest died. Any thread; waits for nobody. */
struct vm;
void debug_died(struct vm *vm);

#endif
