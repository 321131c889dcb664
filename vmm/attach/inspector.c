/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A running guest as a source for the inspector. */
#include "vmm/attach/inspector.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <unistd.h>

/* ---- memory ---- */

static const void *guest_physical(void *context, uint64_t gpa, uint64_t bytes)
{
	void *host;

	if (gpa_space_translate(guest_space(context), gpa_make(gpa), bytes, &host))
		return NULL;
	return host;
}

/* The first data of @region's file at or above @offset of the region, and where it ends. */
static bool find_data(const struct gpa_region *region, uint64_t offset, uint64_t *start,
		      uint64_t *end)
{
	uint64_t bytes = region->end.value - region->start.value;
	off_t data, hole;

	*start = offset;
	*end = bytes;
	/* A private copy of a file, or what cannot say: all of it. */
	if (region->fd < 0 || region->backing.file_private)
		return true;
	data = lseek(region->fd, (off_t)(region->fd_offset + offset), SEEK_DATA);
	if (data < 0)
		return errno != ENXIO;
	hole = lseek(region->fd, data, SEEK_HOLE);
	*start = (uint64_t)data - region->fd_offset;
	if (hole > data && (uint64_t)hole - region->fd_offset < bytes)
		*end = (uint64_t)hole - region->fd_offset;
	return *start < bytes;
}

static bool guest_touched(void *context, uint64_t gpa, uint64_t *start_out, uint64_t *end_out)
{
	const struct gpa_space *space = guest_space(context);

	for (size_t i = 0; i < gpa_space_count(space); i++) {
		const struct gpa_region *region = gpa_space_at(space, i);
		uint64_t first = region->start.value, start, end;

		if (region->kind != GPA_RAM || region->end.value <= gpa)
			continue;
		if (!find_data(region, gpa > first ? gpa - first : 0, &start, &end))
			continue;
		*start_out = first + start / INSPECT_PAGE_BYTES * INSPECT_PAGE_BYTES;
		*end_out = first +
			   (end + INSPECT_PAGE_BYTES - 1) / INSPECT_PAGE_BYTES * INSPECT_PAGE_BYTES;
		return true;
	}
	return false;
}

/* ---- registers ---- */

static struct inspect_segment segment_of(const struct kvm_segment *segment)
{
	return (struct inspect_segment){
		.base = segment->base,
		.limit = segment->limit,
		.selector = segment->selector,
		.attributes = (uint32_t)segment->type << 8 | (uint32_t)segment->s << 12 |
			      (uint32_t)segment->dpl << 13 | (uint32_t)segment->present << 15 |
			      (uint32_t)segment->avl << 20 | (uint32_t)segment->l << 21 |
			      (uint32_t)segment->db << 22 | (uint32_t)segment->g << 23,
	};
}

static struct inspect_segment table_of(const struct kvm_dtable *table)
{
	return (struct inspect_segment){.base = table->base, .limit = table->limit};
}

struct inspect_registers inspector_registers(const struct kvm_regs *regs, const struct kvm_sregs *s)
{
	return (struct inspect_registers){
		.reg = REGS_OF(*regs),
		.segment = {segment_of(&s->cs), segment_of(&s->ds), segment_of(&s->es),
			    segment_of(&s->fs), segment_of(&s->gs), segment_of(&s->ss),
			    segment_of(&s->ldt), segment_of(&s->tr), table_of(&s->gdt),
			    table_of(&s->idt)},
		.cr0 = s->cr0,
		.cr2 = s->cr2,
		.cr3 = s->cr3,
		.cr4 = s->cr4,
		.efer = s->efer,
	};
}

static int guest_cpu_registers(void *context, unsigned int cpu,
			       struct inspect_registers *registers_out)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	int err = guest_registers(context, cpu, &regs, &sregs);

	if (!err)
		*registers_out = inspector_registers(&regs, &sregs);
	return err;
}

int inspector_create_for_guest(struct guest *guest, struct inspector **inspector_out,
			       struct error *error)
{
	const struct image *image = guest_image(guest);
	const struct paging_mode paging = guest_paging_mode(guest);
	struct inspect_source source;
	struct layout layout;
	int err;

	err = layout_parse(image->layout, image->layout_bytes, &layout, error);
	if (err)
		return err;
	inspect_source_from_space(guest_space(guest), &paging, &guest_boot(guest)->info, &source);
	source.context = guest;
	source.physical = guest_physical;
	source.touched = guest_touched;
	source.registers = guest_cpu_registers;
	return inspector_create(&source, &layout, inspector_out, error);
}
