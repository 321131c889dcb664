/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The layout note's content: the list of guest/layout_list.h, and a little more. guest/note.c turns
 * it into the image's ELF note while it is compiled; tests turn it into the same text with
 * snprintf().
 *
 * The host knows nothing else about these structures: a field it reads must be listed there, and
 * a field that is renamed breaks the note's build, not the host's reading.
 *
 * Where the machine itself is cannot be text before the image is linked, so its address is fixed:
 * the linker script must put `machine` at 0xLAYOUT_MACHINE_HEX.
 */
#ifndef GUEST_LAYOUT_H
#define GUEST_LAYOUT_H

#include "guest/abi.h"
#include "guest/layout_list.h"
#include "mm/gfp.h"
#include "mm/mm.h"
#include "mm/vmalloc.h"

/* The address of struct machine, as the note spells it: hexadecimal digits alone. */
#define LAYOUT_MACHINE_HEX ffffffff80200000

#define LAYOUT_PASTE_(a, b)    a##b
#define LAYOUT_PASTE(a, b)     LAYOUT_PASTE_(a, b)
#define LAYOUT_STRING_(x)      #x
#define LAYOUT_STRING(x)       LAYOUT_STRING_(x)
#define LAYOUT_MACHINE_ADDRESS LAYOUT_PASTE(LAYOUT_PASTE(0x, LAYOUT_MACHINE_HEX), ull)

/* What the note has for people and other programs: X(struct, field), X(constant). */
#define LAYOUT_MORE_OFFSETS(X)        \
	X(vmap_space, lazy_max_pages) \
	X(vmap_space, nr_flushes)     \
	X(vmap_space, nr_purges)

#define LAYOUT_MORE_NUMBERS(X) \
	X(IOREMAP_MAX_ORDER)   \
	X(VMAP_LAZY)           \
	X(VMAP_MANUAL)         \
	X(VM_ARRAY_OUTSIDE)    \
	X(VM_UNINITIALIZED)

#endif
