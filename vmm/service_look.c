/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looking at the guest's structures from outside. It works while the guest runs. */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "vmm/service_private.h"

static json_t *query_areas(struct service *service, const struct qmp_request *request)
{
	return qmp_error(request, "later");
}

/* ---- registers ---- */

static json_t *registers_json(const struct kvm_regs *r, const struct kvm_sregs *s)
{
	const struct {
		const char *name;
		uint64_t value;
	} all[] = {
		{"rax", r->rax}, {"rbx", r->rbx},   {"rcx", r->rcx},       {"rdx", r->rdx},
		{"rsi", r->rsi}, {"rdi", r->rdi},   {"rbp", r->rbp},       {"rsp", r->rsp},
		{"r8", r->r8},   {"r9", r->r9},     {"r10", r->r10},       {"r11", r->r11},
		{"r12", r->r12}, {"r13", r->r13},   {"r14", r->r14},       {"r15", r->r15},
		{"rip", r->rip}, {"cr0", s->cr0},   {"cr2", s->cr2},       {"cr3", s->cr3},
		{"cr4", s->cr4}, {"efer", s->efer}, {"rflags", r->rflags},
	};
	json_t *json = json_object();
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		json_object_set_new(json, all[i].name, qmp_hex(all[i].value));
	return json;
}

static json_t *query_registers(struct service *service, const struct qmp_request *request)
{
	unsigned int vcpu = (unsigned int)qmp_get(request, "vcpu")->word;
	char place[IMAGE_PLACE_BYTES];
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	int err;

	if (vcpu >= guest_nr_vcpus(service->guest))
		return qmp_error(request, "there is no vCPU %u: this guest has %u, from 0", vcpu,
				 guest_nr_vcpus(service->guest));
	/* One call mutex keeps the guest paused. */
	pthread_mutex_lock(&service->call_mutex[vcpu]);
	err = guest_registers(service->guest, vcpu, &regs, &sregs);
	pthread_mutex_unlock(&service->call_mutex[vcpu]);
	if (err == -EBUSY)
		return qmp_error(request, "the guest runs: stop it to see its registers");
	if (err)
		return qmp_error(request, "the registers cannot be read: %s", strerror(-err));
	return qmp_return(request,
			  json_pack("{s:o, s:s}", "registers", registers_json(&regs, &sregs),
				    "place",
				    image_place(guest_image(service->guest), regs.rip, place)));
}

const struct service_handler service_look_handlers[] = {
	{"query-areas", query_areas},
	{"query-registers", query_registers},
	{NULL, NULL},
};
