/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Modules, and names of addresses as the kernel's %pS writes them: symbols of the image by
 * kallsyms, of modules by their own symbol tables (kernel/kallsyms.c, kernel/module/kallsyms.c).
 */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/grow.h"
#include "lib/printable.h"
#include "lib/search.h"
#include "vmm/linux/private.h"

#define MODULES_MAX        4096u
#define MODULE_SYMBOLS_MAX (1u << 20)
#define SYMBOL_NAME_BYTES  512u
#define STATE_UNFORMED     3u

/* ---- the list ---- */

static void add_region(struct linux_module *module, uint64_t start, uint32_t bytes,
		       uint32_t text_bytes)
{
	if (bytes == 0 || module->nr_regions == LINUX_MODULE_REGIONS)
		return;
	module->region[module->nr_regions].start = start;
	module->region[module->nr_regions].bytes = bytes;
	module->region[module->nr_regions++].text_bytes = text_bytes;
}

/* 6.4 and later: mem[], one for each kind of memory. */
static bool read_mem(struct linux_guest *guest, struct linux_module *module)
{
	const struct linux_types *t = &guest->types;

	for (uint32_t i = 0; i < t->nr_module_mem && i < 16; i++) {
		uint64_t at = module->at + t->module_mem + (uint64_t)i * t->module_memory_bytes;
		uint64_t start;
		uint32_t bytes;

		if (!inspect_u64(guest->inspector, at + t->module_memory_base, &start) ||
		    !inspect_u32(guest->inspector, at + t->module_memory_size, &bytes))
			return false;
		add_region(module, start, bytes, bytes);
	}
	return true;
}

static bool read_layout(struct linux_guest *guest, struct linux_module *module, uint32_t offset)
{
	const struct linux_types *t = &guest->types;
	uint64_t at = module->at + offset, start;
	uint32_t bytes, text;

	if (!inspect_u64(guest->inspector, at + t->module_layout_base, &start) ||
	    !inspect_u32(guest->inspector, at + t->module_layout_size, &bytes) ||
	    !inspect_u32(guest->inspector, at + t->module_layout_text_size, &text))
		return false;
	add_region(module, start, bytes, text);
	return true;
}

static bool read_module(struct linux_guest *guest, struct linux_module *module)
{
	const struct linux_types *t = &guest->types;

	if (!inspect_read(guest->inspector, module->at + t->module_name, module->name,
			  sizeof(module->name) - 8) ||
	    !inspect_u32(guest->inspector, module->at + t->module_state, &module->state) ||
	    !inspect_u64(guest->inspector, module->at + t->module_kallsyms, &module->kallsyms))
		return false;
	module->name[sizeof(module->name) - 8] = '\0';
	printable(module->name);
	if (t->module_mem != NO_FIELD)
		return read_mem(guest, module);
	return read_layout(guest, module, t->module_core_layout) &&
	       read_layout(guest, module, t->module_init_layout);
}

static bool module_types(const struct linux_types *t)
{
	bool common = t->module_list != NO_FIELD && t->module_name != NO_FIELD &&
		      t->module_state != NO_FIELD && t->module_kallsyms != NO_FIELD;

	if (t->module_mem != NO_FIELD)
		return common && t->module_memory_base != NO_FIELD &&
		       t->module_memory_size != NO_FIELD;
	return common && t->module_core_layout != NO_FIELD && t->module_init_layout != NO_FIELD &&
	       t->module_layout_base != NO_FIELD && t->module_layout_size != NO_FIELD &&
	       t->module_layout_text_size != NO_FIELD;
}

static int add_module(struct linux_guest *guest, const struct linux_module *module)
{
	if (GROW(guest->modules, guest->nr_modules))
		return -ENOMEM;
	guest->modules[guest->nr_modules++] = *module;
	return 0;
}

static int read_list(struct linux_guest *guest, uint64_t head)
{
	uint64_t at, previous = head, back;
	int err = 0;

	guest->modules_broken = NULL;
	if (!inspect_u64(guest->inspector, head, &at)) {
		guest->modules_broken = "the list of modules cannot be read";
		return 0;
	}
	while (at != head && !err) {
		struct linux_module module = {.at = at - guest->types.module_list};

		if (!inspect_u64(guest->inspector, at + 8, &back) || back != previous) {
			guest->modules_broken = "a module's list links do not agree";
			break;
		}
		if (guest->nr_modules == MODULES_MAX || !read_module(guest, &module)) {
			guest->modules_broken = "a module cannot be read";
			break;
		}
		err = add_module(guest, &module);
		previous = at;
		if (!inspect_u64(guest->inspector, at, &at))
			break;
	}
	return err;
}

int linux_modules(struct linux_guest *guest, const struct linux_module **modules_out,
		  size_t *count_out, const char **broken_out, struct error *error)
{
	uint64_t head;
	int err = linux_need(guest, error);

	if (err)
		return err;
	if (!guest->modules_read) {
		if (!linux_symbol(guest, "modules", &head) || !module_types(&guest->types))
			return error_set(error, -EOPNOTSUPP,
					 "this kernel has no modules, or no symbol for their list");
		err = read_list(guest, head);
		if (err)
			return error_set(error, err, "no memory for the list of modules");
		guest->modules_read = true;
	}
	*modules_out = guest->modules;
	*count_out = guest->nr_modules;
	*broken_out = guest->modules_broken;
	return 0;
}

/* ---- names ---- */

/* Copies the name at @address of a module's string table; false where it does not count. */
static bool module_name(struct linux_guest *guest, uint64_t address, char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		uint8_t c;

		if (!inspect_u8(guest->inspector, address + i, &c))
			return false;
		text[i] = (char)c;
		if (c == 0)
			break;
	}
	text[bytes - 1] = '\0';
	/* Mapping symbols, as the kernel tells them. */
	return text[0] && text[0] != '$' && !(text[0] == '.' && text[1] == 'L');
}

struct nearest {
	uint64_t value, next;
	char name[SYMBOL_NAME_BYTES];
};

/* The last symbol at or below @address, and the next above it below @end. */
static bool nearest_in_module(struct linux_guest *guest, const struct linux_module *module,
			      uint64_t address, uint64_t end, struct nearest *nearest)
{
	const struct linux_types *t = &guest->types;
	uint64_t symtab, strtab, name = 0;
	char text[SYMBOL_NAME_BYTES];
	uint32_t count;

	if (!inspect_u64(guest->inspector, module->kallsyms + t->mod_kallsyms_symtab, &symtab) ||
	    !inspect_u32(guest->inspector, module->kallsyms + t->mod_kallsyms_num_symtab, &count) ||
	    !inspect_u64(guest->inspector, module->kallsyms + t->mod_kallsyms_strtab, &strtab))
		return false;
	*nearest = (struct nearest){.next = end};
	for (uint32_t i = 1; i < count && i < MODULE_SYMBOLS_MAX; i++) {
		Elf64_Sym symbol;

		if (!inspect_read(guest->inspector, symtab + i * sizeof(symbol), &symbol,
				  sizeof(symbol)))
			return false;
		if (symbol.st_shndx == SHN_UNDEF)
			continue;
		if (symbol.st_value <= address ? symbol.st_value <= nearest->value
					       : symbol.st_value >= nearest->next)
			continue;
		if (!module_name(guest, strtab + symbol.st_name, text, sizeof(text)))
			continue;
		if (symbol.st_value > address) {
			nearest->next = symbol.st_value;
			continue;
		}
		nearest->value = symbol.st_value;
		name = strtab + symbol.st_name;
	}
	return name != 0 && module_name(guest, name, nearest->name, sizeof(nearest->name));
}

static bool name_in_modules(struct linux_guest *guest, uint64_t address, char *text)
{
	const struct linux_module *modules;
	struct nearest nearest;
	const char *broken;
	size_t count;

	if (guest->types.mod_kallsyms_symtab == NO_FIELD ||
	    guest->types.mod_kallsyms_num_symtab == NO_FIELD ||
	    guest->types.mod_kallsyms_strtab == NO_FIELD ||
	    linux_modules(guest, &modules, &count, &broken, NULL))
		return false;
	for (size_t m = 0; m < count; m++) {
		for (unsigned int r = 0; r < modules[m].nr_regions; r++) {
			uint64_t start = modules[m].region[r].start;

			if (address - start >= modules[m].region[r].bytes ||
			    modules[m].state == STATE_UNFORMED)
				continue;
			if (!nearest_in_module(guest, &modules[m], address,
					       start + modules[m].region[r].text_bytes, &nearest))
				return false;
			snprintf(text, LINUX_NAME_BYTES, "%s+0x%" PRIx64 "/0x%" PRIx64 " [%s]",
				 nearest.name, address - nearest.value,
				 nearest.next - nearest.value, modules[m].name);
			return true;
		}
	}
	return false;
}

/* The place in by_address of the last symbol at or below @address; false where there is none. */
static bool last_below(const struct linux_guest *guest, uint64_t address, size_t *place_out)
{
	size_t low = FIRST_WHERE(i, guest->facts.nr_symbols,
				 guest->address[guest->by_address[i]] > address);

	if (low == 0)
		return false;
	*place_out = low - 1;
	return true;
}

static bool name_in_image(struct linux_guest *guest, uint64_t address, char *text)
{
	size_t place, next;
	uint64_t at, end;

	if (address < guest->facts.image_start || address >= guest->facts.image_end ||
	    !last_below(guest, address, &place))
		return false;
	at = guest->address[guest->by_address[place]];
	for (next = place + 1;
	     next < guest->facts.nr_symbols && guest->address[guest->by_address[next]] == at;
	     next++)
		;
	end = next < guest->facts.nr_symbols ? guest->address[guest->by_address[next]]
					     : guest->facts.image_end;
	/* Of symbols at one address the kernel takes the first. */
	while (place > 0 && guest->address[guest->by_address[place - 1]] == at)
		place--;
	snprintf(text, LINUX_NAME_BYTES, "%s+0x%" PRIx64 "/0x%" PRIx64,
		 linux_symbol_at(guest, guest->by_address[place]).name, address - at, end - at);
	return true;
}

const char *linux_address_name(struct linux_guest *guest, uint64_t address,
			       char text[LINUX_NAME_BYTES])
{
	if (!name_in_image(guest, address, text) && !name_in_modules(guest, address, text))
		snprintf(text, LINUX_NAME_BYTES, "0x%" PRIx64, address);
	printable(text);
	return text;
}
