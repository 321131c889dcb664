/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest of two vCPUs with known contents, and its core: what the tests of other people's tools
 * look at.
 *
 *     make_core alive|panic FILE [zstd]
 *
 * Prints what they should find, as KEY=VALUE lines: `area`, the address of an area of 5 pages whose
 * words are each their own address, and `guard`, the page behind it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mm/vmalloc.h"
#include "tests/engine.h"
#include "vmm/attach/core.h"

#define AREA_PAGES 5

static void die(const char *what)
{
	fprintf(stderr, "make_core: %s\n", what);
	exit(EXIT_FAILURE);
}

static uint64_t allocate(struct guest *guest)
{
	const struct nb_submission sqe = {
		.opcode = NB_OP_VMALLOC,
		.arg = {AREA_PAGES * PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END, GFP_KERNEL,
			PAGE_KERNEL, VM_ALLOC, (uint64_t)-1},
	};
	struct nb_completion cqe;

	if (guest_call(guest, 0, &sqe, &cqe) || cqe.status)
		die("the guest allocates nothing");
	return cqe.result[0];
}

static void fill(struct guest *guest, uint64_t area)
{
	for (uint64_t at = area; at < area + AREA_PAGES * PAGE_SIZE; at += sizeof(at)) {
		if (guest_write(guest, gva_make(at), &at, sizeof(at)))
			die("the area is not mapped");
	}
}

static void panic(struct guest *guest)
{
	const struct nb_submission sqe = {.opcode = NB_OP_TEST_FAULT, .arg = {0xdead000}};
	struct nb_completion cqe;

	if (!guest_call(guest, 1, &sqe, &cqe))
		die("the guest survives");
	guest_last_look(guest);
}

int main(int argc, char **argv)
{
	struct guest_config config = {
		.engine = harness_engine(), .memory_bytes = 256ull << 20, .nr_vcpus = 2};
	const struct core_options options = {.zstd = argc > 3 && !strcmp(argv[3], "zstd")};
	struct core_of_the_dead core = {NULL, false};
	struct error error = {""};
	struct guest_report report;
	struct guest *guest;
	uint64_t area;

	if (argc < 3)
		die("usage: make_core alive|panic FILE [zstd]");
	if (!strcmp(argv[1], "panic"))
		core.path = argv[2];
	config.last_look = core_last_look;
	config.last_look_context = &core;
	if (guest_start(&config, &guest, &report, &error))
		die(error.text);
	area = allocate(guest);
	fill(guest, area);
	if (core.path) {
		panic(guest);
		if (!core.written)
			exit(EXIT_FAILURE);
	} else if (core_write_guest(guest, argv[2], &options, NULL, &error))
		die(error.text);
	printf("area=%#llx\nguard=%#llx\n", (unsigned long long)area,
	       (unsigned long long)area + AREA_PAGES * PAGE_SIZE);
	guest_destroy(guest);
	return EXIT_SUCCESS;
}
