/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading a state file. */
#include "vmm/replay/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WORDS 8

/* Room for one more of @size bytes in an array of @count, which grows by doubling. */
static void *grow(void *array, size_t count, size_t size)
{
	if (count & (count - 1))
		return array;
	return realloc(array, (count ? 2 * count : 1) * size);
}

struct line {
	const struct line_reader *reader;
	struct input_error *error;
	char *words[MAX_WORDS];
	size_t count;
};

static int fail(const struct line *line, const char *what)
{
	return input_fail(line->error, line->reader->path, line->reader->line, "%s", what);
}

static int no_memory(const struct line *line)
{
	fail(line, "no memory for the state");
	return -ENOMEM;
}

static int parse(const struct line *line, size_t index, uint64_t *value_out)
{
	const char *word = line->words[index];

	if (number_parse(word, strlen(word), value_out))
		return fail(line, "a number that is none");
	return 0;
}

/* DEPTH SIDE COLOUR START END, from the word @first on. */
static int add_free(const struct line *line, size_t first, struct replay_state *state)
{
	const char *colour;
	struct tree_shape *shape;
	uint64_t start;
	int err;

	if (line->count != first + 5)
		return fail(line, "a hole is DEPTH SIDE COLOUR START END");
	colour = line->words[first + 2];
	if (strcmp(colour, "r") && strcmp(colour, "b"))
		return fail(line, "a hole's colour is r or b");
	err = parse(line, first + 3, &start);
	if (err)
		return err;
	shape = grow(state->shape, state->shape_count, sizeof(*shape));
	if (!shape)
		return no_memory(line);
	state->shape = shape;
	shape[state->shape_count++] = (struct tree_shape){start, colour[0] == 'r'};
	return 0;
}

/* KIND NODE START END */
static int add_range(const struct line *line, struct space_range **ranges, size_t *count)
{
	struct space_range *grown, range = {0};
	uint64_t node;
	int err;

	if (line->count != 4)
		return fail(line, "a range is NODE START END");
	err = parse(line, 1, &node);
	if (!err)
		err = parse(line, 2, &range.start);
	if (!err)
		err = parse(line, 3, &range.end);
	if (err)
		return err;
	if (node >= SPACE_NODES_MAX || range.start >= range.end)
		return fail(line, "a range of no such node, or one that ends before it starts");
	range.node = range.list = (uint16_t)(node + 1);
	grown = grow(*ranges, *count, sizeof(*grown));
	if (!grown)
		return no_memory(line);
	*ranges = grown;
	grown[(*count)++] = range;
	return 0;
}

static int take_line(struct line *line, char *text, struct replay_state *state)
{
	char *rest = NULL, *word;

	line->count = 0;
	for (word = strtok_r(text, " \t", &rest); word && word[0] != '#' && line->count < MAX_WORDS;
	     word = strtok_r(NULL, " \t", &rest))
		line->words[line->count++] = word;
	if (!line->count)
		return 0;
	word = line->words[0];
	if (!strcmp(word, "free"))
		return add_free(line, 1, state);
	if (!strcmp(word, "pool"))
		return add_range(line, &state->pooled, &state->pooled_count);
	if (!strcmp(word, "lazy"))
		return add_range(line, &state->lazy, &state->lazy_count);
	if (!strcmp(word, "pools")) {
		state->pools_known = true;
		return 0;
	}
	return add_free(line, 0, state);
}

int replay_state_read(const char *path, struct replay_state *state_out, struct input_error *error)
{
	struct replay_state state = {0};
	struct line_reader reader;
	struct line line = {.reader = &reader, .error = error};
	char *text;
	int ret = line_reader_open(&reader, path, error);

	if (ret)
		return ret;
	while ((ret = line_reader_next(&reader, &text, error)) > 0) {
		ret = take_line(&line, text, &state);
		if (ret)
			break;
	}
	line_reader_close(&reader);
	if (ret) {
		replay_state_free(&state);
		return ret;
	}
	*state_out = state;
	return 0;
}

void replay_state_apply(const struct replay_state *state, struct replay_plan *plan)
{
	size_t i, j;

	for (i = 0; i < state->lazy_count; i++) {
		for (j = 0; j < plan->initial_areas; j++) {
			struct replay_area *area = &plan->areas[j];

			if (area->unpurged && area->address == state->lazy[i].start) {
				area->va_node = state->lazy[i].node;
				area->has_va_node = true;
			}
		}
	}
}

void replay_state_free(struct replay_state *state)
{
	free(state->shape);
	free(state->pooled);
	free(state->lazy);
	memset(state, 0, sizeof(*state));
}
