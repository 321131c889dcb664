/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ranges of range_set.h.
 *
 *	blocks[0]                     blocks[1]
 *	hole range hole range range   hole range ...
 *	^ longest of these            ^ the hole before a block's first range is the block's
 *
 * The hole behind the last range belongs to no block.
 */
#include "vmm/base/range_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/grow.h"
#include "lib/search.h"

#define PAGE_BYTES   UINT64_C(4096)
#define SPACE_START  UINT64_C(1)
#define BLOCK_RANGES 128

struct range {
	uint64_t start;
	uint64_t end;
	uint32_t value;
};

struct range_block {
	uint64_t longest; /* hole before one of its ranges */
	size_t count;     /* at least 1 */
	struct range ranges[BLOCK_RANGES];
};

static uint64_t last_end(const struct range_block *block)
{
	return block->ranges[block->count - 1].end;
}

/* Where the hole before block @index starts. */
static uint64_t hole_before(const struct range_set *set, size_t index)
{
	return index ? last_end(set->blocks[index - 1]) : SPACE_START;
}

static uint64_t longest_hole(const struct range_set *set, size_t index)
{
	const struct range_block *block = set->blocks[index];
	uint64_t hole = hole_before(set, index), longest = 0;
	size_t i;

	for (i = 0; i < block->count; i++) {
		if (block->ranges[i].start - hole > longest)
			longest = block->ranges[i].start - hole;
		hole = block->ranges[i].end;
	}
	return longest;
}

/* After a change in block @index: its holes and the one behind it. */
static void update(struct range_set *set, size_t index)
{
	if (index < set->count)
		set->blocks[index]->longest = longest_hole(set, index);
	if (index + 1 < set->count)
		set->blocks[index + 1]->longest = longest_hole(set, index + 1);
}

/*
 * After one range has come at @place of block @index. Most often the hole it stands in was not
 * the longest, and then nothing changes.
 */
static void update_around(struct range_set *set, size_t index, size_t place)
{
	const struct range_block *block = set->blocks[index];
	uint64_t hole = place ? block->ranges[place - 1].end : hole_before(set, index);

	if (place + 1 < block->count && block->ranges[place + 1].start - hole < block->longest)
		return;
	update(set, index);
}

/* The first block that ends behind @address; count if there is none. */
static size_t find_block(const struct range_set *set, uint64_t address)
{
	return FIRST_WHERE(i, set->count, last_end(set->blocks[i]) > address);
}

/* The first range of the block that ends behind @address; count if there is none. */
static size_t find_range(const struct range_block *block, uint64_t address)
{
	return FIRST_WHERE(i, block->count, block->ranges[i].end > address);
}

/* Puts an empty block at @index. */
static int add_block(struct range_set *set, size_t index)
{
	struct range_block *block;

	if (GROW(set->blocks, set->count))
		return -ENOMEM;
	block = malloc(sizeof(*block));
	if (!block)
		return -ENOMEM;
	block->count = 0;
	block->longest = 0;
	memmove(&set->blocks[index + 1], &set->blocks[index],
		(set->count - index) * sizeof(*set->blocks));
	set->blocks[index] = block;
	set->count++;
	return 0;
}

/* Moves the upper half of block @index to a new block behind it. */
static int split_block(struct range_set *set, size_t index)
{
	struct range_block *block = set->blocks[index], *upper;
	int err = add_block(set, index + 1);

	if (err)
		return err;
	upper = set->blocks[index + 1];
	upper->count = block->count / 2;
	block->count -= upper->count;
	memcpy(upper->ranges, &block->ranges[block->count], upper->count * sizeof(*upper->ranges));
	update(set, index);
	return 0;
}

int range_set_add(struct range_set *set, uint64_t start, uint64_t end, uint32_t value)
{
	size_t index = find_block(set, start), place;
	struct range_block *block;
	int err = 0;

	if (start >= end)
		return -EINVAL;
	if (index == set->count && index)
		index--;
	if (!set->count)
		err = add_block(set, 0);
	else if (set->blocks[index]->count == BLOCK_RANGES)
		err = split_block(set, index);
	if (err)
		return err;
	if (set->blocks[index]->count && last_end(set->blocks[index]) <= start &&
	    index + 1 < set->count)
		index++;
	block = set->blocks[index];
	place = find_range(block, start);
	if (place < block->count && block->ranges[place].start < end)
		return -EEXIST;
	memmove(&block->ranges[place + 1], &block->ranges[place],
		(block->count - place) * sizeof(*block->ranges));
	block->ranges[place] = (struct range){start, end, value};
	block->count++;
	update_around(set, index, place);
	return 0;
}

bool range_set_remove(struct range_set *set, uint64_t start)
{
	size_t index = find_block(set, start), place;
	struct range_block *block;
	uint64_t hole;

	if (index == set->count)
		return false;
	block = set->blocks[index];
	place = find_range(block, start);
	if (block->ranges[place].start != start)
		return false;
	block->count--;
	memmove(&block->ranges[place], &block->ranges[place + 1],
		(block->count - place) * sizeof(*block->ranges));
	if (place < block->count) {
		hole = place ? block->ranges[place - 1].end : hole_before(set, index);
		if (block->ranges[place].start - hole > block->longest)
			block->longest = block->ranges[place].start - hole;
		return true;
	}
	if (!block->count) {
		free(block);
		set->count--;
		memmove(&set->blocks[index], &set->blocks[index + 1],
			(set->count - index) * sizeof(*set->blocks));
	}
	update(set, index);
	return true;
}

bool range_set_find(const struct range_set *set, uint64_t start, uint64_t end, uint32_t *value_out,
		    uint64_t *end_out)
{
	size_t index = find_block(set, start);
	const struct range *range;

	if (index == set->count)
		return false;
	range = &set->blocks[index]->ranges[find_range(set->blocks[index], start)];
	if (range->start >= end)
		return false;
	*value_out = range->value;
	*end_out = range->end;
	return true;
}

bool range_set_holds(const struct range_set *set, uint64_t start, uint32_t value)
{
	size_t index = find_block(set, start);
	const struct range *range;

	if (index == set->count)
		return false;
	range = &set->blocks[index]->ranges[find_range(set->blocks[index], start)];
	return range->start == start && range->value == value;
}

/* ---- the search ---- */

struct request {
	uint64_t bytes;
	uint64_t align;
	uint64_t vstart;
};

/* Whether the request fits into the hole [start, end), and where. */
static bool fits(const struct request *request, uint64_t start, uint64_t end, uint64_t *place_out)
{
	uint64_t mask = request->align - 1, from, place;

	if (end <= request->vstart || end <= start)
		return false;
	from = start < request->vstart ? request->vstart : start;
	if (start >= request->vstart && request->align > PAGE_BYTES &&
	    (end - start < mask || end - start - mask < request->bytes))
		return false;
	place = (from + mask) & ~mask;
	if (place < from || place >= end || end - place < request->bytes)
		return false;
	*place_out = place;
	return true;
}

static bool search(const struct range_set *set, const struct request *request, uint64_t *place_out)
{
	size_t index = find_block(set, request->vstart), i;
	const struct range_block *block;
	uint64_t hole;

	for (; index < set->count; index++) {
		block = set->blocks[index];
		if (block->longest < request->bytes)
			continue;
		hole = hole_before(set, index);
		for (i = 0; i < block->count; i++) {
			if (fits(request, hole, block->ranges[i].start, place_out))
				return true;
			hole = block->ranges[i].end;
		}
	}
	return fits(request, hole_before(set, set->count), UINT64_MAX, place_out);
}

uint64_t range_set_fit(const struct range_set *set, uint64_t bytes, uint64_t align, uint64_t vstart,
		       uint64_t vend)
{
	struct request request = {bytes, align, vstart};
	uint64_t place;

	if (!search(set, &request, &place) || place > vend || vend - place < bytes)
		return 0;
	return place;
}

const char *range_set_check(const struct range_set *set)
{
	uint64_t last = SPACE_START;
	size_t index, i;

	for (index = 0; index < set->count; index++) {
		if (!set->blocks[index]->count || set->blocks[index]->count > BLOCK_RANGES)
			return "a block with no ranges or too many";
		if (set->blocks[index]->longest != longest_hole(set, index))
			return "a block whose longest hole is wrong";
		for (i = 0; i < set->blocks[index]->count; i++) {
			if (set->blocks[index]->ranges[i].start < last ||
			    set->blocks[index]->ranges[i].end <=
				    set->blocks[index]->ranges[i].start)
				return "ranges out of order or overlapping";
			last = set->blocks[index]->ranges[i].end;
		}
	}
	return NULL;
}

void range_set_clear(struct range_set *set)
{
	size_t index;

	for (index = 0; index < set->count; index++)
		free(set->blocks[index]);
	free(set->blocks);
	memset(set, 0, sizeof(*set));
}
