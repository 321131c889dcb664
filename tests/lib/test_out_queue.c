/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Output that nobody takes: it keeps nobody waiting, and what is lost is said. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/out_file.h"
#include "lib/out_queue.h"
#include "tests/harness.h"

#define LINE "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n" /* 64 bytes */

static int ends[2];
static struct out_queue *queue;

static void open_pipe(void)
{
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	ck_assert_int_eq(out_queue_create(ends[1], NULL, 0, &queue, NULL), 0);
}

static void say(unsigned int lines)
{
	while (lines--)
		ck_assert_int_ge(fputs(LINE, out_queue_file(queue)), 0);
}

START_TEST(what_is_read_arrives_whole_and_in_order)
{
	char text[64];
	unsigned int i;
	FILE *reader;

	open_pipe();
	for (i = 0; i < 10000; i++)
		fprintf(out_queue_file(queue), "%u\n", i);
	reader = fdopen(ends[0], "r");
	for (i = 0; i < 10000; i++) {
		ck_assert_ptr_nonnull(fgets(text, sizeof(text), reader));
		ck_assert_uint_eq(strtoul(text, NULL, 10), i);
	}
	ck_assert_uint_eq(out_queue_dropped(queue), 0);
	out_queue_destroy(queue);
	ck_assert_ptr_null(fgets(text, sizeof(text), reader));
	fclose(reader);
}
END_TEST

/* Without the queue this sleeps in write(2) until Check ends it. */
START_TEST(a_pipe_nobody_reads_keeps_nobody)
{
	open_pipe();
	say(100000);
	ck_assert_uint_gt(out_queue_dropped(queue), 100000 * 64 - OUT_QUEUE_BYTES - (1 << 20));
	/*
	 * Gone before the queue is, so that its thread ends by itself: AddressSanitizer takes the
	 * unwinding of a cancelled one for an overflow. scripts/attack ends a program whose output
	 * nobody reads.
	 */
	close(ends[0]);
	out_queue_destroy(queue);
}
END_TEST

START_TEST(what_is_dropped_is_counted_and_said)
{
	uint64_t lines = 0, said = 0, dropped, one;
	char text[256];
	FILE *reader;

	open_pipe();
	say(100000);
	dropped = out_queue_dropped(queue);
	reader = fdopen(ends[0], "r");
	/* The pipe and the queue first, then what became of the rest. */
	while (!said && fgets(text, sizeof(text), reader)) {
		if (sscanf(text, "nestbox: %" SCNu64 " bytes of output are dropped here", &one) ==
		    1)
			said += one;
		else
			lines += !strcmp(text, LINE);
	}
	ck_assert_uint_eq(said, dropped);
	ck_assert_uint_eq(64 * lines + dropped, 64 * 100000);
	say(1);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), reader));
	ck_assert_str_eq(text, LINE);
	out_queue_destroy(queue);
	fclose(reader);
}
END_TEST

START_TEST(a_reader_that_goes_away_ends_nobody)
{
	open_pipe();
	close(ends[0]);
	say(1000);
	out_queue_destroy(queue);
}
END_TEST

/* ---- files ---- */

static char folder[] = "/dev/shm/nestbox-queue-XXXXXX", file[64], old[64];

static void open_log(uint64_t limit)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/log", folder);
	snprintf(old, sizeof(old), "%s/log.1", folder);
	ck_assert_int_eq(out_queue_create(out_file_append(file, NULL), file, limit, &queue, NULL),
			 0);
}

static off_t size_of(const char *path)
{
	struct stat there;

	ck_assert_int_eq(lstat(path, &there), 0);
	return S_ISREG(there.st_mode) ? there.st_size : -1;
}

static void remove_log(void)
{
	unlink(file);
	unlink(old);
	ck_assert_int_eq(rmdir(folder), 0);
}

START_TEST(a_log_keeps_to_its_limit_and_one_older)
{
	open_log(16384);
	for (int i = 0; i < 20; i++) {
		say(60);
		usleep(1000);
	}
	out_queue_destroy(queue);
	ck_assert_int_le(size_of(file), 16384);
	ck_assert_int_gt(size_of(old), 0);
	ck_assert_int_le(size_of(old), 16384);
	remove_log();
}
END_TEST

START_TEST(rotation_replaces_files_alone)
{
	open_log(8192);
	ck_assert_int_eq(mkfifo(old, 0600), 0);
	say(400);
	usleep(100000);
	ck_assert_uint_gt(out_queue_dropped(queue), 0);
	out_queue_destroy(queue);
	ck_assert_int_eq(size_of(old), -1);
	ck_assert_int_le(size_of(file), 8192);
	remove_log();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("out_queue");
	TCase *tcase = tcase_create("queue");

	tcase_set_timeout(tcase, 20);
	tcase_add_test(tcase, what_is_read_arrives_whole_and_in_order);
	tcase_add_test(tcase, a_pipe_nobody_reads_keeps_nobody);
	tcase_add_test(tcase, what_is_dropped_is_counted_and_said);
	tcase_add_test(tcase, a_reader_that_goes_away_ends_nobody);
	tcase_add_test(tcase, a_log_keeps_to_its_limit_and_one_older);
	tcase_add_test(tcase, rotation_replaces_files_alone);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
