/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finding a kernel: VMCOREINFO first, then its symbols, its types, where its regions are. Each
 * step goes on without the one before where it can, and says what was missing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/linux/private.h"

#define IMAGE_BYTES_DEFAULT (1ull << 30)
#define MODULES_END         0xffffffffff000000ull
#define VMALLOC_BYTES_4     (32ull << 40)
#define VMALLOC_BYTES_5     (12800ull << 40)

/* Adds a sentence to what is missing. */
__attribute__((format(printf, 2, 3))) static void missing(struct linux_guest *guest,
							  const char *format, ...)
{
	char *text = guest->facts.missing;
	size_t used = strlen(text), room = sizeof(guest->facts.missing);
	va_list arguments;

	if (used > 0 && used + 3 < room)
		used += (size_t)snprintf(text + used, room - used, "; ");
	va_start(arguments, format);
	vsnprintf(text + used, room - used, format, arguments);
	va_end(arguments);
}

static int read_symbols(struct linux_guest *guest)
{
	const char *info = guest->vmcoreinfo;
	struct linux_kallsyms tables;
	struct error error = {""};
	int err = -ENOENT;

	if (linux_info_hex(info, "SYMBOL(kallsyms_names)", &tables.names) &&
	    linux_info_hex(info, "SYMBOL(kallsyms_num_syms)", &tables.num_syms) &&
	    linux_info_hex(info, "SYMBOL(kallsyms_token_table)", &tables.token_table) &&
	    linux_info_hex(info, "SYMBOL(kallsyms_token_index)", &tables.token_index) &&
	    linux_info_hex(info, "SYMBOL(kallsyms_offsets)", &tables.offsets) &&
	    linux_info_hex(info, "SYMBOL(kallsyms_relative_base)", &tables.relative_base))
		err = linux_kallsyms_decode(guest, &tables, &error);
	if (err == 0 || err == -ENOMEM)
		return err;
	err = linux_kallsyms_scan(guest, &tables);
	if (!err) {
		err = linux_kallsyms_decode(guest, &tables, &error);
		guest->facts.symbols_scanned = err == 0;
	}
	if (err == -ENOMEM)
		return err;
	if (err)
		missing(guest, "no symbols: %s",
			error.text[0] ? error.text : "no kallsyms in memory");
	return 0;
}

static int read_types(struct linux_guest *guest)
{
	struct error error = {""};
	int err = linux_types_read(guest, &error);

	if (err == -ENOMEM)
		return err;
	if (err)
		missing(guest, "no types: %s", error.text);
	return 0;
}

/* A variable of eight bytes, by symbol. */
static bool variable(struct linux_guest *guest, const char *name, uint64_t *value_out)
{
	uint64_t address;

	return linux_symbol(guest, name, &address) &&
	       inspect_u64(guest->inspector, address, value_out);
}

/* KASLR moves these by whole gigabytes; what is elsewhere is no base. */
static bool plausible(uint64_t base)
{
	return base >= 0xff00000000000000ull && base < KERNEL_MAP && base % PAGE == 0;
}

static void read_regions(struct linux_guest *guest)
{
	struct linux_facts *facts = &guest->facts;
	const char *info = guest->vmcoreinfo;
	int64_t number, image = (int64_t)IMAGE_BYTES_DEFAULT;
	uint64_t bytes = facts->levels == 5 ? VMALLOC_BYTES_5 : VMALLOC_BYTES_4;

	if (!variable(guest, "page_offset_base", &facts->direct_base) ||
	    !plausible(facts->direct_base))
		facts->direct_base = 0;
	if ((!variable(guest, "vmalloc_base", &facts->vmalloc_start) ||
	     !plausible(facts->vmalloc_start)) &&
	    (!linux_info_number(info, "NUMBER(VMALLOC_START)", &number) ||
	     !plausible(facts->vmalloc_start = (uint64_t)number)))
		facts->vmalloc_start = 0;
	if ((!variable(guest, "vmemmap_base", &facts->memmap_base) ||
	     !plausible(facts->memmap_base)) &&
	    (!linux_info_hex(info, "SYMBOL(vmemmap)", &facts->memmap_base) ||
	     !plausible(facts->memmap_base)))
		facts->memmap_base = 0;
	facts->vmalloc_end = facts->vmalloc_start ? facts->vmalloc_start + bytes : 0;
	linux_info_number(info, "NUMBER(KERNEL_IMAGE_SIZE)", &image);
	facts->modules_start = KERNEL_MAP + (uint64_t)image;
	facts->modules_end = MODULES_END;
	if (facts->modules_start >= facts->modules_end || facts->modules_start < KERNEL_MAP)
		facts->modules_start = KERNEL_MAP + IMAGE_BYTES_DEFAULT;
	if (!linux_symbol(guest, "_end", &facts->image_end) ||
	    facts->image_end <= facts->image_start)
		facts->image_end = facts->modules_start;
	if (!facts->direct_base || !facts->vmalloc_start || !facts->memmap_base)
		missing(guest, "page_offset_base, vmalloc_base or vmemmap_base is in no symbol "
			       "(CONFIG_KALLSYMS_ALL=n): vmalloc cannot be read");
}

static void read_state(struct linux_guest *guest)
{
	uint64_t address;
	uint32_t value;

	guest->facts.nodes = 0;
	if (linux_symbol(guest, "nr_vmap_nodes", &address) &&
	    inspect_u32(guest->inspector, address, &value) &&
	    linux_symbol(guest, "vmap_nodes", &address))
		guest->facts.nodes = value;
	guest->facts.running = false;
	if (guest->has_types && guest->types.system_running >= 0 &&
	    linux_symbol(guest, "system_state", &address) &&
	    inspect_u32(guest->inspector, address, &value))
		guest->facts.running = value == guest->types.system_running;
}

/* The inspector again, with what vmm/look/ wants to know. */
static int finish_inspector(struct linux_guest *guest)
{
	const struct linux_facts *facts = &guest->facts;
	struct layout *layout = calloc(1, sizeof(*layout));
	int err;

	if (!layout)
		return -ENOMEM;
	layout->direct_base = facts->direct_base;
	layout->memmap_base = facts->memmap_base;
	layout->vmalloc_start = facts->vmalloc_start;
	layout->vmalloc_end = facts->vmalloc_end;
	layout->image_base = KERNEL_MAP;
	layout->modules_vaddr = facts->modules_start;
	layout->modules_end = facts->modules_end;
	layout->page.bytes = guest->types.page_bytes ? guest->types.page_bytes : 64;
	inspector_destroy(guest->inspector);
	guest->inspector = NULL;
	err = inspector_create(&guest->source, layout, &guest->inspector, NULL);
	free(layout);
	return err;
}

static int open_kernel(const struct inspect_source *source, const char *vmcoreinfo,
		       size_t vmcoreinfo_bytes, bool types, struct linux_guest **guest_out,
		       struct error *error)
{
	struct linux_guest *guest = calloc(1, sizeof(*guest));
	int err;

	if (!guest)
		return error_set(error, -ENOMEM, "no memory for a guest");
	guest->source = *source;
	guest->types.system_running = -1;
	err = linux_find_vmcoreinfo(guest, vmcoreinfo, vmcoreinfo_bytes, error);
	if (!err)
		err = read_symbols(guest);
	if (!err && types)
		err = read_types(guest);
	else if (!err)
		missing(guest, "types were not asked for");
	if (err)
		goto err_close;
	read_regions(guest);
	read_state(guest);
	err = finish_inspector(guest);
	if (err)
		goto err_close;
	*guest_out = guest;
	return 0;

err_close:
	if (err == -ENOMEM)
		error_set(error, err, "no memory for the kernel's symbols and types");
	linux_close(guest);
	return err;
}

int linux_open(const struct inspect_source *source, const char *vmcoreinfo, size_t vmcoreinfo_bytes,
	       struct linux_guest **guest_out, struct error *error)
{
	return open_kernel(source, vmcoreinfo, vmcoreinfo_bytes, true, guest_out, error);
}

int linux_open_untyped(const struct inspect_source *source, const char *vmcoreinfo,
		       size_t vmcoreinfo_bytes, struct linux_guest **guest_out, struct error *error)
{
	return open_kernel(source, vmcoreinfo, vmcoreinfo_bytes, false, guest_out, error);
}

void linux_close(struct linux_guest *guest)
{
	if (!guest)
		return;
	inspector_destroy(guest->inspector);
	free(guest->vmcoreinfo);
	free(guest->names);
	free(guest->name_at);
	free(guest->address);
	free(guest->by_address);
	free(guest->name_slot);
	free(guest->modules);
	free(guest);
}

void linux_refresh(struct linux_guest *guest)
{
	inspect_refresh(guest->inspector);
	free(guest->modules);
	guest->modules = NULL;
	guest->nr_modules = 0;
	guest->modules_read = false;
	read_state(guest);
}

const struct linux_facts *linux_facts(const struct linux_guest *guest)
{
	return &guest->facts;
}

struct inspector *linux_inspector(struct linux_guest *guest)
{
	return guest->inspector;
}

int linux_need(const struct linux_guest *guest, struct error *error)
{
	if (guest->facts.nr_symbols && guest->has_types)
		return 0;
	return error_set(error, -EOPNOTSUPP, "this kernel's structures cannot be read: %s",
			 guest->facts.missing);
}

int linux_need_symbols(const struct linux_guest *guest, const struct linux_wanted *wanted,
		       size_t count, struct error *error)
{
	for (size_t i = 0; i < count; i++) {
		if (!linux_symbol(guest, wanted[i].name, wanted[i].address))
			return error_set(error, -EOPNOTSUPP, "this kernel has no symbol %s",
					 wanted[i].name);
	}
	return 0;
}
