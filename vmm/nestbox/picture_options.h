/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of commands that can show what they did as a picture, and the pictures they make. */
#ifndef VMM_NESTBOX_PICTURE_OPTIONS_H
#define VMM_NESTBOX_PICTURE_OPTIONS_H

#include "vmm/base/cli.h"
#include "vmm/nestbox/guest_options.h"
#include "vmm/picture/picture.h"
#include "vmm/replay/report.h"

/* For the list of a command's options; @files is a struct picture_files. */
#define PICTURE_OPTIONS(files)                                                                     \
	CLI_OPTION("html", CLI_TEXT, "FILE", "write a page there that shows it", &(files)->html),  \
		CLI_OPTION("svg", CLI_TEXT, "FILE", "write the main figure there", &(files)->svg), \
		CLI_OPTION("dat", CLI_TEXT, "FILE",                                                \
			   "write the figures' columns there, for gnuplot", &(files)->dat)

static inline bool picture_wanted(const struct picture_files *files)
{
	return files->html || files->svg || files->dat;
}

/* guest_options_confine() of a command that writes @files. */
enum cli_status picture_confine(const struct cli_command *command,
				const struct guest_options *options,
				const struct picture_files *files);

/*
 * Writes @document, whose reference it takes (NULL: no memory), as @files say. Returns @status, or
 * what the program ends with because of an error, which is said.
 */
enum cli_status picture_save(const struct cli_command *command, json_t *document,
			     const struct picture_files *files, enum cli_status status);

/* The document of a replay: areas with their history, latencies, addresses by verdict. */
json_t *picture_of_replay(const struct replay_report *report);

/* The document of what explore answers with --json. */
json_t *picture_of_explore(const json_t *answer);

#endif
