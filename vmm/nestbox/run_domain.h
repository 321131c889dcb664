/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nestbox run --domain: a guest as libvirt's domain XML describes its memory. */
#ifndef VMM_NESTBOX_RUN_DOMAIN_H
#define VMM_NESTBOX_RUN_DOMAIN_H

#include "vmm/domain/domain.h"
#include "vmm/nestbox/guest_options.h"

/* All zero at first: no domain. */
struct run_domain {
	struct domain domain;
	bool cells;                  /* @layout is the guest's memory, node by node */
	struct memory_layout layout; /* what the cells make of it */
};

/*
 * Reads the file @path and sets @options and @backing as it says; the name is @run's, in
 * run->domain.name. Warnings, and what is wrong, go to standard error. Returns false if there is no
 * such domain. What @options point to is @run's until run_domain_free(), in any case.
 */
bool run_domain_read(struct run_domain *run, const struct cli_command *command, const char *path,
		     struct guest_options *options, struct gpa_backing *backing);

/*
 * After the command line was read as well, which wins: gives @config the domain's nodes. Returns
 * false, having said why, where the command line contradicts them.
 */
bool run_domain_place(struct run_domain *run, const struct cli_command *command,
		      const struct guest_options *options, struct guest_config *config);

/*
 * @guest, which runs under @name, as a domain's XML (vmm/domain/domain.h): what it has, whether a
 * domain's file, the command line or a default said so; of the file the UUID. @image is its image's
 * file, or NULL. Returns 0 with the text in *@xml_out, which the caller frees; -ENOMEM.
 */
int run_domain_describe(const struct run_domain *run, const char *name, const char *image,
			struct guest *guest, char **xml_out);

void run_domain_free(struct run_domain *run);

#endif
