/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small Linux whose memory was spoilt: whatever lists, trees, tables, BTF and kallsyms say then,
 * every question ends, and what is said is in bounds.
 *
 * The input is records: where in memory, and what to put there: a value, or what stands elsewhere.
 */
#include <string.h>

#include "tests/fuzz/driver.h"
#include "tests/vmm/linux/small_kernel.h"
#include "vmm/linux/check.h"

uint64_t fuzz_runs_default = 1500;

#define RECORDS_MAX 64u

struct record {
	uint32_t at, from;
	uint8_t way, shift;
	uint16_t value;
};

static struct small_kernel good[2], kernel;

static int see_line(void *context, const char *line, const struct linux_area *area)
{
	FUZZ_CHECK(strlen(line) < LINUX_LINE_BYTES);
	return 0;
}

static int see_node(void *context, const struct linux_node *node)
{
	FUZZ_CHECK(node->depth < LINUX_DEPTH_MAX);
	return 0;
}

static int see_block(void *context, const struct linux_block *block)
{
	return 0;
}

static int see_record(void *context, uint64_t nanoseconds, const char *text)
{
	return 0;
}

static void ask_space(struct linux_guest *guest)
{
	struct linux_space space;
	struct error error = {""};

	if (linux_space_read(guest, &space, &error)) {
		FUZZ_CHECK(error.text[0]);
		return;
	}
	for (size_t i = 0; i < space.nr_lists; i++) {
		FUZZ_CHECK(space.list[i].first + space.list[i].count <= space.count);
		linux_tree_walk(guest, &space.list[i], 1000, see_node, NULL);
	}
	linux_areas_print(guest, &space, see_line, NULL);
	linux_space_free(&space);
}

static void ask(struct linux_guest *guest)
{
	const struct linux_audit_options options = {.live = false};
	struct linux_audit audit, again;
	struct error error = {""};

	ask_space(guest);
	linux_blocks(guest, see_block, NULL, &error);
	linux_log(guest, see_record, NULL, &error);
	if (linux_audit_run(guest, &options, &audit, &error))
		return;
	FUZZ_CHECK(audit.nr_findings <= LINUX_FINDINGS_MAX);
	/* The same memory says the same twice. */
	FUZZ_CHECK(linux_audit_run(guest, &options, &again, &error) == 0);
	FUZZ_CHECK(again.nr_findings == audit.nr_findings);
	FUZZ_CHECK(linux_audit_alarms(&again) == linux_audit_alarms(&audit));
	linux_audit_follow(&again, &audit);
	linux_audit_confirm(&again, 2);
	FUZZ_CHECK(linux_audit_alarms(&again) >= linux_audit_alarms(&audit));
	linux_audit_free(&again);
	linux_audit_free(&audit);
}

static void spoil(const struct record *record)
{
	size_t at = record->at % (sizeof(kernel.memory) - 8);
	uint64_t value = (uint64_t)record->value << record->shift % 56;

	if (record->way & 1)
		memcpy(&value, kernel.memory + record->from % (sizeof(kernel.memory) - 8) / 8 * 8,
		       8);
	if (record->way & 2)
		value += record->value & 0xff;
	if (record->way & 4)
		at = at / 8 * 8;
	memcpy(kernel.memory + at, &value, record->way & 8 ? 1 : 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	struct linux_guest *guest;
	struct error error = {""};
	struct record record;

	if (!good[0].nr_symbols) {
		small_kernel_make(&good[0], false);
		small_kernel_make(&good[1], true);
	}
	if (size_bytes == 0)
		return 0;
	kernel = good[bytes[0] & 1];
	kernel.source.context = &kernel;
	for (size_t i = 0; i < RECORDS_MAX && 1 + (i + 1) * sizeof(record) <= size_bytes; i++) {
		memcpy(&record, bytes + 1 + i * sizeof(record), sizeof(record));
		spoil(&record);
	}
	if (linux_open(&kernel.source, bytes[0] & 2 ? kernel.vmcoreinfo : NULL,
		       strlen(kernel.vmcoreinfo), &guest, &error)) {
		FUZZ_CHECK(error.text[0]);
		return 0;
	}
	ask(guest);
	linux_close(guest);
	return 0;
}

size_t fuzz_example(uint8_t *bytes, size_t room)
{
	struct record record = {.at = 0x12345, .from = 0x23456, .way = 5, .value = 77};

	if (room < 1 + 16 * sizeof(record))
		abort();
	bytes[0] = 3;
	for (size_t i = 0; i < 16; i++) {
		record.at = (uint32_t)(record.at * 1103515245u + 12345u);
		record.from = record.at >> 3;
		record.way = (uint8_t)(i & 1 ? 5 : 4);
		memcpy(bytes + 1 + i * sizeof(record), &record, sizeof(record));
	}
	return 1 + 16 * sizeof(record);
}
