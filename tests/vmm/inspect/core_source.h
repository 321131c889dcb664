/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The simulated core (tests/mm/sim.h) as a source for the inspector: its structures are in the
 * host's memory, its page tables and frames in simulated RAM. What the source allows to be read
 * is what the test knows to be memory, whatever the core's own structures say by now.
 */
#ifndef TESTS_VMM_INSPECT_CORE_SOURCE_H
#define TESTS_VMM_INSPECT_CORE_SOURCE_H

#include "tests/mm/sim.h"
#include "vmm/inspect/inspect.h"

/* The layout note's text, made by snprintf() from guest/layout.h; static storage. */
const char *core_layout_text(size_t *bytes_out);

/* The same, parsed. Ends the process where it does not parse. */
void core_layout(struct layout *layout_out);

struct core_source {
	struct sim *sim;
	u32 nr_ram;
	struct mem_range ram[MAX_RAM];
	u8 online[MAX_SECTIONS]; /* the sections whose struct pages can be read */
	struct layout layout;
	struct inspector *inspector;
};

/* Ends the process where no inspector can be made. Pair with core_source_destroy(). */
struct core_source *core_source_create(struct sim *sim);
void core_source_destroy(struct core_source *source);

/* To be called when sections may have come to life, and the core is whole. */
void core_source_refresh(struct core_source *source);

#endif
