/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The audit: reads the state, runs the checks over it, keeps what they find. */
#include "vmm/linux/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/printable.h"
#include "lib/search.h"
#include "vmm/linux/check_private.h"

#define LIVE_TRIES 16

static const char *const check_names[LINUX_NR_CHECKS] = {
	[LINUX_CHECK_AREAS] = "areas",     [LINUX_CHECK_FREE_TREE] = "free-tree",
	[LINUX_CHECK_MAPPING] = "mapping", [LINUX_CHECK_STRAY] = "stray",
	[LINUX_CHECK_TABLES] = "tables",   [LINUX_CHECK_WX] = "wx",
	[LINUX_CHECK_MODULES] = "modules", [LINUX_CHECK_FRAMES] = "frames",
};

const char *linux_check_name(enum linux_check check)
{
	return (unsigned int)check < LINUX_NR_CHECKS ? check_names[check] : "?";
}

const char *linux_verdict_name(enum linux_verdict verdict)
{
	static const char *const names[LINUX_NR_VERDICTS] = {"alarm", "in update", "in transit"};

	return (unsigned int)verdict < LINUX_NR_VERDICTS ? names[verdict] : "?";
}

const char *linux_exception_name(enum linux_exception exception)
{
	static const char *const names[LINUX_NR_EXCEPTIONS] = {
		[LINUX_EXCEPT_PERCPU] = "percpu chunks",
		[LINUX_EXCEPT_UNINITIALIZED] = "areas being filled",
		[LINUX_EXCEPT_NO_VM] = "areas without vm_struct",
		[LINUX_EXCEPT_VM_MAP_RAM] = "vm_map_ram areas",
		[LINUX_EXCEPT_SPARSE] = "sparse areas",
		[LINUX_EXCEPT_UNREAD] = "page arrays not in the image",
		[LINUX_EXCEPT_BOOTING] = "W^X before the kernel runs",
		[LINUX_EXCEPT_ESPFIX] = "tables shared by espfix",
		[LINUX_EXCEPT_MODULE] = "modules coming or going",
		[LINUX_EXCEPT_FRAMES] = "frames of a kernel whose struct pages are not understood",
		[LINUX_EXCEPT_ZONES] = "sums of zones, which change meanwhile",
	};

	return (unsigned int)exception < LINUX_NR_EXCEPTIONS ? names[exception] : "?";
}

/* ---- what checks note ---- */

void linux_find(struct linux_pass *pass, enum linux_check check, enum linux_verdict verdict,
		const char *what, uint64_t start, uint64_t end, const char *format, ...)
{
	struct linux_audit *audit = pass->audit;
	struct linux_finding *finding;
	va_list arguments;

	if (pass->live && verdict == LINUX_ALARM)
		verdict = LINUX_IN_TRANSIT;
	audit->sum[check].verdicts[verdict]++;
	if (audit->nr_findings == LINUX_FINDINGS_MAX)
		return;
	finding = &audit->finding[audit->nr_findings++];
	*finding = (struct linux_finding){.check = check,
					  .verdict = verdict,
					  .what = what,
					  .start = start,
					  .end = end,
					  .seen = 1};
	va_start(arguments, format);
	vsnprintf(finding->text, sizeof(finding->text), format, arguments);
	va_end(arguments);
	printable(finding->text);
}

void linux_count(struct linux_pass *pass, enum linux_check check, uint64_t count)
{
	pass->audit->sum[check].compared += count;
}

void linux_except(struct linux_pass *pass, enum linux_exception exception)
{
	pass->audit->exceptions[exception]++;
}

enum linux_verdict linux_unless_locked(const struct linux_list *list, enum linux_verdict verdict)
{
	return list->locked ? LINUX_IN_UPDATE : verdict;
}

const char *linux_area_text(struct linux_pass *pass, const struct linux_area *area,
			    char text[LINUX_AREA_TEXT])
{
	char name[LINUX_NAME_BYTES];

	if (area->has_vm && area->vm.caller)
		snprintf(text, LINUX_AREA_TEXT, "0x%" PRIx64 "-0x%" PRIx64 " of %.120s",
			 area->start, area->end,
			 linux_address_name(pass->guest, area->vm.caller, name));
	else
		snprintf(text, LINUX_AREA_TEXT, "0x%" PRIx64 "-0x%" PRIx64, area->start, area->end);
	return text;
}

/* ---- lookups ---- */

static int by_start(const void *a, const void *b)
{
	const struct linux_area *x = *(struct linux_area *const *)a;
	const struct linux_area *y = *(struct linux_area *const *)b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

static int sort_busy(struct linux_pass *pass)
{
	struct linux_space *space = &pass->space;

	pass->busy = calloc(space->count + 1, sizeof(struct linux_area *));
	if (!pass->busy)
		return -ENOMEM;
	for (size_t i = 0; i < space->count; i++) {
		if (space->list[space->area[i].list].kind == LINUX_BUSY)
			pass->busy[pass->nr_busy++] = &space->area[i];
	}
	qsort(pass->busy, pass->nr_busy, sizeof(struct linux_area *), by_start);
	return 0;
}

const struct linux_area *linux_busy_at(const struct linux_pass *pass, uint64_t address)
{
	size_t low = FIRST_WHERE(i, pass->nr_busy, pass->busy[i]->start > address);

	return low > 0 && address < pass->busy[low - 1]->end ? pass->busy[low - 1] : NULL;
}

const struct linux_leaf *linux_leaf_at(const struct linux_pass *pass, uint64_t address)
{
	size_t low = FIRST_WHERE(i, pass->nr_leaves, pass->leaf[i].start > address);

	if (low == 0 || address - pass->leaf[low - 1].start >= pass->leaf[low - 1].bytes)
		return NULL;
	return &pass->leaf[low - 1];
}

/* ---- one look ---- */

static bool settled(const struct linux_space *space)
{
	for (size_t i = 0; i < space->nr_lists; i++) {
		if (space->list[i].broken || space->list[i].locked)
			return false;
	}
	return true;
}

/* While the guest runs a list may change under the reader: then it is read again. */
static int read_space(struct linux_pass *pass, struct error *error)
{
	for (int i = 0;; i++) {
		int err = linux_space_read(pass->guest, &pass->space, error);

		if (err || !pass->live || i + 1 == LIVE_TRIES || settled(&pass->space))
			return err;
		linux_space_free(&pass->space);
		linux_refresh(pass->guest);
	}
}

static void run_checks(struct linux_pass *pass, uint32_t checks)
{
	const uint32_t tables = 1u << LINUX_CHECK_TABLES | 1u << LINUX_CHECK_WX |
				1u << LINUX_CHECK_MAPPING | 1u << LINUX_CHECK_STRAY;

	if (checks & 1u << LINUX_CHECK_AREAS)
		linux_check_areas(pass);
	if (checks & 1u << LINUX_CHECK_FREE_TREE)
		linux_check_free(pass);
	if (checks & tables)
		linux_check_leaves(pass);
	if (checks & 1u << LINUX_CHECK_MAPPING)
		linux_check_mapping(pass);
	if (checks & 1u << LINUX_CHECK_STRAY)
		linux_check_stray(pass);
	if (checks & 1u << LINUX_CHECK_WX)
		linux_check_aliases(pass);
	if (checks & 1u << LINUX_CHECK_MODULES)
		linux_check_modules(pass);
	if (checks & 1u << LINUX_CHECK_FRAMES)
		linux_check_frames(pass);
}

/* What checks that share a walk found without being asked for goes. */
static void keep_asked(struct linux_audit *audit, uint32_t checks)
{
	size_t kept = 0;

	for (size_t i = 0; i < audit->nr_findings; i++) {
		if (checks & 1u << audit->finding[i].check)
			audit->finding[kept++] = audit->finding[i];
	}
	audit->nr_findings = kept;
	for (unsigned int i = 0; i < LINUX_NR_CHECKS; i++) {
		if (!(checks & 1u << i))
			audit->sum[i] = (struct linux_check_sum){0};
	}
}

int linux_audit_run(struct linux_guest *guest, const struct linux_audit_options *options,
		    struct linux_audit *audit_out, struct error *error)
{
	uint32_t checks = options->checks ? options->checks : (1u << LINUX_NR_CHECKS) - 1;
	struct linux_audit audit = {.nr_findings = 0};
	struct linux_pass pass = {.guest = guest, .audit = &audit, .live = options->live};
	int err;

	audit.finding = calloc(LINUX_FINDINGS_MAX, sizeof(*audit.finding));
	if (!audit.finding)
		return error_set(error, -ENOMEM, "no memory for findings");
	err = read_space(&pass, error);
	if (err)
		goto err_free;
	for (size_t i = 0; i < pass.space.nr_lists; i++)
		pass.broken = pass.broken || pass.space.list[i].broken;
	err = sort_busy(&pass);
	if (!err) {
		run_checks(&pass, checks);
		err = pass.err;
	}
	memcpy(audit.locks, pass.space.locks, sizeof(audit.locks));
	audit.areas = pass.space.count;
	keep_asked(&audit, checks);
	free(pass.busy);
	free(pass.leaf);
	linux_space_free(&pass.space);
	if (err) {
		error_set(error, err, "no memory for the audit");
		goto err_free;
	}
	*audit_out = audit;
	return 0;

err_free:
	free(audit.finding);
	return err;
}

void linux_audit_free(struct linux_audit *audit)
{
	free(audit->finding);
	*audit = (struct linux_audit){.nr_findings = 0};
}

/* ---- later looks ---- */

static unsigned int seen_before(const struct linux_finding *finding,
				const struct linux_audit *before)
{
	for (size_t i = 0; i < before->nr_findings; i++) {
		const struct linux_finding *other = &before->finding[i];

		if (other->check == finding->check && other->start == finding->start &&
		    other->end == finding->end && strcmp(other->what, finding->what) == 0 &&
		    other->verdict != LINUX_IN_UPDATE)
			return other->seen;
	}
	return 0;
}

unsigned int linux_audit_follow(struct linux_audit *audit, const struct linux_audit *before)
{
	unsigned int most = 0;

	for (size_t i = 0; i < audit->nr_findings; i++) {
		struct linux_finding *finding = &audit->finding[i];

		finding->seen = 1 + seen_before(finding, before);
		if (finding->verdict == LINUX_IN_TRANSIT && finding->seen > most)
			most = finding->seen;
	}
	return most;
}

void linux_audit_confirm(struct linux_audit *audit, unsigned int looks)
{
	for (size_t i = 0; i < audit->nr_findings; i++) {
		struct linux_finding *finding = &audit->finding[i];

		if (finding->verdict != LINUX_IN_TRANSIT || finding->seen < looks)
			continue;
		finding->verdict = LINUX_ALARM;
		audit->sum[finding->check].verdicts[LINUX_IN_TRANSIT]--;
		audit->sum[finding->check].verdicts[LINUX_ALARM]++;
	}
}

uint64_t linux_audit_alarms(const struct linux_audit *audit)
{
	uint64_t alarms = 0;

	for (unsigned int i = 0; i < LINUX_NR_CHECKS; i++)
		alarms += audit->sum[i].verdicts[LINUX_ALARM];
	return alarms;
}
