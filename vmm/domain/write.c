/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A struct domain as libvirt's XML. */
#include <errno.h>
#include <inttypes.h>
#include <libxml/xmlwriter.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/domain/domain.h"

#define KIB(bytes) ((bytes) >> 10)

/* "0-3,8", as domain_set_parse() reads it. */
static void set_text(const struct domain_set *set, char *text, size_t size)
{
	size_t length = 0;

	*text = '\0';
	for (unsigned int first = 0; first < DOMAIN_SET_MAX; first++) {
		unsigned int last = first;

		if (!domain_set_has(set, first))
			continue;
		while (domain_set_has(set, last + 1))
			last++;
		length += (size_t)snprintf(text + length, size - length, "%s%u", length ? "," : "",
					   first);
		if (last > first)
			length += (size_t)snprintf(text + length, size - length, "-%u", last);
		first = last;
	}
}

static void size_element(xmlTextWriter *xml, const char *name, uint64_t bytes)
{
	xmlTextWriterStartElement(xml, (const xmlChar *)name);
	xmlTextWriterWriteAttribute(xml, (const xmlChar *)"unit", (const xmlChar *)"KiB");
	xmlTextWriterWriteFormatString(xml, "%" PRIu64, KIB(bytes));
	xmlTextWriterEndElement(xml);
}

static void empty_element(xmlTextWriter *xml, const char *name, const char *attribute,
			  const char *value)
{
	xmlTextWriterStartElement(xml, (const xmlChar *)name);
	if (attribute)
		xmlTextWriterWriteAttribute(xml, (const xmlChar *)attribute,
					    (const xmlChar *)value);
	xmlTextWriterEndElement(xml);
}

static void write_backing(xmlTextWriter *xml, const struct domain *domain)
{
	xmlTextWriterStartElement(xml, (const xmlChar *)"memoryBacking");
	if (domain->hugepage_bytes) {
		xmlTextWriterStartElement(xml, (const xmlChar *)"hugepages");
		xmlTextWriterStartElement(xml, (const xmlChar *)"page");
		xmlTextWriterWriteFormatAttribute(xml, (const xmlChar *)"size", "%" PRIu64,
						  KIB(domain->hugepage_bytes));
		xmlTextWriterWriteAttribute(xml, (const xmlChar *)"unit", (const xmlChar *)"KiB");
		xmlTextWriterEndElement(xml);
		xmlTextWriterEndElement(xml);
	}
	if (domain->nosharepages)
		empty_element(xml, "nosharepages", NULL, NULL);
	if (domain->locked)
		empty_element(xml, "locked", NULL, NULL);
	if (domain->source != DOMAIN_SOURCE_DEFAULT)
		empty_element(xml, "source", "type",
			      domain->source == DOMAIN_SOURCE_MEMFD ? "memfd" : "anonymous");
	empty_element(xml, "access", "mode", domain->shared ? "shared" : "private");
	empty_element(xml, "allocation", "mode", domain->immediate ? "immediate" : "ondemand");
	if (domain->discard)
		empty_element(xml, "discard", NULL, NULL);
	xmlTextWriterEndElement(xml);
}

static void write_numatune(xmlTextWriter *xml, const struct domain *domain)
{
	bool begun = domain_set_count(&domain->host_nodes) > 0;
	char nodes[512];

	for (unsigned int i = 0; i < domain->nr_cells; i++)
		begun |= domain_set_count(&domain->cell[i].host_nodes) > 0;
	if (!begun)
		return;
	xmlTextWriterStartElement(xml, (const xmlChar *)"numatune");
	if (domain_set_count(&domain->host_nodes)) {
		set_text(&domain->host_nodes, nodes, sizeof(nodes));
		xmlTextWriterStartElement(xml, (const xmlChar *)"memory");
		xmlTextWriterWriteAttribute(xml, (const xmlChar *)"mode",
					    (const xmlChar *)"strict");
		xmlTextWriterWriteAttribute(xml, (const xmlChar *)"nodeset", (xmlChar *)nodes);
		xmlTextWriterEndElement(xml);
	}
	for (unsigned int i = 0; i < domain->nr_cells; i++) {
		if (!domain_set_count(&domain->cell[i].host_nodes))
			continue;
		set_text(&domain->cell[i].host_nodes, nodes, sizeof(nodes));
		xmlTextWriterStartElement(xml, (const xmlChar *)"memnode");
		xmlTextWriterWriteFormatAttribute(xml, (const xmlChar *)"cellid", "%u", i);
		xmlTextWriterWriteAttribute(xml, (const xmlChar *)"mode",
					    (const xmlChar *)"strict");
		xmlTextWriterWriteAttribute(xml, (const xmlChar *)"nodeset", (xmlChar *)nodes);
		xmlTextWriterEndElement(xml);
	}
	xmlTextWriterEndElement(xml);
}

static void write_cells(xmlTextWriter *xml, const struct domain *domain)
{
	char cpus[512];

	if (!domain->nr_cells)
		return;
	xmlTextWriterStartElement(xml, (const xmlChar *)"cpu");
	xmlTextWriterStartElement(xml, (const xmlChar *)"numa");
	for (unsigned int i = 0; i < domain->nr_cells; i++) {
		xmlTextWriterStartElement(xml, (const xmlChar *)"cell");
		xmlTextWriterWriteFormatAttribute(xml, (const xmlChar *)"id", "%u", i);
		set_text(&domain->cell[i].cpus, cpus, sizeof(cpus));
		if (*cpus)
			xmlTextWriterWriteAttribute(xml, (const xmlChar *)"cpus", (xmlChar *)cpus);
		xmlTextWriterWriteFormatAttribute(xml, (const xmlChar *)"memory", "%" PRIu64,
						  KIB(domain->cell[i].memory_bytes));
		xmlTextWriterWriteAttribute(xml, (const xmlChar *)"unit", (const xmlChar *)"KiB");
		xmlTextWriterEndElement(xml);
	}
	xmlTextWriterEndElement(xml);
	xmlTextWriterEndElement(xml);
}

static void write_domain(xmlTextWriter *xml, const struct domain *domain, bool soft)
{
	xmlTextWriterSetIndent(xml, 2);
	xmlTextWriterSetIndentString(xml, (const xmlChar *)"  ");
	xmlTextWriterStartElement(xml, (const xmlChar *)"domain");
	xmlTextWriterWriteAttribute(xml, (const xmlChar *)"type",
				    (const xmlChar *)(soft ? "qemu" : "kvm"));
	xmlTextWriterWriteElement(xml, (const xmlChar *)"name", (xmlChar *)domain->name);
	if (*domain->uuid)
		xmlTextWriterWriteElement(xml, (const xmlChar *)"uuid", (xmlChar *)domain->uuid);
	size_element(xml, "memory", domain->memory_bytes);
	size_element(xml, "currentMemory", domain->current_bytes);
	write_backing(xml, domain);
	xmlTextWriterStartElement(xml, (const xmlChar *)"vcpu");
	xmlTextWriterWriteAttribute(xml, (const xmlChar *)"placement", (const xmlChar *)"static");
	xmlTextWriterWriteFormatString(xml, "%u", domain->vcpus);
	xmlTextWriterEndElement(xml);
	write_numatune(xml, domain);
	xmlTextWriterStartElement(xml, (const xmlChar *)"os");
	xmlTextWriterStartElement(xml, (const xmlChar *)"type");
	xmlTextWriterWriteAttribute(xml, (const xmlChar *)"arch", (const xmlChar *)"x86_64");
	xmlTextWriterWriteString(xml, (const xmlChar *)"hvm");
	xmlTextWriterEndElement(xml);
	if (domain->kernel)
		xmlTextWriterWriteElement(xml, (const xmlChar *)"kernel",
					  (xmlChar *)domain->kernel);
	xmlTextWriterEndElement(xml);
	write_cells(xml, domain);
	xmlTextWriterEndElement(xml);
}

int domain_write(const struct domain *domain, bool soft, char **text_out)
{
	xmlBuffer *buffer = xmlBufferCreate();
	xmlTextWriter *xml = buffer ? xmlNewTextWriterMemory(buffer, 0) : NULL;
	char *text = NULL;

	if (xml) {
		write_domain(xml, domain, soft);
		/* The end of the document is what the buffer has to hold whole. */
		if (xmlTextWriterEndDocument(xml) >= 0)
			text = strdup((const char *)xmlBufferContent(buffer));
		xmlFreeTextWriter(xml);
	}
	xmlBufferFree(buffer);
	if (!text)
		return -ENOMEM;
	*text_out = text;
	return 0;
}
