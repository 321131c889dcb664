/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parsing of the layout note. One table, made from the lists in layout.h, says which keys there
 * must be and where each value goes; a second pass over the same lists judges the values.
 */
#include "vmm/inspect/layout.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum key_kind { KEY_SYMBOL, KEY_OFFSET, KEY_NUMBER };

struct key {
	const char *name;
	size_t where; /* in struct layout */
	enum key_kind kind;
};

#define KEY_OF_FIELD(structure, field, align, width) \
	{"OFFSET(" #structure "." #field ")", offsetof(struct layout, structure.field), KEY_OFFSET},
#define KEY_OF_STRUCT(structure, fields)                                                \
	{"SIZE(" #structure ")", offsetof(struct layout, structure.bytes), KEY_OFFSET}, \
		fields(KEY_OF_FIELD)
#define KEY_OF_NUMBER(member, key, least, greatest) \
	{"NUMBER(" #key ")", offsetof(struct layout, member), KEY_NUMBER},

static const struct key keys[] = {
	{"SYMBOL(machine)", offsetof(struct layout, machine), KEY_SYMBOL},
	{"OFFSET(machine.mm)", offsetof(struct layout, machine_mm), KEY_NUMBER},
	LAYOUT_STRUCTS(KEY_OF_STRUCT) LAYOUT_NUMBERS(KEY_OF_NUMBER)};

#define NR_KEYS (sizeof(keys) / sizeof(keys[0]))

/* Where one line is: [key, value) '=' [value, end). */
struct line {
	const char *key, *value, *end;
	unsigned int number;
};

/* The index of the line's key, or NR_KEYS. A note has its keys in our order but for gaps. */
static size_t find_key(const struct line *line, size_t hint)
{
	size_t length = (size_t)(line->value - 1 - line->key);

	for (size_t i = 0; i < NR_KEYS; i++) {
		size_t at = (hint + i) % NR_KEYS;

		if (strlen(keys[at].name) == length && !memcmp(keys[at].name, line->key, length))
			return at;
	}
	return NR_KEYS;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return 16;
}

/* Digits of @base in [@text, @end), at least one, no overflow. */
static bool parse_digits(const char *text, const char *end, unsigned int base, uint64_t *value_out)
{
	uint64_t value = 0;

	if (text == end)
		return false;
	for (; text < end; text++) {
		unsigned int digit = (unsigned int)digit_of(*text);

		if (digit >= base || value > (UINT64_MAX - digit) / base)
			return false;
		value = value * base + digit;
	}
	*value_out = value;
	return true;
}

/* SYMBOL values are bare hexadecimal; the others decimal, signed, or hexadecimal after 0x. */
static bool parse_value(const struct line *line, enum key_kind kind, uint64_t *value_out)
{
	const char *text = line->value;
	size_t length = (size_t)(line->end - text);

	if (kind == KEY_SYMBOL)
		return parse_digits(text, line->end, 16, value_out);
	if (length > 2 && text[0] == '0' && text[1] == 'x')
		return parse_digits(text + 2, line->end, 16, value_out);
	if (length > 1 && text[0] == '-') {
		uint64_t magnitude;

		if (!parse_digits(text + 1, line->end, 10, &magnitude) || magnitude > 1ull << 63)
			return false;
		*value_out = 0 - magnitude;
		return true;
	}
	return parse_digits(text, line->end, 10, value_out);
}

static int store_line(const struct line *line, struct layout *layout, bool *seen, size_t *hint,
		      struct error *error)
{
	size_t at = find_key(line, *hint);
	uint64_t value;

	if (at == NR_KEYS)
		return 0;
	if (seen[at])
		return error_set(error, -EINVAL, "layout note, line %u: %s is there twice",
				 line->number, keys[at].name);
	if (!parse_value(line, keys[at].kind, &value) ||
	    (keys[at].kind == KEY_OFFSET && value > LAYOUT_STRUCT_BYTES_MAX))
		return error_set(error, -EINVAL, "layout note, line %u: no sense in %s=%.*s",
				 line->number, keys[at].name, (int)((line->end - line->value) & 63),
				 line->value);
	seen[at] = true;
	*hint = at + 1;
	if (keys[at].kind == KEY_OFFSET)
		*(uint32_t *)(void *)((char *)layout + keys[at].where) = (uint32_t)value;
	else
		*(uint64_t *)(void *)((char *)layout + keys[at].where) = value;
	return 0;
}

/* Cuts the line at *@text_io out, which ends before @end. */
static int next_line(const char **text_io, const char *end, struct line *line, struct error *error)
{
	const char *newline = memchr(*text_io, '\n', (size_t)(end - *text_io));
	const char *equals;

	line->number++;
	if (!newline) {
		error_set(error, -EINVAL, "layout note, line %u does not end", line->number);
		return -EINVAL;
	}
	equals = memchr(*text_io, '=', (size_t)(newline - *text_io));
	if (!equals) {
		error_set(error, -EINVAL, "layout note, line %u is not KEY=VALUE", line->number);
		return -EINVAL;
	}
	line->key = *text_io;
	line->value = equals + 1;
	line->end = newline;
	*text_io = newline + 1;
	return 0;
}

/* A field of @width bytes at @offset: aligned, and inside its structure of @bytes. */
static bool field_fits(uint64_t offset, uint64_t align, uint64_t width, uint64_t bytes)
{
	return offset % align == 0 && width <= bytes && offset <= bytes - width;
}

#define CHECK_FIELD(structure, field, align, width)                            \
	if (!field_fits(l->structure.field, align, width, l->structure.bytes)) \
		return error_set(error, -EINVAL,                               \
				 "layout note: " #structure "." #field         \
				 " is at %u in a structure of %u bytes",       \
				 l->structure.field, l->structure.bytes);
#define CHECK_STRUCT(structure, fields)                                             \
	if (l->structure.bytes == 0 || l->structure.bytes % 8 != 0)                 \
		return error_set(error, -EINVAL,                                    \
				 "layout note: struct " #structure " has %u bytes", \
				 l->structure.bytes);                               \
	fields(CHECK_FIELD)

static int check_structs(const struct layout *l, struct error *error)
{
	LAYOUT_STRUCTS(CHECK_STRUCT)
	return 0;
}

#define CHECK_NUMBER(member, key, least, greatest)                                        \
	if (l->member - (uint64_t)(least) > (uint64_t)(greatest) - (uint64_t)(least))     \
		return error_set(error, -EINVAL, "layout note: " #key " cannot be %#llx", \
				 (unsigned long long)l->member);

static int check_numbers(const struct layout *l, struct error *error)
{
	LAYOUT_NUMBERS(CHECK_NUMBER)
	return 0;
}

/* What values of one enumeration must be: different from each other. */
static bool all_differ(const uint64_t *value, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (value[i] == value[j])
				return false;
		}
	}
	return true;
}

#define ALL_DIFFER(...)                             \
	all_differ((const uint64_t[]){__VA_ARGS__}, \
		   sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* What no single value shows. */
static int check_relations(const struct layout *l, struct error *error)
{
	if (!ALL_DIFFER(l->page_fresh, l->page_body, l->page_free, l->page_pcp_state,
			l->page_memmap, l->page_table_state, l->page_slab, l->page_kmalloc,
			l->page_vmalloc, l->page_other))
		return error_set(error, -EINVAL, "layout note: two page states are the same");
	if (!ALL_DIFFER(l->vmap_reserved, l->vmap_frames, l->vmap_mapped, l->vmap_array))
		return error_set(error, -EINVAL, "layout note: two kinds of areas are the same");
	if (!ALL_DIFFER(l->vmap_area_free, l->vmap_area_busy, l->vmap_area_lazy))
		return error_set(error, -EINVAL, "layout note: two tile states are the same");
	if (!ALL_DIFFER(l->vm_array_inline, l->vm_array_kmalloc, l->vm_array_vmalloc,
			l->vm_array_directory))
		return error_set(error, -EINVAL, "layout note: two array kinds are the same");
	if (!ALL_DIFFER(l->zone_dma, l->zone_dma32, l->zone_normal) || l->zone_dma >= l->nr_zones ||
	    l->zone_dma32 >= l->nr_zones || l->zone_normal >= l->nr_zones)
		return error_set(error, -EINVAL, "layout note: the zones make no sense");
	if (!ALL_DIFFER(l->reserved_image, l->reserved_tables, l->reserved_boot))
		return error_set(error, -EINVAL,
				 "layout note: two kinds of boot memory are the same");
	if (l->vmap_first >= l->vmap_end || l->vmalloc_start >= l->vmalloc_end ||
	    l->modules_vaddr >= l->modules_end || l->user_start >= l->user_end)
		return error_set(error, -EINVAL, "layout note: an address window is empty");
	if (l->page.bytes < 16 || (l->page.bytes & (l->page.bytes - 1)) != 0 ||
	    l->page.bytes > 4096)
		return error_set(error, -EINVAL, "layout note: struct page has %u bytes",
				 l->page.bytes);
	if (l->page.bytes > LAYOUT_COPIED_BYTES_MAX ||
	    l->vmap_area.bytes > LAYOUT_COPIED_BYTES_MAX ||
	    l->vm_struct.bytes > LAYOUT_COPIED_BYTES_MAX ||
	    l->vm_area_struct.bytes > LAYOUT_COPIED_BYTES_MAX ||
	    l->rb_node.bytes > LAYOUT_COPIED_BYTES_MAX)
		return error_set(
			error, -EINVAL,
			"layout note: a page, tile, vm_struct, range or node is too large");
	if (l->machine % 8 != 0 || l->machine_mm > LAYOUT_STRUCT_BYTES_MAX || l->machine_mm % 8 ||
	    l->machine > UINT64_MAX - 2 * (uint64_t)LAYOUT_STRUCT_BYTES_MAX)
		return error_set(error, -EINVAL, "layout note: machine cannot be at %#llx",
				 (unsigned long long)l->machine);
	return 0;
}

static int check_complete(const bool *seen, struct error *error)
{
	for (size_t i = 0; i < NR_KEYS; i++) {
		if (!seen[i])
			return error_set(error, -EINVAL, "layout note: %s is missing",
					 keys[i].name);
	}
	return 0;
}

int layout_parse(const char *text, size_t bytes, struct layout *layout_out, struct error *error)
{
	const char *end = text + bytes;
	struct line line = {.number = 0};
	bool seen[NR_KEYS] = {false};
	struct layout layout;
	size_t hint = 0;
	int err;

	if (bytes > LAYOUT_TEXT_BYTES_MAX)
		return error_set(error, -EINVAL, "layout note: %zu bytes are too many", bytes);
	memset(&layout, 0, sizeof(layout));
	while (text < end) {
		err = next_line(&text, end, &line, error);
		if (!err)
			err = store_line(&line, &layout, seen, &hint, error);
		if (err)
			return err;
	}
	err = check_complete(seen, error);
	if (!err)
		err = check_numbers(&layout, error);
	if (!err)
		err = check_structs(&layout, error);
	if (!err)
		err = check_relations(&layout, error);
	if (!err)
		*layout_out = layout;
	return err;
}
