/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NB_OP_LOAD with what a host should not give it: blocks that are not the host's, classes and
 * instructions that make no sense, at random too. The guest refuses or does them, lives, and stays
 * right. On the soft engine: nothing here is KVM's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest/load_abi.h"
#include "tests/harness.h"
#include "vmm/attach/inspector.h"
#include "vmm/audit/audit.h"
#include "vmm/machine/guest.h"

#define ORDER 2u
#define COUNT 64u

static struct guest *guest;
static uint64_t block, slots;

static int64_t call(uint16_t opcode, const uint64_t *arg, size_t count, uint64_t *result_out)
{
	struct nb_submission submission = {.opcode = opcode};
	struct nb_completion answer;

	memcpy(submission.arg, arg, count * sizeof(*arg));
	ck_assert_msg(guest_call(guest, 0, &submission, &answer) == 0, "the guest died: %s",
		      guest_failure(guest) ? guest_failure(guest)->text : "");
	if (result_out)
		memcpy(result_out, answer.result, sizeof(answer.result));
	return answer.status;
}

static uint64_t allocate(uint64_t order)
{
	const uint64_t arg[] = {order, NB_GFP_KERNEL | NB_GFP_ZERO, (uint64_t)-1};
	uint64_t result[4];

	ck_assert_int_eq(call(NB_OP_ALLOC_PAGES, arg, 3, result), 0);
	return result[0];
}

static void begin(void)
{
	struct guest_config config = {.engine = KVM_SOFT, .memory_bytes = 64 << 20};
	struct error error = {""};

	ck_assert_msg(guest_start(&config, &guest, NULL, &error) == 0, "%s", error.text);
	block = allocate(ORDER);
	slots = allocate(0);
}

static void put(uint64_t offset, const void *bytes, size_t size)
{
	ck_assert_int_eq(
		gpa_space_write(guest_space(guest), gpa_make((block << 12) + offset), bytes, size),
		0);
}

static struct nb_load_class good_class(void)
{
	return (struct nb_load_class){.align = 1,
				      .start = NB_VMALLOC_START,
				      .end = NB_VMALLOC_END,
				      .prot = NB_PAGE_KERNEL,
				      .flags = NB_VM_ALLOC,
				      .gfp = NB_GFP_KERNEL | NB_GFP_NOWARN,
				      .node = -1,
				      .touch = NB_LOAD_TOUCH_ALL};
}

static int64_t run(uint64_t first, uint64_t end, uint64_t *result_out)
{
	const uint64_t arg[] = {block, ORDER, first, end, slots, 0, 0};

	return call(NB_OP_LOAD, arg, 7, result_out);
}

/* The guest's structures and tables are right. */
static void audit(void)
{
	struct inspector *inspector;
	struct audit_result found;
	struct error error = {""};
	struct audit *one = audit_create();

	ck_assert_int_eq(inspector_create_for_guest(guest, &inspector, &error), 0);
	ck_assert_int_eq(audit_run(one, inspector, AUDIT_ALL, 1, &found), 0);
	ck_assert_uint_eq(found.violations, 0);
	inspector_destroy(inspector);
	audit_destroy(one);
}

START_TEST(blocks_that_are_not_the_hosts_are_refused)
{
	const uint64_t args[][7] = {
		{block + 1, ORDER, 0, 0, slots, 0, 0}, {block, ORDER + 1, 0, 0, slots, 0, 0},
		{0, ORDER, 0, 0, slots, 0, 0},         {UINT64_MAX, ORDER, 0, 0, slots, 0, 0},
		{block, 64, 0, 0, slots, 0, 0},        {block, ORDER, 0, 0, slots + 1, 0, 0},
		{block, ORDER, 1, 0, slots, 0, 0},     {block, ORDER, 0, 1 << 20, slots, 0, 0},
		{slots, 0, 0, 0, slots, 0, 1},
	};
	const uint64_t nobody[] = {block, ORDER, 0, 0, slots, 0, 77};

	for (size_t i = 0; i < sizeof(args) / sizeof(args[0]); i++)
		ck_assert_msg(call(NB_OP_LOAD, args[i], 7, NULL) < 0, "case %zu", i);
	ck_assert_int_eq(call(NB_OP_LOAD, nobody, 7, NULL), -ESRCH);
	ck_assert_int_eq(run(0, 0, NULL), 0);
	audit();
}
END_TEST

START_TEST(classes_that_make_no_sense_are_refused)
{
	struct nb_load_class classes[9];

	for (size_t i = 0; i < 9; i++)
		classes[i] = good_class();
	classes[0].align = 3;
	classes[1].prot = 0;
	classes[2].prot = NB_PAGE_KERNEL & ~2ull; /* read-only, and to be written to */
	classes[3].flags = ~0ull;
	classes[4].node = 7;
	classes[5].end = classes[5].start;
	classes[6].start = NB_DIRECT_BASE;
	classes[6].end = NB_VMALLOC_END;
	classes[7].touch = 3;
	classes[8].reserved = 1;
	for (size_t i = 0; i < 9; i++) {
		put(offsetof(struct nb_load, classes), &classes[i], sizeof(classes[i]));
		ck_assert_msg(run(0, 0, NULL) == -EINVAL, "class %zu", i);
	}
}
END_TEST

START_TEST(an_instruction_is_done_once_or_refused)
{
	const struct nb_load_class class = good_class();
	const struct nb_load_instruction code[] = {
		{.op = NB_LOAD_ALLOC, .tag = 1, .slot = 3, .pages = 2},
		{.op = NB_LOAD_ALLOC, .tag = 2, .slot = 3, .pages = 2}, /* the slot is taken */
		{.op = NB_LOAD_FREE, .tag = 1, .slot = 3, .pages = 2},
		{.op = NB_LOAD_ALLOC, .tag = 0, .slot = 3, .pages = 2},
		{.op = NB_LOAD_ALLOC, .tag = 1, .slot = 512, .pages = 2},
		{.op = NB_LOAD_ALLOC, .tag = 1, .slot = 3, .pages = 2, .class_index = 1},
		{.op = NB_LOAD_MAP, .tag = 1, .slot = 3, .pages = 2}, /* there is no process */
		{.op = NB_LOAD_OPS, .tag = 1, .slot = 3, .pages = 2},
		{.op = NB_LOAD_ALLOC, .tag = 1, .slot = 3, .pages = 0},
	};
	const uint64_t gone[] = {block, ORDER};
	struct nb_load_instruction stamped;
	uint64_t result[4];

	put(offsetof(struct nb_load, classes), &class, sizeof(class));
	put(offsetof(struct nb_load, code), code, sizeof(code));
	ck_assert_int_eq(run(0, 2, result), -EINVAL);
	ck_assert_uint_eq(result[1], 1);
	ck_assert_int_eq(run(2, 3, result), 0);
	ck_assert_uint_eq(result[1], 1);
	for (uint64_t i = 3; i < 9; i++)
		ck_assert_msg(run(i, i + 1, NULL) == -EINVAL, "instruction %u", (unsigned int)i);
	ck_assert_int_eq(gpa_space_read(guest_space(guest),
					gpa_make((block << 12) + offsetof(struct nb_load, code)),
					&stamped, sizeof(stamped)),
			 0);
	ck_assert_uint_gt(stamped.user, 100);
	audit();
	/* Held only while it runs. */
	ck_assert_int_eq(call(NB_OP_FREE_PAGES, gone, 2, NULL), 0);
	ck_assert_int_eq(run(0, 0, NULL), -EINVAL);
}
END_TEST

/* Frees that would wait for ever are left out: a word of a slot is made to fit instead. */
START_TEST(random_instructions_do_no_harm)
{
	unsigned int seed = (unsigned int)_i + 1;
	const struct nb_load_class class = good_class();
	struct nb_load_instruction code[COUNT];
	uint16_t tags[8] = {0};

	put(offsetof(struct nb_load, classes), &class, sizeof(class));
	for (unsigned int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < COUNT; i++) {
			uint32_t slot = (uint32_t)rand_r(&seed) % 8;

			code[i] = (struct nb_load_instruction){
				.op = (uint8_t)(rand_r(&seed) % 4),
				.tag = (uint16_t)(tags[slot] ? tags[slot] : 1),
				.slot = slot,
				.pages = (uint32_t)rand_r(&seed) % 9,
				.user = (uint32_t)rand_r(&seed)};
			if (code[i].op == NB_LOAD_FREE || code[i].op == NB_LOAD_RELEASE) {
				if (!tags[slot])
					code[i].op = NB_LOAD_PURGE;
				tags[slot] = 0;
			} else if (!tags[slot] && code[i].pages) {
				tags[slot] = code[i].tag;
			}
		}
		put(offsetof(struct nb_load, code), code, sizeof(code));
		for (uint64_t i = 0; i < COUNT; i++) {
			int64_t status = run(i, i + 1, NULL);

			ck_assert_msg(status == 0 || status == -EINVAL, "%d", (int)status);
		}
	}
	audit();
}
END_TEST

static void end(void)
{
	guest_destroy(guest);
}

int main(void)
{
	Suite *suite = suite_create("load");
	TCase *tcase = tcase_create("load");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, blocks_that_are_not_the_hosts_are_refused);
	tcase_add_test(tcase, classes_that_make_no_sense_are_refused);
	tcase_add_test(tcase, an_instruction_is_done_once_or_refused);
	tcase_add_loop_test(tcase, random_instructions_do_no_harm, 0, 2);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
