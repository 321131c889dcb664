/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A session that is fed bytes, and what came of its last message. For the one .c file of a test. */
#ifndef TESTS_VMM_WIRE_QMP_FIXTURE_H
#define TESTS_VMM_WIRE_QMP_FIXTURE_H

#include <string.h>

#include "tests/harness.h"
#include "vmm/wire/protocol.h"

static struct qmp_session *session;
static struct qmp_request *request;
static json_t *answer;

static inline int find_symbol(void *context, const char *name, uint64_t *address_out)
{
	if (strcmp(name, "top") == 0)
		*address_out = UINT64_MAX - 1;
	else if (strcmp(name, "machine") == 0)
		*address_out = 0xffffffff80200000;
	else
		return -1;
	return 0;
}

static inline void drop(void)
{
	json_decref(answer);
	qmp_request_free(request);
	answer = NULL;
	request = NULL;
}

static inline void end(void)
{
	drop();
	qmp_session_destroy(session);
}

/* Feeds all of the bytes, in pieces of @step, and keeps what came of the last message. */
static inline enum qmp_outcome feed_bytes(const char *bytes, size_t size, size_t step)
{
	enum qmp_outcome last = QMP_MORE;
	size_t taken;

	for (; size > 0; bytes += taken, size -= taken) {
		struct qmp_request *its_request = NULL;
		json_t *its_answer = NULL;
		size_t piece = size < step ? size : step;
		enum qmp_outcome outcome =
			qmp_session_feed(session, bytes, piece, &taken, &its_request, &its_answer);

		ck_assert_uint_gt(taken, 0);
		ck_assert_uint_le(taken, piece);
		ck_assert_int_ne(outcome, QMP_NO_MEMORY);
		if (outcome == QMP_MORE)
			continue;
		drop();
		last = outcome;
		request = its_request;
		answer = its_answer;
	}
	return last;
}

static inline enum qmp_outcome feed(const char *text)
{
	return feed_bytes(text, strlen(text), strlen(text));
}

/* The desc of the error @text is answered with. */
static inline const char *error_of(const char *text)
{
	drop();
	ck_assert_int_eq(feed(text), QMP_ANSWER);
	ck_assert_ptr_nonnull(json_object_get(answer, "error"));
	return json_string_value(json_object_get(json_object_get(answer, "error"), "desc"));
}

#define ck_error(text, part) \
	ck_assert_msg(strstr(error_of(text), part) != NULL, "%s: %s", text, error_of(text))

static inline void begin(void)
{
	session = qmp_session_create(&protocol_table, find_symbol, NULL);
	ck_assert_ptr_nonnull(session);
	ck_assert_int_eq(feed("{\"execute\": \"qmp_capabilities\"}"), QMP_ANSWER);
	ck_assert(qmp_session_ready(session));
	drop();
}

#endif
