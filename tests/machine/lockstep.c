/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two machines in step, as tests/machine/lockstep.h says. */
#include "tests/machine/lockstep.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ept/kvm_fd.h"
#include "mm/x86.h"
#include "vmm/soft/soft.h"

/* KVM's own means of stepping; a guest that stores its flags shows the first. */
#define TF 0x100ull
#define RF 0x10000ull

#define INSN_BYTES    15
#define PUSHF         0x9c
#define HLT           0xf4
#define OUT_IMMEDIATE 0xe7
#define STOP_PORT     0x80
/* What goes by until something leaves. */
#define LOST_MAX 100000u
/* From the end of a batch to the next HLT. */
#define STEPS_TO_HALT 100000u

struct registers {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
};

/* ---- making ---- */

static void need(int err, const char *what, const struct error *error)
{
	ck_assert_msg(err == 0, "%s: %s", what, error ? error->text : strerror(-err));
}

static void side_open(struct lockstep *pair, struct lockstep_side *side, enum kvm_engine engine)
{
	struct error error;

	side->name = engine == KVM_SOFT ? "soft" : "kernel";
	need(kvm_open(engine, &side->kvm_fd, &error), side->name, &error);
	need(kvm_host_probe(side->kvm_fd, "/sys", &side->host, &error), side->name, &error);
}

static void side_make(struct lockstep *pair, struct lockstep_side *side,
		      const struct memory_layout *memory, const struct kvm_cpuid2 *cpuid)
{
	struct boot_config boot = {.image = &pair->image, .memory = memory, .nr_vcpus = 1};
	struct vm_config config = {.kvm_fd = side->kvm_fd,
				   .host = &side->host,
				   .boot = &side->boot,
				   .image = &pair->image,
				   .nr_vcpus = 1};
	struct error error;
	uint64_t khz = 1000000;
	gpa_t at;
	void *area;

	need(gpa_space_create(36, &side->space, &error), "memory", &error);
	need(memory_layout_add(memory, side->space, &error), "memory", &error);
	need(boot_build(&boot, side->space, &side->boot, &error), "boot", &error);
	at = gpa_make(side->boot.info_gva.value - NB_DIRECT_BASE +
		      offsetof(struct nb_boot_info, tsc_khz));
	need(gpa_space_write(side->space, at, &khz, sizeof(khz)), "clock", NULL);
	need(gpa_space_translate(side->space, gpa_make(side->boot.info.area_gpa[0]),
				 sizeof(struct nb_vcpu_area), &area),
	     "area", NULL);
	side->area = area;
	config.space = side->space;
	need(vm_create(&config, &side->vm, &error), side->name, &error);
	need(vcpu_set_entry(side->vm->vcpus[0], cpuid, &side->boot, &error), side->name, &error);
}

void lockstep_open(struct lockstep *pair, uint64_t memory_bytes)
{
	struct memory_layout memory;
	struct kvm_cpuid2 *cpuid;
	struct error error;

	memset(pair, 0, sizeof(*pair));
	need(image_load_builtin(&pair->image, &error), "image", &error);
	need(memory_layout_default(memory_bytes, 1, &memory, &error), "memory", &error);
	side_open(pair, &pair->kernel, KVM_HOST);
	side_open(pair, &pair->soft, KVM_SOFT);
	need(kvm_supported_cpuid(pair->soft.kvm_fd, &cpuid, &error), "cpuid", &error);
	/* A kernel's KVM may have no 1 GiB pages. */
	for (uint32_t i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 0x80000001)
			cpuid->entries[i].edx &= ~(1u << 26);
	side_make(pair, &pair->kernel, &memory, cpuid);
	side_make(pair, &pair->soft, &memory, cpuid);
	free(cpuid);
}

static void side_close(struct lockstep_side *side)
{
	vm_destroy(side->vm);
	gpa_space_destroy(side->space);
	kvm_close(side->kvm_fd);
}

void lockstep_close(struct lockstep *pair)
{
	side_close(&pair->kernel);
	side_close(&pair->soft);
	image_unload(&pair->image);
}

/* ---- one side ---- */

static void debug(struct lockstep_side *side, uint32_t control)
{
	struct kvm_guest_debug debug = {.control = control};

	need(kvm_ioctl(side->vm->vcpus[0]->fd, KVM_SET_GUEST_DEBUG, &debug) == 0 ? 0 : -errno,
	     "KVM_SET_GUEST_DEBUG", NULL);
}

static void step_both(struct lockstep *pair)
{
	debug(&pair->kernel, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP);
	debug(&pair->soft, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP);
}

/* Runs to the next exit, which it returns: KVM_EXIT_DEBUG or KVM_EXIT_IO. */
static unsigned int run(struct lockstep_side *side)
{
	const struct vcpu *vcpu = side->vm->vcpus[0];
	const struct kvm_run *state = vcpu->run;
	int err;

	do
		err = kvm_ioctl(vcpu->fd, KVM_RUN, 0) == 0 ? 0 : -errno;
	while (err == -EINTR || err == -EAGAIN);
	need(err, side->name, NULL);
	if (state->exit_reason == KVM_EXIT_IO) {
		side->port = state->io.port;
		memcpy(&side->value, (const char *)state + state->io.data_offset, 4);
		ck_assert_uint_ne(side->port, NB_PORT_PANIC);
		return KVM_EXIT_IO;
	}
	ck_assert_msg(state->exit_reason == KVM_EXIT_DEBUG, "%s leaves for %u", side->name,
		      state->exit_reason);
	return KVM_EXIT_DEBUG;
}

static void get(const struct lockstep_side *side, struct registers *registers)
{
	need(vcpu_get_registers(side->vm->vcpus[0], &registers->regs, &registers->sregs),
	     side->name, NULL);
}

/* Where a linear address of the guest is in this process, or NULL. */
static void *host_of(const struct lockstep_side *side, uint64_t gva, size_t bytes)
{
	struct kvm_translation translation = {.linear_address = gva};
	void *host;

	if (kvm_ioctl(side->vm->vcpus[0]->fd, KVM_TRANSLATE, &translation) != 0 ||
	    !translation.valid ||
	    gpa_space_translate(side->space, gpa_make(translation.physical_address), bytes, &host))
		return NULL;
	return host;
}

/* ---- comparing ---- */

static const char *const names[] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "r8",
				    "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip"};

static bool segments_agree(const struct kvm_segment *a, const struct kvm_segment *b)
{
	return a->base == b->base && a->selector == b->selector;
}

static bool sregs_agree(const struct kvm_sregs *a, const struct kvm_sregs *b)
{
	return a->cr0 == b->cr0 && a->cr2 == b->cr2 && a->cr3 == b->cr3 && a->cr4 == b->cr4 &&
	       a->cr8 == b->cr8 && a->efer == b->efer && a->apic_base == b->apic_base &&
	       a->gdt.base == b->gdt.base && a->gdt.limit == b->gdt.limit &&
	       a->idt.base == b->idt.base && a->idt.limit == b->idt.limit &&
	       segments_agree(&a->cs, &b->cs) && segments_agree(&a->ss, &b->ss) &&
	       segments_agree(&a->ds, &b->ds) && segments_agree(&a->es, &b->es) &&
	       segments_agree(&a->fs, &b->fs) && segments_agree(&a->gs, &b->gs) &&
	       segments_agree(&a->tr, &b->tr) && segments_agree(&a->ldt, &b->ldt);
}

static void differ(const struct lockstep *pair, uint64_t rip, const uint8_t *insn,
		   const struct registers *kernel, const struct registers *soft)
{
	const uint64_t *a = (const uint64_t *)&kernel->regs, *b = (const uint64_t *)&soft->regs;

	printf("after step %" PRIu64 ", at %#" PRIx64 ":", pair->steps, rip);
	for (unsigned int i = 0; insn && i < INSN_BYTES; i++)
		printf(" %02x", insn[i]);
	printf("\n");
	for (unsigned int i = 0; i < 17; i++)
		printf("  %-6s kernel %016" PRIx64 " soft %016" PRIx64 "%s\n", names[i], a[i], b[i],
		       a[i] == b[i] ? "" : " <-");
	printf("  rflags kernel %016llx soft %016llx\n", kernel->regs.rflags, soft->regs.rflags);
	printf("  cr0 %llx %llx cr2 %llx %llx cr3 %llx %llx cr4 %llx %llx efer %llx %llx\n",
	       kernel->sregs.cr0, soft->sregs.cr0, kernel->sregs.cr2, soft->sregs.cr2,
	       kernel->sregs.cr3, soft->sregs.cr3, kernel->sregs.cr4, soft->sregs.cr4,
	       kernel->sregs.efer, soft->sregs.efer);
	printf("  cs %x %x ss %x %x tr %x %x gs %llx %llx apic %llx %llx\n",
	       kernel->sregs.cs.selector, soft->sregs.cs.selector, kernel->sregs.ss.selector,
	       soft->sregs.ss.selector, kernel->sregs.tr.selector, soft->sregs.tr.selector,
	       kernel->sregs.gs.base, soft->sregs.gs.base, kernel->sregs.apic_base,
	       soft->sregs.apic_base);
	ck_abort_msg("the engines differ");
}

/* KVM steps by setting TF, which the guest's PUSHF then stores. */
static void hide_stepping(const struct lockstep *pair, const uint8_t *insn, uint64_t rsp)
{
	uint64_t *word;

	if (insn[0] != PUSHF)
		return;
	word = host_of(&pair->kernel, rsp, sizeof(*word));
	if (word)
		*word &= ~TF;
}

static bool reads_time(const uint8_t *insn)
{
	return insn[0] == 0x0f && (insn[1] == 0x31 || (insn[1] == 0x01 && insn[2] == 0xf9));
}

static void give_time(const struct lockstep *pair, const struct registers *kernel,
		      struct registers *soft)
{
	soft->regs.rax = kernel->regs.rax;
	soft->regs.rdx = kernel->regs.rdx;
	need(kvm_ioctl(pair->soft.vm->vcpus[0]->fd, KVM_SET_REGS, &soft->regs) == 0 ? 0 : -errno,
	     "KVM_SET_REGS", NULL);
}

static void compare(struct lockstep *pair, uint64_t rip, const uint8_t *insn, struct registers *out)
{
	struct registers kernel;

	get(&pair->kernel, &kernel);
	get(&pair->soft, out);
	kernel.regs.rflags &= ~(TF | RF);
	out->regs.rflags &= ~(TF | RF);
	if (insn) {
		hide_stepping(pair, insn, kernel.regs.rsp);
		if (reads_time(insn))
			give_time(pair, &kernel, out);
	}
	if (memcmp(&kernel.regs, &out->regs, sizeof(kernel.regs)) != 0 ||
	    !sregs_agree(&kernel.sregs, &out->sregs))
		differ(pair, rip, insn, &kernel, out);
}

/* ---- both ---- */

/* The bytes at @rip, as far as its page goes; 0 after that. */
static void read_code(const struct lockstep *pair, uint64_t rip, uint8_t insn[INSN_BYTES])
{
	uint64_t rest = X86_PAGE_SIZE - rip % X86_PAGE_SIZE;
	const uint8_t *code = host_of(&pair->soft, rip, 1);

	ck_assert_ptr_nonnull(code);
	memset(insn, 0, INSN_BYTES);
	memcpy(insn, code, INSN_BYTES < rest ? INSN_BYTES : rest);
}

/* One step of both, whatever OUT it has; the same one. */
static void step_to_debug(struct lockstep *pair, uint64_t rip, bool *completed)
{
	unsigned int exits[2];

	do {
		exits[0] = run(&pair->kernel);
		exits[1] = run(&pair->soft);
		/* A lost step that ran on into an OUT. */
		for (unsigned int i = 0; exits[0] == KVM_EXIT_IO && exits[1] != KVM_EXIT_IO; i++) {
			ck_assert_uint_lt(i, LOST_MAX);
			pair->lost += i == 0;
			pair->steps++;
			exits[1] = run(&pair->soft);
		}
		ck_assert_msg(exits[0] == exits[1], "at %#" PRIx64 " one leaves for %u, one for %u",
			      rip, exits[0], exits[1]);
		if (exits[0] == KVM_EXIT_IO) {
			ck_assert_uint_eq(pair->kernel.port, pair->soft.port);
			ck_assert_uint_eq(pair->kernel.value, pair->soft.value);
			*completed |= pair->soft.port == NB_PORT_COMPLETE;
		}
	} while (exits[0] == KVM_EXIT_IO);
	pair->steps++;
}

/* General registers and RIP: in a loop RIP alone says little. */
static bool same_place(const struct registers *a, const struct registers *b)
{
	return memcmp(&a->regs, &b->regs, offsetof(struct kvm_regs, rflags)) == 0;
}

/*
 * The kernel's side is not where the soft one is: its step was reported before anything was done
 * (Bochs, the first after an entry), or was lost and the next ones done as well (QEMU: in the
 * shadow of STI, and when the lab's own interrupt came in). Brings them together.
 */
static void catch_up(struct lockstep *pair, uint64_t rip, uint8_t insn[INSN_BYTES])
{
	struct registers kernel, soft;

	get(&pair->kernel, &kernel);
	get(&pair->soft, &soft);
	if (kernel.regs.rip == soft.regs.rip)
		return;
	pair->lost++;
	if (kernel.regs.rip == rip)
		ck_assert_uint_eq(run(&pair->kernel), KVM_EXIT_DEBUG);
	get(&pair->kernel, &kernel);
	for (unsigned int i = 0; i < LOST_MAX && !same_place(&kernel, &soft); i++) {
		read_code(pair, soft.regs.rip, insn);
		ck_assert_uint_eq(run(&pair->soft), KVM_EXIT_DEBUG);
		get(&pair->soft, &soft);
		pair->steps++;
	}
}

/* One instruction of both; @at is where they are, and then where they got. True if it was HLT. */
static bool step(struct lockstep *pair, struct registers *at, bool *completed)
{
	uint64_t rip = at->regs.rip;
	uint8_t insn[INSN_BYTES];

	read_code(pair, rip, insn);
	step_to_debug(pair, rip, completed);
	catch_up(pair, rip, insn);
	compare(pair, rip, insn, at);
	return insn[0] == HLT;
}

/* Until both have said that they completed what they were given. */
static void run_free(struct lockstep *pair)
{
	struct lockstep_side *const sides[] = {&pair->kernel, &pair->soft};

	for (unsigned int i = 0; i < 2; i++) {
		debug(sides[i], 0);
		do
			ck_assert_uint_eq(run(sides[i]), KVM_EXIT_IO);
		while (sides[i]->port != NB_PORT_COMPLETE);
	}
	/* The OUT is completed with the first step. */
	step_both(pair);
	ck_assert_uint_eq(run(&pair->kernel), KVM_EXIT_DEBUG);
	ck_assert_uint_eq(run(&pair->soft), KVM_EXIT_DEBUG);
}

static void submit(struct lockstep *pair, struct lockstep_side *side,
		   const struct nb_submission *calls, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		side->area->sq[(pair->submitted + i) % NB_RING_ENTRIES] = calls[i];
	__atomic_store_n(&side->area->sq_tail, pair->submitted + count, __ATOMIC_RELEASE);
}

/*
 * Halted: the doorbell, its handler, up to the instruction behind HLT. Stepping would put TF into
 * the frame of the interrupt, and QEMU forgets hardware breakpoints and INT3 of a nested guest, so
 * what stops it there is an OUT, put into its code meanwhile.
 */
static void wake(struct lockstep_side *side)
{
	static const uint8_t stop[] = {OUT_IMMEDIATE, STOP_PORT};
	const struct vcpu *vcpu = side->vm->vcpus[0];
	uint8_t before[sizeof(stop)], *code;
	struct registers at;

	get(side, &at);
	code = host_of(side, at.regs.rip, sizeof(stop));
	ck_assert_ptr_nonnull(code);
	memcpy(before, code, sizeof(stop));
	memcpy(code, stop, sizeof(stop));
	debug(side, 0);
	ck_assert_int_eq(vm_interrupt(side->vm, 0, NB_VECTOR_DOORBELL), 1);
	ck_assert_uint_eq(run(side), KVM_EXIT_IO);
	ck_assert_uint_eq(side->port, STOP_PORT);
	vcpu->run->immediate_exit = 1;
	ck_assert_int_eq(kvm_ioctl(vcpu->fd, KVM_RUN, 0), -1);
	vcpu->run->immediate_exit = 0;
	memcpy(code, before, sizeof(stop));
	need(kvm_ioctl(vcpu->fd, KVM_SET_REGS, &at.regs) == 0 ? 0 : -errno, "KVM_SET_REGS", NULL);
}

void lockstep_call(struct lockstep *pair, const struct nb_submission *calls, uint32_t count,
		   uint64_t steps, struct nb_completion *answers)
{
	struct registers at;
	bool completed = false, halted = false;
	uint64_t i;

	submit(pair, &pair->kernel, calls, count);
	submit(pair, &pair->soft, calls, count);
	if (pair->submitted) {
		compare(pair, 0, NULL, &at);
		wake(&pair->kernel);
		wake(&pair->soft);
	}
	compare(pair, 0, NULL, &at);
	step_both(pair);
	for (i = 0; i < steps && !completed; i++)
		step(pair, &at, &completed);
	if (!completed) {
		run_free(pair);
		compare(pair, 0, NULL, &at);
	}
	for (i = 0; !halted; i++) {
		ck_assert_uint_lt(i, STEPS_TO_HALT);
		halted = step(pair, &at, &completed);
	}
	for (i = 0; i < count; i++) {
		uint32_t slot = (pair->submitted + i) % NB_RING_ENTRIES;

		answers[i] = pair->soft.area->cq[slot];
		ck_assert_int_eq(answers[i].status, pair->kernel.area->cq[slot].status);
	}
	pair->submitted += count;
	__atomic_store_n(&pair->kernel.area->cq_head, pair->submitted, __ATOMIC_RELEASE);
	__atomic_store_n(&pair->soft.area->cq_head, pair->submitted, __ATOMIC_RELEASE);
}

/* ---- memory ---- */

/* Is the word a time stamp of a completion? */
static bool is_completion_time(const struct lockstep *pair, uint64_t gpa)
{
	uint64_t start = pair->soft.boot.info.area_gpa[0] + offsetof(struct nb_vcpu_area, cq);
	uint64_t in = (gpa - start) % sizeof(struct nb_completion);

	return gpa >= start && gpa < start + NB_RING_ENTRIES * sizeof(struct nb_completion) &&
	       in >= offsetof(struct nb_completion, tsc_start);
}

void lockstep_compare_memory(struct lockstep *pair, unsigned int stamps)
{
	const struct nb_boot_info *info = &pair->soft.boot.info;
	unsigned int others = 0;

	for (uint32_t r = 0; r < info->nr_ram; r++) {
		uint64_t start = info->ram[r].start, bytes = info->ram[r].end - start;
		void *a, *b;

		need(gpa_space_translate(pair->kernel.space, gpa_make(start), bytes, &a), "RAM",
		     NULL);
		need(gpa_space_translate(pair->soft.space, gpa_make(start), bytes, &b), "RAM",
		     NULL);
		for (uint64_t page = 0; page < bytes; page += X86_PAGE_SIZE) {
			const uint64_t *x = (void *)((char *)a + page),
				       *y = (void *)((char *)b + page);

			if (memcmp(x, y, X86_PAGE_SIZE) == 0)
				continue;
			for (unsigned int i = 0; i < X86_PAGE_SIZE / 8; i++) {
				uint64_t gpa = start + page + i * 8;

				if (x[i] == y[i] || is_completion_time(pair, gpa))
					continue;
				others++;
				printf("memory %#" PRIx64 ": kernel %016" PRIx64 " soft %016" PRIx64
				       "\n",
				       gpa, x[i], y[i]);
			}
		}
	}
	ck_assert_uint_le(others, stamps);
}
