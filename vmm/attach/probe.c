/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/attach/probe.h"

#include "guest/abi.h"

static int load_batch(struct guest *guest, unsigned int vcpu, const uint64_t *gva, size_t count,
		      struct audit_word *words_out)
{
	struct nb_submission submissions[NB_RING_ENTRIES] = {{0}};
	struct nb_completion completions[NB_RING_ENTRIES];
	int err;

	for (size_t i = 0; i < count; i++) {
		submissions[i].opcode = NB_OP_PROBE;
		submissions[i].arg[1] = gva[i];
	}
	err = guest_call_batch(guest, vcpu, submissions, count, completions, NULL);
	for (size_t i = 0; i < count && !err; i++)
		words_out[i] =
			(struct audit_word){completions[i].result[0], completions[i].status == 0};
	return err;
}

static int load(void *context, unsigned int vcpu, const uint64_t *gva, size_t count,
		struct audit_word *words_out)
{
	int err = 0;

	while (count && !err) {
		size_t batch = count < NB_RING_ENTRIES ? count : NB_RING_ENTRIES;

		err = load_batch(context, vcpu, gva, batch, words_out);
		gva += batch;
		words_out += batch;
		count -= batch;
	}
	return err;
}

struct audit_prober probe_by_guest(struct guest *guest)
{
	return (struct audit_prober){guest, guest_boot(guest)->info.nr_vcpus, load};
}
