/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What memory costs a guest that touches it, and the VMM that changes it, beside what KVM's own
 * selftests cost (docs/performance.md). Under `scripts/lab npt --icount` a nanosecond is an
 * instruction and the limits hold: a figure above its limit fails. Elsewhere the figures are
 * nanoseconds, printed for orientation.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "ept/demand.h"
#include "ept/trap.h"
#include "tests/ept/tiny_vm.h"

#define PAGE  EPT_PAGE_BYTES
#define HIGH  (1ULL << 32)
#define SIZE  (64ULL << 20)
#define PAGES (EPT_PAGE_2M_BYTES * 4 / PAGE) /* of it, touched */
#define MOVES 4

static struct tiny_vm vm;
static struct error error;
static bool counted;
static int status = EXIT_SUCCESS;

static double now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "bench_reach: %s: %s\n", what, error.text);
	exit(EXIT_FAILURE);
}

static void report(const char *what, double each, double limit)
{
	bool over = counted && limit > 0 && each > limit;

	printf("%-52s %9.0f", what, each);
	if (limit > 0)
		printf("  limit %9.0f%s", limit, over ? "  MISSED" : "");
	printf("\n");
	if (over)
		status = EXIT_FAILURE;
}

static const struct gpa_region *add(const struct gpa_backing *backing)
{
	struct gpa_request request = {
		.name = "ram", .start = gpa_make(HIGH), .size_bytes = SIZE, .backing = *backing};
	const struct gpa_region *region;

	if (gpa_space_add(vm.space, &request, &region, &error) != 0)
		fail("adding a region");
	return region;
}

static void drop(const struct gpa_region *region)
{
	if (gpa_space_remove(vm.space, region, &error) != 0)
		fail("removing a region");
}

/* The guest stores one byte in each page. */
static double touch_all(void)
{
	double start = now();

	if (tiny_vm_store_pages(&vm, HIGH, PAGES, 1) != KVM_EXIT_HLT)
		fail("the guest did not store");
	return (now() - start) / (double)PAGES;
}

static void first_touch(const char *what, const struct gpa_backing *backing, double limit)
{
	const struct gpa_region *region = add(backing);

	if (!backing->thp && !backing->hugetlb_bytes)
		(void)madvise(region->slot_host, SIZE, MADV_NOHUGEPAGE);
	report(what, touch_all(), limit);
	drop(region);
}

/* Reserves huge pages for one region, as an administrator would. */
static bool reserve_huge(bool on)
{
	int fd = open("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
		      O_WRONLY | O_CLOEXEC);
	char text[16];
	bool done;

	if (fd < 0)
		return false;
	snprintf(text, sizeof(text), "%llu", on ? SIZE / EPT_PAGE_2M_BYTES : 0);
	done = write(fd, text, strlen(text)) > 0;
	close(fd);
	return done;
}

static void first_touches(void)
{
	struct gpa_backing anon = {.kind = GPA_BACKING_ANON};
	struct gpa_backing memfd = {.kind = GPA_BACKING_MEMFD};
	struct gpa_backing thp = {.kind = GPA_BACKING_ANON, .thp = true};
	struct gpa_backing thp_there = {.kind = GPA_BACKING_ANON, .thp = true, .prealloc = true};
	struct gpa_backing huge = {
		.kind = GPA_BACKING_MEMFD, .hugetlb_bytes = EPT_PAGE_2M_BYTES, .prealloc = true};

	first_touch("first touch of a page, anonymous", &anon, 10660);
	first_touch("first touch of a page, memfd", &memfd, 0);
	first_touch("first touch of a page, transparent huge, zeroing it", &thp, 0);
	first_touch("first touch of a page, transparent huge, preallocated", &thp_there, 100);
	if (!reserve_huge(true)) {
		printf("NOT MEASURED: huge pages cannot be reserved here (run as root)\n");
		return;
	}
	first_touch("first touch of a page, hugetlb 2 MiB, preallocated", &huge, 100);
	reserve_huge(false);
}

static void population(const char *what, uint32_t batch, bool fill, double limit)
{
	struct gpa_backing backing = {.kind = GPA_BACKING_MEMFD};
	const struct gpa_region *region = add(&backing);
	int fd = memfd_create("source", MFD_CLOEXEC);
	struct demand_source source;
	struct demand_file file;
	struct demand *demand;
	uint64_t left = 0;
	double start;
	char *bytes;

	if (ftruncate(fd, (off_t)SIZE) != 0)
		fail("the source");
	bytes = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED)
		fail("the source");
	memset(bytes, 1, PAGES * PAGE);
	munmap(bytes, SIZE);
	demand_file_open(&file, fd, 0);
	source = demand_source_file(&file);
	if (demand_start(region, batch, &source, &demand, &error) != 0)
		fail("demand paging");
	start = now();
	if (fill && demand_fill(demand, PAGES * PAGE, &left) != 0)
		fail("filling");
	if (fill)
		report(what, (now() - start) / (double)PAGES, limit);
	else
		report(what, touch_all(), limit);
	demand_stop(demand);
	demand_file_close(&file);
	close(fd);
	drop(region);
}

static enum trap_answer let(void *context, const struct trap_event *event)
{
	(void)context;
	(void)event;
	return TRAP_LET;
}

static void traps(void)
{
	struct gpa_backing backing = {.kind = GPA_BACKING_MEMFD, .trappable = true};
	const struct gpa_region *region = add(&backing);
	struct trap_set *set;
	double start;

	if (trap_set_create(vm.space, -1, let, NULL, &set, &error) != 0)
		fail("traps");
	(void)touch_all();
	start = now();
	if (trap_watch(set, region->start, gpa_add(region->start, PAGES * PAGE), TRAP_ANY,
		       &error) != 0)
		fail("watching");
	report("watching a page that is mapped, 8 MiB at once", (now() - start) / (double)PAGES, 0);
	report("a trap: told, let through", touch_all(), 0);
	start = now();
	if (trap_unwatch(set, region->start, gpa_add(region->start, PAGES * PAGE), &error) != 0)
		fail("ending the watch");
	report("ending the watch of a page, 8 MiB at once", (now() - start) / (double)PAGES, 0);
	trap_set_destroy(set);
	drop(region);
}

/* Where the guest has touched pages, KVM has leaves to take away. */
static void changes(bool touched)
{
	struct gpa_backing backing = {.kind = GPA_BACKING_MEMFD};
	const struct gpa_region *region;
	double added = 0, removed = 0, start;

	for (int i = 0; i < MOVES; i++) {
		start = now();
		region = add(&backing);
		added += now() - start;
		if (touched)
			(void)touch_all();
		start = now();
		drop(region);
		removed += now() - start;
	}
	if (touched) {
		report("removing it and those pages", removed / MOVES, 0);
		return;
	}
	report("adding a region of 64 MiB", added / MOVES, 160000);
	report("removing it", removed / MOVES, 160000);
}

int main(void)
{
	const char *icount = getenv("NESTBOX_ICOUNT");

	counted = icount && strcmp(icount, "1") == 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("%s each:\n", counted ? "instructions" : "nanoseconds (limits are not checked)");
	tiny_vm_create(&vm, NULL);
	/* Programs and tables of the guest are there before anything is measured. */
	if (tiny_vm_store_pages(&vm, 0x8000, 1, 1) != KVM_EXIT_HLT)
		fail("the guest did not store");
	first_touches();
	population("userfaultfd population by faults, 256 KiB a batch", 0, false, 20000);
	population("userfaultfd population by faults, a page a batch", 4096, false, 0);
	population("userfaultfd population in the background", 0, true, 20000);
	traps();
	changes(false);
	changes(true);
	tiny_vm_destroy(&vm);
	return status;
}
