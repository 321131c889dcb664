/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which watched page an instruction touches, and by which address: its operands are computed from
 * the registers (vmm/machine/insn.h) and translated by the guest's own page tables. A table may be
 * the page that is watched; and a page may be reached by an address whose entry is gone, through a
 * stale TLB.
 */
#include <linux/kvm.h>
#include <string.h>

#include "mm/x86.h"
#include "vmm/machine/insn.h"
#include "vmm/machine/vcpu_report.h"
#include "vmm/machine/vm.h"
#include "vmm/machine/watch_private.h"

#define OFFSET_MASK (EPT_PAGE_BYTES - 1)

struct place {
	struct watch *watch;
	const gpa_t *wanted; /* or NULL: any that is watched */
	struct paging_mode mode;
	struct paging_reader reader;
	struct insn_state state;
};

static bool place_of(struct watch *watch, struct vcpu *vcpu, struct place *place_out)
{
	struct kvm_sregs sregs;

	*place_out = (struct place){.watch = watch};
	if (vcpu_report_registers(vcpu, place_out->state.regs, &sregs) != 0 ||
	    vcpu_paging_mode(vcpu, &sregs, &place_out->mode) != 0)
		return false;
	place_out->reader = gpa_space_paging_reader(vcpu->vm->space);
	place_out->state.fs_base = sregs.fs.base;
	place_out->state.gs_base = sregs.gs.base;
	return true;
}

static bool is_wanted(const struct place *place, uint64_t gpa)
{
	if (place->wanted)
		return (gpa & ~OFFSET_MASK) == place->wanted->value;
	return trap_watched(place->watch->traps, gpa_make(gpa)) != TRAP_NONE;
}

/* Whether the translation of @gva goes to or through a page that is wanted. */
static bool leads_there(const struct place *place, uint64_t gva, struct watch_access *access)
{
	struct report_access *what = &access->what;
	struct paging_walk walk;

	paging_walk(&place->mode, &place->reader, gva_make(gva), &walk);
	what->have_gva = true;
	what->gva = gva;
	for (unsigned int i = 0; i < walk.entry_count; i++) {
		if (!is_wanted(place, walk.entries[i].address.value))
			continue;
		what->table = true;
		what->gpa = walk.entries[i].address.value;
		return true;
	}
	if (walk.status != PAGING_MAPPED || !is_wanted(place, walk.gpa.value))
		return false;
	what->gpa = walk.gpa.value;
	return true;
}

/*
 * An operand whose address leads elsewhere now, although the processor went to the page: the one
 * there is, if there is one.
 */
static void assume_stale(const struct insn_access *accesses, size_t count,
			 struct watch_access *access)
{
	access->what.have_gva = count > 0;
	if (count == 0)
		return;
	access->what.gva = accesses[0].address;
	access->what.write = accesses[0].write;
	access->what.stale = true;
}

bool watch_locate(struct watch *watch, struct vcpu *vcpu, const gpa_t *page,
		  struct watch_access *access_out)
{
	struct insn_access accesses[INSN_ACCESSES_MAX];
	struct watch_access access = {.vcpu = vcpu->index};
	struct place place;
	uint8_t code[15];
	size_t count;

	if (page)
		access.page = *page, access.what.gpa = page->value;
	if (!place_of(watch, vcpu, &place))
		return *access_out = access, page != NULL;
	place.wanted = page;
	count = gpa_space_read_virtual(vcpu->vm->space, &place.mode,
				       gva_make(place.state.regs[REGS_RIP]), code, sizeof(code));
	count = insn_accesses(code, count, &place.state, accesses);
	access.what.fetch = leads_there(&place, place.state.regs[REGS_RIP], &access);
	for (size_t i = 0; i < count && !access.what.fetch; i++) {
		access.what.write = accesses[i].write;
		if (leads_there(&place, accesses[i].address, &access))
			goto found;
	}
	if (!access.what.fetch) {
		access.what.have_gva = access.what.write = false;
		if (!page)
			return false;
		assume_stale(accesses, count, &access);
	}
found:
	access.page = gpa_make(access.what.gpa & ~OFFSET_MASK);
	*access_out = access;
	return true;
}

/* The register that points into the page, for an instruction that is over. */
static void guess_gva(const struct place *place, struct watch_access *access)
{
	for (unsigned int i = 0; i < REGS_RIP; i++) {
		struct watch_access guess = *access;

		if (!leads_there(place, place->state.regs[i], &guess) || guess.what.table)
			continue;
		access->what.have_gva = true;
		access->what.gva =
			(place->state.regs[i] & ~OFFSET_MASK) | (access->what.gpa & OFFSET_MASK);
		return;
	}
}

void watch_locate_mmio(struct watch *watch, struct vcpu *vcpu, struct watch_access *access_out)
{
	uint64_t gpa = vcpu->run->mmio.phys_addr;
	gpa_t page = gpa_make(gpa & ~OFFSET_MASK);
	struct watch_access access = {.vcpu = vcpu->index, .page = page};
	struct place place;

	access.what.gpa = gpa;
	access.what.write = access.what.after = vcpu->run->mmio.is_write;
	if (!access.what.write) {
		(void)watch_locate(watch, vcpu, &page, &access);
		access.what.gpa = gpa;
	} else if (place_of(watch, vcpu, &place)) {
		place.wanted = &page;
		guess_gva(&place, &access);
	}
	*access_out = access;
}
