/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest's life: its start, what its vCPUs say meanwhile, its end. */
#include "vmm/machine/guest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ept/kvm_fd.h"
#include "lib/clock.h"
#include "lib/out_queue.h"
#include "lib/printable.h"
#include "vmm/machine/guest_private.h"
#include "vmm/machine/uaf.h"
#include "vmm/soft/check.h"
#include "vmm/soft/soft.h"

/* ---- what vCPUs say ---- */

static void on_complete(void *context, unsigned int vcpu)
{
	struct guest *guest = context;

	pthread_mutex_lock(&guest->lock);
	guest->rings[vcpu].signals++;
	pthread_cond_broadcast(&guest->rings[vcpu].changed);
	pthread_mutex_unlock(&guest->lock);
}

void guest_message_print(void *context, const struct guest_message *message)
{
	FILE *out = out_queue_stderr();

	(void)context;
	fprintf(out, "guest, vCPU %u: %s%s\n", message->vcpu, message->warning ? "warning: " : "",
		message->text);
	if (message->trace)
		backtrace_print(message->trace, "  ", out);
}

static void on_event(void *context, unsigned int vcpu, const struct nb_event *event,
		     const struct backtrace *trace)
{
	struct guest *guest = context;
	struct guest_message message = {.vcpu = vcpu, .trace = trace};
	const struct nb_submission *call;

	message.warning = event->kind == NB_EVENT_WARN;
	message.level = message.warning ? 4 : (int)(event->error_code & 7);
	memcpy(message.text, event->text, event->text_bytes);
	printable(message.text);
	__atomic_add_fetch(message.warning ? &guest->warnings : &guest->logs, 1, __ATOMIC_RELAXED);
	if (!guest->message)
		return;
	pthread_mutex_lock(&guest->lock);
	call = guest_find_call(&guest->rings[vcpu], event->user_data);
	message.call = call ? call->user_data : 0;
	pthread_mutex_unlock(&guest->lock);
	pthread_mutex_lock(&guest->message_lock);
	guest->message(guest->message_context, &message);
	pthread_mutex_unlock(&guest->message_lock);
}

static void on_dead(void *context, unsigned int vcpu, struct guest_report *report)
{
	(void)vcpu;
	guest_fail(context, report);
}

static const struct vm_ops vm_ops = {on_complete, guest_on_frames, on_event, on_dead};

/* ---- start ---- */

static void init_locks(struct guest *guest)
{
	pthread_mutex_init(&guest->lock, NULL);
	pthread_mutex_init(&guest->message_lock, NULL);
	pthread_mutex_init(&guest->pause_lock, NULL);
	pthread_mutex_init(&guest->schedule_mutex, NULL);
	for (unsigned int i = 0; i < NB_MAX_VCPUS; i++) {
		pthread_mutex_init(&guest->rings[i].call_mutex, NULL);
		clock_cond_init(&guest->rings[i].changed);
	}
}

static void destroy_locks(struct guest *guest)
{
	for (unsigned int i = 0; i < NB_MAX_VCPUS; i++) {
		pthread_cond_destroy(&guest->rings[i].changed);
		pthread_mutex_destroy(&guest->rings[i].call_mutex);
	}
	pthread_mutex_destroy(&guest->message_lock);
	pthread_mutex_destroy(&guest->schedule_mutex);
	pthread_mutex_destroy(&guest->pause_lock);
	pthread_mutex_destroy(&guest->lock);
}

/* What KVM refuses the host cannot do: these would say that the caller's input is wrong. */
static int host_error(int err)
{
	return err == -EINVAL || err == -ENOEXEC || err == -ENOSPC || err == -ERANGE ? -ENOTSUP
										     : err;
}

static int open_host(struct guest *guest, const struct guest_config *config, struct error *error)
{
	bool soft_only = config->soft.tlb_entries || config->plan.kind != SOFT_PLAN_ROUND;
	int err = kvm_open_told(config->engine, &config->soft, &guest->kvm_fd, error);

	if (!err && soft_only && !soft_is_device(guest->kvm_fd))
		return error_set(error, -ENOTSUP,
				 "a TLB and a schedule are given by the soft engine: --kvm soft");
	if (!err)
		err = kvm_host_probe(guest->kvm_fd, "/sys", &guest->host, error);
	if (!err && !soft_is_device(guest->kvm_fd))
		guest->checks = 0;
	return host_error(err);
}

static int choose_memory(struct guest *guest, const struct guest_config *config,
			 struct error *error)
{
	uint64_t bytes = config->memory_bytes ? config->memory_bytes : MEMORY_BYTES_DEFAULT;
	const struct memory_layout *memory = &guest->memory;
	int err = 0;

	if (config->memory)
		guest->memory = *config->memory;
	else
		err = memory_layout_default(bytes, config->nr_nodes ? config->nr_nodes : 1,
					    &guest->memory, error);
	if (err)
		return err;
	if (memory->nr_ram > 0 && memory->nr_ram <= NB_MAX_RANGES &&
	    memory->ram[memory->nr_ram - 1].end > 1ull << guest->host.physical_bits)
		return error_set(error, -ERANGE,
				 "guest memory up to %#lx: this host's guests have %u physical "
				 "address bits, so it ends below %#llx",
				 memory->ram[memory->nr_ram - 1].end, guest->host.physical_bits,
				 1ull << guest->host.physical_bits);
	return 0;
}

static int load_image(struct guest *guest, const char *path, struct error *error)
{
	int err = path ? image_load_file(path, &guest->image, error)
		       : image_load_builtin(&guest->image, error);

	/* A file that cannot be read is bad input, whatever the reason. */
	return err && err != -ENOMEM ? -ENOEXEC : err;
}

/* Where each vCPU's area is in this process. */
static int find_areas(struct guest *guest, struct error *error)
{
	for (unsigned int i = 0; i < guest->nr_vcpus; i++) {
		void *host;
		int err = gpa_space_translate(guest->space, gpa_make(guest->boot.info.area_gpa[i]),
					      sizeof(struct nb_vcpu_area), &host);

		if (err)
			return error_set(error, err, "hypercall area %u is not in RAM", i);
		guest->rings[i].area = host;
	}
	return 0;
}

static int make_memory(struct guest *guest, const struct guest_config *config, struct error *error)
{
	struct boot_config boot = {
		.image = &guest->image,
		.memory = &guest->memory,
		.nr_vcpus = guest->nr_vcpus,
		.pages_1g = guest->host.pages_1g,
		.flags = config->boot_flags |
			 (guest->host.emulates_cpl0 ? NB_BOOT_HOST_ZEROES : 0) |
			 (guest->trap_uaf ? NB_BOOT_TELL_FRAMES : 0),
	};
	int err = choose_memory(guest, config, error);

	/* The soft engine takes rights from pages without a mapping of their own. */
	guest->memory.trappable = guest->traps && strcmp(guest->host.module, "soft") != 0;
	if (!err)
		err = load_image(guest, config->image_path, error);
	if (!err)
		err = gpa_space_create(guest->host.physical_bits, &guest->space, error);
	if (!err)
		err = memory_layout_add_backed(&guest->memory, &config->backing, guest->space,
					       error);
	if (!err)
		err = boot_build(&boot, guest->space, &guest->boot, error);
	return err ? err : find_areas(guest, error);
}

static int make_vm(struct guest *guest, struct error *error)
{
	struct vm_config config = {
		.kvm_fd = guest->kvm_fd,
		.host = &guest->host,
		.space = guest->space,
		.boot = &guest->boot,
		.image = &guest->image,
		.nr_vcpus = guest->nr_vcpus,
		.ops = &vm_ops,
		.watch = guest->traps ? &guest_watch_ops : NULL,
		.context = guest,
	};
	int err = vm_create(&config, &guest->vm, error);

	if (!err && soft_is_device(guest->kvm_fd))
		err = gpa_space_listen(guest->space, &guest_history_listener, guest, error);
	if (!err && guest->trap_uaf)
		err = guest_make_uaf(guest, error);
	if (!err && guest->checks)
		err = guest_start_checks(guest, error);
	if (!err && (guest->coverage || guest->count_instructions))
		err = guest_start_coverage(guest, error);
	return host_error(err);
}

/* Known only now that there are vCPUs; the rest of the boot information was written before. */
static int tell_clock(struct guest *guest, struct error *error)
{
	struct nb_boot_info *info = &guest->boot.info;
	gpa_t at = gpa_make(guest->boot.info_gva.value - NB_DIRECT_BASE +
			    offsetof(struct nb_boot_info, tsc_khz));
	int err;

	info->tsc_khz = vcpu_tsc_khz(guest->vm->vcpus[0]);
	err = gpa_space_write(guest->space, at, &info->tsc_khz, sizeof(info->tsc_khz));
	return err ? error_set(error, err, "the boot information does not lie in RAM") : 0;
}

/* One NOP on each vCPU: it is there and its rings work. */
static int greet(struct guest *guest, double start, struct error *error)
{
	for (unsigned int i = 0; i < guest->nr_vcpus; i++) {
		struct nb_submission nop = {.opcode = NB_OP_NOP, .arg[0] = i + 1};
		struct nb_completion completion;
		int err = guest_call(guest, i, &nop, &completion);

		if (err)
			return error_set(error, err,
					 "the guest died before it answered: vCPU %u: %.180s",
					 guest->failure.vcpu, guest->failure.text);
		if (completion.status != 0 || completion.result[0] != i + 1)
			return error_set(error, -EPROTO,
					 "vCPU %u answers its first hypercall with %" PRId64
					 ", %#" PRIx64 ": is this image of another version?",
					 i, completion.status, completion.result[0]);
		if (i == 0)
			guest->times.started = clock_seconds() - start;
	}
	return 0;
}

static int bring_up(struct guest *guest, const struct guest_config *config, struct error *error)
{
	double start = clock_seconds();
	int err = open_host(guest, config, error);

	guest->times.begin = start;
	guest->times.kvm = clock_seconds() - start;
	if (!err)
		err = make_memory(guest, config, error);
	guest->times.memory = clock_seconds() - start;
	if (!err)
		err = make_vm(guest, error);
	if (!err)
		err = tell_clock(guest, error);
	guest->times.vcpus = clock_seconds() - start;
	if (!err && config->plan.kind != SOFT_PLAN_ROUND)
		err = guest_begin_plan(guest, &config->plan, error);
	if (!err)
		err = host_error(vm_start(guest->vm, error));
	if (!err)
		err = greet(guest, start, error);
	return err;
}

int guest_start(const struct guest_config *config, struct guest **guest_out,
		struct guest_report *report_out, struct error *error)
{
	struct guest *guest;
	unsigned int nr_vcpus = config->nr_vcpus ? config->nr_vcpus : 1;
	int err;

	if (nr_vcpus > NB_MAX_VCPUS)
		return error_set(error, -EINVAL, "%u vCPUs: possible are 1 to %u", nr_vcpus,
				 NB_MAX_VCPUS);
	guest = calloc(1, sizeof(*guest));
	if (!guest)
		return error_set(error, -ENOMEM, "no memory for a guest");
	guest->kvm_fd = -1;
	guest->nr_vcpus = nr_vcpus;
	guest->next_ticket = 1;
	guest->trap_uaf = config->trap_uaf;
	/* The trap sees to freed frames then; and one vCPU has nobody to race with. */
	guest->checks = config->checks & ~(config->trap_uaf ? SOFT_CHECK_FREED : 0) &
			~(nr_vcpus == 1 ? SOFT_CHECK_RACE : 0);
	guest->coverage = config->coverage;
	guest->count_instructions = config->count_instructions;
	guest->traps = config->traps || config->trap_uaf;
	guest->access = config->access;
	guest->access_context = config->access_context;
	guest->message = config->message;
	guest->died = config->died;
	guest->message_context = config->message_context;
	guest->watchdog_seconds =
		config->watchdog_seconds == 0 ? GUEST_WATCHDOG_SECONDS : config->watchdog_seconds;
	guest->operation_seconds = config->operation_seconds;
	guest->total_seconds = config->total_seconds;
	init_locks(guest);
	guest->last_look = config->last_look;
	guest->last_look_context = config->last_look_context;
	err = bring_up(guest, config, error);
	if (err) {
		if (err == -ENOTRECOVERABLE && report_out)
			*report_out = guest->failure;
		guest_destroy(guest);
		return err;
	}
	*guest_out = guest;
	return 0;
}

void guest_last_look(struct guest *guest)
{
	guest_last_look_fn look = guest->last_look;

	if (!look || !guest->vm || !guest_failure(guest))
		return;
	guest->last_look = NULL;
	look(guest->last_look_context, guest);
}

void guest_destroy(struct guest *guest)
{
	if (!guest)
		return;
	guest_last_look(guest);
	if (vm_destroy(guest->vm) != 0)
		return;
	uaf_destroy(guest->uaf);
	gpa_space_destroy(guest->space);
	image_unload(&guest->image);
	if (guest->kvm_fd >= 0)
		kvm_close(guest->kvm_fd);
	destroy_locks(guest);
	free(guest->coverage_counts);
	free(guest);
}
