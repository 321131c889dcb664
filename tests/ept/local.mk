# SPDX-License-Identifier: GPL-2.0-or-later
UNIT_TESTS += %D%/test_demand %D%/test_dirty %D%/test_ept_format %D%/test_gpa_space \
	%D%/test_gpa_space_change %D%/test_gpa_space_oracle %D%/test_kvm_slots %D%/test_paging \
	%D%/test_paging_each %D%/test_stage2 %D%/test_stats %D%/test_trap %D%/test_walk2d
MACHINE_TESTS += %D%/test_dirty_machine %D%/test_live_machine %D%/test_predict_machine \
	%D%/test_slots_machine %D%/test_trap_machine
KERNEL_TESTS += %D%/test_dirty_machine %D%/test_live_machine %D%/test_predict_machine \
	%D%/test_slots_machine %D%/test_trap_machine
# Not tests: figures, and what other tests run.
TEST_TOOLS += %D%/bench_reach %D%/test_host_memory
%C%_test_dirty_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=ioctl -Wl,--wrap=access
%C%_test_gpa_space_LDFLAGS = $(AM_LDFLAGS) $(FAIL_NTH_LINK_FLAGS)
%C%_test_gpa_space_change_LDFLAGS = $(AM_LDFLAGS) $(FAIL_NTH_LINK_FLAGS)
%C%_test_kvm_slots_LDFLAGS = $(AM_LDFLAGS) $(FAIL_NTH_LINK_FLAGS) -Wl,--wrap=ioctl
%C%_test_stats_LDFLAGS = $(AM_LDFLAGS) $(FAIL_NTH_LINK_FLAGS)
EXTRA_DIST += %D%/dirty_machine.h %D%/fail_nth.h %D%/gpa_space_fixture.h %D%/paging_fixture.h \
	%D%/guest_tables.h %D%/random.h %D%/tiny_vm.h
# A machine of a few lines, and calls that fail the n-th time: wrappers in the calls' place.
check_LIBRARIES += %D%/libeptest.a
%C%_libeptest_a_SOURCES = %D%/fail_nth.c %D%/tiny_vm.c
FAIL_NTH_LINK_FLAGS = \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=mmap,--wrap=madvise \
	-Wl,--wrap=memfd_create,--wrap=ftruncate,--wrap=fallocate,--wrap=fstat,--wrap=fcntl
NODES_TESTS += %D%/test_host_memory
