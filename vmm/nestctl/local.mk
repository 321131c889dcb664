# SPDX-License-Identifier: GPL-2.0-or-later
# The program nestctl.
noinst_LIBRARIES += %D%/libnestctl.a
%C%_libnestctl_a_SOURCES = %D%/args.c %D%/complete.c %D%/filter.c %D%/foreign.c %D%/foreign.h %D%/foreign_audit.c %D%/foreign_frames.c \
	%D%/foreign_linux.c %D%/foreign_state.c %D%/foreign_look.c %D%/help.c %D%/line.c %D%/load.c \
	%D%/nestctl.h %D%/own.c %D%/picture.c %D%/print.c %D%/print_list.c %D%/print_look.c %D%/print_vcpu.c \
	%D%/shell.c %D%/symbols.c %D%/terminal.c %D%/verbs.c %D%/whom.c %D%/wire.c %D%/words.c

# Everything but main() is a library, which tests link.
bin_PROGRAMS += nestctl
nestctl_SOURCES = %D%/main.c
nestctl_LDADD = $(ROOMS) $(ROOM_LIBS)
