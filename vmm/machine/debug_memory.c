/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a debugger sees of a guest that is stopped, and changes: registers and memory. */
#include <errno.h>
#include <string.h>

#include "ept/kvm_fd.h"
#include "vmm/machine/debug_private.h"
#include "vmm/soft/history.h"

#define MSR_KERNEL_GS_BASE 0xc0000102u
#define OFFSET_MASK        (EPT_PAGE_BYTES - 1)

static struct vcpu *find_vcpu(const struct debug *debug, unsigned int vcpu)
{
	return vcpu < debug->vm->nr_vcpus ? debug->vm->vcpus[vcpu] : NULL;
}

/* ---- registers ---- */

/* struct kvm_msrs with room for one. */
struct one_msr {
	uint32_t count, unused;
	struct kvm_msr_entry entry;
};

int debug_get_registers(struct debug *debug, unsigned int vcpu, struct debug_registers *out)
{
	struct one_msr msr = {.count = 1, .entry.index = MSR_KERNEL_GS_BASE};
	const struct vcpu *one = find_vcpu(debug, vcpu);
	int err =
		one ? vcpu_get_registers(debug->vm->vcpus[vcpu], &out->regs, &out->sregs) : -EINVAL;

	if (err)
		return err;
	out->have_kernel_gs_base = kvm_ioctl(one->fd, KVM_GET_MSRS, &msr) == 1;
	out->kernel_gs_base = msr.entry.data;
	out->have_fpu = kvm_ioctl(one->fd, KVM_GET_FPU, &out->fpu) == 0;
	return 0;
}

int debug_set_registers(struct debug *debug, unsigned int vcpu, const struct debug_registers *in)
{
	struct one_msr msr = {.count = 1,
			      .entry = {.index = MSR_KERNEL_GS_BASE, .data = in->kernel_gs_base}};
	const struct vcpu *one = find_vcpu(debug, vcpu);
	struct debug_registers now = {0};
	int err = debug_in_past(debug) ? -EPERM : debug_get_registers(debug, vcpu, &now);

	if (err)
		return err;
	/* What is as it was stays: writing may have consequences of its own. */
	if (memcmp(&now.sregs, &in->sregs, sizeof(now.sregs)) != 0 &&
	    kvm_ioctl(one->fd, KVM_SET_SREGS, &in->sregs) != 0)
		return -errno;
	if (memcmp(&now.regs, &in->regs, sizeof(now.regs)) != 0 &&
	    kvm_ioctl(one->fd, KVM_SET_REGS, &in->regs) != 0)
		return -errno;
	if (now.have_fpu && memcmp(&now.fpu, &in->fpu, sizeof(now.fpu)) != 0 &&
	    kvm_ioctl(one->fd, KVM_SET_FPU, &in->fpu) != 0)
		return -errno;
	if (now.have_kernel_gs_base && now.kernel_gs_base != in->kernel_gs_base &&
	    kvm_ioctl(one->fd, KVM_SET_MSRS, &msr) != 1)
		return -EINVAL;
	return 0;
}

bool debug_is_halted(struct debug *debug, unsigned int vcpu)
{
	const struct vcpu *one = find_vcpu(debug, vcpu);
	struct kvm_mp_state state;

	return one && kvm_ioctl(one->fd, KVM_GET_MP_STATE, &state) == 0 &&
	       state.mp_state == KVM_MP_STATE_HALTED;
}

/* ---- memory ---- */

int debug_translate(struct debug *debug, unsigned int vcpu, uint64_t address, gpa_t *gpa_out)
{
	struct paging_reader reader = gpa_space_paging_reader(debug->vm->space);
	struct vcpu *one = find_vcpu(debug, vcpu);
	struct paging_walk walk;
	struct paging_mode mode;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (!one || vcpu_get_registers(one, &regs, &sregs) != 0 ||
	    vcpu_paging_mode(one, &sregs, &mode) != 0)
		return -EFAULT;
	paging_walk(&mode, &reader, gva_make(address), &walk);
	if (walk.status != PAGING_MAPPED)
		return -EFAULT;
	*gpa_out = walk.gpa;
	return 0;
}

/* The byte of the INT3 at @gpa, as it was before; NULL: there is none. */
static uint8_t *patched(struct debug *debug, uint64_t gpa)
{
	if (debug->way != DEBUG_PATCH)
		return NULL;
	for (unsigned int i = 0; i < debug->nr_points; i++)
		if (debug->points[i].point.kind == DEBUG_SOFTWARE &&
		    debug->points[i].gpa.value == gpa)
			return &debug->points[i].saved;
	return NULL;
}

/* As much of [address, address + size) as lies in its page. Returns how much; 0: nothing there. */
static size_t piece(struct debug *debug, unsigned int vcpu, bool physical, uint64_t address,
		    size_t size, gpa_t *gpa_out)
{
	uint64_t left = EPT_PAGE_BYTES - (address & OFFSET_MASK);
	uint8_t byte;

	*gpa_out = gpa_make(address);
	if (!physical && debug_translate(debug, vcpu, address, gpa_out) != 0)
		return 0;
	if (gpa_space_read(debug->vm->space, *gpa_out, &byte, 1) != 0)
		return 0;
	return left < size ? left : size;
}

size_t debug_read(struct debug *debug, unsigned int vcpu, bool physical, uint64_t address,
		  void *buffer, size_t size_bytes)
{
	uint8_t *to = buffer, *saved;
	size_t done = 0, now;
	gpa_t gpa;

	while (done < size_bytes) {
		now = piece(debug, vcpu, physical, address + done, size_bytes - done, &gpa);
		if (now == 0 || gpa_space_read(debug->vm->space, gpa, to + done, now) != 0)
			break;
		for (size_t i = 0; debug->nr_points && i < now; i++) {
			saved = patched(debug, gpa.value + i);
			if (saved)
				to[done + i] = *saved;
		}
		done += now;
	}
	return done;
}

/* Under an INT3 the byte that was saved is the memory's. */
static int write_piece(struct debug *debug, gpa_t gpa, const uint8_t *from, size_t size)
{
	int err = 0;

	if (debug->has_history)
		soft_history_will_write(debug->vm->fd, gpa.value, size);
	for (size_t i = 0; i < size && !err; i++) {
		uint8_t *saved = patched(debug, gpa.value + i);

		if (saved)
			*saved = from[i];
		else
			err = gpa_space_write(debug->vm->space, gpa_add(gpa, i), from + i, 1);
	}
	return err;
}

int debug_write(struct debug *debug, unsigned int vcpu, bool physical, uint64_t address,
		const void *buffer, size_t size_bytes)
{
	const uint8_t *from = buffer;
	size_t done, now;
	gpa_t gpa;
	int err = 0;

	if (debug_in_past(debug))
		return -EPERM;
	for (done = 0; done < size_bytes; done += now) {
		now = piece(debug, vcpu, physical, address + done, size_bytes - done, &gpa);
		if (now == 0)
			return -EFAULT;
	}
	for (done = 0; done < size_bytes && !err; done += now) {
		now = piece(debug, vcpu, physical, address + done, size_bytes - done, &gpa);
		err = now ? write_piece(debug, gpa, from + done, now) : -EFAULT;
	}
	return err;
}
