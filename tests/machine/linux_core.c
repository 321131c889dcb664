/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linux_core NAME.elf NAME.vmallocinfo...: a kernel's own /proc/vmallocinfo against what its core
 * says, line for line; a quiet kernel's audit without a finding; then faults planted one after the
 * other in a copy of the pages they touch, each of which the audit must name. What a real kernel's
 * structures are like no made-up ones can say: tests/machine/test_linux.sh boots some.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mm/x86.h"
#include "vmm/linux/check.h"
#include "vmm/linux/private.h"
#include "vmm/source/source.h"

#define COPIES 64

/* The core, and pages of it that were written. */
struct machine {
	struct source *source;
	struct inspect_source core;
	uint64_t copied[COPIES];
	uint8_t copy[COPIES][4096] __attribute__((aligned(8)));
	unsigned int nr_copies;
	struct linux_guest *guest;
	struct linux_space space;
};

static int failures;

static void expect(bool holds, const char *core, const char *claim, const char *why)
{
	printf("%s: %s: %s%s%s\n", holds ? "ok" : "FAILED", core, claim, *why ? ": " : "", why);
	failures += !holds;
}

/* ---- memory that can be written ---- */

static const void *physical(void *context, uint64_t gpa, uint64_t bytes)
{
	struct machine *machine = context;

	for (unsigned int i = 0; i < machine->nr_copies; i++) {
		if (machine->copied[i] == gpa / 4096)
			return machine->copy[i] + gpa % 4096;
	}
	return machine->core.physical(machine->core.context, gpa, bytes);
}

static bool touched(void *context, uint64_t gpa, uint64_t *start_out, uint64_t *end_out)
{
	struct machine *machine = context;

	return machine->core.touched(machine->core.context, gpa, start_out, end_out);
}

static int registers(void *context, unsigned int cpu, struct inspect_registers *registers_out)
{
	struct machine *machine = context;

	return machine->core.registers(machine->core.context, cpu, registers_out);
}

static bool poke_physical(struct machine *machine, uint64_t gpa, uint64_t value)
{
	unsigned int i;

	for (i = 0; i < machine->nr_copies && machine->copied[i] != gpa / 4096; i++)
		;
	if (i == machine->nr_copies) {
		const void *page =
			machine->core.physical(machine->core.context, gpa & ~4095ull, 4096);

		if (!page || i == COPIES)
			return false;
		memcpy(machine->copy[i], page, 4096);
		machine->copied[machine->nr_copies++] = gpa / 4096;
	}
	memcpy(machine->copy[i] + gpa % 4096, &value, sizeof(value));
	return true;
}

static void walk(struct machine *machine, uint64_t address, struct paging_walk *walk_out)
{
	struct paging_reader reader = inspect_paging_reader(machine->guest->inspector);

	paging_walk(&machine->guest->source.paging, &reader, gva_make(address), walk_out);
}

static uint64_t peek(struct machine *machine, uint64_t address)
{
	uint64_t value = 0;

	inspect_u64(machine->guest->inspector, address, &value);
	return value;
}

static bool poke(struct machine *machine, uint64_t address, uint64_t value)
{
	struct paging_walk found;

	walk(machine, address, &found);
	return found.status == PAGING_MAPPED && poke_physical(machine, found.gpa.value, value);
}

/* The entry where the walk of @address ends, changed. */
static bool change_entry(struct machine *machine, uint64_t address, uint64_t set, uint64_t clear,
			 uint64_t flip)
{
	struct paging_walk found;
	const struct paging_entry *entry;

	walk(machine, address, &found);
	entry = &found.entries[found.entry_count - 1];
	return found.entry_count > 0 &&
	       poke_physical(machine, entry->address.value, ((entry->value | set) & ~clear) ^ flip);
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
		walk(machine, area->start, &found);
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

	walk(m, area->start, &found);
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

	walk(m, m->guest->facts.image_start, &found);
	return change_entry(m, m->guest->facts.direct_base + found.gpa.value, X86_PTE_RW, 0, 0);
}

static bool executable_data(struct machine *m)
{
	return change_entry(m, vmalloced(m)->start, 0, X86_PTE_NX, 0);
}

static bool wrong_maximum(struct machine *m)
{
	return poke(m, any_free(m, 0)->at + m->guest->types.vmap_area_vm,
		    any_free(m, 0)->link + 4096);
}

static bool wrong_vm_size(struct machine *m)
{
	const struct linux_area *area = vmalloced(m);

	return poke(m, area->link + m->guest->types.vm_struct_size, area->vm.size + 4096);
}

static bool wrong_nr_pages(struct machine *m)
{
	const struct linux_area *area = vmalloced(m);
	uint64_t at = area->link + m->guest->types.vm_struct_nr_pages;

	/* A word of four bytes, in the upper or the lower half of eight. */
	if (at % 8)
		return poke(m, at - 4, peek(m, at - 4) - (1ull << 32));
	return poke(m, at, peek(m, at) - 1);
}

static bool wrong_page(struct machine *m)
{
	const struct linux_area *area = vmalloced(m);

	return poke(m, area->vm.pages, peek(m, area->vm.pages) + m->guest->types.page_bytes);
}

static bool shorter_area(struct machine *m)
{
	const struct linux_area *area = vmalloced(m);

	return poke(m, area->at + m->guest->types.vmap_area_va_end, area->end - 4096);
}

static bool wrong_free_start(struct machine *m)
{
	const struct linux_area *area = any_free(m, 1);

	return poke(m, area->at, area->start - 4096);
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
	uint64_t next = peek(m, entry), previous = peek(m, entry + 8);

	return poke(m, previous, next) && poke(m, next + 8, previous);
}

static bool wrong_prev(struct machine *m)
{
	uint64_t entry = vmalloced(m)->at + m->guest->types.vmap_area_list;

	return poke(m, entry + 8, entry);
}

static bool looped(struct machine *m)
{
	uint64_t entry = vmalloced(m)->at + m->guest->types.vmap_area_list;

	return poke(m, entry, entry);
}

static bool wrong_parent(struct machine *m)
{
	uint64_t at = any_free(m, 0)->at + m->guest->types.vmap_area_rb_node;

	return poke(m, at, peek(m, at) + 64);
}

static bool wrong_colour(struct machine *m)
{
	uint64_t at = any_free(m, 0)->at + m->guest->types.vmap_area_rb_node;

	return poke(m, at, peek(m, at) ^ 1);
}

static bool wrong_lazy_nr(struct machine *m)
{
	uint64_t at;

	return linux_symbol(m->guest, "vmap_lazy_nr", &at) && poke(m, at, peek(m, at) + 1);
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
	return poke(m, at, peek(m, at) + (16ull << 20));
}

static bool shared_table(struct machine *m)
{
	struct paging_walk one, other;

	walk(m, m->guest->facts.image_start, &one);
	walk(m, vmalloced(m)->start, &other);
	if (one.entry_count < 3 || other.entry_count < 3)
		return false;
	/* A directory of vmalloc's now also serves where the image's is not present. */
	return poke_physical(m, one.entries[one.entry_count - 2].address.value - 8,
			     other.entries[other.entry_count - 3].value);
}

static const struct fault {
	const char *name;
	enum linux_check check;
	bool (*plant)(struct machine *machine);
} faults[] = {
	{"a leaf cleared", LINUX_CHECK_MAPPING, leaf_cleared},
	{"a leaf redirected", LINUX_CHECK_MAPPING, leaf_redirected},
	{"a guard page mapped", LINUX_CHECK_MAPPING, guard_mapped},
	{"a module's text writable", LINUX_CHECK_WX, writable_module_text},
	{"the image's text writable", LINUX_CHECK_WX, writable_image},
	{"text writable by the direct map", LINUX_CHECK_WX, writable_alias},
	{"data executable", LINUX_CHECK_WX, executable_data},
	{"a maximum wrong", LINUX_CHECK_FREE_TREE, wrong_maximum},
	{"a vm_struct's size wrong", LINUX_CHECK_AREAS, wrong_vm_size},
	{"nr_pages wrong", LINUX_CHECK_MAPPING, wrong_nr_pages},
	{"a page of the array wrong", LINUX_CHECK_MAPPING, wrong_page},
	{"an area's end wrong", LINUX_CHECK_AREAS, shorter_area},
	{"a free area's start wrong", LINUX_CHECK_FREE_TREE, wrong_free_start},
	{"a leaf in free space", LINUX_CHECK_STRAY, leaf_in_free},
	{"a leaf in lazy space", LINUX_CHECK_STRAY, leaf_in_lazy},
	{"an area unlinked", LINUX_CHECK_AREAS, unlinked},
	{"a prev wrong", LINUX_CHECK_AREAS, wrong_prev},
	{"a list that loops", LINUX_CHECK_AREAS, looped},
	{"a parent wrong", LINUX_CHECK_FREE_TREE, wrong_parent},
	{"a colour wrong", LINUX_CHECK_FREE_TREE, wrong_colour},
	{"vmap_lazy_nr wrong", LINUX_CHECK_FREE_TREE, wrong_lazy_nr},
	{"a module without its area", LINUX_CHECK_MODULES, module_moved},
	{"a table used twice", LINUX_CHECK_TABLES, shared_table},
};

/* ---- one core ---- */

/* Two looks at the same stopped guest: what is in transit in both is an alarm. */
static bool audit_twice(struct machine *machine, struct linux_audit *audit_out)
{
	const struct linux_audit_options options = {.checks = 0};
	struct linux_audit before;
	struct error error;

	linux_refresh(machine->guest);
	if (linux_audit_run(machine->guest, &options, &before, &error) ||
	    linux_audit_run(machine->guest, &options, audit_out, &error)) {
		printf("audit: %s\n", error.text);
		return false;
	}
	linux_audit_confirm(audit_out, &before);
	linux_audit_free(&before);
	return true;
}

static void plant(struct machine *machine, const char *core, const struct fault *fault)
{
	struct linux_audit audit;
	char why[sizeof(audit.finding->text)] = "";

	if (!fault->plant(machine)) {
		printf("not planted: %s: %s: this kernel has nothing to plant it in\n", core,
		       fault->name);
		/* Quiet kernels without lazily freed areas there are; nothing else may lack. */
		failures += fault->plant != leaf_in_lazy;
	} else if (audit_twice(machine, &audit)) {
		bool caught = audit.sum[fault->check].verdicts[LINUX_ALARM] > 0;

		for (size_t i = 0; i < audit.nr_findings; i++) {
			if (audit.finding[i].check == fault->check) {
				snprintf(why, sizeof(why), "%s", audit.finding[i].text);
				break;
			}
		}
		expect(caught, core, fault->name, why);
		linux_audit_free(&audit);
	}
	machine->nr_copies = 0;
	linux_refresh(machine->guest);
}

struct text {
	FILE *file;
	bool same;
	unsigned int line;
	char why[300];
};

static int compare_line(void *context, const char *line, const struct linux_area *area)
{
	struct text *text = context;
	char wanted[LINUX_LINE_BYTES] = "";

	text->line++;
	if (!fgets(wanted, sizeof(wanted), text->file))
		wanted[0] = '\0';
	wanted[strcspn(wanted, "\n")] = '\0';
	if (text->same && strcmp(line, wanted) != 0) {
		snprintf(text->why, sizeof(text->why), "line %u: \"%.120s\", expected \"%.120s\"",
			 text->line, line, wanted);
		text->same = false;
	}
	return 0;
}

static void check_areas(struct machine *machine, const char *core, const char *vmallocinfo)
{
	struct text text = {.file = fopen(vmallocinfo, "re"), .same = true};
	char rest[8];

	if (!text.file) {
		expect(false, core, "its vmallocinfo can be read", strerror(errno));
		return;
	}
	linux_areas_print(machine->guest, &machine->space, compare_line, &text);
	if (text.same && fgets(rest, sizeof(rest), text.file)) {
		text.same = false;
		snprintf(text.why, sizeof(text.why), "it has more than %u lines", text.line);
	}
	expect(text.same && text.line > 20, core, "areas are /proc/vmallocinfo", text.why);
	fclose(text.file);
}

static void check_quiet(struct machine *machine, const char *core)
{
	struct linux_audit audit;
	bool quiet;

	if (!audit_twice(machine, &audit))
		return;
	quiet = linux_audit_alarms(&audit) == 0;
	expect(quiet, core, "a healthy kernel has no violation",
	       quiet ? "" : audit.finding[0].text);
	linux_audit_free(&audit);
}

static bool open_machine(struct machine *machine, const char *core, bool scan)
{
	struct inspect_source source;
	struct error error = {""};
	const char *note;
	size_t bytes;

	if (source_open_core(core, &machine->source, &error) ||
	    source_inspect(machine->source, &machine->core, &error)) {
		expect(false, core, "it opens", error.text);
		return false;
	}
	source = machine->core;
	source.context = machine;
	source.physical = physical;
	source.touched = touched;
	source.registers = registers;
	note = source_vmcoreinfo(machine->source, &bytes);
	if (linux_open(&source, scan ? NULL : note, bytes, &machine->guest, &error) ||
	    linux_space_read(machine->guest, &machine->space, &error)) {
		expect(false, core, "a Linux is found in it", error.text);
		return false;
	}
	return true;
}

static void close_machine(struct machine *machine)
{
	linux_space_free(&machine->space);
	linux_close(machine->guest);
	source_close(machine->source);
}

static void check_core(const char *core, const char *vmallocinfo)
{
	static struct machine machine;

	for (int scan = 1; scan >= 0; scan--) {
		memset(&machine, 0, sizeof(machine));
		if (!open_machine(&machine, core, scan)) {
			close_machine(&machine);
			return;
		}
		check_areas(&machine, core, vmallocinfo);
		if (scan)
			close_machine(&machine);
	}
	check_quiet(&machine, core);
	/* Cores cut to the pages that were read lack what says so: there wx is not judged. */
	if (machine.guest->facts.running) {
		for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
			plant(&machine, core, &faults[i]);
	}
	close_machine(&machine);
}

int main(int argc, char **argv)
{
	if (argc < 3 || argc % 2 == 0) {
		fprintf(stderr, "usage: linux_core CORE VMALLOCINFO...\n");
		return 2;
	}
	for (int i = 1; i + 1 < argc; i += 2)
		check_core(argv[i], argv[i + 1]);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
