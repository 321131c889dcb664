/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest memory by guest-virtual addresses, through page tables that lie in it. */
#include "ept/gpa_space.h"

static const uint64_t *read_table(void *context, gpa_t table)
{
	void *host;

	return gpa_space_translate(context, table, EPT_PAGE_BYTES, &host) == 0 ? host : NULL;
}

struct paging_reader gpa_space_paging_reader(const struct gpa_space *space)
{
	/* The reader's context is not const in ept/paging.h; it is only read here. */
	return (struct paging_reader){.table = read_table, .context = (void *)(uintptr_t)space};
}

/* One piece, in one page: to @to, else from @from, else nothing but whether it is memory. */
static int copy(const struct gpa_space *space, gpa_t gpa, char *to, const char *from, size_t bytes)
{
	void *host;

	if (to)
		return gpa_space_read(space, gpa, to, bytes);
	if (from)
		return gpa_space_write(space, gpa, from, bytes);
	return gpa_space_translate(space, gpa, bytes, &host);
}

static size_t for_pieces(const struct gpa_space *space, const struct paging_mode *mode, gva_t gva,
			 char *to, const char *from, size_t size_bytes)
{
	struct paging_reader reader = gpa_space_paging_reader(space);
	size_t done = 0;

	while (done < size_bytes && gva.value + done >= gva.value) {
		gva_t at = gva_add(gva, done);
		size_t piece = EPT_PAGE_BYTES - at.value % EPT_PAGE_BYTES;
		struct paging_walk walk;

		if (piece > size_bytes - done)
			piece = size_bytes - done;
		paging_walk(mode, &reader, at, &walk);
		if (walk.status != PAGING_MAPPED || copy(space, walk.gpa, to ? to + done : NULL,
							 from ? from + done : NULL, piece) != 0)
			break;
		done += piece;
	}
	return done;
}

size_t gpa_space_read_virtual(const struct gpa_space *space, const struct paging_mode *mode,
			      gva_t gva, void *buffer, size_t size_bytes)
{
	return for_pieces(space, mode, gva, buffer, NULL, size_bytes);
}

size_t gpa_space_write_virtual(const struct gpa_space *space, const struct paging_mode *mode,
			       gva_t gva, const void *buffer, size_t size_bytes)
{
	return for_pieces(space, mode, gva, NULL, buffer, size_bytes);
}
