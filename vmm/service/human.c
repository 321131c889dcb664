/* SPDX-License-Identifier: GPL-2.0-or-later */
/* human-monitor-command: which line it is, its addresses, its text with QEMU's line ends. */
#include "vmm/service/human.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/attach/inspector.h"

struct line {
	const char *name, *help;
	void (*run)(struct human *human, const char *rest);
};

static void help(struct human *human, const char *rest);

/* A name of two words before one of its first word. */
static const struct line lines[] = {
	{"info registers", "[-a] -- the registers of this vCPU, or of all", human_info_registers},
	{"info mem", "-- the mapped ranges", human_info_mem},
	{"info tlb", "-- the mapped pages", human_info_tlb},
	{"info mtree", "-f -- guest-physical memory", human_info_mtree},
	{"info cpus", "-- the vCPUs", human_info_cpus},
	{"info status", "-- whether the guest runs", human_info_status},
	{"gpa2hva", "ADDRESS -- where guest-physical memory is in this process", human_gpa2hva},
	{"gva2gpa", "ADDRESS -- where a guest-virtual address leads to", human_gva2gpa},
	{"x", "/FORMAT ADDRESS -- guest-virtual memory", human_x},
	{"xp", "/FORMAT ADDRESS -- guest-physical memory", human_xp},
	{"help", "-- this list", help},
};
#define NR_LINES (sizeof(lines) / sizeof(lines[0]))

static void help(struct human *human, const char *rest)
{
	(void)rest;
	for (size_t i = 0; i < NR_LINES; i++)
		fprintf(human->out, "%s %s\n", lines[i].name, lines[i].help);
}

bool human_wrong(struct human *human, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(human->out, format, args);
	va_end(args);
	fprintf(human->out, "\nTry \"help %s\" for more information\n", human->name);
	return false;
}

/* ---- addresses ---- */

bool human_registers(struct human *human, unsigned int cpu, struct inspect_registers *registers_out,
		     bool *halted_out)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	int err = guest_registers_now(human->service->guest, cpu, &regs, &sregs, halted_out);

	if (err) {
		fprintf(human->out, "no registers of CPU %u: %s\n", cpu, strerror(-err));
		return false;
	}
	*registers_out = inspector_registers(&regs, &sregs);
	return true;
}

static bool register_value(struct human *human, const char *name, size_t length, uint64_t *value)
{
	static const char *const names[] = REGS_NAMES;
	struct inspect_registers registers;
	bool halted;

	for (size_t i = 0; i < NR_REGS; i++) {
		if (strlen(names[i]) != length || strncmp(names[i], name, length) != 0)
			continue;
		if (!human_registers(human, human->cpu, &registers, &halted))
			return false;
		*value = registers.reg[i];
		return true;
	}
	return human_wrong(human, "unknown register");
}

/* A number or a register at *@at, which is moved behind it. */
static bool term(struct human *human, const char **at, uint64_t *value)
{
	char *end;

	if (**at == '$') {
		const char *name = ++*at;

		while (isalnum((unsigned char)**at))
			++*at;
		return register_value(human, name, (size_t)(*at - name), value);
	}
	errno = 0;
	*value = strtoull(*at, &end, 0);
	if (!isdigit((unsigned char)**at) || end == *at || errno)
		return human_wrong(human, "%s",
				   **at ? "invalid char in expression"
					: "unexpected end of expression");
	*at = end;
	return true;
}

bool human_address(struct human *human, const char *text, uint64_t *address_out)
{
	const char *at = text;
	uint64_t sum = 0, value;
	bool minus = false;

	for (;;) {
		at += strspn(at, " \t");
		if (!term(human, &at, &value))
			return false;
		sum += minus ? -value : value;
		at += strspn(at, " \t");
		if (!*at)
			break;
		if (*at != '+' && *at != '-')
			return human_wrong(human, "%s: extraneous characters at the end of line",
					   human->name);
		minus = *at++ == '-';
	}
	*address_out = sum;
	return true;
}

/* ---- lines ---- */

/* Blanks at both ends off, and those between words to one each. */
static char *tidy(const char *text)
{
	char *copy = calloc(1, strlen(text) + 1), *to = copy;

	for (; copy && *text; text++) {
		if (!isspace((unsigned char)*text))
			*to++ = *text;
		else if (to > copy && to[-1] != ' ')
			*to++ = ' ';
	}
	if (copy && to > copy && to[-1] == ' ')
		to[-1] = '\0';
	return copy;
}

static void run_line(struct human *human, const char *text)
{
	for (size_t i = 0; i < NR_LINES; i++) {
		size_t length = strlen(lines[i].name);
		const char *rest = text + length;

		/* x/8gx and x /8gx are the same. */
		if (strncmp(text, lines[i].name, length) != 0 || (*rest && !strchr(" /", *rest)))
			continue;
		human->name = lines[i].name;
		lines[i].run(human, *rest == ' ' ? rest + 1 : rest);
		return;
	}
	if (*text)
		fprintf(human->out, "unknown command: '%s'\n", text);
}

/* "\n" as QEMU sends it, "\r\n". */
static json_t *text_json(const char *text, size_t size)
{
	char *ends;
	size_t used = 0, i;
	json_t *json;

	if (size > HUMAN_TEXT_BYTES)
		size = HUMAN_TEXT_BYTES;
	ends = malloc(2 * size + 1);
	if (!ends)
		return NULL;
	for (i = 0; i < size; i++) {
		if (text[i] == '\n')
			ends[used++] = '\r';
		ends[used++] = text[i];
	}
	json = json_stringn(ends, used);
	free(ends);
	return json;
}

char *human_text(struct service *service, unsigned int cpu, const char *text, size_t *size_out)
{
	struct human human = {.service = service, .cpu = cpu};
	char *line = tidy(text), *said = NULL;

	human.out = line ? open_memstream(&said, size_out) : NULL;
	if (human.out) {
		run_line(&human, line);
		fclose(human.out);
	}
	free(line);
	return said;
}

static json_t *human_command(struct service *service, const struct qmp_request *request)
{
	unsigned int cpu = (unsigned int)qmp_get(request, "cpu-index")->word;
	size_t size = 0;
	json_t *json;
	char *text;

	if (cpu >= guest_nr_vcpus(service->guest))
		return qmp_error(request, "Invalid parameter 'cpu-index'");
	text = human_text(service, cpu, qmp_get(request, "command-line")->text, &size);
	json = text ? text_json(text, size) : NULL;
	free(text);
	return qmp_return(request, json);
}

const struct service_handler service_human_handlers[] = {
	{"human-monitor-command", human_command},
	{NULL, NULL},
};
