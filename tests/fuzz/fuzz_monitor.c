/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: any text as what a QEMU's human monitor answers. `info mtree -f` gives ranges that
 * are whole pages and in order, or nothing; `info registers` all registers, or none.
 */
#include <errno.h>
#include <string.h>

#include "tests/fuzz/driver.h"
#include "vmm/source/monitor.h"

uint64_t fuzz_runs_default = 10000;

static int take_range(void *context, uint64_t start, uint64_t end)
{
	size_t *count = context;

	FUZZ_CHECK(start % SOURCE_PAGE == 0 && end % SOURCE_PAGE == 0 && start < end);
	return ++*count > 1000 ? -E2BIG : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	struct inspect_registers registers, untouched;
	char *text = malloc(size_bytes + 1);
	size_t count = 0;
	int err;

	FUZZ_CHECK(text != NULL);
	memcpy(text, bytes, size_bytes);
	text[size_bytes] = '\0';
	err = monitor_ranges(text, take_range, &count);
	FUZZ_CHECK(count ? err == 0 || err == -E2BIG : err == -EPROTO);
	memset(&registers, 0x5a, sizeof(registers));
	untouched = registers;
	err = monitor_registers(text, &registers);
	FUZZ_CHECK(err == 0 ||
		   (err == -EPROTO && memcmp(&registers, &untouched, sizeof(registers)) == 0));
	free(text);
	return 0;
}

size_t fuzz_example(uint8_t *bytes, size_t room)
{
	static const char text[] =
		"FlatView #1\n AS \"memory\", root: system\n Root memory region: system\n"
		"  0000000000000000-000000000009ffff (prio 0, ram): pc.ram\n"
		"  00000000000a0000-00000000000bffff (prio 1, i/o): vga\n"
		"  0000000100000000-000000017fffffff (prio 0, ram): pc.ram @0000000080000000\n"
		"RAX=0 RBX=2 RCX=3 RDX=4\r\nRSI=5 RDI=6 RBP=7 RSP=8\r\nR8 =9 R9 =a R10=b R11=c\r\n"
		"R12=d R13=e R14=f R15=10\r\nRIP=ffffffff81c93f8f RFL=00000216 [----AP-]\r\n"
		"ES =0000 0000000000000000 ffffffff 00000000\r\n"
		"CS =0010 0000000000000000 ffffffff 00af9b00 DPL=0 CS64 [-RA]\r\n"
		"GDT=     fffffe0000001000 0000007f\r\n"
		"CR0=80050033 CR2=000000000c2fd178 CR3=0000000004b3e000 CR4=00750ef0\r\n"
		"EFER=0000000000001d01\r\n";

	FUZZ_CHECK(sizeof(text) <= room);
	memcpy(bytes, text, sizeof(text) - 1);
	return sizeof(text) - 1;
}
