/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What real tools wrote (tests/data/formats: Linux 6.1, trace-cmd 3.1.6, perf 6.1), and what other
 * kernels write, of their sources: read to the last event, or refused by its name.
 */
#include "tests/harness.h"
#include "tests/top.h"

#include <errno.h>

#include "tests/scratch.h"
#include "vmm/replay/ftrace.h"

static struct input_error error;
static struct ftrace_info info;
static unsigned int seen[FTRACE_DECAY + 1]; /* events of each type */
static char marker[64];

static int read_path(const char *path, struct ftrace_event *last_out)
{
	struct ftrace_event event;
	struct ftrace *trace;
	int ret = ftrace_open(path, &trace, &error);

	memset(seen, 0, sizeof(seen));
	memset(&info, 0, sizeof(info));
	marker[0] = '\0';
	if (ret)
		return ret;
	while ((ret = ftrace_next(trace, &event, &error)) > 0) {
		seen[event.type]++;
		*last_out = event;
		if (event.type == FTRACE_MARKER)
			snprintf(marker, sizeof(marker), "%s", event.text);
	}
	info = *ftrace_info(trace);
	info.skipped_names = NULL;
	ftrace_close(trace);
	return ret;
}

static const char *sample(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/tests/data/formats/%s", test_top(), name);
	return path;
}

/* ---- real files ---- */

static const struct {
	const char *name;
	uint64_t events, skipped;
	unsigned int allocs, frees, markers;
	uint64_t cpus;
	const char *source;
} samples[] = {
	{"tracefs", 25, 0, 4, 4, 1, 2, "ftrace text"},
	{"tracefs-function", 35, 16, 3, 3, 1, 2, "ftrace text"},
	{"tracefs-noirq", 6, 0, 1, 1, 1, 2, "ftrace text"},
	{"tracefs-stack", 43, 21, 4, 3, 1, 2, "ftrace text"},
	{"tracefs-tgid", 13, 0, 2, 2, 1, 2, "ftrace text"},
	{"tracefs-x86-tsc", 5, 0, 1, 0, 1, 2, "ftrace text"},
	{"report", 25, 0, 5, 2, 1, 2, "ftrace text"},
	{"report-raw-fields", 25, 0, 5, 2, 1, 2, "ftrace text"},
	{"report-ts-diff", 25, 0, 5, 2, 1, 2, "ftrace text"},
	{"report-function-graph", 59, 56, 1, 0, 0, 2, "ftrace text"},
	{"perf", 14, 0, 3, 1, 0, 0, "perf script"},
	{"perf-header", 14, 0, 3, 1, 0, 2, "perf script"},
	{"perf-no-cpu", 14, 0, 3, 1, 0, 0, "perf script"},
	{"perf-callchain", 5, 0, 1, 0, 0, 0, "perf script"},
	{"perf-records", 19, 17, 0, 1, 0, 0, "perf script"},
	{"trace.dat", 17, 0, 3, 2, 1, 2, "trace.dat"},
	{"trace-instance.dat", 21, 0, 4, 2, 1, 2, "trace.dat"},
};

START_TEST(what_real_tools_wrote_is_read_to_the_last_event)
{
	struct ftrace_event last;
	int ret = read_path(sample(samples[_i].name), &last);

	if (ret == -ENOTSUP) {
		ck_assert(strstr(error.text, "trace-cmd report") != NULL);
		return;
	}
	ck_assert_msg(ret == 0, "%s", error.text);
	ck_assert_uint_eq(info.events, samples[_i].events);
	ck_assert_uint_eq(info.skipped, samples[_i].skipped);
	ck_assert_uint_eq(seen[FTRACE_ALLOC_EXIT], samples[_i].allocs);
	ck_assert_uint_eq(seen[FTRACE_FREE], samples[_i].frees);
	ck_assert_uint_eq(seen[FTRACE_MARKER], samples[_i].markers);
	ck_assert_str_eq(marker, samples[_i].markers ? "vmallocinfo captured" : "");
	ck_assert_uint_eq(info.cpus, samples[_i].cpus);
	ck_assert_str_eq(info.source, samples[_i].source);
	ck_assert_uint_eq(ftrace_lost(&info), 0);
	ck_assert_uint_eq(info.continuations, 0);
}
END_TEST

START_TEST(perf_tells_what_machine_it_was)
{
	struct ftrace_event last;

	ck_assert_int_eq(read_path(sample("perf-header"), &last), 0);
	ck_assert_str_eq(info.kernel, "6.1.0-57-cloud-amd64");
	ck_assert_str_eq(info.machine, "x86_64");
	ck_assert_str_eq(last.task, "kworker/1:2-mm_");
	ck_assert_int_eq(last.pid, 54);
	ck_assert_uint_eq(last.cpu, 1);
	ck_assert_uint_eq(last.time_ns, 136171551000);
}
END_TEST

static const struct {
	const char *name;
	unsigned long line;
	const char *what;
} refused[] = {
	{"refused-graph", 1, "function_graph"},
	{"refused-graph-proc", 1, "function_graph"},
	{"refused-latency", 3, "latency format"},
	{"refused-verboselatency", 3, "latency format"},
	{"refused-report-l", 2, "leave -l out"},
	{"refused-raw", 13, "noraw"},
	{"refused-hex", 13, "nohex"},
	{"refused-nocontext", 3, "context-info"},
};

START_TEST(what_cannot_be_replayed_is_called_by_its_name)
{
	struct ftrace_event last;
	const char *path = sample(refused[_i].name);

	ck_assert_int_eq(read_path(path, &last), -EINVAL);
	assert_error(error.text, path, refused[_i].line, refused[_i].what);
}
END_TEST

/* The same without the header that gives it away: the lines do. */
START_TEST(lines_give_a_format_away_too)
{
	static const char *const lines[][2] = {
		{" 0)   6.452 us    |    insert_vmap_area();\n", "function_graph"},
		{" 11)               |  /* vfree: (vfree+0x0/0xa0) addr=0x1000 */\n",
		 "function_graph"},
		{"   42.307950 |   1)    bash-111    |               |  /* x */\n",
		 "function_graph"},
		{"    bash-111       0..... 62191us!: vfree: addr=0x1000\n", "latency"},
		{"            bash     111   0 0 00000000 00000000 [01101b24] 89.937ms "
		 "(+116.015ms): "
		 "vfree: addr=0x1000\n",
		 "latency"},
		{"111 1 18352103994 type: 1506\n", "raw"},
		{"vfree: (vfree+0x0/0xa0) addr=0x1000\n", "context-info"},
	};
	struct ftrace_event last;

	ck_assert_int_eq(read_path(scratch_write(lines[_i][0]), &last), -EINVAL);
	assert_error(error.text, scratch_path, 1, lines[_i][1]);
	scratch_remove();
}
END_TEST

/* ---- lines of other kernels and tools ---- */

#define KERNEL "            bash-111     [001] .....    13.580232: "
#define PERF   "            bash   968 [000]   136.033898: "

static const struct {
	const char *line;
	enum ftrace_event_type type;
} known[] = {
	/* Clang's LTO and gcc's clones. */
	{KERNEL "tracing_mark_write.llvm.1234567890: vmallocinfo captured", FTRACE_MARKER},
	{KERNEL "tracing_mark_write.isra.0: vmallocinfo captured", FTRACE_MARKER},
	{KERNEL "0xffffffff811b348d: vmallocinfo captured", FTRACE_MARKER},
	{KERNEL "print:                tracing_mark_write.llvm.12: vmallocinfo captured",
	 FTRACE_MARKER},
	{KERNEL "print:                 ip=0xffffffff811b348d buf=vmallocinfo captured",
	 FTRACE_MARKER},
	{PERF "ftrace:print: tracing_mark_write: vmallocinfo captured", FTRACE_MARKER},
	{KERNEL "vfree.constprop.0: (vfree.constprop.0+0x0/0xa0) addr=0x1000", FTRACE_VFREE},
	/* Groups, as perf and newer trace-cmd print them. */
	{KERNEL "nestbox_capture:vfree: (vfree+0x0/0xa0) addr=0x1000", FTRACE_VFREE},
	{KERNEL "vmalloc:alloc_vmap_area: va_start: 18446683600576708608 size=20480 align=16384 "
		"vstart=0xffffc90000000000 vend=0xffffe8ffffffffff failed=0",
	 FTRACE_ALLOC},
	{PERF "vmalloc:free_vmap_area_noflush: va_start=0xffffc90000a94000 nr_lazy=7 "
	      "nr_lazy_max=8192",
	 FTRACE_FREE},
	{PERF "vmalloc:purge_vmap_area_lazy: start=0x1000 end=0x9000 num_purged=12", FTRACE_PURGE},
	/* The tracepoints' fields by their own names (option fields, trace-cmd report -R). */
	{KERNEL "alloc_vmap_area: addr=0xffffc900005a8000 size=0x5000 align=0x4000 "
		"vstart=0xffffc90000000000 vend=0xffffe8ffffffffff failed=0",
	 FTRACE_ALLOC},
	{KERNEL "purge_vmap_area_lazy: start=0x1000 end=0x9000 npurged=12", FTRACE_PURGE},
	{KERNEL "vfree: __probe_ip=0xffffffff812dfc70 (18446744071582973040) addr=0x1000 (4096)",
	 FTRACE_VFREE},
	/* perf without a CPU, with thread ids, with nanoseconds, of a task that is gone. */
	{"            bash   968   136.033898:          nb:vfree: (ffff) addr=0x1000",
	 FTRACE_VFREE},
	{"            bash   968/969   [000]   136.033898512: nb:vfree: (ffff) addr=0x1000",
	 FTRACE_VFREE},
	{"bash   980 [000]   141.202065:          nb:vfree: (ffff) addr=0x1000", FTRACE_VFREE},
	{"             :-1    -1 [000]   141.202065: nb:vfree: (ffff) addr=0x1000", FTRACE_VFREE},
	{"    my task 12 34   968 [000]   136.033898: nb:vfree: (ffff) addr=0x1000", FTRACE_VFREE},
	{"       a-1 b-2 c   968 [000]   136.033898: nb:vfree: (ffff) addr=0x1000", FTRACE_VFREE},
};

START_TEST(other_spellings_are_the_same_event)
{
	struct ftrace_event last = {0};
	char text[512];

	snprintf(text, sizeof(text), "%s\n", known[_i].line);
	ck_assert_msg(!read_path(scratch_write(text), &last), "%s", error.text);
	scratch_remove();
	ck_assert_uint_eq(info.events, 1);
	ck_assert_uint_eq(info.skipped, 0);
	ck_assert_int_eq(last.type, known[_i].type);
	if (last.type == FTRACE_MARKER)
		ck_assert_str_eq(marker, "vmallocinfo captured");
	if (last.type == FTRACE_VFREE)
		ck_assert_uint_eq(last.address, 0x1000);
	if (last.type == FTRACE_PURGE)
		ck_assert_uint_eq(last.purged, 12);
}
END_TEST

START_TEST(pools_of_6_9_are_told)
{
	struct ftrace_event last = {0};

	ck_assert_int_eq(
		read_path(scratch_write(KERNEL "alloc_vmap_area_exit: (a <- b) "
					       "va=0xffff888100ab3750 "
					       "va_start=0xffffc9000043d000 flags=0x100\n"),
			  &last),
		0);
	ck_assert(last.has_flags);
	ck_assert_uint_eq(last.flags, 0x100);
	ck_assert_int_eq(
		read_path(scratch_write(KERNEL "free_vmap_area_noflush: (f+0x0/0x160) "
					       "va_start=0x1000 va_end=0x2000 flags=0x0\n"),
			  &last),
		0);
	ck_assert(last.has_flags && !last.flags && !last.native);
	ck_assert_int_eq(read_path(scratch_write(KERNEL "purge_enter: (p+0x0/0x320) start=0x1 "
							"end=0x0 full=1\n"),
				   &last),
			 0);
	ck_assert(last.has_full && last.full && !last.size);
	ck_assert_int_eq(read_path(scratch_write(KERNEL "purge_enter: (p+0x0/0x320) start=0x1 "
							"end=0x0\n"),
				   &last),
			 0);
	ck_assert(!last.has_full && !last.full);
	ck_assert_int_eq(read_path(scratch_write(KERNEL "decay: (decay_va_pool_node+0x0/0x4b0) "
							"vn=0xffff888100054000 full=0\n"),
				   &last),
			 0);
	ck_assert_int_eq(last.type, FTRACE_DECAY);
	ck_assert(last.has_full && !last.full);
	ck_assert_uint_eq(last.detail, 0xffff888100054000);
	scratch_remove();
}
END_TEST

/* Anybody may set a probe and call it vfree. */
START_TEST(other_peoples_probes_are_counted)
{
	struct ftrace_event last;

	ck_assert_int_eq(
		read_path(scratch_write(KERNEL "vfree: (vfree+0x0/0xa0)\n" KERNEL
					       "vfree: (vfree+0x0/0xa0) who=\"a\"\n" KERNEL
					       "alloc_vmap_area: (f+0x0/0x1) order=3\n" KERNEL
					       "vfree: (vfree+0x0/0xa0) addr=0x1000\n"),
			  &last),
		0);
	scratch_remove();
	ck_assert_uint_eq(info.events, 4);
	ck_assert_uint_eq(info.skipped, 3);
	ck_assert_uint_eq(info.other_fields, 3);
	ck_assert_str_eq(info.lacking, "vfree has no addr");
	ck_assert_uint_eq(seen[FTRACE_VFREE], 1);
}
END_TEST

/* A marker may be a text of several lines; behind an event of ours no line goes on. */
START_TEST(text_goes_on_behind_markers_alone)
{
	struct ftrace_event last;

	ck_assert_int_eq(
		read_path(scratch_write(KERNEL
					"tracing_mark_write: B|12|first\nsecond\n\nthird\n" KERNEL
					"bpf_trace_printk: a\nb\n" KERNEL
					"vfree: (vfree+0x0/0xa0) addr=0x1000\n"),
			  &last),
		0);
	ck_assert_uint_eq(info.continuations, 3);
	ck_assert_int_eq(
		read_path(scratch_write(KERNEL "vfree: (vfree+0x0/0xa0) addr=0x1000\nx\n"), &last),
		-EINVAL);
	assert_error(error.text, scratch_path, 2, "no trace line");
	scratch_remove();
}
END_TEST

START_TEST(what_perf_lost_is_counted)
{
	struct ftrace_event last;

	ck_assert_int_eq(read_path(scratch_write(PERF "PERF_RECORD_LOST lost 12\n" PERF
						      "PERF_RECORD_FORK(1:1):(0:0)\n" PERF
						      "nb:vfree: (ffff) addr=0x1000\n"),
				   &last),
			 0);
	ck_assert_uint_eq(ftrace_lost(&info), 12);
	ck_assert_int_eq(read_path(scratch_write(PERF "PERF_RECORD_LOST lost x\n"), &last),
			 -EINVAL);
	assert_error(error.text, scratch_path, 1, "lost events is no number");
	scratch_remove();
}
END_TEST

/* ---- trace.dat, spoilt ---- */

/* Whatever the bytes do to libtracecmd, we get an answer, and an error names the file. */
START_TEST(a_spoilt_trace_dat_is_no_more_than_an_error)
{
	static char bytes[65536];
	FILE *file = fopen(sample("trace.dat"), "r");
	size_t size = file ? fread(bytes, 1, sizeof(bytes), file) : 0, at;
	struct ftrace_event last;
	int ret;

	ck_assert_uint_gt(size, 4096);
	fclose(file);
	for (at = 12; at < size; at += size / 40) {
		bytes[at] = (char)~bytes[at];
		ret = read_path(scratch_write_bytes(bytes, size), &last);
		ck_assert_msg(!ret || !strncmp(error.text, scratch_path, strlen(scratch_path)),
			      "%s", error.text);
		scratch_remove();
		bytes[at] = (char)~bytes[at];
		ret = read_path(scratch_write_bytes(bytes, at), &last);
		ck_assert_msg(ret < 0 || at > 4096, "cut at %zu and read", at);
		scratch_remove();
	}
}
END_TEST

/* ---- meta ---- */

START_TEST(meta_is_read)
{
	struct ftrace_info meta = {.cpus = 1};

	ck_assert_int_eq(ftrace_read_meta(scratch_write("# of capture\nkernel=6.12.117\n"
							"machine=x86_64\ncpus=2\npossible_cpus=4\n"
							"nodes=1\nlevels=5\npage_bytes=4096\n"
							"kaslr_offset=0x1e000000\n\nnew=thing\n"),
					  &meta, &error),
			 0);
	ck_assert_str_eq(meta.kernel, "6.12.117");
	ck_assert_str_eq(meta.machine, "x86_64");
	ck_assert_uint_eq(meta.cpus, 2);
	ck_assert_uint_eq(meta.possible_cpus, 4);
	ck_assert_uint_eq(meta.nodes, 1);
	ck_assert_uint_eq(meta.levels, 5);
	ck_assert_uint_eq(meta.page_bytes, 4096);
	ck_assert(meta.has_kaslr_offset);
	ck_assert_uint_eq(meta.kaslr_offset, 0x1e000000);
	meta = (struct ftrace_info){0};
	ck_assert_int_eq(ftrace_read_meta(scratch_write("kaslr_offset=unknown\n"), &meta, &error),
			 0);
	ck_assert(!meta.has_kaslr_offset);
	scratch_remove();
}
END_TEST

static const char *const bad_meta[][2] = {
	{"kernel\n", "KEY=VALUE"},        {"=6\n", "KEY=VALUE"},
	{"cpus=two\n", "cpus=two"},       {"cpus=0\n", "cpus=0"},
	{"cpus=99999\n", "cpus="},        {"levels=6\n", "levels=6"},
	{"page_bytes=1\n", "page_bytes"}, {"kaslr_offset=-1\n", "kaslr_offset"},
};

START_TEST(bad_meta_is_refused_and_changes_nothing)
{
	struct ftrace_info meta = {.cpus = 7};
	char text[128];

	snprintf(text, sizeof(text), "cpus=3\n%s", bad_meta[_i][0]);
	ck_assert_int_eq(ftrace_read_meta(scratch_write(text), &meta, &error), -EINVAL);
	assert_error(error.text, scratch_path, 2, bad_meta[_i][1]);
	ck_assert_uint_eq(meta.cpus, 7);
	scratch_remove();
}
END_TEST

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static Suite *formats_suite(void)
{
	Suite *suite = suite_create("formats");
	TCase *files = tcase_create("files"), *lines = tcase_create("lines");
	TCase *spoilt = tcase_create("spoilt");

	tcase_add_loop_test(files, what_real_tools_wrote_is_read_to_the_last_event, 0,
			    COUNT(samples));
	tcase_add_test(files, perf_tells_what_machine_it_was);
	tcase_add_loop_test(files, what_cannot_be_replayed_is_called_by_its_name, 0,
			    COUNT(refused));
	/* Eighty processes, which are slow to start with sanitizers. */
	tcase_set_timeout(spoilt, 120);
	tcase_add_test(spoilt, a_spoilt_trace_dat_is_no_more_than_an_error);
	suite_add_tcase(suite, spoilt);
	tcase_add_test(files, meta_is_read);
	tcase_add_loop_test(files, bad_meta_is_refused_and_changes_nothing, 0, COUNT(bad_meta));
	suite_add_tcase(suite, files);
	tcase_add_loop_test(lines, lines_give_a_format_away_too, 0, 7);
	tcase_add_loop_test(lines, other_spellings_are_the_same_event, 0, COUNT(known));
	tcase_add_test(lines, pools_of_6_9_are_told);
	tcase_add_test(lines, other_peoples_probes_are_counted);
	tcase_add_test(lines, text_goes_on_behind_markers_alone);
	tcase_add_test(lines, what_perf_lost_is_counted);
	suite_add_tcase(suite, lines);
	return suite;
}

int main(void)
{
	return harness_run(formats_suite());
}
