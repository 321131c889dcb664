/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The image inside the program, loaded like any other. */
#include "vmm/builtin.h"

#include <errno.h>

#include "vmm/image.h"

int image_load_builtin(struct image *image_out, struct ept_error *error)
{
	if (!builtin_image)
		return ept_error_set(error, -ENOEXEC,
				     "no guest image is built into this program: name a file");
	return image_load_bytes("built-in", builtin_image,
				(size_t)(builtin_image_end - builtin_image), image_out, error);
}
