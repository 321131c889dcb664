# SPDX-License-Identifier: GPL-2.0-or-later
# The guest as an ELF core.
noinst_LIBRARIES += %D%/libdump.a
%C%_libdump_a_SOURCES = %D%/core.c %D%/core.h %D%/notes.c %D%/private.h %D%/sink.c
