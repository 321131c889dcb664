/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Faults planted in a real kernel's memory: each by changing one thing. */
#include "mm/x86.h"
#include "tests/machine/linux_core.h"

/* The entry where the walk of @address ends, changed. */
static bool change_entry(struct machine *machine, uint64_t address, uint64_t set, uint64_t clear,
			 uint64_t flip)
{
	struct paging_walk found;
	const struct paging_entry *entry;

	machine_walk(machine, address, &found);
	entry = &found.entries[found.entry_count - 1];
	return found.entry_count > 0 &&
	       machine_poke_physical(machine, entry->address.value,
				     ((entry->value | set) & ~clear) ^ flip);
}

/* ---- what to plant in ---- */

static const struct linux_area *find_area(const struct machine *machine, enum linux_list_kind kind,
					  uint64_t flags, uint32_t pages)
{
	for (size_t i = 0; i < machine->space.count; i++) {
		const struct linux_area *area = &machine->space.area[i];

		if (machine->space.list[area->list].kind != kind)
			continue;
		if (kind != LINUX_BUSY || (area->has_vm && (area->vm.flags & flags) == flags &&
					   area->vm.nr_pages >= pages && area->vm.nr_pages < 64))
			return area;
	}
	return NULL;
}

static const struct linux_area *vmalloced(const struct machine *machine)
{
	return find_area(machine, LINUX_BUSY, LINUX_VM_ALLOC, 3);
}

/* An address that is not mapped and whose table is there, in an area of @kind. */
static uint64_t absent_in(struct machine *machine, enum linux_list_kind kind)
{
	for (size_t i = 0; i < machine->space.count; i++) {
		const struct linux_area *area = &machine->space.area[i];
		struct paging_walk found;

		if (machine->space.list[area->list].kind != kind || area->start <= 1)
			continue;
		machine_walk(machine, area->start, &found);
		if (found.status == PAGING_NOT_PRESENT && found.level == 1)
			return area->start;
	}
	return 0;
}

static const struct linux_area *any_free(const struct machine *machine, size_t skip)
{
	const struct linux_list *list = &machine->space.list[machine->space.nr_lists - 1];

	return list->count > skip + 2 ? &machine->space.area[list->first + 1 + skip] : NULL;
}

static uint64_t module_text(struct machine *machine)
{
	const struct linux_module *modules;
	const char *broken;
	size_t count;

	if (linux_modules(machine->guest, &modules, &count, &broken, NULL) || count == 0)
		return 0;
	return modules[0].region[0].start;
}

/* ---- faults ---- */

static bool leaf_cleared(struct machine *m)
{
	return change_entry(m, vmalloced(m)->start + 4096, 0, 1, 0);
}

static bool leaf_redirected(struct machine *m)
{
	return change_entry(m, vmalloced(m)->start + 4096, 0, 0, 4096);
}

static bool guard_mapped(struct machine *m)
{
	const struct linux_area *area = vmalloced(m);
	struct paging_walk found;

	machine_walk(m, area->start, &found);
	return change_entry(m, area->end - 4096, found.entries[found.entry_count - 1].value, 0, 0);
}

static bool writable_module_text(struct machine *m)
{
	uint64_t text = module_text(m);

	return text && change_entry(m, text, X86_PTE_RW, 0, 0);
}

static bool writable_image(struct machine *m)
{
	return change_entry(m, m->guest->facts.image_start, X86_PTE_RW, 0, 0);
}

static bool writable_alias(struct machine *m)
{
	struct paging_walk found;

	machine_walk(m, m->guest->facts.image_start, &found);
	return change_entry(m, m->guest->facts.direct_base + found.gpa.value, X86_PTE_RW, 0, 0);
}

static bool executable_data(struct machine *m)
{
	return change_entry(m, vmalloced(m)->start, 0, X86_PTE_NX, 0);
}

static bool wrong_maximum(struct machine *m)
{
	return machine_poke(m, any_free(m, 0)->at + m->guest->types.vmap_area_vm,
			    any_free(m, 0)->link + 4096);
}

static bool wrong_vm_size(struct machine *m)
{
	const struct linux_area *area = vmalloced(m);

	return machine_poke(m, area->link + m->guest->types.vm_struct_size, area->vm.size + 4096);
}

static bool wrong_nr_pages(struct machine *m)
{
	const struct linux_area *area = vmalloced(m);
	uint64_t at = area->link + m->guest->types.vm_struct_nr_pages;

	/* A word of four bytes, in the upper or the lower half of eight. */
	if (at % 8)
		return machine_poke(m, at - 4, machine_peek(m, at - 4) - (1ull << 32));
	return machine_poke(m, at, machine_peek(m, at) - 1);
}

static bool wrong_page(struct machine *m)
{
	const struct linux_area *area = vmalloced(m);

	return machine_poke(m, area->vm.pages,
			    machine_peek(m, area->vm.pages) + m->guest->types.page_bytes);
}

static bool shorter_area(struct machine *m)
{
	const struct linux_area *area = vmalloced(m);

	return machine_poke(m, area->at + m->guest->types.vmap_area_va_end, area->end - 4096);
}

static bool wrong_free_start(struct machine *m)
{
	const struct linux_area *area = any_free(m, 1);

	return machine_poke(m, area->at, area->start - 4096);
}

static bool leaf_in_free(struct machine *m)
{
	uint64_t at = absent_in(m, LINUX_FREE);

	return at && change_entry(m, at, 0x8000000000000063ull | 0x100000, 0, 0);
}

static bool leaf_in_lazy(struct machine *m)
{
	const struct linux_area *area = find_area(m, LINUX_LAZY, 0, 0);

	return area && change_entry(m, area->start, 0x8000000000000063ull | 0x100000, 0, 0);
}

static bool unlinked(struct machine *m)
{
	uint64_t entry = vmalloced(m)->at + m->guest->types.vmap_area_list;
	uint64_t next = machine_peek(m, entry), previous = machine_peek(m, entry + 8);

	return machine_poke(m, previous, next) && machine_poke(m, next + 8, previous);
}

static bool wrong_prev(struct machine *m)
{
	uint64_t entry = vmalloced(m)->at + m->guest->types.vmap_area_list;

	return machine_poke(m, entry + 8, entry);
}

static bool looped(struct machine *m)
{
	uint64_t entry = vmalloced(m)->at + m->guest->types.vmap_area_list;

	return machine_poke(m, entry, entry);
}

static bool wrong_parent(struct machine *m)
{
	uint64_t at = any_free(m, 0)->at + m->guest->types.vmap_area_rb_node;

	return machine_poke(m, at, machine_peek(m, at) + 64);
}

static bool wrong_colour(struct machine *m)
{
	uint64_t at = any_free(m, 0)->at + m->guest->types.vmap_area_rb_node;

	return machine_poke(m, at, machine_peek(m, at) ^ 1);
}

static bool wrong_lazy_nr(struct machine *m)
{
	uint64_t at;

	return linux_symbol(m->guest, "vmap_lazy_nr", &at) &&
	       machine_poke(m, at, machine_peek(m, at) + 1);
}

static bool module_moved(struct machine *m)
{
	const struct linux_types *t = &m->guest->types;
	const struct linux_module *modules;
	const char *broken;
	uint64_t at;
	size_t count;

	if (linux_modules(m->guest, &modules, &count, &broken, NULL) || count == 0)
		return false;
	at = modules[0].at + (t->module_mem != NO_FIELD
				      ? t->module_mem + t->module_memory_base
				      : t->module_core_layout + t->module_layout_base);
	return machine_poke(m, at, machine_peek(m, at) + (16ull << 20));
}

static bool shared_table(struct machine *m)
{
	struct paging_walk one, other;

	machine_walk(m, m->guest->facts.image_start, &one);
	machine_walk(m, vmalloced(m)->start, &other);
	if (one.entry_count < 3 || other.entry_count < 3)
		return false;
	/* A directory of vmalloc's now also serves where the image's is not present. */
	return machine_poke_physical(m, one.entries[one.entry_count - 2].address.value - 8,
				     other.entries[other.entry_count - 3].value);
}

/* The struct page of the second page of an area. */
static uint64_t listed_page(struct machine *m)
{
	return machine_peek(m, vmalloced(m)->vm.pages + 8);
}

static bool page_unreferenced(struct machine *m)
{
	uint64_t at = listed_page(m) + m->guest->types.page__mapcount;

	/* _mapcount and _refcount are one word of eight bytes. */
	return at % 8 == 0 && machine_poke(m, at, UINT32_MAX);
}

static bool page_in_free_block(struct machine *m)
{
	uint64_t at = listed_page(m) + m->guest->types.page__mapcount;
	int64_t buddy;

	return at % 8 == 0 &&
	       linux_info_number(m->guest->vmcoreinfo, "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)",
				 &buddy) &&
	       machine_poke(m, at, (uint32_t)buddy);
}

static bool page_of_two_areas(struct machine *m)
{
	for (size_t i = 0; i < m->space.count; i++) {
		const struct linux_area *area = &m->space.area[i];

		if (area->has_vm && area != vmalloced(m) && area->vm.nr_pages > 1 &&
		    (area->vm.flags & LINUX_VM_ALLOC))
			return machine_poke(m, area->vm.pages, listed_page(m));
	}
	return false;
}

const struct fault linux_faults[] = {
	{"a listed page without a reference", LINUX_CHECK_FRAMES, false, page_unreferenced},
	{"a listed page in a free block", LINUX_CHECK_FRAMES, false, page_in_free_block},
	{"a page of two areas", LINUX_CHECK_FRAMES, false, page_of_two_areas},
	{"a leaf cleared", LINUX_CHECK_MAPPING, false, leaf_cleared},
	{"a leaf redirected", LINUX_CHECK_MAPPING, false, leaf_redirected},
	{"a guard page mapped", LINUX_CHECK_MAPPING, false, guard_mapped},
	{"a module's text writable", LINUX_CHECK_WX, false, writable_module_text},
	{"the image's text writable", LINUX_CHECK_WX, false, writable_image},
	{"text writable by the direct map", LINUX_CHECK_WX, false, writable_alias},
	{"data executable", LINUX_CHECK_WX, false, executable_data},
	{"a maximum wrong", LINUX_CHECK_FREE_TREE, false, wrong_maximum},
	{"a vm_struct's size wrong", LINUX_CHECK_AREAS, false, wrong_vm_size},
	{"nr_pages wrong", LINUX_CHECK_MAPPING, false, wrong_nr_pages},
	{"a page of the array wrong", LINUX_CHECK_MAPPING, false, wrong_page},
	{"an area's end wrong", LINUX_CHECK_AREAS, false, shorter_area},
	{"a free area's start wrong", LINUX_CHECK_FREE_TREE, false, wrong_free_start},
	{"a leaf in free space", LINUX_CHECK_STRAY, false, leaf_in_free},
	{"a leaf in lazy space", LINUX_CHECK_STRAY, true, leaf_in_lazy},
	{"an area unlinked", LINUX_CHECK_AREAS, false, unlinked},
	{"a prev wrong", LINUX_CHECK_AREAS, false, wrong_prev},
	{"a list that loops", LINUX_CHECK_AREAS, false, looped},
	{"a parent wrong", LINUX_CHECK_FREE_TREE, false, wrong_parent},
	{"a colour wrong", LINUX_CHECK_FREE_TREE, false, wrong_colour},
	{"vmap_lazy_nr wrong", LINUX_CHECK_FREE_TREE, false, wrong_lazy_nr},
	{"a module without its area", LINUX_CHECK_MODULES, false, module_moved},
	{"a table used twice", LINUX_CHECK_TABLES, false, shared_table},
	{.name = NULL},
};
