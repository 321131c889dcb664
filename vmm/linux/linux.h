/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linux as the guest: an x86-64 kernel's vmalloc read from its memory alone, without debuginfo and
 * without the guest's help.
 *
 * How it is found: VMCOREINFO, from a note or by a scan of memory, says where the kernel and its
 * page tables are; it is believed only if the root it names maps _stext where it says, and if
 * init_uts_ns holds the release that it says. Symbols come from the kernel's own kallsyms, offsets
 * in structures from its own BTF. What a kernel has is asked for by symbol and member, never by
 * version: distributions backport. What is missing is said (linux_facts.missing), and what can be
 * done without is done. CR3 is not used: with page-table isolation a CPU in user mode has a table
 * without the kernel.
 *
 *     linux.h    finding it; symbols
 *     space.h    the lists and trees of vmap areas, vmallocinfo, modules, the log
 *     frames.h   struct pages: one frame, all of a zone by state
 *     check.h    the audit
 *
 * Nothing that is read is trusted: counts are bounded, lists are followed only while next and prev
 * agree, trees to a depth no red-black tree has, text is made printable where it is shown.
 *
 * Not locked: one linux_guest belongs to one thread.
 */
#ifndef VMM_LINUX_LINUX_H
#define VMM_LINUX_LINUX_H

#include "lib/error.h"
#include "vmm/inspect/inspect.h"

struct linux_guest;

struct linux_facts {
	char release[68];         /* uname -r */
	char from[48];            /* where VMCOREINFO was: "note", "memory at 0x..." */
	uint64_t kernel_offset;   /* KASLR's, as VMCOREINFO has it */
	uint64_t phys_base, root; /* root: guest-physical address of init_top_pgt */
	unsigned int levels;
	/* [start, end) of what this kernel has where; 0: not known. */
	uint64_t direct_base, memmap_base;
	uint64_t vmalloc_start, vmalloc_end, modules_start, modules_end;
	uint64_t image_start, image_end; /* _stext, _end */
	size_t nr_symbols, btf_bytes;
	bool symbols_scanned, btf_scanned; /* not where VMCOREINFO or a symbol said */
	unsigned int nodes;                /* vmap nodes; 0: one list for all */
	bool running;                      /* system_state == SYSTEM_RUNNING */
	char missing[240];                 /* what this kernel lacks and what goes without; "" */
};

/*
 * Finds the kernel in @source (whose `paging` is filled in here). @vmcoreinfo may be NULL: memory
 * is searched then, and also where the note's does not hold. Errors, with words: -ENOENT, no
 * Linux kernel there, or none that can be believed (what was wrong with each candidate is said);
 * -EOPNOTSUPP (memory encryption); -ENOMEM. A kernel without kallsyms or BTF is no error here but
 * one of what needs them.
 */
int linux_open(const struct inspect_source *source, const char *vmcoreinfo, size_t vmcoreinfo_bytes,
	       struct linux_guest **guest_out, struct error *error);

/*
 * The same without what structures are like, which takes a third of the time: enough for page
 * tables, memory and symbols. What needs types fails as on a kernel without BTF.
 */
int linux_open_untyped(const struct inspect_source *source, const char *vmcoreinfo,
		       size_t vmcoreinfo_bytes, struct linux_guest **guest_out,
		       struct error *error);
void linux_close(struct linux_guest *guest);

/* To be called when the guest has run: translations and the list of modules are forgotten. */
void linux_refresh(struct linux_guest *guest);

const struct linux_facts *linux_facts(const struct linux_guest *guest);

/* The guest through the inspector, for vmm/look/: the kernel's own tables and regions. */
struct inspector *linux_inspector(struct linux_guest *guest);

/* ---- symbols ---- */

/* The address of the first symbol of that name; false where there is none. */
bool linux_symbol(const struct linux_guest *guest, const char *name, uint64_t *address_out);

struct linux_symbol {
	const char *name; /* the guest's */
	char type;        /* nm's letter */
	uint64_t address;
};

/* Symbol @index of facts->nr_symbols, in kallsyms' order. */
struct linux_symbol linux_symbol_at(const struct linux_guest *guest, size_t index);

#define LINUX_NAME_BYTES 640

/*
 * @address as the kernel's %pS writes it: "name+0x1a/0x80", "name+0x1a/0x80 [module]", or "0x..."
 * where it is in no symbol. Returns @text; what is not printable is '?'.
 */
const char *linux_address_name(struct linux_guest *guest, uint64_t address,
			       char text[LINUX_NAME_BYTES]);

#endif
