/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is true at the moment of each flush: the simulated hooks look. A mapping is complete, but
 * its area cannot be found, when its caches are flushed; it is still there when they are before it
 * goes; when TLBs are flushed no leaf is left, but nobody can have the range yet, nor the frames.
 */
#include "tests/mm/seed_fixture.h"

#include "mm/process.h"

/*
 * What is looked at: an area, of which nothing may be gone too early, and, where its page array is
 * an area, that one.
 */
static struct subject {
	u64 addr, pages; /* without the guard */
	struct vm_struct *vm;
	struct vm_struct copy;
	u64 nr_frames; /* of its own */
	struct page *frame[1200];
	u32 state; /* enum vmap_state of its range when TLBs are flushed */
	u32 seen[SIM_NR_EVENTS];
} subject, array;

static u64 nr_present_of(const struct subject *its)
{
	u64 nr = 0;

	for (u64 i = 0; i <= its->pages; i++)
		nr += entry_at(its->addr + i * PAGE_SIZE) != 0;
	return nr;
}

static u64 nr_present(void)
{
	return nr_present_of(&subject);
}

static const struct vmap_area *tile_at(u64 addr)
{
	const struct vmap_area *area;

	list_for_each_entry (area, &mm->vmap.tiles, tile) {
		if (area->va_start <= addr && addr < area->va_end)
			return area;
	}
	return NULL;
}

/* Of one event of [start, end), if it is that area's. */
static void look_at(struct subject *its, enum sim_event event, u64 start, u64 end)
{
	if (!its->addr || start > its->addr || end <= its->addr)
		return;
	its->seen[event]++;
	ck_assert_uint_eq(mm->vmap.lock.word, 0);
	ck_assert_ptr_null(find_vm_area(mm, its->addr));
	ck_assert_int_eq(vfree(mm, its->addr), -ENOENT);
	if (event != SIM_FLUSH_TLB) {
		ck_assert_uint_eq(nr_present_of(its), its->pages);
		ck_assert_uint_eq(start, its->addr);
		ck_assert_uint_eq(end, its->addr + its->pages * PAGE_SIZE);
		return;
	}
	/* The ledger's flushes are those that are over: this one is not. */
	ck_assert_uint_eq(mm->flushes.nr, sim->nr_flushes - 1);
	ck_assert_uint_eq(nr_present_of(its), 0);
	ck_assert_uint_ge(end, its->addr + its->pages * PAGE_SIZE);
	ck_assert_uint_eq(tile_at(its->addr)->state, its->state);
	if (its->state != VMAP_AREA_BUSY)
		return;
	for (u64 i = 0; i < its->nr_frames; i++) {
		ck_assert_uint_eq(its->frame[i]->state, PAGE_VMALLOC);
		ck_assert_ptr_eq(its->frame[i]->owner, its->vm);
	}
	/* The bookkeeping is not somebody else's object yet either. */
	if (its->vm)
		ck_assert_int_eq(memcmp(its->vm, &its->copy, sizeof(its->copy)), 0);
}

static void look(enum sim_event event, u64 start, u64 end)
{
	look_at(&subject, event, start, end);
	look_at(&array, event, start, end);
	/* The outer area's bookkeeping says where the array is: it goes last. */
	if (event == SIM_FLUSH_TLB && array.addr == start)
		ck_assert_ptr_eq(subject.vm->pages, (struct page **)(uintptr_t)array.addr);
}

static void watch_area(struct subject *its, u64 addr, u32 state)
{
	struct page **part;
	u64 count;

	memset(its, 0, sizeof(*its));
	its->addr = addr;
	its->vm = find_vm_area(mm, addr);
	its->pages = (its->vm->size - PAGE_SIZE) >> PAGE_SHIFT;
	its->copy = *its->vm;
	for (u64 i = 0; i < its->vm->nr_pages; i += count) {
		part = vm_pages_chunk(mm, its->vm, i, &count);
		memcpy(&its->frame[i], part, count * sizeof(*part));
		its->nr_frames += count;
	}
	its->state = state;
}

/* From now on the area at @addr is looked at, and its array if that is an area. */
static void watch(u64 addr, u32 state)
{
	watch_area(&subject, addr, state);
	memset(&array, 0, sizeof(array));
	if (subject.vm->flags & VM_VPAGES)
		watch_area(&array, (u64)(uintptr_t)subject.vm->pages, state);
	sim->look = look;
}

static void expect_seen(u32 vmap, u32 vunmap, u32 tlb)
{
	ck_assert_uint_eq(subject.seen[SIM_CACHE_VMAP], vmap);
	ck_assert_uint_eq(subject.seen[SIM_CACHE_VUNMAP], vunmap);
	ck_assert_uint_eq(subject.seen[SIM_FLUSH_TLB], tlb);
	for (u32 event = 0; array.addr && event < SIM_NR_EVENTS; event++)
		ck_assert_uint_eq(array.seen[event], subject.seen[event]);
	sim->look = NULL;
}

static const u64 sizes[] = {1, 2, 3, 246, 247, 300, 512, 513, 1100};

/* The frames of an area are its own until no TLB knows them; so is what lists them. */
START_TEST(eagerly_freed_areas_are_flushed_before_anything_else_is_free)
{
	u64 addr = must_vmalloc(sizes[_i] * PAGE_SIZE);
	u64 free = nr_free_pages(mm);

	vmap_set_mode(mm, VMAP_EAGER);
	watch(addr, VMAP_AREA_BUSY);
	ck_assert_int_eq(vfree(mm, addr), 0);
	expect_seen(0, 1, 1);
	/* The ledger has it now that it is over, as it was asked for. */
	ck_assert_uint_eq(mm->flushes.nr, sim->nr_flushes);
	ck_assert_uint_eq(mm->flushes.record[mm->flushes.nr - 1].start,
			  sim->flush[sim->nr_flushes - 1].start);
	ck_assert_uint_eq(mm->flushes.record[mm->flushes.nr - 1].end,
			  sim->flush[sim->nr_flushes - 1].end);
	ck_assert_uint_eq(sim->flush[(sim->nr_flushes - 1) % SIM_FLUSHES].end -
				  sim->flush[(sim->nr_flushes - 1) % SIM_FLUSHES].start,
			  sizes[_i] > 512 ? ((sizes[_i] * 8 + 4095) / 4096 + 1) * PAGE_SIZE
					  : (sizes[_i] + 1) * PAGE_SIZE);
	ck_assert_uint_ge(nr_free_pages(mm), free + sizes[_i]);
	ck_assert_uint_eq(tile_at(addr)->state, VMAP_AREA_FREE);
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

START_TEST(purged_areas_are_flushed_before_they_are_free)
{
	u64 addr = must_vmalloc(sizes[_i] * PAGE_SIZE);

	watch(addr, VMAP_AREA_LAZY);
	ck_assert_int_eq(vfree(mm, addr), 0);
	expect_seen(0, 1, 0);
	ck_assert_uint_eq(nr_present(), 0);
	ck_assert_uint_eq(tile_at(addr)->state, VMAP_AREA_LAZY);
	sim->look = look;
	ck_assert_uint_ge(vmap_purge(mm), 1);
	expect_seen(0, 1, 1);
	ck_assert_uint_eq(tile_at(addr)->state, VMAP_AREA_FREE);
	ck_assert(!array.addr || tile_at(array.addr)->state == VMAP_AREA_FREE);
	/* Once: the next purge has nothing to do. */
	ck_assert_uint_eq(vmap_purge(mm), 0);
}
END_TEST

/* Other kinds: given up, unmapped by vunmap(), taken out. Frames that are not the area's stay. */
START_TEST(areas_of_each_kind_are_flushed_before_they_are_free)
{
	struct vm_struct *out = NULL;
	u64 addr;

	vmap_set_mode(mm, VMAP_EAGER);
	take_pages(5);
	addr = must_get(5 * PAGE_SIZE, VM_MAP);
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 5, PAGE_KERNEL), 0);
	watch(addr, VMAP_AREA_BUSY);
	ck_assert_int_eq(free_vm_area(mm, addr), 0);
	expect_seen(0, 1, 1);

	ck_assert_int_eq(vmap(mm, pages, 5, 0, PAGE_KERNEL, &addr), 0);
	watch(addr, VMAP_AREA_BUSY);
	ck_assert_int_eq(vunmap(mm, addr), 0);
	expect_seen(0, 1, 1);

	addr = must_vmalloc(5 * PAGE_SIZE);
	watch(addr, VMAP_AREA_BUSY);
	ck_assert_int_eq(remove_vm_area(mm, addr, &out), 0);
	expect_seen(0, 1, 1);
	ck_assert_ptr_null(out->area);
	ck_assert_uint_eq(out->size, 5 * PAGE_SIZE);
	vm_struct_free(mm, out);
	for (u32 i = 0; i < 5; i++)
		ck_assert_uint_eq(pages[i]->state, PAGE_OTHER);
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

/* What is unmapped of an area that stays: all of it, a part. Nobody finds it meanwhile. */
static u64 part_start, part_end;

static void look_at_part(enum sim_event event, u64 start, u64 end)
{
	subject.seen[event]++;
	ck_assert_uint_eq(start, part_start);
	ck_assert_uint_eq(end, part_end);
	ck_assert_ptr_null(find_vm_area(mm, subject.addr));
	for (u64 va = start; va != end; va += PAGE_SIZE)
		ck_assert_uint_eq(entry_at(va) != 0, event == SIM_CACHE_VUNMAP);
	ck_assert_uint_eq(nr_present(),
			  subject.pages -
				  (event == SIM_CACHE_VUNMAP ? 0 : (end - start) >> PAGE_SHIFT));
}

START_TEST(what_is_unmapped_is_flushed_while_nobody_finds_the_area)
{
	u64 addr = must_get(6 * PAGE_SIZE, VM_MAP);

	take_pages(6);
	for (u32 i = 0; i < 2; i++) {
		ck_assert_int_eq(map_vm_area(mm, addr, pages, 6, PAGE_KERNEL), 0);
		watch(addr, VMAP_AREA_BUSY);
		sim->look = look_at_part;
		part_start = i ? addr : addr + 2 * PAGE_SIZE;
		part_end = i ? addr + 6 * PAGE_SIZE : addr + 5 * PAGE_SIZE;
		if (i)
			ck_assert_int_eq(unmap_vm_area(mm, addr), 0);
		else
			ck_assert_int_eq(unmap_kernel_range(mm, part_start, 3 * PAGE_SIZE), 0);
		expect_seen(0, 1, 1);
		ck_assert_ptr_eq(find_vm_area(mm, addr), subject.vm);
		if (!i)
			ck_assert_int_eq(unmap_vm_area(mm, addr), 0);
	}
	ck_assert_uint_eq(subject.vm->flags, VM_MAP);
}
END_TEST

/* A tile's object is nobody's only when the list has lost it: without spare ones each is freed. */
START_TEST(tiles_leave_the_list_before_their_objects_are_free)
{
	static const u8 orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {0, 2, 1, 3}, {1, 3, 0, 2}};
	u64 addr[4];

	for (u32 i = 0; i < 2 * ARRAY_SIZE(orders); i++) {
		vmap_set_mode(mm, i % 2 ? VMAP_EAGER : VMAP_MANUAL);
		mm->vmap.lazy_max_pages = 0;
		for (u32 j = 0; j < 4; j++)
			addr[j] = must_vmalloc(PAGE_SIZE);
		for (u32 j = 0; j < 4; j++)
			ck_assert_int_eq(vfree(mm, addr[orders[i / 2][j]]), 0);
		vmap_purge(mm);
		ck_assert_ptr_null(core_check(sim));
		ck_assert_uint_eq(mm->vmap.nr_spare, 0);
		ck_assert_uint_eq(mm->vmap.nr_free, 1);
	}
}
END_TEST

/*
 * More than one batch, none of which merges with the next: between two the lock is let go. The
 * first one merges with what lies before it all.
 */
START_TEST(a_long_purge_gives_everything_back)
{
	u64 addr[300], nr_free;

	for (u32 i = 0; i < 300; i++)
		addr[i] = must_vmalloc(PAGE_SIZE);
	nr_free = mm->vmap.nr_free;
	for (u32 i = 0; i < 300; i += 2)
		ck_assert_int_eq(vfree(mm, addr[i]), 0);
	ck_assert_uint_eq(mm->vmap.nr_lazy, 150);
	ck_assert_uint_eq(vmap_purge(mm), 150);
	ck_assert_uint_eq(mm->vmap.nr_lazy, 0);
	ck_assert_uint_eq(mm->vmap.nr_lazy_pages, 0);
	ck_assert_uint_eq(mm->vmap.nr_free, nr_free + 149);
	ck_assert_uint_eq(mm->vmap.lock.word, 0);
	ck_assert_uint_eq(sim->nr_flushes, 1);
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

/* ---- mapping ---- */

static u64 expected_pages;

static void look_at_mapping(enum sim_event event, u64 start, u64 end)
{
	u64 entry;

	ck_assert_int_eq(event, SIM_CACHE_VMAP);
	ck_assert_ptr_null(find_vm_area(mm, start));
	/* Of a nested array, first. */
	if (end - start != expected_pages * PAGE_SIZE)
		return;
	subject.seen[event]++;
	for (u64 va = start; va != end; va += PAGE_SIZE)
		ck_assert_int_eq(pt_lookup(mm, &mm->pt, va, &entry), 1);
	ck_assert_int_eq(pt_lookup(mm, &mm->pt, end, &entry), 0);
}

START_TEST(caches_are_flushed_of_a_mapping_nobody_can_find_yet)
{
	u64 addr;

	expected_pages = sizes[_i];
	sim->look = look_at_mapping;
	addr = must_vmalloc(sizes[_i] * PAGE_SIZE);
	ck_assert_uint_eq(subject.seen[SIM_CACHE_VMAP], 1);
	ck_assert_uint_eq(sim->cache_vmap.start, addr);
	addr = must_get(sizes[_i] * PAGE_SIZE, 0);
	ck_assert_int_eq(vmalloc_area(mm, addr, GFP_KERNEL, PAGE_KERNEL), 0);
	ck_assert_uint_eq(subject.seen[SIM_CACHE_VMAP], 2);
	ck_assert_uint_eq(sim->cache_vmap.start, addr);
	if (sizes[_i] > ARRAY_SIZE(pages))
		return;
	take_pages(sizes[_i]);
	ck_assert_int_eq(vmap(mm, pages, sizes[_i], 0, PAGE_KERNEL, &addr), 0);
	ck_assert_uint_eq(sim->cache_vmap.start, addr);
	addr = must_get(sizes[_i] * PAGE_SIZE, 0);
	ck_assert_int_eq(map_vm_area(mm, addr, pages, sizes[_i], PAGE_KERNEL), 0);
	ck_assert_uint_eq(subject.seen[SIM_CACHE_VMAP], 4);
	ck_assert_uint_eq(sim->cache_vmap.start, addr);
}
END_TEST

/* The seed's flush on the way out of a mapping that failed, whatever made it fail. */
START_TEST(caches_are_flushed_of_a_mapping_that_fails)
{
	u64 addr = must_get(4 * PAGE_SIZE, 0), other, nr;

	take_pages(4);
	pages[3] = NULL;
	nr = sim->nr_cache_vmap;
	ck_assert_int_eq(map_vm_area(mm, addr, pages, 4, PAGE_KERNEL), -EINVAL);
	ck_assert_uint_eq(sim->nr_cache_vmap, nr + 1);
	ck_assert_uint_eq(sim->cache_vmap.start, addr);
	ck_assert_uint_eq(sim->cache_vmap.end, addr + 4 * PAGE_SIZE);
	mm->fault.fail[FAULT_TABLE] = 1;
	ck_assert_int_eq(vmap(mm, pages, 3, 0, PAGE_KERNEL, &other), -ENOMEM);
	ck_assert_uint_eq(sim->nr_cache_vmap, nr + 2);
	ck_assert_uint_eq(sim->cache_vmap.end - sim->cache_vmap.start, 3 * PAGE_SIZE);
	mm->fault.fail[FAULT_TABLE] = 1;
	ck_assert_int_eq(vmalloc(mm, 2 * PAGE_SIZE, &other), -ENOMEM);
	ck_assert_uint_eq(sim->nr_cache_vmap, nr + 3);
	ck_assert_uint_eq(sim->cache_vmap.end - sim->cache_vmap.start, 2 * PAGE_SIZE);
	ck_assert_uint_eq(sim->nr_cache_vunmap, 0);
}
END_TEST

/* ---- user ranges ---- */

static struct process *process;
static struct vm_area_struct *vma;
static u32 nr_user_looks;

/* No leaf is present, and yet each frame has its reference. */
static void look_at_user(enum sim_event event, u64 start, u64 end)
{
	u64 entry;

	ck_assert_int_eq(event, SIM_FLUSH_TLB);
	ck_assert_uint_eq(start, vma->vm_start);
	ck_assert_uint_eq(end, vma->vm_end);
	for (u64 i = 0; i < 3; i++) {
		ck_assert_int_eq(pt_lookup(mm, &process->pt, start + i * PAGE_SIZE, &entry), 0);
		ck_assert_uint_eq(pages[i]->refcount, 1);
		ck_assert_uint_eq(pages[i]->state, PAGE_OTHER);
	}
	ck_assert_ptr_eq(find_vma(process, start), vma);
	nr_user_looks++;
}

START_TEST(a_user_ranges_frames_are_kept_until_it_is_flushed)
{
	u64 addr, free;

	ck_assert_int_eq(vmalloc_user(mm, 3 * PAGE_SIZE, &addr), 0);
	for (u64 i = 0; i < 3; i++)
		pages[i] = vmalloc_to_page(mm, addr + i * PAGE_SIZE);
	ck_assert_int_eq(process_create(mm, &process), 0);
	ck_assert_int_eq(vma_create(mm, process, 0x10000, 0x13000, VM_READ, &vma), 0);
	ck_assert_int_eq(remap_vmalloc_range(mm, vma, addr, 0), 0);
	ck_assert_int_eq(vfree(mm, addr), 0);
	vmap_purge(mm);
	free = nr_free_pages(mm);
	sim->look = look_at_user;
	vma_destroy(mm, vma);
	ck_assert_uint_eq(nr_user_looks, 1);
	ck_assert_uint_eq(nr_free_pages(mm), free + 3);
	sim->look = NULL;
	process_destroy(mm, process);
	ck_assert_ptr_null(core_check(sim));
}
END_TEST

static Suite *order_suite(void)
{
	Suite *suite = suite_create("order");
	TCase *tcase = tcase_create("order");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, eagerly_freed_areas_are_flushed_before_anything_else_is_free, 0,
			    ARRAY_SIZE(sizes));
	tcase_add_loop_test(tcase, purged_areas_are_flushed_before_they_are_free, 0,
			    ARRAY_SIZE(sizes));
	tcase_add_test(tcase, areas_of_each_kind_are_flushed_before_they_are_free);
	tcase_add_test(tcase, what_is_unmapped_is_flushed_while_nobody_finds_the_area);
	tcase_add_loop_test(tcase, caches_are_flushed_of_a_mapping_nobody_can_find_yet, 0,
			    ARRAY_SIZE(sizes));
	tcase_add_test(tcase, tiles_leave_the_list_before_their_objects_are_free);
	tcase_add_test(tcase, a_long_purge_gives_everything_back);
	tcase_add_test(tcase, caches_are_flushed_of_a_mapping_that_fails);
	tcase_add_test(tcase, a_user_ranges_frames_are_kept_until_it_is_flushed);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(order_suite());
}
