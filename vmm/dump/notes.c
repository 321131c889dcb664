/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The notes of a core: registers as the kernel's ELF cores have them (NT_PRSTATUS) and as QEMU's
 * have them, and VMCOREINFO, whose text is what drgn and crash look for, then the layout note.
 */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/user.h>

#include "mm/x86.h"
#include "vmm/dump/private.h"

/* QEMU's note (crash's QEMUCPUState, version 1). */
struct qemu_segment {
	uint32_t selector, limit, flags, pad;
	uint64_t base;
};

struct qemu_state {
	uint32_t version, size;
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rip, rflags;
	struct qemu_segment segment[INSPECT_SEGMENTS];
	uint64_t cr[5];
	uint64_t kernel_gs_base;
};
_Static_assert(sizeof(struct qemu_state) == 440, "what readers of the note expect");
_Static_assert(sizeof(struct elf_prstatus) == 336, "what readers of cores expect");

/* What grows. */
struct text {
	char *bytes;
	size_t size, room;
	bool failed;
};

static void add_bytes(struct text *text, const void *bytes, size_t size)
{
	if (text->failed || size == 0)
		return;
	if (size > text->room - text->size) {
		size_t room = 2 * (text->room + size);
		char *grown = realloc(text->bytes, room);

		if (!grown) {
			text->failed = true;
			return;
		}
		text->bytes = grown;
		text->room = room;
	}
	memcpy(text->bytes + text->size, bytes, size);
	text->size += size;
}

__attribute__((format(printf, 2, 3))) static void add_line(struct text *text, const char *format,
							   ...)
{
	char line[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	add_bytes(text, line, strlen(line));
}

static void add_note(struct text *notes, const char *name, uint32_t type, const void *bytes,
		     size_t size)
{
	const Elf64_Nhdr header = {
		.n_namesz = (Elf64_Word)strlen(name) + 1,
		.n_descsz = (Elf64_Word)size,
		.n_type = type,
	};
	static const char zeroes[4];

	add_bytes(notes, &header, sizeof(header));
	add_bytes(notes, name, header.n_namesz);
	add_bytes(notes, zeroes, -header.n_namesz & 3u);
	add_bytes(notes, bytes, size);
	add_bytes(notes, zeroes, -header.n_descsz & 3u);
}

/* ---- registers ---- */

enum { CS, DS, ES, FS, GS, SS, LDT, TR, GDT, IDT };

#define FIELD(r, NAME, name) .name = (r)->reg[REGS_##NAME]

static struct user_regs_struct user_registers(const struct inspect_registers *r)
{
	return (struct user_regs_struct){
		REGS_TO_RIP(FIELD, r),
		.eflags = r->reg[REGS_RFLAGS],
		.orig_rax = ~0ull, /* in no system call */
		.cs = r->segment[CS].selector,
		.ss = r->segment[SS].selector,
		.ds = r->segment[DS].selector,
		.es = r->segment[ES].selector,
		.fs = r->segment[FS].selector,
		.gs = r->segment[GS].selector,
		.fs_base = r->segment[FS].base,
		.gs_base = r->segment[GS].base,
	};
}

static void add_prstatus(struct text *notes, unsigned int cpu, const struct inspect_registers *r)
{
	struct user_regs_struct registers = user_registers(r);
	struct elf_prstatus status;

	memset(&status, 0, sizeof(status));
	status.pr_pid = (pid_t)cpu + 1;
	_Static_assert(sizeof(registers) == sizeof(status.pr_reg), "the same registers");
	memcpy(&status.pr_reg, &registers, sizeof(registers));
	add_note(notes, "CORE", NT_PRSTATUS, &status, sizeof(status));
}

static void add_qemu(struct text *notes, const struct inspect_registers *r)
{
	struct qemu_state state = {
		.version = 1,
		.size = sizeof(state),
		REGS_LIST(FIELD, r),
		.cr = {r->cr0, 0, r->cr2, r->cr3, r->cr4},
	};

	for (unsigned int i = 0; i < INSPECT_SEGMENTS; i++)
		state.segment[i] = (struct qemu_segment){
			.selector = r->segment[i].selector,
			.limit = r->segment[i].limit,
			.flags = r->segment[i].attributes,
			.base = r->segment[i].base,
		};
	add_note(notes, "QEMU", 0, &state, sizeof(state));
}

/* Where the vCPU failed, with what else the registers of the moment say. */
static struct inspect_registers shown(const struct core_options *options, unsigned int cpu,
				      const struct inspect_registers *now)
{
	struct inspect_registers registers = *now;

	if (options->failed && options->failed_cpu == cpu)
		memcpy(registers.reg, options->failed->reg, sizeof(registers.reg));
	return registers;
}

static unsigned int add_cpus(struct inspector *inspector, const struct core_options *options,
			     struct text *notes)
{
	uint32_t nr_cpus = inspect_source_of(inspector)->nr_cpus;
	struct inspect_registers now, then;
	unsigned int count = 0;

	for (unsigned int cpu = 0; cpu < nr_cpus && cpu < NB_MAX_VCPUS; cpu++) {
		if (inspect_registers(inspector, cpu, &now))
			continue;
		then = shown(options, cpu, &now);
		add_prstatus(notes, cpu, &then);
		count++;
	}
	for (unsigned int cpu = 0; cpu < nr_cpus && cpu < NB_MAX_VCPUS; cpu++) {
		if (!inspect_registers(inspector, cpu, &now))
			add_qemu(notes, &now);
	}
	return count;
}

/* ---- VMCOREINFO ---- */

/* Lines of the layout note that are said in another form already. */
static bool said_already(const char *line, size_t length)
{
	static const char *const keys[] = {
		"NUMBER(VMALLOC_START)=",  "NUMBER(VMALLOC_END)=", "OSRELEASE=", "PAGESIZE=",
		"SYMBOL(swapper_pg_dir)=", "NUMBER(phys_base)="};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (length >= strlen(keys[i]) && !memcmp(line, keys[i], strlen(keys[i])))
			return true;
	}
	return false;
}

static void add_layout(const struct core_options *options, struct text *text)
{
	const char *line = options->layout, *end = line + options->layout_bytes;

	while (line && line < end) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		size_t length = newline ? (size_t)(newline - line) : (size_t)(end - line);

		if (length > 0 && !said_already(line, length)) {
			add_bytes(text, line, length);
			add_bytes(text, "\n", 1);
		}
		line = newline ? newline + 1 : end;
	}
}

/*
 * drgn computes the root's address as swapper_pg_dir + phys_base - 0xffffffff80000000, so any root
 * can be named; its 0.0.22 reads swapper_pg_dir itself, for which there is a PT_LOAD.
 */
static void add_vmcoreinfo(const struct inspector *inspector, const struct core_options *options,
			   struct text *notes)
{
	const struct layout *l = inspect_layout(inspector);
	const struct paging_mode *paging = &inspect_source_of(inspector)->paging;
	struct text text = {.bytes = NULL};

	add_line(&text, "OSRELEASE=%s\n", options->release);
	if (options->build_id && options->build_id[0])
		add_line(&text, "BUILD-ID=%s\n", options->build_id);
	add_line(&text, "PAGESIZE=%llu\n", INSPECT_PAGE_BYTES);
	add_line(&text, "SYMBOL(swapper_pg_dir)=%llx\n", CORE_ROOT_ADDRESS);
	add_line(&text, "NUMBER(phys_base)=%" PRIu64 "\n", paging->root.value);
	add_line(&text, "NUMBER(pgtable_l5_enabled)=%d\n", paging->levels == 5);
	add_line(&text, "KERNELOFFSET=0\n");
	add_line(&text, "NUMBER(MAX_PHYSMEM_BITS)=46\n");
	add_line(&text, "NUMBER(VMALLOC_START)=0x%" PRIx64 "\n", l->vmalloc_start);
	add_line(&text, "NUMBER(VMALLOC_END)=0x%" PRIx64 "\n", l->vmalloc_end);
	if (options->crash_time)
		add_line(&text, "CRASHTIME=%" PRIu64 "\n", options->crash_time);
	add_layout(options, &text);
	notes->failed = notes->failed || text.failed;
	add_note(notes, "VMCOREINFO", 0, text.bytes, text.size);
	free(text.bytes);
}

int core_notes(struct inspector *inspector, const struct core_options *options, void **notes_out,
	       size_t *bytes_out, unsigned int *vcpus_out)
{
	struct text notes = {.bytes = NULL};
	unsigned int vcpus = add_cpus(inspector, options, &notes);

	add_vmcoreinfo(inspector, options, &notes);
	if (notes.failed) {
		free(notes.bytes);
		return -ENOMEM;
	}
	*notes_out = notes.bytes;
	*bytes_out = notes.size;
	*vcpus_out = vcpus;
	return 0;
}
