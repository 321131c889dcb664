/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of the self-test: reading and writing the vmalloc range as a stream of bytes. */
#include <errno.h>
#include <string.h>

#include "vmm/selftest/private.h"

#define PROT_READONLY (NB_PAGE_KERNEL & ~(uint64_t)X86_PTE_RW)

/* Where the bytes are in the data area, with some around them that must not change. */
#define OFFSET 64u
#define MARK   0xa5

/* Two areas that lie side by side: one page and its guard, one page and its guard. */
#define PLACE 0xffffce0000000000ull
#define SPAN  (4 * PAGE)

static unsigned char *bytes(struct selftest *t)
{
	return (unsigned char *)guest_data(t->guest, 0) + OFFSET;
}

static uint64_t vmalloc_at(struct selftest *t, uint64_t start, uint64_t prot)
{
	uint64_t at = MAKE(t, NB_OP_VMALLOC, PAGE, 1, start, start + 2 * PAGE, NB_GFP_KERNEL, prot,
			   NB_VM_ALLOC, (uint64_t)-1);

	EXPECT(t, at == start, "what just fits at %#lx is at %#lx", start, at);
	return at;
}

static void fill_frame(struct selftest *t, uint64_t at, uint64_t value)
{
	uint64_t pfn = selftest_frame(t, at);
	uint64_t words[X86_PAGE_SIZE / sizeof(value)];

	for (size_t i = 0; i < X86_PAGE_SIZE / sizeof(value); i++)
		words[i] = value;
	EXPECT(t,
	       gpa_space_write(guest_space(t->guest), gpa_make(pfn * PAGE), words, sizeof(words)) ==
		       0,
	       "frame %#lx cannot be written", pfn);
}

/* bytes()[from, to) are all @value. */
static void expect_bytes(struct selftest *t, uint64_t from, uint64_t to, unsigned char value)
{
	for (uint64_t i = from; i < to; i++)
		EXPECT(t, bytes(t)[i] == value, "byte %#lx is %#x, not %#x", i, bytes(t)[i], value);
}

static void mark_bytes(struct selftest *t)
{
	memset(bytes(t) - OFFSET, MARK, SPAN + 2 * OFFSET);
}

static void read_io(struct selftest *t)
{
	uint64_t pfn, io;

	selftest_take_frames(t, &pfn, 1);
	selftest_set_frame_word(t, pfn, UINT64_MAX);
	io = MAKE(t, NB_OP_ALLOC_VM_AREA, PAGE);
	selftest_list_frames(t, &pfn, 1);
	DO(t, NB_OP_MAP_VM_AREA, io, 1, NB_PAGE_KERNEL, 0);
	mark_bytes(t);
	DO(t, NB_OP_VREAD, io, PAGE, OFFSET);
	expect_bytes(t, 0, PAGE, 0);
	DO(t, NB_OP_FREE_VM_AREA, io);
	selftest_put_frames(t, &pfn, 1);
}

static void row_vread(struct selftest *t)
{
	uint64_t a = vmalloc_at(t, PLACE, NB_PAGE_KERNEL);
	uint64_t b = vmalloc_at(t, PLACE + 2 * PAGE, PROT_READONLY);

	fill_frame(t, a, 0x1111111111111111);
	fill_frame(t, b, 0x2222222222222222);
	mark_bytes(t);
	if (DO(t, NB_OP_VREAD, a + 0x10, SPAN - 0x20, OFFSET))
		EXPECT(t, t->answer.result[0] == SPAN - 0x20, "read %#lx bytes",
		       t->answer.result[0]);
	expect_bytes(t, 0, PAGE - 0x10, 0x11);
	expect_bytes(t, PAGE - 0x10, 2 * PAGE - 0x10, 0);
	expect_bytes(t, 2 * PAGE - 0x10, 3 * PAGE - 0x10, 0x22);
	expect_bytes(t, 3 * PAGE - 0x10, SPAN - 0x20, 0);
	expect_bytes(t, SPAN - 0x20, SPAN, MARK);
	EXPECT(t, bytes(t)[-1] == MARK, "a byte before those read was written");
	REFUSE(t, -EINVAL, NB_OP_VREAD, a, NB_DATA_BYTES, 8);
	REFUSE(t, -EINVAL, NB_OP_VREAD, a, UINT64_MAX, 0);
	DO(t, NB_OP_VFREE, b);
	DO(t, NB_OP_VFREE, a);
	mark_bytes(t);
	if (DO(t, NB_OP_VREAD, a, PAGE, OFFSET))
		EXPECT(t, t->answer.result[0] == 0, "read %#lx bytes of no area",
		       t->answer.result[0]);
	expect_bytes(t, 0, PAGE, MARK);
	read_io(t);
}

static void row_vwrite(struct selftest *t)
{
	uint64_t a = vmalloc_at(t, PLACE, NB_PAGE_KERNEL);
	uint64_t b = vmalloc_at(t, PLACE + 2 * PAGE, PROT_READONLY);

	fill_frame(t, a, 0);
	fill_frame(t, b, 0x2222222222222222);
	mark_bytes(t);
	if (DO(t, NB_OP_VWRITE, a + 8, SPAN - 16, OFFSET))
		EXPECT(t, t->answer.result[0] == SPAN - 16 && t->answer.result[1] == PAGE - 8,
		       "took %#lx bytes, stored %#lx", t->answer.result[0], t->answer.result[1]);
	selftest_expect_word(t, a, 0);
	selftest_expect_word(t, a + 8, 0xa5a5a5a5a5a5a5a5);
	selftest_expect_word(t, a + PAGE - 8, 0xa5a5a5a5a5a5a5a5);
	/* Read-only pages are skipped. */
	selftest_expect_word(t, b, 0x2222222222222222);
	REFUSE(t, -EINVAL, NB_OP_VWRITE, a, NB_DATA_BYTES, 8);
	selftest_expect_word(t, a, 0);
	DO(t, NB_OP_VFREE, b);
	DO(t, NB_OP_VFREE, a);
	if (DO(t, NB_OP_VWRITE, a, PAGE, OFFSET))
		EXPECT(t, t->answer.result[0] == 0 && t->answer.result[1] == 0,
		       "took %#lx bytes for no area, stored %#lx", t->answer.result[0],
		       t->answer.result[1]);
}

const struct selftest_row selftest_rows_access[] = {
	{"vread", row_vread},
	{"vwrite", row_vwrite},
	{0},
};
