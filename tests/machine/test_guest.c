/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The real guest, started, driven and made to die in every way it knows; each death is reported
 * with what happened and where. Figures of the start and of memory are printed.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/harness.h"
#include "ept/kvm_fd.h"
#include "vmm/machine/guest.h"

#define MIB (1ull << 20)

/* Short where the watchdog is to bite; long where a busy host must not make it. */
#define SHORT_WATCHDOG 1.0
#define LONG_WATCHDOG  30.0

struct heard {
	unsigned int count;
	struct guest_message last; /* its trace is gone with the callback: */
	struct backtrace trace;
};

static void hear(void *context, const struct guest_message *message)
{
	struct heard *heard = context;

	heard->count++;
	heard->last = *message;
	if (message->trace)
		heard->trace = *message->trace;
}

/* The backtrace leads from @function through the hypercall server to where the CPU started. */
static void check_trace(const struct backtrace *trace, const char *function)
{
	const char *const names[] = {function, "dispatch", "hypercall_serve", "entry"};
	size_t i = 0, first = 0;

	for (size_t n = 0; n < trace->nr_frames && i < 4; n++) {
		if (strcmp(trace->frame[n].function, names[i]) != 0)
			continue;
		ck_assert_uint_gt(trace->frame[n].line, 0);
		i++;
	}
	ck_assert_msg(i == 4, "%s is not in the backtrace", i < 4 ? names[i] : "");
	/* It may be in something as small as cpu_relax(). */
	while (trace->frame[first].inlined)
		first++;
	ck_assert_str_eq(trace->frame[first].function, function);
	ck_assert_int_eq(trace->end, BACKTRACE_WHOLE);
}

static struct guest *start_config(const struct guest_config *config)
{
	struct guest_report report;
	struct error error;
	struct guest *guest = NULL;
	int err = guest_start(config, &guest, &report, &error);

	if (err == -ENOTRECOVERABLE)
		report_print(&report, stderr);
	ck_assert_msg(err == 0, "guest_start: %s", error.text);
	return guest;
}

static struct guest *start(uint64_t memory_bytes, unsigned int nr_vcpus)
{
	struct guest_config config = {
		.engine = harness_engine(),
		.checks = SOFT_CHECK_ALL,
		.memory_bytes = memory_bytes,
		.nr_vcpus = nr_vcpus,
		.watchdog_seconds = LONG_WATCHDOG,
	};

	return start_config(&config);
}

static double seconds(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/*
 * Memory of this process in KiB that is not the guest's: Rss of every mapping but memfds, as
 * Firecracker counts it.
 */
static long resident_kib(void)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	long sum = 0, rss;
	bool is_guest = false;
	char line[512];

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file)) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			is_guest = strstr(line, "/memfd:") != NULL;
		else if (!is_guest && sscanf(line, "Rss: %ld kB", &rss) == 1)
			sum += rss;
	}
	fclose(file);
	return sum;
}

static void print_figures(const char *what, const struct guest *guest, long before)
{
	const struct guest_times *times = guest_times(guest);

	printf("%s on %s: kvm %.2f ms, memory %.2f ms, vCPUs %.2f ms, first hypercall %.2f ms; "
	       "resident beyond guest memory %ld KiB, %ld KiB of it before the start\n",
	       what, guest_kvm_host(guest)->module, times->kvm * 1e3, times->memory * 1e3,
	       times->vcpus * 1e3, times->started * 1e3, resident_kib(), before);
}

START_TEST(a_thousand_hypercalls_in_one_batch)
{
	enum { COUNT = 1000 };
	struct nb_submission *calls = calloc(COUNT, sizeof(*calls));
	struct nb_completion *answers = calloc(COUNT, sizeof(*answers));
	long before = resident_kib();
	struct guest *guest = start(0, 1);
	double begin;
	size_t done;

	print_figures("512 MiB, 1 vCPU", guest, before);
	for (size_t i = 0; i < COUNT; i++)
		calls[i] = (struct nb_submission){.user_data = i * 7, .arg[0] = i};
	begin = seconds();
	ck_assert_int_eq(guest_call_batch(guest, 0, calls, COUNT, answers, &done), 0);
	printf("batch of %d: %.1f us each\n", COUNT, (seconds() - begin) * 1e6 / COUNT);
	ck_assert_uint_eq(done, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		ck_assert_uint_eq(answers[i].user_data, i * 7);
		ck_assert_int_eq(answers[i].status, 0);
		ck_assert_uint_eq(answers[i].result[0], i);
		ck_assert_uint_ge(answers[i].tsc_end, answers[i].tsc_start);
	}
	guest_destroy(guest);
	free(calls);
	free(answers);
}
END_TEST

START_TEST(several_vcpus_answer_for_themselves)
{
	struct guest *guest = start(64 * MIB, 3);

	for (unsigned int i = 0; i < 60; i++) {
		struct nb_submission call = {.user_data = i, .arg[0] = 1000 + i};
		struct nb_completion answer;

		ck_assert_int_eq(guest_call(guest, i % 3, &call, &answer), 0);
		ck_assert_int_eq(answer.status, 0);
		ck_assert_uint_eq(answer.result[0], 1000 + i);
	}
	guest_destroy(guest);
}
END_TEST

/* In MiB: 1 TiB, or what the addresses of guests here can hold with the hole below 4 GiB. */
static uint64_t largest_guest(void)
{
	struct error error;
	struct kvm_host host;
	int fd;

	ck_assert_int_eq(kvm_open(harness_engine(), &fd, &error), 0);
	ck_assert_int_eq(kvm_host_probe(fd, "/sys", &host, &error), 0);
	kvm_close(fd);
	return host.physical_bits > 40 ? 1 << 20 : (1ull << host.physical_bits >> 20) / 2;
}

START_TEST(guests_of_every_shape_start)
{
	static const struct {
		uint64_t bytes;
		unsigned int nodes, vcpus;
	} shapes[] = {
		{MEMORY_BYTES_MIN, 1, 1},
		{192 * MIB, 8, 2},
		{5 << 10, 1, 1},
		{0, 2, 1},
	};
	struct guest_config config = {
		.engine = harness_engine(),
		.checks = SOFT_CHECK_ALL,
		.memory_bytes = shapes[_i].bytes,
		.nr_nodes = shapes[_i].nodes,
		.nr_vcpus = shapes[_i].vcpus,
		.watchdog_seconds = LONG_WATCHDOG,
	};
	struct nb_submission call = {.opcode = NB_OP_STATS};
	struct nb_completion answer;
	long before = resident_kib();
	struct guest *guest;
	char what[64];

	/* Shapes too large for a 32-bit constant are given in MiB; 0 is the largest. */
	if (config.memory_bytes == 0)
		config.memory_bytes = largest_guest();
	if (config.memory_bytes < MIB * 2)
		config.memory_bytes *= MIB;
	guest = start_config(&config);
	snprintf(what, sizeof(what), "%llu MiB, %u nodes", config.memory_bytes / MIB,
		 config.nr_nodes);
	print_figures(what, guest, before);
	ck_assert_uint_eq(guest_memory_bytes(guest), config.memory_bytes);
	ck_assert_int_eq(guest_call(guest, 0, &call, &answer), 0);
	ck_assert_int_eq(answer.status, 0);
	/* Nearly all frames are free: what is missing is boot memory and the page array's. */
	ck_assert_uint_lt(answer.result[0], config.memory_bytes / 4096);
	ck_assert_uint_gt(answer.result[0],
			  (config.memory_bytes - config.memory_bytes / 16 - 12 * MIB) / 4096);
	guest_destroy(guest);
}
END_TEST

/* What the guest can be told to die of, and what the report must say. */
static const struct {
	uint16_t opcode;
	uint64_t arg[2];
	const char *kind, *text, *where;
	const char
		*function; /* the innermost of the backtrace, where registers are what they were */
} deaths[] = {
	{NB_OP_TEST_PANIC, {0}, "panic", "guest/", NULL, "op_panic"},
	{NB_OP_TEST_FAULT,
	 {0x1238},
	 "trap",
	 "page fault: read from 0x1238, which is not mapped",
	 "op_fault",
	 "op_fault"},
	{NB_OP_TEST_FAULT,
	 {0xffffc90000001000},
	 "trap",
	 "read from 0xffffc90000001000",
	 "op_fault",
	 "op_fault"},
	{NB_OP_TEST_UD, {0}, "trap", "invalid opcode (vector 6", "op_undefined", "op_undefined"},
	{NB_OP_TEST_SPIN, {0}, "stuck", "no progress for 1 seconds", "op_spin", "op_spin"},
	{NB_OP_TEST_TRIPLE, {0}, "triple-fault", "triple fault", NULL, NULL},
	{NB_OP_TEST_IO,
	 {0x3f8, 0x41},
	 "port",
	 "wrote 0x41 to port 0x3f8, which is no port",
	 NULL,
	 NULL},
	{NB_OP_TEST_IO, {NB_PORT_COMPLETE, 9}, "port", "instead of its index, 0", NULL, NULL},
	{NB_OP_TEST_EMULATE,
	 {0xd0000000},
	 "emulation",
	 "cannot emulate",
	 "op_emulate",
	 "op_emulate"},
};

static void check_dead(struct guest *guest)
{
	struct nb_submission call = {.opcode = NB_OP_NOP};
	struct nb_completion answer;

	for (unsigned int i = 0; i < guest_nr_vcpus(guest); i++)
		ck_assert_int_eq(guest_call(guest, i, &call, &answer), -ENOTRECOVERABLE);
}

/* The soft engine knows the instruction, and finds that there is no memory. */
static bool is_emulated(int row)
{
	return harness_engine() == KVM_SOFT && deaths[row].opcode == NB_OP_TEST_EMULATE;
}

START_TEST(each_death_is_reported_with_its_place)
{
	const char *kind = is_emulated(_i) ? "mmio" : deaths[_i].kind;
	const char *text = is_emulated(_i) ? "where there is no memory" : deaths[_i].text;
	struct guest_config config = {
		.engine = harness_engine(),
		.memory_bytes = 64 * MIB,
		.nr_vcpus = 2,
		.watchdog_seconds = SHORT_WATCHDOG,
	};
	struct guest *guest = start_config(&config);
	struct nb_submission calls[3] = {
		{.user_data = 1},
		{.opcode = deaths[_i].opcode,
		 .user_data = 2,
		 .arg = {deaths[_i].arg[0], deaths[_i].arg[1]}},
		{.user_data = 3},
	};
	struct nb_completion answers[3];
	const struct guest_report *report;
	json_t *json;
	size_t done;

	ck_assert_int_eq(guest_call_batch(guest, 0, calls, 3, answers, &done), -ENOTRECOVERABLE);
	report = guest_failure(guest);
	ck_assert_ptr_nonnull(report);
	report_print(report, stdout);
	ck_assert_uint_eq(done, 1);
	ck_assert_str_eq(report_kind_name(report->kind), kind);
	ck_assert_msg(strstr(report->text, text), "%s", report->text);
	ck_assert_uint_eq(report->vcpu, 0);
	ck_assert(report->have_call);
	ck_assert_uint_eq(report->call.opcode, deaths[_i].opcode);
	ck_assert_uint_eq(report->call.user_data, 2);
	if (deaths[_i].where)
		ck_assert_msg(strstr(report->where, deaths[_i].where), "%s", report->where);
	if (deaths[_i].function)
		check_trace(&report->trace, deaths[_i].function);
	json = report_json(report);
	ck_assert_str_eq(json_string_value(json_object_get(json, "kind")), kind);
	/* A triple fault leaves nothing to go by where KVM resets the vCPU (kvm_amd). */
	ck_assert(report->have_trace || !deaths[_i].function);
	ck_assert_int_eq(json_object_get(json_object_get(json, "backtrace"), "frames") != NULL,
			 report->have_trace);
	json_decref(json);
	check_dead(guest);
	guest_destroy(guest);
}
END_TEST

START_TEST(a_warning_is_heard_and_the_guest_goes_on)
{
	struct heard heard = {0};
	struct guest_config config = {
		.engine = harness_engine(),
		.checks = SOFT_CHECK_ALL,
		.memory_bytes = 64 * MIB,
		.message = hear,
		.message_context = &heard,
		.watchdog_seconds = LONG_WATCHDOG,
	};
	struct guest *guest = start_config(&config);
	struct nb_submission call = {.opcode = NB_OP_TEST_WARN, .user_data = 4711};
	struct nb_completion answer;
	unsigned int before = heard.count;

	ck_assert_int_eq(guest_call(guest, 0, &call, &answer), 0);
	ck_assert_int_eq(answer.status, 0);
	ck_assert_uint_eq(heard.count, before + 1);
	ck_assert(heard.last.warning);
	ck_assert_uint_eq(heard.last.call, 4711);
	ck_assert_ptr_nonnull(strstr(heard.last.text, "guest/"));
	ck_assert_ptr_nonnull(heard.last.trace);
	check_trace(&heard.trace, "op_warn");
	ck_assert_uint_eq(guest_warning_count(guest), 1);
	ck_assert_ptr_null(guest_failure(guest));
	guest_destroy(guest);
}
END_TEST

START_TEST(unknown_and_senseless_calls_are_answered_not_obeyed)
{
	struct guest *guest = start(64 * MIB, 1);
	struct nb_submission calls[] = {
		{.opcode = 0xffff},
		{.opcode = NB_OP_NOP, .arg[5] = 1},
		{.opcode = NB_OP_NOP, .flags = 0x8000},
		{.opcode = NB_OP_VFREE, .arg[0] = 0x1234},
		{.opcode = NB_OP_NOP},
	};
	const int64_t expected[] = {-ENOSYS, -EINVAL, -EINVAL, -EINVAL, 0};
	struct nb_completion answers[5];

	ck_assert_int_eq(guest_call_batch(guest, 0, calls, 5, answers, NULL), 0);
	for (int i = 0; i < 5; i++)
		ck_assert_msg(answers[i].status == expected[i], "call %d: %ld", i,
			      answers[i].status);
	guest_destroy(guest);
}
END_TEST

/* What the auditor relies on: memory read from outside is the guest's, while it is halted. */
START_TEST(memory_is_read_and_changed_from_outside)
{
	struct guest *guest = start(64 * MIB, 1);
	struct nb_submission call = {
		.opcode = NB_OP_VMALLOC,
		.arg = {8192, 1, 0xffffc90000000000, 0xffffe90000000000, 0xcc0, 0x8000000000000163,
			0, (uint64_t)-1, 0},
	};
	struct nb_completion answer;
	const char text[] = "across the page's end";
	const struct image *image = guest_image(guest);
	char *layout = malloc(image->layout_bytes), back[sizeof(text)];
	uint64_t frame;
	gva_t at;

	ck_assert_int_eq(guest_read(guest, image->layout_gva, layout, image->layout_bytes), 0);
	ck_assert_mem_eq(layout, image->layout, image->layout_bytes);
	free(layout);
	ck_assert_int_eq(guest_call(guest, 0, &call, &answer), 0);
	ck_assert_int_eq(answer.status, 0);
	at = gva_make(answer.result[0] + 4096 - 5);
	ck_assert_int_eq(guest_write(guest, at, text, sizeof(text)), 0);
	ck_assert_int_eq(guest_read(guest, at, back, sizeof(back)), 0);
	ck_assert_str_eq(back, text);
	/* The guard page: nothing is copied, not even what would fit. */
	at = gva_make(answer.result[0] + 8192 - 5);
	ck_assert_int_eq(guest_write(guest, at, text, sizeof(text)), -EFAULT);
	memset(back, 'x', sizeof(back));
	ck_assert_int_eq(guest_read(guest, at, back, sizeof(back)), -EFAULT);
	ck_assert_mem_eq(back, "xxxxx", 5);
	ck_assert_int_eq(guest_read(guest, at, back, 5), 0);
	ck_assert_mem_ne(back, text, 5);
	ck_assert_int_eq(guest_read(guest, gva_make(UINT64_MAX - 3), back, 8), -EFAULT);
	/* The frame the guest names is the one the tables lead to. */
	call = (struct nb_submission){.opcode = NB_OP_VMALLOC_TO_PAGE,
				      .arg[0] = answer.result[0] + 4096};
	ck_assert_int_eq(guest_call(guest, 0, &call, &answer), 0);
	frame = answer.result[0];
	ck_assert_int_eq(gpa_space_read(guest_space(guest), gpa_make(frame << 12), back, 17), 0);
	ck_assert_str_eq(back, text + 5);
	guest_destroy(guest);
}
END_TEST

START_TEST(a_paused_guest_is_where_its_image_says)
{
	struct guest *guest = start(64 * MIB, 2);
	struct nb_submission call = {.arg[0] = 1};
	struct nb_completion answer;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	char place[IMAGE_PLACE_BYTES];

	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(guest_call(guest, i % 2, &call, &answer), 0);
		ck_assert_int_eq(guest_pause(guest), 0);
		for (unsigned int vcpu = 0; vcpu < 2; vcpu++) {
			ck_assert_int_eq(guest_registers(guest, vcpu, &regs, &sregs), 0);
			ck_assert_uint_eq(sregs.cr3 & ~0xfffull, guest_boot(guest)->root.value);
			/* On its way to the halt, or there: in any case in the image. */
			image_place(guest_image(guest), regs.rip, place);
			ck_assert_msg(image_symbol_find(guest_image(guest), regs.rip) != NULL, "%s",
				      place);
		}
		guest_resume(guest);
	}
	guest_destroy(guest);
}
END_TEST

/* Start and end leave nothing behind: descriptors are the ones there were. */
static int count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

START_TEST(nothing_is_left_of_an_ended_guest)
{
	int before = count_descriptors();
	long first = 0;

	/* Threads of one guest after another would find other arenas of malloc's, and leave them.
	 */
	mallopt(M_ARENA_MAX, 1);
	for (int i = 0; i < 8; i++) {
		guest_destroy(start(64 * MIB, 2));
		ck_assert_int_eq(count_descriptors(), before);
		if (i == 3)
			first = resident_kib();
	}
	/* No growth from the fourth to the eighth beyond what an allocator keeps; ASan's keeps all.
	 */
#ifdef __SANITIZE_ADDRESS__
	ck_assert_int_gt(first, 0);
#else
	ck_assert_int_le(resident_kib(), first + 128);
#endif
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("guest");
	TCase *tcase = tcase_create("guest");
	int status = harness_need_kvm();

	if (status)
		return status;
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, a_thousand_hypercalls_in_one_batch);
	tcase_add_test(tcase, several_vcpus_answer_for_themselves);
	tcase_add_loop_test(tcase, guests_of_every_shape_start, 0, 4);
	tcase_add_loop_test(tcase, each_death_is_reported_with_its_place, 0,
			    (int)(sizeof(deaths) / sizeof(deaths[0])));
	tcase_add_test(tcase, a_warning_is_heard_and_the_guest_goes_on);
	tcase_add_test(tcase, unknown_and_senseless_calls_are_answered_not_obeyed);
	tcase_add_test(tcase, memory_is_read_and_changed_from_outside);
	tcase_add_test(tcase, a_paused_guest_is_where_its_image_says);
	tcase_add_test(tcase, nothing_is_left_of_an_ended_guest);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
