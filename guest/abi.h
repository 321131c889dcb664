/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The contract between the guest and its host: how the guest is entered, the page it is told
 * about itself in, ports, hypercall rings, opcodes, and where the layout note is. Both sides
 * include it; it includes nothing but freestanding headers. Every structure has a fixed size and
 * only fields of fixed width; all is little-endian. Addresses named _gpa are guest-physical.
 *
 * Who trusts whom: nobody. The guest checks every argument; the host takes every byte it reads
 * from guest memory as hostile, reads each field once, and never lets a guest value choose an
 * address of its own. That is why the host, not the guest, places the rings.
 *
 * ENTRY. The host loads the image's segments at p_paddr and builds, in frames after it:
 *   - boot page tables, 4-level: the image at p_vaddr with each segment's own rights in 4 KiB
 *     leaves (W^X); all RAM in the direct map, writable and never executable, in the largest
 *     leaves there are, but read-only where a read-only segment of the image lies; and, for every
 *     section (128 MiB) that holds RAM, the tables down to the page directory whose entry will
 *     hold the section's 2 MiB of page array;
 *   - the boot information page;
 *   - a hypercall area for each vCPU.
 * Frame 0 is never RAM to the guest. All memory the guest is given is zero.
 * Every vCPU is entered at the image's e_entry in 64-bit mode: CR0 = PE MP ET NE WP PG, CR4 = PAE
 * PGE, EFER = LME LMA NXE SCE, CR3 = the boot tables, flat segments whose descriptors are in no
 * table, interrupts off, x2APIC on, RDI = direct-map address of the boot information, RSI = the
 * vCPU's index; other registers 0; no stack. The boot vCPU is 0; the others are entered at the
 * same time and wait for it by themselves.
 */
#ifndef GUEST_ABI_H
#define GUEST_ABI_H

#include <stddef.h>
#include <stdint.h>

#define NB_ABI_VERSION 1u

/* The virtual layout: Linux's with 4-level paging. */
#define NB_DIRECT_BASE  0xffff888000000000ull
#define NB_MEMMAP_BASE  0xffffea0000000000ull
#define NB_IMAGE_BASE   0xffffffff80000000ull /* maps guest-physical 0; the image lies in it */
#define NB_MODULES_BASE 0xffffffffc0000000ull /* where the image's range ends */

/* RAM: ranges are multiples of 4 MiB; addresses end below 2 TiB. */
#define NB_RAM_ALIGN     0x400000ull
#define NB_RAM_LIMIT     0x20000000000ull
#define NB_SECTION_SHIFT 27
#define NB_MAX_VCPUS     64u
#define NB_MAX_NODES     8u
#define NB_MAX_RANGES    16u

/* ---- boot information ---- */

#define NB_BOOT_MAGIC 0x746f6f6278747365ull /* "estxboot" */

enum nb_reserved_kind {
	NB_RESERVED_IMAGE = 1,  /* the image's segments */
	NB_RESERVED_TABLES = 2, /* boot page tables, every frame of it a table */
	NB_RESERVED_BOOT = 3,   /* boot information and hypercall areas */
};

struct nb_range {
	uint64_t start, end; /* [start, end), page aligned */
	uint32_t node;
	uint32_t kind; /* enum nb_reserved_kind; 0 for RAM */
};

/* One page, read by the guest once, before anything else. */
struct nb_boot_info {
	uint64_t magic;
	uint32_t version;
	uint32_t nr_vcpus; /* 1..NB_MAX_VCPUS */
	uint64_t root_gpa; /* the boot PML4 */
	uint64_t flags;    /* NB_BOOT_* */
	uint32_t nr_ram;
	uint32_t nr_reserved;
	struct nb_range ram[NB_MAX_RANGES];      /* ascending, disjoint */
	struct nb_range reserved[NB_MAX_RANGES]; /* ascending, disjoint, inside ram */
	uint64_t area_gpa[NB_MAX_VCPUS];         /* struct nb_vcpu_area of each vCPU */
	uint64_t tsc_khz; /* the vCPUs' time stamp counters; 0: not known, taken for 1 GHz */
};
_Static_assert(sizeof(struct nb_boot_info) <= 4096, "the boot information is one page");

/* The node vCPU @i of @nr_vcpus is nearest to: in order, as many to each of @nr_nodes. */
#define NB_VCPU_NODE(i, nr_vcpus, nr_nodes) ((i) * (nr_nodes) / (nr_vcpus))

#define NB_BOOT_EAGER       0x1u /* start with eager flushing */
#define NB_BOOT_HOST_ZEROES 0x2u /* NB_PORT_ZERO may be used */
#define NB_BOOT_TELL_FRAMES 0x4u /* tell what becomes of frames: NB_PORT_FRAMES */

/* ---- hypercalls ---- */

/*
 * Per vCPU: a submission ring the host writes and the guest reads, a completion ring the other
 * way round. Indexes run freely modulo 2^32; an entry's slot is its index modulo the ring's size.
 * The host fills entries, then stores sq_tail (release), then rings: the doorbell interrupt. The
 * guest takes entries until sq_head == sq_tail, answers each in order with one completion, then
 * writes its index to NB_PORT_COMPLETE, once, checks again, and halts. The guest never overruns
 * the completion ring: it has as many slots as the submission ring, and the host submits only as
 * many as it has taken completions for. Should it submit more, those wait until it has taken
 * completions and rings again. A sq_tail more than a ring ahead of sq_head is reported as
 * NB_EVENT_WARN, once, and nothing is served until the host corrects it and rings.
 */
#define NB_RING_ENTRIES 256u

struct nb_submission {
	uint16_t opcode; /* NB_OP_* */
	uint16_t flags;  /* NB_SQE_* */
	uint32_t reserved;
	uint64_t user_data; /* returned as it is */
	uint64_t arg[12];   /* unused ones are 0 */
	uint64_t pad[2];
};
_Static_assert(sizeof(struct nb_submission) == 128, "a submission is 128 bytes");

struct nb_completion {
	uint64_t user_data;
	int64_t status; /* 0 or -errno, Linux's numbers */
	uint64_t result[4];
	/* RDTSC in the guest, around the operation alone; both 0 when it was refused unseen */
	uint64_t tsc_start, tsc_end;
};
_Static_assert(sizeof(struct nb_completion) == 64, "a completion is 64 bytes");

/*
 * Flags of a submission. IN_INTERRUPT: the CPU interrupts itself and does the operation in the
 * handler. What must not be called there does nothing, is reported (NB_EVENT_WARN) and answered
 * with -EPERM; NB_OP_USER_RUN is refused with -EINVAL.
 */
#define NB_SQE_IN_INTERRUPT 0x1u

/* Text or data of hypercalls, either way. The guest reads and writes only what it is told to. */
#define NB_DATA_BYTES 65536u

/* The guest writes what happened here before it writes to NB_PORT_EVENT or NB_PORT_PANIC. */
struct nb_event {
	uint32_t kind;       /* enum nb_event_kind */
	uint32_t text_bytes; /* of text[], no terminator needed */
	uint64_t vector;     /* exceptions: the vector; else 0 */
	uint64_t error_code;
	uint64_t cr2;
	/* rax rbx rcx rdx rsi rdi rbp rsp r8 .. r15 rip rflags: where it happened */
	uint64_t regs[18];
	uint64_t user_data; /* of the hypercall in flight, 0 if none */
	char text[512];
};

enum nb_event_kind {
	NB_EVENT_LOG = 1,   /* text is one line; error_code its level as in Linux */
	NB_EVENT_WARN = 2,  /* something is wrong, the guest goes on; text has file and line */
	NB_EVENT_PANIC = 3, /* the guest cannot go on (BUG) */
	NB_EVENT_TRAP = 4,  /* an exception nobody expected: the guest cannot go on */
};

/*
 * With NB_BOOT_TELL_FRAMES: frames that are handed out or given up, whatever for. The guest fills
 * frame_runs[0..nr_frame_runs), then writes to NB_PORT_FRAMES: before it stores in a frame that was
 * handed out, and before anybody can get one that was given up.
 */
struct nb_frame_run {
	uint32_t pfn;
	uint32_t nr; /* frames, and NB_FRAMES_TAKEN when they are handed out */
};
#define NB_FRAMES_TAKEN 0x80000000u
#define NB_FRAME_RUNS   255u

struct nb_vcpu_area {
	/* first page: indexes, each writer on a cache line of its own */
	uint32_t sq_tail; /* host */
	uint32_t pad0[15];
	uint32_t sq_head; /* guest */
	uint32_t cq_tail; /* guest */
	uint32_t online;  /* guest: 1 once this vCPU takes hypercalls */
	uint32_t pad1;
	uint64_t progress; /* guest: counts up during long operations; the watchdog looks */
	uint64_t current;  /* guest: user_data of the operation in flight */
	uint32_t pad2[8];
	uint32_t cq_head; /* host */
	uint32_t cancel;  /* host: not 0: nobody wants the rest of a long operation */
	uint32_t pad3[14];
	struct nb_event event;
	uint32_t nr_frame_runs; /* guest */
	uint32_t pad5;
	struct nb_frame_run frame_runs[NB_FRAME_RUNS];
	uint8_t pad4[4096 - 192 - sizeof(struct nb_event) - 8 * (1 + NB_FRAME_RUNS)];
	struct nb_submission sq[NB_RING_ENTRIES];
	struct nb_completion cq[NB_RING_ENTRIES];
	uint8_t data[NB_DATA_BYTES];
};
_Static_assert(offsetof(struct nb_vcpu_area, sq) == 4096, "the rings start on a page");
_Static_assert(sizeof(struct nb_vcpu_area) % 4096 == 0, "an area is whole pages");

/* Ports; 32-bit OUT only, the value is the vCPU's index unless said. Anything else is an error. */
#define NB_PORT_COMPLETE 0x600u /* completions wait */
#define NB_PORT_EVENT    0x604u /* area.event holds an event; the guest goes on when OUT returns */
#define NB_PORT_PANIC    0x608u /* area.event holds the last event; the guest never returns */

/*
 * With NB_BOOT_HOST_ZEROES: the value is the number of a frame, and when OUT returns its 4 KiB are
 * zero. For hosts that emulate CPL 0, where the guest's own `rep stosq` takes a hundred times as
 * long as the exit; elsewhere the host does not offer it. A frame that is no RAM is an error.
 */
#define NB_PORT_ZERO 0x60cu

/* With NB_BOOT_TELL_FRAMES: area.frame_runs are filled; the host has seen them when OUT returns. */
#define NB_PORT_FRAMES 0x610u

/* Interrupt vectors the host sends. */
#define NB_VECTOR_DOORBELL 0x40u

/*
 * Opcodes. arg[] and result[] by position; everything not named must be 0. Unknown opcodes are
 * answered with -ENOSYS, arguments that make no sense with -EINVAL and no effect.
 */
enum nb_opcode {
	/* Nothing. result[0] = arg[0]. */
	NB_OP_NOP = 0,

	/*
	 * vmalloc_node_range(). arg: 0 size, 1 align, 2 start, 3 end, 4 gfp (32 bits), 5 prot,
	 * 6 VM_ flags, 7 node (signed, -1 any), 8 caller (0: the operation itself), 9 under rules
	 * (NB_OP_SET_RULES) the pools' node plus 1, or 0. result: 0 address. The window must be
	 * canonical, in one half, and clear of the direct map, the page array and the image; prot
	 * present, without address bits.
	 */
	NB_OP_VMALLOC = 1,
	/* arg: 0 address, 1 under rules the pools' node plus 1, or 0. */
	NB_OP_VFREE = 2,
	/*
	 * get_vm_area_node(): a range without frames; arguments and result as NB_OP_VMALLOC, but
	 * any window. -ENOSPC too where the lowest hole lies in the direct map, the page array or
	 * the image.
	 */
	NB_OP_GET_VM_AREA = 3,
	/* arg: 0 address of an area without frames, 1 as NB_OP_VFREE. */
	NB_OP_FREE_VM_AREA = 4,
	/*
	 * arg, under rules: 0 NB_PURGE_*, 1 where the last range to give back starts, without nodes
	 * (0: all go). result: 0 ranges given back.
	 */
	NB_OP_PURGE = 5,
	/* arg: 0 enum nb_mode. */
	NB_OP_SET_MODE = 6,
	/* arg: 0 address. result: 0 frame number. -ENOENT where nothing is mapped. */
	NB_OP_VMALLOC_TO_PAGE = 7,
	/*
	 * result: 0 free frames, 1 busy areas, 2 lazy pages, 3 page-table frames.
	 */
	NB_OP_STATS = 8,
	/*
	 * One case of the vmalloc suite, without an exit for each operation. arg: 0 enum
	 * nb_bench_case, 1 loops (at least 1), 2 pages (NB_BENCH_FIX_SIZE: at least 1; else 0),
	 * 3 seed of the random numbers, 4 stamps: 1 to write each loop's ticks to area.data as
	 * uint32_t (2^32 - 1 for more), for at most NB_BENCH_STAMPS_MAX loops; else 0.
	 * result: 0 ticks of all loops together, set-up and clearing up not counted; 1 loops:
	 * fewer than asked for where area.cancel ended them (looked at every 256), in set-up too.
	 * No range is lazy when the loops start. -ENOMEM or -ENOSPC when an allocation failed.
	 * Either way all is freed, and area.progress counts loops and, in set-up and clearing up,
	 * areas.
	 */
	NB_OP_BENCH = 9,
	/*
	 * From now on ranges are placed, kept and given back as a release of Linux does it
	 * (mm/vmap_linux.h). arg: 0 enum nb_order, 1 enum nb_search, 2 nodes with pools (0 before
	 * 6.9), 3 whether a decay empties pools of fewer than four. All 0: the core's own rules.
	 * -EBUSY while a range is lazy.
	 */
	NB_OP_SET_RULES = 10,
	/*
	 * Gives the free tree a shape: its tiles in preorder, a node before its left and its right
	 * subtree. arg: 0 number of tiles, 1 offset in area.data of uint64_t each: a tile's start,
	 * plus NB_SHAPE_RED. -EINVAL, nothing changed, if that is no red-black tree of just the
	 * free tiles.
	 */
	NB_OP_SET_SHAPE = 11,
	/* Gives back one lazy or pooled range. arg: 0 its address. -ENOENT. */
	NB_OP_RELEASE = 12,
	NB_OP_LOAD = 13, /* a part of a workload: guest/load_abi.h */

	/*
	 * Frames and objects of the host's own. FREE_PAGES and KFREE take only what ALLOC_PAGES
	 * and KMALLOC gave and nobody gave away since; else -EINVAL. A frame that an area shows
	 * (MAP_VM_AREA, VMAP) is -EBUSY; one that a process shows stays in use until it no longer
	 * does. ALLOC_PAGES: arg 0 order, 1 gfp, 2 node; result 0 first frame number. FREE_PAGES:
	 * 0 frame number, 1 order. KMALLOC: 0 size, 1 gfp, 2 node; result 0 address. KFREE: 0
	 * address.
	 */
	NB_OP_ALLOC_PAGES = 0x10,
	NB_OP_FREE_PAGES = 0x11,
	NB_OP_KMALLOC = 0x12,
	NB_OP_KFREE = 0x13,

	/*
	 * The seed's other calls (mm/vmalloc.h, mm/vm_area.h, mm/vaccess.h say what each does and
	 * when it fails). Frame numbers and bytes go through area.data at the offset given, a
	 * multiple of 8; what does not fit in it is -EINVAL. Frames are single ones (order 0) of
	 * ALLOC_PAGES that the host still has; any other is -EINVAL.
	 *
	 * VMALLOC_CALL: arg 0 enum nb_vmalloc_call, 1 size, 2 gfp, 3 prot, 4 node, each 0 where
	 * the call does not take it; result 0 address.
	 */
	NB_OP_VMALLOC_CALL = 0x20,
	/* vmalloc_area_node(). arg: 0 address of a reserved area, 1 gfp, 2 prot, 3 node. */
	NB_OP_VMALLOC_AREA = 0x21,
	/* arg: 0 size, 1 VM_ flags, 2 start, 3 end; 2 and 3 both 0 for get_vm_area(). result: 0
	 * address. */
	NB_OP_GET_VM_AREA_WINDOW = 0x22,
	/*
	 * arg: 0 any address of the area. result: 0 first address, 1 size with the guard, 2 VM_
	 * flags, 3 pages (of its own). -ENOENT.
	 */
	NB_OP_FIND_VM_AREA = 0x23,
	/*
	 * remove_vm_area() and the end of what it gave. arg: 0 address. result: 0 size without
	 * guard, 1 VM_ flags, 2 pages.
	 */
	NB_OP_REMOVE_VM_AREA = 0x24,
	/* arg: 0 size. result: 0 address. */
	NB_OP_ALLOC_VM_AREA = 0x25,
	/* arg: 0 address, 1 number of frames, 2 prot, 3 offset of their numbers, uint64_t each. */
	NB_OP_MAP_VM_AREA = 0x26,
	/* arg: 0 address, 1 size. */
	NB_OP_UNMAP_KERNEL_RANGE = 0x27,
	/* arg: 0 address. */
	NB_OP_UNMAP_VM_AREA = 0x28,
	/*
	 * arg: 0 number of frames, 1 VM_ flags, 2 prot, 3 offset of their numbers. result: 0
	 * address. With VM_MAP_PUT_PAGES the frames are the area's from then on: none of them may
	 * be there twice (-EINVAL) or be shown by another area (-EBUSY).
	 */
	NB_OP_VMAP = 0x29,
	/* arg: 0 address. */
	NB_OP_VUNMAP = 0x2a,
	/* arg: 0 address, 1 bytes, 2 offset. result: 0 bytes. */
	NB_OP_VREAD = 0x2b,
	/* arg: 0 address, 1 bytes, 2 offset. result: 0 bytes consumed, 1 bytes stored. */
	NB_OP_VWRITE = 0x2c,

	/*
	 * Processes (mm/process.h), each named by its number. -ESRCH where there is none; -EBUSY
	 * while an operation of another vCPU works on it; -ENOENT where it has no such range.
	 *
	 * CREATE: result 0 number. DESTROY: arg 0 number.
	 */
	NB_OP_PROCESS_CREATE = 0x30,
	NB_OP_PROCESS_DESTROY = 0x31,
	/* arg: 0 process, 1 start, 2 end, 3 VM_READ, VM_WRITE, VM_EXEC, VM_SHARED. */
	NB_OP_VMA_CREATE = 0x32,
	/* arg: 0 process, 1 start. */
	NB_OP_VMA_DESTROY = 0x33,
	/* arg: 0 process, 1 user address, 2 frame number: one of ALLOC_PAGES, or of an area. */
	NB_OP_VM_INSERT_PAGE = 0x34,
	/* arg: 0 process, 1 start of the range, 2 address of the area, 3 first page of it. */
	NB_OP_REMAP_VMALLOC_RANGE = 0x35,
	NB_OP_VMALLOC_SYNC_ALL = 0x36,
	/*
	 * Runs code at CPL 3 in the process. arg: 0 process, 1 enum nb_user_program, 2 address,
	 * 3 number of 64-bit words, 4 value. result: 0 what the program returns. An exception at
	 * CPL 3 ends the program, not the guest: -EFAULT, and result 0 the vector, 1 the error
	 * code, 2 CR2, 3 RIP; -EINTR when it ran too long.
	 */
	NB_OP_USER_RUN = 0x37,
	/*
	 * Loads a 64-bit word at CPL 0 through the translation the CPU has. arg: 0 process in whose
	 * tables, 0 for the kernel's own, 1 address, which must not cross a page. result: 0 the
	 * word. -EFAULT where it faults. Nothing is flushed before: it shows a stale TLB entry.
	 */
	NB_OP_PROBE = 0x38,

	/*
	 * Fault injection. arg: 0 enum nb_fault, 1 which allocation of that kind from now on fails:
	 * 1 the next; 0 none. result: 0 what was left of the count before.
	 */
	NB_OP_SET_FAULT = 0x40,

	/*
	 * What the core asked of this CPU's caches, which x86 does by itself. arg: 0: 0 for
	 * flush_cache_vmap(), 1 for flush_cache_vunmap(). result: 0 how many calls so far, 1 start
	 * and 2 end of the range of the last, all 0 before there is one.
	 */
	NB_OP_CACHE_FLUSHES = 0x41,

	/* The guest hurts itself, so that the host's reports can be tested. */
	NB_OP_TEST_PANIC = 0x100,  /* BUG with a text */
	NB_OP_TEST_FAULT = 0x101,  /* loads from arg[0] */
	NB_OP_TEST_SPIN = 0x102,   /* never ends, interrupts off */
	NB_OP_TEST_UD = 0x103,     /* an undefined instruction */
	NB_OP_TEST_WARN = 0x104,   /* WARN with a text; completes */
	NB_OP_TEST_TRIPLE = 0x105, /* a triple fault */
	NB_OP_TEST_IO = 0x106,     /* a 32-bit OUT of arg[1] to port arg[0] */
	/*
	 * An instruction KVM's emulator does not know, where it must be emulated: a load from
	 * the page of guest-physical memory at arg[0], which must be no RAM.
	 */
	NB_OP_TEST_EMULATE = 0x107,
	/* The next arg[0] TLB flushes of this CPU do nothing and say that they did. */
	NB_OP_TEST_SKIP_FLUSH = 0x108,
	/*
	 * arg[0] log lines of the core (at most 10,000), as fast as they come: most of them must be
	 * held back. Before, the guest's clock is set forward by arg[1] milliseconds.
	 */
	NB_OP_TEST_LOG = 0x109,
	/*
	 * Touches memory the guest gave up. arg: 0 address, 1 a word to store there, 2: 1 to store,
	 * 0 to load; 3: 1 when arg 0 is a frame number, reached through the direct map. Not mapped:
	 * NB_OP_TEST_FAULT's trap. result: 0 the word loaded.
	 */
	NB_OP_TEST_TOUCH = 0x10a,
};

/* The seed's calls that NB_OP_VMALLOC_CALL makes, with the arguments each takes besides size. */
enum nb_vmalloc_call {
	NB_VMALLOC = 0,           /* vmalloc() */
	NB_VMALLOC_USER = 1,      /* vmalloc_user() */
	NB_VMALLOC_NODE = 2,      /* vmalloc_node(): node */
	NB_VMALLOC_EXEC = 3,      /* vmalloc_exec() */
	NB_VMALLOC_32 = 4,        /* vmalloc_32() */
	NB_VMALLOC_32_USER = 5,   /* vmalloc_32_user() */
	NB_VMALLOC_PROT = 6,      /* __vmalloc(): gfp, prot */
	NB_VMALLOC_PROT_NODE = 7, /* __vmalloc_node(): gfp, prot, node */
};

/* What runs at CPL 3. Each uses registers alone, and no memory but the words it is given. */
enum nb_user_program {
	NB_USER_READ = 0,  /* returns the sum of the words; the value must be 0 */
	NB_USER_WRITE = 1, /* stores value + i in word i; returns how many */
	/* calls the address, whose code must return and may not push; its RAX; words, value 0 */
	NB_USER_JUMP = 2,
	NB_USER_SPIN = 3, /* never ends; all 0 */
};

/* The page of these programs in every process: the last of user addresses, and no range's. */
#define NB_USER_CODE 0x7fffffffe000ull

/* Of a user range. */
#define NB_VM_READ   0x1u
#define NB_VM_WRITE  0x2u
#define NB_VM_EXEC   0x4u
#define NB_VM_SHARED 0x8u

/* What NB_OP_SET_FAULT can fail. Frames count one by one, those of slabs and tables too. */
enum nb_fault { NB_FAULT_FRAME = 0, NB_FAULT_SLAB = 1, NB_FAULT_TABLE = 2, NB_FAULT_AREA = 3 };

/*
 * Values of arguments the core has its own names for; guest/operations.c checks that both agree.
 * The VM_ flags below 2^32, gfp and prot are those of Linux 6.1.
 */
#define NB_VM_ALLOC         0x2ull
#define NB_VM_MAP           0x4ull
#define NB_VM_USERMAP       0x8ull
#define NB_VM_NO_GUARD      0x40ull
#define NB_VM_MAP_PUT_PAGES 0x200ull
#define NB_VM_ARRAY_OUTSIDE (1ull << 33) /* keep a large page array outside the address space */
#define NB_VM_LINUX_SEARCH  (1ull << 34) /* fail where Linux's search fails */
/* All that a caller may ask an area for, and vmap(). */
#define NB_VM_OF_AREAS   (0x155full | NB_VM_ARRAY_OUTSIDE | NB_VM_LINUX_SEARCH)
#define NB_VM_OF_VMAP    (NB_VM_MAP | NB_VM_USERMAP | NB_VM_MAP_PUT_PAGES)
#define NB_GFP_KERNEL    0xcc0u
#define NB_GFP_ZERO      0x100u
#define NB_GFP_NOWARN    0x2000u
#define NB_VMALLOC_START 0xffffc90000000000ull
#define NB_VMALLOC_END   0xffffe8ffffffffffull
#define NB_PAGE_KERNEL   0x8000000000000163ull

/* NB_OP_SET_RULES: the order of what a purge gives back, and how the search prunes. */
enum nb_order { NB_ORDER_OWN = 0, NB_ORDER_NEWEST_FIRST = 1, NB_ORDER_BY_ADDRESS = 2 };
enum nb_search { NB_SEARCH_5_2 = 0, NB_SEARCH_5_16 = 1, NB_SEARCH_5_18 = 2 };

#define NB_SHAPE_RED 0x2u

/*
 * NB_OP_PURGE: empty the pools; only decay them; do not, they are. Above the shift, 1 + the one
 * node to do so for, or 0 for all of them.
 */
#define NB_PURGE_FULL       0x1u
#define NB_PURGE_DECAY      0x2u
#define NB_PURGE_DECAYED    0x4u
#define NB_PURGE_NODE_SHIFT 8

/* NB_OP_SET_MODE. */
enum nb_mode { NB_MODE_LAZY = 0, NB_MODE_EAGER = 1, NB_MODE_MANUAL = 2 };

/*
 * The single-CPU cases of test_vmalloc (Linux's lib/test_vmalloc.c, 6.1), by what one loop does.
 * "Touch" is a store to the first byte. Their own set-up is repeated for each NB_OP_BENCH.
 */
enum nb_bench_case {
	NB_BENCH_FIX_SIZE = 0,          /* arg[2] pages; touch */
	NB_BENCH_FULL_FIT = 1,          /* 1 page into one of many holes of its size; touch */
	NB_BENCH_LONG_BUSY_LIST = 2,    /* 100 pages and 1 page beside 15000 areas; touch both */
	NB_BENCH_RANDOM_SIZE = 3,       /* 1..100 pages; touch */
	NB_BENCH_FIX_ALIGN = 4,         /* 5 pages, aligned to 32 KiB, zeroed */
	NB_BENCH_RANDOM_SIZE_ALIGN = 5, /* 1..10 pages, aligned to 1 B..4 MiB, zeroed */
};

#define NB_BENCH_STAMPS_MAX (NB_DATA_BYTES / sizeof(uint32_t))

/* ---- the layout note ---- */

/*
 * The image has a PT_NOTE with one note, name "NESTBOX", type NB_NOTE_LAYOUT, inside a read-only
 * PT_LOAD (a second PT_NOTE holds the build id): its descriptor is ASCII text, KEY=VALUE lines as
 * in Linux's VMCOREINFO: SYMBOL(name)= hex, OFFSET(struct.field)=, SIZE(struct)=, NUMBER(name)=
 * decimal (docs/hypercalls.md lists them). The host knows the guest's structures by this text
 * alone.
 */
#define NB_NOTE_NAME   "NESTBOX"
#define NB_NOTE_LAYOUT 0x4e42u

#endif
