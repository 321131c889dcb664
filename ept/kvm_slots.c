/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory slots kept in step with the address space: every change becomes a list of steps, each of
 * one slot, done in order and undone in reverse when one fails.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/search.h"
#include "ept/kvm.h"
#include "ept/kvm_slots.h"

struct kvm_slots {
	int vm_fd;
	struct gpa_space *space;
	size_t limit;
	bool has_read_only;
	struct kvm_slot *slots; /* sorted by start, disjoint */
	size_t count;
	size_t capacity;
	uint64_t *id_used; /* a bit for each of limit ids */
};

/* A slot before and after a change; a side of no bytes is no slot. */
struct step {
	struct kvm_slot before;
	struct kvm_slot after;
};

struct plan {
	struct step *steps;
	size_t count;
};

static uint64_t slot_bytes(const struct kvm_slot *slot)
{
	return slot->end.value - slot->start.value;
}

/* ---- ids ---- */

static int take_id(struct kvm_slots *slots, uint32_t *id_out)
{
	size_t word, words = (slots->limit + 63) / 64;
	uint32_t id;

	for (word = 0; word < words; word++) {
		if (slots->id_used[word] == UINT64_MAX)
			continue;
		id = (uint32_t)(word * 64 + (size_t)__builtin_ctzll(~slots->id_used[word]));
		if (id >= slots->limit)
			break;
		slots->id_used[word] |= 1ULL << (id % 64);
		*id_out = id;
		return 0;
	}
	return -ENOSPC;
}

static void give_id(struct kvm_slots *slots, uint32_t id)
{
	slots->id_used[id / 64] &= ~(1ULL << (id % 64));
}

/* ---- steps: what KVM is asked ---- */

static int set_slot(const struct kvm_slots *slots, const struct kvm_slot *slot)
{
	uint32_t flags = (slot->read_only ? EPT_KVM_SLOT_READ_ONLY : 0) |
			 (slot->dirty_log ? EPT_KVM_SLOT_LOG_DIRTY : 0);

	return ept_kvm_set_slot(slots->vm_fd, slot->id, flags, slot->start, slot_bytes(slot),
				slot->host);
}

static int delete_slot(const struct kvm_slots *slots, const struct kvm_slot *slot)
{
	return ept_kvm_set_slot(slots->vm_fd, slot->id, 0, slot->start, 0, slot->host);
}

/* A new slot, new flags of one there is, or none. */
static int do_step(const struct kvm_slots *slots, const struct kvm_slot *before,
		   const struct kvm_slot *after)
{
	return slot_bytes(after) ? set_slot(slots, after) : delete_slot(slots, before);
}

static int step_error(const struct step *step, int code, struct error *error)
{
	const struct kvm_slot *slot = slot_bytes(&step->after) ? &step->after : &step->before;

	return error_set(error, code, "KVM refused memory slot %u at [%#llx, %#llx): %s", slot->id,
			 (unsigned long long)slot->start.value, (unsigned long long)slot->end.value,
			 strerror(-code));
}

static int run_plan(const struct kvm_slots *slots, const struct plan *plan, struct error *error)
{
	size_t i, done;
	int err = 0;

	for (done = 0; done < plan->count && !err; done++)
		err = do_step(slots, &plan->steps[done].before, &plan->steps[done].after);
	if (!err)
		return 0;
	step_error(&plan->steps[done - 1], err, error);
	for (i = done - 1; i > 0; i--)
		if (do_step(slots, &plan->steps[i - 1].after, &plan->steps[i - 1].before) != 0)
			err = error_set(error, -ENOTRECOVERABLE,
					"KVM refused memory slot %u and its undoing",
					plan->steps[i - 1].after.id);
	return err;
}

/* ---- the sorted array ---- */

static size_t first_after(const struct kvm_slots *slots, uint64_t gpa)
{
	return FIRST_WHERE(i, slots->count, slots->slots[i].end.value > gpa);
}

static int reserve_places(struct kvm_slots *slots, size_t more)
{
	size_t capacity = slots->capacity ? slots->capacity : 8;
	struct kvm_slot *array;

	while (capacity < slots->count + more)
		capacity *= 2;
	if (capacity == slots->capacity)
		return 0;
	array = realloc(slots->slots, capacity * sizeof(*array));
	if (!array)
		return -ENOMEM;
	slots->slots = array;
	slots->capacity = capacity;
	return 0;
}

static void drop(struct kvm_slots *slots, const struct kvm_slot *slot)
{
	size_t at;

	for (at = 0; slots->slots[at].id != slot->id; at++)
		;
	slots->count--;
	memmove(&slots->slots[at], &slots->slots[at + 1],
		(slots->count - at) * sizeof(struct kvm_slot));
}

static void insert(struct kvm_slots *slots, const struct kvm_slot *slot)
{
	size_t at = first_after(slots, slot->start.value);

	memmove(&slots->slots[at + 1], &slots->slots[at],
		(slots->count - at) * sizeof(struct kvm_slot));
	slots->slots[at] = *slot;
	slots->count++;
}

static void commit_plan(struct kvm_slots *slots, const struct plan *plan)
{
	const struct step *step;
	size_t i;

	for (i = 0; i < plan->count; i++) {
		step = &plan->steps[i];
		if (slot_bytes(&step->before))
			drop(slots, &step->before);
		if (slot_bytes(&step->before) && !slot_bytes(&step->after))
			give_id(slots, step->before.id);
	}
	for (i = 0; i < plan->count; i++)
		if (slot_bytes(&plan->steps[i].after))
			insert(slots, &plan->steps[i].after);
}

static void free_plan(struct kvm_slots *slots, struct plan *plan, bool failed)
{
	size_t i;

	for (i = 0; i < plan->count && failed; i++)
		if (slot_bytes(&plan->steps[i].before) == 0)
			give_id(slots, plan->steps[i].after.id);
	free(plan->steps);
}

/* ---- plans ---- */

static int make_plan(struct kvm_slots *slots, size_t most, struct plan *plan, struct error *error)
{
	int err = reserve_places(slots, most);

	plan->count = 0;
	plan->steps = err ? NULL : calloc(most, sizeof(*plan->steps));
	return plan->steps ? 0 : error_set(error, -ENOMEM, "no memory for the slots' bookkeeping");
}

/* Asks KVM for the plan, unless it could not be made, which is @err; frees it. */
static int carry_out(struct kvm_slots *slots, struct plan *plan, int err, struct error *error)
{
	if (!err)
		err = run_plan(slots, plan, error);
	if (!err)
		commit_plan(slots, plan);
	free_plan(slots, plan, err != 0);
	return err;
}

/* The slots of @region, as large as KVM has them. */
static int plan_region(struct kvm_slots *slots, const struct gpa_region *region, struct plan *plan,
		       struct error *error)
{
	struct kvm_slot slot = {.region = region->id, .read_only = region->kind == GPA_ROM};
	uint64_t bytes;

	for (gpa_t start = region->start; start.value < region->end.value; start = slot.end) {
		bytes = region->end.value - start.value;
		if (bytes > EPT_KVM_SLOT_BYTES_MAX)
			bytes = EPT_KVM_SLOT_BYTES_MAX;
		if (take_id(slots, &slot.id) != 0)
			return error_set(error, -ENOSPC,
					 "region %s needs a memory slot more than the %zu this "
					 "KVM has: join regions, or remove some",
					 region->name, slots->limit);
		slot.start = start;
		slot.end = gpa_add(start, bytes);
		slot.host = (char *)region->slot_host + (start.value - region->start.value);
		plan->steps[plan->count++].after = slot;
	}
	return 0;
}

static int add(void *context, const struct gpa_region *region, struct error *error)
{
	uint64_t bytes = region->end.value - region->start.value;
	struct kvm_slots *slots = context;
	struct plan plan;
	int err;

	if (!region->host)
		return 0;
	if (region->kind == GPA_ROM && !slots->has_read_only)
		return error_set(error, -EOPNOTSUPP,
				 "region %s: this KVM has no read-only slots: make it RAM",
				 region->name);
	err = make_plan(slots, 1 + (size_t)(bytes / EPT_KVM_SLOT_BYTES_MAX), &plan, error);
	if (!err)
		err = plan_region(slots, region, &plan, error);
	return carry_out(slots, &plan, err, error);
}

static int remove_region(void *context, const struct gpa_region *region, struct error *error)
{
	struct kvm_slots *slots = context;
	struct plan plan;
	int err;

	if (!region->host)
		return 0;
	err = make_plan(slots, slots->count, &plan, error);
	for (size_t i = first_after(slots, region->start.value);
	     !err && i < slots->count && slots->slots[i].region == region->id; i++) {
		struct step *step = &plan.steps[plan.count++];

		step->before = step->after = slots->slots[i];
		step->after.end = step->after.start;
	}
	return carry_out(slots, &plan, err, error);
}

static const struct gpa_listener_ops listener = {.add = add, .remove = remove_region};

/* ---- outside ---- */

int kvm_slots_create(int vm_fd, struct gpa_space *space, struct kvm_slots **slots_out,
		     struct error *error)
{
	struct kvm_slots *slots = calloc(1, sizeof(*slots));
	int err = -ENOMEM;

	if (!slots)
		return error_set(error, -ENOMEM, "no memory for the slots' bookkeeping");
	slots->vm_fd = vm_fd;
	slots->space = space;
	slots->limit = ept_kvm_slot_limit(vm_fd);
	slots->has_read_only = ept_kvm_has_read_only_slots(vm_fd);
	slots->id_used = calloc((slots->limit + 63) / 64, sizeof(*slots->id_used));
	if (!slots->id_used) {
		error_set(error, -ENOMEM, "no memory for the slots' bookkeeping");
		goto err_free;
	}
	err = gpa_space_listen(space, &listener, slots, error);
	if (err)
		goto err_free;
	*slots_out = slots;
	return 0;

err_free:
	free(slots->slots);
	free(slots->id_used);
	free(slots);
	return err;
}

void kvm_slots_destroy(struct kvm_slots *slots)
{
	if (!slots)
		return;
	(void)gpa_space_unlisten(slots->space, slots, NULL);
	free(slots->slots);
	free(slots->id_used);
	free(slots);
}

size_t kvm_slots_count(const struct kvm_slots *slots)
{
	return slots->count;
}

size_t kvm_slots_limit(const struct kvm_slots *slots)
{
	return slots->limit;
}

const struct kvm_slot *kvm_slots_at(const struct kvm_slots *slots, size_t index)
{
	return &slots->slots[index];
}

const struct kvm_slot *kvm_slots_find(const struct kvm_slots *slots, gpa_t gpa)
{
	size_t at = first_after(slots, gpa.value);

	if (at == slots->count || slots->slots[at].start.value > gpa.value)
		return NULL;
	return &slots->slots[at];
}

int kvm_slots_set_dirty_log(struct kvm_slots *slots, const struct gpa_region *region, bool on,
			    struct error *error)
{
	struct plan plan;
	int err;

	if (region->kind != GPA_RAM)
		return error_set(error, -EINVAL, "region %s is %s: only RAM gets dirty",
				 region->name, gpa_kind_name(region->kind));
	err = make_plan(slots, slots->count, &plan, error);
	for (size_t i = 0; !err && i < slots->count; i++) {
		if (slots->slots[i].region != region->id || slots->slots[i].dirty_log == on)
			continue;
		plan.steps[plan.count].before = plan.steps[plan.count].after = slots->slots[i];
		plan.steps[plan.count++].after.dirty_log = on;
	}
	return carry_out(slots, &plan, err, error);
}
