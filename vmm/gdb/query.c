/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Queries and settings: what the stub can do, who there is, QEMU's own, "monitor". */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/gdb/session_private.h"

/* ---- what it can do ---- */

static bool is_offered(const struct gdb_text *text, const char *feature)
{
	size_t size = strlen(feature), length;
	const char *at, *next;

	for (at = text->at; at < text->end; at = next) {
		next = memchr(at, ';', (size_t)(text->end - at));
		length = (size_t)((next ? next : text->end) - at);
		next = next ? next + 1 : text->end;
		if (length == size && memcmp(at, feature, size) == 0)
			return true;
	}
	return false;
}

static enum gdb_next supported(struct gdb_session *session, struct gdb_text *text,
			       struct gdb_answer *answer)
{
	(void)gdb_take(text, ":");
	session->multiprocess = is_offered(text, "multiprocess+");
	session->swbreak = is_offered(text, "swbreak+");
	session->hwbreak = is_offered(text, "hwbreak+");
	gdb_answer_text(answer,
			"PacketSize=%x;qXfer:features:read+;vContSupported+;multiprocess+;"
			"swbreak+;hwbreak+;QStartNoAckMode+%s",
			GDB_PACKET_MAX,
			session->target->back ? ";ReverseStep+;ReverseContinue+" : "");
	return GDB_SEND;
}

static enum gdb_next features(struct gdb_session *session, struct gdb_text *text,
			      struct gdb_answer *answer)
{
	uint64_t offset, size, left;

	if (!gdb_take_number(text, &offset) || !gdb_take(text, ",") ||
	    !gdb_take_number(text, &size) || offset > session->xml_size)
		return gdb_error(answer, -EINVAL);
	left = session->xml_size - offset;
	/* Each byte may become two on the way. */
	if (size > GDB_PACKET_MAX / 2)
		size = GDB_PACKET_MAX / 2;
	gdb_answer_text(answer, size < left ? "m" : "l");
	gdb_answer_bytes(answer, session->xml + offset, size < left ? size : left);
	return GDB_SEND;
}

static enum gdb_next no_ack(struct gdb_session *session, struct gdb_text *text,
			    struct gdb_answer *answer)
{
	(void)text;
	session->no_ack = true;
	return gdb_ok(answer);
}

/* ---- threads ---- */

static enum gdb_next next_threads(struct gdb_session *session, struct gdb_text *text,
				  struct gdb_answer *answer)
{
	(void)text;
	if (session->next >= session->target->nr_cpus) {
		gdb_answer_text(answer, "l");
		return GDB_SEND;
	}
	gdb_answer_text(answer, "m");
	for (; session->next < session->target->nr_cpus; session->next++) {
		gdb_put_thread(session, session->next, answer);
		if (session->next + 1 < session->target->nr_cpus)
			gdb_answer_text(answer, ",");
	}
	return GDB_SEND;
}

static enum gdb_next first_threads(struct gdb_session *session, struct gdb_text *text,
				   struct gdb_answer *answer)
{
	session->next = 0;
	return next_threads(session, text, answer);
}

static enum gdb_next current(struct gdb_session *session, struct gdb_text *text,
			     struct gdb_answer *answer)
{
	(void)text;
	gdb_answer_text(answer, "QC");
	gdb_put_thread(session, session->cpu, answer);
	return GDB_SEND;
}

static enum gdb_next thread_info(struct gdb_session *session, struct gdb_text *text,
				 struct gdb_answer *answer)
{
	char name[64];
	unsigned int cpu;
	int64_t thread;
	int size;

	if (!gdb_take_thread(text, &thread) || !gdb_thread_cpu(session, thread, &cpu))
		return gdb_error(answer, -EINVAL);
	size = snprintf(name, sizeof(name), "vCPU %u [%s]", cpu,
			session->target->is_halted(session->target->context, cpu) ? "halted"
										  : "running");
	gdb_answer_hex(answer, name, (size_t)size);
	return GDB_SEND;
}

static enum gdb_next attached(struct gdb_session *session, struct gdb_text *text,
			      struct gdb_answer *answer)
{
	(void)session;
	(void)text;
	gdb_answer_text(answer, "1");
	return GDB_SEND;
}

/* What begins as another command does and is none of ours. */
static enum gdb_next unknown(struct gdb_session *session, struct gdb_text *text,
			     struct gdb_answer *answer)
{
	(void)session;
	(void)text;
	(void)answer;
	return GDB_SEND;
}

static enum gdb_next symbols(struct gdb_session *session, struct gdb_text *text,
			     struct gdb_answer *answer)
{
	(void)session;
	(void)text;
	return gdb_ok(answer);
}

/* ---- QEMU's ---- */

static enum gdb_next physical_is(struct gdb_session *session, struct gdb_text *text,
				 struct gdb_answer *answer)
{
	(void)text;
	gdb_answer_text(answer, "%d", session->physical);
	return GDB_SEND;
}

static enum gdb_next physical_set(struct gdb_session *session, struct gdb_text *text,
				  struct gdb_answer *answer)
{
	uint64_t on;

	if (!gdb_take_number(text, &on))
		return gdb_error(answer, -EINVAL);
	session->physical = on != 0;
	return gdb_ok(answer);
}

static enum gdb_next step_bits_are(struct gdb_session *session, struct gdb_text *text,
				   struct gdb_answer *answer)
{
	(void)session;
	(void)text;
	gdb_answer_text(answer, "ENABLE=%x,NOIRQ=%x,NOTIMER=%x", GDB_STEP_ENABLE, GDB_STEP_NOIRQ,
			GDB_STEP_NOTIMER);
	return GDB_SEND;
}

static enum gdb_next step_is(struct gdb_session *session, struct gdb_text *text,
			     struct gdb_answer *answer)
{
	(void)text;
	gdb_answer_text(answer, "0x%x", session->step_bits);
	return GDB_SEND;
}

static enum gdb_next step_set(struct gdb_session *session, struct gdb_text *text,
			      struct gdb_answer *answer)
{
	uint64_t bits;

	if ((!gdb_take(text, ":") && !gdb_take(text, "=")) || !gdb_take_number(text, &bits) ||
	    (bits & ~(uint64_t)GDB_STEP_ALL))
		return gdb_error(answer, -EINVAL);
	session->step_bits = (unsigned int)bits;
	session->target->step_blocks(session->target->context, bits & GDB_STEP_NOIRQ);
	return gdb_ok(answer);
}

/* ---- monitor ---- */

static enum gdb_next monitor(struct gdb_session *session, struct gdb_text *text,
			     struct gdb_answer *answer)
{
	struct gdb_answer *lines = &session->lines;
	size_t size = (size_t)(text->end - text->at) / 2;
	char command[256];

	if (size >= sizeof(command) || !gdb_take_hex(text, command, size))
		return gdb_error(answer, -EINVAL);
	command[size] = '\0';
	lines->size = 0;
	lines->full = false;
	session->target->monitor(session->target->context, command, lines);
	if (lines->size == 0)
		return gdb_ok(answer);
	gdb_answer_hex(answer, lines->bytes,
		       lines->size < GDB_PACKET_MAX / 2 ? lines->size : GDB_PACKET_MAX / 2);
	return GDB_SEND;
}

const struct gdb_command gdb_queries[] = {
	{"qSupported", supported},
	{"qXfer:features:read:target.xml:", features},
	{"QStartNoAckMode", no_ack},
	{"qfThreadInfo", first_threads},
	{"qsThreadInfo", next_threads},
	{"qThreadExtraInfo,", thread_info},
	{"qCRC", unknown},
	{"qC", current},
	{"qAttached", attached},
	{"qSymbol", symbols},
	{"qqemu.PhyMemMode", physical_is},
	{"Qqemu.PhyMemMode:", physical_set},
	{"qqemu.sstepbits", step_bits_are},
	{"qqemu.sstep", step_is},
	{"Qqemu.sstep", step_set},
	{"qRcmd,", monitor},
	{NULL, NULL},
};
