/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The layout note: what guest/layout.h says comes out of the parser as the compiler has it, and
 * every way to spoil the text is refused with the line or the key named.
 */
#include "tests/harness.h"

#include <errno.h>
#include <string.h>

#include "mm/vmalloc.h"
#include "tests/vmm/inspect/core_source.h"

/* A copy of the good text that a test may spoil. */
struct text {
	char bytes[LAYOUT_TEXT_BYTES_MAX + 4096];
	size_t length;
};

static struct text good(void)
{
	struct text text;
	const char *note = core_layout_text(&text.length);

	memcpy(text.bytes, note, text.length);
	text.bytes[text.length] = '\0';
	return text;
}

/* Replaces the value of @key. */
static void set_value(struct text *text, const char *key, const char *value)
{
	char *at = strstr(text->bytes, key), *end;
	char rest[sizeof(text->bytes)];

	ck_assert_msg(at, "%s", key);
	at += strlen(key);
	ck_assert_int_eq(*at, '=');
	end = strchr(at, '\n');
	strcpy(rest, end);
	strcpy(at + 1, value);
	strcat(text->bytes, rest);
	text->length = strlen(text->bytes);
}

static int parse(const struct text *text, struct error *error)
{
	struct layout layout;

	error->text[0] = '\0';
	return layout_parse(text->bytes, text->length, &layout, error);
}

static void refuse(const struct text *text, const char *reason)
{
	struct error error;

	ck_assert_int_eq(parse(text, &error), -EINVAL);
	ck_assert_msg(strstr(error.text, reason), "\"%s\" is not in \"%s\"", reason, error.text);
}

/* The array without a length has no size of its own. */
#undef LAYOUT_FIELDS_VM_STRUCT
#define LAYOUT_FIELDS_VM_STRUCT LAYOUT_FIELDS_VM_STRUCT_FIXED

#define SAME_FIELD(structure, field, align, width)                                 \
	ck_assert_uint_eq(l->structure.field, offsetof(struct structure, field));  \
	ck_assert_msg((uint64_t)(width) == sizeof(((struct structure *)0)->field), \
		      "%s.%s is read as %llu bytes", #structure, #field,           \
		      (unsigned long long)(width));
#define SAME_STRUCT(structure, fields)                                   \
	ck_assert_uint_eq(l->structure.bytes, sizeof(struct structure)); \
	fields(SAME_FIELD)

START_TEST(every_field_is_where_the_compiler_has_it)
{
	struct layout layout;
	const struct layout *l = &layout;

	core_layout(&layout);
	LAYOUT_STRUCTS(SAME_STRUCT)
	ck_assert_uint_eq(l->vm_struct.inline_pages, offsetof(struct vm_struct, inline_pages));
}
END_TEST

START_TEST(numbers_are_what_they_are)
{
	struct layout layout;

	core_layout(&layout);
	ck_assert_uint_eq(layout.machine, 0xffffffff80200000);
	ck_assert_uint_eq(layout.vmap_end, VMAP_END);
	ck_assert_uint_eq(layout.vmalloc_start, VMALLOC_START);
	ck_assert_uint_eq(layout.vmalloc_end, VMALLOC_END);
	ck_assert_uint_eq(layout.vm_vpages, VM_VPAGES);
	ck_assert_uint_eq(layout.page_vmalloc, PAGE_VMALLOC);
	ck_assert_uint_eq(layout.zone_dma32_end_pfn, ZONE_DMA32_END_PFN);
	ck_assert_uint_eq(layout.gfp_thisnode, __GFP_THISNODE);
}
END_TEST

#define COUNT_FIELD(structure, field, align, width) +1
#define COUNT_STRUCT(structure, fields)             +1 fields(COUNT_FIELD)
#define COUNT_NUMBER(member, key, least, greatest)  +1

/* Without any one line that is needed, the note is refused by that line's name. */
START_TEST(no_key_may_be_missing)
{
	/* Two for the machine, one for the array without a length. */
	unsigned int needed = 3 LAYOUT_STRUCTS(COUNT_STRUCT) LAYOUT_NUMBERS(COUNT_NUMBER);
	const struct text whole = good();
	unsigned int refused = 0;

	for (const char *line = whole.bytes; *line; line = strchr(line, '\n') + 1) {
		struct text text = whole;
		struct error error;
		size_t length = (size_t)(strchr(line, '\n') + 1 - line);
		size_t key = (size_t)(strchr(line, '=') - line);

		memmove(text.bytes + (line - whole.bytes), line + length,
			strlen(line + length) + 1);
		text.length -= length;
		if (parse(&text, &error) == 0)
			continue;
		refused++;
		ck_assert_ptr_nonnull(strstr(error.text, "is missing"));
		ck_assert_ptr_nonnull(memmem(error.text, strlen(error.text), line, key));
	}
	ck_assert_uint_eq(refused, needed);
}
END_TEST

struct spoiled {
	const char *key, *value, *reason;
};

static const struct spoiled spoiled[] = {
	{"SIZE(mm)", "", "SIZE(mm)="},
	{"SIZE(mm)", "x", "SIZE(mm)=x"},
	{"SIZE(mm)", "12a", "SIZE(mm)=12a"},
	{"SIZE(mm)", "-8", "SIZE(mm)=-8"},
	{"SIZE(mm)", "0x", "SIZE(mm)=0x"},
	{"SIZE(mm)", " 8", "SIZE(mm)= 8"},
	{"SIZE(mm)", "1048584", "SIZE(mm)=1048584"},
	{"SIZE(mm)", "99999999999999999999", "SIZE(mm)=9"},
	{"SIZE(mm)", "16", "mm."},
	{"SIZE(rb_node)", "0", "rb_node"},
	{"SIZE(vmap_area)", "44", "vmap_area"},
	{"SIZE(page)", "72", "page"},
	{"SIZE(page)", "1024", "too large"},
	{"SIZE(vmap_area)", "520", "too large"},
	{"SIZE(vm_struct)", "520", "too large"},
	{"SIZE(vm_area_struct)", "520", "too large"},
	{"SIZE(process)", "64", "process."},
	{"OFFSET(mm.processes)", "8192000", "mm.processes"},
	{"NUMBER(USER_END)", "4096", "window"},
	{"NUMBER(USER_END)", "-1", "USER_END"},
	{"SIZE(rb_node)", "520", "vmap_area.node"},
	{"SIZE(zone)", "65536", "zone"},
	{"OFFSET(vmap_area.state)", "70", "vmap_area.state"},
	{"OFFSET(vmap_area.tile)", "64", "vmap_area.tile"},
	{"OFFSET(page.owner)", "12", "page.owner"},
	{"OFFSET(machine.mm)", "4", "machine"},
	{"OFFSET(machine.mm)", "-8", "machine"},
	{"SYMBOL(machine)", "fffffffffffffff8", "machine"},
	{"SYMBOL(machine)", "ffffffff80200004", "machine"},
	{"SYMBOL(machine)", "0xffffffff80200000", "SYMBOL(machine)"},
	{"NUMBER(PAGE_SIZE)", "8192", "PAGE_SIZE"},
	{"NUMBER(MAX_ORDER)", "64", "MAX_ORDER"},
	{"NUMBER(MAX_CPUS)", "256", "zone.pcp"},
	{"NUMBER(MAX_CPUS)", "0", "MAX_CPUS"},
	{"NUMBER(MAX_NODES)", "17", "MAX_NODES"},
	{"NUMBER(SECTION_SHIFT)", "12", "SECTION_SHIFT"},
	{"NUMBER(MAX_SECTIONS)", "65537", "mm.section_online"},
	{"NUMBER(NR_KMALLOC_CACHES)", "64", "mm.kmalloc"},
	{"NUMBER(PAGE_SLAB)", "3", "two page states"},
	{"NUMBER(PAGE_FRESH)", "1", "PAGE_FRESH"},
	{"NUMBER(PAGE_BODY)", "256", "PAGE_BODY"},
	{"NUMBER(VMAP_AREA_LAZY)", "1", "two tile states"},
	{"NUMBER(VM_ARRAY_VMALLOC)", "1", "two array kinds"},
	{"NUMBER(ZONE_DMA32)", "0", "zones"},
	{"NUMBER(ZONE_NORMAL)", "4", "zones"},
	{"NUMBER(RESERVED_BOOT)", "1", "boot memory"},
	{"NUMBER(VMAP_END)", "0", "window"},
	{"NUMBER(VMALLOC_END)", "-60473139527681", "window"},
	{"NUMBER(VM_ALLOC)", "0", "VM_ALLOC"},
	{"NUMBER(VMAP_END)", "-9223372036854775809", "VMAP_END"},
	{"NUMBER(VMAP_END)", "18446744073709551616", "VMAP_END"},
};

START_TEST(a_spoiled_value_is_refused)
{
	struct text text = good();

	set_value(&text, spoiled[_i].key, spoiled[_i].value);
	refuse(&text, spoiled[_i].reason);
}
END_TEST

START_TEST(a_key_may_be_there_once)
{
	struct text text = good();

	strcat(text.bytes, "SIZE(page)=64\n");
	text.length = strlen(text.bytes);
	refuse(&text, "SIZE(page) is there twice");
}
END_TEST

START_TEST(lines_are_lines)
{
	struct text text = good();

	strcat(text.bytes, "SIZE(new_thing)=64");
	text.length = strlen(text.bytes);
	refuse(&text, "does not end");
	strcat(text.bytes, "\nnothing\n");
	text.length = strlen(text.bytes);
	refuse(&text, "not KEY=VALUE");
	text.length = 0;
	refuse(&text, "is missing");
	text.length = LAYOUT_TEXT_BYTES_MAX + 1;
	refuse(&text, "too many");
}
END_TEST

START_TEST(order_and_unknown_keys_do_not_matter)
{
	const struct text whole = good();
	struct layout layout, other;
	struct error error;
	struct text text;
	const char *end = whole.bytes + whole.length;

	/* The lines from the last to the first. */
	text.length = 0;
	for (const char *line = end; line > whole.bytes;) {
		const char *start = line - 1;

		while (start > whole.bytes && start[-1] != '\n')
			start--;
		memcpy(text.bytes + text.length, start, (size_t)(line - start));
		text.length += (size_t)(line - start);
		line = start;
	}
	strcpy(text.bytes + text.length, "OSRELEASE=1\nSIZE(later)=x\n=\n");
	text.length += strlen(text.bytes + text.length);
	core_layout(&layout);
	memset(&other, 0, sizeof(other));
	ck_assert_int_eq(layout_parse(text.bytes, text.length, &other, &error), 0);
	ck_assert_int_eq(memcmp(&layout, &other, sizeof(layout)), 0);
}
END_TEST

START_TEST(nothing_is_given_after_a_failure)
{
	struct text text = good();
	struct layout layout, before;
	struct error error;

	memset(&layout, 0x5a, sizeof(layout));
	before = layout;
	set_value(&text, "NUMBER(PAGE_SIZE)", "4095");
	ck_assert_int_eq(layout_parse(text.bytes, text.length, &layout, &error), -EINVAL);
	ck_assert_int_eq(memcmp(&layout, &before, sizeof(layout)), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("layout");
	TCase *tests = tcase_create("layout");

	tcase_add_test(tests, every_field_is_where_the_compiler_has_it);
	tcase_add_test(tests, numbers_are_what_they_are);
	tcase_add_test(tests, no_key_may_be_missing);
	tcase_add_loop_test(tests, a_spoiled_value_is_refused, 0, (int)ARRAY_SIZE(spoiled));
	tcase_add_test(tests, a_key_may_be_there_once);
	tcase_add_test(tests, lines_are_lines);
	tcase_add_test(tests, order_and_unknown_keys_do_not_matter);
	tcase_add_test(tests, nothing_is_given_after_a_failure);
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
