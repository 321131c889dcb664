/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's own paging: the typed face of the common walker, and the masks of the format. */
#include <errno.h>
#include <stddef.h>

#include "ept/paging_private.h"
#include "mm/x86.h"

_Static_assert((int)PAGING_MAPPED == (int)RADIX_MAPPED, "statuses are converted by value");
_Static_assert((int)PAGING_NOT_PRESENT == (int)RADIX_NOT_PRESENT, "converted by value");
_Static_assert((int)PAGING_RESERVED == (int)RADIX_RESERVED, "converted by value");
_Static_assert((int)PAGING_NO_TABLE == (int)RADIX_NO_TABLE, "converted by value");

int paging_mode_from_registers(uint64_t cr0, uint64_t cr3, uint64_t cr4, uint64_t efer,
			       unsigned int physical_bits, struct paging_mode *mode_out)
{
	if (!(cr0 & X86_CR0_PG) || !(cr4 & X86_CR4_PAE) || !(efer & X86_EFER_LMA))
		return -EOPNOTSUPP;
	if (physical_bits < 32 || physical_bits > X86_PHYSICAL_BITS_MAX)
		return -EINVAL;
	*mode_out = (struct paging_mode){
		.root = gpa_make(cr3 & X86_CR3_ADDR_MASK),
		.levels = cr4 & X86_CR4_LA57 ? 5 : 4,
		.physical_bits = physical_bits,
		.nxe = (efer & X86_EFER_NXE) != 0,
	};
	return 0;
}

/* SDM vol. 3A, section 4.5.4, tables 4-14 to 4-20: which bits each entry reserves. */
void paging_format(const struct paging_mode *mode, struct radix_format *format_out)
{
	uint64_t beyond = X86_PTE_ADDR_MASK & ~((1ULL << mode->physical_bits) - 1);
	uint64_t everywhere = beyond | (mode->nxe ? 0 : X86_PTE_NX);

	*format_out = (struct radix_format){
		.levels = mode->levels,
		.present_mask = X86_PTE_P,
		.address_mask = X86_PTE_ADDR_MASK,
		.large_mask = {0, 0, X86_PTE_PS, mode->no_1g_pages ? 0 : X86_PTE_PS, 0, 0},
		.reserved_table = {0, 0, everywhere,
				   everywhere | (mode->no_1g_pages ? X86_PTE_PS : 0),
				   everywhere | X86_PTE_PS, everywhere | X86_PTE_PS},
		.reserved_leaf = {0, everywhere, everywhere | X86_PTE_RSVD_2M_MASK,
				  everywhere | X86_PTE_RSVD_1G_MASK, 0, 0},
		.rights_mask = X86_PTE_RW | X86_PTE_US | X86_PTE_NX,
		.rights_invert = X86_PTE_NX,
	};
}

bool paging_entry_is_leaf(const struct paging_mode *mode, unsigned int level, uint64_t value)
{
	struct radix_format format;

	paging_format(mode, &format);
	return level == 1 || (value & format.large_mask[level]) != 0;
}

uint64_t paging_entry_reserved(const struct paging_mode *mode, unsigned int level, bool leaf)
{
	struct radix_format format;

	paging_format(mode, &format);
	return leaf ? format.reserved_leaf[level] : format.reserved_table[level];
}

unsigned int paging_rights(uint64_t accumulated)
{
	return PAGING_R | (accumulated & X86_PTE_RW ? PAGING_W : 0) |
	       (accumulated & X86_PTE_NX ? PAGING_X : 0) |
	       (accumulated & X86_PTE_US ? PAGING_U : 0);
}

/* ---- linear addresses: the two canonical halves are one range of numbers ---- */

static unsigned int linear_bits(const struct paging_mode *mode)
{
	return radix_shift(mode->levels + 1);
}

static uint64_t to_number(const struct paging_mode *mode, gva_t gva)
{
	return gva.value & ((1ULL << linear_bits(mode)) - 1);
}

static gva_t from_number(unsigned int bits, uint64_t number)
{
	return gva_make((uint64_t)((int64_t)(number << (64 - bits)) >> (64 - bits)));
}

bool paging_canonical(const struct paging_mode *mode, gva_t gva)
{
	return from_number(linear_bits(mode), to_number(mode, gva)).value == gva.value;
}

/* ---- one address ---- */

static const uint64_t *read_table(void *context, uint64_t table)
{
	const struct paging_reader *reader = context;

	return reader->table(reader->context, gpa_make(table));
}

void paging_walk(const struct paging_mode *mode, const struct paging_reader *reader, gva_t gva,
		 struct paging_walk *walk_out)
{
	struct radix_reader plain = {read_table, (void *)reader};
	struct radix_format format;
	struct radix_walk walk;
	unsigned int i;

	*walk_out = (struct paging_walk){.status = PAGING_NON_CANONICAL};
	if (!paging_canonical(mode, gva))
		return;
	paging_format(mode, &format);
	radix_walk(&format, &plain, mode->root.value, gva.value, &walk);
	walk_out->status = (enum paging_status)walk.status;
	walk_out->level = walk.level;
	walk_out->entry_count = walk.entry_count;
	for (i = 0; i < walk.entry_count; i++)
		walk_out->entries[i] = (struct paging_entry){gpa_make(walk.entries[i].address),
							     walk.entries[i].value};
	if (walk.status != RADIX_MAPPED)
		return;
	walk_out->gpa = gpa_make(walk.output);
	walk_out->page_bytes = walk.page_bytes;
	walk_out->rights = paging_rights(walk.rights);
}

/* ---- a range ---- */

struct typed_visit {
	const struct paging_visitor *visitor;
	unsigned int bits;
};

static int visit_leaf(void *context, const struct radix_hit *hit)
{
	const struct typed_visit *visit = context;
	struct paging_leaf leaf = {
		.gva = from_number(visit->bits, hit->input),
		.gpa = gpa_make(hit->output),
		.page_bytes = 1ULL << radix_shift(hit->level),
		.level = hit->level,
		.rights = paging_rights(hit->rights),
		.entry = {gpa_make(hit->entry.address), hit->entry.value},
	};

	return visit->visitor->leaf(visit->visitor->context, &leaf);
}

static int visit_bad(void *context, const struct radix_hit *hit)
{
	const struct typed_visit *visit = context;
	struct paging_bad_entry bad = {
		.gva = from_number(visit->bits, hit->input),
		.status = (enum paging_status)hit->status,
		.level = hit->level,
		.entry = {gpa_make(hit->entry.address), hit->entry.value},
	};

	return visit->visitor->bad(visit->visitor->context, &bad);
}

static int visit_table(void *context, uint64_t table, unsigned int level, uint64_t input)
{
	const struct typed_visit *visit = context;

	return visit->visitor->table(visit->visitor->context, gpa_make(table), level,
				     from_number(visit->bits, input));
}

int paging_for_each(const struct paging_mode *mode, const struct paging_reader *reader, gva_t start,
		    gva_t end, uint64_t table_limit, const struct paging_visitor *visitor)
{
	struct radix_reader plain = {read_table, (void *)reader};
	struct typed_visit visit = {visitor, linear_bits(mode)};
	struct radix_visitor typed = {visitor->leaf ? visit_leaf : NULL,
				      visitor->bad ? visit_bad : NULL,
				      visitor->table ? visit_table : NULL, &visit};
	uint64_t half = 1ULL << (linear_bits(mode) - 1), first, last;
	gva_t last_gva = gva_make(end.value - 1);
	struct radix_format format;

	if ((mode->levels != 4 && mode->levels != 5) || (end.value != 0 && end.value < start.value))
		return -EINVAL;
	if (start.value == end.value && start.value != 0)
		return 0;
	first = paging_canonical(mode, start) ? to_number(mode, start) : half;
	last = paging_canonical(mode, last_gva) ? to_number(mode, last_gva) : half - 1;
	if (first > last)
		return 0;
	paging_format(mode, &format);
	return radix_for_each(&format, &plain, mode->root.value, first, last, table_limit, &typed);
}

const char *paging_status_name(enum paging_status status)
{
	static const char *const names[] = {
		[PAGING_MAPPED] = "mapped",
		[PAGING_NOT_PRESENT] = "not present",
		[PAGING_RESERVED] = "reserved bit set",
		[PAGING_NO_TABLE] = "table outside memory",
		[PAGING_NON_CANONICAL] = "not canonical",
	};

	return (unsigned int)status <= PAGING_NON_CANONICAL ? names[status] : "unknown";
}
