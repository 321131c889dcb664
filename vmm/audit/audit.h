/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The auditor: proves from outside that the guest's memory management is right, or says what is
 * wrong, where, and since which operation. It reads through an inspector alone, with the guest
 * stopped between two operations.
 *
 * One table of checks (audit_checks()). Each counts the items it looked at and reports violations;
 * none relies on what another would have found: a check that needs, say, the list of areas takes
 * it as it is and survives whatever is in it. One fault may well show in several checks.
 *
 * An audit lives as long as its guest and runs as often as one likes: of a violation that stays,
 * it remembers the first operation after which it was seen.
 */
#ifndef VMM_AUDIT_AUDIT_H
#define VMM_AUDIT_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/inspect/inspect.h"

/* In the order they run. */
enum audit_check {
	AUDIT_AREAS,
	AUDIT_FREE_TREE,
	AUDIT_MAPPING,
	AUDIT_STRAY,
	AUDIT_FRAMES,
	AUDIT_TABLES,
	AUDIT_ZONES,
	AUDIT_STAGE2,
	AUDIT_WX,
	AUDIT_TLB,
	AUDIT_USERS,
	AUDIT_NR_CHECKS
};

#define AUDIT_BIT(check) (1u << (check))
#define AUDIT_ALL        (AUDIT_BIT(AUDIT_NR_CHECKS) - 1)

struct audit_pass;

/* A row of the table. */
struct audit_check_info {
	const char *name;                    /* "areas", "free-tree", ... */
	const char *holds;                   /* what the check says, one line for people */
	int (*run)(struct audit_pass *pass); /* audit_run()'s */
};

/* The table, AUDIT_NR_CHECKS long, indexed by enum audit_check. */
const struct audit_check_info *audit_checks(void);

/*
 * The checks a comma-separated list of names means ("all" is one), as bits. Returns 0; -EINVAL
 * with the unknown name in @error.
 */
int audit_parse_checks(const char *names, uint32_t *which_out, struct error *error);

#define AUDIT_TEXT_BYTES 120

/* One thing that is wrong. */
struct audit_violation {
	enum audit_check check;
	uint64_t address;   /* virtual or physical, as the text says; 0 where there is none */
	uint64_t found;     /* what stands there and what should, in the terms of the text; */
	uint64_t expected;  /* both 0 where the text says it all */
	uint64_t operation; /* the one after which it was first seen */
	uint64_t seen;      /* in how many runs */
	uint64_t last_run;  /* the last of them */
	char text[AUDIT_TEXT_BYTES];
};

/*
 * No more different violations of one check are kept, so that one fault which shows a thousand
 * times cannot hide what other checks found; all are counted.
 */
#define AUDIT_KEPT_PER_CHECK 64
#define AUDIT_KEPT_MAX       (AUDIT_NR_CHECKS * AUDIT_KEPT_PER_CHECK)

struct audit;

/* Returns NULL for want of memory. */
struct audit *audit_create(void);
void audit_destroy(struct audit *audit);

/* What one run looked at and found. */
struct audit_result {
	uint32_t checks; /* how many ran */
	uint64_t items, violations;
	uint64_t check_items[AUDIT_NR_CHECKS], check_violations[AUDIT_NR_CHECKS];
	double seconds;
	bool ended; /* early, by audit_ask()'s go_on(): the first @checks of those wanted ran */
};

/*
 * Runs the checks of @which (AUDIT_BIT()s) on the guest @inspector looks at, whose translations
 * are refreshed first. @operation is what violations found now are remembered with.
 * Errors: -ENOMEM (*@result_out untouched). Violations are no error.
 */
int audit_run(struct audit *audit, struct inspector *inspector, uint32_t which, uint64_t operation,
	      struct audit_result *result_out);

/*
 * From the next run on, @go_on is asked before each check, with how many of how many ran; false
 * ends the run. NULL: nobody is asked.
 */
void audit_ask(struct audit *audit,
	       bool (*go_on)(void *context, unsigned int done, unsigned int total), void *context);

/* Sums over all runs. */
uint64_t audit_runs(const struct audit *audit);
uint64_t audit_total_checks(const struct audit *audit);
uint64_t audit_total_violations(const struct audit *audit);

/* The different violations kept, in the order they were first seen. */
size_t audit_violation_count(const struct audit *audit);
const struct audit_violation *audit_violation_at(const struct audit *audit, size_t index);

/* "frames: 0x5000: text (found 0x1, expected 0x2), first after operation 7", cut at @bytes. */
void audit_violation_format(const struct audit_violation *violation, char *text, size_t bytes);

/* What a load in the guest gave; where it faulted, @loaded is false and @value means nothing. */
struct audit_word {
	uint64_t value;
	bool loaded;
};

/*
 * The guest as a reader of its own memory. load() has @vcpu load the 64-bit words at
 * @gva[0..@count) through the translations it has. Returns 0, or -errno when the guest ended.
 */
struct audit_prober {
	void *context;
	unsigned int nr_vcpus;
	int (*load)(void *context, unsigned int vcpu, const uint64_t *gva, size_t count,
		    struct audit_word *words_out);
};

/* From the next run on, the check "tlb" also has every vCPU load a word of every area. */
void audit_probe_with(struct audit *audit, const struct audit_prober *prober);

/*
 * What the host asked for and was told: optional, but without it nobody can say whether an area
 * lies in its window. An area is expected from audit_expect() until audit_unexpect(); the check
 * "areas" compares. Areas nobody expects are none of its business (page arrays have their own).
 */
struct audit_expectation {
	uint64_t address;    /* as the guest answered */
	uint64_t size;       /* asked for, bytes, without guard */
	uint64_t align;      /* a power of two; 1: none */
	uint64_t start, end; /* the window */
	uint64_t flags;      /* VM_* asked for */
	uint32_t gfp;
	int32_t node; /* -1: any */
};

/*
 * Errors: -EINVAL (a size of 0); -EEXIST (the address is expected already: the guest gave it out
 * twice); -ENOMEM.
 */
int audit_expect(struct audit *audit, const struct audit_expectation *expectation);

/* Returns whether it was expected. */
bool audit_unexpect(struct audit *audit, uint64_t address);

#endif
