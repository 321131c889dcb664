# SPDX-License-Identifier: GPL-2.0-or-later
# Recordings, plans, reports.
noinst_LIBRARIES += %D%/libreplay.a
%C%_libreplay_a_SOURCES = %D%/alloc.c %D%/build.c %D%/build.h %D%/end.c %D%/end.h %D%/ftrace.c \
	%D%/ftrace.h %D%/ftrace_line.c %D%/ftrace_line.h %D%/order.c %D%/place.c %D%/plan.c \
	%D%/plan.h %D%/release.c %D%/replay.c %D%/replay.h %D%/report.c %D%/report.h %D%/text.c \
	%D%/vmallocinfo.c %D%/vmallocinfo.h
