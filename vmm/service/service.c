/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The service's life, who carries a request out, and what happens to the guest as events. */
#include "vmm/service/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "vmm/attach/inspector.h"

/* ---- who carries a command out ---- */

static const struct service_handler *const handler_groups[] = {
	service_guest_handlers, service_look_handlers,    service_memory_handlers,
	service_audit_handlers, service_event_handlers,   service_table_handlers,
	service_frame_handlers, service_diff_handlers,    service_second_handlers,
	service_trap_handlers,  service_dirty_handlers,   service_qemu_handlers,
	service_human_handlers, service_libvirt_handlers, service_job_handlers,
	service_gdb_handlers,
};
#define NR_HANDLER_GROUPS (sizeof(handler_groups) / sizeof(handler_groups[0]))

static service_fn find_handler(const struct qmp_command *command)
{
	const struct service_handler *handler;
	size_t i;

	for (i = 0; i < NR_HANDLER_GROUPS; i++) {
		for (handler = handler_groups[i]; handler->name; handler++) {
			if (strcmp(handler->name, command->name) == 0)
				return handler->handle;
		}
	}
	return command->lane == PROTOCOL_CALL ? service_call : NULL;
}

static const struct service_taker *find_taker(const struct qmp_command *command)
{
	const struct service_taker *taker;

	for (taker = service_takers; taker->name; taker++) {
		if (strcmp(taker->name, command->name) == 0)
			return taker;
	}
	return NULL;
}

const char *service_check(void)
{
	const struct service_handler *handler;
	const struct qmp_command *command;
	size_t i;

	for (i = 0; i < protocol_table.nr_groups; i++) {
		for (command = protocol_table.groups[i].commands; command->name; command++) {
			if (command->lane != PROTOCOL_WIRE && !find_handler(command) &&
			    !find_taker(command))
				return command->name;
		}
	}
	for (i = 0; i < NR_HANDLER_GROUPS; i++) {
		for (handler = handler_groups[i]; handler->name; handler++) {
			if (!qmp_command_find(&protocol_table, handler->name))
				return handler->name;
		}
	}
	return NULL;
}

/* ---- requests ---- */

static void request_job(void *context, uint64_t client, struct qmp_request *request)
{
	struct service *service = context;

	server_answer(service->server, client, find_handler(request->command)(service, request));
}

static json_t *busy(const struct qmp_request *request, const struct error *error)
{
	return qmp_error(request, "%s: %s", request->command->name, error->text);
}

/* One that needs every vCPU between two hypercalls. */
static void alone_job(void *context, uint64_t client, struct qmp_request *request)
{
	struct service *service = context;
	struct error error;

	if (service_lock_calls(service, request, &error) != 0) {
		server_answer(service->server, client, busy(request, &error));
		return;
	}
	request_job(context, client, request);
	service_unlock_calls(service);
}

static void queue(struct service *service, unsigned int lane, uint64_t client,
		  struct qmp_request *request)
{
	const struct lane_job job = {.run = lane == LANE_ALONE ? alone_job : request_job,
				     .context = service,
				     .client = client,
				     .request = request};

	if (lane_put(&service->lanes[lane], &job) != 0)
		server_answer(service->server, client, NULL);
}

/* Whether it asks for the second stage's real tables. */
static bool is_live(const struct qmp_request *request)
{
	const struct qmp_arg *arg;

	for (arg = request->command->args; arg && arg->name; arg++) {
		if (strcmp(arg->name, PROTOCOL_LIVE) == 0)
			return request->values[arg - request->command->args].flag;
	}
	return false;
}

static unsigned int choose_lane(const struct service *service, const struct qmp_request *request)
{
	const struct qmp_value *vcpu = qmp_get(request, PROTOCOL_VCPU);

	if (request->command->lane == PROTOCOL_ALONE || is_live(request))
		return LANE_ALONE;
	if (request->command->lane == PROTOCOL_CALL && vcpu->word < guest_nr_vcpus(service->guest))
		return (unsigned int)vcpu->word;
	return LANE_LOOK;
}

static void on_request(void *context, uint64_t client, struct qmp_request *request)
{
	struct service *service = context;
	const struct service_taker *taker = find_taker(request->command);

	if (taker) {
		taker->take(service, client, request);
		return;
	}
	if (request->command->lane != PROTOCOL_QUICK) {
		queue(service, choose_lane(service, request), client, request);
		return;
	}
	server_answer(service->server, client, find_handler(request->command)(service, request));
	qmp_request_free(request);
}

static int on_symbol(void *context, const char *name, uint64_t *address_out)
{
	const struct service *service = context;
	const struct image_symbol *symbol = image_symbol_named(guest_image(service->guest), name);

	if (!symbol)
		return -ENOENT;
	*address_out = symbol->start;
	return 0;
}

/* Ends the waiting of requests that have waited too long, or behind a vCPU that a trap holds. */
static void end_waiting(struct service *service, unsigned int at)
{
	bool held = at < NB_MAX_VCPUS && service_held_by(service, at);
	struct lane_job *job = lane_take_waiting(
				&service->lanes[at],
				clock_seconds() - (held ? 0 : SERVICE_WAIT_SECONDS), NULL),
			*next;
	struct error error;

	for (; job; job = next) {
		next = job->next;
		service_say_busy(service, at, &error);
		server_answer(service->server, job->client, busy(job->request, &error));
		qmp_request_free(job->request);
		free(job);
	}
}

static void on_gone(void *context, uint64_t client)
{
	service_client_gone(context, client);
}

static void on_tick(void *context)
{
	struct service *service = context;

	for (unsigned int i = 0; i < NR_LANES; i++)
		end_waiting(service, i);
	service_tell_progress(service);
}

void service_prepare_server(struct service *service, struct server_config *config)
{
	config->table = &protocol_table;
	config->symbol = on_symbol;
	config->request = on_request;
	config->tick = on_tick;
	config->gone = on_gone;
	config->context = service;
}

/* ---- what happens to the guest, on threads of its own ---- */

static void on_message(void *context, const struct guest_message *message)
{
	struct service *service = context;

	service_keep_said(service, message->vcpu, message->text);
	if (service->log)
		fprintf(service->log, "%s: vCPU %u: %s%s\n", service->name, message->vcpu,
			message->warning ? "WARNING: " : "", message->text);
	if (message->warning)
		service_tell(
			service, "WARN",
			json_pack("{s:i, s:s}", "vcpu", (int)message->vcpu, "text", message->text));
	else
		service_tell(service, "LOG",
			     json_pack("{s:i, s:i, s:s}", "vcpu", (int)message->vcpu, "level",
				       message->level, "text", message->text));
}

static void on_died(void *context, const struct guest_report *report)
{
	struct service *service = context;

	if (__atomic_load_n(&service->shutting_down, __ATOMIC_ACQUIRE))
		return;
	/* One that dies while it starts is reported by who starts it. */
	if (service->log && service->server)
		report_print(report, service->log);
	if (report->kind == REPORT_TRAP)
		service_tell(service, "OOPS", json_pack("{s:o}", "report", report_json(report)));
	service_tell(service, "GUEST_PANIC", json_pack("{s:o}", "report", report_json(report)));
	service_write_core_soon(service);
}

void service_prepare_guest(struct service *service, struct guest_config *config)
{
	config->message = on_message;
	config->died = on_died;
	config->message_context = service;
	config->access = service_on_access;
	config->access_context = service;
}

/* ---- life ---- */

int service_create(const struct service_config *config, struct service **service_out,
		   struct error *error)
{
	struct service *service = calloc(1, sizeof(*service));
	unsigned int i;

	if (service)
		service->traps = service_traps_create();
	if (!service || !service->traps) {
		free(service);
		return error_set(error, -ENOMEM, "no memory for the service");
	}
	snprintf(service->name, sizeof(service->name), "%s", config->name);
	service->log = config->log;
	service->sandbox = config->sandbox ? config->sandbox : "off";
	service->write_folders = config->write_folders;
	service->nr_write_folders = config->nr_write_folders;
	service->audit.every = config->audit_every;
	service->started = clock_seconds();
	for (i = 0; i < NR_LANES; i++)
		lane_init(&service->lanes[i]);
	for (i = 0; i < NB_MAX_VCPUS; i++)
		pthread_mutex_init(&service->call_mutex[i], NULL);
	pthread_mutex_init(&service->look_mutex, NULL);
	pthread_mutex_init(&service->events.mutex, NULL);
	*service_out = service;
	return 0;
}

int service_start(struct service *service, struct guest *guest, struct server *server,
		  struct error *error)
{
	unsigned int i;
	int err;

	service->guest = guest;
	err = inspector_create_for_guest(guest, &service->inspector, error);
	if (err)
		return err;
	service->audit.audit = audit_create();
	if (!service->audit.audit)
		return error_set(error, -ENOMEM, "no memory for the auditor");
	service_begin_stage2(service);
	service_begin_domain(service);
	__atomic_store_n(&service->server, server, __ATOMIC_RELEASE);
	for (i = 0; i < NR_LANES && !err; i++) {
		if (i < guest_nr_vcpus(guest) || i >= NB_MAX_VCPUS)
			err = lane_start(&service->lanes[i],
					 i < NB_MAX_VCPUS ? THREAD_CALL : THREAD_LOOK);
	}
	return err ? error_set(error, err, "cannot start a thread: %s", strerror(-err)) : 0;
}

void service_shut_down(struct service *service, const char *reason)
{
	__atomic_store_n(&service->shutting_down, true, __ATOMIC_RELEASE);
	service_tell(service, "SHUTDOWN", json_pack("{s:s}", "reason", reason));
	server_stop(service->server);
}

void service_stop(struct service *service)
{
	unsigned int i;
	double since;

	__atomic_store_n(&service->shutting_down, true, __ATOMIC_RELEASE);
	for (i = 0; service->guest && i < guest_nr_vcpus(service->guest); i++) {
		if (lane_doing(&service->lanes[i], &since))
			guest_kill(service->guest, "the service ends");
	}
	for (i = 0; i < NR_LANES; i++)
		lane_end(&service->lanes[i]);
	service_end_gdb(service);
	inspector_destroy(service->inspector);
	service->inspector = NULL;
	service_end_dirty(service);
	service_end_stage2(service);
	service_end_domain(service);
}

void service_destroy(struct service *service)
{
	unsigned int i;

	if (!service)
		return;
	for (i = 0; i < NR_LANES; i++)
		lane_deinit(&service->lanes[i]);
	for (i = 0; i < NB_MAX_VCPUS; i++)
		pthread_mutex_destroy(&service->call_mutex[i]);
	pthread_mutex_destroy(&service->look_mutex);
	pthread_mutex_destroy(&service->events.mutex);
	service_forget_events(service);
	service_forget_moments(service);
	audit_destroy(service->audit.audit);
	service_traps_destroy(service->traps);
	qmp_request_free(service->dump.request);
	free(service);
}
