/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames: what a busy area's array lists is allocated, is vmalloc's and in one area only; what a
 * zone counts as free is what is marked so.
 *
 * No healthy kernel shows a listed frame free, not for a moment: an area leaves the busy list
 * before its frames are freed, and VM_UNINITIALIZED stays until it has them. Areas that vmalloc()
 * did not fill (vmap() of somebody's frames) may share them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "vmm/linux/check_private.h"
#include "vmm/linux/frames_private.h"

static void find_frame(struct linux_pass *pass, const struct linux_owned *owned, const char *what,
		       const char *words)
{
	uint64_t address = owned->area->start + owned->page * PAGE;
	char text[LINUX_AREA_TEXT];

	linux_find(pass, LINUX_CHECK_FRAMES, LINUX_ALARM, what, address, address + PAGE,
		   "area %s: page %u is frame %" PRIu64 ", which %s",
		   linux_area_text(pass, owned->area, text), owned->page, owned->pfn, words);
}

static void check_owned(struct linux_pass *pass, struct linux_pages *pages,
			const struct linux_owned *owned)
{
	enum linux_frame_state state;
	struct linux_page page;
	unsigned int order;
	uint64_t head;

	if (!linux_pages_head(pages, owned->pfn, &page, &head)) {
		linux_except(pass, LINUX_EXCEPT_UNREAD);
		return;
	}
	linux_count(pass, LINUX_CHECK_FRAMES, 1);
	state = linux_pages_state(pages, &page);
	if (linux_pages_block(pages, owned->pfn, &head, &order))
		find_frame(pass, owned, "free frame", "is in a free block");
	else if (state == LINUX_FRAME_UNREFERENCED)
		find_frame(pass, owned, "free frame", "nobody has a reference to");
	else if ((owned->area->vm.flags & LINUX_VM_ALLOC) &&
		 (state == LINUX_FRAME_SLAB || state == LINUX_FRAME_TABLE ||
		  state == LINUX_FRAME_OFFLINE))
		find_frame(pass, owned, "another's frame",
			   state == LINUX_FRAME_SLAB    ? "is a slab's"
			   : state == LINUX_FRAME_TABLE ? "is a page table"
							: "is offline");
}

static void check_twice(struct linux_pass *pass, const struct linux_owned *first,
			const struct linux_owned *second)
{
	char text[LINUX_AREA_TEXT], words[LINUX_AREA_TEXT + 32];

	if (first->pfn != second->pfn || !(first->area->vm.flags & LINUX_VM_ALLOC) ||
	    !(second->area->vm.flags & LINUX_VM_ALLOC))
		return;
	snprintf(words, sizeof(words), "area %s has too", linux_area_text(pass, first->area, text));
	find_frame(pass, second, "frame of two areas", words);
}

static void check_zone(struct linux_pass *pass, const struct linux_zone *zone)
{
	uint64_t counts[LINUX_FRAME_STATES];
	int err = linux_frames_count(pass->guest, &pass->space, zone, counts, NULL);

	if (err) {
		pass->err = err == -ENOMEM ? err : pass->err;
		return;
	}
	/* Part of the page array is not in this image: nothing can be said of a sum. */
	if (counts[LINUX_FRAME_UNKNOWN]) {
		linux_except(pass, LINUX_EXCEPT_UNREAD);
		return;
	}
	linux_count(pass, LINUX_CHECK_FRAMES, 1);
	if (counts[LINUX_FRAME_FREE] != zone->listed_free)
		linux_find(pass, LINUX_CHECK_FRAMES,
			   zone->locked ? LINUX_IN_UPDATE : LINUX_IN_TRANSIT, "free count",
			   zone->start_pfn, zone->start_pfn + zone->spanned,
			   "node %u zone %s: %" PRIu64 " frames are in free blocks, free_area "
			   "counts %" PRIu64,
			   zone->node, zone->name, counts[LINUX_FRAME_FREE], zone->listed_free);
}

static void check_zones(struct linux_pass *pass)
{
	struct linux_zones zones;
	int err;

	if (pass->live) {
		linux_except(pass, LINUX_EXCEPT_ZONES);
		return;
	}
	err = linux_zones_read(pass->guest, &zones, NULL);
	if (err) {
		linux_except(pass, err == -EFAULT ? LINUX_EXCEPT_UNREAD : LINUX_EXCEPT_FRAMES);
		pass->err = err == -ENOMEM ? err : pass->err;
		return;
	}
	for (size_t i = 0; i < zones.count; i++)
		check_zone(pass, &zones.zone[i]);
	linux_zones_free(&zones);
}

void linux_check_frames(struct linux_pass *pass)
{
	struct linux_owned *owned;
	struct linux_pages pages;
	size_t count;

	if (linux_pages_init(&pages, pass->guest, NULL)) {
		linux_except(pass, LINUX_EXCEPT_FRAMES);
		return;
	}
	pass->err = linux_owned_read(pass->guest, &pass->space, &owned, &count) ?: pass->err;
	if (pass->err)
		return;
	for (size_t i = 0; i < count; i++) {
		check_owned(pass, &pages, &owned[i]);
		if (i > 0)
			check_twice(pass, &owned[i - 1], &owned[i]);
	}
	free(owned);
	check_zones(pass);
}
