/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Circular doubly linked lists, the links inside the elements. An empty head points at itself.
 */
#ifndef MM_LIST_H
#define MM_LIST_H

#include "mm/types.h"

struct list_head {
	struct list_head *next, *prev;
};

static inline void list_init(struct list_head *head)
{
	head->next = head;
	head->prev = head;
}

static inline bool list_empty(const struct list_head *head)
{
	return head->next == head;
}

/* Links @entry right after @position, which may be a head (then @entry becomes the first). */
static inline void list_add(struct list_head *entry, struct list_head *position)
{
	entry->prev = position;
	entry->next = position->next;
	position->next->prev = entry;
	position->next = entry;
}

/* Links @entry right before @position, which may be a head (then @entry becomes the last). */
static inline void list_add_tail(struct list_head *entry, struct list_head *position)
{
	list_add(entry, position->prev);
}

/* Unlinks @entry; its own links keep their values and mean nothing. */
static inline void list_del(struct list_head *entry)
{
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
}

/* Moves all of @from to the empty head @to and leaves @from empty. */
static inline void list_move_all(struct list_head *from, struct list_head *to)
{
	if (list_empty(from)) {
		list_init(to);
		return;
	}
	*to = *from;
	to->next->prev = to;
	to->prev->next = to;
	list_init(from);
}

#define list_entry(pointer, type, member) container_of(pointer, type, member)

#define list_for_each_entry(entry, head, member)                           \
	for (entry = list_entry((head)->next, __typeof__(*entry), member); \
	     &entry->member != (head);                                     \
	     entry = list_entry(entry->member.next, __typeof__(*entry), member))

/* As above; the body may unlink or free @entry. */
#define list_for_each_entry_safe(entry, following, head, member)                    \
	for (entry = list_entry((head)->next, __typeof__(*entry), member),          \
	    following = list_entry(entry->member.next, __typeof__(*entry), member); \
	     &entry->member != (head); entry = following,                           \
	    following = list_entry(following->member.next, __typeof__(*entry), member))

#endif
