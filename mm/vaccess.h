/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading and writing the vmalloc range as /dev/kmem and /proc/kcore did: a byte stream over
 * areas and the holes between them.
 *
 * Every page is looked up and copied through the direct map with vmap_space.lock held, so an area
 * cannot be freed in the middle of a page; between two pages anything may happen, and what was an
 * area becomes a hole. From an interrupt both report it and return 0 (mm/interrupt.h).
 */
#ifndef MM_VACCESS_H
#define MM_VACCESS_H

#include "mm/types.h"

struct mm;

/*
 * Copies [addr, addr + count) into @buf, cut at the end of the address space. Bytes of holes,
 * guard pages, pages not mapped, frames that are not RAM, and VM_IOREMAP areas read as zero,
 * without being touched. Returns how many bytes of @buf were written: all, or, as Linux since
 * 2.6.32, 0 with @buf untouched when no area lies in the range, guard pages not counted.
 */
u64 vread(struct mm *mm, void *buf, u64 addr, u64 count);

/*
 * Copies @buf over [addr, addr + count), cut likewise. Bytes for what vread() does not touch, and
 * for pages that are not writable, or hold page arrays, are skipped. Returns how many bytes of @buf
 * were consumed, as vread(); *@stored_out, unless NULL, is how many reached memory.
 */
u64 vwrite(struct mm *mm, const void *buf, u64 addr, u64 count, u64 *stored_out);

#endif
