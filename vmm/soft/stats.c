/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counters in the format of KVM's binary statistics (api.rst 4.134), kept in a memfd: what is
 * counted is at once what a reader of the descriptor sees. Names that KVM has mean what they mean
 * there; `instructions` is this engine's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/soft/private.h"

#define NAME_BYTES  48
#define ID_BYTES    48
#define STATS_BYTES 4096

struct stat_kind {
	const char *name;
	uint32_t flags;
};

#define CUMULATIVE (KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_NONE | KVM_STATS_BASE_POW10)
#define INSTANT    (KVM_STATS_TYPE_INSTANT | KVM_STATS_UNIT_NONE | KVM_STATS_BASE_POW10)

static const struct stat_kind vm_stats[SOFT_VM_STATS] = {
	[SOFT_VM_PAGES_4K] = {"pages_4k", INSTANT},
	[SOFT_VM_PAGES_2M] = {"pages_2m", INSTANT},
	[SOFT_VM_PAGES_1G] = {"pages_1g", INSTANT},
	[SOFT_VM_ZAPPED] = {"mmu_shadow_zapped", CUMULATIVE},
	[SOFT_VM_REMOTE_FLUSH] = {"remote_tlb_flush", CUMULATIVE},
};

static const struct stat_kind vcpu_stats[SOFT_VCPU_STATS] = {
	[SOFT_VCPU_INSTRUCTIONS] = {"instructions", CUMULATIVE},
	[SOFT_VCPU_EXITS] = {"exits", CUMULATIVE},
	[SOFT_VCPU_IO_EXITS] = {"io_exits", CUMULATIVE},
	[SOFT_VCPU_MMIO_EXITS] = {"mmio_exits", CUMULATIVE},
	[SOFT_VCPU_SIGNAL_EXITS] = {"signal_exits", CUMULATIVE},
	[SOFT_VCPU_HALT_EXITS] = {"halt_exits", CUMULATIVE},
	[SOFT_VCPU_IRQ_INJECTIONS] = {"irq_injections", CUMULATIVE},
	[SOFT_VCPU_WALKS] = {"walks", CUMULATIVE},
	[SOFT_VCPU_PF_TAKEN] = {"pf_taken", CUMULATIVE},
	[SOFT_VCPU_PF_FIXED] = {"pf_fixed", CUMULATIVE},
	[SOFT_VCPU_TLB_FLUSH] = {"tlb_flush", CUMULATIVE},
	[SOFT_VCPU_INVLPG] = {"invlpg", CUMULATIVE},
};

/* header | id | descriptors with their names | values */
static void lay_out(struct soft_stats *stats, const struct stat_kind *kinds, unsigned int count,
		    int vcpu)
{
	struct kvm_stats_header *header = stats->map;
	size_t stride = sizeof(struct kvm_stats_desc) + NAME_BYTES;
	char *id = (char *)(header + 1), *descriptors = id + ID_BYTES;

	*header = (struct kvm_stats_header){
		.name_size = NAME_BYTES,
		.num_desc = count,
		.id_offset = (uint32_t)sizeof(*header),
		.desc_offset = (uint32_t)(descriptors - (char *)stats->map),
		.data_offset = (uint32_t)(descriptors - (char *)stats->map + count * stride),
	};
	if (vcpu < 0)
		snprintf(id, ID_BYTES, "kvm-%d", getpid());
	else
		snprintf(id, ID_BYTES, "kvm-%d/vcpu-%d", getpid(), vcpu);
	for (unsigned int i = 0; i < count; i++) {
		struct kvm_stats_desc *desc = (struct kvm_stats_desc *)(descriptors + i * stride);

		desc->flags = kinds[i].flags;
		desc->size = 1;
		desc->offset = i * (uint32_t)sizeof(uint64_t);
		snprintf(desc->name, NAME_BYTES, "%s", kinds[i].name);
	}
	stats->values = (uint64_t *)((char *)stats->map + header->data_offset);
}

_Static_assert(sizeof(struct kvm_stats_header) + ID_BYTES +
			       SOFT_VCPU_STATS * (sizeof(struct kvm_stats_desc) + NAME_BYTES + 8) <=
		       STATS_BYTES,
	       "they fit into a page");
_Static_assert(sizeof(struct kvm_stats_header) % 8 == 0 && ID_BYTES % 8 == 0 &&
		       NAME_BYTES % 8 == 0 && sizeof(struct kvm_stats_desc) % 8 == 0,
	       "values are aligned");

int soft_stats_create(struct soft_stats *stats, int vcpu)
{
	int fd = memfd_create("soft-stats", MFD_CLOEXEC), err;
	void *map = MAP_FAILED;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, STATS_BYTES) == 0)
		map = mmap(NULL, STATS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		err = -errno;
		close(fd);
		return err;
	}
	*stats = (struct soft_stats){.fd = fd, .map = map};
	if (vcpu < 0)
		lay_out(stats, vm_stats, SOFT_VM_STATS, vcpu);
	else
		lay_out(stats, vcpu_stats, SOFT_VCPU_STATS, vcpu);
	return 0;
}

void soft_stats_destroy(struct soft_stats *stats)
{
	if (!stats->map)
		return;
	munmap(stats->map, STATS_BYTES);
	close(stats->fd);
}

/* A description of its own: the reader can change nothing. */
int soft_stats_fd(const struct soft_stats *stats)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", stats->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fd = fcntl(stats->fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}
