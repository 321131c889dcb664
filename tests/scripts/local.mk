# SPDX-License-Identifier: GPL-2.0-or-later
STYLE_TESTS += %D%/test_install.sh %D%/test_tally.sh
LAB_TESTS += %D%/test_capture.sh
KERNEL_TESTS += %D%/test_capture.sh
dist_noinst_SCRIPTS += %D%/test_lab.sh
EXTRA_DIST += %D%/fail_nth.c
