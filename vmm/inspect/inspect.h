/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inspector: the guest's memory management as the host reads it, through the layout note and
 * the page tables only, in place, without the guest's help.
 *
 * Nothing read is trusted. Every address is translated before it is followed, every count is
 * bounded by what the host knows (the RAM it gave), every walk ends whatever the links say, each
 * field is read once. What makes no sense is a result like any other: the caller is told what was
 * found and where. A guest that runs meanwhile gives a mixture of two moments, never a crash.
 *
 * Where the bytes come from is behind struct inspect_source, so that a guest of this process, a
 * core file or another VMM's guest can be looked at by the same code.
 *
 * Not locked: one inspector belongs to one thread.
 */
#ifndef VMM_INSPECT_INSPECT_H
#define VMM_INSPECT_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/regs.h"
#include "ept/gpa_space.h"
#include "ept/paging.h"
#include "guest/abi.h"
#include "vmm/inspect/layout.h"

#define INSPECT_PAGE_BYTES 4096ull

/* cs ds es fs gs ss ldt tr gdt idt. */
#define INSPECT_SEGMENTS 10

struct inspect_segment {
	uint64_t base;
	uint32_t limit;
	uint16_t selector; /* 0 for gdt and idt */
	/* Bits 23:8 of a descriptor's upper half (SDM vol. 3A, figure 3-8), in their places. */
	uint32_t attributes;
};

/* A vCPU's registers. */
struct inspect_registers {
	uint64_t reg[NR_REGS];
	struct inspect_segment segment[INSPECT_SEGMENTS];
	uint64_t cr0, cr2, cr3, cr4, efer;
};

/*
 * A source of memory and registers, and what its owner knows about the guest without asking it.
 * Whatever can give these can be looked at, audited and dumped.
 */
struct inspect_source {
	void *context;
	/*
	 * The host's pointer to [gpa, gpa + bytes), which lies inside one page, 1 byte at least;
	 * NULL where there is no memory. It stays good while the inspector is used.
	 */
	const void *(*physical)(void *context, uint64_t gpa, uint64_t bytes);
	/*
	 * May be NULL. Addresses that the guest's page tables do not translate: a core under test
	 * on the host, whose structures are in the host's own memory. As physical(), but the
	 * range may cross pages; NULL means that the page tables are to be asked.
	 */
	const void *(*virtual)(void *context, uint64_t gva, uint64_t bytes);
	/*
	 * May be NULL: all RAM may have been touched. The first piece of memory at or above @gpa
	 * that may hold other than zeroes, [*start_out, *end_out), page aligned; false where there
	 * is none.
	 */
	bool (*touched)(void *context, uint64_t gpa, uint64_t *start_out, uint64_t *end_out);
	/*
	 * May be NULL: no registers. The registers of vCPU @cpu. Errors: -EBUSY (it runs),
	 * -ENOENT (there is none such), or the source's own.
	 */
	int (*registers)(void *context, unsigned int cpu, struct inspect_registers *registers_out);
	struct paging_mode paging;
	uint64_t mm; /* the address of struct mm; 0: where the layout says */
	/* Where RAM and the page array appear; 0: where the layout says. */
	uint64_t direct_base, memmap_base;
	uint32_t nr_cpus;
	uint32_t nr_ram, nr_reserved;
	struct nb_range ram[NB_MAX_RANGES];      /* ascending, disjoint, page aligned */
	struct nb_range reserved[NB_MAX_RANGES]; /* the same, inside ram */
};

/* Fills @source_out for a guest in @space, started as @info told it. @space must outlive it. */
void inspect_source_from_space(const struct gpa_space *space, const struct paging_mode *paging,
			       const struct nb_boot_info *info, struct inspect_source *source_out);

struct inspector;

/*
 * Errors: -EINVAL (a source whose ranges are not as above), -ENOMEM. @source and @layout are
 * copied. Reads nothing of the guest.
 */
int inspector_create(const struct inspect_source *source, const struct layout *layout,
		     struct inspector **inspector_out, struct error *error);
void inspector_destroy(struct inspector *inspector);

/* Forgets remembered translations: to be called whenever the guest has run. */
void inspect_refresh(struct inspector *inspector);

const struct layout *inspect_layout(const struct inspector *inspector);
const struct inspect_source *inspect_source_of(const struct inspector *inspector);

/* The address of struct mm. */
uint64_t inspect_mm(const struct inspector *inspector);

/* A reader for ept/paging: tables are memory where RAM is. */
struct paging_reader inspect_paging_reader(struct inspector *inspector);

/* ---- bytes at guest-virtual addresses ---- */

/*
 * Copies @bytes at @gva, across pages; false where a byte is not mapped or not memory, @buffer is
 * then undefined. The numbers: the same, false also where @gva is not aligned to their size.
 */
bool inspect_read(struct inspector *inspector, uint64_t gva, void *buffer, size_t bytes);
bool inspect_u64(struct inspector *inspector, uint64_t gva, uint64_t *value_out);
bool inspect_u32(struct inspector *inspector, uint64_t gva, uint32_t *value_out);
bool inspect_u16(struct inspector *inspector, uint64_t gva, uint16_t *value_out);
bool inspect_u8(struct inspector *inspector, uint64_t gva, uint8_t *value_out);

/* The node of a red-black tree at @node. */
struct inspect_node {
	uint64_t parent, left, right;
	bool red;
};
bool inspect_node(struct inspector *inspector, uint64_t node, struct inspect_node *node_out);

/* ---- frames ---- */

/* All RAM in frames, and the first frame number above all RAM. */
uint64_t inspect_ram_pages(const struct inspector *inspector);
uint64_t inspect_end_pfn(const struct inspector *inspector);

/* The RAM range, or the reserved range, that holds frame @pfn; NULL where there is none. */
const struct nb_range *inspect_ram_range(const struct inspector *inspector, uint64_t pfn);
const struct nb_range *inspect_reserved_range(const struct inspector *inspector, uint64_t pfn);

/* The zone (enum zone_id as the layout numbers it) that @pfn belongs to. */
uint32_t inspect_zone_of(const struct inspector *inspector, uint64_t pfn);

/*
 * The first piece of RAM at or above @gpa that may hold other than zeroes, inside one RAM range;
 * false where there is none. To pass over memory nobody touched, which reading would make real.
 */
bool inspect_touched(const struct inspector *inspector, uint64_t gpa, uint64_t *start_out,
		     uint64_t *end_out);

/* Registers of vCPU @cpu. Errors: -ENOENT (none such, or the source has none), the source's. */
int inspect_registers(const struct inspector *inspector, unsigned int cpu,
		      struct inspect_registers *registers_out);

/* The frame whose struct page is at @address; false where that is no struct page of RAM. */
bool inspect_page_pfn(const struct inspector *inspector, uint64_t address, uint64_t *pfn_out);

/* The address of a frame's struct page, and of the frame itself in the direct map. */
uint64_t inspect_page_address(const struct inspector *inspector, uint64_t pfn);
uint64_t inspect_frame_address(const struct inspector *inspector, uint64_t pfn);

/* A struct page. */
struct inspect_page {
	uint8_t state, order, zone, node;
	uint32_t refcount;
	uint64_t owner;
	uint64_t next;      /* PAGE_PCP */
	uint64_t list_next; /* PAGE_FREE, PAGE_SLAB */
	uint64_t list_prev;
	uint64_t index;
	uint64_t freelist; /* PAGE_SLAB */
	uint32_t in_use;
	uint16_t objects;
	uint16_t active;
};

/* The struct page of @pfn; false where it cannot be read (its section is not online). */
bool inspect_page(struct inspector *inspector, uint64_t pfn, struct inspect_page *page_out);

/* Whether the guest says that the section that holds @pfn has struct pages. */
bool inspect_section_online(struct inspector *inspector, uint64_t pfn);

/* Where in its structures an element of an array of structures is. */
uint64_t inspect_zone_address(const struct inspector *inspector, uint32_t node, uint32_t zone);
uint64_t inspect_pcp_address(const struct inspector *inspector, uint64_t zone, uint32_t cpu);
uint64_t inspect_kmalloc_address(const struct inspector *inspector, uint32_t index);
uint64_t inspect_vmap_cache_address(const struct inspector *inspector);

/* "DMA", "DMA32", "Normal", or "?". */
const char *inspect_zone_name(const struct layout *l, uint32_t zone);

/*
 * The part of RAM range @range (below the source's nr_ram) that is of @node and may be in zone
 * @zone, in frames. False where there is none, or no such zone.
 */
bool inspect_zone_ram(const struct inspector *inspector, uint32_t node, uint32_t zone,
		      uint32_t range, uint64_t *start_pfn_out, uint64_t *end_pfn_out);

/* What a zone has never handed out: the frames [start, end), below the end of RAM, may be none. */
struct inspect_span {
	uint64_t start, end;
	uint64_t first; /* where start was at boot, as the guest says */
};

#define INSPECT_SPANS_MAX 64 /* what a layout may have */

/* A zone's spans, as far as they can be read. Returns how many; none of a zone there is not. */
size_t inspect_zone_spans(struct inspector *inspector, uint32_t node, uint32_t zone,
			  struct inspect_span spans_out[INSPECT_SPANS_MAX]);

/* ---- the virtual address space ---- */

enum inspect_tile_state { INSPECT_FREE, INSPECT_BUSY, INSPECT_LAZY, INSPECT_UNKNOWN };

/* One tile of the space (struct vmap_area), with its bookkeeping where it is busy. */
struct inspect_area {
	uint64_t start, end; /* [start, end) */
	uint64_t tile;       /* the address of its struct vmap_area */
	uint64_t link;       /* vm, subtree_max or next_lazy, as the state has it */
	uint32_t raw_state;  /* as read */
	uint32_t kind;       /* as read: of a busy one, enum vmap_kind as the layout numbers it */
	uint32_t position;   /* in the list of tiles */
	enum inspect_tile_state state;
	/* Busy tiles: what the struct vm_struct at `link` says, where has_vm. */
	bool has_vm;    /* link is not 0 and could be read */
	uint32_t array; /* where its page array is: enum vm_array as the layout numbers it */
	uint32_t gfp;
	uint64_t vm_addr, vm_size, flags, pages, nr_pages, phys_addr, caller, prot, vm_area;
};

/*
 * All tiles, ascending by start; of those with the same start, in list order. What is broken says
 * why the list could not be followed to its end, NULL where it could, and where.
 */
struct inspect_areas {
	struct inspect_area *area;
	size_t count;
	const char *broken;
	uint64_t broken_at;
};

/*
 * Takes a snapshot. Errors: -ENOMEM; a list that cannot be followed is no error. Pair with
 * inspect_areas_free(), which leaves an empty snapshot.
 */
int inspect_areas(struct inspector *inspector, struct inspect_areas *areas_out);
void inspect_areas_free(struct inspect_areas *areas);

/* The tile of @areas that holds @address, or NULL. O(log n). */
const struct inspect_area *inspect_area_find(const struct inspect_areas *areas, uint64_t address);

/*
 * Reads the struct vm_struct at @area->link into @area, all of it or none; has_vm says which.
 * inspect_areas() has done so for busy tiles.
 */
void inspect_read_vm(struct inspector *inspector, struct inspect_area *area);

/*
 * The bytes of @area that frames may be mapped in: without the guard page, where it has one.
 */
uint64_t inspect_area_payload_bytes(const struct inspector *inspector,
				    const struct inspect_area *area);

/*
 * Entry @index (below nr_pages) of @area's page array, as it stands: the address of a struct
 * page. False where the array cannot be read there.
 */
bool inspect_area_page(struct inspector *inspector, const struct inspect_area *area, uint64_t index,
		       uint64_t *page_address_out);

/* ---- processes ---- */

/* A range of user addresses (struct vm_area_struct). */
struct inspect_vma {
	uint64_t address;    /* of the structure */
	uint64_t process;    /* the one it says it belongs to */
	uint64_t start, end; /* [start, end) */
	uint64_t flags;      /* VM_READ... */
};

struct inspect_process {
	uint64_t address; /* of the structure */
	uint64_t root;    /* the guest-physical address it says its PML4 has */
	uint64_t nr_tables, nr_user_pages;
	uint32_t id;
	size_t first_vma, nr_vmas; /* in inspect_processes.vma, in list order */
};

/*
 * All processes, in list order. What is broken says why some list could not be followed to its
 * end, NULL where all could, and where.
 */
struct inspect_processes {
	struct inspect_process *process;
	size_t count;
	struct inspect_vma *vma;
	size_t nr_vmas;
	const char *broken;
	uint64_t broken_at;
};

/* As inspect_areas(). */
int inspect_processes(struct inspector *inspector, struct inspect_processes *processes_out);
void inspect_processes_free(struct inspect_processes *processes);

/* The range of @process that holds @address, or NULL, if its list is in order. O(log n). */
const struct inspect_vma *inspect_vma_find(const struct inspect_processes *processes,
					   const struct inspect_process *process, uint64_t address);

#endif
