/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which objects of a slab are free, from its free lists:
 *
 *      a slab's list is set where it was empty      carved: nothing is known of it yet
 *      a slab's list becomes empty                  a CPU takes it over: all on it are free
 *      an object becomes the first of a list        it is freed
 *      a CPU's list goes on to its first's next     that one is allocated
 *
 * What is free may be touched by the allocator's own instructions alone (SOFT_MARK_ALLOCATOR). A
 * list is the guest's: an object is one only at a boundary in a frame that is a slab, and no list
 * is followed further than a frame has objects.
 */
#include <stdlib.h>
#include <string.h>

#include "vmm/soft/check_private.h"

/* An object of a slab: where it lies. */
struct object {
	struct soft_check_frame *frame;
	uint64_t gpa;
	uint32_t index, bytes;
};

static bool object_at(const struct soft_check *check, uint64_t address, struct object *object_out)
{
	uint64_t gpa = address - check->config.direct_base;
	struct soft_check_frame *frame = soft_check_frame(check, gpa);
	uint32_t bytes = frame && frame->page ? frame->page->object_bytes : 0;
	uint32_t offset = gpa % EPT_PAGE_BYTES;

	if (!address || !bytes || offset % bytes || offset + bytes > EPT_PAGE_BYTES)
		return false;
	*object_out = (struct object){frame, gpa, offset / bytes, bytes};
	return true;
}

static bool is_free(const struct object *object)
{
	return soft_check_bits(object->frame->page->freed, object->gpa, 1);
}

static const uint8_t *host_of(const struct soft_vm *vm, uint64_t gpa)
{
	const struct soft_slot *slot = soft_slot_find(vm, gpa);

	return slot ? slot->host + (gpa - slot->start) : NULL;
}

static uint64_t next_of(const struct soft_vm *vm, const struct object *object)
{
	const uint8_t *host = host_of(vm, object->gpa);
	uint64_t next = 0;

	if (host)
		memcpy(&next, host, sizeof(next));
	return next;
}

static void set_free(struct soft_vcpu *vcpu, const struct object *object, uint32_t past)
{
	struct soft_check_page *page = object->frame->page;

	page->object_past[object->index] = past;
	for (uint32_t at = 0; at < object->bytes; at += 8) {
		unsigned int word = (unsigned int)((object->gpa + at) % EPT_PAGE_BYTES / 8);

		page->freed[word / 64] |= 1ull << word % 64;
	}
	soft_check_care(vcpu->vm, object->frame, object->gpa, object->bytes / 8, true);
}

static void set_allocated(const struct object *object)
{
	struct soft_check_page *page = object->frame->page;

	for (uint32_t at = 0; at < object->bytes; at += 8) {
		unsigned int word = (unsigned int)((object->gpa + at) % EPT_PAGE_BYTES / 8);
		uint64_t keep = ~(1ull << word % 64);

		page->freed[word / 64] &= keep;
		page->careful.reads[word / 64] &= keep;
		page->careful.writes[word / 64] &= keep;
	}
}

void soft_check_slab_ends(struct soft_check_page *page)
{
	page->object_bytes = 0;
	free(page->object_past);
	page->object_past = NULL;
	memset(page->freed, 0, sizeof(page->freed));
}

/* ---- caches ---- */

/* The CPUs' words of the cache at @cache are told of from now on. False: it makes no sense. */
static bool watch_cache(struct soft_vcpu *vcpu, uint64_t cache)
{
	struct soft_vm *vm = vcpu->vm;
	const struct soft_frames_layout *layout = &vm->check->config.frames;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		uint64_t gva = cache + layout->cpu_lists + i * (uint64_t)layout->cpu_list_bytes;
		struct soft_check_frame *frame;
		struct soft_check_page *page;
		struct paging_walk walk;
		unsigned int word = gva % EPT_PAGE_BYTES / 8;

		if (gva % 8 || !soft_mmu_look(vcpu, gva, &walk) || walk.status != PAGING_MAPPED)
			return false;
		frame = soft_check_frame(vm->check, walk.gpa.value);
		page = frame ? soft_check_page(vm->check, frame) : NULL;
		if (!page)
			return false;
		page->told[word / 64] |= 1ull << word % 64;
		if (!soft_check_bits(page->careful.writes, gva, 1))
			soft_check_care(vm, frame, walk.gpa.value, 1, false);
	}
	return true;
}

static uint32_t object_bytes_of(struct soft_vcpu *vcpu, uint64_t cache)
{
	uint64_t gva = cache + vcpu->vm->check->config.frames.object_bytes;
	struct paging_walk walk;
	const uint8_t *host;
	uint32_t bytes = 0;

	if (gva % sizeof(bytes) || !soft_mmu_look(vcpu, gva, &walk) || walk.status != PAGING_MAPPED)
		return 0;
	host = host_of(vcpu->vm, walk.gpa.value);
	if (host)
		memcpy(&bytes, host, sizeof(bytes));
	return bytes >= 8 && bytes <= EPT_PAGE_BYTES && bytes % 8 == 0 ? bytes : 0;
}

/* From now on it is known which objects of the frame are free: those on the list from @first on. */
static void adopt(struct soft_vcpu *vcpu, struct soft_check_frame *frame, const uint8_t *structure,
		  uint64_t first)
{
	struct soft_check *check = vcpu->vm->check;
	struct soft_check_page *page = soft_check_page(check, frame);
	struct object object;
	uint64_t cache;
	uint32_t bytes, past;

	memcpy(&cache, structure + check->config.frames.owner, sizeof(cache));
	bytes = object_bytes_of(vcpu, cache);
	if (!page || !bytes || !watch_cache(vcpu, cache))
		return;
	page->object_past = calloc(EPT_PAGE_BYTES / bytes, sizeof(*page->object_past));
	if (!page->object_past) {
		check->no_memory = true;
		return;
	}
	page->object_bytes = bytes;
	past = 0;
	for (uint32_t i = 0; i < EPT_PAGE_BYTES / bytes && object_at(check, first, &object); i++) {
		if (object.frame != frame || is_free(&object))
			return;
		set_free(vcpu, &object, past);
		first = next_of(vcpu->vm, &object);
	}
}

/* ---- lists ---- */

static void freed(struct soft_vcpu *vcpu, uint64_t address)
{
	struct object object;

	if (object_at(vcpu->vm->check, address, &object) && !is_free(&object))
		set_free(vcpu, &object, soft_check_remember(vcpu));
}

void soft_check_slab_list(struct soft_vcpu *vcpu, uint64_t pfn, const uint8_t *host, uint64_t old,
			  uint64_t now)
{
	struct soft_check *check = vcpu->vm->check;
	struct soft_check_frame *frame = soft_check_frame(check, pfn * EPT_PAGE_BYTES);

	if (!frame || host[check->config.frames.state] != check->config.frames.slab_state)
		return;
	if (frame->page && frame->page->object_bytes)
		freed(vcpu, now);
	else if (!now)
		adopt(vcpu, frame, host, old);
}

void soft_check_cpu_list(struct soft_vcpu *vcpu, uint64_t old, uint64_t now)
{
	struct object object;

	if (object_at(vcpu->vm->check, now, &object) && !is_free(&object))
		freed(vcpu, now);
	else if (object_at(vcpu->vm->check, old, &object) && is_free(&object) &&
		 next_of(vcpu->vm, &object) == now)
		set_allocated(&object);
}
