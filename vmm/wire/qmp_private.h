/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What vmm/wire/qmp.c, vmm/wire/qmp_value.c and vmm/wire/qmp_message.c share. */
#ifndef VMM_WIRE_QMP_PRIVATE_H
#define VMM_WIRE_QMP_PRIVATE_H

#include "vmm/wire/qmp.h"

/* An error of @class, with @id where it is not NULL. NULL for want of memory. */
json_t *qmp_error_class(const char *class, json_t *id, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Reads the arguments of @message, whose reference it takes, as @command has them. Returns NULL
 * with an error to send in *@error_out, or with NULL there for want of memory.
 */
struct qmp_request *qmp_request_create(const struct qmp_command *command, json_t *message,
				       qmp_symbol_fn symbol, void *context, json_t **error_out);

#endif
