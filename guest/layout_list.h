/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one list of every size, offset and constant by which the host finds its way in the core's
 * structures: the guest makes its layout note of it (guest/layout.h), the host reads the note by it
 * (vmm/inspect/layout.h). A format, as guest/abi.h: it includes nothing.
 */
#ifndef GUEST_LAYOUT_LIST_H
#define GUEST_LAYOUT_LIST_H

/*
 * The fields the host reads: F(struct, field, alignment, width), both in bytes. A width may come
 * from other parts of the layout, `l`; the guest, which knows its structures, looks at neither.
 */
#define LAYOUT_FIELDS_MM(F)                                           \
	F(mm, direct_base, 8, 8)                                      \
	F(mm, memmap, 8, 8)                                           \
	F(mm, nr_cpus, 4, 4)                                          \
	F(mm, nr_nodes, 4, 4)                                         \
	F(mm, total_pages, 8, 8)                                      \
	F(mm, pt, 8, l->page_table.bytes)                             \
	F(mm, vmap, 8, l->vmap_space.bytes)                           \
	F(mm, kmalloc, 8, l->kmem_cache.bytes * l->nr_kmalloc_caches) \
	F(mm, nr_ram, 4, 4)                                           \
	F(mm, nr_reserved, 4, 4)                                      \
	F(mm, ram, 8, l->mem_range.bytes * l->max_ram)                \
	F(mm, reserved, 8, l->mem_range.bytes * l->max_reserved)      \
	F(mm, section_online, 1, l->max_sections)                     \
	F(mm, node, 8, l->node.bytes * l->max_nodes)                  \
	F(mm, flushes, 8, l->flush_ledger.bytes)                      \
	F(mm, processes, 8, l->process_list.bytes)

#define LAYOUT_FIELDS_PAGE_TABLE(F)    \
	F(page_table, root_phys, 8, 8) \
	F(page_table, nr_tables, 8, 8)

#define LAYOUT_FIELDS_VMAP_SPACE(F)                 \
	F(vmap_space, purge_lock, 4, 4)             \
	F(vmap_space, lock, 4, 4)                   \
	F(vmap_space, tiles, 8, l->list_head.bytes) \
	F(vmap_space, busy, 8, l->rb_root.bytes)    \
	F(vmap_space, free, 8, l->rb_root.bytes)    \
	F(vmap_space, lazy, 8, 8)                   \
	F(vmap_space, nr_busy, 8, 8)                \
	F(vmap_space, nr_free, 8, 8)                \
	F(vmap_space, nr_lazy, 8, 8)                \
	F(vmap_space, nr_lazy_pages, 8, 8)          \
	F(vmap_space, mode, 4, 4)                   \
	F(vmap_space, cache, 8, l->kmem_cache.bytes)

#define LAYOUT_FIELDS_VMAP_AREA(F)                \
	F(vmap_area, va_start, 8, 8)              \
	F(vmap_area, va_end, 8, 8)                \
	F(vmap_area, node, 8, l->rb_node.bytes)   \
	F(vmap_area, tile, 8, l->list_head.bytes) \
	F(vmap_area, subtree_max, 8, 8)           \
	F(vmap_area, vm, 8, 8)                    \
	F(vmap_area, next_lazy, 8, 8)             \
	F(vmap_area, state, 4, 4)                 \
	F(vmap_area, kind, 4, 4)

#define LAYOUT_FIELDS_RB_NODE(F)       \
	F(rb_node, parent_color, 8, 8) \
	F(rb_node, left, 8, 8)         \
	F(rb_node, right, 8, 8)

#define LAYOUT_FIELDS_RB_ROOT(F) F(rb_root, node, 8, 8)

#define LAYOUT_FIELDS_LIST_HEAD(F) \
	F(list_head, next, 8, 8)   \
	F(list_head, prev, 8, 8)

#define LAYOUT_FIELDS_VM_STRUCT_FIXED(F) \
	F(vm_struct, addr, 8, 8)         \
	F(vm_struct, size, 8, 8)         \
	F(vm_struct, flags, 8, 8)        \
	F(vm_struct, pages, 8, 8)        \
	F(vm_struct, nr_pages, 8, 8)     \
	F(vm_struct, phys_addr, 8, 8)    \
	F(vm_struct, caller, 8, 8)       \
	F(vm_struct, prot, 8, 8)         \
	F(vm_struct, area, 8, 8)         \
	F(vm_struct, gfp, 4, 4)          \
	F(vm_struct, array, 4, 4)

#define LAYOUT_FIELDS_VM_STRUCT(F)       \
	LAYOUT_FIELDS_VM_STRUCT_FIXED(F) \
	F(vm_struct, inline_pages, 8, 0)

#define LAYOUT_FIELDS_PAGE(F)                \
	F(page, state, 1, 1)                 \
	F(page, order, 1, 1)                 \
	F(page, zone, 1, 1)                  \
	F(page, node, 1, 1)                  \
	F(page, refcount, 4, 4)              \
	F(page, owner, 8, 8)                 \
	F(page, next, 8, 8)                  \
	F(page, list, 8, l->list_head.bytes) \
	F(page, index, 8, 8)                 \
	F(page, freelist, 8, 8)              \
	F(page, in_use, 4, 4)                \
	F(page, objects, 2, 2)               \
	F(page, active, 2, 2)

#define LAYOUT_FIELDS_ZONE(F)                                    \
	F(zone, lock, 4, 4)                                      \
	F(zone, id, 1, 1)                                        \
	F(zone, node, 1, 1)                                      \
	F(zone, nr_spans, 1, 1)                                  \
	F(zone, managed_pages, 8, 8)                             \
	F(zone, free_pages, 8, 8)                                \
	F(zone, watermark_min, 8, 8)                             \
	F(zone, pcp_high, 4, 4)                                  \
	F(zone, pcp_batch, 4, 4)                                 \
	F(zone, free, 8, l->list_head.bytes *(l->max_order + 1)) \
	F(zone, nr_free, 8, 8 * (l->max_order + 1))              \
	F(zone, span, 8, l->fresh_span.bytes * l->max_spans)     \
	F(zone, pcp, 8, l->page_pcp.bytes * l->max_cpus)

#define LAYOUT_FIELDS_NODE(F)  \
	F(node, id, 1, 1)      \
	F(node, present, 1, 1) \
	F(node, zone, 8, l->zone.bytes * l->nr_zones)

#define LAYOUT_FIELDS_PAGE_PCP(F) \
	F(page_pcp, top, 8, 8)    \
	F(page_pcp, count, 4, 4)

#define LAYOUT_FIELDS_FRESH_SPAN(F)    \
	F(fresh_span, start_pfn, 8, 8) \
	F(fresh_span, end_pfn, 8, 8)   \
	F(fresh_span, first_pfn, 8, 8)

#define LAYOUT_FIELDS_MEM_RANGE(F) \
	F(mem_range, start, 8, 8)  \
	F(mem_range, end, 8, 8)    \
	F(mem_range, node, 4, 4)   \
	F(mem_range, kind, 4, 4)

#define LAYOUT_FIELDS_KMEM_CACHE(F)                                     \
	F(kmem_cache, name, 8, 8)                                       \
	F(kmem_cache, object_bytes, 4, 4)                               \
	F(kmem_cache, objects, 4, 4)                                    \
	F(kmem_cache, lock, 4, 4)                                       \
	F(kmem_cache, node, 8, l->kmem_cache_node.bytes * l->max_nodes) \
	F(kmem_cache, cpu, 8, l->kmem_cache_cpu.bytes * l->max_cpus)

#define LAYOUT_FIELDS_KMEM_CACHE_CPU(F)   \
	F(kmem_cache_cpu, freelist, 8, 8) \
	F(kmem_cache_cpu, slab, 8, 8)

#define LAYOUT_FIELDS_KMEM_CACHE_NODE(F)                   \
	F(kmem_cache_node, partial, 8, l->list_head.bytes) \
	F(kmem_cache_node, nr_partial, 8, 8)               \
	F(kmem_cache_node, nr_slabs, 8, 8)

#define LAYOUT_FIELDS_FLUSH_LEDGER(F) \
	F(flush_ledger, nr, 8, 8)     \
	F(flush_ledger, record, 8, l->flush_record.bytes * l->nr_flush_records)

#define LAYOUT_FIELDS_FLUSH_RECORD(F) \
	F(flush_record, start, 8, 8)  \
	F(flush_record, end, 8, 8)

#define LAYOUT_FIELDS_PROCESS_LIST(F)  \
	F(process_list, lock, 4, 4)    \
	F(process_list, last_id, 4, 4) \
	F(process_list, nr, 8, 8)      \
	F(process_list, head, 8, l->list_head.bytes)

#define LAYOUT_FIELDS_PROCESS(F)                \
	F(process, pt, 8, l->page_table.bytes)  \
	F(process, vmas, 8, l->list_head.bytes) \
	F(process, link, 8, l->list_head.bytes) \
	F(process, nr_user_pages, 8, 8)         \
	F(process, id, 4, 4)

#define LAYOUT_FIELDS_VM_AREA_STRUCT(F)   \
	F(vm_area_struct, process, 8, 8)  \
	F(vm_area_struct, vm_start, 8, 8) \
	F(vm_area_struct, vm_end, 8, 8)   \
	F(vm_area_struct, vm_flags, 8, 8) \
	F(vm_area_struct, link, 8, l->list_head.bytes)

/* S(struct, its fields). */
#define LAYOUT_STRUCTS(S)                                 \
	S(mm, LAYOUT_FIELDS_MM)                           \
	S(page_table, LAYOUT_FIELDS_PAGE_TABLE)           \
	S(vmap_space, LAYOUT_FIELDS_VMAP_SPACE)           \
	S(vmap_area, LAYOUT_FIELDS_VMAP_AREA)             \
	S(rb_node, LAYOUT_FIELDS_RB_NODE)                 \
	S(rb_root, LAYOUT_FIELDS_RB_ROOT)                 \
	S(list_head, LAYOUT_FIELDS_LIST_HEAD)             \
	S(vm_struct, LAYOUT_FIELDS_VM_STRUCT)             \
	S(page, LAYOUT_FIELDS_PAGE)                       \
	S(zone, LAYOUT_FIELDS_ZONE)                       \
	S(node, LAYOUT_FIELDS_NODE)                       \
	S(page_pcp, LAYOUT_FIELDS_PAGE_PCP)               \
	S(fresh_span, LAYOUT_FIELDS_FRESH_SPAN)           \
	S(mem_range, LAYOUT_FIELDS_MEM_RANGE)             \
	S(kmem_cache, LAYOUT_FIELDS_KMEM_CACHE)           \
	S(kmem_cache_cpu, LAYOUT_FIELDS_KMEM_CACHE_CPU)   \
	S(kmem_cache_node, LAYOUT_FIELDS_KMEM_CACHE_NODE) \
	S(flush_ledger, LAYOUT_FIELDS_FLUSH_LEDGER)       \
	S(flush_record, LAYOUT_FIELDS_FLUSH_RECORD)       \
	S(process_list, LAYOUT_FIELDS_PROCESS_LIST)       \
	S(process, LAYOUT_FIELDS_PROCESS)                 \
	S(vm_area_struct, LAYOUT_FIELDS_VM_AREA_STRUCT)

/*
 * N(member, key, least, greatest): the host's name of a number and the guest's constant, and the
 * values for which the inspector's arithmetic is safe.
 */
#define LAYOUT_NUMBERS(N)                                        \
	N(page_size, PAGE_SIZE, 4096, 4096)                      \
	N(max_order, MAX_ORDER, 0, 18)                           \
	N(max_cpus, MAX_CPUS, 1, 256)                            \
	N(max_nodes, MAX_NODES, 1, 16)                           \
	N(max_spans, MAX_SPANS, 1, 64)                           \
	N(max_ram, MAX_RAM, 1, 64)                               \
	N(max_reserved, MAX_RESERVED, 1, 64)                     \
	N(section_shift, SECTION_SHIFT, 22, 36)                  \
	N(max_sections, MAX_SECTIONS, 1, 1 << 19)                \
	N(nr_kmalloc_caches, NR_KMALLOC_CACHES, 1, 64)           \
	N(nr_zones, NR_ZONES, 3, 5)                              \
	N(zone_dma, ZONE_DMA, 0, 7)                              \
	N(zone_dma32, ZONE_DMA32, 0, 7)                          \
	N(zone_normal, ZONE_NORMAL, 0, 7)                        \
	N(zone_dma_end_pfn, ZONE_DMA_END_PFN, 1, 1ull << 40)     \
	N(zone_dma32_end_pfn, ZONE_DMA32_END_PFN, 1, 1ull << 40) \
	N(page_fresh, PAGE_FRESH, 0, 0)                          \
	N(page_body, PAGE_BODY, 1, 31)                           \
	N(page_free, PAGE_FREE, 1, 31)                           \
	N(page_pcp_state, PAGE_PCP, 1, 31)                       \
	N(page_memmap, PAGE_MEMMAP, 1, 31)                       \
	N(page_table_state, PAGE_TABLE, 1, 31)                   \
	N(page_slab, PAGE_SLAB, 1, 31)                           \
	N(page_kmalloc, PAGE_KMALLOC, 1, 31)                     \
	N(page_vmalloc, PAGE_VMALLOC, 1, 31)                     \
	N(page_other, PAGE_OTHER, 1, 31)                         \
	N(page_nr_states, PAGE_NR_STATES, 1, 32)                 \
	N(reserved_image, RESERVED_IMAGE, 1, 255)                \
	N(reserved_tables, RESERVED_TABLES, 1, 255)              \
	N(reserved_boot, RESERVED_BOOT, 1, 255)                  \
	N(vmap_first, VMAP_FIRST, 0, UINT64_MAX)                 \
	N(vmap_end, VMAP_END, 0, UINT64_MAX)                     \
	N(vmap_area_free, VMAP_AREA_FREE, 0, 255)                \
	N(vmap_area_busy, VMAP_AREA_BUSY, 0, 255)                \
	N(vmap_area_lazy, VMAP_AREA_LAZY, 0, 255)                \
	N(vmap_reserved, VMAP_RESERVED, 0, 255)                  \
	N(vmap_frames, VMAP_FRAMES, 0, 255)                      \
	N(vmap_mapped, VMAP_MAPPED, 0, 255)                      \
	N(vmap_array, VMAP_ARRAY, 0, 255)                        \
	N(vm_ioremap, VM_IOREMAP, 1, UINT64_MAX)                 \
	N(vm_alloc, VM_ALLOC, 1, UINT64_MAX)                     \
	N(vm_map, VM_MAP, 1, UINT64_MAX)                         \
	N(vm_usermap, VM_USERMAP, 1, UINT64_MAX)                 \
	N(vm_no_guard, VM_NO_GUARD, 1, UINT64_MAX)               \
	N(vm_map_put_pages, VM_MAP_PUT_PAGES, 1, UINT64_MAX)     \
	N(vm_allow_huge_vmap, VM_ALLOW_HUGE_VMAP, 1, UINT64_MAX) \
	N(vm_sparse, VM_SPARSE, 1, UINT64_MAX)                   \
	N(vm_vpages, VM_VPAGES, 1, UINT64_MAX)                   \
	N(vm_array_inline, VM_ARRAY_INLINE, 0, 255)              \
	N(vm_array_kmalloc, VM_ARRAY_KMALLOC, 0, 255)            \
	N(vm_array_vmalloc, VM_ARRAY_VMALLOC, 0, 255)            \
	N(vm_array_directory, VM_ARRAY_DIRECTORY, 0, 255)        \
	N(vm_read, VM_READ, 1, UINT32_MAX)                       \
	N(vm_write, VM_WRITE, 1, UINT32_MAX)                     \
	N(vm_exec, VM_EXEC, 1, UINT32_MAX)                       \
	N(vm_pfnmap, VM_PFNMAP, 1, UINT32_MAX)                   \
	N(vm_dontexpand, VM_DONTEXPAND, 1, UINT32_MAX)           \
	N(vm_mixedmap, VM_MIXEDMAP, 1, UINT32_MAX)               \
	N(user_start, USER_START, 0, 1ull << 47)                 \
	N(user_end, USER_END, 0, 1ull << 47)                     \
	N(vmalloc_start, VMALLOC_START, 0, UINT64_MAX)           \
	N(vmalloc_end, VMALLOC_END, 0, UINT64_MAX)               \
	N(modules_vaddr, MODULES_VADDR, 0, UINT64_MAX)           \
	N(modules_end, MODULES_END, 0, UINT64_MAX)               \
	N(direct_base, NB_DIRECT_BASE, 0, UINT64_MAX)            \
	N(memmap_base, NB_MEMMAP_BASE, 0, UINT64_MAX)            \
	N(image_base, NB_IMAGE_BASE, 0, UINT64_MAX)              \
	N(vmap_eager, VMAP_EAGER, 0, 255)                        \
	N(nr_flush_records, NR_FLUSH_RECORDS, 1, 4096)           \
	N(gfp_dma, __GFP_DMA, 1, UINT32_MAX)                     \
	N(gfp_dma32, __GFP_DMA32, 1, UINT32_MAX)                 \
	N(gfp_thisnode, __GFP_THISNODE, 1, UINT32_MAX)

#endif
