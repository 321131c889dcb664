/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a thread is for. Each says so itself, first of all it does; who wants to do something with
 * threads of a kind, confine them for one, is told there, on that thread.
 */
#ifndef LIB_THREAD_H
#define LIB_THREAD_H

enum thread_kind {
	THREAD_MAIN, /* the program's first; it does not say so */
	THREAD_VCPU, /* runs the guest */
	THREAD_TRAP, /* serves faults on watched memory */
	THREAD_LOG,  /* writes what was said */
	THREAD_CALL, /* carries hypercalls out for clients */
	THREAD_LOOK, /* looks at the guest for clients, and writes what they want written */
	THREAD_KINDS
};

/* "main", "vCPU", ... */
const char *thread_kind_name(enum thread_kind kind);

/* @fn hears of every thread from now on; NULL: nobody. Before there is a second thread. */
void thread_on_begin(void (*fn)(enum thread_kind kind));

/* What the calling thread is for. */
void thread_begin(enum thread_kind kind);

#endif
