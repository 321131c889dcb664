/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of libvirt's domain XML that is about memory, in libvirt's units: read from a file, and
 * written for a guest that runs. Source: https://libvirt.org/formatdomain.html and the schema that
 * libvirt ships (domain.rng), against which virt-xml-validate holds what is written here.
 *
 * A file is foreign: at most DOMAIN_BYTES_MAX of it, no document type, no entity but XML's own
 * five, no network. What it says that nestbox does not do is a warning that names the element or
 * attribute and its line; what contradicts itself is an error with its line. Nothing is ignored
 * without a word.
 */
#ifndef VMM_DOMAIN_DOMAIN_H
#define VMM_DOMAIN_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "guest/abi.h"
#include "lib/error.h"

#define DOMAIN_BYTES_MAX  (1u << 20)
#define DOMAIN_UUID_BYTES 37 /* 8-4-4-4-12 hexadecimal digits and the NUL */

/* vCPUs or host nodes by number, 0..DOMAIN_SET_MAX - 1. */
#define DOMAIN_SET_MAX 128
struct domain_set {
	uint64_t bits[DOMAIN_SET_MAX / 64];
};

/* <cpu><numa><cell>: a node of the guest. */
struct domain_cell {
	uint64_t memory_bytes;
	struct domain_set cpus;
	struct domain_set host_nodes; /* <numatune><memnode>: empty for none */
};

enum domain_source { DOMAIN_SOURCE_DEFAULT, DOMAIN_SOURCE_ANONYMOUS, DOMAIN_SOURCE_MEMFD };

struct domain {
	char *name;                   /* never NULL; owned */
	char uuid[DOMAIN_UUID_BYTES]; /* lower case; "" for none */
	uint64_t memory_bytes;        /* the guest's, a multiple of NB_RAM_ALIGN */
	uint64_t current_bytes;       /* <currentMemory>; as memory_bytes where there is none */
	unsigned int vcpus;
	char *kernel; /* <os><kernel>: the guest image; NULL for the built-in one; owned */

	enum domain_source source;
	uint64_t hugepage_bytes; /* <hugepages>: 0 for none, else 2 MiB or 1 GiB */
	bool shared;             /* <access mode='shared'/> */
	bool immediate;          /* <allocation mode='immediate'/> */
	bool locked;
	bool nosharepages;
	bool discard;

	unsigned int nr_cells; /* 0: no <numa>, all memory is one node's */
	struct domain_cell cell[NB_MAX_NODES];
	struct domain_set host_nodes; /* <numatune><memory>: empty for none */
};

/* One line of text, without a newline: "FILE:12: <devices> is not honoured: ...". */
typedef void (*domain_warn_fn)(void *context, const char *text);

/*
 * Reads the file @path. Returns 0 with *@domain_out to be freed by domain_free(), or -EINVAL (it
 * is not such a domain: @error has file, line and reason), -EFBIG, -ENOMEM, or open(2)'s and
 * read(2)'s. @warn is called for each warning, also where an error follows.
 */
int domain_read(const char *path, domain_warn_fn warn, void *context, struct domain *domain_out,
		struct error *error);

/* The same from @size_bytes bytes, called @name in messages. */
int domain_read_bytes(const char *bytes, size_t size_bytes, const char *name, domain_warn_fn warn,
		      void *context, struct domain *domain_out, struct error *error);

void domain_free(struct domain *domain);

/*
 * Writes @domain as a <domain type='kvm'> (type='qemu' if @soft) that libvirt's schema takes and
 * domain_read() reads back as it was. Returns 0 or -ENOMEM, with the text in *@text_out, which the
 * caller frees.
 */
int domain_write(const struct domain *domain, bool soft, char **text_out);

/*
 * A number of bytes in one of libvirt's units (virScaleInteger): "b", "bytes"; "KB", "MB", "GB",
 * "TB" for powers of 1000; "k", "KiB", "M", "MiB", "G", "GiB", "T", "TiB", ... for powers of 1024;
 * in either case. NULL is KiB. Returns 0, -EINVAL (no such unit) or -ERANGE.
 */
int domain_scale(uint64_t value, const char *unit, uint64_t *bytes_out);

/* Reads "0-3,8,^2" as libvirt does. Returns 0 or -EINVAL. */
int domain_set_parse(const char *text, struct domain_set *set_out);

/* Adds @number, below DOMAIN_SET_MAX; a larger one is not kept. */
void domain_set_add(struct domain_set *set, unsigned int number);
bool domain_set_has(const struct domain_set *set, unsigned int number);
unsigned int domain_set_count(const struct domain_set *set);

#endif
