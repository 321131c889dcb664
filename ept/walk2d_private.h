/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the walk of one address and that of many share. */
#ifndef EPT_WALK2D_PRIVATE_H
#define EPT_WALK2D_PRIVATE_H

#include "ept/walk2d.h"

/* PAGING_R.. granted by both stages, from PAGING_R.. and STAGE2_R... */
unsigned int walk2d_rights(unsigned int stage1, unsigned int stage2);

#endif
