/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vread() and vwrite(): the range is cut into pieces, each a part of one page of an area, or a
 * hole up to the next area.
 */
#include "mm/vaccess.h"

#include "mm/mm.h"
#include "mm/string.h"
#include "mm/vmalloc_private.h"
#include "mm/vmap_private.h"

/* [addr, addr + bytes), and where it is; NULL for what is not to be touched. */
struct piece {
	u64 bytes;
	void *memory;
	bool writable;
};

/* The complete area whose payload is the first to end after @addr, or NULL. Lock held. */
static const struct vm_struct *area_from(const struct vmap_space *space, u64 addr)
{
	struct vmap_area *area = vmap_busy_from(space, addr);

	lockdep_assert_held(&space->lock);
	while (area) {
		const struct vm_struct *vm = smp_load_acquire(&area->vm);

		if (vm && vm->addr + vm_payload_bytes(vm) > addr)
			return vm;
		area = area_or_null(rb_next(&area->node));
	}
	return NULL;
}

static bool has_area(struct mm *mm, u64 addr, u64 count)
{
	const struct vm_struct *vm;
	bool found;

	spin_lock(&mm->vmap.lock);
	vm = area_from(&mm->vmap, addr);
	found = vm && (vm->addr <= addr || vm->addr - addr < count);
	spin_unlock(&mm->vmap.lock);
	return found;
}

/* The direct map reaches RAM alone; a leaf may lead anywhere. */
static bool is_ram(const struct mm *mm, u64 phys)
{
	for (u32 i = 0; i < mm->nr_ram; i++) {
		if (phys >= mm->ram[i].start && phys < mm->ram[i].end)
			return true;
	}
	return false;
}

/* What @addr is, and how far, at most @count bytes. vmap_space.lock is held. */
static struct piece piece_at(struct mm *mm, u64 addr, u64 count)
{
	const struct vm_struct *vm = area_from(&mm->vmap, addr);
	struct piece piece = {.bytes = count};
	u64 entry, phys, room;

	if (vm && vm->addr > addr) {
		room = vm->addr - addr;
	} else if (vm && vm->flags & VM_IOREMAP) {
		room = vm->addr + vm_payload_bytes(vm) - addr;
	} else if (vm) {
		room = PAGE_SIZE - addr % PAGE_SIZE;
		if (pt_lookup(mm, &mm->pt, addr, &entry) &&
		    pt_translate(mm, &mm->pt, addr, &phys) && is_ram(mm, phys)) {
			piece.memory = phys_to_virt(mm, phys);
			piece.writable = entry & X86_PTE_RW && vm->area->kind != VMAP_ARRAY;
		}
	} else {
		room = count;
	}
	if (room < count)
		piece.bytes = room;
	return piece;
}

/* @count without what lies beyond the end of the address space. */
static u64 cut_count(u64 addr, u64 count)
{
	u64 room = 0 - addr;

	return addr && count > room ? room : count;
}

u64 vread(struct mm *mm, void *buf, u64 addr, u64 count)
{
	char *to = buf;

	if (mm_refuse_interrupt(mm, "vread"))
		return 0;
	count = cut_count(addr, count);
	if (count == 0 || !has_area(mm, addr, count))
		return 0;
	for (u64 left = count; left;) {
		struct piece piece;

		spin_lock(&mm->vmap.lock);
		piece = piece_at(mm, addr, left);
		if (piece.memory)
			memcpy(to, piece.memory, piece.bytes);
		spin_unlock(&mm->vmap.lock);
		if (!piece.memory)
			memset(to, 0, piece.bytes);
		to += piece.bytes;
		addr += piece.bytes;
		left -= piece.bytes;
	}
	return count;
}

u64 vwrite(struct mm *mm, const void *buf, u64 addr, u64 count, u64 *stored_out)
{
	const char *from = buf;
	u64 stored = 0;

	if (stored_out)
		*stored_out = 0;
	if (mm_refuse_interrupt(mm, "vwrite"))
		return 0;
	count = cut_count(addr, count);
	if (!has_area(mm, addr, count))
		count = 0;
	for (u64 left = count; left;) {
		struct piece piece;

		spin_lock(&mm->vmap.lock);
		piece = piece_at(mm, addr, left);
		if (piece.writable) {
			memcpy(piece.memory, from, piece.bytes);
			stored += piece.bytes;
		}
		spin_unlock(&mm->vmap.lock);
		from += piece.bytes;
		addr += piece.bytes;
		left -= piece.bytes;
	}
	if (stored_out)
		*stored_out = stored;
	return count;
}
