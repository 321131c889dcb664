/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cores as sources: what each kind of file looks like through the inspector's interface, and what
 * files that are cut short, of another kind or against the rules are refused with.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "lib/regs.h"
#include "tests/harness.h"
#include "tests/scratch.h"
#include "vmm/source/monitor.h"
#include "vmm/source/source.h"

#define PAGE 4096ull

/* ---- a file ---- */

static struct {
	uint8_t bytes[1 << 20];
	size_t size;
	Elf64_Ehdr *header;
	Elf64_Phdr *headers;
} elf;

static void begin(unsigned int headers)
{
	memset(&elf, 0, sizeof(elf));
	elf.header = (Elf64_Ehdr *)(void *)elf.bytes;
	elf.headers = (Elf64_Phdr *)(void *)(elf.bytes + sizeof(Elf64_Ehdr));
	memcpy(elf.header->e_ident, ELFMAG, SELFMAG);
	elf.header->e_ident[EI_CLASS] = ELFCLASS64;
	elf.header->e_ident[EI_DATA] = ELFDATA2LSB;
	elf.header->e_ident[EI_VERSION] = EV_CURRENT;
	elf.header->e_type = ET_CORE;
	elf.header->e_machine = EM_X86_64;
	elf.header->e_phoff = sizeof(Elf64_Ehdr);
	elf.header->e_phentsize = sizeof(Elf64_Phdr);
	elf.header->e_phnum = (Elf64_Half)headers;
	elf.size = sizeof(Elf64_Ehdr) + headers * sizeof(Elf64_Phdr);
}

/* A PT_LOAD of @bytes at @gpa, each byte @fill, at an offset of that alignment. */
static void load(unsigned int index, uint64_t gpa, uint64_t bytes, uint8_t fill, size_t align)
{
	elf.size = (elf.size + align - 1) / align * align;
	elf.headers[index] = (Elf64_Phdr){.p_type = PT_LOAD,
					  .p_offset = elf.size,
					  .p_paddr = gpa,
					  .p_filesz = bytes,
					  .p_memsz = bytes};
	memset(elf.bytes + elf.size, fill, bytes);
	elf.size += bytes;
}

static void note(unsigned int index, const char *name, uint32_t type, const void *bytes,
		 uint32_t size)
{
	Elf64_Nhdr header = {(Elf64_Word)strlen(name) + 1, size, type};
	size_t start = elf.size;

	memcpy(elf.bytes + elf.size, &header, sizeof(header));
	elf.size += sizeof(header);
	memcpy(elf.bytes + elf.size, name, header.n_namesz);
	elf.size += (header.n_namesz + 3u) & ~3u;
	memcpy(elf.bytes + elf.size, bytes, size);
	elf.size += (size + 3u) & ~3u;
	if (elf.headers[index].p_type == PT_NOTE) {
		elf.headers[index].p_filesz += elf.size - start;
		return;
	}
	elf.headers[index] =
		(Elf64_Phdr){.p_type = PT_NOTE, .p_offset = start, .p_filesz = elf.size - start};
}

static void write_bytes(const void *bytes, size_t size)
{
	scratch_remove();
	scratch_write_bytes(bytes, size);
}

static struct source *open_good(struct inspect_source *inspect)
{
	struct source *source = NULL;
	struct error error = {""};

	write_bytes(elf.bytes, elf.size);
	ck_assert_msg(source_open_core(scratch_path, &source, &error) == 0, "%s", error.text);
	ck_assert_msg(source_inspect(source, inspect, &error) == 0, "%s", error.text);
	return source;
}

static void refused(size_t size, int expected, const char *word)
{
	struct source *source = NULL;
	struct error error = {""};
	int err;

	write_bytes(elf.bytes, size);
	err = source_open_core(scratch_path, &source, &error);
	ck_assert_msg(err == expected, "%d, expected %d: %s", err, expected, error.text);
	ck_assert_msg(strstr(error.text, word) != NULL, "'%s' says nothing of '%s'", error.text,
		      word);
	ck_assert_ptr_null(source);
}

static uint8_t byte_at(const struct inspect_source *inspect, uint64_t gpa)
{
	const uint8_t *byte = inspect->physical(inspect->context, gpa, 1);

	ck_assert_ptr_nonnull(byte);
	return *byte;
}

/* ---- memory ---- */

START_TEST(bytes_are_found_by_physical_address)
{
	struct inspect_source inspect;
	struct source *source;

	begin(2);
	load(0, 0x100000, 2 * PAGE, 0x11, PAGE);
	load(1, 0, PAGE, 0x22, PAGE);
	source = open_good(&inspect);
	ck_assert_uint_eq(byte_at(&inspect, 0x100000), 0x11);
	ck_assert_uint_eq(byte_at(&inspect, 0x101fff), 0x11);
	ck_assert_uint_eq(byte_at(&inspect, 0xfff), 0x22);
	ck_assert_ptr_null(inspect.physical(inspect.context, PAGE, 1));
	ck_assert_ptr_null(inspect.physical(inspect.context, 0x102000, 1));
	ck_assert_uint_eq(inspect.nr_ram, 2);
	ck_assert_uint_eq(inspect.ram[1].end, 0x102000);
	ck_assert(!source_is_live(source));
	source_close(source);
}
END_TEST

START_TEST(an_odd_offset_gives_aligned_words)
{
	struct inspect_source inspect;
	struct source *source;

	begin(1);
	load(0, 0x5000, PAGE, 0x33, 1);
	elf.headers[0].p_offset++;
	elf.size++;
	source = open_good(&inspect);
	ck_assert_uint_eq((uintptr_t)inspect.physical(inspect.context, 0x5000, 8) % 8, 0);
	ck_assert_uint_eq(byte_at(&inspect, 0x5ffe), 0x33);
	source_close(source);
}
END_TEST

START_TEST(of_loads_that_overlap_each_byte_comes_once)
{
	struct inspect_source inspect;
	struct source *source;

	begin(3);
	load(0, 0x2000, 2 * PAGE, 0x44, PAGE);
	load(1, 0x1000, 3 * PAGE, 0x55, PAGE);
	load(2, 0x3000, 4 * PAGE, 0x66, PAGE);
	source = open_good(&inspect);
	ck_assert_uint_eq(byte_at(&inspect, 0x3000), 0x55);
	ck_assert_uint_eq(byte_at(&inspect, 0x4000), 0x66);
	ck_assert_uint_eq(byte_at(&inspect, 0x6fff), 0x66);
	ck_assert_uint_eq(inspect.nr_ram, 1);
	source_close(source);
}
END_TEST

START_TEST(a_page_of_pieces_is_put_together)
{
	struct inspect_source inspect;
	struct source *source;

	begin(2);
	load(0, 0x1000, 0x400, 0x77, PAGE);
	load(1, 0x1800, 0x800, 0x78, PAGE);
	source = open_good(&inspect);
	ck_assert_uint_eq(byte_at(&inspect, 0x1000), 0x77);
	ck_assert_uint_eq(byte_at(&inspect, 0x1400), 0);
	ck_assert_uint_eq(byte_at(&inspect, 0x1fff), 0x78);
	source_close(source);
}
END_TEST

START_TEST(more_pieces_than_ranges_are_covered)
{
	const unsigned int count = 3 * NB_MAX_RANGES;
	struct inspect_source inspect;
	struct source *source;

	begin(count);
	for (unsigned int i = 0; i < count; i++)
		load(i, 0x100000ull * i * (i + 1), PAGE, (uint8_t)i, PAGE);
	source = open_good(&inspect);
	ck_assert_uint_eq(inspect.nr_ram, NB_MAX_RANGES);
	for (unsigned int i = 0; i < count; i++) {
		uint64_t gpa = 0x100000ull * i * (i + 1);
		bool covered = false;

		for (unsigned int r = 0; r < inspect.nr_ram; r++)
			covered = covered ||
				  (gpa >= inspect.ram[r].start && gpa < inspect.ram[r].end);
		ck_assert(covered);
		ck_assert_uint_eq(byte_at(&inspect, gpa), (uint8_t)i);
	}
	for (unsigned int r = 1; r < inspect.nr_ram; r++)
		ck_assert_uint_lt(inspect.ram[r - 1].end, inspect.ram[r].start);
	source_close(source);
}
END_TEST

START_TEST(without_physical_address_it_is_no_memory)
{
	struct inspect_source inspect;
	struct source *source;

	begin(2);
	load(0, UINT64_MAX, PAGE, 1, PAGE);
	load(1, 0x1000, PAGE, 2, PAGE);
	source = open_good(&inspect);
	ck_assert_uint_eq(inspect.nr_ram, 1);
	source_close(source);
	begin(1);
	load(0, UINT64_MAX, PAGE, 1, PAGE);
	write_bytes(elf.bytes, elf.size);
	ck_assert_int_eq(source_open_core(scratch_path, &source, NULL), 0);
	ck_assert_int_eq(source_inspect(source, &inspect, NULL), -EINVAL);
	source_close(source);
}
END_TEST

START_TEST(zstd_is_unpacked)
{
	struct inspect_source inspect;
	static uint8_t packed[1 << 20];
	struct source *source = NULL;
	struct error error = {""};
	size_t size;

	begin(1);
	load(0, 0x8000, 40 * PAGE, 0x5a, PAGE);
	memset(elf.bytes + elf.headers[0].p_offset + PAGE, 0, 30 * PAGE);
	size = ZSTD_compress(packed, sizeof(packed), elf.bytes, elf.size, 3);
	write_bytes(packed, size);
	ck_assert_msg(source_open_core(scratch_path, &source, &error) == 0, "%s", error.text);
	ck_assert_int_eq(source_inspect(source, &inspect, &error), 0);
	ck_assert_uint_eq(byte_at(&inspect, 0x8000), 0x5a);
	ck_assert_uint_eq(byte_at(&inspect, 0x9000), 0);
	ck_assert_uint_eq(byte_at(&inspect, 0x8000 + 40 * PAGE - 1), 0x5a);
	source_close(source);
	write_bytes(packed, size / 2);
	ck_assert_int_eq(source_open_core(scratch_path, &source, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "cut short"));
	packed[size / 2] ^= 0xff;
	packed[20] ^= 0xff;
	write_bytes(packed, size);
	ck_assert_int_ne(source_open_core(scratch_path, &source, &error), 0);
}
END_TEST

/* ---- notes ---- */

START_TEST(registers_come_from_qemus_notes_first)
{
	static uint8_t state[440], status[336];
	struct inspect_registers registers;
	struct inspect_source inspect;
	struct source *source;
	const uint64_t rsp = 0x1234, rip = 0xffffffff81000000, cr3 = 0x7000;
	size_t bytes;

	memcpy(state + 8 + 6 * 8, &rsp, 8);
	memcpy(state + 136, &rip, 8);
	memcpy(state + 392 + 3 * 8, &cr3, 8);
	begin(2);
	note(0, "CORE", NT_PRSTATUS, status, sizeof(status));
	note(0, "QEMU", 0, state, sizeof(state));
	note(0, "QEMU", 0, state, sizeof(state));
	note(0, "VMCOREINFO", 0, "OSRELEASE=1\n", 12);
	load(1, 0x1000, PAGE, 0, PAGE);
	source = open_good(&inspect);
	ck_assert_uint_eq(inspect.nr_cpus, 2);
	ck_assert_int_eq(inspect.registers(inspect.context, 1, &registers), 0);
	ck_assert_uint_eq(registers.reg[REGS_RSP], rsp);
	ck_assert_uint_eq(registers.reg[REGS_RIP], rip);
	ck_assert_uint_eq(registers.cr3, cr3);
	ck_assert_int_eq(inspect.registers(inspect.context, 2, &registers), -ENOENT);
	ck_assert_int_eq(strncmp(source_vmcoreinfo(source, &bytes), "OSRELEASE=1\n", 12), 0);
	ck_assert_uint_eq(bytes, 12);
	source_close(source);
}
END_TEST

START_TEST(a_note_that_does_not_fit_ends_the_notes)
{
	struct inspect_source inspect;
	struct source *source;
	Elf64_Nhdr lie = {11, 0xfffffff0, 0};

	begin(2);
	load(1, 0x1000, PAGE, 0, PAGE);
	note(0, "VMCOREINFO", 0, "A=1\n", 4);
	memcpy(elf.bytes + elf.headers[0].p_offset, &lie, sizeof(lie));
	source = open_good(&inspect);
	ck_assert_uint_eq(inspect.nr_cpus, 1);
	source_close(source);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(files_of_other_kinds_are_named)
{
	begin(1);
	load(0, 0x1000, PAGE, 0, PAGE);
	elf.header->e_ident[EI_CLASS] = ELFCLASS32;
	refused(elf.size, -ENOEXEC, "32-bit");
	elf.header->e_ident[EI_CLASS] = ELFCLASS64;
	elf.header->e_ident[EI_DATA] = ELFDATA2MSB;
	refused(elf.size, -ENOEXEC, "big-endian");
	elf.header->e_ident[EI_DATA] = ELFDATA2LSB;
	elf.header->e_machine = EM_AARCH64;
	refused(elf.size, -ENOEXEC, "machine 183");
	elf.header->e_machine = EM_X86_64;
	elf.header->e_type = ET_EXEC;
	refused(elf.size, -ENOEXEC, "no core");
	memcpy(elf.bytes, "makedumpfile", 12);
	refused(elf.size, -ENOEXEC, "makedumpfile");
	memcpy(elf.bytes, "KDUMP   ", 8);
	refused(elf.size, -ENOEXEC, "kdump");
	memcpy(elf.bytes, "LibvirtQemudSave", 16);
	refused(elf.size, -ENOEXEC, "virsh dump");
	memcpy(elf.bytes, "whatever else it", 16);
	refused(elf.size, -ENOEXEC, "no ELF");
}
END_TEST

START_TEST(a_core_cut_short_is_refused_at_every_length)
{
	struct source *source;
	struct error error;

	begin(2);
	note(0, "VMCOREINFO", 0, "A=1\n", 4);
	load(1, 0x1000, PAGE, 0, 64);
	for (size_t size = 0; size < elf.size; size += size < 300 ? 1 : 97) {
		int err;

		write_bytes(elf.bytes, size);
		error.text[0] = '\0';
		err = source_open_core(scratch_path, &source, &error);
		ck_assert_msg(err < 0 && error.text[0], "%zu of %zu bytes", size, elf.size);
	}
	refused(elf.size - 1, -EINVAL, "cut short: memory at 0x1000");
}
END_TEST

START_TEST(numbers_that_lie_are_refused)
{
	begin(1);
	load(0, 0x1000, PAGE, 0, PAGE);
	elf.headers[0].p_filesz = UINT64_MAX - 0xfff;
	refused(elf.size, -EINVAL, "cut short");
	elf.headers[0].p_filesz = PAGE;
	elf.headers[0].p_paddr = UINT64_MAX - 0xfff;
	refused(elf.size, -EINVAL, "none is looked at");
	elf.headers[0].p_paddr = 0;
	elf.header->e_phoff = UINT64_MAX - 8;
	refused(elf.size, -EINVAL, "program headers");
	elf.header->e_phoff = sizeof(Elf64_Ehdr);
	elf.header->e_phnum = 0;
	refused(elf.size, -EINVAL, "0 program headers");
	elf.header->e_phnum = PN_XNUM;
	elf.header->e_shoff = elf.size;
	refused(elf.size, -EINVAL, "number of its headers");
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
	struct source *source;
	struct error error = {""};

	ck_assert_int_eq(source_open_core("/dev/null", &source, &error), -EINVAL);
	ck_assert_int_eq(source_open_core("/", &source, &error), -EINVAL);
	ck_assert_int_eq(source_open_core("/nowhere/at/all", &source, &error), -ENOENT);
	write_bytes("", 0);
	ck_assert_int_eq(source_open_core(scratch_path, &source, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "empty"));
}
END_TEST

/* ---- QEMU's texts ---- */

static int count_range(void *context, uint64_t start, uint64_t end)
{
	uint64_t *sum = context;

	*sum += end - start;
	return 0;
}

START_TEST(ram_is_read_from_the_view_of_memory)
{
	static const char text[] =
		"FlatView #0\n AS \"I/O\", root: io\n Root memory region: io\n"
		"  0000000000000000-0000000000000fff (prio 0, ram): no\n\n"
		"FlatView #1\n AS \"memory\", root: system\n AS \"cpu-memory-0\", root: system\n"
		" Root memory region: system\n"
		"  0000000000000000-000000000009ffff (prio 0, ram): pc.ram\n"
		"  00000000000a0000-00000000000bffff (prio 1, i/o): vga\n"
		"  00000000000c0000-00000000000dffff (prio 1, rom): pc.ram @000c0000\n"
		"  0000000000100000-000000001fffffff (prio 0, ram): pc.ram @00100000\n"
		"  fffffffffffff000-ffffffffffffffff (prio 0, ram): beyond all\n";
	uint64_t sum = 0;

	ck_assert_int_eq(monitor_ranges(text, count_range, &sum), 0);
	ck_assert_uint_eq(sum, 0xa0000 + 0x1ff00000);
	ck_assert_int_eq(monitor_ranges("unknown command\n", count_range, &sum), -EPROTO);
}
END_TEST

START_TEST(registers_are_read_from_text)
{
	static const char text[] =
		"RAX=0000000000000001 RBX=0000000000000002 RCX=3 RDX=4\r\n"
		"RSI=5 RDI=6 RBP=7 RSP=8\r\nR8 =9 R9 =a R10=b R11=c\r\nR12=d R13=e R14=f R15=10\r\n"
		"RIP=ffffffff81c93f8f RFL=00000216 [----AP-] CPL=0 II=0 A20=1 SMM=0 HLT=1\r\n"
		"CS =0010 0000000000000000 ffffffff 00af9b00 DPL=0 CS64 [-RA]\r\n"
		"GS =0000 ffff88801ec00000 00000000 00000000\r\n"
		"GDT=     fffffe0000001000 0000007f\r\n"
		"CR0=80050033 CR2=000000000c2fd178 CR3=0000000004b3e000 CR4=00750ef0\r\n"
		"EFER=0000000000001d01\r\n";
	struct inspect_registers r;
	char cut[sizeof(text)];

	ck_assert_int_eq(monitor_registers(text, &r), 0);
	ck_assert_uint_eq(r.reg[REGS_RAX], 1);
	ck_assert_uint_eq(r.reg[REGS_R8], 9);
	ck_assert_uint_eq(r.reg[REGS_R15], 0x10);
	ck_assert_uint_eq(r.reg[REGS_RIP], 0xffffffff81c93f8f);
	ck_assert_uint_eq(r.cr3, 0x4b3e000);
	ck_assert_uint_eq(r.efer, 0x1d01);
	ck_assert_uint_eq(r.segment[0].selector, 0x10);
	ck_assert_uint_eq(r.segment[4].base, 0xffff88801ec00000);
	ck_assert_uint_eq(r.segment[8].limit, 0x7f);
	for (size_t i = 0; i + 24 < sizeof(text); i++) {
		memcpy(cut, text, i);
		cut[i] = '\0';
		ck_assert_int_eq(monitor_registers(cut, &r), -EPROTO);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("source");
	TCase *cases = tcase_create("core");

	tcase_add_checked_fixture(cases, NULL, scratch_remove);
	tcase_add_test(cases, bytes_are_found_by_physical_address);
	tcase_add_test(cases, an_odd_offset_gives_aligned_words);
	tcase_add_test(cases, of_loads_that_overlap_each_byte_comes_once);
	tcase_add_test(cases, a_page_of_pieces_is_put_together);
	tcase_add_test(cases, more_pieces_than_ranges_are_covered);
	tcase_add_test(cases, without_physical_address_it_is_no_memory);
	tcase_add_test(cases, zstd_is_unpacked);
	tcase_add_test(cases, registers_come_from_qemus_notes_first);
	tcase_add_test(cases, a_note_that_does_not_fit_ends_the_notes);
	tcase_add_test(cases, files_of_other_kinds_are_named);
	tcase_add_test(cases, a_core_cut_short_is_refused_at_every_length);
	tcase_add_test(cases, numbers_that_lie_are_refused);
	tcase_add_test(cases, what_is_no_file_is_refused);
	tcase_add_test(cases, ram_is_read_from_the_view_of_memory);
	tcase_add_test(cases, registers_are_read_from_text);
	suite_add_tcase(suite, cases);
	return harness_run(suite);
}
