/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The simulated core as a source for the inspector. */
#include "tests/vmm/inspect/core_source.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/layout.h"

/* ---- the note ---- */

static char text[LAYOUT_TEXT_BYTES_MAX];
static size_t text_bytes;

__attribute__((format(printf, 1, 2))) static void add_line(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	text_bytes +=
		(size_t)vsnprintf(text + text_bytes, sizeof(text) - text_bytes, format, arguments);
	va_end(arguments);
	if (text_bytes >= sizeof(text))
		abort();
}

#define ADD_SIZE(name) add_line("SIZE(" #name ")=%zu\n", sizeof(struct name));
#define ADD_OFFSET(name, field) \
	add_line("OFFSET(" #name "." #field ")=%zu\n", offsetof(struct name, field));
#define ADD_FIELD(name, field, align, width) ADD_OFFSET(name, field)
#define ADD_STRUCT(name, fields)             ADD_SIZE(name) fields(ADD_FIELD)
#define ADD_NUMBER(name)                     add_line("NUMBER(" #name ")=%lld\n", (long long)(name));
#define ADD_LISTED_NUMBER(member, name, least, greatest) \
	add_line("NUMBER(" #name ")=%lld\n", (long long)(name));

const char *core_layout_text(size_t *bytes_out)
{
	text_bytes = 0;
	add_line("SYMBOL(machine)=" LAYOUT_STRING(LAYOUT_MACHINE_HEX) "\n");
	add_line("OFFSET(machine.mm)=0\n");
	LAYOUT_STRUCTS(ADD_STRUCT)
	LAYOUT_MORE_OFFSETS(ADD_OFFSET)
	LAYOUT_NUMBERS(ADD_LISTED_NUMBER)
	LAYOUT_MORE_NUMBERS(ADD_NUMBER)
	*bytes_out = text_bytes;
	return text;
}

__attribute__((noreturn)) static void fatal(const char *what)
{
	fprintf(stderr, "core source: %s\n", what);
	abort();
}

void core_layout(struct layout *layout_out)
{
	struct error error;
	size_t bytes;
	const char *note = core_layout_text(&bytes);

	if (layout_parse(note, bytes, layout_out, &error))
		fatal(error.text);
}

/* ---- the source ---- */

static const void *core_physical(void *context, uint64_t gpa, uint64_t bytes)
{
	const struct core_source *source = context;
	const struct mem_range *ram = source->ram;

	for (u32 i = 0; i < source->nr_ram; i++) {
		if (gpa >= ram[i].start && gpa < ram[i].end && bytes <= ram[i].end - gpa)
			return (char *)source->sim->ram_base + gpa;
	}
	return NULL;
}

/* The core's own structure, RAM by its direct map, and struct pages of sections in use. */
static const void *core_virtual(void *context, uint64_t gva, uint64_t bytes)
{
	const struct core_source *source = context;
	const struct sim *sim = source->sim;
	uint64_t mm = (uintptr_t)&sim->mm, direct = (uintptr_t)sim->ram_base;
	uint64_t pages = (uintptr_t)sim->memmap, section;

	if (gva >= mm && gva - mm < sizeof(sim->mm) && bytes <= sizeof(sim->mm) - (gva - mm))
		return (const void *)(uintptr_t)gva;
	if (gva >= direct && gva - direct < sim->ram_bytes)
		return core_physical(context, gva - direct, bytes);
	if (gva < pages || gva - pages >= (u64)MAX_SECTIONS * SECTION_MEMMAP_BYTES)
		return NULL;
	section = (gva - pages) / SECTION_MEMMAP_BYTES;
	if (!source->online[section] ||
	    (gva - pages) % SECTION_MEMMAP_BYTES + bytes > SECTION_MEMMAP_BYTES)
		return NULL;
	return (const void *)(uintptr_t)gva;
}

static void take_ranges(const struct mem_range *from, u32 count, struct nb_range *to)
{
	for (u32 i = 0; i < count; i++)
		to[i] = (struct nb_range){from[i].start, from[i].end, from[i].node, from[i].kind};
}

struct core_source *core_source_create(struct sim *sim)
{
	struct core_source *source = calloc(1, sizeof(*source));
	struct inspect_source description = {
		.context = source,
		.physical = core_physical,
		.virtual = core_virtual,
		.paging = {.root = gpa_make(sim->mm.pt.root_phys),
			   .levels = 4,
			   .physical_bits = 46,
			   .nxe = true},
		.mm = (uintptr_t)&sim->mm,
		.direct_base = (uintptr_t)sim->ram_base,
		.memmap_base = (uintptr_t)sim->memmap,
		.nr_cpus = sim->mm.nr_cpus,
		.nr_ram = sim->mm.nr_ram,
		.nr_reserved = sim->mm.nr_reserved,
	};
	struct error error;

	if (!source)
		fatal("no memory");
	source->sim = sim;
	memcpy(source->ram, sim->mm.ram, sizeof(source->ram));
	source->nr_ram = sim->mm.nr_ram;
	take_ranges(sim->mm.ram, sim->mm.nr_ram, description.ram);
	take_ranges(sim->mm.reserved, sim->mm.nr_reserved, description.reserved);
	core_layout(&source->layout);
	if (inspector_create(&description, &source->layout, &source->inspector, &error))
		fatal(error.text);
	core_source_refresh(source);
	return source;
}

void core_source_destroy(struct core_source *source)
{
	inspector_destroy(source->inspector);
	free(source);
}

void core_source_refresh(struct core_source *source)
{
	memcpy(source->online, source->sim->mm.section_online, sizeof(source->online));
	inspect_refresh(source->inspector);
}
