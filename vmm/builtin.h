/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest image inside a program: programs that want one are linked with vmm/builtin_image.S
 * (BUILTIN_IMAGE in Makefile.am), others have none.
 */
#ifndef VMM_BUILTIN_H
#define VMM_BUILTIN_H

#include <stdint.h>

/* The ELF file: [builtin_image, builtin_image_end), 64-byte aligned. NULL when there is none. */
extern const uint8_t builtin_image[] __attribute__((weak));
extern const uint8_t builtin_image_end[] __attribute__((weak));

#endif
