/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The layout note's content: the one list of every size, offset and constant by which the host
 * finds its way in the core's structures. guest/note.c turns it into the image's ELF note while
 * it is compiled; tests turn it into the same text with snprintf().
 *
 * The host knows nothing else about these structures: a field it reads must be listed here, and
 * a field that is renamed breaks this file's build, not the host's reading.
 *
 * Where the machine itself is cannot be text before the image is linked, so its address is fixed:
 * the linker script must put `machine` at 0xLAYOUT_MACHINE_HEX.
 */
#ifndef GUEST_LAYOUT_H
#define GUEST_LAYOUT_H

#include "guest/abi.h"
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

/* SIZE(name)=: X(name) for struct name. */
#define LAYOUT_SIZES(X)    \
	X(mm)              \
	X(page_table)      \
	X(vmap_space)      \
	X(vmap_area)       \
	X(rb_node)         \
	X(rb_root)         \
	X(list_head)       \
	X(vm_struct)       \
	X(page)            \
	X(zone)            \
	X(node)            \
	X(page_pcp)        \
	X(fresh_span)      \
	X(mem_range)       \
	X(kmem_cache)      \
	X(kmem_cache_cpu)  \
	X(kmem_cache_node) \
	X(flush_ledger)    \
	X(flush_record)    \
	X(process_list)    \
	X(process)         \
	X(vm_area_struct)

/* OFFSET(name.field)=: X(name, field). */
#define LAYOUT_OFFSETS(X)              \
	X(mm, direct_base)             \
	X(mm, memmap)                  \
	X(mm, nr_cpus)                 \
	X(mm, nr_nodes)                \
	X(mm, total_pages)             \
	X(mm, pt)                      \
	X(mm, vmap)                    \
	X(mm, kmalloc)                 \
	X(mm, nr_ram)                  \
	X(mm, nr_reserved)             \
	X(mm, ram)                     \
	X(mm, reserved)                \
	X(mm, section_online)          \
	X(mm, node)                    \
	X(mm, flushes)                 \
	X(mm, processes)               \
	X(page_table, root_phys)       \
	X(page_table, nr_tables)       \
	X(vmap_space, purge_lock)      \
	X(vmap_space, lock)            \
	X(vmap_space, tiles)           \
	X(vmap_space, busy)            \
	X(vmap_space, free)            \
	X(vmap_space, lazy)            \
	X(vmap_space, nr_busy)         \
	X(vmap_space, nr_free)         \
	X(vmap_space, nr_lazy)         \
	X(vmap_space, nr_lazy_pages)   \
	X(vmap_space, lazy_max_pages)  \
	X(vmap_space, nr_purges)       \
	X(vmap_space, nr_flushes)      \
	X(vmap_space, mode)            \
	X(vmap_space, cache)           \
	X(vmap_area, va_start)         \
	X(vmap_area, va_end)           \
	X(vmap_area, node)             \
	X(vmap_area, tile)             \
	X(vmap_area, subtree_max)      \
	X(vmap_area, vm)               \
	X(vmap_area, next_lazy)        \
	X(vmap_area, state)            \
	X(vmap_area, kind)             \
	X(rb_node, parent_color)       \
	X(rb_node, left)               \
	X(rb_node, right)              \
	X(rb_root, node)               \
	X(list_head, next)             \
	X(list_head, prev)             \
	X(vm_struct, addr)             \
	X(vm_struct, size)             \
	X(vm_struct, flags)            \
	X(vm_struct, pages)            \
	X(vm_struct, nr_pages)         \
	X(vm_struct, phys_addr)        \
	X(vm_struct, caller)           \
	X(vm_struct, prot)             \
	X(vm_struct, area)             \
	X(vm_struct, gfp)              \
	X(vm_struct, array)            \
	X(vm_struct, inline_pages)     \
	X(page, state)                 \
	X(page, order)                 \
	X(page, zone)                  \
	X(page, node)                  \
	X(page, refcount)              \
	X(page, owner)                 \
	X(page, next)                  \
	X(page, list)                  \
	X(page, index)                 \
	X(page, freelist)              \
	X(page, in_use)                \
	X(page, objects)               \
	X(page, active)                \
	X(zone, lock)                  \
	X(zone, id)                    \
	X(zone, node)                  \
	X(zone, nr_spans)              \
	X(zone, managed_pages)         \
	X(zone, free_pages)            \
	X(zone, watermark_min)         \
	X(zone, pcp_high)              \
	X(zone, pcp_batch)             \
	X(zone, free)                  \
	X(zone, nr_free)               \
	X(zone, span)                  \
	X(zone, pcp)                   \
	X(node, id)                    \
	X(node, present)               \
	X(node, zone)                  \
	X(page_pcp, top)               \
	X(page_pcp, count)             \
	X(fresh_span, start_pfn)       \
	X(fresh_span, end_pfn)         \
	X(fresh_span, first_pfn)       \
	X(mem_range, start)            \
	X(mem_range, end)              \
	X(mem_range, node)             \
	X(mem_range, kind)             \
	X(kmem_cache, name)            \
	X(kmem_cache, object_bytes)    \
	X(kmem_cache, objects)         \
	X(kmem_cache, lock)            \
	X(kmem_cache, node)            \
	X(kmem_cache, cpu)             \
	X(kmem_cache_cpu, freelist)    \
	X(kmem_cache_cpu, slab)        \
	X(kmem_cache_node, partial)    \
	X(kmem_cache_node, nr_partial) \
	X(kmem_cache_node, nr_slabs)   \
	X(flush_ledger, nr)            \
	X(flush_ledger, record)        \
	X(flush_record, start)         \
	X(flush_record, end)           \
	X(process_list, lock)          \
	X(process_list, last_id)       \
	X(process_list, nr)            \
	X(process_list, head)          \
	X(process, pt)                 \
	X(process, vmas)               \
	X(process, link)               \
	X(process, nr_user_pages)      \
	X(process, id)                 \
	X(vm_area_struct, process)     \
	X(vm_area_struct, vm_start)    \
	X(vm_area_struct, vm_end)      \
	X(vm_area_struct, vm_flags)    \
	X(vm_area_struct, link)

/* NUMBER(name)=, as a signed 64-bit decimal: X(name). */
#define LAYOUT_NUMBERS(X)     \
	X(PAGE_SIZE)          \
	X(MAX_ORDER)          \
	X(MAX_CPUS)           \
	X(MAX_NODES)          \
	X(MAX_SPANS)          \
	X(MAX_RAM)            \
	X(MAX_RESERVED)       \
	X(SECTION_SHIFT)      \
	X(MAX_SECTIONS)       \
	X(NR_KMALLOC_CACHES)  \
	X(NR_ZONES)           \
	X(ZONE_DMA)           \
	X(ZONE_DMA32)         \
	X(ZONE_NORMAL)        \
	X(ZONE_DMA_END_PFN)   \
	X(ZONE_DMA32_END_PFN) \
	X(PAGE_FRESH)         \
	X(PAGE_BODY)          \
	X(PAGE_FREE)          \
	X(PAGE_PCP)           \
	X(PAGE_MEMMAP)        \
	X(PAGE_TABLE)         \
	X(PAGE_SLAB)          \
	X(PAGE_KMALLOC)       \
	X(PAGE_VMALLOC)       \
	X(PAGE_OTHER)         \
	X(PAGE_NR_STATES)     \
	X(RESERVED_IMAGE)     \
	X(RESERVED_TABLES)    \
	X(RESERVED_BOOT)      \
	X(VMAP_FIRST)         \
	X(VMAP_END)           \
	X(VMAP_AREA_FREE)     \
	X(VMAP_AREA_BUSY)     \
	X(VMAP_AREA_LAZY)     \
	X(VMAP_RESERVED)      \
	X(VMAP_FRAMES)        \
	X(VMAP_MAPPED)        \
	X(VMAP_ARRAY)         \
	X(VMAP_LAZY)          \
	X(VMAP_EAGER)         \
	X(VMAP_MANUAL)        \
	X(VM_IOREMAP)         \
	X(VM_ALLOC)           \
	X(VM_MAP)             \
	X(VM_USERMAP)         \
	X(VM_UNINITIALIZED)   \
	X(VM_NO_GUARD)        \
	X(VM_MAP_PUT_PAGES)   \
	X(VM_ALLOW_HUGE_VMAP) \
	X(VM_SPARSE)          \
	X(VM_VPAGES)          \
	X(VM_ARRAY_OUTSIDE)   \
	X(VM_ARRAY_INLINE)    \
	X(VM_ARRAY_KMALLOC)   \
	X(VM_ARRAY_VMALLOC)   \
	X(VM_ARRAY_DIRECTORY) \
	X(IOREMAP_MAX_ORDER)  \
	X(VM_READ)            \
	X(VM_WRITE)           \
	X(VM_EXEC)            \
	X(VM_PFNMAP)          \
	X(VM_DONTEXPAND)      \
	X(VM_MIXEDMAP)        \
	X(USER_START)         \
	X(USER_END)           \
	X(VMALLOC_START)      \
	X(VMALLOC_END)        \
	X(MODULES_VADDR)      \
	X(MODULES_END)        \
	X(NB_DIRECT_BASE)     \
	X(NB_MEMMAP_BASE)     \
	X(NB_IMAGE_BASE)      \
	X(__GFP_DMA)          \
	X(__GFP_DMA32)        \
	X(__GFP_THISNODE)     \
	X(NR_FLUSH_RECORDS)

#endif
