/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Going to the background. One thread only, and before there is a second. */
#ifndef VMM_NESTBOX_BACKGROUND_H
#define VMM_NESTBOX_BACKGROUND_H

#include "vmm/base/cli.h"

/*
 * Goes on in a child of its own session. Returns true there; in the parent false, with the
 * program's exit status, once the child called background_ready() or ended.
 */
bool background_go(const struct cli_command *command, enum cli_status *status_out);

/* The child serves: its standard streams go to /dev/null, and the parent ends with success. */
void background_ready(void);

#endif
