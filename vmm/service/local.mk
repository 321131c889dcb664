# SPDX-License-Identifier: GPL-2.0-or-later
# A running guest behind a control socket.
noinst_LIBRARIES += %D%/libservice.a
%C%_libservice_a_SOURCES = %D%/audit.c %D%/call.c %D%/diff.c %D%/dirty.c %D%/events.c \
	%D%/frames.c %D%/human.c %D%/human.h %D%/human_memory.c %D%/human_state.c %D%/qemu.c %D%/server_fds.c %D%/guest.c %D%/jobs.c %D%/lanes.c %D%/lanes.h %D%/libvirt.c %D%/look.c %D%/memory.c %D%/private.h %D%/refusal.c %D%/gdb.c %D%/places.c \
	%D%/server.c %D%/server.h %D%/server_client.c %D%/server_client.h %D%/service.c \
	%D%/service.h %D%/stage2.c %D%/state.c %D%/tables.c %D%/traps.c
