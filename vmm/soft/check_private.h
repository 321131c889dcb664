/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The checks as the engine's other files call them. A VM without checks has vm->check NULL, and
 * none of these is called. All with vm->lock.
 */
#ifndef VMM_SOFT_CHECK_PRIVATE_H
#define VMM_SOFT_CHECK_PRIVATE_H

#include "ept/paging.h"
#include "vmm/soft/check.h"
#include "vmm/soft/private.h"

/* Moments that are remembered; older ones are forgotten. 1.7 KiB each, once used. */
#define SOFT_PASTS 2048
/* Pages, and what larger tables map, of which the last unmapping is remembered. */
#define SOFT_UNMAPPED 8192

/* Of a frame of the guest's RAM. */
struct soft_check_frame {
	uint32_t freed; /* when it was given up: a moment's number; 0: in use, or never told of */
	uint32_t base;  /* a table's: linear address it maps >> shift of the level above its own */
	uint8_t level;  /* the processor walked through it as a table of this level; 0: never */
	bool many;      /* in more than one place, or level: base does not tell */
	bool aliased;   /* lines may lead there by another address than direct_base's */
	uint8_t unused;
};

struct soft_unmapped {
	uint64_t page; /* linear address >> shift of level */
	uint32_t level;
	uint32_t past;
};

struct soft_moment {
	uint32_t number; /* 0: none */
	struct soft_past past;
};

struct soft_check {
	struct soft_check_config config;
	struct soft_check_frame *frames;
	uint64_t nr_frames;
	struct soft_moment *moments;    /* SOFT_PASTS, by number modulo that */
	struct soft_unmapped *unmapped; /* SOFT_UNMAPPED */
	uint32_t last;                  /* number of the last moment */
};

void soft_check_free(struct soft_check *check);

static inline bool soft_checks(const struct soft_vm *vm, unsigned int which)
{
	return vm->check && (vm->check->config.checks & which);
}

/* Whether the instruction under way may do anything. */
bool soft_check_exempt(struct soft_vcpu *vcpu);

/* Keeps this moment of the vCPU, before its instruction; returns its number, never 0. */
uint32_t soft_check_remember(struct soft_vcpu *vcpu);
void soft_check_recall(const struct soft_check *check, uint32_t number, struct soft_past *past_out);

/* The vCPU is to leave with @finding, in which instruction and past are not filled in yet. */
enum soft_answer soft_check_found(struct soft_vcpu *vcpu, const struct soft_finding *finding,
				  uint32_t past);

/* The page walker reads the entry at @gpa, of a table of @level, on its way to @gva. */
enum soft_answer soft_check_table(struct soft_vcpu *vcpu, uint64_t gva, uint64_t gpa,
				  unsigned int level);

/*
 * A line is about to be filled for @access to @gva, which leads to @gpa. *@flags are the
 * translation's, and become those the tables give as well. @remembered: not all of it was read from
 * the tables just now.
 */
enum soft_answer soft_check_fill(struct soft_vcpu *vcpu, uint64_t gva, uint64_t gpa,
				 enum soft_access access, enum soft_class class, bool remembered,
				 uint64_t *flags);

/* It is filled: marks what is to be told of. */
void soft_check_mark(struct soft_vcpu *vcpu, struct soft_line *line, uint64_t gva);

/* Supervisor code is about to fault at @gva, where nothing is mapped. */
enum soft_answer soft_check_fault(struct soft_vcpu *vcpu, uint64_t gva, enum soft_access access);

/* soft_cpu_ops.access. */
enum soft_answer soft_check_access(struct soft_cpu *cpu, struct soft_line *line, uint64_t gva,
				   size_t bytes, enum soft_access access);

/* An OUT to @port; whether that was all of it and the vCPU runs on. */
bool soft_check_port(struct soft_vcpu *vcpu, uint16_t port);

/* mmu.c: what the guest's tables give, without a trace. False: they are not those of paging. */
bool soft_mmu_look(struct soft_vcpu *vcpu, uint64_t gva, struct paging_walk *walk_out);

#endif
