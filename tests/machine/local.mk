# SPDX-License-Identifier: GPL-2.0-or-later
MACHINE_TESTS += %D%/test_audit %D%/test_calls %D%/test_calls_fail %D%/test_calls_smp \
	%D%/test_core %D%/test_exceptions %D%/test_faults %D%/test_gdb %D%/test_guest %D%/test_lockstep %D%/test_look %D%/test_process \
	%D%/test_process_audit %D%/test_process_calls %D%/test_process_smp %D%/test_selftest \
	%D%/test_service %D%/test_service_dirty %D%/test_service_end %D%/test_service_qemu %D%/test_service_second \
	%D%/test_tlb %D%/test_traps %D%/test_user %D%/test_vm
MACHINE_SHELL_TESTS += %D%/test_nestbox.sh %D%/test_nestctl.sh
# What of KVM, of a kernel's tables and of its tracing nestbox relies on.
KERNEL_TESTS += %D%/test_vm %D%/test_guest %D%/test_traps %D%/test_tlb %D%/test_service_dirty \
	%D%/test_service_second
# Not tests: figures, and what other tests run.
TEST_TOOLS += %D%/bench_look %D%/bench_service %D%/linux_core %D%/make_core
NODES_TESTS += %D%/test_backing.sh
# What the core refuses and what nestctl prints are the same on every KVM, and lab ept is slow.
NOT_IN_EPT = %D%/test_calls_fail %D%/test_nestctl.sh
HOST_TESTS += %D%/test_compare.sh %D%/test_core_tools.sh %D%/test_domain.sh %D%/test_linux.sh %D%/test_replay_inputs.sh \
	%D%/test_schedule.sh %D%/test_terminal.sh %D%/test_verbs.sh %D%/test_sandbox.sh %D%/test_load.sh %D%/test_libvirt.sh %D%/test_sweep.sh %D%/test_teaching.sh
COUNTING_TESTS += %D%/test_counting.sh
%C%_test_faults_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=calloc,--wrap=malloc \
	-Wl,--wrap=realloc,--wrap=mmap,--wrap=memfd_create,--wrap=ftruncate,--wrap=read \
	-Wl,--wrap=open,--wrap=ioctl,--wrap=pthread_create
%C%_linux_core_SOURCES = %D%/linux_core.c %D%/linux_core.h %D%/linux_faults.c
EXTRA_DIST += %D%/calls_machine.h %D%/core_file.h %D%/inspected.h %D%/planted.h %D%/process_machine.h \
	%D%/service_client.h %D%/service_fixture.h %D%/shell.sh %D%/tiny_guest.h %D%/verb_lines.h %D%/gdb_client.h
# A client of the service, and a guest of a few instructions.
check_LIBRARIES += %D%/libmachinetest.a
%C%_libmachinetest_a_SOURCES = %D%/lockstep.c %D%/lockstep.h %D%/service_client.c %D%/tiny_guest.S
UNIT_TESTS += %D%/test_checks %D%/test_explore %D%/test_verb_table
