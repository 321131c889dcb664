/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The simulated machine: memory out of a memfd, and the operations table.
 */
#include "tests/mm/sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMMAP_BYTES ((u64)MAX_SECTIONS * SECTION_MEMMAP_BYTES)

static _Thread_local u32 this_cpu;

__attribute__((noreturn)) static void fatal(const char *what)
{
	fprintf(stderr, "sim: %s: %s\n", what, strerror(errno));
	abort();
}

void sim_set_cpu(u32 cpu)
{
	this_cpu = cpu;
}

/* ---- the operations table ---- */

static u32 op_cpu_id(void *arch)
{
	struct sim *sim = arch;

	if (this_cpu >= sim->mm.nr_cpus)
		fatal("this CPU is not one of the machine's");
	return this_cpu;
}

static u64 op_irq_save(void *arch)
{
	struct sim *sim = arch;

	return sim->irq_off[this_cpu]++;
}

static void op_irq_restore(void *arch, u64 flags)
{
	struct sim *sim = arch;

	sim->irq_off[this_cpu] = (u32)flags;
}

static void op_flush_tlb(void *arch, u64 start, u64 end)
{
	struct sim *sim = arch;

	if (start >= end || !IS_ALIGNED(start | end, PAGE_SIZE))
		mm_panic(&sim->mm, "flush of a range that is none");
	if (sim->irq_check && sim->irq_off[this_cpu])
		mm_panic(&sim->mm, "flush with interrupts disabled");
	pthread_mutex_lock(&sim->lock);
	sim->flush[sim->nr_flushes++ % SIM_FLUSHES] = (struct sim_flush){start, end};
	sim->nr_flushed_pages += (end - start) >> PAGE_SHIFT;
	pthread_mutex_unlock(&sim->lock);
	if (sim->look)
		sim->look(SIM_FLUSH_TLB, start, end);
}

static void op_flush_cache_vmap(void *arch, u64 start, u64 end)
{
	struct sim *sim = arch;

	pthread_mutex_lock(&sim->lock);
	sim->nr_cache_vmap++;
	sim->cache_vmap = (struct sim_flush){start, end};
	pthread_mutex_unlock(&sim->lock);
	if (sim->look)
		sim->look(SIM_CACHE_VMAP, start, end);
}

static void op_flush_cache_vunmap(void *arch, u64 start, u64 end)
{
	struct sim *sim = arch;

	pthread_mutex_lock(&sim->lock);
	sim->nr_cache_vunmap++;
	sim->cache_vunmap = (struct sim_flush){start, end};
	pthread_mutex_unlock(&sim->lock);
	if (sim->look)
		sim->look(SIM_CACHE_VUNMAP, start, end);
}

static int op_memmap_populate(void *arch, u64 section_pfn, u64 phys)
{
	struct sim *sim = arch;
	void *at = sim->memmap + section_pfn;
	bool fail;

	if (!IS_ALIGNED(section_pfn, SECTION_PAGES) || !IS_ALIGNED(phys, SECTION_MEMMAP_BYTES))
		mm_panic(&sim->mm, "struct pages at a place that is none");
	pthread_mutex_lock(&sim->lock);
	fail = sim->populate_fail > 0;
	sim->populate_fail -= fail;
	sim->nr_populated += !fail;
	pthread_mutex_unlock(&sim->lock);
	if (fail)
		return -ENOMEM;
	if (mmap(at, SECTION_MEMMAP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, sim->fd,
		 (off_t)phys) == MAP_FAILED)
		fatal("mapping struct pages");
	return 0;
}

static u64 op_clock(void *arch)
{
	struct sim *sim = arch;

	return __atomic_fetch_add(&sim->clock_ns, sim->clock_step_ns, __ATOMIC_RELAXED);
}

__attribute__((format(printf, 3, 0))) static void op_log(void *arch, enum log_level level,
							 const char *format, va_list args)
{
	struct sim *sim = arch;

	pthread_mutex_lock(&sim->lock);
	sim->log_level[sim->nr_logs % SIM_LOG_LINES] = level;
	vsnprintf(sim->log[sim->nr_logs++ % SIM_LOG_LINES], SIM_TEXT, format, args);
	pthread_mutex_unlock(&sim->lock);
}

static void op_warn(void *arch, const char *file, int line, const char *text)
{
	struct sim *sim = arch;

	pthread_mutex_lock(&sim->lock);
	sim->nr_warnings++;
	snprintf(sim->warning, SIM_TEXT, "%s:%d: %s", file, line, text);
	pthread_mutex_unlock(&sim->lock);
}

__attribute__((noreturn)) static void op_panic(void *arch, const char *file, int line,
					       const char *text)
{
	struct sim *sim = arch;

	snprintf(sim->panic, SIM_TEXT, "%s:%d: %s", file, line, text);
	if (sim->panic_jump)
		longjmp(*sim->panic_jump, 1);
	fprintf(stderr, "sim: panic: %s\n", sim->panic);
	abort();
}

static const struct arch_ops sim_ops = {
	.cpu_id = op_cpu_id,
	.irq_save = op_irq_save,
	.irq_restore = op_irq_restore,
	.flush_tlb_kernel_range = op_flush_tlb,
	.flush_cache_vmap = op_flush_cache_vmap,
	.flush_cache_vunmap = op_flush_cache_vunmap,
	.memmap_populate = op_memmap_populate,
	.clock_ns = op_clock,
	.log = op_log,
	.warn = op_warn,
	.panic = op_panic,
};

/* ---- making and unmaking ---- */

void sim_add_ram(struct sim_config *config, u64 start, u64 bytes, u32 node)
{
	config->ram[config->nr_ram++] =
		(struct mem_range){.start = start, .end = start + bytes, .node = node};
}

void sim_add_reserved(struct sim_config *config, u64 start, u64 bytes, enum reserved_kind kind)
{
	config->reserved[config->nr_reserved++] =
		(struct mem_range){.start = start, .end = start + bytes, .kind = kind};
}

struct sim_config sim_default_config(u32 nr_cpus)
{
	struct sim_config config = {.nr_cpus = nr_cpus, .irq_check = true};

	sim_add_ram(&config, 0, 64ull << 20, 0);
	sim_add_ram(&config, 4ull << 30, 64ull << 20, 0);
	return config;
}

static void *reserve(u64 bytes)
{
	void *base =
		mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		fatal("reserving addresses");
	return base;
}

/* A file's offset is the guest-physical address; only what is RAM is mapped. */
static void map_memory(struct sim *sim, const struct sim_config *config)
{
	for (u32 i = 0; i < config->nr_ram; i++) {
		if (config->ram[i].end > sim->ram_bytes)
			sim->ram_bytes = config->ram[i].end;
	}
	sim->fd = memfd_create("sim-ram", MFD_CLOEXEC);
	if (sim->fd < 0 || ftruncate(sim->fd, (off_t)sim->ram_bytes) < 0)
		fatal("making RAM");
	sim->ram_base = reserve(sim->ram_bytes);
	sim->memmap = reserve(MEMMAP_BYTES);
	for (u32 i = 0; i < config->nr_ram; i++) {
		const struct mem_range *range = &config->ram[i];

		if (mmap((char *)sim->ram_base + range->start, range->end - range->start,
			 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, sim->fd,
			 (off_t)range->start) == MAP_FAILED)
			fatal("mapping RAM");
	}
}

static struct mm_config core_config(struct sim *sim, const struct sim_config *config)
{
	u64 first = config->ram[0].start;
	struct mm_config core = {
		.ops = &sim_ops,
		.arch = sim,
		.direct_base = (u64)(uintptr_t)sim->ram_base,
		.memmap = sim->memmap,
		.root_phys = first + PAGE_SIZE,
		.nr_cpus = config->nr_cpus ? config->nr_cpus : 1,
		.nr_ram = config->nr_ram,
		.nr_reserved = config->nr_reserved + 2,
		.reserved = {{first, first + PAGE_SIZE, 0, RESERVED_BOOT},
			     {first + PAGE_SIZE, first + 2 * PAGE_SIZE, 0, RESERVED_TABLES}},
	};

	if (core.nr_reserved > MAX_RESERVED)
		fatal("too many reserved ranges");
	memcpy(core.cpu_node, config->cpu_node, sizeof(core.cpu_node));
	memcpy(core.ram, config->ram, sizeof(core.ram));
	memcpy(&core.reserved[2], config->reserved, config->nr_reserved * sizeof(core.reserved[0]));
	return core;
}

typedef int (*init_function)(struct mm *mm, const struct mm_config *config);

static int create(const struct sim_config *config, init_function init, struct sim **sim_out)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	struct mm_config core;
	int err;

	if (!sim)
		fatal("memory");
	pthread_mutex_init(&sim->lock, NULL);
	sim->irq_check = config->irq_check;
	sim->clock_step_ns = LOG_INTERVAL_NS;
	map_memory(sim, config);
	core = core_config(sim, config);
	sim_set_cpu(0);
	err = init(&sim->mm, &core);
	if (err)
		sim_destroy(sim);
	else
		*sim_out = sim;
	return err;
}

int sim_try_create(const struct sim_config *config, struct sim **sim_out)
{
	return create(config, mm_init, sim_out);
}

static struct sim *create_surely(const struct sim_config *config, init_function init)
{
	struct sim *sim = NULL;
	int err = create(config, init, &sim);

	if (err) {
		errno = -err;
		fatal("mm_init");
	}
	return sim;
}

struct sim *sim_create(const struct sim_config *config)
{
	return create_surely(config, mm_init);
}

struct sim *sim_create_frames(const struct sim_config *config)
{
	return create_surely(config, mm_init_frames);
}

void sim_destroy(struct sim *sim)
{
	munmap(sim->ram_base, sim->ram_bytes);
	munmap(sim->memmap, MEMMAP_BYTES);
	close(sim->fd);
	pthread_mutex_destroy(&sim->lock);
	free(sim);
}

/* ---- what tests ask ---- */

bool sim_logged(struct sim *sim, const char *text)
{
	bool found = false;

	pthread_mutex_lock(&sim->lock);
	for (u64 i = 0; i < SIM_LOG_LINES && i < sim->nr_logs; i++)
		found |= strstr(sim->log[i], text) != NULL;
	pthread_mutex_unlock(&sim->lock);
	return found;
}

void sim_no_panic(const char *file, int line)
{
	fprintf(stderr, "%s:%d: no panic where one was expected\n", file, line);
	abort();
}

void sim_same_panic(struct sim *sim, const char *text, const char *file, int line)
{
	if (strstr(sim->panic, text))
		return;
	fprintf(stderr, "%s:%d: panic was: %s\n", file, line, sim->panic);
	abort();
}
