# SPDX-License-Identifier: GPL-2.0-or-later
# Real recordings of Linux's allocator, replayed by tests and by scripts/demo.
EXTRA_DIST += %D%/formats %D%/linux-vmalloc-instructions
# Installed, for a first replay.
fork_1cpudir = $(pkgdatadir)/recordings/fork-1cpu
dist_fork_1cpu_DATA = %D%/fork-1cpu/trace %D%/fork-1cpu/vmallocinfo.begin %D%/fork-1cpu/vmallocinfo.end
mixed_2cpudir = $(pkgdatadir)/recordings/mixed-2cpu
dist_mixed_2cpu_DATA = %D%/mixed-2cpu/trace %D%/mixed-2cpu/vmallocinfo.begin \
	%D%/mixed-2cpu/vmallocinfo.end
modules_2cpudir = $(pkgdatadir)/recordings/modules-2cpu
dist_modules_2cpu_DATA = %D%/modules-2cpu/trace %D%/modules-2cpu/vmallocinfo.begin \
	%D%/modules-2cpu/vmallocinfo.end
