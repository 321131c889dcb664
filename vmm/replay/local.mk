# SPDX-License-Identifier: GPL-2.0-or-later
# Recordings, plans, reports.
noinst_LIBRARIES += %D%/libreplay.a
%C%_libreplay_a_SOURCES = %D%/alloc.c %D%/build.c %D%/build.h %D%/end.c %D%/end.h %D%/ftrace.c \
	%D%/ftrace.h %D%/ftrace_dat.c %D%/ftrace_event.c %D%/ftrace_line.c %D%/ftrace_line.h \
	%D%/ftrace_shape.c %D%/layout.c %D%/layout.h %D%/meta.c %D%/model.c %D%/model.h %D%/needs.c %D%/needs.h %D%/order.c \
	%D%/place.c %D%/plan.c \
	%D%/plan.h %D%/prelude.c %D%/prelude.h %D%/release.c %D%/replay.c %D%/replay.h %D%/report.c %D%/report.h %D%/text.c \
	%D%/explain.c %D%/explain.h %D%/rules.c %D%/rules.h %D%/state.c %D%/state.h \
	%D%/settle.c %D%/settle.h %D%/settle_explain.c %D%/settle_order.c %D%/settle_origin.c %D%/settle_purge.c %D%/settle_private.h \
	%D%/settle_run.c %D%/settle_start.c %D%/space.c %D%/space.h %D%/space_pools.c %D%/space_pools.h %D%/tree.c %D%/tree.h \
	%D%/tree_balance.c %D%/tree_balance.h %D%/tree_shape.c \
	%D%/vmallocinfo.c %D%/vmallocinfo.h
