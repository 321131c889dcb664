/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A processor over an array of bytes. */
#include "tests/vmm/soft/bare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool allowed(uint8_t flags, enum soft_access access, enum soft_class class)
{
	if (flags & BARE_ABSENT)
		return false;
	if ((flags & BARE_SUPERVISOR) && class == SOFT_USER)
		return false;
	if ((flags & BARE_READ_ONLY) && soft_access_writes(access))
		return false;
	return !((flags & BARE_NO_EXECUTE) && access == SOFT_FETCH);
}

static enum soft_answer fill(struct soft_cpu *cpu, uint64_t gva, enum soft_access access,
			     enum soft_class class, struct soft_line *line)
{
	struct bare *bare = cpu->context;
	uint64_t page = gva & ~(X86_PAGE_SIZE - 1), call;
	uint8_t flags = gva < bare->bytes ? bare->pages[gva / X86_PAGE_SIZE] : BARE_ABSENT;

	bare->fills++;
	if (!allowed(flags, access, class))
		return soft_cpu_page_fault(cpu, gva,
					   (flags & BARE_ABSENT ? 0 : X86_PF_P) |
						   (soft_access_writes(access) ? X86_PF_W : 0) |
						   (class == SOFT_USER ? X86_PF_U : 0) |
						   (access == SOFT_FETCH ? X86_PF_I : 0));
	line->gpa = page;
	if (flags & BARE_MMIO)
		return SOFT_MMIO;
	call = flags & BARE_CALL ? SOFT_LINE_CALL : 0;
	line->host = bare->memory + page;
	line->read = page | call;
	if (!(flags & BARE_READ_ONLY))
		line->write = page | call;
	if (!(flags & BARE_NO_EXECUTE))
		line->fetch = page;
	return SOFT_OK;
}

static enum soft_answer access_called(struct soft_cpu *cpu, struct soft_line *line, uint64_t gva,
				      size_t bytes, enum soft_access access)
{
	struct bare *bare = cpu->context;

	bare->calls++;
	bare->last_call = gva;
	bare->last_call_bytes = bytes;
	bare->last_access = access;
	return SOFT_OK;
}

static void flush(struct soft_cpu *cpu, enum soft_flush what, uint64_t gva)
{
	((struct bare *)cpu->context)->flushes++;
}

static enum soft_answer read_msr(struct soft_cpu *cpu, uint32_t index, uint64_t *value_out)
{
	return soft_cpu_raise(cpu, SOFT_GP, true, 0);
}

static enum soft_answer write_msr(struct soft_cpu *cpu, uint32_t index, uint64_t value)
{
	return soft_cpu_raise(cpu, SOFT_GP, true, 0);
}

static void cpuid(struct soft_cpu *cpu, uint32_t leaf, uint32_t subleaf, uint32_t regs_out[4])
{
	for (unsigned int i = 0; i < 4; i++)
		regs_out[i] = leaf + subleaf + i;
}

static uint64_t tsc(struct soft_cpu *cpu)
{
	return cpu->instructions;
}

static int interrupt(struct soft_cpu *cpu)
{
	struct bare *bare = cpu->context;
	int vector = bare->interrupt;

	bare->interrupt = -1;
	return vector;
}

static const struct soft_cpu_ops ops = {
	.fill = fill,
	.access = access_called,
	.flush = flush,
	.read_msr = read_msr,
	.write_msr = write_msr,
	.cpuid = cpuid,
	.tsc = tsc,
	.interrupt = interrupt,
};

static struct kvm_segment flat(uint16_t selector, bool code)
{
	uint8_t dpl = selector & 3;

	return (struct kvm_segment){
		.selector = selector,
		.limit = UINT32_MAX,
		.type = code ? 11 : 3,
		.present = 1,
		.dpl = dpl,
		.s = 1,
		.l = code,
		.db = !code,
		.g = 1,
	};
}

struct bare *bare_new(size_t bytes)
{
	struct bare *bare = calloc(1, sizeof(*bare));

	if (!bare || bytes > BARE_PAGES_MAX * X86_PAGE_SIZE)
		abort();
	bare->memory = aligned_alloc(X86_PAGE_SIZE, bytes);
	bare->cpu = malloc(sizeof(*bare->cpu));
	bare->code = soft_code_new();
	if (!bare->memory || !bare->cpu || !bare->code)
		abort();
	memset(bare->memory, 0, bytes);
	bare->bytes = bytes;
	bare->interrupt = -1;
	soft_cpu_init(bare->cpu, &ops, bare, bare->code);
	bare->cpu->segments[SOFT_CS] = flat(BARE_KERNEL_CS, true);
	for (enum soft_segment i = 0; i < SOFT_SEGMENTS; i++)
		if (i != SOFT_CS)
			bare->cpu->segments[i] = flat(BARE_KERNEL_SS, false);
	bare->cpu->regs[SOFT_RSP] = BARE_STACK;
	soft_cpu_update(bare->cpu);
	return bare;
}

void bare_free(struct bare *bare)
{
	soft_cpu_fini(bare->cpu);
	soft_code_free(bare->code);
	free(bare->cpu);
	free(bare->memory);
	free(bare);
}

static void put(struct bare *bare, uint64_t address, uint64_t word)
{
	memcpy(bare->memory + address, &word, sizeof(word));
}

static void put_gate(struct bare *bare, unsigned int vector)
{
	uint64_t handler = BARE_HANDLERS + 16 * vector;

	put(bare, BARE_IDT + 16 * vector,
	    (handler & 0xffff) | BARE_KERNEL_CS << 16 | 0x8eull << 40 | (handler >> 16) << 48);
	put(bare, BARE_IDT + 16 * vector + 8, handler >> 32);
	bare->memory[handler] = 0xf4;
}

void bare_tables(struct bare *bare)
{
	static const uint64_t gdt[] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff,
				       0x00cff3000000ffff, 0x00affb000000ffff};
	struct soft_cpu *cpu = bare->cpu;

	memcpy(bare->memory + BARE_GDT, gdt, sizeof(gdt));
	put(bare, BARE_GDT + BARE_TR, 0x67 | (uint64_t)BARE_TSS << 16 | 0x89ull << 40);
	for (unsigned int vector = 0; vector < 256; vector++)
		put_gate(bare, vector);
	put(bare, BARE_TSS + 4, BARE_RSP0);
	put(bare, BARE_TSS + 0x24, BARE_IST1);
	bare->memory[BARE_TSS + 0x66] = 0x68;
	cpu->gdt = (struct kvm_dtable){.base = BARE_GDT, .limit = BARE_TR + 15};
	cpu->idt = (struct kvm_dtable){.base = BARE_IDT, .limit = 256 * 16 - 1};
	cpu->tr = (struct kvm_segment){
		.base = BARE_TSS, .limit = 0x67, .selector = BARE_TR, .type = 11, .present = 1};
}

void bare_set_page(struct bare *bare, uint64_t address, uint8_t flags)
{
	bare->pages[address / X86_PAGE_SIZE] = flags;
	soft_cpu_drop_line(bare->cpu, address);
}

void bare_code(struct bare *bare, uint64_t address, const void *code, size_t bytes)
{
	memcpy(bare->memory + address, code, bytes);
	soft_code_drop(bare->code, bare->memory + (address & ~(X86_PAGE_SIZE - 1)));
	soft_code_drop(bare->code, bare->memory + ((address + bytes - 1) & ~(X86_PAGE_SIZE - 1)));
	bare->cpu->rip = address;
}

void bare_user(struct bare *bare)
{
	bare->cpu->segments[SOFT_CS] = flat(BARE_USER_CS, true);
	bare->cpu->segments[SOFT_SS] = flat(BARE_USER_SS, false);
	soft_cpu_update(bare->cpu);
}

uint64_t bare_word(const struct bare *bare, uint64_t address)
{
	uint64_t word;

	memcpy(&word, bare->memory + address, sizeof(word));
	return word;
}
