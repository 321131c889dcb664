/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each task is a little machine that goes through the stages of one call: the enter is printed,
 * the effect takes place in the model, the exit is printed. Between two stages any other task may
 * go through some of its own, unless a lock of Linux's forbids it.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/vmm/replay/history.h"
#include "tests/vmm/replay/replay_model.h"

#define VSTART    UINT64_C(0xffffc90000000000)
#define VEND      UINT64_C(0xffffe8ffffffffff)
#define MAX_TASKS 8
#define MAX_KEPT  256

enum stage {
	IDLE,
	ALLOC_ENTERED,
	ALLOC_PLACED,
	FREE_SHOWN, /* the probe is at the function's start: not on the list yet */
	PURGE_ENTERED,
	PURGE_CAPTURED,
	PURGE_RELEASED,
};

struct task {
	enum stage stage;
	uint64_t bytes;
	uint64_t align;
	uint64_t address;
	bool purged;
};

struct history {
	const struct history_options *options;
	FILE *out;
	uint64_t *random;
	uint64_t time;
	struct model model; /* lazy: captured by the purge that is going on */
	struct task tasks[MAX_TASKS];
	bool purging; /* vmap_purge_lock */
	uint64_t kept[MAX_KEPT];
	size_t kept_count;
	uint64_t listed[MAX_KEPT]; /* the lazy list */
	size_t listed_count;
	uint64_t captured_start;
	uint64_t captured_end;
};

static uint64_t roll(struct history *history, uint64_t below)
{
	uint64_t x = *history->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*history->random = x;
	return (x >> 11) % below;
}

static void begin_line(struct history *history, unsigned int task)
{
	history->time++;
	fprintf(history->out, "%16s-%-7u [%03u] .....  %4llu.%06llu: ", "task", 100 + task,
		task % 2, (unsigned long long)history->time / 1000000,
		(unsigned long long)history->time % 1000000);
}

static void enter_alloc(struct history *history, unsigned int number)
{
	struct task *task = &history->tasks[number];

	task->align = roll(history, 3) ? 16384 : 1;
	task->bytes = task->align > 1 ? 20480 : 8192 + 4096 * roll(history, 6);
	task->stage = ALLOC_ENTERED;
	if (history->options->tracepoints)
		return;
	begin_line(history, number);
	fprintf(history->out,
		"alloc_vmap_area_enter: (a+0x0/0x880) size=%llu align=%llu vstart=0x%llx "
		"vend=0x%llx node=-1\n",
		(unsigned long long)task->bytes, (unsigned long long)task->align,
		(unsigned long long)VSTART, (unsigned long long)VEND);
}

static void exit_alloc(struct history *history, unsigned int number)
{
	struct task *task = &history->tasks[number];

	begin_line(history, number);
	if (history->options->tracepoints)
		fprintf(history->out,
			"alloc_vmap_area: va_start: %llu size=%llu align=%llu vstart=0x%llx "
			"vend=0x%llx failed=0\n",
			(unsigned long long)task->address, (unsigned long long)task->bytes,
			(unsigned long long)task->align, (unsigned long long)VSTART,
			(unsigned long long)VEND);
	else
		fprintf(history->out,
			"alloc_vmap_area_exit: (g+0xb1/0x150 <- a) va=0xffff88810916e200 "
			"va_start=0x%llx\n",
			(unsigned long long)task->address);
	history->kept[history->kept_count++] = task->address;
	task->stage = IDLE;
}

static uint64_t end_of(const struct history *history, uint64_t address)
{
	size_t i;

	for (i = 0; i < history->model.count; i++) {
		if (history->model.areas[i].start == address)
			return history->model.areas[i].end;
	}
	abort();
}

static void show_free(struct history *history, unsigned int number)
{
	uint64_t address = history->tasks[number].address;

	begin_line(history, number);
	if (history->options->tracepoints)
		fprintf(history->out,
			"free_vmap_area_noflush: va_start=0x%llx nr_lazy=1 nr_lazy_max=8192\n",
			(unsigned long long)address);
	else
		fprintf(history->out,
			"free_vmap_area_noflush: (f+0x0/0x340) va_start=0x%llx va_end=0x%llx\n",
			(unsigned long long)address, (unsigned long long)end_of(history, address));
}

/* The probe has shown it before; the tracepoint comes now. */
static void list_free(struct history *history, unsigned int number)
{
	if (history->options->tracepoints)
		show_free(history, number);
	history->listed[history->listed_count++] = history->tasks[number].address;
	history->tasks[number].stage = IDLE;
}

static void start_free(struct history *history, unsigned int number)
{
	struct task *task = &history->tasks[number];
	size_t pick = roll(history, history->kept_count);

	task->address = history->kept[pick];
	history->kept[pick] = history->kept[--history->kept_count];
	task->stage = FREE_SHOWN;
	if (!history->options->tracepoints)
		show_free(history, number);
	if (history->options->quiet_purges)
		list_free(history, number);
}

static void enter_purge(struct history *history, unsigned int number)
{
	history->purging = true;
	history->tasks[number].stage = PURGE_ENTERED;
	if (history->options->tracepoints)
		return;
	begin_line(history, number);
	fprintf(history->out, "purge_enter: (p+0x0/0x750) start=0xffffffffffffffff end=0x0\n");
}

static void capture(struct history *history, unsigned int number)
{
	size_t i;
	uint64_t end;

	history->captured_start = UINT64_MAX;
	history->captured_end = 0;
	for (i = 0; i < history->listed_count; i++) {
		end = end_of(history, history->listed[i]);
		model_free(&history->model, history->listed[i]);
		if (history->listed[i] < history->captured_start)
			history->captured_start = history->listed[i];
		if (end > history->captured_end)
			history->captured_end = end;
	}
	history->tasks[number].purged = history->listed_count != 0;
	history->listed_count = 0;
	history->tasks[number].stage = PURGE_CAPTURED;
}

static void exit_purge(struct history *history, unsigned int number)
{
	struct task *task = &history->tasks[number];

	begin_line(history, number);
	if (history->options->tracepoints)
		fprintf(history->out,
			"purge_vmap_area_lazy: start=0x%llx end=0x%llx num_purged=%d\n",
			(unsigned long long)history->captured_start,
			(unsigned long long)history->captured_end, task->purged);
	else
		fprintf(history->out, "purge_exit: (d+0x25/0x60 <- p) purged=%d\n", task->purged);
	history->purging = false;
	task->stage = IDLE;
}

static void step(struct history *history, unsigned int number);

static bool all_idle(const struct history *history)
{
	unsigned int i;

	for (i = 0; i < history->options->tasks; i++) {
		if (history->tasks[i].stage != IDLE)
			return false;
	}
	return true;
}

static void start_purge(struct history *history, unsigned int number)
{
	if (history->options->quiet_purges && !all_idle(history))
		return;
	enter_purge(history, number);
	while (history->options->quiet_purges && history->tasks[number].stage != IDLE)
		step(history, number);
}

/* What a task does next. The purge comes by chance, and when the list gets long. */
static void start(struct history *history, unsigned int number)
{
	uint64_t what = roll(history, 100);

	if (history->listed_count > MAX_KEPT / 2 || what < 3) {
		if (!history->purging)
			start_purge(history, number);
	} else if ((what < 48 && history->kept_count > 8) || history->kept_count >= MAX_KEPT / 2) {
		start_free(history, number);
	} else {
		enter_alloc(history, number);
	}
}

static void step(struct history *history, unsigned int number)
{
	struct task *task = &history->tasks[number];

	switch (task->stage) {
	case IDLE:
		start(history, number);
		break;
	case ALLOC_ENTERED:
		task->address =
			model_alloc(&history->model, task->bytes, task->align, VSTART, VEND, false);
		task->stage = ALLOC_PLACED;
		break;
	case ALLOC_PLACED:
		exit_alloc(history, number);
		break;
	case FREE_SHOWN:
		list_free(history, number);
		break;
	case PURGE_ENTERED:
		capture(history, number);
		break;
	case PURGE_CAPTURED:
		model_purge(&history->model);
		task->stage = PURGE_RELEASED;
		break;
	case PURGE_RELEASED:
		exit_purge(history, number);
		break;
	}
}

char *history_make(const struct history_options *options, uint64_t *state)
{
	struct history history = {.options = options, .random = state};
	unsigned int task = 0, i;
	bool busy = true;
	size_t size;
	char *text;

	history.out = open_memstream(&text, &size);
	if (!history.out)
		abort();
	fprintf(history.out, "# tracer: nop\n#\n");
	while (history.time < options->events) {
		if (history.tasks[task].stage == IDLE || roll(&history, 100) < options->overlap)
			task = (unsigned int)roll(&history, options->tasks);
		step(&history, task);
	}
	while (busy) {
		busy = false;
		for (i = 0; i < options->tasks; i++) {
			if (history.tasks[i].stage != IDLE) {
				step(&history, i);
				busy = true;
			}
		}
	}
	fclose(history.out);
	model_deinit(&history.model);
	return text;
}
