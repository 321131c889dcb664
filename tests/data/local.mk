# SPDX-License-Identifier: GPL-2.0-or-later
# Real recordings of Linux's allocator, replayed by tests and by scripts/demo.
EXTRA_DIST += %D%/fork-1cpu/trace %D%/fork-1cpu/vmallocinfo.begin %D%/fork-1cpu/vmallocinfo.end \
	%D%/mixed-2cpu/trace %D%/mixed-2cpu/vmallocinfo.begin %D%/mixed-2cpu/vmallocinfo.end \
	%D%/modules-2cpu/trace %D%/modules-2cpu/vmallocinfo.begin \
	%D%/modules-2cpu/vmallocinfo.end %D%/formats %D%/linux-vmalloc-instructions
