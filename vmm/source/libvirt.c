/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A libvirt domain's QEMU: the same monitor, whose words libvirt carries; and memory by
 * virDomainMemoryPeek() where the process may not be read.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

struct libvirt_monitor {
	struct monitor monitor;
	virConnectPtr connection;
	virDomainPtr domain;
};

/* A daemon that says nothing any more is given up after so many intervals of so many seconds. */
#define KEEPALIVE_SECONDS 5
#define KEEPALIVE_COUNT   3

/* libvirt's words and its number for them (virErrorNumber). */
static int fail(struct error *error, int code, const char *what)
{
	return error_set(error, code, "libvirt: %s: %s (error %d)", what, virGetLastErrorMessage(),
			 virGetLastErrorCode());
}

/* ---- a connection that does not hang ---- */

static void *run_events(void *unused)
{
	(void)unused;
	while (virEventRunDefaultImpl() == 0)
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
	if (virEventRegisterDefaultImpl() == 0 &&
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
	if (virDomainQemuMonitorCommand(libvirt->domain, text, &answer_text, 0) < 0)
		err = virGetLastErrorCode() == VIR_ERR_NO_SUPPORT
			      ? error_set(error, -EPROTO,
					  "libvirt: this domain's hypervisor is %s: it has no "
					  "monitor of QEMU's",
					  virConnectGetType(libvirt->connection))
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

	return virDomainMemoryPeek(libvirt->domain, gpa, bytes, buffer, VIR_MEMORY_PHYSICAL) == 0;
}

static void close_libvirt(struct monitor *monitor)
{
	struct libvirt_monitor *libvirt = (struct libvirt_monitor *)monitor;

	if (libvirt->domain)
		virDomainFree(libvirt->domain);
	if (libvirt->connection)
		virConnectClose(libvirt->connection);
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

	if (virDomainGetUUIDString(domain, uuid))
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

static int open_domain(struct libvirt_monitor *libvirt, const char *uri, const char *domain,
		       struct error *error)
{
	int active;

	virSetErrorFunc(NULL, no_words);
	begin_events();
	libvirt->connection = virConnectOpen(uri);
	if (!libvirt->connection)
		return fail(error, -ECONNREFUSED, uri ? uri : "the default connection");
	/* Drivers that are no daemon's do not know it. */
	virConnectSetKeepAlive(libvirt->connection, KEEPALIVE_SECONDS, KEEPALIVE_COUNT);
	libvirt->domain = virDomainLookupByName(libvirt->connection, domain);
	/* A name that is none may be a UUID; what is neither is no name. */
	if (!libvirt->domain && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN &&
	    strlen(domain) == VIR_UUID_STRING_BUFLEN - 1 &&
	    strspn(domain, "0123456789abcdefABCDEF-") == strlen(domain))
		libvirt->domain = virDomainLookupByUUIDString(libvirt->connection, domain);
	if (!libvirt->domain)
		return fail(error, -ENOENT, domain);
	active = virDomainIsActive(libvirt->domain);
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
