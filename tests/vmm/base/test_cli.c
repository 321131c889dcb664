/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command lines: what is taken, what is refused, and what is said about it. */
#include "tests/harness.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/cli.h"

static bool json;
static uint64_t cpus, memory;
static const char *socket_path;
static int custom;

static int parse_custom(const char *text, void *value)
{
	if (strcmp(text, "good"))
		return -EINVAL;
	*(int *)value = 42;
	return 0;
}

static const struct cli_option options[] = {
	CLI_OPTION_JSON(&json),
	{.name = "cpus",
	 .letter = 'c',
	 .kind = CLI_NUMBER,
	 .argument = "N",
	 .help = "virtual CPUs",
	 .value = &cpus,
	 .min = 1,
	 .max = 64},
	{.name = "memory",
	 .kind = CLI_SIZE,
	 .argument = "SIZE",
	 .help = "guest memory,\nsparse",
	 .value = &memory,
	 .min = 16 << 20,
	 .max = UINT64_C(1) << 46},
	{.name = "socket",
	 .kind = CLI_TEXT,
	 .argument = "PATH",
	 .help = "where to listen",
	 .value = &socket_path},
	{.name = "mode",
	 .kind = CLI_CUSTOM,
	 .argument = "MODE",
	 .help = "good",
	 .value = &custom,
	 .parse = parse_custom,
	 .expects = "good"},
	{.name = NULL},
};

static const struct cli_command command = {.name = "nestbox test",
					   .operands = "DIR...",
					   .summary = "Tests command lines.",
					   .options = options,
					   .min_operands = 1,
					   .max_operands = 2};

static char said[4096];

/* Runs cli_parse() on the words of @line; what it prints on @fd goes to said. */
static bool parse(const char *line, int fd, int *operand_out, enum cli_status *status_out)
{
	static char copy[512];
	char *argv[16], *rest = NULL, *word;
	int saved = dup(fd), argc = 1;
	FILE *file = tmpfile();
	size_t got;
	bool ret;

	json = false;
	cpus = memory = 7;
	socket_path = NULL;
	custom = 0;
	strcpy(copy, line);
	argv[0] = (char *)"nestbox";
	for (word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	argv[argc] = NULL;
	fflush(NULL);
	dup2(fileno(file), fd);
	ret = cli_parse(&command, argc, argv, operand_out, status_out);
	fflush(NULL);
	dup2(saved, fd);
	close(saved);
	rewind(file);
	got = fread(said, 1, sizeof(said) - 1, file);
	said[got] = '\0';
	fclose(file);
	if (ret)
		ck_assert_str_eq(argv[*operand_out], "dir");
	return ret;
}

START_TEST(options_of_every_kind_are_taken)
{
	enum cli_status status;
	int operand;

	ck_assert(parse("dir --json -c 4 --memory=2G --socket /run/x --mode good", STDERR_FILENO,
			&operand, &status));
	ck_assert(json);
	ck_assert_uint_eq(cpus, 4);
	ck_assert_uint_eq(memory, UINT64_C(2) << 30);
	ck_assert_str_eq(socket_path, "/run/x");
	ck_assert_int_eq(custom, 42);
	ck_assert_str_eq(said, "");
	ck_assert(parse("--cpus 64 -- dir --json", STDERR_FILENO, &operand, &status));
	ck_assert(!json);
	ck_assert_uint_eq(cpus, 64);
}
END_TEST

static const struct {
	const char *line;
	const char *what;
} refused[] = {
	{"", "nestbox test: missing operand: DIR..."},
	{"a b c", "nestbox test: too many operands"},
	{"--frobnicate dir", "nestbox test: unknown option '--frobnicate'"},
	{"dir -x", "unknown option '-x'"},
	{"dir --cpus", "option '--cpus' needs an argument"},
	{"dir -c", "option '-c' needs an argument"},
	{"--json=yes dir", "option '--json=yes' takes no argument"},
	{"--cpus 0 dir", "--cpus 0: less than the smallest that makes sense, 1"},
	{"--cpus 65 dir", "--cpus 65: more than the largest that makes sense, 64"},
	{"--cpus -1 dir", "--cpus -1: not a number"},
	{"--cpus 0x2 dir", "--cpus 0x2: not a number"},
	{"--cpus 4x dir", "--cpus 4x: not a number"},
	{"--cpus= dir", "--cpus : not a number"},
	{"--cpus 99999999999999999999 dir", "--cpus 99999999999999999999: out of range"},
	{"--memory 1K dir", "--memory 1K: less than the smallest that makes sense, 16 MiB"},
	{"--memory 0 dir", "less than the smallest"},
	{"--memory 128T dir", "--memory 128T: more than the largest that makes sense, 64 TiB"},
	{"--memory 99999999T dir", "--memory 99999999T: out of range"},
	{"--memory 1P dir", "--memory 1P: not a size"},
	{"--memory -1G dir", "--memory -1G: not a size"},
	{"--memory 1.5G dir", "--memory 1.5G: not a size"},
	{"--mode bad dir", "--mode bad: expected good"},
};

START_TEST(bad_usage_is_status_2_with_the_culprit_named)
{
	enum cli_status status;
	int operand;

	ck_assert(!parse(refused[_i].line, STDERR_FILENO, &operand, &status));
	ck_assert_int_eq(status, CLI_BAD_INPUT);
	ck_assert_msg(strstr(said, refused[_i].what) != NULL, "\"%s\" does not say \"%s\"", said,
		      refused[_i].what);
	ck_assert(!strncmp(said, "nestbox test: ", 14));
}
END_TEST

START_TEST(help_shows_every_option_and_the_exit_statuses)
{
	enum cli_status status;
	const struct cli_option *option;
	int operand;

	ck_assert(!parse("--help", STDOUT_FILENO, &operand, &status));
	ck_assert_int_eq(status, CLI_DONE);
	ck_assert(!strncmp(said, "Usage: nestbox test [OPTION...] DIR...\n", 39));
	for (option = options; option->name; option++)
		ck_assert_ptr_nonnull(strstr(said, option->name));
	ck_assert_ptr_nonnull(strstr(said, "  -c, --cpus N            virtual CPUs\n"));
	ck_assert_ptr_nonnull(strstr(said, "guest memory,\n                          sparse\n"));
	ck_assert_ptr_nonnull(strstr(said, "Exit status: 0 done and right; 1"));
	ck_assert(!parse("-h", STDOUT_FILENO, &operand, &status));
	ck_assert_int_eq(status, CLI_DONE);
}
END_TEST

START_TEST(version_is_one_line)
{
	enum cli_status status;
	int operand;

	ck_assert(!parse("--version", STDOUT_FILENO, &operand, &status));
	ck_assert_int_eq(status, CLI_DONE);
	ck_assert(!strncmp(said, "nestbox ", 8));
	ck_assert_ptr_eq(strchr(said, '\n'), said + strlen(said) - 1);
}
END_TEST

static const struct {
	const char *text;
	int err;
	uint64_t bytes;
} sizes[] = {
	{"0", 0, 0},
	{"4096", 0, 4096},
	{"1K", 0, 1 << 10},
	{"1k", 0, 1 << 10},
	{"3M", 0, 3 << 20},
	{"3MiB", 0, 3 << 20},
	{"3MB", 0, 3 << 20},
	{"7B", 0, 7},
	{"2G", 0, UINT64_C(2) << 30},
	{"16777215T", 0, UINT64_C(16777215) << 40},
	{"16777216T", -ERANGE, 0},
	{"18446744073709551615", 0, UINT64_MAX},
	{"18446744073709551616", -ERANGE, 0},
	{"18446744073709551615K", -ERANGE, 0},
	{"", -EINVAL, 0},
	{"M", -EINVAL, 0},
	{"1KK", -EINVAL, 0},
	{"1Ki", -EINVAL, 0},
	{"1 K", -EINVAL, 0},
	{" 1", -EINVAL, 0},
	{"+1", -EINVAL, 0},
	{"0x10", -EINVAL, 0},
	{"1E", -EINVAL, 0},
};

START_TEST(sizes_are_read_exactly)
{
	uint64_t bytes = 77;

	ck_assert_int_eq(cli_size_parse(sizes[_i].text, &bytes), sizes[_i].err);
	ck_assert_uint_eq(bytes, sizes[_i].err ? 77 : sizes[_i].bytes);
}
END_TEST

START_TEST(sizes_are_written_exactly)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {{0, "0 B"},
		     {8489, "8489 B"},
		     {20480, "20 KiB"},
		     {512 << 20, "512 MiB"},
		     {UINT64_C(3) << 30, "3 GiB"},
		     {UINT64_C(2048) << 40, "2048 TiB"}};
	char text[32];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cli_size_format(cases[i].bytes, text, sizeof(text));
		ck_assert_str_eq(text, cases[i].text);
	}
}
END_TEST

START_TEST(progress_is_silent_in_a_pipe)
{
	struct cli_progress progress;
	int saved = dup(STDERR_FILENO);
	FILE *file = tmpfile();

	dup2(fileno(file), STDERR_FILENO);
	cli_progress_start(&progress, "fork-1cpu");
	cli_progress_update(&progress, 1, 2);
	cli_progress_end(&progress);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	fseek(file, 0, SEEK_END);
	ck_assert_int_eq(ftell(file), 0);
	fclose(file);
	ck_assert_ptr_null(progress.out);
}
END_TEST

static Suite *cli_suite(void)
{
	Suite *suite = suite_create("cli");
	TCase *all = tcase_create("all");

	tcase_add_test(all, options_of_every_kind_are_taken);
	tcase_add_loop_test(all, bad_usage_is_status_2_with_the_culprit_named, 0,
			    sizeof(refused) / sizeof(refused[0]));
	tcase_add_test(all, help_shows_every_option_and_the_exit_statuses);
	tcase_add_test(all, version_is_one_line);
	tcase_add_loop_test(all, sizes_are_read_exactly, 0, sizeof(sizes) / sizeof(sizes[0]));
	tcase_add_test(all, sizes_are_written_exactly);
	tcase_add_test(all, progress_is_silent_in_a_pipe);
	suite_add_tcase(suite, all);
	return suite;
}

int main(void)
{
	return harness_run(cli_suite());
}
