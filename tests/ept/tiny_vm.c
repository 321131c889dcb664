/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A machine for tests: long mode, an identity map, three programs of a few bytes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ept/kvm_fd.h"
#include "mm/x86.h"
#include "tests/engine.h"
#include "tests/ept/tiny_vm.h"

#define PML4_GPA  0x1000
#define PDPT_GPA  0x2000
#define PD_GPA    0x10000 /* one for each GiB of the map */
#define MAP_GIB   8u
#define STORE_GPA 0x3000
#define LOAD_GPA  0x3010
#define PAGES_GPA 0x3020

static const uint8_t store_code[] = {0x88, 0x07, 0xf4};      /* mov [rdi], al; hlt */
static const uint8_t load_code[] = {0x48, 0x8b, 0x07, 0xf4}; /* mov rax, [rdi]; hlt */
static const uint8_t pages_code[] = {
	0x88, 0x07,                               /* 1: mov [rdi], al */
	0x48, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, /* add rdi, 4096 */
	0x48, 0xff, 0xc9,                         /* dec rcx */
	0x75, 0xf2,                               /* jnz 1b */
	0xf4,                                     /* hlt */
};

static void need(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "tiny_vm: %s: %s\n", what, strerror(errno));
	abort();
}

static void set_cpuid(struct tiny_vm *vm)
{
	size_t bytes = sizeof(struct kvm_cpuid2) + 256 * sizeof(struct kvm_cpuid_entry2);
	struct kvm_cpuid2 *cpuid = calloc(1, bytes);

	cpuid->nent = 256;
	need(kvm_ioctl(vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) == 0, "KVM_GET_SUPPORTED_CPUID");
	need(kvm_ioctl(vm->vcpu_fd, KVM_SET_CPUID2, cpuid) == 0, "KVM_SET_CPUID2");
	free(cpuid);
}

static void set_long_mode(struct tiny_vm *vm)
{
	struct kvm_segment code = {.limit = 0xffffffff,
				   .selector = 8,
				   .type = 11,
				   .present = 1,
				   .s = 1,
				   .l = 1,
				   .g = 1};
	struct kvm_segment data = {.limit = 0xffffffff,
				   .selector = 16,
				   .type = 3,
				   .present = 1,
				   .s = 1,
				   .db = 1,
				   .g = 1};
	struct kvm_sregs sregs;

	need(kvm_ioctl(vm->vcpu_fd, KVM_GET_SREGS, &sregs) == 0, "KVM_GET_SREGS");
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.ss = sregs.fs = sregs.gs = data;
	sregs.cr0 = X86_CR0_PE | X86_CR0_PG | X86_CR0_ET | X86_CR0_NE | X86_CR0_WP;
	sregs.cr3 = PML4_GPA;
	sregs.cr4 = X86_CR4_PAE;
	sregs.efer = X86_EFER_LME | X86_EFER_LMA;
	need(kvm_ioctl(vm->vcpu_fd, KVM_SET_SREGS, &sregs) == 0, "KVM_SET_SREGS");
}

static void fill_low(char *low)
{
	uint64_t *pml4 = (uint64_t *)(low + PML4_GPA), *pdpt = (uint64_t *)(low + PDPT_GPA);
	uint64_t *pd = (uint64_t *)(low + PD_GPA), i;

	pml4[0] = PDPT_GPA | X86_PTE_P | X86_PTE_RW;
	for (i = 0; i < MAP_GIB; i++)
		pdpt[i] = (PD_GPA + i * X86_PAGE_SIZE) | X86_PTE_P | X86_PTE_RW;
	/* kvm_pvm has no 1 GiB pages. */
	for (i = 0; i < MAP_GIB * 512; i++)
		pd[i] = i << 21 | X86_PTE_P | X86_PTE_RW | X86_PTE_PS;
	memcpy(low + STORE_GPA, store_code, sizeof(store_code));
	memcpy(low + LOAD_GPA, load_code, sizeof(load_code));
	memcpy(low + PAGES_GPA, pages_code, sizeof(pages_code));
}

void tiny_vm_create(struct tiny_vm *vm, tiny_vm_prepare_fn prepare)
{
	struct gpa_request low = {.name = "low", .size_bytes = EPT_PAGE_2M_BYTES};
	struct error error;

	memset(vm, 0, sizeof(*vm));
	need(kvm_open(harness_engine(), &vm->kvm_fd, &error) == 0, "kvm_open");
	vm->vm_fd = kvm_ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	need(vm->vm_fd >= 0, "KVM_CREATE_VM");
	/* Where kvm_intel without unrestricted guests keeps its own pages. */
	(void)kvm_ioctl(vm->vm_fd, KVM_SET_TSS_ADDR, 0xfffbd000);
	need(gpa_space_create(40, &vm->space, &error) == 0, "gpa_space_create");
	need(kvm_slots_create(vm->vm_fd, vm->space, &vm->slots, &error) == 0, "kvm_slots_create");
	fill_low(tiny_vm_add(vm, &low)->host);
	if (prepare)
		prepare(vm);
	vm->vcpu_fd = kvm_ioctl(vm->vm_fd, KVM_CREATE_VCPU, 0);
	need(vm->vcpu_fd >= 0, "KVM_CREATE_VCPU");
	vm->run_bytes = (size_t)kvm_ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm->run = mmap(NULL, vm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu_fd, 0);
	need(vm->run != MAP_FAILED, "kvm_run");
	set_cpuid(vm);
	set_long_mode(vm);
}

void tiny_vm_destroy(struct tiny_vm *vm)
{
	munmap(vm->run, vm->run_bytes);
	kvm_close(vm->vcpu_fd);
	kvm_slots_destroy(vm->slots);
	gpa_space_destroy(vm->space);
	kvm_close(vm->vm_fd);
	kvm_close(vm->kvm_fd);
}

const struct gpa_region *tiny_vm_add(struct tiny_vm *vm, const struct gpa_request *request)
{
	const struct gpa_region *region;
	struct error error;

	if (gpa_space_add(vm->space, request, &region, &error) == 0)
		return region;
	fprintf(stderr, "tiny_vm: %s\n", error.text);
	abort();
}

int tiny_vm_continue(struct tiny_vm *vm)
{
	struct kvm_regs regs;
	int err;

	do
		err = kvm_ioctl(vm->vcpu_fd, KVM_RUN, 0) == 0 ? 0 : -errno;
	while (err == -EINTR || err == -EAGAIN);
	if (err)
		return err;
	need(kvm_ioctl(vm->vcpu_fd, KVM_GET_REGS, &regs) == 0, "KVM_GET_REGS");
	vm->rax = regs.rax;
	return (int)vm->run->exit_reason;
}

static int start(struct tiny_vm *vm, uint64_t rip, uint64_t rdi, uint64_t rax, uint64_t rcx)
{
	struct kvm_regs regs = {.rip = rip, .rdi = rdi, .rax = rax, .rcx = rcx, .rflags = 2};

	/* An exit left halfway (MMIO) is finished first: KVM completes it at the next entry. */
	vm->run->immediate_exit = 1;
	(void)kvm_ioctl(vm->vcpu_fd, KVM_RUN, 0);
	vm->run->immediate_exit = 0;
	need(kvm_ioctl(vm->vcpu_fd, KVM_SET_REGS, &regs) == 0, "KVM_SET_REGS");
	return tiny_vm_continue(vm);
}

int tiny_vm_store(struct tiny_vm *vm, uint64_t gpa, uint8_t value)
{
	return start(vm, STORE_GPA, gpa, value, 0);
}

int tiny_vm_load(struct tiny_vm *vm, uint64_t gpa, uint64_t *value_out)
{
	int exit_reason = start(vm, LOAD_GPA, gpa, 0, 0);

	*value_out = vm->rax;
	return exit_reason;
}

int tiny_vm_store_pages(struct tiny_vm *vm, uint64_t gpa, uint64_t pages, uint8_t value)
{
	return start(vm, PAGES_GPA, gpa, value, pages);
}
