/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VM's state as it was at a moment; away from the newest step, and back to it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/soft/history_private.h"

#define PAGE EPT_PAGE_BYTES

/* A debugger's wishes are not the processor's, and stay. */
static void load_cpu(struct soft_cpu *cpu, const uint8_t kept[SOFT_KEPT_CPU])
{
	bool step = cpu->debug_step, breakpoints = cpu->debug_breakpoints;
	uint64_t dr[4], dr7 = cpu->debug_dr7;

	memcpy(dr, cpu->debug_dr, sizeof(dr));
	memcpy(cpu, kept, SOFT_KEPT_CPU);
	cpu->debug_step = step;
	cpu->debug_breakpoints = breakpoints;
	cpu->debug_dr7 = dr7;
	memcpy(cpu->debug_dr, dr, sizeof(dr));
	cpu->kick = false;
	cpu->op = NULL;
	soft_cpu_update(cpu);
}

/* Where there is no memory for what a TLB remembered it has forgotten it, as it may. */
static void load_tlb(struct soft_tlb *tlb, const struct soft_tlb *kept)
{
	struct soft_tlb copy = {0};
	uint64_t bytes = 0;

	if (soft_tlb_copy(&copy, kept, &bytes) != 0) {
		soft_tlb_fini(&copy);
		soft_tlb_flush_all(tlb);
		return;
	}
	soft_tlb_fini(tlb);
	*tlb = copy;
}

static void load_vcpus(struct soft_vm *vm, const struct soft_kept *moment)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		const struct soft_kept_vcpu *kept = &moment->vcpus[i];
		struct soft_vcpu *vcpu = vm->vcpus[i];

		load_tlb(&vcpu->tlb, &kept->tlb);
		vcpu->apic = kept->apic;
		vcpu->tsc_offset = kept->tsc_offset;
		vcpu->wait_init = kept->wait_init;
		load_cpu(&vcpu->cpu, kept->cpu);
	}
	vm->clock = moment->clock;
	vm->turn = moment->turn;
	vm->yielded = moment->yielded;
}

static void load_page(const struct soft_kept_page *page, const uint8_t *bytes)
{
	if (memcmp(page->host, bytes, PAGE) != 0)
		memcpy(page->host, bytes, PAGE);
}

/* All memory as it was at moment @number. Errors: -ENOMEM, but not for the newest. */
static int load_pages(struct soft_vm *vm, size_t number)
{
	struct soft_history *history = vm->history;
	bool newest = number + 1 == history->nr_moments;
	const uint8_t **then = newest ? NULL : calloc(history->nr_pages + 1, sizeof(*then));

	if (!then && !newest)
		return -ENOMEM;
	for (size_t i = 0; !newest && i < history->nr_pages; i++)
		then[i] = history->pages[i].first;
	for (size_t m = 1; !newest && m <= number; m++)
		for (size_t i = 0; i < history->moments[m]->nr_versions; i++)
			then[history->moments[m]->versions[i].at] =
				history->moments[m]->versions[i].bytes;
	for (size_t i = 0; i < history->nr_pages; i++)
		load_page(&history->pages[i], newest ? history->pages[i].latest : then[i]);
	free(then);
	return 0;
}

static void place(struct soft_history *history, size_t moment)
{
	history->moment = moment;
	history->turn = 0;
	history->done = 0;
	history->now = history->moments[moment]->at;
}

int soft_history_load(struct soft_vm *vm, size_t number)
{
	int err = load_pages(vm, number);

	if (err)
		return err;
	load_vcpus(vm, vm->history->moments[number]);
	place(vm->history, number);
	return 0;
}

static uint64_t kept_word(const struct soft_kept_vcpu *kept, size_t offset)
{
	uint64_t word;

	memcpy(&word, kept->cpu + offset, sizeof(word));
	return word;
}

/* Whether the turns led to where they led before. */
static bool is_there(const struct soft_vm *vm, const struct soft_kept *moment)
{
	for (unsigned int i = 0; i < vm->nr_vcpus && !moment->told; i++) {
		const struct soft_kept_vcpu *kept = &moment->vcpus[i];
		const struct soft_cpu *now = &vm->vcpus[i]->cpu;

		if (now->rip != kept_word(kept, offsetof(struct soft_cpu, rip)) ||
		    now->instructions != kept_word(kept, offsetof(struct soft_cpu, instructions)) ||
		    memcmp(now->regs, kept->cpu + offsetof(struct soft_cpu, regs),
			   16 * sizeof(now->regs[0])) != 0)
			return false;
	}
	return true;
}

/* From the end of a moment's turns to the next moment, with what came from outside. */
int soft_history_cross(struct soft_vm *vm)
{
	struct soft_history *history = vm->history;
	const struct soft_kept *next = history->moments[history->moment + 1];

	if (!is_there(vm, next))
		return -EILSEQ;
	for (size_t i = 0; i < next->nr_versions; i++)
		load_page(&history->pages[next->versions[i].at], next->versions[i].bytes);
	place(history, history->moment + 1);
	load_vcpus(vm, next);
	return 0;
}

/* ---- there and back ---- */

static void send_messages(struct soft_vm *vm)
{
	struct soft_history *history = vm->history;

	for (unsigned int i = 0; i < history->nr_messages; i++) {
		const struct kvm_msi *msi = &history->messages[i];

		(void)soft_apic_message(vm, (uint64_t)msi->address_hi << 32 | msi->address_lo,
					msi->data);
	}
	if (history->nr_messages)
		history->input = true;
	history->nr_messages = 0;
}

void soft_history_return(struct soft_vm *vm)
{
	struct soft_history *history = vm->history;

	(void)soft_history_load(vm, history->nr_moments - 1);
	history->away = false;
	send_messages(vm);
}

/* Keeps the newest step, so that there is a way back to it. */
int soft_history_leave(struct soft_vm *vm)
{
	struct soft_history *history = vm->history;
	const struct soft_kept *last;
	int err = 0;

	if (history->away)
		return 0;
	last = history->nr_moments ? history->moments[history->nr_moments - 1] : NULL;
	if (!last || history->input || last->nr_turns || history->nr_dirty)
		err = soft_history_take(vm);
	if (!err && !history->nr_moments)
		err = -ENODATA;
	if (err)
		return err;
	place(history, history->nr_moments - 1);
	history->away = true;
	return 0;
}
