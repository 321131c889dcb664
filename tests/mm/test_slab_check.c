/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The checker of object caches, one planted fault for each thing it says it sees; and random runs
 * of kmalloc() and kfree() against a model, with the checker along the way.
 */
#include "tests/harness.h"
#include "tests/mm/sim.h"

#include <string.h>

#define OBJECTS 42 /* of 96 bytes in a slab */

/* A cache with an active slab, a partial, an empty and a full one. */
struct scene {
	struct sim *sim;
	struct mm *mm;
	struct kmem_cache cache;
	struct page *active, *partial, *empty, *full;
	void *held; /* the first of three objects of the partial slab */
};

static struct page stray;

static void active_is_anothers(struct scene *s)
{
	s->active->owner = &s->mm->kmalloc[0];
}

static void active_is_no_slab(struct scene *s)
{
	s->active->state = PAGE_OTHER;
}

static void drop_active(struct scene *s)
{
	s->cache.cpu[0].slab = NULL;
}

static void active_is_a_frame(struct scene *s)
{
	s->cache.cpu[0].slab = alloc_pages(s->mm, GFP_KERNEL, 0, 0, PAGE_OTHER, NULL);
}

static void active_is_no_page(struct scene *s)
{
	s->cache.cpu[0].slab = (struct page *)&s->cache;
}

static void active_is_not_marked(struct scene *s)
{
	s->active->active = 2;
}

static void partial_is_marked_active(struct scene *s)
{
	s->partial->active = 2;
}

static void full_is_marked_active(struct scene *s)
{
	s->full->active = 1;
}

static void marked_active_by_no_cpu(struct scene *s)
{
	s->full->active = 60000;
}

static void marked_active_by_a_cpu_that_is_not_there(struct scene *s)
{
	s->full->active = 3;
	s->cache.cpu[2].slab = s->full;
}

static void objects_wrong(struct scene *s)
{
	s->full->objects++;
}

static void in_use_high(struct scene *s)
{
	s->partial->in_use++;
}

static void in_use_too_high(struct scene *s)
{
	s->full->in_use = OBJECTS + 1;
}

static void empty_is_in_use(struct scene *s)
{
	s->empty->in_use++;
}

static void list_leaves_the_slab(struct scene *s)
{
	*(void **)s->partial->freelist = page_address(s->mm, s->full);
}

static void list_between_objects(struct scene *s)
{
	*(void **)s->partial->freelist = (char *)s->held + 8;
}

static void list_in_the_rest_of_the_slab(struct scene *s)
{
	*(void **)s->partial->freelist = (char *)page_address(s->mm, s->partial) + OBJECTS * 96;
}

static void list_is_a_cycle(struct scene *s)
{
	*(void **)s->partial->freelist = s->partial->freelist;
}

static void list_is_cut(struct scene *s)
{
	*(void **)s->partial->freelist = NULL;
}

static void double_free(struct scene *s)
{
	void *last = s->partial->freelist;

	kmem_cache_free(s->mm, &s->cache, s->held);
	kmem_cache_free(s->mm, &s->cache, last);
}

static void cpu_list_is_a_cycle(struct scene *s)
{
	*(void **)s->cache.cpu[0].freelist = s->cache.cpu[0].freelist;
}

static void cpu_list_leaves_the_slab(struct scene *s)
{
	s->cache.cpu[0].freelist = s->held;
}

static void on_two_lists(struct scene *s)
{
	s->active->freelist = s->cache.cpu[0].freelist;
}

static void partial_count_high(struct scene *s)
{
	s->cache.node[0].nr_partial++;
}

static void partial_count_low(struct scene *s)
{
	s->cache.node[0].nr_partial--;
}

static void empty_count_wrong(struct scene *s)
{
	s->cache.node[0].nr_empty = 0;
}

static void two_are_empty(struct scene *s)
{
	s->partial->in_use = 0;
	s->cache.node[0].nr_empty++;
}

static void slab_count_wrong(struct scene *s)
{
	s->cache.node[0].nr_slabs++;
}

static void slab_count_of_no_node(struct scene *s)
{
	s->cache.node[5].nr_slabs++;
}

static void partial_not_on_list(struct scene *s)
{
	list_del(&s->partial->list);
	s->cache.node[0].nr_partial--;
}

static void full_on_list(struct scene *s)
{
	list_add(&s->full->list, &s->cache.node[0].partial);
	s->cache.node[0].nr_partial++;
}

static void list_of_another_node(struct scene *s)
{
	list_del(&s->partial->list);
	s->cache.node[0].nr_partial--;
	list_add(&s->partial->list, &s->cache.node[1].partial);
	s->cache.node[1].nr_partial++;
}

static void partial_list_ends(struct scene *s)
{
	s->cache.node[0].partial.next->next = NULL;
}

static void partial_list_leads_outside(struct scene *s)
{
	s->cache.node[0].partial.next = (struct list_head *)&s->cache.object_bytes;
}

/* What says that it is a slab of the cache, but is no struct page of the machine's. */
static void partial_list_has_a_stray(struct scene *s)
{
	stray = *s->partial;
	stray.list.prev->next = stray.list.next->prev = &stray.list;
}

static void partial_is_no_slab(struct scene *s)
{
	s->partial->state = PAGE_OTHER;
}

static void head_back_link_wrong(struct scene *s)
{
	s->cache.node[0].partial.prev = &s->cache.node[0].partial;
}

static void partial_list_is_a_cycle(struct scene *s)
{
	s->partial->list.next = &s->partial->list;
}

static void back_link_wrong(struct scene *s)
{
	s->partial->list.prev = &s->full->list;
}

static void slab_of_another_cache(struct scene *s)
{
	s->partial->owner = &s->mm->kmalloc[0];
}

static void full_is_lost(struct scene *s)
{
	s->full->owner = NULL;
}

#define FAULT(plant, text)          \
	{                           \
#plant, plant, text \
	}

static const struct {
	const char *name;
	void (*plant)(struct scene *scene);
	const char *text;
} faults[] = {
	FAULT(drop_active, "of no slab"),
	FAULT(active_is_a_frame, "none of the cache's"),
	FAULT(active_is_anothers, "none of the cache's"),
	FAULT(active_is_no_slab, "none of the cache's"),
	FAULT(active_is_no_page, "none of the cache's"),
	FAULT(active_is_not_marked, "not marked so"),
	FAULT(partial_is_marked_active, "does not belong"),
	FAULT(full_is_marked_active, "marked active and is not"),
	FAULT(marked_active_by_no_cpu, "marked active and is not"),
	FAULT(marked_active_by_a_cpu_that_is_not_there, "marked active and is not"),
	FAULT(objects_wrong, "count of objects is wrong"),
	FAULT(in_use_high, "objects in use"),
	FAULT(in_use_too_high, "count of objects is wrong"),
	FAULT(empty_is_in_use, "empty slabs"),
	FAULT(list_leaves_the_slab, "out of its slab"),
	FAULT(list_between_objects, "out of its slab"),
	FAULT(list_in_the_rest_of_the_slab, "out of its slab"),
	FAULT(list_is_a_cycle, "free twice"),
	FAULT(list_is_cut, "objects in use"),
	FAULT(double_free, "free twice"),
	FAULT(cpu_list_is_a_cycle, "free twice"),
	FAULT(cpu_list_leaves_the_slab, "out of its slab"),
	FAULT(on_two_lists, "free twice"),
	FAULT(partial_count_high, "count differ"),
	FAULT(partial_count_low, "longer than its count"),
	FAULT(empty_count_wrong, "empty slabs"),
	FAULT(two_are_empty, "count of empty slabs"),
	FAULT(slab_count_wrong, "count of slabs"),
	FAULT(slab_count_of_no_node, "count of slabs"),
	FAULT(partial_not_on_list, "on no list"),
	FAULT(full_on_list, "does not belong"),
	FAULT(list_of_another_node, "does not belong"),
	FAULT(partial_list_ends, "count differ"),
	FAULT(partial_list_leads_outside, "no slab of the cache"),
	FAULT(partial_list_has_a_stray, "no slab of the cache"),
	FAULT(partial_is_no_slab, "no slab of the cache"),
	FAULT(head_back_link_wrong, "count differ"),
	FAULT(partial_list_is_a_cycle, "longer than its count"),
	FAULT(back_link_wrong, "links do not agree"),
	FAULT(slab_of_another_cache, "no slab of the cache"),
	FAULT(full_is_lost, "count of slabs"),
};

static void make_scene(struct scene *s)
{
	struct sim_config config = sim_default_config(2);
	void *objects[5 * OBJECTS];

	s->sim = sim_create_frames(&config);
	s->mm = &s->sim->mm;
	kmem_cache_init(&s->cache, "scene", 96);
	for (u32 i = 0; i < 4 * OBJECTS + 5; i++)
		objects[i] = kmem_cache_alloc(s->mm, &s->cache, GFP_KERNEL, NUMA_NO_NODE);
	s->partial = virt_to_page(s->mm, objects[0]);
	s->empty = virt_to_page(s->mm, objects[OBJECTS]);
	s->full = virt_to_page(s->mm, objects[2 * OBJECTS]);
	s->active = virt_to_page(s->mm, objects[4 * OBJECTS]);
	s->held = objects[0];
	for (u32 i = 3; i < 2 * OBJECTS; i++)
		kmem_cache_free(s->mm, &s->cache, objects[i]);
	ck_assert_ptr_eq(s->cache.cpu[0].slab, s->active);
	ck_assert_uint_eq(s->cache.node[0].nr_partial, 2);
	ck_assert_uint_eq(s->cache.node[0].nr_empty, 1);
	ck_assert_uint_eq(s->cache.node[0].nr_slabs, 5);
}

START_TEST(a_planted_fault_is_seen)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	const char *wrong;

	make_scene(scene);
	wrong = kmem_cache_check(scene->mm, &scene->cache);
	ck_assert_msg(!wrong, "before the fault: %s", wrong);
	faults[_i].plant(scene);
	wrong = kmem_cache_check(scene->mm, &scene->cache);
	ck_assert_msg(wrong != NULL, "%s is not seen", faults[_i].name);
	ck_assert_msg(strstr(wrong, faults[_i].text), "%s: %s", faults[_i].name, wrong);
	sim_destroy(scene->sim);
	free(scene);
}
END_TEST

/* ---- random ---- */

#define MOST 6000

struct object {
	u8 *address;
	u32 size;
	u8 fill;
};

static struct object object[MOST];
static u32 nr_objects;

static void take_one(struct mm *mm, u64 draw)
{
	static const gfp_t some[] = {0, 0, 0, 0, 0, __GFP_ZERO, GFP_DMA, GFP_DMA32};
	u32 size = (u32)(draw >> 8) % (draw % 16 ? 300 : 9000) + 1;
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN | some[draw >> 40 & 7];
	u8 *address = kmalloc_node(mm, size, gfp, (int)(draw >> 50) % 3 - 1);

	if (!address)
		return;
	for (u32 i = 0; i < size && (gfp & __GFP_ZERO); i++) {
		if (address[i])
			ck_abort_msg("not zeroed");
	}
	memset(address, (int)(draw >> 56), size);
	object[nr_objects++] = (struct object){address, size, (u8)(draw >> 56)};
}

static void give_one(struct mm *mm, u64 draw)
{
	u32 index = (u32)draw % nr_objects;
	struct object its = object[index];

	for (u32 i = 0; i < its.size; i++) {
		if (its.address[i] != its.fill)
			ck_abort_msg("somebody wrote to an object of %u bytes", its.size);
	}
	object[index] = object[--nr_objects];
	kfree(mm, its.address);
}

static void check_caches(struct mm *mm, u64 seed, u32 step)
{
	const char *wrong = page_alloc_check(mm);

	for (u32 i = 0; i < NR_KMALLOC_CACHES && !wrong; i++)
		wrong = kmem_cache_check(mm, &mm->kmalloc[i]);
	ck_assert_msg(!wrong, "seed %lu, step %u: %s", (unsigned long)seed, step, wrong);
}

static void run(u64 seed, u32 steps, u32 every)
{
	struct sim_config config = {.nr_cpus = 3};
	u64 draw = seed * 0x9e3779b97f4a7c15ull + 1, before, populated;
	struct sim *sim;
	struct mm *mm;

	sim_add_ram(&config, 0, 32ull << 20, 0);
	sim_add_ram(&config, 4ull << 30, 16ull << 20, 1);
	sim = sim_create_frames(&config);
	mm = &sim->mm;
	before = nr_free_pages(mm);
	for (u32 step = 0; step < steps; step++) {
		bool filling = step / 8000 % 2 == 0;

		draw ^= draw << 13;
		draw ^= draw >> 7;
		draw ^= draw << 17;
		sim_set_cpu((u32)(draw >> 20) % 3);
		if ((draw >> 30) % 100 < (filling ? 60 : 40) && nr_objects < MOST)
			take_one(mm, draw);
		else if (nr_objects)
			give_one(mm, draw);
		if (step % every == 0)
			check_caches(mm, seed, step);
	}
	while (nr_objects)
		give_one(mm, draw);
	for (u32 cpu = 0; cpu < 3; cpu++) {
		sim_set_cpu(cpu);
		for (u32 i = 0; i < NR_KMALLOC_CACHES; i++)
			kmem_cache_shrink(mm, &mm->kmalloc[i]);
	}
	check_caches(mm, seed, steps);
	populated = sim->nr_populated;
	ck_assert_uint_eq(nr_free_pages(mm), before - 512 * populated);
	ck_assert_uint_eq(sim->nr_warnings, 0);
	sim_destroy(sim);
}

START_TEST(short_runs_are_sound_after_each_step)
{
	run(50, 3000, 1);
}
END_TEST

START_TEST(long_runs_leave_nothing_behind)
{
	const char *seed = getenv("SEED");

	run(seed ? strtoull(seed, NULL, 0) : (u64)_i, 100000, 1000);
}
END_TEST

static Suite *suite(void)
{
	Suite *suite = suite_create("slab_check");
	TCase *check = tcase_create("check"), *random = tcase_create("random");

	tcase_add_loop_test(check, a_planted_fault_is_seen, 0, ARRAY_SIZE(faults));
	suite_add_tcase(suite, check);
	tcase_set_timeout(random, 120);
	tcase_add_test(random, short_runs_are_sound_after_each_step);
	tcase_add_loop_test(random, long_runs_leave_nothing_behind, 0, 4);
	suite_add_tcase(suite, random);
	return suite;
}

int main(void)
{
	return harness_run(suite());
}
