/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What demand.c (serving) and demand_lease.c (handing over) share. */
#ifndef EPT_DEMAND_PRIVATE_H
#define EPT_DEMAND_PRIVATE_H

#include "ept/demand.h"

#define DEMAND_MAPPINGS_MAX 2

/* Where a region's memory is missing, in the process that has it. */
struct demand_memory {
	uint64_t bytes;
	uint32_t nr_mappings; /* of the same memory; pages are brought through the first */
	uint32_t pad;
	uint64_t at[DEMAND_MAPPINGS_MAX];
};

/* Opens a userfaultfd over @region's memory. Errors: demand_start()'s. */
int demand_register(const struct gpa_region *region, struct demand_memory *memory_out,
		    int *uffd_out, struct error *error);
void demand_unregister(const struct demand_memory *memory, int uffd);

/* Serves @memory through @uffd, which it takes over. @local: it is this process's. */
int demand_serve(const struct demand_memory *memory, int uffd, bool local, uint32_t batch_bytes,
		 const struct demand_source *source, struct demand **demand_out,
		 struct error *error);

#endif
