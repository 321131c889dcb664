/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads KVM's statistics descriptor:
 *
 *      header | id string | descriptors, each with its name | values, 8 bytes each
 *
 * at the offsets the header gives. The file is the kernel's, but its layout is open to extension,
 * so every offset and size is checked before it is used.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "ept/kvm.h"
#include "ept/stats.h"

/* Far above what any KVM has; they bound what a senseless schema can make us allocate. */
#define NAME_BYTES_MAX   1024u
#define ENTRIES_MAX      65536u
#define VALUES_MAX_BYTES (1u << 24)

struct stats {
	int file;
	struct kvm_stats_header header;
	char *id;
	char *names; /* count * (name_size + 1) bytes */
	struct stats_entry *entries;
	uint64_t *values;
	size_t values_bytes;
};

static int read_at(int file, void *buffer, size_t bytes, uint64_t offset, struct error *error)
{
	ssize_t got;

	while (bytes > 0) {
		got = pread(file, buffer, bytes, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set(error, -errno, "cannot read KVM's statistics: %s",
					 strerror(errno));
		if (got == 0)
			return error_set(error, -EPROTO, "KVM's statistics end before byte %llu",
					 (unsigned long long)offset + bytes);
		buffer = (char *)buffer + got;
		bytes -= (size_t)got;
		offset += (uint64_t)got;
	}
	return 0;
}

static int read_header(struct stats *stats, struct error *error)
{
	const struct kvm_stats_header *header = &stats->header;
	int err = read_at(stats->file, &stats->header, sizeof(stats->header), 0, error);

	if (err)
		return err;
	if (header->name_size == 0 || header->name_size > NAME_BYTES_MAX ||
	    header->num_desc > ENTRIES_MAX)
		return error_set(error, -EPROTO,
				 "KVM's statistics: %u entries with names of %u bytes",
				 header->num_desc, header->name_size);
	return 0;
}

static enum stats_kind decode_kind(uint32_t flags)
{
	switch (flags & KVM_STATS_TYPE_MASK) {
	case KVM_STATS_TYPE_CUMULATIVE:
		return STATS_CUMULATIVE;
	case KVM_STATS_TYPE_INSTANT:
		return STATS_INSTANT;
	case KVM_STATS_TYPE_PEAK:
		return STATS_PEAK;
	case KVM_STATS_TYPE_LINEAR_HIST:
		return STATS_LINEAR_HIST;
	case KVM_STATS_TYPE_LOG_HIST:
		return STATS_LOG_HIST;
	}
	return STATS_OTHER;
}

static enum stats_unit decode_unit(uint32_t flags)
{
	switch (flags & KVM_STATS_UNIT_MASK) {
	case KVM_STATS_UNIT_NONE:
		return STATS_NONE;
	case KVM_STATS_UNIT_BYTES:
		return STATS_BYTES;
	case KVM_STATS_UNIT_SECONDS:
		return STATS_SECONDS;
	case KVM_STATS_UNIT_CYCLES:
		return STATS_CYCLES;
	case KVM_STATS_UNIT_BOOLEAN:
		return STATS_BOOLEAN;
	}
	return STATS_UNIT_OTHER;
}

/* Takes one descriptor over; its values are placed when all are known. */
static int read_entry(struct stats *stats, size_t index, struct error *error)
{
	const struct kvm_stats_header *header = &stats->header;
	uint64_t place =
		header->desc_offset + index * (sizeof(struct kvm_stats_desc) + header->name_size);
	char *name = stats->names + index * ((size_t)header->name_size + 1);
	struct stats_entry *entry = &stats->entries[index];
	struct kvm_stats_desc desc;
	uint64_t end;
	int err = read_at(stats->file, &desc, sizeof(desc), place, error);

	if (!err)
		err = read_at(stats->file, name, header->name_size, place + sizeof(desc), error);
	if (err)
		return err;
	end = (uint64_t)desc.offset + desc.size * sizeof(uint64_t);
	if (desc.size == 0 || desc.offset % sizeof(uint64_t) != 0 || end > VALUES_MAX_BYTES)
		return error_set(error, -EPROTO, "KVM's statistics: entry %zu has %u values at %u",
				 index, desc.size, desc.offset);
	*entry = (struct stats_entry){
		.name = name,
		.kind = decode_kind(desc.flags),
		.unit = decode_unit(desc.flags),
		.base = (desc.flags & KVM_STATS_BASE_MASK) == KVM_STATS_BASE_POW2 ? 2 : 10,
		.exponent = desc.exponent,
		.count = desc.size,
		.bucket_width = desc.bucket_size,
		.values = (const uint64_t *)(uintptr_t)desc.offset,
	};
	if (end > stats->values_bytes)
		stats->values_bytes = (size_t)end;
	return 0;
}

static int read_schema(struct stats *stats, struct error *error)
{
	const struct kvm_stats_header *header = &stats->header;
	size_t i;
	int err;

	stats->id = calloc(1, (size_t)header->name_size + 1);
	stats->names = calloc(header->num_desc + 1, (size_t)header->name_size + 1);
	stats->entries = calloc(header->num_desc + 1, sizeof(*stats->entries));
	if (!stats->id || !stats->names || !stats->entries)
		return error_set(error, -ENOMEM, "no memory for KVM's statistics");
	err = read_at(stats->file, stats->id, header->name_size, header->id_offset, error);
	for (i = 0; i < header->num_desc && !err; i++)
		err = read_entry(stats, i, error);
	if (err)
		return err;
	stats->values = calloc(1, stats->values_bytes + 1);
	if (!stats->values)
		return error_set(error, -ENOMEM, "no memory for KVM's statistics");
	for (i = 0; i < header->num_desc; i++)
		stats->entries[i].values =
			stats->values + (uintptr_t)stats->entries[i].values / sizeof(uint64_t);
	return 0;
}

int stats_open_file(int file, struct stats **stats_out, struct error *error)
{
	struct stats *stats = calloc(1, sizeof(*stats));
	int err;

	if (!stats) {
		close(file);
		return error_set(error, -ENOMEM, "no memory for KVM's statistics");
	}
	stats->file = file;
	err = read_header(stats, error);
	if (!err)
		err = read_schema(stats, error);
	if (!err)
		err = stats_read(stats, error);
	if (err) {
		stats_close(stats);
		return err;
	}
	*stats_out = stats;
	return 0;
}

int stats_open(int fd, struct stats **stats_out, struct error *error)
{
	int file = ept_kvm_stats_fd(fd);

	if (file == -ENOTTY || file == -EINVAL)
		return error_set(error, -EOPNOTSUPP,
				 "this KVM has no binary statistics: Linux 5.14 or newer has");
	if (file < 0)
		return error_set(error, file, "KVM gives no statistics: %s", strerror(-file));
	return stats_open_file(file, stats_out, error);
}

void stats_close(struct stats *stats)
{
	if (!stats)
		return;
	close(stats->file);
	free(stats->id);
	free(stats->names);
	free(stats->entries);
	free(stats->values);
	free(stats);
}

int stats_read(struct stats *stats, struct error *error)
{
	return read_at(stats->file, stats->values, stats->values_bytes, stats->header.data_offset,
		       error);
}

const char *stats_id(const struct stats *stats)
{
	return stats->id;
}

size_t stats_count(const struct stats *stats)
{
	return stats->header.num_desc;
}

const struct stats_entry *stats_at(const struct stats *stats, size_t index)
{
	return &stats->entries[index];
}

const struct stats_entry *stats_find(const struct stats *stats, const char *name)
{
	size_t i;

	for (i = 0; i < stats->header.num_desc; i++)
		if (strcmp(stats->entries[i].name, name) == 0)
			return &stats->entries[i];
	return NULL;
}

const char *stats_kind_name(enum stats_kind kind)
{
	static const char *const names[] = {
		"cumulative", "instant", "peak", "linear histogram", "logarithmic histogram",
		"other"};

	return names[kind];
}

const char *stats_unit_name(enum stats_unit unit)
{
	static const char *const names[] = {"none",   "bytes",   "seconds",
					    "cycles", "boolean", "other"};

	return names[unit];
}
