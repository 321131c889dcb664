/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The soft engine's processor against this host's own: random instances of every form, with random
 * and edge operands, run by both from the same state. Registers, memory, and the flags that are
 * defined must be the same, and so must be whether it faults.
 */
#include <signal.h>
#include <string.h>

#include "tests/ept/random.h"
#include "tests/harness.h"
#include "tests/vmm/soft/bare.h"
#include "tests/vmm/soft/forms.h"

#define MEMORY_BYTES    0x400000
#define CASES_PER_WIDTH 200
#define FLAGS_COMPARED  (SOFT_ARITHMETIC | SOFT_DF)

static struct bare *bare;
static uint64_t seed;

static void setup(void)
{
	native_setup();
	bare = bare_new(MEMORY_BYTES);
	bare_tables(bare);
	bare_user(bare);
	/* What is not mapped natively is not mapped here, but for the tables. */
	for (uint64_t page = 0; page < BARE_CODE; page += X86_PAGE_SIZE)
		bare_set_page(bare, page, BARE_SUPERVISOR);
	for (uint64_t page = BARE_CODE; page < MEMORY_BYTES; page += X86_PAGE_SIZE)
		if (page - NATIVE_DATA >= NATIVE_DATA_BYTES && page != NATIVE_CODE)
			bare_set_page(bare, page, BARE_ABSENT);
}

static void teardown(void)
{
	bare_free(bare);
}

/* Runs the case here. Returns the vector of the exception, or -1. */
static int run_soft(const struct form_case *c, struct native_state *state)
{
	struct soft_cpu *cpu = bare->cpu;
	uint64_t rip = native_rip();

	memcpy(bare->memory + NATIVE_DATA, c->data, sizeof(c->data));
	bare_code(bare, rip, c->bytes, c->size);
	memcpy(cpu->regs, state->regs, sizeof(state->regs));
	soft_cpu_set_rflags(cpu, state->rflags);
	for (unsigned int i = 0; i < 64; i++) {
		if (cpu->rip == rip + c->size)
			break;
		ck_assert_int_eq(soft_cpu_run(cpu, 1), SOFT_STOP_BUDGET);
		if (cpu->cpl == 0) {
			unsigned int vector = (cpu->rip - BARE_HANDLERS) / 16;

			bare_user(bare);
			return vector;
		}
	}
	ck_assert_uint_eq(cpu->rip, rip + c->size);
	memcpy(state->regs, cpu->regs, sizeof(state->regs));
	state->rflags = soft_cpu_rflags(cpu);
	return -1;
}

static int vector_of_signal(int signal, int soft)
{
	switch (signal) {
	case 0:
		return -1;
	case SIGFPE:
		return SOFT_DE;
	case SIGILL:
		return SOFT_UD;
	default:
		/* Of these the kernel makes one. */
		return soft == SOFT_GP || soft == SOFT_PF_VECTOR || soft == SOFT_SS_VECTOR ? soft
											   : -2;
	}
}

static void print_case(const struct soft_form *form, const struct form_case *c,
		       const struct native_state *native, const struct native_state *soft)
{
	printf("%s shape %#x how %u:", ZydisMnemonicGetString(form->mnemonic), form->shape,
	       form->how);
	for (size_t i = 0; i < c->size; i++)
		printf(" %02x", c->bytes[i]);
	printf("\n");
	for (unsigned int i = 0; i < 16; i++)
		printf("  r%-2u %016llx native %016llx soft %016llx%s\n", i,
		       (unsigned long long)c->state.regs[i], (unsigned long long)native->regs[i],
		       (unsigned long long)soft->regs[i],
		       native->regs[i] == soft->regs[i] ? "" : " <-");
	printf("  flags %llx native %llx soft %llx, of which %llx are unspecified\n",
	       (unsigned long long)c->state.rflags, (unsigned long long)native->rflags,
	       (unsigned long long)soft->rflags, (unsigned long long)c->unspecified);
	for (size_t i = 0; i < NATIVE_DATA_BYTES; i++)
		if (((uint8_t *)(uintptr_t)NATIVE_DATA)[i] != bare->memory[NATIVE_DATA + i])
			printf("  memory %zx native %02x soft %02x\n", NATIVE_DATA + i,
			       ((uint8_t *)(uintptr_t)NATIVE_DATA)[i],
			       bare->memory[NATIVE_DATA + i]);
}

/* Runs the case by both. False, with a line about it, when they differ. */
static bool same(const struct soft_form *form, const struct form_case *c)
{
	struct native_state native = c->state, soft = c->state;
	uint64_t flags = FLAGS_COMPARED & ~c->unspecified;
	int vector, expected;

	vector = run_soft(c, &soft);
	memcpy((void *)(uintptr_t)NATIVE_DATA, c->data, sizeof(c->data));
	expected = vector_of_signal(native_run(c->bytes, c->size, &native), vector);
	if (vector == expected && (vector >= 0 || c->result_unspecified ||
				   (!((native.rflags ^ soft.rflags) & flags) &&
				    memcmp(native.regs, soft.regs, sizeof(native.regs)) == 0 &&
				    memcmp((void *)(uintptr_t)NATIVE_DATA,
					   bare->memory + NATIVE_DATA, NATIVE_DATA_BYTES) == 0)))
		return true;
	printf("exception: native %d, soft %d\n", expected, vector);
	print_case(form, c, &native, &soft);
	return false;
}

/* Does the translator take the row for what was encoded of it? */
static bool is_row(const struct soft_form *form, unsigned int width, const struct form_case *c)
{
	struct soft_op ops[2];
	bool ends;
	unsigned int count = soft_translate(c->bytes, c->insn_size, 0, ops, &ends);

	return count && ops[count - 1].run == form->run[width];
}

static unsigned int check_width(const struct soft_form *form, unsigned int width)
{
	struct form_case c;
	uint64_t random = seed ^ (form->mnemonic * 0x10001u + form->shape + (width << 24));
	unsigned int done = 0, failed = 0;

	for (unsigned int i = 0; i < CASES_PER_WIDTH * 4 && done < CASES_PER_WIDTH; i++) {
		if (!form_make(form, width, &random, &c) || !is_row(form, width, &c))
			continue;
		/* Half of the cases go the thorough way. */
		bare_set_page(bare, NATIVE_DATA, i % 2 ? BARE_CALL : 0);
		bare_set_page(bare, NATIVE_DATA + X86_PAGE_SIZE, i % 2 ? BARE_CALL : 0);
		done++;
		if (!same(form, &c) && ++failed == 3)
			break;
	}
	ck_assert_msg(!failed, "%s differs", ZydisMnemonicGetString(form->mnemonic));
	return done;
}

static void check_table(const struct soft_form *forms)
{
	unsigned int failed = 0;

	for (const struct soft_form *form = forms; form->mnemonic; form++) {
		unsigned int done = 0;

		if (!form_runs_here(form))
			continue;
		for (unsigned int width = 0; width < 4; width++)
			if (form->run[width] && (width == 3 || form->run[width] != form->run[3]))
				done += check_width(form, width);
		if (!done) {
			printf("%s shape %#x how %u: no instance was made\n",
			       ZydisMnemonicGetString(form->mnemonic), form->shape, form->how);
			failed++;
		}
	}
	ck_assert_uint_eq(failed, 0);
}

#define TABLE_TEST(name)                        \
	START_TEST(name##_as_natively)          \
	{                                       \
		check_table(soft_forms_##name); \
	}                                       \
	END_TEST

TABLE_TEST(alu)
TABLE_TEST(move)
TABLE_TEST(shift)
TABLE_TEST(bits)
TABLE_TEST(multiply)
TABLE_TEST(string)
TABLE_TEST(branch)
TABLE_TEST(stack)

int main(void)
{
	Suite *suite = suite_create("soft cpu, native oracle");
	TCase *tcase = tcase_create("forms");

	setvbuf(stdout, NULL, _IOLBF, 0);
	seed = random_seed("test_native");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, alu_as_natively);
	tcase_add_test(tcase, move_as_natively);
	tcase_add_test(tcase, shift_as_natively);
	tcase_add_test(tcase, bits_as_natively);
	tcase_add_test(tcase, multiply_as_natively);
	tcase_add_test(tcase, string_as_natively);
	tcase_add_test(tcase, branch_as_natively);
	tcase_add_test(tcase, stack_as_natively);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
