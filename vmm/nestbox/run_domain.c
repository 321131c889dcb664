/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A domain's words into those of a guest's options. */
#include "vmm/nestbox/run_domain.h"

static void print_warning(void *context, const char *text)
{
	(void)context;
	fprintf(stderr, "%s\n", text);
}

/* The one number in a set that has one. */
static unsigned int only_number(const struct domain_set *set)
{
	unsigned int number = 0;

	while (!domain_set_has(set, number))
		number++;
	return number;
}

static void set_backing(const struct domain *domain, struct gpa_backing *backing)
{
	/* Private memory nobody else can have: without a file, unless one is asked for. */
	backing->kind =
		domain->source == DOMAIN_SOURCE_ANONYMOUS ? GPA_BACKING_ANON : GPA_BACKING_MEMFD;
	backing->hugetlb_bytes = domain->hugepage_bytes;
	backing->prealloc = domain->immediate;
	backing->lock = domain->locked;
	if (domain_set_count(&domain->host_nodes)) {
		backing->numa_bind = true;
		backing->host_node = only_number(&domain->host_nodes);
	}
}

static int place_cells(struct run_domain *run, struct error *error)
{
	const struct domain *domain = &run->domain;
	uint64_t bytes[NB_MAX_NODES];
	int err;

	for (unsigned int i = 0; i < domain->nr_cells; i++)
		bytes[i] = domain->cell[i].memory_bytes;
	err = memory_layout_nodes(bytes, domain->nr_cells, &run->layout, error);
	if (err)
		return err;
	for (uint32_t i = 0; i < run->layout.nr_ram; i++) {
		const struct domain_set *nodes = &domain->cell[run->layout.ram[i].node].host_nodes;

		if (domain_set_count(nodes))
			run->layout.bound[i] = only_number(nodes) + 1;
	}
	run->cells = true;
	return 0;
}

bool run_domain_read(struct run_domain *run, const struct cli_command *command, const char *path,
		     struct guest_options *options, struct gpa_backing *backing)
{
	struct error error;

	if (domain_read(path, print_warning, NULL, &run->domain, &error) ||
	    (run->domain.nr_cells && place_cells(run, &error))) {
		cli_error(command, "%s", error.text);
		return false;
	}
	set_backing(&run->domain, backing);
	options->memory_bytes = run->domain.memory_bytes;
	options->cpus = run->domain.vcpus;
	options->nodes = run->domain.nr_cells ? run->domain.nr_cells : 1;
	options->image = run->domain.kernel;
	return true;
}

bool run_domain_place(struct run_domain *run, const struct cli_command *command,
		      const struct guest_options *options, struct guest_config *config)
{
	if (!run->cells)
		return true;
	if (options->memory_bytes != run->domain.memory_bytes ||
	    options->nodes != run->domain.nr_cells) {
		cli_error(command, "--memory and --nodes cannot change a domain whose <numa> says "
				   "where its memory is");
		return false;
	}
	config->memory = &run->layout;
	return true;
}

void run_domain_free(struct run_domain *run)
{
	domain_free(&run->domain);
}
