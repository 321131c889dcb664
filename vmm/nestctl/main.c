/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program nestctl: finds the verb among the words, and nothing else. */
#include <config.h>

#include <string.h>

#include "vmm/nestctl/foreign.h"
#include "vmm/nestctl/nestctl.h"

/* Whether @word is one of nestctl's own options whose argument is the next word. */
static bool takes_next(const char *word)
{
	return !strcmp(word, "-n") || !strcmp(word, "--name") || !strcmp(word, "-s") ||
	       !strcmp(word, "--socket");
}

/* Options before the verb go behind all its words: where the verb is, or 0. */
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

/* Puts the @count options at @argv behind the words that follow them, which a "--" may end. */
static void options_last(int count, int argc, char **argv)
{
	char *options[64];
	int words = 0;

	if (count > 64)
		return;
	memcpy(options, argv, (size_t)count * sizeof(*argv));
	while (count + words < argc && argv[count + words][0] != '-')
		words++;
	memmove(argv, argv + count, (size_t)words * sizeof(*argv));
	memcpy(argv + words, options, (size_t)count * sizeof(*argv));
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
	options_last(verb - 1, argc - 1, argv + 1);
	return finish((int)ctl_main(argc - 1, argv + 1, NULL));
}
