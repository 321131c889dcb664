/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lists and inner objects that commands return: what is in them, and how a person sees it. */
#include "vmm/wire/protocol.h"

#define LIST(...)                              \
	.columns = (const struct qmp_column[]) \
	{                                      \
		__VA_ARGS__,                   \
		{                              \
			.name = NULL           \
		}                              \
	}

const struct qmp_list protocol_areas = {
	LIST({"start", QMP_ADDRESS, NULL}, {"end", QMP_ADDRESS, NULL},
	     {"state", QMP_TEXT, "busy, lazy"}, {"line", QMP_TEXT, "as /proc/vmallocinfo has it"},
	     {"size", QMP_SIZE, "of busy ones, as all that follows"}, {"flags", QMP_ADDRESS, NULL},
	     {"pages", QMP_INT, NULL}, {"caller", QMP_ADDRESS, NULL},
	     {"place", QMP_TEXT, "the caller as a symbol"}, {"phys", QMP_ADDRESS, NULL}),
	.row = "{line}",
};

const struct qmp_list protocol_tiles = {
	LIST({"start", QMP_ADDRESS, NULL}, {"end", QMP_ADDRESS, NULL}, {"state", QMP_TEXT, NULL}),
};

const struct qmp_list protocol_maps = {
	LIST({"start", QMP_ADDRESS, NULL}, {"end", QMP_ADDRESS, NULL}, {"rights", QMP_TEXT, "rwxu"},
	     {"page-bytes", QMP_SIZE, NULL}, {"leaves", QMP_INT, NULL},
	     {"runs", QMP_INT, "pieces of following frames"}, {"physical", QMP_ADDRESS, "of start"},
	     {"global", QMP_BOOL, NULL}, {"region", QMP_TEXT, NULL}),
	.head = "# range                               rights global page     leaves     runs "
		"physical       region",
	.row = "0x{start:016x}-0x{end:016x} {rights:-6} {global:-6} {page-bytes:-4z} {leaves:10} "
	       "{runs:8} {physical:-14} {region}",
};

const struct qmp_list protocol_mappings = {
	LIST({"address", QMP_ADDRESS, NULL}, {"page-bytes", QMP_SIZE, NULL},
	     {"rights", QMP_TEXT, NULL}, {"region", QMP_TEXT, NULL}),
	.head = "# address            rights page region",
	.row = "{address:-20} {rights:-6} {page-bytes:-4z} {region}",
};

const struct qmp_list protocol_zones = {
	LIST({"node", QMP_INT, NULL}, {"zone", QMP_TEXT, NULL}, {"start-frame", QMP_ADDRESS, NULL},
	     {"spanned", QMP_INT, NULL}, {"present", QMP_INT, NULL}, {"managed", QMP_INT, NULL},
	     {"free", QMP_INT, NULL}, {"fresh", QMP_INT, NULL}, {"min", QMP_INT, NULL},
	     {"pcp-high", QMP_INT, NULL}, {"pcp-batch", QMP_INT, NULL},
	     {"blocks", QMP_ANY, "by order"}, {"fresh-blocks", QMP_ANY, "by order"},
	     {"pcp", QMP_ANY, "by CPU"}),
};

const struct qmp_list protocol_zone_frames = {
	LIST({"node", QMP_INT, NULL}, {"zone", QMP_TEXT, NULL}, {"frames", QMP_ANY, "by state"},
	     {"total", QMP_INT, NULL}),
};

const struct qmp_list protocol_frame_runs = {
	LIST({"start", QMP_ADDRESS, "guest-physical"}, {"end", QMP_ADDRESS, NULL},
	     {"frames", QMP_INT, NULL}, {"node", QMP_INT, NULL}, {"zone", QMP_TEXT, NULL},
	     {"state", QMP_TEXT, NULL}),
	.head = "# range                         frames node zone    state",
	.row = "0x{start:012x}-0x{end:012x} {frames:8} {node:4} {zone:-7} {state}",
};

const struct qmp_list protocol_slabs = {
	LIST({"name", QMP_TEXT, NULL}, {"object-bytes", QMP_SIZE, NULL},
	     {"objects-per-slab", QMP_INT, NULL}, {"slabs", QMP_INT, NULL},
	     {"partial", QMP_INT, NULL}, {"found", QMP_INT, NULL}, {"in-use", QMP_INT, NULL},
	     {"total", QMP_INT, NULL}),
	.head = "# name                 in_use  objects  objsize objperslab    slabs  partial",
	.row = "{name:-20} {in-use:8} {total:8} {object-bytes:8} {objects-per-slab:10} {slabs:8} "
	       "{partial:8}",
};

const struct qmp_list protocol_moments = {
	LIST({"name", QMP_TEXT, NULL}, {"operation", QMP_INT, NULL}),
	.head = "# name                           hypercall",
	.row = "{name:-32} {operation}",
};

const struct qmp_list protocol_regions = {
	LIST({"name", QMP_TEXT, NULL}, {"kind", QMP_TEXT, NULL}, {"start", QMP_ADDRESS, NULL},
	     {"end", QMP_ADDRESS, NULL}, {"node", QMP_INT, NULL},
	     {"largest-leaf", QMP_SIZE, "the addresses allow"}, {"host", QMP_ADDRESS, NULL}),
	.head = "# range                       name     kind   node leaf host",
	.row = "0x{start:012x}-0x{end:012x} {name:-8} {kind:-6} {node:4} {largest-leaf:-4z} {host}",
};

const struct qmp_list protocol_leaves = {
	LIST({"start", QMP_ADDRESS, NULL}, {"end", QMP_ADDRESS, NULL},
	     {"leaf-bytes", QMP_SIZE, NULL}, {"leaves", QMP_INT, NULL},
	     {"rights", QMP_TEXT, "live: rwxu"}, {"host-physical", QMP_ADDRESS, "live: of start"}),
};

const struct qmp_list protocol_kvm_stats = {
	LIST({"name", QMP_TEXT, NULL}, {"kind", QMP_TEXT, NULL}, {"unit", QMP_TEXT, NULL},
	     {"value", QMP_INT, NULL}, {"values", QMP_ANY, "where there are several"}),
	.head = "# name                                      value unit",
	.row = "{name:-36} {value:12!} {unit}",
};

const struct qmp_list protocol_traps = {
	LIST({"trap", QMP_INT, "its number"}, {"address", QMP_ADDRESS, NULL},
	     {"size", QMP_SIZE, NULL}, {"space", QMP_TEXT, NULL}, {"pages", QMP_INT, NULL},
	     {"access", QMP_TEXT, NULL}, {"policy", QMP_TEXT, NULL}, {"hits", QMP_INT, NULL}),
	.head = "# trap space    address              size pages access policy hits",
	.row = "{trap:6} {space:-8} {address:-18} {size:6} {pages:5} {access:-6} {policy:-6} "
	       "{hits}",
};

const struct qmp_list protocol_dirty_regions = {
	LIST({"name", QMP_TEXT, NULL}, {"pages", QMP_INT, NULL}, {"working-set", QMP_INT, NULL}),
	.head = "# region      pages working_set",
	.row = "{name:-8} {pages:10} {working-set:11}",
};

const struct qmp_list protocol_dirty_ranges = {
	LIST({"start", QMP_ADDRESS, NULL}, {"end", QMP_ADDRESS, NULL}, {"pages", QMP_INT, NULL}),
	.head = "# range                            pages",
	.row = "0x{start:012x}-0x{end:012x} {pages:10}",
};

const struct qmp_list protocol_checks = {
	LIST({"name", QMP_TEXT, NULL}, {"items", QMP_INT, "looked at"},
	     {"violations", QMP_INT, NULL}, {"holds", QMP_TEXT, "what it checks"}),
};

const struct qmp_list protocol_ram = {
	LIST({"start", QMP_ADDRESS, NULL}, {"end", QMP_ADDRESS, NULL}, {"node", QMP_INT, NULL}),
};

const struct qmp_list protocol_reserved = {
	LIST({"start", QMP_ADDRESS, NULL}, {"end", QMP_ADDRESS, NULL}, {"kind", QMP_TEXT, NULL}),
};

const struct qmp_list protocol_held = {.row = "vCPU {vcpu} is held by {text}"};

const struct qmp_list protocol_insns = {
	LIST({"address", QMP_ADDRESS, NULL}, {"bytes", QMP_TEXT, "in hexadecimal"},
	     {"text", QMP_TEXT, "in Intel's syntax"}, {"place", QMP_TEXT, "symbol+offset/size"}),
};

const struct qmp_list protocol_doing = {
	LIST({"vcpu", QMP_INT, "where it is one that does it"}, {"command", QMP_TEXT, "under way"},
	     {"seconds", QMP_REAL, "since it was begun"},
	     {"trap", QMP_INT, "that holds the vCPU, where one does"},
	     {"job", QMP_TEXT, "the id it was sent with, where that is a string"},
	     {"done", QMP_INT, "of its own steps, where it counts them"},
	     {"total", QMP_INT, "steps, where that is known"},
	     {"cancelled", QMP_BOOL, "true: it was, and has not ended yet"}),
};

const struct qmp_list protocol_violations = {
	LIST({"check", QMP_TEXT, NULL}, {"address", QMP_ADDRESS, NULL}, {"text", QMP_TEXT, NULL},
	     {"found", QMP_U64, NULL}, {"expected", QMP_U64, NULL},
	     {"operation", QMP_INT, "the one after which it was first seen"},
	     {"line", QMP_TEXT, "all that"}),
};

const struct qmp_list protocol_changes = {
	LIST({"change", QMP_TEXT, "its kind, by which it has what follows"},
	     {"start", QMP_ADDRESS, NULL}, {"end", QMP_ADDRESS, NULL}, {"before", QMP_ANY, NULL},
	     {"after", QMP_ANY, NULL}, {"name", QMP_TEXT, NULL}, {"pages-before", QMP_INT, NULL},
	     {"pages-after", QMP_INT, NULL}),
};

const struct qmp_list protocol_entries = {
	LIST({"level", QMP_INT, NULL}, {"at", QMP_ADDRESS, NULL}, {"value", QMP_ADDRESS, NULL},
	     {"flags", QMP_ANY, "names"}, {"rights", QMP_TEXT, "so far"}, {"leaf", QMP_BOOL, NULL},
	     {"second", QMP_ANY, "where the second stage has the table"}),
};

const struct qmp_list protocol_second_leaf = {
	LIST({"mapped", QMP_BOOL, NULL}, {"physical", QMP_ADDRESS, NULL},
	     {"leaf-bytes", QMP_SIZE, NULL}, {"host-physical", QMP_ADDRESS, NULL},
	     {"host", QMP_ADDRESS, NULL}),
};

const struct qmp_list protocol_loads = {
	LIST({"stage", QMP_INT, "1: the guest's tables, 2: the second stage's"},
	     {"level", QMP_INT, NULL},
	     {"physical", QMP_ADDRESS, "stage 1: of the entry, stage 2: what is translated"},
	     {"at", QMP_ADDRESS, "of the entry, host-physical"}, {"value", QMP_ADDRESS, NULL}),
};

const struct qmp_list protocol_symbols = {
	LIST({"address", QMP_ADDRESS, NULL}, {"size", QMP_SIZE, NULL}, {"name", QMP_TEXT, NULL}),
	.head = "# address              size name",
	.row = "{address:-18} {size:8} {name}",
};

const struct qmp_list protocol_tree_sum = {
	LIST({"busy", QMP_INT, NULL}, {"lazy", QMP_INT, NULL}, {"free", QMP_INT, NULL},
	     {"unknown", QMP_INT, NULL}, {"busy-bytes", QMP_U64, NULL},
	     {"lazy-bytes", QMP_U64, NULL}, {"free-bytes", QMP_U64, NULL},
	     {"payload-bytes", QMP_U64, "of busy ones, without guards"},
	     {"largest-start", QMP_ADDRESS, "of the largest free piece"},
	     {"largest-end", QMP_ADDRESS, NULL}),
};

const struct qmp_list protocol_live_counts = {
	LIST({"leaves-4k", QMP_INT, NULL}, {"leaves-2m", QMP_INT, NULL},
	     {"leaves-1g", QMP_INT, NULL}, {"tables", QMP_INT, NULL},
	     {"marked", QMP_INT, "entries of KVM's own that map nothing"}),
};

const struct qmp_list protocol_dirty_rate = {
	LIST({"last", QMP_REAL, "pages a second first written in an epoch"},
	     {"mean", QMP_REAL, NULL}, {"deviation", QMP_REAL, NULL},
	     {"epochs", QMP_INT, "over how many"}),
};
