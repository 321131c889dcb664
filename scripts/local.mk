# SPDX-License-Identifier: GPL-2.0-or-later
dist_noinst_SCRIPTS += .ci/run %D%/bench %D%/capture %D%/check %D%/check-builds %D%/check-lab \
	%D%/check-recordings %D%/demo %D%/lab %D%/mutate %D%/record-suite %D%/setup %D%/tally
EXTRA_DIST += %D%/bench.awk %D%/build.sh %D%/lab.d/bochs-fix.c %D%/lab.d/cache.sh \
	%D%/lab.d/ept.sh %D%/lab.d/init.sh %D%/lab.d/machine.sh %D%/lab.d/npt.sh \
	%D%/lab.d/payload.sh %D%/lab.d/run-tests.sh %D%/record-suite.d/load.c %D%/record-suite.d/work.sh
# Attacks on the programs, on the soft engine.
HOST_TESTS += %D%/attack %D%/fail-nth
