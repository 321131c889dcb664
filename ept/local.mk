# SPDX-License-Identifier: GPL-2.0-or-later
# The second stage.
noinst_LIBRARIES += %D%/libept.a
%C%_libept_a_SOURCES = %D%/backing.c %D%/backing.h %D%/backing_numa.c %D%/demand.c %D%/demand.h \
	%D%/demand_lease.c %D%/demand_private.h %D%/dirty.c %D%/dirty.h %D%/dirty_collect.c \
	%D%/dirty_private.h %D%/ept_format.c %D%/ept_format.h %D%/gpa_look.c %D%/gpa_space.c \
	%D%/gpa_space.h %D%/gpa_space_private.h %D%/gpa_virtual.c %D%/kvm.c %D%/kvm.h \
	%D%/kvm_fd.c %D%/kvm_fd.h %D%/kvm_slots.c %D%/kvm_slots.h %D%/live.c %D%/live.h %D%/live_kcore.c %D%/live_private.h \
	%D%/live_probe.c %D%/paging.c %D%/paging.h %D%/paging_private.h %D%/predict.c \
	%D%/predict.h %D%/radix.c %D%/radix.h %D%/stage2.c %D%/stage2.h %D%/stage2_edit.c \
	%D%/stage2_private.h %D%/stats.c %D%/stats.h %D%/trap.c %D%/trap.h %D%/trap_fault.c \
	%D%/trap_private.h %D%/trap_region.c %D%/types.h %D%/uffd.c %D%/uffd.h %D%/walk2d.c %D%/walk2d.h \
	%D%/walk2d_space.c
