# SPDX-License-Identifier: GPL-2.0-or-later
# A running guest of this process, for those who know no KVM.
noinst_LIBRARIES += %D%/libattach.a
%C%_libattach_a_SOURCES = %D%/core.c %D%/core.h %D%/executor.c %D%/executor.h %D%/inspector.c \
	%D%/inspector.h %D%/note_call.c %D%/note_call.h %D%/probe.c %D%/probe.h
