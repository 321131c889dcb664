/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Intel's extended page tables: pointer, misconfigurations, violations. */
#include <errno.h>
#include <stdio.h>

#include "ept/ept_format.h"

static bool bit(uint64_t value, unsigned int number)
{
	return (value >> number & 1) != 0;
}

void ept_capabilities_decode(uint64_t msr_value, unsigned int physical_bits,
			     struct ept_capabilities *capabilities_out)
{
	*capabilities_out = (struct ept_capabilities){
		.execute_only = bit(msr_value, 0),
		.walk_4 = bit(msr_value, 6),
		.walk_5 = bit(msr_value, 7),
		.uncacheable = bit(msr_value, 8),
		.write_back = bit(msr_value, 14),
		.leaf_2m = bit(msr_value, 16),
		.leaf_1g = bit(msr_value, 17),
		.accessed_dirty = bit(msr_value, 21),
		.advanced_violation = bit(msr_value, 22),
		.shadow_stack = bit(msr_value, 23),
		.physical_bits = physical_bits,
	};
}

/* The bits of an address that MAXPHYADDR leaves unused, up to bit 51. */
static uint64_t beyond_width(const struct ept_capabilities *capabilities)
{
	return EPT_ADDRESS_MASK & ~((1ULL << capabilities->physical_bits) - 1);
}

/* ---- the EPT pointer ---- */

#define EPTP_TYPE_MASK      0x7ULL
#define EPTP_LEVELS_SHIFT   3
#define EPTP_ACCESSED_DIRTY 6
#define EPTP_SHADOW_STACK   7
#define EPTP_RESERVED_LOW   0xf00ULL
#define EPTP_RESERVED_HIGH  0xfff0000000000000ULL

static int check_pointer(const struct ept_pointer *pointer,
			 const struct ept_capabilities *capabilities, struct error *error)
{
	unsigned int type = pointer->memory_type;

	if (!(type == EPT_UC && capabilities->uncacheable) &&
	    !(type == EPT_WB && capabilities->write_back))
		return error_set(error, -EINVAL,
				 "EPT pointer: tables of memory type %u, this processor "
				 "allows%s%s",
				 type, capabilities->uncacheable ? " 0 (UC)" : "",
				 capabilities->write_back ? " 6 (WB)" : "");
	if (!(pointer->levels == 4 && capabilities->walk_4) &&
	    !(pointer->levels == 5 && capabilities->walk_5))
		return error_set(error, -EINVAL,
				 "EPT pointer: a walk of %u levels, this processor allows%s%s",
				 pointer->levels, capabilities->walk_4 ? " 4" : "",
				 capabilities->walk_5 ? " 5" : "");
	if (pointer->accessed_dirty && !capabilities->accessed_dirty)
		return error_set(error, -EINVAL,
				 "EPT pointer: this processor has no accessed and dirty flags");
	if (pointer->shadow_stack && !capabilities->shadow_stack)
		return error_set(error, -EINVAL,
				 "EPT pointer: this processor has no supervisor shadow stacks");
	if (pointer->root.value % EPT_PAGE_BYTES != 0 ||
	    (pointer->root.value & (beyond_width(capabilities) | EPTP_RESERVED_HIGH)))
		return error_set(error, -EINVAL, "EPT pointer: root %#llx is not a page below 2^%u",
				 (unsigned long long)pointer->root.value,
				 capabilities->physical_bits);
	return 0;
}

int ept_pointer_decode(uint64_t value, const struct ept_capabilities *capabilities,
		       struct ept_pointer *pointer_out, struct error *error)
{
	struct ept_pointer pointer = {
		.root = hpa_make(value & ~0xfffULL),
		.levels = (unsigned int)(value >> EPTP_LEVELS_SHIFT & 7) + 1,
		.memory_type = (enum ept_memory_type)(value & EPTP_TYPE_MASK),
		.accessed_dirty = bit(value, EPTP_ACCESSED_DIRTY),
		.shadow_stack = bit(value, EPTP_SHADOW_STACK),
	};
	int err;

	if (value & EPTP_RESERVED_LOW)
		return error_set(error, -EINVAL, "EPT pointer %#llx: bits 11:8 are reserved",
				 (unsigned long long)value);
	err = check_pointer(&pointer, capabilities, error);
	if (err)
		return err;
	*pointer_out = pointer;
	return 0;
}

int ept_pointer_encode(const struct ept_pointer *pointer,
		       const struct ept_capabilities *capabilities, uint64_t *value_out,
		       struct error *error)
{
	int err = check_pointer(pointer, capabilities, error);

	if (err)
		return err;
	*value_out = pointer->root.value | (uint64_t)pointer->memory_type |
		     (uint64_t)(pointer->levels - 1) << EPTP_LEVELS_SHIFT |
		     (uint64_t)pointer->accessed_dirty << EPTP_ACCESSED_DIRTY |
		     (uint64_t)pointer->shadow_stack << EPTP_SHADOW_STACK;
	return 0;
}

/* ---- misconfigurations ---- */

static bool can_be_large(unsigned int level, const struct ept_capabilities *capabilities)
{
	return (level == 2 && capabilities->leaf_2m) || (level == 3 && capabilities->leaf_1g);
}

/* Tables 29-1 to 29-7. */
uint64_t ept_entry_reserved(unsigned int level, bool leaf,
			    const struct ept_capabilities *capabilities)
{
	uint64_t beyond = beyond_width(capabilities);

	if (level == 1)
		return beyond;
	if (!leaf)
		return beyond | EPT_TABLE_RESERVED |
		       (can_be_large(level, capabilities) ? 0 : EPT_BIT_LARGE);
	return beyond |
	       (((level == 2 ? EPT_PAGE_2M_BYTES : EPT_PAGE_1G_BYTES) - 1) & EPT_ADDRESS_MASK);
}

enum ept_fault ept_entry_judge(uint64_t value, unsigned int level, bool mode_based,
			       const struct ept_capabilities *capabilities)
{
	uint64_t execute = EPT_BIT_EXECUTE | (mode_based ? EPT_BIT_USER_EXECUTE : 0);
	unsigned int type = (unsigned int)((value & EPT_MEMORY_TYPE_MASK) >> EPT_MEMORY_TYPE_SHIFT);
	bool leaf = level == 1 || (can_be_large(level, capabilities) && (value & EPT_BIT_LARGE));

	if (!(value & (EPT_BIT_READ | EPT_BIT_WRITE | execute)))
		return EPT_FAULT_NONE;
	if (!(value & EPT_BIT_READ) && (value & EPT_BIT_WRITE))
		return EPT_FAULT_WRITE_NO_READ;
	if (!(value & EPT_BIT_READ) && (value & execute) && !capabilities->execute_only)
		return EPT_FAULT_EXECUTE_NO_READ;
	if (value & ept_entry_reserved(level, leaf, capabilities))
		return EPT_FAULT_RESERVED;
	if (leaf && (type == 2 || type == 3 || type == 7))
		return EPT_FAULT_MEMORY_TYPE;
	return EPT_FAULT_NONE;
}

const char *ept_fault_name(enum ept_fault fault)
{
	static const char *const names[] = {
		[EPT_FAULT_NONE] = "none",
		[EPT_FAULT_WRITE_NO_READ] = "writable but not readable",
		[EPT_FAULT_EXECUTE_NO_READ] = "executable but not readable",
		[EPT_FAULT_RESERVED] = "reserved bit set",
		[EPT_FAULT_MEMORY_TYPE] = "reserved memory type",
	};

	return (unsigned int)fault <= EPT_FAULT_MEMORY_TYPE ? names[fault] : "unknown";
}

/* ---- violations ---- */

void ept_violation_decode(uint64_t qualification, const struct ept_capabilities *capabilities,
			  struct ept_violation *violation_out)
{
	bool linear = bit(qualification, 7), translated = linear && bit(qualification, 8);
	bool advanced = translated && capabilities->advanced_violation;

	*violation_out = (struct ept_violation){
		.read = bit(qualification, 0),
		.write = bit(qualification, 1),
		.fetch = bit(qualification, 2),
		.readable = bit(qualification, 3),
		.writable = bit(qualification, 4),
		.executable = bit(qualification, 5),
		.user_executable = bit(qualification, 6),
		.linear_valid = linear,
		.translated = translated,
		.advanced = advanced,
		.user_linear = advanced && bit(qualification, 9),
		.writable_linear = advanced && bit(qualification, 10),
		.execute_disable_linear = advanced && bit(qualification, 11),
		.nmi_unblocking = bit(qualification, 12),
		.shadow_stack = bit(qualification, 13),
		.supervisor_shadow_stack = bit(qualification, 14),
		.guest_paging_verification = bit(qualification, 15),
		.asynchronous = bit(qualification, 16),
	};
}

const char *ept_violation_describe(const struct ept_violation *violation, char *text,
				   unsigned int text_bytes)
{
	snprintf(text, text_bytes, "%s%s%s of %c%c%c%s", violation->read ? "read" : "",
		 violation->write ? (violation->read ? "+write" : "write") : "",
		 violation->fetch ? "fetch" : "", violation->readable ? 'r' : '-',
		 violation->writable ? 'w' : '-', violation->executable ? 'x' : '-',
		 !violation->linear_valid ? ", no linear address"
		 : violation->translated  ? ", by the guest's access itself"
					  : ", by the guest's page walk");
	return text;
}
