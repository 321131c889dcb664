/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the native oracle cannot show of the soft engine's processor: faults with their addresses
 * and nothing half done, operands in two pages, MMIO and ports that leave and come back, code that
 * writes itself, counts of instructions, addresses, what is no instruction.
 */
#include <string.h>

#include "tests/harness.h"
#include "tests/vmm/soft/bare.h"
#include "vmm/soft/decode.h"

#define MEMORY_BYTES 0x400000

static struct bare *bare;
static struct soft_cpu *cpu;

static void setup(void)
{
	bare = bare_new(MEMORY_BYTES);
	bare_tables(bare);
	cpu = bare->cpu;
}

static void teardown(void)
{
	bare_free(bare);
}

#define CODE(...)                                                 \
	do {                                                      \
		static const uint8_t code_[] = {__VA_ARGS__};     \
		bare_code(bare, BARE_CODE, code_, sizeof(code_)); \
	} while (0)

/* Of a handler that halts: its vector. */
static unsigned int halted_in(void)
{
	ck_assert_int_eq(soft_cpu_run(cpu, 1000), SOFT_STOP_HLT);
	ck_assert_uint_ge(cpu->rip, BARE_HANDLERS);
	return (cpu->rip - 1 - BARE_HANDLERS) / 16;
}

START_TEST(write_across_pages_faults_whole)
{
	uint64_t edge = BARE_DATA + X86_PAGE_SIZE;

	bare_set_page(bare, edge, BARE_READ_ONLY);
	cpu->regs[SOFT_RDI] = edge - 4;
	cpu->regs[SOFT_RAX] = UINT64_MAX;
	CODE(0x48, 0x89, 0x07); /* mov %rax, (%rdi) */
	ck_assert_uint_eq(halted_in(), SOFT_PF_VECTOR);
	ck_assert_uint_eq(cpu->cr2, edge);
	ck_assert_uint_eq(bare_word(bare, edge - 8), 0);
	ck_assert_uint_eq(bare_word(bare, cpu->regs[SOFT_RSP]), X86_PF_P | X86_PF_W);
	ck_assert_uint_eq(bare_word(bare, cpu->regs[SOFT_RSP] + 8), BARE_CODE);
}
END_TEST

START_TEST(update_that_faults_changes_nothing)
{
	bare_set_page(bare, BARE_DATA, BARE_READ_ONLY);
	bare->memory[BARE_DATA] = 5;
	cpu->regs[SOFT_RDI] = BARE_DATA;
	cpu->regs[SOFT_RAX] = 7;
	soft_cpu_set_rflags(cpu, SOFT_CF | SOFT_ZF);
	CODE(0xf0, 0x0f, 0xc1, 0x07); /* lock xadd %eax, (%rdi) */
	ck_assert_uint_eq(halted_in(), SOFT_PF_VECTOR);
	ck_assert_uint_eq(cpu->regs[SOFT_RAX], 7);
	ck_assert_uint_eq(bare->memory[BARE_DATA], 5);
	ck_assert_uint_eq(bare_word(bare, cpu->regs[SOFT_RSP] + 24) & SOFT_ARITHMETIC,
			  SOFT_CF | SOFT_ZF);
}
END_TEST

START_TEST(rep_stops_at_the_fault_and_goes_on)
{
	uint64_t edge = BARE_DATA + X86_PAGE_SIZE;

	bare_set_page(bare, edge, BARE_ABSENT);
	cpu->regs[SOFT_RDI] = edge - 16;
	cpu->regs[SOFT_RCX] = 4;
	cpu->regs[SOFT_RAX] = 0x1111111111111111;
	CODE(0xf3, 0x48, 0xab, 0xf4); /* rep stosq; hlt */
	ck_assert_uint_eq(halted_in(), SOFT_PF_VECTOR);
	ck_assert_uint_eq(cpu->regs[SOFT_RCX], 2);
	ck_assert_uint_eq(cpu->regs[SOFT_RDI], edge);
	bare_set_page(bare, edge, 0);
	cpu->rip = BARE_CODE;
	cpu->halted = false;
	ck_assert_int_eq(soft_cpu_run(cpu, 1000), SOFT_STOP_HLT);
	ck_assert_uint_eq(cpu->regs[SOFT_RCX], 0);
	ck_assert_uint_eq(bare_word(bare, edge + 8), 0x1111111111111111);
}
END_TEST

START_TEST(rep_iterations_are_instructions)
{
	uint64_t before = cpu->instructions;

	cpu->regs[SOFT_RDI] = BARE_DATA + 100;
	cpu->regs[SOFT_RCX] = 4096;
	CODE(0xf3, 0xaa, 0xf4); /* rep stosb; hlt */
	ck_assert_int_eq(soft_cpu_run(cpu, 1000), SOFT_STOP_BUDGET);
	ck_assert_uint_eq(cpu->instructions - before, 1000);
	ck_assert_uint_eq(cpu->regs[SOFT_RCX], 3096);
	ck_assert_int_eq(soft_cpu_run(cpu, 10000), SOFT_STOP_HLT);
	ck_assert_uint_eq(cpu->instructions - before, 4097);
	cpu->halted = false;
	cpu->rip = BARE_CODE;
	ck_assert_int_eq(soft_cpu_run(cpu, 10000), SOFT_STOP_HLT);
	ck_assert_uint_eq(cpu->instructions - before, 4099);
}
END_TEST

/* Whatever the budget is cut into, the same instructions are done. */
START_TEST(budget_is_exact)
{
	static const uint8_t loop[] = {0x48, 0xff, 0xc0, 0x48, 0x01, 0xc3, 0xeb, 0xf8};

	bare_code(bare, BARE_CODE, loop, sizeof(loop));
	for (uint64_t budget = 1, sum = 0; budget < 100; budget++) {
		ck_assert_int_eq(soft_cpu_run(cpu, budget), SOFT_STOP_BUDGET);
		sum += budget;
		ck_assert_uint_eq(cpu->instructions, sum);
		ck_assert_uint_eq(cpu->regs[SOFT_RAX], (sum + 2) / 3);
		ck_assert_uint_eq(cpu->rip, BARE_CODE + (sum % 3 == 0 ? 0 : sum % 3 == 1 ? 3 : 6));
	}
}
END_TEST

START_TEST(code_that_writes_itself)
{
	/* movb $0x90, 1f(%rip): of the very next instruction; 1: hlt, a NOP by then. */
	CODE(0xc6, 0x05, 0x00, 0x00, 0x00, 0x00, 0x90, 0xf4, 0x48, 0xff, 0xc0, 0xf4);
	ck_assert_int_eq(soft_cpu_run(cpu, 100), SOFT_STOP_HLT);
	ck_assert_uint_eq(cpu->regs[SOFT_RAX], 1);
	/* And again, from what is decoded now: a HLT is put back by the outside. */
	bare->memory[BARE_CODE + 7] = 0xf4;
	soft_code_drop(bare->code, bare->memory + BARE_CODE);
	cpu->halted = false;
	cpu->rip = BARE_CODE + 7;
	ck_assert_int_eq(soft_cpu_run(cpu, 100), SOFT_STOP_HLT);
	ck_assert_uint_eq(cpu->regs[SOFT_RAX], 1);
}
END_TEST

START_TEST(code_written_through_an_older_line)
{
	/* The data line is there before the code is decoded: it must lose its write tag. */
	cpu->regs[SOFT_RDI] = BARE_CODE + 0x100;
	bare->memory[BARE_CODE + 0x100] = 0xf4;
	CODE(0xc6, 0x07, 0x90, /* movb $0x90, (%rdi) */
	     0xc6, 0x07, 0xf4, /* movb $0xf4, (%rdi) */
	     0xff, 0xd7,       /* call *%rdi */
	     0xc6, 0x07, 0xc3, /* movb $0xc3, (%rdi): ret */
	     0xff, 0xd7, 0x48, 0xff, 0xc0, 0xf4);
	ck_assert_int_eq(soft_cpu_run(cpu, 100), SOFT_STOP_HLT);
	ck_assert_uint_eq(cpu->rip, BARE_CODE + 0x101);
	cpu->halted = false;
	cpu->rip = BARE_CODE + 8;
	ck_assert_int_eq(soft_cpu_run(cpu, 100), SOFT_STOP_HLT);
	ck_assert_uint_eq(cpu->regs[SOFT_RAX], 1);
}
END_TEST

START_TEST(instruction_across_pages)
{
	static const uint8_t code[] = {0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 0xf4};
	uint64_t at = BARE_CODE + X86_PAGE_SIZE - 4;

	for (unsigned int round = 0; round < 3; round++) {
		bare_code(bare, at, code, sizeof(code));
		bare->memory[at + 9] = round;
		cpu->halted = false;
		ck_assert_int_eq(soft_cpu_run(cpu, 100), SOFT_STOP_HLT);
		ck_assert_uint_eq(cpu->regs[SOFT_RAX], 0x0007060504030201 | (uint64_t)round << 56);
		ck_assert_uint_eq(cpu->rip, at + sizeof(code));
	}
	cpu->rip = at;
	bare_set_page(bare, at + X86_PAGE_SIZE, BARE_ABSENT);
	cpu->halted = false;
	ck_assert_uint_eq(halted_in(), SOFT_PF_VECTOR);
	ck_assert_uint_eq(cpu->cr2, BARE_CODE + X86_PAGE_SIZE);
	ck_assert_uint_eq(bare_word(bare, cpu->regs[SOFT_RSP] + 8), at);
}
END_TEST

START_TEST(addresses)
{
	cpu->segments[SOFT_GS].base = BARE_DATA;
	cpu->regs[SOFT_RAX] = 0xffffffff00000010;
	memcpy(bare->memory + BARE_DATA + 0x18, "\x12\x34\x56\x78", 4);
	memcpy(bare->memory + BARE_DATA + 0x40, "\xaa\xbb", 2);
	CODE(0x65, 0x67, 0x8b, 0x58, 0x08,                   /* mov %gs:8(%eax), %ebx */
	     0x48, 0x8d, 0x0d, 0x01, 0x00, 0x00, 0x00, 0xf4, /* lea 1(%rip), %rcx */
	     0xf4,                                           /* hlt */
	     0x66, 0x63, 0x15, 0, 0, 0, 0);                  /* movsxd 0(%rip), %dx */
	ck_assert_int_eq(soft_cpu_run(cpu, 100), SOFT_STOP_HLT);
	ck_assert_uint_eq(cpu->regs[SOFT_RBX], 0x78563412);
	ck_assert_uint_eq(cpu->regs[SOFT_RCX], BARE_CODE + 13);
	cpu->halted = false;
	cpu->rip = BARE_CODE + 14;
	bare->memory[BARE_CODE + 21] = 0x34;
	bare->memory[BARE_CODE + 22] = 0xf4;
	ck_assert_int_eq(soft_cpu_run(cpu, 1), SOFT_STOP_BUDGET);
	ck_assert_uint_eq(cpu->regs[SOFT_RDX] & 0xffff, 0xf434);
}
END_TEST

START_TEST(addresses_that_are_not_canonical)
{
	cpu->regs[SOFT_RAX] = 1ull << 47;
	CODE(0x48, 0x8b, 0x18); /* mov (%rax), %rbx */
	ck_assert_uint_eq(halted_in(), SOFT_GP);
	cpu->halted = false;
	cpu->regs[SOFT_RBP] = 1ull << 47;
	CODE(0x48, 0x8b, 0x5d, 0x00); /* mov (%rbp), %rbx: by way of the stack */
	ck_assert_uint_eq(halted_in(), SOFT_SS_VECTOR);
	cpu->halted = false;
	CODE(0xff, 0xe0); /* jmp *%rax: faults where it stands */
	ck_assert_uint_eq(halted_in(), SOFT_GP);
	ck_assert_uint_eq(bare_word(bare, cpu->regs[SOFT_RSP] + 8), BARE_CODE);
}
END_TEST

START_TEST(port_leaves_and_comes_back)
{
	cpu->regs[SOFT_RAX] = 0x12345678;
	CODE(0xe7, 0x10, 0xe5, 0x10, 0xf4); /* out %eax, $16; in $16, %eax; hlt */
	ck_assert_int_eq(soft_cpu_run(cpu, 100), SOFT_STOP_IO);
	ck_assert(cpu->io.write && cpu->io.address == 16 && cpu->io.bytes == 4);
	ck_assert_uint_eq(cpu->io.data, 0x12345678);
	ck_assert_uint_eq(cpu->rip, BARE_CODE);
	ck_assert_int_eq(soft_cpu_run(cpu, 100), SOFT_STOP_IO);
	ck_assert(!cpu->io.write && cpu->rip == BARE_CODE + 2);
	cpu->io.data = 0xcafe;
	ck_assert_int_eq(soft_cpu_run(cpu, 100), SOFT_STOP_HLT);
	ck_assert_uint_eq(cpu->regs[SOFT_RAX], 0xcafe);
	ck_assert_uint_eq(cpu->instructions, 3);
}
END_TEST

START_TEST(mmio_update_reads_then_writes)
{
	bare_set_page(bare, BARE_DATA, BARE_MMIO);
	cpu->regs[SOFT_RDI] = BARE_DATA + 8;
	CODE(0x83, 0x07, 0x05, 0xf4); /* addl $5, (%rdi) */
	ck_assert_int_eq(soft_cpu_run(cpu, 100), SOFT_STOP_MMIO);
	ck_assert(!cpu->io.write && cpu->io.address == BARE_DATA + 8 && cpu->io.bytes == 4);
	cpu->io.data = 37;
	ck_assert_int_eq(soft_cpu_run(cpu, 100), SOFT_STOP_MMIO);
	ck_assert(cpu->io.write && cpu->io.data == 42);
	ck_assert_uint_eq(cpu->instructions, 0);
	ck_assert_int_eq(soft_cpu_run(cpu, 100), SOFT_STOP_HLT);
	ck_assert_uint_eq(cpu->instructions, 2);
}
END_TEST

START_TEST(ports_at_cpl_3_ask_the_task)
{
	uint16_t map = 0x68;

	cpu->tr.limit = 0x68 + 4;
	memcpy(bare->memory + BARE_TSS + 0x66, &map, 2);
	bare->memory[BARE_TSS + 0x68 + 2] = 0x01; /* port 16 is not theirs, 17 is */
	bare_user(bare);
	CODE(0xe4, 0x11); /* in $17, %al */
	ck_assert_int_eq(soft_cpu_run(cpu, 100), SOFT_STOP_IO);
	CODE(0x90, 0xe4, 0x10); /* in $16, %al */
	ck_assert_uint_eq(halted_in(), SOFT_GP);
}
END_TEST

START_TEST(calls_are_told_of)
{
	bare_set_page(bare, BARE_DATA, BARE_CALL);
	cpu->regs[SOFT_RDI] = BARE_DATA + 16;
	CODE(0x8b, 0x07, 0x89, 0x07, 0x01, 0x07, 0xf0, 0x01, 0x07, 0x66, 0x87, 0x07);
	for (unsigned int i = 0; i < 5; i++) {
		static const enum soft_access kinds[] = {SOFT_LOAD, SOFT_STORE, SOFT_UPDATE,
							 SOFT_LOCKED, SOFT_LOCKED};

		ck_assert_int_eq(soft_cpu_run(cpu, 1), SOFT_STOP_BUDGET);
		ck_assert_uint_eq(bare->calls, i + 1);
		ck_assert_int_eq(bare->last_access, kinds[i]);
		ck_assert_uint_eq(bare->last_call, BARE_DATA + 16);
		ck_assert_uint_eq(bare->last_call_bytes, i < 4 ? 4 : 2);
	}
}
END_TEST

START_TEST(what_is_no_instruction)
{
	CODE(0x0f, 0x0b); /* ud2 */
	ck_assert_uint_eq(halted_in(), SOFT_UD);
	cpu->halted = false;
	CODE(0x06); /* push %es, which long mode lacks */
	ck_assert_uint_eq(halted_in(), SOFT_UD);
	cpu->halted = false;
	CODE(0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
	     0x66, 0x90); /* 16 bytes */
	ck_assert_uint_eq(halted_in(), SOFT_GP);
	cpu->halted = false;
	CODE(0x0f, 0x58, 0xc1); /* addps %xmm1, %xmm0 */
	ck_assert_int_eq(soft_cpu_run(cpu, 100), SOFT_STOP_INTERNAL);
	ck_assert_uint_eq(cpu->unknown.length, 3);
	ck_assert_int_eq(memcmp(cpu->unknown.bytes, "\x0f\x58\xc1", 3), 0);
	ck_assert_uint_eq(cpu->rip, BARE_CODE);
}
END_TEST

START_TEST(kick_stops)
{
	CODE(0xeb, 0xfe);
	cpu->kick = true;
	ck_assert_int_eq(soft_cpu_run(cpu, UINT64_MAX), SOFT_STOP_KICK);
	ck_assert(!cpu->kick);
}
END_TEST

/* More pages of code than are kept at once: all are dropped, and it goes on. */
START_TEST(much_code)
{
	static const uint8_t jump[] = {0xe9, 0xfb, 0x0f, 0x00, 0x00}; /* to the next page */

	for (uint64_t at = BARE_CODE; at < MEMORY_BYTES; at += X86_PAGE_SIZE)
		memcpy(bare->memory + at, jump, sizeof(jump));
	bare->memory[MEMORY_BYTES - X86_PAGE_SIZE] = 0xf4;
	for (unsigned int round = 0; round < 3; round++) {
		cpu->rip = BARE_CODE;
		cpu->halted = false;
		ck_assert_int_eq(soft_cpu_run(cpu, 100000), SOFT_STOP_HLT);
		ck_assert_uint_eq(cpu->rip, MEMORY_BYTES - X86_PAGE_SIZE + 1);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("soft cpu");
	TCase *tcase = tcase_create("execution");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, write_across_pages_faults_whole);
	tcase_add_test(tcase, update_that_faults_changes_nothing);
	tcase_add_test(tcase, rep_stops_at_the_fault_and_goes_on);
	tcase_add_test(tcase, rep_iterations_are_instructions);
	tcase_add_test(tcase, budget_is_exact);
	tcase_add_test(tcase, code_that_writes_itself);
	tcase_add_test(tcase, code_written_through_an_older_line);
	tcase_add_test(tcase, instruction_across_pages);
	tcase_add_test(tcase, addresses);
	tcase_add_test(tcase, addresses_that_are_not_canonical);
	tcase_add_test(tcase, port_leaves_and_comes_back);
	tcase_add_test(tcase, mmio_update_reads_then_writes);
	tcase_add_test(tcase, ports_at_cpl_3_ask_the_task);
	tcase_add_test(tcase, calls_are_told_of);
	tcase_add_test(tcase, what_is_no_instruction);
	tcase_add_test(tcase, kick_stops);
	tcase_add_test(tcase, much_code);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
