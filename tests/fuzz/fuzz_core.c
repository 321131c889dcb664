/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes at all as the core of a machine: it is refused with words, or what comes out can be
 * read: each piece of memory it says it has, each CPU's registers, and a search for a Linux in it.
 */
#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/driver.h"
#include "vmm/linux/linux.h"
#include "vmm/source/source.h"

uint64_t fuzz_runs_default = 4000;

#define PAGES_LOOKED_AT 64

static void look(struct source *source)
{
	struct inspect_registers registers;
	struct inspect_source inspect;
	struct linux_guest *guest;
	struct error error = {""};
	uint64_t at = 0, start, end;
	const char *note;
	size_t bytes, pages = 0;

	if (source_inspect(source, &inspect, &error)) {
		FUZZ_CHECK(error.text[0]);
		return;
	}
	for (uint32_t i = 0; i < inspect.nr_ram; i++) {
		FUZZ_CHECK(inspect.ram[i].start < inspect.ram[i].end);
		FUZZ_CHECK(i == 0 || inspect.ram[i - 1].end <= inspect.ram[i].start);
	}
	while (pages < PAGES_LOOKED_AT && inspect.touched(inspect.context, at, &start, &end)) {
		FUZZ_CHECK(start >= at / 4096 * 4096 && end > start);
		for (at = start; at < end && pages < PAGES_LOOKED_AT; at += 4096, pages++) {
			const uint64_t *page = inspect.physical(inspect.context, at, 4096);

			FUZZ_CHECK(page && (uintptr_t)page % 8 == 0);
			FUZZ_CHECK(page[0] == page[0] && page[511] == page[511]);
		}
		at = end;
	}
	for (unsigned int cpu = 0; cpu < 4; cpu++)
		inspect.registers(inspect.context, cpu, &registers);
	note = source_vmcoreinfo(source, &bytes);
	if (pages < PAGES_LOOKED_AT && linux_open(&inspect, note, bytes, &guest, &error) == 0)
		linux_close(guest);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	static int fd = -1;
	struct source *source;
	struct error error = {""};
	char path[32];

	if (fd < 0)
		fd = memfd_create("core", MFD_CLOEXEC);
	FUZZ_CHECK(fd >= 0 && ftruncate(fd, 0) == 0);
	FUZZ_CHECK(pwrite(fd, bytes, size_bytes, 0) == (ssize_t)size_bytes);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (source_open_core(path, &source, &error)) {
		FUZZ_CHECK(error.text[0]);
		return 0;
	}
	look(source);
	source_close(source);
	return 0;
}

size_t fuzz_example(uint8_t *bytes, size_t room)
{
	Elf64_Ehdr header = {.e_type = ET_CORE,
			     .e_machine = EM_X86_64,
			     .e_phoff = sizeof(header),
			     .e_phentsize = sizeof(Elf64_Phdr),
			     .e_phnum = 3};
	const Elf64_Nhdr note = {11, 12, 0};
	Elf64_Phdr headers[3] = {
		{.p_type = PT_NOTE, .p_offset = 512, .p_filesz = 36},
		{.p_type = PT_LOAD, .p_offset = 600, .p_paddr = 0x1000, .p_filesz = 1000},
		{.p_type = PT_LOAD, .p_offset = 600, .p_paddr = 0x1200, .p_filesz = 1024},
	};

	if (room < 1624)
		abort();
	memset(bytes, 0, 1624);
	memcpy(header.e_ident, ELFMAG, SELFMAG);
	header.e_ident[EI_CLASS] = ELFCLASS64;
	header.e_ident[EI_DATA] = ELFDATA2LSB;
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), headers, sizeof(headers));
	memcpy(bytes + 512, &note, sizeof(note));
	memcpy(bytes + 524, "VMCOREINFO", 11);
	memcpy(bytes + 536, "OSRELEASE=1\n", 12);
	return 1624;
}
