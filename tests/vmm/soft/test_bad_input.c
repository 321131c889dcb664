/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests that make no sense, on the soft engine: each comes to an exit that says so, whatever its
 * tables, its IDT and its code are.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>

#include "ept/kvm_fd.h"
#include "mm/x86.h"
#include "tests/ept/tiny_vm.h"
#include "tests/harness.h"

#define CODE  0x40000
#define PML4  0x1000 /* tiny_vm's */
#define HOLE  (1ull << 30)
#define TABLE (X86_PTE_P | X86_PTE_RW)

static struct tiny_vm vm;
static char *low;

static void setup(void)
{
	tiny_vm_create(&vm, NULL);
	low = gpa_space_at(vm.space, 0)->host;
}

static void teardown(void)
{
	tiny_vm_destroy(&vm);
}

/* Runs from CODE on to the next exit. */
static unsigned int run(void)
{
	struct kvm_regs regs = {.rip = CODE, .rsp = 0x80000, .rflags = 2};

	ck_assert_int_eq(kvm_ioctl(vm.vcpu_fd, KVM_SET_REGS, &regs), 0);
	ck_assert_int_eq(kvm_ioctl(vm.vcpu_fd, KVM_RUN, 0), 0);
	return vm.run->exit_reason;
}

static void set_idt(uint64_t base)
{
	struct kvm_sregs sregs;

	ck_assert_int_eq(kvm_ioctl(vm.vcpu_fd, KVM_GET_SREGS, &sregs), 0);
	sregs.idt = (struct kvm_dtable){.base = base, .limit = 0xfff};
	ck_assert_int_eq(kvm_ioctl(vm.vcpu_fd, KVM_SET_SREGS, &sregs), 0);
}

static void stop(int signal)
{
	(void)signal;
	vm.run->immediate_exit = 1;
}

/*
 * Every entry of the top table is that table: each address is a word of it. Its words are code that
 * adds 0 to memory, so the guest runs, without end; a signal ends KVM_RUN.
 */
START_TEST(tables_that_point_at_themselves)
{
	struct sigaction action = {.sa_handler = stop};
	struct itimerval soon = {.it_value.tv_usec = 100000};
	struct kvm_regs regs = {.rip = CODE, .rsp = 0x80000, .rflags = 2};
	uint64_t *pml4 = (uint64_t *)(low + PML4);

	for (unsigned int i = 0; i < 512; i++)
		pml4[i] = PML4 | TABLE;
	sigaction(SIGALRM, &action, NULL);
	ck_assert_int_eq(kvm_ioctl(vm.vcpu_fd, KVM_SET_REGS, &regs), 0);
	setitimer(ITIMER_REAL, &soon, NULL);
	ck_assert_int_eq(kvm_ioctl(vm.vcpu_fd, KVM_RUN, 0), -1);
	ck_assert_int_eq(errno, EINTR);
	ck_assert_uint_eq(vm.run->exit_reason, KVM_EXIT_INTR);
	ck_assert_int_eq(kvm_ioctl(vm.vcpu_fd, KVM_GET_REGS, &regs), 0);
	ck_assert_uint_ne(regs.rip, CODE);
}
END_TEST

START_TEST(tables_in_a_hole)
{
	*(uint64_t *)(low + PML4) = HOLE | TABLE;
	ck_assert_uint_ne(run(), KVM_EXIT_HLT);
}
END_TEST

/* In a hole of memory, unmapped, not canonical. */
START_TEST(idt_outside_memory)
{
	static const uint64_t bases[] = {HOLE, 1ull << 40, 1ull << 47};

	memcpy(low + CODE, "\x0f\x0b", 2);
	set_idt(bases[_i]);
	/* What is no memory is asked for, the IDT too. */
	ck_assert_uint_eq(run(), bases[_i] == HOLE ? KVM_EXIT_MMIO : KVM_EXIT_SHUTDOWN);
}
END_TEST

START_TEST(code_in_a_hole)
{
	/* mov eax, 0x40000000; jmp rax */
	memcpy(low + CODE, "\xb8\x00\x00\x00\x40\xff\xe0", 7);
	ck_assert_uint_eq(run(), KVM_EXIT_INTERNAL_ERROR);
}
END_TEST

/* mov byte [rip + 0], 0xf4; the NOP behind it is a HLT then. */
START_TEST(code_that_writes_itself)
{
	memcpy(low + CODE, "\xc6\x05\x00\x00\x00\x00\xf4\x90\xeb\xfe", 10);
	ck_assert_uint_eq(run(), KVM_EXIT_HLT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("soft, bad input");
	TCase *tcase = tcase_create("bad input");

	setenv("NESTBOX_KVM", "soft", 1);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, tables_that_point_at_themselves);
	tcase_add_test(tcase, tables_in_a_hole);
	tcase_add_loop_test(tcase, idt_outside_memory, 0, 3);
	tcase_add_test(tcase, code_in_a_hole);
	tcase_add_test(tcase, code_that_writes_itself);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
