# SPDX-License-Identifier: GPL-2.0-or-later
# What the process may still ask of the kernel.
noinst_LIBRARIES += %D%/libsandbox.a
%C%_libsandbox_a_SOURCES = %D%/calls.c %D%/files.c %D%/private.h %D%/rights.c %D%/sandbox.c %D%/sandbox.h
