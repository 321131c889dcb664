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

/*
 * An instruction as it was read, once, because the host may write to it: the words of struct
 * nb_load_instruction.
 */
struct code {
	u64 low, high;
};

static inline u32 code_class(struct code code)
{
	return (u8)(code.low >> 8);
}

static inline u64 code_tag(struct code code)
{
	return (u16)(code.low >> 16);
}

static inline u64 *code_slot(const struct load *load, struct code code)
{
	return &load->slots[code.low >> 32];
}

static inline u64 code_bytes(struct code code)
{
	return (u64)(u32)code.high << PAGE_SHIFT;
}

static inline u64 code_user(struct code code)
{
	return NB_LOAD_USER_BASE + (code.high >> 32 << PAGE_SHIFT);
}

static inline void stamp(u32 *ticks_out, u64 start)
{
	u64 ticks = rdtsc() - start;

	*ticks_out = ticks < UINT32_MAX ? (u32)ticks : UINT32_MAX;
}

static void touch(u64 address, u64 bytes, u32 how)
{
	u64 end = address + (how == NB_LOAD_TOUCH_ALL ? bytes : 1);

	for (; address < end; address += PAGE_SIZE)
		*(volatile u8 *)(uintptr_t)address = 1;
}

/* Not in line: what is kept of a failure is not in the way of what succeeds. */
static __attribute__((noinline)) s64 note_failure(struct load *load, s64 err)
{
	load->failed++;
	load->last_errno = (u64)-err;
	return 0;
}

/* What an allocation gave goes into its slot, for whoever frees it: the tag alone if it failed. */
static s64 allocate(struct load *load, struct code code, u32 *ticks)
{
	struct vmalloc_request *request = &load->request[code_class(code)];
	u64 *slot = code_slot(load, code), address, start;
	s64 err;

	if (!(u32)code.high || (u32)code.high > NB_RAM_LIMIT >> PAGE_SHIFT || READ_ONCE(*slot))
		return -EINVAL;
	request->size = code_bytes(code);
	start = rdtsc();
	if ((u8)code.low == NB_LOAD_ALLOC)
		err = vmalloc_node_range(&machine.mm, request, &address);
	else
		err = get_vm_area_node(&machine.mm, request, &address);
	stamp(ticks, start);
	if (unlikely(err)) {
		address = 0;
		note_failure(load, err);
	} else if ((u8)code.low == NB_LOAD_ALLOC && load->touch[code_class(code)]) {
		touch(address, code_bytes(code), load->touch[code_class(code)]);
	}
	__atomic_store_n(slot, address | code_tag(code), __ATOMIC_RELEASE);
	return 0;
}

static __attribute__((noinline)) bool wait_for_slot(const u64 *slot, u64 tag)
{
	u64 turns;

	for (turns = 0; turns < WAIT_TURNS; turns++) {
		if ((__atomic_load_n(slot, __ATOMIC_ACQUIRE) & NB_LOAD_TAGS) == tag)
			return true;
		cpu_relax();
	}
	return false;
}

/* Waits until the area that the instruction means is there. *@address 0: it was not to be had. */
static inline s64 find_area(struct load *load, struct code code, u64 *address)
{
	u64 *slot = code_slot(load, code);
	u64 value = __atomic_load_n(slot, __ATOMIC_ACQUIRE);

	if (unlikely((value & NB_LOAD_TAGS) != code_tag(code))) {
		if (!wait_for_slot(slot, code_tag(code)))
			return -EINTR;
		value = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
	}
	*address = value & ~(u64)NB_LOAD_TAGS;
	return 0;
}

static s64 release(struct load *load, struct code code, u32 *ticks)
{
	u64 address, start;
	s64 err = find_area(load, code, &address);

	if (unlikely(err))
		return err;
	WRITE_ONCE(*code_slot(load, code), 0);
	if (unlikely(!address))
		return 0;
	start = rdtsc();
	if ((u8)code.low == NB_LOAD_FREE)
		err = vfree(&machine.mm, address);
	else
		err = areas_free_vm_area(address);
	stamp(ticks, start);
	return err ? -EINVAL : 0;
}

static s64 map_user(struct load *load, struct code code, u32 *ticks)
{
	u64 address, from = code_user(code), start;
	struct vm_area_struct *vma;
	s64 err;

	if (!load->process || !code_bytes(code))
		return -EINVAL;
	err = find_area(load, code, &address);
	if (err || !address)
		return err;
	start = rdtsc();
	err = vma_create(&machine.mm, load->process, from, from + code_bytes(code),
			 VM_READ | VM_WRITE | VM_SHARED, &vma);
	if (!err) {
		err = remap_vmalloc_range(&machine.mm, vma, address, 0);
		if (err)
			vma_destroy(&machine.mm, vma);
	}
	stamp(ticks, start);
	if (err == -ENOMEM)
		return note_failure(load, err);
	return err ? -EINVAL : 0;
}

/* A range that is not there was one that could not be mapped. */
static s64 unmap_user(struct load *load, struct code code, u32 *ticks)
{
	u64 from = code_user(code), start;
	struct vm_area_struct *vma;

	if (!load->process)
		return -EINVAL;
	vma = find_vma(load->process, from);
	if (!vma || vma->vm_start != from || vma->vm_flags & VM_PFNMAP)
		return 0;
	start = rdtsc();
	vma_destroy(&machine.mm, vma);
	stamp(ticks, start);
	return 0;
}

static s64 purge_now(u32 *ticks)
{
	u64 start = rdtsc();

	vmap_purge(&machine.mm);
	stamp(ticks, start);
	return 0;
}

static s64 step(struct load *load, struct code code, u32 *ticks)
{
	if (unlikely((u8)code.low == NB_LOAD_PURGE))
		return purge_now(ticks);
	if (code.low >> 32 >= load->nr_slots || code_class(code) >= load->nr_classes ||
	    code_tag(code) - 1 >= NB_LOAD_TAGS)
		return -EINVAL;
	switch ((enum nb_load_op)(u8)code.low) {
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
	u64 *at = (u64 *)(void *)&load->block->code[first];
	const u64 *last = (const u64 *)(const void *)&load->block->code[end];
	u64 *shown = &load->cpu->area->progress, progress = *shown;
	s64 err = 0;

	for (; at < last; at += 2) {
		struct code code = {READ_ONCE(at[0]), READ_ONCE(at[1])};

		u32 *ticks = (u32 *)(void *)at + 3;

		*ticks = 0;
		err = step(load, code, ticks);
		if (unlikely(err))
			break;
		WRITE_ONCE(*shown, ++progress);
	}
	*done = end - first - (u64)(last - at) / 2;
	return err;
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
