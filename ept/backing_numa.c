/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which of the host's memory nodes a region's pages come from. */
#include <errno.h>
#include <numa.h>
#include <numaif.h>
#include <string.h>

#include "ept/backing.h"

int backing_bind_node(const struct backing *backing, struct error *error)
{
	unsigned int node = backing->want.host_node;
	struct bitmask *mask;
	int err = 0;

	if (numa_available() < 0)
		return error_set(error, -EOPNOTSUPP,
				 "this host's kernel has no NUMA policy: leave numa_bind out");
	if (node > (unsigned int)numa_max_node() ||
	    !numa_bitmask_isbitset(numa_all_nodes_ptr, node))
		return error_set(error, -EINVAL,
				 "this host has no memory node %u: see numactl --hardware", node);
	mask = numa_allocate_nodemask();
	if (!mask)
		return error_set(error, -ENOMEM, "no memory for a node mask");
	numa_bitmask_setbit(mask, node);
	if (mbind(backing->host, backing->size_bytes, MPOL_BIND, mask->maskp, mask->size + 1,
		  MPOL_MF_STRICT) != 0)
		err = error_set(error, -errno, "cannot bind guest memory to node %u: %s", node,
				strerror(errno));
	numa_free_nodemask(mask);
	return err;
}
