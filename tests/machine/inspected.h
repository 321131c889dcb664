/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A real guest with an inspector and an auditor on it, and its page tables' entries by hand: what
 * the tests of whole machines share.
 */
#ifndef TESTS_MACHINE_INSPECTED_H
#define TESTS_MACHINE_INSPECTED_H

#include "tests/harness.h"

#include "ept/paging.h"
#include "vmm/audit/audit.h"
#include "vmm/machine/guest.h"
#include "vmm/attach/inspector.h"

static inline void inspected_start(const struct guest_config *config, struct guest **guest_out,
				   struct inspector **inspector_out, struct audit **audit_out)
{
	struct guest_report report;
	struct error error = {""};

	ck_assert_msg(guest_start(config, guest_out, &report, &error) == 0, "%s", error.text);
	ck_assert_msg(inspector_create_for_guest(*guest_out, inspector_out, &error) == 0, "%s",
		      error.text);
	*audit_out = audit_create();
	ck_assert_ptr_nonnull(*audit_out);
}

static inline void inspected_stop(struct guest *guest, struct inspector *inspector,
				  struct audit *audit)
{
	audit_destroy(audit);
	inspector_destroy(inspector);
	guest_destroy(guest);
}

static inline struct audit_result inspected_audit(struct audit *audit, struct inspector *inspector,
						  uint64_t operation)
{
	struct audit_result result;

	ck_assert_int_eq(audit_run(audit, inspector, AUDIT_ALL, operation, &result), 0);
	return result;
}

/* For a test that fails: what the last audit kept. */
static inline void inspected_print(const struct audit *audit)
{
	char text[256];

	for (size_t i = 0; i < audit_violation_count(audit); i++) {
		audit_violation_format(audit_violation_at(audit, i), text, sizeof(text));
		fprintf(stderr, "  %s\n", text);
	}
}

/* Where the entry of @level is that @va goes through, in the tables at @root; 0: the kernel's. */
static inline gpa_t inspected_entry(struct guest *guest, uint64_t root, uint64_t va,
				    unsigned int level)
{
	struct paging_mode mode = guest_paging_mode(guest);
	const struct paging_reader reader = guest_paging_reader(guest);
	struct paging_walk walk;

	if (root)
		mode.root = gpa_make(root);
	paging_walk(&mode, &reader, gva_make(va), &walk);
	ck_assert_uint_ge(walk.entry_count, mode.levels - level + 1);
	return walk.entries[mode.levels - level].address;
}

static inline uint64_t inspected_read_entry(struct guest *guest, uint64_t root, uint64_t va,
					    unsigned int level)
{
	uint64_t value;

	ck_assert_int_eq(gpa_space_read(guest_space(guest), inspected_entry(guest, root, va, level),
					&value, sizeof(value)),
			 0);
	return value;
}

static inline void inspected_write_entry(struct guest *guest, uint64_t root, uint64_t va,
					 unsigned int level, uint64_t value)
{
	ck_assert_int_eq(gpa_space_write(guest_space(guest),
					 inspected_entry(guest, root, va, level), &value,
					 sizeof(value)),
			 0);
}

#endif
