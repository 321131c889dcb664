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

#include "tests/machine/linux_core.h"

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

bool machine_poke_physical(struct machine *machine, uint64_t gpa, uint64_t value)
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

void machine_walk(struct machine *machine, uint64_t address, struct paging_walk *walk_out)
{
	struct paging_reader reader = inspect_paging_reader(machine->guest->inspector);

	paging_walk(&machine->guest->source.paging, &reader, gva_make(address), walk_out);
}

uint64_t machine_peek(struct machine *machine, uint64_t address)
{
	uint64_t value = 0;

	inspect_u64(machine->guest->inspector, address, &value);
	return value;
}

bool machine_poke(struct machine *machine, uint64_t address, uint64_t value)
{
	struct paging_walk found;

	machine_walk(machine, address, &found);
	return found.status == PAGING_MAPPED &&
	       machine_poke_physical(machine, found.gpa.value, value);
}

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
	linux_audit_follow(audit_out, &before);
	linux_audit_confirm(audit_out, 2);
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
		failures += !fault->may_lack;
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
		for (const struct fault *fault = linux_faults; fault->name; fault++)
			plant(&machine, core, fault);
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
