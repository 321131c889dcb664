/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events for the host. A CPU has one event, so each is written to the end and handed over before
 * the next; an exception while the last one is written ends in report_trap()'s short way out.
 */
#include "guest/report.h"

#include "guest/machine.h"
#include "guest/printf.h"

/* Registers in the order of nb_event.regs. */
enum {
	REG_RAX,
	REG_RBX,
	REG_RCX,
	REG_RDX,
	REG_RSI,
	REG_RDI,
	REG_RBP,
	REG_RSP,
	REG_R8,
	REG_RIP = 16,
	REG_RFLAGS,
	NR_REGS
};
_Static_assert(sizeof(((struct nb_event *)0)->regs) == NR_REGS * sizeof(u64), "all registers");

static struct nb_event *event_start(enum nb_event_kind kind)
{
	struct nb_vcpu_area *area = this_cpu()->area;
	struct nb_event *event = &area->event;

	event->kind = kind;
	event->text_bytes = 0;
	event->vector = 0;
	event->error_code = 0;
	event->cr2 = 0;
	event->user_data = area->current;
	return event;
}

__attribute__((format(printf, 2, 3))) static void event_text(struct nb_event *event,
							     const char *format, ...)
{
	va_list args;

	va_start(args, format);
	event->text_bytes = format_text(event->text, sizeof(event->text), format, args);
	va_end(args);
}

static void clear_registers(struct nb_event *event)
{
	u32 i;

	for (i = 0; i < NR_REGS; i++)
		event->regs[i] = 0;
}

static void send(u16 port)
{
	outl(port, this_cpu()->id);
}

__attribute__((noreturn)) static void send_last(void)
{
	irq_disable();
	send(NB_PORT_PANIC);
	cpu_dead();
}

void report_log(enum log_level level, const char *format, va_list args)
{
	struct nb_event *event = event_start(NB_EVENT_LOG);

	event->error_code = (u64)level;
	event->text_bytes = format_text(event->text, sizeof(event->text), format, args);
	send(NB_PORT_EVENT);
}

/*
 * Of a place the guest reported itself only where it is makes sense: the other registers hold
 * what the way here left in them.
 */
__attribute__((always_inline)) static inline void registers_here(struct nb_event *event)
{
	clear_registers(event);
	event->regs[REG_RIP] = (u64)__builtin_return_address(0);
	event->regs[REG_RSP] = (u64)__builtin_frame_address(0);
	event->regs[REG_RFLAGS] = irq_flags();
}

void report_warn(const char *file, int line, const char *text)
{
	struct nb_event *event = event_start(NB_EVENT_WARN);

	registers_here(event);
	event_text(event, "%s:%d: %s", file, line, text);
	send(NB_PORT_EVENT);
}

void report_panic(const char *file, int line, const char *text)
{
	struct nb_event *event = event_start(NB_EVENT_PANIC);

	registers_here(event);
	event_text(event, "%s:%d: %s", file, line, text);
	send_last();
}

static void registers_of(struct nb_event *event, const struct trap_frame *frame)
{
	const u64 regs[NR_REGS] = {
		frame->rax, frame->rbx, frame->rcx, frame->rdx, frame->rsi, frame->rdi,
		frame->rbp, frame->rsp, frame->r8,  frame->r9,  frame->r10, frame->r11,
		frame->r12, frame->r13, frame->r14, frame->r15, frame->rip, frame->rflags,
	};
	u32 i;

	for (i = 0; i < NR_REGS; i++)
		event->regs[i] = regs[i];
}

void report_trap(const struct trap_frame *frame)
{
	struct cpu *cpu = this_cpu();
	struct nb_event *event;

	/* The report itself failed: say what is there already. */
	if (cpu->trap_depth++)
		send_last();
	event = event_start(NB_EVENT_TRAP);
	event->vector = frame->vector;
	event->error_code = frame->error_code;
	event->cr2 = frame->vector == VECTOR_PF ? read_cr2() : 0;
	registers_of(event, frame);
	event_text(event, "exception %llu, error code 0x%llx, at 0x%llx",
		   (unsigned long long)frame->vector, (unsigned long long)frame->error_code,
		   (unsigned long long)frame->rip);
	send_last();
}
