/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What QEMU's human monitor writes, read: `info mtree -f` and `info registers`. Texts for people:
 * what is not as expected is refused, not guessed at.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/regs.h"
#include "vmm/source/monitor.h"

/* ---- info mtree -f ---- */

static bool same_word(const char *at, const char *word)
{
	return !strncmp(at, word, strlen(word));
}

/*
 *   FlatView #1
 *    AS "memory", root: system
 *    ...
 *    Root memory region: system
 *     0000000000000000-000000001fffffff (prio 0, ram): pc.ram
 */
int monitor_ranges(const char *text, int (*range)(void *context, uint64_t start, uint64_t end),
		   void *context)
{
	bool ours = false, any = false;
	const char *line;

	for (line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		const char *at = line + strspn(line, " \t\r");
		uint64_t start, last;
		char kind[16];
		int err;

		if (same_word(at, "FlatView"))
			ours = false;
		else if (same_word(at, "AS \"memory\""))
			ours = true;
		if (!ours || sscanf(at, "%" SCNx64 "-%" SCNx64 " (prio %*d, %15[a-z0-9/])", &start,
				    &last, kind) != 3)
			continue;
		if (strcmp(kind, "ram") != 0 || last < start || last == UINT64_MAX ||
		    (start | (last + 1)) % SOURCE_PAGE)
			continue;
		err = range(context, start, last + 1);
		if (err)
			return err;
		any = true;
	}
	return any ? 0 : -EPROTO;
}

/* ---- info registers ---- */

/* The value behind "NAME=" or "NAME =", hexadecimal. */
static bool value_of(const char *text, const char *name, uint64_t *value_out)
{
	size_t length = strlen(name);
	const char *at = text;

	while ((at = strstr(at, name)) != NULL) {
		bool start = at == text || at[-1] == ' ' || at[-1] == '\n' || at[-1] == '\r';
		const char *behind = at + length + strspn(at + length, " ");

		if (start && *behind == '=')
			return sscanf(behind + 1, " %" SCNx64, value_out) == 1;
		at += length;
	}
	return false;
}

/* "CS =0010 0000000000000000 ffffffff 00af9b00", or without selector and flags. */
static void segment_of(const char *text, const char *name, struct inspect_segment *segment)
{
	size_t length = strlen(name);
	const char *at = text;

	while ((at = strstr(at, name)) != NULL) {
		unsigned int selector, limit, flags;
		uint64_t base;

		if ((at == text || at[-1] == '\n') && strchr(" =", at[length])) {
			at = strchr(at, '=');
			if (!at)
				return;
			if (sscanf(at + 1, "%x %" SCNx64 " %x %x", &selector, &base, &limit,
				   &flags) == 4)
				*segment = (struct inspect_segment){.base = base,
								    .limit = limit,
								    .selector = (uint16_t)selector,
								    .attributes = flags};
			else if (sscanf(at + 1, " %" SCNx64 " %x", &base, &limit) == 2)
				*segment = (struct inspect_segment){.base = base, .limit = limit};
			return;
		}
		at += length;
	}
}

int monitor_registers(const char *text, struct inspect_registers *registers_out)
{
	static const char *const names[NR_REGS] = {"RAX", "RBX", "RCX", "RDX", "RSI", "RDI",
						   "RBP", "RSP", "R8",  "R9",  "R10", "R11",
						   "R12", "R13", "R14", "R15", "RIP", "RFL"};
	static const char *const segments[INSPECT_SEGMENTS] = {"CS", "DS",  "ES", "FS",  "GS",
							       "SS", "LDT", "TR", "GDT", "IDT"};
	struct inspect_registers registers = {.efer = 0};

	for (size_t i = 0; i < NR_REGS; i++) {
		if (!value_of(text, names[i], &registers.reg[i]))
			return -EPROTO;
	}
	for (size_t i = 0; i < INSPECT_SEGMENTS; i++)
		segment_of(text, segments[i], &registers.segment[i]);
	if (!value_of(text, "CR0", &registers.cr0) || !value_of(text, "CR2", &registers.cr2) ||
	    !value_of(text, "CR3", &registers.cr3) || !value_of(text, "CR4", &registers.cr4) ||
	    !value_of(text, "EFER", &registers.efer))
		return -EPROTO;
	*registers_out = registers;
	return 0;
}
