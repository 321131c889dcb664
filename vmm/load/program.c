/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The compiler: goes through the workload as it will happen, with a heap of the areas that live, by
 * when they die.
 */
#include "vmm/load/program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest/abi.h"
#include "lib/grow.h"
#include "vmm/load/lives.h"
#include "vmm/load/order.h"

#define PAGE_BYTES UINT64_C(4096)
#define VM_USERMAP UINT64_C(0x8)
/* User addresses are given out once, in turn; behind these it begins again. */
#define USER_PAGES (UINT64_C(1) << 32)

struct compiler {
	struct workload *workload;
	const char *path;
	const struct program_options *options;
	struct load_program *program;
	struct input_error *error;
	struct draw_random random;
	struct lives lives;
	struct slot_list {
		uint32_t *slots;
		size_t count;
	} unused[NB_MAX_VCPUS]; /* by the CPU that freed them last */
	uint16_t *tags;         /* the last of each slot */
	uint64_t clock, births, next_user, pages;
	uint32_t turn;
	struct program_span open[NB_MAX_VCPUS];
	uint64_t part_allocations; /* when the open part began */
	bool any_frees;            /* a class is freed by any CPU */
};

/* ---- instructions and parts ---- */

static int emit(struct compiler *compiler, uint32_t cpu, struct nb_load_instruction instruction)
{
	struct program_code *code = &compiler->program->code[cpu];

	if (GROW(code->code, code->count))
		return -ENOMEM;
	code->code[code->count++] = instruction;
	return 0;
}

static bool part_is_empty(const struct compiler *compiler)
{
	for (uint32_t i = 0; i < compiler->workload->cpus; i++)
		if (compiler->program->code[i].count > compiler->open[i].first)
			return false;
	return true;
}

/* The slots' tags may be used again: nobody is early any more. */
static int end_part(struct compiler *compiler, uint32_t phase)
{
	struct load_program *program = compiler->program;
	struct program_part part = {phase, program->allocations, compiler->lives.count,
				    compiler->pages, NULL};

	if (part_is_empty(compiler))
		return 0;
	part.of = calloc(program->cpus, sizeof(*part.of));
	if (!part.of || GROW(program->parts, program->nr_parts)) {
		free(part.of);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < program->cpus; i++) {
		part.of[i] = (struct program_span){compiler->open[i].first, program->code[i].count};
		compiler->open[i].first = program->code[i].count;
	}
	compiler->part_allocations = program->allocations;
	program->parts[program->nr_parts++] = part;
	return 0;
}

/*
 * Whether some CPU has no room for what one allocation may bring; or, where CPUs free what others
 * allocate, a slot's tag might come round while somebody still waits for the one before.
 */
static bool part_is_full(const struct compiler *compiler)
{
	if (compiler->any_frees &&
	    compiler->program->allocations - compiler->part_allocations >= NB_LOAD_TAGS - 1)
		return true;
	for (uint32_t i = 0; i < compiler->workload->cpus; i++) {
		size_t used = compiler->program->code[i].count - compiler->open[i].first;

		if (used + 8 > compiler->options->part_max)
			return true;
	}
	return false;
}

/* ---- slots ---- */

/* A slot that @cpu knows to be empty: a new one, or one that it freed itself. */
static int take_slot(struct compiler *compiler, uint32_t cpu, struct life *life)
{
	struct load_program *program = compiler->program;
	struct slot_list *unused = &compiler->unused[cpu];

	if (unused->count) {
		life->slot = unused->slots[--unused->count];
	} else {
		if (program->nr_slots == compiler->options->slots_max)
			return input_fail(compiler->error, NULL, 0,
					  "%s: more than %u areas live at a time", compiler->path,
					  compiler->options->slots_max);
		if (GROW(compiler->tags, program->nr_slots))
			return -ENOMEM;
		life->slot = program->nr_slots++;
		compiler->tags[life->slot] = 0;
	}
	compiler->tags[life->slot] = (uint16_t)(compiler->tags[life->slot] % NB_LOAD_TAGS + 1);
	life->tag = compiler->tags[life->slot];
	return 0;
}

static int give_slot(struct compiler *compiler, uint32_t cpu, uint32_t slot)
{
	struct slot_list *unused = &compiler->unused[cpu];

	if (GROW(unused->slots, unused->count))
		return -ENOMEM;
	unused->slots[unused->count++] = slot;
	return 0;
}

/* ---- classes ---- */

/* The guest's class for areas of @class on @node. */
static int find_class(struct compiler *compiler, const struct workload_class *class, int32_t node,
		      uint8_t *index_out)
{
	struct load_program *program = compiler->program;
	struct nb_load_class wanted = {
		.align = class->align,
		.start = class->start,
		.end = class->end,
		.prot = NB_PAGE_KERNEL,
		.flags = (class->kind == WORKLOAD_RESERVE ? NB_VM_MAP : NB_VM_ALLOC) |
			 (class->kind == WORKLOAD_USER ? VM_USERMAP : 0) |
			 (class->no_guard ? NB_VM_NO_GUARD : 0) | NB_VM_ARRAY_OUTSIDE,
		.gfp = class->gfp | (class->kind == WORKLOAD_USER ? NB_GFP_ZERO : 0),
		.node = node,
		.touch = class->touch,
	};
	size_t i;

	for (i = 0; i < program->nr_classes; i++) {
		if (!memcmp(&program->classes[i], &wanted, sizeof(wanted))) {
			*index_out = (uint8_t)i;
			return 0;
		}
	}
	if (i == NB_LOAD_CLASSES)
		return input_fail(compiler->error, NULL, 0,
				  "%s:%lu:1: class '%s': more than %u combinations of window, "
				  "alignment, flags, node and touch",
				  compiler->path, class->line, class->name, NB_LOAD_CLASSES);
	program->classes[program->nr_classes++] = wanted;
	*index_out = (uint8_t)i;
	return 0;
}

/* ---- births and deaths ---- */

static int nth_cpu(uint64_t cpus, uint64_t n)
{
	while (n--)
		cpus &= cpus - 1;
	return __builtin_ctzll(cpus);
}

static uint64_t cpus_of(const struct compiler *compiler, const struct workload_phase *phase)
{
	return phase->cpus & UINT64_MAX >> (64 - compiler->workload->cpus);
}

static uint32_t choose_cpu(struct compiler *compiler, const struct workload_phase *phase)
{
	uint64_t cpus = cpus_of(compiler, phase), count = (uint64_t)__builtin_popcountll(cpus);

	return (uint32_t)nth_cpu(cpus, phase->rotate ? compiler->turn++ % count
						     : draw_below(&compiler->random, count));
}

static struct nb_load_instruction instruction_of(enum nb_load_op op, const struct life *life)
{
	return (struct nb_load_instruction){.op = (uint8_t)op,
					    .class_index = life->class_index,
					    .tag = life->tag,
					    .slot = life->slot,
					    .pages = life->pages,
					    .user = life->user};
}

static int kill(struct compiler *compiler, const struct workload_phase *phase)
{
	struct life life = lives_take(&compiler->lives);
	uint32_t cpu = life.free_any ? choose_cpu(compiler, phase) : life.cpu;
	int err = 0;

	if (life.kind == WORKLOAD_USER)
		err = emit(compiler, cpu, instruction_of(NB_LOAD_UNMAP, &life));
	if (!err)
		err = emit(compiler, cpu,
			   instruction_of(life.kind == WORKLOAD_RESERVE ? NB_LOAD_RELEASE
									: NB_LOAD_FREE,
					  &life));
	if (life.kind != WORKLOAD_RESERVE)
		compiler->pages -= life.pages;
	compiler->program->frees++;
	return err ? err : give_slot(compiler, cpu, life.slot);
}

static int draw_life(struct compiler *compiler, struct workload_class *class,
		     struct workload_use *use, struct life *life)
{
	struct draw *lifetime = use->has_lifetime ? &use->lifetime : &class->lifetime;
	uint64_t size, span, node = 0;
	int err = draw_next(&class->size, &compiler->random, &size);

	if (!err)
		err = draw_next(lifetime, &compiler->random, &span);
	if (!err && class->has_node)
		err = draw_next(&class->node, &compiler->random, &node);
	if (!err)
		err = find_class(compiler, class, class->has_node ? (int32_t)node : -1,
				 &life->class_index);
	if (err)
		return err;
	life->pages = (uint32_t)((size + PAGE_BYTES - 1) / PAGE_BYTES);
	life->death = span >= DRAW_PHASE ? span : compiler->clock + span;
	life->order = compiler->births++;
	life->kind = (uint8_t) class->kind;
	life->free_any = class->free_any;
	return 0;
}

static int keep_birth(struct compiler *compiler, const struct life *life, bool guard)
{
	struct load_program *program = compiler->program;

	if (GROW(program->births, program->nr_births))
		return -ENOMEM;
	program->births[program->nr_births++] = (struct program_birth){
		(life->pages + (uint64_t)guard) * PAGE_BYTES,
		life->death >= DRAW_PHASE ? life->death : life->death - compiler->clock};
	return 0;
}

static void count_birth(struct compiler *compiler, const struct life *life, bool setup)
{
	struct load_program *program = compiler->program;

	program->allocations++;
	if (life->kind != WORKLOAD_RESERVE)
		compiler->pages += life->pages;
	if (setup)
		return;
	if (compiler->pages > program->most_pages)
		program->most_pages = compiler->pages;
	if (compiler->lives.count > program->most_areas)
		program->most_areas = compiler->lives.count;
}

static int bear(struct compiler *compiler, const struct workload_phase *phase,
		struct workload_use *use)
{
	struct workload_class *class = &compiler->workload->classes[use->class_index];
	struct life life = {.cpu = (uint8_t)choose_cpu(compiler, phase)};
	int err = draw_life(compiler, class, use, &life);

	if (!err && compiler->options->keep_births && !phase->setup)
		err = keep_birth(compiler, &life, !class->no_guard);
	if (!err)
		err = take_slot(compiler, life.cpu, &life);
	if (err)
		return err;
	if (life.kind == WORKLOAD_USER) {
		if (compiler->next_user + life.pages > USER_PAGES)
			compiler->next_user = 0;
		life.user = (uint32_t)compiler->next_user;
		compiler->next_user += life.pages + 1;
		compiler->program->user = true;
	}
	err = emit(compiler, life.cpu,
		   instruction_of(life.kind == WORKLOAD_RESERVE ? NB_LOAD_RESERVE : NB_LOAD_ALLOC,
				  &life));
	if (!err && life.kind == WORKLOAD_USER)
		err = emit(compiler, life.cpu, instruction_of(NB_LOAD_MAP, &life));
	if (!err)
		err = lives_add(&compiler->lives, &life);
	count_birth(compiler, &life, phase->setup);
	return err;
}

/* ---- phases ---- */

static int purge(struct compiler *compiler, const struct workload_phase *phase)
{
	compiler->program->purges++;
	return emit(compiler, choose_cpu(compiler, phase),
		    (struct nb_load_instruction){.op = NB_LOAD_PURGE});
}

static int kill_until(struct compiler *compiler, uint32_t number, uint64_t death)
{
	const struct workload_phase *phase = &compiler->workload->phases[number];
	int err = 0;

	while (!err && compiler->lives.count && compiler->lives.list[0].death <= death) {
		err = kill(compiler, phase);
		if (!err && part_is_full(compiler))
			err = end_part(compiler, number);
	}
	return err;
}

/* What is between two allocations: deaths, and the end of a part where it is due. */
static int step_clock(struct compiler *compiler, uint32_t number)
{
	uint64_t every = compiler->options->every;
	int err = 0;

	if (!compiler->workload->phases[number].setup) {
		compiler->clock++;
		err = kill_until(compiler, number, compiler->clock);
	}
	if (!err &&
	    (part_is_full(compiler) || (every && compiler->program->allocations % every == 0)))
		err = end_part(compiler, number);
	return err;
}

static int run_round(struct compiler *compiler, uint32_t number)
{
	const struct workload_phase *phase = &compiler->workload->phases[number];
	uint64_t count, purges = 0, i;
	uint32_t *order = order_of_uses(phase, &compiler->random, &count);
	int err = order ? 0 : -ENOMEM;

	for (i = 0; i < count && !err; i++) {
		err = bear(compiler, phase, &phase->uses[order[i]]);
		if (!err)
			err = step_clock(compiler, number);
		for (; !err && purges * count < (i + 1) * phase->purges; purges++)
			err = purge(compiler, phase);
	}
	free(order);
	return err;
}

/* Those that die with the phase are behind all that have a time, which stay. */
static int kill_of_phase(struct compiler *compiler, uint32_t number)
{
	struct life *timed = NULL;
	size_t count = 0;
	int err = 0;

	while (!err && compiler->lives.count && compiler->lives.list[0].death < DRAW_PHASE) {
		err = GROW(timed, count);
		if (!err)
			timed[count++] = lives_take(&compiler->lives);
	}
	if (!err)
		err = kill_until(compiler, number, DRAW_PHASE);
	while (count && !err)
		err = lives_add(&compiler->lives, &timed[--count]);
	free(timed);
	return err;
}

static int end_phase(struct compiler *compiler, uint32_t number)
{
	const struct workload_phase *phase = &compiler->workload->phases[number];
	int err = phase->drain ? kill_until(compiler, number, DRAW_FOREVER)
			       : kill_of_phase(compiler, number);

	if (!err && phase->setup)
		err = purge(compiler, phase);
	return err ? err : end_part(compiler, number);
}

static int run_phases(struct compiler *compiler)
{
	int err = 0;

	for (uint32_t i = 0; i < compiler->workload->nr_phases && !err; i++) {
		const struct workload_phase *phase = &compiler->workload->phases[i];

		if (!cpus_of(compiler, phase))
			return input_fail(compiler->error, NULL, 0,
					  "%s:%lu:1: phase '%s' has none of the %u CPUs",
					  compiler->path, phase->line, phase->name,
					  compiler->workload->cpus);
		for (uint32_t j = 0; j < phase->repeat && !err; j++)
			err = run_round(compiler, i);
		if (!err)
			err = end_phase(compiler, i);
	}
	return err;
}

static void restart(struct compiler *compiler)
{
	struct workload *workload = compiler->workload;

	for (size_t i = 0; i < workload->nr_classes; i++) {
		compiler->any_frees |= workload->classes[i].free_any;
		draw_restart(&workload->classes[i].size);
		draw_restart(&workload->classes[i].lifetime);
		draw_restart(&workload->classes[i].node);
	}
	for (size_t i = 0; i < workload->nr_phases; i++)
		for (size_t j = 0; j < workload->phases[i].nr_uses; j++)
			draw_restart(&workload->phases[i].uses[j].lifetime);
}

int program_compile(struct workload *workload, const char *path,
		    const struct program_options *options, struct load_program *program_out,
		    struct input_error *error)
{
	struct load_program program = {.cpus = workload->cpus};
	struct compiler compiler = {
		.workload = workload,
		.path = path,
		.options = options,
		.program = &program,
		.error = error,
	};
	int err;

	restart(&compiler);
	draw_seed(&compiler.random, workload->seed);
	err = run_phases(&compiler);
	for (size_t i = 0; i < NB_MAX_VCPUS; i++)
		free(compiler.unused[i].slots);
	free(compiler.tags);
	free(compiler.lives.list);
	if (err == -ENOMEM)
		input_fail(error, NULL, 0, "out of memory");
	if (err)
		program_free(&program);
	else
		*program_out = program;
	return err;
}

void program_free(struct load_program *program)
{
	for (size_t i = 0; i < NB_MAX_VCPUS; i++)
		free(program->code[i].code);
	for (size_t i = 0; i < program->nr_parts; i++)
		free(program->parts[i].of);
	free(program->parts);
	free(program->births);
	memset(program, 0, sizeof(*program));
}
