/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program nestbox: finds the command, and nothing else. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "vmm/base/cli.h"
#include "vmm/nestbox/commands.h"

static const struct {
	const char *name;
	int (*run)(const struct program *program, int argc, char **argv);
	const char *summary;
} commands[] = {
	{"run", command_run, "start a guest and serve its control socket"},
	{"replay", command_replay, "replay what a real kernel's vmalloc did, and compare"},
	{"load", command_load, "run a workload on all vCPUs of a guest at once"},
	{"model", command_model, "make a workload that is like a recording"},
	{"sweep", command_sweep, "run a workload under every combination of parameters"},
	{"bench", command_bench, "run the vmalloc suite inside a guest"},
	{"selftest", command_selftest, "call every function of the core in a guest, and audit"},
	{"explore", command_explore, "look for orders of turns in which the guest goes wrong"},
	{"doctor", command_doctor, "say what this host's KVM is and what nestbox can do on it"},
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* The command that @name may be meant as, or NULL. A third of it may be wrong. */
static const char *command_meant(const char *name)
{
	unsigned int least = (unsigned int)strlen(name) / 3 + 1, far;
	const char *meant = NULL;

	for (size_t i = 0; i < NR_COMMANDS; i++) {
		far = cli_distance(name, commands[i].name);
		if (far <= least) {
			meant = commands[i].name;
			least = far;
		}
	}
	return meant;
}

static void print_help(FILE *out)
{
	fprintf(out,
		"Usage: nestbox COMMAND [OPTION...] ...\n\n"
		"A guest whose only job is memory: a vmalloc core on real page tables, driven\n"
		"and checked from the host.\n\n"
		"Commands (nestbox COMMAND --help says more):\n");
	for (size_t i = 0; i < NR_COMMANDS; i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
	fprintf(out,
		"\nExit status: 0 done and right; 1 done and something is wrong; 2 bad usage or\n"
		"input; 3 this host cannot do it.\n");
}

/* What was printed must have arrived: a full disk is not success. */
static int finish(int status)
{
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("nestbox: standard output");
		return status ? status : CLI_HOST;
	}
	return status;
}

static struct program look_around(void)
{
	const char *icount = getenv("NESTBOX_ICOUNT");
	bool counts = icount && strcmp(icount, "1") == 0;

	return (struct program){
		.started_seconds = clock_seconds(),
		.ticks_are_instructions = counts,
		.tick_unit = counts ? "instructions" : "ticks",
	};
}

int main(int argc, char **argv)
{
	const char *meant;

	const struct cli_command nestbox = {.name = "nestbox"};
	const struct program program = look_around();

	if (argc < 2) {
		print_help(stderr);
		return CLI_BAD_INPUT;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return finish(CLI_DONE);
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("%s\n", PACKAGE_STRING);
		return finish(CLI_DONE);
	}
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return finish(commands[i].run(&program, argc - 1, argv + 1));
	}
	meant = command_meant(argv[1]);
	cli_error(&nestbox, "there is no command '%.64s'; %s%s%s", argv[1],
		  meant ? "did you mean '" : "nestbox --help lists them", meant ?: "",
		  meant ? "'?" : "");
	return CLI_BAD_INPUT;
}
