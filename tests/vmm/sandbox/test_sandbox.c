/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the sandbox lets a process do and what not: each test is a child that is confined as nestbox
 * is, does one thing, and is seen to end.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/harness.h"
#include "vmm/sandbox/sandbox.h"

#define SURVIVED 42

static char folder[] = "/dev/shm/nestbox-sandbox-XXXXXX";

static pid_t parent;

/* What a child did: how it ended, and what it said. */
static int ended;
static char said[1024];

struct job {
	enum thread_kind kind;
	void (*act)(void);
};

static void *in_thread(void *context)
{
	const struct job *job = context;

	thread_begin(job->kind);
	job->act();
	return NULL;
}

/* The child's life: confined, and then a thread of @kind does it. */
static void live(enum sandbox_mode mode, enum thread_kind kind, void (*act)(void))
{
	struct sandbox_config config = {
		.mode = mode, .nr_write = 1, .write = {folder}, .nr_read = 1, .read = {"/usr"}};
	struct job job = {kind, act};
	struct error error;
	pthread_t thread;

	if (sandbox_enter(&config, &error) != 0) {
		fprintf(stderr, "%s\n", error.text);
		_exit(1);
	}
	if (kind == THREAD_MAIN) {
		if (sandbox_settle(&error) != 0)
			_exit(1);
		act();
	} else {
		pthread_create(&thread, NULL, in_thread, &job);
		pthread_join(thread, NULL);
	}
	_exit(SURVIVED);
}

static void run(enum sandbox_mode mode, enum thread_kind kind, void (*act)(void))
{
	ssize_t got, size = 0;
	int ends[2];
	pid_t child;

	parent = getpid();
	ck_assert_int_eq(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		live(mode, kind, act);
	}
	close(ends[1]);
	while ((got = read(ends[0], said + size, sizeof(said) - 1 - (size_t)size)) > 0)
		size += got;
	said[size] = '\0';
	close(ends[0]);
	ck_assert_int_eq(waitpid(child, &ended, 0), child);
}

static bool survived(void)
{
	return WIFEXITED(ended) && WEXITSTATUS(ended) == SURVIVED;
}

/* It was ended for @call, said who it was, with the status that is promised. */
static void assert_forbidden(const char *call, const char *who)
{
	ck_assert_msg(WIFEXITED(ended) && WEXITSTATUS(ended) == SANDBOX_EXIT_STATUS,
		      "%s by %s: status %#x, '%s'", call, who, (unsigned int)ended, said);
	ck_assert_msg(strstr(said, call) != NULL, "%s", said);
	ck_assert_ptr_nonnull(strstr(said, who));
	ck_assert_ptr_nonnull(strstr(said, "--sandbox log"));
}

/* ---- system calls ---- */

static void execute(void)
{
	execl("/usr/bin/true", "true", (char *)NULL);
}

static void open_network(void)
{
	(void)socket(AF_INET, SOCK_STREAM, 0);
}

static void open_local(void)
{
	(void)socket(AF_UNIX, SOCK_STREAM, 0);
}

static void trace_parent(void)
{
	/* Not ptrace(2): the leak checker of a build with sanitizers may. */
	syscall(SYS_process_vm_readv, parent, NULL, 0, NULL, 0, 0);
}

static void fork_one(void)
{
	/* As fork(2) does, without the C library's locks. */
	if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) == 0)
		_exit(0);
}

static void kill_parent(void)
{
	syscall(SYS_tgkill, parent, parent, 0);
}

static void make_code(void)
{
	(void)mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		   0);
}

static void any_ioctl(void)
{
	(void)syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI: types for the user of the terminal */, "x");
}

static void mount_something(void)
{
	syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL);
}

static void call_of_32_bits(void)
{
	long result = 20; /* getpid of i386 */

	__asm__ volatile("int $0x80" : "+a"(result) : : "memory");
}

static const struct {
	const char *call;
	void (*act)(void);
} forbidden[] = {
	{"execve", execute},        {"socket", open_network},
	{"socket", open_local},     {"process_vm_readv", trace_parent},
	{"mount", mount_something}, {"tgkill", kill_parent},
	{"ioctl", any_ioctl},       {"mmap", make_code},
	{"clone", fork_one},
};

START_TEST(a_forbidden_call_is_not_done_and_said)
{
	for (unsigned int kind = 0; kind < THREAD_KINDS; kind++) {
		run(SANDBOX_ON, kind, forbidden[_i].act);
		if (kind == THREAD_LOOK && forbidden[_i].act == open_local) {
			ck_assert_msg(survived(), "%s", said); /* it may be asked to serve gdb */
			continue;
		}
#if defined(__SANITIZE_ADDRESS__)
		if (survived() && (strcmp(forbidden[_i].call, "clone") == 0))
			continue; /* so the leak checker works: vmm/sandbox/sandbox.h */
#endif
		assert_forbidden(forbidden[_i].call, thread_kind_name(kind));
	}
}
END_TEST

START_TEST(log_forbids_nothing)
{
	run(SANDBOX_LOG, THREAD_VCPU, open_local);
	ck_assert(survived());
	ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(off_is_off)
{
	run(SANDBOX_OFF, THREAD_VCPU, open_local);
	ck_assert(survived());
}
END_TEST

START_TEST(calls_of_another_architecture_kill)
{
	int expected = SIGSYS;

	/* Where the kernel has no such calls at all, the instruction itself is what kills. */
	run(SANDBOX_OFF, THREAD_VCPU, call_of_32_bits);
	if (!survived()) {
		ck_assert_msg(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGSEGV, "%#x",
			      (unsigned int)ended);
		printf("this kernel has no calls of 32 bits\n");
		expected = SIGSEGV;
	}
	run(SANDBOX_ON, THREAD_VCPU, call_of_32_bits);
	ck_assert_msg(WIFSIGNALED(ended) && WTERMSIG(ended) == expected, "%#x",
		      (unsigned int)ended);
}
END_TEST

/* ---- files ---- */

static void open_for_reading(void)
{
	_exit(open("/etc/passwd", O_RDONLY) >= 0 ? 0 : errno);
}

static void open_outside(void)
{
	_exit(open("/dev/shm/nestbox-sandbox-outside", O_WRONLY | O_CREAT, 0600) >= 0 ? 0 : errno);
}

static void write_inside(void)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/file", folder);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	_exit(fd >= 0 && write(fd, "x", 1) == 1 && unlink(path) == 0 ? SURVIVED : errno);
}

START_TEST(files_are_confined)
{
	bool has = sandbox_landlock_abi() > 0;

	if (!has)
		fprintf(stderr, "test_sandbox: this kernel has no Landlock: not tried\n");
	run(SANDBOX_ON, THREAD_LOOK, open_for_reading);
	ck_assert_int_eq(WEXITSTATUS(ended), has ? EACCES : 0);
	run(SANDBOX_ON, THREAD_LOOK, open_outside);
	ck_assert_int_eq(WEXITSTATUS(ended), has ? EACCES : 0);
	unlink("/dev/shm/nestbox-sandbox-outside");
	run(SANDBOX_ON, THREAD_LOOK, write_inside);
	ck_assert(survived());
}
END_TEST

/* A vCPU's thread opens nothing, Landlock or not, and goes on. */
START_TEST(a_vcpu_opens_nothing)
{
	run(SANDBOX_ON, THREAD_VCPU, write_inside);
#if defined(__SANITIZE_ADDRESS__)
	/* The sanitizers' runtime may open files: vmm/sandbox/sandbox.h. What it made it cannot
	 * unlink. */
	assert_forbidden("unlink", "vCPU");
#else
	ck_assert_int_eq(WEXITSTATUS(ended), EACCES);
#endif
}
END_TEST

/* ---- rights ---- */

static unsigned long long capabilities(void)
{
	unsigned long long found = ~0ull;
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", (int)syscall(SYS_gettid));
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "CapPrm: %llx", &found);
	if (file)
		fclose(file);
	return found;
}

static void count_rights(void)
{
	unsigned long long have = capabilities();

	/* CAP_SYS_RAWIO 17, CAP_SYS_ADMIN 21, CAP_SYSLOG 34. */
	_exit(have & ~(1ull << 17 | 1ull << 21 | 1ull << 34) ? 1 : have ? 2 : 0);
}

START_TEST(capabilities_are_given_up)
{
	bool had = capabilities() & 1ull << 17;

	run(SANDBOX_ON, THREAD_MAIN, count_rights);
	ck_assert_int_eq(WEXITSTATUS(ended), 0);
	run(SANDBOX_ON, THREAD_CALL, count_rights);
	ck_assert_int_eq(WEXITSTATUS(ended), 0);
	run(SANDBOX_ON, THREAD_LOOK, count_rights);
	ck_assert_int_eq(WEXITSTATUS(ended), had ? 2 : 0);
}
END_TEST

/* ---- what is not forbidden ---- */

static void work(void)
{
	void *memory = malloc(1 << 20);

	memset(memory, 1, 1 << 20);
	free(memory);
	usleep(1);
	pthread_kill(pthread_self(), 0);
}

static volatile sig_atomic_t told;

static void on_told(int number)
{
	told = number;
}

static void be_told(void)
{
	signal(SIGRTMIN, on_told);
	pthread_kill(pthread_self(), SIGRTMIN);
	_exit(told == SIGRTMIN ? SURVIVED : 1);
}

START_TEST(threads_work)
{
	for (unsigned int kind = 0; kind < THREAD_KINDS; kind++) {
		run(SANDBOX_ON, kind, work);
		ck_assert_msg(survived(), "%s: %s", thread_kind_name(kind), said);
		run(SANDBOX_ON, kind, be_told);
		ck_assert_msg(survived(), "%s: %s", thread_kind_name(kind), said);
	}
}
END_TEST

START_TEST(it_is_said_in_the_log_too)
{
	char path[128], text[512] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/log", folder);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	sandbox_tell_also(fcntl(fd, F_DUPFD, 3));
	run(SANDBOX_ON, THREAD_CALL, open_local);
	sandbox_tell_also(-1);
	assert_forbidden("socket", "call");
	ck_assert_int_gt(pread(fd, text, sizeof(text) - 1, 0), 0);
	ck_assert_str_eq(text, said);
	close(fd);
	unlink(path);
}
END_TEST

START_TEST(the_mode_is_a_word)
{
	enum sandbox_mode mode = SANDBOX_LOG;

	ck_assert_int_eq(sandbox_parse("on", &mode), 0);
	ck_assert_int_eq(mode, SANDBOX_ON);
	ck_assert_int_eq(sandbox_parse("off", &mode), 0);
	ck_assert_int_eq(mode, SANDBOX_OFF);
	ck_assert_int_eq(sandbox_parse("", &mode), -EINVAL);
	ck_assert_int_eq(mode, SANDBOX_OFF);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sandbox");
	TCase *tcase = tcase_create("sandbox");
	int status;

	if (!mkdtemp(folder))
		return EXIT_FAILURE;
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, a_forbidden_call_is_not_done_and_said, 0,
			    sizeof(forbidden) / sizeof(forbidden[0]));
	tcase_add_test(tcase, log_forbids_nothing);
	tcase_add_test(tcase, off_is_off);
	tcase_add_test(tcase, calls_of_another_architecture_kill);
	tcase_add_test(tcase, files_are_confined);
	tcase_add_test(tcase, a_vcpu_opens_nothing);
	tcase_add_test(tcase, capabilities_are_given_up);
	tcase_add_test(tcase, threads_work);
	tcase_add_test(tcase, it_is_said_in_the_log_too);
	tcase_add_test(tcase, the_mode_is_a_word);
	suite_add_tcase(suite, tcase);
	status = harness_run(suite);
	rmdir(folder);
	return status;
}
