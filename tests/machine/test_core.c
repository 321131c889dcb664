/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cores of a real guest, read back by a reader of the test's own: a core is a source of memory
 * like any other, so what is true of the guest is true of it, to the audit and to every byte.
 */
#include "tests/machine/core_file.h"

/* ---- memory ---- */

START_TEST(every_byte_of_ram_is_in_it)
{
	struct guest *guest = start(NULL);
	const struct gpa_space *space = guest_space(guest);
	static const uint8_t zeroes[PAGE_SIZE];
	struct core_file core;
	struct core_sum sum;
	uint64_t pages = 0;

	make_directory();
	allocate_filled(guest);
	/* Between the core and the comparison it must not run. */
	ck_assert_int_eq(guest_pause(guest), 0);
	sum = write_core(guest, path_of("core"));
	ck_assert(guest_is_paused(guest));
	core_open(&core, path_of("core"));
	ck_assert_uint_eq(sum.file_bytes, core.size);
	ck_assert_uint_eq(sum.loads + 1, core.ehdr->e_phnum);
	for (size_t i = 0; i < gpa_space_count(space); i++) {
		const struct gpa_region *region = gpa_space_at(space, i);

		for (uint64_t gpa = region->start.value; gpa < region->end.value;
		     gpa += PAGE_SIZE) {
			const uint8_t *there = core_physical(&core, gpa, PAGE_SIZE);
			const uint8_t *here =
				(const uint8_t *)region->host + (gpa - region->start.value);

			ck_assert_ptr_nonnull(there);
			if (memcmp(there, zeroes, PAGE_SIZE) == 0 &&
			    memcmp(here, zeroes, PAGE_SIZE) == 0)
				continue;
			ck_assert_int_eq(memcmp(there, here, PAGE_SIZE), 0);
			pages++;
		}
	}
	/* At least the area; and no more was written than is not zero, headers apart. */
	ck_assert_uint_ge(pages, AREA_PAGES);
	ck_assert_uint_le(sum.written_bytes, (pages + 8) * PAGE_SIZE);
	core_close(&core);
	forget("core");
	remove_directory();
	guest_resume(guest);
	allocate(guest, 1);
	guest_destroy(guest);
}
END_TEST

/* By the addresses gdb reads by, and the guard page is nowhere. */
START_TEST(virtual_addresses_are_in_it)
{
	struct guest *guest = start(NULL);
	uint64_t area = allocate_filled(guest), word;
	struct core_file core;
	uint64_t machine = 0xffffffff80200000;

	make_directory();
	write_core(guest, path_of("core"));
	core_open(&core, path_of("core"));
	for (uint64_t at = area; at < area + AREA_PAGES * PAGE_SIZE; at += PAGE_SIZE) {
		const uint8_t *bytes = core_bytes(&core, at, sizeof(word), false);

		ck_assert_ptr_nonnull(bytes);
		memcpy(&word, bytes, sizeof(word));
		ck_assert_uint_eq(word, at);
	}
	ck_assert_ptr_null(core_bytes(&core, area + AREA_PAGES * PAGE_SIZE, 1, false));
	ck_assert_ptr_eq(core_bytes(&core, NB_DIRECT_BASE + 0x200000, 8, false),
			 core_bytes(&core, 0x200000, 8, true));
	ck_assert_ptr_eq(core_bytes(&core, machine, 8, false),
			 core_bytes(&core, machine - NB_IMAGE_BASE, 8, true));
	ck_assert_ptr_eq(core_bytes(&core, 0xffffffff80000000, PAGE_SIZE, false),
			 core_bytes(&core, guest_paging_mode(guest).root.value, PAGE_SIZE, true));
	core_close(&core);
	forget("core");
	remove_directory();
	guest_destroy(guest);
}
END_TEST

static int count_range(void *context, const struct look_map *map)
{
	uint64_t *sum = context;

	*sum = *sum * 31 + (map->start ^ map->end ^ map->gpa ^ map->rights ^ map->runs);
	return 0;
}

static uint64_t digest(struct inspector *inspector)
{
	const struct look_maps_query query = {.split_frames = true};
	uint64_t sum = 1;

	ck_assert_int_eq(look_maps(inspector, &query, count_range, &sum, NULL), 0);
	return sum;
}

START_TEST(a_core_audits_like_its_guest)
{
	struct guest *guest = start(NULL);
	struct inspector *live, *stored;
	struct audit *audit = audit_create();
	struct audit_result result;
	struct core_file core;

	make_directory();
	allocate_filled(guest);
	allocate(guest, 5);
	write_core(guest, path_of("core"));
	core_open(&core, path_of("core"));
	stored = core_inspector(&core, guest);
	ck_assert_int_eq(inspector_create_for_guest(guest, &live, NULL), 0);
	ck_assert_uint_eq(digest(stored), digest(live));
	ck_assert_int_eq(audit_run(audit, stored, AUDIT_ALL, 0, &result), 0);
	ck_assert_uint_eq(result.violations, 0);
	ck_assert_uint_eq(result.check_items[AUDIT_FRAMES], guest_memory_bytes(guest) / PAGE_SIZE);
	audit_destroy(audit);
	inspector_destroy(live);
	inspector_destroy(stored);
	core_close(&core);
	forget("core");
	remove_directory();
	guest_destroy(guest);
}
END_TEST

START_TEST(memory_nobody_wrote_costs_nothing)
{
	struct guest *guest = start(NULL);
	struct core_sum sum;
	struct stat status;

	make_directory();
	sum = write_core(guest, path_of("core"));
	ck_assert_int_eq(stat(path_of("core"), &status), 0);
	ck_assert_uint_gt((uint64_t)status.st_size, guest_memory_bytes(guest));
	ck_assert_uint_lt((uint64_t)status.st_blocks * 512, 4u << 20);
	ck_assert_uint_lt(sum.written_bytes, 4u << 20);
	ck_assert_uint_eq(status.st_mode & 0777, 0600);
	forget("core");
	remove_directory();
	guest_destroy(guest);
}
END_TEST

/* ---- registers ---- */

static struct user_regs_struct prstatus_of(const struct core_file *core, unsigned int cpu)
{
	struct elf_prstatus status;
	struct user_regs_struct registers;
	size_t bytes;
	const void *note = core_note(core, "CORE", NT_PRSTATUS, cpu, &bytes);

	ck_assert_ptr_nonnull(note);
	ck_assert_uint_eq(bytes, sizeof(status));
	memcpy(&status, note, sizeof(status));
	ck_assert_int_eq(status.pr_pid, (int)cpu + 1);
	memcpy(&registers, &status.pr_reg, sizeof(registers));
	return registers;
}

START_TEST(registers_are_those_of_the_vcpus)
{
	struct guest *guest = start(NULL);
	struct core_file core;
	struct core_sum sum;
	const void *qemu;
	uint64_t word;
	size_t bytes;

	make_directory();
	ck_assert_int_eq(guest_pause(guest), 0);
	sum = write_core(guest, path_of("core"));
	ck_assert_uint_eq(sum.vcpus, 2);
	core_open(&core, path_of("core"));
	for (unsigned int cpu = 0; cpu < 2; cpu++) {
		struct user_regs_struct seen = prstatus_of(&core, cpu);
		struct kvm_sregs sregs;
		struct kvm_regs regs;

		ck_assert_int_eq(guest_registers(guest, cpu, &regs, &sregs), 0);
		ck_assert_uint_eq(seen.rip, regs.rip);
		ck_assert_uint_eq(seen.rsp, regs.rsp);
		ck_assert_uint_eq(seen.rbp, regs.rbp);
		ck_assert_uint_eq(seen.rax, regs.rax);
		ck_assert_uint_eq(seen.rdi, regs.rdi);
		ck_assert_uint_eq(seen.r8, regs.r8);
		ck_assert_uint_eq(seen.r15, regs.r15);
		ck_assert_uint_eq(seen.eflags, regs.rflags);
		ck_assert_uint_eq(seen.cs, sregs.cs.selector);
		ck_assert_uint_eq(seen.gs_base, sregs.gs.base);
		qemu = core_note(&core, "QEMU", 0, cpu, &bytes);
		ck_assert_uint_eq(bytes, 440);
		memcpy(&word, (const uint8_t *)qemu + 392 + 3 * 8, sizeof(word));
		ck_assert_uint_eq(word, sregs.cr3);
	}
	ck_assert_ptr_null(core_note(&core, "CORE", NT_PRSTATUS, 2, &bytes));
	core_close(&core);
	forget("core");
	remove_directory();
	guest_resume(guest);
	guest_destroy(guest);
}
END_TEST

START_TEST(a_guest_that_dies_leaves_a_core)
{
	const struct nb_submission fault = {.opcode = NB_OP_TEST_FAULT, .arg = {0xdead000}};
	const struct guest_report *report;
	struct user_regs_struct seen;
	struct nb_completion cqe;
	struct core_file core;
	struct guest *guest;
	const char *text;
	size_t bytes = 0;

	make_directory();
	guest = start(path_of("core"));
	guest_last_look(guest);
	ck_assert(!dead.written);
	ck_assert_int_eq(guest_call(guest, 1, &fault, &cqe), -ENOTRECOVERABLE);
	report = guest_failure(guest);
	ck_assert_uint_eq(report->control.cr2, 0xdead000);
	guest_last_look(guest);
	ck_assert(dead.written);
	core_open(&core, path_of("core"));
	seen = prstatus_of(&core, 1);
	ck_assert_uint_eq(seen.rip, report->regs[REGS_RIP]);
	ck_assert_uint_eq(seen.rsp, report->regs[REGS_RSP]);
	ck_assert_ptr_nonnull(image_symbol_find(guest_image(guest), prstatus_of(&core, 0).rip));
	text = core_note(&core, "VMCOREINFO", 0, 0, &bytes);
	ck_assert_ptr_nonnull(memmem(text, bytes, "\nCRASHTIME=", 11));
	ck_assert_ptr_nonnull(memmem(text, bytes, guest_image(guest)->build_id,
				     strlen(guest_image(guest)->build_id)));
	core_close(&core);
	forget("core");
	guest_destroy(guest);
	remove_directory();
}
END_TEST

/* Nobody asks for it: the end of a guest is enough. */
START_TEST(a_dead_guest_is_not_destroyed_without_one)
{
	const struct nb_submission ends = {.opcode = NB_OP_TEST_TRIPLE};
	struct nb_completion cqe;
	struct core_file core;
	struct guest *guest;

	make_directory();
	guest = start(path_of("core"));
	ck_assert_int_eq(guest_call(guest, 0, &ends, &cqe), -ENOTRECOVERABLE);
	guest_destroy(guest);
	core_open(&core, path_of("core"));
	core_close(&core);
	forget("core");
	/* And one that ends well leaves none. */
	guest = start(path_of("core"));
	guest_destroy(guest);
	remove_directory();
}
END_TEST

/* ---- where it goes ---- */

START_TEST(compressed_it_is_the_same)
{
	const struct core_options options = {.zstd = true};
	struct guest *guest = start(NULL);
	struct error error = {""};
	struct core_file core;
	struct stat status;
	void *packed, *bytes;
	size_t size;
	int fd;

	make_directory();
	allocate_filled(guest);
	ck_assert_int_eq(guest_pause(guest), 0);
	write_core(guest, path_of("core"));
	core_open(&core, path_of("core"));
	ck_assert_int_eq(core_write_guest(guest, path_of("zst"), &options, NULL, &error), 0);
	fd = open(path_of("zst"), O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(fstat(fd, &status), 0);
	ck_assert_int_lt(status.st_size, 1 << 20);
	packed = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	bytes = mmap(NULL, core.size + 1, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size = ZSTD_decompress(bytes, core.size + 1, packed, (size_t)status.st_size);
	ck_assert_uint_eq(size, core.size);
	ck_assert_int_eq(memcmp(bytes, core.bytes, size), 0);
	munmap(bytes, core.size + 1);
	munmap(packed, (size_t)status.st_size);
	close(fd);
	core_close(&core);
	forget("core");
	forget("zst");
	remove_directory();
	guest_resume(guest);
	guest_destroy(guest);
}
END_TEST

static int give_up(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	uint64_t *last = context;

	ck_assert_uint_ge(done_bytes, *last);
	ck_assert_uint_le(done_bytes, total_bytes);
	*last = done_bytes;
	return done_bytes > total_bytes / 2;
}

/* No half of a core is ever left behind, and the guest goes on. */
START_TEST(what_fails_leaves_nothing)
{
	struct guest *guest = start(NULL);
	struct error error = {""};
	uint64_t last = 0;
	const struct core_options options = {.progress = give_up, .progress_context = &last};
	int full;

	make_directory();
	ck_assert_int_eq(core_write_guest(guest, path_of("no/core"), NULL, NULL, &error), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error.text, "no/core"));
	ck_assert_int_eq(core_write_guest(guest, path_of("core"), &options, NULL, &error),
			 -ECANCELED);
	ck_assert_uint_gt(last, 0);
	full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(full, 0);
	ck_assert_int_eq(core_write_guest_fd(guest, full, NULL, NULL, &error), -ENOSPC);
	close(full);
	remove_directory();
	allocate(guest, 1);
	guest_destroy(guest);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("core");
	TCase *tests = tcase_create("core");
	int status = harness_need_kvm();

	if (status)
		return status;
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, every_byte_of_ram_is_in_it);
	tcase_add_test(tests, virtual_addresses_are_in_it);
	tcase_add_test(tests, a_core_audits_like_its_guest);
	tcase_add_test(tests, memory_nobody_wrote_costs_nothing);
	tcase_add_test(tests, registers_are_those_of_the_vcpus);
	tcase_add_test(tests, a_guest_that_dies_leaves_a_core);
	tcase_add_test(tests, a_dead_guest_is_not_destroyed_without_one);
	tcase_add_test(tests, compressed_it_is_the_same);
	tcase_add_test(tests, what_fails_leaves_nothing);
	suite_add_tcase(suite, tests);
	return harness_run(suite);
}
