/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets in pieces and broken, and what each command asks of a target and answers. */
#include "tests/harness.h"
#include "tests/vmm/gdb/fake_target.h"

static struct fake fake;
static struct gdb_target target;
static struct gdb_session session;
static struct gdb_answer answer;
static struct gdb_reader reader;

static void setup(void)
{
	const struct debug_stop stop = {.reason = DEBUG_ASKED, .vcpu = 0};

	memset(&fake, 0, sizeof(fake));
	memset(&reader, 0, sizeof(reader));
	for (unsigned int i = 0; i < FAKE_BYTES; i++)
		fake.memory[i] = (uint8_t)i;
	target = fake_target(&fake);
	gdb_session_begin(&session, &target, &stop);
}

static enum gdb_next say(const char *text)
{
	return gdb_session_packet(&session, text, strlen(text), &answer);
}

static void says(const char *text, const char *expected)
{
	ck_assert_int_eq(say(text), GDB_SEND);
	ck_assert_msg(answer.size == strlen(expected) &&
			      memcmp(answer.bytes, expected, answer.size) == 0,
		      "%s: '%.*s' instead of '%s'", text, (int)answer.size, answer.bytes, expected);
}

static void runs(const char *text)
{
	const struct debug_stop stop = {.reason = DEBUG_STEPPED, .vcpu = 1};

	ck_assert_int_eq(say(text), GDB_WAIT);
	says("g", "E16");
	answer.size = 0;
	gdb_session_stopped(&session, &stop, &answer);
}

/* ---- the reader ---- */

static enum gdb_event feed(const char *bytes, size_t size, size_t *taken_out)
{
	enum gdb_event event;

	*taken_out = gdb_reader_feed(&reader, bytes, size, &event);
	return event;
}

START_TEST(a_packet_comes_in_pieces_of_any_size)
{
	static const char stream[] = "++$m10000,4#be\003-$X10000,2:}\003}]#3b";
	enum gdb_event event;
	size_t taken;

	for (size_t piece = 1; piece < sizeof(stream); piece++) {
		enum gdb_event seen[4] = {0};
		unsigned int nr = 0;

		for (size_t at = 0; at < sizeof(stream) - 1; at += taken) {
			size_t left = sizeof(stream) - 1 - at;

			event = feed(stream + at, left < piece ? left : piece, &taken);
			if (event == GDB_MORE)
				continue;
			ck_assert_uint_lt(nr, 4);
			if (nr == 0)
				ck_assert_str_eq(reader.bytes, "m10000,4");
			seen[nr++] = event;
		}
		ck_assert_uint_eq(nr, 4);
		ck_assert_int_eq(seen[0], GDB_PACKET);
		ck_assert_int_eq(seen[1], GDB_INTERRUPT);
		ck_assert_int_eq(seen[2], GDB_NACK);
		ck_assert_int_eq(seen[3], GDB_PACKET);
		ck_assert_uint_eq(reader.size, strlen("X10000,2:") + 2);
		ck_assert_mem_eq(reader.bytes, "X10000,2:#}", reader.size);
	}
}
END_TEST

START_TEST(what_is_broken_is_said_and_the_next_is_heard)
{
	static const char *const broken[] = {"$g#66", "$g#zz", "$g#6z", "$g}#e4"};
	size_t taken;

	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(feed(broken[i], strlen(broken[i]), &taken), GDB_BAD);
		ck_assert_int_eq(feed("z$g#67", 6, &taken), GDB_PACKET);
		ck_assert_str_eq(reader.bytes, "g");
	}
	/* Nothing is escaped by an escape at the end; a '$' begins anew. */
	ck_assert_int_eq(feed(broken[3], strlen(broken[3]), &taken), GDB_BAD);
	ck_assert_int_eq(feed("$g$", 3, &taken), GDB_MORE);
	ck_assert_int_eq(feed("?#3f", 4, &taken), GDB_PACKET);
	ck_assert_str_eq(reader.bytes, "?");
}
END_TEST

START_TEST(a_packet_longer_than_any_is_refused_and_the_longest_is_taken)
{
	static char stream[2 * GDB_PACKET_MAX];
	uint8_t sum = 0;
	size_t taken, at = 0;

	stream[at++] = '$';
	for (size_t i = 0; i < GDB_PACKET_MAX; i++, sum += 'a')
		stream[at++] = 'a';
	snprintf(stream + at, 8, "#%02x", sum);
	ck_assert_int_eq(feed(stream, at + 3, &taken), GDB_PACKET);
	ck_assert_uint_eq(reader.size, GDB_PACKET_MAX);
	stream[at++] = 'a';
	sum += 'a';
	snprintf(stream + at, 8, "#%02x", sum);
	ck_assert_int_eq(feed(stream, at + 3, &taken), GDB_BAD);
	ck_assert_int_eq(feed("$g#67", 5, &taken), GDB_PACKET);
}
END_TEST

START_TEST(an_answer_is_framed_with_escapes_and_its_sum)
{
	static char frame[GDB_FRAME_MAX];
	size_t size, taken;

	answer.size = 0;
	answer.full = false;
	gdb_answer_bytes(&answer, "a#b$c}d*e\0f", 11);
	size = gdb_frame(&answer, frame);
	ck_assert_int_eq(feed(frame, size, &taken), GDB_PACKET);
	ck_assert_uint_eq(reader.size, 11);
	ck_assert_mem_eq(reader.bytes, "a#b$c}d*e\0f", 11);
	/* What does not fit is left out whole. */
	for (unsigned int i = 0; i < 3 * GDB_PACKET_MAX; i++)
		gdb_answer_text(&answer, "12");
	ck_assert(answer.full);
	ck_assert_uint_le(answer.size, GDB_PACKET_MAX);
	ck_assert_uint_le(gdb_frame(&answer, frame), GDB_FRAME_MAX);
}
END_TEST

/* ---- commands ---- */

START_TEST(threads_are_named_as_the_client_knows_them)
{
	says("qC", "QC1");
	says("?", "T05thread:1;");
	say("qSupported:multiprocess+;swbreak+;hwbreak+;xmlRegisters=i386");
	ck_assert(memmem(answer.bytes, answer.size, "PacketSize=4000;", 16));
	ck_assert(memmem(answer.bytes, answer.size, "ReverseStep+;ReverseContinue+", 29));
	says("?", "T05thread:p1.1;");
	says("qfThreadInfo", "mp1.1,p1.2");
	says("qsThreadInfo", "l");
	says("Hgp1.2", "OK");
	says("qC", "QCp1.2");
	says("Hg0", "OK");
	says("qC", "QCp1.1");
	says("Hcp-1.-1", "OK");
	says("Tp1.2", "OK");
	says("Tp1.3", "E22");
	says("Hgp2.1", "E22");
	says("Hgp1.9", "E22");
	says("Hx1", "E22");
	says("qThreadExtraInfo,p1.2", "76435055203120"
				      "5b68616c7465645d");
}
END_TEST

START_TEST(memory_is_read_and_written_whole_or_said_to_be_missing)
{
	says("m10000,4", "00010203");
	says("m11ffe,8", "feff");
	says("m12000,1", "E14");
	says("mffffffffffffffff,1", "E14");
	says("m10000,0", "");
	says("m10000", "E22");
	says("m,4", "E22");
	says("m123456789abcdef01,4", "E22");
	say("m10000,7fffffff");
	ck_assert_uint_eq(answer.size, GDB_PACKET_MAX);
	says("M10004,2:beef", "OK");
	says("m10003,4", "03beef06");
	says("M10004,2:be", "E22");
	says("M10004,ffffffffffffffff:be", "E22");
	says("M12000,1:00", "E14");
	ck_assert_int_eq(gdb_session_packet(&session, "X10004,3:\0#}", 12, &answer), GDB_SEND);
	ck_assert_mem_eq(fake.memory + 4, "\0#}", 3);
	says("X10004,3:ab", "E22");
	says("X10004,0:", "OK");
	ck_assert(!fake.physical);
	says("qqemu.PhyMemMode", "0");
	says("Qqemu.PhyMemMode:1", "OK");
	says("qqemu.PhyMemMode", "1");
	says("m10000,1", "00");
	ck_assert(fake.physical);
	says("Qqemu.PhyMemMode:", "E22");
}
END_TEST

START_TEST(registers_are_where_the_description_says)
{
	static char text[GDB_PACKET_MAX];
	unsigned int cr3 = 0, st0 = 0;
	size_t offset = 0, whole;
	char name[64];

	fake.registers[0].regs.rip = 0x1122334455667788;
	fake.registers[0].sregs.cr3 = 0x658000;
	fake.registers[0].sregs.cs.selector = 8;
	while (say((snprintf(name, sizeof(name), "qXfer:features:read:target.xml:%zx,3e8", offset),
		    name)) == GDB_SEND &&
	       answer.size > 1) {
		memcpy(text + offset, answer.bytes + 1, answer.size - 1);
		offset += answer.size - 1;
		if (answer.bytes[0] == 'l')
			break;
	}
	text[offset] = '\0';
	ck_assert(strstr(text, "</target>\n"));
	ck_assert(strstr(text, "org.gnu.gdb.i386.core"));
	ck_assert(sscanf(strstr(text, "\"cr3\" bitsize"),
			 "\"cr3\" bitsize=\"64\" type=\"int64\" "
			 "regnum=\"%u\"",
			 &cr3) == 1);
	ck_assert(sscanf(strstr(text, "\"st0\" "),
			 "\"st0\" bitsize=\"80\" type=\"i387_ext\" "
			 "regnum=\"%u\"",
			 &st0) == 1);
	says("p10", "8877665544332211");
	snprintf(name, sizeof(name), "p%x", cr3);
	says(name, "0080650000000000");
	says("p12", "08000000");
	/* This engine knows no x87. */
	snprintf(name, sizeof(name), "p%x", st0);
	says(name, "xxxxxxxxxxxxxxxxxxxx");
	snprintf(name, sizeof(name), "P%x=00010203040506070809", st0);
	says(name, "E22");
	says("P10=0100000000000000", "OK");
	ck_assert_uint_eq(fake.registers[0].regs.rip, 1);
	says("P12=10000000", "E22");
	says("P12=08000000", "OK");
	says("P10=01", "E22");
	says("pffff", "E22");
	says("P10", "E22");
	/* All of them, back and forth. */
	say("g");
	whole = answer.size;
	text[0] = 'G';
	memcpy(text + 1, answer.bytes, whole);
	memset(text + 1, '1', 16);
	ck_assert_int_eq(gdb_session_packet(&session, text, whole + 1, &answer), GDB_SEND);
	ck_assert_mem_eq(answer.bytes, "OK", 2);
	ck_assert_uint_eq(fake.registers[0].regs.rax, 0x1111111111111111);
	ck_assert_uint_eq(fake.registers[0].regs.rip, 1);
	ck_assert_uint_eq(fake.registers[0].sregs.cr3, 0x658000);
	says("G1", "E22");
}
END_TEST

START_TEST(points_are_set_and_ended)
{
	says("Z0,10000,1", "OK");
	ck_assert_int_eq(fake.point.kind, DEBUG_SOFTWARE);
	ck_assert_uint_eq(fake.point.address, 0x10000);
	says("Z4,10008,8", "OK");
	ck_assert_int_eq(fake.point.kind, DEBUG_ACCESS);
	ck_assert_uint_eq(fake.point.size_bytes, 8);
	says("z4,10008,8", "OK");
	ck_assert_uint_eq(fake.removed, 1);
	says("Z2,10000,fffffff", "E22");
	says("Z5,10000,1", "");
	says("Z0,10000", "E22");
	says("Z", "E22");
}
END_TEST

START_TEST(each_thread_gets_the_first_action_that_names_it)
{
	says("vCont?", "vCont;c;C;s;S;r");
	runs("vCont;s:p1.2;c");
	ck_assert_int_eq(fake.orders[0].action, DEBUG_GO);
	ck_assert_int_eq(fake.orders[1].action, DEBUG_STEP);
	runs("vCont;S05:1");
	ck_assert_int_eq(fake.orders[0].action, DEBUG_STEP);
	ck_assert_int_eq(fake.orders[1].action, DEBUG_HOLD);
	runs("vCont;r10,20:p1.1;c:p1.-1");
	ck_assert_int_eq(fake.orders[0].action, DEBUG_RANGE);
	ck_assert_uint_eq(fake.orders[0].start, 0x10);
	ck_assert_uint_eq(fake.orders[0].end, 0x20);
	ck_assert_int_eq(fake.orders[1].action, DEBUG_GO);
	says("vCont", "E22");
	says("vCont;", "E22");
	says("vCont;x", "E22");
	says("vCont;r10", "E22");
	says("vCont;c:", "E22");
	says("vCont;c:p1.7", "E22");
	says("vCont;cc", "E22");
	runs("c");
	ck_assert_int_eq(fake.orders[1].action, DEBUG_GO);
	/* The stop moved the thread that s means. */
	runs("s1234");
	ck_assert_int_eq(fake.orders[1].action, DEBUG_STEP);
	ck_assert_uint_eq(fake.registers[1].regs.rip, 0x1234);
	runs("bs");
	ck_assert_uint_eq(fake.stepped_back, 1);
	runs("bc");
	target.back = NULL;
	says("bc", "E95");
}
END_TEST

START_TEST(stops_say_why)
{
	static const struct {
		struct debug_stop stop;
		const char *text;
	} stops[] = {
		{{DEBUG_POINT, 1, {DEBUG_SOFTWARE, 1, 1}}, "T05thread:p1.2;swbreak:;"},
		{{DEBUG_POINT, 0, {DEBUG_HARDWARE, 1, 1}}, "T05thread:p1.1;hwbreak:;"},
		{{DEBUG_POINT, 0, {DEBUG_WRITE, 0xffff888000001000, 8}},
		 "T05thread:p1.1;watch:ffff888000001000;"},
		{{DEBUG_POINT, 0, {DEBUG_READ, 16, 8}}, "T05thread:p1.1;rwatch:10;"},
		{{DEBUG_POINT, 0, {DEBUG_ACCESS, 16, 8}}, "T05thread:p1.1;awatch:10;"},
		{{DEBUG_OLDEST, 0, {0}}, "T05thread:p1.1;replaylog:begin;"},
		{{DEBUG_NEWEST, 0, {0}}, "T05thread:p1.1;replaylog:end;"},
		{{DEBUG_ASKED, 0, {0}}, "T02thread:p1.1;"},
		{{DEBUG_DIED, 0, {0}}, "T06thread:p1.1;"},
	};

	say("qSupported:multiprocess+;swbreak+;hwbreak+");
	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
		ck_assert_int_eq(say("c"), GDB_WAIT);
		answer.size = 0;
		gdb_session_stopped(&session, &stops[i].stop, &answer);
		ck_assert_uint_eq(answer.size, strlen(stops[i].text));
		ck_assert_mem_eq(answer.bytes, stops[i].text, answer.size);
	}
	fake.dead = true;
	ck_assert_int_eq(say("c"), GDB_CLOSE);
	ck_assert_mem_eq(answer.bytes, "X06;process:1", 13);
}
END_TEST

START_TEST(the_rest_is_answered_too)
{
	says("qAttached", "1");
	says("qSymbol::", "OK");
	says("vMustReplyEmpty", "");
	says("qCRC:10000,4", "");
	says("nonsense", "");
	says("", "");
	says("qqemu.sstepbits", "ENABLE=1,NOIRQ=2,NOTIMER=4");
	says("qqemu.sstep", "0x7");
	says("Qqemu.sstep:5", "OK");
	says("qqemu.sstep", "0x5");
	ck_assert(!fake.blocks);
	says("Qqemu.sstep=7", "OK");
	ck_assert(fake.blocks);
	says("Qqemu.sstep:8", "E22");
	says("qRcmd,686921", "796f75207361696420686921"
			     "0a");
	says("qRcmd,6", "796f752073616964200a");
	says("qRcmd,zz", "E22");
	says("QStartNoAckMode", "OK");
	ck_assert(session.no_ack);
	ck_assert_int_eq(say("D;1"), GDB_CLOSE);
	ck_assert_mem_eq(answer.bytes, "OK", 2);
	ck_assert_int_eq(say("k"), GDB_CLOSE);
	ck_assert_uint_eq(answer.size, 0);
	ck_assert_int_eq(say("vKill;1"), GDB_CLOSE);
	ck_assert_uint_eq(fake.killed, 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("gdb");
	TCase *tests = tcase_create("session");

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, a_packet_comes_in_pieces_of_any_size);
	tcase_add_test(tests, what_is_broken_is_said_and_the_next_is_heard);
	tcase_add_test(tests, a_packet_longer_than_any_is_refused_and_the_longest_is_taken);
	tcase_add_test(tests, an_answer_is_framed_with_escapes_and_its_sum);
	tcase_add_test(tests, threads_are_named_as_the_client_knows_them);
	tcase_add_test(tests, memory_is_read_and_written_whole_or_said_to_be_missing);
	tcase_add_test(tests, registers_are_where_the_description_says);
	tcase_add_test(tests, points_are_set_and_ended);
	tcase_add_test(tests, each_thread_gets_the_first_action_that_names_it);
	tcase_add_test(tests, stops_say_why);
	tcase_add_test(tests, the_rest_is_answered_too);
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
