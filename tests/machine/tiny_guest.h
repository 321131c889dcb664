/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tiny guest (tests/machine/tiny_guest.S) can be told to do, and where it looks. */
#ifndef TESTS_TINY_GUEST_H
#define TESTS_TINY_GUEST_H

#define TINY_OP_BAD_STATUS    0x200 /* a status above 0 */
#define TINY_OP_BAD_USER_DATA 0x201 /* an answer to another question */
#define TINY_OP_TOO_MANY      0x202 /* claims 300 completions too many */
#define TINY_OP_OUT8          0x203 /* an 8-bit OUT to the completion port */
#define TINY_OP_OUT32         0x204 /* a 32-bit OUT of arg[1] to port arg[0] */
#define TINY_OP_IN32          0x205 /* a 32-bit IN from port arg[0] */
#define TINY_OP_LOAD          0x206 /* loads from arg[0] */
#define TINY_OP_HLT           0x207 /* halts with interrupts off */
#define TINY_OP_WORK          0x208 /* arg[0] steps of progress */
#define TINY_OP_STACK         0x209 /* stands still below a call, its stack ending at arg[0] */

/* Offsets, checked against guest/abi.h by tests/machine/test_vm.c. */
#define TINY_DIRECT_BASE 0xffff888000000000
#define TINY_AREA_GPA    0x328
#define TINY_SQ_TAIL     0
#define TINY_SQ_HEAD     64
#define TINY_CQ_TAIL     68
#define TINY_ONLINE      72
#define TINY_PROGRESS    80
#define TINY_CURRENT     88
#define TINY_SQ          4096
#define TINY_CQ          (4096 + 256 * 128)

#ifndef __ASSEMBLER__
#include <stdint.h>

extern const uint8_t tiny_guest[], tiny_guest_end[], tiny_guest_after[];
#endif

#endif
