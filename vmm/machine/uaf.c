/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the guest gave up, by frame: a record each, revoked and granted with the guest's words. */
#include "vmm/machine/uaf.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/grow.h"
#include "mm/x86.h"
#include "vmm/machine/vm.h"

/* Who gave up frames, how many of which nobody has got since. */
struct record {
	uint64_t frames; /* 0: not in use; next is the next such record */
	uint32_t next;
	unsigned int vcpu;
	bool have_call;
	struct nb_submission call;
	size_t nr_callers;
	uint64_t callers[REPORT_CALLERS];
};

struct uaf {
	struct watch *watch;
	const struct image *image;
	pthread_mutex_t lock; /* all below */
	uint32_t *record_of;  /* by frame: 1 + its record, 0 for a frame that is not given up */
	uint64_t nr_frames;
	struct record *records;
	uint32_t nr_records, unused; /* unused: 1 + the first record not in use, or 0 */
	struct uaf_counts counts;
};

int uaf_create(struct watch *watch, const struct image *image, uint64_t ram_end,
	       struct uaf **uaf_out, struct error *error)
{
	struct uaf *uaf = calloc(1, sizeof(*uaf));
	void *map;

	if (!uaf)
		return error_set(error, -ENOMEM, "no memory for the use-after-free trap");
	uaf->watch = watch;
	uaf->image = image;
	uaf->nr_frames = ram_end / X86_PAGE_SIZE;
	map = mmap(NULL, uaf->nr_frames * sizeof(*uaf->record_of), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED) {
		free(uaf);
		return error_set(error, -ENOMEM, "no memory for the use-after-free trap");
	}
	uaf->record_of = map;
	pthread_mutex_init(&uaf->lock, NULL);
	*uaf_out = uaf;
	return 0;
}

void uaf_destroy(struct uaf *uaf)
{
	if (!uaf)
		return;
	pthread_mutex_destroy(&uaf->lock);
	munmap(uaf->record_of, uaf->nr_frames * sizeof(*uaf->record_of));
	free(uaf->records);
	free(uaf);
}

/* ---- records ---- */

static int new_record(struct uaf *uaf, uint32_t *index_out)
{
	if (!uaf->unused) {
		if (GROW(uaf->records, uaf->nr_records))
			return -ENOMEM;
		uaf->records[uaf->nr_records] = (struct record){.next = 0};
		uaf->unused = ++uaf->nr_records;
	}
	*index_out = uaf->unused - 1;
	uaf->unused = uaf->records[*index_out].next;
	return 0;
}

static void drop_if_empty(struct uaf *uaf, uint32_t index)
{
	if (uaf->records[index].frames)
		return;
	uaf->records[index].next = uaf->unused;
	uaf->unused = index + 1;
}

static void fill_record(struct record *record, struct vcpu *vcpu, const struct nb_submission *call)
{
	struct paging_mode mode;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	*record = (struct record){.vcpu = vcpu->index, .have_call = call != NULL};
	if (call)
		record->call = *call;
	if (vcpu_get_registers(vcpu, &regs, &sregs) == 0 &&
	    vcpu_paging_mode(vcpu, &sregs, &mode) == 0)
		record->nr_callers =
			report_callers(&(struct report_view){vcpu->vm->space, &mode,
							     vcpu->vm->image, vcpu->vm->traces},
				       regs.rsp, record->callers);
}

/* Frames [pfn, pfn + nr) are @index's from now on; UINT32_MAX: nobody's, they are in use. */
static void assign(struct uaf *uaf, uint64_t pfn, uint64_t nr, uint32_t index)
{
	for (uint64_t i = pfn; i < pfn + nr; i++) {
		uint32_t before = uaf->record_of[i];

		if (before) {
			uaf->records[before - 1].frames--;
			uaf->counts.free--;
			if (before - 1 != index)
				drop_if_empty(uaf, before - 1);
		}
		uaf->record_of[i] = index + 1; /* UINT32_MAX wraps to 0 */
		if (index == UINT32_MAX)
			continue;
		uaf->records[index].frames++;
		uaf->counts.free++;
		uaf->counts.given_up++;
	}
}

/* ---- what the guest says ---- */

static int take_run(struct uaf *uaf, const struct nb_frame_run *run, uint32_t index,
		    struct error *error)
{
	struct trap_set *traps = watch_traps(uaf->watch);
	uint64_t pfn = run->pfn, nr = run->nr & ~NB_FRAMES_TAKEN;
	gpa_t start = gpa_make(pfn * X86_PAGE_SIZE), end = gpa_add(start, nr * X86_PAGE_SIZE);
	bool taken = run->nr & NB_FRAMES_TAKEN;
	int err;

	if (nr == 0 || pfn + nr > uaf->nr_frames)
		return error_set(error, -EINVAL, "%" PRIu64 " frames from %#" PRIx64, nr, pfn);
	/* Recorded before a vCPU can be caught, forgotten after none can be any more. */
	if (!taken)
		assign(uaf, pfn, nr, index);
	err = taken ? trap_unwatch(traps, start, end, error)
		    : trap_watch(traps, start, end, TRAP_ANY, error);
	if (taken && !err)
		assign(uaf, pfn, nr, UINT32_MAX);
	return err == -EFAULT ? -EINVAL : err;
}

/* The host's copy of the list. */
static int copy_runs(struct vcpu *vcpu, struct nb_frame_run runs[NB_FRAME_RUNS], uint32_t *nr_out,
		     struct error *error)
{
	gpa_t area = gpa_make(vcpu->vm->boot->info.area_gpa[vcpu->index]);
	const struct gpa_space *space = vcpu->vm->space;
	uint32_t nr;
	int err = gpa_space_read(space, gpa_add(area, offsetof(struct nb_vcpu_area, nr_frame_runs)),
				 &nr, sizeof(nr));

	if (!err && nr > NB_FRAME_RUNS)
		return error_set(error, -EINVAL, "%" PRIu32 " runs of frames", nr);
	if (!err)
		err = gpa_space_read(space,
				     gpa_add(area, offsetof(struct nb_vcpu_area, frame_runs)), runs,
				     nr * sizeof(*runs));
	if (err)
		return error_set(error, -EINVAL, "a list outside memory");
	*nr_out = nr;
	return 0;
}

int uaf_frames(struct uaf *uaf, struct vcpu *vcpu, const struct nb_submission *call,
	       struct error *error)
{
	struct nb_frame_run runs[NB_FRAME_RUNS];
	uint32_t nr = 0, index = UINT32_MAX;
	int err = copy_runs(vcpu, runs, &nr, error);

	if (err)
		return err;
	pthread_mutex_lock(&uaf->lock);
	for (uint32_t i = 0; i < nr && !err; i++) {
		if (!(runs[i].nr & NB_FRAMES_TAKEN) && index == UINT32_MAX) {
			err = new_record(uaf, &index);
			if (!err)
				fill_record(&uaf->records[index], vcpu, call);
		}
		if (!err)
			err = take_run(uaf, &runs[i], index, error);
		else
			error_set(error, err, "no memory for the use-after-free trap");
	}
	if (index != UINT32_MAX)
		drop_if_empty(uaf, index);
	pthread_mutex_unlock(&uaf->lock);
	return err;
}

/* ---- what is known of a frame ---- */

bool uaf_is_free(struct uaf *uaf, gpa_t page)
{
	uint64_t pfn = page.value / X86_PAGE_SIZE;
	bool is_free;

	pthread_mutex_lock(&uaf->lock);
	is_free = pfn < uaf->nr_frames && uaf->record_of[pfn];
	pthread_mutex_unlock(&uaf->lock);
	return is_free;
}

void uaf_describe(struct uaf *uaf, const struct watch_access *access, struct guest_report *report)
{
	uint64_t pfn = access->page.value / X86_PAGE_SIZE;
	struct record record;
	char name[REPORT_OPCODE_BYTES];
	uint32_t index;

	pthread_mutex_lock(&uaf->lock);
	index = pfn < uaf->nr_frames ? uaf->record_of[pfn] : 0;
	if (index)
		record = uaf->records[index - 1];
	pthread_mutex_unlock(&uaf->lock);
	if (!index)
		return;
	report->kind = REPORT_USE_AFTER_FREE;
	report->have_release = true;
	report->release = (struct report_release){
		.vcpu = record.vcpu,
		.have_call = record.have_call,
		.call = record.call,
		.nr_callers = record.nr_callers,
	};
	memcpy(report->release.callers, record.callers, sizeof(record.callers));
	for (size_t i = 0; i < record.nr_callers; i++)
		image_place(uaf->image, record.callers[i] - 1, report->release.caller_places[i]);
	snprintf(report->text, sizeof(report->text),
		 "%s frame %#" PRIx64 ", which was given up by %s",
		 access->what.fetch   ? "fetched an instruction from"
		 : access->what.table ? "walked a page table in"
		 : access->what.write ? "wrote to"
				      : "read from",
		 pfn,
		 record.have_call ? report_opcode_name(record.call.opcode, name) : "no hypercall");
}

void uaf_counts(struct uaf *uaf, struct uaf_counts *counts_out)
{
	pthread_mutex_lock(&uaf->lock);
	*counts_out = uaf->counts;
	pthread_mutex_unlock(&uaf->lock);
}
