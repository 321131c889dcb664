/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state of a vCPU: what it knows of itself (CPUID) and where it starts (guest/abi.h, ENTRY). */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "mm/x86.h"
#include "ept/kvm_fd.h"
#include "vmm/machine/vcpu.h"
#include "vmm/machine/vm.h"

/* IA32_APIC_BASE (SDM vol. 3A, 11.4.4 and 11.12.1). */
#define APIC_BASE_ADDRESS 0xfee00000ull
#define APIC_BASE_BSP     (1ull << 8)
#define APIC_BASE_X2APIC  (1ull << 10)
#define APIC_BASE_ENABLE  (1ull << 11)

/* Types of segment descriptors (SDM vol. 3A, 3.4.5.1 and 3.5). */
#define SEGMENT_CODE     11 /* execute, read, accessed */
#define SEGMENT_DATA     3  /* read, write, accessed */
#define SEGMENT_LDT      2
#define SEGMENT_TSS_BUSY 11

#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10
#define SELECTOR_TSS  0x18

/* RFLAGS bit 1 is always set. */
#define RFLAGS_FIXED 2

/* ---- CPUID ---- */

static void set_feature(uint32_t *word, unsigned int bit, bool on)
{
	*word = (*word & ~(1u << bit)) | (uint32_t)on << bit;
}

/*
 * Leaf 1: the initial APIC id, one thread a package, x2APIC. What only a second hypervisor or
 * firmware would use is hidden: MONITOR, VMX, SMX, TSC deadline; the hypervisor bit is set.
 */
static void adjust_leaf_1(struct kvm_cpuid_entry2 *entry, unsigned int index)
{
	entry->ebx = (entry->ebx & 0x0000ffff) | 1u << 16 | index << 24;
	set_feature(&entry->ecx, 3, false);
	set_feature(&entry->ecx, 5, false);
	set_feature(&entry->ecx, 6, false);
	set_feature(&entry->ecx, 24, false);
	set_feature(&entry->ecx, 21, true);
	set_feature(&entry->ecx, 31, true);
	set_feature(&entry->edx, 28, false);
}

/* Every APIC is a package of its own: the topology leaves hold nothing but the id. */
static void adjust_topology(struct kvm_cpuid_entry2 *entry, unsigned int index)
{
	entry->eax = 0;
	entry->ebx = 0;
	entry->ecx = entry->index;
	entry->edx = index;
}

/* Whether the guest gets this leaf at all. KVM's own (0x40000000) is of no use to it. */
static bool leaf_is_kept(const struct kvm_cpuid_entry2 *entry)
{
	return entry->function < 0x40000000 || entry->function >= 0x80000000;
}

static void adjust_leaf(struct kvm_cpuid_entry2 *entry, unsigned int index)
{
	switch (entry->function) {
	case 1:
		adjust_leaf_1(entry, index);
		break;
	case 0xb:
	case 0x1f:
		adjust_topology(entry, index);
		break;
	case 0x80000001:
		set_feature(&entry->ecx, 2, false); /* SVM */
		break;
	case 0x80000008:
		entry->ecx = 0; /* one core */
		break;
	case 0x8000000a:
		entry->eax = entry->ebx = entry->ecx = entry->edx = 0; /* SVM's own */
		break;
	default:
		break;
	}
}

static int set_cpuid(struct vcpu *vcpu, const struct kvm_cpuid2 *supported, struct error *error)
{
	size_t bytes = sizeof(*supported) + supported->nent * sizeof(supported->entries[0]);
	struct kvm_cpuid2 *cpuid = calloc(1, bytes);
	int err = 0;

	if (!cpuid)
		return error_set(error, -ENOMEM, "no memory for vCPU %u's CPUID", vcpu->index);
	for (unsigned int i = 0; i < supported->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &cpuid->entries[cpuid->nent];

		if (!leaf_is_kept(&supported->entries[i]))
			continue;
		*entry = supported->entries[i];
		adjust_leaf(entry, vcpu->index);
		cpuid->nent++;
	}
	if (kvm_ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid) != 0)
		err = error_set(error, -errno, "KVM_SET_CPUID2 on vCPU %u: %s", vcpu->index,
				strerror(errno));
	free(cpuid);
	return err;
}

/* ---- registers ---- */

static struct kvm_segment flat_segment(uint8_t type, uint16_t selector)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
		.g = 1,
		.l = type == SEGMENT_CODE,
		.db = type != SEGMENT_CODE,
	};
}

static void entry_sregs(const struct vcpu *vcpu, const struct boot *boot, struct kvm_sregs *sregs)
{
	struct kvm_segment data = flat_segment(SEGMENT_DATA, SELECTOR_DATA);

	sregs->cs = flat_segment(SEGMENT_CODE, SELECTOR_CODE);
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
	sregs->tr = (struct kvm_segment){
		.limit = 0x67, .selector = SELECTOR_TSS, .type = SEGMENT_TSS_BUSY, .present = 1};
	sregs->ldt = (struct kvm_segment){.type = SEGMENT_LDT, .unusable = 1};
	sregs->gdt = sregs->idt = (struct kvm_dtable){0};
	sregs->cr0 = X86_CR0_PE | X86_CR0_MP | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_PG;
	sregs->cr2 = 0;
	sregs->cr3 = boot->root.value;
	sregs->cr4 = X86_CR4_PAE | X86_CR4_PGE;
	sregs->efer = X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE | X86_EFER_SCE;
	sregs->apic_base = APIC_BASE_ADDRESS | APIC_BASE_ENABLE | APIC_BASE_X2APIC |
			   (vcpu->index == 0 ? APIC_BASE_BSP : 0);
}

static int set_registers(struct vcpu *vcpu, const struct boot *boot, struct error *error)
{
	struct kvm_mp_state runnable = {.mp_state = KVM_MP_STATE_RUNNABLE};
	struct kvm_regs regs = {
		.rip = boot->entry.value,
		.rflags = RFLAGS_FIXED,
		.rdi = boot->info_gva.value,
		.rsi = vcpu->index,
	};
	struct kvm_sregs sregs;
	const char *what = "KVM_GET_SREGS";

	if (kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) != 0)
		goto failed;
	entry_sregs(vcpu, boot, &sregs);
	what = "KVM_SET_SREGS";
	if (kvm_ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) != 0)
		goto failed;
	what = "KVM_SET_REGS";
	if (kvm_ioctl(vcpu->fd, KVM_SET_REGS, &regs) != 0)
		goto failed;
	what = "KVM_SET_MP_STATE";
	if (kvm_ioctl(vcpu->fd, KVM_SET_MP_STATE, &runnable) != 0)
		goto failed;
	return 0;
failed:
	return error_set(error, -errno, "%s on vCPU %u: %s", what, vcpu->index, strerror(errno));
}

int vcpu_set_entry(struct vcpu *vcpu, const struct kvm_cpuid2 *cpuid, const struct boot *boot,
		   struct error *error)
{
	int err = set_cpuid(vcpu, cpuid, error);

	return err ? err : set_registers(vcpu, boot, error);
}

int vcpu_get_registers(struct vcpu *vcpu, struct kvm_regs *regs_out, struct kvm_sregs *sregs_out)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	if (kvm_ioctl(vcpu->fd, KVM_GET_REGS, &regs) != 0 ||
	    kvm_ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) != 0)
		return -errno;
	*regs_out = regs;
	*sregs_out = sregs;
	return 0;
}

static int apply_debug(struct vcpu *vcpu)
{
	struct kvm_guest_debug both = vcpu->debug;

	both.control |= vcpu->step;
	return kvm_ioctl(vcpu->fd, KVM_SET_GUEST_DEBUG, &both) ? -errno : 0;
}

int vcpu_set_debug(struct vcpu *vcpu, const struct kvm_guest_debug *debug)
{
	vcpu->debug = *debug;
	return apply_debug(vcpu);
}

int vcpu_set_step(struct vcpu *vcpu, uint32_t step)
{
	vcpu->step = step;
	return apply_debug(vcpu);
}

uint64_t vcpu_tsc_khz(const struct vcpu *vcpu)
{
	int khz = kvm_ioctl(vcpu->fd, KVM_GET_TSC_KHZ, 0);

	return khz > 0 ? (uint64_t)khz : 0;
}

int vcpu_paging_mode(const struct vcpu *vcpu, const struct kvm_sregs *sregs,
		     struct paging_mode *mode_out)
{
	int err = paging_mode_from_registers(sregs->cr0, sregs->cr3, sregs->cr4, sregs->efer,
					     vcpu->vm->physical_bits, mode_out);

	if (!err)
		mode_out->no_1g_pages = vcpu->vm->no_1g_pages;
	return err;
}
