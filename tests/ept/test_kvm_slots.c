/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The slots against a KVM played by this program: it keeps a slot table by the kernel's rules
 * (what may overlap, what may change) and can fail any call.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/kvm.h>

#include "ept/kvm_slots.h"
#include "tests/harness.h"
#include "tests/ept/fail_nth.h"
#include "tests/ept/random.h"

#define PAGE   EPT_PAGE_BYTES
#define VM_FD  12345
#define PLACES 64
#define LARGE  (16ULL << 40)

static struct error error;

/* ---- the played KVM ---- */

static struct kvm_userspace_memory_region fake_slots[PLACES];
static int fake_limit = PLACES;
static int fake_read_only = 1;
static unsigned int fake_deletions;

static int fake_overlaps(const struct kvm_userspace_memory_region *want)
{
	const struct kvm_userspace_memory_region *other;

	for (other = fake_slots; other < fake_slots + PLACES; other++)
		if (other->memory_size && other->slot != want->slot &&
		    other->guest_phys_addr < want->guest_phys_addr + want->memory_size &&
		    want->guest_phys_addr < other->guest_phys_addr + other->memory_size)
			return 1;
	return 0;
}

/* Linux, virt/kvm/kvm_main.c: what KVM_SET_USER_MEMORY_REGION allows. */
static int fake_set(const struct kvm_userspace_memory_region *want)
{
	struct kvm_userspace_memory_region *old;

	if (want->slot >= (unsigned int)fake_limit)
		return EINVAL;
	old = &fake_slots[want->slot];
	if (want->memory_size == 0) {
		if (old->memory_size == 0)
			return EINVAL;
		old->memory_size = 0;
		fake_deletions++;
		return 0;
	}
	if ((want->guest_phys_addr | want->memory_size | want->userspace_addr) % PAGE != 0 ||
	    want->memory_size / PAGE > (1ULL << 31) - 1)
		return EINVAL;
	if (old->memory_size &&
	    (old->memory_size != want->memory_size || old->userspace_addr != want->userspace_addr ||
	     ((old->flags ^ want->flags) & KVM_MEM_READONLY)))
		return EINVAL;
	if (fake_overlaps(want))
		return EEXIST;
	*old = *want;
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	unsigned long argument;

	va_start(args, request);
	argument = va_arg(args, unsigned long);
	va_end(args);
	/* No assertion here: it would allocate, and that may be armed to fail. */
	if (fd != VM_FD)
		abort();
	if (request == KVM_CHECK_EXTENSION)
		return argument == KVM_CAP_NR_MEMSLOTS    ? fake_limit
		       : argument == KVM_CAP_READONLY_MEM ? fake_read_only
							  : 0;
	if (request != KVM_SET_USER_MEMORY_REGION)
		abort();
	errno = fail_nth_step() ? ENOMEM : fake_set((void *)argument);
	return errno ? -1 : 0;
}

/* ---- what must hold ---- */

static const struct kvm_userspace_memory_region *fake_find(uint64_t gpa)
{
	const struct kvm_userspace_memory_region *slot;

	for (slot = fake_slots; slot < fake_slots + PLACES; slot++)
		if (slot->memory_size && gpa >= slot->guest_phys_addr &&
		    gpa - slot->guest_phys_addr < slot->memory_size)
			return slot;
	return NULL;
}

/* KVM's table covers memory and nothing else, with the right host addresses and flags. */
static void must_be_in_step(const struct gpa_space *space, const struct kvm_slots *slots)
{
	uint64_t covered = 0, memory = 0, start, end;
	const struct kvm_userspace_memory_region *kvm;
	const struct gpa_region *region;
	const struct kvm_slot *slot;
	size_t i, live = 0;

	for (i = 0; i < PLACES; i++) {
		covered += fake_slots[i].memory_size;
		live += fake_slots[i].memory_size != 0;
	}
	ck_assert_uint_eq(live, kvm_slots_count(slots));
	for (i = 0; i < gpa_space_count(space); i++) {
		region = gpa_space_at(space, i);
		if (!region->host) {
			ck_assert_ptr_null(kvm_slots_find(slots, region->start));
			ck_assert_ptr_null(fake_find(region->start.value));
			continue;
		}
		memory += region->end.value - region->start.value;
		for (start = region->start.value; start < region->end.value; start = end) {
			kvm = fake_find(start);
			slot = kvm_slots_find(slots, gpa_make(start));
			ck_assert_ptr_nonnull(kvm);
			ck_assert_ptr_nonnull(slot);
			ck_assert_uint_eq(slot->id, kvm->slot);
			ck_assert_uint_eq(slot->start.value, kvm->guest_phys_addr);
			ck_assert_uint_eq(slot->end.value, kvm->guest_phys_addr + kvm->memory_size);
			ck_assert_uint_eq(slot->region, region->id);
			ck_assert_uint_eq(kvm->userspace_addr + (start - kvm->guest_phys_addr),
					  (uintptr_t)region->host + (start - region->start.value));
			ck_assert_int_eq((kvm->flags & KVM_MEM_READONLY) != 0,
					 region->kind == GPA_ROM);
			ck_assert_int_eq((kvm->flags & KVM_MEM_LOG_DIRTY_PAGES) != 0,
					 slot->dirty_log);
			end = slot->end.value;
		}
	}
	ck_assert_uint_eq(covered, memory);
}

struct machine {
	struct gpa_space *space;
	struct kvm_slots *slots;
};

static void setup(struct machine *machine)
{
	ck_assert_int_eq(gpa_space_create(52, &machine->space, &error), 0);
	ck_assert_int_eq(kvm_slots_create(VM_FD, machine->space, &machine->slots, &error), 0);
}

static void teardown(struct machine *machine)
{
	kvm_slots_destroy(machine->slots);
	ck_assert_ptr_null(fake_find(0));
	gpa_space_destroy(machine->space);
}

static int add(struct machine *machine, const char *name, enum gpa_kind kind, uint64_t start,
	       uint64_t size, const struct gpa_region **region_out)
{
	struct gpa_request request = {
		.name = name, .kind = kind, .start = gpa_make(start), .size_bytes = size};

	return gpa_space_add(machine->space, &request, region_out, &error);
}

START_TEST(a_huge_region_gets_slots_kvm_can_have)
{
	const struct gpa_region *region;
	struct machine machine;

	setup(&machine);
	ck_assert_msg(add(&machine, "ram", GPA_RAM, 0, 9ULL << 40, &region) == 0, "%s", error.text);
	ck_assert_uint_eq(kvm_slots_count(machine.slots), 3);
	must_be_in_step(machine.space, machine.slots);
	teardown(&machine);
}
END_TEST

START_TEST(the_slot_limit_is_a_clear_error)
{
	struct machine machine;
	char name[8];
	int i;

	fake_limit = 5;
	setup(&machine);
	ck_assert_uint_eq(kvm_slots_limit(machine.slots), 5);
	for (i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "r%d", i);
		ck_assert_int_eq(add(&machine, name, GPA_RAM, (uint64_t)i * 4 * PAGE, PAGE, NULL),
				 0);
	}
	ck_assert_int_eq(add(&machine, "r5", GPA_RAM, 64 * PAGE, PAGE, NULL), -ENOSPC);
	ck_assert_msg(strstr(error.text, "more than the 5 this KVM has") != NULL, "%s", error.text);
	must_be_in_step(machine.space, machine.slots);
	ck_assert_int_eq(add(&machine, "device", GPA_DEVICE, 64 * PAGE, PAGE, NULL), 0);
	ck_assert_int_eq(gpa_space_remove(machine.space, gpa_space_at(machine.space, 2), &error),
			 0);
	ck_assert_int_eq(add(&machine, "r5", GPA_RAM, 80 * PAGE, PAGE, NULL), 0);
	must_be_in_step(machine.space, machine.slots);
	teardown(&machine);
}
END_TEST

START_TEST(rom_needs_read_only_slots)
{
	struct machine machine;

	setup(&machine);
	ck_assert_int_eq(add(&machine, "rom", GPA_ROM, 0, PAGE, NULL), 0);
	must_be_in_step(machine.space, machine.slots);
	teardown(&machine);
	fake_read_only = 0;
	setup(&machine);
	ck_assert_int_eq(add(&machine, "rom", GPA_ROM, 0, PAGE, NULL), -EOPNOTSUPP);
	ck_assert_msg(strstr(error.text, "no read-only slots") != NULL, "%s", error.text);
	teardown(&machine);
}
END_TEST

/* A region of two slots: the second refuses, and the first is as it was. */
START_TEST(dirty_logging_is_switched_for_all_of_a_region)
{
	const struct gpa_region *ram, *other, *device;
	struct machine machine;

	setup(&machine);
	ck_assert_int_eq(add(&machine, "other", GPA_RAM, 64 * PAGE, 4 * PAGE, &other), 0);
	ck_assert_int_eq(add(&machine, "device", GPA_DEVICE, 128 * PAGE, PAGE, &device), 0);
	ck_assert_int_eq(add(&machine, "ram", GPA_RAM, LARGE, 9ULL << 40, &ram), 0);
	ck_assert_int_eq(kvm_slots_set_dirty_log(machine.slots, device, true, &error), -EINVAL);
	ck_assert_int_eq(kvm_slots_set_dirty_log(machine.slots, ram, true, &error), 0);
	must_be_in_step(machine.space, machine.slots);
	ck_assert(kvm_slots_find(machine.slots, ram->start)->dirty_log);
	ck_assert(kvm_slots_find(machine.slots, gpa_make(LARGE + (9ULL << 40) - PAGE))->dirty_log);
	ck_assert(!kvm_slots_find(machine.slots, other->start)->dirty_log);
	fail_nth_arm(2);
	ck_assert_int_eq(kvm_slots_set_dirty_log(machine.slots, ram, false, &error), -ENOMEM);
	fail_nth_disarm();
	must_be_in_step(machine.space, machine.slots);
	ck_assert(kvm_slots_find(machine.slots, ram->start)->dirty_log);
	ck_assert_int_eq(kvm_slots_set_dirty_log(machine.slots, ram, false, &error), 0);
	must_be_in_step(machine.space, machine.slots);
	ck_assert(!kvm_slots_find(machine.slots, ram->start)->dirty_log);
	teardown(&machine);
}
END_TEST

START_TEST(slots_of_an_existing_space_appear_or_none)
{
	struct machine machine;
	unsigned int n;
	int err;

	ck_assert_int_eq(gpa_space_create(52, &machine.space, &error), 0);
	ck_assert_int_eq(add(&machine, "a", GPA_RAM, 0, PAGE, NULL), 0);
	ck_assert_int_eq(add(&machine, "b", GPA_ROM, PAGE, PAGE, NULL), 0);
	ck_assert_int_eq(add(&machine, "c", GPA_RAM, 2 * PAGE, PAGE, NULL), 0);
	for (n = 1;; n++) {
		fail_nth_arm(n);
		err = kvm_slots_create(VM_FD, machine.space, &machine.slots, &error);
		if (!fail_nth_disarm())
			break;
		ck_assert_int_eq(err, -ENOMEM);
		ck_assert_ptr_null(fake_find(0));
		ck_assert_ptr_null(fake_find(PAGE));
	}
	ck_assert_int_eq(err, 0);
	ck_assert_uint_gt(n, 6);
	must_be_in_step(machine.space, machine.slots);
	teardown(&machine);
}
END_TEST

static void random_change(struct machine *machine, uint64_t *random)
{
	size_t count = gpa_space_count(machine->space);
	const struct gpa_region *region;
	char name[8];

	if (count < 3 || random_below(random, 5) == 0) {
		snprintf(name, sizeof(name), "r%u", (unsigned int)random_below(random, 1000));
		(void)add(machine, name, (enum gpa_kind)random_below(random, 4),
			  random_below(random, 128) * PAGE, (1 + random_below(random, 16)) * PAGE,
			  NULL);
		return;
	}
	region = gpa_space_at(machine->space, random_below(random, count));
	switch (random_below(random, 2)) {
	case 0:
		(void)gpa_space_remove(machine->space, region, &error);
		break;
	default:
		(void)kvm_slots_set_dirty_log(machine->slots, region, random_below(random, 2) == 0,
					      &error);
	}
}

START_TEST(random_changes_with_failures_stay_in_step)
{
	uint64_t random = random_seed("kvm_slots");
	struct machine machine;
	char name[8];
	int i;

	setup(&machine);
	for (i = 0; i < 20000; i++) {
		if (random_below(&random, 3) == 0)
			fail_nth_arm(1 + (unsigned int)random_below(&random, 12));
		random_change(&machine, &random);
		fail_nth_disarm();
		must_be_in_step(machine.space, machine.slots);
	}
	/* No failure kept a slot number. */
	while (gpa_space_count(machine.space) > 0)
		ck_assert_int_eq(
			gpa_space_remove(machine.space, gpa_space_at(machine.space, 0), &error), 0);
	for (i = 0; i < PLACES; i++) {
		snprintf(name, sizeof(name), "r%d", i);
		ck_assert_int_eq(add(&machine, name, GPA_RAM, (uint64_t)i * 2 * PAGE, PAGE, NULL),
				 0);
	}
	teardown(&machine);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kvm_slots");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, a_huge_region_gets_slots_kvm_can_have);
	tcase_add_test(tcase, the_slot_limit_is_a_clear_error);
	tcase_add_test(tcase, rom_needs_read_only_slots);
	tcase_add_test(tcase, dirty_logging_is_switched_for_all_of_a_region);
	tcase_add_test(tcase, slots_of_an_existing_space_appear_or_none);
	tcase_add_test(tcase, random_changes_with_failures_stay_in_step);
	tcase_set_timeout(tcase, 120);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
