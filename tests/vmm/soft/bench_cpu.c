/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many instructions a second the soft engine's processor does: loops like those the guest
 * spends its time in. bench_cpu [INSTRUCTIONS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/vmm/soft/bare.h"

#define MEMORY_BYTES (8u << 20)
#define TABLE        0x100000

struct loop {
	const char *name;
	const uint8_t *code;
	size_t bytes;
};

/* Code as the assembler makes it, so that what runs is what stands there. */
#define LOOP(name, text)                                  \
	extern const uint8_t name##_code[], name##_end[]; \
	asm(".section .rodata\n" #name "_code:\n" text "\n" #name "_end:\n.previous");

/* Registers alone. */
LOOP(alu, "mov $1, %eax\n"
	  "1: add %rax, %rbx\n xor %rbx, %rcx\n lea 8(%rcx,%rbx,2), %rdx\n shr $3, %rdx\n"
	  "and %rdx, %rsi\n sub $1, %rdi\n cmp %rsi, %rdi\n jne 1b\n jmp 1b")
/* A list of 4096 nodes is walked, as free lists and trees are. */
LOOP(list, "1: mov $0x100000, %ebx\n"
	   "2: mov (%rbx), %rax\n mov 8(%rbx), %rcx\n test %rcx, %rcx\n je 3f\n add %rcx, %rdx\n"
	   "3: mov %rax, %rbx\n test %rax, %rax\n jne 2b\n jmp 1b")
/* Calls with frames. */
LOOP(calls, "1: mov $0x8000, %esp\n mov $100, %ebx\n"
	    "2: mov %rbx, %rdi\n call 3f\n add %rax, %rcx\n dec %ebx\n jne 2b\n jmp 1b\n"
	    "3: push %rbp\n mov %rsp, %rbp\n push %rbx\n mov %rdi, %rbx\n lea 1(%rbx), %rax\n"
	    "movzbl %al, %eax\n pop %rbx\n pop %rbp\n ret")
/* Page-table entries are written and read back. */
LOOP(stores, "1: mov $0x100000, %edi\n mov $512, %ecx\n mov $0x163, %eax\n"
	     "2: mov (%rdi), %rdx\n test $1, %dl\n jne 3f\n nop\n"
	     "3: mov %rax, (%rdi)\n add $0x1000, %rax\n add $8, %rdi\n sub $1, %ecx\n jne 2b\n"
	     "jmp 1b")
/* A lock is taken and given back around a counter. */
LOOP(locks, "1: mov $1, %eax\n xchg %eax, 0x100000\n test %eax, %eax\n jne 1b\n"
	    "incq 0x100040\n lock addq $1, 0x100048\n movl $0, 0x100000\n jmp 1b")
/* Pages are cleared. */
LOOP(clear, "1: mov $0x100000, %edi\n mov $512, %ecx\n xor %eax, %eax\n rep stosq\n jmp 1b")

#define ENTRY(name)                   \
	{                             \
#name, name##_code, 0 \
	}

static const uint8_t *const ends[] = {alu_end,    list_end,  calls_end,
				      stores_end, locks_end, clear_end};
static struct loop loops[] = {ENTRY(alu),    ENTRY(list),  ENTRY(calls),
			      ENTRY(stores), ENTRY(locks), ENTRY(clear)};

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static void make_list(struct bare *bare)
{
	uint64_t at = TABLE, next;

	for (unsigned int i = 1; i <= 4096; i++, at = next) {
		next = i < 4096 ? TABLE + (i * 2654435761u % 4096) * 64 : 0;
		memcpy(bare->memory + at, &next, sizeof(next));
	}
}

static void measure(const struct loop *loop, uint64_t instructions)
{
	struct bare *bare = bare_new(MEMORY_BYTES);
	enum soft_stop stop;
	double start;

	bare_tables(bare);
	make_list(bare);
	bare_code(bare, BARE_CODE, loop->code, loop->bytes);
	soft_cpu_run(bare->cpu, 100000);
	start = seconds();
	stop = soft_cpu_run(bare->cpu, instructions);
	printf("%-8s %6.0f million instructions a second%s\n", loop->name,
	       instructions / (seconds() - start) / 1e6,
	       stop == SOFT_STOP_BUDGET ? "" : " (it stopped)");
	bare_free(bare);
}

int main(int argc, char **argv)
{
	uint64_t instructions = argc > 1 ? strtoull(argv[1], NULL, 0) : 200000000;

	for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
		loops[i].bytes = ends[i] - loops[i].code;
		measure(&loops[i], instructions);
	}
	return EXIT_SUCCESS;
}
