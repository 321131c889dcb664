/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seed's calls on a real guest, each by its hypercall, with arguments that are right and with
 * those a hostile host would try, and the auditor after every one.
 */
#include "tests/machine/calls_machine.h"

#define PAGES(n) ((n)*4096ull)

/* Addresses and numbers nobody was given. */
static const uint64_t strange[] = {
	1,
	0x1000,
	NB_VMALLOC_START + (1ull << 43) + 5,
	NB_VMALLOC_START + (1ull << 44),
	NB_DIRECT_BASE,
	NB_DIRECT_BASE + 0x200000,
	NB_DIRECT_BASE + NB_RAM_LIMIT - 16,
	NB_MEMMAP_BASE,
	NB_IMAGE_BASE + 0x200000,
	0x800000000000,
	~0ull,
	~0xfffull,
};
#define NR_STRANGE (sizeof(strange) / sizeof(strange[0]))

/* ---- frames and objects ---- */

START_TEST(frames_are_the_hosts_until_it_gives_them_back)
{
	uint64_t before = frames_left(), pfn, other;

	for (uint64_t order = 0; order <= 10; order += 5) {
		pfn = GOOD(NB_OP_ALLOC_PAGES, order, GFP_KERNEL, ANY_NODE);
		ck_assert_uint_eq(pfn & ((1ull << order) - 1), 0);
		BAD(EINVAL, NB_OP_FREE_PAGES, pfn, order + 1);
		if (order)
			BAD(EINVAL, NB_OP_FREE_PAGES, pfn + 1, 0);
		GOOD(NB_OP_FREE_PAGES, pfn, order);
		BAD(EINVAL, NB_OP_FREE_PAGES, pfn, order);
	}
	pfn = GOOD(NB_OP_ALLOC_PAGES, 0, GFP_KERNEL | __GFP_DMA, 0);
	ck_assert_uint_lt(pfn, (16 << 20) / 4096);
	other = GOOD(NB_OP_ALLOC_PAGES, 0, GFP_KERNEL | __GFP_DMA32, ANY_NODE);
	ck_assert_uint_lt(other, (4ull << 30) / 4096);
	GOOD(NB_OP_FREE_PAGES, pfn, 0);
	GOOD(NB_OP_FREE_PAGES, other, 0);
	BAD(EINVAL, NB_OP_ALLOC_PAGES, 11, GFP_KERNEL, ANY_NODE);
	BAD(EINVAL, NB_OP_ALLOC_PAGES, 0, 1ull << 32, ANY_NODE);
	BAD(EINVAL, NB_OP_ALLOC_PAGES, 0, GFP_KERNEL, 1);
	ck_assert_uint_eq(frames_left(), before);
	ck_assert_uint_eq(m.warnings, 0);
}
END_TEST

/* Not one frame of the guest's own can be had by guessing its number. */
START_TEST(no_frame_of_the_guests_own_can_be_freed)
{
	uint64_t area = GOOD(NB_OP_VMALLOC_CALL, NB_VMALLOC, PAGES(3)), before;

	GOOD(NB_OP_KMALLOC, 5000, GFP_KERNEL, ANY_NODE);
	before = frames_left();
	for (uint64_t pfn = 0; pfn < (64ull << 20) / 4096; pfn += 7)
		for (uint64_t order = 0; order < 2; order++)
			ck_assert_int_eq(QUIET(NB_OP_FREE_PAGES, pfn, order), -EINVAL);
	for (size_t i = 0; i < NR_STRANGE; i++)
		ck_assert_int_eq(QUIET(NB_OP_FREE_PAGES, strange[i], 0), -EINVAL);
	ck_assert_int_eq(QUIET(NB_OP_VMALLOC_TO_PAGE, area), 0);
	BAD(EINVAL, NB_OP_FREE_PAGES, m.result[0], 0);
	ck_assert_uint_eq(frames_left(), before);
	ck_assert_uint_eq(m.warnings, 0);
}
END_TEST

START_TEST(objects_are_the_hosts_until_it_gives_them_back)
{
	static const uint64_t sizes[] = {1, 16, 100, 2048, 2049, 9000, 4 << 20};
	uint64_t object[7];

	for (size_t i = 0; i < 7; i++)
		object[i] = GOOD(NB_OP_KMALLOC, sizes[i], GFP_KERNEL, ANY_NODE);
	for (size_t i = 0; i < 7; i++) {
		ck_assert_int_eq(QUIET(NB_OP_KFREE, object[i] + 8), -EINVAL);
		GOOD(NB_OP_KFREE, object[i]);
		ck_assert_int_eq(QUIET(NB_OP_KFREE, object[i]), -EINVAL);
	}
	/* Objects beside those are the core's own. */
	for (uint64_t at = object[0] & ~0xfffull; at < (object[0] | 0xfff); at += 16)
		ck_assert_int_eq(QUIET(NB_OP_KFREE, at), -EINVAL);
	for (size_t i = 0; i < NR_STRANGE; i++)
		BAD(EINVAL, NB_OP_KFREE, strange[i]);
	BAD(EINVAL, NB_OP_KFREE, 0);
	BAD(EINVAL, NB_OP_KMALLOC, 0, GFP_KERNEL, ANY_NODE);
	BAD(EINVAL, NB_OP_KMALLOC, (4 << 20) + 1, GFP_KERNEL, ANY_NODE);
	BAD(EINVAL, NB_OP_KMALLOC, 16, 1ull << 40, ANY_NODE);
	BAD(EINVAL, NB_OP_KMALLOC, 16, GFP_KERNEL, 7);
	ck_assert_uint_eq(m.warnings, 0);
}
END_TEST

/* ---- vmalloc ---- */

/* One of each, with what tells it from the others seen from outside. */
static const struct {
	uint64_t arg[5];
	uint64_t flags; /* of the area */
	uint64_t end;   /* below which its frames must be */
	bool executable;
} kinds[] = {
	{{NB_VMALLOC, PAGES(2)}, VM_ALLOC, 1ull << 52, false},
	{{NB_VMALLOC_USER, PAGES(2)}, VM_ALLOC | VM_USERMAP, 1ull << 52, false},
	{{NB_VMALLOC_NODE, PAGES(2)}, VM_ALLOC, 1ull << 52, false},
	{{NB_VMALLOC_EXEC, PAGES(2)}, VM_ALLOC, 1ull << 52, true},
	{{NB_VMALLOC_32, PAGES(2)}, VM_ALLOC, 1ull << 32, false},
	{{NB_VMALLOC_32_USER, PAGES(2)}, VM_ALLOC | VM_USERMAP, 1ull << 32, false},
	{{NB_VMALLOC_PROT, PAGES(2), GFP_KERNEL | __GFP_DMA, PAGE_KERNEL},
	 VM_ALLOC,
	 16ull << 20,
	 false},
	{{NB_VMALLOC_PROT_NODE, PAGES(2), GFP_KERNEL, PAGE_KERNEL_RO, ANY_NODE},
	 VM_ALLOC,
	 1ull << 52,
	 false},
};

START_TEST(each_kind_of_vmalloc_gives_its_kind_of_area)
{
	const struct paging_mode mode = guest_paging_mode(m.guest);
	const struct paging_reader reader = guest_paging_reader(m.guest);
	uint64_t before, address;

	for (int twice = 0; twice < 2; twice++) {
		before = frames_left();
		address = audited_call("VMALLOC_CALL", NB_OP_VMALLOC_CALL, kinds[_i].arg, 5);
		ck_assert_int_eq((int64_t)address, 0);
		address = m.result[0];
		for (int i = 0; i < 2; i++) {
			struct paging_walk walk;

			paging_walk(&mode, &reader, gva_make(address + PAGES(i)), &walk);
			ck_assert_int_eq(walk.status, PAGING_MAPPED);
			ck_assert_uint_lt(walk.gpa.value, kinds[_i].end);
			ck_assert(!(walk.entries[3].value & X86_PTE_NX) == kinds[_i].executable);
		}
		GOOD(NB_OP_FIND_VM_AREA, address + 5000);
		ck_assert_uint_eq(m.result[0], address);
		ck_assert_uint_eq(m.result[1], PAGES(3));
		ck_assert_uint_eq(m.result[2], kinds[_i].flags);
		ck_assert_uint_eq(m.result[3], 2);
		GOOD(NB_OP_VFREE, address);
		BAD(ENOENT, NB_OP_FIND_VM_AREA, address);
	}
	ck_assert_uint_eq(frames_left(), before);
}
END_TEST

START_TEST(a_vmalloc_that_makes_no_sense_is_refused)
{
	BAD(EINVAL, NB_OP_VMALLOC_CALL, 8, PAGES(1));
	BAD(EINVAL, NB_OP_VMALLOC_CALL, ~0ull, PAGES(1));
	BAD(EINVAL, NB_OP_VMALLOC_CALL, NB_VMALLOC, 0);
	BAD(EINVAL, NB_OP_VMALLOC_CALL, NB_VMALLOC, ~0ull);
	BAD(ENOMEM, NB_OP_VMALLOC_CALL, NB_VMALLOC, 1ull << 40);
	BAD(EINVAL, NB_OP_VMALLOC_CALL, NB_VMALLOC, PAGES(1), GFP_KERNEL);
	BAD(EINVAL, NB_OP_VMALLOC_CALL, NB_VMALLOC, PAGES(1), 0, PAGE_KERNEL);
	BAD(EINVAL, NB_OP_VMALLOC_CALL, NB_VMALLOC, PAGES(1), 0, 0, 1);
	BAD(EINVAL, NB_OP_VMALLOC_CALL, NB_VMALLOC_NODE, PAGES(1), 0, 0, 1);
	BAD(EINVAL, NB_OP_VMALLOC_CALL, NB_VMALLOC_PROT, PAGES(1), GFP_KERNEL, 0);
	BAD(EINVAL, NB_OP_VMALLOC_CALL, NB_VMALLOC_PROT, PAGES(1), GFP_KERNEL, PAGE_KERNEL_EXEC);
	BAD(EINVAL, NB_OP_VMALLOC_CALL, NB_VMALLOC_PROT, PAGES(1), GFP_KERNEL,
	    PAGE_KERNEL | 1ull << 12);
	BAD(EINVAL, NB_OP_VMALLOC_CALL, NB_VMALLOC_PROT, PAGES(1), 1ull << 32, PAGE_KERNEL);
	ck_assert_uint_eq(busy_areas(), 0);
}
END_TEST

/* ---- areas by hand ---- */

START_TEST(an_area_is_reserved_filled_emptied_and_given_up)
{
	uint64_t before, area, *pfns = take_frames(4, 16);

	for (int twice = 0; twice < 2; twice++) {
		before = frames_left();
		area = GOOD(NB_OP_GET_VM_AREA_WINDOW, PAGES(4), VM_MAP, 0, 0);
		BAD(EINVAL, NB_OP_MAP_VM_AREA, area, 3, PAGE_KERNEL, 16);
		BAD(EINVAL, NB_OP_MAP_VM_AREA, area, 4, PAGE_KERNEL_EXEC, 16);
		GOOD(NB_OP_MAP_VM_AREA, area, 4, PAGE_KERNEL, 16);
		BAD(EBUSY, NB_OP_MAP_VM_AREA, area, 4, PAGE_KERNEL, 16);
		BAD(EBUSY, NB_OP_FREE_PAGES, pfns[1], 0);
		GOOD(NB_OP_UNMAP_KERNEL_RANGE, area + PAGES(1), PAGES(2));
		BAD(EBUSY, NB_OP_FREE_PAGES, pfns[0], 0);
		GOOD(NB_OP_FREE_PAGES, pfns[1], 0);
		take_frames(1, 24);
		GOOD(NB_OP_UNMAP_VM_AREA, area);
		BAD(EBUSY, NB_OP_VFREE, area);
		BAD(EBUSY, NB_OP_VUNMAP, area);
		GOOD(NB_OP_MAP_VM_AREA, area, 4, PAGE_KERNEL_RO, 16);
		GOOD(NB_OP_FREE_VM_AREA, area);
		BAD(ENOENT, NB_OP_FREE_VM_AREA, area);
	}
	ck_assert_uint_eq(frames_left(), before);
	give_frames(4, pfns);
}
END_TEST

START_TEST(an_area_in_a_window_lies_in_it)
{
	uint64_t area =
		GOOD(NB_OP_GET_VM_AREA_WINDOW, PAGES(1), 0, 0xffffffffc0000000, 0xffffffffc0004000);

	ck_assert_uint_eq(area, 0xffffffffc0000000);
	BAD(ENOSPC, NB_OP_GET_VM_AREA_WINDOW, PAGES(3), 0, 0xffffffffc0000000, 0xffffffffc0004000);
	BAD(EINVAL, NB_OP_GET_VM_AREA_WINDOW, PAGES(1), VM_UNINITIALIZED, 0, 0);
	BAD(EINVAL, NB_OP_GET_VM_AREA_WINDOW, PAGES(1), 0, 0xffffffffc0004000, 0xffffffffc0000000);
	GOOD(NB_OP_FREE_VM_AREA, area);
}
END_TEST

/* What the guest itself stands on is in the space, and nobody's to map or to unmap. */
START_TEST(no_area_lies_where_the_machine_does)
{
	static const uint64_t own[][2] = {
		{NB_DIRECT_BASE, 0xffff890000000000},
		{NB_DIRECT_BASE + (1 << 20), 0xffffc90000000000},
		{NB_MEMMAP_BASE, NB_MEMMAP_BASE + (1ull << 30)},
		{NB_IMAGE_BASE, NB_MODULES_BASE},
	};
	const uint64_t *w = own[_i];

	BAD(ENOSPC, NB_OP_GET_VM_AREA_WINDOW, PAGES(1), 0, w[0], w[1]);
	BAD(ENOSPC, NB_OP_GET_VM_AREA, PAGES(1), 1, w[0], w[1], GFP_KERNEL, PAGE_KERNEL, 0,
	    ANY_NODE);
	BAD(EINVAL, NB_OP_VMALLOC, PAGES(1), 1, w[0], w[1], GFP_KERNEL, PAGE_KERNEL, 0, ANY_NODE);
	BAD(ENOENT, NB_OP_UNMAP_VM_AREA, w[0]);
	BAD(ENOENT, NB_OP_UNMAP_KERNEL_RANGE, w[0], PAGES(1));
	BAD(ENOENT, NB_OP_FREE_VM_AREA, w[0]);
	ck_assert_uint_eq(busy_areas(), 0);
}
END_TEST

START_TEST(a_removed_area_is_gone_with_what_it_had)
{
	uint64_t before, area, *pfns = take_frames(2, 0);

	for (int twice = 0; twice < 2; twice++) {
		before = frames_left();
		area = GOOD(NB_OP_VMALLOC_CALL, NB_VMALLOC_USER, PAGES(5));
		BAD(EINVAL, NB_OP_REMOVE_VM_AREA, area + 1);
		GOOD(NB_OP_REMOVE_VM_AREA, area);
		ck_assert_uint_eq(m.result[0], PAGES(5));
		ck_assert_uint_eq(m.result[1], VM_ALLOC | VM_USERMAP);
		ck_assert_uint_eq(m.result[2], 5);
		BAD(ENOENT, NB_OP_REMOVE_VM_AREA, area);
		area = GOOD(NB_OP_VMAP, 2, VM_MAP, PAGE_KERNEL, 0);
		GOOD(NB_OP_REMOVE_VM_AREA, area);
		ck_assert_uint_eq(m.result[2], 0);
		area = GOOD(NB_OP_VMALLOC_CALL, NB_VMALLOC, PAGES(600));
		GOOD(NB_OP_REMOVE_VM_AREA, area);
		ck_assert_uint_eq(m.result[2], 600);
	}
	ck_assert_uint_eq(frames_left(), before);
	give_frames(2, pfns);
}
END_TEST

START_TEST(a_reserved_area_gets_frames)
{
	uint64_t area = GOOD(NB_OP_GET_VM_AREA_WINDOW, PAGES(6), VM_MAP, 0, 0);

	/* Executable memory too, as the kernel's own module_alloc() asks for. */
	GOOD(NB_OP_VMALLOC_AREA, area, GFP_KERNEL, PAGE_KERNEL_EXEC, ANY_NODE);
	GOOD(NB_OP_VFREE, area);
	area = GOOD(NB_OP_GET_VM_AREA_WINDOW, PAGES(6), VM_MAP, 0, 0);
	BAD(EINVAL, NB_OP_VMALLOC_AREA, area, GFP_KERNEL, PAGE_KERNEL, 5);
	BAD(ENOENT, NB_OP_VMALLOC_AREA, area + PAGES(1), GFP_KERNEL, PAGE_KERNEL, 0);
	GOOD(NB_OP_VMALLOC_AREA, area, GFP_KERNEL, PAGE_KERNEL, 0);
	BAD(EBUSY, NB_OP_VMALLOC_AREA, area, GFP_KERNEL, PAGE_KERNEL, 0);
	BAD(EBUSY, NB_OP_UNMAP_VM_AREA, area);
	BAD(EBUSY, NB_OP_UNMAP_KERNEL_RANGE, area, PAGES(1));
	BAD(EBUSY, NB_OP_FREE_VM_AREA, area);
	GOOD(NB_OP_VFREE, area);
	/* A device's area, with tables and without pages. */
	area = GOOD(NB_OP_ALLOC_VM_AREA, PAGES(16));
	ck_assert_uint_eq(area & (PAGES(16) - 1), 0);
	BAD(EINVAL, NB_OP_ALLOC_VM_AREA, 0);
	BAD(EINVAL, NB_OP_ALLOC_VM_AREA, ~0ull);
	BAD(ENOMEM, NB_OP_ALLOC_VM_AREA, 1ull << 44);
	GOOD(NB_OP_FREE_VM_AREA, area);
}
END_TEST

/* ---- vmap ---- */

START_TEST(frames_shown_by_an_area_stay_the_hosts)
{
	uint64_t *pfns = take_frames(3, 0), area, other;

	pfns[3] = pfns[0];
	area = GOOD(NB_OP_VMAP, 4, VM_MAP, PAGE_KERNEL, 0);
	other = GOOD(NB_OP_VMAP, 1, VM_USERMAP, PAGE_KERNEL_RO, 8);
	GOOD(NB_OP_FIND_VM_AREA, area + 1);
	ck_assert_uint_eq(m.result[2], VM_MAP);
	ck_assert_uint_eq(m.result[3], 0);
	for (int i = 0; i < 3; i++)
		BAD(EBUSY, NB_OP_FREE_PAGES, pfns[i], 0);
	BAD(EBUSY, NB_OP_VFREE, area);
	BAD(EBUSY, NB_OP_FREE_VM_AREA, area);
	GOOD(NB_OP_VUNMAP, area);
	BAD(EBUSY, NB_OP_FREE_PAGES, pfns[1], 0);
	GOOD(NB_OP_VUNMAP, other);
	BAD(ENOENT, NB_OP_VUNMAP, other);
	give_frames(3, pfns);
	audited("FREE_PAGES");
}
END_TEST

START_TEST(frames_put_into_an_area_are_its_own)
{
	uint64_t before, *pfns, area, shown;

	for (int twice = 0; twice < 2; twice++) {
		before = frames_left();
		pfns = take_frames(3, 0);
		pfns[3] = pfns[0];
		BAD(EINVAL, NB_OP_VMAP, 4, VM_MAP_PUT_PAGES, PAGE_KERNEL, 0);
		shown = GOOD(NB_OP_VMAP, 1, 0, PAGE_KERNEL, 16);
		BAD(EBUSY, NB_OP_VMAP, 3, VM_MAP_PUT_PAGES, PAGE_KERNEL, 0);
		GOOD(NB_OP_VUNMAP, shown);
		area = GOOD(NB_OP_VMAP, 3, VM_MAP_PUT_PAGES, PAGE_KERNEL, 0);
		GOOD(NB_OP_FIND_VM_AREA, area);
		ck_assert_uint_eq(m.result[3], 3);
		BAD(EINVAL, NB_OP_FREE_PAGES, pfns[0], 0);
		BAD(EINVAL, NB_OP_VMAP, 1, VM_MAP, PAGE_KERNEL, 0);
		BAD(EBUSY, NB_OP_VUNMAP, area);
		GOOD(NB_OP_VFREE, area);
		BAD(EINVAL, NB_OP_FREE_PAGES, pfns[0], 0);
	}
	ck_assert_uint_eq(frames_left(), before);
}
END_TEST

START_TEST(a_vmap_that_makes_no_sense_is_refused)
{
	uint64_t *pfns = take_frames(1, 0), block;

	BAD(EINVAL, NB_OP_VMAP, 0, VM_MAP, PAGE_KERNEL, 0);
	BAD(EINVAL, NB_OP_VMAP, 1, VM_MAP, PAGE_KERNEL, 4);
	BAD(EINVAL, NB_OP_VMAP, 1, VM_MAP, PAGE_KERNEL, NB_DATA_BYTES);
	BAD(EINVAL, NB_OP_VMAP, NB_DATA_BYTES / 8 + 1, VM_MAP, PAGE_KERNEL, 0);
	BAD(EINVAL, NB_OP_VMAP, 1ull << 61, VM_MAP, PAGE_KERNEL, 0);
	BAD(EINVAL, NB_OP_VMAP, (1ull << 61) + 1, VM_MAP, PAGE_KERNEL, 0);
	BAD(EINVAL, NB_OP_VMAP, 1, VM_IOREMAP, PAGE_KERNEL, 0);
	BAD(EINVAL, NB_OP_VMAP, 1, VM_MAP, PAGE_KERNEL_EXEC, 0);
	BAD(EINVAL, NB_OP_VMAP, 1, VM_MAP, 0, 0);
	block = GOOD(NB_OP_ALLOC_PAGES, 1, GFP_KERNEL, ANY_NODE);
	pfns[1] = block;
	BAD(EINVAL, NB_OP_VMAP, 2, VM_MAP, PAGE_KERNEL, 0);
	pfns[1] = block + 1;
	BAD(EINVAL, NB_OP_VMAP, 2, VM_MAP, PAGE_KERNEL, 0);
	for (size_t i = 0; i < NR_STRANGE; i++) {
		pfns[1] = strange[i];
		ck_assert_int_eq(QUIET(NB_OP_VMAP, 2, VM_MAP, PAGE_KERNEL, 0), -EINVAL);
	}
	GOOD(NB_OP_FREE_PAGES, block, 1);
	GOOD(NB_OP_FREE_PAGES, pfns[0], 0);
	ck_assert_uint_eq(busy_areas(), 0);
}
END_TEST

/* ---- bytes ---- */

START_TEST(bytes_are_written_and_read_and_holes_are_not)
{
	uint64_t area = GOOD(NB_OP_VMALLOC_CALL, NB_VMALLOC_USER, PAGES(2));
	char *data = guest_data(m.guest, 0);
	char back[6];

	strcpy(data, "a text across the end of a page");
	GOOD(NB_OP_VWRITE, area + 4096 - 7, 32, 0);
	ck_assert_uint_eq(m.result[0], 32);
	ck_assert_uint_eq(m.result[1], 32);
	ck_assert_int_eq(guest_read(m.guest, gva_make(area + 4096 - 5), back, 6), 0);
	ck_assert_mem_eq(back, "text a", 6);
	GOOD(NB_OP_VREAD, area + 4096 - 7, 32, 8192);
	ck_assert_uint_eq(m.result[0], 32);
	ck_assert_str_eq(data + 8192, data);
	/* Over the area's end: the guard page takes nothing and reads as zero. */
	GOOD(NB_OP_VWRITE, area + PAGES(2) - 3, 32, 0);
	ck_assert_uint_eq(m.result[0], 32);
	ck_assert_uint_eq(m.result[1], 3);
	memset(data, 'x', 64);
	GOOD(NB_OP_VREAD, area + PAGES(2) - 3, 32, 0);
	ck_assert_mem_eq(data, "a t\0\0\0", 6);
	ck_assert_int_eq(data[31], 0);
	ck_assert_int_eq(data[32], 'x');
	BAD(EINVAL, NB_OP_VREAD, area, NB_DATA_BYTES + 1, 0);
	BAD(EINVAL, NB_OP_VREAD, area, 16, NB_DATA_BYTES - 8);
	BAD(EINVAL, NB_OP_VREAD, area, 16, 4);
	BAD(EINVAL, NB_OP_VREAD, area, ~0ull, 8);
	BAD(EINVAL, NB_OP_VWRITE, area, 8, ~7ull);
	GOOD(NB_OP_VREAD, area, 8, NB_DATA_BYTES - 8);
	for (size_t i = 0; i < NR_STRANGE; i++) {
		GOOD(NB_OP_VREAD, strange[i], 8, 0);
		GOOD(NB_OP_VWRITE, strange[i], 8, 0);
		ck_assert_uint_eq(m.result[1], 0);
	}
	GOOD(NB_OP_VFREE, area);
}
END_TEST

static Suite *calls_suite(void)
{
	Suite *suite = suite_create("calls");
	TCase *tcase = tcase_create("calls");

	tcase_add_checked_fixture(tcase, calls_start, calls_stop);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, frames_are_the_hosts_until_it_gives_them_back);
	tcase_add_test(tcase, no_frame_of_the_guests_own_can_be_freed);
	tcase_add_test(tcase, objects_are_the_hosts_until_it_gives_them_back);
	tcase_add_loop_test(tcase, each_kind_of_vmalloc_gives_its_kind_of_area, 0, 8);
	tcase_add_test(tcase, a_vmalloc_that_makes_no_sense_is_refused);
	tcase_add_test(tcase, an_area_is_reserved_filled_emptied_and_given_up);
	tcase_add_test(tcase, an_area_in_a_window_lies_in_it);
	tcase_add_loop_test(tcase, no_area_lies_where_the_machine_does, 0, 4);
	tcase_add_test(tcase, a_removed_area_is_gone_with_what_it_had);
	tcase_add_test(tcase, a_reserved_area_gets_frames);
	tcase_add_test(tcase, frames_shown_by_an_area_stay_the_hosts);
	tcase_add_test(tcase, frames_put_into_an_area_are_its_own);
	tcase_add_test(tcase, a_vmap_that_makes_no_sense_is_refused);
	tcase_add_test(tcase, bytes_are_written_and_read_and_holes_are_not);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	int status = harness_need_kvm();

	return status ? status : harness_run(calls_suite());
}
