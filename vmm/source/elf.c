/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ELF cores of whole machines: the program headers and the notes, read by hand, because the one
 * reader must do for a file of some megabytes, for one of terabytes of holes, and for /proc/kcore,
 * whose length says nothing. Every number of the file is checked before it is used.
 */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/user.h>
#include <unistd.h>

#include "lib/regs.h"
#include "vmm/source/private.h"

/* QEMU writes tens of thousands with paging; no more than this is a header to believe. */
#define HEADERS_MAX    (1u << 22)
#define NOTES_MAX      (64u << 20)
#define VMCOREINFO_MAX (1u << 20)
#define NO_ADDRESS     UINT64_MAX

static bool get(const struct source_bytes *file, uint64_t offset, void *buffer, size_t bytes)
{
	if (offset > file->bytes || bytes > file->bytes - offset)
		return false;
	if (file->host) {
		memcpy(buffer, file->host + offset, bytes);
		return true;
	}
	while (bytes > 0) {
		ssize_t got = pread(file->fd, buffer, bytes, (off_t)offset);

		if (got <= 0)
			return false;
		buffer = (uint8_t *)buffer + got;
		offset += (uint64_t)got;
		bytes -= (size_t)got;
	}
	return true;
}

/* What a file that is no ELF is, for the error's words. */
static int no_elf(const uint8_t *head, const char *what, struct error *error)
{
	if (!memcmp(head, "makedumpfile", 12))
		return error_set(error, -ENOEXEC,
				 "%s is a flattened kdump (makedumpfile); an ELF core is read: "
				 "dump-guest-memory without a format, or makedumpfile -E",
				 what);
	if (!memcmp(head, "KDUMP   ", 8))
		return error_set(error, -ENOEXEC,
				 "%s is a compressed kdump; an ELF core is read: makedumpfile -E "
				 "makes one",
				 what);
	if (!memcmp(head, "LibvirtQemud", 12))
		return error_set(error, -ENOEXEC,
				 "%s is a saved domain; virsh dump --memory-only makes a core",
				 what);
	return error_set(error, -ENOEXEC, "%s is no ELF file", what);
}

static int check_header(const struct source_bytes *file, Elf64_Ehdr *header, const char *what,
			struct error *error)
{
	memset(header, 0, sizeof(*header));
	if (file->bytes < EI_NIDENT || !get(file, 0, header, EI_NIDENT))
		return error_set(error, -EINVAL, "%s is too short to be a core", what);
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		return no_elf(header->e_ident, what, error);
	if (header->e_ident[EI_CLASS] != ELFCLASS64)
		return error_set(error, -ENOEXEC, "%s is a 32-bit ELF file; 64-bit ones are read",
				 what);
	if (header->e_ident[EI_DATA] != ELFDATA2LSB)
		return error_set(error, -ENOEXEC, "%s is big-endian: of no x86-64 machine", what);
	if (!get(file, 0, header, sizeof(*header)))
		return error_set(error, -EINVAL, "%s is cut short inside its ELF header", what);
	if (header->e_machine != EM_X86_64)
		return error_set(error, -ENOEXEC,
				 "%s is of ELF machine %u; only x86-64 (62) is read", what,
				 header->e_machine);
	if (header->e_type != ET_CORE)
		return error_set(error, -ENOEXEC, "%s is an ELF file of type %u, no core (4)", what,
				 header->e_type);
	if (header->e_phentsize != sizeof(Elf64_Phdr))
		return error_set(error, -EINVAL, "%s has program headers of %u bytes, not %zu",
				 what, header->e_phentsize, sizeof(Elf64_Phdr));
	return 0;
}

static int read_headers(const struct source_bytes *file, const char *what, Elf64_Phdr **headers_out,
			uint32_t *count_out, struct error *error)
{
	Elf64_Ehdr header;
	Elf64_Shdr section;
	Elf64_Phdr *headers;
	uint32_t count;
	int err = check_header(file, &header, what, error);

	if (err)
		return err;
	count = header.e_phnum;
	if (count == PN_XNUM) {
		if (!get(file, header.e_shoff, &section, sizeof(section)))
			return error_set(error, -EINVAL,
					 "%s is cut short: the number of its headers is missing",
					 what);
		count = section.sh_info;
	}
	if (count == 0 || count > HEADERS_MAX)
		return error_set(error, -EINVAL, "%s has %u program headers", what, count);
	headers = calloc(count, sizeof(*headers));
	if (!headers)
		return error_set(error, -ENOMEM, "no memory for %u program headers", count);
	if (!get(file, header.e_phoff, headers, count * sizeof(*headers))) {
		free(headers);
		return error_set(error, -EINVAL, "%s is cut short inside its program headers",
				 what);
	}
	*headers_out = headers;
	*count_out = count;
	return 0;
}

static int add_load(struct source *source, const struct source_bytes *file, const Elf64_Phdr *load,
		    const char *what, struct error *error)
{
	struct source_piece piece = {
		.start = load->p_paddr,
		.end = load->p_paddr + load->p_filesz,
		.offset = load->p_offset,
	};

	/* /proc/kcore says so of what is mapped without being RAM. */
	if (load->p_filesz == 0 || load->p_paddr == NO_ADDRESS)
		return 0;
	if (load->p_offset > file->bytes || load->p_filesz > file->bytes - load->p_offset)
		return error_set(error, -EINVAL,
				 "%s is cut short: memory at 0x%" PRIx64 " should be at 0x%" PRIx64
				 " to 0x%" PRIx64 ", the file has 0x%" PRIx64 " bytes",
				 what, (uint64_t)load->p_paddr, (uint64_t)load->p_offset,
				 (uint64_t)(load->p_offset + load->p_filesz), file->bytes);
	if (piece.end < piece.start || piece.end > NB_RAM_LIMIT)
		return error_set(error, -EINVAL,
				 "%s has memory at 0x%" PRIx64 ", 0x%" PRIx64
				 " bytes: above 0x%llx none is looked at",
				 what, (uint64_t)load->p_paddr, (uint64_t)load->p_filesz,
				 (unsigned long long)NB_RAM_LIMIT);
	if (file->host)
		piece.host = file->host + load->p_offset;
	return source_add_piece(source, &piece);
}

/* ---- notes ---- */

/* QEMU's note, versions of 432 bytes and, with kernel_gs_base, of 440. */
struct qemu_segment {
	uint32_t selector, limit, flags, pad;
	uint64_t base;
};

struct qemu_state {
	uint32_t version, size;
	/* rax rbx rcx rdx rsi rdi rsp rbp r8..r15 rip rflags */
	uint64_t reg[NR_REGS];
	struct qemu_segment segment[INSPECT_SEGMENTS];
	uint64_t cr[5];
};
_Static_assert(sizeof(struct qemu_state) == 432, "as QEMU writes it");

static int add_qemu(struct source *source, const uint8_t *note, size_t bytes)
{
	struct inspect_registers registers = {.efer = 0};
	struct qemu_state state;

	if (bytes < sizeof(state))
		return 0;
	memcpy(&state, note, sizeof(state));
	memcpy(registers.reg, state.reg, sizeof(registers.reg));
	/* QEMU has these two the other way round. */
	registers.reg[REGS_RBP] = state.reg[REGS_RSP];
	registers.reg[REGS_RSP] = state.reg[REGS_RBP];
	for (unsigned int i = 0; i < INSPECT_SEGMENTS; i++)
		registers.segment[i] = (struct inspect_segment){
			.base = state.segment[i].base,
			.limit = state.segment[i].limit,
			.selector = (uint16_t)state.segment[i].selector,
			.attributes = state.segment[i].flags,
		};
	registers.cr0 = state.cr[0];
	registers.cr2 = state.cr[2];
	registers.cr3 = state.cr[3];
	registers.cr4 = state.cr[4];
	return source_add_cpu(source, &registers);
}

/* What a crashed kernel leaves: general registers alone. */
static int add_prstatus(struct source *source, const uint8_t *note, size_t bytes)
{
	struct elf_prstatus status;
	struct user_regs_struct r;

	if (bytes < sizeof(status))
		return 0;
	memcpy(&status, note, sizeof(status));
	memcpy(&r, &status.pr_reg, sizeof(r));
	return source_add_cpu(source, &(struct inspect_registers){
					      .reg = {r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi,
						      r.rbp, r.rsp, r.r8, r.r9, r.r10, r.r11, r.r12,
						      r.r13, r.r14, r.r15, r.rip, r.eflags},
				      });
}

static int keep_vmcoreinfo(struct source *source, const uint8_t *note, size_t bytes)
{
	if (source->vmcoreinfo || bytes == 0 || bytes > VMCOREINFO_MAX)
		return 0;
	source->vmcoreinfo = malloc(bytes);
	if (!source->vmcoreinfo)
		return -ENOMEM;
	memcpy(source->vmcoreinfo, note, bytes);
	source->vmcoreinfo_bytes = bytes;
	return 0;
}

typedef int (*note_fn)(struct source *source, const uint8_t *note, size_t bytes);

/* Calls @note with each note of that name and type. A note that does not fit ends them. */
static int for_each_note(struct source *source, const uint8_t *bytes, size_t size, const char *name,
			 uint32_t type, note_fn note)
{
	Elf64_Nhdr header;
	size_t at = 0;

	while (size - at >= sizeof(header)) {
		uint64_t name_at, note_at, next;
		int err;

		memcpy(&header, bytes + at, sizeof(header));
		name_at = at + sizeof(header);
		note_at = name_at + ((header.n_namesz + 3ull) & ~3ull);
		next = note_at + ((header.n_descsz + 3ull) & ~3ull);
		if (note_at > size || header.n_descsz > size - note_at)
			break;
		if (header.n_type == type && header.n_namesz == strlen(name) + 1 &&
		    !memcmp(bytes + name_at, name, header.n_namesz)) {
			err = note(source, bytes + note_at, header.n_descsz);
			if (err)
				return err;
		}
		if (next > size)
			break;
		at = next;
	}
	return 0;
}

static int add_notes(struct source *source, const struct source_bytes *file,
		     const Elf64_Phdr *header, const char *what, struct error *error)
{
	uint8_t *notes;
	int err;

	if (header->p_filesz == 0)
		return 0;
	if (header->p_filesz > NOTES_MAX)
		return error_set(error, -EINVAL, "%s has notes of 0x%" PRIx64 " bytes", what,
				 (uint64_t)header->p_filesz);
	notes = malloc(header->p_filesz);
	if (!notes)
		return -ENOMEM;
	err = -EINVAL;
	if (!get(file, header->p_offset, notes, header->p_filesz)) {
		error_set(error, err, "%s is cut short inside its notes", what);
		goto out_free;
	}
	err = for_each_note(source, notes, header->p_filesz, "QEMU", 0, add_qemu);
	if (!err && source->nr_cpus == 0)
		err = for_each_note(source, notes, header->p_filesz, "CORE", NT_PRSTATUS,
				    add_prstatus);
	if (!err)
		err = for_each_note(source, notes, header->p_filesz, "VMCOREINFO", 0,
				    keep_vmcoreinfo);
out_free:
	free(notes);
	return err;
}

int source_elf(struct source *source, const struct source_bytes *file, const char *what,
	       struct error *error)
{
	Elf64_Phdr *headers = NULL;
	uint32_t count = 0;
	int err = read_headers(file, what, &headers, &count, error);

	if (err)
		return err;
	for (uint32_t i = 0; i < count && !err; i++) {
		if (headers[i].p_type == PT_LOAD)
			err = add_load(source, file, &headers[i], what, error);
		else if (headers[i].p_type == PT_NOTE)
			err = add_notes(source, file, &headers[i], what, error);
		if (err == -ENOMEM)
			error_set(error, err, "no memory for the headers of %s", what);
	}
	free(headers);
	if (!err)
		source_finish(source);
	return err;
}
