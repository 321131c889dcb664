/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The image inside the program, loaded like any other. */
#include "vmm/image/builtin.h"

#include <errno.h>

#include "vmm/image/image.h"

int image_load_builtin(struct image *image_out, struct error *error)
{
	return image_load_bytes("built-in", builtin_image,
				(size_t)(builtin_image_end - builtin_image), image_out, error);
}
