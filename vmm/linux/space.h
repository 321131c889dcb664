/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a Linux's vmalloc: every vmap_area in whichever list it is, with the lists' locks
 * as they were just before.
 *
 * Kernels up to 6.8 have one busy list, one of lazily freed areas, and the free list. From 6.9 on
 * busy and lazy are per node, and each node has pools of areas of 1 to 256 pages and a list that
 * a purge under way is working on. Which it is, is told by symbols.
 */
#ifndef VMM_LINUX_SPACE_H
#define VMM_LINUX_SPACE_H

#include <stdio.h>

#include "vmm/linux/linux.h"

enum linux_list_kind {
	LINUX_BUSY,
	LINUX_LAZY,
	LINUX_PURGE,
	LINUX_POOL,
	LINUX_FREE,
	LINUX_NR_LISTS
};

/* "busy", "lazy", "purge", "pool", "free". */
const char *linux_list_name(enum linux_list_kind kind);

/* struct vm_struct, as far as it is needed. */
struct linux_vm {
	uint64_t address, size, flags, pages, phys_addr, caller;
	uint32_t nr_pages, page_order;
};

#define LINUX_VM_IOREMAP       0x01u
#define LINUX_VM_ALLOC         0x02u
#define LINUX_VM_MAP           0x04u
#define LINUX_VM_USERMAP       0x08u
#define LINUX_VM_DMA_COHERENT  0x10u
#define LINUX_VM_UNINITIALIZED 0x20u
#define LINUX_VM_NO_GUARD      0x40u
#define LINUX_VM_ALLOW_HUGE    0x400u
#define LINUX_VM_SPARSE        0x1000u

#define LINUX_VMAP_RAM 0x1u

struct linux_area {
	uint64_t start, end; /* as read: [start, end) */
	uint64_t at;         /* the address of its struct vmap_area */
	uint64_t link;       /* vm, or subtree_max_size: by the list it is in */
	uint64_t flags;      /* 0 where this kernel's have none */
	uint32_t list;       /* index of linux_space.list */
	bool has_vm;         /* busy, link is not 0 and could be read: vm is that */
	struct linux_vm vm;
};

struct linux_list {
	enum linux_list_kind kind;
	uint32_t node; /* of vmap_nodes; 0 where there are none */
	uint32_t pool; /* LINUX_POOL: its areas have pool + 1 pages */
	uint64_t head; /* the address of its list_head */
	uint64_t root; /* the topmost rb_node; 0: no tree, or an empty one */
	bool has_tree;
	bool locked;         /* its lock was held just before it was read */
	uint64_t length;     /* LINUX_POOL: what its counter says */
	size_t first, count; /* in linux_space.area, in list order */
	const char *broken;  /* why it could not be followed to its end; NULL: it could */
	uint64_t broken_at;
};

struct linux_space {
	struct linux_area *area;
	size_t count;
	struct linux_list *list;
	size_t nr_lists;
	uint64_t lazy_pages; /* vmap_lazy_nr */
	bool purge_locked;   /* vmap_purge_lock: areas may be on a stack */
	char locks[160];     /* those that were held: "free_vmap_area_lock, busy.lock"; "" */
};

/*
 * Reads all lists. Errors: -EOPNOTSUPP, with what this kernel lacks; -ENOMEM. A list that cannot
 * be followed is no error. Pair with linux_space_free().
 */
int linux_space_read(struct linux_guest *guest, struct linux_space *space_out, struct error *error);
void linux_space_free(struct linux_space *space);

/* Entry @index of @vm's array of pages; false where that cannot be read. */
bool linux_vm_page(struct linux_guest *guest, const struct linux_vm *vm, uint32_t index,
		   uint64_t *page_address_out);

/* The frame whose struct page is at @address; false where it is none. */
bool linux_page_pfn(const struct linux_guest *guest, uint64_t address, uint64_t *pfn_out);

#define LINUX_LINE_BYTES 1024

typedef int (*linux_line_fn)(void *context, const char *line, const struct linux_area *area);

/*
 * Calls @line with each line that this kernel's /proc/vmallocinfo has, in its order, without
 * newlines. Errors: @line's.
 */
int linux_areas_print(struct linux_guest *guest, const struct linux_space *space,
		      linux_line_fn line, void *context);

/* ---- trees ---- */

/* A node of a red-black tree, in preorder. */
struct linux_node {
	unsigned int depth; /* 0: the root */
	char side;          /* '.', 'l', 'r' */
	bool red;
	uint64_t at;     /* of the rb_node */
	uint64_t parent; /* as stored */
	uint64_t start, end, link;
};
typedef int (*linux_node_fn)(void *context, const struct linux_node *node);

/* No red-black tree of as many nodes as fit in memory is deeper. */
#define LINUX_DEPTH_MAX 96

/*
 * Visits the tree of @list in preorder. Errors: -ELOOP, deeper than LINUX_DEPTH_MAX or more nodes
 * than @nodes_max; -EFAULT, a node that cannot be read; @node's.
 */
int linux_tree_walk(struct linux_guest *guest, const struct linux_list *list, size_t nodes_max,
		    linux_node_fn node, void *context);

/*
 * Writes the state as a text that a replay can start from: docs/linux.md has the format. Errors:
 * as linux_tree_walk(); -EBUSY, a lock was held or a list broken, so that it is no state; -EIO.
 */
int linux_state_write(struct linux_guest *guest, const struct linux_space *space, FILE *out,
		      struct error *error);

/* ---- vm_map_ram's blocks ---- */

struct linux_block {
	uint64_t at, start, end;
	uint64_t free, dirty; /* pages */
	bool has_map;
	uint64_t used;  /* bits of its used_map */
	uint32_t cpu;   /* whose queue it is in; 0 where there is one for all */
	uint64_t index; /* in the xarray */
};
typedef int (*linux_block_fn)(void *context, const struct linux_block *block);
int linux_blocks(struct linux_guest *guest, linux_block_fn block, void *context,
		 struct error *error);

/* ---- modules ---- */

#define LINUX_MODULE_REGIONS 8

struct linux_module {
	char name[64];
	uint64_t at;    /* of its struct module */
	uint32_t state; /* 0: live */
	unsigned int nr_regions;
	struct {
		uint64_t start;
		uint32_t bytes, text_bytes;
	} region[LINUX_MODULE_REGIONS];
	uint64_t kallsyms;
};

/*
 * The modules in list order, the guest's until linux_refresh(). Errors: -EOPNOTSUPP, -ENOMEM. A
 * list that cannot be followed ends early: *@broken_out is why, or NULL.
 */
int linux_modules(struct linux_guest *guest, const struct linux_module **modules_out,
		  size_t *count_out, const char **broken_out, struct error *error);

/* ---- the log ---- */

/*
 * Calls @line with each record of the printk ring that is whole: its time in nanoseconds, its
 * text (printable, newlines kept). Errors: -EOPNOTSUPP, -ENOMEM, @line's.
 */
typedef int (*linux_log_fn)(void *context, uint64_t nanoseconds, const char *text);
int linux_log(struct linux_guest *guest, linux_log_fn line, void *context, struct error *error);

#endif
