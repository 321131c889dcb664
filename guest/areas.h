/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls for areas without frames that more than one table of operations makes: with what the host
 * lent them (guest/loans.h), and with the machine's own ranges left alone.
 */
#ifndef GUEST_AREAS_H
#define GUEST_AREAS_H

#include "mm/vmalloc.h"

/*
 * get_vm_area_node() outside of the ranges the machine lives in: -ENOSPC where the lowest hole of
 * the window lies in one of them.
 */
s64 areas_get_vm_area(const struct vmalloc_request *request, u64 *addr_out);

/* free_vm_area(); frames the area showed are not shown any more. */
s64 areas_free_vm_area(u64 addr);

#endif
