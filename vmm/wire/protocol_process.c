/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands that are hypercalls on processes, and those by which the guest hurts itself. */
#include "vmm/wire/protocol_private.h"

#define CALL(its_name, its_opcode, its_help) \
	.name = (its_name), .lane = PROTOCOL_CALL, .opcode = (its_opcode), .help = (its_help)

#define PROCESS AT(0, "process", QMP_U64, "its number")

static const char *const programs[] = {"read", "write", "jump", "spin", NULL};

const struct qmp_command protocol_process_commands[] = {
	{CALL("process-create", NB_OP_PROCESS_CREATE, "Makes a process: page tables of its own."),
	 TAKES_NOTHING, GIVES(AT(0, "process", QMP_U64, "its number"))},
	{CALL("process-destroy", NB_OP_PROCESS_DESTROY, "Ends a process."), TAKES(PROCESS),
	 GIVES_NOTHING},
	{CALL("vma-create", NB_OP_VMA_CREATE, "Gives a process a range of user addresses."),
	 TAKES(PROCESS, AT(1, "start", QMP_ADDRESS, "page aligned"),
	       AT(2, "end", QMP_ADDRESS, "page aligned; the range is [start, end)"),
	       ARG("rights", QMP_U64, "1 read, 2 write, 4 execute, 8 shared, added up",
		   .optional = true, .otherwise = 3, .max = 15, .place = PROTOCOL_AT(3))),
	 GIVES_NOTHING},
	{CALL("vma-destroy", NB_OP_VMA_DESTROY, "Takes a range from a process."),
	 TAKES(PROCESS, AT(1, "start", QMP_ADDRESS, "of the range")), GIVES_NOTHING},
	{CALL("vm-insert-page", NB_OP_VM_INSERT_PAGE,
	      "Maps a frame into a process: vm_insert_page()."),
	 TAKES(PROCESS, AT(1, "address", QMP_ADDRESS, "a user address"),
	       AT(2, "frame", QMP_U64, "its number")),
	 GIVES_NOTHING},
	{CALL("remap-vmalloc-range", NB_OP_REMAP_VMALLOC_RANGE,
	      "Maps an area into a range of a process: remap_vmalloc_range()."),
	 TAKES(PROCESS, AT(1, "start", QMP_ADDRESS, "of the range"),
	       AT(2, "address", QMP_ADDRESS, "of the area"),
	       MAYBE(3, "page", QMP_U64, 0, "the first page of the area")),
	 GIVES_NOTHING},
	{CALL("vmalloc-sync-all", NB_OP_VMALLOC_SYNC_ALL,
	      "Brings every process's kernel half up to date."),
	 TAKES_NOTHING, GIVES_NOTHING},
	{CALL("user-run", NB_OP_USER_RUN,
	      "Runs a program at CPL 3 in a process. An exception there ends the program and is "
	      "returned as its fault."),
	 TAKES(PROCESS,
	       ARG("program", QMP_ENUM, "sum words up, store words, call an address, or never end",
		   .choices = programs, .place = PROTOCOL_AT(1)),
	       MAYBE(2, "address", QMP_ADDRESS, 0, "of the first word, or of the code"),
	       MAYBE(3, "words", QMP_U64, 0, "64-bit words"),
	       MAYBE(4, "value", QMP_U64, 0, "stored in word i: value + i")),
	 GIVES(ARG("value", QMP_U64, "what the program returned", .optional = true,
		   .place = PROTOCOL_AT(0)),
	       ARG("fault", QMP_OBJECT,
		   "vector, error-code, cr2 and rip of the exception that ended it",
		   .optional = true))},
	{CALL("probe", NB_OP_PROBE,
	      "Loads a word at CPL 0 through the translation the CPU has; a stale TLB entry "
	      "shows."),
	 TAKES(MAYBE(0, "process", QMP_U64, 0, "in whose tables; 0: the kernel's own"),
	       ADDRESS(1, "of the word")),
	 GIVES(AT(0, "word", QMP_U64, "what was loaded"))},
	{.name = NULL},
};

#define HARM(its_name, its_opcode, its_help) \
	CALL(its_name, its_opcode, its_help), .access = QMP_UNSAFE

const struct qmp_command protocol_test_commands[] = {
	{HARM("x-test-panic", NB_OP_TEST_PANIC, "The guest panics."), TAKES_NOTHING, GIVES_NOTHING},
	{HARM("x-test-fault", NB_OP_TEST_FAULT, "The guest loads from an address."),
	 TAKES(ADDRESS(0, "any")), GIVES_NOTHING},
	{HARM("x-test-spin", NB_OP_TEST_SPIN, "The guest never answers; the watchdog ends it."),
	 TAKES_NOTHING, GIVES_NOTHING},
	{HARM("x-test-ud", NB_OP_TEST_UD, "The guest executes an undefined instruction."),
	 TAKES_NOTHING, GIVES_NOTHING},
	{HARM("x-test-warn", NB_OP_TEST_WARN, "The guest warns and goes on."), TAKES_NOTHING,
	 GIVES_NOTHING},
	{HARM("x-test-triple", NB_OP_TEST_TRIPLE, "A triple fault."), TAKES_NOTHING, GIVES_NOTHING},
	{HARM("x-test-io", NB_OP_TEST_IO, "A 32-bit OUT."),
	 TAKES(AT(0, "port", QMP_U64, "its number"), AT(1, "value", QMP_U64, "what is written")),
	 GIVES_NOTHING},
	{HARM("x-test-emulate", NB_OP_TEST_EMULATE, "An instruction KVM's emulator does not know."),
	 TAKES(ADDRESS(0, "guest-physical, no RAM")), GIVES_NOTHING},
	{HARM("x-test-skip-flush", NB_OP_TEST_SKIP_FLUSH,
	      "The next TLB flushes of this CPU do nothing and say that they did."),
	 TAKES(AT(0, "count", QMP_U64, "how many")), GIVES_NOTHING},
	{HARM("x-test-log", NB_OP_TEST_LOG, "Log lines as fast as they come."),
	 TAKES(AT(0, "count", QMP_U64, "how many"),
	       MAYBE(1, "ahead", QMP_U64, 0,
		     "milliseconds to set the guest's clock forward before")),
	 GIVES_NOTHING},
	{HARM("x-test-touch", NB_OP_TEST_TOUCH, "The guest touches memory it gave up."),
	 TAKES(ADDRESS(0, "of the word; with frame 1, a frame number"),
	       MAYBE(1, "value", QMP_U64, 0, "to store"),
	       MAYBE(2, "store", QMP_U64, 0, "1: store, 0: load"),
	       MAYBE(3, "frame", QMP_U64, 0, "1: reach the frame through the direct map")),
	 GIVES(AT(0, "word", QMP_U64, "what was loaded"))},
	{.name = NULL},
};
