/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gdb stub of the guest that is served: made and ended by the lane that looks. */
#include <stdlib.h>

#include "vmm/gdb/server.h"
#include "vmm/service/human.h"

/* On the stub's thread: what gdb shows for "monitor". */
static void on_monitor(void *context, const char *text, struct gdb_answer *lines)
{
	size_t size = 0;
	char *said = human_text(context, 0, text, &size);

	if (said)
		gdb_answer_bytes(lines, said, size < GDB_PACKET_MAX ? size : GDB_PACKET_MAX);
	free(said);
}

int service_serve_gdb(struct service *service, const char *path, struct error *error)
{
	const struct gdb_server_config config = {
		.guest = service->guest, .path = path, .monitor = on_monitor, .context = service};
	struct gdb_server *server;
	int err = gdb_server_create(&config, &server, error);

	if (err)
		return err;
	gdb_server_destroy(service->gdb);
	service->gdb = server;
	return 0;
}

void service_end_gdb(struct service *service)
{
	gdb_server_destroy(service->gdb);
	service->gdb = NULL;
}

static json_t *gdbserver(struct service *service, const struct qmp_request *request)
{
	const struct qmp_value *path = qmp_get(request, "path");
	struct error error;

	if (!path->given)
		service_end_gdb(service);
	else if (service_may_write(service, path->text, &error) != 0 ||
		 service_serve_gdb(service, path->text, &error) != 0)
		return qmp_error(request, "gdbserver: %s", error.text);
	return qmp_return(request, json_object());
}

const struct service_handler service_gdb_handlers[] = {
	{"gdbserver", gdbserver},
	{NULL, NULL},
};
