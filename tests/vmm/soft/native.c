/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The code around an instruction that this host runs, written byte by byte. */
#include "tests/vmm/soft/native.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STATE (NATIVE_CODE + 0x2000u)

struct area {
	struct native_state in, out;
	uint64_t rsp;
};

#define AREA            ((struct area *)(uintptr_t)STATE)
#define AREA_AT(member) ((uint32_t)(STATE + offsetof(struct area, member)))

static sigjmp_buf caught;
static uint8_t *code_end; /* of what comes before the instruction */

static uint8_t *put(uint8_t *at, const void *bytes, size_t size)
{
	memcpy(at, bytes, size);
	return at + size;
}

/* An instruction on a register (or /digit) and the word at an absolute address. */
static uint8_t *put_absolute(uint8_t *at, uint8_t opcode, unsigned int reg, uint32_t address)
{
	uint8_t head[] = {0x48 | (reg >= 8 ? 4 : 0), opcode, (reg & 7) << 3 | 4, 0x25};

	at = put(at, head, sizeof(head));
	return put(at, &address, sizeof(address));
}

#define MOV_STORE 0x89
#define MOV_LOAD  0x8b
#define PUSH      0xff /* /6 */
#define POP       0x8f /* /0 */
#define RSP       4

static const uint8_t saves[] = {0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57};
static const uint8_t restores[] = {0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d,
				   0x41, 0x5c, 0x5d, 0x5b, 0xc3};

static void write_before(void)
{
	uint8_t *at = (uint8_t *)(uintptr_t)NATIVE_CODE;

	at = put(at, saves, sizeof(saves));
	at = put_absolute(at, MOV_STORE, RSP, AREA_AT(rsp));
	at = put_absolute(at, PUSH, 6, AREA_AT(in.rflags));
	*at++ = 0x9d; /* popfq */
	for (unsigned int reg = 0; reg < 16; reg++)
		at = put_absolute(at, MOV_LOAD, reg, AREA_AT(in.regs) + 8 * reg);
	code_end = at;
}

static void write_after(uint8_t *at)
{
	for (unsigned int reg = 0; reg < 16; reg++)
		at = put_absolute(at, MOV_STORE, reg, AREA_AT(out.regs) + 8 * reg);
	at = put_absolute(at, MOV_LOAD, RSP, AREA_AT(rsp));
	*at++ = 0x9c; /* pushfq */
	at = put_absolute(at, POP, 0, AREA_AT(out.rflags));
	*at++ = 0xfc; /* cld */
	put(at, restores, sizeof(restores));
}

static void catch_signal(int signal)
{
	siglongjmp(caught, signal);
}

static void map(uint32_t address, size_t bytes, int protection)
{
	void *at = mmap((void *)(uintptr_t)address, bytes, protection,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (at != (void *)(uintptr_t)address) {
		fprintf(stderr, "cannot map %zu bytes at %#x\n", bytes, address);
		exit(EXIT_FAILURE);
	}
}

void native_setup(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
	static uint8_t stack[1 << 16];
	struct sigaction action = {.sa_handler = catch_signal, .sa_flags = SA_ONSTACK};
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};

	map(NATIVE_DATA, NATIVE_DATA_BYTES, PROT_READ | PROT_WRITE);
	map(NATIVE_CODE, 0x3000, PROT_READ | PROT_WRITE | PROT_EXEC);
	sigaltstack(&alternate, NULL);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	write_before();
}

uint64_t native_rip(void)
{
	return (uintptr_t)code_end;
}

int native_run(const uint8_t *bytes, size_t size, struct native_state *state)
{
	int signal = sigsetjmp(caught, 1);

	if (signal)
		return signal;
	AREA->in = *state;
	write_after(put(code_end, bytes, size));
	((void (*)(void))(uintptr_t)NATIVE_CODE)();
	*state = AREA->out;
	return 0;
}
