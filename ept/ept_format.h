/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Intel's extended page tables: the bits of entries and of the EPT pointer, what makes an entry
 * misconfigured, and the exit qualification of a violation. Sections are those of the Intel SDM,
 * vol. 3C. The tables as a whole are read and edited through ept/stage2.h.
 */
#ifndef EPT_EPT_FORMAT_H
#define EPT_EPT_FORMAT_H

#include "lib/error.h"
#include "ept/types.h"

/*
 * Entries (section 29.3.2, tables 29-1 to 29-7). An entry with none of the three rights (and,
 * with mode-based execution, not bit 10) is not present; its other bits but suppress-#VE mean
 * nothing. The names are not those of guest paging: bit 0 is a right here, not presence.
 */
#define EPT_BIT_READ         (1ULL << 0)
#define EPT_BIT_WRITE        (1ULL << 1)
#define EPT_BIT_EXECUTE      (1ULL << 2) /* with mode-based execution: by the supervisor */
#define EPT_MEMORY_TYPE_MASK (7ULL << 3) /* leaves */
#define EPT_BIT_IGNORE_PAT   (1ULL << 6) /* leaves */
#define EPT_BIT_LARGE        (1ULL << 7) /* PDPTE, PDE: a leaf of 1 GiB, 2 MiB */
#define EPT_BIT_ACCESSED     (1ULL << 8)
#define EPT_BIT_DIRTY        (1ULL << 9) /* leaves */
#define EPT_BIT_USER_EXECUTE (1ULL << 10)
#define EPT_BIT_SUPPRESS_VE  (1ULL << 63)
#define EPT_ADDRESS_MASK     0x000ffffffffff000ULL
#define EPT_TABLE_RESERVED   (0xfULL << 3) /* bits 6:3 of a reference to a table */

/* Memory types (section 29.3.7; values of vol. 3A, table 13-10). */
enum ept_memory_type {
	EPT_UC = 0,
	EPT_WC = 1,
	EPT_WT = 4,
	EPT_WP = 5,
	EPT_WB = 6,
};

#define EPT_MEMORY_TYPE_SHIFT 3

/* What the processor can do: IA32_VMX_EPT_VPID_CAP (appendix A.10) and CPUID. */
struct ept_capabilities {
	bool execute_only;       /* bit 0 */
	bool walk_4;             /* bit 6 */
	bool walk_5;             /* bit 7 */
	bool uncacheable;        /* bit 8: the tables may be UC */
	bool write_back;         /* bit 14: the tables may be WB */
	bool leaf_2m;            /* bit 16 */
	bool leaf_1g;            /* bit 17 */
	bool accessed_dirty;     /* bit 21 */
	bool advanced_violation; /* bit 22 */
	bool shadow_stack;       /* bit 23 */
	unsigned int physical_bits;
};

void ept_capabilities_decode(uint64_t msr_value, unsigned int physical_bits,
			     struct ept_capabilities *capabilities_out);

/* ---- the EPT pointer (section 25.6.11, table 25-9) ---- */

struct ept_pointer {
	hpa_t root;
	unsigned int levels;              /* 4 or 5 */
	enum ept_memory_type memory_type; /* of accesses to the tables: UC or WB */
	bool accessed_dirty;
	bool shadow_stack;
};

/*
 * VM entry's checks (section 27.2.1.1): memory type, walk length, reserved bits, address width,
 * and that what is switched on exists. Errors: -EINVAL with the reason; the encoder never yields
 * a pointer the decoder refuses.
 */
int ept_pointer_decode(uint64_t value, const struct ept_capabilities *capabilities,
		       struct ept_pointer *pointer_out, struct error *error);
int ept_pointer_encode(const struct ept_pointer *pointer,
		       const struct ept_capabilities *capabilities, uint64_t *value_out,
		       struct error *error);

/* ---- misconfigurations (section 29.3.3.1) ---- */

enum ept_fault {
	EPT_FAULT_NONE,
	EPT_FAULT_WRITE_NO_READ,   /* writable, not readable */
	EPT_FAULT_EXECUTE_NO_READ, /* executable only, and the processor has no such thing */
	EPT_FAULT_RESERVED,        /* a reserved bit, or an address beyond the width */
	EPT_FAULT_MEMORY_TYPE,     /* a leaf of type 2, 3 or 7 */
};

/*
 * Judges the entry @value of @level (5..1): what makes it a misconfiguration, or EPT_FAULT_NONE.
 * An entry that is not present has none. @mode_based: the VM uses mode-based execution control.
 */
enum ept_fault ept_entry_judge(uint64_t value, unsigned int level, bool mode_based,
			       const struct ept_capabilities *capabilities);

/* The bits that must be clear in a present entry of @level that is a leaf, or is none. */
uint64_t ept_entry_reserved(unsigned int level, bool leaf,
			    const struct ept_capabilities *capabilities);

const char *ept_fault_name(enum ept_fault fault);

/* ---- EPT violations (section 28.2.1, table 28-7) ---- */

struct ept_violation {
	bool read, write, fetch;             /* what was tried */
	bool readable, writable, executable; /* what the entries on the way grant */
	bool user_executable;                /* with mode-based execution only */
	bool linear_valid;                   /* the guest linear address field holds one */
	bool translated; /* the access was to the translation of it; false: to a paging entry */
	bool advanced;   /* the three that follow are valid */
	bool user_linear, writable_linear, execute_disable_linear;
	bool nmi_unblocking;
	bool shadow_stack, supervisor_shadow_stack;
	bool guest_paging_verification;
	bool asynchronous;
};

void ept_violation_decode(uint64_t qualification, const struct ept_capabilities *capabilities,
			  struct ept_violation *violation_out);

/* One line for people: "write to r-x of gva, translated". Returns @text. */
const char *ept_violation_describe(const struct ept_violation *violation, char *text,
				   unsigned int text_bytes);

#endif
