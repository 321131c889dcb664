/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vread() and vwrite(): what is memory, what is a hole, what is never touched; random ranges
 * against a byte-by-byte model. Test dNN_ is the input that shows defect NN of the seed.
 *
 * What must not be touched is mapped to addresses where the simulated machine has no RAM: one
 * access there would be a fault.
 */
#include "tests/mm/seed_fixture.h"

#include "mm/vaccess.h"

#define NO_RAM 0xfee00000ull  /* has no struct page either */
#define HOLE   (100ull << 20) /* has a struct page: the section begins with RAM */

static unsigned char buf[64 * PAGE_SIZE], expected[64 * PAGE_SIZE];

static void fill_area(u64 addr, u64 nr, int value)
{
	for (u64 i = 0; i < nr; i++)
		memset(page_address(mm, vmalloc_to_page(mm, addr + i * PAGE_SIZE)), value,
		       PAGE_SIZE);
}

static void assert_bytes(u64 from, u64 to, int value)
{
	for (u64 i = from; i < to; i++)
		ck_assert_msg(buf[i] == value, "byte %llu is %d", (unsigned long long)i, buf[i]);
}

static void map_device(u64 addr, u64 phys, u64 nr)
{
	ck_assert_int_eq(
		pt_map_range(mm, &mm->pt, addr, addr + nr * PAGE_SIZE, phys, PAGE_KERNEL, 1), 0);
}

START_TEST(bytes_are_those_of_the_frames_across_pages)
{
	u64 addr = must_vmalloc(3 * PAGE_SIZE), stored;

	for (u32 i = 0; i < 3 * PAGE_SIZE; i++)
		buf[i] = (unsigned char)(i * 7);
	ck_assert_uint_eq(vwrite(mm, buf, addr + 5, 2 * PAGE_SIZE, &stored), 2 * PAGE_SIZE);
	ck_assert_uint_eq(stored, 2 * PAGE_SIZE);
	ck_assert_int_eq(
		memcmp((char *)page_address(mm, vmalloc_to_page(mm, addr)) + 5, buf, PAGE_SIZE - 5),
		0);
	ck_assert_int_eq(memcmp(page_address(mm, vmalloc_to_page(mm, addr + PAGE_SIZE)),
				buf + PAGE_SIZE - 5, PAGE_SIZE),
			 0);
	ck_assert_uint_eq(vread(mm, expected, addr + 5, 2 * PAGE_SIZE), 2 * PAGE_SIZE);
	ck_assert_int_eq(memcmp(expected, buf, 2 * PAGE_SIZE), 0);
	ck_assert_uint_eq(vread(mm, buf, addr, 0), 0);
	ck_assert_uint_eq(vwrite(mm, buf, addr, 0, NULL), 0);
}
END_TEST

START_TEST(d24_io_areas_are_not_touched)
{
	u64 addr = must_get(2 * PAGE_SIZE, VM_IOREMAP), next = must_vmalloc(PAGE_SIZE), stored;

	map_device(addr, NO_RAM, 2);
	fill_area(next, 1, 9);
	memset(buf, 1, sizeof(buf));
	ck_assert_uint_eq(next, addr + 3 * PAGE_SIZE);
	ck_assert_uint_eq(vread(mm, buf, addr, 4 * PAGE_SIZE), 4 * PAGE_SIZE);
	assert_bytes(0, 3 * PAGE_SIZE, 0);
	assert_bytes(3 * PAGE_SIZE, 4 * PAGE_SIZE, 9);
	ck_assert_uint_eq(vwrite(mm, buf, addr, 4 * PAGE_SIZE, &stored), 4 * PAGE_SIZE);
	ck_assert_uint_eq(stored, PAGE_SIZE);
}
END_TEST

/* RAM mapped as a device is a device. */
START_TEST(d24_io_areas_over_ram_read_as_zero)
{
	u64 addr = must_get(PAGE_SIZE, VM_IOREMAP), stored;

	take_pages(1);
	memset(page_address(mm, pages[0]), 3, PAGE_SIZE);
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 1, PAGE_KERNEL), 0);
	memset(buf, 1, PAGE_SIZE);
	ck_assert_uint_eq(vread(mm, buf, addr, PAGE_SIZE), PAGE_SIZE);
	assert_bytes(0, PAGE_SIZE, 0);
	ck_assert_uint_eq(vwrite(mm, buf, addr, PAGE_SIZE, &stored), PAGE_SIZE);
	ck_assert_uint_eq(stored, 0);
	ck_assert_uint_eq(*(char *)page_address(mm, pages[0]), 3);
}
END_TEST

START_TEST(d25_pages_not_mapped_are_not_touched)
{
	u64 bare = must_get(2 * PAGE_SIZE, 0), part = must_get(3 * PAGE_SIZE, 0), tables, stored;

	ck_assert_int_eq(alloc_vm_area(mm, PAGE_SIZE, &tables), 0);
	map_device(part, NO_RAM, 1);
	map_device(part + PAGE_SIZE, HOLE, 1);
	memset(buf, 1, sizeof(buf));
	ck_assert_uint_eq(vread(mm, buf, bare, 9 * PAGE_SIZE), 9 * PAGE_SIZE);
	assert_bytes(0, 9 * PAGE_SIZE, 0);
	ck_assert_uint_eq(vwrite(mm, buf, bare, 9 * PAGE_SIZE, &stored), 9 * PAGE_SIZE);
	ck_assert_uint_eq(stored, 0);
}
END_TEST

START_TEST(d26_writes_skip_what_is_read_only_and_say_so)
{
	u64 read_only, addr = must_vmalloc(PAGE_SIZE), stored;

	ck_assert_int_eq(vmalloc_prot(mm, PAGE_SIZE, GFP_KERNEL, PAGE_KERNEL_RO, &read_only), 0);
	ck_assert_uint_eq(read_only, addr + 2 * PAGE_SIZE);
	fill_area(addr, 1, 4);
	fill_area(read_only, 1, 4);
	memset(buf, 8, sizeof(buf));
	ck_assert_uint_eq(vwrite(mm, buf, addr, 3 * PAGE_SIZE, &stored), 3 * PAGE_SIZE);
	ck_assert_uint_eq(stored, PAGE_SIZE);
	ck_assert_uint_eq(vread(mm, buf, addr, 3 * PAGE_SIZE), 3 * PAGE_SIZE);
	assert_bytes(0, PAGE_SIZE, 8);
	assert_bytes(PAGE_SIZE, 2 * PAGE_SIZE, 0);
	assert_bytes(2 * PAGE_SIZE, 3 * PAGE_SIZE, 4);
}
END_TEST

/* The buffer is filled to its end, or not at all. */
START_TEST(d27_what_is_beyond_the_last_area_reads_as_zero)
{
	u64 addr = must_vmalloc(PAGE_SIZE), last = 0ull - 3 * PAGE_SIZE, end_area, stored = 77;

	fill_area(addr, 1, 5);
	memset(buf, 1, sizeof(buf));
	ck_assert_uint_eq(vread(mm, buf, addr + PAGE_SIZE - 1, 5 * PAGE_SIZE), 5 * PAGE_SIZE);
	assert_bytes(0, 1, 5);
	assert_bytes(1, 5 * PAGE_SIZE, 0);
	assert_bytes(5 * PAGE_SIZE, 6 * PAGE_SIZE, 1);
	memset(buf, 1, sizeof(buf));
	/* From the guard on, up to the area, nowhere. */
	ck_assert_uint_eq(vread(mm, buf, addr + PAGE_SIZE, 5 * PAGE_SIZE), 0);
	ck_assert_uint_eq(vread(mm, buf, addr - 7, 7), 0);
	ck_assert_uint_eq(vread(mm, buf, 0, sizeof(buf)), 0);
	ck_assert_uint_eq(vwrite(mm, buf, addr + PAGE_SIZE, 5 * PAGE_SIZE, &stored), 0);
	ck_assert_uint_eq(stored, 0);
	assert_bytes(0, sizeof(buf), 1);
	ck_assert_uint_eq(vread(mm, buf, addr - 7, 8), 8);
	assert_bytes(0, 7, 0);
	assert_bytes(7, 8, 5);
	/* The end of the address space. */
	ck_assert_int_eq(get_vm_area_window(mm, PAGE_SIZE, 0, last, ~0ull, &end_area), 0);
	ck_assert_uint_eq(vread(mm, buf, end_area, ~0ull), 0 - end_area);
	ck_assert_uint_eq(vread(mm, buf, end_area + 10, 10 * PAGE_SIZE), 0 - end_area - 10);
}
END_TEST

/* An area with no guard, and none with no size: nothing underflows. */
START_TEST(d28_the_payload_of_an_area_is_its_own)
{
	const struct vmalloc_request request = {.size = PAGE_SIZE,
						.align = 1,
						.start = VMALLOC_START,
						.end = VMALLOC_END,
						.prot = PAGE_KERNEL,
						.flags = VM_NO_GUARD,
						.gfp = GFP_KERNEL,
						.node = NUMA_NO_NODE};
	u64 first, second;

	ck_assert_int_eq(vmalloc_node_range(mm, &request, &first), 0);
	ck_assert_int_eq(vmalloc_node_range(mm, &request, &second), 0);
	ck_assert_uint_eq(second, first + PAGE_SIZE);
	fill_area(first, 1, 1);
	fill_area(second, 1, 2);
	ck_assert_uint_eq(vread(mm, buf, first, 3 * PAGE_SIZE), 3 * PAGE_SIZE);
	assert_bytes(0, PAGE_SIZE, 1);
	assert_bytes(PAGE_SIZE, 2 * PAGE_SIZE, 2);
	assert_bytes(2 * PAGE_SIZE, 3 * PAGE_SIZE, 0);
}
END_TEST

/* ---- against a model ---- */

#define WINDOW_PAGES 256

/* What each page of the window is, as the test made it. */
struct model_page {
	bool in_area, touchable, writable;
	unsigned char value[PAGE_SIZE];
};

static struct model_page model[WINDOW_PAGES];

/* One area of a random kind in each 8 pages. */
static void make_areas(u64 *state)
{
	for (u64 at = 0; at < WINDOW_PAGES; at += 8) {
		u64 nr, addr, kind, base = VMALLOC_START + at * PAGE_SIZE;
		struct vmalloc_request request = {.align = 1,
						  .start = base,
						  .end = base + 8 * PAGE_SIZE,
						  .prot = PAGE_KERNEL,
						  .gfp = GFP_KERNEL | __GFP_ZERO,
						  .node = NUMA_NO_NODE};

		*state = *state * 6364136223846793005ull + 1442695040888963407ull;
		nr = 1 + (*state >> 33) % 6;
		kind = (*state >> 40) % 5;
		request.size = nr * PAGE_SIZE;
		if (kind == 0)
			continue;
		if (kind == 1)
			request.prot = PAGE_KERNEL_RO;
		if (kind == 4)
			request.flags = VM_IOREMAP | VM_LINUX_SEARCH;
		if (kind <= 2)
			ck_assert_int_eq(vmalloc_node_range(mm, &request, &addr), 0);
		else if (get_vm_area_node(mm, &request, &addr))
			continue;
		if (kind >= 3)
			map_device(addr, NO_RAM, nr);
		for (u64 i = 0; i < nr; i++) {
			struct model_page *page =
				&model[((addr - VMALLOC_START) >> PAGE_SHIFT) + i];

			page->in_area = true;
			page->touchable = kind <= 2;
			page->writable = kind == 2;
		}
	}
}

static bool model_has_area(u64 start, u64 count)
{
	for (u64 i = start; i < start + count; i++) {
		if (model[i >> PAGE_SHIFT].in_area)
			return true;
	}
	return false;
}

static void model_read(u64 start, u64 count)
{
	for (u64 i = 0; i < count; i++) {
		const struct model_page *page = &model[(start + i) >> PAGE_SHIFT];

		expected[i] = page->touchable ? page->value[(start + i) % PAGE_SIZE] : 0;
	}
}

static u64 model_write(u64 start, u64 count)
{
	u64 stored = 0;

	for (u64 i = 0; i < count; i++) {
		struct model_page *page = &model[(start + i) >> PAGE_SHIFT];

		if (page->writable) {
			page->value[(start + i) % PAGE_SIZE] = buf[i];
			stored++;
		}
	}
	return stored;
}

START_TEST(random_ranges_read_and_write_as_the_model_says)
{
	u64 state = (u64)_i + 1, stored;

	printf("seed %d\n", _i);
	make_areas(&state);
	for (u32 n = 0; n < 2000; n++) {
		u64 start, count, result;

		state = state * 6364136223846793005ull + 1442695040888963407ull;
		start = (state >> 20) % (WINDOW_PAGES * PAGE_SIZE);
		count = 1 + (state >> 5) % (n % 3 ? 3 * PAGE_SIZE : sizeof(buf));
		if (count > WINDOW_PAGES * PAGE_SIZE - start)
			count = WINDOW_PAGES * PAGE_SIZE - start;
		result = model_has_area(start, count) ? count : 0;
		memset(buf, (int)(state >> 50), count);
		if (n % 2) {
			ck_assert_uint_eq(vwrite(mm, buf, VMALLOC_START + start, count, &stored),
					  result);
			ck_assert_uint_eq(stored, model_write(start, count));
			continue;
		}
		ck_assert_uint_eq(vread(mm, buf, VMALLOC_START + start, count), result);
		model_read(start, count);
		ck_assert_int_eq(memcmp(buf, expected, result), 0);
	}
}
END_TEST

static Suite *vaccess_suite(void)
{
	Suite *suite = suite_create("vaccess");
	TCase *tcase = tcase_create("vaccess");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, bytes_are_those_of_the_frames_across_pages);
	tcase_add_test(tcase, d24_io_areas_are_not_touched);
	tcase_add_test(tcase, d24_io_areas_over_ram_read_as_zero);
	tcase_add_test(tcase, d25_pages_not_mapped_are_not_touched);
	tcase_add_test(tcase, d26_writes_skip_what_is_read_only_and_say_so);
	tcase_add_test(tcase, d27_what_is_beyond_the_last_area_reads_as_zero);
	tcase_add_test(tcase, d28_the_payload_of_an_area_is_its_own);
	tcase_add_loop_test(tcase, random_ranges_read_and_write_as_the_model_says, 0, 5);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(vaccess_suite());
}
