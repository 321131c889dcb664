/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Moments and turns are kept, and forgotten from the oldest on. */
#include "vmm/soft/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/grow.h"
#include "vmm/soft/history_private.h"

#define PAGE EPT_PAGE_BYTES

/* ---- pages ---- */

static uint8_t *copy_page(struct soft_history *history, const uint8_t *host)
{
	uint8_t *copy = malloc(PAGE);

	if (!copy)
		return NULL;
	memcpy(copy, host, PAGE);
	history->bytes += PAGE;
	return copy;
}

/* The page, which is as it was at the oldest moment. Returns its place, or U64_MAP_NONE. */
static uint32_t keep_page(struct soft_vm *vm, uint64_t page)
{
	struct soft_history *history = vm->history;
	const struct soft_slot *slot = soft_slot_find(vm, page * PAGE);
	struct soft_kept_page new = {.page = page};
	uint32_t at = (uint32_t)history->nr_pages;

	if (!slot || GROW(history->pages, history->nr_pages) != 0)
		return U64_MAP_NONE;
	new.host = slot->host + (page * PAGE - slot->start);
	new.first = copy_page(history, new.host);
	new.latest = new.first;
	if (!new.first)
		return U64_MAP_NONE;
	history->pages[history->nr_pages++] = new;
	return u64_map_set(&history->map, page, at) == 0 ? at : U64_MAP_NONE;
}

static bool make_dirty(struct soft_history *history, uint32_t at)
{
	if (history->pages[at].dirty)
		return true;
	if (GROW(history->dirty, history->nr_dirty) != 0)
		return false;
	history->dirty[history->nr_dirty++] = at;
	history->pages[at].dirty = true;
	return true;
}

void soft_history_note(struct soft_vm *vm, uint64_t gpa)
{
	struct soft_history *history = vm->history;
	uint32_t at = u64_map_get(&history->map, gpa / PAGE);

	if (!history->nr_moments)
		return;
	if (at == U64_MAP_NONE)
		at = keep_page(vm, gpa / PAGE);
	if (at == U64_MAP_NONE || (!history->away && !make_dirty(history, at)))
		soft_history_cut(vm);
}

/* ---- moments ---- */

static void free_moment(const struct soft_vm *vm, struct soft_kept *moment)
{
	if (!moment)
		return;
	for (unsigned int i = 0; moment->vcpus && i < vm->nr_vcpus; i++)
		soft_tlb_fini(&moment->vcpus[i].tlb);
	for (size_t i = 0; i < moment->nr_versions; i++)
		free(moment->versions[i].bytes);
	free(moment->vcpus);
	free(moment->versions);
	free(moment->turns);
	free(moment);
}

static void forget(struct soft_vm *vm)
{
	struct soft_history *history = vm->history;

	for (size_t i = 0; i < history->nr_moments; i++)
		free_moment(vm, history->moments[i]);
	for (size_t i = 0; i < history->nr_pages; i++)
		free(history->pages[i].first);
	free(history->moments);
	free(history->pages);
	free(history->dirty);
	u64_map_clear(&history->map);
	history->moments = NULL;
	history->pages = NULL;
	history->dirty = NULL;
	history->nr_moments = history->nr_pages = history->nr_dirty = 0;
	history->bytes = 0;
}

void soft_history_cut(struct soft_vm *vm)
{
	struct soft_history *history = vm->history;

	/* Who is away has the newest state nowhere but here. */
	if (!history->away)
		forget(vm);
	history->input = true;
}

static int keep_vcpus(const struct soft_vm *vm, struct soft_kept *moment)
{
	moment->vcpus = calloc(vm->nr_vcpus, sizeof(*moment->vcpus));
	if (!moment->vcpus)
		return -ENOMEM;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		struct soft_kept_vcpu *kept = &moment->vcpus[i];
		struct soft_vcpu *vcpu = vm->vcpus[i];

		memcpy(kept->cpu, &vcpu->cpu, SOFT_KEPT_CPU);
		kept->apic = vcpu->apic;
		kept->tsc_offset = vcpu->tsc_offset;
		kept->wait_init = vcpu->wait_init;
		if (soft_tlb_copy(&kept->tlb, &vcpu->tlb, &moment->bytes) != 0)
			return -ENOMEM;
		moment->bytes += sizeof(*kept);
		/* Each page is noted again before it is written. */
		soft_cpu_drop_lines(&vcpu->cpu);
	}
	return 0;
}

static int by_place(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int keep_versions(struct soft_vm *vm, struct soft_kept *moment)
{
	struct soft_history *history = vm->history;

	qsort(history->dirty, history->nr_dirty, sizeof(*history->dirty), by_place);
	for (size_t i = 0; i < history->nr_dirty; i++) {
		struct soft_kept_page *page = &history->pages[history->dirty[i]];
		uint8_t *copy;

		page->dirty = false;
		if (memcmp(page->host, page->latest, PAGE) == 0)
			continue;
		copy = GROW(moment->versions, moment->nr_versions) == 0
			       ? copy_page(history, page->host)
			       : NULL;
		if (!copy)
			return -ENOMEM;
		moment->versions[moment->nr_versions++] =
			(struct soft_version){.at = history->dirty[i], .bytes = copy};
		page->latest = copy;
	}
	history->nr_dirty = 0;
	return 0;
}

/* The second moment becomes the oldest. */
static void drop_oldest(struct soft_vm *vm)
{
	struct soft_history *history = vm->history;
	struct soft_kept *second = history->moments[1];

	for (size_t i = 0; i < second->nr_versions; i++) {
		struct soft_kept_page *page = &history->pages[second->versions[i].at];

		free(page->first);
		page->first = second->versions[i].bytes;
	}
	history->bytes -= second->nr_versions * PAGE + history->moments[0]->bytes;
	free(second->versions);
	second->versions = NULL;
	second->nr_versions = 0;
	free_moment(vm, history->moments[0]);
	memmove(history->moments, history->moments + 1,
		--history->nr_moments * sizeof(struct soft_kept *));
}

static int keep_range(struct soft_vm *vm, uint64_t start, uint64_t end)
{
	for (uint64_t page = start / PAGE; page * PAGE < end; page++)
		if (u64_map_get(&vm->history->map, page) == U64_MAP_NONE &&
		    keep_page(vm, page) == U64_MAP_NONE)
			return -ENOMEM;
	return 0;
}

int soft_history_take(struct soft_vm *vm)
{
	struct soft_history *history = vm->history;
	struct soft_kept *moment = calloc(1, sizeof(*moment));
	int err = moment ? GROW(history->moments, history->nr_moments) : -ENOMEM;

	for (size_t i = 0; !history->nr_moments && i < history->nr_ranges && !err; i++)
		err = keep_range(vm, history->ranges[i].start, history->ranges[i].end);
	if (!err)
		err = keep_vcpus(vm, moment);
	if (!err)
		err = keep_versions(vm, moment);
	if (err) {
		free_moment(vm, moment);
		soft_history_cut(vm);
		return err;
	}
	moment->at = history->at;
	moment->clock = vm->clock;
	moment->turn = vm->turn;
	moment->yielded = vm->yielded;
	moment->told = history->told;
	history->moments[history->nr_moments++] = moment;
	history->bytes += moment->bytes;
	history->input = history->told = false;
	while (history->bytes > history->limit && history->nr_moments > 1)
		drop_oldest(vm);
	/* The pages that are written alone are more than may be kept. */
	if (history->bytes > history->limit)
		soft_history_cut(vm);
	return 0;
}

/* ---- turns ---- */

void soft_history_before(struct soft_vm *vm)
{
	struct soft_history *history = vm->history;
	const struct soft_kept *last =
		history->nr_moments ? history->moments[history->nr_moments - 1] : NULL;

	if (!last || history->input || history->at - last->at >= SOFT_HISTORY_STRIDE)
		(void)soft_history_take(vm);
}

void soft_history_after(struct soft_vcpu *vcpu, uint64_t steps, bool timers)
{
	struct soft_vm *vm = vcpu->vm;
	struct soft_history *history = vm->history;
	struct soft_kept *moment;
	struct soft_turn *last;

	if (!history->nr_moments || steps == 0)
		return;
	history->at += steps;
	moment = history->moments[history->nr_moments - 1];
	last = moment->nr_turns ? &moment->turns[moment->nr_turns - 1] : NULL;
	if (last && !timers && last->vcpu == vcpu->id && last->blocked == vcpu->block_interrupts) {
		last->steps += steps;
		last->clock = vm->clock;
		return;
	}
	if (GROW(moment->turns, moment->nr_turns) != 0) {
		soft_history_cut(vm);
		return;
	}
	moment->turns[moment->nr_turns++] = (struct soft_turn){.steps = steps,
							       .clock = vm->clock,
							       .vcpu = vcpu->id,
							       .blocked = vcpu->block_interrupts};
	moment->bytes += sizeof(struct soft_turn);
	history->bytes += sizeof(struct soft_turn);
}

/* ---- from outside ---- */

void soft_history_input(struct soft_vm *vm, bool registers)
{
	vm->history->input = true;
	vm->history->told |= registers;
}

int soft_history_message(struct soft_vm *vm, const struct kvm_msi *msi)
{
	struct soft_history *history = vm->history;

	for (unsigned int i = 0; i < history->nr_messages; i++)
		if (memcmp(&history->messages[i], msi, sizeof(*msi)) == 0)
			return 1;
	if (history->nr_messages == SOFT_MESSAGES_MAX)
		return -ENOSPC;
	history->messages[history->nr_messages++] = *msi;
	return 1;
}

/* What the host writes while the VM is away is meant for the newest step. */
static int write_newest(struct soft_history *history, uint32_t at, uint64_t offset, uint64_t bytes)
{
	struct soft_kept *last = history->moments[history->nr_moments - 1];
	struct soft_kept_page *page = &history->pages[at];
	struct soft_version *version = NULL;

	for (size_t i = 0; i < last->nr_versions && !version; i++)
		if (last->versions[i].at == at)
			version = &last->versions[i];
	if (!version) {
		uint8_t *copy = GROW(last->versions, last->nr_versions) == 0
					? copy_page(history, page->latest)
					: NULL;

		if (!copy)
			return -ENOMEM;
		version = &last->versions[last->nr_versions++];
		*version = (struct soft_version){.at = at, .bytes = copy};
		page->latest = copy;
	}
	memcpy(version->bytes + offset, page->host + offset, bytes);
	return 0;
}

static void wrote(struct soft_vm *vm, uint64_t gpa, uint64_t bytes)
{
	struct soft_history *history = vm->history;
	uint64_t now;

	history->input = true;
	for (; bytes > 0 && history->nr_moments; gpa += now, bytes -= now) {
		uint32_t at = u64_map_get(&history->map, gpa / PAGE);

		now = PAGE - gpa % PAGE < bytes ? PAGE - gpa % PAGE : bytes;
		if (at == U64_MAP_NONE ||
		    (history->away ? write_newest(history, at, gpa % PAGE, now) != 0
				   : !make_dirty(history, at)))
			soft_history_cut(vm);
	}
}

void soft_history_will_write(int vm_fd, uint64_t gpa, uint64_t bytes)
{
	struct soft_vm *vm = soft_vm_of(vm_fd);

	if (!vm)
		return;
	soft_vm_lock(vm);
	if (vm->history && vm->history->nr_moments && keep_range(vm, gpa, gpa + bytes) != 0)
		soft_history_cut(vm);
	soft_vm_unlock(vm);
}

void soft_history_wrote(int vm_fd, uint64_t gpa, uint64_t bytes)
{
	struct soft_vm *vm = soft_vm_of(vm_fd);

	if (!vm)
		return;
	soft_vm_lock(vm);
	if (vm->history)
		wrote(vm, gpa, bytes);
	soft_vm_unlock(vm);
}

void soft_history_wrote_locked(int vm_fd, uint64_t gpa, uint64_t bytes)
{
	struct soft_vm *vm = soft_vm_of(vm_fd);

	if (vm && vm->history)
		wrote(vm, gpa, bytes);
}

void soft_history_lock(int vm_fd)
{
	struct soft_vm *vm = soft_vm_of(vm_fd);

	if (vm)
		soft_vm_lock(vm);
}

void soft_history_unlock(int vm_fd)
{
	struct soft_vm *vm = soft_vm_of(vm_fd);

	if (vm)
		soft_vm_unlock(vm);
}

/* ---- life ---- */

int soft_history_begin(int vm_fd, uint64_t limit_bytes)
{
	struct soft_vm *vm = soft_vm_of(vm_fd);
	struct soft_history *history = vm ? calloc(1, sizeof(*history)) : NULL;
	int err;

	if (!history)
		return vm ? -ENOMEM : -EBADF;
	history->limit = limit_bytes;
	soft_vm_lock(vm);
	vm->history = history;
	err = soft_history_take(vm);
	soft_vm_unlock(vm);
	return err;
}

void soft_history_end(int vm_fd)
{
	struct soft_vm *vm = soft_vm_of(vm_fd);

	if (!vm || !vm->history)
		return;
	soft_vm_lock(vm);
	if (vm->history->away)
		soft_history_return(vm);
	forget(vm);
	free(vm->history->ranges);
	free(vm->history);
	vm->history = NULL;
	soft_vm_unlock(vm);
}

int soft_history_keep(int vm_fd, uint64_t gpa, uint64_t bytes)
{
	struct soft_vm *vm = soft_vm_of(vm_fd);
	int err;

	if (!vm || !vm->history)
		return -EBADF;
	soft_vm_lock(vm);
	err = GROW(vm->history->ranges, vm->history->nr_ranges);
	if (!err) {
		vm->history->ranges[vm->history->nr_ranges].start = gpa;
		vm->history->ranges[vm->history->nr_ranges++].end = gpa + bytes;
		err = keep_range(vm, gpa, gpa + bytes);
	}
	soft_vm_unlock(vm);
	return err;
}

bool soft_history_is_away_locked(int vm_fd)
{
	const struct soft_vm *vm = soft_vm_of(vm_fd);

	return vm && vm->history && vm->history->away;
}

bool soft_history_is_away(int vm_fd)
{
	bool away;

	soft_history_lock(vm_fd);
	away = soft_history_is_away_locked(vm_fd);
	soft_history_unlock(vm_fd);
	return away;
}
