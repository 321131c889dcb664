/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verb load: cases of test_vmalloc on several vCPUs at once.
 *
 * Each vCPU has a thread here and a connection of its own, and is given its loops in slices of
 * about SLICE_SECONDS, so that audits and other clients' verbs get in between, and Ctrl-C ends it
 * after the slices under way with what was done so far.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/input.h"
#include "guest/abi.h"
#include "vmm/nestctl/nestctl.h"

#define SLICE_SECONDS   0.05
#define TICK_SECONDS    0.02
#define LOOPS_OTHERWISE 1000
#define CASES_MAX       16

struct load_cpu {
	struct load *load;
	unsigned int vcpu;
	pthread_t thread;
	struct ctl_wire *wire;
	uint64_t done, ticks, slices, refused; /* done: atomic */
	double seconds;
	int err;
	struct error error;
};

struct load {
	struct ctl *ctl;
	const char *name; /* the operand: cases with commas between them, or all */
	const char *cases[CASES_MAX];
	size_t nr_cases;
	uint64_t loops;       /* of each vCPU; 0: until the time is over */
	double until;         /* clock_seconds() */
	bool stop;            /* atomic */
	unsigned int running; /* atomic */
	size_t nr_cpus;
	struct load_cpu cpu[NB_MAX_VCPUS];
	double audit_every; /* seconds; 0: none */
	uint64_t audits, violations;
};

void ctl_load_options(struct ctl_load *load, void (*add)(void *context, struct cli_option option),
		      void *context)
{
	add(context,
	    (struct cli_option)CLI_OPTION("vcpus", CLI_TEXT, "LIST",
					  "all (which it is without), or 0,2-3", &load->vcpus));
	add(context, (struct cli_option)CLI_OPTION("loops", CLI_NUMBER, "N",
						   "loops on each vCPU (1000, unless --seconds)",
						   &load->loops, .min = 1, .max = UINT32_MAX));
	add(context, (struct cli_option)CLI_OPTION("seconds", CLI_NUMBER, "N", "stop after so long",
						   &load->seconds, .min = 1, .max = 86400));
	add(context, (struct cli_option)CLI_OPTION("pages", CLI_NUMBER, "N",
						   "of fix_size: pages of an area (1)",
						   &load->pages, .min = 1, .max = UINT32_MAX));
	add(context, (struct cli_option)CLI_OPTION("seed", CLI_NUMBER, "N",
						   "of the random numbers (1)", &load->seed));
	add(context, (struct cli_option)CLI_OPTION("slice", CLI_NUMBER, "LOOPS",
						   "loops in one hypercall (about 50 ms of them)",
						   &load->slice, .min = 1, .max = UINT32_MAX));
	add(context, (struct cli_option)CLI_OPTION(
			     "audit", CLI_TEXT, "every=TIME",
			     "audit so often meanwhile: every=100ms, every=2s", &load->audit));
}

/* ---- what the options say ---- */

static bool read_every(const char *text, double *seconds_out)
{
	size_t digits;
	uint64_t value;

	if (strncmp(text, "every=", 6) != 0)
		return false;
	text += 6;
	digits = strspn(text, "0123456789");
	if (number_parse(text, digits, &value) != NUMBER_OK || value == 0 || value > 3600000)
		return false;
	if (strcmp(text + digits, "ms") == 0)
		*seconds_out = (double)value / 1000;
	else if (strcmp(text + digits, "s") == 0)
		*seconds_out = (double)value;
	else
		return false;
	return true;
}

/* "0,2-3" as bits. */
static bool read_list(const char *text, uint64_t count, uint64_t *bits_out)
{
	uint64_t first, last, bits = 0;
	size_t digits;

	for (;; text++) {
		digits = strspn(text, "0123456789");
		if (number_parse(text, digits, &first) != NUMBER_OK)
			return false;
		text += digits;
		last = first;
		if (*text == '-') {
			digits = strspn(++text, "0123456789");
			if (number_parse(text, digits, &last) != NUMBER_OK)
				return false;
			text += digits;
		}
		if (first > last || last >= count)
			return false;
		for (; first <= last; first++)
			bits |= UINT64_C(1) << first;
		if (*text != ',')
			break;
	}
	*bits_out = bits;
	return !*text;
}

/* The choices of bench's case. */
static const char *const *known_cases(void)
{
	const struct qmp_command *bench = qmp_command_find(&protocol_table, "bench");
	const struct qmp_arg *arg = bench ? bench->args : NULL;

	while (arg && arg->name && strcmp(arg->name, "case") != 0)
		arg++;
	return arg && arg->name ? arg->choices : NULL;
}

static bool add_case(struct load *load, const char *name)
{
	const char *const *known = known_cases();

	for (; known && *known; known++) {
		if (strcmp(*known, name) == 0 && load->nr_cases < CASES_MAX) {
			load->cases[load->nr_cases++] = *known;
			return true;
		}
	}
	return false;
}

static void say_cases(const struct load *load, const char *wrong)
{
	const char *const *known = known_cases();
	char names[256];
	size_t used = (size_t)snprintf(names, sizeof(names), "all");

	for (; known && *known && used < sizeof(names); known++)
		used += (size_t)snprintf(names + used, sizeof(names) - used, ", %s", *known);
	cli_error(load->ctl->cli,
		  "there is no case '%.64s': it is one of %s, or several with commas "
		  "between them",
		  wrong, names);
}

/* "fix_size,random_size", or "all". Says what is wrong. */
static bool read_cases(struct load *load)
{
	const char *const *known = known_cases();
	char names[256], *name, *rest = names;

	if (strcmp(load->name, "all") == 0) {
		for (; known && *known; known++)
			add_case(load, *known);
		return load->nr_cases > 0;
	}
	snprintf(names, sizeof(names), "%s", load->name);
	while ((name = strsep(&rest, ",")))
		if (!add_case(load, name)) {
			say_cases(load, name);
			return false;
		}
	return true;
}

static enum cli_status read_options(struct load *load)
{
	const struct ctl_load *options = load->ctl->load;
	json_t *status = NULL;
	uint64_t bits, count;
	int err;

	if (!read_cases(load))
		return CLI_BAD_INPUT;
	err = ctl_ask(load->ctl->wire, "query-status", NULL, &status, &load->ctl->error);
	if (err)
		return ctl_failed(load->ctl, err);
	count = ctl_number(status, "cpus");
	json_decref(status);
	count = count < NB_MAX_VCPUS ? count : NB_MAX_VCPUS;
	bits = count == 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
	if (options->vcpus && strcmp(options->vcpus, "all") != 0 &&
	    !read_list(options->vcpus, count, &bits)) {
		cli_error(load->ctl->cli,
			  "--vcpus %.64s: all, or numbers as 0,2-3; this guest has %" PRIu64
			  ", from 0",
			  options->vcpus, count);
		return CLI_BAD_INPUT;
	}
	if (options->audit && !read_every(options->audit, &load->audit_every)) {
		cli_error(load->ctl->cli, "--audit %.64s: every=TIME, as every=100ms or every=2s",
			  options->audit);
		return CLI_BAD_INPUT;
	}
	for (unsigned int vcpu = 0; vcpu < count; vcpu++)
		if (bits >> vcpu & 1)
			load->cpu[load->nr_cpus++] = (struct load_cpu){.load = load, .vcpu = vcpu};
	load->loops = options->loops ?: options->seconds ? 0 : LOOPS_OTHERWISE;
	load->until = clock_seconds() + (options->seconds ? (double)options->seconds : 1e9);
	return CLI_DONE;
}

/* ---- a vCPU ---- */

static bool over(struct load *load)
{
	return __atomic_load_n(&load->stop, __ATOMIC_RELAXED) || clock_seconds() >= load->until;
}

/* Of a case that takes none: what was given is wrong, unless another of the cases takes it. */
static uint64_t pages_of(const struct load *load)
{
	return load->nr_cases == 1 ? load->ctl->load->pages : 0;
}

/* Each vCPU begins with another case and takes the next with each slice. */
static int run_slice(struct load_cpu *cpu, uint64_t loops)
{
	const struct ctl_load *options = cpu->load->ctl->load;
	const char *name = cpu->load->cases[(cpu->vcpu + cpu->slices) % cpu->load->nr_cases];
	bool sized = strcmp(name, "fix_size") == 0;
	uint64_t seed = (options->seed ?: 1) + cpu->vcpu * UINT64_C(1000003) + cpu->slices;
	json_t *value = NULL;
	int err;

	err = ctl_ask(cpu->wire, "bench",
		      json_pack("{s:s, s:I, s:I, s:I, s:i}", "case", name, "loops",
				(json_int_t)loops, "pages",
				(json_int_t)(sized ? options->pages ?: 1 : pages_of(cpu->load)),
				"seed", (json_int_t)seed, "vcpu", (int)cpu->vcpu),
		      &value, &cpu->error);
	if (err)
		return err;
	cpu->ticks += ctl_number(value, "total-ticks");
	cpu->slices++;
	__atomic_add_fetch(&cpu->done, ctl_number(value, "loops"), __ATOMIC_RELAXED);
	json_decref(value);
	return 0;
}

static void *run_cpu(void *context)
{
	struct load_cpu *cpu = context;
	struct load *load = cpu->load;
	uint64_t slice = load->ctl->load->slice ?: 1, left;
	double begun = clock_seconds(), took;

	while (!over(load) && !cpu->err) {
		left = load->loops ? load->loops - cpu->done : UINT32_MAX;
		if (left == 0)
			break;
		took = clock_seconds();
		cpu->err = run_slice(cpu, slice < left ? slice : left);
		took = clock_seconds() - took;
		if (load->ctl->load->slice)
			continue;
		if (took < SLICE_SECONDS / 2 && slice < UINT32_MAX / 2)
			slice *= 2;
		else if (took > SLICE_SECONDS * 2 && slice > 1)
			slice /= 2;
	}
	cpu->seconds = clock_seconds() - begun;
	__atomic_sub_fetch(&load->running, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* ---- meanwhile ---- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

static int audit(struct load *load)
{
	json_t *value = NULL;
	int err = ctl_ask(load->ctl->wire, "audit", NULL, &value, &load->ctl->error);

	if (err)
		return err;
	load->audits++;
	load->violations += ctl_number(value, "violations");
	json_decref(value);
	return 0;
}

static uint64_t loops_done(const struct load *load)
{
	uint64_t done = 0;

	for (size_t i = 0; i < load->nr_cpus; i++)
		done += __atomic_load_n(&load->cpu[i].done, __ATOMIC_RELAXED);
	return done;
}

/* Ctrl-C, or an audit that failed: the slices under way end too. */
static void end_slices(struct load *load)
{
	if (__atomic_exchange_n(&load->stop, true, __ATOMIC_RELAXED))
		return;
	for (size_t i = 0; i < load->nr_cpus; i++)
		if (load->cpu[i].wire)
			(void)ctl_cancel(load->cpu[i].wire);
}

/* How far it is: by loops, or by the time there is. */
static void show(struct load *load, struct cli_progress *progress)
{
	double seconds = (double)load->ctl->load->seconds;

	if (load->loops)
		cli_progress_update(progress, loops_done(load), load->loops * load->nr_cpus);
	else
		cli_progress_update(progress,
				    (uint64_t)(1000 * (seconds - (load->until - clock_seconds()))),
				    (uint64_t)(1000 * seconds));
}

/* Until every vCPU is done: audits, and the line of progress. Returns the first audit's error. */
static int attend(struct load *load)
{
	double next = clock_seconds() + load->audit_every;
	struct cli_progress progress;
	int err = 0;

	cli_progress_start(&progress, load->name);
	while (__atomic_load_n(&load->running, __ATOMIC_ACQUIRE) > 0) {
		usleep((useconds_t)(TICK_SECONDS * 1e6));
		if (interrupted || err)
			end_slices(load);
		if (load->audit_every > 0 && !err && clock_seconds() >= next) {
			err = audit(load);
			next = clock_seconds() + load->audit_every;
		}
		show(load, &progress);
	}
	cli_progress_end(&progress);
	return err;
}

/* ---- results ---- */

static json_t *cpu_json(const struct load_cpu *cpu)
{
	json_t *json = json_pack("{s:i, s:I, s:I, s:I, s:f}", "vcpu", (int)cpu->vcpu, "loops",
				 (json_int_t)cpu->done, "slices", (json_int_t)cpu->slices, "ticks",
				 (json_int_t)cpu->ticks, "seconds", cpu->seconds);

	if (json && cpu->err)
		json_object_set_new(json, "error", json_string(cpu->error.text));
	return json;
}

static void print(struct load *load)
{
	json_t *list = json_array(), *json;
	FILE *out = load->ctl->out;

	if (load->ctl->json) {
		for (size_t i = 0; i < load->nr_cpus; i++)
			json_array_append_new(list, cpu_json(&load->cpu[i]));
		json = json_pack("{s:s, s:b, s:I, s:I, s:o}", "case", load->name, "interrupted",
				 interrupted != 0, "audits", (json_int_t)load->audits, "violations",
				 (json_int_t)load->violations, "vcpus", list);
		ctl_print_json(load->ctl, json);
		json_decref(json);
		return;
	}
	json_decref(list);
	fprintf(out, "%-5s %12s %8s %14s %10s\n", "VCPU", "LOOPS", "SLICES", "TICKS/LOOP",
		"SECONDS");
	for (size_t i = 0; i < load->nr_cpus; i++) {
		const struct load_cpu *cpu = &load->cpu[i];

		fprintf(out, "%-5u %12" PRIu64 " %8" PRIu64 " %14" PRIu64 " %10.3f\n", cpu->vcpu,
			cpu->done, cpu->slices, cpu->done ? cpu->ticks / cpu->done : 0,
			cpu->seconds);
	}
	if (load->audit_every > 0)
		fprintf(out, "%" PRIu64 " audits, %" PRIu64 " violations\n", load->audits,
			load->violations);
	if (interrupted)
		fprintf(out, "interrupted: what was done so far\n");
}

static enum cli_status conclude(struct load *load, int err)
{
	enum cli_status status = load->violations || interrupted ? CLI_WRONG : CLI_DONE;

	/* Bad input is said of the first vCPU alone: all were asked the same. */
	for (size_t i = 0; i < load->nr_cpus; i++) {
		if (!load->cpu[i].err)
			continue;
		load->ctl->error = load->cpu[i].error;
		if (load->cpu[i].err == -EINVAL && load->cpu[i].done == 0)
			return ctl_failed(load->ctl, -EINVAL);
		cli_error(load->ctl->cli, "vCPU %u: %s", load->cpu[i].vcpu,
			  load->cpu[i].error.text);
		status = load->cpu[i].err == -EREMOTEIO ? CLI_WRONG : CLI_HOST;
	}
	print(load);
	if (err) {
		cli_error(load->ctl->cli, "audit: %s", load->ctl->error.text);
		status = err == -EREMOTEIO ? CLI_WRONG : CLI_HOST;
	}
	return status;
}

/* Starts the vCPUs' threads. Returns how many; the error of the first that could not be. */
static size_t start(struct load *load, int *err_out)
{
	sigset_t interrupt, before;
	size_t i;

	/* Ctrl-C is the first thread's. */
	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	pthread_sigmask(SIG_BLOCK, &interrupt, &before);
	load->running = (unsigned int)load->nr_cpus;
	for (i = 0; i < load->nr_cpus; i++) {
		struct load_cpu *cpu = &load->cpu[i];

		*err_out =
			ctl_connect(ctl_wire_path(load->ctl->wire), &cpu->wire, &load->ctl->error);
		if (*err_out)
			break;
		ctl_own_signals(cpu->wire, true);
		*err_out = -pthread_create(&cpu->thread, NULL, run_cpu, cpu);
		if (*err_out) {
			error_set(&load->ctl->error, *err_out, "no thread for vCPU %u", cpu->vcpu);
			ctl_disconnect(cpu->wire);
			cpu->wire = NULL;
			break;
		}
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	__atomic_sub_fetch(&load->running, (unsigned int)(load->nr_cpus - i), __ATOMIC_RELAXED);
	return i;
}

enum cli_status ctl_run_load(struct ctl *ctl)
{
	struct load load = {.ctl = ctl, .name = ctl_text(ctl->arguments, "operand")};
	struct sigaction interrupt = {.sa_handler = on_interrupt}, before;
	enum cli_status status = read_options(&load);
	size_t started;
	int err = 0, audited;

	if (status != CLI_DONE)
		return status;
	interrupted = 0;
	ctl_own_signals(ctl->wire, true);
	sigaction(SIGINT, &interrupt, &before);
	started = start(&load, &err);
	if (err)
		load.stop = true;
	audited = attend(&load);
	for (size_t i = 0; i < started; i++) {
		pthread_join(load.cpu[i].thread, NULL);
		ctl_disconnect(load.cpu[i].wire);
	}
	sigaction(SIGINT, &before, NULL);
	ctl_own_signals(ctl->wire, false);
	return err ? ctl_failed(ctl, err) : conclude(&load, audited);
}
