/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What vmm/service*.c share. */
#ifndef VMM_SERVICE_PRIVATE_H
#define VMM_SERVICE_PRIVATE_H

#include <pthread.h>

#include "ept/dirty.h"
#include "ept/live.h"
#include "vmm/audit/audit.h"
#include "vmm/inspect/inspect.h"
#include "vmm/wire/protocol.h"
#include "vmm/service/service.h"

/* What the service does by itself on a lane. */
enum chore {
	CHORE_NONE,  /* a client's request */
	CHORE_AUDIT, /* it is time to */
	CHORE_CORE,  /* the guest died */
};

/* What waits for its lane. */
struct job {
	struct job *next;
	enum chore chore;
	uint64_t client;
	struct qmp_request *request; /* NULL with a chore */
};

/* A thread that does one job after the other. */
struct lane {
	struct service *service;
	pthread_t thread;
	bool started;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct job *jobs, **last_job; /* mutex, all up to here and below */
	bool ending;
	const char *doing; /* the command under way, or NULL */
	double since;
	uint64_t progress; /* the server's thread alone: as it was told last */
};

/* Lanes of vCPUs come first. */
#define LANE_LOOK  NB_MAX_VCPUS
#define LANE_ALONE (NB_MAX_VCPUS + 1)
#define NR_LANES   (NB_MAX_VCPUS + 2)

/* A moment that was kept, for query-diff (vmm/service/diff.c). */
struct look_snapshot;
#define MOMENTS_MAX       16
#define MOMENT_NAME_BYTES 64
struct moment {
	char name[MOMENT_NAME_BYTES]; /* empty: unused */
	struct look_snapshot *snapshot;
	uint64_t operation;
};

/* What trap-set watches (vmm/service/traps.c). */
struct service_traps;

#define EVENTS_KEPT 256u

struct service {
	char name[64];
	FILE *log;
	uint64_t audit_every;
	struct guest *guest;
	struct server *server;
	double started;
	struct lane lanes[NR_LANES];
	uint64_t calls;      /* atomic: hypercalls done; the auditor's operations */
	uint64_t violations; /* atomic */
	bool shutting_down;  /* atomic */

	pthread_mutex_t events_mutex;
	json_t *events[EVENTS_KEPT]; /* events_mutex; the last ones, from nr_events - 1 down */
	uint64_t nr_events;          /* events_mutex */

	pthread_mutex_t call_mutex[NB_MAX_VCPUS];
	bool paused; /* every call_mutex to write, any to read; atomic for others */

	pthread_mutex_t look_mutex;
	struct inspector *inspector; /* look_mutex, and below */
	struct audit *audit;
	size_t violations_told; /* of audit_violation_at() */
	struct moment moments[MOMENTS_MAX];

	struct service_traps *traps;

	/* look_mutex; made and switched with all calls locked as well. NULL: never asked for. */
	struct dirty_tracker *dirty;
	double epoch_since; /* when its epoch began */

	/* The lane that is alone: the probe, from the first time the real tables are asked for. */
	struct live *live;
	unsigned int nudges; /* vCPUs made to learn their root */

	double core_told; /* the lane that is alone: when DUMP_PROGRESS was sent last */
};

/* Carries out a request and returns the whole answer. */
typedef json_t *(*service_fn)(struct service *service, const struct qmp_request *request);

/* By the command's name; ended by NULL. What has none and an opcode is a plain hypercall. */
struct service_handler {
	const char *name;
	service_fn handle;
};

extern const struct service_handler service_guest_handlers[], service_look_handlers[],
	service_memory_handlers[], service_audit_handlers[], service_event_handlers[],
	service_table_handlers[], service_frame_handlers[], service_diff_handlers[],
	service_second_handlers[], service_trap_handlers[], service_dirty_handlers[];

/* Carries out any PROTOCOL_CALL command. */
json_t *service_call(struct service *service, const struct qmp_request *request);

/* No hypercall is under way on any vCPU between these. */
void service_lock_calls(struct service *service);
void service_unlock_calls(struct service *service);

/* Whether the guest is paused, from any thread. */
bool service_paused(const struct service *service);

/* Audits with all calls and the look mutex locked, and tells what is new. Errors: -ENOMEM. */
int service_audit(struct service *service, uint32_t which, struct audit_result *result_out);

/* Puts a request, which is taken, or a chore on a lane. */
void service_queue(struct service *service, unsigned int lane, uint64_t client,
		   struct qmp_request *request);
void service_queue_chore(struct service *service, enum chore chore);

/* Tells every client of an event, and keeps it for query-events. Takes @data. Any thread. */
void service_tell(struct service *service, const char *name, json_t *data);
void service_forget_events(struct service *service);

void service_forget_moments(struct service *service);

/* Writes the core of a guest that died, where its configuration names a file. */
void service_write_core(struct service *service);

/*
 * The page tables a request names: those of its "process", or at its "root", or the kernel's. With
 * the look mutex held. Errors: look_process()'s.
 */
int service_tables(struct service *service, const struct qmp_request *request,
		   struct paging_mode *mode_out);

/* The answer to a look that failed with @err, one of vmm/look*.h's. */
json_t *service_failed(const struct qmp_request *request, int err);

/* The table of traps; NULL for want of memory. Destroyed when the guest is. NULL is allowed. */
struct service_traps *service_traps_create(void);
void service_traps_destroy(struct service_traps *traps);

/* Ends dirty tracking, before the guest is destroyed. */
void service_end_dirty(struct service *service);

/* A guest_access_fn of the service's. */
enum watch_answer service_on_access(void *context, const struct guest_access *access);

double service_now(void);

/* "symbol+0x1/0x2", or "" where no symbol holds @address. */
const char *service_place(const struct service *service, uint64_t address,
			  char text[IMAGE_PLACE_BYTES]);

#endif
