/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every verb of nestctl with every option, good and bad: exit status, and which stream says what.
 * What there is comes from the protocol's own table and nestctl's rows, so that a new verb cannot
 * be forgotten. The verbs run in this process, so that thousands of lines take seconds.
 */
#include "tests/machine/service_fixture.h"

#include "tests/machine/verb_lines.h"
#include "vmm/nestctl/nestctl.h"

#define WORDS_MAX 32

static const char *const with_traps[] = {"--cpus", "2", "--memory", "32M", "--traps", NULL};

/* What a line came to. */
static struct {
	char *out, *err;
	size_t out_size, err_size;
	int status;
} said;

static void forget(void)
{
	free(said.out);
	free(said.err);
	said.out = said.err = NULL;
}

/* ---- running a line ---- */

/* Runs the words, of the guest under test. */
static int run(int argc, char **argv)
{
	static char option[] = "--socket";
	FILE *out = stdout, *err = stderr;
	char *words[WORDS_MAX + 3];

	forget();
	ck_assert_int_lt(argc, WORDS_MAX);
	memcpy(words, argv, (size_t)argc * sizeof(*argv));
	words[argc++] = option;
	words[argc++] = guest.path;
	words[argc] = NULL;
	/* glibc's are variables to set. */
	stdout = open_memstream(&said.out, &said.out_size);
	stderr = open_memstream(&said.err, &said.err_size);
	said.status = (int)ctl_main(argc, words, NULL);
	fclose(stdout);
	fclose(stderr);
	stdout = out;
	stderr = err;
	return said.status;
}

/* The words between blanks, which are written over; ~ in one stands for a blank. */
static int split(char *line, char **argv)
{
	char *word, *rest = line;
	int argc = 0;

	while ((word = strsep(&rest, " "))) {
		if (!*word)
			continue;
		ck_assert_int_lt(argc, WORDS_MAX);
		argv[argc++] = word;
		while ((word = strchr(word, '~')))
			*word = ' ';
	}
	return argc;
}

static int run_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int run_text(const char *format, ...)
{
	char line[1024], *argv[WORDS_MAX + 1];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	return run(split(line, argv), argv);
}

/* One JSON document on standard output, or, as for events, one a line. */
static bool is_json(const char *text)
{
	json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);

	json_decref(json);
	return json != NULL;
}

/* ---- every verb ---- */

static void for_each(void (*visit)(const struct ctl_verb *verb, const struct qmp_command *command));

static void *visiting;

static void visit_one(void *context, const struct ctl_verb *verb)
{
	void (*visit)(const struct ctl_verb *, const struct qmp_command *) = visiting;

	(void)context;
	visit(verb, verb->command ? qmp_command_find(&protocol_table, verb->command) : NULL);
}

static void for_each(void (*visit)(const struct ctl_verb *verb, const struct qmp_command *command))
{
	visiting = visit;
	ctl_verb_for_each(visit_one, NULL);
}

/* A word that any argument of its type takes, as far as can be said without the guest. */
static const char *plain_word(const struct qmp_arg *arg)
{
	switch (arg->type) {
	case QMP_ENUM:
		return arg->choices[0];
	case QMP_BYTES:
		return "00";
	case QMP_BOOL:
		return "true";
	case QMP_ADDRESS:
		return "0x1000";
	default:
		return "1";
	}
}

/* The verb and its operands, all of them right but for the one at @wrong, which is @word. */
static void write_line(char line[512], const struct ctl_verb *verb,
		       const struct qmp_command *command, const char *wrong, const char *word)
{
	size_t used = (size_t)snprintf(line, 512, "%s", verb->name);
	const struct qmp_arg *arg;

	if (verb->operands)
		used += (size_t)snprintf(line + used, 512 - used, " x");
	for (arg = command ? command->args : NULL; arg && arg->name; arg++)
		if (!arg->optional)
			used += (size_t)snprintf(
				line + used, 512 - used, " %s",
				wrong && strcmp(arg->name, wrong) == 0 ? word : plain_word(arg));
}

/* ---- usage ---- */

static void ask_for_help(const struct ctl_verb *verb, const struct qmp_command *command)
{
	const struct qmp_arg *arg;
	char option[64];

	ck_assert_msg(run_text("%s --help", verb->name) == 0, "%s", verb->name);
	ck_assert_str_eq(said.err, "");
	ck_assert_msg(strncmp(said.out, "Usage: nestctl ", 15) == 0 &&
			      strstr(said.out, "Exit status: 0"),
		      "%s", said.out);
	for (arg = command ? command->args : NULL; arg && arg->name; arg++) {
		snprintf(option, sizeof(option), arg->optional ? "--%s" : "%s", arg->name);
		for (char *at = option; !arg->optional && *at; at++)
			*at = (char)(*at >= 'a' && *at <= 'z' ? *at - 'a' + 'A' : *at);
		ck_assert_msg(strstr(said.out, option), "%s --help lacks %s", verb->name, option);
		for (size_t i = 0; arg->choices && arg->choices[i]; i++)
			ck_assert_msg(strstr(said.out, arg->choices[i]), "%s --help lacks %s",
				      verb->name, arg->choices[i]);
	}
	ck_assert_msg(run_text("help %s", verb->name) == 0, "%s", verb->name);
}

START_TEST(help_names_all_there_is)
{
	for_each(ask_for_help);
}
END_TEST

/* Status 2, nothing on standard output, the words @part; with --json a document that has them. */
static void refused(const char *line, const char *part)
{
	json_t *json;

	ck_assert_msg(run_text("%s", line) == CLI_BAD_INPUT && !*said.out && strstr(said.err, part),
		      "%s: status %d, '%s', '%s'", line, said.status, said.out, said.err);
	ck_assert_int_eq(run_text("%s --json", line), CLI_BAD_INPUT);
	json = json_loads(said.out, 0, NULL);
	ck_assert_msg(strstr(ctl_text(json_object_get(json, "error"), "desc"), part),
		      "%s --json: '%s'", line, said.out);
	json_decref(json);
}

static void misuse(const struct ctl_verb *verb, const struct qmp_command *command)
{
	char line[512], more[600];
	bool many = command && command->args && command->args[0].name &&
		    strstr(verb->name, "vmap") == verb->name;

	write_line(line, verb, command, NULL, NULL);
	snprintf(more, sizeof(more), "%s --frobnicate", line);
	refused(more, "unknown option '--frobnicate'");
	if (strcmp(line, verb->name) != 0)
		refused(verb->name, "missing operand: ");
	snprintf(more, sizeof(more), "%s toomuch", line);
	/* What comes after "help" is another verb's; lists of frames have no end. */
	if (strcmp(verb->name, "help") != 0 && !many && strcmp(verb->name, "map-vm-area") != 0)
		refused(more, "'toomuch' is one more than ");
}

START_TEST(misuse_is_said_and_is_status_2)
{
	for_each(misuse);
	refused("vmallc 4K", "did you mean 'vmalloc'?");
	refused("walk 0x1000 --rot=1", "did you mean '--root'?");
	refused("ept", "'ept' wants a second word");
	refused("nosuchverbatall", "nestctl help lists them");
}
END_TEST

/* A word that is wrong for @arg; NULL where none is. */
static const char *wrong_word(const struct qmp_arg *arg)
{
	switch (arg->type) {
	case QMP_INT:
		return "x1";
	case QMP_U64:
	case QMP_SIZE:
	case QMP_FRAMES:
		return "3Q";
	case QMP_ADDRESS:
		return "no_such_symbol";
	case QMP_ENUM:
		return "nosuchword";
	case QMP_BYTES:
		return "0x0";
	default:
		return NULL;
	}
}

static void refuse_argument(const struct ctl_verb *verb, const struct qmp_command *command,
			    const struct qmp_arg *arg, const char *word)
{
	char line[512];
	size_t used;

	write_line(line, verb, command, arg->name, word);
	used = strlen(line);
	if (arg->optional)
		snprintf(line + used, sizeof(line) - used, " --%s=%s", arg->name, word);
	refused(line, arg->name);
}

static void give_bad_words(const struct ctl_verb *verb, const struct qmp_command *command)
{
	const struct qmp_arg *arg;
	char above[32];

	for (arg = command ? command->args : NULL; arg && arg->name; arg++) {
		if (wrong_word(arg))
			refuse_argument(verb, command, arg, wrong_word(arg));
		if (arg->type == QMP_INT && arg->max && arg->max < INT64_MAX) {
			snprintf(above, sizeof(above), "%llu", (unsigned long long)arg->max + 1);
			refuse_argument(verb, command, arg, above);
		}
		if (arg->optional && (arg->type == QMP_INT || arg->type == QMP_SIZE))
			refuse_argument(verb, command, arg, "-7");
		if (strcmp(arg->name, "vcpu") == 0)
			refuse_argument(verb, command, arg, "5");
	}
}

START_TEST(bad_input_is_said_and_is_status_2)
{
	for_each(give_bad_words);
	refused("audit --checks nope", "no check named \"nope\"");
	refused("execute {", "");
	refused("maps --size 3K", "--size");
	refused("maps --rights q", "--rights");
	refused("areas --state odd", "--state");
	refused("x $ --format 4q", "");
	refused("load nosuch", "there is no case 'nosuch'");
	refused("load fix_size --vcpus 9", "vcpus");
	refused("load fix_size --audit often", "audit");
}
END_TEST

/* ---- good lines ---- */

static char values[26][64];

/* "$a+0x10", "{dir}/core" in place of what they stand for. */
static void expand(const char *line, char text[512])
{
	size_t used = 0;

	text[0] = '\0';
	for (; *line && used < 500; line++) {
		if (*line == '$') {
			uint64_t more = 0;
			const char *value = values[line[1] - 'a'];

			line++;
			if (line[1] == '+')
				more = strtoull(line + 2, (char **)(uintptr_t)&line, 16);
			if (more)
				line--;
			used += (size_t)(more ? snprintf(text + used, 512 - used, "0x%llx",
							 strtoull(value, NULL, 16) + more)
					      : snprintf(text + used, 512 - used, "%s", value));
		} else if (strncmp(line, "{dir}", 5) == 0) {
			used += (size_t)snprintf(text + used, 512 - used, "%s", served_directory());
			line += 4;
		} else {
			text[used++] = *line;
			text[used] = '\0';
		}
	}
}

/* The address of the kernel's PML4, as registers says. */
static void take_root(char value[64])
{
	const char *at;

	ck_assert_int_eq(run_text("registers"), 0);
	at = strstr(said.out, "cr3 ");
	ck_assert_ptr_nonnull(at);
	ck_assert_int_eq(sscanf(at + 4, "%63s", value), 1);
}

/* Carries out a line of verb_lines. */
static void run_good(const char *line)
{
	char text[512], *value = NULL;
	int want = 0;

	if (line[1] == ' ' && line[2] == '=') {
		value = values[line[0] - 'a'];
		line += 4;
	}
	if (strcmp(line, "root") == 0) {
		take_root(value);
		return;
	}
	if (line[0] == '!') {
		want = line[1] - '0';
		line += 3;
	}
	expand(line, text);
	ck_assert_msg(run_text("%s", text) == want, "%s: status %d instead of %d: %s%s", text,
		      said.status, want, said.out, said.err);
	ck_assert_msg(want || !strstr(said.err, "nestctl") || strstr(said.err, "there is none"),
		      "%s: %s", text, said.err);
	ck_assert_msg(!want || strlen(said.err) > 10, "%s: not a word", text);
	if (value) {
		said.out[strcspn(said.out, "\n")] = '\0';
		snprintf(value, sizeof(values[0]), "%.63s", said.out);
	}
}

/* Whether a line has @verb and, unless NULL, --@option. */
static bool has_line(const char *const *lines, size_t count, const char *verb, const char *option)
{
	size_t length = strlen(verb);
	char text[64];

	snprintf(text, sizeof(text), " --%s", option ? option : "");
	for (size_t i = 0; i < count; i++) {
		const char *line = lines[i];

		line += line[0] == '!' ? 3 : line[1] == ' ' && line[2] == '=' ? 4 : 0;
		if (strncmp(line, verb, length) == 0 && (!line[length] || line[length] == ' ') &&
		    (!option || strstr(line, text)))
			return true;
	}
	return false;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Options that every verb has, or that all hypercalls take alike. */
static bool is_common(const char *option)
{
	static const char *const common[] = {"name",    "socket", "json",        "help",
					     "version", "vcpu",   "in-interrupt"};

	for (size_t i = 0; i < COUNT(common); i++)
		if (strcmp(option, common[i]) == 0)
			return true;
	return false;
}

/* The options are those that help says. */
static void is_covered(const struct ctl_verb *verb, const struct qmp_command *command)
{
	const char *at;
	char option[48];

	(void)command;
	if (verb->flags & CTL_ALIAS ||
	    has_line(verbs_not_tried, COUNT(verbs_not_tried), verb->name, NULL))
		if (verb->flags & CTL_ALIAS || strcmp(verb->name, "log") != 0)
			return;
	ck_assert_msg(has_line(verb_lines, COUNT(verb_lines), verb->name, NULL),
		      "the verb %s has no line in tests/machine/verb_lines.h", verb->name);
	run_text("%s --help", verb->name);
	at = said.out;
	while ((at = strstr(at, "    --")) || (at = NULL)) {
		ck_assert_int_eq(sscanf(at + 6, "%47[a-z-]", option), 1);
		at += 6;
		if (is_common(option))
			continue;
		ck_assert_msg(has_line(verb_lines, COUNT(verb_lines), verb->name, option),
			      "--%s of %s has no line in tests/machine/verb_lines.h", option,
			      verb->name);
	}
}

START_TEST(good_input_does_it)
{
	for_each(is_covered);
	for (size_t i = 0; i < COUNT(verb_lines); i++)
		run_good(verb_lines[i]);
}
END_TEST

/* Reads only: the same twice. */
static void in_json_too(const struct ctl_verb *verb, const struct qmp_command *command)
{
	char line[512];
	int status;

	if (!command || command->lane == PROTOCOL_CALL || verb->flags & CTL_FOLLOW)
		return;
	if (strncmp(verb->name, "query-", 6) != 0 && verb->flags & CTL_ALIAS)
		return;
	write_line(line, verb, command, NULL, NULL);
	if (strcmp(line, verb->name) != 0 || strstr(line, "dirty") || strcmp(line, "quit") == 0)
		return;
	status = run_text("%s", line);
	ck_assert_msg(run_text("%s --json", line) == status, "%s: %d with --json, %d without", line,
		      said.status, status);
	ck_assert_msg(is_json(said.out), "%s --json: %s", line, said.out);
}

START_TEST(json_is_one_document_and_the_same_status)
{
	for_each(in_json_too);
	run_text("cont");
}
END_TEST

/* A dead guest can still be looked at; what needs it alive says that it is dead. */
START_TEST(a_dead_guest_answers_alike)
{
	json_t *json;

	ck_assert_int_eq(run_text("x-test-panic"), CLI_WRONG);
	ck_assert_int_eq(run_text("status"), CLI_WRONG);
	ck_assert_int_eq(run_text("status --json"), CLI_WRONG);
	for_each(in_json_too);
	ck_assert_int_eq(run_text("vmalloc 4K"), CLI_WRONG);
	ck_assert_ptr_nonnull(strstr(said.err, "dead"));
	ck_assert_int_eq(run_text("vmalloc 4K --json"), CLI_WRONG);
	json = json_loads(said.out, 0, NULL);
	ck_assert_ptr_nonnull(strstr(ctl_text(json_object_get(json, "error"), "desc"), "dead"));
	json_decref(json);
}
END_TEST

/* ---- no guest ---- */

static void nobody_there(const struct ctl_verb *verb, const struct qmp_command *command)
{
	char line[512];

	write_line(line, verb, command, NULL, NULL);
	if (verb->flags & CTL_NO_GUEST)
		return;
	ck_assert_msg(run_text("%s", line) == CLI_HOST && !*said.out &&
			      strstr(said.err, "no guest"),
		      "%s: %d, '%s', '%s'", line, said.status, said.out, said.err);
}

START_TEST(without_a_guest_it_is_status_3)
{
	snprintf(guest.path, sizeof(guest.path), "%s/none.sock", served_directory());
	for_each(nobody_there);
}
END_TEST

static void start_traps(void)
{
	/* What a verb reads, it has none of; nobody's terminal counts. */
	ck_assert_ptr_nonnull(freopen("/dev/null", "r", stdin));
	served_start(&guest, "verbs", with_traps);
	setenv("XDG_RUNTIME_DIR", served_directory(), 1);
}

static void stop_all(void)
{
	forget();
	stop();
}

static Suite *verb_table_suite(void)
{
	Suite *suite = suite_create("verb_table");
	TCase *served = tcase_create("with a guest"), *alone = tcase_create("without one");

	tcase_add_checked_fixture(served, start_traps, stop_all);
	tcase_set_timeout(served, 120);
	tcase_add_test(served, help_names_all_there_is);
	tcase_add_test(served, misuse_is_said_and_is_status_2);
	tcase_add_test(served, bad_input_is_said_and_is_status_2);
	tcase_add_test(served, good_input_does_it);
	tcase_add_test(served, json_is_one_document_and_the_same_status);
	tcase_add_test(served, a_dead_guest_answers_alike);
	suite_add_tcase(suite, served);
	tcase_add_test(alone, without_a_guest_it_is_status_3);
	suite_add_tcase(suite, alone);
	return suite;
}

int main(void)
{
	int failed;

	setenv("NESTBOX_KVM", "soft", 1);
	served_directory();
	failed = harness_run(verb_table_suite());
	served_remove_directory();
	return failed;
}
