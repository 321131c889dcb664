/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The checks as the engine's other files call them, and what they keep. A VM without checks has
 * vm->check NULL, and none of these is called. All with vm->lock.
 *
 *      check.c         what is kept, and moments      check_lines.c   lines taken away
 *      check_memory.c  stale, wx, guard, stack        check_frames.c  freed: frames
 *      check_race.c    race: accesses                 check_slab.c    freed: objects of slabs
 *      check_order.c   race: what orders them
 */
#ifndef VMM_SOFT_CHECK_PRIVATE_H
#define VMM_SOFT_CHECK_PRIVATE_H

#include "ept/paging.h"
#include "vmm/soft/check.h"
#include "vmm/soft/private.h"

/* Moments that are remembered; older ones are forgotten. 0.8 KiB each, once used. */
#define SOFT_PASTS 2048
/* Pages, and what larger tables map, of which the last unmapping is remembered. */
#define SOFT_UNMAPPED 8192

struct soft_race_page;

/* A frame of which some words are looked at: a table, structures of frames, lists, a slab. */
struct soft_check_page {
	/* Of all that follows, and entries of a table that were read. */
	struct soft_careful careful;
	bool cares;    /* of some */
	uint8_t level; /* the processor walked through it as a table of this level; 0: never */
	bool many;     /* in more than one place, or level: base does not tell */
	uint32_t base; /* a table's: linear address it maps >> shift of the level above its own */
	uint64_t told[8];             /* words whose stores are looked at afterwards */
	uint64_t freed[8];            /* words of free objects */
	uint32_t object_bytes;        /* of a slab's objects; 0: it is none, or not known yet */
	uint32_t *object_past;        /* a moment for each object: when it was freed */
	struct soft_race_page *race;  /* its accesses, where they are kept */
	struct soft_check_page *next; /* of the VM's */
};

/* Of a frame of the guest's RAM. */
struct soft_check_frame {
	uint64_t alias; /* the address, but direct_base's, by which lines may lead there; 0: none */
	struct soft_check_page *page; /* or NULL */
	uint32_t past;                /* when it was given up: a moment's number */
	bool aliases;                 /* there are more than @alias */
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
	struct soft_check_config config; /* reserved and marks are NULL */
	uint8_t *marks;                  /* by address - code_start: enum soft_mark_kind; or NULL */
	struct soft_check_frame *frames;
	uint64_t *owned; /* a bit a frame: somebody owns it, and what ends that is told of */
	struct {
		uint64_t piece, gpa; /* where a piece of the array of structures was found last */
		const uint8_t *host;
	} array;
	uint64_t nr_frames;
	struct soft_check_page *pages;
	struct soft_race *race;         /* or NULL */
	bool no_memory;                 /* something could not be kept: the next check says so */
	struct soft_moment *moments;    /* SOFT_PASTS, by number modulo that */
	struct soft_unmapped *unmapped; /* SOFT_UNMAPPED */
	uint32_t last;                  /* number of the last moment */
};

void soft_check_free(struct soft_check *check);

static inline bool soft_checks(const struct soft_vm *vm, unsigned int which)
{
	return vm->check && (vm->check->config.checks & which);
}

static inline struct soft_check_frame *soft_check_frame(const struct soft_check *check,
							uint64_t gpa)
{
	uint64_t pfn = gpa / EPT_PAGE_BYTES;

	return pfn < check->nr_frames ? &check->frames[pfn] : NULL;
}

/* What an access through @line is looked at for. NULL: nothing is known, it was made unseen. */
static inline struct soft_check_page *soft_check_page_of(const struct soft_line *line)
{
	if (line->careful)
		return (struct soft_check_page *)((uintptr_t)line->careful -
						  offsetof(struct soft_check_page, careful));
	return line->state;
}

/* What @frame has, or now gets. NULL when there is no memory, which is noted. */
struct soft_check_page *soft_check_page(struct soft_check *check, struct soft_check_frame *frame);

static inline enum soft_mark_kind soft_check_mark_at(const struct soft_check *check, uint64_t rip)
{
	uint64_t at = rip - check->config.code_start;

	return check->marks && at < check->config.code_end - check->config.code_start
		       ? (enum soft_mark_kind)check->marks[at]
		       : SOFT_MARK_NONE;
}

/* Whether the instruction under way may do anything. */
static inline bool soft_check_exempt(struct soft_vcpu *vcpu)
{
	return soft_check_mark_at(vcpu->vm->check, soft_cpu_rip(&vcpu->cpu)) == SOFT_MARK_EXEMPT;
}

/* Keeps this moment of the vCPU, before its instruction; returns its number, never 0. */
uint32_t soft_check_remember(struct soft_vcpu *vcpu);
void soft_check_recall(const struct soft_check *check, uint32_t number, struct soft_past *past_out);

/* The vCPU is to leave with @finding, in which instruction and past are not filled in yet. */
enum soft_answer soft_check_found(struct soft_vcpu *vcpu, const struct soft_finding *finding,
				  uint32_t past);
enum soft_answer soft_check_no_memory(struct soft_vcpu *vcpu);

/* ---- check_lines.c ---- */

/* Bits of words, as in struct soft_careful: of the page of @gva. */
static inline bool soft_check_bits(const uint64_t bits[8], uint64_t gva, size_t bytes)
{
	unsigned int first = gva % EPT_PAGE_BYTES / 8;
	unsigned int last = (gva % EPT_PAGE_BYTES + bytes - 1) / 8;
	bool found = false;

	for (unsigned int i = first; i <= last; i++)
		found |= bits[i / 64] >> i % 64 & 1;
	return found;
}

/* The line of @gva's page goes, or those of @bytes from it on; those that lead to @gpa's frame. */
void soft_check_close(struct soft_vm *vm, uint64_t gva, uint64_t bytes);
void soft_check_close_frame(struct soft_vm *vm, struct soft_check_frame *frame, uint64_t gpa);

/* From now on access() is called for @words from @gpa on, when they are written or in any case. */
void soft_check_care(struct soft_vm *vm, struct soft_check_frame *frame, uint64_t gpa,
		     unsigned int words, bool reads);

/* It is filled: marks what is to be told of. */
void soft_check_mark(struct soft_vcpu *vcpu, struct soft_line *line, uint64_t gva);

/* ---- check_memory.c ---- */

/* The page walker reads the entry at @gpa, of a table of @level, on its way to @gva. */
enum soft_answer soft_check_table(struct soft_vcpu *vcpu, uint64_t gva, uint64_t gpa,
				  unsigned int level);

/*
 * A line is about to be filled for @access to @gva, which leads to @gpa. *@flags are the
 * translation's, and become those the tables give as well. @suspect: the tables may say otherwise
 * now.
 */
enum soft_answer soft_check_fill(struct soft_vcpu *vcpu, uint64_t gva, uint64_t gpa,
				 enum soft_access access, enum soft_class class, bool suspect,
				 uint64_t *flags);

/* Supervisor code is about to fault at @gva, where nothing is mapped. */
enum soft_answer soft_check_fault(struct soft_vcpu *vcpu, uint64_t gva, enum soft_access access);

/* soft_cpu_ops.access and .written. */
enum soft_answer soft_check_access(struct soft_cpu *cpu, struct soft_line *line, uint64_t gva,
				   size_t bytes, enum soft_access access);
void soft_check_written(struct soft_cpu *cpu);

/* ---- check_frames.c ---- */

enum soft_owner { SOFT_OWNED, SOFT_GIVEN_UP, SOFT_NEVER_OWNED };

/* Of the frame of @gpa, which a line for @gva is to lead to; of what is not known, SOFT_OWNED. */
enum soft_owner soft_check_owner(struct soft_vcpu *vcpu, uint64_t gva, uint64_t gpa);

/* Whether @gva's page has structures of frames. */
bool soft_check_is_array(const struct soft_check *check, uint64_t gva);

/* A word that is told of has been written. */
void soft_check_told(struct soft_vcpu *vcpu, const struct soft_note *note);

/* ---- check_slab.c ---- */

/* The free list of the slab in frame @pfn, whose structure is at @host, is another. */
void soft_check_slab_list(struct soft_vcpu *vcpu, uint64_t pfn, const uint8_t *host, uint64_t old,
			  uint64_t now);
/* A CPU's. */
void soft_check_cpu_list(struct soft_vcpu *vcpu, uint64_t old, uint64_t now);
/* The frame is a slab no longer. */
void soft_check_slab_ends(struct soft_check_page *page);

/* ---- check_order.c: NULL @race does nothing ---- */

struct soft_race *soft_race_new(void);
void soft_race_free(struct soft_race *race);

/* A message to @to, from the vCPU that runs or from outside; @now: it is taken at once. */
void soft_race_send(struct soft_vcpu *to, bool now);
/* @vcpu takes an interrupt; leaves KVM_RUN, so that the host may act on what it did; enters it. */
void soft_race_receive(struct soft_vcpu *vcpu);
void soft_race_leave(struct soft_vcpu *vcpu);
void soft_race_enter(struct soft_vcpu *vcpu);

/* ---- check_race.c ---- */

enum soft_answer soft_race_access(struct soft_vcpu *vcpu, struct soft_check_page *page,
				  uint64_t gva, uint64_t gpa, size_t bytes,
				  enum soft_access access);

/* mmu.c: what the guest's tables give, without a trace. False: they are not those of paging. */
bool soft_mmu_look(struct soft_vcpu *vcpu, uint64_t gva, struct paging_walk *walk_out);

#endif
