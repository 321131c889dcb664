/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the guest finds when it is entered (ENTRY in guest/abi.h): where its RAM is, and the image,
 * the boot page tables, the boot information and the hypercall areas written into it. Pure over a
 * gpa_space: no KVM here.
 *
 *     0         4 KiB   first p_paddr     last end    page up
 *     +---------+-------+-----------------+-----------+-------------------+--------------+-----
 *     | frame 0 | RAM   | the image:      | boot info | hypercall areas   | boot tables  | RAM
 *     | reserved|       | reserved, whole | one page  | 29 pages a vCPU   | one a frame  |
 *     +---------+-------+-----------------+-----------+-------------------+--------------+-----
 *
 * All of it lies in the first RAM range. The reserved ranges of the boot information are these:
 * [0, 4096) as NB_RESERVED_BOOT, the image from its first segment to its last (gaps between
 * segments included) as NB_RESERVED_IMAGE, information and areas as NB_RESERVED_BOOT, tables as
 * NB_RESERVED_TABLES.
 *
 * Every leaf is global, accessed and dirty from the start, so that no processor has to write
 * there; the tables above are accessed.
 */
#ifndef VMM_IMAGE_BOOT_H
#define VMM_IMAGE_BOOT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "ept/gpa_space.h"
#include "ept/paging.h"
#include "guest/abi.h"
#include "vmm/image/image.h"

/* Where RAM is. */
struct memory_layout {
	uint32_t nr_ram;
	struct nb_range ram[NB_MAX_RANGES]; /* ascending, disjoint; kind is 0 */
	uint32_t bound[NB_MAX_RANGES];      /* to this host node plus one; 0: to none */
	bool trappable;                     /* traps may be set in it (ept/gpa_space.h) */
};

/*
 * The default: half of @size_bytes, but at most 3 GiB, from 0 up, the rest from 4 GiB up. With
 * more than one node, each of the two parts is split evenly between @nr_nodes, lowest first, which
 * may make the lower part a little smaller. @size_bytes must be a multiple of
 * NB_RAM_ALIGN * @nr_nodes, and at least twice that.
 * Errors: -EINVAL with the text saying which sizes are possible (a multiple, between
 * MEMORY_BYTES_MIN and MEMORY_BYTES_MAX; 1..NB_MAX_NODES nodes).
 */
int memory_layout_default(uint64_t size_bytes, unsigned int nr_nodes,
			  struct memory_layout *layout_out, struct error *error);

/*
 * The same with nodes of @node_bytes each, multiples of NB_RAM_ALIGN: the parts below and above
 * the hole are filled in the order of the nodes. Errors: -EINVAL as above.
 */
int memory_layout_nodes(const uint64_t *node_bytes, unsigned int nr_nodes,
			struct memory_layout *layout_out, struct error *error);

#define MEMORY_BYTES_MIN     (16ull << 20)
#define MEMORY_BYTES_MAX     (NB_RAM_LIMIT - (1ull << 30))
#define MEMORY_BYTES_DEFAULT (512ull << 20)

/*
 * Adds a region ("ram0", "ram1", ...) with its node for each range: a sparse memfd, or what
 * @backing says. Errors: gpa_space_add()'s.
 */
int memory_layout_add(const struct memory_layout *layout, struct gpa_space *space,
		      struct error *error);
int memory_layout_add_backed(const struct memory_layout *layout, const struct gpa_backing *backing,
			     struct gpa_space *space, struct error *error);

/* All RAM, in bytes. */
uint64_t memory_layout_bytes(const struct memory_layout *layout);

struct boot_config {
	const struct image *image;
	const struct memory_layout *memory;
	unsigned int nr_vcpus;
	bool pages_1g;  /* the vCPUs' CPUID has 1 GiB pages */
	uint64_t flags; /* NB_BOOT_* */
};

/* What was built and where; all the host needs to enter the guest and to look at it. */
struct boot {
	gva_t entry;
	gpa_t root;               /* the boot PML4 */
	gva_t info_gva;           /* what RDI is: the boot information in the direct map */
	uint64_t nr_tables;       /* boot page tables, in frames */
	struct nb_boot_info info; /* the host's own copy of what it told the guest */
};

/*
 * Writes everything into @space, whose RAM must be as @config->memory says, and still zero.
 * Errors: -EINVAL (vCPUs, ranges), -ENOSPC (the image, the tables or the areas do not fit below
 * the end of the first RAM range: the text says what would), -ENOMEM; after an error RAM may have
 * been written.
 */
int boot_build(const struct boot_config *config, struct gpa_space *space, struct boot *boot_out,
	       struct error *error);

#endif
