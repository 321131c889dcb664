/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The statements of a workload: what stands where, a function each. A statement before the first
 * `class`, `setup` or `phase` is the workload's, one behind is that thing's.
 */
#include "vmm/load/workload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/abi.h"
#include "lib/grow.h"
#include "vmm/load/parse.h"

/* ---- the workload's ---- */

static int read_u32(struct parser *parser, uint64_t max, uint32_t *value_out)
{
	uint64_t value;
	int err = scan_number(&parser->scan, SCAN_NUMBER, 1, max, &value);

	if (!err)
		*value_out = (uint32_t)value;
	return err;
}

static int read_cpus(struct parser *parser)
{
	return read_u32(parser, NB_MAX_VCPUS, &parser->workload->cpus);
}

static int read_nodes(struct parser *parser)
{
	return read_u32(parser, NB_MAX_NODES, &parser->workload->nodes);
}

static int read_memory(struct parser *parser)
{
	return scan_number(&parser->scan, SCAN_SIZE, 1 << 20, WORKLOAD_SIZE_MAX,
			   &parser->workload->memory_bytes);
}

static int read_seed(struct parser *parser)
{
	return scan_number(&parser->scan, SCAN_NUMBER, 0, UINT64_MAX, &parser->workload->seed);
}

static int read_mode(struct parser *parser)
{
	static const char *const words[] = {"lazy", "eager", "manual", NULL};
	unsigned int mode;
	int err = scan_choice(&parser->scan, words, "a mode", &mode);

	if (!err)
		parser->workload->mode = (enum workload_mode)mode;
	return err;
}

/* ---- a phase's ---- */

static int begin_phase(struct parser *parser, bool setup)
{
	struct workload *workload = parser->workload;
	struct workload_phase phase = {
		.setup = setup,
		.repeat = 1,
		.order = setup ? WORKLOAD_LISTED : WORKLOAD_SHUFFLED,
		.cpus = setup ? 1 : UINT64_MAX,
		.line = parser->scan.line,
	};
	int err = scan_name(&parser->scan, phase.name, sizeof(phase.name));

	if (err)
		return err;
	if (workload->nr_phases == WORKLOAD_PHASES_MAX)
		return scan_fail(&parser->scan, "more than %u phases", WORKLOAD_PHASES_MAX);
	if (GROW(workload->phases, workload->nr_phases))
		return -ENOMEM;
	workload->phases[workload->nr_phases] = phase;
	parser->phase = &workload->phases[workload->nr_phases++];
	parser->class = NULL;
	return 0;
}

static int read_phase(struct parser *parser)
{
	return begin_phase(parser, false);
}

static int read_setup(struct parser *parser)
{
	return begin_phase(parser, true);
}

/* So many more allocations and purges, because of the word at @number. */
static int count(struct parser *parser, struct scan *number, uint64_t more)
{
	parser->workload->operations += more;
	if (parser->workload->operations <= WORKLOAD_OPERATIONS_MAX)
		return 0;
	return scan_fail(number, "more than %u allocations and purges in one workload",
			 WORKLOAD_OPERATIONS_MAX);
}

static uint64_t round_of(const struct workload_phase *phase)
{
	uint64_t sum = phase->purges;

	for (size_t i = 0; i < phase->nr_uses; i++)
		sum += phase->uses[i].count;
	return sum;
}

static int read_one_use(struct parser *parser)
{
	struct workload_phase *phase = parser->phase;
	const struct workload_class *class = parse_find_class(parser, parser->scan.word);
	struct workload_use use = {0};
	struct scan number;
	int err;

	if (!class)
		return scan_fail(&parser->scan, "there is no class '%.40s' above",
				 parser->scan.word);
	use.class_index = (uint32_t)(class - parser->workload->classes);
	scan_next(&parser->scan);
	number = parser->scan;
	err = read_u32(parser, WORKLOAD_OPERATIONS_MAX, &use.count);
	if (!err)
		err = count(parser, &number, (uint64_t)use.count * phase->repeat);
	if (err)
		return err;
	if (phase->nr_uses == WORKLOAD_USES_MAX)
		return scan_fail(&parser->scan, "more than %u uses in one phase",
				 WORKLOAD_USES_MAX);
	if (scan_is(&parser->scan, "lifetime")) {
		scan_next(&parser->scan);
		use.has_lifetime = true;
		err = scan_draw(&parser->scan, SCAN_LIFE, 1, LIFETIME_MAX, &use.lifetime);
	}
	if (!err && GROW(phase->uses, phase->nr_uses))
		err = -ENOMEM;
	if (err)
		draw_free(&use.lifetime);
	else
		phase->uses[phase->nr_uses++] = use;
	return err;
}

/* `use CLASS N ...`, the last one perhaps with a lifetime. */
static int read_use(struct parser *parser)
{
	int err;

	do
		err = read_one_use(parser);
	while (!err && !scan_at_end(&parser->scan));
	return err;
}

/* `cpus 0 2..3`, of the workload's. */
static int read_phase_cpus(struct parser *parser)
{
	uint64_t cpus = 0, low, high;
	int err;

	do {
		err = scan_range(&parser->scan, SCAN_NUMBER, 0, parser->workload->cpus - 1, &low,
				 &high);
		for (; !err && low <= high; low++)
			cpus |= UINT64_C(1) << low;
	} while (!err && !scan_at_end(&parser->scan));
	if (!err)
		parser->phase->cpus = cpus;
	return err;
}

static int read_spread(struct parser *parser)
{
	static const char *const words[] = {"random", "rotate", NULL};

	return parse_flag(parser, words, "how CPUs are chosen", &parser->phase->rotate);
}

static int read_order(struct parser *parser)
{
	static const char *const words[] = {"shuffled", "even", "listed", NULL};
	unsigned int order;
	int err = scan_choice(&parser->scan, words, "an order", &order);

	if (!err)
		parser->phase->order = (enum workload_order)order;
	return err;
}

static int read_purges(struct parser *parser)
{
	struct workload_phase *phase = parser->phase;
	struct scan number = parser->scan;
	int err = 0;

	if (phase->purges)
		return scan_fail(&number, "this phase has 'purges' already");
	err = read_u32(parser, WORKLOAD_OPERATIONS_MAX, &phase->purges);
	return err ? err : count(parser, &number, (uint64_t)phase->purges * phase->repeat);
}

static int read_repeat(struct parser *parser)
{
	struct workload_phase *phase = parser->phase;
	struct scan number = parser->scan;
	int err = 0;

	if (phase->repeat != 1)
		return scan_fail(&number, "this phase has a 'repeat' already");
	err = read_u32(parser, WORKLOAD_OPERATIONS_MAX, &phase->repeat);
	return err ? err : count(parser, &number, round_of(phase) * (phase->repeat - 1));
}

static int read_drain(struct parser *parser)
{
	parser->phase->drain = true;
	return 0;
}

/* ---- lines ---- */

static const struct statement statements_of_workload[] = {
	{"cpus", read_cpus}, {"nodes", read_nodes}, {"memory", read_memory},
	{"seed", read_seed}, {"mode", read_mode},   {NULL, NULL}};

static const struct statement statements_of_phase[] = {
	{"use", read_use},       {"cpus", read_phase_cpus},
	{"spread", read_spread}, {"order", read_order},
	{"purges", read_purges}, {"repeat", read_repeat},
	{"drain", read_drain},   {NULL, NULL}};

static const struct statement statements_anywhere[] = {
	{"class", parse_class}, {"phase", read_phase}, {"setup", read_setup}, {NULL, NULL}};

static const struct statement *find_statement(const struct statement *list, const char *word)
{
	for (; list->word; list++) {
		if (!strcmp(list->word, word))
			return list;
	}
	return NULL;
}

static int read_first_line(struct parser *parser)
{
	uint64_t version;
	int err;

	if (!scan_is(&parser->scan, "workload"))
		return scan_fail(&parser->scan, "a workload begins with 'workload 1'");
	scan_next(&parser->scan);
	err = scan_number(&parser->scan, SCAN_NUMBER, 1, 1, &version);
	parser->begun = !err;
	return err ? err : scan_end(&parser->scan);
}

static int read_line(struct parser *parser)
{
	const struct statement *here = parser->class   ? parse_statements_of_class
				       : parser->phase ? statements_of_phase
						       : statements_of_workload;
	const char *whose = parser->class ? "a class" : parser->phase ? "a phase" : "a workload";
	const struct statement *found = find_statement(statements_anywhere, parser->scan.word);
	int err;

	if (!parser->begun)
		return read_first_line(parser);
	if (!found)
		found = find_statement(here, parser->scan.word);
	if (!found)
		return scan_fail(&parser->scan, "'%.40s' is no statement of %s", parser->scan.word,
				 whose);
	scan_next(&parser->scan);
	err = found->read(parser);
	return err ? err : scan_end(&parser->scan);
}

/* ---- the whole ---- */

static int fail_at(const struct parser *parser, unsigned long line, const char *format,
		   const char *name)
{
	char text[200];

	snprintf(text, sizeof(text), format, name);
	return input_fail(parser->scan.error, NULL, 0, "%s:%lu:1: %s", parser->scan.path, line,
			  text);
}

/* What can be seen only when all was read. */
static int check(struct parser *parser)
{
	struct workload *workload = parser->workload;

	if (!parser->begun)
		return fail_at(parser, 1, "%s: a workload begins with 'workload 1'", "it is empty");
	for (size_t i = 0; i < workload->nr_classes; i++) {
		const struct workload_class *class = &workload->classes[i];

		if (class->size.kind == DRAW_FIXED && !class->size.low)
			return fail_at(parser, class->line, "class '%s' has no size", class->name);
		if (class->kind == WORKLOAD_USER && class->free_any)
			return fail_at(parser, class->line,
				       "class '%s': who maps a user area frees it", class->name);
		if (class->kind == WORKLOAD_RESERVE && class->touch)
			return fail_at(parser, class->line,
				       "class '%s': a reserved area has nothing to write to",
				       class->name);
	}
	for (size_t i = 0; i < workload->nr_phases; i++) {
		const struct workload_phase *phase = &workload->phases[i];

		if (!phase->nr_uses)
			return fail_at(parser, phase->line, "phase '%s' uses no class",
				       phase->name);
	}
	return workload->nr_phases ? 0 : fail_at(parser, parser->scan.line, "%s", "no phase");
}

static int read_all(struct parser *parser, struct line_reader *reader)
{
	char *line;
	int err;

	while ((err = line_reader_next(reader, &line, parser->scan.error)) == 1) {
		scan_line(&parser->scan, line, reader->line);
		if (scan_at_end(&parser->scan))
			continue;
		err = read_line(parser);
		if (err == -ENOMEM)
			input_fail(parser->scan.error, NULL, 0, "out of memory");
		if (err)
			return err;
	}
	return err ? err : check(parser);
}

int workload_read(const char *path, struct workload *workload_out, struct input_error *error)
{
	struct workload workload = {.cpus = 1, .nodes = 1, .seed = 1};
	struct parser parser = {.scan = {.path = path, .error = error}, .workload = &workload};
	struct line_reader reader;
	int err = line_reader_open(&reader, path, error);

	if (err)
		return err;
	err = read_all(&parser, &reader);
	line_reader_close(&reader);
	if (err)
		workload_free(&workload);
	else
		*workload_out = workload;
	return err;
}

void workload_free(struct workload *workload)
{
	for (size_t i = 0; i < workload->nr_classes; i++) {
		draw_free(&workload->classes[i].size);
		draw_free(&workload->classes[i].lifetime);
		draw_free(&workload->classes[i].node);
	}
	for (size_t i = 0; i < workload->nr_phases; i++) {
		for (size_t j = 0; j < workload->phases[i].nr_uses; j++)
			draw_free(&workload->phases[i].uses[j].lifetime);
		free(workload->phases[i].uses);
	}
	free(workload->classes);
	free(workload->phases);
	memset(workload, 0, sizeof(*workload));
}
