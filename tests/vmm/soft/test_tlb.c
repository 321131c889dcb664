/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The TLB that remembers: against a list of everything that was inserted, through random inserts
 * and flushes; and one that forgets forgets no more than it must.
 */
#include <string.h>

#include "mm/x86.h"
#include "tests/harness.h"
#include "vmm/soft/tlb.h"

#define ENTRIES 4096

/* ---- the model: every entry in a list, searched from the end ---- */

struct entry {
	unsigned int level;
	bool table, dead;
	uint64_t page, gpa, flags;
};

struct model {
	struct entry entries[ENTRIES];
	size_t count;
};

static struct entry *model_find(struct model *model, bool table, unsigned int level, uint64_t gva)
{
	for (size_t i = model->count; i > 0; i--) {
		struct entry *entry = &model->entries[i - 1];

		if (!entry->dead && entry->table == table && entry->level == level &&
		    entry->page == gva >> X86_LEVEL_SHIFT(level))
			return entry;
	}
	return NULL;
}

static void model_insert(struct model *model, bool table, unsigned int level, uint64_t gva,
			 uint64_t gpa, uint64_t flags)
{
	struct entry *old = model_find(model, table, level, gva);
	struct entry new = {level, table, false, gva >> X86_LEVEL_SHIFT(level), gpa, flags};

	if (old)
		*old = new;
	else
		model->entries[model->count++] = new;
}

static void model_flush(struct model *model, bool local)
{
	for (size_t i = 0; i < model->count; i++)
		if (!local || model->entries[i].table || !(model->entries[i].flags & X86_PTE_G))
			model->entries[i].dead = true;
}

static void model_flush_page(struct model *model, uint64_t gva)
{
	for (size_t i = 0; i < model->count; i++)
		if (model->entries[i].table ||
		    model->entries[i].page == gva >> X86_LEVEL_SHIFT(model->entries[i].level))
			model->entries[i].dead = true;
}

static void model_forget(struct model *model, uint64_t gva)
{
	for (size_t i = 0; i < model->count; i++)
		if (model->entries[i].page == gva >> X86_LEVEL_SHIFT(model->entries[i].level))
			model->entries[i].dead = true;
}

/* ---- both ---- */

static uint64_t seed = 1;

static uint64_t draw(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

/* Few addresses, so that they meet: neighbours, and far apart. */
static uint64_t draw_gva(void)
{
	uint64_t gva = draw(24) * X86_PAGE_SIZE + (draw(4) << X86_PAGE_2M_SHIFT) +
		       (draw(3) << X86_PAGE_1G_SHIFT) + (draw(2) << 39);

	return draw(2) ? gva : gva | 0xffff800000000000;
}

static void check_same(struct soft_tlb *tlb, struct model *model, uint64_t gva)
{
	const struct soft_tlb_entry *found;
	struct entry *want = NULL;
	unsigned int shift = 0;

	for (unsigned int level = 1; level <= 3 && !want; level++)
		want = model_find(model, false, level, gva);
	found = soft_tlb_find(tlb, gva, &shift);
	ck_assert_int_eq(found != NULL, want != NULL);
	if (found) {
		ck_assert_uint_eq(shift, X86_LEVEL_SHIFT(want->level));
		ck_assert_uint_eq(found->gpa, want->gpa);
		ck_assert_uint_eq(found->flags, want->flags);
	}
	for (unsigned int level = 2; level <= 4; level++) {
		want = model_find(model, true, level, gva);
		found = soft_tlb_find_table(tlb, gva, level);
		ck_assert_int_eq(found != NULL, want != NULL);
		if (found)
			ck_assert_uint_eq(found->gpa, want->gpa);
	}
}

static void step(struct soft_tlb *tlb, struct model *model)
{
	uint64_t gva = draw_gva(), gpa = draw(1 << 20) * X86_PAGE_SIZE;
	uint64_t flags = X86_PTE_P | (draw(2) ? X86_PTE_G : 0) | (draw(2) ? X86_PTE_RW : 0);
	unsigned int level = 1 + (unsigned int)draw(3);

	switch (draw(64)) {
	case 0:
		soft_tlb_flush_all(tlb);
		model_flush(model, false);
		break;
	case 1:
	case 2:
		soft_tlb_flush_local(tlb);
		model_flush(model, true);
		break;
	case 3:
	case 4:
	case 5:
		soft_tlb_flush_page(tlb, gva);
		model_flush_page(model, gva);
		break;
	case 6:
	case 7:
		soft_tlb_forget(tlb, gva);
		model_forget(model, gva);
		break;
	default:
		if (draw(3)) {
			soft_tlb_insert(tlb, gva, level, gpa, flags);
			model_insert(model, false, level, gva, gpa, flags);
		} else {
			soft_tlb_insert_table(tlb, gva, level + 1, gpa, flags & ~X86_PTE_G);
			model_insert(model, true, level + 1, gva, gpa, flags & ~X86_PTE_G);
		}
	}
}

START_TEST(nothing_is_forgotten_but_what_is_flushed)
{
	static struct model model;
	struct soft_tlb tlb;

	seed = (uint64_t)_i * 7919 + 1;
	printf("seed %llu\n", (unsigned long long)seed);
	model.count = 0;
	soft_tlb_init(&tlb, 0, 0);
	for (unsigned int i = 0; i < 20000 && model.count < ENTRIES; i++) {
		step(&tlb, &model);
		check_same(&tlb, &model, draw_gva());
	}
	soft_tlb_fini(&tlb);
}
END_TEST

START_TEST(many_pages_are_all_remembered)
{
	struct soft_tlb tlb;
	unsigned int shift;

	soft_tlb_init(&tlb, 0, 0);
	for (uint64_t i = 0; i < SOFT_TLB_LIMIT_DEFAULT; i++)
		soft_tlb_insert(&tlb, i << 12, 1, i << 12, X86_PTE_P);
	for (uint64_t i = 0; i < SOFT_TLB_LIMIT_DEFAULT; i++)
		ck_assert_ptr_nonnull(soft_tlb_find(&tlb, i << 12, &shift));
	soft_tlb_fini(&tlb);
}
END_TEST

static uint64_t count_remembered(struct soft_tlb *tlb, uint64_t pages)
{
	uint64_t count = 0;
	unsigned int shift;

	for (uint64_t i = 0; i < pages; i++)
		count += soft_tlb_find(tlb, i << 12, &shift) != NULL;
	return count;
}

START_TEST(a_limited_one_holds_its_limit_and_draws_from_its_seed)
{
	uint64_t first[2] = {0};

	for (int run = 0; run < 3; run++) {
		struct soft_tlb tlb;
		uint64_t held = 0;
		unsigned int shift;

		soft_tlb_init(&tlb, 64, run < 2 ? 5 : 6);
		for (uint64_t i = 0; i < 1000; i++) {
			soft_tlb_insert(&tlb, i << 12, 1, i << 12, X86_PTE_P);
			ck_assert_ptr_nonnull(soft_tlb_find(&tlb, i << 12, &shift));
		}
		ck_assert_uint_eq(count_remembered(&tlb, 1000), 64);
		for (uint64_t i = 0; i < 1000; i++)
			held = held * 31 + (soft_tlb_find(&tlb, i << 12, &shift) != NULL);
		if (run == 0)
			first[0] = held;
		else
			ck_assert_int_eq(held == first[0], run == 1);
		soft_tlb_fini(&tlb);
	}
}
END_TEST

/* Entries that died by a load of CR3 take no place from those that live. */
START_TEST(the_dead_do_not_count)
{
	struct soft_tlb tlb;

	soft_tlb_init(&tlb, 64, 1);
	for (int round = 0; round < 10; round++) {
		soft_tlb_flush_local(&tlb);
		for (uint64_t i = 0; i < 64; i++)
			soft_tlb_insert(&tlb, i << 12, 1, i << 12, X86_PTE_P);
		ck_assert_uint_eq(count_remembered(&tlb, 64), 64);
	}
	soft_tlb_fini(&tlb);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tlb");
	TCase *tcase = tcase_create("tlb");

	tcase_add_loop_test(tcase, nothing_is_forgotten_but_what_is_flushed, 0, 20);
	tcase_add_test(tcase, many_pages_are_all_remembered);
	tcase_add_test(tcase, a_limited_one_holds_its_limit_and_draws_from_its_seed);
	tcase_add_test(tcase, the_dead_do_not_count);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
