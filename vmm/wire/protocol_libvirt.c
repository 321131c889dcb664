/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What those who know libvirt ask of a guest, by libvirt's names and numbers: its domain XML
 * (virDomainGetXMLDesc), memory statistics (virDomainMemoryStats), bulk statistics
 * (virConnectGetAllDomainStats).
 */
#include "vmm/wire/protocol_private.h"

#define COLUMNS(...)                           \
	.columns = (const struct qmp_column[]) \
	{                                      \
		__VA_ARGS__,                   \
		{                              \
			.name = NULL           \
		}                              \
	}

const struct qmp_list protocol_memory_stats = {
	COLUMNS({"tag", QMP_INT, "virDomainMemoryStatTags"},
		{"name", QMP_TEXT, "as virsh dommemstat has it"},
		{"value", QMP_INT, "KiB; of faults a count, of last_update seconds since 1970"}),
	.row = "{name} {value}",
};

const struct qmp_list protocol_domain_stats = {
	COLUMNS({"name", QMP_TEXT, NULL}, {"value", QMP_ANY, NULL}),
	.row = "{name}={value}",
};

#define STATS(its_name, its_help) MAY_BE(its_name, QMP_BOOL, its_help)

const struct qmp_command protocol_libvirt_commands[] = {
	{QUICK("query-domain-xml", "The guest as a libvirt domain's XML, as far as it is about "
				   "memory; libvirt's schema takes it."),
	 .returns = ARGS(IS("xml", QMP_TEXT, "a <domain>, lines of text"))},
	{LOOK("query-memory-stats",
	      "Memory statistics by libvirt's tags. What cannot be measured of this guest is not "
	      "there."),
	 .returns = ARGS(LIST("stats", protocol_memory_stats))},
	{LOOK("query-domain-stats",
	      "libvirt's bulk statistics; all groups, or those that are named."),
	 .args = ARGS(STATS("state", "state.*"), STATS("cpu-total", "cpu.*"),
		      STATS("balloon", "balloon.*"), STATS("vcpu", "vcpu.*"),
		      STATS("dirtyrate", "dirtyrate.*"), STATS("vm", "vm.*: KVM's own counters")),
	 .returns = ARGS(LIST("stats", protocol_domain_stats))},
	{.name = NULL},
};
