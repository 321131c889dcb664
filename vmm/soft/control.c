/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Control registers (SDM vol. 3A 2.5), debug registers (vol. 3B 17.2), MSRs (vol. 4). */
#include "vmm/soft/control.h"

#include "vmm/soft/exec.h"

#define CR0_BITS                                                                       \
	(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | X86_CR0_NE | \
	 X86_CR0_WP | X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | X86_CR0_PG)
/* VME, PVI, TSD have no names elsewhere. 5-level paging, PCIDs and keys are not offered. */
#define CR4_TSD X86_BIT(2)
#define CR4_BITS                                                                         \
	(X86_BIT(0) | X86_BIT(1) | CR4_TSD | X86_CR4_DE | X86_CR4_PSE | X86_CR4_PAE |    \
	 X86_CR4_MCE | X86_CR4_PGE | X86_CR4_PCE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | \
	 X86_CR4_UMIP | X86_CR4_FSGSBASE | X86_CR4_SMEP | X86_CR4_SMAP)
#define CR4_PAGING (X86_CR4_PSE | X86_CR4_PAE | X86_CR4_PGE | X86_CR4_SMEP | X86_CR4_SMAP)
#define EFER_BITS  (X86_EFER_SCE | X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE)

static bool fault(struct soft_cpu *cpu)
{
	soft_cpu_raise(cpu, SOFT_GP, true, 0);
	return false;
}

static void flush(struct soft_cpu *cpu, enum soft_flush what)
{
	soft_cpu_drop_lines(cpu);
	cpu->ops->flush(cpu, what, 0);
}

/* Paging and long mode cannot be left from 64-bit code. */
static bool write_cr0(struct soft_cpu *cpu, uint64_t value)
{
	uint64_t old = cpu->cr0;

	value |= X86_CR0_ET;
	if ((value & ~CR0_BITS) || !(value & X86_CR0_PG) || !(value & X86_CR0_PE) ||
	    ((value & X86_CR0_NW) && !(value & X86_CR0_CD)))
		return fault(cpu);
	cpu->cr0 = value;
	if ((old ^ value) & X86_CR0_WP)
		flush(cpu, SOFT_FLUSH_ALL);
	return true;
}

static bool write_cr3(struct soft_cpu *cpu, uint64_t value)
{
	if (value & ~(X86_CR3_ADDR_MASK | X86_CR3_PCID_MASK))
		return fault(cpu);
	cpu->cr3 = value;
	flush(cpu, SOFT_FLUSH_CR3);
	return true;
}

static bool write_cr4(struct soft_cpu *cpu, uint64_t value)
{
	uint64_t old = cpu->cr4;

	if ((value & ~CR4_BITS) || !(value & X86_CR4_PAE))
		return fault(cpu);
	cpu->cr4 = value;
	if ((old ^ value) & CR4_PAGING)
		flush(cpu, SOFT_FLUSH_ALL);
	return true;
}

bool soft_control_read(struct soft_cpu *cpu, unsigned int number, uint64_t *value_out)
{
	switch (number) {
	case 0:
		*value_out = cpu->cr0;
		return true;
	case 2:
		*value_out = cpu->cr2;
		return true;
	case 3:
		*value_out = cpu->cr3;
		return true;
	case 4:
		*value_out = cpu->cr4;
		return true;
	case 8:
		*value_out = cpu->cr8;
		return true;
	default:
		soft_cpu_raise(cpu, SOFT_UD, false, 0);
		return false;
	}
}

bool soft_control_write(struct soft_cpu *cpu, unsigned int number, uint64_t value)
{
	switch (number) {
	case 0:
		return write_cr0(cpu, value);
	case 2:
		cpu->cr2 = value;
		return true;
	case 3:
		return write_cr3(cpu, value);
	case 4:
		return write_cr4(cpu, value);
	case 8:
		if (value & ~15ull)
			return fault(cpu);
		cpu->cr8 = value;
		return true;
	default:
		soft_cpu_raise(cpu, SOFT_UD, false, 0);
		return false;
	}
}

/* DR4 and DR5 are 6 and 7, unless CR4.DE says that they are nothing. */
static bool debug_number(struct soft_cpu *cpu, unsigned int *number)
{
	if (*number == 4 || *number == 5) {
		if (cpu->cr4 & X86_CR4_DE) {
			soft_cpu_raise(cpu, SOFT_UD, false, 0);
			return false;
		}
		*number += 2;
	}
	if (*number > 7) {
		soft_cpu_raise(cpu, SOFT_UD, false, 0);
		return false;
	}
	return true;
}

bool soft_debug_read(struct soft_cpu *cpu, unsigned int number, uint64_t *value_out)
{
	if (!debug_number(cpu, &number))
		return false;
	*value_out = number < 4 ? cpu->dr[number] : number == 6 ? cpu->dr6 : cpu->dr7;
	return true;
}

bool soft_debug_write(struct soft_cpu *cpu, unsigned int number, uint64_t value)
{
	if (!debug_number(cpu, &number))
		return false;
	if (number >= 6 && value >> 32)
		return fault(cpu);
	if (number < 4)
		cpu->dr[number] = value;
	else if (number == 6)
		cpu->dr6 = (value & 0xe00f) | SOFT_DR6_FIXED;
	else
		cpu->dr7 = (value & 0xffff2bff) | SOFT_DR7_FIXED;
	soft_cpu_drop_lines(cpu);
	return true;
}

uint64_t *soft_cpu_msr(struct soft_cpu *cpu, uint32_t index)
{
	switch (index) {
	case 0x174:
		return &cpu->msr.sysenter_cs;
	case 0x175:
		return &cpu->msr.sysenter_esp;
	case 0x176:
		return &cpu->msr.sysenter_eip;
	case 0x277:
		return &cpu->msr.pat;
	case X86_MSR_EFER:
		return &cpu->efer;
	case 0xc0000081:
		return &cpu->msr.star;
	case 0xc0000082:
		return &cpu->msr.lstar;
	case 0xc0000083:
		return &cpu->msr.cstar;
	case 0xc0000084:
		return &cpu->msr.fmask;
	case 0xc0000100:
		return (uint64_t *)&cpu->segments[SOFT_FS].base;
	case 0xc0000101:
		return (uint64_t *)&cpu->segments[SOFT_GS].base;
	case 0xc0000102:
		return &cpu->msr.kernel_gs_base;
	case 0xc0000103:
		return &cpu->msr.tsc_aux;
	default:
		return NULL;
	}
}

/* Types 0, 1, 4, 5, 6, 7 (SDM vol. 3A table 11-10). */
static bool pat_valid(uint64_t value)
{
	for (unsigned int i = 0; i < 64; i += 8)
		if ((value >> i & 0xff) > 7 || (value >> i & 0xfe) == 2)
			return false;
	return true;
}

static bool msr_valid(uint32_t index, uint64_t value)
{
	switch (index) {
	case 0x175:
	case 0x176:
	case 0xc0000082:
	case 0xc0000083:
	case 0xc0000100:
	case 0xc0000101:
	case 0xc0000102:
		return soft_canonical(value);
	case 0x277:
		return pat_valid(value);
	case 0xc0000103:
		return value >> 32 == 0;
	default:
		return true;
	}
}

/* LME cannot change while paging is on, which it is, and LMA is not written. */
static bool write_efer(struct soft_cpu *cpu, uint64_t value)
{
	uint64_t old = cpu->efer;

	if ((value & ~EFER_BITS) || ((old ^ value) & X86_EFER_LME))
		return fault(cpu);
	cpu->efer = (value & ~X86_EFER_LMA) | (old & X86_EFER_LMA);
	if ((old ^ cpu->efer) & X86_EFER_NXE)
		flush(cpu, SOFT_FLUSH_ALL);
	return true;
}

static bool answered(struct soft_cpu *cpu, enum soft_answer answer)
{
	if (answer == SOFT_LEAVE)
		cpu->exit = SOFT_STOP_ENGINE;
	return answer == SOFT_OK;
}

bool soft_msr_read(struct soft_cpu *cpu, uint32_t index, uint64_t *value_out)
{
	const uint64_t *msr = soft_cpu_msr(cpu, index);

	if (!msr)
		return answered(cpu, cpu->ops->read_msr(cpu, index, value_out));
	*value_out = *msr;
	return true;
}

bool soft_msr_write(struct soft_cpu *cpu, uint32_t index, uint64_t value)
{
	uint64_t *msr = soft_cpu_msr(cpu, index);

	if (index == X86_MSR_EFER)
		return write_efer(cpu, value);
	if (!msr)
		return answered(cpu, cpu->ops->write_msr(cpu, index, value));
	if (!msr_valid(index, value))
		return fault(cpu);
	*msr = value;
	return true;
}
