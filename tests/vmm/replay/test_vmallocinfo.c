/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reader of /proc/vmallocinfo. */
#include "tests/harness.h"
#include "tests/top.h"

#include <errno.h>

#include "tests/scratch.h"
#include "vmm/replay/vmallocinfo.h"

static struct input_error error;

START_TEST(every_kind_of_area_is_known)
{
	static const char text[] =
		"0xffffc90000000000-0xffffc90000005000   20480 irq_init+0xf0/0x120 vmap\n"
		"0xffffc90000005000-0xffffc90000007000    8192 acpi_os_map_iomem+0x1b6/0x1d0 "
		"phys=0x000000007ffe2000 ioremap\n"
		"0xffffc90000008000-0xffffc9000000d000   20480 load_module+0x1/0x2 [nf_tables] "
		"pages=4 vmalloc N0=3 N1=1\n"
		"0xffffc90000010000-0xffffc90000014000   16384 vm_map_ram\n"
		"0xffffc90000020000-0xffffc90000025000   20480 unpurged vm_area\n"
		"0xffffc90000030000-0xffffc90000035000   20480 a+0x1/0x2 pages=4 vmalloc user "
		"vpages "
		"N0=4\n"
		"0xffffc90000040000-0xffffc90000045000   20480 a+0x1/0x2 dma-coherent\n"
		"0xffffc90000050000-0xffffc90000055000   20480 0xffffffff81000000 sparse\n"
		"0xffffe8ffffc00000-0xffffe8ffffe00000 2097152 pcpu_get_vm_areas+0x0/0x7e0 "
		"vmalloc\n"
		"0xffffe8ffffe00000-0xffffe8ffffe01000    4096\n";
	struct vmallocinfo info;

	ck_assert_msg(!vmallocinfo_read(scratch_write(text), &info, &error), "%s", error.text);
	ck_assert_uint_eq(info.count, 10);
	ck_assert_uint_eq(info.areas[0].flags, VMALLOCINFO_VMAP);
	ck_assert_uint_eq(info.areas[0].start, 0xffffc90000000000);
	ck_assert_uint_eq(info.areas[0].end, 0xffffc90000005000);
	ck_assert_str_eq(info.areas[0].caller, "irq_init+0xf0/0x120");
	ck_assert_uint_eq(info.areas[1].flags, VMALLOCINFO_IOREMAP);
	ck_assert_uint_eq(info.areas[1].phys, 0x7ffe2000);
	ck_assert_uint_eq(info.areas[2].flags, VMALLOCINFO_VMALLOC);
	ck_assert_uint_eq(info.areas[2].pages, 4);
	ck_assert_uint_eq(info.areas[2].line, 3);
	ck_assert_str_eq(info.areas[2].caller, "load_module+0x1/0x2 [nf_tables]");
	ck_assert_uint_eq(info.areas[3].flags, VMALLOCINFO_VM_MAP_RAM);
	ck_assert_str_eq(info.areas[3].caller, "");
	ck_assert_uint_eq(info.areas[4].flags, VMALLOCINFO_UNPURGED);
	ck_assert_uint_eq(info.areas[5].flags,
			  VMALLOCINFO_VMALLOC | VMALLOCINFO_USER | VMALLOCINFO_VPAGES);
	ck_assert_uint_eq(info.areas[6].flags, VMALLOCINFO_DMA_COHERENT);
	ck_assert_uint_eq(info.areas[7].flags, VMALLOCINFO_SPARSE);
	ck_assert_uint_eq(info.areas[8].pages, 0);
	ck_assert_uint_eq(info.areas[9].flags, 0);
	vmallocinfo_free(&info);
	scratch_remove();
}
END_TEST

/* One line or more as each kernel prints them, by its mm/vmalloc.c. */
static const struct {
	const char *text;
	unsigned int flags; /* of the first by address */
	uint64_t phys;
	size_t count;
} kernels[] = {
	/* 4.15 and before: hexadecimal without its 0x, also when it looks decimal. */
	{"0xffffc90000005000-0xffffc90000007000    8192 hpet_enable+0x3a/0x2a0 phys=cff68000 "
	 "ioremap\n",
	 VMALLOCINFO_IOREMAP, 0xcff68000, 1},
	{"0xffffc90000005000-0xffffc90000007000    8192 hpet_enable+0x3a/0x2a0 phys=90000000 "
	 "ioremap\n",
	 VMALLOCINFO_IOREMAP, 0x90000000, 1},
	{"0xffffc90000005000-0xffffc90000007000    8192 hpet_enable+0x3a/0x2a0 phys=f ioremap\n",
	 VMALLOCINFO_IOREMAP, 0xf, 1},
	/* 5.4 */
	{"0xffffc90000005000-0xffffc90000007000    8192 unpurged vm_area\n"
	 "0xffffc90000008000-0xffffc9000000c000   16384 acpi_os_map_iomem+0x17c/0x1b0 "
	 "phys=0x000000007ffe0000 ioremap\n"
	 "0xffffc9000000c000-0xffffc90000011000   20480 _do_fork+0x7f/0x350 pages=4 vmalloc "
	 "N0=4\n",
	 VMALLOCINFO_UNPURGED, 0, 3},
	/* 5.10: vm_map_ram's areas have a line of their own; lazy ones come last. */
	{"0xffffc90000400000-0xffffc90000800000 4194304 vm_map_ram\n"
	 "0xffffc90000800000-0xffffc90000805000   20480 kernel_clone+0x9d/0x3a0 pages=4 vmalloc "
	 "N0=4\n"
	 "0xffffc90000900000-0xffffc90000905000   20480 unpurged vm_area\n",
	 VMALLOCINFO_VM_MAP_RAM, 0, 3},
	/* 5.15: huge pages are counted in small ones; a function a compiler cloned. */
	{"0xffffc90000a00000-0xffffc90000e01000 4198400 load_elf_phdrs.isra.0+0x4b/0xb0 pages=1024 "
	 "vmalloc N0=1024\n",
	 VMALLOCINFO_VMALLOC, 0, 1},
	/* 6.1: user and dma-coherent areas, a caller in a module, one clang renamed. */
	{"0xffffc90000a00000-0xffffc90000a21000  135168 packet_set_ring.llvm.123+0x1/0x2 "
	 "[af_packet] pages=32 vmalloc user N0=32\n"
	 "0xffffc90000b00000-0xffffc90000b02000    8192 dma_common_contiguous_remap+0x1/0x2 "
	 "dma-coherent\n",
	 VMALLOCINFO_VMALLOC | VMALLOCINFO_USER, 0, 2},
	/* 6.12: by node, so not by address; each node's lazy areas behind all nodes' busy ones. */
	{"0xffffc90000008000-0xffffc9000000c000   16384 b+0x1/0x2 pages=3 vmalloc N0=3\n"
	 "0xffffc90000030000-0xffffc90000035000   20480 sparse_area+0x1/0x2 sparse\n"
	 "0xffffc90000000000-0xffffc90000005000   20480 irq_init_percpu_irqstack+0xf4/0x130 vmap\n"
	 "0xffffc90000020000-0xffffc90000025000   20480 c+0x1/0x2 pages=4 vmalloc N0=4\n"
	 "0xffffc90000050000-0xffffc90000055000   20480 unpurged vm_area\n"
	 "0xffffc90000040000-0xffffc90000045000   20480 unpurged vm_area\n",
	 VMALLOCINFO_VMAP, 0, 6},
	/* arm64 with pages of 64 KiB; 5 levels. */
	{"0xffff800080000000-0xffff800080020000  131072 gic_of_init+0x1/0x2 "
	 "phys=0x0000000008000000 ioremap\n",
	 VMALLOCINFO_IOREMAP, 0x8000000, 1},
	{"0xff2b6bda00000000-0xff2b6bda00005000   20480 irq_init_percpu_irqstack+0xf0/0x120 vmap\n",
	 VMALLOCINFO_VMAP, 0, 1},
};

START_TEST(every_kernels_lines_are_read)
{
	struct vmallocinfo info;
	size_t i;

	ck_assert_msg(!vmallocinfo_read(scratch_write(kernels[_i].text), &info, &error), "%s",
		      error.text);
	ck_assert_uint_eq(info.count, kernels[_i].count);
	ck_assert_uint_eq(info.areas[0].flags, kernels[_i].flags);
	ck_assert_uint_eq(info.areas[0].phys, kernels[_i].phys);
	for (i = 1; i < info.count; i++)
		ck_assert_uint_ge(info.areas[i].start, info.areas[i - 1].end);
	vmallocinfo_free(&info);
	scratch_remove();
}
END_TEST

START_TEST(areas_come_sorted_and_are_found)
{
	static const char text[] = "0x5000-0x7000 8192 c vmalloc\n"
				   "0x1000-0x3000 8192 a vmalloc\n"
				   "0x3000-0x4000 4096 b vmap\n";
	struct vmallocinfo info;

	ck_assert_int_eq(vmallocinfo_read(scratch_write(text), &info, &error), 0);
	ck_assert_uint_eq(info.areas[0].start, 0x1000);
	ck_assert_uint_eq(info.areas[1].start, 0x3000);
	ck_assert_uint_eq(info.areas[2].start, 0x5000);
	ck_assert_ptr_null(vmallocinfo_find(&info, 0xfff));
	ck_assert_ptr_eq(vmallocinfo_find(&info, 0x1000), &info.areas[0]);
	ck_assert_ptr_eq(vmallocinfo_find(&info, 0x2fff), &info.areas[0]);
	ck_assert_ptr_eq(vmallocinfo_find(&info, 0x3000), &info.areas[1]);
	ck_assert_ptr_null(vmallocinfo_find(&info, 0x4000));
	ck_assert_ptr_eq(vmallocinfo_find(&info, 0x6fff), &info.areas[2]);
	ck_assert_ptr_null(vmallocinfo_find(&info, 0x7000));
	vmallocinfo_free(&info);
	scratch_remove();
}
END_TEST

static const struct {
	const char *text;
	unsigned long line;
	const char *what;
} bad[] = {
	{"", 0, "empty"},
	{"\n", 1, "empty"},
	{"hello\n", 1, "no line of /proc/vmallocinfo"},
	{"# tracer: nop\n", 1, "no line of /proc/vmallocinfo"},
	{"0x1000-0x3000 8192 a vmalloc\n0x5000-0x6\n", 2, "cut short"},
	{"0x1000-0x3000 8192 a vmalloc\n0x5000\n", 2, "no line of /proc/vmallocinfo"},
	{"0x1000-0x3000 8192 a vmalloc", 1, "cut short"},
	{"0x1000-0x3000 8192 a vmal\n", 1, "no word of"},
	{"0x1000-0x3000 8192 a pages= vmalloc\n", 1, "no number"},
	{"0x1000-0x3000 8192 a pages=x vmalloc\n", 1, "no number"},
	{"0x1000-0x3000 8192 a pages=99999999999999999999 vmalloc\n", 1, "out of range"},
	{"0x1000-0x3000 8192 a pages=3 vmalloc\n", 1, "more pages than room"},
	{"0x1000-0x3000 8192 a pages=1 vmalloc N0=x\n", 1, "no number"},
	{"0x1000-0x3000 8192 a phys=0xg ioremap\n", 1, "no number"},
	{"0x1000-0x3000 8192 a phys= ioremap\n", 1, "no number"},
	{"0x1000-0x3000 8192 a phys=10000000000000000 ioremap\n", 1, "out of range"},
	{"0x1000-0x3000 4096 a vmalloc\n", 1, "kernel hid"},
	{"0xffffc90000001000-0xffffc90000003000 4096 a vmalloc\n", 1, "is not that of the range"},
	{"0xffffc90000001000-0xffffc90000003000 x a vmalloc\n", 1, "no number"},
	{"0x3000-0x1000 8192 a vmalloc\n", 1, "kernel hid"},
	{"0xffffc90000003000-0xffffc90000001000 18446744073709543424 a vmalloc\n", 1,
	 "ends before it starts"},
	{"0xffffc90000001800-0xffffc90000003800 8192 a vmalloc\n", 1, "whole pages"},
	{"0x10000000000001000-0xffffc90000003000 8192 a vmalloc\n", 1, "out of range"},
	{"0xqq-0x2000 8192 a vmalloc\n", 1, "no number"},
	{"0x1000-0x3000 8192 a vmalloc unpurged\n", 1, "both in use and unpurged"},
	{"0x(____ptrval____)-0x(____ptrval____)   20480 a vmalloc\n", 1, "no_hash_pointers"},
	{"0x0000000000000000-0x0000000000000000   20480 a vmalloc\n", 1, "kptr_restrict=1"},
	{"0x00000000fe3c8b1d-0x000000003d0b8a54   20480 a vmalloc\n", 1, "no_hash_pointers"},
	{"0x1000-0x3000 8192 a vmalloc\r\n", 1, "CR LF"},
	{"0x4000-0x5000 4096 b vmap\n0x1000-0x3000 8192 a vmalloc\n0x2000-0x3000 4096 c vmap\n", 3,
	 "0x2000-0x3000 overlaps 0x1000-0x3000 of line 2"},
	{"0x2000-0x3000 4096 c vmap\n0x1000-0x3000 8192 a vmalloc\n", 2,
	 "0x1000-0x3000 overlaps 0x2000-0x3000 of line 1"},
	{"0x1000-0x3000 8192 a vmalloc\n0x1000-0x3000 8192 a vmalloc\n", 2, "of line 1"},
};

START_TEST(bad_input_is_refused_with_its_line)
{
	struct vmallocinfo info;

	ck_assert_int_eq(vmallocinfo_read(scratch_write(bad[_i].text), &info, &error), -EINVAL);
	assert_error(error.text, scratch_path, bad[_i].line, bad[_i].what);
	scratch_remove();
}
END_TEST

START_TEST(a_missing_file_is_named)
{
	struct vmallocinfo info;

	ck_assert_int_eq(vmallocinfo_read("/nonexistent/vmallocinfo.begin", &info, &error),
			 -ENOENT);
	assert_error(error.text, "/nonexistent/vmallocinfo.begin", 0, "No such file");
}
END_TEST

START_TEST(shipped_snapshots_are_read_whole)
{
	static const struct {
		const char *name;
		size_t areas;
	} snapshots[] = {
		{"fork-1cpu/vmallocinfo.begin", 70},    {"fork-1cpu/vmallocinfo.end", 258},
		{"modules-2cpu/vmallocinfo.begin", 79}, {"modules-2cpu/vmallocinfo.end", 127},
		{"mixed-2cpu/vmallocinfo.begin", 79},   {"mixed-2cpu/vmallocinfo.end", 438}};
	struct vmallocinfo info;
	char path[512];

	snprintf(path, sizeof(path), "%s/tests/data/%s", test_top(), snapshots[_i].name);
	ck_assert_msg(!vmallocinfo_read(path, &info, &error), "%s", error.text);
	ck_assert_uint_eq(info.count, snapshots[_i].areas);
	vmallocinfo_free(&info);
}
END_TEST

static Suite *vmallocinfo_suite(void)
{
	Suite *suite = suite_create("vmallocinfo");
	TCase *all = tcase_create("all");

	tcase_add_test(all, every_kind_of_area_is_known);
	tcase_add_loop_test(all, every_kernels_lines_are_read, 0,
			    sizeof(kernels) / sizeof(kernels[0]));
	tcase_add_test(all, areas_come_sorted_and_are_found);
	tcase_add_loop_test(all, bad_input_is_refused_with_its_line, 0,
			    sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(all, a_missing_file_is_named);
	tcase_add_loop_test(all, shipped_snapshots_are_read_whole, 0, 6);
	suite_add_tcase(suite, all);
	return suite;
}

int main(void)
{
	return harness_run(vmallocinfo_suite());
}
