/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A conversation with gdb: packets in, answers out (gdb's manual, appendix "Remote Serial
 * Protocol"; QEMU's packets and thread names where it has its own). It knows no virtual machine:
 * what it talks about is behind struct gdb_target.
 *
 * One process, number 1; its threads are the vCPUs, vCPU n being thread n + 1. All-stop.
 */
#ifndef VMM_GDB_SESSION_H
#define VMM_GDB_SESSION_H

#include "guest/abi.h"
#include "vmm/gdb/registers.h"

/* As vmm/machine/debug.h has them; called while the guest is stopped, but interrupt. */
struct gdb_target {
	void *context;
	unsigned int nr_cpus; /* 1 to NB_MAX_VCPUS */
	int (*get_registers)(void *context, unsigned int cpu, struct debug_registers *out);
	int (*set_registers)(void *context, unsigned int cpu, const struct debug_registers *in);
	size_t (*read)(void *context, unsigned int cpu, bool physical, uint64_t address,
		       void *buffer, size_t size_bytes);
	int (*write)(void *context, unsigned int cpu, bool physical, uint64_t address,
		     const void *buffer, size_t size_bytes);
	int (*insert)(void *context, unsigned int cpu, const struct debug_point *point);
	int (*remove)(void *context, const struct debug_point *point);
	int (*resume)(void *context, const struct debug_order *orders);
	/* Back by an instruction of @cpu, or to the point met last; NULL: there is no way back. */
	int (*back)(void *context, unsigned int cpu, bool step);
	void (*interrupt)(void *context);
	void (*kill)(void *context);
	bool (*is_halted)(void *context, unsigned int cpu);
	void (*step_blocks)(void *context, bool block);
	/* What a "monitor" command of @text has to say: lines. */
	void (*monitor)(void *context, const char *text, struct gdb_answer *lines);
};

struct gdb_session {
	const struct gdb_target *target;
	bool multiprocess, swbreak, hwbreak; /* what the client said it knows */
	bool no_ack, physical, running;
	unsigned int step_bits; /* QEMU's "sstep": 1 | 2 no interrupts | 4 no timers */
	unsigned int cpu;       /* H g */
	unsigned int step_cpu;  /* H c */
	unsigned int next;      /* of qsThreadInfo */
	struct debug_stop last;
	char scratch[GDB_PACKET_MAX];
	struct gdb_answer lines; /* of monitor */
	char xml[GDB_XML_BYTES];
	size_t xml_size;
};

/* A new one, of a guest that is stopped as @stop says. */
void gdb_session_begin(struct gdb_session *session, const struct gdb_target *target,
		       const struct debug_stop *stop);

enum gdb_next {
	GDB_SEND,  /* the answer */
	GDB_WAIT,  /* the guest runs: no answer before it stops */
	GDB_CLOSE, /* send the answer, if it has anything, and end the conversation */
};

/* One packet. @answer is written. */
enum gdb_next gdb_session_packet(struct gdb_session *session, const char *bytes, size_t size,
				 struct gdb_answer *answer);

/* The guest has stopped: the answer that was owed. */
void gdb_session_stopped(struct gdb_session *session, const struct debug_stop *stop,
			 struct gdb_answer *answer);

#endif
