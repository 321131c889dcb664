/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words, numbers and distributions of a workload (vmm/load/scan.h). */
#include "vmm/load/scan.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/grow.h"
#include "vmm/load/workload.h"

#define SPACE " \t,"

/* ---- words ---- */

void scan_next(struct scan *scan)
{
	char *word = scan->at;

	if (scan->cut)
		*word = scan->cut;
	word += strspn(word, SPACE);
	scan->word = word;
	scan->at = word + strcspn(word, SPACE);
	scan->cut = *scan->at;
	*scan->at = '\0';
}

void scan_line(struct scan *scan, char *line, unsigned long number)
{
	line[strcspn(line, "#")] = '\0';
	scan->line = number;
	scan->start = line;
	scan->at = line;
	scan->cut = '\0';
	scan_next(scan);
}

bool scan_is(const struct scan *scan, const char *word)
{
	return !strcmp(scan->word, word);
}

int scan_fail(struct scan *scan, const char *format, ...)
{
	char text[400];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	return input_fail(scan->error, NULL, 0, "%s:%lu:%zu: %s", scan->path, scan->line,
			  (size_t)(scan->word - scan->start) + 1, text);
}

int scan_end(struct scan *scan)
{
	return scan_at_end(scan) ? 0 : scan_fail(scan, "'%.40s' is too much here", scan->word);
}

/* ---- numbers ---- */

/* Reads the @length bytes of a number with its unit; NUMBER_MALFORMED likewise for a wrong unit. */
static enum number_error read_number(const char *text, size_t length, enum scan_unit unit,
				     uint64_t *value_out)
{
	static const char units[] = "KMGT";
	const char *found = length ? strchr(units, text[length - 1]) : NULL;
	unsigned int shift = 0;
	enum number_error wrong;

	if (unit == SCAN_LIFE && length == 7 && !strncmp(text, "forever", 7))
		return *value_out = DRAW_FOREVER, NUMBER_OK;
	if (unit == SCAN_LIFE && length == 5 && !strncmp(text, "phase", 5))
		return *value_out = DRAW_PHASE, NUMBER_OK;
	if (unit == SCAN_SIZE && found) {
		shift = 10 * ((unsigned int)(found - units) + 1);
		length--;
	}
	wrong = number_parse(text, length, value_out);
	if (!wrong && *value_out > UINT64_MAX >> shift)
		return NUMBER_OUT_OF_RANGE;
	if (!wrong)
		*value_out <<= shift;
	return wrong;
}

static int number_of(struct scan *scan, const char *text, size_t length, enum scan_unit unit,
		     uint64_t min, uint64_t max, uint64_t *value_out)
{
	uint64_t value;
	enum number_error wrong = read_number(text, length, unit, &value);

	if (wrong == NUMBER_MALFORMED)
		return length ? scan_fail(scan, "'%.40s' is no number", text)
			      : scan_fail(scan, "a number has to stand here");
	if (unit == SCAN_LIFE && !wrong && value >= DRAW_PHASE) {
		*value_out = value;
		return 0;
	}
	if (wrong || value < min || value > max)
		return scan_fail(scan, "'%.40s' is not from %llu to %llu", text,
				 (unsigned long long)min, (unsigned long long)max);
	*value_out = value;
	return 0;
}

int scan_number(struct scan *scan, enum scan_unit unit, uint64_t min, uint64_t max,
		uint64_t *value_out)
{
	int err = number_of(scan, scan->word, strlen(scan->word), unit, min, max, value_out);

	if (!err)
		scan_next(scan);
	return err;
}

int scan_choice(struct scan *scan, const char *const *words, const char *what,
		unsigned int *index_out)
{
	char list[200] = "";

	for (unsigned int i = 0; words[i]; i++) {
		if (scan_is(scan, words[i])) {
			*index_out = i;
			scan_next(scan);
			return 0;
		}
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? ", " : "",
			 words[i]);
	}
	return scan_fail(scan, "'%.40s' is not %s: %s", scan->word, what, list);
}

int scan_name(struct scan *scan, char *name, size_t bytes)
{
	size_t length = strlen(scan->word);

	if (!length)
		return scan_fail(scan, "a name has to stand here");
	if (length >= bytes ||
	    strspn(scan->word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "0123456789-_.") != length)
		return scan_fail(scan,
				 "'%.40s' is no name: up to %zu letters, digits, '-', '_', '.'",
				 scan->word, bytes - 1);
	memcpy(name, scan->word, length + 1);
	scan_next(scan);
	return 0;
}

/* ---- distributions ---- */

int scan_range(struct scan *scan, enum scan_unit unit, uint64_t min, uint64_t max,
	       uint64_t *low_out, uint64_t *high_out)
{
	const char *dots = strstr(scan->word, "..");
	size_t length = dots ? (size_t)(dots - scan->word) : strlen(scan->word);
	int err = number_of(scan, scan->word, length, unit, min, max, low_out);

	*high_out = *low_out;
	if (!err && dots)
		err = number_of(scan, dots + 2, strlen(dots + 2), unit, min, max, high_out);
	if (!err && (*high_out < *low_out || (dots && *high_out >= DRAW_PHASE)))
		err = scan_fail(scan, "'%.40s' is no range from less to more", scan->word);
	if (!err)
		scan_next(scan);
	return err;
}

/* `RANGE x WEIGHT ...` to the line's end; a weight of 1 need not be said. */
static int read_entries(struct scan *scan, enum scan_unit unit, uint64_t min, uint64_t max,
			struct draw *draw)
{
	int err = 0;

	do {
		struct draw_entry entry;
		uint64_t weight = 1;

		if (scan->nr_entries++ >= WORKLOAD_ENTRIES_MAX)
			return scan_fail(scan, "more than %u entries in the tables of one workload",
					 WORKLOAD_ENTRIES_MAX);
		err = scan_range(scan, unit, min, max, &entry.low, &entry.high);
		if (!err && scan_is(scan, "x")) {
			scan_next(scan);
			err = scan_number(scan, SCAN_NUMBER, 1, DRAW_DECK_MAX, &weight);
		}
		if (!err && GROW(draw->entries, draw->nr_entries))
			err = -ENOMEM;
		if (err)
			return err;
		entry.weight = (uint32_t)weight;
		draw->entries[draw->nr_entries++] = entry;
		draw->weight += weight;
	} while (!scan_at_end(scan));
	if (draw->kind != DRAW_TABLE && draw->weight > DRAW_DECK_MAX)
		return scan_fail(scan, "a deck's weights add up to more than %u", DRAW_DECK_MAX);
	return 0;
}

static int read_max(struct scan *scan, enum scan_unit unit, uint64_t max, struct draw *draw)
{
	draw->high = max;
	if (!scan_is(scan, "max"))
		return 0;
	scan_next(scan);
	return scan_number(scan, unit == SCAN_LIFE ? SCAN_NUMBER : unit, draw->low, max,
			   &draw->high);
}

static int read_exponential(struct scan *scan, enum scan_unit unit, uint64_t min, uint64_t max,
			    struct draw *draw)
{
	uint64_t mean = 0;
	int err = scan_number(scan, unit == SCAN_LIFE ? SCAN_NUMBER : unit, 1, max, &mean);

	draw->low = min;
	draw->mean = (double)mean;
	return err ? err : read_max(scan, unit, max, draw);
}

static int read_pareto(struct scan *scan, enum scan_unit unit, uint64_t min, uint64_t max,
		       struct draw *draw)
{
	int err = scan_number(scan, unit == SCAN_LIFE ? SCAN_NUMBER : unit, min ? min : 1, max,
			      &draw->low);
	char *end;

	if (err)
		return err;
	draw->mean = strtod(scan->word, &end);
	if (end == scan->word || *end || !(draw->mean >= 0.01 && draw->mean <= 100))
		return scan_fail(scan, "'%.40s' is no shape from 0.01 to 100", scan->word);
	scan_next(scan);
	return read_max(scan, unit, max, draw);
}

static int read_kind(struct scan *scan, enum scan_unit unit, uint64_t min, uint64_t max,
		     struct draw *draw)
{
	static const struct {
		const char *word;
		enum draw_kind kind;
	} kinds[] = {{"uniform", DRAW_UNIFORM}, {"exponential", DRAW_EXPONENTIAL},
		     {"pareto", DRAW_PARETO},   {"table", DRAW_TABLE},
		     {"deck", DRAW_DECK},       {"sequence", DRAW_SEQUENCE}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!scan_is(scan, kinds[i].word))
			continue;
		draw->kind = kinds[i].kind;
		scan_next(scan);
	}
	switch (draw->kind) {
	case DRAW_UNIFORM:
		return scan_range(scan, unit, min, max, &draw->low, &draw->high);
	case DRAW_EXPONENTIAL:
		return read_exponential(scan, unit, min, max, draw);
	case DRAW_PARETO:
		return read_pareto(scan, unit, min, max, draw);
	case DRAW_TABLE:
	case DRAW_DECK:
	case DRAW_SEQUENCE:
		return read_entries(scan, unit, min, max, draw);
	default:
		return scan_number(scan, unit, min, max, &draw->low);
	}
}

int scan_draw(struct scan *scan, enum scan_unit unit, uint64_t min, uint64_t max,
	      struct draw *draw_out)
{
	struct draw draw = {.kind = DRAW_FIXED};
	int err = read_kind(scan, unit, min, max, &draw);

	if (!err)
		err = scan_end(scan);
	if (err)
		draw_free(&draw);
	else
		*draw_out = draw;
	return err;
}
