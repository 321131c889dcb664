/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a scan of the kernel's image finds when nobody says where it is: stretches of the image as
 * its page tables map it, and kallsyms in one of them.
 *
 * kallsyms is found by its tokens: those of the digits stand for themselves, one behind the other,
 * since no symbol has a more frequent pair that begins so. From there token_index is the next
 * rising row of 256 numbers that points at them, and num_syms the number from which as many names
 * can be read as it says, with the markers behind. Seen on 6.1 and 6.12; kernels before 6.4 have
 * offsets and relative_base before num_syms, later ones behind token_index.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/linux/private.h"

#define RUN_BYTES_MAX (256u << 20) /* an image is some tens of megabytes */
#define SYMBOLS_LEAST 20000u
#define SYMBOLS_MOST  2000000u
#define NAMES_BACK    (32u << 20) /* how far before the tokens names may begin */
#define INDEX_AHEAD   8192u

/* ---- stretches ---- */

struct runs {
	struct linux_guest *guest;
	linux_run_fn run;
	void *context;
	uint64_t start;
	uint8_t *bytes;
	size_t size, room;
	bool found, failed;
};

static int end_run(struct runs *runs)
{
	if (runs->size > 0)
		runs->found = runs->run(runs->context, runs->start, runs->bytes, runs->size);
	runs->size = 0;
	return runs->found;
}

static int add_page(struct runs *runs, const void *page)
{
	if (runs->size + PAGE > runs->room) {
		size_t room = runs->room ? 2 * runs->room : 16u << 20;
		uint8_t *grown = realloc(runs->bytes, room);

		if (!grown) {
			runs->failed = true;
			return 1;
		}
		runs->bytes = grown;
		runs->room = room;
	}
	memcpy(runs->bytes + runs->size, page, PAGE);
	runs->size += PAGE;
	return 0;
}

static int image_leaf(void *context, const struct paging_leaf *leaf)
{
	struct runs *runs = context;
	const struct inspect_source *source = &runs->guest->source;

	for (uint64_t at = 0; at < leaf->page_bytes; at += PAGE) {
		const void *page = source->physical(source->context, leaf->gpa.value + at, PAGE);

		if ((!page || runs->size >= RUN_BYTES_MAX ||
		     leaf->gva.value + at != runs->start + runs->size) &&
		    end_run(runs))
			return 1;
		if (!page)
			continue;
		if (runs->size == 0)
			runs->start = leaf->gva.value + at;
		if (add_page(runs, page))
			return 1;
	}
	return 0;
}

int linux_image_runs(struct linux_guest *guest, linux_run_fn run, void *context)
{
	struct paging_reader reader = inspect_paging_reader(guest->inspector);
	struct runs runs = {.guest = guest, .run = run, .context = context};
	const struct paging_visitor visitor = {.leaf = image_leaf, .context = &runs};
	uint64_t start = guest->facts.image_start & ~((2ull << 20) - 1);

	if (start < KERNEL_MAP)
		start = KERNEL_MAP;
	paging_for_each(&guest->source.paging, &reader, gva_make(start),
			gva_make(start + RUN_BYTES_MAX), 1024, &visitor);
	if (!runs.found && !runs.failed)
		end_run(&runs);
	free(runs.bytes);
	return runs.found ? 0 : runs.failed ? -ENOMEM : -ENOENT;
}

/* ---- kallsyms ---- */

struct place {
	const uint8_t *bytes;
	size_t size;
	uint64_t start;
	size_t tokens, index, names, names_end;
	uint32_t count;
};

static uint32_t word(const struct place *place, size_t at)
{
	return at + 4 <= place->size ? linux_u32(place->bytes + at, 0) : UINT32_MAX;
}

static bool rising_index(const struct place *place, size_t at, size_t digits)
{
	uint16_t index[256];

	if (at + sizeof(index) > place->size)
		return false;
	memcpy(index, place->bytes + at, sizeof(index));
	if (index[0] != 0 || index['9'] - index['0'] != 18 || index['0'] > digits)
		return false;
	for (unsigned int i = 1; i < 256; i++) {
		if (index[i] <= index[i - 1])
			return false;
	}
	/* What is before the first token is the end of something else. */
	return digits == index['0'] || place->bytes[digits - index['0'] - 1] == '\0';
}

/* Finds token_index behind the digits' tokens. */
static bool find_index(struct place *place, size_t digits)
{
	uint16_t zero;

	for (size_t at = (digits + 7) & ~7ull; at < digits + INDEX_AHEAD; at += 8) {
		if (!rising_index(place, at, digits))
			continue;
		memcpy(&zero, place->bytes + at + 2 * '0', sizeof(zero));
		place->index = at;
		place->tokens = digits - zero;
		return true;
	}
	return false;
}

/* Whether @count names follow each other from @at, and markers behind say so. */
static bool names_at(struct place *place, size_t at, uint32_t count)
{
	size_t end = at, first_marker = 0;

	for (uint32_t i = 0; i < count; i++) {
		size_t length;

		if (end >= place->tokens)
			return false;
		length = place->bytes[end++];
		if ((length & 0x80) != 0 && end < place->tokens)
			length = (length & 0x7f) | (size_t)place->bytes[end++] << 7;
		if (length == 0 || length > 600 || length > place->tokens - end)
			return false;
		end += length;
		if (i == 255)
			first_marker = end - at;
	}
	for (size_t align = 8; align >= 4; align -= 4) {
		size_t marker = (end + align - 1) & ~(align - 1);

		if (word(place, marker) == 0 && word(place, marker + 4) == first_marker)
			return true;
	}
	return false;
}

static bool find_names(struct place *place)
{
	size_t least = place->tokens > NAMES_BACK ? place->tokens - NAMES_BACK : 8;

	for (size_t at = (place->tokens & ~7ull) - 8; at >= least && at >= 8; at -= 8) {
		uint32_t count = word(place, at - 8);

		if (count < SYMBOLS_LEAST || count > SYMBOLS_MOST || word(place, at - 4) != 0 ||
		    !names_at(place, at, count))
			continue;
		place->names = at;
		place->count = count;
		return true;
	}
	return false;
}

static bool base_at(const struct place *place, size_t at)
{
	uint64_t base;

	if (at + 8 > place->size)
		return false;
	base = linux_u64(place->bytes + at, 0);
	return base >= KERNEL_MAP && base < KERNEL_MAP + (1ull << 30);
}

struct search {
	struct linux_kallsyms *tables;
};

static bool place_tables(const struct place *place, struct linux_kallsyms *tables)
{
	size_t offsets = place->index + 512;
	size_t base = (offsets + 4 * (size_t)place->count + 7) & ~7ull;

	if (!base_at(place, base)) {
		base = place->names - 16;
		if (place->names < 16 + 4 * (size_t)place->count || !base_at(place, base))
			return false;
		offsets = (base - 4 * (size_t)place->count) & ~7ull;
	}
	*tables = (struct linux_kallsyms){
		.names = place->start + place->names,
		.num_syms = place->start + place->names - 8,
		.token_table = place->start + place->tokens,
		.token_index = place->start + place->index,
		.offsets = place->start + offsets,
		.relative_base = place->start + base,
	};
	return true;
}

static bool search_run(void *context, uint64_t start, const uint8_t *bytes, size_t size)
{
	static const char digits[] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009";
	struct search *search = context;
	struct place place = {.bytes = bytes, .size = size, .start = start};
	const uint8_t *at = bytes;

	while ((at = memmem(at, size - (size_t)(at - bytes), digits, sizeof(digits))) != NULL) {
		if (find_index(&place, (size_t)(at - bytes)) && place.tokens >= 16 &&
		    find_names(&place) && place_tables(&place, search->tables))
			return true;
		at++;
	}
	return false;
}

int linux_kallsyms_scan(struct linux_guest *guest, struct linux_kallsyms *tables_out)
{
	struct search search = {tables_out};

	return linux_image_runs(guest, search_run, &search);
}
