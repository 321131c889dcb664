/* SPDX-License-Identifier: GPL-2.0-or-later */
/* /proc/vmallocinfo's lines, as s_show() of this kernel's mm/vmalloc.c prints them. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/linux/private.h"

#define NODES_MAX 1024u

struct print {
	struct linux_guest *guest;
	linux_line_fn line;
	void *context;
	unsigned int node_bits; /* of page->flags, topmost; 0: the kernel has one node only */
	/* The last caller and its name: the same ones come again and again. */
	uint64_t caller[256];
	char name[256][LINUX_NAME_BYTES];
	char text[LINUX_LINE_BYTES];
	size_t used;
};

__attribute__((format(printf, 2, 3))) static void add(struct print *print, const char *format, ...)
{
	size_t room = sizeof(print->text) - print->used;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(print->text + print->used, room, format, arguments);
	va_end(arguments);
	if (length > 0)
		print->used += (size_t)length < room ? (size_t)length : room - 1;
}

static void begin(struct print *print, uint64_t start, uint64_t end)
{
	print->used = 0;
	add(print, "0x%016" PRIx64 "-0x%016" PRIx64 " %7lu", start, end,
	    (unsigned long)(end - start));
}

static void add_caller(struct print *print, uint64_t caller)
{
	size_t slot = (caller >> 2) % 256;

	if (print->caller[slot] != caller || !print->name[slot][0]) {
		print->caller[slot] = caller;
		linux_address_name(print->guest, caller, print->name[slot]);
	}
	add(print, " %s", print->name[slot]);
}

static void add_flags(struct print *print, const struct linux_vm *vm)
{
	const struct linux_facts *facts = &print->guest->facts;

	if (vm->flags & LINUX_VM_IOREMAP)
		add(print, " ioremap");
	/* The flag and the word came with the nodes (6.9). */
	if (facts->nodes && (vm->flags & LINUX_VM_SPARSE))
		add(print, " sparse");
	if (vm->flags & LINUX_VM_ALLOC)
		add(print, " vmalloc");
	if (vm->flags & LINUX_VM_MAP)
		add(print, " vmap");
	if (vm->flags & LINUX_VM_USERMAP)
		add(print, " user");
	if (vm->flags & LINUX_VM_DMA_COHERENT)
		add(print, " dma-coherent");
	if (vm->pages >= facts->vmalloc_start && vm->pages < facts->vmalloc_end)
		add(print, " vpages");
}

/* " N0=4": the pages of each node, by the topmost bits of their flags (page_to_nid()). */
static void add_nodes(struct print *print, const struct linux_vm *vm)
{
	uint32_t counts[NODES_MAX] = {0}, step = 1u << (vm->page_order < 20 ? vm->page_order : 0);
	uint64_t page, flags;
	uint32_t most = 0;

	if (print->node_bits == 0 || (vm->flags & LINUX_VM_UNINITIALIZED) || !vm->pages)
		return;
	for (uint32_t i = 0; i < vm->nr_pages; i += step) {
		uint32_t node;

		if (!linux_vm_page(print->guest, vm, i, &page) ||
		    !inspect_u64(print->guest->inspector, page + print->guest->types.page_flags,
				 &flags))
			break;
		node = (uint32_t)(flags >> (64 - print->node_bits));
		counts[node] += step;
		most = node > most ? node : most;
	}
	for (uint32_t node = 0; node <= most; node++) {
		if (counts[node])
			add(print, " N%u=%u", node, counts[node]);
	}
}

static int busy_line(struct print *print, const struct linux_area *area)
{
	const struct linux_guest *guest = print->guest;
	const struct linux_vm *vm = &area->vm;

	if (!area->has_vm) {
		/* Kernels whose areas have flags print those of vm_map_ram() alone. */
		if (guest->types.vmap_area_flags != NO_FIELD && !(area->flags & LINUX_VMAP_RAM))
			return 0;
		begin(print, area->start, area->end);
		add(print, " vm_map_ram");
		return print->line(print->context, print->text, area);
	}
	if (guest->facts.nodes && (vm->flags & LINUX_VM_UNINITIALIZED))
		return 0;
	begin(print, vm->address, vm->address + vm->size);
	if (vm->caller)
		add_caller(print, vm->caller);
	if (vm->nr_pages)
		add(print, " pages=%u", vm->nr_pages);
	if (vm->phys_addr)
		add(print, " phys=0x%016" PRIx64, vm->phys_addr);
	add_flags(print, vm);
	add_nodes(print, vm);
	return print->line(print->context, print->text, area);
}

static int print_list(struct print *print, const struct linux_space *space,
		      const struct linux_list *list)
{
	int err = 0;

	for (size_t i = list->first; i < list->first + list->count && !err; i++) {
		const struct linux_area *area = &space->area[i];

		if (list->kind == LINUX_BUSY) {
			err = busy_line(print, area);
			continue;
		}
		begin(print, area->start, area->end);
		add(print, " unpurged vm_area");
		err = print->line(print->context, print->text, area);
	}
	return err;
}

/* log2 of the number of nodes the kernel was made for: bits of the node number in page->flags. */
static unsigned int node_bits(const struct linux_guest *guest)
{
	int64_t bytes = 0;
	unsigned int bits = 0;
	uint64_t nodes;

	if (!linux_info_hex(guest->vmcoreinfo, "SYMBOL(node_data)", &nodes) ||
	    !linux_info_number(guest->vmcoreinfo, "SIZE(nodemask_t)", &bytes))
		return 0;
	while ((int64_t)1 << bits < 8 * bytes && 1u << bits < NODES_MAX)
		bits++;
	return bits;
}

int linux_areas_print(struct linux_guest *guest, const struct linux_space *space,
		      linux_line_fn line, void *context)
{
	struct print *print = calloc(1, sizeof(*print));
	int err = 0;

	if (!print)
		return -ENOMEM;
	print->guest = guest;
	print->line = line;
	print->context = context;
	print->node_bits = node_bits(guest);
	for (size_t i = 0; i < space->nr_lists && !err; i++) {
		if (space->list[i].kind == LINUX_BUSY || space->list[i].kind == LINUX_LAZY)
			err = print_list(print, space, &space->list[i]);
	}
	free(print);
	return err;
}
