/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Building and editing second-stage tables of either format. What can fail (new tables for
 * splits, or for a mapping) comes before what changes a translation.
 */
#include <errno.h>
#include <stddef.h>

#include "ept/stage2_private.h"
#include "mm/x86.h"

static bool is_present(const struct stage2_tables *tables, uint64_t entry)
{
	uint64_t execute = EPT_BIT_EXECUTE | (tables->mode.mode_based ? EPT_BIT_USER_EXECUTE : 0);

	if (tables->mode.kind == STAGE2_NPT)
		return (entry & X86_PTE_P) != 0;
	return (entry & (EPT_BIT_READ | EPT_BIT_WRITE | execute)) != 0;
}

/* Both formats make a large leaf with bit 7. */
_Static_assert(EPT_BIT_LARGE == X86_PTE_PS, "one test for both formats");
_Static_assert(EPT_ADDRESS_MASK == X86_PTE_ADDR_MASK, "one mask for both formats");

static bool is_leaf(uint64_t entry, unsigned int level)
{
	return level == 1 || (entry & EPT_BIT_LARGE);
}

static bool level_has_leaves(const struct stage2_tables *tables, unsigned int level)
{
	const struct ept_capabilities *capabilities = &tables->mode.capabilities;

	return level == 1 || (level == 2 && capabilities->leaf_2m) ||
	       (level == 3 && capabilities->leaf_1g);
}

/* Whether the processor would take @entry, present and of @level, for what it says. */
static bool is_well_formed(const struct stage2_tables *tables, uint64_t entry, unsigned int level)
{
	struct radix_format format;
	bool leaf;

	stage2_format(&tables->mode, &format);
	leaf = level == 1 || (entry & format.large_mask[level]);
	return !(entry & (leaf ? format.reserved_leaf : format.reserved_table)[level]) &&
	       !(format.malformed && format.malformed(&format, entry, leaf));
}

/* ---- encoding ---- */

static uint64_t encode_rights(const struct stage2_tables *tables, unsigned int rights)
{
	if (tables->mode.kind == STAGE2_NPT)
		return X86_PTE_P | X86_PTE_US | (rights & STAGE2_W ? X86_PTE_RW : 0) |
		       (rights & STAGE2_X ? 0 : X86_PTE_NX);
	return (rights & (STAGE2_R | STAGE2_W | STAGE2_X)) |
	       (tables->mode.mode_based && (rights & STAGE2_XU) ? EPT_BIT_USER_EXECUTE : 0);
}

static uint64_t rights_bits(const struct stage2_tables *tables)
{
	if (tables->mode.kind == STAGE2_NPT)
		return X86_PTE_P | X86_PTE_US | X86_PTE_RW | X86_PTE_NX;
	return EPT_BIT_READ | EPT_BIT_WRITE | EPT_BIT_EXECUTE |
	       (tables->mode.mode_based ? EPT_BIT_USER_EXECUTE : 0);
}

static uint64_t encode_attributes(const struct stage2_tables *tables,
				  const struct stage2_attributes *attributes)
{
	uint64_t entry = encode_rights(tables, attributes->rights);

	if (tables->mode.kind == STAGE2_NPT)
		return entry;
	return entry | (uint64_t)attributes->memory_type << EPT_MEMORY_TYPE_SHIFT |
	       (attributes->ignore_pat ? EPT_BIT_IGNORE_PAT : 0) |
	       (attributes->suppress_ve ? EPT_BIT_SUPPRESS_VE : 0);
}

static uint64_t encode_table(const struct stage2_tables *tables, hpa_t table)
{
	return table.value | encode_rights(tables, STAGE2_R | STAGE2_W | STAGE2_X | STAGE2_XU);
}

/* Whether a leaf with these attributes is one the processor takes. */
static bool can_express(const struct stage2_tables *tables,
			const struct stage2_attributes *attributes)
{
	const struct stage2_mode *mode = &tables->mode;
	uint64_t entry = encode_attributes(tables, attributes);

	if (attributes->rights & ~(STAGE2_R | STAGE2_W | STAGE2_X | STAGE2_XU))
		return false;
	if (mode->kind == STAGE2_NPT)
		return (attributes->rights & STAGE2_R) &&
		       ((attributes->rights & STAGE2_X) || !mode->no_nxe);
	return is_present(tables, entry) && (unsigned int)attributes->memory_type < 8 &&
	       ept_entry_judge(entry, 1, mode->mode_based, &mode->capabilities) == EPT_FAULT_NONE;
}

static bool range_is_good(const struct stage2_tables *tables, gpa_t start, uint64_t size_bytes)
{
	uint64_t reach = stage2_reach(&tables->mode);

	return size_bytes != 0 && (start.value | size_bytes) % EPT_PAGE_BYTES == 0 &&
	       start.value < reach && size_bytes <= reach - start.value;
}

/* ---- splitting ---- */

/* The attributes of a leaf for one level below: NPT keeps PAT in another place there. */
static uint64_t child_bits(const struct stage2_tables *tables, uint64_t entry, unsigned int level)
{
	uint64_t bits = entry & ~(EPT_ADDRESS_MASK & ~((1ULL << radix_shift(2)) - 1));

	if (tables->mode.kind == STAGE2_EPT)
		bits &= ~EPT_ADDRESS_MASK;
	if (level > 2)
		return bits;
	bits &= ~EPT_BIT_LARGE;
	if (tables->mode.kind == STAGE2_NPT && (bits & X86_PTE_PAT_BIG))
		bits = (bits & ~X86_PTE_PAT_BIG) | X86_PTE_PAT;
	return bits;
}

/*
 * Replaces the leaf in *@entry, of @level above 1, by a table of leaves. -EINVAL for one that is
 * malformed, or that refers to a table that is not there: the parts would map what was not mapped.
 */
static int split_entry(struct stage2_tables *tables, uint64_t *entry, unsigned int level)
{
	uint64_t span = 1ULL << radix_shift(level - 1);
	uint64_t base = *entry & EPT_ADDRESS_MASK & ~((span << 9) - 1);
	uint64_t bits = child_bits(tables, *entry, level), *children;
	unsigned int i;
	hpa_t table;
	int err;

	if (!is_leaf(*entry, level) || !level_has_leaves(tables, level - 1) ||
	    !is_well_formed(tables, *entry, level))
		return -EINVAL;
	err = tables->pages.alloc(tables->pages.context, &table);
	if (err)
		return err;
	children = tables->pages.table(tables->pages.context, table);
	for (i = 0; i < RADIX_ENTRIES; i++)
		children[i] = (base + i * span) | bits;
	__atomic_store_n(entry, encode_table(tables, table), __ATOMIC_RELEASE);
	return 0;
}

/*
 * The entry that governs @gpa at the lowest level that has one, and that level. It may refer to a
 * table that is not there.
 */
static uint64_t *find_entry(const struct stage2_tables *tables, gpa_t gpa, unsigned int lowest,
			    unsigned int *level_out)
{
	hpa_t table = tables->mode.root;
	uint64_t *entries, *entry = NULL;
	unsigned int level;

	for (level = tables->mode.levels;; level--) {
		entries = tables->pages.table(tables->pages.context, table);
		if (!entries)
			return entry;
		entry = &entries[(gpa.value >> radix_shift(level)) % RADIX_ENTRIES];
		*level_out = level;
		if (level == lowest || !is_present(tables, *entry) || is_leaf(*entry, level))
			return entry;
		table = hpa_make(*entry & EPT_ADDRESS_MASK);
	}
}

int stage2_split(struct stage2_tables *tables, gpa_t gpa, uint64_t leaf_bytes)
{
	unsigned int level, target = 1;
	uint64_t *entry;
	int err;

	while (target <= 3 && 1ULL << radix_shift(target) != leaf_bytes)
		target++;
	if (target > 3 || gpa.value >= stage2_reach(&tables->mode) ||
	    !level_has_leaves(tables, target))
		return -EINVAL;
	for (;;) {
		entry = find_entry(tables, gpa, 1, &level);
		if (!entry || !is_present(tables, *entry))
			return -ENOENT;
		if (level <= target)
			return 0;
		err = split_entry(tables, entry, level);
		if (err)
			return err;
	}
}

/* Splits until no leaf crosses @edge. */
static int split_at(struct stage2_tables *tables, uint64_t edge)
{
	unsigned int level;
	uint64_t *entry;
	int err = 0;

	while (!err && edge < stage2_reach(&tables->mode)) {
		entry = find_entry(tables, gpa_make(edge), 1, &level);
		if (!entry || !is_present(tables, *entry) || !is_leaf(*entry, level) ||
		    level == 1 || edge % (1ULL << radix_shift(level)) == 0)
			return 0;
		err = split_entry(tables, entry, level);
	}
	return err;
}

/* ---- changing every leaf of a range ---- */

struct edit {
	struct stage2_tables *tables;
	uint64_t first;
	uint64_t last;
	bool unmap;
	uint64_t rights; /* encoded, when not unmapping */
};

static bool is_empty(const struct stage2_tables *tables, hpa_t table)
{
	const uint64_t *entries = tables->pages.table(tables->pages.context, table);
	unsigned int i;

	if (!entries)
		return false;

	for (i = 0; i < RADIX_ENTRIES; i++)
		if (is_present(tables, entries[i]))
			return false;
	return true;
}

static void edit_leaf(const struct edit *edit, uint64_t *entry)
{
	uint64_t value = edit->unmap ? 0 : (*entry & ~rights_bits(edit->tables)) | edit->rights;

	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

/* Cannot fail: no leaf crosses an edge of the range. */
static void edit_table(const struct edit *edit, hpa_t table, unsigned int level, uint64_t base)
{
	const struct stage2_pages *pages = &edit->tables->pages;
	uint64_t *entries = pages->table(pages->context, table), *entry, input;
	unsigned int shift = radix_shift(level), index, end = RADIX_ENTRIES - 1;
	hpa_t child;

	if (!entries)
		return;
	index = edit->first > base ? (unsigned int)((edit->first - base) >> shift) : 0;
	if ((edit->last - base) >> shift < end)
		end = (unsigned int)((edit->last - base) >> shift);
	for (; index <= end; index++) {
		entry = &entries[index];
		input = base + ((uint64_t)index << shift);
		if (!is_present(edit->tables, *entry))
			continue;
		if (is_leaf(*entry, level)) {
			if (edit->unmap || is_well_formed(edit->tables, *entry, level))
				edit_leaf(edit, entry);
			continue;
		}
		child = hpa_make(*entry & EPT_ADDRESS_MASK);
		edit_table(edit, child, level - 1, input);
		if (edit->unmap && is_empty(edit->tables, child)) {
			__atomic_store_n(entry, 0, __ATOMIC_RELEASE);
			pages->free(pages->context, child);
		}
	}
}

static int edit_range(struct edit *edit, gpa_t start, uint64_t size_bytes)
{
	struct stage2_tables *tables = edit->tables;
	int err;

	if (!range_is_good(tables, start, size_bytes))
		return -EINVAL;
	err = split_at(tables, start.value);
	if (!err)
		err = split_at(tables, start.value + size_bytes);
	if (err)
		return err;
	edit->first = start.value;
	edit->last = start.value + size_bytes - 1;
	edit_table(edit, tables->mode.root, tables->mode.levels, 0);
	return 0;
}

int stage2_unmap(struct stage2_tables *tables, gpa_t start, uint64_t size_bytes)
{
	struct edit edit = {.tables = tables, .unmap = true};

	return edit_range(&edit, start, size_bytes);
}

int stage2_protect(struct stage2_tables *tables, gpa_t start, uint64_t size_bytes,
		   unsigned int rights)
{
	struct stage2_attributes attributes = {.rights = rights, .memory_type = EPT_WB};
	struct edit edit = {.tables = tables, .rights = encode_rights(tables, rights)};

	if (!can_express(tables, &attributes))
		return -EINVAL;
	return edit_range(&edit, start, size_bytes);
}

void stage2_clear(struct stage2_tables *tables)
{
	struct edit edit = {
		.tables = tables, .unmap = true, .last = stage2_reach(&tables->mode) - 1};

	edit_table(&edit, tables->mode.root, tables->mode.levels, 0);
}

/* ---- mapping ---- */

/* Finds the entry of @gpa at @level, making the tables on the way. */
static int make_entry(struct stage2_tables *tables, gpa_t gpa, unsigned int level,
		      uint64_t **entry_out)
{
	unsigned int at;
	uint64_t *entry;
	hpa_t table;
	int err;

	for (;;) {
		entry = find_entry(tables, gpa, level, &at);
		if (!entry)
			return -EFAULT;
		if (at == level) {
			*entry_out = entry;
			return 0;
		}
		err = tables->pages.alloc(tables->pages.context, &table);
		if (err)
			return err;
		__atomic_store_n(entry, encode_table(tables, table), __ATOMIC_RELEASE);
	}
}

/* The highest level whose leaf fits @gpa, @hpa and @size_bytes. */
static unsigned int leaf_level(const struct stage2_tables *tables, uint64_t gpa, uint64_t hpa,
			       uint64_t size_bytes, uint64_t leaf_bytes_max)
{
	unsigned int level;
	uint64_t span;

	for (level = 3; level > 1; level--) {
		span = 1ULL << radix_shift(level);
		if (level_has_leaves(tables, level) && span <= leaf_bytes_max &&
		    size_bytes >= span && (gpa | hpa) % span == 0)
			break;
	}
	return level;
}

static int refuse_leaf(void *context, const struct stage2_leaf *leaf)
{
	return -EEXIST;
}

static int refuse_bad_entry(void *context, const struct stage2_bad_entry *bad)
{
	return -EEXIST;
}

static const uint64_t *read_page(void *context, hpa_t table)
{
	const struct stage2_pages *pages = context;

	return pages->table(pages->context, table);
}

int stage2_map(struct stage2_tables *tables, gpa_t start, hpa_t hpa, uint64_t size_bytes,
	       uint64_t leaf_bytes_max, const struct stage2_attributes *attributes)
{
	struct stage2_visitor none = {.leaf = refuse_leaf, .bad = refuse_bad_entry};
	struct stage2_reader reader = {read_page, &tables->pages};
	uint64_t done, span, bits, *entry, limit = 1ULL << tables->mode.capabilities.physical_bits;
	unsigned int level;
	int err;

	if (!range_is_good(tables, start, size_bytes) || hpa.value % EPT_PAGE_BYTES != 0 ||
	    hpa.value >= limit || size_bytes > limit - hpa.value ||
	    !can_express(tables, attributes))
		return -EINVAL;
	err = stage2_for_each(&tables->mode, &reader, start, gpa_add(start, size_bytes), UINT64_MAX,
			      &none);
	if (err)
		return err;
	bits = encode_attributes(tables, attributes);
	for (done = 0; done < size_bytes; done += span) {
		level = leaf_level(tables, start.value + done, hpa.value + done, size_bytes - done,
				   leaf_bytes_max);
		span = 1ULL << radix_shift(level);
		err = make_entry(tables, gpa_add(start, done), level, &entry);
		if (err) {
			/* All of the range was empty: emptying it again is the undoing. */
			(void)stage2_unmap(tables, start, size_bytes);
			return err;
		}
		__atomic_store_n(entry, (hpa.value + done) | bits | (level > 1 ? EPT_BIT_LARGE : 0),
				 __ATOMIC_RELEASE);
	}
	return 0;
}

/* ---- merging ---- */

/* Flags the processor sets by itself. */
static uint64_t accessed_dirty_bits(const struct stage2_tables *tables)
{
	return tables->mode.kind == STAGE2_NPT ? X86_PTE_A | X86_PTE_D
					       : EPT_BIT_ACCESSED | EPT_BIT_DIRTY;
}

/* The bits of a leaf of @level that its merged leaf, one level up, has. */
static uint64_t parent_bits(const struct stage2_tables *tables, uint64_t entry, unsigned int level)
{
	uint64_t bits = entry & ~EPT_ADDRESS_MASK;

	if (tables->mode.kind == STAGE2_NPT && level == 1 && (entry & X86_PTE_PAT))
		bits |= X86_PTE_PAT_BIG;
	if (tables->mode.kind == STAGE2_NPT && level == 2)
		bits |= entry & X86_PTE_PAT_BIG;
	return bits | EPT_BIT_LARGE;
}

/* The one leaf that 512 leaves of @level can become; -EAGAIN if none can. */
static int join(const struct stage2_tables *tables, const uint64_t *entries, unsigned int level,
		uint64_t *leaf_out)
{
	uint64_t span = 1ULL << radix_shift(level), flags = accessed_dirty_bits(tables);
	uint64_t base = entries[0] & EPT_ADDRESS_MASK & ~(span - 1), joined = 0;
	uint64_t want = entries[0] & ~flags;
	unsigned int i;

	if (base % (span << 9) != 0 || !is_well_formed(tables, entries[0], level))
		return -EAGAIN;
	for (i = 0; i < RADIX_ENTRIES; i++) {
		if (!is_present(tables, entries[i]) || !is_leaf(entries[i], level) ||
		    (entries[i] & ~flags) != want + i * span)
			return -EAGAIN;
		joined |= entries[i] & flags;
	}
	*leaf_out = base | (parent_bits(tables, entries[0], level) & ~flags) | joined;
	return 0;
}

int stage2_merge(struct stage2_tables *tables, gpa_t gpa, uint64_t leaf_bytes)
{
	unsigned int level = leaf_bytes == EPT_PAGE_1G_BYTES ? 3 : 2, at;
	uint64_t *entry, *entries, leaf;
	hpa_t child;
	int err;

	if ((leaf_bytes != EPT_PAGE_1G_BYTES && leaf_bytes != EPT_PAGE_2M_BYTES) ||
	    gpa.value >= stage2_reach(&tables->mode) || !level_has_leaves(tables, level))
		return -EINVAL;
	entry = find_entry(tables, gpa, level, &at);
	if (!entry || at != level || !is_present(tables, *entry) || is_leaf(*entry, level) ||
	    !is_well_formed(tables, *entry, level))
		return -EAGAIN;
	child = hpa_make(*entry & EPT_ADDRESS_MASK);
	entries = tables->pages.table(tables->pages.context, child);
	if (!entries)
		return -EAGAIN;
	err = join(tables, entries, level - 1, &leaf);
	if (err)
		return err;
	__atomic_store_n(entry, leaf, __ATOMIC_RELEASE);
	tables->pages.free(tables->pages.context, child);
	return 0;
}
