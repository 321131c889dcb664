/* SPDX-License-Identifier: GPL-2.0-or-later */
/* State files (vmm/replay/state.h): one that is right, and each fault planted in it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness.h"
#include "vmm/replay/state.h"

#define HEAD "# nestbox state 1\nkernel 6.12.1\nnodes 2\nlazy_pages 2\n"
#define BUSY "busy 0 0xffffc90000000000 0xffffc90000005000 1\n"
#define LAZY "lazy 1 0xffffc90000005000 0xffffc90000007000 0\n"
#define POOL "pool 1 2 0xffffc90000007000 0xffffc90000009000 1\n"
#define FREE "free 0 . b 0x1 0xffffc90000000000\nfree 1 r r 0xffffc90000009000 0xffffe90000000000\n"

static int read_text(const char *text, struct replay_state *state)
{
	char path[] = "state.XXXXXX";
	struct input_error error;
	int fd = mkstemp(path), err;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	memset(state, 0, sizeof(*state));
	err = replay_state_read(path, state, &error);
	unlink(path);
	return err;
}

START_TEST(right)
{
	struct replay_state state;

	ck_assert_int_eq(read_text(HEAD BUSY LAZY POOL FREE "end\n", &state), 0);
	ck_assert(state.pools_known);
	ck_assert_uint_eq(state.shape_count, 2);
	ck_assert(!state.shape[0].red && state.shape[1].red);
	ck_assert_uint_eq(state.lazy_count, 1);
	ck_assert_uint_eq(state.lazy[0].node, 1);
	ck_assert_uint_eq(state.lazy[0].list, 2);
	ck_assert_uint_eq(state.pooled_count, 1);
	ck_assert_uint_eq(state.pooled[0].node, 2);
	replay_state_free(&state);
}
END_TEST

/* As other programs write it: no word before a line, and no end. */
START_TEST(tree_alone)
{
	struct replay_state state;

	ck_assert_int_eq(read_text("# a tree\n0 . b 0x1 0xffffc90000000000\n", &state), 0);
	ck_assert_uint_eq(state.shape_count, 1);
	ck_assert(!state.pools_known);
	replay_state_free(&state);
}
END_TEST

static const char *const faults[] = {
	HEAD BUSY LAZY POOL FREE,                   /* cut short */
	HEAD FREE "end\n" LAZY,                     /* more behind the end */
	HEAD "free 0 . x 0x1 0x1000\nend\n",        /* a colour that is none */
	HEAD "free 0 . b 0x1\nend\n",               /* a word less */
	HEAD "free 0 . b zero 0x1000\nend\n",       /* a number that is none */
	HEAD "lazy 0 0x2000 0x1000 -\nend\n",       /* ends before it starts */
	HEAD "lazy - 0x1000 0x2000 -\nend\n",       /* on no list */
	HEAD "lazy 128 0x1000 0x2000 -\nend\n",     /* a node too many */
	HEAD "pool 0 3 0x1000 0x3000 0\nend\n",     /* not its pool's length */
	HEAD "pool 0 257 0x1000 0x102000 0\nend\n", /* longer than any pool */
	HEAD "pool 0 0x1000 0x3000 0\nend\n",       /* no length */
	HEAD "fre 0 . b 0x1 0x1000\nend\n",         /* a kind that is none */
};

START_TEST(wrong)
{
	struct replay_state state;

	ck_assert_int_eq(read_text(faults[_i], &state), -EINVAL);
}
END_TEST

static Suite *state_suite(void)
{
	Suite *suite = suite_create("state");
	TCase *all = tcase_create("all");

	tcase_add_test(all, right);
	tcase_add_test(all, tree_alone);
	tcase_add_loop_test(all, wrong, 0, sizeof(faults) / sizeof(faults[0]));
	suite_add_tcase(suite, all);
	return suite;
}

int main(void)
{
	return harness_run(state_suite());
}
