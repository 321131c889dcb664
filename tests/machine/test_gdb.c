/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gdb stub on a real guest: who stops where and why, on every engine. */
#include <errno.h>

#include "tests/machine/gdb_client.h"

static void begin(void)
{
	const struct guest_config config = {.engine = harness_engine(),
					    .memory_bytes = 32ull << 20,
					    .nr_vcpus = 2,
					    /* It would bite in any test but for the debugger. */
					    .watchdog_seconds = 0.2};

	gdb_begin_with(&config);
}

static void is(const char *text, const char *expected)
{
	ck_assert_str_eq(gdb_ask("%s", text), expected);
}

static void begins(const char *text, const char *expected)
{
	ck_assert_msg(strncmp(text, expected, strlen(expected)) == 0, "'%s' instead of '%s'", text,
		      expected);
}

static void stops(const char *expected)
{
	ck_assert(gdb_listen());
	begins(gdb_heard.bytes, expected);
}

/* To the begin of op_vmalloc() on vCPU 0. */
static void run_to_vmalloc(struct gdb_call *call)
{
	uint64_t at = gdb_symbol("op_vmalloc");

	is((gdb_call_begin(call, 0, NB_OP_VMALLOC), "?"), "T05thread:p1.1;");
	ck_assert_str_eq(gdb_ask("Z0,%lx,1", at), "OK");
	gdb_say("vCont;c");
	stops("T05thread:p1.1;swbreak:;");
	ck_assert_uint_eq(gdb_register(GDB_RIP), at);
	ck_assert_str_eq(gdb_ask("z0,%lx,1", at), "OK");
}

static void go_on(struct gdb_call *call)
{
	gdb_say("vCont;c");
	gdb_call_end(call);
}

/* ---- looking ---- */

START_TEST(registers_and_memory_are_the_guests)
{
	uint64_t at = gdb_symbol("op_vmalloc");
	char bytes[8], text[17];

	is("qfThreadInfo", "mp1.1,p1.2");
	ck_assert_uint_eq(gdb_register(GDB_CR3), guest_boot(gdb_guest)->root.value);
	ck_assert_int_eq(guest_read(gdb_guest, gva_make(at), bytes, sizeof(bytes)), 0);
	for (int i = 0; i < 8; i++)
		sprintf(text + 2 * i, "%02x", (uint8_t)bytes[i]);
	ck_assert_str_eq(gdb_ask("m%lx,8", at), text);
	is("m10,4", "E14");
	is("m7fffffffffffff,4", "E14");
	/* A read that runs into what is not mapped stops there. */
	ck_assert(guest_held_by_debugger(gdb_guest));
	ck_assert_int_eq(gpa_space_read(guest_space(gdb_guest), gpa_make(0x2000), bytes, 4), 0);
	for (int i = 0; i < 4; i++)
		sprintf(text + 2 * i, "%02x", (uint8_t)bytes[i]);
	is("Qqemu.PhyMemMode:1", "OK");
	is("m2000,4", text);
	is("mffffffff000,4", "E14");
	is("Qqemu.PhyMemMode:0", "OK");
	is("m2000,4", "E14");
}
END_TEST

START_TEST(what_is_written_is_there)
{
	uint64_t data = NB_DIRECT_BASE + guest_boot(gdb_guest)->info.area_gpa[1] +
			offsetof(struct nb_vcpu_area, data);

	ck_assert_str_eq(gdb_ask("M%lx,4:0badcafe", data), "OK");
	ck_assert_str_eq(gdb_ask("m%lx,4", data), "0badcafe");
	ck_assert_mem_eq(guest_data(gdb_guest, 1), "\x0b\xad\xca\xfe", 4);
	is("Hgp1.2", "OK");
	is("P1=0102030405060708", "OK");
	ck_assert_uint_eq(gdb_register(1), 0x0807060504030201);
	is("P1=0000000000000000", "OK");
	is("P1a=1100000000000000", "OK"); /* k_gs_base */
	ck_assert_uint_eq(gdb_register(26), 0x11);
	is("P1a=0000000000000000", "OK");
}
END_TEST

/* ---- stopping ---- */

START_TEST(a_breakpoint_is_hit_and_shows_in_no_memory)
{
	struct gdb_call call;
	uint64_t at = gdb_symbol("op_vmalloc"), before;
	char bytes[17];

	strcpy(bytes, gdb_ask("m%lx,8", at));
	run_to_vmalloc(&call);
	ck_assert_str_eq(gdb_ask("Z0,%lx,1", at), "OK");
	ck_assert_str_eq(gdb_ask("Z0,%lx,1", at), "OK"); /* it is there already */
	ck_assert_str_eq(gdb_ask("m%lx,8", at), bytes);
	/* What is written under it is there when it goes. */
	ck_assert_str_eq(gdb_ask("M%lx,1:%.2s", at, bytes), "OK");
	ck_assert_str_eq(gdb_ask("z0,%lx,1", at), "OK");
	ck_assert_str_eq(gdb_ask("m%lx,8", at), bytes);
	before = gdb_register(GDB_RIP);
	gdb_say("vCont;s:p1.1");
	stops("T05thread:p1.1;");
	ck_assert_uint_gt(gdb_register(GDB_RIP), before);
	ck_assert_uint_lt(gdb_register(GDB_RIP), before + 16);
	go_on(&call);
}
END_TEST

START_TEST(one_of_many_breakpoints_is_hit)
{
	static const char *const never[] = {"op_vfree",   "op_nop",       "op_vmalloc_to_page",
					    "vmalloc_32", "vmalloc_exec", "vmalloc_user"};
	struct gdb_call call;

	for (size_t i = 0; i < 6; i++)
		ck_assert_str_eq(gdb_ask("Z0,%lx,1", gdb_symbol(never[i])), "OK");
	run_to_vmalloc(&call);
	is("Z0,10,1", "E14");
	go_on(&call);
}
END_TEST

/* The result's word is written once; the first argument is read first. */
START_TEST(watched_words_stop_who_touches_them)
{
	struct gdb_call call;
	uint64_t arg, result;

	run_to_vmalloc(&call);
	arg = gdb_register(GDB_RSI);
	result = gdb_register(GDB_RDX);
	ck_assert_str_eq(gdb_ask("Z2,%lx,8", arg), "OK"); /* nobody writes there */
	ck_assert_str_eq(gdb_ask("Z3,%lx,8", arg), "OK");
	gdb_say("vCont;c");
	ck_assert(gdb_listen());
	ck_assert_msg(strstr(gdb_heard.bytes, "rwatch:") != NULL, "%s", gdb_heard.bytes);
	ck_assert_str_eq(gdb_ask("z2,%lx,8", arg), "OK");
	ck_assert_str_eq(gdb_ask("z3,%lx,8", arg), "OK");
	ck_assert_str_eq(gdb_ask("Z2,%lx,8", result), "OK");
	gdb_say("vCont;c");
	ck_assert(gdb_listen());
	ck_assert_msg(strstr(gdb_heard.bytes, ";watch:") != NULL, "%s", gdb_heard.bytes);
	/* It has been written. */
	ck_assert_str_eq(gdb_ask("m%lx,8", result), "0000000000c9ffff");
	go_on(&call);
	ck_assert_uint_eq(call.answer.result[0], NB_VMALLOC_START);
}
END_TEST

START_TEST(there_are_four_debug_registers_or_none_are_needed)
{
	uint64_t data = NB_DIRECT_BASE + guest_boot(gdb_guest)->info.area_gpa[0];
	bool looks = guest_kvm_host(gdb_guest)->emulates_cpl0;

	for (unsigned int i = 0; i < 4; i++)
		ck_assert_str_eq(gdb_ask("Z4,%lx,8", data + 8 * i), "OK");
	ck_assert_str_eq(gdb_ask("Z4,%lx,8", data + 64), looks ? "OK" : "E28");
	ck_assert_str_eq(gdb_ask("z4,%lx,8", data), "OK");
	ck_assert_str_eq(gdb_ask("z4,%lx,8", data), "OK"); /* it is gone already */
	/* Three bytes that are not aligned are two registers. */
	ck_assert_str_eq(gdb_ask("Z2,%lx,3", data + 65), looks ? "OK" : "E28");
	ck_assert_str_eq(gdb_ask("Z2,%lx,2", data + 66), "OK");
}
END_TEST

START_TEST(a_range_is_stepped_to_its_end)
{
	struct gdb_call call;
	uint64_t at;

	run_to_vmalloc(&call);
	at = gdb_register(GDB_RIP);
	gdb_say("vCont;s:p1.1;c");
	stops("T05thread:p1.1;");
	gdb_say((snprintf(gdb_heard.bytes, 64, "vCont;r%lx,%lx:p1.1", at, at + 10),
		 gdb_heard.bytes));
	stops("T05thread:p1.1;");
	ck_assert(gdb_register(GDB_RIP) < at || gdb_register(GDB_RIP) >= at + 10);
	go_on(&call);
}
END_TEST

/* ---- who waits for whom ---- */

START_TEST(a_call_waits_for_the_debugger_and_no_watchdog_bites)
{
	const struct timespec long_time = {.tv_nsec = 500000000};
	struct gdb_call call;

	gdb_call_begin(&call, 1, NB_OP_VMALLOC);
	nanosleep(&long_time, NULL);
	ck_assert_ptr_null(guest_failure(gdb_guest));
	ck_assert(guest_is_debugged(gdb_guest));
	go_on(&call);
	ck_assert(!guest_held_by_debugger(gdb_guest));
}
END_TEST

START_TEST(ctrl_c_stops_a_guest_that_runs)
{
	gdb_say("vCont;c");
	ck_assert_int_eq(send(gdb_fd, "\003", 1, 0), 1);
	stops("T02thread:p1.");
	ck_assert(guest_held_by_debugger(gdb_guest));
	/* A pause of the service's is another matter, and stays. */
	ck_assert_int_eq(guest_pause(gdb_guest), 0);
	gdb_say("vCont;c");
	ck_assert_int_eq(send(gdb_fd, "\003", 1, 0), 1);
	stops("T02");
	guest_resume(gdb_guest);
	ck_assert(guest_held_by_debugger(gdb_guest));
}
END_TEST

START_TEST(a_client_that_vanishes_lets_the_guest_go_on)
{
	struct gdb_call call;
	uint64_t at = gdb_symbol("op_vmalloc");

	run_to_vmalloc(&call);
	ck_assert_str_eq(gdb_ask("Z0,%lx,1", at + 1), "OK");
	close(gdb_fd);
	gdb_call_end(&call);
	gdb_call_begin(&call, 0, NB_OP_VMALLOC);
	gdb_call_end(&call);
	ck_assert(!guest_is_debugged(gdb_guest));
	gdb_connect();
	is("?", "T05thread:1;");
}
END_TEST

START_TEST(a_second_client_is_sent_away)
{
	int first = gdb_fd;
	char byte;

	gdb_connect();
	ck_assert_int_eq(recv(gdb_fd, &byte, 1, 0), 0);
	close(gdb_fd);
	gdb_fd = first;
	is("?", "T05thread:p1.1;");
	is("D;1", "OK");
	ck_assert(!gdb_listen());
	close(gdb_fd);
	gdb_connect();
	is("?", "T05thread:1;");
}
END_TEST

START_TEST(a_guest_that_dies_is_looked_at)
{
	struct gdb_call call;

	gdb_call_begin(&call, 1, NB_OP_TEST_UD);
	gdb_say("vCont;c");
	stops("T06thread:p1.2;");
	pthread_join(call.thread, NULL);
	ck_assert_int_eq(call.err, -ENOTRECOVERABLE);
	ck_assert_uint_gt(gdb_register(GDB_RIP), NB_DIRECT_BASE);
	is("vCont;c", "X06;process:1");
	ck_assert(!gdb_listen());
}
END_TEST

START_TEST(killing_is_the_guests_end)
{
	gdb_say("k");
	ck_assert(!gdb_listen());
	ck_assert_str_eq(guest_failure(gdb_guest)->text, "killed by gdb");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("gdb");
	TCase *tests = tcase_create("stub");
	int skip = harness_need_kvm();

	if (skip)
		return skip;
	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, begin, gdb_end);
	tcase_add_test(tests, registers_and_memory_are_the_guests);
	tcase_add_test(tests, what_is_written_is_there);
	tcase_add_test(tests, a_breakpoint_is_hit_and_shows_in_no_memory);
	tcase_add_test(tests, one_of_many_breakpoints_is_hit);
	tcase_add_test(tests, watched_words_stop_who_touches_them);
	tcase_add_test(tests, there_are_four_debug_registers_or_none_are_needed);
	tcase_add_test(tests, a_range_is_stepped_to_its_end);
	tcase_add_test(tests, a_call_waits_for_the_debugger_and_no_watchdog_bites);
	tcase_add_test(tests, ctrl_c_stops_a_guest_that_runs);
	tcase_add_test(tests, a_client_that_vanishes_lets_the_guest_go_on);
	tcase_add_test(tests, a_second_client_is_sent_away);
	tcase_add_test(tests, a_guest_that_dies_is_looked_at);
	tcase_add_test(tests, killing_is_the_guests_end);
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
