# SPDX-License-Identifier: GPL-2.0-or-later
# Linux as the guest.
noinst_LIBRARIES += %D%/liblinux.a
%C%_liblinux_a_SOURCES = \
	%D%/areas.c %D%/image.c %D%/kallsyms.c %D%/linux.h %D%/modules.c %D%/open.c %D%/private.h \
	%D%/space.c %D%/space.h %D%/types.c %D%/vmcoreinfo.c
