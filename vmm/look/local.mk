# SPDX-License-Identifier: GPL-2.0-or-later
# What a person sees of them.
noinst_LIBRARIES += %D%/liblook.a
%C%_liblook_a_SOURCES = %D%/diff.c %D%/diff.h %D%/frames.c %D%/frames.h %D%/look.c %D%/look.h \
	%D%/maps.c %D%/maps.h %D%/private.h %D%/search.c %D%/search.h %D%/slabs.c %D%/tree.c \
	%D%/tree.h %D%/walk.c %D%/walk.h %D%/zones.c %D%/zones.h
