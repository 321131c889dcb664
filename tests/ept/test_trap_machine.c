/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Traps under a real guest: what KVM_RUN comes back with, and that the guest can go on. */
#include <errno.h>
#include <string.h>

#include "ept/kvm_fd.h"
#include "ept/trap.h"
#include "tests/ept/tiny_vm.h"
#include "tests/harness.h"

#define PAGE EPT_PAGE_BYTES
#define HIGH (1ULL << 32)
#define SIZE (4ULL << 20)

static struct tiny_vm vm;
static const struct gpa_region *ram;
static struct trap_set *set;
static struct error error;

static uint64_t told, last_page;
static int answer;

/* One vCPU, run by the test's thread: what it wrote is seen after KVM_RUN returns. */
static enum trap_answer on_trap(void *context, const struct trap_event *event)
{
	(void)context;
	__atomic_store_n(&last_page, event->gpa.value & ~(PAGE - 1), __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&told, 1, __ATOMIC_SEQ_CST);
	return (enum trap_answer)__atomic_load_n(&answer, __ATOMIC_SEQ_CST);
}

static void setup(void)
{
	struct gpa_request request = {.name = "ram",
				      .start = gpa_make(HIGH),
				      .size_bytes = SIZE,
				      .backing = {.trappable = true}};

	tiny_vm_create(&vm, NULL);
	ram = tiny_vm_add(&vm, &request);
	ck_assert_msg(trap_set_create(vm.space, -1, on_trap, NULL, &set, &error) == 0, "%s",
		      error.text);
	told = 0;
	answer = TRAP_LET;
}

static void teardown(void)
{
	trap_set_destroy(set);
	tiny_vm_destroy(&vm);
}

static void watch(uint64_t from, uint64_t to, enum trap_access access)
{
	ck_assert_msg(trap_watch(set, gpa_make(HIGH + from * PAGE), gpa_make(HIGH + to * PAGE),
				 access, &error) == 0,
		      "%s", error.text);
}

static void must_be_told(uint64_t times, uint64_t page)
{
	ck_assert_uint_eq(__atomic_load_n(&told, __ATOMIC_SEQ_CST), times);
	ck_assert_uint_eq(__atomic_load_n(&last_page, __ATOMIC_SEQ_CST), HIGH + page * PAGE);
}

START_TEST(a_guest_that_touches_a_watched_page_is_told_of_once)
{
	uint64_t value;

	memset((char *)ram->host + 3 * PAGE, 0x11, PAGE);
	/* In the second stage already: the watch must take it out. */
	ck_assert_int_eq(tiny_vm_load(&vm, HIGH + 3 * PAGE, &value), KVM_EXIT_HLT);
	watch(3, 5, TRAP_ANY);
	ck_assert_int_eq(tiny_vm_load(&vm, HIGH + 3 * PAGE, &value), KVM_EXIT_HLT);
	ck_assert_uint_eq(value, 0x1111111111111111);
	must_be_told(1, 3);
	ck_assert_int_eq(tiny_vm_store(&vm, HIGH + 4 * PAGE, 9), KVM_EXIT_HLT);
	must_be_told(2, 4);
	ck_assert_int_eq(((char *)ram->host)[4 * PAGE], 9);
	ck_assert_int_eq(tiny_vm_store_pages(&vm, HIGH, 16, 5), KVM_EXIT_HLT);
	must_be_told(2, 4);
}
END_TEST

START_TEST(a_write_watch_tells_of_stores_alone)
{
	uint64_t value;

	ck_assert_int_eq(tiny_vm_store_pages(&vm, HIGH, 8, 5), KVM_EXIT_HLT);
	watch(6, 7, TRAP_WRITE);
	ck_assert_int_eq(tiny_vm_load(&vm, HIGH + 6 * PAGE, &value), KVM_EXIT_HLT);
	ck_assert_uint_eq(value, 5);
	ck_assert_uint_eq(told, 0);
	ck_assert_int_eq(tiny_vm_store_pages(&vm, HIGH, 8, 6), KVM_EXIT_HLT);
	must_be_told(1, 6);
}
END_TEST

/* Where KVM emulates the access it becomes one to a device, elsewhere KVM_RUN fails. */
START_TEST(a_failed_access_leaves_the_guest_and_can_be_repeated)
{
	struct kvm_regs regs;
	uint64_t value;
	int result;

	memset((char *)ram->host + 3 * PAGE, 0x22, PAGE);
	watch(3, 4, TRAP_ANY);
	__atomic_store_n(&answer, TRAP_FAIL, __ATOMIC_SEQ_CST);
	result = tiny_vm_load(&vm, HIGH + 3 * PAGE, &value);
	must_be_told(1, 3);
	ck_assert_int_eq(trap_release(set, gpa_make(HIGH + 3 * PAGE)), 0);
	if (result == KVM_EXIT_MMIO) {
		ck_assert_uint_eq(vm.run->mmio.phys_addr, HIGH + 3 * PAGE);
		ck_assert(!vm.run->mmio.is_write);
		memset(vm.run->mmio.data, 0x22, 8);
	} else {
		ck_assert_int_eq(result, -EFAULT);
	}
	/* It stands at the load, which has not happened. */
	ck_assert_int_eq(kvm_ioctl(vm.vcpu_fd, KVM_GET_REGS, &regs), 0);
	ck_assert_uint_eq(regs.rip, 0x3010);
	ck_assert_uint_eq(regs.rdi, HIGH + 3 * PAGE);
	ck_assert_int_eq(tiny_vm_continue(&vm), KVM_EXIT_HLT);
	ck_assert_uint_eq(vm.rax, 0x2222222222222222);
	must_be_told(1, 3);
}
END_TEST

/* Where rights can be taken from pages nobody is asked: KVM_RUN fails until the page is open. */
START_TEST(leaves_are_changed_where_they_can_be)
{
	struct trap_set *leaves;
	uint64_t value;

	ck_assert_int_eq(trap_set_create(vm.space, vm.vm_fd, on_trap, NULL, &leaves, &error), 0);
	ck_assert_int_eq(trap_watch(leaves, gpa_make(HIGH + 3 * PAGE), gpa_make(HIGH + 4 * PAGE),
				    TRAP_WRITE, &error),
			 0);
	ck_assert_int_eq(tiny_vm_load(&vm, HIGH + 3 * PAGE, &value), KVM_EXIT_HLT);
	ck_assert_int_eq(tiny_vm_store(&vm, HIGH + 3 * PAGE, 1), -EFAULT);
	ck_assert_int_eq(trap_release(leaves, gpa_make(HIGH + 3 * PAGE)), 0);
	ck_assert_int_eq(tiny_vm_continue(&vm), KVM_EXIT_HLT);
	ck_assert_int_eq(trap_arm(leaves, gpa_make(HIGH + 3 * PAGE)), 0);
	ck_assert_int_eq(tiny_vm_store(&vm, HIGH + 3 * PAGE, 1), -EFAULT);
	trap_set_destroy(leaves);
	ck_assert_int_eq(tiny_vm_continue(&vm), KVM_EXIT_HLT);
	ck_assert_uint_eq(told, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("trap_machine");
	TCase *tcase = tcase_create("all");
	int status = harness_need_kvm();

	if (status)
		return status;
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_guest_that_touches_a_watched_page_is_told_of_once);
	tcase_add_test(tcase, a_write_watch_tells_of_stores_alone);
	/* In this process the failed access would be this process's own. */
	if (harness_engine() == KVM_SOFT)
		tcase_add_test(tcase, leaves_are_changed_where_they_can_be);
	else
		tcase_add_test(tcase, a_failed_access_leaves_the_guest_and_can_be_repeated);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
