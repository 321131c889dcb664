/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names that go with libvirt's numbers, and the numbers held against libvirt's headers. */
#include <config.h>

#include <errno.h>
#include <stddef.h>

#include "vmm/domain/stats.h"

#ifdef HAVE_LIBVIRT
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#define SAME(ours, theirs) \
	_Static_assert((int)(ours) == (int)(theirs), #theirs " is another number")
#define SAME_TAG(name)   SAME(DOMAIN_MEMORY_##name, VIR_DOMAIN_MEMORY_STAT_##name)
#define SAME_ERROR(name) SAME(DOMAIN_ERROR_##name, VIR_ERR_##name)

SAME_TAG(SWAP_IN);
SAME_TAG(SWAP_OUT);
SAME_TAG(MAJOR_FAULT);
SAME_TAG(MINOR_FAULT);
SAME_TAG(UNUSED);
SAME_TAG(AVAILABLE);
SAME_TAG(ACTUAL_BALLOON);
SAME_TAG(RSS);
SAME_TAG(USABLE);
SAME_TAG(LAST_UPDATE);
SAME_TAG(DISK_CACHES);
SAME_TAG(HUGETLB_PGALLOC);
SAME_TAG(HUGETLB_PGFAIL);
/* A newer libvirt may have more; those it has here stay. */
_Static_assert((int)DOMAIN_MEMORY_NR <= (int)VIR_DOMAIN_MEMORY_STAT_NR, "libvirt has fewer tags");
SAME(DOMAIN_STATE_RUNNING, VIR_DOMAIN_RUNNING);
SAME(DOMAIN_STATE_PAUSED, VIR_DOMAIN_PAUSED);
SAME(DOMAIN_STATE_CRASHED, VIR_DOMAIN_CRASHED);
SAME(DOMAIN_RUNNING_BOOTED, VIR_DOMAIN_RUNNING_BOOTED);
SAME(DOMAIN_RUNNING_UNPAUSED, VIR_DOMAIN_RUNNING_UNPAUSED);
SAME(DOMAIN_PAUSED_USER, VIR_DOMAIN_PAUSED_USER);
SAME(DOMAIN_CRASHED_PANICKED, VIR_DOMAIN_CRASHED_PANICKED);
SAME(DOMAIN_VCPU_OFFLINE, VIR_VCPU_OFFLINE);
SAME(DOMAIN_VCPU_RUNNING, VIR_VCPU_RUNNING);
SAME(DOMAIN_VCPU_BLOCKED, VIR_VCPU_BLOCKED);
SAME(DOMAIN_DIRTYRATE_UNSTARTED, VIR_DOMAIN_DIRTYRATE_UNSTARTED);
SAME(DOMAIN_DIRTYRATE_MEASURING, VIR_DOMAIN_DIRTYRATE_MEASURING);
SAME(DOMAIN_DIRTYRATE_MEASURED, VIR_DOMAIN_DIRTYRATE_MEASURED);
SAME_ERROR(NO_MEMORY);
SAME_ERROR(INVALID_ARG);
SAME_ERROR(OPERATION_FAILED);
SAME_ERROR(SYSTEM_ERROR);
SAME_ERROR(RPC);
SAME_ERROR(NO_DOMAIN);
SAME_ERROR(OPERATION_TIMEOUT);
SAME_ERROR(ACCESS_DENIED);
#endif

static const struct {
	const char *name, *bulk;
} tags[DOMAIN_MEMORY_NR] = {
	[DOMAIN_MEMORY_SWAP_IN] = {"swap_in", "balloon.swap_in"},
	[DOMAIN_MEMORY_SWAP_OUT] = {"swap_out", "balloon.swap_out"},
	[DOMAIN_MEMORY_MAJOR_FAULT] = {"major_fault", "balloon.major_fault"},
	[DOMAIN_MEMORY_MINOR_FAULT] = {"minor_fault", "balloon.minor_fault"},
	[DOMAIN_MEMORY_UNUSED] = {"unused", "balloon.unused"},
	[DOMAIN_MEMORY_AVAILABLE] = {"available", "balloon.available"},
	[DOMAIN_MEMORY_ACTUAL_BALLOON] = {"actual", NULL},
	[DOMAIN_MEMORY_RSS] = {"rss", "balloon.rss"},
	[DOMAIN_MEMORY_USABLE] = {"usable", "balloon.usable"},
	[DOMAIN_MEMORY_LAST_UPDATE] = {"last_update", "balloon.last-update"},
	[DOMAIN_MEMORY_DISK_CACHES] = {"disk_caches", "balloon.disk_caches"},
	[DOMAIN_MEMORY_HUGETLB_PGALLOC] = {"hugetlb_pgalloc", "balloon.hugetlb_pgalloc"},
	[DOMAIN_MEMORY_HUGETLB_PGFAIL] = {"hugetlb_pgfail", "balloon.hugetlb_pgfail"},
};

const char *domain_memory_tag_name(enum domain_memory_tag tag)
{
	return tags[tag].name;
}

const char *domain_memory_bulk_name(enum domain_memory_tag tag)
{
	return tags[tag].bulk;
}

static const struct {
	int err;
	enum domain_error error;
	const char *name;
} errors[] = {
	{ENOENT, DOMAIN_ERROR_NO_DOMAIN, "VIR_ERR_NO_DOMAIN"},
	{ECONNREFUSED, DOMAIN_ERROR_NO_DOMAIN, "VIR_ERR_NO_DOMAIN"},
	{EPIPE, DOMAIN_ERROR_NO_DOMAIN, "VIR_ERR_NO_DOMAIN"},
	{EINVAL, DOMAIN_ERROR_INVALID_ARG, "VIR_ERR_INVALID_ARG"},
	{ENAMETOOLONG, DOMAIN_ERROR_INVALID_ARG, "VIR_ERR_INVALID_ARG"},
	{EREMOTEIO, DOMAIN_ERROR_OPERATION_FAILED, "VIR_ERR_OPERATION_FAILED"},
	{EPROTO, DOMAIN_ERROR_RPC, "VIR_ERR_RPC"},
	{ETIMEDOUT, DOMAIN_ERROR_OPERATION_TIMEOUT, "VIR_ERR_OPERATION_TIMEOUT"},
	{EACCES, DOMAIN_ERROR_ACCESS_DENIED, "VIR_ERR_ACCESS_DENIED"},
	{EPERM, DOMAIN_ERROR_ACCESS_DENIED, "VIR_ERR_ACCESS_DENIED"},
	{ENOMEM, DOMAIN_ERROR_NO_MEMORY, "VIR_ERR_NO_MEMORY"},
};
#define NR_ERRORS (sizeof(errors) / sizeof(errors[0]))

enum domain_error domain_error_of(int err)
{
	for (size_t i = 0; i < NR_ERRORS; i++) {
		if (errors[i].err == -err)
			return errors[i].error;
	}
	return DOMAIN_ERROR_SYSTEM_ERROR;
}

const char *domain_error_name(enum domain_error error)
{
	for (size_t i = 0; i < NR_ERRORS; i++) {
		if (errors[i].error == error)
			return errors[i].name;
	}
	return "VIR_ERR_SYSTEM_ERROR";
}
