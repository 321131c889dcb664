# SPDX-License-Identifier: GPL-2.0-or-later
# Linux as the guest.
noinst_LIBRARIES += %D%/liblinux.a
%C%_liblinux_a_SOURCES = \
	%D%/areas.c %D%/blocks.c %D%/check.c %D%/check.h %D%/check_frames.c %D%/check_lists.c \
	%D%/check_maps.c %D%/check_private.h %D%/frames.c %D%/frames.h %D%/frames_private.h %D%/image.c %D%/kallsyms.c %D%/linux.h %D%/log.c %D%/modules.c %D%/open.c \
	%D%/private.h %D%/space.c %D%/space.h %D%/tree.c %D%/types.c %D%/vmcoreinfo.c %D%/zones.c
