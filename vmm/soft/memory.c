/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every access that is not straight: lines that miss or have marks, two pages, MMIO, ports. */
#include "vmm/soft/memory.h"

#include <string.h>

#include "vmm/soft/decode.h"
#include "vmm/soft/exec.h"

#define PAGE_OF(gva) ((gva) & ~(X86_PAGE_SIZE - 1))

static inline uint64_t *tag_of(struct soft_line *line, enum soft_access access)
{
	if (access == SOFT_FETCH)
		return &line->fetch;
	return soft_access_writes(access) ? &line->write : &line->read;
}

static bool answered(struct soft_cpu *cpu, enum soft_answer answer)
{
	if (answer == SOFT_LEAVE)
		cpu->exit = SOFT_STOP_ENGINE;
	return answer == SOFT_OK;
}

/* A line that was filled: the marks of the interpreter's own. */
static void mark_line(struct soft_cpu *cpu, struct soft_line *line)
{
	line->page = soft_page_find(cpu->code, line->host);
	if (line->write != SOFT_LINE_NONE && line->page && soft_page_decoded(line->page))
		line->write |= SOFT_LINE_CODE;
	soft_watch_mark(cpu, line);
}

static bool is_line_for(const struct soft_cpu *cpu, struct soft_line *line, uint64_t page,
			enum soft_access access)
{
	uint64_t tag = *tag_of(line, access);

	return tag != SOFT_LINE_NONE && (tag & ~SOFT_LINE_MARKS) == page;
}

/* So that a flush need not look at all lines. */
static void note_filled(struct soft_cpu *cpu, const struct soft_line *line)
{
	if (cpu->filled_count < SOFT_FILLED)
		cpu->filled[cpu->filled_count] = line - &cpu->line_sets[0][0];
	if (cpu->filled_count <= SOFT_FILLED)
		cpu->filled_count++;
}

/* The line of @gva's page, allowing @access, filled now if need be; *@line_out NULL: MMIO. */
static bool find_line(struct soft_cpu *cpu, uint64_t gva, enum soft_access access,
		      enum soft_class class, struct soft_line **line_out, uint64_t *gpa_out)
{
	unsigned int index = access == SOFT_FETCH ? soft_fetch_index(gva) : soft_line_index(gva);
	struct soft_line *line = &cpu->line_sets[class][index];
	enum soft_answer answer;

	*line_out = line;
	if (is_line_for(cpu, line, PAGE_OF(gva), access))
		return true;
	if (!soft_canonical(gva))
		return answered(cpu, soft_cpu_raise(cpu, soft_address_vector(cpu), true, 0));
	*line = SOFT_LINE_EMPTY;
	answer = cpu->ops->fill(cpu, gva, access, class, line);
	if (answer == SOFT_OK) {
		mark_line(cpu, line);
		note_filled(cpu, line);
		return true;
	}
	*gpa_out = line->gpa + gva % X86_PAGE_SIZE;
	*line = SOFT_LINE_EMPTY;
	*line_out = NULL;
	return answer == SOFT_MMIO || answered(cpu, answer);
}

/* Whether access() wants to know of these bytes. */
static inline bool is_careful(const struct soft_line *line, uint64_t gva, size_t bytes,
			      enum soft_access access)
{
	unsigned int first = gva % X86_PAGE_SIZE / 8;
	unsigned int last = (gva % X86_PAGE_SIZE + bytes - 1) / 8;
	const uint64_t *bits;

	if (!line->careful)
		return true;
	bits = access == SOFT_LOAD ? line->careful->reads : line->careful->writes;
	if (likely(first == last))
		return bits[first / 64] >> first % 64 & 1;
	for (; first <= last; first++)
		if (bits[first / 64] >> first % 64 & 1)
			return true;
	return false;
}

/*
 * Where the bytes are, if they lie in one page whose line is there and has no mark but that
 * access() is to be called, for them or for others. NULL: that is to be seen, or *@failed: they are
 * not to be had.
 */
static inline void *look_up(struct soft_cpu *cpu, uint64_t gva, size_t bytes,
			    enum soft_access access, bool *failed)
{
	struct soft_line *line = &cpu->lines[soft_line_index(gva)];

	if (*tag_of(line, access) != (PAGE_OF(gva + bytes - 1) | SOFT_LINE_CALL) ||
	    gva % X86_PAGE_SIZE + bytes > X86_PAGE_SIZE)
		return NULL;
	if (is_careful(line, gva, bytes, access) &&
	    !answered(cpu, cpu->ops->access(cpu, line, gva, bytes, access))) {
		*failed = true;
		return NULL;
	}
	return line->host + gva % X86_PAGE_SIZE;
}

bool soft_write_known(struct soft_cpu *cpu, uint64_t gva, size_t bytes, void **host_out)
{
	bool failed = false;

	cpu->tell_written = false;
	*host_out = look_up(cpu, gva, bytes, SOFT_STORE, &failed);
	return !failed;
}

void soft_written(struct soft_cpu *cpu)
{
	cpu->tell_written = false;
	cpu->ops->written(cpu);
}

/* Does what the marks of a line's tag ask for before an access. */
static bool mind_marks(struct soft_cpu *cpu, struct soft_line *line, uint64_t gva, size_t bytes,
		       enum soft_access access)
{
	uint64_t *tag = tag_of(line, access);

	if (*tag & SOFT_LINE_CODE) {
		if (soft_page_decoded(line->page))
			soft_page_drop(cpu->code, line->page);
		*tag &= ~SOFT_LINE_CODE;
	}
	if (*tag & SOFT_LINE_WATCH)
		soft_watch(cpu, gva, bytes, access);
	if ((*tag & SOFT_LINE_CALL) && is_careful(line, gva, bytes, access))
		return answered(cpu, cpu->ops->access(cpu, line, gva, bytes, access));
	return true;
}

static bool probe_part(struct soft_cpu *cpu, struct soft_part *part, enum soft_access access,
		       enum soft_class class)
{
	struct soft_line *line;

	if (!find_line(cpu, part->gva, access, class, &line, &part->gpa))
		return false;
	part->host = NULL;
	if (!line)
		return true;
	if (!mind_marks(cpu, line, part->gva, part->bytes, access))
		return false;
	part->host = line->host + part->gva % X86_PAGE_SIZE;
	return true;
}

/* Cuts an operand at the page boundary and probes its parts. Returns how many, 0 on failure. */
static unsigned int probe(struct soft_cpu *cpu, uint64_t gva, size_t bytes, enum soft_access access,
			  enum soft_class class, struct soft_part parts[2])
{
	size_t first = X86_PAGE_SIZE - gva % X86_PAGE_SIZE;

	cpu->tell_written = false;
	parts[0] = (struct soft_part){.gva = gva, .bytes = first < bytes ? first : bytes};
	parts[1] = (struct soft_part){.gva = gva + first, .bytes = bytes - parts[0].bytes};
	for (unsigned int i = 0; i < 2 && parts[i].bytes; i++)
		if (!probe_part(cpu, &parts[i], access, class))
			return 0;
	return parts[1].bytes ? 2 : 1;
}

/* Answers an access from what was brought when it left before, or leaves. */
static bool leave_for(struct soft_cpu *cpu, const struct soft_io *io, int stop, void *data)
{
	const struct soft_io *answer = &cpu->answers[cpu->answer_next];

	if (cpu->answer_next < cpu->answer_count && answer->address == io->address &&
	    answer->bytes == io->bytes && answer->write == io->write) {
		cpu->answer_next++;
		if (!io->write)
			memcpy(data, &answer->data, io->bytes);
		return true;
	}
	cpu->answer_count = cpu->answer_next;
	if (cpu->answer_count == SOFT_IO_ANSWERS) {
		soft_unknown(cpu, 0);
		return false;
	}
	cpu->io = *io;
	cpu->io_waits = true;
	cpu->exit = stop;
	return false;
}

/* MMIO leaves eight bytes at a time. */
static bool mmio(struct soft_cpu *cpu, uint64_t gpa, size_t bytes, bool write, uint8_t *data)
{
	for (size_t done = 0, now; done < bytes; done += now) {
		struct soft_io io = {.address = gpa + done, .write = write, .mmio = true};

		now = bytes - done < 8 ? bytes - done : 8;
		io.bytes = now;
		if (write)
			memcpy(&io.data, data + done, now);
		if (!leave_for(cpu, &io, SOFT_STOP_MMIO, data + done))
			return false;
	}
	return true;
}

bool soft_port(struct soft_cpu *cpu, uint16_t port, size_t bytes, bool write, uint64_t *value)
{
	struct soft_io io = {.address = port, .bytes = bytes, .write = write};

	if (write)
		memcpy(&io.data, value, bytes);
	return leave_for(cpu, &io, SOFT_STOP_IO, value);
}

static bool read_parts(struct soft_cpu *cpu, const struct soft_part *parts, unsigned int count,
		       uint8_t *to)
{
	for (unsigned int i = 0; i < count; to += parts[i++].bytes)
		if (parts[i].host)
			memcpy(to, parts[i].host, parts[i].bytes);
		else if (!mmio(cpu, parts[i].gpa, parts[i].bytes, false, to))
			return false;
	return true;
}

/* MMIO first: it may leave, and the instruction is then begun again. */
static bool write_parts(struct soft_cpu *cpu, const struct soft_part *parts, unsigned int count,
			const uint8_t *from)
{
	const uint8_t *at = from;

	for (unsigned int i = 0; i < count; at += parts[i++].bytes)
		if (!parts[i].host && !mmio(cpu, parts[i].gpa, parts[i].bytes, true, (uint8_t *)at))
			return false;
	at = from;
	for (unsigned int i = 0; i < count; at += parts[i++].bytes)
		if (parts[i].host)
			memcpy(parts[i].host, at, parts[i].bytes);
	if (cpu->tell_written)
		soft_written(cpu);
	return true;
}

static enum soft_class class_of(const struct soft_cpu *cpu)
{
	return cpu->cpl == 3 ? SOFT_USER : SOFT_SUPERVISOR;
}

bool soft_read_as(struct soft_cpu *cpu, uint64_t gva, size_t bytes, enum soft_class class,
		  void *value_out)
{
	struct soft_part parts[2];
	unsigned int count = probe(cpu, gva, bytes, SOFT_LOAD, class, parts);

	return count && read_parts(cpu, parts, count, value_out);
}

bool soft_write_as(struct soft_cpu *cpu, uint64_t gva, size_t bytes, enum soft_class class,
		   const void *value)
{
	struct soft_part parts[2];
	unsigned int count = probe(cpu, gva, bytes, SOFT_STORE, class, parts);

	return count && write_parts(cpu, parts, count, value);
}

bool soft_probe_as(struct soft_cpu *cpu, uint64_t gva, size_t bytes, enum soft_class class)
{
	struct soft_part parts[2];

	return probe(cpu, gva, bytes, SOFT_STORE, class, parts) != 0;
}

void *soft_read(struct soft_cpu *cpu, uint64_t gva, size_t bytes)
{
	struct soft_part parts[2];
	bool failed = false;
	void *host = look_up(cpu, gva, bytes, SOFT_LOAD, &failed);
	unsigned int count;

	if (host || failed)
		return host;
	count = probe(cpu, gva, bytes, SOFT_LOAD, class_of(cpu), parts);
	if (count == 1 && parts[0].host)
		return parts[0].host;
	return count && read_parts(cpu, parts, count, cpu->bounce) ? cpu->bounce : NULL;
}

bool soft_write(struct soft_cpu *cpu, uint64_t gva, size_t bytes, const void *value)
{
	return soft_write_as(cpu, gva, bytes, class_of(cpu), value);
}

bool soft_probe(struct soft_cpu *cpu, uint64_t gva, size_t bytes)
{
	return soft_probe_as(cpu, gva, bytes, class_of(cpu));
}

void *soft_update(struct soft_cpu *cpu, uint64_t gva, size_t bytes, enum soft_access access)
{
	struct soft_part *parts = cpu->bounce_parts;
	bool failed = false;
	unsigned int count;
	void *host;

	cpu->tell_written = false;
	host = look_up(cpu, gva, bytes, access, &failed);
	if (host || failed)
		return host;
	count = probe(cpu, gva, bytes, access, class_of(cpu), parts);
	if (count == 1 && parts[0].host)
		return parts[0].host;
	if (!count || !read_parts(cpu, parts, count, cpu->bounce))
		return NULL;
	cpu->bounce_count = count;
	return cpu->bounce;
}

bool soft_updated(struct soft_cpu *cpu)
{
	unsigned int count = cpu->bounce_count;

	cpu->bounce_count = 0;
	return write_parts(cpu, cpu->bounce_parts, count, cpu->bounce);
}

/* The bytes from @gva on that nobody wants to know of. */
static size_t careless(const struct soft_line *line, uint64_t gva, bool write)
{
	const uint64_t *bits = write ? line->careful->writes : line->careful->reads;
	size_t word = gva % X86_PAGE_SIZE / 8;

	while (word < X86_PAGE_SIZE / 8) {
		uint64_t rest = bits[word / 64] >> word % 64;

		if (rest & 1)
			break;
		word = rest ? word + (size_t)__builtin_ctzll(rest) : (word / 64 + 1) * 64;
	}
	return word * 8 - gva % X86_PAGE_SIZE;
}

size_t soft_straight(struct soft_cpu *cpu, uint64_t gva, size_t bytes, bool write,
		     uint8_t **host_out)
{
	const struct soft_line *line = &cpu->lines[soft_line_index(gva)];
	size_t room = X86_PAGE_SIZE - gva % X86_PAGE_SIZE;

	*host_out = write ? soft_quick_write(cpu, gva, 1) : soft_quick_read(cpu, gva, 1);
	if (!*host_out) {
		if ((write ? line->write : line->read) != (PAGE_OF(gva) | SOFT_LINE_CALL) ||
		    !line->careful)
			return 0;
		*host_out = line->host + gva % X86_PAGE_SIZE;
		room = careless(line, gva, write);
	}
	return bytes < room ? bytes : room;
}

struct soft_line *soft_fetch(struct soft_cpu *cpu, uint64_t rip)
{
	struct soft_line *line;
	uint64_t gpa;

	if (!find_line(cpu, rip, SOFT_FETCH, class_of(cpu), &line, &gpa))
		return NULL;
	/* Nothing is fetched from where no memory is. */
	if (!line)
		soft_unknown(cpu, 0);
	return line;
}
