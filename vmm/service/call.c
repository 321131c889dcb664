/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hypercalls for clients: arguments to where the table says they go, results from where it says
 * they come. What the guest answers is hostile: numbers are passed on, counts are bounded.
 */
#include <errno.h>
#include <string.h>

#include "vmm/attach/note_call.h"
#include "vmm/service/private.h"

/* ---- arguments ---- */

/* Puts @value where the hypercall has it; lists and bytes into @data: returns how many bytes. */
static size_t put_arg(const struct qmp_arg *arg, const struct qmp_value *value,
		      struct nb_submission *sqe, void *data)
{
	size_t size = 0;

	if (!arg->place)
		return 0;
	sqe->arg[arg->place - 1] = value->word;
	if (arg->type == QMP_FRAMES) {
		size = value->count * sizeof(*value->frames);
		memcpy(data, value->frames, size);
		sqe->arg[arg->place - 1] = value->count;
	} else if (arg->type == QMP_BYTES) {
		size = value->count;
		memcpy(data, value->bytes, size);
		sqe->arg[arg->place - 1] = value->count;
	}
	return size;
}

/* Returns how many bytes of @data were written. */
static size_t put_args(const struct qmp_request *request, struct nb_submission *sqe, void *data)
{
	size_t size = 0, one;
	unsigned int opcode = request->command->opcode;
	const struct qmp_arg *arg;

	sqe->opcode = (uint16_t)opcode;
	if (opcode & PROTOCOL_FIRST(0, 0))
		sqe->arg[0] = opcode >> 24;
	if (qmp_get(request, PROTOCOL_IN_INTERRUPT)->flag)
		sqe->flags = NB_SQE_IN_INTERRUPT;
	for (arg = request->command->args; arg && arg->name; arg++) {
		one = put_arg(arg, &request->values[arg - request->command->args], sqe, data);
		size = one > size ? one : size;
	}
	return size;
}

/* ---- results ---- */

/* At most as many bytes as were asked for, which is what arg[place of "size"] was. */
static json_t *result_bytes(const struct qmp_request *request, uint64_t count, const void *data)
{
	uint64_t asked = qmp_get(request, "size")->word;

	if (count > asked)
		count = asked;
	return qmp_bytes(data, count > NB_DATA_BYTES ? NB_DATA_BYTES : count);
}

static json_t *result_member(const struct qmp_request *request, const struct qmp_arg *member,
			     const struct nb_completion *cqe, const void *data)
{
	uint64_t value = cqe->result[member->place - 1];

	if (member->type == QMP_BYTES)
		return result_bytes(request, value, data);
	if (member->type == QMP_ADDRESS || value > INT64_MAX)
		return qmp_hex(value);
	return json_integer((json_int_t)value);
}

static json_t *results(const struct qmp_request *request, const struct nb_submission *sqe,
		       const struct nb_completion *cqe, const void *data)
{
	const struct qmp_arg *member;
	json_t *json = json_object();

	for (member = request->command->returns; member && member->name; member++) {
		if (member->place)
			json_object_set_new(json, member->name,
					    result_member(request, member, cqe, data));
	}
	if (sqe->opcode == NB_OP_BENCH && cqe->result[1] < sqe->arg[1])
		json_object_set_new(json, PROTOCOL_INTERRUPTED, json_true());
	json_object_set_new(
		json, PROTOCOL_TICKS,
		json_integer((json_int_t)((cqe->tsc_end - cqe->tsc_start) & INT64_MAX)));
	return json;
}

/* A program at CPL 3 that an exception ended. */
static json_t *user_fault(const struct qmp_request *request, const struct nb_completion *cqe)
{
	return qmp_return(request,
			  json_pack("{s:{s:o, s:o, s:o, s:o}, s:I}", "fault", "vector",
				    qmp_hex(cqe->result[0]), "error-code", qmp_hex(cqe->result[1]),
				    "cr2", qmp_hex(cqe->result[2]), "rip", qmp_hex(cqe->result[3]),
				    PROTOCOL_TICKS,
				    (json_int_t)((cqe->tsc_end - cqe->tsc_start) & INT64_MAX)));
}

/* Where to look, by the error. */
static const char *advice(const struct qmp_request *request, int err)
{
	switch (err) {
	case EBUSY:
		return (request->command->opcode & 0xffff) == NB_OP_SET_RULES
			       ? "; rules are set while nothing is lazy: purge"
			       : "";
	case ENOENT:
		return "; areas lists what there is";
	case ESRCH:
		return "; a process is named by the number that process-create returned";
	case EFAULT:
		return "; walk says what is mapped there";
	case ENOMEM:
		return "; zones says what memory is free, tree what addresses are";
	default:
		return "";
	}
}

static json_t *refused(struct service *service, const struct qmp_request *request,
		       const struct nb_completion *cqe, const char *said)
{
	const char *why = NULL, *argument = NULL;
	int err = (int)-cqe->status;
	const char *name = strerrorname_np(err);

	if (request->command->opcode == NB_OP_USER_RUN && err == EFAULT)
		return user_fault(request, cqe);
	if (err == EINVAL || err == ENOENT)
		argument = service_wrong_argument(service, request, err, &why);
	return qmp_error(request, "%s: the guest answers %s (%s)%s%s%s%s%s%s%s",
			 request->command->name, name ? name : "an unknown error", strerror(err),
			 *said ? ": " : "", said, argument ? ": '" : "", argument ? argument : "",
			 argument ? "' " : "", argument ? why : "", advice(request, err));
}

/* ---- what the auditor is told ---- */

static void note(struct service *service, const struct nb_submission *sqe,
		 const struct nb_completion *cqe)
{
	const struct audit_violation twice = {
		.check = AUDIT_AREAS,
		.address = cqe->result[0],
		.text = "the guest gave this address out twice",
		.operation = service->calls,
	};

	pthread_mutex_lock(&service->look_mutex);
	if (note_call(service->audit.audit, sqe, cqe) == -EEXIST) {
		__atomic_add_fetch(&service->audit.violations, 1, __ATOMIC_RELAXED);
		service_tell(service, "AUDIT_VIOLATION", service_violation_json(&twice, NULL));
	}
	pthread_mutex_unlock(&service->look_mutex);
}

/* Counts the hypercall; an audit is put on its lane when it is time. */
static void count(struct service *service)
{
	uint64_t calls = __atomic_add_fetch(&service->calls, 1, __ATOMIC_RELAXED);

	if (service->audit.every && calls % service->audit.every == 0)
		service_audit_soon(service);
}

/* ---- the call ---- */

/* The loops of a case that does nothing but loops are its steps. */
static uint64_t steps_of(const struct nb_submission *sqe)
{
	if (sqe->opcode != NB_OP_BENCH || sqe->arg[0] == NB_BENCH_FULL_FIT ||
	    sqe->arg[0] == NB_BENCH_LONG_BUSY_LIST)
		return 0;
	return sqe->arg[1];
}

/* From here on it can be seen how far it is, and it can be cancelled: service/jobs.c. */
static void begin(struct service *service, const struct qmp_request *request, unsigned int vcpu,
		  const struct nb_submission *sqe)
{
	struct lane_progress *progress = request->progress;

	__atomic_store_n(&progress->base, guest_progress(service->guest, vcpu), __ATOMIC_RELAXED);
	__atomic_store_n(&progress->total, steps_of(sqe), __ATOMIC_RELAXED);
	__atomic_store_n(&progress->counts, true, __ATOMIC_RELEASE);
	/* In this order: whoever cancels sets the flag, then tells the guest. */
	guest_cancel(service->guest, vcpu, false);
	if (service_cancelled(request))
		guest_cancel(service->guest, vcpu, true);
}

/* With the vCPU's call mutex held. */
static json_t *call(struct service *service, const struct qmp_request *request, unsigned int vcpu)
{
	struct nb_submission sqe = {0};
	struct nb_completion cqe;
	char said[256];
	void *data = guest_data(service->guest, vcpu);
	size_t size;
	int err;

	if (service_paused(service))
		return qmp_error(request, "the guest is paused: cont lets it go on");
	size = put_args(request, &sqe, data);
	/* For dirty tracking. */
	gpa_space_note_write(guest_space(service->guest),
			     gpa_make(guest_boot(service->guest)->info.area_gpa[vcpu] +
				      offsetof(struct nb_vcpu_area, data)),
			     size);
	service_take_said(service, vcpu, said);
	begin(service, request, vcpu, &sqe);
	err = guest_call(service->guest, vcpu, &sqe, &cqe);
	service_operation_over(service, vcpu);
	if (err)
		return qmp_error(request, "the guest is dead: %.600s",
				 guest_failure(service->guest) ? guest_failure(service->guest)->text
							       : strerror(-err));
	note(service, &sqe, &cqe);
	count(service);
	service_take_said(service, vcpu, said);
	return cqe.status ? refused(service, request, &cqe, said)
			  : qmp_return(request, results(request, &sqe, &cqe, data));
}

json_t *service_call(struct service *service, const struct qmp_request *request)
{
	uint64_t vcpu = qmp_get(request, PROTOCOL_VCPU)->word;
	json_t *answer;

	if (vcpu >= guest_nr_vcpus(service->guest))
		return service_bad_vcpu(service, request, (unsigned int)vcpu);
	pthread_mutex_lock(&service->call_mutex[vcpu]);
	answer = call(service, request, (unsigned int)vcpu);
	pthread_mutex_unlock(&service->call_mutex[vcpu]);
	return answer;
}
