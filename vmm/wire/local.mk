# SPDX-License-Identifier: GPL-2.0-or-later
# The control protocol.
noinst_LIBRARIES += %D%/libwire.a
%C%_libwire_a_SOURCES = %D%/protocol.c %D%/protocol.h %D%/protocol_calls.c %D%/protocol_libvirt.c %D%/protocol_lists.c \
	%D%/protocol_look.c %D%/protocol_private.h %D%/protocol_process.c %D%/protocol_qemu.c %D%/protocol_second.c \
	%D%/qmp.c %D%/qmp.h %D%/qmp_message.c %D%/qmp_private.h %D%/qmp_value.c %D%/runtime.c \
	%D%/runtime.h
