/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all sources share: pieces of memory by guest-physical address, and pages that had to be
 * copied because no mapping of this process has them whole and aligned.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/grow.h"
#include "vmm/source/monitor.h"
#include "vmm/source/private.h"

/* Copies kept at most: 4 GiB. A search of all memory of a source that is not mapped starts anew. */
#define COPIES_MAX (1u << 20)

struct source *source_new(void)
{
	struct source *source = calloc(1, sizeof(*source));

	if (source)
		source->fd = -1;
	return source;
}

void source_close(struct source *source)
{
	if (!source)
		return;
	source_forget(source);
	for (size_t i = 0; i < source->nr_mappings; i++)
		munmap(source->mapping[i].address, source->mapping[i].bytes);
	if (source->monitor)
		monitor_close(source->monitor);
	if (source->fd >= 0)
		close(source->fd);
	free(source->copy);
	free(source->piece);
	free(source->mapping);
	free(source->cpu);
	free(source->vmcoreinfo);
	free(source);
}

/* ---- making one ---- */

int source_add_piece(struct source *source, const struct source_piece *piece)
{
	int err = GROW(source->piece, source->nr_pieces);

	if (!err)
		source->piece[source->nr_pieces++] = *piece;
	return err;
}

int source_add_mapping(struct source *source, void *address, size_t bytes)
{
	int err = GROW(source->mapping, source->nr_mappings);

	if (!err)
		source->mapping[source->nr_mappings++] = (struct source_mapping){address, bytes};
	return err;
}

int source_add_cpu(struct source *source, const struct inspect_registers *registers)
{
	int err = GROW(source->cpu, source->nr_cpus);

	if (!err)
		source->cpu[source->nr_cpus++] = *registers;
	return err;
}

static int by_start(const void *a, const void *b)
{
	const struct source_piece *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	/* Of those that start together the longest has the most. */
	return x->end > y->end ? -1 : x->end < y->end;
}

void source_finish(struct source *source)
{
	uint64_t done = 0;
	size_t kept = 0;

	if (source->nr_pieces)
		qsort(source->piece, source->nr_pieces, sizeof(*source->piece), by_start);
	for (size_t i = 0; i < source->nr_pieces; i++) {
		struct source_piece piece = source->piece[i];
		uint64_t cut = piece.start < done ? done - piece.start : 0;

		if (piece.end <= piece.start + cut)
			continue;
		piece.start += cut;
		piece.offset += cut;
		if (piece.host)
			piece.host += cut;
		done = piece.end;
		source->piece[kept++] = piece;
	}
	source->nr_pieces = kept;
}

/* ---- memory ---- */

/* The first piece that ends above @gpa, or nr_pieces. */
static size_t find_piece(const struct source *source, uint64_t gpa)
{
	size_t low = 0, high = source->nr_pieces;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (source->piece[middle].end <= gpa)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void source_forget(struct source *source)
{
	for (size_t i = 0; i < source->nr_copies; i++)
		free(source->copy[i]);
	source->nr_copies = 0;
	u64_map_clear(&source->copied);
}

/* Fills a page from the pieces it lies in; false where none has a byte of it. */
static bool fill_page(struct source *source, uint64_t page, size_t at, uint8_t *copy)
{
	uint64_t end = page + SOURCE_PAGE;
	bool any = false;

	memset(copy, 0, SOURCE_PAGE);
	for (; at < source->nr_pieces && source->piece[at].start < end; at++) {
		const struct source_piece *piece = &source->piece[at];
		uint64_t from = piece->start > page ? piece->start : page;
		uint64_t to = piece->end < end ? piece->end : end;

		if (piece->host)
			memcpy(copy + (from - page), piece->host + (from - piece->start),
			       to - from);
		else if (!source->read(source, piece->offset + (from - piece->start),
				       copy + (from - page), to - from))
			continue;
		any = true;
	}
	return any;
}

/* Keeps @copy, which becomes the source's. */
static int keep_page(struct source *source, uint64_t page, uint8_t *copy)
{
	int err;

	if (source->nr_copies >= COPIES_MAX)
		return -ENOSPC;
	err = GROW(source->copy, source->nr_copies);
	if (!err)
		err = u64_map_set(&source->copied, page, (uint32_t)source->nr_copies);
	if (!err)
		source->copy[source->nr_copies++] = copy;
	return err;
}

/*
 * Copies @page and what comes behind it, if that of before was asked for as well: who reads on, as
 * a search of all memory does, waits once for many pages. What fails is read page by page.
 */
static void read_ahead(struct source *source, uint64_t page, const struct source_piece *piece)
{
	uint64_t end = page + source->ahead_bytes;
	uint8_t *bytes, *copy;

	if (!source->ahead_bytes || piece->host || piece->start > page || page < SOURCE_PAGE ||
	    u64_map_get(&source->copied, page - SOURCE_PAGE) == U64_MAP_NONE)
		return;
	end = end < piece->end ? end : piece->end & ~(SOURCE_PAGE - 1);
	bytes = end > page ? malloc(end - page) : NULL;
	if (bytes &&
	    source->read(source, piece->offset + (page - piece->start), bytes, end - page)) {
		for (uint64_t at = page; at < end; at += SOURCE_PAGE) {
			if (u64_map_get(&source->copied, at) != U64_MAP_NONE)
				continue;
			copy = malloc(SOURCE_PAGE);
			if (!copy)
				break;
			memcpy(copy, bytes + (at - page), SOURCE_PAGE);
			if (keep_page(source, at, copy)) {
				free(copy);
				break;
			}
		}
	}
	free(bytes);
}

static const uint8_t *copied_page(struct source *source, uint64_t page, size_t at)
{
	uint32_t index = u64_map_get(&source->copied, page);
	uint8_t *copy;

	if (index == U64_MAP_NONE) {
		read_ahead(source, page, &source->piece[at]);
		index = u64_map_get(&source->copied, page);
	}
	if (index != U64_MAP_NONE)
		return source->copy[index];
	copy = malloc(SOURCE_PAGE);
	if (copy && fill_page(source, page, at, copy) && keep_page(source, page, copy) == 0)
		return copy;
	free(copy);
	return NULL;
}

static const void *physical(void *context, uint64_t gpa, uint64_t bytes)
{
	struct source *source = context;
	uint64_t page = gpa & ~(SOURCE_PAGE - 1);
	size_t at = find_piece(source, page);
	const struct source_piece *piece;
	const uint8_t *host;

	if (at == source->nr_pieces || source->piece[at].start >= page + SOURCE_PAGE)
		return NULL;
	piece = &source->piece[at];
	if (piece->host && piece->start <= page && piece->end - page >= SOURCE_PAGE) {
		host = piece->host + (page - piece->start);
		/* Numbers are loaded in one piece: at an odd offset of a file a copy serves. */
		if ((uintptr_t)host % sizeof(uint64_t) == 0)
			return host + (gpa - page);
	}
	host = copied_page(source, page, at);
	return host ? host + (gpa - page) : NULL;
}

static bool touched(void *context, uint64_t gpa, uint64_t *start_out, uint64_t *end_out)
{
	const struct source *source = context;
	size_t at = find_piece(source, gpa);
	uint64_t start, end;

	if (at == source->nr_pieces)
		return false;
	start = source->piece[at].start > gpa ? source->piece[at].start : gpa;
	end = source->piece[at].end;
	while (at + 1 < source->nr_pieces && source->piece[at + 1].start <= end)
		end = source->piece[++at].end;
	*start_out = start & ~(SOURCE_PAGE - 1);
	*end_out = (end + SOURCE_PAGE - 1) & ~(SOURCE_PAGE - 1);
	return true;
}

static int registers_of(void *context, unsigned int cpu, struct inspect_registers *registers_out)
{
	struct source *source = context;

	if (source->registers)
		return source->registers(source, cpu, registers_out);
	if (cpu >= source->nr_cpus)
		return -ENOENT;
	*registers_out = source->cpu[cpu];
	return 0;
}

/* Puts [start, end) behind the ranges; where there are too many the smallest gap goes. */
static void add_range(struct inspect_source *inspect, uint64_t start, uint64_t end)
{
	struct nb_range *ram = inspect->ram;
	uint32_t least = 1;

	if (inspect->nr_ram > 0 && start <= ram[inspect->nr_ram - 1].end) {
		if (end > ram[inspect->nr_ram - 1].end)
			ram[inspect->nr_ram - 1].end = end;
		return;
	}
	if (inspect->nr_ram == NB_MAX_RANGES) {
		for (uint32_t i = 2; i < NB_MAX_RANGES; i++) {
			if (ram[i].start - ram[i - 1].end < ram[least].start - ram[least - 1].end)
				least = i;
		}
		if (start - ram[NB_MAX_RANGES - 1].end <= ram[least].start - ram[least - 1].end) {
			ram[NB_MAX_RANGES - 1].end = end;
			return;
		}
		ram[least - 1].end = ram[least].end;
		memmove(&ram[least], &ram[least + 1], (NB_MAX_RANGES - 1 - least) * sizeof(*ram));
		inspect->nr_ram--;
	}
	ram[inspect->nr_ram++] = (struct nb_range){.start = start, .end = end};
}

int source_inspect(struct source *source, struct inspect_source *inspect_out, struct error *error)
{
	struct inspect_source inspect = {
		.context = source,
		.physical = physical,
		.touched = touched,
		.registers = registers_of,
		.nr_cpus = source->nr_cpus ? source->nr_cpus : 1,
	};
	uint64_t at = 0, start, end;

	while (touched(source, at, &start, &end)) {
		if (end > NB_RAM_LIMIT)
			return error_set(
				error, -EINVAL, "memory at 0x%llx: above 0x%llx none is looked at",
				(unsigned long long)start, (unsigned long long)NB_RAM_LIMIT);
		add_range(&inspect, start, end);
		at = end;
	}
	if (inspect.nr_ram == 0)
		return error_set(
			error, -EINVAL,
			"it has no memory with a physical address (no PT_LOAD with p_paddr)");
	*inspect_out = inspect;
	return 0;
}

/* ---- the rest ---- */

bool source_is_live(const struct source *source)
{
	return source->live && !source->paused;
}

int source_refresh(struct source *source, struct error *error)
{
	int err = 0;

	source_forget(source);
	/* Memory that is mapped outlives the guest: who was just stopped has answered. */
	if (source->monitor && !source->paused)
		err = monitor_present(source->monitor, error);
	if (!err && source->refresh)
		err = source->refresh(source, error);
	return err;
}

int source_pause(struct source *source, struct error *error)
{
	int err;

	if (!source->monitor)
		return error_set(error, -EOPNOTSUPP, "only a QEMU's guest can be stopped");
	err = monitor_stop(source->monitor, error);
	if (!err)
		source->paused = true;
	return err;
}

int source_resume(struct source *source, struct error *error)
{
	int err;

	if (!source->paused)
		return 0;
	err = monitor_continue(source->monitor, error);
	if (!err)
		source->paused = false;
	return err;
}

const char *source_vmcoreinfo(const struct source *source, size_t *bytes_out)
{
	*bytes_out = source->vmcoreinfo_bytes;
	return source->vmcoreinfo;
}

const char *source_about(const struct source *source)
{
	return source->about;
}
