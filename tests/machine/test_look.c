/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looking at a real guest: what it answered to hypercalls is what is seen from outside, also while
 * it runs.
 */
#include "tests/harness.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "mm/process.h"
#include "mm/vmalloc.h"
#include "tests/vmm/look/look_all.h"
#include "vmm/machine/guest.h"
#include "vmm/attach/inspector.h"

static struct guest *guest;
static struct inspector *inspector;

static struct nb_completion call4(uint16_t opcode, uint64_t arg0, uint64_t arg1, uint64_t arg2,
				  uint64_t arg3)
{
	struct nb_submission sqe = {.opcode = opcode, .arg = {arg0, arg1, arg2, arg3}};
	struct nb_completion cqe;

	ck_assert_int_eq(guest_call(guest, 0, &sqe, &cqe), 0);
	return cqe;
}

static struct nb_completion call(uint16_t opcode, uint64_t arg0, uint64_t arg1)
{
	return call4(opcode, arg0, arg1, 0, 0);
}

static struct nb_submission vmalloc_of(uint64_t pages, uint64_t flags)
{
	return (struct nb_submission){
		.opcode = NB_OP_VMALLOC,
		.arg = {pages * PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END, GFP_KERNEL, PAGE_KERNEL,
			VM_ALLOC | flags, (uint64_t)-1},
	};
}

static uint64_t allocate_with(uint64_t pages, uint64_t flags)
{
	const struct nb_submission sqe = vmalloc_of(pages, flags);
	struct nb_completion cqe;

	ck_assert_int_eq(guest_call(guest, 0, &sqe, &cqe), 0);
	ck_assert_int_eq(cqe.status, 0);
	return cqe.result[0];
}

static uint64_t allocate(uint64_t pages)
{
	return allocate_with(pages, 0);
}

static void start(void)
{
	const struct guest_config config = {.engine = harness_engine(),
					    .checks = SOFT_CHECK_ALL,
					    .memory_bytes = 64ull << 20,
					    .nr_vcpus = 2,
					    .nr_nodes = 2};
	struct error error = {""};
	struct guest_report report;

	ck_assert_msg(guest_start(&config, &guest, &report, &error) == 0, "%s", error.text);
	ck_assert_msg(inspector_create_for_guest(guest, &inspector, &error) == 0, "%s", error.text);
}

static void stop(void)
{
	inspector_destroy(inspector);
	guest_destroy(guest);
}

/* ---- page tables ---- */

struct wanted {
	uint64_t address;
	struct look_map map; /* the range that has it */
	uint64_t executable_and_writable;
};

static int want(void *context, const struct look_map *map)
{
	struct wanted *wanted = context;

	if ((map->rights & (PAGING_W | PAGING_X)) == (PAGING_W | PAGING_X))
		wanted->executable_and_writable++;
	if (wanted->address >= map->start && wanted->address - 1 < map->end - 1)
		wanted->map = *map;
	return 0;
}

static struct look_map map_of(uint64_t address)
{
	const struct look_maps_query query = {.start = 0};
	struct wanted wanted = {.address = address};
	struct look_maps_sum sum;

	ck_assert_int_eq(look_maps(inspector, &query, want, &wanted, &sum), 0);
	ck_assert_uint_eq(wanted.executable_and_writable, 0);
	ck_assert_uint_eq(sum.bad_entries, 0);
	ck_assert(!sum.cut);
	return wanted.map;
}

START_TEST(ranges_are_where_the_guest_said)
{
	uint64_t area, code;
	struct look_map map;

	start();
	area = allocate(40);
	map = map_of(area + 39 * PAGE_SIZE);
	ck_assert_uint_eq(map.start, area);
	ck_assert_uint_eq(map.end, area + 40 * PAGE_SIZE);
	ck_assert_uint_eq(map.rights, PAGING_R | PAGING_W);
	ck_assert_uint_eq(map.page_bytes, PAGE_SIZE);
	ck_assert_int_eq(map.region, LOOK_VMALLOC);
	code = guest_image(guest)->entry.value;
	map = map_of(code);
	ck_assert_uint_eq(map.rights, PAGING_R | PAGING_X);
	ck_assert_int_eq(map.region, LOOK_IMAGE);
	ck_assert_uint_eq(map.gpa, map.start - NB_IMAGE_BASE);
	map = map_of(NB_DIRECT_BASE + (4ull << 30));
	ck_assert_uint_eq(map.rights, PAGING_R | PAGING_W);
	ck_assert_int_eq(map.region, LOOK_DIRECT);
	ck_assert_uint_eq(map.runs, 1);
	ck_assert(map.global);
	stop();
}
END_TEST

/* The guest's own vmalloc_to_page() and the walk agree, in every page of an area. */
START_TEST(a_walk_ends_where_the_guest_says)
{
	struct walk2d_source space;
	struct look_second second = {.leaves = &space};
	struct look_walk walk;
	uint64_t area;

	start();
	space = walk2d_source_space(guest_space(guest));
	area = allocate(7);
	for (uint64_t at = area; at < area + 7 * PAGE_SIZE; at += PAGE_SIZE) {
		struct nb_completion answer = call(NB_OP_VMALLOC_TO_PAGE, at, 0);
		void *host;

		ck_assert_int_eq(answer.status, 0);
		look_walk(inspector, NULL, at, &second, &walk);
		ck_assert_int_eq(walk.status, PAGING_MAPPED);
		ck_assert_uint_eq(walk.gpa / PAGE_SIZE, answer.result[0]);
		ck_assert(walk.second.mapped);
		ck_assert_uint_eq(walk.both, PAGING_R | PAGING_W);
		ck_assert_int_eq(
			gpa_space_translate(guest_space(guest), gpa_make(walk.gpa), 1, &host), 0);
		ck_assert_ptr_eq((const char *)walk.second.host + (walk.gpa - walk.second.gpa),
				 host);
	}
	look_walk(inspector, NULL, area + 7 * PAGE_SIZE, &second, &walk);
	ck_assert_int_eq(walk.status, PAGING_NOT_PRESENT);
	stop();
}
END_TEST

#define USER_ADDRESS 0x10000000ull

static int keep_map(void *context, const struct look_map *map)
{
	*(struct look_map *)context = *map;
	return 0;
}

/* A process has the kernel's half, and in its own what it was shown. */
START_TEST(a_process_is_looked_at_by_its_own_tables)
{
	struct look_maps_query query = {.start = USER_ADDRESS,
					.end = USER_ADDRESS + 64 * PAGE_SIZE};
	struct look_maps_sum sum;
	struct paging_mode paging;
	struct look_map map;
	uint64_t id, area, kernel_gpa, gpa;

	start();
	area = allocate_with(4, VM_USERMAP);
	id = call(NB_OP_PROCESS_CREATE, 0, 0).result[0];
	ck_assert_int_eq(look_process(inspector, (uint32_t)id + 1, &paging), -ESRCH);
	ck_assert_int_eq(look_process(inspector, (uint32_t)id, &paging), 0);
	ck_assert_int_eq(call4(NB_OP_VMA_CREATE, id, USER_ADDRESS, USER_ADDRESS + 4 * PAGE_SIZE,
			       VM_READ | VM_WRITE | VM_SHARED)
				 .status,
			 0);
	ck_assert_int_eq(call4(NB_OP_REMAP_VMALLOC_RANGE, id, USER_ADDRESS, area, 0).status, 0);
	query.paging = &paging;
	ck_assert_int_eq(look_maps(inspector, &query, keep_map, &map, &sum), 0);
	ck_assert_uint_eq(sum.ranges, 1);
	ck_assert_uint_eq(map.start, USER_ADDRESS);
	ck_assert_uint_eq(map.end, USER_ADDRESS + 4 * PAGE_SIZE);
	ck_assert_uint_eq(map.rights, PAGING_R | PAGING_W | PAGING_U);
	ck_assert_int_eq(map.region, LOOK_USER);
	for (uint64_t offset = 0; offset < 4 * PAGE_SIZE; offset += PAGE_SIZE) {
		ck_assert_int_eq(look_translate(inspector, NULL, area + offset, &kernel_gpa, NULL),
				 0);
		ck_assert_int_eq(
			look_translate(inspector, &paging, USER_ADDRESS + offset, &gpa, NULL), 0);
		ck_assert_uint_eq(gpa, kernel_gpa);
	}
	ck_assert_int_eq(look_translate(inspector, NULL, USER_ADDRESS, &gpa, NULL), -EFAULT);
	ck_assert_int_eq(look_translate(inspector, &paging, area, &gpa, NULL), 0);
	stop();
}
END_TEST

/* ---- the core's structures ---- */

START_TEST(frames_zones_and_slabs_add_up)
{
	struct look_frames frames;
	struct look_zones zones;
	struct look_slabs slabs;
	struct look_frame frame;
	uint64_t area, present = 0, free = 0, gpa;
	size_t named = 0;

	start();
	area = allocate(20);
	ck_assert_int_eq(look_frames(inspector, &frames), 0);
	ck_assert_uint_eq(frames.total, guest_memory_bytes(guest) / PAGE_SIZE);
	ck_assert_uint_eq(frames.frames[LOOK_FRAME_UNKNOWN], 0);
	ck_assert_uint_eq(frames.frames[LOOK_FRAME_VMALLOC], 20);
	ck_assert_uint_gt(frames.frames[LOOK_FRAME_IMAGE], 0);
	ck_assert_int_eq(look_zones(inspector, &zones), 0);
	for (size_t i = 0; i < zones.nr_zones; i++) {
		present += zones.zone[i].present;
		free += zones.zone[i].free;
		ck_assert_uint_eq(zones.zone[i].nr_cpus, 2);
		for (int cpu = 0; cpu < 2; cpu++)
			free += zones.zone[i].pcp_count[cpu];
	}
	ck_assert_uint_eq(present, frames.total);
	ck_assert_uint_eq(free, frames.frames[LOOK_FRAME_FREE] + frames.frames[LOOK_FRAME_FRESH] +
					frames.frames[LOOK_FRAME_PCP]);
	ck_assert_int_eq(look_slabs(inspector, &slabs), 0);
	for (size_t i = 0; i < slabs.nr_slabs; i++) {
		ck_assert_uint_eq(slabs.slab[i].found, slabs.slab[i].slabs);
		ck_assert_uint_le(slabs.slab[i].in_use, slabs.slab[i].total);
		named += strstr(slabs.slab[i].name, "size-") == NULL;
	}
	ck_assert_uint_eq(named, slabs.nr_slabs);
	ck_assert_int_eq(look_translate(inspector, NULL, area + 19 * PAGE_SIZE, &gpa, NULL), 0);
	ck_assert_int_eq(look_frame(inspector, gpa / PAGE_SIZE, &frame), 0);
	ck_assert_uint_eq(frame.area_start, area);
	ck_assert_uint_eq(frame.area_index, 19);
	look_slabs_free(&slabs);
	look_zones_free(&zones);
	look_frames_free(&frames);
	stop();
}
END_TEST

static int count_came(void *context, const struct look_change *change)
{
	uint64_t *pages = context;

	if (change->kind == LOOK_MAP_CAME)
		*pages += (change->end - change->start) / PAGE_SIZE;
	else if (change->kind == LOOK_MAP_WENT)
		*pages -= (change->end - change->start) / PAGE_SIZE;
	return 0;
}

START_TEST(a_difference_is_what_was_done)
{
	struct look_snapshot *before, *during, *after;
	uint64_t area, pages = 0;

	start();
	allocate(1);
	ck_assert_int_eq(look_snapshot(inspector, &before), 0);
	area = allocate(33);
	ck_assert_int_eq(look_snapshot(inspector, &during), 0);
	ck_assert_int_eq(call(NB_OP_VFREE, area, 0).status, 0);
	ck_assert_int_eq(look_snapshot(inspector, &after), 0);
	ck_assert_int_eq(look_diff(before, during, count_came, &pages), 0);
	ck_assert_uint_eq(pages, 33);
	ck_assert_int_eq(look_diff(before, after, count_came, &pages), 0);
	ck_assert_uint_eq(pages, 33);
	look_snapshot_free(before);
	look_snapshot_free(during);
	look_snapshot_free(after);
	stop();
}
END_TEST

/* ---- memory ---- */

static int keep_hit(void *context, uint64_t address)
{
	*(uint64_t *)context = address;
	return 0;
}

/* The search finds what was written, and makes no memory real. */
START_TEST(a_search_reads_what_was_touched)
{
	static const char text[] = "there is one of these in this guest";
	struct look_search_query query = {
		.physical = true, .pattern = text, .pattern_bytes = sizeof(text)};
	struct look_search_sum sum, again;
	uint64_t area, gpa, hit = 0;

	start();
	area = allocate(3);
	ck_assert_int_eq(guest_write(guest, gva_make(area + 2 * PAGE_SIZE - 9), text, 9), 0);
	ck_assert_int_eq(
		guest_write(guest, gva_make(area + 2 * PAGE_SIZE), text + 9, sizeof(text) - 9), 0);
	query.physical = false;
	ck_assert_int_eq(look_search(inspector, &query, keep_hit, &hit, &sum), 0);
	ck_assert_uint_ge(sum.hits, 1);
	ck_assert_uint_eq(hit, area + 2 * PAGE_SIZE - 9);
	ck_assert_int_eq(guest_write(guest, gva_make(area), text, sizeof(text)), 0);
	query.physical = true;
	ck_assert_int_eq(look_translate(inspector, NULL, area, &gpa, NULL), 0);
	query.start = gpa;
	query.end = gpa + PAGE_SIZE;
	ck_assert_int_eq(look_search(inspector, &query, keep_hit, &hit, &sum), 0);
	ck_assert_uint_eq(sum.hits, 1);
	ck_assert_uint_eq(hit, gpa);
	query.start = query.end = 0;
	ck_assert_int_eq(look_search(inspector, &query, keep_hit, &hit, &sum), 0);
	ck_assert_uint_lt(sum.bytes, guest_memory_bytes(guest) / 4);
	ck_assert_int_eq(look_search(inspector, &query, keep_hit, &hit, &again), 0);
	ck_assert_uint_eq(again.bytes, sum.bytes);
	stop();
}
END_TEST

/* ---- while it runs ---- */

static void *work(void *context)
{
	struct nb_submission sqe[2] = {vmalloc_of(5, 0), {.opcode = NB_OP_VFREE}};
	struct nb_completion cqe;

	while (!__atomic_load_n((int *)context, __ATOMIC_ACQUIRE)) {
		if (guest_call(guest, 1, &sqe[0], &cqe) || cqe.status)
			return context;
		sqe[1].arg[0] = cqe.result[0];
		if (guest_call(guest, 1, &sqe[1], &cqe) || cqe.status)
			return context;
	}
	return NULL;
}

START_TEST(a_guest_at_work_can_be_looked_at)
{
	pthread_t thread;
	int stopped = 0;
	void *failed;

	start();
	ck_assert_int_eq(pthread_create(&thread, NULL, work, &stopped), 0);
	for (int i = 0; i < 20; i++)
		look_at_everything(inspector, VMALLOC_START);
	__atomic_store_n(&stopped, 1, __ATOMIC_RELEASE);
	ck_assert_int_eq(pthread_join(thread, &failed), 0);
	ck_assert_ptr_null(failed);
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("machine_look");
	TCase *tests = tcase_create("look");
	int status = harness_need_kvm();

	if (status)
		return status;
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, ranges_are_where_the_guest_said);
	tcase_add_test(tests, a_walk_ends_where_the_guest_says);
	tcase_add_test(tests, a_process_is_looked_at_by_its_own_tables);
	tcase_add_test(tests, frames_zones_and_slabs_add_up);
	tcase_add_test(tests, a_difference_is_what_was_done);
	tcase_add_test(tests, a_search_reads_what_was_touched);
	tcase_add_test(tests, a_guest_at_work_can_be_looked_at);
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
