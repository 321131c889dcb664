# SPDX-License-Identifier: GPL-2.0-or-later
UNIT_TESTS += %D%/test_frames_follow %D%/test_frames_smp %D%/test_gfp %D%/test_interrupt \
	%D%/test_map_failure %D%/test_order %D%/test_seed_details %D%/test_seed_rubbish \
	%D%/test_page_alloc %D%/test_page_check %D%/test_page_init %D%/test_page_layout %D%/test_page_random \
	%D%/test_page_zones %D%/test_pgtable %D%/test_pgtable_large %D%/test_process \
	%D%/test_process_race %D%/test_rbtree %D%/test_seed_defects %D%/test_seed_faults \
	%D%/test_seed_random %D%/test_slab %D%/test_slab_check %D%/test_string %D%/test_vaccess \
	%D%/test_vm_area %D%/test_vmalloc %D%/test_vmalloc_errors %D%/test_vmalloc_random \
	%D%/test_vmap %D%/test_vmap_check %D%/test_vmap_oracle
UNIT_TESTS += %D%/test_limits %D%/test_midway %D%/test_process_check %D%/test_vmap_linux \
	%D%/test_edges %D%/test_vmap_rules %D%/test_vmap_shape %D%/test_rbtree_check \
	%D%/test_process_shown %D%/test_slab_nodes
# Not tests: figures, of the core as the guest has it, and what other tests run.
TEST_TOOLS += %D%/bench_core
%C%_bench_core_SOURCES = %D%/bench_core.c mm/string.c $(MM_SOURCES)
%C%_bench_core_CFLAGS = $(AM_CFLAGS) -fno-builtin
EXTRA_DIST += %D%/core_check.h %D%/equivalent-mutants %D%/pgtable_fixture.h \
	%D%/process_fixture.h %D%/rbtree_fixture.h %D%/seed_fixture.h %D%/seed_model.h %D%/sim.h \
	%D%/vmalloc_fixture.h %D%/vmap_fixture.h %D%/vmap_model.h
# The simulated machine, and what the core's tests share.
check_LIBRARIES += %D%/libsim.a
%C%_libsim_a_SOURCES = %D%/sim.c %D%/core_check.c
dist_noinst_SCRIPTS += %D%/bench_core.sh
# The oracle of placement.
%C%_test_vmap_oracle_SOURCES = %D%/test_vmap_oracle.c %D%/vmap_model.c
%C%_test_seed_random_SOURCES = %D%/test_seed_random.c %D%/vmap_model.c
