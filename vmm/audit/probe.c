/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Probes, a part of check "tlb": each CPU of the guest loads a word of every area, and the host
 * compares it with what it reads itself, through the page tables, in the frame they name. A CPU
 * with a translation that should be gone reads another frame. Which page of an area is probed
 * changes from run to run.
 */
#include <errno.h>
#include <stdlib.h>

#include "vmm/audit/private.h"
#include "vmm/audit/state.h"

#define PAGE INSPECT_PAGE_BYTES

struct probes {
	uint64_t *gva, *expected;
	struct audit_word *word;
	size_t count;
};

static void choose(struct audit_pass *pass, struct probes *probes)
{
	const struct inspect_areas *areas = &pass->areas;

	for (size_t i = 0; i < areas->count; i++) {
		const struct inspect_area *area = &areas->area[i];
		uint64_t gva = area->start, word;

		if (!audit_owns_frames(pass, area))
			continue;
		gva += pass->audit->runs % area->nr_pages * PAGE;
		/* What is not mapped is for the check "mapping". */
		if (!inspect_u64(pass->inspector, gva, &word))
			continue;
		probes->gva[probes->count] = gva;
		probes->expected[probes->count++] = word;
	}
}

static void probe(struct audit_pass *pass, const struct probes *probes)
{
	const struct audit_prober *prober = &pass->audit->prober;

	for (unsigned int vcpu = 0; vcpu < prober->nr_vcpus; vcpu++) {
		if (prober->load(prober->context, vcpu, probes->gva, probes->count, probes->word)) {
			audit_found(pass, 0, vcpu, vcpu, "vCPU %u ended while it was probed", vcpu);
			return;
		}
		for (size_t i = 0; i < probes->count; i++) {
			audit_looked(pass, 1);
			if (!probes->word[i].loaded)
				audit_found(pass, probes->gva[i], 0, 0,
					    "vCPU %u faults where a page is mapped", vcpu);
			else if (probes->word[i].value != probes->expected[i])
				audit_found(pass, probes->gva[i], probes->word[i].value,
					    probes->expected[i],
					    "vCPU %u reads through it another word than its frame "
					    "holds",
					    vcpu);
		}
	}
}

int audit_probe_areas(struct audit_pass *pass)
{
	size_t room = pass->areas.count;
	struct probes probes = {0};
	int err = 0;

	if (!pass->audit->prober.load || room == 0)
		return 0;
	probes.gva = calloc(room, sizeof(*probes.gva));
	probes.expected = calloc(room, sizeof(*probes.expected));
	probes.word = calloc(room, sizeof(*probes.word));
	if (probes.gva && probes.expected && probes.word) {
		choose(pass, &probes);
		probe(pass, &probes);
	} else {
		err = -ENOMEM;
	}
	free(probes.gva);
	free(probes.expected);
	free(probes.word);
	return err;
}
