/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of the verbs that act on the second stage. */
#include <inttypes.h>

#include "vmm/nestctl/nestctl.h"

enum cli_status ctl_print_traps(struct ctl *ctl, const json_t *value)
{
	const json_t *traps = json_object_get(value, "traps");
	const json_t *held = json_object_get(value, "held");
	size_t i;

	for (i = 0; i < json_array_size(traps); i++) {
		const json_t *trap = json_array_get(traps, i);

		fprintf(ctl->out,
			"%3" PRIu64 ": %s %s, %" PRIu64 " bytes, %" PRIu64
			" pages: %s, %s; %" PRIu64 " hits\n",
			ctl_number(trap, "trap"), ctl_text(trap, "space"),
			ctl_text(trap, "address"), ctl_number(trap, "size"),
			ctl_number(trap, "pages"), ctl_text(trap, "access"),
			ctl_text(trap, "policy"), ctl_number(trap, "hits"));
	}
	for (i = 0; i < json_array_size(held); i++)
		fprintf(ctl->out, "vCPU %" PRIu64 " is held by %s\n",
			ctl_number(json_array_get(held, i), "vcpu"),
			ctl_text(json_array_get(held, i), "text"));
	return CLI_DONE;
}

/* ---- dirty pages ---- */

static double real(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

enum cli_status ctl_print_dirty(struct ctl *ctl, const json_t *value)
{
	const json_t *regions = json_object_get(value, "regions");
	const json_t *rate = json_object_get(value, "rate");
	size_t i;

	for (i = 0; i < json_array_size(regions); i++) {
		const json_t *region = json_array_get(regions, i);

		fprintf(ctl->out, "%-8s %10" PRIu64 " pages, working set %" PRIu64 "\n",
			ctl_text(region, "name"), ctl_number(region, "pages"),
			ctl_number(region, "working-set"));
	}
	fprintf(ctl->out,
		"epoch %" PRIu64 ", %.3f s: %" PRIu64 " pages; working set %" PRIu64 " pages\n",
		ctl_number(value, "epoch"), real(value, "seconds"), ctl_number(value, "pages"),
		ctl_number(value, "working-set"));
	fprintf(ctl->out,
		"%.0f pages a second; mean %.0f, deviation %.0f over %" PRIu64 " epochs\n",
		real(rate, "last"), real(rate, "mean"), real(rate, "deviation"),
		ctl_number(rate, "epochs"));
	return CLI_DONE;
}

enum cli_status ctl_print_dirty_map(struct ctl *ctl, const json_t *value)
{
	const json_t *ranges = json_object_get(value, "ranges");
	size_t i;

	for (i = 0; i < json_array_size(ranges); i++) {
		const json_t *range = json_array_get(ranges, i);

		fprintf(ctl->out, "%012" PRIx64 "-%012" PRIx64 " %10" PRIu64 " pages\n",
			ctl_number(range, "start"), ctl_number(range, "end"),
			ctl_number(range, "pages"));
	}
	if (json_object_get(value, "next"))
		fprintf(ctl->out, "... more from %s on\n", ctl_text(value, "next"));
	return CLI_DONE;
}
