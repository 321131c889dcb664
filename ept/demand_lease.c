/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Registering a region's memory, and handing the descriptor to another process. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ept/demand_private.h"
#include "ept/uffd.h"

#define MAGIC 0x31646e616d656478ull /* "xdemand1" */

/* What goes over the socket, with the descriptor. */
struct message {
	uint64_t magic;
	struct demand_memory memory;
};

/* A message is one byte string and one descriptor. */
union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

struct demand_lease {
	struct demand_memory memory;
	int uffd;
};

static void *mapping(const struct demand_memory *memory, unsigned int index)
{
	return (void *)(uintptr_t)memory->at[index];
}

void demand_unregister(const struct demand_memory *memory, int uffd)
{
	for (unsigned int i = 0; i < memory->nr_mappings; i++)
		(void)uffd_unregister(uffd, mapping(memory, i), memory->bytes);
	close(uffd);
}

int demand_register(const struct gpa_region *region, struct demand_memory *memory_out,
		    int *uffd_out, struct error *error)
{
	struct demand_memory memory = {.bytes = region->end.value - region->start.value};
	int uffd, err;

	if (!region->host || region->backing.hugetlb_bytes || region->backing.file_private)
		return error_set(error, -EINVAL,
				 "region %s: demand paging is for memory of small pages",
				 region->name);
	err = uffd_open(false, &uffd, error);
	if (err)
		return err;
	memory.at[memory.nr_mappings++] = (uintptr_t)region->host;
	if (region->slot_host != region->host)
		memory.at[memory.nr_mappings++] = (uintptr_t)region->slot_host;
	for (unsigned int i = 0; i < memory.nr_mappings; i++) {
		err = uffd_register(uffd, mapping(&memory, i), memory.bytes, UFFD_MISSING);
		if (!err)
			continue;
		memory.nr_mappings = i;
		demand_unregister(&memory, uffd);
		return error_set(error, err, "region %s: %s%s", region->name, strerror(-err),
				 err == -EBUSY    ? ": it has a handler already (traps?)"
				 : err == -EINVAL ? ": a file must be a memfd or in a tmpfs"
						  : "");
	}
	*memory_out = memory;
	*uffd_out = uffd;
	return 0;
}

static int send_message(int socket, struct message *message, int fd)
{
	struct iovec bytes = {message, sizeof(*message)};
	union control control = {0};
	struct msghdr header = {
		.msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	return sendmsg(socket, &header, MSG_NOSIGNAL) == (ssize_t)sizeof(*message) ? 0 : -errno;
}

int demand_hand_over(const struct gpa_region *region, int socket, struct demand_lease **lease_out,
		     struct error *error)
{
	struct message message = {.magic = MAGIC};
	struct demand_lease *lease = calloc(1, sizeof(*lease));
	int err;

	if (!lease)
		return error_set(error, -ENOMEM, "no memory for a lease");
	err = demand_register(region, &lease->memory, &lease->uffd, error);
	if (err) {
		free(lease);
		return err;
	}
	message.memory = lease->memory;
	err = send_message(socket, &message, lease->uffd);
	if (err) {
		demand_end_lease(lease);
		return error_set(error, err, "cannot hand the memory over: %s", strerror(-err));
	}
	*lease_out = lease;
	return 0;
}

void demand_end_lease(struct demand_lease *lease)
{
	if (!lease)
		return;
	demand_unregister(&lease->memory, lease->uffd);
	free(lease);
}

/* ---- the other side, which does not believe what it is sent ---- */

static int receive_message(int socket, struct message *message, int *fd_out)
{
	struct iovec bytes = {message, sizeof(*message)};
	union control control = {0};
	struct msghdr header = {
		.msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_WAITALL);
	const struct cmsghdr *first = CMSG_FIRSTHDR(&header);

	if (got < 0)
		return -errno;
	*fd_out = -1;
	if (first && first->cmsg_level == SOL_SOCKET && first->cmsg_type == SCM_RIGHTS &&
	    first->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd_out, CMSG_DATA(first), sizeof(int));
	return got == (ssize_t)sizeof(*message) && *fd_out >= 0 ? 0 : -EPROTO;
}

static bool memory_is_sane(const struct demand_memory *memory)
{
	if (memory->nr_mappings < 1 || memory->nr_mappings > DEMAND_MAPPINGS_MAX ||
	    memory->bytes == 0 || memory->bytes % EPT_PAGE_BYTES ||
	    memory->bytes >> EPT_PHYSICAL_BITS_MAX)
		return false;
	for (unsigned int i = 0; i < memory->nr_mappings; i++)
		if (memory->at[i] % EPT_PAGE_BYTES || memory->at[i] + memory->bytes < memory->at[i])
			return false;
	return true;
}

int demand_receive(int socket, uint32_t batch_bytes, const struct demand_source *source,
		   struct demand **demand_out, struct error *error)
{
	struct message message;
	int uffd = -1, err = receive_message(socket, &message, &uffd);

	if (!err && (message.magic != MAGIC || !memory_is_sane(&message.memory)))
		err = -EPROTO;
	if (err)
		error_set(error, err, "no memory to serve was received: %s", strerror(-err));
	else
		err = demand_serve(&message.memory, uffd, false, batch_bytes, source, demand_out,
				   error);
	if (err && uffd >= 0)
		close(uffd);
	return err;
}
