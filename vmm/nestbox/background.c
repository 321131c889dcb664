/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A program that goes on in the background, and one that waits until it does. */
#include "vmm/nestbox/background.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/out_queue.h"

static int ready_fd = -1;

bool background_go(const struct cli_command *command, enum cli_status *status_out)
{
	int fds[2], wait_status;
	char byte = 0;
	pid_t child;

	*status_out = CLI_HOST;
	if (pipe2(fds, O_CLOEXEC) != 0) {
		cli_error(command, "pipe: %s", strerror(errno));
		return false;
	}
	child = fork();
	if (child == 0) {
		close(fds[0]);
		ready_fd = fds[1];
		setsid();
		return true;
	}
	close(fds[1]);
	if (child < 0) {
		cli_error(command, "fork: %s", strerror(errno));
	} else if (read(fds[0], &byte, 1) == 1) {
		*status_out = CLI_DONE;
	} else if (waitpid(child, &wait_status, 0) == child && WIFEXITED(wait_status)) {
		*status_out = (enum cli_status)WEXITSTATUS(wait_status);
	}
	close(fds[0]);
	return false;
}

void background_ready(void)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	ssize_t written;
	int fd;

	for (fd = 0; null_fd >= 0 && fd <= 2; fd++)
		dup2(null_fd, fd);
	if (null_fd >= 0)
		out_queue_stderr_move(null_fd);
	if (null_fd > 2)
		close(null_fd);
	written = write(ready_fd, "", 1);
	(void)written;
	close(ready_fd);
	ready_fd = -1;
}
