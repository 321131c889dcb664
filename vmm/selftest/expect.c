/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the rows of the self-test expect of the guest, looked at from outside. */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "lib/printable.h"
#include "vmm/selftest/private.h"

void selftest_fail(struct selftest *t, const char *format, ...)
{
	va_list args;

	if (!t->row->ok)
		return;
	t->row->ok = false;
	va_start(args, format);
	vsnprintf(t->row->why, sizeof(t->row->why), format, args);
	va_end(args);
	printable(t->row->why);
}

/* ---- looking ---- */

/* The area that starts at @at, or NULL. What the areas are is looked up anew. */
static const struct inspect_area *find_area(struct selftest *t, uint64_t at)
{
	const struct inspect_area *area;

	inspect_areas_free(&t->areas);
	inspect_refresh(t->inspector);
	if (inspect_areas(t->inspector, &t->areas) != 0) {
		selftest_fail(t, "no memory to look at the areas");
		return NULL;
	}
	area = inspect_area_find(&t->areas, at);
	return area && area->start == at && area->state == INSPECT_BUSY ? area : NULL;
}

const struct inspect_area *selftest_area(struct selftest *t, uint64_t at)
{
	const struct inspect_area *area = find_area(t, at);

	if (area && area->has_vm)
		return area;
	selftest_fail(t, "no area starts at %#" PRIx64, at);
	return NULL;
}

void selftest_expect_area(struct selftest *t, uint64_t at, uint64_t pages, uint64_t frames,
			  uint64_t flags)
{
	const struct inspect_area *area = selftest_area(t, at);
	uint64_t guard = flags & NB_VM_NO_GUARD ? 0 : 1;

	if (!area)
		return;
	EXPECT(t, at % PAGE == 0, "%#" PRIx64 " is not page aligned", at);
	EXPECT(t, at >= NB_VMALLOC_START && area->end <= NB_VMALLOC_END,
	       "%#" PRIx64 " is not in the vmalloc range", at);
	EXPECT(t, area->end - at == (pages + guard) * PAGE,
	       "the area at %#" PRIx64 " has %#" PRIx64 " bytes, not %" PRIu64 " pages and a guard",
	       at, area->end - at, pages);
	EXPECT(t, area->nr_pages == frames,
	       "the area at %#" PRIx64 " lists %" PRIu64 " frames, not %" PRIu64, at,
	       area->nr_pages, frames);
	EXPECT(t, (area->flags & flags) == flags,
	       "the area at %#" PRIx64 " has flags %#" PRIx64 ", not all of %#" PRIx64, at,
	       area->flags, flags);
}

void selftest_expect_gone(struct selftest *t, uint64_t at, uint64_t pages)
{
	EXPECT(t, !find_area(t, at), "the area at %#" PRIx64 " is still there", at);
	selftest_expect_clear(t, at, pages);
}

struct paging_walk selftest_walk(struct selftest *t, uint64_t at)
{
	struct paging_mode mode = guest_paging_mode(t->guest);
	struct paging_reader reader = guest_paging_reader(t->guest);
	struct paging_walk walk;

	paging_walk(&mode, &reader, gva_make(at), &walk);
	return walk;
}

uint64_t selftest_frame(struct selftest *t, uint64_t at)
{
	struct paging_walk walk = selftest_walk(t, at);

	return walk.status == PAGING_MAPPED ? walk.gpa.value / PAGE : UINT64_MAX;
}

void selftest_expect_mapped(struct selftest *t, uint64_t at, uint64_t pages, unsigned int rights)
{
	for (uint64_t i = 0; i < pages; i++) {
		struct paging_walk walk = selftest_walk(t, at + i * PAGE);

		if (walk.status != PAGING_MAPPED) {
			selftest_fail(t, "%#" PRIx64 " is not mapped: %s", at + i * PAGE,
				      paging_status_name(walk.status));
			return;
		}
		EXPECT(t, walk.rights == rights, "%#" PRIx64 " has rights %#x, not %#x",
		       at + i * PAGE, walk.rights, rights);
		EXPECT(t, inspect_ram_range(t->inspector, walk.gpa.value / PAGE),
		       "%#" PRIx64 " maps %#" PRIx64 ", which is no RAM", at + i * PAGE,
		       walk.gpa.value);
	}
	selftest_expect_clear(t, at + pages * PAGE, 1);
}

void selftest_expect_clear(struct selftest *t, uint64_t at, uint64_t pages)
{
	for (uint64_t i = 0; i < pages; i++)
		EXPECT(t, selftest_walk(t, at + i * PAGE).status == PAGING_NOT_PRESENT,
		       "%#" PRIx64 " is mapped", at + i * PAGE);
}

void selftest_expect_frames(struct selftest *t, uint64_t at, uint64_t pages, const uint64_t *pfn)
{
	for (uint64_t i = 0; i < pages; i++)
		EXPECT(t, selftest_frame(t, at + i * PAGE) == pfn[i],
		       "%#" PRIx64 " maps frame %#" PRIx64 ", not %#" PRIx64, at + i * PAGE,
		       selftest_frame(t, at + i * PAGE), pfn[i]);
}

static void expect_value(struct selftest *t, uint64_t at, bool readable, uint64_t word,
			 uint64_t value)
{
	EXPECT(t, readable, "%#" PRIx64 " cannot be read", at);
	EXPECT(t, !readable || word == value, "%#" PRIx64 " holds %#" PRIx64 ", not %#" PRIx64, at,
	       word, value);
}

void selftest_expect_word(struct selftest *t, uint64_t at, uint64_t value)
{
	uint64_t word = 0;
	bool readable = guest_read(t->guest, gva_make(at), &word, sizeof(word)) == 0;

	expect_value(t, at, readable, word, value);
}

void selftest_set_word(struct selftest *t, uint64_t at, uint64_t value)
{
	EXPECT(t, guest_write(t->guest, gva_make(at), &value, sizeof(value)) == 0,
	       "%#" PRIx64 " cannot be written", at);
}

void selftest_expect_frame_word(struct selftest *t, uint64_t pfn, uint64_t value)
{
	uint64_t word = 0;
	bool readable = gpa_space_read(guest_space(t->guest), gpa_make(pfn * PAGE), &word,
				       sizeof(word)) == 0;

	expect_value(t, pfn * PAGE, readable, word, value);
}

void selftest_set_frame_word(struct selftest *t, uint64_t pfn, uint64_t value)
{
	EXPECT(t,
	       gpa_space_write(guest_space(t->guest), gpa_make(pfn * PAGE), &value,
			       sizeof(value)) == 0,
	       "frame %#" PRIx64 " cannot be written", pfn);
}

/* ---- what rows use ---- */

void selftest_take_frames(struct selftest *t, uint64_t *pfn, size_t count)
{
	for (size_t i = 0; i < count; i++)
		pfn[i] = MAKE(t, NB_OP_ALLOC_PAGES, 0, NB_GFP_KERNEL, (uint64_t)-1);
}

void selftest_put_frames(struct selftest *t, const uint64_t *pfn, size_t count)
{
	for (size_t i = 0; i < count; i++)
		DO(t, NB_OP_FREE_PAGES, pfn[i], 0);
}

void selftest_list_frames(struct selftest *t, const uint64_t *pfn, size_t count)
{
	memcpy(guest_data(t->guest, 0), pfn, count * sizeof(*pfn));
}

uint64_t selftest_reserve_at(struct selftest *t, uint64_t start, uint64_t pages)
{
	uint64_t at = MAKE(t, NB_OP_GET_VM_AREA_WINDOW, pages * PAGE, NB_VM_MAP, start,
			   start + (pages + 1) * PAGE);

	EXPECT(t, at == start, "a range that just fits at %#" PRIx64 " is at %#" PRIx64, start, at);
	return at;
}
