/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory from outside: read, write, translate. It works while the guest runs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/look/look.h"
#include "vmm/machine/insn.h"
#include "vmm/service/private.h"

#define SPACE_PHYSICAL 1u

/* The first address of [address, address + size) that cannot be accessed, for a message. */
static uint64_t first_bad(struct service *service, const struct qmp_request *request, uint64_t size)
{
	uint64_t address = qmp_get(request, "address")->word, at;
	bool physical = qmp_get(request, "space")->word == SPACE_PHYSICAL;
	uint8_t byte;

	for (at = 0; at < size + address % INSPECT_PAGE_BYTES;
	     at = (at | (INSPECT_PAGE_BYTES - 1)) + 1) {
		uint64_t here = at ? (address & ~(INSPECT_PAGE_BYTES - 1)) + at : address;

		if (physical ? gpa_space_read(guest_space(service->guest), gpa_make(here), &byte, 1)
			     : guest_read(service->guest, gva_make(here), &byte, 1))
			return here;
	}
	return address;
}

static json_t *cannot(struct service *service, const struct qmp_request *request, uint64_t size,
		      int err)
{
	bool physical = qmp_get(request, "space")->word == SPACE_PHYSICAL;
	uint64_t bad = first_bad(service, request, size);

	if (err == -EROFS)
		return qmp_error(request, "%s: there is memory that only the host writes",
				 request->command->name);
	return qmp_error(request,
			 physical ? "%s: there is no memory at guest-physical 0x%llx; "
				    "query-memory-layout says where it is"
				  : "%s: nothing is mapped at 0x%llx",
			 request->command->name, (unsigned long long)bad);
}

static json_t *read_memory(struct service *service, const struct qmp_request *request)
{
	uint64_t address = qmp_get(request, "address")->word;
	uint64_t size = qmp_get(request, "size")->word;
	void *bytes = malloc(size);
	json_t *answer;
	int err;

	if (!bytes)
		return qmp_error(request, "out of memory");
	if (qmp_get(request, "space")->word == SPACE_PHYSICAL)
		err = gpa_space_read(guest_space(service->guest), gpa_make(address), bytes, size);
	else
		err = guest_read(service->guest, gva_make(address), bytes, size);
	if (err)
		answer = cannot(service, request, size, err);
	else
		answer = QMP_REPLY(request, QMP_NUMBER(address), QMP_JSON(qmp_bytes(bytes, size)));
	free(bytes);
	return answer;
}

static json_t *write_memory(struct service *service, const struct qmp_request *request)
{
	uint64_t address = qmp_get(request, "address")->word;
	const struct qmp_value *bytes = qmp_get(request, "bytes");
	int err;

	/* Dirty tracking is switched on and off with this held. */
	pthread_mutex_lock(&service->look_mutex);
	if (qmp_get(request, "space")->word == SPACE_PHYSICAL)
		err = gpa_space_write(guest_space(service->guest), gpa_make(address), bytes->bytes,
				      bytes->count);
	else
		err = guest_write(service->guest, gva_make(address), bytes->bytes, bytes->count);
	pthread_mutex_unlock(&service->look_mutex);
	if (err)
		return cannot(service, request, bytes->count, err);
	return QMP_REPLY(request, QMP_NUMBER(address), QMP_NUMBER(bytes->count));
}

/* ---- addresses ---- */

static json_t *translate(struct service *service, const struct qmp_request *request)
{
	uint64_t address = qmp_get(request, "address")->word;
	struct paging_reader reader = guest_paging_reader(service->guest);
	char place[IMAGE_PLACE_BYTES], rights[LOOK_RIGHTS_BYTES];
	struct paging_mode mode;
	struct paging_walk walk;
	void *host;
	int err;

	pthread_mutex_lock(&service->look_mutex);
	err = service_tables(service, request, &mode);
	pthread_mutex_unlock(&service->look_mutex);
	if (err)
		return service_failed(request, err);
	paging_walk(&mode, &reader, gva_make(address), &walk);
	if (walk.status != PAGING_MAPPED)
		return qmp_error(request, "0x%llx is not mapped: %s at level %u",
				 (unsigned long long)address, paging_status_name(walk.status),
				 walk.level);
	if (gpa_space_translate(guest_space(service->guest), walk.gpa, 1, &host) != 0)
		host = NULL;
	service_place(service, address, place);
	return QMP_REPLY(request, QMP_NUMBER(address), QMP_NUMBER(walk.gpa.value),
			 QMP_NUMBER(walk.page_bytes), QMP_STRING(look_rights(walk.rights, rights)),
			 QMP_MAYBE(host, (uintptr_t)host), QMP_STRING(*place ? place : NULL));
}

static json_t *query_symbol(struct service *service, const struct qmp_request *request)
{
	uint64_t address = qmp_get(request, "address")->word;
	char place[IMAGE_PLACE_BYTES];

	return QMP_REPLY(request, QMP_NUMBER(address),
			 QMP_STRING(image_place(guest_image(service->guest), address, place)));
}

static json_t *query_symbols(struct service *service, const struct qmp_request *request)
{
	const struct image *image = guest_image(service->guest);
	const char *prefix = qmp_get(request, "prefix")->text ?: "";
	uint64_t limit = qmp_get(request, "limit")->word, count = 0;
	json_t *list = json_array();

	for (size_t i = 0; i < image->nr_symbols; i++) {
		const struct image_symbol *symbol = &image->symbols[i];

		if (strncmp(symbol->name, prefix, strlen(prefix)) != 0)
			continue;
		if (count++ < limit)
			json_array_append_new(list,
					      QMP_ROW(protocol_symbols, QMP_NUMBER(symbol->start),
						      QMP_NUMBER(symbol->end - symbol->start),
						      QMP_STRING(symbol->name)));
	}
	return QMP_REPLY(request, QMP_JSON(list), QMP_NUMBER(count));
}

/* ---- instructions ---- */

/* What was read of the memory from @address on, byte by byte where not all of it is there. */
static size_t read_code(struct service *service, const struct qmp_request *request,
			uint64_t address, uint8_t *bytes, size_t size)
{
	bool physical = qmp_get(request, "space")->word == SPACE_PHYSICAL;
	size_t got = 0;

	while (got < size && (physical ? gpa_space_read(guest_space(service->guest),
							gpa_make(address + got), bytes + got, 1)
				       : guest_read(service->guest, gva_make(address + got),
						    bytes + got, 1)) == 0)
		got++;
	return got;
}

/* The symbol of the last address that @text names, after it: "call 0xff.. <vfree+0x0>". */
static void name_address(struct service *service, char *text, size_t size)
{
	char *at = text, *last = NULL, place[IMAGE_PLACE_BYTES];
	size_t used = strlen(text);

	while ((at = strstr(at, "0x")))
		last = at, at += 2;
	if (last && *service_place(service, strtoull(last, NULL, 16), place))
		snprintf(text + used, size - used, " <%.*s>", (int)strcspn(place, "/"), place);
}

static json_t *insn_json(struct service *service, uint64_t address, const uint8_t *code,
			 size_t size, const char *text)
{
	char place[IMAGE_PLACE_BYTES], bytes[2 * INSN_BYTES_MAX + 1] = "";

	for (size_t i = 0; i < size; i++)
		snprintf(bytes + 2 * i, 3, "%02x", code[i]);
	service_place(service, address, place);
	return QMP_ROW(protocol_insns, QMP_NUMBER(address), QMP_STRING(bytes), QMP_STRING(text),
		       QMP_STRING(*place ? place : NULL));
}

/* Bytes that are no instruction are one byte each, as objdump's (bad). */
static json_t *disassemble(struct service *service, const struct qmp_request *request)
{
	uint64_t address = qmp_get(request, "address")->word;
	uint64_t count = qmp_get(request, "count")->word, i;
	uint8_t code[INSN_BYTES_MAX];
	char text[INSN_TEXT_BYTES + IMAGE_PLACE_BYTES];
	json_t *list = json_array();
	size_t size, length;

	for (i = 0; i < count; i++, address += length) {
		size = read_code(service, request, address, code, sizeof(code));
		if (size == 0)
			break;
		length = insn_text(code, size, address, text);
		if (length == 0) {
			length = 1;
			strcpy(text, "(bad)");
		}
		name_address(service, text, sizeof(text));
		json_array_append_new(list, insn_json(service, address, code, length, text));
	}
	if (i == 0 && count) {
		json_decref(list);
		return cannot(service, request, 1, -EFAULT);
	}
	return QMP_REPLY(request, QMP_JSON(list));
}

const struct service_handler service_memory_handlers[] = {
	{"read-memory", read_memory},
	{"write-memory", write_memory},
	{"translate", translate},
	{"query-symbol", query_symbol},
	{"query-symbols", query_symbols},
	{"disassemble", disassemble},
	{NULL, NULL},
};
