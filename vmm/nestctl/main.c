/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program nestctl: finds the verb among the words, and nothing else. */
#include <config.h>

#include <string.h>

#include "vmm/nestctl/foreign.h"
#include "vmm/nestctl/nestctl.h"

#define JOINED_BYTES 64

/* Whether @word is one of nestctl's own options whose argument is the next word. */
static bool takes_next(const char *word)
{
	return !strcmp(word, "-n") || !strcmp(word, "--name") || !strcmp(word, "-s") ||
	       !strcmp(word, "--socket");
}

/* Options before the verb go behind it: where the verb is, or 0. */
static int find_verb(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (argv[i][0] != '-')
			return i;
		if (takes_next(argv[i]))
			i++;
	}
	return 0;
}

static void verb_first(int verb, char **argv)
{
	char *name = argv[verb];

	memmove(argv + 2, argv + 1, (size_t)(verb - 1) * sizeof(*argv));
	argv[1] = name;
}

/* "ept map" is the verb "ept-map", "ept dirty map" is "ept-dirty-map". Returns the words left. */
static int join_words(int argc, char **argv, char joined[JOINED_BYTES])
{
	char longer[JOINED_BYTES];
	struct ctl_verb made;

	/* What is a verb by itself has operands behind it. */
	while (argc >= 2 && argv[1][0] != '-' &&
	       (argv[0] == joined || !ctl_verb_find(argv[0], &made))) {
		int length = snprintf(longer, sizeof(longer), "%s-%s", argv[0], argv[1]);

		if (length >= JOINED_BYTES || !ctl_verb_find(longer, &made))
			break;
		memcpy(joined, longer, sizeof(longer));
		argv[0] = joined;
		memmove(argv + 1, argv + 2, (size_t)(argc - 1) * sizeof(*argv));
		argc--;
	}
	return argc;
}

static int finish(int status)
{
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("nestctl: standard output");
		return status ? status : CLI_HOST;
	}
	return status;
}

int main(int argc, char **argv)
{
	struct ctl none = {.out = argc < 2 ? stderr : stdout};
	int verb = find_verb(argc, argv);
	char joined[JOINED_BYTES];

	if (foreign_wanted(argc, argv))
		return finish((int)foreign_main(argc, argv));
	if (!verb) {
		if (argc > 1 && strcmp(argv[1], "--version") == 0) {
			printf("%s\n", PACKAGE_STRING);
			return finish(CLI_DONE);
		}
		if (argc < 2 || (strcmp(argv[1], "--help") != 0 && strcmp(argv[1], "-h") != 0))
			none.out = stderr;
		ctl_run_help(&none);
		return finish(none.out == stdout ? CLI_DONE : CLI_BAD_INPUT);
	}
	argc = verb + join_words(argc - verb, argv + verb, joined);
	verb_first(verb, argv);
	return finish((int)ctl_main(argc - 1, argv + 1, NULL));
}
