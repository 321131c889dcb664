# SPDX-License-Identifier: GPL-2.0-or-later
# KVM: the VM, its vCPUs, a guest's life.
noinst_LIBRARIES += %D%/libmachine.a
%C%_libmachine_a_SOURCES = %D%/checks.c %D%/checks.h %D%/debug.c %D%/debug.h \
	%D%/debug_exit.c %D%/debug_exit.h %D%/debug_history.c %D%/debug_memory.c %D%/debug_points.c %D%/debug_private.h \
	%D%/exit.c %D%/exit.h %D%/guest.c %D%/guest.h %D%/guest_look.c \
	%D%/guest_private.h %D%/guest_state.c %D%/guest_traps.c %D%/insn.c %D%/insn.h %D%/kvm.c \
	%D%/kvm.h %D%/report.c %D%/report.h %D%/report_print.c %D%/ring.c %D%/uaf.c %D%/uaf.h \
	%D%/vcpu.c %D%/vcpu.h %D%/vcpu_report.c %D%/vcpu_report.h %D%/vcpu_state.c %D%/vm.c \
	%D%/vm.h %D%/watch.c %D%/watch.h %D%/watch_locate.c %D%/watch_private.h
