/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A domain's words into those of a guest's options, and a guest that runs as a domain. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/nestbox/run_domain.h"
#include "vmm/wire/runtime.h"

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

/* Names a cell whose vCPUs are not those the guest takes for near. */
static void check_cpus(const struct domain *domain, unsigned int cpus)
{
	for (unsigned int i = 0; i < domain->nr_cells; i++) {
		struct domain_set near = {{0}};

		for (unsigned int cpu = 0; cpu < cpus; cpu++) {
			if (NB_VCPU_NODE(cpu, cpus, domain->nr_cells) == i)
				domain_set_add(&near, cpu);
		}
		if (domain_set_count(&domain->cell[i].cpus) &&
		    memcmp(&near, &domain->cell[i].cpus, sizeof(near)) != 0)
			fprintf(stderr,
				"cpus= of cell %u is not honoured: vCPUs are spread over the "
				"nodes in order, as many to each\n",
				i);
	}
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
	check_cpus(&run->domain, (unsigned int)options->cpus);
	config->memory = &run->layout;
	return true;
}

/* ---- the guest as a domain ---- */

/* Which cell each vCPU is nearest to is the guest's own rule. */
static void describe_cells(const struct nb_boot_info *info, struct domain *domain)
{
	for (uint32_t i = 0; i < info->nr_ram; i++) {
		if (info->ram[i].node >= domain->nr_cells)
			domain->nr_cells = info->ram[i].node + 1;
	}
	for (uint32_t i = 0; i < info->nr_ram; i++)
		domain->cell[info->ram[i].node].memory_bytes +=
			info->ram[i].end - info->ram[i].start;
	for (unsigned int i = 0; i < info->nr_vcpus; i++)
		domain_set_add(
			&domain->cell[NB_VCPU_NODE(i, info->nr_vcpus, domain->nr_cells)].cpus, i);
}

/* What memory is made of, which is the same everywhere but for where it is bound to. */
static void describe_region(const struct gpa_region *region, bool cells, struct domain *domain)
{
	const struct gpa_backing *backing = &region->backing;
	bool file = region->fd >= 0;

	domain->hugepage_bytes = backing->hugetlb_bytes;
	domain->shared = file && !backing->file_private;
	domain->immediate = backing->prealloc;
	domain->locked = backing->lock;
	/* Anonymous huge pages are what libvirt has no <source> for. */
	if (file)
		domain->source = DOMAIN_SOURCE_MEMFD;
	else if (!backing->hugetlb_bytes)
		domain->source = DOMAIN_SOURCE_ANONYMOUS;
	if (backing->numa_bind)
		domain_set_add(cells ? &domain->cell[region->node].host_nodes : &domain->host_nodes,
			       backing->host_node);
}

int run_domain_describe(const struct run_domain *run, const char *name, const char *image,
			struct guest *guest, char **xml_out)
{
	const struct nb_boot_info *info = &guest_boot(guest)->info;
	const struct gpa_space *space = guest_space(guest);
	bool soft = strcmp(guest_kvm_host(guest)->module, "soft") == 0;
	char kernel[PATH_MAX], said[RUNTIME_NAME_BYTES];
	struct domain domain = {
		.memory_bytes = guest_memory_bytes(guest),
		.current_bytes = guest_memory_bytes(guest),
		.vcpus = guest_nr_vcpus(guest),
		.nosharepages = run->domain.nosharepages,
		.discard = run->domain.discard,
	};

	snprintf(said, sizeof(said), "%s", name);
	domain.name = said;
	memcpy(domain.uuid, run->domain.uuid, sizeof(domain.uuid));
	if (image && realpath(image, kernel))
		domain.kernel = kernel;
	describe_cells(info, &domain);
	/* One node is what a guest without cells has. */
	if (domain.nr_cells == 1 && !run->cells)
		domain.nr_cells = 0;
	for (size_t i = 0; i < gpa_space_count(space); i++) {
		const struct gpa_region *region = gpa_space_at(space, i);

		if (region->kind == GPA_RAM)
			describe_region(region, domain.nr_cells > 0, &domain);
	}
	return domain_write(&domain, soft, xml_out);
}

void run_domain_free(struct run_domain *run)
{
	domain_free(&run->domain);
}
