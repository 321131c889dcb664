# SPDX-License-Identifier: GPL-2.0-or-later
# libvirt's domain XML, as far as it is about memory.
noinst_LIBRARIES += %D%/libdomain.a
%C%_libdomain_a_SOURCES = %D%/backing.c %D%/domain.h %D%/element.c %D%/numa.c %D%/private.h \
	%D%/read.c %D%/stats.c %D%/stats.h %D%/units.c %D%/write.c
