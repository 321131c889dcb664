/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The report of a dead guest, for people and as JSON. */
#include <inttypes.h>

#include "vmm/machine/report.h"

static const char *const register_names[NR_REGS] = REGS_NAMES;

#define NR_ARGS (sizeof(((struct nb_submission *)0)->arg) / sizeof(uint64_t))

/* How many arguments are worth showing: up to the last that is not 0. */
static size_t count_args(const struct nb_submission *call)
{
	size_t count = NR_ARGS;

	while (count > 0 && call->arg[count - 1] == 0)
		count--;
	return count;
}

static void print_call(const char *what, const struct nb_submission *call, FILE *file)
{
	char name[REPORT_OPCODE_BYTES];
	size_t count = count_args(call);

	fprintf(file, "  %s: %s(", what, report_opcode_name(call->opcode, name));
	for (size_t i = 0; i < count; i++)
		fprintf(file, "%s%#" PRIx64, i ? ", " : "", call->arg[i]);
	fprintf(file, "), user data %" PRIu64 "\n", call->user_data);
}

const char *report_access_name(const struct report_access *access)
{
	if (access->fetch)
		return "instruction fetch";
	if (access->table)
		return "page-table walk";
	return access->write ? "write" : "read";
}

static void print_access(const struct report_access *access, FILE *file)
{
	fprintf(file, "  touched: guest-physical %#" PRIx64 " (%s)", access->gpa,
		report_access_name(access));
	if (access->have_gva)
		fprintf(file, " through %#" PRIx64 "%s", access->gva,
			access->stale ? ", which leads elsewhere now: a stale translation" : "");
	fprintf(file, "%s\n", access->after ? "; RIP is after the instruction" : "");
}

static void print_release(const struct report_release *release, FILE *file)
{
	fprintf(file, "  given up on vCPU %u\n", release->vcpu);
	if (release->have_call)
		print_call("  in hypercall", &release->call, file);
	for (size_t i = 0; i < release->nr_callers; i++)
		fprintf(file, "    %s %s\n", i ? "                " : "perhaps called by",
			release->caller_places[i]);
}

static void print_past(const struct guest_report *report, FILE *file)
{
	const struct report_past *past = &report->past;

	fprintf(file, "  check %s, after %" PRIu64 " instructions of all vCPUs\n", report->check,
		report->instruction);
	if (!report->then[0])
		return;
	if (!past->known) {
		fprintf(file,
			"  %s: by whom is not known: it is too long ago, or nobody had touched it "
			"before\n",
			report->then);
		return;
	}
	fprintf(file, "  %s on vCPU %u, %" PRIu64 " instructions before:\n", report->then,
		past->vcpu, report->instruction - past->instruction);
	backtrace_print(&past->trace, "    ", file);
}

static void print_registers(const struct guest_report *report, FILE *file)
{
	unsigned int shown = 0;

	for (unsigned int i = 0; i < NR_REGS; i++) {
		if (report->unsaved & 1u << i)
			continue;
		fprintf(file, "  %-6s %016" PRIx64 "%s", register_names[i], report->regs[i],
			shown++ % 3 == 2 ? "\n" : "");
	}
	fputs(shown % 3 ? "\n" : "", file);
	fprintf(file, "  cr0    %016" PRIx64 "  cr2    %016" PRIx64 "  cr3    %016" PRIx64 "\n",
		report->control.cr0, report->control.cr2, report->control.cr3);
	fprintf(file, "  cr4    %016" PRIx64 "  efer   %016" PRIx64 "\n", report->control.cr4,
		report->control.efer);
}

/* A backtrace that is whole says who called; otherwise what is on the stack may help. */
static bool needs_guess(const struct guest_report *report)
{
	return !report->have_trace || report->trace.end != BACKTRACE_WHOLE;
}

void report_print(const struct guest_report *report, FILE *file)
{
	fprintf(file, "guest died (%s) on vCPU %u: %s\n", report_kind_name(report->kind),
		report->vcpu, report->text);
	if (report->have_call)
		print_call("hypercall in flight", &report->call, file);
	if (report->have_access)
		print_access(&report->access, file);
	if (report->have_release)
		print_release(&report->release, file);
	if (report->have_check)
		print_past(report, file);
	if (!report->have_regs) {
		fprintf(file, "  its registers could not be read\n");
		return;
	}
	fprintf(file, "  at %s\n", report->where);
	fprintf(file, "  bytes there:");
	for (size_t i = 0; i < report->nr_code; i++)
		fprintf(file, " %02x", report->code[i]);
	fprintf(file, "%s\n", report->nr_code ? "" : " none can be read");
	if (report->have_trace) {
		fprintf(file, "  backtrace:\n");
		backtrace_print(&report->trace, "    ", file);
	}
	for (size_t i = 0; needs_guess(report) && i < report->nr_callers; i++)
		fprintf(file, "  %s %s\n", i ? "                " : "perhaps called by",
			report->caller_places[i]);
	print_registers(report, file);
}

static json_t *hex(uint64_t value)
{
	return json_sprintf("0x%" PRIx64, value);
}

json_t *report_call_json(const struct nb_submission *call)
{
	char name[REPORT_OPCODE_BYTES];
	json_t *args = json_array();

	for (size_t i = 0; i < NR_ARGS; i++)
		json_array_append_new(args, hex(call->arg[i]));
	return json_pack("{s:s, s:i, s:I, s:o}", "name", report_opcode_name(call->opcode, name),
			 "opcode", (int)call->opcode, "user_data", (json_int_t)call->user_data,
			 "args", args);
}

json_t *report_access_json(const struct report_access *access)
{
	json_t *json = json_pack("{s:o, s:b, s:b, s:b, s:b, s:b}", "gpa", hex(access->gpa), "write",
				 access->write, "fetch", access->fetch, "table", access->table,
				 "stale", access->stale, "after", access->after);

	json_object_set_new(json, "gva", access->have_gva ? hex(access->gva) : json_null());
	return json;
}

static json_t *release_json(const struct report_release *release)
{
	json_t *json = json_pack("{s:i}", "vcpu", (int)release->vcpu);
	json_t *callers = json_array();

	if (release->have_call)
		json_object_set_new(json, "hypercall", report_call_json(&release->call));
	for (size_t i = 0; i < release->nr_callers; i++)
		json_array_append_new(callers, json_string(release->caller_places[i]));
	json_object_set_new(json, "callers_guessed", callers);
	return json;
}

static json_t *check_json(const struct guest_report *report)
{
	const struct report_past *past = &report->past;
	json_t *json = json_pack("{s:s, s:I}", "name", report->check, "instruction",
				 (json_int_t)report->instruction);

	if (report->then[0] && past->known)
		json_object_set_new(json, "past",
				    json_pack("{s:s, s:i, s:I, s:o}", "what", report->then, "vcpu",
					      (int)past->vcpu, "instruction",
					      (json_int_t)past->instruction, "backtrace",
					      backtrace_json(&past->trace)));
	return json;
}

json_t *report_registers_json(const struct guest_report *report)
{
	const struct control_regs *control = &report->control;
	json_t *registers = json_object();

	for (unsigned int i = 0; i < NR_REGS; i++)
		if (!(report->unsaved & 1u << i))
			json_object_set_new(registers, register_names[i], hex(report->regs[i]));
	json_object_set_new(registers, "cr0", hex(control->cr0));
	json_object_set_new(registers, "cr2", hex(control->cr2));
	json_object_set_new(registers, "cr3", hex(control->cr3));
	json_object_set_new(registers, "cr4", hex(control->cr4));
	json_object_set_new(registers, "efer", hex(control->efer));
	return registers;
}

json_t *report_json(const struct guest_report *report)
{
	char code[2 * REPORT_CODE_BYTES + 1] = "";
	json_t *json = json_pack("{s:s, s:i, s:s}", "kind", report_kind_name(report->kind), "vcpu",
				 (int)report->vcpu, "text", report->text);
	json_t *callers;

	if (!json)
		return NULL;
	if (report->have_fault) {
		json_object_set_new(json, "vector", json_integer((json_int_t)report->vector));
		json_object_set_new(json, "error_code", hex(report->error_code));
	}
	if (report->have_call)
		json_object_set_new(json, "hypercall", report_call_json(&report->call));
	if (report->have_access)
		json_object_set_new(json, "access", report_access_json(&report->access));
	if (report->have_release)
		json_object_set_new(json, "given_up", release_json(&report->release));
	if (report->have_check)
		json_object_set_new(json, "check", check_json(report));
	if (!report->have_regs)
		return json;
	json_object_set_new(json, "where", json_string(report->where));
	for (size_t i = 0; i < report->nr_code; i++)
		snprintf(code + 2 * i, 3, "%02x", report->code[i]);
	json_object_set_new(json, "code", json_string(code));
	if (report->have_trace)
		json_object_set_new(json, "backtrace", backtrace_json(&report->trace));
	callers = json_array();
	for (size_t i = 0; i < report->nr_callers; i++)
		json_array_append_new(callers, json_string(report->caller_places[i]));
	json_object_set_new(json, "callers_guessed", callers);
	json_object_set_new(json, "registers", report_registers_json(report));
	return json;
}
