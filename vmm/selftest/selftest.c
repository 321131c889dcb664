/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The self-test's calls, audits and expectations; the rows are in vmm/selftest_*.c. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/attach/inspector.h"
#include "lib/printable.h"
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

void selftest_fail(struct selftest *t, const char *format, ...)
{
	va_list args;

	if (!t->row->ok)
		return;
	t->row->ok = false;
	va_start(args, format);
	vsnprintf(t->row->why, sizeof(t->row->why), format, args);
	va_end(args);
	printable(t->row->why);
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

/* What the audit holds an area against that the host asked for in its own words. */
static void note_request(struct selftest *t, uint16_t opcode, const uint64_t arg[12])
{
	struct audit_expectation expectation = {
		.address = t->answer.result[0],
		.size = arg[0],
		.align = arg[1],
		.start = arg[2],
		.end = arg[3],
		.flags = arg[6],
		.gfp = (uint32_t)arg[4],
		.node = (int32_t)arg[7],
	};

	if (opcode != NB_OP_VMALLOC && opcode != NB_OP_GET_VM_AREA)
		return;
	if (audit_expect(t->audit, &expectation) == -EEXIST)
		selftest_fail(t, "%#" PRIx64 " was given out twice", expectation.address);
}

static void note_release(struct selftest *t, uint16_t opcode, uint64_t address)
{
	if (opcode == NB_OP_VFREE || opcode == NB_OP_FREE_VM_AREA ||
	    opcode == NB_OP_REMOVE_VM_AREA || opcode == NB_OP_VUNMAP)
		audit_unexpect(t->audit, address);
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
	if (t->answer.status == 0) {
		note_request(t, opcode, arg);
		note_release(t, opcode, arg[0]);
	}
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

/* ---- looking ---- */

const struct inspect_area *selftest_area(struct selftest *t, uint64_t at)
{
	const struct inspect_area *area;

	inspect_areas_free(&t->areas);
	inspect_refresh(t->inspector);
	if (inspect_areas(t->inspector, &t->areas) != 0) {
		selftest_fail(t, "no memory to look at the areas");
		return NULL;
	}
	area = inspect_area_find(&t->areas, at);
	if (area && area->start == at && area->state == INSPECT_BUSY && area->has_vm)
		return area;
	selftest_fail(t, "no area starts at %#" PRIx64, at);
	return NULL;
}

void selftest_expect_area(struct selftest *t, uint64_t at, uint64_t pages, uint64_t frames,
			  uint64_t flags)
{
	const struct inspect_area *area = selftest_area(t, at);
	uint64_t guard = flags & NB_VM_NO_GUARD ? 0 : 1;

	if (!area)
		return;
	EXPECT(t, at % PAGE == 0, "%#" PRIx64 " is not page aligned", at);
	EXPECT(t, at >= NB_VMALLOC_START && area->end <= NB_VMALLOC_END,
	       "%#" PRIx64 " is not in the vmalloc range", at);
	EXPECT(t, area->end - at == (pages + guard) * PAGE,
	       "the area at %#" PRIx64 " has %#" PRIx64 " bytes, not %" PRIu64 " pages and a guard",
	       at, area->end - at, pages);
	EXPECT(t, area->nr_pages == frames,
	       "the area at %#" PRIx64 " lists %" PRIu64 " frames, not %" PRIu64, at,
	       area->nr_pages, frames);
	EXPECT(t, (area->flags & flags) == flags,
	       "the area at %#" PRIx64 " has flags %#" PRIx64 ", not all of %#" PRIx64, at,
	       area->flags, flags);
}

void selftest_expect_gone(struct selftest *t, uint64_t at, uint64_t pages)
{
	const struct inspect_area *area;

	inspect_areas_free(&t->areas);
	inspect_refresh(t->inspector);
	if (inspect_areas(t->inspector, &t->areas) != 0) {
		selftest_fail(t, "no memory to look at the areas");
		return;
	}
	area = inspect_area_find(&t->areas, at);
	EXPECT(t, !area || area->start != at || area->state != INSPECT_BUSY,
	       "the area at %#" PRIx64 " is still there", at);
	selftest_expect_clear(t, at, pages);
}

struct paging_walk selftest_walk(struct selftest *t, uint64_t at)
{
	struct paging_mode mode = guest_paging_mode(t->guest);
	struct paging_reader reader = guest_paging_reader(t->guest);
	struct paging_walk walk;

	paging_walk(&mode, &reader, gva_make(at), &walk);
	return walk;
}

uint64_t selftest_frame(struct selftest *t, uint64_t at)
{
	struct paging_walk walk = selftest_walk(t, at);

	return walk.status == PAGING_MAPPED ? walk.gpa.value / PAGE : UINT64_MAX;
}

void selftest_expect_mapped(struct selftest *t, uint64_t at, uint64_t pages, unsigned int rights)
{
	for (uint64_t i = 0; i < pages; i++) {
		struct paging_walk walk = selftest_walk(t, at + i * PAGE);

		if (walk.status != PAGING_MAPPED) {
			selftest_fail(t, "%#" PRIx64 " is not mapped: %s", at + i * PAGE,
				      paging_status_name(walk.status));
			return;
		}
		EXPECT(t, walk.rights == rights, "%#" PRIx64 " has rights %#x, not %#x",
		       at + i * PAGE, walk.rights, rights);
		EXPECT(t, inspect_ram_range(t->inspector, walk.gpa.value / PAGE),
		       "%#" PRIx64 " maps %#" PRIx64 ", which is no RAM", at + i * PAGE,
		       walk.gpa.value);
	}
	selftest_expect_clear(t, at + pages * PAGE, 1);
}

void selftest_expect_clear(struct selftest *t, uint64_t at, uint64_t pages)
{
	for (uint64_t i = 0; i < pages; i++)
		EXPECT(t, selftest_walk(t, at + i * PAGE).status == PAGING_NOT_PRESENT,
		       "%#" PRIx64 " is mapped", at + i * PAGE);
}

void selftest_expect_frames(struct selftest *t, uint64_t at, uint64_t pages, const uint64_t *pfn)
{
	for (uint64_t i = 0; i < pages; i++)
		EXPECT(t, selftest_frame(t, at + i * PAGE) == pfn[i],
		       "%#" PRIx64 " maps frame %#" PRIx64 ", not %#" PRIx64, at + i * PAGE,
		       selftest_frame(t, at + i * PAGE), pfn[i]);
}

static void expect_value(struct selftest *t, uint64_t at, bool readable, uint64_t word,
			 uint64_t value)
{
	EXPECT(t, readable, "%#" PRIx64 " cannot be read", at);
	EXPECT(t, !readable || word == value, "%#" PRIx64 " holds %#" PRIx64 ", not %#" PRIx64, at,
	       word, value);
}

void selftest_expect_word(struct selftest *t, uint64_t at, uint64_t value)
{
	uint64_t word = 0;
	bool readable = guest_read(t->guest, gva_make(at), &word, sizeof(word)) == 0;

	expect_value(t, at, readable, word, value);
}

void selftest_set_word(struct selftest *t, uint64_t at, uint64_t value)
{
	EXPECT(t, guest_write(t->guest, gva_make(at), &value, sizeof(value)) == 0,
	       "%#" PRIx64 " cannot be written", at);
}

void selftest_expect_frame_word(struct selftest *t, uint64_t pfn, uint64_t value)
{
	uint64_t word = 0;
	bool readable = gpa_space_read(guest_space(t->guest), gpa_make(pfn * PAGE), &word,
				       sizeof(word)) == 0;

	expect_value(t, pfn * PAGE, readable, word, value);
}

void selftest_set_frame_word(struct selftest *t, uint64_t pfn, uint64_t value)
{
	EXPECT(t,
	       gpa_space_write(guest_space(t->guest), gpa_make(pfn * PAGE), &value,
			       sizeof(value)) == 0,
	       "frame %#" PRIx64 " cannot be written", pfn);
}

/* ---- what rows use ---- */

void selftest_take_frames(struct selftest *t, uint64_t *pfn, size_t count)
{
	for (size_t i = 0; i < count; i++)
		pfn[i] = MAKE(t, NB_OP_ALLOC_PAGES, 0, NB_GFP_KERNEL, (uint64_t)-1);
}

void selftest_put_frames(struct selftest *t, const uint64_t *pfn, size_t count)
{
	for (size_t i = 0; i < count; i++)
		DO(t, NB_OP_FREE_PAGES, pfn[i], 0);
}

void selftest_list_frames(struct selftest *t, const uint64_t *pfn, size_t count)
{
	memcpy(guest_data(t->guest, 0), pfn, count * sizeof(*pfn));
}

uint64_t selftest_reserve_at(struct selftest *t, uint64_t start, uint64_t pages)
{
	uint64_t at = MAKE(t, NB_OP_GET_VM_AREA_WINDOW, pages * PAGE, NB_VM_MAP, start,
			   start + (pages + 1) * PAGE);

	EXPECT(t, at == start, "a range that just fits at %#" PRIx64 " is at %#" PRIx64, start, at);
	return at;
}
