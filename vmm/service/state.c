/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every command's code stands on: locks, the pause, names of places, failed looks. */
#include <errno.h>
#include <string.h>

#include "vmm/look/walk.h"
#include "vmm/service/private.h"

bool service_paused(const struct service *service)
{
	return __atomic_load_n(&service->paused, __ATOMIC_ACQUIRE);
}

const char *service_place(const struct service *service, uint64_t address,
			  char text[IMAGE_PLACE_BYTES])
{
	const struct image *image = guest_image(service->guest);

	text[0] = '\0';
	return image_symbol_find(image, address) ? image_place(image, address, text) : text;
}

void service_lock_calls(struct service *service)
{
	unsigned int i;

	for (i = 0; i < guest_nr_vcpus(service->guest); i++)
		pthread_mutex_lock(&service->call_mutex[i]);
}

void service_unlock_calls(struct service *service)
{
	unsigned int i;

	for (i = guest_nr_vcpus(service->guest); i > 0; i--)
		pthread_mutex_unlock(&service->call_mutex[i - 1]);
}

int service_tables(struct service *service, const struct qmp_request *request,
		   struct paging_mode *mode_out)
{
	const struct qmp_value *root = qmp_get(request, "root");
	const struct qmp_value *process = qmp_get(request, "process");

	if (process->given)
		return look_process(service->inspector, (uint32_t)process->word, mode_out);
	*mode_out = guest_paging_mode(service->guest);
	if (root->given)
		mode_out->root = gpa_make(root->word & ~(INSPECT_PAGE_BYTES - 1));
	return 0;
}

json_t *service_failed(const struct qmp_request *request, int err)
{
	switch (err) {
	case -EINVAL:
		return qmp_error(request,
				 "%s: the end is to lie behind the start, both page "
				 "aligned",
				 request->command->name);
	case -ESRCH:
		return qmp_error(request, "%s: there is no process of that number",
				 request->command->name);
	case -ELOOP:
		return qmp_error(request, "%s: the guest's tables refer to themselves",
				 request->command->name);
	case -EOVERFLOW:
		return qmp_error(request, "%s: the guest maps more ranges than can be kept",
				 request->command->name);
	default:
		return qmp_error(request, "%s: %s", request->command->name, strerror(-err));
	}
}
