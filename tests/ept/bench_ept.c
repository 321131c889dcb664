/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the walks cost: leaves a second of the guest walk and of the two-dimensional one, over a
 * million mapped pages, in order and scattered. A benchmark: it prints, and fails only when the
 * work itself is wrong. The tables are built before the clock starts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ept/walk2d.h"
#include "mm/x86.h"
#include "tests/ept/random.h"

#define PAGE        EPT_PAGE_BYTES
#define LEAVES      1000000ULL
#define GUEST_BYTES (5ULL << 30) /* 4 GiB mapped, tables in the last */
#define TABLES_AT   (4ULL << 30)
#define GVA         0xffffc90000000000ULL
#define ROUNDS      5

static double now_seconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* ---- the host: tables of the second stage from a pool ---- */

static uint64_t (*pool)[512];
static uint64_t pool_used;
static struct gpa_space *space;

static int pool_alloc(void *context, hpa_t *table_out)
{
	*table_out = hpa_make(pool_used++ * PAGE);
	return 0;
}

static void pool_free(void *context, hpa_t table)
{
}

/* Host-physical addresses from 1 TiB on are the guest's memory, in order. */
#define GUEST_HPA (1ULL << 40)

static uint64_t *pool_table(void *context, hpa_t table)
{
	void *host;

	if (table.value < GUEST_HPA)
		return pool[table.value / PAGE];
	return gpa_space_translate(space, gpa_make(table.value - GUEST_HPA), PAGE, &host) == 0
		       ? host
		       : NULL;
}

static const uint64_t *pool_read(void *context, hpa_t table)
{
	return pool_table(context, table);
}

/* ---- the guest: a million pages of vmalloc ---- */

static uint64_t tables_next = TABLES_AT + PAGE;

static uint64_t *guest_entry(char *memory, uint64_t gva)
{
	uint64_t table = TABLES_AT, *entry;
	unsigned int level;

	for (level = 4;; level--) {
		entry = (uint64_t *)(memory + table) + (gva >> X86_LEVEL_SHIFT(level)) % 512;
		if (level == 1)
			return entry;
		if (*entry == 0) {
			*entry = tables_next | X86_PTE_P | X86_PTE_RW;
			tables_next += PAGE;
		}
		table = *entry & X86_PTE_ADDR_MASK;
	}
}

static void map_guest(char *memory, bool scattered)
{
	uint64_t random = 42, i, page;

	for (i = 0; i < LEAVES; i++) {
		page = scattered ? random_below(&random, TABLES_AT / PAGE) : i;
		*guest_entry(memory, GVA + i * PAGE) =
			page * PAGE | X86_PTE_P | X86_PTE_RW | X86_PTE_NX;
	}
}

/* ---- what is measured ---- */

static uint64_t count, sum;

static int see_leaf(void *context, const struct paging_leaf *leaf)
{
	count++;
	sum += leaf->gpa.value;
	return 0;
}

static int see_piece(void *context, const struct walk2d_piece *piece)
{
	count++;
	sum += piece->stage2_bytes ? piece->gpa.value : 1;
	return 0;
}

static void report(const char *what, double best)
{
	if (count != LEAVES) {
		fprintf(stderr, "bench_ept: %s: %llu leaves, not %llu\n", what,
			(unsigned long long)count, LEAVES);
		exit(EXIT_FAILURE);
	}
	printf("%-36s %7.1f million leaves/s  %6.2f ns each\n", what, (double)count / best * 1e-6,
	       best / (double)count * 1e9);
}

static double run(const struct paging_mode *mode, const struct walk2d_source *source)
{
	struct paging_reader reader = {source->table, source->context};
	struct paging_visitor visitor = {.leaf = see_leaf};

	count = 0;
	return paging_for_each(mode, &reader, gva_make(GVA), gva_make(GVA + LEAVES * PAGE), 0,
			       &visitor);
}

static void measure(const char *what, const struct paging_mode *mode,
		    const struct walk2d_source *source, bool both)
{
	double best = 1e9, start, took;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		start = now_seconds();
		count = 0;
		if (both)
			(void)walk2d_for_each(mode, source, gva_make(GVA),
					      gva_make(GVA + LEAVES * PAGE), 0, see_piece, NULL);
		else
			(void)run(mode, source);
		took = now_seconds() - start;
		best = took < best ? took : best;
	}
	report(what, best);
}

static void measure_tables(const char *what, const struct paging_mode *mode, enum stage2_kind kind,
			   uint64_t leaf_bytes)
{
	struct stage2_attributes attributes = {.rights = STAGE2_R | STAGE2_W | STAGE2_X | STAGE2_XU,
					       .memory_type = EPT_WB};
	struct stage2_tables second = {.pages = {pool_alloc, pool_free, pool_table, NULL}};
	struct stage2_reader reader = {pool_read, NULL};
	struct walk2d_tables *tables;
	struct walk2d_source source;
	hpa_t root;

	memset(pool, 0, pool_used * PAGE);
	pool_used = 0;
	pool_alloc(NULL, &root);
	second.mode = stage2_mode_make(kind, root, 46);
	if (stage2_map(&second, gpa_make(0), hpa_make(GUEST_HPA), GUEST_BYTES, leaf_bytes,
		       &attributes) != 0 ||
	    walk2d_tables_create(&second.mode, &reader, &tables) != 0)
		exit(EXIT_FAILURE);
	source = walk2d_source_tables(tables);
	measure(what, mode, &source, true);
	walk2d_tables_destroy(tables);
}

static void measure_all(const struct paging_mode *mode, const struct walk2d_source *in_space)
{
	measure("guest walk alone", mode, in_space, false);
	measure("both stages, a space", mode, in_space, true);
	measure_tables("both stages, EPT of 4 KiB leaves", mode, STAGE2_EPT, PAGE);
	measure_tables("both stages, EPT of 2 MiB leaves", mode, STAGE2_EPT, EPT_PAGE_2M_BYTES);
	measure_tables("both stages, NPT of 4 KiB leaves", mode, STAGE2_NPT, PAGE);
}

int main(void)
{
	struct paging_mode mode = {
		.root = gpa_make(TABLES_AT), .levels = 4, .physical_bits = 46, .nxe = true};
	struct gpa_request request = {.name = "ram", .size_bytes = GUEST_BYTES};
	const struct gpa_region *region;
	struct walk2d_source in_space;
	struct error error;

	pool = calloc(4096, PAGE);
	if (!pool || gpa_space_create(40, &space, &error) != 0 ||
	    gpa_space_add(space, &request, &region, &error) != 0)
		return EXIT_FAILURE;
	in_space = walk2d_source_space(space);
	map_guest(region->host, false);
	printf("a million pages in order:\n");
	measure_all(&mode, &in_space);
	map_guest(region->host, true);
	printf("a million pages scattered over 4 GiB:\n");
	measure_all(&mode, &in_space);
	gpa_space_destroy(space);
	free(pool);
	return sum ? EXIT_SUCCESS : EXIT_FAILURE;
}
