/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The self-test's calls, each with its audit; what the rows expect is in expect.c. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/attach/inspector.h"
#include "vmm/attach/note_call.h"
#include "vmm/selftest/private.h"

static const struct selftest_row *const files[] = {
	selftest_rows_tables, selftest_rows_areas, selftest_rows_vmalloc,
	selftest_rows_access, selftest_rows_user,
};

#define NR_FILES (sizeof(files) / sizeof(files[0]))

static const struct selftest_row *row_at(size_t index)
{
	for (size_t i = 0; i < NR_FILES; i++) {
		for (const struct selftest_row *row = files[i]; row->name; row++) {
			if (index-- == 0)
				return row;
		}
	}
	return NULL;
}

size_t selftest_count(void)
{
	size_t count = 0;

	while (row_at(count))
		count++;
	return count;
}

const char *selftest_name(size_t row)
{
	return row_at(row)->name;
}

void selftest_hear(void *context, const struct guest_message *message)
{
	struct selftest_log *log = context;

	if (!message->warning)
		return;
	log->warnings++;
	memcpy(log->text, message->text, sizeof(log->text));
	log->trace = *message->trace;
}

/* ---- life ---- */

int selftest_create(struct guest *guest, const struct selftest_log *log, struct selftest **test_out,
		    struct error *error)
{
	struct selftest *t = calloc(1, sizeof(*t));
	int err = -ENOMEM;

	if (!t)
		return error_set(error, err, "out of memory");
	t->guest = guest;
	t->log = log;
	t->audit = audit_create();
	if (t->audit)
		err = inspector_create_for_guest(guest, &t->inspector, error);
	else
		error_set(error, err, "out of memory");
	if (err) {
		selftest_destroy(t);
		return err;
	}
	t->layout = inspect_layout(t->inspector);
	*test_out = t;
	return 0;
}

void selftest_destroy(struct selftest *test)
{
	if (!test)
		return;
	inspect_areas_free(&test->areas);
	inspector_destroy(test->inspector);
	audit_destroy(test->audit);
	free(test);
}

/* ---- calls ---- */

static void run_audit(struct selftest *t, const char *after)
{
	size_t known = audit_violation_count(t->audit);
	char text[AUDIT_TEXT_BYTES + 80];
	struct audit_result result;

	if (audit_run(t->audit, t->inspector, AUDIT_ALL, t->operations, &result) != 0) {
		selftest_fail(t, "no memory for an audit");
		return;
	}
	t->row->audits++;
	if (audit_violation_count(t->audit) == known)
		return;
	t->row->violations += audit_violation_count(t->audit) - known;
	audit_violation_format(audit_violation_at(t->audit, known), text, sizeof(text));
	selftest_fail(t, "after %s: %s", after, text);
}

bool selftest_call(struct selftest *t, int64_t status, uint16_t opcode, uint16_t flags,
		   const uint64_t arg[12])
{
	struct nb_submission call = {
		.opcode = opcode, .flags = flags, .user_data = ++t->operations};
	char name[REPORT_OPCODE_BYTES];

	report_opcode_name(opcode, name);
	memcpy(call.arg, arg, sizeof(call.arg));
	memset(&t->answer, 0, sizeof(t->answer));
	if (guest_failure(t->guest)) {
		selftest_fail(t, "the guest is dead");
		return false;
	}
	t->row->calls++;
	if (guest_call(t->guest, 0, &call, &t->answer) != 0) {
		selftest_fail(t, "%s: the guest died: %s", name, guest_failure(t->guest)->text);
		return false;
	}
	if (note_call(t->audit, &call, &t->answer) == -EEXIST)
		selftest_fail(t, "%#" PRIx64 " was given out twice", t->answer.result[0]);
	run_audit(t, name);
	if (status == SELFTEST_ANY)
		return t->answer.status == 0;
	if (t->answer.status != status)
		selftest_fail(t,
			      "%s(%#" PRIx64 ", %#" PRIx64 "): answered %s (%" PRId64 "), not %s",
			      name, arg[0], arg[1],
			      t->answer.status ? strerrorname_np((int)-t->answer.status) : "0",
			      t->answer.status, status ? strerrorname_np((int)-status) : "0");
	return t->answer.status == status;
}

void selftest_run(struct selftest *test, size_t row, struct selftest_result *result_out)
{
	const struct selftest_row *r = row_at(row);
	uint64_t busy = 0;

	*result_out = (struct selftest_result){.name = r->name, .ok = true};
	test->row = result_out;
	if (DO(test, NB_OP_STATS))
		busy = test->answer.result[1];
	r->run(test);
	if (DO(test, NB_OP_STATS))
		EXPECT(test, test->answer.result[1] == busy,
		       "%" PRIu64 " areas, %" PRIu64 " before: something was left",
		       test->answer.result[1], busy);
	test->row = NULL;
}
