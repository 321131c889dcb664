/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looking at a guest, and changing it, from outside: memory through its page tables, registers. */
#include <errno.h>
#include <linux/kvm.h>

#include "mm/x86.h"
#include "vmm/machine/guest_private.h"
#include "vmm/soft/soft.h"

#define PAUSE_SECONDS 5.0

struct gpa_space *guest_space(struct guest *guest)
{
	return guest->space;
}

struct kvm_slots *guest_slots(const struct guest *guest)
{
	return guest->vm->slots;
}

int guest_kvm_fd(const struct guest *guest, int vcpu)
{
	if (vcpu < 0)
		return guest->vm->fd;
	return (unsigned int)vcpu < guest->nr_vcpus ? guest->vm->vcpus[vcpu]->fd : -1;
}

int guest_second_stage(const struct guest *guest, struct stage2_mode *mode_out,
		       struct stage2_reader *reader_out)
{
	return soft_second_stage(guest->vm->fd, mode_out, reader_out) ? -EOPNOTSUPP : 0;
}

int guest_kvm_device(const struct guest *guest)
{
	return guest->kvm_fd;
}

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
	return boot_paging_reader(guest->space);
}

/* What is done with each piece of a guest-virtual range that lies in one page. */
typedef int (*piece_fn)(struct gpa_space *space, gpa_t gpa, void *buffer, size_t size_bytes);

static int piece_check(struct gpa_space *space, gpa_t gpa, void *buffer, size_t size_bytes)
{
	void *host;

	(void)buffer;
	return gpa_space_translate(space, gpa, size_bytes, &host);
}

static int piece_read(struct gpa_space *space, gpa_t gpa, void *buffer, size_t size_bytes)
{
	return gpa_space_read(space, gpa, buffer, size_bytes);
}

static int piece_write(struct gpa_space *space, gpa_t gpa, void *buffer, size_t size_bytes)
{
	return gpa_space_write(space, gpa, buffer, size_bytes);
}

static int for_pieces(const struct guest *guest, gva_t gva, void *buffer, size_t size_bytes,
		      piece_fn piece)
{
	struct paging_mode mode = guest_paging_mode(guest);
	struct paging_reader reader = guest_paging_reader(guest);
	size_t done = 0;

	if (size_bytes && gva.value + (size_bytes - 1) < gva.value)
		return -EFAULT;
	while (done < size_bytes) {
		gva_t at = gva_add(gva, done);
		size_t in_page = X86_PAGE_SIZE - at.value % X86_PAGE_SIZE;
		size_t size = size_bytes - done < in_page ? size_bytes - done : in_page;
		struct paging_walk walk;

		paging_walk(&mode, &reader, at, &walk);
		if (walk.status != PAGING_MAPPED ||
		    piece(guest->space, walk.gpa, (char *)buffer + done, size) != 0)
			return -EFAULT;
		done += size;
	}
	return 0;
}

int guest_read(const struct guest *guest, gva_t gva, void *buffer, size_t size_bytes)
{
	int err = for_pieces(guest, gva, buffer, size_bytes, piece_check);

	return err ? err : for_pieces(guest, gva, buffer, size_bytes, piece_read);
}

int guest_write(struct guest *guest, gva_t gva, const void *buffer, size_t size_bytes)
{
	/* piece_write() only reads it. */
	void *bytes = (void *)(uintptr_t)buffer;
	int err = for_pieces(guest, gva, bytes, size_bytes, piece_check);

	return err ? err : for_pieces(guest, gva, bytes, size_bytes, piece_write);
}

/* ---- registers ---- */

int guest_freeze(struct guest *guest)
{
	int err = 0;
	unsigned int i;

	for (i = 0; i < guest->nr_vcpus && !err; i++)
		err = vcpu_pause(guest->vm->vcpus[i], PAUSE_SECONDS);
	guest->paused = !err;
	if (err)
		guest_resume(guest);
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
	guest->paused = false;
	for (unsigned int i = 0; i < guest->nr_vcpus; i++)
		vcpu_resume(guest->vm->vcpus[i]);
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
