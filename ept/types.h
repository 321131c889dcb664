/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The three kinds of address, as types that the compiler keeps apart: what the guest's
 * instructions use (gva), what the guest's page tables produce and the second stage translates
 * (gpa), and what the host's memory controller sees (hpa). A pointer into the VMM's own address
 * space is a plain void pointer.
 *
 * Ranges are half-open, [start, end). Physical addresses have at most 52 bits, so their end
 * always fits; for linear addresses an end of 0 stands for 2^64.
 */
#ifndef EPT_TYPES_H
#define EPT_TYPES_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
	uint64_t value;
} gva_t;

typedef struct {
	uint64_t value;
} gpa_t;

typedef struct {
	uint64_t value;
} hpa_t;

/* No x86-64 processor has more physical address bits (SDM vol. 3A, section 4.1.4). */
#define EPT_PHYSICAL_BITS_MAX 52

#define EPT_PAGE_BYTES    4096ULL
#define EPT_PAGE_2M_BYTES (1ULL << 21)
#define EPT_PAGE_1G_BYTES (1ULL << 30)

static inline gva_t gva_make(uint64_t value)
{
	return (gva_t){value};
}

static inline gpa_t gpa_make(uint64_t value)
{
	return (gpa_t){value};
}

static inline hpa_t hpa_make(uint64_t value)
{
	return (hpa_t){value};
}

/* The sums wrap at 2^64: the caller has checked what it adds. */
static inline gva_t gva_add(gva_t gva, uint64_t bytes)
{
	return (gva_t){gva.value + bytes};
}

static inline gpa_t gpa_add(gpa_t gpa, uint64_t bytes)
{
	return (gpa_t){gpa.value + bytes};
}

static inline hpa_t hpa_add(hpa_t hpa, uint64_t bytes)
{
	return (hpa_t){hpa.value + bytes};
}

static inline bool gpa_aligned(gpa_t gpa, uint64_t power_of_two)
{
	return (gpa.value & (power_of_two - 1)) == 0;
}

#endif
