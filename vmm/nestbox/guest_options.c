/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the options of a command line to a guest that runs. */
#include "vmm/nestbox/guest_options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "lib/input.h"
#include "lib/out_queue.h"

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

/* One of "key=number,key=number,...": its number is stored where its row says. */
struct word {
	const char *key;
	uint64_t least, most;
	uint64_t *value;
	bool given;
};

/* Reads @text by @words, ended by one without a key. Returns 0 or -EINVAL. */
static int parse_words(const char *text, struct word *words)
{
	while (*text) {
		size_t length = strcspn(text, ","), key = strcspn(text, "=");
		struct word *word = words;
		uint64_t number;

		while (word->key &&
		       (strlen(word->key) != key || strncmp(word->key, text, key) != 0))
			word++;
		if (!word->key || word->given || key >= length ||
		    number_parse(text + key + 1, length - key - 1, &number) != NUMBER_OK ||
		    number < word->least || number > word->most)
			return -EINVAL;
		*word->value = number;
		word->given = true;
		text += length;
		if (*text && !*++text)
			return -EINVAL; /* a comma at the end */
	}
	return 0;
}

#define STEPS_DEFAULT 100000

int guest_options_parse_schedule(const char *text, void *value)
{
	struct soft_plan plan = {.kind = SOFT_PLAN_RANDOM, .steps = STEPS_DEFAULT};
	uint64_t depth = 0;
	struct word words[] = {{"seed", 0, UINT64_MAX, &plan.seed, false},
			       {"pct", 1, SOFT_PLAN_DEPTH_MAX, &depth, false},
			       {"steps", 1, UINT64_MAX, &plan.steps, false},
			       {.key = NULL}};

	if (parse_words(text, words) || (!words[0].given && !depth) || (words[2].given && !depth))
		return -EINVAL;
	if (depth) {
		plan.kind = SOFT_PLAN_PCT;
		plan.depth = (unsigned int)depth;
	}
	*(struct soft_plan *)value = plan;
	return 0;
}

int guest_options_parse_tlb(const char *text, void *value)
{
	struct soft_options options = {0};
	struct word words[] = {{"size", 1, 1u << 24, &options.tlb_entries, false},
			       {"seed", 0, UINT64_MAX, &options.tlb_seed, false},
			       {.key = NULL}};

	if (parse_words(text, words) || !words[0].given)
		return -EINVAL;
	*(struct soft_options *)value = options;
	return 0;
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
		.soft = options->soft,
		.plan = options->plan,
		.operation_seconds = (double)options->operation_seconds,
		.total_seconds = (double)options->total_seconds,
		.watchdog_seconds =
			options->watchdog_seconds ? (double)options->watchdog_seconds : -1,
	};
}

/* ---- the sandbox ---- */

struct confinement {
	struct sandbox_config config;
	char folders[SANDBOX_FOLDERS_MAX][PATH_MAX];
};

static void may_write(struct confinement *to, const char *folder, size_t length)
{
	size_t at = to->config.nr_write;

	if (at == SANDBOX_FOLDERS_MAX)
		return;
	snprintf(to->folders[at], PATH_MAX, "%.*s", (int)length, folder);
	to->config.write[to->config.nr_write++] = to->folders[at];
}

static void may_write_file(struct confinement *to, const char *file)
{
	const char *slash = file ? strrchr(file, '/') : NULL;

	if (slash)
		may_write(to, file, (size_t)(slash - file) + (slash == file));
	else if (file)
		may_write(to, ".", 1);
}

enum cli_status guest_options_confine(const struct cli_command *command,
				      const struct guest_options *options,
				      const struct confined_to *to)
{
	static struct confinement all;
	struct error error;

	all.config.mode = options->sandbox;
	all.config.nr_read = to->reads_all || options->image;
	all.config.read[0] = to->reads_all ? "/" : options->image;
	may_write_file(&all, options->dump.path);
	may_write_file(&all, options->coverage);
	for (size_t i = 0; i < to->nr_files; i++)
		may_write_file(&all, to->files[i]);
	for (size_t i = 0; i < to->nr_folders; i++)
		may_write(&all, to->folders[i], strlen(to->folders[i]));
	if (sandbox_enter(&all.config, &error) != 0) {
		cli_error(command, "%s", error.text);
		return CLI_HOST;
	}
	/* Its thread is made here, and not by the vCPU that is the first to say something. */
	if (options->sandbox != SANDBOX_OFF)
		(void)out_queue_stderr();
	return CLI_DONE;
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
	return err == -ENOTRECOVERABLE && report.kind == REPORT_KVM ? CLI_HOST : cli_status_of(err);
}

enum cli_status guest_options_save(const struct cli_command *command, struct guest *guest,
				   enum cli_status status)
{
	const struct guest_report *failure = guest_failure(guest);
	struct error error;

	/* One that KVM did not run did nothing wrong. */
	if (status == CLI_WRONG && failure && failure->kind == REPORT_KVM) {
		cli_error(command, "the guest did not end by itself: %s", failure->text);
		status = CLI_HOST;
	}
	if (guest_coverage_save(guest, &error) == 0)
		return status;
	cli_error(command, "%s", error.text);
	return CLI_HOST;
}
