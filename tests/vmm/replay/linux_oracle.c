/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The oracle: a red-black tree with four cases spelled out each, and lists as plain arrays. */
#include "tests/vmm/replay/linux_oracle.h"

#include <stdlib.h>
#include <string.h>

typedef struct oracle_node node;

static bool is_red(const node *n)
{
	return n && n->red;
}

uint64_t oracle_longest(const node *n)
{
	uint64_t best, other;

	if (!n)
		return 0;
	best = n->end - n->start;
	other = oracle_longest(n->left);
	best = other > best ? other : best;
	other = oracle_longest(n->right);
	return other > best ? other : best;
}

/* The child of @x on the other side comes up over it. */
static void turn(struct oracle *o, node *x, bool left)
{
	node *y = left ? x->right : x->left, *middle = left ? y->left : y->right;

	if (!x->up)
		o->root = y;
	else if (x->up->left == x)
		x->up->left = y;
	else
		x->up->right = y;
	y->up = x->up;
	x->up = y;
	if (left) {
		x->right = middle;
		y->left = x;
	} else {
		x->left = middle;
		y->right = x;
	}
	if (middle)
		middle->up = x;
}

static void insert(struct oracle *o, uint64_t start, uint64_t end)
{
	node *n = calloc(1, sizeof(*n)), *at = o->root, *up, *grand, *uncle;

	*n = (node){.start = start, .end = end, .red = true};
	if (!at)
		o->root = n;
	while (at) {
		node **link = start < at->start ? &at->left : &at->right;

		n->up = at;
		if (!*link) {
			*link = n;
			break;
		}
		at = *link;
	}
	while (is_red(n->up)) {
		up = n->up;
		grand = up->up;
		uncle = grand->left == up ? grand->right : grand->left;
		if (is_red(uncle)) {
			up->red = uncle->red = false;
			grand->red = true;
			n = grand;
		} else if (grand->left == up && up->right == n) {
			turn(o, up, true);
			n = up;
		} else if (grand->right == up && up->left == n) {
			turn(o, up, false);
			n = up;
		} else {
			up->red = false;
			grand->red = true;
			turn(o, grand, grand->right == up);
		}
	}
	o->root->red = false;
}

/* @at, which may be NULL, below @up has one black node too few above its leaves. */
static void repay(struct oracle *o, node *at, node *up)
{
	while (at != o->root && !is_red(at)) {
		bool left = up->left == at;
		node *other = left ? up->right : up->left;

		if (is_red(other)) {
			other->red = false;
			up->red = true;
			turn(o, up, left);
			other = left ? up->right : up->left;
		}
		if (!is_red(other->left) && !is_red(other->right)) {
			other->red = true;
			at = up;
			up = up->up;
			continue;
		}
		if (!is_red(left ? other->right : other->left)) {
			(left ? other->left : other->right)->red = false;
			other->red = true;
			turn(o, other, !left);
			other = left ? up->right : up->left;
		}
		other->red = up->red;
		up->red = false;
		(left ? other->right : other->left)->red = false;
		turn(o, up, left);
		return;
	}
	if (at)
		at->red = false;
}

/* @to comes where @from is. */
static void replace(struct oracle *o, node *from, node *to)
{
	if (!from->up)
		o->root = to;
	else if (from->up->left == from)
		from->up->left = to;
	else
		from->up->right = to;
	if (to)
		to->up = from->up;
}

static void erase(struct oracle *o, node *n)
{
	node *next = n->right, *child, *up;
	bool lost_red;

	if (n->left && n->right) {
		while (next->left)
			next = next->left;
		lost_red = next->red;
		child = next->right;
		up = next->up == n ? next : next->up;
		if (next->up != n) {
			replace(o, next, child);
			next->right = n->right;
			next->right->up = next;
		}
		replace(o, n, next);
		next->left = n->left;
		next->left->up = next;
		next->red = n->red;
	} else {
		child = n->left ? n->left : n->right;
		up = n->up;
		lost_red = n->red;
		replace(o, n, child);
	}
	if (!lost_red)
		repay(o, child, up);
	free(n);
}

static uint64_t up_to(uint64_t value, uint64_t align)
{
	return value % align ? value + (align - value % align) : value;
}

static bool within(const node *n, uint64_t size, uint64_t align, uint64_t start)
{
	uint64_t from = n->start > start ? n->start : start, at = up_to(from, align);

	return at >= from && at < n->end && size <= n->end - at;
}

static node *search(const struct oracle *o, uint64_t size, uint64_t align, uint64_t start,
		    uint64_t length)
{
	node *n = o->root, *child;

	while (n) {
		if (oracle_longest(n->left) >= length && start < n->start) {
			n = n->left;
			continue;
		}
		if (within(n, size, align, start))
			return n;
		if (oracle_longest(n->right) >= length) {
			n = n->right;
			continue;
		}
		for (child = n, n = n->up; n; child = n, n = n->up) {
			if (within(n, size, align, start))
				return n;
			if (oracle_longest(n->right) >= length && start <= n->start)
				break;
		}
		if (n) {
			if (o->search)
				start = n->start + 1;
			n = n->right;
		}
	}
	(void)child;
	return NULL;
}

uint64_t oracle_alloc(struct oracle *o, uint64_t size, uint64_t align, uint64_t start, uint64_t end,
		      unsigned int pool)
{
	uint64_t length = size, at, below;
	struct oracle_range range;
	unsigned int i;
	node *n;

	for (i = 0; o->nodes > 1 && pool && start == o->pool_start && end == o->pool_end &&
		    i < o->pooled_count;
	     i++) {
		range = o->pooled[i];
		if (range.node != pool || range.end - range.start != size)
			continue;
		memmove(&o->pooled[i], &o->pooled[i + 1],
			(o->pooled_count - i - 1) * sizeof(range));
		if (range.start % align == 0) {
			o->pooled_count--;
			return range.start;
		}
		o->pooled[o->pooled_count - 1] = range;
		break;
	}
	if (o->search == 0 || (o->search == 2 && align > 4096 && end - start != size))
		length = size + align - 1 < size ? UINT64_MAX : size + align - 1;
	n = search(o, size, align, start, length);
	if (!n)
		return 0;
	at = up_to(n->start > start ? n->start : start, align);
	if (at >= end || end - at < size)
		return 0;
	below = n->start;
	if (n->start == at && n->end == at + size) {
		erase(o, n);
	} else if (n->end == at + size) {
		n->end = at;
	} else {
		n->start = at + size;
		if (below != at)
			insert(o, below, at);
	}
	return at;
}

static void give(struct oracle *o, const struct oracle_range *range)
{
	node *n = o->root, *before = NULL, *after = NULL;

	while (n) {
		if (range->end <= n->start) {
			after = n;
			n = n->left;
		} else {
			before = n;
			n = n->right;
		}
	}
	if (after && after->start == range->end)
		after->start = range->start;
	else
		after = NULL;
	if (before && before->end == range->start) {
		before->end = after ? after->end : range->end;
		if (after)
			erase(o, after);
	} else if (!after) {
		insert(o, range->start, range->end);
	}
}

static int by_start(const void *a, const void *b)
{
	const struct oracle_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void give_merged(struct oracle *o, struct oracle_range *ranges, unsigned int count)
{
	unsigned int i, j;

	qsort(ranges, count, sizeof(*ranges), by_start);
	for (i = 0; i < count; i = j) {
		struct oracle_range range = ranges[i];

		for (j = i + 1; j < count && ranges[j].start == range.end; j++)
			range.end = ranges[j].end;
		give(o, &range);
	}
}

void oracle_free(struct oracle *o, uint64_t start, uint64_t end, unsigned int pool)
{
	o->lazy[o->lazy_count++] = (struct oracle_range){start, end, o->nodes ? pool : 0};
}

void oracle_decay(struct oracle *o, bool full)
{
	static struct oracle_range out[ORACLE_RANGES];
	unsigned int pool, pages, length, count, take, i;

	for (pool = 1; pool <= o->nodes; pool++) {
		count = 0;
		for (pages = 1; pages <= 256; pages++) {
			length = 0;
			for (i = 0; i < o->pooled_count; i++)
				length += o->pooled[i].node == pool &&
					  (o->pooled[i].end - o->pooled[i].start) / 4096 == pages;
			take = full ? length : length / 4;
			if (length < 4 && o->small_empty)
				take = length;
			for (i = 0; i < o->pooled_count && take;) {
				if (o->pooled[i].node == pool &&
				    (o->pooled[i].end - o->pooled[i].start) / 4096 == pages) {
					out[count++] = o->pooled[i];
					memmove(&o->pooled[i], &o->pooled[i + 1],
						(--o->pooled_count - i) * sizeof(*out));
					take--;
				} else {
					i++;
				}
			}
		}
		give_merged(o, out, count);
	}
}

void oracle_purge(struct oracle *o, bool full)
{
	static struct oracle_range mine[ORACLE_RANGES];
	unsigned int pool, count, i;

	oracle_decay(o, full);
	for (pool = 1; pool <= o->nodes; pool++) {
		count = 0;
		for (i = 0; i < o->lazy_count; i++) {
			unsigned int list = o->lazy[i].node
						    ? o->lazy[i].node
						    : 1 + o->lazy[i].start / 65536 % o->nodes;

			if (list == pool)
				mine[count++] = o->lazy[i];
		}
		qsort(mine, count, sizeof(*mine), by_start);
		for (i = 0; i < count; i++) {
			if (!mine[i].node || full || o->nodes < 2 ||
			    (mine[i].end - mine[i].start) / 4096 > 256)
				continue;
			memmove(&o->pooled[1], &o->pooled[0], o->pooled_count++ * sizeof(*mine));
			o->pooled[0] = mine[i];
			mine[i].start = mine[i].end;
		}
		while (count-- > 0) {
			if (mine[count].start != mine[count].end)
				give(o, &mine[count]);
		}
	}
	if (!o->nodes && o->by_address) {
		give_merged(o, o->lazy, o->lazy_count);
	} else if (!o->nodes) {
		for (i = o->lazy_count; i > 0; i--)
			give(o, &o->lazy[i - 1]);
	}
	o->lazy_count = 0;
}

void oracle_init(struct oracle *o)
{
	o->root = NULL;
	o->lazy_count = o->pooled_count = 0;
	insert(o, 1, UINT64_MAX);
}

static void drop(node *n)
{
	if (!n)
		return;
	drop(n->left);
	drop(n->right);
	free(n);
}

void oracle_deinit(struct oracle *o)
{
	drop(o->root);
	o->root = NULL;
}
