/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * References to single frames. Count and state are one word, so that the owner's leaving and the
 * last user's are told apart by compare-and-exchange: whoever brings the count from 1 frees. Who
 * finds that it is the last acquires what the others released, so that its stores come after
 * theirs.
 */
#include "mm/buddy.h"

#define ONE_REFERENCE  (1ull << PAGE_WORD_REFCOUNT_SHIFT)
#define MAX_REFERENCES 0x7fffffffull
#define STATE_MASK     0xffull

static inline u64 references(u64 word)
{
	return word >> PAGE_WORD_REFCOUNT_SHIFT;
}

static inline u64 acquire_word(const struct page *page)
{
	return smp_load_acquire(&page->word);
}

static inline bool exchange_word(struct page *page, u64 *word, u64 new_word)
{
	return __atomic_compare_exchange_n(&page->word, word, new_word, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

bool page_get(struct page *page)
{
	u64 word = acquire_word(page);

	do {
		if (!page_is_shareable(word) || references(word) == 0 ||
		    references(word) >= MAX_REFERENCES)
			return false;
	} while (!exchange_word(page, &word, word + ONE_REFERENCE));
	return true;
}

void page_put(struct mm *mm, struct page *page)
{
	u64 word = acquire_word(page);

	do {
		if (!page_is_shareable(word) || references(word) <= 1) {
			free_pages(mm, page, 0);
			return;
		}
	} while (!exchange_word(page, &word, word - ONE_REFERENCE));
}

bool page_leave(struct page *page)
{
	u64 word = acquire_word(page);

	if (!page_is_shareable(word) || references(word) <= 1)
		return false;
	page->owner = NULL;
	do {
		if (references(word) <= 1)
			return false;
	} while (!exchange_word(page, &word, ((word & ~STATE_MASK) | PAGE_OTHER) - ONE_REFERENCE));
	return true;
}
