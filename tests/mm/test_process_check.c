/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The checker of processes: one planted fault for each thing it says it sees. And where what a
 * process is made of lies.
 */
#include "mm/pgtable_private.h"

#include "tests/mm/process_fixture.h"

#define IMAGE_PHYS 0x200000ull

/* Ranges of the process: two of frames, side by side, and one of the image. */
static struct vm_area_struct *low, *high, *image;
static u64 shown; /* the area whose frames low shows */

static void setup_scene(void)
{
	struct sim_config config = sim_default_config(1);

	sim_add_reserved(&config, IMAGE_PHYS, 2 * PAGE_SIZE, RESERVED_IMAGE);
	sim = sim_create(&config);
	mm = &sim->mm;
	process = must_process();
	low = must_vma(BASE, 2, VM_READ);
	high = must_vma(BASE + 2 * PAGE_SIZE, 2, VM_READ | VM_WRITE);
	image = must_vma(BASE * 2, 2, VM_READ | VM_EXEC);
	shown = must_user(2);
	ck_assert_int_eq(remap_vmalloc_range(mm, low, shown, 0), 0);
	ck_assert_int_eq(remap_pfn_range(mm, image, IMAGE_PHYS >> PAGE_SHIFT), 0);
}

static u64 *leaf_of(u64 va)
{
	int level;
	u64 *entry = pt_walk(mm, &process->pt, va, 1, &level);

	ck_assert_int_eq(level, 1);
	return entry;
}

static void count_high(void)
{
	process->nr_user_pages++;
}

static void count_low(void)
{
	process->nr_user_pages--;
}

static void leaf_lost(void)
{
	*leaf_of(BASE + PAGE_SIZE) = 0;
}

static void leaf_before_a_range(void)
{
	ck_assert_int_eq(pt_prepare(mm, &process->pt, BASE - PAGE_SIZE, BASE, 1), 0);
	*leaf_of(BASE - PAGE_SIZE) = *leaf_of(BASE);
}

static void leaf_behind_a_range(void)
{
	*leaf_of(BASE + 4 * PAGE_SIZE) = *leaf_of(BASE);
}

static void leaf_can_be_written(void)
{
	*leaf_of(BASE) |= X86_PTE_RW;
}

static void leaf_can_be_executed(void)
{
	*leaf_of(BASE) &= ~X86_PTE_NX;
}

static void leaf_is_the_kernels(void)
{
	*leaf_of(BASE + PAGE_SIZE) &= ~X86_PTE_US;
}

static void leaf_of_the_image_cannot_be_executed(void)
{
	*leaf_of(image->vm_start) |= X86_PTE_NX;
}

static void frame_is_a_table(void)
{
	vmalloc_to_page(mm, shown)->state = PAGE_TABLE;
}

static void frame_is_free(void)
{
	vmalloc_to_page(mm, shown + PAGE_SIZE)->refcount = 0;
}

static void image_shows_what_is_before_it(void)
{
	*leaf_of(image->vm_start) -= PAGE_SIZE;
}

static void image_shows_what_is_behind_it(void)
{
	*leaf_of(image->vm_start + PAGE_SIZE) += PAGE_SIZE;
}

static void range_is_empty(void)
{
	high->vm_end = high->vm_start;
}

static void range_is_not_whole_pages(void)
{
	high->vm_end -= 8;
}

static void range_has_no_access(void)
{
	high->vm_flags = VM_SHARED;
}

static void range_has_an_unknown_flag(void)
{
	high->vm_flags |= 0x10;
}

static void range_is_the_kernels(void)
{
	image->vm_end = USER_END + PAGE_SIZE;
}

static void ranges_overlap(void)
{
	high->vm_start -= PAGE_SIZE;
}

static void ranges_are_out_of_order(void)
{
	list_del(&high->link);
	list_add(&high->link, &process->vmas);
}

static void range_is_anothers(void)
{
	high->process = NULL;
}

/* The first and the last of the kernel's entries. */
static void kernel_half_begins_wrong(void)
{
	u64 *own = phys_to_virt(mm, process->pt.root_phys);

	own[256] = 0x1000 | X86_PTE_P;
}

static void kernel_half_ends_wrong(void)
{
	u64 *own = phys_to_virt(mm, process->pt.root_phys);

	own[511] = 0x1000 | X86_PTE_P;
}

#define FAULT(plant, text)          \
	{                           \
#plant, plant, text \
	}

static const struct {
	const char *name;
	void (*plant)(void);
	const char *text;
} faults[] = {
	FAULT(count_high, "count of user pages"),
	FAULT(count_low, "count of user pages"),
	FAULT(leaf_lost, "count of user pages"),
	FAULT(leaf_before_a_range, "outside all ranges"),
	FAULT(leaf_behind_a_range, "outside all ranges"),
	FAULT(leaf_can_be_written, "another protection"),
	FAULT(leaf_can_be_executed, "another protection"),
	FAULT(leaf_is_the_kernels, "another protection"),
	FAULT(leaf_of_the_image_cannot_be_executed, "another protection"),
	FAULT(frame_is_a_table, "not in use"),
	FAULT(frame_is_free, "not in use"),
	FAULT(image_shows_what_is_before_it, "shows other memory"),
	FAULT(image_shows_what_is_behind_it, "shows other memory"),
	FAULT(range_is_empty, "range is none"),
	FAULT(range_is_not_whole_pages, "range is none"),
	FAULT(range_has_no_access, "range is none"),
	FAULT(range_has_an_unknown_flag, "range is none"),
	FAULT(range_is_the_kernels, "range is none"),
	FAULT(ranges_overlap, "overlap or are out of order"),
	FAULT(ranges_are_out_of_order, "overlap or are out of order"),
	FAULT(range_is_anothers, "another process's"),
	FAULT(kernel_half_begins_wrong, "kernel half"),
	FAULT(kernel_half_ends_wrong, "kernel half"),
};

START_TEST(a_planted_fault_is_seen)
{
	const char *wrong = process_check(mm, process);

	ck_assert_msg(!wrong, "sound, and yet: %s", wrong);
	faults[_i].plant();
	wrong = process_check(mm, process);
	ck_assert_msg(wrong && strstr(wrong, faults[_i].text), "%s: %s", faults[_i].name,
		      wrong ? wrong : "not seen");
}
END_TEST

/* Accessed and dirty are the processor's to set. */
START_TEST(what_the_processor_sets_is_no_fault)
{
	*leaf_of(BASE) |= X86_PTE_D;
	*leaf_of(BASE + PAGE_SIZE) &= ~X86_PTE_A;
	ck_assert_ptr_null(process_check(mm, process));
}
END_TEST

/* The last page of the lower half, whose end is no address. */
START_TEST(the_lower_half_is_mapped_to_its_end)
{
	const u64 last = (1ull << 47) - PAGE_SIZE;
	u64 entry;

	ck_assert_int_eq(pt_map_range(mm, &process->pt, last, last + PAGE_SIZE, IMAGE_PHYS,
				      PAGE_KERNEL_RO, 1),
			 0);
	ck_assert_int_eq(pt_lookup(mm, &process->pt, last, &entry), 1);
	ck_assert_int_eq(pt_map_range(mm, &process->pt, last, last + 2 * PAGE_SIZE, IMAGE_PHYS,
				      PAGE_KERNEL_RO, 1),
			 -EINVAL);
	pt_unmap(mm, &process->pt, last, last + PAGE_SIZE);
	ck_assert_int_eq(pt_lookup(mm, &process->pt, last, &entry), 0);
}
END_TEST

/* A bad entry above the leaves is cleared, and no walk is remembered: not even to the lowest. */
START_TEST(no_walk_is_remembered_past_a_bad_entry)
{
	u64 *entry, leaf;
	int level;

	take_pages(1);
	/* As many walks as are remembered. */
	for (u64 i = 1; i <= PT_WALKS; i++) {
		ck_assert_int_eq(pt_map_pages(mm, &process->pt, BASE * 4 + i * (4ull << 20), pages,
					      1, PAGE_KERNEL_RO),
				 0);
		pt_unmap(mm, &process->pt, BASE * 4 + i * (4ull << 20),
			 BASE * 4 + i * (4ull << 20) + PAGE_SIZE);
	}
	ck_assert_int_eq(pt_prepare(mm, &process->pt, BASE, BASE + (4ull << 20), 2), 0);
	entry = pt_walk(mm, &process->pt, BASE + (2ull << 20), 2, &level);
	ck_assert_int_eq(level, 2);
	*entry = 0x1000;
	pt_unmap(mm, &process->pt, BASE + (2ull << 20), BASE + (4ull << 20));
	ck_assert_uint_eq(*entry, 0);
	for (u32 i = 0; i < PT_WALKS; i++)
		ck_assert_uint_eq(process->pt.walk[i], 0);
	ck_assert(sim_logged(sim, "bad pmd"));
	ck_assert_int_eq(pt_map_pages(mm, &process->pt, USER_START, pages, 1, PAGE_KERNEL_RO), 0);
	ck_assert_int_eq(pt_lookup(mm, &process->pt, USER_START, &leaf), 1);
	ck_assert_uint_eq(leaf & X86_PTE_ADDR_MASK, page_to_phys(mm, pages[0]));
}
END_TEST

/* On a CPU of node 1: the process, its root and tables, its ranges; areas and what they need. */
START_TEST(everything_is_of_the_cpus_own_node)
{
	struct sim_config config = {.nr_cpus = 2, .cpu_node = {0, 1}};
	struct vm_area_struct *vma;
	u64 addr, *table;
	int level;

	teardown();
	sim_add_ram(&config, 0, 64ull << 20, 0);
	sim_add_ram(&config, 4ull << 30, 64ull << 20, 1);
	sim = sim_create(&config);
	mm = &sim->mm;
	sim_set_cpu(1);
	process = must_process();
	vma = must_vma(BASE, 2, VM_READ);
	addr = must_user(2);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, addr, 0), 0);
	ck_assert_uint_eq(virt_to_page(mm, process)->node, 1);
	ck_assert_uint_eq(pfn_to_page(mm, process->pt.root_phys >> PAGE_SHIFT)->node, 1);
	ck_assert_uint_eq(virt_to_page(mm, vma)->node, 1);
	for (int to = 1; to < 4; to++) {
		table = pt_walk(mm, &process->pt, BASE, to, &level);
		ck_assert_int_eq(level, to);
		ck_assert_uint_eq(virt_to_page(mm, table)->node, 1);
	}
	ck_assert_uint_eq(vmalloc_to_page(mm, addr)->node, 1);
	ck_assert_uint_eq(virt_to_page(mm, find_vm_area(mm, addr))->node, 1);
	ck_assert_int_eq(
		get_vm_area_window(mm, PAGE_SIZE, VM_MAP, VMALLOC_START, VMALLOC_END, &addr), 0);
	ck_assert_uint_eq(virt_to_page(mm, find_vm_area(mm, addr))->node, 1);
	addr = must_get(PAGE_SIZE, VM_MAP);
	ck_assert_uint_eq(virt_to_page(mm, find_vm_area(mm, addr))->node, 1);
	for (u32 kind = 0; kind < 4; kind++) {
		static int (*const calls[])(struct mm * mm, u64 size, u64 * addr_out) = {
			vmalloc, vmalloc_user, vmalloc_exec, alloc_vm_area};

		ck_assert_int_eq(calls[kind](mm, PAGE_SIZE, &addr), 0);
		ck_assert_uint_eq(virt_to_page(mm, find_vm_area(mm, addr))->node, 1);
		if (kind < 3)
			ck_assert_uint_eq(vmalloc_to_page(mm, addr)->node, 1);
	}
	sim_set_cpu(0);
}
END_TEST

static Suite *process_check_suite(void)
{
	Suite *suite = suite_create("process_check");
	TCase *tcase = tcase_create("check");

	tcase_add_checked_fixture(tcase, setup_scene, teardown);
	tcase_add_loop_test(tcase, a_planted_fault_is_seen, 0, ARRAY_SIZE(faults));
	tcase_add_test(tcase, what_the_processor_sets_is_no_fault);
	tcase_add_test(tcase, the_lower_half_is_mapped_to_its_end);
	tcase_add_test(tcase, no_walk_is_remembered_past_a_bad_entry);
	tcase_add_test(tcase, everything_is_of_the_cpus_own_node);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(process_check_suite());
}
