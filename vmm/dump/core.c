/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cores, as a file:
 *
 *     ELF header | program headers | notes | 0 up to a page | RAM range 0 | RAM range 1 | ...
 *
 * The headers are made by libelf in a memfd, because the file itself may be a pipe.
 */
#include <config.h>

#include "vmm/dump/core.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/grow.h"
#include "lib/out_file.h"
#include "vmm/dump/private.h"
#include "vmm/look/maps.h"

#define PAGE        INSPECT_PAGE_BYTES
#define CHUNK_PAGES 64

/* A PT_LOAD: RAM under a virtual address. */
struct load {
	uint64_t gva, gpa, bytes;
};

struct core {
	struct inspector *inspector;
	const struct core_options *options;
	struct nb_range part[NB_MAX_RANGES]; /* of RAM, that are written */
	uint32_t nr_parts;
	struct load *load;
	size_t nr_loads;
	bool aliases_cut;
	void *notes;
	size_t notes_bytes;
	uint64_t ram_offset; /* in the file */
	struct core_sink *sink;
	uint64_t done, total; /* RAM, for progress */
	uint64_t written;
	uint8_t chunk[CHUNK_PAGES * PAGE];
	size_t chunk_bytes;
};

/* ---- what there is ---- */

static int add_load(struct core *core, uint64_t gva, uint64_t gpa, uint64_t bytes)
{
	if (GROW(core->load, core->nr_loads))
		return -ENOMEM;
	core->load[core->nr_loads++] = (struct load){gva, gpa, bytes};
	return 0;
}

#define ALIASES_CUT 1

/* The part that holds the byte at @gpa, or NULL. */
static const struct nb_range *part_of(const struct core *core, uint64_t gpa)
{
	for (uint32_t i = 0; i < core->nr_parts; i++) {
		if (gpa >= core->part[i].start && gpa < core->part[i].end)
			return &core->part[i];
	}
	return NULL;
}

static int find_parts(struct core *core)
{
	const struct inspect_source *source = inspect_source_of(core->inspector);
	const struct core_options *options = core->options;

	for (uint32_t i = 0; i < source->nr_ram; i++) {
		struct nb_range part = source->ram[i];

		if (options->part_end && part.start < options->part_start)
			part.start = options->part_start;
		if (options->part_end && part.end > options->part_end)
			part.end = options->part_end;
		if (part.start < part.end)
			core->part[core->nr_parts++] = part;
	}
	return core->nr_parts ? 0 : -ENODATA;
}

/* A mapped range, by pieces that lie in RAM; the direct map and user memory are not for us. */
static int add_alias(void *context, const struct look_map *map)
{
	struct core *core = context;
	uint64_t bytes = map->end - map->start, done = 0;

	if (map->region == LOOK_DIRECT || map->region == LOOK_USER)
		return 0;
	while (done < bytes) {
		const struct nb_range *ram = part_of(core, map->gpa + done);
		uint64_t part;
		int err;

		if (!ram)
			return 0; /* what follows is not written either, or another's start */
		part = ram->end - (map->gpa + done);
		if (part > bytes - done)
			part = bytes - done;
		if (core->nr_loads == CORE_ALIASES_MAX) {
			core->aliases_cut = true;
			return ALIASES_CUT;
		}
		err = add_load(core, map->start + done, map->gpa + done, part);
		if (err)
			return err;
		done += part;
	}
	return 0;
}

static int find_loads(struct core *core)
{
	const struct look_maps_query query = {.split_frames = true};
	const struct inspect_source *source = inspect_source_of(core->inspector);
	uint64_t root = source->paging.root.value;
	bool physical = core->options->physical;
	int err = find_parts(core);

	for (uint32_t i = 0; i < core->nr_parts && !err; i++) {
		const struct nb_range *part = &core->part[i];
		uint64_t base = inspect_layout(core->inspector)->direct_base;

		err = add_load(core, physical ? 0 : base + part->start, part->start,
			       part->end - part->start);
		core->total += part->end - part->start;
	}
	if (err || physical)
		return err;
	if (part_of(core, root) && part_of(core, root) == part_of(core, root + PAGE - 1))
		err = add_load(core, CORE_ROOT_ADDRESS, root, PAGE);
	if (!err)
		err = look_maps(core->inspector, &query, add_alias, core, NULL);
	return err == ALIASES_CUT ? 0 : err;
}

/* Where in the file the byte of RAM at @gpa is. */
static uint64_t offset_of(const struct core *core, uint64_t gpa)
{
	uint64_t offset = core->ram_offset;

	for (uint32_t i = 0; i < core->nr_parts; i++) {
		if (gpa < core->part[i].end)
			return offset + (gpa - core->part[i].start);
		offset += core->part[i].end - core->part[i].start;
	}
	return offset;
}

/* ---- headers ---- */

static void set_headers(const struct core *core, Elf64_Ehdr *ehdr, Elf64_Phdr *phdr)
{
	ehdr->e_type = ET_CORE;
	ehdr->e_machine = EM_X86_64;
	ehdr->e_version = EV_CURRENT;
	ehdr->e_phoff = sizeof(*ehdr);
	phdr[0] = (Elf64_Phdr){
		.p_type = PT_NOTE,
		.p_offset = sizeof(*ehdr) + (1 + core->nr_loads) * sizeof(*phdr),
		.p_filesz = core->notes_bytes,
		.p_memsz = core->notes_bytes,
	};
	/* p_align stays 0: crash takes anything else for another kind of core. */
	for (size_t i = 0; i < core->nr_loads; i++)
		phdr[1 + i] = (Elf64_Phdr){
			.p_type = PT_LOAD,
			.p_flags = PF_R | PF_W | PF_X,
			.p_offset = offset_of(core, core->load[i].gpa),
			.p_vaddr = core->load[i].gva,
			.p_paddr = core->load[i].gpa,
			.p_filesz = core->load[i].bytes,
			.p_memsz = core->load[i].bytes,
		};
}

static int write_elf(const struct core *core, int fd, struct error *error)
{
	Elf64_Ehdr *ehdr;
	Elf64_Phdr *phdr;
	Elf *elf;
	int err = 0;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return error_set(error, -ENOSYS, "libelf: %s", elf_errmsg(-1));
	elf = elf_begin(fd, ELF_C_WRITE, NULL);
	ehdr = elf ? elf64_newehdr(elf) : NULL;
	phdr = ehdr ? elf64_newphdr(elf, 1 + core->nr_loads) : NULL;
	if (phdr) {
		elf_flagelf(elf, ELF_C_SET, ELF_F_LAYOUT);
		ehdr->e_ident[EI_DATA] = ELFDATA2LSB;
		set_headers(core, ehdr, phdr);
		elf_flagphdr(elf, ELF_C_SET, ELF_F_DIRTY);
	}
	if (!phdr || elf_update(elf, ELF_C_WRITE) < 0)
		err = error_set(error, -ENOMEM, "the core's headers: %s", elf_errmsg(-1));
	elf_end(elf);
	return err;
}

/* Sends the headers, the notes, and what leads to the first page of RAM. */
static int send_headers(struct core *core, struct error *error)
{
	size_t bytes = sizeof(Elf64_Ehdr) + (1 + core->nr_loads) * sizeof(Elf64_Phdr);
	int fd = memfd_create("core", MFD_CLOEXEC), err;
	void *headers = MAP_FAILED;

	if (fd < 0)
		return error_set(error, -errno, "memfd_create: %s", strerror(errno));
	core->ram_offset = (bytes + core->notes_bytes + PAGE - 1) & ~(PAGE - 1);
	err = write_elf(core, fd, error);
	if (!err)
		headers = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (!err && headers == MAP_FAILED)
		err = error_set(error, -errno, "mapping the headers: %s", strerror(errno));
	close(fd);
	if (err)
		return err;
	err = core_sink_write(core->sink, headers, bytes);
	munmap(headers, bytes);
	if (!err)
		err = core_sink_write(core->sink, core->notes, core->notes_bytes);
	if (!err)
		err = core_sink_zeroes(core->sink, core->ram_offset - bytes - core->notes_bytes);
	core->written = bytes + core->notes_bytes;
	return err;
}

/* ---- memory ---- */

static int flush_chunk(struct core *core)
{
	int err =
		core->chunk_bytes ? core_sink_write(core->sink, core->chunk, core->chunk_bytes) : 0;

	core->written += core->chunk_bytes;
	core->chunk_bytes = 0;
	return err;
}

static bool is_zero(const uint8_t *bytes, uint64_t size)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static int send_hole(struct core *core, uint64_t bytes)
{
	int err = flush_chunk(core);

	return err ? err : core_sink_zeroes(core->sink, bytes);
}

/* A page or a piece of one: copied first, judged after, because the guest may be writing it. */
static int send_page(struct core *core, uint64_t gpa, uint64_t bytes)
{
	const struct inspect_source *source = inspect_source_of(core->inspector);
	const void *page = source->physical(source->context, gpa, bytes);
	uint8_t *copy = core->chunk + core->chunk_bytes;

	if (page)
		memcpy(copy, page, bytes);
	if (!page || is_zero(copy, bytes))
		return send_hole(core, bytes);
	core->chunk_bytes += bytes;
	return core->chunk_bytes > sizeof(core->chunk) - PAGE ? flush_chunk(core) : 0;
}

static int tell_progress(struct core *core, uint64_t bytes)
{
	const struct core_options *options = core->options;

	core->done += bytes;
	if (!options->progress)
		return 0;
	return options->progress(options->progress_context, core->done, core->total) ? -ECANCELED
										     : 0;
}

/* A piece of RAM that was touched. */
static int send_piece(struct core *core, uint64_t gpa, uint64_t end)
{
	int err = 0;

	while (gpa < end && !err) {
		uint64_t part = end - gpa < sizeof(core->chunk) ? end - gpa : sizeof(core->chunk);

		for (uint64_t done = 0, bytes; done < part && !err; done += bytes) {
			bytes = PAGE - (gpa + done) % PAGE;
			if (bytes > part - done)
				bytes = part - done;
			err = send_page(core, gpa + done, bytes);
		}
		gpa += part;
		if (!err)
			err = tell_progress(core, part);
	}
	return err;
}

static int send_range(struct core *core, const struct nb_range *ram)
{
	uint64_t at = ram->start, start, end = 0;
	int err = 0;

	while (!err && at < ram->end) {
		if (!inspect_touched(core->inspector, at, &start, &end) || start > ram->end)
			start = ram->end;
		if (start < at)
			start = at;
		if (end > ram->end)
			end = ram->end;
		err = send_hole(core, start - at);
		if (!err)
			err = tell_progress(core, start - at);
		at = start;
		if (!err && at < ram->end) {
			err = send_piece(core, at, end);
			at = end;
		}
	}
	return err ? err : flush_chunk(core);
}

static int send_memory(struct core *core)
{
	int err = 0;

	for (uint32_t i = 0; i < core->nr_parts && !err; i++)
		err = send_range(core, &core->part[i]);
	return err;
}

/* ---- the calls ---- */

static int write_all(struct core *core, int fd, struct core_sum *sum, struct error *error)
{
	const struct core_options *options = core->options;
	int err =
		core_notes(core->inspector, options, &core->notes, &core->notes_bytes, &sum->vcpus);

	if (!err)
		err = find_loads(core);
	if (err)
		return error_set(error, err,
				 err == -ENODATA ? "there is no RAM in that part"
						 : "no memory for a core's headers");
	err = core_sink_create(fd, options->zstd, options->level, &core->sink, error);
	if (err)
		return err;
	err = send_headers(core, error);
	if (!err)
		err = send_memory(core);
	if (!err)
		err = core_sink_finish(core->sink);
	if (err && error->text[0] == '\0')
		error_set(error, err, "writing a core: %s",
			  err == -ECANCELED ? "it was ended" : strerror(-err));
	sum->file_bytes = core_sink_length(core->sink);
	sum->written_bytes = core->written;
	sum->loads = core->nr_loads;
	sum->aliases_cut = core->aliases_cut;
	core_sink_destroy(core->sink);
	return err;
}

int core_write(struct inspector *inspector, int fd, const struct core_options *options,
	       struct core_sum *sum_out, struct error *error)
{
	struct core_options mine = *options;
	struct error why = {""};
	struct core_sum sum = {0};
	struct core *core;
	int err;

	if (!mine.release)
		mine.release = PACKAGE_NAME "-" PACKAGE_VERSION;
	if (strchr(mine.release, '\n') || strlen(mine.release) > 255)
		return error_set(error, -EINVAL, "a release is one line of 255 bytes");
	core = calloc(1, sizeof(*core));
	if (!core)
		return error_set(error, -ENOMEM, "no memory for a core");
	core->inspector = inspector;
	core->options = &mine;
	inspect_refresh(inspector);
	err = write_all(core, fd, &sum, &why);
	if (err)
		error_set(error, err, "%s", why.text);
	if (!err && sum_out)
		*sum_out = sum;
	free(core->load);
	free(core->notes);
	free(core);
	return err;
}

int core_write_file(struct inspector *inspector, const char *path,
		    const struct core_options *options, struct core_sum *sum_out,
		    struct error *error)
{
	struct out_file file;
	int err = out_file_begin(&file, path, error);

	if (err)
		return err;
	err = core_write(inspector, file.fd, options, sum_out, error);
	if (!err)
		return out_file_commit(&file, error);
	out_file_discard(&file);
	return err;
}
