/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest, and its core read back by a reader of our own. */
#ifndef TESTS_MACHINE_CORE_FILE_H
#define TESTS_MACHINE_CORE_FILE_H

#include "tests/harness.h"

#include <elf.h>
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <zstd.h>

/* <sys/user.h> has them as longs. */
#undef PAGE_SIZE
#undef PAGE_MASK

#include "mm/vmalloc.h"
#include "vmm/audit/audit.h"
#include "vmm/attach/core.h"
#include "vmm/attach/inspector.h"
#include "vmm/look/maps.h"

#define AREA_PAGES 300

/* ---- a guest ---- */

static struct core_of_the_dead dead;

static inline struct guest *start(const char *dump_path)
{
	const struct guest_config config = {.engine = harness_engine(),
					    .checks = SOFT_CHECK_ALL,
					    .memory_bytes = 32ull << 20,
					    .nr_vcpus = 2,
					    .last_look = core_last_look,
					    .last_look_context = &dead};
	struct error error = {""};
	struct guest_report report;
	struct guest *guest;

	dead = (struct core_of_the_dead){dump_path, false};
	ck_assert_msg(guest_start(&config, &guest, &report, &error) == 0, "%s", error.text);
	return guest;
}

static inline uint64_t allocate(struct guest *guest, uint64_t pages)
{
	const struct nb_submission sqe = {
		.opcode = NB_OP_VMALLOC,
		.arg = {pages * PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END, GFP_KERNEL, PAGE_KERNEL,
			VM_ALLOC, (uint64_t)-1},
	};
	struct nb_completion cqe;

	ck_assert_int_eq(guest_call(guest, 0, &sqe, &cqe), 0);
	ck_assert_int_eq(cqe.status, 0);
	return cqe.result[0];
}

/* Every page says where it is, so that no two are the same. */
static inline uint64_t allocate_filled(struct guest *guest)
{
	uint64_t area = allocate(guest, AREA_PAGES);

	for (uint64_t at = area; at < area + AREA_PAGES * PAGE_SIZE; at += PAGE_SIZE)
		ck_assert_int_eq(guest_write(guest, gva_make(at), &at, sizeof(at)), 0);
	return area;
}

/* ---- a core ---- */

struct core_file {
	uint8_t *bytes;
	size_t size;
	const Elf64_Ehdr *ehdr;
	const Elf64_Phdr *phdr;
};

static inline void core_take(struct core_file *core, uint8_t *bytes, size_t size)
{
	*core = (struct core_file){.bytes = bytes, .size = size};
	core->ehdr = (const Elf64_Ehdr *)bytes;
	ck_assert_uint_gt(size, sizeof(*core->ehdr));
	ck_assert_int_eq(memcmp(core->ehdr->e_ident, ELFMAG, SELFMAG), 0);
	ck_assert_uint_eq(core->ehdr->e_type, ET_CORE);
	ck_assert_uint_eq(core->ehdr->e_machine, EM_X86_64);
	ck_assert_uint_eq(core->ehdr->e_phoff, sizeof(*core->ehdr));
	ck_assert_uint_eq(core->ehdr->e_phentsize, sizeof(Elf64_Phdr));
	core->phdr = (const Elf64_Phdr *)(bytes + core->ehdr->e_phoff);
	ck_assert_uint_eq(core->phdr[0].p_type, PT_NOTE);
	for (unsigned int i = 0; i < core->ehdr->e_phnum; i++) {
		ck_assert_uint_le(core->phdr[i].p_offset + core->phdr[i].p_filesz, size);
		ck_assert_uint_eq(core->phdr[i].p_align, 0);
	}
}

static inline void core_open(struct core_file *core, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	void *bytes;

	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	ck_assert_int_eq(fstat(fd, &status), 0);
	bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	ck_assert_ptr_ne(bytes, MAP_FAILED);
	close(fd);
	core_take(core, bytes, (size_t)status.st_size);
}

static inline void core_close(struct core_file *core)
{
	munmap(core->bytes, core->size);
}

/* The first PT_LOAD that has [@address, + @bytes), by physical or virtual address. */
static inline const uint8_t *core_bytes(const struct core_file *core, uint64_t address,
					uint64_t bytes, bool physical)
{
	for (unsigned int i = 1; i < core->ehdr->e_phnum; i++) {
		const Elf64_Phdr *load = &core->phdr[i];
		uint64_t offset = address - (physical ? load->p_paddr : load->p_vaddr);

		ck_assert_uint_eq(load->p_type, PT_LOAD);
		if (offset < load->p_filesz && bytes <= load->p_filesz - offset)
			return core->bytes + load->p_offset + offset;
	}
	return NULL;
}

static inline const void *core_physical(void *context, uint64_t gpa, uint64_t bytes)
{
	return core_bytes(context, gpa, bytes, true);
}

/* The descriptor of note @index of that name and type, or NULL. */
static inline const void *core_note(const struct core_file *core, const char *name, uint32_t type,
				    unsigned int index, size_t *bytes_out)
{
	const uint8_t *at = core->bytes + core->phdr[0].p_offset;
	const uint8_t *end = at + core->phdr[0].p_filesz;

	while (at + sizeof(Elf64_Nhdr) <= end) {
		Elf64_Nhdr note;
		const uint8_t *text = at + sizeof(note), *bytes;

		memcpy(&note, at, sizeof(note));
		bytes = text + (note.n_namesz + 3) / 4 * 4;
		at = bytes + (note.n_descsz + 3) / 4 * 4;
		ck_assert(at <= end);
		if (note.n_type == type && !strcmp((const char *)text, name) && index-- == 0) {
			*bytes_out = note.n_descsz;
			return bytes;
		}
	}
	return NULL;
}

/* An inspector on the core alone, with the layout out of its VMCOREINFO. */
static inline struct inspector *core_inspector(struct core_file *core, struct guest *guest)
{
	const struct paging_mode paging = guest_paging_mode(guest);
	struct inspect_source source;
	struct error error = {""};
	struct inspector *inspector;
	struct layout layout;
	const char *text;
	size_t bytes;

	text = core_note(core, "VMCOREINFO", 0, 0, &bytes);
	ck_assert_ptr_nonnull(text);
	ck_assert_msg(layout_parse(text, bytes, &layout, &error) == 0, "%s", error.text);
	inspect_source_from_space(guest_space(guest), &paging, &guest_boot(guest)->info, &source);
	source.context = core;
	source.physical = core_physical;
	ck_assert_int_eq(inspector_create(&source, &layout, &inspector, &error), 0);
	return inspector;
}

static inline struct core_sum write_core(struct guest *guest, const char *path)
{
	struct error error = {""};
	struct core_sum sum;

	ck_assert_msg(core_write_guest(guest, path, NULL, &sum, &error) == 0, "%s", error.text);
	return sum;
}

/* A directory of the test's own; each test is a process. */
static char directory[64];

static inline const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static inline void make_directory(void)
{
	snprintf(directory, sizeof(directory), "%s/nestbox-core-XXXXXX", P_tmpdir);
	ck_assert_ptr_nonnull(mkdtemp(directory));
}

/* It must be empty by now. */
static inline void remove_directory(void)
{
	ck_assert_int_eq(rmdir(directory), 0);
}

static inline void forget(const char *name)
{
	ck_assert_int_eq(unlink(path_of(name)), 0);
}

#endif
