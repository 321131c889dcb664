/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looking at guests that are not a nestbox's: a core, the host's kernel, a QEMU, a libvirt domain
 * (vmm/source/source.h). No server is asked: the verbs are done here. What they print is what the
 * verbs of the same name print of a guest of ours.
 */
#ifndef VMM_NESTCTL_FOREIGN_H
#define VMM_NESTCTL_FOREIGN_H

#include "vmm/linux/linux.h"
#include "vmm/nestctl/nestctl.h"
#include "vmm/source/source.h"

/* What the command line says. */
struct foreign_options {
	const char *core, *qmp, *uri, *domain;
	bool kcore;
	const char *root; /* --cr3: kernel, cpuN, 0x...; NULL: kernel */
	bool json, raw, physical, writable, executable, user, scan, pause, direct_map, asked;
	uint64_t start, end, least_bytes, limit;
	const char *start_text, *end_text, *checks, *every, *output;
	uint64_t looks, count;
};

/* A guest that is looked at. */
struct foreign {
	struct foreign_options options;
	struct cli_command cli;
	struct error said; /* by cli_error(), last */
	struct ctl ctl;    /* for the printers: out, json, raw, cli */
	struct source *source;
	struct inspect_source inspect;
	struct linux_guest *linux_guest; /* NULL: none was found, linux_error says why */
	struct error linux_error;
	struct inspector *own;     /* a nestbox guest's, by its layout note; NULL: none */
	struct inspector *bare;    /* neither: what --cr3 names; NULL: not asked for */
	struct paging_mode paging; /* of --cr3 */
	char **operands;
	int nr_operands;
	json_t **answer_out; /* NULL: verbs print; else what they would goes there */
};

/* Whether the words name a source that no server stands before. */
bool foreign_wanted(int argc, char **argv);

/* Carries out the words behind "nestctl". */
enum cli_status foreign_main(int argc, char **argv);

/* The inspector for vmm/look/ and the tables to use; false, said, where there is none. */
bool foreign_inspector(struct foreign *foreign, struct inspector **inspector_out,
		       const struct paging_mode **paging_out);

struct linux_list;
struct linux_space;

/* The first list that could not be read to its end, or NULL. */
const struct linux_list *foreign_first_broken(const struct linux_space *space);

/* The verb state (vmm/nestctl/foreign_state.c). */
enum cli_status foreign_state(struct foreign *foreign);

/* The Linux that was found; NULL, said, where there is none. */
struct linux_guest *foreign_linux(struct foreign *foreign);

/* Says what went wrong; returns what the program ends with. */
enum cli_status foreign_failed(struct foreign *foreign, int err, const struct error *error);

/* An operand as an address: a number, or a symbol with or without an offset. False: said. */
bool foreign_address(struct foreign *foreign, const char *word, uint64_t *address_out);

/* Prints @value, whose reference is taken, as JSON or by @print. */
enum cli_status foreign_print(struct foreign *foreign, json_t *value, ctl_print_fn print);

typedef enum cli_status (*foreign_fn)(struct foreign *foreign);

struct foreign_verb {
	const char *name, *operands, *help;
	int least, most; /* operands */
	foreign_fn run;
};

/* vmm/nestctl/foreign_look.c, foreign_linux.c; ended by one without a name. */
extern const struct foreign_verb foreign_look_verbs[];
extern const struct foreign_verb foreign_linux_verbs[];

/* Whether it needs none of the kernel's structures, whose types take a while to read. */
bool foreign_untyped(const struct foreign_verb *verb);

/* The row of that name, or NULL. */
const struct foreign_verb *foreign_verb_find(const char *name);

/* vmm/nestctl/foreign_frames.c */
enum cli_status foreign_frame(struct foreign *foreign);
enum cli_status foreign_frames(struct foreign *foreign);

/* vmm/nestctl/picture.c */
enum cli_status foreign_picture(struct foreign *foreign);

/* vmm/nestctl/foreign_audit.c */
enum cli_status foreign_audit(struct foreign *foreign);

#endif
