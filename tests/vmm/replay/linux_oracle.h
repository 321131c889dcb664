/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linux's free tree, purges and pools once more, for tests: written from their description alone,
 * in another way than the core's (mm/) and the plan's (vmm/replay/tree.h), and slow where that is
 * simpler. Summaries are computed anew from the leaves whenever one is asked for.
 */
#ifndef TESTS_LINUX_ORACLE_H
#define TESTS_LINUX_ORACLE_H

#include <stdbool.h>
#include <stdint.h>

struct oracle_node {
	uint64_t start, end;
	bool red;
	struct oracle_node *left, *right, *up;
};

struct oracle_range {
	uint64_t start, end;
	unsigned int node; /* 1 + */
};

#define ORACLE_RANGES 4096

struct oracle {
	unsigned int search; /* 0: 5.2, 1: 5.16, 2: 5.18 */
	bool by_address, small_empty;
	unsigned int nodes;
	uint64_t pool_start, pool_end;
	struct oracle_node *root;
	struct oracle_range lazy[ORACLE_RANGES], pooled[ORACLE_RANGES];
	unsigned int lazy_count, pooled_count;
};

void oracle_init(struct oracle *oracle);
void oracle_deinit(struct oracle *oracle);

/* The address, which is taken, or 0. */
uint64_t oracle_alloc(struct oracle *oracle, uint64_t size, uint64_t align, uint64_t start,
		      uint64_t end, unsigned int node);
void oracle_free(struct oracle *oracle, uint64_t start, uint64_t end, unsigned int node);
void oracle_decay(struct oracle *oracle, bool full);
void oracle_purge(struct oracle *oracle, bool full);

/* The longest hole at or below @node. */
uint64_t oracle_longest(const struct oracle_node *node);

#endif
