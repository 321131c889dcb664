/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Code at CPL 3: what it may not do ends it, with the right exception, and nothing else; what it
 * changes of the CPU does not reach the kernel; while it runs, the CPU does its part of what
 * others ask. The auditor looks after every call but the ones that run at the same time.
 */
#include "tests/machine/process_machine.h"

#include <linux/kvm.h>
#include <pthread.h>

#include "mm/x86.h"

#define VECTOR_DE 0
#define VECTOR_BP 3
#define VECTOR_UD 6
#define VECTOR_GP 13
#define VECTOR_PF 14

/* A machine with a process that has one range of one page, which shows an area. */
struct user_machine {
	struct process_machine m;
	uint64_t area, process;
};

static void start(struct user_machine *u, uint64_t flags)
{
	start_machine(&u->m, 1);
	u->area = allocate_user(&u->m, 1);
	u->process = process_with_range(&u->m, 1, flags);
	must(&u->m, NB_OP_REMAP_VMALLOC_RANGE, u->process, USER_BASE, u->area, 0);
}

static void check_fault(struct user_machine *u, uint64_t program, uint64_t address,
			uint64_t error_code)
{
	struct user_fault fault = run_to_fault(&u->m, u->process, program, address,
					       program == NB_USER_JUMP ? 0 : 1, 0);

	ck_assert_uint_eq(fault.vector, VECTOR_PF);
	ck_assert_msg(fault.error_code == error_code, "%#lx: error code %#lx, not %#lx", address,
		      fault.error_code, error_code);
	ck_assert_uint_eq(fault.cr2, address);
	if (program == NB_USER_JUMP)
		ck_assert_uint_eq(fault.rip, address);
	else
		ck_assert_uint_eq(fault.rip & PAGE_MASK, NB_USER_CODE);
}

/* ---- memory ---- */

START_TEST(a_range_gives_no_more_than_it_has)
{
	struct user_machine u;

	start(&u, VM_READ);
	must(&u.m, NB_OP_USER_RUN, u.process, NB_USER_READ, USER_BASE, 1);
	check_fault(&u, NB_USER_WRITE, USER_BASE, X86_PF_P | X86_PF_W | X86_PF_U);
	check_fault(&u, NB_USER_JUMP, USER_BASE, X86_PF_P | X86_PF_U | X86_PF_I);
	check_fault(&u, NB_USER_READ, USER_BASE + PAGE_SIZE, X86_PF_U);
	check_fault(&u, NB_USER_WRITE, USER_BASE - 8, X86_PF_U | X86_PF_W);
	check_fault(&u, NB_USER_JUMP, 0, X86_PF_U | X86_PF_I);
	/* Its own code, which is the kernel's as well. */
	must(&u.m, NB_OP_USER_RUN, u.process, NB_USER_READ, NB_USER_CODE, 512);
	check_fault(&u, NB_USER_WRITE, NB_USER_CODE, X86_PF_P | X86_PF_W | X86_PF_U);
	stop_machine(&u.m);
}
END_TEST

START_TEST(the_kernels_half_is_closed)
{
	struct user_machine u;
	uint64_t kernel[5];

	start(&u, VM_READ | VM_WRITE);
	kernel[0] = u.area;
	kernel[1] = NB_DIRECT_BASE + 0x200000;
	kernel[2] = guest_image(u.m.guest)->entry.value & ~7ull;
	kernel[3] = NB_DIRECT_BASE + guest_boot(u.m.guest)->root.value;
	kernel[4] = inspect_mm(u.m.inspector);
	for (size_t i = 0; i < ARRAY_SIZE(kernel); i++) {
		must(&u.m, NB_OP_PROBE, u.process, kernel[i]);
		check_fault(&u, NB_USER_READ, kernel[i], X86_PF_P | X86_PF_U);
		check_fault(&u, NB_USER_WRITE, kernel[i], X86_PF_P | X86_PF_W | X86_PF_U);
		check_fault(&u, NB_USER_JUMP, kernel[i], X86_PF_P | X86_PF_U | X86_PF_I);
	}
	stop_machine(&u.m);
}
END_TEST

START_TEST(addresses_that_are_none_are_general_protection)
{
	static const uint64_t none[] = {1ull << 47, 1ull << 63, 0xdead000000000000};
	struct user_machine u;

	start(&u, VM_READ | VM_WRITE);
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		ck_assert_uint_eq(run_to_fault(&u.m, u.process, NB_USER_READ, none[i], 1, 0).vector,
				  VECTOR_GP);
		ck_assert_uint_eq(
			run_to_fault(&u.m, u.process, NB_USER_WRITE, none[i], 1, 0).vector,
			VECTOR_GP);
	}
	/* Up to the end of all addresses, and around it. */
	ck_assert_uint_eq(run_to_fault(&u.m, u.process, NB_USER_READ, USER_BASE, ~0ull, 0).cr2,
			  USER_BASE + PAGE_SIZE);
	stop_machine(&u.m);
}
END_TEST

/* ---- instructions ---- */

struct snippet {
	const char *name;
	uint8_t code[16];
	uint64_t vector; /* that ends it, or RETURNS */
	uint64_t rip;    /* offset in the code */
};

#define RETURNS 0x100

/*
 * INT to a gate that CPL 3 may not use is #GP. A KVM that runs CPL 3 without hardware for guests
 * makes it #UD, and INT3 a #BP, whose RIP is behind it.
 */
#define NO_GATE 0x101

static const struct snippet snippets[] = {
	{"mov $7, eax; ret", {0xb8, 7, 0, 0, 0, 0xc3}, RETURNS, 0},
	{"ret", {0xc3}, RETURNS, 0},
	{"cli", {0xfa}, VECTOR_GP, 0},
	{"hlt", {0xf4}, VECTOR_GP, 0},
	{"out dx", {0xef}, VECTOR_GP, 0},
	{"in dx", {0xed}, VECTOR_GP, 0},
	{"mov rax, cr3", {0x0f, 0x22, 0xd8}, VECTOR_GP, 0},
	{"mov cr0, rax", {0x0f, 0x20, 0xc0}, VECTOR_GP, 0},
	{"wrmsr", {0x0f, 0x30}, VECTOR_GP, 0},
	{"rdmsr", {0x0f, 0x32}, VECTOR_GP, 0},
	{"invlpg (rdi)", {0x0f, 0x01, 0x3f}, VECTOR_GP, 0},
	{"lidt (rdi)", {0x0f, 0x01, 0x1f}, VECTOR_GP, 0},
	{"int $0x40", {0xcd, 0x40}, NO_GATE, 0},
	{"int $14", {0xcd, 14}, NO_GATE, 0},
	{"int3", {0xcc}, NO_GATE, 0},
	{"ud2", {0x90, 0x0f, 0x0b}, VECTOR_UD, 1},
	{"div edx by 0", {0x31, 0xc9, 0xf7, 0xf1}, VECTOR_DE, 2},
	{"push", {0x50}, VECTOR_PF, 0},
	{"mov $8, ss", {0xb8, 8, 0, 0, 0, 0x8e, 0xd0}, VECTOR_GP, 5},
	/* GS is how the kernel finds itself: the next trap must not mind. */
	{"mov $0, gs; ret", {0x31, 0xc0, 0x8e, 0xe8, 0xc3}, RETURNS, 0},
	{"mov $0x1b, gs; mov ds; ret",
	 {0xb8, 0x1b, 0, 0, 0, 0x8e, 0xe8, 0x8e, 0xd8, 0x8e, 0xe0, 0xc3},
	 RETURNS,
	 0},
	{"std; ret", {0xfd, 0xc3}, RETURNS, 0},
	/* Leaves nothing of the kernel's stack to find. */
	{"xor esp, esp; push", {0x31, 0xe4, 0x50}, VECTOR_PF, 2},
};

static bool ended_right(const struct snippet *snippet, const struct nb_completion *cqe)
{
	uint64_t vector = cqe->result[0], rip = cqe->result[3] - USER_BASE;

	if (snippet->vector == RETURNS)
		return cqe->status == 0;
	if (cqe->status != -EFAULT)
		return false;
	if (snippet->vector == NO_GATE)
		return (rip == 0 && (vector == VECTOR_GP || vector == VECTOR_UD)) ||
		       (rip == 1 && vector == VECTOR_BP);
	return vector == snippet->vector && rip == snippet->rip;
}

START_TEST(what_is_not_for_cpl3_ends_the_program)
{
	struct user_machine u;

	start(&u, VM_READ | VM_EXEC);
	for (size_t i = 0; i < ARRAY_SIZE(snippets); i++) {
		struct nb_completion cqe;

		ck_assert_int_eq(guest_write(u.m.guest, gva_make(u.area), snippets[i].code, 16), 0);
		cqe = call(&u.m, NB_OP_USER_RUN, u.process, NB_USER_JUMP, USER_BASE);
		ck_assert_msg(ended_right(&snippets[i], &cqe), "%s: %ld, vector %lu at %#lx",
			      snippets[i].name, cqe.status, cqe.result[0], cqe.result[3]);
	}
	ck_assert_uint_eq(guest_warning_count(u.m.guest), 0);
	stop_machine(&u.m);
}
END_TEST

/*
 * SYSCALL is switched off. Where KVM has hardware for guests that is an undefined instruction; an
 * emulating one carries it out all the same, to where no code is. No way leads to CPL 0.
 */
START_TEST(there_are_no_system_calls)
{
	static const uint8_t code[2][4] = {{0x0f, 0x05, 0xc3}, {0x0f, 0x34, 0xc3}};
	struct user_machine u;

	start(&u, VM_READ | VM_EXEC);
	for (int i = 0; i < 2; i++) {
		struct user_fault fault;

		ck_assert_int_eq(guest_write(u.m.guest, gva_make(u.area), code[i], 4), 0);
		fault = run_to_fault(&u.m, u.process, NB_USER_JUMP, USER_BASE, 0, 0);
		printf("%s: vector %lu at %#lx\n", i ? "sysenter" : "syscall", fault.vector,
		       fault.rip);
		ck_assert(fault.vector == VECTOR_UD || fault.vector == VECTOR_GP ||
			  fault.vector == VECTOR_PF);
		if (fault.vector == VECTOR_PF)
			ck_assert_uint_eq(fault.error_code & X86_PF_U, X86_PF_U);
		else
			ck_assert_uint_eq(fault.rip, USER_BASE);
	}
	stop_machine(&u.m);
}
END_TEST

START_TEST(code_of_the_hosts_runs_and_returns)
{
	/* mov $0x12345678, eax; shl $32, rax; ret */
	static const uint8_t code[] = {0xb8, 0x78, 0x56, 0x34, 0x12, 0x48, 0xc1, 0xe0, 0x20, 0xc3};
	struct user_machine u;

	start(&u, VM_READ | VM_EXEC);
	ck_assert_int_eq(guest_write(u.m.guest, gva_make(u.area), code, sizeof(code)), 0);
	ck_assert_uint_eq(must(&u.m, NB_OP_USER_RUN, u.process, NB_USER_JUMP, USER_BASE),
			  0x12345678ull << 32);
	check_fault(&u, NB_USER_WRITE, USER_BASE, X86_PF_P | X86_PF_W | X86_PF_U);
	stop_machine(&u.m);
}
END_TEST

static struct kvm_sregs registers(struct user_machine *u)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	ck_assert_int_eq(guest_pause(u->m.guest), 0);
	ck_assert_int_eq(guest_registers(u->m.guest, 0, &regs, &sregs), 0);
	guest_resume(u->m.guest);
	return sregs;
}

static void check_registers(struct user_machine *u, const struct kvm_sregs *before,
			    const char *after)
{
	struct kvm_sregs now = registers(u);

	ck_assert_msg(now.cr3 == before->cr3, "%s: cr3 %#llx", after, now.cr3);
	ck_assert_msg(now.gs.base == before->gs.base, "%s: gs %#llx", after, now.gs.base);
	ck_assert_msg(
		now.cs.selector == before->cs.selector && now.ss.selector == before->ss.selector &&
			now.ds.selector == before->ds.selector &&
			now.es.selector == before->es.selector && now.tr.base == before->tr.base,
		"%s: cs %#x ss %#x ds %#x es %#x", after, now.cs.selector, now.ss.selector,
		now.ds.selector, now.es.selector);
}

START_TEST(the_cpu_comes_back_as_it_went)
{
	/* mov $0x1b, eax; mov gs, ds, es, fs = ax; ret */
	static const uint8_t code[] = {0xb8, 0x1b, 0,    0,    0,    0x8e, 0xe8,
				       0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xe0, 0xc3};
	struct kvm_sregs before;
	struct user_machine u;

	start(&u, VM_READ | VM_EXEC);
	ck_assert_int_eq(guest_write(u.m.guest, gva_make(u.area), code, sizeof(code)), 0);
	before = registers(&u);
	ck_assert_uint_eq(before.cr3, guest_boot(u.m.guest)->root.value);
	must(&u.m, NB_OP_PROBE, u.process, USER_BASE);
	check_registers(&u, &before, "a probe");
	refuse(&u.m, -EFAULT, NB_OP_PROBE, u.process, 0);
	check_registers(&u, &before, "a probe that faults");
	must(&u.m, NB_OP_USER_RUN, u.process, NB_USER_READ, USER_BASE, 1);
	check_registers(&u, &before, "a program");
	must(&u.m, NB_OP_USER_RUN, u.process, NB_USER_JUMP, USER_BASE);
	check_registers(&u, &before, "a program that changes its segments");
	refuse(&u.m, -EFAULT, NB_OP_USER_RUN, u.process, NB_USER_READ, 0, 1);
	check_registers(&u, &before, "a page fault");
	refuse(&u.m, -EFAULT, NB_OP_USER_RUN, u.process, NB_USER_READ, 1ull << 63, 1);
	check_registers(&u, &before, "a general protection fault");
	refuse(&u.m, -EINTR, NB_OP_USER_RUN, u.process, NB_USER_SPIN);
	check_registers(&u, &before, "a program without end");
	stop_machine(&u.m);
}
END_TEST

/* ---- time ---- */

START_TEST(a_program_without_end_is_interrupted)
{
	struct user_machine u;

	start(&u, VM_READ | VM_WRITE);
	refuse(&u.m, -EINTR, NB_OP_USER_RUN, u.process, NB_USER_SPIN);
	must(&u.m, NB_OP_USER_RUN, u.process, NB_USER_WRITE, USER_BASE, 512, 1);
	refuse(&u.m, -EINTR, NB_OP_USER_RUN, u.process, NB_USER_SPIN);
	stop_machine(&u.m);
}
END_TEST

struct spin {
	struct guest *guest;
	uint64_t process;
	struct nb_completion cqe;
	bool done;
};

static void *spin_on_cpu_1(void *argument)
{
	struct spin *spin = argument;
	const struct nb_submission sqe = {.opcode = NB_OP_USER_RUN,
					  .arg = {spin->process, NB_USER_SPIN}};

	ck_assert_int_eq(guest_call(spin->guest, 1, &sqe, &spin->cqe), 0);
	__atomic_store_n(&spin->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/*
 * A purge flushes every CPU's TLB and waits for each: one that began and ended while CPU 1 was at
 * CPL 3 was answered from there. And what runs is nobody else's meanwhile.
 */
START_TEST(a_cpu_at_cpl3_answers_shootdowns)
{
	struct process_machine m;
	struct spin spin;
	pthread_t thread;
	unsigned int inside = 0, busy = 0;
	uint64_t first[64], last[64];

	start_machine(&m, 2);
	spin = (struct spin){.guest = m.guest, .process = must(&m, NB_OP_PROCESS_CREATE)};
	m.audited = false;
	ck_assert_int_eq(pthread_create(&thread, NULL, spin_on_cpu_1, &spin), 0);
	for (unsigned int i = 0; !__atomic_load_n(&spin.done, __ATOMIC_ACQUIRE); i++) {
		uint64_t area = allocate(&m, 1, VMALLOC_START, 0);
		struct nb_completion cqe;

		must(&m, NB_OP_PROBE, 0, area);
		must(&m, NB_OP_VFREE, area);
		cqe = call(&m, NB_OP_PURGE);
		ck_assert_int_eq(cqe.status, 0);
		refuse(&m, -EFAULT, NB_OP_PROBE, 0, area);
		first[i % 64] = cqe.tsc_start;
		last[i % 64] = cqe.tsc_end;
		inside = i < 64 ? i + 1 : 64;
		busy += call(&m, NB_OP_VMA_CREATE, spin.process, USER_BASE, USER_BASE + PAGE_SIZE,
			     0)
				.status == -EBUSY;
	}
	pthread_join(thread, NULL);
	ck_assert_int_eq(spin.cqe.status, -EINTR);
	for (unsigned int i = inside; i--;)
		inside -= first[i] <= spin.cqe.tsc_start || last[i] >= spin.cqe.tsc_end;
	ck_assert_uint_gt(inside, 0);
	ck_assert_uint_gt(busy, 0);
	m.audited = true;
	must(&m, NB_OP_PROCESS_DESTROY, spin.process);
	stop_machine(&m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("machine_user");
	TCase *tests = tcase_create("user");
	int status = harness_need_kvm();

	if (status)
		return status;
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_range_gives_no_more_than_it_has);
	tcase_add_test(tests, the_kernels_half_is_closed);
	tcase_add_test(tests, addresses_that_are_none_are_general_protection);
	tcase_add_test(tests, what_is_not_for_cpl3_ends_the_program);
	tcase_add_test(tests, there_are_no_system_calls);
	tcase_add_test(tests, code_of_the_hosts_runs_and_returns);
	tcase_add_test(tests, the_cpu_comes_back_as_it_went);
	tcase_add_test(tests, a_program_without_end_is_interrupted);
	tcase_add_test(tests, a_cpu_at_cpl3_answers_shootdowns);
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
