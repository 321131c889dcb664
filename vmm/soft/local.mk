# SPDX-License-Identifier: GPL-2.0-or-later
# KVM's API in user space: the processor, and the machine around it.
noinst_LIBRARIES += %D%/libsoft.a
%C%_libsoft_a_SOURCES = \
	%D%/cpu.c %D%/cpu.h
