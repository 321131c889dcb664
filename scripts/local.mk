# SPDX-License-Identifier: GPL-2.0-or-later
dist_noinst_SCRIPTS += .ci/run %D%/bench %D%/check %D%/check-builds %D%/check-lab \
	%D%/check-recordings %D%/demo %D%/fuzz %D%/libvirt-tests %D%/linux-soak %D%/mutate %D%/package %D%/record-suite %D%/tally
EXTRA_DIST += %D%/package.d/nestbox@.service %D%/package.d/nestbox@.socket %D%/package.d/debian/control \
	%D%/package.d/debian/rules
EXTRA_DIST += %D%/bench.awk %D%/build.sh %D%/libvirt.d/checks.py %D%/libvirt.d/init.c %D%/record-suite.d/load.c %D%/record-suite.d/work.sh
# Installed, as they lie here.
nobase_dist_pkgdata_SCRIPTS = %D%/capture %D%/lab %D%/setup
nobase_dist_pkgdata_DATA = %D%/lab.d/bochs-fix.c %D%/lab.d/cache.sh %D%/lab.d/ept.sh \
	%D%/lab.d/init.sh %D%/lab.d/machine.sh %D%/lab.d/npt.sh %D%/lab.d/payload.sh \
	%D%/lab.d/run-tests.sh
# Attacks on the programs, on the soft engine.
HOST_TESTS += %D%/attack %D%/fail-nth
