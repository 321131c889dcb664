/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The audit of other people's guests: one look, more where something may be in transit, or on and
 * on. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/regs.h"
#include "vmm/audit/audit.h"
#include "vmm/linux/check.h"
#include "vmm/nestctl/foreign.h"

/* Between the first two looks; then twice as long each time, up to the most. */
#define BETWEEN_LOOKS_MS      50u
#define BETWEEN_LOOKS_MOST_MS 800u
#define LOOKS_LIVE            6u
#define LOOKS_PAUSED          4u

static void wait_ms(uint64_t milliseconds)
{
	const struct timespec time = {.tv_sec = (time_t)(milliseconds / 1000),
				      .tv_nsec = (long)(milliseconds % 1000) * 1000000};

	nanosleep(&time, NULL);
}

/* ---- what was found, as JSON and for people ---- */

struct outcome {
	struct linux_audit audit;
	unsigned int looks;
	double seconds, paused_seconds;
};

static json_t *checks_json(const struct linux_audit *audit, uint32_t checks)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < LINUX_NR_CHECKS; i++) {
		const struct linux_check_sum *sum = &audit->sum[i];

		if (checks & 1u << i)
			json_array_append_new(
				list,
				json_pack("{s:s, s:I, s:I, s:I, s:I}", "name",
					  linux_check_name((enum linux_check)i), "items",
					  (json_int_t)sum->compared, "violations",
					  (json_int_t)sum->verdicts[LINUX_ALARM], "in-update",
					  (json_int_t)sum->verdicts[LINUX_IN_UPDATE], "in-transit",
					  (json_int_t)sum->verdicts[LINUX_IN_TRANSIT]));
	}
	return list;
}

static json_t *exceptions_json(const struct linux_audit *audit)
{
	json_t *json = json_object();

	for (unsigned int i = 0; i < LINUX_NR_EXCEPTIONS; i++)
		json_object_set_new(json, linux_exception_name((enum linux_exception)i),
				    json_integer((json_int_t)audit->exceptions[i]));
	return json;
}

static json_t *findings_json(const struct linux_audit *audit)
{
	json_t *list = json_array();

	for (size_t i = 0; i < audit->nr_findings; i++) {
		const struct linux_finding *finding = &audit->finding[i];

		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:o, s:o, s:s}", "check",
					linux_check_name(finding->check), "verdict",
					linux_verdict_name(finding->verdict), "what", finding->what,
					"start", qmp_hex(finding->start), "end",
					qmp_hex(finding->end), "text", finding->text));
	}
	return list;
}

/* Where each CPU was: what is in transit is somebody's doing. */
static json_t *cpus_json(struct foreign *foreign)
{
	json_t *list = json_array();
	char name[LINUX_NAME_BYTES];

	for (unsigned int cpu = 0; cpu < foreign->inspect.nr_cpus; cpu++) {
		struct inspect_registers r;

		if (!foreign->inspect.registers(foreign->inspect.context, cpu, &r))
			json_array_append_new(list,
					      json_pack("{s:i, s:o, s:s}", "cpu", (int)cpu, "rip",
							qmp_hex(r.reg[REGS_RIP]), "place",
							linux_address_name(foreign->linux_guest,
									   r.reg[REGS_RIP], name)));
	}
	return list;
}

static json_t *outcome_json(struct foreign *foreign, const struct outcome *outcome, uint32_t checks)
{
	const struct linux_audit *audit = &outcome->audit;
	json_t *json = json_pack("{s:s, s:o, s:I, s:o, s:o, s:s, s:i, s:f, s:f}", "kernel",
				 linux_facts(foreign->linux_guest)->release, "checks",
				 checks_json(audit, checks), "violations",
				 (json_int_t)linux_audit_alarms(audit), "exceptions",
				 exceptions_json(audit), "findings", findings_json(audit), "locks",
				 audit->locks, "looks", (int)outcome->looks, "seconds",
				 outcome->seconds, "paused-seconds", outcome->paused_seconds);

	if (audit->nr_findings)
		json_object_set_new(json, "cpus", cpus_json(foreign));
	return json;
}

static enum cli_status print_outcome(struct ctl *ctl, const json_t *value)
{
	const json_t *checks = json_object_get(value, "checks");
	const json_t *findings = json_object_get(value, "findings");
	const json_t *cpus = json_object_get(value, "cpus");
	double paused = json_number_value(json_object_get(value, "paused-seconds"));
	const char *name;
	json_t *count;
	size_t i;

	for (i = 0; i < json_array_size(checks); i++) {
		const json_t *check = json_array_get(checks, i);
		uint64_t alarms = ctl_number(check, "violations");

		fprintf(ctl->out, "%-10s %10" PRIu64 " looked at  ", ctl_text(check, "name"),
			ctl_number(check, "items"));
		if (alarms)
			fprintf(ctl->out, "%" PRIu64 " VIOLATIONS", alarms);
		else
			fprintf(ctl->out, "right");
		if (ctl_number(check, "in-update"))
			fprintf(ctl->out, ", %" PRIu64 " in update",
				ctl_number(check, "in-update"));
		if (ctl_number(check, "in-transit"))
			fprintf(ctl->out, ", %" PRIu64 " in transit",
				ctl_number(check, "in-transit"));
		fputc('\n', ctl->out);
	}
	json_object_foreach (json_object_get(value, "exceptions"), name, count) {
		if (json_integer_value(count))
			fprintf(ctl->out, "not judged: %" PRIu64 " %s\n",
				(uint64_t)json_integer_value(count), name);
	}
	for (i = 0; i < json_array_size(findings); i++) {
		const json_t *finding = json_array_get(findings, i);

		fprintf(ctl->out, "%s: %s: %s\n", ctl_text(finding, "check"),
			ctl_text(finding, "verdict"), ctl_text(finding, "text"));
	}
	if (*ctl_text(value, "locks"))
		fprintf(ctl->out, "locks held: %s\n", ctl_text(value, "locks"));
	for (i = 0; i < json_array_size(cpus); i++)
		fprintf(ctl->out, "cpu%" PRIu64 " at %s\n",
			ctl_number(json_array_get(cpus, i), "cpu"),
			ctl_text(json_array_get(cpus, i), "place"));
	if (paused > 0)
		fprintf(ctl->out, "the guest was stopped for %.1f ms\n", paused * 1e3);
	return ctl_number(value, "violations") ? CLI_WRONG : CLI_DONE;
}

/* ---- looks ---- */

static int one_look(struct foreign *foreign, const struct linux_audit_options *options,
		    struct outcome *outcome, struct linux_audit *audit_out, struct error *error)
{
	bool paused = false;
	double start = clock_seconds();
	int err = 0, resumed;

	if (foreign->options.pause) {
		err = source_pause(foreign->source, error);
		paused = err == 0;
		if (err == -EALREADY)
			err = 0;
	}
	if (!err)
		err = source_refresh(foreign->source, error);
	if (!err) {
		linux_refresh(foreign->linux_guest);
		err = linux_audit_run(foreign->linux_guest, options, audit_out, error);
	}
	if (paused) {
		resumed = source_resume(foreign->source, error);
		outcome->paused_seconds += clock_seconds() - start;
		err = err ? err : resumed;
	}
	return err;
}

/*
 * Looks until nothing that is in transit was so in every look, or what is was seen so often that it
 * is no longer.
 */
static int look(struct foreign *foreign, uint32_t checks, struct outcome *outcome,
		struct error *error)
{
	bool moves = source_is_live(foreign->source);
	const struct linux_audit_options options = {.checks = checks,
						    .live = moves && !foreign->options.pause};
	uint64_t wanted = foreign->options.looks, wait = BETWEEN_LOOKS_MS;
	struct linux_audit before = {.nr_findings = 0};
	double start = clock_seconds();
	int err;

	if (!wanted)
		wanted = !moves ? 1 : options.live ? LOOKS_LIVE : LOOKS_PAUSED;
	*outcome = (struct outcome){.looks = 1};
	err = one_look(foreign, &options, outcome, &outcome->audit, error);
	while (!err && outcome->looks < wanted &&
	       linux_audit_follow(&outcome->audit, &before) == outcome->looks) {
		wait_ms(wait);
		wait = 2 * wait < BETWEEN_LOOKS_MOST_MS ? 2 * wait : BETWEEN_LOOKS_MOST_MS;
		linux_audit_free(&before);
		before = outcome->audit;
		outcome->audit = (struct linux_audit){.nr_findings = 0};
		err = one_look(foreign, &options, outcome, &outcome->audit, error);
		outcome->looks += err == 0;
	}
	if (!err && wanted > 1 && outcome->looks == wanted) {
		linux_audit_follow(&outcome->audit, &before);
		linux_audit_confirm(&outcome->audit, outcome->looks);
	}
	linux_audit_free(&before);
	outcome->seconds = clock_seconds() - start;
	return err;
}

/* ---- the verb ---- */

static const char *check_name(unsigned int check)
{
	return linux_check_name((enum linux_check)check);
}

static bool read_checks(struct foreign *foreign, uint32_t *checks_out)
{
	const char *text = foreign->options.checks ?: "all", *wrong;

	if (cli_names_parse(text, check_name, LINUX_NR_CHECKS, checks_out, &wrong) == 0)
		return true;
	cli_error(&foreign->cli,
		  "--checks: '%.40s': they are areas, free-tree, mapping, stray, tables, wx, "
		  "modules, "
		  "frames",
		  wrong);
	return false;
}

/* "1s", "200ms", "0.5": seconds where no unit is given. */
static bool read_period(struct foreign *foreign, uint64_t *ms_out)
{
	const char *text = foreign->options.every;
	double seconds;
	char *end;

	if (!text)
		return true;
	seconds = strtod(text, &end);
	if (!strcmp(end, "ms"))
		seconds /= 1000;
	else if (strcmp(end, "s") != 0 && *end)
		seconds = -1;
	if (end == text || !(seconds >= 0.001 && seconds <= 86400)) {
		cli_error(&foreign->cli, "--every %.32s: a time such as 1s or 200ms", text);
		return false;
	}
	*ms_out = (uint64_t)(seconds * 1000);
	return true;
}

static enum cli_status own_audit(struct foreign *foreign)
{
	struct audit *audit = audit_create();
	struct audit_result result;
	json_t *checks = json_array(), *found = json_array();
	int err = audit ? audit_run(audit, foreign->own, AUDIT_ALL, 0, &result) : -ENOMEM;

	for (unsigned int i = 0; i < AUDIT_NR_CHECKS && !err; i++)
		json_array_append_new(checks,
				      QMP_ROW(protocol_checks, QMP_STRING(audit_checks()[i].name),
					      QMP_NUMBER(result.check_items[i]),
					      QMP_NUMBER(result.check_violations[i]),
					      QMP_STRING(audit_checks()[i].holds)));
	for (size_t i = 0; !err && i < audit_violation_count(audit); i++) {
		char text[512];

		audit_violation_format(audit_violation_at(audit, i), text, sizeof(text));
		json_array_append_new(found, json_pack("{s:s}", "line", text));
	}
	audit_destroy(audit);
	if (err) {
		json_decref(checks);
		json_decref(found);
		return foreign_failed(foreign, err, NULL);
	}
	return foreign_print(foreign,
			     json_pack("{s:o, s:I, s:I, s:f, s:o}", "checks", checks, "items",
				       (json_int_t)result.items, "violations",
				       (json_int_t)result.violations, "seconds", result.seconds,
				       "found", found),
			     ctl_print_audit) |
	       (result.violations ? CLI_WRONG : CLI_DONE);
}

static enum cli_status linux_audits(struct foreign *foreign, uint32_t checks, uint64_t period_ms)
{
	enum cli_status worst = CLI_DONE, status;
	struct error error = {""};
	struct outcome outcome;
	uint64_t done = 0;
	int err;

	do {
		if (done)
			wait_ms(period_ms);
		err = look(foreign, checks, &outcome, &error);
		if (err) {
			linux_audit_free(&outcome.audit);
			return foreign_failed(foreign, err, &error);
		}
		status = linux_audit_alarms(&outcome.audit) ? CLI_WRONG : CLI_DONE;
		foreign_print(foreign, outcome_json(foreign, &outcome, checks), print_outcome);
		fflush(stdout);
		linux_audit_free(&outcome.audit);
		worst = status > worst ? status : worst;
		done++;
	} while (period_ms && (foreign->options.count == 0 || done < foreign->options.count));
	return worst;
}

enum cli_status foreign_audit(struct foreign *foreign)
{
	uint64_t period_ms = 0;
	uint32_t checks;

	if (foreign->own)
		return own_audit(foreign);
	if (!foreign_linux(foreign))
		return CLI_HOST;
	if (!read_checks(foreign, &checks) || !read_period(foreign, &period_ms))
		return CLI_BAD_INPUT;
	return linux_audits(foreign, checks, period_ms);
}
