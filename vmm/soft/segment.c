/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors, and what loading a segment register checks. */
#include "vmm/soft/segment.h"

#include <string.h>

#include "vmm/soft/exec.h"

#define DESCRIPTOR_ACCESSED (1ull << 40)
#define SELECTOR_TI         4

bool soft_selector_fault(struct soft_cpu *cpu, uint8_t vector, uint16_t selector, unsigned int ext)
{
	soft_cpu_raise(cpu, vector, true, (selector & ~3u) | ext);
	return false;
}

static uint64_t descriptor_address(const struct soft_cpu *cpu, uint16_t selector)
{
	return (selector & SELECTOR_TI ? cpu->ldt.base : cpu->gdt.base) + (selector & ~7u);
}

bool soft_descriptor_read(struct soft_cpu *cpu, uint16_t selector, bool system, unsigned int ext,
			  struct soft_descriptor *descriptor_out)
{
	uint32_t limit = selector & SELECTOR_TI ? cpu->ldt.limit : cpu->gdt.limit;
	uint32_t last = (selector & ~7u) + (system ? 15 : 7);
	struct soft_descriptor descriptor = {0};

	if (last > limit || ((selector & SELECTOR_TI) && cpu->ldt.unusable))
		return soft_selector_fault(cpu, SOFT_GP, selector, ext);
	if (!soft_read_as(cpu, descriptor_address(cpu, selector), system ? 16 : 8, SOFT_SUPERVISOR,
			  &descriptor))
		return false;
	*descriptor_out = descriptor;
	return true;
}

bool soft_descriptor_write(struct soft_cpu *cpu, uint16_t selector, uint64_t low)
{
	return soft_write_as(cpu, descriptor_address(cpu, selector), 8, SOFT_SUPERVISOR, &low);
}

struct kvm_segment soft_segment_of(uint16_t selector, const struct soft_descriptor *descriptor)
{
	uint64_t low = descriptor->low;
	struct kvm_segment segment = {
		.selector = selector,
		.base = (low >> 16 & 0xffffff) | (low >> 56) << 24,
		.limit = (low & 0xffff) | (low >> 48 & 0xf) << 16,
		.type = low >> 40 & 0xf,
		.s = low >> 44 & 1,
		.dpl = low >> 45 & 3,
		.present = low >> 47 & 1,
		.avl = low >> 52 & 1,
		.l = low >> 53 & 1,
		.db = low >> 54 & 1,
		.g = low >> 55 & 1,
	};

	if (segment.g)
		segment.limit = segment.limit << 12 | 0xfff;
	if (!segment.s)
		segment.base |= descriptor->high << 32;
	return segment;
}

struct kvm_segment soft_segment_null(uint16_t selector)
{
	return (struct kvm_segment){.selector = selector, .unusable = 1};
}

/* SS: a writable segment of exactly this privilege. */
static bool check_stack(struct soft_cpu *cpu, const struct kvm_segment *segment)
{
	uint16_t selector = segment->selector;

	if (SOFT_SELECTOR_RPL(selector) != cpu->cpl || !segment->s || (segment->type & 0xa) != 2 ||
	    segment->dpl != cpu->cpl)
		return soft_selector_fault(cpu, SOFT_GP, selector, 0);
	return segment->present || soft_selector_fault(cpu, SOFT_SS_VECTOR, selector, 0);
}

/* The others: data, or code that may be read, of this privilege or less. */
static bool check_data(struct soft_cpu *cpu, const struct kvm_segment *segment)
{
	uint16_t selector = segment->selector;
	bool conforming = (segment->type & 0xc) == 0xc;

	if (!segment->s || (segment->type & 0xa) == 8)
		return soft_selector_fault(cpu, SOFT_GP, selector, 0);
	if (!conforming && (SOFT_SELECTOR_RPL(selector) > segment->dpl || cpu->cpl > segment->dpl))
		return soft_selector_fault(cpu, SOFT_GP, selector, 0);
	return segment->present || soft_selector_fault(cpu, SOFT_NP, selector, 0);
}

bool soft_segment_load(struct soft_cpu *cpu, enum soft_segment which, uint16_t selector)
{
	struct soft_descriptor descriptor;
	struct kvm_segment segment;

	if ((selector & ~3u) == 0) {
		if (which == SOFT_SS && (cpu->cpl == 3 || SOFT_SELECTOR_RPL(selector) != cpu->cpl))
			return soft_selector_fault(cpu, SOFT_GP, 0, 0);
		cpu->segments[which] = soft_segment_null(selector);
		cpu->segments[which].dpl = which == SOFT_SS ? cpu->cpl : 0;
		return true;
	}
	if (!soft_descriptor_read(cpu, selector, false, 0, &descriptor))
		return false;
	segment = soft_segment_of(selector, &descriptor);
	if (which == SOFT_SS ? !check_stack(cpu, &segment) : !check_data(cpu, &segment))
		return false;
	if (!(descriptor.low & DESCRIPTOR_ACCESSED)) {
		if (!soft_descriptor_write(cpu, selector, descriptor.low | DESCRIPTOR_ACCESSED))
			return false;
		segment.type |= 1;
	}
	cpu->segments[which] = segment;
	return true;
}

void soft_set_code(struct soft_cpu *cpu, const struct kvm_segment *cs, uint8_t cpl)
{
	cpu->segments[SOFT_CS] = *cs;
	cpu->segments[SOFT_CS].selector = (cs->selector & ~3u) | cpl;
	cpu->cpl = cpl;
	cpu->lines = cpu->line_sets[cpl == 3 ? SOFT_USER : SOFT_SUPERVISOR];
}
