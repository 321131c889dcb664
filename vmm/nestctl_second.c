/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of the verbs that act on the second stage. */
#include <inttypes.h>

#include "vmm/nestctl.h"

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
