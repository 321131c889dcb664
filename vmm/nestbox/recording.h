/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A recording's folder: names, for free(3); NULL for want of memory. */
#ifndef VMM_NESTBOX_RECORDING_H
#define VMM_NESTBOX_RECORDING_H

/* The path of @file in it. */
char *recording_file(const char *folder, const char *file);

/* The last part of its path: what its trace is called. */
char *recording_name(const char *folder);

/* The trace: the first of `trace`, `trace.dat`, `trace.txt` it has, or @folder itself if a file. */
char *recording_trace(const char *folder);

#endif
