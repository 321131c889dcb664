/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The human monitor's info: registers, mapped ranges and pages, guest-physical memory, vCPUs. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "mm/x86.h"
#include "vmm/service/human.h"

/* ---- registers ---- */

/* A descriptor's bits where `info registers` shows them (SDM vol. 3A 3.4.5, second word). */
#define SEG_A       (1u << 8)
#define SEG_RW      (1u << 9)
#define SEG_CE      (1u << 10)
#define SEG_CODE    (1u << 11)
#define SEG_S       (1u << 12)
#define SEG_DPL(f)  ((f) >> 13 & 3)
#define SEG_P       (1u << 15)
#define SEG_L       (1u << 21)
#define SEG_DB      (1u << 22)
#define SEG_TYPE(f) ((f) >> 8 & 15)

static const char *system_type(unsigned int type)
{
	static const char *const names[16] = {
		[2] = "LDT",         [9] = "TSS64-avl",  [11] = "TSS64-busy",
		[12] = "CallGate64", [14] = "IntGate64", [15] = "TrapGate64"};

	return names[type] ? names[type] : "Reserved";
}

static void print_segment(FILE *out, const char *name, const struct inspect_segment *segment)
{
	uint32_t flags = segment->attributes;

	fprintf(out, "%-3s=%04x %016" PRIx64 " %08x %08x", name, segment->selector, segment->base,
		segment->limit, flags);
	if (flags & SEG_P) {
		fprintf(out, " DPL=%u ", SEG_DPL(flags));
		if (!(flags & SEG_S))
			fputs(system_type(SEG_TYPE(flags)), out);
		else if (flags & SEG_CODE)
			fprintf(out, "%s [%c%c%c]",
				flags & SEG_L    ? "CS64"
				: flags & SEG_DB ? "CS32"
						 : "CS16",
				flags & SEG_CE ? 'C' : '-', flags & SEG_RW ? 'R' : '-',
				flags & SEG_A ? 'A' : '-');
		else
			fprintf(out, "DS   [%c%c%c]", flags & SEG_CE ? 'E' : '-',
				flags & SEG_RW ? 'W' : '-', flags & SEG_A ? 'A' : '-');
	}
	fputc('\n', out);
}

static void print_general(FILE *out, const struct inspect_registers *r)
{
	static const struct {
		const char *name;
		unsigned int at;
	} order[] = {{"RAX", REGS_RAX}, {"RBX", REGS_RBX}, {"RCX", REGS_RCX}, {"RDX", REGS_RDX},
		     {"RSI", REGS_RSI}, {"RDI", REGS_RDI}, {"RBP", REGS_RBP}, {"RSP", REGS_RSP},
		     {"R8 ", REGS_R8},  {"R9 ", REGS_R9},  {"R10", REGS_R10}, {"R11", REGS_R11},
		     {"R12", REGS_R12}, {"R13", REGS_R13}, {"R14", REGS_R14}, {"R15", REGS_R15}};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		fprintf(out, "%s=%016" PRIx64 "%c", order[i].name, r->reg[order[i].at],
			i % 4 == 3 ? '\n' : ' ');
}

static void print_registers(FILE *out, unsigned int cpu, const struct inspect_registers *r,
			    bool halted)
{
	/* ES first, as QEMU's numbers of segments go; ours go as its note in cores. */
	static const char *const names[] = {"ES", "CS", "SS", "DS", "FS", "GS", "LDT", "TR"};
	static const unsigned int places[] = {2, 0, 5, 1, 3, 4, 6, 7};
	static const char letters[] = "DOSZAPC";
	static const unsigned int bits[] = {10, 11, 7, 6, 4, 2, 0};
	uint64_t flags = r->reg[REGS_RFLAGS];

	fprintf(out, "\nCPU#%u\n", cpu);
	print_general(out, r);
	fprintf(out, "RIP=%016" PRIx64 " RFL=%08" PRIx64 " [", r->reg[REGS_RIP], flags);
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		fputc(flags >> bits[i] & 1 ? letters[i] : '-', out);
	fprintf(out, "] CPL=%u II=0 A20=1 SMM=0 HLT=%d\n",
		SEG_DPL(r->segment[places[2]].attributes), halted);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		print_segment(out, names[i], &r->segment[places[i]]);
	fprintf(out, "GDT=     %016" PRIx64 " %08x\n", r->segment[8].base, r->segment[8].limit);
	fprintf(out, "IDT=     %016" PRIx64 " %08x\n", r->segment[9].base, r->segment[9].limit);
	fprintf(out, "CR0=%08" PRIx64 " CR2=%016" PRIx64 " CR3=%016" PRIx64 " CR4=%08" PRIx64 "\n",
		r->cr0, r->cr2, r->cr3, r->cr4);
	fprintf(out, "EFER=%016" PRIx64 "\n", r->efer);
}

void human_info_registers(struct human *human, const char *rest)
{
	bool all = strcmp(rest, "-a") == 0, halted;
	unsigned int end = all ? guest_nr_vcpus(human->service->guest) : human->cpu + 1;
	struct inspect_registers registers;

	if (*rest && !all) {
		fprintf(human->out, "info registers: unsupported option '%s'\n", rest);
		return;
	}
	for (unsigned int cpu = all ? 0 : human->cpu; cpu < end; cpu++) {
		if (human_registers(human, cpu, &registers, &halted))
			print_registers(human->out, cpu, &registers, halted);
	}
}

/* ---- page tables ---- */

/* A range of one protection that grows. */
struct ranges {
	FILE *out;
	uint64_t start, end;
	unsigned int rights;
	bool any;
};

static void print_range(const struct ranges *ranges)
{
	if (ranges->any)
		fprintf(ranges->out, "%016" PRIx64 "-%016" PRIx64 " %016" PRIx64 " %cr%c\n",
			ranges->start, ranges->end, ranges->end - ranges->start,
			ranges->rights & PAGING_U ? 'u' : '-',
			ranges->rights & PAGING_W ? 'w' : '-');
}

static int take_leaf(void *context, const struct paging_leaf *leaf)
{
	struct ranges *ranges = context;
	unsigned int rights = leaf->rights & (PAGING_U | PAGING_W);

	if (ferror(ranges->out) || ftell(ranges->out) >= (long)HUMAN_TEXT_BYTES)
		return 1;
	if (!ranges->any || ranges->end != leaf->gva.value || ranges->rights != rights) {
		print_range(ranges);
		ranges->start = leaf->gva.value;
	}
	ranges->any = true;
	ranges->rights = rights;
	ranges->end = leaf->gva.value + leaf->page_bytes;
	return 0;
}

static int print_page(void *context, const struct paging_leaf *leaf)
{
	static const char letters[] = "XGPDACTUW";
	static const unsigned int bits[] = {63, 8, 7, 6, 5, 4, 3, 2, 1};
	struct ranges *ranges = context;
	uint64_t entry = leaf->entry.value;

	/* Bit 7 of a 4 KiB page's entry is its PAT. */
	if (leaf->level == 1)
		entry &= ~(1ull << 7);
	if (ferror(ranges->out) || ftell(ranges->out) >= (long)HUMAN_TEXT_BYTES)
		return 1;
	fprintf(ranges->out, "%016" PRIx64 ": %016" PRIx64 " ", leaf->gva.value, leaf->gpa.value);
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		fputc(entry >> bits[i] & 1 ? letters[i] : '-', ranges->out);
	fputc('\n', ranges->out);
	return 0;
}

static void for_each_page(struct human *human,
			  int (*leaf)(void *context, const struct paging_leaf *leaf),
			  struct ranges *ranges)
{
	struct paging_reader reader = guest_paging_reader(human->service->guest);
	struct paging_visitor visitor = {.leaf = leaf, .context = ranges};
	struct paging_mode mode;
	int err = service_cpu_tables(human->service, human->cpu, &mode);

	if (!err)
		err = paging_for_each(&mode, &reader, gva_make(0), gva_make(0), 0, &visitor);
	if (err)
		fprintf(human->out, "cut: %s\n", err > 0 ? "too much" : strerror(-err));
}

void human_info_mem(struct human *human, const char *rest)
{
	struct ranges ranges = {.out = human->out};

	(void)rest;
	for_each_page(human, take_leaf, &ranges);
	print_range(&ranges);
}

void human_info_tlb(struct human *human, const char *rest)
{
	struct ranges ranges = {.out = human->out};

	(void)rest;
	for_each_page(human, print_page, &ranges);
}

/* ---- the rest ---- */

void human_info_mtree(struct human *human, const char *rest)
{
	const struct gpa_space *space = guest_space(human->service->guest);

	if (strcmp(rest, "-f") != 0) {
		fputs("info mtree: the flat view is the one there is: info mtree -f\n", human->out);
		return;
	}
	fputs("FlatView #0\n AS \"memory\", root: system\n", human->out);
	for (unsigned int cpu = 0; cpu < guest_nr_vcpus(human->service->guest); cpu++)
		fprintf(human->out, " AS \"cpu-memory-%u\", root: system\n", cpu);
	fputs(" Root memory region: system\n", human->out);
	for (size_t i = 0; i < gpa_space_count(space); i++) {
		const struct gpa_region *region = gpa_space_at(space, i);

		if (region->kind == GPA_HOLE)
			continue;
		fprintf(human->out, "  %016" PRIx64 "-%016" PRIx64 " (prio 0, %s): %s\n",
			region->start.value, region->end.value - 1,
			region->kind == GPA_RAM ? "ram"
			: region->host          ? "rom"
						: "i/o",
			region->name);
	}
	fputc('\n', human->out);
}

void human_info_cpus(struct human *human, const char *rest)
{
	(void)rest;
	for (unsigned int cpu = 0; cpu < guest_nr_vcpus(human->service->guest); cpu++)
		fprintf(human->out, "%c CPU #%u: thread_id=%d\n", cpu == human->cpu ? '*' : ' ',
			cpu, (int)guest_thread_id(human->service->guest, cpu));
}

void human_info_status(struct human *human, const char *rest)
{
	(void)rest;
	fprintf(human->out, "VM status: %s\n",
		guest_failure(human->service->guest)            ? "paused (guest-panicked)"
		: guest_held_by_debugger(human->service->guest) ? "paused (debug)"
		: service_paused(human->service)                ? "paused"
								: "running");
}
