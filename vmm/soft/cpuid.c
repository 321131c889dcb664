/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the processor says of itself: long mode with general registers, and what of it exec.c does.
 * The same on every host, so that a run is. There is no FPU, no SSE and no AVX, no PCID, SMEP,
 * SMAP or protection keys. MOVBE, POPCNT and LZCNT are offered; CRC32 and TZCNT are known but not
 * offered, as their bits stand for more (SSE4.2, BMI1); BMI and ADX are neither.
 */
#include <string.h>

#include "vmm/soft/private.h"

#define MAX_BASIC    0x15u
#define MAX_EXTENDED 0x80000008u

/* Leaf 1, EDX. */
#define EDX_PSE   (1u << 3)
#define EDX_TSC   (1u << 4)
#define EDX_MSR   (1u << 5)
#define EDX_PAE   (1u << 6)
#define EDX_CX8   (1u << 8)
#define EDX_APIC  (1u << 9)
#define EDX_PGE   (1u << 13)
#define EDX_CMOV  (1u << 15)
#define EDX_PAT   (1u << 16)
#define EDX_CLFSH (1u << 19)
/* Leaf 1, ECX. */
#define ECX_CX16       (1u << 13)
#define ECX_X2APIC     (1u << 21)
#define ECX_MOVBE      (1u << 22)
#define ECX_POPCNT     (1u << 23)
#define ECX_HYPERVISOR (1u << 31)
/* Leaf 0x80000001. */
#define ECX_LAHF    (1u << 0)
#define ECX_LZCNT   (1u << 5)
#define EDX_SYSCALL (1u << 11)
#define EDX_NX      (1u << 20)
#define EDX_1G      (1u << 26)
#define EDX_RDTSCP  (1u << 27)
#define EDX_LM      (1u << 29)

#define NAME "nestbox soft engine\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"

static uint32_t word(const char *text)
{
	uint32_t value;

	memcpy(&value, text, sizeof(value));
	return value;
}

static const struct {
	uint32_t function;
	uint32_t eax, ebx, ecx, edx;
} leaves[] = {
	/* "GenuineIntel": the second stage is Intel's. */
	{0, MAX_BASIC, 0x756e6547, 0x6c65746e, 0x49656e69},
	/* Family 6, model 0x9e; CLFLUSH lines of 64 bytes. */
	{1, 0x000906e9, 8 << 8 | 1 << 16,
	 ECX_CX16 | ECX_X2APIC | ECX_MOVBE | ECX_POPCNT | ECX_HYPERVISOR,
	 EDX_PSE | EDX_TSC | EDX_MSR | EDX_PAE | EDX_CX8 | EDX_APIC | EDX_PGE | EDX_CMOV | EDX_PAT |
		 EDX_CLFSH},
	{7, 0, 0, 0, 0},
	{0xb, 0, 0, 0, 0},
	/* The TSC's rate: a crystal of its own, 1:1. */
	{0x15, 1, 1, SOFT_TSC_KHZ * 1000u, 0},
	{0x80000000, MAX_EXTENDED, 0, 0, 0},
	{0x80000001, 0, 0, ECX_LAHF | ECX_LZCNT,
	 EDX_SYSCALL | EDX_NX | EDX_1G | EDX_RDTSCP | EDX_LM},
	{0x80000002, 0, 0, 0, 0},
	{0x80000003, 0, 0, 0, 0},
	{0x80000004, 0, 0, 0, 0},
	/* Invariant TSC. */
	{0x80000007, 0, 0, 0, 1u << 8},
	{0x80000008, 48u << 8 | SOFT_PHYSICAL_BITS, 0, 0, 0},
};

#define NR_LEAVES (sizeof(leaves) / sizeof(leaves[0]))

unsigned int soft_cpuid_supported(struct kvm_cpuid_entry2 *entries, unsigned int room)
{
	for (unsigned int i = 0; i < NR_LEAVES && i < room; i++) {
		struct kvm_cpuid_entry2 *entry = &entries[i];
		uint32_t function = leaves[i].function;

		*entry = (struct kvm_cpuid_entry2){
			.function = function,
			.flags = function == 7 || function == 0xb ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX
								  : 0,
			.eax = leaves[i].eax,
			.ebx = leaves[i].ebx,
			.ecx = leaves[i].ecx,
			.edx = leaves[i].edx,
		};
		if (function >= 0x80000002 && function <= 0x80000004) {
			const char *name = NAME + (function - 0x80000002) * 16;

			entry->eax = word(name);
			entry->ebx = word(name + 4);
			entry->ecx = word(name + 8);
			entry->edx = word(name + 12);
		}
	}
	return NR_LEAVES;
}

static const struct kvm_cpuid_entry2 *find(const struct kvm_cpuid2 *cpuid, uint32_t leaf,
					   uint32_t subleaf)
{
	for (unsigned int i = 0; cpuid && i < cpuid->nent; i++) {
		const struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		if (entry->function == leaf &&
		    (!(entry->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || entry->index == subleaf))
			return entry;
	}
	return NULL;
}

/* A leaf that KVM_SET_CPUID2 did not have is all zero. */
void soft_cpuid(struct soft_cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t regs_out[4])
{
	const struct kvm_cpuid_entry2 *entry = find(soft_vcpu_of(cpu)->cpuid, leaf, subleaf);

	memset(regs_out, 0, 4 * sizeof(*regs_out));
	if (!entry)
		return;
	regs_out[0] = entry->eax;
	regs_out[1] = entry->ebx;
	regs_out[2] = entry->ecx;
	regs_out[3] = entry->edx;
}
