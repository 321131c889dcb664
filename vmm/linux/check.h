/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit of a Linux's vmalloc, from outside: one pass over its lists, trees and page tables.
 *
 *     areas      busy areas sorted, disjoint, inside the windows; list and tree the same; what
 *                struct vm_struct says is what the area is; each in its node
 *     free-tree  the free tree's order, colours, parents and maxima; neighbours merged; free, busy,
 *                lazy, purge and pooled areas disjoint and together all there is; vmap_lazy_nr
 *     mapping    page i of an area maps the frame that its array lists; ioremap is contiguous; no
 *                guard page is mapped
 *     stray      no leaf in the vmalloc and module windows outside busy areas
 *     tables     no entry with reserved bits or a table that is not there; no table twice
 *     wx         nothing of the kernel half is writable and executable, no executable page of image
 *                or modules has a writable alias in the direct map
 *     modules    each module's memory lies in a busy area
 *     frames     what areas list is allocated, is in one area, is no slab or table; in a guest that
 *                stands still what a zone counts as free is what is marked free
 *
 * A stop hits a healthy kernel in the middle of something. So a finding has a verdict: an alarm is
 * wrong whatever the kernel was doing; "in update" is about a structure whose lock was held;
 * "in transit" is what a healthy kernel shows for a moment without any lock (space that is in no
 * list between two of them) and is an alarm only if a second look finds the same. Nothing is
 * hidden: all three are counted, and so are exceptions: what was not judged, and why.
 */
#ifndef VMM_LINUX_CHECK_H
#define VMM_LINUX_CHECK_H

#include "vmm/linux/space.h"

enum linux_check {
	LINUX_CHECK_AREAS,
	LINUX_CHECK_FREE_TREE,
	LINUX_CHECK_MAPPING,
	LINUX_CHECK_STRAY,
	LINUX_CHECK_TABLES,
	LINUX_CHECK_WX,
	LINUX_CHECK_MODULES,
	LINUX_CHECK_FRAMES,
	LINUX_NR_CHECKS
};

/* "areas", "free-tree", ... */
const char *linux_check_name(enum linux_check check);

enum linux_verdict { LINUX_ALARM, LINUX_IN_UPDATE, LINUX_IN_TRANSIT, LINUX_NR_VERDICTS };

/* "alarm", "in update", "in transit". */
const char *linux_verdict_name(enum linux_verdict verdict);

struct linux_finding {
	enum linux_check check;
	enum linux_verdict verdict;
	const char *what;    /* which kind: with start and end it is the same in a second look */
	uint64_t start, end; /* the addresses it is about */
	unsigned int seen;   /* in so many looks in a row, this one included */
	char text[400];
};

/* What was not judged, or is right against the rule. */
enum linux_exception {
	LINUX_EXCEPT_PERCPU,        /* percpu chunks: sparse, without guard page or array */
	LINUX_EXCEPT_UNINITIALIZED, /* VM_UNINITIALIZED: being filled */
	LINUX_EXCEPT_NO_VM,         /* no vm_struct: being made or torn down */
	LINUX_EXCEPT_VM_MAP_RAM,    /* mapped piece by piece */
	LINUX_EXCEPT_SPARSE,        /* VM_SPARSE: mapped piece by piece */
	LINUX_EXCEPT_UNREAD,        /* its array or frame is not in this image */
	LINUX_EXCEPT_BOOTING,       /* W^X is not yet in force */
	LINUX_EXCEPT_ESPFIX,        /* tables that are shared by intent */
	LINUX_EXCEPT_MODULE,        /* a module that is coming or going */
	LINUX_EXCEPT_FRAMES,        /* this kernel's struct pages or zones are not understood */
	LINUX_EXCEPT_ZONES,         /* a zone's sum, which changes while it is added up */
	LINUX_NR_EXCEPTIONS
};
const char *linux_exception_name(enum linux_exception exception);

struct linux_check_sum {
	uint64_t compared; /* areas, nodes, pages, leaves, tables: whatever it is that is held up */
	uint64_t verdicts[LINUX_NR_VERDICTS];
};

#define LINUX_FINDINGS_MAX 1000

struct linux_audit {
	struct linux_check_sum sum[LINUX_NR_CHECKS];
	uint64_t exceptions[LINUX_NR_EXCEPTIONS];
	struct linux_finding *finding; /* the first LINUX_FINDINGS_MAX */
	size_t nr_findings;
	char locks[160]; /* as linux_space's */
	uint64_t areas, leaves;
};

struct linux_audit_options {
	uint32_t checks; /* a bit for each that is to be done; 0: all */
	/*
	 * The guest runs meanwhile: lists that broke are read again some times, and no alarm is
	 * more than in transit before a second look found it too.
	 */
	bool live;
};

/*
 * One look. Errors: -EOPNOTSUPP, with what this kernel lacks; -ENOMEM. Findings are no error. Pair
 * with linux_audit_free().
 */
int linux_audit_run(struct linux_guest *guest, const struct linux_audit_options *options,
		    struct linux_audit *audit_out, struct error *error);
void linux_audit_free(struct linux_audit *audit);

/*
 * @audit is the look after @before: counts for each finding in how many looks in a row it was seen.
 * Returns the most of those that are in transit; 0: nothing is.
 */
unsigned int linux_audit_follow(struct linux_audit *audit, const struct linux_audit *before);

/*
 * What is in transit and was seen in @looks looks in a row is an alarm of @audit. One place may be
 * in transit again and again (a stack's, while processes come and go): two looks prove little.
 */
void linux_audit_confirm(struct linux_audit *audit, unsigned int looks);

/* Alarms of all checks. */
uint64_t linux_audit_alarms(const struct linux_audit *audit);

#endif
