/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KVM_RUN as its caller knows it (api.rst 4.10 and 5): what kvm_run says at each exit, what an exit
 * leaves to be completed at the next entry, and that immediate_exit completes and does no more.
 */
#include <errno.h>
#include <string.h>

#include "vmm/soft/check_private.h"
#include "vmm/soft/history_private.h"
#include "vmm/soft/private.h"

/* Older headers have neither. */
#ifndef KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES
#define KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES 1
#endif

/* ---- exits ---- */

static void *io_data(const struct soft_vcpu *vcpu)
{
	return (char *)vcpu->run + SOFT_RUN_DATA;
}

static void exit_io(struct soft_vcpu *vcpu)
{
	const struct soft_io *io = &vcpu->cpu.io;
	struct kvm_run *run = vcpu->run;

	soft_count(vcpu, SOFT_VCPU_IO_EXITS);
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = io->write ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
	run->io.size = io->bytes;
	run->io.port = (uint16_t)io->address;
	run->io.count = 1;
	run->io.data_offset = SOFT_RUN_DATA;
	memcpy(io_data(vcpu), &io->data, sizeof(io->data));
}

static void exit_mmio(struct soft_vcpu *vcpu)
{
	const struct soft_io *io = &vcpu->cpu.io;
	struct kvm_run *run = vcpu->run;

	soft_count(vcpu, SOFT_VCPU_MMIO_EXITS);
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = io->address;
	run->mmio.len = io->bytes;
	run->mmio.is_write = io->write;
	memset(run->mmio.data, 0, sizeof(run->mmio.data));
	if (io->write)
		memcpy(run->mmio.data, &io->data, io->bytes);
}

static void exit_debug(struct soft_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_DEBUG;
	run->debug.arch = (struct kvm_debug_exit_arch){
		.exception = vcpu->cpu.debug_hit.vector,
		.pc = vcpu->cpu.debug_hit.pc,
		.dr6 = vcpu->cpu.debug_hit.dr6,
		.dr7 = vcpu->cpu.debug_hit.dr7,
	};
}

/* As struct kvm_run's emulation_failure: flags, then how many bytes, then they. */
static void exit_internal(struct soft_vcpu *vcpu, const uint8_t *bytes, uint8_t length)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *insn = (uint8_t *)&run->internal.data[1];

	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run->internal.ndata = length ? 4 : 0;
	memset(run->internal.data, 0, sizeof(run->internal.data));
	if (!length)
		return;
	run->internal.data[0] = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	insn[0] = length;
	memcpy(insn + 1, bytes, length);
}

/* struct kvm_run's memory_fault of Linux 6.8: flags, gpa, size. */
static int exit_denied(struct soft_vcpu *vcpu)
{
	const uint64_t fault[3] = {0, vcpu->reason_gpa, EPT_PAGE_BYTES};

	vcpu->run->exit_reason = KVM_EXIT_MEMORY_FAULT;
	memcpy(&vcpu->run->hw, fault, sizeof(fault));
	return -EFAULT;
}

/* Returns what KVM_RUN is to return. */
static int exit_engine(struct soft_vcpu *vcpu)
{
	switch (vcpu->reason) {
	case SOFT_DENIED:
		return exit_denied(vcpu);
	case SOFT_NO_MEMORY:
		return -ENOMEM;
	case SOFT_CHECKED:
		exit_internal(vcpu, NULL, 0);
		vcpu->run->internal.suberror = SOFT_SUBERROR_CHECK;
		return 0;
	default:
		exit_internal(vcpu, NULL, 0);
		return 0;
	}
}

static void halt(struct soft_vcpu *vcpu)
{
	soft_count(vcpu, SOFT_VCPU_HALT_EXITS);
	if (vcpu->vm->has_apics && vcpu->cpu.debug_step) {
		/* Halted it is; the next KVM_RUN sleeps. */
		vcpu->cpu.debug_hit.vector = SOFT_DB;
		vcpu->cpu.debug_hit.pc = vcpu->cpu.rip;
		vcpu->cpu.debug_hit.dr6 = SOFT_DR6_FIXED | SOFT_DR6_BS;
		vcpu->cpu.debug_hit.dr7 = vcpu->cpu.debug_dr7 | SOFT_DR7_FIXED;
		exit_debug(vcpu);
		soft_leave(vcpu, 0);
		return;
	}
	if (vcpu->vm->has_apics) {
		vcpu->state = SOFT_HALTED;
		return;
	}
	/* Nobody but its user can wake it: the next KVM_RUN does. */
	vcpu->cpu.halted = false;
	vcpu->run->exit_reason = KVM_EXIT_HLT;
	soft_leave(vcpu, 0);
}

void soft_turn_ended(struct soft_vcpu *vcpu, enum soft_stop stop)
{
	int result = 0;

	switch (stop) {
	case SOFT_STOP_BUDGET:
	case SOFT_STOP_PAUSE:
	case SOFT_STOP_KICK:
		return;
	case SOFT_STOP_HLT:
		halt(vcpu);
		return;
	case SOFT_STOP_IO:
		exit_io(vcpu);
		break;
	case SOFT_STOP_MMIO:
		exit_mmio(vcpu);
		break;
	case SOFT_STOP_SHUTDOWN:
		vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
		break;
	case SOFT_STOP_DEBUG:
		exit_debug(vcpu);
		break;
	case SOFT_STOP_INTERNAL:
		exit_internal(vcpu, vcpu->cpu.unknown.bytes, vcpu->cpu.unknown.length);
		break;
	case SOFT_STOP_ENGINE:
		result = exit_engine(vcpu);
		break;
	}
	soft_leave(vcpu, result);
}

/* ---- entry ---- */

/* What a port or a device was asked for is where the last exit said. */
static void take_answer(struct soft_vcpu *vcpu)
{
	struct soft_io *io = &vcpu->cpu.io;

	if (io->write || io->bytes > sizeof(io->data))
		return;
	io->data = 0;
	memcpy(&io->data, io->mmio ? vcpu->run->mmio.data : io_data(vcpu), io->bytes);
}

/* Whether a signal waits that KVM_SET_SIGNAL_MASK lets through. */
static bool signal_waits(const struct soft_vcpu *vcpu)
{
	sigset_t pending;

	if (!vcpu->has_signal_mask || sigpending(&pending) != 0)
		return false;
	for (int signal = 1; signal <= SIGRTMAX; signal++)
		if (sigismember(&pending, signal) == 1 &&
		    sigismember(&vcpu->signal_mask, signal) == 0)
			return true;
	return false;
}

/* 64-bit mode with paging, or nothing. */
static bool can_run(const struct soft_cpu *cpu)
{
	const uint64_t cr0 = X86_CR0_PE | X86_CR0_PG;

	return (cpu->cr0 & cr0) == cr0 && (cpu->cr4 & X86_CR4_PAE) && !(cpu->cr4 & X86_CR4_LA57) &&
	       (cpu->efer & X86_EFER_LMA);
}

static void enter(struct soft_vcpu *vcpu)
{
	vcpu->reason = SOFT_NO_REASON;
	vcpu->state = SOFT_READY;
	if (vcpu->cpu.io_waits)
		take_answer(vcpu);
	/* A kick may take the first turn; an instruction of many accesses leaves with the next. */
	for (int i = 0; i < 2 && (vcpu->cpu.io_waits || vcpu->cpu.answer_count); i++) {
		soft_give_turn(vcpu, 1, true);
		if (vcpu->state == SOFT_LEAVES)
			return;
	}
	if (vcpu->run->immediate_exit || signal_waits(vcpu)) {
		vcpu->run->exit_reason = KVM_EXIT_INTR;
		soft_leave(vcpu, -EINTR);
		return;
	}
	if (!vcpu->wait_init && !can_run(&vcpu->cpu)) {
		exit_internal(vcpu, NULL, 0);
		soft_leave(vcpu, 0);
		return;
	}
	if (vcpu->wait_init || vcpu->cpu.halted)
		vcpu->state = SOFT_HALTED;
	soft_take_part(vcpu);
}

int soft_run(struct soft_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	soft_vm_lock(vcpu->vm);
	soft_count(vcpu, SOFT_VCPU_EXITS);
	if (vcpu->vm->history && vcpu->vm->history->away) {
		run->exit_reason = KVM_EXIT_INTR;
		vcpu->result = -EINTR;
	} else {
		soft_race_enter(vcpu);
		enter(vcpu);
		soft_race_leave(vcpu);
	}
	vcpu->state = SOFT_OUTSIDE;
	soft_vm_unlock(vcpu->vm);
	run->if_flag = (vcpu->cpu.rflags & SOFT_IF) != 0;
	run->ready_for_interrupt_injection = run->if_flag;
	run->cr8 = vcpu->cpu.cr8;
	run->apic_base = vcpu->apic.base;
	return vcpu->result;
}
