/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which frames somebody owns: read from the guest's own structures of frames, at the stores that
 * change them. A frame is known to be free before it is first handed out; what the guest was given
 * in use (image, boot tables, areas) is the VM's reserved ranges.
 */
#include <string.h>

#include "vmm/soft/check_private.h"

bool soft_check_is_array(const struct soft_check *check, uint64_t gva)
{
	const struct soft_frames_layout *layout = &check->config.frames;

	return layout->frame_bytes && gva - layout->array < check->nr_frames * layout->frame_bytes;
}

/* The structures' own frames come into use by being written. */
bool soft_check_is_free(const struct soft_check *check, uint64_t gva, uint64_t gpa)
{
	uint64_t pfn = gpa / EPT_PAGE_BYTES;

	return check->config.frames.frame_bytes && pfn < check->nr_frames &&
	       !(check->owned[pfn / 64] >> pfn % 64 & 1) && !soft_check_is_array(check, gva);
}

void soft_check_watch_array(struct soft_check *check, struct soft_check_frame *frame, uint64_t gva)
{
	const struct soft_frames_layout *layout = &check->config.frames;
	struct soft_check_page *page = soft_check_page(check, frame);

	if (!page)
		return;
	for (uint64_t at = 0; at < EPT_PAGE_BYTES; at += 8) {
		uint64_t offset = at & (layout->frame_bytes - 1);
		uint64_t bit = 1ull << at / 8 % 64;

		if (offset != (layout->state & ~7u) && offset != layout->freelist)
			continue;
		page->told[at / 8 / 64] |= bit;
		page->careful.writes[at / 8 / 64] |= bit;
	}
}

/* What a table, a slab or an array of structures was is nothing in the next owner's hands. */
static void give_up(struct soft_vcpu *vcpu, uint64_t pfn, uint32_t past)
{
	struct soft_check *check = vcpu->vm->check;
	struct soft_check_frame *frame = &check->frames[pfn];

	check->owned[pfn / 64] &= ~(1ull << pfn % 64);
	soft_check_close_frame(vcpu->vm, frame, pfn * EPT_PAGE_BYTES);
	frame->past = past;
	frame->level = 0;
	frame->many = false;
	if (!frame->page)
		return;
	soft_check_slab_ends(frame->page);
	memset(&frame->page->careful, 0, sizeof(frame->page->careful));
	memset(frame->page->told, 0, sizeof(frame->page->told));
}

/* Of [@pfn, @end) those that somebody owns yet, found 64 at a time. */
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

static void take_all(struct soft_check *check, uint64_t pfn, uint64_t end)
{
	for (; pfn < end && pfn < check->nr_frames; pfn++)
		check->owned[pfn / 64] |= 1ull << pfn % 64;
}

/* The guest's word for a block is not believed beyond what it can be: of a power of two, in RAM. */
#define ORDER_MAX 18

static void state_told(struct soft_vcpu *vcpu, uint64_t pfn, const uint8_t *host)
{
	struct soft_check *check = vcpu->vm->check;
	const struct soft_frames_layout *layout = &check->config.frames;
	uint8_t state = host[layout->state % 8], order = host[layout->order % 8];
	uint64_t end;

	if (order > ORDER_MAX || state >= 32)
		return;
	end = pfn + (1ull << order);
	if (layout->free_states >> state & 1)
		give_up_all(vcpu, pfn, end);
	else if (layout->owned_states >> state & 1)
		take_all(check, pfn, end);
}

void soft_check_told(struct soft_vcpu *vcpu, uint64_t gva, const uint8_t *host, uint64_t old)
{
	struct soft_check *check = vcpu->vm->check;
	const struct soft_frames_layout *layout = &check->config.frames;
	uint64_t now, pfn = (gva - layout->array) / layout->frame_bytes;
	uint32_t offset = (uint32_t)(gva & (layout->frame_bytes - 1));

	memcpy(&now, host, sizeof(now));
	if (now == old)
		return;
	if (!soft_check_is_array(check, gva))
		soft_check_cpu_list(vcpu, old, now);
	else if (offset == (layout->state & ~7u))
		state_told(vcpu, pfn, host);
	else if (layout->cpu_list_bytes)
		soft_check_slab_list(vcpu, pfn, host - offset, old, now);
}
