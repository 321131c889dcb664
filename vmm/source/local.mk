# SPDX-License-Identifier: GPL-2.0-or-later
# Other people's guests: memory and registers.
noinst_LIBRARIES += %D%/libsource.a
%C%_libsource_a_SOURCES = \
	%D%/core.c %D%/elf.c %D%/libvirt.c %D%/monitor.c %D%/monitor.h %D%/monitor_text.c \
	%D%/private.h %D%/qmp.c %D%/source.c %D%/source.h
