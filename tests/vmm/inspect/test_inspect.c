/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inspector on the simulated core: what it sees is what the core has, read by other means;
 * what cannot be read is said to be so.
 */
#include "tests/harness.h"

#include <errno.h>
#include <string.h>

#include "tests/vmm/inspect/core_mix.h"

START_TEST(numbers_are_read_where_they_are)
{
	struct mix *mix = mix_create();
	struct inspector *inspector = mix->source->inspector;
	uint64_t address = (uintptr_t)&mix->mm->vmap.nr_busy, value = 0;
	uint32_t word = 0;
	uint8_t byte = 0;
	uint16_t half = 0;

	ck_assert(inspect_u64(inspector, address, &value));
	ck_assert_uint_eq(value, mix->mm->vmap.nr_busy);
	ck_assert(inspect_u32(inspector, address, &word));
	ck_assert(inspect_u16(inspector, address, &half));
	ck_assert(inspect_u8(inspector, address, &byte));
	ck_assert_uint_eq(word, (uint32_t)value);
	ck_assert_uint_eq(half, (uint16_t)value);
	ck_assert_uint_eq(byte, (uint8_t)value);
	ck_assert(!inspect_u64(inspector, address + 4, &value));
	ck_assert(!inspect_u32(inspector, address + 2, &word));
	ck_assert(!inspect_u16(inspector, address + 1, &half));
	ck_assert(!inspect_u64(inspector, 0, &value));
	ck_assert(!inspect_u64(inspector, ~0ull - 7, &value));
	ck_assert(!inspect_u64(inspector, 0x0000900000000000, &value));
	mix_destroy(mix);
}
END_TEST

/* Bytes behind the page tables, across pages that are not neighbours in RAM. */
START_TEST(mapped_bytes_are_read_across_pages)
{
	struct mix *mix = mix_create();
	char there[3 * PAGE_SIZE], here[3 * PAGE_SIZE];

	for (size_t i = 0; i < sizeof(there); i++)
		there[i] = (char)(i * 7 + i / 4096);
	for (u64 i = 0; i < 3; i++)
		memcpy(page_address(mix->mm, mix_page(mix, mix->inlined + i * PAGE_SIZE)),
		       there + i * PAGE_SIZE, PAGE_SIZE);
	ck_assert(inspect_read(mix->source->inspector, mix->inlined, here, sizeof(here)));
	ck_assert_int_eq(memcmp(there, here, sizeof(here)), 0);
	ck_assert(inspect_read(mix->source->inspector, mix->inlined + 4000, here, 5000));
	ck_assert_int_eq(memcmp(there + 4000, here, 5000), 0);
	/* Ten pages and the guard, which is not mapped. */
	ck_assert(inspect_read(mix->source->inspector, mix->inlined + 10 * PAGE_SIZE - 8, here, 8));
	ck_assert(
		!inspect_read(mix->source->inspector, mix->inlined + 10 * PAGE_SIZE - 8, here, 9));
	ck_assert(!inspect_read(mix->source->inspector, ~0ull - 3, here, 8));
	mix_destroy(mix);
}
END_TEST

/* A translation is remembered until the guest has run. */
START_TEST(refresh_forgets_translations)
{
	struct mix *mix = mix_create();
	uint64_t value;

	ck_assert(inspect_u64(mix->source->inspector, mix->single, &value));
	*mix_entry(mix, mix->single, 1) = 0;
	inspect_refresh(mix->source->inspector);
	ck_assert(!inspect_u64(mix->source->inspector, mix->single, &value));
	mix_destroy(mix);
}
END_TEST

static enum inspect_tile_state state_of(const struct vmap_area *area)
{
	switch (area->state) {
	case VMAP_AREA_FREE:
		return INSPECT_FREE;
	case VMAP_AREA_BUSY:
		return INSPECT_BUSY;
	default:
		return INSPECT_LAZY;
	}
}

START_TEST(tiles_are_those_of_the_core)
{
	struct mix *mix = mix_create();
	struct inspect_areas areas;
	struct vmap_area *area;
	size_t i = 0;

	ck_assert_int_eq(inspect_areas(mix->source->inspector, &areas), 0);
	ck_assert_ptr_null(areas.broken);
	list_for_each_entry (area, &mix->mm->vmap.tiles, tile) {
		const struct inspect_area *seen = &areas.area[i];

		ck_assert_uint_lt(i, areas.count);
		ck_assert_uint_eq(seen->start, area->va_start);
		ck_assert_uint_eq(seen->end, area->va_end);
		ck_assert_int_eq(seen->state, state_of(area));
		ck_assert_uint_eq(seen->tile, (uintptr_t)area);
		ck_assert_uint_eq(seen->position, i++);
		ck_assert_int_eq(seen->has_vm, area->state == VMAP_AREA_BUSY);
		if (!seen->has_vm)
			continue;
		ck_assert_uint_eq(seen->vm_addr, area->vm->addr);
		ck_assert_uint_eq(seen->vm_size, area->vm->size);
		ck_assert_uint_eq(seen->flags, area->vm->flags);
		ck_assert_uint_eq(seen->nr_pages, area->vm->nr_pages);
		ck_assert_uint_eq(seen->caller, area->vm->caller);
		ck_assert_uint_eq(seen->prot, area->vm->prot);
		ck_assert_uint_eq(seen->gfp, area->vm->gfp);
		ck_assert_uint_eq(seen->array, area->vm->array);
		ck_assert_uint_eq(seen->vm_area, (uintptr_t)area);
	}
	ck_assert_uint_eq(i, areas.count);
	inspect_areas_free(&areas);
	ck_assert_uint_eq(areas.count, 0);
	mix_destroy(mix);
}
END_TEST

START_TEST(an_address_finds_its_tile)
{
	struct mix *mix = mix_create();
	struct inspect_areas areas;

	ck_assert_int_eq(inspect_areas(mix->source->inspector, &areas), 0);
	ck_assert_uint_eq(inspect_area_find(&areas, mix->inlined)->start, mix->inlined);
	ck_assert_uint_eq(inspect_area_find(&areas, mix->inlined + 11 * PAGE_SIZE - 1)->start,
			  mix->inlined);
	ck_assert_uint_ne(inspect_area_find(&areas, mix->inlined + 11 * PAGE_SIZE)->start,
			  mix->inlined);
	ck_assert_ptr_null(inspect_area_find(&areas, 0));
	ck_assert_ptr_null(inspect_area_find(&areas, ~0ull));
	inspect_areas_free(&areas);
	ck_assert_ptr_null(inspect_area_find(&areas, mix->inlined));
	mix_destroy(mix);
}
END_TEST

/* All four places a page array can be in. */
START_TEST(every_kind_of_page_array_is_read)
{
	struct mix *mix = mix_create();
	const u64 addresses[] = {mix->inlined, mix->kmalloced, mix->nested, mix->directory};
	const u32 kinds[] = {VM_ARRAY_INLINE, VM_ARRAY_KMALLOC, VM_ARRAY_VMALLOC,
			     VM_ARRAY_DIRECTORY};
	struct inspect_areas areas;
	uint64_t page;

	ck_assert_int_eq(inspect_areas(mix->source->inspector, &areas), 0);
	for (size_t i = 0; i < 4; i++) {
		const struct inspect_area *area = inspect_area_find(&areas, addresses[i]);

		ck_assert_uint_eq(area->array, kinds[i]);
		for (uint64_t at = 0; at < area->nr_pages; at++) {
			ck_assert(inspect_area_page(mix->source->inspector, area, at, &page));
			ck_assert_uint_eq(page,
					  (uintptr_t)mix_page(mix, addresses[i] + at * PAGE_SIZE));
		}
		ck_assert(!inspect_area_page(mix->source->inspector, area, area->nr_pages, &page));
	}
	inspect_areas_free(&areas);
	mix_destroy(mix);
}
END_TEST

START_TEST(struct_pages_are_found_and_read)
{
	struct mix *mix = mix_create();
	struct inspector *inspector = mix->source->inspector;
	struct page *page = mix_page(mix, mix->single);
	struct inspect_page seen;
	uint64_t pfn = 0;

	ck_assert(inspect_page_pfn(inspector, (uintptr_t)page, &pfn));
	ck_assert_uint_eq(pfn, page_to_pfn(mix->mm, page));
	ck_assert_uint_eq(inspect_page_address(inspector, pfn), (uintptr_t)page);
	ck_assert(inspect_page(inspector, pfn, &seen));
	ck_assert_uint_eq(seen.state, PAGE_VMALLOC);
	ck_assert_uint_eq(seen.owner, (uintptr_t)mix_vm(mix, mix->single));
	ck_assert_uint_eq(seen.refcount, 1);
	ck_assert_uint_eq(inspect_frame_address(inspector, pfn),
			  (uintptr_t)page_address(mix->mm, page));
	/* Between two, before the first, in the hole between the RAM ranges, above all RAM. */
	ck_assert(!inspect_page_pfn(inspector, (uintptr_t)page + 8, &pfn));
	ck_assert(!inspect_page_pfn(inspector, (uintptr_t)mix->sim->memmap - 64, &pfn));
	ck_assert(!inspect_page_pfn(inspector, inspect_page_address(inspector, 0x80000), &pfn));
	ck_assert(!inspect_page(inspector, 0x80000, &seen));
	ck_assert(!inspect_page_pfn(
		inspector, inspect_page_address(inspector, inspect_end_pfn(inspector)), &pfn));
	/* RAM whose section never came to life has no struct pages yet. */
	ck_assert(!inspect_page(inspector, MIX_FAR_PHYS >> PAGE_SHIFT, &seen));
	mix_destroy(mix);
}
END_TEST

START_TEST(ranges_are_the_hosts_own)
{
	struct mix *mix = mix_create();
	struct inspector *inspector = mix->source->inspector;

	ck_assert_uint_eq(inspect_ram_pages(inspector), (256ull << 20) / PAGE_SIZE);
	ck_assert_uint_eq(inspect_end_pfn(inspector),
			  (MIX_FAR_PHYS + (128ull << 20)) >> PAGE_SHIFT);
	ck_assert_uint_eq(inspect_ram_range(inspector, 0)->end, 64ull << 20);
	ck_assert_uint_eq(inspect_ram_range(inspector, MIX_FAR_PHYS >> PAGE_SHIFT)->node, 1);
	ck_assert_ptr_null(inspect_ram_range(inspector, (64ull << 20) >> PAGE_SHIFT));
	ck_assert_ptr_null(inspect_ram_range(inspector, ~0ull));
	ck_assert_uint_eq(inspect_reserved_range(inspector, MIX_IMAGE_PHYS >> PAGE_SHIFT)->kind,
			  RESERVED_IMAGE);
	ck_assert_ptr_null(inspect_reserved_range(inspector, (MIX_IMAGE_PHYS + MIX_IMAGE_BYTES) >>
								     PAGE_SHIFT));
	mix_destroy(mix);
}
END_TEST

START_TEST(a_source_without_sense_is_refused)
{
	struct mix *mix = mix_create();
	struct inspect_source source = *inspect_source_of(mix->source->inspector), bad;
	struct inspector *inspector;
	struct error error;

	bad = source;
	bad.nr_ram = 0;
	ck_assert_int_eq(inspector_create(&bad, &mix->source->layout, &inspector, &error), -EINVAL);
	bad = source;
	bad.nr_ram = NB_MAX_RANGES + 1;
	ck_assert_int_eq(inspector_create(&bad, &mix->source->layout, &inspector, &error), -EINVAL);
	bad = source;
	bad.ram[1].start = bad.ram[0].start;
	ck_assert_int_eq(inspector_create(&bad, &mix->source->layout, &inspector, &error), -EINVAL);
	bad = source;
	bad.ram[0].end += 1;
	ck_assert_int_eq(inspector_create(&bad, &mix->source->layout, &inspector, &error), -EINVAL);
	bad = source;
	bad.reserved[0].end = bad.reserved[0].start;
	ck_assert_int_eq(inspector_create(&bad, &mix->source->layout, &inspector, &error), -EINVAL);
	bad = source;
	bad.nr_cpus = 0;
	ck_assert_int_eq(inspector_create(&bad, &mix->source->layout, &inspector, &error), -EINVAL);
	mix_destroy(mix);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("inspect");
	TCase *tests = tcase_create("inspect");

	tcase_add_test(tests, numbers_are_read_where_they_are);
	tcase_add_test(tests, mapped_bytes_are_read_across_pages);
	tcase_add_test(tests, refresh_forgets_translations);
	tcase_add_test(tests, tiles_are_those_of_the_core);
	tcase_add_test(tests, an_address_finds_its_tile);
	tcase_add_test(tests, every_kind_of_page_array_is_read);
	tcase_add_test(tests, struct_pages_are_found_and_read);
	tcase_add_test(tests, ranges_are_the_hosts_own);
	tcase_add_test(tests, a_source_without_sense_is_refused);
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
