/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading a state file. */
#include "vmm/replay/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
	bool needs_end, ended; /* a free tree alone has no end */
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

/* A node, counted from 0, to what ranges have: one more, 0 for none. */
static int parse_node(const struct line *line, size_t index, uint16_t *node_out)
{
	uint64_t node;
	int err;

	*node_out = 0;
	if (!strcmp(line->words[index], "-"))
		return 0;
	err = parse(line, index, &node);
	if (err)
		return err;
	if (node >= SPACE_NODES_MAX)
		return fail(line, "a node that there cannot be");
	*node_out = (uint16_t)(node + 1);
	return 0;
}

/* NODE START END OWNER, behind NODE a pool's PAGES if @pages. */
static int add_range(const struct line *line, bool pages, struct space_range **ranges,
		     size_t *count)
{
	struct space_range *grown, range = {0};
	size_t start = pages ? 3 : 2;
	uint64_t length = 0;
	int err;

	if (line->count != start + 3)
		return fail(line, pages ? "a pooled range is NODE PAGES START END OWNER"
					: "a range is NODE START END OWNER");
	err = parse_node(line, 1, &range.list);
	if (!err)
		err = parse(line, start, &range.start);
	if (!err)
		err = parse(line, start + 1, &range.end);
	if (!err)
		err = parse_node(line, start + 2, &range.node);
	if (!err && pages)
		err = parse(line, 2, &length);
	if (err)
		return err;
	if (!range.list || range.start >= range.end)
		return fail(line, "a range of no node's list, or one that ends before it starts");
	if (pages &&
	    (length > SPACE_POOL_PAGES || range.end - range.start != length * REPLAY_PAGE_BYTES))
		return fail(line, "a pooled range that is not as long as its pool's");
	if (pages)
		range.node = range.list;
	grown = grow(*ranges, *count, sizeof(*grown));
	if (!grown)
		return no_memory(line);
	*ranges = grown;
	grown[(*count)++] = range;
	return 0;
}

/* A line of one word and what is known without it. */
static bool is_passed_over(const char *word)
{
	static const char *const words[] = {"kernel",  "nodes",      "vmalloc",
					    "modules", "lazy_pages", "busy"};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcmp(word, words[i]))
			return true;
	}
	return false;
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
	if (line->ended)
		return fail(line, "more behind the end");
	line->ended = !strcmp(word, "end");
	if (line->ended) {
		state->pools_known = true;
		return 0;
	}
	if (word[0] >= '0' && word[0] <= '9')
		return add_free(line, 0, state);
	line->needs_end = true;
	if (!strcmp(word, "free"))
		return add_free(line, 1, state);
	if (!strcmp(word, "pool"))
		return add_range(line, true, &state->pooled, &state->pooled_count);
	if (!strcmp(word, "lazy") || !strcmp(word, "purge"))
		return add_range(line, false, &state->lazy, &state->lazy_count);
	return is_passed_over(word) ? 0 : fail(line, "a line of no kind that a state has");
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
	if (!ret && line.needs_end && !line.ended)
		ret = fail(&line, "cut short: its last line is not `end`");
	line_reader_close(&reader);
	if (ret) {
		replay_state_free(&state);
		return ret;
	}
	*state_out = state;
	return 0;
}

static void move_ranges(const struct replay_layout *layout, struct space_range *ranges,
			size_t count)
{
	uint64_t length;
	size_t i;

	for (i = 0; i < count; i++) {
		length = ranges[i].end - ranges[i].start;
		ranges[i].start = replay_layout_moved(layout, ranges[i].start);
		ranges[i].end = ranges[i].start + length;
	}
}

int replay_state_read_folder(const char *folder, const struct replay_layout *layout,
			     struct replay_state *state_out, struct input_error *error)
{
	static const char *const names[] = {"state", "freetree.begin"};
	struct replay_state state = {0};
	bool found = false;
	size_t i;
	int err = 0;

	for (i = 0; i < sizeof(names) / sizeof(names[0]) && !found && !err; i++) {
		char *path;

		if (asprintf(&path, "%s/%s", folder, names[i]) < 0)
			return -ENOMEM;
		found = !access(path, F_OK);
		if (found)
			err = replay_state_read(path, &state, error);
		free(path);
	}
	if (err)
		return err;
	for (i = 0; i < state.shape_count; i++)
		state.shape[i].start = replay_layout_moved(layout, state.shape[i].start);
	move_ranges(layout, state.pooled, state.pooled_count);
	move_ranges(layout, state.lazy, state.lazy_count);
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
