/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an inspector is made of. Private to this room. */
#ifndef VMM_INSPECT_PRIVATE_H
#define VMM_INSPECT_PRIVATE_H

#include <string.h>

#include "vmm/inspect/inspect.h"

#define INSPECT_CACHE_SLOTS 4096u
#define INSPECT_NO_PAGE     (~0ull) /* no page number: those have 52 bits */

struct inspect_translation {
	uint64_t page; /* guest-virtual page number */
	const uint8_t *host;
};

struct inspector {
	struct inspect_source source;
	struct layout layout;
	uint64_t mm;
	uint64_t ram_pages;
	struct inspect_translation cache[INSPECT_CACHE_SLOTS];
};

/* A number at @offset of the copy of a structure; the layout says that it lies inside. */
static inline uint64_t inspect_field_u64(const uint8_t *bytes, uint32_t offset)
{
	uint64_t value;

	memcpy(&value, bytes + offset, sizeof(value));
	return value;
}

static inline uint32_t inspect_field_u32(const uint8_t *bytes, uint32_t offset)
{
	uint32_t value;

	memcpy(&value, bytes + offset, sizeof(value));
	return value;
}

static inline uint16_t inspect_field_u16(const uint8_t *bytes, uint32_t offset)
{
	uint16_t value;

	memcpy(&value, bytes + offset, sizeof(value));
	return value;
}

#endif
