/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A KVM, opened and described. The module is read from sysfs because KVM itself does not say
 * which one answers, nor whether it has a second stage in hardware.
 */
#include "vmm/machine/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "ept/kvm_fd.h"
#include "vmm/soft/soft.h"

/* What works wherever this program runs. */
#define WITHOUT_KVM "; --kvm soft runs guests without KVM"

/* Numbers that Debian 12's header, Linux 6.1's, does not have yet. */
#ifndef KVM_CAP_MEMORY_FAULT_INFO
#define KVM_CAP_MEMORY_FAULT_INFO 232
#endif
#ifndef KVM_CAP_MEMORY_ATTRIBUTES
#define KVM_CAP_MEMORY_ATTRIBUTES 233
#endif
#ifndef KVM_CAP_GUEST_MEMFD
#define KVM_CAP_GUEST_MEMFD 234
#endif
#ifndef KVM_CAP_PRE_FAULT_MEMORY
#define KVM_CAP_PRE_FAULT_MEMORY 236
#endif

#define OLD_KERNEL "needs a newer kernel"
#define DO_UPGRADE "upgrade the kernel: every KVM since Linux 4.12 has it"

static const struct kvm_capability capabilities[] = {
	{"USER_MEMORY", KVM_CAP_USER_MEMORY, true, "guest memory", DO_UPGRADE},
	{"DESTROY_MEMORY_REGION_WORKS", KVM_CAP_DESTROY_MEMORY_REGION_WORKS, true,
	 "guest memory that comes and goes", DO_UPGRADE},
	{"SPLIT_IRQCHIP", KVM_CAP_SPLIT_IRQCHIP, true, "local APICs in KVM, nothing else",
	 DO_UPGRADE},
	{"SIGNAL_MSI", KVM_CAP_SIGNAL_MSI, true, "the doorbell of the hypercall rings", DO_UPGRADE},
	{"IMMEDIATE_EXIT", KVM_CAP_IMMEDIATE_EXIT, true, "stopping a guest that does not answer",
	 DO_UPGRADE},
	{"EXT_CPUID", KVM_CAP_EXT_CPUID, true, "choosing what the guest sees of the processor",
	 DO_UPGRADE},
	{"MP_STATE", KVM_CAP_MP_STATE, true, "starting more than one vCPU", DO_UPGRADE},
	{"NR_MEMSLOTS", KVM_CAP_NR_MEMSLOTS, false, "memory slots", OLD_KERNEL},
	{"MAX_VCPUS", KVM_CAP_MAX_VCPUS, false, "vCPUs", OLD_KERNEL},
	{"READONLY_MEM", KVM_CAP_READONLY_MEM, false, "ROM regions, write traps by slot",
	 OLD_KERNEL},
	{"SYNC_MMU", KVM_CAP_SYNC_MMU, false, "host memory changed under a running guest",
	 OLD_KERNEL},
	{"IRQFD", KVM_CAP_IRQFD, false, "doorbells from another process", OLD_KERNEL},
	{"BINARY_STATS_FD", KVM_CAP_BINARY_STATS_FD, false, "KVM's own counters", OLD_KERNEL},
	{"MANUAL_DIRTY_LOG_PROTECT2", KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, false,
	 "dirty tracking cleared piece by piece", OLD_KERNEL},
	{"DIRTY_LOG_RING", KVM_CAP_DIRTY_LOG_RING, false, "dirty tracking by ring, its bytes",
	 OLD_KERNEL},
	{"MEMORY_FAULT_INFO", KVM_CAP_MEMORY_FAULT_INFO, false,
	 "the address of an access to memory that is not there", "needs Linux 6.8"},
	{"GUEST_MEMFD", KVM_CAP_GUEST_MEMFD, false, "memory the host cannot map",
	 "needs Linux 6.8"},
	{"MEMORY_ATTRIBUTES", KVM_CAP_MEMORY_ATTRIBUTES, false, "private and shared memory",
	 "needs Linux 6.8 and a kind of VM that has it"},
	{"PRE_FAULT_MEMORY", KVM_CAP_PRE_FAULT_MEMORY, false,
	 "second-stage tables filled before the guest runs",
	 "needs Linux 6.11 and a second stage in hardware"},
};

#define NR_CAPABILITIES (sizeof(capabilities) / sizeof(capabilities[0]))
_Static_assert(NR_CAPABILITIES <= KVM_CAPABILITIES_MAX, "struct kvm_host has room for them");

const struct kvm_capability *kvm_capabilities(void)
{
	return capabilities;
}

size_t kvm_capabilities_count(void)
{
	return NR_CAPABILITIES;
}

static const char *open_remedy(int code)
{
	switch (code) {
	case ENOENT:
		return "load KVM (modprobe kvm_intel or kvm_amd), with virtualization switched on "
		       "in the firmware, or nesting in a virtual machine; in a container, pass "
		       "the device in";
	case ENXIO:
	case ENODEV:
		return "the device file is there, but no KVM module answers: load one (modprobe "
		       "kvm_intel or kvm_amd)";
	case EACCES:
	case EPERM:
		return "add yourself to its group (usermod -aG kvm USER) and log in again";
	case EBUSY:
		return "another hypervisor holds the processor: stop it";
	default:
		return "see nestbox doctor";
	}
}

static int check_required(int kvm_fd, struct error *error)
{
	int version = kvm_ioctl(kvm_fd, KVM_GET_API_VERSION, 0);

	if (version != KVM_API_VERSION)
		return error_set(
			error, -ENOTSUP,
			"/dev/kvm answers with API version %d, not %d: is it KVM?" WITHOUT_KVM,
			version, KVM_API_VERSION);
	for (size_t i = 0; i < NR_CAPABILITIES; i++) {
		const struct kvm_capability *cap = &capabilities[i];

		if (cap->required && kvm_ioctl(kvm_fd, KVM_CHECK_EXTENSION, cap->number) <= 0)
			return error_set(error, -ENOTSUP,
					 "this KVM lacks KVM_CAP_%s (%s): %s" WITHOUT_KVM,
					 cap->name, cap->gives, cap->remedy);
	}
	return 0;
}

static int open_soft(const struct soft_options *options, int *fd_out, struct error *error)
{
	int err = soft_open(options, fd_out);

	return err ? error_set(error, err, "the soft engine: %s", strerror(-err)) : 0;
}

int kvm_engine_parse(const char *text, enum kvm_engine *engine_out)
{
	static const char *const names[] = {
		[KVM_AUTO] = "auto", [KVM_HOST] = "host", [KVM_SOFT] = "soft"};

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) != 0)
			continue;
		*engine_out = (enum kvm_engine)i;
		return 0;
	}
	return -EINVAL;
}

static int open_device(int *fd_out, struct error *error)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int err;

	if (fd < 0) {
		err = errno;
		return error_set(error, -err, "cannot open /dev/kvm: %s: %s" WITHOUT_KVM,
				 strerror(err), open_remedy(err));
	}
	err = check_required(fd, error);
	if (err) {
		kvm_close(fd);
		return err;
	}
	*fd_out = fd;
	return 0;
}

int kvm_open_told(enum kvm_engine engine, const struct soft_options *soft, int *fd_out,
		  struct error *error)
{
	if (engine == KVM_SOFT || (engine == KVM_AUTO && open_device(fd_out, error) != 0))
		return open_soft(soft, fd_out, error);
	return engine == KVM_HOST ? open_device(fd_out, error) : 0;
}

int kvm_open(enum kvm_engine engine, int *fd_out, struct error *error)
{
	return kvm_open_told(engine, NULL, fd_out, error);
}

int kvm_supported_cpuid(int kvm_fd, struct kvm_cpuid2 **cpuid_out, struct error *error)
{
	for (unsigned int room = 128; room <= 4096; room *= 2) {
		struct kvm_cpuid2 *cpuid =
			calloc(1, sizeof(*cpuid) + room * sizeof(struct kvm_cpuid_entry2));
		int err;

		if (!cpuid) {
			error_set(error, -ENOMEM, "no memory for the CPUID table");
			return -ENOMEM;
		}
		cpuid->nent = room;
		if (kvm_ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) == 0) {
			*cpuid_out = cpuid;
			return 0;
		}
		err = errno;
		free(cpuid);
		if (err == E2BIG)
			continue;
		error_set(error, -err, "KVM_GET_SUPPORTED_CPUID: %s", strerror(err));
		return -EIO;
	}
	error_set(error, -E2BIG, "KVM_GET_SUPPORTED_CPUID has more than 4096 entries");
	return -E2BIG;
}

/* ---- the module ---- */

static bool sysfs_exists(const char *sysfs, const char *module, const char *name)
{
	char path[512];
	struct stat status;

	snprintf(path, sizeof(path), "%s/module/%s%s%s", sysfs, module, name ? "/" : "",
		 name ? name : "");
	return stat(path, &status) == 0;
}

/* Whether the module's boolean parameter is on; off where it cannot be read. */
static bool sysfs_parameter(const char *sysfs, const char *module, const char *name)
{
	char path[512];
	char value = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/module/%s/parameters/%s", sysfs, module, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read(fd, &value, 1) != 1)
		value = 0;
	close(fd);
	return value == 'Y' || value == 'y' || value == '1';
}

static bool has_word(const char *words, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = strstr(words, word); at; at = strstr(at + 1, word)) {
		bool starts = at == words || at[-1] == ' ' || at[-1] == '\t';
		bool ends = at[length] == 0 || at[length] == ' ' || at[length] == '\n';

		if (starts && ends)
			return true;
	}
	return false;
}

/* A module that was loaded has an initstate and works; one built in works with its CPU flag. */
static bool vendor_in_use(const char *sysfs, const char *module, const char *flag,
			  const char *cpu_flags)
{
	return sysfs_exists(sysfs, module, NULL) &&
	       (sysfs_exists(sysfs, module, "initstate") || has_word(cpu_flags, flag));
}

void kvm_module_probe(const char *sysfs, const char *cpu_flags, struct kvm_host *host_out)
{
	const char *module = "other";
	const char *stage = "shadow";

	if (vendor_in_use(sysfs, "kvm_intel", "vmx", cpu_flags)) {
		module = "kvm_intel";
		if (sysfs_parameter(sysfs, module, "ept"))
			stage = "ept";
	} else if (vendor_in_use(sysfs, "kvm_amd", "svm", cpu_flags)) {
		module = "kvm_amd";
		if (sysfs_parameter(sysfs, module, "npt"))
			stage = "npt";
	} else if (sysfs_exists(sysfs, "kvm_pvm", NULL)) {
		module = "kvm_pvm";
	}
	snprintf(host_out->module, sizeof(host_out->module), "%s", module);
	host_out->emulates_cpl0 = strcmp(module, "kvm_pvm") == 0;
	snprintf(host_out->second_stage, sizeof(host_out->second_stage), "%s", stage);
}

/* The first "flags" line of /proc/cpuinfo; an empty string where there is none. */
static void read_cpu_flags(char *flags, size_t size)
{
	FILE *file = fopen("/proc/cpuinfo", "re");

	flags[0] = 0;
	if (!file)
		return;
	while (fgets(flags, (int)size, file)) {
		if (strncmp(flags, "flags", 5) == 0)
			break;
		flags[0] = 0;
	}
	fclose(file);
}

static void probe_cpuid(const struct kvm_cpuid2 *cpuid, struct kvm_host *host)
{
	host->physical_bits = 36; /* what a processor without the leaf has */
	for (unsigned int i = 0; i < cpuid->nent; i++) {
		const struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		if (entry->function == 0x80000008)
			host->physical_bits = entry->eax & 0xff;
		if (entry->function == 0x80000001)
			host->pages_1g = entry->edx & (1u << 26);
		if (entry->function == 7 && entry->index == 0)
			host->la57 = entry->ecx & (1u << 16);
	}
	if (host->physical_bits < 36)
		host->physical_bits = 36;
	if (host->physical_bits > 52)
		host->physical_bits = 52;
}

int kvm_host_probe(int kvm_fd, const char *sysfs, struct kvm_host *host_out, struct error *error)
{
	struct kvm_host host = {.nr_capabilities = NR_CAPABILITIES};
	struct kvm_cpuid2 *cpuid;
	struct utsname names;
	char flags[4096];
	int err = kvm_supported_cpuid(kvm_fd, &cpuid, error);

	if (err)
		return err;
	probe_cpuid(cpuid, &host);
	free(cpuid);
	if (soft_is_device(kvm_fd)) {
		snprintf(host.module, sizeof(host.module), "soft");
		snprintf(host.second_stage, sizeof(host.second_stage), "ept");
		host.ticks_are_instructions = true;
	} else {
		read_cpu_flags(flags, sizeof(flags));
		kvm_module_probe(sysfs, flags, &host);
	}
	if (uname(&names) == 0)
		snprintf(host.kernel, sizeof(host.kernel), "%s", names.release);
	for (size_t i = 0; i < NR_CAPABILITIES; i++)
		host.capability[i] = kvm_ioctl(kvm_fd, KVM_CHECK_EXTENSION, capabilities[i].number);
	*host_out = host;
	return 0;
}
