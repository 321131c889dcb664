/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of the self-test: the walkers that map and unmap ranges, and the flushes around them. */
#include <errno.h>
#include <string.h>

#include "vmm/selftest/private.h"

#define RW       (PAGING_R | PAGING_W)
#define PROT_R   (NB_PAGE_KERNEL & ~(uint64_t)X86_PTE_RW)
#define PROT_RWX (NB_PAGE_KERNEL & ~X86_PTE_NX)

/* Where no row's area falls by itself, at boundaries of the walkers' levels. */
#define AT_TABLE     0xffffc9ff00400000ull /* 2 MiB */
#define AT_DIRECTORY 0xffffc9ff40000000ull /* 1 GiB */
#define AT_PML4      0xffffca8000000000ull /* 512 GiB */

#define FRAMES 8u

/* A reserved range with frames of the host's mapped in it. */
struct mapped {
	uint64_t at, pfn[FRAMES];
};

/* Half of FRAMES pages before @boundary, half behind it. */
static struct mapped map_across(struct selftest *t, uint64_t boundary)
{
	struct mapped m;

	m.at = selftest_reserve_at(t, boundary - FRAMES / 2 * PAGE, FRAMES);
	selftest_take_frames(t, m.pfn, FRAMES);
	selftest_list_frames(t, m.pfn, FRAMES);
	DO(t, NB_OP_MAP_VM_AREA, m.at, FRAMES, NB_PAGE_KERNEL, 0);
	return m;
}

static void give_up(struct selftest *t, const struct mapped *m)
{
	DO(t, NB_OP_FREE_VM_AREA, m->at);
	selftest_expect_gone(t, m->at, FRAMES);
	selftest_put_frames(t, m->pfn, FRAMES);
}

static void map_row(struct selftest *t, uint64_t boundary)
{
	struct mapped m = map_across(t, boundary);

	selftest_expect_mapped(t, m.at, FRAMES, RW);
	selftest_expect_frames(t, m.at, FRAMES, m.pfn);
	selftest_set_frame_word(t, m.pfn[FRAMES - 1], 0x600df00d);
	selftest_expect_word(t, m.at + (FRAMES - 1) * PAGE, 0x600df00d);
	give_up(t, &m);
}

/* Two pages on either side of @boundary go; those around them stay. */
static void unmap_row(struct selftest *t, uint64_t boundary)
{
	struct mapped m = map_across(t, boundary);

	DO(t, NB_OP_UNMAP_KERNEL_RANGE, m.at + 2 * PAGE, (FRAMES - 4) * PAGE);
	selftest_expect_clear(t, m.at + 2 * PAGE, FRAMES - 4);
	selftest_expect_mapped(t, m.at, 2, RW);
	selftest_expect_mapped(t, m.at + (FRAMES - 2) * PAGE, 2, RW);
	selftest_expect_frames(t, m.at, 2, m.pfn);
	selftest_expect_frames(t, m.at + (FRAMES - 2) * PAGE, 2, m.pfn + FRAMES - 2);
	give_up(t, &m);
}

/* Inside one table, up to its last entry. */
static void vmap_pte_range(struct selftest *t)
{
	map_row(t, AT_TABLE - FRAMES / 2 * PAGE);
}

static void vmap_pmd_range(struct selftest *t)
{
	map_row(t, AT_TABLE);
}

static void vmap_pud_range(struct selftest *t)
{
	map_row(t, AT_DIRECTORY);
}

static void vunmap_pte_range(struct selftest *t)
{
	unmap_row(t, AT_TABLE - FRAMES / 2 * PAGE);
}

static void vunmap_pmd_range(struct selftest *t)
{
	unmap_row(t, AT_TABLE);
}

static void vunmap_pud_range(struct selftest *t)
{
	unmap_row(t, AT_DIRECTORY);
}

static void map_vm_area(struct selftest *t)
{
	struct mapped m;

	m.at = selftest_reserve_at(t, AT_PML4 - FRAMES / 2 * PAGE, FRAMES);
	selftest_take_frames(t, m.pfn, FRAMES);
	selftest_list_frames(t, m.pfn, FRAMES);
	REFUSE(t, -EINVAL, NB_OP_MAP_VM_AREA, m.at, FRAMES - 1, NB_PAGE_KERNEL, 0);
	REFUSE(t, -EINVAL, NB_OP_MAP_VM_AREA, m.at, FRAMES, PROT_RWX, 0);
	REFUSE(t, -EINVAL, NB_OP_MAP_VM_AREA, m.at, FRAMES, NB_PAGE_KERNEL, NB_DATA_BYTES - 8);
	selftest_expect_clear(t, m.at, FRAMES);
	DO(t, NB_OP_MAP_VM_AREA, m.at, FRAMES, PROT_R, 0);
	selftest_expect_area(t, m.at, FRAMES, 0, NB_VM_MAP);
	selftest_expect_mapped(t, m.at, FRAMES, PAGING_R);
	selftest_expect_frames(t, m.at, FRAMES, m.pfn);
	REFUSE(t, -EBUSY, NB_OP_MAP_VM_AREA, m.at, FRAMES, NB_PAGE_KERNEL, 0);
	selftest_expect_mapped(t, m.at, FRAMES, PAGING_R);
	REFUSE(t, -ENOENT, NB_OP_MAP_VM_AREA, m.at + PAGE, FRAMES, NB_PAGE_KERNEL, 0);
	give_up(t, &m);
}

static void unmap_kernel_range(struct selftest *t)
{
	struct mapped m = map_across(t, AT_TABLE);
	uint64_t own;

	REFUSE(t, -EINVAL, NB_OP_UNMAP_KERNEL_RANGE, m.at, 0);
	REFUSE(t, -EINVAL, NB_OP_UNMAP_KERNEL_RANGE, m.at + 8, PAGE);
	REFUSE(t, -EINVAL, NB_OP_UNMAP_KERNEL_RANGE, m.at, PAGE + 0x800);
	REFUSE(t, -ENOENT, NB_OP_UNMAP_KERNEL_RANGE, m.at, (FRAMES + 2) * PAGE);
	selftest_expect_mapped(t, m.at, FRAMES, RW);
	DO(t, NB_OP_UNMAP_KERNEL_RANGE, m.at + PAGE, PAGE);
	selftest_expect_mapped(t, m.at, 1, RW);
	selftest_expect_mapped(t, m.at + 2 * PAGE, FRAMES - 2, RW);
	selftest_expect_area(t, m.at, FRAMES, 0, NB_VM_MAP);
	give_up(t, &m);
	own = MAKE(t, NB_OP_VMALLOC_CALL, NB_VMALLOC, PAGE);
	REFUSE(t, -EBUSY, NB_OP_UNMAP_KERNEL_RANGE, own, PAGE);
	selftest_expect_mapped(t, own, 1, RW);
	DO(t, NB_OP_VFREE, own);
}

static void unmap_vm_area(struct selftest *t)
{
	struct mapped m = map_across(t, AT_TABLE);

	DO(t, NB_OP_UNMAP_VM_AREA, m.at);
	selftest_expect_clear(t, m.at, FRAMES);
	selftest_expect_area(t, m.at, FRAMES, 0, 0);
	REFUSE(t, -ENOENT, NB_OP_UNMAP_VM_AREA, m.at + PAGE);
	/* It can be filled again. */
	selftest_list_frames(t, m.pfn, FRAMES);
	DO(t, NB_OP_MAP_VM_AREA, m.at, FRAMES, NB_PAGE_KERNEL, 0);
	selftest_expect_frames(t, m.at, FRAMES, m.pfn);
	give_up(t, &m);
}

/* ---- flushes: what the processor sees, which NB_OP_PROBE asks it for ---- */

static void expect_probe(struct selftest *t, uint64_t at, uint64_t value)
{
	if (DO(t, NB_OP_PROBE, 0, at))
		EXPECT(t, t->answer.result[0] == value, "the CPU reads %#lx at %#lx, not %#lx",
		       t->answer.result[0], at, value);
}

/* The CPU's caches want no flush. The guest counts those the core asks for: so many so far. */
static uint64_t count_cache_flushes(struct selftest *t, uint64_t hook)
{
	return MAKE(t, NB_OP_CACHE_FLUSHES, hook);
}

/* One more since there were @before, of exactly @pages pages from @at on. */
static void expect_cache_flush(struct selftest *t, uint64_t hook, uint64_t before, uint64_t at,
			       uint64_t pages)
{
	if (!DO(t, NB_OP_CACHE_FLUSHES, hook))
		return;
	EXPECT(t, t->answer.result[0] == before + 1, "%lu flushes where there was to be one",
	       t->answer.result[0] - before);
	EXPECT(t, t->answer.result[1] == at && t->answer.result[2] == at + pages * PAGE,
	       "the flush is of [%#lx, %#lx), not of %lu pages from %#lx", t->answer.result[1],
	       t->answer.result[2], pages, at);
}

/* A new mapping shows what was written through another one. */
static void flush_cache_vmap(struct selftest *t)
{
	uint64_t before, own;
	struct mapped m;

	selftest_take_frames(t, m.pfn, FRAMES);
	m.at = selftest_reserve_at(t, AT_TABLE, FRAMES);
	for (uint64_t i = 0; i < FRAMES; i++)
		selftest_set_frame_word(t, m.pfn[i], 0xcafe0000 + i);
	REFUSE(t, -EFAULT, NB_OP_PROBE, 0, m.at);
	selftest_list_frames(t, m.pfn, FRAMES);
	before = count_cache_flushes(t, 0);
	DO(t, NB_OP_MAP_VM_AREA, m.at, FRAMES, NB_PAGE_KERNEL, 0);
	expect_cache_flush(t, 0, before, m.at, FRAMES);
	expect_probe(t, m.at, 0xcafe0000);
	expect_probe(t, m.at + (FRAMES - 1) * PAGE, 0xcafe0000 + FRAMES - 1);
	/* After a mapping that fails, too. */
	before = count_cache_flushes(t, 0);
	selftest_list_frames(t, m.pfn, FRAMES);
	REFUSE(t, -EBUSY, NB_OP_MAP_VM_AREA, m.at, FRAMES, NB_PAGE_KERNEL, 0);
	expect_cache_flush(t, 0, before, m.at, FRAMES);
	before = count_cache_flushes(t, 0);
	own = MAKE(t, NB_OP_VMALLOC_CALL, NB_VMALLOC, 3 * PAGE);
	expect_cache_flush(t, 0, before, own, 3);
	DO(t, NB_OP_VFREE, own);
	give_up(t, &m);
}

/* What was written through a mapping is in the frame when the mapping is gone. */
static void flush_cache_vunmap(struct selftest *t)
{
	struct mapped m = map_across(t, AT_TABLE);
	uint64_t word = 0xdecade, before, own;
	unsigned char *data = guest_data(t->guest, 0);

	for (size_t i = 0; i < sizeof(word); i++)
		data[i] = (unsigned char)(word >> 8 * i);
	DO(t, NB_OP_VWRITE, m.at, sizeof(word), 0);
	expect_probe(t, m.at, word);
	before = count_cache_flushes(t, 1);
	DO(t, NB_OP_UNMAP_KERNEL_RANGE, m.at + 2 * PAGE, PAGE);
	expect_cache_flush(t, 1, before, m.at + 2 * PAGE, 1);
	DO(t, NB_OP_UNMAP_VM_AREA, m.at);
	expect_cache_flush(t, 1, before + 1, m.at, FRAMES);
	selftest_expect_frame_word(t, m.pfn[0], word);
	own = MAKE(t, NB_OP_VMALLOC_CALL, NB_VMALLOC, 3 * PAGE);
	before = count_cache_flushes(t, 1);
	DO(t, NB_OP_VFREE, own);
	expect_cache_flush(t, 1, before, own, 3);
	give_up(t, &m);
}

/* The CPU knows the old translation, and must not after the call. */
static void flush_tlb_kernel_range(struct selftest *t)
{
	struct mapped m = map_across(t, AT_TABLE);
	uint64_t moved[FRAMES];

	for (uint64_t i = 0; i < FRAMES; i++)
		selftest_set_frame_word(t, m.pfn[i], 0xf1a50000 + i);
	expect_probe(t, m.at, 0xf1a50000);
	expect_probe(t, m.at + (FRAMES - 1) * PAGE, 0xf1a50000 + FRAMES - 1);
	DO(t, NB_OP_UNMAP_VM_AREA, m.at);
	REFUSE(t, -EFAULT, NB_OP_PROBE, 0, m.at);
	REFUSE(t, -EFAULT, NB_OP_PROBE, 0, m.at + (FRAMES - 1) * PAGE);
	/* Another frame at the same address. */
	moved[0] = m.pfn[1];
	moved[1] = m.pfn[0];
	memcpy(moved + 2, m.pfn + 2, sizeof(m.pfn) - 2 * sizeof(m.pfn[0]));
	selftest_list_frames(t, moved, FRAMES);
	DO(t, NB_OP_MAP_VM_AREA, m.at, FRAMES, NB_PAGE_KERNEL, 0);
	expect_probe(t, m.at, 0xf1a50001);
	give_up(t, &m);
}

const struct selftest_row selftest_rows_tables[] = {
	{"vunmap_pte_range", vunmap_pte_range},
	{"vunmap_pmd_range", vunmap_pmd_range},
	{"vunmap_pud_range", vunmap_pud_range},
	{"unmap_kernel_range", unmap_kernel_range},
	{"unmap_vm_area", unmap_vm_area},
	{"vmap_pte_range", vmap_pte_range},
	{"vmap_pmd_range", vmap_pmd_range},
	{"vmap_pud_range", vmap_pud_range},
	{"map_vm_area", map_vm_area},
	{"flush_cache_vmap", flush_cache_vmap},
	{"flush_cache_vunmap", flush_cache_vunmap},
	{"flush_tlb_kernel_range", flush_tlb_kernel_range},
	{0},
};
