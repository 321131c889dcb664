/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's memory by physical address, through /proc/kcore: an ELF core whose segments are pieces
 * of the kernel's address space; those of the direct map have their physical address in p_paddr.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ept/live_private.h"

#define SEGMENTS_MAX 4096
#define BUCKETS      4096u

/* A page read before; the bucket's next one. */
struct page {
	struct page *next;
	uint64_t hpa;
	uint64_t entries[512];
};

struct segment {
	uint64_t start, end; /* physical */
	uint64_t offset;
};

struct kcore {
	int fd;
	size_t nr_segments;
	struct segment *segments;
	struct page *buckets[BUCKETS];
};

static int read_all(int fd, void *buffer, size_t bytes, uint64_t offset)
{
	ssize_t got = pread(fd, buffer, bytes, (off_t)offset);

	if (got < 0)
		return -errno;
	return (size_t)got == bytes ? 0 : -EIO;
}

/* Text and vmalloc have segments, too, with no physical address, or with the text's own. */
static int read_segments(struct kcore *kcore)
{
	Elf64_Phdr *headers;
	Elf64_Ehdr header;
	int err = read_all(kcore->fd, &header, sizeof(header), 0);

	if (err)
		return err;
	if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_phnum > SEGMENTS_MAX ||
	    header.e_phentsize != sizeof(*headers))
		return -EOPNOTSUPP;
	headers = calloc(header.e_phnum, sizeof(*headers));
	kcore->segments = calloc(header.e_phnum, sizeof(*kcore->segments));
	if (!headers || !kcore->segments)
		err = -ENOMEM;
	else
		err = read_all(kcore->fd, headers, header.e_phnum * sizeof(*headers),
			       header.e_phoff);
	for (unsigned int i = 0; i < header.e_phnum && !err; i++) {
		const Elf64_Phdr *one = &headers[i];

		if (one->p_type != PT_LOAD || one->p_paddr >> EPT_PHYSICAL_BITS_MAX)
			continue;
		kcore->segments[kcore->nr_segments++] =
			(struct segment){one->p_paddr, one->p_paddr + one->p_filesz, one->p_offset};
	}
	free(headers);
	return err;
}

int kcore_open(struct kcore **kcore_out, struct error *error)
{
	struct kcore *kcore = calloc(1, sizeof(*kcore));
	int err;

	if (!kcore)
		return error_set(error, -ENOMEM, "no memory to read /proc/kcore");
	kcore->fd = open("/proc/kcore", O_RDONLY | O_CLOEXEC);
	if (kcore->fd < 0) {
		err = errno;
		free(kcore);
		return error_set(error, err == ENOENT ? -EOPNOTSUPP : -EPERM, "/proc/kcore: %s: %s",
				 strerror(err),
				 err == ENOENT ? "the kernel needs CONFIG_PROC_KCORE"
					       : "it is for root alone, and not under lockdown");
	}
	err = read_segments(kcore);
	if (err) {
		kcore_close(kcore);
		return error_set(error, err, "/proc/kcore: %s", strerror(-err));
	}
	*kcore_out = kcore;
	return 0;
}

void kcore_forget(struct kcore *kcore)
{
	for (unsigned int i = 0; i < BUCKETS; i++) {
		while (kcore->buckets[i]) {
			struct page *page = kcore->buckets[i];

			kcore->buckets[i] = page->next;
			free(page);
		}
	}
}

void kcore_close(struct kcore *kcore)
{
	if (!kcore)
		return;
	kcore_forget(kcore);
	free(kcore->segments);
	close(kcore->fd);
	free(kcore);
}

static struct page *read_page(struct kcore *kcore, uint64_t hpa)
{
	struct page *page;

	for (size_t i = 0; i < kcore->nr_segments; i++) {
		const struct segment *segment = &kcore->segments[i];

		if (hpa < segment->start || segment->end - segment->start < EPT_PAGE_BYTES ||
		    hpa > segment->end - EPT_PAGE_BYTES)
			continue;
		page = malloc(sizeof(*page));
		if (!page)
			return NULL;
		page->hpa = hpa;
		if (read_all(kcore->fd, page->entries, EPT_PAGE_BYTES,
			     segment->offset + (hpa - segment->start)) == 0)
			return page;
		free(page);
	}
	return NULL;
}

const uint64_t *kcore_page(struct kcore *kcore, hpa_t hpa)
{
	struct page **bucket = &kcore->buckets[hpa.value / EPT_PAGE_BYTES % BUCKETS], *page;

	for (page = *bucket; page; page = page->next)
		if (page->hpa == hpa.value)
			return page->entries;
	page = read_page(kcore, hpa.value);
	if (!page)
		return NULL;
	page->next = *bucket;
	*bucket = page;
	return page->entries;
}
