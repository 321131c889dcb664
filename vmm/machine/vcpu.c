/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A vCPU's making, its thread, and how others make it stop. */
#include "vmm/machine/vcpu.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ept/kvm_fd.h"
#include "lib/clock.h"
#include "lib/thread.h"
#include "vmm/machine/debug_exit.h"
#include "vmm/machine/exit.h"
#include "vmm/machine/vm.h"
#include "vmm/machine/watch.h"

/* Takes a thread out of KVM_RUN; its handler does nothing. */
#define KICK_SIGNAL SIGRTMIN

static void on_kick(int signal)
{
	(void)signal;
}

/* With run_mutex held. */
static bool may_run(const struct vcpu *vcpu)
{
	return !vcpu->ending && !vcpu->held;
}

/*
 * With run_mutex held, after ending or held changed. A thread about to enter KVM_RUN sees
 * immediate_exit, one inside the signal.
 */
static void tell(struct vcpu *vcpu)
{
	if (!may_run(vcpu)) {
		__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELEASE);
		if (vcpu->have_thread && vcpu->state == VCPU_RUNNING)
			pthread_kill(vcpu->thread, KICK_SIGNAL);
	}
	pthread_cond_broadcast(&vcpu->run_changed);
}

/* With run_mutex held. */
static void set_held(struct vcpu *vcpu, unsigned int held)
{
	__atomic_store_n(&vcpu->held, held, __ATOMIC_RELEASE);
	tell(vcpu);
}

/* ---- the thread ---- */

static void set_state(struct vcpu *vcpu, enum vcpu_state state)
{
	vcpu->state = state;
	pthread_cond_broadcast(&vcpu->run_changed);
}

/*
 * Runs the guest until the next exit and handles it. False: leave the loop. Whatever the reason,
 * KVM has then completed the port write of the exit before.
 */
static bool run_once(struct vcpu *vcpu)
{
	struct watch *watch = vcpu->vm->watch;
	enum watch_result watched = watch ? watch_held(watch, vcpu) : WATCH_NOT_OURS;
	int err;

	if (watched != WATCH_NOT_OURS)
		return watched == WATCH_RUN;
	debug_before_run(vcpu);
	if (kvm_ioctl(vcpu->fd, KVM_RUN, 0) == 0) {
		vcpu->exit_pending = true;
		if (exit_handle(vcpu) != EXIT_GO_ON)
			return false;
		debug_after_exit(vcpu);
		return true;
	}
	err = errno;
	vcpu->exit_pending = false;
	if (err == EINTR || err == EAGAIN)
		return true;
	watched = watch ? watch_run_failed(watch, vcpu, -err) : WATCH_NOT_OURS;
	if (watched != WATCH_NOT_OURS)
		return watched == WATCH_RUN;
	exit_run_failed(vcpu, -err);
	return false;
}

/*
 * Does what others wish. Returns false when the loop is to end. A pending exit is completed before
 * the vCPU parks or ends: immediate_exit is set then, so that KVM_RUN does no more than that.
 */
static bool obey(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->run_mutex);
	while (!may_run(vcpu)) {
		if (vcpu->exit_pending &&
		    !(vcpu->vm->watch && watch_is_held(vcpu->vm->watch, vcpu->index))) {
			pthread_mutex_unlock(&vcpu->run_mutex);
			if (!run_once(vcpu))
				return false;
			pthread_mutex_lock(&vcpu->run_mutex);
			continue;
		}
		if (vcpu->ending) {
			pthread_mutex_unlock(&vcpu->run_mutex);
			return false;
		}
		set_state(vcpu, VCPU_PARKED);
		pthread_cond_wait(&vcpu->run_changed, &vcpu->run_mutex);
	}
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_RELEASE);
	if (vcpu->state != VCPU_RUNNING)
		set_state(vcpu, VCPU_RUNNING);
	pthread_mutex_unlock(&vcpu->run_mutex);
	return true;
}

static void *vcpu_thread(void *context)
{
	struct vcpu *vcpu = context;

	thread_begin(THREAD_VCPU);
	__atomic_store_n(&vcpu->thread_id, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	if (vcpu->vm->watch)
		watch_vcpu_starts(vcpu->vm->watch, vcpu->index);
	while (obey(vcpu) && run_once(vcpu))
		;
	pthread_mutex_lock(&vcpu->run_mutex);
	set_state(vcpu, VCPU_DEAD);
	pthread_mutex_unlock(&vcpu->run_mutex);
	return NULL;
}

/* The thread takes the kick and no other signal: those are the program's. */
static int start_thread(struct vcpu *vcpu)
{
	struct sigaction action = {.sa_handler = on_kick};
	sigset_t all, before;
	int err;

	if (sigaction(KICK_SIGNAL, &action, NULL) != 0)
		return errno;
	sigfillset(&all);
	sigdelset(&all, KICK_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&vcpu->thread, NULL, vcpu_thread, vcpu);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

int vcpu_start(struct vcpu *vcpu, struct error *error)
{
	int err;

	pthread_mutex_lock(&vcpu->run_mutex);
	err = start_thread(vcpu);
	if (!err) {
		vcpu->have_thread = true;
		vcpu->state = VCPU_RUNNING;
	}
	pthread_mutex_unlock(&vcpu->run_mutex);
	if (err)
		return error_set(error, -err, "the thread of vCPU %u: %s", vcpu->index,
				 strerror(err));
	return 0;
}

/* ---- from outside ---- */

static bool has_stopped(const struct vcpu *vcpu, bool parked_will_do)
{
	return !vcpu->have_thread || vcpu->state == VCPU_DEAD ||
	       (parked_will_do && vcpu->state == VCPU_PARKED);
}

/* With run_mutex held. */
static int wait_stopped(struct vcpu *vcpu, bool parked_will_do, double timeout_seconds)
{
	struct timespec deadline = clock_deadline(timeout_seconds);

	while (!has_stopped(vcpu, parked_will_do)) {
		if (pthread_cond_timedwait(&vcpu->run_changed, &vcpu->run_mutex, &deadline) ==
		    ETIMEDOUT)
			return has_stopped(vcpu, parked_will_do) ? 0 : -ETIMEDOUT;
	}
	return 0;
}

int vcpu_hold(struct vcpu *vcpu, unsigned int who, double timeout_seconds)
{
	int err;

	pthread_mutex_lock(&vcpu->run_mutex);
	set_held(vcpu, vcpu->held | who);
	err = wait_stopped(vcpu, true, timeout_seconds);
	if (err)
		set_held(vcpu, vcpu->held & ~who);
	pthread_mutex_unlock(&vcpu->run_mutex);
	return err;
}

void vcpu_let_go(struct vcpu *vcpu, unsigned int who)
{
	pthread_mutex_lock(&vcpu->run_mutex);
	set_held(vcpu, vcpu->held & ~who);
	pthread_mutex_unlock(&vcpu->run_mutex);
}

int vcpu_pause(struct vcpu *vcpu, double timeout_seconds)
{
	return vcpu_hold(vcpu, VCPU_HELD_PAUSE, timeout_seconds);
}

void vcpu_resume(struct vcpu *vcpu)
{
	vcpu_let_go(vcpu, VCPU_HELD_PAUSE);
}

void vcpu_hold_itself(struct vcpu *vcpu, unsigned int who)
{
	pthread_mutex_lock(&vcpu->run_mutex);
	__atomic_store_n(&vcpu->held, vcpu->held | who, __ATOMIC_RELEASE);
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&vcpu->run_mutex);
}

bool vcpu_is_held(const struct vcpu *vcpu, unsigned int who)
{
	return __atomic_load_n(&vcpu->held, __ATOMIC_ACQUIRE) & who;
}

void vcpu_ask_end(struct vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->run_mutex);
	vcpu->ending = true;
	tell(vcpu);
	pthread_mutex_unlock(&vcpu->run_mutex);
}

int vcpu_end(struct vcpu *vcpu, double timeout_seconds)
{
	int err;

	pthread_mutex_lock(&vcpu->run_mutex);
	vcpu->ending = true;
	tell(vcpu);
	err = wait_stopped(vcpu, false, timeout_seconds);
	pthread_mutex_unlock(&vcpu->run_mutex);
	return err;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	if (!vcpu)
		return;
	if (vcpu->have_thread) {
		vcpu_ask_end(vcpu);
		pthread_join(vcpu->thread, NULL);
	}
	if (vcpu->run)
		munmap(vcpu->run, vcpu->run_bytes);
	if (vcpu->fd >= 0)
		kvm_close(vcpu->fd);
	pthread_cond_destroy(&vcpu->run_changed);
	pthread_mutex_destroy(&vcpu->run_mutex);
	free(vcpu);
}

/* ---- making one ---- */

static int map_run(struct vcpu *vcpu, struct error *error)
{
	int bytes = kvm_ioctl(vcpu->vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *run;

	if (bytes < (int)sizeof(struct kvm_run))
		return error_set(error, bytes < 0 ? -errno : -ENOTSUP,
				 "KVM_GET_VCPU_MMAP_SIZE says %d", bytes);
	run = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (run == MAP_FAILED)
		return error_set(error, -errno, "mapping vCPU %u: %s", vcpu->index,
				 strerror(errno));
	vcpu->run = run;
	vcpu->run_bytes = (size_t)bytes;
	return 0;
}

int vcpu_create(struct vm *vm, unsigned int index, const struct kvm_cpuid2 *cpuid,
		const struct boot *boot, struct vcpu **vcpu_out, struct error *error)
{
	struct vcpu *vcpu = calloc(1, sizeof(*vcpu));
	int err = 0;

	if (!vcpu)
		return error_set(error, -ENOMEM, "no memory for vCPU %u", index);
	vcpu->vm = vm;
	vcpu->index = index;
	pthread_mutex_init(&vcpu->run_mutex, NULL);
	clock_cond_init(&vcpu->run_changed);
	vcpu->fd = kvm_ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)index);
	if (vcpu->fd < 0)
		err = error_set(error, -errno, "KVM_CREATE_VCPU %u: %s", index, strerror(errno));
	if (!err)
		err = map_run(vcpu, error);
	if (!err)
		err = vcpu_set_entry(vcpu, cpuid, boot, error);
	if (err)
		vcpu_destroy(vcpu);
	else
		*vcpu_out = vcpu;
	return err;
}
