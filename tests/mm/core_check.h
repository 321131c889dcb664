/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The whole core on the simulated machine, checked at once: what the tests of the seed's calls ask
 * after every step.
 */
#ifndef TESTS_MM_CORE_CHECK_H
#define TESTS_MM_CORE_CHECK_H

#include "tests/mm/sim.h"

/*
 * NULL, or what is wrong: every structure's own check; every area against its leaves; no leaf
 * outside areas; every process; every frame's references against the user pages that show it.
 */
const char *core_check(struct sim *sim);

/* Frames in use that no cache keeps for later, page tables left out. Purges and shrinks. */
u64 core_frames_in_use(struct sim *sim);

/*
 * Objects of all slab caches that somebody has. Directly after core_frames_in_use(), which leaves
 * none with this CPU; other CPUs' own slabs count as in use.
 */
u64 core_objects_in_use(struct sim *sim);

/* Present leaves of 4 KiB below @table_phys, a table of @level. */
u64 core_count_leaves(struct sim *sim, u64 table_phys, int level);

#endif
