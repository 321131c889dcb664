/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes at all from a debugger: every packet is answered with one that can be sent, or has the
 * guest run, and a good command is heard afterwards.
 */
#include "tests/fuzz/driver.h"
#include "tests/vmm/gdb/fake_target.h"

uint64_t fuzz_runs_default = 5000;

static struct fake fake;
static struct gdb_reader reader;
static struct gdb_session session;
static struct gdb_answer answer;

/* What is sent can be read again, and is what was to be said. */
static void check_answer(void)
{
	static struct gdb_reader back;
	static char frame[GDB_FRAME_MAX];
	size_t size = gdb_frame(&answer, frame), taken;
	enum gdb_event event;

	memset(&back, 0, sizeof(back));
	taken = gdb_reader_feed(&back, frame, size, &event);
	FUZZ_CHECK(taken == size && event == GDB_PACKET && !answer.full);
	FUZZ_CHECK(back.size == answer.size && memcmp(back.bytes, answer.bytes, back.size) == 0);
}

static void run_on(void)
{
	const struct debug_stop stop = {.reason = DEBUG_STEPPED, .vcpu = fake.resumed % 2};

	answer.size = 0;
	gdb_session_stopped(&session, &stop, &answer);
}

static void ask(const char *bytes, size_t size)
{
	if (gdb_session_packet(&session, bytes, size, &answer) == GDB_WAIT)
		run_on();
	check_answer();
	FUZZ_CHECK(session.cpu < FAKE_CPUS && session.step_cpu < FAKE_CPUS);
}

/* What lies between '$' and '#', whatever its sum: a mutation seldom has the right one. */
static void ask_each(const char *bytes, size_t size)
{
	static char packet[GDB_PACKET_MAX];
	size_t used = 0;

	for (size_t i = 0; i < size; i++) {
		if (bytes[i] == '$')
			used = 0;
		else if (bytes[i] == '#')
			ask(packet, used);
		else if (used < sizeof(packet))
			packet[used++] = bytes[i];
	}
}

static unsigned int feed(const char *bytes, size_t size)
{
	unsigned int packets = 0;
	enum gdb_event event;
	size_t taken;

	for (; size > 0; bytes += taken, size -= taken) {
		taken = gdb_reader_feed(&reader, bytes, size, &event);
		FUZZ_CHECK(taken > 0 && taken <= size);
		FUZZ_CHECK(event != GDB_MORE || taken == size);
		if (event != GDB_PACKET)
			continue;
		packets++;
		ask(reader.bytes, reader.size);
	}
	return packets;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	static const char good[] = "#00$qAttached#8f";
	const struct debug_stop stop = {.reason = DEBUG_ASKED};
	struct gdb_target target = fake_target(&fake);

	memset(&fake, 0, sizeof(fake));
	memset(&reader, 0, sizeof(reader));
	gdb_session_begin(&session, &target, &stop);
	feed((const char *)bytes, size_bytes);
	ask_each((const char *)bytes, size_bytes);
	FUZZ_CHECK(feed(good, sizeof(good) - 1) >= 1);
	FUZZ_CHECK(answer.size == 1 && answer.bytes[0] == '1');
	return 0;
}

/* Its checksums are right: a mutation that leaves them alone gets through. */
size_t fuzz_example(uint8_t *bytes, size_t room)
{
	static const char *const packets[] = {"qSupported:multiprocess+;swbreak+",
					      "?",
					      "g",
					      "p1b",
					      "m10000,40",
					      "M10010,2:beef",
					      "Z0,10000,1",
					      "Z2,10008,8",
					      "vCont;s:p1.1;c:p1.-1",
					      "vCont;r10000,10020:p1.2",
					      "Hgp1.2",
					      "qfThreadInfo",
					      "qXfer:features:read:target.xml:0,ffb",
					      "qRcmd,68656c70",
					      "Qqemu.PhyMemMode:1",
					      "X10020,3:abc",
					      "bs",
					      "D;1"};
	size_t used = 0;

	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		uint8_t sum = 0;

		for (const char *at = packets[i]; *at; at++)
			sum += (uint8_t)*at;
		used += (size_t)snprintf((char *)bytes + used, room - used, "$%s#%02x", packets[i],
					 sum);
		FUZZ_CHECK(used < room);
	}
	return used;
}
