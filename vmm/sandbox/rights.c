/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capabilities of one thread (capabilities(7), capset(2)). */
#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/sandbox/private.h"

#define BIT(capability) (UINT32_C(1) << (capability))
/* All three are below 32, or 34: the kernel's sets are two words. */
#define LOOK_LOW  (BIT(CAP_SYS_RAWIO) | BIT(CAP_SYS_ADMIN))
#define LOOK_HIGH BIT(CAP_SYSLOG - 32)

int rights_drop(bool looks)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, sets) != 0)
		return -errno;
	sets[0].permitted &= looks ? LOOK_LOW : 0;
	sets[1].permitted &= looks ? LOOK_HIGH : 0;
	for (unsigned int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		sets[i].effective = sets[i].permitted;
		sets[i].inheritable = 0;
	}
	/* What is not permitted cannot be ambient; and no_new_privs keeps execve(2) from more. */
	return syscall(SYS_capset, &header, sets) != 0 ? -errno : 0;
}
