/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A domain's XML to a struct domain: the document, its top elements, what must agree. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/printable.h"
#include "vmm/domain/private.h"

#define NAME_BYTES_MAX 256
#define PATH_BYTES_MAX 4096

static int read_name(struct reading *reading, xmlNode *node)
{
	char name[NAME_BYTES_MAX];
	int err = domain_text(reading, node, name, sizeof(name));

	if (err)
		return err;
	if (!*name || strchr(name, '/') || strpbrk(name, "\n\r"))
		return domain_fail(reading, node, "a name is not empty and has no / in it");
	reading->domain->name = strdup(name);
	return reading->domain->name ? 0 : error_set(reading->error, -ENOMEM, "out of memory");
}

/* As libvirt: 32 hexadecimal digits, with or without its hyphens. */
static int read_uuid(struct reading *reading, xmlNode *node)
{
	char text[64], *out = reading->domain->uuid;
	unsigned int digits = 0;
	int err = domain_text(reading, node, text, sizeof(text));

	if (err)
		return err;
	for (const char *at = text; *at; at++) {
		if (*at == '-')
			continue;
		if (!isxdigit((unsigned char)*at) || digits == 32) {
			digits = 0;
			break;
		}
		if (digits == 8 || digits == 12 || digits == 16 || digits == 20)
			*out++ = '-';
		*out++ = (char)tolower((unsigned char)*at);
		digits++;
	}
	*out = '\0';
	return digits == 32 ? 0 : domain_fail(reading, node, "'%.40s' is no UUID", text);
}

static int read_memory(struct reading *reading, xmlNode *node)
{
	domain_check_attributes(reading, node, "unit dumpCore");
	reading->memory_line = xmlGetLineNo(node);
	if (xmlHasProp(node, (const xmlChar *)"dumpCore"))
		domain_warn(reading, node,
			    "dumpCore= is not honoured: the VMM's own core never has guest memory");
	return domain_size(reading, node, &reading->domain->memory_bytes);
}

static int read_current(struct reading *reading, xmlNode *node)
{
	domain_check_attributes(reading, node, "unit");
	return domain_size(reading, node, &reading->domain->current_bytes);
}

static int read_max(struct reading *reading, xmlNode *node)
{
	uint64_t bytes;
	int err;

	domain_check_attributes(reading, node, "unit slots");
	err = domain_size(reading, node, &bytes);
	if (err)
		return err;
	if (bytes < reading->domain->memory_bytes)
		return domain_fail(reading, node, "<maxMemory> is less than <memory>");
	domain_warn(reading, node, "<maxMemory> is not honoured: memory is not plugged later");
	return 0;
}

static int read_vcpu(struct reading *reading, xmlNode *node)
{
	char text[32], current[32];
	uint64_t count, now;
	int err = domain_text(reading, node, text, sizeof(text));

	domain_check_attributes(reading, node, "placement current");
	if (!err)
		err = domain_number(reading, node, "<vcpu>", text, &count);
	if (err)
		return err;
	if (count < 1 || count > NB_MAX_VCPUS)
		return domain_fail(reading, node, "%llu vCPUs: possible are 1 to %u",
				   (unsigned long long)count, NB_MAX_VCPUS);
	reading->domain->vcpus = (unsigned int)count;
	reading->vcpu_line = xmlGetLineNo(node);
	if (!domain_attribute(node, "current", current, sizeof(current)))
		return 0;
	err = domain_number(reading, node, "current= of <vcpu>", current, &now);
	if (err)
		return err;
	if (now < 1 || now > count)
		return domain_fail(reading, node, "current='%s' of %llu vCPUs", current,
				   (unsigned long long)count);
	if (now != count)
		domain_warn(reading, node, "current= is not honoured: all %llu vCPUs run",
			    (unsigned long long)count);
	return 0;
}

static int read_kernel(struct reading *reading, xmlNode *node)
{
	char path[PATH_BYTES_MAX];
	int err = domain_text(reading, node, path, sizeof(path));

	if (err)
		return err;
	if (*path != '/')
		return domain_fail(reading, node, "<kernel> is to be an absolute path");
	reading->domain->kernel = strdup(path);
	return reading->domain->kernel ? 0 : error_set(reading->error, -ENOMEM, "out of memory");
}

static int read_type(struct reading *reading, xmlNode *node)
{
	char text[64], arch[32];
	int err = domain_text(reading, node, text, sizeof(text));

	if (err)
		return err;
	if (strcmp(text, "hvm") != 0)
		return domain_fail(reading, node, "<type>%.40s</type>: the guest is of type hvm",
				   text);
	if (domain_attribute(node, "arch", arch, sizeof(arch)) && strcmp(arch, "x86_64") != 0)
		return domain_fail(reading, node, "arch='%s': the guest is x86_64", arch);
	domain_check_attributes(reading, node, "arch");
	return 0;
}

static int read_os(struct reading *reading, xmlNode *node)
{
	static const struct element table[] = {
		{"type", read_type}, {"kernel", read_kernel}, {NULL, NULL}};

	domain_check_attributes(reading, node, "");
	return domain_read_children(reading, node, table, "nestbox starts its guest itself");
}

/* <maxMemory> is compared with <memory>: it is read after it, wherever it stands. */
static int read_top(struct reading *reading, xmlNode *root)
{
	static const struct element table[] = {
		{"name", read_name},
		{"uuid", read_uuid},
		{"memory", read_memory},
		{"currentMemory", read_current},
		{"vcpu", read_vcpu},
		{"memoryBacking", domain_read_backing},
		{"numatune", domain_read_numatune},
		{"cpu", domain_read_cpu},
		{"os", read_os},
		{"maxMemory", NULL},
		{"title", NULL},
		{"description", NULL},
		{"metadata", NULL},
		{NULL, NULL},
	};
	int err = domain_read_children(reading, root, table, "the guest is memory and CPUs only");

	for (xmlNode *child = root->children; child && !err; child = child->next) {
		if (child->type == XML_ELEMENT_NODE &&
		    !strcmp((const char *)child->name, "maxMemory"))
			err = read_max(reading, child);
	}
	return err;
}

static int at_line(struct reading *reading, long line, const char *text)
{
	return error_set(reading->error, -EINVAL, "%.100s:%ld: %s", reading->name, line, text);
}

/* The cells' memory is the domain's, as libvirt has it, and their CPUs exist. */
static int check_cells(struct reading *reading)
{
	struct domain *domain = reading->domain;
	uint64_t sum = 0;
	char text[200];

	for (unsigned int i = 0; i < domain->nr_cells; i++) {
		for (unsigned int cpu = domain->vcpus; cpu < DOMAIN_SET_MAX; cpu++) {
			if (!domain_set_has(&domain->cell[i].cpus, cpu))
				continue;
			snprintf(text, sizeof(text), "cell %u has CPU %u of %u vCPUs", i, cpu,
				 domain->vcpus);
			return at_line(reading, reading->vcpu_line, text);
		}
		if (domain->cell[i].memory_bytes == 0 ||
		    domain->cell[i].memory_bytes % NB_RAM_ALIGN) {
			snprintf(
				text, sizeof(text),
				"cell %u has %llu KiB: a cell of this guest has a multiple of %llu "
				"KiB",
				i, (unsigned long long)domain->cell[i].memory_bytes >> 10,
				NB_RAM_ALIGN >> 10);
			return at_line(reading, reading->memory_line, text);
		}
		if (__builtin_add_overflow(sum, domain->cell[i].memory_bytes, &sum))
			return at_line(reading, reading->memory_line, "the cells are out of range");
	}
	for (unsigned int i = domain->nr_cells; i < NB_MAX_NODES; i++) {
		if (domain_set_count(&domain->cell[i].host_nodes)) {
			snprintf(text, sizeof(text), "<memnode> binds cell %u of %u", i,
				 domain->nr_cells);
			return at_line(reading, reading->memory_line, text);
		}
	}
	if (!domain->nr_cells || sum == domain->memory_bytes)
		return 0;
	snprintf(text, sizeof(text), "the cells have %llu KiB, <memory> has %llu KiB",
		 (unsigned long long)sum >> 10, (unsigned long long)domain->memory_bytes >> 10);
	return at_line(reading, reading->memory_line, text);
}

static int check(struct reading *reading, xmlNode *root)
{
	struct domain *domain = reading->domain;
	uint64_t rest;

	if (!domain->name)
		return domain_fail(reading, root, "<domain> has no <name>");
	if (!domain->memory_bytes)
		return domain_fail(reading, root, "<domain> has no <memory>");
	if (!domain->vcpus)
		domain->vcpus = 1; /* libvirt's default */
	if (!domain->current_bytes)
		domain->current_bytes = domain->memory_bytes;
	if (domain->current_bytes > domain->memory_bytes)
		return at_line(reading, reading->memory_line,
			       "<currentMemory> is more than <memory>");
	if (domain->current_bytes < domain->memory_bytes)
		domain_warn(
			reading, root,
			"<currentMemory> is not honoured: there is no balloon, the guest has all "
			"of <memory>");
	rest = domain->memory_bytes % NB_RAM_ALIGN;
	if (rest && !domain->nr_cells) {
		domain->memory_bytes += NB_RAM_ALIGN - rest;
		domain_warn(reading, root, "<memory> is rounded up to %llu KiB, a multiple of %llu",
			    (unsigned long long)domain->memory_bytes >> 10, NB_RAM_ALIGN >> 10);
	}
	return check_cells(reading);
}

static int read_document(struct reading *reading, xmlDoc *document)
{
	xmlNode *root = xmlDocGetRootElement(document);
	int err;

	if (document->intSubset || document->extSubset)
		return error_set(reading->error, -EINVAL,
				 "%.100s: a document type is not allowed in a domain",
				 reading->name);
	if (!root || strcmp((const char *)root->name, "domain") != 0)
		return error_set(reading->error, -EINVAL, "%.100s: not a <domain>", reading->name);
	domain_check_attributes(reading, root, "type");
	err = read_top(reading, root);
	return err ? err : check(reading, root);
}

/* libxml2's own words, of the first thing that is wrong. */
static int not_xml(const char *name, xmlParserCtxt *parser, struct error *error)
{
	const xmlError *wrong = xmlCtxtGetLastError(parser);
	char text[160];

	snprintf(text, sizeof(text), "%s", wrong && wrong->message ? wrong->message : "not XML");
	text[strcspn(text, "\r\n")] = '\0';
	printable(text);
	return error_set(error, wrong && wrong->code == XML_ERR_NO_MEMORY ? -ENOMEM : -EINVAL,
			 "%.80s:%d: %s", name, wrong ? wrong->line : 0, text);
}

int domain_read_bytes(const char *bytes, size_t size_bytes, const char *name, domain_warn_fn warn,
		      void *context, struct domain *domain_out, struct error *error)
{
	const int options =
		XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA;
	struct domain domain = {0};
	struct reading reading = {
		.name = name, .warn = warn, .context = context, .error = error, .domain = &domain};
	xmlParserCtxt *parser;
	xmlDoc *document;
	int err;

	if (size_bytes > DOMAIN_BYTES_MAX)
		return error_set(error, -EFBIG, "%.100s: more than %u bytes", name,
				 DOMAIN_BYTES_MAX);
	parser = xmlNewParserCtxt();
	if (!parser)
		return error_set(error, -ENOMEM, "%.100s: out of memory", name);
	document = xmlCtxtReadMemory(parser, bytes, (int)size_bytes, NULL, NULL, options);
	err = document ? read_document(&reading, document) : not_xml(name, parser, error);
	xmlFreeDoc(document);
	xmlFreeParserCtxt(parser);
	if (err) {
		domain_free(&domain);
		return err;
	}
	*domain_out = domain;
	return 0;
}

/* All of the file in *@bytes_out, which the caller frees. */
static int slurp(const char *path, char **bytes_out, size_t *size_out, struct error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat stat;
	char *bytes = NULL;
	size_t size = 0;
	int err = 0;

	if (fd < 0)
		return error_set(error, -errno, "%.160s: %s", path, strerror(errno));
	if (fstat(fd, &stat))
		err = error_set(error, -errno, "%.160s: %s", path, strerror(errno));
	else if (!S_ISREG(stat.st_mode))
		err = error_set(error, -EINVAL, "%.160s: not a regular file", path);
	else if (!(bytes = malloc(DOMAIN_BYTES_MAX + 1)))
		err = error_set(error, -ENOMEM, "%.160s: out of memory", path);
	while (!err && size <= DOMAIN_BYTES_MAX) {
		ssize_t got = read(fd, bytes + size, DOMAIN_BYTES_MAX + 1 - size);

		if (got < 0)
			err = error_set(error, -errno, "%.160s: %s", path, strerror(errno));
		if (got <= 0)
			break;
		size += (size_t)got;
	}
	close(fd);
	if (err) {
		free(bytes);
		return err;
	}
	*bytes_out = bytes;
	*size_out = size;
	return 0;
}

int domain_read(const char *path, domain_warn_fn warn, void *context, struct domain *domain_out,
		struct error *error)
{
	char *bytes = NULL;
	size_t size = 0;
	int err = slurp(path, &bytes, &size, error);

	if (err)
		return err;
	err = domain_read_bytes(bytes, size, path, warn, context, domain_out, error);
	free(bytes);
	return err;
}

void domain_free(struct domain *domain)
{
	free(domain->name);
	free(domain->kernel);
	*domain = (struct domain){0};
}
