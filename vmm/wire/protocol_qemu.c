/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands that clients made for QEMU send, with QEMU's names, arguments and returns (its
 * qapi/{machine,misc,dump}.json).
 */
#include "vmm/wire/protocol_private.h"

/* QEMU's addresses are signed: what lies in the upper half is negative. */
#define QEMU_ADDRESS(its_name, its_help)                                                   \
	{                                                                                  \
		.name = (its_name), .type = QMP_INT, .help = (its_help), .min = INT64_MIN, \
		.max = INT64_MAX                                                           \
	}
#define QEMU_CPU                                                                        \
	ARG("cpu-index", QMP_INT, "the vCPU whose registers and page tables are meant", \
	    .optional = true, .max = NB_MAX_VCPUS - 1)
#define FILE_BYTES 4096
#define NAME_BYTES 64

static const char *const formats[] = {"elf",          "kdump-zlib", "kdump-lzo",
				      "kdump-snappy", "win-dmp",    NULL};
static const char *const dump_states[] = {"none", "active", "completed", "failed", NULL};

const struct qmp_command protocol_qemu_commands[] = {
	{LOOK("human-monitor-command",
	      "A line of QEMU's human monitor: info registers [-a], info mem, info tlb, info mtree "
	      "-f, info cpus, info status, gpa2hva, gva2gpa, x, xp, help. The return is its text."),
	 .args = ARGS(ARG("command-line", QMP_TEXT, "the line", .max = 1024), QEMU_CPU)},
	{LOOK_AS(QMP_CHANGES, "gdbserver",
		 "Serves gdb on a UNIX socket, in place of another there may be."),
	 .args = ARGS(ARG("path", QMP_TEXT, "of the socket; without one there is no stub any more",
			  .optional = true, .max = 107))},
	{LOOK("query-cpus-fast", "The vCPUs; the return is the list itself."),
	 .returns = ARGS(IS("cpu-index", QMP_INT, "of a vCPU, one object each"),
			 IS("qom-path", QMP_TEXT, "a name of QEMU's form"),
			 IS("thread-id", QMP_INT, "the host's, of the thread that runs it"),
			 IS("props", QMP_OBJECT, "empty"), IS("target", QMP_TEXT, "x86_64"))},
	{LOOK_AS(QMP_CHANGES, "memsave", "Writes guest-virtual memory to a file of the host."),
	 .args = ARGS(QEMU_ADDRESS("val", "where to begin"),
		      ARG("size", QMP_INT, "bytes", .min = 0, .max = INT64_MAX),
		      ARG("filename", QMP_TEXT, "where, on the host", .max = FILE_BYTES),
		      QEMU_CPU)},
	{LOOK_AS(QMP_CHANGES, "pmemsave", "Writes guest-physical memory to a file of the host."),
	 .args = ARGS(QEMU_ADDRESS("val", "where to begin"),
		      ARG("size", QMP_INT, "bytes", .min = 0, .max = INT64_MAX),
		      ARG("filename", QMP_TEXT, "where, on the host", .max = FILE_BYTES))},
	{ALONE("dump-guest-memory",
	       "Writes an ELF core as QEMU does, with the guest stopped meanwhile. Event "
	       "DUMP_COMPLETED."),
	 .args = ARGS(IS("paging", QMP_BOOL, "virtual addresses too, from the page tables"),
		      ARG("protocol", QMP_TEXT, "file:PATH, or fd:NAME of a descriptor by getfd",
			  .max = FILE_BYTES),
		      MAY_BE("detach", QMP_BOOL, "answer at once; query-dump tells how far it is"),
		      ARG("begin", QMP_INT, "guest-physical, of a part; with length",
			  .optional = true, .no_default = true, .max = INT64_MAX),
		      ARG("length", QMP_INT, "bytes of that part", .optional = true,
			  .no_default = true, .max = INT64_MAX),
		      ARG("format", QMP_ENUM, "elf is the one there is", .optional = true,
			  .choices = formats))},
	{QUICK("query-dump", "How far the last dump-guest-memory is."),
	 .returns = ARGS(ARG("status", QMP_ENUM, "of it", .choices = dump_states),
			 IS("completed", QMP_INT, "bytes of memory written"),
			 IS("total", QMP_INT, "of so many"))},
	{QUICK("query-dump-guest-memory-capability", "The formats dump-guest-memory has."),
	 .returns = ARGS(IS("formats", QMP_ANY, "a list of their names"))},
	{QUICK_AS(QMP_CHANGES, "getfd",
		  "Gives a name to the descriptor that came with this command (SCM_RIGHTS)."),
	 .args = ARGS(ARG("fdname", QMP_TEXT, "its name, which does not begin with a digit",
			  .max = NAME_BYTES))},
	{QUICK_AS(QMP_CHANGES, "closefd", "Closes a descriptor that getfd gave a name."),
	 .args = ARGS(ARG("fdname", QMP_TEXT, "its name", .max = NAME_BYTES))},
	{.name = NULL},
};
