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

#include "vmm/soft/race_private.h"

/* Of @frame, made now if need be: then the oldest goes if there are too many. */
static struct soft_race_page *page_of(struct soft_race *race, uint64_t frame)
{
	struct soft_race_page *page = race->pages[frame];

	if (page)
		return page;
	if (race->nr_kept == SOFT_RACE_PAGES) {
		page = race->pages[race->kept[race->next_kept]];
		race->pages[race->kept[race->next_kept]] = NULL;
		memset(page, 0, sizeof(*page));
	} else {
		page = calloc(1, sizeof(*page));
		if (!page)
			return NULL;
		race->nr_kept++;
	}
	race->pages[frame] = page;
	race->kept[race->next_kept] = frame;
	race->next_kept = (race->next_kept + 1) % SOFT_RACE_PAGES;
	return page;
}

static bool is_before(const struct soft_race_clock *clock, const struct soft_race_access *access)
{
	return clock->at[access->vcpu] >= access->count;
}

static bool stands_for(const struct soft_race_access *newer, const struct soft_race_access *older)
{
	return !(older->bytes & ~newer->bytes) && (newer->write || !older->write) &&
	       (older->marked || !newer->marked);
}

/*
 * Keeps @now among @kept. Returns the one it races with, or NULL.
 */
static const struct soft_race_access *keep(struct soft_race_access kept[SOFT_RACE_KEPT],
					   const struct soft_race_access *now,
					   const struct soft_race_clock *clock)
{
	struct soft_race_access *place = NULL;

	for (unsigned int i = 0; i < SOFT_RACE_KEPT; i++) {
		struct soft_race_access *one = &kept[i];
		bool before;

		if (!one->bytes) {
			place = place ? place : one;
			continue;
		}
		before = one->vcpu == now->vcpu || is_before(clock, one);
		if (!before && (one->bytes & now->bytes) && (one->write || now->write) &&
		    !(one->marked && now->marked))
			return one;
		if (before && stands_for(now, one)) {
			if (place && place->bytes)
				one->bytes = 0;
			else
				place = one;
		}
	}
	if (!place) {
		place = &kept[0];
		for (unsigned int i = 1; i < SOFT_RACE_KEPT; i++)
			if (now->when - kept[i].when > now->when - place->when)
				place = &kept[i];
	}
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

static bool role_of(struct soft_vcpu *vcpu, uint64_t gpa, enum soft_access access,
		    enum soft_mark_kind kind, struct role *role)
{
	bool makes = access == SOFT_LOCKED || kind == SOFT_MARK_RELEASE;

	role->word = soft_race_word(vcpu, gpa, makes);
	if (access == SOFT_LOCKED) {
		role->word->locked = true;
		role->acquires = role->releases = role->joins = role->marked = true;
		return true;
	}
	role->marked = kind >= SOFT_MARK_RELAXED || (role->word && role->word->locked);
	role->acquires = kind == SOFT_MARK_ACQUIRE;
	role->releases = kind == SOFT_MARK_RELEASE;
	if (kind < SOFT_MARK_RELAXED && role->marked) {
		role->acquires = access != SOFT_STORE;
		role->releases = access != SOFT_LOAD;
	}
	return true;
}

static enum soft_answer one_word(struct soft_vcpu *vcpu, struct soft_race_page *page, uint64_t gva,
				 uint64_t gpa, uint8_t bytes, enum soft_access access,
				 enum soft_mark_kind kind)
{
	struct soft_race *race = vcpu->vm->check->race;
	struct soft_race_clock *clock = &race->vcpus[vcpu->id];
	const struct soft_race_access *other;
	struct soft_race_access now = {
		.rip = (uint32_t)soft_cpu_rip(&vcpu->cpu),
		.when = (uint32_t)soft_clock(vcpu->vm),
		.vcpu = (uint8_t)vcpu->id,
		.bytes = bytes,
		.write = soft_access_writes(access),
	};
	struct role role = {0};

	role_of(vcpu, gpa, access, kind, &role);
	if (role.acquires)
		soft_race_acquire(vcpu, role.word, gpa);
	now.count = clock->at[vcpu->id];
	now.marked = role.marked;
	other = keep(page->of[gpa % EPT_PAGE_BYTES / 8], &now, clock);
	if (other)
		return found(vcpu, gva, gpa, bytes, access, other);
	if (role.releases)
		soft_race_release(vcpu, role.word, gpa, bytes, role.joins);
	return SOFT_OK;
}

enum soft_answer soft_race_access(struct soft_vcpu *vcpu, uint64_t gva, uint64_t gpa, size_t bytes,
				  enum soft_access access)
{
	struct soft_check *check = vcpu->vm->check;
	struct soft_race *race = check->race;
	enum soft_mark_kind kind = soft_check_mark_at(check, soft_cpu_rip(&vcpu->cpu));
	struct soft_race_page *page;

	if (gpa / EPT_PAGE_BYTES >= race->nr_frames || kind == SOFT_MARK_EXEMPT)
		return SOFT_OK;
	page = page_of(race, gpa / EPT_PAGE_BYTES);
	if (!page || check->no_memory)
		return soft_check_no_memory(vcpu);
	while (bytes) {
		size_t offset = gpa % 8, part = 8 - offset < bytes ? 8 - offset : bytes;

		if (one_word(vcpu, page, gva, gpa, (uint8_t)(((1u << part) - 1) << offset), access,
			     kind) != SOFT_OK)
			return SOFT_LEAVE;
		gva += part;
		gpa += part;
		bytes -= part;
	}
	return SOFT_OK;
}
