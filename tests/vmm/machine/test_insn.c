/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which memory instructions touch, against what the assembler made of their text: each sample is
 * assembled into this program, and the addresses expected are worked out from its operands by hand.
 */
#include <string.h>

#include "tests/harness.h"
#include "vmm/machine/insn.h"

/* rax rbx rcx rdx rsi rdi rbp rsp r8 .. r15 rip rflags */
#define RAX 0x1000ull
#define RBX 0x2000ull
#define RCX 0x30ull
#define RDX 0x4000ull
#define RSI 0x5000ull
#define RDI 0x6000ull
#define RBP 0x7000ull
#define RSP 0x8000ull
#define R8  0xffff888000000008ull
#define R12 0x12000ull
#define R13 0x13000ull
#define RIP 0xffffffff80600000ull
#define GS  0xffffffff80200100ull

static const struct insn_state state = {
	.regs = {RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP, R8, 9, 10, 11, R12, R13, 14, 15, RIP, 0},
	.fs_base = 0x40,
	.gs_base = GS,
};

/* Text, its length by the assembler, and what it touches: R and W with the address. */
#define NONE              \
	0,                \
	{                 \
		{         \
			0 \
		}         \
	}
#define ONE(address, write)            \
	1,                             \
	{                              \
		{                      \
			address, write \
		}                      \
	}
#define TWO(a, wa, b, wb)     \
	2,                    \
	{                     \
		{a, wa},      \
		{             \
			b, wb \
		}             \
	}

/* SAMPLE(number, text, what): X-macro, so that the text is assembled once and named once. */
#define SAMPLES(X)                                                               \
	X(0, "mov %rax, (%rdx)", ONE(RDX, true))                                 \
	X(1, "mov (%rdx), %rax", ONE(RDX, false))                                \
	X(2, "movl $5, 16(%rbx,%rcx,8)", ONE(RBX + RCX * 8 + 16, true))          \
	X(3, "movb -1(%r13), %al", ONE(R13 - 1, false))                          \
	X(4, "mov %r9, (%r12)", ONE(R12, true))                                  \
	X(5, "mov 0x12345678(%rbp), %ecx", ONE(RBP + 0x12345678, false))         \
	X(6, "mov %gs:0, %rax", ONE(GS, false))                                  \
	X(7, "cmpl $7, 100(%rip)", ONE(RIP + 7 + 100, false))                    \
	X(8, "movw $7, 100(%rip)", ONE(RIP + 9 + 100, true))                     \
	X(9, "cmp %rax, (%rdx)", ONE(RDX, false))                                \
	X(10, "add %rax, (%rdx)", ONE(RDX, true))                                \
	X(11, "add (%rdx), %rax", ONE(RDX, false))                               \
	X(12, "lock; cmpxchg %rcx, (%r8)", ONE(R8, true))                        \
	X(13, "lock; xadd %eax, 4(%rsi)", ONE(RSI + 4, true))                    \
	X(14, "rep; stosq", ONE(RDI, true))                                      \
	X(15, "rep; movsb", TWO(RSI, false, RDI, true))                          \
	X(16, "repe; cmpsb", TWO(RSI, false, RDI, false))                        \
	X(17, "push %rbx", ONE(RSP - 8, true))                                   \
	X(18, "pop %r12", ONE(RSP, false))                                       \
	X(19, "ret", ONE(RSP, false))                                            \
	X(20, "call *8(%rbx)", TWO(RBX + 8, false, RSP - 8, true))               \
	X(21, "jmp *(%rdi)", ONE(RDI, false))                                    \
	X(22, "pushq (%rdi)", TWO(RDI, false, RSP - 8, true))                    \
	X(23, "incl (%rax)", ONE(RAX, true))                                     \
	X(24, "testb $1, 3(%rsp)", ONE(RSP + 3, false))                          \
	X(25, "negq (%rsp)", ONE(RSP, true))                                     \
	X(26, "movzbl (%rax,%rbx), %ecx", ONE(RAX + RBX, false))                 \
	X(27, "sete 5(%rdx)", ONE(RDX + 5, true))                                \
	X(28, "btsl $3, (%rdx)", ONE(RDX, true))                                 \
	X(29, "btl $3, 1(%rip)", ONE(RIP + 8 + 1, false))                        \
	X(30, "lea 8(%rax), %rbx", NONE)                                         \
	X(31, "mov %rax, %rbx", NONE)                                            \
	X(32, "cli", NONE)                                                       \
	X(33, "outl %eax, %dx", NONE)                                            \
	X(34, "invlpg (%rax)", NONE)                                             \
	X(35, "mov %rax, (,%rcx,4)", ONE(RCX * 4, true))                         \
	X(36, "movabs 0x1122334455667788, %eax", ONE(0x1122334455667788, false)) \
	X(37, "movabs %al, 0x1122334455667788", ONE(0x1122334455667788, true))   \
	X(38, "xchg %rax, (%rbx)", ONE(RBX, true))                               \
	X(39, "movslq (%rbx), %rax", ONE(RBX, false))                            \
	X(40, "imul $300, (%rbx), %eax", ONE(RBX, false))                        \
	X(41, "shlq $4, (%rbx)", ONE(RBX, true))                                 \
	X(42, "crc32q (%rbx), %rax", ONE(RBX, false))                            \
	X(43, "mov (%eax), %ecx", ONE(RAX, false))                               \
	X(44, "popq (%rbx)", TWO(RBX, true, RSP, false))                         \
	X(45, "leave", ONE(RBP, false))                                          \
	X(46, "cmpxchg16b (%rbx)", ONE(RBX, true))                               \
	X(47, "nopl 8(%rax)", NONE)                                              \
	X(48, "mov (%rsp,%r12,2), %r8", ONE(RSP + R12 * 2, false))               \
	X(49, "pushfq", ONE(RSP - 8, true))                                      \
	X(50, "popq 16(%rsp)", TWO(RSP + 24, true, RSP, false))                  \
	X(51, "btl %ecx, (%rdx)", ONE(RDX + 4, false))                           \
	X(52, "btsq %r8, (%rbx)", ONE(RBX + 0xfffff11000000000ull, true))        \
	X(53, "mov %fs:(%rdx), %rax", ONE(RDX + 0x40, false))                    \
	X(54, "movdqu (%rdx), %xmm0", ONE(RDX, false))                           \
	X(55, "prefetcht0 (%rdx)", NONE)                                         \
	X(56, "iretq", ONE(RSP, false))

#define ASSEMBLE(number, text, ...) "sample_" #number ": " text "\n"

asm(".section .rodata\n" SAMPLES(ASSEMBLE) "sample_end: .byte 0\n.previous\n");

#define DECLARE(number, text, ...) extern const uint8_t sample_##number[];
SAMPLES(DECLARE)

#define ROW(number, text, ...) {sample_##number, text, __VA_ARGS__},

static const struct {
	const uint8_t *code;
	const char *text;
	size_t count;
	struct {
		uint64_t address;
		bool write;
	} accesses[INSN_ACCESSES_MAX];
} samples[] = {SAMPLES(ROW)};

#define NR_SAMPLES (sizeof(samples) / sizeof(samples[0]))

START_TEST(an_instruction_touches_what_its_operands_say)
{
	struct insn_access accesses[INSN_ACCESSES_MAX];
	size_t count = insn_accesses(samples[_i].code, 15, &state, accesses);

	ck_assert_msg(count == samples[_i].count, "%s: %zu accesses, not %zu", samples[_i].text,
		      count, samples[_i].count);
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(accesses[i].address == samples[_i].accesses[i].address &&
				      accesses[i].write == samples[_i].accesses[i].write,
			      "%s: access %zu is a %s at %#lx, not a %s at %#lx", samples[_i].text,
			      i, accesses[i].write ? "write" : "read", accesses[i].address,
			      samples[_i].accesses[i].write ? "write" : "read",
			      samples[_i].accesses[i].address);
}
END_TEST

/* Of samples: their number, bytes, whether they read. */
START_TEST(an_access_has_its_bytes_and_its_ways)
{
	static const struct {
		unsigned int sample;
		uint32_t size;
		bool read;
	} rows[] = {{0, 8, false}, {2, 4, false}, {3, 1, true},  {8, 2, false},
		    {9, 8, true},  {10, 8, true}, {12, 8, true}, {13, 4, true}};
	struct insn_access accesses[INSN_ACCESSES_MAX];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		insn_accesses(samples[rows[i].sample].code, 15, &state, accesses);
		ck_assert_msg(accesses[0].size_bytes == rows[i].size &&
				      accesses[0].read == rows[i].read,
			      "%s", samples[rows[i].sample].text);
	}
}
END_TEST

START_TEST(bytes_that_are_not_there_say_nothing)
{
	struct insn_access accesses[INSN_ACCESSES_MAX];

	ck_assert_uint_eq(insn_accesses(NULL, 0, &state, accesses), 0);
	/* mov %rax, disp32(%rbp), cut: the address is not all there. */
	ck_assert_uint_eq(insn_accesses(samples[5].code, 5, &state, accesses), 0);
	ck_assert_uint_eq(insn_accesses(samples[5].code, 6, &state, accesses), 1);
}
END_TEST

/* The processor takes 15 bytes at most, however many prefixes that are. */
START_TEST(fifteen_bytes_are_enough)
{
	struct insn_access accesses[INSN_ACCESSES_MAX];
	uint8_t code[16];

	memset(code, 0x2e, sizeof(code));
	code[14] = 0x53; /* push %rbx */
	ck_assert_uint_eq(insn_accesses(code, 15, &state, accesses), 1);
	ck_assert_uint_eq(accesses[0].address, RSP - 8);
	ck_assert_uint_eq(insn_accesses(code, 14, &state, accesses), 0);
	code[14] = 0x2e;
	code[15] = 0x53;
	ck_assert_uint_eq(insn_accesses(code, 16, &state, accesses), 0);
}
END_TEST

/* Whatever the bytes are: no read beyond them, no more accesses than there is room for. */
START_TEST(any_bytes_are_decoded_within_bounds)
{
	struct insn_access accesses[INSN_ACCESSES_MAX];
	uint64_t random = 88172645463325252ull;
	uint8_t *code;

	for (int i = 0; i < 200000; i++) {
		size_t size = (size_t)i % 16;

		code = malloc(size + 1);
		for (size_t j = 0; j < size; j++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			code[j] = (uint8_t)random;
		}
		ck_assert_uint_le(insn_accesses(code, size, &state, accesses), INSN_ACCESSES_MAX);
		free(code);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("insn");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, an_instruction_touches_what_its_operands_say, 0,
			    (int)NR_SAMPLES);
	tcase_add_test(tcase, bytes_that_are_not_there_say_nothing);
	tcase_add_test(tcase, an_access_has_its_bytes_and_its_ways);
	tcase_add_test(tcase, fifteen_bytes_are_enough);
	tcase_add_test(tcase, any_bytes_are_decoded_within_bounds);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
