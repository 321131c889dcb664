/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What nestbox bench measured, for people, for programs, and as a picture. */
#include "vmm/nestbox/bench.h"

#include "vmm/machine/guest.h"

void bench_result_name(const struct bench_result *result, char name[BENCH_NAME_BYTES])
{
	if (result->pages)
		snprintf(name, BENCH_NAME_BYTES, "%s %u", result->bench_case->name, result->pages);
	else
		snprintf(name, BENCH_NAME_BYTES, "%s", result->bench_case->name);
}

static json_t *result_json(const struct program *program, const struct bench_result *result)
{
	json_t *json = json_pack(
		"{s:s, s:i, s:I, s:f, s:o, s:I, s:I, s:I, s:O, s:o}", "name",
		result->bench_case->name, "pages", (int)result->pages, "loops",
		(json_int_t)result->loops, "ticks_per_loop", result->ticks_per_loop,
		"instructions_per_loop",
		program->ticks_are_instructions ? json_real(result->ticks_per_loop) : json_null(),
		"p50", (json_int_t)result->p50, "p99", (json_int_t)result->p99, "max",
		(json_int_t)result->max, "runs", result->runs, "instructions_per_second",
		result->speed > 0 ? json_real(result->speed) : json_null());

	if (json && result->together.count)
		json_object_update_new(json,
				       json_pack("{s:f, s:o}", "together_ticks_per_loop",
						 bench_threads_mean(&result->together), "threads",
						 bench_threads_json(&result->together)));
	return json;
}

json_t *bench_report(const struct program *program, const struct guest *guest,
		     const struct bench_result *results, size_t count)
{
	const struct kvm_host *host = guest_kvm_host(guest);
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < count; i++)
		json_array_append_new(list, result_json(program, &results[i]));
	return json_pack("{s:o, s:s, s:{s:s, s:s}}", "cases", list, "unit", program->tick_unit,
			 "kvm", "module", host->module, "second_stage", host->second_stage);
}

/*
 * The same on several vCPUs at once, beside what it costs alone. Where each has a CPU of its own
 * the speedup is at best their number; the soft engine's clock counts the instructions of all, so
 * there it is at best 1.
 */
static void print_threads(const struct program *program, const struct bench_result *results,
			  size_t count)
{
	char name[BENCH_NAME_BYTES];

	printf("\n%u vCPUs at once, each the same loops; %s of a vCPU for one more of its own\n\n",
	       results[0].together.count, program->tick_unit);
	printf("%-20s %14s %14s %14s %14s %9s\n", "case", "alone", "together", "least", "most",
	       "speedup");
	for (size_t i = 0; i < count; i++) {
		const struct bench_threads *together = &results[i].together;
		double mean = bench_threads_mean(together);

		bench_result_name(&results[i], name);
		printf("%-20s %14.1f %14.1f %14.1f %14.1f %9.2f\n", name, results[i].ticks_per_loop,
		       mean, bench_threads_least(together), bench_threads_most(together),
		       mean > 0 ? results[i].ticks_per_loop * together->count / mean : 0);
	}
}

void bench_print(const struct program *program, const struct guest *guest,
		 const struct bench_result *results, size_t count)
{
	const struct kvm_host *host = guest_kvm_host(guest);
	char name[BENCH_NAME_BYTES];
	size_t i;

	printf("%s, second stage: %s; %s of the guest for one more loop\n\n", host->module,
	       host->second_stage, program->tick_unit);
	printf("%-20s %8s %14s %12s %12s %12s%s\n", "case", "loops", program->tick_unit, "p50",
	       "p99", "max", results->speed > 0 ? "  million a second" : "");
	for (i = 0; i < count; i++) {
		const struct bench_result *r = &results[i];

		bench_result_name(r, name);
		printf("%-20s %8llu %14.1f %12llu %12llu %12llu", name,
		       (unsigned long long)r->loops, r->ticks_per_loop, (unsigned long long)r->p50,
		       (unsigned long long)r->p99, (unsigned long long)r->max);
		if (r->speed > 0)
			printf("  %16.0f", r->speed / 1e6);
		printf("\n");
	}
	printf("\np50, p99 and max are of loops with a time stamp at either end.\n");
	if (count && results->speed > 0)
		printf("Speed: instructions of the guest by this process's processor time.\n");
	if (count && results[0].together.count)
		print_threads(program, results, count);
}

json_t *bench_picture(const struct guest *guest, const struct bench_result *results, size_t count)
{
	const struct kvm_host *host = guest_kvm_host(guest);
	json_t *document = picture_create("nestbox bench"), *list = json_array();
	json_t *rows = json_array();
	char name[BENCH_NAME_BYTES];

	picture_about(document, "on", "%s, second stage: %s", host->module, host->second_stage);
	for (size_t i = 0; i < count; i++) {
		bench_result_name(&results[i], name);
		json_array_append_new(
			rows,
			json_pack("[s, I, o]", name, (json_int_t)results[i].loops,
				  json_integer((json_int_t)(results[i].ticks_per_loop + .5))));
		if (results[i].histogram)
			json_array_append(list, results[i].histogram);
	}
	json_object_set_new(document, "table",
			    json_pack("[{s:s, s:s, s:[s, s, s], s:o}]", "id", "cases", "heading",
				      "Cases", "columns", "case", "loops",
				      "ticks for one more loop", "rows", rows));
	json_object_set_new(document, "latency", list);
	return document;
}
