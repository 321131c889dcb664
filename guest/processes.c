/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypercalls on processes: user ranges, what they show, code at CPL 3. A process is claimed
 * for as long as an operation works on it, so that two CPUs may be given the same number.
 */
#include "guest/hypercall.h"
#include "guest/user.h"
#include "mm/buddy.h"
#include "mm/errno.h"
#include "mm/process.h"

_Static_assert(NB_VM_READ == VM_READ && NB_VM_WRITE == VM_WRITE && NB_VM_EXEC == VM_EXEC &&
		       NB_VM_SHARED == VM_SHARED,
	       "one set of flags of user ranges");

#define VMA_FLAGS_ALLOWED (VM_READ | VM_WRITE | VM_EXEC | VM_SHARED)

static s64 op_process_create(struct cpu *cpu, const u64 *arg, u64 *result)
{
	struct mm *mm = &machine.mm;
	struct process *process;
	s64 err = process_create(mm, &process);

	if (err)
		return err;
	err = user_prepare(process);
	if (err) {
		process_destroy(mm, process);
		return err;
	}
	result[0] = process->id;
	process_release(mm, process);
	return 0;
}

static s64 op_process_destroy(struct cpu *cpu, const u64 *arg, u64 *result)
{
	struct process *process;
	s64 err = process_claim(&machine.mm, arg[0], &process);

	if (!err)
		process_destroy(&machine.mm, process);
	return err;
}

static s64 op_vma_create(struct cpu *cpu, const u64 *arg, u64 *result)
{
	struct vm_area_struct *vma;
	struct process *process;
	s64 err;

	if (arg[3] & ~(u64)VMA_FLAGS_ALLOWED)
		return -EINVAL;
	err = process_claim(&machine.mm, arg[0], &process);
	if (err)
		return err;
	err = vma_create(&machine.mm, process, arg[1], arg[2], arg[3], &vma);
	process_release(&machine.mm, process);
	return err;
}

/*
 * Claims process @id and finds the range that holds @addr; one that shows the image is not the
 * host's. After an error nothing is claimed.
 */
static s64 claim_range(u64 id, u64 addr, struct process **process_out,
		       struct vm_area_struct **vma_out)
{
	struct process *process;
	struct vm_area_struct *vma;
	s64 err = process_claim(&machine.mm, id, &process);

	if (err)
		return err;
	vma = find_vma(process, addr);
	if (!vma || vma->vm_flags & VM_PFNMAP) {
		process_release(&machine.mm, process);
		return -ENOENT;
	}
	*process_out = process;
	*vma_out = vma;
	return 0;
}

static s64 op_vma_destroy(struct cpu *cpu, const u64 *arg, u64 *result)
{
	struct vm_area_struct *vma;
	struct process *process;
	s64 err = claim_range(arg[0], arg[1], &process, &vma);

	if (err)
		return err;
	if (vma->vm_start == arg[1])
		vma_destroy(&machine.mm, vma);
	else
		err = -ENOENT;
	process_release(&machine.mm, process);
	return err;
}

/*
 * A frame of somebody: of an area, or one the machine has taken; NULL for any other number. That it
 * stays so until it is inserted is the host's to see to: the core's frees take no lock.
 */
static struct page *frame_in_use(u64 pfn)
{
	struct page *page = pfn_to_page(&machine.mm, pfn);

	if (pfn >= NB_RAM_LIMIT >> PAGE_SHIFT || !page_is_mapped(&machine.mm, page) ||
	    !READ_ONCE(page->owner))
		return NULL;
	return page;
}

static s64 op_vm_insert_page(struct cpu *cpu, const u64 *arg, u64 *result)
{
	struct vm_area_struct *vma;
	struct page *page;
	struct process *process;
	s64 err;

	err = claim_range(arg[0], arg[1], &process, &vma);
	if (err)
		return err;
	/* A frame of the host's own is not given back meanwhile (guest/loans.h). */
	spin_lock(&machine.host.lock);
	page = frame_in_use(arg[2]);
	err = page ? vm_insert_page(&machine.mm, vma, arg[1], page) : -EINVAL;
	spin_unlock(&machine.host.lock);
	process_release(&machine.mm, process);
	return err;
}

static s64 op_remap_vmalloc_range(struct cpu *cpu, const u64 *arg, u64 *result)
{
	struct vm_area_struct *vma;
	struct process *process;
	s64 err = claim_range(arg[0], arg[1], &process, &vma);

	if (err)
		return err;
	if (vma->vm_start == arg[1])
		err = remap_vmalloc_range(&machine.mm, vma, arg[2], arg[3]);
	else
		err = -ENOENT;
	process_release(&machine.mm, process);
	return err;
}

static s64 op_vmalloc_sync_all(struct cpu *cpu, const u64 *arg, u64 *result)
{
	vmalloc_sync_all(&machine.mm);
	return 0;
}

/* ---- code at CPL 3, and probing ---- */

static bool program_is_sane(const u64 *arg)
{
	switch (arg[1]) {
	case NB_USER_READ:
		return !arg[4];
	case NB_USER_WRITE:
		return true;
	case NB_USER_JUMP:
		return !(arg[3] | arg[4]);
	case NB_USER_SPIN:
		return !(arg[2] | arg[3] | arg[4]);
	default:
		return false;
	}
}

/* Any address may be tried: that it is not the program's own is for the processor to find. */
static s64 op_user_run(struct cpu *cpu, const u64 *arg, u64 *result)
{
	const struct user_program program = {(u32)arg[1], {arg[2], arg[3], arg[4]}};
	struct process *process;
	s64 err;

	if (!program_is_sane(arg))
		return -EINVAL;
	err = process_claim(&machine.mm, arg[0], &process);
	if (err)
		return err;
	err = user_run(cpu, process->pt.root_phys, &program, result);
	process_release(&machine.mm, process);
	return err;
}

static s64 op_probe(struct cpu *cpu, const u64 *arg, u64 *result)
{
	struct process *process = NULL;
	s64 err;

	if ((arg[1] & ~PAGE_MASK) > PAGE_SIZE - sizeof(u64))
		return -EINVAL;
	if (arg[0]) {
		err = process_claim(&machine.mm, arg[0], &process);
		if (err)
			return err;
	}
	err = user_probe(process ? process->pt.root_phys : 0, arg[1], &result[0]);
	if (process)
		process_release(&machine.mm, process);
	return err;
}

static const struct hypercall_op ops[] = {
	[NB_OP_PROCESS_CREATE - NB_OP_PROCESS_CREATE] = {op_process_create, 0},
	[NB_OP_PROCESS_DESTROY - NB_OP_PROCESS_CREATE] = {op_process_destroy, 1},
	[NB_OP_VMA_CREATE - NB_OP_PROCESS_CREATE] = {op_vma_create, 4},
	[NB_OP_VMA_DESTROY - NB_OP_PROCESS_CREATE] = {op_vma_destroy, 2},
	[NB_OP_VM_INSERT_PAGE - NB_OP_PROCESS_CREATE] = {op_vm_insert_page, 3},
	[NB_OP_REMAP_VMALLOC_RANGE - NB_OP_PROCESS_CREATE] = {op_remap_vmalloc_range, 4},
	[NB_OP_VMALLOC_SYNC_ALL - NB_OP_PROCESS_CREATE] = {op_vmalloc_sync_all, 0},
	[NB_OP_USER_RUN - NB_OP_PROCESS_CREATE] = {op_user_run, 5},
	[NB_OP_PROBE - NB_OP_PROCESS_CREATE] = {op_probe, 2},
};

const struct hypercall_table process_operations = {ops, NB_OP_PROCESS_CREATE, ARRAY_SIZE(ops)};
