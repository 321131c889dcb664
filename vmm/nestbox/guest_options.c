/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the options of a command line to a guest that runs. */
#include "vmm/nestbox/guest_options.h"

#include <errno.h>
#include <stdio.h>

struct program guest_options_program(const struct program *program, const struct guest *guest)
{
	struct program counted = *program;

	if (guest_kvm_host(guest)->ticks_are_instructions) {
		counted.ticks_are_instructions = true;
		counted.tick_unit = "instructions";
	}
	return counted;
}

int guest_options_parse_engine(const char *text, void *value)
{
	return kvm_engine_parse(text, value);
}

int guest_options_parse_checks(const char *text, void *value)
{
	return checks_parse(text, value);
}

struct guest_config guest_options_config(struct guest_options *options)
{
	return (struct guest_config){
		.engine = options->engine,
		.image_path = options->image,
		.last_look = core_last_look,
		.last_look_context = &options->dump,
		.memory_bytes = options->memory_bytes,
		.nr_nodes = (unsigned int)options->nodes,
		.nr_vcpus = (unsigned int)options->cpus,
		.trap_uaf = options->trap_uaf,
		.checks = options->checks,
		.coverage = options->coverage,
		.operation_seconds = (double)options->operation_seconds,
		.total_seconds = (double)options->total_seconds,
		.watchdog_seconds =
			options->watchdog_seconds ? (double)options->watchdog_seconds : -1,
	};
}

enum cli_status guest_options_start(const struct cli_command *command,
				    const struct guest_config *config, struct guest **guest_out)
{
	struct guest_report report = {0};
	struct error error;
	int err = guest_start(config, guest_out, &report, &error);

	if (!err)
		return CLI_DONE;
	cli_error(command, "%s", error.text);
	if (err == -ENOTRECOVERABLE)
		report_print(&report, stderr);
	return guest_exit_status(err);
}

enum cli_status guest_options_save(const struct cli_command *command, struct guest *guest,
				   enum cli_status status)
{
	struct error error;

	if (guest_coverage_save(guest, &error) == 0)
		return status;
	cli_error(command, "%s", error.text);
	return CLI_HOST;
}

enum cli_status guest_exit_status(int code)
{
	switch (code) {
	case 0:
		return CLI_DONE;
	case -ENOTRECOVERABLE:
	case -EPROTO:
		return CLI_WRONG;
	case -EINVAL:
	case -ENOEXEC:
	case -ENOSPC:
	case -ERANGE:
		return CLI_BAD_INPUT;
	default:
		return CLI_HOST;
	}
}
