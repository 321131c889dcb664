/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One element of a domain: its children by a table, its attributes, numbers and sizes. */
#include <libxml/tree.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/input.h"
#include "lib/printable.h"
#include "vmm/domain/private.h"

static void say(const struct reading *reading, const xmlNode *node, char *text, size_t size,
		const char *format, va_list args)
{
	int length = snprintf(text, size, "%.100s:%ld: ", reading->name, xmlGetLineNo(node));

	vsnprintf(text + length, size - (size_t)length, format, args);
	printable(text);
}

int domain_fail(struct reading *reading, const xmlNode *node, const char *format, ...)
{
	struct error said;
	va_list args;

	va_start(args, format);
	say(reading, node, said.text, sizeof(said.text), format, args);
	va_end(args);
	return error_set(reading->error, -EINVAL, "%s", said.text);
}

void domain_warn(struct reading *reading, const xmlNode *node, const char *format, ...)
{
	char text[512];
	va_list args;

	if (!reading->warn)
		return;
	va_start(args, format);
	say(reading, node, text, sizeof(text), format, args);
	va_end(args);
	reading->warn(reading->context, text);
}

static bool is(const xmlNode *node, const char *name)
{
	return strcmp((const char *)node->name, name) == 0;
}

static xmlNode *same_before(xmlNode *node)
{
	for (xmlNode *other = node->prev; other; other = other->prev) {
		if (other->type == XML_ELEMENT_NODE && is(other, (const char *)node->name))
			return other;
	}
	return NULL;
}

static int read_child(struct reading *reading, xmlNode *child, const struct element *table,
		      const char *why)
{
	for (const struct element *element = table; element->name; element++) {
		if (!is(child, element->name))
			continue;
		if (element->read)
			return element->read(reading, child);
		return 0;
	}
	domain_warn(reading, child, "<%.40s> is not honoured: %s", (const char *)child->name, why);
	return 0;
}

int domain_read_children(struct reading *reading, xmlNode *node, const struct element *table,
			 const char *why)
{
	for (xmlNode *child = node->children; child; child = child->next) {
		int err;

		if (child->type != XML_ELEMENT_NODE)
			continue;
		/* What may repeat (cells, node bindings) looks at its own repetitions. */
		if (same_before(child) && !is(child, "cell") && !is(child, "memnode") &&
		    !is(child, "page")) {
			for (const struct element *element = table; element->name; element++) {
				if (is(child, element->name))
					return domain_fail(reading, child, "<%s> stands twice",
							   element->name);
			}
			continue;
		}
		err = read_child(reading, child, table, why);
		if (err)
			return err;
	}
	return 0;
}

void domain_check_attributes(struct reading *reading, xmlNode *node, const char *known)
{
	for (xmlAttr *attribute = node->properties; attribute; attribute = attribute->next) {
		const char *name = (const char *)attribute->name, *at = known;
		size_t length = strlen(name);
		bool found = false;

		while (!found && *at) {
			size_t word = strcspn(at, " ");

			found = word == length && !memcmp(at, name, length);
			at += word + (at[word] == ' ');
		}
		if (!found)
			domain_warn(reading, node, "%.40s= of <%.40s> is not honoured", name,
				    (const char *)node->name);
	}
}

const char *domain_attribute(xmlNode *node, const char *name, char *text, size_t size)
{
	xmlChar *value = xmlGetNoNsProp(node, (const xmlChar *)name);

	if (!value)
		return NULL;
	snprintf(text, size, "%s", (const char *)value);
	xmlFree(value);
	return text;
}

int domain_text(struct reading *reading, xmlNode *node, char *text, size_t size)
{
	xmlChar *content = xmlNodeGetContent(node);
	const char *from = content ? (const char *)content : "";
	size_t length;
	int err = 0;

	from += strspn(from, " \t\r\n");
	length = strlen(from);
	while (length && strchr(" \t\r\n", from[length - 1]))
		length--;
	if (length < size) {
		memcpy(text, from, length);
		text[length] = '\0';
	} else {
		err = domain_fail(reading, node, "<%.40s> is longer than %zu bytes",
				  (const char *)node->name, size - 1);
	}
	xmlFree(content);
	return err;
}

int domain_number(struct reading *reading, xmlNode *node, const char *what, const char *text,
		  uint64_t *value_out)
{
	enum number_error wrong = NUMBER_MALFORMED;

	if (*text && strspn(text, "0123456789") == strlen(text))
		wrong = number_parse(text, strlen(text), value_out);
	if (wrong == NUMBER_OK)
		return 0;
	return domain_fail(reading, node, "%s '%.40s' is %s", what, text, number_error_text(wrong));
}

int domain_size(struct reading *reading, xmlNode *node, uint64_t *bytes_out)
{
	char text[64], unit[32], what[64];
	const char *of = domain_attribute(node, "unit", unit, sizeof(unit));
	uint64_t value;
	int err = domain_text(reading, node, text, sizeof(text));

	snprintf(what, sizeof(what), "<%.40s>", (const char *)node->name);
	if (!err)
		err = domain_number(reading, node, what, text, &value);
	if (err)
		return err;
	err = domain_scale(value, of, bytes_out);
	if (err == -EINVAL)
		return domain_fail(reading, node,
				   "unit '%.30s' of %s is none of libvirt's: bytes, KiB, MiB, GiB, "
				   "TiB, KB, MB, GB, TB",
				   of, what);
	return err ? domain_fail(reading, node, "%s is out of range", what) : 0;
}
