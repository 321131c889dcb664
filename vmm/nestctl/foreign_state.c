/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb state: what an exact replay starts from, of other people's Linux. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/out_file.h"
#include "vmm/linux/space.h"
#include "vmm/nestctl/foreign.h"

/* While the guest runs it may be in the middle of something: then it is tried again. */
#define STATE_TRIES 64

static int write_state(struct foreign *foreign, struct linux_guest *guest, FILE *out,
		       struct error *error)
{
	struct linux_space space;
	int err = linux_space_read(guest, &space, error);

	for (int i = 0; !err && i < STATE_TRIES && source_is_live(foreign->source) &&
			(space.locks[0] || foreign_first_broken(&space));
	     i++) {
		linux_space_free(&space);
		err = source_refresh(foreign->source, error);
		linux_refresh(guest);
		if (!err)
			err = linux_space_read(guest, &space, error);
	}
	if (err)
		return err;
	err = linux_state_write(guest, &space, out, error);
	linux_space_free(&space);
	if (!err && fflush(out))
		err = error_set(error, -errno, "cannot write the state: %s", strerror(errno));
	return err;
}

static int write_state_file(struct foreign *foreign, struct linux_guest *guest, const char *path,
			    struct error *error)
{
	struct out_file file;
	FILE *out;
	int err = out_file_begin(&file, path, error), fd;

	if (err)
		return err;
	fd = dup(file.fd);
	out = fd < 0 ? NULL : fdopen(fd, "w");
	err = out ? write_state(foreign, guest, out, error)
		  : error_set(error, -ENOMEM, "no memory for a file");
	if (out)
		fclose(out);
	else if (fd >= 0)
		close(fd);
	if (!err)
		return out_file_commit(&file, error);
	out_file_discard(&file);
	return err;
}

/*
 * For who must not start a process at the moment of the state: it is started before, and asked.
 * What it says is one line, ok or why not.
 */
static enum cli_status answer_lines(struct foreign *foreign, struct linux_guest *guest)
{
	struct error error = {""};
	enum cli_status status = CLI_DONE;
	char *line = NULL;
	size_t room = 0;
	int err;

	while (getline(&line, &room, stdin) > 0) {
		line[strcspn(line, "\n")] = '\0';
		err = source_refresh(foreign->source, &error);
		linux_refresh(guest);
		if (!err)
			err = write_state_file(foreign, guest, line, &error);
		status = err ? CLI_HOST : CLI_DONE;
		puts(err ? error.text : "ok");
		fflush(stdout);
	}
	free(line);
	return status;
}

enum cli_status foreign_state(struct foreign *foreign)
{
	struct linux_guest *guest = foreign_linux(foreign);
	const char *path = foreign->options.output;
	struct error error = {""};
	int err = 0, resumed;

	if (!guest)
		return CLI_HOST;
	if (foreign->options.asked)
		return answer_lines(foreign, guest);
	if (foreign->options.pause)
		err = source_pause(foreign->source, &error);
	if (err && err != -EALREADY)
		return foreign_failed(foreign, err, &error);
	err = path ? write_state_file(foreign, guest, path, &error)
		   : write_state(foreign, guest, stdout, &error);
	resumed = source_resume(foreign->source, err ? NULL : &error);
	err = err ? err : resumed;
	return err ? foreign_failed(foreign, err, &error) : CLI_DONE;
}
