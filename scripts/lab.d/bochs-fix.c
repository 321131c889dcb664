/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mends one fault of Bochs 2.7 in the running program: preloaded into it by ept.sh.
 *
 * With "external-interrupt exiting" an interrupt ends a guest's run whatever the guest's EFLAGS.IF
 * (SDM volume 3, "Event Blocking in VMX Non-root Operation"). Bochs decides which interrupts are
 * masked while it loads the guest's state, just before it notes that it is in the guest. So one
 * entered with IF clear, which never changes it, cannot be interrupted: the host's timer does not
 * tick, and a guest in a loop hangs the machine.
 *
 * The cure is to decide again once it is in the guest. The call of VMenterInjectEvents() in
 * VMLAUNCH (VMRESUME is the same function) is the place; it is turned to a few instructions that
 * first call handleInterruptMaskChange(), Bochs's own decision. Functions are found by name. If
 * anything is not as expected nothing is touched and a line on standard error says so.
 */
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CALL_OPCODE 0xe8
#define CALL_BYTES  5
/* How far a call reaches, less room to spare. */
#define REACH_BYTES 0x70000000l

struct function {
	uint8_t *start;
	size_t size_bytes;
};

static struct function function_find(const char *name)
{
	struct function found = {.start = dlsym(RTLD_DEFAULT, name)};
	const ElfW(Sym) *symbol = NULL;
	Dl_info info;

	if (found.start && dladdr1(found.start, &info, (void **)&symbol, RTLD_DL_SYMENT) && symbol)
		found.size_bytes = symbol->st_size;
	return found;
}

/* Returns the only call of @target in @caller, or NULL. */
static uint8_t *call_find(struct function caller, const uint8_t *target)
{
	uint8_t *found = NULL;

	for (size_t i = 0; i + CALL_BYTES <= caller.size_bytes; i++) {
		uint8_t *at = caller.start + i;
		int32_t distance;

		memcpy(&distance, at + 1, sizeof(distance));
		if (*at != CALL_OPCODE || at + CALL_BYTES + distance != target)
			continue;
		if (found)
			return NULL;
		found = at;
	}
	return found;
}

/* Returns a page that a call at @near reaches, or NULL. */
static uint8_t *page_near(uint8_t *near)
{
	const long page = sysconf(_SC_PAGESIZE);
	const uintptr_t base = (uintptr_t)near & -(uintptr_t)page;

	for (long away = page; away < REACH_BYTES; away += 256 * page) {
		void *got = mmap((void *)(base - away), page, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (got != MAP_FAILED)
			return got;
	}
	return NULL;
}

/* Writes at @code: call @first, then go on to @second, both with the first argument (rdi). */
static void write_detour(uint8_t *code, uint8_t *first, uint8_t *second)
{
	static const uint8_t push_rdi[] = {0x57}, move_to_rax[] = {0x48, 0xb8},
			     call_rax_pop_rdi[] = {0xff, 0xd0, 0x5f}, jump_rax[] = {0xff, 0xe0};

#define EMIT(bytes) (code = (uint8_t *)memcpy(code, bytes, sizeof(bytes)) + sizeof(bytes))
#define EMIT_ADDRESS(pointer) \
	(code = (uint8_t *)memcpy(code, &(pointer), sizeof(pointer)) + sizeof(pointer))
	EMIT(push_rdi);
	EMIT(move_to_rax);
	EMIT_ADDRESS(first);
	EMIT(call_rax_pop_rdi);
	EMIT(move_to_rax);
	EMIT_ADDRESS(second);
	EMIT(jump_rax);
#undef EMIT
#undef EMIT_ADDRESS
}

/* Turns the call at @call to @target. Returns 0 or -1. */
static int call_turn(uint8_t *call, uint8_t *target)
{
	const long page = sysconf(_SC_PAGESIZE);
	uint8_t *start = (uint8_t *)((uintptr_t)call & -(uintptr_t)page);
	int32_t distance = (int32_t)(target - (call + CALL_BYTES));

	if (mprotect(start, 2 * page, PROT_READ | PROT_WRITE | PROT_EXEC))
		return -1;
	memcpy(call + 1, &distance, sizeof(distance));
	return mprotect(start, 2 * page, PROT_READ | PROT_EXEC);
}

__attribute__((constructor)) static void mend(void)
{
	struct function enter = function_find("_ZN8BX_CPU_C8VMLAUNCHEP15bxInstruction_c");
	struct function inject = function_find("_ZN8BX_CPU_C19VMenterInjectEventsEv");
	struct function decide = function_find("_ZN8BX_CPU_C25handleInterruptMaskChangeEv");
	uint8_t *call = NULL, *code = NULL;

	if (enter.start && inject.start && decide.start)
		call = call_find(enter, inject.start);
	if (call)
		code = page_near(call);
	if (code) {
		write_detour(code, decide.start, inject.start);
		if (mprotect(code, 1, PROT_READ | PROT_EXEC) == 0 && call_turn(call, code) == 0)
			return;
	}
	fprintf(stderr, "bochs-fix: this Bochs is not as known: guests with IF clear run on\n");
}
