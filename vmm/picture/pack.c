/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sections of a document, packed. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/input.h"
#include "vmm/picture/picture.h"

#define PAGE_BYTES 4096
#define KIND_BYTES 24

json_t *picture_create(const char *title)
{
	return json_pack("{s:s, s:s+%, s:[]}", "format", "nestbox-picture-1", "title", title, "",
			 (size_t)0, "about");
}

void picture_about(json_t *document, const char *name, const char *format, ...)
{
	va_list arguments;
	json_t *text;

	va_start(arguments, format);
	text = json_vsprintf(format, arguments);
	va_end(arguments);
	if (text)
		json_array_append_new(json_object_get(document, "about"),
				      json_pack("[s, o]", name, text));
}

/* ---- reading ---- */

static uint64_t number_of(const json_t *object, const char *key)
{
	const json_t *member = json_object_get(object, key);
	uint64_t value = 0;

	if (json_is_integer(member))
		return (uint64_t)json_integer_value(member);
	if (json_is_string(member))
		number_parse(json_string_value(member), json_string_length(member), &value);
	return value;
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key)) ?: "";
}

/* One range of a list. */
struct span {
	uint64_t start, end;
	const json_t *from;
};

static int by_start(const void *a, const void *b)
{
	const struct span *one = a, *other = b;

	return one->start < other->start ? -1 : one->start > other->start;
}

/* The ranges of @list that are some, sorted; free() them. */
static struct span *read_spans(const json_t *list, size_t *count_out)
{
	size_t size = json_array_size(list), count = 0, i;
	struct span *spans = calloc(size + 1, sizeof(*spans));
	const json_t *one;

	if (!spans)
		return NULL;
	json_array_foreach (list, i, one) {
		struct span span = {number_of(one, "start") / PAGE_BYTES,
				    number_of(one, "end") / PAGE_BYTES, one};

		if (span.start < span.end)
			spans[count++] = span;
	}
	qsort(spans, count, sizeof(*spans), by_start);
	*count_out = count;
	return spans;
}

/* A section with base, step and pages of @spans, to be filled further. */
static json_t *pack_spans(const struct span *spans, size_t count)
{
	json_t *step = json_array(), *pages = json_array();
	uint64_t before = count ? spans[0].start : 0;
	char base[24];

	snprintf(base, sizeof(base), "0x%llx", (unsigned long long)before * PAGE_BYTES);
	for (size_t i = 0; i < count; i++) {
		json_array_append_new(step, json_integer((json_int_t)(spans[i].start - before)));
		json_array_append_new(pages,
				      json_integer((json_int_t)(spans[i].end - spans[i].start)));
		before = spans[i].start;
	}
	return json_pack("{s:s, s:o, s:o}", "base", base, "step", step, "pages", pages);
}

/* ---- names by number ---- */

struct names {
	json_t *list, *number; /* names; name to number */
};

static struct names names_begin(void)
{
	return (struct names){json_array(), json_object()};
}

static json_t *name_number(struct names *names, const char *name, size_t length)
{
	json_t *number = json_object_getn(names->number, name, length);

	if (number)
		return json_incref(number);
	number = json_integer((json_int_t)json_array_size(names->list));
	json_array_append_new(names->list, json_stringn(name, length));
	json_object_setn_new(names->number, name, length, number);
	return json_incref(number);
}

/* Ends @names: its list becomes @section's member @key. */
static void names_end(struct names *names, json_t *section, const char *key)
{
	json_object_set_new(section, key, names->list);
	json_decref(names->number);
}

/* ---- areas ---- */

/* Whether @word stands in @line by itself: a caller's name may hold it too. */
static bool has_word(const char *line, const char *word)
{
	const char *found = line;

	for (; (found = strstr(found, word)); found++)
		if (found > line && found[-1] == ' ' && !strchr("+_/", found[strlen(word)] ?: ' '))
			return true;
	return false;
}

/* What /proc/vmallocinfo's line says the area is; the words are Linux's. */
static const char *kind_of(const json_t *area)
{
	static const char *const words[] = {"vmalloc",      "vmap",          "ioremap",
					    "user",         "vpages",        "vm_map_ram",
					    "dma-coherent", "sparse-vmemmap"};
	const char *line = text_of(area, "line"), *state = text_of(area, "state");

	if (!strcmp(state, "lazy") || strstr(line, "unpurged"))
		return "lazy";
	if (*state && strcmp(state, "busy") != 0)
		return state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (has_word(line, words[i]))
			return words[i];
	return "area";
}

/* The caller: the line's third column, unless that is an attribute. */
static const char *caller_of(const json_t *area, size_t *length_out)
{
	const char *text = text_of(area, "place"), *end;

	if (!*text) {
		text = text_of(area, "line");
		text += strcspn(text, " ");
		text += strspn(text, " ");
		text += strcspn(text, " ");
		text += strspn(text, " ");
	}
	end = text + strcspn(text, " ");
	if (!memchr(text, '+', (size_t)(end - text)) && !*text_of(area, "place"))
		end = text;
	*length_out = (size_t)(end - text);
	return text;
}

/* When each came and went. */
static void add_lives(json_t *section, const struct span *spans, size_t count)
{
	static const char *const keys[] = {"born", "freed", "gone"};

	for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
		json_t *list = json_array();

		for (size_t i = 0; i < count; i++)
			json_array_append(list, json_object_get(spans[i].from, keys[k]));
		json_object_set_new(section, keys[k], list);
	}
}

json_t *picture_areas(const json_t *list)
{
	json_t *kind = json_array(), *caller = json_array(), *mapped = json_array(), *section;
	struct names kinds = names_begin(), callers = names_begin();
	size_t count, length;
	struct span *spans = read_spans(list, &count);

	section = spans ? pack_spans(spans, count) : NULL;
	for (size_t i = 0; section && i < count; i++) {
		const char *name = kind_of(spans[i].from), *who;

		json_array_append_new(kind, name_number(&kinds, name, strlen(name)));
		who = caller_of(spans[i].from, &length);
		json_array_append_new(caller, name_number(&callers, who, length));
		json_array_append_new(mapped,
				      json_integer((json_int_t)number_of(spans[i].from, "pages")));
	}
	if (count && json_object_get(spans[0].from, "born")) {
		json_decref(name_number(&kinds, "lazy", strlen("lazy")));
		add_lives(section, spans, count);
	}
	json_object_set_new(section, "kind", kind);
	json_object_set_new(section, "caller", caller);
	json_object_set_new(section, "mapped", mapped);
	names_end(&kinds, section, "kinds");
	names_end(&callers, section, "callers");
	free(spans);
	return section;
}

/* ---- page tables ---- */

json_t *picture_maps(const json_t *list, unsigned int levels)
{
	json_t *rights = json_array(), *size = json_array(), *sizes = json_array(), *section;
	struct names names = names_begin();
	struct span *spans;
	size_t count;

	spans = read_spans(list, &count);
	section = spans ? pack_spans(spans, count) : NULL;
	for (unsigned int i = 0; i < 3; i++)
		json_array_append_new(sizes, json_integer((json_int_t)PAGE_BYTES << (9 * i)));
	for (size_t i = 0; section && i < count; i++) {
		const char *name = text_of(spans[i].from, "rights");
		uint64_t bytes = number_of(spans[i].from, "page-bytes");

		json_array_append_new(rights, name_number(&names, name, strlen(name)));
		json_array_append_new(size, json_integer(bytes >= 1u << 30   ? 2
							 : bytes >= 1u << 21 ? 1
									     : 0));
	}
	json_object_set_new(section, "levels", json_integer(levels));
	json_object_set_new(section, "rights", rights);
	json_object_set_new(section, "size", size);
	json_object_set_new(section, "sizes", sizes);
	names_end(&names, section, "names");
	free(spans);
	return section;
}

/* ---- frames ---- */

static json_t *pack_leaves(const json_t *list)
{
	json_t *bytes = json_array(), *section;
	struct span *spans;
	size_t count;

	spans = read_spans(list, &count);
	section = spans ? pack_spans(spans, count) : NULL;
	for (size_t i = 0; section && i < count; i++)
		json_array_append_new(
			bytes, json_integer((json_int_t)number_of(spans[i].from, "leaf-bytes")));
	json_object_set_new(section, "bytes", bytes);
	free(spans);
	return section;
}

/* Makes @zones' last zone reach to @span's end, or begins the next. */
static void add_to_zone(json_t *zones, const struct span *span)
{
	size_t size = json_array_size(zones);
	json_t *zone = size ? json_array_get(zones, size - 1) : NULL;
	uint64_t start = number_of(zone, "start"), node = number_of(span->from, "node");

	if (!zone || number_of(zone, "node") != node ||
	    strcmp(text_of(zone, "zone"), text_of(span->from, "zone")) != 0) {
		start = span->start;
		zone = json_pack("{s:I, s:s, s:I}", "node", (json_int_t)node, "zone",
				 text_of(span->from, "zone"), "start", (json_int_t)start);
		json_array_append_new(zones, zone);
	}
	json_object_set_new(zone, "frames", json_integer((json_int_t)(span->end - start)));
}

json_t *picture_frames(const json_t *runs, const json_t *leaves)
{
	json_t *zones = json_array(), *packed = json_array(), *section = json_object(), *idle;
	struct names owners = names_begin();
	struct span *spans;
	size_t count = 0;

	idle = name_number(&owners, "fresh", strlen("fresh"));
	spans = read_spans(runs, &count);
	for (size_t i = 0; i < count; i++) {
		const char *name = text_of(spans[i].from, "state");

		add_to_zone(zones, &spans[i]);
		json_array_append_new(packed, json_integer((json_int_t)spans[i].start));
		json_array_append_new(packed,
				      json_integer((json_int_t)(spans[i].end - spans[i].start)));
		json_array_append_new(packed, name_number(&owners, name, strlen(name)));
	}
	json_object_set_new(section, "zones", zones);
	json_object_set_new(section, "runs", packed);
	json_object_set_new(section, "idle", idle);
	names_end(&owners, section, "owners");
	if (leaves)
		json_object_set_new(section, "stage2", pack_leaves(leaves));
	free(spans);
	return section;
}

/* ---- the audit ---- */

json_t *picture_audit(const json_t *answer)
{
	json_t *checks = json_array(), *violations = json_array(), *one;
	const json_t *found = json_object_get(answer, "found");
	size_t i;

	json_array_foreach (json_object_get(answer, "checks"), i, one)
		json_array_append_new(
			checks, json_pack("{s:s, s:I, s:I, s:s}", "name", text_of(one, "name"),
					  "items", (json_int_t)number_of(one, "items"),
					  "violations", (json_int_t)number_of(one, "violations"),
					  "holds", text_of(one, "holds")));
	if (!found) /* Linux's */
		found = json_object_get(answer, "findings");
	json_array_foreach (found, i, one) {
		const char *text =
			*text_of(one, "text") ? text_of(one, "text") : text_of(one, "line");
		const char *where =
			*text_of(one, "address") ? text_of(one, "address") : text_of(one, "start");

		json_array_append_new(violations,
				      json_pack("{s:s, s:s, s:s}", "check", text_of(one, "check"),
						"address", where, "text", text));
	}
	return json_pack("{s:o, s:o}", "checks", checks, "violations", violations);
}
