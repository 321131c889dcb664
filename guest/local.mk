# SPDX-License-Identifier: GPL-2.0-or-later
# One static ELF image, linked without anything of the host's. The linker's options are the
# project's alone: a user's LDFLAGS are for host programs. The host programs embed the file.
noinst_PROGRAMS += %D%/nestbox-guest
%C%_nestbox_guest_SOURCES = %D%/abi.h %D%/apic.h %D%/arch.c %D%/arch.h %D%/areas.c %D%/areas.h \
	%D%/border.h %D%/cpl3.S %D%/cpu.h %D%/entry.S %D%/hypercall.c %D%/hypercall.h %D%/keyed.c \
	%D%/keyed.h %D%/layout.h %D%/layout_list.h %D%/load.c %D%/load.h %D%/load_abi.h %D%/loans.c %D%/loans.h %D%/machine.h \
	%D%/main.c %D%/note.c %D%/objects.c %D%/operations.c %D%/printf.c %D%/printf.h \
	%D%/processes.c %D%/report.c %D%/report.h %D%/ring.h %D%/selfharm.c %D%/tlb.c %D%/tlb.h \
	%D%/trap.c %D%/traps.S %D%/user.c %D%/user.h %D%/workload.c %D%/workload.h

%C%_nestbox_guest_CPPFLAGS = $(GUEST_CPPFLAGS)
%C%_nestbox_guest_CFLAGS = $(GUEST_CFLAGS)
%C%_nestbox_guest_LDADD = mm/libmm_guest.a
%C%_nestbox_guest_DEPENDENCIES = mm/libmm_guest.a %D%/guest.lds
%C%_nestbox_guest_LINK = $(CC) $(GUEST_CFLAGS) -nostdlib -static \
	-Wl,-T,$(srcdir)/%D%/guest.lds -Wl,--build-id -Wl,-z,noexecstack \
	-Wl,-z,max-page-size=4096 -o $@
EXTRA_DIST += %D%/guest.lds
$(%C%_nestbox_guest_OBJECTS): CFLAGS = $(GUEST_OPTIMIZE)
$(%C%_nestbox_guest_OBJECTS): CPPFLAGS =
$(%C%_nestbox_guest_OBJECTS): CCASFLAGS = -g
