/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Second-stage tables as a format of ept/radix.h. */
#ifndef EPT_STAGE2_PRIVATE_H
#define EPT_STAGE2_PRIVATE_H

#include "ept/radix.h"
#include "ept/stage2.h"

void stage2_format(const struct stage2_mode *mode, struct radix_format *format_out);

/* STAGE2_R.. from accumulated rights. */
unsigned int stage2_rights(const struct stage2_mode *mode, uint64_t accumulated);

/* The first address the tables cannot map. */
static inline uint64_t stage2_reach(const struct stage2_mode *mode)
{
	return 1ULL << radix_shift(mode->levels + 1);
}

#endif
