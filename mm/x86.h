/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The architectural bits of x86-64 paging and of the control registers that govern it, spelled as
 * the Intel SDM spells them. Sections are those of vol. 3A unless another volume is named. This
 * file includes nothing, holds nothing but constants, and may be used from assembly; the formats
 * of the second stage (EPT, nested paging) are not here: their bits have other meanings.
 */
#ifndef MM_X86_H
#define MM_X86_H

#ifdef __ASSEMBLER__
#define X86_BIT(n)   (1 << (n))
#define X86_CONST(c) c
#else
#define X86_BIT(n)   (1ULL << (n))
#define X86_CONST(c) c##ULL
#endif

/* Paging-structure entries (section 4.5.4, figure 4-11). */
#define X86_PTE_P       X86_BIT(0)  /* present */
#define X86_PTE_RW      X86_BIT(1)  /* writes allowed */
#define X86_PTE_US      X86_BIT(2)  /* user-mode accesses allowed */
#define X86_PTE_PWT     X86_BIT(3)  /* page-level write-through */
#define X86_PTE_PCD     X86_BIT(4)  /* page-level cache disable */
#define X86_PTE_A       X86_BIT(5)  /* accessed */
#define X86_PTE_D       X86_BIT(6)  /* dirty: leaves only */
#define X86_PTE_PS      X86_BIT(7)  /* PDPTE, PDE: maps a 1 GiB or 2 MiB page */
#define X86_PTE_PAT     X86_BIT(7)  /* PTE: page attribute table index, bit 2 */
#define X86_PTE_G       X86_BIT(8)  /* global: leaves only */
#define X86_PTE_PAT_BIG X86_BIT(12) /* PAT bit of a 2 MiB or 1 GiB leaf */
#define X86_PTE_NX      X86_BIT(63) /* execute disable, XD in the SDM: with EFER.NXE */

/* Bits a processor ignores, free for software: 11:9 (bit 11 is R with HLAT) and 58:52. */
#define X86_PTE_SOFT_LOW  X86_CONST(0x0000000000000e00)
#define X86_PTE_SOFT_HIGH X86_CONST(0x07f0000000000000)
#define X86_PTE_PK        X86_CONST(0x7800000000000000) /* protection key, with CR4.PKE or PKS */

/*
 * The physical address in an entry: bits 51:12 for a table or a 4 KiB page, 51:21 and 51:30 for
 * the large ones. Bits from MAXPHYADDR up to 51 are reserved, and so are those below the address
 * of a large page, but for PAT (bits 20:13, 29:13).
 */
#define X86_PTE_ADDR_MASK    X86_CONST(0x000ffffffffff000)
#define X86_PTE_ADDR_2M_MASK X86_CONST(0x000fffffffe00000)
#define X86_PTE_ADDR_1G_MASK X86_CONST(0x000fffffc0000000)
#define X86_PTE_RSVD_2M_MASK X86_CONST(0x00000000001fe000)
#define X86_PTE_RSVD_1G_MASK X86_CONST(0x000000003fffe000)

/* Levels count from the last: 1 PT, 2 PD, 3 PDPT, 4 PML4, 5 PML5. */
#define X86_PAGE_SHIFT         12
#define X86_PAGE_SIZE          X86_CONST(4096)
#define X86_PAGE_2M_SHIFT      21
#define X86_PAGE_1G_SHIFT      30
#define X86_TABLE_ENTRIES      512
#define X86_TABLE_SHIFT        9
#define X86_LEVEL_SHIFT(level) (X86_PAGE_SHIFT + X86_TABLE_SHIFT * ((level)-1))
#define X86_PHYSICAL_BITS_MAX  52

/* CR0 (section 2.5). */
#define X86_CR0_PE X86_BIT(0)  /* protected mode */
#define X86_CR0_MP X86_BIT(1)  /* monitor coprocessor */
#define X86_CR0_EM X86_BIT(2)  /* no x87 */
#define X86_CR0_TS X86_BIT(3)  /* task switched */
#define X86_CR0_ET X86_BIT(4)  /* extension type: always 1 */
#define X86_CR0_NE X86_BIT(5)  /* numeric errors by #MF */
#define X86_CR0_WP X86_BIT(16) /* supervisor writes honour read-only pages */
#define X86_CR0_AM X86_BIT(18) /* alignment checks */
#define X86_CR0_NW X86_BIT(29)
#define X86_CR0_CD X86_BIT(30)
#define X86_CR0_PG X86_CONST(0x80000000)

/* CR3 with 4-level and 5-level paging (section 4.5.2, table 4-12). */
#define X86_CR3_PWT       X86_BIT(3)
#define X86_CR3_PCD       X86_BIT(4)
#define X86_CR3_PCID_MASK X86_CONST(0xfff) /* with CR4.PCIDE, in place of PWT and PCD */
#define X86_CR3_ADDR_MASK X86_CONST(0x000ffffffffff000)

/* CR4 (section 2.5). */
#define X86_CR4_DE         X86_BIT(3)
#define X86_CR4_PSE        X86_BIT(4) /* 4 MiB pages of 32-bit paging */
#define X86_CR4_PAE        X86_BIT(5)
#define X86_CR4_MCE        X86_BIT(6)
#define X86_CR4_PGE        X86_BIT(7) /* global pages */
#define X86_CR4_PCE        X86_BIT(8)
#define X86_CR4_OSFXSR     X86_BIT(9)
#define X86_CR4_OSXMMEXCPT X86_BIT(10)
#define X86_CR4_UMIP       X86_BIT(11)
#define X86_CR4_LA57       X86_BIT(12) /* 5-level paging */
#define X86_CR4_FSGSBASE   X86_BIT(16)
#define X86_CR4_PCIDE      X86_BIT(17)
#define X86_CR4_OSXSAVE    X86_BIT(18)
#define X86_CR4_SMEP       X86_BIT(20)
#define X86_CR4_SMAP       X86_BIT(21)
#define X86_CR4_PKE        X86_BIT(22)

/* IA32_EFER (section 2.2.1). */
#define X86_MSR_EFER 0xc0000080
#define X86_EFER_SCE X86_BIT(0)
#define X86_EFER_LME X86_BIT(8)
#define X86_EFER_LMA X86_BIT(10)
#define X86_EFER_NXE X86_BIT(11)

/* The error code of a page fault (section 4.7, figure 4-12). */
#define X86_PF_P    X86_BIT(0) /* the page was present: a protection fault */
#define X86_PF_W    X86_BIT(1) /* a write */
#define X86_PF_U    X86_BIT(2) /* a user-mode access */
#define X86_PF_RSVD X86_BIT(3) /* a reserved bit was set in an entry */
#define X86_PF_I    X86_BIT(4) /* an instruction fetch */
#define X86_PF_PK   X86_BIT(5) /* protection key */
#define X86_PF_SS   X86_BIT(6) /* shadow stack */

#endif
