/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any entries at all in second-stage tables of either format, and edits of them: nothing outside
 * the tables is touched, whatever happens ends, and as long as the tables are a tree an edit keeps
 * its promises: a failure, a split and a merge translate as before, a success does what it says.
 *
 * The input is a header of choices and records. A record puts an entry somewhere, or is a call.
 * After the header the first bytes are also an EPT pointer and an exit qualification to decode.
 */
#include <errno.h>
#include <string.h>

#include "ept/stage2.h"
#include "tests/fuzz/driver.h"

#define PAGES       24u
#define RECORDS_MAX 64u
#define SAMPLES     16u

struct choices {
	uint8_t kind, levels, physical_bits, flags;
	uint8_t spare[12];
};

enum { POKE, POKE_NEAR, MAP, UNMAP, PROTECT, SPLIT, MERGE, CLEAR, NR_CALLS };

struct record {
	uint8_t call, page, rights, type;
	uint16_t index, small; /* @small: of a size, in pages */
	uint64_t value;        /* an entry, or an address */
};

static uint64_t memory[PAGES][512];
static bool used[PAGES];
static unsigned int allocations_left;

static uint64_t *table_at(void *context, hpa_t table)
{
	return table.value % EPT_PAGE_BYTES == 0 && table.value / EPT_PAGE_BYTES < PAGES
		       ? memory[table.value / EPT_PAGE_BYTES]
		       : NULL;
}

static const uint64_t *read_table(void *context, hpa_t table)
{
	return table_at(context, table);
}

static const struct stage2_reader reader = {read_table, NULL};

static int alloc_page(void *context, hpa_t *table_out)
{
	if (allocations_left == 0)
		return -ENOMEM;
	for (uint64_t i = 1; i < PAGES; i++) {
		if (used[i])
			continue;
		used[i] = true;
		allocations_left--;
		memset(memory[i], 0, EPT_PAGE_BYTES);
		*table_out = hpa_make(i * EPT_PAGE_BYTES);
		return 0;
	}
	return -ENOMEM;
}

static void free_page(void *context, hpa_t table)
{
	FUZZ_CHECK(table_at(NULL, table) != NULL);
	used[table.value / EPT_PAGE_BYTES] = false;
}

/* ---- what must hold ---- */

/* Whether each page is referred to once at most, by any entry that could be a reference. */
static bool is_tree(uint64_t table, unsigned int level, bool seen[PAGES])
{
	uint64_t entry, child;

	FUZZ_CHECK(table < PAGES);
	if (seen[table] || !used[table])
		return false;
	seen[table] = true;
	for (unsigned int i = 0; level > 1 && i < 512; i++) {
		entry = memory[table][i];
		child = (entry & EPT_ADDRESS_MASK) / EPT_PAGE_BYTES;
		if ((entry & 0x407) && !(entry & EPT_BIT_LARGE) && child < PAGES &&
		    !is_tree(child, level - 1, seen))
			return false;
	}
	return true;
}

struct sample {
	uint64_t gpa;
	struct stage2_walk walk;
};

static struct sample samples[SAMPLES];
static unsigned int nr_samples;

static void add_sample(const struct stage2_mode *mode, uint64_t gpa)
{
	struct sample *sample = &samples[nr_samples++ % SAMPLES];

	sample->gpa = gpa;
	stage2_walk(mode, &reader, gpa_make(gpa), &sample->walk);
}

/* Around the edges of what an edit is about to change. */
static void take_samples(const struct stage2_mode *mode, uint64_t start, uint64_t bytes)
{
	const uint64_t edges[] = {start, start + bytes, start & ~(EPT_PAGE_2M_BYTES - 1),
				  start & ~(EPT_PAGE_1G_BYTES - 1)};

	nr_samples = 0;
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		add_sample(mode, edges[i] - EPT_PAGE_BYTES);
		add_sample(mode, edges[i]);
		add_sample(mode, edges[i] + 8 * EPT_PAGE_BYTES);
		add_sample(mode, edges[i] + EPT_PAGE_2M_BYTES);
	}
}

static void check_same(const struct stage2_mode *mode, const struct sample *sample)
{
	struct stage2_walk now;

	stage2_walk(mode, &reader, gpa_make(sample->gpa), &now);
	FUZZ_CHECK((now.status == STAGE2_MAPPED) == (sample->walk.status == STAGE2_MAPPED));
	if (now.status != STAGE2_MAPPED)
		return;
	FUZZ_CHECK(now.hpa.value == sample->walk.hpa.value && now.rights == sample->walk.rights);
}

/* ---- the calls ---- */

static int call(struct stage2_tables *tables, const struct record *r, uint64_t start,
		uint64_t bytes)
{
	const struct stage2_attributes attributes = {.rights = r->rights,
						     .memory_type = r->type & 15u,
						     .ignore_pat = r->type & 16,
						     .suppress_ve = r->type & 32};
	const uint64_t sizes[] = {EPT_PAGE_BYTES, EPT_PAGE_2M_BYTES, EPT_PAGE_1G_BYTES, r->value};
	uint64_t leaf_bytes = sizes[r->page % 4];

	switch (r->call % NR_CALLS) {
	case MAP:
		return stage2_map(tables, gpa_make(start),
				  hpa_make((uint64_t)r->index * EPT_PAGE_BYTES), bytes, leaf_bytes,
				  &attributes);
	case UNMAP:
		return stage2_unmap(tables, gpa_make(start), bytes);
	case PROTECT:
		return stage2_protect(tables, gpa_make(start), bytes, r->rights);
	case SPLIT:
		return stage2_split(tables, gpa_make(start), leaf_bytes);
	default:
		return stage2_merge(tables, gpa_make(start), leaf_bytes);
	}
}

static void check_call(const struct stage2_tables *tables, const struct record *r, int err,
		       uint64_t start, uint64_t bytes)
{
	bool edits = r->call % NR_CALLS != SPLIT && r->call % NR_CALLS != MERGE;
	struct stage2_walk now;

	for (unsigned int i = 0; i < SAMPLES; i++) {
		if (err || !edits || samples[i].gpa < start || samples[i].gpa - start >= bytes) {
			check_same(&tables->mode, &samples[i]);
			continue;
		}
		stage2_walk(&tables->mode, &reader, gpa_make(samples[i].gpa), &now);
		if (r->call % NR_CALLS == UNMAP)
			FUZZ_CHECK(now.status != STAGE2_MAPPED);
		else if (r->call % NR_CALLS == MAP)
			FUZZ_CHECK(now.status == STAGE2_MAPPED &&
				   now.hpa.value == (uint64_t)r->index * EPT_PAGE_BYTES +
							    samples[i].gpa - start);
		else
			FUZZ_CHECK((now.status == STAGE2_MAPPED) ==
				   (samples[i].walk.status == STAGE2_MAPPED));
	}
}

/* Sizes that do not fill the few pages at once, most of them. */
static uint64_t size_of(const struct record *r)
{
	static const uint64_t units[] = {EPT_PAGE_BYTES, EPT_PAGE_BYTES, EPT_PAGE_2M_BYTES,
					 EPT_PAGE_1G_BYTES};

	return r->small % 600 * units[r->type >> 6] + (r->small == 0xffff);
}

static void run_call(struct stage2_tables *tables, const struct record *r)
{
	uint64_t start = r->value & (r->page & 8 ? UINT64_MAX : 0xffffffff000), bytes = size_of(r);
	bool seen[PAGES] = {false}, tree = is_tree(0, tables->mode.levels, seen);
	int err;

	/* As for whoever takes a table from it: what nothing refers to is free. */
	if (tree)
		memcpy(used, seen, sizeof(used));
	take_samples(&tables->mode, start, bytes);
	err = call(tables, r, start, bytes);
	FUZZ_CHECK(err == 0 || err == -EINVAL || err == -ENOMEM || err == -EEXIST ||
		   err == -ENOENT || err == -EAGAIN || (err == -EFAULT && !tree));
	if (tree)
		check_call(tables, r, err, start, bytes);
}

static void poke(const struct record *r)
{
	uint64_t entry = r->value, page = r->page % PAGES;

	/* A reference, or a leaf, into the pages, with bits as they come. */
	if (r->call % NR_CALLS == POKE_NEAR)
		entry = (r->value & ~EPT_ADDRESS_MASK) |
			(r->value >> 12 & 0xff) % PAGES * EPT_PAGE_BYTES;
	memory[page][r->index % 512] = entry;
	used[page] = true;
}

static void decode(const struct stage2_mode *mode, uint64_t value)
{
	struct ept_violation violation;
	struct ept_pointer pointer;
	struct error error = {""};
	uint64_t again;
	char text[40];

	if (ept_pointer_decode(value, &mode->capabilities, &pointer, &error) == 0) {
		FUZZ_CHECK(ept_pointer_encode(&pointer, &mode->capabilities, &again, &error) == 0);
		FUZZ_CHECK(again == value);
	} else {
		FUZZ_CHECK(error.text[0]);
	}
	ept_violation_decode(value, &mode->capabilities, &violation);
	FUZZ_CHECK(strlen(ept_violation_describe(&violation, text, sizeof(text))) < sizeof(text));
	for (unsigned int level = 1; level <= 5; level++)
		FUZZ_CHECK(ept_fault_name(ept_entry_judge(value, level, mode->mode_based,
							  &mode->capabilities)) != NULL);
}

static struct stage2_mode mode_of(const struct choices *choices)
{
	struct stage2_mode mode = stage2_mode_make(choices->kind % 2 ? STAGE2_NPT : STAGE2_EPT,
						   hpa_make(0), 32 + choices->physical_bits % 21);

	mode.levels = 4 + choices->levels % 2;
	mode.mode_based = choices->flags & 1;
	mode.no_nxe = choices->flags & 2;
	mode.capabilities.execute_only = !(choices->flags & 4);
	mode.capabilities.leaf_2m = !(choices->flags & 8);
	mode.capabilities.leaf_1g = !(choices->flags & 16);
	mode.capabilities.walk_5 = choices->flags & 32;
	mode.capabilities.shadow_stack = choices->flags & 64;
	mode.capabilities.advanced_violation = choices->flags & 128;
	return mode;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	struct stage2_tables tables = {.pages = {alloc_page, free_page, table_at, NULL}};
	struct choices choices;
	struct record record;

	if (size_bytes < sizeof(choices))
		return 0;
	memcpy(&choices, bytes, sizeof(choices));
	tables.mode = mode_of(&choices);
	memset(memory, 0, sizeof(memory));
	memset(used, 0, sizeof(used));
	used[0] = true;
	allocations_left = choices.spare[0];
	for (unsigned int i = 0; i < RECORDS_MAX; i++) {
		size_t at = sizeof(choices) + i * sizeof(record);

		if (at + sizeof(record) > size_bytes)
			break;
		memcpy(&record, bytes + at, sizeof(record));
		decode(&tables.mode, record.value);
		if (record.call % NR_CALLS <= POKE_NEAR)
			poke(&record);
		else if (record.call % NR_CALLS != CLEAR)
			run_call(&tables, &record);
		else
			stage2_clear(&tables);
	}
	return 0;
}

size_t fuzz_example(uint8_t *bytes, size_t room)
{
	struct choices choices = {.physical_bits = 8, .spare = {100}};
	const struct record records[] = {
		{.call = MAP, .page = 2, .rights = 7, .type = 6, .small = 3, .value = 0x200000},
		{.call = MAP,
		 .page = 1,
		 .rights = 15,
		 .type = 0x86,
		 .index = 512,
		 .small = 2,
		 .value = 0x40000000},
		{.call = MAP,
		 .page = 2,
		 .rights = 5,
		 .type = 0xc6,
		 .small = 1,
		 .value = 0x80000000},
		{.call = SPLIT, .page = 1, .value = 0x80000000},
		{.call = SPLIT, .page = 0, .value = 0x80200000},
		{.call = PROTECT, .rights = 1, .small = 10, .value = 0x80005000},
		{.call = MERGE, .page = 1, .value = 0x80200000},
		{.call = POKE, .index = 3, .value = 0x80},
		{.call = POKE_NEAR, .page = 1, .index = 5, .value = 0x3007},
		{.call = POKE_NEAR, .page = 3, .index = 1, .value = 0x1b7},
		{.call = POKE, .page = 2, .index = 0x100, .value = 0xffff000007},
		{.call = MERGE, .page = 2, .value = 0x80000000},
		{.call = MERGE, .page = 1, .value = 0x40000000},
		{.call = UNMAP, .small = 1, .value = 0x201000},
		{.call = UNMAP, .type = 0xc0, .small = 3, .value = 0x40000000},
		{.call = CLEAR},
	};

	FUZZ_CHECK(sizeof(choices) + sizeof(records) <= room);
	memcpy(bytes, &choices, sizeof(choices));
	memcpy(bytes + sizeof(choices), records, sizeof(records));
	return sizeof(choices) + sizeof(records);
}
