/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of the program nestbox: each gets its own argv, argv[0] being its name, prints what
 * it has to say, and returns the program's exit status (enum cli_status in vmm/base/cli.h).
 */
#ifndef VMM_NESTBOX_COMMANDS_H
#define VMM_NESTBOX_COMMANDS_H

int command_run(int argc, char **argv);
int command_replay(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_selftest(int argc, char **argv);
int command_doctor(int argc, char **argv);

#endif
