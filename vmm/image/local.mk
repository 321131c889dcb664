# SPDX-License-Identifier: GPL-2.0-or-later
# The guest before it runs.
noinst_LIBRARIES += %D%/libimage.a
%C%_libimage_a_SOURCES = %D%/backtrace.c %D%/backtrace.h %D%/backtrace_names.c %D%/boot.c \
	%D%/boot.h %D%/boot_tables.c %D%/boot_tables.h %D%/builtin.c %D%/builtin.h \
	%D%/builtin_image.S %D%/coverage.c %D%/coverage.h %D%/image.c %D%/image.h %D%/image_marks.c %D%/image_symbols.c %D%/memory_layout.c

# .incbin hides the guest from make, which is told here.
%D%/builtin_image.$(OBJEXT): guest/nestbox-guest
