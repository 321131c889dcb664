# SPDX-License-Identifier: GPL-2.0-or-later
# Command lines and containers.
noinst_LIBRARIES += %D%/libbase.a
%C%_libbase_a_SOURCES = %D%/cli.c %D%/cli.h %D%/histogram.c %D%/histogram.h %D%/latency.c %D%/latency.h %D%/range_set.c \
	%D%/range_set.h
