/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Model-specific registers that are the machine's and not the processor's own (cpu.h). */
#include "vmm/soft/control.h"
#include "vmm/soft/private.h"

#define MSR_TSC         0x10
#define MSR_APIC_BASE   0x1b
#define MSR_UCODE_REV   0x8b
#define MSR_MISC_ENABLE 0x1a0
#define MSR_X2APIC      0x800
#define MSR_X2APIC_END  0x840

#define BASE_ENABLE (1ull << 11)
#define BASE_X2APIC (1ull << 10)
#define BASE_BSP    (1ull << 8)

static enum soft_answer refuse(struct soft_cpu *cpu)
{
	return soft_cpu_raise(cpu, SOFT_GP, true, 0);
}

enum soft_answer soft_read_msr(struct soft_cpu *cpu, uint32_t index, uint64_t *value_out)
{
	struct soft_vcpu *vcpu = soft_vcpu_of(cpu);

	if (index >= MSR_X2APIC && index < MSR_X2APIC_END)
		return vcpu->vm->has_apics && soft_apic_read(vcpu, index, value_out) ? SOFT_OK
										     : refuse(cpu);
	switch (index) {
	case MSR_TSC:
		*value_out = cpu->ops->tsc(cpu);
		return SOFT_OK;
	case MSR_APIC_BASE:
		*value_out = vcpu->apic.base;
		return SOFT_OK;
	case MSR_UCODE_REV:
	case MSR_MISC_ENABLE:
		*value_out = 0;
		return SOFT_OK;
	default:
		return refuse(cpu);
	}
}

enum soft_answer soft_write_msr(struct soft_cpu *cpu, uint32_t index, uint64_t value)
{
	struct soft_vcpu *vcpu = soft_vcpu_of(cpu);
	uint64_t base = vcpu->apic.base;

	if (index >= MSR_X2APIC && index < MSR_X2APIC_END)
		return vcpu->vm->has_apics && soft_apic_write(vcpu, index, value) ? SOFT_OK
										  : refuse(cpu);
	switch (index) {
	case MSR_TSC:
		vcpu->tsc_offset += value - cpu->ops->tsc(cpu);
		return SOFT_OK;
	case MSR_APIC_BASE:
		/* Modes may be switched; address and BSP may not (11.12.5). */
		if (((value ^ base) & ~(BASE_ENABLE | BASE_X2APIC)) ||
		    (value & (BASE_ENABLE | BASE_X2APIC)) == BASE_X2APIC ||
		    ((base & BASE_X2APIC) && (value & (BASE_ENABLE | BASE_X2APIC)) == BASE_ENABLE))
			return refuse(cpu);
		vcpu->apic.base = value;
		return SOFT_OK;
	case MSR_UCODE_REV:
	case MSR_MISC_ENABLE:
		return SOFT_OK;
	default:
		return refuse(cpu);
	}
}

int soft_get_msrs(struct soft_cpu *cpu, struct kvm_msrs *msrs)
{
	uint32_t i;

	for (i = 0; i < msrs->nmsrs; i++) {
		const uint64_t *msr = soft_cpu_msr(cpu, msrs->entries[i].index);

		if (!msr)
			break;
		msrs->entries[i].data = *msr;
	}
	return (int)i;
}

int soft_set_msrs(struct soft_cpu *cpu, const struct kvm_msrs *msrs)
{
	struct soft_event event = cpu->event; /* a refusal is no exception of the guest's */
	uint32_t i;

	for (i = 0; i < msrs->nmsrs; i++)
		if (!soft_msr_write(cpu, msrs->entries[i].index, msrs->entries[i].data))
			break;
	cpu->event = event;
	return (int)i;
}
