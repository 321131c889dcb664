/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registers, memory, and the points at which the guest stops. */
#include <errno.h>
#include <string.h>

#include "vmm/gdb/session_private.h"

/* ---- registers ---- */

static enum gdb_next get_all(struct gdb_session *session, struct gdb_text *text,
			     struct gdb_answer *answer)
{
	struct debug_registers registers = {0};
	int err =
		session->target->get_registers(session->target->context, session->cpu, &registers);

	(void)text;
	if (err)
		return gdb_error(answer, err);
	for (unsigned int i = 0; i < gdb_registers_count(); i++)
		gdb_register_get(&registers, i, answer);
	return GDB_SEND;
}

static enum gdb_next set_all(struct gdb_session *session, struct gdb_text *text,
			     struct gdb_answer *answer)
{
	const struct gdb_target *target = session->target;
	struct debug_registers registers = {0};
	int err = target->get_registers(target->context, session->cpu, &registers);

	/* One that stops before the end sets those it has. */
	for (unsigned int i = 0; i < gdb_registers_count() && text->at < text->end && !err; i++)
		if (!gdb_register_set(&registers, i, text))
			err = -EINVAL;
	if (!err)
		err = target->set_registers(target->context, session->cpu, &registers);
	return err ? gdb_error(answer, err) : gdb_ok(answer);
}

static enum gdb_next get_one(struct gdb_session *session, struct gdb_text *text,
			     struct gdb_answer *answer)
{
	struct debug_registers registers = {0};
	uint64_t number;
	int err;

	if (!gdb_take_number(text, &number) || number >= gdb_registers_count())
		return gdb_error(answer, -EINVAL);
	err = session->target->get_registers(session->target->context, session->cpu, &registers);
	if (err)
		return gdb_error(answer, err);
	gdb_register_get(&registers, (unsigned int)number, answer);
	return GDB_SEND;
}

static enum gdb_next set_one(struct gdb_session *session, struct gdb_text *text,
			     struct gdb_answer *answer)
{
	const struct gdb_target *target = session->target;
	struct debug_registers registers = {0};
	uint64_t number;
	int err;

	if (!gdb_take_number(text, &number) || number >= gdb_registers_count() ||
	    !gdb_take(text, "="))
		return gdb_error(answer, -EINVAL);
	err = target->get_registers(target->context, session->cpu, &registers);
	if (!err && !gdb_register_set(&registers, (unsigned int)number, text))
		err = -EINVAL;
	if (!err)
		err = target->set_registers(target->context, session->cpu, &registers);
	return err ? gdb_error(answer, err) : gdb_ok(answer);
}

/* ---- memory ---- */

bool gdb_take_range(struct gdb_text *text, uint64_t *address, uint64_t *size)
{
	return gdb_take_number(text, address) && gdb_take(text, ",") && gdb_take_number(text, size);
}

static enum gdb_next read_memory(struct gdb_session *session, struct gdb_text *text,
				 struct gdb_answer *answer)
{
	const struct gdb_target *target = session->target;
	uint64_t address, size;

	if (!gdb_take_range(text, &address, &size))
		return gdb_error(answer, -EINVAL);
	if (size > sizeof(session->scratch) / 2)
		size = sizeof(session->scratch) / 2;
	if (size > 0) {
		size = target->read(target->context, session->cpu, session->physical, address,
				    session->scratch, size);
		if (size == 0)
			return gdb_error(answer, -EFAULT);
	}
	gdb_answer_hex(answer, session->scratch, size);
	return GDB_SEND;
}

static enum gdb_next write_memory(struct gdb_session *session, struct gdb_text *text,
				  struct gdb_answer *answer, bool binary)
{
	const struct gdb_target *target = session->target;
	uint64_t address, size;
	int err = 0;

	if (!gdb_take_range(text, &address, &size) || !gdb_take(text, ":") ||
	    size > sizeof(session->scratch))
		return gdb_error(answer, -EINVAL);
	if (binary && (uint64_t)(text->end - text->at) == size)
		memcpy(session->scratch, text->at, size);
	else if (binary || !gdb_take_hex(text, session->scratch, size))
		return gdb_error(answer, -EINVAL);
	if (size > 0)
		err = target->write(target->context, session->cpu, session->physical, address,
				    session->scratch, size);
	return err ? gdb_error(answer, err) : gdb_ok(answer);
}

static enum gdb_next write_hex(struct gdb_session *session, struct gdb_text *text,
			       struct gdb_answer *answer)
{
	return write_memory(session, text, answer, false);
}

static enum gdb_next write_binary(struct gdb_session *session, struct gdb_text *text,
				  struct gdb_answer *answer)
{
	return write_memory(session, text, answer, true);
}

/* ---- points ---- */

static enum gdb_next point(struct gdb_session *session, struct gdb_text *text,
			   struct gdb_answer *answer, bool insert)
{
	const struct gdb_target *target = session->target;
	struct debug_point it;
	uint64_t kind;
	int err;

	if (!gdb_take_number(text, &kind) || !gdb_take(text, ",") ||
	    !gdb_take_range(text, &it.address, &it.size_bytes))
		return gdb_error(answer, -EINVAL);
	if (kind > DEBUG_ACCESS)
		return GDB_SEND; /* not known */
	it.kind = (enum debug_kind)kind;
	err = insert ? target->insert(target->context, session->cpu, &it)
		     : target->remove(target->context, &it);
	return err ? gdb_error(answer, err) : gdb_ok(answer);
}

static enum gdb_next insert(struct gdb_session *session, struct gdb_text *text,
			    struct gdb_answer *answer)
{
	return point(session, text, answer, true);
}

static enum gdb_next remove_point(struct gdb_session *session, struct gdb_text *text,
				  struct gdb_answer *answer)
{
	return point(session, text, answer, false);
}

const struct gdb_command gdb_accesses[] = {
	{"g", get_all},      {"G", set_all},   {"p", get_one},      {"P", set_one},
	{"m", read_memory},  {"M", write_hex}, {"X", write_binary}, {"Z", insert},
	{"z", remove_point}, {NULL, NULL},
};
