/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The language of workloads, distributions, and what compiled programs keep. */
#include <errno.h>
#include <math.h>

#include "tests/harness.h"
#include "tests/scratch.h"
#include "vmm/load/placement.h"
#include "vmm/load/program.h"

static struct input_error error;

static int read_text(const char *text, struct workload *workload)
{
	int err = workload_read(scratch_write(text), workload, &error);

	scratch_remove();
	return err;
}

/* ---- errors have their places ---- */

static const struct {
	const char *text, *place, *what;
} wrong[] = {
	{"", ":1:1:", "begins with 'workload 1'"},
	{"workload 2\n", ":1:10:", "not from 1 to 1"},
	{"workload 1\nclasses a\n", ":2:1:", "no statement of a workload"},
	{"workload 1\ncpus 65\n", ":2:6:", "not from 1 to 64"},
	{"workload 1\ncpus\n", ":2:5:", "a number has to stand here"},
	{"workload 1\ncpus 2 3\n", ":2:8:", "is too much"},
	{"workload 1\nclass a\n size 4Q\n", ":3:7:", "no number"},
	{"workload 1\nclass a\n size uniform 8K..4K\n", ":3:15:", "no range"},
	{"workload 1\nclass a\n size table 4K y 2\n", ":3:16:", "no number"},
	{"workload 1\nclass a\n size deck 4K x 0\n", ":3:17:", "not from 1 to"},
	{"workload 1\nclass a\n size pareto 4K nan\n", ":3:17:", "no shape"},
	{"workload 1\nclass a\n align 3\n", ":3:8:", "power of two"},
	{"workload 1\nclass a\n gfp kernel fast\n", ":3:13:", "not a gfp flag"},
	{"workload 1\nclass a\n size 4K\nclass a\n", ":4:7:", "already"},
	{"workload 1\nclass a/b\n", ":2:7:", "no name"},
	{"workload 1\nclass a\n lifetime 3\nphase p\n use a 1\n", ":2:1:", "has no size"},
	{"workload 1\nclass a\n size 1\nphase p\n use b 1\n", ":5:6:", "no class 'b'"},
	{"workload 1\nclass a\n size 1\nphase p\n use a 4000001\n", ":5:8:", "not from 1 to"},
	{"workload 1\nclass a\n size 1\nphase p\n use a 4000000\n use a 1\n", ":6:8:", "more than"},
	{"workload 1\nclass a\n size 1\nphase p\n use a 9\n repeat 999999\n", ":6:9:", "more than"},
	{"workload 1\nclass a\n size 1\nphase p\n use a 9\n cpus 1\n", ":6:7:", "not from 0 to 0"},
	{"workload 1\nclass a\n size 1\n", ":3:1:", "no phase"},
	{"workload 1\nclass a\n size 1\nphase p\n", ":4:1:", "uses no class"},
	{"workload 1\nclass a\n size 1\n kind user\n free any\nphase p\n use a 1\n",
	 ":2:1:", "who maps"},
};

START_TEST(each_error_says_line_and_column)
{
	struct workload workload;

	ck_assert_int_eq(read_text(wrong[_i].text, &workload), -EINVAL);
	ck_assert_msg(strstr(error.text, wrong[_i].place) && strstr(error.text, wrong[_i].what),
		      "%s: wanted %s %s", error.text, wrong[_i].place, wrong[_i].what);
}
END_TEST

/* ---- distributions ---- */

START_TEST(a_deck_deals_every_card_as_often_as_it_has_weight)
{
	struct draw_entry entries[] = {{1, 1, 5}, {2, 2, 3}, {7, 9, 2}};
	struct draw draw = {.kind = DRAW_DECK, .entries = entries, .nr_entries = 3, .weight = 10};
	struct draw_random random;
	unsigned int ones = 0, twos = 0;
	uint64_t value;

	draw_seed(&random, 1);
	for (int i = 0; i < 30; i++) {
		ck_assert_int_eq(draw_next(&draw, &random, &value), 0);
		ones += value == 1;
		twos += value == 2;
	}
	ck_assert_uint_eq(ones, 15);
	ck_assert_uint_eq(twos, 9);
	draw_restart(&draw);
}
END_TEST

/* Means of 100,000 draws, each within five standard errors of what it should be. */
START_TEST(distributions_have_their_means)
{
	static const struct {
		struct draw draw;
		double mean, deviation;
	} cases[] = {
		{{.kind = DRAW_UNIFORM, .low = 10, .high = 30}, 20, 6.06},
		{{.kind = DRAW_EXPONENTIAL, .low = 0, .high = 1 << 30, .mean = 1000}, 1000, 1000},
		{{.kind = DRAW_PARETO, .low = 1000, .high = 1 << 30, .mean = 3}, 1500, 866},
	};
	struct draw draw = cases[_i].draw;
	struct draw_random random;
	double sum = 0;
	uint64_t value;

	draw_seed(&random, 42);
	for (int i = 0; i < 100000; i++) {
		ck_assert_int_eq(draw_next(&draw, &random, &value), 0);
		sum += (double)value;
	}
	ck_assert_double_le(fabs(sum / 100000 - cases[_i].mean), 5 * cases[_i].deviation / 316);
}
END_TEST

/* ---- programs ---- */

#define HEAD "workload 1\ncpus 3\nseed 5\n"
static const char mixed[] =
	HEAD "class a\n size uniform 1..64K\n lifetime exponential 50\n free any\n"
	     "class b\n kind reserve\n size 8K\n lifetime pareto 2 1.5\n"
	     "class c\n kind user\n size 4K\n lifetime phase\n"
	     "setup s\n use a 20 lifetime forever\n use b 20 lifetime phase\n"
	     "phase p\n use a 9000\n use b 300\n use c 200\n purges 7\n cpus 0 2\n"
	     "phase q\n use a 100\n repeat 3\n drain\n";

static const struct program_options small = {.part_max = 400, .slots_max = 10000, .every = 1000};

/*
 * Carries a program out, a part at a time, each part's CPUs in the order @first says: what waits
 * for another CPU gives way, and somebody must always go on.
 */
struct machine_model {
	const struct load_program *program;
	uint16_t *tags; /* what is in each slot */
	uint64_t done;
	bool user[10000];
};

static bool run_one(struct machine_model *model, const struct nb_load_instruction *code)
{
	switch ((enum nb_load_op)code->op) {
	case NB_LOAD_ALLOC:
	case NB_LOAD_RESERVE:
		ck_assert_uint_lt(code->slot, model->program->nr_slots);
		ck_assert_msg(!model->tags[code->slot], "slot %u is not empty", code->slot);
		ck_assert(code->tag && code->tag <= NB_LOAD_TAGS && code->pages);
		ck_assert_uint_lt(code->class_index, model->program->nr_classes);
		model->tags[code->slot] = code->tag;
		return true;
	case NB_LOAD_FREE:
	case NB_LOAD_RELEASE:
		if (model->tags[code->slot] != code->tag)
			return false;
		ck_assert(!model->user[code->slot]);
		model->tags[code->slot] = 0;
		return true;
	case NB_LOAD_MAP:
	case NB_LOAD_UNMAP:
		ck_assert_uint_eq(model->tags[code->slot], code->tag);
		ck_assert(model->user[code->slot] == (code->op == NB_LOAD_UNMAP));
		model->user[code->slot] = code->op == NB_LOAD_MAP;
		return true;
	default:
		ck_assert_uint_eq(code->op, NB_LOAD_PURGE);
		return true;
	}
}

static void run_part(struct machine_model *model, const struct program_part *part,
		     unsigned int first)
{
	size_t at[3], left = 0;

	for (unsigned int i = 0; i < 3; i++) {
		at[i] = part->of[i].first;
		left += part->of[i].end - at[i];
		ck_assert_uint_le(part->of[i].end - at[i], small.part_max);
	}
	while (left) {
		size_t before = left;

		for (unsigned int i = 0; i < 3; i++) {
			unsigned int cpu = (first + i) % 3;

			while (at[cpu] < part->of[cpu].end &&
			       run_one(model, &model->program->code[cpu].code[at[cpu]])) {
				at[cpu]++;
				left--;
				model->done++;
			}
		}
		ck_assert_msg(left < before, "every CPU waits for another");
	}
}

START_TEST(a_program_can_be_carried_out_whoever_is_first)
{
	struct machine_model *model = calloc(1, sizeof(*model));
	struct load_program program;
	struct workload workload;

	ck_assert_int_eq(read_text(mixed, &workload), 0);
	ck_assert_int_eq(program_compile(&workload, "w", &small, &program, &error), 0);
	model->program = &program;
	model->tags = calloc(program.nr_slots, sizeof(*model->tags));
	for (size_t i = 0; i < program.nr_parts; i++)
		run_part(model, &program.parts[i], (unsigned int)_i);
	ck_assert_uint_eq(program.allocations, 9840);
	ck_assert_uint_eq(program.frees, 9840);
	ck_assert_uint_eq(program.purges, 8);
	/* Phase p is on CPUs 0 and 2; of the others' classes CPU 1 has what q does. */
	ck_assert_uint_gt(program.code[2].count, 10 * program.code[1].count);
	for (uint32_t i = 0; i < program.nr_slots; i++)
		ck_assert_uint_eq(model->tags[i], 0);
	free(model->tags);
	free(model);
	program_free(&program);
	workload_free(&workload);
}
END_TEST

START_TEST(a_seed_says_everything)
{
	struct load_program first, again, other;
	struct workload workload;

	ck_assert_int_eq(read_text(mixed, &workload), 0);
	ck_assert_int_eq(program_compile(&workload, "w", &small, &first, &error), 0);
	ck_assert_int_eq(program_compile(&workload, "w", &small, &again, &error), 0);
	workload.seed++;
	ck_assert_int_eq(program_compile(&workload, "w", &small, &other, &error), 0);
	ck_assert_uint_eq(first.code[0].count, again.code[0].count);
	ck_assert_mem_eq(first.code[0].code, again.code[0].code,
			 first.code[0].count * sizeof(*first.code[0].code));
	ck_assert(first.code[0].count != other.code[0].count ||
		  memcmp(first.code[0].code, other.code[0].code,
			 first.code[0].count * sizeof(*first.code[0].code)) != 0);
	program_free(&first);
	program_free(&again);
	program_free(&other);
	workload_free(&workload);
}
END_TEST

START_TEST(more_areas_than_slots_are_refused)
{
	const struct program_options few = {.part_max = 400, .slots_max = 10};
	struct load_program program;
	struct workload workload;

	ck_assert_int_eq(read_text(HEAD "class a\n size 1\nphase p\n use a 11\n", &workload), 0);
	ck_assert_int_eq(program_compile(&workload, "w", &few, &program, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "more than 10 areas live at a time"));
	workload_free(&workload);
}
END_TEST

START_TEST(placement_counts_holes_and_no_room)
{
	struct placement_range ranges[] = {{0x5000, 0x7000, 1, false},
					   {0x1000, 0x3000, 1, false},
					   {0x7000, 0x8000, 0, true},
					   {0x100000000000, 0x100000002000, 2, false}};
	struct placement placement;

	placement_measure(ranges, 4, &placement);
	ck_assert_uint_eq(placement.areas, 3);
	ck_assert_uint_eq(placement.pages, 4);
	ck_assert_uint_eq(placement.holes, 1);
	ck_assert_uint_eq(placement.hole_bytes, 0x2000);
	ck_assert_double_eq_tol(placement_fragmentation(&placement), 2. / 9, 1e-12);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("workload");
	TCase *tcase = tcase_create("workload");

	tcase_add_loop_test(tcase, each_error_says_line_and_column, 0,
			    (int)(sizeof(wrong) / sizeof(wrong[0])));
	tcase_add_test(tcase, a_deck_deals_every_card_as_often_as_it_has_weight);
	tcase_add_loop_test(tcase, distributions_have_their_means, 0, 3);
	tcase_add_loop_test(tcase, a_program_can_be_carried_out_whoever_is_first, 0, 3);
	tcase_add_test(tcase, a_seed_says_everything);
	tcase_add_test(tcase, more_areas_than_slots_are_refused);
	tcase_add_test(tcase, placement_counts_holes_and_no_room);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
