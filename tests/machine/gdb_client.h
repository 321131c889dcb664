/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client of the gdb stub that says packets and hears answers, beside a guest of this process. For
 * the one .c file of a test program.
 */
#ifndef TESTS_MACHINE_GDB_CLIENT_H
#define TESTS_MACHINE_GDB_CLIENT_H

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/harness.h"
#include "vmm/gdb/server.h"
#include "vmm/machine/guest.h"
#include "vmm/wire/runtime.h"

/* Nothing takes so long, on any machine. */
#define GDB_PATIENCE_MS 60000

static struct guest *gdb_guest;
static struct gdb_server *gdb_stub;
static char gdb_path[RUNTIME_PATH_BYTES];
static int gdb_fd;
static struct gdb_reader gdb_heard; /* its bytes: the last answer */

static inline void gdb_connect(void)
{
	struct error error;

	memset(&gdb_heard, 0, sizeof(gdb_heard));
	ck_assert_msg(runtime_connect(gdb_path, &gdb_fd, &error) == 0, "%s", error.text);
}

/* Hears one packet. False: the stub went away. */
static inline bool gdb_listen(void)
{
	struct pollfd fd = {.fd = gdb_fd, .events = POLLIN};
	enum gdb_event event;
	char byte;

	do {
		ck_assert_int_eq(poll(&fd, 1, GDB_PATIENCE_MS), 1);
		if (recv(gdb_fd, &byte, 1, 0) != 1)
			return false;
		gdb_reader_feed(&gdb_heard, &byte, 1, &event);
	} while (event != GDB_PACKET);
	return true;
}

static inline void gdb_say(const char *text)
{
	static struct gdb_answer packet;
	static char frame[GDB_FRAME_MAX];
	size_t size;

	packet.size = 0;
	gdb_answer_bytes(&packet, text, strlen(text));
	size = gdb_frame(&packet, frame);
	ck_assert_int_eq(send(gdb_fd, frame, size, MSG_NOSIGNAL), size);
}

static inline const char *gdb_ask(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline const char *gdb_ask(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	gdb_say(text);
	ck_assert_msg(gdb_listen(), "%s: no answer", text);
	return gdb_heard.bytes;
}

static inline uint64_t gdb_symbol(const char *name)
{
	const struct image_symbol *symbol = image_symbol_named(guest_image(gdb_guest), name);

	ck_assert_msg(symbol != NULL, "the guest has no %s", name);
	return symbol->start;
}

/* A register by its number, of 8 bytes. */
static inline uint64_t gdb_register(unsigned int number)
{
	const char *text = gdb_ask("p%x", number);
	uint64_t value = 0;

	ck_assert_uint_eq(strlen(text), 16);
	for (int i = 7; i >= 0; i--) {
		unsigned int byte;

		ck_assert_int_eq(sscanf(text + 2 * i, "%2x", &byte), 1);
		value = value << 8 | byte;
	}
	return value;
}

#define GDB_RDI 5u
#define GDB_RSI 4u
#define GDB_RDX 3u
#define GDB_RIP 16u
#define GDB_CR3 29u

static inline void gdb_begin_with(const struct guest_config *config)
{
	struct gdb_server_config stub = {.path = gdb_path};
	struct guest_report report;
	struct error error;
	int err = guest_start(config, &gdb_guest, &report, &error);

	ck_assert_msg(err == 0, "%s", error.text);
	snprintf(gdb_path, sizeof(gdb_path), "%s/nestbox-gdb-%d", P_tmpdir, (int)getpid());
	stub.guest = gdb_guest;
	err = gdb_server_create(&stub, &gdb_stub, &error);
	ck_assert_msg(err == 0, "%s", error.text);
	gdb_connect();
	gdb_ask("qSupported:multiprocess+;swbreak+;hwbreak+");
}

static inline void gdb_end(void)
{
	close(gdb_fd);
	gdb_server_destroy(gdb_stub);
	guest_destroy(gdb_guest);
}

/* ---- a hypercall, made meanwhile ---- */

struct gdb_call {
	struct nb_submission call;
	struct nb_completion answer;
	unsigned int vcpu;
	int err;
	pthread_t thread;
};

static inline void *gdb_run_call(void *context)
{
	struct gdb_call *call = context;

	call->err = guest_call(gdb_guest, call->vcpu, &call->call, &call->answer);
	return NULL;
}

static inline void gdb_call_begin(struct gdb_call *call, unsigned int vcpu, uint16_t opcode)
{
	memset(call, 0, sizeof(*call));
	call->vcpu = vcpu;
	call->call.opcode = opcode;
	if (opcode == NB_OP_VMALLOC) {
		call->call.arg[0] = 65536;
		call->call.arg[1] = 1;
		call->call.arg[2] = NB_VMALLOC_START;
		call->call.arg[3] = NB_VMALLOC_END;
		call->call.arg[4] = NB_GFP_KERNEL;
		call->call.arg[5] = NB_PAGE_KERNEL;
		call->call.arg[6] = 2; /* VM_ALLOC */
		call->call.arg[7] = (uint64_t)-1;
	}
	ck_assert_int_eq(pthread_create(&call->thread, NULL, gdb_run_call, call), 0);
}

/* It is answered well. */
static inline void gdb_call_end(struct gdb_call *call)
{
	pthread_join(call->thread, NULL);
	ck_assert_int_eq(call->err, 0);
	ck_assert_int_eq(call->answer.status, 0);
}

#endif
