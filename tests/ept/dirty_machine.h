/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A machine whose KVM is played by this program. Linked with ioctl() and access() wrapped. */
#ifndef TESTS_EPT_DIRTY_MACHINE_H
#define TESTS_EPT_DIRTY_MACHINE_H

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

static inline struct fake_slot *fake_find(uint64_t gpa)
{
	struct fake_slot *slot;

	for (slot = fake; slot < fake + SLOTS; slot++)
		if (slot->region.memory_size && gpa >= slot->region.guest_phys_addr &&
		    gpa - slot->region.guest_phys_addr < slot->region.memory_size)
			return slot;
	return NULL;
}

/* The guest writes: KVM logs it where the slot is logged. */
static inline void guest_writes(uint64_t gpa)
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

static inline int fake_set(const struct kvm_userspace_memory_region *want)
{
	struct fake_slot *slot = &fake[want->slot];

	/* A slot that goes, or loses logging, loses its bitmap; one that moves keeps it. */
	if (want->memory_size == 0 || !(want->flags & KVM_MEM_LOG_DIRTY_PAGES))
		memset(slot->bits, 0, sizeof(slot->bits));
	slot->region = *want;
	return 0;
}

static inline int fake_get(const struct kvm_dirty_log *log)
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

static inline int fake_clear(const struct kvm_clear_dirty_log *log)
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

static inline int fake_extension(unsigned long capability)
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

static inline int fake_enable(const struct kvm_enable_cap *cap)
{
	if (cap->cap == KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 && cap->args[0] == 1)
		fake_manual = true;
	else if (cap->cap != KVM_CAP_DIRTY_LOG_RING || cap->args[0] < PAGE)
		return EINVAL;
	return 0;
}

static inline int fake_reset(void)
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

static inline void setup(struct machine *machine, enum dirty_method method, uint64_t pages)
{
	size_t bytes = RING_ENTRIES * sizeof(struct kvm_dirty_gfn);
	struct gpa_request request = {
		.name = "ram", .start = gpa_make(64 * PAGE), .size_bytes = pages * PAGE};

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

static inline void teardown(struct machine *machine)
{
	dirty_destroy(machine->tracker);
	kvm_slots_destroy(machine->slots);
	gpa_space_destroy(machine->space);
	close(machine->vcpu_fd);
}

static inline uint64_t count(const struct machine *machine, uint32_t since)
{
	return dirty_count(machine->tracker, machine->ram, since);
}

static inline void collect(struct machine *machine)
{
	ck_assert_msg(dirty_collect(machine->tracker, &error) == 0, "%s", error.text);
}

#endif
