/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The statements of a workload's classes. */
#include <errno.h>
#include <string.h>

#include "guest/abi.h"
#include "lib/grow.h"
#include "vmm/load/parse.h"

int parse_flag(struct parser *parser, const char *const *words, const char *what, bool *flag)
{
	unsigned int which;
	int err = scan_choice(&parser->scan, words, what, &which);

	if (!err)
		*flag = which;
	return err;
}

struct workload_class *parse_find_class(const struct parser *parser, const char *name)
{
	for (size_t i = 0; i < parser->workload->nr_classes; i++) {
		if (!strcmp(parser->workload->classes[i].name, name))
			return &parser->workload->classes[i];
	}
	return NULL;
}

int parse_class(struct parser *parser)
{
	struct workload *workload = parser->workload;
	struct workload_class class = {
		.lifetime = {.kind = DRAW_FIXED, .low = DRAW_FOREVER},
		.align = 1,
		.start = NB_VMALLOC_START,
		.end = NB_VMALLOC_END,
		.gfp = NB_GFP_KERNEL | NB_GFP_NOWARN,
		.line = parser->scan.line,
	};
	int err;

	if (parse_find_class(parser, parser->scan.word))
		return scan_fail(&parser->scan, "there is a class '%s' already", parser->scan.word);
	err = scan_name(&parser->scan, class.name, sizeof(class.name));
	if (err)
		return err;
	if (workload->nr_classes == WORKLOAD_CLASSES_MAX)
		return scan_fail(&parser->scan, "more than %u classes", WORKLOAD_CLASSES_MAX);
	if (GROW(workload->classes, workload->nr_classes))
		return -ENOMEM;
	workload->classes[workload->nr_classes] = class;
	parser->class = &workload->classes[workload->nr_classes++];
	parser->phase = NULL;
	return 0;
}

/* A distribution in place of the one there is. */
static int replace_draw(struct parser *parser, enum scan_unit unit, uint64_t min, uint64_t max,
			struct draw *draw)
{
	struct draw read;
	int err = scan_draw(&parser->scan, unit, min, max, &read);

	if (err)
		return err;
	draw_free(draw);
	*draw = read;
	return 0;
}

static int read_size(struct parser *parser)
{
	return replace_draw(parser, SCAN_SIZE, 1, WORKLOAD_SIZE_MAX, &parser->class->size);
}

static int read_lifetime(struct parser *parser)
{
	return replace_draw(parser, SCAN_LIFE, 1, LIFETIME_MAX, &parser->class->lifetime);
}

static int read_node(struct parser *parser)
{
	if (scan_is(&parser->scan, "any")) {
		scan_next(&parser->scan);
		parser->class->has_node = false;
		return 0;
	}
	parser->class->has_node = true;
	return replace_draw(parser, SCAN_NUMBER, 0, NB_MAX_NODES - 1, &parser->class->node);
}

static int read_kind(struct parser *parser)
{
	static const char *const words[] = {"vmalloc", "reserve", "user", NULL};
	unsigned int kind;
	int err = scan_choice(&parser->scan, words, "a kind of area", &kind);

	if (!err)
		parser->class->kind = (enum workload_kind)kind;
	return err;
}

static int read_align(struct parser *parser)
{
	struct scan word = parser->scan;
	uint64_t align;
	int err = scan_number(&parser->scan, SCAN_SIZE, 1, WORKLOAD_SIZE_MAX, &align);

	if (err)
		return err;
	if (align & (align - 1))
		return scan_fail(&word, "an alignment is a power of two");
	parser->class->align = align;
	return 0;
}

static int read_window(struct parser *parser)
{
	struct workload_class *class = parser->class;
	int err;

	if (scan_is(&parser->scan, "vmalloc") || scan_is(&parser->scan, "modules")) {
		bool modules = scan_is(&parser->scan, "modules");

		class->start = modules ? NB_MODULES_BASE : NB_VMALLOC_START;
		class->end = modules ? 0xffffffffff000000ull : NB_VMALLOC_END;
		scan_next(&parser->scan);
		return 0;
	}
	err = scan_number(&parser->scan, SCAN_NUMBER, NB_VMALLOC_START, UINT64_MAX - 0xfff,
			  &class->start);
	return err ? err
		   : scan_number(&parser->scan, SCAN_NUMBER, class->start + 1, UINT64_MAX - 0xfff,
				 &class->end);
}

/* Linux's flags by name, in any number. */
static int read_gfp(struct parser *parser)
{
	static const char *const words[] = {"kernel", "atomic",  "nowait", "zero",    "dma",
					    "dma32",  "highmem", "nowarn", "noretry", NULL};
	static const uint32_t bits[] = {0xcc0, 0xa20, 0x800, 0x100, 0x1, 0x4, 0x2, 0x2000, 0x10000};
	uint32_t gfp = 0;
	unsigned int which;
	int err;

	do {
		err = scan_choice(&parser->scan, words, "a gfp flag", &which);
		if (!err)
			gfp |= bits[which];
	} while (!err && !scan_at_end(&parser->scan));
	if (!err)
		parser->class->gfp = gfp;
	return err;
}

static int read_touch(struct parser *parser)
{
	static const char *const words[] = {"none", "first", "all", NULL};

	return scan_choice(&parser->scan, words, "what is written to", &parser->class->touch);
}

static int read_free(struct parser *parser)
{
	static const char *const words[] = {"same", "any", NULL};

	return parse_flag(parser, words, "the CPU that frees", &parser->class->free_any);
}

static int read_guard(struct parser *parser)
{
	static const char *const words[] = {"yes", "no", NULL};

	return parse_flag(parser, words, "an answer", &parser->class->no_guard);
}

const struct statement parse_statements_of_class[] = {
	{"size", read_size},   {"lifetime", read_lifetime},
	{"node", read_node},   {"kind", read_kind},
	{"align", read_align}, {"window", read_window},
	{"gfp", read_gfp},     {"touch", read_touch},
	{"free", read_free},   {"guard", read_guard},
	{NULL, NULL}};
