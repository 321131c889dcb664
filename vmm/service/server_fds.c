/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors that come over the control socket (unix(7), SCM_RIGHTS), and their names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/service/server_client.h"

static void forget_received(struct client_fds *fds)
{
	while (fds->received > 0)
		close(fds->fd[--fds->received]);
}

/* Those beyond the room were closed by the kernel. */
static void keep_received(struct client_fds *fds, struct msghdr *message)
{
	struct cmsghdr *header;
	unsigned int count;

	for (header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		count = (unsigned int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		if (count > CLIENT_FDS_RECEIVED)
			count = CLIENT_FDS_RECEIVED; /* the room says that there are no more */
		forget_received(fds);
		memcpy(fds->fd, CMSG_DATA(header), count * sizeof(int));
		fds->received = count;
	}
}

ssize_t client_fds_receive(struct client_fds *fds, int socket, void *bytes, size_t size)
{
	union {
		char bytes[CMSG_SPACE(CLIENT_FDS_RECEIVED * sizeof(int))];
		struct cmsghdr aligned;
	} control;
	struct iovec vector = {bytes, size};
	struct msghdr message = {.msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	ssize_t got = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got >= 0)
		keep_received(fds, &message);
	return got;
}

/* The place of that name, or with NULL one without a name; NULL: there is none. */
static struct client_fd *find(struct client_fds *fds, const char *name)
{
	for (unsigned int i = 0; i < CLIENT_FDS_NAMED; i++) {
		const char *has = fds->named[i].name;

		if (name ? has && strcmp(has, name) == 0 : !has)
			return &fds->named[i];
	}
	return NULL;
}

int client_fds_name(struct client_fds *fds, const char *name)
{
	struct client_fd *place = find(fds, name);

	if (!fds->received)
		return -ENOENT;
	if (place) {
		close(place->fd);
	} else {
		place = find(fds, NULL);
		if (!place)
			return -EMFILE;
		place->name = strdup(name);
		if (!place->name)
			return -ENOMEM;
	}
	place->fd = fds->fd[0];
	fds->fd[0] = fds->fd[--fds->received];
	forget_received(fds);
	return 0;
}

int client_fds_take(struct client_fds *fds, const char *name)
{
	struct client_fd *place = find(fds, name);

	if (!place)
		return -ENOENT;
	free(place->name);
	place->name = NULL;
	return place->fd;
}

void client_fds_close(struct client_fds *fds)
{
	forget_received(fds);
	for (unsigned int i = 0; i < CLIENT_FDS_NAMED; i++) {
		if (fds->named[i].name)
			close(fds->named[i].fd);
		free(fds->named[i].name);
		fds->named[i].name = NULL;
	}
}
