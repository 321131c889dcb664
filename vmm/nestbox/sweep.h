/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sweeps: a workload under every combination of some parameters, in shards that any number of
 * processes and machines may run; what they found is one document again when it is merged:
 *
 *   {sweep, parameters: [{name, values: [text]}], points: N,
 *    results: [{point, set: {name: text}, report: what nestbox load --json says}]}
 *
 * Points are numbered from 0, the last parameter's values next to each other. Shard i of n has the
 * points whose number is i - 1 modulo n.
 */
#ifndef VMM_NESTBOX_SWEEP_H
#define VMM_NESTBOX_SWEEP_H

#include <jansson.h>

#include "vmm/base/cli.h"

#define SWEEP_POINTS_MAX 100000u

/*
 * The documents in the @count files as one, or NULL with the reason said in @command's name: a file
 * that cannot be read or is no sweep's, two of different sweeps, a point that is there twice.
 */
json_t *sweep_merge(const struct cli_command *command, char **paths, size_t count);

/*
 * Prints a line for each combination, those that differ in `seed` alone together: their latencies
 * are added, of the rest the worst is shown.
 */
void sweep_print(const json_t *sweep);

/* CLI_WRONG if one of its runs went wrong or, unless it is a shard, a point is missing. */
enum cli_status sweep_status(const json_t *sweep);

#endif
