/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one can ask a running guest: the one table of commands and events. The service
 * (vmm/service/service.h) carries them out, nestctl makes its verbs of them, docs/protocol.md is
 * held against them. Data alone; no code.
 */
#ifndef VMM_WIRE_PROTOCOL_H
#define VMM_WIRE_PROTOCOL_H

#include "vmm/wire/qmp.h"

/* Who carries a command out (qmp_command.lane); each lane does one thing after the other. */
enum protocol_lane {
	PROTOCOL_WIRE = QMP_LANE_WIRE, /* vmm/wire/qmp.c */
	PROTOCOL_QUICK,                /* the server's own thread: it never waits */
	PROTOCOL_CALL,                 /* a hypercall, on the lane of the vCPU it goes to */
	PROTOCOL_LOOK,                 /* reads the guest from outside, while it runs */
	PROTOCOL_ALONE, /* with no hypercall under way on any vCPU; any command with PROTOCOL_LIVE
			 */
};

/*
 * Hypercalls (qmp_command.opcode): the opcode in the low 16 bits; with PROTOCOL_FIRST the bits from
 * 24 on are arg[0], which no argument gives. An argument or a returned member with a place
 * (PROTOCOL_AT) goes to arg[] or comes from result[] there. Of FRAMES and BYTES the place is that
 * of their count; they themselves go through the data area from offset 0.
 */
#define PROTOCOL_FIRST(opcode, first) ((opcode) | 1u << 16 | (unsigned int)(first) << 24)
#define PROTOCOL_AT(index)            ((index) + 1)

/* What every hypercall takes besides its own arguments, and returns besides its results. */
#define PROTOCOL_VCPU         "vcpu"
#define PROTOCOL_IN_INTERRUPT "in-interrupt"
#define PROTOCOL_TICKS        "ticks"

/* Returned, and true, where a command was cancelled: what it returns is what was done so far. */
#define PROTOCOL_INTERRUPTED "interrupted"

/* A flag: with it the second stage's real tables are read, which takes a guest that is paused. */
#define PROTOCOL_LIVE "live"

/* No more bytes are read or written at once. */
#define PROTOCOL_MEMORY_BYTES (256u << 10)

/* No trap is on more. */
#define PROTOCOL_TRAP_BYTES (256ull << 20)

/* Nor more entries of a list returned at once: the rest is asked for with the next start. */
#define PROTOCOL_LIST_MAX 4096u

extern const struct qmp_table protocol_table;

/* The lists commands return, and objects inside what they return: vmm/wire/protocol_lists.c. */
extern const struct qmp_list protocol_areas, protocol_tiles, protocol_maps, protocol_mappings,
	protocol_zones, protocol_zone_frames, protocol_frame_runs, protocol_slabs, protocol_moments,
	protocol_regions, protocol_leaves, protocol_kvm_stats, protocol_traps,
	protocol_dirty_regions, protocol_dirty_ranges, protocol_checks, protocol_ram,
	protocol_reserved, protocol_held, protocol_insns, protocol_doing, protocol_violations,
	protocol_changes, protocol_entries, protocol_second_leaf, protocol_tree_sum,
	protocol_live_counts, protocol_dirty_rate, protocol_memory_stats, protocol_domain_stats,
	protocol_loads, protocol_symbols;

/* The groups of the table, each in a file of its own: vmm/wire/protocol_*.c. */
extern const struct qmp_command protocol_wire_commands[], protocol_guest_commands[],
	protocol_call_commands[], protocol_process_commands[], protocol_test_commands[],
	protocol_look_commands[], protocol_second_commands[], protocol_qemu_commands[],
	protocol_libvirt_commands[];

#endif
