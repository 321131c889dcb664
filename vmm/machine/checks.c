/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From what the engine found to a report, both sides of it unwound; and what it is told before. */
#include "vmm/machine/checks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/cli.h"
#include "vmm/image/coverage.h"
#include "vmm/machine/guest_private.h"
#include "vmm/machine/vcpu_report.h"
#include "vmm/soft/soft.h"

_Static_assert(NB_FRAMES_TAKEN == SOFT_FRAMES_TAKEN, "the guest's list is as the engine reads it");
_Static_assert(offsetof(struct nb_vcpu_area, frame_runs) ==
		       offsetof(struct nb_vcpu_area, nr_frame_runs) + 8,
	       "the guest's list is as the engine reads it");

static const char *check_name(unsigned int bit)
{
	return soft_check_name(1u << bit);
}

int checks_parse(const char *text, unsigned int *checks_out)
{
	if (strcmp(text, "none") != 0)
		return cli_names_parse(text, check_name, SOFT_CHECKS, checks_out, NULL);
	*checks_out = 0;
	return 0;
}

/* The guest expects that these fault, or lead where they should not. */
static const char *const exempt[] = {"user_load_faults"};

int guest_start_checks(struct guest *guest, struct error *error)
{
	struct soft_check_config config = {
		.checks = guest->checks,
		.ram_end = guest->memory.ram[guest->memory.nr_ram - 1].end,
		.direct_base = NB_DIRECT_BASE,
		.frames_port = guest->checks & SOFT_CHECK_FREED ? NB_PORT_FRAMES : 0,
		.nr_lists = guest->nr_vcpus,
		.runs_max = NB_FRAME_RUNS,
	};
	int err;

	for (unsigned int i = 0; i < guest->nr_vcpus; i++)
		config.frames_gpa[i] =
			guest->boot.info.area_gpa[i] + offsetof(struct nb_vcpu_area, nr_frame_runs);
	for (size_t i = 0; i < sizeof(exempt) / sizeof(exempt[0]); i++) {
		const struct image_symbol *symbol = image_symbol_named(&guest->image, exempt[i]);

		if (symbol)
			config.exempt[config.nr_exempt++] = symbol->start;
	}
	err = soft_check_start(guest->vm->fd, &config);
	return err ? error_set(error, err, "the checks: %s", strerror(-err)) : 0;
}

/* ---- a schedule ---- */

int guest_begin_plan(struct guest *guest, const struct soft_plan *plan, struct error *error)
{
	int err = soft_release(guest->vm->fd, plan);

	guest->scheduled = !err;
	return err ? error_set(error, err, "the schedule: %s", strerror(-err)) : 0;
}

/* ---- coverage ---- */

int guest_start_coverage(struct guest *guest, struct error *error)
{
	int err = soft_is_device(guest->kvm_fd) ? 0 : -ENOTSUP;

	if (err)
		return error_set(error, err, "coverage is counted by the soft engine: --kvm soft");
	err = coverage_range(&guest->image, &guest->coverage_start, &guest->coverage_end);
	if (!err) {
		guest->coverage_counts = calloc(guest->coverage_end - guest->coverage_start,
						sizeof(*guest->coverage_counts));
		if (!guest->coverage_counts)
			err = -ENOMEM;
	}
	if (!err)
		err = soft_count_addresses(guest->vm->fd, guest->coverage_start,
					   guest->coverage_end - guest->coverage_start,
					   guest->coverage_counts);
	return err ? error_set(error, err, "counting coverage: %s", strerror(-err)) : 0;
}

int guest_coverage_save(struct guest *guest, struct error *error)
{
	if (!guest->coverage_counts || !guest->coverage)
		return 0;
	return coverage_write(&guest->image, guest->coverage_start, guest->coverage_end,
			      guest->coverage_counts, guest->coverage, error);
}

void guest_instructions(struct guest *guest, const char *part, uint64_t *all_out,
			uint64_t *part_out)
{
	*all_out = 0;
	*part_out = 0;
	if (guest->coverage_counts)
		coverage_sum(&guest->image, guest->coverage_start, guest->coverage_end,
			     guest->coverage_counts, part, all_out, part_out);
}

/* ---- reports ---- */

/* The stack as it was then; what lies further up, as it is now. */
struct old_stack {
	const struct soft_past *past;
	const struct vcpu *vcpu;
	struct paging_mode mode;
	bool have_mode;
};

static bool read_old_stack(void *context, uint64_t address, uint64_t *word_out)
{
	const struct old_stack *old = context;
	uint64_t offset = address - old->past->regs.rsp;

	if (address >= old->past->regs.rsp &&
	    offset + sizeof(*word_out) <= old->past->stack_bytes) {
		memcpy(word_out, old->past->stack + offset, sizeof(*word_out));
		return true;
	}
	return old->have_mode &&
	       gpa_space_read_virtual(old->vcpu->vm->space, &old->mode, gva_make(address), word_out,
				      sizeof(*word_out)) == sizeof(*word_out);
}

static void take_past(struct vcpu *vcpu, const struct soft_past *past, struct report_past *past_out)
{
	struct old_stack old = {.past = past, .vcpu = vcpu};
	const uint64_t regs[NR_REGS] = REGS_OF(past->regs);
	struct kvm_sregs sregs;
	struct kvm_regs now;

	past_out->known = past->known;
	if (!past->known)
		return;
	past_out->instruction = past->instruction;
	past_out->vcpu = past->vcpu;
	old.have_mode = vcpu_get_registers(vcpu, &now, &sregs) == 0 &&
			vcpu_paging_mode(vcpu, &sregs, &old.mode) == 0;
	backtrace_take(vcpu->vm->traces, regs, read_old_stack, &old, &past_out->trace);
}

static void describe(const struct soft_finding *f, char *text, size_t bytes, const char **then)
{
	const char *did = f->fetch ? "fetched from" : f->write ? "wrote to" : "read";

	*then = "";
	switch (f->check) {
	case SOFT_CHECK_STALE:
		*then = "unmapped";
		if (f->now_gpa != UINT64_MAX)
			snprintf(text, bytes,
				 "%s %#" PRIx64 " by a translation to %#" PRIx64
				 " that the tables no longer give: they lead to %#" PRIx64,
				 did, f->gva, f->gpa, f->now_gpa);
		else
			snprintf(text, bytes,
				 "%s %#" PRIx64 " by a translation to %#" PRIx64
				 " that the tables no longer give",
				 did, f->gva, f->gpa);
		break;
	case SOFT_CHECK_FREED:
		*then = "given up";
		if (f->table)
			snprintf(text, bytes,
				 "the page walker, on its way to %#" PRIx64
				 ", read an entry at %#" PRIx64
				 ", of a page table whose frame has been given up",
				 f->gva, f->gpa);
		else
			snprintf(text, bytes,
				 "%s %#" PRIx64 ", guest-physical %#" PRIx64
				 ", of a frame that has been given up",
				 did, f->gva, f->gpa);
		break;
	case SOFT_CHECK_WX:
		snprintf(text, bytes, "%s %#" PRIx64 ", which may be both written and executed",
			 did, f->gva);
		break;
	case SOFT_CHECK_GUARD:
		snprintf(text, bytes,
			 "%s %#" PRIx64 ", a page that is not mapped beside one that is", did,
			 f->gva);
		break;
	default:
		snprintf(text, bytes, "%s %#" PRIx64 ", off the end of the stack", did, f->gva);
	}
}

void checks_report(struct vcpu *vcpu, struct guest_report *report_out)
{
	struct soft_finding *finding = malloc(sizeof(*finding));
	const char *then;
	char text[256];

	if (!finding || soft_finding(vcpu->fd, finding) != 0) {
		vcpu_report(vcpu, REPORT_CHECK, "a check found something", report_out);
		free(finding);
		return;
	}
	describe(finding, text, sizeof(text), &then);
	vcpu_report(vcpu, REPORT_CHECK, text, report_out);
	report_out->have_check = true;
	report_out->instruction = finding->instruction;
	snprintf(report_out->check, sizeof(report_out->check), "%s",
		 soft_check_name(finding->check));
	snprintf(report_out->then, sizeof(report_out->then), "%s", then);
	report_out->have_access = finding->gpa != 0;
	report_out->access = (struct report_access){
		.gpa = finding->gpa,
		.write = finding->write,
		.fetch = finding->fetch,
		.table = finding->table,
		.have_gva = true,
		.gva = finding->gva,
		.stale = finding->check == SOFT_CHECK_STALE,
	};
	take_past(vcpu, &finding->past, &report_out->past);
	free(finding);
}
