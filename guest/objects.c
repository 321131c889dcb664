/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypercalls that give the host frames and objects of its own, and take back what it was given
 * and still has.
 */
#include "guest/border.h"
#include "guest/hypercall.h"
#include "guest/loans.h"
#include "mm/errno.h"

static s64 op_alloc_pages(struct cpu *cpu, const u64 *arg, u64 *result)
{
	struct mm *mm = &machine.mm;
	struct page *page;

	if (arg[0] > MAX_ORDER || !border_gfp(arg[1]) || !border_node(arg[2]))
		return -EINVAL;
	if (mm_refuse_interrupt(mm, "alloc_pages"))
		return -EPERM;
	page = alloc_pages(mm, (gfp_t)arg[1], (u32)arg[0], (int)(s64)arg[2], PAGE_OTHER, NULL);
	if (!page)
		return -ENOMEM;
	page->index = 0;
	smp_store_release(&page->owner, host_owner());
	result[0] = page_to_pfn(mm, page);
	return 0;
}

static s64 op_free_pages(struct cpu *cpu, const u64 *arg, u64 *result)
{
	struct mm *mm = &machine.mm;
	struct page *page = NULL;
	s64 err = -EINVAL;

	if (mm_refuse_interrupt(mm, "free_pages"))
		return -EPERM;
	spin_lock(&machine.host.lock);
	if (arg[1] <= MAX_ORDER)
		page = host_page(arg[0], (u32)arg[1]);
	if (page && page->index) {
		err = -EBUSY;
	} else if (page) {
		page->owner = NULL;
		free_pages(mm, page, (u32)arg[1]);
		err = 0;
	}
	spin_unlock(&machine.host.lock);
	return err;
}

static s64 op_kmalloc(struct cpu *cpu, const u64 *arg, u64 *result)
{
	struct mm *mm = &machine.mm;
	struct keyed *known;
	void *object;

	if (arg[0] == 0 || arg[0] > KMALLOC_MAX_BYTES || !border_gfp(arg[1]) ||
	    !border_node(arg[2]))
		return -EINVAL;
	if (mm_refuse_interrupt(mm, "kmalloc"))
		return -EPERM;
	known = kmalloc_node(mm, sizeof(*known), GFP_KERNEL, NUMA_NO_NODE);
	if (!known)
		return -ENOMEM;
	object = kmalloc_node(mm, arg[0], (gfp_t)arg[1], (int)(s64)arg[2]);
	if (!object) {
		kfree(mm, known);
		return -ENOMEM;
	}
	known->key = (u64)(uintptr_t)object;
	spin_lock(&machine.host.lock);
	keyed_insert(&machine.host.objects, known);
	spin_unlock(&machine.host.lock);
	result[0] = known->key;
	return 0;
}

static s64 op_kfree(struct cpu *cpu, const u64 *arg, u64 *result)
{
	struct mm *mm = &machine.mm;
	struct keyed *known;

	if (mm_refuse_interrupt(mm, "kfree"))
		return -EPERM;
	spin_lock(&machine.host.lock);
	known = keyed_find(&machine.host.objects, arg[0]);
	if (known)
		keyed_erase(&machine.host.objects, known);
	spin_unlock(&machine.host.lock);
	if (!known)
		return -EINVAL;
	kfree(mm, (void *)(uintptr_t)known->key);
	kfree(mm, known);
	return 0;
}

static const struct hypercall_op ops[] = {
	[NB_OP_ALLOC_PAGES - NB_OP_ALLOC_PAGES] = {op_alloc_pages, 3},
	[NB_OP_FREE_PAGES - NB_OP_ALLOC_PAGES] = {op_free_pages, 2},
	[NB_OP_KMALLOC - NB_OP_ALLOC_PAGES] = {op_kmalloc, 3},
	[NB_OP_KFREE - NB_OP_ALLOC_PAGES] = {op_kfree, 1},
};

const struct hypercall_table object_operations = {ops, NB_OP_ALLOC_PAGES, ARRAY_SIZE(ops)};
