/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The workload interpreter: the single-CPU cases of Linux's test_vmalloc, run to the end inside
 * the guest. One loop of a case does what one loop of Linux's does, no more: the same sizes,
 * alignments and flags, the same first byte written, one random number where Linux draws one.
 * What a loop costs is asked by running two numbers of loops, so the set-up cancels out.
 *
 * Unlike Linux's, set-up allocations are checked, and a failed loop ends the case with the error;
 * whatever happened, everything a case allocated is freed.
 */
#include "guest/workload.h"

#include "mm/errno.h"
#include "mm/vmalloc.h"

/* full_fit: as many pairs of areas as Linux may keep lazy pages, for one CPU. */
#define FULL_FIT_PAGES (32ull * 1024 * 1024 / PAGE_SIZE)
/* long_busy_list: areas that stay while it runs. */
#define LONG_BUSY_AREAS 15000
/* fix_align: Linux's THREAD_ALIGN << 1, with stacks of 16 KiB. */
#define FIX_ALIGN_BYTES 32768

/* A case in progress. */
struct bench {
	struct mm *mm;
	struct nb_vcpu_area *area;
	struct vmalloc_request request; /* what a plain vmalloc() asks; loops change size, align */
	u64 bytes;                      /* fix_size */
	u64 random;                     /* state of the random numbers, never 0 */
	u64 kept;                       /* an area of addresses, nr_kept of them allocated */
	u64 nr_kept;
};

struct bench_case {
	s64 (*setup)(struct bench *bench); /* may be NULL */
	s64 (*loop)(struct bench *bench);
	gfp_t gfp;
	int node; /* as Linux's test asks: aligned cases name node 0 */
};

/* xorshift64*: full period, and its upper bits are good. */
static u64 next_random(struct bench *bench)
{
	u64 x = bench->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	bench->random = x;
	return x * 0x2545f4914f6cdd1dull;
}

static void progress(struct bench *bench)
{
	WRITE_ONCE(bench->area->progress, bench->area->progress + 1);
}

static s64 bench_vmalloc(struct bench *bench, u64 bytes, u64 *addr_out)
{
	bench->request.size = bytes;
	return vmalloc_node_range(bench->mm, &bench->request, addr_out);
}

static bool cancelled(const struct bench *bench)
{
	return READ_ONCE(bench->area->cancel) != 0;
}

static void touch(u64 address, u8 value)
{
	*(volatile u8 *)(uintptr_t)address = value;
}

/* Allocates, writes the first byte, frees: what most cases do. */
static s64 alloc_touch_free(struct bench *bench, u64 bytes, u8 value)
{
	u64 address;
	s64 err = bench_vmalloc(bench, bytes, &address);

	if (err)
		return err;
	touch(address, value);
	return vfree(bench->mm, address);
}

/* Allocates aligned to @align, frees; the frames come zeroed. */
static s64 alloc_aligned_free(struct bench *bench, u64 bytes, u64 align)
{
	u64 address;
	s64 err;

	bench->request.align = align;
	err = bench_vmalloc(bench, bytes, &address);
	if (err)
		return err;
	return vfree(bench->mm, address);
}

/* ---- the loops ---- */

static s64 loop_fix_size(struct bench *bench)
{
	return alloc_touch_free(bench, bench->bytes, 0);
}

static s64 loop_full_fit(struct bench *bench)
{
	return alloc_touch_free(bench, PAGE_SIZE, 1);
}

static s64 loop_long_busy_list(struct bench *bench)
{
	u64 first, second;
	s64 err = bench_vmalloc(bench, 100 * PAGE_SIZE, &first);

	if (err)
		return err;
	err = bench_vmalloc(bench, PAGE_SIZE, &second);
	if (err) {
		vfree(bench->mm, first);
		return err;
	}
	touch(first, 0);
	touch(second, 1);
	err = vfree(bench->mm, first);
	return vfree(bench->mm, second) ?: err;
}

static s64 loop_random_size(struct bench *bench)
{
	/* A 32-bit fraction of 100: no division, as in Linux. */
	u64 nr_pages = ((next_random(bench) >> 32) * 100 >> 32) + 1;

	return alloc_touch_free(bench, nr_pages << PAGE_SHIFT, 1);
}

static s64 loop_fix_align(struct bench *bench)
{
	return alloc_aligned_free(bench, 5 * PAGE_SIZE, FIX_ALIGN_BYTES);
}

/* Linux draws one byte for both the alignment and the size. */
static s64 loop_random_size_align(struct bench *bench)
{
	u32 byte = (u32)(next_random(bench) >> 56);

	return alloc_aligned_free(bench, (byte % 10 + 1) * PAGE_SIZE, 1ull << byte % 23);
}

/* ---- areas that stay while the loops run ---- */

static u64 *kept_at(struct bench *bench, u64 i)
{
	return (u64 *)(uintptr_t)bench->kept + i;
}

/* Adds a one-page area to those kept. */
static s64 keep_one(struct bench *bench)
{
	s64 err = bench_vmalloc(bench, PAGE_SIZE, kept_at(bench, bench->nr_kept));

	if (!err)
		bench->nr_kept++;
	progress(bench);
	return err;
}

static s64 setup_long_busy_list(struct bench *bench)
{
	s64 err = bench_vmalloc(bench, LONG_BUSY_AREAS * sizeof(u64), &bench->kept);

	while (!err && bench->nr_kept < LONG_BUSY_AREAS && !cancelled(bench))
		err = keep_one(bench);
	return err;
}

/*
 * Pairs of areas; then the second of each pair is freed, which leaves holes of exactly one page
 * and its guard. Kept and junk areas share one array, even and odd: only even ones stay.
 */
static s64 setup_full_fit(struct bench *bench)
{
	s64 err = bench_vmalloc(bench, 2 * FULL_FIT_PAGES * sizeof(u64), &bench->kept);
	u64 i;

	while (!err && bench->nr_kept < 2 * FULL_FIT_PAGES && !cancelled(bench))
		err = keep_one(bench);
	if (err)
		return err;
	for (i = 1; !err && i < bench->nr_kept; i += 2) {
		err = vfree(bench->mm, *kept_at(bench, i));
		*kept_at(bench, i) = 0;
		progress(bench);
	}
	return err;
}

static void free_kept(struct bench *bench)
{
	u64 i;

	for (i = 0; i < bench->nr_kept; i++) {
		vfree(bench->mm, *kept_at(bench, i));
		progress(bench);
	}
	vfree(bench->mm, bench->kept);
}

/* ---- running one ---- */

static const struct bench_case cases[] = {
	[NB_BENCH_FIX_SIZE] = {NULL, loop_fix_size, GFP_KERNEL, NUMA_NO_NODE},
	[NB_BENCH_FULL_FIT] = {setup_full_fit, loop_full_fit, GFP_KERNEL, NUMA_NO_NODE},
	[NB_BENCH_LONG_BUSY_LIST] = {setup_long_busy_list, loop_long_busy_list, GFP_KERNEL,
				     NUMA_NO_NODE},
	[NB_BENCH_RANDOM_SIZE] = {NULL, loop_random_size, GFP_KERNEL, NUMA_NO_NODE},
	[NB_BENCH_FIX_ALIGN] = {NULL, loop_fix_align, GFP_KERNEL | __GFP_ZERO, 0},
	[NB_BENCH_RANDOM_SIZE_ALIGN] = {NULL, loop_random_size_align, GFP_KERNEL | __GFP_ZERO, 0},
};

/* By itself, so that the compiler keeps what a loop needs in registers: every instruction counts.
 */
static __attribute__((noinline)) s64 run_some(struct bench *bench, s64 (*loop)(struct bench *bench),
					      u64 loops)
{
	s64 err = 0;

	for (; loops && !err; loops--) {
		err = loop(bench);
		progress(bench);
	}
	return err;
}

/* So many loops between two looks at whether the host cancels: what looking costs is not seen. */
#define CANCEL_LOOPS 256u

/* Runs *@loops_io loops, unless the host cancels: then it says how many were run. */
static s64 run_loops(struct bench *bench, s64 (*loop)(struct bench *bench), u64 *loops_io)
{
	u64 left = *loops_io, some;
	s64 err = 0;

	while (left && !err && !cancelled(bench)) {
		some = left < CANCEL_LOOPS ? left : CANCEL_LOOPS;
		left -= some;
		err = run_some(bench, loop, some);
	}
	*loops_io -= left;
	return err;
}

/* The same with each loop's ticks in area.data. */
static s64 run_stamped(struct bench *bench, s64 (*loop)(struct bench *bench), u64 *loops_io)
{
	u32 *stamp = (u32 *)bench->area->data;
	u64 ticks, done;
	s64 err = 0;

	for (done = 0; done < *loops_io && !err && !cancelled(bench); done++) {
		ticks = rdtsc();
		err = loop(bench);
		ticks = rdtsc() - ticks;
		*stamp++ = ticks < UINT32_MAX ? (u32)ticks : UINT32_MAX;
		progress(bench);
	}
	*loops_io = done;
	return err;
}

static void bench_start(struct bench *bench, struct cpu *cpu, const u64 *arg)
{
	const struct bench_case *bench_case = &cases[arg[0]];

	bench->mm = &machine.mm;
	bench->area = cpu->area;
	bench->request = (struct vmalloc_request){
		.align = 1,
		.start = VMALLOC_START,
		.end = VMALLOC_END,
		.prot = PAGE_KERNEL,
		.caller = (u64)(uintptr_t)bench_case->loop,
		.gfp = bench_case->gfp,
		.node = bench_case->node,
	};
	bench->bytes = arg[2] << PAGE_SHIFT;
	bench->random = arg[3] ?: 1;
	bench->kept = 0;
	bench->nr_kept = 0;
}

static bool arguments_make_sense(const u64 *arg)
{
	if (arg[0] >= ARRAY_SIZE(cases) || arg[1] == 0 || arg[4] > 1)
		return false;
	if (arg[4] && arg[1] > NB_BENCH_STAMPS_MAX)
		return false;
	if (arg[0] == NB_BENCH_FIX_SIZE)
		return arg[2] != 0 && arg[2] <= NB_RAM_LIMIT >> PAGE_SHIFT;
	return arg[2] == 0;
}

s64 workload_bench(struct cpu *cpu, const u64 *arg, u64 *result)
{
	const struct bench_case *bench_case;
	struct bench bench;
	s64 err = 0;
	u64 ticks, loops = arg[1];

	if (!arguments_make_sense(arg))
		return -EINVAL;
	bench_case = &cases[arg[0]];
	bench_start(&bench, cpu, arg);
	if (bench_case->setup)
		err = bench_case->setup(&bench);
	/* So that what was lazy before does not count, and purges come after the same loops. */
	vmap_purge(bench.mm);
	ticks = rdtsc();
	if (!err)
		err = (arg[4] ? run_stamped : run_loops)(&bench, bench_case->loop, &loops);
	ticks = rdtsc() - ticks;
	free_kept(&bench);
	if (err)
		return err;
	result[0] = ticks;
	result[1] = loops;
	return 0;
}
