/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looking at a guest, and changing it, from outside: memory through its page tables, registers. */
#include <errno.h>
#include <linux/kvm.h>

#include "ept/kvm_fd.h"
#include "mm/x86.h"
#include "vmm/machine/guest_private.h"
#include "vmm/machine/vcpu_report.h"

#define PAUSE_SECONDS 5.0

struct paging_mode guest_paging_mode(const struct guest *guest)
{
	return (struct paging_mode){
		.root = guest->boot.root,
		.levels = 4,
		.physical_bits = guest->host.physical_bits,
		.nxe = true,
		.no_1g_pages = !guest->host.pages_1g,
	};
}

struct paging_reader guest_paging_reader(const struct guest *guest)
{
	return gpa_space_paging_reader(guest->space);
}

/* Translates all of a range before the first byte is copied. */
static int check(const struct guest *guest, gva_t gva, size_t size_bytes)
{
	struct paging_mode mode = guest_paging_mode(guest);

	return gpa_space_read_virtual(guest->space, &mode, gva, NULL, size_bytes) == size_bytes
		       ? 0
		       : -EFAULT;
}

int guest_read(const struct guest *guest, gva_t gva, void *buffer, size_t size_bytes)
{
	struct paging_mode mode = guest_paging_mode(guest);
	int err = check(guest, gva, size_bytes);

	if (!err &&
	    gpa_space_read_virtual(guest->space, &mode, gva, buffer, size_bytes) != size_bytes)
		err = -EFAULT;
	return err;
}

int guest_write(struct guest *guest, gva_t gva, const void *buffer, size_t size_bytes)
{
	struct paging_mode mode = guest_paging_mode(guest);
	int err = check(guest, gva, size_bytes);

	if (!err &&
	    gpa_space_write_virtual(guest->space, &mode, gva, buffer, size_bytes) != size_bytes)
		err = -EFAULT;
	return err;
}

/* ---- registers ---- */

/* With pause_lock held. */
static void resume(struct guest *guest)
{
	guest->paused = false;
	for (unsigned int i = 0; i < guest->nr_vcpus; i++)
		vcpu_resume(guest->vm->vcpus[i]);
}

int guest_freeze(struct guest *guest)
{
	int err = 0;
	unsigned int i;

	pthread_mutex_lock(&guest->pause_lock);
	for (i = 0; i < guest->nr_vcpus && !err; i++)
		err = vcpu_pause(guest->vm->vcpus[i], PAUSE_SECONDS);
	guest->paused = !err;
	if (err)
		resume(guest);
	pthread_mutex_unlock(&guest->pause_lock);
	return err;
}

int guest_pause(struct guest *guest)
{
	return guest_failure(guest) ? -ENOTRECOVERABLE : guest_freeze(guest);
}

bool guest_is_paused(const struct guest *guest)
{
	return guest->paused;
}

void guest_resume(struct guest *guest)
{
	pthread_mutex_lock(&guest->pause_lock);
	resume(guest);
	pthread_mutex_unlock(&guest->pause_lock);
}

int guest_registers(struct guest *guest, unsigned int vcpu, struct kvm_regs *regs_out,
		    struct kvm_sregs *sregs_out)
{
	if (vcpu >= guest->nr_vcpus)
		return -EINVAL;
	if (!guest->paused)
		return -EBUSY;
	return vcpu_get_registers(guest->vm->vcpus[vcpu], regs_out, sregs_out);
}

/*
 * Stops @vcpu for a look, if the guest is not paused anyway. Returns 0 with pause_lock held, to be
 * ended by end_glance(), or -EINVAL (there is none) or vcpu_pause()'s error, nothing held.
 */
static int begin_glance(struct guest *guest, unsigned int vcpu)
{
	int err = 0;

	if (vcpu >= guest->nr_vcpus)
		return -EINVAL;
	pthread_mutex_lock(&guest->pause_lock);
	if (!guest->paused)
		err = vcpu_pause(guest->vm->vcpus[vcpu], PAUSE_SECONDS);
	if (err)
		pthread_mutex_unlock(&guest->pause_lock);
	return err;
}

static void end_glance(struct guest *guest, unsigned int vcpu)
{
	if (!guest->paused)
		vcpu_resume(guest->vm->vcpus[vcpu]);
	pthread_mutex_unlock(&guest->pause_lock);
}

int guest_registers_now(struct guest *guest, unsigned int vcpu, struct kvm_regs *regs_out,
			struct kvm_sregs *sregs_out, bool *halted_out)
{
	struct kvm_mp_state state = {.mp_state = KVM_MP_STATE_RUNNABLE};
	int err = begin_glance(guest, vcpu);

	if (err)
		return err;
	err = vcpu_get_registers(guest->vm->vcpus[vcpu], regs_out, sregs_out);
	/* A KVM that cannot say so has it run. */
	(void)kvm_ioctl(guest->vm->vcpus[vcpu]->fd, KVM_GET_MP_STATE, (unsigned long)&state);
	*halted_out = state.mp_state == KVM_MP_STATE_HALTED;
	end_glance(guest, vcpu);
	return err;
}

/* The hypercall that vCPU @vcpu is in. */
static void find_call(struct guest *guest, unsigned int vcpu, struct guest_report *report)
{
	const struct nb_submission *call;

	pthread_mutex_lock(&guest->lock);
	call = guest_current_call(guest, vcpu);
	report->have_call = call != NULL;
	if (call)
		report->call = *call;
	pthread_mutex_unlock(&guest->lock);
}

int guest_glimpse(struct guest *guest, unsigned int vcpu, struct guest_report *report_out)
{
	struct guest_report *report = report_out;
	int err = begin_glance(guest, vcpu);

	if (err)
		return err;
	vcpu_report(guest->vm->vcpus[vcpu], REPORT_ENDED, "", report);
	find_call(guest, vcpu, report);
	err = report->have_regs ? 0 : -EIO;
	end_glance(guest, vcpu);
	return err;
}
