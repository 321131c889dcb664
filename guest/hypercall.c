/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hypercall server. The rings need no lock: a CPU serves only its own.
 *
 * Order, as x86 keeps it: an entry is read after sq_tail (acquire), an answer is written before
 * cq_tail (release), both indexes before the port. No doorbell is lost: the last look at the ring
 * is taken with interrupts off, and the one that comes after it ends the halt.
 */
#include "guest/hypercall.h"

#include "guest/report.h"
#include "guest/ring.h"
#include "mm/errno.h"

static const struct hypercall_table *const tables[] = {
	&core_operations,    &object_operations, &area_operations,
	&process_operations, &fault_operations,  &test_operations,
};

static const struct hypercall_op *find_op(u32 opcode)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(tables); i++)
		if (opcode - tables[i]->first < tables[i]->nr)
			return &tables[i]->ops[opcode - tables[i]->first];
	return NULL;
}

/*
 * All words that must be 0, or'ed: the arguments from @nr_args on, what is reserved. Without a
 * loop, because an emulated instruction is a long time.
 */
static u64 unused_bits(const struct nb_submission *sqe, u32 nr_args)
{
	u64 bits = sqe->pad[0] | sqe->pad[1] | sqe->reserved;

	_Static_assert(ARRAY_SIZE(sqe->arg) == 12, "each argument has its line");
#define FROM(n)                      \
	case n:                      \
		bits |= sqe->arg[n]; \
		__attribute__((fallthrough))
	switch (nr_args) {
		FROM(0);
		FROM(1);
		FROM(2);
		FROM(3);
		FROM(4);
		FROM(5);
		FROM(6);
		FROM(7);
		FROM(8);
		FROM(9);
		FROM(10);
		FROM(11);
	default:
		break;
	}
#undef FROM
	return bits;
}

static inline s64 run(struct cpu *cpu, const struct hypercall_op *op, const u64 *arg,
		      struct nb_completion *cqe)
{
	s64 status;

	cqe->tsc_start = rdtsc();
	status = op->run(cpu, arg, cqe->result);
	cqe->tsc_end = rdtsc();
	return status;
}

/*
 * Once, however often the interrupt comes: in lab npt it was seen to come a second time while its
 * handler ran. What the core refused may have no error to return.
 */
void hypercall_in_interrupt(struct cpu *cpu)
{
	struct hypercall_deferred *deferred = cpu->deferred;

	if (!deferred)
		return;
	WRITE_ONCE(cpu->deferred, NULL);
	interrupt_enter(&machine.mm);
	deferred->status = run(cpu, deferred->op, deferred->arg, deferred->cqe);
	if (interrupt_leave(&machine.mm) && deferred->status >= 0)
		deferred->status = -EPERM;
	WRITE_ONCE(deferred->done, true);
}

/* Interrupts are on here. A CPU's interrupt of itself arrives within a few instructions. */
static __attribute__((noinline)) s64 run_in_interrupt(struct cpu *cpu,
						      const struct hypercall_op *op, const u64 *arg,
						      struct nb_completion *cqe)
{
	struct hypercall_deferred deferred = {op, arg, cqe, 0, false};

	WRITE_ONCE(cpu->deferred, &deferred);
	trap_interrupt_self();
	while (!READ_ONCE(deferred.done))
		cpu_relax();
	return deferred.status;
}

static s64 dispatch(struct cpu *cpu, const struct nb_submission *sqe, struct nb_completion *cqe)
{
	u16 opcode = READ_ONCE(sqe->opcode), flags = READ_ONCE(sqe->flags);
	const struct hypercall_op *op = find_op(opcode);

	if (!op || !op->run)
		return -ENOSYS;
	if (unused_bits(sqe, op->nr_args))
		return -EINVAL;
	if (likely(flags == 0))
		return run(cpu, op, sqe->arg, cqe);
	if (flags != NB_SQE_IN_INTERRUPT || opcode == NB_OP_USER_RUN)
		return -EINVAL;
	return run_in_interrupt(cpu, op, sqe->arg, cqe);
}

static void serve_one(struct cpu *cpu)
{
	struct nb_vcpu_area *area = cpu->area;
	const struct nb_submission *sqe = &area->sq[ring_slot(area->sq_head)];
	struct nb_completion *cqe = &area->cq[ring_slot(area->cq_tail)];

	/* Hides what they were computed from: gcc would do it again for every field. */
	asm("" : "+r"(sqe), "+r"(cqe));
	area->current = sqe->user_data;
	cqe->user_data = sqe->user_data;
	cqe->result[0] = cqe->result[1] = cqe->result[2] = cqe->result[3] = 0;
	cqe->tsc_start = cqe->tsc_end = 0;
	cqe->status = dispatch(cpu, sqe, cqe);
	area->current = 0;
	WRITE_ONCE(area->progress, area->progress + 1);
	smp_store_release(&area->sq_head, area->sq_head + 1);
	smp_store_release(&area->cq_tail, area->cq_tail + 1);
}

/*
 * How many submissions can be served now. The host makes room by taking completions; until it
 * does, and rings, the rest waits.
 */
static u32 servable(const struct nb_vcpu_area *area)
{
	u32 sq_tail = smp_load_acquire(&area->sq_tail);

	if (sq_tail == area->sq_head)
		return 0;
	return ring_servable(area->sq_head, sq_tail, smp_load_acquire(&area->cq_head),
			     area->cq_tail);
}

/* Indexes that cannot be are reported once and left alone until the host changes them. */
static void report_nonsense(struct cpu *cpu)
{
	struct nb_vcpu_area *area = cpu->area;
	u32 tail = READ_ONCE(area->sq_tail);

	if (!ring_nonsense(area->sq_head, tail)) {
		cpu->refused = false;
	} else if (!cpu->refused || cpu->refused_tail != tail) {
		cpu->refused = true;
		cpu->refused_tail = tail;
		WARN("sq_tail is more than a ring ahead of sq_head: nothing is served");
	}
}

bool hypercall_drain(struct cpu *cpu)
{
	u32 nr = servable(cpu->area);
	bool served = nr != 0;

	while (nr) {
		for (; nr; nr--)
			serve_one(cpu);
		nr = servable(cpu->area);
	}
	report_nonsense(cpu);
	return served;
}

void hypercall_serve(struct cpu *cpu)
{
	struct nb_vcpu_area *area = cpu->area;

	smp_store_release(&area->online, 1);
	for (;;) {
		irq_enable();
		if (hypercall_drain(cpu))
			outl(NB_PORT_COMPLETE, cpu->id);
		irq_disable();
		if (!servable(area))
			irq_enable_and_halt();
	}
}
