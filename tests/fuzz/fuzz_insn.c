/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes at all as an instruction, in any state: no byte beyond those there are is read, what is
 * said does not change with the bytes that follow, and 15 are enough, as the processor takes no
 * more.
 *
 * The input is a place, registers, and code; what is decoded begins at the place.
 */
#include <string.h>

#include "tests/fuzz/driver.h"
#include "vmm/machine/insn.h"

#define INSN_BYTES_MAX 15

static size_t decode(const uint8_t *code, size_t size, const struct insn_state *state,
		     struct insn_access accesses[INSN_ACCESSES_MAX])
{
	/* Of its very size, so that a sanitizer sees a read beyond it. */
	uint8_t *copy = malloc(size ? size : 1);
	size_t count;

	FUZZ_CHECK(copy != NULL);
	memcpy(copy, code, size);
	memset(accesses, 0, sizeof(*accesses) * INSN_ACCESSES_MAX);
	count = insn_accesses(copy, size, state, accesses);
	free(copy);
	FUZZ_CHECK(count <= INSN_ACCESSES_MAX);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	struct insn_access whole[INSN_ACCESSES_MAX], part[INSN_ACCESSES_MAX];
	struct insn_state state;
	size_t count, cut, known = 0, at;
	const uint8_t *code = bytes + 1 + sizeof(state);

	if (size_bytes <= 1 + sizeof(state))
		return 0;
	memcpy(&state, bytes + 1, sizeof(state));
	size_bytes -= 1 + sizeof(state);
	at = bytes[0] % size_bytes;
	code += at;
	size_bytes -= at;
	count = decode(code, size_bytes, &state, whole);
	for (cut = 0; cut < size_bytes && cut <= INSN_BYTES_MAX; cut++) {
		known = decode(code, cut, &state, part);
		FUZZ_CHECK(known == 0 || known == count);
		for (size_t i = 0; i < known; i++)
			FUZZ_CHECK(part[i].address == whole[i].address &&
				   part[i].write == whole[i].write);
	}
	FUZZ_CHECK(cut <= INSN_BYTES_MAX || known == count);
	return 0;
}

size_t fuzz_example(uint8_t *bytes, size_t room)
{
	/* Instructions of each form, one behind the other: any byte may be the first. */
	static const uint8_t code[] = {
		0x48, 0x89, 0x02, 0xc7, 0x44, 0xcb, 0x10, 5,    0,    0,    0,    0x41, 0x8a,
		0x45, 0xff, 0x4d, 0x89, 0x0c, 0x24, 0x8b, 0x8d, 0x78, 0x56, 0x34, 0x12, 0x65,
		0x48, 0x8b, 0x04, 0x25, 0,    0,    0,    0,    0x83, 0x3d, 0x64, 0,    0,
		0,    7,    0xf0, 0x49, 0x0f, 0xb1, 0x08, 0xf3, 0x48, 0xab, 0xf3, 0xa4, 0xf3,
		0xa6, 0x53, 0x41, 0x5c, 0xc3, 0xff, 0x53, 0x08, 0xff, 0x27, 0xff, 0x37, 0x66,
		0x67, 0xc7, 0x00, 1,    2,    0x48, 0xa1, 1,    2,    3,    4,    5,    6,
		7,    8,    0x0f, 0xb6, 0x00, 0x0f, 0xc7, 0x08, 0xe8, 0,    0,    0,    0,
		0x6a, 1,    0x68, 1,    2,    3,    4,    0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84,
		0,    0,    0,    0,    0,    0xf6, 0x00, 1,    0xf7, 0x18, 0xc9, 0xcc,
	};

	FUZZ_CHECK(room >= 1 + sizeof(struct insn_state) + sizeof(code));
	memset(bytes, 0x11, 1 + sizeof(struct insn_state));
	memcpy(bytes + 1 + sizeof(struct insn_state), code, sizeof(code));
	return 1 + sizeof(struct insn_state) + sizeof(code);
}
