/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where areas are drawn: an address space that is nearly empty, with its wide holes folded. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/input.h"
#include "vmm/picture/private.h"

/* A hole is drawn as wide as this part of what is taken, but not narrower than so many pages. */
#define FOLD_PART  60
#define FOLD_LEAST 16

uint64_t picture_number(const json_t *array, size_t index)
{
	return (uint64_t)json_integer_value(json_array_get(array, index));
}

uint64_t picture_base(const json_t *section)
{
	const char *text = json_string_value(json_object_get(section, "base")) ?: "";
	uint64_t base = 0;

	number_parse(text, strlen(text), &base);
	return base / 4096;
}

/* The area's kind at the end: what was freed is lazy. NULL: it is not there any more. */
static const char *kind_at_the_end(const json_t *areas, size_t i)
{
	const json_t *freed = json_object_get(areas, "freed"),
		     *gone = json_object_get(areas, "gone");
	const json_t *kind = json_array_get(json_object_get(areas, "kinds"),
					    picture_number(json_object_get(areas, "kind"), i));

	if (gone && (int64_t)picture_number(gone, i) >= 0)
		return NULL;
	if (freed && (int64_t)picture_number(freed, i) >= 0)
		return "lazy";
	return json_string_value(kind) ?: "";
}

/* Finds out what there is; where it is drawn is not known yet. Returns the pages taken. */
static uint64_t find_areas(const json_t *areas, struct picture_places *places)
{
	const json_t *step = json_object_get(areas, "step"),
		     *pages = json_object_get(areas, "pages");
	uint64_t page = picture_base(areas), taken = 0;

	for (size_t i = 0; i < json_array_size(step); i++) {
		const char *kind = kind_at_the_end(areas, i);

		page += picture_number(step, i);
		if (!kind)
			continue;
		places->place[places->count++] = (struct picture_place){
			.page = page, .pages = picture_number(pages, i), .kind = kind};
		taken += picture_number(pages, i);
	}
	return taken;
}

int picture_places(const json_t *areas, struct picture_places *places_out)
{
	size_t most = json_array_size(json_object_get(areas, "step"));
	struct picture_places places = {.place = calloc(most + 1, sizeof(*places.place))};
	uint64_t reach = 0;
	double fold;

	if (!places.place)
		return -ENOMEM;
	fold = fmax(FOLD_LEAST, (double)find_areas(areas, &places) / FOLD_PART);
	for (size_t i = 0; i < places.count; i++) {
		struct picture_place *place = &places.place[i];
		double hole = i && place->page > reach ? (double)(place->page - reach) : 0;

		place->folded = hole > fold;
		place->at = places.length + fmin(hole, fold);
		places.length = place->at + (double)place->pages;
		reach = place->page + place->pages;
	}
	*places_out = places;
	return 0;
}

uint64_t picture_page_at(const struct picture_places *places, double at)
{
	for (size_t i = 0; i < places->count; i++) {
		const struct picture_place *place = &places->place[i];

		if (place->at + (double)place->pages > at)
			return place->page + (at > place->at ? (uint64_t)(at - place->at) : 0);
	}
	return 0;
}
