/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of checks, a run over it, and the violations it leaves. */
#include "vmm/audit/audit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "vmm/audit/private.h"
#include "vmm/audit/state.h"
#include "vmm/base/cli.h"

static const struct audit_check_info checks[AUDIT_NR_CHECKS] = {
	[AUDIT_AREAS] = {"areas",
			 "tiles in order, without gap or overlap, page-aligned, inside "
			 "the window asked for; bookkeeping agrees; guard not mapped",
			 audit_areas},
	[AUDIT_FREE_TREE] = {"free-tree",
			     "free tree, busy tree and lazy list hold exactly their "
			     "tiles; trees balanced, maxima right, neighbours merged",
			     audit_free_tree},
	[AUDIT_MAPPING] = {"mapping",
			   "every page of an area maps the frame the area lists, with "
			   "the area's protection",
			   audit_mapping},
	[AUDIT_STRAY] = {"stray",
			 "nothing is mapped outside areas, the direct map, the page array "
			 "and the image",
			 audit_stray},
	[AUDIT_FRAMES] = {"frames",
			  "every frame of RAM has exactly one owner, its struct page "
			  "agrees, and the sum is all of RAM",
			  audit_frames},
	[AUDIT_TABLES] = {"tables",
			  "every page table is referenced once, reserved bits are clear, "
			  "none is leaked",
			  audit_tables},
	[AUDIT_ZONES] = {"zones", "frames of areas come from the zone and node asked for",
			 audit_zones},
	[AUDIT_STAGE2] = {"stage2", "every leaf maps memory the host provides", audit_stage2},
	[AUDIT_WX] = {"wx",
		      "nothing is writable and executable that was not asked for so, and no "
		      "alias writes what another mapping protects",
		      audit_wx},
	[AUDIT_TLB] = {"tlb",
		       "a page that maps another frame than at the last audit was flushed "
		       "since; with eager flushing, one that maps none too",
		       audit_tlb},
	[AUDIT_USERS] = {"users",
			 "user pages lie in a process's ranges, with their protection, and "
			 "show what may be shown: areas for users, frames inserted, the "
			 "image",
			 audit_users},
};

const struct audit_check_info *audit_checks(void)
{
	return checks;
}

static const char *check_name(unsigned int check)
{
	return checks[check].name;
}

int audit_parse_checks(const char *names, uint32_t *which_out, struct error *error)
{
	const char *wrong;

	if (cli_names_parse(names, check_name, AUDIT_NR_CHECKS, which_out, &wrong) == 0)
		return 0;
	return error_set(error, -EINVAL, "there is no check named \"%.*s\"",
			 (int)strcspn(wrong, ",") > 40 ? 40 : (int)strcspn(wrong, ","), wrong);
}

struct audit *audit_create(void)
{
	struct audit *audit = calloc(1, sizeof(*audit));

	return audit;
}

void audit_probe_with(struct audit *audit, const struct audit_prober *prober)
{
	audit->prober = *prober;
}

void audit_ask(struct audit *audit,
	       bool (*go_on)(void *context, unsigned int done, unsigned int total), void *context)
{
	audit->go_on = go_on;
	audit->go_on_context = context;
}

void audit_destroy(struct audit *audit)
{
	if (!audit)
		return;
	free(audit->expected);
	free(audit->tlb.page);
	free(audit);
}

/* ---- violations ---- */

size_t audit_violation_count(const struct audit *audit)
{
	return audit->nr_kept;
}

const struct audit_violation *audit_violation_at(const struct audit *audit, size_t index)
{
	return &audit->kept[index];
}

void audit_violation_format(const struct audit_violation *violation, char *text, size_t bytes)
{
	char values[64] = "";

	if (violation->found != violation->expected)
		snprintf(values, sizeof(values), " (found %#llx, expected %#llx)",
			 (unsigned long long)violation->found,
			 (unsigned long long)violation->expected);
	snprintf(text, bytes, "%s: %#llx: %s%s, first after operation %llu",
		 checks[violation->check].name, (unsigned long long)violation->address,
		 violation->text, values, (unsigned long long)violation->operation);
}

/* ---- a run ---- */

/* Whether the next check is to run. */
static bool goes_on(const struct audit *audit, struct audit_result *result, uint32_t which)
{
	result->ended = audit->go_on && !audit->go_on(audit->go_on_context, result->checks,
						      (unsigned int)__builtin_popcount(which));
	return !result->ended;
}

/* Reads what the checks share, then runs them. */
static int run_checks(struct audit_pass *pass, uint32_t which)
{
	int err = inspect_areas(pass->inspector, &pass->areas);

	if (!err)
		err = inspect_processes(pass->inspector, &pass->processes);
	if (!err)
		err = audit_map_create(pass);
	if (!err)
		err = audit_tables_walk(pass);
	for (unsigned int i = 0; i < AUDIT_NR_CHECKS && !err; i++) {
		if (!(which & AUDIT_BIT(i)))
			continue;
		if (!goes_on(pass->audit, &pass->result, which))
			break;
		pass->check = i;
		pass->result.checks++;
		pass->entries_left = 2 * inspect_ram_pages(pass->inspector);
		err = checks[i].run(pass);
	}
	audit_map_destroy(pass);
	inspect_processes_free(&pass->processes);
	inspect_areas_free(&pass->areas);
	return err;
}

int audit_run(struct audit *audit, struct inspector *inspector, uint32_t which, uint64_t operation,
	      struct audit_result *result_out)
{
	struct audit_pass pass = {
		.audit = audit,
		.inspector = inspector,
		.l = inspect_layout(inspector),
		.operation = operation,
	};
	double start = clock_seconds();
	int err;

	inspect_refresh(inspector);
	audit->runs++;
	err = run_checks(&pass, which);
	if (err) {
		audit->runs--;
		return err;
	}
	pass.result.seconds = clock_seconds() - start;
	audit->checks += pass.result.checks;
	audit->violations += pass.result.violations;
	*result_out = pass.result;
	return 0;
}

uint64_t audit_runs(const struct audit *audit)
{
	return audit->runs;
}

uint64_t audit_total_checks(const struct audit *audit)
{
	return audit->checks;
}

uint64_t audit_total_violations(const struct audit *audit)
{
	return audit->violations;
}
