/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Audits: on request and every so many hypercalls, and what they find as events. */
#include <errno.h>
#include <string.h>

#include "vmm/attach/probe.h"
#include "vmm/service/private.h"

json_t *service_violation_json(const struct audit_violation *violation, const char *line)
{
	return QMP_ROW(protocol_violations, QMP_STRING(audit_checks()[violation->check].name),
		       QMP_NUMBER(violation->address), QMP_STRING(violation->text),
		       QMP_NUMBER(violation->found), QMP_NUMBER(violation->expected),
		       QMP_NUMBER(violation->operation), QMP_STRING(line));
}

/* With the look mutex held: an event for each violation nobody was told of. */
static void tell_new(struct service *service)
{
	size_t count = audit_violation_count(service->audit.audit);

	for (; service->audit.told < count; service->audit.told++) {
		const struct audit_violation *violation =
			audit_violation_at(service->audit.audit, service->audit.told);
		char text[512];

		service_tell(service, "AUDIT_VIOLATION", service_violation_json(violation, NULL));
		audit_violation_format(violation, text, sizeof(text));
		if (service->log)
			fprintf(service->log, "%s: audit: %s\n", service->name, text);
	}
}

/* What can execute loads words for the check "tlb". With all calls locked. */
static void set_prober(struct service *service)
{
	struct audit_prober prober = {.load = NULL};

	if (!service_paused(service) && !guest_failure(service->guest))
		prober = probe_by_guest(service->guest);
	audit_probe_with(service->audit.audit, &prober);
}

/* Whom an audit asks whether to go on. */
struct asked {
	struct service *service;
	const struct qmp_request *request;
};

static bool go_on(void *context, unsigned int done, unsigned int total)
{
	struct asked *asked = context;

	return service_go_on(asked->service, asked->request, done, total);
}

/* Audits, and tells what is new. For @request (NULL: nobody's). Errors: -ENOMEM. */
static int run_audit(struct service *service, const struct qmp_request *request, uint32_t which,
		     struct audit_result *result_out)
{
	struct asked asked = {service, request};
	int err;

	pthread_mutex_lock(&service->look_mutex);
	set_prober(service);
	audit_ask(service->audit.audit, request ? go_on : NULL, &asked);
	err = audit_run(service->audit.audit, service->inspector, which,
			__atomic_load_n(&service->calls, __ATOMIC_RELAXED), result_out);
	if (!err) {
		__atomic_add_fetch(&service->audit.violations, result_out->violations,
				   __ATOMIC_RELAXED);
		tell_new(service);
	}
	pthread_mutex_unlock(&service->look_mutex);
	return err;
}

static void audit_job(void *context, uint64_t client, struct qmp_request *request)
{
	struct service *service = context;
	struct audit_result result;
	struct error error;
	int err = service_lock_calls(service, NULL, &error);

	if (!err) {
		if (run_audit(service, NULL, AUDIT_ALL, &result) != 0)
			err = error_set(&error, -ENOMEM, "out of memory");
		service_unlock_calls(service);
	}
	if (err && service->log)
		fprintf(service->log, "%s: audit: %s\n", service->name, error.text);
}

void service_audit_soon(struct service *service)
{
	const struct lane_job job = {.run = audit_job, .context = service};

	(void)lane_put(&service->lanes[LANE_ALONE], &job);
}

uint64_t service_violations(const struct service *service)
{
	return __atomic_load_n(&service->audit.violations, __ATOMIC_RELAXED);
}

/* Those of @which that ran. */
static json_t *checks_json(uint32_t which, const struct audit_result *result)
{
	json_t *list = json_array();
	unsigned int i;

	for (i = 0; i < AUDIT_NR_CHECKS && json_array_size(list) < result->checks; i++) {
		if (which & AUDIT_BIT(i))
			json_array_append_new(list, QMP_ROW(protocol_checks,
							    QMP_STRING(audit_checks()[i].name),
							    QMP_NUMBER(result->check_items[i]),
							    QMP_NUMBER(result->check_violations[i]),
							    QMP_STRING(audit_checks()[i].holds)));
	}
	return list;
}

/* Those that the last audit saw. */
static json_t *found_json(struct service *service)
{
	json_t *list = json_array();
	char text[512];
	size_t i;

	pthread_mutex_lock(&service->look_mutex);
	for (i = 0; i < audit_violation_count(service->audit.audit); i++) {
		const struct audit_violation *violation =
			audit_violation_at(service->audit.audit, i);

		if (violation->last_run != audit_runs(service->audit.audit))
			continue;
		audit_violation_format(violation, text, sizeof(text));
		json_array_append_new(list, service_violation_json(violation, text));
	}
	pthread_mutex_unlock(&service->look_mutex);
	return list;
}

static json_t *audit(struct service *service, const struct qmp_request *request)
{
	const char *names = qmp_get(request, "checks")->text;
	struct audit_result result;
	struct error error;
	uint32_t which = AUDIT_ALL;

	if (names && audit_parse_checks(names, &which, &error) != 0)
		return qmp_error_argument(request, "checks", "is wrong: %s", error.text);
	if (run_audit(service, request, which, &result) != 0)
		return qmp_error(request, "out of memory");
	return QMP_REPLY(request, QMP_JSON(checks_json(which, &result)), QMP_NUMBER(result.items),
			 QMP_NUMBER(result.violations), QMP_FLOAT(result.seconds),
			 QMP_JSON(found_json(service)), QMP_MAYBE(result.ended, true));
}

const struct service_handler service_audit_handlers[] = {
	{"audit", audit},
	{NULL, NULL},
};
