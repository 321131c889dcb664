/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the reader of vmm/domain/ shares: where it is in the file, and how it says what is wrong. */
#ifndef VMM_DOMAIN_PRIVATE_H
#define VMM_DOMAIN_PRIVATE_H

#include "vmm/domain/domain.h"

/* libxml2's, whose headers lie in a folder of their own. */
typedef struct _xmlNode xmlNode;

struct reading {
	const char *name; /* of the file, for messages */
	domain_warn_fn warn;
	void *context;
	struct error *error;
	struct domain *domain;
	long vcpu_line, memory_line; /* of those elements, for contradictions found later */
};

/* An element that is read: what it is called below its parent, and by what. NULL ends a table. */
struct element {
	const char *name;
	int (*read)(struct reading *reading, xmlNode *node);
};

/* Writes "FILE:LINE: " and the message to the reading's error; returns -EINVAL. */
int domain_fail(struct reading *reading, const xmlNode *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same as a warning. */
void domain_warn(struct reading *reading, const xmlNode *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Reads the children of @node by the table; a child that stands twice is an error, one the table
 * does not know a warning with @why ("the guest has no devices").
 */
int domain_read_children(struct reading *reading, xmlNode *node, const struct element *table,
			 const char *why);

/* Warns of each attribute of @node that is not among @known, words with spaces between them. */
void domain_check_attributes(struct reading *reading, xmlNode *node, const char *known);

/* An attribute's text, or NULL; valid until the next @size bytes of @text are wanted otherwise. */
const char *domain_attribute(xmlNode *node, const char *name, char *text, size_t size);

/* The text in an element, without space around it. -EINVAL when it is longer than @size. */
int domain_text(struct reading *reading, xmlNode *node, char *text, size_t size);

/* A decimal number, all of @text. @what names it in the message. */
int domain_number(struct reading *reading, xmlNode *node, const char *what, const char *text,
		  uint64_t *value_out);

/* An element whose text is a size and whose attribute unit says of what. */
int domain_size(struct reading *reading, xmlNode *node, uint64_t *bytes_out);

/* The readers of <memoryBacking>, <numatune> and <cpu>. */
int domain_read_backing(struct reading *reading, xmlNode *node);
int domain_read_numatune(struct reading *reading, xmlNode *node);
int domain_read_cpu(struct reading *reading, xmlNode *node);

#endif
