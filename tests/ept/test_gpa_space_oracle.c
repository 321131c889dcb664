/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The address space against a naive list: random adds, removes, copies and
 * translations in a small universe of pages at both ends of the physical width, each result and
 * each byte compared with a model that keeps one owner per page.
 */
#include <errno.h>
#include <string.h>

#include "ept/gpa_space.h"
#include "tests/harness.h"
#include "tests/ept/random.h"

#define PAGE    EPT_PAGE_BYTES
#define PAGES   96
#define REGIONS 12
#define BITS    52
#define STEPS   4000

struct model_region {
	bool used;
	enum gpa_kind kind;
	uint64_t first, pages;
	uint8_t stamp[PAGES]; /* what each page of it holds */
	const struct gpa_region *real;
};

struct model {
	struct gpa_space *space;
	uint64_t base; /* page number of the universe's first page */
	struct model_region regions[REGIONS];
	uint64_t random;
};

static struct error error;

static gpa_t page_gpa(const struct model *model, uint64_t page)
{
	return gpa_make((model->base + page) * PAGE);
}

static bool has_bytes(const struct model_region *region)
{
	return region->kind == GPA_RAM || region->kind == GPA_ROM;
}

static struct model_region *owner(struct model *model, uint64_t page)
{
	struct model_region *region;

	for (region = model->regions; region < model->regions + REGIONS; region++)
		if (region->used && page >= region->first && page < region->first + region->pages)
			return region;
	return NULL;
}

/* What adding must return. */
static int expected(struct model *model, uint64_t first, uint64_t pages)
{
	uint64_t page;

	if (pages == 0)
		return -EINVAL;
	if ((model->base + first + pages) * PAGE > 1ULL << BITS)
		return -ERANGE;
	for (page = first; page < first + pages; page++) {
		if (owner(model, page))
			return -EEXIST;
	}
	return 0;
}

static uint64_t draw(struct model *model, uint64_t bound)
{
	return random_below(&model->random, bound);
}

static void step_add(struct model *model, struct model_region *region, size_t index)
{
	struct gpa_request request = {.kind = (enum gpa_kind)draw(model, 4)};
	uint64_t first = draw(model, PAGES), pages = draw(model, 16);
	char name[8];
	int want = expected(model, first, pages);

	snprintf(name, sizeof(name), "r%zu", index);
	request.name = name;
	request.start = page_gpa(model, first);
	request.size_bytes = pages * PAGE;
	request.backing.kind = draw(model, 2) ? GPA_BACKING_MEMFD : GPA_BACKING_ANON;
	ck_assert_int_eq(gpa_space_add(model->space, &request, &region->real, &error), want);
	if (want)
		return;
	memset(region->stamp, 0, sizeof(region->stamp));
	region->used = true;
	region->kind = request.kind;
	region->first = first;
	region->pages = pages;
}

static void step_remove(struct model *model, struct model_region *region)
{
	ck_assert_int_eq(gpa_space_remove(model->space, region->real, &error), 0);
	region->used = false;
}

/* Writes one byte to every page of a random range, in one call. */
static void step_write(struct model *model)
{
	uint64_t first = draw(model, PAGES), pages = 1 + draw(model, 8), page;
	static uint8_t buffer[8 * PAGE];
	struct model_region *region;
	uint8_t stamp = (uint8_t)draw(model, 256);
	int want = 0;

	memset(buffer, stamp, sizeof(buffer));
	for (page = first; page < first + pages && !want; page++) {
		region = owner(model, page);
		if (!region || !has_bytes(region))
			want = -EFAULT;
		else if (region->kind == GPA_ROM)
			want = -EROFS;
	}
	ck_assert_int_eq(
		gpa_space_write(model->space, page_gpa(model, first), buffer, pages * PAGE), want);
	for (page = first; page < first + pages && !want; page++) {
		region = owner(model, page);
		region->stamp[page - region->first] = stamp;
	}
}

/* What a page without memory must answer. */
static bool page_is_no_memory(struct model *model, gpa_t last)
{
	uint8_t byte;
	void *host;

	return gpa_space_read(model->space, last, &byte, 1) == -EFAULT &&
	       gpa_space_translate(model->space, last, 1, &host) == -EFAULT;
}

/* What a page of memory must answer. */
static bool page_has_byte(struct model *model, gpa_t last, uint8_t stamp, bool more_follows)
{
	uint8_t byte = 0;
	void *host;

	return gpa_space_read(model->space, last, &byte, 1) == 0 && byte == stamp &&
	       gpa_space_translate(model->space, last, 1, &host) == 0 &&
	       *(uint8_t *)host == stamp &&
	       gpa_space_translate(model->space, last, 2, &host) == (more_follows ? 0 : -EFAULT);
}

static void check_page(struct model *model, uint64_t page)
{
	gpa_t first = page_gpa(model, page), last = gpa_add(first, PAGE - 1);
	struct model_region *region = owner(model, page);
	const struct gpa_region *real = region ? region->real : NULL;
	bool good = gpa_space_find(model->space, first) == real &&
		    gpa_space_find(model->space, last) == real;

	if (good && region && has_bytes(region))
		good = page_has_byte(model, last, region->stamp[page - region->first],
				     page + 1 < region->first + region->pages);
	else if (good)
		good = page_is_no_memory(model, last);
	/* An assertion that holds costs too much to make for every page. */
	if (!good)
		ck_abort_msg("page %llu differs from the naive list", (unsigned long long)page);
}

static void step(struct model *model)
{
	size_t index = draw(model, REGIONS), count = 0, i;
	struct model_region *region = &model->regions[index];
	uint64_t page;

	if (!region->used)
		step_add(model, region, index);
	else if (draw(model, 4) == 0)
		step_remove(model, region);
	step_write(model);
	ck_assert_msg(gpa_space_check(model->space, &error) == 0, "%s", error.text);
	for (page = 0; page < PAGES; page++)
		check_page(model, page);
	for (i = 0; i < REGIONS; i++)
		count += model->regions[i].used;
	ck_assert_uint_eq(gpa_space_count(model->space), count);
}

START_TEST(agrees_with_a_naive_list)
{
	struct model model = {.random = random_seed("gpa_space_oracle") + (uint64_t)_i};
	int i;

	/* One universe starts at page 0, the other crosses the end of the physical width. */
	model.base = _i ? (1ULL << (BITS - 12)) - PAGES + 8 : 0;
	ck_assert_int_eq(gpa_space_create(BITS, &model.space, &error), 0);
	for (i = 0; i < STEPS; i++)
		step(&model);
	gpa_space_destroy(model.space);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("gpa_space_oracle");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, agrees_with_a_naive_list, 0, 2);
	tcase_set_timeout(tcase, 120);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
