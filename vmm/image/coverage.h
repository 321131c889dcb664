/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From counts of instructions to counts of source lines, in lcov's tracefile format (geninfo(1)).
 */
#ifndef VMM_IMAGE_COVERAGE_H
#define VMM_IMAGE_COVERAGE_H

#include <stdint.h>

#include "lib/error.h"
#include "vmm/image/image.h"

/* The image's executable range [*@start_out, *@end_out). Errors: -ENOEXEC, there is none. */
int coverage_range(const struct image *image, uint64_t *start_out, uint64_t *end_out);

/*
 * Writes the file @path: for each source line that code was made of how often its most frequent
 * instruction was executed, @counts[address - start]. Errors: -ENOEXEC (no debug information),
 * -ENOMEM, out_file_begin()'s, write(2)'s; nothing is left then.
 */
int coverage_write(const struct image *image, uint64_t start, uint64_t end, const uint64_t *counts,
		   const char *path, struct error *error);

/*
 * Adds up @counts: all of them, and those of units whose source's path has @part in it. Both are 0
 * where there is no debug information.
 */
void coverage_sum(const struct image *image, uint64_t start, uint64_t end, const uint64_t *counts,
		  const char *part, uint64_t *all_out, uint64_t *part_out);

#endif
