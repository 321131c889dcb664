/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which argument of a hypercall the core did not take, and why. The core logs what it finds itself;
 * what the guest's border refuses (guest/border.h) it answers with a number alone, so that is
 * judged here again, for words: nothing depends on it.
 */
#include <errno.h>
#include <string.h>

#include "mm/x86.h"
#include "vmm/service/private.h"

/* Why an argument of such a name is wrong; NULL: it is not, as far as can be seen. */
struct judge {
	const char *argument;
	const char *(*wrong)(struct service *service, const struct qmp_request *request,
			     const struct qmp_value *value);
};

static const char *wrong_size(struct service *service, const struct qmp_request *request,
			      const struct qmp_value *value)
{
	(void)service, (void)request;
	return value->word ? NULL : "is 0";
}

static const char *wrong_align(struct service *service, const struct qmp_request *request,
			       const struct qmp_value *value)
{
	(void)service, (void)request;
	return value->word & (value->word - 1) ? "is no power of two" : NULL;
}

/* What reads bytes takes any address. */
static const char *wrong_address(struct service *service, const struct qmp_request *request,
				 const struct qmp_value *value)
{
	unsigned int opcode = request->command->opcode & 0xffff;

	(void)service;
	if (opcode == NB_OP_VREAD || opcode == NB_OP_VWRITE || opcode == NB_OP_FIND_VM_AREA)
		return NULL;
	if (opcode == NB_OP_KFREE)
		return "is to be one that kmalloc returned and nobody has freed since";
	if (opcode == NB_OP_PROBE)
		return value->word % INSPECT_PAGE_BYTES > INSPECT_PAGE_BYTES - sizeof(uint64_t)
			       ? "has no whole word before the end of its page"
			       : NULL;
	if (value->word % INSPECT_PAGE_BYTES)
		return "is not page aligned";
	return opcode == NB_OP_REMAP_VMALLOC_RANGE
		       ? "is to be an area for users (vmalloc-user) of as many pages as the range"
		       : NULL;
}

static bool is_canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

static const char *wrong_start(struct service *service, const struct qmp_request *request,
			       const struct qmp_value *value)
{
	(void)service, (void)request;
	return is_canonical(value->word) ? NULL : "is not canonical";
}

static const char *wrong_end(struct service *service, const struct qmp_request *request,
			     const struct qmp_value *value)
{
	uint64_t start = qmp_get(request, "start")->word;

	(void)service;
	if (!value->word && !start)
		return NULL;
	if (value->word <= start)
		return "is not behind the start";
	if (!is_canonical(value->word - 1))
		return "is not canonical";
	return (int64_t)(start ^ (value->word - 1)) < 0 ? "is not in the start's half" : NULL;
}

static const char *wrong_gfp(struct service *service, const struct qmp_request *request,
			     const struct qmp_value *value)
{
	(void)service, (void)request;
	return value->word >> 32 ? "has more bits than gfp_t" : NULL;
}

static const char *wrong_prot(struct service *service, const struct qmp_request *request,
			      const struct qmp_value *value)
{
	unsigned int opcode = request->command->opcode & 0xffff;

	(void)service;
	if (!(value->word & X86_PTE_P))
		return "is of no present leaf";
	if (value->word & ~(X86_PTE_NX | 0xfffull))
		return "has bits that are an address";
	if (opcode != NB_OP_VMALLOC_CALL && opcode != NB_OP_VMAP && opcode != NB_OP_MAP_VM_AREA)
		return NULL;
	return value->word & X86_PTE_NX ? NULL : "lets it be executed, which is vmalloc-exec's";
}

static const char *wrong_node(struct service *service, const struct qmp_request *request,
			      const struct qmp_value *value)
{
	const struct nb_boot_info *info = &guest_boot(service->guest)->info;

	(void)request;
	if (value->number == -1)
		return NULL;
	for (uint32_t i = 0; i < info->nr_ram; i++)
		if (info->ram[i].node == (uint64_t)value->number)
			return NULL;
	return "is a node without memory";
}

static const char *wrong_flags(struct service *service, const struct qmp_request *request,
			       const struct qmp_value *value)
{
	(void)service;
	if ((request->command->opcode & 0xffff) == NB_OP_VMAP)
		return value->word & ~NB_VM_OF_VMAP
			       ? "has more than VM_MAP, VM_USERMAP and VM_MAP_PUT_PAGES"
			       : NULL;
	return value->word & ~NB_VM_OF_AREAS ? "has bits that are the core's own, or nobody's"
					     : NULL;
}

static const char *wrong_frames(struct service *service, const struct qmp_request *request,
				const struct qmp_value *value)
{
	(void)service, (void)value;
	return (request->command->opcode & 0xffff) == NB_OP_MAP_VM_AREA
		       ? "are to be such as alloc-pages returned, as many as the area has pages"
		       : "are to be such as alloc-pages returned, of order 0";
}

static const char *wrong_frame(struct service *service, const struct qmp_request *request,
			       const struct qmp_value *value)
{
	(void)service, (void)value;
	if ((request->command->opcode & 0xffff) == NB_OP_VM_INSERT_PAGE)
		return "is to be one in use, as alloc-pages and vmalloc-to-page return them";
	return "is to be one that alloc-pages returned, of the same order";
}

static const char *wrong_pages(struct service *service, const struct qmp_request *request,
			       const struct qmp_value *value)
{
	(void)service;
	if ((request->command->opcode & 0xffff) != NB_OP_BENCH)
		return NULL;
	if (qmp_get(request, "case")->word == NB_BENCH_FIX_SIZE)
		return value->word ? NULL : "is 0: fix_size wants it, --pages 1";
	return value->word ? "is fix_size's alone" : NULL;
}

static const char *wrong_in_interrupt(struct service *service, const struct qmp_request *request,
				      const struct qmp_value *value)
{
	(void)service;
	return value->flag && (request->command->opcode & 0xffff) == NB_OP_USER_RUN
		       ? "is not for programs"
		       : NULL;
}

/* Those that can be seen come first; of frames the core alone knows. */
static const struct judge judges[] = {
	{"size", wrong_size},       {"align", wrong_align},
	{"start", wrong_start},     {"end", wrong_end},
	{"gfp", wrong_gfp},         {"prot", wrong_prot},
	{"node", wrong_node},       {"flags", wrong_flags},
	{"pages", wrong_pages},     {PROTOCOL_IN_INTERRUPT, wrong_in_interrupt},
	{"address", wrong_address}, {"frames", wrong_frames},
	{"frame", wrong_frame},
};

static const struct qmp_value *value_of(const struct qmp_request *request, const char *name)
{
	const struct qmp_arg *arg = request->command->args;

	for (; arg && arg->name; arg++)
		if (strcmp(arg->name, name) == 0)
			return &request->values[arg - request->command->args];
	return NULL;
}

const char *service_wrong_argument(struct service *service, const struct qmp_request *request,
				   int err, const char **why_out)
{
	for (size_t i = 0; i < sizeof(judges) / sizeof(judges[0]); i++) {
		const struct qmp_value *value = value_of(request, judges[i].argument);

		*why_out = value ? judges[i].wrong(service, request, value) : NULL;
		/* A frame that is none is bad input; what is not found has another name. */
		if (*why_out && (err == EINVAL || judges[i].wrong == wrong_address))
			return judges[i].argument;
	}
	return NULL;
}
