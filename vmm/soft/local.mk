# SPDX-License-Identifier: GPL-2.0-or-later
# KVM's API in user space: the processor, and the machine around it.
noinst_LIBRARIES += %D%/libsoft.a
%C%_libsoft_a_SOURCES = \
	%D%/cpu.c %D%/cpu.h
# The machine around it.
%C%_libsoft_a_SOURCES += \
	%D%/apic.c %D%/apic.h %D%/cpuid.c %D%/dirty.c %D%/door.c %D%/mmu.c %D%/msr.c \
	%D%/private.h %D%/kvm_run.c %D%/schedule.c %D%/second.c %D%/slots.c %D%/soft.h %D%/stats.c \
	%D%/tlb.c %D%/tlb.h %D%/vcpu.c %D%/vm.c
