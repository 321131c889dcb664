/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's paging as a format of ept/radix.h, for the walks of ept/ that build on it. */
#ifndef EPT_PAGING_PRIVATE_H
#define EPT_PAGING_PRIVATE_H

#include "ept/paging.h"
#include "ept/radix.h"

/* The masks of @mode, whose levels are 4 or 5. */
void paging_format(const struct paging_mode *mode, struct radix_format *format_out);

/* PAGING_R.. from accumulated rights. */
unsigned int paging_rights(uint64_t accumulated);

bool paging_canonical(const struct paging_mode *mode, gva_t gva);

#endif
