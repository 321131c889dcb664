/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines of QEMU's human monitor: what the files that carry them out share. A line writes text to
 * `out`; what is wrong with it is text too, as in QEMU.
 */
#ifndef VMM_SERVICE_HUMAN_H
#define VMM_SERVICE_HUMAN_H

#include <stdio.h>

#include "vmm/service/private.h"

/* No line writes more: what would is cut, and says so. */
#define HUMAN_TEXT_BYTES (32u << 20)

struct human {
	struct service *service;
	const char *name; /* of the line that is carried out */
	unsigned int cpu; /* whose registers and tables are meant */
	FILE *out;
};

/* What the line @text has to say, of vCPU @cpu: free(3) it; NULL for want of memory. */
char *human_text(struct service *service, unsigned int cpu, const char *text, size_t *size_out);

/* Says what is wrong with the line, and where help is. Returns false. */
bool human_wrong(struct human *human, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Reads an address: numbers and $registers with + and - between them, to the end of @text. Returns
 * false after saying what is wrong with it.
 */
bool human_address(struct human *human, const char *text, uint64_t *address_out);

/* Registers of vCPU @cpu. Returns false after saying why there are none. */
bool human_registers(struct human *human, unsigned int cpu, struct inspect_registers *registers_out,
		     bool *halted_out);

/* Each takes what stands behind its name, without blanks at either end. */
void human_info_registers(struct human *human, const char *rest);
void human_info_mem(struct human *human, const char *rest);
void human_info_tlb(struct human *human, const char *rest);
void human_info_mtree(struct human *human, const char *rest);
void human_info_cpus(struct human *human, const char *rest);
void human_info_status(struct human *human, const char *rest);
void human_gpa2hva(struct human *human, const char *rest);
void human_gva2gpa(struct human *human, const char *rest);
void human_x(struct human *human, const char *rest);
void human_xp(struct human *human, const char *rest);

#endif
