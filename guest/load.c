/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interpreter of compiled workloads. What is not the core's work has to be little: a request is
 * made once a class, an instruction is read once, two time stamps and a count are all that is kept
 * of it (docs/workloads.md has what that comes to).
 *
 * The blocks stay the host's meanwhile: page->index, which counts who shows a frame of the host's
 * (guest/loans.h), is held, so that NB_OP_FREE_PAGES refuses them.
 */
#include "guest/load.h"

#include "guest/areas.h"
#include "guest/border.h"
#include "guest/loans.h"
#include "mm/buddy.h"
#include "mm/errno.h"
#include "mm/process.h"
#include "mm/vmalloc.h"

/* So often an instruction looks for an area that another CPU is to allocate: some seconds. */
#define WAIT_TURNS (1ull << 27)

struct load {
	struct cpu *cpu;
	struct nb_load *block;
	u64 nr_code; /* instructions that fit */
	u64 *slots;
	u64 nr_slots;
	struct process *process; /* claimed, or NULL */
	u64 failed, last_errno;
	u32 nr_classes;
	u32 touch[NB_LOAD_CLASSES];
	struct vmalloc_request request[NB_LOAD_CLASSES];
};

/* ---- the blocks ---- */

/* The block of the host's at @pfn, held from now on, or NULL. */
static void *hold_block(u64 pfn, u64 order)
{
	struct page *page = NULL;

	if (order > MAX_ORDER)
		return NULL;
	spin_lock(&machine.host.lock);
	page = host_page(pfn, (u32)order);
	if (page)
		page->index++;
	spin_unlock(&machine.host.lock);
	return page ? direct_map(pfn << PAGE_SHIFT) : NULL;
}

static void give_block(u64 pfn)
{
	spin_lock(&machine.host.lock);
	pfn_to_page(&machine.mm, pfn)->index--;
	spin_unlock(&machine.host.lock);
}

/* ---- classes ---- */

static bool class_is_none(const struct nb_load_class *class)
{
	return !(class->align | class->start | class->end | class->prot | class->flags |
		 class->gfp | class->touch);
}

static bool class_makes_sense(const struct nb_load_class *class)
{
	return class->align && !(class->align & (class->align - 1)) && border_prot(class->prot) &&
	       !(class->flags & ~BORDER_VM_FLAGS) && border_node((u64)(s64) class->node) &&
	       class->touch <= NB_LOAD_TOUCH_ALL && !class->reserved &&
	       (!class->touch || class->prot & X86_PTE_RW) && class->start < class->end &&
	       is_canonical(class->start) && is_canonical(class->end - 1) &&
	       (s64)(class->start ^ (class->end - 1)) >= 0 &&
	       !border_is_machine(class->start, class->end - class->start);
}

static bool read_classes(struct load *load)
{
	struct nb_load_class class;
	u32 i;

	for (i = 0; i < NB_LOAD_CLASSES; i++) {
		class = load->block->classes[i];
		if (class_is_none(&class))
			break;
		if (!class_makes_sense(&class))
			return false;
		load->touch[i] = class.touch;
		load->request[i] = (struct vmalloc_request){
			.align = class.align,
			.start = class.start,
			.end = class.end,
			.prot = class.prot,
			.flags = class.flags,
			.caller = (u64)(uintptr_t)load_run,
			.gfp = class.gfp,
			.node = class.node,
		};
	}
	load->nr_classes = i;
	return true;
}

/* ---- instructions ---- */

static void touch(u64 address, u64 pages, u32 how)
{
	if (how == NB_LOAD_TOUCH_FIRST)
		pages = 1;
	for (; pages && how; pages--, address += PAGE_SIZE)
		*(volatile u8 *)(uintptr_t)address = 1;
}

/* What an allocation gave goes into its slot, for whoever frees it. */
static void fill_slot(struct load *load, const struct nb_load_instruction *code, s64 err, u64 addr)
{
	if (err) {
		load->failed++;
		load->last_errno = (u64)-err;
		addr = 0;
	}
	__atomic_store_n(&load->slots[code->slot], addr | code->tag, __ATOMIC_RELEASE);
}

static s64 allocate(struct load *load, const struct nb_load_instruction *code, u64 *ticks)
{
	struct vmalloc_request *request = &load->request[code->class_index];
	u64 address = 0, start;
	s64 err;

	if (!code->pages || code->pages > NB_RAM_LIMIT >> PAGE_SHIFT ||
	    READ_ONCE(load->slots[code->slot]))
		return -EINVAL;
	request->size = (u64)code->pages << PAGE_SHIFT;
	start = rdtsc();
	if (code->op == NB_LOAD_ALLOC)
		err = vmalloc_node_range(&machine.mm, request, &address);
	else
		err = areas_get_vm_area(request, &address);
	*ticks = rdtsc() - start;
	if (!err && code->op == NB_LOAD_ALLOC)
		touch(address, code->pages, load->touch[code->class_index]);
	fill_slot(load, code, err, address);
	return 0;
}

/* Waits until the area that the instruction means is there. 0: its allocation failed. */
static s64 wait_for_slot(struct load *load, const struct nb_load_instruction *code, u64 *address)
{
	u64 turns, value;

	for (turns = 0; turns < WAIT_TURNS; turns++) {
		value = __atomic_load_n(&load->slots[code->slot], __ATOMIC_ACQUIRE);
		if (likely((value & NB_LOAD_TAGS) == code->tag)) {
			*address = value & ~(u64)NB_LOAD_TAGS;
			return 0;
		}
		cpu_relax();
	}
	return -EINTR;
}

static s64 release(struct load *load, const struct nb_load_instruction *code, u64 *ticks)
{
	u64 address, start;
	s64 err = wait_for_slot(load, code, &address);

	if (err)
		return err;
	WRITE_ONCE(load->slots[code->slot], 0);
	if (!address)
		return 0;
	start = rdtsc();
	err = code->op == NB_LOAD_FREE ? vfree(&machine.mm, address) : areas_free_vm_area(address);
	*ticks = rdtsc() - start;
	return err ? -EINVAL : 0;
}

static u64 user_start(const struct nb_load_instruction *code)
{
	return NB_LOAD_USER_BASE + ((u64)code->user << PAGE_SHIFT);
}

static s64 map_user(struct load *load, const struct nb_load_instruction *code, u64 *ticks)
{
	u64 address, from = user_start(code), start;
	struct vm_area_struct *vma;
	s64 err;

	if (!load->process || !code->pages)
		return -EINVAL;
	err = wait_for_slot(load, code, &address);
	if (err || !address)
		return err;
	start = rdtsc();
	err = vma_create(&machine.mm, load->process, from, from + ((u64)code->pages << PAGE_SHIFT),
			 VM_READ | VM_WRITE | VM_SHARED, &vma);
	if (!err) {
		err = remap_vmalloc_range(&machine.mm, vma, address, 0);
		if (err)
			vma_destroy(&machine.mm, vma);
	}
	*ticks = rdtsc() - start;
	if (err == -ENOMEM) {
		load->failed++;
		load->last_errno = ENOMEM;
		return 0;
	}
	return err ? -EINVAL : 0;
}

/* A range that is not there was one that could not be mapped. */
static s64 unmap_user(struct load *load, const struct nb_load_instruction *code, u64 *ticks)
{
	struct vm_area_struct *vma;
	u64 from = user_start(code), start;

	if (!load->process)
		return -EINVAL;
	vma = find_vma(load->process, from);
	if (!vma || vma->vm_start != from || vma->vm_flags & VM_PFNMAP)
		return 0;
	start = rdtsc();
	vma_destroy(&machine.mm, vma);
	*ticks = rdtsc() - start;
	return 0;
}

static s64 purge_now(u64 *ticks)
{
	u64 start = rdtsc();

	vmap_purge(&machine.mm);
	*ticks = rdtsc() - start;
	return 0;
}

static s64 step(struct load *load, const struct nb_load_instruction *code, u64 *ticks)
{
	if (code->op == NB_LOAD_PURGE)
		return purge_now(ticks);
	if (code->slot >= load->nr_slots || code->class_index >= load->nr_classes || !code->tag ||
	    code->tag > NB_LOAD_TAGS)
		return -EINVAL;
	switch ((enum nb_load_op)code->op) {
	case NB_LOAD_ALLOC:
	case NB_LOAD_RESERVE:
		return allocate(load, code, ticks);
	case NB_LOAD_FREE:
	case NB_LOAD_RELEASE:
		return release(load, code, ticks);
	case NB_LOAD_MAP:
		return map_user(load, code, ticks);
	case NB_LOAD_UNMAP:
		return unmap_user(load, code, ticks);
	default:
		return -EINVAL;
	}
}

static s64 run_code(struct load *load, u64 first, u64 end, u64 *done)
{
	struct nb_vcpu_area *area = load->cpu->area;
	u64 i;

	for (i = first; i < end; i++) {
		/* Once: the host may write to it. */
		struct nb_load_instruction code = load->block->code[i];
		u64 ticks = 0;
		s64 err;

		asm volatile("" : : : "memory");
		err = step(load, &code, &ticks);
		if (unlikely(err))
			return err;
		if (ticks)
			load->block->latency[code.op][load_bucket(ticks)]++;
		++*done;
		WRITE_ONCE(area->progress, area->progress + 1);
	}
	return 0;
}

/* ---- the call ---- */

static s64 run_held(struct load *load, const u64 *arg, u64 *result)
{
	u64 start;
	s64 err;

	if (!read_classes(load) || arg[2] > arg[3] || arg[3] > load->nr_code)
		return -EINVAL;
	if (arg[6]) {
		err = process_claim(&machine.mm, arg[6], &load->process);
		if (err)
			return err;
	}
	start = rdtsc();
	err = run_code(load, arg[2], arg[3], &result[1]);
	result[0] = rdtsc() - start;
	result[2] = load->failed;
	result[3] = load->last_errno;
	if (load->process)
		process_release(&machine.mm, load->process);
	return err;
}

s64 load_run(struct cpu *cpu, const u64 *arg, u64 *result)
{
	struct load load; /* not all of it is written to: the classes are many */
	s64 err = -EINVAL;

	if (mm_refuse_interrupt(&machine.mm, "load_run"))
		return -EPERM;
	load.cpu = cpu;
	load.process = NULL;
	load.failed = 0;
	load.last_errno = 0;
	load.block = hold_block(arg[0], arg[1]);
	if (!load.block)
		return -EINVAL;
	load.slots = hold_block(arg[4], arg[5]);
	if (load.slots && PAGE_SIZE << arg[1] >= sizeof(*load.block)) {
		load.nr_code =
			((PAGE_SIZE << arg[1]) - sizeof(*load.block)) / sizeof(load.block->code[0]);
		load.nr_slots = (PAGE_SIZE << arg[5]) / sizeof(u64);
		err = run_held(&load, arg, result);
	}
	if (load.slots)
		give_block(arg[4]);
	give_block(arg[0]);
	return err;
}
