/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the readers of a workload's statements share. */
#ifndef VMM_LOAD_PARSE_H
#define VMM_LOAD_PARSE_H

#include "vmm/load/scan.h"
#include "vmm/load/workload.h"

#define LIFETIME_MAX UINT64_C(1000000000000)

struct parser {
	struct scan scan;
	struct workload *workload;
	struct workload_class *class; /* whose statements follow; or */
	struct workload_phase *phase; /* the phase's; NULL: the workload's */
	bool begun;                   /* the first line was right */
};

struct statement {
	const char *word;
	int (*read)(struct parser *parser);
};

/* The statements of a class, ended by a NULL word. */
extern const struct statement parse_statements_of_class[];

/* `class NAME`. */
int parse_class(struct parser *parser);

/* The class of that name, or NULL. */
struct workload_class *parse_find_class(const struct parser *parser, const char *name);

/* One of two words: which. */
int parse_flag(struct parser *parser, const char *const *words, const char *what, bool *flag);

#endif
