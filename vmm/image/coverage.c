/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The image's line table (DWARF 5, 6.2) says of ranges of addresses which line they came from; one
 * line may have many, also in functions it was inlined into. A line's count is the highest count of
 * an instruction of it.
 */
#include "vmm/image/coverage.h"

#include <elfutils/libdw.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/grow.h"
#include "lib/out_file.h"

struct line {
	const char *file; /* libdw's */
	int number;
	uint64_t count;
};

struct lines {
	struct line *list;
	uint32_t nr;
};

int coverage_range(const struct image *image, uint64_t *start_out, uint64_t *end_out)
{
	for (size_t i = 0; i < image->nr_segments; i++) {
		const struct image_segment *segment = &image->segments[i];

		if (!segment->executable)
			continue;
		*start_out = segment->start.value;
		*end_out = segment->start.value + segment->file_bytes;
		return 0;
	}
	return -ENOEXEC;
}

static uint64_t highest(uint64_t from, uint64_t to, uint64_t start, uint64_t end,
			const uint64_t *counts)
{
	uint64_t most = 0;

	for (uint64_t at = from < start ? start : from; at < to && at < end; at++)
		if (counts[at - start] > most)
			most = counts[at - start];
	return most;
}

static int add_unit(struct lines *lines, Dwarf_Die *unit, uint64_t start, uint64_t end,
		    const uint64_t *counts)
{
	Dwarf_Lines *table;
	size_t nr;

	if (dwarf_getsrclines(unit, &table, &nr) != 0)
		return 0;
	for (size_t i = 0; i + 1 < nr; i++) {
		Dwarf_Line *line = dwarf_onesrcline(table, i);
		Dwarf_Line *next = dwarf_onesrcline(table, i + 1);
		Dwarf_Addr from, to;
		int number;
		bool is_end;

		if (dwarf_lineaddr(line, &from) != 0 || dwarf_lineaddr(next, &to) != 0 ||
		    dwarf_lineno(line, &number) != 0 || number <= 0 ||
		    dwarf_lineendsequence(line, &is_end) != 0 || is_end || from >= to ||
		    from < start || from >= end || !dwarf_linesrc(line, NULL, NULL))
			continue;
		if (GROW(lines->list, lines->nr))
			return -ENOMEM;
		lines->list[lines->nr++] = (struct line){
			.file = dwarf_linesrc(line, NULL, NULL),
			.number = number,
			.count = highest(from, to, start, end, counts),
		};
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int order = strcmp(x->file, y->file);

	return order ? order : x->number - y->number;
}

static size_t end_of_file(const struct lines *lines, size_t at)
{
	size_t end = at;

	while (end < lines->nr && strcmp(lines->list[end].file, lines->list[at].file) == 0)
		end++;
	return end;
}

/* One file's record; its lines are [at, end), in order, some more than once. */
static void write_record(const struct lines *lines, size_t at, size_t end, FILE *file)
{
	unsigned int found = 0, hit = 0;

	fprintf(file, "TN:\nSF:%s\n", lines->list[at].file);
	while (at < end) {
		int number = lines->list[at].number;
		uint64_t count = 0;

		for (; at < end && lines->list[at].number == number; at++)
			if (lines->list[at].count > count)
				count = lines->list[at].count;
		fprintf(file, "DA:%d,%" PRIu64 "\n", number, count);
		found++;
		hit += count != 0;
	}
	fprintf(file, "LF:%u\nLH:%u\nend_of_record\n", found, hit);
}

static int write_file(struct lines *lines, const char *path, struct error *error)
{
	struct out_file out;
	int err = out_file_begin(&out, path, error), copy;
	FILE *file;

	if (err)
		return err;
	qsort(lines->list, lines->nr, sizeof(lines->list[0]), compare);
	copy = dup(out.fd);
	file = copy < 0 ? NULL : fdopen(copy, "w");
	if (!file) {
		err = error_set(error, -errno, "%s: %s", path, strerror(errno));
		if (copy >= 0)
			close(copy);
		out_file_discard(&out);
		return err;
	}
	for (size_t at = 0, end; at < lines->nr; at = end) {
		end = end_of_file(lines, at);
		write_record(lines, at, end, file);
	}
	err = ferror(file) ? -EIO : 0;
	if (fclose(file) != 0 || err) {
		out_file_discard(&out);
		return error_set(error, -EIO, "%s: it could not be written", path);
	}
	return out_file_commit(&out, error);
}

int coverage_write(const struct image *image, uint64_t start, uint64_t end, const uint64_t *counts,
		   const char *path, struct error *error)
{
	/* Read only, which the type does not say. */
	Elf *elf = elf_memory((char *)(uintptr_t)image->bytes, image->size_bytes);
	Dwarf *dwarf = elf ? dwarf_begin_elf(elf, DWARF_C_READ, NULL) : NULL;
	struct lines lines = {0};
	Dwarf_CU *unit = NULL;
	Dwarf_Die die;
	int err = 0;

	while (dwarf && !err && dwarf_get_units(dwarf, unit, &unit, NULL, NULL, &die, NULL) == 0)
		err = add_unit(&lines, &die, start, end, counts);
	if (err)
		error_set(error, err, "no memory for the image's lines");
	else if (lines.nr == 0)
		err = error_set(error, -ENOEXEC, "%s: the image has no debug information for lines",
				image->name);
	else
		err = write_file(&lines, path, error);
	free(lines.list);
	dwarf_end(dwarf);
	elf_end(elf);
	return err;
}

/* Of the instructions in the ranges of one unit. */
static uint64_t sum_of_unit(Dwarf_Die *unit, uint64_t start, uint64_t end, const uint64_t *counts)
{
	Dwarf_Addr base, from, to;
	ptrdiff_t next = 0;
	uint64_t sum = 0;

	while ((next = dwarf_ranges(unit, next, &base, &from, &to)) > 0)
		for (uint64_t at = from < start ? start : from; at < to && at < end; at++)
			sum += counts[at - start];
	return sum;
}

void coverage_sum(const struct image *image, uint64_t start, uint64_t end, const uint64_t *counts,
		  const char *part, uint64_t *all_out, uint64_t *part_out)
{
	/* Read only, which the type does not say. */
	Elf *elf = elf_memory((char *)(uintptr_t)image->bytes, image->size_bytes);
	Dwarf *dwarf = elf ? dwarf_begin_elf(elf, DWARF_C_READ, NULL) : NULL;
	uint64_t all = 0, some = 0;
	Dwarf_CU *unit = NULL;
	Dwarf_Die die;

	while (dwarf && dwarf_get_units(dwarf, unit, &unit, NULL, NULL, &die, NULL) == 0) {
		const char *name = dwarf_diename(&die);

		if (name && strstr(name, part))
			some += sum_of_unit(&die, start, end, counts);
	}
	for (uint64_t at = start; dwarf && at < end; at++)
		all += counts[at - start];
	*all_out = all;
	*part_out = some;
	dwarf_end(dwarf);
	elf_end(elf);
}
