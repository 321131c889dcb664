/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VMCOREINFO: the text by which a kernel tells a crash dump's reader where things are. It is in a
 * note, or at the start of a page of memory (vmcoreinfo_data), or behind the header of an ELF note
 * at the start of one (vmcoreinfo_note). Memory may also hold copies of a kernel from before a
 * reboot, or of a file: so each is tried, and only one whose page tables map its own text, and
 * whose uts name is its own release, is taken.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/linux/private.h"

/* Frames a kernel's page tables name have no more bits. */
#define PHYSICAL_BITS 52

#define RELEASE_BYTES  65  /* of new_utsname's fields */
#define RELEASE_FIELD  130 /* release is the third of them */
#define CANDIDATES_MAX 4096

bool linux_info_text(const char *info, const char *key, char *text, size_t bytes)
{
	size_t length = strlen(key);

	while (info) {
		if (!strncmp(info, key, length) && info[length] == '=') {
			size_t used = strcspn(info + length + 1, "\n");

			if (used >= bytes)
				return false;
			memcpy(text, info + length + 1, used);
			text[used] = '\0';
			return true;
		}
		info = strchr(info, '\n');
		info = info ? info + 1 : NULL;
	}
	return false;
}

static bool parse(const char *info, const char *key, int base, uint64_t *value_out)
{
	char text[40], *end;
	uint64_t value;

	if (!linux_info_text(info, key, text, sizeof(text)) || !*text)
		return false;
	errno = 0;
	if (text[0] == '-')
		value = (uint64_t)strtoll(text, &end, base);
	else
		value = strtoull(text, &end, base);
	if (errno || *end)
		return false;
	*value_out = value;
	return true;
}

bool linux_info_hex(const char *info, const char *key, uint64_t *value_out)
{
	return parse(info, key, 16, value_out);
}

bool linux_info_number(const char *info, const char *key, int64_t *value_out)
{
	uint64_t value;

	/* Most are decimal, VMALLOC_START has 0x. */
	if (!parse(info, key, 0, &value))
		return false;
	*value_out = (int64_t)value;
	return true;
}

/* ---- one candidate ---- */

/* An inspector on the root that @guest->source.paging has. */
static int make_inspector(struct linux_guest *guest)
{
	/* What vmm/look/ asks of it is filled in when it is known (open.c). */
	struct layout *layout = calloc(1, sizeof(*layout));
	int err;

	if (!layout)
		return -ENOMEM;
	layout->page.bytes = 64;
	err = inspector_create(&guest->source, layout, &guest->inspector, NULL);
	free(layout);
	return err;
}

static int refuse(struct error *error, const char *why)
{
	return error_set(error, -ENOENT, "%s", why);
}

/* The root, the levels, phys_base; nothing of them is believed yet. */
static int read_paging(struct linux_guest *guest, const char *info, struct error *error)
{
	struct linux_facts *facts = &guest->facts;
	int64_t phys_base, levels5 = 0, sme = 0;
	uint64_t root;

	if (!linux_info_number(info, "NUMBER(phys_base)", &phys_base))
		return refuse(error, "no NUMBER(phys_base): no x86-64 kernel's");
	if (!linux_info_hex(info, "SYMBOL(init_top_pgt)", &root) &&
	    !linux_info_hex(info, "SYMBOL(swapper_pg_dir)", &root))
		return refuse(error, "no SYMBOL(init_top_pgt) or SYMBOL(swapper_pg_dir)");
	if (linux_info_number(info, "NUMBER(sme_mask)", &sme) && sme != 0)
		return error_set(
			error, -EOPNOTSUPP,
			"its page tables are those of encrypted memory (sme_mask 0x%" PRIx64
			"), which is not read",
			(uint64_t)sme);
	linux_info_number(info, "NUMBER(pgtable_l5_enabled)", &levels5);
	linux_info_hex(info, "KERNELOFFSET", &facts->kernel_offset);
	facts->phys_base = (uint64_t)phys_base;
	facts->root = root - KERNEL_MAP + (uint64_t)phys_base;
	facts->levels = levels5 == 1 ? 5 : 4;
	if (facts->root % PAGE != 0 || facts->root >= NB_RAM_LIMIT)
		return refuse(error, "its root table is at no page");
	guest->source.paging = (struct paging_mode){
		.root = gpa_make(facts->root),
		.levels = facts->levels,
		.physical_bits = PHYSICAL_BITS,
		.nxe = true,
	};
	return 0;
}

/* Whether the tables map the kernel's text where it says, and the uts name is its own. */
static int check_candidate(struct linux_guest *guest, const char *info, struct error *error)
{
	struct paging_reader reader = inspect_paging_reader(guest->inspector);
	char release[RELEASE_BYTES + 1] = "", said[RELEASE_BYTES + 1];
	struct paging_walk walk;
	uint64_t stext, uts;
	int64_t name = 0;

	if (!linux_info_hex(info, "SYMBOL(_stext)", &stext) ||
	    !linux_info_hex(info, "SYMBOL(init_uts_ns)", &uts) ||
	    !linux_info_text(info, "OSRELEASE", said, sizeof(said)))
		return refuse(error, "no SYMBOL(_stext), SYMBOL(init_uts_ns) or OSRELEASE");
	paging_walk(&guest->source.paging, &reader, gva_make(stext), &walk);
	if (walk.status != PAGING_MAPPED)
		return refuse(error, "its root table does not map _stext");
	if (walk.gpa.value != stext - KERNEL_MAP + guest->facts.phys_base)
		return refuse(error, "its root table maps _stext elsewhere");
	linux_info_number(info, "OFFSET(uts_namespace.name)", &name);
	if (!inspect_read(guest->inspector, uts + (uint64_t)name + RELEASE_FIELD, release,
			  RELEASE_BYTES))
		return refuse(error, "init_uts_ns cannot be read");
	if (strcmp(release, said) != 0)
		return refuse(error, "init_uts_ns has another release");
	memcpy(guest->facts.release, said, sizeof(said));
	guest->facts.image_start = stext;
	return 0;
}

/* Takes the text [@info, @info + @bytes), which need not be terminated, if it holds. */
static int try_candidate(struct linux_guest *guest, const char *info, size_t bytes,
			 struct error *error)
{
	char *copy = strndup(info, bytes);
	int err;

	if (!copy)
		return -ENOMEM;
	err = read_paging(guest, copy, error);
	if (!err) {
		err = make_inspector(guest);
		if (!err)
			err = check_candidate(guest, copy, error);
	}
	if (!err) {
		guest->vmcoreinfo = copy;
		return 0;
	}
	inspector_destroy(guest->inspector);
	guest->inspector = NULL;
	free(copy);
	return err;
}

/* ---- the scan ---- */

struct scan {
	struct linux_guest *guest;
	struct error *error; /* of the last that was refused */
	unsigned int tried;
	char *text; /* TEXT_MAX bytes */
};

/* The text that begins at @gpa and goes on in the frames behind, to its NUL. */
static size_t read_text(struct scan *scan, uint64_t gpa)
{
	const struct inspect_source *source = &scan->guest->source;
	size_t used = 0;

	while (used < TEXT_MAX) {
		size_t part = PAGE - gpa % PAGE, length;
		const char *from = source->physical(source->context, gpa, part);

		if (!from)
			break;
		if (part > TEXT_MAX - used)
			part = TEXT_MAX - used;
		length = strnlen(from, part);
		memcpy(scan->text + used, from, length);
		used += length;
		if (length < part)
			break;
		gpa += part;
	}
	return used;
}

static int try_at(struct scan *scan, uint64_t gpa)
{
	int err;

	if (scan->tried++ >= CANDIDATES_MAX)
		return -ENOENT;
	err = try_candidate(scan->guest, scan->text, read_text(scan, gpa), scan->error);
	if (!err)
		snprintf(scan->guest->facts.from, sizeof(scan->guest->facts.from),
			 "memory at 0x%" PRIx64, gpa);
	return err;
}

static int scan_page(struct scan *scan, uint64_t gpa)
{
	static const char mark[] = "OSRELEASE=";
	static const unsigned int places[] = {0, 24};
	const struct inspect_source *source = &scan->guest->source;
	const char *page = source->physical(source->context, gpa, PAGE);
	int err;

	if (!page)
		return -ENOENT;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (memcmp(page + places[i], mark, sizeof(mark) - 1) != 0)
			continue;
		err = try_at(scan, gpa + places[i]);
		if (err != -ENOENT)
			return err;
	}
	return -ENOENT;
}

static int scan_memory(struct scan *scan)
{
	const struct inspect_source *source = &scan->guest->source;
	uint64_t at = 0, start, end;
	int err;

	while (source->touched(source->context, at, &start, &end)) {
		for (at = start; at < end; at += PAGE) {
			err = scan_page(scan, at);
			if (err != -ENOENT)
				return err;
		}
		at = end;
	}
	return -ENOENT;
}

int linux_find_vmcoreinfo(struct linux_guest *guest, const char *note, size_t note_bytes,
			  struct error *error)
{
	struct error why = {""}, note_why = {""};
	struct scan scan = {.guest = guest, .error = &why};
	int err;

	if (note) {
		err = try_candidate(guest, note, note_bytes, &note_why);
		if (err != -ENOENT) {
			snprintf(guest->facts.from, sizeof(guest->facts.from), "note");
			return err == -EOPNOTSUPP ? error_set(error, err, "%s", note_why.text)
						  : err;
		}
	}
	scan.text = malloc(TEXT_MAX);
	if (!scan.text)
		return -ENOMEM;
	err = scan_memory(&scan);
	free(scan.text);
	if (err == -ENOENT && scan.tried == 0 && !note)
		error_set(error, err,
			  "no Linux kernel there: no VMCOREINFO in a note or in memory");
	else if (err == -ENOENT)
		error_set(error, err,
			  "no Linux kernel that can be believed; VMCOREINFO of the note: %s; in "
			  "memory, %u: %s",
			  note ? note_why.text : "none", scan.tried, why.text);
	else if (err == -EOPNOTSUPP)
		error_set(error, err, "%s", why.text);
	return err;
}
