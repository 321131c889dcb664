/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kallsyms as the kernel keeps it in memory: names of token numbers, a table of tokens, offsets
 * from a base (Linux's scripts/kallsyms.c writes it). All names are decoded once: lookups are by
 * hash and by address.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/linux/private.h"

#define SYMBOLS_MAX (1u << 22)
#define TOKENS      256u
/* A name's tokens are counted in one or two bytes; KSYM_NAME_LEN is 512 at most. */
#define NAME_MAX_BYTES  600u
#define NAMES_BYTES_MAX (256u << 20)
#define WINDOW          65536u

struct tokens {
	uint16_t index[TOKENS];
	char *table;
	size_t length[TOKENS];
	size_t bytes;
};

static int fail(struct error *error, const char *what)
{
	return error_set(error, -EINVAL, "kallsyms in memory makes no sense: %s", what);
}

void *linux_copy(struct linux_guest *guest, uint64_t start, size_t bytes)
{
	uint8_t *copy = malloc(bytes ? bytes : 1);

	if (copy && !inspect_read(guest->inspector, start, copy, bytes)) {
		free(copy);
		return NULL;
	}
	return copy;
}

static int read_tokens(struct linux_guest *guest, const struct linux_kallsyms *tables,
		       struct tokens *tokens, struct error *error)
{
	size_t bytes;

	if (!inspect_read(guest->inspector, tables->token_index, tokens->index,
			  sizeof(tokens->index)))
		return fail(error, "kallsyms_token_index is not mapped");
	for (unsigned int i = 1; i < TOKENS; i++) {
		if (tokens->index[i] <= tokens->index[i - 1])
			return fail(error, "kallsyms_token_index does not rise");
	}
	/* The last token's end is its NUL; what is behind it may not be mapped. */
	for (bytes = tokens->index[TOKENS - 1] + 64u;; bytes--) {
		tokens->table = linux_copy(guest, tables->token_table, bytes);
		if (tokens->table || bytes <= tokens->index[TOKENS - 1])
			break;
	}
	if (!tokens->table)
		return fail(error, "kallsyms_token_table is not mapped");
	tokens->bytes = bytes;
	for (unsigned int i = 0; i < TOKENS; i++) {
		if (!memchr(tokens->table + tokens->index[i], '\0', bytes - tokens->index[i]))
			return fail(error, "a token has no end");
		tokens->length[i] = strlen(tokens->table + tokens->index[i]);
	}
	return 0;
}

/* ---- names ---- */

/* The guest's bytes from an address on, some at a time. */
struct stream {
	struct linux_guest *guest;
	uint64_t next;
	uint8_t window[WINDOW];
	size_t at, filled;
};

static bool fill(struct stream *stream)
{
	size_t bytes = WINDOW - stream->next % PAGE;

	/* The window ends at a page, so that one that is not mapped ends it where it must. */
	while (bytes > 0 &&
	       !inspect_read(stream->guest->inspector, stream->next, stream->window, bytes))
		bytes = bytes > PAGE ? bytes - PAGE : 0;
	stream->at = 0;
	stream->filled = bytes;
	stream->next += bytes;
	return bytes > 0;
}

static inline int next_byte(struct stream *stream)
{
	if (stream->at == stream->filled && !fill(stream))
		return -1;
	return stream->window[stream->at++];
}

struct arena {
	char *bytes;
	size_t used, room;
};

static bool arena_room(struct arena *arena, size_t more)
{
	size_t room = arena->room ? arena->room : 1u << 20;
	char *grown;

	if (more <= arena->room - arena->used)
		return true;
	while (room - arena->used < more)
		room *= 2;
	grown = room > NAMES_BYTES_MAX ? NULL : realloc(arena->bytes, room);
	if (!grown)
		return false;
	arena->bytes = grown;
	arena->room = room;
	return true;
}

/* Decodes the next name behind the others in @arena. */
static int decode_name(struct stream *stream, const struct tokens *tokens, struct arena *arena,
		       struct error *error)
{
	size_t start = arena->used;
	int length = next_byte(stream), high;

	if (length >= 0 && (length & 0x80) != 0) {
		high = next_byte(stream);
		length = high < 0 ? -1 : (length & 0x7f) | high << 7;
	}
	if (length <= 0)
		return fail(error, "the names end before all are there");
	for (; length > 0; length--) {
		int token = next_byte(stream);
		const char *text;
		size_t bytes;

		if (token < 0)
			return fail(error, "a name is not mapped");
		text = tokens->table + tokens->index[token];
		bytes = tokens->length[token];
		if (arena->used - start + bytes > NAME_MAX_BYTES)
			return fail(error, "a name is too long");
		if (!arena_room(arena, bytes + 2))
			return -ENOMEM;
		memcpy(arena->bytes + arena->used, text, bytes);
		arena->used += bytes;
	}
	if (arena->used - start < 2)
		return fail(error, "a symbol has no name");
	arena->bytes[arena->used++] = '\0';
	return 0;
}

static int decode_names(struct linux_guest *guest, const struct linux_kallsyms *tables,
			size_t count, struct error *error)
{
	struct tokens tokens = {.table = NULL};
	struct stream *stream = calloc(1, sizeof(*stream));
	struct arena arena = {.bytes = NULL};
	int err = stream ? read_tokens(guest, tables, &tokens, error) : -ENOMEM;

	if (!err) {
		stream->guest = guest;
		stream->next = tables->names;
	}
	for (size_t i = 0; i < count && !err; i++) {
		guest->name_at[i] = (uint32_t)arena.used;
		err = decode_name(stream, &tokens, &arena, error);
	}
	free(tokens.table);
	free(stream);
	guest->names = arena.bytes;
	return err;
}

/* ---- addresses ---- */

/*
 * With CONFIG_KALLSYMS_ABSOLUTE_PERCPU an offset that is not negative is an absolute value, and a
 * negative one is below the base by one more than its amount; without it all are unsigned.
 */
static int read_addresses(struct linux_guest *guest, const struct linux_kallsyms *tables,
			  size_t count, struct error *error)
{
	int32_t *offset = linux_copy(guest, tables->offsets, count * sizeof(*offset));
	bool percpu = false;
	uint64_t base;

	if (!offset || !inspect_u64(guest->inspector, tables->relative_base, &base)) {
		free(offset);
		return fail(error, "kallsyms_offsets or kallsyms_relative_base is not mapped");
	}
	for (size_t i = 0; i < count && !percpu; i++)
		percpu = offset[i] < 0;
	for (size_t i = 0; i < count; i++) {
		if (!percpu)
			guest->address[i] = base + (uint32_t)offset[i];
		else if (offset[i] >= 0)
			guest->address[i] = (uint64_t)offset[i];
		else
			guest->address[i] = base - 1 - (uint64_t)(int64_t)offset[i];
	}
	free(offset);
	return 0;
}

struct order {
	uint64_t address;
	uint32_t index;
};

static int compare_order(const void *a, const void *b)
{
	const struct order *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* The kernel's own order is by address; it is checked, and made so where it is not. */
static int sort_addresses(struct linux_guest *guest, size_t count)
{
	struct order *order;
	size_t i;

	for (i = 0; i < count; i++)
		guest->by_address[i] = (uint32_t)i;
	for (i = 1; i < count && guest->address[i] >= guest->address[i - 1]; i++)
		;
	if (i >= count)
		return 0;
	order = calloc(count, sizeof(*order));
	if (!order)
		return -ENOMEM;
	for (i = 0; i < count; i++)
		order[i] = (struct order){guest->address[i], (uint32_t)i};
	qsort(order, count, sizeof(*order), compare_order);
	for (i = 0; i < count; i++)
		guest->by_address[i] = order[i].index;
	free(order);
	return 0;
}

/* ---- by name ---- */

static uint64_t hash(const char *name)
{
	uint64_t value = 0xcbf29ce484222325ull;

	for (; *name; name++)
		value = (value ^ (uint8_t)*name) * 0x100000001b3ull;
	return value;
}

static const char *name_of(const struct linux_guest *guest, size_t index)
{
	return guest->names + guest->name_at[index] + 1;
}

/*
 * Names that fall on places that are taken go to the next: so of names that are alike the first is
 * met first. One that would go further than this is in no place: whoever made names so shall not
 * make us slow.
 */
#define PROBES_MAX 64

static int index_names(struct linux_guest *guest, size_t count)
{
	size_t slots = 1;

	while (slots < 2 * count)
		slots *= 2;
	guest->name_slot = calloc(slots, sizeof(*guest->name_slot));
	if (!guest->name_slot)
		return -ENOMEM;
	guest->nr_slots = slots;
	for (size_t i = 0; i < count; i++) {
		size_t at = hash(name_of(guest, i)) & (slots - 1), end = at + PROBES_MAX;

		while (at < end && guest->name_slot[at & (slots - 1)])
			at++;
		if (at < end)
			guest->name_slot[at & (slots - 1)] = (uint32_t)i + 1;
	}
	return 0;
}

bool linux_symbol(const struct linux_guest *guest, const char *name, uint64_t *address_out)
{
	size_t mask = guest->nr_slots - 1, at = hash(name) & mask, end = at + PROBES_MAX, index;

	if (!guest->facts.nr_symbols)
		return false;
	for (; at < end; at++) {
		index = guest->name_slot[at & mask];
		if (!index)
			return false;
		if (strcmp(name_of(guest, index - 1), name) == 0)
			break;
	}
	for (index = at < end ? index : 1; index <= guest->facts.nr_symbols; index++) {
		if (strcmp(name_of(guest, index - 1), name) == 0) {
			*address_out = guest->address[index - 1];
			return true;
		}
	}
	return false;
}

struct linux_symbol linux_symbol_at(const struct linux_guest *guest, size_t index)
{
	return (struct linux_symbol){
		.name = name_of(guest, index),
		.type = guest->names[guest->name_at[index]],
		.address = guest->address[index],
	};
}

static void forget(struct linux_guest *guest)
{
	free(guest->names);
	free(guest->name_at);
	free(guest->address);
	free(guest->by_address);
	free(guest->name_slot);
	guest->name_slot = NULL;
	guest->nr_slots = 0;
	guest->names = NULL;
	guest->name_at = guest->by_address = NULL;
	guest->address = NULL;
	guest->facts.nr_symbols = 0;
}

int linux_kallsyms_decode(struct linux_guest *guest, const struct linux_kallsyms *tables,
			  struct error *error)
{
	uint32_t count;
	int err;

	if (!inspect_u32(guest->inspector, tables->num_syms, &count))
		return fail(error, "kallsyms_num_syms is not mapped");
	if (count == 0 || count > SYMBOLS_MAX)
		return fail(error, "the number of symbols");
	guest->name_at = calloc(count, sizeof(*guest->name_at));
	guest->address = calloc(count, sizeof(*guest->address));
	guest->by_address = calloc(count, sizeof(*guest->by_address));
	err = guest->name_at && guest->address && guest->by_address ? 0 : -ENOMEM;
	if (!err)
		err = read_addresses(guest, tables, count, error);
	if (!err)
		err = decode_names(guest, tables, count, error);
	if (!err)
		err = sort_addresses(guest, count);
	if (!err)
		err = index_names(guest, count);
	if (err)
		forget(guest);
	else
		guest->facts.nr_symbols = count;
	return err;
}
