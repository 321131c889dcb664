/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands that look at the guest, and change its memory, from outside. */
#include "vmm/protocol_private.h"

#define LOOK(its_name, its_help)  .name = (its_name), .lane = PROTOCOL_LOOK, .help = (its_help)
#define ALONE(its_name, its_help) .name = (its_name), .lane = PROTOCOL_ALONE, .help = (its_help)
#define IS(its_name, its_type, its_help)                                   \
	{                                                                  \
		.name = (its_name), .type = (its_type), .help = (its_help) \
	}
#define MAY_BE(its_name, its_type, its_help)                                                 \
	{                                                                                    \
		.name = (its_name), .type = (its_type), .optional = true, .help = (its_help) \
	}

/* The window of a list, and how the next piece of it is asked for. */
#define WINDOW                                                                                   \
	MAY_BE("start", QMP_ADDRESS, "entries that reach into [start, end)"),                    \
		MAY_BE("end", QMP_ADDRESS, "0: 2^64"),                                           \
	{                                                                                        \
		.name = "limit", .type = QMP_INT, .optional = true, .otherwise = 1024, .min = 1, \
		.max = PROTOCOL_LIST_MAX, .help = "no more entries at once"                      \
	}
#define NEXT MAY_BE("next", QMP_ADDRESS, "the start to ask with for the rest, where there is more")

/* In whose page tables. */
#define PROCESS                                                                            \
	{.name = "process",                                                                \
	 .type = QMP_INT,                                                                  \
	 .optional = true,                                                                 \
	 .no_default = true,                                                               \
	 .min = 1,                                                                         \
	 .max = UINT32_MAX,                                                                \
	 .help = "in the page tables of this process; without it in the kernel's"},        \
	{                                                                                  \
		.name = "root", .type = QMP_ADDRESS, .optional = true, .no_default = true, \
		.help = "guest-physical, of any other page tables"                         \
	}

#define MEMORY_SIZE                                                                       \
	{                                                                                 \
		.name = "size", .type = QMP_SIZE, .min = 1, .max = PROTOCOL_MEMORY_BYTES, \
		.help = "bytes"                                                           \
	}

static const char *const spaces[] = {"virtual", "physical", NULL};
#define SPACE                                                                           \
	{                                                                               \
		.name = "space", .type = QMP_ENUM, .optional = true, .choices = spaces, \
		.help = "guest-virtual, or guest-physical"                              \
	}

const struct qmp_command protocol_look_commands[] = {
	{LOOK("query-areas", "The areas of the vmalloc address space, busy and lazily freed."),
	 .args = ARGS(WINDOW),
	 .returns = ARGS(IS("areas", QMP_OBJECTS,
			    "start, end, state (busy, lazy), line (as /proc/vmallocinfo has it); "
			    "of busy ones: size, flags, pages, caller, place (the caller as a "
			    "symbol), phys"),
			 NEXT,
			 MAY_BE("broken", QMP_TEXT, "why the guest's list could not be followed"))},
	{LOOK("query-tree", "The vmalloc address space, tile by tile: busy, lazy and free."),
	 .args = ARGS(WINDOW),
	 .returns = ARGS(IS("tiles", QMP_OBJECTS, "start, end, state"),
			 IS("sum", QMP_OBJECT,
			    "how many are busy, lazy, free, unknown, and of how many bytes; the "
			    "largest free piece: largest-start, largest-end"),
			 NEXT,
			 MAY_BE("broken", QMP_TEXT, "why the guest's list could not be followed"))},
	{LOOK("query-maps", "The page tables as ranges of equal rights and page size, merged."),
	 .args = ARGS(WINDOW, PROCESS,
		      MAY_BE("split-frames", QMP_BOOL,
			     "end a range where the frames do not follow each other")),
	 .returns = ARGS(IS("maps", QMP_OBJECTS,
			    "start, end, rights (rwxu), page-bytes, leaves, runs (pieces of "
			    "following frames), physical (of start), global, region"),
			 NEXT, MAY_BE("tables", QMP_INT, "page tables read, when all was seen"),
			 MAY_BE("bad-entries", QMP_INT, "present, with reserved bits or no table"),
			 MAY_BE("first-bad", QMP_ADDRESS, "what the first of them governs"))},
	{LOOK("query-walk", "One address through both stages, each entry decoded."),
	 .args = ARGS(IS("address", QMP_ADDRESS, "guest-virtual"), PROCESS),
	 .returns =
		 ARGS(IS("address", QMP_ADDRESS, "as it was read"),
		      IS("region", QMP_TEXT, "of the layout of addresses"),
		      IS("status", QMP_TEXT, "mapped, or why not"),
		      IS("entries", QMP_OBJECTS,
			 "level, at, value, flags, rights (so far), leaf, second (where the second "
			 "stage has the table)"),
		      MAY_BE("place", QMP_TEXT, "the symbol there"),
		      MAY_BE("level", QMP_INT, "where it ended, if not mapped"),
		      MAY_BE("physical", QMP_ADDRESS, "guest-physical"),
		      MAY_BE("page-bytes", QMP_SIZE, "of the leaf"),
		      MAY_BE("rights", QMP_TEXT, "of the guest's tables"),
		      MAY_BE("both", QMP_TEXT, "of both stages"),
		      MAY_BE("tlb-bytes", QMP_SIZE, "what a TLB entry can cover"),
		      MAY_BE("second", QMP_OBJECT,
			     "the leaf of the second stage: mapped, physical, "
			     "leaf-bytes, host, host-physical"))},
	{LOOK("query-mappings", "Every leaf that maps a guest-physical address, up to 256."),
	 .args = ARGS(IS("address", QMP_ADDRESS, "guest-physical"), PROCESS),
	 .returns = ARGS(IS("mappings", QMP_OBJECTS, "address, page-bytes, rights, region"))},
	{LOOK("search-memory", "Finds bytes in memory."),
	 .args = ARGS({.name = "bytes", .type = QMP_BYTES, .max = 4096, .help = "what to look for"},
		      WINDOW, SPACE, PROCESS,
		      {.name = "align",
		       .type = QMP_SIZE,
		       .optional = true,
		       .otherwise = 1,
		       .min = 1,
		       .max = 4096,
		       .help = "of a match, a power of two"},
		      MAY_BE("direct-map", QMP_BOOL, "search the direct map too, all RAM again")),
	 .returns = ARGS(IS("hits", QMP_OBJECTS, "addresses, as strings"),
			 IS("searched-bytes", QMP_SIZE, "so many"),
			 IS("cut", QMP_BOOL, "there may be more"))},
	{LOOK("query-frame", "One frame: its state, its owner, its block."),
	 .args = ARGS(IS("frame", QMP_U64, "its number: guest-physical address / 4096")),
	 .returns = ARGS(
		 IS("frame", QMP_U64, "its number"), IS("physical", QMP_ADDRESS, "guest-physical"),
		 IS("node", QMP_INT, "of memory"), IS("zone", QMP_TEXT, "DMA, DMA32, Normal"),
		 IS("state", QMP_TEXT, "as the guest's struct page says"),
		 IS("online", QMP_BOOL, "it has a struct page"),
		 IS("head", QMP_U64, "first frame of its block"),
		 IS("order", QMP_INT, "of the block"), IS("references", QMP_INT, "to it"),
		 IS("owner", QMP_U64, "as recorded"), IS("struct-page", QMP_ADDRESS, "where it is"),
		 MAY_BE("table-level", QMP_INT, "of a page table"),
		 MAY_BE("cache", QMP_TEXT, "of a slab"), MAY_BE("objects", QMP_INT, "of a slab"),
		 MAY_BE("in-use", QMP_INT, "of a slab"),
		 MAY_BE("area-start", QMP_ADDRESS, "of a vmalloc frame: its area"),
		 MAY_BE("area-size", QMP_SIZE, "of the area"),
		 MAY_BE("area-caller", QMP_TEXT, "who asked for the area"),
		 MAY_BE("area-page", QMP_INT, "which page of it"))},
	{LOOK("query-frames", "How many frames there are of each state, by node and zone."),
	 .returns = ARGS(IS("zones", QMP_OBJECTS, "node, zone, frames by state, total"),
			 IS("frames", QMP_OBJECT, "by state"), IS("total", QMP_INT, "all RAM"),
			 IS("sections", QMP_INT, "of 128 MiB with RAM"),
			 IS("online", QMP_INT, "of them in use"))},
	{LOOK("query-zones", "Zones, as /proc/buddyinfo and /proc/zoneinfo show them."),
	 .returns = ARGS(IS("zones", QMP_OBJECTS,
			    "node, zone, start-frame, spanned, present, managed, free, fresh, min, "
			    "pcp-high, pcp-batch, blocks (by order), fresh-blocks (by order), pcp "
			    "(by CPU)"))},
	{LOOK("query-slabs", "Slab caches, as /proc/slabinfo shows them."),
	 .returns = ARGS(IS("slabs", QMP_OBJECTS,
			    "name, object-bytes, objects-per-slab, slabs, partial, found, in-use, "
			    "total"))},
	{LOOK("keep-moment", "Keeps the state of the guest's memory management under a name."),
	 .args = ARGS({.name = "name", .type = QMP_TEXT, .max = 63, .help = "of the moment"}),
	 .returns = ARGS(IS("name", QMP_TEXT, "of the moment"),
			 IS("operation", QMP_INT, "hypercalls done by then"))},
	{LOOK("forget-moment", "Forgets a moment."),
	 .args = ARGS({.name = "name", .type = QMP_TEXT, .max = 63, .help = "of the moment"})},
	{LOOK("query-moments", "The moments that are kept."),
	 .returns = ARGS(IS("moments", QMP_OBJECTS, "name, operation"))},
	{LOOK("query-diff", "What changed between two moments, or between one and now."),
	 .args = ARGS({.name = "from", .type = QMP_TEXT, .max = 63, .help = "the earlier moment"},
		      {.name = "to",
		       .type = QMP_TEXT,
		       .optional = true,
		       .max = 63,
		       .help = "the later one; now"},
		      {.name = "limit",
		       .type = QMP_INT,
		       .optional = true,
		       .otherwise = 1024,
		       .min = 1,
		       .max = PROTOCOL_LIST_MAX,
		       .help = "no more changes at once"}),
	 .returns =
		 ARGS(IS("changes", QMP_OBJECTS,
			 "change, and by its kind: start, end, before, after, name, pages-before, "
			 "pages-after"),
		      IS("count", QMP_INT, "of all changes"))},
	{LOOK("query-regions", "What backs guest-physical addresses in the host."),
	 .returns = ARGS(IS("regions", QMP_OBJECTS,
			    "name, kind, start, end, node, largest-leaf (the addresses allow), "
			    "host"))},
	{LOOK("query-second-stage",
	      "The leaves of the second stage, in ranges: those of touched memory, as the host's "
	      "own tables and KVM's rules predict them, or, live, those that KVM's tables really "
	      "hold (for root, on kvm_intel and kvm_amd)."),
	 .args = ARGS(WINDOW,
		      MAY_BE(PROTOCOL_LIVE, QMP_BOOL, "read the real tables, the guest paused"),
		      MAY_BE("split-frames", QMP_BOOL,
			     "live: end a range where the host's frames do not follow each other")),
	 .returns = ARGS(IS("leaves", QMP_OBJECTS,
			    "start, end, leaf-bytes, leaves; live: rights (rwxu), host-physical "
			    "(of start)"),
			 MAY_BE("sees-thp", QMP_BOOL, "huge pages could be told from small ones"),
			 MAY_BE("counts", QMP_OBJECT,
				"live, when all was seen: leaves-4k, leaves-2m, leaves-1g, tables, "
				"marked (entries of KVM's own that map nothing)"),
			 NEXT)},
	{LOOK("query-kvm-stats", "KVM's own statistics of the VM, or of a vCPU."),
	 .args = ARGS({.name = "vcpu",
		       .type = QMP_INT,
		       .optional = true,
		       .max = NB_MAX_VCPUS - 1,
		       .no_default = true,
		       .help = "which; without it the VM"}),
	 .returns = ARGS(IS("id", QMP_TEXT, "KVM's name of it"),
			 IS("stats", QMP_OBJECTS, "name, kind, unit, value or values"))},
	{LOOK("translate", "What an address translates to."),
	 .args = ARGS(IS("address", QMP_ADDRESS, "guest-virtual"), PROCESS),
	 .returns = ARGS(IS("address", QMP_ADDRESS, "as it was read"),
			 IS("physical", QMP_ADDRESS, "guest-physical"),
			 IS("page-bytes", QMP_SIZE, "of the leaf"),
			 IS("rights", QMP_TEXT, "rwxu, - for what is not allowed"),
			 MAY_BE("host", QMP_ADDRESS, "in the service's own address space"),
			 MAY_BE("place", QMP_TEXT, "the symbol there"))},
	{LOOK("read-memory", "Reads memory from outside, whatever its rights."),
	 .args = ARGS(IS("address", QMP_ADDRESS, "where to begin"), MEMORY_SIZE, SPACE),
	 .returns = ARGS(IS("address", QMP_ADDRESS, "as it was read"),
			 IS("bytes", QMP_BYTES, "what is there"))},
	{LOOK("write-memory",
	      "Writes memory from outside, whatever its rights: all of it or none."),
	 .args = ARGS(IS("address", QMP_ADDRESS, "where to begin"),
		      {.name = "bytes",
		       .type = QMP_BYTES,
		       .max = PROTOCOL_MEMORY_BYTES,
		       .help = "what to write"},
		      SPACE),
	 .returns = ARGS(IS("address", QMP_ADDRESS, "as it was read"),
			 IS("size", QMP_SIZE, "bytes written"))},
	{LOOK("query-symbol", "What symbol of the image an address lies in."),
	 .args = ARGS(IS("address", QMP_ADDRESS, "any")),
	 .returns = ARGS(IS("address", QMP_ADDRESS, "as it was read"),
			 IS("place", QMP_TEXT, "symbol+offset/size, or the address"))},
	{LOOK("query-registers", "The registers of a paused guest's vCPU."),
	 .args = ARGS({.name = "vcpu",
		       .type = QMP_INT,
		       .optional = true,
		       .max = NB_MAX_VCPUS - 1,
		       .help = "which"}),
	 .returns = ARGS(IS("registers", QMP_OBJECT, "by name, as \"0x...\""),
			 IS("place", QMP_TEXT, "the symbol RIP is in"))},
	{LOOK("query-events", "The last events, up to 256, as they were sent."),
	 .returns = ARGS(IS("events", QMP_OBJECTS, "each as on the wire"))},
	{ALONE("audit", "Checks the guest's structures and page tables against each other, between "
			"two hypercalls."),
	 .args = ARGS({.name = "checks",
		       .type = QMP_TEXT,
		       .optional = true,
		       .max = 256,
		       .help = "names with commas between them; all"}),
	 .returns = ARGS(IS("checks", QMP_OBJECTS, "name, items looked at, violations"),
			 IS("items", QMP_INT, "looked at"), IS("violations", QMP_INT, "found now"),
			 IS("seconds", QMP_REAL, "it took"),
			 IS("found", QMP_OBJECTS,
			    "check, address, text, found, expected, operation (the one after which "
			    "it was first seen), line"))},
	{ALONE("dump-guest-core",
	       "Writes an ELF core for gdb, drgn and crash. Event DUMP_PROGRESS."),
	 .args = ARGS(IS("file", QMP_TEXT, "where, on the host; an absolute path"),
		      MAY_BE("compress", QMP_BOOL, "with zstd")),
	 .returns = ARGS(IS("file", QMP_TEXT, "where it is"), IS("size", QMP_SIZE, "its length"),
			 IS("written", QMP_SIZE, "bytes that are no hole"),
			 IS("loads", QMP_INT, "program headers of memory"))},
	{.name = NULL},
};
