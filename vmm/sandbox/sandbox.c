/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sandbox's life, and what is said of a call it forbids. */
#include "vmm/sandbox/sandbox.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "vmm/sandbox/private.h"

/* Of x86-64, with room for what is to come. */
#define CALLS_MAX 512

static enum sandbox_mode in_force = SANDBOX_OFF;
static char words[SANDBOX_WORDS_BYTES] = "off";
static scmp_filter_ctx filters[THREAD_KINDS];
static pthread_mutex_t load_mutex = PTHREAD_MUTEX_INITIALIZER;
static int also = -1; /* atomic */
/* A signal's handler may not ask for memory: names are kept. */
static char *names[CALLS_MAX];
static __thread enum thread_kind kind_here;

int sandbox_parse(const char *text, void *value)
{
	static const char *const modes[] = {"on", "log", "off"};

	for (unsigned int i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(text, modes[i]) == 0) {
			*(enum sandbox_mode *)value = (enum sandbox_mode)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *sandbox_words(void)
{
	return words;
}

void sandbox_tell_also(int fd)
{
	int before = __atomic_exchange_n(&also, fd, __ATOMIC_RELAXED);

	if (before >= 0)
		close(before);
}

/* ---- a forbidden call ---- */

static char *put(char *at, const char *text)
{
	while (*text)
		*at++ = *text++;
	return at;
}

static char *put_number(char *at, unsigned int number)
{
	char digits[16];
	unsigned int count = 0;

	do
		digits[count++] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	while (count > 0)
		*at++ = digits[--count];
	return at;
}

static void say(int fd, const char *text, size_t size)
{
	ssize_t written = fd < 0 ? 0 : write(fd, text, size);

	(void)written;
}

/* Only what signal-safety(7) allows, and what every list does. */
static void on_forbidden(int number, siginfo_t *info, void *context)
{
	unsigned int call = (unsigned int)info->si_syscall;
	char text[256], *at = text;

	(void)number;
	(void)context;
	at = put(at, "nestbox: the sandbox forbids system call ");
	at = put_number(at, call);
	if (call < CALLS_MAX && names[call])
		at = put(put(put(at, " ("), names[call]), ")");
	at = put(at, " to a ");
	at = put(at, thread_kind_name(kind_here));
	at = put(at, " thread: the process ends. If that is nestbox's mistake: --sandbox log\n");
	say(STDERR_FILENO, text, (size_t)(at - text));
	say(__atomic_load_n(&also, __ATOMIC_RELAXED), text, (size_t)(at - text));
	_exit(SANDBOX_EXIT_STATUS);
}

static int expect_forbidden(struct error *error)
{
	struct sigaction action = {.sa_sigaction = on_forbidden, .sa_flags = SA_SIGINFO};
	sigset_t set;

	for (int i = 0; i < CALLS_MAX && !names[i]; i++)
		names[i] = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);
	sigfillset(&action.sa_mask);
	if (sigaction(SIGSYS, &action, NULL) != 0)
		return error_set(error, -errno, "SIGSYS: %s", strerror(errno));
	/* One that is blocked when it comes kills without a word. */
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return 0;
}

/* ---- threads ---- */

static int load(scmp_filter_ctx filter)
{
	int err;

	pthread_mutex_lock(&load_mutex);
	err = seccomp_load(filter);
	pthread_mutex_unlock(&load_mutex);
	return err;
}

/* What a thread is not confined to it must not do. */
static void on_begin(enum thread_kind kind)
{
	static const char failed[] = "nestbox: the sandbox cannot confine a thread\n";
	sigset_t set;

	kind_here = kind;
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	if ((in_force == SANDBOX_ON && rights_drop(kind == THREAD_LOOK) != 0) ||
	    load(filters[kind]) != 0) {
		say(STDERR_FILENO, failed, sizeof(failed) - 1);
		_exit(SANDBOX_EXIT_STATUS);
	}
}

/* ---- life ---- */

static int load_failed(int err, struct error *error)
{
	return error_set(error, err,
			 "this kernel cannot confine a process (seccomp: %s): --sandbox off goes "
			 "on without",
			 strerror(-err));
}

static int enter_calls(enum sandbox_mode mode, struct error *error)
{
	scmp_filter_ctx start;
	int err = calls_filter_start(mode, &start, error);

	for (unsigned int kind = 0; kind < THREAD_KINDS && !err; kind++)
		err = calls_filter(kind, mode, &filters[kind], error);
	if (err)
		return err;
	err = load(start);
	seccomp_release(start);
	return err ? load_failed(err, error) : 0;
}

static void describe(enum sandbox_mode mode)
{
	int abi = sandbox_landlock_abi();

	if (mode == SANDBOX_LOG)
		snprintf(words, sizeof(words), "log: seccomp says what it would forbid");
	else if (abi)
		snprintf(words, sizeof(words), "on: seccomp, Landlock %d, no capabilities", abi);
	else
		snprintf(words, sizeof(words),
			 "on: seccomp, no capabilities; this kernel has no Landlock");
}

/* It carries system calls out itself, and neither seccomp(2) nor Landlock's are among them. */
static bool under_valgrind(void)
{
	const char *preloaded = getenv("LD_PRELOAD");

	return preloaded && strstr(preloaded, "vgpreload_");
}

int sandbox_enter(const struct sandbox_config *config, struct error *error)
{
	int err;

	if (config->mode == SANDBOX_OFF)
		return 0;
	if (under_valgrind()) {
		snprintf(words, sizeof(words), "off: Valgrind has no seccomp");
		return 0;
	}
	(void)sandbox_landlock_abi();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return error_set(error, -errno, "no_new_privs: %s", strerror(errno));
	/* pthread_cancel(3) loads it when it is first needed, which is too late. */
	(void)dlopen("libgcc_s.so.1", RTLD_NOW | RTLD_NODELETE);
	err = expect_forbidden(error);
	if (!err && config->mode == SANDBOX_ON)
		err = files_confine(config, error);
	if (!err)
		err = enter_calls(config->mode, error);
	if (err)
		return err;
	in_force = config->mode;
	describe(config->mode);
	thread_on_begin(on_begin);
	return 0;
}

int sandbox_settle(struct error *error)
{
	int err = in_force == SANDBOX_ON ? rights_drop(false) : 0;

	if (err)
		return error_set(error, err, "capabilities: %s", strerror(-err));
	if (in_force == SANDBOX_OFF)
		return 0;
	err = load(filters[THREAD_MAIN]);
	return err ? load_failed(err, error) : 0;
}
