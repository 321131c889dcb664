/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest image inside every program that asks for it. */
#ifndef VMM_IMAGE_BUILTIN_H
#define VMM_IMAGE_BUILTIN_H

#include <stdint.h>

/* The ELF file: [builtin_image, builtin_image_end), 64-byte aligned. */
extern const uint8_t builtin_image[];
extern const uint8_t builtin_image_end[];

#endif
