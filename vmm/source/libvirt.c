/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A libvirt domain's QEMU: the same monitor, whose words libvirt carries; and memory by
 * lib.virDomainMemoryPeek() where the process may not be read.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "vmm/source/monitor.h"

#ifndef HAVE_LIBVIRT

int source_open_libvirt(const char *uri, const char *domain, struct source **source_out,
			struct error *error)
{
	return error_set(error, -EOPNOTSUPP,
			 "this nestctl was built without libvirt: install libvirt-dev, configure "
			 "again; --qmp reads the QEMU behind a domain without it");
}

#else

#include <dirent.h>
#include <dlfcn.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

/*
 * The library is loaded when the first domain is asked for: with the sixty others that it needs it
 * takes longer to load than most of what nestctl does.
 */
#define LIBRARY "libvirt-qemu.so.0"

static struct {
	typeof(&virConnectClose) virConnectClose;
	typeof(&virConnectGetType) virConnectGetType;
	typeof(&virConnectOpen) virConnectOpen;
	typeof(&virConnectSetKeepAlive) virConnectSetKeepAlive;
	typeof(&virDomainFree) virDomainFree;
	typeof(&virDomainGetUUIDString) virDomainGetUUIDString;
	typeof(&virDomainIsActive) virDomainIsActive;
	typeof(&virDomainLookupByName) virDomainLookupByName;
	typeof(&virDomainLookupByUUIDString) virDomainLookupByUUIDString;
	typeof(&virDomainMemoryPeek) virDomainMemoryPeek;
	typeof(&virDomainQemuMonitorCommand) virDomainQemuMonitorCommand;
	typeof(&virEventRegisterDefaultImpl) virEventRegisterDefaultImpl;
	typeof(&virEventRunDefaultImpl) virEventRunDefaultImpl;
	typeof(&virGetLastErrorCode) virGetLastErrorCode;
	typeof(&virGetLastErrorMessage) virGetLastErrorMessage;
	typeof(&virSetErrorFunc) virSetErrorFunc;
} lib;

#define FUNCTION(name)           \
	{                        \
#name, &lib.name \
	}
static const struct {
	const char *name;
	void *at; /* of the pointer */
} functions[] = {
	FUNCTION(virConnectClose),
	FUNCTION(virConnectGetType),
	FUNCTION(virConnectOpen),
	FUNCTION(virConnectSetKeepAlive),
	FUNCTION(virDomainFree),
	FUNCTION(virDomainGetUUIDString),
	FUNCTION(virDomainIsActive),
	FUNCTION(virDomainLookupByName),
	FUNCTION(virDomainLookupByUUIDString),
	FUNCTION(virDomainMemoryPeek),
	FUNCTION(virDomainQemuMonitorCommand),
	FUNCTION(virEventRegisterDefaultImpl),
	FUNCTION(virEventRunDefaultImpl),
	FUNCTION(virGetLastErrorCode),
	FUNCTION(virGetLastErrorMessage),
	FUNCTION(virSetErrorFunc),
};

static int load_library(struct error *error)
{
	static void *handle;
	void *found;

	if (handle)
		return 0;
	handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return error_set(error, -EOPNOTSUPP, "libvirt is not here (%s): install libvirt0",
				 dlerror());
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		found = dlsym(handle, functions[i].name);
		if (!found) {
			dlclose(handle);
			handle = NULL;
			return error_set(error, -EOPNOTSUPP, LIBRARY " has no %s",
					 functions[i].name);
		}
		memcpy(functions[i].at, &found, sizeof(found));
	}
	return 0;
}

struct libvirt_monitor {
	struct monitor monitor;
	virConnectPtr connection;
	virDomainPtr domain;
};

/* A daemon that says nothing any more is given up after so many intervals of so many seconds. */
#define KEEPALIVE_SECONDS 5
#define KEEPALIVE_COUNT   3
#define OPEN_SECONDS      30

/* libvirt's words and its number for them (virErrorNumber). */
static int fail(struct error *error, int code, const char *what)
{
	return error_set(error, code, "libvirt: %s: %s (error %d)", what,
			 lib.virGetLastErrorMessage(), lib.virGetLastErrorCode());
}

/* ---- a connection that does not hang ---- */

static void *run_events(void *unused)
{
	(void)unused;
	while (lib.virEventRunDefaultImpl() == 0)
		;
	return NULL;
}

/*
 * Without an event loop libvirt waits for a daemon for ever; with one it asks whether the other end
 * is there. The loop's thread is the process's, from the first connection on. Where there is none,
 * calls wait.
 */
static void begin_events(void)
{
	static bool begun;
	pthread_t thread;

	if (begun)
		return;
	begun = true;
	if (lib.virEventRegisterDefaultImpl() == 0 &&
	    pthread_create(&thread, NULL, run_events, NULL) == 0)
		pthread_detach(thread);
}

/* ---- the monitor ---- */

static int ask(struct monitor *monitor, json_t *command, json_t **return_out, struct error *error)
{
	struct libvirt_monitor *libvirt = (struct libvirt_monitor *)monitor;
	char *text = json_dumps(command, JSON_COMPACT), *answer_text = NULL;
	const char *why = "";
	json_t *answer;
	int err = 0;

	if (!text)
		return error_set(error, -ENOMEM, "no memory for a command");
	if (lib.virDomainQemuMonitorCommand(libvirt->domain, text, &answer_text, 0) < 0)
		err = lib.virGetLastErrorCode() == VIR_ERR_NO_SUPPORT
			      ? error_set(error, -EPROTO,
					  "libvirt: this domain's hypervisor is %s: it has no "
					  "monitor of QEMU's",
					  lib.virConnectGetType(libvirt->connection))
			      : fail(error, -EREMOTEIO, "the domain's monitor");
	free(text);
	if (err)
		return err;
	answer = json_loads(answer_text, 0, NULL);
	free(answer_text);
	if (!json_is_object(answer) ||
	    (!json_object_get(answer, "return") && !json_object_get(answer, "error")))
		err = error_set(error, -EPROTO, "libvirt: the domain's monitor is not QEMU's");
	else if (json_object_get(answer, "error")) {
		json_unpack(answer, "{s:{s:s}}", "error", "desc", &why);
		err = error_set(error, -EREMOTEIO, "QEMU: %s", why);
	} else {
		*return_out = json_incref(json_object_get(answer, "return"));
	}
	json_decref(answer);
	return err;
}

static bool peek(struct monitor *monitor, uint64_t gpa, void *buffer, size_t bytes)
{
	struct libvirt_monitor *libvirt = (struct libvirt_monitor *)monitor;

	return lib.virDomainMemoryPeek(libvirt->domain, gpa, bytes, buffer, VIR_MEMORY_PHYSICAL) ==
	       0;
}

static void close_libvirt(struct monitor *monitor)
{
	struct libvirt_monitor *libvirt = (struct libvirt_monitor *)monitor;

	if (libvirt->domain)
		lib.virDomainFree(libvirt->domain);
	if (libvirt->connection)
		lib.virConnectClose(libvirt->connection);
	free(libvirt);
}

/* Whether the command line of @pid, whose words end in NULs, has `-uuid @uuid`. */
static bool has_uuid(const char *pid, const char *uuid)
{
	char path[300], words[65536];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	length = read(fd, words, sizeof(words) - 1);
	close(fd);
	if (length <= 0)
		return false;
	words[length] = '\0';
	for (const char *word = words; word < words + length; word += strlen(word) + 1) {
		const char *next = word + strlen(word) + 1;

		if (!strcmp(word, "-uuid") && next < words + length && !strcmp(next, uuid))
			return true;
	}
	return false;
}

/* libvirt does not say; its QEMUs have the domain's UUID among their words. */
static pid_t find_process(virDomainPtr domain)
{
	char uuid[VIR_UUID_STRING_BUFLEN];
	struct dirent *entry;
	pid_t pid = 0;
	DIR *proc;

	if (lib.virDomainGetUUIDString(domain, uuid))
		return 0;
	proc = opendir("/proc");
	while (proc && pid == 0 && (entry = readdir(proc)) != NULL) {
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
		    has_uuid(entry->d_name, uuid))
			pid = (pid_t)atoi(entry->d_name);
	}
	if (proc)
		closedir(proc);
	return pid;
}

static void no_words(void *context, virErrorPtr error)
{
}

/*
 * A connection that is being opened, on a thread of its own: before it is there nothing bounds the
 * wait for a daemon that takes it and says nothing. Of who gives up and who is late the second
 * frees it.
 */
struct opening {
	pthread_mutex_t mutex;
	pthread_cond_t over;
	char *uri; /* NULL: the default */
	virConnectPtr connection;
	char why[200];
	bool done, given_up;
};

static void free_opening(struct opening *opening)
{
	free(opening->uri);
	free(opening);
}

static void *run_opening(void *context)
{
	struct opening *opening = context;
	virConnectPtr connection = lib.virConnectOpen(opening->uri);
	bool late;

	pthread_mutex_lock(&opening->mutex);
	/* The words are this thread's own. */
	if (!connection)
		snprintf(opening->why, sizeof(opening->why), "%s (error %d)",
			 lib.virGetLastErrorMessage(), lib.virGetLastErrorCode());
	opening->connection = connection;
	opening->done = true;
	late = opening->given_up;
	pthread_cond_signal(&opening->over);
	pthread_mutex_unlock(&opening->mutex);
	if (late && connection)
		lib.virConnectClose(connection);
	if (late)
		free_opening(opening);
	return NULL;
}

static int wait_opening(struct opening *opening, virConnectPtr *connection_out, struct error *error)
{
	struct timespec until = clock_deadline(OPEN_SECONDS);
	const char *name = opening->uri ?: "the default connection";
	int err = 0;

	pthread_mutex_lock(&opening->mutex);
	while (!opening->done && err != ETIMEDOUT)
		err = pthread_cond_clockwait(&opening->over, &opening->mutex, CLOCK_MONOTONIC,
					     &until);
	*connection_out = opening->connection;
	if (!opening->done)
		error_set(error, -ETIMEDOUT, "libvirt: %.100s: no answer within %d s", name,
			  OPEN_SECONDS);
	else if (!opening->connection)
		error_set(error, -ECONNREFUSED, "libvirt: %.60s: %s", name, opening->why);
	opening->given_up = !opening->done;
	err = opening->given_up ? -ETIMEDOUT : opening->connection ? 0 : -ECONNREFUSED;
	pthread_mutex_unlock(&opening->mutex);
	if (err != -ETIMEDOUT)
		free_opening(opening);
	return err;
}

static int open_connection(const char *uri, virConnectPtr *connection_out, struct error *error)
{
	struct opening *opening = calloc(1, sizeof(*opening));
	pthread_t thread;

	if (opening && uri)
		opening->uri = strdup(uri);
	if (!opening || (uri && !opening->uri)) {
		free(opening);
		return error_set(error, -ENOMEM, "no memory for a connection");
	}
	pthread_mutex_init(&opening->mutex, NULL);
	pthread_cond_init(&opening->over, NULL);
	if (pthread_create(&thread, NULL, run_opening, opening)) {
		free_opening(opening);
		return error_set(error, -EAGAIN, "no thread for a connection");
	}
	pthread_detach(thread);
	return wait_opening(opening, connection_out, error);
}

static int open_domain(struct libvirt_monitor *libvirt, const char *uri, const char *domain,
		       struct error *error)
{
	int active, err = load_library(error);

	if (err)
		return err;

	lib.virSetErrorFunc(NULL, no_words);
	begin_events();
	err = open_connection(uri, &libvirt->connection, error);
	if (err)
		return err;
	/* Drivers that are no daemon's do not know it. */
	lib.virConnectSetKeepAlive(libvirt->connection, KEEPALIVE_SECONDS, KEEPALIVE_COUNT);
	libvirt->domain = lib.virDomainLookupByName(libvirt->connection, domain);
	/* A name that is none may be a UUID; what is neither is no name. */
	if (!libvirt->domain && lib.virGetLastErrorCode() == VIR_ERR_NO_DOMAIN &&
	    strlen(domain) == VIR_UUID_STRING_BUFLEN - 1 &&
	    strspn(domain, "0123456789abcdefABCDEF-") == strlen(domain))
		libvirt->domain = lib.virDomainLookupByUUIDString(libvirt->connection, domain);
	if (!libvirt->domain)
		return fail(error, -ENOENT, domain);
	active = lib.virDomainIsActive(libvirt->domain);
	if (active < 0)
		return fail(error, -EIO, domain);
	if (active == 0)
		return error_set(error, -ENOENT, "libvirt: domain %s is shut off", domain);
	libvirt->monitor.pid = find_process(libvirt->domain);
	return 0;
}

int source_open_libvirt(const char *uri, const char *domain, struct source **source_out,
			struct error *error)
{
	struct libvirt_monitor *libvirt = calloc(1, sizeof(*libvirt));
	int err;

	if (!libvirt)
		return error_set(error, -ENOMEM, "no memory for a connection");
	libvirt->monitor = (struct monitor){
		.ask = ask, .peek = peek, .close = close_libvirt, .name = "libvirt domain"};
	err = open_domain(libvirt, uri, domain, error);
	if (err) {
		close_libvirt(&libvirt->monitor);
		return err;
	}
	return monitor_source(&libvirt->monitor, source_out, error);
}

#endif
