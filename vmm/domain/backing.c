/* SPDX-License-Identifier: GPL-2.0-or-later */
/* <memoryBacking>: what guest memory is made of. */
#include <libxml/tree.h>
#include <stdio.h>
#include <string.h>

#include "vmm/domain/private.h"

#define PAGE_2M (2ull << 20)
#define PAGE_1G (1ull << 30)

static int read_page(struct reading *reading, xmlNode *node)
{
	struct domain *domain = reading->domain;
	char text[64], unit[32];
	const char *size = domain_attribute(node, "size", text, sizeof(text));
	uint64_t value, bytes;
	int err;

	domain_check_attributes(reading, node, "size unit nodeset");
	if (!size)
		return domain_fail(reading, node, "<page> has no size");
	err = domain_number(reading, node, "size of <page>", size, &value);
	if (err)
		return err;
	if (domain_scale(value, domain_attribute(node, "unit", unit, sizeof(unit)), &bytes))
		return domain_fail(reading, node, "unit '%.30s' of <page> is none of libvirt's",
				   unit);
	if (bytes != PAGE_2M && bytes != PAGE_1G)
		return domain_fail(reading, node,
				   "huge pages of %llu KiB: x86-64 has 2048 KiB and 1048576 KiB",
				   (unsigned long long)bytes >> 10);
	if (xmlHasProp(node, (const xmlChar *)"nodeset"))
		domain_warn(reading, node,
			    "nodeset= of <page> is not honoured: all nodes have pages of one size");
	if (domain->hugepage_bytes && domain->hugepage_bytes != bytes)
		return domain_fail(reading, node,
				   "huge pages of two sizes: this guest's memory has one");
	domain->hugepage_bytes = bytes;
	return 0;
}

static int read_hugepages(struct reading *reading, xmlNode *node)
{
	static const struct element table[] = {{"page", read_page}, {NULL, NULL}};
	int err = domain_read_children(reading, node, table, "it is not libvirt's");

	domain_check_attributes(reading, node, "");
	/* Without a size libvirt means the host's default, which is 2 MiB on x86-64. */
	if (!err && !reading->domain->hugepage_bytes)
		reading->domain->hugepage_bytes = PAGE_2M;
	return err;
}

static int read_source(struct reading *reading, xmlNode *node)
{
	char type[32];

	domain_check_attributes(reading, node, "type");
	if (!domain_attribute(node, "type", type, sizeof(type)))
		return domain_fail(reading, node, "<source> has no type");
	if (!strcmp(type, "anonymous"))
		reading->domain->source = DOMAIN_SOURCE_ANONYMOUS;
	else if (!strcmp(type, "memfd"))
		reading->domain->source = DOMAIN_SOURCE_MEMFD;
	else if (!strcmp(type, "file"))
		domain_warn(reading, node,
			    "<source type='file'> is not honoured: guest memory is a memfd");
	else
		return domain_fail(reading, node,
				   "<source type='%s'>: libvirt has file, anonymous and memfd",
				   type);
	return 0;
}

static int read_access(struct reading *reading, xmlNode *node)
{
	char mode[32];

	domain_check_attributes(reading, node, "mode");
	if (!domain_attribute(node, "mode", mode, sizeof(mode)) ||
	    (strcmp(mode, "shared") && strcmp(mode, "private")))
		return domain_fail(reading, node, "<access> has mode='shared' or mode='private'");
	reading->domain->shared = !strcmp(mode, "shared");
	return 0;
}

static int read_allocation(struct reading *reading, xmlNode *node)
{
	char mode[32], threads[16];
	uint64_t count;

	domain_check_attributes(reading, node, "mode threads");
	if (domain_attribute(node, "mode", mode, sizeof(mode))) {
		if (strcmp(mode, "immediate") && strcmp(mode, "ondemand"))
			return domain_fail(reading, node,
					   "<allocation> has mode='immediate' or mode='ondemand'");
		reading->domain->immediate = !strcmp(mode, "immediate");
	}
	if (!domain_attribute(node, "threads", threads, sizeof(threads)))
		return 0;
	if (domain_number(reading, node, "threads of <allocation>", threads, &count))
		return -1;
	if (count > 1)
		domain_warn(reading, node,
			    "threads= of <allocation> is not honoured: one thread allocates");
	return 0;
}

#define FLAG_READER(flag)                                              \
	static int read_##flag(struct reading *reading, xmlNode *node) \
	{                                                              \
		domain_check_attributes(reading, node, "");            \
		reading->domain->flag = true;                          \
		return 0;                                              \
	}
FLAG_READER(locked)
FLAG_READER(nosharepages)
FLAG_READER(discard)

int domain_read_backing(struct reading *reading, xmlNode *node)
{
	static const struct element table[] = {
		{"hugepages", read_hugepages}, {"source", read_source},
		{"access", read_access},       {"allocation", read_allocation},
		{"locked", read_locked},       {"nosharepages", read_nosharepages},
		{"discard", read_discard},     {NULL, NULL},
	};
	const struct domain *domain = reading->domain;
	int err = domain_read_children(reading, node, table, "nestbox does not know it");

	domain_check_attributes(reading, node, "");
	if (err)
		return err;
	/* The two that libvirt refuses as well. */
	if (domain->hugepage_bytes && domain->source == DOMAIN_SOURCE_ANONYMOUS)
		return domain_fail(
			reading, node,
			"<hugepages> and <source type='anonymous'/> contradict each other");
	if (domain->source == DOMAIN_SOURCE_ANONYMOUS && domain->shared)
		return domain_fail(reading, node,
				   "<source type='anonymous'/> and <access mode='shared'/> "
				   "contradict each other");
	return 0;
}
