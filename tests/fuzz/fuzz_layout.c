/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes at all as a layout note: they are refused with a text, or what comes out can be
 * reckoned with: every field inside its structure.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/driver.h"
#include "tests/vmm/inspect/core_source.h"

static void check(int holds)
{
	if (!holds)
		abort();
}

#define CHECK_FIELD(structure, field, align, width) \
	check(l->structure.field % (align) == 0);   \
	check(l->structure.field + (uint64_t)(width) <= l->structure.bytes);
#define CHECK_STRUCT(structure, fields)                                                 \
	check(l->structure.bytes > 0 && l->structure.bytes <= LAYOUT_STRUCT_BYTES_MAX); \
	fields(CHECK_FIELD)

static void check_layout(const struct layout *l)
{
	LAYOUT_STRUCTS(CHECK_STRUCT)
	check(l->page.bytes <= LAYOUT_COPIED_BYTES_MAX && l->page_size == 4096);
	check(l->machine + l->machine_mm + l->mm.bytes > l->machine);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	struct error error = {""};
	struct layout layout;
	int err;

	err = layout_parse((const char *)bytes, size_bytes, &layout, &error);
	check(err == 0 || (err == -EINVAL && error.text[0]));
	if (!err)
		check_layout(&layout);
	return 0;
}

size_t fuzz_example(uint8_t *bytes, size_t room)
{
	size_t length;
	const char *text = core_layout_text(&length);

	if (length > room)
		abort();
	memcpy(bytes, text, length);
	return length;
}
