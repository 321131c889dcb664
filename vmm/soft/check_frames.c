/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which frames somebody owns: read from the guest's own structures of frames.
 *
 *      a line, or a walk, is to lead to a frame     its structure is read: is it owned? From then
 *                                                   on stores in that structure are told of
 *      such a store makes it somebody's no more     lines that lead there go
 *
 * So of frames that nobody touches nothing is noticed, and it is not known who gave them up. What
 * the guest was given in use (image, boot tables, areas) is the VM's reserved ranges, and owned for
 * good. The structures' own frames come into use by being written.
 */
#include <string.h>

#include "vmm/soft/check_private.h"

bool soft_check_is_array(const struct soft_check *check, uint64_t gva)
{
	const struct soft_frames_layout *layout = &check->config.frames;

	return layout->frame_bytes && gva - layout->array < check->nr_frames * layout->frame_bytes;
}

#define ARRAY_PIECE (1ull << X86_LEVEL_SHIFT(2))

/* Where the structure of frame @pfn is, and its own address; NULL: nowhere yet. */
static const uint8_t *structure_of(struct soft_vcpu *vcpu, uint64_t pfn, uint64_t *gpa_out)
{
	struct soft_check *check = vcpu->vm->check;
	uint64_t gva = check->config.frames.array + pfn * check->config.frames.frame_bytes;
	const struct soft_slot *slot;
	struct paging_walk walk;

	if (check->array.host && gva / ARRAY_PIECE == check->array.piece) {
		*gpa_out = check->array.gpa + gva % ARRAY_PIECE;
		return check->array.host + gva % ARRAY_PIECE;
	}
	if (!soft_mmu_look(vcpu, gva, &walk) || walk.status != PAGING_MAPPED)
		return NULL;
	*gpa_out = walk.gpa.value;
	slot = soft_slot_find(vcpu->vm, walk.gpa.value);
	if (!slot)
		return NULL;
	if (walk.page_bytes >= ARRAY_PIECE && walk.gpa.value - slot->start >= gva % ARRAY_PIECE &&
	    slot->end - walk.gpa.value >= ARRAY_PIECE - gva % ARRAY_PIECE) {
		check->array.piece = gva / ARRAY_PIECE;
		check->array.gpa = walk.gpa.value - gva % ARRAY_PIECE;
		check->array.host = slot->host + (check->array.gpa - slot->start);
	}
	return slot->host + (walk.gpa.value - slot->start);
}

static bool is_in(uint32_t states, uint8_t state)
{
	return state < 32 && states >> state & 1;
}

/* The guest's word for a block is not believed beyond what it can be: of a power of two, in RAM. */
#define ORDER_MAX 18

/* The structure of the first frame of the block that @pfn is in, if one says so. */
static const uint8_t *head_of(struct soft_vcpu *vcpu, uint64_t pfn, uint64_t *gpa_out)
{
	const struct soft_frames_layout *layout = &vcpu->vm->check->config.frames;

	for (unsigned int order = 0; order <= ORDER_MAX; order++) {
		uint64_t head = pfn >> order << order;
		const uint8_t *host;

		if (order && head == pfn >> (order - 1) << (order - 1))
			continue;
		host = structure_of(vcpu, head, gpa_out);
		if (host &&
		    is_in(layout->owned_states | layout->free_states, host[layout->state]) &&
		    host[layout->order] >= order && host[layout->order] <= ORDER_MAX)
			return host;
	}
	return NULL;
}

/* Stores in the word at @gpa are told of from now on. */
static void tell(struct soft_vcpu *vcpu, uint64_t gpa)
{
	struct soft_check *check = vcpu->vm->check;
	struct soft_check_frame *frame = soft_check_frame(check, gpa);
	struct soft_check_page *page = frame ? soft_check_page(check, frame) : NULL;

	if (!page || soft_check_bits(page->told, gpa, 1))
		return;
	page->told[gpa % EPT_PAGE_BYTES / 8 / 64] |= 1ull << gpa % EPT_PAGE_BYTES / 8 % 64;
	soft_check_care(vcpu->vm, frame, gpa, 1, false);
}

static void tell_no_more(struct soft_check *check, uint64_t gpa)
{
	struct soft_check_frame *frame = soft_check_frame(check, gpa);
	unsigned int word = gpa % EPT_PAGE_BYTES / 8;

	if (!frame || !frame->page)
		return;
	frame->page->told[word / 64] &= ~(1ull << word % 64);
	frame->page->careful.writes[word / 64] &= ~(1ull << word % 64);
}

enum soft_owner soft_check_owner(struct soft_vcpu *vcpu, uint64_t gva, uint64_t gpa)
{
	struct soft_check *check = vcpu->vm->check;
	const struct soft_frames_layout *layout = &check->config.frames;
	uint64_t pfn = gpa / EPT_PAGE_BYTES, at = 0;
	const uint8_t *head;

	if (!layout->frame_bytes || pfn >= check->nr_frames ||
	    (check->owned[pfn / 64] >> pfn % 64 & 1) || soft_check_is_array(check, gva))
		return SOFT_OWNED;
	head = head_of(vcpu, pfn, &at);
	if (!head)
		return SOFT_NEVER_OWNED;
	if (!is_in(layout->owned_states, head[layout->state]))
		return SOFT_GIVEN_UP;
	check->owned[pfn / 64] |= 1ull << pfn % 64;
	tell(vcpu, at + (layout->state & ~7u));
	if (head[layout->state] == layout->slab_state && layout->cpu_list_bytes)
		tell(vcpu, at + layout->freelist);
	return SOFT_OWNED;
}

/* What a table, a slab or a structure was is nothing in the next owner's hands. */
static void give_up(struct soft_vcpu *vcpu, uint64_t pfn, uint32_t past)
{
	struct soft_check *check = vcpu->vm->check;
	struct soft_check_frame *frame = &check->frames[pfn];

	check->owned[pfn / 64] &= ~(1ull << pfn % 64);
	soft_check_close_frame(vcpu->vm, frame, pfn * EPT_PAGE_BYTES);
	frame->past = past;
	if (!frame->page)
		return;
	frame->page->level = 0;
	frame->page->many = frame->page->cares = false;
	soft_check_slab_ends(frame->page);
	memset(&frame->page->careful, 0, sizeof(frame->page->careful));
	memset(frame->page->told, 0, sizeof(frame->page->told));
}

/* Of [@pfn, @end) those that lines may lead to, found 64 at a time. */
static void give_up_all(struct soft_vcpu *vcpu, uint64_t pfn, uint64_t end)
{
	const struct soft_check *check = vcpu->vm->check;
	uint32_t past = 0;

	while (pfn < end && pfn < check->nr_frames) {
		uint64_t owned = check->owned[pfn / 64] >> pfn % 64;

		if (!owned) {
			pfn = (pfn / 64 + 1) * 64;
			continue;
		}
		pfn += (unsigned int)__builtin_ctzll(owned);
		if (pfn >= end)
			return;
		if (!past)
			past = soft_check_remember(vcpu);
		give_up(vcpu, pfn, past);
		pfn++;
	}
}

/* A block that was somebody's, with @old its word; what it is part of now its structure says. */
static void state_told(struct soft_vcpu *vcpu, uint64_t pfn, const uint8_t *host, uint64_t old,
		       uint64_t gpa)
{
	struct soft_check *check = vcpu->vm->check;
	const struct soft_frames_layout *layout = &check->config.frames;
	uint8_t order = (uint8_t)(old >> layout->order % 8 * 8);

	if (is_in(layout->owned_states, host[layout->state % 8]))
		return;
	tell_no_more(check, gpa);
	tell_no_more(check, gpa - (layout->state & ~7u) + layout->freelist);
	give_up_all(vcpu, pfn, pfn + (1ull << (order <= ORDER_MAX ? order : 0)));
}

void soft_check_told(struct soft_vcpu *vcpu, const struct soft_note *note)
{
	struct soft_check *check = vcpu->vm->check;
	const struct soft_frames_layout *layout = &check->config.frames;
	uint64_t now, pfn = (note->gva - layout->array) / layout->frame_bytes;
	uint32_t offset = (uint32_t)(note->gva & (layout->frame_bytes - 1));

	memcpy(&now, note->host, sizeof(now));
	if (now == note->old)
		return;
	if (!soft_check_is_array(check, note->gva))
		soft_check_cpu_list(vcpu, note->old, now);
	else if (offset == (layout->state & ~7u))
		state_told(vcpu, pfn, note->host, note->old, note->gpa);
	else if (layout->cpu_list_bytes)
		soft_check_slab_list(vcpu, pfn, note->host - offset, note->old, now);
}
