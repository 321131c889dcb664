/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The socket, the client there is, and the guest it debugs. */
#include "vmm/gdb/server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/gdb/session.h"
#include "vmm/machine/guest.h"
#include "vmm/wire/runtime.h"

#define INTERRUPT '\003'

struct gdb_server {
	struct gdb_server_config config;
	struct gdb_target target;
	struct runtime_socket socket;
	int quit_fd;
	pthread_t thread;

	/* The thread's, of the client there is. */
	int client_fd; /* -1: none */
	struct debug *debug;
	struct gdb_reader reader;
	struct gdb_session session;
	struct gdb_answer answer;
	char frame[GDB_FRAME_MAX];
	size_t frame_size; /* of what was sent last */
};

/* ---- the guest, as the session calls it ---- */

static struct debug *debug_of(void *context)
{
	const struct gdb_server *server = context;

	return server->debug;
}

static int get_registers(void *context, unsigned int cpu, struct debug_registers *out)
{
	return debug_get_registers(debug_of(context), cpu, out);
}

static int set_registers(void *context, unsigned int cpu, const struct debug_registers *in)
{
	return debug_set_registers(debug_of(context), cpu, in);
}

static size_t read_memory(void *context, unsigned int cpu, bool physical, uint64_t address,
			  void *buffer, size_t size_bytes)
{
	return debug_read(debug_of(context), cpu, physical, address, buffer, size_bytes);
}

static int write_memory(void *context, unsigned int cpu, bool physical, uint64_t address,
			const void *buffer, size_t size_bytes)
{
	return debug_write(debug_of(context), cpu, physical, address, buffer, size_bytes);
}

static int insert(void *context, unsigned int cpu, const struct debug_point *point)
{
	return debug_insert(debug_of(context), cpu, point);
}

static int remove_point(void *context, const struct debug_point *point)
{
	return debug_remove(debug_of(context), point);
}

static int resume(void *context, const struct debug_order *orders)
{
	return debug_resume(debug_of(context), orders);
}

static int back(void *context, unsigned int cpu, bool step)
{
	return debug_back(debug_of(context), cpu, step);
}

/* Whether Ctrl-C is the next the client said, while the past is searched. */
static bool is_asked(void *context)
{
	const struct gdb_server *server = context;
	char byte;

	return recv(server->client_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1 && byte == INTERRUPT;
}

static void interrupt(void *context)
{
	debug_interrupt(debug_of(context));
}

static void kill_guest(void *context)
{
	const struct gdb_server *server = context;

	guest_kill(server->config.guest, "killed by gdb");
}

static bool is_halted(void *context, unsigned int cpu)
{
	return debug_is_halted(debug_of(context), cpu);
}

static void step_blocks(void *context, bool block)
{
	debug_step_blocks(debug_of(context), block);
}

static void monitor(void *context, const char *text, struct gdb_answer *lines)
{
	const struct gdb_server *server = context;

	if (server->config.monitor)
		server->config.monitor(server->config.context, text, lines);
	else
		gdb_answer_text(lines, "this guest has no monitor\n");
}

static struct gdb_target make_target(struct gdb_server *server)
{
	return (struct gdb_target){
		.context = server,
		.nr_cpus = guest_nr_vcpus(server->config.guest),
		.get_registers = get_registers,
		.set_registers = set_registers,
		.read = read_memory,
		.write = write_memory,
		.insert = insert,
		.remove = remove_point,
		.resume = resume,
		.interrupt = interrupt,
		.kill = kill_guest,
		.is_halted = is_halted,
		.step_blocks = step_blocks,
		.monitor = monitor,
	};
}

/* ---- the client ---- */

static void part(struct gdb_server *server)
{
	if (server->client_fd < 0)
		return;
	debug_detach(server->debug);
	server->debug = NULL;
	close(server->client_fd);
	server->client_fd = -1;
}

/* False: it has gone. */
static bool send_all(struct gdb_server *server, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t sent = send(server->client_fd, bytes, size, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		bytes += sent;
		size -= (size_t)sent;
	}
	return true;
}

static bool send_answer(struct gdb_server *server)
{
	server->frame_size = gdb_frame(&server->answer, server->frame);
	return send_all(server, server->frame, server->frame_size);
}

static bool on_packet(struct gdb_server *server)
{
	enum gdb_next next;

	if (!server->session.no_ack && !send_all(server, "+", 1))
		return false;
	next = gdb_session_packet(&server->session, server->reader.bytes, server->reader.size,
				  &server->answer);
	if (next == GDB_WAIT)
		return true;
	if (next == GDB_CLOSE && server->answer.size == 0)
		return false;
	return send_answer(server) && next == GDB_SEND;
}

static bool on_event(struct gdb_server *server, enum gdb_event event)
{
	switch (event) {
	case GDB_PACKET:
		return on_packet(server);
	case GDB_INTERRUPT:
		if (server->session.running)
			debug_interrupt(server->debug);
		return true;
	case GDB_NACK:
		return server->session.no_ack ||
		       send_all(server, server->frame, server->frame_size);
	case GDB_BAD:
		return server->session.no_ack || send_all(server, "-", 1);
	default:
		return true;
	}
}

static bool on_bytes(struct gdb_server *server)
{
	char bytes[4096];
	ssize_t size = recv(server->client_fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	size_t taken = 0;
	enum gdb_event event;

	if (size < 0)
		return errno == EAGAIN || errno == EINTR;
	if (size == 0)
		return false;
	while (taken < (size_t)size) {
		taken += gdb_reader_feed(&server->reader, bytes + taken, (size_t)size - taken,
					 &event);
		if (!on_event(server, event))
			return false;
	}
	return true;
}

static bool on_stop(struct gdb_server *server)
{
	struct debug_stop stop;

	if (!debug_poll(server->debug, &stop))
		return true;
	server->answer.size = 0;
	gdb_session_stopped(&server->session, &stop, &server->answer);
	return send_answer(server);
}

/* It has the guest stopped before its first packet is read. */
static bool meet(struct gdb_server *server, int fd)
{
	const struct timeval patience = {.tv_sec = GDB_SEND_SECONDS};
	struct debug_stop stop = {0};
	struct error error;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
	    debug_attach(server->config.guest, &server->debug, &error) != 0)
		return false;
	(void)debug_poll(server->debug, &stop);
	memset(&server->reader, 0, sizeof(server->reader));
	server->frame_size = 0;
	server->client_fd = fd;
	server->target.back = debug_can_go_back(server->debug) ? back : NULL;
	debug_on_search(server->debug, is_asked, server);
	gdb_session_begin(&server->session, &server->target, &stop);
	return true;
}

static void on_connect(struct gdb_server *server)
{
	int fd = accept4(server->socket.listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (server->client_fd >= 0 || !meet(server, fd))
		close(fd);
}

static void *serve(void *context)
{
	struct gdb_server *server = context;
	struct pollfd fds[4] = {
		{.events = POLLIN}, {.events = POLLIN}, {.events = POLLIN}, {.events = POLLIN}};

	for (;;) {
		fds[0].fd = server->quit_fd;
		fds[1].fd = server->socket.listen_fd;
		fds[2].fd = server->client_fd;
		fds[3].fd = server->debug ? debug_fd(server->debug) : -1;
		if (poll(fds, 4, -1) < 0 && errno != EINTR)
			break;
		if (fds[0].revents)
			break;
		if ((fds[3].revents && !on_stop(server)) || (fds[2].revents && !on_bytes(server)))
			part(server);
		if (fds[1].revents)
			on_connect(server);
	}
	part(server);
	return NULL;
}

/* ---- life ---- */

static void free_server(struct gdb_server *server)
{
	runtime_close(&server->socket);
	if (server->quit_fd >= 0)
		close(server->quit_fd);
	free(server);
}

int gdb_server_create(const struct gdb_server_config *config, struct gdb_server **server_out,
		      struct error *error)
{
	struct gdb_server *server = calloc(1, sizeof(*server));
	int err;

	if (!server)
		return error_set(error, -ENOMEM, "no memory for a gdb stub");
	server->config = *config;
	server->client_fd = -1;
	server->target = make_target(server);
	err = runtime_listen(config->path, &server->socket, error);
	if (err) {
		free(server);
		return err;
	}
	server->quit_fd = eventfd(0, EFD_CLOEXEC);
	err = server->quit_fd < 0 ? errno : pthread_create(&server->thread, NULL, serve, server);
	if (err) {
		free_server(server);
		return error_set(error, -err, "the gdb stub's thread: %s", strerror(err));
	}
	*server_out = server;
	return 0;
}

void gdb_server_destroy(struct gdb_server *server)
{
	uint64_t one = 1;

	if (!server)
		return;
	/* An eventfd takes one more than nothing. */
	if (write(server->quit_fd, &one, sizeof(one)) == (ssize_t)sizeof(one))
		pthread_join(server->thread, NULL);
	free_server(server);
}

const char *gdb_server_path(const struct gdb_server *server)
{
	return server->socket.path;
}
