/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * EPT violations, and what a hole in memory gives: one table of accesses with the exit
 * qualification the SDM has for each (vol. 3C, table 28-7), for the soft engine and, where the
 * kernel's KVM is kvm_intel with EPT (lab ept), for that: its tracepoint kvm_page_fault says what
 * the processor said. Elsewhere the soft engine alone is held against the table.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ept/kvm_fd.h"
#include "mm/x86.h"
#include "tests/ept/tiny_vm.h"
#include "tests/harness.h"
#include "vmm/soft/soft.h"

#define MIB     (1ull << 20)
#define TRACING "/sys/kernel/tracing/"
#define MEMORY  (4 * MIB)
#define ROM     (8 * MIB)
#define HOLE    (16 * MIB)
#define HLT     0xf4
#define PML4    0x1000 /* tiny_vm's */

/* Bits of an exit qualification: what was tried, what the entry grants, whether of a translation.
 */
#define READ        0x001u
#define WRITE       0x002u
#define FETCH       0x004u
#define GRANTS_RX   (0x008u | 0x020u)
#define LINEAR      0x080u
#define TRANSLATION 0x100u

enum what { LOAD, STORE, RUN, WALK };

static const struct row {
	const char *name;
	enum what what;
	uint64_t gpa;
	bool read_before; /* its entry is there */
	int exit;
	uint32_t qualification, ignored;
} rows[] = {
	{"a load of what was not touched", LOAD, MEMORY, false, KVM_EXIT_HLT,
	 READ | LINEAR | TRANSLATION, 0},
	{"a store to what was not touched", STORE, MEMORY, false, KVM_EXIT_HLT,
	 WRITE | LINEAR | TRANSLATION, 0},
	{"code that was not touched", RUN, MEMORY, false, KVM_EXIT_HLT,
	 FETCH | LINEAR | TRANSLATION, 0},
	/* With A and D bits in EPT a processor sets both bits (29.3.5), Bochs' the second alone. */
	{"a page table that was not touched", WALK, MEMORY, false, KVM_EXIT_HLT, LINEAR,
	 READ | WRITE},
	{"a store to ROM that was read", STORE, ROM, true, KVM_EXIT_MMIO,
	 WRITE | GRANTS_RX | LINEAR | TRANSLATION, 0},
	{"a store to ROM that was not touched", STORE, ROM, false, KVM_EXIT_MMIO,
	 WRITE | LINEAR | TRANSLATION, 0},
	{"a load where no memory is", LOAD, HOLE, false, KVM_EXIT_MMIO, READ | LINEAR | TRANSLATION,
	 0},
	{"a store where no memory is", STORE, HOLE, false, KVM_EXIT_MMIO,
	 WRITE | LINEAR | TRANSLATION, 0},
};

static bool kernel; /* whose KVM it is */

static void write_file(const char *name, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), TRACING "%s", name);
	fd = open(path, O_WRONLY | O_TRUNC);
	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
}

static void start_tracing(void)
{
	if (!kernel)
		return;
	write_file("trace", "\n");
	write_file("events/kvm/kvm_page_fault/enable", "1");
}

/* The first violation at @gpa since then. */
static uint32_t traced(uint64_t gpa)
{
	FILE *file = fopen(TRACING "trace", "r");
	unsigned long long address, code = 0;
	bool found = false;
	char line[512];

	write_file("events/kvm/kvm_page_fault/enable", "0");
	ck_assert_ptr_nonnull(file);
	while (!found && fgets(line, sizeof(line), file)) {
		const char *at = strstr(line, "address ");

		found = at && sscanf(at, "address %llx error_code %llx", &address, &code) == 2 &&
			address >> 12 == gpa >> 12;
	}
	fclose(file);
	ck_assert_msg(found, "kvm_intel said of no violation at %#lx", (unsigned long)gpa);
	return (uint32_t)code;
}

static uint32_t qualification_of(struct tiny_vm *vm, uint64_t gpa)
{
	struct soft_violation violation;

	if (kernel)
		return traced(gpa);
	ck_assert_int_eq(soft_last_violation(vm->vcpu_fd, &violation), 0);
	ck_assert_uint_eq(violation.gpa.value >> 12, gpa >> 12);
	return (uint32_t)violation.qualification;
}

static void *host_of(struct tiny_vm *vm, uint64_t gpa)
{
	void *host;

	ck_assert_int_eq(gpa_space_translate(vm->space, gpa_make(gpa), X86_PAGE_SIZE, &host), 0);
	return host;
}

/* The guest's code is at @gpa: HLT. */
static int run_at(struct tiny_vm *vm, uint64_t gpa)
{
	struct kvm_regs regs;

	memset(host_of(vm, gpa), HLT, 16);
	ck_assert_int_eq(kvm_ioctl(vm->vcpu_fd, KVM_GET_REGS, &regs), 0);
	regs.rip = gpa;
	regs.rflags = 2;
	ck_assert_int_eq(kvm_ioctl(vm->vcpu_fd, KVM_SET_REGS, &regs), 0);
	return tiny_vm_continue(vm);
}

/* The root of its tables is at @gpa. */
static int walk_from(struct tiny_vm *vm, uint64_t gpa)
{
	struct kvm_sregs sregs;
	uint64_t value;

	memcpy(host_of(vm, gpa), host_of(vm, PML4), X86_PAGE_SIZE);
	ck_assert_int_eq(tiny_vm_load(vm, 0, &value), KVM_EXIT_HLT);
	ck_assert_int_eq(kvm_ioctl(vm->vcpu_fd, KVM_GET_SREGS, &sregs), 0);
	sregs.cr3 = gpa;
	ck_assert_int_eq(kvm_ioctl(vm->vcpu_fd, KVM_SET_SREGS, &sregs), 0);
	return tiny_vm_load(vm, 0, &value);
}

static int do_row(struct tiny_vm *vm, const struct row *row)
{
	uint64_t value;

	switch (row->what) {
	case LOAD:
		return tiny_vm_load(vm, row->gpa, &value);
	case STORE:
		return tiny_vm_store(vm, row->gpa, 1);
	case RUN:
		return run_at(vm, row->gpa);
	default:
		return walk_from(vm, row->gpa);
	}
}

START_TEST(a_violation_says_what_the_sdm_says)
{
	const struct row *row = &rows[_i];
	struct gpa_request memory = {
		.name = "memory", .start = gpa_make(MEMORY), .size_bytes = 2 * MIB};
	struct gpa_request rom = {
		.name = "rom", .kind = GPA_ROM, .start = gpa_make(ROM), .size_bytes = 2 * MIB};
	struct tiny_vm vm;
	uint32_t said;
	uint64_t value;

	tiny_vm_create(&vm, NULL);
	tiny_vm_add(&vm, &memory);
	tiny_vm_add(&vm, &rom);
	/* The code and its tables are there. */
	ck_assert_int_eq(tiny_vm_load(&vm, 0, &value), KVM_EXIT_HLT);
	if (row->read_before)
		ck_assert_int_eq(tiny_vm_load(&vm, row->gpa, &value), KVM_EXIT_HLT);
	start_tracing();
	ck_assert_int_eq(do_row(&vm, row), row->exit);
	said = qualification_of(&vm, row->gpa);
	printf("%s: %#x\n", row->name, said);
	ck_assert_msg((said & 0x1bf & ~row->ignored) == row->qualification, "%s: %#x, not %#x",
		      row->name, said, row->qualification);
	tiny_vm_destroy(&vm);
}
END_TEST

/* kvm_intel, with a second stage of the processor's and a kernel that tells. */
static bool kernel_tells(void)
{
	char ept = 'N';
	int fd = open("/sys/module/kvm_intel/parameters/ept", O_RDONLY);

	if (fd < 0 || read(fd, &ept, 1) != 1)
		ept = 'N';
	if (fd >= 0)
		close(fd);
	return ept == 'Y' && access(TRACING "events/kvm/kvm_page_fault/enable", W_OK) == 0;
}

static int run_suite(void)
{
	Suite *suite = suite_create("violations");
	TCase *tcase = tcase_create("violations");

	tcase_set_timeout(tcase, 0);
	tcase_add_loop_test(tcase, a_violation_says_what_the_sdm_says, 0,
			    sizeof(rows) / sizeof(rows[0]));
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}

int main(void)
{
	int status;

	harness_choose("soft");
	status = run_suite();
	if (status != 0 || !kernel_tells() || !harness_host_works()) {
		printf("kvm_intel is not asked: it is not here, or does not tell\n");
		return status;
	}
	harness_choose("host");
	kernel = true;
	return run_suite();
}
