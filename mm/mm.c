/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An instance of the core as a whole: how it starts, and the few services every part uses.
 */
#include "mm/mm.h"

#include "mm/errno.h"

static bool config_is_sane(const struct mm_config *config)
{
	return config->ops && config->memmap && config->nr_cpus >= 1 &&
	       config->nr_cpus <= MAX_CPUS && IS_ALIGNED(config->direct_base, PAGE_SIZE) &&
	       IS_ALIGNED(config->root_phys, PAGE_SIZE);
}

static int join_nodes(struct mm *mm, const struct mm_config *config)
{
	for (u32 cpu = 0; cpu < mm->nr_cpus; cpu++) {
		if (config->cpu_node[cpu] >= mm->nr_nodes)
			return -EINVAL;
		mm->local_node[cpu] = &mm->node[config->cpu_node[cpu]];
	}
	return 0;
}

int mm_init_frames(struct mm *mm, const struct mm_config *config)
{
	int err;

	if (!config_is_sane(config))
		return -EINVAL;
	mm->ops = config->ops;
	mm->arch = config->arch;
	mm->direct_base = config->direct_base;
	mm->memmap = config->memmap;
	mm->nr_cpus = config->nr_cpus;
	mm->slow_frames = mm->nr_cpus != 1 || mm->ops->frames_note;
	mm->pt.root_phys = config->root_phys;
	list_init(&mm->processes.head);
	err = page_alloc_init(mm, config->ram, config->nr_ram, config->reserved,
			      config->nr_reserved);
	if (!err)
		err = join_nodes(mm, config);
	if (!err)
		kmalloc_init(mm);
	return err;
}

int mm_init(struct mm *mm, const struct mm_config *config)
{
	int err = mm_init_frames(mm, config);

	return err ? err : vmap_init(mm);
}

bool fault_count(struct mm *mm, enum fault_kind kind)
{
	u32 *fail = &mm->fault.fail[kind];
	u32 left = READ_ONCE(*fail);

	while (left && !__atomic_compare_exchange_n(fail, &left, left - 1, false, __ATOMIC_RELAXED,
						    __ATOMIC_RELAXED))
		;
	return left == 1;
}
