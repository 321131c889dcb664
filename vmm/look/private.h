/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What vmm/look_*.c share. */
#ifndef VMM_LOOK_PRIVATE_H
#define VMM_LOOK_PRIVATE_H

#include "vmm/look/look.h"

/* NR_ZONES is at most 5 (vmm/inspect/layout.h). */
#define LOOK_ZONES_MAX 5

/* "DMA", "DMA32", "Normal", or "?". */
const char *look_zone_name(const struct layout *l, uint32_t zone);

/* The frames [*start, *end) that zone number @zone may have; none where there is no such zone. */
void look_zone_bounds(const struct layout *l, uint32_t zone, uint64_t *start, uint64_t *end);

/* Fresh frames, [start, end), not empty, below the end of RAM. */
struct look_span {
	uint64_t start, end;
};

/* A zone's spans, as the guest has them; to be freed. -ENOMEM. */
int look_spans(struct inspector *inspector, uint32_t node, uint32_t zone,
	       struct look_span **span_out, size_t *count_out);

/* The struct vm_struct at @vm, as the area of a busy tile. False where it cannot be read. */
bool look_read_vm(struct inspector *inspector, uint64_t vm, struct inspect_area *area_out);

#endif
