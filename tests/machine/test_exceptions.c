/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which exception an instruction ends in, with which error code and CR2: one table, the SDM's, for
 * the soft engine and for every KVM, but for what QEMU's processor does otherwise, which is listed.
 * A guest of some pages; each handler is a HLT of its own.
 */
#include <errno.h>
#include <string.h>

#include "ept/kvm_fd.h"
#include "mm/x86.h"
#include "tests/ept/tiny_vm.h"
#include "tests/harness.h"

/* Where things are in the first 2 MiB, beside tiny_vm's own. */
#define CODE     0x40000
#define IDT      0x41000
#define GDT      0x42000
#define TSS      0x43000
#define STACK    0x45000 /* its end */
#define HANDLERS 0x46000
#define PDPT     0x50000 /* the tables of the page that is tried */
#define PD       0x51000
#define PT       0x52000
#define FRAME    0x53000
#define USER     0x54000 /* code at CPL 3 lies here, mapped at USER_GVA */
#define USER_PT  0x55000
#define PML4     0x1000 /* tiny_vm's */

/* The page under test, and the one that user code runs from. */
#define GVA      0x8000000000ull
#define USER_GVA (GVA + 0x200000)

#define HANDLER_BYTES 16
#define VECTORS       32
#define NONE          UINT64_MAX /* no error code */

#define P     X86_PTE_P
#define RW    X86_PTE_RW
#define US    X86_PTE_US
#define NX    X86_PTE_NX
#define TABLE (P | RW | US)

#define SELECTOR_TSS       0x18
#define SELECTOR_USER_DATA 0x2b
#define SELECTOR_USER_CODE 0x33

#define DE 0
#define UD 6
#define NP 11
#define SS 12
#define GP 13
#define PF 14

struct row {
	const char *name;
	uint64_t pte; /* flags of the page under test */
	bool user;    /* CPL 3 */
	uint8_t code[12];
	uint64_t rdi, rax;
	unsigned int vector;
	uint64_t error;
	uint64_t cr2;      /* of page faults */
	uint64_t pte_more; /* address bits that must be 0 */
	uint64_t pd_more;
};

/* clang-format off */
#define LOAD  {0x48, 0x8b, 0x07}       /* mov rax, [rdi] */
#define STORE {0x48, 0x89, 0x07}       /* mov [rdi], rax */
#define LOCK  {0xf0, 0x48, 0x01, 0x07} /* lock add [rdi], rax */
#define JUMP  {0xff, 0xe7}             /* jmp rdi */
#define OUT   {0xee}                   /* out dx, al */

static const struct row rows[] = {
	{"load, nothing there", 0, false, LOAD, GVA + 8, 0, PF, 0, GVA + 8, 0, 0},
	{"store, nothing there", 0, false, STORE, GVA + 8, 0, PF, 2, GVA + 8, 0, 0},
	{"locked, nothing there", 0, false, LOCK, GVA + 8, 0, PF, 2, GVA + 8, 0, 0},
	{"fetch, nothing there", 0, false, JUMP, GVA + 8, 0, PF, 0x10, GVA + 8, 0, 0},
	{"store to read-only, WP", P, false, STORE, GVA, 0, PF, 3, GVA, 0, 0},
	{"locked, of read-only", P, false, LOCK, GVA + 16, 0, PF, 3, GVA + 16, 0, 0},
	{"fetch of no-execute", P | NX, false, JUMP, GVA, 0, PF, 0x11, GVA, 0, 0},
	{"load across into nothing", P | RW, false, LOAD, GVA + 0xffc, 0, PF, 0, GVA + 0x1000, 0, 0},
	{"store across into nothing", P | RW, false, STORE, GVA + 0xffc, 0, PF, 2, GVA + 0x1000, 0, 0},
	{"user load, nothing there", 0, true, LOAD, GVA, 0, PF, 4, GVA, 0, 0},
	{"user store, nothing there", 0, true, STORE, GVA, 0, PF, 6, GVA, 0, 0},
	{"user load of supervisor's", P | RW, true, LOAD, GVA, 0, PF, 5, GVA, 0, 0},
	{"user store to supervisor's", P | RW, true, STORE, GVA, 0, PF, 7, GVA, 0, 0},
	{"user store to read-only", P | US, true, STORE, GVA, 0, PF, 7, GVA, 0, 0},
	{"user fetch of supervisor's", P | RW, true, JUMP, GVA, 0, PF, 0x15, GVA, 0, 0},
	{"user fetch of no-execute", P | US | NX, true, JUMP, GVA, 0, PF, 0x15, GVA, 0, 0},
	{"reserved bit in a PTE", P | RW, false, LOAD, GVA, 0, PF, 9, GVA, 1ull << 51, 0},
	{"the same, store", P | RW, false, STORE, GVA, 0, PF, 0xb, GVA, 1ull << 51, 0},
	{"the same, user", P | RW | US, true, LOAD, GVA, 0, PF, 0xd, GVA, 1ull << 51, 0},
	{"reserved bit in a PDE", P | RW, false, LOAD, GVA, 0, PF, 9, GVA, 0, 1ull << 51},
	{"reserved bit of a 2 MiB page", P | RW, false, LOAD, GVA, 0, PF, 9, GVA, 0, X86_PTE_PS | 1ull << 13},
	{"load, not canonical", 0, false, LOAD, 1ull << 47, 0, GP, 0, 0, 0, 0},
	{"stack, not canonical", 0, false, {0x48, 0x89, 0xfd, 0x48, 0x8b, 0x45, 0x00}, 1ull << 47, 0, SS, 0, 0, 0, 0},
	{"jump, not canonical", 0, false, JUMP, 1ull << 47, 0, GP, 0, 0, 0, 0},
	{"DS beyond the table", 0, false, {0x8e, 0xd8}, 0, 0x58, GP, 0x58, 0, 0, 0},
	{"DS that is a TSS", 0, false, {0x8e, 0xd8}, 0, SELECTOR_TSS, GP, SELECTOR_TSS, 0, 0, 0},
	{"SS of no descriptor at CPL 3", 0, true, {0x8e, 0xd0}, 0, 0, GP, 0, 0, 0, 0},
	{"CR4, reserved bit", 0, false, {0x0f, 0x22, 0xe0}, 0, X86_CR4_PAE | 1ull << 31, GP, 0, 0, 0, 0},
	{"CR4 without PAE", 0, false, {0x0f, 0x22, 0xe0}, 0, 0, GP, 0, 0, 0, 0},
	{"CR0, PG without PE", 0, false, {0x0f, 0x22, 0xc0}, 0, X86_CR0_PG, GP, 0, 0, 0, 0},
	{"INT beyond the table", 0, false, {0xcd, 0x30}, 0, 0, GP, 0x30 * 8 + 2, 0, 0, 0},
	{"INT, gate not present", 0, false, {0xcd, 0x1f}, 0, 0, NP, 0x1f * 8 + 2, 0, 0, 0},
	{"INT, user, gate of DPL 0", 0, true, {0xcd, 0x03 + 1}, 0, 0, GP, 4 * 8 + 2, 0, 0, 0},
	{"HLT at CPL 3", 0, true, {0xf4}, 0, 0, GP, 0, 0, 0, 0},
	{"CLI at CPL 3", 0, true, {0xfa}, 0, 0, GP, 0, 0, 0, 0},
	{"OUT at CPL 3", 0, true, OUT, 0, 0, GP, 0, 0, 0, 0},
	{"RDMSR at CPL 3", 0, true, {0x0f, 0x32}, 0, 0, GP, 0, 0, 0, 0},
	{"MOV from CR0 at CPL 3", 0, true, {0x0f, 0x20, 0xc0}, 0, 0, GP, 0, 0, 0, 0},
	{"INVLPG at CPL 3", 0, true, {0x0f, 0x01, 0x3f}, 0, 0, GP, 0, 0, 0, 0},
	{"LGDT at CPL 3", 0, true, {0x0f, 0x01, 0x17}, GVA, 0, GP, 0, 0, 0, 0},
	{"division by zero", 0, false, {0x31, 0xc9, 0x48, 0xf7, 0xf1}, 0, 0, DE, NONE, 0, 0, 0},
	{"quotient too large", 0, false, {0xb1, 0x01, 0xf6, 0xf1}, 0, 0x100, DE, NONE, 0, 0, 0},
	{"UD2", 0, false, {0x0f, 0x0b}, 0, 0, UD, NONE, 0, 0, 0},
	{"LOCK with a register", 0, false, {0xf0, 0x48, 0x01, 0xc0}, 0, 0, UD, NONE, 0, 0, 0},
	{"MOV to CS", 0, false, {0x8e, 0xc8}, 0, 0, UD, NONE, 0, 0, 0},
};
/* clang-format on */

#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

/* Where the processor that QEMU emulates, lab npt's, is not as the manual says. */
static const struct {
	const char *name;
	unsigned int vector;
	uint64_t error;
} qemu_rows[] = {
	{"locked, nothing there", PF, 0},
	{"reserved bit in a PTE", PF, 8},
	{"the same, store", PF, 0xa},
	{"the same, user", PF, 0xc},
	{"reserved bit in a PDE", PF, 8},
	{"reserved bit of a 2 MiB page", PF, 8},
	{"stack, not canonical", GP, 0},
	{"INT beyond the table", GP, 0x30 * 16 + 2},
	{"INT, gate not present", NP, 0x1f * 16 + 2},
	{"INT, user, gate of DPL 0", GP, 4 * 16 + 2},
};

static bool on_qemu(void)
{
	const char *lab = getenv("NESTBOX_LAB");

	return lab && strcmp(lab, "npt") == 0 && harness_engine() != KVM_SOFT;
}

/* What is expected of @row here. */
static struct row expected(const struct row *row)
{
	struct row here = *row;

	for (size_t i = 0; on_qemu() && i < sizeof(qemu_rows) / sizeof(qemu_rows[0]); i++) {
		if (strcmp(qemu_rows[i].name, row->name) != 0)
			continue;
		here.vector = qemu_rows[i].vector;
		here.error = qemu_rows[i].error;
	}
	return here;
}

static char *low;

static void put(uint64_t at, uint64_t value)
{
	memcpy(low + at, &value, sizeof(value));
}

static void make_gates(void)
{
	for (uint64_t i = 0; i < VECTORS; i++) {
		uint64_t handler = HANDLERS + i * HANDLER_BYTES;

		put(IDT + 16 * i,
		    (handler & 0xffff) | 8 << 16 | 0x8e00ull << 32 | (handler >> 16) << 48);
		put(IDT + 16 * i + 8, 0);
		low[handler] = (char)0xf4;
	}
	low[IDT + 16 * 0x1f + 5] = 0x0e; /* not present */
}

static void make_tables(const struct row *row)
{
	put(PML4 + 8, PDPT | TABLE);
	put(PDPT, PD | TABLE);
	put(PD, PT | TABLE | row->pd_more);
	put(PD + 8, USER_PT | TABLE);
	put(PT, FRAME | row->pte | row->pte_more);
	put(PT + 8, 0);
	put(USER_PT, USER | P | US);
	put(GDT, 0);
	put(GDT + 8, 0x00af9b000000ffff);
	put(GDT + 16, 0x00cf93000000ffff);
	put(GDT + SELECTOR_TSS,
	    0x0000890000000067 | (uint64_t)(TSS & 0xffff) << 16 | (uint64_t)(TSS >> 16) << 32);
	put(GDT + SELECTOR_TSS + 8, 0);
	put(GDT + (SELECTOR_USER_DATA & ~7), 0x00cff3000000ffff);
	put(GDT + (SELECTOR_USER_CODE & ~7), 0x00affb000000ffff);
	put(TSS + 4, STACK);
	low[TSS + 0x66] = 0x68; /* no map of ports */
	make_gates();
}

static struct kvm_segment segment(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment){.limit = 0xffffffff,
				    .selector = selector,
				    .type = type,
				    .present = 1,
				    .dpl = selector & 3,
				    .db = type == 3,
				    .s = 1,
				    .l = type == 11,
				    .g = 1};
}

static void set_registers(const struct tiny_vm *vm, const struct row *row)
{
	struct kvm_regs regs = {
		.rip = row->user ? USER_GVA : CODE,
		.rsp = STACK,
		.rflags = 2,
		.rdi = row->rdi,
		.rax = row->rax,
	};
	struct kvm_sregs sregs;

	ck_assert_int_eq(kvm_ioctl(vm->vcpu_fd, KVM_GET_SREGS, &sregs), 0);
	sregs.gdt = (struct kvm_dtable){.base = GDT, .limit = 0x37};
	sregs.idt = (struct kvm_dtable){.base = IDT, .limit = VECTORS * 16 - 1};
	sregs.tr = (struct kvm_segment){
		.base = TSS, .limit = 0x67, .selector = SELECTOR_TSS, .type = 11, .present = 1};
	sregs.ldt = (struct kvm_segment){.unusable = 1, .type = 2};
	sregs.efer |= X86_EFER_NXE;
	if (row->user) {
		sregs.cs = segment(SELECTOR_USER_CODE, 11);
		sregs.ds = sregs.es = sregs.ss = segment(SELECTOR_USER_DATA, 3);
	}
	ck_assert_int_eq(kvm_ioctl(vm->vcpu_fd, KVM_SET_SREGS, &sregs), 0);
	ck_assert_int_eq(kvm_ioctl(vm->vcpu_fd, KVM_SET_REGS, &regs), 0);
}

static void check_row(const struct row *row)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct tiny_vm vm;
	uint64_t error = NONE;

	tiny_vm_create(&vm, NULL);
	low = gpa_space_at(vm.space, 0)->host;
	make_tables(row);
	memcpy(low + (row->user ? USER : CODE), row->code, sizeof(row->code));
	set_registers(&vm, row);
	ck_assert_msg(tiny_vm_continue(&vm) == KVM_EXIT_HLT, "%s: exit %u", row->name,
		      vm.run->exit_reason);
	ck_assert_int_eq(kvm_ioctl(vm.vcpu_fd, KVM_GET_REGS, &regs), 0);
	ck_assert_int_eq(kvm_ioctl(vm.vcpu_fd, KVM_GET_SREGS, &sregs), 0);
	ck_assert_msg((regs.rip - 1 - HANDLERS) / HANDLER_BYTES == row->vector,
		      "%s: vector %llu and not %u", row->name,
		      (unsigned long long)(regs.rip - 1 - HANDLERS) / HANDLER_BYTES, row->vector);
	if (row->error != NONE)
		memcpy(&error, low + regs.rsp, sizeof(error));
	ck_assert_msg(error == row->error, "%s: error code %#llx and not %#llx", row->name,
		      (unsigned long long)error, (unsigned long long)row->error);
	if (row->vector == PF)
		ck_assert_msg(sregs.cr2 == row->cr2, "%s: CR2 %#llx and not %#llx", row->name,
			      (unsigned long long)sregs.cr2, (unsigned long long)row->cr2);
	tiny_vm_destroy(&vm);
}

START_TEST(as_the_manual_says)
{
	struct row row = expected(&rows[_i]);

	if (row.code[0] == 0xcd && harness_engine() != KVM_SOFT &&
	    access("/sys/module/kvm_pvm", F_OK) == 0)
		printf("not on kvm_pvm, whose emulator has no INT at CPL 0: %s\n", row.name);
	else
		check_row(&row);
}
END_TEST

/* Nothing to deliver an exception with. */
START_TEST(no_table_is_a_shutdown)
{
	static const struct row row = {.code = {0x0f, 0x0b}};
	struct kvm_sregs sregs;
	struct tiny_vm vm;

	tiny_vm_create(&vm, NULL);
	low = gpa_space_at(vm.space, 0)->host;
	make_tables(&row);
	memcpy(low + CODE, row.code, sizeof(row.code));
	set_registers(&vm, &row);
	ck_assert_int_eq(kvm_ioctl(vm.vcpu_fd, KVM_GET_SREGS, &sregs), 0);
	/* In a hole of the guest's tables. */
	sregs.idt.base = GVA + (1ull << 30);
	ck_assert_int_eq(kvm_ioctl(vm.vcpu_fd, KVM_SET_SREGS, &sregs), 0);
	ck_assert_int_eq(tiny_vm_continue(&vm), KVM_EXIT_SHUTDOWN);
	tiny_vm_destroy(&vm);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exceptions");
	TCase *tcase = tcase_create("exceptions");
	int status = harness_need_kvm();

	if (status)
		return status;
	tcase_add_loop_test(tcase, as_the_manual_says, 0, NR_ROWS);
	tcase_add_test(tcase, no_table_is_a_shutdown);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
