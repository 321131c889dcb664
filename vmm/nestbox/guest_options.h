/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options every command that starts a guest has, and the guest_config they make. */
#ifndef VMM_NESTBOX_GUEST_OPTIONS_H
#define VMM_NESTBOX_GUEST_OPTIONS_H

#include "vmm/attach/core.h"
#include "vmm/base/cli.h"
#include "vmm/machine/checks.h"
#include "vmm/machine/guest.h"
#include "vmm/nestbox/commands.h"
#include "vmm/sandbox/sandbox.h"

struct guest_options {
	enum kvm_engine engine;
	uint64_t cpus, memory_bytes, nodes;
	uint64_t watchdog_seconds, operation_seconds, total_seconds; /* 0: none */
	const char *image;
	struct core_of_the_dead dump;
	bool trap_uaf;
	const char *coverage; /* a file, or NULL */
	unsigned int checks;  /* SOFT_CHECK_* */
	struct soft_options soft;
	struct soft_plan plan;
	enum sandbox_mode sandbox;
};

#define LIMIT_SECONDS_MAX (365ull * 86400)

#define GUEST_OPTIONS_DEFAULT                                                          \
	{                                                                              \
		.cpus = 1, .memory_bytes = MEMORY_BYTES_DEFAULT, .nodes = 1,           \
		.watchdog_seconds = (uint64_t)GUEST_WATCHDOG_SECONDS,                  \
		.operation_seconds = (uint64_t)GUEST_OPERATION_SECONDS, .image = NULL, \
		.checks = CHECKS_DEFAULT                                               \
	}

/* The one of which KVM runs the guest, into an enum kvm_engine. */
#define GUEST_OPTION_KVM(engine)                                                              \
	{                                                                                     \
		.name = "kvm", .kind = CLI_CUSTOM, .argument = "WHICH",                       \
		.help = "host: /dev/kvm; soft: the engine in this program, on any machine;\n" \
			"auto: /dev/kvm where it is there and usable, else soft (auto)",      \
		.value = (engine), .parse = guest_options_parse_engine,                       \
		.expects = "auto, host or soft"                                               \
	}

/* What the process may ask of the kernel, into an enum sandbox_mode. */
#define GUEST_OPTION_SANDBOX(mode)                                                        \
	{                                                                                 \
		.name = "sandbox", .kind = CLI_CUSTOM, .argument = "MODE",                \
		.help = "on: system calls, files and rights beyond what it takes are\n"   \
			"forbidden; log: the kernel says which calls would be; off (on)", \
		.value = (mode), .parse = sandbox_parse, .expects = "on, log or off"      \
	}

/* Rows of a struct cli_option table that fill the struct guest_options @o. */
#define GUEST_OPTIONS(o) GUEST_OPTIONS_OF(o, "512M")

/* The same where --memory is @memory if it is not given. */
#define GUEST_OPTIONS_OF(o, memory)                                                                \
	CLI_OPTION("cpus", CLI_NUMBER, "N", "vCPUs of the guest (1)", &(o)->cpus, .min = 1,        \
		   .max = NB_MAX_VCPUS),                                                           \
		GUEST_OPTION_KVM(&(o)->engine),                                                    \
		CLI_OPTION("memory", CLI_SIZE, "SIZE",                                             \
			   "guest memory, half of it but at most 3 GiB below 4 GiB (" memory       \
			   ");\n"                                                                  \
			   "sparse: it costs what the guest touches",                              \
			   &(o)->memory_bytes, .min = MEMORY_BYTES_MIN, .max = MEMORY_BYTES_MAX),  \
		CLI_OPTION("nodes", CLI_NUMBER, "N", "NUMA nodes the memory is split between (1)", \
			   &(o)->nodes, .min = 1, .max = NB_MAX_NODES),                            \
		CLI_OPTION("image", CLI_TEXT, "FILE", "guest image in place of the built-in one",  \
			   &(o)->image),                                                           \
		CLI_OPTION("dump", CLI_TEXT, "FILE",                                               \
			   "write an ELF core there if the guest dies: for gdb, drgn, crash",      \
			   &(o)->dump.path),                                                       \
		CLI_OPTION("trap-uaf", CLI_FLAG, NULL,                                             \
			   "catch a guest that touches a frame it has given up (with\n"            \
			   "/dev/kvm: root, or vm.unprivileged_userfaultfd)",                      \
			   &(o)->trap_uaf),                                                        \
		CLI_OPTION("coverage", CLI_TEXT, "FILE",                                           \
			   "with the soft engine: write which lines of the guest's source were\n"  \
			   "executed, and how often, as lcov has it; several times slower",        \
			   &(o)->coverage),                                                        \
		CLI_OPTION(                                                                        \
			"check", CLI_CUSTOM, "LIST",                                               \
			"with the soft engine: what to check on every access, of stale, freed,\n"  \
			"wx, guard, stack, race; or all, or none (all but race; explore: all;\n"   \
			"bench, load: none)",                                                      \
			&(o)->checks, .parse = guest_options_parse_checks,                         \
			.expects = "all, none, or some of stale,freed,wx,guard,stack,race"),       \
		CLI_OPTION(                                                                        \
			"schedule", CLI_CUSTOM, "PLAN",                                            \
			"with the soft engine: whose turn it is: seed=N draws it; pct=D,seed=N\n"  \
			"by priorities that change D - 1 times in the first steps=N (100000)\n"    \
			"instructions; the same seed gives the same run",                          \
			&(o)->plan, .parse = guest_options_parse_schedule,                         \
			.expects = "seed=N or pct=D[,seed=N][,steps=N]"),                          \
		CLI_OPTION("tlb", CLI_CUSTOM, "TLB",                                               \
			   "with the soft engine: size=N translations of each page size a vCPU\n"  \
			   "remembers (as many as it may), seed=N draws which it forgets",         \
			   &(o)->soft, .parse = guest_options_parse_tlb,                           \
			   .expects = "size=N[,seed=N]"),                                          \
		CLI_OPTION("watchdog", CLI_NUMBER, "SECONDS",                                      \
			   "stop a guest that makes no progress for so long (10); 0: never",       \
			   &(o)->watchdog_seconds, .max = 86400),                                  \
		CLI_OPTION("operation-limit", CLI_NUMBER, "SECONDS",                               \
			   "stop a guest that takes longer for one operation, whatever progress\n" \
			   "it claims (3600); 0: never",                                           \
			   &(o)->operation_seconds, .max = LIMIT_SECONDS_MAX),                     \
		CLI_OPTION("time-limit", CLI_NUMBER, "SECONDS",                                    \
			   "stop a guest that is at work so long after its start; 0: never (0)",   \
			   &(o)->total_seconds, .max = LIMIT_SECONDS_MAX),                         \
		GUEST_OPTION_SANDBOX(&(o)->sandbox)

/* A cli_option's parse(), into an enum kvm_engine. */
int guest_options_parse_engine(const char *text, void *value);

/* The same, of checks. */
int guest_options_parse_checks(const char *text, void *value);

/* The same, into a struct soft_plan and a struct soft_options. */
int guest_options_parse_schedule(const char *text, void *value);
int guest_options_parse_tlb(const char *text, void *value);

/* *@program as it is for @guest: the soft engine counts instructions wherever it runs. */
struct program guest_options_program(const struct program *program, const struct guest *guest);

/* @options must outlive the guest: what becomes of its dump is kept there. */
struct guest_config guest_options_config(struct guest_options *options);

/* What the program may write to when it is confined: files of its options, and folders. */
struct confined_to {
	size_t nr_files, nr_folders;
	const char *const *files; /* their folders are meant; NULLs are passed over */
	const char *const *folders;
	bool reads_all; /* any file may be read; else the guest's image, /proc, /sys and /dev */
};

/*
 * Confines the program as --sandbox says, to @to and the files of @options. To be called before
 * there is a second thread. CLI_DONE, or CLI_HOST, with the reason said.
 */
enum cli_status guest_options_confine(const struct cli_command *command,
				      const struct guest_options *options,
				      const struct confined_to *to);

/*
 * Starts the guest of @config. Returns CLI_DONE with it in *@guest_out, which the caller destroys,
 * or says why not and returns the program's exit status.
 */
enum cli_status guest_options_start(const struct cli_command *command,
				    const struct guest_config *config, struct guest **guest_out);

/*
 * Writes the guest's coverage if that is wanted, before it is destroyed. Returns @status; CLI_HOST
 * in place of CLI_WRONG, with a sentence, where the guest died because KVM did not run it; or says
 * why the coverage could not be written and returns CLI_HOST.
 */
enum cli_status guest_options_save(const struct cli_command *command, struct guest *guest,
				   enum cli_status status);

#endif
