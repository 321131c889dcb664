/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flags in the field's words: --gfp "GFP_KERNEL|__GFP_ZERO" and back.
 *
 * Source: Linux 6.1, include/linux/gfp_types.h, include/linux/vmalloc.h,
 * arch/x86/include/asm/pgtable_types.h.
 */
#include <inttypes.h>
#include <string.h>

#include "lib/input.h"
#include "guest/abi.h"
#include "vmm/nestctl/nestctl.h"

/* What is made of several comes before what it is made of. */
struct symbol {
	const char *name;
	uint64_t value;
};

static const struct symbol gfp[] = {
	{"GFP_KERNEL_ACCOUNT", 0x400cc0},
	{"GFP_USER", 0x100cc0},
	{"GFP_KERNEL", NB_GFP_KERNEL},
	{"GFP_ATOMIC", 0xa20},
	{"GFP_NOIO", 0xc00},
	{"GFP_NOFS", 0xc40},
	{"GFP_NOWAIT", 0x800},
	{"GFP_DMA32", 0x4},
	{"GFP_DMA", 0x1},
	{"__GFP_HIGHMEM", 0x2},
	{"__GFP_HIGH", 0x20},
	{"__GFP_IO", 0x40},
	{"__GFP_FS", 0x80},
	{"__GFP_ZERO", NB_GFP_ZERO},
	{"__GFP_ATOMIC", 0x200},
	{"__GFP_DIRECT_RECLAIM", 0x400},
	{"__GFP_KSWAPD_RECLAIM", 0x800},
	{"__GFP_NOWARN", NB_GFP_NOWARN},
	{"__GFP_RETRY_MAYFAIL", 0x4000},
	{"__GFP_NOFAIL", 0x8000},
	{"__GFP_NORETRY", 0x10000},
	{"__GFP_COMP", 0x40000},
	{"__GFP_HARDWALL", 0x100000},
	{"__GFP_THISNODE", 0x200000},
	{"__GFP_ACCOUNT", 0x400000},
	{NULL, 0},
};

static const struct symbol flags[] = {
	{"VM_IOREMAP", 0x1},
	{"VM_ALLOC", NB_VM_ALLOC},
	{"VM_MAP", NB_VM_MAP},
	{"VM_USERMAP", 0x8},
	{"VM_DMA_COHERENT", 0x10},
	{"VM_UNINITIALIZED", 0x20},
	{"VM_NO_GUARD", NB_VM_NO_GUARD},
	{"VM_KASAN", 0x80},
	{"VM_FLUSH_RESET_PERMS", 0x100},
	{"VM_MAP_PUT_PAGES", 0x200},
	{"VM_ALLOW_HUGE_VMAP", 0x400},
	{NULL, 0},
};

static const struct symbol prot[] = {
	{"PAGE_KERNEL_NOCACHE", 0x8000000000000173},
	{"PAGE_KERNEL_ROX", 0x161},
	{"PAGE_KERNEL_RO", 0x8000000000000161},
	{"PAGE_KERNEL_EXEC", 0x163},
	{"PAGE_KERNEL", NB_PAGE_KERNEL},
	{NULL, 0},
};

static const struct symbol rights[] = {
	{"VM_READ", NB_VM_READ},
	{"VM_WRITE", NB_VM_WRITE},
	{"VM_EXEC", NB_VM_EXEC},
	{"VM_SHARED", NB_VM_SHARED},
	{NULL, 0},
};

static const struct {
	const char *argument;
	const struct symbol *symbols;
} kinds[] = {{"gfp", gfp}, {"flags", flags}, {"prot", prot}, {"rights", rights}};

static const struct symbol *symbols_of(const char *argument)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].argument, argument) == 0)
			return kinds[i].symbols;
	return NULL;
}

bool ctl_flags_known(const char *argument)
{
	return symbols_of(argument) != NULL;
}

static bool find(const struct symbol *symbol, const char *word, size_t length, uint64_t *value_out)
{
	for (; symbol->name; symbol++) {
		if (strlen(symbol->name) == length && strncmp(symbol->name, word, length) == 0) {
			*value_out = symbol->value;
			return true;
		}
	}
	return number_parse(word, length, value_out) == NUMBER_OK;
}

bool ctl_flags_parse(const char *argument, const char *word, uint64_t *value_out)
{
	const struct symbol *symbols = symbols_of(argument);
	uint64_t value = 0, one;
	size_t length;

	if (!symbols)
		return false;
	for (;; word += length + 1) {
		length = strcspn(word, "|");
		if (!find(symbols, word, length, &one))
			return false;
		value |= one;
		if (!word[length])
			break;
	}
	*value_out = value;
	return true;
}

void ctl_flags_names(const char *argument, char text[CTL_FLAGS_BYTES])
{
	const struct symbol *symbol = symbols_of(argument);
	size_t used = 0;

	text[0] = '\0';
	for (; symbol && symbol->name && used < CTL_FLAGS_BYTES; symbol++)
		used += (size_t)snprintf(text + used, CTL_FLAGS_BYTES - used, "%s%s",
					 used ? ", " : "", symbol->name);
}

const char *ctl_flags_text(const char *argument, uint64_t value, char text[CTL_FLAGS_BYTES])
{
	const struct symbol *symbol = symbols_of(argument);
	size_t used = 0;

	text[0] = '\0';
	for (; symbol && symbol->name && value && used < CTL_FLAGS_BYTES; symbol++) {
		if ((value & symbol->value) != symbol->value)
			continue;
		value &= ~symbol->value;
		used += (size_t)snprintf(text + used, CTL_FLAGS_BYTES - used, "%s%s",
					 used ? "|" : "", symbol->name);
	}
	if (symbol && value && used < CTL_FLAGS_BYTES)
		snprintf(text + used, CTL_FLAGS_BYTES - used, "%s0x%" PRIx64, used ? "|" : "",
			 value);
	return text;
}
