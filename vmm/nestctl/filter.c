/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Leaves out of a list what the options of the verb do not want. */
#include <inttypes.h>
#include <string.h>

#include "vmm/nestctl/nestctl.h"

/* All of @wanted's letters are among @has; "-" is none. */
static bool has_rights(const char *has, const char *wanted)
{
	for (; *wanted; wanted++)
		if (*wanted != '-' && !strchr(has, *wanted))
			return false;
	return true;
}

static bool wants(const struct ctl_filter *filter, const json_t *object)
{
	if (filter->rights && !has_rights(ctl_text(object, "rights"), filter->rights))
		return false;
	if (filter->user && !strchr(ctl_text(object, "rights"), 'u'))
		return false;
	if (filter->page_bytes && ctl_number(object, "page-bytes") != filter->page_bytes)
		return false;
	return !filter->state || strcmp(ctl_text(object, "state"), filter->state) == 0;
}

bool ctl_filter_check(const struct ctl_filter *filter, const struct cli_command *cli)
{
	if (filter->rights &&
	    (!*filter->rights || filter->rights[strspn(filter->rights, "rwxu-")])) {
		cli_error(cli, "--rights %.32s: letters of r w x u", filter->rights);
		return false;
	}
	if (filter->page_bytes && filter->page_bytes != 4096 && filter->page_bytes != 2u << 20 &&
	    filter->page_bytes != 1u << 30) {
		cli_error(cli, "--size: pages are of 4K, 2M or 1G");
		return false;
	}
	if (filter->state && strcmp(filter->state, "busy") != 0 &&
	    strcmp(filter->state, "lazy") != 0 && strcmp(filter->state, "free") != 0) {
		cli_error(cli, "--state %.32s: busy, lazy or free", filter->state);
		return false;
	}
	return true;
}

void ctl_filter_list(const struct ctl_filter *filter, json_t *list)
{
	for (size_t i = json_array_size(list); i > 0; i--)
		if (!wants(filter, json_array_get(list, i - 1)))
			json_array_remove(list, i - 1);
}
