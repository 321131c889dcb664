/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nestbox run: starts a guest, serves its control socket, stays until it is told to end by quit,
 * SIGTERM, SIGINT or SIGHUP.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/out_file.h"
#include "lib/out_queue.h"
#include "vmm/base/cli.h"
#include "vmm/nestbox/background.h"
#include "vmm/nestbox/commands.h"
#include "vmm/nestbox/guest_options.h"
#include "vmm/nestbox/run_config.h"
#include "vmm/nestbox/run_domain.h"
#include "vmm/nestbox/run_places.h"
#include "vmm/nestbox/run_sockets.h"
#include "vmm/service/service.h"

/* Of a log file, in bytes. */
#define LOG_LIMIT     (64ull << 20)
#define LOG_LIMIT_MIN (64ull << 10)

struct settings {
	bool json, daemonize, eager, traps, unsafe;
	const char *name, *socket, *socket_ro, *config, *domain, *log, *gdb;
	uint64_t audit_every, log_limit;
	struct gpa_backing backing;
	struct guest_options guest;
	struct run_domain from_domain;
	struct run_places dump_folders;
};

/* All there is while it runs. */
struct run {
	const struct cli_command *command;
	struct settings *settings;
	char name[RUNTIME_NAME_BYTES];
	struct run_sockets sockets;
	int signal_fd;
	FILE *log; /* log_queue's or standard error's; NULL: none */
	struct out_queue *log_queue;
	struct service *service;
	struct guest *guest;
	struct server *server;
};

/* ---- signals ---- */

static void own_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
}

/* From here on, until take_signals(); what came since they were blocked comes now. */
static void expect_early_signals(const struct run_sockets *sockets)
{
	sigset_t set;

	own_signals(&set);
	run_sockets_expect_signals(sockets);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/*
 * They are read from a descriptor: blocked here, and so in every thread that is made from now on.
 */
static int take_signals(int *fd_out)
{
	sigset_t set;

	own_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	*fd_out = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return *fd_out < 0 ? -errno : 0;
}

static struct run *running; /* of this process: for on_signal() alone */

static void on_signal(void *context)
{
	struct signalfd_siginfo info;
	const char *name;

	(void)context; /* the service's, as of all the server's callbacks */
	if (read(running->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	name = sigabbrev_np((int)info.ssi_signo);
	service_shut_down(running->service, name ? name : "a signal");
}

/* ---- start ---- */

static int open_socket(struct run *run, struct error *error)
{
	struct settings *settings = run->settings;
	char path[RUNTIME_PATH_BYTES];
	int err;

	if (settings->name)
		snprintf(run->name, sizeof(run->name), "%s", settings->name);
	else
		snprintf(run->name, sizeof(run->name), "guest-%d", (int)getpid());
	if (settings->name && !runtime_name_ok(settings->name))
		return runtime_path(settings->name, false, path, error);
	if (settings->socket || run_sockets_given())
		return run_sockets_open(settings->socket, settings->socket_ro, &run->sockets,
					error);
	err = runtime_path(run->name, true, path, error);
	return err ? err : run_sockets_open(path, settings->socket_ro, &run->sockets, error);
}

/* What is said of the guest goes through a queue: whoever does not read it keeps nobody waiting. */
static int open_log(struct run *run, struct error *error)
{
	const char *path = run->settings->log;
	int fd;

	if (path) {
		fd = out_file_append(path, error);
		if (fd < 0)
			return -EINVAL;
		sandbox_tell_also(fcntl(fd, F_DUPFD_CLOEXEC, 3));
		fd = out_queue_create(fd, path, run->settings->log_limit, &run->log_queue, error);
		if (fd < 0)
			return fd;
		run->log = out_queue_file(run->log_queue);
	} else if (!run->settings->daemonize) {
		run->log = out_queue_stderr();
	}
	return 0;
}

/* From here on it can be reached. */
static enum cli_status confine(const struct run *run)
{
	const struct settings *settings = run->settings;
	const char *const files[] = {run->sockets.control.path, settings->socket_ro, settings->log};
	const struct confined_to to = {
		.nr_files = 3,
		.files = files,
		.nr_folders = settings->dump_folders.count,
		.folders = settings->dump_folders.folder,
	};

	return guest_options_confine(run->command, &settings->guest, &to);
}

/* Returns the program's exit status; prints what went wrong. */
static enum cli_status start_guest(struct run *run)
{
	struct guest_config config = guest_options_config(&run->settings->guest);

	if (run->settings->eager)
		config.boot_flags |= NB_BOOT_EAGER;
	config.backing = run->settings->backing;
	config.traps = run->settings->traps;
	if (!run_domain_place(&run->settings->from_domain, run->command, &run->settings->guest,
			      &config))
		return CLI_BAD_INPUT;
	service_prepare_guest(run->service, &config);
	return guest_options_start(run->command, &config, &run->guest);
}

static int start_service(struct run *run, struct error *error)
{
	struct server_config config = {
		.listen_fd = run->sockets.control.listen_fd,
		.look_fd = run->sockets.look.listen_fd,
		.unsafe = run->settings->unsafe,
		.signal_fd = run->signal_fd,
		.signal = on_signal,
	};
	char *xml;
	int err;

	err = run_domain_describe(&run->settings->from_domain, run->name,
				  run->settings->guest.image, run->guest, &xml);
	if (err)
		return error_set(error, err, "no memory for the guest's description");
	service_set_domain_xml(run->service, xml);
	service_prepare_server(run->service, &config);
	err = server_create(&config, &run->server, error);
	if (err)
		return err;
	run->sockets.control.listen_fd = run->sockets.look.listen_fd = -1;
	err = service_start(run->service, run->guest, run->server, error);
	if (!err && run->settings->gdb)
		err = service_serve_gdb(run->service, run->settings->gdb, error);
	return err ? err : sandbox_settle(error);
}

/* What came of it, for people on standard error, for programs on standard output. */
static void announce(const struct run *run)
{
	json_t *json;

	if (!run->settings->json) {
		fprintf(run->settings->daemonize ? stderr : out_queue_stderr(),
			"%s: %s: serving %s\n", run->command->name, run->name,
			run->sockets.control.path);
		return;
	}
	json = json_pack("{s:s, s:s, s:i}", "name", run->name, "socket", run->sockets.control.path,
			 "pid", (int)getpid());
	json_dumpf(json, stdout, JSON_ENSURE_ASCII);
	putchar('\n');
	fflush(stdout);
	json_decref(json);
}

/* ---- life ---- */

static enum cli_status serve(struct run *run)
{
	struct error error;
	enum cli_status status;
	int err = take_signals(&run->signal_fd);

	if (err)
		error_set(&error, err, "signalfd: %s", strerror(-err));
	else
		err = start_service(run, &error);
	if (err) {
		cli_error(run->command, "%s", error.text);
		return CLI_HOST;
	}
	announce(run);
	if (run->settings->daemonize)
		background_ready();
	run_sockets_notify(&run->sockets, "READY=1");
	running = run;
	err = server_run(run->server);
	run_sockets_notify(&run->sockets, "STOPPING=1");
	close(run->signal_fd);
	if (err && run->log)
		fprintf(run->log, "%s: poll: %s\n", run->command->name, strerror(-err));
	status = guest_failure(run->guest) || service_violations(run->service) ? CLI_WRONG
									       : CLI_DONE;
	return err ? CLI_HOST : status;
}

static enum cli_status run_with_socket(struct run *run)
{
	const struct service_config config = {
		.name = run->name,
		.log = run->log,
		.audit_every = run->settings->audit_every,
		.sandbox = sandbox_words(),
		.write_folders = run->settings->dump_folders.folder,
		.nr_write_folders = run->settings->dump_folders.count,
	};
	struct error error;
	enum cli_status status;

	if (service_create(&config, &run->service, &error) != 0) {
		cli_error(run->command, "%s", error.text);
		return CLI_HOST;
	}
	status = start_guest(run);
	if (status == CLI_DONE) {
		status = serve(run);
		service_stop(run->service);
		status = guest_options_save(run->command, run->guest, status);
	}
	guest_destroy(run->guest);
	service_destroy(run->service);
	server_destroy(run->server);
	return status;
}

static enum cli_status serve_socket(struct run *run)
{
	enum cli_status status = confine(run);
	struct error error;
	int err;

	if (status != CLI_DONE)
		return status;
	err = open_log(run, &error);
	if (!err)
		return run_with_socket(run);
	cli_error(run->command, "%s", error.text);
	return err == -EINVAL ? CLI_BAD_INPUT : CLI_HOST;
}

/* What a socket that cannot be is. */
static enum cli_status socket_status(int err)
{
	return err == -EINVAL || err == -ENAMETOOLONG || err == -EADDRINUSE || err == -EEXIST
		       ? CLI_BAD_INPUT
		       : CLI_HOST;
}

static enum cli_status run_guest(const struct cli_command *command, struct settings *settings)
{
	struct run run = {.command = command, .settings = settings};
	enum cli_status status = CLI_HOST;
	struct error error;
	sigset_t set;
	int err;

	/* Before there is a second thread: nothing it may ever execute gains rights. */
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	own_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	err = open_socket(&run, &error);
	if (!err) {
		expect_early_signals(&run.sockets);
		status = serve_socket(&run);
		run_sockets_close(&run.sockets);
	} else {
		cli_error(command, "%s", error.text);
		status = socket_status(err);
	}
	out_queue_destroy(run.log_queue);
	return status;
}

/* ---- the command ---- */

static int parse_flush(const char *text, void *value)
{
	if (strcmp(text, "eager") != 0 && strcmp(text, "lazy") != 0)
		return -EINVAL;
	*(bool *)value = strcmp(text, "eager") == 0;
	return 0;
}

static int parse_audit(const char *text, void *value)
{
	uint64_t count;
	size_t digits;

	if (strcmp(text, "none") == 0) {
		*(uint64_t *)value = 0;
		return 0;
	}
	if (strncmp(text, "every=", 6) != 0)
		return -EINVAL;
	digits = strspn(text + 6, "0123456789");
	if (digits == 0 || digits > 9 || text[6 + digits])
		return -EINVAL;
	count = strtoull(text + 6, NULL, 10);
	if (!count)
		return -EINVAL;
	*(uint64_t *)value = count;
	return 0;
}

static enum cli_status start(const struct cli_command *command, struct settings *settings)
{
	enum cli_status status;

	if (settings->daemonize && run_sockets_given()) {
		cli_error(command, "--daemonize does not go with given sockets (LISTEN_FDS)");
		return CLI_BAD_INPUT;
	}
	run_places_add_working(&settings->dump_folders);
	if (settings->daemonize && !background_go(command, &status))
		return status;
	return run_guest(command, settings);
}

static bool read_domain(const struct cli_command *command, struct settings *settings)
{
	struct run_domain *from = &settings->from_domain;

	if (!run_domain_read(from, command, settings->domain, &settings->guest, &settings->backing))
		return false;
	settings->name = from->domain.name;
	return true;
}

int command_run(const struct program *program, int argc, char **argv)
{
	struct settings settings = {.guest = GUEST_OPTIONS_DEFAULT, .log_limit = LOG_LIMIT};
	const struct cli_option options[] = {
		CLI_OPTION_JSON(&settings.json),
		CLI_OPTION("name", CLI_TEXT, "NAME",
			   "the guest's name, for nestctl --name (guest-PID)", &settings.name,
			   .letter = 'n'),
		CLI_OPTION("socket", CLI_TEXT, "PATH",
			   "the control socket (NAME.sock in $XDG_RUNTIME_DIR/nestbox,\n"
			   "for root without it in /run/nestbox)",
			   &settings.socket, .letter = 's'),
		CLI_OPTION("socket-ro", CLI_TEXT, "PATH",
			   "another socket, for clients that look and change nothing; who may\n"
			   "connect its group and mode (0660) say",
			   &settings.socket_ro),
		CLI_OPTION("unsafe", CLI_FLAG, NULL,
			   "clients may harm the guest: write-memory, x-test-*", &settings.unsafe),
		CLI_OPTION("daemonize", CLI_FLAG, NULL,
			   "go to the background once the socket is served", &settings.daemonize,
			   .letter = 'd'),
		CLI_OPTION("config", CLI_TEXT, "FILE",
			   "options from a file, one key=value a line, or a JSON object;\n"
			   "those of the command line win",
			   &settings.config),
		CLI_OPTION("domain", CLI_TEXT, "FILE",
			   "name, memory, vCPUs, nodes and backing from a libvirt domain's XML;\n"
			   "the command line wins",
			   &settings.domain),
		CLI_OPTION("log", CLI_TEXT, "FILE",
			   "what the guest says goes there (standard error; with\n"
			   "--daemonize nowhere)",
			   &settings.log),
		CLI_OPTION("log-limit", CLI_SIZE, "SIZE",
			   "a log that would grow beyond is renamed FILE.1 and begun anew (64M)",
			   &settings.log_limit, .min = LOG_LIMIT_MIN, .max = UINT64_MAX / 2),
		CLI_OPTION("gdb", CLI_TEXT, "PATH", "a UNIX socket for gdb: target remote PATH",
			   &settings.gdb),
		CLI_OPTION("dump-dir", CLI_CUSTOM, "DIR",
			   "clients may have files written below it, too, and not only below the\n"
			   "working directory; may be repeated",
			   &settings.dump_folders, .parse = run_places_parse,
			   .expects = "a folder there is"),
		CLI_OPTION("audit", CLI_CUSTOM, "WHEN",
			   "none, or every=N: after every N hypercalls (none)",
			   &settings.audit_every, .parse = parse_audit,
			   .expects = "none or every=N"),
		CLI_OPTION("flush", CLI_CUSTOM, "MODE",
			   "lazy as Linux, or eager: TLBs at every free (lazy)", &settings.eager,
			   .parse = parse_flush, .expects = "lazy or eager"),
		CLI_OPTION("backing", CLI_CUSTOM, "LIST",
			   "what guest memory is made of: memfd or anon, huge=2M, huge=1G, thp,\n"
			   "reserve, prealloc, lock, with commas between them (memfd)",
			   &settings.backing, .parse = run_parse_backing,
			   .expects = "a list of memfd, anon, huge=2M, huge=1G, thp, reserve, "
				      "prealloc, lock"),
		CLI_OPTION("traps", CLI_FLAG, NULL,
			   "guest memory can be watched, for nestctl ept trap (needs userfaultfd)",
			   &settings.traps),
		GUEST_OPTIONS(&settings.guest),
		{0},
	};
	const struct cli_command command = {
		.name = "nestbox run",
		.operands = "",
		.summary = "Starts a guest and serves its control socket until it is told to end:\n"
			   "by nestctl quit, SIGTERM, SIGINT or SIGHUP.",
		.options = options,
		.notes = "docs/protocol.md describes the socket; nestctl speaks to it.",
	};
	struct run_config config = {0};
	enum cli_status status;
	int operand;

	if (!cli_parse(&command, argc, argv, &operand, &status))
		return status;
	/* What comes later wins: the domain, the file of options, the command line. */
	if ((settings.domain && !read_domain(&command, &settings)) ||
	    (settings.config && !run_config_apply(&config, &command, settings.config)) ||
	    ((settings.domain || settings.config) &&
	     !cli_parse(&command, argc, argv, &operand, &status)))
		status = CLI_BAD_INPUT;
	else
		status = start(&command, &settings);
	run_places_free(&settings.dump_folders);
	run_config_free(&config);
	run_domain_free(&settings.from_domain);
	return status;
}
