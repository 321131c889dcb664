/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page tables against areas: one walk over the kernel half, for `tables` and `wx`; the leaves it
 * keeps are held against areas by `mapping` and `stray`, aliases by `wx`, modules by `modules`.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/grow.h"
#include "vmm/linux/check_private.h"

#define LEAVES_MAX    (1u << 24)
#define SHARED_TABLES 4096u
#define ESPFIX_START  0xffffff0000000000ull
#define ESPFIX_END    0xffffff8000000000ull
#define MODULE_LIVE   0u

/* ---- the walk ---- */

struct walk {
	struct linux_pass *pass;
	struct u64_map seen; /* tables */
	uint64_t tables, shared;
};

static bool kept(const struct linux_facts *facts, uint64_t address)
{
	return (address >= facts->vmalloc_start && address < facts->vmalloc_end) ||
	       address >= KERNEL_MAP;
}

static int keep_leaf(struct linux_pass *pass, const struct paging_leaf *leaf)
{
	if (pass->nr_leaves >= LEAVES_MAX || GROW(pass->leaf, pass->nr_leaves))
		return -ENOMEM;
	pass->leaf[pass->nr_leaves++] = (struct linux_leaf){leaf->gva.value, leaf->page_bytes,
							    leaf->gpa.value, leaf->rights};
	return 0;
}

static int walk_leaf(void *context, const struct paging_leaf *leaf)
{
	struct walk *walk = context;
	struct linux_pass *pass = walk->pass;
	uint64_t start = leaf->gva.value, end = start + leaf->page_bytes;

	pass->audit->leaves++;
	linux_count(pass, LINUX_CHECK_WX, 1);
	if ((leaf->rights & PAGING_W) && (leaf->rights & PAGING_X)) {
		if (pass->guest->facts.running)
			linux_find(pass, LINUX_CHECK_WX, LINUX_ALARM, "writable and executable",
				   start, end,
				   "0x%" PRIx64 "-0x%" PRIx64 " maps 0x%" PRIx64
				   " writable and executable",
				   start, end, leaf->gpa.value);
		else
			linux_except(pass, LINUX_EXCEPT_BOOTING);
	}
	return kept(&pass->guest->facts, start) ? keep_leaf(pass, leaf) : 0;
}

static int walk_bad(void *context, const struct paging_bad_entry *bad)
{
	struct walk *walk = context;

	linux_find(walk->pass, LINUX_CHECK_TABLES, LINUX_ALARM, "bad entry",
		   bad->entry.address.value, 0,
		   "level %u entry at 0x%" PRIx64 " for 0x%" PRIx64 " is 0x%" PRIx64 ": %s",
		   bad->level, bad->entry.address.value, bad->gva.value, bad->entry.value,
		   paging_status_name(bad->status));
	return 0;
}

static int walk_table(void *context, gpa_t table, unsigned int level, gva_t gva)
{
	struct walk *walk = context;

	linux_count(walk->pass, LINUX_CHECK_TABLES, 1);
	if (u64_map_get(&walk->seen, table.value) == U64_MAP_NONE)
		return u64_map_set(&walk->seen, table.value, level);
	/* The espfix area repeats one page of tables, for each CPU's stacks. */
	if (gva.value >= ESPFIX_START && gva.value < ESPFIX_END)
		linux_except(walk->pass, LINUX_EXCEPT_ESPFIX);
	else
		linux_find(walk->pass, LINUX_CHECK_TABLES, LINUX_ALARM, "shared table", table.value,
			   gva.value,
			   "level %u table 0x%" PRIx64 " for 0x%" PRIx64
			   " is referred to from elsewhere too",
			   level, table.value, gva.value);
	return ++walk->shared > SHARED_TABLES ? -ELOOP : 0;
}

void linux_check_leaves(struct linux_pass *pass)
{
	struct paging_reader reader = inspect_paging_reader(pass->guest->inspector);
	struct walk walk = {.pass = pass};
	const struct paging_visitor visitor = {
		.leaf = walk_leaf, .bad = walk_bad, .table = walk_table, .context = &walk};
	const struct paging_mode *mode = &pass->guest->source.paging;
	uint64_t start = mode->levels == 5 ? 0xff00000000000000ull : 0xffff800000000000ull;
	int err;

	err = paging_for_each(mode, &reader, gva_make(start), gva_make(0), UINT64_MAX, &visitor);
	u64_map_clear(&walk.seen);
	if (err == -ELOOP)
		linux_find(pass, LINUX_CHECK_TABLES, LINUX_ALARM, "loop", 0, 0,
			   "page tables refer to tables already seen %u times: not walked further",
			   SHARED_TABLES);
	else if (err)
		pass->err = -ENOMEM;
}

/* ---- mapping ---- */

static void find_wrong_page(struct linux_pass *pass, const struct linux_area *area, uint64_t page,
			    uint64_t gpa, uint64_t expected)
{
	char text[LINUX_AREA_TEXT];

	linux_find(pass, LINUX_CHECK_MAPPING, LINUX_ALARM, "maps another frame",
		   area->start + page * PAGE, area->start + (page + 1) * PAGE,
		   "area %s: page %" PRIu64 " maps 0x%" PRIx64 ", expected 0x%" PRIx64,
		   linux_area_text(pass, area, text), page, gpa, expected);
}

/* Page @page of @area, which maps @gpa, against the area's array or physical address. */
static void check_page(struct linux_pass *pass, const struct linux_area *area, uint64_t page,
		       uint64_t gpa)
{
	const struct linux_vm *vm = &area->vm;
	uint64_t entry, pfn;

	linux_count(pass, LINUX_CHECK_MAPPING, 1);
	if (vm->pages && vm->nr_pages) {
		if (page >= vm->nr_pages)
			return;
		if (!linux_vm_page(pass->guest, vm, (uint32_t)page, &entry))
			linux_except(pass, LINUX_EXCEPT_UNREAD);
		else if (!linux_page_pfn(pass->guest, entry, &pfn) || pfn * PAGE != gpa)
			find_wrong_page(pass, area, page, gpa,
					linux_page_pfn(pass->guest, entry, &pfn) ? pfn * PAGE : 0);
	} else if ((vm->flags & LINUX_VM_IOREMAP) && vm->phys_addr) {
		uint64_t expected = (vm->phys_addr & ~(PAGE - 1)) + page * PAGE;

		if (expected != gpa)
			find_wrong_page(pass, area, page, gpa, expected);
	}
}

static void check_body(struct linux_pass *pass, const struct linux_area *area, uint64_t pages)
{
	uint64_t absent = 0, first_absent = 0;
	char text[LINUX_AREA_TEXT];

	for (uint64_t page = 0; page < pages;) {
		uint64_t address = area->start + page * PAGE, in_leaf;
		const struct linux_leaf *leaf = linux_leaf_at(pass, address);

		if (!leaf) {
			if (absent++ == 0)
				first_absent = address;
			page++;
			continue;
		}
		for (in_leaf = address - leaf->start; in_leaf < leaf->bytes && page < pages;
		     in_leaf += PAGE, page++)
			check_page(pass, area, page, leaf->gpa + in_leaf);
	}
	if (absent)
		linux_find(pass, LINUX_CHECK_MAPPING, LINUX_ALARM, "not mapped", area->start,
			   area->end,
			   "area %s: %" PRIu64 " of %" PRIu64
			   " pages are not mapped, the first at 0x%" PRIx64,
			   linux_area_text(pass, area, text), absent, pages, first_absent);
}

/* Why an area's pages are not held against its tables; LINUX_NR_EXCEPTIONS: they are. */
static enum linux_exception excepted(const struct linux_pass *pass, const struct linux_area *area,
				     uint64_t percpu)
{
	const struct linux_vm *vm = &area->vm;

	/* Kernels whose areas have no flags have none of vm_map_ram()'s to tell apart. */
	if (!area->has_vm)
		return pass->guest->types.vmap_area_flags == NO_FIELD ||
				       (area->flags & LINUX_VMAP_RAM)
			       ? LINUX_EXCEPT_VM_MAP_RAM
			       : LINUX_EXCEPT_NO_VM;
	if (vm->flags & LINUX_VM_UNINITIALIZED)
		return LINUX_EXCEPT_UNINITIALIZED;
	if (vm->flags & LINUX_VM_SPARSE)
		return LINUX_EXCEPT_SPARSE;
	if ((vm->flags & LINUX_VM_ALLOC) && !vm->pages && !vm->nr_pages && percpu &&
	    vm->caller == percpu)
		return LINUX_EXCEPT_PERCPU;
	return LINUX_NR_EXCEPTIONS;
}

static void check_area(struct linux_pass *pass, const struct linux_area *area)
{
	bool guarded = (area->vm.flags & LINUX_VM_NO_GUARD) == 0;
	uint64_t pages = (area->end - area->start) / PAGE;
	char text[LINUX_AREA_TEXT];

	if (pages == 0 || area->end <= area->start || pages > NB_RAM_LIMIT / PAGE)
		return; /* `areas` says so */
	if (guarded && linux_leaf_at(pass, area->end - PAGE))
		linux_find(pass, LINUX_CHECK_MAPPING, LINUX_ALARM, "guard page mapped",
			   area->end - PAGE, area->end, "area %s: its guard page is mapped",
			   linux_area_text(pass, area, text));
	if (guarded)
		pages--;
	/* Of huge pages an area may have more than it asked for. */
	if (area->vm.nr_pages && area->vm.pages && area->vm.nr_pages != pages &&
	    !(area->vm.flags & LINUX_VM_ALLOW_HUGE) && !area->vm.page_order)
		linux_find(pass, LINUX_CHECK_MAPPING, LINUX_ALARM, "nr_pages", area->start,
			   area->end, "area %s: nr_pages is %u, it has room for %" PRIu64,
			   linux_area_text(pass, area, text), area->vm.nr_pages, pages);
	check_body(pass, area, pages);
}

void linux_check_mapping(struct linux_pass *pass)
{
	uint64_t percpu = 0;

	linux_symbol(pass->guest, "pcpu_get_vm_areas", &percpu);
	for (size_t i = 0; i < pass->nr_busy; i++) {
		enum linux_exception exception = excepted(pass, pass->busy[i], percpu);

		if (exception == LINUX_NR_EXCEPTIONS)
			check_area(pass, pass->busy[i]);
		else
			linux_except(pass, exception);
	}
}

/* ---- stray ---- */

/* The listed area that is not busy and holds @address. */
static const struct linux_area *other_at(const struct linux_pass *pass, uint64_t address)
{
	for (size_t i = 0; i < pass->space.count; i++) {
		const struct linux_area *area = &pass->space.area[i];

		if (pass->space.list[area->list].kind != LINUX_BUSY && area->start <= address &&
		    address < area->end)
			return area;
	}
	return NULL;
}

static void find_stray(struct linux_pass *pass, const struct linux_leaf *leaf)
{
	const struct linux_area *area = other_at(pass, leaf->start);
	const struct linux_list *list = area ? &pass->space.list[area->list] : NULL;
	enum linux_verdict verdict = LINUX_ALARM;

	/* A purge unmaps what it has taken from the lists; an area of no list may be on its way. */
	if (!list)
		verdict = pass->broken ? LINUX_IN_UPDATE : LINUX_IN_TRANSIT;
	else if (list->locked)
		verdict = LINUX_IN_UPDATE;
	linux_find(pass, LINUX_CHECK_STRAY, verdict, "stray leaf", leaf->start,
		   leaf->start + leaf->bytes,
		   "0x%" PRIx64 "-0x%" PRIx64 " maps 0x%" PRIx64 " in %s", leaf->start,
		   leaf->start + leaf->bytes, leaf->gpa,
		   list ? linux_list_name(list->kind) : "space of no list");
}

void linux_check_stray(struct linux_pass *pass)
{
	const struct linux_facts *facts = &pass->guest->facts;

	for (size_t i = 0; i < pass->nr_leaves; i++) {
		const struct linux_leaf *leaf = &pass->leaf[i];
		const struct linux_area *area;

		if (leaf->start >= facts->vmalloc_end &&
		    (leaf->start < facts->modules_start || leaf->start >= facts->modules_end))
			continue;
		linux_count(pass, LINUX_CHECK_STRAY, 1);
		area = linux_busy_at(pass, leaf->start);
		if (!area || leaf->bytes > area->end - leaf->start)
			find_stray(pass, leaf);
	}
}

/* ---- aliases ---- */

/* The direct map's leaf for @gpa; false where there is none. */
static bool direct_alias(struct linux_pass *pass, uint64_t gpa, struct paging_walk *walk)
{
	struct paging_reader reader = inspect_paging_reader(pass->guest->inspector);

	paging_walk(&pass->guest->source.paging, &reader,
		    gva_make(pass->guest->facts.direct_base + gpa), walk);
	return walk->status == PAGING_MAPPED;
}

static void check_alias(struct linux_pass *pass, const struct linux_leaf *leaf)
{
	char name[LINUX_NAME_BYTES];
	struct paging_walk walk;

	for (uint64_t at = 0; at < leaf->bytes;) {
		uint64_t step = PAGE;

		linux_count(pass, LINUX_CHECK_WX, 1);
		if (direct_alias(pass, leaf->gpa + at, &walk)) {
			step = walk.page_bytes - walk.gpa.value % walk.page_bytes;
			if (walk.rights & PAGING_W)
				linux_find(pass, LINUX_CHECK_WX, LINUX_ALARM, "writable alias",
					   leaf->start + at, leaf->start + at + PAGE,
					   "0x%" PRIx64 " (%.120s) is executable, and its alias "
					   "0x%" PRIx64 " in the direct map is writable",
					   leaf->start + at,
					   linux_address_name(pass->guest, leaf->start + at, name),
					   pass->guest->facts.direct_base + leaf->gpa + at);
		}
		at += step;
	}
}

void linux_check_aliases(struct linux_pass *pass)
{
	if (!pass->guest->facts.running || !pass->guest->facts.direct_base)
		return;
	for (size_t i = 0; i < pass->nr_leaves; i++) {
		if (pass->leaf[i].start >= KERNEL_MAP && (pass->leaf[i].rights & PAGING_X))
			check_alias(pass, &pass->leaf[i]);
	}
}

/* ---- modules ---- */

static void check_module(struct linux_pass *pass, const struct linux_module *module)
{
	for (unsigned int i = 0; i < module->nr_regions; i++) {
		uint64_t start = module->region[i].start;
		const struct linux_area *area = linux_busy_at(pass, start);

		linux_count(pass, LINUX_CHECK_MODULES, 1);
		if (area && module->region[i].bytes <= area->end - start)
			continue;
		linux_find(pass, LINUX_CHECK_MODULES,
			   pass->space.locks[0] || pass->broken ? LINUX_IN_UPDATE : LINUX_ALARM,
			   "module without area", start, start + module->region[i].bytes,
			   "module %s: its 0x%x bytes at 0x%" PRIx64 " are in no busy area",
			   module->name, module->region[i].bytes, start);
	}
}

void linux_check_modules(struct linux_pass *pass)
{
	const struct linux_module *modules;
	const char *broken;
	size_t count;
	int err = linux_modules(pass->guest, &modules, &count, &broken, NULL);

	if (err) {
		pass->err = err == -ENOMEM ? err : pass->err;
		return;
	}
	if (broken)
		linux_find(pass, LINUX_CHECK_MODULES, LINUX_IN_TRANSIT, "list of modules", 0, 0,
			   "%s", broken);
	for (size_t i = 0; i < count; i++) {
		if (modules[i].state == MODULE_LIVE)
			check_module(pass, &modules[i]);
		else
			linux_except(pass, LINUX_EXCEPT_MODULE);
	}
}
