/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pictures of a guest's memory: one page of HTML that holds all it needs, single figures as SVG,
 * and columns for gnuplot. What is drawn is a document, a JSON object; whoever has something to
 * show makes its sections, in the forms below, and hands it over:
 *
 *   title    what the page is called
 *   about    [[name, value], ...]
 *   areas    picture_areas()
 *   history  {steps: N, seconds: [N + 1 numbers]}: areas then have born, freed and gone
 *   maps     picture_maps()
 *   frames   picture_frames()
 *   walk     the answer of query-walk
 *   latency  [picture_histogram(), ...]
 *   audit    picture_audit()
 *   explore  {vcpus, text, turns: [{vcpu, text}, ...]}
 *   table    [{id, heading, columns: [...], rows: [[...], ...]}, ...]
 *
 * Lists are packed, because a page may hold 100,000 areas in less than 5 MB: arrays of numbers in
 * place of objects, each start as pages behind the start before it. Nothing that a guest or a file
 * says is anything but text on the page.
 */
#ifndef VMM_PICTURE_PICTURE_H
#define VMM_PICTURE_PICTURE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/error.h"
#include "vmm/base/latency.h"

/* A document without sections, the caller's; NULL: no memory. */
json_t *picture_create(const char *title);

/* Adds a line of "about". */
__attribute__((format(printf, 3, 4))) void picture_about(json_t *document, const char *name,
							 const char *format, ...);

/*
 * The section areas of a list of {start, end, line[, state, pages, place]} as query-areas returns
 * it; entries in any order, those that are none left out. With {born, freed, gone}, numbers of
 * operations or -1, in all of them, they have a history. Returns a new reference, or NULL.
 */
json_t *picture_areas(const json_t *list);

/* An area where a figure has it; `at` and widths in pages. */
struct picture_place {
	double at;            /* from the figure's beginning */
	bool folded;          /* the hole before it is drawn narrower than it is */
	uint64_t page, pages; /* the area itself */
	const char *kind;     /* the section's, or "lazy" */
};

struct picture_places {
	struct picture_place *place; /* in order; the caller's, to free() */
	size_t count;
	double length;
};

/*
 * Where each area of the section is drawn that is there at the end of its history: one behind the
 * other, and no hole between two wider than a 60th of what they take. -ENOMEM.
 */
int picture_places(const json_t *areas, struct picture_places *places_out);

/* The page that is drawn at @at, or the first of the next area; 0 behind the last. */
uint64_t picture_page_at(const struct picture_places *places, double at);

/* The section maps of a list of {start, end, rights, page-bytes}, tables of @levels. */
json_t *picture_maps(const json_t *list, unsigned int levels);

/*
 * The section frames of query-frame-map's runs, {start, end, state, node, zone}, and, unless NULL,
 * the leaves of the second stage, {start, end, leaf-bytes}.
 */
json_t *picture_frames(const json_t *runs, const json_t *leaves);

/* The section audit of what the command audit answers, of our guests and of Linux. */
json_t *picture_audit(const json_t *answer);

/*
 * One histogram: the samples (sorted here) in buckets that are exact below 32 and from there on
 * at most 1/16 of their value wide. @unit is a word. NULL: no samples, or no memory.
 */
json_t *picture_histogram(const char *name, const char *unit, struct latency *latency);

/*
 * Writes the page to @path, by lib/out_file.h: whole or not at all. Errors: its, in @error too;
 * -ENOMEM.
 */
int picture_write_html(const json_t *document, const char *path, struct error *error);

/*
 * Writes the document's one figure to @path, as SVG: its areas, or else its first histogram.
 * Errors: as above; -ENODATA: it has neither.
 */
int picture_write_svg(const json_t *document, const char *path, struct error *error);

/*
 * Writes columns for gnuplot to @path: blocks, each under a comment that names its columns, two
 * empty lines between them (gnuplot's `index`). Errors: as for the page.
 */
int picture_write_dat(const json_t *document, const char *path, struct error *error);

/*
 * Which files a command line wants: --html, --svg, --dat, each NULL where it is not given; and all
 * three written, the first error ending it.
 */
struct picture_files {
	const char *html, *svg, *dat;
};

int picture_write(const json_t *document, const struct picture_files *files, struct error *error);

#endif
