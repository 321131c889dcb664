/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The oracle for placement: one sorted list of what is taken, walked from the start for every
 * request, as the seed of 2007 did, with today's rule for alignments above a page. It is as slow
 * and as plain as can be, and computes in 128 bits, so that nothing wraps.
 */
#ifndef TESTS_MM_VMAP_MODEL_H
#define TESTS_MM_VMAP_MODEL_H

#include "mm/vmap.h"

struct model_range {
	u64 start, end; /* [start, end) */
	bool lazy;
};

struct vmap_model {
	u32 nr, capacity;
	struct model_range *range; /* ascending, disjoint */
};

void model_init(struct vmap_model *model);
void model_deinit(struct vmap_model *model);

/*
 * Where @request goes by Linux's rule alone, or with the exact search after it. Returns false
 * where it goes nowhere. The model does not change.
 */
bool model_place(const struct vmap_model *model, const struct vmap_request *request, u64 *addr_out);
bool model_place_exact(const struct vmap_model *model, const struct vmap_request *request,
		       u64 *addr_out);

void model_take(struct vmap_model *model, u64 start, u64 size);
void model_make_lazy(struct vmap_model *model, u64 start);
void model_remove(struct vmap_model *model, u64 start);
void model_purge(struct vmap_model *model);
u64 model_lazy_pages(const struct vmap_model *model);

/* The busy and lazy tiles of @space are exactly the model's ranges. */
bool model_same(const struct vmap_model *model, const struct vmap_space *space);

#endif
