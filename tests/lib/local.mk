# SPDX-License-Identifier: GPL-2.0-or-later
UNIT_TESTS += %D%/test_input %D%/test_out_file %D%/test_out_queue
EXTRA_DIST += tests/harness.h tests/scratch.h tests/top.h
