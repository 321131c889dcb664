/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words of one line of a workload, and what can be read from them, each error with its place.
 */
#ifndef VMM_LOAD_SCAN_H
#define VMM_LOAD_SCAN_H

#include "lib/input.h"
#include "vmm/load/draw.h"

/* Numbers with or without a unit; LIFE: `forever` and `phase` too. */
enum scan_unit { SCAN_NUMBER, SCAN_SIZE, SCAN_LIFE };

struct scan {
	const char *path;
	unsigned long line;
	char *at;          /* behind the word */
	const char *start; /* of the line */
	char *word;        /* the current one; "" at the end */
	char cut;          /* the byte that the word's terminator took the place of */
	size_t nr_entries; /* of all tables so far */
	struct input_error *error;
};

/* Takes @line, whose comment goes, and its first word. */
void scan_line(struct scan *scan, char *line, unsigned long number);

/* The next word. Commas are white space. */
void scan_next(struct scan *scan);

static inline bool scan_at_end(const struct scan *scan)
{
	return !*scan->word;
}

bool scan_is(const struct scan *scan, const char *word);

/* Says what is wrong with the current word. Returns -EINVAL. */
int scan_fail(struct scan *scan, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The current word as a number of @unit in [@min, @max]; the next word is taken. */
int scan_number(struct scan *scan, enum scan_unit unit, uint64_t min, uint64_t max,
		uint64_t *value_out);

/* `A` or `A..B`, A <= B, both as above; the next word is taken. */
int scan_range(struct scan *scan, enum scan_unit unit, uint64_t min, uint64_t max,
	       uint64_t *low_out, uint64_t *high_out);

/* One of @words, which NULL ends; the next word is taken. @what: "a kind". */
int scan_choice(struct scan *scan, const char *const *words, const char *what,
		unsigned int *index_out);

/* A name of at most @bytes - 1 letters, digits, '-', '_' and '.'; the next word is taken. */
int scan_name(struct scan *scan, char *name, size_t bytes);

/* A distribution, to the line's end, of numbers in [@min, @max]. draw_free() frees it. */
int scan_draw(struct scan *scan, enum scan_unit unit, uint64_t min, uint64_t max,
	      struct draw *draw_out);

/* Refuses another word. */
int scan_end(struct scan *scan);

#endif
