# SPDX-License-Identifier: GPL-2.0-or-later
# Whether they are right.
noinst_LIBRARIES += %D%/libaudit.a
%C%_libaudit_a_SOURCES = %D%/areas.c %D%/audit.c %D%/audit.h %D%/claims.c %D%/expect.c \
	%D%/frames.c %D%/frames.h %D%/map.c %D%/mapping.c %D%/objects.c %D%/pass.c %D%/private.h \
	%D%/probe.c %D%/processes.c %D%/slabs.c %D%/stage2.c %D%/state.h %D%/stray.c %D%/tables.c \
	%D%/tlb.c %D%/tree.c %D%/users.c %D%/walk.c %D%/wx.c %D%/zones.c
