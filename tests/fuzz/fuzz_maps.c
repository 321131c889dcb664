/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole core whose page tables were spoilt: what look_maps() says of them is in order, adds up,
 * and ends, also where tables refer to themselves.
 *
 * The input is records, each an entry to put somewhere: a value, or a copy of another entry.
 */
#include <string.h>

#include "tests/fuzz/driver.h"
#include "tests/vmm/inspect/core_mix.h"
#include "vmm/look/maps.h"

uint64_t fuzz_runs_default = 8000;

#define RECORDS_MAX 16u

struct record {
	uint8_t area, level, way, flip;
	uint16_t index, from;
	uint64_t value;
};

struct planted {
	u64 *entry, before;
};

struct seen {
	uint64_t next, ranges, leaves, bytes;
	bool at_end;
};

static struct mix *mix;

static u64 *table_of(const struct record *record)
{
	const u64 areas[] = {mix->module,  mix->single,   mix->inlined, mix->kmalloced,
			     mix->nested,  mix->readonly, mix->mapped,  mix->directory,
			     mix->outside, mix->dma32};
	u64 va = areas[record->area % (sizeof(areas) / sizeof(areas[0]))];
	int level = 1 + record->level % 4;
	u64 *entry = record->way & 1
			     ? mix_user_entry(mix, record->way >> 1 & 1,
					      (record->way >> 1 & 1) ? MIX_USER_SHARED + 0x2000
								     : MIX_USER_SHARED,
					      level)
			     : mix_entry(mix, va, level);

	return (u64 *)((uintptr_t)entry & ~(uintptr_t)4095);
}

static int see(void *context, const struct look_map *map)
{
	struct seen *seen = context;

	FUZZ_CHECK(!seen->at_end && map->start >= seen->next);
	FUZZ_CHECK(map->leaves > 0 && map->runs >= 1 && map->runs <= map->leaves);
	FUZZ_CHECK(map->page_bytes == 4096 || map->page_bytes == 2u << 20 ||
		   map->page_bytes == 1u << 30);
	FUZZ_CHECK(map->end - map->start == map->leaves * map->page_bytes);
	FUZZ_CHECK(map->start % map->page_bytes == 0 && map->gpa % map->page_bytes == 0);
	FUZZ_CHECK((unsigned int)map->region < LOOK_NR_REGIONS);
	seen->at_end = map->end == 0;
	seen->next = map->end;
	seen->ranges++;
	seen->leaves += map->leaves;
	seen->bytes += map->end - map->start;
	return 0;
}

static void look(const struct look_maps_query *query)
{
	struct look_maps_sum sum;
	struct seen seen = {0};

	FUZZ_CHECK(look_maps(mix->source->inspector, query, see, &seen, &sum) == 0);
	FUZZ_CHECK(sum.ranges == seen.ranges &&
		   sum.leaves == sum.leaves_4k + sum.leaves_2m + sum.leaves_1g);
	FUZZ_CHECK(sum.leaves == seen.leaves && sum.bytes == seen.bytes);
	FUZZ_CHECK(query->max_ranges == 0 || sum.ranges <= query->max_ranges);
}

static void look_all(uint8_t choice)
{
	struct look_maps_query query = {.split_frames = choice & 1};
	struct paging_mode paging;

	look(&query);
	query.max_ranges = choice;
	look(&query);
	if (look_process(mix->source->inspector, 1 + (choice & 1), &paging) == 0) {
		query.paging = &paging;
		look(&query);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	struct planted planted[RECORDS_MAX];
	struct record record[RECORDS_MAX];
	size_t count = size_bytes / sizeof(*record), i;

	if (!mix)
		mix = mix_create();
	if (count == 0)
		return 0;
	if (count > RECORDS_MAX)
		count = RECORDS_MAX;
	memcpy(record, bytes, count * sizeof(*record));
	/* All places are found before the first is spoilt. */
	for (i = 0; i < count; i++)
		planted[i].entry = &table_of(&record[i])[record[i].index % 512];
	for (i = 0; i < count; i++) {
		planted[i].before = *planted[i].entry;
		if (record[i].way & 4)
			*planted[i].entry = *planted[record[i].from % count].entry;
		else
			*planted[i].entry = record[i].value;
		if (record[i].way & 8)
			*planted[i].entry ^= 1ull << record[i].flip % 64;
	}
	look_all(bytes[0]);
	while (i-- > 0)
		*planted[i].entry = planted[i].before;
	return 0;
}

size_t fuzz_example(uint8_t *bytes, size_t room)
{
	const struct record records[] = {
		{.area = 3, .level = 0, .index = 5, .value = 0x8000000000200063},
		{.area = 4, .level = 1, .index = 0, .value = 0x2001e3},
		{.area = 3, .level = 1, .index = 7, .way = 4, .from = 4},
		{.area = 4, .level = 2, .index = 1, .value = 0x400001e3},
		{.area = 0, .level = 1, .index = 3, .value = 0xffffffffff067},
		{.area = 7, .level = 3, .index = 511, .way = 8, .flip = 51, .value = 0x3067},
		{.way = 1, .level = 0, .index = 2, .value = 0x5067},
		{.way = 7, .level = 1, .index = 4, .from = 2},
	};

	FUZZ_CHECK(room >= sizeof(records));
	memcpy(bytes, records, sizeof(records));
	return sizeof(records);
}
