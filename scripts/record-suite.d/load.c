/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads that make a kernel's vmalloc busy and that no shell can make: used by work.sh inside a lab.
 *
 *   load bpf ROUNDS SEED        maps, ring buffers and programs of BPF that come and go
 *   load filters ROUNDS SEED    socket filters: a few pages each, and code of the kernel's compiler
 *   load rings ROUNDS SEED      rings of packets, of io_uring and of pipes, of all sizes
 *   load threads ROUNDS SEED    threads: a stack each, no address space
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KEPT 48u

static uint64_t state;

static uint32_t draw(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)((state >> 11) % below);
}

/* Things that stay for a while: a new one takes the place of one drawn, which goes. */
static int kept[KEPT];
static unsigned made, refused;

static void keep(int fd)
{
	uint32_t at = draw(KEPT);

	if (fd < 0) {
		refused++;
		return;
	}
	made++;
	if (kept[at] > 0)
		close(kept[at]);
	kept[at] = fd;
}

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int make_map(void)
{
	union bpf_attr attr = {0};

	switch (draw(3)) {
	case 0:
		attr.map_type = BPF_MAP_TYPE_ARRAY;
		attr.key_size = 4;
		attr.value_size = 8 + 8 * draw(64);
		attr.max_entries = 1 + draw(2000);
		attr.map_flags = BPF_F_MMAPABLE;
		break;
	case 1:
		attr.map_type = BPF_MAP_TYPE_HASH;
		attr.key_size = 8;
		attr.value_size = 8 + 8 * draw(32);
		attr.max_entries = 64 + draw(4000);
		break;
	default:
		attr.map_type = BPF_MAP_TYPE_RINGBUF;
		attr.max_entries = 4096u << draw(7);
	}
	return bpf(BPF_MAP_CREATE, &attr);
}

/* A program of some hundred instructions that returns 0. */
static int make_program(void)
{
	static struct bpf_insn code[1024];
	uint32_t n = 2 + draw(1000);
	union bpf_attr attr = {0};

	for (uint32_t i = 0; i < n; i++)
		code[i] = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 0};
	code[n - 1] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
	attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	attr.insns = (uintptr_t)code;
	attr.insn_cnt = n;
	attr.license = (uintptr_t) "GPL";
	return bpf(BPF_PROG_LOAD, &attr);
}

static void one_bpf(void)
{
	keep(draw(2) ? make_map() : make_program());
}

static void one_filter(void)
{
	static struct sock_filter code[1500];
	struct sock_fprog program = {.len = (unsigned short)(1 + draw(1400)), .filter = code};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (unsigned i = 0; i < program.len; i++)
		code[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, draw(1u << 30));
	code[program.len - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0xffff);
	if (fd >= 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0) {
		close(fd);
		fd = -1;
	}
	keep(fd);
}

static int make_packet_ring(void)
{
	struct tpacket_req req = {.tp_block_size = 4096u << draw(4), .tp_block_nr = 1 + draw(700)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	req.tp_frame_size = 2048;
	req.tp_frame_nr = req.tp_block_size / 2048 * req.tp_block_nr;
	if (fd >= 0 && setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int make_uring(void)
{
	struct io_uring_params params = {0};

	return (int)syscall(SYS_io_uring_setup, 1u << draw(12), &params);
}

/* A pipe of many buffers has an array of them. */
static int make_pipe(void)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC) != 0)
		return -1;
	fcntl(fd[1], F_SETPIPE_SZ, 4096 << (4 + draw(5)));
	close(fd[0]);
	return fd[1];
}

static int make_ringbuf(void)
{
	union bpf_attr attr = {0};

	attr.map_type = BPF_MAP_TYPE_RINGBUF;
	attr.max_entries = 4096u << draw(9);
	return bpf(BPF_MAP_CREATE, &attr);
}

static void one_ring(void)
{
	switch (draw(4)) {
	case 0:
		keep(make_packet_ring());
		break;
	case 1:
		keep(make_uring());
		break;
	case 2:
		keep(make_pipe());
		break;
	default:
		keep(make_ringbuf());
	}
}

static void *idle(void *microseconds)
{
	usleep((useconds_t)(uintptr_t)microseconds);
	return NULL;
}

static void some_threads(void)
{
	pthread_t thread[64];
	uint32_t count = 1 + draw(64), started = 0;

	while (started < count &&
	       pthread_create(&thread[started], NULL, idle, (void *)(uintptr_t)draw(3000)) == 0)
		started++;
	made += started;
	while (started)
		pthread_join(thread[--started], NULL);
}

static const struct {
	const char *name;
	void (*one)(void);
} loads[] = {
	{"bpf", one_bpf}, {"filters", one_filter}, {"rings", one_ring}, {"threads", some_threads}};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 4 && i < sizeof(loads) / sizeof(loads[0]); i++) {
		if (strcmp(argv[1], loads[i].name) != 0)
			continue;
		state = strtoull(argv[3], NULL, 10) * 0x9e3779b97f4a7c15ull + 1;
		for (long round = atol(argv[2]); round > 0; round--)
			loads[i].one();
		printf("load %s: %u made, %u refused\n", argv[1], made, refused);
		return made == 0;
	}
	fprintf(stderr, "usage: load bpf|filters|rings|threads ROUNDS SEED\n");
	return 2;
}
