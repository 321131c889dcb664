/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypercalls that are the core's operations. Here is the border: what makes no sense is
 * refused before the core sees it, whether or not the core would refuse it as well.
 */
#include "guest/areas.h"
#include "guest/border.h"
#include "guest/hypercall.h"
#include "guest/load.h"
#include "guest/workload.h"
#include "mm/errno.h"
#include "mm/vmalloc.h"
#include "mm/vmap_linux.h"

/* What guest/abi.h tells the host to pass is what the core takes. */
_Static_assert(NB_VM_ALLOC == VM_ALLOC && NB_VM_MAP == VM_MAP && NB_VM_NO_GUARD == VM_NO_GUARD &&
		       NB_VM_ARRAY_OUTSIDE == VM_ARRAY_OUTSIDE &&
		       NB_VM_LINUX_SEARCH == VM_LINUX_SEARCH,
	       "one set of area flags");
_Static_assert(NB_GFP_KERNEL == GFP_KERNEL && NB_PAGE_KERNEL == PAGE_KERNEL, "one set of values");
_Static_assert(NB_GFP_ZERO == __GFP_ZERO && NB_GFP_NOWARN == __GFP_NOWARN, "one set of values");
_Static_assert(NB_VMALLOC_START == VMALLOC_START && NB_VMALLOC_END == VMALLOC_END, "one window");
_Static_assert((int)NB_MODE_LAZY == (int)VMAP_LAZY && (int)NB_MODE_EAGER == (int)VMAP_EAGER &&
		       (int)NB_MODE_MANUAL == (int)VMAP_MANUAL,
	       "one set of modes");
_Static_assert((int)NB_FAULT_FRAME == (int)FAULT_FRAME && (int)NB_FAULT_SLAB == (int)FAULT_SLAB &&
		       (int)NB_FAULT_TABLE == (int)FAULT_TABLE &&
		       (int)NB_FAULT_AREA == (int)FAULT_AREA,
	       "one set of failures");

_Static_assert((int)NB_ORDER_BY_ADDRESS == (int)VMAP_BY_ADDRESS &&
		       (int)NB_ORDER_NEWEST_FIRST == (int)VMAP_NEWEST_FIRST &&
		       (int)NB_SEARCH_5_16 == (int)VMAP_SEARCH_5_16 &&
		       (int)NB_SEARCH_5_18 == (int)VMAP_SEARCH_5_18 &&
		       NB_SHAPE_RED == VMAP_SHAPE_RED && NB_PURGE_FULL == VMAP_PURGE_FULL &&
		       NB_PURGE_DECAY == VMAP_PURGE_DECAY &&
		       NB_PURGE_DECAYED == VMAP_PURGE_DECAYED &&
		       NB_PURGE_NODE_SHIFT == VMAP_PURGE_NODE_SHIFT,
	       "one set of rules");

/* The pools' node of an operation, which only spaces under rules know. */
static bool take_node(u64 node)
{
	const struct vmap_rules *rules = &machine.mm.vmap.rules;

	if (node > rules->nodes)
		return false;
	if (rules->nodes)
		vmap_set_node(&machine.mm, (u32)node);
	return true;
}

/* @self: the operation, on record as who asked where the host names nobody. */
static s64 decode_request(const u64 *arg, const void *self, struct vmalloc_request *request)
{
	if (!border_gfp(arg[4]) || arg[6] & ~BORDER_VM_FLAGS || !border_node(arg[7]) ||
	    !take_node(arg[9]))
		return -EINVAL;
	request->size = arg[0];
	request->align = arg[1];
	request->start = arg[2];
	request->end = arg[3];
	request->gfp = (gfp_t)arg[4];
	request->prot = arg[5];
	request->flags = arg[6];
	request->node = (int)(s64)arg[7];
	request->caller = arg[8] ?: (u64)(uintptr_t)self;
	return 0;
}

/*
 * Frames can be mapped only where addresses are canonical, in one half, and nowhere near what the
 * machine has mapped for itself: even its unused tables are not to be anybody's.
 */
static bool window_mappable(const struct vmalloc_request *request)
{
	return request->start < request->end && is_canonical(request->start) &&
	       is_canonical(request->end - 1) && (s64)(request->start ^ (request->end - 1)) >= 0 &&
	       !border_is_machine(request->start, request->end - request->start);
}

static s64 op_nop(struct cpu *cpu, const u64 *arg, u64 *result)
{
	result[0] = arg[0];
	return 0;
}

static s64 op_vmalloc(struct cpu *cpu, const u64 *arg, u64 *result)
{
	struct vmalloc_request request;
	s64 err = decode_request(arg, op_vmalloc, &request);

	if (err)
		return err;
	if (!border_prot(request.prot) || !window_mappable(&request))
		return -EINVAL;
	return vmalloc_node_range(&machine.mm, &request, &result[0]);
}

static s64 op_vfree(struct cpu *cpu, const u64 *arg, u64 *result)
{
	return take_node(arg[1]) ? vfree(&machine.mm, arg[0]) : -EINVAL;
}

static s64 op_get_vm_area(struct cpu *cpu, const u64 *arg, u64 *result)
{
	struct vmalloc_request request;
	s64 err = decode_request(arg, op_get_vm_area, &request);

	if (err)
		return err;
	return areas_get_vm_area(&request, &result[0]);
}

static s64 op_free_vm_area(struct cpu *cpu, const u64 *arg, u64 *result)
{
	return take_node(arg[1]) ? areas_free_vm_area(arg[0]) : -EINVAL;
}

static s64 op_purge(struct cpu *cpu, const u64 *arg, u64 *result)
{
	bool rules = machine.mm.vmap.rules.order;
	u64 node = arg[0] >> NB_PURGE_NODE_SHIFT, flags = arg[0] ^ node << NB_PURGE_NODE_SHIFT;

	if (flags & ~(u64)(rules ? NB_PURGE_FULL | NB_PURGE_DECAY | NB_PURGE_DECAYED : 0))
		return -EINVAL;
	if (node > machine.mm.vmap.rules.nodes)
		return -EINVAL;
	if (arg[1] && (!rules || machine.mm.vmap.rules.nodes))
		return -EINVAL;
	if (arg[1]) {
		result[0] = vmap_purge_through(&machine.mm, arg[1]);
		return 0;
	}
	result[0] = rules ? vmap_purge_linux(&machine.mm, (u32)arg[0]) : vmap_purge(&machine.mm);
	return 0;
}

static s64 op_set_rules(struct cpu *cpu, const u64 *arg, u64 *result)
{
	const struct vmap_rules rules = {(u32)arg[0], (u32)arg[1], (u32)arg[2], (u32)arg[3]};

	if ((arg[0] | arg[1] | arg[2] | arg[3]) >> 32)
		return -EINVAL;
	if (mm_refuse_interrupt(&machine.mm, "vmap_set_rules"))
		return -EPERM;
	return vmap_set_rules(&machine.mm, &rules);
}

static s64 op_set_shape(struct cpu *cpu, const u64 *arg, u64 *result)
{
	const u64 *shape = border_data(cpu, arg[1], arg[0] * sizeof(u64));

	if (arg[0] > NB_DATA_BYTES / sizeof(u64) || !shape)
		return -EINVAL;
	if (mm_refuse_interrupt(&machine.mm, "vmap_set_shape"))
		return -EPERM;
	return vmap_set_shape(&machine.mm, shape, arg[0]);
}

static s64 op_release(struct cpu *cpu, const u64 *arg, u64 *result)
{
	return vmap_release(&machine.mm, arg[0]);
}

static s64 op_set_mode(struct cpu *cpu, const u64 *arg, u64 *result)
{
	if (arg[0] > VMAP_MANUAL)
		return -EINVAL;
	vmap_set_mode(&machine.mm, (enum vmap_mode)arg[0]);
	return 0;
}

static s64 op_vmalloc_to_page(struct cpu *cpu, const u64 *arg, u64 *result)
{
	const struct page *page;

	if (!is_canonical(arg[0]))
		return -EINVAL;
	page = vmalloc_to_page(&machine.mm, arg[0]);
	if (!page)
		return -ENOENT;
	result[0] = page_to_pfn(&machine.mm, page);
	return 0;
}

static s64 op_stats(struct cpu *cpu, const u64 *arg, u64 *result)
{
	struct mm *mm = &machine.mm;

	result[0] = nr_free_pages(mm);
	result[1] = READ_ONCE(mm->vmap.nr_busy);
	result[2] = READ_ONCE(mm->vmap.nr_lazy_pages);
	result[3] = READ_ONCE(mm->pt.nr_tables);
	return 0;
}

static const struct hypercall_op ops[] = {
	[NB_OP_NOP] = {op_nop, 1},
	[NB_OP_VMALLOC] = {op_vmalloc, 10},
	[NB_OP_VFREE] = {op_vfree, 2},
	[NB_OP_GET_VM_AREA] = {op_get_vm_area, 10},
	[NB_OP_FREE_VM_AREA] = {op_free_vm_area, 2},
	[NB_OP_PURGE] = {op_purge, 2},
	[NB_OP_SET_MODE] = {op_set_mode, 1},
	[NB_OP_VMALLOC_TO_PAGE] = {op_vmalloc_to_page, 1},
	[NB_OP_STATS] = {op_stats, 0},
	[NB_OP_BENCH] = {workload_bench, 5},
	[NB_OP_SET_RULES] = {op_set_rules, 4},
	[NB_OP_SET_SHAPE] = {op_set_shape, 2},
	[NB_OP_RELEASE] = {op_release, 1},
	[NB_OP_LOAD] = {load_run, 7},
};

const struct hypercall_table core_operations = {ops, 0, ARRAY_SIZE(ops)};

static s64 op_set_fault(struct cpu *cpu, const u64 *arg, u64 *result)
{
	if (arg[0] >= NR_FAULTS || arg[1] >> 32)
		return -EINVAL;
	result[0] =
		__atomic_exchange_n(&machine.mm.fault.fail[arg[0]], (u32)arg[1], __ATOMIC_RELAXED);
	return 0;
}

static s64 op_cache_flushes(struct cpu *cpu, const u64 *arg, u64 *result)
{
	const struct cache_record *record = arg[0] ? &cpu->cache_vunmap : &cpu->cache_vmap;

	if (arg[0] > 1)
		return -EINVAL;
	result[0] = record->nr;
	result[1] = record->start;
	result[2] = record->end;
	return 0;
}

static const struct hypercall_op fault_ops[] = {
	[NB_OP_SET_FAULT - NB_OP_SET_FAULT] = {op_set_fault, 2},
	[NB_OP_CACHE_FLUSHES - NB_OP_SET_FAULT] = {op_cache_flushes, 1},
};

const struct hypercall_table fault_operations = {fault_ops, NB_OP_SET_FAULT, ARRAY_SIZE(fault_ops)};
