# SPDX-License-Identifier: GPL-2.0-or-later
# The program nestbox: one file a command.
noinst_LIBRARIES += %D%/libnestbox.a
%C%_libnestbox_a_SOURCES = %D%/background.c %D%/background.h %D%/bench.c %D%/bench.h %D%/bench_print.c %D%/bench_threads.c %D%/bench_threads.h %D%/interrupt.c %D%/interrupt.h %D%/commands.h %D%/compare.c %D%/compare.h \
	%D%/doctor.c %D%/doctor.h %D%/doctor_host.c %D%/explore.c %D%/explore.h %D%/explore_all.c \
	%D%/explore_print.c %D%/explore_print.h %D%/explore_run.c %D%/explore_shrink.c %D%/guest_options.c %D%/guest_options.h \
	%D%/picture.c %D%/picture_options.h %D%/recording.c %D%/recording.h %D%/replay.c %D%/replay_job.c %D%/replay_job.h %D%/run.c %D%/run_config.c %D%/run_config.h %D%/run_domain.c %D%/run_domain.h %D%/selftest.c %D%/run_places.c %D%/run_places.h %D%/run_sockets.c %D%/run_sockets.h %D%/load.c %D%/load.h %D%/load_report.c %D%/load_report.h %D%/load_run.c %D%/load_run.h %D%/model.c %D%/sweep.c %D%/sweep.h %D%/sweep_merge.c

# Everything but main() is a library, which tests link.
bin_PROGRAMS += nestbox
nestbox_SOURCES = %D%/main.c
nestbox_LDADD = $(ROOMS) $(ROOM_LIBS)
