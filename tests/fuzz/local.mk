# SPDX-License-Identifier: GPL-2.0-or-later
FUZZ_TESTS = %D%/fuzz_backtrace %D%/fuzz_config %D%/fuzz_core %D%/fuzz_domain %D%/fuzz_ftrace %D%/fuzz_image \
	%D%/fuzz_insn %D%/fuzz_layout %D%/fuzz_linux %D%/fuzz_maps %D%/fuzz_monitor %D%/fuzz_qmp %D%/fuzz_soft %D%/fuzz_stage2 %D%/fuzz_gdb \
	%D%/fuzz_vmallocinfo %D%/fuzz_walk %D%/fuzz_workload
$(FUZZ_TESTS): FUZZER_LINK = $(FUZZER_LDFLAGS)
EXTRA_DIST += %D%/driver.h %D%/fuzz.h %D%/fuzz_file.h
# What drives a target where libFuzzer does not (configure --enable-fuzzer CC=clang; make fuzz).
check_LIBRARIES += %D%/libdriver.a
%C%_libdriver_a_SOURCES = %D%/driver.c
EXTRA_DIST += %D%/corpus/ftrace/function %D%/corpus/ftrace/kaslr %D%/corpus/ftrace/modules \
	%D%/corpus/ftrace/perf %D%/corpus/ftrace/race %D%/corpus/ftrace/report \
	%D%/corpus/ftrace/tracepoints %D%/corpus/vmallocinfo/hidden %D%/corpus/vmallocinfo/sorted \
	%D%/corpus/vmallocinfo/words
