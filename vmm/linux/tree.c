/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Red-black trees of areas in their shape, and the state as text: docs/linux.md has its format.
 * A walk keeps the way down on a stack of fixed depth, so no tree that loops can hold it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/linux/private.h"

static bool read_node(struct linux_guest *guest, uint64_t at, struct linux_node *node,
		      uint64_t *left, uint64_t *right)
{
	const struct linux_types *t = &guest->types;
	uint64_t area = at - t->vmap_area_rb_node, word;
	uint8_t bytes[LINUX_STRUCT_MAX];

	if (area % 8 != 0 || !inspect_read(guest->inspector, area, bytes, t->vmap_area_bytes))
		return false;
	/* struct rb_node: parent and colour, right, left. */
	word = linux_u64(bytes, t->vmap_area_rb_node);
	*right = linux_u64(bytes, t->vmap_area_rb_node + 8);
	*left = linux_u64(bytes, t->vmap_area_rb_node + 16);
	node->at = at;
	node->parent = word & ~3ull;
	node->red = (word & 1) == 0;
	node->start = linux_u64(bytes, t->vmap_area_va_start);
	node->end = linux_u64(bytes, t->vmap_area_va_end);
	node->link = linux_u64(bytes, t->vmap_area_vm);
	return true;
}

int linux_tree_walk(struct linux_guest *guest, const struct linux_list *list, size_t nodes_max,
		    linux_node_fn visit, void *context)
{
	struct waiting {
		uint64_t at;
		unsigned int depth;
		char side;
	} stack[LINUX_DEPTH_MAX + 1];
	size_t waiting = 0, seen = 0;

	if (list->root)
		stack[waiting++] = (struct waiting){list->root, 0, '.'};
	while (waiting > 0) {
		struct waiting next = stack[--waiting];
		struct linux_node node = {.depth = next.depth, .side = next.side};
		uint64_t left, right;
		int err;

		if (seen++ >= nodes_max || next.depth >= LINUX_DEPTH_MAX)
			return -ELOOP;
		if (!read_node(guest, next.at, &node, &left, &right))
			return -EFAULT;
		err = visit(context, &node);
		if (err)
			return err;
		/* One right child waits for each level: the stack holds no more than the depth. */
		if (right)
			stack[waiting++] = (struct waiting){right, next.depth + 1, 'r'};
		if (left)
			stack[waiting++] = (struct waiting){left, next.depth + 1, 'l'};
	}
	return 0;
}

/* ---- the state ---- */

static int write_node(void *context, const struct linux_node *node)
{
	FILE *out = context;

	fprintf(out, "free %u %c %c 0x%" PRIx64 " 0x%" PRIx64 "\n", node->depth, node->side,
		node->red ? 'r' : 'b', node->start, node->end);
	return 0;
}

static int check_state(const struct linux_space *space, struct error *error)
{
	if (space->locks[0])
		return error_set(error, -EBUSY, "it is being changed: %s held", space->locks);
	for (size_t i = 0; i < space->nr_lists; i++) {
		const struct linux_list *list = &space->list[i];

		if (list->broken)
			return error_set(error, -EBUSY, "the %s list of node %u cannot be read: %s",
					 linux_list_name(list->kind), list->node, list->broken);
	}
	return 0;
}

static void write_list(const struct linux_space *space, const struct linux_list *list, FILE *out)
{
	for (size_t i = list->first; i < list->first + list->count; i++) {
		const struct linux_area *area = &space->area[i];
		/* Bits 8 and up: the node that owns it, and one; 0: none. */
		uint64_t owner = area->flags >> 8;

		fprintf(out, "%s %u", linux_list_name(list->kind), list->node);
		if (list->kind == LINUX_POOL)
			fprintf(out, " %u", list->pool + 1);
		fprintf(out, " 0x%" PRIx64 " 0x%" PRIx64 " ", area->start, area->end);
		if (owner && owner <= UINT32_MAX)
			fprintf(out, "%" PRIu64 "\n", owner - 1);
		else
			fprintf(out, "-\n");
	}
}

int linux_state_write(struct linux_guest *guest, const struct linux_space *space, FILE *out,
		      struct error *error)
{
	const struct linux_facts *facts = &guest->facts;
	int err = check_state(space, error);

	if (err)
		return err;
	fprintf(out, "# nestbox state 1\n");
	fprintf(out, "kernel %s\nnodes %u\n", facts->release, facts->nodes);
	fprintf(out, "vmalloc 0x%" PRIx64 " 0x%" PRIx64 "\n", facts->vmalloc_start,
		facts->vmalloc_end);
	fprintf(out, "modules 0x%" PRIx64 " 0x%" PRIx64 "\n", facts->modules_start,
		facts->modules_end);
	fprintf(out, "lazy_pages %" PRIu64 "\n", space->lazy_pages);
	for (size_t i = 0; i < space->nr_lists && !err; i++) {
		const struct linux_list *list = &space->list[i];

		if (list->kind != LINUX_FREE) {
			write_list(space, list, out);
			continue;
		}
		err = linux_tree_walk(guest, list, list->count, write_node, out);
		if (err)
			error_set(error, err, "the free tree and its list do not agree");
	}
	fprintf(out, "end\n");
	if (!err && ferror(out))
		err = error_set(error, -EIO, "cannot write the state");
	return err;
}
