/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two reports of the same job beside each other: what changed, and whether that is more than noise.
 *
 * A report (--json of bench, load, replay) is read as figures, all of them costs: less is better. A
 * figure that was counted has no noise, so any change of it is one. A timed figure is judged where
 * both reports have at least COMPARE_RUNS_MIN runs of it, by the Mann-Whitney U test (two-sided,
 * normal approximation with ties corrected), below COMPARE_P; else nothing is said of it.
 */
#ifndef VMM_NESTBOX_COMPARE_H
#define VMM_NESTBOX_COMPARE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "vmm/base/cli.h"

#define COMPARE_RUNS_MIN 4
#define COMPARE_P        0.05

struct compare_options {
	const char *file; /* --compare; NULL: nothing is compared */
	double threshold; /* --threshold: per cent; negative: none */
};

/* Reads a percentage for the option; 0 or -EINVAL. */
int compare_threshold_parse(const char *text, void *value);

#define COMPARE_OPTIONS(options)                                                                   \
	CLI_OPTION("compare", CLI_TEXT, "FILE",                                                    \
		   "compare with an earlier report of this job, made with --json",                 \
		   &(options)->file),                                                              \
		CLI_OPTION("threshold", CLI_CUSTOM, "PERCENT",                                     \
			   "with --compare: exit status 1 if a figure rose by more, beyond noise", \
			   &(options)->threshold, .parse = compare_threshold_parse,                \
			   .expects = "a percentage")

/*
 * Holds @report against the one in the file, if a file is given, and says it: for people as a
 * table; with @json as the report's member "compare", {file, figures: [{name, unit, before, now,
 * change_percent, noise, p, changed, beyond}], only_before: [names], only_now: [names], beyond: N},
 * and the report is printed. noise is "none", "mann-whitney" or "unknown"; changed is null where it
 * is unknown; beyond: by more than the threshold. @report is needed for nothing else: without a
 * file and without @json it may be NULL; else NULL is want of memory.
 *
 * Returns @status; CLI_WRONG if something rose beyond the threshold; or, with the reason said in
 * @command's name, CLI_BAD_INPUT (the file cannot be read, is no report of ours, or of
 * another job than @report) or CLI_HOST.
 */
enum cli_status compare_and_print(const struct cli_command *command, json_t *report,
				  const struct compare_options *options, bool json,
				  enum cli_status status);

/*
 * The probability that samples as different as these two come of the same distribution: the
 * two-sided p of the Mann-Whitney U test. 1 where a side has none.
 */
double compare_mann_whitney(const double *a, size_t nr_a, const double *b, size_t nr_b);

#endif
