/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libvirt's numbers: memory statistics tags, domain and vCPU states with their reasons, dirty-rate
 * states, error numbers. They are libvirt's interface (libvirt/libvirt.h, libvirt/virterror.h),
 * which never changes a number it has given out, so they stand here under names of our own and the
 * verbs are the same where nestbox is built without libvirt; where its headers are there, stats.c
 * does not compile unless each number is theirs, and there are as many.
 */
#ifndef VMM_DOMAIN_STATS_H
#define VMM_DOMAIN_STATS_H

/* virDomainMemoryStatTags. Sizes are in KiB, faults and allocations counts, LAST_UPDATE seconds. */
enum domain_memory_tag {
	DOMAIN_MEMORY_SWAP_IN,
	DOMAIN_MEMORY_SWAP_OUT,
	DOMAIN_MEMORY_MAJOR_FAULT,
	DOMAIN_MEMORY_MINOR_FAULT,
	DOMAIN_MEMORY_UNUSED,
	DOMAIN_MEMORY_AVAILABLE,
	DOMAIN_MEMORY_ACTUAL_BALLOON,
	DOMAIN_MEMORY_RSS,
	DOMAIN_MEMORY_USABLE,
	DOMAIN_MEMORY_LAST_UPDATE,
	DOMAIN_MEMORY_DISK_CACHES,
	DOMAIN_MEMORY_HUGETLB_PGALLOC,
	DOMAIN_MEMORY_HUGETLB_PGFAIL,
	DOMAIN_MEMORY_NR,
};

/* As `virsh dommemstat` prints the tag: "actual", "last_update". */
const char *domain_memory_tag_name(enum domain_memory_tag tag);

/*
 * The tag's name in the bulk statistics (virConnectGetAllDomainStats, "balloon.last-update"); NULL
 * for DOMAIN_MEMORY_ACTUAL_BALLOON, which is "balloon.current" there.
 */
const char *domain_memory_bulk_name(enum domain_memory_tag tag);

/* virDomainState, and of each the reasons that a guest of ours can have. */
enum { DOMAIN_STATE_RUNNING = 1, DOMAIN_STATE_PAUSED = 3, DOMAIN_STATE_CRASHED = 6 };
enum { DOMAIN_RUNNING_BOOTED = 1, DOMAIN_RUNNING_UNPAUSED = 5 };
enum { DOMAIN_PAUSED_USER = 1 };
enum { DOMAIN_CRASHED_PANICKED = 1 };

/* virVcpuState. */
enum { DOMAIN_VCPU_OFFLINE, DOMAIN_VCPU_RUNNING, DOMAIN_VCPU_BLOCKED };

/* virDomainDirtyRateStatus. */
enum { DOMAIN_DIRTYRATE_UNSTARTED, DOMAIN_DIRTYRATE_MEASURING, DOMAIN_DIRTYRATE_MEASURED };

/* virErrorNumber, as far as what can go wrong here goes. */
enum domain_error {
	DOMAIN_ERROR_NO_MEMORY = 2,
	DOMAIN_ERROR_INVALID_ARG = 8,
	DOMAIN_ERROR_OPERATION_FAILED = 9,
	DOMAIN_ERROR_SYSTEM_ERROR = 38,
	DOMAIN_ERROR_RPC = 39,
	DOMAIN_ERROR_NO_DOMAIN = 42,
	DOMAIN_ERROR_OPERATION_TIMEOUT = 68,
	DOMAIN_ERROR_ACCESS_DENIED = 88,
};

/*
 * What libvirt would call -errno @err of a request to a guest: that nobody serves its socket is
 * VIR_ERR_NO_DOMAIN.
 */
enum domain_error domain_error_of(int err);

/* "VIR_ERR_NO_DOMAIN" */
const char *domain_error_name(enum domain_error error);

#endif
