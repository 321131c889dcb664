/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KVM's binary statistics of a VM or a vCPU, with the schema KVM gives: names, kinds, units. What
 * they are is read once; the values whenever asked. Names are KVM's own: pages_4k, pages_2m,
 * pages_1g, mmu_shadow_zapped ...
 *
 * Source: Linux Documentation/virt/kvm/api.rst, 4.134 KVM_GET_STATS_FD.
 */
#ifndef EPT_STATS_H
#define EPT_STATS_H

#include <stddef.h>

#include "lib/error.h"
#include "ept/types.h"

enum stats_kind {
	STATS_CUMULATIVE,  /* only grows */
	STATS_INSTANT,     /* goes up and down */
	STATS_PEAK,        /* the most there was */
	STATS_LINEAR_HIST, /* buckets of equal width */
	STATS_LOG_HIST,    /* buckets that double */
	STATS_OTHER,       /* a kind this code does not know */
};

enum stats_unit {
	STATS_NONE,
	STATS_BYTES,
	STATS_SECONDS,
	STATS_CYCLES,
	STATS_BOOLEAN,
	STATS_UNIT_OTHER,
};

struct stats_entry {
	const char *name;
	enum stats_kind kind;
	enum stats_unit unit;
	unsigned int base; /* 10 or 2: the value counts in base^exponent units */
	int exponent;
	unsigned int count;     /* values: 1, or the buckets of a histogram */
	uint64_t bucket_width;  /* linear histograms */
	const uint64_t *values; /* count of them, as of the last stats_read() */
};

struct stats;

/*
 * The statistics behind @fd, a VM's or a vCPU's; @fd stays the caller's and is not needed
 * afterwards. Reads the schema and the values. Errors: -EOPNOTSUPP (KVM before 5.14), -EPROTO
 * (a schema that makes no sense), -ENOMEM, the system's.
 */
int stats_open(int fd, struct stats **stats_out, struct error *error);

/* The same from a file that holds what KVM's descriptor would; takes @file over, even on error. */
int stats_open_file(int file, struct stats **stats_out, struct error *error);

void stats_close(struct stats *stats);

/* What the statistics are of, in KVM's words: "kvm-1234" or "kvm-1234/vcpu-0". */
const char *stats_id(const struct stats *stats);

size_t stats_count(const struct stats *stats);
const struct stats_entry *stats_at(const struct stats *stats, size_t index);

/* By KVM's name, or NULL. */
const struct stats_entry *stats_find(const struct stats *stats, const char *name);

/* Reads all values anew. Errors: the system's; the values are then a mixture. */
int stats_read(struct stats *stats, struct error *error);

/* Words for people and JSON: "cumulative", "bytes" ... */
const char *stats_kind_name(enum stats_kind kind);
const char *stats_unit_name(enum stats_unit unit);

#endif
