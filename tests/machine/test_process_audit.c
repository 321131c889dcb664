/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The auditor on a real guest with two processes: each fault that is planted in their memory from
 * the host is named.
 */
#include "tests/machine/process_machine.h"

#include "mm/x86.h"

#define ENTRY_FLAGS (X86_PTE_P | X86_PTE_RW | X86_PTE_US)

/* Both processes show the area; the second may only read. */
struct planting {
	struct process_machine m;
	uint64_t area, hidden; /* 4 pages each; only the first is for users */
	struct inspect_processes processes;
};

static void start(struct planting *p)
{
	uint64_t process[2];

	start_machine(&p->m, 1);
	p->m.audited = false; /* but once, below: there are many guests */
	p->area = allocate_user(&p->m, 4);
	p->hidden = allocate(&p->m, 4, VMALLOC_START, 0);
	for (int i = 0; i < 2; i++) {
		process[i] = process_with_range(&p->m, 4, i ? VM_READ : VM_READ | VM_WRITE);
		must(&p->m, NB_OP_REMAP_VMALLOC_RANGE, process[i], USER_BASE, p->area, 0);
	}
	must(&p->m, NB_OP_USER_RUN, process[0], NB_USER_WRITE, USER_BASE, 512, 1);
	ck_assert_int_eq(inspect_processes(p->m.inspector, &p->processes), 0);
	ck_assert_uint_eq(p->processes.count, 2);
	ck_assert_uint_eq(run_audit(&p->m).violations, 0);
}

static void stop(struct planting *p)
{
	inspect_processes_free(&p->processes);
	/* Not stop_machine(): it would find the fault. */
	inspected_stop(p->m.guest, p->m.inspector, p->m.audit);
}

/* The root of process @index's tables; of the kernel's with @index < 0. */
static uint64_t root_of(const struct planting *p, int index)
{
	return index < 0 ? 0 : p->processes.process[index].root;
}

static uint64_t read_entry(struct planting *p, int index, uint64_t va, unsigned int level)
{
	return inspected_read_entry(p->m.guest, root_of(p, index), va, level);
}

static void write_entry(struct planting *p, int index, uint64_t va, unsigned int level,
			uint64_t value)
{
	inspected_write_entry(p->m.guest, root_of(p, index), va, level, value);
}

static uint64_t frame_of(struct planting *p, int index, uint64_t va)
{
	return read_entry(p, index, va, 1) & X86_PTE_ADDR_MASK;
}

static void add_to_word(struct planting *p, uint64_t gva, uint64_t delta)
{
	uint64_t value;

	ck_assert_int_eq(guest_read(p->m.guest, gva_make(gva), &value, 8), 0);
	value += delta;
	ck_assert_int_eq(guest_write(p->m.guest, gva_make(gva), &value, 8), 0);
}

/* ---- faults: each returns the address the violation must have ---- */

static uint64_t reader_can_write(struct planting *p)
{
	write_entry(p, 1, USER_BASE, 1, read_entry(p, 1, USER_BASE, 1) | X86_PTE_RW);
	return USER_BASE;
}

static uint64_t data_is_code(struct planting *p)
{
	write_entry(p, 0, USER_BASE, 1, read_entry(p, 0, USER_BASE, 1) & ~X86_PTE_NX);
	return USER_BASE;
}

static uint64_t programs_can_be_written(struct planting *p)
{
	write_entry(p, 0, NB_USER_CODE, 1,
		    read_entry(p, 0, NB_USER_CODE, 1) | X86_PTE_RW | X86_PTE_NX);
	return NB_USER_CODE;
}

static uint64_t page_is_gone(struct planting *p)
{
	write_entry(p, 0, USER_BASE + PAGE_SIZE, 1, 0);
	return USER_BASE + 2 * PAGE_SIZE;
}

static uint64_t frame_of_another_area(struct planting *p)
{
	uint64_t va = USER_BASE + PAGE_SIZE, entry = read_entry(p, 0, va, 1);

	write_entry(p, 0, va, 1, (entry & ~X86_PTE_ADDR_MASK) | frame_of(p, -1, p->hidden));
	return va;
}

static uint64_t page_outside_ranges(struct planting *p)
{
	write_entry(p, 0, USER_BASE + 4 * PAGE_SIZE, 1, read_entry(p, 0, USER_BASE, 1));
	return USER_BASE + 4 * PAGE_SIZE;
}

static uint64_t area_for_nobody(struct planting *p)
{
	struct inspect_areas areas;
	const struct inspect_area *area;

	ck_assert_int_eq(inspect_areas(p->m.inspector, &areas), 0);
	area = inspect_area_find(&areas, p->area);
	add_to_word(p, area->link + inspect_layout(p->m.inspector)->vm_struct.flags,
		    -(uint64_t)VM_USERMAP);
	inspect_areas_free(&areas);
	return USER_BASE;
}

static uint64_t reference_lost(struct planting *p)
{
	uint64_t phys = frame_of(p, 0, USER_BASE);
	uint64_t page = inspect_page_address(p->m.inspector, phys / PAGE_SIZE);
	uint32_t count = 2;

	ck_assert_int_eq(guest_write(p->m.guest,
				     gva_make(page + inspect_layout(p->m.inspector)->page.refcount),
				     &count, sizeof(count)),
			 0);
	return phys;
}

static uint64_t kernel_half_differs(struct planting *p)
{
	write_entry(p, 1, VMALLOC_START, 4, read_entry(p, 1, VMALLOC_START, 4) | X86_PTE_US);
	return inspected_entry(p->m.guest, root_of(p, 1), VMALLOC_START, 4).value;
}

static uint64_t tables_shared(struct planting *p)
{
	uint64_t entry = read_entry(p, 0, USER_BASE, 3);

	write_entry(p, 1, USER_BASE + (1ull << 30), 3, entry | ENTRY_FLAGS);
	return entry & X86_PTE_ADDR_MASK;
}

static uint64_t tables_lost(struct planting *p)
{
	uint64_t entry = read_entry(p, 1, USER_BASE, 2);

	write_entry(p, 1, USER_BASE, 2, 0);
	return entry & X86_PTE_ADDR_MASK;
}

static uint64_t process_lost(struct planting *p)
{
	const struct layout *l = inspect_layout(p->m.inspector);
	uint64_t list = inspect_mm(p->m.inspector) + l->mm.processes;

	add_to_word(p, list + l->process_list.nr, 1);
	return list + l->process_list.nr;
}

static uint64_t list_in_a_circle(struct planting *p)
{
	const struct layout *l = inspect_layout(p->m.inspector);
	uint64_t link = p->processes.process[1].address + l->process.link;

	ck_assert_int_eq(guest_write(p->m.guest, gva_make(link + l->list_head.next), &link, 8), 0);
	return link;
}

static uint64_t range_moved(struct planting *p)
{
	const struct layout *l = inspect_layout(p->m.inspector);

	/* The last page of the range lies outside now. */
	add_to_word(p, p->processes.vma[0].address + l->vm_area_struct.vm_end, -PAGE_SIZE);
	return USER_BASE + 3 * PAGE_SIZE;
}

static const struct {
	const char *name;
	uint64_t (*plant)(struct planting *p);
	enum audit_check check;
	const char *text;
} faults[] = {
	{"reader_can_write", reader_can_write, AUDIT_USERS, "protection"},
	{"data_is_code", data_is_code, AUDIT_USERS, "protection"},
	{"data_is_code", data_is_code, AUDIT_WX, "writable and executable"},
	{"programs_can_be_written", programs_can_be_written, AUDIT_USERS, "can be written"},
	{"programs_can_be_written", programs_can_be_written, AUDIT_WX, "alias"},
	{"page_is_gone", page_is_gone, AUDIT_USERS, "missing"},
	{"frame_of_another_area", frame_of_another_area, AUDIT_USERS, "another frame"},
	{"page_outside_ranges", page_outside_ranges, AUDIT_USERS, "outside all ranges"},
	{"area_for_nobody", area_for_nobody, AUDIT_USERS, "not for users"},
	{"process_lost", process_lost, AUDIT_USERS, "count of processes"},
	{"list_in_a_circle", list_in_a_circle, AUDIT_USERS, "broken"},
	{"range_moved", range_moved, AUDIT_USERS, "outside all ranges"},
	{"reference_lost", reference_lost, AUDIT_FRAMES, "wrong count"},
	{"kernel_half_differs", kernel_half_differs, AUDIT_TABLES, "upper half"},
	{"tables_shared", tables_shared, AUDIT_TABLES, "referenced twice"},
	{"tables_lost", tables_lost, AUDIT_TABLES, "no entry refers to"},
};

START_TEST(a_fault_in_a_process_is_named)
{
	struct planting p;
	bool named = false;
	uint64_t address;

	start(&p);
	address = faults[_i].plant(&p);
	run_audit(&p.m);
	for (size_t i = 0; i < audit_violation_count(p.m.audit); i++) {
		const struct audit_violation *violation = audit_violation_at(p.m.audit, i);

		named = named ||
			(violation->check == faults[_i].check && violation->address == address &&
			 strstr(violation->text, faults[_i].text));
	}
	if (!named)
		print_violations(&p.m);
	ck_assert_msg(named, "%s: %s did not name %#llx", faults[_i].name,
		      audit_checks()[faults[_i].check].name, (unsigned long long)address);
	stop(&p);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("machine_process_audit");
	TCase *tests = tcase_create("faults");
	int status = harness_need_kvm();

	if (status)
		return status;
	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, a_fault_in_a_process_is_named, 0, (int)ARRAY_SIZE(faults));
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
