/* SPDX-License-Identifier: GPL-2.0-or-later */
/* EPT's pointer, misconfigurations and violations, against the SDM's tables written down anew. */
#include <errno.h>
#include <string.h>

#include "ept/ept_format.h"
#include "tests/harness.h"

static const struct ept_capabilities all = {
	.execute_only = true,
	.walk_4 = true,
	.walk_5 = true,
	.uncacheable = true,
	.write_back = true,
	.leaf_2m = true,
	.leaf_1g = true,
	.accessed_dirty = true,
	.advanced_violation = true,
	.shadow_stack = true,
	.physical_bits = 46,
};

static const struct ept_capabilities least = {
	.walk_4 = true, .write_back = true, .physical_bits = 40};

static struct error error;

START_TEST(capabilities_are_the_bits_of_the_msr)
{
	struct ept_capabilities capabilities;

	/* A Skylake server's value. */
	ept_capabilities_decode(0xf0106334141, 46, &capabilities);
	ck_assert(capabilities.execute_only && capabilities.walk_4 && !capabilities.walk_5);
	ck_assert(capabilities.uncacheable && capabilities.write_back);
	ck_assert(capabilities.leaf_2m && capabilities.leaf_1g && capabilities.accessed_dirty);
	ck_assert(!capabilities.advanced_violation && !capabilities.shadow_stack);
	ck_assert_uint_eq(capabilities.physical_bits, 46);
	ept_capabilities_decode(1 << 7 | 1 << 22 | 1 << 23, 46, &capabilities);
	ck_assert(capabilities.walk_5 && capabilities.advanced_violation);
	ck_assert(capabilities.shadow_stack && !capabilities.walk_4);
}
END_TEST

static const struct {
	uint64_t value;
	const char *says; /* NULL: good with all capabilities */
	const char *says_least;
} pointers[] = {
	{0x12345000 | 0x1e, NULL, NULL}, /* WB, 4 levels */
	{0x12345000 | 0x5e, NULL, "no accessed and dirty"},
	{0x12345000 | 0x26, NULL, "walk of 5 levels"},
	{0x12345000 | 0x18, NULL, "memory type 0"},
	{0x12345000 | 0x9e, NULL, "no supervisor shadow"},
	{0x12345000 | 0x19, "memory type 1", "memory type 1"},
	{0x12345000 | 0x1f, "memory type 7", "memory type 7"},
	{0x12345000 | 0x16, "walk of 3 levels", "walk of 3"},
	{0x12345000 | 0x2e, "walk of 6 levels", "walk of 6"},
	{0x12345000 | 0x11e, "bits 11:8", "bits 11:8"},
	{0x12345000 | 0x81e, "bits 11:8", "bits 11:8"},
	{1ULL << 46 | 0x1e, "below 2^46", "below 2^40"},
	{1ULL << 63 | 0x1e, "below 2^46", "below 2^40"},
	{1ULL << 52 | 0x1e, "below 2^46", "below 2^40"},
	{1ULL << 45 | 0x1e, NULL, "below 2^40"},
};

static void pointer_must(uint64_t value, const struct ept_capabilities *capabilities,
			 const char *says)
{
	struct ept_pointer pointer;
	uint64_t again = 0;
	int err = ept_pointer_decode(value, capabilities, &pointer, &error);

	ck_assert_int_eq(err, says ? -EINVAL : 0);
	if (says) {
		ck_assert_msg(strstr(error.text, says) != NULL, "'%s' lacks '%s'", error.text,
			      says);
		return;
	}
	ck_assert_int_eq(ept_pointer_encode(&pointer, capabilities, &again, &error), 0);
	ck_assert_uint_eq(again, value);
}

START_TEST(pointers_are_checked_as_vm_entry_does)
{
	pointer_must(pointers[_i].value, &all, pointers[_i].says);
	pointer_must(pointers[_i].value, &least, pointers[_i].says_least);
}
END_TEST

/* Section 29.3.3.1 and tables 29-1 to 29-7, one bit at a time. */
static bool reserved_by_sdm(unsigned int level, bool large, unsigned int bit)
{
	if (bit >= 46 && bit <= 51)
		return true;
	if (level == 1)
		return false;
	if (large)
		return level == 2 ? bit >= 12 && bit <= 20 : bit >= 12 && bit <= 29;
	if (level >= 4 && bit == 7)
		return true;
	return bit >= 3 && bit <= 6;
}

START_TEST(reserved_bits_are_those_of_the_sdm)
{
	unsigned int level = (unsigned int)_i, bit, large;
	enum ept_fault want;
	uint64_t base;

	for (large = 0; large <= (level == 2 || level == 3); large++) {
		base = EPT_BIT_READ | (large ? EPT_BIT_LARGE : 0);
		for (bit = 3; bit < 64; bit++) {
			/* Bit 7 makes another entry of it; 5:3 of a leaf are the type. */
			if ((bit == 7 && (level == 2 || level == 3)) ||
			    (bit < 6 && (level == 1 || large)))
				continue;
			want = reserved_by_sdm(level, large, bit) ? EPT_FAULT_RESERVED
								  : EPT_FAULT_NONE;
			ck_assert_msg(ept_entry_judge(base | 1ULL << bit, level, false, &all) ==
					      want,
				      "level %u large %u bit %u", level, large, bit);
		}
	}
}
END_TEST

START_TEST(a_processor_without_large_leaves_reserves_bit_7)
{
	ck_assert_int_eq(ept_entry_judge(EPT_BIT_READ | EPT_BIT_LARGE, 2, false, &least),
			 EPT_FAULT_RESERVED);
	ck_assert_int_eq(ept_entry_judge(EPT_BIT_READ | EPT_BIT_LARGE, 3, false, &least),
			 EPT_FAULT_RESERVED);
	ck_assert_int_eq(ept_entry_judge(EPT_BIT_READ | EPT_BIT_LARGE, 1, false, &least),
			 EPT_FAULT_NONE);
	ck_assert_int_eq(ept_entry_judge(EPT_BIT_READ | 1ULL << 40, 1, false, &least),
			 EPT_FAULT_RESERVED);
}
END_TEST

/* For each of R, W, X, XU: the fault with execute-only pages, and without. */
static const struct {
	unsigned int rights;
	bool mode_based;
	enum ept_fault with, without;
} rights[] = {
	{0x000, false, EPT_FAULT_NONE, EPT_FAULT_NONE},
	{0x001, false, EPT_FAULT_NONE, EPT_FAULT_NONE},
	{0x002, false, EPT_FAULT_WRITE_NO_READ, EPT_FAULT_WRITE_NO_READ},
	{0x003, false, EPT_FAULT_NONE, EPT_FAULT_NONE},
	{0x004, false, EPT_FAULT_NONE, EPT_FAULT_EXECUTE_NO_READ},
	{0x005, false, EPT_FAULT_NONE, EPT_FAULT_NONE},
	{0x006, false, EPT_FAULT_WRITE_NO_READ, EPT_FAULT_WRITE_NO_READ},
	{0x007, false, EPT_FAULT_NONE, EPT_FAULT_NONE},
	{0x400, false, EPT_FAULT_NONE, EPT_FAULT_NONE}, /* not present */
	{0x400, true, EPT_FAULT_NONE, EPT_FAULT_EXECUTE_NO_READ},
	{0x402, true, EPT_FAULT_WRITE_NO_READ, EPT_FAULT_WRITE_NO_READ},
	{0x404, true, EPT_FAULT_NONE, EPT_FAULT_EXECUTE_NO_READ},
	{0x405, true, EPT_FAULT_NONE, EPT_FAULT_NONE},
};

START_TEST(rights_that_make_no_sense_are_misconfigurations)
{
	struct ept_capabilities without = all;
	unsigned int level;

	without.execute_only = false;
	for (level = 1; level <= 5; level++) {
		ck_assert_int_eq(
			ept_entry_judge(rights[_i].rights, level, rights[_i].mode_based, &all),
			rights[_i].with);
		ck_assert_int_eq(
			ept_entry_judge(rights[_i].rights, level, rights[_i].mode_based, &without),
			rights[_i].without);
	}
	/* What is not present may hold anything. */
	ck_assert_int_eq(ept_entry_judge(~0x407ULL, 2, false, &all), EPT_FAULT_NONE);
}
END_TEST

START_TEST(memory_types_2_3_and_7_are_misconfigurations_in_leaves)
{
	uint64_t type;
	enum ept_fault want;

	for (type = 0; type < 8; type++) {
		want = type == 2 || type == 3 || type == 7 ? EPT_FAULT_MEMORY_TYPE : EPT_FAULT_NONE;
		ck_assert_int_eq(ept_entry_judge(EPT_BIT_READ | type << 3, 1, false, &all), want);
		ck_assert_int_eq(
			ept_entry_judge(EPT_BIT_READ | EPT_BIT_LARGE | type << 3, 3, false, &all),
			want);
		ck_assert_int_eq(ept_entry_judge(EPT_BIT_READ | type << 3, 4, false, &all),
				 type ? EPT_FAULT_RESERVED : EPT_FAULT_NONE);
	}
}
END_TEST

START_TEST(violations_are_decoded_bit_by_bit)
{
	struct ept_violation violation;
	char text[96];

	/* A write to a read-only page by the guest's access itself: what KVM traces as 0x18a. */
	ept_violation_decode(0x18a, &all, &violation);
	ck_assert(!violation.read && violation.write && !violation.fetch);
	ck_assert(violation.readable && !violation.writable && !violation.executable);
	ck_assert(violation.linear_valid && violation.translated);
	ck_assert_str_eq(ept_violation_describe(&violation, text, sizeof(text)),
			 "write of r--, by the guest's access itself");
	/* Read and write of a guest paging entry: the processor sets its accessed flag. */
	ept_violation_decode(0x083, &all, &violation);
	ck_assert(violation.read && violation.write && violation.linear_valid);
	ck_assert(!violation.translated && !violation.advanced);
	ck_assert_str_eq(ept_violation_describe(&violation, text, sizeof(text)),
			 "read+write of ---, by the guest's page walk");
	ept_violation_decode(0x1f84, &all, &violation);
	ck_assert(violation.fetch && violation.advanced && violation.user_linear);
	ck_assert(violation.writable_linear && violation.execute_disable_linear);
	ck_assert(violation.nmi_unblocking && !violation.shadow_stack);
	ept_violation_decode(0xf84, &least, &violation);
	ck_assert(!violation.advanced && !violation.user_linear);
	ept_violation_decode(0x1e000, &all, &violation);
	ck_assert(violation.shadow_stack && violation.supervisor_shadow_stack);
	ck_assert(violation.guest_paging_verification && violation.asynchronous);
	/* Bit 8 means nothing without bit 7. */
	ept_violation_decode(0x101, &all, &violation);
	ck_assert(!violation.linear_valid && !violation.translated);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ept_format");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, capabilities_are_the_bits_of_the_msr);
	tcase_add_loop_test(tcase, pointers_are_checked_as_vm_entry_does, 0,
			    sizeof(pointers) / sizeof(pointers[0]));
	tcase_add_loop_test(tcase, reserved_bits_are_those_of_the_sdm, 1, 6);
	tcase_add_test(tcase, a_processor_without_large_leaves_reserves_bit_7);
	tcase_add_loop_test(tcase, rights_that_make_no_sense_are_misconfigurations, 0,
			    sizeof(rights) / sizeof(rights[0]));
	tcase_add_test(tcase, memory_types_2_3_and_7_are_misconfigurations_in_leaves);
	tcase_add_test(tcase, violations_are_decoded_bit_by_bit);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
