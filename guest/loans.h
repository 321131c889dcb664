/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's own frames and objects: what NB_OP_ALLOC_PAGES and NB_OP_KMALLOC gave, and which of
 * the frames areas show. The core trusts its callers to free what they own, once, and when nobody
 * shows it; the host is not trusted, so this is where it is remembered.
 *
 * A frame of the host's is PAGE_OTHER with host_owner() as its owner, and, while it is, page->index
 * counts the pages of areas that show it. A loan is the list of the frames an area shows, by the
 * area's address. Objects are remembered by their address.
 *
 * Everything here, and whatever changes what an area without frames of its own shows, happens
 * under machine.host.lock. It is outside all locks of the core, and taken with interrupts on: who
 * has it may flush the TLBs of those who wait for it. So it is never taken in an interrupt.
 */
#ifndef GUEST_LOANS_H
#define GUEST_LOANS_H

#include "guest/keyed.h"
#include "guest/machine.h"

struct loan {
	struct keyed keyed;  /* by the area's address */
	struct page **pages; /* a kmalloc of its own; NULL: that page is not shown any more */
	u64 nr_pages;
	u64 nr_shown; /* of them not NULL */
};

/* The owner of the host's frames. */
static inline void *host_owner(void)
{
	return &machine.host;
}

/*
 * The block of 2^@order frames from frame number @pfn on, if it is one the host was given and still
 * has, or NULL. The lock is held.
 */
struct page *host_page(u64 pfn, u32 order);

/*
 * A loan of the @nr frames whose numbers are at @pfns, each read once; it is no area's yet and
 * counts nothing. With @give no frame may be there twice, or be shown by an area. Returns 0;
 * -EINVAL (a frame that is not one single frame of the host's, @nr 0); -EBUSY (@give, and it is
 * shown); -ENOMEM. The lock is held.
 */
int loan_make(const u64 *pfns, u64 nr, bool give, struct loan **loan_out);

/* Forgets a loan that is no area's. */
void loan_drop(struct loan *loan);

/* The area at @addr shows the frames of @loan from now on. The lock is held. */
void loan_begin(struct loan *loan, u64 addr);

/* Pages of [addr, addr + bytes), of one area, are not shown any more. The lock is held. */
void loan_end_range(u64 addr, u64 bytes);

/* The area at @addr shows nothing any more. The lock is held. */
void loan_end(u64 addr);

#endif
