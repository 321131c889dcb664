/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a linux_guest is made of. Private to vmm/linux/. */
#ifndef VMM_LINUX_PRIVATE_H
#define VMM_LINUX_PRIVATE_H

#include "lib/u64_map.h"
#include "vmm/linux/space.h"

#define PAGE       ((uint64_t)INSPECT_PAGE_BYTES)
#define KERNEL_MAP 0xffffffff80000000ull /* where the image would be without KASLR */
#define TEXT_MAX   65536u                /* VMCOREINFO is some thousand bytes */
#define NO_FIELD   UINT32_MAX

/* ---- offsets, from BTF ---- */

/*
 * F(structure, member, bytes). A member's offset is NO_FIELD where the kernel's structure has
 * none such. Those that may be missing are asked for where they are used; see types.c.
 */
#define LINUX_FIELDS(F)                      \
	F(vmap_area, va_start, 8)            \
	F(vmap_area, va_end, 8)              \
	F(vmap_area, rb_node, 24)            \
	F(vmap_area, list, 16)               \
	F(vmap_area, vm, 8)                  \
	F(vmap_area, flags, 8)               \
	F(vm_struct, addr, 8)                \
	F(vm_struct, size, 8)                \
	F(vm_struct, flags, 8)               \
	F(vm_struct, pages, 8)               \
	F(vm_struct, nr_pages, 4)            \
	F(vm_struct, page_order, 4)          \
	F(vm_struct, phys_addr, 8)           \
	F(vm_struct, caller, 8)              \
	F(vmap_node, pool, 24)               \
	F(vmap_node, pool_lock, 4)           \
	F(vmap_node, busy, 8)                \
	F(vmap_node, lazy, 8)                \
	F(vmap_node, purge_list, 16)         \
	F(vmap_pool, head, 16)               \
	F(vmap_pool, len, 8)                 \
	F(rb_list, root, 8)                  \
	F(rb_list, head, 16)                 \
	F(rb_list, lock, 4)                  \
	F(vmap_block, va, 8)                 \
	F(vmap_block, free, 8)               \
	F(vmap_block, dirty, 8)              \
	F(vmap_block, used_map, 8)           \
	F(vmap_block_queue, vmap_blocks, 16) \
	F(xarray, xa_head, 8)                \
	F(xa_node, shift, 1)                 \
	F(xa_node, slots, 8)                 \
	F(page, flags, 8)                    \
	F(page, compound_head, 8)            \
	F(page, mapping, 8)                  \
	F(page, private, 8)                  \
	F(page, _mapcount, 4)                \
	F(page, _refcount, 4)                \
	F(pglist_data, node_zones, 8)        \
	F(pglist_data, nr_zones, 4)          \
	F(pglist_data, node_id, 4)           \
	F(zone, zone_start_pfn, 8)           \
	F(zone, spanned_pages, 8)            \
	F(zone, present_pages, 8)            \
	F(zone, managed_pages, 8)            \
	F(zone, name, 8)                     \
	F(zone, free_area, 8)                \
	F(zone, lock, 4)                     \
	F(free_area, nr_free, 8)             \
	F(module, state, 4)                  \
	F(module, list, 16)                  \
	F(module, name, 1)                   \
	F(module, kallsyms, 8)               \
	F(module, mem, 16)                   \
	F(module, core_layout, 16)           \
	F(module, init_layout, 16)           \
	F(module_memory, base, 8)            \
	F(module_memory, size, 4)            \
	F(module_layout, base, 8)            \
	F(module_layout, size, 4)            \
	F(module_layout, text_size, 4)       \
	F(mod_kallsyms, symtab, 8)           \
	F(mod_kallsyms, num_symtab, 4)       \
	F(mod_kallsyms, strtab, 8)

/* No structure that is copied whole is larger; of others a member is read at a time. */
#define LINUX_STRUCT_MAX 8192u
#define LINUX_MEMBER_MAX (1u << 20)

/* S(structure, the most bytes that are believed of it). */
#define LINUX_STRUCTS(S)                      \
	S(vmap_area, LINUX_STRUCT_MAX)        \
	S(vm_struct, LINUX_STRUCT_MAX)        \
	S(vmap_node, LINUX_STRUCT_MAX)        \
	S(vmap_pool, LINUX_STRUCT_MAX)        \
	S(rb_list, LINUX_STRUCT_MAX)          \
	S(vmap_block, LINUX_STRUCT_MAX)       \
	S(vmap_block_queue, LINUX_STRUCT_MAX) \
	S(xarray, LINUX_STRUCT_MAX)           \
	S(xa_node, LINUX_STRUCT_MAX)          \
	S(page, LINUX_STRUCT_MAX)             \
	S(pglist_data, LINUX_MEMBER_MAX)      \
	S(zone, LINUX_MEMBER_MAX)             \
	S(free_area, LINUX_STRUCT_MAX)        \
	S(module, LINUX_STRUCT_MAX)           \
	S(module_memory, LINUX_STRUCT_MAX)    \
	S(module_layout, LINUX_STRUCT_MAX)    \
	S(mod_kallsyms, LINUX_STRUCT_MAX)

#define LINUX_PAGE_FLAGS 32 /* bits that may have names */

struct linux_types {
#define DECLARE_FIELD(structure, member, width) uint32_t structure##_##member;
#define DECLARE_STRUCT(structure, most)         uint32_t structure##_bytes; /* 0: there is none */
	LINUX_FIELDS(DECLARE_FIELD)
	LINUX_STRUCTS(DECLARE_STRUCT)
	/* Elements of arrays. */
	uint32_t nr_pools, nr_module_mem, nr_slots, nr_zones, nr_orders;
	int64_t system_running; /* of enum system_states; -1: unknown */
	int64_t pgty_table;     /* of enum pagetype (6.11 and later); -1: there is none */
	/* enum pageflags: the first name of each bit, without PG_. "": it has none. */
	char page_flag[LINUX_PAGE_FLAGS][24];
};

struct linux_guest {
	struct inspect_source source;
	struct inspector *inspector;
	struct linux_facts facts;
	char *vmcoreinfo; /* terminated */
	/* kallsyms */
	char *names; /* type, name, NUL, for each */
	uint32_t *name_at;
	uint64_t *address;
	uint32_t *by_address; /* indexes, ascending by address, equal ones by index */
	/* A power of two of places, open addressing by the name's hash: an index plus one, or 0. */
	uint32_t *name_slot;
	size_t nr_slots;
	/* BTF */
	bool has_types;
	struct linux_types types;
	/* forgotten by linux_refresh() */
	bool modules_read;
	struct linux_module *modules;
	size_t nr_modules;
	const char *modules_broken;
};

/* ---- VMCOREINFO ---- */

/*
 * Finds one that holds: fills vmcoreinfo, facts (from, release, root...), source.paging. Errors:
 * as linux_open().
 */
int linux_find_vmcoreinfo(struct linux_guest *guest, const char *note, size_t note_bytes,
			  struct error *error);

/* Lines of it: "SYMBOL(_stext)=ffffffff81000000", "NUMBER(phys_base)=-123". False: no such. */
bool linux_info_text(const char *info, const char *key, char *text, size_t bytes);
bool linux_info_hex(const char *info, const char *key, uint64_t *value_out);
bool linux_info_number(const char *info, const char *key, int64_t *value_out);

/* ---- kallsyms ---- */

/* Where its tables are in the guest. */
struct linux_kallsyms {
	uint64_t names, num_syms, token_table, token_index, offsets, relative_base;
};

/* Decodes them all. Errors: -EINVAL with words, what is there is no kallsyms; -ENOMEM. */
int linux_kallsyms_decode(struct linux_guest *guest, const struct linux_kallsyms *tables,
			  struct error *error);

/* Finds the tables in the image without VMCOREINFO's help. -ENOENT, -ENOMEM. */
int linux_kallsyms_scan(struct linux_guest *guest, struct linux_kallsyms *tables_out);

/* ---- BTF ---- */

/* Reads it, of symbols or by a scan of the image. Errors: -ENOENT, -EINVAL, with words; -ENOMEM. */
int linux_types_read(struct linux_guest *guest, struct error *error);

/* The bytes of [start, end), which must all be mapped; the caller's. NULL: not, or no memory. */
void *linux_copy(struct linux_guest *guest, uint64_t start, size_t bytes);

/* A stretch of the image in the kernel's mapping, copied whole. */
typedef bool (*linux_run_fn)(void *context, uint64_t start, const uint8_t *bytes, size_t size);

/* Calls @run with each stretch, until it returns true: then 0; else -ENOENT, or -ENOMEM. */
int linux_image_runs(struct linux_guest *guest, linux_run_fn run, void *context);

/* -EOPNOTSUPP with words where there are no symbols, or no types. */
int linux_need(const struct linux_guest *guest, struct error *error);

/* Symbols that must be there. */
struct linux_wanted {
	const char *name;
	uint64_t *address;
};
int linux_need_symbols(const struct linux_guest *guest, const struct linux_wanted *wanted,
		       size_t count, struct error *error);

static inline uint64_t linux_u64(const uint8_t *bytes, uint32_t offset)
{
	uint64_t value;

	__builtin_memcpy(&value, bytes + offset, sizeof(value));
	return value;
}

static inline uint32_t linux_u32(const uint8_t *bytes, uint32_t offset)
{
	uint32_t value;

	__builtin_memcpy(&value, bytes + offset, sizeof(value));
	return value;
}

#endif
