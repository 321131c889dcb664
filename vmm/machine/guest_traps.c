/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a guest's traps come to: the use-after-free trap first, then the watches of its user. */
#include <errno.h>

#include "vmm/machine/guest_private.h"
#include "vmm/machine/uaf.h"

/* The submission in flight on @vcpu, or NULL. Good while that vCPU stays out of KVM. */
static const struct nb_submission *call_of(struct guest *guest, unsigned int vcpu)
{
	const struct nb_submission *call;

	pthread_mutex_lock(&guest->lock);
	call = guest_current_call(guest, vcpu);
	pthread_mutex_unlock(&guest->lock);
	return call;
}

static void tell(struct guest *guest, struct vcpu *vcpu, const struct watch_access *access,
		 struct guest_access *access_out)
{
	const struct nb_submission *call = call_of(guest, access->vcpu);
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	*access_out = (struct guest_access){.vcpu = access->vcpu, .what = access->what};
	if (vcpu_get_registers(vcpu, &regs, &sregs) == 0) {
		access_out->rip = regs.rip;
		access_out->rcx = regs.rcx;
		image_place(&guest->image, regs.rip - (access->what.after ? 1 : 0),
			    access_out->where);
	}
	access_out->have_call = call != NULL;
	if (call)
		access_out->call = *call;
}

static enum watch_answer on_access(void *context, struct vcpu *vcpu,
				   const struct watch_access *access)
{
	struct guest *guest = context;
	struct guest_access told;

	if (guest->uaf && uaf_is_free(guest->uaf, access->page))
		return WATCH_DENY;
	if (!guest->access)
		return WATCH_GO_ON;
	tell(guest, vcpu, access, &told);
	return guest->access(guest->access_context, &told);
}

static void on_denied(void *context, const struct watch_access *access, struct guest_report *report)
{
	struct guest *guest = context;

	if (guest->uaf)
		uaf_describe(guest->uaf, access, report);
}

const struct watch_ops guest_watch_ops = {on_access, on_denied};

int guest_on_frames(void *context, struct vcpu *vcpu, struct error *error)
{
	struct guest *guest = context;

	return uaf_frames(guest->uaf, vcpu, call_of(guest, vcpu->index), error);
}

int guest_make_uaf(struct guest *guest, struct error *error)
{
	return uaf_create(guest->vm->watch, &guest->image,
			  guest->memory.ram[guest->memory.nr_ram - 1].end, &guest->uaf, error);
}

/* ---- for the user ---- */

static int no_traps(struct error *error)
{
	return error_set(error, -EOPNOTSUPP,
			 "this guest was started without traps: nestbox run --traps "
			 "starts one that has them");
}

int guest_watch(struct guest *guest, gpa_t start, gpa_t end, enum trap_access access,
		struct error *error)
{
	if (!guest->vm->watch)
		return no_traps(error);
	return trap_watch(watch_traps(guest->vm->watch), start, end, access, error);
}

int guest_unwatch(struct guest *guest, gpa_t start, gpa_t end, struct error *error)
{
	if (!guest->vm->watch)
		return no_traps(error);
	return trap_unwatch(watch_traps(guest->vm->watch), start, end, error);
}

int guest_release(struct guest *guest, unsigned int vcpu, enum watch_answer answer)
{
	if (vcpu >= guest->nr_vcpus)
		return -EINVAL;
	return guest->vm->watch ? watch_resume(guest->vm->watch, vcpu, answer) : -ENOENT;
}

bool guest_traps_frames(const struct guest *guest)
{
	return guest->uaf != NULL;
}

void guest_frames_given_up(struct guest *guest, uint64_t *ever_out, uint64_t *now_out)
{
	struct uaf_counts counts = {0};

	if (guest->uaf)
		uaf_counts(guest->uaf, &counts);
	*ever_out = counts.given_up;
	*now_out = counts.free;
}
