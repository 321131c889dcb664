/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Both stages of translation, for one page at a time:
 *
 *      gva --TLB, or the guest's tables--> gpa --EPT tables--> host page --> a line
 *
 * The guest's tables are those of 4-level paging (SDM vol. 3A, 4.5); a walk starts at the deepest
 * paging-structure entry the TLB remembers, and its own reads go through the second stage. A and D
 * bits are written once all entries are known to allow the access. A translation that is
 * remembered and does not allow the access is walked for again before it faults, as processors do.
 */
#include <string.h>

#include "ept/paging.h"
#include "vmm/soft/check_private.h"
#include "vmm/soft/history_private.h"
#include "vmm/soft/private.h"

#define LEVELS 4

/* What a walk gathers. */
struct walk {
	struct soft_vcpu *vcpu;
	uint64_t gva;
	enum soft_access access;
	enum soft_class class;
	uint64_t flags; /* X86_PTE_*: P, RW, US of all, NX of any; D, G of the leaf */
	struct {
		uint64_t *host;
		uint64_t gpa, table; /* of the entry; what it refers to */
		uint64_t value, flags;
	} entries[LEVELS + 1]; /* by level; host NULL: not read in this walk */
	unsigned int leaf;
};

static bool allows(const struct soft_cpu *cpu, uint64_t flags, enum soft_access access,
		   enum soft_class class)
{
	if (class == SOFT_USER && !(flags & X86_PTE_US))
		return false;
	if (access == SOFT_FETCH)
		return !(flags & X86_PTE_NX);
	if (!soft_access_writes(access) || (flags & X86_PTE_RW))
		return true;
	return class == SOFT_SUPERVISOR && !(cpu->cr0 & X86_CR0_WP);
}

/* ---- faults ---- */

static enum soft_answer fault(const struct walk *walk, uint64_t error)
{
	struct soft_cpu *cpu = &walk->vcpu->cpu;

	if (walk->vcpu->vm->check && !(error & X86_PF_P) && walk->class == SOFT_SUPERVISOR &&
	    soft_check_fault(walk->vcpu, walk->gva, walk->access) != SOFT_OK)
		return SOFT_LEAVE;
	if (soft_access_writes(walk->access))
		error |= X86_PF_W;
	if (walk->class == SOFT_USER)
		error |= X86_PF_U;
	if (walk->access == SOFT_FETCH && (cpu->efer & X86_EFER_NXE))
		error |= X86_PF_I;
	soft_tlb_forget(&walk->vcpu->tlb, walk->gva);
	return soft_cpu_page_fault(cpu, walk->gva, (uint32_t)error);
}

/* KVM_EXIT_MEMORY_FAULT's flags: which of the attributes it met, as bits of what was wanted. */
static enum soft_answer leave(struct soft_vcpu *vcpu, enum soft_second_result result, uint64_t gpa,
			      unsigned int want)
{
	vcpu->reason = result == SOFT_SECOND_DENIED ? SOFT_DENIED : SOFT_NO_MEMORY;
	vcpu->reason_gpa = gpa & ~(EPT_PAGE_BYTES - 1);
	vcpu->reason_flags = want;
	return SOFT_LEAVE;
}

/* ---- the guest's tables ---- */

/* The entry at @gpa in this process; NULL in *@host_out where the second stage has no memory. */
static enum soft_answer entry_at(const struct walk *walk, uint64_t gpa, unsigned int want,
				 uint64_t **host_out)
{
	struct soft_frame frame;
	enum soft_second_result result =
		soft_second_translate(walk->vcpu, walk->gva, gpa, true, want, &frame);

	*host_out = NULL;
	if (result == SOFT_SECOND_OK && want == STAGE2_W && walk->vcpu->vm->history)
		soft_history_note(walk->vcpu->vm, gpa);
	if (result == SOFT_SECOND_OK)
		*host_out = (uint64_t *)(frame.host + gpa % EPT_PAGE_BYTES);
	else if (result != SOFT_SECOND_NO_SLOT && result != SOFT_SECOND_READ_ONLY)
		return leave(walk->vcpu, result, gpa, want);
	return SOFT_OK;
}

static uint64_t reserved_bits(const struct soft_cpu *cpu, uint64_t value, unsigned int level)
{
	uint64_t reserved = X86_PTE_ADDR_MASK & ~((1ull << SOFT_PHYSICAL_BITS) - 1);

	if (!(cpu->efer & X86_EFER_NXE))
		reserved |= X86_PTE_NX;
	if (level == 4)
		reserved |= X86_PTE_PS;
	if (value & X86_PTE_PS)
		reserved |= level == 3   ? X86_PTE_RSVD_1G_MASK
			    : level == 2 ? X86_PTE_RSVD_2M_MASK
					 : 0;
	return value & reserved;
}

/* The deepest table that is remembered for the address, or the root. Returns its level. */
static unsigned int start_of(struct walk *walk, uint64_t *table_out)
{
	for (unsigned int level = 2; level <= LEVELS; level++) {
		const struct soft_tlb_entry *entry =
			soft_tlb_find_table(&walk->vcpu->tlb, walk->gva, level);

		if (!entry)
			continue;
		walk->flags = entry->flags;
		*table_out = entry->gpa;
		return level - 1;
	}
	walk->flags = X86_PTE_P | X86_PTE_RW | X86_PTE_US;
	*table_out = walk->vcpu->cpu.cr3 & X86_CR3_ADDR_MASK;
	return LEVELS;
}

static void gather(struct walk *walk, uint64_t value)
{
	walk->flags &= value | ~(X86_PTE_RW | X86_PTE_US);
	walk->flags |= value & X86_PTE_NX;
}

/* Reads entries until one is a leaf. */
static enum soft_answer read_entries(struct walk *walk)
{
	struct soft_cpu *cpu = &walk->vcpu->cpu;
	uint64_t table, value;
	unsigned int level;
	enum soft_answer answer;

	for (level = start_of(walk, &table);; level--) {
		walk->entries[level].gpa =
			table + (walk->gva >> X86_LEVEL_SHIFT(level)) % X86_TABLE_ENTRIES * 8;
		answer = entry_at(walk, walk->entries[level].gpa, STAGE2_R,
				  &walk->entries[level].host);
		if (answer != SOFT_OK)
			return answer;
		/* As KVM has it: a table that is not memory maps nothing. */
		if (!walk->entries[level].host)
			return fault(walk, 0);
		if (walk->vcpu->vm->check &&
		    soft_check_table(walk->vcpu, walk->gva, walk->entries[level].gpa, level) !=
			    SOFT_OK)
			return SOFT_LEAVE;
		value = __atomic_load_n(walk->entries[level].host, __ATOMIC_RELAXED);
		if (!(value & X86_PTE_P))
			return fault(walk, 0);
		if (reserved_bits(cpu, value, level))
			return fault(walk, X86_PF_P | X86_PF_RSVD);
		gather(walk, value);
		walk->entries[level].value = value;
		walk->entries[level].flags = walk->flags;
		walk->leaf = level;
		if (level == 1 || (level < 4 && (value & X86_PTE_PS)))
			return SOFT_OK;
		table = value & X86_PTE_ADDR_MASK;
		walk->entries[level].table = table;
	}
}

/* Sets A in every entry that was read, D in the leaf of a write. A read-only table stays. */
static enum soft_answer set_accessed(struct walk *walk)
{
	for (unsigned int level = walk->leaf; level <= LEVELS; level++) {
		uint64_t want = X86_PTE_A, *host = walk->entries[level].host;
		enum soft_answer answer;

		if (!host)
			break;
		if (level == walk->leaf && soft_access_writes(walk->access))
			want |= X86_PTE_D;
		if (!(want & ~walk->entries[level].value))
			continue;
		answer = entry_at(walk, walk->entries[level].gpa, STAGE2_W, &host);
		if (answer != SOFT_OK)
			return answer;
		if (host)
			__atomic_fetch_or(host, want, __ATOMIC_RELAXED);
	}
	return SOFT_OK;
}

static void remember(struct walk *walk)
{
	struct soft_vcpu *vcpu = walk->vcpu;
	unsigned int level = walk->leaf;
	uint64_t value = walk->entries[level].value, flags = walk->flags | (value & X86_PTE_D);
	uint64_t mask = level == 3   ? X86_PTE_ADDR_1G_MASK
			: level == 2 ? X86_PTE_ADDR_2M_MASK
				     : X86_PTE_ADDR_MASK;

	if (soft_access_writes(walk->access))
		flags |= X86_PTE_D;
	if (vcpu->cpu.cr4 & X86_CR4_PGE)
		flags |= value & X86_PTE_G;
	soft_tlb_insert(&vcpu->tlb, walk->gva, level, value & mask, flags);
	for (level++; level <= LEVELS && walk->entries[level].host; level++)
		soft_tlb_insert_table(&vcpu->tlb, walk->gva, level, walk->entries[level].table,
				      walk->entries[level].flags);
}

/* Walks, and has the TLB remember. */
static enum soft_answer walk_tables(struct walk *walk)
{
	enum soft_answer answer = read_entries(walk);

	soft_count(walk->vcpu, SOFT_VCPU_WALKS);
	if (answer != SOFT_OK)
		return answer;
	if (!allows(&walk->vcpu->cpu, walk->flags, walk->access, walk->class))
		return fault(walk, X86_PF_P);
	answer = set_accessed(walk);
	if (answer == SOFT_OK)
		remember(walk);
	return answer;
}

/* ---- lines ---- */

static const struct soft_tlb_entry *find(struct soft_vcpu *vcpu, uint64_t gva,
					 enum soft_access access, enum soft_class class,
					 unsigned int *shift_out)
{
	struct soft_tlb_entry *entry = soft_tlb_find(&vcpu->tlb, gva, shift_out);

	if (!entry || !allows(&vcpu->cpu, entry->flags, access, class) ||
	    (soft_access_writes(access) && !(entry->flags & X86_PTE_D)))
		return NULL;
	return entry;
}

/* Every access that both stages allow without setting a bit. */
static void fill(struct soft_vcpu *vcpu, uint64_t gva, enum soft_class class, uint64_t flags,
		 const struct soft_frame *frame, struct soft_line *line)
{
	const struct soft_cpu *cpu = &vcpu->cpu;
	uint64_t page = gva & ~(EPT_PAGE_BYTES - 1);

	line->host = frame->host;
	line->read = (frame->rights & STAGE2_R) && allows(cpu, flags, SOFT_LOAD, class)
			     ? page
			     : SOFT_LINE_NONE;
	line->write = (frame->rights & STAGE2_W) && (flags & X86_PTE_D) &&
				      allows(cpu, flags, SOFT_STORE, class)
			      ? page
			      : SOFT_LINE_NONE;
	line->fetch = (frame->rights & STAGE2_X) && allows(cpu, flags, SOFT_FETCH, class)
			      ? page
			      : SOFT_LINE_NONE;
}

enum soft_answer soft_mmu_fill(struct soft_cpu *cpu, uint64_t gva, enum soft_access access,
			       enum soft_class class, struct soft_line *line)
{
	struct soft_vcpu *vcpu = soft_vcpu_of(cpu);
	struct walk walk = {.vcpu = vcpu, .gva = gva, .access = access, .class = class};
	unsigned int want = access == SOFT_FETCH         ? STAGE2_X
			    : soft_access_writes(access) ? STAGE2_W
							 : STAGE2_R;
	const struct soft_tlb_entry *entry;
	enum soft_second_result result;
	enum soft_answer answer;
	struct soft_frame frame;
	unsigned int shift;
	uint64_t flags;

	entry = find(vcpu, gva, access, class, &shift);
	if (entry) {
		line->gpa = entry->gpa | (gva & ((1ull << shift) - 1));
		flags = entry->flags;
	} else {
		answer = walk_tables(&walk);
		if (answer != SOFT_OK)
			return answer;
		shift = X86_LEVEL_SHIFT(walk.leaf);
		line->gpa = (walk.entries[walk.leaf].value & X86_PTE_ADDR_MASK &
			     ~((1ull << shift) - 1)) |
			    (gva & ((1ull << shift) - 1));
		flags = walk.flags | (walk.entries[walk.leaf].value & X86_PTE_D) |
			(soft_access_writes(access) ? X86_PTE_D : 0);
	}
	/* What came from an entry above that is remembered is as good as that entry. */
	if (vcpu->vm->check &&
	    soft_check_fill(vcpu, gva, line->gpa, access, class,
			    (flags & SOFT_TLB_SUSPECT) ||
				    (vcpu->suspect && !walk.entries[LEVELS].host),
			    &flags) != SOFT_OK)
		return SOFT_LEAVE;
	result = soft_second_translate(vcpu, gva, line->gpa, false, want, &frame);
	line->gpa &= ~(EPT_PAGE_BYTES - 1);
	switch (result) {
	case SOFT_SECOND_OK:
		fill(vcpu, gva, class, flags, &frame, line);
		if (vcpu->vm->history && line->write != SOFT_LINE_NONE)
			soft_history_note(vcpu->vm, line->gpa);
		if (vcpu->vm->check)
			soft_check_mark(vcpu, line, gva);
		return SOFT_OK;
	case SOFT_SECOND_NO_SLOT:
	case SOFT_SECOND_READ_ONLY:
		if (access != SOFT_FETCH)
			return SOFT_MMIO;
		vcpu->reason = SOFT_NO_CODE;
		return SOFT_LEAVE;
	default:
		return leave(vcpu, result, line->gpa, want);
	}
}

void soft_mmu_flush(struct soft_cpu *cpu, enum soft_flush what, uint64_t gva)
{
	struct soft_vcpu *vcpu = soft_vcpu_of(cpu);

	switch (what) {
	case SOFT_FLUSH_PAGE:
		soft_count(vcpu, SOFT_VCPU_INVLPG);
		soft_tlb_flush_page(&vcpu->tlb, gva);
		break;
	case SOFT_FLUSH_CR3:
		soft_count(vcpu, SOFT_VCPU_TLB_FLUSH);
		soft_tlb_flush_local(&vcpu->tlb);
		break;
	default:
		soft_count(vcpu, SOFT_VCPU_TLB_FLUSH);
		soft_tlb_flush_all(&vcpu->tlb);
		vcpu->suspect = false;
	}
}

void soft_flush_lines(struct soft_vm *vm)
{
	vm->stats.values[SOFT_VM_REMOTE_FLUSH]++;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		soft_cpu_drop_lines(&vm->vcpus[i]->cpu);
}

/* ---- KVM_TRANSLATE ---- */

static const uint64_t *table_in_slot(void *context, gpa_t table)
{
	const struct soft_slot *slot = soft_slot_find(context, table.value);

	return slot ? (const uint64_t *)(slot->host + (table.value - slot->start)) : NULL;
}

bool soft_mmu_look(struct soft_vcpu *vcpu, uint64_t gva, struct paging_walk *walk_out)
{
	const struct soft_cpu *cpu = &vcpu->cpu;
	struct paging_reader reader = {table_in_slot, vcpu->vm};
	struct paging_mode mode;

	if (paging_mode_from_registers(cpu->cr0, cpu->cr3, cpu->cr4, cpu->efer, SOFT_PHYSICAL_BITS,
				       &mode) != 0)
		return false;
	paging_walk(&mode, &reader, gva_make(gva), walk_out);
	return true;
}

void soft_mmu_translate(struct soft_vcpu *vcpu, struct kvm_translation *translation)
{
	struct paging_walk walked;

	translation->valid = 0;
	translation->physical_address = ~0ull;
	if (!soft_mmu_look(vcpu, translation->linear_address, &walked) ||
	    walked.status != PAGING_MAPPED)
		return;
	translation->physical_address = walked.gpa.value;
	translation->valid = 1;
	translation->writeable = 1;
	translation->usermode = 0;
}
