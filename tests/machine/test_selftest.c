/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nestbox selftest, run as a program: on the guest as it is every row is ok; on a guest in which
 * one function was spoilt, that function's row is not, and the exit status says so.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/harness.h"
#include "vmm/image/image.h"

/* A function that returns 0 at once, or that is another one. */
static const struct {
	const char *function;
	const char *instead; /* NULL: return 0 */
	const char *row;
} mutants[] = {
	{"pt_unmap", NULL, "vunmap_pte_range"},
	{"vunmap", NULL, "vunmap"},
	{"free_vm_area", NULL, "free_vm_area"},
	{"vread", NULL, "vread"},
	{"vmalloc_32", "vmalloc", "vmalloc_32"},
	{"vmalloc_user", "vmalloc", "vmalloc_user"},
	{"vmalloc_exec", "vmalloc", "vmalloc_exec"},
	{"vmalloc_sync_all", NULL, "vmalloc_sync_all"},
	{"interrupt_refuse", NULL, "BUG_ON(in_interrupt())"},
};

static struct image image;

/* Runs it and returns its JSON and exit status. */
static json_t *selftest(const char *options, int *status_out)
{
	char command[256];
	json_error_t error;
	json_t *json;
	FILE *pipe;

	snprintf(command, sizeof(command), "./nestbox selftest --json --kvm %s %s",
		 harness_engine_name(), options);
	pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	json = json_loadf(pipe, 0, &error);
	*status_out = pclose(pipe);
	ck_assert_msg(json != NULL, "%s: no JSON: %s", command, error.text);
	ck_assert(WIFEXITED(*status_out));
	*status_out = WEXITSTATUS(*status_out);
	return json;
}

static json_t *find_row(json_t *json, const char *name)
{
	json_t *rows = json_object_get(json, "functions"), *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0)
			return row;
	}
	ck_abort_msg("there is no row %s", name);
}

static json_int_t number(json_t *row, const char *key)
{
	ck_assert_msg(json_is_integer(json_object_get(row, key)), "no number '%s'", key);
	return json_integer_value(json_object_get(row, key));
}

START_TEST(every_row_is_ok_and_every_call_audited)
{
	int status;
	json_t *json = selftest("", &status), *rows = json_object_get(json, "functions"), *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		const char *name = json_string_value(json_object_get(row, "name"));

		ck_assert_msg(json_is_true(json_object_get(row, "ok")), "%s: %s", name,
			      json_string_value(json_object_get(row, "why")));
		ck_assert_str_eq(json_string_value(json_object_get(row, "why")), "");
		ck_assert_int_gt(number(row, "calls"), 3);
		ck_assert_int_eq(number(row, "calls"), number(row, "audits"));
		ck_assert_int_eq(number(row, "violations"), 0);
	}
	ck_assert_uint_ge(i, 45);
	ck_assert_ptr_nonnull(json_object_get(json_object_get(json, "kvm"), "second_stage"));
	ck_assert_int_eq(status, 0);
	json_decref(json);
}
END_TEST

/* xor %eax, %eax; ret, or a jump to @instead, at the start of @function in @file. */
static void spoil(uint8_t *file, const char *function, const char *instead)
{
	static const uint8_t return_zero[] = {0x31, 0xc0, 0xc3};
	const struct image_symbol *symbol = image_symbol_named(&image, function);
	const struct image_segment *segment;
	uint8_t *code;

	ck_assert_msg(symbol != NULL, "no function %s", function);
	segment = image_segment_find(&image, gva_make(symbol->start));
	code = file + (segment->bytes - image.bytes) + (symbol->start - segment->start.value);
	if (instead) {
		const struct image_symbol *target = image_symbol_named(&image, instead);
		int32_t distance;

		ck_assert_ptr_nonnull(target);
		distance = (int32_t)(target->start - (symbol->start + 5));
		code[0] = 0xe9;
		memcpy(code + 1, &distance, sizeof(distance));
	} else {
		memcpy(code, return_zero, sizeof(return_zero));
	}
}

START_TEST(a_spoilt_function_is_found_by_its_row)
{
	char path[] = "selftest-image-XXXXXX", options[128];
	uint8_t *file = malloc(image.size_bytes);
	int status, fd = mkstemp(path);
	json_t *json, *row;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fd, 0);
	memcpy(file, image.bytes, image.size_bytes);
	spoil(file, mutants[_i].function, mutants[_i].instead);
	ck_assert_int_eq(write(fd, file, image.size_bytes), (ssize_t)image.size_bytes);
	close(fd);
	free(file);
	snprintf(options, sizeof(options), "--image %s --function '%s'", path, mutants[_i].row);
	json = selftest(options, &status);
	unlink(path);
	row = find_row(json, mutants[_i].row);
	printf("%s: %s\n", mutants[_i].function, json_string_value(json_object_get(row, "why")));
	ck_assert(json_is_false(json_object_get(row, "ok")));
	ck_assert_str_ne(json_string_value(json_object_get(row, "why")), "");
	ck_assert_int_eq(status, 1);
	json_decref(json);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("selftest");
	TCase *tcase = tcase_create("selftest");
	struct error error;
	int status = harness_need_kvm();

	if (status)
		return status;
	if (image_load_builtin(&image, &error) != 0) {
		fprintf(stderr, "%s\n", error.text);
		return EXIT_FAILURE;
	}
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, every_row_is_ok_and_every_call_audited);
	tcase_add_loop_test(tcase, a_spoilt_function_is_found_by_its_row, 0,
			    sizeof(mutants) / sizeof(mutants[0]));
	suite_add_tcase(suite, tcase);
	status = harness_run(suite);
	image_unload(&image);
	return status;
}
