/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A QEMU as a source: its monitor says which addresses are RAM and where its own process has each
 * (gpa2hva), and the process's memory is then read by the kernel's leave: the file that backs it
 * mapped, or /proc/PID/mem. Which process it is, is only believed: a few samples of what is read
 * are held against what the monitor shows.
 */
#include "vmm/source/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* What one virDomainMemoryPeek() may take, of older protocols too (remote_protocol.x). */
#define PEEK_BYTES   (1u << 20)
#define SAMPLES      4
#define SAMPLE_TRIES 8 /* of a guest that runs and writes there meanwhile */

/* ---- words ---- */

void monitor_close(struct monitor *monitor)
{
	monitor->close(monitor);
}

int monitor_ask(struct monitor *monitor, const char *command, json_t *arguments,
		json_t **return_out, struct error *error)
{
	json_t *asked = json_pack("{s:s}", "execute", command);
	int err = -ENOMEM;

	if (asked && arguments && json_object_set(asked, "arguments", arguments))
		error_set(error, err, "no memory for a command");
	else if (asked)
		err = monitor->ask(monitor, asked, return_out, error);
	json_decref(arguments);
	json_decref(asked);
	return err;
}

int monitor_human(struct monitor *monitor, const char *line, char **text_out, struct error *error)
{
	json_t *value = NULL;
	int err = monitor_ask(monitor, "human-monitor-command",
			      json_pack("{s:s}", "command-line", line), &value, error);

	if (err)
		return err;
	if (!json_is_string(value))
		err = error_set(error, -EPROTO, "%s: '%s' was answered without a text",
				monitor->name, line);
	else if (!(*text_out = strdup(json_string_value(value))))
		err = error_set(error, -ENOMEM, "no memory for an answer");
	json_decref(value);
	return err;
}

static int command_only(struct monitor *monitor, const char *command, struct error *error)
{
	json_t *value = NULL;
	int err = monitor_ask(monitor, command, NULL, &value, error);

	json_decref(value);
	return err;
}

int monitor_present(struct monitor *monitor, struct error *error)
{
	return command_only(monitor, "query-status", error);
}

int monitor_stop(struct monitor *monitor, struct error *error)
{
	json_t *status = NULL;
	int running = 0, err = monitor_ask(monitor, "query-status", NULL, &status, error);

	if (err)
		return err;
	json_unpack(status, "{s:b}", "running", &running);
	json_decref(status);
	if (!running)
		return error_set(error, -EALREADY, "the guest is stopped already: it is left so");
	return command_only(monitor, "stop", error);
}

int monitor_continue(struct monitor *monitor, struct error *error)
{
	return command_only(monitor, "cont", error);
}

/* ---- where RAM is ---- */

struct making {
	struct source *source;
	struct monitor *monitor;
	struct error *error;
};

static int add_range(void *context, uint64_t start, uint64_t end)
{
	struct making *making = context;

	return source_add_piece(
		making->source,
		&(struct source_piece){.start = start, .end = end, .offset = start});
}

static int read_ranges(struct making *making)
{
	char *text;
	int err = monitor_human(making->monitor, "info mtree -f", &text, making->error);

	if (err)
		return err;
	err = monitor_ranges(text, add_range, making);
	free(text);
	if (err == -EPROTO)
		error_set(making->error, err, "%s: 'info mtree -f' shows no RAM",
			  making->monitor->name);
	source_finish(making->source);
	return err;
}

/* ---- samples ---- */

/* Eight bytes of physical memory as the monitor shows them. */
static int sample(struct monitor *monitor, uint64_t gpa, uint64_t *value_out)
{
	char line[48], *text, *at;
	int err;

	snprintf(line, sizeof(line), "xp /1gx 0x%" PRIx64, gpa);
	err = monitor_human(monitor, line, &text, NULL);
	if (err)
		return err;
	at = strchr(text, ':');
	err = at && sscanf(at + 1, " 0x%" SCNx64, value_out) == 1 ? 0 : -EPROTO;
	free(text);
	return err;
}

/* Whether what the source reads is what the monitor shows. */
static bool samples_agree(struct making *making)
{
	struct source *source = making->source;
	struct inspect_source inspect;

	if (source_inspect(source, &inspect, NULL))
		return false;
	for (size_t i = 0; i < SAMPLES; i++) {
		const struct source_piece *piece = &source->piece[i * source->nr_pieces / SAMPLES];
		uint64_t pages = (piece->end - piece->start) / SOURCE_PAGE, shown = 0, read = 1;
		uint64_t gpa = piece->start + pages * (i + 1) / (SAMPLES + 1) * SOURCE_PAGE;

		for (int try = 0; try < SAMPLE_TRIES && shown != read; try++) {
			const void *host;

			source_forget(source);
			host = inspect.physical(source, gpa, sizeof(read));
			if (!host || sample(making->monitor, gpa, &shown))
				return false;
			memcpy(&read, host, sizeof(read));
		}
		if (shown != read)
			return false;
	}
	source_forget(source);
	return true;
}

/* ---- the process ---- */

/* The address of @gpa in QEMU's process. */
static int host_address(struct monitor *monitor, uint64_t gpa, uint64_t *address_out)
{
	char line[48], *text, *at;
	int err;

	snprintf(line, sizeof(line), "gpa2hva 0x%" PRIx64, gpa);
	err = monitor_human(monitor, line, &text, NULL);
	if (err)
		return err;
	at = strstr(text, ") is 0x");
	err = at && sscanf(at + 5, "0x%" SCNx64, address_out) == 1 ? 0 : -EPROTO;
	free(text);
	return err;
}

struct host_map {
	uint64_t start, end, offset;
	char shared;
};

/* The mapping of the process that holds [address, address + bytes) whole. */
static bool find_map(pid_t pid, uint64_t address, uint64_t bytes, struct host_map *map_out)
{
	char path[64], line[512];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file)) {
		struct host_map map;

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*3c%c %" SCNx64, &map.start, &map.end,
			   &map.shared, &map.offset) == 4 &&
		    map.start <= address && address < map.end && bytes <= map.end - address) {
			*map_out = map;
			found = true;
		}
	}
	if (file)
		fclose(file);
	return found;
}

/* Maps a piece's backing file into this process. */
static bool map_piece(struct source *source, pid_t pid, uint64_t address,
		      struct source_piece *piece)
{
	uint64_t bytes = piece->end - piece->start, offset;
	struct host_map map;
	struct stat stat;
	char path[96];
	void *host;
	int fd;

	if (!find_map(pid, address, bytes, &map) || map.shared != 's')
		return false;
	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)pid, map.start,
		 map.end);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	offset = map.offset + (address - map.start);
	host = MAP_FAILED;
	/* A file that is shorter than what is mapped of it would end us with SIGBUS. */
	if (!fstat(fd, &stat) && S_ISREG(stat.st_mode) && offset % SOURCE_PAGE == 0 &&
	    (uint64_t)stat.st_size >= offset && (uint64_t)stat.st_size - offset >= bytes)
		host = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, (off_t)offset);
	close(fd);
	if (host == MAP_FAILED)
		return false;
	if (source_add_mapping(source, host, bytes)) {
		munmap(host, bytes);
		return false;
	}
	piece->host = host;
	return true;
}

static bool read_process(struct source *source, uint64_t address, void *buffer, size_t bytes)
{
	return pread(source->fd, buffer, bytes, (off_t)address) == (ssize_t)bytes;
}

/* Each piece by its place in the process; @mapped_out: all of them are mapped here. */
static bool use_process(struct making *making, bool *mapped_out)
{
	struct source *source = making->source;
	pid_t pid = making->monitor->pid;
	char path[64];

	*mapped_out = true;
	if (pid <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	source->fd = open(path, O_RDONLY | O_CLOEXEC);
	source->read = read_process;
	for (size_t i = 0; i < source->nr_pieces; i++) {
		struct source_piece *piece = &source->piece[i];
		uint64_t address;

		if (host_address(making->monitor, piece->start, &address))
			return false;
		piece->offset = address;
		if (!map_piece(source, pid, address, piece)) {
			*mapped_out = false;
			if (source->fd < 0)
				return false;
		}
	}
	return samples_agree(making);
}

/* ---- without the process ---- */

static bool read_monitor(struct source *source, uint64_t offset, void *buffer, size_t bytes)
{
	return source->monitor->peek(source->monitor, offset, buffer, bytes);
}

/* QEMU writes each piece into a file of a folder of ours; what it wrote is mapped. */
static int copy_piece(struct source *source, const char *folder, struct source_piece *piece,
		      struct error *error)
{
	uint64_t bytes = piece->end - piece->start;
	json_t *value = NULL;
	struct stat stat;
	char path[128];
	void *host;
	int fd, err;

	snprintf(path, sizeof(path), "%s/%" PRIx64, folder, piece->start);
	err = monitor_ask(source->monitor, "pmemsave",
			  json_pack("{s:I,s:I,s:s}", "val", (json_int_t)piece->start, "size",
				    (json_int_t)bytes, "filename", path),
			  &value, error);
	json_decref(value);
	if (err)
		return err;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	unlink(path);
	if (fd < 0 || fstat(fd, &stat) || (uint64_t)stat.st_size != bytes) {
		if (fd >= 0)
			close(fd);
		return error_set(error, -EIO, "what QEMU should have written to %s is not there",
				 path);
	}
	host = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (host == MAP_FAILED)
		return error_set(error, -errno, "cannot map guest memory: %s", strerror(errno));
	err = source_add_mapping(source, host, bytes);
	if (err)
		munmap(host, bytes);
	else
		piece->host = host;
	return err;
}

static int take_copy(struct source *source, struct error *error)
{
	const char *tmp = getenv("TMPDIR");
	char folder[96];
	int err = 0;

	for (size_t i = 0; i < source->nr_mappings; i++)
		munmap(source->mapping[i].address, source->mapping[i].bytes);
	source->nr_mappings = 0;
	for (size_t i = 0; i < source->nr_pieces; i++)
		source->piece[i].host = NULL;
	if (snprintf(folder, sizeof(folder), "%s/nestbox.XXXXXX", tmp && *tmp ? tmp : "/var/tmp") >=
		    (int)sizeof(folder) ||
	    !mkdtemp(folder))
		return error_set(error, -errno, "no folder for a copy of guest memory: %s",
				 strerror(errno));
	for (size_t i = 0; i < source->nr_pieces && !err; i++)
		err = copy_piece(source, folder, &source->piece[i], error);
	rmdir(folder);
	return err;
}

/* ---- registers ---- */

static int ask_registers(struct source *source, unsigned int cpu,
			 struct inspect_registers *registers_out)
{
	char line[64], *text;
	int err;

	if (cpu >= source->nr_cpus)
		return -ENOENT;
	snprintf(line, sizeof(line), "info registers");
	if (source->nr_cpus > 1) {
		/* 7.0 knows `cpu N` alone; the current CPU is the monitor's own. */
		snprintf(line, sizeof(line), "cpu %u", cpu);
		err = monitor_human(source->monitor, line, &text, NULL);
		if (err)
			return err;
		free(text);
		/* Each QMP command has a monitor of its own: so all CPUs are shown. */
		snprintf(line, sizeof(line), "info registers -a");
	}
	err = monitor_human(source->monitor, line, &text, NULL);
	if (err)
		return err;
	snprintf(line, sizeof(line), "CPU#%u\n", cpu);
	{
		char *from = source->nr_cpus > 1 ? strstr(text, line) : text, *end;

		if (!from) {
			snprintf(line, sizeof(line), "CPU#%u\r", cpu);
			from = strstr(text, line);
		}
		end = from ? strstr(from + 5, "CPU#") : NULL;
		if (end)
			*end = '\0';
		err = from ? monitor_registers(from, registers_out) : -EPROTO;
	}
	free(text);
	return err;
}

static int count_cpus(struct making *making)
{
	json_t *cpus = NULL;
	int err = monitor_ask(making->monitor, "query-cpus-fast", NULL, &cpus, making->error);

	if (err)
		return err;
	making->source->nr_cpus = (unsigned int)json_array_size(cpus);
	json_decref(cpus);
	making->source->registers = ask_registers;
	return 0;
}

/* ---- all of it ---- */

static int find_memory(struct making *making)
{
	struct source *source = making->source;
	const char *how;
	bool mapped;

	if (use_process(making, &mapped)) {
		how = mapped ? "mapped from the file that backs it" : "read from QEMU's process";
	} else if (making->monitor->peek) {
		for (size_t i = 0; i < source->nr_pieces; i++) {
			source->piece[i].host = NULL;
			source->piece[i].offset = source->piece[i].start;
		}
		source->read = read_monitor;
		source->ahead_bytes = PEEK_BYTES;
		how = "asked for page by page";
	} else {
		int err = take_copy(source, making->error);

		if (err)
			return err;
		source->refresh = take_copy;
		how = "copied by QEMU at each look";
	}
	snprintf(source->about, sizeof(source->about), "%s, %u CPUs, memory %s",
		 making->monitor->name, source->nr_cpus, how);
	return 0;
}

int monitor_source(struct monitor *monitor, struct source **source_out, struct error *error)
{
	struct making making = {.source = source_new(), .monitor = monitor, .error = error};
	int err;

	if (!making.source) {
		monitor_close(monitor);
		return error_set(error, -ENOMEM, "no memory for a source");
	}
	making.source->monitor = monitor;
	making.source->live = true;
	err = read_ranges(&making);
	if (!err)
		err = count_cpus(&making);
	if (!err)
		err = find_memory(&making);
	if (err) {
		source_close(making.source);
		return err;
	}
	*source_out = making.source;
	return 0;
}
