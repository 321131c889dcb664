# SPDX-License-Identifier: GPL-2.0-or-later
# A gdb stub: packets, what they ask for, the socket.
noinst_LIBRARIES += %D%/libgdb.a
%C%_libgdb_a_SOURCES = %D%/access.c %D%/packet.c %D%/packet.h %D%/query.c %D%/registers.c %D%/registers.h \
	%D%/server.c %D%/server.h %D%/session.c %D%/session.h %D%/session_private.h
