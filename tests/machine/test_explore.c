/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nestbox explore, run as a program: the guest as it is goes wrong in no order of turns, and the
 * same seed is the same run; in one from which a lock or a flush was taken out it finds an order
 * in which that shows, does it again, and makes it small.
 */
#include <Zydis/Zydis.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/harness.h"
#include "vmm/image/image.h"

/* Enough for each fault below: they need 1 to 6, and about 100 where all orders are tried. */
#define RUNS     "40"
#define RUNS_ALL "200"

static struct image image;
static uint8_t *file;

static json_t *explore(const char *options, int *status_out)
{
	char command[512];
	json_error_t error;
	json_t *json;
	FILE *pipe;

	snprintf(command, sizeof(command), "./nestbox explore --json %s", options);
	pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	json = json_loadf(pipe, 0, &error);
	*status_out = pclose(pipe);
	ck_assert_msg(json != NULL, "%s: no JSON: %s", command, error.text);
	ck_assert(WIFEXITED(*status_out));
	*status_out = WEXITSTATUS(*status_out);
	return json;
}

/* ---- faults ---- */

/* Whether the instruction is one to take out; then @bytes are what stands there instead. */
typedef bool (*plant_fn)(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands,
			 uint8_t *bytes);

/* A lock is taken without a look at whether it is free, nor a mark that it is taken. */
static bool no_lock(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands,
		    uint8_t *bytes)
{
	uint8_t reg = insn->raw.modrm.reg;

	if (insn->mnemonic != ZYDIS_MNEMONIC_XCHG || insn->operand_count_visible != 2 ||
	    (operands[0].type != ZYDIS_OPERAND_TYPE_MEMORY &&
	     operands[1].type != ZYDIS_OPERAND_TYPE_MEMORY) ||
	    (insn->raw.rex.R))
		return false;
	memset(bytes, 0x90, insn->length);
	bytes[0] = 0x31; /* xor reg, reg */
	bytes[1] = (uint8_t)(0xc0 | reg << 3 | reg);
	return true;
}

static bool no_flush(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands,
		     uint8_t *bytes)
{
	bool writes_cr = insn->mnemonic == ZYDIS_MNEMONIC_MOV &&
			 operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
			 operands[0].reg.value == ZYDIS_REGISTER_CR4;

	if (insn->mnemonic != ZYDIS_MNEMONIC_INVLPG && !writes_cr)
		return false;
	memset(bytes, 0x90, insn->length);
	return true;
}

/* Returns how many instructions of @function it took out. */
static unsigned int plant(const char *function, plant_fn take_out)
{
	const struct image_symbol *symbol = image_symbol_named(&image, function);
	const struct image_segment *segment;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	ZydisDecoder decoder;
	unsigned int planted = 0;
	uint8_t *code;

	ck_assert_msg(symbol != NULL, "no function %s", function);
	segment = image_segment_find(&image, gva_make(symbol->start));
	code = file + (segment->bytes - image.bytes) + (symbol->start - segment->start.value);
	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	for (uint64_t at = 0; at < symbol->end - symbol->start; at += insn.length) {
		ck_assert(ZYAN_SUCCESS(ZydisDecoderDecodeFull(
			&decoder, code + at, symbol->end - symbol->start - at, &insn, operands)));
		planted += take_out(&insn, operands, code + at);
	}
	return planted;
}

static void is_found(const char *function, plant_fn take_out, const char *how, const char *kind)
{
	char path[256], options[512];
	json_t *json, *failure;
	const char *found;
	FILE *out;
	int status;

	ck_assert_msg(plant(function, take_out) > 0, "nothing to take out of %s", function);
	snprintf(path, sizeof(path), "test_explore.%d.image", (int)getpid());
	out = fopen(path, "w");
	ck_assert_ptr_nonnull(out);
	ck_assert_uint_eq(fwrite(file, 1, image.size_bytes, out), image.size_bytes);
	ck_assert_int_eq(fclose(out), 0);
	snprintf(options, sizeof(options), "%s --image %s", how, path);
	json = explore(options, &status);
	remove(path);
	ck_assert_int_eq(status, 1);
	failure = json_object_get(json, "failure");
	ck_assert_ptr_nonnull(failure);
	ck_assert(json_is_true(json_object_get(failure, "reproduced")));
	ck_assert_uint_ge(json_array_size(json_object_get(failure, "operations")), 1);
	ck_assert_uint_le(json_array_size(json_object_get(failure, "operations")), 12);
	ck_assert(json_is_array(json_object_get(failure, "turns")));
	found = json_string_value(json_object_get(failure, "kind"));
	ck_assert_msg(strncmp(found, kind, strlen(kind)) == 0, "%s", found);
	json_decref(json);
}

/* ---- tests ---- */

static void setup(void)
{
	struct error error;

	ck_assert_msg(image_load_builtin(&image, &error) == 0, "%s", error.text);
	file = malloc(image.size_bytes);
	ck_assert_ptr_nonnull(file);
	memcpy(file, image.bytes, image.size_bytes);
}

static void teardown(void)
{
	free(file);
	image_unload(&image);
}

START_TEST(two_frees_of_one_area_in_flight)
{
	is_found("vmap_claim", no_lock, "--runs " RUNS, "check race");
}
END_TEST

START_TEST(lock_of_the_free_tree_left_out)
{
	is_found("vmap_alloc", no_lock, "--runs " RUNS, "check race");
}
END_TEST

START_TEST(flush_of_one_cpu_forgotten)
{
	is_found("tlb_answer", no_flush, "--runs " RUNS, "check stale");
}
END_TEST

/* What a lock left out does, and not that it is left out. */
START_TEST(harm_is_found_too)
{
	is_found("vmap_claim", no_lock, "--check stale,freed,wx,guard,stack --runs 400", "audit");
}
END_TEST

START_TEST(all_orders_find_two_frees_of_one_area)
{
	is_found("vmap_claim", no_lock, "--switches 1 --runs " RUNS_ALL, "check race");
}
END_TEST

START_TEST(all_orders_find_the_lock_left_out)
{
	is_found("vmap_alloc", no_lock, "--switches 1 --runs " RUNS_ALL, "check race");
}
END_TEST

/* Each order once: with no switch there is one, with one as many as there are points. */
START_TEST(all_orders_are_run)
{
	static const struct {
		const char *options;
		json_int_t runs, finished;
	} all[] = {{"--switches 0 --rounds 1 --runs 3", 3, 3},
		   {"--switches 0 --rounds 3 --runs 1", 1, 1},
		   {"--switches 8 --cpus 1 --runs 4", 4, 2},
		   {"--switches 1 --rounds 1 --runs 90", 90, 1}};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int status;
		json_t *json = explore(all[i].options, &status);
		json_t *search = json_object_get(json, "exhaustive");

		ck_assert_int_eq(status, 0);
		ck_assert_int_eq(json_integer_value(json_object_get(json, "runs")), all[i].runs);
		ck_assert_int_eq(json_integer_value(json_object_get(search, "finished")),
				 all[i].finished);
		json_decref(json);
	}
}
END_TEST

static json_int_t instructions(const char *options)
{
	int status;
	json_t *json = explore(options, &status);
	json_int_t count = json_integer_value(json_object_get(json, "instructions"));

	ck_assert_int_eq(status, 0);
	ck_assert_int_gt(count, 0);
	json_decref(json);
	return count;
}

START_TEST(guest_as_it_is_goes_wrong_in_no_order)
{
	ck_assert_int_eq(instructions("--runs 20 --cpus 3"), instructions("--runs 20 --cpus 3"));
	ck_assert_int_ne(instructions("--runs 10 --seed 1000"), instructions("--runs 10"));
	instructions("--runs 5 --cpus 8 --pct 3");
}
END_TEST

START_TEST(shards_share_the_seeds)
{
	json_int_t one = instructions("--runs 5 --shard 1/2"),
		   two = instructions("--runs 5 --shard 2/2");

	ck_assert_int_eq(one + two, instructions("--runs 10"));
}
END_TEST

START_TEST(bad_options_are_refused)
{
	static const char *const bad[] = {"--shard 0/2",
					  "--shard 3/2",
					  "--shard 1",
					  "--runs 0",
					  "--cpus 9",
					  "--kvm host",
					  "--pct 0",
					  "--check rase",
					  "--switches 9",
					  "--switches 1 --pct 2",
					  "--switches 1 --check stale"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char command[256];
		int status;

		snprintf(command, sizeof(command), "./nestbox explore %s >/dev/null 2>&1", bad[i]);
		status = system(command);
		ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 2, "%s: %#x", bad[i],
			      status);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("explore");
	TCase *tcase = tcase_create("command");

	tcase_set_timeout(tcase, 300);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, two_frees_of_one_area_in_flight);
	tcase_add_test(tcase, lock_of_the_free_tree_left_out);
	tcase_add_test(tcase, flush_of_one_cpu_forgotten);
	tcase_add_test(tcase, harm_is_found_too);
	tcase_add_test(tcase, all_orders_find_two_frees_of_one_area);
	tcase_add_test(tcase, all_orders_find_the_lock_left_out);
	tcase_add_test(tcase, all_orders_are_run);
	tcase_add_test(tcase, guest_as_it_is_goes_wrong_in_no_order);
	tcase_add_test(tcase, shards_share_the_seeds);
	tcase_add_test(tcase, bad_options_are_refused);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
