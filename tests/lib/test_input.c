/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines and numbers from files nobody vouches for, and the table of 64-bit keys. */
#include "tests/harness.h"
#include "tests/top.h"

#include <errno.h>
#include <sys/stat.h>

#include "tests/scratch.h"
#include "lib/input.h"
#include "lib/u64_map.h"

static struct input_error error;

/* Reads @bytes to the end or an error. Returns the last answer, the lines in *@lines_out. */
static int read_all(const void *bytes, size_t size, unsigned long *lines_out)
{
	struct line_reader reader;
	char *line;
	int ret;

	ck_assert_int_eq(line_reader_open(&reader, scratch_write_bytes(bytes, size), &error), 0);
	while ((ret = line_reader_next(&reader, &line, &error)) > 0)
		;
	*lines_out = reader.line;
	line_reader_close(&reader);
	scratch_remove();
	return ret;
}

START_TEST(every_line_arrives_whole_across_buffer_borders)
{
	struct line_reader reader;
	char text[64], *line, *all;
	size_t size = 0;
	FILE *file = open_memstream(&all, &size);
	int i;

	for (i = 0; i < 20000; i++)
		fprintf(file, "%d%.*s\n", i, i % 40, "........................................");
	fclose(file);
	ck_assert_int_eq(line_reader_open(&reader, scratch_write_bytes(all, size), &error), 0);
	for (i = 0; i < 20000; i++) {
		ck_assert_int_eq(line_reader_next(&reader, &line, &error), 1);
		snprintf(text, sizeof(text), "%d%.*s", i, i % 40,
			 "........................................");
		ck_assert_str_eq(line, text);
		ck_assert_uint_eq(reader.line, (unsigned long)i + 1);
	}
	ck_assert_int_eq(line_reader_next(&reader, &line, &error), 0);
	line_reader_close(&reader);
	scratch_remove();
	free(all);
}
END_TEST

START_TEST(last_line_without_newline_is_cut_short)
{
	unsigned long lines;

	ck_assert_int_eq(read_all("a\nb", 3, &lines), -EINVAL);
	assert_error(error.text, scratch_path, 2, "cut short");
}
END_TEST

START_TEST(nul_byte_is_refused)
{
	unsigned long lines;

	ck_assert_int_eq(read_all("a\nb\0c\n", 6, &lines), -EINVAL);
	assert_error(error.text, scratch_path, 2, "NUL byte");
}
END_TEST

START_TEST(crlf_is_refused)
{
	unsigned long lines;

	ck_assert_int_eq(read_all("a\r\nb\r\n", 6, &lines), -EINVAL);
	assert_error(error.text, scratch_path, 1, "CR LF");
}
END_TEST

/* Lengths around the limit; the newline counts. */
START_TEST(line_length_limit_is_exact)
{
	static char text[3 * INPUT_LINE_MAX];
	unsigned long lines;
	size_t length;

	for (length = INPUT_LINE_MAX - 2; length < INPUT_LINE_MAX + 2; length++) {
		memset(text, 'x', sizeof(text));
		text[0] = '\n';
		text[length + 1] = '\n';
		if (length + 1 <= INPUT_LINE_MAX) {
			ck_assert_int_eq(read_all(text, length + 2, &lines), 0);
			ck_assert_uint_eq(lines, 2);
		} else {
			ck_assert_int_eq(read_all(text, length + 2, &lines), -EINVAL);
			assert_error(error.text, scratch_path, 2, "longer than");
		}
	}
	memset(text, 'x', sizeof(text));
	ck_assert_int_eq(read_all(text, sizeof(text), &lines), -EINVAL);
	assert_error(error.text, scratch_path, 1, "longer than");
}
END_TEST

START_TEST(what_cannot_be_opened_is_named)
{
	struct line_reader reader;

	ck_assert_int_eq(line_reader_open(&reader, "/nonexistent/trace", &error), -ENOENT);
	assert_error(error.text, "/nonexistent/trace", 0, "No such file");
	ck_assert_int_eq(line_reader_open(&reader, test_top(), &error), -EINVAL);
	assert_error(error.text, test_top(), 0, "directory");
}
END_TEST

/* Neither a FIFO nobody writes to nor a device that never ends keeps the reader. */
START_TEST(what_is_no_file_is_refused_at_once)
{
	struct line_reader reader;
	const char *path = scratch_write("");

	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(line_reader_open(&reader, path, &error), -EINVAL);
	assert_error(error.text, path, 0, "this is a FIFO, not a file");
	scratch_remove();
	ck_assert_int_eq(line_reader_open(&reader, "/dev/zero", &error), -EINVAL);
	assert_error(error.text, "/dev/zero", 0, "this is a device, not a file");
}
END_TEST

/* A pipe's bytes come in pieces; lines do not care. */
START_TEST(a_pipe_is_read_by_lines)
{
	struct line_reader reader;
	int ends[2], i;
	char *line;

	ck_assert_int_eq(pipe(ends), 0);
	if (fork() == 0) {
		for (i = 0; i < 1000; i++)
			dprintf(ends[1], "line %d of %s", i, "pieces\n");
		_exit(0);
	}
	close(ends[1]);
	ck_assert_int_eq(line_reader_open_fd(&reader, ends[0], "pipe", &error), 0);
	for (i = 0; i < 1000; i++) {
		ck_assert_int_eq(line_reader_next(&reader, &line, &error), 1);
		ck_assert_int_eq(atoi(line + 5), i);
	}
	ck_assert_int_eq(line_reader_next(&reader, &line, &error), 0);
	line_reader_close(&reader);
}
END_TEST

START_TEST(error_text_holds_no_control_characters)
{
	input_fail(&error, "f", 3, "word '%s'", "\x1b[31m\xff!");
	ck_assert_str_eq(error.text, "f:3: word '?[31m?!'");
}
END_TEST

static const struct {
	const char *text;
	enum number_error error;
	uint64_t value;
} numbers[] = {
	{"0", NUMBER_OK, 0},
	{"18446744073709551615", NUMBER_OK, UINT64_MAX},
	{"18446744073709551616", NUMBER_OUT_OF_RANGE, 0},
	{"99999999999999999999999999", NUMBER_OUT_OF_RANGE, 0},
	{"0xffffffffffffffff", NUMBER_OK, UINT64_MAX},
	{"0x10000000000000000", NUMBER_OUT_OF_RANGE, 0},
	{"0XaB", NUMBER_OK, 0xab},
	{"", NUMBER_MALFORMED, 0},
	{"0x", NUMBER_MALFORMED, 0},
	{"-1", NUMBER_MALFORMED, 0},
	{"+1", NUMBER_MALFORMED, 0},
	{" 1", NUMBER_MALFORMED, 0},
	{"1 ", NUMBER_MALFORMED, 0},
	{"12g", NUMBER_MALFORMED, 0},
	{"ff", NUMBER_MALFORMED, 0},
	{"99999999999999999999999999x", NUMBER_MALFORMED, 0},
};

START_TEST(numbers_are_read_strictly)
{
	uint64_t value = 77;

	ck_assert_int_eq(number_parse(numbers[_i].text, strlen(numbers[_i].text), &value),
			 numbers[_i].error);
	ck_assert_uint_eq(value, numbers[_i].error ? 77 : numbers[_i].value);
}
END_TEST

START_TEST(hexadecimal_needs_no_prefix)
{
	uint64_t value = 77;

	ck_assert_int_eq(number_parse_hex("cff68000", 8, &value), NUMBER_OK);
	ck_assert_uint_eq(value, 0xcff68000);
	ck_assert_int_eq(number_parse_hex("0x10", 4, &value), NUMBER_OK);
	ck_assert_uint_eq(value, 0x10);
	ck_assert_int_eq(number_parse_hex("10", 2, &value), NUMBER_OK);
	ck_assert_uint_eq(value, 0x10);
	ck_assert_int_eq(number_parse_hex("0x", 2, &value), NUMBER_MALFORMED);
	ck_assert_int_eq(number_parse_hex("", 0, &value), NUMBER_MALFORMED);
	ck_assert_int_eq(number_parse_hex("g", 1, &value), NUMBER_MALFORMED);
	ck_assert_int_eq(number_parse_hex("10000000000000000", 17, &value), NUMBER_OUT_OF_RANGE);
	ck_assert_uint_eq(value, 0x10);
}
END_TEST

START_TEST(signed_numbers_are_read_strictly)
{
	int64_t value = 77;

	ck_assert_int_eq(number_parse_signed("-1", 2, &value), NUMBER_OK);
	ck_assert_int_eq(value, -1);
	ck_assert_int_eq(number_parse_signed("12", 2, &value), NUMBER_OK);
	ck_assert_int_eq(value, 12);
	ck_assert_int_eq(number_parse_signed("-", 1, &value), NUMBER_MALFORMED);
	ck_assert_int_eq(number_parse_signed("--1", 3, &value), NUMBER_MALFORMED);
	ck_assert_int_eq(number_parse_signed("-0x1", 4, &value), NUMBER_MALFORMED);
	ck_assert_int_eq(number_parse_signed("9223372036854775808", 19, &value),
			 NUMBER_OUT_OF_RANGE);
	ck_assert_int_eq(value, 12);
}
END_TEST

/* Against the obvious array; keys collide often, being addresses that differ in few bits. */
START_TEST(map_remembers_every_key)
{
	static uint32_t expected[5000];
	struct u64_map map = {0};
	uint32_t i;

	ck_assert_uint_eq(u64_map_get(&map, 0), U64_MAP_NONE);
	for (i = 0; i < 20000; i++) {
		expected[i % 5000] = i;
		ck_assert_int_eq(
			u64_map_set(&map, 0xffffc90000000000 + (uint64_t)(i % 5000) * 4096, i), 0);
	}
	ck_assert_uint_eq(map.count, 5000);
	for (i = 0; i < 5000; i++)
		ck_assert_uint_eq(u64_map_get(&map, 0xffffc90000000000 + (uint64_t)i * 4096),
				  expected[i]);
	ck_assert_uint_eq(u64_map_get(&map, 0xffffc90000000001), U64_MAP_NONE);
	u64_map_clear(&map);
	ck_assert_uint_eq(u64_map_get(&map, 0xffffc90000000000), U64_MAP_NONE);
}
END_TEST

static Suite *input_suite(void)
{
	Suite *suite = suite_create("input");
	TCase *lines = tcase_create("lines"), *values = tcase_create("numbers");

	tcase_add_test(lines, every_line_arrives_whole_across_buffer_borders);
	tcase_add_test(lines, last_line_without_newline_is_cut_short);
	tcase_add_test(lines, nul_byte_is_refused);
	tcase_add_test(lines, crlf_is_refused);
	tcase_add_test(lines, line_length_limit_is_exact);
	tcase_add_test(lines, what_cannot_be_opened_is_named);
	tcase_add_test(lines, what_is_no_file_is_refused_at_once);
	tcase_add_test(lines, a_pipe_is_read_by_lines);
	tcase_add_test(lines, error_text_holds_no_control_characters);
	suite_add_tcase(suite, lines);
	tcase_add_loop_test(values, numbers_are_read_strictly, 0,
			    sizeof(numbers) / sizeof(numbers[0]));
	tcase_add_test(values, signed_numbers_are_read_strictly);
	tcase_add_test(values, hexadecimal_needs_no_prefix);
	tcase_add_test(values, map_remembers_every_key);
	suite_add_tcase(suite, values);
	return suite;
}

int main(void)
{
	return harness_run(input_suite());
}
