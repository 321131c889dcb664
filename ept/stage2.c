/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading second-stage tables: both formats as masks, and the typed face of the common walker. */
#include <errno.h>
#include <stddef.h>

#include "ept/paging_private.h"
#include "ept/stage2_private.h"
#include "mm/x86.h"

_Static_assert((int)STAGE2_MAPPED == (int)RADIX_MAPPED, "statuses are converted by value");
_Static_assert((int)STAGE2_NOT_PRESENT == (int)RADIX_NOT_PRESENT, "converted by value");
_Static_assert((int)STAGE2_MISCONFIGURED == (int)RADIX_RESERVED, "converted by value");
_Static_assert((int)STAGE2_NO_TABLE == (int)RADIX_NO_TABLE, "converted by value");

struct stage2_mode stage2_mode_make(enum stage2_kind kind, hpa_t root, unsigned int physical_bits)
{
	return (struct stage2_mode){
		.kind = kind,
		.root = root,
		.levels = 4,
		.capabilities = {.execute_only = true,
				 .walk_4 = true,
				 .write_back = true,
				 .leaf_2m = true,
				 .leaf_1g = true,
				 .accessed_dirty = true,
				 .physical_bits = physical_bits},
	};
}

/* The rules of a misconfiguration that no mask says, for a present entry. */
static bool malformed_rights_and_type(uint64_t entry, bool leaf)
{
	unsigned int type = (unsigned int)(entry >> EPT_MEMORY_TYPE_SHIFT & 7);

	if (!(entry & EPT_BIT_READ) && (entry & EPT_BIT_WRITE))
		return true;
	return leaf && (type == 2 || type == 3 || type == 7);
}

static bool malformed(const struct radix_format *format, uint64_t entry, bool leaf)
{
	return malformed_rights_and_type(entry, leaf);
}

/* Without execute-only pages every present entry must be readable. */
static bool malformed_unless_readable(const struct radix_format *format, uint64_t entry, bool leaf)
{
	return !(entry & EPT_BIT_READ) || malformed_rights_and_type(entry, leaf);
}

static void ept_format(const struct stage2_mode *mode, struct radix_format *format)
{
	const struct ept_capabilities *capabilities = &mode->capabilities;
	uint64_t rights = EPT_BIT_READ | EPT_BIT_WRITE | EPT_BIT_EXECUTE |
			  (mode->mode_based ? EPT_BIT_USER_EXECUTE : 0);
	unsigned int level;

	*format = (struct radix_format){
		.levels = mode->levels,
		.present_mask = rights,
		.address_mask = EPT_ADDRESS_MASK,
		.large_mask = {0, 0, capabilities->leaf_2m ? EPT_BIT_LARGE : 0,
			       capabilities->leaf_1g ? EPT_BIT_LARGE : 0, 0, 0},
		.rights_mask = rights,
		.malformed = capabilities->execute_only ? malformed : malformed_unless_readable,
	};
	for (level = 1; level <= RADIX_LEVELS_MAX; level++) {
		format->reserved_table[level] = ept_entry_reserved(level, false, capabilities);
		format->reserved_leaf[level] = ept_entry_reserved(level, true, capabilities);
	}
}

void stage2_format(const struct stage2_mode *mode, struct radix_format *format_out)
{
	/* APM vol. 2, section 15.25.5: the same entries as long mode's. */
	struct paging_mode paging = {.levels = mode->levels,
				     .physical_bits = mode->capabilities.physical_bits,
				     .nxe = !mode->no_nxe,
				     .no_1g_pages = !mode->capabilities.leaf_1g};

	if (mode->kind == STAGE2_EPT)
		ept_format(mode, format_out);
	else
		paging_format(&paging, format_out);
}

static unsigned int npt_rights(uint64_t accumulated)
{
	if (!(accumulated & X86_PTE_US))
		return 0;
	return STAGE2_R | (accumulated & X86_PTE_RW ? STAGE2_W : 0) |
	       (accumulated & X86_PTE_NX ? STAGE2_X | STAGE2_XU : 0);
}

unsigned int stage2_rights(const struct stage2_mode *mode, uint64_t accumulated)
{
	unsigned int rights;

	if (mode->kind == STAGE2_NPT)
		return npt_rights(accumulated);
	/* R, W and X have the same places in the entry. */
	rights = (unsigned int)accumulated & (STAGE2_R | STAGE2_W | STAGE2_X);
	if (mode->mode_based ? (accumulated & EPT_BIT_USER_EXECUTE) != 0 : (rights & STAGE2_X) != 0)
		rights |= STAGE2_XU;
	return rights;
}

static const uint64_t *read_table(void *context, uint64_t table)
{
	const struct stage2_reader *reader = context;

	return reader->table(reader->context, hpa_make(table));
}

void stage2_walk(const struct stage2_mode *mode, const struct stage2_reader *reader, gpa_t gpa,
		 struct stage2_walk *walk_out)
{
	struct radix_reader plain = {read_table, (void *)reader};
	struct radix_format format;
	struct radix_walk walk;
	unsigned int i;

	*walk_out = (struct stage2_walk){.status = STAGE2_TOO_WIDE};
	if (gpa.value >= stage2_reach(mode))
		return;
	stage2_format(mode, &format);
	radix_walk(&format, &plain, mode->root.value, gpa.value, &walk);
	walk_out->status = (enum stage2_status)walk.status;
	walk_out->level = walk.level;
	walk_out->entry_count = walk.entry_count;
	for (i = 0; i < walk.entry_count; i++)
		walk_out->entries[i] = (struct stage2_entry){hpa_make(walk.entries[i].address),
							     walk.entries[i].value};
	if (walk.status != RADIX_MAPPED)
		return;
	walk_out->hpa = hpa_make(walk.output);
	walk_out->page_bytes = walk.page_bytes;
	walk_out->rights = stage2_rights(mode, walk.rights);
}

/* ---- a range ---- */

struct typed_visit {
	const struct stage2_visitor *visitor;
	const struct stage2_mode *mode;
};

static int visit_leaf(void *context, const struct radix_hit *hit)
{
	const struct typed_visit *visit = context;
	struct stage2_leaf leaf = {
		.gpa = gpa_make(hit->input),
		.hpa = hpa_make(hit->output),
		.page_bytes = 1ULL << radix_shift(hit->level),
		.level = hit->level,
		.rights = stage2_rights(visit->mode, hit->rights),
		.entry = {hpa_make(hit->entry.address), hit->entry.value},
	};

	return visit->visitor->leaf(visit->visitor->context, &leaf);
}

static int visit_bad(void *context, const struct radix_hit *hit)
{
	const struct typed_visit *visit = context;
	struct stage2_bad_entry bad = {
		.gpa = gpa_make(hit->input),
		.status = (enum stage2_status)hit->status,
		.level = hit->level,
		.entry = {hpa_make(hit->entry.address), hit->entry.value},
	};

	return visit->visitor->bad(visit->visitor->context, &bad);
}

static int visit_table(void *context, uint64_t table, unsigned int level, uint64_t input)
{
	const struct typed_visit *visit = context;

	return visit->visitor->table(visit->visitor->context, hpa_make(table), level,
				     gpa_make(input));
}

int stage2_for_each(const struct stage2_mode *mode, const struct stage2_reader *reader, gpa_t start,
		    gpa_t end, uint64_t table_limit, const struct stage2_visitor *visitor)
{
	struct radix_reader plain = {read_table, (void *)reader};
	struct typed_visit visit = {visitor, mode};
	struct radix_visitor typed = {visitor->leaf ? visit_leaf : NULL,
				      visitor->bad ? visit_bad : NULL,
				      visitor->table ? visit_table : NULL, &visit};
	uint64_t last = end.value - 1;
	struct radix_format format;

	if ((mode->levels != 4 && mode->levels != 5) || end.value < start.value)
		return -EINVAL;
	if (end.value == start.value || start.value >= stage2_reach(mode))
		return 0;
	if (last >= stage2_reach(mode))
		last = stage2_reach(mode) - 1;
	stage2_format(mode, &format);
	return radix_for_each(&format, &plain, mode->root.value, start.value, last, table_limit,
			      &typed);
}
