/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The small kernel's types, as BTF. */
#include <bpf/btf.h>

#include "tests/vmm/linux/small_kernel_private.h"

struct member {
	const char *name;
	unsigned int offset;
	int type;
};

static void add_struct(struct btf *btf, const char *name, unsigned int bytes,
		       const struct member *member)
{
	btf__add_struct(btf, name, bytes);
	for (; member->name; member++)
		btf__add_field(btf, member->name, member->type, member->offset * 8, 0);
}

static void add_frames(struct btf *btf, bool numbers, int u64, int u32)
{
	int orders, zones;

	add_struct(btf, "page", PAGE_STRUCT,
		   (const struct member[]){{"flags", PG_FLAGS, u64},
					   {"compound_head", PG_COMPOUND, u64},
					   {"private", PG_PRIVATE, u64},
					   {"mapping", PG_MAPPING, u64},
					   {"_mapcount", PG_TYPE, u32},
					   {"_refcount", PG_REFERENCES, u32},
					   {NULL, 0, 0}});
	add_struct(btf, "free_area", FREE_AREA_BYTES,
		   (const struct member[]){{"nr_free", FREE_NR, u64}, {NULL, 0, 0}});
	orders = btf__add_array(btf, u32, (int)btf__type_cnt(btf) - 1, NR_ORDERS);
	add_struct(btf, "zone", ZONE_STRUCT,
		   (const struct member[]){{"lock", ZONE_LOCK, u32},
					   {"zone_start_pfn", ZONE_START, u64},
					   {"name", ZONE_NAME, u64},
					   {"spanned_pages", ZONE_SPANNED, u64},
					   {"present_pages", ZONE_PRESENT, u64},
					   {"managed_pages", ZONE_MANAGED, u64},
					   {"free_area", ZONE_FREE, orders},
					   {NULL, 0, 0}});
	zones = btf__add_array(btf, u32, (int)btf__type_cnt(btf) - 1, 3);
	add_struct(btf, "pglist_data", PGLIST_BYTES,
		   (const struct member[]){{"node_id", PGLIST_ID, u32},
					   {"nr_zones", PGLIST_NR, u32},
					   {"node_zones", PGLIST_ZONES, zones},
					   {NULL, 0, 0}});
	btf__add_enum(btf, "pageflags", 4);
	btf__add_enum_value(btf, "PG_locked", 0);
	btf__add_enum_value(btf, "PG_reserved", FLAG_RESERVED);
	if (!numbers)
		btf__add_enum_value(btf, "PG_slab", FLAG_SLAB);
	btf__add_enum_value(btf, "__NR_PAGEFLAGS", 6);
	btf__add_enum_value(btf, "PG_other_name", FLAG_RESERVED);
	if (!numbers)
		return;
	btf__add_enum(btf, "pagetype", 4);
	btf__add_enum_value(btf, "PGTY_table", 0xf2);
}

void small_kernel_btf(struct small_kernel *kernel)
{
	struct btf *btf = btf__new_empty();
	int u64 = btf__add_int(btf, "unsigned long", 8, 0), u32 = btf__add_int(btf, "int", 4, 0);
	int list, anonymous, pools, memory;
	const void *raw;
	uint32_t size;

	btf__add_struct(btf, "list_head", 16);
	btf__add_field(btf, "next", u64, 0, 0);
	list = btf__add_field(btf, "prev", u64, 64, 0) ? -1 : (int)btf__type_cnt(btf) - 1;
	/* vm is in an anonymous union, as in the kernel. */
	anonymous = btf__add_union(btf, NULL, 8);
	btf__add_field(btf, "subtree_max_size", u64, 0, 0);
	btf__add_field(btf, "vm", u64, 0, 0);
	add_struct(btf, "rb_node", 24, (const struct member[]){{"p", 0, u64}, {NULL, 0, 0}});
	add_struct(btf, "vmap_area", VA_BYTES,
		   (const struct member[]){{"va_start", VA_START, u64},
					   {"va_end", VA_END, u64},
					   {"rb_node", VA_RB, (int)btf__type_cnt(btf) - 1},
					   {"", VA_VM, anonymous},
					   {"list", VA_LIST, list},
					   {kernel->nodes ? "flags" : "other", VA_FLAGS, u64},
					   {NULL, 0, 0}});
	add_struct(btf, "vm_struct", VM_BYTES,
		   (const struct member[]){{"addr", VM_ADDR, u64},
					   {"caller", VM_CALLER, u64},
					   {"size", VM_SIZE, u64},
					   {"flags", VM_FLAGS, u64},
					   {"pages", VM_PAGES, u64},
					   {"nr_pages", VM_NR, u32},
					   {"phys_addr", VM_PHYS, u64},
					   {NULL, 0, 0}});
	add_frames(btf, kernel->nodes, u64, u32);
	add_struct(btf, "mod_kallsyms", 24,
		   (const struct member[]){{"symtab", 0, u64},
					   {"num_symtab", 8, u32},
					   {"strtab", 16, u64},
					   {NULL, 0, 0}});
	add_struct(btf, "module_memory", 16,
		   (const struct member[]){{"base", 0, u64}, {"size", 8, u32}, {NULL, 0, 0}});
	memory = btf__add_array(btf, u32, (int)btf__type_cnt(btf) - 1, 2);
	add_struct(btf, "module", MOD_BYTES,
		   (const struct member[]){{"state", MOD_STATE, u32},
					   {"list", MOD_LIST, list},
					   {"name", MOD_NAME, u64},
					   {"mem", MOD_MEM, memory},
					   {"kallsyms", MOD_KALLSYMS, u64},
					   {NULL, 0, 0}});
	if (kernel->nodes) {
		add_struct(
			btf, "vmap_pool", 24,
			(const struct member[]){{"head", 0, list}, {"len", 16, u64}, {NULL, 0, 0}});
		pools = btf__add_array(btf, u32, (int)btf__type_cnt(btf) - 1, 2);
		add_struct(btf, "rb_list", 32,
			   (const struct member[]){{"root", RBL_ROOT, u64},
						   {"head", RBL_HEAD, list},
						   {"lock", RBL_LOCK, u32},
						   {NULL, 0, 0}});
		int rb_list = (int)btf__type_cnt(btf) - 1;

		add_struct(btf, "vmap_node", NODE_BYTES,
			   (const struct member[]){{"pool", NODE_POOL, pools},
						   {"pool_lock", NODE_POOL_LOCK, u32},
						   {"busy", NODE_BUSY, rb_list},
						   {"lazy", NODE_LAZY, rb_list},
						   {"purge_list", NODE_PURGE, list},
						   {NULL, 0, 0}});
	}
	btf__add_enum(btf, "system_states", 4);
	btf__add_enum_value(btf, "SYSTEM_BOOTING", 0);
	btf__add_enum_value(btf, "SYSTEM_RUNNING", 7);
	raw = btf__raw_data(btf, &size);
	kernel->btf = small_kernel_variable(kernel, "__start_BTF", size);
	kernel->btf_bytes = size;
	small_kernel_copy(kernel, kernel->btf, raw, size);
	kernel->image = kernel->btf + size;
	small_kernel_variable(kernel, "__stop_BTF", 0);
	kernel->image = (kernel->image + 15) & ~15ull;
	btf__free(btf);
}
