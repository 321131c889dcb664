/* SPDX-License-Identifier: GPL-2.0-or-later */
/* <cpu><numa> and <numatune>: the guest's nodes, and the host's that serve them. */
#include <libxml/tree.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/domain/private.h"

/* An attribute that is a size, its unit in @unit_name. */
static int size_attribute(struct reading *reading, xmlNode *node, const char *name,
			  uint64_t *bytes_out)
{
	char text[64], unit[32], what[64];
	const char *value = domain_attribute(node, name, text, sizeof(text));
	uint64_t number;
	int err;

	snprintf(what, sizeof(what), "%s= of <%.30s>", name, (const char *)node->name);
	if (!value)
		return domain_fail(reading, node, "%s is missing", what);
	err = domain_number(reading, node, what, value, &number);
	if (err)
		return err;
	if (domain_scale(number, domain_attribute(node, "unit", unit, sizeof(unit)), bytes_out))
		return domain_fail(reading, node, "unit= of <%.30s> is none of libvirt's",
				   (const char *)node->name);
	return 0;
}

/* The number of the cell @node speaks of, in attribute @name; @otherwise where there is none. */
static int cell_number(struct reading *reading, xmlNode *node, const char *name, uint64_t otherwise,
		       uint64_t *number_out)
{
	char text[32];

	*number_out = otherwise;
	if (!domain_attribute(node, name, text, sizeof(text)))
		return 0;
	return domain_number(reading, node, name, text, number_out);
}

static int read_cell(struct reading *reading, xmlNode *node)
{
	struct domain *domain = reading->domain;
	struct domain_cell *cell;
	char cpus[256];
	uint64_t number;
	int err;

	domain_check_attributes(reading, node, "id cpus memory unit");
	if (domain->nr_cells == NB_MAX_NODES)
		return domain_fail(reading, node, "more than %u cells", NB_MAX_NODES);
	err = cell_number(reading, node, "id", domain->nr_cells, &number);
	if (err)
		return err;
	if (number != domain->nr_cells)
		return domain_fail(reading, node, "cell %llu where cell %u is to come",
				   (unsigned long long)number, domain->nr_cells);
	cell = &domain->cell[domain->nr_cells];
	err = size_attribute(reading, node, "memory", &cell->memory_bytes);
	if (err)
		return err;
	if (domain_attribute(node, "cpus", cpus, sizeof(cpus)) &&
	    domain_set_parse(cpus, &cell->cpus))
		return domain_fail(reading, node, "cpus='%.40s' is no list like 0-3,8", cpus);
	for (unsigned int other = 0; other < domain->nr_cells; other++) {
		for (unsigned int cpu = 0; cpu < DOMAIN_SET_MAX; cpu++) {
			if (domain_set_has(&cell->cpus, cpu) &&
			    domain_set_has(&domain->cell[other].cpus, cpu))
				return domain_fail(reading, node,
						   "CPU %u is in cell %u and in cell %u", cpu,
						   other, domain->nr_cells);
		}
	}
	domain->nr_cells++;
	return domain_read_children(reading, node, (const struct element[]){{NULL, NULL}},
				    "nodes have no distances or caches here");
}

static int read_numa(struct reading *reading, xmlNode *node)
{
	static const struct element table[] = {{"cell", read_cell}, {NULL, NULL}};

	domain_check_attributes(reading, node, "");
	return domain_read_children(reading, node, table, "it is not about memory");
}

int domain_read_cpu(struct reading *reading, xmlNode *node)
{
	static const struct element table[] = {{"numa", read_numa}, {NULL, NULL}};

	domain_check_attributes(reading, node, "");
	return domain_read_children(reading, node, table, "the guest's CPU is nestbox's own");
}

/* mode= and nodeset= of <memory> and <memnode>. */
static int read_binding(struct reading *reading, xmlNode *node, struct domain_set *nodes_out)
{
	char mode[32] = "strict", nodes[256];

	domain_attribute(node, "mode", mode, sizeof(mode));
	if (strcmp(mode, "strict") && strcmp(mode, "preferred") && strcmp(mode, "interleave") &&
	    strcmp(mode, "restrictive"))
		return domain_fail(reading, node,
				   "mode='%s': libvirt has strict, preferred, interleave and "
				   "restrictive",
				   mode);
	if (!domain_attribute(node, "nodeset", nodes, sizeof(nodes))) {
		domain_warn(reading, node, "<%.30s> without nodeset= says nothing",
			    (const char *)node->name);
		return 0;
	}
	if (domain_set_parse(nodes, nodes_out))
		return domain_fail(reading, node, "nodeset='%.40s' is no list like 0-3,^2", nodes);
	if (strcmp(mode, "strict") != 0 || domain_set_count(nodes_out) != 1) {
		domain_warn(reading, node,
			    "mode='%s' nodeset='%.40s' is not honoured: memory is bound to one "
			    "node, strictly, or to none",
			    mode, nodes);
		*nodes_out = (struct domain_set){{0}};
	}
	return 0;
}

static int read_memory(struct reading *reading, xmlNode *node)
{
	domain_check_attributes(reading, node, "mode nodeset");
	return read_binding(reading, node, &reading->domain->host_nodes);
}

static int read_memnode(struct reading *reading, xmlNode *node)
{
	uint64_t number;
	int err;

	domain_check_attributes(reading, node, "cellid mode nodeset");
	err = cell_number(reading, node, "cellid", UINT64_MAX, &number);
	if (err)
		return err;
	if (number >= NB_MAX_NODES)
		return domain_fail(reading, node, "<memnode> has no cellid of 0 to %u",
				   NB_MAX_NODES - 1);
	if (domain_set_count(&reading->domain->cell[number].host_nodes))
		return domain_fail(reading, node, "cell %llu is bound twice",
				   (unsigned long long)number);
	return read_binding(reading, node, &reading->domain->cell[number].host_nodes);
}

int domain_read_numatune(struct reading *reading, xmlNode *node)
{
	static const struct element table[] = {
		{"memory", read_memory},
		{"memnode", read_memnode},
		{NULL, NULL},
	};

	domain_check_attributes(reading, node, "");
	return domain_read_children(reading, node, table, "nestbox does not know it");
}
