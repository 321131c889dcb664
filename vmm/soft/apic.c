/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Local APICs: registers, priorities, messages between them and from outside, timers. */
#include "vmm/soft/apic.h"

#include <errno.h>
#include <string.h>

#include "vmm/soft/check_private.h"
#include "vmm/soft/private.h"

#define BASE_BSP    (1ull << 8)
#define BASE_X2APIC (1ull << 10)
#define BASE_ENABLE (1ull << 11)
#define BASE_START  0xfee00000ull

#define SVR_ENABLE     0x100u
#define LVT_MASKED     0x10000u
#define LVT_PERIODIC   0x20000u
#define LVT_WRITABLE   0x700ffu /* vector, delivery mode of the few that have one, mask, mode */
#define MODE_FIXED     0u
#define MODE_LOWEST    1u
#define MODE_NMI       4u
#define MODE_INIT      5u
#define MODE_START_UP  6u
#define ESR_BAD_VECTOR 0x40u /* received illegal vector */

/* x2APIC registers (SDM vol. 3A, table 11-6). */
enum {
	MSR_ID = 0x802,
	MSR_VERSION = 0x803,
	MSR_TPR = 0x808,
	MSR_PPR = 0x80a,
	MSR_EOI = 0x80b,
	MSR_LDR = 0x80d,
	MSR_SVR = 0x80f,
	MSR_ISR = 0x810,
	MSR_TMR = 0x818,
	MSR_IRR = 0x820,
	MSR_ESR = 0x828,
	MSR_ICR = 0x830,
	MSR_LVT_TIMER = 0x832,
	MSR_LVT_ERROR = 0x837,
	MSR_TIMER_INITIAL = 0x838,
	MSR_TIMER_CURRENT = 0x839,
	MSR_TIMER_DIVIDE = 0x83e,
	MSR_SELF = 0x83f,
};

void soft_apic_reset(struct soft_apic *apic, bool bsp)
{
	*apic = (struct soft_apic){.base = BASE_START | BASE_ENABLE | (bsp ? BASE_BSP : 0),
				   .svr = 0xff};
	for (int i = 0; i < SOFT_LVTS; i++)
		apic->lvt[i] = LVT_MASKED;
}

bool soft_apic_enabled(const struct soft_apic *apic)
{
	return (apic->base & BASE_ENABLE) && (apic->svr & SVR_ENABLE);
}

/* ---- vectors ---- */

static int highest(const uint64_t bits[4])
{
	for (int word = 3; word >= 0; word--)
		if (bits[word])
			return word * 64 + 63 - __builtin_clzll(bits[word]);
	return -1;
}

static void set_bit(uint64_t bits[4], unsigned int vector)
{
	bits[vector / 64] |= 1ull << vector % 64;
}

static void clear_bit(uint64_t bits[4], unsigned int vector)
{
	bits[vector / 64] &= ~(1ull << vector % 64);
}

static unsigned int task_priority(const struct soft_vcpu *vcpu)
{
	return (unsigned int)(vcpu->cpu.cr8 & 15) << 4 | vcpu->apic.tpr_low;
}

/* 11.8.3.1: the higher of the task's and the interrupt's in service. */
static unsigned int processor_priority(const struct soft_vcpu *vcpu)
{
	int in_service = highest(vcpu->apic.isr);
	unsigned int task = task_priority(vcpu);

	if (in_service >= 0 && ((unsigned int)in_service & 0xf0) > (task & 0xf0))
		return (unsigned int)in_service & 0xf0;
	return task;
}

int soft_apic_pending(const struct soft_vcpu *vcpu)
{
	int vector;

	if (!vcpu->vm->has_apics || !soft_apic_enabled(&vcpu->apic))
		return -1;
	vector = highest(vcpu->apic.irr);
	return vector >= 0 && ((unsigned int)vector & 0xf0) > (processor_priority(vcpu) & 0xf0)
		       ? vector
		       : -1;
}

int soft_apic_acknowledge(struct soft_cpu *cpu)
{
	struct soft_vcpu *vcpu = soft_vcpu_of(cpu);
	int vector = vcpu->block_interrupts ? -1 : soft_apic_pending(vcpu);

	if (vector < 0)
		return -1;
	clear_bit(vcpu->apic.irr, (unsigned int)vector);
	set_bit(vcpu->apic.isr, (unsigned int)vector);
	soft_count(vcpu, SOFT_VCPU_IRQ_INJECTIONS);
	soft_race_receive(vcpu);
	return vector;
}

/* Something is there: a vCPU that has its turn looks at once, others at their next. */
static void look(struct soft_vcpu *vcpu)
{
	if (vcpu->vm->running == vcpu)
		__atomic_store_n(&vcpu->cpu.kick, true, __ATOMIC_RELAXED);
	else if (!vcpu->vm->driver)
		soft_wake(vcpu);
}

void soft_apic_raise(struct soft_vcpu *vcpu, uint8_t vector)
{
	if (vector < 16) {
		vcpu->apic.esr |= ESR_BAD_VECTOR;
		return;
	}
	set_bit(vcpu->apic.irr, vector);
	look(vcpu);
}

/* ---- messages ---- */

/* One message to one APIC; whether it took it. INIT and SIPI do nothing: see docs/softkvm.md. */
static bool deliver(struct soft_vcpu *vcpu, unsigned int mode, uint8_t vector)
{
	if (mode == MODE_NMI) {
		soft_race_send(vcpu, true);
		vcpu->cpu.nmi = true;
		look(vcpu);
		return true;
	}
	if ((mode != MODE_FIXED && mode != MODE_LOWEST) || !soft_apic_enabled(&vcpu->apic))
		return false;
	soft_race_send(vcpu, false);
	soft_apic_raise(vcpu, vector);
	return true;
}

/* 11.12.10.2: 16 APICs a cluster. */
static uint32_t logical_id(const struct soft_vcpu *vcpu)
{
	return vcpu->id / 16 << 16 | 1u << vcpu->id % 16;
}

static bool is_addressed(const struct soft_vcpu *vcpu, bool logical, uint32_t destination)
{
	if (destination == UINT32_MAX)
		return true;
	if (!logical)
		return vcpu->id == destination;
	return logical_id(vcpu) >> 16 == destination >> 16 &&
	       (logical_id(vcpu) & destination & 0xffff);
}

static int send(struct soft_vm *vm, bool logical, uint32_t destination, unsigned int mode,
		uint8_t vector)
{
	int took = 0, addressed = 0;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		if (!is_addressed(vm->vcpus[i], logical, destination))
			continue;
		addressed++;
		took += deliver(vm->vcpus[i], mode, vector);
		if (took && mode == MODE_LOWEST)
			break;
	}
	return took || !addressed ? took : -EPERM;
}

int soft_apic_message(struct soft_vm *vm, uint64_t address, uint32_t data)
{
	/* 11.11.1; with the extended destination of x2APICs in the address's high half. */
	uint32_t destination =
		(uint32_t)(address >> 12 & 0xff) | (uint32_t)(address >> 32 & ~0xffull);
	bool logical = address & 4;

	if (destination == 0xff)
		destination = UINT32_MAX;
	return send(vm, logical, destination, data >> 8 & 7, (uint8_t)data);
}

static void write_icr(struct soft_vcpu *vcpu, uint64_t value)
{
	uint32_t destination = (uint32_t)(value >> 32);
	unsigned int mode = value >> 8 & 7;
	struct soft_vm *vm = vcpu->vm;

	vcpu->apic.icr = value & ~(1ull << 12);
	switch (value >> 18 & 3) {
	case 0:
		(void)send(vm, value & 1 << 11, destination, mode, (uint8_t)value);
		break;
	case 1:
		(void)deliver(vcpu, mode, (uint8_t)value);
		break;
	default:
		for (unsigned int i = 0; i < vm->nr_vcpus; i++)
			if (vm->vcpus[i] != vcpu || (value >> 18 & 3) == 2)
				(void)deliver(vm->vcpus[i], mode, (uint8_t)value);
	}
}

/* ---- the timer ---- */

static uint64_t divisor(const struct soft_apic *apic)
{
	unsigned int shift = (apic->timer_divide & 3) | (apic->timer_divide >> 1 & 4);

	return 1ull << ((shift + 1) & 7);
}

static uint64_t period(const struct soft_apic *apic)
{
	return apic->timer_initial * divisor(apic);
}

uint64_t soft_apic_deadline(const struct soft_vcpu *vcpu)
{
	const struct soft_apic *apic = &vcpu->apic;

	return apic->timer_runs ? apic->timer_start + period(apic) : SOFT_NO_DEADLINE;
}

void soft_apic_tick(struct soft_vcpu *vcpu, uint64_t now)
{
	struct soft_apic *apic = &vcpu->apic;
	uint32_t lvt = apic->lvt[SOFT_LVT_TIMER];

	if (now < soft_apic_deadline(vcpu))
		return;
	if (lvt & LVT_PERIODIC)
		apic->timer_start += (now - apic->timer_start) / period(apic) * period(apic);
	else
		apic->timer_runs = false;
	if (!(lvt & LVT_MASKED) && soft_apic_enabled(apic))
		soft_apic_raise(vcpu, (uint8_t)lvt);
}

static void start_timer(struct soft_vcpu *vcpu, uint32_t initial)
{
	vcpu->apic.timer_initial = initial;
	vcpu->apic.timer_start = soft_clock(vcpu->vm);
	vcpu->apic.timer_runs = initial != 0;
	/* The turn under way was given without this deadline. */
	__atomic_store_n(&vcpu->cpu.kick, true, __ATOMIC_RELAXED);
}

static uint32_t timer_current(const struct soft_vcpu *vcpu)
{
	const struct soft_apic *apic = &vcpu->apic;
	uint64_t passed = soft_clock(vcpu->vm) - apic->timer_start;

	if (!apic->timer_runs)
		return 0;
	if (passed >= period(apic))
		return apic->lvt[SOFT_LVT_TIMER] & LVT_PERIODIC
			       ? (uint32_t)((period(apic) - passed % period(apic)) / divisor(apic))
			       : 0;
	return (uint32_t)((period(apic) - passed) / divisor(apic));
}

/* ---- registers ---- */

static uint64_t bits_of(const uint64_t bits[4], uint32_t word)
{
	return (uint32_t)(bits[word / 2] >> word % 2 * 32);
}

bool soft_apic_read(struct soft_vcpu *vcpu, uint32_t msr, uint64_t *value_out)
{
	const struct soft_apic *apic = &vcpu->apic;

	if (!(apic->base & BASE_X2APIC))
		return false;
	if (msr >= MSR_ISR && msr < MSR_ISR + 8)
		*value_out = bits_of(apic->isr, msr - MSR_ISR);
	else if (msr >= MSR_TMR && msr < MSR_TMR + 8)
		*value_out = 0;
	else if (msr >= MSR_IRR && msr < MSR_IRR + 8)
		*value_out = bits_of(apic->irr, msr - MSR_IRR);
	else if (msr >= MSR_LVT_TIMER && msr <= MSR_LVT_ERROR)
		*value_out = apic->lvt[msr - MSR_LVT_TIMER];
	else
		switch (msr) {
		case MSR_ID:
			*value_out = vcpu->id;
			break;
		case MSR_VERSION:
			*value_out = 0x14 | (SOFT_LVTS - 1) << 16;
			break;
		case MSR_TPR:
			*value_out = task_priority(vcpu);
			break;
		case MSR_PPR:
			*value_out = processor_priority(vcpu);
			break;
		case MSR_LDR:
			*value_out = logical_id(vcpu);
			break;
		case MSR_SVR:
			*value_out = apic->svr;
			break;
		case MSR_ESR:
			*value_out = apic->esr;
			break;
		case MSR_ICR:
			*value_out = apic->icr;
			break;
		case MSR_TIMER_INITIAL:
			*value_out = apic->timer_initial;
			break;
		case MSR_TIMER_CURRENT:
			*value_out = timer_current(vcpu);
			break;
		case MSR_TIMER_DIVIDE:
			*value_out = apic->timer_divide;
			break;
		default:
			return false;
		}
	return true;
}

/* Bits each register has; the others are reserved, and a write of one is #GP (11.12.1.3). */
static bool write_plain(struct soft_vcpu *vcpu, uint32_t msr, uint32_t value)
{
	struct soft_apic *apic = &vcpu->apic;

	switch (msr) {
	case MSR_TPR:
		if (value > 0xff)
			return false;
		vcpu->cpu.cr8 = value >> 4;
		apic->tpr_low = value & 15;
		return true;
	case MSR_EOI:
	case MSR_ESR:
		if (value != 0)
			return false;
		if (msr == MSR_ESR)
			apic->esr = 0;
		else if (highest(apic->isr) >= 0)
			clear_bit(apic->isr, (unsigned int)highest(apic->isr));
		return true;
	case MSR_SVR:
		if (value & ~0x1ffu)
			return false;
		apic->svr = value;
		return true;
	case MSR_TIMER_INITIAL:
		start_timer(vcpu, value);
		return true;
	case MSR_TIMER_DIVIDE:
		if (value & ~0xbu)
			return false;
		apic->timer_divide = value;
		return true;
	case MSR_SELF:
		if (value > 0xff)
			return false;
		soft_apic_raise(vcpu, (uint8_t)value);
		return true;
	default:
		return false;
	}
}

bool soft_apic_write(struct soft_vcpu *vcpu, uint32_t msr, uint64_t value)
{
	if (!(vcpu->apic.base & BASE_X2APIC))
		return false;
	if (msr == MSR_ICR) {
		if (value & 0xfff32000)
			return false;
		write_icr(vcpu, value);
		return true;
	}
	if (value >> 32)
		return false;
	if (msr >= MSR_LVT_TIMER && msr <= MSR_LVT_ERROR) {
		if (value & ~(uint64_t)LVT_WRITABLE)
			return false;
		vcpu->apic.lvt[msr - MSR_LVT_TIMER] = (uint32_t)value;
		return true;
	}
	if (!write_plain(vcpu, msr, (uint32_t)value))
		return false;
	/* What was below a priority may be above it now. */
	if (msr == MSR_TPR || msr == MSR_EOI)
		__atomic_store_n(&vcpu->cpu.kick, true, __ATOMIC_RELAXED);
	return true;
}
