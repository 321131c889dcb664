/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest whose calls are made one by one by hypercall, and audited after each. For the one .c file
 * of a test program.
 */
#ifndef TESTS_MACHINE_CALLS_MACHINE_H
#define TESTS_MACHINE_CALLS_MACHINE_H

#include "tests/machine/inspected.h"

#include <errno.h>
#include <string.h>

#include "guest/abi.h"
#include "mm/gfp.h"
#include "mm/vm_area.h"

#define ANY_NODE ((uint64_t)-1)

struct calls_machine {
	struct guest *guest;
	struct inspector *inspector;
	struct audit *audit;
	uint64_t operations;
	uint16_t flags;        /* of the next calls */
	uint64_t result[4];    /* of the last call */
	unsigned int warnings; /* heard so far */
	unsigned int lines;
	char warning[513]; /* the last */
	char line[513];
	char line_before[513];
};

static struct calls_machine m;

static inline void calls_hear(void *context, const struct guest_message *message)
{
	struct calls_machine *machine = context;

	if (message->warning) {
		machine->warnings++;
		strcpy(machine->warning, message->text);
	} else {
		machine->lines++;
		strcpy(machine->line_before, machine->line);
		strcpy(machine->line, message->text);
	}
}

/* One call, not audited: its status; results in m.result. */
static inline int64_t quiet_call(uint16_t opcode, const uint64_t *arg, size_t nr)
{
	struct nb_submission sqe = {
		.opcode = opcode, .flags = m.flags, .user_data = ++m.operations};
	struct nb_completion cqe;

	memcpy(sqe.arg, arg, nr * sizeof(*arg));
	ck_assert_msg(guest_call(m.guest, 0, &sqe, &cqe) == 0, "operation %#x: %s", opcode,
		      guest_failure(m.guest) ? guest_failure(m.guest)->text : "?");
	memcpy(m.result, cqe.result, sizeof(m.result));
	return cqe.status;
}

#define QUIET(opcode, ...)                                     \
	quiet_call(opcode, (const uint64_t[]){__VA_ARGS__, 0}, \
		   sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static inline void calls_start_with(uint64_t memory_bytes, unsigned int nr_vcpus)
{
	const struct guest_config config = {
		.engine = harness_engine(),
		.checks = SOFT_CHECK_ALL,
		.memory_bytes = memory_bytes,
		.nr_vcpus = nr_vcpus,
		.watchdog_seconds = 30,
		.message = calls_hear,
		.message_context = &m,
	};

	memset(&m, 0, sizeof(m));
	inspected_start(&config, &m.guest, &m.inspector, &m.audit);
	/* Both sections come to life, so that they do not when frames are counted. */
	for (gfp_t zone = 0; zone <= __GFP_DMA; zone += __GFP_DMA) {
		ck_assert_int_eq(QUIET(NB_OP_ALLOC_PAGES, 0, GFP_KERNEL | zone, ANY_NODE), 0);
		ck_assert_int_eq(QUIET(NB_OP_FREE_PAGES, m.result[0], 0), 0);
	}
}

static inline void calls_start(void)
{
	calls_start_with(32ull << 20, 1);
}

static inline void calls_stop(void)
{
	inspected_stop(m.guest, m.inspector, m.audit);
}

/* The guest's memory is right, as seen from outside. */
static inline void audited(const char *after)
{
	struct audit_result result = inspected_audit(m.audit, m.inspector, m.operations);

	if (result.violations)
		inspected_print(m.audit);
	ck_assert_msg(result.violations == 0, "%s: %llu violations", after,
		      (unsigned long long)result.violations);
}

static inline int64_t audited_call(const char *name, uint16_t opcode, const uint64_t *arg,
				   size_t nr)
{
	int64_t status = quiet_call(opcode, arg, nr);

	audited(name);
	return status;
}

/* One call, audited. CALL(NB_OP_X, arguments...): at least one argument. */
#define CALL(opcode, ...)                                                 \
	audited_call(#opcode, opcode, (const uint64_t[]){__VA_ARGS__, 0}, \
		     sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* One that must be good; its first result. */
#define GOOD(opcode, ...)                                                                     \
	({                                                                                    \
		int64_t good_status = CALL(opcode, __VA_ARGS__);                              \
		ck_assert_msg(good_status == 0, "%s: %lld", #opcode, (long long)good_status); \
		m.result[0];                                                                  \
	})

/* One that must be refused with @error. */
#define BAD(error, opcode, ...)                                                         \
	do {                                                                            \
		int64_t bad_status = CALL(opcode, __VA_ARGS__);                         \
		ck_assert_msg(bad_status == -(error), "%s: %lld and not %lld", #opcode, \
			      (long long)bad_status, (long long)-(error));              \
	} while (0)

/* Frames that are free or page tables: what is left when nothing is anybody's. */
static inline uint64_t frames_left(void)
{
	QUIET(NB_OP_PURGE, 0);
	ck_assert_int_eq(QUIET(NB_OP_STATS, 0), 0);
	return m.result[0] + m.result[3];
}

/* Objects of @cache that are on a CPU's own list, which its slab counts as in use. */
static inline uint64_t objects_ready(uint64_t cache)
{
	const struct layout *l = inspect_layout(m.inspector);
	uint64_t ready = 0, object;

	for (uint32_t cpu = 0; cpu < guest_nr_vcpus(m.guest); cpu++) {
		ck_assert(inspect_u64(m.inspector,
				      cache + l->kmem_cache.cpu + cpu * l->kmem_cache_cpu.bytes +
					      l->kmem_cache_cpu.freelist,
				      &object));
		for (; object; ready++)
			ck_assert(inspect_u64(m.inspector, object, &object));
	}
	return ready;
}

/* Slab objects somebody has, but for tiles, of which some are kept ready; and all slabs. */
static inline uint64_t objects_in_use(uint64_t *slabs_out)
{
	const struct layout *l = inspect_layout(m.inspector);
	uint64_t objects = 0;
	struct inspect_page page;

	inspect_refresh(m.inspector);
	*slabs_out = 0;
	for (uint64_t pfn = 0; pfn < inspect_end_pfn(m.inspector); pfn++) {
		if (!inspect_ram_range(m.inspector, pfn) ||
		    !inspect_section_online(m.inspector, pfn) ||
		    !inspect_page(m.inspector, pfn, &page) || page.state != l->page_slab)
			continue;
		++*slabs_out;
		if (page.owner != inspect_vmap_cache_address(m.inspector))
			objects += page.in_use;
	}
	for (uint32_t i = 0; i < l->nr_kmalloc_caches; i++)
		objects -= objects_ready(inspect_kmalloc_address(m.inspector, i));
	return objects;
}

static inline uint64_t busy_areas(void)
{
	ck_assert_int_eq(QUIET(NB_OP_STATS, 0), 0);
	return m.result[1];
}

/* @nr frames of the host's own, their numbers from @offset of the data on. */
static inline uint64_t *take_frames(uint64_t nr, uint64_t offset)
{
	uint64_t *pfns = (uint64_t *)((char *)guest_data(m.guest, 0) + offset);

	for (uint64_t i = 0; i < nr; i++) {
		ck_assert_int_eq(QUIET(NB_OP_ALLOC_PAGES, 0, GFP_KERNEL, ANY_NODE), 0);
		pfns[i] = m.result[0];
	}
	return pfns;
}

static inline void give_frames(uint64_t nr, const uint64_t *pfns)
{
	for (uint64_t i = 0; i < nr; i++)
		ck_assert_int_eq(QUIET(NB_OP_FREE_PAGES, pfns[i], 0), 0);
}

#endif
