/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The soft engine through KVM's API alone: memory, the dirty log, memory attributes, port and
 * memory exits and their completion, the second stage's tables and counts.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "ept/kvm_fd.h"
#include "ept/live.h"
#include "ept/stats.h"
#include "mm/x86.h"
#include "tests/ept/tiny_vm.h"
#include "tests/harness.h"
#include "vmm/soft/soft.h"

#define MIB (1ull << 20)

#define SET_MEMORY_ATTRIBUTES _IOW(KVMIO, 0xd2, struct attributes)
struct attributes {
	uint64_t address, size, attributes, flags;
};

static int ask(int fd, unsigned long request, const void *argument)
{
	return kvm_ioctl(fd, request, argument) < 0 ? -errno : 0;
}

static const struct gpa_region *add_memory(struct tiny_vm *vm, uint64_t start, uint64_t bytes)
{
	struct gpa_request request = {
		.name = "memory", .start = gpa_make(start), .size_bytes = bytes};

	return tiny_vm_add(vm, &request);
}

/* ---- running ---- */

START_TEST(memory_and_holes)
{
	struct soft_violation violation;
	struct tiny_vm vm;
	uint64_t value;
	const struct gpa_region *memory;

	tiny_vm_create(&vm, NULL);
	memory = add_memory(&vm, 4 * MIB, 2 * MIB);
	ck_assert_int_eq(tiny_vm_store(&vm, 4 * MIB + 5, 0x5a), KVM_EXIT_HLT);
	ck_assert_uint_eq(((uint8_t *)memory->host)[5], 0x5a);
	ck_assert_int_eq(tiny_vm_load(&vm, 4 * MIB, &value), KVM_EXIT_HLT);
	ck_assert_uint_eq(value, 0x5aull << 40);
	ck_assert_int_eq(tiny_vm_store(&vm, 16 * MIB + 3, 0x77), KVM_EXIT_MMIO);
	ck_assert_uint_eq(vm.run->mmio.phys_addr, 16 * MIB + 3);
	ck_assert_uint_eq(vm.run->mmio.len, 1);
	ck_assert_uint_eq(vm.run->mmio.data[0], 0x77);
	ck_assert(vm.run->mmio.is_write);
	ck_assert_int_eq(soft_last_violation(vm.vcpu_fd, &violation), 0);
	ck_assert_uint_eq(violation.gpa.value, 16 * MIB + 3);
	/* A write of what grants nothing, the linear address valid, of the translation. */
	ck_assert_uint_eq(violation.qualification, 0x182);
	ck_assert_int_eq(tiny_vm_continue(&vm), KVM_EXIT_HLT);
	ck_assert_int_eq(tiny_vm_load(&vm, 16 * MIB, &value), KVM_EXIT_MMIO);
	ck_assert(!vm.run->mmio.is_write);
	ck_assert_uint_eq(vm.run->mmio.len, 8);
	memcpy(vm.run->mmio.data, "abcdefgh", 8);
	ck_assert_int_eq(tiny_vm_continue(&vm), KVM_EXIT_HLT);
	ck_assert_mem_eq(&vm.rax, "abcdefgh", 8);
	tiny_vm_destroy(&vm);
}
END_TEST

START_TEST(an_access_across_the_end_of_memory_is_both)
{
	struct tiny_vm vm;
	uint64_t value;
	const struct gpa_region *memory;

	tiny_vm_create(&vm, NULL);
	memory = add_memory(&vm, 4 * MIB, 2 * MIB);
	memcpy((char *)memory->host + 2 * MIB - 3, "xyz", 3);
	ck_assert_int_eq(tiny_vm_load(&vm, 6 * MIB - 3, &value), KVM_EXIT_MMIO);
	ck_assert_uint_eq(vm.run->mmio.phys_addr, 6 * MIB);
	ck_assert_uint_eq(vm.run->mmio.len, 5);
	memcpy(vm.run->mmio.data, "abcde", 5);
	ck_assert_int_eq(tiny_vm_continue(&vm), KVM_EXIT_HLT);
	ck_assert_mem_eq(&vm.rax, "xyzabcde", 8);
	tiny_vm_destroy(&vm);
}
END_TEST

START_TEST(rom_is_read_and_not_written)
{
	struct gpa_request request = {
		.name = "rom", .kind = GPA_ROM, .start = gpa_make(4 * MIB), .size_bytes = 2 * MIB};
	struct soft_violation violation;
	struct tiny_vm vm;
	uint64_t value;
	const struct gpa_region *rom;

	tiny_vm_create(&vm, NULL);
	rom = tiny_vm_add(&vm, &request);
	memcpy(rom->host, "readonly", 8);
	ck_assert_int_eq(tiny_vm_load(&vm, 4 * MIB, &value), KVM_EXIT_HLT);
	ck_assert_mem_eq(&value, "readonly", 8);
	ck_assert_int_eq(tiny_vm_store(&vm, 4 * MIB, 1), KVM_EXIT_MMIO);
	ck_assert_int_eq(soft_last_violation(vm.vcpu_fd, &violation), 0);
	ck_assert_uint_eq(violation.qualification, 0x182 | 5 << 3);
	ck_assert_int_eq(tiny_vm_continue(&vm), KVM_EXIT_HLT);
	ck_assert_mem_eq(rom->host, "readonly", 8);
	tiny_vm_destroy(&vm);
}
END_TEST

static uint64_t stat(int fd, const char *name)
{
	const struct stats_entry *entry;
	struct stats *stats;
	struct error error;
	uint64_t value;

	ck_assert_msg(stats_open(fd, &stats, &error) == 0, "%s", error.text);
	entry = stats_find(stats, name);
	ck_assert_ptr_nonnull(entry);
	value = entry->values[0];
	stats_close(stats);
	return value;
}

/* The counts are those of the tables, walked. */
static void check_counts(struct tiny_vm *vm, uint64_t k4, uint64_t m2, uint64_t g1)
{
	struct stage2_reader reader;
	struct live_counts counts;
	struct stage2_mode mode;
	struct error error;
	struct live *live;

	ck_assert_int_eq(soft_second_stage(vm->vm_fd, &mode, &reader), 0);
	ck_assert_int_eq(live_open_tables(&mode, &reader, &live, &error), 0);
	ck_assert_int_eq(
		live_for_each(live, gpa_make(0), gpa_make(1ull << 48), NULL, NULL, &counts, &error),
		0);
	live_close(live);
	ck_assert_uint_eq(counts.marked, 0);
	ck_assert_uint_eq(counts.leaves_4k, stat(vm->vm_fd, "pages_4k"));
	ck_assert_uint_eq(counts.leaves_2m, stat(vm->vm_fd, "pages_2m"));
	ck_assert_uint_eq(counts.leaves_1g, stat(vm->vm_fd, "pages_1g"));
	ck_assert_uint_eq(counts.leaves_4k, k4);
	ck_assert_uint_eq(counts.leaves_2m, m2);
	ck_assert_uint_eq(counts.leaves_1g, g1);
}

START_TEST(alignment_of_slots_decides_the_leaves)
{
	struct gpa_request small = {
		.name = "small", .start = gpa_make(4 * MIB + 4096), .size_bytes = MIB};
	struct gpa_request huge = {
		.name = "huge", .start = gpa_make(1ull << 30), .size_bytes = 1ull << 30};
	struct tiny_vm vm;

	tiny_vm_create(&vm, NULL);
	tiny_vm_add(&vm, &small);
	tiny_vm_add(&vm, &huge);
	add_memory(&vm, 8 * MIB, 2 * MIB);
	ck_assert_int_eq(tiny_vm_store(&vm, 5 * MIB, 1), KVM_EXIT_HLT);
	check_counts(&vm, 1, 1, 0); /* the second is "low" */
	ck_assert_int_eq(tiny_vm_store(&vm, 9 * MIB, 1), KVM_EXIT_HLT);
	check_counts(&vm, 1, 2, 0);
	ck_assert_int_eq(tiny_vm_store(&vm, (1ull << 30) + 5 * MIB, 1), KVM_EXIT_HLT);
	check_counts(&vm, 1, 2, 1);
	ck_assert_uint_gt(stat(vm.vcpu_fd, "instructions"), 5);
	tiny_vm_destroy(&vm);
}
END_TEST

static int get_log(struct tiny_vm *vm, uint32_t slot, uint64_t bits[8])
{
	struct kvm_dirty_log log = {.slot = slot, .dirty_bitmap = bits};

	return ask(vm->vm_fd, KVM_GET_DIRTY_LOG, &log);
}

static uint32_t slot_of(struct tiny_vm *vm, uint64_t gpa)
{
	return kvm_slots_find(vm->slots, gpa_make(gpa))->id;
}

START_TEST(the_log_has_the_pages_that_were_written)
{
	struct kvm_enable_cap manual = {.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args = {1}};
	struct kvm_clear_dirty_log clear = {0};
	const struct gpa_region *memory;
	uint64_t bits[8], value;
	struct tiny_vm vm;
	struct error error;

	tiny_vm_create(&vm, NULL);
	memory = add_memory(&vm, 4 * MIB, 2 * MIB);
	ck_assert_int_eq(get_log(&vm, slot_of(&vm, 4 * MIB), bits), -ENOENT);
	ck_assert_int_eq(tiny_vm_store(&vm, 4 * MIB + 4096, 1), KVM_EXIT_HLT);
	check_counts(&vm, 0, 2, 0);
	ck_assert_int_eq(kvm_slots_set_dirty_log(vm.slots, memory, true, &error), 0);
	ck_assert_int_eq(tiny_vm_load(&vm, 4 * MIB, &value), KVM_EXIT_HLT);
	ck_assert_int_eq(tiny_vm_store(&vm, 4 * MIB + 3 * 4096, 1), KVM_EXIT_HLT);
	ck_assert_int_eq(tiny_vm_store_pages(&vm, 4 * MIB + 70 * 4096, 3, 1), KVM_EXIT_HLT);
	check_counts(&vm, 512, 1, 0);
	ck_assert_int_eq(get_log(&vm, slot_of(&vm, 4 * MIB), bits), 0);
	ck_assert_uint_eq(bits[0], 1 << 3);
	ck_assert_uint_eq(bits[1], 7 << 6);
	/* It is empty now, and fills again. */
	ck_assert_int_eq(get_log(&vm, slot_of(&vm, 4 * MIB), bits), 0);
	ck_assert_uint_eq(bits[0] | bits[1], 0);
	ck_assert_int_eq(tiny_vm_store(&vm, 4 * MIB + 3 * 4096, 1), KVM_EXIT_HLT);
	ck_assert_int_eq(ask(vm.vm_fd, KVM_ENABLE_CAP, &manual), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(get_log(&vm, slot_of(&vm, 4 * MIB), bits), 0);
		ck_assert_uint_eq(bits[0], 1 << 3);
	}
	clear = (struct kvm_clear_dirty_log){
		.slot = slot_of(&vm, 4 * MIB), .num_pages = 63, .dirty_bitmap = bits};
	ck_assert_int_eq(ask(vm.vm_fd, KVM_CLEAR_DIRTY_LOG, &clear), -EINVAL);
	clear.num_pages = 64;
	ck_assert_int_eq(ask(vm.vm_fd, KVM_CLEAR_DIRTY_LOG, &clear), 0);
	ck_assert_int_eq(get_log(&vm, slot_of(&vm, 4 * MIB), bits), 0);
	ck_assert_uint_eq(bits[0], 0);
	ck_assert_int_eq(kvm_slots_set_dirty_log(vm.slots, memory, false, &error), 0);
	ck_assert_int_eq(tiny_vm_store(&vm, 4 * MIB + 3 * 4096, 1), KVM_EXIT_HLT);
	check_counts(&vm, 0, 2, 0);
	tiny_vm_destroy(&vm);
}
END_TEST

static void set_attributes(struct tiny_vm *vm, uint64_t start, uint64_t bytes, uint64_t taken)
{
	struct attributes attributes = {start, bytes, taken, 0};

	ck_assert_int_eq(ask(vm->vm_fd, SET_MEMORY_ATTRIBUTES, &attributes), 0);
}

static void check_denied(const struct tiny_vm *vm, int result, uint64_t page)
{
	uint64_t fault[3];

	ck_assert_int_eq(result, -EFAULT);
	ck_assert_int_eq(vm->run->exit_reason, 39);
	memcpy(fault, &vm->run->hw, sizeof(fault));
	ck_assert_uint_eq(fault[1], page);
}

START_TEST(rights_are_taken_page_by_page)
{
	struct attributes bad = {4 * MIB + 1, 4096, 1, 0};
	struct tiny_vm vm;
	uint64_t value;

	tiny_vm_create(&vm, NULL);
	add_memory(&vm, 4 * MIB, 2 * MIB);
	ck_assert_int_eq(tiny_vm_store(&vm, 4 * MIB, 1), KVM_EXIT_HLT);
	ck_assert_int_eq(ask(vm.vm_fd, SET_MEMORY_ATTRIBUTES, &bad), -EINVAL);
	bad = (struct attributes){4 * MIB, 4096, 8, 0};
	ck_assert_int_eq(ask(vm.vm_fd, SET_MEMORY_ATTRIBUTES, &bad), -EINVAL);
	bad = (struct attributes){6 * MIB, 4096, 1, 0};
	ck_assert_int_eq(ask(vm.vm_fd, SET_MEMORY_ATTRIBUTES, &bad), -EINVAL);
	set_attributes(&vm, 4 * MIB + 4096, 4096, SOFT_ATTRIBUTE_NO_WRITE);
	set_attributes(&vm, 4 * MIB + 8192, 4096, 7);
	ck_assert_int_eq(tiny_vm_store(&vm, 4 * MIB, 1), KVM_EXIT_HLT);
	ck_assert_int_eq(tiny_vm_load(&vm, 4 * MIB + 4096, &value), KVM_EXIT_HLT);
	check_denied(&vm, tiny_vm_store(&vm, 4 * MIB + 4100, 1), 4 * MIB + 4096);
	check_denied(&vm, tiny_vm_load(&vm, 4 * MIB + 8192, &value), 4 * MIB + 8192);
	/* The same instruction again, with the page open. */
	set_attributes(&vm, 4 * MIB + 8192, 4096, 0);
	ck_assert_int_eq(tiny_vm_continue(&vm), KVM_EXIT_HLT);
	/* Execute-only: the program runs, and cannot be read. */
	set_attributes(&vm, 0x3000, 4096, SOFT_ATTRIBUTE_NO_READ);
	ck_assert_int_eq(tiny_vm_store(&vm, 4 * MIB, 1), KVM_EXIT_HLT);
	check_denied(&vm, tiny_vm_load(&vm, 0x3000, &value), 0x3000);
	set_attributes(&vm, 0x3000, 4096, SOFT_ATTRIBUTE_NO_EXECUTE);
	check_denied(&vm, tiny_vm_store(&vm, 4 * MIB, 1), 0x3000);
	tiny_vm_destroy(&vm);
}
END_TEST

START_TEST(immediate_exit_completes_and_does_no_more)
{
	static const uint8_t code[] = {0xe7, 0x80, 0xe5, 0x80, 0xf4}; /* out, in eax, hlt */
	struct kvm_regs regs = {.rip = 0x4000, .rax = 0x1234, .rflags = 2};
	struct tiny_vm vm;

	tiny_vm_create(&vm, NULL);
	memcpy((char *)gpa_space_at(vm.space, 0)->host + 0x4000, code, sizeof(code));
	ck_assert_int_eq(ask(vm.vcpu_fd, KVM_SET_REGS, &regs), 0);
	ck_assert_int_eq(ask(vm.vcpu_fd, KVM_RUN, NULL), 0);
	ck_assert_int_eq(vm.run->exit_reason, KVM_EXIT_IO);
	ck_assert_int_eq(vm.run->io.direction, KVM_EXIT_IO_OUT);
	ck_assert_uint_eq(*(uint32_t *)((char *)vm.run + vm.run->io.data_offset), 0x1234);
	vm.run->immediate_exit = 1;
	ck_assert_int_eq(ask(vm.vcpu_fd, KVM_RUN, NULL), -EINTR);
	ck_assert_int_eq(ask(vm.vcpu_fd, KVM_GET_REGS, &regs), 0);
	ck_assert_uint_eq(regs.rip, 0x4002);
	ck_assert_int_eq(ask(vm.vcpu_fd, KVM_RUN, NULL), -EINTR);
	ck_assert_int_eq(ask(vm.vcpu_fd, KVM_GET_REGS, &regs), 0);
	ck_assert_uint_eq(regs.rip, 0x4002);
	vm.run->immediate_exit = 0;
	ck_assert_int_eq(tiny_vm_continue(&vm), KVM_EXIT_IO);
	ck_assert_int_eq(vm.run->io.direction, KVM_EXIT_IO_IN);
	*(uint32_t *)((char *)vm.run + vm.run->io.data_offset) = 0xabcd;
	ck_assert_int_eq(tiny_vm_continue(&vm), KVM_EXIT_HLT);
	ck_assert_uint_eq(vm.rax, 0xabcd);
	tiny_vm_destroy(&vm);
}
END_TEST

START_TEST(an_unknown_instruction_is_an_internal_error_with_its_bytes)
{
	static const uint8_t code[] = {0x0f, 0x28, 0xc1}; /* movaps xmm0, xmm1 */
	struct kvm_regs regs = {.rip = 0x4000, .rflags = 2};
	struct tiny_vm vm;

	tiny_vm_create(&vm, NULL);
	memcpy((char *)gpa_space_at(vm.space, 0)->host + 0x4000, code, sizeof(code));
	ck_assert_int_eq(ask(vm.vcpu_fd, KVM_SET_REGS, &regs), 0);
	ck_assert_int_eq(ask(vm.vcpu_fd, KVM_RUN, NULL), 0);
	ck_assert_int_eq(vm.run->exit_reason, KVM_EXIT_INTERNAL_ERROR);
	ck_assert_int_eq(vm.run->internal.suberror, KVM_INTERNAL_ERROR_EMULATION);
	ck_assert_uint_eq(vm.run->internal.data[0], 1);
	ck_assert_uint_ge(((uint8_t *)&vm.run->internal.data[1])[0], 3);
	ck_assert_mem_eq((uint8_t *)&vm.run->internal.data[1] + 1, code, sizeof(code));
	tiny_vm_destroy(&vm);
}
END_TEST

/* ---- signals ---- */

static void on_signal(int signal)
{
	(void)signal;
}

struct kick {
	pthread_t thread;
	struct kvm_run *run;
};

static void *send_kick(void *context)
{
	const struct kick *kick = context;
	struct timespec pause = {.tv_nsec = 20000000};

	nanosleep(&pause, NULL);
	__atomic_store_n(&kick->run->immediate_exit, 1, __ATOMIC_RELEASE);
	pthread_kill(kick->thread, SIGUSR1);
	return NULL;
}

static void enable_apics(struct tiny_vm *vm)
{
	struct kvm_enable_cap apics = {.cap = KVM_CAP_SPLIT_IRQCHIP};

	ck_assert_int_eq(ask(vm->vm_fd, KVM_ENABLE_CAP, &apics), 0);
}

/* A guest that never halts, and one that halts for good. */
START_TEST(a_kick_ends_kvm_run)
{
	static const uint8_t codes[][2] = {{0xeb, 0xfe}, {0xfa, 0xf4}}; /* jmp self; cli, hlt */
	struct sigaction action = {.sa_handler = on_signal};
	struct kvm_regs regs = {.rip = 0x4000, .rflags = 2};
	struct kick kick = {.thread = pthread_self()};
	pthread_t kicker;
	struct tiny_vm vm;

	sigaction(SIGUSR1, &action, NULL);
	tiny_vm_create(&vm, enable_apics);
	memcpy((char *)gpa_space_at(vm.space, 0)->host + 0x4000, codes[_i], 2);
	ck_assert_int_eq(ask(vm.vcpu_fd, KVM_SET_REGS, &regs), 0);
	kick.run = vm.run;
	ck_assert_int_eq(pthread_create(&kicker, NULL, send_kick, &kick), 0);
	ck_assert_int_eq(ask(vm.vcpu_fd, KVM_RUN, NULL), -EINTR);
	ck_assert_int_eq(vm.run->exit_reason, KVM_EXIT_INTR);
	pthread_join(kicker, NULL);
	ck_assert_int_eq(ask(vm.vcpu_fd, KVM_GET_REGS, &regs), 0);
	ck_assert_uint_eq(regs.rip, _i == 0 ? 0x4000 : 0x4002);
	tiny_vm_destroy(&vm);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("soft");
	TCase *tcase = tcase_create("soft");

	setenv("NESTBOX_KVM", "soft", 1);
	tcase_add_test(tcase, memory_and_holes);
	tcase_add_test(tcase, an_access_across_the_end_of_memory_is_both);
	tcase_add_test(tcase, rom_is_read_and_not_written);
	tcase_add_test(tcase, alignment_of_slots_decides_the_leaves);
	tcase_add_test(tcase, the_log_has_the_pages_that_were_written);
	tcase_add_test(tcase, rights_are_taken_page_by_page);
	tcase_add_test(tcase, immediate_exit_completes_and_does_no_more);
	tcase_add_test(tcase, an_unknown_instruction_is_an_internal_error_with_its_bytes);
	tcase_add_loop_test(tcase, a_kick_ends_kvm_run, 0, 2);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
