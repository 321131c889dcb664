/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes at all as page tables, the guest's and the second stage's: every walk and every
 * iteration ends, stays inside the memory it was given, and says nothing that contradicts itself.
 *
 * The input is a header of choices and then pages of memory, all of which are both host-physical
 * and guest-physical. Under libFuzzer (clang -fsanitize=fuzzer,address -DWITH_LIBFUZZER, with
 * libept.a built by the same compiler) that is all; otherwise main() makes random tables, of which
 * most entries are nearly right, and runs a few thousand.
 */
#include <errno.h>
#include <string.h>

#include "ept/walk2d.h"
#include "mm/x86.h"
#include "tests/ept/random.h"
#include "tests/fuzz/driver.h"

#define PAGES_MAX   16u
#define TABLE_LIMIT 64

struct choices {
	uint64_t gva, gpa;
	uint8_t guest_levels, host_levels, kind, flags;
	uint8_t guest_root, host_root, physical_bits, spare;
};

#define INPUT_BYTES (sizeof(struct choices) + PAGES_MAX * EPT_PAGE_BYTES)

static uint64_t memory[PAGES_MAX][512];
static size_t pages;

static void check(bool holds)
{
	if (!holds)
		abort();
}

static const uint64_t *guest_table(void *context, gpa_t table)
{
	check(table.value % EPT_PAGE_BYTES == 0);
	return table.value / EPT_PAGE_BYTES < pages ? memory[table.value / EPT_PAGE_BYTES] : NULL;
}

static const uint64_t *host_table(void *context, hpa_t table)
{
	return table.value / EPT_PAGE_BYTES < pages ? memory[table.value / EPT_PAGE_BYTES] : NULL;
}

static const struct paging_reader guest_reader = {guest_table, NULL};
static const struct stage2_reader host_reader = {host_table, NULL};

/* ---- iterations: in order, and as the walk of each leaf says ---- */

struct order {
	const struct paging_mode *paging;
	const struct stage2_mode *stage2;
	uint64_t next; /* no leaf starts below */
	uint64_t count;
};

static int see_leaf(void *context, const struct paging_leaf *leaf)
{
	struct order *order = context;
	struct paging_walk walk;

	check(leaf->gva.value >= order->next || order->count == 0);
	check(leaf->gva.value % leaf->page_bytes == 0 && leaf->gpa.value % leaf->page_bytes == 0);
	check(leaf->gpa.value < 1ULL << order->paging->physical_bits);
	order->next = leaf->gva.value + leaf->page_bytes;
	if (order->count++ % 64 != 0)
		return 0;
	paging_walk(order->paging, &guest_reader, leaf->gva, &walk);
	check(walk.status == PAGING_MAPPED && walk.gpa.value == leaf->gpa.value);
	check(walk.rights == leaf->rights && walk.page_bytes == leaf->page_bytes);
	return 0;
}

static int see_bad(void *context, const struct paging_bad_entry *bad)
{
	check(bad->status == PAGING_RESERVED || bad->status == PAGING_NO_TABLE);
	return 0;
}

static int see_leaf2(void *context, const struct stage2_leaf *leaf)
{
	struct order *order = context;
	struct stage2_walk walk;

	check(leaf->gpa.value >= order->next || order->count == 0);
	order->next = leaf->gpa.value + leaf->page_bytes;
	if (order->count++ % 64 != 0)
		return 0;
	stage2_walk(order->stage2, &host_reader, leaf->gpa, &walk);
	check(walk.status == STAGE2_MAPPED && walk.hpa.value == leaf->hpa.value);
	check(walk.rights == leaf->rights);
	if (order->stage2->kind == STAGE2_EPT)
		check(ept_entry_judge(leaf->entry.value, leaf->level, order->stage2->mode_based,
				      &order->stage2->capabilities) == EPT_FAULT_NONE);
	return 0;
}

static bool known(int err)
{
	return err == 0 || err == -ELOOP;
}

static void run(const struct choices *choices, const struct paging_mode *paging,
		const struct stage2_mode *stage2)
{
	struct order order = {paging, stage2, 0, 0};
	struct paging_visitor visitor = {see_leaf, see_bad, NULL, &order};
	struct stage2_visitor visitor2 = {.leaf = see_leaf2, .context = &order};
	gva_t none = gva_make(0);
	struct walk2d walk;

	walk2d_walk(paging, stage2, &host_reader, gva_make(choices->gva), &walk);
	check(walk.entry_count <= WALK2D_ENTRIES_MAX);
	check(known(paging_for_each(paging, &guest_reader, none, none, TABLE_LIMIT, &visitor)));
	order.count = 0;
	check(known(paging_for_each(paging, &guest_reader, gva_make(choices->gva), none,
				    TABLE_LIMIT, &visitor)));
	order.count = 0;
	check(known(stage2_for_each(stage2, &host_reader, gpa_make(0), gpa_make(UINT64_MAX),
				    TABLE_LIMIT, &visitor2)));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct choices choices;
	struct paging_mode paging = {.nxe = true};
	struct stage2_mode stage2;

	if (size < sizeof(choices) + EPT_PAGE_BYTES)
		return 0;
	memcpy(&choices, bytes, sizeof(choices));
	pages = (size - sizeof(choices)) / EPT_PAGE_BYTES;
	if (pages > PAGES_MAX)
		pages = PAGES_MAX;
	memcpy(memory, bytes + sizeof(choices), pages * EPT_PAGE_BYTES);
	paging.levels = 4 + choices.guest_levels % 2;
	paging.physical_bits = 32 + choices.physical_bits % 21;
	paging.root = gpa_make(choices.guest_root % PAGES_MAX * EPT_PAGE_BYTES);
	paging.nxe = choices.flags & 1;
	paging.no_1g_pages = choices.flags & 2;
	stage2 = stage2_mode_make(choices.kind % 2 ? STAGE2_NPT : STAGE2_EPT,
				  hpa_make(choices.host_root % PAGES_MAX * EPT_PAGE_BYTES),
				  paging.physical_bits);
	stage2.levels = 4 + choices.host_levels % 2;
	stage2.mode_based = choices.flags & 4;
	stage2.no_nxe = choices.flags & 8;
	stage2.capabilities.execute_only = choices.flags & 16;
	stage2.capabilities.leaf_2m = choices.flags & 32;
	stage2.capabilities.leaf_1g = choices.flags & 64;
	run(&choices, &paging, &stage2);
	return 0;
}

/* An entry that refers to one of the pages, or to anything, with bits as they come. */
static uint64_t random_entry(uint64_t *random)
{
	uint64_t entry = random_below(random, PAGES_MAX + 2) * EPT_PAGE_BYTES;

	entry |= random_below(random, 3) ? X86_PTE_P | X86_PTE_RW | X86_PTE_US
					 : random_next(random) & 0xfff;
	if (random_below(random, 8) == 0)
		entry ^= 1ULL << random_below(random, 64);
	return random_below(random, 20) ? entry : random_next(random);
}

static void random_input(uint64_t *random, uint8_t input[INPUT_BYTES])
{
	uint64_t entry, filled = 1 + random_below(random, 40);
	size_t at;

	memset(input, 0, INPUT_BYTES);
	for (at = 0; at < sizeof(struct choices); at++)
		input[at] = (uint8_t)random_next(random);
	for (at = sizeof(struct choices); at < INPUT_BYTES; at += 8) {
		entry = random_below(random, filled) ? 0 : random_entry(random);
		memcpy(input + at, &entry, sizeof(entry));
	}
}

size_t fuzz_example(uint8_t *bytes, size_t room)
{
	uint64_t random = 1;

	if (room < INPUT_BYTES)
		return 0;
	random_input(&random, bytes);
	return INPUT_BYTES;
}

#ifndef WITH_LIBFUZZER

#define ROUNDS 3000

int main(void)
{
	static uint8_t input[INPUT_BYTES];
	uint64_t random = random_seed("fuzz_walk");

	for (unsigned int round = 0; round < ROUNDS; round++) {
		random_input(&random, input);
		LLVMFuzzerTestOneInput(input, sizeof(input));
	}
	printf("%d random memories\n", ROUNDS);
	return 0;
}

#endif
