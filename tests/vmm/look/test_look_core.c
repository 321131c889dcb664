/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The core's structures looked at from outside, on the simulated core: frames, zones, slabs, the
 * address space, and what changed between two moments; each against the core itself.
 */
#include "tests/harness.h"

#include <errno.h>
#include <string.h>

#include "tests/vmm/inspect/core_mix.h"
#include "vmm/look/diff.h"
#include "vmm/look/tree.h"

/* ---- frames ---- */

static struct look_frame frame_at(struct mix *mix, u64 phys)
{
	struct look_frame frame;

	ck_assert_int_eq(look_frame(mix->source->inspector, phys >> PAGE_SHIFT, &frame), 0);
	ck_assert_uint_eq(frame.gpa, phys & PAGE_MASK);
	return frame;
}

START_TEST(a_frame_of_an_area_knows_its_place_in_it)
{
	struct mix *mix = mix_create();
	const u64 areas[] = {mix->single, mix->inlined, mix->kmalloced, mix->nested,
			     mix->directory};
	const u64 index[] = {0, 7, 299, 1, 999};

	for (size_t i = 0; i < ARRAY_SIZE(areas); i++) {
		struct page *page = mix_page(mix, areas[i] + index[i] * PAGE_SIZE);
		struct look_frame frame = frame_at(mix, mix_phys(mix, page));

		ck_assert_int_eq(frame.state, LOOK_FRAME_VMALLOC);
		ck_assert(frame.have_area && frame.have_index);
		ck_assert_uint_eq(frame.area_start, areas[i]);
		ck_assert_uint_eq(frame.area_index, index[i]);
		ck_assert_uint_eq(frame.area_size, mix_vm(mix, areas[i])->size - PAGE_SIZE);
		ck_assert_uint_eq(frame.references, page->refcount);
		ck_assert_uint_eq(frame.page_address, (uintptr_t)page);
		ck_assert_uint_eq(frame.zone, page->zone);
	}
	mix_destroy(mix);
}
END_TEST

START_TEST(frames_of_every_kind_are_told_apart)
{
	struct mix *mix = mix_create();
	struct kmem_cache *cache = &mix->mm->vmap.cache;
	struct look_frame frame;
	struct zone *zone;
	struct page *page;
	u64 table;

	ck_assert_int_eq(frame_at(mix, 0).state, LOOK_FRAME_BOOT);
	ck_assert_int_eq(frame_at(mix, MIX_IMAGE_PHYS).state, LOOK_FRAME_IMAGE);
	ck_assert_int_eq(frame_at(mix, mix->mm->pt.root_phys).state, LOOK_FRAME_TABLES);
	table = *mix_entry(mix, mix->single, 2) & X86_PTE_ADDR_MASK;
	frame = frame_at(mix, table);
	ck_assert_int_eq(frame.state, LOOK_FRAME_TABLE);
	ck_assert_uint_eq(frame.table_level, 1);
	page = virt_to_page(mix->mm, mix_tile(mix, mix->single));
	frame = frame_at(mix, mix_phys(mix, page));
	ck_assert_int_eq(frame.state, LOOK_FRAME_SLAB);
	ck_assert_uint_eq(frame.owner, (uintptr_t)cache);
	ck_assert_uint_eq(frame.slab_objects, cache->objects);
	page = mix_pcp_zone(mix)->pcp[0].top;
	ck_assert_int_eq(frame_at(mix, mix_phys(mix, page)).state, LOOK_FRAME_PCP);
	/* A frame in the middle of a free block. */
	page = mix_free_block(mix, 2, &zone);
	frame = frame_at(mix, mix_phys(mix, page) + PAGE_SIZE);
	ck_assert_int_eq(frame.state, LOOK_FRAME_FREE);
	ck_assert_uint_eq(frame.head_pfn, page_to_pfn(mix->mm, page));
	ck_assert_uint_eq(frame.order, page->order);
	/* Of a section never used, and of one in use. */
	frame = frame_at(mix, MIX_FAR_PHYS);
	ck_assert_int_eq(frame.state, LOOK_FRAME_FRESH);
	ck_assert(!frame.online);
	ck_assert_uint_eq(frame.node, 1);
	for (u32 i = 0; i < MAX_SPANS; i++) {
		const struct fresh_span *span = &mix->mm->node[0].zone[ZONE_NORMAL].span[i];

		if (span->start_pfn == span->end_pfn)
			continue;
		frame = frame_at(mix, span->start_pfn << PAGE_SHIFT);
		ck_assert_int_eq(frame.state, LOOK_FRAME_FRESH);
		ck_assert(frame.online);
	}
	ck_assert_int_eq(look_frame(mix->source->inspector, 2ull << 30 >> PAGE_SHIFT, &frame),
			 -ENOENT);
	mix_destroy(mix);
}
END_TEST

/* A block holds no frame behind its end, whatever that frame says of itself. */
START_TEST(a_frame_is_in_no_block_that_ends_before_it)
{
	struct mix *mix = mix_create();
	struct look_frame frame;

	for (u64 at = mix->kmalloced; at < mix->kmalloced + 300 * PAGE_SIZE; at += PAGE_SIZE) {
		struct page *page = mix_page(mix, at);
		u64 pfn = page_to_pfn(mix->mm, page);

		if (pfn % 2 == 0 || pfn_to_page(mix->mm, pfn - 1)->state != PAGE_VMALLOC)
			continue;
		page->state = PAGE_BODY;
		frame = frame_at(mix, mix_phys(mix, page));
		ck_assert_int_eq(frame.state, LOOK_FRAME_UNKNOWN);
		ck_assert_uint_eq(frame.head_pfn, pfn);
		page->state = PAGE_VMALLOC;
	}
	mix_destroy(mix);
}
END_TEST

/* Counted one by one, by the looks at single frames. */
START_TEST(the_sums_are_those_of_the_frames)
{
	struct mix *mix = mix_create();
	u64 counted[LOOK_FRAME_STATES] = {0}, zones = 0;
	struct look_frames frames;

	ck_assert_int_eq(look_frames(mix->source->inspector, &frames), 0);
	for (u32 i = 0; i < mix->mm->nr_ram; i++) {
		for (u64 at = mix->mm->ram[i].start; at < mix->mm->ram[i].end; at += PAGE_SIZE)
			counted[frame_at(mix, at).state]++;
	}
	for (int state = 0; state < LOOK_FRAME_STATES; state++)
		ck_assert_msg(frames.frames[state] == counted[state], "%s: %lu, counted %lu",
			      look_frame_state_name((enum look_frame_state)state),
			      frames.frames[state], (unsigned long)counted[state]);
	ck_assert_uint_eq(frames.total, mix->mm->total_pages);
	ck_assert_uint_eq(frames.frames[LOOK_FRAME_UNKNOWN], 0);
	ck_assert_uint_eq(frames.frames[LOOK_FRAME_TABLE], mix->mm->pt.nr_tables +
								   mix->process[0]->pt.nr_tables +
								   mix->process[1]->pt.nr_tables);
	ck_assert_uint_eq(frames.sections, 3);
	for (size_t i = 0; i < frames.nr_zones; i++)
		zones += frames.zone[i].total;
	ck_assert_uint_eq(zones, frames.total);
	ck_assert_uint_eq(frames.nr_zones, 4);
	look_frames_free(&frames);
	mix_destroy(mix);
}
END_TEST

/* ---- zones and slabs ---- */

START_TEST(zones_are_those_of_the_core)
{
	struct mix *mix = mix_create();
	struct look_zones zones;
	u64 free = 0;

	ck_assert_int_eq(look_zones(mix->source->inspector, &zones), 0);
	ck_assert_uint_eq(zones.nr_orders, MAX_ORDER + 1);
	ck_assert_uint_eq(zones.nr_zones, 4);
	for (size_t i = 0; i < zones.nr_zones; i++) {
		const struct look_zone *seen = &zones.zone[i];
		const struct zone *zone = &mix->mm->node[seen->node].zone[seen->zone];
		u64 blocks = 0, fresh = 0;

		ck_assert_uint_eq(seen->managed, zone->managed_pages);
		ck_assert_uint_eq(seen->free, zone->free_pages);
		ck_assert_uint_eq(seen->watermark_min, zone->watermark_min);
		ck_assert_uint_eq(seen->pcp_high, zone->pcp_high);
		for (u32 order = 0; order <= MAX_ORDER; order++) {
			ck_assert_uint_eq(seen->nr_free[order], zone->nr_free[order]);
			blocks += zone->nr_free[order] << order;
			fresh += seen->nr_fresh[order] << order;
		}
		ck_assert_uint_eq(fresh, seen->fresh);
		/* Struct pages lie inside the spans, and are not free. */
		ck_assert_uint_ge(blocks + fresh, seen->free);
		ck_assert_uint_eq((blocks + fresh - seen->free) % 512, 0);
		ck_assert_uint_eq(seen->nr_cpus, 2);
		ck_assert_uint_eq(seen->pcp_count[0], zone->pcp[0].count);
		free += seen->free + seen->pcp_count[0] + seen->pcp_count[1];
	}
	ck_assert_uint_eq(free, nr_free_pages(mix->mm));
	ck_assert_str_eq(zones.zone[0].name, "DMA");
	ck_assert_str_eq(zones.zone[1].name, "DMA32");
	ck_assert_str_eq(zones.zone[2].name, "Normal");
	ck_assert_uint_eq(zones.zone[3].node, 1);
	ck_assert_uint_eq(zones.zone[1].start_pfn, ZONE_DMA_END_PFN);
	ck_assert_uint_eq(zones.zone[1].present, (48ull << 20) / PAGE_SIZE);
	look_zones_free(&zones);
	mix_destroy(mix);
}
END_TEST

/* [1025, 1031) is blocks of 1, 2, 2 and 1; [2048, 4096) is two of the largest. */
START_TEST(fresh_memory_is_counted_in_blocks)
{
	struct mix *mix = mix_create();
	struct zone *zone = &mix->mm->node[0].zone[ZONE_DMA32];
	struct look_zones zones;

	zone->nr_spans = 2;
	zone->span[0] = (struct fresh_span){.start_pfn = 1025, .end_pfn = 1031};
	zone->span[1] = (struct fresh_span){.start_pfn = 2048, .end_pfn = 4096};
	ck_assert_int_eq(look_zones(mix->source->inspector, &zones), 0);
	for (u32 order = 0; order <= MAX_ORDER; order++)
		ck_assert_uint_eq(zones.zone[1].nr_fresh[order],
				  order < 2 || order == MAX_ORDER ? 2 : 0);
	ck_assert_uint_eq(zones.zone[1].fresh, 6 + 2048);
	look_zones_free(&zones);
	mix_destroy(mix);
}
END_TEST

/* Each object taken shows as one more, each given back as one less. */
START_TEST(slabs_count_their_objects)
{
	struct mix *mix = mix_create();
	struct look_slabs before, after;
	void *object[40];
	size_t i;

	ck_assert_int_eq(look_slabs(mix->source->inspector, &before), 0);
	ck_assert_uint_eq(before.nr_slabs, NR_KMALLOC_CACHES + 1);
	for (i = 0; i < ARRAY_SIZE(object); i++)
		object[i] = kmalloc_node(mix->mm, 512, GFP_KERNEL, NUMA_NO_NODE);
	core_source_refresh(mix->source);
	ck_assert_int_eq(look_slabs(mix->source->inspector, &after), 0);
	for (i = 0; i < after.nr_slabs; i++) {
		const struct look_slab *a = &before.slab[i], *b = &after.slab[i];

		ck_assert_uint_eq(b->in_use - a->in_use, b->object_bytes == 512 ? 40 : 0);
		ck_assert_uint_eq(b->found, b->slabs);
		ck_assert_uint_eq(b->total, b->slabs * b->objects);
	}
	look_slabs_free(&after);
	for (i = 0; i < ARRAY_SIZE(object); i++)
		kfree(mix->mm, object[i]);
	ck_assert_int_eq(look_slabs(mix->source->inspector, &after), 0);
	for (i = 0; i < after.nr_slabs; i++)
		ck_assert_uint_eq(after.slab[i].in_use, before.slab[i].in_use);
	look_slabs_free(&after);
	look_slabs_free(&before);
	mix_destroy(mix);
}
END_TEST

/* ---- the address space ---- */

START_TEST(the_tree_adds_up)
{
	struct mix *mix = mix_create();
	struct look_tree tree;

	ck_assert_int_eq(look_tree(mix->source->inspector, 0, 0, &tree), 0);
	ck_assert_ptr_null(tree.areas.broken);
	ck_assert_uint_eq(tree.busy, mix->mm->vmap.nr_busy);
	ck_assert_uint_eq(tree.free, mix->mm->vmap.nr_free);
	ck_assert_uint_eq(tree.lazy, mix->mm->vmap.nr_lazy);
	ck_assert_uint_eq(tree.unknown, 0);
	ck_assert_uint_eq(tree.lazy_bytes, mix->mm->vmap.nr_lazy_pages * PAGE_SIZE);
	ck_assert_uint_eq(tree.busy_bytes + tree.free_bytes + tree.lazy_bytes,
			  VMAP_END - VMAP_FIRST);
	look_tree_free(&tree);
	/* From the last page before the hole to the first after it. */
	ck_assert_int_eq(look_tree(mix->source->inspector, mix->hole - PAGE_SIZE,
				   mix->hole + 8 * PAGE_SIZE, &tree),
			 0);
	ck_assert_uint_eq(tree.areas.count, 3);
	ck_assert_uint_eq(tree.free_bytes, 7 * PAGE_SIZE);
	ck_assert_uint_eq(tree.largest_start, mix->hole);
	ck_assert_uint_eq(tree.largest_end, mix->hole + 7 * PAGE_SIZE);
	ck_assert_uint_eq(tree.busy_bytes, 2 * PAGE_SIZE);
	look_tree_free(&tree);
	ck_assert_int_eq(look_tree(mix->source->inspector, 2, 1, &tree), -EINVAL);
	mix_destroy(mix);
}
END_TEST

static const char *line_of(struct mix *mix, u64 va, const char *caller, char *text)
{
	struct inspect_areas areas;

	ck_assert_int_eq(look_areas(mix->source->inspector, &areas), 0);
	look_area_line(mix->source->inspector, inspect_area_find(&areas, va), caller, text);
	inspect_areas_free(&areas);
	return text;
}

START_TEST(a_line_is_as_linux_prints_it)
{
	struct mix *mix = mix_create();
	char text[LOOK_LINE_BYTES], expected[LOOK_LINE_BYTES];

	snprintf(expected, sizeof(expected),
		 "0x%016llx-0x%016llx   45056 f+0x1/0x2 pages=10 vmalloc N0=10",
		 (unsigned long long)mix->inlined,
		 (unsigned long long)mix->inlined + 11 * PAGE_SIZE);
	ck_assert_str_eq(line_of(mix, mix->inlined, "f+0x1/0x2", text), expected);
	snprintf(expected, sizeof(expected), "0x%016llx-0x%016llx    8192 unpurged vm_area",
		 (unsigned long long)mix->lazy[0],
		 (unsigned long long)mix->lazy[0] + 2 * PAGE_SIZE);
	ck_assert_str_eq(line_of(mix, mix->lazy[0], NULL, text), expected);
	ck_assert_ptr_nonnull(strstr(line_of(mix, mix->reserved, "f", text), " f ioremap"));
	mix_destroy(mix);
}
END_TEST

/* ---- differences ---- */

#define CHANGES_MAX 64

struct changes {
	struct look_change change[CHANGES_MAX];
	size_t count;
};

static int keep(void *context, const struct look_change *change)
{
	struct changes *changes = context;

	ck_assert_uint_lt(changes->count, CHANGES_MAX);
	changes->change[changes->count++] = *change;
	return 0;
}

static const struct look_change *change_of(const struct changes *changes,
					   enum look_change_kind kind, u64 start)
{
	for (size_t i = 0; i < changes->count; i++) {
		if (changes->change[i].kind == kind && changes->change[i].start == start)
			return &changes->change[i];
	}
	ck_abort_msg("no \"%s\" at %#llx", look_change_name(kind), (unsigned long long)start);
}

static const struct look_change *count_of(const struct changes *changes, const char *name)
{
	for (size_t i = 0; i < changes->count; i++) {
		if (changes->change[i].kind == LOOK_COUNT && !strcmp(changes->change[i].name, name))
			return &changes->change[i];
	}
	return NULL;
}

static struct look_snapshot *take(struct mix *mix)
{
	struct look_snapshot *snapshot;

	core_source_refresh(mix->source);
	ck_assert_int_eq(look_snapshot(mix->source->inspector, &snapshot), 0);
	return snapshot;
}

START_TEST(nothing_differs_from_itself)
{
	struct mix *mix = mix_create();
	struct look_snapshot *one = take(mix), *two = take(mix);
	struct changes changes = {.count = 0};

	ck_assert_int_eq(look_diff(one, two, keep, &changes), 0);
	ck_assert_uint_eq(changes.count, 0);
	look_snapshot_free(one);
	look_snapshot_free(two);
	mix_destroy(mix);
}
END_TEST

START_TEST(what_changed_is_named)
{
	struct mix *mix = mix_create();
	struct look_snapshot *before = take(mix), *after;
	struct changes changes = {.count = 0};
	const struct look_change *change;
	const struct vmalloc_request request = {
		.size = 6 * PAGE_SIZE,
		.align = 1,
		.start = VMALLOC_START,
		.end = VMALLOC_END,
		.prot = PAGE_KERNEL,
		.gfp = GFP_KERNEL,
		.node = NUMA_NO_NODE,
	};
	u64 addr, *entry;

	/* The hole's place is taken, two pages go, one is protected, one gets another frame. */
	ck_assert_int_eq(vmalloc_node_range(mix->mm, &request, &addr), 0);
	ck_assert_uint_eq(addr, mix->hole);
	ck_assert_int_eq(vfree(mix->mm, mix->outside), 0);
	*mix_entry(mix, mix->kmalloced + 5 * PAGE_SIZE, 1) &= ~X86_PTE_RW;
	entry = mix_entry(mix, mix->nested + 9 * PAGE_SIZE, 1);
	*entry = (*entry & ~X86_PTE_ADDR_MASK) | 0x7000;
	mix_tile(mix, mix->lazy[2])->state = 77;
	after = take(mix);
	ck_assert_int_eq(look_diff(before, after, keep, &changes), 0);
	change = change_of(&changes, LOOK_TILE_CAME, addr);
	ck_assert_uint_eq(change->end, addr + 7 * PAGE_SIZE);
	ck_assert_int_eq(change->state_after, INSPECT_BUSY);
	ck_assert_uint_eq(change->pages_after, 6);
	change = change_of(&changes, LOOK_TILE_CHANGED, mix->outside);
	ck_assert_int_eq(change->state_before, INSPECT_BUSY);
	ck_assert_int_eq(change->state_after, INSPECT_LAZY);
	change = change_of(&changes, LOOK_TILE_CHANGED, mix->lazy[2]);
	ck_assert_int_eq(change->state_after, INSPECT_UNKNOWN);
	change = change_of(&changes, LOOK_MAP_CAME, addr);
	ck_assert_uint_eq(change->end, addr + 6 * PAGE_SIZE);
	ck_assert_uint_eq(change->rights_after, PAGING_R | PAGING_W);
	change = change_of(&changes, LOOK_MAP_WENT, mix->outside);
	ck_assert_uint_eq(change->end, mix->outside + 2 * PAGE_SIZE);
	change = change_of(&changes, LOOK_MAP_CHANGED, mix->kmalloced + 5 * PAGE_SIZE);
	ck_assert_uint_eq(change->end - change->start, PAGE_SIZE);
	ck_assert_uint_eq(change->rights_after, PAGING_R);
	change = change_of(&changes, LOOK_FRAMES_MOVED, mix->nested + 9 * PAGE_SIZE);
	ck_assert_uint_eq(change->end - change->start, PAGE_SIZE);
	change = count_of(&changes, "frames vmalloc");
	ck_assert_ptr_nonnull(change);
	ck_assert_uint_eq(change->after - change->before, 4);
	ck_assert_ptr_null(count_of(&changes, "frames image"));
	look_snapshot_free(before);
	look_snapshot_free(after);
	mix_destroy(mix);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("look_core");
	TCase *tests = tcase_create("look");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_frame_of_an_area_knows_its_place_in_it);
	tcase_add_test(tests, frames_of_every_kind_are_told_apart);
	tcase_add_test(tests, a_frame_is_in_no_block_that_ends_before_it);
	tcase_add_test(tests, the_sums_are_those_of_the_frames);
	tcase_add_test(tests, zones_are_those_of_the_core);
	tcase_add_test(tests, fresh_memory_is_counted_in_blocks);
	tcase_add_test(tests, slabs_count_their_objects);
	tcase_add_test(tests, the_tree_adds_up);
	tcase_add_test(tests, a_line_is_as_linux_prints_it);
	tcase_add_test(tests, nothing_differs_from_itself);
	tcase_add_test(tests, what_changed_is_named);
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
