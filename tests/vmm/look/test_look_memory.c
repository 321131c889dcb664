/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looks and cores without memory: whichever allocation fails, the call says so, gives no result and
 * loses nothing, which a build with sanitizers sees; and a core with more pieces than it may have.
 * Linked with malloc(), calloc() and realloc() wrapped.
 */
#include "tests/harness.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/vmm/inspect/core_mix.h"
#include "vmm/dump/core.h"
#include "vmm/look/diff.h"
#include "vmm/look/maps.h"
#include "vmm/look/search.h"
#include "vmm/look/tree.h"

static long until_failure; /* counts down to the call that fails; 0: none */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

static bool fails_now(void)
{
	return until_failure > 0 && --until_failure == 0;
}

void *__wrap_malloc(size_t bytes)
{
	return fails_now() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return fails_now() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
	return fails_now() ? NULL : __real_realloc(old, bytes);
}

/* ---- what is called: 0, or -ENOMEM ---- */

static int count_map(void *context, const struct look_map *map)
{
	return 0;
}

static int maps(struct inspector *inspector)
{
	const struct look_maps_query query = {.start = 0};

	return look_maps(inspector, &query, count_map, NULL, NULL);
}

static int count_hit(void *context, uint64_t address)
{
	return 0;
}

static int search(struct inspector *inspector)
{
	const struct look_search_query query = {.pattern = "x", .pattern_bytes = 1, .max_hits = 1};
	struct look_search_sum sum;

	return look_search(inspector, &query, count_hit, NULL, &sum);
}

static int tree(struct inspector *inspector)
{
	struct look_tree result;
	int err = look_tree(inspector, 0, 0, &result);

	if (!err)
		look_tree_free(&result);
	return err;
}

static int snapshot(struct inspector *inspector)
{
	struct look_snapshot *result;
	int err = look_snapshot(inspector, &result);

	if (!err)
		look_snapshot_free(result);
	return err;
}

static int count_mapping(void *context, const struct look_mapping *mapping)
{
	return 0;
}

static int mappings(struct inspector *inspector)
{
	return look_mappings_of(inspector, NULL, 0x1000, count_mapping, NULL);
}

static int enough(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	return done_bytes > 1 << 20;
}

static int core(struct inspector *inspector)
{
	const struct core_options options = {
		.zstd = true, .progress = enough, .layout = "A=1\nB=2", .layout_bytes = 7};
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC), err;

	err = core_write(inspector, fd, &options, NULL, NULL);
	close(fd);
	return err == -ECANCELED ? 0 : err;
}

static const struct {
	const char *name;
	int (*call)(struct inspector *inspector);
	long least; /* allocations it makes */
} calls[] = {
	{"maps", maps, 1},         {"search", search, 2},     {"tree", tree, 1},
	{"snapshot", snapshot, 6}, {"mappings", mappings, 1}, {"core", core, 7},
};

START_TEST(a_call_without_memory_says_so)
{
	struct mix *mix = mix_create();
	long failed = 0;

	for (long nth = 1;; nth++, failed++) {
		int err;

		until_failure = nth;
		err = calls[_i].call(mix->source->inspector);
		if (!err)
			break;
		ck_assert_int_eq(err, -ENOMEM);
	}
	until_failure = 0;
	ck_assert_msg(failed >= calls[_i].least, "%s: %ld allocations", calls[_i].name, failed);
	mix_destroy(mix);
}
END_TEST

/* ---- a core of more pieces than it may have ---- */

/* Every second page of 256 MiB, all of them one frame: no two make one range. */
static void map_pieces(struct mix *mix, u64 pieces)
{
	for (u64 i = 0; i < pieces; i++)
		mix_map(mix, 0xffffb00000000000 + 2 * i * PAGE_SIZE, 0x5000, PAGE_KERNEL_RO);
}

static int headers_only(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	return 1;
}

START_TEST(a_core_has_no_more_headers_than_it_may)
{
	const struct core_options options = {.progress = headers_only};
	struct mix *mix = mix_create();
	int fd = memfd_create("core", MFD_CLOEXEC);
	Elf64_Ehdr header;

	ck_assert_int_ge(fd, 0);
	map_pieces(mix, CORE_ALIASES_MAX + 100);
	ck_assert_int_eq(core_write(mix->source->inspector, fd, &options, NULL, NULL), -ECANCELED);
	ck_assert_int_eq(pread(fd, &header, sizeof(header), 0), sizeof(header));
	ck_assert_uint_eq(header.e_phnum, CORE_ALIASES_MAX + 1);
	close(fd);
	mix_destroy(mix);
}
END_TEST

START_TEST(senseless_options_are_refused)
{
	const struct core_options lines = {.release = "two\nlines"};
	const struct core_options level = {.zstd = true, .level = 1000};
	struct mix *mix = mix_create();
	struct error error = {""};
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	ck_assert_int_eq(core_write(mix->source->inspector, fd, &lines, NULL, &error), -EINVAL);
	ck_assert_int_eq(core_write(mix->source->inspector, fd, &level, NULL, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "1000"));
	close(fd);
	mix_destroy(mix);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("look_memory");
	TCase *tests = tcase_create("memory");

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, a_call_without_memory_says_so, 0, (int)ARRAY_SIZE(calls));
	tcase_add_test(tests, a_core_has_no_more_headers_than_it_may);
	tcase_add_test(tests, senseless_options_are_refused);
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
