/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands that concern the guest itself: what it is, how it is, pause, end. */
#include <config.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "vmm/service/private.h"

static const char *status_name(const struct service *service)
{
	if (guest_failure(service->guest))
		return "dead";
	if (guest_held_by_debugger(service->guest))
		return "debug";
	return service_paused(service) ? "paused" : "running";
}

static json_t *query_status(struct service *service, const struct qmp_request *request)
{
	struct guest *guest = service->guest;
	const struct guest_report *failure = guest_failure(guest);
	const char *status = status_name(service);

	return QMP_REPLY(request, QMP_STRING(service->name), QMP_STRING(status),
			 QMP_NUMBER(strcmp(status, "running") == 0), QMP_NUMBER((uint64_t)getpid()),
			 QMP_NUMBER(guest_nr_vcpus(guest)), QMP_NUMBER(guest_memory_bytes(guest)),
			 QMP_STRING(guest_image(guest)->name),
			 QMP_STRING(guest_image(guest)->build_id),
			 QMP_FLOAT(clock_seconds() - service->started),
			 QMP_NUMBER(server_clients(service->server)),
			 QMP_NUMBER(__atomic_load_n(&service->calls, __ATOMIC_RELAXED)),
			 QMP_NUMBER(guest_log_count(guest)), QMP_NUMBER(guest_warning_count(guest)),
			 QMP_NUMBER(service_violations(service)), QMP_STRING(service->sandbox),
			 QMP_JSON(service_doing_json(service)),
			 QMP_JSON(failure ? report_json(failure) : NULL));
}

static json_t *query_name(struct service *service, const struct qmp_request *request)
{
	return QMP_REPLY(request, QMP_STRING(service->name));
}

static json_t *query_version(struct service *service, const struct qmp_request *request)
{
	json_t *greeting = qmp_greeting();
	json_t *version = json_incref(json_object_get(json_object_get(greeting, "QMP"), "version"));

	(void)service;
	json_decref(greeting);
	return qmp_return(request, version);
}

static json_t *query_kvm(struct service *service, const struct qmp_request *request)
{
	const struct kvm_host *host = guest_kvm_host(service->guest);

	return QMP_REPLY(request, QMP_NUMBER(true), QMP_NUMBER(true), QMP_STRING(host->module),
			 QMP_STRING(host->second_stage));
}

static json_t *query_target(struct service *service, const struct qmp_request *request)
{
	(void)service;
	return QMP_REPLY(request, QMP_STRING("x86_64"));
}

static json_t *query_memory_size(struct service *service, const struct qmp_request *request)
{
	return QMP_REPLY(request, QMP_NUMBER(guest_memory_bytes(service->guest)));
}

static const char *reserved_name(uint32_t kind)
{
	switch (kind) {
	case NB_RESERVED_IMAGE:
		return "image";
	case NB_RESERVED_TABLES:
		return "tables";
	default:
		return "boot";
	}
}

static json_t *query_memory_layout(struct service *service, const struct qmp_request *request)
{
	const struct nb_boot_info *info = &guest_boot(service->guest)->info;
	json_t *ram = json_array(), *reserved = json_array();
	uint32_t i;

	for (i = 0; i < info->nr_ram; i++)
		json_array_append_new(ram, QMP_ROW(protocol_ram, QMP_NUMBER(info->ram[i].start),
						   QMP_NUMBER(info->ram[i].end),
						   QMP_NUMBER(info->ram[i].node)));
	for (i = 0; i < info->nr_reserved; i++)
		json_array_append_new(
			reserved, QMP_ROW(protocol_reserved, QMP_NUMBER(info->reserved[i].start),
					  QMP_NUMBER(info->reserved[i].end),
					  QMP_STRING(reserved_name(info->reserved[i].kind))));
	return QMP_REPLY(request, QMP_JSON(ram), QMP_JSON(reserved), QMP_NUMBER(info->root_gpa));
}

/* ---- pause and end ---- */

static void set_paused(struct service *service, bool paused)
{
	__atomic_store_n(&service->paused, paused, __ATOMIC_RELEASE);
}

static json_t *stop(struct service *service, const struct qmp_request *request)
{
	int err = service_paused(service) ? 0 : guest_pause(service->guest);

	if (!err && !service_paused(service)) {
		set_paused(service, true);
		service_tell(service, "STOP", NULL);
	}
	if (err == -ENOTRECOVERABLE)
		return qmp_error(request, "the guest is dead: there is nothing to pause");
	if (err)
		return qmp_error(request, "a vCPU does not let itself be stopped: %s",
				 strerror(-err));
	return qmp_return(request, json_object());
}

static json_t *cont(struct service *service, const struct qmp_request *request)
{
	bool dead = guest_failure(service->guest) != NULL;

	if (service_paused(service) && !dead) {
		guest_resume(service->guest);
		set_paused(service, false);
		__atomic_store_n(&service->domain.resumed, true, __ATOMIC_RELAXED);
		service_tell(service, "RESUME", NULL);
	}
	if (dead)
		return qmp_error(request, "the guest is dead: it cannot go on");
	return qmp_return(request, json_object());
}

static json_t *quit(struct service *service, const struct qmp_request *request)
{
	service_shut_down(service, "quit");
	return qmp_return(request, json_object());
}

const struct service_handler service_guest_handlers[] = {
	{"query-status", query_status},
	{"query-name", query_name},
	{"query-version", query_version},
	{"query-kvm", query_kvm},
	{"query-target", query_target},
	{"query-memory-size-summary", query_memory_size},
	{"query-memory-layout", query_memory_layout},
	{"stop", stop},
	{"cont", cont},
	{"quit", quit},
	{NULL, NULL},
};
