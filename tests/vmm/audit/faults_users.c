/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Faults in processes: their lists, their tables, what they show. */
#include <string.h>

#include "tests/vmm/audit/faults.h"

#define BEYOND_RANGES 0x50000000ull

static u64 address_of(const void *pointer)
{
	return (u64)(uintptr_t)pointer;
}

/* ---- lists ---- */

static u64 process_list_broken(struct mix *mix)
{
	mix->process[1]->link.prev = &mix->process[1]->link;
	return address_of(&mix->process[0]->link);
}

static u64 process_unlinked(struct mix *mix)
{
	list_del(&mix->process[1]->link);
	return address_of(&mix->mm->processes.nr);
}

static u64 process_number_twice(struct mix *mix)
{
	mix->process[1]->id = mix->process[0]->id;
	return address_of(mix->process[1]);
}

static u64 process_lock_held(struct mix *mix)
{
	mix->mm->processes.lock.word = 1;
	return address_of(&mix->mm->processes.lock);
}

static u64 range_list_wild(struct mix *mix)
{
	struct list_head *link = &mix_vma(mix, 0, MIX_USER_INSERTED)->link;

	link->next = (struct list_head *)(uintptr_t)0xdeadbeef000ull;
	return address_of(link);
}

static u64 ranges_overlap(struct mix *mix)
{
	mix_vma(mix, 0, MIX_USER_SHARED)->vm_end = MIX_USER_INSERTED + PAGE_SIZE;
	return MIX_USER_INSERTED;
}

static u64 range_of_kernel_addresses(struct mix *mix)
{
	mix_vma(mix, 0, MIX_USER_GONE)->vm_end = VMALLOC_END & PAGE_MASK;
	return MIX_USER_GONE;
}

static u64 range_of_another(struct mix *mix)
{
	mix_vma(mix, 0, MIX_USER_GONE)->process = mix->process[1];
	return MIX_USER_GONE;
}

static u64 range_without_access(struct mix *mix)
{
	mix_vma(mix, 0, MIX_USER_GONE)->vm_flags = VM_DONTEXPAND;
	return MIX_USER_GONE;
}

static u64 range_freed(struct mix *mix)
{
	struct vm_area_struct *vma = mix_vma(mix, 1, MIX_USER_SHARED), copy = *vma;

	kfree(mix->mm, vma);
	/* As a reader would see it in memory that is not overwritten yet, but for the list's link.
	 */
	memcpy((char *)vma + sizeof(void *), (char *)&copy + sizeof(void *),
	       sizeof(copy) - sizeof(void *));
	return MIX_USER_SHARED;
}

/* ---- pages ---- */

static u64 user_count_wrong(struct mix *mix)
{
	mix->process[0]->nr_user_pages++;
	return address_of(&mix->process[0]->nr_user_pages);
}

static u64 user_page_outside_ranges(struct mix *mix)
{
	struct page *page = mix->inserted;

	if (!page_get(page) || pt_map_pages(mix->mm, &mix->process[0]->pt, BEYOND_RANGES, &page, 1,
					    X86_PTE_P | X86_PTE_US | X86_PTE_NX))
		return 0;
	mix->process[0]->nr_user_pages++;
	return BEYOND_RANGES;
}

static u64 user_page_writable(struct mix *mix)
{
	*mix_user_entry(mix, 1, MIX_USER_SHARED, 1) |= X86_PTE_RW;
	return MIX_USER_SHARED;
}

static u64 user_page_executable(struct mix *mix)
{
	u64 va = MIX_USER_SHARED + 3 * PAGE_SIZE;

	*mix_user_entry(mix, 0, va, 1) &= ~X86_PTE_NX;
	return va;
}

static u64 user_page_of_the_kernels(struct mix *mix)
{
	*mix_user_entry(mix, 0, MIX_USER_INSERTED, 1) &= ~X86_PTE_US;
	return MIX_USER_INSERTED;
}

/* It would survive the change to other tables. */
static u64 user_page_global(struct mix *mix)
{
	*mix_user_entry(mix, 0, MIX_USER_SHARED, 1) |= X86_PTE_G;
	return MIX_USER_SHARED;
}

static u64 user_table_read_only(struct mix *mix)
{
	*mix_user_entry(mix, 0, MIX_USER_INSERTED, 3) &= ~X86_PTE_RW;
	return MIX_USER_SHARED;
}

static u64 user_page_large(struct mix *mix)
{
	u64 *entry = mix_user_entry(mix, 0, MIX_USER_GONE, 2);

	*entry = 0x400000 | X86_PTE_P | X86_PTE_US | X86_PTE_PS | X86_PTE_NX;
	return MIX_USER_GONE;
}

static u64 user_frame_elsewhere(struct mix *mix)
{
	u64 va = MIX_USER_SHARED + 2 * PAGE_SIZE, *entry = mix_user_entry(mix, 0, va, 1);

	*entry = (*entry & ~X86_PTE_ADDR_MASK) | mix_phys(mix, mix_page(mix, mix->shared));
	return va;
}

static u64 user_frame_of_another_area(struct mix *mix)
{
	u64 va = MIX_USER_SHARED + PAGE_SIZE, *entry = mix_user_entry(mix, 1, va, 1);

	*entry = (*entry & ~X86_PTE_ADDR_MASK) | mix_phys(mix, mix_page(mix, mix->inlined));
	return va;
}

static u64 user_page_missing(struct mix *mix)
{
	*mix_user_entry(mix, 0, MIX_USER_SHARED + PAGE_SIZE, 1) = 0;
	return MIX_USER_SHARED + 2 * PAGE_SIZE;
}

static u64 area_not_for_users(struct mix *mix)
{
	mix_vm(mix, mix->shared)->flags &= ~(u64)VM_USERMAP;
	return MIX_USER_SHARED;
}

static u64 user_frame_is_a_table(struct mix *mix)
{
	u64 *entry = mix_user_entry(mix, 0, MIX_USER_INSERTED, 1);
	u64 table = *mix_user_entry(mix, 0, MIX_USER_INSERTED, 2) & X86_PTE_ADDR_MASK;

	*entry = (*entry & ~X86_PTE_ADDR_MASK) | table;
	return MIX_USER_INSERTED;
}

static u64 user_frame_is_free(struct mix *mix)
{
	struct zone *zone;
	u64 *entry = mix_user_entry(mix, 0, MIX_USER_INSERTED, 1);

	*entry = (*entry & ~X86_PTE_ADDR_MASK) | mix_phys(mix, mix_free_block(mix, 0, &zone));
	return MIX_USER_INSERTED;
}

static u64 image_range_shows_ram(struct mix *mix)
{
	u64 *entry = mix_user_entry(mix, 0, MIX_USER_IMAGE, 1);

	*entry = (*entry & ~X86_PTE_ADDR_MASK) | mix_phys(mix, mix->inserted);
	return MIX_USER_IMAGE;
}

static u64 nothing_was_mapped_here(struct mix *mix)
{
	mix_vma(mix, 0, MIX_USER_INSERTED)->vm_flags &= ~(u64)VM_MIXEDMAP;
	return MIX_USER_INSERTED;
}

/* ---- what other checks say of processes ---- */

static u64 image_written_by_user(struct mix *mix)
{
	mix_map(mix, NB_IMAGE_BASE + MIX_IMAGE_PHYS, MIX_IMAGE_PHYS, PAGE_KERNEL_ROX);
	*mix_user_entry(mix, 0, MIX_USER_IMAGE, 1) |= X86_PTE_RW | X86_PTE_NX;
	return MIX_USER_IMAGE;
}

static u64 user_page_writable_code(struct mix *mix)
{
	*mix_user_entry(mix, 0, MIX_USER_SHARED, 1) &= ~X86_PTE_NX;
	return MIX_USER_SHARED;
}

static u64 user_page_without_memory(struct mix *mix)
{
	u64 *entry = mix_user_entry(mix, 0, MIX_USER_INSERTED, 1);

	*entry = (*entry & ~X86_PTE_ADDR_MASK) | 1ull << 44;
	return MIX_USER_INSERTED;
}

static u64 reference_dropped(struct mix *mix)
{
	mix_page(mix, mix->shared)->refcount--;
	return mix_phys(mix, mix_page(mix, mix->shared));
}

static u64 reference_kept(struct mix *mix)
{
	u64 phys = *mix_user_entry(mix, 0, MIX_USER_GONE, 1) & X86_PTE_ADDR_MASK;

	pfn_to_page(mix->mm, phys >> PAGE_SHIFT)->refcount++;
	return phys;
}

static u64 reference_of_inserted_dropped(struct mix *mix)
{
	mix->inserted->refcount--;
	return mix_phys(mix, mix->inserted);
}

static u64 upper_half_differs(struct mix *mix)
{
	u64 *entry = mix_user_entry(mix, 1, VMALLOC_START, 4);

	*entry ^= X86_PTE_US;
	return virt_to_phys(mix->mm, entry);
}

static u64 root_is_the_kernels(struct mix *mix)
{
	mix->process[1]->pt.root_phys = mix->mm->pt.root_phys;
	return mix->mm->pt.root_phys;
}

static u64 root_is_nowhere(struct mix *mix)
{
	mix->process[1]->pt.root_phys = 1ull << 45;
	return address_of(mix->process[1]);
}

static u64 table_of_two_processes(struct mix *mix)
{
	*mix_user_entry(mix, 1, BEYOND_RANGES << 12, 4) =
		*mix_user_entry(mix, 0, MIX_USER_SHARED, 4);
	return *mix_user_entry(mix, 0, MIX_USER_SHARED, 4) & X86_PTE_ADDR_MASK;
}

static u64 table_of_a_process_leaked(struct mix *mix)
{
	u64 *entry = mix_user_entry(mix, 1, MIX_USER_SHARED, 2);
	u64 table = *entry & X86_PTE_ADDR_MASK;

	*entry = 0;
	return table;
}

static u64 tables_of_a_process_miscounted(struct mix *mix)
{
	mix->process[0]->pt.nr_tables++;
	return address_of(&mix->process[0]->pt.nr_tables);
}

static u64 reserved_bit_of_a_process(struct mix *mix)
{
	*mix_user_entry(mix, 0, MIX_USER_SHARED, 1) |= 1ull << 50;
	return MIX_USER_SHARED;
}

const struct fault user_faults[] = {
	FAULT(process_list_broken, AUDIT_USERS, "list of processes is broken"),
	FAULT(process_unlinked, AUDIT_USERS, "count of processes"),
	FAULT(process_number_twice, AUDIT_USERS, "number"),
	FAULT(process_lock_held, AUDIT_USERS, "lock"),
	FAULT(range_list_wild, AUDIT_USERS, "list of ranges is broken"),
	FAULT(ranges_overlap, AUDIT_USERS, "overlap"),
	FAULT(range_of_kernel_addresses, AUDIT_USERS, "none of user addresses"),
	FAULT(range_of_another, AUDIT_USERS, "another's"),
	FAULT(range_without_access, AUDIT_USERS, "without any access"),
	FAULT(user_count_wrong, AUDIT_USERS, "user pages is wrong"),
	FAULT(user_page_outside_ranges, AUDIT_USERS, "outside all ranges of process 1"),
	FAULT(user_page_writable, AUDIT_USERS, "process 2 has not its range's protection"),
	FAULT(user_page_executable, AUDIT_USERS, "protection"),
	FAULT(user_page_of_the_kernels, AUDIT_USERS, "protection"),
	FAULT(user_page_global, AUDIT_USERS, "protection"),
	FAULT(user_table_read_only, AUDIT_USERS, "rights by its tables"),
	FAULT(user_page_large, AUDIT_USERS, "large user page"),
	FAULT(user_frame_elsewhere, AUDIT_USERS, "another frame"),
	FAULT(user_frame_of_another_area, AUDIT_USERS, "another frame"),
	FAULT(user_page_missing, AUDIT_USERS, "missing"),
	FAULT(area_not_for_users, AUDIT_USERS, "not for users"),
	FAULT(user_frame_is_a_table, AUDIT_USERS, "nobody's to show"),
	FAULT(user_frame_is_free, AUDIT_USERS, "nobody's to show"),
	FAULT(image_range_shows_ram, AUDIT_USERS, "other memory"),
	FAULT(image_written_by_user, AUDIT_USERS, "can be written"),
	FAULT(nothing_was_mapped_here, AUDIT_USERS, "nothing was mapped"),
	FAULT(image_written_by_user, AUDIT_WX, "alias"),
	FAULT(user_page_writable_code, AUDIT_WX, "writable and executable"),
	FAULT(user_page_without_memory, AUDIT_STAGE2, "no memory"),
	FAULT(range_freed, AUDIT_FRAMES, "user range lies in memory that is free"),
	FAULT(reference_dropped, AUDIT_FRAMES, "wrong count"),
	FAULT(reference_kept, AUDIT_FRAMES, "other references"),
	FAULT(reference_of_inserted_dropped, AUDIT_FRAMES, "other references"),
	FAULT(upper_half_differs, AUDIT_TABLES, "upper half"),
	FAULT(root_is_the_kernels, AUDIT_TABLES, "referenced twice"),
	FAULT(root_is_nowhere, AUDIT_TABLES, "no table in RAM"),
	FAULT(table_of_two_processes, AUDIT_TABLES, "referenced twice"),
	FAULT(table_of_a_process_leaked, AUDIT_TABLES, "no entry refers to"),
	FAULT(tables_of_a_process_miscounted, AUDIT_TABLES, "process 1's page tables"),
	FAULT(reserved_bit_of_a_process, AUDIT_TABLES, "reserved bit"),
	{.name = NULL},
};
