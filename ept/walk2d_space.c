/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A space of guest-physical addresses as a second stage: one leaf at a time. */
#include "ept/gpa_space_private.h"
#include "ept/walk2d.h"

/* The gap, or the region without memory, that holds @gpa. */
static struct walk2d_leaf space_hole(const struct gpa_space *space, gpa_t gpa)
{
	size_t at = gpa_space_first_after(space, gpa.value);
	uint64_t start = at > 0 ? space->regions[at - 1]->public.end.value : 0;
	uint64_t end = 1ULL << EPT_PHYSICAL_BITS_MAX;

	if (at < space->count && space->regions[at]->public.start.value <= gpa.value)
		end = space->regions[at]->public.end.value;
	else if (at < space->count)
		end = space->regions[at]->public.start.value;
	return (struct walk2d_leaf){.gpa = gpa_make(start), .bytes = end - start};
}

static bool space_leaf(void *context, gpa_t gpa, struct walk2d_leaf *leaf_out)
{
	const struct gpa_region *region = gpa_space_find(context, gpa);
	uint64_t bytes, start;

	if (!region || !region->host) {
		*leaf_out = space_hole(context, gpa);
		return false;
	}
	for (bytes = gpa_region_leaf_bytes(region); bytes > EPT_PAGE_BYTES; bytes >>= 9) {
		start = gpa.value & ~(bytes - 1);
		if (start >= region->start.value && start + bytes <= region->end.value)
			break;
	}
	start = gpa.value & ~(bytes - 1);
	*leaf_out = (struct walk2d_leaf){
		.gpa = gpa_make(start),
		.bytes = bytes,
		.rights =
			STAGE2_R | STAGE2_X | STAGE2_XU | (region->kind == GPA_RAM ? STAGE2_W : 0),
		.host = (char *)region->host + (start - region->start.value),
	};
	return true;
}

struct walk2d_source walk2d_source_space(const struct gpa_space *space)
{
	return (struct walk2d_source){space_leaf, (void *)space};
}
