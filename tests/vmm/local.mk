# SPDX-License-Identifier: GPL-2.0-or-later
# A folder for each room of vmm/.
UNIT_TESTS += %D%/audit/test_audit %D%/audit/test_audit_hostile %D%/audit/test_audit_memory \
	%D%/audit/test_audit_tlb %D%/base/test_cli %D%/base/test_range_set %D%/domain/test_domain %D%/gdb/test_session %D%/base/test_histogram %D%/load/test_workload \
	%D%/image/test_backtrace %D%/image/test_boot %D%/image/test_image \
	%D%/inspect/test_inspect %D%/inspect/test_layout %D%/look/test_look \
	%D%/linux/test_linux %D%/look/test_look_core %D%/look/test_look_memory %D%/look/test_look_search \
	%D%/nestbox/test_compare %D%/nestbox/test_replay_picture %D%/picture/test_picture %D%/machine/test_insn %D%/machine/test_kvm %D%/replay/test_fit %D%/replay/test_formats \
	%D%/replay/test_ftrace %D%/replay/test_history \
	%D%/replay/test_replay %D%/replay/test_replay_plan %D%/replay/test_replay_purges \
	%D%/replay/test_replay_report %D%/replay/test_settle %D%/replay/test_state %D%/replay/test_tree %D%/replay/test_vmallocinfo %D%/sandbox/test_sandbox %D%/service/test_server \
	%D%/soft/test_bad_input %D%/soft/test_cpu %D%/soft/test_deliver %D%/soft/test_native \
	%D%/soft/test_race %D%/soft/test_requests %D%/soft/test_soft %D%/soft/test_tlb %D%/source/test_source %D%/wire/test_protocol %D%/wire/test_qmp %D%/source/test_monitor \
	%D%/wire/test_qmp_limits
TEST_TOOLS += %D%/audit/bench_audit %D%/picture/make_page %D%/look/bench_look %D%/soft/bench_cpu
%C%_audit_test_audit_memory_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=calloc -Wl,--wrap=realloc
%C%_look_test_look_memory_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc -Wl,--wrap=calloc \
	-Wl,--wrap=realloc
HOST_TESTS += %D%/picture/test_page.sh
EXTRA_DIST += %D%/picture/drive.js
# The simulated core seen from outside and its planted faults, a tiny image, the replay's model.
check_LIBRARIES += %D%/libvmmtest.a
%C%_libvmmtest_a_SOURCES = %D%/audit/faults.h %D%/audit/faults_frames.c %D%/audit/faults_leaves.c \
	%D%/audit/faults_objects.c %D%/audit/faults_tables.c %D%/audit/faults_tiles.c \
	%D%/audit/faults_users.c %D%/gdb/fake_target.h %D%/image/tiny_image.c %D%/image/tiny_image.h \
	%D%/inspect/core_mix.c %D%/inspect/core_mix.h %D%/inspect/core_source.c \
	%D%/inspect/core_source.h %D%/linux/small_kernel.c %D%/linux/small_kernel.h \
	%D%/linux/small_kernel_btf.c %D%/linux/small_kernel_frames.c %D%/linux/small_kernel_private.h \
	%D%/look/look_all.h %D%/wire/qmp_fixture.h %D%/replay/history.c %D%/replay/history.h \
	%D%/replay/model_executor.c %D%/replay/model_executor.h %D%/replay/replay_model.c \
	%D%/replay/linux_oracle.c %D%/replay/linux_oracle.h \
	%D%/replay/plan_text.h %D%/replay/shipped.h %D%/replay/replay_model.h \
	%D%/soft/bare.c %D%/soft/bare.h %D%/soft/forms.c %D%/soft/forms.h %D%/soft/native.c \
	%D%/soft/native.h
