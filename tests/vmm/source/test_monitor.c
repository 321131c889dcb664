/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A QEMU's monitor as a source, and what is none: a server on a socket of the test's own, in a
 * thread, whose guest's memory is an array of this process. It may end the conversation at any
 * command, say what no monitor says, or show other bytes than there are, as one whose guest
 * writes. Domains of libvirt's own test driver, which is in its library, are no QEMU's.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/regs.h"
#include "tests/harness.h"
#include "tests/scratch.h"
#include "vmm/source/source.h"

#define PAGE  4096u
#define PAGES 4u

/* ---- the other end ---- */

static struct fake {
	const char *greeting;  /* NULL: a QEMU's */
	unsigned int commands; /* answered before it hangs up; 0: all */
	bool changing;         /* xp shows what is not there any more */
	bool lost;             /* gpa2hva names memory that is not the guest's */
	bool foreign;          /* it speaks QMP, and is no QEMU */
	int listener;
	pthread_t thread;
	char path[64];
} fake;

static uint8_t guest_memory[PAGES * PAGE] __attribute__((aligned(4096)));

static void say(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void answer_text(int fd, const char *text)
{
	json_t *answer = json_pack("{s:s}", "return", text);
	char *line = json_dumps(answer, JSON_COMPACT);

	say(fd, line);
	say(fd, "\r\n");
	free(line);
	json_decref(answer);
}

static void save(const json_t *arguments)
{
	const char *path = json_string_value(json_object_get(arguments, "filename"));
	size_t at = (size_t)json_integer_value(json_object_get(arguments, "val"));
	size_t size = (size_t)json_integer_value(json_object_get(arguments, "size"));
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, guest_memory + at, size), (ssize_t)size);
	close(fd);
}

static void answer_human(int fd, const char *line)
{
	static uint64_t drift;
	char text[1024];
	uint64_t gpa = 0, value = 0;

	if (!strcmp(line, "info mtree -f")) {
		snprintf(text, sizeof(text),
			 "FlatView #0\r\n AS \"memory\", root: system\r\n Root memory region: s\r\n"
			 "  %016x-%016x (prio 0, ram): pc.ram\r\n",
			 0, PAGES * PAGE - 1);
	} else if (sscanf(line, "gpa2hva 0x%" SCNx64, &gpa) == 1) {
		snprintf(text, sizeof(text),
			 "Host virtual address for 0x%" PRIx64 " (pc.ram) is %p", gpa,
			 fake.lost ? (void *)(uintptr_t)0x1000 : (void *)(guest_memory + gpa));
	} else if (sscanf(line, "xp /1gx 0x%" SCNx64, &gpa) == 1) {
		memcpy(&value, guest_memory + gpa, 8);
		snprintf(text, sizeof(text), "%016" PRIx64 ": 0x%016" PRIx64, gpa,
			 value + (fake.changing ? ++drift : 0));
	} else if (!strncmp(line, "info registers", 14)) {
		snprintf(text, sizeof(text),
			 "RAX=1 RBX=2 RCX=3 RDX=4\r\nRSI=5 RDI=6 RBP=7 RSP=8\r\nR8 =9 R9 =a R10=b "
			 "R11=c\r\nR12=d R13=e R14=f R15=10\r\nRIP=11 RFL=2 [-]\r\nCR0=80050033 "
			 "CR2=0 CR3=2000 CR4=20\r\nEFER=d01\r\n");
	} else {
		snprintf(text, sizeof(text), "unknown command: '%.64s'\r\n", line);
	}
	answer_text(fd, text);
}

static void answer(int fd, const json_t *command)
{
	const char *name = json_string_value(json_object_get(command, "execute"));
	const json_t *arguments = json_object_get(command, "arguments");

	/* Events come when they like. */
	say(fd, "{\"event\":\"RTC_CHANGE\",\"data\":{}}\r\n");
	if (fake.foreign && strcmp(name, "qmp_capabilities") != 0)
		say(fd, "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"no such "
			"command\"}}\r\n");
	else if (!strcmp(name, "human-monitor-command"))
		answer_human(fd, json_string_value(json_object_get(arguments, "command-line")));
	else if (!strcmp(name, "query-cpus-fast"))
		say(fd, "{\"return\":[{\"cpu-index\":0}]}\r\n");
	else {
		if (!strcmp(name, "pmemsave"))
			save(arguments);
		say(fd, "{\"return\":{}}\r\n");
	}
}

static void *serve(void *unused)
{
	int fd = accept(fake.listener, NULL, NULL);
	FILE *stream = fdopen(dup(fd), "r");
	char line[4096];

	say(fd, fake.greeting ?: "{\"QMP\":{\"version\":{},\"capabilities\":[]}}\r\n");
	for (unsigned int done = 0; !fake.commands || done < fake.commands - 1; done++) {
		json_t *command;

		if (!fgets(line, sizeof(line), stream))
			break;
		command = json_loads(line, 0, NULL);
		ck_assert_ptr_nonnull(command);
		answer(fd, command);
		json_decref(command);
	}
	fclose(stream);
	close(fd);
	return unused;
}

static void begin(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(fake.path, sizeof(fake.path), "%s/nestbox-monitor-%d", P_tmpdir, (int)getpid());
	unlink(fake.path);
	strcpy(address.sun_path, fake.path);
	fake.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fake.listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(fake.listener, 1), 0);
	ck_assert_int_eq(pthread_create(&fake.thread, NULL, serve, NULL), 0);
}

static void end(void)
{
	pthread_join(fake.thread, NULL);
	close(fake.listener);
	unlink(fake.path);
}

static void fill(void)
{
	for (size_t i = 0; i < sizeof(guest_memory); i++)
		guest_memory[i] = (uint8_t)(i / 8 * 37 + i / PAGE + 1);
}

/* ---- one that is right ---- */

static void reads_all(const char *how)
{
	struct inspect_registers registers;
	struct inspect_source inspect;
	struct source *source = NULL;
	struct error error = {""};

	fill();
	begin();
	ck_assert_msg(source_open_qmp(fake.path, &source, &error) == 0, "%s", error.text);
	ck_assert_msg(strstr(source_about(source), how) != NULL, "%s", source_about(source));
	ck_assert_msg(source_inspect(source, &inspect, &error) == 0, "%s", error.text);
	ck_assert_uint_eq(inspect.nr_ram, 1);
	ck_assert_uint_eq(inspect.ram[0].end, sizeof(guest_memory));
	for (uint64_t gpa = 0; gpa < sizeof(guest_memory); gpa += PAGE)
		ck_assert_mem_eq(inspect.physical(inspect.context, gpa, PAGE), guest_memory + gpa,
				 PAGE);
	ck_assert_ptr_null(inspect.physical(inspect.context, sizeof(guest_memory), 1));
	ck_assert_int_eq(inspect.registers(inspect.context, 0, &registers), 0);
	ck_assert_uint_eq(registers.reg[REGS_R15], 0x10);
	ck_assert_uint_eq(registers.cr3, 0x2000);
	ck_assert_int_eq(inspect.registers(inspect.context, 1, &registers), -ENOENT);
	/* What was copied is forgotten, and read anew. */
	guest_memory[PAGE] ^= 0xff;
	ck_assert_msg(source_refresh(source, &error) == 0, "%s", error.text);
	ck_assert_mem_eq(inspect.physical(inspect.context, PAGE, PAGE), guest_memory + PAGE, PAGE);
	source_close(source);
	end();
}

START_TEST(memory_is_read_from_the_process_behind_it)
{
	reads_all("read from QEMU's process");
}
END_TEST

START_TEST(memory_that_changes_while_it_is_sampled_is_copied)
{
	fake.changing = true;
	reads_all("copied by QEMU at each look");
}
END_TEST

START_TEST(a_process_that_is_not_the_guests_is_not_believed)
{
	fake.lost = true;
	reads_all("copied by QEMU at each look");
}
END_TEST

/* ---- what goes wrong ---- */

static int open_it(struct error *error)
{
	struct source *source = NULL;
	int err;

	error->text[0] = '\0';
	fill();
	begin();
	err = source_open_qmp(fake.path, &source, error);
	ck_assert(err ? *error->text && !source : source != NULL);
	source_close(source);
	end();
	return err;
}

START_TEST(a_connection_that_drops_at_any_command_is_an_error)
{
	unsigned int enough = 0;
	struct error error;
	int err;

	/* The last turn is the first that needs no more. */
	for (unsigned int commands = 1; commands < 64 && !enough; commands++) {
		fake.commands = commands;
		err = open_it(&error);
		ck_assert_msg(err == 0 || err == -EPIPE || err == -ECONNRESET, "%d: %s", err,
			      error.text);
		if (!err)
			enough = commands;
	}
	/* qmp_capabilities, info mtree, query-cpus-fast, and more than one sample. */
	ck_assert_uint_gt(enough, 5);
}
END_TEST

static const struct {
	const char *greeting;
	int err;
	const char *word;
} strangers[] = {
	{"HTTP/1.1 400 Bad Request\r\n", -EPROTO, "speaks no QMP"},
	{"SSH-2.0-OpenSSH_9.2\r\n", -EPROTO, "speaks no QMP"},
	{"[1, 2]\r\n", -EPROTO, "speaks no QMP"},
	{"{\"QMP\":\r\n", -EPROTO, "speaks no QMP"},
	{"\377\376\r\n", -EPROTO, "speaks no QMP"},
	{"{\"hello\": 1}\r\n", -EPIPE, "closed"},
	{"", -EPIPE, "closed"},
	{"a line that has no end", -EPIPE, "closed"},
	{"{\"error\":{\"desc\":\"go away\"}}\r\n", -EPROTO, "does not greet"},
};

START_TEST(what_is_no_qemu_is_refused)
{
	struct error error;
	int err;

	fake.greeting = strangers[_i].greeting;
	fake.commands = 1;
	err = open_it(&error);
	/* What it did not read of ours makes a close a reset. */
	ck_assert_msg(err == strangers[_i].err ||
			      (err == -ECONNRESET && strangers[_i].err == -EPIPE),
		      "%d: %s", err, error.text);
	ck_assert_msg(err == -ECONNRESET || strstr(error.text, strangers[_i].word), "%s",
		      error.text);
}
END_TEST

START_TEST(one_that_speaks_qmp_and_is_no_qemu_is_refused)
{
	struct error error;

	fake.foreign = true;
	ck_assert_int_eq(open_it(&error), -EREMOTEIO);
	ck_assert_ptr_nonnull(strstr(error.text, "no such command"));
}
END_TEST

START_TEST(a_socket_nobody_serves_is_an_error)
{
	char path[256];
	struct source *source;
	struct error error;

	ck_assert_int_eq(source_open_qmp("/nowhere/at/all", &source, &error), -ENOENT);
	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	ck_assert_int_eq(source_open_qmp(path, &source, &error), -ENAMETOOLONG);
}
END_TEST

START_TEST(a_guest_that_ends_is_not_looked_at_any_longer)
{
	struct source *source = NULL;
	struct error error = {""};
	int err = -1;

	fill();
	/* Enough to open it and a few looks. */
	fake.commands = 16;
	begin();
	ck_assert_int_eq(source_open_qmp(fake.path, &source, &error), 0);
	for (int looks = 0; looks < 16 && (looks == 0 || !err); looks++)
		err = source_refresh(source, &error);
	ck_assert_msg(err == -EPIPE || err == -ECONNRESET, "%d: %s", err, error.text);
	source_close(source);
	end();
}
END_TEST

/* ---- libvirt ---- */

#ifdef HAVE_LIBVIRT

static void libvirt_refuses(const char *uri, const char *domain, int expected, const char *word)
{
	struct source *source = NULL;
	struct error error = {""};
	int err = source_open_libvirt(uri, domain, &source, &error);

	ck_assert_msg(err == expected, "%d: %s", err, error.text);
	ck_assert_msg(strstr(error.text, word) != NULL, "'%s' says nothing of '%s'", error.text,
		      word);
	ck_assert_ptr_null(source);
}

START_TEST(a_domain_that_is_no_qemus_is_refused)
{
	libvirt_refuses("test:///default", "test", -EPROTO, "hypervisor is TEST");
}
END_TEST

START_TEST(a_domain_there_is_not_is_refused_with_libvirts_number)
{
	libvirt_refuses("test:///default", "nobody", -ENOENT, "(error 42)");
	libvirt_refuses("test:///default", "6695eb01-f6a4-8304-79aa-97f2502e193e", -ENOENT,
			"(error 42)");
}
END_TEST

START_TEST(a_domain_shut_off_is_said_to_be)
{
	char uri[96];

	scratch_write("<node xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>"
		      "<domain type='test'><name>off</name><memory>8192</memory>"
		      "<os><type>hvm</type></os><test:runstate>5</test:runstate></domain></node>");
	snprintf(uri, sizeof(uri), "test://%s", scratch_path);
	libvirt_refuses(uri, "off", -ENOENT, "off is shut off");
	scratch_remove();
}
END_TEST

START_TEST(a_connection_there_is_not_is_refused)
{
	libvirt_refuses("qemu:///system?socket=/nowhere/at/all", "a", -ECONNREFUSED,
			"/nowhere/at/all");
	libvirt_refuses("frob:///", "a", -ECONNREFUSED, "frob");
}
END_TEST

#endif

int main(void)
{
	Suite *suite = suite_create("monitor");
	TCase *cases = tcase_create("monitor");

	tcase_add_test(cases, memory_is_read_from_the_process_behind_it);
	tcase_add_test(cases, memory_that_changes_while_it_is_sampled_is_copied);
	tcase_add_test(cases, a_process_that_is_not_the_guests_is_not_believed);
	tcase_add_test(cases, a_connection_that_drops_at_any_command_is_an_error);
	tcase_add_loop_test(cases, what_is_no_qemu_is_refused, 0,
			    (int)(sizeof(strangers) / sizeof(strangers[0])));
	tcase_add_test(cases, one_that_speaks_qmp_and_is_no_qemu_is_refused);
	tcase_add_test(cases, a_socket_nobody_serves_is_an_error);
	tcase_add_test(cases, a_guest_that_ends_is_not_looked_at_any_longer);
#ifdef HAVE_LIBVIRT
	tcase_add_test(cases, a_domain_that_is_no_qemus_is_refused);
	tcase_add_test(cases, a_domain_there_is_not_is_refused_with_libvirts_number);
	tcase_add_test(cases, a_domain_shut_off_is_said_to_be);
	tcase_add_test(cases, a_connection_there_is_not_is_refused);
#endif
	suite_add_tcase(suite, cases);
	return harness_run(suite);
}
