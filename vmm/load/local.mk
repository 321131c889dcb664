# SPDX-License-Identifier: GPL-2.0-or-later
# Workloads: the language, what it is compiled to, how areas lie.
noinst_LIBRARIES += %D%/libload.a
%C%_libload_a_SOURCES = %D%/draw.c %D%/draw.h %D%/lives.c %D%/lives.h %D%/model.c %D%/model.h %D%/model_measure.c %D%/order.c %D%/order.h %D%/parse.h %D%/placement.c %D%/placement.h \
	%D%/program.c %D%/program.h %D%/scan.c %D%/scan.h %D%/workload.c %D%/workload.h %D%/workload_class.c
