/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One look of the audit. Private to vmm/linux/. */
#ifndef VMM_LINUX_CHECK_PRIVATE_H
#define VMM_LINUX_CHECK_PRIVATE_H

#include "vmm/linux/check.h"
#include "vmm/linux/private.h"

/* A leaf of the kernel half that a check asks for again: of vmalloc, modules and image. */
struct linux_leaf {
	uint64_t start, bytes, gpa;
	unsigned int rights; /* PAGING_R... */
};

struct linux_pass {
	struct linux_guest *guest;
	struct linux_space space;
	struct linux_audit *audit;
	bool live;
	bool broken; /* some list could not be read to its end: what is in none is not known */
	struct linux_area **busy; /* ascending by start */
	size_t nr_busy;
	struct linux_leaf *leaf; /* ascending */
	size_t nr_leaves;
	int err; /* -ENOMEM on the way */
};

/* Notes a finding. In a live look an alarm is noted as in transit. */
void linux_find(struct linux_pass *pass, enum linux_check check, enum linux_verdict verdict,
		const char *what, uint64_t start, uint64_t end, const char *format, ...)
	__attribute__((format(printf, 7, 8)));

void linux_count(struct linux_pass *pass, enum linux_check check, uint64_t count);
void linux_except(struct linux_pass *pass, enum linux_exception exception);

/* LINUX_IN_UPDATE where a lock of @list was held, else @verdict. */
enum linux_verdict linux_unless_locked(const struct linux_list *list, enum linux_verdict verdict);

/* The busy area that holds @address; NULL. */
const struct linux_area *linux_busy_at(const struct linux_pass *pass, uint64_t address);

/* The leaf that maps @address; NULL. */
const struct linux_leaf *linux_leaf_at(const struct linux_pass *pass, uint64_t address);

/* "0x..-0x.. (caller)". Returns @text. */
#define LINUX_AREA_TEXT 200
const char *linux_area_text(struct linux_pass *pass, const struct linux_area *area,
			    char text[LINUX_AREA_TEXT]);

/* The checks. Leaves are read by linux_check_leaves(), which is also tables and wx. */
void linux_check_areas(struct linux_pass *pass);
void linux_check_free(struct linux_pass *pass);
void linux_check_leaves(struct linux_pass *pass);
void linux_check_mapping(struct linux_pass *pass);
void linux_check_stray(struct linux_pass *pass);
void linux_check_aliases(struct linux_pass *pass);
void linux_check_modules(struct linux_pass *pass);
void linux_check_frames(struct linux_pass *pass);

#endif
