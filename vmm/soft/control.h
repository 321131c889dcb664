/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control registers, debug registers and the MSRs of long mode: what values they take and what
 * follows from a change. Functions that return bool have raised #GP or #UD when they return false.
 */
#ifndef VMM_SOFT_CONTROL_H
#define VMM_SOFT_CONTROL_H

#include "vmm/soft/cpu.h"

bool soft_control_read(struct soft_cpu *cpu, unsigned int number, uint64_t *value_out);
bool soft_control_write(struct soft_cpu *cpu, unsigned int number, uint64_t value);

bool soft_debug_read(struct soft_cpu *cpu, unsigned int number, uint64_t *value_out);
bool soft_debug_write(struct soft_cpu *cpu, unsigned int number, uint64_t value);

/* RDMSR and WRMSR, of all MSRs. */
bool soft_msr_read(struct soft_cpu *cpu, uint32_t index, uint64_t *value_out);
bool soft_msr_write(struct soft_cpu *cpu, uint32_t index, uint64_t value);

#endif
