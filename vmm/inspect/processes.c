/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The inspector's view of processes: a snapshot of their list, and of the user ranges of each.
 *
 * A list cannot lead in circles: an element is taken only if its prev link is the one we came
 * from. A guest that writes while we read could still, so the counts are bounded as well, by the
 * RAM that so many would need: a process has a root table at least.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/grow.h"
#include "lib/search.h"
#include "vmm/inspect/private.h"

static void set_broken(struct inspect_processes *processes, const char *what, uint64_t where)
{
	if (processes->broken)
		return;
	processes->broken = what;
	processes->broken_at = where;
}

/* What a list is made of, and where it stands. */
struct list_walk {
	struct inspector *inspector;
	struct inspect_processes *processes;
	const char *broken; /* what to say of a list that cannot be followed */
	uint64_t head, from, link;
};

/*
 * Goes to the next element, whose link is then walk->link. Returns false at the end, or where the
 * list cannot be followed.
 */
static bool next_link(struct list_walk *walk)
{
	const struct layout *l = &walk->inspector->layout;
	uint64_t prev;

	walk->from = walk->link;
	if (!inspect_u64(walk->inspector, walk->from + l->list_head.next, &walk->link) ||
	    !inspect_u64(walk->inspector, walk->link + l->list_head.prev, &prev) ||
	    prev != walk->from) {
		set_broken(walk->processes, walk->broken, walk->from);
		return false;
	}
	return walk->link != walk->head;
}

static bool read_vma(struct inspector *inspector, uint64_t address, struct inspect_vma *vma)
{
	const struct layout *l = &inspector->layout;
	uint8_t bytes[LAYOUT_COPIED_BYTES_MAX];

	if (address % 8 != 0 || !inspect_read(inspector, address, bytes, l->vm_area_struct.bytes))
		return false;
	*vma = (struct inspect_vma){
		.address = address,
		.process = inspect_field_u64(bytes, l->vm_area_struct.process),
		.start = inspect_field_u64(bytes, l->vm_area_struct.vm_start),
		.end = inspect_field_u64(bytes, l->vm_area_struct.vm_end),
		.flags = inspect_field_u64(bytes, l->vm_area_struct.vm_flags),
	};
	return true;
}

static int take_vmas(struct inspector *inspector, struct inspect_processes *processes,
		     struct inspect_process *process)
{
	const struct layout *l = &inspector->layout;
	uint64_t most = inspector->ram_pages * INSPECT_PAGE_BYTES / l->vm_area_struct.bytes;
	struct list_walk walk = {
		.inspector = inspector,
		.processes = processes,
		.broken = "a process's list of ranges is broken",
		.head = process->address + l->process.vmas,
		.link = process->address + l->process.vmas,
	};
	struct inspect_vma vma;

	while (next_link(&walk)) {
		if (processes->nr_vmas == most ||
		    !read_vma(inspector, walk.link - l->vm_area_struct.link, &vma)) {
			set_broken(processes, walk.broken, walk.link);
			break;
		}
		if (GROW(processes->vma, processes->nr_vmas))
			return -ENOMEM;
		processes->vma[processes->nr_vmas++] = vma;
		process->nr_vmas++;
	}
	return 0;
}

static bool read_process(struct inspector *inspector, uint64_t address,
			 struct inspect_process *process)
{
	const struct layout *l = &inspector->layout;
	uint64_t pt = address + l->process.pt;

	process->address = address;
	return inspect_u64(inspector, pt + l->page_table.root_phys, &process->root) &&
	       inspect_u64(inspector, pt + l->page_table.nr_tables, &process->nr_tables) &&
	       inspect_u64(inspector, address + l->process.nr_user_pages,
			   &process->nr_user_pages) &&
	       inspect_u32(inspector, address + l->process.id, &process->id);
}

static int take_processes(struct inspector *inspector, struct inspect_processes *processes)
{
	const struct layout *l = &inspector->layout;
	uint64_t head = inspector->mm + l->mm.processes + l->process_list.head;
	struct list_walk walk = {
		.inspector = inspector,
		.processes = processes,
		.broken = "the list of processes is broken",
		.head = head,
		.link = head,
	};

	while (next_link(&walk)) {
		struct inspect_process process = {.first_vma = processes->nr_vmas};

		if (processes->count == inspector->ram_pages ||
		    !read_process(inspector, walk.link - l->process.link, &process)) {
			set_broken(processes, walk.broken, walk.link);
			break;
		}
		if (GROW(processes->process, processes->count))
			return -ENOMEM;
		if (take_vmas(inspector, processes, &process))
			return -ENOMEM;
		processes->process[processes->count++] = process;
	}
	return 0;
}

int inspect_processes(struct inspector *inspector, struct inspect_processes *processes_out)
{
	struct inspect_processes processes = {.count = 0};
	int err = take_processes(inspector, &processes);

	if (err)
		inspect_processes_free(&processes);
	else
		*processes_out = processes;
	return err;
}

void inspect_processes_free(struct inspect_processes *processes)
{
	free(processes->process);
	free(processes->vma);
	*processes = (struct inspect_processes){.count = 0};
}

const struct inspect_vma *inspect_vma_find(const struct inspect_processes *processes,
					   const struct inspect_process *process, uint64_t address)
{
	const struct inspect_vma *vma;
	size_t low;

	if (process->nr_vmas == 0)
		return NULL;
	vma = &processes->vma[process->first_vma];
	low = FIRST_WHERE(i, process->nr_vmas, vma[i].start > address);
	return low && address < vma[low - 1].end ? &vma[low - 1] : NULL;
}
