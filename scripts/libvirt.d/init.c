/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one program of the Linux that scripts/libvirt-tests starts: it says on the console what its
 * kernel and its own page tables hold, as the guest sees them, and then computes in user mode on
 * CPU 0, so that nothing changes and that CPU's tables are its own. A line on the console sets it
 * to change both without end: to fork, map, unmap.
 *
 *     vmallocinfo LINE      a line of /proc/vmallocinfo
 *     page VA PHYSICAL R    a page that is there (/proc/self/pagemap), R: its rights by
 *                           /proc/self/maps; the list comes twice, "again" between
 *     end
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul

static char text[1 << 20], maps[1 << 16];

static void fail(const char *what)
{
	printf("failed %s\n", what);
	fflush(stdout);
	for (;;)
		pause();
}

static size_t read_all(const char *path, char *to, size_t size)
{
	int fd = open(path, O_RDONLY);
	size_t used = 0;
	ssize_t got;

	if (fd < 0)
		fail(path);
	while (used < size - 1 && (got = read(fd, to + used, size - 1 - used)) > 0)
		used += (size_t)got;
	close(fd);
	to[used] = '\0';
	return used;
}

/* The driver by which QEMU learns where the kernel's VMCOREINFO is. */
static void load_module(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		fail(path);
	close(fd);
}

/* Memory of every kind of rights, all of it touched. */
static void map_some(void)
{
	char *memory =
		mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fail("mmap");
	for (size_t i = 0; i < 64; i++)
		memory[i * PAGE] = (char)(i + 1);
	mprotect(memory + 8 * PAGE, 8 * PAGE, PROT_READ);
	mprotect(memory + 16 * PAGE, 8 * PAGE, PROT_READ | PROT_EXEC);
	munmap(memory + 24 * PAGE, 8 * PAGE);
	mprotect(memory + 40 * PAGE, PAGE, PROT_NONE);
}

/* As many MiB of 4 KiB pages as the kernel's command line says by touch=. */
static void map_many(void)
{
	const char *word = getenv("touch");
	size_t bytes = word ? (size_t)atoi(word) << 20 : 0;
	char *memory;

	if (!bytes)
		return;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		fail("mmap");
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	for (size_t at = 0; at < bytes; at += PAGE)
		memory[at] = 1;
	printf("end\n");
	fflush(stdout);
	for (;;)
		;
}

static void say_pages(uint64_t start, uint64_t end, const char *rights, int pagemap)
{
	uint64_t entry;

	for (uint64_t at = start; at < end; at += PAGE) {
		if (pread(pagemap, &entry, 8, (off_t)(at / PAGE * 8)) != 8 || !(entry >> 63))
			continue;
		printf("page 0x%" PRIx64 " 0x%" PRIx64 " %.3s\n", at,
		       (entry & ((UINT64_C(1) << 55) - 1)) * PAGE, rights);
	}
}

static void say_own_pages(void)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	char *line, *next, rights[8];
	uint64_t start, end;

	read_all("/proc/self/maps", maps, sizeof(maps));
	for (line = maps; *line; line = next) {
		next = strchr(line, '\n');
		next = next ? next + 1 : line + strlen(line);
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &start, &end, rights) == 3 &&
		    start < 1ull << 47)
			say_pages(start, end, rights, pagemap);
	}
	close(pagemap);
}

static void say_vmallocinfo(void)
{
	char *line, *next;

	read_all("/proc/vmallocinfo", text, sizeof(text));
	for (line = text; *line; line = next) {
		next = strchr(line, '\n');
		if (!next)
			break;
		*next++ = '\0';
		printf("vmallocinfo %s\n", line);
	}
}

/* Until the other CPU has read a line of the console. */
static volatile int told;

static int listen_to_console(void *unused)
{
	char byte;

	(void)unused;
	while (read(0, &byte, 1) == 1 && byte != '\n')
		;
	told = 1;
	for (;;)
		pause();
	return 0;
}

static void change_things(void)
{
	for (;;) {
		pid_t child = fork();

		if (child == 0) {
			map_some();
			_exit(0);
		}
		if (child > 0)
			waitpid(child, NULL, 0);
	}
}

int main(void)
{
	static char stack[64 << 10] __attribute__((aligned(16)));
	cpu_set_t first, others;

	CPU_ZERO(&first);
	CPU_SET(0, &first);
	CPU_ZERO(&others);
	CPU_SET(1, &others);
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	load_module("/qemu_fw_cfg.ko");
	if (sched_setaffinity(0, sizeof(others), &others) ||
	    clone(listen_to_console, stack + sizeof(stack), CLONE_VM | CLONE_FS | CLONE_FILES,
		  NULL) < 0 ||
	    sched_setaffinity(0, sizeof(first), &first))
		fail("clone");
	map_many();
	map_some();
	/* What the kernel still has to do after the start; its lazily freed areas among it. */
	sleep(2);
	say_vmallocinfo();
	say_own_pages();
	fflush(stdout);
	/* Again: what says them has touched its own pages by now. */
	printf("again\n");
	say_own_pages();
	printf("end\n");
	fflush(stdout);
	while (!told)
		;
	change_things();
	return 0;
}
