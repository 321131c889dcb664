/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A vCPU: its life, and its requests but KVM_RUN. Its descriptor is a memfd that holds kvm_run. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ept/kvm_fd.h"
#include "vmm/soft/check_private.h"
#include "vmm/soft/history_private.h"
#include "vmm/soft/private.h"

#ifndef KVM_GUESTDBG_BLOCKIRQ
#define KVM_GUESTDBG_BLOCKIRQ 0x00100000
#endif

#define CPUID_ENTRIES_MAX 256u

/* ---- registers ---- */

static void get_regs(const struct soft_vcpu *vcpu, struct kvm_regs *regs)
{
	const uint64_t *r = vcpu->cpu.regs;

	*regs = (struct kvm_regs){
		.rax = r[0],
		.rcx = r[1],
		.rdx = r[2],
		.rbx = r[3],
		.rsp = r[4],
		.rbp = r[5],
		.rsi = r[6],
		.rdi = r[7],
		.r8 = r[8],
		.r9 = r[9],
		.r10 = r[10],
		.r11 = r[11],
		.r12 = r[12],
		.r13 = r[13],
		.r14 = r[14],
		.r15 = r[15],
		.rip = vcpu->cpu.rip,
		.rflags = soft_cpu_rflags(&vcpu->cpu),
	};
}

/* As KVM: an exception that was on its way is forgotten. */
static void set_regs(struct soft_vcpu *vcpu, const struct kvm_regs *regs)
{
	const uint64_t r[16] = {regs->rax, regs->rcx, regs->rdx, regs->rbx, regs->rsp, regs->rbp,
				regs->rsi, regs->rdi, regs->r8,  regs->r9,  regs->r10, regs->r11,
				regs->r12, regs->r13, regs->r14, regs->r15};

	memcpy(vcpu->cpu.regs, r, sizeof(r));
	vcpu->cpu.rip = regs->rip;
	soft_cpu_set_rflags(&vcpu->cpu, regs->rflags | 2);
	vcpu->cpu.event.pending = false;
}

static void get_sregs(const struct soft_vcpu *vcpu, struct kvm_sregs *sregs)
{
	const struct soft_cpu *cpu = &vcpu->cpu;

	*sregs = (struct kvm_sregs){
		.cs = cpu->segments[SOFT_CS],
		.ds = cpu->segments[SOFT_DS],
		.es = cpu->segments[SOFT_ES],
		.fs = cpu->segments[SOFT_FS],
		.gs = cpu->segments[SOFT_GS],
		.ss = cpu->segments[SOFT_SS],
		.tr = cpu->tr,
		.ldt = cpu->ldt,
		.gdt = cpu->gdt,
		.idt = cpu->idt,
		.cr0 = cpu->cr0,
		.cr2 = cpu->cr2,
		.cr3 = cpu->cr3,
		.cr4 = cpu->cr4,
		.cr8 = cpu->cr8,
		.efer = cpu->efer,
		.apic_base = vcpu->apic.base,
	};
}

/* What KVM refuses of control registers that do not go together. */
static bool is_consistent(const struct kvm_sregs *sregs)
{
	if ((sregs->efer & X86_EFER_LME) && (sregs->cr0 & X86_CR0_PG))
		return (sregs->cr4 & X86_CR4_PAE) && (sregs->efer & X86_EFER_LMA) &&
		       !(sregs->cs.l && sregs->cs.db);
	return !(sregs->efer & X86_EFER_LMA) && !sregs->cs.l;
}

static int set_sregs(struct soft_vcpu *vcpu, const struct kvm_sregs *sregs)
{
	struct soft_cpu *cpu = &vcpu->cpu;

	if (!is_consistent(sregs))
		return -EINVAL;
	cpu->segments[SOFT_CS] = sregs->cs;
	cpu->segments[SOFT_DS] = sregs->ds;
	cpu->segments[SOFT_ES] = sregs->es;
	cpu->segments[SOFT_FS] = sregs->fs;
	cpu->segments[SOFT_GS] = sregs->gs;
	cpu->segments[SOFT_SS] = sregs->ss;
	cpu->tr = sregs->tr;
	cpu->ldt = sregs->ldt;
	cpu->gdt = sregs->gdt;
	cpu->idt = sregs->idt;
	cpu->cr0 = sregs->cr0;
	cpu->cr2 = sregs->cr2;
	cpu->cr3 = sregs->cr3;
	cpu->cr4 = sregs->cr4;
	cpu->cr8 = sregs->cr8 & 15;
	cpu->efer = sregs->efer;
	vcpu->apic.base = sregs->apic_base;
	soft_cpu_update(cpu);
	soft_cpu_drop_lines(cpu);
	soft_tlb_flush_all(&vcpu->tlb);
	return 0;
}

/* ---- the rest ---- */

static int set_cpuid(struct soft_vcpu *vcpu, const struct kvm_cpuid2 *cpuid)
{
	struct kvm_cpuid2 *copy;
	size_t bytes;

	if (cpuid->nent > CPUID_ENTRIES_MAX)
		return -E2BIG;
	bytes = sizeof(*cpuid) + cpuid->nent * sizeof(cpuid->entries[0]);
	copy = malloc(bytes);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, cpuid, bytes);
	free(vcpu->cpuid);
	vcpu->cpuid = copy;
	return 0;
}

static int get_mp_state(const struct soft_vcpu *vcpu, struct kvm_mp_state *state)
{
	state->mp_state = vcpu->wait_init                           ? KVM_MP_STATE_UNINITIALIZED
			  : vcpu->vm->has_apics && vcpu->cpu.halted ? KVM_MP_STATE_HALTED
								    : KVM_MP_STATE_RUNNABLE;
	return 0;
}

static int set_mp_state(struct soft_vcpu *vcpu, const struct kvm_mp_state *state)
{
	if (!vcpu->vm->has_apics && state->mp_state != KVM_MP_STATE_RUNNABLE)
		return -EINVAL;
	switch (state->mp_state) {
	case KVM_MP_STATE_RUNNABLE:
	case KVM_MP_STATE_HALTED:
		vcpu->wait_init = false;
		vcpu->cpu.halted = state->mp_state == KVM_MP_STATE_HALTED;
		return 0;
	case KVM_MP_STATE_UNINITIALIZED:
		vcpu->wait_init = true;
		return 0;
	default:
		return -EINVAL;
	}
}

static int set_debug(struct soft_vcpu *vcpu, const struct kvm_guest_debug *debug)
{
	const uint32_t known = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP |
			       KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_USE_HW_BP |
			       KVM_GUESTDBG_BLOCKIRQ;
	uint32_t control = debug->control & KVM_GUESTDBG_ENABLE ? debug->control : 0;
	struct soft_cpu *cpu = &vcpu->cpu;

	if (debug->control & ~known)
		return -EINVAL;
	cpu->debug_step = control & KVM_GUESTDBG_SINGLESTEP;
	cpu->debug_breakpoints = control & KVM_GUESTDBG_USE_SW_BP;
	vcpu->block_interrupts = control & KVM_GUESTDBG_BLOCKIRQ;
	cpu->debug_dr7 = 0;
	if (control & KVM_GUESTDBG_USE_HW_BP) {
		memcpy(cpu->debug_dr, debug->arch.debugreg, sizeof(cpu->debug_dr));
		cpu->debug_dr7 = debug->arch.debugreg[7];
	}
	soft_cpu_drop_lines(cpu);
	return 0;
}

static int set_signal_mask(struct soft_vcpu *vcpu, const struct kvm_signal_mask *mask)
{
	uint64_t bits;

	vcpu->has_signal_mask = mask != NULL;
	if (!mask)
		return 0;
	if (mask->len != sizeof(bits))
		return -EINVAL;
	memcpy(&bits, mask->sigset, sizeof(bits));
	sigemptyset(&vcpu->signal_mask);
	for (int signal = 1; signal <= 64; signal++)
		if (bits >> (signal - 1) & 1)
			(void)sigaddset(&vcpu->signal_mask, signal);
	return 0;
}

static int set_nmi(struct soft_vcpu *vcpu)
{
	vcpu->cpu.nmi = true;
	return 0;
}

static bool sets_state(unsigned long request)
{
	return request == KVM_SET_REGS || request == KVM_SET_SREGS || request == KVM_SET_MSRS ||
	       request == KVM_SET_MP_STATE || request == KVM_NMI;
}

static int answer(struct soft_vcpu *vcpu, unsigned long request, void *argument)
{
	struct soft_history *history = vcpu->vm->history;

	if (history && sets_state(request)) {
		if (history->away)
			return -EBUSY;
		soft_history_input(vcpu->vm, true);
	}
	switch (request) {
	case KVM_GET_REGS:
		return get_regs(vcpu, argument), 0;
	case KVM_SET_REGS:
		return set_regs(vcpu, argument), 0;
	case KVM_GET_SREGS:
		return get_sregs(vcpu, argument), 0;
	case KVM_SET_SREGS:
		return set_sregs(vcpu, argument);
	case KVM_SET_CPUID2:
		return set_cpuid(vcpu, argument);
	case KVM_GET_MP_STATE:
		return get_mp_state(vcpu, argument);
	case KVM_SET_MP_STATE:
		return set_mp_state(vcpu, argument);
	case KVM_SET_GUEST_DEBUG:
		return set_debug(vcpu, argument);
	case KVM_GET_MSRS:
		return soft_get_msrs(&vcpu->cpu, argument);
	case KVM_SET_MSRS:
		return soft_set_msrs(&vcpu->cpu, argument);
	case KVM_SET_SIGNAL_MASK:
		return set_signal_mask(vcpu, argument);
	case KVM_NMI:
		return set_nmi(vcpu);
	case KVM_TRANSLATE:
		return soft_mmu_translate(vcpu, argument), 0;
	default:
		return -ENOTTY;
	}
}

static int vcpu_ioctl(void *object, unsigned long request, void *argument)
{
	struct soft_vcpu *vcpu = object;
	int result;

	if (request == KVM_GET_TSC_KHZ)
		return SOFT_TSC_KHZ;
	if (request == KVM_GET_STATS_FD)
		return soft_stats_fd(&vcpu->stats);
	pthread_mutex_lock(&vcpu->mutex);
	if (request == KVM_RUN) {
		result = argument ? -EINVAL : soft_run(vcpu);
	} else {
		soft_vm_lock(vcpu->vm);
		result = answer(vcpu, request, argument);
		soft_vm_unlock(vcpu->vm);
	}
	pthread_mutex_unlock(&vcpu->mutex);
	return result;
}

static void vcpu_close(void *object)
{
	struct soft_vcpu *vcpu = object;

	soft_vm_put(vcpu->vm);
}

static const struct kvm_fd_ops vcpu_ops = {vcpu_ioctl, vcpu_close};

/* ---- the processor's surroundings ---- */

static uint64_t tsc(struct soft_cpu *cpu)
{
	struct soft_vcpu *vcpu = soft_vcpu_of(cpu);

	return soft_clock(vcpu->vm) + vcpu->tsc_offset;
}

static const struct soft_cpu_ops cpu_ops = {
	.fill = soft_mmu_fill,
	.access = soft_check_access,
	.written = soft_check_written,
	.flush = soft_mmu_flush,
	.read_msr = soft_read_msr,
	.write_msr = soft_write_msr,
	.cpuid = soft_cpuid,
	.tsc = tsc,
	.interrupt = soft_apic_acknowledge,
};

/* ---- life ---- */

void soft_vcpu_free(struct soft_vcpu *vcpu)
{
	soft_cpu_fini(&vcpu->cpu);
	soft_tlb_fini(&vcpu->tlb);
	soft_stats_destroy(&vcpu->stats);
	if (vcpu->run)
		munmap(vcpu->run, SOFT_RUN_BYTES);
	if (vcpu->wake >= 0)
		close(vcpu->wake);
	pthread_mutex_destroy(&vcpu->mutex);
	free(vcpu->cpuid);
	free(vcpu->finding);
	free(vcpu);
}

static int make_files(struct soft_vcpu *vcpu, int *fd_out)
{
	int fd, err = soft_stats_create(&vcpu->stats, (int)vcpu->id);
	void *run;

	if (err)
		return err;
	vcpu->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fd = vcpu->wake < 0 ? -1 : memfd_create("soft-vcpu", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	run = ftruncate(fd, SOFT_RUN_BYTES) == 0
		      ? mmap(NULL, SOFT_RUN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
		      : MAP_FAILED;
	if (run == MAP_FAILED)
		err = -errno;
	else
		vcpu->run = run;
	if (!err)
		err = kvm_fd_register(fd, &vcpu_ops, vcpu);
	if (err)
		close(fd);
	else
		*fd_out = fd;
	return err;
}

int soft_vcpu_create(struct soft_vm *vm, unsigned long id)
{
	struct soft_vcpu *vcpu;
	int fd = -1, err;

	if (id >= SOFT_VCPUS_MAX)
		return -EINVAL;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i]->id == id)
			return -EEXIST;
	vcpu = calloc(1, sizeof(*vcpu));
	if (!vcpu)
		return -ENOMEM;
	vcpu->vm = vm;
	vcpu->id = (unsigned int)id;
	vcpu->wake = -1;
	pthread_mutex_init(&vcpu->mutex, NULL);
	soft_tlb_init(&vcpu->tlb, vm->options.tlb_entries, vm->options.tlb_seed + id);
	soft_apic_reset(&vcpu->apic, id == 0);
	soft_cpu_init(&vcpu->cpu, &cpu_ops, vcpu, vm->code);
	/* Application processors wait for INIT and SIPI, or for KVM_SET_MP_STATE. */
	vcpu->wait_init = vm->has_apics && id != 0;
	err = make_files(vcpu, &fd);
	if (err) {
		soft_vcpu_free(vcpu);
		return err;
	}
	soft_vm_get(vm);
	vm->vcpus[vm->nr_vcpus++] = vcpu;
	return fd;
}

int soft_last_violation(int vcpu_fd, struct soft_violation *violation_out)
{
	struct soft_vcpu *vcpu = kvm_fd_object(vcpu_fd, &vcpu_ops);

	if (!vcpu)
		return -EBADF;
	*violation_out = vcpu->violation;
	return 0;
}

int soft_finding(int vcpu_fd, struct soft_finding *finding_out)
{
	struct soft_vcpu *vcpu = kvm_fd_object(vcpu_fd, &vcpu_ops);

	if (!vcpu)
		return -EBADF;
	if (!vcpu->finding)
		return -ENOENT;
	*finding_out = *vcpu->finding;
	return 0;
}
