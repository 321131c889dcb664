/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes at all as code of the soft engine's processor, at CPL 0 or 3, with pages that are
 * absent, read-only, MMIO or told of, and tables that the code may overwrite: it ends, stays within
 * its memory, and does the same whether it runs in one go or in slices of any length.
 *
 * The input is a seed, for registers and pages, and code; what code there is not comes from the
 * seed.
 */
#include <string.h>

#include "tests/ept/random.h"
#include "tests/fuzz/driver.h"
#include "tests/vmm/soft/bare.h"

#define MEMORY_BYTES 0x40000
#define CODE_BYTES   0x1800 /* across a page */
#define BUDGET       400
#define STOPS_MAX    4000

uint64_t fuzz_runs_default = 1500;

static uint64_t used(const struct soft_cpu *cpu)
{
	return cpu->instructions + cpu->deliveries;
}

static struct bare *make(uint64_t seed, const uint8_t *code, size_t size)
{
	struct bare *bare = bare_new(MEMORY_BYTES);
	uint8_t bytes[CODE_BYTES];

	bare_tables(bare);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = random_next(&seed);
	memcpy(bytes, code, size < sizeof(bytes) ? size : sizeof(bytes));
	for (unsigned int i = 0; i < 16; i++) {
		uint64_t value = random_next(&seed);

		bare->cpu->regs[i] = value % 4 ? value % MEMORY_BYTES : value;
	}
	for (unsigned int i = 0; i < MEMORY_BYTES / X86_PAGE_SIZE; i++) {
		static const uint8_t flags[] = {BARE_ABSENT, BARE_READ_ONLY, BARE_SUPERVISOR,
						BARE_MMIO,   BARE_CALL,      BARE_NO_EXECUTE};

		if (random_below(&seed, 4) == 0)
			bare->pages[i] = flags[random_below(&seed, sizeof(flags))];
	}
	soft_cpu_set_rflags(bare->cpu, random_next(&seed));
	bare->cpu->efer |= X86_EFER_SCE;
	if (random_below(&seed, 2))
		bare_user(bare);
	bare_code(bare, BARE_CODE, bytes, sizeof(bytes));
	return bare;
}

/* Runs to the end of BUDGET in slices of up to @slice. Returns the last stop. */
static enum soft_stop run(struct bare *bare, uint64_t slice)
{
	struct soft_cpu *cpu = bare->cpu;
	enum soft_stop stop = SOFT_STOP_BUDGET;

	for (unsigned int i = 0; i < STOPS_MAX && used(cpu) < BUDGET; i++) {
		uint64_t before = used(cpu), rest = BUDGET - before,
			 now = slice < rest ? slice : rest;

		stop = soft_cpu_run(cpu, now);
		FUZZ_CHECK(used(cpu) - before <= now);
		FUZZ_CHECK(cpu->regs[SOFT_ZERO] == 0);
		FUZZ_CHECK(stop <= SOFT_STOP_ENGINE);
		if (stop == SOFT_STOP_IO || stop == SOFT_STOP_MMIO)
			cpu->io.data = cpu->io.address * 0x9e3779b97f4a7c15ull;
		else if (stop == SOFT_STOP_BUDGET)
			FUZZ_CHECK(used(cpu) - before == now);
		else if (stop != SOFT_STOP_PAUSE)
			break;
	}
	return stop;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	struct bare *whole, *sliced;
	uint64_t seed;

	if (size_bytes < sizeof(seed))
		return 0;
	memcpy(&seed, bytes, sizeof(seed));
	bytes += sizeof(seed);
	size_bytes -= sizeof(seed);
	for (size_t i = 0; i < size_bytes; i++)
		seed = seed * 31 + bytes[i];
	whole = make(seed, bytes, size_bytes);
	sliced = make(seed, bytes, size_bytes);
	FUZZ_CHECK(run(whole, BUDGET) == run(sliced, 1 + seed % 7));
	FUZZ_CHECK(whole->cpu->instructions == sliced->cpu->instructions);
	FUZZ_CHECK(whole->cpu->rip == sliced->cpu->rip);
	FUZZ_CHECK(soft_cpu_rflags(whole->cpu) == soft_cpu_rflags(sliced->cpu));
	FUZZ_CHECK(memcmp(whole->cpu->regs, sliced->cpu->regs, 16 * sizeof(uint64_t)) == 0);
	FUZZ_CHECK(memcmp(whole->memory, sliced->memory, MEMORY_BYTES) == 0);
	bare_free(whole);
	bare_free(sliced);
	return 0;
}

size_t fuzz_example(uint8_t *bytes, size_t room)
{
	/* Stores into code and tables, strings, locks, far transfers, ports, interrupts. */
	static const uint8_t code[] = {
		0,    0,    0,    0,    0,    0,    0,    0,    0x48, 0xb8, 0x90, 0x90, 0x90, 0x90,
		0xf4, 0,    0,    0,    0x48, 0x89, 0x05, 0x20, 0,    0,    0,    0xf3, 0x48, 0xab,
		0xf3, 0xa4, 0xf0, 0x48, 0x0f, 0xc1, 0x07, 0x0f, 0xa2, 0xe6, 0x10, 0x6c, 0xcd, 0x80,
		0x0f, 0x05, 0x48, 0xcf, 0x8e, 0xd8, 0x0f, 0x01, 0x1f, 0xfb, 0xf4, 0x9d, 0xe8, 0,
		0,    0,    0,    0xff, 0x27, 0x0f, 0x22, 0xd8, 0x65, 0x67, 0x8b, 0x00, 0xc8, 0x10,
		0,    3,    0xc9, 0xf7, 0xf1, 0x0f, 0xc7, 0x0f, 0xe2, 0xb0, 0xeb, 0xb0,
	};

	FUZZ_CHECK(room >= sizeof(code));
	memcpy(bytes, code, sizeof(code));
	return sizeof(code);
}
