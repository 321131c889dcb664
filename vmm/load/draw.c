/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Numbers by distribution (vmm/load/draw.h). */
#include "vmm/load/draw.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the generator ---- */

static uint64_t rotate(uint64_t value, unsigned int bits)
{
	return value << bits | value >> (64 - bits);
}

/* The state is filled by splitmix64, as its authors say. */
void draw_seed(struct draw_random *random, uint64_t seed)
{
	for (size_t i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15ull;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
		z = (z ^ z >> 27) * 0x94d049bb133111ebull;
		random->state[i] = z ^ z >> 31;
	}
}

uint64_t draw_bits(struct draw_random *random)
{
	uint64_t *s = random->state, result = rotate(s[1] * 5, 7) * 9, shifted = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= shifted;
	s[3] = rotate(s[3], 45);
	return result;
}

/* What is above the last multiple of @below is thrown away. */
uint64_t draw_below(struct draw_random *random, uint64_t below)
{
	uint64_t rest = (UINT64_MAX % below + 1) % below, bits;

	do
		bits = draw_bits(random);
	while (bits > UINT64_MAX - rest);
	return bits % below;
}

/* From 0 to 1, without 0. */
static double draw_fraction(struct draw_random *random)
{
	return ((double)(draw_bits(random) >> 11) + 1) / 9007199254740992.0;
}

/* ---- distributions ---- */

static uint64_t within(double value, uint64_t low, uint64_t high)
{
	if (!(value > (double)low))
		return low;
	return value >= (double)high ? high : (uint64_t)llround(value);
}

static uint64_t draw_range(struct draw_random *random, uint64_t low, uint64_t high)
{
	return high - low == UINT64_MAX ? draw_bits(random)
					: low + draw_below(random, high - low + 1);
}

static uint64_t draw_entry(struct draw_random *random, const struct draw_entry *entry)
{
	return draw_range(random, entry->low, entry->high);
}

static const struct draw_entry *pick(const struct draw *draw, struct draw_random *random)
{
	uint64_t left = draw_below(random, draw->weight);
	size_t i;

	for (i = 0; left >= draw->entries[i].weight; i++)
		left -= draw->entries[i].weight;
	return &draw->entries[i];
}

/* A new deck, in order; it is shuffled as it is dealt (Fisher and Yates). */
static int make_deck(struct draw *draw)
{
	uint64_t at = 0;

	draw->deck = malloc(draw->weight * sizeof(*draw->deck));
	if (!draw->deck)
		return -ENOMEM;
	for (size_t i = 0; i < draw->nr_entries; i++)
		for (uint32_t j = 0; j < draw->entries[i].weight; j++)
			draw->deck[at++] = (uint32_t)i;
	draw->dealt = 0;
	return 0;
}

static int deal(struct draw *draw, struct draw_random *random, const struct draw_entry **entry_out)
{
	uint64_t other;
	uint32_t card;

	if (!draw->deck && make_deck(draw))
		return -ENOMEM;
	if (draw->dealt == draw->weight)
		draw->dealt = 0;
	if (draw->kind == DRAW_SEQUENCE) {
		*entry_out = &draw->entries[draw->deck[draw->dealt++]];
		return 0;
	}
	other = draw->dealt + draw_below(random, draw->weight - draw->dealt);
	card = draw->deck[other];
	draw->deck[other] = draw->deck[draw->dealt];
	draw->deck[draw->dealt++] = card;
	*entry_out = &draw->entries[card];
	return 0;
}

int draw_next(struct draw *draw, struct draw_random *random, uint64_t *value_out)
{
	const struct draw_entry *entry;
	int err = 0;

	switch (draw->kind) {
	case DRAW_FIXED:
		*value_out = draw->low;
		break;
	case DRAW_UNIFORM:
		*value_out = draw_range(random, draw->low, draw->high);
		break;
	case DRAW_EXPONENTIAL:
		*value_out =
			within(-draw->mean * log(draw_fraction(random)), draw->low, draw->high);
		break;
	case DRAW_PARETO:
		*value_out = within((double)draw->low * pow(draw_fraction(random), -1 / draw->mean),
				    draw->low, draw->high);
		break;
	case DRAW_TABLE:
		*value_out = draw_entry(random, pick(draw, random));
		break;
	case DRAW_DECK:
	case DRAW_SEQUENCE:
		err = deal(draw, random, &entry);
		if (!err)
			*value_out = draw_entry(random, entry);
		break;
	}
	return err;
}

void draw_restart(struct draw *draw)
{
	free(draw->deck);
	draw->deck = NULL;
	draw->dealt = 0;
}

void draw_free(struct draw *draw)
{
	free(draw->entries);
	free(draw->deck);
	memset(draw, 0, sizeof(*draw));
}
