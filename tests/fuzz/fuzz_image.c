/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes at all as a guest image: they are refused with a text, or what is taken keeps every
 * promise of vmm/image/image.h, and can be booted from.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/driver.h"
#include "tests/vmm/image/tiny_image.h"
#include "vmm/image/boot.h"

#define PAGE 4096

static void check(int holds)
{
	if (!holds)
		abort();
}

static void check_segments(const struct image *image)
{
	uint64_t last = NB_IMAGE_BASE + PAGE;

	check(image->nr_segments >= 1 && image->nr_segments <= IMAGE_SEGMENTS_MAX);
	for (size_t i = 0; i < image->nr_segments; i++) {
		const struct image_segment *s = &image->segments[i];

		check(s->start.value % PAGE == 0 && s->end.value % PAGE == 0);
		check(s->start.value >= last && s->end.value > s->start.value);
		check(s->end.value <= NB_MODULES_BASE);
		check(s->gpa.value == s->start.value - NB_IMAGE_BASE);
		check(!(s->writable && s->executable));
		check(s->file_bytes <= s->end.value - s->start.value);
		check((size_t)(s->bytes - image->bytes) <= image->size_bytes);
		check(s->file_bytes <= image->size_bytes - (size_t)(s->bytes - image->bytes));
		last = s->end.value;
	}
	check(last - image->segments[0].start.value <= IMAGE_SPAN_MAX);
	check(image_segment_find(image, image->entry)->executable);
}

static void check_symbols(const struct image *image)
{
	char text[IMAGE_PLACE_BYTES];

	for (size_t i = 0; i < image->nr_symbols; i++) {
		const struct image_symbol *symbol = &image->symbols[i];

		check(symbol->start < symbol->end);
		check(i == 0 || symbol->start >= image->symbols[i - 1].start);
		check(strlen(symbol->name) < image->size_bytes);
		check(strlen(image_place(image, symbol->start, text)) < sizeof(text));
	}
}

static void check_layout(const struct image *image)
{
	volatile char byte;

	for (size_t i = 0; i < image->layout_bytes; i++) {
		byte = image->layout[i];
		check(byte == '\n' || (byte >= ' ' && byte <= '~'));
	}
	check(!image_segment_find(image, image->layout_gva)->writable);
}

/* Boots it in a small space of its own. */
static void check_boot(const struct image *image)
{
	static struct gpa_space *space;
	struct memory_layout memory = {.nr_ram = 1, .ram = {{0, 64 << 20, 0, 0}}};
	struct boot_config config = {image, &memory, 1, false, 0};
	struct boot boot;
	int err;

	check(gpa_space_create(46, &space, NULL) == 0);
	check(memory_layout_add(&memory, space, NULL) == 0);
	err = boot_build(&config, space, &boot, NULL);
	check(err == 0 || err == -ENOSPC);
	gpa_space_destroy(space);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	struct error error = {""};
	struct image image;
	int err = image_load_bytes("fuzz", bytes, size_bytes, &image, &error);

	if (err) {
		check(err == -ENOEXEC && error.text[0]);
		return 0;
	}
	check_segments(&image);
	check_symbols(&image);
	check_layout(&image);
	if (bytes[size_bytes / 2] % 16 == 0)
		check_boot(&image);
	image_unload(&image);
	return 0;
}

size_t fuzz_example(uint8_t *bytes, size_t room)
{
	struct tiny_image image;

	check(room >= sizeof(image));
	tiny_image_make(&image, NULL, 0, 0);
	memcpy(bytes, &image, sizeof(image));
	return sizeof(image);
}
