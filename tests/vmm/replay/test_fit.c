/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fitting a recording into the guest: where its addresses go, how much memory it takes, and why it
 * would come to nothing.
 */
#include "tests/harness.h"

#include <errno.h>
#include <inttypes.h>

#include "vmm/replay/layout.h"
#include "vmm/replay/needs.h"

#define GIB UINT64_C(0x40000000)
#define TIB (1024 * GIB)

/* The guest's, as vmm/nestbox/replay.c has it. */
static const struct replay_room room = {
	.low = 0xffff8a0000000000,
	.high = 0xffffea0000000000,
	.vmalloc_start = 0xffffc90000000000,
	.vmalloc_end = 0xffffe8ffffffffff,
	.modules_start = 0xffffffffc0000000,
	.modules_end = UINT64_MAX,
};

static struct replay_area areas[64];
static struct replay_op ops[128];
static struct replay_plan plan;
static struct vmallocinfo_area begin_areas[8];
static struct vmallocinfo begin;
static struct replay_layout layout;
static struct input_error error;

static void setup(void)
{
	memset(areas, 0, sizeof(areas));
	plan = (struct replay_plan){.areas = areas, .ops = ops};
	begin = (struct vmallocinfo){.areas = begin_areas};
}

static struct replay_area *add(uint64_t address, uint64_t bytes, uint64_t vstart, uint64_t vend)
{
	struct replay_area *area = &areas[plan.area_count];

	*area = (struct replay_area){.address = address,
				     .va_bytes = bytes + REPLAY_PAGE_BYTES,
				     .bytes = bytes,
				     .align = REPLAY_PAGE_BYTES,
				     .vstart = vstart,
				     .vend = vend,
				     .mapped = true};
	ops[plan.op_count++] =
		(struct replay_op){.type = REPLAY_MAP, .area = (uint32_t)plan.area_count++};
	plan.allocs++;
	return area;
}

static void add_begin(uint64_t start, uint64_t end)
{
	begin_areas[begin.count++] = (struct vmallocinfo_area){.start = start, .end = end};
}

static int find(void)
{
	return replay_layout_find(&plan, &begin, NULL, &room, "rec", &layout, &error);
}

/* ---- layouts ---- */

static const struct {
	const char *name;
	uint64_t start, end, moved_end;
} windows[] = {
	{"KASLR", 0xffffb2c340000000, 0xffffd2c33fffffff, 0xffffe8ffffffffff},
	{"KASLR, overlapping", 0xffffc90040000000, 0xffffe9003fffffff, 0xffffe8ffffffffff},
	{"KASLR over the page array", 0xffffd4e7c0000000, 0xfffff4e7bfffffff, 0xffffe8ffffffffff},
	{"5 levels", 0xffa0000000000000, 0xffd1ffffffffffff, 0xffffe8ffffffffff},
	{"5 levels, KASLR", 0xff2b6bda00000000, 0xff5d6bd9ffffffff, 0xffffe8ffffffffff},
	{"arm64, 48 bits", 0xffff800080000000, 0xfffffdffbfff0000, 0xffffe8ffffff0000},
	{"arm64, 39 bits", 0xffffffc080000000, 0xfffffffdffff0000, 0xffffc93d7fff0000},
	{"riscv, sv39", 0xffffffc600000000, 0xffffffd600000000, 0xffffc91000000000},
	{"s390", 0x380000000000, 0x3ffff0000000, 0xffffd0fff0000000},
	{"x86, 32 bits", 0xf8800000, 0xffbfe000, 0xffffc9003fbfe000},
};

START_TEST(windows_of_other_kernels_become_the_guests)
{
	uint64_t start = windows[_i].start, end = windows[_i].end;
	struct replay_area *low, *next;
	uint64_t moved_start;

	low = add(start + 0x3000, 0x4000, start, end);
	next = add(start + 0xc000, 0x4000, start, end);
	add_begin(start, start + 0x3000);
	add_begin(end - end % 4096 - 0x200000, end - end % 4096);
	ck_assert_msg(!find(), "%s: %s", windows[_i].name, error.text);
	ck_assert(layout.moved);
	replay_layout_move_plan(&layout, &plan);
	replay_layout_move_snapshot(&layout, &begin);
	moved_start = room.vmalloc_start + start % GIB;
	ck_assert_uint_eq(low->vstart, moved_start);
	ck_assert_uint_eq(low->address, moved_start + 0x3000);
	ck_assert_uint_eq(next->address, moved_start + 0xc000);
	ck_assert_msg(low->vend == windows[_i].moved_end, "%s: 0x%" PRIx64, windows[_i].name,
		      low->vend);
	ck_assert_uint_eq(begin.areas[0].start, moved_start);
	ck_assert_uint_eq(begin.areas[1].end, low->vend - low->vend % 4096);
	ck_assert_uint_eq(layout.moved_start, low->vstart);
	ck_assert_uint_eq(layout.moved_end, low->vend);
	ck_assert_uint_eq(replay_layout_recorded(&layout, low->address), start + 0x3000);
	ck_assert_uint_eq(replay_layout_recorded(&layout, low->vend), end);
	replay_layout_free(&layout);
}
END_TEST

START_TEST(a_layout_the_guest_has_stays)
{
	add(0xffffc90000003000, 0x4000, room.vmalloc_start, room.vmalloc_end);
	add(0xffffffffc0003000, 0x4000, 0xffffffffc0000000, 0xffffffffff000000);
	ck_assert_int_eq(find(), 0);
	ck_assert(!layout.moved);
	replay_layout_move_plan(&layout, &plan);
	ck_assert_uint_eq(areas[0].address, 0xffffc90000003000);
	setup();
	add(0xffffffffc0003000, 0x4000, 0xffffffffc0000000, 0xffffffffff000000);
	ck_assert_int_eq(find(), 0);
	ck_assert(!layout.moved);
}
END_TEST

START_TEST(modules_stay_when_vmalloc_is_moved)
{
	add(0xffffb2c340003000, 0x4000, 0xffffb2c340000000, 0xffffd2c33fffffff);
	add(0xffffffffc0213000, 0x4000, 0xffffffffc0000000, 0xffffffffff000000);
	ck_assert_int_eq(find(), 0);
	ck_assert(layout.moved);
	replay_layout_move_plan(&layout, &plan);
	ck_assert_uint_eq(areas[0].address, 0xffffc90000003000);
	ck_assert_uint_eq(areas[1].address, 0xffffffffc0213000);
	ck_assert_uint_eq(areas[1].vstart, 0xffffffffc0000000);
	ck_assert_uint_eq(areas[1].vend, 0xffffffffff000000);
	replay_layout_free(&layout);
}
END_TEST

/* arm64 has its modules below vmalloc, and there they have to be here. */
START_TEST(order_is_kept_around_the_window)
{
	uint64_t last = 0, moved;
	size_t i;

	add(0xffff000000001000, 0x4000, 0xffff000000000000, 0xffff000010000000);
	add(0xffff80007c001000, 0x4000, 0xffff80007c000000, 0xffff800080000000);
	add(0xffff800080001000, 0x4000, 0xffff800080000000, 0xfffffdffbfff0000);
	add(0xffff820080001000, 0x4000, 0xffff800080000000, 0xfffffdffbfff0000);
	add(0xffff920080001000, 0x4000, 0xffff800080000000, 0xfffffdffbfff0000);
	add(0xfffffdffbf000000, 0x4000, 0xffff800080000000, 0xfffffdffbfff0000);
	ck_assert_msg(!find(), "%s", error.text);
	for (i = 0; i < plan.area_count; i++) {
		moved = replay_layout_moved(&layout, areas[i].address);
		ck_assert_uint_gt(moved, last);
		ck_assert_uint_eq((moved - areas[i].address) % GIB, 0);
		ck_assert_uint_eq(replay_layout_recorded(&layout, moved), areas[i].address);
		last = moved;
	}
	replay_layout_free(&layout);
}
END_TEST

START_TEST(what_is_spread_too_far_is_refused)
{
	uint64_t start = 0xffa0000000000000, at;

	for (at = 0; at < 50; at++)
		add(start + at * 100 * TIB, 50 * GIB, start, 0xffd1ffffffffffff);
	for (at = 0; at < 8; at++)
		add_begin(start + (4 * at + 1) * 60 * TIB,
			  start + (4 * at + 1) * 60 * TIB + 8 * TIB);
	ck_assert_int_eq(find(), -EINVAL);
	ck_assert_msg(strstr(error.text, "record a shorter time") != NULL, "%s", error.text);
}
END_TEST

/* ---- memory ---- */

START_TEST(memory_follows_what_is_mapped_at_one_time)
{
	uint64_t small, two, freed;

	add(0xffffc90000000000, 0x4000, room.vmalloc_start, room.vmalloc_end);
	small = replay_plan_memory(&plan);
	ck_assert_uint_ge(small, 64 << 20);
	ck_assert_uint_le(small, 128 << 20);
	add(0xffffc90100000000, GIB, room.vmalloc_start, room.vmalloc_end);
	add(0xffffc90200000000, GIB, room.vmalloc_start, room.vmalloc_end);
	two = replay_plan_memory(&plan);
	ck_assert_uint_ge(two, 2 * GIB + 2 * GIB / 64);
	ck_assert_uint_le(two, 3 * GIB);
	/* The second begins when the first has gone. */
	ops[3] = ops[2];
	ops[2] = (struct replay_op){.type = REPLAY_FREE, .area = 1};
	plan.op_count = 4;
	freed = replay_plan_memory(&plan);
	ck_assert_uint_ge(freed, GIB);
	ck_assert_uint_le(freed, 2 * GIB);
	/* Half of a guest's memory is below 4 GiB. */
	areas[1].gfp = 0x4;
	ck_assert_uint_ge(replay_plan_memory(&plan), 2 * GIB);
	ck_assert_uint_eq(replay_plan_memory(&plan) % (64 << 20), 0);
}
END_TEST

START_TEST(impossible_sizes_do_not_wrap)
{
	int i;

	for (i = 0; i < 20; i++)
		add(0xffffc90000000000, UINT64_MAX / 2 - 8191, room.vmalloc_start,
		    room.vmalloc_end);
	ck_assert_uint_eq(replay_plan_memory(&plan), UINT64_MAX);
}
END_TEST

/* ---- nothing ---- */

static void assert_empty(const struct ftrace_info *info, const char *what)
{
	char text[256];

	ck_assert(replay_plan_is_empty(&plan, info, text, sizeof(text)));
	ck_assert_msg(strstr(text, what) != NULL, "\"%s\" does not say \"%s\"", text, what);
}

START_TEST(nothing_replayed_has_a_reason)
{
	struct ftrace_skipped names = {.name = "sched_switch", .count = 9};
	struct ftrace_info info = {0};
	char text[256];

	assert_empty(&info, "no event");
	info = (struct ftrace_info){
		.events = 9, .skipped = 9, .skipped_names = &names, .skipped_name_count = 1};
	assert_empty(&info, "none of the 9 events is vmalloc's (the first: sched_switch)");
	info.other_fields = 2;
	strcpy(info.lacking, "alloc_vmap_area_exit has no va_start");
	assert_empty(&info, "alloc_vmap_area_exit has no va_start (2 events");
	info = (struct ftrace_info){.events = 9};
	assert_empty(&info, "nothing was allocated");
	plan.enters_without_exit = 3;
	assert_empty(&info, "probe alloc_vmap_area's return");
	plan.before_snapshot = 9;
	assert_empty(&info, "from before the marker");
	plan.allocs = 1;
	ck_assert(!replay_plan_is_empty(&plan, &info, text, sizeof(text)));
}
END_TEST

static Suite *fit_suite(void)
{
	Suite *suite = suite_create("fit");
	TCase *fit = tcase_create("fit");

	tcase_add_checked_fixture(fit, setup, NULL);
	tcase_add_loop_test(fit, windows_of_other_kernels_become_the_guests, 0,
			    sizeof(windows) / sizeof(windows[0]));
	tcase_add_test(fit, a_layout_the_guest_has_stays);
	tcase_add_test(fit, modules_stay_when_vmalloc_is_moved);
	tcase_add_test(fit, order_is_kept_around_the_window);
	tcase_add_test(fit, what_is_spread_too_far_is_refused);
	tcase_add_test(fit, memory_follows_what_is_mapped_at_one_time);
	tcase_add_test(fit, impossible_sizes_do_not_wrap);
	tcase_add_test(fit, nothing_replayed_has_a_reason);
	suite_add_tcase(suite, fit);
	return suite;
}

int main(void)
{
	return harness_run(fit_suite());
}
