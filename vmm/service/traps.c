/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Traps for clients: which pages are watched for whom, what becomes of an access, and who waits.
 *
 * A trap is a range of addresses when it is set and a list of frames from then on. No frame is of
 * two traps, so an access has one owner.
 *
 * Locks: `mutex` guards the table and is taken last, for moments: vCPUs take it when they touch
 * what is watched. Traps are set and cleared on the lane that looks, one after the other.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/range_set.h"
#include "vmm/machine/insn.h"
#include "vmm/service/private.h"

#define TRAPS_MAX 64
#define PAGE      INSPECT_PAGE_BYTES

/* How long a vCPU may take from its event until it can be released. */
#define RELEASE_TRIES        5000
#define RELEASE_MICROSECONDS 1000

/* As the protocol's table has them. */
enum access { ACCESS_ANY, ACCESS_READ, ACCESS_WRITE };
static const char *const access_names[] = {"any", "read", "write"};
static const char *const policy_names[] = {"go", "hold", "deny"}; /* enum watch_answer */
#define SPACE_PHYSICAL 1u

/* Frames that follow each other. */
struct run {
	uint64_t start, end;
};

struct trap {
	uint32_t number; /* 0: unused */
	uint64_t address, size;
	bool physical;
	enum access access;
	enum watch_answer policy;
	uint64_t hits; /* mutex */
	struct run *runs;
	size_t nr_runs;
	uint64_t pages;
};

/* As the protocol's table has them: what one release lets through. */
enum until { UNTIL_ACCESS, UNTIL_INSTRUCTION, UNTIL_OPERATION };

/* A vCPU that is or was held, and what of it goes on without being held again. */
struct passage {
	enum until until;
	uint64_t rip, rcx; /* of the access */
	bool repeats;      /* by a repeated string instruction */
};

struct service_traps {
	pthread_mutex_t mutex;
	uint32_t last_number;
	struct trap traps[TRAPS_MAX];
	struct range_set frames;    /* mutex: each page, and whose it is: a place in traps */
	json_t *held[NB_MAX_VCPUS]; /* mutex: what TRAP told; NULL: it is not held */
	struct passage passage[NB_MAX_VCPUS]; /* mutex */
};

struct service_traps *service_traps_create(void)
{
	struct service_traps *traps = calloc(1, sizeof(*traps));

	if (traps)
		pthread_mutex_init(&traps->mutex, NULL);
	return traps;
}

void service_traps_destroy(struct service_traps *traps)
{
	if (!traps)
		return;
	for (unsigned int i = 0; i < TRAPS_MAX; i++)
		free(traps->traps[i].runs);
	for (unsigned int i = 0; i < NB_MAX_VCPUS; i++)
		json_decref(traps->held[i]);
	range_set_clear(&traps->frames);
	pthread_mutex_destroy(&traps->mutex);
	free(traps);
}

/* ---- an access, on the vCPU's thread ---- */

static bool is_told(const struct trap *trap, const struct guest_access *access)
{
	return trap->access == ACCESS_ANY || (trap->access == ACCESS_WRITE) == access->what.write;
}

static json_t *event_json(uint32_t number, enum watch_answer policy,
			  const struct guest_access *access)
{
	json_t *json = report_access_json(&access->what);
	const char *kind = report_access_name(&access->what);
	char call[REPORT_OPCODE_BYTES] = "no hypercall";

	if (access->have_call) {
		report_opcode_name(access->call.opcode, call);
		json_object_set_new(json, "hypercall", report_call_json(&access->call));
	}
	json_object_set_new(json, "trap", json_integer(number));
	json_object_set_new(json, "vcpu", json_integer(access->vcpu));
	json_object_set_new(json, "policy", json_string(policy_names[policy]));
	json_object_set_new(json, "kind", json_string(kind));
	json_object_set_new(json, "rip", qmp_hex(access->rip));
	json_object_set_new(json, "place", json_string(access->where));
	json_object_set_new(
		json, "text",
		access->what.have_gva
			? json_sprintf("trap %" PRIu32 ": %s of 0x%" PRIx64
				       " (guest-physical 0x%" PRIx64 ") at %s in %s: %s",
				       number, kind, access->what.gva, access->what.gpa,
				       access->where, call, policy_names[policy])
			: json_sprintf("trap %" PRIu32 ": %s of guest-physical 0x%" PRIx64
				       " at %s in %s: %s",
				       number, kind, access->what.gpa, access->where, call,
				       policy_names[policy]));
	return json;
}

/* Whether the instruction at @rip is a repeated one. */
static bool is_repeated(struct service *service, uint64_t rip)
{
	uint8_t code[INSN_BYTES_MAX] = {0};
	char text[INSN_TEXT_BYTES];

	/* What crosses into a page that is not there is too long to be one. */
	return guest_read(service->guest, gva_make(rip), code, sizeof(code)) == 0 &&
	       insn_text(code, sizeof(code), rip, text) != 0 && strncmp(text, "rep", 3) == 0;
}

/*
 * Whether the last release of this vCPU lets @access through as well. With the mutex held. The
 * steps of one repeated instruction count RCX down: one that begins anew is told again.
 */
static bool passes(struct passage *passage, const struct guest_access *access)
{
	if (passage->until == UNTIL_OPERATION)
		return true;
	if (passage->until != UNTIL_INSTRUCTION || !passage->repeats ||
	    access->rip != passage->rip || access->rcx > passage->rcx) {
		passage->until = UNTIL_ACCESS;
		return false;
	}
	passage->rcx = access->rcx;
	return true;
}

void service_operation_over(struct service *service, unsigned int vcpu)
{
	struct service_traps *traps = service->traps;

	pthread_mutex_lock(&traps->mutex);
	traps->passage[vcpu].until = UNTIL_ACCESS;
	pthread_mutex_unlock(&traps->mutex);
}

enum watch_answer service_on_access(void *context, const struct guest_access *access)
{
	struct service *service = context;
	struct service_traps *traps = service->traps;
	enum watch_answer answer = WATCH_GO_ON;
	struct trap *trap;
	json_t *event = NULL;
	uint64_t end;
	uint32_t at;

	pthread_mutex_lock(&traps->mutex);
	/* Where there is none it was cleared meanwhile. */
	if (range_set_find(&traps->frames, access->what.gpa, access->what.gpa + 1, &at, &end)) {
		trap = &traps->traps[at];
		if (is_told(trap, access)) {
			trap->hits++;
			answer = trap->policy;
			if (answer == WATCH_HOLD && passes(&traps->passage[access->vcpu], access))
				answer = WATCH_GO_ON;
			else
				event = event_json(trap->number, answer, access);
		}
	}
	if (answer == WATCH_HOLD) {
		traps->passage[access->vcpu] =
			(struct passage){.rip = access->rip,
					 .rcx = access->rcx,
					 .repeats = is_repeated(service, access->rip)};
		json_decref(traps->held[access->vcpu]);
		traps->held[access->vcpu] = event ? json_deep_copy(event) : json_object();
	}
	pthread_mutex_unlock(&traps->mutex);
	if (event)
		service_tell(service, "TRAP", event);
	return answer;
}

uint32_t service_held_by(struct service *service, unsigned int vcpu)
{
	struct service_traps *traps = service->traps;
	json_t *held;
	uint32_t trap = 0;

	pthread_mutex_lock(&traps->mutex);
	held = traps->held[vcpu];
	if (held && !guest_failure(service->guest))
		trap = (uint32_t)json_integer_value(json_object_get(held, "trap"));
	pthread_mutex_unlock(&traps->mutex);
	return trap;
}

/* ---- set ---- */

/* The frame that holds @address. Errors: -EFAULT. */
static int frame_of(struct service *service, const struct paging_mode *mode, bool physical,
		    uint64_t address, uint64_t *frame_out)
{
	struct paging_reader reader = guest_paging_reader(service->guest);
	struct paging_walk walk;

	*frame_out = address;
	if (physical)
		return 0;
	paging_walk(mode, &reader, gva_make(address), &walk);
	*frame_out = walk.gpa.value & ~(PAGE - 1);
	return walk.status == PAGING_MAPPED ? 0 : -EFAULT;
}

/* Adds a page to @trap, the table's entry @at; one it has already counts once. Errors: -EEXIST. */
static int add_frame(struct service_traps *traps, uint32_t at, uint64_t frame)
{
	struct trap *trap = &traps->traps[at];
	struct run *run = trap->nr_runs ? &trap->runs[trap->nr_runs - 1] : NULL;
	uint64_t end;
	uint32_t whose;
	int err;

	if (range_set_find(&traps->frames, frame, frame + PAGE, &whose, &end))
		return whose == at ? 0 : -EEXIST;
	err = range_set_add(&traps->frames, frame, frame + PAGE, at);
	if (err)
		return err;
	trap->pages++;
	if (run && run->end == frame)
		run->end += PAGE;
	else
		trap->runs[trap->nr_runs++] = (struct run){frame, frame + PAGE};
	return 0;
}

/* Takes what @trap has out of the table, its watches having ended. */
static void forget(struct service_traps *traps, struct trap *trap)
{
	uint64_t frame;

	pthread_mutex_lock(&traps->mutex);
	for (size_t i = 0; i < trap->nr_runs; i++)
		for (frame = trap->runs[i].start; frame < trap->runs[i].end; frame += PAGE)
			range_set_remove(&traps->frames, frame);
	free(trap->runs);
	*trap = (struct trap){0};
	pthread_mutex_unlock(&traps->mutex);
}

static void unwatch(struct service *service, const struct trap *trap, size_t nr_runs)
{
	struct error error;

	for (size_t i = 0; i < nr_runs; i++)
		(void)guest_unwatch(service->guest, gpa_make(trap->runs[i].start),
				    gpa_make(trap->runs[i].end), &error);
}

static int watch(struct service *service, const struct trap *trap, struct error *error)
{
	enum trap_access access = trap->access == ACCESS_WRITE ? TRAP_WRITE : TRAP_ANY;
	size_t i;
	int err;

	for (i = 0; i < trap->nr_runs; i++) {
		err = guest_watch(service->guest, gpa_make(trap->runs[i].start),
				  gpa_make(trap->runs[i].end), access, error);
		if (err) {
			unwatch(service, trap, i + 1);
			return err;
		}
	}
	return 0;
}

/* Finds the frames of a new trap. */
static int find_frames(struct service *service, uint32_t at, const struct paging_mode *mode,
		       struct error *error)
{
	struct service_traps *traps = service->traps;
	struct trap *trap = &traps->traps[at];
	uint64_t page = trap->address & ~(PAGE - 1), frame;
	uint64_t last = (trap->address + (trap->size - 1)) & ~(PAGE - 1);
	int err = 0;

	trap->runs = calloc((last - page) / PAGE + 1, sizeof(*trap->runs));
	if (!trap->runs)
		return error_set(error, -ENOMEM, "no memory for a trap");
	for (; !err; page += PAGE) {
		err = frame_of(service, mode, trap->physical, page, &frame);
		if (err)
			return error_set(error, err, "nothing is mapped at 0x%" PRIx64, page);
		pthread_mutex_lock(&traps->mutex);
		err = add_frame(traps, at, frame);
		pthread_mutex_unlock(&traps->mutex);
		if (page == last)
			break;
	}
	if (err == -EEXIST)
		return error_set(error, err,
				 "another trap has the frame at guest-physical 0x%" PRIx64
				 ": query-traps lists them, trap-clear ends one",
				 frame);
	return err ? error_set(error, err, "no memory for a trap") : 0;
}

static int free_place(struct service *service, uint32_t *at_out, struct error *error)
{
	if (guest_traps_frames(service->guest))
		return error_set(error, -EBUSY,
				 "the use-after-free trap has this guest's traps to itself: "
				 "start one with --traps and without --trap-uaf");
	for (uint32_t i = 0; i < TRAPS_MAX; i++) {
		if (!service->traps->traps[i].number) {
			*at_out = i;
			return 0;
		}
	}
	return error_set(error, -ENOSPC, "there are %d traps, no more can be set", TRAPS_MAX);
}

static json_t *set_trap(struct service *service, const struct qmp_request *request)
{
	struct service_traps *traps = service->traps;
	struct paging_mode mode;
	struct error error;
	struct trap *trap;
	uint32_t at = 0;
	int err = free_place(service, &at, &error);

	if (err)
		return qmp_error(request, "trap-set: %s", error.text);
	pthread_mutex_lock(&service->look_mutex);
	err = service_tables(service, request, &mode);
	pthread_mutex_unlock(&service->look_mutex);
	if (err)
		return service_failed(request, err);
	trap = &traps->traps[at];
	*trap = (struct trap){
		.number = traps->last_number + 1,
		.address = qmp_get(request, "address")->word,
		.size = qmp_get(request, "size")->word,
		.physical = qmp_get(request, "space")->word == SPACE_PHYSICAL,
		.access = (enum access)qmp_get(request, "access")->word,
		.policy = (enum watch_answer)qmp_get(request, "policy")->word,
	};
	if (trap->address + (trap->size - 1) < trap->address)
		err = error_set(&error, -EINVAL, "the range reaches past the last address");
	/* In the table first: whoever is trapped finds his policy there. */
	if (!err)
		err = find_frames(service, at, &mode, &error);
	if (!err)
		err = watch(service, trap, &error);
	if (err) {
		forget(traps, trap);
		return qmp_error(request, "trap-set: %s", error.text);
	}
	traps->last_number++;
	return QMP_REPLY(request, QMP_NUMBER(trap->number), QMP_NUMBER(trap->pages));
}

/* ---- clear, list ---- */

static json_t *clear_trap(struct service *service, const struct qmp_request *request)
{
	const struct qmp_value *number = qmp_get(request, "trap");
	bool found = !number->given;
	struct trap *trap;

	for (unsigned int i = 0; i < TRAPS_MAX; i++) {
		trap = &service->traps->traps[i];
		if (!trap->number || (number->given && trap->number != number->word))
			continue;
		unwatch(service, trap, trap->nr_runs);
		forget(service->traps, trap);
		found = true;
	}
	if (!found)
		return qmp_error(request, "trap-clear: there is no trap %d; query-traps lists them",
				 (int)number->word);
	return qmp_return(request, json_object());
}

static json_t *trap_json(const struct trap *trap)
{
	return QMP_ROW(protocol_traps, QMP_NUMBER(trap->number), QMP_NUMBER(trap->address),
		       QMP_NUMBER(trap->size), QMP_STRING(trap->physical ? "physical" : "virtual"),
		       QMP_NUMBER(trap->pages), QMP_STRING(access_names[trap->access]),
		       QMP_STRING(policy_names[trap->policy]), QMP_NUMBER(trap->hits));
}

static json_t *query_traps(struct service *service, const struct qmp_request *request)
{
	struct service_traps *traps = service->traps;
	json_t *list = json_array(), *held = json_array();

	pthread_mutex_lock(&traps->mutex);
	for (unsigned int i = 0; i < TRAPS_MAX; i++)
		if (traps->traps[i].number)
			json_array_append_new(list, trap_json(&traps->traps[i]));
	for (unsigned int i = 0; i < NB_MAX_VCPUS; i++)
		if (traps->held[i] && !guest_failure(service->guest))
			json_array_append_new(held, json_deep_copy(traps->held[i]));
	pthread_mutex_unlock(&traps->mutex);
	return QMP_REPLY(request, QMP_JSON(list), QMP_JSON(held));
}

/* ---- release ---- */

/* Whether vCPU @vcpu is held; from then on it is not, and passes @until. */
static bool take_held(struct service_traps *traps, unsigned int vcpu, enum until until)
{
	json_t *held;

	pthread_mutex_lock(&traps->mutex);
	held = traps->held[vcpu];
	traps->held[vcpu] = NULL;
	if (held)
		traps->passage[vcpu].until = until;
	pthread_mutex_unlock(&traps->mutex);
	json_decref(held);
	return held != NULL;
}

static json_t *release_trap(struct service *service, const struct qmp_request *request)
{
	unsigned int vcpu = (unsigned int)qmp_get(request, "vcpu")->word;
	enum watch_answer answer = qmp_get(request, "answer")->word ? WATCH_DENY : WATCH_GO_ON;
	int err = -ENOENT;

	if (vcpu >= guest_nr_vcpus(service->guest))
		return service_bad_vcpu(service, request, vcpu);
	if (guest_failure(service->guest))
		return qmp_error(request, "the guest is dead: nobody is held");
	if (!take_held(service->traps, vcpu, (enum until)qmp_get(request, "until")->word))
		return qmp_error(request,
				 "trap-release: no trap holds vCPU %u; query-traps lists "
				 "who is held",
				 vcpu);
	/* It was told of before it waits: it may be on its way there. */
	for (int i = 0; i < RELEASE_TRIES && err == -ENOENT; i++) {
		err = guest_release(service->guest, vcpu, answer);
		if (err == -ENOENT)
			usleep(RELEASE_MICROSECONDS);
		if (guest_failure(service->guest))
			break;
	}
	if (err)
		return qmp_error(request, "trap-release: vCPU %u waits no more: %s", vcpu,
				 strerror(-err));
	return qmp_return(request, json_object());
}

const struct service_handler service_trap_handlers[] = {
	{"trap-set", set_trap},
	{"trap-clear", clear_trap},
	{"query-traps", query_traps},
	{"trap-release", release_trap},
	{NULL, NULL},
};
