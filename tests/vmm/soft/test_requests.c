/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The soft engine's descriptors and its errors: what KVM's API says of requests, slots and
 * registers that make no sense.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ept/kvm_fd.h"
#include "mm/x86.h"
#include "tests/ept/tiny_vm.h"
#include "tests/harness.h"
#include "vmm/soft/soft.h"

#define MIB (1ull << 20)

static int device(void)
{
	int fd;

	ck_assert_int_eq(soft_open(NULL, &fd), 0);
	return fd;
}

static int ask(int fd, unsigned long request, const void *argument)
{
	return kvm_ioctl(fd, request, argument) < 0 ? -errno : 0;
}

START_TEST(descriptors_live_as_long_as_somebody_holds_them)
{
	int kvm = device(), vm = kvm_ioctl(kvm, KVM_CREATE_VM, 0), vcpu, stats;
	struct kvm_regs regs;
	char id[8];

	ck_assert_int_ge(vm, 0);
	ck_assert(soft_is_device(kvm));
	ck_assert(!soft_is_device(vm));
	vcpu = kvm_ioctl(vm, KVM_CREATE_VCPU, 3ul);
	ck_assert_int_ge(vcpu, 0);
	ck_assert_int_eq(ask(vm, KVM_CREATE_VCPU, (void *)3ul), -EEXIST);
	ck_assert_int_eq(ask(vm, KVM_CREATE_VCPU, (void *)64ul), -EINVAL);
	stats = kvm_ioctl(vcpu, KVM_GET_STATS_FD, NULL);
	ck_assert_int_ge(stats, 0);
	ck_assert_int_eq(kvm_close(kvm), 0);
	ck_assert_int_eq(kvm_close(vm), 0);
	/* The vCPU holds its VM. */
	ck_assert_int_eq(ask(vcpu, KVM_GET_REGS, &regs), 0);
	ck_assert_int_eq(kvm_close(vcpu), 0);
	ck_assert_int_eq(pread(stats, id, sizeof(id), 0), (int)sizeof(id));
	close(stats);
	ck_assert_int_eq(ask(vcpu, KVM_GET_REGS, &regs), -EBADF);
}
END_TEST

START_TEST(what_it_does_not_know_is_enotty_and_what_it_has_not_is_zero)
{
	int kvm = device(), vm = kvm_ioctl(kvm, KVM_CREATE_VM, 0);
	int vcpu = kvm_ioctl(vm, KVM_CREATE_VCPU, 0ul);

	ck_assert_int_eq(ask(kvm, KVM_CREATE_VCPU, NULL), -ENOTTY);
	ck_assert_int_eq(ask(vm, KVM_RUN, NULL), -ENOTTY);
	ck_assert_int_eq(ask(vcpu, KVM_CREATE_VM, NULL), -ENOTTY);
	ck_assert_int_eq(kvm_ioctl(kvm, KVM_CHECK_EXTENSION, (unsigned long)KVM_CAP_DIRTY_LOG_RING),
			 0);
	ck_assert_int_eq(ask(vm, KVM_RESET_DIRTY_RINGS, NULL), -EINVAL);
	kvm_close(vcpu);
	kvm_close(vm);
	kvm_close(kvm);
}
END_TEST

START_TEST(slots_have_kvms_rules)
{
	static const struct {
		struct kvm_userspace_memory_region region;
		int err;
	} rows[] = {
		{{.slot = 1, .guest_phys_addr = 0x10000, .memory_size = 0x4000}, 0},
		{{.slot = 2, .guest_phys_addr = 0x14000, .memory_size = 0x1000}, 0},
		{{.slot = 3, .guest_phys_addr = 0x13000, .memory_size = 0x1000}, -EEXIST},
		{{.slot = 3, .guest_phys_addr = 0, .memory_size = MIB}, -EEXIST},
		{{.slot = 3, .guest_phys_addr = 0x100800, .memory_size = 0x1000}, -EINVAL},
		{{.slot = 3, .guest_phys_addr = 0x100000, .memory_size = 0x800}, -EINVAL},
		{{.slot = 3, .guest_phys_addr = 0x100000, .memory_size = 0}, -EINVAL},
		{{.slot = 3, .flags = 8, .guest_phys_addr = 0x100000, .memory_size = 0x1000},
		 -EINVAL},
		{{.slot = 40000, .guest_phys_addr = 0x100000, .memory_size = 0x1000}, -EINVAL},
		{{.slot = 3, .guest_phys_addr = 1ull << 48, .memory_size = 0x1000}, -EINVAL},
		{{.slot = 3, .guest_phys_addr = -0x1000ull, .memory_size = 0x2000}, -EINVAL},
		/* Another size; read-only now; moved; logged; moved onto another; deleted. */
		{{.slot = 1, .guest_phys_addr = 0x10000, .memory_size = 0x2000}, -EINVAL},
		{{.slot = 1, .flags = 2, .guest_phys_addr = 0x10000, .memory_size = 0x4000},
		 -EINVAL},
		{{.slot = 1, .guest_phys_addr = 0x20000, .memory_size = 0x4000}, 0},
		{{.slot = 1, .flags = 1, .guest_phys_addr = 0x20000, .memory_size = 0x4000}, 0},
		{{.slot = 1, .flags = 1, .guest_phys_addr = 0x13000, .memory_size = 0x4000},
		 -EEXIST},
		{{.slot = 1}, 0},
		{{.slot = 1}, -EINVAL},
	};
	int kvm = device(), vm = kvm_ioctl(kvm, KVM_CREATE_VM, 0);
	void *memory = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kvm_userspace_memory_region region = rows[i].region;

		region.userspace_addr = (uintptr_t)memory;
		ck_assert_msg(ask(vm, KVM_SET_USER_MEMORY_REGION, &region) == rows[i].err,
			      "row %zu", i);
	}
	munmap(memory, MIB);
	kvm_close(vm);
	kvm_close(kvm);
}
END_TEST

START_TEST(registers_come_back_and_nonsense_is_refused)
{
	struct kvm_regs regs = {.rip = 1, .rflags = 0x8d5, .r15 = 15, .rsp = 4}, back;
	struct kvm_sregs sregs;
	struct tiny_vm vm;

	tiny_vm_create(&vm, NULL);
	ck_assert_int_eq(ask(vm.vcpu_fd, KVM_SET_REGS, &regs), 0);
	ck_assert_int_eq(ask(vm.vcpu_fd, KVM_GET_REGS, &back), 0);
	regs.rflags |= 2;
	ck_assert_mem_eq(&regs, &back, sizeof(regs));
	ck_assert_int_eq(ask(vm.vcpu_fd, KVM_GET_SREGS, &sregs), 0);
	sregs.cr4 &= ~X86_CR4_PAE;
	ck_assert_int_eq(ask(vm.vcpu_fd, KVM_SET_SREGS, &sregs), -EINVAL);
	tiny_vm_destroy(&vm);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("soft, requests");
	TCase *tcase = tcase_create("requests");

	setenv("NESTBOX_KVM", "soft", 1);
	tcase_add_test(tcase, descriptors_live_as_long_as_somebody_holds_them);
	tcase_add_test(tcase, what_it_does_not_know_is_enotty_and_what_it_has_not_is_zero);
	tcase_add_test(tcase, slots_have_kvms_rules);
	tcase_add_test(tcase, registers_come_back_and_nonsense_is_refused);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
