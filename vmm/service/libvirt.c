/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest in libvirt's terms: its domain XML, memory statistics and bulk statistics, by libvirt's
 * names and numbers (vmm/domain/stats.h). What is not measured is not said: a guest without swap,
 * page cache or balloon has no figure for them, and it does not count its page faults.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "vmm/domain/stats.h"
#include "vmm/look/zones.h"
#include "vmm/service/private.h"

#define PAGE_KIB (INSPECT_PAGE_BYTES / 1024)

/* ---- this process ---- */

void service_begin_domain(struct service *service)
{
	struct service_domain *domain = &service->domain;
	char path[64];

	domain->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	for (unsigned int i = 0; i < guest_nr_vcpus(service->guest); i++) {
		snprintf(path, sizeof(path), "/proc/self/task/%d/schedstat",
			 (int)guest_thread_id(service->guest, i));
		domain->run_of[i] = open(path, O_RDONLY | O_CLOEXEC);
	}
	domain->open = true;
}

void service_end_domain(struct service *service)
{
	struct service_domain *domain = &service->domain;

	free(domain->xml);
	domain->xml = NULL;
	if (!domain->open)
		return;
	domain->open = false;
	if (domain->statm >= 0)
		close(domain->statm);
	for (unsigned int i = 0; i < guest_nr_vcpus(service->guest); i++) {
		if (domain->run_of[i] >= 0)
			close(domain->run_of[i]);
	}
}

/* The first two numbers of a file of /proc. Returns whether there are. */
static bool read_two(int fd, uint64_t *first_out, uint64_t *second_out)
{
	char text[128];
	ssize_t got = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);

	if (got <= 0)
		return false;
	text[got] = '\0';
	return sscanf(text, "%" SCNu64 " %" SCNu64, first_out, second_out) == 2;
}

/* ---- memory ---- */

/* What is measured of it: a bit of `known` for each value. */
struct memory_stats {
	uint64_t value[DOMAIN_MEMORY_NR];
	uint32_t known;
};

static void know(struct memory_stats *stats, enum domain_memory_tag tag, uint64_t value)
{
	stats->value[tag] = value;
	stats->known |= 1u << tag;
}

/*
 * What the guest's own counts say, as Linux's balloon driver would: MemTotal, MemFree and, of a
 * guest that caches nothing, what of that is above the watermarks for MemAvailable. A guest whose
 * counts cannot be is one of which nothing was measured.
 */
static void measure_guest(struct service *service, struct memory_stats *stats)
{
	uint64_t managed = 0, unused = 0, usable = 0;
	struct look_zones zones;
	bool sane = true;
	int err;

	pthread_mutex_lock(&service->look_mutex);
	err = look_zones(service->inspector, &zones);
	pthread_mutex_unlock(&service->look_mutex);
	if (err)
		return;
	for (size_t i = 0; i < zones.nr_zones; i++) {
		const struct look_zone *zone = &zones.zone[i];

		sane = sane && zone->managed <= zone->present && zone->free <= zone->managed;
		managed += zone->managed;
		unused += zone->free;
		usable += zone->free > zone->watermark_min ? zone->free - zone->watermark_min : 0;
	}
	sane = sane && zones.nr_zones > 0;
	look_zones_free(&zones);
	if (!sane)
		return;
	know(stats, DOMAIN_MEMORY_AVAILABLE, managed * PAGE_KIB);
	know(stats, DOMAIN_MEMORY_UNUSED, unused * PAGE_KIB);
	know(stats, DOMAIN_MEMORY_USABLE, usable * PAGE_KIB);
}

static void measure(struct service *service, struct memory_stats *stats)
{
	uint64_t all, resident;

	*stats = (struct memory_stats){.known = 0};
	/* There is no balloon: all of it, always. */
	know(stats, DOMAIN_MEMORY_ACTUAL_BALLOON, guest_memory_bytes(service->guest) / 1024);
	measure_guest(service, stats);
	if (read_two(service->domain.statm, &all, &resident))
		know(stats, DOMAIN_MEMORY_RSS, resident * (uint64_t)sysconf(_SC_PAGESIZE) / 1024);
	know(stats, DOMAIN_MEMORY_LAST_UPDATE, (uint64_t)time(NULL));
}

static json_t *query_memory_stats(struct service *service, const struct qmp_request *request)
{
	json_t *list = json_array();
	struct memory_stats stats;

	measure(service, &stats);
	for (unsigned int tag = 0; tag < DOMAIN_MEMORY_NR; tag++) {
		if (stats.known >> tag & 1)
			json_array_append_new(list, QMP_ROW(protocol_memory_stats, QMP_NUMBER(tag),
							    QMP_STRING(domain_memory_tag_name(tag)),
							    QMP_NUMBER(stats.value[tag])));
	}
	return QMP_REPLY(request, QMP_JSON(list));
}

/* ---- bulk statistics ---- */

static void add(json_t *list, json_t *value, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void add(json_t *list, json_t *value, const char *format, ...)
{
	char name[128];
	va_list args;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	json_array_append_new(list,
			      QMP_ROW(protocol_domain_stats, QMP_STRING(name), QMP_JSON(value)));
}

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)(value & INT64_MAX));
}

/* As virsh prints what is a boolean to libvirt. */
static json_t *yes_or_no(bool value)
{
	return json_string(value ? "yes" : "no");
}

static void add_state(struct service *service, json_t *list)
{
	int state = DOMAIN_STATE_RUNNING, reason = DOMAIN_RUNNING_BOOTED;

	if (guest_failure(service->guest)) {
		state = DOMAIN_STATE_CRASHED;
		reason = DOMAIN_CRASHED_PANICKED;
	} else if (service_paused(service)) {
		state = DOMAIN_STATE_PAUSED;
		reason = DOMAIN_PAUSED_USER;
	} else if (__atomic_load_n(&service->domain.resumed, __ATOMIC_RELAXED)) {
		reason = DOMAIN_RUNNING_UNPAUSED;
	}
	add(list, json_integer(state), "state.state");
	add(list, json_integer(reason), "state.reason");
}

static uint64_t nanoseconds(struct timeval time)
{
	return ((uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec) * 1000;
}

static void add_cpu(struct service *service, json_t *list)
{
	struct rusage usage;

	(void)service;
	if (getrusage(RUSAGE_SELF, &usage))
		return;
	add(list, number(nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime)), "cpu.time");
	add(list, number(nanoseconds(usage.ru_utime)), "cpu.user");
	add(list, number(nanoseconds(usage.ru_stime)), "cpu.system");
}

static void add_balloon(struct service *service, json_t *list)
{
	struct memory_stats stats;

	measure(service, &stats);
	add(list, number(stats.value[DOMAIN_MEMORY_ACTUAL_BALLOON]), "balloon.current");
	add(list, number(guest_memory_bytes(service->guest) / 1024), "balloon.maximum");
	for (unsigned int tag = 0; tag < DOMAIN_MEMORY_NR; tag++) {
		const char *name = domain_memory_bulk_name(tag);

		if (name && stats.known >> tag & 1)
			add(list, number(stats.value[tag]), "%s", name);
	}
}

/* KVM's counters by libvirt's naming of what a hypervisor has: PREFIX.NAME.cur, .sum or .max. */
static void add_counters(json_t *list, const struct stats *stats, const char *prefix)
{
	static const char *const types[] = {
		[STATS_CUMULATIVE] = "sum", [STATS_INSTANT] = "cur", [STATS_PEAK] = "max"};

	for (size_t i = 0; i < stats_count(stats); i++) {
		const struct stats_entry *entry = stats_at(stats, i);

		/* Histograms have no such name. */
		if (entry->kind > STATS_PEAK || entry->count != 1)
			continue;
		add(list,
		    entry->unit == STATS_BOOLEAN ? yes_or_no(entry->values[0])
						 : number(entry->values[0]),
		    "%s.%s.%s", prefix, entry->name, types[entry->kind]);
	}
}

static int vcpu_state(struct service *service, unsigned int vcpu)
{
	if (guest_failure(service->guest))
		return DOMAIN_VCPU_OFFLINE;
	return service_held_by(service, vcpu) ? DOMAIN_VCPU_BLOCKED : DOMAIN_VCPU_RUNNING;
}

static void add_vcpu(struct service *service, json_t *list)
{
	unsigned int count = guest_nr_vcpus(service->guest);
	uint64_t ran, waited;
	char prefix[32];
	double since;

	add(list, number(guest_failure(service->guest) ? 0 : count), "vcpu.current");
	add(list, number(count), "vcpu.maximum");
	for (unsigned int i = 0; i < count; i++) {
		struct stats *stats = service->live.stats[i];
		bool idle = !lane_doing(&service->lanes[i], &since);

		add(list, json_integer(vcpu_state(service, i)), "vcpu.%u.state", i);
		if (read_two(service->domain.run_of[i], &ran, &waited)) {
			add(list, number(ran), "vcpu.%u.time", i);
			add(list, number(waited), "vcpu.%u.delay", i);
		}
		/* Between two hypercalls it waits in HLT. */
		add(list, yes_or_no(idle), "vcpu.%u.halted", i);
		snprintf(prefix, sizeof(prefix), "vcpu.%u", i);
		if (stats && stats_read(stats, NULL) == 0)
			add_counters(list, stats, prefix);
	}
}

static void add_dirtyrate(struct service *service, json_t *list)
{
	struct dirty_rate rate = {.epochs = 0};
	bool started;

	pthread_mutex_lock(&service->look_mutex);
	started = service->dirty.tracker != NULL;
	if (started)
		dirty_rate(service->dirty.tracker, &rate);
	pthread_mutex_unlock(&service->look_mutex);
	add(list,
	    json_integer(rate.epochs ? DOMAIN_DIRTYRATE_MEASURED
			 : started   ? DOMAIN_DIRTYRATE_MEASURING
				     : DOMAIN_DIRTYRATE_UNSTARTED),
	    "dirtyrate.calc_status");
	if (!started)
		return;
	add(list, json_string("dirty-bitmap"), "dirtyrate.calc_mode");
	if (rate.epochs)
		add(list,
		    number((uint64_t)(rate.last_pages * INSPECT_PAGE_BYTES / (1024.0 * 1024.0))),
		    "dirtyrate.megabytes_per_second");
}

static void add_vm(struct service *service, json_t *list)
{
	int fd = guest_kvm_fd(service->guest, -1);
	struct stats *stats;
	struct error error;

	if (fd < 0 || stats_open(fd, &stats, &error))
		return;
	add_counters(list, stats, "vm");
	stats_close(stats);
}

static const struct {
	const char *name;
	void (*add)(struct service *service, json_t *list);
} bulk[] = {
	{"state", add_state}, {"cpu-total", add_cpu},       {"balloon", add_balloon},
	{"vcpu", add_vcpu},   {"dirtyrate", add_dirtyrate}, {"vm", add_vm},
};
#define NR_BULK (sizeof(bulk) / sizeof(bulk[0]))

static json_t *query_domain_stats(struct service *service, const struct qmp_request *request)
{
	json_t *list = json_array();
	bool named = false;

	for (size_t i = 0; i < NR_BULK; i++)
		named = named || qmp_get(request, bulk[i].name)->flag;
	for (size_t i = 0; i < NR_BULK; i++) {
		if (!named || qmp_get(request, bulk[i].name)->flag)
			bulk[i].add(service, list);
	}
	return QMP_REPLY(request, QMP_JSON(list));
}

/* ---- the domain ---- */

void service_set_domain_xml(struct service *service, char *xml)
{
	size_t length = strlen(xml);

	/* Lines of text, of which the last needs no end. */
	while (length && xml[length - 1] == '\n')
		xml[--length] = '\0';
	free(service->domain.xml);
	service->domain.xml = xml;
}

static json_t *query_domain_xml(struct service *service, const struct qmp_request *request)
{
	if (!service->domain.xml)
		return qmp_error(request, "query-domain-xml: this guest has no description");
	return QMP_REPLY(request, QMP_STRING(service->domain.xml));
}

const struct service_handler service_libvirt_handlers[] = {
	{"query-domain-xml", query_domain_xml},
	{"query-memory-stats", query_memory_stats},
	{"query-domain-stats", query_domain_stats},
	{NULL, NULL},
};
