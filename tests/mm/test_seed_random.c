/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All calls of the seed at random against a model that knows of every area its kind, size, frames
 * and first byte of each page, of every user range what it shows, and of the address space one
 * linear list of what is taken, as the seed had it (tests/mm/vmap_model.h): where an area is, is
 * the list's to say. Seeds are printed; SEED_RUNS and SEED_STEPS in the environment ask for more
 * than make check does, which issue 4 wants 20 and 100000 of.
 */
#include "tests/mm/seed_model.h"

#include "mm/vaccess.h"

static struct process *processes[MAX_PROCESSES];
static u32 nr_processes;
static u64 state;

static u64 draw(u64 below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

static u64 random_pages(void)
{
	return 1 + draw(draw(10) ? 24 : 1100);
}

/* ---- areas ---- */

static void note_frames(struct area *area)
{
	u64 array = array_pages(area->nr);

	for (u64 i = 0; i < area->nr; i++)
		area->frame[i] = vmalloc_to_page(mm, area->addr + (i << PAGE_SHIFT));
	if (array)
		expect_placed(array_of(area->addr), array, false);
}

static void write_area(struct area *area)
{
	unsigned char byte = (unsigned char)draw(256);
	u64 page = draw(area->nr), stored;

	ck_assert_uint_eq(vwrite(mm, &byte, area->addr + page * PAGE_SIZE, 1, &stored), 1);
	if (area->io || (area->kind == RESERVED && !area->filled)) {
		ck_assert_uint_eq(stored, 0);
		return;
	}
	ck_assert_uint_eq(stored, 1);
	/* Frames of the test's own are in many areas: the model reads those through the page. */
	area->first[page] = byte;
}

static void read_area(const struct area *area)
{
	unsigned char byte;
	u64 page = draw(area->nr), at = area->addr + page * PAGE_SIZE;
	const struct page *frame = vmalloc_to_page(mm, at);

	ck_assert_uint_eq(vread(mm, &byte, at, 1), 1);
	if (area->io || !frame)
		ck_assert_uint_eq(byte, 0);
	else if (area->kind == FRAMES)
		ck_assert_uint_eq(byte, area->first[page]);
	else
		ck_assert_uint_eq(byte, *(unsigned char *)page_address(mm, frame));
	ck_assert_uint_eq(frame == NULL, area->kind == RESERVED && !area->filled);
}

static int new_frames(struct area *area)
{
	static int (*const call[])(struct mm *, u64, u64 *) = {vmalloc, vmalloc_32, vmalloc_user,
							       vmalloc_32_user, vmalloc_exec};
	u64 which = draw(ARRAY_SIZE(call));
	int err = call[which](mm, area->nr << PAGE_SHIFT, &area->addr);

	area->kind = FRAMES;
	area->user = which == 2 || which == 3;
	if (!err)
		expect_placed(area->addr, area->nr, false);
	if (!err)
		note_frames(area);
	for (u64 i = 0; !err && i < area->nr; i++) {
		unsigned char *memory =
			page_address(mm, vmalloc_to_page(mm, area->addr + (i << PAGE_SHIFT)));

		if (area->user)
			ck_assert_uint_eq(*memory, 0);
		*memory = area->first[i] = (unsigned char)i;
	}
	return err;
}

static int new_reserved(struct area *area)
{
	area->kind = RESERVED;
	area->io = draw(2);
	if (area->io && draw(2))
		return alloc_vm_area(mm, area->nr << PAGE_SHIFT, &area->addr);
	return get_vm_area(mm, area->nr << PAGE_SHIFT, area->io ? VM_IOREMAP : 0, &area->addr);
}

static int new_mapped(struct area *area)
{
	area->kind = MAPPED;
	area->nr = 1 + draw(OWN_PAGES);
	area->user = draw(2);
	return vmap(mm, pages, area->nr, area->user ? VM_USERMAP : 0, PAGE_KERNEL, &area->addr);
}

static void add_area(void)
{
	struct area *area = &areas[nr_areas];
	u64 what = draw(4);
	int err;

	if (nr_areas == MAX_AREAS)
		return;
	*area = (struct area){.nr = random_pages()};
	err = what == 0 ? new_reserved(area) : what == 1 ? new_mapped(area) : new_frames(area);
	ck_assert(err == 0 || err == -ENOMEM);
	if (err)
		learn_tiles();
	else if (area->kind != FRAMES)
		expect_placed(area->addr, area->nr, area->io);
	nr_areas += err == 0;
}

/* By its own call; before that by each of the others, which refuse it. */
static void drop_area(struct area *area)
{
	static int (*const call[])(struct mm *, u64) = {vfree, free_vm_area, vunmap};
	u64 array = area->kind == FRAMES && array_pages(area->nr) ? array_of(area->addr) : 0;
	struct vm_struct *vm;

	for (u32 i = 0; i < 3; i++) {
		if (i != (u32)area->kind)
			ck_assert_int_eq(call[i](mm, area->addr), -EBUSY);
	}
	if (draw(4) == 0) {
		ck_assert_int_eq(remove_vm_area(mm, area->addr, &vm), 0);
		vm_struct_free(mm, vm);
	} else {
		ck_assert_int_eq(call[area->kind](mm, area->addr), 0);
	}
	note_free(area->addr);
	if (array)
		note_free(array);
	*area = areas[--nr_areas];
}

/* Fills or empties a reserved area, or makes it one with frames. */
static void change_area(struct area *area)
{
	u64 half = area->nr / 2;

	if (area->kind != RESERVED)
		return;
	if (area->filled) {
		ck_assert_int_eq(vmalloc_area(mm, area->addr, GFP_KERNEL, PAGE_KERNEL), -EBUSY);
		if (half)
			ck_assert_int_eq(unmap_kernel_range(mm, area->addr, half << PAGE_SHIFT), 0);
		ck_assert_int_eq(unmap_vm_area(mm, area->addr), 0);
		area->filled = false;
	} else if (area->nr <= OWN_PAGES) {
		ck_assert_int_eq(map_vm_area(mm, area->addr, pages, area->nr, PAGE_KERNEL), 0);
		area->filled = true;
	} else if (vmalloc_area(mm, area->addr, GFP_KERNEL | __GFP_ZERO, PAGE_KERNEL) == 0) {
		area->kind = FRAMES;
		memset(area->first, 0, sizeof(area->first));
		note_frames(area);
	} else {
		learn_tiles();
		*area = areas[--nr_areas]; /* gone, as in the seed */
	}
}

/* ---- processes ---- */

static void add_range(void)
{
	struct range *range = &ranges[nr_ranges];
	u64 start = (1 + draw(64)) << 21, nr = 1 + draw(32);
	struct process *process;

	if (nr_ranges == MAX_VMAS || nr_processes == 0)
		return;
	process = processes[draw(nr_processes)];
	if (vma_create(mm, process, start, start + (nr << PAGE_SHIFT),
		       VM_READ | (draw(2) ? VM_WRITE : 0), &range->vma))
		return;
	range->process = process;
	range->nr = nr;
	memset(range->shown, 0, sizeof(range->shown));
	nr_ranges++;
}

static void show_area(struct range *range, const struct area *area)
{
	u64 pgoff = draw(area->nr + 3), entry;
	bool fits = area->user && pgoff + range->nr <= area->nr, clear = true;
	int err;

	for (u64 i = 0; i < range->nr; i++)
		clear &= range->shown[i] == NULL;
	err = remap_vmalloc_range(mm, range->vma, area->addr, pgoff);
	ck_assert_int_eq(err, !fits ? -EINVAL : clear ? 0 : -EBUSY);
	for (u64 i = 0; i < range->nr && !err; i++) {
		range->shown[i] = vmalloc_to_page(mm, area->addr + ((pgoff + i) << PAGE_SHIFT));
		ck_assert_int_eq(pt_lookup(mm, &range->process->pt,
					   range->vma->vm_start + (i << PAGE_SHIFT), &entry),
				 1);
		ck_assert_uint_eq(entry & X86_PTE_ADDR_MASK, page_to_phys(mm, range->shown[i]));
	}
}

static void insert_page(struct range *range)
{
	u64 i = draw(range->nr);
	int err = vm_insert_page(mm, range->vma, range->vma->vm_start + (i << PAGE_SHIFT),
				 pages[draw(OWN_PAGES)]);

	ck_assert_int_eq(err, range->shown[i] ? -EBUSY : 0);
	if (!err)
		range->shown[i] = pages[0];
}

static void drop_range(struct range *range)
{
	vma_destroy(mm, range->vma);
	*range = ranges[--nr_ranges];
}

static void add_or_drop_process(void)
{
	u32 pick;

	if (nr_processes < MAX_PROCESSES) {
		ck_assert_int_eq(process_create(mm, &processes[nr_processes++]), 0);
		return;
	}
	pick = (u32)draw(nr_processes);
	for (u32 i = nr_ranges; i--;) {
		if (ranges[i].process == processes[pick])
			ranges[i] = ranges[--nr_ranges];
	}
	process_destroy(mm, processes[pick]);
	processes[pick] = processes[--nr_processes];
}

/* ---- the run ---- */

static void purge(void)
{
	vmap_purge(mm);
	model_purge(&space);
}

static void step(void)
{
	u64 what = draw(100);
	struct area *area = nr_areas ? &areas[draw(nr_areas)] : NULL;
	struct range *range = nr_ranges ? &ranges[draw(nr_ranges)] : NULL;

	if (what < 24)
		add_area();
	else if (what < 44 && area)
		drop_area(area);
	else if (what < 54 && area)
		change_area(area);
	else if (what < 62 && area)
		write_area(area);
	else if (what < 70 && area)
		read_area(area);
	else if (what < 78)
		add_range();
	else if (what < 84 && range)
		drop_range(range);
	else if (what < 92 && range && area)
		show_area(range, area);
	else if (what < 95 && range)
		insert_page(range);
	else if (what < 96)
		add_or_drop_process();
	else if (what < 97)
		vmap_set_mode(mm, (enum vmap_mode)draw(3));
	else if (what < 99)
		purge();
	else
		vmalloc_sync_all(mm);
}

static u64 from_environment(const char *name, u64 value)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : value;
}

START_TEST(the_core_does_as_the_model_says)
{
	u64 steps = from_environment("SEED_STEPS", 4000), before, objects;

	printf("seed %d\n", _i);
	state = (u64)_i * 0x9e3779b97f4a7c15ull + 1;
	take_pages(OWN_PAGES);
	before = core_frames_in_use(sim);
	nr_owners = mm->ram[mm->nr_ram - 1].end >> PAGE_SHIFT;
	owner = calloc(nr_owners, sizeof(*owner));
	ck_assert_ptr_nonnull(owner);
	learn_tiles();
	objects = core_objects_in_use(sim);
	for (u64 n = 0; n < steps; n++) {
		step();
		if (n % 100 == 0)
			check_all(n);
	}
	while (nr_ranges)
		drop_range(&ranges[0]);
	while (nr_areas)
		drop_area(&areas[0]);
	while (nr_processes)
		process_destroy(mm, processes[--nr_processes]);
	check_all(steps);
	free(owner);
	model_deinit(&space);
	ck_assert_uint_eq(core_frames_in_use(sim), before);
	ck_assert_uint_eq(core_objects_in_use(sim), objects);
	ck_assert_uint_eq(core_count_leaves(sim, mm->pt.root_phys, 4), 0);
	ck_assert_uint_eq(mm->vmap.nr_free, 1);
}
END_TEST

static Suite *seed_random_suite(void)
{
	Suite *suite = suite_create("seed_random");
	TCase *tcase = tcase_create("seed_random");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 600);
	tcase_add_loop_test(tcase, the_core_does_as_the_model_says, 0,
			    (int)from_environment("SEED_RUNS", 5));
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(seed_random_suite());
}
