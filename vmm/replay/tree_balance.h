/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The red-black part of the free tree (vmm/replay/tree.h); for the files of the tree alone. */
#ifndef VMM_REPLAY_TREE_BALANCE_H
#define VMM_REPLAY_TREE_BALANCE_H

#include "vmm/replay/tree.h"

/* Puts a hole that is in no tree where its address belongs, and rebalances. */
void tree_link(struct tree *tree, uint32_t node);

/* Takes a hole out, and rebalances. Its own fields are left as they are. */
void tree_unlink(struct tree *tree, uint32_t node);

/* Brings the summaries up to date from @node to the root. */
void tree_propagate(struct tree *tree, uint32_t node);

/* Computes the summary of @node from its own length and its children's. */
void tree_summarise(struct tree *tree, uint32_t node);

#endif
