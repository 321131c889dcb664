/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stale, freed, wx, guard, stack: checked where a line is filled, and the lines taken away where
 * the answer changes.
 *
 *      a store in a frame that is a table       the line of the address it mapped
 *      a frame is given up                      the lines that lead there
 *
 * A frame becomes a table when the processor first walks through it, and stays one until it is
 * given up: its lines for writing are marked, so that each store is told of.
 */
#include <string.h>

#include "vmm/soft/check_private.h"

static struct soft_check_frame *frame_of(const struct soft_check *check, uint64_t gpa)
{
	uint64_t pfn = gpa / EPT_PAGE_BYTES;

	return pfn < check->nr_frames ? &check->frames[pfn] : NULL;
}

/* ---- lines ---- */

static struct soft_line *line_at(struct soft_cpu *cpu, unsigned int class, uint64_t gva)
{
	return &cpu->line_sets[class][gva / EPT_PAGE_BYTES % SOFT_LINES];
}

/* A line that is empty but for what the interpreter may still hold of it: only tags are asked. */
static void close_line(struct soft_line *line)
{
	line->read = line->write = line->fetch = SOFT_LINE_NONE;
}

static bool leads_to(const struct soft_line *line, uint64_t gpa)
{
	return line->gpa == gpa && (line->read != SOFT_LINE_NONE || line->write != SOFT_LINE_NONE ||
				    line->fetch != SOFT_LINE_NONE);
}

/* Of all vCPUs, those for which @close says so of a frame. */
static void close_lines(struct soft_vm *vm, bool (*close)(const struct soft_check_frame *frame))
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		for (unsigned int class = 0; class < SOFT_CLASSES; class ++)
			for (unsigned int j = 0; j < SOFT_LINES; j++) {
				struct soft_line *line = &vm->vcpus[i]->cpu.line_sets[class][j];
				struct soft_check_frame *frame = frame_of(vm->check, line->gpa);

				if (frame && leads_to(line, line->gpa) && close(frame))
					close_line(line);
			}
}

static bool is_freed(const struct soft_check_frame *frame)
{
	return frame->freed != 0;
}

static bool is_table(const struct soft_check_frame *frame)
{
	return frame->level != 0;
}

/* The lines of one address, or of @bytes from it on. */
static void close_addresses(struct soft_vm *vm, uint64_t gva, uint64_t bytes)
{
	uint64_t lines = bytes / EPT_PAGE_BYTES < SOFT_LINES ? bytes / EPT_PAGE_BYTES : SOFT_LINES;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		for (unsigned int class = 0; class < SOFT_CLASSES; class ++)
			for (uint64_t j = 0; j < lines; j++)
				close_line(line_at(&vm->vcpus[i]->cpu, class,
						   gva + j * EPT_PAGE_BYTES));
}

void soft_check_mark(struct soft_vcpu *vcpu, struct soft_line *line, uint64_t gva)
{
	struct soft_check *check = vcpu->vm->check;
	struct soft_check_frame *frame = frame_of(check, line->gpa);

	/* What comes next through this line is looked at, each time. */
	if (soft_check_exempt(vcpu)) {
		line->state = vcpu;
		line->fetch = SOFT_LINE_NONE;
	}
	if (!frame)
		return;
	if ((gva & ~(EPT_PAGE_BYTES - 1)) != check->config.direct_base + line->gpa)
		frame->aliased = true;
	if (line->write != SOFT_LINE_NONE && (frame->level || line->state))
		line->write |= SOFT_LINE_CALL;
	if (line->read != SOFT_LINE_NONE && line->state)
		line->read |= SOFT_LINE_CALL;
}

/* ---- tables ---- */

/* What of an address a table of @level is for: all bits above those it translates. */
static uint32_t base_of(uint64_t gva, unsigned int level)
{
	return level >= 4 ? 0 : (uint32_t)((gva & 0xffffffffffffull) >> X86_LEVEL_SHIFT(level + 1));
}

static void become_table(struct soft_vcpu *vcpu, struct soft_check_frame *frame, uint64_t gva,
			 unsigned int level)
{
	uint32_t base = base_of(gva, level);

	if (frame->level) {
		frame->many |= frame->level != level || frame->base != base;
		return;
	}
	frame->level = (uint8_t)level;
	frame->base = base;
	close_lines(vcpu->vm, is_table);
}

enum soft_answer soft_check_table(struct soft_vcpu *vcpu, uint64_t gva, uint64_t gpa,
				  unsigned int level)
{
	struct soft_check *check = vcpu->vm->check;
	struct soft_check_frame *frame = frame_of(check, gpa);

	if (!frame)
		return SOFT_OK;
	if (frame->freed && (check->config.checks & SOFT_CHECK_FREED) && !soft_check_exempt(vcpu))
		return soft_check_found(vcpu,
					&(struct soft_finding){
						.check = SOFT_CHECK_FREED,
						.gva = gva,
						.gpa = gpa,
						.bytes = sizeof(uint64_t),
						.table = true,
					},
					frame->freed);
	if ((check->config.checks & SOFT_CHECK_STALE) &&
	    (frame->level != level || frame->base != base_of(gva, level)))
		become_table(vcpu, frame, gva, level);
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

/* The entry's translations end here, or begin to be others. */
static void entry_changes(struct soft_vcpu *vcpu, const struct soft_check_frame *frame,
			  unsigned int index, uint32_t *past)
{
	struct soft_check *check = vcpu->vm->check;
	unsigned int level = frame->level, shift = X86_LEVEL_SHIFT(level);
	uint64_t page = (uint64_t)frame->base << (level >= 4 ? 0 : 9) | index;
	struct soft_unmapped *unmapped;

	if (!*past)
		*past = soft_check_remember(vcpu);
	if (frame->many) {
		close_addresses(vcpu->vm, 0, SOFT_LINES * EPT_PAGE_BYTES);
		return;
	}
	page = canonical(page << shift) >> shift;
	unmapped = unmapped_at(check, page, level);
	*unmapped = (struct soft_unmapped){.page = page, .level = level, .past = *past};
	close_addresses(vcpu->vm, page << shift, 1ull << shift);
}

/* A store is about to happen in a table. */
static void table_changes(struct soft_vcpu *vcpu, const struct soft_line *line, uint64_t gva,
			  size_t bytes)
{
	const struct soft_check_frame *frame = frame_of(vcpu->vm->check, line->gpa);
	unsigned int first = gva % EPT_PAGE_BYTES / 8;
	unsigned int last = (gva % EPT_PAGE_BYTES + bytes - 1) / 8;
	uint32_t past = 0;

	for (unsigned int i = first; i <= last; i++) {
		uint64_t value;

		memcpy(&value, line->host + i * 8ull, sizeof(value));
		if (value & X86_PTE_P)
			entry_changes(vcpu, frame, i, &past);
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
				},
				past);
}

enum soft_answer soft_check_fill(struct soft_vcpu *vcpu, uint64_t gva, uint64_t gpa,
				 enum soft_access access, enum soft_class class, bool remembered,
				 uint64_t *flags)
{
	struct soft_check *check = vcpu->vm->check;
	unsigned int checks = check->config.checks;
	struct soft_check_frame *frame = frame_of(check, gpa);
	struct paging_walk walk;

	if (soft_check_exempt(vcpu))
		return SOFT_OK;
	if (remembered && (checks & SOFT_CHECK_STALE) && soft_mmu_look(vcpu, gva, &walk)) {
		if (!gives(&walk, gpa, access, class))
			return found(vcpu, SOFT_CHECK_STALE, gva, gpa, access,
				     when_unmapped(check, gva),
				     walk.status == PAGING_MAPPED && walk.gpa.value != gpa
					     ? walk.gpa.value
					     : UINT64_MAX);
		*flags = both(*flags, &walk);
	}
	if ((checks & SOFT_CHECK_FREED) && frame && frame->freed)
		return found(vcpu, SOFT_CHECK_FREED, gva, gpa, access, frame->freed, 0);
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

enum soft_answer soft_check_access(struct soft_cpu *cpu, struct soft_line *line, uint64_t gva,
				   size_t bytes, enum soft_access access)
{
	struct soft_vcpu *vcpu = soft_vcpu_of(cpu);
	struct soft_check_frame *frame = frame_of(vcpu->vm->check, line->gpa);
	enum soft_answer answer = SOFT_OK;
	uint64_t flags = X86_PTE_NX;

	if (line->state)
		answer = soft_check_fill(vcpu, gva, line->gpa + gva % EPT_PAGE_BYTES, access,
					 cpu->cpl == 3 ? SOFT_USER : SOFT_SUPERVISOR, true, &flags);
	if (answer == SOFT_OK && frame && frame->level && soft_access_writes(access))
		table_changes(vcpu, line, gva, bytes);
	return answer;
}

/* ---- frames ---- */

static void give_up(struct soft_vcpu *vcpu, struct soft_check_frame *frame, uint64_t gpa,
		    uint32_t past, bool *aliased)
{
	struct soft_vm *vm = vcpu->vm;

	*aliased |= frame->aliased;
	*frame = (struct soft_check_frame){.freed = past};
	close_addresses(vm, vm->check->config.direct_base + gpa, EPT_PAGE_BYTES);
}

/* One run of frames as the guest's list has it. It is not believed: what is no RAM is left out. */
static void take_run(struct soft_vcpu *vcpu, uint32_t pfn, uint32_t nr, uint32_t past,
		     bool *aliased)
{
	struct soft_check *check = vcpu->vm->check;
	uint64_t end = (uint64_t)pfn + (nr & ~SOFT_FRAMES_TAKEN);

	for (uint64_t i = pfn; i < end && i < check->nr_frames; i++)
		if (nr & SOFT_FRAMES_TAKEN)
			check->frames[i].freed = 0;
		else
			give_up(vcpu, &check->frames[i], i * EPT_PAGE_BYTES, past, aliased);
}

bool soft_check_port(struct soft_vcpu *vcpu, uint16_t port)
{
	const struct soft_check *check = vcpu->vm->check;
	uint64_t at = vcpu->id < check->config.nr_lists ? check->config.frames_gpa[vcpu->id] : 0;
	const struct soft_slot *slot = at ? soft_slot_find(vcpu->vm, at) : NULL;
	const uint8_t *list;
	uint32_t count, run[2], past = 0;
	bool aliased = false;

	if (!check->config.frames_port || port != check->config.frames_port || !slot ||
	    slot->end - at < 8 + 8ull * check->config.runs_max)
		return false;
	list = slot->host + (at - slot->start);
	memcpy(&count, list, sizeof(count));
	for (uint32_t i = 0; i < count && i < check->config.runs_max; i++) {
		memcpy(run, list + 8 + 8ull * i, sizeof(run));
		if (!past && !(run[1] & SOFT_FRAMES_TAKEN))
			past = soft_check_remember(vcpu);
		take_run(vcpu, run[0], run[1], past, &aliased);
	}
	if (aliased)
		close_lines(vcpu->vm, is_freed);
	return true;
}
