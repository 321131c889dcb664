/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypercalls that are the seed's other calls: areas by hand, vmap(), vread() and vwrite().
 *
 * What an area without frames of its own shows is the host's frames alone, and is remembered
 * (guest/loans.h): so each call that changes it runs under machine.host.lock.
 */
#include "guest/areas.h"

#include "guest/border.h"
#include "guest/hypercall.h"
#include "guest/loans.h"
#include "mm/errno.h"
#include "mm/vaccess.h"
#include "mm/vm_area.h"

/* ---- allocation ---- */

/* Whether only those of @arg, from 2 on, that @call takes are there, and make sense. */
static bool vmalloc_call_is_sane(enum nb_vmalloc_call call, const u64 *arg)
{
	bool prot = call == NB_VMALLOC_PROT || call == NB_VMALLOC_PROT_NODE;
	bool node = call == NB_VMALLOC_NODE || call == NB_VMALLOC_PROT_NODE;

	return (prot ? border_gfp(arg[2]) && border_prot(arg[3]) : !(arg[2] | arg[3])) &&
	       (node ? border_node(arg[4]) : !arg[4]);
}

static s64 op_vmalloc_call(struct cpu *cpu, const u64 *arg, u64 *result)
{
	struct mm *mm = &machine.mm;
	u64 size = arg[1];
	int node = (int)(s64)arg[4];

	if (arg[0] > NB_VMALLOC_PROT_NODE ||
	    !vmalloc_call_is_sane((enum nb_vmalloc_call)arg[0], arg))
		return -EINVAL;
	switch ((enum nb_vmalloc_call)arg[0]) {
	case NB_VMALLOC:
		return vmalloc(mm, size, &result[0]);
	case NB_VMALLOC_USER:
		return vmalloc_user(mm, size, &result[0]);
	case NB_VMALLOC_NODE:
		return vmalloc_node(mm, size, node, &result[0]);
	case NB_VMALLOC_EXEC:
		return vmalloc_exec(mm, size, &result[0]);
	case NB_VMALLOC_32:
		return vmalloc_32(mm, size, &result[0]);
	case NB_VMALLOC_32_USER:
		return vmalloc_32_user(mm, size, &result[0]);
	case NB_VMALLOC_PROT:
		return vmalloc_prot(mm, size, (gfp_t)arg[2], arg[3], &result[0]);
	case NB_VMALLOC_PROT_NODE:
		return vmalloc_prot_node(mm, size, (gfp_t)arg[2], arg[3], node, &result[0]);
	}
	return -EINVAL;
}

static s64 op_vmalloc_area(struct cpu *cpu, const u64 *arg, u64 *result)
{
	struct mm *mm = &machine.mm;
	s64 err;

	if (!border_gfp(arg[1]) || !border_prot(arg[2]) || !border_node(arg[3]))
		return -EINVAL;
	if (mm_refuse_interrupt(mm, "vmalloc_area_node"))
		return -EPERM;
	spin_lock(&machine.host.lock);
	err = vmalloc_area_node(mm, arg[0], (gfp_t)arg[1], arg[2], (int)(s64)arg[3]);
	spin_unlock(&machine.host.lock);
	return err;
}

/* ---- areas ---- */

/*
 * The new reserved area at @addr, unless it lies where the machine itself does: then it is given
 * back as it is, with nothing of what is mapped there touched.
 */
static s64 keep_or_give_back(u64 addr)
{
	struct mm *mm = &machine.mm;
	struct vmap_area *area;
	struct vm_struct *vm;
	s64 err = vmap_claim(mm, addr, VMAP_RESERVED, &area, &vm);

	if (err)
		return err;
	if (!border_is_machine(addr, vm->size)) {
		vmap_publish(mm, area, vm, VMAP_RESERVED);
		return 0;
	}
	vmap_free(mm, area);
	kfree(mm, vm);
	return -ENOSPC;
}

s64 areas_get_vm_area(const struct vmalloc_request *request, u64 *addr_out)
{
	s64 err;

	if (mm_refuse_interrupt(&machine.mm, "get_vm_area_node"))
		return -EPERM;
	spin_lock(&machine.host.lock);
	err = get_vm_area_node(&machine.mm, request, addr_out);
	if (!err)
		err = keep_or_give_back(*addr_out);
	spin_unlock(&machine.host.lock);
	return err;
}

static s64 op_get_vm_area_window(struct cpu *cpu, const u64 *arg, u64 *result)
{
	struct mm *mm = &machine.mm;
	s64 err;

	if (arg[1] & ~BORDER_VM_FLAGS)
		return -EINVAL;
	if (!(arg[2] | arg[3]))
		return get_vm_area(mm, arg[0], arg[1], &result[0]);
	if (mm_refuse_interrupt(mm, "get_vm_area_window"))
		return -EPERM;
	spin_lock(&machine.host.lock);
	err = get_vm_area_window(mm, arg[0], arg[1], arg[2], arg[3], &result[0]);
	if (!err)
		err = keep_or_give_back(result[0]);
	spin_unlock(&machine.host.lock);
	return err;
}

static s64 op_find_vm_area(struct cpu *cpu, const u64 *arg, u64 *result)
{
	struct vm_struct vm;
	s64 err;

	if (mm_refuse_interrupt(&machine.mm, "find_vm_area"))
		return -EPERM;
	err = vm_area_copy(&machine.mm, arg[0], &vm);
	if (err)
		return err;
	result[0] = vm.addr;
	result[1] = vm.size;
	result[2] = vm.flags;
	result[3] = vm.nr_pages;
	return 0;
}

static s64 op_remove_vm_area(struct cpu *cpu, const u64 *arg, u64 *result)
{
	struct mm *mm = &machine.mm;
	struct vm_struct *vm;
	s64 err;

	if (mm_refuse_interrupt(mm, "remove_vm_area"))
		return -EPERM;
	spin_lock(&machine.host.lock);
	err = remove_vm_area(mm, arg[0], &vm);
	if (!err) {
		loan_end(arg[0]);
		result[0] = vm->size;
		result[1] = vm->flags;
		result[2] = vm->nr_pages;
		vm_struct_free(mm, vm);
	}
	spin_unlock(&machine.host.lock);
	return err;
}

static s64 op_alloc_vm_area(struct cpu *cpu, const u64 *arg, u64 *result)
{
	return alloc_vm_area(&machine.mm, arg[0], &result[0]);
}

s64 areas_free_vm_area(u64 addr)
{
	s64 err;

	if (mm_refuse_interrupt(&machine.mm, "free_vm_area"))
		return -EPERM;
	spin_lock(&machine.host.lock);
	err = free_vm_area(&machine.mm, addr);
	if (!err)
		loan_end(addr);
	spin_unlock(&machine.host.lock);
	return err;
}

/* ---- what they show ---- */

static s64 op_map_vm_area(struct cpu *cpu, const u64 *arg, u64 *result)
{
	const u64 *pfns = border_data(cpu, arg[3], arg[1] * sizeof(u64));
	struct loan *loan;
	s64 err;

	if (arg[1] > NB_DATA_BYTES / sizeof(u64) || !pfns)
		return -EINVAL;
	if (mm_refuse_interrupt(&machine.mm, "map_vm_area"))
		return -EPERM;
	spin_lock(&machine.host.lock);
	err = loan_make(pfns, arg[1], false, &loan);
	if (err)
		goto unlock;
	err = map_vm_area(&machine.mm, arg[0], loan->pages, arg[1], arg[2]);
	if (err)
		loan_drop(loan);
	else
		loan_begin(loan, arg[0]);
unlock:
	spin_unlock(&machine.host.lock);
	return err;
}

static s64 op_unmap_kernel_range(struct cpu *cpu, const u64 *arg, u64 *result)
{
	s64 err;

	if (mm_refuse_interrupt(&machine.mm, "unmap_kernel_range"))
		return -EPERM;
	spin_lock(&machine.host.lock);
	err = unmap_kernel_range(&machine.mm, arg[0], arg[1]);
	if (!err)
		loan_end_range(arg[0], arg[1]);
	spin_unlock(&machine.host.lock);
	return err;
}

static s64 op_unmap_vm_area(struct cpu *cpu, const u64 *arg, u64 *result)
{
	s64 err;

	if (mm_refuse_interrupt(&machine.mm, "unmap_vm_area"))
		return -EPERM;
	spin_lock(&machine.host.lock);
	err = unmap_vm_area(&machine.mm, arg[0]);
	if (!err)
		loan_end(arg[0]);
	spin_unlock(&machine.host.lock);
	return err;
}

_Static_assert(VMAP_FLAGS == NB_VM_OF_VMAP, "as the host has it");

static s64 op_vmap(struct cpu *cpu, const u64 *arg, u64 *result)
{
	const u64 *pfns = border_data(cpu, arg[3], arg[0] * sizeof(u64));
	bool give = arg[1] & VM_MAP_PUT_PAGES;
	struct loan *loan;
	s64 err;

	if (arg[0] > NB_DATA_BYTES / sizeof(u64) || !pfns)
		return -EINVAL;
	if (mm_refuse_interrupt(&machine.mm, "vmap"))
		return -EPERM;
	spin_lock(&machine.host.lock);
	err = loan_make(pfns, arg[0], give, &loan);
	if (err)
		goto unlock;
	err = vmap(&machine.mm, loan->pages, arg[0], arg[1], arg[2], &result[0]);
	if (err)
		loan_drop(loan);
	else if (give)
		kfree(&machine.mm, loan); /* frames and array are the area's now */
	else
		loan_begin(loan, result[0]);
unlock:
	spin_unlock(&machine.host.lock);
	return err;
}

static s64 op_vunmap(struct cpu *cpu, const u64 *arg, u64 *result)
{
	s64 err;

	if (mm_refuse_interrupt(&machine.mm, "vunmap"))
		return -EPERM;
	spin_lock(&machine.host.lock);
	err = vunmap(&machine.mm, arg[0]);
	if (!err)
		loan_end(arg[0]);
	spin_unlock(&machine.host.lock);
	return err;
}

/* ---- their bytes ---- */

static s64 op_vread(struct cpu *cpu, const u64 *arg, u64 *result)
{
	void *data = border_data(cpu, arg[2], arg[1]);

	if (!data)
		return -EINVAL;
	result[0] = vread(&machine.mm, data, arg[0], arg[1]);
	return 0;
}

static s64 op_vwrite(struct cpu *cpu, const u64 *arg, u64 *result)
{
	const void *data = border_data(cpu, arg[2], arg[1]);

	if (!data)
		return -EINVAL;
	result[0] = vwrite(&machine.mm, data, arg[0], arg[1], &result[1]);
	return 0;
}

#define OP(opcode, run, nr_args) [opcode - NB_OP_VMALLOC_CALL] = {run, nr_args}

static const struct hypercall_op ops[] = {
	OP(NB_OP_VMALLOC_CALL, op_vmalloc_call, 5),
	OP(NB_OP_VMALLOC_AREA, op_vmalloc_area, 4),
	OP(NB_OP_GET_VM_AREA_WINDOW, op_get_vm_area_window, 4),
	OP(NB_OP_FIND_VM_AREA, op_find_vm_area, 1),
	OP(NB_OP_REMOVE_VM_AREA, op_remove_vm_area, 1),
	OP(NB_OP_ALLOC_VM_AREA, op_alloc_vm_area, 1),
	OP(NB_OP_MAP_VM_AREA, op_map_vm_area, 4),
	OP(NB_OP_UNMAP_KERNEL_RANGE, op_unmap_kernel_range, 2),
	OP(NB_OP_UNMAP_VM_AREA, op_unmap_vm_area, 1),
	OP(NB_OP_VMAP, op_vmap, 4),
	OP(NB_OP_VUNMAP, op_vunmap, 1),
	OP(NB_OP_VREAD, op_vread, 3),
	OP(NB_OP_VWRITE, op_vwrite, 3),
};

const struct hypercall_table area_operations = {ops, NB_OP_VMALLOC_CALL, ARRAY_SIZE(ops)};
