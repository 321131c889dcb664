/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The second stage: EPT tables in the SDM's format, in this process's memory, walked here at each
 * fill of a line and edited by ept/stage2.h at each violation. Host-physical addresses are the
 * process's own, so a table is where its reference points, and a frame where its leaf does.
 *
 * On a violation KVM's choices are made: the largest leaf that lies in the slot with both addresses
 * congruent; 4 KiB where the slot is logged and the access writes, or where a page of the larger
 * one has an attribute of its own. A slot that is logged is written through no larger leaf, and
 * through none that was not marked dirty first.
 *
 * A and D bits are those of an EPTP with bit 6 set, but that a walk of the guest's tables counts as
 * a read unless it sets a bit there (the SDM counts each as a write: 29.3.5).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/soft/private.h"

#define RWX (EPT_BIT_READ | EPT_BIT_WRITE | EPT_BIT_EXECUTE)

_Static_assert(STAGE2_R == EPT_BIT_READ && STAGE2_W == EPT_BIT_WRITE && STAGE2_X == EPT_BIT_EXECUTE,
	       "rights are taken from entries as they are");

/* ---- pages for tables ---- */

static int alloc_table(void *context, hpa_t *table_out)
{
	void *page = aligned_alloc(EPT_PAGE_BYTES, EPT_PAGE_BYTES);

	(void)context;
	if (!page)
		return -ENOMEM;
	memset(page, 0, EPT_PAGE_BYTES);
	*table_out = hpa_make((uintptr_t)page);
	return 0;
}

static uint64_t *table_at(void *context, hpa_t table)
{
	(void)context;
	return (uint64_t *)(uintptr_t)table.value;
}

static void free_table(void *context, hpa_t table)
{
	free(table_at(context, table));
}

int soft_second_create(struct soft_vm *vm)
{
	hpa_t root;
	int err = alloc_table(NULL, &root);

	if (err)
		return err;
	vm->second = (struct stage2_tables){
		.mode = stage2_mode_make(STAGE2_EPT, root, EPT_PHYSICAL_BITS_MAX),
		.pages = {.alloc = alloc_table, .free = free_table, .table = table_at},
	};
	return 0;
}

void soft_second_destroy(struct soft_vm *vm)
{
	if (!vm->second.pages.alloc)
		return;
	stage2_clear(&vm->second);
	free_table(NULL, vm->second.mode.root);
}

static const uint64_t *read_table(void *context, hpa_t table)
{
	return table_at(context, table);
}

struct stage2_reader soft_second_reader(void)
{
	return (struct stage2_reader){.table = read_table};
}

/* ---- the walk ---- */

struct place {
	uint64_t *entry; /* of the leaf, or where the walk ended */
	unsigned int level;
	unsigned int rights; /* of all entries on the way; 0: not mapped */
};

/* Sets A on the way, as a processor whose walk gets that far. */
static struct place walk(const struct soft_vm *vm, uint64_t gpa)
{
	uint64_t table = vm->second.mode.root.value, value;
	struct place place = {.rights = RWX};

	for (place.level = 4;; place.level--) {
		place.entry = (uint64_t *)(uintptr_t)table +
			      (gpa >> X86_LEVEL_SHIFT(place.level)) % X86_TABLE_ENTRIES;
		value = *place.entry;
		place.rights &= (unsigned int)value;
		if (!(value & RWX))
			break;
		if (!(value & EPT_BIT_ACCESSED))
			*place.entry = value | EPT_BIT_ACCESSED;
		if (place.level == 1 || (value & EPT_BIT_LARGE))
			break;
		table = value & EPT_ADDRESS_MASK;
	}
	return place;
}

/* ---- counts ---- */

static uint64_t *counter_of(struct soft_vm *vm, uint64_t leaf_bytes)
{
	enum soft_vm_stat stat = leaf_bytes == EPT_PAGE_BYTES      ? SOFT_VM_PAGES_4K
				 : leaf_bytes == EPT_PAGE_2M_BYTES ? SOFT_VM_PAGES_2M
								   : SOFT_VM_PAGES_1G;

	return &vm->stats.values[stat];
}

struct tally {
	struct soft_vm *vm;
	uint64_t sign;
};

static int count_leaf(void *context, const struct stage2_leaf *leaf)
{
	const struct tally *tally = context;

	*counter_of(tally->vm, leaf->page_bytes) += tally->sign;
	return 0;
}

/* Adds the leaves that map some of [start, end) to the counts, or takes them off. */
static void count(struct soft_vm *vm, uint64_t start, uint64_t end, int sign)
{
	struct tally tally = {vm, (uint64_t)sign};
	struct stage2_visitor visitor = {.leaf = count_leaf, .context = &tally};
	struct stage2_reader reader = {.table = read_table};

	(void)stage2_for_each(&vm->second.mode, &reader, gpa_make(start), gpa_make(end), UINT64_MAX,
			      &visitor);
}

/* ---- edits ---- */

/* Bytes of the leaf that maps @gpa; a page where none does. Sets no A bit. */
static uint64_t leaf_bytes(const struct soft_vm *vm, uint64_t gpa)
{
	struct stage2_reader reader = {.table = read_table};
	struct stage2_walk walked;

	stage2_walk(&vm->second.mode, &reader, gpa_make(gpa), &walked);
	return walked.status == STAGE2_MAPPED ? walked.page_bytes : EPT_PAGE_BYTES;
}

/*
 * One edit of [start, end). Leaves that cross its edges are split: they are counted before and
 * after with what lies in the range.
 */
static int edit(struct soft_vm *vm, uint64_t start, uint64_t end, unsigned int rights)
{
	uint64_t first = start & ~(leaf_bytes(vm, start) - 1), size = leaf_bytes(vm, end - 1);
	uint64_t last = (end + size - 1) & ~(size - 1);
	int err;

	count(vm, first, last, -1);
	err = rights ? stage2_protect(&vm->second, gpa_make(start), end - start, rights)
		     : stage2_unmap(&vm->second, gpa_make(start), end - start);
	count(vm, first, last, 1);
	return err;
}

int soft_second_unmap(struct soft_vm *vm, uint64_t start, uint64_t end)
{
	int err = edit(vm, start, end, 0);

	vm->stats.values[SOFT_VM_ZAPPED]++;
	soft_flush_lines(vm);
	return err;
}

/* Where pages have attributes their rights differ: violations find out again. */
int soft_second_write_protect(struct soft_vm *vm, const struct soft_slot *slot, uint64_t start,
			      uint64_t end)
{
	int err;

	if (slot->attributes)
		return soft_second_unmap(vm, start, end);
	err = edit(vm, start, end, STAGE2_R | STAGE2_X | STAGE2_XU);
	soft_flush_lines(vm);
	return err;
}

/* The page of @gpa, which is mapped, becomes a leaf of its own. */
static int split(struct soft_vm *vm, uint64_t gpa)
{
	uint64_t size = leaf_bytes(vm, gpa), start = gpa & ~(size - 1);
	int err;

	if (size == EPT_PAGE_BYTES)
		return 0;
	count(vm, start, start + size, -1);
	err = stage2_split(&vm->second, gpa_make(gpa), EPT_PAGE_BYTES);
	count(vm, start, start + size, 1);
	return err;
}

/* ---- violations ---- */

/* What a page of @slot may be accessed for, apart from the log. */
static unsigned int rights_of(const struct soft_slot *slot, uint64_t gpa)
{
	uint8_t taken =
		slot->attributes ? slot->attributes[(gpa - slot->start) / EPT_PAGE_BYTES] : 0;
	unsigned int rights = STAGE2_R | STAGE2_W | STAGE2_X | STAGE2_XU;

	if (slot->flags & KVM_MEM_READONLY)
		rights &= ~STAGE2_W;
	if (taken & SOFT_ATTRIBUTE_NO_READ)
		rights &= ~(STAGE2_R | STAGE2_W);
	if (taken & SOFT_ATTRIBUTE_NO_WRITE)
		rights &= ~STAGE2_W;
	if (taken & SOFT_ATTRIBUTE_NO_EXECUTE)
		rights &= ~(STAGE2_X | STAGE2_XU);
	return rights;
}

static bool all_alike(const struct soft_slot *slot, uint64_t start, uint64_t bytes)
{
	const uint8_t *first = slot->attributes + (start - slot->start) / EPT_PAGE_BYTES;

	return bytes == EPT_PAGE_BYTES || !slot->attributes ||
	       memcmp(first, first + 1, bytes / EPT_PAGE_BYTES - 1) == 0;
}

/* Maps the largest leaf around @gpa that the slot and what is mapped already allow. */
static int map(struct soft_vm *vm, const struct soft_slot *slot, uint64_t gpa, unsigned int rights)
{
	static const uint64_t sizes[] = {EPT_PAGE_1G_BYTES, EPT_PAGE_2M_BYTES, EPT_PAGE_BYTES};
	struct stage2_attributes attributes = {
		.rights = rights, .memory_type = EPT_WB, .ignore_pat = true};
	int err = -EEXIST;

	for (unsigned int i = 0; i < 3 && err == -EEXIST; i++) {
		uint64_t start = gpa & ~(sizes[i] - 1);
		uintptr_t host = (uintptr_t)slot->host + (start - slot->start);

		if (start < slot->start || slot->end - start < sizes[i] || host % sizes[i] ||
		    !all_alike(slot, start, sizes[i]))
			continue;
		err = stage2_map(&vm->second, gpa_make(start), hpa_make(host), sizes[i], sizes[i],
				 &attributes);
		if (!err)
			++*counter_of(vm, sizes[i]);
	}
	return err;
}

/* Opens the page for writing, of a slot that may be written. */
static int open_for_write(struct soft_vm *vm, struct soft_slot *slot, uint64_t gpa,
			  unsigned int rights)
{
	int err = 0;

	gpa &= ~(EPT_PAGE_BYTES - 1);
	if (!(slot->flags & KVM_MEM_LOG_DIRTY_PAGES))
		return edit(vm, gpa, gpa + EPT_PAGE_BYTES, rights);
	err = split(vm, gpa);
	if (!err)
		err = stage2_protect(&vm->second, gpa_make(gpa), EPT_PAGE_BYTES, rights);
	if (!err)
		soft_slot_mark_dirty(slot, gpa);
	return err;
}

static void note(struct soft_vcpu *vcpu, uint64_t gva, uint64_t gpa, bool is_table,
		 unsigned int want, unsigned int rights)
{
	struct soft_violation *violation = &vcpu->violation;

	violation->count++;
	violation->gpa = gpa_make(gpa);
	violation->gva = gva_make(gva);
	/* SDM vol. 3C, table 28-7: the access, what the entries grant, GVA valid, translated. */
	violation->qualification =
		want | (uint64_t)(rights & RWX) << 3 | 1u << 7 | (is_table ? 0 : 1u << 8);
	soft_count(vcpu, SOFT_VCPU_PF_TAKEN);
}

/* Makes the access at @gpa possible, or says why it is not. */
static enum soft_second_result violate(struct soft_vcpu *vcpu, uint64_t gpa, unsigned int want,
				       const struct place *place)
{
	struct soft_vm *vm = vcpu->vm;
	struct soft_slot *slot = soft_slot_find(vm, gpa);
	unsigned int rights;
	int err = 0;

	if (!slot)
		return SOFT_SECOND_NO_SLOT;
	rights = rights_of(slot, gpa);
	if (!(rights & want))
		return want == STAGE2_W && (slot->flags & KVM_MEM_READONLY) &&
				       (!slot->attributes || rights)
			       ? SOFT_SECOND_READ_ONLY
			       : SOFT_SECOND_DENIED;
	if (!(*place->entry & RWX))
		err = map(vm, slot, gpa,
			  slot->flags & KVM_MEM_LOG_DIRTY_PAGES ? rights & ~STAGE2_W : rights);
	if (!err && want == STAGE2_W && !(walk(vm, gpa).rights & STAGE2_W))
		err = open_for_write(vm, slot, gpa, rights);
	soft_count(vcpu, SOFT_VCPU_PF_FIXED);
	return err ? SOFT_SECOND_NO_MEMORY : SOFT_SECOND_OK;
}

enum soft_second_result soft_second_translate(struct soft_vcpu *vcpu, uint64_t gva, uint64_t gpa,
					      bool is_table, unsigned int want,
					      struct soft_frame *frame_out)
{
	struct place place;
	uint64_t base;

	if (gpa >> SOFT_PHYSICAL_BITS)
		return SOFT_SECOND_NO_SLOT;
	place = walk(vcpu->vm, gpa);
	if (!(place.rights & want)) {
		enum soft_second_result result;

		note(vcpu, gva, gpa, is_table, want, place.rights);
		result = violate(vcpu, gpa, want, &place);
		if (result != SOFT_SECOND_OK)
			return result;
		place = walk(vcpu->vm, gpa);
		if (!(place.rights & want))
			return SOFT_SECOND_DENIED;
	}
	if (want == STAGE2_W)
		*place.entry |= EPT_BIT_DIRTY;
	base = *place.entry & EPT_ADDRESS_MASK & ~((1ull << X86_LEVEL_SHIFT(place.level)) - 1);
	frame_out->host =
		(uint8_t *)(uintptr_t)(base + (gpa & ((1ull << X86_LEVEL_SHIFT(place.level)) - 1) &
					       ~(EPT_PAGE_BYTES - 1)));
	frame_out->rights = place.rights & RWX;
	if (!(*place.entry & EPT_BIT_DIRTY))
		frame_out->rights &= ~STAGE2_W;
	return SOFT_SECOND_OK;
}
