/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What clients made for QEMU ask for: memory into files, cores by dump-guest-memory, the vCPUs. */
#include <ctype.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/out_file.h"
#include "mm/x86.h"
#include "vmm/attach/core.h"
#include "vmm/look/search.h"
#include "vmm/service/private.h"

#define CHUNK_BYTES (64u << 10)

int service_cpu_tables(struct service *service, unsigned int cpu, struct paging_mode *mode_out)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	bool halted;
	int err = guest_registers_now(service->guest, cpu, &regs, &sregs, &halted);

	if (err)
		return err;
	*mode_out = guest_paging_mode(service->guest);
	mode_out->root = gpa_make(sregs.cr3 & X86_CR3_ADDR_MASK);
	return 0;
}

/* ---- memsave, pmemsave ---- */

struct save {
	struct service *service;
	const struct paging_mode *mode; /* NULL: physical */
	uint64_t address, size;
};

static int save_chunk(const struct save *save, uint64_t done, uint8_t *chunk, size_t bytes)
{
	const struct gpa_space *space = guest_space(save->service->guest);
	uint64_t at = save->address + done;

	if (!save->mode)
		return gpa_space_read(space, gpa_make(at), chunk, bytes) ? -EFAULT : 0;
	return gpa_space_read_virtual(space, save->mode, gva_make(at), chunk, bytes) == bytes
		       ? 0
		       : -EFAULT;
}

static int save_all(const struct save *save, int fd)
{
	uint8_t *chunk = malloc(CHUNK_BYTES);
	uint64_t done = 0;
	int err = chunk ? 0 : -ENOMEM;

	while (!err && done < save->size) {
		size_t bytes =
			save->size - done < CHUNK_BYTES ? (size_t)(save->size - done) : CHUNK_BYTES;

		err = save_chunk(save, done, chunk, bytes);
		if (!err && write(fd, chunk, bytes) != (ssize_t)bytes)
			err = errno ? -errno : -ENOSPC;
		done += bytes;
	}
	free(chunk);
	return err;
}

static json_t *save_file(const struct save *save, const struct qmp_request *request)
{
	const char *path = qmp_get(request, "filename")->text;
	struct out_file file;
	struct error error = {""};
	int err;

	if (*path != '/')
		return qmp_error_argument(request, "filename", "is to be an absolute path");
	/* More is the same memory again and again. */
	if (save->size / LOOK_SEARCH_TIMES > guest_memory_bytes(save->service->guest))
		return qmp_error_argument(request, "size", "is far more than the guest has");
	err = service_may_write(save->service, path, &error);
	if (!err)
		err = out_file_begin(&file, path, &error);
	if (err)
		return qmp_error(request, "%s: %s", request->command->name, error.text);
	errno = 0;
	err = save_all(save, file.fd);
	if (!err)
		err = out_file_commit(&file, &error);
	else
		out_file_discard(&file);
	if (err == -EFAULT)
		return qmp_error(request, "Invalid addr 0x%016llx/size %llu specified",
				 (unsigned long long)save->address, (unsigned long long)save->size);
	if (err)
		return qmp_error(request, "%s: %s", request->command->name,
				 *error.text ? error.text : strerror(-err));
	return qmp_return(request, json_object());
}

static json_t *pmemsave(struct service *service, const struct qmp_request *request)
{
	const struct save save = {service, NULL, qmp_get(request, "val")->word,
				  qmp_get(request, "size")->word};

	return save_file(&save, request);
}

static json_t *memsave(struct service *service, const struct qmp_request *request)
{
	unsigned int cpu = (unsigned int)qmp_get(request, "cpu-index")->word;
	struct paging_mode mode;
	const struct save save = {service, &mode, qmp_get(request, "val")->word,
				  qmp_get(request, "size")->word};
	int err = service_cpu_tables(service, cpu, &mode);

	if (err == -EINVAL)
		return qmp_error(request, "Invalid parameter 'cpu-index'");
	if (err)
		return service_failed(request, err);
	return save_file(&save, request);
}

/* ---- the vCPUs ---- */

static json_t *query_cpus(struct service *service, const struct qmp_request *request)
{
	json_t *list = json_array();
	char path[64];

	for (unsigned int i = 0; i < guest_nr_vcpus(service->guest); i++) {
		snprintf(path, sizeof(path), "/machine/unattached/device[%u]", i);
		json_array_append_new(list, json_pack("{s:i, s:s, s:i, s:{}, s:s}", "cpu-index",
						      (int)i, "qom-path", path, "thread-id",
						      (int)guest_thread_id(service->guest, i),
						      "props", "target", "x86_64"));
	}
	return qmp_return(request, list);
}

/* ---- descriptors ---- */

/* Answers, and is done with @request. */
static void answer(struct service *service, uint64_t client, struct qmp_request *request,
		   json_t *json)
{
	server_answer(service->server, client, json);
	qmp_request_free(request);
}

static void getfd(struct service *service, uint64_t client, struct qmp_request *request)
{
	const char *name = qmp_get(request, "fdname")->text;
	int err;

	if (isdigit((unsigned char)*name)) {
		answer(service, client, request,
		       qmp_error(request,
				 "Parameter 'fdname' expects a name not starting with a digit"));
		return;
	}
	err = server_name_fd(service->server, client, name);
	if (!err)
		answer(service, client, request, qmp_return(request, json_object()));
	else if (err == -ENOENT)
		answer(service, client, request,
		       qmp_error(request, "No file descriptor supplied via SCM_RIGHTS"));
	else
		answer(service, client, request,
		       qmp_error(request, "getfd: %s",
				 err == -EMFILE ? "too many descriptors have names" : "no memory"));
}

static void closefd(struct service *service, uint64_t client, struct qmp_request *request)
{
	const char *name = qmp_get(request, "fdname")->text;
	int fd = server_take_fd(service->server, client, name);

	if (fd >= 0)
		close(fd);
	answer(service, client, request,
	       fd >= 0 ? qmp_return(request, json_object())
		       : qmp_error(request, "File descriptor named '%s' not found", name));
}

/* ---- dump-guest-memory ---- */

/* In the order of query-dump's choices. */
enum { DUMP_NONE, DUMP_ACTIVE, DUMP_COMPLETED, DUMP_FAILED };

static json_t *dump_json(const struct service *service)
{
	static const char *const names[] = {"none", "active", "completed", "failed"};
	const struct service_dump *dump = &service->dump;

	return json_pack("{s:s, s:I, s:I}", "status",
			 names[__atomic_load_n(&dump->state, __ATOMIC_ACQUIRE)], "completed",
			 (json_int_t)__atomic_load_n(&dump->completed, __ATOMIC_RELAXED), "total",
			 (json_int_t)__atomic_load_n(&dump->total, __ATOMIC_RELAXED));
}

static json_t *query_dump(struct service *service, const struct qmp_request *request)
{
	return qmp_return(request, dump_json(service));
}

static json_t *query_capability(struct service *service, const struct qmp_request *request)
{
	return qmp_return(request, json_pack("{s:[s]}", "formats", "elf"));
}

static int dump_progress(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	struct service *service = context;

	__atomic_store_n(&service->dump.total, total_bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&service->dump.completed, done_bytes, __ATOMIC_RELAXED);
	return __atomic_load_n(&service->shutting_down, __ATOMIC_ACQUIRE);
}

static int dump_write(struct service *service, const struct qmp_request *request,
		      struct error *error)
{
	const struct qmp_value *begin = qmp_get(request, "begin");
	const struct core_options options = {
		.physical = !qmp_get(request, "paging")->flag,
		.part_start = begin->word,
		.part_end = begin->given ? begin->word + qmp_get(request, "length")->word : 0,
		.progress = dump_progress,
		.progress_context = service,
	};
	const char *path = qmp_get(request, "protocol")->text + 5;
	struct core_sum sum;
	int err;

	if (request->passed_fd >= 0)
		return core_write_guest_fd(service->guest, request->passed_fd, &options, &sum,
					   error);
	err = service_may_write(service, path, error);
	return err ? err : core_write_guest(service->guest, path, &options, &sum, error);
}

/* The event, whether somebody waits or not; its error too. */
static void dump_over(struct service *service, const char *failed)
{
	json_t *data;

	__atomic_store_n(&service->dump.state, failed ? DUMP_FAILED : DUMP_COMPLETED,
			 __ATOMIC_RELEASE);
	data = json_pack("{s:o}", "result", dump_json(service));
	if (failed)
		json_object_set_new(data, "error", json_string(failed));
	service_tell(service, "DUMP_COMPLETED", data);
}

/*
 * On the lane that is alone, as a chore: what is begun is not given up for having waited. The
 * client of a detached one has its answer.
 */
static void dump_job(void *context, uint64_t nobody, struct qmp_request *none)
{
	struct service *service = context;
	struct qmp_request *request = service->dump.request;
	uint64_t client = service->dump.client;
	struct error error = {""};
	int err = service_lock_calls(service, NULL, &error);

	if (!err) {
		err = dump_write(service, request, &error);
		service_unlock_calls(service);
	}
	if (request->passed_fd >= 0) {
		/* Whoever reads the other end sees its end before the answer. */
		close(request->passed_fd);
		request->passed_fd = -1;
	}
	service->dump.request = NULL;
	dump_over(service, err ? error.text : NULL);
	if (!qmp_get(request, "detach")->flag)
		server_answer(service->server, client,
			      err ? qmp_error(request, "dump-guest-memory: %s", error.text)
				  : qmp_return(request, json_object()));
	qmp_request_free(request);
}

/* An error for arguments that do not go together, or NULL. Takes the descriptor that is named. */
static json_t *dump_refused(struct service *service, uint64_t client, struct qmp_request *request)
{
	const struct qmp_value *begin = qmp_get(request, "begin");
	const struct qmp_value *length = qmp_get(request, "length");
	const char *protocol = qmp_get(request, "protocol")->text;

	if (qmp_get(request, "format")->word != 0)
		return qmp_error(request, "%s is not available now",
				 qmp_get(request, "format")->text);
	if (begin->given != length->given)
		return qmp_error(request, "Parameter '%s' is missing",
				 begin->given ? "length" : "begin");
	if (begin->given && length->word == 0)
		return qmp_error(request, "Invalid parameter 'length'");
	if (strncmp(protocol, "fd:", 3) == 0) {
		request->passed_fd = server_take_fd(service->server, client, protocol + 3);
		return request->passed_fd >= 0
			       ? NULL
			       : qmp_error(request, "File descriptor named '%s' has not been found",
					   protocol + 3);
	}
	if (strncmp(protocol, "file:/", 6) != 0)
		return qmp_error(request, "Invalid parameter 'protocol': it is file: and an "
					  "absolute path, or fd: and a name");
	return NULL;
}

static void dump_take(struct service *service, uint64_t client, struct qmp_request *request)
{
	const struct lane_job job = {.run = dump_job, .context = service};
	bool detach = qmp_get(request, "detach")->flag;
	json_t *refused = NULL, *done = detach ? qmp_return(request, json_object()) : NULL;

	if (__atomic_load_n(&service->dump.state, __ATOMIC_ACQUIRE) == DUMP_ACTIVE)
		refused = qmp_error(request, "There is a dump in process, please wait.");
	if (!refused)
		refused = dump_refused(service, client, request);
	if (refused) {
		json_decref(done);
		answer(service, client, request, refused);
		return;
	}
	__atomic_store_n(&service->dump.completed, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&service->dump.total, 0, __ATOMIC_RELAXED);
	service->dump.request = request;
	service->dump.client = client;
	__atomic_store_n(&service->dump.state, DUMP_ACTIVE, __ATOMIC_RELEASE);
	if (lane_put(&service->lanes[LANE_ALONE], &job) != 0) {
		service->dump.request = NULL;
		dump_over(service, "no memory");
		json_decref(done);
		answer(service, client, request, NULL);
	} else if (detach) {
		server_answer(service->server, client, done);
	}
}

const struct service_handler service_qemu_handlers[] = {
	{"pmemsave", pmemsave},
	{"memsave", memsave},
	{"query-cpus-fast", query_cpus},
	{"query-dump", query_dump},
	{"query-dump-guest-memory-capability", query_capability},
	{NULL, NULL},
};

const struct service_taker service_takers[] = {
	{"getfd", getfd},
	{"closefd", closefd},
	{"dump-guest-memory", dump_take},
	{NULL, NULL},
};
