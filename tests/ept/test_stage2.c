/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Second-stage tables of both formats: edits against a naive array of pages, whole or nothing
 * when tables run out, and what walks and iterations read.
 */
#include <errno.h>
#include <string.h>

#include "ept/stage2.h"
#include "mm/x86.h"
#include "tests/harness.h"
#include "tests/ept/random.h"

#define PAGE  EPT_PAGE_BYTES
#define POOL  256
#define BASE  0xfc000000ULL /* the universe crosses a 1 GiB border */
#define PAGES 32768u        /* 128 MiB */
#define RWX   (STAGE2_R | STAGE2_W | STAGE2_X | STAGE2_XU)
#define BIG   (1ULL << 30)
#define WIDTH 46

/* Tables in a pool; page numbers from 1, so that no table is at 0. */
struct pool {
	uint64_t pages[POOL][512];
	bool used[POOL];
	unsigned int left; /* allocations until one fails */
};

static struct pool pool;

static int pool_alloc(void *context, hpa_t *table_out)
{
	unsigned int i;

	if (pool.left == 0)
		return -ENOMEM;
	pool.left--;
	for (i = 0; pool.used[i]; i++)
		ck_assert_uint_lt(i, POOL - 1);
	pool.used[i] = true;
	memset(pool.pages[i], 0, PAGE);
	*table_out = hpa_make((i + 1) * PAGE);
	return 0;
}

static uint64_t *pool_table(void *context, hpa_t table)
{
	uint64_t i = table.value / PAGE - 1;

	return i < POOL && pool.used[i] ? pool.pages[i] : NULL;
}

static const uint64_t *pool_read(void *context, hpa_t table)
{
	return pool_table(context, table);
}

static void pool_free(void *context, hpa_t table)
{
	ck_assert_ptr_nonnull(pool_table(context, table));
	pool.used[table.value / PAGE - 1] = false;
}

static unsigned int pool_count(void)
{
	unsigned int i, count = 0;

	for (i = 0; i < POOL; i++)
		count += pool.used[i];
	return count;
}

static const struct stage2_reader reader = {pool_read, NULL};
static const struct stage2_attributes wb_rwx = {.rights = RWX, .memory_type = EPT_WB};

static struct stage2_tables new_tables(enum stage2_kind kind)
{
	struct stage2_tables tables = {
		.pages = {pool_alloc, pool_free, pool_table, NULL},
	};
	hpa_t root;

	memset(&pool, 0, sizeof(pool));
	pool.left = UINT32_MAX;
	ck_assert_int_eq(pool_alloc(NULL, &root), 0);
	tables.mode = stage2_mode_make(kind, root, WIDTH);
	return tables;
}

static struct stage2_walk walk_of(const struct stage2_tables *tables, uint64_t gpa)
{
	struct stage2_walk walk;

	stage2_walk(&tables->mode, &reader, gpa_make(gpa), &walk);
	return walk;
}

/* ---- against a naive array ---- */

struct naive_page {
	uint64_t hpa;
	unsigned int rights; /* 0: not mapped */
};

static struct naive_page naive[PAGES];

/* Check reports every assertion that holds to another process: too slow for millions. */
static void must_agree(const struct stage2_tables *tables)
{
	struct stage2_walk walk;
	uint64_t i;
	bool good;

	for (i = 0; i < PAGES; i++) {
		walk = walk_of(tables, BASE + i * PAGE);
		if (naive[i].rights == 0)
			good = walk.status == STAGE2_NOT_PRESENT;
		else
			good = walk.status == STAGE2_MAPPED && walk.hpa.value == naive[i].hpa &&
			       walk.rights == naive[i].rights;
		if (!good)
			ck_abort_msg("page %llu: status %d, %#llx rights %x, not %#llx rights %x",
				     (unsigned long long)i, (int)walk.status,
				     (unsigned long long)walk.hpa.value, walk.rights,
				     (unsigned long long)naive[i].hpa, naive[i].rights);
	}
}

static int count_leaf(void *context, const struct stage2_leaf *leaf)
{
	uint64_t *bytes = context;

	*bytes += leaf->page_bytes;
	return 0;
}

/* The iteration's sum is the naive one: no leaf anywhere else. */
static void must_sum_up(const struct stage2_tables *tables)
{
	uint64_t bytes = 0, want = 0, i;
	struct stage2_visitor visitor = {.leaf = count_leaf, .context = &bytes};

	for (i = 0; i < PAGES; i++)
		want += naive[i].rights ? PAGE : 0;
	ck_assert_int_eq(stage2_for_each(&tables->mode, &reader, gpa_make(0), gpa_make(UINT64_MAX),
					 0, &visitor),
			 0);
	ck_assert_uint_eq(bytes, want);
}

static unsigned int random_rights(enum stage2_kind kind, uint64_t *random)
{
	static const unsigned int choices[] = {STAGE2_R, STAGE2_R | STAGE2_W, RWX,
					       STAGE2_R | STAGE2_X | STAGE2_XU,
					       STAGE2_X | STAGE2_XU};

	return choices[random_below(random, kind == STAGE2_EPT ? 5 : 4)];
}

/* A page number, often at a 2 MiB border. */
static uint64_t random_page(uint64_t *random)
{
	uint64_t page = random_below(random, PAGES);

	return random_below(random, 2) ? page : page & ~511ULL;
}

struct step {
	unsigned int kind; /* 0 map, 1 unmap, 2 protect, 3 merge, 4 split */
	uint64_t first, pages, hpa;
	unsigned int rights;
};

static struct step random_step(enum stage2_kind kind, uint64_t *random)
{
	struct step step = {.kind = (unsigned int)random_below(random, 5),
			    .first = random_page(random),
			    .rights = random_rights(kind, random)};
	uint64_t end = random_page(random);

	if (end <= step.first)
		end = step.first + 1 + random_below(random, 600);
	if (end > PAGES)
		end = PAGES;
	step.pages = end - step.first;
	/* Often congruent with the address, so that large leaves come about. */
	step.hpa = random_below(random, 3) ? BIG * 3 + BASE % BIG + step.first * PAGE
					   : random_below(random, 1ULL << 33) * PAGE;
	return step;
}

static int do_step(struct stage2_tables *tables, const struct step *step)
{
	struct stage2_attributes attributes = {.rights = step->rights, .memory_type = EPT_WB};
	gpa_t start = gpa_make(BASE + step->first * PAGE);

	switch (step->kind) {
	case 0:
		return stage2_map(tables, start, hpa_make(step->hpa), step->pages * PAGE, BIG,
				  &attributes);
	case 1:
		return stage2_unmap(tables, start, step->pages * PAGE);
	case 2:
		return stage2_protect(tables, start, step->pages * PAGE, step->rights);
	case 3:
		return stage2_merge(tables, start, EPT_PAGE_2M_BYTES);
	default:
		return stage2_split(tables, start, PAGE);
	}
}

static bool naive_range_is_free(const struct step *step)
{
	uint64_t i;

	for (i = step->first; i < step->first + step->pages; i++)
		if (naive[i].rights)
			return false;
	return true;
}

static void naive_step(const struct step *step)
{
	uint64_t i;

	for (i = step->first; i < step->first + step->pages && step->kind <= 2; i++) {
		if (step->kind == 0)
			naive[i].hpa = step->hpa + (i - step->first) * PAGE;
		if (step->kind == 0 || naive[i].rights)
			naive[i].rights = step->kind == 1 ? 0 : step->rights;
	}
}

START_TEST(edits_agree_with_a_naive_array)
{
	enum stage2_kind kind = _i ? STAGE2_NPT : STAGE2_EPT;
	struct stage2_tables tables = new_tables(kind);
	uint64_t random = random_seed("stage2");
	struct step step;
	int i, err, mapped = 0;

	memset(naive, 0, sizeof(naive));
	for (i = 0; i < 600; i++) {
		step = random_step(kind, &random);
		pool.left = random_below(&random, 4) ? UINT32_MAX
						     : (unsigned int)random_below(&random, 4);
		err = do_step(&tables, &step);
		if (step.kind == 0 && !naive_range_is_free(&step))
			ck_assert_int_eq(err, -EEXIST);
		else if (step.kind <= 2)
			ck_assert(err == 0 || (err == -ENOMEM && pool.left == 0));
		if (!err)
			naive_step(&step);
		mapped += step.kind == 0 && !err;
		must_agree(&tables);
		must_sum_up(&tables);
	}
	ck_assert_int_gt(mapped, 10);
	stage2_clear(&tables);
	ck_assert_uint_eq(pool_count(), 1);
}
END_TEST

/* ---- leaves ---- */

START_TEST(the_largest_leaves_that_fit_are_used)
{
	struct stage2_tables tables = new_tables(_i ? STAGE2_NPT : STAGE2_EPT);
	gpa_t start = gpa_make(BIG - EPT_PAGE_2M_BYTES - PAGE);
	hpa_t hpa = hpa_make(5 * BIG - EPT_PAGE_2M_BYTES - PAGE);

	ck_assert_int_eq(
		stage2_map(&tables, start, hpa, BIG + 2 * (EPT_PAGE_2M_BYTES + PAGE), BIG, &wb_rwx),
		0);
	ck_assert_uint_eq(walk_of(&tables, start.value).page_bytes, PAGE);
	ck_assert_uint_eq(walk_of(&tables, start.value + PAGE).page_bytes, EPT_PAGE_2M_BYTES);
	ck_assert_uint_eq(walk_of(&tables, BIG).page_bytes, BIG);
	ck_assert_uint_eq(walk_of(&tables, 2 * BIG).page_bytes, EPT_PAGE_2M_BYTES);
	ck_assert_uint_eq(walk_of(&tables, 2 * BIG + EPT_PAGE_2M_BYTES).page_bytes, PAGE);
	ck_assert_uint_eq(walk_of(&tables, BIG + 0x1234567).hpa.value, 5 * BIG + 0x1234567);
	stage2_clear(&tables);
	ck_assert_int_eq(
		stage2_map(&tables, gpa_make(0), hpa_make(0), BIG, EPT_PAGE_2M_BYTES, &wb_rwx), 0);
	ck_assert_uint_eq(walk_of(&tables, 0).page_bytes, EPT_PAGE_2M_BYTES);
	stage2_clear(&tables);
	ck_assert_int_eq(
		stage2_map(&tables, gpa_make(0), hpa_make(PAGE), EPT_PAGE_2M_BYTES, BIG, &wb_rwx),
		0);
	ck_assert_uint_eq(walk_of(&tables, 0).page_bytes, PAGE);
}
END_TEST

START_TEST(split_and_merge_undo_each_other_bit_by_bit)
{
	enum stage2_kind kind = _i ? STAGE2_NPT : STAGE2_EPT;
	struct stage2_tables tables = new_tables(kind);
	struct stage2_attributes attributes = {.rights = STAGE2_R | STAGE2_W,
					       .memory_type = EPT_WT,
					       .ignore_pat = true,
					       .suppress_ve = true};
	uint64_t before, *entry, pat = X86_PTE_PAT_BIG, i;
	struct stage2_walk walk;

	ck_assert_int_eq(
		stage2_map(&tables, gpa_make(BIG), hpa_make(7 * BIG), BIG, BIG, &attributes), 0);
	walk = walk_of(&tables, BIG);
	entry = &pool_table(NULL, hpa_make(walk.entries[1].address.value &
					   ~0xfffULL))[walk.entries[1].address.value % PAGE / 8];
	if (kind == STAGE2_NPT)
		*entry |= pat;
	before = *entry;
	ck_assert_int_eq(stage2_split(&tables, gpa_make(BIG + 0x344000), PAGE), 0);
	walk = walk_of(&tables, BIG + 0x344678);
	ck_assert_uint_eq(walk.page_bytes, PAGE);
	ck_assert_uint_eq(walk.hpa.value, 7 * BIG + 0x344678);
	ck_assert_uint_eq(walk.rights, attributes.rights);
	if (kind == STAGE2_NPT)
		ck_assert_uint_eq(walk.entries[3].value & (X86_PTE_PAT | X86_PTE_PAT_BIG),
				  X86_PTE_PAT);
	ck_assert_uint_eq(walk_of(&tables, BIG + 0x445678).page_bytes, EPT_PAGE_2M_BYTES);
	ck_assert_int_eq(stage2_merge(&tables, gpa_make(BIG), BIG), -EAGAIN);
	/* The processor marks one page accessed and dirty: the merged leaf must be both. */
	walk = walk_of(&tables, BIG + 0x344678);
	pool_table(NULL, hpa_make(walk.entries[3].address.value &
				  ~0xfffULL))[walk.entries[3].address.value % PAGE / 8] |=
		kind == STAGE2_NPT ? X86_PTE_A | X86_PTE_D : EPT_BIT_ACCESSED | EPT_BIT_DIRTY;
	ck_assert_int_eq(stage2_merge(&tables, gpa_make(BIG + 0x200000), EPT_PAGE_2M_BYTES), 0);
	for (i = 0; i < 512; i++)
		ck_assert_int_ne(stage2_merge(&tables, gpa_make(BIG + i * EPT_PAGE_2M_BYTES),
					      EPT_PAGE_2M_BYTES),
				 0);
	ck_assert_int_eq(stage2_merge(&tables, gpa_make(BIG), BIG), 0);
	ck_assert_uint_eq(*entry, before | (kind == STAGE2_NPT ? X86_PTE_A | X86_PTE_D
							       : EPT_BIT_ACCESSED | EPT_BIT_DIRTY));
	ck_assert_uint_eq(pool_count(), 2);
}
END_TEST

START_TEST(leaves_that_differ_do_not_merge)
{
	struct stage2_tables tables = new_tables(_i ? STAGE2_NPT : STAGE2_EPT);
	gpa_t start = gpa_make(0);

	ck_assert_int_eq(stage2_map(&tables, start, hpa_make(0), EPT_PAGE_2M_BYTES, PAGE, &wb_rwx),
			 0);
	ck_assert_int_eq(stage2_protect(&tables, gpa_make(7 * PAGE), PAGE, STAGE2_R), 0);
	ck_assert_int_eq(stage2_merge(&tables, start, EPT_PAGE_2M_BYTES), -EAGAIN);
	ck_assert_int_eq(stage2_protect(&tables, gpa_make(7 * PAGE), PAGE, RWX), 0);
	ck_assert_int_eq(stage2_unmap(&tables, gpa_make(511 * PAGE), PAGE), 0);
	ck_assert_int_eq(stage2_merge(&tables, start, EPT_PAGE_2M_BYTES), -EAGAIN);
	ck_assert_int_eq(stage2_map(&tables, gpa_make(511 * PAGE), hpa_make(512 * PAGE), PAGE, PAGE,
				    &wb_rwx),
			 0);
	ck_assert_int_eq(stage2_merge(&tables, start, EPT_PAGE_2M_BYTES), -EAGAIN);
	ck_assert_int_eq(stage2_unmap(&tables, gpa_make(511 * PAGE), PAGE), 0);
	ck_assert_int_eq(stage2_map(&tables, gpa_make(511 * PAGE), hpa_make(511 * PAGE), PAGE, PAGE,
				    &wb_rwx),
			 0);
	ck_assert_int_eq(stage2_merge(&tables, start, EPT_PAGE_2M_BYTES), 0);
	ck_assert_int_eq(stage2_merge(&tables, start, EPT_PAGE_2M_BYTES), -EAGAIN);
}
END_TEST

START_TEST(what_cannot_be_expressed_is_refused)
{
	struct stage2_tables ept = new_tables(STAGE2_EPT), npt;
	struct stage2_attributes bad = {.rights = STAGE2_W, .memory_type = EPT_WB};
	gpa_t zero = gpa_make(0);
	hpa_t page = hpa_make(PAGE);

	ck_assert_int_eq(stage2_map(&ept, zero, page, PAGE, BIG, &bad), -EINVAL);
	bad.rights = 0;
	ck_assert_int_eq(stage2_map(&ept, zero, page, PAGE, BIG, &bad), -EINVAL);
	bad.rights = RWX;
	bad.memory_type = (enum ept_memory_type)3;
	ck_assert_int_eq(stage2_map(&ept, zero, page, PAGE, BIG, &bad), -EINVAL);
	ck_assert_int_eq(stage2_protect(&ept, zero, PAGE, 0), -EINVAL);
	ck_assert_int_eq(stage2_protect(&ept, zero, PAGE, STAGE2_W), -EINVAL);
	ck_assert_int_eq(stage2_protect(&ept, zero, PAGE, STAGE2_X | STAGE2_XU), 0);
	ept.mode.capabilities.execute_only = false;
	ck_assert_int_eq(stage2_protect(&ept, zero, PAGE, STAGE2_X | STAGE2_XU), -EINVAL);
	ck_assert_int_eq(stage2_map(&ept, gpa_make(1), page, PAGE, BIG, &wb_rwx), -EINVAL);
	ck_assert_int_eq(stage2_map(&ept, zero, page, 0, BIG, &wb_rwx), -EINVAL);
	ck_assert_int_eq(stage2_map(&ept, gpa_make(1ULL << 48), page, PAGE, BIG, &wb_rwx), -EINVAL);
	ck_assert_int_eq(stage2_map(&ept, zero, hpa_make(1ULL << WIDTH), PAGE, BIG, &wb_rwx),
			 -EINVAL);
	ck_assert_int_eq(stage2_split(&ept, zero, PAGE), -ENOENT);
	ck_assert_int_eq(stage2_split(&ept, zero, 12345), -EINVAL);
	npt = new_tables(STAGE2_NPT);
	ck_assert_int_eq(stage2_protect(&npt, zero, PAGE, STAGE2_X | STAGE2_XU), -EINVAL);
	npt.mode.no_nxe = true;
	ck_assert_int_eq(stage2_protect(&npt, zero, PAGE, STAGE2_R), -EINVAL);
	ck_assert_int_eq(stage2_protect(&npt, zero, PAGE, RWX), 0);
}
END_TEST

/* ---- reading what others wrote ---- */

/* Found by tests/fuzz/fuzz_stage2: such entries were taken for leaves, or read through. */
START_TEST(what_cannot_be_followed_is_not_edited)
{
	struct stage2_tables tables = new_tables(_i ? STAGE2_NPT : STAGE2_EPT);
	uint64_t *root = pool_table(NULL, tables.mode.root), missing = 0x7ffff000ULL | 7;

	root[0] = missing;
	ck_assert_int_eq(stage2_split(&tables, gpa_make(0), PAGE), -EINVAL);
	ck_assert_int_eq(stage2_unmap(&tables, gpa_make(PAGE), PAGE), 0);
	ck_assert_int_eq(stage2_map(&tables, gpa_make(0), hpa_make(0), PAGE, PAGE, &wb_rwx),
			 -EEXIST);
	ck_assert_uint_eq(root[0], missing);
	/* A leaf where the format has none. */
	root[0] = missing | EPT_BIT_LARGE;
	ck_assert_int_eq(stage2_split(&tables, gpa_make(0), BIG), -EINVAL);
	ck_assert_int_eq(stage2_unmap(&tables, gpa_make(PAGE), PAGE), -EINVAL);
	ck_assert_uint_eq(root[0], missing | EPT_BIT_LARGE);
	root[0] = 0;
	ck_assert_int_eq(stage2_map(&tables, gpa_make(0), hpa_make(0), PAGE, PAGE, &wb_rwx), 0);
	pool_table(NULL, hpa_make(root[0] & EPT_ADDRESS_MASK))[1] = missing;
	ck_assert_int_eq(stage2_merge(&tables, gpa_make(BIG), BIG), -EAGAIN);
}
END_TEST

START_TEST(each_format_reads_its_own_bits)
{
	struct stage2_tables tables = new_tables(STAGE2_EPT);
	struct stage2_walk walk;

	/* EPT: execute-only is present although bit 0 is clear. */
	pool.pages[0][0] = 0x2000 | EPT_BIT_EXECUTE;
	pool.used[1] = true;
	pool.pages[1][0] = EPT_BIT_EXECUTE | EPT_BIT_LARGE | EPT_WB << EPT_MEMORY_TYPE_SHIFT;
	walk = walk_of(&tables, 0x1234);
	ck_assert_int_eq(walk.status, STAGE2_MAPPED);
	ck_assert_uint_eq(walk.rights, STAGE2_X | STAGE2_XU);
	ck_assert_uint_eq(walk.page_bytes, BIG);
	/* Mode-based: bit 10 alone makes it present, for user fetches. */
	tables.mode.mode_based = true;
	pool.pages[0][0] |= EPT_BIT_USER_EXECUTE;
	pool.pages[1][0] ^= EPT_BIT_EXECUTE | EPT_BIT_USER_EXECUTE;
	ck_assert_uint_eq(walk_of(&tables, 0).rights, STAGE2_XU);
	pool.pages[1][0] ^= EPT_BIT_WRITE;
	walk = walk_of(&tables, 0);
	ck_assert_int_eq(walk.status, STAGE2_MISCONFIGURED);
	ck_assert_uint_eq(walk.level, 3);
	pool.pages[1][0] = EPT_BIT_READ | EPT_BIT_LARGE | 7 << EPT_MEMORY_TYPE_SHIFT;
	ck_assert_int_eq(walk_of(&tables, 0).status, STAGE2_MISCONFIGURED);
	tables.mode.mode_based = false;
	tables.mode.capabilities.execute_only = false;
	pool.pages[1][0] = EPT_BIT_EXECUTE | EPT_BIT_LARGE;
	ck_assert_int_eq(walk_of(&tables, 0).status, STAGE2_MISCONFIGURED);

	/* NPT: present, but a supervisor page: nothing is granted. */
	tables.mode.kind = STAGE2_NPT;
	pool.pages[0][0] = 0x2000 | X86_PTE_P | X86_PTE_RW | X86_PTE_US;
	pool.pages[1][0] = X86_PTE_P | X86_PTE_RW | X86_PTE_PS;
	walk = walk_of(&tables, 0);
	ck_assert_int_eq(walk.status, STAGE2_MAPPED);
	ck_assert_uint_eq(walk.rights, 0);
	pool.pages[1][0] |= X86_PTE_US | X86_PTE_NX;
	ck_assert_uint_eq(walk_of(&tables, 0).rights, STAGE2_R | STAGE2_W);
	tables.mode.no_nxe = true;
	ck_assert_int_eq(walk_of(&tables, 0).status, STAGE2_MISCONFIGURED);
	ck_assert_int_eq(walk_of(&tables, 1ULL << 48).status, STAGE2_TOO_WIDE);
	ck_assert_int_eq(walk_of(&tables, UINT64_MAX).status, STAGE2_TOO_WIDE);
	pool.used[1] = false;
	walk = walk_of(&tables, 0);
	ck_assert_int_eq(walk.status, STAGE2_NO_TABLE);
	ck_assert_uint_eq(walk.level, 3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stage2");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, edits_agree_with_a_naive_array, 0, 2);
	tcase_add_loop_test(tcase, the_largest_leaves_that_fit_are_used, 0, 2);
	tcase_add_loop_test(tcase, split_and_merge_undo_each_other_bit_by_bit, 0, 2);
	tcase_add_loop_test(tcase, leaves_that_differ_do_not_merge, 0, 2);
	tcase_add_test(tcase, what_cannot_be_expressed_is_refused);
	tcase_add_loop_test(tcase, what_cannot_be_followed_is_not_edited, 0, 2);
	tcase_add_test(tcase, each_format_reads_its_own_bits);
	tcase_set_timeout(tcase, 120);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
