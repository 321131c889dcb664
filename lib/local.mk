# SPDX-License-Identifier: GPL-2.0-or-later
# What every room may stand on.
noinst_LIBRARIES += %D%/liblib.a
%C%_liblib_a_SOURCES = %D%/clock.h %D%/error.c %D%/error.h %D%/grow.h %D%/input.c %D%/input.h \
	%D%/out_file.c %D%/out_file.h \
	%D%/out_queue.c %D%/out_queue.h %D%/printable.c %D%/printable.h %D%/regs.h %D%/search.h %D%/thread.c %D%/thread.h %D%/u64_map.c %D%/u64_map.h
