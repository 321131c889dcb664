/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end of a replay compared with vmallocinfo.end: which areas are where Linux had them, and for
 * each one that is not, why.
 *
 * Areas in use are compared one by one: the same start and the same length make a match. Whether
 * there are pages behind a match is compared too, and counted apart.
 *
 * Lazily freed ranges are compared as the bytes they cover, and never count as missing or extra
 * areas: Linux merges neighbouring ones in its list, so one "unpurged vm_area" may be several
 * frees, and what is on the list is a matter of when the last purge was.
 *
 * The trace stops before the snapshot is taken, so a kernel at work has differences that nothing
 * can avoid: what was allocated or freed in between. A difference that can only come from there
 * is `explained`; the others are this replay's.
 */
#ifndef VMM_REPLAY_END_H
#define VMM_REPLAY_END_H

#include "vmm/replay/replay.h"
#include "vmm/replay/vmallocinfo.h"

enum replay_end_kind {
	REPLAY_END_MISSING,    /* in the snapshot, not here */
	REPLAY_END_EXTRA,      /* here, not in the snapshot */
	REPLAY_END_OTHER_KIND, /* in both, but with pages in only one */
	REPLAY_END_LAZY_MISSING,
	REPLAY_END_LAZY_EXTRA,
};

struct replay_end_difference {
	enum replay_end_kind kind;
	uint64_t start; /* [start, end) */
	uint64_t end;
	unsigned long snapshot_line; /* in vmallocinfo.end; 0 if it is not in there */
	unsigned long trace_line;    /* what the reason speaks of; 0 if nothing in the trace */
	bool explained;
	char reason[128];
};

struct replay_end_state {
	uint64_t expected; /* areas in use in the snapshot */
	uint64_t matching;
	uint64_t missing;
	uint64_t extra;
	uint64_t other_kind; /* of the matching ones */
	uint64_t unexplained;

	uint64_t lazy_expected_bytes;
	uint64_t lazy_matching_bytes;
	uint64_t lazy_missing_bytes;
	uint64_t lazy_extra_bytes;

	struct replay_end_difference *differences; /* every one, by kind, then by address */
	size_t difference_count;
};

/*
 * Compares. @outcome is that of replay_run() for @plan; the areas in it are sorted by address.
 * Returns 0 with the comparison, to be freed with replay_end_state_free(), or -ENOMEM.
 */
int replay_end_compare(const struct replay_plan *plan, struct replay_outcome *outcome,
		       const struct vmallocinfo *end, struct replay_end_state *state_out);

/* Frees what the comparison owns; a zeroed one is allowed. */
void replay_end_state_free(struct replay_end_state *state);

/* "missing", "extra", "other kind", "lazy missing", "lazy extra". */
const char *replay_end_kind_name(enum replay_end_kind kind);

#endif
