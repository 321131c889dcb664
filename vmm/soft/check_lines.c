/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines, as the checks have them: what a line is told to be careful of when it is filled, and the
 * lines that go because that changed.
 */
#include "vmm/soft/check_private.h"

/* A line that is empty but for what the interpreter may still hold of it: only tags are asked. */
static void close_line(struct soft_line *line)
{
	line->read = line->write = line->fetch = SOFT_LINE_NONE;
}

void soft_check_close(struct soft_vm *vm, uint64_t gva, uint64_t bytes)
{
	uint64_t lines = bytes / EPT_PAGE_BYTES < SOFT_LINES ? bytes / EPT_PAGE_BYTES : SOFT_LINES;

	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		for (unsigned int class = 0; class < SOFT_CLASSES; class ++)
			for (uint64_t j = 0; j < lines; j++) {
				struct soft_line *set = vm->vcpus[i]->cpu.line_sets[class];

				close_line(&set[soft_line_index(gva + j * EPT_PAGE_BYTES)]);
				close_line(&set[soft_fetch_index(gva + j * EPT_PAGE_BYTES)]);
			}
}

static void close_all_to(struct soft_vm *vm, uint64_t gpa)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		for (unsigned int class = 0; class < SOFT_CLASSES; class ++)
			for (unsigned int j = 0; j < SOFT_LINES_ALL; j++) {
				struct soft_line *line = &vm->vcpus[i]->cpu.line_sets[class][j];

				if (line->gpa == gpa)
					close_line(line);
			}
}

void soft_check_close_frame(struct soft_vm *vm, struct soft_check_frame *frame, uint64_t gpa)
{
	gpa &= ~(EPT_PAGE_BYTES - 1);
	soft_check_close(vm, vm->check->config.direct_base + gpa, EPT_PAGE_BYTES);
	if (frame->aliases)
		close_all_to(vm, gpa);
	else if (frame->alias)
		soft_check_close(vm, frame->alias, EPT_PAGE_BYTES);
	frame->aliases = false;
	frame->alias = 0;
}

static bool any(const uint64_t bits[8])
{
	uint64_t all = 0;

	for (unsigned int i = 0; i < 8; i++)
		all |= bits[i];
	return all != 0;
}

/* Lines that lead there have the mark already if the page has a bit: it is the page's for good. */
void soft_check_care(struct soft_vm *vm, struct soft_check_frame *frame, uint64_t gpa,
		     unsigned int words, bool reads)
{
	struct soft_careful *careful = &frame->page->careful;
	unsigned int word = gpa % EPT_PAGE_BYTES / 8;
	bool first = !any(careful->writes) || (reads && !any(careful->reads));

	frame->page->cares = true;
	for (; words; words--, word++) {
		careful->writes[word / 64] |= 1ull << word % 64;
		if (reads)
			careful->reads[word / 64] |= 1ull << word % 64;
	}
	if (first)
		soft_check_close_frame(vm, frame, gpa);
}

static void note_alias(const struct soft_check *check, struct soft_check_frame *frame, uint64_t gva,
		       uint64_t gpa)
{
	gva &= ~(EPT_PAGE_BYTES - 1);
	if (gva == check->config.direct_base + gpa || gva == frame->alias)
		return;
	if (frame->alias)
		frame->aliases = true;
	else
		frame->alias = gva;
}

static void mark(struct soft_line *line, bool reads, bool writes)
{
	if (reads && line->read != SOFT_LINE_NONE)
		line->read |= SOFT_LINE_CALL;
	if (writes && line->write != SOFT_LINE_NONE)
		line->write |= SOFT_LINE_CALL;
}

void soft_check_mark(struct soft_vcpu *vcpu, struct soft_line *line, uint64_t gva)
{
	struct soft_check *check = vcpu->vm->check;
	struct soft_check_frame *frame = soft_check_frame(check, line->gpa);

	if (frame)
		note_alias(check, frame, gva, line->gpa);
	/* What comes next through this line is looked at, each time. */
	if (soft_check_exempt(vcpu)) {
		line->fetch = SOFT_LINE_NONE;
		mark(line, true, true);
		return;
	}
	if (!frame)
		return;
	if (check->race) {
		line->state = soft_check_page(check, frame);
		mark(line, true, true);
		return;
	}
	if (!frame->page)
		return;
	line->careful = &frame->page->careful;
	mark(line, any(frame->page->careful.reads), any(frame->page->careful.writes));
}
