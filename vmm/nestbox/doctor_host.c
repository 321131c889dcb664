/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the doctor looks at besides KVM: processor, memory, huge pages, userfaultfd. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/nestbox/doctor.h"

void doctor_add(struct doctor *doctor, const char *name, enum doctor_verdict verdict,
		const char *remedy, const char *format, ...)
{
	struct doctor_finding *finding = &doctor->findings[doctor->nr_findings];
	va_list args;

	if (doctor->nr_findings == DOCTOR_FINDINGS_MAX)
		return;
	doctor->nr_findings++;
	finding->name = name;
	finding->verdict = verdict;
	va_start(args, format);
	vsnprintf(finding->value, sizeof(finding->value), format, args);
	va_end(args);
	snprintf(finding->remedy, sizeof(finding->remedy), "%s", remedy ? remedy : "");
}

/* Reads a small file of /proc or /sys; an empty string where it cannot be read. */
static void read_text(const char *path, char *text, size_t size)
{
	ssize_t got = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		got = read(fd, text, size - 1);
		close(fd);
	}
	text[got > 0 ? got : 0] = 0;
	text[strcspn(text, "\n")] = 0;
}

static long long read_number(const char *path)
{
	char text[64];

	read_text(path, text, sizeof(text));
	return text[0] ? atoll(text) : -1;
}

/* A line of /proc/meminfo in KiB, or -1. */
static long long meminfo(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "re");
	size_t length = strlen(name);
	long long found = -1;
	char line[128];

	if (!file)
		return -1;
	while (found < 0 && fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, length) == 0 && line[length] == ':')
			found = atoll(line + length + 1);
	}
	fclose(file);
	return found;
}

static void examine_memory(struct doctor *doctor)
{
	long long total = meminfo("MemTotal"), available = meminfo("MemAvailable");
	long long overcommit = read_number("/proc/sys/vm/overcommit_memory");

	doctor_add(doctor, "memory", DOCTOR_OK, NULL, "%lld MiB, %lld MiB of it available",
		   total / 1024, available / 1024);
	if (overcommit == 2)
		doctor_add(doctor, "overcommit", DOCTOR_LIMITED,
			   "guests larger than this host's memory need sysctl "
			   "vm.overcommit_memory=0 or 1",
			   "strict (2)");
	else
		doctor_add(doctor, "overcommit", DOCTOR_OK, NULL,
			   "%lld: a guest's memory costs what it touches", overcommit);
}

static void examine_hugetlb(struct doctor *doctor, const char *name, const char *folder,
			    const char *remedy)
{
	char path[128];
	long long count, free_count;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/%s/nr_hugepages", folder);
	count = read_number(path);
	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/%s/free_hugepages", folder);
	free_count = read_number(path);
	if (count < 0)
		doctor_add(doctor, name, DOCTOR_LIMITED, "the kernel does not offer this size",
			   "none");
	else
		doctor_add(doctor, name, count ? DOCTOR_OK : DOCTOR_LIMITED, count ? NULL : remedy,
			   "%lld reserved, %lld free", count, free_count);
}

/* The word in brackets is the one in force: "always [advise] never". */
static bool is_chosen(const char *text, const char *word)
{
	size_t length = strlen(word);
	const char *at = strchr(text, '[');

	return at && strncmp(at + 1, word, length) == 0 && at[1 + length] == ']';
}

/* Guest memory is a memfd, so that the setting for shared memory is the one that counts. */
static void examine_thp(struct doctor *doctor)
{
	char text[128];
	bool off;

	read_text("/sys/kernel/mm/transparent_hugepage/shmem_enabled", text, sizeof(text));
	off = !text[0] || is_chosen(text, "never") || is_chosen(text, "deny");
	doctor_add(doctor, "transparent-huge-pages", off ? DOCTOR_LIMITED : DOCTOR_OK,
		   off ? "guest memory stands on 4 KiB pages: echo advise "
			 "> /sys/kernel/mm/transparent_hugepage/shmem_enabled"
		       : NULL,
		   "shared memory: %s", text[0] ? text : "not in this kernel");
}

/*
 * Faults KVM takes on the guest's behalf are the kernel's: a descriptor for user-mode faults only
 * is of no use, so none of that kind is asked for.
 */
static void examine_userfaultfd(struct doctor *doctor)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	int err = errno;

	if (fd < 0 && access("/dev/userfaultfd", R_OK | W_OK) == 0) {
		doctor_add(doctor, "userfaultfd", DOCTOR_OK, NULL, "through /dev/userfaultfd");
		return;
	}
	if (fd < 0) {
		doctor_add(doctor, "userfaultfd", DOCTOR_LIMITED,
			   err == ENOSYS
				   ? "this kernel is built without it"
				   : "no traps on guest memory: give yourself /dev/userfaultfd, "
				     "or sysctl vm.unprivileged_userfaultfd=1",
			   "%s", strerror(err));
		return;
	}
	close(fd);
	doctor_add(doctor, "userfaultfd", DOCTOR_OK, NULL, "permitted");
}

/* The first "flags" line of /proc/cpuinfo, padded so that a word can be looked up in it. */
static void read_flags(char *flags, size_t size)
{
	FILE *file = fopen("/proc/cpuinfo", "re");

	flags[0] = 0;
	while (file && fgets(flags, (int)size, file)) {
		if (strncmp(flags, "flags", 5) == 0)
			break;
		flags[0] = 0;
	}
	if (file)
		fclose(file);
	flags[strcspn(flags, "\n")] = ' ';
}

static void examine_cpu(struct doctor *doctor)
{
	static const struct {
		const char *flag, *word, *lost;
	} wanted[] = {
		{"cpu-1g-pages", " pdpe1gb ", "no 1 GiB leaves in either stage; no remedy"},
		{"cpu-la57", " la57 ", "no 5-level paging; no remedy"},
		{"cpu-constant-tsc", " constant_tsc ",
		 "ticks are not comparable between runs; no remedy"},
	};
	char flags[4096];

	read_flags(flags, sizeof(flags));
	doctor_add(doctor, "cpus", DOCTOR_OK, NULL, "%ld online", sysconf(_SC_NPROCESSORS_ONLN));
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		bool found = strstr(flags, wanted[i].word) != NULL;

		doctor_add(doctor, wanted[i].flag, found ? DOCTOR_OK : DOCTOR_LIMITED,
			   found ? NULL : wanted[i].lost, "%s", found ? "yes" : "no");
	}
}

void doctor_examine_host(struct doctor *doctor)
{
	examine_cpu(doctor);
	examine_memory(doctor);
	examine_hugetlb(doctor, "hugetlb-2m", "hugepages-2048kB",
			"for guests on 2 MiB pages: sysctl vm.nr_hugepages=N");
	examine_hugetlb(doctor, "hugetlb-1g", "hugepages-1048576kB",
			"for guests on 1 GiB pages: boot with hugepagesz=1G hugepages=N");
	examine_thp(doctor);
	examine_userfaultfd(doctor);
}
