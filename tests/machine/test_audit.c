/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The auditor on a real guest: at work it is right, and a fault planted in its memory from the
 * host is named, check by check. The image's own note is compared with the list it is made from.
 */
#include "tests/machine/inspected.h"

#include <string.h>

#include "mm/vmalloc.h"
#include "tests/vmm/inspect/core_source.h"
#include "vmm/audit/audit.h"
#include "vmm/machine/guest.h"
#include "vmm/attach/inspector.h"

/* A guest with a few areas, an inspector and an auditor on it. */
struct machine_under_test {
	struct guest *guest;
	struct inspector *inspector;
	struct audit *audit;
	uint64_t area[4]; /* of 1, 5, 300 and 700 pages */
	uint64_t operations;
};

static const uint64_t pages[4] = {1, 5, 300, 700};

static struct nb_completion call(struct machine_under_test *m, const struct nb_submission *sqe)
{
	struct nb_completion cqe;

	m->operations++;
	ck_assert_int_eq(guest_call(m->guest, 0, sqe, &cqe), 0);
	return cqe;
}

static uint64_t allocate(struct machine_under_test *m, uint64_t nr_pages)
{
	const struct nb_submission sqe = {
		.opcode = NB_OP_VMALLOC,
		.arg = {nr_pages * PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END, GFP_KERNEL,
			PAGE_KERNEL, VM_ALLOC, (uint64_t)-1},
	};
	struct nb_completion cqe = call(m, &sqe);

	ck_assert_int_eq(cqe.status, 0);
	return cqe.result[0];
}

static void release(struct machine_under_test *m, uint64_t address)
{
	const struct nb_submission sqe = {.opcode = NB_OP_VFREE, .arg = {address}};

	ck_assert_int_eq(call(m, &sqe).status, 0);
}

static struct audit_result run_audit(struct machine_under_test *m)
{
	return inspected_audit(m->audit, m->inspector, m->operations);
}

/* For a test that fails. */
static void print(const struct machine_under_test *m)
{
	inspected_print(m->audit);
}

static void start(struct machine_under_test *m)
{
	const struct guest_config config = {.engine = harness_engine(),
					    .checks = SOFT_CHECK_ALL,
					    .memory_bytes = 256ull << 20,
					    .nr_vcpus = 2};

	*m = (struct machine_under_test){.operations = 0};
	inspected_start(&config, &m->guest, &m->inspector, &m->audit);
	for (int i = 0; i < 4; i++)
		m->area[i] = allocate(m, pages[i]);
}

static void stop(struct machine_under_test *m)
{
	inspected_stop(m->guest, m->inspector, m->audit);
}

/* ---- planting ---- */

static uint64_t read_entry(struct machine_under_test *m, uint64_t va, unsigned int level)
{
	return inspected_read_entry(m->guest, 0, va, level);
}

static void write_entry(struct machine_under_test *m, uint64_t va, unsigned int level,
			uint64_t value)
{
	inspected_write_entry(m->guest, 0, va, level, value);
}

static uint64_t read_word(struct machine_under_test *m, uint64_t gva)
{
	uint64_t value;

	ck_assert_int_eq(guest_read(m->guest, gva_make(gva), &value, 8), 0);
	return value;
}

static void write_word(struct machine_under_test *m, uint64_t gva, uint64_t value)
{
	ck_assert_int_eq(guest_write(m->guest, gva_make(gva), &value, 8), 0);
}

/* The bookkeeping of the area at @address. */
static uint64_t vm_of(struct machine_under_test *m, uint64_t address)
{
	struct inspect_areas areas;
	uint64_t vm;

	ck_assert_int_eq(inspect_areas(m->inspector, &areas), 0);
	vm = inspect_area_find(&areas, address)->link;
	inspect_areas_free(&areas);
	return vm;
}

static uint64_t page_cleared(struct machine_under_test *m)
{
	write_entry(m, m->area[2] + 7 * PAGE_SIZE, 1, 0);
	return m->area[2] + 7 * PAGE_SIZE;
}

static uint64_t page_elsewhere(struct machine_under_test *m)
{
	write_entry(m, m->area[3], 1, read_entry(m, m->area[3] + PAGE_SIZE, 1));
	return m->area[3];
}

static uint64_t page_writable_code(struct machine_under_test *m)
{
	write_entry(m, m->area[0], 1, read_entry(m, m->area[0], 1) & ~X86_PTE_NX);
	return m->area[0];
}

static uint64_t guard_mapped(struct machine_under_test *m)
{
	uint64_t guard = m->area[1] + 5 * PAGE_SIZE;

	write_entry(m, guard, 1, read_entry(m, m->area[1], 1));
	return guard;
}

static uint64_t leaf_after_everything(struct machine_under_test *m)
{
	uint64_t last = (m->area[3] + 699 * PAGE_SIZE) | 511 * PAGE_SIZE;

	/* The last page of the table that the last area ends in. */
	write_entry(m, last, 1, read_entry(m, m->area[0], 1));
	return last;
}

static uint64_t size_wrong(struct machine_under_test *m)
{
	uint64_t field = vm_of(m, m->area[1]) + inspect_layout(m->inspector)->vm_struct.size;

	write_word(m, field, read_word(m, field) + PAGE_SIZE);
	return m->area[1];
}

static uint64_t count_wrong(struct machine_under_test *m)
{
	const struct layout *l = inspect_layout(m->inspector);
	uint64_t field = inspect_mm(m->inspector) + l->mm.vmap + l->vmap_space.nr_busy;

	write_word(m, field, read_word(m, field) + 1);
	return field;
}

static uint64_t frame_leaked(struct machine_under_test *m)
{
	uint64_t array =
		vm_of(m, m->area[1]) + inspect_layout(m->inspector)->vm_struct.inline_pages;
	uint64_t leaked = read_word(m, array + 8), pfn = 0;

	write_word(m, array + 8, read_word(m, array));
	ck_assert(inspect_page_pfn(m->inspector, leaked, &pfn));
	return pfn * PAGE_SIZE;
}

static uint64_t page_array_moved(struct machine_under_test *m)
{
	uint64_t memmap = inspect_layout(m->inspector)->memmap_base;

	/* The first section in use: RAM starts at 0. */
	for (; !inspect_section_online(m->inspector, (memmap - NB_MEMMAP_BASE) / 64);)
		memmap += SECTION_MEMMAP_BYTES;
	write_entry(m, memmap, 2, read_entry(m, memmap, 2) + (1ull << 21));
	return memmap;
}

static uint64_t table_shared(struct machine_under_test *m)
{
	uint64_t entry = read_entry(m, m->area[0], 2);

	write_entry(m, m->area[0] + (64ull << 21), 2, entry);
	return entry & X86_PTE_ADDR_MASK;
}

static uint64_t reserved_bit(struct machine_under_test *m)
{
	write_entry(m, m->area[0], 1, read_entry(m, m->area[0], 1) | 1ull << 51);
	return m->area[0];
}

static uint64_t zone_wrong(struct machine_under_test *m)
{
	uint64_t field = vm_of(m, m->area[1]) + inspect_layout(m->inspector)->vm_struct.gfp;
	uint32_t gfp = GFP_KERNEL | __GFP_DMA;

	ck_assert_int_eq(guest_write(m->guest, gva_make(field), &gfp, sizeof(gfp)), 0);
	return m->area[1];
}

static uint64_t leaf_without_memory(struct machine_under_test *m)
{
	write_entry(m, m->area[0], 1,
		    (read_entry(m, m->area[0], 1) & ~X86_PTE_ADDR_MASK) | 3ull << 30);
	return m->area[0];
}

static uint64_t code_written_by_alias(struct machine_under_test *m)
{
	uint64_t code = guest_image(m->guest)->entry.value & PAGE_MASK;
	uint64_t alias = NB_DIRECT_BASE + (code - NB_IMAGE_BASE);

	write_entry(m, alias, 1, read_entry(m, alias, 1) | X86_PTE_RW);
	return alias;
}

struct machine_fault {
	const char *name;
	uint64_t (*plant)(struct machine_under_test *m);
	enum audit_check check;
	const char *text;
};

#define FAULT(plant, check, text)          \
	{                                  \
#plant, plant, check, text \
	}

static const struct machine_fault faults[] = {
	FAULT(guard_mapped, AUDIT_AREAS, "guard page"),
	FAULT(size_wrong, AUDIT_AREAS, "another size"),
	FAULT(count_wrong, AUDIT_FREE_TREE, "nr_busy"),
	FAULT(page_cleared, AUDIT_MAPPING, "not mapped"),
	FAULT(page_elsewhere, AUDIT_MAPPING, "another frame"),
	FAULT(page_writable_code, AUDIT_MAPPING, "protection"),
	FAULT(leaf_after_everything, AUDIT_STRAY, "a leaf"),
	FAULT(frame_leaked, AUDIT_FRAMES, "no area lists"),
	FAULT(page_array_moved, AUDIT_FRAMES, "not where the core says"),
	FAULT(table_shared, AUDIT_TABLES, "referenced twice"),
	FAULT(reserved_bit, AUDIT_TABLES, "reserved bit"),
	FAULT(zone_wrong, AUDIT_ZONES, "above the zone"),
	FAULT(leaf_without_memory, AUDIT_STAGE2, "no memory"),
	FAULT(page_writable_code, AUDIT_WX, "writable and executable"),
	FAULT(code_written_by_alias, AUDIT_WX, "alias"),
};

/* ---- tests ---- */

START_TEST(a_guest_at_work_is_right)
{
	struct machine_under_test m;
	struct audit_result result;

	start(&m);
	ck_assert_uint_eq(run_audit(&m).violations, 0);
	release(&m, m.area[1]);
	release(&m, m.area[2]);
	ck_assert_uint_eq(run_audit(&m).violations, 0);
	m.area[1] = allocate(&m, 40);
	result = run_audit(&m);
	ck_assert_uint_eq(result.violations, 0);
	ck_assert_uint_eq(result.check_items[AUDIT_FRAMES],
			  guest_memory_bytes(m.guest) / PAGE_SIZE);
	printf("%llu items in %.2f ms\n", (unsigned long long)result.items, result.seconds * 1e3);
	stop(&m);
}
END_TEST

START_TEST(a_fault_planted_from_outside_is_named)
{
	const struct machine_fault *fault = &faults[_i];
	struct machine_under_test m;
	bool named = false;
	uint64_t address;

	start(&m);
	ck_assert_uint_eq(run_audit(&m).violations, 0);
	address = fault->plant(&m);
	run_audit(&m);
	for (size_t i = 0; i < audit_violation_count(m.audit); i++) {
		const struct audit_violation *violation = audit_violation_at(m.audit, i);

		named = named ||
			(violation->check == fault->check && violation->address == address &&
			 strstr(violation->text, fault->text));
	}
	if (!named)
		print(&m);
	ck_assert_msg(named, "%s: %s did not name %#llx", fault->name,
		      audit_checks()[fault->check].name, (unsigned long long)address);
	stop(&m);
}
END_TEST

/* The assembler's text is the same as snprintf()'s, but for where the core is in the machine. */
START_TEST(the_images_note_is_the_list)
{
	struct error error = {""};
	struct image image;
	const char *expected, *found, *text;
	size_t bytes;

	ck_assert_msg(image_load_builtin(&image, &error) == 0, "%s", error.text);
	text = core_layout_text(&bytes);
	expected = memmem(text, bytes, "SIZE(", 5);
	found = memmem(image.layout, image.layout_bytes, "SIZE(", 5);
	ck_assert_ptr_nonnull(expected);
	ck_assert_ptr_nonnull(found);
	bytes -= (size_t)(expected - text);
	ck_assert_uint_eq(image.layout_bytes - (size_t)(found - image.layout), bytes);
	ck_assert_int_eq(memcmp(found, expected, bytes), 0);
	image_unload(&image);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("machine_audit");
	TCase *tests = tcase_create("audit");
	int status = harness_need_kvm();

	if (status)
		return status;
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, the_images_note_is_the_list);
	tcase_add_test(tests, a_guest_at_work_is_right);
	tcase_add_loop_test(tests, a_fault_planted_from_outside_is_named, 0,
			    (int)ARRAY_SIZE(faults));
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
