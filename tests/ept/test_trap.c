/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Traps without a machine: a thread of the test, or a system call of its, stands for the guest and
 * touches the memory where KVM would.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ept/trap.h"
#include "tests/ept/random.h"
#include "tests/harness.h"

#define PAGE  EPT_PAGE_BYTES
#define BASE  (1ULL << 32)
#define PAGES 1024

static struct gpa_space *space;
static const struct gpa_region *ram;
static struct trap_set *set;
static struct error error;

/* What the answering function was told, and what it answers. */
static pthread_mutex_t told_lock = PTHREAD_MUTEX_INITIALIZER;
static struct trap_event last;
static unsigned int told;
static enum trap_answer answer;

static enum trap_answer on_trap(void *context, const struct trap_event *event)
{
	enum trap_answer now;

	ck_assert_ptr_eq(context, &told);
	pthread_mutex_lock(&told_lock);
	last = *event;
	told++;
	now = answer;
	pthread_mutex_unlock(&told_lock);
	return now;
}

static void answer_with(enum trap_answer with)
{
	pthread_mutex_lock(&told_lock);
	answer = with;
	pthread_mutex_unlock(&told_lock);
}

static unsigned int times_told(struct trap_event *event_out)
{
	unsigned int now;

	pthread_mutex_lock(&told_lock);
	now = told;
	if (event_out)
		*event_out = last;
	pthread_mutex_unlock(&told_lock);
	return now;
}

static void add_ram(enum gpa_backing_kind kind, bool trappable)
{
	struct gpa_request request = {.name = "ram",
				      .start = gpa_make(BASE),
				      .size_bytes = PAGES * PAGE,
				      .backing = {.kind = kind, .trappable = trappable}};

	ck_assert_msg(gpa_space_add(space, &request, &ram, &error) == 0, "%s", error.text);
}

static void setup_kind(enum gpa_backing_kind kind, bool trappable)
{
	ck_assert_int_eq(gpa_space_create(40, &space, &error), 0);
	add_ram(kind, trappable);
	ck_assert_msg(trap_set_create(space, -1, on_trap, &told, &set, &error) == 0, "%s",
		      error.text);
	told = 0;
	answer_with(TRAP_LET);
}

static void setup(void)
{
	setup_kind(GPA_BACKING_MEMFD, true);
}

static void teardown(void)
{
	trap_set_destroy(set);
	gpa_space_destroy(space);
}

static volatile char *guest_byte(uint64_t page)
{
	return (volatile char *)ram->slot_host + page * PAGE;
}

static gpa_t gpa_of(uint64_t page)
{
	return gpa_make(BASE + page * PAGE);
}

static void watch(uint64_t from, uint64_t to, enum trap_access access)
{
	ck_assert_msg(trap_watch(set, gpa_of(from), gpa_of(to), access, &error) == 0, "%s",
		      error.text);
}

static void unwatch(uint64_t from, uint64_t to)
{
	ck_assert_msg(trap_unwatch(set, gpa_of(from), gpa_of(to), &error) == 0, "%s", error.text);
}

/* A load by the kernel, as KVM's emulator does it: the byte, or -errno. */
static int kernel_read(uint64_t page)
{
	int pipe_fds[2], result = -EIO;
	unsigned char byte = 0;

	ck_assert_int_eq(pipe(pipe_fds), 0);
	if (write(pipe_fds[1], (const void *)guest_byte(page), 1) != 1)
		result = -errno;
	else if (read(pipe_fds[0], &byte, 1) == 1)
		result = byte;
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return result;
}

static int kernel_write(uint64_t page, unsigned char byte)
{
	int pipe_fds[2], result = 0;

	ck_assert_int_eq(pipe(pipe_fds), 0);
	ck_assert_int_eq(write(pipe_fds[1], &byte, 1), 1);
	if (read(pipe_fds[0], (void *)(uintptr_t)guest_byte(page), 1) != 1)
		result = -errno;
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return result;
}

START_TEST(an_access_is_told_before_it_happens_and_finds_the_content)
{
	struct trap_event event;

	memset((char *)ram->host + 5 * PAGE, 0x5a, PAGE);
	ck_assert_int_eq(*guest_byte(5), 0x5a);
	watch(5, 6, TRAP_ANY);
	ck_assert_int_eq(*(guest_byte(5) + 8), 0x5a);
	ck_assert_uint_eq(times_told(&event), 1);
	ck_assert_uint_eq(event.gpa.value & ~(PAGE - 1), gpa_of(5).value);
	ck_assert_int_eq(event.watched, TRAP_ANY);
	ck_assert(!event.write);
	ck_assert_int_eq(event.thread, gettid());
	/* Open until it is armed again. */
	ck_assert_int_eq(*guest_byte(5), 0x5a);
	ck_assert_uint_eq(times_told(NULL), 1);
	ck_assert_int_eq(trap_arm(set, gpa_of(5)), 0);
	*guest_byte(5) = 1;
	ck_assert_uint_eq(times_told(&event), 2);
	ck_assert(event.write);
	ck_assert_int_eq(*((char *)ram->host + 5 * PAGE), 1);
}
END_TEST

START_TEST(a_page_that_was_never_there_reads_as_zero)
{
	watch(7, 9, TRAP_ANY);
	ck_assert_int_eq(*guest_byte(7), 0);
	ck_assert_int_eq(*guest_byte(8), 0);
	ck_assert_uint_eq(times_told(NULL), 2);
}
END_TEST

START_TEST(a_write_watch_lets_reads_pass)
{
	*guest_byte(3) = 3;
	watch(3, 5, TRAP_WRITE);
	ck_assert_int_eq(*guest_byte(3), 3);
	ck_assert_int_eq(*guest_byte(4), 0);
	ck_assert_uint_eq(times_told(NULL), 0);
	*guest_byte(3) = 4;
	ck_assert_uint_eq(times_told(NULL), 1);
	*guest_byte(3) = 5;
	ck_assert_uint_eq(times_told(NULL), 1);
	ck_assert_int_eq(trap_arm(set, gpa_of(3)), 0);
	*guest_byte(3) = 6;
	ck_assert_uint_eq(times_told(NULL), 2);
	ck_assert_int_eq(*guest_byte(3), 6);
}
END_TEST

/* What memory pressure does to an entry, on hosts that have swap, must not lose the watch. */
START_TEST(a_write_watch_outlives_its_entry)
{
	*guest_byte(3) = 3;
	watch(3, 4, TRAP_WRITE);
	ck_assert_int_eq(madvise((void *)(uintptr_t)guest_byte(3), PAGE, MADV_PAGEOUT), 0);
	ck_assert_int_eq(*guest_byte(3), 3);
	ck_assert_uint_eq(times_told(NULL), 0);
	*guest_byte(3) = 4;
	ck_assert_uint_eq(times_told(NULL), 1);
}
END_TEST

START_TEST(the_vmm_itself_never_traps)
{
	char bytes[16] = "abcdefghijklmno", back[16];

	watch(0, PAGES, TRAP_ANY);
	ck_assert_int_eq(gpa_space_write(space, gpa_of(9), bytes, sizeof(bytes)), 0);
	ck_assert_int_eq(gpa_space_read(space, gpa_of(9), back, sizeof(back)), 0);
	ck_assert_str_eq(back, bytes);
	ck_assert_uint_eq(times_told(NULL), 0);
	ck_assert_int_eq(*guest_byte(9), 'a');
	ck_assert_uint_eq(times_told(NULL), 1);
}
END_TEST

START_TEST(pages_beside_a_watched_one_pass_untold)
{
	struct trap_counts counts;

	*guest_byte(1) = 1;
	watch(2, 3, TRAP_ANY);
	ck_assert_int_eq(*guest_byte(1), 1);
	ck_assert_int_eq(*guest_byte(3), 0);
	*guest_byte(4) = 4;
	ck_assert_uint_eq(times_told(NULL), 0);
	trap_counts(set, &counts);
	ck_assert_uint_eq(counts.events, 0);
	ck_assert_uint_ge(counts.passed, 2);
	ck_assert_uint_eq(counts.watched_pages, 1);
	unwatch(2, 3);
	ck_assert_int_eq(*guest_byte(2), 0);
	ck_assert_uint_eq(times_told(NULL), 0);
	trap_counts(set, &counts);
	ck_assert_uint_eq(counts.watched_pages, 0);
}
END_TEST

START_TEST(a_failed_access_fails_until_it_is_released)
{
	*guest_byte(6) = 66;
	watch(6, 7, _i ? TRAP_WRITE : TRAP_ANY);
	answer_with(TRAP_FAIL);
	if (!_i) {
		ck_assert_int_eq(kernel_read(6), -EFAULT);
		ck_assert_uint_eq(times_told(NULL), 1);
	}
	ck_assert_int_eq(kernel_write(6, 7), -EFAULT);
	ck_assert_int_eq(kernel_write(6, 7), -EFAULT);
	ck_assert_uint_eq(times_told(NULL), 1);
	ck_assert_int_eq(*((char *)ram->host + 6 * PAGE), 66);
	ck_assert_int_eq(trap_release(set, gpa_of(6)), 0);
	ck_assert_int_eq(kernel_read(6), 66);
	ck_assert_int_eq(kernel_write(6, 7), 0);
	ck_assert_uint_eq(times_told(NULL), 1);
	ck_assert_int_eq(trap_arm(set, gpa_of(6)), 0);
	ck_assert_int_eq(kernel_write(6, 8), -EFAULT);
	ck_assert_uint_eq(times_told(NULL), 2);
	unwatch(6, 7);
	ck_assert_int_eq(kernel_read(6), 7);
}
END_TEST

static void *toucher(void *page)
{
	*guest_byte((uintptr_t)page) = 77;
	return NULL;
}

static void wait_told(unsigned int times)
{
	for (int i = 0; i < 2000 && times_told(NULL) < times; i++)
		usleep(1000);
	ck_assert_uint_eq(times_told(NULL), times);
}

START_TEST(who_is_held_waits_until_the_release)
{
	pthread_t thread;

	watch(11, 12, _i ? TRAP_WRITE : TRAP_ANY);
	answer_with(TRAP_HOLD);
	ck_assert_int_eq(pthread_create(&thread, NULL, toucher, (void *)11), 0);
	wait_told(1);
	usleep(20000);
	ck_assert_int_eq(*((char *)ram->host + 11 * PAGE), 0);
	ck_assert_int_eq(trap_release(set, gpa_of(11)), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(*((char *)ram->host + 11 * PAGE), 77);
}
END_TEST

START_TEST(the_end_of_the_set_lets_everybody_go)
{
	pthread_t thread;

	watch(11, 12, TRAP_ANY);
	answer_with(TRAP_HOLD);
	ck_assert_int_eq(pthread_create(&thread, NULL, toucher, (void *)11), 0);
	wait_told(1);
	trap_set_destroy(set);
	set = NULL;
	pthread_join(thread, NULL);
	ck_assert_int_eq(*guest_byte(11), 77);
}
END_TEST

START_TEST(a_watch_goes_with_its_region)
{
	watch(2, 3, TRAP_ANY);
	ck_assert_int_eq(gpa_space_remove(space, ram, &error), 0);
	ck_assert_int_eq(trap_watched(set, gpa_of(2)), TRAP_NONE);
	add_ram(GPA_BACKING_MEMFD, true);
	ck_assert_int_eq(trap_watched(set, gpa_of(2)), TRAP_NONE);
	*guest_byte(2) = 1;
	ck_assert_uint_eq(times_told(NULL), 0);
}
END_TEST

START_TEST(what_cannot_be_watched_is_refused_with_the_reason)
{
	gpa_t start = gpa_of(0), end = gpa_of(1), high = gpa_of(PAGES + 1);

	ck_assert_int_eq(trap_watch(set, gpa_make(BASE + 1), end, TRAP_ANY, &error), -EINVAL);
	ck_assert_int_eq(trap_watch(set, start, start, TRAP_ANY, &error), -EINVAL);
	ck_assert_int_eq(trap_watch(set, start, end, TRAP_NONE, &error), -EINVAL);
	ck_assert_int_eq(trap_watch(set, start, high, TRAP_ANY, &error), -EFAULT);
	ck_assert_ptr_nonnull(strstr(error.text, "no memory at"));
	ck_assert_int_eq(trap_watched(set, start), TRAP_NONE);
	ck_assert_int_eq(trap_release(set, start), -ENOENT);
	ck_assert_int_eq(trap_arm(set, high), -ENOENT);
	teardown();
	setup_kind(GPA_BACKING_MEMFD, false);
	ck_assert_int_eq(trap_watch(set, start, end, TRAP_ANY, &error), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(error.text, "not trappable"));
}
END_TEST

START_TEST(anonymous_memory_traps_as_well)
{
	teardown();
	setup_kind(GPA_BACKING_ANON, true);
	*guest_byte(1) = 11;
	watch(1, 2, TRAP_ANY);
	ck_assert_int_eq(*((char *)ram->host + PAGE), 11);
	ck_assert_int_eq(*guest_byte(1), 11);
	ck_assert_uint_eq(times_told(NULL), 1);
}
END_TEST

START_TEST(huge_and_private_memory_is_refused)
{
	struct gpa_request request = {
		.name = "huge",
		.start = gpa_make(2 * BASE),
		.size_bytes = EPT_PAGE_2M_BYTES,
		.backing = {.hugetlb_bytes = EPT_PAGE_2M_BYTES, .trappable = true}};

	ck_assert_int_eq(gpa_space_add(space, &request, NULL, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "grain of 4 KiB"));
}
END_TEST

/* Against an array: what is watched, what is open, and how often something must be told. */
START_TEST(random_watches_tell_exactly_what_they_must)
{
	enum trap_access model[64] = {0};
	bool open[64] = {0};
	uint64_t seed = random_seed("trap");
	unsigned int expected = 0;

	for (int step = 0; step < 3000; step++) {
		uint64_t page = random_below(&seed, 64), end = page + 1 + random_below(&seed, 8);
		enum trap_access access = 1 + (enum trap_access)random_below(&seed, 2);

		end = end > 64 ? 64 : end;
		switch (random_below(&seed, 6)) {
		case 0:
			watch(page, end, access);
			for (uint64_t i = page; i < end; i++)
				model[i] = access, open[i] = false;
			break;
		case 1:
			unwatch(page, end);
			for (uint64_t i = page; i < end; i++)
				model[i] = TRAP_NONE;
			break;
		case 2:
			ck_assert_int_eq(trap_arm(set, gpa_of(page)), model[page] ? 0 : -ENOENT);
			open[page] = false;
			break;
		case 3:
			ck_assert_int_eq(trap_release(set, gpa_of(page)),
					 model[page] ? 0 : -ENOENT);
			open[page] = true;
			break;
		case 4:
			if (model[page] == TRAP_ANY && !open[page])
				expected++, open[page] = true;
			ck_assert_int_eq(*guest_byte(page), *((char *)ram->host + page * PAGE));
			break;
		default:
			if (model[page] && !open[page])
				expected++, open[page] = true;
			*guest_byte(page) = (char)step;
			ck_assert_int_eq(*((char *)ram->host + page * PAGE), (char)step);
		}
		if (!model[page])
			open[page] = false;
		ck_assert_int_eq(trap_watched(set, gpa_of(page)), model[page]);
		ck_assert_uint_eq(times_told(NULL), expected);
	}
}
END_TEST

START_TEST(without_permission_the_error_says_what_to_do)
{
	struct trap_set *none;
	int status;
	pid_t child;

	if (geteuid() != 0) {
		printf("not root: nothing to give up\n");
		return;
	}
	child = fork();
	if (child == 0) {
		int err = setuid(65534) ? 0
					: trap_set_create(space, -1, on_trap, &told, &none, &error);

		/* An administrator may have allowed it to everybody. */
		_exit(err == 0 || (err == -EPERM && strstr(error.text, "unprivileged_userfaultfd"))
			      ? 0
			      : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("trap");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, an_access_is_told_before_it_happens_and_finds_the_content);
	tcase_add_test(tcase, a_page_that_was_never_there_reads_as_zero);
	tcase_add_test(tcase, a_write_watch_lets_reads_pass);
	tcase_add_test(tcase, a_write_watch_outlives_its_entry);
	tcase_add_test(tcase, the_vmm_itself_never_traps);
	tcase_add_test(tcase, pages_beside_a_watched_one_pass_untold);
	tcase_add_loop_test(tcase, a_failed_access_fails_until_it_is_released, 0, 2);
	tcase_add_loop_test(tcase, who_is_held_waits_until_the_release, 0, 2);
	tcase_add_test(tcase, the_end_of_the_set_lets_everybody_go);
	tcase_add_test(tcase, a_watch_goes_with_its_region);
	tcase_add_test(tcase, what_cannot_be_watched_is_refused_with_the_reason);
	tcase_add_test(tcase, anonymous_memory_traps_as_well);
	tcase_add_test(tcase, huge_and_private_memory_is_refused);
	tcase_add_test(tcase, random_watches_tell_exactly_what_they_must);
	tcase_add_test(tcase, without_permission_the_error_says_what_to_do);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
