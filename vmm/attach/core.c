/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cores of a guest of this process. */
#include "vmm/attach/core.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "vmm/attach/inspector.h"

/* Where a core goes: a file by its name, or one that is open. */
struct target {
	const char *path;
	int fd;
};

static int write_to(const struct target *target, struct inspector *inspector,
		    const struct core_options *options, struct core_sum *sum_out,
		    struct error *error)
{
	return target->path ? core_write_file(inspector, target->path, options, sum_out, error)
			    : core_write(inspector, target->fd, options, sum_out, error);
}

/* What the guest's death says of the vCPU that failed. */
static void show_failure(const struct guest *guest, struct inspect_registers *failed,
			 struct core_options *options)
{
	const struct guest_report *report = guest_failure(guest);

	if (!report || !report->have_regs)
		return;
	*failed = (struct inspect_registers){.cr0 = 0};
	memcpy(failed->reg, report->regs, sizeof(failed->reg));
	options->failed = failed;
	options->failed_cpu = report->vcpu;
	if (!options->crash_time)
		options->crash_time = (uint64_t)time(NULL);
}

static int write_frozen(struct guest *guest, const struct target *target,
			const struct core_options *options, struct core_sum *sum_out,
			struct error *error)
{
	struct core_options mine = options ? *options : (struct core_options){.level = 0};
	const struct image *image = guest_image(guest);
	struct inspect_registers failed;
	struct inspector *inspector;
	int err = inspector_create_for_guest(guest, &inspector, error);

	if (err)
		return err;
	mine.layout = image->layout;
	mine.layout_bytes = image->layout_bytes;
	mine.build_id = image->build_id;
	show_failure(guest, &failed, &mine);
	err = write_to(target, inspector, &mine, sum_out, error);
	inspector_destroy(inspector);
	return err;
}

static int write_guest(struct guest *guest, const struct target *target,
		       const struct core_options *options, struct core_sum *sum_out,
		       struct error *error)
{
	bool was_paused = guest_is_paused(guest);
	int err = was_paused ? 0 : guest_freeze(guest);

	if (err)
		return error_set(error, err, "a vCPU cannot be stopped");
	err = write_frozen(guest, target, options, sum_out, error);
	/* The dead stay where they are. */
	if (!was_paused && !guest_failure(guest))
		guest_resume(guest);
	return err;
}

int core_write_guest(struct guest *guest, const char *path, const struct core_options *options,
		     struct core_sum *sum_out, struct error *error)
{
	const struct target target = {.path = path, .fd = -1};

	return write_guest(guest, &target, options, sum_out, error);
}

int core_write_guest_fd(struct guest *guest, int fd, const struct core_options *options,
			struct core_sum *sum_out, struct error *error)
{
	const struct target target = {.path = NULL, .fd = fd};

	return write_guest(guest, &target, options, sum_out, error);
}

void core_last_look(void *context, struct guest *guest)
{
	struct core_of_the_dead *core = context;
	struct error error = {""};
	struct core_sum sum = {0};

	if (!core->path)
		return;
	if (core_write_guest(guest, core->path, NULL, &sum, &error)) {
		fprintf(stderr, "nestbox: no core of the guest that died: %s\n", error.text);
		return;
	}
	core->written = true;
	fprintf(stderr,
		"nestbox: the guest that died is in %s, %" PRIu64 " KiB in a file of %" PRIu64
		" KiB\n",
		core->path, sum.written_bytes >> 10, sum.file_bytes >> 10);
}
