/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Struct pages read and told apart; frames that areas list; counts of a zone. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/grow.h"
#include "lib/search.h"
#include "vmm/linux/frames_private.h"

/* Bits of page->mapping. */
#define MAPPING_ANON  1u
#define MAPPING_FLAGS 3u

/* Up to 4.17 and from 4.18 to 6.10 a type is a bit cleared in a word of ones. */
#define TYPE_BASE      0xf0000000u
#define TYPE_NUMBER    0x00ffffffu /* all zero: since 6.11, a number above them */
#define OLD_BUDDY      (~0x80)
#define OLD_TABLE      (~0x200) /* has no name in VMCOREINFO nor BTF */
#define ENTRIES_A_READ 512u

const char *linux_frame_state_name(enum linux_frame_state state)
{
	static const char *const names[LINUX_FRAME_STATES] = {
		[LINUX_FRAME_FREE] = "free",       [LINUX_FRAME_UNREFERENCED] = "unreferenced",
		[LINUX_FRAME_VMALLOC] = "vmalloc", [LINUX_FRAME_ANON] = "anon",
		[LINUX_FRAME_FILE] = "file",       [LINUX_FRAME_SLAB] = "slab",
		[LINUX_FRAME_TABLE] = "table",     [LINUX_FRAME_KERNEL] = "kernel",
		[LINUX_FRAME_HUGETLB] = "hugetlb", [LINUX_FRAME_RESERVED] = "reserved",
		[LINUX_FRAME_OFFLINE] = "offline", [LINUX_FRAME_POISONED] = "poisoned",
		[LINUX_FRAME_UNKNOWN] = "unknown",
	};

	return (unsigned int)state < LINUX_FRAME_STATES ? names[state] : "?";
}

/* ---- struct pages ---- */

static int64_t type_number(const struct linux_guest *guest, const char *key)
{
	int64_t value;

	return linux_info_number(guest->vmcoreinfo, key, &value) ? value : NO_TYPE;
}

static int flag_bit(const struct linux_types *types, const char *name)
{
	for (int bit = 0; bit < LINUX_PAGE_FLAGS; bit++) {
		if (strcmp(types->page_flag[bit], name) == 0)
			return bit;
	}
	return -1;
}

static bool page_types(const struct linux_types *t)
{
	return t->page_bytes != 0 && t->page_bytes % 8 == 0 && t->page_flags != NO_FIELD &&
	       t->page_compound_head != NO_FIELD && t->page_mapping != NO_FIELD &&
	       t->page_private != NO_FIELD && t->page__mapcount != NO_FIELD &&
	       t->page__refcount != NO_FIELD && t->nr_orders != 0;
}

int linux_pages_init(struct linux_pages *pages, struct linux_guest *guest, struct error *error)
{
	const struct linux_types *t = &guest->types;
	int err = linux_need(guest, error);

	if (err)
		return err;
	*pages = (struct linux_pages){
		.guest = guest,
		.buddy = type_number(guest, "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)"),
		.slab = type_number(guest, "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)"),
		.offline = type_number(guest, "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)"),
		.hugetlb = type_number(guest, "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)"),
		.table = t->pgty_table >= 0 ? t->pgty_table << 24 : NO_TYPE,
		.slab_bit = flag_bit(t, "slab"),
		.reserved_bit = flag_bit(t, "reserved"),
		.poison_bit = flag_bit(t, "hwpoison"),
	};
	if (pages->buddy == OLD_BUDDY)
		pages->table = OLD_TABLE;
	if (!page_types(t) || !guest->facts.memmap_base || pages->buddy == NO_TYPE)
		return error_set(error, -EOPNOTSUPP, "this kernel's frames cannot be read: %s",
				 pages->buddy == NO_TYPE
					 ? "VMCOREINFO has no PAGE_BUDDY_MAPCOUNT_VALUE"
				 : !guest->facts.memmap_base ? "the page array is not known"
							     : "BTF lacks members of struct page");
	return 0;
}

static const uint8_t *page_bytes(struct linux_pages *pages, uint64_t address)
{
	uint64_t window = address & ~(PAGE - 1), offset = address - window;
	uint32_t bytes = pages->guest->types.page_bytes;

	/* A struct page of 64 bytes crosses no page; others are read by themselves. */
	if (offset + bytes > PAGE) {
		pages->window = 0;
		return bytes <= PAGE && inspect_read(pages->guest->inspector, address, pages->bytes,
						     bytes)
			       ? pages->bytes
			       : NULL;
	}
	if (window != pages->window) {
		pages->window = 0;
		if (!inspect_read(pages->guest->inspector, window, pages->bytes, PAGE))
			return NULL;
		pages->window = window;
	}
	return pages->bytes + offset;
}

static uint64_t page_address(const struct linux_guest *guest, uint64_t pfn)
{
	return guest->facts.memmap_base + pfn * guest->types.page_bytes;
}

bool linux_pages_read(struct linux_pages *pages, uint64_t pfn, struct linux_page *page_out)
{
	const struct linux_types *t = &pages->guest->types;
	const uint8_t *bytes = pfn < NB_RAM_LIMIT / PAGE
				       ? page_bytes(pages, page_address(pages->guest, pfn))
				       : NULL;

	if (!bytes)
		return false;
	*page_out = (struct linux_page){
		.flags = linux_u64(bytes, t->page_flags),
		.mapping = linux_u64(bytes, t->page_mapping),
		.private = linux_u64(bytes, t->page_private),
		.compound = linux_u64(bytes, t->page_compound_head),
		.type = linux_u32(bytes, t->page__mapcount),
		.references = (int32_t)linux_u32(bytes, t->page__refcount),
	};
	return true;
}

bool linux_pages_head(struct linux_pages *pages, uint64_t pfn, struct linux_page *page_out,
		      uint64_t *head_out)
{
	*head_out = pfn;
	if (!linux_pages_read(pages, pfn, page_out))
		return false;
	/* A tail's word is its head's address and one; what leads elsewhere is no tail. */
	if ((page_out->compound & 1) == 0 ||
	    !linux_page_pfn(pages->guest, page_out->compound - 1, head_out))
		return true;
	return linux_pages_read(pages, *head_out, page_out);
}

static bool is_type(const struct linux_page *page, int64_t value)
{
	uint32_t bit = ~(uint32_t)value;

	if (value == NO_TYPE)
		return false;
	if (((uint32_t)value & TYPE_NUMBER) == 0)
		return page->type >> 24 == (uint32_t)value >> 24;
	return (page->type & (TYPE_BASE | bit)) == TYPE_BASE;
}

static bool has_bit(const struct linux_page *page, int bit)
{
	return bit >= 0 && (page->flags >> bit & 1);
}

/* Whether @page, of @pfn, is the first of a free block. */
static bool is_block(const struct linux_pages *pages, const struct linux_page *page, uint64_t pfn)
{
	return is_type(page, pages->buddy) && page->private < pages->guest->types.nr_orders &&
	       pfn % (1ull << page->private) == 0;
}

bool linux_pages_block(struct linux_pages *pages, uint64_t pfn, uint64_t *head_out,
		       unsigned int *order_out)
{
	uint64_t before = UINT64_MAX;

	for (unsigned int order = 0; order < pages->guest->types.nr_orders; order++) {
		uint64_t head = pfn & ~((1ull << order) - 1);
		struct linux_page page;

		if (head == before)
			continue;
		before = head;
		if (linux_pages_read(pages, head, &page) && is_block(pages, &page, head) &&
		    pfn - head < 1ull << page.private) {
			*head_out = head;
			*order_out = (unsigned int)page.private;
			return true;
		}
	}
	return false;
}

enum linux_frame_state linux_pages_state(const struct linux_pages *pages,
					 const struct linux_page *head)
{
	if (has_bit(head, pages->poison_bit))
		return LINUX_FRAME_POISONED;
	if (has_bit(head, pages->reserved_bit))
		return LINUX_FRAME_RESERVED;
	if (is_type(head, pages->offline))
		return LINUX_FRAME_OFFLINE;
	if (head->references == 0)
		return LINUX_FRAME_UNREFERENCED;
	if (is_type(head, pages->slab) || has_bit(head, pages->slab_bit))
		return LINUX_FRAME_SLAB;
	if (is_type(head, pages->table))
		return LINUX_FRAME_TABLE;
	if (is_type(head, pages->hugetlb))
		return LINUX_FRAME_HUGETLB;
	/* KSM's have both bits, and are processes' too. */
	if (head->mapping & MAPPING_ANON)
		return LINUX_FRAME_ANON;
	return head->mapping & ~(uint64_t)MAPPING_FLAGS ? LINUX_FRAME_FILE : LINUX_FRAME_KERNEL;
}

/* ---- frames that areas have ---- */

static int by_frame(const void *a, const void *b)
{
	const struct linux_owned *x = a, *y = b;

	if (x->pfn != y->pfn)
		return x->pfn < y->pfn ? -1 : 1;
	return x->area < y->area ? -1 : x->area > y->area;
}

static int add_array(struct linux_guest *guest, const struct linux_area *area,
		     struct linux_owned **owned, size_t *count)
{
	uint64_t entry[ENTRIES_A_READ], pages = (area->end - area->start) / PAGE;
	uint32_t nr = area->vm.nr_pages < pages ? area->vm.nr_pages : (uint32_t)pages;

	for (uint32_t done = 0; done < nr;) {
		uint64_t at = area->vm.pages + 8ull * done;
		uint32_t part = (uint32_t)((PAGE - at % PAGE) / 8);

		if (part > nr - done)
			part = nr - done;
		if (at % 8 != 0 || !inspect_read(guest->inspector, at, entry, part * 8ull))
			return 0;
		for (uint32_t i = 0; i < part; i++) {
			struct linux_owned item = {.area = area, .page = done + i};

			if (!linux_page_pfn(guest, entry[i], &item.pfn))
				continue;
			if (GROW(*owned, *count))
				return -ENOMEM;
			(*owned)[(*count)++] = item;
		}
		done += part;
	}
	return 0;
}

int linux_owned_read(struct linux_guest *guest, const struct linux_space *space,
		     struct linux_owned **owned_out, size_t *count_out)
{
	struct linux_owned *owned = NULL;
	size_t count = 0;
	int err = 0;

	for (size_t i = 0; i < space->count && !err; i++) {
		const struct linux_area *area = &space->area[i];

		if (area->has_vm && area->vm.pages && area->end > area->start &&
		    !(area->vm.flags & LINUX_VM_UNINITIALIZED))
			err = add_array(guest, area, &owned, &count);
	}
	if (err) {
		free(owned);
		return err;
	}
	if (count)
		qsort(owned, count, sizeof(*owned), by_frame);
	*owned_out = owned;
	*count_out = count;
	return 0;
}

static const struct linux_owned *owned_at(const struct linux_owned *owned, size_t count,
					  uint64_t pfn)
{
	size_t first = FIRST_WHERE(i, count, owned[i].pfn >= pfn);

	return first < count && owned[first].pfn == pfn ? &owned[first] : NULL;
}

/* ---- one frame ---- */

static void name_flags(const struct linux_types *types, struct linux_frame *frame)
{
	size_t used = 0;

	for (unsigned int bit = 0; bit < LINUX_PAGE_FLAGS; bit++) {
		const char *name = types->page_flag[bit];

		if (!(frame->flags >> bit & 1) || !*name ||
		    used + strlen(name) + 2 > sizeof(frame->flag_names))
			continue;
		used += (size_t)snprintf(frame->flag_names + used, sizeof(frame->flag_names) - used,
					 "%s%s", used ? "|" : "", name);
	}
}

static int find_owner(struct linux_guest *guest, const struct linux_space *space,
		      struct linux_frame *frame, struct error *error)
{
	struct linux_owned *owned;
	const struct linux_owned *found;
	size_t count;
	int err = linux_owned_read(guest, space, &owned, &count);

	if (err)
		return error_set(error, err, "no memory for the areas' frames");
	found = owned_at(owned, count, frame->pfn);
	if (found) {
		frame->has_area = true;
		frame->area = *found->area;
		frame->area_page = found->page;
	}
	free(owned);
	return 0;
}

int linux_frame(struct linux_guest *guest, const struct linux_space *space,
		const struct linux_zones *zones, uint64_t pfn, struct linux_frame *frame_out,
		struct error *error)
{
	struct linux_frame frame = {.pfn = pfn, .head_pfn = pfn};
	struct linux_page page, head;
	struct linux_pages pages;
	int err = linux_pages_init(&pages, guest, error);

	if (err)
		return err;
	for (size_t i = 0; i < zones->count; i++) {
		const struct linux_zone *zone = &zones->zone[i];

		if (pfn >= zone->start_pfn && pfn - zone->start_pfn < zone->spanned)
			frame.zone = zone;
	}
	if (!linux_pages_read(&pages, pfn, &page) ||
	    !linux_pages_head(&pages, pfn, &head, &frame.head_pfn)) {
		if (!frame.zone)
			return error_set(error, -ENOENT,
					 "frame %" PRIu64 " is in no zone and has no struct page",
					 pfn);
		frame.state = LINUX_FRAME_UNKNOWN;
		*frame_out = frame;
		return 0;
	}
	frame.page_address = page_address(guest, pfn);
	frame.flags = page.flags;
	frame.mapping = head.mapping;
	frame.private = page.private;
	frame.references = head.references;
	frame.state = linux_pages_state(&pages, &head);
	/* Where a type is, there is no count of mappings; with none it is -1. */
	frame.mapcount = (page.type & TYPE_BASE) == TYPE_BASE ? 0 : (int32_t)page.type + 1;
	name_flags(&guest->types, &frame);
	if (linux_pages_block(&pages, pfn, &frame.head_pfn, &frame.order))
		frame.state = LINUX_FRAME_FREE;
	err = find_owner(guest, space, &frame, error);
	if (err)
		return err;
	if (frame.has_area && frame.state == LINUX_FRAME_KERNEL)
		frame.state = LINUX_FRAME_VMALLOC;
	*frame_out = frame;
	return 0;
}

/* ---- counts ---- */

/* The state of the frame at @pfn, and how many from there on are in the same block. */
static enum linux_frame_state state_at(struct linux_pages *pages, uint64_t pfn,
				       uint64_t *frames_out)
{
	struct linux_page page;
	uint64_t head;

	*frames_out = 1;
	if (!linux_pages_head(pages, pfn, &page, &head)) {
		/* The rest of that page of the page array is not there either. */
		uint64_t rest = PAGE - page_address(pages->guest, pfn) % PAGE;

		*frames_out = rest / pages->guest->types.page_bytes ?: 1;
		return LINUX_FRAME_UNKNOWN;
	}
	if (head == pfn && is_block(pages, &page, pfn)) {
		*frames_out = 1ull << page.private;
		return LINUX_FRAME_FREE;
	}
	return linux_pages_state(pages, &page);
}

int linux_frames_count(struct linux_guest *guest, const struct linux_space *space,
		       const struct linux_zone *zone, uint64_t counts_out[LINUX_FRAME_STATES],
		       struct error *error)
{
	uint64_t end = zone->start_pfn + zone->spanned;
	struct linux_owned *owned;
	struct linux_pages pages;
	size_t count;
	int err = linux_pages_init(&pages, guest, error);

	if (err)
		return err;
	err = linux_owned_read(guest, space, &owned, &count);
	if (err)
		return error_set(error, err, "no memory for the areas' frames");
	memset(counts_out, 0, LINUX_FRAME_STATES * sizeof(counts_out[0]));
	for (uint64_t pfn = zone->start_pfn, frames; pfn < end; pfn += frames) {
		enum linux_frame_state state = state_at(&pages, pfn, &frames);

		if (frames > end - pfn)
			frames = end - pfn;
		if (state == LINUX_FRAME_KERNEL && owned_at(owned, count, pfn))
			state = LINUX_FRAME_VMALLOC;
		counts_out[state] += frames;
	}
	free(owned);
	return 0;
}
