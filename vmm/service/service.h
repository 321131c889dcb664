/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The service: carries out what clients of the control socket ask of one running guest, and tells
 * them what happens to it. The commands are vmm/wire/protocol.h's.
 *
 * Threads. What never waits is done on the server's thread. All else goes to a lane, a thread with
 * a queue: one for each vCPU (hypercalls), one that looks, one for what needs every vCPU between
 * two hypercalls. So whoever waits for a long hypercall keeps nobody from looking, nor from another
 * vCPU.
 *
 * Locks, in the order they are taken: every vCPU's call mutex, ascending (its data area, paused),
 * then the look mutex (inspector, audit, moments), then a lane's or the events'. What is sent while
 * one is held goes into the server's list and waits for nobody.
 */
#ifndef VMM_SERVICE_SERVICE_H
#define VMM_SERVICE_SERVICE_H

#include <stdio.h>

#include "vmm/machine/guest.h"
#include "vmm/service/server.h"

struct service;

struct service_config {
	const char *name;     /* of the guest; copied */
	FILE *log;            /* where what the guest says is written as well; NULL: nowhere */
	uint64_t audit_every; /* hypercalls between two audits; 0: only when asked */
	const char *sandbox;  /* what query-status says of it; NULL: off. Outlives the service */
	/*
	 * Folders, as realpath(3) has them, below which clients may have files written; none:
	 * anywhere. They outlive the service.
	 */
	const char *const *write_folders;
	size_t nr_write_folders;
};

/* A service without a guest. Errors: -ENOMEM. */
int service_create(const struct service_config *config, struct service **service_out,
		   struct error *error);

/*
 * Ends a guest still busy, joins every lane, drops what was not begun. The server must have
 * stopped. Then the guest may be destroyed, which still calls the service, then this, then the
 * server.
 */
void service_stop(struct service *service);

/* Frees it, stopped or never started. NULL is allowed. */
void service_destroy(struct service *service);

/* Puts the service's callbacks into what the guest is to be started with. */
void service_prepare_guest(struct service *service, struct guest_config *config);

/* Puts the service's callbacks into what the server is to be created with. */
void service_prepare_server(struct service *service, struct server_config *config);

/*
 * Starts serving @guest through @server, neither of which it owns. Errors: the layout note's
 * (-EINVAL), -ENOMEM, pthread_create(3)'s.
 */
int service_start(struct service *service, struct guest *guest, struct server *server,
		  struct error *error);

/* What query-domain-xml is to say, before service_start(). Takes @xml, which free(3) frees. */
void service_set_domain_xml(struct service *service, char *xml);

/*
 * Serves gdb on a UNIX socket at @path, in place of another there may be (vmm/gdb/server.h). Before
 * the server runs. Errors: gdb_server_create()'s.
 */
int service_serve_gdb(struct service *service, const char *path, struct error *error);

/* Tells everybody that the service ends and why, and stops the server. */
void service_shut_down(struct service *service, const char *reason);

/* What audits found so far. */
uint64_t service_violations(const struct service *service);

/*
 * The name of a command of the table that nothing carries out, or of something carried out that is
 * in no table; NULL where there is none. For tests.
 */
const char *service_check(void);

#endif
