/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that writes anything at all into its memory: the auditor, the looks and the core's
 * writer end, in bounded time, and read nothing that is not the guest's. Words of the core's memory
 * are overwritten at random, a few at a time, with values chosen to look right; after each audit
 * they are put back.
 *
 * Run it under --enable-sanitizers for what it is worth. NESTBOX_ROUNDS and NESTBOX_SEED change
 * the number of rounds and the seed.
 */
#include "tests/harness.h"

#include <stdint.h>
#include <string.h>

#include "tests/vmm/inspect/core_mix.h"
#include "tests/vmm/look/look_all.h"

#define ROUNDS_DEFAULT 120
#define CHANGES_MAX    24

static uint64_t state;

/* xorshift64*: the same numbers everywhere. */
static uint64_t random_u64(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dull;
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

struct change {
	u64 *where;
	u64 before;
};

/* A word of a frame that holds tables, slabs or page arrays: in the first frames handed out. */
static u64 *word_of_frames(struct mix *mix)
{
	u64 phys = random_u64() % 2 ? 4ull << 30 : 0;

	return (u64 *)phys_to_virt(mix->mm, phys + random_u64() % (4ull << 20) / 8 * 8);
}

static u64 *word_of_page(struct mix *mix)
{
	u64 pfn = (random_u64() % 2 && mix->source->online[0] ? 0 : 4ull << 30) >> PAGE_SHIFT;

	return (u64 *)pfn_to_page(mix->mm, pfn + random_u64() % 8192) + random_u64() % 8;
}

static u64 *word_of_mm(struct mix *mix)
{
	u64 words = sizeof(*mix->mm) / 8;
	u64 vmap = offsetof(struct mm, vmap) / 8;

	/* Operations and the machine's pointer are not the guest's memory in a guest. */
	if (random_u64() % 4 == 0)
		return (u64 *)mix->mm + vmap + random_u64() % (sizeof(mix->mm->vmap) / 8);
	return (u64 *)mix->mm + 2 + random_u64() % (words - 2);
}

/* The entries, tiles and bookkeeping of things in use: where a change matters most. */
static u64 *word_in_use(struct mix *mix)
{
	const u64 areas[] = {mix->single,    mix->inlined,  mix->kmalloced, mix->nested,
			     mix->directory, mix->readonly, mix->dma32,     mix->reserved};
	u64 va = areas[random_u64() % ARRAY_SIZE(areas)];
	const struct inspect_area *area;
	struct inspect_areas tiles;
	u64 tile = 0, vm = 0;

	/* Found through the inspector: the core's own walks trust what is damaged by now. */
	if (inspect_areas(mix->source->inspector, &tiles))
		return word_of_mm(mix);
	area = inspect_area_find(&tiles, va);
	if (area && area->state == INSPECT_BUSY && area->has_vm) {
		tile = area->tile;
		vm = area->link;
	}
	inspect_areas_free(&tiles);
	if (!tile || tile % 8 || vm % 8)
		return word_of_frames(mix);
	if (random_u64() % 2)
		return (u64 *)(uintptr_t)tile + random_u64() % (sizeof(struct vmap_area) / 8);
	return (u64 *)(uintptr_t)vm + random_u64() % (sizeof(struct vm_struct) / 8 + 10);
}

/* A word of a process, of one of its ranges, or of the list they are on. */
static u64 *word_of_process(struct mix *mix)
{
	struct inspect_processes processes;
	u64 *word = (u64 *)&mix->mm->processes + random_u64() % 4;

	if (inspect_processes(mix->source->inspector, &processes))
		return word;
	if (processes.nr_vmas && random_u64() % 2) {
		const struct inspect_vma *vma = &processes.vma[random_u64() % processes.nr_vmas];

		word = (u64 *)(uintptr_t)vma->address +
		       random_u64() % (sizeof(struct vm_area_struct) / 8);
	} else if (processes.count) {
		word = (u64 *)(uintptr_t)processes.process[random_u64() % processes.count].address +
		       random_u64() % (sizeof(struct process) / 8);
	}
	inspect_processes_free(&processes);
	return (uintptr_t)word % 8 ? (u64 *)&mix->mm->processes : word;
}

static u64 *any_word(struct mix *mix)
{
	switch (random_u64() % 5) {
	case 4:
		return word_of_process(mix);
	case 0:
		return word_of_frames(mix);
	case 1:
		return word_of_page(mix);
	case 2:
		return word_of_mm(mix);
	default:
		return word_in_use(mix);
	}
}

/* Whether the word is memory of the simulated guest; a damaged link may have led elsewhere. */
static bool is_guests(struct mix *mix, const u64 *word)
{
	const struct inspect_source *source = inspect_source_of(mix->source->inspector);

	return source->virtual(source->context, (uintptr_t)word, 8) != NULL;
}

static u64 *pick_word(struct mix *mix)
{
	u64 *word = any_word(mix);

	return is_guests(mix, word) ? word : (u64 *)&mix->mm->vmap;
}

static u64 pick_value(struct mix *mix, u64 before)
{
	switch (random_u64() % 10) {
	case 0:
		return random_u64();
	case 1:
		return 0;
	case 2:
		return ~0ull;
	case 3:
		return before + 8;
	case 4:
		return before ^ 1ull << random_u64() % 64;
	case 5:
		return (u64)(uintptr_t)pick_word(mix);
	case 6:
		return (u64)(uintptr_t)mix->mm + random_u64() % sizeof(*mix->mm);
	case 7:
		return VMALLOC_START + random_u64() % 4096 * PAGE_SIZE;
	default:
		return *pick_word(mix);
	}
}

static void one_round(struct mix *mix, bool look)
{
	u64 count = 1 + random_u64() % CHANGES_MAX;
	struct change change[CHANGES_MAX];

	for (u64 i = 0; i < count; i++) {
		u64 *where = pick_word(mix);

		change[i] = (struct change){where, *where};
		*where = pick_value(mix, *where);
	}
	mix_audit(mix);
	if (look)
		look_at_everything(mix->source->inspector, *pick_word(mix));
	while (count--)
		*change[count].where = change[count].before;
}

START_TEST(no_memory_makes_the_auditor_fall)
{
	uint64_t rounds = number_from("NESTBOX_ROUNDS", ROUNDS_DEFAULT);
	uint64_t seed = number_from("NESTBOX_SEED", 1 + (uint64_t)_i);
	struct mix *mix = mix_create();
	uint64_t found;

	state = seed * 0x9e3779b97f4a7c15ull;
	for (uint64_t round = 0; round < rounds; round++)
		one_round(mix, round % 4 == 0);
	found = audit_total_violations(mix->audit);
	printf("seed %llu: %llu rounds, %llu violations\n", (unsigned long long)seed,
	       (unsigned long long)rounds, (unsigned long long)found);
	ck_assert_uint_gt(found, rounds);
	/* All was put back, so what the rounds showed was theirs. */
	ck_assert_uint_eq(mix_audit(mix).violations, 0);
	mix_destroy(mix);
}
END_TEST

/* ---- damage meant to make the auditor work for ever ---- */

static void fill_table(u64 *table, u64 first, u64 step)
{
	for (u64 i = 0; i < X86_TABLE_ENTRIES; i++)
		table[i] = first + i * step;
}

/* Every entry of the root is the root: 512^4 paths. */
static void tables_without_end(struct mix *mix)
{
	fill_table(phys_to_virt(mix->mm, mix->mm->pt.root_phys),
		   mix->mm->pt.root_phys | X86_PTE_P | X86_PTE_RW, 0);
}

/* One PDPT of 1 GiB leaves, and areas as large as the window that list frames for all of it. */
static void leaves_without_end(struct mix *mix)
{
	u64 *pdpt =
		(u64 *)phys_to_virt(mix->mm, *mix_entry(mix, mix->single, 4) & X86_PTE_ADDR_MASK);

	fill_table(pdpt, PAGE_KERNEL | X86_PTE_PS, 1ull << 30);
	for (u64 i = 257; i < X86_TABLE_ENTRIES; i++)
		*((u64 *)phys_to_virt(mix->mm, mix->mm->pt.root_phys) + i) =
			*mix_entry(mix, mix->single, 4);
	mix_vm(mix, mix->directory)->nr_pages = ~0ull >> 12;
	mix_tile(mix, mix->directory)->va_end = VMALLOC_END & PAGE_MASK;
	mix_tile(mix, mix->nested)->va_end = VMALLOC_END & PAGE_MASK;
	mix_vm(mix, mix->nested)->nr_pages = ~0ull;
}

/* All areas list the same endless array. */
static void arrays_without_end(struct mix *mix)
{
	struct vm_struct *vm = mix_vm(mix, mix->nested);
	struct vmap_area *area;

	list_for_each_entry (area, &mix->mm->vmap.tiles, tile) {
		area->state = VMAP_AREA_BUSY;
		area->va_start = VMALLOC_START;
		area->va_end = VMALLOC_END & PAGE_MASK;
		area->vm = vm;
	}
	vm->array = VM_ARRAY_INLINE;
	vm->nr_pages = ~0ull;
}

/* Every section is in use, every zone has as many spans as fit, and all of them are all of RAM. */
static void spans_without_end(struct mix *mix)
{
	memset(mix->mm->section_online, 1, sizeof(mix->mm->section_online));
	for (u32 node = 0; node < MAX_NODES; node++) {
		for (u32 id = 0; id < NR_ZONES; id++) {
			struct zone *zone = &mix->mm->node[node].zone[id];

			zone->nr_spans = 255;
			for (u32 i = 0; i < MAX_SPANS; i++)
				zone->span[i] = (struct fresh_span){0, ~0ull, 0};
		}
	}
}

/* Each per-CPU list is one and the same frame after itself; so is each free list. */
static void lists_without_end(struct mix *mix)
{
	struct page *page = mix_page(mix, mix->single);

	page->next = page;
	for (u32 id = 0; id < NR_ZONES; id++) {
		struct zone *zone = &mix->mm->node[0].zone[id];

		for (u32 cpu = 0; cpu < MAX_CPUS; cpu++)
			zone->pcp[cpu] = (struct page_pcp){.top = page, .count = ~0u};
		for (u32 order = 0; order <= MAX_ORDER; order++)
			zone->free[order].next = &page->list;
	}
}

/* Both processes are each other's tables, and all their ranges are one list of one range. */
static void processes_without_end(struct mix *mix)
{
	struct process *one = mix->process[0], *two = mix->process[1];
	struct vm_area_struct *vma = mix_vma(mix, 0, MIX_USER_SHARED);

	fill_table(phys_to_virt(mix->mm, one->pt.root_phys),
		   two->pt.root_phys | X86_PTE_P | X86_PTE_US, 0);
	fill_table(phys_to_virt(mix->mm, two->pt.root_phys),
		   one->pt.root_phys | X86_PTE_P | X86_PTE_US, 0);
	vma->link.next = &vma->link;
	vma->link.prev = &vma->link;
	one->link.next = &one->link;
	one->link.prev = &one->link;
	mix->mm->processes.head.next = &one->link;
}

/* A user half of nothing but 2 MiB pages, all of which a range shows, as often as it goes. */
static void user_pages_without_end(struct mix *mix)
{
	struct vm_area_struct *vma = mix_vma(mix, 0, MIX_USER_SHARED);
	u64 *pd = (u64 *)phys_to_virt(mix->mm, *mix_user_entry(mix, 0, MIX_USER_SHARED, 3) &
						       X86_PTE_ADDR_MASK);
	u64 *pt = (u64 *)phys_to_virt(mix->mm, *mix_user_entry(mix, 0, MIX_USER_SHARED, 2) &
						       X86_PTE_ADDR_MASK);

	vma->vm_start = 0;
	vma->vm_end = ~0ull;
	fill_table(pt, *pt, 0);
	for (u64 i = 0; i < X86_TABLE_ENTRIES; i++) {
		if (!pd[i])
			pd[i] = i << 21 | X86_PTE_P | X86_PTE_US | X86_PTE_PS;
	}
	for (u64 i = 0; i < X86_TABLE_ENTRIES; i++)
		*(mix_entry(mix, mix->shared, 1) - (mix->shared >> PAGE_SHIFT & 511) + i) =
			*mix_entry(mix, mix->shared, 1);
	mix_tile(mix, mix->shared)->va_end = VMALLOC_END & PAGE_MASK;
	mix_vm(mix, mix->shared)->nr_pages = ~0ull;
}

static void (*const endless[])(struct mix *mix) = {
	tables_without_end, leaves_without_end,    arrays_without_end,     spans_without_end,
	lists_without_end,  processes_without_end, user_pages_without_end,
};

/* It ends: Check's own time limit is the test. */
START_TEST(work_without_end_is_cut_short)
{
	struct mix *mix = mix_create();

	endless[_i](mix);
	look_at_everything(mix->source->inspector, 1);
	ck_assert_uint_gt(mix_audit(mix).violations, 0);
	mix_destroy(mix);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("audit_hostile");
	TCase *tests = tcase_create("hostile");

	tcase_set_timeout(tests, 300);
	tcase_add_loop_test(tests, no_memory_makes_the_auditor_fall, 0, 4);
	tcase_add_loop_test(tests, work_without_end_is_cut_short, 0, (int)ARRAY_SIZE(endless));
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
