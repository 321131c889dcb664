# SPDX-License-Identifier: GPL-2.0-or-later
# Pictures: pages, figures and columns of what was read.
noinst_LIBRARIES += %D%/libpicture.a
%C%_libpicture_a_SOURCES = %D%/figure.c %D%/pack.c %D%/page.h %D%/page_files.S %D%/picture.h %D%/places.c \
	%D%/private.h %D%/write.c
PAGE_FILES = %D%/core.js %D%/figures.js %D%/page.css %D%/page.html %D%/space.js %D%/tables.js
EXTRA_DIST += $(PAGE_FILES)
# .incbin hides them from make, which is told here.
%D%/page_files.$(OBJEXT): $(PAGE_FILES)
