/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The error numbers the core returns, negated, with Linux's values; hypercall completions carry
 * them to the host. The spelling of each line matches asm-generic's, so that a host file may
 * include <errno.h> as well.
 */
#ifndef MM_ERRNO_H
#define MM_ERRNO_H

#define EPERM     1
#define ENOENT    2
#define ESRCH     3
#define EINTR     4
#define ENOMEM    12
#define EFAULT    14
#define EBUSY     16
#define EINVAL    22
#define ENOSPC    28
#define ERANGE    34
#define ENOSYS    38
#define EOVERFLOW 75

#endif
