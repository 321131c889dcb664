/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the checks keep: a word for each frame of RAM, which pages were unmapped last, and the
 * moments at which that happened, the newest SOFT_PASTS of them.
 */
#include "vmm/soft/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vmm/soft/check_private.h"

const char *soft_check_name(unsigned int check)
{
	static const char *const names[SOFT_CHECKS] = {"stale", "freed", "wx",
						       "guard", "stack", "race"};

	for (unsigned int i = 0; i < SOFT_CHECKS; i++)
		if (check == 1u << i)
			return names[i];
	return "unknown";
}

/* Zeroed, and paid for when used. */
static void *make(size_t bytes)
{
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

static void unmake(void *map, size_t bytes)
{
	if (map)
		munmap(map, bytes);
}

void soft_check_free(struct soft_check *check)
{
	struct soft_check_page *page, *next;

	if (!check)
		return;
	/* What it keeps it finds by the pages. */
	soft_race_free(check->race);
	for (page = check->pages; page; page = next) {
		next = page->next;
		free(page->object_past);
		free(page);
	}
	unmake(check->frames, check->nr_frames * sizeof(*check->frames));
	unmake(check->owned, (check->nr_frames / 64 + 1) * sizeof(*check->owned));
	unmake(check->moments, SOFT_PASTS * sizeof(*check->moments));
	unmake(check->unmapped, SOFT_UNMAPPED * sizeof(*check->unmapped));
	free(check->marks);
	free(check);
}

static int take_marks(struct soft_check *check, const struct soft_check_config *config)
{
	uint64_t bytes = config->code_end - config->code_start;

	if (!config->nr_marks)
		return 0;
	check->marks = calloc(bytes, 1);
	if (!check->marks)
		return -ENOMEM;
	for (size_t i = 0; i < config->nr_marks; i++)
		if (config->marks[i].address - config->code_start < bytes)
			check->marks[config->marks[i].address - config->code_start] =
				(uint8_t)config->marks[i].kind;
	return 0;
}

static void take_reserved(struct soft_check *check, const struct soft_check_config *config)
{
	for (size_t i = 0; i < config->nr_reserved; i++)
		for (uint64_t pfn = config->reserved[i].start / EPT_PAGE_BYTES;
		     pfn < config->reserved[i].end / EPT_PAGE_BYTES && pfn < check->nr_frames;
		     pfn++)
			check->owned[pfn / 64] |= 1ull << pfn % 64;
}

static int check_new(const struct soft_check_config *config, struct soft_check **check_out)
{
	struct soft_check *check = calloc(1, sizeof(*check));

	if (!check)
		return -ENOMEM;
	check->config = *config;
	check->config.reserved = NULL;
	check->config.marks = NULL;
	check->nr_frames = config->ram_end / EPT_PAGE_BYTES;
	check->frames = make(check->nr_frames * sizeof(*check->frames));
	check->owned = make((check->nr_frames / 64 + 1) * sizeof(*check->owned));
	check->moments = make(SOFT_PASTS * sizeof(*check->moments));
	check->unmapped = make(SOFT_UNMAPPED * sizeof(*check->unmapped));
	if (!check->frames || !check->owned || !check->moments || !check->unmapped ||
	    take_marks(check, config) != 0) {
		soft_check_free(check);
		return -ENOMEM;
	}
	if (config->checks & SOFT_CHECK_RACE) {
		check->race = soft_race_new();
		if (!check->race) {
			soft_check_free(check);
			return -ENOMEM;
		}
	}
	take_reserved(check, config);
	*check_out = check;
	return 0;
}

/* Two bytes of one aligned word; words elsewhere. */
static bool is_layout(const struct soft_frames_layout *layout)
{
	uint32_t bytes = layout->frame_bytes;

	if (!layout->array || !bytes)
		return !layout->array;
	return bytes >= 16 && bytes <= EPT_PAGE_BYTES && !(bytes & (bytes - 1)) &&
	       layout->array % EPT_PAGE_BYTES == 0 && layout->state < bytes &&
	       layout->order / 8 == layout->state / 8 && layout->owner < bytes &&
	       layout->owner % 8 == 0 && layout->freelist < bytes && layout->freelist % 8 == 0 &&
	       layout->cpu_lists % 8 == 0 && layout->cpu_list_bytes % 8 == 0;
}

int soft_check_attach(struct soft_vm *vm, const struct soft_check_config *config)
{
	if ((config->checks & ~SOFT_CHECK_ALL) || config->ram_end < EPT_PAGE_BYTES ||
	    config->ram_end > 1ull << SOFT_PHYSICAL_BITS || !is_layout(&config->frames) ||
	    config->code_end < config->code_start ||
	    config->code_end - config->code_start > SOFT_CHECK_CODE_MAX)
		return -EINVAL;
	if (vm->check)
		return -EBUSY;
	soft_flush_lines(vm);
	return check_new(config, &vm->check);
}

struct soft_check_page *soft_check_page(struct soft_check *check, struct soft_check_frame *frame)
{
	if (frame->page)
		return frame->page;
	frame->page = calloc(1, sizeof(*frame->page));
	if (!frame->page) {
		check->no_memory = true;
		return NULL;
	}
	frame->page->next = check->pages;
	check->pages = frame->page;
	return frame->page;
}

/* ---- moments ---- */

static void take_registers(struct soft_vcpu *vcpu, struct kvm_regs *regs)
{
	const uint64_t *r = vcpu->cpu.regs;

	*regs = (struct kvm_regs){
		.rax = r[SOFT_RAX],
		.rbx = r[SOFT_RBX],
		.rcx = r[SOFT_RCX],
		.rdx = r[SOFT_RDX],
		.rsi = r[SOFT_RSI],
		.rdi = r[SOFT_RDI],
		.rsp = r[SOFT_RSP],
		.rbp = r[SOFT_RBP],
		.r8 = r[8],
		.r9 = r[9],
		.r10 = r[10],
		.r11 = r[11],
		.r12 = r[12],
		.r13 = r[13],
		.r14 = r[14],
		.r15 = r[15],
		.rip = soft_cpu_rip(&vcpu->cpu),
	};
}

/* What can be had of the stack without a fault. */
static void take_stack(struct soft_vcpu *vcpu, struct soft_past *past)
{
	uint64_t at = past->regs.rsp;

	past->stack_bytes = 0;
	while (past->stack_bytes < SOFT_PAST_STACK) {
		uint64_t gva = at + past->stack_bytes;
		size_t room = EPT_PAGE_BYTES - gva % EPT_PAGE_BYTES;
		size_t bytes = SOFT_PAST_STACK - past->stack_bytes;
		struct soft_line *line =
			&vcpu->cpu.line_sets[SOFT_SUPERVISOR][soft_line_index(gva)];
		const uint8_t *host = NULL;

		bytes = bytes < room ? bytes : room;
		if ((line->read & ~SOFT_LINE_MARKS) == (gva & ~(EPT_PAGE_BYTES - 1)) &&
		    line->read != SOFT_LINE_NONE) {
			host = line->host + gva % EPT_PAGE_BYTES;
		} else {
			struct paging_walk walk;
			const struct soft_slot *slot;

			if (!soft_mmu_look(vcpu, gva, &walk) || walk.status != PAGING_MAPPED)
				return;
			slot = soft_slot_find(vcpu->vm, walk.gpa.value);
			if (!slot)
				return;
			host = slot->host + (walk.gpa.value - slot->start);
		}
		memcpy(past->stack + past->stack_bytes, host, bytes);
		past->stack_bytes += bytes;
	}
}

/* A place of the same call not far away: the next iteration of REP, or of a loop. */
#define SAME_MOMENT 1024
#define SAME_PLACE  256

static bool is_last_moment(const struct soft_vcpu *vcpu)
{
	const struct soft_check *check = vcpu->vm->check;
	const struct soft_moment *last = &check->moments[check->last % SOFT_PASTS];
	uint64_t rip = soft_cpu_rip(&vcpu->cpu);

	return check->last && last->past.vcpu == vcpu->id &&
	       rip - last->past.regs.rip + SAME_PLACE < 2 * SAME_PLACE &&
	       last->past.regs.rsp == vcpu->cpu.regs[SOFT_RSP] &&
	       soft_clock(vcpu->vm) - last->past.instruction < SAME_MOMENT;
}

uint32_t soft_check_remember(struct soft_vcpu *vcpu)
{
	struct soft_check *check = vcpu->vm->check;
	struct soft_moment *moment;

	if (is_last_moment(vcpu))
		return check->last;
	if (++check->last == 0)
		check->last = 1;
	moment = &check->moments[check->last % SOFT_PASTS];
	moment->number = check->last;
	moment->past.known = true;
	moment->past.instruction = soft_clock(vcpu->vm);
	moment->past.vcpu = vcpu->id;
	take_registers(vcpu, &moment->past.regs);
	take_stack(vcpu, &moment->past);
	return check->last;
}

void soft_check_recall(const struct soft_check *check, uint32_t number, struct soft_past *past_out)
{
	const struct soft_moment *moment = &check->moments[number % SOFT_PASTS];

	if (number && moment->number == number)
		*past_out = moment->past;
	else
		*past_out = (struct soft_past){.known = false};
}

enum soft_answer soft_check_no_memory(struct soft_vcpu *vcpu)
{
	vcpu->reason = SOFT_NO_MEMORY;
	return SOFT_LEAVE;
}

enum soft_answer soft_check_found(struct soft_vcpu *vcpu, const struct soft_finding *finding,
				  uint32_t past)
{
	if (!vcpu->finding)
		vcpu->finding = malloc(sizeof(*vcpu->finding));
	if (!vcpu->finding)
		return soft_check_no_memory(vcpu);
	*vcpu->finding = *finding;
	vcpu->finding->instruction = soft_clock(vcpu->vm);
	soft_check_recall(vcpu->vm->check, past, &vcpu->finding->past);
	vcpu->reason = SOFT_CHECKED;
	return SOFT_LEAVE;
}
