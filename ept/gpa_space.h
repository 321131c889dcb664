/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest-physical address space: which ranges hold memory, ROM, a device or a deliberate hole,
 * and where in this process the memory is.
 *
 * Regions are disjoint, page-aligned, [start, end), below 2^physical_bits. A region's memory is
 * one mapping whose address is congruent to its guest-physical address modulo 1 GiB (when made),
 * so that the second stage can use the largest leaves the backing allows; where it is mapped twice,
 * because traps may be set in it, both addresses are. Memory is sparse: it
 * costs what was touched. It is left out of core dumps.
 *
 * Every change is told to the listeners in the order they were added, and undone where one
 * refuses: a call that fails leaves the space, its memory and its listeners as they were. Should
 * the undoing fail too (KVM out of memory), the error is -ENOTRECOVERABLE: the space is as before
 * the call, a listener may not be.
 *
 * Locking is the caller's: any number of threads may look (const functions, and reads and writes
 * of guest bytes) while none changes. A host pointer is good until its region is removed. The guest
 * may run during a change.
 */
#ifndef EPT_GPA_SPACE_H
#define EPT_GPA_SPACE_H

#include <stddef.h>

#include "lib/error.h"
#include "ept/paging.h"
#include "ept/types.h"

enum gpa_kind {
	GPA_RAM,    /* memory the guest reads and writes */
	GPA_ROM,    /* memory the guest only reads: a write exits to the VMM */
	GPA_DEVICE, /* no memory: every access exits to the VMM */
	GPA_HOLE,   /* kept free: nothing may be added here, accesses exit */
};

enum gpa_backing_kind {
	GPA_BACKING_MEMFD, /* a memfd of its own, shared: the default */
	GPA_BACKING_ANON,  /* private anonymous memory: no file, cannot be handed on */
	GPA_BACKING_FILE,  /* the caller's file or memfd */
};

/* Called now and then while memory is preallocated. */
typedef void (*gpa_progress_fn)(void *context, uint64_t done_bytes, uint64_t total_bytes);

/* What stands behind a RAM or ROM region. All zero is a sparse memfd of small pages. */
struct gpa_backing {
	enum gpa_backing_kind kind;
	/* hugetlb pages: 0, EPT_PAGE_2M_BYTES or EPT_PAGE_1G_BYTES (not with FILE). The region's
	 * start and size must be multiples. The pages are reserved when the region is made. */
	uint64_t hugetlb_bytes;
	bool thp;          /* ask for transparent huge pages (MADV_HUGEPAGE) */
	bool file_private; /* FILE: map copy-on-write, the file stays as it is */
	bool reserve;      /* count the whole size against the host's overcommit limit now */
	bool prealloc;     /* touch every page now */
	bool lock;         /* keep every page in memory (mlock): touches it as well */
	/* Map the memory a second time, for KVM alone, so that traps can be set (ept/trap.h).
	 * Anonymous memory is then shared (a memfd). Not with hugetlb or file_private. */
	bool trappable;
	bool numa_bind; /* bind the pages to host node @host_node */
	unsigned int host_node;
	int fd;                   /* FILE: an open file, duplicated; must be as long as needed */
	uint64_t fd_offset;       /* FILE: where the region starts in it, page-aligned */
	gpa_progress_fn progress; /* may be NULL */
	void *progress_context;
};

#define GPA_NAME_BYTES 32

/* What gpa_space_add() is asked for. */
struct gpa_request {
	const char *name; /* 1..31 bytes, unique in the space; copied */
	enum gpa_kind kind;
	gpa_t start;                /* page-aligned */
	uint64_t size_bytes;        /* page-aligned, not 0 */
	int node;                   /* the guest's NUMA node, 0 or more */
	struct gpa_backing backing; /* RAM and ROM only */
	void *owner;                /* the caller's, e.g. the device; kept, not looked at */
};

/* A region of the space. Owned by the space; the caller only reads. */
struct gpa_region {
	char name[GPA_NAME_BYTES];
	enum gpa_kind kind;
	gpa_t start;
	gpa_t end;
	int node;
	uint32_t id; /* never used twice in one space */
	void *owner;
	void *host;         /* first byte in this process; NULL for DEVICE and HOLE */
	void *slot_host;    /* where KVM has it: host, or a second mapping where trappable */
	int fd;             /* file behind it, -1 if none; owned by the region: dup() to keep */
	uint64_t fd_offset; /* of the region's first byte in fd */
	struct gpa_backing backing;
};

/*
 * What a listener is told: a region comes, or goes. The region and its host mapping are good during
 * the call. Returns 0, or -errno with nothing changed and the reason in @error. Where a later
 * listener refuses, what was told is taken back by the other of the two.
 */
struct gpa_listener_ops {
	int (*add)(void *context, const struct gpa_region *region, struct error *error);
	int (*remove)(void *context, const struct gpa_region *region, struct error *error);
	/* May be NULL. The VMM wrote [gpa, gpa + size_bytes) itself: inside one RAM region. */
	void (*wrote)(void *context, gpa_t gpa, uint64_t size_bytes);
};

struct gpa_space;

/*
 * An empty space of 2^@physical_bits bytes; 32 to 52 (the guest's MAXPHYADDR).
 * Errors: -EINVAL (bits), -ENOMEM.
 */
int gpa_space_create(unsigned int physical_bits, struct gpa_space **space_out, struct error *error);

/* Unmaps and frees everything. Listeners are not told; NULL is allowed. */
void gpa_space_destroy(struct gpa_space *space);

/*
 * Adds a listener and tells it every region there is. @ops must outlive the space or the
 * listener. On failure it is told their removal again and is not added.
 */
int gpa_space_listen(struct gpa_space *space, const struct gpa_listener_ops *ops, void *context,
		     struct error *error);

/* Takes the listener with this @context away; it is told the removal of every region. */
int gpa_space_unlisten(struct gpa_space *space, void *context, struct error *error);

/*
 * Adds a region and maps its memory. Errors: -EINVAL (not aligned, empty, name, senseless
 * backing), -ERANGE (beyond the physical width), -EEXIST (the name, or an overlap: the text names
 * the other region), -ENOMEM (memory, or no huge pages reserved: the text says how many are
 * missing and how to get them), or what a listener or the system returned.
 */
int gpa_space_add(struct gpa_space *space, const struct gpa_request *request,
		  const struct gpa_region **region_out, struct error *error);

/* Removes @region and unmaps its memory. Errors: a listener's. */
int gpa_space_remove(struct gpa_space *space, const struct gpa_region *region, struct error *error);

unsigned int gpa_space_physical_bits(const struct gpa_space *space);

/* The regions in address order: index 0 to count - 1. */
size_t gpa_space_count(const struct gpa_space *space);
const struct gpa_region *gpa_space_at(const struct gpa_space *space, size_t index);

/* The region that holds @gpa, or NULL. O(log n). */
const struct gpa_region *gpa_space_find(const struct gpa_space *space, gpa_t gpa);

/* The region of that name, or NULL. O(n). */
const struct gpa_region *gpa_space_find_name(const struct gpa_space *space, const char *name);

/*
 * Where [gpa, gpa + size_bytes) is in this process. The whole range must lie in one RAM or ROM
 * region, and @size_bytes must not be 0. Never touches guest memory. O(log n).
 * Errors: -EFAULT; @host_out is then untouched.
 */
int gpa_space_translate(const struct gpa_space *space, gpa_t gpa, uint64_t size_bytes,
			void **host_out);

/*
 * Copies bytes out of and into guest memory, across regions that touch each other. All of the
 * range is checked before the first byte is copied: a failure copies nothing. A size of 0 is done
 * at once. Writes go to RAM only and are told to the listeners. The guest may be writing at the
 * same time: what was read is checked after the copy, never twice in place.
 * Errors: -EFAULT (not memory), -EROFS (a write to ROM: fill ROM through region->host).
 */
int gpa_space_read(const struct gpa_space *space, gpa_t gpa, void *buffer, size_t size_bytes);
int gpa_space_write(const struct gpa_space *space, gpa_t gpa, const void *buffer,
		    size_t size_bytes);

/* Reads page tables that lie in the space: the reader of ept/paging.h. */
struct paging_reader gpa_space_paging_reader(const struct gpa_space *space);

/*
 * Copies bytes at guest-virtual addresses, through the page tables of @mode and whatever their
 * rights are, as far as they are mapped to memory. Returns how many bytes that were. Reading with
 * @buffer NULL copies nothing: it says how many there are.
 */
size_t gpa_space_read_virtual(const struct gpa_space *space, const struct paging_mode *mode,
			      gva_t gva, void *buffer, size_t size_bytes);
size_t gpa_space_write_virtual(const struct gpa_space *space, const struct paging_mode *mode,
			       gva_t gva, const void *buffer, size_t size_bytes);

/* Tells the listeners that the VMM wrote [gpa, gpa + size_bytes) through a host pointer. */
void gpa_space_note_write(const struct gpa_space *space, gpa_t gpa, uint64_t size_bytes);

/*
 * The largest leaf (4 KiB, 2 MiB or 1 GiB in bytes) the addresses of @region allow: those modulo
 * which its host and guest-physical addresses are congruent. 0 for a region without memory.
 */
uint64_t gpa_region_leaf_bytes(const struct gpa_region *region);

/* Lower-case word for a kind: "ram", "rom", "device", "hole". */
const char *gpa_kind_name(enum gpa_kind kind);

/*
 * Checks every invariant of the space (order, alignment, bounds, unique names, mappings).
 * Returns 0, or -EUCLEAN with the first violation in @error. For tests and the auditor.
 */
int gpa_space_check(const struct gpa_space *space, struct error *error);

#endif
