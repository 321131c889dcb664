/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nestbox selftest: every function of the seed, called in a guest and audited from outside. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/cli.h"
#include "vmm/nestbox/commands.h"
#include "vmm/nestbox/guest_options.h"
#include "vmm/nestbox/interrupt.h"
#include "vmm/selftest/selftest.h"

/*
 * Enough for every row and all zones. More takes the auditor longer: it looks at every frame of
 * the sections in use, after each of some hundred calls.
 */
#define MEMORY      (64ull << 20)
#define MEMORY_TEXT "64M"

struct settings {
	bool json;
	const char *function; /* this row alone */
	struct guest_options guest;
};

/* All rows, and their sums. */
struct results {
	struct selftest_result *rows;
	size_t count, wrong;
	uint64_t calls, audits, violations;
	const struct selftest_log *log;
};

/* ---- running ---- */

static bool wanted(struct settings *settings, size_t row)
{
	return !settings->function || strcmp(settings->function, selftest_name(row)) == 0;
}

static size_t count_wanted(struct settings *settings)
{
	size_t count = 0;

	for (size_t i = 0; i < selftest_count(); i++)
		count += wanted(settings, i);
	return count;
}

static void run_rows(struct settings *settings, struct selftest *test, struct results *results)
{
	struct cli_progress progress;

	cli_progress_start(&progress, "selftest");
	for (size_t i = 0; i < selftest_count(); i++) {
		struct selftest_result *row = &results->rows[results->count];

		if (!wanted(settings, i))
			continue;
		if (interrupt_seen())
			break;
		results->count++;
		cli_progress_update(&progress, i, selftest_count());
		selftest_run(test, i, row);
		results->wrong += !row->ok;
		results->calls += row->calls;
		results->audits += row->audits;
		results->violations += row->violations;
	}
	cli_progress_end(&progress);
}

/* ---- saying ---- */

static json_t *row_json(const struct selftest_result *row)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:b, s:s}", "name", row->name, "calls",
			 (json_int_t)row->calls, "audits", (json_int_t)row->audits, "violations",
			 (json_int_t)row->violations, "ok", (int)row->ok, "why", row->why);
}

static void print_json(const struct guest *guest, const struct results *results)
{
	const struct kvm_host *host = guest_kvm_host(guest);
	const struct guest_report *failure = guest_failure(guest);
	json_t *list = json_array(), *report;

	for (size_t i = 0; i < results->count; i++)
		json_array_append_new(list, row_json(&results->rows[i]));
	report = json_pack("{s:o, s:b, s:{s:s, s:s}, s:{s:I}}", "functions", list, "ok",
			   (int)(results->wrong == 0), "kvm", "module", host->module,
			   "second_stage", host->second_stage, "warnings", "count",
			   (json_int_t)results->log->warnings);
	if (results->log->warnings)
		json_object_update_new(json_object_get(report, "warnings"),
				       json_pack("{s:{s:s, s:o}}", "last", "text",
						 results->log->text, "backtrace",
						 backtrace_json(&results->log->trace)));
	if (failure)
		json_object_set_new(report, "failure", report_json(failure));
	json_dumpf(report, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(report);
}

static void print_text(const struct guest *guest, const struct results *results)
{
	const struct kvm_host *host = guest_kvm_host(guest);

	printf("%s, second stage: %s\n\n%-24s %6s %8s\n", host->module, host->second_stage,
	       "function", "calls", "audited");
	for (size_t i = 0; i < results->count; i++) {
		const struct selftest_result *row = &results->rows[i];

		printf("%-24s %6" PRIu64 " %8" PRIu64 "  %s\n", row->name, row->calls, row->audits,
		       row->ok ? "ok" : row->why);
	}
	printf("\n%zu functions, %zu wrong; %" PRIu64 " calls, %" PRIu64 " audits, %" PRIu64
	       " violations\n",
	       results->count, results->wrong, results->calls, results->audits,
	       results->violations);
	if (guest_failure(guest))
		report_print(guest_failure(guest), stderr);
}

/* ---- the command ---- */

static enum cli_status run_in(const struct cli_command *command, struct settings *settings,
			      struct guest *guest, const struct selftest_log *log)
{
	struct results results = {.log = log};
	struct selftest *test = NULL;
	struct error error;
	int err;

	results.rows = calloc(selftest_count(), sizeof(*results.rows));
	if (!results.rows) {
		cli_error(command, "out of memory");
		return CLI_HOST;
	}
	err = selftest_create(guest, log, &test, &error);
	if (err) {
		cli_error(command, "%s", error.text);
		free(results.rows);
		return guest_exit_status(err);
	}
	interrupt_begin(guest);
	run_rows(settings, test, &results);
	interrupt_end();
	selftest_destroy(test);
	if (settings->json)
		print_json(guest, &results);
	else
		print_text(guest, &results);
	free(results.rows);
	if (results.count < count_wanted(settings)) {
		cli_error(command, "interrupted: %zu of %zu functions", results.count,
			  count_wanted(settings));
		return CLI_WRONG;
	}
	return results.wrong ? CLI_WRONG : CLI_DONE;
}

static enum cli_status selftest(const struct cli_command *command, struct settings *settings)
{
	struct guest_config config = guest_options_config(&settings->guest);
	struct selftest_log log = {0};
	enum cli_status status;
	struct guest *guest;

	config.message = selftest_hear;
	config.message_context = &log;
	status = guest_options_confine(command, &settings->guest,
				       &(const struct confined_to){.reads_all = true});
	if (status != CLI_DONE)
		return status;
	status = guest_options_start(command, &config, &guest);
	if (status != CLI_DONE)
		return status;
	status = run_in(command, settings, guest, &log);
	status = guest_options_save(command, guest, status);
	guest_destroy(guest);
	return status;
}

int command_selftest(const struct program *program, int argc, char **argv)
{
	struct settings settings = {.guest = GUEST_OPTIONS_DEFAULT};
	const struct cli_option options[] = {
		CLI_OPTION_JSON(&settings.json),
		CLI_OPTION("function", CLI_TEXT, "NAME", "this function alone", &settings.function),
		GUEST_OPTIONS_OF(&settings.guest, MEMORY_TEXT),
		{0},
	};
	const struct cli_command command = {
		.name = "nestbox selftest",
		.operands = "",
		.summary =
			"Calls every function of the memory core in a guest, good and bad input,\n"
			"looks up from outside what came of it, and audits after each call.",
		.options = options,
		.notes = "Functions have the names of Linux 2.6.23's mm/vmalloc.c; "
			 "docs/seed-map.md\n"
			 "says what each is here.",
	};
	enum cli_status status;
	int operand;

	settings.guest.memory_bytes = MEMORY;
	(void)program;
	if (!cli_parse(&command, argc, argv, &operand, &status))
		return (int)status;
	if (count_wanted(&settings) == 0) {
		cli_error(&command, "there is no function '%s'; nestbox selftest lists them",
			  settings.function);
		return CLI_BAD_INPUT;
	}
	return (int)selftest(&command, &settings);
}
