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
#include "vmm/picture/picture.h"

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

static const struct {
	char letter; /* small for every second area, which tells neighbours of one kind apart */
	const char *kind, *colour;
} kinds[] = {{'V', "vmalloc", "34"}, {'M', "vmap", "33"},       {'I', "ioremap", "35"},
	     {'U', "user", "32"},    {'R', "vm_map_ram", "36"}, {'P', "vpages", "31"},
	     {'~', "lazy", "90"},    {'A', NULL, "37"}}; /* the last: any other */
#define OTHER (sizeof(kinds) / sizeof(kinds[0]) - 1)

static size_t kind_of(const char *name)
{
	size_t i = 0;

	while (i < OTHER && strcmp(kinds[i].kind, name) != 0)
		i++;
	return i;
}

/* What the cell over [from, to) shows: what takes most of it, a hole, or ':' for a folded one. */
static char cell(const struct picture_places *map, size_t *at, double from, double to)
{
	double best = 0;
	char letter = '.';

	while (*at + 1 < map->count && map->place[*at + 1].at <= from)
		++*at;
	for (size_t i = *at; i < map->count && map->place[i].at < to; i++) {
		const struct picture_place *place = &map->place[i];
		double end = place->at + (double)place->pages;
		double part = fmin(end, to) - fmax(place->at, from);
		bool folded =
			i + 1 < map->count && place[1].folded && end < to && place[1].at > from;

		if (part > best) {
			best = part;
			letter = kinds[kind_of(place->kind)].letter;
			letter = i % 2 ? (char)tolower(letter) : letter;
		} else if (best == 0 && folded) {
			letter = ':';
		}
	}
	return letter;
}

static void put_letter(char letter, bool colours, FILE *out)
{
	size_t i = 0;

	while (i <= OTHER && kinds[i].letter != toupper(letter))
		i++;
	if (colours && i <= OTHER)
		fprintf(out, "\033[%sm%c\033[0m", kinds[i].colour, letter);
	else
		fputc(letter, out);
}

static void print_map(const struct picture_places *map, FILE *out)
{
	unsigned int columns = terminal_columns() - LABEL_COLUMNS;
	double each = fmax(map->length / ROWS / columns, 1); /* a page is a cell at least */
	bool colours = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	size_t at = 0;

	for (unsigned int row = 0; row < ROWS && row * columns * each < map->length; row++) {
		double from = row * columns * each;

		fprintf(out, "0x%016" PRIx64 " ", picture_page_at(map, from) << 12);
		for (unsigned int i = 0; i < columns && from + i * each < map->length; i++)
			put_letter(cell(map, &at, from + i * each, from + (i + 1) * each), colours,
				   out);
		fputc('\n', out);
	}
	fprintf(out, "a cell is %.4g %s;", each < 256 ? each * 4 : each / 256,
		each < 256 ? "KiB" : "MiB");
	for (size_t i = 0; i < OTHER; i++) {
		if (kinds[i].letter != '~')
			fprintf(out, " %c %s,", kinds[i].letter, kinds[i].kind);
	}
	fprintf(out, " A other, small: every second area; ~ lazy, . hole, : a wide hole drawn "
		     "narrow\n");
}

enum cli_status ctl_print_map(struct ctl *ctl, const json_t *value)
{
	json_t *areas = picture_areas(json_object_get(value, "areas"));
	struct picture_places map = {NULL, 0, 0};
	int err = areas ? picture_places(areas, &map) : -ENOMEM;

	if (err)
		cli_error(ctl->cli, "out of memory");
	else if (!map.count)
		fprintf(ctl->out, "no area\n");
	else
		print_map(&map, ctl->out);
	free(map.place);
	json_decref(areas);
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
