# SPDX-License-Identifier: GPL-2.0-or-later
# KVM's API in user space: the processor, and the machine around it.
noinst_LIBRARIES += %D%/libsoft.a
%C%_libsoft_a_SOURCES = \
	%D%/control.c %D%/control.h %D%/cpu.c %D%/cpu.h %D%/decode.c %D%/decode.h %D%/deliver.c \
	%D%/exec.h %D%/exec_alu.c %D%/exec_bits.c %D%/exec_branch.c %D%/exec_far.c %D%/exec_move.c \
	%D%/exec_multiply.c %D%/exec_other.c %D%/exec_port.c %D%/exec_segment.c %D%/exec_shift.c \
	%D%/exec_stack.c %D%/exec_string.c %D%/exec_system.c %D%/flags.h %D%/memory.c %D%/memory.h \
	%D%/run.c %D%/segment.c %D%/segment.h %D%/translate.c
# The machine around it.
%C%_libsoft_a_SOURCES += \
	%D%/apic.c %D%/apic.h %D%/cpuid.c %D%/debug.c %D%/dirty.c %D%/door.c %D%/history.c %D%/history.h \
	%D%/history_load.c %D%/history_private.h %D%/history_travel.c %D%/kvm_run.c %D%/mmu.c \
	%D%/msr.c %D%/private.h %D%/schedule.c %D%/second.c %D%/slots.c %D%/soft.h %D%/stats.c \
	%D%/tlb.c %D%/tlb.h %D%/vcpu.c %D%/vm.c \
	%D%/check.c %D%/check.h %D%/check_frames.c %D%/check_lines.c %D%/check_memory.c \
	%D%/check_order.c %D%/check_private.h %D%/check_race.c %D%/check_slab.c \
	%D%/race_private.h \
	%D%/plan.c %D%/plan.h %D%/plan_private.h
