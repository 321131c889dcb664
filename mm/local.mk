# SPDX-License-Identifier: GPL-2.0-or-later
# The core, built once for the guest and once for the host, where it looks at itself (MM_DEBUG).
noinst_LIBRARIES += %D%/libmm_guest.a %D%/libmm_host.a
MM_SOURCES = %D%/arch.h %D%/buddy.c %D%/buddy.h %D%/errno.h %D%/flush.c %D%/flush.h %D%/gfp.h \
	%D%/interrupt.c %D%/interrupt.h %D%/list.h %D%/log.c %D%/log.h %D%/mm.c %D%/mm.h %D%/once.h \
	%D%/page_alloc.c %D%/page_alloc.h %D%/page_check.c %D%/page_init.c %D%/page_ref.c \
	%D%/pcp.c %D%/pgtable.c %D%/pgtable.h %D%/pgtable_private.h %D%/pgtable_range.c \
	%D%/process.c %D%/process.h %D%/rbtree.c %D%/rbtree.h %D%/rbtree_impl.h %D%/section.c %D%/slab.c %D%/slab.h %D%/slab_check.c \
	%D%/spinlock.h %D%/string.h %D%/types.h %D%/vaccess.c %D%/vaccess.h %D%/vm_area.c \
	%D%/vm_area.h %D%/vm_array.c %D%/vm_array.h %D%/vmalloc.c %D%/vmalloc.h \
	%D%/vmalloc_kinds.c %D%/vmalloc_private.h %D%/vmap.c %D%/vmap.h %D%/vmap_check.c \
	%D%/vmap_drain.c %D%/vmap_linux.c %D%/vmap_linux.h \
	%D%/vmap_private.h %D%/vmap_purge.c %D%/vmap_tree.c %D%/x86.h

%C%_libmm_guest_a_SOURCES = $(MM_SOURCES) %D%/string.c
%C%_libmm_guest_a_CPPFLAGS = $(GUEST_CPPFLAGS)
%C%_libmm_guest_a_CFLAGS = $(GUEST_CFLAGS)
%C%_libmm_host_a_SOURCES = $(MM_SOURCES)
%C%_libmm_host_a_CPPFLAGS = $(AM_CPPFLAGS) -DMM_DEBUG
$(%C%_libmm_guest_a_OBJECTS): CFLAGS = $(GUEST_OPTIMIZE)
$(%C%_libmm_guest_a_OBJECTS): CPPFLAGS =
