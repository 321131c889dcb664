/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * race: every access held against the last ones to the same bytes. Two that meet, one of them a
 * write, must be ordered (check_order.c), or both be meant to meet: locked, marked, or of a word
 * that a locked instruction touched.
 *
 * Of what is kept of 8 bytes an access takes the place of one that it stands for as well, of the
 * same vCPU or ordered before it, of no more bytes, and no write if it is none itself: whoever is
 * ordered after the newer is after the older, and whoever races with the older races with the newer
 * or did before. With more vCPUs than places the oldest goes, and what it would race with is
 * missed.
 */
#include <stdlib.h>
#include <string.h>

#include "vmm/soft/plan_private.h"
#include "vmm/soft/race_private.h"

/* What is kept of 8 bytes lies in one cache line. */
#define KEPT_BYTES 64
_Static_assert(sizeof(struct soft_race_access) * SOFT_RACE_KEPT == KEPT_BYTES &&
		       offsetof(struct soft_race_page, of) % KEPT_BYTES == 0,
	       "one cache line");

/* What is kept of @of, made now: then the oldest goes if there are too many. False: no memory. */
static bool make_page(struct soft_race *race, struct soft_check_page *of, uint64_t gpa)
{
	struct soft_check_page **kept = &race->kept[race->next_kept];

	if (race->nr_kept == SOFT_RACE_PAGES) {
		of->race = (*kept)->race;
		(*kept)->race = NULL;
	} else {
		of->race = aligned_alloc(KEPT_BYTES, sizeof(*of->race));
		if (!of->race)
			return false;
		race->nr_kept++;
	}
	memset(of->race, 0, sizeof(*of->race));
	*kept = of;
	race->next_kept = (race->next_kept + 1) % SOFT_RACE_PAGES;
	soft_race_find_words(race, gpa, of->race);
	return true;
}

static bool is_before(const struct soft_race_clock *clock, const struct soft_race_access *access)
{
	return clock->at[access->vcpu] >= access->count;
}

/* Whoever races with @older races with @newer, which is ordered after it. */
static bool stands_for(const struct soft_race_access *newer, const struct soft_race_access *older)
{
	return !(older->bytes & ~newer->bytes) && (newer->write || !older->write) &&
	       (older->marked || !newer->marked);
}

static struct soft_race_access *oldest(struct soft_race_access kept[SOFT_RACE_KEPT], uint32_t now)
{
	struct soft_race_access *place = &kept[0];

	for (unsigned int i = 1; i < SOFT_RACE_KEPT; i++)
		if (now - kept[i].when > now - place->when)
			place = &kept[i];
	return place;
}

/* Keeps @now among @kept. Returns the one it races with, or NULL. */
static inline const struct soft_race_access *keep(struct soft_race_access kept[SOFT_RACE_KEPT],
						  const struct soft_race_access *now,
						  const struct soft_race_clock *clock)
{
	struct soft_race_access *place = NULL;

	for (unsigned int i = 0; i < SOFT_RACE_KEPT; i++) {
		struct soft_race_access *one = &kept[i];

		if (!one->bytes) {
			/* Places are taken in order: the rest is empty too. */
			place = place ? place : one;
			break;
		}
		if (one->vcpu == now->vcpu) {
			/* Looked at before, and nothing was released since. */
			if (one->count == now->count && stands_for(one, now))
				return NULL;
		} else if (!is_before(clock, one)) {
			if ((one->bytes & now->bytes) && (one->write || now->write) &&
			    !(one->marked && now->marked))
				return one;
			continue;
		}
		if (!place && stands_for(now, one))
			place = one;
	}
	if (!place)
		place = oldest(kept, now->when);
	*place = *now;
	return NULL;
}

/* What happened at @when, less than 2^32 instructions ago. */
static uint64_t full(uint64_t now, uint32_t when)
{
	return now - (uint32_t)((uint32_t)now - when);
}

static enum soft_answer found(struct soft_vcpu *vcpu, uint64_t gva, uint64_t gpa, uint8_t bytes,
			      enum soft_access access, const struct soft_race_access *other)
{
	struct soft_finding finding = {
		.check = SOFT_CHECK_RACE,
		.gva = gva,
		.gpa = gpa,
		.bytes = (uint32_t)__builtin_popcount(bytes),
		.write = soft_access_writes(access),
		.user = vcpu->cpu.cpl == 3,
		.other_wrote = other->write,
		.other_marked = other->marked,
	};

	if (soft_check_found(vcpu, &finding, 0) == SOFT_LEAVE && vcpu->reason == SOFT_CHECKED)
		vcpu->finding->past = (struct soft_past){
			.known = true,
			.instruction = full(vcpu->finding->instruction, other->when),
			.vcpu = other->vcpu,
			.regs.rip = (uint64_t)(int64_t)(int32_t)other->rip,
		};
	return SOFT_LEAVE;
}

/* What an access to one word does to the order of things. */
struct role {
	struct soft_race_word *word;
	bool acquires, releases, joins, marked;
};

static void role_of(struct soft_race *race, struct soft_race_page *page, uint64_t gpa,
		    enum soft_access access, enum soft_mark_kind kind, struct role *role)
{
	unsigned int at = gpa % EPT_PAGE_BYTES / 8;

	if (page->words[at / 64] >> at % 64 & 1) {
		role->word = soft_race_word(race, gpa);
	} else if (access == SOFT_LOCKED || kind == SOFT_MARK_RELEASE) {
		role->word = soft_race_make_word(race, gpa);
		page->words[at / 64] |= 1ull << at % 64;
	}
	if (access == SOFT_LOCKED) {
		role->word->locked = true;
		role->acquires = role->releases = role->joins = role->marked = true;
		return;
	}
	role->marked = kind >= SOFT_MARK_RELAXED || (role->word && role->word->locked);
	role->acquires = kind == SOFT_MARK_ACQUIRE;
	role->releases = kind == SOFT_MARK_RELEASE;
	if (kind < SOFT_MARK_RELAXED && role->marked) {
		role->acquires = access != SOFT_STORE;
		role->releases = access != SOFT_LOAD;
	}
}

static enum soft_answer one_word(struct soft_vcpu *vcpu, struct soft_race_page *page, uint64_t gva,
				 uint64_t gpa, struct soft_race_access *now,
				 enum soft_access access, enum soft_mark_kind kind)
{
	struct soft_race *race = vcpu->vm->check->race;
	struct soft_race_clock *clock = &race->vcpus[vcpu->id];
	const struct soft_race_access *other;
	struct role role = {0};

	role_of(race, page, gpa, access, kind, &role);
	if (role.marked)
		soft_plan_point(vcpu);
	if (role.acquires)
		soft_race_acquire(vcpu, role.word, gpa);
	now->count = clock->at[vcpu->id];
	now->marked = role.marked;
	other = keep(page->of[gpa % EPT_PAGE_BYTES / 8], now, clock);
	if (other)
		return found(vcpu, gva, gpa, now->bytes, access, other);
	if (role.releases)
		soft_race_release(vcpu, role.word, gpa, now->bytes, role.joins);
	return SOFT_OK;
}

enum soft_answer soft_race_access(struct soft_vcpu *vcpu, struct soft_check_page *page,
				  uint64_t gva, uint64_t gpa, size_t bytes, enum soft_access access)
{
	struct soft_check *check = vcpu->vm->check;
	enum soft_mark_kind kind = soft_check_mark_at(check, vcpu->cpu.rip);
	struct soft_race_access now = {
		.rip = (uint32_t)vcpu->cpu.rip,
		.when = (uint32_t)soft_clock(vcpu->vm),
		.vcpu = (uint8_t)vcpu->id,
		.write = soft_access_writes(access),
	};

	if (kind == SOFT_MARK_EXEMPT)
		return SOFT_OK;
	if (!page->race && !make_page(check->race, page, gpa))
		return soft_check_no_memory(vcpu);
	while (bytes) {
		size_t offset = gpa % 8, part = 8 - offset < bytes ? 8 - offset : bytes;

		now.bytes = (uint8_t)(((1u << part) - 1) << offset);
		if (one_word(vcpu, page->race, gva, gpa, &now, access, kind) != SOFT_OK)
			return SOFT_LEAVE;
		gva += part;
		gpa += part;
		bytes -= part;
	}
	return SOFT_OK;
}
