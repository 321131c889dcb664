/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The slots on this host's real KVM, under a vCPU that stores and loads. */
#include <errno.h>
#include <string.h>

#include "tests/ept/tiny_vm.h"
#include "tests/harness.h"

#define PAGE EPT_PAGE_BYTES
#define HIGH (1ULL << 32)

static struct tiny_vm vm;
static struct error error;

static const struct gpa_region *add(const char *name, enum gpa_kind kind, uint64_t start,
				    uint64_t size)
{
	struct gpa_request request = {
		.name = name, .kind = kind, .start = gpa_make(start), .size_bytes = size};

	return tiny_vm_add(&vm, &request);
}

START_TEST(the_guest_and_the_host_see_the_same_bytes)
{
	const struct gpa_region *ram;
	uint64_t value = 0;

	tiny_vm_create(&vm, NULL);
	ram = add("ram", GPA_RAM, HIGH, 4 << 20);
	ck_assert_int_eq(tiny_vm_store(&vm, HIGH + 0x123456, 0x5a), KVM_EXIT_HLT);
	ck_assert_uint_eq(((uint8_t *)ram->host)[0x123456], 0x5a);
	ck_assert_int_eq(gpa_space_write(vm.space, gpa_make(HIGH + 0x2000), "12345678", 8), 0);
	ck_assert_int_eq(tiny_vm_load(&vm, HIGH + 0x2000, &value), KVM_EXIT_HLT);
	ck_assert_int_eq(memcmp(&value, "12345678", 8), 0);
	tiny_vm_destroy(&vm);
}
END_TEST

START_TEST(what_is_no_memory_exits)
{
	uint64_t value;

	tiny_vm_create(&vm, NULL);
	add("rom", GPA_ROM, 0x400000, PAGE);
	add("device", GPA_DEVICE, 0x500000, PAGE);
	add("hole", GPA_HOLE, 0x600000, PAGE);
	ck_assert_int_eq(tiny_vm_load(&vm, 0x400000, &value), KVM_EXIT_HLT);
	ck_assert_int_eq(tiny_vm_store(&vm, 0x400010, 9), KVM_EXIT_MMIO);
	ck_assert_uint_eq(vm.run->mmio.phys_addr, 0x400010);
	ck_assert_int_eq(vm.run->mmio.is_write, 1);
	ck_assert_uint_eq(vm.run->mmio.data[0], 9);
	ck_assert_int_eq(tiny_vm_store(&vm, 0x500020, 8), KVM_EXIT_MMIO);
	ck_assert_uint_eq(vm.run->mmio.phys_addr, 0x500020);
	ck_assert_int_eq(tiny_vm_load(&vm, 0x600000, &value), KVM_EXIT_MMIO);
	ck_assert_int_eq(vm.run->mmio.is_write, 0);
	ck_assert_int_eq(tiny_vm_store(&vm, 0x700000, 8), KVM_EXIT_MMIO);
	tiny_vm_destroy(&vm);
}
END_TEST

START_TEST(regions_come_and_go_under_the_guest)
{
	const struct gpa_region *ram, *more;
	uint64_t value = 0;

	tiny_vm_create(&vm, NULL);
	ram = add("ram", GPA_RAM, HIGH, 1 << 20);
	ck_assert_int_eq(tiny_vm_store(&vm, HIGH, 1), KVM_EXIT_HLT);
	ck_assert_int_eq(tiny_vm_store(&vm, HIGH + (1 << 20), 2), KVM_EXIT_MMIO);
	more = add("more", GPA_RAM, HIGH + (1 << 20), 7 << 20);
	ck_assert_int_eq(tiny_vm_store(&vm, HIGH + (1 << 20), 2), KVM_EXIT_HLT);
	ck_assert_uint_eq(*(uint8_t *)more->host, 2);

	ck_assert_int_eq(gpa_space_remove(vm.space, ram, &error), 0);
	ck_assert_int_eq(tiny_vm_load(&vm, HIGH, &value), KVM_EXIT_MMIO);
	ck_assert_int_eq(tiny_vm_load(&vm, HIGH + (1 << 20), &value), KVM_EXIT_HLT);
	ck_assert_uint_eq(value & 0xff, 2);
	/* What comes in its place is new. */
	add("again", GPA_RAM, HIGH, 1 << 20);
	ck_assert_int_eq(tiny_vm_load(&vm, HIGH, &value), KVM_EXIT_HLT);
	ck_assert_uint_eq(value & 0xff, 0);
	ck_assert_int_eq(gpa_space_remove(vm.space, more, &error), 0);
	ck_assert_int_eq(tiny_vm_load(&vm, HIGH + (1 << 20), &value), KVM_EXIT_MMIO);
	tiny_vm_destroy(&vm);
}
END_TEST

START_TEST(more_slots_than_kvm_has_is_a_clear_error)
{
	struct gpa_request request = {.size_bytes = PAGE, .backing = {.kind = GPA_BACKING_ANON}};
	char name[16];
	size_t i;
	int err = 0;

	tiny_vm_create(&vm, NULL);
	if (kvm_slots_limit(vm.slots) > 1024) {
		/* Every region is a host mapping too, and Linux allows 65530 of them: play a
		 * smaller KVM in test_kvm_slots instead, and only look at the number here. */
		ck_assert_uint_ge(kvm_slots_limit(vm.slots), 32764);
		tiny_vm_destroy(&vm);
		return;
	}
	request.name = name;
	for (i = 1; !err; i++) {
		snprintf(name, sizeof(name), "r%zu", i);
		request.start = gpa_make(HIGH + i * 2 * PAGE);
		err = gpa_space_add(vm.space, &request, NULL, &error);
	}
	ck_assert_int_eq(err, -ENOSPC);
	ck_assert_uint_eq(i, kvm_slots_limit(vm.slots) + 1);
	tiny_vm_destroy(&vm);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("slots_machine");
	TCase *tcase = tcase_create("all");
	int status = harness_need_kvm();

	if (status)
		return status;
	tcase_add_test(tcase, the_guest_and_the_host_see_the_same_bytes);
	tcase_add_test(tcase, what_is_no_memory_exits);
	tcase_add_test(tcase, regions_come_and_go_under_the_guest);
	tcase_add_test(tcase, more_slots_than_kvm_has_is_a_clear_error);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
