/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of the program nestbox: each gets its own argv, argv[0] being its name, and what
 * main() found out about the program; prints what it has to say, and returns the program's exit
 * status (enum cli_status in vmm/base/cli.h).
 */
#ifndef VMM_NESTBOX_COMMANDS_H
#define VMM_NESTBOX_COMMANDS_H

#include <stdbool.h>

struct program {
	double started_seconds; /* clock_seconds() at the start of main() */
	/*
	 * A tick of the guest's time stamp counter is an instruction: so it is in a lab that counts
	 * them, which says so by NESTBOX_ICOUNT=1 (scripts/lab --icount); and on the soft engine
	 * (guest_options_program()).
	 */
	bool ticks_are_instructions;
	const char *tick_unit; /* "instructions" or "ticks", for a person and for JSON alike */
};

int command_run(const struct program *program, int argc, char **argv);
int command_replay(const struct program *program, int argc, char **argv);
int command_load(const struct program *program, int argc, char **argv);
int command_model(const struct program *program, int argc, char **argv);
int command_sweep(const struct program *program, int argc, char **argv);
int command_bench(const struct program *program, int argc, char **argv);
int command_selftest(const struct program *program, int argc, char **argv);
int command_explore(const struct program *program, int argc, char **argv);
int command_doctor(const struct program *program, int argc, char **argv);

#endif
