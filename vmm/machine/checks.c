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

/* ---- what the engine is told of the guest ---- */

/* Marks of the guest's source, by name (mm/once.h). */
static const struct {
	const char *name;
	enum soft_mark_kind kind;
} mark_kinds[] = {{"exempt", SOFT_MARK_EXEMPT},
		  {"allocator", SOFT_MARK_ALLOCATOR},
		  {"relaxed", SOFT_MARK_RELAXED},
		  {"acquire", SOFT_MARK_ACQUIRE},
		  {"release", SOFT_MARK_RELEASE}};

static size_t take_marks(const struct image *image, struct soft_mark *marks)
{
	size_t count = 0;

	for (size_t i = 0; i < image->nr_marks; i++)
		for (size_t j = 0; j < sizeof(mark_kinds) / sizeof(mark_kinds[0]); j++)
			if (strcmp(image->marks[i].kind, mark_kinds[j].name) == 0)
				marks[count++] = (struct soft_mark){image->marks[i].address,
								    mark_kinds[j].kind};
	return count;
}

/* A number of the layout note; one that is not there, or too large, leaves *@complete false. */
static uint32_t number(const struct image *image, const char *key, bool *complete)
{
	uint64_t value = 0;

	*complete &= image_layout_number(image, key, &value) && value <= UINT32_MAX;
	return (uint32_t)value;
}

static uint32_t state_bit(const struct image *image, const char *key, bool *complete)
{
	uint32_t state = number(image, key, complete);

	*complete &= state < 32;
	return *complete ? 1u << state : 0;
}

/* How the guest keeps its frames and slabs. An image whose note does not say is left alone. */
static void describe_frames(const struct image *image, struct soft_frames_layout *layout)
{
	static const char *const owned[] = {"NUMBER(PAGE_MEMMAP)",  "NUMBER(PAGE_TABLE)",
					    "NUMBER(PAGE_SLAB)",    "NUMBER(PAGE_KMALLOC)",
					    "NUMBER(PAGE_VMALLOC)", "NUMBER(PAGE_OTHER)"};
	bool complete = true;

	*layout = (struct soft_frames_layout){
		.array = NB_MEMMAP_BASE,
		.frame_bytes = number(image, "SIZE(page)", &complete),
		.state = number(image, "OFFSET(page.state)", &complete),
		.order = number(image, "OFFSET(page.order)", &complete),
		.owner = number(image, "OFFSET(page.owner)", &complete),
		.freelist = number(image, "OFFSET(page.freelist)", &complete),
		.free_states = state_bit(image, "NUMBER(PAGE_FREE)", &complete) |
			       state_bit(image, "NUMBER(PAGE_PCP)", &complete),
		.slab_state = number(image, "NUMBER(PAGE_SLAB)", &complete),
		.object_bytes = number(image, "OFFSET(kmem_cache.object_bytes)", &complete),
		.cpu_lists = number(image, "OFFSET(kmem_cache.cpu)", &complete) +
			     number(image, "OFFSET(kmem_cache_cpu.freelist)", &complete),
		.cpu_list_bytes = number(image, "SIZE(kmem_cache_cpu)", &complete),
	};
	for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++)
		layout->owned_states |= state_bit(image, owned[i], &complete);
	if (!complete)
		*layout = (struct soft_frames_layout){0};
}

/* Where the host and the vCPUs meet: from the first area to the end of the last. */
static struct soft_range areas_of(const struct nb_boot_info *boot)
{
	struct soft_range range = {.start = UINT64_MAX};

	for (uint32_t i = 0; i < boot->nr_vcpus; i++) {
		uint64_t start = boot->area_gpa[i], end = start + sizeof(struct nb_vcpu_area);

		range.start = start < range.start ? start : range.start;
		range.end = end > range.end ? end : range.end;
	}
	return range;
}

static void code_range(const struct image *image, uint64_t *start_out, uint64_t *end_out)
{
	for (size_t i = 0; i < image->nr_segments; i++) {
		const struct image_segment *segment = &image->segments[i];

		if (!segment->executable)
			continue;
		if (!*end_out)
			*start_out = segment->start.value;
		*end_out = segment->end.value;
	}
}

int guest_start_checks(struct guest *guest, struct error *error)
{
	const struct nb_boot_info *boot = &guest->boot.info;
	const struct image *image = &guest->image;
	struct soft_mark *marks = calloc(image->nr_marks + 1, sizeof(*marks));
	struct soft_range reserved[NB_MAX_RANGES];
	struct soft_check_config config = {
		.checks = guest->checks,
		.ram_end = guest->memory.ram[guest->memory.nr_ram - 1].end,
		.direct_base = NB_DIRECT_BASE,
		.reserved = reserved,
		.nr_reserved = boot->nr_reserved,
		.marks = marks,
	};
	int err = marks ? 0 : -ENOMEM;

	if (!err) {
		config.nr_marks = take_marks(image, marks);
		config.shared = areas_of(boot);
		code_range(image, &config.code_start, &config.code_end);
		for (uint32_t i = 0; i < boot->nr_reserved; i++)
			reserved[i] =
				(struct soft_range){boot->reserved[i].start, boot->reserved[i].end};
		if (guest->checks & SOFT_CHECK_FREED)
			describe_frames(image, &config.frames);
		err = soft_check_start(guest->vm->fd, &config);
	}
	free(marks);
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

static void describe_freed(const struct soft_finding *f, const char *did, char *text, size_t bytes)
{
	const char *what = f->never ? "was never handed out" : "has been given up";

	if (f->table)
		snprintf(text, bytes,
			 "the page walker, on its way to %#" PRIx64 ", read an entry at %#" PRIx64
			 ", of a page table whose frame %s",
			 f->gva, f->gpa, what);
	else if (f->object_bytes)
		snprintf(text, bytes,
			 "%s %#" PRIx64 ", guest-physical %#" PRIx64
			 ", of a slab's object of %u bytes that %s",
			 did, f->gva, f->gpa, f->object_bytes,
			 f->never ? "was never allocated" : "has been freed");
	else
		snprintf(text, bytes,
			 "%s %#" PRIx64 ", guest-physical %#" PRIx64 ", of a frame that %s", did,
			 f->gva, f->gpa, what);
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
		*then = f->never ? "" : f->object_bytes ? "freed" : "given up";
		describe_freed(f, did, text, bytes);
		break;
	case SOFT_CHECK_RACE:
		*then = f->other_wrote ? "written" : "read";
		snprintf(text, bytes,
			 "%s %u bytes at %#" PRIx64 ", guest-physical %#" PRIx64
			 ", which another vCPU %s%s, and nothing orders the two",
			 did, f->bytes, f->gva, f->gpa, f->other_wrote ? "wrote" : "read",
			 f->other_marked ? ", as it may," : "");
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
