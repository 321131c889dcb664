/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model of a recording. Its areas are put into kinds (window, with frames or without,
 * alignment, length); the most frequent ones become a class each, what is left one class for each
 * window, with and without frames. Each stretch of the recording is a phase.
 */
#include "vmm/load/model.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/grow.h"
#include "vmm/replay/ftrace.h"

#define MODULES_FROM UINT64_C(0xffffffff80000000)
/* Of a deck: numbers as they are, or ranges of an eighth of an octave where there are more. */
#define EXACT_MAX 12u
#define SIZES_MAX 256u
/* A longer step between the first areas is none worth keeping. */
#define HOLE_MAX (UINT64_C(1) << 38)

struct kind {
	bool initial, mapped, modules, guard, zero, hole;
	uint64_t align, va_bytes; /* va_bytes 0: of any length in its */
	unsigned int octave;      /* the binary digits of its length; 0 of initial ones */
	uint64_t count, others;   /* freed on another CPU */
	char name[WORKLOAD_NAME_BYTES];
};

/* An allocation, and which kind it is. */
struct birth {
	uint32_t kind, phase;
	uint64_t va_bytes, lifetime;
};

struct model {
	const struct replay_plan *plan;
	const struct ftrace_info *info;
	FILE *out;
	unsigned int phases;
	struct kind *kinds;
	size_t nr_kinds;
	struct birth *births;
	size_t nr_births;
	uint64_t allocations;
};

/* ---- kinds ---- */

static struct kind kind_of(const struct replay_area *area)
{
	return (struct kind){
		.initial = area->initial,
		.mapped = area->mapped,
		.modules = area->address >= MODULES_FROM,
		.guard = area->va_bytes > REPLAY_PAGE_BYTES,
		.zero = !area->initial && area->gfp & 0x100,
		.align = area->initial || area->align <= REPLAY_PAGE_BYTES ? 1 : area->align,
		.va_bytes = area->initial ? 0 : area->va_bytes,
		.octave = area->initial ? 0 : 64u - (unsigned int)__builtin_clzll(area->va_bytes),
	};
}

static bool same_kind(const struct kind *a, const struct kind *b)
{
	return a->initial == b->initial && a->mapped == b->mapped && a->modules == b->modules &&
	       a->guard == b->guard && a->zero == b->zero && a->hole == b->hole &&
	       a->align == b->align && a->va_bytes == b->va_bytes && a->octave == b->octave;
}

static int find_kind(struct model *model, const struct kind *wanted, uint32_t *index_out)
{
	size_t i;

	for (i = 0; i < model->nr_kinds; i++) {
		if (same_kind(&model->kinds[i], wanted))
			break;
	}
	if (i == model->nr_kinds) {
		if (GROW(model->kinds, model->nr_kinds))
			return -ENOMEM;
		model->kinds[model->nr_kinds++] = *wanted;
	}
	model->kinds[i].count++;
	*index_out = (uint32_t)i;
	return 0;
}

static int add_birth(struct model *model, const struct kind *kind, uint64_t va_bytes,
		     uint32_t phase)
{
	struct birth birth = {.phase = phase, .va_bytes = va_bytes, .lifetime = DRAW_FOREVER};
	int err = find_kind(model, kind, &birth.kind);

	if (!err && GROW(model->births, model->nr_births))
		err = -ENOMEM;
	if (!err)
		model->births[model->nr_births++] = birth;
	return err;
}

/* ---- reading the plan ---- */

static int by_address(const void *a, const void *b)
{
	uint64_t one = (*(const struct replay_area *const *)a)->address;
	uint64_t other = (*(const struct replay_area *const *)b)->address;

	return one < other ? -1 : one > other;
}

/*
 * The areas that were there first, in order of address, and between them those that go when the
 * setup is over: holes. What waited for a purge goes at the first allocation and waits again. A
 * step of more than HOLE_MAX is left out: what is behind it lies right behind.
 */
static int add_first(struct model *model, uint32_t *which)
{
	const struct replay_plan *plan = model->plan;
	const struct replay_area **sorted = calloc(plan->area_count + 1, sizeof(*sorted));
	struct kind hole = {.initial = true, .hole = true, .align = 1}, kind;
	uint64_t end = 0;
	int err = sorted ? 0 : -ENOMEM;

	for (size_t i = 0; i < plan->initial_areas && !err; i++)
		sorted[i] = &plan->areas[i];
	if (!err)
		qsort(sorted, plan->initial_areas, sizeof(*sorted), by_address);
	for (size_t i = 0; i < plan->initial_areas && !err; i++) {
		const struct replay_area *area = sorted[i];

		hole.modules = area->address >= MODULES_FROM;
		if (end && area->address > end && area->address - end < HOLE_MAX)
			err = add_birth(model, &hole, area->address - end, 0);
		kind = kind_of(area);
		if (!err)
			err = add_birth(model, &kind, area->va_bytes, 0);
		which[area - plan->areas] = (uint32_t)model->nr_births;
		if (!err && area->unpurged)
			model->births[model->nr_births - 1].lifetime = 1;
		end = area->address + area->va_bytes;
	}
	free(sorted);
	return err;
}

static uint32_t cpu_of(const struct replay_plan *plan, unsigned long line)
{
	return line < plan->moment_count ? plan->moments[line].cpu : 0;
}

/* A free: of the @birth-th allocation, after @now of the recording's. */
static void end_birth(struct model *model, const struct replay_area *area, struct birth *birth,
		      uint64_t born, uint64_t now)
{
	birth->lifetime = now - born + (area->initial ? 0 : 1);
	if (!birth->lifetime)
		birth->lifetime = 1;
	if (!area->initial && area->free_line && cpu_of(model->plan, area->free_line) != area->cpu)
		model->kinds[birth->kind].others++;
}

static int read_plan(struct model *model)
{
	const struct replay_plan *plan = model->plan;
	uint64_t *born = calloc(plan->area_count + 1, sizeof(*born)), now = 0;
	uint32_t *which = calloc(plan->area_count + 1, sizeof(*which));
	int err = born && which ? add_first(model, which) : -ENOMEM;

	for (size_t i = plan->initial_ops; i < plan->op_count && !err; i++) {
		const struct replay_op *op = &plan->ops[i];
		bool begins = op->type == REPLAY_MAP || op->type == REPLAY_RESERVE;
		const struct replay_area *area =
			replay_op_has_area(op) ? &plan->areas[op->area] : NULL;
		struct kind kind;

		if (begins && !area->expect_failure) {
			kind = kind_of(area);
			err = add_birth(model, &kind, area->va_bytes,
					(uint32_t)(now * model->phases / model->allocations));
			which[op->area] = (uint32_t)model->nr_births;
			born[op->area] = ++now;
		} else if (op->type == REPLAY_FREE && which[op->area]) {
			end_birth(model, area, &model->births[which[op->area] - 1], born[op->area],
				  now);
		}
	}
	free(born);
	free(which);
	return err;
}

/* What a kind matters: by its number and its length, neither of which is all. */
static uint64_t weight_of(const struct kind *kind)
{
	return kind->count * (kind->va_bytes / REPLAY_PAGE_BYTES + 8);
}

/* Kinds that are rare lose their length but for its octave, and so become one with others. */
static int join_rare(struct model *model)
{
	struct kind *old = model->kinds;
	size_t nr_old = model->nr_kinds;
	uint64_t least = 0;
	int err = 0;

	for (size_t many = SIZE_MAX; many > MODEL_KINDS_MAX;) {
		many = 0;
		least = least * 5 / 4 + 1;
		for (size_t i = 0; i < nr_old; i++)
			many += old[i].va_bytes && weight_of(&old[i]) >= least;
	}
	model->kinds = NULL;
	model->nr_kinds = 0;
	for (size_t i = 0; i < model->nr_births && !err; i++) {
		struct birth *birth = &model->births[i];
		struct kind kind = old[birth->kind];

		if (weight_of(&kind) < least) {
			kind.va_bytes = 0;
			kind.align = 1;
			kind.zero = false;
		}
		kind.count = 0;
		kind.others = 0;
		err = find_kind(model, &kind, &birth->kind);
	}
	for (size_t i = 0; i < nr_old && !err; i++) {
		struct kind kind = old[i];
		uint32_t index;

		if (weight_of(&kind) < least) {
			kind.va_bytes = 0;
			kind.align = 1;
			kind.zero = false;
		}
		err = find_kind(model, &kind, &index);
		if (!err) {
			model->kinds[index].count--;
			model->kinds[index].others += kind.others;
		}
	}
	free(old);
	return err;
}

/* ---- writing ---- */

static int by_value(const void *a, const void *b)
{
	uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

	return one < other ? -1 : one > other;
}

static void write_number(FILE *out, uint64_t value, bool size)
{
	if (value == DRAW_FOREVER)
		fprintf(out, "forever");
	else if (size && value && value % (1 << 20) == 0)
		fprintf(out, "%" PRIu64 "M", value >> 20);
	else if (size && value && value % 1024 == 0)
		fprintf(out, "%" PRIu64 "K", value >> 10);
	else
		fprintf(out, "%" PRIu64, value);
}

/* The end of the range that a lifetime of @value shares: an eighth of an octave. */
static uint64_t range_end(uint64_t value)
{
	unsigned int shift = value < 16 ? 0 : 60u - (unsigned int)__builtin_clzll(value);

	return value == DRAW_FOREVER ? value : ((value >> shift) + 1) << shift;
}

static void write_weight(FILE *out, size_t weight)
{
	if (weight > 1)
		fprintf(out, " x %zu", weight);
}

/* Sorts @values and writes them as a deck. */
static void write_deck(FILE *out, uint64_t *values, size_t count, bool size)
{
	size_t distinct = 0, end;

	qsort(values, count, sizeof(*values), by_value);
	for (size_t i = 0; i < count; i++)
		distinct += !i || values[i] != values[i - 1];
	if (distinct == 1) {
		write_number(out, values[0], size);
		fputc('\n', out);
		return;
	}
	fputs("deck", out);
	for (size_t i = 0; i < count; i = end) {
		uint64_t bound = distinct <= (size ? SIZES_MAX : EXACT_MAX) ? values[i]
									    : range_end(values[i]);

		for (end = i + 1; end < count && (values[end] == values[i] || values[end] < bound);)
			end++;
		fputs(i ? ", " : " ", out);
		write_number(out, values[i], size);
		if (values[end - 1] != values[i]) {
			fputs("..", out);
			write_number(out, values[end - 1], size);
		}
		write_weight(out, end - i);
	}
	fputc('\n', out);
}

/* In their order. */
static void write_sequence(FILE *out, const uint64_t *values, size_t count, bool size)
{
	size_t end;

	fputs("sequence", out);
	for (size_t i = 0; i < count; i = end) {
		for (end = i + 1; end < count && values[end] == values[i];)
			end++;
		fputs(i ? ", " : " ", out);
		write_number(out, values[i], size);
		write_weight(out, end - i);
	}
	fputc('\n', out);
}

static void name_kind(struct kind *kind, size_t number)
{
	const char *window = kind->modules ? "module" : kind->mapped ? "vmalloc" : "reserve";
	char length[24] = "";

	if (kind->va_bytes)
		snprintf(length, sizeof(length), "-%" PRIu64 "K",
			 (kind->va_bytes >> 10) - (kind->guard ? 4 : 0));
	else if (kind->octave > 10 && kind->octave < 41)
		snprintf(length, sizeof(length), "-to-%uK", 1u << (kind->octave - 10));
	snprintf(kind->name, sizeof(kind->name), "%s%s%s.%zu",
		 kind->hole      ? "hole-"
		 : kind->initial ? "first-"
				 : "",
		 window, length, number);
}

static void write_class(struct model *model, uint32_t number, uint64_t *values)
{
	struct kind *kind = &model->kinds[number];
	uint64_t guard = kind->guard ? REPLAY_PAGE_BYTES : 0;
	size_t count = 0;

	name_kind(kind, number);
	fprintf(model->out, "\nclass %s\n\tsize ", kind->name);
	for (size_t i = 0; i < model->nr_births; i++)
		if (model->births[i].kind == number)
			values[count++] = model->births[i].va_bytes - guard;
	if (kind->initial)
		write_sequence(model->out, values, count, true);
	else
		write_deck(model->out, values, count, true);
	if (kind->hole) {
		fputs("\tlifetime phase\n", model->out);
	} else if (kind->initial) {
		count = 0;
		for (size_t i = 0; i < model->nr_births; i++)
			if (model->births[i].kind == number)
				values[count++] = model->births[i].lifetime;
		fputs("\tlifetime ", model->out);
		write_sequence(model->out, values, count, false);
	}
	if (!kind->mapped)
		fputs("\tkind reserve\n", model->out);
	if (!kind->guard)
		fputs("\tguard no\n", model->out);
	if (kind->align > 1)
		fprintf(model->out, "\talign %" PRIu64 "K\n", kind->align >> 10);
	if (kind->modules)
		fputs("\twindow modules\n", model->out);
	if (kind->zero)
		fputs("\tgfp kernel zero nowarn\n", model->out);
	if (kind->others * 10 > kind->count)
		fputs("\tfree any\n", model->out);
}

/* What comes of each kind in a phase, with how long it lives there. */
static void write_uses(const struct model *model, unsigned int phase, uint64_t *values)
{
	for (uint32_t kind = 0; kind < model->nr_kinds; kind++) {
		size_t count = 0;

		for (size_t i = 0; i < model->nr_births; i++) {
			const struct birth *birth = &model->births[i];

			if (birth->kind == kind && birth->phase == phase)
				values[count++] = birth->lifetime;
		}
		if (!count || model->kinds[kind].initial)
			continue;
		fprintf(model->out, "\tuse %s %zu lifetime ", model->kinds[kind].name, count);
		write_deck(model->out, values, count, false);
	}
}

/* The first areas, one after the other. */
static void write_setup(const struct model *model)
{
	size_t end, column = 0;

	fputs("\nsetup before", model->out);
	for (size_t i = 0; i < model->nr_births; i = end) {
		uint32_t kind = model->births[i].kind;

		if (!model->kinds[kind].initial)
			break;
		for (end = i + 1; end < model->nr_births && model->births[end].kind == kind;)
			end++;
		fprintf(model->out, "%s %s %zu", column++ % 6 ? "," : "\n\tuse",
			model->kinds[kind].name, end - i);
	}
	fputc('\n', model->out);
}

/* Purges of the recording in each phase. */
static void count_purges(const struct model *model, uint32_t *purges)
{
	uint64_t now = 0;

	for (size_t i = model->plan->initial_ops; i < model->plan->op_count; i++) {
		const struct replay_op *op = &model->plan->ops[i];

		if (op->type == REPLAY_MAP || op->type == REPLAY_RESERVE)
			now += !model->plan->areas[op->area].expect_failure;
		else if (op->type == REPLAY_PURGE)
			purges[(now < model->allocations ? now : model->allocations - 1) *
			       model->phases / model->allocations]++;
	}
}

static int write_all(struct model *model, const struct model_options *options)
{
	uint64_t *values = calloc(model->nr_births + 1, sizeof(*values));
	uint32_t purges[MODEL_PHASES_MAX] = {0};
	bool initial = false;

	if (!values)
		return -ENOMEM;
	count_purges(model, purges);
	fprintf(model->out,
		"workload 1\n# By nestbox model, of the recording %s: Linux %s, %" PRIu64
		" allocations.\n",
		options->name, *model->info->kernel ? model->info->kernel : "unknown",
		model->allocations);
	if (options->fit)
		fprintf(model->out, "# %s\n", options->fit);
	fprintf(model->out, "cpus %" PRIu64 "\nseed %" PRIu64 "\nmode manual\n",
		model->info->cpus ? model->info->cpus : 1, options->seed);
	for (uint32_t i = 0; i < model->nr_kinds; i++) {
		write_class(model, i, values);
		initial |= model->kinds[i].initial;
	}
	if (initial)
		write_setup(model);
	for (unsigned int i = 0; i < model->phases; i++) {
		fprintf(model->out, "\nphase %u\n", i + 1);
		write_uses(model, i, values);
		if (purges[i])
			fprintf(model->out, "\tpurges %u\n", purges[i]);
	}
	free(values);
	return ferror(model->out) ? -EIO : 0;
}

int model_write(const struct replay_plan *plan, const struct ftrace_info *info,
		const struct model_options *options, FILE *out)
{
	struct model model = {.plan = plan,
			      .info = info,
			      .out = out,
			      .phases = options->phases,
			      .allocations = plan->allocs - plan->expected_failures};
	int err;

	if (!model.allocations)
		return -ENODATA;
	if (model.phases > MODEL_PHASES_MAX)
		model.phases = MODEL_PHASES_MAX;
	if (model.phases > model.allocations)
		model.phases = (unsigned int)model.allocations;
	err = read_plan(&model);
	if (!err)
		err = join_rare(&model);
	if (!err)
		err = write_all(&model, options);
	free(model.kinds);
	free(model.births);
	return err;
}
