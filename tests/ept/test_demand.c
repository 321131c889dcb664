/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Demand paging, served here and by another process; who touches stands for the guest. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ept/demand.h"
#include "ept/trap.h"
#include "tests/ept/random.h"
#include "tests/harness.h"

#define PAGE  EPT_PAGE_BYTES
#define BASE  (1ULL << 32)
#define PAGES 515u /* no multiple of a batch */
#define BATCH (16u * PAGE)

static struct gpa_space *space;
static const struct gpa_region *ram;
static struct demand *demand;
static struct demand_file file;
static struct error error;

static uint64_t word_of(uint64_t page)
{
	return page * 0x9e3779b97f4a7c15ULL + 1;
}

/* Three backings: a memfd, a memfd mapped twice, private anonymous memory. */
static void setup_kind(int kind)
{
	struct gpa_request request = {
		.name = "ram",
		.start = gpa_make(BASE),
		.size_bytes = PAGES * PAGE,
		.backing = {.kind = kind == 2 ? GPA_BACKING_ANON : GPA_BACKING_MEMFD,
			    .trappable = kind == 1},
	};

	ck_assert_int_eq(gpa_space_create(40, &space, &error), 0);
	ck_assert_int_eq(gpa_space_add(space, &request, &ram, &error), 0);
	/* A huge page would be there as a whole. */
	ck_assert_int_eq(madvise(ram->host, PAGES * PAGE, MADV_NOHUGEPAGE), 0);
	file = (struct demand_file){.fd = memfd_create("source", MFD_CLOEXEC), .offset = 3 * PAGE};
	for (uint64_t page = 0; page < PAGES; page++) {
		uint64_t word = word_of(page);

		ck_assert_int_eq(
			pwrite(file.fd, &word, sizeof(word), (off_t)(file.offset + page * PAGE)),
			sizeof(word));
	}
	/* Mapped, or read only. */
	if (kind != 1)
		demand_file_open(&file, file.fd, 3 * PAGE);
}

static void teardown(void)
{
	demand_file_close(&file);
	close(file.fd);
	gpa_space_destroy(space);
}

static void start(void)
{
	struct demand_source source = demand_source_file(&file);

	ck_assert_msg(demand_start(ram, BATCH, &source, &demand, &error) == 0, "%s", error.text);
}

static uint64_t guest_word(uint64_t page)
{
	return *(volatile uint64_t *)((char *)ram->slot_host + page * PAGE);
}

static uint64_t vmm_word(uint64_t page)
{
	uint64_t word = 0;

	ck_assert_int_eq(gpa_space_read(space, gpa_make(BASE + page * PAGE), &word, sizeof(word)),
			 0);
	return word;
}

static struct demand_counts counts(void)
{
	struct demand_counts now;

	demand_counts(demand, &now);
	return now;
}

START_TEST(whoever_touches_a_page_first_finds_the_sources)
{
	struct demand_counts now;

	setup_kind(_i);
	start();
	ck_assert_uint_eq(counts().left, PAGES * PAGE);
	ck_assert_uint_eq(guest_word(20), word_of(20));
	ck_assert_uint_eq(vmm_word(40), word_of(40));
	ck_assert_uint_eq(guest_word(40), word_of(40));
	ck_assert_uint_eq(vmm_word(21), word_of(21));
	now = counts();
	ck_assert_uint_eq(now.batches, 2);
	ck_assert_uint_eq(now.bytes, 2 * BATCH);
	ck_assert_uint_eq(now.left, PAGES * PAGE - 2 * BATCH);
	ck_assert_uint_eq(guest_word(PAGES - 1), word_of(PAGES - 1));
	ck_assert_uint_eq(counts().left, PAGES * PAGE - 2 * BATCH - PAGES % 16 * PAGE);
	demand_stop(demand);
	ck_assert_uint_eq(guest_word(20), word_of(20));
	ck_assert_uint_eq(guest_word(100), 0);
	teardown();
}
END_TEST

START_TEST(pages_that_exist_stay_as_they_are)
{
	uint64_t mine = 77;

	setup_kind(_i);
	ck_assert_int_eq(gpa_space_write(space, gpa_make(BASE + 18 * PAGE), &mine, sizeof(mine)),
			 0);
	start();
	ck_assert_uint_eq(guest_word(17), word_of(17));
	ck_assert_uint_eq(guest_word(18), 77);
	ck_assert_uint_eq(guest_word(19), word_of(19));
	demand_stop(demand);
	teardown();
}
END_TEST

START_TEST(the_rest_comes_in_the_background)
{
	uint64_t left = 0;

	setup_kind(_i);
	start();
	ck_assert_uint_eq(guest_word(300), word_of(300));
	ck_assert_int_eq(demand_fill(demand, 3 * BATCH, &left), 0);
	ck_assert_uint_eq(left, PAGES * PAGE - 4 * BATCH);
	ck_assert_int_eq(demand_fill(demand, UINT64_MAX, &left), 0);
	ck_assert_uint_eq(left, 0);
	ck_assert_uint_eq(counts().faults, 1);
	demand_stop(demand);
	for (uint64_t page = 0; page < PAGES; page++)
		ck_assert_uint_eq(guest_word(page), word_of(page));
	teardown();
}
END_TEST

static void *touch_all(void *seed)
{
	uint64_t state = (uintptr_t)seed;

	for (int i = 0; i < 2000; i++) {
		uint64_t page = random_below(&state, PAGES);
		uint64_t word = i & 1 ? guest_word(page) : vmm_word(page);

		if (word != word_of(page))
			return (void *)(uintptr_t)(page + 1);
	}
	return NULL;
}

START_TEST(many_threads_and_the_background_agree)
{
	uint64_t seed = random_seed("demand"), left = 1;
	pthread_t threads[4];
	void *wrong;

	setup_kind(_i);
	start();
	for (size_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, touch_all, (void *)(uintptr_t)(seed + i));
	while (left)
		ck_assert_int_eq(demand_fill(demand, BATCH, &left), 0);
	for (size_t i = 0; i < 4; i++) {
		pthread_join(threads[i], &wrong);
		ck_assert_ptr_null(wrong);
	}
	ck_assert_uint_eq(counts().batches, (PAGES * PAGE + BATCH - 1) / BATCH);
	demand_stop(demand);
	teardown();
}
END_TEST

static uint64_t failed_at;

static int refuse(void *context, uint64_t offset, void *buffer, size_t bytes)
{
	(void)context;
	if (offset)
		return -EIO;
	memset(buffer, 1, bytes);
	return 0;
}

static void note_failure(void *context, uint64_t offset, int code)
{
	(void)context;
	__atomic_store_n(&failed_at, code == -EIO ? offset : 1, __ATOMIC_SEQ_CST);
}

static void *touch_bad(void *unused)
{
	(void)unused;
	return (void *)(uintptr_t)(guest_word(64) + 1);
}

START_TEST(a_source_that_fails_is_told_and_gives_nothing)
{
	struct demand_source source = {.read = refuse, .failed = note_failure};
	pthread_t thread;
	uint64_t left;
	void *word;

	setup_kind(0);
	failed_at = 0;
	ck_assert_int_eq(demand_start(ram, BATCH, &source, &demand, &error), 0);
	ck_assert_uint_eq(guest_word(3), 0x0101010101010101);
	ck_assert_int_eq(pthread_create(&thread, NULL, touch_bad, NULL), 0);
	for (int i = 0; i < 2000 && !__atomic_load_n(&failed_at, __ATOMIC_SEQ_CST); i++)
		usleep(1000);
	ck_assert_uint_eq(__atomic_load_n(&failed_at, __ATOMIC_SEQ_CST), 64 * PAGE);
	ck_assert_int_eq(counts().error, -EIO);
	ck_assert_int_eq(demand_fill(demand, UINT64_MAX, &left), -EIO);
	/* The thread waits: nothing was made up for it. */
	ck_assert_int_eq(pthread_tryjoin_np(thread, &word), EBUSY);
	demand_stop(demand);
	pthread_join(thread, &word);
	ck_assert_uint_eq((uintptr_t)word, 1);
	teardown();
}
END_TEST

/* ---- another process ---- */

static void serve_elsewhere(int socket)
{
	struct demand_source source = demand_source_file(&file);
	char byte;

	if (demand_receive(socket, BATCH, &source, &demand, &error) != 0)
		_exit(1);
	/* Until the other end closes. */
	if (read(socket, &byte, 1) < 0)
		_exit(2);
	_exit(counts().faults >= 2 ? 0 : 3);
}

START_TEST(another_process_serves_what_it_was_handed)
{
	struct demand_lease *lease;
	int sockets[2], status;
	pid_t child;

	setup_kind(_i);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	child = fork();
	if (child == 0) {
		close(sockets[0]);
		serve_elsewhere(sockets[1]);
	}
	close(sockets[1]);
	ck_assert_msg(demand_hand_over(ram, sockets[0], &lease, &error) == 0, "%s", error.text);
	ck_assert_uint_eq(guest_word(7), word_of(7));
	ck_assert_uint_eq(vmm_word(200), word_of(200));
	ck_assert_uint_eq(guest_word(201), word_of(201));
	close(sockets[0]);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	demand_end_lease(lease);
	ck_assert_uint_eq(guest_word(400), 0);
	teardown();
}
END_TEST

START_TEST(rubbish_is_not_served)
{
	struct demand_source source = demand_source_file(&file);
	char rubbish[256] = "rubbish";
	int sockets[2];

	setup_kind(0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	ck_assert_int_eq(write(sockets[0], rubbish, sizeof(rubbish)), sizeof(rubbish));
	ck_assert_int_eq(demand_receive(sockets[1], 0, &source, &demand, &error), -EPROTO);
	close(sockets[0]);
	while (demand_receive(sockets[1], 0, &source, &demand, &error) != -EPROTO)
		;
	close(sockets[1]);
	teardown();
}
END_TEST

static enum trap_answer let(void *context, const struct trap_event *event)
{
	(void)context;
	(void)event;
	return TRAP_LET;
}

START_TEST(what_cannot_be_paged_is_refused_with_the_reason)
{
	struct demand_source source = demand_source_file(&file);
	struct trap_set *set;

	setup_kind(1);
	ck_assert_int_eq(demand_start(ram, 5000, &source, &demand, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "power of two"));
	/* And it is left as it was. */
	ck_assert_uint_eq(guest_word(9), 0);
	ck_assert_int_eq(trap_set_create(space, -1, let, NULL, &set, &error), 0);
	ck_assert_int_eq(trap_watch(set, ram->start, gpa_add(ram->start, PAGE), TRAP_ANY, &error),
			 0);
	ck_assert_int_eq(demand_start(ram, 0, &source, &demand, &error), -EBUSY);
	ck_assert_ptr_nonnull(strstr(error.text, "traps"));
	trap_set_destroy(set);
	start();
	ck_assert_int_eq(demand_start(ram, 0, &source, &demand, &error), -EBUSY);
	demand_stop(demand);
	teardown();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("demand");
	TCase *tcase = tcase_create("all");

	tcase_add_loop_test(tcase, whoever_touches_a_page_first_finds_the_sources, 0, 3);
	tcase_add_loop_test(tcase, pages_that_exist_stay_as_they_are, 0, 3);
	tcase_add_loop_test(tcase, the_rest_comes_in_the_background, 0, 3);
	tcase_add_loop_test(tcase, many_threads_and_the_background_agree, 0, 3);
	tcase_add_test(tcase, a_source_that_fails_is_told_and_gives_nothing);
	tcase_add_loop_test(tcase, another_process_serves_what_it_was_handed, 0, 3);
	tcase_add_test(tcase, rubbish_is_not_served);
	tcase_add_test(tcase, what_cannot_be_paged_is_refused_with_the_reason);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
