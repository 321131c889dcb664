/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands that are hypercalls of the memory core: allocation, areas, mapping, frames. */
#include "vmm/wire/protocol_private.h"

#define CALL(its_name, its_opcode, its_help) \
	.name = (its_name), .lane = PROTOCOL_CALL, .opcode = (its_opcode), .help = (its_help)

/* One of the seed's short forms of vmalloc(). */
#define KIND(its_name, kind, its_help) \
	CALL(its_name, PROTOCOL_FIRST(NB_OP_VMALLOC_CALL, kind), its_help)

/* What vmalloc and get-vm-area-node take. */
#define REQUEST                                                                                \
	SIZE(0), MAYBE(1, "align", QMP_SIZE, 1, "a power of two"),                             \
		MAYBE(2, "start", QMP_ADDRESS, NB_VMALLOC_START,                               \
		      "the window [start, end) it is "                                         \
		      "to lie in"),                                                            \
		MAYBE(3, "end", QMP_ADDRESS, NB_VMALLOC_END, "the end of the window"), GFP(4), \
		PROT(5), MAYBE(6, "flags", QMP_U64, NB_VM_ALLOC, "VM_ flags as in Linux 6.1"), \
		NODE(7),                                                                       \
		MAYBE(8, "caller", QMP_ADDRESS, 0,                                             \
		      "who asks, for the list of areas; 0: the operation")

static const char *const modes[] = {"lazy", "eager", "manual", NULL};
static const char *const cases[] = {"fix_size",    "full_fit",  "long_busy_list",
				    "random_size", "fix_align", "random_size_align",
				    NULL};
static const char *const orders[] = {"own", "newest-first", "by-address", NULL};
static const char *const searches[] = {"5.2", "5.16", "5.18", NULL};
static const char *const hooks[] = {"vmap", "vunmap", NULL};
static const char *const faults[] = {"frame", "slab", "table", "area", NULL};

const struct qmp_command protocol_call_commands[] = {
	{CALL("vmalloc", NB_OP_VMALLOC,
	      "Allocates an area of frames: vmalloc_node_range() with everything that can be "
	      "asked."),
	 TAKES(REQUEST), GIVES_ADDRESS},
	{CALL("vfree", NB_OP_VFREE, "Frees an area and its frames."),
	 TAKES(ADDRESS(0, "where the area begins")), GIVES_NOTHING},
	{KIND("vmalloc-plain", NB_VMALLOC, "vmalloc(): nothing but a size."), TAKES(SIZE(1)),
	 GIVES_ADDRESS},
	{KIND("vmalloc-user", NB_VMALLOC_USER, "vmalloc_user(): zeroed, may be mapped to users."),
	 TAKES(SIZE(1)), GIVES_ADDRESS},
	{KIND("vmalloc-node", NB_VMALLOC_NODE, "vmalloc_node(): frames of a memory node."),
	 TAKES(SIZE(1), NODE(4)), GIVES_ADDRESS},
	{KIND("vmalloc-exec", NB_VMALLOC_EXEC, "vmalloc_exec(): executable memory."),
	 TAKES(SIZE(1)), GIVES_ADDRESS},
	{KIND("vmalloc-32", NB_VMALLOC_32, "vmalloc_32(): frames below 4 GiB."), TAKES(SIZE(1)),
	 GIVES_ADDRESS},
	{KIND("vmalloc-32-user", NB_VMALLOC_32_USER,
	      "vmalloc_32_user(): frames below 4 GiB, zeroed, may be mapped to users."),
	 TAKES(SIZE(1)), GIVES_ADDRESS},
	{KIND("vmalloc-prot", NB_VMALLOC_PROT, "__vmalloc(): with GFP_ flags and a protection."),
	 TAKES(SIZE(1), GFP(2), PROT(3)), GIVES_ADDRESS},
	{KIND("vmalloc-prot-node", NB_VMALLOC_PROT_NODE,
	      "__vmalloc_node(): with GFP_ flags, a protection and a memory node."),
	 TAKES(SIZE(1), GFP(2), PROT(3), NODE(4)), GIVES_ADDRESS},
	{CALL("vmalloc-area-node", NB_OP_VMALLOC_AREA,
	      "vmalloc_area_node(): puts frames into a reserved area."),
	 TAKES(ADDRESS(0, "where the area begins"), GFP(1), PROT(2), NODE(3)), GIVES_NOTHING},
	{CALL("vmalloc-to-page", NB_OP_VMALLOC_TO_PAGE, "The frame behind an address."),
	 TAKES(ADDRESS(0, "any address")), GIVES(AT(0, "frame", QMP_U64, "its number"))},

	{CALL("get-vm-area-node", NB_OP_GET_VM_AREA,
	      "Reserves a range without frames; arguments as vmalloc."),
	 TAKES(REQUEST), GIVES_ADDRESS},
	{CALL("get-vm-area", NB_OP_GET_VM_AREA_WINDOW,
	      "Reserves a range in Linux's vmalloc range, or in a window."),
	 TAKES(SIZE(0), MAYBE(1, "flags", QMP_U64, NB_VM_ALLOC, "VM_ flags as in Linux 6.1"),
	       MAYBE(2, "start", QMP_ADDRESS, 0, "the window [start, end) it is to lie in"),
	       MAYBE(3, "end", QMP_ADDRESS, 0, "the end of the window")),
	 GIVES_ADDRESS},
	{CALL("free-vm-area", NB_OP_FREE_VM_AREA, "Gives back an area without frames."),
	 TAKES(ADDRESS(0, "where the area begins")), GIVES_NOTHING},
	{CALL("find-vm-area", NB_OP_FIND_VM_AREA,
	      "The area an address lies in, as the guest says."),
	 TAKES(ADDRESS(0, "any address of it")),
	 GIVES(AT(0, "address", QMP_ADDRESS, "where it begins"),
	       AT(1, "size", QMP_SIZE, "bytes, its guard page among them"),
	       AT(2, "flags", QMP_U64, "VM_ flags"), AT(3, "pages", QMP_U64, "frames it has"))},
	{CALL("remove-vm-area", NB_OP_REMOVE_VM_AREA,
	      "Takes an area of any kind out of the address space, and ends what it was."),
	 TAKES(ADDRESS(0, "where the area begins")),
	 GIVES(AT(0, "size", QMP_SIZE, "bytes without the guard page"),
	       AT(1, "flags", QMP_U64, "VM_ flags"), AT(2, "pages", QMP_U64, "frames it had"))},
	{CALL("alloc-vm-area", NB_OP_ALLOC_VM_AREA,
	      "Reserves an area whose page tables are in place in every process."),
	 TAKES(SIZE(0)), GIVES_ADDRESS},
	{CALL("map-vm-area", NB_OP_MAP_VM_AREA, "Maps frames over a whole reserved area."),
	 TAKES(ADDRESS(0, "where the area begins"), FRAMES(1), PROT(2)), GIVES_NOTHING},
	{CALL("unmap-kernel-range", NB_OP_UNMAP_KERNEL_RANGE,
	      "Clears the leaves of a range inside an area without frames of its own."),
	 TAKES(ADDRESS(0, "page aligned"), SIZE(1)), GIVES_NOTHING},
	{CALL("unmap-vm-area", NB_OP_UNMAP_VM_AREA, "The same for a whole area."),
	 TAKES(ADDRESS(0, "where the area begins")), GIVES_NOTHING},
	{CALL("vmap", NB_OP_VMAP, "Maps frames in a new area."),
	 TAKES(FRAMES(0), MAYBE(1, "flags", QMP_U64, NB_VM_MAP, "VM_ flags as in Linux 6.1"),
	       PROT(2)),
	 GIVES_ADDRESS},
	{CALL("vunmap", NB_OP_VUNMAP, "Unmaps what vmap mapped."),
	 TAKES(ADDRESS(0, "where the area begins")), GIVES_NOTHING},
	{CALL("vread", NB_OP_VREAD, "The guest reads its vmalloc range: vread()."),
	 TAKES(ADDRESS(0, "where to begin"), ARG("size", QMP_SIZE, "bytes", .min = 1,
						 .max = NB_DATA_BYTES, .place = PROTOCOL_AT(1))),
	 GIVES(AT(0, "bytes", QMP_BYTES, "what it read; holes are zero"))},
	{CALL("vwrite", NB_OP_VWRITE, "The guest writes to its vmalloc range: vwrite()."),
	 TAKES(ADDRESS(0, "where to begin"), ARG("bytes", QMP_BYTES, "what to write",
						 .max = NB_DATA_BYTES, .place = PROTOCOL_AT(1))),
	 GIVES(AT(0, "consumed", QMP_SIZE, "bytes taken"),
	       AT(1, "stored", QMP_SIZE, "of them not lost in holes"))},

	{CALL("purge", NB_OP_PURGE, "Flushes the TLBs and gives back every lazy range."),
	 TAKES_NOTHING, GIVES(AT(0, "ranges", QMP_U64, "given back"))},
	{CALL("set-mode", NB_OP_SET_MODE, "When freed ranges are flushed."),
	 TAKES(ARG("mode", QMP_ENUM,
		   "lazily as Linux, at every free as the seed, or at purge alone",
		   .choices = modes, .place = PROTOCOL_AT(0))),
	 GIVES_NOTHING},
	{CALL("set-rules", NB_OP_SET_RULES,
	      "Places, keeps and gives back ranges as a release of Linux does it."),
	 TAKES(ARG("order", QMP_ENUM,
		   "in which a purge gives back: the core's own, Linux's before 5.11, or since",
		   .choices = orders, .place = PROTOCOL_AT(0)),
	       ARG("search", QMP_ENUM, "the release whose search it is", .choices = searches,
		   .optional = true, .place = PROTOCOL_AT(1)),
	       MAYBE(2, "nodes", QMP_U64, 0, "with pools, as since 6.9; 0: none"),
	       MAYBE(3, "decay-empties", QMP_U64, 0,
		     "1: a decay empties pools of fewer than four ranges")),
	 GIVES_NOTHING},
	{CALL("release-range", NB_OP_RELEASE, "Gives back one lazy or pooled range."),
	 TAKES(ADDRESS(0, "where it begins")), GIVES_NOTHING},
	{CALL("cache-flushes", NB_OP_CACHE_FLUSHES,
	      "What the core asked of the vCPU's caches, which x86 does by itself."),
	 TAKES(ARG("hook", QMP_ENUM, "flush_cache_vmap() or flush_cache_vunmap()", .choices = hooks,
		   .place = PROTOCOL_AT(0))),
	 GIVES(AT(0, "calls", QMP_U64, "so far"), AT(1, "start", QMP_ADDRESS, "of the last one"),
	       AT(2, "end", QMP_ADDRESS, "of it"))},
	{CALL("alloc-pages", NB_OP_ALLOC_PAGES, "Allocates frames that follow each other."),
	 TAKES(ARG("order", QMP_INT, "2^order frames", .max = 63, .optional = true,
		   .place = PROTOCOL_AT(0)),
	       GFP(1), NODE(2)),
	 GIVES(AT(0, "frame", QMP_U64, "number of the first"))},
	{CALL("free-pages", NB_OP_FREE_PAGES, "Frees what alloc-pages allocated."),
	 TAKES(AT(0, "frame", QMP_U64, "number of the first"),
	       ARG("order", QMP_INT, "as alloc-pages was asked", .max = 63, .optional = true,
		   .place = PROTOCOL_AT(1))),
	 GIVES_NOTHING},
	{CALL("kmalloc", NB_OP_KMALLOC, "Allocates a small object."),
	 TAKES(SIZE(0), GFP(1), NODE(2)),
	 GIVES(AT(0, "address", QMP_ADDRESS, "in the direct map"))},
	{CALL("kfree", NB_OP_KFREE, "Frees what kmalloc allocated."),
	 TAKES(ADDRESS(0, "of the object")), GIVES_NOTHING},
	{CALL("set-fault", NB_OP_SET_FAULT, "Makes an allocation fail on purpose."),
	 TAKES(ARG("kind", QMP_ENUM, "of what", .choices = faults, .place = PROTOCOL_AT(0)),
	       AT(1, "count", QMP_U64, "which from now on fails: 1 the next; 0 none")),
	 GIVES(AT(0, "left", QMP_U64, "of the count before"))},
	{CALL("bench", NB_OP_BENCH, "Runs one case of Linux's test_vmalloc inside the guest."),
	 TAKES(ARG("case", QMP_ENUM, "as in Linux", .choices = cases, .place = PROTOCOL_AT(0)),
	       ARG("loops", QMP_INT, "how often", .min = 1, .max = UINT32_MAX,
		   .place = PROTOCOL_AT(1)),
	       MAYBE(2, "pages", QMP_U64, 0, "of fix_size: at least 1; else 0"),
	       MAYBE(3, "seed", QMP_U64, 1, "of the random numbers")),
	 GIVES(AT(0, "total-ticks", QMP_U64, "of all loops, set-up not counted"),
	       AT(1, "loops", QMP_U64, "done"), INTERRUPTED)},
	{CALL("nop", NB_OP_NOP, "Nothing: to and fro."),
	 TAKES(MAYBE(0, "value", QMP_U64, 0, "comes back")),
	 GIVES(AT(0, "value", QMP_U64, "as it was sent"))},
	{.name = NULL},
};
