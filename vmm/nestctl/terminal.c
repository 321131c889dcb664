/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pictures for a terminal: map draws the address space in letters, top shows a guest at work. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "vmm/nestctl/nestctl.h"

#define COLUMNS_OTHERWISE 100
#define COLUMNS_LEAST     40
#define LABEL_COLUMNS     19 /* an address and a space */
#define ROWS              20

static unsigned int terminal_columns(void)
{
	const char *text = getenv("COLUMNS");
	struct winsize size;
	unsigned long columns = text ? strtoul(text, NULL, 10) : 0;

	if (!columns && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		columns = size.ws_col;
	if (!columns)
		columns = COLUMNS_OTHERWISE;
	return columns < COLUMNS_LEAST ? COLUMNS_LEAST
	       : columns > 400         ? 400
				       : (unsigned int)columns;
}

/* ---- map ---- */

struct tile {
	uint64_t start, end;
	char letter;
};

/* What cells of the map are: [at, at + length) of it are the tile's, or a hole's of any width. */
struct map {
	struct tile *tile;
	size_t count;
	double *place; /* of each tile, in pages, wide holes folded */
	double length, fold;
};

static const struct {
	char letter;
	const char *word;
} kinds[] = {{'V', "vmalloc"}, {'M', "vmap"},       {'I', "ioremap"},
	     {'U', "user"},    {'R', "vm_map_ram"}, {'P', "vpages"}};

static char letter_of(const json_t *area)
{
	const char *state = ctl_text(area, "state"), *line = ctl_text(area, "line");
	char word[32];

	if (!strcmp(state, "lazy"))
		return '~';
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *found;

		snprintf(word, sizeof(word), " %s", kinds[i].word);
		found = strstr(line, word);
		if (found && strchr(" ", found[strlen(word)]))
			return kinds[i].letter;
	}
	return 'A';
}

static int make_map(const json_t *areas, struct map *map)
{
	uint64_t taken = 0;
	const json_t *one;
	size_t i;

	*map = (struct map){.tile = calloc(json_array_size(areas) + 1, sizeof(*map->tile)),
			    .place = calloc(json_array_size(areas) + 1, sizeof(*map->place))};
	if (!map->tile || !map->place)
		return -ENOMEM;
	json_array_foreach (areas, i, one) {
		struct tile tile = {ctl_number(one, "start"), ctl_number(one, "end"),
				    letter_of(one)};

		if (tile.start >= tile.end)
			continue;
		taken += (tile.end - tile.start) >> 12;
		/* Neighbours of one kind are told apart. */
		if (map->count % 2)
			tile.letter = (char)tolower(tile.letter);
		map->tile[map->count++] = tile;
	}
	map->fold = fmax(16, (double)taken / 60);
	for (i = 0; i < map->count; i++) {
		double hole = i ? (double)((map->tile[i].start - map->tile[i - 1].end) >> 12) : 0;

		map->place[i] = map->length + fmin(hole, map->fold);
		map->length =
			map->place[i] + (double)((map->tile[i].end - map->tile[i].start) >> 12);
	}
	return 0;
}

/* What the cell over [from, to) shows: what takes most of it, a hole, or ':' for a folded one. */
static char cell(const struct map *map, size_t *at, double from, double to)
{
	double best = 0;
	char letter = '.';

	while (*at + 1 < map->count && map->place[*at + 1] <= from)
		++*at;
	for (size_t i = *at; i < map->count && map->place[i] < to; i++) {
		double end =
			map->place[i] + (double)((map->tile[i].end - map->tile[i].start) >> 12);
		double part = fmin(end, to) - fmax(map->place[i], from);
		bool folded = i + 1 < map->count && map->place[i + 1] - end >= map->fold &&
			      end < to && map->place[i + 1] > from;

		if (part > best) {
			best = part;
			letter = map->tile[i].letter;
		} else if (best == 0 && folded) {
			letter = ':';
		}
	}
	return letter;
}

/* The address at @place. */
static uint64_t address_at(const struct map *map, size_t at, double place)
{
	uint64_t into = place > map->place[at] ? (uint64_t)(place - map->place[at]) << 12 : 0;
	uint64_t address = map->tile[at].start + into;

	/* In a folded hole it is the next area that the row shows. */
	return address > map->tile[at].end && at + 1 < map->count ? map->tile[at + 1].start
								  : address;
}

static void put_letter(char letter, bool colours, FILE *out)
{
	static const char letters[] = "VMIURP~A";
	static const char *const codes[] = {"34", "33", "35", "32", "36", "31", "90", "37"};
	const char *found = strchr(letters, toupper(letter));

	if (colours && found)
		fprintf(out, "\033[%sm%c\033[0m", codes[found - letters], letter);
	else
		fputc(letter, out);
}

static void print_map(const struct map *map, FILE *out)
{
	unsigned int columns = terminal_columns() - LABEL_COLUMNS;
	double each = map->length / ROWS / columns;
	bool colours = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	size_t at = 0;

	each = fmax(each, 1); /* a page is a cell at least */
	for (unsigned int row = 0; row < ROWS && row * columns * each < map->length; row++) {
		double from = row * columns * each;

		cell(map, &at, from, from + each);
		fprintf(out, "0x%016" PRIx64 " ", address_at(map, at, from));
		for (unsigned int i = 0; i < columns && from + i * each < map->length; i++)
			put_letter(cell(map, &at, from + i * each, from + (i + 1) * each), colours,
				   out);
		fputc('\n', out);
	}
	fprintf(out, "a cell is %.4g %s;", each < 256 ? each * 4 : each / 256,
		each < 256 ? "KiB" : "MiB");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		fprintf(out, " %c %s,", kinds[i].letter, kinds[i].word);
	fprintf(out,
		" A other, small: every second area; ~ lazy, . hole, : a wide hole drawn narrow\n");
}

enum cli_status ctl_print_map(struct ctl *ctl, const json_t *value)
{
	const json_t *areas = json_object_get(value, "areas");
	struct map map;
	int err = make_map(areas, &map);

	if (err)
		cli_error(ctl->cli, "out of memory");
	else if (!map.count)
		fprintf(ctl->out, "no area\n");
	else
		print_map(&map, ctl->out);
	free(map.tile);
	free(map.place);
	return err ? CLI_HOST : ctl_print_end(ctl, value);
}

/* ---- top ---- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

struct sample {
	double when;
	uint64_t calls, areas, lazy_pages, free_frames, tables, warnings, violations;
	char status[32];
};

static int take_sample(struct ctl *ctl, struct sample *sample)
{
	json_t *status = NULL, *stats = NULL;
	int err = ctl_ask(ctl->wire, "query-status", NULL, &status, &ctl->error);

	*sample = (struct sample){.when = clock_seconds()};
	if (err)
		return err;
	snprintf(sample->status, sizeof(sample->status), "%s", ctl_text(status, "status"));
	sample->calls = ctl_number(status, "calls");
	sample->warnings = ctl_number(status, "warnings");
	sample->violations = ctl_number(status, "violations");
	/* A paused or dead guest answers no call; what it has stays as it was. */
	if (!strcmp(sample->status, "running"))
		err = ctl_ask(ctl->wire, "query-stats", NULL, &stats, &ctl->error);
	if (!err && stats) {
		sample->areas = ctl_number(stats, "busy-areas");
		sample->lazy_pages = ctl_number(stats, "lazy-pages");
		sample->free_frames = ctl_number(stats, "free-frames");
		sample->tables = ctl_number(stats, "table-frames");
		sample->calls++; /* the question itself was one */
	}
	json_decref(stats);
	json_decref(status);
	return err;
}

static void print_sample(struct ctl *ctl, const struct sample *before, const struct sample *now)
{
	double rate = (double)(now->calls - before->calls) / fmax(now->when - before->when, 1e-6);

	if (now->calls < before->calls)
		rate = 0;
	if (ctl->json)
		fprintf(ctl->out,
			"{\"status\": \"%s\", \"calls-per-second\": %.1f, \"areas\": %" PRIu64
			", \"lazy-pages\": %" PRIu64 ", \"free-frames\": %" PRIu64
			", \"table-frames\": %" PRIu64 ", \"warnings\": %" PRIu64
			", \"violations\": %" PRIu64 "}\n",
			now->status, rate, now->areas, now->lazy_pages, now->free_frames,
			now->tables, now->warnings, now->violations);
	else
		fprintf(ctl->out,
			"%-9s %9.1f %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %7" PRIu64 " %8" PRIu64
			" %10" PRIu64 "\n",
			now->status, rate, now->areas, now->lazy_pages, now->free_frames,
			now->tables, now->warnings, now->violations);
	fflush(ctl->out);
}

static void wait_for(double seconds)
{
	struct timespec time = {(time_t)seconds, (long)((seconds - floor(seconds)) * 1e9)};

	nanosleep(&time, NULL); /* a signal ends it, and then all */
}

enum cli_status ctl_run_top(struct ctl *ctl)
{
	const struct sigaction action = {.sa_handler = on_interrupt};
	double every = ctl->top->every_ms ? (double)ctl->top->every_ms / 1000 : 1;
	/* What nobody watches ends by itself. */
	uint64_t count = ctl->top->count ? ctl->top->count : !isatty(STDOUT_FILENO);
	struct sample before, now;
	struct sigaction old;
	int err = take_sample(ctl, &before);

	interrupted = 0;
	sigaction(SIGINT, &action, &old);
	for (uint64_t n = 0; !err && !interrupted && (!count || n < count); n++) {
		if (n % 20 == 0 && !ctl->json)
			fprintf(ctl->out, "%-9s %9s %9s %9s %9s %7s %8s %10s\n", "STATUS",
				"CALLS/S", "AREAS", "LAZY", "FREE", "TABLES", "WARNINGS",
				"VIOLATIONS");
		wait_for(every);
		err = take_sample(ctl, &now);
		interrupted |= ctl_was_cancelled(ctl->wire);
		if (!err)
			print_sample(ctl, &before, &now);
		before = now;
		if (ferror(ctl->out))
			break;
	}
	sigaction(SIGINT, &old, NULL);
	return err ? ctl_failed(ctl, err) : CLI_DONE;
}
