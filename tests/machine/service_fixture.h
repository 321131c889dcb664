/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest behind a socket, for tests of its service. */
#ifndef TESTS_MACHINE_SERVICE_FIXTURE_H
#define TESTS_MACHINE_SERVICE_FIXTURE_H

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/harness.h"
#include "tests/machine/service_client.h"

static struct served guest;
static int fd; /* a client that only looks on */

static const char *const two_cpus[] = {"--cpus", "2", "--memory", "32M", NULL};

static inline void start(void)
{
	served_start(&guest, "common", two_cpus);
}

static inline void stop(void)
{
	kill(guest.pid, SIGKILL);
	waitpid(guest.pid, NULL, 0);
}

static inline void connect_one(void)
{
	fd = client_open(&guest, false);
}

/* Whatever a test did: the guest serves, and its structures are right. */
static inline void still_serves(void)
{
	json_t *nop = client_return(fd, "{\"execute\": \"nop\", \"arguments\": {\"value\": 9}}\n");
	json_t *audit = client_return(fd, "{\"execute\": \"audit\"}\n");

	ck_assert_int_eq(json_integer_value(json_object_get(nop, "value")), 9);
	ck_assert_int_eq(json_integer_value(json_object_get(audit, "violations")), 0);
	ck_assert_int_gt(json_integer_value(json_object_get(audit, "items")), 100);
	json_decref(nop);
	json_decref(audit);
	close(fd);
}

#endif
