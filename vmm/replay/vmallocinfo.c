/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading /proc/vmallocinfo: one area a line, `0xSTART-0xEND SIZE [caller] word...`. */
#include "vmm/replay/vmallocinfo.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES UINT64_C(4096)

#define HIDDEN_ADVICE                                                                          \
	"the kernel hid its addresses; capture again as root with kernel.kptr_restrict=1, or " \
	"boot with no_hash_pointers"

/* One line on its way to an area. */
struct line_parse {
	const char *path;
	struct vmallocinfo_area *area;
	struct input_error *error;
};

static int fail(const struct line_parse *parse, const char *what)
{
	return input_fail(parse->error, parse->path, parse->area->line, "%s", what);
}

static int fail_word(const struct line_parse *parse, const char *word, const char *what)
{
	return input_fail(parse->error, parse->path, parse->area->line, "'%.40s' %s", word, what);
}

static int parse_number(const struct line_parse *parse, const char *what, const char *text,
			size_t length, uint64_t *value_out)
{
	enum number_error error = number_parse(text, length, value_out);

	if (error)
		return input_fail(parse->error, parse->path, parse->area->line, "%s '%.*s' is %s",
				  what, (int)(length < 40 ? length : 40), text,
				  number_error_text(error));
	return 0;
}

/* "0xffffc90000000000-0xffffc90000005000" */
static int parse_range(const struct line_parse *parse, const char *word)
{
	const char *dash = strchr(word, '-');
	int err;

	if (strstr(word, "ptrval"))
		return fail(parse, HIDDEN_ADVICE);
	if (strncmp(word, "0x", 2) || !dash || strncmp(dash + 1, "0x", 2))
		return fail(parse, "this is no line of /proc/vmallocinfo (0xSTART-0xEND SIZE ...)");
	err = parse_number(parse, "the start", word, (size_t)(dash - word), &parse->area->start);
	if (err)
		return err;
	return parse_number(parse, "the end", dash + 1, strlen(dash + 1), &parse->area->end);
}

/*
 * Hidden addresses are all zeros (kptr_restrict=2) or 32-bit hashes, of which two have no
 * difference that means anything.
 */
static int check_range(const struct line_parse *parse, uint64_t size)
{
	const struct vmallocinfo_area *area = parse->area;

	if (!area->start && !area->end)
		return fail(parse, HIDDEN_ADVICE);
	if (area->end - area->start != size && area->start <= UINT32_MAX && area->end <= UINT32_MAX)
		return fail(parse, HIDDEN_ADVICE);
	if (area->start >= area->end)
		return fail(parse, "the area ends before it starts");
	if (area->end - area->start != size)
		return input_fail(parse->error, parse->path, area->line,
				  "the size %" PRIu64 " is not that of the range, %" PRIu64, size,
				  area->end - area->start);
	if (area->start % PAGE_BYTES || area->end % PAGE_BYTES || !area->start)
		return fail(parse, "the area is not one of whole pages");
	return 0;
}

static const struct {
	const char *word;
	unsigned int flag;
} flag_words[] = {
	{"vmalloc", VMALLOCINFO_VMALLOC},   {"vmap", VMALLOCINFO_VMAP},
	{"ioremap", VMALLOCINFO_IOREMAP},   {"user", VMALLOCINFO_USER},
	{"vpages", VMALLOCINFO_VPAGES},     {"dma-coherent", VMALLOCINFO_DMA_COHERENT},
	{"sparse", VMALLOCINFO_SPARSE},     {"vm_map_ram", VMALLOCINFO_VM_MAP_RAM},
	{"unpurged", VMALLOCINFO_UNPURGED},
};

static unsigned int flag_of(const char *word)
{
	size_t i;

	for (i = 0; i < sizeof(flag_words) / sizeof(flag_words[0]); i++) {
		if (!strcmp(flag_words[i].word, word))
			return flag_words[i].flag;
	}
	return 0;
}

/* "N0=4": how many of the pages are on a node. Of no use here, but it has to be right. */
static int parse_node(const struct line_parse *parse, const char *word)
{
	const char *equals = strchr(word, '=');
	uint64_t number;
	int err;

	err = parse_number(parse, "the node", word + 1, (size_t)(equals - word - 1), &number);
	if (err)
		return err;
	return parse_number(parse, "the node's pages", equals + 1, strlen(equals + 1), &number);
}

/* Hexadecimal always; up to Linux 4.15 without its "0x", and so perhaps of decimal digits alone. */
static int parse_phys(const struct line_parse *parse, const char *value)
{
	enum number_error error = number_parse_hex(value, strlen(value), &parse->area->phys);

	if (error)
		return input_fail(parse->error, parse->path, parse->area->line,
				  "phys '%.40s' is %s", value, number_error_text(error));
	return 0;
}

static void add_caller(struct vmallocinfo_area *area, const char *word)
{
	size_t used = strlen(area->caller);

	snprintf(area->caller + used, sizeof(area->caller) - used, "%s%s", used ? " " : "", word);
}

/*
 * The words behind the size. The caller comes first, if at all: a symbol, with its module in
 * brackets behind it.
 */
static int parse_word(const struct line_parse *parse, const char *word, bool first)
{
	struct vmallocinfo_area *area = parse->area;
	unsigned int flag = flag_of(word);

	if (flag) {
		area->flags |= flag;
		return 0;
	}
	if (!strncmp(word, "pages=", 6))
		return parse_number(parse, "pages", word + 6, strlen(word + 6), &area->pages);
	if (!strncmp(word, "phys=", 5))
		return parse_phys(parse, word + 5);
	if (word[0] == 'N' && word[1] >= '0' && word[1] <= '9' && strchr(word, '='))
		return parse_node(parse, word);
	if (!strcmp(word, "vm_area") && (area->flags & VMALLOCINFO_UNPURGED))
		return 0;
	if (first || (word[0] == '[' && word[strlen(word) - 1] == ']')) {
		add_caller(area, word);
		return 0;
	}
	return fail_word(parse, word, "is no word of /proc/vmallocinfo; is the line cut short?");
}

static int check_area(const struct line_parse *parse)
{
	const struct vmallocinfo_area *area = parse->area;

	if (area->pages > (area->end - area->start) / PAGE_BYTES)
		return fail(parse, "the area has more pages than room");
	if ((area->flags & VMALLOCINFO_UNPURGED) && area->flags != VMALLOCINFO_UNPURGED)
		return fail(parse, "the area is both in use and unpurged");
	return 0;
}

static int parse_line(const struct line_parse *parse, char *line)
{
	char *rest = NULL, *word;
	bool first = true;
	uint64_t size;
	int err;

	word = strtok_r(line, " ", &rest);
	err = word ? parse_range(parse, word) : fail(parse, "the line is empty");
	if (err)
		return err;
	word = strtok_r(NULL, " ", &rest);
	if (!word)
		return fail(parse, "no size after the range: the line is cut short");
	err = parse_number(parse, "the size", word, strlen(word), &size);
	if (!err)
		err = check_range(parse, size);
	while (!err && (word = strtok_r(NULL, " ", &rest))) {
		err = parse_word(parse, word, first);
		first = false;
	}
	return err ? err : check_area(parse);
}

static int add_area(struct vmallocinfo *info, const struct vmallocinfo_area *area)
{
	struct vmallocinfo_area *areas;

	if ((info->count & (info->count - 1)) == 0) {
		areas = realloc(info->areas, (info->count ? 2 * info->count : 1) * sizeof(*areas));
		if (!areas)
			return -ENOMEM;
		info->areas = areas;
	}
	info->areas[info->count++] = *area;
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct vmallocinfo_area *left = a, *right = b;

	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	return left->line < right->line ? -1 : 1;
}

static int sort_areas(const char *path, struct vmallocinfo *info, struct input_error *error)
{
	const struct vmallocinfo_area *a, *b;
	size_t i;

	if (info->count)
		qsort(info->areas, info->count, sizeof(*info->areas), by_start);
	for (i = 1; i < info->count; i++) {
		a = &info->areas[i - 1];
		b = &info->areas[i];
		if (a->end > b->start) {
			if (a->line > b->line) {
				a = b;
				b = &info->areas[i - 1];
			}
			return input_fail(error, path, b->line,
					  "0x%" PRIx64 "-0x%" PRIx64 " overlaps 0x%" PRIx64
					  "-0x%" PRIx64 " of line %lu",
					  b->start, b->end, a->start, a->end, a->line);
		}
	}
	return 0;
}

static int read_lines(struct line_reader *reader, struct vmallocinfo *info,
		      struct input_error *error)
{
	struct vmallocinfo_area area;
	struct line_parse parse = {.path = reader->path, .area = &area, .error = error};
	char *line;
	int ret;

	while ((ret = line_reader_next(reader, &line, error)) > 0) {
		memset(&area, 0, sizeof(area));
		area.line = reader->line;
		ret = parse_line(&parse, line);
		if (ret)
			return ret;
		if (add_area(info, &area)) {
			fail(&parse, "no memory for the areas");
			return -ENOMEM;
		}
	}
	if (ret == 0 && !info->count)
		return input_fail(error, reader->path, 0,
				  "the file is empty (only root may read /proc/vmallocinfo)");
	return ret;
}

int vmallocinfo_read(const char *path, struct vmallocinfo *info_out, struct input_error *error)
{
	struct vmallocinfo info = {0};
	struct line_reader reader;
	int err;

	err = line_reader_open(&reader, path, error);
	if (err)
		return err;
	err = read_lines(&reader, &info, error);
	if (!err)
		err = sort_areas(path, &info, error);
	line_reader_close(&reader);
	if (err) {
		vmallocinfo_free(&info);
		return err;
	}
	*info_out = info;
	return 0;
}

void vmallocinfo_free(struct vmallocinfo *info)
{
	free(info->areas);
	memset(info, 0, sizeof(*info));
}

const struct vmallocinfo_area *vmallocinfo_find(const struct vmallocinfo *info, uint64_t address)
{
	size_t low = 0, high = info->count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (info->areas[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < info->count && info->areas[low].start <= address)
		return &info->areas[low];
	return NULL;
}
