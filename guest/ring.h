/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The arithmetic of the rings in guest/abi.h: indexes run freely modulo 2^32, and a ring of n
 * entries, a power of two, holds head..tail, at most n of them.
 */
#ifndef GUEST_RING_H
#define GUEST_RING_H

#include "guest/abi.h"
#include "mm/types.h"

_Static_assert((NB_RING_ENTRIES & (NB_RING_ENTRIES - 1)) == 0, "slots are index modulo size");

/* The slot of @index. */
static inline u32 ring_slot(u32 index)
{
	return index & (NB_RING_ENTRIES - 1);
}

/* Entries from @head up to @tail; more than NB_RING_ENTRIES when one of the two is nonsense. */
static inline u32 ring_count(u32 head, u32 tail)
{
	return tail - head;
}

/* True when no ring can have these indexes. */
static inline bool ring_nonsense(u32 head, u32 tail)
{
	return ring_count(head, tail) > NB_RING_ENTRIES;
}

/* Slots free when @head..@tail is in use; none when one of the two is nonsense. */
static inline u32 ring_room(u32 head, u32 tail)
{
	return ring_nonsense(head, tail) ? 0 : NB_RING_ENTRIES - ring_count(head, tail);
}

/*
 * How many submissions can be served: those waiting in @sq_head..@sq_tail for which there is room
 * after the completions in @cq_head..@cq_tail. None when indexes are nonsense.
 */
static inline u32 ring_servable(u32 sq_head, u32 sq_tail, u32 cq_head, u32 cq_tail)
{
	u32 waiting = ring_count(sq_head, sq_tail);
	u32 room = ring_room(cq_head, cq_tail);

	if (ring_nonsense(sq_head, sq_tail))
		return 0;
	return waiting < room ? waiting : room;
}

#endif
