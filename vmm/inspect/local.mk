# SPDX-License-Identifier: GPL-2.0-or-later
# The guest's structures, of any source.
noinst_LIBRARIES += %D%/libinspect.a
%C%_libinspect_a_SOURCES = %D%/areas.c %D%/inspect.c %D%/inspect.h %D%/layout.c %D%/layout.h \
	%D%/private.h %D%/processes.c %D%/zones.c
