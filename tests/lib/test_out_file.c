/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files that nestbox writes: whole or not at all, and nothing but regular files. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/out_file.h"
#include "tests/harness.h"

static char folder[] = "/dev/shm/nestbox-out-XXXXXX";
static char path[256];
static struct error error;

static const char *in_folder(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *file = fopen(in_folder(name), "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

static void assert_holds(const char *name, const char *text)
{
	char held[64] = "";
	FILE *file = fopen(in_folder(name), "r");

	ck_assert_ptr_nonnull(file);
	ck_assert(fgets(held, sizeof(held), file) || !*text);
	fclose(file);
	ck_assert_str_eq(held, text);
}

/* How many names the folder has, those of hidden files among them. */
static int names(void)
{
	char command[300];
	FILE *list;
	int count = 0;

	snprintf(command, sizeof(command), "ls -A %s", folder);
	list = popen(command, "r");
	ck_assert_ptr_nonnull(list);
	for (int c = fgetc(list); c != EOF; c = fgetc(list))
		count += c == '\n';
	pclose(list);
	return count;
}

static void setup(void)
{
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void teardown(void)
{
	char command[300];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(a_file_appears_when_it_is_committed)
{
	struct out_file file;
	struct stat made;

	ck_assert_int_eq(out_file_begin(&file, in_folder("core"), &error), 0);
	ck_assert_int_eq(write(file.fd, "whole", 5), 5);
	ck_assert_int_eq(access(in_folder("core"), F_OK), -1);
	ck_assert_int_eq(out_file_commit(&file, &error), 0);
	assert_holds("core", "whole");
	ck_assert_int_eq(stat(path, &made), 0);
	ck_assert_uint_eq(made.st_mode & 07777, 0600);
	ck_assert_int_eq(names(), 1);
}
END_TEST

START_TEST(a_regular_file_is_replaced_with_mode_and_links_of_its_own)
{
	struct out_file file;
	struct stat made;

	put("core", "old");
	ck_assert_int_eq(chmod(path, 0666), 0);
	ck_assert_int_eq(link(path, "/dev/null"), -1);
	ck_assert_int_eq(out_file_begin(&file, in_folder("core"), &error), 0);
	ck_assert_int_eq(write(file.fd, "new", 3), 3);
	assert_holds("core", "old");
	ck_assert_int_eq(out_file_commit(&file, &error), 0);
	assert_holds("core", "new");
	ck_assert_int_eq(stat(path, &made), 0);
	ck_assert_uint_eq(made.st_mode & 07777, 0600);
	ck_assert_int_eq(names(), 1);
}
END_TEST

START_TEST(a_discarded_file_leaves_what_was_there)
{
	struct out_file file;

	put("core", "old");
	ck_assert_int_eq(out_file_begin(&file, in_folder("core"), &error), 0);
	ck_assert_int_eq(write(file.fd, "half", 4), 4);
	out_file_discard(&file);
	assert_holds("core", "old");
	ck_assert_int_eq(names(), 1);
}
END_TEST

static void make_fifo(void)
{
	ck_assert_int_eq(mkfifo(in_folder("it"), 0666), 0);
}

static void make_link(void)
{
	put("target", "untouched");
	ck_assert_int_eq(symlink("target", in_folder("it")), 0);
}

static void make_folder(void)
{
	ck_assert_int_eq(mkdir(in_folder("it"), 0777), 0);
}

static void make_socket(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%.100s", in_folder("it"));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	close(fd);
}

static const struct {
	void (*make)(void);
	int err;
	const char *word;
} others[] = {
	{make_fifo, -ENXIO, "a FIFO"},
	{make_link, -ENXIO, "a symbolic link"},
	{make_folder, -EISDIR, "a directory"},
	{make_socket, -ENXIO, "a socket"},
};

START_TEST(whatever_else_stands_there_is_refused_and_left)
{
	struct out_file file;
	struct stat before, after;
	int had;

	others[_i].make();
	had = names();
	ck_assert_int_eq(lstat(in_folder("it"), &before), 0);
	ck_assert_int_eq(out_file_begin(&file, path, &error), others[_i].err);
	ck_assert_ptr_nonnull(strstr(error.text, others[_i].word));
	ck_assert_int_eq(out_file_append(path, &error), others[_i].err);
	ck_assert_ptr_nonnull(strstr(error.text, others[_i].word));
	ck_assert_int_eq(lstat(path, &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	ck_assert_int_eq(names(), had);
}
END_TEST

/* What came to stand there while the file was written is refused as well. */
START_TEST(what_comes_meanwhile_is_refused_and_left)
{
	struct out_file file;
	struct stat after;

	ck_assert_int_eq(out_file_begin(&file, in_folder("it"), &error), 0);
	make_fifo();
	ck_assert_int_eq(out_file_commit(&file, &error), -ENXIO);
	ck_assert_int_eq(lstat(in_folder("it"), &after), 0);
	ck_assert(S_ISFIFO(after.st_mode));
	ck_assert_int_eq(names(), 1);
}
END_TEST

START_TEST(devices_are_refused)
{
	struct out_file file;

	ck_assert_int_eq(out_file_begin(&file, "/dev/null", &error), -ENXIO);
	ck_assert_ptr_nonnull(strstr(error.text, "/dev/null is a device"));
	ck_assert_int_eq(out_file_append("/dev/full", &error), -ENXIO);
}
END_TEST

START_TEST(names_that_name_no_file_are_refused)
{
	struct out_file file;

	ck_assert_int_eq(out_file_begin(&file, "", &error), -EINVAL);
	ck_assert_int_eq(out_file_begin(&file, "/", &error), -EISDIR);
	ck_assert_int_eq(out_file_begin(&file, "..", &error), -EISDIR);
	ck_assert_int_eq(out_file_begin(&file, in_folder("none/core"), &error), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error.text, "its folder"));
}
END_TEST

START_TEST(what_is_appended_follows_what_was_there)
{
	int fd;

	put("log", "one ");
	fd = out_file_append(in_folder("log"), &error);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "two", 3), 3);
	close(fd);
	assert_holds("log", "one two");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("out_file");
	TCase *tcase = tcase_create("out_file");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_file_appears_when_it_is_committed);
	tcase_add_test(tcase, a_regular_file_is_replaced_with_mode_and_links_of_its_own);
	tcase_add_test(tcase, a_discarded_file_leaves_what_was_there);
	tcase_add_loop_test(tcase, whatever_else_stands_there_is_refused_and_left, 0,
			    (int)(sizeof(others) / sizeof(others[0])));
	tcase_add_test(tcase, what_comes_meanwhile_is_refused_and_left);
	tcase_add_test(tcase, devices_are_refused);
	tcase_add_test(tcase, names_that_name_no_file_are_refused);
	tcase_add_test(tcase, what_is_appended_follows_what_was_there);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
