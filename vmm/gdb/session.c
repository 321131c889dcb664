/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stops, running on, the end; which packet is whose (query.c, access.c). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/gdb/session_private.h"

/* Signals as gdb numbers them. */
#define SIGNAL_INT  2
#define SIGNAL_TRAP 5
#define SIGNAL_ABRT 6

enum gdb_next gdb_error(struct gdb_answer *answer, int err)
{
	gdb_answer_text(answer, "E%02d", -err > 0 && -err < 100 ? -err : EINVAL);
	return GDB_SEND;
}

enum gdb_next gdb_ok(struct gdb_answer *answer)
{
	gdb_answer_text(answer, "OK");
	return GDB_SEND;
}

/* ---- threads ---- */

/* A number, or -1. */
static bool take_id(struct gdb_text *text, int64_t *id_out)
{
	uint64_t number;

	*id_out = -1;
	if (gdb_take(text, "-1"))
		return true;
	if (!gdb_take_number(text, &number) || number > INT32_MAX)
		return false;
	*id_out = (int64_t)number;
	return true;
}

bool gdb_take_thread(struct gdb_text *text, int64_t *thread_out)
{
	int64_t process;

	if (!gdb_take(text, "p"))
		return take_id(text, thread_out);
	if (!take_id(text, &process) || process > 1)
		return false;
	*thread_out = -1;
	return !gdb_take(text, ".") || take_id(text, thread_out);
}

bool gdb_thread_cpu(const struct gdb_session *session, int64_t thread, unsigned int *cpu_out)
{
	if (thread < 1 || thread > session->target->nr_cpus)
		return false;
	*cpu_out = (unsigned int)thread - 1;
	return true;
}

void gdb_put_thread(const struct gdb_session *session, unsigned int cpu, struct gdb_answer *answer)
{
	gdb_answer_text(answer, session->multiprocess ? "p1.%x" : "%x", cpu + 1);
}

/* ---- stops ---- */

static void put_point(const struct gdb_session *session, const struct debug_point *point,
		      struct gdb_answer *answer)
{
	static const char *const names[] = {
		[DEBUG_WRITE] = "watch", [DEBUG_READ] = "rwatch", [DEBUG_ACCESS] = "awatch"};

	if (point->kind == DEBUG_SOFTWARE)
		gdb_answer_text(answer, "%s", session->swbreak ? "swbreak:;" : "");
	else if (point->kind == DEBUG_HARDWARE)
		gdb_answer_text(answer, "%s", session->hwbreak ? "hwbreak:;" : "");
	else
		gdb_answer_text(answer, "%s:%llx;", names[point->kind],
				(unsigned long long)point->address);
}

static void put_stop(const struct gdb_session *session, struct gdb_answer *answer)
{
	const struct debug_stop *stop = &session->last;
	unsigned int signal = stop->reason == DEBUG_DIED ? SIGNAL_ABRT : SIGNAL_TRAP;

	if (stop->reason == DEBUG_ASKED && session->running)
		signal = SIGNAL_INT;
	gdb_answer_text(answer, "T%02xthread:", signal);
	gdb_put_thread(session, stop->vcpu, answer);
	gdb_answer_text(answer, ";");
	if (stop->reason == DEBUG_POINT)
		put_point(session, &stop->point, answer);
	else if (stop->reason == DEBUG_OLDEST || stop->reason == DEBUG_NEWEST)
		gdb_answer_text(answer, "replaylog:%s;",
				stop->reason == DEBUG_OLDEST ? "begin" : "end");
}

void gdb_session_stopped(struct gdb_session *session, const struct debug_stop *stop,
			 struct gdb_answer *answer)
{
	session->last = *stop;
	session->cpu = session->step_cpu = stop->vcpu;
	put_stop(session, answer);
	session->running = false;
}

static enum gdb_next why(struct gdb_session *session, struct gdb_text *text,
			 struct gdb_answer *answer)
{
	(void)text;
	put_stop(session, answer);
	return GDB_SEND;
}

/* ---- running on ---- */

static enum gdb_next resume(struct gdb_session *session, const struct debug_order *orders,
			    struct gdb_answer *answer)
{
	int err = session->target->resume(session->target->context, orders);

	if (err == -ENOTRECOVERABLE) {
		gdb_answer_text(answer, session->multiprocess ? "X%02x;process:1" : "X%02x",
				SIGNAL_ABRT);
		return GDB_CLOSE;
	}
	if (err)
		return gdb_error(answer, err);
	session->running = true;
	return GDB_WAIT;
}

/* c and s, with the address to go on at. */
static enum gdb_next run_plain(struct gdb_session *session, struct gdb_text *text,
			       struct gdb_answer *answer, bool step)
{
	const struct gdb_target *target = session->target;
	struct debug_order orders[NB_MAX_VCPUS] = {0};
	struct debug_registers registers = {0};
	uint64_t address;
	int err = 0;

	if (gdb_take_number(text, &address)) {
		err = target->get_registers(target->context, session->step_cpu, &registers);
		registers.regs.rip = address;
		if (!err)
			err = target->set_registers(target->context, session->step_cpu, &registers);
	}
	if (err)
		return gdb_error(answer, err);
	for (unsigned int i = 0; i < target->nr_cpus; i++)
		orders[i].action = DEBUG_GO;
	if (step)
		orders[session->step_cpu].action = DEBUG_STEP;
	return resume(session, orders, answer);
}

static enum gdb_next go(struct gdb_session *session, struct gdb_text *text,
			struct gdb_answer *answer)
{
	return run_plain(session, text, answer, false);
}

static enum gdb_next step(struct gdb_session *session, struct gdb_text *text,
			  struct gdb_answer *answer)
{
	return run_plain(session, text, answer, true);
}

/* "c", "C05", "s", "S05", "rSTART,END": signals are not the guest's. */
static bool take_action(struct gdb_text *text, struct debug_order *order)
{
	uint64_t signal;

	*order = (struct debug_order){0};
	if (gdb_take(text, "r")) {
		order->action = DEBUG_RANGE;
		return gdb_take_range(text, &order->start, &order->end);
	}
	order->action = DEBUG_GO;
	if (gdb_take(text, "c"))
		return true;
	if (gdb_take(text, "C"))
		return gdb_take_number(text, &signal);
	order->action = DEBUG_STEP;
	return gdb_take(text, "s") || (gdb_take(text, "S") && gdb_take_number(text, &signal));
}

/* The first action that names a thread is the thread's. */
static enum gdb_next vcont(struct gdb_session *session, struct gdb_text *text,
			   struct gdb_answer *answer)
{
	struct debug_order orders[NB_MAX_VCPUS] = {0}, order;
	bool given[NB_MAX_VCPUS] = {false}, any = false;
	int64_t thread;

	while (gdb_take(text, ";")) {
		thread = -1;
		if (!take_action(text, &order) ||
		    (gdb_take(text, ":") && !gdb_take_thread(text, &thread)))
			return gdb_error(answer, -EINVAL);
		for (unsigned int i = 0; i < session->target->nr_cpus; i++) {
			if (given[i] || (thread > 0 && thread != (int64_t)i + 1))
				continue;
			orders[i] = order;
			given[i] = any = true;
		}
	}
	if (!any || text->at != text->end)
		return gdb_error(answer, -EINVAL);
	return resume(session, orders, answer);
}

static enum gdb_next backwards(struct gdb_session *session, struct gdb_answer *answer, bool step)
{
	const struct gdb_target *target = session->target;
	int err =
		target->back ? target->back(target->context, session->step_cpu, step) : -EOPNOTSUPP;

	if (err)
		return gdb_error(answer, err);
	session->running = true;
	return GDB_WAIT;
}

static enum gdb_next back_step(struct gdb_session *session, struct gdb_text *text,
			       struct gdb_answer *answer)
{
	(void)text;
	return backwards(session, answer, true);
}

static enum gdb_next back_go(struct gdb_session *session, struct gdb_text *text,
			     struct gdb_answer *answer)
{
	(void)text;
	return backwards(session, answer, false);
}

static enum gdb_next vcont_what(struct gdb_session *session, struct gdb_text *text,
				struct gdb_answer *answer)
{
	(void)session;
	(void)text;
	gdb_answer_text(answer, "vCont;c;C;s;S;r");
	return GDB_SEND;
}

/* ---- who is meant, and the end ---- */

/* H: for g, m and their like, or for c and s. 0 is any thread, -1 all. */
static enum gdb_next choose(struct gdb_session *session, struct gdb_text *text,
			    struct gdb_answer *answer)
{
	bool running = gdb_take(text, "c");
	unsigned int cpu = session->last.vcpu;
	int64_t thread;

	if ((!running && !gdb_take(text, "g")) || !gdb_take_thread(text, &thread))
		return gdb_error(answer, -EINVAL);
	if (thread > 0 && !gdb_thread_cpu(session, thread, &cpu))
		return gdb_error(answer, -EINVAL);
	*(running ? &session->step_cpu : &session->cpu) = cpu;
	return gdb_ok(answer);
}

static enum gdb_next is_alive(struct gdb_session *session, struct gdb_text *text,
			      struct gdb_answer *answer)
{
	unsigned int cpu;
	int64_t thread;

	if (!gdb_take_thread(text, &thread) || !gdb_thread_cpu(session, thread, &cpu))
		return gdb_error(answer, -EINVAL);
	return gdb_ok(answer);
}

static enum gdb_next detach(struct gdb_session *session, struct gdb_text *text,
			    struct gdb_answer *answer)
{
	(void)session;
	(void)text;
	gdb_ok(answer);
	return GDB_CLOSE;
}

static enum gdb_next kill_quietly(struct gdb_session *session, struct gdb_text *text,
				  struct gdb_answer *answer)
{
	(void)text;
	(void)answer;
	session->target->kill(session->target->context);
	return GDB_CLOSE;
}

static enum gdb_next kill_it(struct gdb_session *session, struct gdb_text *text,
			     struct gdb_answer *answer)
{
	gdb_ok(answer);
	return kill_quietly(session, text, answer);
}

/* ---- which is which ---- */

static const struct gdb_command commands[] = {
	{"vCont?", vcont_what}, {"vCont", vcont}, {"vKill", kill_it},
	{"vAttach", why},       {"?", why},       {"bs", back_step},
	{"bc", back_go},        {"c", go},        {"s", step},
	{"H", choose},          {"T", is_alive},  {"D", detach},
	{"k", kill_quietly},    {NULL, NULL},
};

static gdb_command_fn find(const struct gdb_command *table, struct gdb_text *text)
{
	for (; table->name; table++)
		if (gdb_take(text, table->name))
			return table->run;
	return NULL;
}

enum gdb_next gdb_session_packet(struct gdb_session *session, const char *bytes, size_t size,
				 struct gdb_answer *answer)
{
	struct gdb_text text = {bytes, bytes + size};
	gdb_command_fn run = find(gdb_queries, &text);

	answer->size = 0;
	answer->full = false;
	if (session->running)
		return gdb_error(answer, -EBUSY);
	if (!run)
		run = find(gdb_accesses, &text);
	if (!run)
		run = find(commands, &text);
	/* An empty answer: not known. */
	return run ? run(session, &text, answer) : GDB_SEND;
}

void gdb_session_begin(struct gdb_session *session, const struct gdb_target *target,
		       const struct debug_stop *stop)
{
	memset(session, 0, sizeof(*session));
	session->target = target;
	session->last = *stop;
	session->cpu = session->step_cpu = stop->vcpu;
	session->step_bits = GDB_STEP_ALL;
	session->xml_size = gdb_registers_xml(session->xml);
}
