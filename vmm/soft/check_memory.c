/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stale, wx, guard, stack, and a freed frame: checked where a line is filled, and the lines taken
 * away where the answer changes.
 *
 *      a store in an entry that was read        the line of the address it mapped
 *      a frame is given up                      the lines that lead there
 *
 * A frame becomes a table when the processor first walks through it, and stays one until it is
 * given up. Only entries that were read are looked at when they are written: of the others no
 * processor can remember anything.
 */
#include <string.h>

#include "vmm/soft/check_private.h"

/* ---- tables ---- */

/* What of an address a table of @level is for: all bits above those it translates. */
static uint32_t base_of(uint64_t gva, unsigned int level)
{
	return level >= 4 ? 0 : (uint32_t)((gva & 0xffffffffffffull) >> X86_LEVEL_SHIFT(level + 1));
}

static void become_table(struct soft_check_page *page, uint64_t gva, unsigned int level)
{
	uint32_t base = base_of(gva, level);

	if (page->level) {
		page->many |= page->level != level || page->base != base;
		return;
	}
	page->level = (uint8_t)level;
	page->base = base;
}

/* The processor may remember the entry at @gpa from now on. */
static enum soft_answer entry_read(struct soft_vcpu *vcpu, struct soft_check_frame *frame,
				   uint64_t gva, uint64_t gpa, unsigned int level)
{
	struct soft_check_page *page = soft_check_page(vcpu->vm->check, frame);

	if (!page)
		return soft_check_no_memory(vcpu);
	if (page->level != level || page->base != base_of(gva, level))
		become_table(page, gva, level);
	if (!soft_check_bits(page->careful.writes, gpa, 1))
		soft_check_care(vcpu->vm, frame, gpa, 1, false);
	return SOFT_OK;
}

enum soft_answer soft_check_table(struct soft_vcpu *vcpu, uint64_t gva, uint64_t gpa,
				  unsigned int level)
{
	struct soft_check *check = vcpu->vm->check;
	struct soft_check_frame *frame = soft_check_frame(check, gpa);
	enum soft_owner owner;

	if (!frame)
		return SOFT_OK;
	owner = check->config.checks & SOFT_CHECK_FREED ? soft_check_owner(vcpu, 0, gpa)
							: SOFT_OWNED;
	if (owner != SOFT_OWNED && !soft_check_exempt(vcpu))
		return soft_check_found(vcpu,
					&(struct soft_finding){
						.check = SOFT_CHECK_FREED,
						.gva = gva,
						.gpa = gpa,
						.bytes = sizeof(uint64_t),
						.table = true,
						.never = owner == SOFT_NEVER_OWNED,
					},
					frame->past);
	if (check->config.checks & SOFT_CHECK_STALE)
		return entry_read(vcpu, frame, gva, gpa, level);
	return SOFT_OK;
}

static struct soft_unmapped *unmapped_at(const struct soft_check *check, uint64_t page,
					 unsigned int level)
{
	return &check->unmapped[(page * 0x9e3779b97f4a7c15ull >> 40 ^ level) % SOFT_UNMAPPED];
}

static uint64_t canonical(uint64_t gva)
{
	return (uint64_t)((int64_t)(gva << 16) >> 16);
}

/* No translation is what it was, for all that is known. */
static void suspect_all(struct soft_vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vm->vcpus[i]->suspect = true;
	vm->check->array.host = NULL;
}

/* The entry's translations end here, or begin to be others. */
static void entry_changes(struct soft_vcpu *vcpu, const struct soft_check_page *table,
			  unsigned int index, uint32_t *past)
{
	struct soft_check *check = vcpu->vm->check;
	unsigned int level = table->level, shift = X86_LEVEL_SHIFT(level);
	uint64_t page = (uint64_t)table->base << (level >= 4 ? 0 : 9) | index;
	struct soft_unmapped *unmapped;

	if (!*past)
		*past = soft_check_remember(vcpu);
	if (level > 1 || table->many)
		suspect_all(vcpu->vm);
	if (table->many) {
		soft_check_close(vcpu->vm, 0, SOFT_LINES * EPT_PAGE_BYTES);
		return;
	}
	page = canonical(page << shift) >> shift;
	for (unsigned int i = 0; level == 1 && i < vcpu->vm->nr_vcpus; i++)
		soft_tlb_suspect(&vcpu->vm->vcpus[i]->tlb, page << shift, level);
	unmapped = unmapped_at(check, page, level);
	*unmapped = (struct soft_unmapped){.page = page, .level = level, .past = *past};
	soft_check_close(vcpu->vm, page << shift, 1ull << shift);
}

/* A store is about to happen in a table. What it leaves is read again before it is used. */
static void table_changes(struct soft_vcpu *vcpu, struct soft_check_page *table,
			  const struct soft_line *line, uint64_t gva, size_t bytes)
{
	unsigned int first = gva % EPT_PAGE_BYTES / 8;
	unsigned int last = (gva % EPT_PAGE_BYTES + bytes - 1) / 8;
	uint32_t past = 0;

	for (unsigned int i = first; i <= last; i++) {
		uint64_t value;

		if (!soft_check_bits(table->careful.writes, i * 8ull, 1))
			continue;
		memcpy(&value, line->host + i * 8ull, sizeof(value));
		if (value & X86_PTE_P)
			entry_changes(vcpu, table, i, &past);
		table->careful.writes[i / 64] &= ~(1ull << i % 64);
	}
}

static uint32_t when_unmapped(const struct soft_check *check, uint64_t gva)
{
	uint32_t newest = 0;

	for (unsigned int level = 1; level <= 4; level++) {
		uint64_t page = gva >> X86_LEVEL_SHIFT(level);
		const struct soft_unmapped *unmapped = unmapped_at(check, page, level);

		if (unmapped->past > newest && unmapped->page == page && unmapped->level == level)
			newest = unmapped->past;
	}
	return newest;
}

/* ---- a line is filled ---- */

static bool gives(const struct paging_walk *walk, uint64_t gpa, enum soft_access access,
		  enum soft_class class)
{
	unsigned int need = access == SOFT_FETCH         ? PAGING_X
			    : soft_access_writes(access) ? PAGING_W
							 : PAGING_R;

	if (class == SOFT_USER)
		need |= PAGING_U;
	return walk->status == PAGING_MAPPED && walk->gpa.value == gpa && !(need & ~walk->rights);
}

/* The flags of a translation less what the tables do not give any more. */
static uint64_t both(uint64_t flags, const struct paging_walk *walk)
{
	if (!(walk->rights & PAGING_W))
		flags &= ~(uint64_t)X86_PTE_RW;
	if (!(walk->rights & PAGING_U))
		flags &= ~(uint64_t)X86_PTE_US;
	if (!(walk->rights & PAGING_X))
		flags |= X86_PTE_NX;
	return flags;
}

static enum soft_answer found(struct soft_vcpu *vcpu, unsigned int check, uint64_t gva,
			      uint64_t gpa, enum soft_access access, uint32_t past,
			      uint64_t now_gpa)
{
	return soft_check_found(vcpu,
				&(struct soft_finding){
					.check = check,
					.gva = gva,
					.gpa = gpa,
					.write = soft_access_writes(access),
					.fetch = access == SOFT_FETCH,
					.user = vcpu->cpu.cpl == 3,
					.now_gpa = now_gpa,
					.never = check == SOFT_CHECK_FREED && now_gpa,
				},
				past);
}

/* A remembered translation is about to be used again: the entries it came from are read now. */
static enum soft_answer entries_read(struct soft_vcpu *vcpu, uint64_t gva,
				     const struct paging_walk *walk)
{
	for (unsigned int i = 0; i < walk->entry_count; i++) {
		uint64_t gpa = walk->entries[i].address.value;
		struct soft_check_frame *frame = soft_check_frame(vcpu->vm->check, gpa);

		if (frame && entry_read(vcpu, frame, gva, gpa, 4 - i) != SOFT_OK)
			return SOFT_LEAVE;
	}
	return SOFT_OK;
}

enum soft_answer soft_check_fill(struct soft_vcpu *vcpu, uint64_t gva, uint64_t gpa,
				 enum soft_access access, enum soft_class class, bool suspect,
				 uint64_t *flags)
{
	struct soft_check *check = vcpu->vm->check;
	unsigned int checks = check->config.checks;
	struct paging_walk walk;
	enum soft_owner owner;

	if (check->no_memory)
		return soft_check_no_memory(vcpu);
	if (soft_check_exempt(vcpu))
		return SOFT_OK;
	if (suspect && (checks & SOFT_CHECK_STALE) && soft_mmu_look(vcpu, gva, &walk)) {
		if (!gives(&walk, gpa, access, class))
			return found(vcpu, SOFT_CHECK_STALE, gva, gpa, access,
				     when_unmapped(check, gva),
				     walk.status == PAGING_MAPPED && walk.gpa.value != gpa
					     ? walk.gpa.value
					     : UINT64_MAX);
		if (entries_read(vcpu, gva, &walk) != SOFT_OK)
			return SOFT_LEAVE;
		*flags = both(*flags, &walk);
	}
	owner = checks & SOFT_CHECK_FREED ? soft_check_owner(vcpu, gva, gpa) : SOFT_OWNED;
	if (owner != SOFT_OWNED)
		return found(vcpu, SOFT_CHECK_FREED, gva, gpa, access,
			     owner == SOFT_GIVEN_UP ? soft_check_frame(check, gpa)->past : 0,
			     owner == SOFT_NEVER_OWNED);
	if ((checks & SOFT_CHECK_WX) && class == SOFT_SUPERVISOR && (*flags & X86_PTE_RW) &&
	    !(*flags & (X86_PTE_NX | X86_PTE_US)))
		return found(vcpu, SOFT_CHECK_WX, gva, gpa, access, 0, 0);
	return SOFT_OK;
}

static bool is_mapped(struct soft_vcpu *vcpu, uint64_t gva)
{
	struct paging_walk walk;

	return soft_mmu_look(vcpu, gva, &walk) && walk.status == PAGING_MAPPED;
}

enum soft_answer soft_check_fault(struct soft_vcpu *vcpu, uint64_t gva, enum soft_access access)
{
	unsigned int checks = vcpu->vm->check->config.checks;
	uint64_t rsp = vcpu->cpu.regs[SOFT_RSP];
	bool above = is_mapped(vcpu, gva + EPT_PAGE_BYTES);

	if (soft_check_exempt(vcpu))
		return SOFT_OK;
	if ((checks & SOFT_CHECK_STACK) && above && rsp - gva + EPT_PAGE_BYTES < 3 * EPT_PAGE_BYTES)
		return found(vcpu, SOFT_CHECK_STACK, gva, 0, access, 0, 0);
	if ((checks & SOFT_CHECK_GUARD) && (above || is_mapped(vcpu, gva - EPT_PAGE_BYTES)))
		return found(vcpu, SOFT_CHECK_GUARD, gva, 0, access,
			     when_unmapped(vcpu->vm->check, gva), 0);
	return SOFT_OK;
}

/* ---- accesses to pages of which some words are looked at ---- */

static enum soft_answer freed_object(struct soft_vcpu *vcpu, const struct soft_check_page *page,
				     uint64_t gva, uint64_t gpa, size_t bytes,
				     enum soft_access access)
{
	enum soft_mark_kind kind = soft_check_mark_at(vcpu->vm->check, soft_cpu_rip(&vcpu->cpu));
	uint32_t index = (uint32_t)(gpa % EPT_PAGE_BYTES) / page->object_bytes;

	if (kind == SOFT_MARK_ALLOCATOR || kind == SOFT_MARK_EXEMPT)
		return SOFT_OK;
	/* Of two that it touches it is the second that is free. */
	if (!soft_check_bits(page->freed, gva, 1))
		index++;
	return soft_check_found(vcpu,
				&(struct soft_finding){
					.check = SOFT_CHECK_FREED,
					.gva = gva,
					.gpa = gpa,
					.bytes = (uint32_t)bytes,
					.write = soft_access_writes(access),
					.user = vcpu->cpu.cpl == 3,
					.object_bytes = page->object_bytes,
					.never = !page->object_past[index],
				},
				page->object_past[index]);
}

static void note_words(struct soft_vcpu *vcpu, const struct soft_check_page *page,
		       const struct soft_line *line, uint64_t gva, size_t bytes)
{
	unsigned int first = gva % EPT_PAGE_BYTES / 8;
	unsigned int last = (gva % EPT_PAGE_BYTES + bytes - 1) / 8;

	if (!vcpu->cpu.tell_written)
		vcpu->nr_notes = 0;
	for (unsigned int i = first; i <= last; i++) {
		struct soft_note *note = &vcpu->notes[vcpu->nr_notes];

		if (!(page->told[i / 64] >> i % 64 & 1) || vcpu->nr_notes == SOFT_NOTES)
			continue;
		note->gva = (gva & ~(EPT_PAGE_BYTES - 1)) + i * 8ull;
		note->gpa = line->gpa + i * 8ull;
		note->host = line->host + i * 8ull;
		memcpy(&note->old, note->host, sizeof(note->old));
		vcpu->nr_notes++;
		vcpu->cpu.tell_written = true;
	}
}

/* The flags of the translation that a line came from: as remembered, else as the tables are now. */
static uint64_t flags_of(struct soft_vcpu *vcpu, uint64_t gva)
{
	unsigned int shift;
	const struct soft_tlb_entry *entry = soft_tlb_find(&vcpu->tlb, gva, &shift);
	struct paging_walk walk;

	if (entry)
		return entry->flags;
	return soft_mmu_look(vcpu, gva, &walk) ? both(X86_PTE_RW | X86_PTE_US, &walk) : X86_PTE_NX;
}

/* Through a line that was made for an instruction that may do anything. */
static enum soft_answer look_again(struct soft_vcpu *vcpu, struct soft_line *line, uint64_t gva,
				   enum soft_access access, struct soft_check_page **page_out)
{
	struct soft_check_frame *frame = soft_check_frame(vcpu->vm->check, line->gpa);
	uint64_t flags = flags_of(vcpu, gva);

	*page_out = frame ? soft_check_page(vcpu->vm->check, frame) : NULL;
	return soft_check_fill(vcpu, gva, line->gpa + gva % EPT_PAGE_BYTES, access,
			       vcpu->cpu.cpl == 3 ? SOFT_USER : SOFT_SUPERVISOR, true, &flags);
}

enum soft_answer soft_check_access(struct soft_cpu *cpu, struct soft_line *line, uint64_t gva,
				   size_t bytes, enum soft_access access)
{
	struct soft_vcpu *vcpu = soft_vcpu_of(cpu);
	struct soft_check_page *page = soft_check_page_of(line);
	uint64_t gpa = line->gpa + gva % EPT_PAGE_BYTES;

	if (!page) {
		if (look_again(vcpu, line, gva, access, &page) != SOFT_OK)
			return SOFT_LEAVE;
		if (!page)
			return SOFT_OK;
	}
	if (page->cares && page->object_bytes && soft_check_bits(page->freed, gva, bytes) &&
	    freed_object(vcpu, page, gva, gpa, bytes, access) != SOFT_OK)
		return SOFT_LEAVE;
	if (vcpu->vm->check->race &&
	    soft_race_access(vcpu, page, gva, gpa, bytes, access) != SOFT_OK)
		return SOFT_LEAVE;
	if (!page->cares || !soft_access_writes(access))
		return SOFT_OK;
	note_words(vcpu, page, line, gva, bytes);
	if (page->level)
		table_changes(vcpu, page, line, gva, bytes);
	return SOFT_OK;
}

void soft_check_written(struct soft_cpu *cpu)
{
	struct soft_vcpu *vcpu = soft_vcpu_of(cpu);

	for (unsigned int i = 0; i < vcpu->nr_notes; i++)
		soft_check_told(vcpu, &vcpu->notes[i]);
	vcpu->nr_notes = 0;
}
