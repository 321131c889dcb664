# SPDX-License-Identifier: GPL-2.0-or-later
# The seed's functions, called one by one.
noinst_LIBRARIES += %D%/libselftest.a
%C%_libselftest_a_SOURCES = %D%/access.c %D%/areas.c %D%/expect.c %D%/private.h %D%/selftest.c \
	%D%/selftest.h %D%/tables.c %D%/user.c %D%/vmalloc.c
