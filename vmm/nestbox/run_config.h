/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What only nestbox run needs: options from a file. */
#ifndef VMM_NESTBOX_RUN_CONFIG_H
#define VMM_NESTBOX_RUN_CONFIG_H

#include "ept/gpa_space.h"
#include "vmm/base/cli.h"

/* What options of a file point to. All zero at first. */
struct run_config {
	char **words;
	size_t count;
};

/*
 * Sets @command's options as the file @path says: lines of key=value with the options' names, a
 * flag's value being yes or no, empty lines and those that begin with '#' aside; or one JSON
 * object of strings, integers and booleans. Prints what is wrong with file and line, and returns
 * false. What the options point to is @config's in any case.
 */
bool run_config_apply(struct run_config *config, const struct cli_command *command,
		      const char *path);
void run_config_free(struct run_config *config);

/*
 * Reads "anon,thp" and the like into the struct gpa_backing @value (for CLI_CUSTOM). Errors:
 * -EINVAL.
 */
int run_parse_backing(const char *text, void *value);

#endif
