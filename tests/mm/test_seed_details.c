/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the seed's calls get right without saying so: the node and the zone of all that an area is
 * made of, what is said of a failure and how loud, areas that are not complete, fields nobody set.
 */
#include "mm/pgtable_private.h"

#include "tests/mm/seed_fixture.h"

#include <pthread.h>

#include "mm/vaccess.h"

/* ---- nodes ---- */

/* 64 MiB of node 0, and of node 1; the one CPU is of @cpu_node. */
static void start_nodes(u8 cpu_node)
{
	struct sim_config config = {.nr_cpus = 1, .cpu_node = {cpu_node}};

	teardown();
	sim_add_ram(&config, 0, 64ull << 20, 0);
	sim_add_ram(&config, 4ull << 30, 64ull << 20, 1);
	sim = sim_create(&config);
	mm = &sim->mm;
}

static u32 node_of(const void *object)
{
	return virt_to_page(mm, object)->node;
}

/* Frames, bookkeeping, range and page array of the area at @addr are all of @node. */
static void expect_node(u64 addr, u32 node, u32 array)
{
	struct vm_struct *vm = find_vm_area(mm, addr);
	struct page **part;
	u64 count;

	ck_assert_ptr_nonnull(vm);
	ck_assert_uint_eq(vm->array, array);
	ck_assert_uint_eq(node_of(vm), node);
	ck_assert_uint_eq(node_of(vm->area), node);
	for (u64 i = 0; i < vm->nr_pages; i += count) {
		part = vm_pages_chunk(mm, vm, i, &count);
		ck_assert_uint_eq(node_of(part), node);
		for (u64 j = 0; j < count; j++)
			ck_assert_uint_eq(part[j]->node, node);
	}
	if (array == VM_ARRAY_DIRECTORY)
		ck_assert_uint_eq(node_of(vm->pages), node);
	if (array == VM_ARRAY_VMALLOC)
		expect_node((u64)(uintptr_t)vm->pages, node, VM_ARRAY_INLINE);
}

static const struct {
	u64 pages, flags;
	u32 array;
} arrays[] = {{1, 0, VM_ARRAY_INLINE},
	      {3, 0, VM_ARRAY_INLINE},
	      {300, 0, VM_ARRAY_KMALLOC},
	      {600, 0, VM_ARRAY_VMALLOC},
	      {600, VM_ARRAY_OUTSIDE, VM_ARRAY_DIRECTORY}};

/* By each call that takes a node, the CPU being of the other one; and by those that take none. */
START_TEST(all_that_an_area_is_made_of_is_of_its_node)
{
	for (int node = 0; node < 2; node++) {
		for (u32 i = 0; i < ARRAY_SIZE(arrays); i++) {
			u64 size = arrays[i].pages * PAGE_SIZE, addr;
			struct vmalloc_request request = {.size = size,
							  .align = 1,
							  .start = VMALLOC_START,
							  .end = VMALLOC_END,
							  .prot = PAGE_KERNEL,
							  .flags = arrays[i].flags,
							  .gfp = GFP_KERNEL,
							  .node = node};

			start_nodes(!node);
			ck_assert_int_eq(vmalloc_node_range(mm, &request, &addr), 0);
			expect_node(addr, (u32)node, arrays[i].array);
			if (arrays[i].flags)
				continue;
			ck_assert_int_eq(vmalloc_node(mm, size, node, &addr), 0);
			expect_node(addr, (u32)node, arrays[i].array);
			ck_assert_int_eq(
				vmalloc_prot_node(mm, size, GFP_KERNEL, PAGE_KERNEL, node, &addr),
				0);
			expect_node(addr, (u32)node, arrays[i].array);
			ck_assert_int_eq(get_vm_area_node(mm, &request, &addr), 0);
			ck_assert_uint_eq(node_of(find_vm_area(mm, addr)), node);
			ck_assert_uint_eq(node_of(find_vm_area(mm, addr)->area), node);
			ck_assert_int_eq(vmalloc_area_node(mm, addr, GFP_KERNEL, PAGE_KERNEL, node),
					 0);
			ck_assert_uint_eq(vmalloc_to_page(mm, addr)->node, node);
			start_nodes((u8)node);
			ck_assert_int_eq(vmalloc(mm, size, &addr), 0);
			expect_node(addr, (u32)node, arrays[i].array);
			ck_assert_int_eq(vmalloc_prot(mm, size, GFP_KERNEL, PAGE_KERNEL, &addr), 0);
			expect_node(addr, (u32)node, arrays[i].array);
			addr = must_get(size, 0);
			ck_assert_int_eq(vmalloc_area(mm, addr, GFP_KERNEL, PAGE_KERNEL), 0);
			ck_assert_uint_eq(vmalloc_to_page(mm, addr + size - 1)->node, node);
		}
	}
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

START_TEST(an_area_of_a_node_that_is_not_there_is_refused)
{
	static const int none[] = {1, 7, 99, 1 << 30};
	u64 reserved = must_get(PAGE_SIZE, 0), addr = 5;
	struct vmalloc_request request = {.size = PAGE_SIZE,
					  .align = 1,
					  .start = VMALLOC_START,
					  .end = VMALLOC_END,
					  .gfp = GFP_KERNEL,
					  .prot = PAGE_KERNEL};

	for (u32 i = 0; i < ARRAY_SIZE(none); i++) {
		request.node = none[i];
		sim->nr_warnings = 0;
		ck_assert_int_eq(vmalloc_node(mm, PAGE_SIZE, none[i], &addr), -EINVAL);
		ck_assert_int_eq(vmalloc_node_range(mm, &request, &addr), -EINVAL);
		ck_assert_int_eq(get_vm_area_node(mm, &request, &addr), -EINVAL);
		ck_assert_uint_eq(sim->nr_warnings, 3);
		ck_assert_int_eq(vmalloc_area_node(mm, reserved, GFP_KERNEL, PAGE_KERNEL, none[i]),
				 -EINVAL);
		ck_assert_ptr_nonnull(find_vm_area(mm, reserved));
	}
	ck_assert_uint_eq(sim->nr_logs, 0);
	ck_assert_uint_eq(addr, 5);
	ck_assert_uint_eq(mm->vmap.nr_busy, 1);
	for (int node = -9; node < 0; node++)
		ck_assert_int_eq(vmalloc_node(mm, PAGE_SIZE, node, &addr), 0);
}
END_TEST

/* What lists the frames is not for a device that reaches only some. */
START_TEST(page_arrays_of_any_size_come_from_no_zone_in_particular)
{
	static const u64 counts[] = {1, 246, 247, 250, 300, 512, 513, 600};

	for (u32 i = 0; i < ARRAY_SIZE(counts); i++) {
		struct vm_struct *vm;
		struct page **part;
		u64 addr, count, *table;
		int level;

		ck_assert_int_eq(vmalloc_prot(mm, counts[i] * PAGE_SIZE, GFP_KERNEL | GFP_DMA32,
					      PAGE_KERNEL, &addr),
				 0);
		vm = find_vm_area(mm, addr);
		part = vm_pages_chunk(mm, vm, 0, &count);
		ck_assert_uint_eq(part[0]->zone, ZONE_DMA32);
		ck_assert_uint_eq(part[count - 1]->zone, ZONE_DMA32);
		ck_assert_uint_eq(virt_to_page(mm, part)->zone, ZONE_NORMAL);
		ck_assert_uint_eq(virt_to_page(mm, vm)->zone, ZONE_NORMAL);
		for (int to = 1; to < 4; to++) {
			table = pt_walk(mm, &mm->pt, addr, to, &level);
			ck_assert_uint_eq(virt_to_page(mm, table)->zone, ZONE_NORMAL);
		}
		if (vm->array == VM_ARRAY_KMALLOC)
			ck_assert_uint_ne(virt_to_page(mm, part)->state, PAGE_VMALLOC);
	}
}
END_TEST

/* ---- what is said, how often and how loud ---- */

START_TEST(each_failure_is_one_line_of_its_level)
{
	struct vm_struct *vm;
	u64 addr, got;

	take_pages(1);
	ck_assert_int_eq(get_vm_area(mm, 64ull << 40, 0, &addr), -ENOSPC);
	ck_assert_int_eq(vmalloc(mm, 1ull << 40, &addr), -ENOMEM);
	mm->fault.fail[FAULT_SLAB] = 1;
	ck_assert_int_eq(vmalloc(mm, PAGE_SIZE, &addr), -ENOMEM);
	mm->fault.fail[FAULT_FRAME] = 3;
	ck_assert_int_eq(vmalloc(mm, 20 * PAGE_SIZE, &addr), -ENOMEM);
	mm->fault.fail[FAULT_FRAME] = 0;
	mm->fault.fail[FAULT_TABLE] = 1;
	ck_assert_int_eq(vmalloc(mm, PAGE_SIZE, &addr), -ENOMEM);
	ck_assert_uint_eq(sim->nr_logs, 5);
	mm->fault.fail[FAULT_FRAME] = 1;
	ck_assert_ptr_null(alloc_pages(mm, GFP_KERNEL, 0, -1, PAGE_OTHER, sim));
	mm->fault.fail[FAULT_FRAME] = 2;
	ck_assert_uint_eq(alloc_pages_bulk(mm, GFP_KERNEL, -1, PAGE_OTHER, sim, 9, pages + 1), 1);
	mm->fault.fail[FAULT_FRAME] = 0;
	ck_assert_uint_eq(sim->nr_logs, 7);
	ck_assert(sim_logged(sim, "order:0, mode:cc0, missing:8"));
	for (u32 i = 0; i < 7; i++)
		ck_assert_uint_eq(sim->log_level[i], LOG_WARNING);
	ck_assert_uint_eq(sim->nr_warnings, 0);

	/* A caller's mistakes: an error, and a warning. */
	ck_assert_int_eq(vfree(mm, 8), -EINVAL);
	ck_assert_int_eq(vunmap(mm, 16), -EINVAL);
	ck_assert_int_eq(free_vm_area(mm, 24), -EINVAL);
	ck_assert_int_eq(vunmap(mm, PAGE_SIZE), -ENOENT);
	free_pages(mm, pages[0], 1);
	kfree(mm, (char *)page_address(mm, pages[0]) + 8);
	ck_assert_uint_eq(sim->nr_logs, 13);
	for (u32 i = 7; i < 13; i++)
		ck_assert_uint_eq(sim->log_level[i], LOG_ERR);
	ck_assert_uint_eq(sim->nr_warnings, 6);
	ck_assert(sim_logged(sim, "Trying to vfree() bad address (0000000000000010)"));
	ck_assert(sim_logged(sim, "Trying to vfree() nonexistent vm area (0000000000001000)"));

	/* And of what goes well, nothing. */
	got = alloc_pages_bulk(mm, GFP_KERNEL | __GFP_ZERO, -1, PAGE_OTHER, sim, 9, pages + 1);
	ck_assert_uint_eq(got, 9);
	ck_assert_int_eq(vmalloc_user(mm, 300 * PAGE_SIZE, &addr), 0);
	ck_assert_int_eq(remove_vm_area(mm, addr, &vm), 0);
	vm_struct_free(mm, vm);
	ck_assert_uint_eq(sim->nr_logs, 13);
	ck_assert_uint_eq(sim->nr_warnings, 6);
}
END_TEST

static const struct arch_ops *recorded;
static u64 logs_at_warning;

/* Who prints may take as long as he likes. */
static void expect_no_lock(void)
{
	ck_assert_uint_eq(mm->vmap.lock.word | mm->processes.lock.word | mm->section_lock.word |
				  mm->vmap.cache.lock.word,
			  0);
	for (u32 i = 0; i < NR_KMALLOC_CACHES; i++)
		ck_assert_uint_eq(mm->kmalloc[i].lock.word, 0);
	for (u32 i = 0; i < NR_ZONES; i++)
		ck_assert_uint_eq(mm->node[0].zone[i].lock.word, 0);
}

static void log_and_look(void *arch, enum log_level level, const char *format, va_list args)
{
	expect_no_lock();
	recorded->log(arch, level, format, args);
}

static void warn_and_look(void *arch, const char *file, int line, const char *text)
{
	expect_no_lock();
	logs_at_warning = sim->nr_logs;
	recorded->warn(arch, file, line, text);
}

/* As in the seed, first the line that says what, then the WARN that says where. */
START_TEST(a_report_is_a_line_and_then_a_warning)
{
	void *object[600];
	struct arch_ops ops = *mm->ops;

	recorded = mm->ops;
	ops.log = log_and_look;
	ops.warn = warn_and_look;
	mm->ops = &ops;
	take_pages(1);
	for (u32 i = 0; i < ARRAY_SIZE(object); i++)
		object[i] = kmalloc_node(mm, 64, GFP_KERNEL, NUMA_NO_NODE);
	kfree(mm, object[0]);
	for (u32 i = 0; i < 6; i++) {
		u64 logs = sim->nr_logs, warnings = sim->nr_warnings;

		switch (i) {
		case 0:
			vfree(mm, 8);
			break;
		case 1:
			vunmap(mm, PAGE_SIZE);
			break;
		case 2:
			free_vm_area(mm, 24);
			break;
		case 3:
			free_pages(mm, pages[0], 1);
			break;
		case 4:
			kfree(mm, object[0]);
			break;
		case 5:
			kfree(mm, (char *)object[1] + 8);
		}
		ck_assert_uint_eq(sim->nr_logs, logs + 1);
		ck_assert_uint_eq(sim->nr_warnings, warnings + 1);
		ck_assert_uint_eq(logs_at_warning, logs + 1);
	}
}
END_TEST

/* A copy is of the area around an address, while it is complete. */
START_TEST(a_copy_is_of_an_area_that_is_there)
{
	u64 addr = must_get(3 * PAGE_SIZE, VM_IOREMAP);
	struct vm_struct copy = {.addr = 4};
	struct vmap_area *area;
	struct vm_struct *vm;

	ck_assert_int_eq(vm_area_copy(mm, addr - 1, &copy), -ENOENT);
	ck_assert_int_eq(vm_area_copy(mm, addr + 4 * PAGE_SIZE, &copy), -ENOENT);
	ck_assert_uint_eq(copy.addr, 4);
	ck_assert_int_eq(vm_area_copy(mm, addr + 4 * PAGE_SIZE - 1, &copy), 0);
	ck_assert_int_eq(memcmp(&copy, find_vm_area(mm, addr), sizeof(copy)), 0);
	ck_assert_int_eq(vmap_claim(mm, addr, VMAP_RESERVED, &area, &vm), 0);
	ck_assert_int_eq(vm_area_copy(mm, addr, &copy), -ENOENT);
	vmap_publish(mm, area, vm, VMAP_RESERVED);
	ck_assert_int_eq(vm_area_copy(mm, addr, &copy), 0);
}
END_TEST

/* The place a warning names is the call's own. */
START_TEST(a_warning_names_the_call_it_is_of)
{
	vfree(mm, 8);
	ck_assert_ptr_nonnull(strstr(sim->warning, "vmalloc.c:"));
	vunmap(mm, 8);
	ck_assert_ptr_nonnull(strstr(sim->warning, "vm_area.c:"));
	ck_assert_ptr_nonnull(strstr(sim->warning, "vunmap() of a bad address"));
}
END_TEST

START_TEST(nowarn_silences_every_failure)
{
	struct vmalloc_request request = {.size = 20 * PAGE_SIZE,
					  .align = 1,
					  .start = VMALLOC_START,
					  .end = VMALLOC_START + 4 * PAGE_SIZE,
					  .prot = PAGE_KERNEL,
					  .gfp = GFP_KERNEL | __GFP_NOWARN,
					  .node = NUMA_NO_NODE};
	u64 addr;

	ck_assert_int_eq(vmalloc_node_range(mm, &request, &addr), -ENOSPC);
	request.end = VMALLOC_END;
	for (u32 kind = 0; kind < NR_FAULTS; kind++) {
		mm->fault.fail[kind] = 1;
		ck_assert_int_ne(vmalloc_node_range(mm, &request, &addr), 0);
		mm->fault.fail[kind] = 0;
	}
	request.size = 1ull << 40;
	ck_assert_int_eq(vmalloc_node_range(mm, &request, &addr), -ENOMEM);
	ck_assert_uint_eq(sim->nr_logs, 0);
	/* Nor is a token taken. */
	ck_assert_uint_eq(mm->log_limit.missing_ns, 0);
}
END_TEST

/* ---- areas that are not complete, or not for long ---- */

START_TEST(an_area_that_is_not_complete_is_passed_over)
{
	u64 first = must_vmalloc(PAGE_SIZE), second = must_vmalloc(PAGE_SIZE);
	unsigned char bytes[5 * 4096];
	struct vmap_area *area;
	struct vm_struct *vm;

	for (u32 i = 0; i < 2; i++)
		memset(page_address(mm, vmalloc_to_page(mm, i ? second : first)), 0x11 * (i + 1),
		       PAGE_SIZE);
	ck_assert_int_eq(vmap_claim(mm, first, VMAP_FRAMES, &area, &vm), 0);
	memset(bytes, 0xff, sizeof(bytes));
	ck_assert_uint_eq(vread(mm, bytes, first, sizeof(bytes)), sizeof(bytes));
	ck_assert_uint_eq(bytes[0], 0);
	ck_assert_uint_eq(bytes[PAGE_SIZE - 1], 0);
	ck_assert_uint_eq(bytes[second - first], 0x22);
	ck_assert_uint_eq(bytes[second - first + PAGE_SIZE - 1], 0x22);
	ck_assert_uint_eq(bytes[second - first + PAGE_SIZE], 0);
	ck_assert_uint_eq(vread(mm, bytes, first, PAGE_SIZE), 0);
	vmap_publish(mm, area, vm, VMAP_FRAMES);
	ck_assert_uint_eq(vread(mm, bytes, first, PAGE_SIZE), PAGE_SIZE);
	ck_assert_uint_eq(bytes[0], 0x11);
}
END_TEST

static volatile bool stop;

static void *free_and_allocate(void *unused)
{
	sim_set_cpu(1);
	while (!stop) {
		u64 addr;

		ck_assert_int_eq(vmalloc_prot(mm, 2 * PAGE_SIZE, GFP_KERNEL | __GFP_ZERO,
					      PAGE_KERNEL, &addr),
				 0);
		ck_assert_int_eq(vfree(mm, addr), 0);
	}
	return NULL;
}

/* Whoever reads gets a page of the area or of none: the frame is not somebody else's meanwhile. */
START_TEST(a_read_and_a_free_at_once_come_one_after_the_other)
{
	struct sim_config config = sim_default_config(2);
	static u64 words[512];
	pthread_t thread;

	teardown();
	sim = sim_create(&config);
	mm = &sim->mm;
	vmap_set_mode(mm, VMAP_EAGER);
	ck_assert_int_eq(pthread_create(&thread, NULL, free_and_allocate, NULL), 0);
	for (u32 i = 0; i < 20000; i++) {
		/* What CPU 0 does with frames it gets, and gives back, would show. */
		struct page *page = alloc_pages(mm, GFP_KERNEL, 0, -1, PAGE_OTHER, sim);

		memset(page_address(mm, page), 0x77, PAGE_SIZE);
		if (vread(mm, words, VMALLOC_START, sizeof(words)))
			for (u32 j = 0; j < ARRAY_SIZE(words); j += 73)
				ck_assert_uint_eq(words[j], 0);
		memset(page_address(mm, page), 0, PAGE_SIZE);
		free_pages(mm, page, 0);
	}
	stop = true;
	pthread_join(thread, NULL);
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

/* ---- fields and flags ---- */

START_TEST(nothing_is_left_of_what_bookkeeping_was_before)
{
	u64 addr = must_vmalloc(PAGE_SIZE);
	struct vm_struct *vm = find_vm_area(mm, addr);

	vm->phys_addr = 0x1234;
	ck_assert_int_eq(vfree(mm, addr), 0);
	addr = must_get(PAGE_SIZE, VM_IOREMAP | VM_VPAGES);
	ck_assert_ptr_eq(find_vm_area(mm, addr), vm);
	ck_assert_uint_eq(vm->phys_addr, 0);
	ck_assert_uint_eq(vm->flags, VM_IOREMAP);
	ck_assert_uint_eq(vm->nr_pages, 0);
}
END_TEST

START_TEST(an_io_area_keeps_an_alignment_larger_than_its_own)
{
	struct vmalloc_request request = {.size = 3 * PAGE_SIZE,
					  .align = 1 << 21,
					  .start = VMALLOC_START + PAGE_SIZE,
					  .end = VMALLOC_END,
					  .flags = VM_IOREMAP,
					  .gfp = GFP_KERNEL,
					  .node = NUMA_NO_NODE};
	u64 addr;

	ck_assert_int_eq(get_vm_area_node(mm, &request, &addr), 0);
	ck_assert_uint_eq(addr, VMALLOC_START + (1 << 21));
	request.align = 1 << 13;
	ck_assert_int_eq(get_vm_area_node(mm, &request, &addr), 0);
	ck_assert_uint_eq(addr, VMALLOC_START + (1 << 14));
}
END_TEST

static Suite *details_suite(void)
{
	Suite *suite = suite_create("seed_details");
	TCase *tcase = tcase_create("seed_details");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, all_that_an_area_is_made_of_is_of_its_node);
	tcase_add_test(tcase, an_area_of_a_node_that_is_not_there_is_refused);
	tcase_add_test(tcase, page_arrays_of_any_size_come_from_no_zone_in_particular);
	tcase_add_test(tcase, each_failure_is_one_line_of_its_level);
	tcase_add_test(tcase, a_report_is_a_line_and_then_a_warning);
	tcase_add_test(tcase, a_copy_is_of_an_area_that_is_there);
	tcase_add_test(tcase, a_warning_names_the_call_it_is_of);
	tcase_add_test(tcase, nowarn_silences_every_failure);
	tcase_add_test(tcase, an_area_that_is_not_complete_is_passed_over);
	tcase_add_test(tcase, a_read_and_a_free_at_once_come_one_after_the_other);
	tcase_add_test(tcase, nothing_is_left_of_what_bookkeeping_was_before);
	tcase_add_test(tcase, an_io_area_keeps_an_alignment_larger_than_its_own);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(details_suite());
}
