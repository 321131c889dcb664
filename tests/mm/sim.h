/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine for the core, simulated in a host process: RAM of any layout, a page array that comes
 * to life section by section, CPUs, and an operations table that records what was asked of it.
 *
 * RAM is a sparse memfd mapped at one base, guest-physical holes left inaccessible, so that
 * base + physical address works as the direct map does in the guest. The page array is a second
 * view of the same memfd: what memmap_populate() is given appears in it, and the rest of it
 * faults. A struct page is therefore the same memory as in the guest, inside RAM.
 *
 * A thread is one CPU at a time (sim_set_cpu()); everything the operations record is under a lock.
 * What goes wrong in the simulation itself ends the process with a message.
 */
#ifndef TESTS_MM_SIM_H
#define TESTS_MM_SIM_H

#include <pthread.h>
#include <setjmp.h>

#include "mm/mm.h"

#define SIM_FLUSHES   256 /* the last so many are kept */
#define SIM_LOG_LINES 64
#define SIM_TEXT      256

struct sim_config {
	u32 nr_cpus; /* 0 means 1 */
	u8 cpu_node[MAX_CPUS];
	u32 nr_ram, nr_reserved;
	struct mem_range ram[MAX_RAM];
	/* Above the two frames the simulation reserves itself, at the start of ram[0]. */
	struct mem_range reserved[MAX_RESERVED];
	bool irq_check; /* a TLB flush with interrupts disabled is a panic */
};

struct sim_flush {
	u64 start, end;
};

/* What the simulation calls, after it has recorded it, when the core flushes: a test's own look. */
enum sim_event { SIM_FLUSH_TLB, SIM_CACHE_VMAP, SIM_CACHE_VUNMAP, SIM_NR_EVENTS };
typedef void (*sim_look)(enum sim_event event, u64 start, u64 end);

struct sim {
	struct mm mm;
	int fd;
	void *ram_base;
	u64 ram_bytes; /* of the reservation: the end of the highest range */
	struct page *memmap;
	pthread_mutex_t lock; /* guards the records below */
	u64 nr_flushes;       /* flush[n % SIM_FLUSHES] is the n-th, counted from 0 */
	struct sim_flush flush[SIM_FLUSHES];
	u64 nr_flushed_pages;
	u64 nr_cache_vmap, nr_cache_vunmap;
	struct sim_flush cache_vmap, cache_vunmap; /* the last */
	sim_look look;                             /* or NULL; without the lock */
	u64 nr_populated;                          /* sections */
	u32 populate_fail; /* the next so many memmap_populate() calls return -ENOMEM */
	u64 nr_logs;       /* log[n % SIM_LOG_LINES] is the n-th, counted from 0 */
	char log[SIM_LOG_LINES][SIM_TEXT];
	enum log_level log_level[SIM_LOG_LINES];
	/* What the clock says next, and how far it goes on then: LOG_INTERVAL_NS at first. */
	u64 clock_ns, clock_step_ns;
	u64 nr_warnings;
	char warning[SIM_TEXT]; /* the last: "file:line: text" */
	char panic[SIM_TEXT];   /* likewise */
	jmp_buf *panic_jump;    /* where a panic goes; NULL: it aborts with its message */
	u32 irq_off[MAX_CPUS];  /* how deep irq_save() is nested */
	bool irq_check;
};

/* Adds a RAM range of @bytes at @start on @node. 4 MiB aligned, above the others. */
void sim_add_ram(struct sim_config *config, u64 start, u64 bytes, u32 node);

/* Adds a reserved range. */
void sim_add_reserved(struct sim_config *config, u64 start, u64 bytes, enum reserved_kind kind);

/* 64 MiB at 0 and 64 MiB at 4 GiB, one node: all three zones; @nr_cpus CPUs; irq_check. */
struct sim_config sim_default_config(u32 nr_cpus);

/*
 * Makes a machine and calls mm_init(). Frame 0 of ram[0] is reserved as RESERVED_BOOT, the next one
 * is the PML4, zeroed, RESERVED_TABLES. *@sim_out, on success, is the caller's until
 * sim_destroy(). Returns what mm_init() did. This thread becomes CPU 0.
 */
int sim_try_create(const struct sim_config *config, struct sim **sim_out);

/* The same where mm_init() cannot fail. */
struct sim *sim_create(const struct sim_config *config);

/* The same with mm_init_frames(): no frame is in use yet, and there is no address space. */
struct sim *sim_create_frames(const struct sim_config *config);

void sim_destroy(struct sim *sim);

/* This thread is CPU @cpu from now on. It is CPU 0 until told otherwise. */
void sim_set_cpu(u32 cpu);

/* Whether any of the last log lines contains @text. */
bool sim_logged(struct sim *sim, const char *text);

/*
 * Runs @expression, which must end in a panic with @text in its message; anything else ends the
 * process. What the core held at that moment, it holds for good.
 */
#define sim_expect_panic(sim, text, expression)                \
	do {                                                   \
		jmp_buf sim_jump;                              \
		(sim)->panic_jump = &sim_jump;                 \
		if (setjmp(sim_jump) == 0) {                   \
			(void)(expression);                    \
			sim_no_panic(__FILE__, __LINE__);      \
		}                                              \
		(sim)->panic_jump = NULL;                      \
		sim_same_panic(sim, text, __FILE__, __LINE__); \
	} while (0)

__attribute__((noreturn)) void sim_no_panic(const char *file, int line);
void sim_same_panic(struct sim *sim, const char *text, const char *file, int line);

#endif
