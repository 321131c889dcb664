/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * race: what orders one processor's accesses before another's.
 *
 *      a locked instruction            after whoever released the word, before who acquires it
 *      a store to a word that a        before who acquires it: how x86 gives a lock back
 *        locked instruction touched
 *      a load of such a word           after who released it
 *      marked loads and stores         as they are marked (SOFT_MARK_*)
 *      an interrupt                    after what its sender had done when it sent
 *      leaving KVM_RUN, or a release   before what the host does next: its interrupts, what it
 *        in memory shared with it        writes there, and vCPUs that enter KVM_RUN
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vmm/soft/race_private.h"

static void join(struct soft_race *race, uint32_t *to, const uint32_t *from)
{
	for (unsigned int i = 0; i < race->nr_vcpus; i++)
		if (from[i] > to[i])
			to[i] = from[i];
}

/* ---- words ---- */

#define PLACES (2 * SOFT_RACE_WORDS)

static struct soft_race_word *place_of(const struct soft_race *race, uint64_t key)
{
	size_t at = (size_t)(key * 0x9e3779b97f4a7c15ull >> 32) % PLACES;

	while (race->words[at].key && race->words[at].key != key)
		at = (at + 1) % PLACES;
	return &race->words[at];
}

/* All words go. What was released by them is from now on ordered before every acquisition. */
static void forget_words(struct soft_race *race)
{
	for (unsigned int i = 0; i < race->nr_words; i++)
		join(race, race->forgotten.at, race->clocks + (size_t)i * race->nr_vcpus);
	for (size_t i = 0; i < race->nr_kept; i++)
		memset(race->kept[i]->race->words, 0, sizeof(race->kept[i]->race->words));
	memset(race->words, 0, PLACES * sizeof(*race->words));
	memset(race->clocks, 0, (size_t)race->nr_words * race->nr_vcpus * sizeof(*race->clocks));
	race->nr_words = 0;
}

/* For as many vCPUs as there are now; nothing that was before counts. */
static bool make_clocks(struct soft_race *race, const struct soft_vm *vm)
{
	size_t bytes = (size_t)SOFT_RACE_WORDS * sizeof(*race->clocks);

	if (race->clocks)
		munmap(race->clocks, bytes * race->nr_vcpus);
	race->clocks = mmap(NULL, bytes * vm->nr_vcpus, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (race->clocks == MAP_FAILED)
		race->clocks = NULL;
	race->nr_vcpus = race->clocks ? vm->nr_vcpus : 0;
	race->nr_words = 0;
	memset(race->words, 0, PLACES * sizeof(*race->words));
	for (size_t i = 0; i < race->nr_kept; i++)
		memset(race->kept[i]->race, 0, sizeof(*race->kept[i]->race));
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		race->vcpus[i].at[i] = 1;
	return race->clocks != NULL;
}

struct soft_race_word *soft_race_word(struct soft_race *race, uint64_t gpa)
{
	struct soft_race_word *word = place_of(race, gpa / 8 + 1);

	return word->key ? word : NULL;
}

struct soft_race_word *soft_race_make_word(struct soft_race *race, uint64_t gpa)
{
	struct soft_race_word *word;

	if (race->nr_words == SOFT_RACE_WORDS)
		forget_words(race);
	word = place_of(race, gpa / 8 + 1);
	*word = (struct soft_race_word){.key = gpa / 8 + 1, .clock = race->nr_words++};
	return word;
}

void soft_race_find_words(const struct soft_race *race, uint64_t gpa, struct soft_race_page *page)
{
	gpa &= ~(EPT_PAGE_BYTES - 1);
	for (unsigned int i = 0; race->nr_words && i < EPT_PAGE_BYTES / 8; i++)
		if (place_of(race, gpa / 8 + i + 1)->key)
			page->words[i / 64] |= 1ull << i % 64;
}

static uint32_t *clock_of(const struct soft_race *race, const struct soft_race_word *word)
{
	return race->clocks + (size_t)word->clock * race->nr_vcpus;
}

static bool is_shared(const struct soft_check *check, uint64_t gpa)
{
	return gpa >= check->config.shared.start && gpa < check->config.shared.end;
}

void soft_race_acquire(struct soft_vcpu *vcpu, const struct soft_race_word *word, uint64_t gpa)
{
	struct soft_race *race = vcpu->vm->check->race;
	uint32_t *own = race->vcpus[vcpu->id].at;

	join(race, own, word ? clock_of(race, word) : race->forgotten.at);
	if (is_shared(vcpu->vm->check, gpa))
		join(race, own, race->host.at);
}

void soft_race_release(struct soft_vcpu *vcpu, struct soft_race_word *word, uint64_t gpa,
		       uint8_t bytes, bool joins)
{
	struct soft_race *race = vcpu->vm->check->race;
	uint32_t *own = race->vcpus[vcpu->id].at, *to = clock_of(race, word);

	/* Two locks in one word: what the other gave back stays. */
	if (joins || word->released != bytes)
		join(race, to, own);
	else
		memcpy(to, own, race->nr_vcpus * sizeof(*to));
	word->released |= bytes;
	if (is_shared(vcpu->vm->check, gpa))
		join(race, race->host.at, own);
	own[vcpu->id]++;
}

/* ---- messages ---- */

static struct soft_race *race_of(const struct soft_vcpu *vcpu)
{
	const struct soft_check *check = vcpu->vm->check;

	return check && check->race && check->race->nr_vcpus ? check->race : NULL;
}

void soft_race_send(struct soft_vcpu *to, bool now)
{
	struct soft_race *race = race_of(to);
	const struct soft_vcpu *from = to->vm->running;
	uint32_t *clock;

	if (!race)
		return;
	clock = now ? race->vcpus[to->id].at : race->incoming[to->id].at;
	join(race, clock, from ? race->vcpus[from->id].at : race->host.at);
	if (from)
		race->vcpus[from->id].at[from->id]++;
}

void soft_race_receive(struct soft_vcpu *vcpu)
{
	struct soft_race *race = race_of(vcpu);

	if (race)
		join(race, race->vcpus[vcpu->id].at, race->incoming[vcpu->id].at);
}

void soft_race_leave(struct soft_vcpu *vcpu)
{
	struct soft_race *race = race_of(vcpu);

	if (!race)
		return;
	join(race, race->host.at, race->vcpus[vcpu->id].at);
	race->vcpus[vcpu->id].at[vcpu->id]++;
}

void soft_race_enter(struct soft_vcpu *vcpu)
{
	struct soft_race *race;

	if (soft_checks(vcpu->vm, SOFT_CHECK_RACE) &&
	    vcpu->vm->check->race->nr_vcpus != vcpu->vm->nr_vcpus &&
	    !make_clocks(vcpu->vm->check->race, vcpu->vm))
		vcpu->vm->check->no_memory = true;
	race = race_of(vcpu);
	if (race)
		join(race, race->vcpus[vcpu->id].at, race->host.at);
}

/* ---- life ---- */

struct soft_race *soft_race_new(void)
{
	struct soft_race *race = calloc(1, sizeof(*race));

	if (!race)
		return NULL;
	race->words = calloc(PLACES, sizeof(*race->words));
	if (race->words)
		return race;
	soft_race_free(race);
	return NULL;
}

void soft_race_free(struct soft_race *race)
{
	if (!race)
		return;
	for (size_t i = 0; i < race->nr_kept; i++)
		free(race->kept[i]->race);
	if (race->clocks)
		munmap(race->clocks,
		       (size_t)SOFT_RACE_WORDS * race->nr_vcpus * sizeof(*race->clocks));
	free(race->words);
	free(race);
}
