/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pages of decoded code and when they are dropped. What they hold comes from translate.c.
 */
#include "vmm/soft/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/soft/exec.h"

#define BUCKETS 256

/* Ops that are decoded in one go, and the memory they may take in all before all are dropped. */
#define BLOCK_OPS_MAX  128
#define CODE_BYTES_MAX (8u << 20)

struct soft_block {
	struct soft_block *next;
	unsigned int count;
	struct soft_op ops[];
};

struct soft_code {
	struct soft_page *pages[BUCKETS];
	const uint8_t *stops[SOFT_STOPS_MAX]; /* where processors stop, in no order */
	unsigned int nr_stops;
	bool stops_off;
	struct soft_block *dropped; /* until no handler runs */
	struct soft_cpu *cpus;
	size_t bytes;
};

static size_t bucket_of(const uint8_t *host)
{
	return (uintptr_t)host / X86_PAGE_SIZE % BUCKETS;
}

struct soft_code *soft_code_new(void)
{
	return calloc(1, sizeof(struct soft_code));
}

static void free_blocks(struct soft_code *code, struct soft_block *block)
{
	while (block) {
		struct soft_block *next = block->next;

		code->bytes -= sizeof(*block) + block->count * sizeof(block->ops[0]);
		free(block);
		block = next;
	}
}

static void free_pages(struct soft_code *code)
{
	for (size_t i = 0; i < BUCKETS; i++)
		while (code->pages[i]) {
			struct soft_page *page = code->pages[i];

			code->pages[i] = page->next;
			free_blocks(code, page->blocks);
			code->bytes -= sizeof(*page);
			free(page);
		}
}

void soft_code_free(struct soft_code *code)
{
	if (!code)
		return;
	free_pages(code);
	free_blocks(code, code->dropped);
	free(code);
}

void soft_code_add(struct soft_code *code, struct soft_cpu *cpu)
{
	cpu->next = code->cpus;
	code->cpus = cpu;
}

void soft_code_remove(struct soft_code *code, struct soft_cpu *cpu)
{
	struct soft_cpu **link = &code->cpus;

	while (*link && *link != cpu)
		link = &(*link)->next;
	if (*link)
		*link = cpu->next;
}

void soft_code_reap(struct soft_code *code)
{
	if (code->dropped) {
		free_blocks(code, code->dropped);
		code->dropped = NULL;
	}
	if (code->bytes <= CODE_BYTES_MAX)
		return;
	for (struct soft_cpu *cpu = code->cpus; cpu; cpu = cpu->next)
		soft_cpu_drop_lines(cpu);
	free_pages(code);
}

static struct soft_page *look_up(struct soft_code *code, const uint8_t *host)
{
	struct soft_page *page = code->pages[bucket_of(host)];

	while (page && page->host != host)
		page = page->next;
	return page;
}

struct soft_page *soft_page_find(struct soft_code *code, const uint8_t *host)
{
	struct soft_page *page = look_up(code, host);

	if (page && soft_page_decoded(page) && memcmp(page->copy, host, X86_PAGE_SIZE) != 0)
		soft_page_drop(code, page);
	return page;
}

struct soft_page *soft_page_new(struct soft_code *code, const uint8_t *host)
{
	struct soft_page *page = calloc(1, sizeof(*page));

	if (!page)
		return NULL;
	page->host = host;
	page->next = code->pages[bucket_of(host)];
	code->pages[bucket_of(host)] = page;
	code->bytes += sizeof(*page);
	return page;
}

/* The patched ops stay where they are until soft_code_reap(). */
void soft_page_drop(struct soft_code *code, struct soft_page *page)
{
	struct soft_block *block, *last = NULL;

	for (block = page->blocks; block; last = block, block = block->next)
		for (unsigned int i = 0; i < block->count; i++)
			block->ops[i].run = soft_do_again;
	for (size_t i = 0; i < 3; i++)
		page->crossing[i].run = soft_do_again;
	if (last) {
		last->next = code->dropped;
		code->dropped = page->blocks;
		page->blocks = NULL;
	}
	memset(page->at, 0, sizeof(page->at));
	memset(page->crossing_bytes, 0, sizeof(page->crossing_bytes));
}

void soft_code_drop(struct soft_code *code, const uint8_t *host)
{
	struct soft_page *page = look_up(code, host);

	if (page && soft_page_decoded(page))
		soft_page_drop(code, page);
}

/* ---- stops ---- */

/* Its place among the stops; their number: none is there. */
static unsigned int find_stop(const struct soft_code *code, const uint8_t *host)
{
	unsigned int at = 0;

	while (at < code->nr_stops && code->stops[at] != host)
		at++;
	return at;
}

int soft_code_stop(struct soft_code *code, const uint8_t *host, bool stop)
{
	unsigned int at = find_stop(code, host);

	if ((at < code->nr_stops) == stop)
		return 0;
	if (stop && at == SOFT_STOPS_MAX)
		return -ENOSPC;
	if (stop)
		code->stops[code->nr_stops++] = host;
	else
		code->stops[at] = code->stops[--code->nr_stops];
	soft_code_drop(code, host - (uintptr_t)host % X86_PAGE_SIZE);
	return 0;
}

void soft_code_stops(struct soft_code *code, bool on)
{
	if (code->stops_off == !on)
		return;
	code->stops_off = !on;
	for (unsigned int i = 0; i < code->nr_stops; i++)
		soft_code_drop(code, code->stops[i] - (uintptr_t)code->stops[i] % X86_PAGE_SIZE);
}

/* ---- decoding ---- */

/* From now on writes to the page are seen. */
static void watch_writes(struct soft_code *code, struct soft_page *page)
{
	for (struct soft_cpu *cpu = code->cpus; cpu; cpu = cpu->next)
		for (size_t i = 0; i < SOFT_CLASSES * SOFT_LINES_ALL; i++) {
			struct soft_line *line = &cpu->line_sets[0][0] + i;

			if (line->host != page->host)
				continue;
			line->page = page;
			if (line->write != SOFT_LINE_NONE)
				line->write |= SOFT_LINE_CODE;
		}
	memcpy(page->copy, page->host, X86_PAGE_SIZE);
}

/* An op that is no instruction: goes on at @at. */
static void put_join(struct soft_op *op, uint16_t at, soft_handler *run)
{
	*op = (struct soft_op){.run = run, .at = at};
}

/*
 * Decodes from @at up to an instruction that nothing follows, one that is decoded already, the
 * page's end, or as many as fit. Returns how many ops there are now in @ops.
 */
static unsigned int decode_run(const struct soft_code *code, const struct soft_page *page,
			       uint16_t at, struct soft_op ops[BLOCK_OPS_MAX])
{
	unsigned int count = 0, now;
	bool ends = false;

	while (at < X86_PAGE_SIZE && !page->at[at] && count < BLOCK_OPS_MAX - 3) {
		if (!code->stops_off && find_stop(code, page->host + at) < code->nr_stops) {
			put_join(&ops[count++], at, soft_do_stop);
			return count;
		}
		now = soft_translate(page->copy + at, X86_PAGE_SIZE - at, at, ops + count, &ends);
		if (!now) {
			put_join(&ops[count++], at, soft_do_cross);
			return count;
		}
		count += now;
		at += ops[count - 1].length;
		if (ends)
			return count;
	}
	put_join(&ops[count++], at, at < X86_PAGE_SIZE ? soft_do_join : soft_do_again);
	return count;
}

struct soft_op *soft_page_op(struct soft_code *code, struct soft_page *page, uint16_t offset)
{
	struct soft_op ops[BLOCK_OPS_MAX];
	struct soft_block *block;
	unsigned int count;

	if (page->at[offset])
		return page->at[offset];
	if (!soft_page_decoded(page))
		watch_writes(code, page);
	count = decode_run(code, page, offset, ops);
	block = malloc(sizeof(*block) + count * sizeof(ops[0]));
	if (!block)
		return NULL;
	memcpy(block->ops, ops, count * sizeof(ops[0]));
	block->count = count;
	block->next = page->blocks;
	page->blocks = block;
	code->bytes += sizeof(*block) + count * sizeof(ops[0]);
	/* Backwards: of two ops of one instruction the first counts; a join is no place to begin.
	 */
	for (unsigned int i = count; i-- > 0;)
		if (ops[i].run != soft_do_join && ops[i].at < X86_PAGE_SIZE)
			page->at[ops[i].at] = &block->ops[i];
	return page->at[offset];
}
