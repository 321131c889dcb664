/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clients made for QEMU on our socket: its commands with its arguments and output, what drgn sends
 * when it attaches to a QEMU that runs, descriptors that come with commands.
 */
#include "tests/machine/service_fixture.h"

#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

/* The text of a line of the human monitor; to be freed. */
static char *human(const char *line)
{
	json_t *text = client_do(fd, "human-monitor-command", "'command-line': '%s'", line);
	char *copy;

	ck_assert(json_is_string(text));
	copy = strdup(json_string_value(text));
	json_decref(text);
	return copy;
}

static void human_is(const char *line, const char *expected)
{
	char *text = human(line);

	ck_assert_msg(strcmp(text, expected) == 0, "%s: '%s', not '%s'", line, text, expected);
	free(text);
}

static void human_has(const char *line, const char *part)
{
	char *text = human(line);

	ck_assert_msg(strstr(text, part) != NULL, "%s: '%s' lacks '%s'", line, text, part);
	free(text);
}

/* Sends a command with a descriptor; the answer, a new reference. */
static json_t *say_with_fd(const char *text, int passed)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr aligned;
	} control = {.bytes = {0}};
	struct iovec vector = {(void *)(uintptr_t)text, strlen(text)};
	struct msghdr message = {.msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	json_t *answer;

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &passed, sizeof(int));
	ck_assert_int_eq(sendmsg(fd, &message, 0), (ssize_t)strlen(text));
	answer = client_hear(fd);
	while (json_object_get(answer, "event")) {
		json_decref(answer);
		answer = client_hear(fd);
	}
	ck_assert_ptr_nonnull(answer);
	return answer;
}

static void name_fd(int passed, const char *name)
{
	char text[128];
	json_t *answer;

	snprintf(text, sizeof(text),
		 "{\"execute\": \"getfd\", \"arguments\": {\"fdname\": \"%s\"}}", name);
	answer = say_with_fd(text, passed);
	ck_assert_ptr_nonnull(json_object_get(answer, "return"));
	json_decref(answer);
}

/* ---- the human monitor ---- */

START_TEST(memory_looks_as_in_qemu)
{
	json_decref(client_do(fd, "write-memory",
			      "'address': '0x4000', 'space': 'physical', 'bytes': "
			      "'000102030405060708090a0b41275c00ffffffff'"));
	human_is("xp /20xb 0x4000", "0000000000004000: 0x00 0x01 0x02 0x03 0x04 0x05 0x06 0x07\r\n"
				    "0000000000004008: 0x08 0x09 0x0a 0x0b 0x41 0x27 0x5c 0x00\r\n"
				    "0000000000004010: 0xff 0xff 0xff 0xff\r\n");
	human_is("xp/1gx 0x3ff0+0x10", "0000000000004000: 0x0706050403020100\r\n");
	human_is("xp /2dw 0x4010 - 8", "0000000000004008:  185207048    6039361\r\n");
	human_is("xp /1oh 0x4002", "0000000000004002:  01402\r\n");
	human_is("xp /3c 0x400c", "000000000000400c: 'A' '\\'' '\\\\'\r\n");
	human_is("x /1xg 0xffff888000004000", "ffff888000004000: 0x0706050403020100\r\n");
	human_is("xp /4xb 0x100000000000", "0000100000000000: Cannot access memory\r\n");
	human_is("x /4xb 0x1000", "0000000000001000: Cannot access memory\r\n");
	human_is("x /4xb 0xffff7fffffffffff", "ffff7fffffffffff: Cannot access memory\r\n");
	human_is("gva2gpa 0xffff888000004321", "gpa: 0x4321\r\n");
	human_is("gva2gpa 0x1000", "Unmapped\r\n");
	human_has("x/2i $rip", ":  ");
}
END_TEST

#define HELP(name) "Try \"help " name "\" for more information\r\n"

START_TEST(what_is_wrong_is_said)
{
	human_is("foo", "unknown command: 'foo'\r\n");
	human_is("  info   foo ", "unknown command: 'info foo'\r\n");
	human_is("x", "unexpected end of expression\r\n" HELP("x"));
	human_is("x /4xb $foo", "unknown register\r\n" HELP("x"));
	human_is("xp 09", "xp: extraneous characters at the end of line\r\n" HELP("xp"));
	human_is("xp /3s 0x1000", "invalid char in format: 's'\r\n" HELP("xp"));
	human_has("xp /99999999999999999999999xb 0", "no more than");
	human_has("xp /xb 0x10000000000000000000", "invalid");
	human_is("gpa2hva 0x100000000000", "No memory is mapped at address 0x100000000000\r\n");
	client_refused(fd,
		       "{\"execute\": \"human-monitor-command\", \"arguments\": "
		       "{\"command-line\": \"info mem\", \"cpu-index\": 9}}",
		       "cpu-index");
}
END_TEST

START_TEST(info_shows_what_query_commands_show)
{
	json_t *maps = client_do(fd, "query-maps", "'limit': 1");
	const char *start =
		member_text(json_array_get(json_object_get(maps, "maps"), 0), "start") + 2;
	json_t *cpus = client_return(fd, "{\"execute\": \"query-cpus-fast\"}");
	char line[64];

	human_has("info registers", "\r\nCPU#0\r\nRAX=");
	human_has("info registers -a", "\r\nCPU#1\r\nRAX=");
	human_has("info registers", " DPL=0 CS64 [");
	human_has("info mem", start);
	human_has("info tlb", start);
	human_has("info mtree -f", " AS \"memory\", root: system\r\n");
	human_has("info mtree -f", "  0000000000000000-");
	human_is("info status", "VM status: running\r\n");
	ck_assert_uint_eq(json_array_size(cpus), 2);
	snprintf(line, sizeof(line), "  CPU #1: thread_id=%" PRIu64 "\r\n",
		 member_number(json_array_get(cpus, 1), "thread-id"));
	human_has("info cpus", line);
	json_decref(maps);
	json_decref(cpus);
}
END_TEST

/* ---- memory into files ---- */

static void check_file(const char *path, const char *part, size_t size)
{
	char bytes[64];
	int file = open(path, O_RDONLY);

	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(read(file, bytes, sizeof(bytes)), (ssize_t)size);
	ck_assert_mem_eq(bytes, part, size);
	close(file);
	ck_assert_int_eq(unlink(path), 0);
}

START_TEST(memory_is_saved_by_either_address)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/saved", served_directory());
	json_decref(client_do(fd, "write-memory",
			      "'address': '0x5ffc', 'space': 'physical', 'bytes': "
			      "'6162636465666768'"));
	json_decref(
		client_do(fd, "pmemsave", "'val': %d, 'size': 8, 'filename': '%s'", 0x5ffc, path));
	check_file(path, "abcdefgh", 8);
	/* The upper half is negative, as QEMU's int is signed. */
	json_decref(client_do(fd, "memsave", "'val': %" PRId64 ", 'size': 8, 'filename': '%s'",
			      (int64_t)0xffff888000005ffcull, path));
	check_file(path, "abcdefgh", 8);
	client_refused(fd,
		       "{\"execute\": \"memsave\", \"arguments\": {\"val\": 4096, \"size\": 8, "
		       "\"filename\": \"/dev/shm/never\"}}",
		       "Invalid addr 0x0000000000001000/size 8 specified");
	client_refused(fd,
		       "{\"execute\": \"pmemsave\", \"arguments\": {\"val\": 0, \"size\": 8, "
		       "\"filename\": \"relative\"}}",
		       "absolute");
}
END_TEST

/* ---- descriptors and cores ---- */

START_TEST(descriptors_have_names_until_they_are_closed)
{
	int file = memfd_create("passed", MFD_CLOEXEC);

	client_refused(fd, "{\"execute\": \"getfd\", \"arguments\": {\"fdname\": \"a\"}}",
		       "No file descriptor supplied via SCM_RIGHTS");
	name_fd(file, "a");
	name_fd(file, "a"); /* again: the first is closed */
	client_refused(fd, "{\"execute\": \"getfd\", \"arguments\": {\"fdname\": \"1a\"}}",
		       "not starting with a digit");
	json_decref(client_do(fd, "closefd", "'fdname': 'a'"));
	client_refused(fd, "{\"execute\": \"closefd\", \"arguments\": {\"fdname\": \"a\"}}",
		       "File descriptor named 'a' not found");
	for (int i = 0; i < 8; i++) {
		char name[8];

		snprintf(name, sizeof(name), "n%d", i);
		name_fd(file, name);
	}
	{
		json_t *answer = say_with_fd(
			"{\"execute\": \"getfd\", \"arguments\": {\"fdname\": \"more\"}}", file);

		ck_assert_ptr_nonnull(json_object_get(answer, "error"));
		json_decref(answer);
	}
	close(file);
}
END_TEST

/* What is in the headers of a core in memory. */
struct core {
	unsigned int loads;
	uint64_t first, bytes;
	bool vmcoreinfo, virtual;
	size_t size;
};

static struct core read_core(int file)
{
	struct core core = {.size = (size_t)lseek(file, 0, SEEK_END)};
	const char *image = mmap(NULL, core.size, PROT_READ, MAP_SHARED, file, 0);
	const Elf64_Ehdr *ehdr = (const void *)image;
	const Elf64_Phdr *phdr;

	ck_assert_ptr_ne(image, MAP_FAILED);
	ck_assert_mem_eq(ehdr->e_ident, ELFMAG, SELFMAG);
	ck_assert_int_eq(ehdr->e_type, ET_CORE);
	phdr = (const void *)(image + ehdr->e_phoff);
	ck_assert_uint_eq(phdr[0].p_type, PT_NOTE);
	core.vmcoreinfo = memmem(image + phdr[0].p_offset, phdr[0].p_filesz, "SYMBOL(swapper", 14);
	for (unsigned int i = 1; i < ehdr->e_phnum; i++) {
		ck_assert_uint_eq(phdr[i].p_type, PT_LOAD);
		ck_assert_uint_le(phdr[i].p_offset + phdr[i].p_filesz, core.size);
		core.first = core.loads++ ? core.first : phdr[i].p_paddr;
		core.bytes += phdr[i].p_filesz;
		core.virtual = core.virtual || phdr[i].p_vaddr;
	}
	munmap((void *)(uintptr_t)image, core.size);
	return core;
}

/* Word for word what drgn asks a QEMU that runs. */
START_TEST(drgn_attaches_as_to_qemu)
{
	json_t *target = client_return(fd, "{\"execute\": \"query-target\"}\r\n");
	int file = memfd_create("drgn", MFD_CLOEXEC);
	uint64_t host = 0;
	uint8_t there[4], shown[4];
	struct iovec to = {there, 4}, from;
	struct core core;
	char *text;

	ck_assert_str_eq(member_text(target, "arch"), "x86_64");
	json_decref(target);
	human_has("info mtree -f", "(prio 0, ram): ");
	json_decref(client_do(fd, "write-memory",
			      "'address': '0x6000', 'space': 'physical', 'bytes': '11223344'"));
	text = human("gpa2hva 0x6000");
	ck_assert_int_eq(
		sscanf(text, "Host virtual address for 0x6000 (%*[^)]) is 0x%" SCNx64, &host), 1);
	free(text);
	from = (struct iovec){(void *)(uintptr_t)host, 4};
	ck_assert_int_eq(process_vm_readv(guest.pid, &to, 1, &from, 1, 0), 4);
	text = human("xp /4xb 0x6000");
	ck_assert_int_eq(sscanf(text, "%*x: 0x%hhx 0x%hhx 0x%hhx 0x%hhx", &shown[0], &shown[1],
				&shown[2], &shown[3]),
			 4);
	ck_assert_mem_eq(shown, there, 4);
	ck_assert_mem_eq(shown, "\x11\x22\x33\x44", 4);
	free(text);
	name_fd(file, "drgn-dump");
	json_decref(client_do(fd, "dump-guest-memory",
			      "'paging': false, 'protocol': 'fd:drgn-dump', 'begin': %d, "
			      "'length': 1",
			      0x6000));
	core = read_core(file);
	ck_assert(core.vmcoreinfo);
	ck_assert_uint_eq(core.loads, 1);
	ck_assert_uint_eq(core.first, 0x6000);
	ck_assert_uint_eq(core.bytes, 1);
	ck_assert_int_eq(pread(file, there, 1, (off_t)core.size - 1), 1);
	ck_assert_uint_eq(there[0], 0x11);
	close(file);
	/* It was taken with the dump. */
	client_refused(fd, "{\"execute\": \"closefd\", \"arguments\": {\"fdname\": \"drgn-dump\"}}",
		       "not found");
}
END_TEST

START_TEST(whole_dumps_say_when_they_are_over)
{
	char path[256];
	json_t *event, *result;
	struct core core;
	int file, other = client_open(&guest, false);

	snprintf(path, sizeof(path), "%s/dumped", served_directory());
	json_decref(client_do(other, "dump-guest-memory",
			      "'paging': true, 'detach': true, 'protocol': 'file:%s'", path));
	event = client_hear_event(other, "DUMP_COMPLETED");
	result = json_object_get(json_object_get(event, "data"), "result");
	ck_assert_str_eq(member_text(result, "status"), "completed");
	ck_assert_uint_eq(member_number(result, "completed"), 32 << 20);
	ck_assert_uint_eq(member_number(result, "total"), 32 << 20);
	json_decref(event);
	file = open(path, O_RDONLY);
	core = read_core(file);
	ck_assert(core.virtual);
	ck_assert_uint_ge(core.bytes, 32 << 20);
	close(file);
	json_decref(client_do(other, "dump-guest-memory", "'paging': false, 'protocol': 'file:%s'",
			      path));
	file = open(path, O_RDONLY);
	core = read_core(file);
	ck_assert(!core.virtual);
	ck_assert_uint_eq(core.bytes, 32 << 20);
	close(file);
	unlink(path);
	close(other);
}
END_TEST

START_TEST(a_pipe_gets_the_core_and_one_without_a_reader_an_error)
{
	int ends[2], file = memfd_create("core", MFD_CLOEXEC);
	char bytes[65536];
	struct core core;
	ssize_t got;
	json_t *answer;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	name_fd(ends[1], "pipe");
	close(ends[1]);
	client_say_text(fd,
			"{\"execute\": \"dump-guest-memory\", \"arguments\": {\"paging\": false,"
			"\"protocol\": \"fd:pipe\", \"begin\": 0, \"length\": 200001}}");
	while ((got = read(ends[0], bytes, sizeof(bytes))) > 0)
		ck_assert_int_eq(write(file, bytes, (size_t)got), got);
	ck_assert_int_eq(got, 0);
	core = read_core(file);
	ck_assert_uint_eq(core.bytes, 200001);
	answer = client_hear(fd);
	while (json_object_get(answer, "event")) {
		json_decref(answer);
		answer = client_hear(fd);
	}
	ck_assert_ptr_nonnull(json_object_get(answer, "return"));
	json_decref(answer);
	close(ends[0]);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	name_fd(ends[1], "pipe");
	close(ends[1]);
	close(ends[0]);
	client_refused(fd,
		       "{\"execute\": \"dump-guest-memory\", \"arguments\": {\"paging\": false,"
		       "\"protocol\": \"fd:pipe\"}}",
		       "Broken pipe");
	close(file);
}
END_TEST

START_TEST(dumps_that_cannot_be_are_refused)
{
	static const struct {
		const char *arguments, *part;
	} bad[] = {
		{"\"protocol\": \"tcp:x\"", "'protocol'"},
		{"\"protocol\": \"fd:none\"", "File descriptor named 'none' has not been found"},
		{"\"protocol\": \"file:/x\", \"begin\": 0", "'length' is missing"},
		{"\"protocol\": \"file:/x\", \"length\": 1", "'begin' is missing"},
		{"\"protocol\": \"file:/x\", \"format\": \"kdump-zlib\"", "not available"},
		{"\"protocol\": \"file:/x\", \"begin\": 1099511627776, \"length\": 1", "no RAM"},
		{"\"protocol\": \"file:/dev/null/x\"", ""},
	};
	char text[256];
	json_t *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text),
			 "{\"execute\": \"dump-guest-memory\", \"arguments\": {\"paging\": false, "
			 "%s}}",
			 bad[i].arguments);
		client_refused(fd, text, bad[i].part);
	}
	state = client_return(fd, "{\"execute\": \"query-dump\"}");
	ck_assert_str_eq(member_text(state, "status"), "failed");
	json_decref(state);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("service_qemu");
	TCase *qemu = tcase_create("qemu");
	int skipped = harness_need_kvm(), status;

	if (skipped)
		return skipped;
	/* Before the tests fork: one directory for all. */
	served_directory();
	tcase_add_unchecked_fixture(qemu, start, stop);
	tcase_add_checked_fixture(qemu, connect_one, still_serves);
	tcase_add_test(qemu, memory_looks_as_in_qemu);
	tcase_add_test(qemu, what_is_wrong_is_said);
	tcase_add_test(qemu, info_shows_what_query_commands_show);
	tcase_add_test(qemu, memory_is_saved_by_either_address);
	tcase_add_test(qemu, descriptors_have_names_until_they_are_closed);
	tcase_add_test(qemu, drgn_attaches_as_to_qemu);
	tcase_add_test(qemu, whole_dumps_say_when_they_are_over);
	tcase_add_test(qemu, a_pipe_gets_the_core_and_one_without_a_reader_an_error);
	tcase_add_test(qemu, dumps_that_cannot_be_are_refused);
	tcase_set_timeout(qemu, 120);
	suite_add_tcase(suite, qemu);
	status = harness_run(suite);
	served_remove_directory();
	return status;
}
