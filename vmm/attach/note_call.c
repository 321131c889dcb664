/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which calls make and end an expectation, and of what. */
#include "vmm/attach/note_call.h"

static int expect(struct audit *audit, const struct nb_submission *call, uint64_t address)
{
	const struct audit_expectation expectation = {
		.address = address,
		.size = call->arg[0],
		.align = call->arg[1] ? call->arg[1] : 1,
		.start = call->arg[2],
		.end = call->arg[3],
		.flags = call->arg[6],
		.gfp = (uint32_t)call->arg[4],
		.node = (int32_t)(int64_t)call->arg[7],
	};

	return audit_expect(audit, &expectation);
}

int note_call(struct audit *audit, const struct nb_submission *call,
	      const struct nb_completion *answer)
{
	if (answer->status != 0)
		return 0;
	switch (call->opcode) {
	case NB_OP_VMALLOC:
	case NB_OP_GET_VM_AREA:
		return expect(audit, call, answer->result[0]);
	case NB_OP_VFREE:
	case NB_OP_FREE_VM_AREA:
	case NB_OP_REMOVE_VM_AREA:
	case NB_OP_VUNMAP:
		audit_unexpect(audit, call->arg[0]);
		return 0;
	default:
		return 0;
	}
}
