/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compiled workloads in a guest (vmm/nestbox/load_run.h). */
#include "vmm/nestbox/load_run.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "vmm/attach/inspector.h"
#include "vmm/attach/probe.h"

/* What the host knows of a slot: the class and size of its area. */
struct slot {
	uint8_t class_index;
	uint16_t tag, before; /* of the last allocation in it, and of the last before this part */
	uint32_t pages;       /* 0: there was none */
};

struct block {
	uint64_t pfn, process;
	struct nb_submission submission;
	struct nb_completion completion;
	int err;
	struct guest *guest;
	unsigned int vcpu;
};

struct run {
	struct guest *guest;
	const struct load_program *program;
	const struct load_options *options;
	struct load_result *result;
	struct error *error;
	struct inspector *inspector;
	struct audit *audit;
	struct block blocks[NB_MAX_VCPUS];
	uint64_t slots_pfn, slots_order;
	struct slot *slots;
	uint64_t audited, measured; /* allocations then */
};

const char *load_op_name(unsigned int op)
{
	static const char *const names[NB_LOAD_OPS] = {"alloc", "free",  "reserve", "release",
						       "map",   "unmap", "purge"};

	return names[op];
}

/* ---- calls ---- */

static int guest_died(const struct run *run)
{
	const struct guest_report *report = guest_failure(run->guest);

	return error_set(run->error, -ENOTRECOVERABLE, "the guest died: %.200s",
			 report ? report->text : "for no reason it gave");
}

/* One call of the preparation. */
static int call(const struct run *run, struct nb_submission submission, const char *what,
		uint64_t *result_out)
{
	struct nb_completion answer;

	if (guest_call(run->guest, 0, &submission, &answer))
		return guest_died(run);
	if (answer.status)
		return error_set(run->error, answer.status == -ENOMEM ? -ENOMEM : -EPROTO,
				 "the guest has no %s: %s", what, strerror((int)-answer.status));
	if (result_out)
		*result_out = answer.result[0];
	return 0;
}

static int allocate(const struct run *run, uint64_t order, uint64_t *pfn_out)
{
	return call(
		run,
		(struct nb_submission){.opcode = NB_OP_ALLOC_PAGES,
				       .arg = {order, NB_GFP_KERNEL | NB_GFP_ZERO, (uint64_t)-1}},
		"memory for the workload's program", pfn_out);
}

static gpa_t block_at(uint64_t pfn, uint64_t offset)
{
	return gpa_make((pfn << 12) + offset);
}

/* ---- preparation ---- */

static int prepare_block(struct run *run, unsigned int vcpu)
{
	struct block *block = &run->blocks[vcpu];
	int err = allocate(run, LOAD_BLOCK_ORDER, &block->pfn);

	block->guest = run->guest;
	block->vcpu = vcpu;
	if (!err && run->program->user)
		err = call(run, (struct nb_submission){.opcode = NB_OP_PROCESS_CREATE},
			   "process for user mappings", &block->process);
	if (err)
		return err;
	err = gpa_space_write(guest_space(run->guest),
			      block_at(block->pfn, offsetof(struct nb_load, classes)),
			      run->program->classes, sizeof(run->program->classes));
	return err ? error_set(run->error, -EPROTO, "the guest gave frames that are no RAM") : 0;
}

static int prepare(struct run *run)
{
	struct nb_submission mode = {.opcode = NB_OP_SET_MODE, .arg = {run->options->mode}};
	const struct audit_prober prober = probe_by_guest(run->guest);
	int err = inspector_create_for_guest(run->guest, &run->inspector, run->error);

	if (err)
		return err;
	run->audit = audit_create();
	run->slots = calloc(run->program->nr_slots + 1u, sizeof(*run->slots));
	if (!run->audit || !run->slots)
		return error_set(run->error, -ENOMEM, "out of memory");
	if (!run->options->scheduled)
		audit_probe_with(run->audit, &prober);
	while ((4096ull << run->slots_order) / sizeof(uint64_t) < run->program->nr_slots)
		run->slots_order++;
	err = call(run, mode, "such mode", NULL);
	if (!err)
		err = allocate(run, run->slots_order, &run->slots_pfn);
	for (unsigned int i = 0; i < run->program->cpus && !err; i++)
		err = prepare_block(run, i);
	return err;
}

/* ---- a part ---- */

/*
 * A slot may go from vCPU to vCPU in one part: its tags say which allocation is the last. They come
 * round in no part.
 */
static void note_allocation(struct run *run, const struct nb_load_instruction *code)
{
	struct slot *slot = &run->slots[code->slot];
	unsigned int age = (code->tag + NB_LOAD_TAGS - slot->before) % NB_LOAD_TAGS;
	unsigned int known = (slot->tag + NB_LOAD_TAGS - slot->before) % NB_LOAD_TAGS;

	if (slot->pages && age <= known)
		return;
	slot->class_index = code->class_index;
	slot->tag = code->tag;
	slot->pages = code->pages;
}

/* Puts the part's code of @vcpu where it is run from, and makes the call. */
static int load_code(struct run *run, const struct program_part *part, unsigned int vcpu)
{
	const struct program_span *span = &part->of[vcpu];
	struct block *block = &run->blocks[vcpu];
	size_t count = span->end - span->first;
	const struct nb_load_instruction *code = run->program->code[vcpu].code + span->first;

	block->submission =
		(struct nb_submission){.opcode = NB_OP_LOAD,
				       .arg = {block->pfn, LOAD_BLOCK_ORDER, 0, count,
					       run->slots_pfn, run->slots_order, block->process}};
	block->completion = (struct nb_completion){0};
	block->err = 0;
	for (size_t i = 0; i < count; i++)
		if (code[i].op == NB_LOAD_ALLOC || code[i].op == NB_LOAD_RESERVE)
			note_allocation(run, &code[i]);
	return gpa_space_write(guest_space(run->guest),
			       block_at(block->pfn, offsetof(struct nb_load, code)), code,
			       count * sizeof(*code));
}

static void *run_block(void *context)
{
	struct block *block = context;

	block->err = guest_call(block->guest, block->vcpu, &block->submission, &block->completion);
	return NULL;
}

/* All vCPUs that have something to do, a thread each. */
static int call_by_threads(struct run *run, const struct program_part *part)
{
	pthread_t threads[NB_MAX_VCPUS];
	bool started[NB_MAX_VCPUS] = {false};
	int err = 0;

	for (unsigned int i = 0; i < run->program->cpus && !err; i++) {
		if (part->of[i].first == part->of[i].end)
			continue;
		err = pthread_create(&threads[i], NULL, run_block, &run->blocks[i]);
		started[i] = !err;
	}
	for (unsigned int i = 0; i < run->program->cpus; i++)
		if (started[i])
			pthread_join(threads[i], NULL);
	if (err)
		return error_set(run->error, -err, "a thread for each vCPU: %s", strerror(err));
	for (unsigned int i = 0; i < run->program->cpus; i++)
		if (started[i] && run->blocks[i].err)
			return guest_died(run);
	return 0;
}

static int call_together(struct run *run, const struct program_part *part)
{
	struct guest_batch batches[NB_MAX_VCPUS] = {0};
	int err;

	for (unsigned int i = 0; i < run->program->cpus; i++) {
		if (part->of[i].first != part->of[i].end)
			batches[i] = (struct guest_batch){&run->blocks[i].submission, 1,
							  &run->blocks[i].completion, 0};
	}
	err = guest_call_together(run->guest, batches, NULL);
	if (!err)
		err = soft_release(guest_kvm_fd(run->guest, -1), NULL);
	if (err == -ENOTRECOVERABLE)
		return guest_died(run);
	return err ? error_set(run->error, err, "the schedule: %s", strerror(-err)) : 0;
}

static int check_answers(const struct run *run, const struct program_part *part, bool setup)
{
	struct load_result *result = run->result;

	for (unsigned int i = 0; i < run->program->cpus; i++) {
		const struct nb_completion *answer = &run->blocks[i].completion;

		if (part->of[i].first == part->of[i].end)
			continue;
		if (answer->status)
			return error_set(
				run->error, -EPROTO,
				"vCPU %u stopped at instruction %llu of phase %u: %s", i,
				(unsigned long long)(part->of[i].first + answer->result[1]),
				part->phase + 1, strerror((int)-answer->status));
		result->failed += answer->result[2];
		if (answer->result[3] && answer->result[3] < 4096)
			result->last_errno = (int)answer->result[3];
		if (setup)
			continue;
		result->ticks += answer->result[0];
		result->operations += answer->result[1];
	}
	return 0;
}

/* ---- between parts ---- */

/* What each instruction of the part took, as the guest wrote it. */
static int take_latencies(const struct run *run, const struct program_part *part)
{
	struct nb_load_instruction *codes = malloc(LOAD_PART_MAX * sizeof(*codes));
	int err = codes ? 0 : -ENOMEM;

	for (unsigned int i = 0; i < run->program->cpus && !err; i++) {
		size_t count = part->of[i].end - part->of[i].first;
		const struct nb_load_instruction *code =
			run->program->code[i].code + part->of[i].first;

		err = gpa_space_read(guest_space(run->guest),
				     block_at(run->blocks[i].pfn, offsetof(struct nb_load, code)),
				     codes, count * sizeof(*codes));
		for (size_t j = 0; j < count && !err; j++)
			if (codes[j].user)
				histogram_add(&run->result->latency[code[j].op], codes[j].user, 1);
	}
	free(codes);
	return err ? error_set(run->error, err, "the latencies: %s", strerror(-err)) : 0;
}

static bool is_area(const struct inspect_area *tile)
{
	return tile->state == INSPECT_BUSY || tile->state == INSPECT_LAZY;
}

static json_t *area_json(const struct inspect_area *tile)
{
	bool lazy = tile->state == INSPECT_LAZY;

	return json_pack("{s:I, s:I, s:s, s:s, s:I}", "start", (json_int_t)tile->start, "end",
			 (json_int_t)tile->end, "state", lazy ? "lazy" : "busy", "line",
			 tile->nr_pages && !lazy ? " vmalloc" : "", "pages",
			 lazy ? (json_int_t)0 : (json_int_t)tile->nr_pages);
}

/* How areas lie now, and that as many are there as the program has made. */
static int measure(struct run *run, const struct program_part *part, json_t *areas)
{
	struct placement_range *ranges;
	struct placement placement;
	struct inspect_areas tiles;
	size_t count = 0;

	inspect_refresh(run->inspector);
	if (inspect_areas(run->inspector, &tiles))
		return error_set(run->error, -ENOMEM, "out of memory");
	ranges = calloc(tiles.count + 1, sizeof(*ranges));
	for (size_t i = 0; i < tiles.count && ranges; i++) {
		const struct inspect_area *tile = &tiles.area[i];

		if (!is_area(tile))
			continue;
		ranges[count++] = (struct placement_range){
			tile->start, tile->end, tile->state == INSPECT_BUSY ? tile->nr_pages : 0,
			tile->state == INSPECT_LAZY};
		if (areas)
			json_array_append_new(areas, area_json(tile));
	}
	inspect_areas_free(&tiles);
	if (!ranges)
		return error_set(run->error, -ENOMEM, "out of memory");
	placement_measure(ranges, count, &placement);
	free(ranges);
	placement_add(&run->result->placement, &placement);
	run->result->end = placement;
	if (!run->result->failed && !*run->result->violation &&
	    (placement.areas != part->areas || placement.pages != part->pages)) {
		run->result->violations++;
		snprintf(run->result->violation, sizeof(run->result->violation),
			 "after %llu allocations %llu areas with %llu pages are there, and %llu "
			 "with %llu were made",
			 (unsigned long long)part->allocations, (unsigned long long)placement.areas,
			 (unsigned long long)placement.pages, (unsigned long long)part->areas,
			 (unsigned long long)part->pages);
	}
	return 0;
}

/* Every area that lives is expected by the auditor, at the address its slot has. */
static int expect_areas(struct run *run, uint64_t *words, bool expect)
{
	for (uint32_t i = 0; i < run->program->nr_slots; i++) {
		const struct slot *slot = &run->slots[i];
		const struct nb_load_class *class = &run->program->classes[slot->class_index];
		struct audit_expectation expectation = {
			.address = words[i] & ~(uint64_t)NB_LOAD_TAGS,
			.size = (uint64_t)slot->pages << 12,
			.align = class->align,
			.start = class->start,
			.end = class->end,
			.flags = class->flags,
			.gfp = class->gfp,
			.node = class->node,
		};

		if (!slot->pages || !expectation.address)
			continue;
		if (!expect)
			audit_unexpect(run->audit, expectation.address);
		else if (audit_expect(run->audit, &expectation) == -ENOMEM)
			return -ENOMEM;
	}
	return 0;
}

static int audit(struct run *run)
{
	size_t bytes = run->program->nr_slots * sizeof(uint64_t);
	uint64_t *words = malloc(bytes + 1), known = audit_violation_count(run->audit);
	struct load_result *result = run->result;
	struct audit_result found;
	int err = words ? gpa_space_read(guest_space(run->guest), block_at(run->slots_pfn, 0),
					 words, bytes)
			: -ENOMEM;

	if (!err)
		err = expect_areas(run, words, true);
	if (!err)
		err = audit_run(run->audit, run->inspector, AUDIT_ALL, run->audited + 1, &found);
	if (!err) {
		expect_areas(run, words, false);
		result->audits++;
		result->audit_items += found.items;
		result->violations += found.violations;
		if (!*result->violation && audit_violation_count(run->audit) > known)
			audit_violation_format(audit_violation_at(run->audit, known),
					       result->violation, sizeof(result->violation));
	}
	free(words);
	return err ? error_set(run->error, err, "the audit: %s", strerror(-err)) : 0;
}

/* Whether @every allocations have come since *@last, which then is now. */
static bool is_due(uint64_t every, uint64_t now, uint64_t *last)
{
	if (now - *last < every)
		return false;
	*last = now;
	return true;
}

static int look(struct run *run, const struct program_part *part, bool setup, bool last)
{
	const struct load_options *options = run->options;
	int err = 0;

	if (setup)
		run->measured = part->allocations;
	if (last || is_due(options->measure_every, part->allocations, &run->measured))
		err = measure(run, part, last ? run->result->areas : NULL);
	if (err || options->no_audit)
		return err;
	if (last || (options->audit_every &&
		     is_due(options->audit_every, part->allocations, &run->audited)))
		err = audit(run);
	return err;
}

/* ---- all of it ---- */

static int run_part(struct run *run, const struct program_part *part, bool setup)
{
	int err = 0;

	for (uint32_t i = 0; i < run->program->nr_slots; i++)
		run->slots[i].before = run->slots[i].tag;
	for (unsigned int i = 0; i < run->program->cpus && !err; i++)
		err = load_code(run, part, i);
	if (err)
		return error_set(run->error, err, "the program: %s", strerror(-err));
	err = run->options->scheduled ? call_together(run, part) : call_by_threads(run, part);
	return err ? err : check_answers(run, part, setup);
}

/* Where guests count their instructions: those from the first measured part on to the last. */
static void count_instructions(struct run *run, bool begin)
{
	struct load_result *result = run->result;
	uint64_t all, mm;

	guest_instructions(run->guest, "/mm/", &all, &mm);
	result->instructions = begin ? all : all - result->instructions;
	result->instructions_mm = begin ? mm : mm - result->instructions_mm;
}

static int run_parts(struct run *run)
{
	const struct load_program *program = run->program;
	double start = clock_seconds();
	bool counting = false;
	int err = 0;

	for (size_t i = 0; i < program->nr_parts && !err; i++) {
		const struct program_part *part = &program->parts[i];
		bool setup = run->options->setups[part->phase];

		if (!setup && !counting)
			count_instructions(run, true);
		counting |= !setup;
		err = run_part(run, part, setup);
		if (!err && !setup)
			err = take_latencies(run, part);
		if (counting && i + 1 == program->nr_parts)
			count_instructions(run, false);
		if (!err)
			err = look(run, part, setup, i + 1 == program->nr_parts);
		if (run->options->progress)
			cli_progress_update(run->options->progress, i, program->nr_parts);
	}
	run->result->seconds += clock_seconds() - start;
	return err;
}

int load_run(struct guest *guest, const struct load_program *program,
	     const struct load_options *options, struct load_result *result, struct error *error)
{
	struct run *run = calloc(1, sizeof(*run));
	int err;

	if (!run)
		return error_set(error, -ENOMEM, "out of memory");
	*run = (struct run){.guest = guest,
			    .program = program,
			    .options = options,
			    .result = result,
			    .error = error};
	err = prepare(run);
	if (!err)
		err = run_parts(run);
	/* In between moments it is as the program says: at each it was found to be. */
	if (!err && !result->failed && !result->violations) {
		result->placement.most_areas = program->most_areas;
		result->placement.most_pages = program->most_pages;
	}
	inspector_destroy(run->inspector);
	audit_destroy(run->audit);
	free(run->slots);
	free(run);
	return err;
}
