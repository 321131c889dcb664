/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading the guest image. libelf finds its way through the file; whether what it finds is an
 * image this machine can boot is judged here, field by field, before anything is used.
 */
#include "vmm/image/image.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/printable.h"
#include "guest/abi.h"
#include "mm/x86.h"

#define LAYOUT_BYTES_MAX 65536

static uint64_t page_up(uint64_t address)
{
	return (address + X86_PAGE_SIZE - 1) & ~(X86_PAGE_SIZE - 1);
}

static int image_refuse(const struct image *image, struct error *error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int image_refuse(const struct image *image, struct error *error, const char *format, ...)
{
	char reason[200];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	return error_set(error, -ENOEXEC, "%.120s is not a guest image: %s", image->name, reason);
}

/* ---- the file header ---- */

static int check_ident(const struct image *image, struct error *error)
{
	const uint8_t *ident = image->bytes;

	if (image->size_bytes < sizeof(Elf64_Ehdr) || memcmp(ident, ELFMAG, SELFMAG) != 0)
		return image_refuse(image, error, "it is no ELF file");
	if (ident[EI_CLASS] != ELFCLASS64)
		return image_refuse(image, error, "its class is %u, not 64-bit", ident[EI_CLASS]);
	if (ident[EI_DATA] != ELFDATA2LSB)
		return image_refuse(image, error, "its data is not little-endian");
	if (ident[EI_VERSION] != EV_CURRENT)
		return image_refuse(image, error, "its ELF version is %u", ident[EI_VERSION]);
	return 0;
}

static int check_header(const struct image *image, const Elf64_Ehdr *header, struct error *error)
{
	if (header->e_machine != EM_X86_64)
		return image_refuse(image, error, "its machine is %u, not x86-64",
				    header->e_machine);
	if (header->e_type != ET_EXEC)
		return image_refuse(image, error,
				    "its type is %u, not an executable at fixed addresses",
				    header->e_type);
	if (header->e_version != EV_CURRENT || header->e_ehsize != sizeof(Elf64_Ehdr))
		return image_refuse(image, error, "its header says version %u, %u bytes",
				    header->e_version, header->e_ehsize);
	if (header->e_phentsize != sizeof(Elf64_Phdr))
		return image_refuse(image, error, "its program headers have %u bytes each",
				    header->e_phentsize);
	return 0;
}

/* ---- segments ---- */

/* Everything that can be said of one PT_LOAD without the others. */
static int check_segment(const struct image *image, size_t index, const Elf64_Phdr *header,
			 struct error *error)
{
	uint64_t end;

	if (header->p_vaddr % X86_PAGE_SIZE)
		return image_refuse(image, error, "segment %zu starts at %#lx, not on a page",
				    index, header->p_vaddr);
	if (header->p_memsz == 0)
		return image_refuse(image, error, "segment %zu is empty", index);
	if (header->p_filesz > header->p_memsz)
		return image_refuse(image, error,
				    "segment %zu has %#lx bytes in the file, %#lx in memory", index,
				    header->p_filesz, header->p_memsz);
	if (header->p_offset > image->size_bytes ||
	    header->p_filesz > image->size_bytes - header->p_offset)
		return image_refuse(image, error, "segment %zu reaches beyond the file's end",
				    index);
	if (header->p_vaddr < NB_IMAGE_BASE || header->p_vaddr >= NB_MODULES_BASE ||
	    header->p_memsz > NB_MODULES_BASE - header->p_vaddr)
		return image_refuse(image, error,
				    "segment %zu, %#lx bytes at %#lx, is not inside [%#llx, %#llx)",
				    index, header->p_memsz, header->p_vaddr, NB_IMAGE_BASE,
				    NB_MODULES_BASE);
	if (header->p_paddr != header->p_vaddr - NB_IMAGE_BASE)
		return image_refuse(image, error,
				    "segment %zu has physical address %#lx, not virtual - %#llx",
				    index, header->p_paddr, NB_IMAGE_BASE);
	if (header->p_paddr == 0)
		return image_refuse(image, error, "segment %zu lies in frame 0", index);
	if ((header->p_flags & PF_W) && (header->p_flags & PF_X))
		return image_refuse(image, error, "segment %zu is writable and executable", index);
	end = page_up(header->p_vaddr + header->p_memsz);
	if (image->nr_segments > 0) {
		uint64_t first = image->segments[0].start.value;

		if (header->p_vaddr < image->segments[image->nr_segments - 1].end.value)
			return image_refuse(image, error,
					    "segment %zu shares a page with the one before it, or "
					    "lies below it",
					    index);
		if (end - first > IMAGE_SPAN_MAX)
			return image_refuse(image, error, "it spans %#lx bytes, more than %#x",
					    end - first, IMAGE_SPAN_MAX);
	} else if (end - header->p_vaddr > IMAGE_SPAN_MAX) {
		return image_refuse(image, error, "it spans %#lx bytes, more than %#x",
				    end - header->p_vaddr, IMAGE_SPAN_MAX);
	}
	return 0;
}

static void add_segment(struct image *image, const Elf64_Phdr *header)
{
	struct image_segment *segment = &image->segments[image->nr_segments++];

	segment->start = gva_make(header->p_vaddr);
	segment->end = gva_make(page_up(header->p_vaddr + header->p_memsz));
	segment->gpa = gpa_make(header->p_paddr);
	segment->bytes = image->bytes + header->p_offset;
	segment->file_bytes = header->p_filesz;
	segment->writable = header->p_flags & PF_W;
	segment->executable = header->p_flags & PF_X;
}

/* A copy: the file may have them at any alignment. False at the end of what is in the file. */
static bool get_header(Elf *elf, size_t index, Elf64_Phdr *header_out)
{
	return gelf_getphdr(elf, (int)index, header_out) != NULL;
}

static int read_segments(struct image *image, Elf *elf, size_t count, struct error *error)
{
	for (size_t i = 0; i < count; i++) {
		Elf64_Phdr header;
		int err;

		if (!get_header(elf, i, &header))
			return image_refuse(image, error,
					    "its program headers are not in the file");
		if (header.p_type != PT_LOAD)
			continue;
		if (image->nr_segments == IMAGE_SEGMENTS_MAX)
			return image_refuse(image, error, "it has more than %d segments",
					    IMAGE_SEGMENTS_MAX);
		err = check_segment(image, i, &header, error);
		if (err)
			return err;
		add_segment(image, &header);
	}
	if (image->nr_segments == 0)
		return image_refuse(image, error, "it has nothing to load");
	return 0;
}

static int check_entry(struct image *image, uint64_t entry, struct error *error)
{
	const struct image_segment *segment = image_segment_find(image, gva_make(entry));

	if (!segment || !segment->executable)
		return image_refuse(image, error, "its entry, %#lx, is not in executable memory",
				    entry);
	image->entry = gva_make(entry);
	return 0;
}

/* ---- notes ---- */

static bool is_layout_text(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (text[i] != '\n' && !is_printable(text[i]))
			return false;
	}
	return true;
}

/* @offset is the descriptor's in the file, @gva its address as the PT_NOTE has it. */
static int take_layout(struct image *image, uint64_t offset, size_t length, gva_t gva,
		       struct error *error)
{
	const struct image_segment *segment = image_segment_find(image, gva);
	const uint8_t *bytes = image->bytes + offset;
	uint64_t inside;

	if (image->layout)
		return image_refuse(image, error, "it has two layout notes");
	if (length == 0 || length > LAYOUT_BYTES_MAX)
		return image_refuse(image, error, "its layout note has %zu bytes, not 1..%d",
				    length, LAYOUT_BYTES_MAX);
	if (!segment || segment->writable)
		return image_refuse(image, error, "its layout note is not in read-only memory");
	inside = gva.value - segment->start.value;
	if (inside > segment->file_bytes || length > segment->file_bytes - inside ||
	    segment->bytes + inside != bytes)
		return image_refuse(image, error,
				    "its layout note is not where its segment has it");
	if (!is_layout_text((const char *)bytes, length))
		return image_refuse(image, error, "its layout note is not plain text");
	image->layout = (const char *)bytes;
	image->layout_bytes = length;
	image->layout_gva = gva;
	return 0;
}

static void take_build_id(struct image *image, const uint8_t *bytes, size_t length)
{
	if (length > IMAGE_BUILD_ID_MAX)
		length = IMAGE_BUILD_ID_MAX;
	for (size_t i = 0; i < length; i++)
		snprintf(image->build_id + 2 * i, 3, "%02x", bytes[i]);
}

static bool note_is_named(const char *name, size_t length, const char *wanted)
{
	return length == strlen(wanted) + 1 && memcmp(name, wanted, length) == 0;
}

static int read_notes_of(struct image *image, Elf *elf, const Elf64_Phdr *header,
			 struct error *error)
{
	Elf_Data *data;
	GElf_Nhdr note;
	size_t at = 0, next, name, desc;

	if (header->p_offset > image->size_bytes ||
	    header->p_filesz > image->size_bytes - header->p_offset)
		return image_refuse(image, error, "its notes reach beyond the file's end");
	data = elf_getdata_rawchunk(elf, (int64_t)header->p_offset, header->p_filesz,
				    header->p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
	if (!data)
		return image_refuse(image, error, "its notes: %s", elf_errmsg(-1));
	while ((next = gelf_getnote(data, at, &note, &name, &desc)) > 0) {
		const char *bytes = data->d_buf;
		int err = 0;

		if (note_is_named(bytes + name, note.n_namesz, NB_NOTE_NAME) &&
		    note.n_type == NB_NOTE_LAYOUT)
			err = take_layout(image, header->p_offset + desc, note.n_descsz,
					  gva_make(header->p_vaddr + desc), error);
		else if (note_is_named(bytes + name, note.n_namesz, ELF_NOTE_GNU) &&
			 note.n_type == NT_GNU_BUILD_ID)
			take_build_id(image, (const uint8_t *)bytes + desc, note.n_descsz);
		if (err)
			return err;
		at = next;
	}
	return 0;
}

static int read_notes(struct image *image, Elf *elf, size_t count, struct error *error)
{
	for (size_t i = 0; i < count; i++) {
		Elf64_Phdr header;
		int err;

		if (!get_header(elf, i, &header) || header.p_type != PT_NOTE)
			continue;
		err = read_notes_of(image, elf, &header, error);
		if (err)
			return err;
	}
	if (!image->layout)
		return image_refuse(image, error, "it has no layout note (" NB_NOTE_NAME ")");
	return 0;
}

/* ---- loading ---- */

static int read_elf(struct image *image, Elf *elf, struct error *error)
{
	const Elf64_Ehdr *header = elf64_getehdr(elf);
	size_t count;
	int err;

	if (elf_kind(elf) != ELF_K_ELF || !header)
		return image_refuse(image, error, "%s", elf_errmsg(-1));
	err = check_header(image, header, error);
	if (err)
		return err;
	if (elf_getphdrnum(elf, &count) != 0)
		return image_refuse(image, error, "its program headers: %s", elf_errmsg(-1));
	err = read_segments(image, elf, count, error);
	if (err)
		return err;
	err = check_entry(image, header->e_entry, error);
	if (err)
		return err;
	err = read_notes(image, elf, count, error);
	if (err)
		return err;
	err = image_read_symbols(image, elf, error);
	if (err)
		return err;
	err = image_read_marks(image, elf, error);
	if (err)
		free(image->symbols);
	return err;
}

int image_load_bytes(const char *name, const void *bytes, size_t size_bytes,
		     struct image *image_out, struct error *error)
{
	struct image image = {.bytes = bytes, .size_bytes = size_bytes};
	Elf *elf;
	int err;

	snprintf(image.name, sizeof(image.name), "%s", name);
	err = check_ident(&image, error);
	if (err)
		return err;
	elf_version(EV_CURRENT);
	/* libelf only reads: the file's byte order is ours, so that nothing is converted. */
	elf = elf_memory((char *)(uintptr_t)bytes, size_bytes);
	if (!elf)
		return image_refuse(&image, error, "%s", elf_errmsg(-1));
	err = read_elf(&image, elf, error);
	elf_end(elf);
	if (!err)
		*image_out = image;
	return err;
}

static int read_all(int fd, uint8_t *bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t got = read(fd, bytes + done, size - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -EIO; /* somebody cut it short */
		done += (size_t)got;
	}
	return 0;
}

static int read_file(const char *path, uint8_t **bytes_out, size_t *size_out, struct error *error)
{
	struct stat status;
	uint8_t *bytes = NULL;
	int err = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return error_set(error, -errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &status) != 0)
		err = error_set(error, -errno, "%s: %s", path, strerror(errno));
	else if (!S_ISREG(status.st_mode))
		err = error_set(error, -ENOEXEC, "%s is not a guest image: not a regular file",
				path);
	else if (status.st_size > IMAGE_FILE_BYTES_MAX || status.st_size == 0)
		err = error_set(error, -ENOEXEC, "%s is not a guest image: it has %lld bytes", path,
				(long long)status.st_size);
	if (err)
		goto out_close;
	bytes = malloc((size_t)status.st_size);
	if (!bytes) {
		err = error_set(error, -ENOMEM, "no memory for %s", path);
		goto out_close;
	}
	err = read_all(fd, bytes, (size_t)status.st_size);
	if (err) {
		free(bytes);
		error_set(error, err, "%s: %s", path, strerror(-err));
		goto out_close;
	}
	*bytes_out = bytes;
	*size_out = (size_t)status.st_size;
out_close:
	close(fd);
	return err;
}

int image_load_file(const char *path, struct image *image_out, struct error *error)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	int err = read_file(path, &bytes, &size, error);

	if (err)
		return err;
	err = image_load_bytes(path, bytes, size, image_out, error);
	if (err)
		free(bytes);
	else
		image_out->owned = bytes;
	return err;
}

void image_unload(struct image *image)
{
	free(image->marks);
	free(image->symbols);
	free(image->owned);
	memset(image, 0, sizeof(*image));
}
