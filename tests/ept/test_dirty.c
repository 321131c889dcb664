/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dirty tracking against a KVM played by this program, which keeps a bitmap for each slot (or
 * fills a ring), and a naive array of stamps.
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/kvm.h>

#include "ept/dirty.h"
#include "tests/harness.h"
#include "tests/ept/random.h"

#define PAGE         EPT_PAGE_BYTES
#define VM_FD        12345
#define SLOTS        64
#define SLOT_PAGES   512
#define RING_ENTRIES 256u

static struct error error;

/* ---- the played KVM ---- */

struct fake_slot {
	struct kvm_userspace_memory_region region;
	uint64_t bits[SLOT_PAGES / 64];
};

static struct fake_slot fake[SLOTS];
static struct kvm_dirty_gfn *fake_ring; /* NULL: the bitmap is on */
static uint32_t fake_ring_next;
static bool fake_manual;
static bool fake_no_manual, fake_no_ring;
static int fake_get_error, fake_clear_error;
static unsigned int fake_resets;

static struct fake_slot *fake_find(uint64_t gpa)
{
	struct fake_slot *slot;

	for (slot = fake; slot < fake + SLOTS; slot++)
		if (slot->region.memory_size && gpa >= slot->region.guest_phys_addr &&
		    gpa - slot->region.guest_phys_addr < slot->region.memory_size)
			return slot;
	return NULL;
}

/* The guest writes: KVM logs it where the slot is logged. */
static void guest_writes(uint64_t gpa)
{
	struct fake_slot *slot = fake_find(gpa);
	uint64_t page = (gpa - slot->region.guest_phys_addr) / PAGE;
	struct kvm_dirty_gfn *entry;

	if (!(slot->region.flags & KVM_MEM_LOG_DIRTY_PAGES))
		return;
	if (!fake_ring) {
		slot->bits[page / 64] |= 1ULL << page % 64;
		return;
	}
	entry = &fake_ring[fake_ring_next++ % RING_ENTRIES];
	if (entry->flags & KVM_DIRTY_GFN_F_MASK)
		ck_abort_msg("the ring is full");
	entry->slot = slot->region.slot;
	entry->offset = page;
	__atomic_store_n(&entry->flags, KVM_DIRTY_GFN_F_DIRTY, __ATOMIC_RELEASE);
}

static int fake_set(const struct kvm_userspace_memory_region *want)
{
	struct fake_slot *slot = &fake[want->slot];

	/* A slot that goes, or loses logging, loses its bitmap; one that moves keeps it. */
	if (want->memory_size == 0 || !(want->flags & KVM_MEM_LOG_DIRTY_PAGES))
		memset(slot->bits, 0, sizeof(slot->bits));
	slot->region = *want;
	return 0;
}

static int fake_get(const struct kvm_dirty_log *log)
{
	struct fake_slot *slot = &fake[log->slot];

	if (fake_get_error)
		return fake_get_error;
	if (!(slot->region.flags & KVM_MEM_LOG_DIRTY_PAGES))
		return ENOENT;
	memcpy(log->dirty_bitmap, slot->bits, (slot->region.memory_size / PAGE + 63) / 64 * 8);
	if (!fake_manual)
		memset(slot->bits, 0, sizeof(slot->bits));
	return 0;
}

static int fake_clear(const struct kvm_clear_dirty_log *log)
{
	struct fake_slot *slot = &fake[log->slot];
	const uint64_t *bits = log->dirty_bitmap;
	uint64_t word, pages = slot->region.memory_size / PAGE;

	if (fake_clear_error)
		return fake_clear_error;
	if (!fake_manual || log->first_page % 64 != 0 || log->first_page + log->num_pages > pages ||
	    (log->num_pages % 64 != 0 && log->first_page + log->num_pages != pages))
		return EINVAL;
	for (word = 0; word < (log->num_pages + 63) / 64; word++)
		slot->bits[log->first_page / 64 + word] &= ~bits[word];
	return 0;
}

static int fake_extension(unsigned long capability)
{
	switch (capability) {
	case KVM_CAP_NR_MEMSLOTS:
		return SLOTS;
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
		return fake_no_manual ? 0 : 3;
	case KVM_CAP_DIRTY_LOG_RING:
		return fake_no_ring ? 0 : 65536 * (int)sizeof(struct kvm_dirty_gfn);
	}
	return 0;
}

static int fake_enable(const struct kvm_enable_cap *cap)
{
	if (cap->cap == KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 && cap->args[0] == 1)
		fake_manual = true;
	else if (cap->cap != KVM_CAP_DIRTY_LOG_RING || cap->args[0] < PAGE)
		return EINVAL;
	return 0;
}

static int fake_reset(void)
{
	unsigned int i;

	fake_resets++;
	for (i = 0; i < RING_ENTRIES; i++)
		if (fake_ring[i].flags & KVM_DIRTY_GFN_F_RESET)
			fake_ring[i].flags = 0;
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_access(const char *path, int mode);

static bool fake_pvm;

/* Whether this host is kvm_pvm does not matter here. */
int __wrap_access(const char *path, int mode)
{
	return fake_pvm && strcmp(path, "/sys/module/kvm_pvm") == 0 ? 0 : -1;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *argument;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	if (fd != VM_FD)
		abort();
	if (request == KVM_CHECK_EXTENSION)
		return fake_extension((unsigned long)argument);
	errno = request == KVM_SET_USER_MEMORY_REGION ? fake_set(argument)
		: request == KVM_GET_DIRTY_LOG        ? fake_get(argument)
		: request == KVM_CLEAR_DIRTY_LOG      ? fake_clear(argument)
		: request == KVM_ENABLE_CAP           ? fake_enable(argument)
		: request == KVM_RESET_DIRTY_RINGS    ? fake_reset()
						      : ENOTTY;
	return errno ? -1 : 0;
}

/* ---- a machine ---- */

struct machine {
	struct gpa_space *space;
	struct kvm_slots *slots;
	struct dirty_tracker *tracker;
	const struct gpa_region *ram;
	int vcpu_fd; /* a memfd in whose pages the ring lies */
};

static void setup(struct machine *machine, enum dirty_method method, uint64_t pages)
{
	size_t bytes = RING_ENTRIES * sizeof(struct kvm_dirty_gfn);
	struct gpa_request request = {.name = "ram",
				      .start = gpa_make(64 * PAGE),
				      .size_bytes = pages * PAGE,
				      .max_bytes = SLOT_PAGES * PAGE};

	ck_assert_int_eq(gpa_space_create(40, &machine->space, &error), 0);
	ck_assert_int_eq(kvm_slots_create(VM_FD, machine->space, &machine->slots, &error), 0);
	ck_assert_int_eq(gpa_space_add(machine->space, &request, &machine->ram, &error), 0);
	ck_assert_int_eq(dirty_create(VM_FD, machine->space, machine->slots, method,
				      method == DIRTY_RING ? RING_ENTRIES : 0, &machine->tracker,
				      &error),
			 0);
	machine->vcpu_fd = memfd_create("vcpu", MFD_CLOEXEC);
	if (method == DIRTY_BITMAP)
		return;
	ck_assert_int_eq(
		ftruncate(machine->vcpu_fd, (off_t)(KVM_DIRTY_LOG_PAGE_OFFSET * PAGE + bytes)), 0);
	fake_ring = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, machine->vcpu_fd,
			 (off_t)(KVM_DIRTY_LOG_PAGE_OFFSET * PAGE));
	ck_assert_int_eq(dirty_add_vcpu(machine->tracker, machine->vcpu_fd, &error), 0);
}

static void teardown(struct machine *machine)
{
	dirty_destroy(machine->tracker);
	kvm_slots_destroy(machine->slots);
	gpa_space_destroy(machine->space);
	close(machine->vcpu_fd);
}

static uint64_t count(const struct machine *machine, uint32_t since)
{
	return dirty_count(machine->tracker, machine->ram, since);
}

static void collect(struct machine *machine)
{
	ck_assert_msg(dirty_collect(machine->tracker, &error) == 0, "%s", error.text);
}

/* ---- against a naive array ---- */

struct naive {
	uint32_t stamps[SLOT_PAGES]; /* as a collect would show them now */
	bool pending[SLOT_PAGES];    /* written by the guest, not collected */
	uint64_t pages;
};

static int compare_range(void *context, gpa_t start, gpa_t end)
{
	uint8_t *seen = context;
	uint64_t at;

	if (end.value <= start.value)
		ck_abort_msg("an empty range");
	for (at = start.value; at < end.value; at += PAGE)
		seen[at / PAGE] = 1;
	return 0;
}

static void must_agree(const struct machine *machine, const struct naive *naive, uint32_t since)
{
	static uint8_t seen[64 * 1024];
	uint64_t base = machine->ram->start.value / PAGE, i;

	memset(seen, 0, sizeof(seen));
	ck_assert_int_eq(dirty_for_each(machine->tracker, machine->ram, since, compare_range, seen),
			 0);
	for (i = 0; i < naive->pages; i++)
		if (seen[base + i] != (naive->stamps[i] >= since && naive->stamps[i] > 0))
			ck_abort_msg("page %llu: stamp %u, since %u, seen %u",
				     (unsigned long long)i, naive->stamps[i], since,
				     seen[base + i]);
	for (i = 0; i < sizeof(seen); i++)
		if (seen[i] && (i < base || i >= base + naive->pages))
			ck_abort_msg("a page outside the region");
}

static void naive_collect(struct naive *naive, uint32_t epoch)
{
	uint64_t i;

	for (i = 0; i < naive->pages; i++) {
		if (naive->pending[i])
			naive->stamps[i] = epoch;
		naive->pending[i] = false;
	}
}

static void random_step(struct machine *machine, struct naive *naive, uint64_t *random)
{
	uint32_t epoch = dirty_epoch(machine->tracker);
	uint64_t page = random_below(random, naive->pages), pages, i;

	switch (random_below(random, 12)) {
	case 0:
		ck_assert_int_eq(dirty_advance(machine->tracker, 0, &error), 0);
		naive_collect(naive, epoch);
		return;
	case 1:
		collect(machine);
		naive_collect(naive, epoch);
		return;
	case 2:
		ck_assert_int_eq(gpa_space_move(machine->space, machine->ram,
						gpa_make((1 + random_below(random, 4096)) * PAGE),
						&error),
				 0);
		return;
	case 3:
		pages = 1 + random_below(random, SLOT_PAGES - 1);
		collect(machine);
		naive_collect(naive, epoch);
		ck_assert_int_eq(
			gpa_space_resize(machine->space, machine->ram, pages * PAGE, &error), 0);
		for (i = pages > naive->pages ? naive->pages : 0; i < pages; i++)
			if (pages != naive->pages)
				naive->stamps[i] = epoch;
		naive->pages = pages;
		return;
	case 4:
		ck_assert_int_eq(gpa_space_write(machine->space,
						 gpa_add(machine->ram->start, page * PAGE + 100),
						 "x", 1),
				 0);
		naive->stamps[page] = epoch;
		return;
	default:
		guest_writes(machine->ram->start.value + page * PAGE);
		naive->pending[page] = true;
	}
}

START_TEST(agrees_with_a_naive_array)
{
	uint64_t random = random_seed("dirty");
	struct naive naive = {.pages = 300};
	struct machine machine;
	int i;

	fake_no_manual = _i == 1;
	setup(&machine, DIRTY_BITMAP, naive.pages);
	ck_assert_int_eq(dirty_start(machine.tracker, machine.ram, &error), 0);
	for (i = 0; i < 6000; i++) {
		random_step(&machine, &naive, &random);
		must_agree(&machine, &naive,
			   (uint32_t)random_below(&random, dirty_epoch(machine.tracker) + 2));
	}
	teardown(&machine);
}
END_TEST

START_TEST(the_ring_is_read_round_and_round)
{
	struct machine machine;
	uint64_t i, round;

	setup(&machine, DIRTY_RING, 300);
	ck_assert_int_eq(dirty_start(machine.tracker, machine.ram, &error), 0);
	for (round = 1; round < 10; round++) {
		for (i = 0; i < RING_ENTRIES - round; i++)
			guest_writes(machine.ram->start.value + (i + round) * PAGE);
		ck_assert_uint_eq(count(&machine, dirty_epoch(machine.tracker)), 0);
		collect(&machine);
		ck_assert_uint_eq(count(&machine, dirty_epoch(machine.tracker)),
				  RING_ENTRIES - round);
		ck_assert_uint_eq(fake_resets, round);
		ck_assert_int_eq(dirty_advance(machine.tracker, 0, &error), 0);
	}
	/* Entries of a slot that is gone, or past its end, are passed over. */
	guest_writes(machine.ram->start.value);
	fake_ring[(fake_ring_next - 1) % RING_ENTRIES].offset = 1ULL << 40;
	guest_writes(machine.ram->start.value);
	fake_ring[(fake_ring_next - 1) % RING_ENTRIES].slot = 40;
	collect(&machine);
	ck_assert_uint_eq(count(&machine, dirty_epoch(machine.tracker)), 0);
	teardown(&machine);
}
END_TEST

START_TEST(an_overrun_ring_makes_everything_dirty)
{
	struct machine machine;
	uint64_t i;

	setup(&machine, DIRTY_RING, 300);
	ck_assert_int_eq(dirty_start(machine.tracker, machine.ram, &error), 0);
	for (i = 0; i < RING_ENTRIES; i++)
		guest_writes(machine.ram->start.value + i * PAGE);
	collect(&machine);
	ck_assert_uint_eq(count(&machine, dirty_epoch(machine.tracker)), 300);
	teardown(&machine);
}
END_TEST

START_TEST(a_reader_that_dies_loses_nothing)
{
	struct machine machine;
	uint32_t epoch;

	setup(&machine, DIRTY_BITMAP, 200);
	ck_assert_int_eq(dirty_start(machine.tracker, machine.ram, &error), 0);
	epoch = dirty_epoch(machine.tracker);
	guest_writes(machine.ram->start.value + 7 * PAGE);
	/* KVM fails to read, then to clear: the page is still seen later. */
	fake_get_error = EFAULT;
	ck_assert_int_eq(dirty_collect(machine.tracker, &error), -EFAULT);
	ck_assert_int_eq(dirty_advance(machine.tracker, 1, &error), -EFAULT);
	ck_assert_uint_eq(dirty_epoch(machine.tracker), epoch);
	fake_get_error = 0;
	fake_clear_error = EFAULT;
	ck_assert_int_eq(dirty_collect(machine.tracker, &error), -EFAULT);
	fake_clear_error = 0;
	collect(&machine);
	/* Two readers, one after the other, see the same. */
	ck_assert_uint_eq(count(&machine, epoch), 1);
	ck_assert_uint_eq(count(&machine, epoch), 1);
	ck_assert_int_eq(dirty_advance(machine.tracker, 1, &error), 0);
	ck_assert_uint_eq(count(&machine, epoch), 1);
	ck_assert_uint_eq(count(&machine, epoch + 1), 0);
	teardown(&machine);
}
END_TEST

START_TEST(tracking_goes_on_and_off)
{
	struct machine machine;

	setup(&machine, DIRTY_BITMAP, 200);
	ck_assert_int_eq(dirty_stop(machine.tracker, machine.ram, &error), -ENOENT);
	ck_assert_int_eq(dirty_for_each(machine.tracker, machine.ram, 0, compare_range, NULL),
			 -ENOENT);
	guest_writes(machine.ram->start.value);
	ck_assert_int_eq(dirty_start(machine.tracker, machine.ram, &error), 0);
	ck_assert_int_eq(dirty_start(machine.tracker, machine.ram, &error), -EALREADY);
	guest_writes(machine.ram->start.value + PAGE);
	ck_assert_int_eq(dirty_stop(machine.tracker, machine.ram, &error), 0);
	ck_assert_uint_eq(count(&machine, 0), 1);
	ck_assert(!kvm_slots_find(machine.slots, machine.ram->start)->dirty_log);
	ck_assert_int_eq(gpa_space_write(machine.space, machine.ram->start, "x", 1), 0);
	ck_assert_uint_eq(count(&machine, 0), 1);
	ck_assert_int_eq(dirty_start(machine.tracker, machine.ram, &error), 0);
	ck_assert_uint_eq(count(&machine, 0), 0);
	ck_assert_int_eq(gpa_space_remove(machine.space, machine.ram, &error), 0);
	collect(&machine);
	teardown(&machine);
}
END_TEST

START_TEST(the_rate_has_mean_and_deviation)
{
	static const unsigned int pages[] = {2, 4, 4, 4, 5, 5, 7, 9};
	struct dirty_rate rate;
	struct machine machine;
	unsigned int i, page;

	setup(&machine, DIRTY_BITMAP, 200);
	ck_assert_int_eq(dirty_start(machine.tracker, machine.ram, &error), 0);
	for (i = 0; i < 8; i++) {
		for (page = 0; page < pages[i]; page++) {
			guest_writes(machine.ram->start.value + page * PAGE);
			/* The VMM writes the same page: it counts once. */
			(void)gpa_space_write(machine.space,
					      gpa_add(machine.ram->start, page * PAGE), "x", 1);
		}
		ck_assert_int_eq(dirty_advance(machine.tracker, 0.5, &error), 0);
	}
	dirty_rate(machine.tracker, &rate);
	ck_assert_uint_eq(rate.epochs, 8);
	ck_assert_double_eq_tol(rate.mean_pages, 10, 1e-9);
	ck_assert_double_eq_tol(rate.deviation_pages, 2 * sqrt(32.0 / 7), 1e-9);
	ck_assert_double_eq_tol(rate.last_pages, 18, 1e-9);
	/* The working set of the last three epochs. */
	ck_assert_uint_eq(count(&machine, dirty_epoch(machine.tracker) - 3), 9);
	teardown(&machine);
}
END_TEST

START_TEST(bad_rings_are_refused_with_words)
{
	struct dirty_tracker *tracker = NULL;
	struct machine machine;

	setup(&machine, DIRTY_BITMAP, 10);
	ck_assert_int_eq(dirty_add_vcpu(machine.tracker, machine.vcpu_fd, &error), -EINVAL);
	ck_assert_int_eq(dirty_create(VM_FD, machine.space, machine.slots, DIRTY_RING, 300,
				      &tracker, &error),
			 -EINVAL);
	ck_assert_msg(strstr(error.text, "power of two up to 65536"), "%s", error.text);
	ck_assert_int_eq(dirty_create(VM_FD, machine.space, machine.slots, DIRTY_RING, 128,
				      &tracker, &error),
			 -EINVAL);
	ck_assert_msg(strstr(error.text, "before the first vCPU"), "%s", error.text);
	fake_pvm = true;
	ck_assert_int_eq(
		dirty_create(VM_FD, machine.space, machine.slots, DIRTY_RING, 0, &tracker, &error),
		-EOPNOTSUPP);
	fake_pvm = false;
	fake_no_ring = true;
	ck_assert_int_eq(
		dirty_create(VM_FD, machine.space, machine.slots, DIRTY_RING, 0, &tracker, &error),
		-EOPNOTSUPP);
	ck_assert_ptr_null(tracker);
	teardown(&machine);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dirty");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, agrees_with_a_naive_array, 0, 2);
	tcase_add_test(tcase, the_ring_is_read_round_and_round);
	tcase_add_test(tcase, an_overrun_ring_makes_everything_dirty);
	tcase_add_test(tcase, a_reader_that_dies_loses_nothing);
	tcase_add_test(tcase, tracking_goes_on_and_off);
	tcase_add_test(tcase, the_rate_has_mean_and_deviation);
	tcase_add_test(tcase, bad_rings_are_refused_with_words);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
