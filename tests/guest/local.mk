# SPDX-License-Identifier: GPL-2.0-or-later
UNIT_TESTS += %D%/test_hypercall %D%/test_operations %D%/test_printf %D%/test_workload
%C%_test_hypercall_SOURCES = %D%/test_hypercall.c guest/hypercall.c
%C%_test_operations_SOURCES = %D%/test_operations.c guest/operations.c
%C%_test_printf_SOURCES = %D%/test_printf.c guest/printf.c
%C%_test_workload_SOURCES = %D%/test_workload.c guest/workload.c
STYLE_TESTS += %D%/image.sh
