/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reader of ftrace text: every shape of line that a kernel prints, and the ones it does not. */
#include "tests/harness.h"
#include "tests/top.h"

#include <errno.h>

#include "tests/scratch.h"
#include "vmm/replay/ftrace.h"

#define HEADER  "# tracer: nop\n#\n# entries-in-buffer/entries-written: 1/1   #P:2\n#\n"
#define PREFIX  "            init-1       [000] .....     8.066654: "
#define LINE(t) HEADER PREFIX t "\n"

static struct input_error error;
static struct ftrace_info info;

/* Reads @text; returns the last answer, the last event in *@event_out, how many in *@count. */
static int read_bytes(const void *bytes, size_t size, struct ftrace_event *event_out, int *count)
{
	struct ftrace *trace;
	int ret = ftrace_open(scratch_write_bytes(bytes, size), &trace, &error);

	*count = 0;
	if (!ret) {
		while ((ret = ftrace_next(trace, event_out, &error)) > 0)
			++*count;
		info = *ftrace_info(trace);
		info.skipped_names = NULL;
		ftrace_close(trace);
	}
	scratch_remove();
	return ret;
}

static int read_text(const char *text, struct ftrace_event *event_out, int *count)
{
	return read_bytes(text, strlen(text), event_out, count);
}

static struct ftrace_event read_one(const char *text)
{
	struct ftrace_event event = {0};
	int count, ret = read_text(text, &event, &count);

	ck_assert_msg(ret == 0, "%s", error.text);
	ck_assert_int_eq(count, 1);
	return event;
}

/* ---- the prefix ---- */

static const struct {
	const char *line;
	const char *task;
	int64_t pid;
	unsigned int cpu;
	uint64_t time_ns;
} prefixes[] = {
	{PREFIX, "init", 1, 0, 8066654000},
	{"          <idle>-0       [001] ..s1.    12.405289: ", "<idle>", 0, 1, 12405289000},
	{"     kworker/0:1-17      [127] .Ns1.    56.699809: ", "kworker/0:1", 17, 127,
	 56699809000},
	{"           <...>-123456  [001] d..21     0.000001: ", "<...>", 123456, 1, 1000},
	/* Four columns of flags, and none: Linux before 5.16, trace-cmd report. */
	{"            init-1     [000] ....     8.066654: ", "init", 1, 0, 8066654000},
	{"            init-1     [000]     8.066654: ", "init", 1, 0, 8066654000},
	/* trace-cmd pads less for short names. */
	{"sh-77  [002]   100.5: ", "sh", 77, 2, 100500000000},
	/* record-tgid */
	{"            init-1       (-------) [000] .....     8.066654: ", "init", 1, 0, 8066654000},
	{"            bash-1234    (   1234) [003] .....     8.066654: ", "bash", 1234, 3,
	 8066654000},
	/* Names that look like what follows them. */
	{" a-1 [000] .....-42      [001] .....     8.066654: ", "a-1 [000] .....", 42, 1,
	 8066654000},
	{"    x-5 [007] 1:-43      [001] .....     8.066654: ", "x-5 [007] 1:", 43, 1, 8066654000},
	{"    x-5 [7] 1: y-43      [001] .....     8.066654: ", "x-5 [7] 1: y", 43, 1, 8066654000},
	{"     (sd-pam) #1-44      [001] .....     8.066654: ", "(sd-pam) #1", 44, 1, 8066654000},
	{"           a b c-45      [001] .....     8.066654: ", "a b c", 45, 1, 8066654000},
	{"               --46      [001] .....     8.066654: ", "-", 46, 1, 8066654000},
	{"   CPU:1 [LOST 5-47      [001] .....     8.066654: ", "CPU:1 [LOST 5", 47, 1, 8066654000},
	/* A clock that is no seconds (counter, x86-tsc). */
	{"            init-1       [000] .....     123456789: ", "init", 1, 0, 0},
};

START_TEST(every_prefix_is_taken_apart)
{
	char text[512];
	struct ftrace_event event;

	snprintf(text, sizeof(text), HEADER "%svfree: (vfree+0x0/0xa0) addr=0xffffc90000001000\n",
		 prefixes[_i].line);
	event = read_one(text);
	ck_assert_str_eq(event.task, prefixes[_i].task);
	ck_assert_int_eq(event.pid, prefixes[_i].pid);
	ck_assert_uint_eq(event.cpu, prefixes[_i].cpu);
	ck_assert_uint_eq(event.time_ns, prefixes[_i].time_ns);
	ck_assert_uint_eq(event.line, 5);
	ck_assert_uint_eq(event.address, 0xffffc90000001000);
}
END_TEST

/* ---- the events ---- */

START_TEST(kprobe_requests_carry_their_fields)
{
	struct ftrace_event event;

	event = read_one(LINE("vmalloc_enter: (__vmalloc_node_range+0x0/0x880) size=8489 align=1 "
			      "start=0xffffc90000000000 end=0xffffe8ffffffffff gfp=0xdc0 "
			      "prot=0x8000000000000163"));
	ck_assert_int_eq(event.type, FTRACE_VMALLOC_ENTER);
	ck_assert_uint_eq(event.size, 8489);
	ck_assert_uint_eq(event.align, 1);
	ck_assert_uint_eq(event.start, 0xffffc90000000000);
	ck_assert_uint_eq(event.end, 0xffffe8ffffffffff);
	ck_assert_uint_eq(event.gfp, 0xdc0);
	ck_assert_uint_eq(event.prot, 0x8000000000000163);
	ck_assert_int_eq(event.node, -1);
	event = read_one(LINE("alloc_vmap_area_enter: (alloc_vmap_area+0x0/0x880) size=20480 "
			      "align=16384 vstart=0x1000 vend=0x9000 node=1"));
	ck_assert_int_eq(event.type, FTRACE_ALLOC_ENTER);
	ck_assert_uint_eq(event.size, 20480);
	ck_assert_uint_eq(event.align, 16384);
	ck_assert_uint_eq(event.start, 0x1000);
	ck_assert_uint_eq(event.end, 0x9000);
	ck_assert_int_eq(event.node, 1);
}
END_TEST

START_TEST(kprobe_results_carry_their_fields)
{
	struct ftrace_event event;

	event = read_one(
		LINE("alloc_vmap_area_exit: (__get_vm_area_node+0xb1/0x150 <- "
		     "alloc_vmap_area) va=0xffff88810916e200 va_start=0xffffc900005a8000"));
	ck_assert_int_eq(event.type, FTRACE_ALLOC_EXIT);
	ck_assert(!event.failed);
	ck_assert_uint_eq(event.address, 0xffffc900005a8000);
	event = read_one(LINE("vmalloc_exit: (a+0x1/0x2 <- b) addr=0xffffc900005a8000"));
	ck_assert_int_eq(event.type, FTRACE_VMALLOC_EXIT);
	ck_assert(!event.failed);
	ck_assert_uint_eq(event.address, 0xffffc900005a8000);
	event = read_one(LINE("vmalloc_exit: (a+0x1/0x2 <- b) addr=0x0"));
	ck_assert(event.failed);
	event = read_one(LINE("purge_exit: (a+0x1/0x2 <- b) purged=1"));
	ck_assert_int_eq(event.type, FTRACE_PURGE_EXIT);
	ck_assert(event.has_purged);
	ck_assert_uint_eq(event.purged, 1);
	event = read_one(LINE("purge_enter: (p+0x0/0x750) start=0xffffffffffffffff end=0x0"));
	ck_assert_int_eq(event.type, FTRACE_PURGE_ENTER);
	event = read_one(LINE("tracing_mark_write: vmallocinfo captured"));
	ck_assert_int_eq(event.type, FTRACE_MARKER);
	event = read_one(LINE("print: tracing_mark_write: vmallocinfo captured"));
	ck_assert_int_eq(event.type, FTRACE_MARKER);
}
END_TEST

static const char *const failures[] = {
	LINE("alloc_vmap_area_exit: (a <- b) va=0xfffffffffffffff4 va_start=(fault)"),
	LINE("alloc_vmap_area_exit: (a <- b) va=0xfffffffffffffff0 va_start=0x0"),
	LINE("alloc_vmap_area_exit: (a <- b) va=0x0 va_start=0x12345"),
	LINE("alloc_vmap_area: va_start: 18446744073709551604 size=4096 align=1 vstart=0x1 "
	     "vend=0x2 failed=1"),
};

START_TEST(failed_allocations_are_known)
{
	struct ftrace_event event = read_one(failures[_i]);

	ck_assert(event.failed);
	ck_assert_uint_eq(event.address, 0);
}
END_TEST

START_TEST(tracepoints_are_told_from_probes_of_the_same_name)
{
	struct ftrace_event event;

	event = read_one(LINE("alloc_vmap_area: va_start: 18446683600576708608 size=20480 "
			      "align=16384 vstart=0xffffc90000000000 vend=0xffffe8ffffffffff "
			      "failed=0"));
	ck_assert_int_eq(event.type, FTRACE_ALLOC);
	ck_assert(!event.failed);
	ck_assert_uint_eq(event.address, 18446683600576708608u);
	ck_assert_uint_eq(event.size, 20480);
	event = read_one(LINE("free_vmap_area_noflush: va_start=0xffffc90000a94000 nr_lazy=7 "
			      "nr_lazy_max=8192"));
	ck_assert_int_eq(event.type, FTRACE_FREE);
	ck_assert(event.native);
	ck_assert_uint_eq(event.address, 0xffffc90000a94000);
	ck_assert_uint_eq(event.end, 0);
	event = read_one(LINE("free_vmap_area_noflush: (f+0x0/0x340) va_start=0xffffc90000a94000 "
			      "va_end=0xffffc90000a99000"));
	ck_assert(!event.native);
	ck_assert_uint_eq(event.end, 0xffffc90000a99000);
	event = read_one(LINE("purge_vmap_area_lazy: start=0x1000 end=0x9000 num_purged=12"));
	ck_assert_int_eq(event.type, FTRACE_PURGE);
	ck_assert_uint_eq(event.address, 0x1000);
	ck_assert_uint_eq(event.end, 0x9000);
	ck_assert_uint_eq(event.purged, 12);
}
END_TEST

/* ---- the file as a whole ---- */

START_TEST(unknown_events_are_skipped_and_counted_by_name)
{
	static const char text[] = HEADER PREFIX
		"sched_switch: prev_comm=a prev_pid=1 ==> next_comm=b\n" PREFIX
		"vfree: (vfree+0x0/0xa0) addr=0x1000\n" PREFIX "sched_switch: x\n" PREFIX
		"sys_enter: NR 1\n" PREFIX "do_fork <-sys_clone\n" PREFIX
		"<stack trace>\n => vfree+0x0/0x10\n => kthread\n";
	struct ftrace_event event;
	struct ftrace *trace;
	const struct ftrace_info *got;

	ck_assert_int_eq(ftrace_open(scratch_write(text), &trace, &error), 0);
	ck_assert_int_eq(ftrace_next(trace, &event, &error), 1);
	ck_assert_int_eq(event.type, FTRACE_VFREE);
	ck_assert_int_eq(ftrace_next(trace, &event, &error), 0);
	got = ftrace_info(trace);
	ck_assert_uint_eq(got->events, 6);
	ck_assert_uint_eq(got->skipped, 5);
	ck_assert_uint_eq(got->skipped_name_count, 4);
	ck_assert_str_eq(got->skipped_names[0].name, "sched_switch");
	ck_assert_uint_eq(got->skipped_names[0].count, 2);
	ck_assert_str_eq(got->skipped_names[1].name, "sys_enter");
	ck_assert_uint_eq(got->skipped_names[1].count, 1);
	ftrace_close(trace);
	scratch_remove();
}
END_TEST

START_TEST(too_many_unknown_names_are_counted_together)
{
	char *text;
	size_t size;
	FILE *file = open_memstream(&text, &size);
	struct ftrace_event event;
	struct ftrace *trace;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < 3000; i++)
		fprintf(file, PREFIX "event_%zu: x\n", i % 1000);
	fclose(file);
	ck_assert_int_eq(ftrace_open(scratch_write(text), &trace, &error), 0);
	ck_assert_int_eq(ftrace_next(trace, &event, &error), 0);
	ck_assert_uint_eq(ftrace_info(trace)->skipped_name_count, 256);
	for (i = 0; i < 256; i++)
		sum += ftrace_info(trace)->skipped_names[i].count;
	ck_assert_uint_eq(sum, 3000);
	ck_assert_str_eq(ftrace_info(trace)->skipped_names[255].name, "(other names)");
	ftrace_close(trace);
	scratch_remove();
	free(text);
}
END_TEST

START_TEST(lost_events_are_counted)
{
	struct ftrace_event event;
	int count;

	ck_assert_int_eq(read_text("# tracer: nop\n"
				   "# entries-in-buffer/entries-written: 3/103   #P:2\n" PREFIX
				   "vfree: addr=0x1000\n"
				   "CPU:1 [LOST 40 EVENTS]\n" PREFIX "vfree: addr=0x1000\n"
				   "CPU:0 [LOST EVENTS]\n"
				   "CPU:0 [7 EVENTS DROPPED]\n"
				   "##### CPU 1 buffer started ####\n",
				   &event, &count),
			 0);
	ck_assert_int_eq(count, 2);
	ck_assert_uint_eq(info.cpus, 2);
	ck_assert_uint_eq(info.lost_overwritten, 100);
	ck_assert_uint_eq(info.lost_dropped, 47);
	ck_assert_uint_eq(info.lost_unknown, 1);
	ck_assert_uint_eq(info.lost_from_file, 1);
	ck_assert_uint_eq(info.late_buffers, 1);
	ck_assert_uint_eq(ftrace_lost(&info), 149);
}
END_TEST

START_TEST(trace_cmd_report_is_read)
{
	struct ftrace_event event;
	int count;

	ck_assert_int_eq(read_text("version = 7\nCPU 3 is empty\ncpus=4\n"
				   "            init-1     [000]     8.066654: vfree:    "
				   "            (ffffffff81) addr=0x1000\n",
				   &event, &count),
			 0);
	ck_assert_int_eq(count, 1);
	ck_assert_uint_eq(info.cpus, 4);
	ck_assert_uint_eq(event.address, 0x1000);
}
END_TEST

START_TEST(time_that_goes_back_is_counted)
{
	struct ftrace_event event;
	int count;

	ck_assert_int_eq(read_text("            init-1     [000]     8.066654: vfree: addr=0x1\n"
				   "            init-1     [000]     8.066653: vfree: addr=0x1\n"
				   "            init-1     [000]     8.066654: vfree: addr=0x1\n",
				   &event, &count),
			 0);
	ck_assert_uint_eq(info.out_of_order, 1);
}
END_TEST

START_TEST(header_without_events_is_an_empty_trace)
{
	struct ftrace_event event;
	int count;

	ck_assert_int_eq(read_text("# tracer: nop\n#\n"
				   "# entries-in-buffer/entries-written: 0/0   #P:1\n",
				   &event, &count),
			 0);
	ck_assert_int_eq(count, 0);
	ck_assert_uint_eq(ftrace_lost(&info), 0);
}
END_TEST

static const struct {
	const char *text;
	unsigned long line;
	const char *what;
} bad[] = {
	{"", 0, "empty"},
	{"\n\n", 0, "no trace"},
	{"hello world\n", 1, "no trace"},
	{"0xffffc90000000000-0xffffc90000005000   20480 kernel_clone+0xbf/0x430 vmalloc\n", 1,
	 "this is no trace"},
	{HEADER "hello world\n", 5, "no trace line"},
	{HEADER PREFIX "vfree: addr=0x1\n            init-1       [000] ...\n", 6, "cut short"},
	{HEADER "            init-1       [000] .....     8.066654:\n", 5, "cut short"},
	{LINE("vfr"), 5, "cut short"},
	{LINE("alloc_vmap_area_exit: (a <- b) va=0xffff88810916e200 va_start="), 5, "no number"},
	{LINE("alloc_vmap_area_exit: (a <- b) va=0xffff88810916e200 va_start=0xzz"), 5,
	 "no number"},
	{LINE("alloc_vmap_area_exit: (a <- b) va=0xffff88810916e200 va_start=(fault)"), 5,
	 "(fault)"},
	{LINE("alloc_vmap_area_enter: size=99999999999999999999 align=1 vstart=0x1 vend=0x2"), 5,
	 "size=99999999999999999999 is out of range"},
	{LINE("alloc_vmap_area_enter: size=-4096 align=1 vstart=0x1 vend=0x2"), 5, "no number"},
	{LINE("alloc_vmap_area_enter: size=4096 align=1 vstart=0x1 vend=0x2 node=x"), 5, "node=x"},
	{LINE("alloc_vmap_area: va_start: size=4096 align=1 vstart=0x1 vend=0x2 failed=0"), 5,
	 "no number"},
	{LINE("vfree: (vfree+0x0/0xa0) addr=(fault)"), 5, "(fault)"},
	{"# tracer: nop\n# entries-in-buffer/entries-written: x/1   #P:1\n", 2, "no numbers"},
	{"# tracer: nop\n# entries-in-buffer/entries-written: 99999999999999999999/1\n", 2,
	 "no numbers"},
	{"# tracer: nop\n# entries-in-buffer/entries-written: 2/1   #P:1\n", 2,
	 "more entries kept"},
	{"# tracer: nop\n# entries-in-buffer/entries-written: 1/1   #P:x\n", 2, "number of CPUs"},
	{HEADER HEADER, 7, "second header"},
	{HEADER "CPU:1 [LOST x EVENTS]\n", 5, "no trace line"},
	{HEADER "            init-1       [0000000000001] .....     8.06: vfree: addr=0x1 \r\n", 5,
	 "CR LF"},
	{HEADER "            init-99999999999 [000] .....     8.066654: vfree: addr=0x1\n", 5,
	 "no trace line"},
	{HEADER "            init-1       [99999] .....     8.066654: vfree: addr=0x1\n", 5,
	 "no trace line"},
	{HEADER "            init-1       [000] .....  99999999999999999999.1: vfree: addr=0x1\n",
	 5, "no trace line"},
	{HEADER PREFIX "vfree: (vfree+0x0/0xa0) addr=0xffffc900005", 5, "cut short"},
	{"PERFILE2h\n", 0, "perf.data"},
	{"\x1f\x8b\x08\n", 0, "gzip"},
	{"\x7f"
	 "ELF\n",
	 0, "ELF"},
	{"\x28\xb5\x2f\xfd\n", 0, "zstd"},
};

START_TEST(bad_input_is_refused_with_its_line)
{
	struct ftrace_event event;
	int count;

	ck_assert_int_eq(read_text(bad[_i].text, &event, &count), -EINVAL);
	assert_error(error.text, scratch_path, bad[_i].line, bad[_i].what);
}
END_TEST

START_TEST(trace_dat_is_named_with_the_way_out)
{
	static const char dat[] = "\x17\x08\x44tracing\0006\0\0\0\0\0";
	struct ftrace_event event;
	int count;

	ck_assert_int_eq(read_bytes(dat, sizeof(dat), &event, &count), -EINVAL);
	assert_error(error.text, scratch_path, 0, "trace-cmd report");
}
END_TEST

/* Every way to cut a line short is refused, or cannot be seen: then it still reads as a line. */
START_TEST(no_cut_breaks_the_reader)
{
	static const char whole[] =
		LINE("alloc_vmap_area_exit: (__get_vm_area_node+0xb1/0x150 <- alloc_vmap_area) "
		     "va=0xffff88810916e200 va_start=0xffffc900005a8000");
	struct ftrace_event event;
	size_t length;
	int count, ret;

	for (length = 1; length < sizeof(whole) - 1; length++) {
		ret = read_bytes(whole, length, &event, &count);
		if (whole[length - 1] == '\n')
			ck_assert_int_eq(ret, 0);
		else
			ck_assert_int_eq(ret, -EINVAL);
	}
}
END_TEST

START_TEST(shipped_traces_are_read_whole)
{
	static const struct {
		const char *name;
		uint64_t events;
	} traces[] = {{"fork-1cpu", 10961}, {"modules-2cpu", 3343}, {"mixed-2cpu", 2339}};
	char path[512];
	struct ftrace_event event;
	struct ftrace *trace;
	int ret;

	snprintf(path, sizeof(path), "%s/tests/data/%s/trace", test_top(), traces[_i].name);
	ck_assert_msg(!ftrace_open(path, &trace, &error), "%s", error.text);
	while ((ret = ftrace_next(trace, &event, &error)) > 0)
		;
	ck_assert_msg(ret == 0, "%s", error.text);
	ck_assert_uint_eq(ftrace_info(trace)->events, traces[_i].events);
	ck_assert_uint_eq(ftrace_info(trace)->skipped, 0);
	ck_assert_uint_eq(ftrace_info(trace)->out_of_order, 0);
	ck_assert_uint_eq(ftrace_lost(ftrace_info(trace)), 0);
	ftrace_close(trace);
}
END_TEST

static Suite *ftrace_suite(void)
{
	Suite *suite = suite_create("ftrace");
	TCase *lines = tcase_create("lines"), *files = tcase_create("files");

	tcase_add_loop_test(lines, every_prefix_is_taken_apart, 0,
			    sizeof(prefixes) / sizeof(prefixes[0]));
	tcase_add_test(lines, kprobe_requests_carry_their_fields);
	tcase_add_test(lines, kprobe_results_carry_their_fields);
	tcase_add_loop_test(lines, failed_allocations_are_known, 0,
			    sizeof(failures) / sizeof(failures[0]));
	tcase_add_test(lines, tracepoints_are_told_from_probes_of_the_same_name);
	suite_add_tcase(suite, lines);
	tcase_add_test(files, unknown_events_are_skipped_and_counted_by_name);
	tcase_add_test(files, too_many_unknown_names_are_counted_together);
	tcase_add_test(files, lost_events_are_counted);
	tcase_add_test(files, trace_cmd_report_is_read);
	tcase_add_test(files, time_that_goes_back_is_counted);
	tcase_add_test(files, header_without_events_is_an_empty_trace);
	tcase_add_loop_test(files, bad_input_is_refused_with_its_line, 0,
			    sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(files, trace_dat_is_named_with_the_way_out);
	tcase_add_test(files, no_cut_breaks_the_reader);
	tcase_add_loop_test(files, shipped_traces_are_read_whole, 0, 3);
	suite_add_tcase(suite, files);
	return suite;
}

int main(void)
{
	return harness_run(ftrace_suite());
}
