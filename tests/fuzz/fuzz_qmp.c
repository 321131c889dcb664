/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes at all from a client: every message is a request whose arguments are in order, or an
 * answer that can be sent, and the session hears a good command afterwards.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/driver.h"
#include "vmm/wire/protocol.h"

static void check(int holds)
{
	if (!holds)
		abort();
}

static int find_symbol(void *context, const char *name, uint64_t *address_out)
{
	*address_out = 0xffffffff80200000;
	return name[0] == 'm' ? 0 : -1;
}

/* Each argument is within what its row says. */
static void check_request(const struct qmp_request *request)
{
	const struct qmp_arg *arg;

	for (arg = request->command->args; arg && arg->name; arg++) {
		const struct qmp_value *value = qmp_get(request, arg->name);

		check(value->given || arg->optional);
		if (!value->given)
			continue;
		if (arg->type == QMP_INT)
			check(value->number >= arg->min &&
			      (!arg->max || value->number <= (int64_t)arg->max));
		if (arg->type == QMP_U64 || arg->type == QMP_SIZE)
			check(value->word >= (uint64_t)arg->min &&
			      (!arg->max || value->word <= arg->max));
		if (arg->type == QMP_BYTES || arg->type == QMP_FRAMES)
			check(value->count > 0 && (!arg->max || value->count <= arg->max));
		if (arg->type == QMP_TEXT)
			check(value->text && value->text[0]);
	}
}

static void check_answer(json_t *answer)
{
	char *text = qmp_text(answer);
	const char *at;

	check(text && strlen(text) > 2);
	for (at = text; *at; at++)
		check((*at >= ' ' && *at <= '~') || strcmp(at, "\r\n") == 0 ||
		      strcmp(at, "\n") == 0);
	check(json_object_get(answer, "return") || json_object_get(answer, "error"));
	free(text);
	json_decref(answer);
}

/* Returns how many requests came out. */
static unsigned int feed(struct qmp_session *session, const char *bytes, size_t size)
{
	struct qmp_request *request = NULL;
	json_t *answer = NULL;
	unsigned int requests = 0;
	size_t taken;

	for (; size > 0; bytes += taken, size -= taken) {
		switch (qmp_session_feed(session, bytes, size, &taken, &request, &answer)) {
		case QMP_REQUEST:
			check_request(request);
			check_answer(qmp_return(request, json_object()));
			qmp_request_free(request);
			requests++;
			break;
		case QMP_ANSWER:
			check_answer(answer);
			break;
		case QMP_MORE:
			check(taken == size);
			break;
		default:
			abort();
		}
		check(taken > 0 && taken <= size);
	}
	return requests;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	static const char hello[] = "{\"execute\": \"qmp_capabilities\"}";
	static const char good[] = "\x01\n{\"execute\": \"nop\", \"id\": 1}";
	struct qmp_session *session = qmp_session_create(&protocol_table, find_symbol, NULL);
	json_t *error;

	check(session != NULL);
	feed(session, hello, strlen(hello));
	check(qmp_session_ready(session));
	feed(session, (const char *)bytes, size_bytes);
	check(feed(session, good, strlen(good)) == 1);
	error = qmp_session_end(session);
	check(error == NULL);
	qmp_session_destroy(session);
	return 0;
}

size_t fuzz_example(uint8_t *bytes, size_t room)
{
	static const char example[] =
		"{\"execute\": \"vmalloc\", \"arguments\": {\"size\": 65536, \"align\": "
		"\"0x1000\", "
		"\"node\": -1, \"caller\": \"machine+0x40\"}, \"id\": [1, {\"a\": null}]}\r\n"
		"{\"execute\": \"vwrite\", \"arguments\": {\"address\": \"0x1000\", \"bytes\": "
		"\"00ff7a\"}}{\"execute\": \"vmap\", \"arguments\": {\"frames\": [1, \"0x2\", "
		"3]}}\n"
		"{\"execute\": \"set-mode\", \"arguments\": {\"mode\": \"eager\"}}\n"
		"{\"execute\": \"keep-moment\", \"arguments\": {\"name\": \"before\"}}\n"
		"{\"execute\": \"query-command-schema\", \"arguments\": {\"command\": \"nop\"}}\n";

	check(sizeof(example) - 1 <= room);
	memcpy(bytes, example, sizeof(example) - 1);
	return sizeof(example) - 1;
}
