/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where other people's guests are: memory and registers of a core file, of the host's own kernel,
 * of a QEMU by its QMP socket, of a libvirt domain; all behind the inspector's one interface.
 *
 *     a core     ELF of x86-64: ours, QEMU's dump-guest-memory with paging and without, kdump's;
 *                plain, sparse or one zstd frame. Bytes are found by p_paddr alone. A page that no
 *                PT_LOAD has whole is made of what they have, with zeroes around it.
 *     kcore      /proc/kcore: live, as root. What has a physical address there.
 *     QMP        QEMU's control socket. Only what reads is ever sent, but for pause and resume.
 *                Memory, best way first: the file that backs it, mapped; /proc/PID/mem of the
 *                process behind the socket; a copy that QEMU itself writes (pmemsave). The first
 *                two are taken only after the monitor has shown the same bytes in samples.
 *     libvirt    the same through virDomainQemuMonitorCommand(); virDomainMemoryPeek() where
 *                the process's memory may not be read. Only where configure found libvirt.
 *
 * A file is hostile: every offset is checked against the file's length before it is used. A live
 * source changes while it is read; source_refresh() forgets what was read of it.
 *
 * Not locked: a source belongs to one thread.
 */
#ifndef VMM_SOURCE_SOURCE_H
#define VMM_SOURCE_SOURCE_H

#include "lib/error.h"
#include "vmm/inspect/inspect.h"

struct source;

/*
 * Each opens a source, to be closed by source_close(). Errors, all with words: open(2)'s and
 * connect(2)'s; -ENOEXEC, no file of a kind that is read (which kind it is, is said); -EINVAL, one
 * that is broken or cut short; -EPROTO, what answers is no QEMU; -EOPNOTSUPP, built without
 * libvirt; -ENOMEM.
 */
int source_open_core(const char *path, struct source **source_out, struct error *error);
int source_open_kcore(struct source **source_out, struct error *error);
int source_open_qmp(const char *socket_path, struct source **source_out, struct error *error);
int source_open_libvirt(const char *uri, const char *domain, struct source **source_out,
			struct error *error);

/* Every pointer that the source gave is dead then. NULL is allowed. */
void source_close(struct source *source);

/*
 * The source as the inspector wants it; @source must outlive it. `paging` is left for the caller:
 * no register tells it (linux.h). More than NB_MAX_RANGES pieces of RAM are given as fewer that
 * cover them; physical() knows the gaps. Errors: -EINVAL, no memory at all, or above NB_RAM_LIMIT.
 */
int source_inspect(struct source *source, struct inspect_source *inspect_out, struct error *error);

/* Whether the memory may change while it is looked at. */
bool source_is_live(const struct source *source);

/*
 * A live source: forgets pages that were copied, so that the next look sees the guest as it is.
 * Pointers that physical() gave are dead then. Returns 0, or the error of getting a fresh copy, or
 * of a guest that is there no more (the monitor's, as source_open_qmp()).
 */
int source_refresh(struct source *source, struct error *error);

/*
 * Stops and continues a QEMU's guest; source_is_live() is false in between. Errors: -EOPNOTSUPP
 * (a core, the host's kernel), -EALREADY (it was stopped by somebody else: left alone), the
 * monitor's.
 */
int source_pause(struct source *source, struct error *error);
int source_resume(struct source *source, struct error *error);

/* The text of the VMCOREINFO note, not terminated; NULL where there is none. */
const char *source_vmcoreinfo(const struct source *source, size_t *bytes_out);

/* How memory is read, for people: "ELF core, 2 CPUs", "QEMU, memory mapped from its file". */
const char *source_about(const struct source *source);

#endif
