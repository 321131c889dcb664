/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of this room share; state.c and lanes.c are below all others. */
#ifndef VMM_SERVICE_PRIVATE_H
#define VMM_SERVICE_PRIVATE_H

#include <pthread.h>

#include "ept/dirty.h"
#include "ept/live.h"
#include "ept/stats.h"
#include "vmm/audit/audit.h"
#include "vmm/inspect/inspect.h"
#include "vmm/service/lanes.h"
#include "vmm/service/service.h"

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

/* events.c */
struct service_events {
	pthread_mutex_t mutex;
	json_t *kept[EVENTS_KEPT]; /* mutex; the last ones, from count - 1 down */
	uint64_t count;            /* mutex */
	/* mutex: what each vCPU said last, in the hypercall it is in; empty: nothing. */
	char said[NB_MAX_VCPUS][256];
};

/* audit.c */
struct service_audit {
	uint64_t every;      /* hypercalls; 0: only when asked */
	uint64_t violations; /* atomic */
	struct audit *audit; /* look_mutex, both */
	size_t told;         /* of audit_violation_at() */
};

/* dirty.c. look_mutex; made and switched with all calls locked as well. */
struct service_dirty {
	struct dirty_tracker *tracker; /* NULL: never asked for */
	double epoch_since;            /* when its epoch began */
};

/* stage2.c. The lane that is alone. */
struct service_live {
	struct live *probe;  /* from the first time the real tables are asked for */
	unsigned int nudges; /* vCPUs made to learn their root */
	double core_told;    /* when DUMP_PROGRESS was sent last */
	/* The lane that looks: each vCPU's statistics; NULL where KVM gave none. */
	struct stats *stats[NB_MAX_VCPUS];
};

/* libvirt.c. Files of /proc/self, open from the start on; -1 where there is none. */
struct service_domain {
	char *xml;                /* NULL: it was not told */
	bool open;                /* the files are: */
	int statm;                /* of this process */
	int run_of[NB_MAX_VCPUS]; /* schedstat of each vCPU's thread */
	bool resumed;             /* atomic: paused and continued since the start */
};

/* qemu.c: the last dump-guest-memory. */
struct service_dump {
	int state;                   /* atomic: its place in query-dump's choices */
	uint64_t completed, total;   /* atomic */
	struct qmp_request *request; /* of one that is active, */
	uint64_t client;             /* and whose it is */
};

/* Each part is the file's that is named with it; the rest is service.c's to make, all's to read. */
struct service {
	char name[64];
	FILE *log;
	const char *sandbox;              /* as service_config */
	const char *const *write_folders; /* places.c */
	size_t nr_write_folders;
	struct guest *guest;
	struct server *server;
	double started;
	bool shutting_down; /* atomic */
	struct lane lanes[NR_LANES];

	/* state.c */
	pthread_mutex_t call_mutex[NB_MAX_VCPUS];
	bool paused; /* every call_mutex to write, any to read; atomic for others */
	pthread_mutex_t look_mutex;
	struct inspector *inspector; /* look_mutex */

	uint64_t calls; /* call.c; atomic: hypercalls done; the auditor's operations */
	struct service_events events;
	struct service_audit audit;
	struct service_dirty dirty;
	struct service_live live;
	struct moment moments[MOMENTS_MAX]; /* diff.c; look_mutex */
	struct service_traps *traps;        /* traps.c */
	struct service_dump dump;           /* qemu.c */
	struct service_domain domain;       /* libvirt.c */
	struct gdb_server *gdb;             /* gdb.c; the lane that looks, while there are lanes */
};

/* Carries out a request and returns the whole answer. */
typedef json_t *(*service_fn)(struct service *service, const struct qmp_request *request);

/* By the command's name; ended by NULL. What has none and an opcode is a plain hypercall. */
struct service_handler {
	const char *name;
	service_fn handle;
};

/*
 * places.c. Whether a client may have the service write to @path; 0 or -EACCES, -EINVAL,
 * realpath(3)'s, with a sentence. What writes to it looks for itself that it is a file.
 */
int service_may_write(const struct service *service, const char *path, struct error *error);

/*
 * The same for what concerns the client itself, its descriptors for one: takes a request on the
 * server's thread, must not wait, and sees to its answer.
 */
struct service_taker {
	const char *name;
	void (*take)(struct service *service, uint64_t client, struct qmp_request *request);
};

extern const struct service_taker service_takers[];
extern const struct service_handler service_guest_handlers[], service_look_handlers[],
	service_memory_handlers[], service_audit_handlers[], service_event_handlers[],
	service_table_handlers[], service_frame_handlers[], service_diff_handlers[],
	service_second_handlers[], service_trap_handlers[], service_dirty_handlers[],
	service_qemu_handlers[], service_human_handlers[], service_libvirt_handlers[],
	service_job_handlers[], service_gdb_handlers[];

/* Carries out any PROTOCOL_CALL command. */
json_t *service_call(struct service *service, const struct qmp_request *request);

/*
 * Which argument the core answered @err for, and in *@why_out why, as far as that can be seen from
 * outside: what it logs is no more than it checks itself. NULL: none.
 */
const char *service_wrong_argument(struct service *service, const struct qmp_request *request,
				   int err, const char **why_out);

/*
 * No hypercall is under way on any vCPU between these. Waits for those under way, no longer than
 * SERVICE_WAIT_SECONDS, nor when @request (NULL: nobody's) is cancelled. Errors: -EBUSY with who
 * keeps it waiting (a trap that holds a vCPU: at once), nothing being locked.
 */
int service_lock_calls(struct service *service, const struct qmp_request *request,
		       struct error *error);
void service_unlock_calls(struct service *service);

/* Nothing that a client asked for waits longer until it is begun. */
#define SERVICE_WAIT_SECONDS 30.0

/* The page tables vCPU @cpu has now. Errors: guest_registers_now()'s. */
int service_cpu_tables(struct service *service, unsigned int cpu, struct paging_mode *mode_out);

/* Why vCPU @vcpu, or with NB_MAX_VCPUS any of them, takes nothing now: a sentence into @error. */
void service_say_busy(struct service *service, unsigned int vcpu, struct error *error);

/* The number of the trap that holds vCPU @vcpu; 0: none does. Any thread. */
uint32_t service_held_by(struct service *service, unsigned int vcpu);

/* The hypercall that vCPU @vcpu was in is over: what a release let through too. */
void service_operation_over(struct service *service, unsigned int vcpu);

/* Whether the guest is paused, from any thread. */
bool service_paused(const struct service *service);

/* Runs all checks on the lane that is alone. */
void service_audit_soon(struct service *service);

/* @line, which may be NULL: all of it for people. */
json_t *service_violation_json(const struct audit_violation *violation, const char *line);

/*
 * How far @request is, @done of @total (0: not known) steps. Returns false when it is to end early,
 * with what it has done: it was cancelled, or the service ends. On its lane's thread.
 */
bool service_go_on(struct service *service, const struct qmp_request *request, uint64_t done,
		   uint64_t total);
bool service_cancelled(const struct qmp_request *request);

/* What @client asked for is cancelled: nobody waits for it any more. Any thread. */
void service_client_gone(struct service *service, uint64_t client);

/* What is under way, for query-status; as the event PROGRESS, to be called about once a second. */
json_t *service_doing_json(struct service *service);
void service_tell_progress(struct service *service);

/* Tells every client of an event, and keeps it for query-events. Takes @data. Any thread. */
void service_tell(struct service *service, const char *name, json_t *data);
/* What vCPU @vcpu said since this was called last: into @text, empty for nothing. Any thread. */
void service_take_said(struct service *service, unsigned int vcpu, char text[256]);
void service_keep_said(struct service *service, unsigned int vcpu, const char *text);

void service_forget_events(struct service *service);

void service_forget_moments(struct service *service);

/* Writes the core of a guest that died, where its configuration names a file, on that lane. */
void service_write_core_soon(struct service *service);

/* The largest leaf this KVM makes. */
uint64_t service_largest_leaf(const struct service *service);

/* Opens what is kept open of the second stage, before any lane runs. */
void service_begin_stage2(struct service *service);

/* Opens what the process's figures are read from, before any lane runs; and closes it. */
void service_begin_domain(struct service *service);
void service_end_domain(struct service *service);

/* Ends what the second stage was looked at with, when no lane runs. */
void service_end_stage2(struct service *service);

/*
 * The page tables a request names: those of its "process", or at its "root", or the kernel's. With
 * the look mutex held. Errors: look_process()'s.
 */
int service_tables(struct service *service, const struct qmp_request *request,
		   struct paging_mode *mode_out);

/* The answer to a look that failed with @err, one of vmm/look's. */
json_t *service_failed(const struct qmp_request *request, int err);

/* The answer to a request that names a vCPU there is not. */
json_t *service_bad_vcpu(const struct service *service, const struct qmp_request *request,
			 unsigned int vcpu);

/* The table of traps; NULL for want of memory. Destroyed when the guest is. NULL is allowed. */
struct service_traps *service_traps_create(void);
void service_traps_destroy(struct service_traps *traps);

/* Ends the gdb stub, if there is one. */
void service_end_gdb(struct service *service);

/* Ends dirty tracking, before the guest is destroyed. */
void service_end_dirty(struct service *service);

/* A guest_access_fn of the service's. */
enum watch_answer service_on_access(void *context, const struct guest_access *access);

/* "symbol+0x1/0x2", or "" where no symbol holds @address. */
const char *service_place(const struct service *service, uint64_t address,
			  char text[IMAGE_PLACE_BYTES]);

#endif
