/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When areas come, are freed and given back on the page of a replay. */
#include "tests/harness.h"
#include "vmm/nestbox/picture_options.h"

#define START 0xffffc90000000000ull
#define ZONE  (16 * REPLAY_PAGE_BYTES)

static json_int_t when(const json_t *document, const char *key, size_t area)
{
	const json_t *list = json_object_get(json_object_get(document, "areas"), key);

	return json_integer_value(json_array_get(list, area));
}

/* Areas 0 to 3 in a row; purges of node 1, of node 2, of all; the last is given back alone. */
START_TEST(purges_take_what_waits_for_them)
{
	struct replay_area areas[4];
	struct replay_op ops[] = {
		{.type = REPLAY_RESERVE, .area = 0},
		{.type = REPLAY_RESERVE, .area = 1},
		{.type = REPLAY_RESERVE, .area = 2},
		{.type = REPLAY_RESERVE, .area = 3},
		{.type = REPLAY_FREE, .area = 0},
		{.type = REPLAY_FREE, .area = 1},
		{.type = REPLAY_PURGE, .node = 2},
		{.type = REPLAY_FREE, .area = 2},
		{.type = REPLAY_PURGE},
		{.type = REPLAY_FREE, .area = 3},
		{.type = REPLAY_RELEASE, .area = 3},
		{.type = REPLAY_PURGE},
	};
	struct replay_plan plan = {.areas = areas,
				   .area_count = 4,
				   .ops = ops,
				   .op_count = sizeof(ops) / sizeof(ops[0]),
				   .initial_ops = 1,
				   .rules = {.nodes = 2}};
	uint64_t addresses[4];
	struct replay_outcome outcome = {.addresses = addresses};
	struct ftrace_info info = {0};
	struct replay_report report = {.name = "x",
				       .trace_path = "x",
				       .plan = &plan,
				       .trace = &info,
				       .outcome = &outcome,
				       .rules = "x",
				       .kvm_module = "x",
				       .second_stage = "x",
				       .latency_unit = "x"};
	json_t *document;

	/* By its address area 0 is of node 1, and area 1 of node 2; areas 2 and 3 by their flags.
	 */
	for (size_t i = 0; i < 4; i++) {
		addresses[i] = START + i * ZONE;
		areas[i] = (struct replay_area){
			.address = addresses[i], .va_bytes = 8192, .va_node = i < 2 ? 0 : 1};
	}
	document = picture_of_replay(&report);
	ck_assert_ptr_nonnull(document);
	ck_assert_int_eq(when(document, "born", 0), 0);
	ck_assert_int_eq(when(document, "born", 3), 3);
	ck_assert_int_eq(when(document, "freed", 1), 5);
	ck_assert_int_eq(when(document, "gone", 1), 6);
	ck_assert_int_eq(when(document, "gone", 0), 8);
	ck_assert_int_eq(when(document, "gone", 2), 8);
	ck_assert_int_eq(when(document, "gone", 3), 10);
	json_decref(document);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("replay_picture");
	Suite *suite = suite_create("replay_picture");

	tcase_add_test(tcase, purges_take_what_waits_for_them);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
