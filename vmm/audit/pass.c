/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What checks call: to report what they find, to count, to look at locks and areas' frames. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vmm/audit/private.h"
#include "vmm/audit/state.h"

static struct audit_violation *find_kept(struct audit *audit, enum audit_check check,
					 uint64_t address, const char *text)
{
	for (size_t i = 0; i < audit->nr_kept; i++) {
		struct audit_violation *kept = &audit->kept[i];

		if (kept->check == check && kept->address == address && !strcmp(kept->text, text))
			return kept;
	}
	return NULL;
}

void audit_found(struct audit_pass *pass, uint64_t address, uint64_t found, uint64_t expected,
		 const char *format, ...)
{
	struct audit *audit = pass->audit;
	struct audit_violation *kept;
	char text[AUDIT_TEXT_BYTES];
	va_list arguments;

	pass->result.violations++;
	pass->result.check_violations[pass->check]++;
	/* Beyond what is kept, and what would be looked for among the kept, count alone. */
	if (pass->result.check_violations[pass->check] > 4 * AUDIT_KEPT_PER_CHECK)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	kept = find_kept(audit, pass->check, address, text);
	if (!kept) {
		if (audit->kept_of[pass->check] == AUDIT_KEPT_PER_CHECK)
			return;
		audit->kept_of[pass->check]++;
		kept = &audit->kept[audit->nr_kept++];
		*kept = (struct audit_violation){
			.check = pass->check,
			.address = address,
			.operation = pass->operation,
		};
		memcpy(kept->text, text, sizeof(text));
	}
	kept->found = found;
	kept->expected = expected;
	if (kept->last_run != audit->runs) {
		kept->last_run = audit->runs;
		kept->seen++;
	}
}

void audit_looked(struct audit_pass *pass, uint64_t items)
{
	pass->result.items += items;
	pass->result.check_items[pass->check] += items;
}

void audit_check_lock(struct audit_pass *pass, uint64_t address, const char *name)
{
	uint32_t word;

	if (inspect_u32(pass->inspector, address, &word) && word != 0)
		audit_found(pass, address, word, 0, "the lock of %s is held", name);
}

bool audit_area_frame(struct audit_pass *pass, const struct inspect_area *area, uint64_t index,
		      uint64_t *pfn_out)
{
	uint64_t page = area->start + index * INSPECT_PAGE_BYTES, address;

	if (pass->entries_left == 0) {
		audit_found(pass, area->start, 0, 0, "the areas list more frames than RAM has");
		return false;
	}
	pass->entries_left--;
	if (!inspect_area_page(pass->inspector, area, index, &address)) {
		audit_found(pass, page, area->pages, 0,
			    "the area's page array cannot be read for this page");
		return false;
	}
	if (!inspect_page_pfn(pass->inspector, address, pfn_out)) {
		audit_found(pass, page, address, 0,
			    "the area's page array holds what is no struct page");
		*pfn_out = AUDIT_NO_FRAME;
	}
	return true;
}

bool audit_owns_frames(const struct audit_pass *pass, const struct inspect_area *area)
{
	return area->state == INSPECT_BUSY && area->has_vm && area->nr_pages != 0 &&
	       (area->kind == pass->l->vmap_frames || area->kind == pass->l->vmap_array);
}
