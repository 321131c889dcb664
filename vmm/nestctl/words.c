/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words of a line before they are read: verbs of several words, x/8gx. */
#include <stdlib.h>
#include <string.h>

#include "vmm/nestctl/nestctl.h"

/* Takes out word 1. */
static int drop_second(int argc, char **argv)
{
	memmove(argv + 1, argv + 2, (size_t)(argc - 1) * sizeof(*argv));
	return argc - 1;
}

/* "ept map" is the verb "ept-map", "ept dirty map" is "ept-dirty-map". */
static int join(int argc, char **argv, char joined[CTL_JOINED_BYTES])
{
	char longer[CTL_JOINED_BYTES];
	struct ctl_verb made;

	/* What is a verb by itself has operands behind it. */
	while (argc >= 2 && argv[1][0] != '-' &&
	       (argv[0] == joined || !ctl_verb_find(argv[0], &made))) {
		int length = snprintf(longer, sizeof(longer), "%s-%s", argv[0], argv[1]);

		if (length >= CTL_JOINED_BYTES || !ctl_verb_find(longer, &made))
			break;
		memcpy(joined, longer, sizeof(longer));
		argv[0] = joined;
		argc = drop_second(argc, argv);
	}
	return argc;
}

int ctl_words_join(int argc, char **argv, char joined[CTL_JOINED_BYTES])
{
	static char verb[] = "x";

	/* gdb's way to write it: the format is part of the verb. */
	if (strncmp(argv[0], "x/", 2) == 0 &&
	    (size_t)snprintf(joined, CTL_JOINED_BYTES, "--format=%s", argv[0] + 2) <
		    CTL_JOINED_BYTES) {
		memmove(argv + 2, argv + 1, (size_t)argc * sizeof(*argv));
		argv[0] = verb;
		argv[1] = joined;
		return argc + 1;
	}
	return join(argc, argv, joined);
}
