/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linux found in memory and read, on a small made-up kernel of each kind; what is hostile in it;
 * verdicts of the audit. Real kernels: tests/machine/test_linux.sh.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness.h"
#include "tests/vmm/linux/small_kernel.h"
#include "vmm/linux/check.h"
#include "vmm/linux/frames.h"
#include "vmm/linux/private.h"

static struct small_kernel kernel;
static struct linux_guest *guest;

static void find(void)
{
	struct error error = {""};

	ck_assert_msg(linux_open(&kernel.source, kernel.vmcoreinfo, strlen(kernel.vmcoreinfo),
				 &guest, &error) == 0,
		      "%s", error.text);
}

static void make(int nodes)
{
	small_kernel_make(&kernel, nodes != 0);
	find();
}

static void close_guest(void)
{
	linux_close(guest);
	guest = NULL;
}

/* ---- finding ---- */

START_TEST(it_is_found_by_note_and_by_scan)
{
	struct error error;

	make(_i);
	ck_assert_str_eq(linux_facts(guest)->release, "9.9-small");
	ck_assert_str_eq(linux_facts(guest)->from, "note");
	ck_assert_str_eq(linux_facts(guest)->missing, "");
	ck_assert(linux_facts(guest)->running);
	ck_assert_uint_eq(linux_facts(guest)->nodes, _i ? 2 : 0);
	close_guest();
	ck_assert_int_eq(linux_open(&kernel.source, NULL, 0, &guest, &error), 0);
	ck_assert_ptr_nonnull(strstr(linux_facts(guest)->from, "memory at 0x"));
	close_guest();
	/* The note of another kernel does not hinder. */
	ck_assert_int_eq(linux_open(&kernel.source, "OSRELEASE=1\n", 12, &guest, &error), 0);
	close_guest();
}
END_TEST

START_TEST(what_does_not_hold_is_not_believed)
{
	struct error error = {""};
	char *text;

	small_kernel_make(&kernel, false);
	text = (char *)kernel.memory + kernel.info_gpa;
	memcpy(strstr(text, "9.9-small"), "9.9-smart", 9);
	ck_assert_int_eq(linux_open(&kernel.source, NULL, 0, &guest, &error), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error.text, "another release"));
	memset(text, 0, 16);
	ck_assert_int_eq(linux_open(&kernel.source, NULL, 0, &guest, &error), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error.text, "no Linux kernel"));
	ck_assert_int_eq(linux_open(&kernel.source,
				    "OSRELEASE=1\nNUMBER(phys_base)=0\nSYMBOL(init_top_pgt)=0\n"
				    "NUMBER(sme_mask)=140737488355328\n",
				    88, &guest, &error),
			 -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(error.text, "encrypted"));
}
END_TEST

START_TEST(names_are_written_as_the_kernel_does)
{
	char text[LINUX_NAME_BYTES];
	uint64_t address;

	make(0);
	ck_assert(linux_symbol(guest, "work", &address));
	ck_assert_uint_eq(address, SMALL_STEXT + 0x100);
	ck_assert(!linux_symbol(guest, "nothing_of_the_kind", &address));
	ck_assert_str_eq(linux_address_name(guest, SMALL_STEXT + 0x1ff, text), "work+0xff/0x100");
	ck_assert_str_eq(linux_address_name(guest, 0x1234, text), "0x1234");
	close_guest();
}
END_TEST

/* ---- areas ---- */

static unsigned int printed;

static int same_line(void *context, const char *line, const struct linux_area *area)
{
	ck_assert_uint_lt(printed, kernel.nr_lines);
	ck_assert_str_eq(line, kernel.lines[printed++]);
	return 0;
}

START_TEST(areas_are_printed_line_for_line)
{
	struct linux_space space;
	struct error error = {""};

	make(_i);
	ck_assert_msg(linux_space_read(guest, &space, &error) == 0, "%s", error.text);
	printed = 0;
	ck_assert_int_eq(linux_areas_print(guest, &space, same_line, NULL), 0);
	ck_assert_uint_eq(printed, kernel.nr_lines);
	linux_space_free(&space);
	close_guest();
}
END_TEST

START_TEST(the_state_has_the_tree_in_shape)
{
	struct linux_space space;
	struct error error = {""};
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	make(_i);
	ck_assert_int_eq(linux_space_read(guest, &space, &error), 0);
	ck_assert_msg(linux_state_write(guest, &space, out, &error) == 0, "%s", error.text);
	fclose(out);
	ck_assert_ptr_nonnull(strstr(text, "\nfree 0 . b 0x"));
	ck_assert_ptr_nonnull(strstr(text, "\nfree 1 l b 0x"));
	ck_assert_ptr_nonnull(strstr(text, "\nlazy 0 0xffffc90000033000 0xffffc90000034000 -\n"));
	ck_assert_str_eq(text + bytes - 4, "end\n");
	free(text);
	linux_space_free(&space);
	/* While the lock is held it is no state. */
	small_kernel_set(&kernel, kernel.free_lock, 1);
	ck_assert_int_eq(linux_space_read(guest, &space, &error), 0);
	ck_assert_int_eq(linux_state_write(guest, &space, stdout, &error), -EBUSY);
	ck_assert_ptr_nonnull(strstr(error.text, "free_vmap_area_lock"));
	linux_space_free(&space);
	close_guest();
}
END_TEST

/* ---- the audit ---- */

static struct linux_audit audit;

static void run_audit(bool live)
{
	const struct linux_audit_options options = {.live = live};
	struct error error = {""};

	linux_refresh(guest);
	ck_assert_msg(linux_audit_run(guest, &options, &audit, &error) == 0, "%s", error.text);
}

static uint64_t verdicts(enum linux_check check, enum linux_verdict verdict)
{
	return audit.sum[check].verdicts[verdict];
}

START_TEST(a_quiet_kernel_has_no_findings)
{
	make(_i);
	run_audit(false);
	for (size_t i = 0; i < audit.nr_findings; i++)
		ck_abort_msg("%s", audit.finding[i].text);
	for (unsigned int i = 0; i < LINUX_NR_CHECKS; i++)
		ck_assert(audit.sum[i].compared > 0 || i == LINUX_CHECK_MODULES);
	linux_audit_free(&audit);
	close_guest();
}
END_TEST

START_TEST(a_held_lock_makes_it_in_update)
{
	uint64_t at;

	make(_i);
	at = kernel.first_free + guest->types.vmap_area_vm;
	small_kernel_set(&kernel, at, small_kernel_get(&kernel, at) + 4096);
	run_audit(false);
	ck_assert_uint_gt(verdicts(LINUX_CHECK_FREE_TREE, LINUX_ALARM), 0);
	linux_audit_free(&audit);
	small_kernel_set(&kernel, kernel.free_lock, 1);
	run_audit(false);
	ck_assert_uint_eq(linux_audit_alarms(&audit), 0);
	ck_assert_uint_gt(verdicts(LINUX_CHECK_FREE_TREE, LINUX_IN_UPDATE), 0);
	ck_assert_str_eq(audit.locks, "free_vmap_area_lock");
	linux_audit_free(&audit);
	close_guest();
}
END_TEST

START_TEST(space_of_no_list_is_an_alarm_when_it_stays)
{
	struct linux_audit before;
	uint64_t at;

	make(_i);
	/* The area that waits to be purged has left its list, as a purge takes it. */
	at = kernel.first_area + guest->types.vmap_area_va_end;
	small_kernel_set(&kernel, at, small_kernel_get(&kernel, at) - 4096);
	at = kernel.first_vm + guest->types.vm_struct_size;
	small_kernel_set(&kernel, at, small_kernel_get(&kernel, at) - 4096);
	run_audit(false);
	ck_assert_uint_eq(verdicts(LINUX_CHECK_FREE_TREE, LINUX_ALARM), 0);
	ck_assert_uint_eq(verdicts(LINUX_CHECK_FREE_TREE, LINUX_IN_TRANSIT), 1);
	before = audit;
	ck_assert_uint_eq(linux_audit_follow(&audit, &(struct linux_audit){.nr_findings = 0}), 1);
	run_audit(false);
	ck_assert_uint_eq(linux_audit_follow(&audit, &before), 2);
	linux_audit_confirm(&audit, 3);
	ck_assert_uint_eq(verdicts(LINUX_CHECK_FREE_TREE, LINUX_ALARM), 0);
	linux_audit_confirm(&audit, 2);
	ck_assert_uint_eq(verdicts(LINUX_CHECK_FREE_TREE, LINUX_ALARM), 1);
	ck_assert_uint_eq(verdicts(LINUX_CHECK_FREE_TREE, LINUX_IN_TRANSIT), 0);
	linux_audit_free(&audit);
	/* What else is in transit now was not so before. */
	at = kernel.lazy_nr;
	small_kernel_set(&kernel, at, 2);
	run_audit(false);
	ck_assert_uint_eq(linux_audit_follow(&audit, &before), 2);
	linux_audit_confirm(&audit, 2);
	ck_assert_uint_eq(verdicts(LINUX_CHECK_FREE_TREE, LINUX_IN_TRANSIT), 1);
	linux_audit_free(&before);
	linux_audit_free(&audit);
	close_guest();
}
END_TEST

START_TEST(a_live_look_makes_no_alarm_alone)
{
	make(_i);
	*small_kernel_entry(&kernel, SMALL_VMALLOC) = 0;
	run_audit(true);
	ck_assert_uint_eq(linux_audit_alarms(&audit), 0);
	ck_assert_uint_eq(verdicts(LINUX_CHECK_MAPPING, LINUX_IN_TRANSIT), 1);
	linux_audit_free(&audit);
	run_audit(false);
	ck_assert_uint_eq(verdicts(LINUX_CHECK_MAPPING, LINUX_ALARM), 1);
	linux_audit_free(&audit);
	close_guest();
}
END_TEST

START_TEST(wx_is_judged_when_the_kernel_runs)
{
	make(_i);
	*small_kernel_entry(&kernel, SMALL_VMALLOC) &= ~(1ull << 63);
	run_audit(false);
	ck_assert_uint_eq(verdicts(LINUX_CHECK_WX, LINUX_ALARM), 1);
	linux_audit_free(&audit);
	small_kernel_set(&kernel, kernel.state, 1);
	run_audit(false);
	ck_assert_uint_eq(verdicts(LINUX_CHECK_WX, LINUX_ALARM), 0);
	ck_assert_uint_eq(audit.exceptions[LINUX_EXCEPT_BOOTING], 1);
	linux_audit_free(&audit);
	close_guest();
}
END_TEST

/* ---- frames ---- */

static struct linux_space frames_space;
static struct linux_zones frames_zones;

static void open_frames(int nodes)
{
	struct error error = {""};

	make(nodes);
	ck_assert_msg(linux_space_read(guest, &frames_space, &error) == 0, "%s", error.text);
	ck_assert_msg(linux_zones_read(guest, &frames_zones, &error) == 0, "%s", error.text);
}

static void close_frames(void)
{
	linux_zones_free(&frames_zones);
	linux_space_free(&frames_space);
	close_guest();
}

static struct linux_frame look_at(uint64_t pfn)
{
	struct linux_frame frame;
	struct error error = {""};

	ck_assert_msg(linux_frame(guest, &frames_space, &frames_zones, pfn, &frame, &error) == 0,
		      "%s", error.text);
	ck_assert_uint_eq(frame.pfn, pfn);
	return frame;
}

START_TEST(each_frame_is_of_one_state)
{
	uint64_t counts[LINUX_FRAME_STATES], sum = 0, free_pfn = SMALL_PAGES - 8, listed;
	struct linux_frame frame;
	struct error error;

	open_frames(_i);
	ck_assert_uint_eq(frames_zones.count, 1);
	ck_assert_str_eq(frames_zones.zone[0].name, "Small");
	ck_assert_uint_eq(frames_zones.zone[0].node, _i ? 1 : 0);
	listed = frames_zones.zone[0].listed_free;
	ck_assert_uint_eq(listed, SMALL_PAGES - kernel.next_frame / 4096);
	ck_assert_int_eq(
		linux_frames_count(guest, &frames_space, &frames_zones.zone[0], counts, &error), 0);
	ck_assert_uint_eq(counts[LINUX_FRAME_FREE], listed);
	ck_assert_uint_eq(counts[LINUX_FRAME_VMALLOC], kernel.nr_area_frames);
	for (unsigned int s = 0; s < LINUX_FRAME_STATES; s++)
		sum += counts[s];
	ck_assert_uint_eq(sum, SMALL_PAGES);

	/* The last frame of a block bears no mark of its own. */
	frame = look_at(free_pfn + 7);
	ck_assert_int_eq(frame.state, LINUX_FRAME_FREE);
	ck_assert_uint_eq(frame.head_pfn, free_pfn);
	ck_assert_uint_eq(frame.order, 3);
	frame = look_at(kernel.area_frame[3]);
	ck_assert_int_eq(frame.state, LINUX_FRAME_VMALLOC);
	ck_assert(frame.has_area && frame.area_page == 1);
	ck_assert_uint_eq(frame.area.start, SMALL_VMALLOC + 0x10000);
	frame = look_at(0);
	ck_assert_int_eq(frame.state, LINUX_FRAME_RESERVED);
	ck_assert_str_eq(frame.flag_names, "reserved");
	ck_assert_int_eq(linux_frame(guest, &frames_space, &frames_zones, SMALL_PAGES + 100000,
				     &frame, &error),
			 -ENOENT);
	close_frames();
}
END_TEST

START_TEST(states_are_told_apart)
{
	uint64_t pfn = 5;
	const struct {
		uint64_t flags;
		uint32_t type, references;
		uint64_t mapping;
		enum linux_frame_state state;
	} rows[] = {
		{0, UINT32_MAX, 0, 0, LINUX_FRAME_UNREFERENCED},
		{0, UINT32_MAX, 1, 0, LINUX_FRAME_KERNEL},
		{0, 0, 2, 0xffff888000001001, LINUX_FRAME_ANON},
		{0, 0, 2, 0xffff888000001000, LINUX_FRAME_FILE},
		{0, _i ? 0xf2000000u : ~0x200u, 1, 0, LINUX_FRAME_TABLE},
		{_i ? 0 : 1u << 5, _i ? 0xf5000000u : UINT32_MAX, 1, 0, LINUX_FRAME_SLAB},
	};
	struct linux_frame frame;

	open_frames(_i);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		small_kernel_page_set(&kernel, pfn, rows[i].flags, rows[i].type,
				      rows[i].references);
		small_kernel_set(&kernel, small_kernel_page(pfn) + guest->types.page_mapping,
				 rows[i].mapping);
		ck_assert_msg(look_at(pfn).state == rows[i].state, "row %zu is %s", i,
			      linux_frame_state_name(look_at(pfn).state));
		/* A tail is what its head is. */
		small_kernel_page_set(&kernel, pfn + 1, 0, UINT32_MAX, 0);
		small_kernel_set(&kernel,
				 small_kernel_page(pfn + 1) + guest->types.page_compound_head,
				 small_kernel_page(pfn) + 1);
		frame = look_at(pfn + 1);
		ck_assert_int_eq(frame.state, rows[i].state);
		ck_assert_uint_eq(frame.head_pfn, pfn);
	}
	close_frames();
}
END_TEST

/* Changes one thing of the frames, and expects @alarms of the check frames. */
static void expect_alarms(uint64_t alarms)
{
	run_audit(false);
	ck_assert_uint_eq(verdicts(LINUX_CHECK_FRAMES, LINUX_ALARM), alarms);
	linux_audit_free(&audit);
}

START_TEST(frames_of_areas_are_theirs_alone)
{
	uint64_t pfn, pages;

	make(_i);
	pfn = kernel.area_frame[2];
	expect_alarms(0);
	small_kernel_page_set(&kernel, pfn, 0, UINT32_MAX, 0);
	expect_alarms(1);
	small_kernel_page_set(&kernel, pfn, _i ? 0 : 1u << 5, _i ? 0xf5000000u : UINT32_MAX, 1);
	expect_alarms(1);
	small_kernel_page_set(&kernel, pfn, 0, UINT32_MAX, 1);
	expect_alarms(0);
	small_kernel_free_block(&kernel, pfn, 0);
	expect_alarms(1);
	small_kernel_page_set(&kernel, pfn, 0, UINT32_MAX, 1);
	/* Two areas on one frame. */
	pages = small_kernel_get(&kernel, kernel.first_vm + guest->types.vm_struct_pages);
	small_kernel_set(&kernel, pages, small_kernel_page(pfn));
	expect_alarms(1);
	close_guest();
}
END_TEST

START_TEST(a_zone_that_miscounts_is_seen)
{
	make(_i);
	small_kernel_free_block(&kernel, SMALL_PAGES - 8, 3); /* counted a second time */
	run_audit(false);
	ck_assert_uint_eq(verdicts(LINUX_CHECK_FRAMES, LINUX_IN_TRANSIT), 1);
	linux_audit_free(&audit);
	small_kernel_set(&kernel, kernel.zone + guest->types.zone_lock - 4, 1ull << 32);
	run_audit(false);
	ck_assert_uint_eq(verdicts(LINUX_CHECK_FRAMES, LINUX_IN_UPDATE), 1);
	linux_audit_free(&audit);
	close_guest();
}
END_TEST

/* ---- hostile memory ---- */

static int ignore_line(void *context, const char *line, const struct linux_area *area)
{
	return 0;
}

static int ignore_block(void *context, const struct linux_block *block)
{
	return 0;
}

/* Everything that can be asked of it; whatever comes, it ends. */
static void ask_all(void)
{
	struct linux_space space;
	struct error error = {""};
	const struct linux_audit_options options = {.checks = 0};
	FILE *out = fopen("/dev/null", "we");

	if (linux_open(&kernel.source, kernel.vmcoreinfo, strlen(kernel.vmcoreinfo), &guest,
		       &error)) {
		ck_assert(error.text[0]);
		fclose(out);
		return;
	}
	if (linux_space_read(guest, &space, &error) == 0) {
		struct linux_zones zones = {.zone = NULL};
		struct linux_frame frame;

		linux_zones_read(guest, &zones, &error);
		for (uint64_t pfn = 0; pfn < SMALL_PAGES; pfn += 37)
			linux_frame(guest, &space, &zones, pfn, &frame, &error);
		linux_zones_free(&zones);
		linux_areas_print(guest, &space, ignore_line, NULL);
		linux_state_write(guest, &space, out, &error);
		linux_space_free(&space);
	}
	if (linux_audit_run(guest, &options, &audit, &error) == 0)
		linux_audit_free(&audit);
	linux_blocks(guest, ignore_block, NULL, &error);
	close_guest();
	fclose(out);
}

START_TEST(lists_that_loop_end)
{
	struct linux_space space;
	uint64_t entry, next;
	struct error error;

	make(_i);
	entry = small_kernel_get(&kernel, kernel.free_head);
	next = small_kernel_get(&kernel, entry);
	small_kernel_set(&kernel, next, entry);
	ck_assert_int_eq(linux_space_read(guest, &space, &error), 0);
	ck_assert_str_eq(space.list[space.nr_lists - 1].broken, "prev is not the one before");
	ck_assert_uint_eq(space.list[space.nr_lists - 1].count, 2);
	linux_space_free(&space);
	close_guest();
}
END_TEST

START_TEST(kallsyms_cut_short_are_missed)
{
	make(0);
	close_guest();
	/* A length that leads out of the image. */
	for (unsigned int i = 0; i < 64; i++)
		small_kernel_set(&kernel, kernel.names + 8 * i, UINT64_MAX);
	find();
	ck_assert_uint_eq(linux_facts(guest)->nr_symbols, 0);
	ck_assert_ptr_nonnull(strstr(linux_facts(guest)->missing, "no symbols"));
	close_guest();
}
END_TEST

START_TEST(btf_that_lies_is_survived)
{
	unsigned int seed = 20261130;

	for (int i = 0; i < 300; i++) {
		size_t at;

		small_kernel_make(&kernel, i & 1);
		at = (size_t)rand_r(&seed) % kernel.btf_bytes & ~7ull;
		small_kernel_set(&kernel, kernel.btf + at,
				 (uint64_t)rand_r(&seed) << (rand_r(&seed) & 31));
		ask_all();
	}
}
END_TEST

START_TEST(memory_that_lies_is_survived)
{
	unsigned int seed = 20261201;

	for (int i = 0; i < 300; i++) {
		small_kernel_make(&kernel, i & 1);
		for (int n = 0; n < 40; n++) {
			size_t at = (size_t)rand_r(&seed) % sizeof(kernel.memory) & ~7ull;
			size_t from = (size_t)rand_r(&seed) % sizeof(kernel.memory) & ~7ull;

			memcpy(kernel.memory + at, kernel.memory + from, 8);
		}
		ask_all();
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("linux");
	TCase *cases = tcase_create("linux");

	tcase_set_timeout(cases, 120);
	tcase_add_loop_test(cases, it_is_found_by_note_and_by_scan, 0, 2);
	tcase_add_test(cases, what_does_not_hold_is_not_believed);
	tcase_add_test(cases, names_are_written_as_the_kernel_does);
	tcase_add_loop_test(cases, areas_are_printed_line_for_line, 0, 2);
	tcase_add_loop_test(cases, the_state_has_the_tree_in_shape, 0, 2);
	tcase_add_loop_test(cases, a_quiet_kernel_has_no_findings, 0, 2);
	tcase_add_loop_test(cases, a_held_lock_makes_it_in_update, 0, 2);
	tcase_add_loop_test(cases, space_of_no_list_is_an_alarm_when_it_stays, 0, 2);
	tcase_add_loop_test(cases, a_live_look_makes_no_alarm_alone, 0, 2);
	tcase_add_loop_test(cases, wx_is_judged_when_the_kernel_runs, 0, 2);
	tcase_add_loop_test(cases, each_frame_is_of_one_state, 0, 2);
	tcase_add_loop_test(cases, states_are_told_apart, 0, 2);
	tcase_add_loop_test(cases, frames_of_areas_are_theirs_alone, 0, 2);
	tcase_add_loop_test(cases, a_zone_that_miscounts_is_seen, 0, 2);
	tcase_add_loop_test(cases, lists_that_loop_end, 0, 2);
	tcase_add_test(cases, kallsyms_cut_short_are_missed);
	tcase_add_test(cases, btf_that_lies_is_survived);
	tcase_add_test(cases, memory_that_lies_is_survived);
	suite_add_tcase(suite, cases);
	return harness_run(suite);
}
