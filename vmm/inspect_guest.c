/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A running guest as a source for the inspector. */
#include "vmm/inspect_guest.h"

int inspector_create_for_guest(struct guest *guest, struct inspector **inspector_out,
			       struct ept_error *error)
{
	const struct image *image = guest_image(guest);
	const struct paging_mode paging = guest_paging_mode(guest);
	struct inspect_source source;
	struct layout layout;
	int err;

	err = layout_parse(image->layout, image->layout_bytes, &layout, error);
	if (err)
		return err;
	inspect_source_from_space(guest_space(guest), &paging, &guest_boot(guest)->info, &source);
	return inspector_create(&source, &layout, inspector_out, error);
}
