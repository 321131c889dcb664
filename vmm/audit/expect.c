/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of what the host asked the guest for: open addressing with linear probing, a power of
 * two of slots, at most half of them used. Removal moves later entries of a run back, so there are
 * no tombstones.
 */
#include <errno.h>
#include <stdlib.h>

#include "vmm/audit/private.h"
#include "vmm/audit/state.h"

static size_t home_of(const struct audit *audit, uint64_t address)
{
	return (size_t)(address / INSPECT_PAGE_BYTES * 0x9e3779b97f4a7c15ull >> 20) &
	       (audit->expected_slots - 1);
}

static bool is_empty(const struct audit_expectation *slot)
{
	return slot->size == 0;
}

/* The slot of @address, or the empty one where it would go. */
static size_t find_slot(const struct audit *audit, uint64_t address)
{
	size_t at = home_of(audit, address);

	while (!is_empty(&audit->expected[at]) && audit->expected[at].address != address)
		at = (at + 1) & (audit->expected_slots - 1);
	return at;
}

static int grow(struct audit *audit)
{
	struct audit_expectation *old = audit->expected;
	size_t old_slots = audit->expected_slots;
	size_t slots = old_slots ? 2 * old_slots : 256;
	struct audit_expectation *expected = calloc(slots, sizeof(*expected));

	if (!expected)
		return -ENOMEM;
	audit->expected = expected;
	audit->expected_slots = slots;
	for (size_t i = 0; i < old_slots; i++) {
		if (!is_empty(&old[i]))
			expected[find_slot(audit, old[i].address)] = old[i];
	}
	free(old);
	return 0;
}

int audit_expect(struct audit *audit, const struct audit_expectation *expectation)
{
	size_t at;

	if (expectation->size == 0)
		return -EINVAL;
	if (2 * (audit->nr_expected + 1) > audit->expected_slots && grow(audit))
		return -ENOMEM;
	at = find_slot(audit, expectation->address);
	if (!is_empty(&audit->expected[at]))
		return -EEXIST;
	audit->expected[at] = *expectation;
	audit->nr_expected++;
	return 0;
}

/* Closes the gap at @gap: every later entry of the run that may not stay behind it moves. */
static void close_gap(struct audit *audit, size_t gap)
{
	size_t mask = audit->expected_slots - 1;

	for (size_t at = (gap + 1) & mask; !is_empty(&audit->expected[at]); at = (at + 1) & mask) {
		size_t home = home_of(audit, audit->expected[at].address);

		if (((at - home) & mask) < ((at - gap) & mask))
			continue;
		audit->expected[gap] = audit->expected[at];
		gap = at;
	}
	audit->expected[gap] = (struct audit_expectation){.size = 0};
}

bool audit_unexpect(struct audit *audit, uint64_t address)
{
	size_t at;

	if (audit->nr_expected == 0)
		return false;
	at = find_slot(audit, address);
	if (is_empty(&audit->expected[at]))
		return false;
	audit->nr_expected--;
	close_gap(audit, at);
	return true;
}

const struct audit_expectation *audit_expected(const struct audit *audit, uint64_t address)
{
	size_t at;

	if (audit->nr_expected == 0)
		return NULL;
	at = find_slot(audit, address);
	return is_empty(&audit->expected[at]) ? NULL : &audit->expected[at];
}

size_t audit_expectation_slots(const struct audit *audit)
{
	return audit->expected_slots;
}

const struct audit_expectation *audit_expectation_at(const struct audit *audit, size_t slot)
{
	return is_empty(&audit->expected[slot]) ? NULL : &audit->expected[slot];
}
