/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The image's debug and call frame information spoilt anywhere, and registers and stacks that lie:
 * an image that is taken can be unwound in, to an end that is one, with names fit for a terminal.
 *
 * The input is a seed and choices: the image is the built-in one with bytes put in places that
 * follow from the seed, in a section that is chosen.
 */
#include <elf.h>
#include <string.h>

#include "tests/fuzz/driver.h"
#include "vmm/image/backtrace.h"

uint64_t fuzz_runs_default = 500;

#define TRACES     4u
#define STACK_BASE 0xffffffff80210000ull
enum { RSP = 7, RIP = 16 };

struct choices {
	uint64_t seed, value;
	uint8_t section, spoilt, width, way;
	uint8_t spare[12];
};

struct range {
	uint64_t start, bytes;
};

static struct image good;
static uint64_t state;

static uint64_t next_random(void)
{
	uint64_t value = state += 0x9e3779b97f4a7c15ull;

	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
	return value ^ (value >> 31);
}

/* Where section @name lies in the built-in image; all of it where there is none. */
static struct range section_named(const char *name)
{
	const Elf64_Ehdr *header = (const void *)good.bytes;
	const Elf64_Shdr *sections = (const void *)(good.bytes + header->e_shoff);
	const char *names = (const char *)good.bytes + sections[header->e_shstrndx].sh_offset;

	for (unsigned int i = 0; i < header->e_shnum; i++) {
		if (strcmp(names + sections[i].sh_name, name) == 0)
			return (struct range){sections[i].sh_offset, sections[i].sh_size};
	}
	return (struct range){0, good.size_bytes};
}

static struct range range_of(unsigned int choice)
{
	static const char *const names[] = {".debug_frame",    ".debug_frame",   ".debug_info",
					    ".debug_info",     ".debug_abbrev",  ".debug_line",
					    ".debug_loclists", ".debug_rnglists"};
	const Elf64_Ehdr *header = (const void *)good.bytes;

	if (choice % 10 < 8)
		return section_named(names[choice % 10]);
	if (choice % 10 == 8)
		return (struct range){header->e_shoff, header->e_shnum * sizeof(Elf64_Shdr)};
	return (struct range){0, good.size_bytes};
}

static void spoil(uint8_t *bytes, const struct choices *choices)
{
	struct range range = range_of(choices->section);
	unsigned int width = 1u << choices->width % 4;

	for (unsigned int i = 0; i < choices->spoilt && range.bytes > 8; i++) {
		uint64_t at = range.start + next_random() % (range.bytes - 8);
		uint64_t value = i % 2 ? choices->value : next_random();

		memcpy(bytes + at, &value, width);
	}
}

/* A stack of return addresses, most of them in functions, and of whatever else. */
static bool read_stack(void *context, uint64_t address, uint64_t *word_out)
{
	const struct image *image = context;
	uint64_t word = next_random();

	FUZZ_CHECK(address % 8 == 0);
	if (word % 64 == 0)
		return false;
	*word_out = word % 8 == 0 || image->nr_symbols == 0
			    ? word
			    : image->symbols[word / 8 % image->nr_symbols].start + word % 32;
	if (word % 16 == 1)
		*word_out = STACK_BASE + word / 16 % 512 * 8;
	return true;
}

static void check_text(const char *text, size_t room)
{
	FUZZ_CHECK(memchr(text, '\0', room) != NULL);
	for (; *text; text++)
		FUZZ_CHECK(*text >= ' ' && *text <= '~');
}

static void check_trace(const struct backtrace *trace)
{
	json_t *json;

	FUZZ_CHECK((unsigned int)trace->end < BACKTRACE_NR_ENDS);
	FUZZ_CHECK(trace->nr_frames <= BACKTRACE_FRAMES_MAX);
	for (size_t i = 0; i < trace->nr_frames; i++) {
		check_text(trace->frame[i].function, BACKTRACE_NAME_BYTES);
		check_text(trace->frame[i].file, BACKTRACE_NAME_BYTES);
	}
	json = backtrace_json(trace);
	FUZZ_CHECK(json_array_size(json_object_get(json, "frames")) == trace->nr_frames);
	json_decref(json);
}

static void unwind(const struct image *image, unsigned int way)
{
	struct backtrace_source *source;
	uint64_t regs[NR_REGS];
	struct backtrace trace;

	FUZZ_CHECK(backtrace_source_create(image, &source) == 0);
	for (unsigned int i = 0; i < TRACES; i++) {
		for (size_t n = 0; n < NR_REGS; n++)
			regs[n] = way & 1 ? next_random() : STACK_BASE + n * 8;
		if (!(way & 2))
			regs[RSP] = STACK_BASE;
		if (!(way & 4))
			(void)read_stack((void *)image, 0, &regs[RIP]);
		memset(&trace, 0xff, sizeof(trace));
		backtrace_take(source, regs, read_stack, (void *)image, &trace);
		check_trace(&trace);
	}
	backtrace_source_destroy(source);
}

/* dwarf_getscopes() of libdw 0.188 keeps what it had found when it fails further on. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libdw\n";
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	struct error error = {""};
	struct choices choices;
	struct image image;
	uint8_t *copy;

	if (!good.bytes)
		FUZZ_CHECK(image_load_builtin(&good, &error) == 0);
	if (size_bytes < sizeof(choices))
		return 0;
	memcpy(&choices, bytes, sizeof(choices));
	state = choices.seed;
	copy = malloc(good.size_bytes);
	FUZZ_CHECK(copy != NULL);
	memcpy(copy, good.bytes, good.size_bytes);
	spoil(copy, &choices);
	if (image_load_bytes("fuzz", copy, good.size_bytes, &image, &error) == 0) {
		unwind(&image, choices.way);
		image_unload(&image);
	} else {
		FUZZ_CHECK(error.text[0]);
	}
	free(copy);
	return 0;
}

size_t fuzz_example(uint8_t *bytes, size_t room)
{
	const struct choices choices = {.seed = 1, .value = 0xffffffffff, .spoilt = 40};

	FUZZ_CHECK(room >= sizeof(choices));
	memcpy(bytes, &choices, sizeof(choices));
	return sizeof(choices);
}
